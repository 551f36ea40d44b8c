"""What share has converted by when, if some have not been followed to the end?

The share of all who entered that has converted so far is too low for recent entries, and leaving
out just those who have not converted yet makes it too high. Kaplan and Meier's estimate uses each
person for as long as they were followed and no longer. Here are the curve (`steps_of`,
`points_at`) with its interval, its quantiles (`quantile`, `converters_quantile`), and the log-rank
test between groups (`logrank`).

The estimator is three lines over sorted integers, so that a million waits take a few hundredths
of a second; every number of it is held against two libraries in the tests. Times are integers of
microseconds: two conversions at the same instant are tied, not almost so.

What this module refuses to do: go on where nobody was followed any longer. There the curve is
NaN, and so is every quantile that it has not reached.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from analysis.statistics.rates import CONFIDENCE, Interval, wilson

_FEWEST_EVENTS = 6
"""With five events or fewer, not even the outermost two hold the median with 95 %: 2 / 2**5."""


_ROUNDING = 1e-12
"""A curve has reached a share that it misses by no more than rounding."""


class Steps(NamedTuple):
    """The curve at the instants at which it rises.

    `times` (microseconds since the start, ascending), `events` at each, `at_risk` just before,
    `survival` from then on, `spread` (Greenwood's sum); of `n` users, of whom the last was
    followed up to `reach`, and of whom `censored` (ascending) were lost earlier than that.
    """

    times: np.ndarray
    events: np.ndarray
    at_risk: np.ndarray
    survival: np.ndarray
    spread: np.ndarray
    n: int
    reach: int
    censored: np.ndarray


class Points(NamedTuple):
    """The curve at chosen instants; `rate` is 1 − survival. NaN where nobody was followed."""

    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    converted: np.ndarray


class LogRank(NamedTuple):
    """Do the curves of several groups differ? Chi-square, its degrees of freedom, the p value."""

    statistic: float
    df: int
    p_value: float


def steps_of(wait_us: np.ndarray, converted: np.ndarray, horizon_us: int) -> Steps:
    """How many have converted after which time, when some were not followed to the end?

    Parameters
    ----------
    wait_us : int64 array, microseconds to the conversion, or to the end of what is known.
    converted : bool array, which of the two it is.
    horizon_us : nobody is looked at for longer.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457: survival is the product of 1 − dᵢ / nᵢ over the instants
    of events; dᵢ events among nᵢ at risk. Whoever is lost at the instant of an event was still at
    risk at it. The spread is Greenwood's sum of dᵢ / (nᵢ (nᵢ − dᵢ)).

    Examples
    --------
    >>> steps = steps_of(np.array([1, 2, 2, 3]), np.array([True, False, True, True]), 10)
    >>> steps.survival.round(3).tolist(), steps.at_risk.tolist()
    ([0.75, 0.5, 0.0], [4, 3, 1])
    """
    happened = converted & (wait_us <= horizon_us)
    times, events = np.unique(wait_us[happened], return_counts=True)
    lost = wait_us[~happened]
    censored = np.sort(lost[lost < horizon_us])
    n = len(wait_us)
    before = np.concatenate([[0], np.cumsum(events)[:-1]]) if len(events) else events
    at_risk = n - before - np.searchsorted(censored, times, "left")
    left = at_risk - events
    with np.errstate(divide="ignore"):
        spread = np.cumsum(events / (at_risk * left.astype(float)))
    reach = int(np.minimum(wait_us, horizon_us).max()) if n else -1
    return Steps(times, events, at_risk, np.cumprod(left / at_risk), spread, n, reach, censored)


def points_at(steps: Steps, times: np.ndarray, *, confidence: float = CONFIDENCE) -> Points:
    """Which share has converted by each of these times, between which limits?

    Notes
    -----
    The limits are those of log(−log survival) with Greenwood's variance (Kalbfleisch & Prentice
    1980, *The Statistical Analysis of Failure Time Data*), which stay between 0 and 1. Before the
    first conversion Greenwood's variance is 0: there the upper limit is Wilson's for none of
    those at risk. Where all have converted the lower limit is Wilson's for all of those who were
    at risk last, or that of the step before where it is higher, as the share cannot fall.

    Examples
    --------
    >>> steps = steps_of(np.array([1, 2, 2, 3, 9, 9]), np.array([1, 0, 1, 1, 0, 0]) > 0, 8)
    >>> found = points_at(steps, np.array([0, 2, 8]))
    >>> found.rate.round(3).tolist(), found.at_risk.tolist(), found.converted.tolist()
    ([0.0, 0.333, 0.556], [6, 5, 2], [0, 2, 3])
    """
    times = np.asarray(times, np.int64)
    low, high = _limits(steps, confidence)
    place = np.searchsorted(steps.times, times, "right")
    done = np.searchsorted(steps.times, times, "left")
    counts = np.concatenate([[0], np.cumsum(steps.events)])
    at_risk = steps.n - counts[done] - np.searchsorted(steps.censored, times, "left")
    none = wilson(np.zeros(len(times)), at_risk, confidence=confidence)[1]
    survival = np.concatenate([[1.0], steps.survival])[place]
    unknown = (times > steps.reach) & (survival > 0)
    limits = np.concatenate([[0.0], low])[place], np.concatenate([[np.nan], high])[place]
    return Points(
        rate=np.where(unknown, np.nan, 1 - survival),
        low=np.where(unknown, np.nan, limits[0]),
        high=np.where(unknown, np.nan, np.where(place == 0, none, limits[1])),
        at_risk=np.where(times > max(steps.reach, 0), 0, at_risk),
        converted=counts[place],
    )


def quantile(steps: Steps, share: float, *, confidence: float = CONFIDENCE) -> Interval:
    """By when has this share of everybody converted? Microseconds; NaN if they never did.

    Notes
    -----
    The first time at which the curve has reached the share; the limits are the first times at
    which its upper and its lower limit have (Brookmeyer & Crowley 1982, *Biometrics* 38:29). A
    limit that is not reached is NaN.

    Examples
    --------
    >>> steps = steps_of(np.arange(1, 101), np.full(100, True), 200)
    >>> quantile(steps, 0.5)
    Interval(estimate=50.0, low=40.0, high=60.0)
    """
    low, high = _limits(steps, confidence)
    curves = (1 - steps.survival, high, low)
    found = [_first(steps.times, curve >= share - _ROUNDING) for curve in curves]
    return Interval(found[0], found[1], found[2])


def converters_quantile(
    steps: Steps, share: float, horizon_us: int, *, confidence: float = CONFIDENCE
) -> Interval:
    """How many microseconds until this share of the horizon's conversions have happened?

    Waits that are cut off count with the share of them that is expected to convert yet, so that
    quick conversions of newcomers do not make the wait look short.

    Notes
    -----
    With F the curve and H the horizon, the first t with F(t) ≥ q·F(H). The limits are the first
    times at which D(t) = F(t) − q·F(H) is above 0 with +z and with −z standard errors; by
    Greenwood's formula the covariance of S(s) and S(t) is S(s)·S(t)·V(s) for s ≤ t, so
    Var D(t) = S(t)²V(t) + q²S(H)²V(H) − 2q·S(t)·S(H)·V(t). Without cut-off waits this is the
    usual interval of a quantile by its order statistics. With fewer than six conversions there
    is none.

    Examples
    --------
    >>> steps = steps_of(np.repeat(np.arange(1, 101), 2), np.tile([True, False], 100), 60)
    >>> converters_quantile(steps, 0.5, 60).estimate
    34.0
    """
    from scipy.stats import norm

    known = len(steps.times) and (steps.reach >= horizon_us or steps.survival[-1] == 0)
    if not known:
        return Interval(np.nan, np.nan, np.nan)
    survival, spread = steps.survival, np.where(steps.survival > 0, steps.spread, 0.0)
    final = survival[-1]
    above = (1 - survival) - share * (1 - final)
    estimate = _first(steps.times, above >= -_ROUNDING)
    if steps.events.sum() < _FEWEST_EVENTS:
        return Interval(estimate, np.nan, np.nan)
    variance = (
        survival**2 * spread
        + share**2 * final**2 * spread[-1]
        - 2 * share * survival * final * spread
    )
    error = norm.ppf((1 + confidence) / 2) * np.sqrt(np.clip(variance, 0, None))
    low = _first(steps.times, above + error >= -_ROUNDING)
    return Interval(estimate, low, _first(steps.times, above - error >= -_ROUNDING))


def logrank(
    wait_us: np.ndarray, converted: np.ndarray, groups: np.ndarray, horizon_us: int
) -> LogRank:
    """Could curves as different as these come from groups that do not differ?

    Parameters
    ----------
    wait_us, converted, horizon_us : as of `steps_of`. groups : a group's number per user.

    Returns
    -------
    LogRank; all NaN where fewer than two groups had anyone at risk when somebody converted.

    Notes
    -----
    Mantel 1966, *Cancer Chemother Rep* 50:163; computed by statsmodels. Waits enter by their rank
    among the instants of conversions, which is all that the test looks at.

    Examples
    --------
    >>> waits, groups = np.arange(1, 41), np.repeat([0, 1], 20)
    >>> logrank(waits, np.full(40, True), groups, 100).p_value < 0.001
    True
    """
    from scipy.stats import chi2
    from statsmodels.duration.survfunc import survdiff

    if not len(groups) or groups.min() == groups.max():
        return LogRank(np.nan, 0, np.nan)
    happened = converted & (wait_us <= horizon_us)
    instants = np.unique(wait_us[happened])
    # A wait cut off between two conversions was at risk at the earlier one and at none after it.
    rank = np.searchsorted(instants, wait_us, "right")
    keep = rank > 0
    compared = np.unique(groups[keep])
    if len(compared) < 2:
        return LogRank(np.nan, max(len(compared) - 1, 0), np.nan)
    try:
        statistic, _ = survdiff(rank[keep], happened[keep].astype(np.int8), groups[keep])
    except np.linalg.LinAlgError:
        # Where one group alone was at risk at every conversion, there is nothing to compare.
        return LogRank(np.nan, len(compared) - 1, np.nan)
    df = len(compared) - 1
    return LogRank(float(statistic), df, float(chi2.sf(statistic, df)))


def _limits(steps: Steps, confidence: float) -> tuple[np.ndarray, np.ndarray]:
    """Limits of the rate at every step."""
    from scipy.stats import norm

    if not len(steps.times):
        return np.empty(0), np.empty(0)
    inside = steps.survival > 0
    survival = np.where(inside, steps.survival, 0.5)
    error = norm.ppf((1 + confidence) / 2) * np.sqrt(np.where(inside, steps.spread, 0.0))
    logs = np.log(survival)
    low = 1 - survival ** np.exp(error / logs)
    high = 1 - survival ** np.exp(-error / logs)
    if not inside[-1]:
        # Only the last step can have everybody.
        everybody = float(wilson(steps.events[-1], steps.at_risk[-1], confidence=confidence)[0])
        low[-1] = max([everybody, *low[-2:-1]])
        high[-1] = 1.0
    return low, high


def _first(times: Sequence[int] | np.ndarray, reached: np.ndarray) -> float:
    return float(times[int(np.argmax(reached))]) if reached.any() else np.nan
