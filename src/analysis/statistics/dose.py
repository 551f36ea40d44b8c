"""More of the action, more conversions? Trends over ordered levels, within strata.

An association that grows with every further time is harder to explain away than one that does not,
because whatever explains it has to grow along. It is no proof: activity grows along as well.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.stats import CONFIDENCE

_MOST_STEPS, _SETTLED = 60, 1e-9


class Trend(NamedTuple):
    """A trend over ordered levels: the odds ratio per level and the test of none."""

    per_level: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray


def mantel_trend(
    k: ArrayLike, n: ArrayLike, scores: ArrayLike, *, confidence: float = CONFIDENCE
) -> Trend:
    """Do more of the action and more conversions go together, level by level, within strata?

    Parameters
    ----------
    k, n : conversions and people at risk, of shape (…, levels, strata).
    scores : a number per level, in their order, such as 0, 1, 2, 3.

    Notes
    -----
    The test is Mantel's of 1963 (*J Am Stat Assoc* 58:690–700), which with one stratum is the
    trend test of Cochran 1954 and Armitage 1955: T = Σ_s Σ_j w_j (k_sj − n_sj·k_s/n_s), with the
    variance of sampling without replacement in each stratum. The ratio per level maximizes the
    likelihood of rates that grow as exp(βw) within strata (Breslow 1974, *Biometrics* 30:89–99).
    It is a ratio of rates; periods are short, so it stands for the odds ratio.

    Examples
    --------
    >>> found = mantel_trend([[10], [20], [40]], [[1000], [1000], [1000]], [0, 1, 2])
    >>> round(float(found.per_level), 2), round(float(found.low), 2), round(float(found.high), 2)
    (2.0, 1.45, 2.76)
    """
    from scipy.stats import norm

    converted, people = np.asarray(k, float), np.asarray(n, float)
    weight = np.asarray(scores, float)[:, None]
    total_k, total_n = converted.sum(-2), people.sum(-2)
    many = total_n > 1
    size = np.where(many, total_n, 2.0)
    mean = (weight * people).sum(-2) / size
    spread = (weight**2 * people).sum(-2) - size * mean**2
    score = ((weight * converted).sum(-2) - mean * total_k) * many
    variance = total_k * (size - total_k) / (size * (size - 1)) * spread * many
    t, v = score.sum(-1), variance.sum(-1)
    slope, error = _slope(converted, people, weight)
    z = norm.ppf(0.5 + confidence / 2)
    p_value = 2 * norm.sf(np.abs(t) / np.sqrt(np.where(v > 0, v, np.nan)))
    return Trend(
        np.exp(slope), np.exp(slope - z * error), np.exp(slope + z * error), np.asarray(p_value)
    )


def _slope(k: np.ndarray, n: np.ndarray, weight: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The slope of the log rate within strata and its standard error, by Newton's method; NaN
    where only one level has conversions or people, so that no slope fits best."""
    total, wanted = k.sum(-2), (weight * k).sum((-2, -1))
    with_people, some = np.where(n > 0, weight, np.nan), total > 0
    lowest = (total * np.fmin.reduce(with_people, -2)).sum(-1, where=some)
    highest = (total * np.fmax.reduce(with_people, -2)).sum(-1, where=some)
    inside = (lowest < wanted) & (wanted < highest)
    slope = np.zeros(wanted.shape)
    information = np.ones(wanted.shape)
    for _ in range(_MOST_STEPS):
        rate = n * np.exp(slope[..., None, None] * weight)
        size = np.maximum(rate.sum(-2), np.finfo(float).tiny)
        mean = (weight * rate).sum(-2) / size
        spread = (weight**2 * rate).sum(-2) / size - mean**2
        information = np.where(inside, (total * spread).sum(-1), 1.0)
        step = np.where(inside, (wanted - (total * mean).sum(-1)) / information, 0.0)
        slope = slope + np.clip(step, -1, 1)
        if np.all(np.abs(step) < _SETTLED):
            break
    error = information**-0.5
    return np.where(inside, slope, np.nan), np.where(inside, error, np.nan)


def isotonic(log_ratio: ArrayLike, se: ArrayLike) -> np.ndarray:
    """The nearest curve of odds ratios by level that never falls, from 1 at level 0.

    Parameters
    ----------
    log_ratio, se : logarithms of the odds ratios of levels 1, 2, … against level 0, and their
        standard errors; NaN is left out and stays NaN.

    Notes
    -----
    Pool-adjacent-violators with weights 1/se² (Barlow, Bartholomew, Bremner & Brunk 1972), by
    scikit-learn; at level 0 the ratio is 1 by definition, so nothing falls below it.

    Examples
    --------
    >>> isotonic(np.log([1.5, 1.3, 2.0]), [0.1, 0.1, 0.2]).round(3)
    array([1.396, 1.396, 2.   ])
    """
    from sklearn.isotonic import IsotonicRegression  # type: ignore[import-untyped]

    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    fitted = np.full(theta.shape, np.nan)
    known = np.isfinite(theta) & (error > 0)
    if known.any():
        levels = np.flatnonzero(known)
        curve = IsotonicRegression(y_min=0.0)
        curve.fit(levels, theta[known], sample_weight=error[known] ** -2.0)
        fitted[known] = np.exp(curve.predict(levels))
    return fitted
