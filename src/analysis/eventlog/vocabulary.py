"""The distinct values of a text column, numbered as they appear.

Most text of a log is the same few words again and again. Rows on their way then carry two bytes
instead of the word, and nobody has to look at the word again until the shards are built. A column
with more words than two bytes can tell apart (ids, addresses) is not kept here: memory stays
bounded whatever the columns hold.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.sources.cells import CODED, TEXT, plain

MOST: Final = 2**16 - 1


MISSING: Final = MOST
"""The code of a missing cell."""


class Vocabulary:
    """Values in the order of their appearance; `full` once there are too many."""

    def __init__(self) -> None:
        self.values = pa.array([], TEXT)
        self.full = False

    def codes(self, indices: np.ndarray, known: pa.Array) -> np.ndarray | None:
        """The code of each cell (uint16), or None once the vocabulary is full.

        Parameters
        ----------
        indices, known : cells as `encoded_text` returns them.
        """
        if self.full:
            return None
        place = pc.index_in(known, self.values)
        if place.null_count:
            new = pc.unique(known.filter(place.is_null()))
            if len(self.values) + len(new) > MOST:
                self.full = True
                return None
            self.values = pa.concat_arrays([self.values, new])
            place = pc.index_in(known, self.values)
        return np.append(place.to_numpy(), MISSING).astype(np.uint16)[indices]

    def cells(self, codes: np.ndarray) -> pa.DictionaryArray:
        """Cells from their codes, dictionary-encoded."""
        own = codes.astype(np.int32)
        own[codes == MISSING] = -1
        return text_from(own, self.values)


def encoded_text(column: pa.ChunkedArray) -> tuple[np.ndarray, pa.Array]:
    """Text cells as int32 codes, −1 where one is missing, into values without a missing one."""
    if pa.types.is_dictionary(column.type):
        cells = column.unify_dictionaries().combine_chunks()
        if cells.dictionary.null_count:
            return encoded_text(plain(column))
    else:
        cells = column.cast(TEXT).combine_chunks().dictionary_encode()
    indices = cells.indices.cast(pa.int32())
    if indices.null_count:
        indices = indices.fill_null(-1)
    return indices.to_numpy(), cells.dictionary.cast(TEXT)


def text_from(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    """Dictionary-encoded cells from int32 codes, −1 where one is missing; nothing is copied."""
    valid = codes >= 0
    bitmap = None
    if not valid.all():
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.DictionaryArray.from_buffers(CODED, len(codes), [bitmap, pa.py_buffer(codes)], values)
