"""Rows that say again what an earlier file has said: the same export, or one that overlaps.

A row is told by its event id where the mapping names one, and else by all of its cells. Equal
rows within one file are different events (two clicks within a second look the same); across files
they are the same ones. So a row that stands three times in one file and twice in another is
there three times, whichever came first, and a file that is imported again adds nothing.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT_ID, TIME, USER
from analysis.eventlog import kernels as ordering
from analysis.eventlog import kernels_hashing as hashing
from analysis.eventlog.shard import encode, string_hashes

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
