"""Tables of many files become one: the same columns in all of them, each order once.

Columns. Files of one import differ: a property appears late, is a number here and text there, or
looks like a number until one cell does not. While rows pass through, `Alignment` keeps the columns
seen so far; in the end it says what each property is, and brings every earlier table into that
form. A column only ever turns from numbers to text, so a table written early can always be
converted.

Rows with an order id. Vendors write an order on two hits, or send it twice. Rows of one event that
share an order id (whatever the mapping's ``[duplicates]`` names) are one event; of these the row
that has a value is kept, among those the earliest, then the first that arrived. `Duplicates`
compares ids over the whole import: they are 128-bit hashes, split into files like the rows
themselves, so that a billion orders need no more memory than a thousand. The shard itself does not
hold them, because columns that name an order need not be properties: they lie beside it, with the
number of the row, for the next append to compare with.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, TIME, USER, VALUE
from analysis.eventlog.build import build_shard
from analysis.eventlog.folder import Part
from analysis.eventlog.sessions import SessionRule
from analysis.eventlog.shard import (
    CODED,
    TEXT,
    NumberColumn,
    numbers_as_text,
    plain,
)
from analysis.eventlog.spill import Spill
from analysis.sources.cells import NO_NUMBERS, NumberFormat, number_format

_NUMBER: Final = pa.float64()
FIXED: Final = {USER: TEXT, TIME: pa.int64(), EVENT: TEXT}


class Alignment:
    """The columns seen so far and how files write them; `before` is an earlier `state`.

    `decimal` is the decimal sign of the files, once it is known.
    """

    def __init__(self, before: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        before = before or {}
        self._written: dict[str, pa.DataType] = {}
        self._formats = {
            name: NumberFormat(*of["look"]) for name, of in before.items() if of["look"]
        }
        self._numbers = {name for name, of in before.items() if of["number"]}
        self._seen: dict[str, None] = dict.fromkeys(before)
        self.decimal: str | None = None

    def align(self, table: pa.Table, untyped: Collection[str]) -> pa.Table:
        """The table with all columns seen so far; `untyped` text may turn out to be numbers."""
        for name, column in _by_name(table).items():
            if name not in FIXED:
                self._learn(name, column, may_be_number=name in untyped)
        cells = _by_name(table)
        return pa.table(
            {name: cells[name] for name in FIXED}
            | {
                name: _converted(cells.get(name), len(table), kind)
                for name, kind in self._written.items()
            }
        )

    def _learn(self, name: str, column: pa.ChunkedArray, *, may_be_number: bool) -> None:
        self._seen[name] = None
        if pa.types.is_null(column.type):
            return
        known = self._written.setdefault(name, TEXT if column.type == CODED else column.type)
        if column.null_count == len(column):
            return
        if column.type == _NUMBER:
            self._numbers.add(name)
            return
        if known == _NUMBER:
            self._written[name] = TEXT
        before = self._formats.get(name, NumberFormat())
        self._formats[name] = number_format(column, before) if may_be_number else NO_NUMBERS

    def empty(self) -> pa.Table:
        """A table of all columns and no row."""
        return pa.schema([*FIXED.items(), *self.kinds().items()]).empty_table()

    def kinds(self) -> dict[str, pa.DataType]:
        """What each property turned out to be, in the order of appearance: text or float64."""
        return {name: _NUMBER if self._is_number(name) else TEXT for name in self._seen}

    def state(self) -> dict[str, dict[str, Any]]:
        """What another import must know to go on from here, as plain data."""
        return {
            name: {
                "number": name in self._numbers,
                "look": list(self._formats[name]) if name in self._formats else None,
            }
            for name in self._seen
        }

    def _is_number(self, name: str) -> bool:
        written = self._formats.get(name)
        if written is None:
            return name in self._numbers
        return written.comma_numbers if self.decimal == "," else written.numbers


def settled(table: pa.Table, kinds: dict[str, pa.DataType]) -> pa.Table:
    """A table that was spilled on the way, in its final columns; text is dictionary-encoded."""
    given = _by_name(table)
    cells = {name: given[name] for name in FIXED}
    cells |= {name: _converted(given.get(name), len(table), kind) for name, kind in kinds.items()}
    return pa.table(
        {
            name: column.dictionary_encode() if column.type == TEXT else column
            for name, column in cells.items()
        }
    )


def _by_name(table: pa.Table) -> dict[str, pa.ChunkedArray]:
    """The columns by name. A table makes its list of names anew whenever it is asked."""
    return dict(zip(table.column_names, table.columns, strict=True))


def _converted(column: pa.ChunkedArray | None, rows: int, kind: pa.DataType) -> pa.ChunkedArray:
    if column is None:
        return pa.chunked_array([pa.nulls(rows, kind)])
    if column.type == _NUMBER and kind == TEXT:
        return pa.chunked_array([numbers_as_text(column)])
    if column.type == CODED and kind == TEXT:
        return column
    cells = plain(column)
    if kind == _NUMBER and pa.types.is_large_string(cells.type):
        cells = pc.replace_substring(cells, ",", ".")
    return cells.cast(kind)


_FILES: Final = 64
_KEPT: Final = ["row", "low", "high", "line"]
_KINDS: Final = {"low": np.uint64, "high": np.uint64, "line": np.bool_}


class Duplicates:
    """Collects the rows that have an order id, then names those to drop.

    `differing` is how many of these have another value than the row that stays: then they may be
    no repeats of an order, but its lines.
    """

    def __init__(self, folder: Path) -> None:
        self.differing = 0
        self._spill = Spill(folder, _FILES)

    def add(
        self,
        ids: np.ndarray,
        *,
        time: np.ndarray,
        valued: np.ndarray,
        part: np.ndarray,
        place: np.ndarray,
        line: np.ndarray | None = None,
        values: np.ndarray | None = None,
    ) -> None:
        """Rows with the hashes of their order ids, and the part and place where each lies.

        The hashes are uint64 of shape (rows, 2). A `line` of an order repeats no other row. The
        `values` are NaN where they are not known.
        """
        if not len(ids):
            return
        cells = {
            "low": ids[:, 0],
            "high": ids[:, 1],
            "bare": ~valued,
            "time": time,
            "part": part,
            "place": place,
            "line": np.zeros(len(ids), np.bool_) if line is None else line,
            "value": np.full(len(ids), np.nan) if values is None else values,
        }
        self._spill.add(pa.table(cells), (ids[:, 0] % np.uint64(_FILES)).astype(np.int64))

    def close(self) -> None:
        """Close the files."""
        self._spill.close()

    def settled(self, parts: int) -> tuple[list[np.ndarray], list[pa.Table]]:
        """Which rows of each part repeat another one, and which stay.

        The first are places in ascending order; the second a table of ``row`` (the place), ``low``,
        ``high`` and ``line``.
        """
        losers = [np.empty((0, 2), np.int64)]
        stay = [pa.table({n: np.empty(0, _KINDS.get(n, np.int64)) for n in ("part", *_KEPT)})]
        for number in range(_FILES):
            tables = list(self._spill.read(number))
            if tables:
                rows = pa.concat_tables(tables)
                order, again = _best_first(
                    {n: rows.column(n).to_numpy() for n in rows.column_names}
                )
                rows = rows.take(pa.array(order))
                values = rows.column("value").to_numpy()
                best = np.maximum.accumulate(np.where(again, 0, np.arange(len(again))))
                known = again & ~np.isnan(values) & ~np.isnan(values[best])
                self.differing += int((known & (values != values[best])).sum())
                lost = rows.filter(pa.array(again))
                losers.append(np.column_stack([lost.column(n) for n in ("part", "place")]))
                kept = rows.filter(pa.array(~again)).rename_columns({"place": "row"})
                stay.append(kept.select(["part", *_KEPT]))
        part, place = np.concatenate(losers).T
        whole = pa.concat_tables(stay).sort_by([("part", "ascending"), ("row", "ascending")])
        bounds = np.searchsorted(whole.column("part").to_numpy(), np.arange(parts + 1))
        return (
            [np.sort(place[part == number]) for number in range(parts)],
            [
                whole.slice(start, stop - start).select(_KEPT)
                for start, stop in itertools.pairwise(bounds)
            ],
        )


def _best_first(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """An order that brings equal ids together, best first, and which rows in it are not best."""
    # The sort is stable and rows lie here as they arrived, so arrival decides last.
    order = np.lexsort([rows[name] for name in ("time", "bare", "high", "low")])
    low, high = rows["low"][order], rows["high"][order]
    again = np.concatenate([[False], (low[1:] == low[:-1]) & (high[1:] == high[:-1])])
    return order, again & ~rows["line"][order]


# No file can have columns of these names: they would be read as a nameless one.
LOW: Final = "\0low"
HIGH: Final = "\0high"
LINE: Final = "\0line"
_PLACE: Final = "\0place"
OWN: Final = (LOW, HIGH, LINE)


def with_order_ids(table: pa.Table, ids: pa.Table) -> pa.Table:
    """The table with the order ids of its rows in three more columns.

    `ids` has ``row``, ``low``, ``high`` and ``line``.
    """
    row = ids.column("row").to_numpy()
    missing = np.ones(len(table), np.bool_)
    missing[row] = False
    for name, half in ((LOW, "low"), (HIGH, "high")):
        cells = np.zeros(len(table), np.uint64)
        cells[row] = ids.column(half).to_numpy()
        table = table.append_column(name, pa.array(cells, mask=missing))
    line = np.zeros(len(table), np.bool_)
    line[row] = ids.column("line").to_numpy()
    return table.append_column(LINE, pa.array(line))


def has_order_id(table: pa.Table) -> np.ndarray:
    """Which rows have an order id? A boolean per row."""
    if LOW not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return table.column(LOW).is_valid().to_numpy()


def is_order_line(table: pa.Table) -> np.ndarray:
    """Which rows are lines of an order, or an order made of them? A boolean per row."""
    if LINE not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return table.column(LINE).to_numpy()


def part_of_table(
    table: pa.Table, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Part:
    """The shard of a table, and where in it the rows with an order id have come to lie."""
    named, rows = has_order_id(table), table
    if LOW in table.column_names:
        rows = table.drop_columns(list(OWN))
    if not named.any():
        return Part(build_shard(rows, event_names=event_names, sessions=sessions), None)
    place = np.where(named, np.arange(len(table), dtype=np.float64), np.nan)
    rows = rows.append_column(_PLACE, pa.array(place))
    shard = build_shard(rows, event_names=event_names, sessions=sessions)
    columns = dict(shard.columns)
    moved = columns.pop(_PLACE)
    assert isinstance(moved, NumberColumn)
    row = np.flatnonzero(~np.isnan(moved.numbers))
    came = pa.array(moved.numbers[row].astype(np.int64))
    ids = table.select(list(OWN)).take(came).rename_columns(["low", "high", "line"])
    if not pc.any(ids.column("line")).as_py():
        ids = ids.drop_columns(["line"])
    value = columns.get(VALUE)
    bare = np.isnan(value.numbers[row]) if isinstance(value, NumberColumn) else row >= 0
    for name, cells in (("bare", bare), ("time", shard.time[row]), ("row", row)):
        ids = ids.add_column(0, name, pa.array(cells))
    return Part(dataclasses.replace(shard, columns=columns), ids)
