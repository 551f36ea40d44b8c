"""What is usual for a number, by its own past? A level that drifts, with the range it leaves.

Rates wander from week to week by more than the chance of who happened to come. So the range that a
week's number is expected in comes from the weeks before it: a level that drifts, and weeks that lie
around it by more than chance. How much of both is not known; the prediction is an average over
what fits the past, so there is no fit that can fail.

What this module refuses to do: judge by fewer than four earlier periods; let a period that was
clearly out of its range widen the range of the next ones; use what came later.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

FEWEST_PERIODS: Final = 4
MOST_PERIODS: Final = 26

CLEAR: Final = 0.01
"""Below this p-value a number is clearly out of its usual range: outside 99 %."""

UNUSUAL: Final = 0.05

NEW_LEVEL: Final = 3
"""So many clear periods in a row on one side start a new level."""

LEAST_EXPECTED: Final = 10.0
"""Below so many expected successes, or failures, a rate is not judged."""

USUAL, LOW, HIGH = "usual", "low", "high"
CLEARLY_LOW, CLEARLY_HIGH = "clearly low", "clearly high"
UNKNOWN, TOO_FEW, NOT_FINAL = "not known yet", "too few to judge", "not final"

NOT_WHOLE: Final = "not whole"
"""What trends say of a period that is final, and that the log holds in part or with a gap."""

_WANDER = np.array([0, 0.015, 0.03, 0.05, 0.08, 0.12, 0.18])
_DRIFT = np.array([0, 0.01, 0.02, 0.04, 0.07, 0.12])
_TAU2, _OMEGA2 = (grid.ravel() ** 2 for grid in np.meshgrid(_WANDER, _DRIFT, indexing="ij"))
_LOG_PRIOR = (
    -0.5 * (_TAU2 / 0.06**2 + _OMEGA2 / 0.04**2)
    + np.log(np.outer(np.gradient(_WANDER), np.gradient(_DRIFT))).ravel()
)
_TAILS = (0.005, 0.025, 0.5, 0.975, 0.995)
_LAST = 4

_MOST_VARIANCE: Final = 2.0
"""The sampling variance 1/(k + ½) of the log odds where k is 0."""


class UsualRange(NamedTuple):
    """Per period what its earlier ones make usual, and how it compares; arrays of one shape.

    Attributes
    ----------
    usual : the middle of the range. low, high : the range that 95 % of usual periods lie in.
    clear_low, clear_high : the one that 99 % lie in. NaN with fewer than four earlier periods.
    expected : how many successes (or which total) are usual in a period of this size.
    p_value : how often a usual period lies as far out, on either side; NaN where not judged.
    verdict : ``"usual"``; ``"low"``, ``"high"`` (outside 95 %); ``"clearly low"``, ``"clearly
        high"`` (outside 99 %); or why there is none: ``"not known yet"`` (fewer than four earlier
        periods), ``"too few to judge"``, ``"not final"`` (not `usable`).
    history : how many earlier periods the range comes from.
    level : the place of the first period of the level; above 0 since a new level began.
    """

    usual: np.ndarray
    low: np.ndarray
    high: np.ndarray
    clear_low: np.ndarray
    clear_high: np.ndarray
    expected: np.ndarray
    p_value: np.ndarray
    verdict: np.ndarray
    history: np.ndarray
    level: np.ndarray


def usual_range(
    number: ArrayLike,
    n: ArrayLike | None = None,
    *,
    squares: ArrayLike | None = None,
    days: ArrayLike | None = None,
    usable: ArrayLike | None = None,
    least_expected: float = LEAST_EXPECTED,
) -> UsualRange:
    """Which range is usual for each period, by the periods before it?

    Parameters
    ----------
    number : a number per period, the oldest first: successes of `n` trials; or, without `n`, a
        total, such as people or money. Of several series a row each. A total that is not above 0
        is neither judged nor used.
    n : trials, for a rate.
    squares : of a total, the sum of the squares of what each person adds; default: everybody
        adds 1.
    days : how long each period is, for totals; default: all are as long.
    usable : which periods are whole and final: only they are judged, and used for later ones.
        Default: all.
    least_expected : of a rate, the fewest successes, and failures, that must be usual in a
        period for it to be judged.

    Returns
    -------
    UsualRange
        Rates, or totals of a period as long as that one.

    Notes
    -----
    The log odds of period i, or the logarithm of its total, is its level plus a normal error of
    variance v_i + τ²: v_i is the sampling variance, 1/(k + ½) + 1/(n − k + ½) or Σs²/(Σs)². The
    level walks by a variance of ω² a period. A Kalman filter for each of 42 pairs (τ, ω), weighed
    by prior and likelihood, predicts the next one; the range has the quantiles of this mixture. At
    most the last 26 periods are used. Clear periods are left out of later ranges, until three in a
    row on one side start a new level.

    A level that stays, as in Laney's p′ chart, calls 38 % of weeks out of control where the rate
    walks by 6 % a week; this range calls 1 % (2,000 simulated series).

    Examples
    --------
    >>> k = [24, 52, 51, 69, 58, 64, 56, 71, 77, 80, 75, 75, 65]
    >>> n = [638, 880, 1026, 1060, 1133, 1144, 1232, 1326, 1399, 1471, 1516, 1483, 1665]
    >>> found = usual_range(k, n)
    >>> found.low[-1].round(5), found.high[-1].round(5), found.p_value[-1].round(4)
    (np.float64(0.04108), np.float64(0.06732), np.float64(0.0228))
    >>> found.verdict[0], found.verdict[-1]
    ('not known yet', 'low')
    """
    series = _series_of(number, n, squares, days)
    shape = np.shape(number)
    size, periods = series.y.shape
    final = np.ones(shape, bool) if usable is None else np.broadcast_to(usable, shape)
    known = np.isfinite(series.y) & np.reshape(final, series.y.shape)
    used = known.copy()
    level = np.zeros(size, np.int64)
    run = np.zeros(size, np.int64)
    found = _Found.empty(size, periods)
    for i in range(periods):
        mix = _predicted(series, used, level, i)
        below = _share_below(mix, series.y[:, i])
        p = np.where(known[:, i], 2 * np.minimum(below, 1 - below), np.nan)
        usual = _center(series, mix, i)
        few = _few(series, usual, i, least_expected)
        p[few] = np.nan
        side = np.where(p < CLEAR, np.where(below < 0.5, -1, 1), 0)
        found.keep(i, mix, p, below, few, level)
        used[side != 0, i] = False
        # A period that is neither judged nor used neither makes nor breaks a row of clear ones.
        run = np.where(~known[:, i], run, np.where(side == 0, 0, _longer(run, side)))
        for s in np.flatnonzero(np.abs(run) == NEW_LEVEL):
            first = np.flatnonzero(known[s, : i + 1])[-NEW_LEVEL]
            used[s, first : i + 1] = known[s, first : i + 1]
            level[s], run[s] = first, 0
    return found.told(series, known, np.reshape(final, known.shape), shape)


class _Series(NamedTuple):
    """Series on the scale of the model: values with their sampling variance; (series, periods)."""

    y: np.ndarray
    v: np.ndarray
    number: np.ndarray
    n: np.ndarray | None
    days: np.ndarray


def _series_of(
    number: ArrayLike, n: ArrayLike | None, squares: ArrayLike | None, days: ArrayLike | None
) -> _Series:
    total = np.atleast_2d(np.asarray(number, float))
    length = np.broadcast_to(1.0 if days is None else np.asarray(days, float), total.shape)
    with np.errstate(divide="ignore", invalid="ignore"):
        if n is not None:
            trials = np.broadcast_to(np.asarray(n, float), total.shape)
            hits, misses = total + 0.5, trials - total + 0.5
            y, v = np.log(hits / misses), 1 / hits + 1 / misses
            return _Series(np.where(trials > 0, y, np.nan), v, total, trials, length)
        own = total if squares is None else np.broadcast_to(np.asarray(squares, float), total.shape)
        y, v = np.log(np.where(total > 0, total, np.nan) / length), own / total**2
    return _Series(y, v, total, None, length)


class _Mixture(NamedTuple):
    """Predictions of one period: the weights, means and deviations of the 42 filters per series."""

    weight: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    history: np.ndarray


def _predicted(series: _Series, used: np.ndarray, level: np.ndarray, i: int) -> _Mixture:
    """What the periods before `i` lead to expect of it."""
    size = len(level)
    first = max(i - MOST_PERIODS, 0)
    places = np.arange(first, i)
    own = used[:, first:i] & (places >= level[:, None])
    a = np.zeros((size, len(_TAU2)))
    variance, log_likelihood = np.zeros_like(a), np.zeros_like(a)
    begun = np.zeros(size, bool)
    for at, j in enumerate(places):
        here = own[:, at]
        y, noise = series.y[:, j, None], series.v[:, j, None] + _TAU2
        variance = variance + np.where(begun[:, None], _OMEGA2, 0.0)
        start, go_on = (here & ~begun)[:, None], (here & begun)[:, None]
        spread = variance + noise
        error = y - a
        with np.errstate(invalid="ignore"):
            gain = np.where(go_on, variance / spread, 0.0)
            fit = -0.5 * (np.log(spread) + error**2 / spread)
        log_likelihood += np.where(go_on, fit, 0.0)
        a = np.where(start, y, a + np.where(go_on, gain * error, 0.0))
        variance = np.where(start, noise, variance * (1 - gain))
        begun |= here
    history = own.sum(axis=1)
    score = _LOG_PRIOR + log_likelihood
    weight = np.exp(score - score.max(axis=1, keepdims=True))
    weight /= weight.sum(axis=1, keepdims=True)
    new = _variance_ahead(series, own, places, a, i)
    with np.errstate(invalid="ignore"):
        sd = np.sqrt(variance + _OMEGA2 + _TAU2 + new)
    enough = (history >= FEWEST_PERIODS)[:, None]
    return _Mixture(weight, np.where(enough, a, np.nan), np.where(enough, sd, np.nan), history)


def _variance_ahead(
    series: _Series, own: np.ndarray, places: np.ndarray, a: np.ndarray, i: int
) -> np.ndarray:
    """The sampling variance that the next period will have."""
    past = series.number[:, places]
    with np.errstate(divide="ignore", invalid="ignore"):
        if series.n is not None:
            k, n = (np.where(own, x, 0).sum(axis=1) for x in (past, series.n[:, places]))
            # Where all or none succeeded, the rate is no rate to go by.
            rate = np.where((k > 0) & (k < n), k / n, (k + 0.5) / (n + 1))
            ahead = series.n[:, i]
            sides = [1 / (ahead * share) for share in (rate, 1 - rate)]
            # The fewer the successes, the less 1/k is their variance: it has that of none at most.
            sides = [np.where(ahead > 0, np.minimum(side, _MOST_VARIANCE), side) for side in sides]
            return (sides[0] + sides[1])[:, None]
        # A total's relative variance falls with the total: what stays is their product.
        late = own & (np.cumsum(own[:, ::-1], axis=1)[:, ::-1] <= _LAST)
        product = np.where(late, series.v[:, places] * past, 0.0).sum(axis=1) / late.sum(axis=1)
        return product[:, None] / (np.exp(a) * series.days[:, i, None])


def _share_below(mix: _Mixture, y: np.ndarray) -> np.ndarray:
    from scipy.special import ndtr

    with np.errstate(invalid="ignore", divide="ignore"):
        return (mix.weight * ndtr((y[:, None] - mix.mean) / mix.sd)).sum(axis=1)


def _center(series: _Series, mix: _Mixture, i: int) -> np.ndarray:
    """The successes, or the total, of a usual period of this size."""
    middle = (mix.weight * mix.mean).sum(axis=1)
    if series.n is None:
        return np.exp(middle) * series.days[:, i]
    return series.n[:, i] / (1 + np.exp(-middle))


def _few(series: _Series, usual: np.ndarray, i: int, least: float) -> np.ndarray:
    if series.n is None:
        return np.zeros(len(usual), bool)
    with np.errstate(invalid="ignore"):
        return np.minimum(usual, series.n[:, i] - usual) < least


def _longer(run: np.ndarray, side: np.ndarray) -> np.ndarray:
    """The row of clear periods, one longer, or begun anew on the other side."""
    return np.where(np.sign(run) == side, run + side, side)


class _Found(NamedTuple):
    """What is known of every period, as it is found."""

    mean: np.ndarray
    sd: np.ndarray
    weight: np.ndarray
    p: np.ndarray
    below: np.ndarray
    few: np.ndarray
    history: np.ndarray
    level: np.ndarray

    @classmethod
    def empty(cls, size: int, periods: int) -> _Found:
        mean, sd, weight = np.full((3, size, periods, len(_TAU2)), np.nan)
        p, below = np.full((2, size, periods), np.nan)
        few = np.zeros((size, periods), bool)
        history, level = np.zeros((2, size, periods), np.int64)
        return cls(mean, sd, weight, p, below, few, history, level)

    def keep(
        self,
        i: int,
        mix: _Mixture,
        p: np.ndarray,
        below: np.ndarray,
        few: np.ndarray,
        level: np.ndarray,
    ) -> None:
        own = (mix.mean, mix.sd, mix.weight, p, below, few, mix.history, level)
        for cells, column in zip(self, own, strict=True):
            cells[:, i] = column

    def told(
        self, series: _Series, known: np.ndarray, final: np.ndarray, shape: tuple[int, ...]
    ) -> UsualRange:
        quantiles = self._quantiles()
        if series.n is None:
            clear_low, low, usual, high, clear_high = (
                np.exp(own) * series.days for own in quantiles
            )
            expected = usual
        else:
            clear_low, low, usual, high, clear_high = (1 / (1 + np.exp(-own)) for own in quantiles)
            expected = usual * series.n
        columns: list[Any] = [usual, low, high, clear_low, clear_high, expected, self.p]
        columns += [self._verdicts(known, final), self.history, self.level]
        return UsualRange(*(np.reshape(column, shape) for column in columns))

    def _quantiles(self) -> np.ndarray:
        """Where the mixtures have so much below them as `_TAILS` says; NaN without a prediction."""
        from scipy.optimize import elementwise
        from scipy.special import ndtr

        out = np.full((len(_TAILS), *self.p.shape), np.nan)
        places = np.isfinite(self.mean[..., 0]) & np.isfinite(self.sd[..., 0])
        if not places.any():
            return out
        mean, sd, weight = self.mean[places], self.sd[places], self.weight[places]

        def beyond(x: np.ndarray, row: np.ndarray, share: np.ndarray) -> np.ndarray:
            at = row.astype(np.int64)
            return (weight[at] * ndtr((x[..., None] - mean[at]) / sd[at])).sum(axis=-1) - share

        bracket = (mean - 8 * sd).min(axis=1), (mean + 8 * sd).max(axis=1)
        rows, shares = np.arange(len(mean), dtype=float), np.array(_TAILS)[:, None]
        out[:, places] = elementwise.find_root(beyond, bracket, args=(rows, shares)).x
        return out

    def _verdicts(self, known: np.ndarray, final: np.ndarray) -> np.ndarray:
        words = np.full(self.p.shape, USUAL, object)
        low = self.below < 0.5
        for limit, down, up in ((UNUSUAL, LOW, HIGH), (CLEAR, CLEARLY_LOW, CLEARLY_HIGH)):
            words[(self.p < limit) & low] = down
            words[(self.p < limit) & ~low] = up
        words[self.few | (final & ~known)] = TOO_FEW
        words[~final] = NOT_FINAL
        words[self.history < FEWEST_PERIODS] = UNKNOWN
        return words
