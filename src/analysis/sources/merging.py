"""One set of columns for tables that differ: which properties are there, and of which kind?

Files of one import differ: a property appears late, is a number here and text there, or looks
like a number until one cell does not. While rows pass through, this keeps the columns seen so
far; in the end it says what each property is, and brings every earlier table into that form.
A column only ever turns from numbers to text, so a table written early can always be converted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT, EVENT_ID, TIME, USER, VALUE
from analysis.eventlog import kernels as hashing
from analysis.eventlog import kernels as ordering
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
from analysis.sources.cells import NO_NUMBERS, Look, look_at

# ──── eventlog.repeats
#
# Rows that say again what an earlier file has said: the same export, or one that overlaps.
#
# A row is told by its event id where the mapping names one, and else by all of its cells. Equal
# rows within one file are different events (two clicks within a second look the same); across files
# they are the same ones. So a row that stands three times in one file and twice in another is
# there three times, whichever came first, and a file that is imported again adds nothing.


_SEED = 0x9D39247E33776D41


def repeated(
    table: pa.Table, file: np.ndarray, *, keyed: np.ndarray | None = None, by_id: bool = False
) -> np.ndarray:
    """Which rows repeat one of an earlier file? A boolean per row.

    Parameters
    ----------
    table : canonical rows in the order of their arrival.
    file : each row's file as a number (int64); a user's rows of one file lie together.
    keyed : rows that are known to be unique by a key of their own, as orders are.
    by_id : whether rows of one user with the same ``event_id`` are one event.
    """
    gone = np.zeros(len(table), np.bool_)
    judged = np.ones(len(table), np.bool_) if keyed is None else ~keyed
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
    order, _ = ordering.user_time_order(codes, time, len(known))
    same = (codes[order][1:] == codes[order][:-1]) & (time[order][1:] == time[order][:-1])
    shared = np.zeros(len(place), np.bool_)
    shared[order[1:][same]] = True
    shared[order[:-1][same]] = True
    found = np.zeros(len(table), np.bool_)
    found[place[shared]] = True
    return found


def _row_hashes(table: pa.Table) -> np.ndarray:
    rows = np.zeros((len(table), 2), np.uint64)
    for number, name in enumerate(table.column_names):
        column, seed = table.column(name), np.uint64(_SEED * (number + 1) % 2**64)
        if name == TIME:
            hashing.add_word_cells(rows, column.to_numpy().view(np.uint64), seed)
        elif pa.types.is_floating(column.type):
            numbers = column.to_numpy()
            numbers = np.where(np.isnan(numbers), np.nan, numbers + 0.0)
            hashing.add_word_cells(rows, numbers.view(np.uint64), seed)
        else:
            codes, values = encode(column)
            hashing.add_coded_cells(rows, codes, string_hashes(values, name), seed)
    return rows


def _again(keys: np.ndarray) -> np.ndarray:
    """The numbers of the rows of `keys` that an earlier row equals."""
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


# ──── eventlog.alignment


_NUMBER = pa.float64()


_FIXED = {USER: TEXT, TIME: pa.int64(), EVENT: TEXT}


class Alignment:
    """The columns seen so far and how they are written; `before` is an earlier one's `state`."""

    def __init__(self, before: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        before = before or {}
        self._written: dict[str, pa.DataType] = {}
        self._looks = {name: Look(*of["look"]) for name, of in before.items() if of["look"]}
        self._numbers = {name for name, of in before.items() if of["number"]}
        self._seen: dict[str, None] = dict.fromkeys(before)

    def align(self, table: pa.Table, untyped: Collection[str]) -> pa.Table:
        """The table with all columns seen so far; `untyped` text may turn out to be numbers."""
        for name in table.column_names:
            if name not in _FIXED:
                self._learn(name, table.column(name), may_be_number=name in untyped)
        cells = {name: table.column(name) for name in _FIXED}
        for name, kind in self._written.items():
            cells[name] = _converted(table, name, kind)
        return pa.table(cells)

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
        before = self._looks.get(name, Look())
        self._looks[name] = look_at(column, before) if may_be_number else NO_NUMBERS

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
                "look": list(self._looks[name]) if name in self._looks else None,
            }
            for name in self._seen
        }

    def _is_number(self, name: str) -> bool:
        look = self._looks.get(name)
        return name in self._numbers if look is None else look.numbers


def settled(table: pa.Table, kinds: dict[str, pa.DataType]) -> pa.Table:
    """A table that was written on the way, in its final columns; text is dictionary-encoded."""
    cells = {name: table.column(name) for name in _FIXED}
    cells |= {name: _converted(table, name, kind) for name, kind in kinds.items()}
    return pa.table(
        {
            name: column.dictionary_encode() if column.type == TEXT else column
            for name, column in cells.items()
        }
    )


def _converted(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), kind)])
    column = table.column(name)
    if column.type == _NUMBER and kind == TEXT:
        return pa.chunked_array([numbers_as_text(column)])
    if column.type == CODED and kind == TEXT:
        return column
    return plain(column).cast(kind)


