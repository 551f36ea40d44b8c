"""The correlation of two rates whose people overlap, by pandas, and what the interval covers."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.funnel_view_logs import STEPS, view_log

from analysis.core.schema import ALL
from analysis.eventlog.log import EventLog
from analysis.funnels.compare import compare
from analysis.funnels.overlap import correlations
from analysis.funnels.periods import compare_periods
from analysis.funnels.result import FunnelResult, funnel
from analysis.statistics.rates import newcombe

WEEKS = [("2026-10-20", "2026-10-26"), ("2026-10-26", "2026-11-01")]


def views(log: EventLog, **options: Any) -> list[FunnelResult]:
    return [funnel(log, STEPS, window="4d", entered=week, **options) for week in WEEKS]


def by_hand(pair: list[FunnelResult], group: Any, step: int, of: int) -> float:
    """Σ (x1 − n1·p1)(x2 − n2·p2) over people, over the roots of Σ (x − n·p)² of all."""
    residuals = []
    for own in pair:
        attempts = own.mature_attempts
        if group != ALL:
            attempts = attempts[[name == group for name in attempts["group"]]]
        attempts = attempts[attempts[f"step_{of}"].notna()]
        done = attempts[f"step_{step}"].notna()
        user = attempts["user" if "user" in attempts else "unit"]
        residuals.append((done - done.mean()).groupby(user).sum())
    shared = residuals[0].mul(residuals[1]).dropna().sum()
    scale = np.sqrt((residuals[0] ** 2).sum() * (residuals[1] ** 2).sum())
    return float(shared / scale) if scale else np.nan


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("options", [{}, {"by": "device"}, {"count": "attempts"}, {"by": "value"}])
def test_the_correlation_is_that_of_a_sum_over_people(seed: int, options: dict[str, Any]) -> None:
    pair = views(view_log(seed, users=150), **options)
    found = correlations(*pair)
    groups = [ALL, *(name for name in pair[0].sums.names if name in pair[1].sums.names)]
    known = 0
    for group in dict.fromkeys(groups):
        for step, of, basis in ((2, 1, "step"), (3, 2, "step"), (3, 1, "funnel")):
            want = by_hand(pair, group, step, of)
            if not np.isnan(want):
                assert found[group, step, basis] == pytest.approx(want, abs=1e-12)
                known += 1
    assert known >= 3


def test_strangers_do_not_correlate() -> None:
    log = view_log(1, users=150)
    one, two = views(log)
    assert correlations(one, two)
    assert correlations(one, funnel(log.where(device="mobile"), STEPS, entered=WEEKS[1])) == {}
    early = ("2020-01-01", "2020-01-02")
    assert correlations(one, funnel(log, STEPS, entered=early)) == {}


def panel(rng: np.random.Generator, people: int, habit: float) -> EventLog:
    """The same people in two weeks, each with a habit of their own: no change."""
    chance = np.clip(0.4 + habit * rng.choice([-1, 1], people), 0, 1)
    rows = []
    for week in ("2026-11-03", "2026-11-10"):
        day = pd.Timestamp(week)
        bought = rng.random(people) < chance
        rows += [(f"u{i}", day, "a") for i in range(people)]
        rows += [(f"u{i}", day + pd.Timedelta("1h"), "b") for i in np.flatnonzero(bought)]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    return EventLog.from_frame(frame, covers_until="2026-12-01")


def test_the_interval_of_people_in_both_weeks_covers() -> None:
    """As strangers they would be covered in 99.9 % of worlds: the interval is too wide."""
    rng = np.random.default_rng(7)
    hits, naive = [], []
    for _ in range(200):
        log = panel(rng, 200, 0.35)
        weeks = [("2026-11-02", "2026-11-09"), ("2026-11-09", "2026-11-16")]
        before, now = (funnel(log, ["a", "b"], entered=week) for week in weeks)
        row = compare(now, None, before).iloc[-1]
        hits.append(row["low"] <= 0 <= row["high"])
        alone = newcombe(row["k_a"], row["n_a"], row["k_b"], row["n_b"])
        naive.append(alone.low <= 0 <= alone.high)
    assert 0.92 <= np.mean(hits) <= 0.98
    assert np.mean(naive) > 0.985
    now_period = ("2026-11-09", "2026-11-16")
    week = compare_periods(log, ["a", "b"], period=now_period).overall
    assert (week["change_low"], week["change_high"]) == pytest.approx((row["low"], row["high"]))
