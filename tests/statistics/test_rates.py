"""Intervals against published tables and the formulas solved another way."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats
from scipy.stats import binomtest, norm
from statsmodels.api import OLS
from statsmodels.stats.sandwich_covariance import cov_cluster

from analysis.core.schema import US_PER_DAY
from analysis.statistics.rates import (
    compare_shares,
    compare_waits,
    effective_size,
    judged,
    newcombe,
    two_proportions,
    wilson,
)

# Newcombe 1998, Stat Med 17:857, table I, method 3 (score without continuity correction).
SINGLE = [
    (81, 263, 0.2553, 0.3662),
    (15, 148, 0.0624, 0.1605),
    (0, 20, 0.0000, 0.1611),
    (1, 29, 0.0061, 0.1718),
]


# Newcombe 1998, Stat Med 17:873, table II, method 10 (hybrid score).
DIFFERENCE = [
    (56, 70, 48, 80, 0.0524, 0.3339),
    (9, 10, 3, 10, 0.1705, 0.8090),
    (6, 7, 2, 7, 0.0582, 0.8062),
    (5, 56, 0, 29, -0.0381, 0.1926),
    (0, 10, 0, 20, -0.1611, 0.2775),
    (0, 10, 0, 10, -0.2775, 0.2775),
    (10, 10, 0, 20, 0.6791, 1.0000),
    (10, 10, 0, 10, 0.6075, 1.0000),
]


@pytest.mark.parametrize(("k", "n", "low", "high"), SINGLE)
def test_wilson_as_published(k: int, n: int, low: float, high: float) -> None:
    found = wilson(k, n)
    assert np.round(found, 4).tolist() == [low, high]


@pytest.mark.parametrize(("k", "n", "k2", "n2", "low", "high"), DIFFERENCE)
def test_newcombe_as_published(k: int, n: int, k2: int, n2: int, low: float, high: float) -> None:
    found = newcombe(k, n, k2, n2)
    assert found.estimate == k / n - k2 / n2
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


counts = st.integers(1, 100_000).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n)))


@given(counts, st.sampled_from([0.8, 0.95, 0.99]))
def test_wilson_is_scipy_s(pair: tuple[int, int], confidence: float) -> None:
    k, n = pair
    judge = binomtest(k, n).proportion_ci(confidence, method="wilson")
    low, high = wilson(k, n, confidence=confidence)
    assert (float(low), float(high)) == pytest.approx((judge.low, judge.high), abs=1e-12)
    assert 0 <= low <= k / n <= high <= 1
    assert (low == 0) == (k == 0)
    assert (high == 1) == (k == n)


@given(counts, counts)
def test_newcombe_joins_two_wilson_intervals(a: tuple[int, int], b: tuple[int, int]) -> None:
    (low_a, high_a), (low_b, high_b) = (
        binomtest(*p).proportion_ci(method="wilson") for p in (a, b)
    )
    rate_a, rate_b = a[0] / a[1], b[0] / b[1]
    down = math.hypot(rate_a - low_a, high_b - rate_b)
    up = math.hypot(high_a - rate_a, rate_b - low_b)
    found = newcombe(*a, *b)
    assert found == pytest.approx((rate_a - rate_b, rate_a - rate_b - down, rate_a - rate_b + up))
    back = newcombe(*b, *a)
    assert back == pytest.approx((-found.estimate, -found.high, -found.low))


def test_the_share_of_intervals_that_hold_the_truth() -> None:
    """Exact coverage at n = 40: the mean over p of Wilson's 95 % interval is near 95 %."""
    n, rates = 40, np.linspace(0.01, 0.99, 197)
    low, high = wilson(np.arange(n + 1), np.full(n + 1, n))
    from scipy.stats import binom

    chance = binom.pmf(np.arange(n + 1)[:, None], n, rates)
    covered = (chance * ((low[:, None] <= rates) & (rates <= high[:, None]))).sum(axis=0)
    assert 0.945 < covered.mean() < 0.96
    z = norm.ppf(0.975)
    assert low[20] == pytest.approx(0.5 - z / 2 / math.sqrt(n + z * z))


