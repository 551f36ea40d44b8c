"""How often, by how many, from when to when, for how much: the totals behind a log's summary."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from analysis.core.schema import MONEY_SCALE, SESSION, VALUE
from analysis.eventlog import kernels_counting as counting
from analysis.eventlog import parallel as engine
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn


def per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Rows, users, first and last instant (microseconds) of each event name: int64 (names, 4).

    A name without a row has the largest int64 as its first instant and the smallest as its last.
    """

    def count(shard: Shard) -> np.ndarray:
        return counting.per_event(shard.time, shard.event, shard.offsets, names)

    total = np.zeros((names, 4), np.int64)
    total[:, 2], total[:, 3] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for part in engine.over(shards, count):
        total[:, :2] += part[:, :2]
        total[:, 2] = np.minimum(total[:, 2], part[:, 2])
        total[:, 3] = np.maximum(total[:, 3], part[:, 3])
    return total


def users_and_sessions(shards: Sequence[Shard], names: int) -> tuple[int, int]:
    """Users with a shown row, and sessions: distinct pairs of user and session."""

    def count(shard: Shard) -> tuple[int, int]:
        column = shard.columns[SESSION]
        assert isinstance(column, TextColumn)
        return counting.users_and_sessions(shard.event, column.codes, shard.offsets, names)

    parts = engine.over(shards, count)
    return sum(users for users, _ in parts), sum(sessions for _, sessions in parts)


def money_per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Sum of the property ``value`` of each event name; adds in millionths, so it is exact.

    NaN where the values are too large to add (beyond 4.6 million millions) or infinite.
    """

    def add(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        column = shard.columns[VALUE]
        assert isinstance(column, NumberColumn)
        return counting.money_per_event(shard.event, column.numbers, names, MONEY_SCALE)

    total, sizes = np.zeros(names, np.int64), np.zeros(names)
    for own, size in engine.over(shards, add):
        total, sizes = total + own, sizes + size
    return np.where(sizes < 2.0**62, total / MONEY_SCALE, np.nan)
