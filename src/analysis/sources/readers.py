"""Each file as batches of bounded size: CSV, Parquet, JSON lines.

A CSV is text, and nothing is inferred from it: ids keep their leading zeros. Parquet and JSON
lines keep the types they have. pyarrow does the reading; this module sees to it that nothing
gets lost on the way, above all not in a cell whose quote is never closed.

A block of JSON lines goes to pyarrow. Where that finds a broken line, a column of mixed types, a
list or an integer beyond 64 bits, the block is read once more line by line: that way is slow and
exact, keeps every digit, and gives each bad line its number and a reason. Both ways
yield the same cells; a test holds them to it.

Records are numbered as a spreadsheet shows them: a CSV's header is record 1; JSON lines count
lines; Parquet rows and the elements of a JSON array count from 1. A record that cannot be read at
all comes beside the others with a reason, never instead of them.
"""

from __future__ import annotations

import codecs
import itertools
import json
import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pacsv
import pyarrow.json as pajson
import pyarrow.types as kind

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.maintenance import BadRecord
from analysis.eventlog.shard import EXACT, TEXT, readable
from analysis.sources import kernels
from analysis.sources.cells import columns_of, compact, flatten
from analysis.sources.files import CSV, JSON, Bytes, SourceFile, refuse_changed
from analysis.sources.header import kind_of, refuse_no_header
from analysis.sources.parquet import is_text, open_parquet, runs, sound, unnested
from analysis.sources.quotes import WellQuoted


class Batch(NamedTuple):
    """Some records of a file, in its own columns and types.

    `cells` has a row per readable record, `rows` their numbers (int64); `columns` are all columns
    of the file, of which `cells` may hold a part; `typed` says whether the file has types of its
    own (a CSV has none); `position` is how many of its bytes have been read.
    """

    cells: pa.RecordBatch
    rows: np.ndarray
    bad: Sequence[BadRecord]
    columns: Sequence[str]
    typed: bool
    position: int


_LEFT_OUT: Final = '"(left out: it may hold what must not be kept)"'


def without_content(bad: Sequence[BadRecord]) -> list[BadRecord]:
    """The same records without their text, because nobody can tell whose it is.

    Examples
    --------
    >>> without_content([BadRecord(2, "has 2 cells, the header has 3", '"ann,x"')])[0].content
    '"(left out: it may hold what must not be kept)"'
    """
    return [record._replace(content=_LEFT_OUT) for record in bad]


def read(
    file: SourceFile,
    *,
    columns: Collection[str] | None = None,
    missing: Collection[str] = (),
    nested: str | None = None,
    names: Sequence[str] | None = None,
    needed: Collection[str] = (),
) -> Iterator[Batch]:
    """What does a file hold, batch by batch?

    Parameters
    ----------
    columns : the columns that are needed; default: all.
    missing : cells of a CSV that mean "missing", beside the empty one.
    nested : a list of objects in each record of JSON; each of these becomes a record, with what
        stands beside the list. Its columns are called ``events.time``, ``events.type``, ….
    names : the columns of a CSV that has no header; None: its first record is one.
    needed : columns that every file must have; by these a header is told from a person's row.

    Raises
    ------
    UsageError
        If a CSV has no header and no names are given, or names do not fit the file.
    DataError
        If the file is damaged, cut short or not UTF-8, changes while it is read, names a column
        twice, ends in quotes, has a record of more than 16 MB (a line of JSON: 64 MB), or declares
        far more than can be in it.
    """
    if names is not None and file.kind != CSV:
        raise UsageError(
            f"'{file.path}' is {file.kind} and names its columns itself; files without a header "
            "are CSV. Import it in a call of its own, without --no-header."
        )
    if nested is not None and file.kind == CSV:
        raise UsageError(
            f"'{file.path}' is CSV, and [nested] is for lists in JSON and Parquet. Import it in a "
            "call of its own, with a mapping without [nested]."
        )
    with readable(file.path):
        if file.kind == CSV:
            yield from _read_csv(file, columns, missing, names, needed)
        elif file.kind == JSON:
            yield from _read_json(file, nested)
        else:
            yield from _read_parquet(file, columns, nested)
        refuse_changed(file)


