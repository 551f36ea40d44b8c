"""Who is compared with whom: the group and the stratum of every unit, by the event it enters with.

What a unit is when it enters cannot be a consequence of what it did later. Activity is the
one stratum that moves with time; the pass adds it. Properties keep their twelve largest values,
and a missing value is a value of its own, so nobody is left out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Final

import numpy as np
import pandas as pd

from analysis.core.schema import ALL, SESSION, US_PER_DAY
from analysis.correlation import kernels_exposure as passes
from analysis.correlation.exposure_firsts import entry_rows
from analysis.correlation.plan import ACTIVITY, RETURNING, ExposurePlan
from analysis.eventlog import groups as breakdown
from analysis.eventlog import parallel as engine
from analysis.eventlog.groups import Groups
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn

NEW: Final = "new"


_MOST_VALUES: Final = 12


_EPOCH: Final = date(1970, 1, 1)


_NO_TURNS: Final = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Strata:
    """Per shard: the row at which each unit enters, its group, its stratum; and their names.

    ``turns`` (per shard; empty where groups do not change) are instants from which on a unit is
    in the next group. ``table`` has a row per stratum, ``binned`` says that bins of activity are
    part of them.
    """

    first: list[np.ndarray]
    group: list[np.ndarray]
    stratum: list[np.ndarray]
    turns: list[np.ndarray]
    groups: tuple[str, ...]
    table: pd.DataFrame
    binned: bool


def strata_of(log: EventLog, plan: ExposurePlan) -> Strata:
    """The group and the stratum of every unit of a log."""
    names = len(log.event_names)
    first = engine.over(log.shards, partial(entry_rows, log=log, start=plan.start))
    turns = [_NO_TURNS] * len(log.shards)
    by = plan.by
    if by is None:
        groups = Groups([np.zeros(len(rows), np.int64) for rows in first], [ALL])
    elif by in log.kinds:
        groups = _property(log, first, by)
    elif by == RETURNING:
        turns = engine.over(log.shards, partial(_second_sessions, names=names))
        codes = [_back(s, *own) for s, *own in zip(log.shards, first, turns, strict=True)]
        groups = Groups(codes, [NEW, RETURNING])
    else:
        groups = _calendar(log, first, by)
    stratum, combinations = _combined(
        [_property(log, first, name) for name in plan.properties], first
    )
    binned = ACTIVITY in plan.adjust
    table = _table(combinations, plan, binned=binned)
    group_names = tuple(str(name) for name in groups.names)
    return Strata(first, groups.codes, stratum, turns, group_names, table, binned)


def bin_labels() -> list[str]:
    """What the bins of activity are called.

    Examples
    --------
    >>> bin_labels()[:5], bin_labels()[-1]
    (['0', '1', '2', '3-4', '5-8'], '257+')
    """
    labels = ["0", "1", "2"]
    labels += [f"{2**b + 1}-{2 ** (b + 1)}" for b in range(1, passes.ACTIVITY_BINS - 3)]
    return [*labels, f"{passes.MOST_COUNTED}+"]


def _second_sessions(shard: Shard, *, names: int) -> np.ndarray:
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)
    return passes.second_sessions(shard.time, shard.event, column.codes, shard.offsets, names)


def _back(shard: Shard, first: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """1 for units that had turned before they entered, whose turn is then taken off; else 0."""
    entry = shard.time[np.maximum(first, 0)]
    back = (first >= 0) & (turns < entry)
    turns[back] = passes.NEVER
    return back.astype(np.int64)


def _per_unit(first: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Codes of those who enter, as codes of all units; who never enters has 0."""
    out = []
    for rows, own in zip(first, codes, strict=True):
        here = np.zeros(len(rows), np.int64)
        here[rows >= 0] = own
        out.append(here)
    return out


def _entering(first: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [rows[rows >= 0] for rows in first]


def _property(log: EventLog, first: Sequence[np.ndarray], name: str) -> Groups:
    found = breakdown.groups_of(log.shards, _entering(first), [name])
    sizes = np.zeros(len(found.names), np.int64)
    for codes in found.codes:
        sizes += np.bincount(codes, minlength=len(sizes))
    found = breakdown.largest(found, sizes, _MOST_VALUES)
    return Groups(_per_unit(first, found.codes), found.names)


def _calendar(log: EventLog, first: Sequence[np.ndarray], by: str) -> Groups:
    """Groups by the UTC day, ISO week or month of entry, in the order of time."""
    entries = [
        s.time[rows] // US_PER_DAY for s, rows in zip(log.shards, _entering(first), strict=True)
    ]
    days = np.unique(np.concatenate(entries))
    labels = [_period_name(_EPOCH + timedelta(days=int(day)), by) for day in days]
    names = list(dict.fromkeys(labels))
    number = np.array([names.index(label) for label in labels], np.int64)
    codes = [number[np.searchsorted(days, own)] for own in entries]
    return Groups(_per_unit(first, codes), list(names))


def _period_name(day: date, by: str) -> str:
    if by == "day":
        return day.isoformat()
    if by == "month":
        return f"{day:%Y-%m}"
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _combined(
    parts: Sequence[Groups], first: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[tuple[str, ...]]]:
    """The combination of values that every unit has, and all that somebody has."""
    codes = [np.zeros(len(rows), np.int64) for rows in first]
    names: list[tuple[str, ...]] = [()]
    for part in parts:
        size = len(part.names)
        wide = [a * size + b for a, b in zip(codes, part.codes, strict=True)]
        present = np.zeros(len(names) * size, np.bool_)
        for own, rows in zip(wide, first, strict=True):
            present[own[rows >= 0]] = True
        # Who never enters has code 0, which must have a number too.
        number = np.maximum(np.cumsum(present) - 1, 0)
        codes = [number[own] for own in wide]
        names = [(*names[c // size], str(part.names[c % size])) for c in np.flatnonzero(present)]
    return codes, names or [()]


def _table(
    combinations: Sequence[tuple[str, ...]], plan: ExposurePlan, *, binned: bool
) -> pd.DataFrame:
    labels = bin_labels() if binned else [ALL]
    rows = [(label, *values) for values in combinations for label in labels]
    table = pd.DataFrame(rows, columns=[ACTIVITY, *plan.properties])
    return table if binned else table.drop(columns=ACTIVITY)
