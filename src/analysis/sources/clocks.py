"""The hour that clocks show twice, and dates without a time: what the order of a file says of them.

When summer time ends, 02:10 comes once before and once after 02:50. A file that is in the order of
time says which one is meant: after 02:50, 02:10 is an hour later than it seems; where the newest
row comes first, it is the other way round. Where the file as a whole is not in that order, the rows
of each user may be. All else stays ambiguous; then the first reading counts, and such rows are
counted, too.
"""

from __future__ import annotations

import bisect
import datetime as dt
import functools
import zoneinfo
from collections import Counter
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.schema import US_PER_DAY, US_PER_SECOND
from analysis.eventlog.instants import EARLIEST, LATEST

_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_DAY: Final = 86_400
_NOBODY: Final = ""


class Fold(NamedTuple):
    """Local times (microseconds) that clocks show twice: from `start` to before `end`."""

    start: int
    end: int


@functools.cache
def folds(zone: str, year: int) -> tuple[Fold, ...]:
    """The local times of a year that the clocks of a zone show twice.

    Examples
    --------
    >>> [(np.datetime64(f.start, "us"), f.end - f.start) for f in folds("Europe/Berlin", 2026)]
    [(np.datetime64('2026-10-25T02:00:00.000000'), 3600000000)]
    """
    clock = zoneinfo.ZoneInfo(zone)

    def offset(second: int) -> int:
        instant = _EPOCH + dt.timedelta(seconds=second)
        shift = instant.astimezone(clock).utcoffset() or dt.timedelta(0)
        return int(shift.total_seconds())

    first = int((dt.datetime(year, 1, 1, tzinfo=dt.UTC) - _EPOCH).total_seconds()) - _DAY
    found = []
    for day in range(first, first + 368 * _DAY, _DAY):
        before, after = offset(day), offset(day + _DAY)
        if after < before:
            change = bisect.bisect_left(
                range(day, day + _DAY), True, key=lambda second: offset(second) != before
            )
            start, end = day + change + after, day + change + before
            found.append(Fold(start * US_PER_SECOND, end * US_PER_SECOND))
    return tuple(found)


class FileClock:
    """Which times of a file are the second ones of their hour? Asked batch by batch, in order."""

    def __init__(self) -> None:
        self.dates_only: bool | None = None
        self._newest_first: bool | None = None
        self._left = 0
        self._ordered = True
        self._by_user = True
        self._last, self._last_fold = EARLIEST, -1
        self._before: dict[tuple[int, str], int] = {}
        self._again: set[tuple[int, str]] = set()
        self._rows: Counter[tuple[int, str]] = Counter()

    @property
    def ambiguous(self) -> int:
        """Rows in an hour that clocks show twice of which the file's order does not say which."""
        left = (rows for key, rows in self._rows.items() if key not in self._again)
        return self._left + sum(left)

    def note_days(self, us: np.ndarray) -> None:
        """Look whether these times (local ones) are dates."""
        if self.dates_only is not False and len(us):
            self.dates_only = not (us % US_PER_DAY).any()

    def second(self, local: np.ndarray, users: pa.Array, zone: str) -> np.ndarray:
        """Which of these local times (microseconds, in the file's order) are the second ones?

        Parameters
        ----------
        users : whose times they are.

        Examples
        --------
        >>> clock = FileClock()
        >>> texts = ["2026-10-25T02:50", "2026-10-25T02:10"]
        >>> local = np.array(texts, "datetime64[us]").astype(np.int64)
        >>> clock.second(local, pa.array(["ann", "bob"]), "Europe/Berlin").tolist()
        [False, True]
        """
        again = np.zeros(len(local), np.bool_)
        sane = (local >= EARLIEST) & (local < LATEST)
        if not sane.all():  # a broken time says nothing of the order
            again[sane] = self.second(local[sane], users.filter(pa.array(sane)), zone)
            return again
        if not len(local):
            return again
        fold = _fold_of(local, zone)
        if self._newest_first is None and len(local) > 1:
            back = _jumps(local[::-1], fold[::-1]) is not None
            self._newest_first = bool(back and local[0] > local[-1] and _jumps(local, fold) is None)
        if self._newest_first:
            return self._from_behind(local, users, zone)
        return self._in_turn(local, fold, users)

    def _in_turn(self, local: np.ndarray, fold: np.ndarray, users: pa.Array) -> np.ndarray:
        again = np.zeros(len(local), np.bool_)
        jumps = _jumps(
            np.concatenate([[self._last], local]), np.concatenate([[self._last_fold], fold])
        )
        known = [start for start, user in self._again if user == _NOBODY]
        if jumps is None or len({*jumps, *known}) < len(jumps) + len(known):
            self._ordered = False
        self._last, self._last_fold = int(local[-1]), int(fold[-1])
        rows = np.flatnonzero(fold >= 0)
        if not len(rows):
            return again
        names = [_NOBODY] * len(rows)
        if not self._ordered:
            self._by_user &= _in_order_by_user(local, fold, users)
            names = users.take(pa.array(rows)).to_pylist()
        for row, user in zip(rows.tolist(), names, strict=True):
            key = int(fold[row]), user or _NOBODY
            if self._ordered or (self._by_user and user):
                if local[row] < self._before.get(key, local[row]):
                    self._again.add(key)
                self._before[key] = int(local[row])
                again[row] = key in self._again
            self._rows[key] += 1
        return again

    def _from_behind(self, local: np.ndarray, users: pa.Array, zone: str) -> np.ndarray:
        """The answer for times of which the newest come first; each batch speaks for itself."""
        batch = FileClock()
        batch._newest_first = False
        rows = np.arange(len(local))[::-1]
        again = batch.second(local[rows], users.take(pa.array(rows)), zone)
        self._left += batch.ambiguous
        return again[rows]


def _jumps(local: np.ndarray, fold: np.ndarray) -> list[int] | None:
    """The hours shown twice within which times go back; None where they go back elsewhere."""
    back = np.flatnonzero(np.diff(local) < 0)
    if (fold[back] < 0).any() or (fold[back] != fold[back + 1]).any():
        return None
    return fold[back].tolist()


def _in_order_by_user(local: np.ndarray, fold: np.ndarray, users: pa.Array) -> bool:
    """Do each user's times go back at most once, and only within an hour shown twice?"""
    codes = (
        users.dictionary_encode().indices
        if not pa.types.is_dictionary(users.type)
        else (users.indices)
    )
    code = codes.fill_null(-1).to_numpy(zero_copy_only=False)
    order = np.argsort(code, kind="stable")
    code, local, fold = code[order], local[order], fold[order]
    back = np.flatnonzero((np.diff(local) < 0) & (np.diff(code) == 0) & (code[1:] >= 0))
    if (fold[back] < 0).any() or (fold[back] != fold[back + 1]).any():
        return False
    return len(np.unique(np.column_stack([code[back], fold[back]]), axis=0)) == len(back)


def _fold_of(local: np.ndarray, zone: str) -> np.ndarray:
    """For each local time the start of the hour shown twice that it lies in, or -1."""
    found = np.full(len(local), -1, np.int64)
    years = np.array([local.min(), local.max()], "datetime64[us]").astype("datetime64[Y]")
    first, last = (int(str(year)) for year in years)
    for year in range(first, last + 1):
        for start, end in folds(zone, year):
            found[(local >= start) & (local < end)] = start
    return found
