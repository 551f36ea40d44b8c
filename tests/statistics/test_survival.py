"""Kaplan and Meier's curve: R's published numbers, two other libraries, known truths."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.remission_weeks import AT_RISK, PUBLISHED, RELAPSED, WEEKS
from scipy import stats
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.statistics.rates import wilson
from analysis.statistics.survival import (
    LogRank,
    Points,
    Steps,
    converters_quantile,
    logrank,
    points_at,
    quantile,
    steps_of,
)

FAR = 10**6


# R: library(survival); aml. Weeks; a minus sign marks a cut-off wait.
MAINTAINED = [9, 13, -13, 18, 23, -28, 31, 34, -45, 48, -161]


NONMAINTAINED = [5, 5, 8, 8, 12, -16, 23, 27, 30, 33, 43, 45]


# R: MASS::gehan, the remissions of Freireich et al. 1963.
SIX_MP = [6, 6, 6, -6, 7, -9, 10, -10, -11, 13, 16, -17, -19, -20, 22, 23, -25, -32, -32, -34, -35]


PLACEBO = [1, 1, 2, 2, 3, 4, 4, 5, 5, 8, 8, 8, 8, 11, 11, 12, 12, 15, 17, 22, 23]


waits = st.lists(st.tuples(st.integers(0, 12), st.booleans()), min_size=1, max_size=40)


def split(signed: list[int]) -> tuple[np.ndarray, np.ndarray]:
    return np.abs(signed).astype(np.int64), np.array(signed) > 0


def arrays(pairs: list[tuple[int, bool]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([t for t, _ in pairs], np.int64), np.array([e for _, e in pairs])


def curve(signed: list[int]) -> Steps:
    return steps_of(*split(signed), FAR)


def test_survival_and_standard_errors_of_r() -> None:
    """summary(survfit(Surv(time, status) ~ x, aml)), group Maintained."""
    steps = curve(MAINTAINED)
    assert steps.times.tolist() == [9, 13, 18, 23, 31, 34, 48]
    assert steps.at_risk.tolist() == [11, 10, 8, 7, 5, 4, 2]
    assert steps.survival.round(3).tolist() == [0.909, 0.818, 0.716, 0.614, 0.491, 0.368, 0.184]
    errors = steps.survival * np.sqrt(steps.spread)
    assert errors.round(4).tolist() == [0.0867, 0.1163, 0.1397, 0.1526, 0.1642, 0.1627, 0.1535]


def test_survival_of_the_remission_trial() -> None:
    """Klein & Moeschberger 2003, table 4.1: the product-limit estimator and its standard error."""
    steps = curve(SIX_MP)
    assert steps.times.tolist() == [6, 7, 10, 13, 16, 22, 23]
    assert steps.survival.round(3).tolist() == [0.857, 0.807, 0.753, 0.690, 0.627, 0.538, 0.448]
    errors = steps.survival * np.sqrt(steps.spread)
    assert errors.round(4).tolist() == [0.0764, 0.0869, 0.0963, 0.1068, 0.1141, 0.1282, 0.1346]


@pytest.mark.parametrize(("signed", "median"), [(MAINTAINED, 31), (NONMAINTAINED, 23)])
def test_medians_of_r(signed: list[int], median: int) -> None:
    """print(survfit(Surv(time, status) ~ x, aml))"""
    assert quantile(curve(signed), 0.5).estimate == median


@pytest.mark.parametrize(
    ("one", "other", "statistic", "p_value"),
    [(MAINTAINED, NONMAINTAINED, 3.396389, 0.0653), (SIX_MP, PLACEBO, 16.79, 4.17e-05)],
)
def test_log_rank_of_r(one: list[int], other: list[int], statistic: float, p_value: float) -> None:
    """survdiff(Surv(time, status) ~ x, aml); survdiff(Surv(time, cens) ~ treat, gehan)"""
    time, happened = split(one + other)
    found = logrank(time, happened, np.repeat([0, 1], [len(one), len(other)]), FAR)
    assert found.statistic == pytest.approx(statistic, rel=3e-4)
    assert (found.df, found.p_value) == (1, pytest.approx(p_value, rel=2e-3))


@given(waits)
def test_curve_and_errors_of_statsmodels(pairs: list[tuple[int, bool]]) -> None:
    time, happened = arrays(pairs)
    steps = steps_of(time, happened, FAR)
    other = SurvfuncRight(time, happened.astype(int))
    np.testing.assert_allclose(steps.survival, other.surv_prob, atol=1e-12)
    assert steps.times.tolist() == other.surv_times.tolist()
    assert steps.at_risk.tolist() == other.n_risk.tolist()
    inner = steps.survival > 1e-9
    errors = (steps.survival * np.sqrt(np.where(inner, steps.spread, 0)))[inner]
    np.testing.assert_allclose(errors, other.surv_prob_se[inner], atol=1e-12)


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # scipy's, where there are no limits
@given(waits)
def test_limits_of_scipy(pairs: list[tuple[int, bool]]) -> None:
    time, happened = arrays(pairs)
    steps = steps_of(time, happened, FAR)
    data = stats.CensoredData(uncensored=time[happened], right=time[~happened])
    with np.errstate(all="ignore"):
        curve = stats.ecdf(data).sf
        limits = curve.confidence_interval(method="log-log")
    at = np.arange(int(time.max()) + 1)
    found = points_at(steps, at)
    np.testing.assert_allclose(1 - found.rate, curve.evaluate(at), atol=1e-12)
    inside = (found.rate > 1e-12) & (found.rate < 1 - 1e-12)
    np.testing.assert_allclose(1 - found.low[inside], limits.high.evaluate(at)[inside], atol=1e-9)  # type: ignore[attr-defined]
    np.testing.assert_allclose(1 - found.high[inside], limits.low.evaluate(at)[inside], atol=1e-9)  # type: ignore[attr-defined]


@given(waits, st.integers(0, 14))
def test_who_is_at_risk_by_counting(pairs: list[tuple[int, bool]], horizon: int) -> None:
    time, happened = arrays(pairs)
    found = points_at(steps_of(time, happened, max(horizon, 1)), np.arange(horizon + 1))
    for t in range(horizon + 1):
        assert found.at_risk[t] == (time >= t).sum()
        assert found.converted[t] == (happened & (time <= t) & (time <= max(horizon, 1))).sum()


@given(waits, st.integers(1, 14))
def test_a_horizon_cuts_and_changes_nothing_before_it(
    pairs: list[tuple[int, bool]], horizon: int
) -> None:
    time, happened = arrays(pairs)
    at = np.arange(horizon + 1)
    cut, whole = (points_at(steps_of(time, happened, h), at) for h in (horizon, FAR))
    for one, other in zip(cut, whole, strict=True):
        np.testing.assert_array_equal(one, other)


@given(waits)
def test_limits_hold_the_rate_and_never_turn_back(pairs: list[tuple[int, bool]]) -> None:
    time, happened = arrays(pairs)
    found = points_at(steps_of(time, happened, FAR), np.arange(int(time.max()) + 1))
    assert (found.low <= found.rate + 1e-12).all()
    assert (found.rate <= found.high + 1e-12).all()
    assert (np.diff(found.rate) >= -1e-12).all()
    assert not np.isnan([found.low, found.high]).any()


def test_where_greenwoods_variance_is_zero_there_are_limits_still() -> None:
    none = points_at(steps_of(np.array([5, 9]), np.array([False, False]), 7), np.array([0, 7]))
    assert none.rate.tolist() == [0, 0]
    assert none.high.tolist() == [wilson(0, 2)[1], wilson(0, 1)[1]]
    every = points_at(steps_of(np.full(20, 3), np.full(20, True), 7), np.array([3, 7]))
    assert every.rate.tolist() == [1, 1]
    assert every.low.tolist() == [wilson(20, 20)[0]] * 2
    assert every.high.tolist() == [1, 1]


def test_nothing_is_told_where_nobody_was_followed() -> None:
    steps = steps_of(np.array([2, 5]), np.array([True, False]), 10)
    found = points_at(steps, np.array([5, 6, 10]))
    assert found.rate.tolist()[0] == 0.5
    assert np.isnan(found.rate[1:]).all()
    assert np.isnan([found.low[1:], found.high[1:]]).all()
    assert found.at_risk.tolist() == [1, 0, 0]
    assert math.isnan(converters_quantile(steps, 0.5, 10).estimate)
    nobody = steps_of(np.empty(0, np.int64), np.empty(0, bool), 10)
    assert np.isnan(points_at(nobody, np.array([0, 10])).rate).all()
    assert math.isnan(quantile(nobody, 0.5).estimate)


@given(waits, st.sampled_from([0.1, 0.25, 0.5, 0.75]))
def test_a_quantile_is_where_the_curve_reaches_the_share(
    pairs: list[tuple[int, bool]], share: float
) -> None:
    time, happened = arrays(pairs)
    steps = steps_of(time, happened, FAR)
    at = np.arange(13)
    found = points_at(steps, at)
    for value, column in zip(
        quantile(steps, share), (found.rate, found.high, found.low), strict=True
    ):
        there = at[(column >= share - 1e-12) & (at <= time[happened].max(initial=-1))]
        # The limit before the first event is no limit of a time.
        there = there[np.isin(there, time[happened])]
        assert (math.isnan(value) and not len(there)) or value == there[0]


@pytest.mark.filterwarnings("ignore::RuntimeWarning")  # its logarithms of 0 at the curve's end
def test_a_quantiles_interval_is_that_of_statsmodels() -> None:
    rng = np.random.default_rng(4)
    time = np.minimum(rng.permutation(400) + 1, cut := rng.integers(50, 500, 400))
    happened = time < cut
    steps = steps_of(time, happened, FAR)
    other = SurvfuncRight(time, happened.astype(int))
    low, high = other.quantile_ci(0.5)
    found = quantile(steps, 0.5)
    assert found.estimate == pytest.approx(other.quantile(0.5), abs=2)
    # It widens the spread at the time, and not the transformed limits: equal within a few steps.
    assert abs(found.low - low) <= 6
    assert abs(found.high - high) <= 6


def test_the_converters_median_is_the_plain_one_where_no_wait_is_cut_off() -> None:
    rng = np.random.default_rng(5)
    time = rng.permutation(1000)[:501].astype(np.int64)
    converted = np.concatenate([np.full(501, True), np.full(700, False)])
    steps = steps_of(np.concatenate([time, np.full(700, 2000)]), converted, 2000)
    found = converters_quantile(steps, 0.5, 2000)
    assert found.estimate == np.median(time)
    # The usual interval of a median of n: order statistics n/2 -+ 0.98 sqrt(n).
    ranks = np.searchsorted(np.sort(time), [found.low, found.high]) + 1
    assert ranks.tolist() == pytest.approx(stats.binom.ppf([0.025, 0.975], 501, 0.5), abs=2)


def test_the_converters_median_counts_waits_that_are_cut_off() -> None:
    """Growing traffic: of those seen so far, the quick ones are too many."""
    rng = np.random.default_rng(6)
    n = 40_000
    lag = np.where(rng.random(n) < 0.3, rng.integers(0, 60_000, n), 10**9)
    followed = (90_000 * (1 - np.sqrt(rng.random(n)))).astype(np.int64)
    time, happened = np.minimum(lag, followed), lag < followed
    found = converters_quantile(steps_of(time, happened, 60_000), 0.5, 60_000)
    assert np.median(time[happened]) < 20_000
    assert found.low < 30_000 < found.high
    assert found.estimate == pytest.approx(30_000, rel=0.05)


def test_with_few_conversions_a_time_has_no_interval() -> None:
    time = np.array([1, 2, 3, 4, 5, 99, 99])
    found = converters_quantile(steps_of(time, time < 99, 50), 0.5, 50)
    assert found.estimate == 3
    assert np.isnan(found[1:]).all()


@given(waits, waits)
def test_log_rank_of_scipy(one: list[tuple[int, bool]], other: list[tuple[int, bool]]) -> None:
    time, happened = arrays(one + other)
    groups = np.repeat([0, 1], [len(one), len(other)])
    found = logrank(time, happened, groups, FAR)
    samples = [
        stats.CensoredData(uncensored=t[h], right=t[~h]) for t, h in (arrays(one), arrays(other))
    ]
    if not happened.any():
        assert math.isnan(found.p_value)
        return
    with np.errstate(all="ignore"):
        judge = stats.logrank(*samples)  # type: ignore[arg-type]
    if math.isnan(found.p_value):
        assert math.isnan(judge.statistic) or not np.isfinite(judge.statistic)
    else:
        assert found.statistic == pytest.approx(judge.statistic**2, rel=1e-6, abs=1e-9)
        assert found.p_value == pytest.approx(judge.pvalue, rel=1e-6, abs=1e-9)


def multivariate(time: np.ndarray, happened: np.ndarray, groups: np.ndarray) -> float:
    """The statistic as textbooks write it (Klein & Moeschberger 2003, section 7.3)."""
    size = int(groups.max()) + 1
    excess, cover = np.zeros(size), np.zeros((size, size))
    for t in np.unique(time[happened]):
        risk = np.array([((time >= t) & (groups == g)).sum() for g in range(size)], float)
        died = np.array([(happened & (time == t) & (groups == g)).sum() for g in range(size)])
        n, d = risk.sum(), died.sum()
        excess += died - risk * d / n
        if n > 1:
            share = risk / n
            cover += (np.diag(share) - np.outer(share, share)) * d * (n - d) / (n - 1)
    return float(excess[1:] @ np.linalg.solve(cover[1:, 1:], excess[1:]))


def test_log_rank_of_several_groups() -> None:
    rng = np.random.default_rng(7)
    time, happened = rng.integers(1, 60, 500), rng.random(500) < 0.6
    groups = rng.integers(0, 4, 500)
    found = logrank(time, happened, groups, FAR)
    assert found.df == 3
    assert found.statistic == pytest.approx(multivariate(time, happened, groups), rel=1e-9)
    cut = logrank(time, happened, groups, 30)
    within = happened & (time <= 30)
    expected = multivariate(np.minimum(time, 30), within, groups)
    assert cut.statistic == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("time", "happened", "groups"),
    [
        ([1, 2, 3], [True, True, True], [0, 0, 0]),
        ([1, 2, 3], [False, False, False], [0, 1, 1]),
        ([3, 4, 1], [True, True, False], [0, 0, 1]),
        ([3, 3], [True, True], [0, 1]),
    ],
)
def test_where_nothing_can_be_compared_the_test_is_undefined(
    time: list[int], happened: list[bool], groups: list[int]
) -> None:
    found = logrank(np.array(time), np.array(happened), np.array(groups), FAR)
    assert isinstance(found, LogRank)
    assert math.isnan(found.statistic)
    assert math.isnan(found.p_value)


def covered(repeats: int, n: int, seed: int) -> np.ndarray:
    """How often do the 95 % intervals of the rate and of the median hold the truth, and how often
    does the test find a difference between groups that do not differ?"""
    rng = np.random.default_rng(seed)
    held = np.zeros(3)
    for _ in range(repeats):
        lag = np.where(rng.random(n) < 0.25, rng.integers(1, 60_001, n), 10**9)
        followed = rng.integers(0, 90_001, n)
        time, happened = np.minimum(lag, followed), lag <= followed
        steps = steps_of(time, happened, 60_000)
        point = points_at(steps, np.array([60_000]))
        median = converters_quantile(steps, 0.5, 60_000)
        found = logrank(time, happened, rng.integers(0, 3, n), 60_000)
        held += [
            point.low[0] <= 0.25 <= point.high[0],
            median.low <= 30_000 <= median.high,
            found.p_value < 0.05,
        ]
    return held / repeats


def test_intervals_hold_the_truth_about_as_often_as_they_say() -> None:
    rate, median, found = covered(300, 400, 8)
    assert 0.91 <= rate <= 0.985
    assert 0.91 <= median <= 0.985
    assert found <= 0.09


@pytest.mark.slow
@pytest.mark.parametrize("n", [200, 1000])
def test_intervals_hold_the_truth_as_often_as_they_say(n: int) -> None:
    rate, median, found = covered(4000, n, 9)
    assert 0.94 <= rate <= 0.96
    assert 0.935 <= median <= 0.965
    assert 0.04 <= found <= 0.06


# The Kaplan-Meier estimate against published numbers, a second library and the truth.


samples = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30)


def at_every_time(time: Any, happened: Any) -> tuple[np.ndarray, Points]:
    times = np.unique(np.asarray(time, np.int64))
    steps = steps_of(np.asarray(time, np.int64), np.asarray(happened, bool), 10**12)
    return times, points_at(steps, times)


def test_published_numbers() -> None:
    times, curve = at_every_time(WEEKS, RELAPSED)
    for week, survival in PUBLISHED.items():
        place = times.tolist().index(week)
        assert 1 - curve.rate[place] == pytest.approx(survival, abs=6e-5)
        assert curve.at_risk[place] == AT_RISK[week]
    assert curve.converted[-1] == 9


@given(samples)
def test_a_second_library_agrees(sample: list[tuple[int, bool]]) -> None:
    time, happened = map(np.array, zip(*sample, strict=True))
    times, curve = at_every_time(time, happened)
    assert (np.diff(times) > 0).all()
    assert (np.diff(curve.rate) >= 0).all()
    judge = SurvfuncRight(time.astype(float), happened.astype(int))
    for t, survival, error in zip(
        judge.surv_times, judge.surv_prob, judge.surv_prob_se, strict=True
    ):
        place = times.tolist().index(t)
        assert 1 - curve.rate[place] == pytest.approx(survival, abs=1e-12)
        if 1e-9 < survival < 1 - 1e-9:
            # Greenwood on the scale of log(-log S), by the delta method.
            wide = 1.959964 * error / (survival * -np.log(survival))
            low, high = 1 - survival ** np.exp([-wide, wide])
            assert curve.low[place] == pytest.approx(low, abs=1e-6)
            assert curve.high[place] == pytest.approx(high, abs=1e-6)
    for place, t in enumerate(times):
        assert curve.at_risk[place] == (time >= t).sum()
        assert curve.converted[place] == (time[happened] <= t).sum()


@given(samples)
def test_every_share_lies_between_its_limits(sample: list[tuple[int, bool]]) -> None:
    time, happened = map(np.array, zip(*sample, strict=True))
    _, curve = at_every_time(time, happened)
    assert ((curve.low >= 0) & (curve.low <= curve.rate)).all()
    assert ((curve.rate <= curve.high) & (curve.high <= 1)).all()


def test_all_and_nothing_have_limits() -> None:
    _, nobody = at_every_time([3] * 40, [False] * 40)
    assert nobody.rate.tolist() == [0]
    assert nobody.low.tolist() == [0]
    assert nobody.high[0] == pytest.approx(float(wilson(0, 40)[1]))
    _, everybody = at_every_time(np.arange(40), [True] * 40)
    assert (everybody.rate[-1], everybody.high[-1]) == (1, 1)
    assert everybody.low[-1] == everybody.low[-2] > 0.8
    _, at_once = at_every_time([0] * 40, [True] * 40)
    assert at_once.low[0] == pytest.approx(float(wilson(40, 40)[0]))
    _, late = at_every_time([1] * 10 + [2] * 40, [True] * 50)
    assert late.low[-1] == pytest.approx(float(wilson(40, 40)[0]))


def test_nobody_has_no_curve() -> None:
    assert [len(cells) for cells in at_every_time([], [])[1]] == [0] * 5


def test_without_censoring_it_is_the_plain_share() -> None:
    time = np.array([1, 1, 2, 5, 9, 9, 9, 9])
    _, curve = at_every_time(time, time < 9)
    assert curve.rate.tolist() == pytest.approx([2 / 8, 3 / 8, 4 / 8, 4 / 8])


@pytest.mark.slow
def test_the_limits_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    truth, inside = 1 - np.exp(-1.0), []
    for _ in range(2000):
        wait, watched = rng.exponential(5, 200), rng.uniform(0, 12, 200)
        seen = (np.minimum(wait, watched) * 10**6).astype(np.int64)
        times, curve = at_every_time(seen, wait <= watched)
        place = np.searchsorted(times, 5 * 10**6, side="right") - 1
        inside.append(curve.low[place] <= truth <= curve.high[place])
    assert 0.935 < np.mean(inside) < 0.965
