"""Rows on their way to their shards: split into files by a number, and read back part by part.

Sorting more rows than fit in memory starts with splitting them: each part then fits. A part's file
is a row of blocks, one per table that had rows for it, and a block is one column behind the other:
a table is dealt out by one gather per column, and a part is mapped and not read.

Text is written as numbers. A column with few distinct values in the whole import is written as
codes of two bytes into a `Vocabulary`, and nobody looks at the words again until the shards are
built. A column with more words than two bytes can tell apart (ids, addresses) is written as the
place of the text among those of its part; the texts lie in a file of their own, each once per
table. So memory stays bounded whatever the columns hold. All text comes back dictionary-encoded.
Later tables may have other columns than earlier ones (a property appears in the tenth file): then
new files are begun.

Nothing is compressed: numbers of two bytes are small already, and rows are read once and then gone,
mostly before any of them has reached the disk.
"""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.eventlog import kernels
from analysis.eventlog.shard import CODED, TEXT, plain

MOST: Final = 2**16 - 1
"""The values that two bytes can tell apart, with one code left for the missing cell."""

MISSING: Final = MOST
"""The code of a missing cell."""

_BUFFER: Final = 1 << 18
_TEXTS: Final = pa.schema([("text", TEXT)])

Coded = tuple[np.ndarray, pa.Array]
"""Text as `encoded_text` returns it."""


class _Layout(NamedTuple):
    """How the blocks of a file lie: columns and types, which are codes, and which texts."""

    columns: tuple[tuple[str, np.dtype], ...]
    coded: frozenset[str]
    texts: tuple[str, ...]

    @property
    def width(self) -> int:
        """Bytes per row."""
        return sum(kind.itemsize for _, kind in self.columns)


