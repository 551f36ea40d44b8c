"""The usual range against published figures, a filter written out by hand, and known series."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.stats import norm

from analysis.statistics.usual_range import usual_range

# The demo shop's weeks before that of 9 November 2026, and that week.
K = [24, 52, 51, 69, 58, 64, 56, 71, 77, 80, 75, 75, 65]
N = [638, 880, 1026, 1060, 1133, 1144, 1232, 1326, 1399, 1471, 1516, 1483, 1665]


def by_hand(y: list[float], v: list[float], ahead: float) -> list[tuple[float, float, float]]:
    """The mixture of 42 filters, one by one: (weight, mean, deviation)."""
    taus, omegas = [0, 0.015, 0.03, 0.05, 0.08, 0.12, 0.18], [0, 0.01, 0.02, 0.04, 0.07, 0.12]
    widths = np.outer(np.gradient(taus), np.gradient(omegas)).ravel()
    parts = []
    for (tau, omega), width in zip(product(taus, omegas), widths, strict=True):
        a, p, fit = y[0], v[0] + tau**2, 0.0
        for value, noise in zip(y[1:], v[1:], strict=True):
            p += omega**2
            f = p + noise + tau**2
            fit -= 0.5 * (math.log(f) + (value - a) ** 2 / f)
            gain = p / f
            a, p = a + gain * (value - a), p * (1 - gain)
        prior = math.exp(-0.5 * (tau / 0.06) ** 2 - 0.5 * (omega / 0.04) ** 2) * width
        parts.append((prior * math.exp(fit), a, math.sqrt(p + omega**2 + tau**2 + ahead)))
    total = sum(weight for weight, _, _ in parts)
    return [(weight / total, a, sd) for weight, a, sd in parts]


def quantile(parts: list[tuple[float, float, float]], share: float) -> float:
    return float(
        brentq(lambda x: sum(w * norm.cdf((x - a) / s) for w, a, s in parts) - share, -50, 50)
    )


def test_the_demo_week_is_low_and_not_clearly_so() -> None:
    found = usual_range(K, N)
    assert np.median(np.divide(K, N)[:-1]) == pytest.approx(0.0520, abs=5e-4)
    assert 100 * found.usual[-1] == pytest.approx(5.28, abs=0.005)
    assert 100 * found.low[-1] == pytest.approx(4.108, abs=5e-4)
    assert 100 * found.high[-1] == pytest.approx(6.732, abs=5e-4)
    assert 100 * found.clear_low[-1] == pytest.approx(3.766, abs=5e-4)
    assert 100 * found.clear_high[-1] == pytest.approx(7.295, abs=5e-4)
    assert found.p_value[-1] == pytest.approx(0.0228, abs=5e-5)
    assert (found.verdict[-1], found.history[-1]) == ("low", 12)


def test_rates_are_those_of_the_filters_written_out() -> None:
    k, n = np.array(K, float), np.array(N, float)
    y, v = np.log((k + 0.5) / (n - k + 0.5)), 1 / (k + 0.5) + 1 / (n - k + 0.5)
    pooled = k[:-1].sum() / n[:-1].sum()
    ahead = 1 / (n[-1] * pooled) + 1 / (n[-1] * (1 - pooled))
    parts = by_hand(list(y[:-1]), list(v[:-1]), ahead)
    found = usual_range(K, N)
    for share, limit in ((0.025, found.low), (0.975, found.high), (0.005, found.clear_low)):
        odds = math.exp(quantile(parts, share))
        assert limit[-1] == pytest.approx(odds / (1 + odds), rel=1e-6)
    below = sum(w * norm.cdf((y[-1] - a) / s) for w, a, s in parts)
    assert found.p_value[-1] == pytest.approx(2 * min(below, 1 - below), rel=1e-9)


def test_money_is_that_of_the_filters_written_out() -> None:
    rng = np.random.default_rng(4)
    weeks = [rng.lognormal(3, 0.9, 80) for _ in range(9)]
    total = np.array([week.sum() for week in weeks])
    squares = np.array([(week**2).sum() for week in weeks])
    y, v = np.log(total), squares / total**2
    product_of_both = (v * total)[4:8].mean()
    parts = by_hand(list(y[:-1]), list(v[:-1]), 0.0)
    parts = [(w, a, math.hypot(s, math.sqrt(product_of_both / math.exp(a)))) for w, a, s in parts]
    found = usual_range(total, squares=squares)
    assert found.low[-1] == pytest.approx(math.exp(quantile(parts, 0.025)), rel=1e-6)
    assert found.high[-1] == pytest.approx(math.exp(quantile(parts, 0.975)), rel=1e-6)


def test_counts_of_long_and_short_months_have_one_level() -> None:
    days = np.array([31, 28, 31, 30, 31, 30, 31, 31, 28])
    found = usual_range(100 * days, days=days)
    assert found.usual[-1] == pytest.approx(2800, rel=0.01)
    assert set(found.verdict[4:]) == {"usual"}
    assert usual_range(100 * days).usual[-1] > 2_950


def test_fewer_than_four_earlier_periods_are_not_enough() -> None:
    found = usual_range(K[:5], N[:5])
    assert list(found.verdict[:4]) == ["not known yet"] * 4
    assert np.isnan(found.low[:4]).all()
    assert np.isnan(found.p_value[:4]).all()
    assert np.isfinite(found.low[4])


def test_a_period_sees_nothing_of_what_came_later() -> None:
    whole, cut = usual_range(K, N), usual_range(K[:9], N[:9])
    for early, all_of_it in zip(cut, whole, strict=True):
        np.testing.assert_array_equal(early, all_of_it[:9])


def test_series_are_judged_each_by_its_own() -> None:
    found = usual_range([K, K[::-1]], [N, N[::-1]])
    alone = usual_range(K[::-1], N[::-1])
    for both, own in zip(found, alone, strict=True):
        np.testing.assert_array_equal(both[1], own)


def test_a_clear_period_is_left_out_of_later_ranges() -> None:
    k, n = [500] * 8 + [200, 500, 500], [10_000] * 11
    found = usual_range(k, n)
    assert found.verdict[8] == "clearly low"
    assert found.history[-1] == 9
    assert found.low[-1] > 0.044
    without = usual_range(k, n, usable=[True] * 8 + [False, True, True])
    assert found.low[-1] == without.low[-1]
    assert without.verdict[8] == "not final"


def test_three_clear_periods_on_one_side_are_a_new_level() -> None:
    k, n = [500] * 8 + [300] * 8, [10_000] * 16
    found = usual_range(k, n)
    assert list(found.verdict[8:]) == ["clearly low"] * 3 + ["not known yet"] + ["usual"] * 4
    assert list(found.level) == [0] * 11 + [8] * 5
    assert found.usual[-1] == pytest.approx(0.03, abs=0.001)
    turning = usual_range([500] * 8 + [300, 300, 800, 300, 500], [10_000] * 13)
    assert set(turning.level) == {0}


def test_a_gap_widens_the_range_and_is_nothing() -> None:
    k, n = [500, 520, 480, 505, 495, 0, 0, 500], [10_000] * 5 + [0, 0, 10_000]
    found, near = usual_range(k, n), usual_range(k[:5] + k[-1:], n[:5] + n[-1:])
    assert found.history[-1] == near.history[-1] == 5
    assert found.high[-1] - found.low[-1] > near.high[-1] - near.low[-1]
    assert found.verdict[5] == "too few to judge"


def test_few_expected_are_not_judged() -> None:
    found = usual_range([5, 4, 6, 5, 5, 0], [100] * 6)
    assert found.verdict[-1] == "too few to judge"
    assert math.isnan(found.p_value[-1])
    assert found.expected[-1] == pytest.approx(5, abs=0.5)
    assert usual_range([5, 4, 6, 5, 5, 4], [100] * 6, least_expected=3).verdict[-1] == "usual"


def test_a_total_of_nothing_is_not_judged() -> None:
    found = usual_range([100.0, 100, 100, 100, 100, 0, 100])
    assert list(found.verdict[-2:]) == ["too few to judge", "usual"]


@pytest.mark.parametrize("k", [0, 100])
def test_all_or_none_has_a_range(k: int) -> None:
    found = usual_range([k] * 6, [100] * 6, least_expected=0)
    assert 0 < found.low[-1] < found.high[-1] < 1
    assert found.verdict[-1] == "usual"


@pytest.mark.parametrize("k", [[0] * 12, [0] * 11 + [1], [500] * 12, [500] * 11 + [499]])
def test_more_weeks_without_a_success_do_not_make_many_usual(k: list[int]) -> None:
    """What is usual after 12 weeks of none, or nearly none, of 500 is not half of them."""
    found = usual_range([*k, k[0]], [500] * 13)
    width = found.high - found.low
    assert width[-1] < 0.025
    assert width[11] <= width[4]
    assert found.verdict[-1] == "too few to judge"


def test_a_period_without_anybody_has_no_range() -> None:
    assert np.isnan(usual_range([5] * 6 + [0], [100] * 6 + [0]).high[-1])
