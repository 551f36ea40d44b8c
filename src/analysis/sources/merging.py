"""Tables of many files become one: the same columns in all of them, and each event once.

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

Overlapping exports. A file may say again what an earlier one has said: `overlapping` finds these
rows by the event id where the mapping names one, and else by all of their cells. Equal rows within
one file are different events (two clicks within a second look the same); across files they are the
same ones. So a row that stands three times in one file and twice in another is there three times,
whichever came first, and a file that is imported again adds nothing.
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

from analysis.core.schema import EVENT, EVENT_ID, TIME, USER, VALUE
from analysis.eventlog import kernels
from analysis.eventlog.build import build_shard
from analysis.eventlog.folder import Part
from analysis.eventlog.sessions import SessionRule
from analysis.eventlog.shard import (
    CODED,
    TEXT,
    NumberColumn,
    encode,
    numbers_as_text,
    plain,
    string_hashes,
)
from analysis.eventlog.spill import Spill
from analysis.sources.cells import NO_NUMBERS, NumberFormat, number_format

_NUMBER: Final = pa.float64()
_FIXED: Final = {USER: TEXT, TIME: pa.int64(), EVENT: TEXT}


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
            if name not in _FIXED:
                self._learn(name, column, may_be_number=name in untyped)
        cells = _by_name(table)
        return pa.table(
            {name: cells[name] for name in _FIXED}
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
        return pa.schema([*_FIXED.items(), *self.kinds().items()]).empty_table()

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
    cells = {name: given[name] for name in _FIXED}
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
_KEPT: Final = ["row", "low", "high"]
_KINDS: Final = {"low": np.uint64, "high": np.uint64}


class Duplicates:
    """Collects the rows that have an order id, then names those to drop."""

    def __init__(self, folder: Path) -> None:
        self._spill = Spill(folder, _FILES)

    def add(
        self,
        ids: np.ndarray,
        *,
        time: np.ndarray,
        valued: np.ndarray,
        part: np.ndarray,
        place: np.ndarray,
    ) -> None:
        """Rows with the hashes of their order ids, and the part and place where each lies.

        The hashes are uint64 of shape (rows, 2).
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
        }
        self._spill.add(pa.table(cells), (ids[:, 0] % np.uint64(_FILES)).astype(np.int64))

    def close(self) -> None:
        """Close the files."""
        self._spill.close()

    def settled(self, parts: int) -> tuple[list[np.ndarray], list[pa.Table]]:
        """Which rows of each part repeat another one, and which stay.

        The first are places in ascending order; the second a table of ``row`` (the place), ``low``
        and ``high``.
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
    return order, again


# No file can have columns of these names: they would be read as a nameless one.
_LOW: Final = "\0low"
_HIGH: Final = "\0high"
_PLACE: Final = "\0place"


def with_order_ids(table: pa.Table, ids: pa.Table) -> pa.Table:
    """The table with the order ids of its rows (``row``, ``low``, ``high``) in two more columns."""
    row = ids.column("row").to_numpy()
    missing = np.ones(len(table), np.bool_)
    missing[row] = False
    for name, half in ((_LOW, "low"), (_HIGH, "high")):
        cells = np.zeros(len(table), np.uint64)
        cells[row] = ids.column(half).to_numpy()
        table = table.append_column(name, pa.array(cells, mask=missing))
    return table


def has_order_id(table: pa.Table) -> np.ndarray:
    """Which rows have an order id? A boolean per row."""
    if _LOW not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return table.column(_LOW).is_valid().to_numpy()


def part_of_table(
    table: pa.Table, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Part:
    """The shard of a table, and where in it the rows with an order id have come to lie."""
    named, rows = has_order_id(table), table
    if _LOW in table.column_names:
        rows = table.drop_columns([_LOW, _HIGH])
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
    ids = table.select([_LOW, _HIGH]).take(came).rename_columns(["low", "high"])
    value = columns.get(VALUE)
    bare = np.isnan(value.numbers[row]) if isinstance(value, NumberColumn) else row >= 0
    for name, cells in (("bare", bare), ("time", shard.time[row]), ("row", row)):
        ids = ids.add_column(0, name, pa.array(cells))
    return Part(dataclasses.replace(shard, columns=columns), ids)


def overlapping(
    table: pa.Table, file: np.ndarray, *, unique: np.ndarray | None = None, by_id: bool = False
) -> np.ndarray:
    """Which rows repeat one of an earlier file? A boolean per row.

    Parameters
    ----------
    table : canonical rows in the order of their arrival.
    file : each row's file as a number (int64); a user's rows of one file lie together.
    unique : rows that are known to be, by their order id.
    by_id : whether rows of one user with the same ``event_id`` are one event.
    """
    gone = np.zeros(len(table), np.bool_)
    judged = np.ones(len(table), np.bool_) if unique is None else ~unique
    if by_id and EVENT_ID in table.column_names:
        named = judged & table.column(EVENT_ID).is_valid().to_numpy()
        place = np.flatnonzero(named)
        part = table.filter(pa.array(named)).select([USER, EVENT_ID])
        gone[place[_again(np.column_stack([encode(column)[0] for column in part.columns]))]] = True
        judged &= ~named
    if not len(file) or file.min() == file.max():
        return gone
    judged &= _crowded(table, judged)
    place = np.flatnonzero(judged)
    rows = _row_hashes(table.filter(pa.array(judged)))
    turn = _turns(np.column_stack([rows, file[place].astype(np.uint64)]))
    gone[place[_again(np.column_stack([rows, turn]))]] = True
    return gone


def _crowded(table: pa.Table, judged: np.ndarray) -> np.ndarray:
    """Rows whose user has another row at the same instant: only these can repeat one."""
    place = np.flatnonzero(judged)
    users = table.column(USER).filter(pa.array(judged))
    codes, known = encode(users)
    time = table.column(TIME).to_numpy()[place]
    order, _ = kernels.user_time_order(codes, time, len(known))
    same = (codes[order][1:] == codes[order][:-1]) & (time[order][1:] == time[order][:-1])
    shared = np.zeros(len(place), np.bool_)
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    found = np.zeros(len(table), np.bool_)
    found[place[shared]] = True
    return found


_SEED: Final = 0x9D39247E33776D41


def _row_hashes(table: pa.Table) -> np.ndarray:
    rows = np.zeros((len(table), 2), np.uint64)
    for number, name in enumerate(table.column_names):
        column, seed = table.column(name), np.uint64(_SEED * (number + 1) % 2**64)
        if name == TIME:
            kernels.add_word_cells(rows, column.to_numpy().view(np.uint64), seed)
        elif pa.types.is_floating(column.type):
            numbers = column.to_numpy()
            numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
            kernels.add_word_cells(rows, numbers.view(np.uint64), seed)
        else:
            codes, values = encode(column)
            kernels.add_coded_cells(rows, codes, string_hashes(values, name), seed)
    return rows


def _again(keys: np.ndarray) -> np.ndarray:
    """The places of the rows of `keys` that equal an earlier row."""
    order = np.lexsort(keys.T)
    same = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    return order[1:][same]


def _turns(keys: np.ndarray) -> np.ndarray:
    """How many earlier rows each row of `keys` equals (uint64)."""
    order = np.lexsort(keys.T)
    new = np.ones(len(keys), np.bool_)
    new[1:] = (keys[order][1:] != keys[order][:-1]).any(axis=1)
    start = np.maximum.accumulate(np.where(new, np.arange(len(keys)), 0))
    turn = np.empty(len(keys), np.uint64)
    turn[order] = (np.arange(len(keys)) - start).astype(np.uint64)
    return turn
