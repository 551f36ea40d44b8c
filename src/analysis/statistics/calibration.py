"""How much of an association does the method find where there can be none?

A negative control is an event that cannot make anyone convert. What the whole pipeline reports for
it is bias: hidden activity, mostly, that the strata do not hold. The controls' mean bias is taken
off every estimate, and their spread goes into its interval, so that a micro conversion is judged
against clicks on the footer and not against an ideal of no bias.

What this module refuses to do: calibrate by fewer than three controls, or trust a control that
behaves unlike the others without saying so.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from analysis.statistics.rates import CONFIDENCE

MIN_CONTROLS = 3

_FAR = np.log(1.25)
"""A control this far from the others, as a logarithm of factors, is unlike them."""

_SURE = 0.01

_MOVED = 0.25


class Controls(NamedTuple):
    """What the controls say.

    Their number, and of their log odds ratios the mean, the standard deviation and the mean
    squared standard error.
    """

    k: int
    mean: float
    spread: float
    noise: float


class Calibrated(NamedTuple):
    """Odds ratios after calibration; arrays of equal shape, NaN where there are too few controls.

    `lasting` is the part of the variance of the logarithm that more users would not take away.
    """

    estimate: np.ndarray
    low: np.ndarray
    high: np.ndarray
    p_value: np.ndarray
    variance: np.ndarray
    lasting: np.ndarray


def controls_of(log_ratio: ArrayLike, se: ArrayLike) -> Controls:
    """The mean and the spread of the controls; those without an estimate are left out.

    Examples
    --------
    >>> found = controls_of(np.log([1.3, 1.4, 1.5]), [0.1, 0.1, 0.1])
    >>> found.k, round(float(np.exp(found.mean)), 3)
    (3, 1.398)
    """
    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    known = np.isfinite(theta) & np.isfinite(error)
    theta, error = theta[known], error[known]
    if not len(theta):
        return Controls(0, np.nan, np.nan, np.nan)
    spread = float(theta.std(ddof=1)) if len(theta) > 1 else np.nan
    return Controls(len(theta), float(theta.mean()), spread, float((error**2).mean()))


def calibrate(
    log_ratio: ArrayLike,
    se: ArrayLike,
    controls: Controls,
    *,
    min_controls: int = MIN_CONTROLS,
    confidence: float = CONFIDENCE,
) -> Calibrated:
    """What is left of an association when the bias that the controls show is taken off?

    Parameters
    ----------
    log_ratio, se : logarithms of the adjusted odds ratios, and their standard errors.

    Notes
    -----
    Empirical calibration after Schuemie et al. 2014 (*Stat Med* 33:209–218), as a prediction
    interval for one more control: θ − mean ± t·√(U + W) with U = s²(1 + 1/k), estimated from k
    controls, and W = max(0, se² − noise), known. The controls' spread s holds their bias and their
    own chance error; where an estimate has more chance error than they have, the difference W is
    added. Student's t has Welch and Satterthwaite's degrees of freedom, (k − 1)·((U + W)/U)²:
    only U is uncertain. (With k − 1 throughout, three controls and an estimate of three times
    their error give an interval twice as wide as it need be, which covers 100 %; with the normal
    quantile, an estimate without error is covered in 81 %. This one covers 95 % with 3, 5 and 8
    controls.) It assumes that bias does not depend on how strong an association is.

    Examples
    --------
    >>> controls = controls_of(np.log([1.35, 1.4, 1.45, 1.4]), [0.02] * 4)
    >>> found = calibrate(np.log(2.1), 0.05, controls)
    >>> [round(float(x), 2) for x in (found.estimate, found.low, found.high)]
    [1.5, 1.34, 1.68]
    """
    from scipy.stats import t

    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    if controls.k < max(min_controls, 2):
        nothing = np.full(theta.shape, np.nan)
        return Calibrated(*[nothing] * 6)
    share = 1 + 1 / controls.k
    # Controls that are all alike are one control, counted several times.
    uncertain = (controls.spread**2 or controls.noise) * share
    variance = np.asarray(uncertain + np.maximum(0.0, error**2 - controls.noise))
    lasting = np.full(theta.shape, max(0.0, controls.spread**2 - controls.noise) * share)
    shift = theta - controls.mean
    with np.errstate(divide="ignore", invalid="ignore"):
        df = (controls.k - 1) * (variance / uncertain) ** 2
        half = t.ppf(0.5 + confidence / 2, df) * np.sqrt(variance)
        p_value = np.asarray(2 * t.sf(np.abs(shift) / np.sqrt(variance), df))
    return Calibrated(
        np.exp(shift), np.exp(shift - half), np.exp(shift + half), p_value, variance, lasting
    )


def calibrate_each_by_the_others(
    log_ratio: ArrayLike,
    se: ArrayLike,
    *,
    min_controls: int = MIN_CONTROLS,
    confidence: float = CONFIDENCE,
) -> list[Calibrated]:
    """What does the calibration make of each control, when the others are its controls?

    About as many of these intervals as the confidence says should have 1 in them.

    Examples
    --------
    >>> found = calibrate_each_by_the_others(np.log([1.35, 1.4, 1.45, 1.4]), [0.02] * 4)
    >>> [bool(one.low < 1 < one.high) for one in found]
    [True, True, True, True]
    """
    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    found = []
    for own in range(len(theta)):
        rest = np.arange(len(theta)) != own
        others = controls_of(theta[rest], error[rest])
        found.append(
            calibrate(
                theta[own], error[own], others, min_controls=min_controls, confidence=confidence
            )
        )
    return found


def unlike_the_others(log_ratio: ArrayLike, se: ArrayLike, *, far: float = _FAR) -> list[int]:
    """Which controls do not share what biases the others?

    Returns
    -------
    Places of the controls whose odds ratio is further than a factor from the median of the
    others, and by more than chance (two-sided 1 %, divided by the number of controls). Such a
    control widens every interval, and shifts it.

    Examples
    --------
    >>> unlike_the_others(np.log([1.4, 1.45, 1.38, 1.0]), [0.03] * 4)
    [3]
    """
    from scipy.stats import norm

    theta, error = np.asarray(log_ratio, float), np.asarray(se, float)
    known = np.flatnonzero(np.isfinite(theta) & np.isfinite(error))
    if len(known) < MIN_CONTROLS:
        return []
    sure = norm.isf(_SURE / 2 / len(known))
    found = []
    for own in known:
        rest = known[known != own]
        distance = abs(theta[own] - np.median(theta[rest]))
        # The median of m normal estimates has about π/2 times the variance of their mean.
        noise = np.sqrt(error[own] ** 2 + np.pi / 2 * (error[rest] ** 2).mean() / len(rest))
        if distance > far and distance > sure * noise:
            found.append(int(own))
    return found


def unmoved_by_adjustment(
    controls: ArrayLike, micros: ArrayLike, *, share: float = _MOVED, far: float = _FAR
) -> list[int]:
    """Which controls does adjustment leave where they are, while it moves the micro conversions?

    Parameters
    ----------
    controls, micros : per event, log crude minus log adjusted odds ratio.

    Returns
    -------
    Places of the controls that move by less than `share` of the micro conversions' median, where
    that median is a factor of more than exp(`far`). An event that the visible part of activity
    does not make more frequent is not likely to share its hidden part.

    Examples
    --------
    >>> unmoved_by_adjustment(np.log([1.9, 2.1, 1.02]), np.log([1.8, 2.2]))
    [2]
    """
    own, others = np.asarray(controls, float), np.asarray(micros, float)
    others = others[np.isfinite(others)]
    if not len(others) or np.median(others) <= far:
        return []
    limit = share * np.median(others)
    return [int(i) for i in np.flatnonzero(np.isfinite(own) & (own < limit))]
