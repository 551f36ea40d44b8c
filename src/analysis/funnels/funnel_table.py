"""The numbers of a funnel: counts, rates, intervals and waits, of what its chains add up to.

Every view of a funnel is a group-by of the same chains; `funnel_sums` adds them up, and here the
sums become rates with their intervals.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from analysis.core.schema import US_PER_SECOND
from analysis.funnels.counts import FunnelSums, waits_of
from analysis.funnels.spec import Question
from analysis.statistics.stats import effective_size_of, wilson

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


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


def funnel_table(sums: FunnelSums, question: Question) -> pd.DataFrame:
    """The tidy table of a funnel, a row per group and step; its columns are `FunnelResult`'s."""
    size, steps = len(sums.names), len(question.steps)
    count, k = sums.counts
    before = previous_required(question)
    n_first = np.repeat(k[:, :1], steps, axis=1)
    n_previous = k[:, before]
    from_first, from_previous = n_first.astype(float), n_previous.astype(float)
    if question.repeats_users:
        from_first, from_previous = _effective(sums, before)
    median, mean = (waits / US_PER_SECOND for waits in waits_of(sums))
    rate, step_rate = ratio(k, n_first), ratio(k, n_previous)
    rate_low, rate_high = wilson(k * _share(from_first, n_first), from_first)
    low, high = wilson(k * _share(from_previous, n_previous), from_previous)
    for cells in (step_rate, low, high):
        cells[:, 0] = np.nan
    names = np.empty(size, object)
    names[:] = sums.names
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


def _effective(sums: FunnelSums, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Effective sample sizes behind the rates from first and from previous: (groups, steps)."""
    groups, steps = sums.users.shape
    first, previous = np.empty((2, groups, steps))
    for group in range(groups):
        for step in range(steps):
            first[group, step] = _size(sums, group, step, 0)
            previous[group, step] = _size(sums, group, step, int(before[step]))
    return first, previous


def _size(sums: FunnelSums, group: int, step: int, of: int) -> float:
    """The effective size of the rate of those who did a step among those who did another."""
    done, own = sums.counts[1, group], sums.moments[group]
    squares = own[step, step], own[step, of], own[of, of]
    return effective_size_of(done[step], done[of], squares=squares, clusters=sums.users[group, of])


def conversion_sizes(result: FunnelResult) -> np.ndarray:
    """Per group how many independent units stand behind the rate from the first step to the
    conversion; see `stats.effective_size`.
    """
    sums, last = result.sums, result.question.conversion - 1
    if not result.question.repeats_users:
        return sums.counts[1, :, 0].astype(float)
    return np.array([_size(sums, group, last, 0) for group in range(len(sums.names))])
