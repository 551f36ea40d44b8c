"""The Kaplan-Meier estimate against published numbers, a second library and the truth."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.statistics.kaplan_meier import share_by_time
from analysis.statistics.stats import wilson

# Weeks of remission of 21 leukemia patients on 6-mercaptopurine (Freireich et al. 1963, Blood
# 21:699); the survival is that of Kleinbaum & Klein, Survival Analysis, chapter 2.
WEEKS = [6, 6, 6, 7, 10, 13, 16, 22, 23, 6, 9, 10, 11, 17, 19, 20, 25, 32, 32, 34, 35]
RELAPSED = [True] * 9 + [False] * 12
PUBLISHED = {6: 0.8571, 7: 0.8067, 10: 0.7529, 13: 0.6902, 16: 0.6275, 22: 0.5378, 23: 0.4482}
AT_RISK = {6: 21, 7: 17, 10: 15, 13: 12, 16: 11, 22: 7, 23: 6}

samples = st.lists(st.tuples(st.integers(0, 8), st.booleans()), min_size=1, max_size=30)


def test_published_numbers() -> None:
    curve = share_by_time(WEEKS, RELAPSED)
    for week, survival in PUBLISHED.items():
        place = curve.time.tolist().index(week)
        assert 1 - curve.rate[place] == pytest.approx(survival, abs=6e-5)
        assert curve.at_risk[place] == AT_RISK[week]
    assert curve.reached[-1] == 9


@given(samples)
def test_a_second_library_agrees(sample: list[tuple[int, bool]]) -> None:
    time, happened = map(np.array, zip(*sample, strict=True))
    curve = share_by_time(time, happened)
    assert (np.diff(curve.time) > 0).all()
    assert (np.diff(curve.rate) >= 0).all()
    judge = SurvfuncRight(time.astype(float), happened.astype(int))
    for t, survival, error in zip(
        judge.surv_times, judge.surv_prob, judge.surv_prob_se, strict=True
    ):
        place = curve.time.tolist().index(t)
        assert 1 - curve.rate[place] == pytest.approx(survival, abs=1e-12)
        if 1e-9 < survival < 1 - 1e-9:
            # Greenwood on the scale of log(-log S), by the delta method.
            wide = 1.959964 * error / (survival * -np.log(survival))
            low, high = 1 - survival ** np.exp([-wide, wide])
            assert curve.low[place] == pytest.approx(low, abs=1e-6)
            assert curve.high[place] == pytest.approx(high, abs=1e-6)
    for place, t in enumerate(curve.time):
        assert curve.at_risk[place] == (time >= t).sum()
        assert curve.reached[place] == (time[happened] <= t).sum()


@given(samples)
def test_every_share_lies_between_its_limits(sample: list[tuple[int, bool]]) -> None:
    time, happened = map(np.array, zip(*sample, strict=True))
    curve = share_by_time(time, happened)
    assert ((curve.low >= 0) & (curve.low <= curve.rate)).all()
    assert ((curve.rate <= curve.high) & (curve.high <= 1)).all()


def test_all_and_nothing_have_limits() -> None:
    nobody = share_by_time([3.0] * 40, [False] * 40)
    assert nobody.rate.tolist() == [0]
    assert nobody.low.tolist() == [0]
    assert nobody.high[0] == pytest.approx(float(wilson(0, 40)[1]))
    everybody = share_by_time(np.arange(40), [True] * 40)
    assert (everybody.rate[-1], everybody.high[-1]) == (1, 1)
    assert everybody.low[-1] == everybody.low[-2] > 0.8
    at_once = share_by_time([0.0] * 40, [True] * 40)
    assert at_once.low[0] == pytest.approx(float(wilson(40, 40)[0]))


def test_nobody_has_no_curve() -> None:
    assert [len(cells) for cells in share_by_time([], [])] == [0] * 6


def test_without_censoring_it_is_the_plain_share() -> None:
    time = np.array([1, 1, 2, 5, 9, 9, 9, 9])
    curve = share_by_time(time, time < 9)
    assert curve.rate.tolist() == pytest.approx([2 / 8, 3 / 8, 4 / 8, 4 / 8])


@pytest.mark.slow
def test_the_limits_hold_the_truth_as_often_as_they_say() -> None:
    rng = np.random.default_rng(7)
    truth, inside = 1 - np.exp(-1.0), []
    for _ in range(2000):
        wait, watched = rng.exponential(5, 200), rng.uniform(0, 12, 200)
        curve = share_by_time(np.minimum(wait, watched), wait <= watched)
        place = np.searchsorted(curve.time, 5, side="right") - 1
        inside.append(curve.low[place] <= truth <= curve.high[place])
    assert 0.935 < np.mean(inside) < 0.965
