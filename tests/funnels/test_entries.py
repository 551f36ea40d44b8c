"""Each entry followed for itself: against Kaplan & Meier of a second library, and by hand."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from statsmodels.duration.survfunc import SurvfuncRight

from analysis.eventlog.log import EventLog
from analysis.funnels.entries import Entries, entries_of, final_rate
from analysis.funnels.result import funnel
from analysis.statistics.survival import points_at, steps_of


def entries(*cells: list[float]) -> Entries:
    return Entries(*(np.array(own) for own in cells))


def test_with_one_entry_each_it_is_kaplan_and_meier() -> None:
    rng = np.random.default_rng(3)
    watched = rng.integers(1, 1_000, 400)
    wait = rng.integers(1, 3_000, 400)
    reached, time = wait <= watched, np.minimum(wait, watched)
    found = final_rate(Entries(np.arange(400), watched, time, reached), 900)
    judge = SurvfuncRight(time, reached.astype(int))
    place = np.searchsorted(judge.surv_times, 900, side="right") - 1
    assert found[0] == pytest.approx(1 - judge.surv_prob[place], abs=1e-12)
    points = points_at(steps_of(time, reached, 900), np.array([900]))
    assert found[1:] == pytest.approx((points.low[0], points.high[0]))


def test_a_unit_that_is_open_counts_with_those_like_it() -> None:
    # Unit 0 converts 2 after its second entry, 6 after its first; unit 1 never does; unit 2 is
    # still open, 3 after its second entry. Of the 5 entries 4 are as old as 3 without conversion,
    # and one of these converts: S(3) = 4/5, S(9) = 4/5 · 3/4 (one of four at risk at 6).
    own = entries(
        [0, 0, 1, 2, 2], [9, 9, 9, 8, 3], [6, 2, 9, 8, 3], [True, True, False] + [False] * 2
    )
    survival = {3: 4 / 5, 9: 4 / 5 * 2 / 3}
    want = (1 + 1 - survival[9] / survival[3]) / 3
    assert final_rate(own, 9)[0] == pytest.approx(want)


def test_the_jackknife_covers() -> None:
    rng = np.random.default_rng(5)
    hits = []
    for _ in range(150):
        unit = np.repeat(np.arange(300), 2)
        age = np.sort(rng.uniform(0, 12, (300, 2)), axis=1)[:, ::-1]
        wait = np.where(rng.random((300, 2)) < 0.2, rng.uniform(0, 10, (300, 2)), 99.0)
        until = np.minimum(wait[:, 0] - (age[:, 0] - age[:, 1]), wait[:, 1])
        until[until < 0] = 99
        first = np.minimum(wait[:, 0], until + age[:, 0] - age[:, 1])
        both = np.column_stack([first, until]).ravel()
        watched = np.minimum(age, 10).ravel()
        # A conversion before the second entry ends the unit.
        alone = np.column_stack([np.zeros(300, bool), wait[:, 0] < age[:, 0] - age[:, 1]]).ravel()
        reached, time = both <= watched, np.minimum(both, watched)
        keep = ~alone
        found = final_rate(Entries(unit[keep], watched[keep], time[keep], reached[keep]), 10)
        hits.append(found[1] <= 1 - 0.8**2 <= found[2])
    assert np.mean(hits) >= 0.9


def test_entries_are_those_before_the_conversion() -> None:
    day = pd.Timestamp("2026-06-01")
    rows = [("ann", 0, "a"), ("ann", 2, "a"), ("ann", 3, "b"), ("ann", 4, "a")]
    rows += [("bob", 1, "a"), ("bob", 1, "a"), ("bob", 6, "a"), ("cy", 9, "a"), ("cy", 5, "b")]
    frame = pd.DataFrame(rows, columns=["user", "hour", "event"])
    frame = frame.assign(time=day + pd.to_timedelta(frame["hour"], "h"))
    log = EventLog.from_frame(frame[["user", "time", "event"]], covers_until="2026-06-01 08:00")
    spec = funnel(log, ["a", "b"], window="4h").question
    found, group = entries_of(log, spec, ["all"])
    hour = 3_600_000_000
    assert found.unit.tolist() == [0, 0, 1, 1]
    assert (found.watched / hour).tolist() == [4, 4, 4, 2]
    assert (found.time / hour).tolist() == [3, 1, 4, 2]
    assert found.reached.tolist() == [True, True, False, False]
    assert group.tolist() == [0, 0]
    alone, _ = entries_of(
        log, funnel(log, ["a", "b"], window="4h", entry="first").question, ["all"]
    )
    assert alone.unit.tolist() == [0, 1]
