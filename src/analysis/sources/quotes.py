"""A CSV as blocks of whole records in which every cell is plain or well quoted.

Exports quote by different rules, and some by none. Read by the rules of RFC 4180 alone, a title
that begins with a quote swallows every record up to the next quote, without a word. So a cell that
begins with a quote is quoted only if a quote ends it, with nothing but a delimiter or a line end
behind. If text follows there, the quotes belong to the text: ``"Best" deal``. Where a backslash
stands before the quotes inside, as Spark writes JSON, it is taken away. A record that does not come
out with as many cells as there are columns is read in these other ways, too, and is bad only if
none of them fits.

A quoted cell may span lines. But where nearly every one of these lines has all cells of a record,
and one of them looks like that of the first line (a time, an id), the quote is text, too: one at a
title's start and one at another title's end, any number of records further on, quote nothing.

`kernels.well_quoted` finds this out, and writes such cells by the rules of RFC 4180. Text without
a quote is passed on as it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

import numpy as np
import pyarrow as pa

from analysis.sources import kernels
from analysis.sources.files import Bytes

_LONGEST: Final = 4
"""A record may be so many blocks long."""


class WellQuoted:
    """The records of a CSV from the place where `stream` stands.

    Parameters
    ----------
    text : what has been read of them already, from the beginning of a record.
    delimiter : between cells.
    block : bytes that are read at once.

    `broken` says why records are left over once `blocks` has ended: ``"unclosed"`` if a quote is
    not closed before the file or the longest record ends, ``"too long"`` for a record without
    quotes; None if there are none.
    """

    def __init__(self, stream: Bytes, text: bytes, *, delimiter: str, block: int) -> None:
        self.broken: Literal["unclosed", "too long"] | None = None
        self.longest = _LONGEST * block
        self.ended = False
        self._stream, self._text = stream, text
        self._delimiter, self._block = ord(delimiter), block

    def first(self) -> tuple[bytes, int]:
        """The first record, well quoted, and how many cells it has; 0 if it is broken."""
        while True:
            text = np.frombuffer(self._text, np.uint8)
            stop, cells = kernels.first_record(text, self._delimiter, self.ended)
            if cells or self.ended or len(self._text) > self.longest:
                record = self._split(self._text[:stop], 0, whole=True, forced=False)[0]
                self.broken = None if cells else "unclosed"
                return record.to_pybytes(), cells
            self._read_on()

    def skip_first(self) -> None:
        """Leave out the first record: it is a header."""
        text = np.frombuffer(self._text, np.uint8)
        stop, _ = kernels.first_record(text, self._delimiter, self.ended)
        self._text = self._text[stop:]

    def blocks(self, cells: int) -> Iterator[pa.Buffer]:
        """The records, some at a time; `cells` is how many each of them should have."""
        while self._text or not self.ended:
            self._read_on()
            if not self._text:
                return
            forced = len(self._text) > self.longest
            block, read, state = self._split(self._text, cells, whole=self.ended, forced=forced)
            self._text = self._text[read:]
            if read:
                yield block
            elif forced or self.ended:
                self.broken = "unclosed" if state == kernels.UNCLOSED else "too long"
                return

    def _read_on(self) -> None:
        more = self._stream.read(self._block)
        self._text = self._text + more if self._text else more
        self.ended = not more

    def _split(
        self, text: bytes, cells: int, *, whole: bool, forced: bool
    ) -> tuple[pa.Buffer, int, int]:
        """The whole records at a text's beginning, their bytes in it, and the state."""
        if b'"' not in text:
            end = len(text) if whole else max(text.rfind(b"\n"), text.rfind(b"\r")) + 1
            return pa.py_buffer(text).slice(0, end), end, kernels.FINE
        known = np.frombuffer(text, np.uint8), self._delimiter, cells, whole, forced
        read, _, state = kernels.well_quoted(*known, np.empty(0, np.uint8))
        if state != kernels.IRREGULAR:
            return pa.py_buffer(text).slice(0, read), read, state
        out = np.empty(4 * len(text) + 4, np.uint8)
        read, written, state = kernels.well_quoted(*known, out)
        return pa.py_buffer(out[:written].tobytes()), read, state
