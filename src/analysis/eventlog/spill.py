"""Rows on their way: split into files by a number that each row has, and read back part by part.

Sorting more rows than fit in memory starts with splitting them: each part then fits. Files are
Arrow streams; a part keeps its rows in the order in which they came. The columns of later tables
may differ from those of earlier ones (a property appears in the tenth file): then a new file is
begun for every part. Text of few distinct values is written as codes; all text comes back
dictionary-encoded. Codes are small already: compressing them costs an eighth of an import's work.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.eventlog.vocabulary import Vocabulary
from analysis.sources.cells import TEXT, plain


class Spill:
    """Files in `folder` that hold the rows of `parts` parts."""

    def __init__(self, folder: Path, parts: int) -> None:
        folder.mkdir()
        self._folder = folder
        self._schemas: list[pa.Schema] = []
        self._coded: list[frozenset[str]] = []
        self._vocabularies: dict[str, Vocabulary] = {}
        self._writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
        self.rows = np.zeros(parts, np.int64)

    def __enter__(self) -> Spill:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is being written; reading comes after that."""
        while self._writers:
            _, writer = self._writers.popitem()
            writer.close()

    def add(self, table: pa.Table, part: np.ndarray) -> np.ndarray:
        """Write each row to its part; returns the rows' places within their parts (int64)."""
        table, coded = self._with_codes(table)
        if not self._schemas or (table.schema, coded) != (self._schemas[-1], self._coded[-1]):
            self.close()
            self._schemas.append(table.schema)
            self._coded.append(coded)
        parts = len(self.rows)
        order = np.argsort(part.astype(np.uint16), kind="stable")
        counts = np.bincount(part, minlength=parts)
        starts = np.concatenate([[0], np.cumsum(counts)])
        place = np.empty(len(part), np.int64)
        place[order] = np.arange(len(part)) + np.repeat(self.rows - starts[:-1], counts)
        batch = table.take(pa.array(order)).combine_chunks().to_batches()
        for number in np.flatnonzero(counts):
            rows = batch[0].slice(starts[number], counts[number])
            self._writer(int(number)).write_batch(rows)
        self.rows += counts
        return place

    def read(self, part: int) -> Iterator[pa.Table]:
        """The rows of a part in the order in which they came, a table per set of columns."""
        for segment in range(len(self._schemas)):
            path = self._path(segment, part)
            if path.exists():
                with pa.OSFile(str(path), "rb") as source:
                    table = pa.ipc.open_stream(source).read_all()
                yield self._with_text(table, self._coded[segment])

    def _with_codes(self, table: pa.Table) -> tuple[pa.Table, frozenset[str]]:
        """The table as it is written, and the names of the columns that are codes there."""
        coded = set()
        for number, name in enumerate(table.column_names):
            column = table.column(name)
            if not _is_text(column.type):
                continue
            codes = self._vocabularies.setdefault(name, Vocabulary()).codes(column)
            if codes is not None:
                coded.add(name)
            cells = plain(column) if codes is None else pa.array(codes)
            table = table.set_column(number, name, cells)
        return table, frozenset(coded)

    def _with_text(self, table: pa.Table, coded: frozenset[str]) -> pa.Table:
        for number, name in enumerate(table.column_names):
            column = table.column(name)
            if name in coded:
                cells = self._vocabularies[name].cells(column.to_numpy())
                table = table.set_column(number, name, cells)
            elif _is_text(column.type):
                table = table.set_column(number, name, column.cast(TEXT).dictionary_encode())
        return table

    def _path(self, segment: int, part: int) -> Path:
        return self._folder / f"{segment}-{part}.arrow"

    def _writer(self, part: int) -> pa.ipc.RecordBatchStreamWriter:
        if part not in self._writers:
            path = self._path(len(self._schemas) - 1, part)
            self._writers[part] = pa.ipc.new_stream(str(path), self._schemas[-1])
        return self._writers[part]


def _is_text(of: pa.DataType) -> bool:
    if pa.types.is_dictionary(of):
        of = of.value_type
    return pa.types.is_string(of) or pa.types.is_large_string(of)
