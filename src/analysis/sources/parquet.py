"""How a Parquet file is read in batches that fit into memory, whatever it holds.

Parquet stores a value that repeats once, and its place as often as need be. So a file of a few
kilobytes can hold gigabytes of text, and a batch of as many rows as usual would be as large. Before
a row group is read, its metadata say how many values it declares, and its dictionary how long one
can be. Text is then read as codes, other columns in smaller batches. What no batch can help, a file
that declares a thousand times its size and more than a gigabyte, is refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pyarrow.types as kind

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.shard import TEXT

BATCH_BYTES: Final = 1 << 28
"""A batch holds about so much at most."""

LARGEST: Final = 1 << 30
"""A file may declare so many bytes, however small it is."""

_TIMES: Final = 1_000
"""Or so many times its size."""

_CODED_BYTES: Final = 6
"""Bytes per cell, uncompressed, beyond which text is hardly codes: a code has up to four."""

_CODE: Final = 4
_BUFFER: Final = 1 << 20
_WIDTHS: Final = {"BOOLEAN": 1, "INT32": 4, "FLOAT": 4, "INT64": 8, "DOUBLE": 8, "INT96": 12}
_TEXT: Final = "BYTE_ARRAY"


class Run(NamedTuple):
    """Row groups that are read alike: `coded` columns as codes, `rows` at a time."""

    groups: list[int]
    coded: frozenset[str]
    rows: int


@contextlib.contextmanager
def open_parquet(path: Path, **options: Any) -> Iterator[pq.ParquetFile]:
    """A Parquet file.

    Read ahead by pyarrow, a file's bytes would stay in memory to its end.
    """
    with (
        pa.OSFile(bytes(path), "rb") as handle,
        pq.ParquetFile(handle, pre_buffer=False, buffer_size=_BUFFER, **options) as table,
    ):
        yield table


def runs(path: Path, table: pq.ParquetFile, columns: Sequence[str] | None, most: int) -> list[Run]:
    """How to read these columns of a file, at most `most` rows at a time.

    Raises
    ------
    DataError
        If the file declares far more than can be in it.
    """
    found: list[Run] = []
    declared, size = 0.0, path.stat().st_size
    for number in range(table.num_row_groups):
        group_rows = max(table.metadata.row_group(number).num_rows, 1)
        chunks = _chunks(path, table, number, columns)
        allowed = LARGEST / max(len(chunks), 1) / min(group_rows, most)
        coded = {c.name for c in chunks if c.codes or (c.text and c.most > allowed)}
        declared += sum(_CODE if c.name in coded else c.mean for c in chunks) * group_rows
        if declared > max(LARGEST, _TIMES * size):
            raise DataError(
                f"'{path}' has {size:,} bytes and declares {int(declared) >> 20:,} MB or more in "
                f"{table.metadata.num_rows:,} rows: that is no export. Leave it out."
            )
        width = sum(_CODE if c.name in coded else c.mean if c.text else c.most for c in chunks)
        rows = int(min(most, max(BATCH_BYTES / max(width, 1), 1)))
        if found and found[-1][1:] == (coded, rows):
            found[-1].groups.append(number)
        else:
            found.append(Run([number], frozenset(coded), rows))
    return found


class _Chunk(NamedTuple):
    """A column in a row group: bytes per row at most and on average, once it is read.

    `text` says whether it can be read as codes, `codes` whether it is stored as nothing else.
    """

    name: str
    text: bool
    codes: bool
    most: float
    mean: float


def _chunks(
    path: Path, table: pq.ParquetFile, number: int, columns: Sequence[str] | None
) -> list[_Chunk]:
    group = table.metadata.row_group(number)
    rows = max(group.num_rows, 1)
    texts = {field.name: field.type for field in table.schema_arrow if _of_text(field.type)}
    read = {place: group.column(place) for place in range(group.num_columns)}
    if columns is not None:
        tops = {*columns}
        read = {n: c for n, c in read.items() if c.path_in_schema.split(".")[0] in tops}
    codes = {place for place, chunk in read.items() if _is_codes(chunk, rows, texts)}
    unsure = [c.path_in_schema for n, c in read.items() if n not in codes and _may_grow(c)]
    lengths = _lengths(path, table, number, unsure) if unsure else {}
    found = []
    for place, chunk in read.items():
        name, stored = chunk.path_in_schema, chunk.total_uncompressed_size / rows
        width = _WIDTHS.get(chunk.physical_type, max(table.schema.column(place).length, 0))
        most, mean = (
            max(size * chunk.num_values / rows, stored)
            for size in lengths.get(name, (width, width))
        )
        found.append(_Chunk(name, name in texts, place in codes, most, mean))
    return found


def _is_codes(chunk: Any, rows: int, texts: Mapping[str, pa.DataType]) -> bool:
    of = texts.get(chunk.path_in_schema)
    few = chunk.total_uncompressed_size < _CODED_BYTES * rows
    return of is not None and (few or kind.is_dictionary(of))


def _may_grow(chunk: Any) -> bool:
    """May what is stored once per value be far larger when it is read?"""
    coded = any("DICTIONARY" in encoding for encoding in chunk.encodings)
    large = chunk.num_values * chunk.total_uncompressed_size > BATCH_BYTES
    return large and coded and chunk.physical_type == _TEXT


def _lengths(
    path: Path, table: pq.ParquetFile, group: int, names: list[str]
) -> dict[str, tuple[float, float]]:
    """Bytes of the longest and of the mean value in the dictionaries of a row group's columns."""
    with open_parquet(path, metadata=table.metadata, read_dictionary=names) as coded:
        batch = next(coded.iter_batches(batch_size=1, row_groups=[group], columns=names))
    found = {}
    for name in names:
        top, *inner = name.split(".")
        values = _dictionary(batch.column(top), inner)
        if len(values):
            sizes = pc.binary_length(values)
            found[name] = float(pc.max(sizes).as_py() or 0), float(pc.mean(sizes).as_py() or 0)
    return found