def lists_of_objects(cells: pa.RecordBatch) -> list[str]:
    """The columns whose cells are lists of objects, which are JSON text by now.

    Examples
    --------
    >>> lists_of_objects(pa.RecordBatch.from_pylist([{"id": 7, "events": '[{"type":"visit"}]'}]))
    ['events']
    """
    texts = [name for name in cells.schema.names if is_text(cells.schema.field(name).type)]
    return [
        name
        for name in texts
        if pc.any(pc.starts_with(cells.column(name).slice(0, 100), "[{")).as_py()
    ]


CSV_BLOCK: Final = 4 << 20
"""Bytes of CSV read at once; a record may have four times as many."""

_PEEK: Final = 1 << 16
_DELIMITERS: Final = ",;\t"
_UNNAMED: Final = "unnamed"


def _read_csv(
    file: SourceFile,
    columns: Collection[str] | None,
    missing: Collection[str],
    given: Sequence[str] | None,
    needed: Collection[str],
) -> Iterator[Batch]:
    with Bytes(file) as stream:
        text = stream.read(CSV_BLOCK).removeprefix(_BOM).lstrip(b"\r\n")
        delimiter = _delimiter(text, given)
        records = WellQuoted(stream, text, delimiter=delimiter, block=CSV_BLOCK)
        names = _names(records, delimiter, file, given, needed)
        row = 1
        if given is None:
            records.skip_first()
            row = 2
        refused: list[pacsv.InvalidRow] = []
        options = _csv_options(names, delimiter, columns, missing, refused)
        for block in records.blocks(len(names)):
            _refuse_other_encodings(block)
            table = pacsv.read_csv(pa.BufferReader(block), *options)
            cells = table.combine_chunks().to_batches()
            skipped = np.array([record.number for record in refused], np.int64)
            rows = np.delete(np.arange(len(table) + len(refused)), skipped - 1) + row
            bad = _bad_records(refused, row, "the header has" if given is None else "there are")
            row += len(table) + len(refused)
            refused.clear()
            batch = cells[0] if cells else pa.RecordBatch.from_pylist([], schema=table.schema)
            if len(rows) or bad:
                yield Batch(batch, rows, bad, names, typed=False, position=stream.position())
        if records.broken:
            raise _broken_record(records, row, file)


def _refuse_other_encodings(block: pa.Buffer) -> None:
    bounds = pa.py_buffer(np.array([0, len(block)], np.int64))
    pa.Array.from_buffers(TEXT, 1, [None, bounds, block]).validate(full=True)


def _broken_record(records: WellQuoted, row: int, file: SourceFile) -> DataError:
    length = f"{records.longest / (1 << 20):.0f} MB"
    if records.broken == "too long":
        return DataError(
            f"'{file.path}' has a record of more than {length}: record {row}. Is its text cut "
            "into lines? Shorten that record, or export the file again."
        )
    if records.ended:
        what = f"ends within quotes: the quote opened in record {row} is never closed"
    else:
        what = f"opens a quote in record {row} that is not closed within {length}"
    return DataError(f"'{file.path}' {what}. Correct that record, or export the file again.")


def _csv_options(
    names: Sequence[str],
    delimiter: str,
    columns: Collection[str] | None,
    missing: Collection[str],
    refused: list[pacsv.InvalidRow],
) -> tuple[pacsv.ReadOptions, pacsv.ParseOptions, pacsv.ConvertOptions]:
    """How a block is read: as text, and the records of another length go to `refused`."""

    def refuse(record: pacsv.InvalidRow) -> str:
        refused.append(record)
        return "skip"

    return (
        # One thread: only then the reader knows the numbers of the records it refuses. All of a
        # block at once: it holds whole records.
        pacsv.ReadOptions(use_threads=False, block_size=2**31 - 1, column_names=names),
        pacsv.ParseOptions(
            delimiter=delimiter, newlines_in_values=True, invalid_row_handler=refuse
        ),
        pacsv.ConvertOptions(
            check_utf8=False,
            default_column_type=TEXT,
            strings_can_be_null=True,
            null_values=["", *missing],
            include_columns=[name for name in names if columns is None or name in columns],
        ),
    )


