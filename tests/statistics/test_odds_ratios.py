"""Association over strata, judged by statsmodels, scikit-learn, published numbers, simulation."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from statsmodels.genmod.families import Poisson
from statsmodels.genmod.generalized_linear_model import GLM
from statsmodels.stats.contingency_tables import StratifiedTable, Table
from statsmodels.stats.meta_analysis import combine_effects

from analysis.statistics.odds_ratios import (
    cochran_q,
    e_value,
    excess_per_1000,
    isotonic,
    mantel_haenszel,
    mantel_trend,
    odds_ratio,
)

counts = st.integers(1, 60)


stratum = st.tuples(counts, counts, counts, counts)


def split(tables: np.ndarray) -> tuple[np.ndarray, ...]:
    """Counts a, b, c, d as conversions and people at risk of the exposed and of the others."""
    a, b, c, d = np.moveaxis(tables, -1, 0)
    return a, a + b, c, c + d


@settings(max_examples=60)
@given(st.lists(stratum, min_size=1, max_size=12))
def test_the_pooled_odds_ratio_is_that_of_statsmodels(strata: list[Any]) -> None:
    tables = np.array(strata)
    judge = StratifiedTable([t.reshape(2, 2) for t in tables.astype(float)])
    found = mantel_haenszel(*split(tables))
    assert found.estimate == pytest.approx(judge.oddsratio_pooled)
    assert found.se == pytest.approx(judge.logodds_pooled_se)
    assert (found.low, found.high) == pytest.approx(judge.oddsratio_pooled_confint())
    assert found.p_value == pytest.approx(
        2 * stats.norm.sf(abs(judge.logodds_pooled) / judge.logodds_pooled_se)
    )


def test_thin_strata_count_only_where_they_can() -> None:
    """Strata with one side only, or nobody, say nothing; statsmodels leaves them out too."""
    rng = np.random.default_rng(7)
    n1, n0 = rng.integers(0, 3, 400), rng.integers(0, 9, 400)
    a, c = rng.binomial(n1, 0.4), rng.binomial(n0, 0.25)
    found = mantel_haenszel(a, n1, c, n0)
    both = (n1 > 0) & (n0 > 0)
    tables = np.stack([a, n1 - a, c, n0 - c], -1)[both].reshape(-1, 2, 2).astype(float)
    judge = StratifiedTable(list(tables))
    assert found.estimate == pytest.approx(judge.oddsratio_pooled)
    assert found.se == pytest.approx(judge.logodds_pooled_se)


def test_one_stratum_has_woolfs_interval() -> None:
    a, b, c, d = 12, 30, 20, 110
    found = mantel_haenszel([a], [a + b], [c], [c + d])
    assert found.estimate == pytest.approx(a * d / b / c)
    assert found.se == pytest.approx(np.sqrt(1 / a + 1 / b + 1 / c + 1 / d))


def test_a_published_example() -> None:
    """University Group Diabetes Program, by age: Rothman, *Modern Epidemiology* (1986), table
    12-1, deaths 8 of 106 and 5 of 120 below 55, 22 of 98 and 16 of 85 above; also as printed by
    R: mantelhaen.test(array(c(8,98,5,115,22,76,16,69), c(2,2,2)), correct=FALSE)."""
    found = mantel_haenszel([8, 22], [106, 98], [5, 16], [120, 85])
    assert found.estimate == pytest.approx(1.40, abs=0.005)
    assert (found.low, found.high) == pytest.approx((0.76, 2.58), abs=0.02)


def test_leading_axes_are_answered_at_once() -> None:
    rng = np.random.default_rng(3)
    n1, n0 = rng.integers(1, 50, (4, 3, 9)), rng.integers(1, 50, (4, 3, 9))
    a, c = rng.binomial(n1, 0.3), rng.binomial(n0, 0.2)
    together = mantel_haenszel(a, n1, c, n0)
    assert together.estimate.shape == (4, 3)
    for i in range(4):
        for j in range(3):
            alone = mantel_haenszel(a[i, j], n1[i, j], c[i, j], n0[i, j])
            assert [x[i, j] for x in together] == pytest.approx(list(map(float, alone)))


@pytest.mark.parametrize(
    ("a", "n1", "c", "n0"),
    [([0], [10], [3], [10]), ([3], [10], [0], [10]), ([3], [3], [5], [5]), ([], [], [], [])],
)
def test_an_empty_cell_gives_no_number(a: Any, n1: Any, c: Any, n0: Any) -> None:
    assert np.isnan(list(map(float, mantel_haenszel(a, n1, c, n0)))).all()


@pytest.mark.filterwarnings("ignore:divide by zero")
@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1)), min_size=2, max_size=9))
def test_homogeneity_is_that_of_statsmodels(groups: list[Any]) -> None:
    theta, se = np.array(groups).T
    judge = combine_effects(theta, se**2)
    found = cochran_q(theta, se)
    assert (found.q, found.df) == pytest.approx((judge.q, judge.df), abs=1e-9)
    assert found.p_value == pytest.approx(judge.test_homogeneity().pvalue)
    if judge.q > 1e-9:
        assert found.i_squared == pytest.approx(max(0.0, 1 - judge.df / judge.q), abs=1e-9)


def test_one_group_cannot_disagree() -> None:
    assert np.isnan(cochran_q([0.3, np.nan], [0.1, 0.1]).p_value)


def test_e_values_are_those_of_the_paper() -> None:
    """VanderWeele & Ding 2017: smoking 10.73 (8.02, 14.36) → 20.9 and 15.5; breast-feeding 3.9
    (1.8, 8.7) → 7.3 and 3.0; leukemia 0.80 (0.71, 0.91) → 1.8 and 1.4."""
    ratio, low, high = np.array([(10.73, 8.02, 14.36), (3.9, 1.8, 8.7), (0.8, 0.71, 0.91)]).T
    estimate, limit = e_value(ratio, low, high)
    assert estimate == pytest.approx([20.9, 7.3, 1.8], abs=0.06)
    assert limit == pytest.approx([15.5, 3.0, 1.4], abs=0.06)
    assert [float(x) for x in e_value(1.3, 0.9, 1.8)][1] == 1.0
    assert np.isnan(e_value(np.nan, np.nan, np.nan)).all()


def test_the_excess_covers_the_truth() -> None:
    """40 strata, true odds ratio 1.6: the excess is the expected number beyond the base rate."""
    rng = np.random.default_rng(11)
    n1, n0 = rng.integers(20, 60, 40), rng.integers(100, 400, 40)
    base = rng.uniform(0.01, 0.04, 40)
    odds = 1.6 * base / (1 - base)
    a = rng.binomial(n1, odds / (1 + odds), (4000, 40))
    c = rng.binomial(n0, base, (4000, 40))
    found = mantel_haenszel(a, n1, c, n0)
    more = excess_per_1000(a.sum(-1), 900, found)
    # The formula's own target: conversions times 1 − 1/1.6.
    truth = 1000 * (n1 * odds / (1 + odds)).sum() * (1 - 1 / 1.6) / 900
    assert more.estimate.mean() == pytest.approx(truth, rel=0.05)
    assert 0.935 < ((more.low < truth) & (truth < more.high)).mean() < 0.965
    assert np.isnan(excess_per_1000(3, 0, odds_ratio(0.1, 0.2, confidence=0.95)).estimate)


# Trends over levels, judged by statsmodels, scikit-learn's contract and simulation.


@settings(max_examples=30)
@given(st.lists(st.tuples(stratum, stratum), min_size=2, max_size=2))
def test_the_trend_over_one_stratum_is_that_of_cochran_and_armitage(halves: list[Any]) -> None:
    k = np.array([half[0] for half in halves]).ravel()[:4]
    n = k + np.array([half[1] for half in halves]).ravel()[:4]
    found = mantel_trend(k[:, None], n[:, None], np.arange(4))
    judge = Table(np.column_stack([n - k, k]), shift_zeros=False).test_ordinal_association(
        row_scores=np.arange(4), col_scores=np.arange(2)
    )
    assert found.p_value == pytest.approx(judge.pvalue, abs=1e-12)
    if abs(judge.zscore) > 1e-9:
        assert (found.per_level > 1) == (judge.zscore > 0)


def test_the_trend_is_right_at_its_level_and_near_its_size() -> None:
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


def test_the_ratio_per_level_is_that_of_a_poisson_model_with_a_level_for_each_stratum() -> None:
    rng = np.random.default_rng(8)
    n = rng.integers(50, 900, (4, 6))
    k = rng.binomial(n, 0.01 * 1.4 ** np.arange(4)[:, None] * rng.uniform(1, 3, 6))
    found = mantel_trend(k, n, np.arange(4))
    dose, stratum = (x.ravel() for x in np.indices((4, 6)))
    design = np.column_stack([dose, stratum[:, None] == np.arange(6)]).astype(float)
    judge = GLM(k.ravel(), design, family=Poisson(), exposure=n.ravel()).fit()
    assert np.log(found.per_level) == pytest.approx(judge.params[0])
    assert np.log(found.high / found.per_level) == pytest.approx(1.959964 * judge.bse[0])


def test_a_slope_without_end_is_undefined() -> None:
    assert np.isnan(mantel_trend([[0], [9]], [[90], [90]], [0, 1]).per_level)
    assert mantel_trend([[0], [9]], [[90], [90]], [0, 1]).p_value < 0.01


def test_no_trend_without_variety() -> None:
    assert np.isnan(list(map(float, mantel_trend([[5], [0]], [[9], [0]], [0, 1])))).all()


@given(st.lists(st.tuples(st.floats(-2, 2), st.floats(0.05, 1)), min_size=2, max_size=9))
def test_the_isotonic_curve_never_falls_and_nothing_rising_is_nearer(levels: list[Any]) -> None:
    theta, se = np.array(levels).T
    fitted = np.log(isotonic(theta, se))
    assert (np.diff(fitted) >= -1e-9).all()
    assert (fitted >= -1e-9).all()
    distance = ((fitted - theta) ** 2 / se**2).sum()
    for other in (np.maximum.accumulate(np.maximum(theta, 0)), np.full(len(theta), 0.3)):
        assert distance <= ((other - theta) ** 2 / se**2).sum() + 1e-9


def test_undefined_levels_stay_undefined() -> None:
    fitted = isotonic([0.4, np.nan, 0.2], [0.1, np.nan, 0.1])
    assert np.isnan(fitted[1])
    assert fitted[[0, 2]] == pytest.approx(np.exp(0.3))