def _dictionary(column: pa.Array, path: Sequence[str]) -> pa.Array:
    """The dictionary of the leaf at this path; empty if it has none."""
    if kind.is_dictionary(column.type):
        return column.dictionary
    if kind.is_struct(column.type) and path:
        return _dictionary(pc.struct_field(column, path[0]), path[1:])
    if kind.is_map(column.type):
        return _dictionary(column.keys if "key" in path else column.items, path[2:])
    if kind.is_nested(column.type):
        return _dictionary(column.flatten(), path[2:])
    return pa.array([], TEXT)


def _of_text(of: pa.DataType) -> bool:
    return is_text(of.value_type if kind.is_dictionary(of) else of)


def is_text(of: pa.DataType) -> bool:
    """Is this a type of text?"""
    return kind.is_string(of) or kind.is_large_string(of)


def sound(batch: pa.RecordBatch, path: Path) -> pa.RecordBatch:
    """The batch with text that is text, in types that all functions know.

    Raises
    ------
    DataError
        If text, or bytes that may be text, are no UTF-8.
    """
    columns = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        try:
            column = _known(column)
            column.validate(full=True)
            if kind.is_dictionary(column.type):
                column.dictionary.validate(full=True)
        except pa.ArrowInvalid as error:
            raise DataError(
                f"column {name!r} of '{path}' holds {column.type} that is not UTF-8 text. Export "
                "it as text, or leave it out with [properties]."
            ) from error
        columns.append(column)
    return pa.RecordBatch.from_arrays(columns, names=batch.schema.names)


def _known(column: pa.Array) -> pa.Array:
    of = column.type
    if kind.is_timestamp(of) and of.tz:
        # The instants are the same; a zone that nobody knows could not be shown.
        return column.view(pa.timestamp(of.unit, "UTC"))
    if kind.is_fixed_size_binary(of) or kind.is_binary_view(of):
        column = column.cast(pa.large_binary())
    views = kind.is_string_view(of), kind.is_binary(of), kind.is_large_binary(column.type)
    return column.cast(TEXT) if any(views) else column


def unnested(batch: pa.RecordBatch, nested: str, path: Path) -> tuple[pa.RecordBatch, pa.Array]:
    """A record for each element of the list `nested`, and the number of the row that had it.

    Raises
    ------
    UsageError
        If the column holds no lists of objects.
    """
    place = batch.schema.get_field_index(nested)
    of = batch.schema.field(place).type if place >= 0 else pa.null()
    lists = kind.is_list(of) or kind.is_large_list(of)
    if not lists or not kind.is_struct(of.value_type):
        raise UsageError(
            f"[nested] events = {nested!r}: '{path}' has no column of that name that holds lists "
            f"of objects. Its columns: {', '.join(map(repr, batch.schema.names[:20]))}."
        )
    column = batch.column(place)
    rows = pc.list_parent_indices(column)
    events = column.flatten()
    others = batch.drop_columns([nested]).take(rows)
    names = [f"{nested}.{field.name}" for field in events.type]
    return (
        pa.RecordBatch.from_arrays(
            [*others.columns, *events.flatten()], names=[*others.schema.names, *names]
        ),
        rows,
    )
