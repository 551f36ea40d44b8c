"""What share will have done it by when, if some have not been watched to the end?

The share of all who entered that has converted so far is too low for recent entries, and leaving
out just those who have not converted yet makes it too high. Kaplan & Meier's estimate uses each
person for as long as they were watched and no longer.

What this module refuses to do: look further than the longest time that anybody was watched.
"""

from __future__ import annotations

import warnings
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.stats import CONFIDENCE, wilson


class Curve(NamedTuple):
    """A share that rises with time: arrays with a cell for each distinct time.

    ``rate`` with ``low`` and ``high``: the share by that time. ``at_risk``: who was watched up to
    that time and had not done it before. ``reached``: how many have done it by then.
    """

    time: np.ndarray
    rate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    at_risk: np.ndarray
    reached: np.ndarray


def share_by_time(time: ArrayLike, happened: ArrayLike, *, confidence: float = CONFIDENCE) -> Curve:
    """Which share has done it by each time? Kaplan-Meier, 1 minus the survival function.

    Parameters
    ----------
    time : how long each one was watched, or until they did it; any unit, not negative.
    happened : whether they did it at that time; who did not was watched no longer.

    Returns
    -------
    Curve with ascending times: those at which anything happened or a watch ended, each once.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457: ``1 − ∏ (1 − d/n)`` over the times up to t, d of the n at
    risk doing it; a watch that ends at t counts as at risk there. Limits from Greenwood's
    variance (1926, *Reports on Public Health* 33:1) of the log-minus-log (Kalbfleisch & Prentice
    1980): all computed by scipy. These have no value where the rate is exactly 0 or 1. At 0 the
    upper limit is Wilson's for none of those at risk; at 1 the lower one is the larger of
    Wilson's for all of those at risk and the one before, as the share cannot fall.

    Examples
    --------
    >>> curve = share_by_time([1, 2, 2, 5], [True, True, False, False])
    >>> curve.time.tolist(), curve.rate.tolist(), curve.at_risk.tolist()
    ([1.0, 2.0, 5.0], [0.25, 0.5, 0.5], [4, 3, 1])
    """
    from scipy.stats import CensoredData, ecdf

    times, events = np.asarray(time, float), np.asarray(happened, bool)
    if not len(times):
        nothing = np.empty(0)
        return Curve(nothing, nothing, nothing, nothing, np.empty(0, int), np.empty(0, int))
    survival = ecdf(CensoredData(uncensored=times[events], right=times[~events])).sf
    with warnings.catch_warnings():
        # The limits that it warns of are those given here instead.
        warnings.simplefilter("ignore", RuntimeWarning)
        limits: Any = survival.confidence_interval(confidence_level=confidence, method="log-log")
    at = survival.quantiles
    at_risk = len(times) - np.searchsorted(np.sort(times), at, side="left")
    reached = np.searchsorted(np.sort(times[events]), at, side="right")
    rate = np.where(reached == 0, 0.0, 1 - survival.probabilities)
    low, high = 1 - limits.high.probabilities, 1 - limits.low.probabilities
    none, everybody = wilson(np.zeros(len(at)), at_risk, confidence=confidence)[1], rate == 1
    low, high = np.where(rate == 0, 0.0, low), np.where(rate == 0, none, high)
    if everybody.any():
        first = int(everybody.argmax())
        least = wilson(at_risk[first], at_risk[first], confidence=confidence)[0]
        low = np.where(everybody, max([float(least), *low[max(first - 1, 0) : first]]), low)
        high = np.where(everybody, 1.0, high)
    return Curve(at, rate, low, high, at_risk, reached)
