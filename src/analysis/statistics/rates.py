"""How sure is a rate, and do two rates differ by more than chance?

Every rate of this project is shown with its count and its interval, and every difference with its
interval and its test: they all come from here. The sections, in order: one rate (`wilson`,
`shares`), rates of trials that come in clusters (`effective_size`), the difference of two rates
(`newcombe`, `two_proportions`), many tests at once (`q_values`), two groups of people compared in
many things (`compare_shares`, `compare_waits`, `judged`), and how often people do a thing at three
levels (`rates`, `trend`).

What these functions refuse to do: give a value to a rate of nothing. Undefined is NaN, never 0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from analysis.core.schema import US_PER_DAY

CONFIDENCE = 0.95

Z95: Final = 1.959963984540054
"""How many standard errors an interval of 95 percent reaches to each side."""


class Interval(NamedTuple):
    """An estimate between two limits."""

    estimate: float
    low: float
    high: float


class Difference(NamedTuple):
    """Differences of rates between two limits, as fractions; arrays of equal shape."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


# One rate


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


def ratio(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """k / n, NaN where n is 0."""
    return np.divide(k, n, out=np.full(k.shape, np.nan), where=n > 0)


def shares(k: Sequence[int] | np.ndarray, n: Sequence[int] | np.ndarray | int) -> pd.DataFrame:
    """Counts as rates with Wilson's limits: ``k, n, rate, low, high``; NaN where n is 0.

    Examples
    --------
    >>> shares([8, 0], [40, 0]).round(4).values.tolist()
    [[8.0, 40.0, 0.2, 0.105, 0.3476], [0.0, 0.0, nan, nan, nan]]
    """
    hits, trials = np.broadcast_arrays(np.asarray(k, np.int64), np.asarray(n, np.int64))
    low, high = wilson(hits, trials)
    return pd.DataFrame(
        {"k": hits, "n": trials, "rate": ratio(hits, trials), "low": low, "high": high}
    )


# Rates of trials that come in clusters


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


# The difference of two rates


def newcombe(
    k: ArrayLike,
    n: ArrayLike,
    other_k: ArrayLike,
    other_n: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
    correlation: ArrayLike = 0.0,
) -> Difference:
    """By how much does k / n differ from other_k / other_n? Newcombe's hybrid score interval.

    Parameters
    ----------
    k, n, other_k, other_n : successes and trials of both; numbers, or arrays of equal shape.
    correlation : of the two rates, where people are in both; default: they are independent.

    Returns
    -------
    Difference
        NaN where one of the rates is undefined.

    Notes
    -----
    Newcombe 1998, *Stat Med* 17:873, method 10: the squares of the distances from each rate to
    its Wilson limits add up. Rates that are correlated have a product term as well, as for paired
    data (Newcombe 1998, *Stat Med* 17:2635).

    Examples
    --------
    >>> found = newcombe([56, 0], [70, 0], [48, 3], [80, 9])
    >>> found.estimate.round(4), found.low.round(4), found.high.round(4)
    (array([0.2, nan]), array([0.0524,    nan]), array([0.3339,    nan]))
    """
    both = []
    for successes, trials in ((k, n), (other_k, other_n)):
        hits, of = np.broadcast_arrays(np.asarray(successes, float), np.asarray(trials, float))
        both.append((ratio(hits, of), *wilson(hits, of, confidence=confidence)))
    return newcombe_from_limits(*both, correlation=correlation)


def newcombe_from_limits(
    a: Sequence[ArrayLike], b: Sequence[ArrayLike], *, correlation: ArrayLike = 0.0
) -> Difference:
    """`newcombe` of two rates whose Wilson limits are known, such as those of clustered trials.

    Parameters
    ----------
    a, b : rate, lower and upper limit; numbers, or arrays of equal shape.
    correlation : of the two rates, where people are in both.

    Examples
    --------
    >>> found = newcombe_from_limits((0.8, *wilson(56, 70)), (0.6, *wilson(48, 80)))
    >>> round(float(found.low), 4), round(float(found.high), 4)
    (0.0524, 0.3339)
    """
    rate, low, high = (np.asarray(x, float) for x in a)
    other, other_low, other_high = (np.asarray(x, float) for x in b)
    difference = rate - other
    below, above = (
        _third_side(rate - low, other_high - other, correlation),
        _third_side(high - rate, other - other_low, correlation),
    )
    return Difference(difference, difference - below, difference + above)


def _third_side(a: np.ndarray, b: np.ndarray, cosine: ArrayLike) -> np.ndarray:
    """How far two deviations that are correlated are apart: the law of cosines."""
    square = a**2 + b**2 - 2 * np.asarray(cosine, float) * a * b
    return np.sqrt(np.maximum(square, 0.0))


def two_proportions(
    k: ArrayLike,
    n: ArrayLike,
    other_k: ArrayLike,
    other_n: ArrayLike,
    *,
    correlation: ArrayLike = 0.0,
) -> np.ndarray:
    """Could rates as different as these come from groups of one rate? The two-sided p-value.

    Parameters
    ----------
    k, n, other_k, other_n : successes and trials of both; numbers, or arrays of equal shape.
        Trials may be effective sizes, and then are no whole numbers.
    correlation : of the two rates, where people are in both.

    Returns
    -------
    p-values; 1 where all or none succeeded in both groups, NaN where one of the rates is undefined.

    Notes
    -----
    The score test with the pooled rate p: z = (k/n − k'/n') / √(p(1 − p)(1/n + 1/n')), against the
    normal distribution. Its square is Pearson's χ² of the table of four.

    Examples
    --------
    >>> two_proportions([56, 0, 0], [70, 9, 0], [48, 0, 3], [80, 5, 9]).round(4)
    array([0.008, 1.   ,   nan])
    """
    from scipy.stats import norm

    hits, of, other_hits, other_of = (np.asarray(x, float) for x in (k, n, other_k, other_n))
    with np.errstate(divide="ignore", invalid="ignore"):
        pooled = (hits + other_hits) / (of + other_of)
        shared = 2 * np.asarray(correlation, float) / np.sqrt(of * other_of)
        error = np.sqrt(pooled * (1 - pooled) * (1 / of + 1 / other_of - shared))
        z = (hits / of - other_hits / other_of) / error
    alike = (pooled == 0) | (pooled == 1)
    p_value = np.where(alike, 1.0, 2 * norm.sf(np.abs(z)))
    return np.where((of > 0) & (other_of > 0), p_value, np.nan)


# Many tests at once


def q_values(p_value: ArrayLike, counted: ArrayLike | None = None) -> np.ndarray:
    """The false discovery rate at which each of many tests would be called significant.

    Parameters
    ----------
    p_value : p-values; missing ones are left out of the family and stay NaN.
    counted : which of them belong to the family; the rest is NaN. Default: all.

    Notes
    -----
    Benjamini & Hochberg 1995, *J R Stat Soc B* 57:289–300; computed by scipy.

    Examples
    --------
    >>> q_values([0.01, 0.04, np.nan, 0.5], [True, True, True, False])
    array([0.02, 0.04,  nan,  nan])
    """
    from scipy.stats import false_discovery_control

    p = np.asarray(p_value, float)
    family = np.isfinite(p)
    if counted is not None:
        family &= np.asarray(counted, bool)
    q = np.full(p.shape, np.nan)
    if family.any():
        q[family] = false_discovery_control(p[family], method="bh")
    return q


# Two groups of people, compared in many things
#
# Shares are compared by their difference, waits by how often somebody of the one group waits
# longer than somebody of the other. Looking at many things finds some by chance, so every p-value
# has a q-value beside it, over all that one call looked at.

SHARE, LATER = "share", "later"

COLUMNS: Final = [
    "kind", "name", "value", "unit", "k_a", "n_a", "rate_a", "low_a", "high_a", "k_b", "n_b",
    "rate_b", "low_b", "high_b", "median_days_a", "median_days_b", "difference", "low", "high",
    "effect", "p_value", "q_value", "clear",
]  # fmt: skip

_FEWEST_EXPECTED = 5

_FEWEST_WAITS = 5


def compare_shares(table: pd.DataFrame) -> pd.DataFrame:
    """Do these shares differ? A row per thing, with `k_a` of `n_a` against `k_b` of `n_b`.

    Returns
    -------
    The table with rates and their Wilson intervals, ``difference`` (a − b, a fraction) with
    ``low`` and ``high``, ``effect`` (Cohen's h) and ``p_value``; NaN where a group is empty.

    Notes
    -----
    p: `two_proportions`; Fisher's exact test where fewer than 5 are expected in a cell.
    ``h = 2·asin(√rate_a) − 2·asin(√rate_b)``: Cohen 1988, *Statistical Power Analysis*, ch. 6.

    Examples
    --------
    >>> counts = pd.DataFrame({"k_a": [56], "n_a": [70], "k_b": [48], "n_b": [80]})
    >>> found = compare_shares(counts)
    >>> found[["difference", "low", "high", "effect", "p_value"]].round(4).values.tolist()
    [[0.2, 0.0524, 0.3339, 0.4421, 0.008]]
    """
    found = table.assign(unit=SHARE)
    for group in "ab":
        k, n = found[f"k_{group}"], found[f"n_{group}"]
        found[f"rate_{group}"] = k / n.where(n > 0)
        found[f"low_{group}"], found[f"high_{group}"] = wilson(k, n)
    counts = found[["k_a", "n_a", "k_b", "n_b"]].to_numpy(np.int64)
    found["difference"], found["low"], found["high"] = newcombe(*counts.T)
    angles = 2 * np.arcsin(np.sqrt(found[["rate_a", "rate_b"]].to_numpy(float)))
    found["effect"] = angles[:, 0] - angles[:, 1]
    found["p_value"] = _exact_where_few(counts, two_proportions(*counts.T))
    return found


def _exact_where_few(counts: np.ndarray, p_value: np.ndarray) -> np.ndarray:
    """The p-values, of Fisher's test where an expected count is small."""
    from scipy.stats import fisher_exact

    k_a, n_a, k_b, n_b = counts.T
    pooled = ratio(k_a + k_b, n_a + n_b)
    expected = np.minimum(n_a, n_b) * np.minimum(pooled, 1 - pooled)
    p = p_value.copy()
    for i in np.flatnonzero((expected > 0) & (expected < _FEWEST_EXPECTED)):
        a, b = (k_a[i], n_a[i] - k_a[i]), (k_b[i], n_b[i] - k_b[i])
        p[i] = fisher_exact(np.array([a, b])).pvalue
    return p


def compare_waits(name: str, a: np.ndarray, b: np.ndarray) -> dict[str, object]:
    """Does the one group wait longer than the other? One row; waits in microseconds.

    Returns
    -------
    ``median_days_a``, ``median_days_b``, and ``difference`` = P(a waits longer) + ½P(as long) − ½
    with its interval; ``effect`` is twice that (Cliff's delta). Left out with fewer than 5 waits
    in a group; without interval and test where the groups do not overlap.

    Notes
    -----
    Brunner & Munzel 2000, *Biom J* 42:17, by statsmodels.
    """
    from statsmodels.stats.nonparametric import rank_compare_2indep

    row: dict[str, object] = {"kind": "time", "name": name, "value": "", "unit": LATER}
    row |= {"k_a": len(a), "n_a": len(a), "k_b": len(b), "n_b": len(b)}
    row |= {
        f"median_days_{group}": float(np.median(own)) / US_PER_DAY if len(own) else np.nan
        for group, own in (("a", a), ("b", b))
    }
    if min(len(a), len(b)) < _FEWEST_WAITS or len(np.unique(np.concatenate([a, b]))) == 1:
        return row
    if max(a) < min(b) or max(b) < min(a):
        # Without any overlap the estimated variance is 0: there is no interval and no test.
        later = 1.0 if min(a) > max(b) else 0.0
        return row | {"difference": later - 0.5, "effect": 2 * later - 1}
    found = rank_compare_2indep(a, b)
    low, high = found.conf_int(alpha=1 - CONFIDENCE)
    half = {"difference": found.prob1 - 0.5, "low": low - 0.5, "high": high - 0.5}
    return row | half | {"effect": 2 * (found.prob1 - 0.5), "p_value": float(found.pvalue)}


def judged(table: pd.DataFrame, most_false: float) -> pd.DataFrame:
    """The table with `q_values` over all its p-values, and whether each is clear of chance.

    Examples
    --------
    >>> judged(pd.DataFrame({"p_value": [0.01, 0.5, float("nan")]}), 0.05)["q_value"].tolist()
    [0.02, 0.5, nan]
    """
    found = table.reindex(columns=COLUMNS) if "kind" in table else table.copy()
    found["q_value"] = q_values(found["p_value"])
    found["clear"] = found["q_value"] < most_false
    return found


# How often people do a thing, at three levels
#
# People differ in how often they do a thing, and the sessions of one person are alike. So counts of
# sessions or carts have intervals over people: the person is what was drawn.

PER: Final = 100

LEVELS: Final = ("low", "medium", "high")


class Rates(NamedTuple):
    """Per level (low, medium, high): counts, rate with interval, and the error of its logarithm."""

    events: np.ndarray
    trials: np.ndarray
    per_100: np.ndarray
    low: np.ndarray
    high: np.ndarray
    log_error: np.ndarray


class RateTrend(NamedTuple):
    """How many times as often at the high level as at the low one, and a test over all levels.

    ``z`` is positive where the rate rises with the level.
    """

    ratio: float
    low: float
    high: float
    z: float
    p_value: float


def rates(events: np.ndarray, trials: np.ndarray, level: np.ndarray, *, bounded: bool) -> Rates:
    """How often per 100 trials at each level, with an interval over people?

    Parameters
    ----------
    events, trials, level : a number per person; levels 0, 1, 2. bounded : a trial is an event or
        is none, as with carts; otherwise it may have several, as a session.

    Returns
    -------
    Rates per 100 trials; NaN where a level has no trials, or one person.

    Notes
    -----
    Variance of a ratio of sums over people, linearized: ``Σ(e − r·t)² / (Σt)² · n / (n − 1)``
    (Cochran 1977, *Sampling Techniques*, ch. 6). Unbounded: limits on the scale of the logarithm;
    where nothing happened the upper one is Poisson's, ``−ln(0.025) / Σt``. Bounded: Wilson's
    interval with the number of trials that would have this variance (Korn & Graubard 1998, *Surv
    Methodol* 24:193), or the number of people where all trials came out alike.

    Examples
    --------
    >>> one = np.ones(4)
    >>> found = rates(np.array([2, 0, 1, 1]), one, np.zeros(4, int), bounded=False)
    >>> found.per_100[0], found.low[0].round(1), found.high[0].round(1)
    (np.float64(100.0), np.float64(44.9), np.float64(222.6))
    """
    rows = [_rate(events[own], trials[own], bounded) for own in _by_level(level)]
    return Rates(*np.array(rows, float).T)


def _by_level(level: np.ndarray) -> list[np.ndarray]:
    return [level == place for place in range(len(LEVELS))]


def _rate(events: np.ndarray, trials: np.ndarray, bounded: bool) -> tuple[float, ...]:
    # People without a trial say nothing about what happens in one.
    events, trials = events[trials > 0], trials[trials > 0]
    e, t, n = float(events.sum()), float(trials.sum()), len(trials)
    if n < 2:
        return e, t, PER * e / t if t else np.nan, np.nan, np.nan, np.nan
    rate = e / t
    error = np.sqrt(((events - rate * trials) ** 2).sum() * n / (n - 1)) / t
    relative = error / rate if e else np.nan
    if bounded:
        alike = error == 0 or rate in (0.0, 1.0)
        size = float(n) if alike else min(t, rate * (1 - rate) / error**2)
        low, high = (float(end) for end in wilson(rate * size, size))
        if alike and rate:
            # All carts came out alike: that is no proof that all would.
            relative = np.log(max(rate / low, high / rate)) / Z95
    elif e:
        low, high = (rate * np.exp(side * Z95 * relative) for side in (-1, 1))
    else:
        low, high = 0.0, -np.log((1 - CONFIDENCE) / 2) / t
    return e, t, PER * rate, PER * low, PER * high, relative


def trend(events: np.ndarray, trials: np.ndarray, level: np.ndarray, found: Rates) -> RateTrend:
    """Do the rates rise or fall with the level, by more than chance?

    Parameters
    ----------
    events, trials, level : as in `rates`, and what it found.

    Notes
    -----
    The score test for a trend over equally spaced levels (Cochran 1954, *Biometrics* 10:417;
    Armitage 1955, *Biometrics* 11:375) with the variance over people in place of the binomial
    one: ``z = Σ(x − x̄)(e − r·t) / √Σ((x − x̄)(e − r·t))²``, r over everybody and x̄ weighted by t
    (Boos 1992, *Am Stat* 46:327). The ratio is of the high level to the low one; its interval is
    on the scale of the logarithm.

    Examples
    --------
    >>> level = np.repeat([0, 1, 2], 20)
    >>> events = level + np.tile([0, 1], 30)
    >>> found = rates(events, np.ones(60), level, bounded=False)
    >>> up = trend(events, np.ones(60), level, found)
    >>> up.ratio, up.p_value < 0.001
    (5.0, True)
    """
    from scipy.stats import norm

    known = trials > 0
    events, trials, level = events[known], trials[known], level[known]
    total = trials.sum()
    ratio = low = high = z = np.nan
    if total:
        off = events - events.sum() / total * trials
        pull = (level - (level * trials).sum() / total) * off
        spread = np.sqrt((pull**2).sum())
        z = float(pull.sum() / spread) if spread else np.nan
    if found.events[0] and found.trials[2]:
        ratio = float(found.per_100[2] / found.per_100[0])
    if ratio > 0:
        error = float(np.hypot(found.log_error[0], found.log_error[2]))
        low, high = (float(ratio * np.exp(side * Z95 * error)) for side in (-1, 1))
    return RateTrend(ratio, low, high, z, float(2 * norm.sf(abs(z))))