def _bad_records(refused: list[pacsv.InvalidRow], row: int, there_are: str) -> list[BadRecord]:
    return [
        BadRecord(
            record.number - 1 + row,
            f"has {record.actual_columns} cells, {there_are} {record.expected_columns}",
            compact(record.text),
        )
        for record in refused
    ]


def _delimiter(text: bytes, given: Sequence[str] | None) -> str:
    """The one that the first line has as many of as names are given, or else most of."""
    outside = b"".join(text[:_PEEK].split(b'"')[::2])
    first = (outside.splitlines()[:1] or [b""])[0].decode("utf-8", "replace")
    fits = [sign for sign in _DELIMITERS if given and first.count(sign) + 1 == len(given)]
    return fits[0] if fits else max(_DELIMITERS, key=first.count)


def _names(
    records: WellQuoted,
    delimiter: str,
    file: SourceFile,
    given: Sequence[str] | None,
    needed: Collection[str],
) -> list[str]:
    """The columns of a CSV: as given, or as its first record says."""
    record, cells = records.first()
    if records.broken:
        raise _broken_record(records, 1, file)
    words = record.decode("utf-8")
    if given is not None:
        if cells != len(given):
            raise UsageError(
                f"the first record of '{file.path}' has {cells:,} cells, and {len(given):,} "
                "columns are named. Name each of them in its order: --columns user,event,time."
            )
        return list(given)
    if cells < 2:
        shown = "" if kind_of(words) else f", {words.strip()[:80]!r}"
        raise DataError(
            f"'{file.path}' has a single column{shown}. Columns are told "
            "apart by comma, semicolon or tab: export it again with one of these."
        )
    table = pacsv.read_csv(
        pa.BufferReader(record + b"\n"),
        pacsv.ReadOptions(use_threads=False, autogenerate_column_names=True, block_size=2**31 - 1),
        pacsv.ParseOptions(delimiter=delimiter, newlines_in_values=True),
        pacsv.ConvertOptions(default_column_type=TEXT),
    )
    # The nameless first column is the index that pandas writes.
    names = [column[0].as_py() or _UNNAMED for column in table.columns]
    refuse_no_header(names, needed, file.path)
    _refuse_twins(names, file)
    return names


def _refuse_twins(names: list[str], file: SourceFile) -> None:
    twins = [name for name, count in Counter(names).items() if count > 1]
    if twins:
        raise DataError(
            f"'{file.path}' has more than one column called {twins[0]!r}. Rename all but one."
        )


PARQUET_ROWS: Final = 1 << 18
"""Rows of a batch, where they are not too wide."""


def _read_parquet(
    file: SourceFile, columns: Collection[str] | None, nested: str | None
) -> Iterator[Batch]:
    with open_parquet(file.path) as table:
        names = table.schema_arrow.names
        _refuse_twins(names, file)
        wanted = None
        if columns is not None:
            wanted = [
                n
                for n in names
                if n in columns or n == nested or any(c.startswith(f"{n}.") for c in columns)
            ]
        row, total = 1, max(table.metadata.num_rows, 1)
        empty = pa.RecordBatch.from_pylist([], schema=table.schema_arrow)
        shown = flatten(unnested(empty, nested, file.path)[0] if nested else empty).schema.names
        for run in runs(file.path, table, wanted, PARQUET_ROWS):
            options = {"metadata": table.metadata, "read_dictionary": sorted(run.coded)}
            with open_parquet(file.path, **options) as coded:
                batches = coded.iter_batches(run.rows, row_groups=run.groups, columns=wanted)
                for cells in batches:
                    rows = np.arange(row, row + cells.num_rows)
                    row += cells.num_rows
                    if nested is not None:
                        cells, parents = unnested(cells, nested, file.path)
                        rows = rows[parents.to_numpy()]
                    position = file.size * (row - 1) // total
                    flat = sound(flatten(cells), file.path)
                    yield Batch(flat, rows, (), shown, typed=True, position=position)


