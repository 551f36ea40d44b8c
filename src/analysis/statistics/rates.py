"""Events per session and left carts per cart, by level: rates, intervals, trends.

People differ in how often they do a thing, and the sessions of one person are alike, so whatever
is counted in sessions or carts has an interval over people: the person is what was drawn.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from analysis.statistics.stats import CONFIDENCE, wilson

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


class Trend(NamedTuple):
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
    # Who had no trial says nothing about what happens in one.
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
            relative = np.log(max(rate / low, high / rate)) / _z()
    elif e:
        low, high = (rate * np.exp(side * _z() * relative) for side in (-1, 1))
    else:
        low, high = 0.0, -np.log((1 - CONFIDENCE) / 2) / t
    return e, t, PER * rate, PER * low, PER * high, relative


def trend(events: np.ndarray, trials: np.ndarray, level: np.ndarray, found: Rates) -> Trend:
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
        low, high = (float(ratio * np.exp(side * _z() * error)) for side in (-1, 1))
    return Trend(ratio, low, high, z, float(2 * norm.sf(abs(z))))


def _z() -> float:
    from scipy.stats import norm

    return float(norm.ppf((1 + CONFIDENCE) / 2))
