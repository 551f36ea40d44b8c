"""The numbers of a funnel, summed from its chains: counts, rates, intervals and waits.

Every view of a funnel is a group-by of the same chains, and this is where they are grouped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import pandas as pd

from analysis.breakdown import Groups
from analysis.funnel_chains import ShardChains, user_numbers
from analysis.funnel_options import Question
from analysis.passes.chains import NOT_DONE
from analysis.schema import US_PER_SECOND
from analysis.stats import effective_size, wilson

if TYPE_CHECKING:
    from analysis.funnel_result import FunnelResult


class _Mature(NamedTuple):
    """The mature chains of all shards: group, user and reach; times of those beyond the entry."""

    group: np.ndarray
    user: np.ndarray
    reach: np.ndarray
    times: np.ndarray


def group_sizes(parts: Sequence[ShardChains], groups: Groups) -> np.ndarray:
    """How many units entered in each group, by their best chains among all entries."""
    sizes = np.zeros(len(groups.names), np.int64)
    for part, codes in zip(parts, groups.codes, strict=True):
        sizes += np.bincount(codes[part.chosen], minlength=len(sizes))
    return sizes


def step_names(question: Question) -> list[str]:
    """What the steps are called in a table; in any order they have no names, only a number."""
    if question.order == "any":
        return [f"{k} of {len(question.steps)}" for k in range(1, len(question.steps) + 1)]
    return [step.name for step in question.steps]


def previous_required(question: Question) -> np.ndarray:
    """Per step the place (from 0) of the required step before it; the first step's own is 0."""
    places = [0]
    for k in range(1, len(question.steps)):
        places.append(places[-1] if question.steps[k - 1].optional else k - 1)
    return np.array(places)


def funnel_table(parts: Sequence[ShardChains], groups: Groups, question: Question) -> pd.DataFrame:
    """The tidy table of a funnel, a row per group and step; its columns are `FunnelResult`'s."""
    size, steps = len(groups.names), len(question.steps)
    count, k = (_reached(parts, groups, question, mature) for mature in (False, True))
    before = previous_required(question)
    n_first = np.repeat(k[:, :1], steps, axis=1)
    n_previous = k[:, before]
    from_first, from_previous = n_first.astype(float), n_previous.astype(float)
    if question.repeats_users:
        mature = _mature(parts, groups)
        from_first, from_previous = _effective(mature, k, n_first, n_previous, before)
    median, mean = _waits(parts, groups, steps)
    rate, step_rate = ratio(k, n_first), ratio(k, n_previous)
    rate_low, rate_high = wilson(k * _share(from_first, n_first), from_first)
    low, high = wilson(k * _share(from_previous, n_previous), from_previous)
    for cells in (step_rate, low, high):
        cells[:, 0] = np.nan
    names = np.empty(size, object)
    names[:] = groups.names
    return pd.DataFrame(
        {
            "group": np.repeat(names, steps),
            "step": np.tile(np.arange(1, steps + 1), size),
            "event": np.tile(step_names(question), size),
            "count": count.ravel(),
            "k": k.ravel(),
            "n_first": n_first.ravel(),
            "n_previous": n_previous.ravel(),
            "rate": rate.ravel(),
            "rate_low": rate_low.ravel(),
            "rate_high": rate_high.ravel(),
            "step_rate": step_rate.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "median_seconds": median.ravel(),
            "mean_seconds": mean.ravel(),
        }
    )


