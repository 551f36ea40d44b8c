"""Trends over levels, judged by statsmodels, scikit-learn's contract and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.contingency_tables import Table

from analysis.statistics.dose import isotonic, mantel_trend

counts = st.integers(1, 60)
stratum = st.tuples(counts, counts, counts, counts)


@settings(max_examples=30)
@given(st.lists(st.tuples(stratum, stratum), min_size=2, max_size=2))
def test_the_trend_over_one_stratum_is_that_of_cochran_and_armitage(halves):
    k = np.array([half[0] for half in halves]).ravel()[:4]
    n = k + np.array([half[1] for half in halves]).ravel()[:4]
    found = mantel_trend(k[:, None], n[:, None], np.arange(4))
    judge = Table(np.column_stack([n - k, k]), shift_zeros=False).test_ordinal_association(
        row_scores=np.arange(4), col_scores=np.arange(2)
    )
    assert found.p_value == pytest.approx(judge.pvalue, abs=1e-12)
    if abs(judge.zscore) > 1e-9:
        assert (found.per_level > 1) == (judge.zscore > 0)


def test_the_trend_is_right_at_its_level_and_near_its_size():
    """Three strata of different base rates; the odds ratio per level is 1, then 1.25."""
    rng = np.random.default_rng(5)
    n = np.array([[4000, 900, 300, 100], [2000, 900, 600, 300], [500, 400, 400, 500]]).T
    base = np.log(np.array([0.02, 0.05, 0.1]))
    for ratio, within in ((1.0, (0.035, 0.065)), (1.25, (0.6, 1.0))):
        odds = np.exp(base + np.log(ratio) * np.arange(4)[:, None])
        k = rng.binomial(n, odds / (1 + odds), (2000, 4, 3))
        found = mantel_trend(k, n, np.arange(4))
        assert within[0] < (found.p_value < 0.05).mean() < within[1]
        assert np.exp(np.log(found.per_level).mean()) == pytest.approx(ratio, rel=0.03)
        covered = (found.low < ratio) & (ratio < found.high)
        assert 0.92 < covered.mean() < 0.97


def test_the_ratio_per_level_is_that_of_a_poisson_model_with_a_level_for_each_stratum():
    rng = np.random.default_rng(8)
    n = rng.integers(50, 900, (4, 6))
    k = rng.binomial(n, 0.01 * 1.4 ** np.arange(4)[:, None] * rng.uniform(1, 3, 6))
    found = mantel_trend(k, n, np.arange(4))
    dose, stratum = (x.ravel() for x in np.indices((4, 6)))
    design = np.column_stack([dose, stratum[:, None] == np.arange(6)]).astype(float)
    judge = GLM(k.ravel(), design, family=Poisson(), exposure=n.ravel()).fit()
    assert np.log(found.per_level) == pytest.approx(judge.params[0])
    assert np.log(found.high / found.per_level) == pytest.approx(1.959964 * judge.bse[0])


def test_a_slope_without_end_is_undefined():
    assert np.isnan(mantel_trend([[0], [9]], [[90], [90]], [0, 1]).per_level)
    assert mantel_trend([[0], [9]], [[90], [90]], [0, 1]).p_value < 0.01


def test_no_trend_without_variety():
    assert np.isnan(list(map(float, mantel_trend([[5], [0]], [[9], [0]], [0, 1])))).all()


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1)), min_size=2, max_size=9))
def test_the_isotonic_curve_never_falls_and_nothing_rising_is_nearer(levels):
    theta, se = np.array(levels).T
    fitted = np.log(isotonic(theta, se))
    assert (np.diff(fitted) >= -1e-9).all()
    assert (fitted >= -1e-9).all()
    distance = ((fitted - theta) ** 2 / se**2).sum()
    for other in (np.maximum.accumulate(np.maximum(theta, 0)), np.full(len(theta), 0.3)):
        assert distance <= ((other - theta) ** 2 / se**2).sum() + 1e-9


def test_undefined_levels_stay_undefined():
    fitted = isotonic([0.4, np.nan, 0.2], [0.1, np.nan, 0.1])
    assert np.isnan(fitted[1])
    assert fitted[[0, 2]] == pytest.approx(np.exp(0.3))
