"""How strongly do an exposure and a conversion go together? Odds ratios over many strata at once.

People are compared with people in the same period since they entered, who had been as active
until then: each such set is a stratum with a table of four counts, and a log has thousands of
strata, most of them thin. Mantel and Haenszel's estimator is made for that: it adds up evidence
from strata that are too small to say anything alone, needs no model of the strata, and its
variance holds for many thin strata as well as for few thick ones.

Everything here takes arrays of counts whose last axis runs over the strata, and answers for all
leading axes (micro conversions, groups, doses) in one go.

The sections, in order: one odds ratio (`mantel_haenszel`, `odds_ratio`), what is made of it
(`cochran_q`, `e_value`, `excess_per_1000`), and trends over ordered levels (`mantel_trend`,
`isotonic`).

What these functions refuse to do: add half a person to an empty cell. With thousands of strata
that shifts every estimate towards 1. Where a cell of all strata together is empty there is no
odds ratio, and the answer is NaN.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.rates import CONFIDENCE


class OddsRatio(NamedTuple):
    """An odds ratio between two limits; arrays of equal shape, NaN where undefined.

    `se` is the standard error of its logarithm, `p_value` that of no association.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    se: np.ndarray
    p_value: np.ndarray


class Homogeneity(NamedTuple):
    """Do several estimates agree? Cochran's Q, its degrees of freedom, p and I²."""

    q: float
    df: int
    p_value: float
    i_squared: float


class Excess(NamedTuple):
    """Conversions beyond those expected, per so many people; arrays."""

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray


def mantel_haenszel(
    exposed_k: ArrayLike,
    exposed_n: ArrayLike,
    other_k: ArrayLike,
    other_n: ArrayLike,
    *,
    confidence: float = CONFIDENCE,
) -> OddsRatio:
    """By what factor do the odds of converting differ with exposure, within strata?

    Parameters
    ----------
    exposed_k, exposed_n : conversions, and people at risk, among the exposed.
    other_k, other_n : the same among the others. The last axis runs over the strata; one stratum
        gives the crude odds ratio with Woolf's interval.

    Returns
    -------
    OddsRatio of the leading axes; NaN where nobody exposed, or nobody else, or everybody
    converted in every stratum that has both.

    Notes
    -----
    With a, b conversions and not among the exposed, c, d among the others, N their sum:
    OR = Σ(ad/N) / Σ(bc/N) = R / S (Mantel & Haenszel 1959, *J Natl Cancer Inst* 22:719–748).
    The variance of its logarithm is that of Robins, Breslow & Greenland 1986, *Biometrics*
    42:311–323: with P = (a+d)/N and Q = (b+c)/N,
    ΣPR/(2R²) + Σ(PS+QR)/(2RS) + ΣQS/(2S²).

    Examples
    --------
    >>> found = mantel_haenszel([15, 20], [100, 50], [10, 60], [100, 200])
    >>> [round(float(x), 3) for x in (found.estimate, found.low, found.high)]
    [1.568, 0.939, 2.618]
    """
    a, exposed, c, other = (np.asarray(x, float) for x in (exposed_k, exposed_n, other_k, other_n))
    b, d = exposed - a, other - c
    n = exposed + other
    inverse = np.divide(1.0, n, out=np.zeros(np.shape(n)), where=n > 0)
    r, s = a * d * inverse, b * c * inverse
    p, q = (a + d) * inverse, (b + c) * inverse
    r_sum, s_sum = r.sum(-1), s.sum(-1)
    known = (r_sum > 0) & (s_sum > 0)
    r_safe, s_safe = np.where(known, r_sum, 1.0), np.where(known, s_sum, 1.0)
    variance = (
        (p * r).sum(-1) / (2 * r_safe**2)
        + (p * s + q * r).sum(-1) / (2 * r_safe * s_safe)
        + (q * s).sum(-1) / (2 * s_safe**2)
    )
    se = np.where(known, np.sqrt(variance), np.nan)
    return odds_ratio(np.where(known, np.log(r_safe / s_safe), np.nan), se, confidence=confidence)


def odds_ratio(log_estimate: ArrayLike, se: ArrayLike, *, confidence: float) -> OddsRatio:
    """The odds ratio whose logarithm and its standard error are known; Wald's interval.

    Examples
    --------
    >>> found = odds_ratio(np.log(2.0), 0.1, confidence=0.95)
    >>> round(float(found.low), 3), round(float(found.high), 3)
    (1.644, 2.433)
    """
    from scipy.stats import norm

    theta, error = np.asarray(log_estimate, float), np.asarray(se, float)
    z = norm.ppf(0.5 + confidence / 2)
    with np.errstate(divide="ignore", invalid="ignore"):
        p_value = 2 * norm.sf(np.abs(theta / error))
    return OddsRatio(
        np.exp(theta), np.exp(theta - z * error), np.exp(theta + z * error), error, p_value
    )


