"""Contrasts against scipy, statsmodels and published numbers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from analysis.core.schema import US_PER_DAY
from analysis.statistics.contrasts import judged, shares, waits


def one(k_a: int, n_a: int, k_b: int, n_b: int) -> pd.Series:
    return shares(pd.DataFrame({"k_a": [k_a], "n_a": [n_a], "k_b": [k_b], "n_b": [n_b]})).iloc[0]


def test_newcombes_own_example():
    """Newcombe 1998, Stat Med 17:873, table II, example (a), method 10: 56/70 against 48/80."""
    row = one(56, 70, 48, 80)
    assert (row["difference"], row["low"], row["high"]) == pytest.approx(
        (0.2, 0.0524, 0.3339), abs=5e-5
    )


@given(st.integers(0, 400), st.integers(1, 400), st.integers(0, 400), st.integers(1, 400))
def test_p_values_are_those_of_scipy(k_a, n_a, k_b, n_b):
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


def test_an_empty_group_has_no_rate():
    row = one(0, 0, 3, 10)
    assert row[["rate_a", "difference", "low", "high", "effect", "p_value"]].isna().all()
    assert row["rate_b"] == 0.3


def test_waits_are_compared_as_scipy_does():
    rng = np.random.default_rng(5)
    a, b = rng.exponential(3, 60) * US_PER_DAY, rng.exponential(2, 80) * US_PER_DAY
    row = waits("buy", a, b)
    assert row["p_value"] == pytest.approx(stats.brunnermunzel(a, b).pvalue)
    later = (a[:, None] > b).mean() + 0.5 * (a[:, None] == b).mean()
    assert row["difference"] == pytest.approx(later - 0.5)
    assert row["low"] < row["difference"] < row["high"]
    assert row["median_days_a"] == pytest.approx(np.median(a) / US_PER_DAY)


def test_waits_that_cannot_be_compared():
    few = waits("buy", np.arange(3.0), np.arange(9.0))
    assert "p_value" not in few
    assert few["median_days_a"] == pytest.approx(1 / US_PER_DAY)
    apart = waits("buy", np.arange(9.0), np.arange(100.0, 120.0))
    assert apart["difference"] == -0.5
    assert apart["effect"] == -1.0
    assert not {"low", "p_value"} & set(apart)
    assert waits("buy", np.arange(100.0, 120.0), np.arange(9.0))["effect"] == 1.0
    assert np.isnan(waits("buy", np.array([]), np.arange(9.0))["median_days_a"])
    assert "p_value" not in waits("buy", np.ones(9), np.ones(9))


def test_q_values_are_those_of_benjamini_and_hochberg():
    """Their own example: 15 p-values, four of them below 5 % of false discoveries."""
    published = [
        0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344,
        0.0459, 0.3240, 0.4262, 0.5719, 0.6528, 0.7590, 1.0000,
    ]  # fmt: skip
    found = judged(pd.DataFrame({"p_value": [*published, np.nan]}), 0.05)
    assert found["clear"].tolist() == [True] * 4 + [False] * 12
    assert np.isnan(found["q_value"].iloc[-1])


def test_intervals_cover_as_often_as_they_say():
    rng = np.random.default_rng(11)
    k_a, k_b = rng.binomial(80, 0.3, 1_500), rng.binomial(120, 0.2, 1_500)
    found = shares(pd.DataFrame({"k_a": k_a, "n_a": 80, "k_b": k_b, "n_b": 120}))
    inside = ((found["low"] <= 0.1) & (found["high"] >= 0.1)).sum()
    assert stats.binomtest(int(inside), 1_500, 0.95).pvalue > 1e-4
