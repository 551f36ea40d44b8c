"""Files as batches of bounded size: CSV, Parquet, and JSON lines from next door.

A CSV is text, and nothing is inferred from it: ids keep their leading zeros. Parquet and JSON
lines keep the types they have. The columnar library does the reading; this module sees to it
that nothing gets lost on the way, above all not in a cell whose quote is never closed.
"""

from __future__ import annotations

import codecs
import csv
from collections import Counter
from collections.abc import Collection, Iterator
from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.csv as pacsv
import pyarrow.parquet as pq

from analysis.core.schema import DataError
from analysis.sources.batch import BadRecord, Batch
from analysis.sources.cells import TEXT, compact, flatten
from analysis.sources.files import CSV, JSON, Bytes, SourceFile, readable
from analysis.sources.readers import read_json

BLOCK: Final = 4 << 20
"""Bytes of CSV read at once; also the longest record."""


PARQUET_ROWS: Final = 1 << 18


_BUFFER: Final = 1 << 20


_CODED_BYTES: Final = 6
"""Bytes per cell, uncompressed, beyond which text is hardly codes: a code has up to four."""


_PEEK: Final = 1 << 16


_DELIMITERS: Final = ",;\t"


_UNNAMED: Final = "unnamed"


# A record that no file has and that every CSV with two columns or more must refuse. Where it is
# not refused, it was read as part of a cell: the file ends within quotes.
_END: Final = "\0end of file\0"


def read(
    file: SourceFile, *, columns: Collection[str] | None = None, missing: Collection[str] = ()
) -> Iterator[Batch]:
    """What does a file hold, batch by batch?

    Parameters
    ----------
    columns : the columns that are needed; default: all.
    missing : cells of a CSV that mean "missing", beside the empty one.

    Raises
    ------
    DataError
        If the file is damaged, cut short or not UTF-8, names a column twice, or ends in quotes.
    """
    with readable(file.path):
        if file.kind == CSV:
            yield from _read_csv(file, columns, missing)
        elif file.kind == JSON:
            yield from read_json(file)
        else:
            yield from _read_parquet(file, columns)


def _read_csv(
    file: SourceFile, columns: Collection[str] | None, missing: Collection[str]
) -> Iterator[Batch]:
    names, delimiter = _header(file)
    shown = [name or _UNNAMED for name in names]
    wanted = [name for name in names if columns is None or name in columns]
    refused: list[pacsv.InvalidRow] = []
    options = _csv_options(delimiter, wanted, missing, refused)
    row, skipped, ended = 2, np.empty(0, np.int64), False
    with Bytes(file, tail=f"\n{_END}\n".encode()) as stream:
        for cells in pacsv.open_csv(pa.PythonFile(stream, "r"), *options):
            bad, ended = _bad_records(refused), ended or _has_end(refused)
            skipped = np.append(skipped, np.array([record.number for record in refused], np.int64))
            refused.clear()
            rows, skipped = _row_numbers(row, cells.num_rows, skipped)
            row = int(rows[-1]) + 1 if len(rows) else row
            yield Batch(_named(cells), rows, bad, shown, typed=False, position=stream.position())
    if bad := _bad_records(refused):
        none = pa.RecordBatch.from_pylist([], schema=pa.schema([(name, TEXT) for name in shown]))
        yield Batch(none, np.arange(0), bad, shown, typed=False, position=file.size)
    if not ended and not _has_end(refused):
        raise DataError(
            f"'{file.path}' ends within quotes: the quote opened in or after record {row - 1} is "
            "never closed. Correct that record, or export the file again."
        )


def _csv_options(
    delimiter: str, wanted: list[str], missing: Collection[str], refused: list[pacsv.InvalidRow]
) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
    """How a CSV is read: as text, and the records of another length go to `refused`."""

    def refuse(record: pacsv.InvalidRow) -> str:
        refused.append(record)
        return "skip"

    return (
        # One thread: only then the reader knows the numbers of the records it refuses.
        pacsv.ReadOptions(use_threads=False, block_size=BLOCK),
        pacsv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
        ),
        pacsv.ConvertOptions(
            default_column_type=TEXT,
            strings_can_be_null=True,
            null_values=["", *missing],
            include_columns=wanted,
        ),
    )


