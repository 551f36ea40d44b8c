"""The counts of all shards: the pass run in threads, its differences summed up, the parts added.

Each thread adds its shards into tables of its own, so memory does not grow with the shards; and
as all of them are integers, nothing depends on who counted what.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.core.schema import SESSION, SESSION_GAP_US
from analysis.correlation import kernels as exposure_counts
from analysis.correlation import kernels_exposure_layout as exposure_layout
from analysis.correlation.exposure_strata import Strata
from analysis.correlation.kernels_cells import with_guesses
from analysis.correlation.plan import ExposurePlan
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn


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
    """What one thread found: counts and the tables in them, and waits by event."""

    counts: np.ndarray
    tables: exposure_layout.Tables
    waits: list[tuple[np.ndarray, np.ndarray]]


def tables_of(log: EventLog, plan: ExposurePlan, strata: Strata) -> Tables:
    """Count everything that `plan` asks of a log whose units are dealt out in `strata`."""
    # One iterator for all threads: whoever is free takes the next shard.
    numbers = iter(range(len(log.shards)))
    workers = min(len(log.shards), os.cpu_count() or 1)
    run = partial(_count, log=log, plan=plan, strata=strata)
    whole, *others = engine.over([numbers] * workers, run)
    for part in others:
        whole.counts[:] += part.counts
        whole.waits.extend(part.waits)
    found = whole.tables
    waits = engine.over(range(len(plan.events)), partial(_sorted_waits, whole.waits))
    users, macros = _trials(found.active[:-1], found.trials[:-1])
    before = np.array([len(own) for own in waits], np.int64)
    return Tables(
        at_risk=_by_event(found.changes.cumsum(axis=2), found.done_changes.cumsum(axis=2)),
        macros=_by_event(found.macros, found.done_macros),
        trial_users=users,
        trial_macros=macros,
        facts=np.stack([found.did.sum(axis=0), found.did[0], before], axis=-1),
        totals=found.totals,
        structural=found.shortly.astype(np.int64),
        waits_us=tuple(waits),
    )


def _count(numbers: Iterator[int], *, log: EventLog, plan: ExposurePlan, strata: Strata) -> _Part:
    """The counts of the shards that are left when this thread is free."""
    kind, asked = plan.kinds(log), len(plan.events)
    layout, counts, tables = exposure_layout.no_counts(
        asked=asked,
        cells=len(plan.edges_us) - 1,
        groups=len(strata.groups),
        strata=len(strata.table),
        binned=strata.binned,
    )
    part = _Part(counts, tables, [])
    bounds = (plan.horizon_us, log.covers_until_us, SESSION_GAP_US)
    cells = with_guesses(plan.edges_us)
    for n in numbers:
        shard = log.shards[n]
        session = shard.columns[SESSION]
        assert isinstance(session, TextColumn)
        rows = (shard.time, shard.event, session.codes, shard.offsets)
        people = (strata.first[n], strata.group[n], strata.stratum[n], strata.turns[n])
        macros = plan.all_macros(log, shard)
        found = exposure_counts.count(rows, people, macros, bounds, kind, cells, layout, counts)
        part.waits.append(found)
    return part


def _sorted_waits(waits: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> np.ndarray:
    own = np.concatenate([found[ends[k] : ends[k + 1]] for found, ends in waits])
    own.sort()
    return own


def _by_event(everybody: np.ndarray, done: np.ndarray) -> np.ndarray:
    """From (groups, strata, cells + 1, 4, K) to (K, 4, groups, cells, strata).

    Those who never did it are everybody less who did.
    """
    everybody, done = everybody[:, :, :-1], done[:, :, :-1, 1:]
    groups, strata, cells, doses, events = done.shape
    out = np.empty((events, doses + 1, groups, cells, strata), np.int64)
    out[:, 1:] = done.transpose(4, 3, 0, 2, 1)
    out[:, 0] = everybody.transpose(0, 2, 1) - out[:, 1:].sum(axis=1)
    return out


def _trials(active: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Users and macros (K, 2, cells, bins, bins): who does not do it yet, and who does it now."""
    now, before = np.ascontiguousarray(trials.transpose(4, 3, 5, 0, 1, 2))
    not_yet = active.transpose(3, 0, 1, 2)[:, None] - now - before
    macros = np.stack([not_yet[1], now[1]], axis=1).astype(np.int64)
    return np.stack([not_yet[0], now[0]], axis=1) + macros, macros
