"""Calibration by controls, judged by simulation of worlds whose bias is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from analysis.statistics.calibration import (
    calibrate,
    calibrate_each_by_the_others,
    controls_of,
    unlike_the_others,
    unmoved_by_adjustment,
)

BIAS, SPREAD, SE, TRUTH = 0.35, 0.08, 0.05, np.log(1.5)


def world(rng: np.random.Generator, k: int, se: float) -> tuple[np.ndarray, float]:
    """Estimates of k controls and of one micro conversion, all biased, none alike."""
    bias = rng.normal(BIAS, SPREAD, k + 1)
    return rng.normal(bias[:k], SE), rng.normal(TRUTH + bias[k], se)


@pytest.mark.parametrize("k", [3, 5, 10])
@pytest.mark.parametrize("se", [0.05, 0.15])
def test_the_interval_covers_as_often_as_it_says(k: int, se: float) -> None:
    rng = np.random.default_rng(k)
    hits = plain = 0
    for _ in range(3000):
        controls, micro = world(rng, k, se)
        found = calibrate(micro, se, controls_of(controls, np.full(k, SE)))
        hits += bool(np.log(found.low) < TRUTH < np.log(found.high))
        # The normal quantile that this is not done with.
        spread = controls.std(ddof=1) if k > 1 else 0
        half = 1.96 * np.sqrt(spread**2 + max(0, se**2 - SE**2))
        plain += abs(micro - controls.mean() - TRUTH) < half
    assert 0.938 < hits / 3000 < 0.962
    assert plain / 3000 < hits / 3000


def test_a_precise_estimate_has_the_prediction_interval_of_a_normal_sample() -> None:
    """With equal errors the interval is the textbook's for one more observation."""
    controls = np.array([0.31, 0.36, 0.42, 0.29, 0.4])
    found = calibrate(0.9, 0.05, controls_of(controls, np.full(5, 0.05)))
    half = stats.t.ppf(0.975, 4) * controls.std(ddof=1) * np.sqrt(1 + 1 / 5)
    assert np.log(found.estimate) == pytest.approx(0.9 - controls.mean())
    assert np.log(found.high / found.estimate) == pytest.approx(half)
    judge = stats.ttest_ind([0.9], controls)
    assert found.p_value == pytest.approx(judge.pvalue)


def test_chance_error_beyond_that_of_the_controls_is_added() -> None:
    few = controls_of([0.3, 0.35, 0.4], [0.1, 0.1, 0.1])
    same, more = calibrate(0.8, 0.1, few), calibrate(0.8, 0.5, few)
    assert more.variance - same.variance == pytest.approx(0.5**2 - 0.1**2)
    assert calibrate(0.8, 0.01, few).variance == same.variance


def test_what_more_users_would_not_take_away() -> None:
    noisy, biased = controls_of([0.3, 0.4, 0.5], [0.3] * 3), controls_of([0, 0.4, 0.8], [0.1] * 3)
    assert calibrate(0.8, 0.1, noisy).lasting == 0
    assert calibrate(0.8, 0.1, biased).lasting == pytest.approx((0.16 - 0.01) * 4 / 3)


def test_one_control_under_three_names_makes_nobody_sure() -> None:
    found = calibrate(0.8, 0.05, controls_of([0.3] * 3, [0.1] * 3))
    assert np.log(found.high / found.low) > 2 * 1.96 * 0.1
    assert 0 < found.p_value < 1


def test_too_few_controls_give_no_calibration() -> None:
    for controls in ([], [0.3], [0.3, 0.4], [0.3, 0.4, np.nan]):
        found = calibrate(np.array([0.5, 0.7]), 0.1, controls_of(controls, [0.1] * len(controls)))
        assert np.isnan(np.array(found)).all()
        assert found.estimate.shape == (2,)


def test_controls_calibrated_by_the_others_hold_1() -> None:
    rng = np.random.default_rng(2)
    hits = [
        bool(one.low < 1 < one.high)
        for _ in range(400)
        for one in calibrate_each_by_the_others(
            rng.normal(rng.normal(BIAS, SPREAD, 6), SE), [SE] * 6
        )
    ]
    assert 0.93 < np.mean(hits) < 0.97
    assert np.isnan(calibrate_each_by_the_others([0.1, 0.2, 0.3], [0.1] * 3)[0].estimate)


def test_a_control_without_the_confounder_is_named() -> None:
    assert unlike_the_others([0.35, 0.34, 0.37, 0.0], [0.03] * 4) == [3]
    assert unlike_the_others([0.35, 0.34, 0.37, 0.0], [0.3] * 4) == []
    assert unlike_the_others([0.35, 0.34, 0.37, 0.28], [0.001] * 4) == []
    assert unlike_the_others([0.35, np.nan, 0.37, 0.0], [0.03] * 4) == [3]
    assert unlike_the_others([0.3, 0.0], [0.01] * 2) == []


def test_controls_that_share_it_are_seldom_named() -> None:
    rng = np.random.default_rng(4)
    named = [len(unlike_the_others(rng.normal(BIAS, 0.2, 6), [0.2] * 6)) for _ in range(2000)]
    assert np.mean(np.array(named) > 0) < 0.03


def test_a_control_that_adjustment_leaves_alone_is_named() -> None:
    """Micro conversions move by a factor of 2, of which a quarter, in logarithms, is 1.19."""
    micros = np.log([1.6, 2.0, 3.0, np.nan])
    assert unmoved_by_adjustment(np.log([2.0, 1.20, 1.18, 0.9]), micros) == [2, 3]
    assert unmoved_by_adjustment([np.nan, 0.0], micros) == [1]
    # Where adjustment moves nothing much, no control is blamed for standing still.
    assert unmoved_by_adjustment([0.0], np.log([1.2, 1.25, 1.3])) == []
    assert unmoved_by_adjustment([0.0], []) == []