def ratio(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """k / n, NaN where n is 0."""
    return np.divide(k, n, out=np.full(k.shape, np.nan), where=n > 0)


def _share(effective: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.nan_to_num(ratio(effective, n))


def _reached(
    parts: Sequence[ShardChains], groups: Groups, question: Question, mature: bool
) -> np.ndarray:
    """Units that did each step, by group: int64 (groups, steps)."""
    size, steps = len(groups.names), len(question.steps)
    wide = steps + 1
    ends = np.zeros((size, wide), np.int64)
    optional = [k for k, step in enumerate(question.steps) if step.optional]
    did = np.zeros((size, steps), np.int64)
    for part, codes in zip(parts, groups.codes, strict=True):
        keep = part.mature if mature else part.chosen
        cell = codes[keep] * wide + part.reach[keep]
        ends += np.bincount(cell, minlength=size * wide).reshape(size, wide)
        if optional:
            far = part.reach > 1
            own, times = codes[far][keep[far]], part.times[keep[far]]
            for k in optional:
                did[:, k] += np.bincount(own[times[:, k] != NOT_DONE], minlength=size)
    # Who reached a required step did every required step before it.
    reached = ends[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    reached[:, optional] = did[:, optional]
    return reached


def _mature(parts: Sequence[ShardChains], groups: Groups) -> _Mature:
    columns = []
    for part, codes, users in zip(parts, groups.codes, user_numbers(parts), strict=True):
        keep, far = part.mature, part.reach > 1
        columns.append((codes[keep], users[keep], part.reach[keep], part.times[keep[far]]))
    return _Mature(*(np.concatenate(column) for column in zip(*columns, strict=True)))


def _effective(
    mature: _Mature,
    k: np.ndarray,
    n_first: np.ndarray,
    n_previous: np.ndarray,
    before: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Effective sample sizes behind the rates from first and from previous: (groups, steps)."""
    size, steps = k.shape
    did = np.zeros((len(mature.group), steps), np.bool_)
    did[:, 0] = True
    did[mature.reach > 1] = mature.times != NOT_DONE
    clusters = _clusters(mature)
    first, previous = (np.empty((size, steps)) for _ in range(2))
    for step in range(steps):
        first[:, step] = _sizes(clusters, did[:, step], did[:, 0], size)
        previous[:, step] = _sizes(clusters, did[:, step], did[:, before[step]], size)
    return first, previous


def conversion_sizes(result: FunnelResult) -> np.ndarray:
    """Per group how many independent units stand behind the rate from the first step to the
    conversion; see `stats.effective_size`.
    """
    question, last = result.question, result.question.conversion - 1
    n = _reached(result.parts, result.groups, question, True)[:, 0]
    if not question.repeats_users:
        return n.astype(float)
    mature = _mature(result.parts, result.groups)
    did = np.ones(len(mature.reach), np.bool_)
    if last:
        did[mature.reach == 1] = False
        did[mature.reach > 1] = mature.times[:, last] != NOT_DONE
    return _sizes(_clusters(mature), did, np.ones(len(did), np.bool_), len(n))


class _Clusters(NamedTuple):
    """The users of each group: the number of each chain's, and the group of each number."""

    of_chain: np.ndarray
    group: np.ndarray


def _clusters(mature: _Mature) -> _Clusters:
    users = int(mature.user.max(initial=0)) + 1
    pairs, cluster = np.unique(mature.group * users + mature.user, return_inverse=True)
    return _Clusters(cluster, pairs // users)


def _sizes(clusters: _Clusters, hits: np.ndarray, tries: np.ndarray, groups: int) -> np.ndarray:
    """Effective sizes of the rates hits / tries of each group."""
    of_chain, group = clusters
    k = np.bincount(of_chain, hits & tries, minlength=len(group))
    n = np.bincount(of_chain, tries, minlength=len(group))
    return np.array([effective_size(k[group == g], n[group == g]) for g in range(groups)])


def _waits(
    parts: Sequence[ShardChains], groups: Groups, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median and mean wait since the step done before, in seconds: two arrays (groups, steps)."""
    size = len(groups.names)
    median, mean = np.full((2, size, steps), np.nan)
    if not parts:
        return median, mean
    times, group = [], []
    for part, codes in zip(parts, groups.codes, strict=True):
        far = part.reach > 1
        keep = part.mature[far]
        times.append(part.times[keep])
        group.append(codes[far][keep])
    all_times, all_groups = np.concatenate(times), np.concatenate(group)
    before = all_times[:, 0].copy()
    for k in range(1, steps):
        own = all_times[:, k]
        did = own != NOT_DONE
        waits = own[did] - before[did]
        before[did] = own[did]
        owners = all_groups[did]
        for g in range(size):
            mine = waits if size == 1 else waits[owners == g]
            if len(mine):
                median[g, k] = np.median(mine) / US_PER_SECOND
                mean[g, k] = int(mine.sum()) / len(mine) / US_PER_SECOND
    return median, mean