def _bad_records(refused: list[pacsv.InvalidRow]) -> list[BadRecord]:
    return [
        BadRecord(
            record.number,
            f"has {record.actual_columns} cells, the header has {record.expected_columns}",
            compact(record.text),
        )
        for record in refused
        if record.text != _END
    ]


def _has_end(refused: list[pacsv.InvalidRow]) -> bool:
    return any(record.text == _END for record in refused)


def _row_numbers(first: int, count: int, skipped: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Numbers of the next `count` records from `first`, and the refused ones still to come."""
    numbers = np.arange(first, first + count + len(skipped))
    rows = numbers[~np.isin(numbers, skipped)][:count]
    return rows, skipped[skipped > rows[-1]] if count else skipped


def _header(file: SourceFile) -> tuple[list[str], str]:
    with Bytes(file) as stream:
        decoder = codecs.getincrementaldecoder("utf-8-sig")()
        text = decoder.decode(stream.read(_PEEK)).lstrip("\r\n")
    plain = "".join(text.split('"')[::2]).splitlines()[0]
    delimiter = max(_DELIMITERS, key=plain.count)
    names = next(csv.reader(text.splitlines(keepends=True), delimiter=delimiter))
    if len(names) < 2:
        raise DataError(
            f"'{file.path}' has a single column, {text.splitlines()[0][:80]!r}. Columns are told "
            "apart by comma, semicolon or tab: export it again with one of these."
        )
    _refuse_twins(names, file)
    return names, delimiter


def _refuse_twins(names: list[str], file: SourceFile) -> None:
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        raise DataError(
            f"'{file.path}' has more than one column called {twins[0]!r}. Rename all but one."
        )


def _named(cells: pa.RecordBatch) -> pa.RecordBatch:
    # The nameless first column is the index that pandas writes.
    return cells.rename_columns([name or _UNNAMED for name in cells.schema.names])


def _read_parquet(file: SourceFile, columns: Collection[str] | None) -> Iterator[Batch]:
    with pq.ParquetFile(file.path) as table:
        names = table.schema_arrow.names
        _refuse_twins(names, file)
        wanted = None
        if columns is not None:
            wanted = [
                n for n in names if n in columns or any(c.startswith(f"{n}.") for c in columns)
            ]
        row, total = 1, max(table.metadata.num_rows, 1)
        empty = pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
        shown = flatten(empty).schema.names
        coded = pq.ParquetFile(
            file.path,
            metadata=table.metadata,
            read_dictionary=_coded_texts(table),
            # Read ahead by the library, a file's bytes would stay in memory to its end.
            pre_buffer=False,
            buffer_size=_BUFFER,
        )
        with coded:
            for cells in coded.iter_batches(batch_size=PARQUET_ROWS, columns=wanted):
                rows = np.arange(row, row + cells.num_rows)
                row += cells.num_rows
                position = file.size * (row - 1) // total
                flat = flatten(cells)
                yield Batch(flat, rows, (), shown, typed=True, position=position)


def _coded_texts(table: pq.ParquetFile) -> list[str]:
    """Text that lies in the file as codes, and each value once, is read as it lies."""
    texts = {field.name for field in table.schema_arrow if _is_text(field.type)}
    if not table.num_row_groups:
        return sorted(texts)
    group = table.metadata.row_group(0)
    chunks = [group.column(number) for number in range(group.num_columns)]
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.path_in_schema in texts
        and chunk.total_uncompressed_size < _CODED_BYTES * max(group.num_rows, 1)
    ]


def _is_text(of: pa.DataType) -> bool:
    return pa.types.is_string(of) or pa.types.is_large_string(of)