JSON_BLOCK: Final = 8 << 20
LONGEST_LINE: Final = 64 << 20
ELEMENTS: Final = 20_000
"""Elements of an array that make a batch."""

DEEPEST: Final = 200
"""Levels of arrays and objects in one another; parsers call themselves for each, and crash."""

_BOM: Final = b"\xef\xbb\xbf"
_BETWEEN: Final = re.compile(r"[\s,]*")
_DIGITS: Final = 4_000
"""Python makes no number of more than 4,300."""


def _integer(digits: str) -> int | str:
    return int(digits) if len(digits) <= _DIGITS else digits


_DECODER: Final = json.JSONDecoder()
_LONG: Final = json.JSONDecoder(parse_int=_integer)
"""Reads integers of any length, as text if need be, and is slower."""


def _read_json(file: SourceFile, nested: str | None) -> Iterator[Batch]:
    """Batches of a file of JSON lines, or of one JSON array of objects."""
    with Bytes(file) as stream:
        first = stream.read(JSON_BLOCK).removeprefix(_BOM)
        if first.lstrip().startswith(b"["):
            yield from _read_array(file, stream, first, nested)
            return
        row, hints = 1, pa.schema([])
        for block in _blocks(file, stream, first):
            fast, hints = _read_block(block, hints) if nested is None else (None, hints)
            cells, rows, bad = fast or _read_lines(block, nested)
            names, position = cells.schema.names, stream.position()
            yield Batch(cells, rows + row, _moved(bad, row), names, typed=True, position=position)
            row += block.count(b"\n")


def _moved(bad: Iterable[BadRecord], by: int) -> list[BadRecord]:
    return [record._replace(row=record.row + by) for record in bad]


def _blocks(file: SourceFile, stream: Bytes, first: bytes) -> Iterator[bytes]:
    """Whole lines, each with its line end."""
    rest, more = first, True
    while more:
        more = bool(block := stream.read(JSON_BLOCK))
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
    """The block as pyarrow reads it, or None where only the slow way is exact.

    `hints` are the fields that are text although they look like times, which pyarrow would
    rewrite; they grow from block to block.
    """
    try:
        block.decode("utf-8")
        if kernels.deepest(np.frombuffer(block, np.uint8)) > DEEPEST:
            return None, hints
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
    """Fields that pyarrow took for times, as text; of a structure just the fields that are."""
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


def _read_lines(block: bytes, nested: str | None = None) -> Read:
    found = _Objects(nested)
    for number, line in enumerate(block.split(b"\n")[:-1]):
        if not line.strip():
            continue
        try:
            text = line.decode("utf-8")
            value = _value(text)
        except (json.JSONDecodeError, RecursionError, UnicodeError) as error:
            reason = "is not UTF-8 text" if isinstance(error, UnicodeError) else "is no JSON"
            words = line.decode("utf-8", "replace")
            found.refuse(number, _TOO_DEEP if _is_deep(words) else reason, words)
        else:
            found.add(number, value, text)
    return found.read()


def _value(text: str) -> Any:
    try:
        return _DECODER.decode(text)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer that is longer than Python makes them
        return _LONG.decode(text)


_TOO_DEEP: Final = f"is nested more than {DEEPEST} levels deep"


def _is_deep(text: str) -> bool:
    if text.count("[") + text.count("{") <= DEEPEST:
        return False
    return kernels.deepest(np.frombuffer(text.encode("utf-8"), np.uint8)) > DEEPEST