# ──── eventlog.duplicates
#
# One event per order: which rows repeat what another row already says?
#
# Vendors write an order on two hits, or send it twice. Rows of one event that share a key (an order
# id) are one event; of these the row that has a value is kept, among those the earliest, then the
# first that arrived. Keys are compared over the whole import: they are 128-bit hashes, split into
# files like the rows themselves, so that a billion orders need no more memory than a thousand.


PARTS = 64


_KEPT: Final = ["row", "low", "high"]


_KINDS: Final = {"low": np.uint64, "high": np.uint64}


class Duplicates:
    """Collects the rows that have a key, then names those to drop."""

    def __init__(self, folder: Path) -> None:
        self._spill = Spill(folder, PARTS)

    def add(
        self,
        keys: np.ndarray,
        *,
        time: np.ndarray,
        valued: np.ndarray,
        part: np.ndarray,
        place: np.ndarray,
    ) -> None:
        """Rows with their keys (uint64, rows × 2), and where each row lies: part and place."""
        if not len(keys):
            return
        cells = {
            "low": keys[:, 0],
            "high": keys[:, 1],
            "bare": ~valued,
            "time": time,
            "part": part,
            "place": place,
        }
        self._spill.add(pa.table(cells), (keys[:, 0] % np.uint64(PARTS)).astype(np.int64))

    def close(self) -> None:
        """Close the files."""
        self._spill.close()

    def settled(self, parts: int) -> tuple[list[np.ndarray], list[pa.Table]]:
        """Per part: the places of the rows that repeat another one, in ascending order; and the
        rows that stay, as a table of ``row`` (the place), ``low`` and ``high``.
        """
        losers = [np.empty((0, 2), np.int64)]
        stay = [pa.table({n: np.empty(0, _KINDS.get(n, np.int64)) for n in ("part", *_KEPT)})]
        for number in range(PARTS):
            tables = list(self._spill.read(number))
            if tables:
                rows = pa.concat_tables(tables)
                order, again = _repeats({n: rows.column(n).to_numpy() for n in rows.column_names})
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


def _repeats(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """An order that brings equal keys together, best first, and which rows in it are not best."""
    # The sort is stable and rows lie here as they arrived, so arrival decides last.
    order = np.lexsort([rows[name] for name in ("time", "bare", "high", "low")])
    low, high = rows["low"][order], rows["high"][order]
    again = np.concatenate([[False], (low[1:] == low[:-1]) & (high[1:] == high[:-1])])
    return order, again


# ──── eventlog.keyed
#
# Rows that have a key (an order id): the key goes with its row until that has its place.
#
# The shard itself does not hold keys: columns that name an order need not be properties. So they
# lie beside it, with the number of the row, for the next append to compare with.


# No file can have columns of these names: they would be read as a nameless one.
_LOW: Final = "\0low"


_HIGH: Final = "\0high"


_PLACE: Final = "\0place"


def with_keys(table: pa.Table, keys: pa.Table) -> pa.Table:
    """The table with the keys of its rows (``row``, ``low``, ``high``) in two more columns."""
    row = keys.column("row").to_numpy()
    missing = np.ones(len(table), np.bool_)
    missing[row] = False
    for name, half in ((_LOW, "low"), (_HIGH, "high")):
        cells = np.zeros(len(table), np.uint64)
        cells[row] = keys.column(half).to_numpy()
        table = table.append_column(name, pa.array(cells, mask=missing))
    return table


def is_keyed(table: pa.Table) -> np.ndarray:
    """Which rows have a key? A boolean per row."""
    if _LOW not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return table.column(_LOW).is_valid().to_numpy()


def keyed_part(
    table: pa.Table, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Part:
    """Build the shard of a table and say where in it the keyed rows have come to lie."""
    keyed = is_keyed(table)
    if not keyed.any():
        return Part(build_shard(_plain(table), event_names=event_names, sessions=sessions), None)
    place = np.where(keyed, np.arange(len(table), dtype=np.float64), np.nan)
    placed = _plain(table).append_column(_PLACE, pa.array(place))
    shard = build_shard(placed, event_names=event_names, sessions=sessions)
    columns = dict(shard.columns)
    moved = columns.pop(_PLACE)
    assert isinstance(moved, NumberColumn)
    row = np.flatnonzero(~np.isnan(moved.numbers))
    came = pa.array(moved.numbers[row].astype(np.int64))
    keys = table.select([_LOW, _HIGH]).take(came).rename_columns(["low", "high"])
    value = columns.get(VALUE)
    bare = np.isnan(value.numbers[row]) if isinstance(value, NumberColumn) else row >= 0
    for name, cells in (("bare", bare), ("time", shard.time[row]), ("row", row)):
        keys = keys.add_column(0, name, pa.array(cells))
    return Part(dataclasses.replace(shard, columns=columns), keys)


def _plain(table: pa.Table) -> pa.Table:
    return table.drop_columns([_LOW, _HIGH]) if _LOW in table.column_names else table