def test_none_and_all_have_limits_of_exactly_none_and_all() -> None:
    n = np.arange(1, 3000)
    for confidence in (0.9, 0.95, 0.99):
        low, _ = wilson(0 * n, n, confidence=confidence)
        _, high = wilson(n, n, confidence=confidence)
        assert (low == 0).all()
        assert (high == 1).all()


def test_undefined_is_nan_and_shapes_are_kept() -> None:
    low, high = wilson([0, 1, 0], [0, 2, 5])
    assert np.isnan([low[0], high[0]]).all()
    assert low.shape == high.shape == (3,)
    assert np.isfinite([low[1:], high[1:]]).all()
    assert all(map(math.isnan, newcombe(0, 0, 1, 2)))
    assert all(map(math.isnan, newcombe(1, 2, 0, 0)))
    one, other = wilson(np.array([[1], [2]]), 4)
    assert one.shape == other.shape == (2, 1)


clusters = st.lists(
    st.integers(0, 6).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))),
    min_size=1,
    max_size=20,
)


@given(clusters)
def test_the_effective_size_is_that_of_a_cluster_robust_variance(
    drawn: list[tuple[int, int]],
) -> None:
    """The judge: statsmodels' sandwich of a mean, without its corrections for small samples."""
    k, n = (np.array(column) for column in zip(*drawn, strict=True))
    size = effective_size(k, n)
    of = int((n > 0).sum())
    if not n.sum() or k.sum() in (0, n.sum()):
        assert size == of
        return
    trials = np.concatenate([[1] * a + [0] * (b - a) for a, b in drawn])
    owner = np.repeat(np.arange(len(n)), n)
    fitted = OLS(trials, np.ones(len(trials))).fit()
    variance = float(cov_cluster(fitted, owner, use_correction=False).item())
    rate = trials.mean()
    if variance < 1e-12:
        assert size == of
    else:
        assert size == pytest.approx(min(rate * (1 - rate) / variance, len(trials)))
    assert effective_size(np.append(k, 0), np.append(n, 0)) == pytest.approx(size)


def test_trials_of_their_own_are_worth_one_each_and_copies_nothing() -> None:
    assert effective_size([1, 0, 1, 1, 0], [1] * 5) == pytest.approx(5)
    assert effective_size([7, 0, 7, 7, 0], [7] * 5) == pytest.approx(5)
    # Clusters that do not differ say nothing about their likeness, nor do rates of 0 and 1.
    assert effective_size([1, 1, 1], [2, 2, 2]) == 3
    assert effective_size([0, 0], [4, 5]) == effective_size([4, 5], [4, 5]) == 2
    assert effective_size([], []) == effective_size([0], [0]) == 0


def test_limits_at_the_effective_size_hold_the_truth_where_trials_come_in_clusters() -> None:
    """Users with a rate of their own and five sessions each: plain limits are far too narrow."""
    rng = np.random.default_rng(4)
    own = rng.beta(0.6, 1.4, size=(600, 80))
    hits = rng.binomial(5, own)
    rates = hits.sum(axis=1) / 400
    sizes = np.array([effective_size(row, np.full(80, 5)) for row in hits])

    def coverage(n: np.ndarray) -> float:
        low, high = wilson(rates * n, n)
        return float(((low <= 0.3) & (high >= 0.3)).mean())

    assert 0.92 < coverage(sizes) < 0.975
    assert coverage(np.full(600, 400)) < 0.8


# Contrasts against scipy, statsmodels and published numbers.


def one(k_a: int, n_a: int, k_b: int, n_b: int) -> pd.Series:
    return compare_shares(
        pd.DataFrame({"k_a": [k_a], "n_a": [n_a], "k_b": [k_b], "n_b": [n_b]})
    ).iloc[0]


def test_newcombes_own_example() -> None:
    """Newcombe 1998, Stat Med 17:873, table II, example (a), method 10: 56/70 against 48/80."""
    row = one(56, 70, 48, 80)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=5e-5
    )