class _Objects:
    """The objects of a block or an array, and what is none; `nested` names a list of events."""

    def __init__(self, nested: str | None) -> None:
        self._nested = nested
        self._records: list[dict[str, Any]] = []
        self._rows: list[int] = []
        self._bad: list[BadRecord] = []

    def refuse(self, number: int, reason: str, content: str) -> None:
        """Keep a record that is none."""
        self._bad.append(BadRecord(number, reason, compact(content)))

    def add(self, number: int, value: Any, text: str) -> None:
        """Take a value, and the text that it was read from."""
        if _is_deep(text):
            self.refuse(number, _TOO_DEEP, text)
        elif "\\u" in text and not _is_text(compact(value)):
            # Half a surrogate pair is valid JSON and no text.
            self.refuse(number, "is not UTF-8 text", text)
        elif not isinstance(value, dict):
            self._bad.append(BadRecord(number, "is no JSON object", compact(value)))
        elif self._nested is None:
            self._keep(number, value)
        else:
            self._take_apart(number, value, self._nested)

    def _take_apart(self, number: int, value: dict[str, Any], nested: str) -> None:
        events = value.pop(nested, None)
        if not isinstance(events, list):
            content = compact({**value, nested: events})
            self._bad.append(BadRecord(number, f"has no list {nested!r}", content))
            return
        for event in events:
            if isinstance(event, dict):
                self._keep(number, value | {f"{nested}.{name}": of for name, of in event.items()})
            else:
                content = compact({**value, nested: [event]})
                self._bad.append(BadRecord(number, f"{nested} holds no JSON object", content))

    def _keep(self, number: int, record: dict[str, Any]) -> None:
        self._records.append(record)
        self._rows.append(number)

    def read(self) -> Read:
        """What there is by now, as columns."""
        return columns_of(self._records), np.array(self._rows, np.int64), self._bad


def _is_text(words: str) -> bool:
    try:
        words.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _read_array(
    file: SourceFile, stream: Bytes, first: bytes, nested: str | None
) -> Iterator[Batch]:
    elements = enumerate(_elements(file, stream, first), 1)
    while values := list(itertools.islice(elements, ELEMENTS)):
        found = _Objects(nested)
        for number, (value, text) in values:
            found.add(number, value, text)
        cells, rows, bad = found.read()
        names, position = cells.schema.names, stream.position()
        yield Batch(cells, rows, bad, names, typed=True, position=position)


def _elements(file: SourceFile, stream: Bytes, first: bytes) -> Iterator[tuple[Any, str]]:
    """The elements of an array, each with its text."""
    decode = codecs.getincrementaldecoder("utf-8")().decode
    text, place, number, more = decode(first).lstrip()[1:], 0, 1, True
    while not text.startswith("]", place := _BETWEEN.match(text, place).end()):  # type: ignore[union-attr]
        try:
            value, end = _element(text, place)
        except RecursionError as error:
            raise _broken(file, f"element {number} {_TOO_DEEP}") from error
        except json.JSONDecodeError as error:
            if not more or len(text) - place > LONGEST_LINE:
                raise _broken(file, f"element {number} is broken or cut short") from error
            more = bool(block := stream.read(JSON_BLOCK))
            text, place = text[place:] + decode(block, not more), 0
        else:
            yield value, text[place:end]
            place, number = end, number + 1
    rest = text[place + 1 :] + decode(stream.read(JSON_BLOCK))
    if rest.strip() or stream.read(1):
        raise _broken(file, f"something follows its end, after element {number - 1}")


def _element(text: str, place: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, place)
    except json.JSONDecodeError:
        raise
    except ValueError:  # an integer that is longer than Python makes them
        return _LONG.raw_decode(text, place)


def _broken(file: SourceFile, what: str) -> DataError:
    return DataError(
        f"'{file.path}' is a JSON array, and {what}. Correct it, or export one object a line."
    )