class Spill:
    """Files in `folder` that hold the rows of `parts` parts."""

    def __init__(self, folder: Path, parts: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._layouts: list[_Layout] = []
        self._blocks: list[list[list[int]]] = []
        self._vocabularies: defaultdict[str, Vocabulary] = defaultdict(Vocabulary)
        self._single: set[str] = set()
        self._files: dict[int, BinaryIO] = {}
        self._texts: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self._entries: dict[str, np.ndarray] = {}
        self.rows = np.zeros(parts, np.int64)

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is being written; reading comes after that."""
        for files in (self._files, self._texts):
            while files:
                files.popitem()[1].close()

    def places(self, part: np.ndarray) -> np.ndarray:
        """The places within their parts (int64) of the rows that are added next."""
        order, counts = kernels.part_order(part, len(self.rows))
        starts = np.cumsum(counts) - counts
        place = np.empty(len(part), np.int64)
        place[order] = np.arange(len(part)) + np.repeat(self.rows - starts, counts)
        return place

    def add(self, table: pa.Table, part: np.ndarray) -> None:
        """Write each row to its part."""
        order, counts = kernels.part_order(part, len(self.rows))
        cells, texts = self._cells(table)
        self._begin(cells, texts)
        columns = {name: found[order] for name, found in cells.items()}
        words = []
        for name, (codes, values) in texts.items():
            before = self._entries[name]
            columns[name], first, new = kernels.part_entries(
                codes, order, counts, before, len(values)
            )
            self._entries[name] = before + new
            words.append((values.take(pa.array(first)), np.append(0, np.cumsum(new))))
        starts = np.append(0, np.cumsum(counts))
        for number in np.flatnonzero(counts).tolist():
            rows = slice(starts[number], starts[number + 1])
            self._write(number, [columns[name][rows] for name in columns], words)
        self.rows += counts

    def read(self, part: int) -> Iterator[pa.Table]:
        """The rows of a part in the order in which they came, a table per set of columns.

        A part is read once: its files go on the way.
        """
        for segment, layout in enumerate(self._layouts):
            path = self._path(segment, part, "rows")
            if path.exists():
                blocks = _mapped(path, layout, self._blocks[segment][part])
                texts = self._read_texts(self._path(segment, part, "texts"), layout.texts)
                path.unlink()
                yield pa.table(
                    {
                        name: self._column(name, np.concatenate(cells), layout, texts)
                        for (name, _), cells in zip(layout.columns, blocks, strict=True)
                    }
                )

    def _cells(self, table: pa.Table) -> tuple[dict[str, np.ndarray], dict[str, Coded]]:
        """Columns as numbers; and those of too many texts, as codes into this table's values."""
        cells: dict[str, np.ndarray] = {}
        texts: dict[str, Coded] = {}
        for name in table.column_names:
            column = table.column(name)
            if not _is_text(column.type):
                cells[name] = column.to_numpy()
                continue
            codes, values = self._encoded(name, column)
            own = self._vocabularies[name].codes(codes, values)
            if own is None:
                texts[name] = codes, values
            else:
                cells[name] = own
        return cells, texts

    def _encoded(self, name: str, column: pa.ChunkedArray) -> Coded:
        """Text as codes; in a column of mostly distinct cells every cell is its own value."""
        if name in self._single and not pa.types.is_dictionary(column.type):
            cells = column.cast(TEXT).combine_chunks()
            codes = np.arange(len(cells), dtype=np.int32)
            codes[cells.is_null().to_numpy(zero_copy_only=False)] = -1
            return codes, cells
        codes, values = encoded_text(column)
        if 2 * len(values) > len(column) and self._vocabularies[name].full:
            self._single.add(name)
        return codes, values

    def _begin(self, cells: Mapping[str, np.ndarray], texts: Mapping[str, Coded]) -> None:
        """Go on with the files that there are, or begin new ones if the columns differ."""
        columns = [(name, column.dtype) for name, column in cells.items()]
        columns += [(name, np.dtype(np.int32)) for name in texts]
        coded = frozenset(name for name in cells if name in self._vocabularies)
        layout = _Layout(tuple(columns), coded, tuple(texts))
        if not self._layouts or layout != self._layouts[-1]:
            self.close()
            self._layouts.append(layout)
            self._blocks.append([[] for _ in self.rows])
            self._entries = {name: np.zeros_like(self.rows) for name in texts}

    def _write(
        self,
        part: int,
        block: Sequence[np.ndarray],
        words: Sequence[tuple[pa.Array, np.ndarray]],
    ) -> None:
        segment = len(self._layouts) - 1
        if part not in self._files:
            self._files[part] = self._path(segment, part, "rows").open("wb", buffering=_BUFFER)
            if words:
                path = self._path(segment, part, "texts")
                self._texts[part] = pa.ipc.new_stream(str(path), _TEXTS)
        for cells in block:
            self._files[part].write(cells.data.cast("B"))
        self._blocks[segment][part].append(len(block[0]))
        for values, bounds in words:
            own = values.slice(bounds[part], bounds[part + 1] - bounds[part])
            self._texts[part].write_batch(pa.record_batch([own], schema=_TEXTS))

    def _read_texts(self, path: Path, names: Sequence[str]) -> dict[str, Coded]:
        """The entries of every column of texts: codes, and the distinct values."""
        if not names:
            return {}
        with pa.memory_map(str(path)) as source:
            batches = pa.ipc.open_stream(source).read_all().column(0).chunks
        path.unlink()
        # The columns take turns: a batch each, for every block of rows.
        return {
            name: encoded_text(pa.chunked_array(batches[number :: len(names)], TEXT))
            for number, name in enumerate(names)
        }

    def _column(
        self, name: str, cells: np.ndarray, layout: _Layout, texts: Mapping[str, Coded]
    ) -> pa.Array:
        if name in layout.coded:
            return self._vocabularies[name].cells(cells)
        if name in texts:
            codes, values = texts[name]
            return text_from(np.append(codes, np.int32(-1))[cells], values)
        return pa.array(cells)

    def _path(self, segment: int, part: int, kind: str) -> Path:
        return self._folder / f"{segment}-{part}.{kind}"


def _mapped(path: Path, layout: _Layout, counts: Sequence[int]) -> list[list[np.ndarray]]:
    """The blocks of a file: per column a list of cells, a block each."""
    content = np.asarray(np.memmap(path, np.uint8, "r"))
    columns: list[list[np.ndarray]] = [[] for _ in layout.columns]
    starts = itertools.accumulate(counts, initial=0)
    for start, count in zip(starts, counts, strict=False):
        place = start * layout.width
        for cells, (_, kind) in zip(columns, layout.columns, strict=True):
            end = place + count * kind.itemsize
            cells.append(content[place:end].view(kind))
            place = end
    return columns


def _is_text(of: pa.DataType) -> bool:
    if pa.types.is_dictionary(of):
        of = of.value_type
    return pa.types.is_string(of) or pa.types.is_large_string(of)


# ── text as codes ────────────────────────────────────────────────────────────────────────────────


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
