"""The counts of all shards: the pass run in threads, its differences summed up, the parts added.

Each thread adds its shards into tables of its own, so memory does not grow with the shards; and
as all of them are integers, nothing depends on who counted what.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.eventlog import engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.exposure_plan import ExposurePlan
from analysis.exposure_strata import Strata
from analysis.passes import exposure as passes
from analysis.schema import SESSION, SESSION_GAP_US


class Tables(NamedTuple):
    """All counts; shapes as in `exposure.ExposureCounts`.

    ``facts`` int64 (K, 3): units that did the event; non-converters who did; converters who did it
    before. ``totals`` int64 (5,): units, mature, converters, those counted, those in cell 0.
    """

    at_risk: np.ndarray
    macros: np.ndarray
    trial_users: np.ndarray
    trial_macros: np.ndarray
    facts: np.ndarray
    totals: np.ndarray
    structural: np.ndarray
    waits_us: tuple[np.ndarray, ...]


class _Part(NamedTuple):
    """What one thread found: the arrays that the pass adds to, and what it hands back."""

    sums: tuple[np.ndarray, ...]
    structural: np.ndarray
    waits: list[tuple[np.ndarray, np.ndarray]]


def tables_of(log: EventLog, plan: ExposurePlan, strata: Strata) -> Tables:
    """Count everything that `plan` asks of a log whose units are dealt out in `strata`."""
    numbers = range(len(log.shards))
    workers = min(len(numbers), os.cpu_count() or 1)
    run = partial(_count, log=log, plan=plan, strata=strata)
    parts = engine.over([numbers[k::workers] for k in range(workers)], run)
    sums = [np.sum(arrays, axis=0) for arrays in zip(*(p.sums for p in parts), strict=True)]
    changes, done_changes, macros, done_macros, active, trials, facts, totals = sums
    now, before = trials[..., 0, :], trials[..., 1, :]
    by_arm = np.stack([active[..., None] - now - before, now])
    waits = [np.concatenate(column) for column in zip(*_all_waits(parts), strict=True)]
    return Tables(
        at_risk=_by_event(_by_dose(changes, done_changes).cumsum(axis=2)),
        macros=_by_event(_by_dose(macros, done_macros)),
        trial_users=np.ascontiguousarray(np.moveaxis(by_arm[..., 0, :], -1, 0)),
        trial_macros=np.ascontiguousarray(np.moveaxis(by_arm[..., 1, :], -1, 0)),
        facts=facts,
        totals=totals,
        structural=np.sum([part.structural for part in parts], axis=0),
        waits_us=_sorted_waits(*waits, events=len(plan.events)),
    )


def _count(numbers: Sequence[int], *, log: EventLog, plan: ExposurePlan, strata: Strata) -> _Part:
    """The counts of some shards."""
    kind, asked = plan.kinds(log), len(plan.events)
    part = _Part(_empty(plan, strata), np.zeros(asked, np.int64), [])
    wanted = (asked, plan.bits(log))
    bounds = (plan.horizon_us, log.covers_until_us)
    for n in numbers:
        shard, first = log.shards[n], strata.first[n]
        bought = plan.macro_rows(log, shard, first)
        rows = (shard.time, shard.event, shard.offsets, shard.masks)
        people = (strata.group[n], strata.stratum[n], strata.turns[n], strata.binned)
        found = passes.count(
            rows, first, bought, kind, wanted, bounds, plan.edges_us, people, part.sums
        )
        part.waits.append(found)
        part.structural[:] += _structural(shard, first, bought, kind, asked)
    return part


def _structural(
    shard: Shard, first: np.ndarray, bought: np.ndarray, kind: np.ndarray, asked: int
) -> np.ndarray:
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)
    rows = (shard.time, shard.event, column.codes, shard.offsets)
    return passes.shortly_before(*rows, first, bought, kind, asked, SESSION_GAP_US)


def _empty(plan: ExposurePlan, strata: Strata) -> tuple[np.ndarray, ...]:
    events, cells = len(plan.events), len(plan.edges_us) - 1
    people = (len(strata.groups), len(strata.table), cells + 1)
    done = (*people, passes.LEVELS - 1, events)
    trials = (cells, passes.ACTIVITY_BINS, passes.ACTIVITY_BINS, 2)
    shapes = [people, done, people, done, trials, (*trials, 2, events), (events, 3), (5,)]
    return tuple(np.zeros(shape, np.int64 if len(shape) < 3 else np.int32) for shape in shapes)


def _by_dose(everybody: np.ndarray, done: np.ndarray) -> np.ndarray:
    """(groups, strata, cells + 1, 4, K); those who never did it are everybody less who did."""
    never = everybody[..., None] - done.sum(axis=-2)
    return np.concatenate([never[..., None, :], done], axis=-2)


def _by_event(counts: np.ndarray) -> np.ndarray:
    """From (groups, strata, cells + 1, 4, K) to (K, 4, groups, cells, strata)."""
    return np.ascontiguousarray(counts[:, :, :-1].transpose(4, 3, 0, 2, 1))


def _all_waits(parts: Sequence[_Part]) -> list[tuple[np.ndarray, np.ndarray]]:
    return [found for part in parts for found in part.waits]


def _sorted_waits(waits: np.ndarray, of: np.ndarray, *, events: int) -> tuple[np.ndarray, ...]:
    order = np.lexsort((waits, of))
    ends = np.searchsorted(of[order], np.arange(events + 1))
    return tuple(waits[order[low:high]] for low, high in itertools.pairwise(ends))
