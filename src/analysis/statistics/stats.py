"""Intervals for rates and their differences, as thin calls of statsmodels.

A rate without its n and interval is not shown anywhere in this project, so these are on every
path. Undefined is NaN, never 0: a rate of nothing has no value.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

CONFIDENCE = 0.95


class Interval(NamedTuple):
    """An estimate between two limits; fractions for rates and their differences."""

    estimate: float
    low: float
    high: float


def wilson(
    k: ArrayLike, n: ArrayLike, *, confidence: float = CONFIDENCE
) -> tuple[np.ndarray, np.ndarray]:
    """Between which limits does the rate k / n lie? Wilson's interval, NaN where n is 0.

    Parameters
    ----------
    k, n : successes and trials, of equal shape; trials are independent of each other.

    Notes
    -----
    Wilson 1927, *JASA* 22:209; recommended by Brown, Cai & DasGupta 2001, *Stat Sci* 16:101.
    The limits solve ``|k/n − p| = z·sqrt(p(1 − p)/n)``; computed by statsmodels.

    Examples
    --------
    >>> low, high = wilson(8, 40)
    >>> round(float(low), 4), round(float(high), 4)
    (0.105, 0.3476)
    """
    from statsmodels.stats.proportion import proportion_confint

    successes, trials = np.broadcast_arrays(np.asarray(k, float), np.asarray(n, float))
    asked = np.where(trials > 0, trials, 1.0)
    low, high = proportion_confint(
        np.where(trials > 0, successes, 0.0), asked, alpha=1 - confidence, method="wilson"
    )
    # Rounding may leave −1e−19 where the limit is exactly 0, or lie above 1 by as little.
    low = np.where(trials > 0, np.where(successes == 0, 0.0, np.clip(low, 0, 1)), np.nan)
    high = np.where(trials > 0, np.where(successes == trials, 1.0, np.clip(high, 0, 1)), np.nan)
    return low, high


def effective_size(k: ArrayLike, n: ArrayLike) -> float:
    """How many independent trials is a rate worth whose trials come in clusters?

    Parameters
    ----------
    k, n : per cluster (a user) its successes and trials; clusters without a trial do not count.

    Returns
    -------
    The number of trials over the design effect, and never more than the trials; where the rate is
    0 or 1, or clusters do not differ at all, the number of clusters, because nothing can be said
    about their likeness.

    Notes
    -----
    With p = Σk / Σn the linearized variance of a ratio of sums is Σ(k − p·n)² / (Σn)², and the
    design effect is that over p(1 − p)/Σn (Kish 1965, *Survey Sampling*, 8.2). Wilson's limits at
    the effective size follow Franco et al. 2019, *J Surv Stat Methodol* 7:334, its truncation
    Korn & Graubard 1998, *Surv Methodol* 24:193.

    Examples
    --------
    Two trials of each user that always end alike are worth one:

    >>> effective_size([2, 0, 2, 0], [2, 2, 2, 2])
    4.0
    """
    hits, trials = np.asarray(k, np.int64), np.asarray(n, np.int64)
    squares = int(hits @ hits), int(hits @ trials), int(trials @ trials)
    clusters = int((trials > 0).sum())
    return effective_size_of(int(hits.sum()), int(trials.sum()), squares=squares, clusters=clusters)


def effective_size_of(k: int, n: int, *, squares: tuple[int, int, int], clusters: int) -> float:
    """`effective_size` of clusters of which only the sums are known.

    Parameters
    ----------
    k, n : all successes and all trials.
    squares : the sums over clusters of k², of k·n, and of n².
    clusters : how many have a trial.

    Examples
    --------
    >>> effective_size_of(4, 8, squares=(8, 8, 16), clusters=4)
    4.0
    """
    hits, total = int(k), int(n)  # whole numbers without a limit
    kk, kn, nn = map(int, squares)
    if not total:
        return 0.0
    # Whole numbers, so that likeness of all clusters is seen as such: (Σn)²·Σ(k − p·n)².
    spread = total**2 * kk - 2 * hits * total * kn + hits**2 * nn
    if not spread or hits in (0, total):
        return float(clusters)
    return float(min(hits * (total - hits) * total**2 / spread, total))


def newcombe(
    k: int, n: int, k_before: int, n_before: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """By how much does k / n differ from k_before / n_before? Newcombe's hybrid score interval.

    Notes
    -----
    Newcombe 1998, *Stat Med* 17:873, method 10: the squares of the distances from each rate to
    its Wilson limits add up. Computed by statsmodels. NaN where one of the rates is undefined.

    Examples
    --------
    >>> change = newcombe(56, 70, 48, 80)
    >>> round(change.estimate, 4), round(change.low, 4), round(change.high, 4)
    (0.2, 0.0524, 0.3339)
    """
    from statsmodels.stats.proportion import confint_proportions_2indep

    if not n or not n_before:
        return Interval(np.nan, np.nan, np.nan)
    low, high = confint_proportions_2indep(
        k, n, k_before, n_before, method="newcomb", compare="diff", alpha=1 - confidence
    )
    return Interval(k / n - k_before / n_before, float(low), float(high))
