"""Odds ratios from the counts: crude, adjusted, and calibrated by the controls, by group.

The counts hold conversions and people at risk by event, dose, group, period and stratum. Adding up
over one of these answers another question, so there is one place that does it.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from analysis.core.schema import ALL, US_PER_SECOND
from analysis.correlation.counts import ExposureCounts
from analysis.correlation.verdict import VerdictLimits
from analysis.statistics.calibration import (
    Controls,
    calibrate,
    calibrate_each_by_the_others,
    controls_of,
)
from analysis.statistics.odds_ratios import OddsRatio, mantel_haenszel
from analysis.statistics.stats import CONFIDENCE


class Arms(NamedTuple):
    """Exposed and others in every stratum: conversions and people at risk, of shape (events,
    groups, strata); the first group is everybody."""

    exposed_k: np.ndarray
    exposed_n: np.ndarray
    other_k: np.ndarray
    other_n: np.ndarray


class Ratios(NamedTuple):
    """Odds ratios of shape (events, groups), and what the controls say in each group."""

    crude: OddsRatio
    adjusted: OddsRatio
    controls: list[Controls]
    eligible: np.ndarray


def by_level(counts: ExposureCounts) -> tuple[np.ndarray, np.ndarray]:
    """Conversions and people at risk, of shape (events, levels, groups, strata).

    Where there are several groups, all of them together stand before them.
    """
    events, levels, groups, periods, strata = counts.macros.shape
    shape = (events, levels, groups, periods * strata)
    flat = [x.reshape(shape) for x in (counts.macros, counts.at_risk)]
    if len(counts.groups) > 1:
        flat = [np.concatenate([x.sum(2, keepdims=True), x], 2) for x in flat]
    return flat[0], flat[1]


def group_names(counts: ExposureCounts) -> list[Any]:
    """The groups in the order of `by_level`."""
    return [ALL, *counts.groups] if len(counts.groups) > 1 else [ALL]


def arms(counts: ExposureCounts) -> Arms:
    """Those who had done it before the period, once or more, against the others."""
    k, n = by_level(counts)
    return Arms(k[:, 1:].sum(1), n[:, 1:].sum(1), k[:, 0], n[:, 0])


def ratios(counts: ExposureCounts, limits: VerdictLimits, confidence: float) -> Ratios:
    """Crude and adjusted odds ratios, and the controls that are precise enough to calibrate by."""
    people = arms(counts)
    crude = mantel_haenszel(*(x.sum(-1, keepdims=True) for x in people), confidence=confidence)
    adjusted = mantel_haenszel(*people, confidence=confidence)
    is_control = np.isin(counts.events, counts.controls)[:, None]
    # As precise as the rule asks of a micro conversion.
    eligible = is_control & (adjusted.high < adjusted.low * limits.widest_factor)
    logs = np.log(adjusted.estimate)
    found = [controls_of(logs[use, g], adjusted.se[use, g]) for g, use in enumerate(eligible.T)]
    return Ratios(crude, adjusted, found, eligible)


def calibrated(found: Ratios, limits: VerdictLimits, confidence: float) -> dict[str, np.ndarray]:
    """The calibrated odds ratios by name of column, of shape (events, groups).

    A control that takes part is calibrated by the other ones.
    """
    logs, se = np.log(found.adjusted.estimate), found.adjusted.se
    options: dict[str, Any] = {"min_controls": limits.min_controls, "confidence": confidence}
    columns = []
    for g, controls in enumerate(found.controls):
        one = [np.array(x, float) for x in calibrate(logs[:, g], se[:, g], controls, **options)]
        own = np.flatnonzero(found.eligible[:, g])
        for event, other in zip(
            own, calibrate_each_by_the_others(logs[own, g], se[own, g], **options), strict=True
        ):
            for column, value in zip(one, other, strict=True):
                column[event] = value
        columns.append(one)
    names = ("calibrated", "calibrated_low", "calibrated_high", "p_value", "variance", "lasting")
    return {name: np.stack([c[i] for c in columns], 1) for i, name in enumerate(names)}


def q_values(p_value: np.ndarray, counted: np.ndarray) -> np.ndarray:
    """Benjamini and Hochberg's q-values over the family of those counted; NaN for the rest.

    Notes
    -----
    Benjamini & Hochberg 1995, *J R Stat Soc B* 57:289–300; computed by scipy.

    Examples
    --------
    >>> q_values(np.array([0.01, 0.04, np.nan, 0.5]), np.array([True, True, True, False]))
    array([0.02, 0.04,  nan,  nan])
    """
    from scipy.stats import false_discovery_control

    q = np.full(p_value.shape, np.nan)
    family = counted & np.isfinite(p_value)
    if family.any():
        q[family] = false_discovery_control(p_value[family], method="bh")
    return q


def median_seconds(waits_us: np.ndarray, confidence: float = CONFIDENCE) -> tuple[float, ...]:
    """The median of sorted waits in seconds, and its interval by order statistics.

    Notes
    -----
    The limits are the waits of ranks that a binomial count of n halves does not reach with more
    than (1 − confidence)/2 (David & Nagaraja 2003, *Order Statistics*, section 7.1); NaN where
    there are too few.

    Examples
    --------
    >>> median_seconds(np.arange(1, 12) * 1_000_000)
    (6.0, 2.0, 10.0)
    """
    from scipy.stats import binom

    n = len(waits_us)
    if not n:
        return math.nan, math.nan, math.nan
    seconds = np.asarray(waits_us) / US_PER_SECOND
    rank = int(binom.ppf((1 - confidence) / 2, n, 0.5))
    if rank < 1 or 2 * rank > n:
        return float(np.median(seconds)), math.nan, math.nan
    return float(np.median(seconds)), float(seconds[rank - 1]), float(seconds[n - rank])