def cochran_q(log_ratio: ArrayLike, se: ArrayLike) -> Homogeneity:
    """Do the groups' odds ratios differ by more than chance?

    Notes
    -----
    Cochran 1954, *Biometrics* 10:101–129: Q = Σw(θ − θ̄)² with w = 1/se², against χ² with one
    degree of freedom less than groups. I² = (Q − df)/Q is the share of the differences that
    chance does not explain (Higgins & Thompson 2002, *Stat Med* 21:1539–1558). Preferred to
    Breslow and Day's test, which in sparse strata rejects too often.

    Examples
    --------
    >>> found = cochran_q(np.log([1.0, 1.1, 2.0]), [0.1, 0.1, 0.1])
    >>> round(found.q, 1), found.df
    (28.2, 2)
    """
    from scipy.stats import chi2

    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    known = np.isfinite(theta) & np.isfinite(error) & (error > 0)
    theta, weight = theta[known], error[known] ** -2.0
    df = len(theta) - 1
    if df < 1:
        return Homogeneity(np.nan, max(df, 0), np.nan, np.nan)
    q = float((weight * (theta - (weight * theta).sum() / weight.sum()) ** 2).sum())
    return Homogeneity(q, df, float(chi2.sf(q, df)), max(0.0, (q - df) / q) if q > 0 else 0.0)


def e_value(ratio: ArrayLike, low: ArrayLike, high: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """How strong would a hidden factor have to be to explain the association away?

    Returns
    -------
    The E-value of the estimate, and of the limit nearer to 1 (1.0 where the interval has 1 in
    it): the factor by which something unmeasured would have to go with both the action and the
    conversion.

    Notes
    -----
    RR + √(RR·(RR − 1)), of 1/RR below 1: VanderWeele & Ding 2017, *Ann Intern Med* 167:268–274.
    Periods are short and conversions rare in each, so that the odds ratio stands for the rate
    ratio.

    Examples
    --------
    >>> found = e_value(3.9, 1.8, 8.7)
    >>> round(float(found[0]), 2), round(float(found[1]), 2)
    (7.26, 3.0)
    """
    rr, lower, upper = (np.asarray(x, float) for x in (ratio, low, high))
    limit = np.where(rr >= 1, np.maximum(lower, 1.0), np.minimum(upper, 1.0))
    return _explained_by(rr), _explained_by(limit)


def _explained_by(ratio: np.ndarray) -> np.ndarray:
    with np.errstate(divide="ignore", invalid="ignore"):
        away = np.where(ratio < 1, 1 / ratio, ratio)
        return away + np.sqrt(away * (away - 1))


def excess_per_1000(
    exposed_k: ArrayLike, users: ArrayLike, found: OddsRatio, *, confidence: float = CONFIDENCE
) -> Excess:
    """How many conversions per 1,000 exposed people beyond those of people like them?

    Parameters
    ----------
    exposed_k : conversions among the exposed. users : people who were exposed while at risk.
    found : the adjusted odds ratio.

    Notes
    -----
    1000·A·(1 − 1/OR)/users, the attributable number of Miettinen 1974 (*Am J Epidemiol*
    99:325–332), which says what goes along and not what was caused. The interval is by the delta
    method: A varies as a Poisson count, and what A adds to the variance of log OR is about 1/A, so
    that the covariance of A and log OR is about 1.

    Examples
    --------
    >>> found = mantel_haenszel([40], [1000], [100], [5000])
    >>> more = excess_per_1000(40, 1000, found)
    >>> [round(float(x), 1) for x in more]
    [20.4, 7.4, 33.5]
    """
    from scipy.stats import norm

    a, n = np.asarray(exposed_k, float), np.asarray(users, float)
    people = np.where(n > 0, n, np.nan)
    expected = 1 / found.estimate
    variance = (
        (1 - expected) ** 2 * a + (a * expected * found.se) ** 2 + 2 * (1 - expected) * a * expected
    )
    half = norm.ppf(0.5 + confidence / 2) * np.sqrt(np.maximum(variance, 0.0))
    excess = a * (1 - expected)
    return Excess(*(1000 * x / people for x in (excess, excess - half, excess + half)))


# Trends over ordered levels, within strata
#
# An association that grows with every further time is harder to explain away than one that does
# not, because its explanation has to grow along. It is no proof: activity grows along as well.

_MOST_STEPS, _SETTLED = 60, 1e-9
"""Of Newton's method: how many, and how small the last one."""


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
    """The slope of the log rate within strata and its standard error, by Newton's method.

    NaN where only one level has conversions or people, so that no slope fits best.
    """
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
