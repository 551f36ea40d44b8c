"""Rows that files say twice: exports that overlap, and the same export with other columns.

A file may say again what an earlier one has said: `overlapping` finds these rows by the event id
where the mapping names one, and else by all of their cells. Equal rows within one file are
different events (two clicks within a second look the same); across files they are the same ones. So
a row that stands three times in one file and twice in another is there three times, whichever came
first, and a file that is imported again adds nothing.

An export that has got a column since says the same events again, and no row of it equals an earlier
one. Where files have other columns, `repeats` compares rows by the columns that both have, and the
row with more cells stays. Where each of two rows has a cell of its own, nobody can tell a renamed
column from another event: these are only counted, for the import to refuse the files.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT_ID, TIME, USER
from analysis.eventlog import kernels
from analysis.eventlog.shard import encode, string_hashes


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


class Repeats(NamedTuple):
    """Rows that repeat another one: `equal` in all cells, or `poorer`, without some of its cells.

    Both are booleans per row. `alike` counts, by the number of a file and the columns in which its
    rows and earlier ones have a cell and the others none, rows that are equal in all columns that
    both have: the same events under other columns, or others.
    """

    equal: np.ndarray
    poorer: np.ndarray
    alike: Counter[tuple[int, tuple[str, ...], tuple[str, ...]]]


def repeats(
    table: pa.Table,
    file: np.ndarray,
    columns: Sequence[Collection[str]],
    *,
    always: Collection[str],
    judged: np.ndarray,
) -> Repeats:
    """Which rows repeat one of an earlier file, where files have other columns?

    Each file's rows are matched one to one with those that came before: with an equal row, else
    with one that has all of its cells and more, else with one of which it has all cells and more;
    the richer one stays. A cell may be missing only in a column that some file does not have.

    Parameters
    ----------
    table, file : as in `overlapping`.
    columns : the columns of each file, by its number; of file 0 none, where no log is added to.
    always : columns that every file of the log has which is added to (file 0).
    judged : rows that may repeat one (a boolean per row).
    """
    equal, poorer = np.zeros((2, len(table)), np.bool_)
    found = Repeats(equal, poorer, Counter())
    first = 0 if columns[0] else 1
    every, some = set(always or columns[first]), set(columns[first])
    rows = _met(table, file, np.flatnonzero(_crowded(table, judged) & judged))
    of_file, left = file[rows], np.ones(len(rows), np.bool_)
    for number in range(first + 1, len(columns)):
        every, some = every & set(columns[number]), some | set(columns[number])
        before, new = rows[left & (of_file < number)], rows[left & (of_file == number)]
        if len(before) and len(new):
            _match(table, before, new, sorted(some - every), number, found)
            left = ~(found.equal | found.poorer)[rows]
    return found


def _met(table: pa.Table, file: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Those of the rows whose user has a row of another file at the same instant."""
    if not len(rows):
        return rows
    users = encode(table.column(USER))[0][rows]
    time = table.column(TIME).to_numpy()[rows]
    order = np.lexsort([file[rows], time, users])
    users, time, of_file = users[order], time[order], file[rows][order]
    new = np.ones(len(rows), np.bool_)
    new[1:] = (users[1:] != users[:-1]) | (time[1:] != time[:-1])
    start = np.flatnonzero(new)
    several = of_file[np.append(start[1:], len(rows)) - 1] != of_file[start]
    return np.sort(rows[order[np.repeat(several, np.diff(start, append=len(rows)))]])


def _match(
    table: pa.Table,
    before: np.ndarray,
    new: np.ndarray,
    partial: list[str],
    number: int,
    found: Repeats,
) -> None:
    """Match the rows at `new`, those of a file, with the rows at `before`."""
    names = table.column_names
    old_free, new_free = _unmatched(table, names, before, new)
    found.equal[np.setdiff1d(new, new_free)] = True
    fixed = [name for name in names if name not in partial]
    # Only rows that are equal in the columns of every file can be the same event.
    before, new = _candidates(table.select(fixed), old_free, new_free)
    if not len(new):
        return
    rows = np.concatenate([before, new])
    cells = [table.column(name).take(pa.array(rows)) for name in partial if name in names]
    partial = [name for name in partial if name in names]
    has = np.column_stack([~pc.is_null(c, nan_is_null=True).to_numpy() for c in cells])
    patterns, kind = np.unique(has, axis=0, return_inverse=True)
    kind = kind.reshape(-1)
    sets = [frozenset(itertools.compress(partial, pattern)) for pattern in patterns]
    free = {
        side: {k: at[kind[part] == k] for k in range(len(sets))}
        for side, at, part in (
            ("old", before, slice(None, len(before))),
            ("new", new, slice(len(before), None)),
        )
    }
    rich = sorted(range(len(sets)), key=lambda k: (-len(sets[k]), sorted(sets[k])))
    for mine, other in itertools.product(rich, reversed(rich)):
        if sets[mine] < sets[other]:
            _drop_poorer(table, [*fixed, *sets[mine]], free, ("new", mine), ("old", other), found)
    for mine, other in itertools.product(rich, rich):
        if sets[other] < sets[mine]:
            _drop_poorer(table, [*fixed, *sets[other]], free, ("old", other), ("new", mine), found)
    for mine, other in itertools.product(rich, rich):
        own, others = sets[mine] - sets[other], sets[other] - sets[mine]
        if own and others:
            common = [*fixed, *(sets[mine] & sets[other])]
            left = _unmatched(table, common, free["old"][other], free["new"][mine])[1]
            alike = len(free["new"][mine]) - len(left)
            if alike:
                found.alike[number, tuple(sorted(own)), tuple(sorted(others))] += alike


def _drop_poorer(
    table: pa.Table,
    names: list[str],
    free: dict[str, dict[int, np.ndarray]],
    poor: tuple[str, int],
    rich: tuple[str, int],
    found: Repeats,
) -> None:
    """Match rows of two kinds by the columns of the poorer one, whose matched rows go."""
    at, other = free[poor[0]][poor[1]], free[rich[0]][rich[1]]
    if len(at) and len(other):
        left, left_other = _unmatched(table, names, at, other)
        found.poorer[np.setdiff1d(at, left)] = True
        free[poor[0]][poor[1]], free[rich[0]][rich[1]] = left, left_other


def _unmatched(
    table: pa.Table, names: Sequence[str], first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The places of either list that have no partner with the same cells in the other one."""
    if not len(first) or not len(second):
        return first, second
    places = np.concatenate([first, second])
    rows = _row_hashes(table.select(names).take(pa.array(places)))
    side = np.repeat(np.array([0, 1], np.uint64), [len(first), len(second)])
    keys = np.column_stack([rows, _turns(np.column_stack([rows, side]))])
    order = np.lexsort(keys.T)
    same = (keys[order][1:] == keys[order][:-1]).all(axis=1)
    left = np.ones(len(places), np.bool_)
    left[order[1:][same]] = False
    left[order[:-1][same]] = False
    return first[left[: len(first)]], second[left[len(first) :]]


def _candidates(
    table: pa.Table, first: np.ndarray, second: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The places of either list whose cells are at some place of the other one."""
    if not len(first) or not len(second):
        return first[:0], second[:0]
    rows = _row_hashes(table.take(pa.array(np.concatenate([first, second]))))
    key = rows[:, 0] ^ (rows[:, 1] * np.uint64(_SEED))
    one, other = key[: len(first)], key[len(first) :]
    return first[np.isin(one, other)], second[np.isin(other, one)]


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
