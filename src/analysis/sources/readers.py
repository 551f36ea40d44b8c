"""JSON lines, one object a line, in blocks; a JSON array of objects, element by element.

A block of lines goes to the columnar library. Where that finds a broken line, a column of mixed
types, a list or an integer beyond 64 bits, the block is read once more line by line: that way is
slow and exact, keeps every digit, and gives each bad line its number and a reason. Both ways
yield the same cells; a test holds them to it.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections.abc import Iterable, Iterator
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.json as pajson
import pyarrow.types as kind

from analysis.core.schema import DataError
from analysis.sources.batch import BadRecord, Batch
from analysis.sources.cells import EXACT, columns_of, compact, flatten
from analysis.sources.files import Bytes, SourceFile

BLOCK: Final = 8 << 20


LONGEST_LINE: Final = 64 << 20


ELEMENTS: Final = 20_000
"""Elements of an array that make a batch."""


_BOM: Final = b"\xef\xbb\xbf"


_BETWEEN: Final = re.compile(r"[\s,]*")


_DECODER: Final = json.JSONDecoder()


def read_json(file: SourceFile) -> Iterator[Batch]:
    """Batches of a file of JSON lines, or of one JSON array of objects.

    Raises
    ------
    DataError
        If a line is longer than 64 MB, or an array is broken.
    """
    with Bytes(file) as stream:
        first = stream.read(BLOCK).removeprefix(_BOM)
        if first.lstrip().startswith(b"["):
            yield from _read_array(file, stream, first)
            return
        row, hints = 1, pa.schema([])
        for block in _blocks(file, stream, first):
            fast, hints = _read_block(block, hints)
            cells, rows, bad = fast or _read_lines(block)
            names, position = cells.schema.names, stream.position()
            yield Batch(cells, rows + row, _moved(bad, row), names, typed=True, position=position)
            row += block.count(b"\n")


def _moved(bad: Iterable[BadRecord], by: int) -> list[BadRecord]:
    return [record._replace(row=record.row + by) for record in bad]


def _blocks(file: SourceFile, stream: Bytes, first: bytes) -> Iterator[bytes]:
    """Whole lines, each with its line end."""
    rest, more = first, True
    while more:
        more = bool(block := stream.read(BLOCK))
        rest += block
        end = rest.rfind(b"\n") + 1 if more else len(rest)
        if end:
            lines = rest[:end]
            yield lines if lines.endswith(b"\n") else lines + b"\n"
            rest = rest[end:]
        elif len(rest) > LONGEST_LINE:
            raise DataError(
                f"'{file.path}' has a line of more than {LONGEST_LINE >> 20} MB. Is it a single "
                "document? Convert it to one object a line: jq -c '.[]' OLD > NEW."
            )


Read = tuple[pa.RecordBatch, np.ndarray, list[BadRecord]]


def _read_block(block: bytes, hints: pa.Schema) -> tuple[Read | None, pa.Schema]:
    """The block by the columnar library, or None where only the slow way is exact.

    `hints` are the fields that are text although they look like times, which the library would
    rewrite; they grow from block to block.
    """
    try:
        block.decode("utf-8")
        table = _parse(block, hints)
        if texts := _time_like(table.schema):
            hints = _merged(hints, texts)
            table = _parse(block, hints)
    except (pa.ArrowException, UnicodeDecodeError):
        return None, hints
    if table.num_rows != block.count(b"\n") or not all(map(_is_flat, table.schema.types)):
        return None, hints
    batch = flatten(table.combine_chunks().to_batches()[0])
    named = [field.name for field in batch.schema if not kind.is_null(field.type)]
    if not named or len(set(named)) < len(named) or not all(map(_is_exact, batch.columns)):
        return None, hints
    return (batch.select(named), np.arange(batch.num_rows), []), hints


def _parse(block: bytes, hints: pa.Schema) -> pa.Table:
    return pajson.read_json(
        pa.BufferReader(block),
        pajson.ReadOptions(use_threads=False, block_size=len(block) + 1),
        pajson.ParseOptions(explicit_schema=hints),
    )


def _time_like(schema: pa.Schema | pa.StructType) -> list[pa.Field]:
    """Fields that the library took for times, as text; a structure with just these of its own."""
    found = []
    for field in schema:
        if kind.is_timestamp(field.type):
            found.append(pa.field(field.name, pa.string()))
        elif kind.is_struct(field.type) and (inside := _time_like(field.type)):
            found.append(pa.field(field.name, pa.struct(inside)))
    return found


def _merged(hints: pa.Schema, texts: list[pa.Field]) -> pa.Schema:
    known = {field.name: field for field in hints}
    for field in texts:
        before = known.get(field.name)
        if before is not None and kind.is_struct(field.type) and kind.is_struct(before.type):
            both = {inner.name: inner for inner in (*before.type, *field.type)}
            field = pa.field(field.name, pa.struct(list(both.values())))
        known[field.name] = field
    return pa.schema(list(known.values()))


def _is_flat(of: pa.DataType) -> bool:
    if kind.is_struct(of):
        return of.num_fields > 0 and not any(kind.is_nested(field.type) for field in of)
    return not kind.is_nested(of)


def _is_exact(column: pa.Array) -> bool:
    # An integer beyond 64 bits has become a float here, without a word.
    if not kind.is_floating(column.type):
        return True
    return (pc.max(pc.abs(pc.drop_null(column))).as_py() or 0) < EXACT


def _read_lines(block: bytes) -> Read:
    records, rows, bad = [], [], []
    for number, line in enumerate(block.split(b"\n")[:-1]):
        if not line.strip():
            continue
        record, reason = _record(line)
        if record is None:
            bad.append(BadRecord(number, reason, compact(line.decode("utf-8", "replace"))))
        else:
            records.append(record)
            rows.append(number)
    return columns_of(records), np.array(rows, np.int64), bad


def _record(line: bytes) -> tuple[dict[str, Any] | None, str]:
    try:
        value = json.loads(line.decode("utf-8"))
        if b"\\u" in line:
            compact(value).encode()  # half a surrogate pair is valid JSON and no text
    except UnicodeError:
        return None, "is not UTF-8 text"
    except (ValueError, RecursionError):
        return None, "is no JSON"
    return (value, "") if isinstance(value, dict) else (None, "is no JSON object")


def _read_array(file: SourceFile, stream: Bytes, first: bytes) -> Iterator[Batch]:
    row = 1
    elements = _elements(file, stream, first)
    while values := list(itertools.islice(elements, ELEMENTS)):
        records, rows, bad = [], [], []
        for number, value in enumerate(values, row):
            if isinstance(value, dict):
                records.append(value)
                rows.append(number)
            else:
                bad.append(BadRecord(number, "is no JSON object", compact(value)))
        row += len(values)
        cells, numbers = columns_of(records), np.array(rows, np.int64)
        names, position = cells.schema.names, stream.position()
        yield Batch(cells, numbers, bad, names, typed=True, position=position)


def _elements(file: SourceFile, stream: Bytes, first: bytes) -> Iterator[Any]:
    decode = codecs.getincrementaldecoder("utf-8")().decode
    text, place, number, more = decode(first).lstrip()[1:], 0, 1, True
    while not text.startswith("]", place := _BETWEEN.match(text, place).end()):  # type: ignore[union-attr]
        try:
            value, place = _DECODER.raw_decode(text, place)
        except json.JSONDecodeError as error:
            if not more or len(text) - place > LONGEST_LINE:
                raise _broken(file, f"element {number} is broken or cut short") from error
            more = bool(block := stream.read(BLOCK))
            text, place = text[place:] + decode(block, not more), 0
        else:
            yield value
            number += 1
    rest = text[place + 1 :] + decode(stream.read(BLOCK))
    if rest.strip() or stream.read(1):
        raise _broken(file, f"something follows its end, after element {number - 1}")


def _broken(file: SourceFile, what: str) -> DataError:
    return DataError(
        f"'{file.path}' is a JSON array, and {what}. Correct it, or export one object a line."
    )
