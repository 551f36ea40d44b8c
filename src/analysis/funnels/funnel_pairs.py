"""What did users do between two neighboring steps of a funnel, and what those who stopped there?

The chains of the funnel say when each step was done; the rows of their users say what happened
in between. Counts add over the shards.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import NamedTuple

import numpy as np

from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnels import kernels_between as between
from analysis.funnels.chains import ShardChains
from analysis.funnels.funnel_steps import ANY_EVENT, Step
from analysis.funnels.search.kernels_chain_block import NOT_DONE


class Pair(NamedTuple):
    """What happened between two neighboring steps, ``first`` and ``second``, numbered from 1.

    ``went_on`` and ``stopped`` are numbers of users, ``within_us`` the median wait of those who
    went on; ``events`` has a column per candidate (its code in ``codes``) and three rows: how many
    of the former did it, of the latter, and of the former no later than the latter could.
    """

    first: int
    second: int
    went_on: int
    stopped: int
    within_us: int
    codes: np.ndarray
    events: np.ndarray


class Stretches(NamedTuple):
    """Users of one shard who reached a step: when, and when the next one (`NOT_DONE`: stopped)."""

    shard: Shard
    users: np.ndarray
    start: np.ndarray
    end: np.ndarray


def step_pairs(log: EventLog, steps: Sequence[Step], parts: Sequence[ShardChains]) -> list[Pair]:
    """Every step that may not be skipped with the next such one, and what happened in between.

    Parameters
    ----------
    parts : the chains of a funnel whose unit is the user; those that are mature count.
    """
    required = [number for number, step in enumerate(steps, start=1) if not step.optional]
    return [
        _pair(log, steps, [_stretches(part, neighbors) for part in parts], neighbors)
        for neighbors in pairwise(required)
    ]


def _stretches(part: ShardChains, neighbors: tuple[int, int]) -> Stretches:
    """The users of a shard who reached the first of two steps."""
    far = part.reach > 1
    kept = np.flatnonzero(part.mature & (far if neighbors[0] > 1 else True))
    row, beyond = (np.cumsum(far) - 1)[kept], far[kept]
    start = part.shard.time[part.entries[kept]].astype(np.int64)
    end = np.full(len(kept), NOT_DONE)
    end[beyond] = part.times[row[beyond], neighbors[1] - 1]
    if neighbors[0] > 1:
        start = part.times[row, neighbors[0] - 1]
    reached = start != NOT_DONE
    return Stretches(part.shard, part.users[kept][reached], start[reached], end[reached])


def _pair(
    log: EventLog,
    steps: Sequence[Step],
    stretches: Sequence[Stretches],
    neighbors: tuple[int, int],
) -> Pair:
    """What those who went on did before the next step, and what the others did meanwhile."""
    waits = [own.end[on] - own.start[on] for own in stretches for on in [own.end != NOT_DONE]]
    all_waits = np.concatenate([np.empty(0, np.int64), *waits])
    within = int(np.median(all_waits)) if len(all_waits) else 0
    names = len(log.event_names)

    def counted(own: Stretches) -> np.ndarray:
        on = own.end != NOT_DONE
        until = np.where(on, own.end, own.start + within)
        early = np.minimum(until, own.start + within)
        off = ~on & (until <= log.covers_until_us)
        counts = np.zeros((3, names + 1), np.int64)
        for row, keep, end in ((0, on, until), (1, off, until), (2, on, early)):
            arrays = own.shard.time, own.shard.event, own.shard.offsets
            stretch = own.users[keep], own.start[keep], end[keep]
            counts[row, :names] = between.done_between(*arrays, *stretch, names)
            counts[row, names] = keep.sum()
        return counts

    counts = sum(engine.over(stretches, counted), np.zeros((3, names + 1), np.int64))
    went_on, stopped = map(int, counts[:2, names])
    both = {name for number in neighbors for name in steps[number - 1].events}
    free = [name not in both and ANY_EVENT not in both for name in log.event_names]
    known = bool(went_on and stopped and within)
    codes = np.flatnonzero(np.array(free) & (counts[:, :names].sum(axis=0) > 0) & known)
    return Pair(*neighbors, went_on, stopped, within, codes, counts[:, codes])