@given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 400), st.integers(1, 400))
def test_p_values_are_those_of_scipy(k_a: int, n_a: int, k_b: int, n_b: int) -> None:
    k_a, k_b = min(k_a, n_a), min(k_b, n_b)
    row = one(k_a, n_a, k_b, n_b)
    table = np.array([[k_a, n_a - k_a], [k_b, n_b - k_b]])
    if not table.sum(axis=0).all():
        assert row["p_value"] == 1.0
    elif stats.contingency.expected_freq(table).min() < 5 - 1e-9:
        assert row["p_value"] == pytest.approx(stats.fisher_exact(table).pvalue)
    else:
        wanted = stats.chi2_contingency(table, correction=False).pvalue
        assert row["p_value"] == pytest.approx(wanted, rel=1e-9, abs=1e-300)
    assert row["low"] <= row["difference"] + 1e-12
    assert row["difference"] <= row["high"] + 1e-12
    back = one(k_b, n_b, k_a, n_a)
    assert back["effect"] == pytest.approx(-row["effect"])
    assert back["difference"] == pytest.approx(-row["difference"])


def test_many_are_compared_as_one_by_one() -> None:
    rng = np.random.default_rng(7)
    n, other_n = rng.integers(0, 60, (2, 300))
    k, other_k = rng.binomial(n, 0.3), rng.binomial(other_n, 0.5)
    together, p = newcombe(k, n, other_k, other_n), two_proportions(k, n, other_k, other_n)
    for i, row in enumerate(zip(k, n, other_k, other_n, strict=True)):
        own = [*newcombe(*row), two_proportions(*row)]
        assert np.array_equal([*(x[i] for x in together), p[i]], own, equal_nan=True)
        if row[1] and row[3] and 0 < row[0] + row[2] < row[1] + row[3]:
            four = np.array([[row[0], row[1] - row[0]], [row[2], row[3] - row[2]]])
            judge = stats.chi2_contingency(four, correction=False)
            assert p[i] == pytest.approx(judge.pvalue)


def test_an_empty_group_has_no_rate() -> None:
    row = one(0, 0, 3, 10)
    assert row[["rate_a", "difference", "low", "high", "effect", "p_value"]].isna().all()
    assert row["rate_b"] == 0.3


def test_waits_are_compared_as_scipy_does() -> None:
    rng = np.random.default_rng(5)
    a, b = rng.exponential(3, 60) * US_PER_DAY, rng.exponential(2, 80) * US_PER_DAY
    row = compare_waits("buy", a, b)
    assert row["p_value"] == pytest.approx(stats.brunnermunzel(a, b).pvalue)
    later = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    assert row["difference"] == pytest.approx(later - 0.5)
    assert row["low"] < row["difference"] < row["high"]
    assert row["median_days_a"] == pytest.approx(np.median(a) / US_PER_DAY)


def test_waits_that_cannot_be_compared() -> None:
    few = compare_waits("buy", np.arange(3.0), np.arange(9.0))
    assert "p_value" not in few
    assert few["median_days_a"] == pytest.approx(1 / US_PER_DAY)
    apart = compare_waits("buy", np.arange(9.0), np.arange(100.0, 120.0))
    assert apart["difference"] == -0.5
    assert apart["effect"] == -1.0
    assert not {"low", "p_value"} & set(apart)
    assert compare_waits("buy", np.arange(100.0, 120.0), np.arange(9.0))["effect"] == 1.0
    assert np.isnan(compare_waits("buy", np.array([]), np.arange(9.0))["median_days_a"])
    assert "p_value" not in compare_waits("buy", np.ones(9), np.ones(9))


def test_q_values_are_those_of_benjamini_and_hochberg() -> None:
    """Their own example: 15 p-values, four of them below 5 % of false discoveries."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    found = judged(pd.DataFrame({"p_value": [*published, np.nan]}), 0.05)
    assert found["clear"].tolist() == [True] * 4 + [False] * 12
    assert np.isnan(found["q_value"].iloc[-1])


def test_intervals_cover_as_often_as_they_say() -> None:
    rng = np.random.default_rng(11)
    k_a, k_b = rng.binomial(80, 0.3, 1_500), rng.binomial(120, 0.2, 1_500)
    found = compare_shares(pd.DataFrame({"k_a": k_a, "n_a": 80, "k_b": k_b, "n_b": 120}))
    inside = ((found["low"] <= 0.1) & (found["high"] >= 0.1)).sum()
    assert stats.binomtest(int(inside), 1_500, 0.95).pvalue > 1e-4
