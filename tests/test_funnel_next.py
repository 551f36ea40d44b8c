"""Who stopped and what they did next, by a plain loop over every user's rows."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from funnel_view_logs import STEPS, view_log
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import Exclusion, Step
from analysis.funnels.losses import NOTHING, drop_offs, next_events, units
from analysis.funnels.result import funnel
from analysis.statistics.stats import wilson

seeds = st.integers(0, 2**32)


def next_by_hand(
    log: EventLog, stopped: pd.DataFrame, step: int, window: str
) -> dict[str, list[float]]:
    """The waits of those who stopped until their next event, by its name."""
    rows = dict(iter(log.to_frame().groupby("user")))
    waits = defaultdict(list)
    for attempt in stopped.to_dict("records"):
        own = rows[attempt.get("user", attempt["unit"])]
        after = attempt[f"step_{step}"]
        later = own[own["time"] > after]
        later = later[later["time"] <= attempt["entered_at"] + pd.Timedelta(window)]
        if len(later):
            first = later.iloc[0]
            waits[first["event"]].append((first["time"] - after).total_seconds())
        else:
            waits[NOTHING].append(np.nan)
    return waits


@settings(max_examples=40)
@given(
    seeds,
    st.sampled_from([1, 2, "a", "b"]),
    st.sampled_from([1, 2, 10]),
    st.sampled_from(["whole", "where", "between"]),
    st.sampled_from([None, "m"]),
)
def test_next_events_by_hand(seed: int, step: Any, top: int, view: str, group: Any) -> None:
    log = view_log(seed, users=25)
    if view == "where":
        log = log.where(value=[1.0, 2.55, 10.1])
    elif view == "between":
        log = log.between("2026-10-22", "2026-10-30")
    result = funnel(log, STEPS, window="2d", by="device")
    number = step if isinstance(step, int) else STEPS.index(step) + 1
    if group is not None and group not in set(result.table["group"]):
        return
    found = next_events(result, step, top=top, group=group)
    stopped = units(result, step, group=group)
    assert (stopped["reach"] == number).all()
    waits = next_by_hand(log, stopped, number, "48h")
    nothing = waits.pop(NOTHING, [])
    ranked = sorted(waits, key=lambda name: (-len(waits[name]), name))
    want = [(name, waits[name]) for name in ranked[:top]]
    if ranked[top:]:
        want.append(("(other)", [w for name in ranked[top:] for w in waits[name]]))
    want.append((NOTHING, nothing))
    assert found["event"].tolist() == [name for name, _ in want]
    assert found["k"].tolist() == [len(own) for _, own in want]
    assert found["k"].sum() == len(stopped)
    assert found["n"].eq(len(stopped)).all()
    for row, (_, own) in zip(found.to_dict("records"), want, strict=True):
        median = np.median(own) if own else np.nan
        assert row["median_seconds"] == pytest.approx(median, nan_ok=True)
        if len(stopped):
            assert row["share"] == pytest.approx(len(own) / len(stopped))
            low, high = wilson(len(own), len(stopped))
            assert (row["low"], row["high"]) == pytest.approx((float(low), float(high)))
    assert found["after"].eq(STEPS[number - 1]).all()


@settings(max_examples=20)
@given(seeds, st.sampled_from([None, "device"]))
def test_those_who_stopped_and_those_who_went_on_are_the_table(seed: int, by: Any) -> None:
    result = funnel(view_log(seed), STEPS, window="2d", by=by)
    k = result.table.groupby("step")["k"].sum()
    drops = drop_offs(result)
    for step in (1, 2):
        stopped, went = units(result, step), units(result, step, converted=True)
        assert len(stopped) == k[step] - k[step + 1]
        assert len(went) == k[step + 1]
        assert set(stopped["unit"]).isdisjoint(went["unit"])
        own = drops[drops["step"] == step]
        assert own["reached"].eq(k[step]).all()
        assert own["k"].sum() == len(stopped)


@settings(max_examples=10)
@given(seeds)
def test_groups_add_up(seed: int) -> None:
    result = funnel(view_log(seed), STEPS, window="2d", by="device")
    groups = list(dict.fromkeys(result.table["group"]))
    counts: Counter[str] = Counter()
    for group in groups:
        own = next_events(result, 1, top=99, group=group)
        counts.update(dict(zip(own["event"], own["k"].tolist(), strict=True)))
        assert set(units(result, 1, group=group)["group"]) <= {group}
    whole = next_events(result, 1, top=99)
    assert dict(counts) == dict(zip(whole["event"], whole["k"].tolist(), strict=True))


def test_units_that_repeat_a_user_are_found_by_the_user() -> None:
    log = view_log(6)
    result = funnel(log, STEPS, window="2d")
    attempts = result.mature_attempts
    other = attempts.assign(
        unit=[(user, i) for i, user in enumerate(attempts["unit"])], user=attempts["unit"]
    )
    plain = next_events(result, 1)
    result.__dict__["mature_attempts"] = other
    assert next_events(result, 1).equals(plain)


def test_limits_of_units_that_repeat_a_user_are_those_of_users() -> None:
    frame = pd.DataFrame(
        [(f"u{i}", "2026-01-01", "a") for i in range(30)]
        + [(f"u{i}", "2026-01-01T01:00", "q") for i in range(12)],
        columns=["user", "time", "event"],
    )
    frame["time"] = pd.to_datetime(frame["time"], format="ISO8601")
    days = [frame.assign(time=frame["time"] + pd.Timedelta(days=10 * i)) for i in range(4)]
    once, often = (
        EventLog.from_frame(rows, covers_until="2026-06-01") for rows in (frame, pd.concat(days))
    )
    want = next_events(funnel(once, ["a", "a"]), 1)
    found = next_events(funnel(often, ["a", "a"], count="attempts"), 1)
    assert found["k"].tolist() == (4 * want["k"]).tolist() == [48, 72]
    for name in ("share", "low", "high", "median_seconds"):
        assert found[name].tolist() == pytest.approx(want[name].tolist(), nan_ok=True)


def test_a_chain_without_a_group_is_in_no_view() -> None:
    result = funnel(view_log(6), STEPS, window="2d", by="device")
    attempts = result.mature_attempts
    result.__dict__["mature_attempts"] = attempts.assign(
        group=attempts["group"].where(attempts["group"] != "m", None)
    )
    assert set(units(result, 1)["group"]) == set(attempts["group"]) - {"m"}


OPTIONS: list[dict[str, Any]] = [
    {"unit": "session"},
    {"hold": ["device"]},
    {"count": "attempts"},
    {"order": "any"},
    {"order": "strict"},
    {"unit": "device"},
    {"by": "device", "by_at": 2},
    {"exclude": [Exclusion("q")]},
]


@settings(max_examples=30)
@given(seeds, st.sampled_from(OPTIONS), st.booleans())
def test_every_kind_of_funnel(seed: int, options: dict[str, Any], skip: bool) -> None:
    log = view_log(seed, users=25)
    steps: list[Any] = ["a", Step("q", optional=True), "b", "c"] if skip else STEPS
    if skip and "order" in options:
        return
    result = funnel(log, steps, window="2d", **options)
    table = result.table.groupby("step")[["k", "n_previous"]].sum()
    drops = drop_offs(result)
    last = max(table.index)
    for step in range(1, last):
        stopped, went = units(result, step), units(result, step, converted=True)
        after = min(k for k in range(step + 1, last + 1) if not (skip and k == 2))
        own = drops[drops["step"] == step]
        assert own["k"].sum() == len(stopped)
        assert own["reached"].eq(table["k"][step]).all()
        assert stopped["reach"].eq(step).all()
        assert went[[f"step_{step}", f"step_{after}"]].notna().all(axis=None)
        waits = next_by_hand(result.log, stopped, step, "48h")
        counts = dict(zip(own["event"], own["k"].tolist(), strict=True))
        assert counts.get(NOTHING, 0) == len(waits.get(NOTHING, []))
        for event in set(counts) - {NOTHING, "(other)"}:
            assert counts[event] == len(waits[event])
    if not skip:
        lost = [len(units(result, step)) for step in range(1, last)]
        assert lost == [table["k"][k] - table["k"][k + 1] for k in range(1, last)]


def test_nobody_stopped() -> None:
    frame = pd.DataFrame({"user": ["u", "u"], "event": ["a", "b"]})
    log = EventLog.from_frame(
        frame.assign(time=pd.Timestamp("2026-01-01")), covers_until="2026-03-01"
    )
    found = next_events(funnel(log, ["a", "b"]), 1)
    assert found[["event", "k", "n"]].to_numpy().tolist() == [[NOTHING, 0, 0]]
    assert found[["share", "low", "high"]].isna().all(axis=None)


def test_the_window_bounds_what_comes_next() -> None:
    frame = pd.DataFrame(
        {
            "user": list("uuvvw"),
            "event": ["a", "q", "a", "q", "a"],
            "time": pd.to_datetime(
                ["2026-01-01", "2026-01-02", "2026-01-01", "2026-01-02T00:00:01", "2026-01-01"],
                format="ISO8601",
            ),
        }
    )
    log = EventLog.from_frame(frame, covers_until="2026-03-01")
    found = next_events(funnel(log, ["a", "q"], window="23h"), 1)
    assert found.set_index("event")["k"].to_dict() == {NOTHING: 3}
    found = next_events(funnel(log, ["a", "a"], window="24h"), 1)
    assert found.set_index("event")["k"].to_dict() == {"q": 1, NOTHING: 2}


@pytest.mark.parametrize("ask", [next_events, units])
def test_bad_questions(ask: Any) -> None:
    result = funnel(view_log(1), STEPS, by="device")
    with pytest.raises(UsageError, match=r"step=3 is not one it can be asked of. Allowed: 1"):
        ask(result, 3)
    with pytest.raises(UsageError, match="'tablet' is no group of this funnel"):
        ask(result, 1, group="tablet")
    with pytest.raises(UsageError, match="a funnel of one step"):
        ask(funnel(view_log(1), ["a"]), 1)
    with pytest.raises(UsageError, match="top=0"):
        next_events(result, 1, top=0)
    assert len(drop_offs(funnel(view_log(1), ["a"]))) == 0
