"""What is lost against the best group, by plain pandas; who stopped, and what they did next."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import confint_proportions_2indep, proportion_confint
from support.funnel_view_logs import STEPS, view_log

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.losses import (
    NOTHING,
    conversion_values,
    drop_offs,
    next_events,
    units,
    value_lost,
)
from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion, Step
from analysis.statistics.pooling import pooled
from analysis.statistics.rates import wilson


def shop(groups: dict[Any, tuple[list[int], float]], **more: Any) -> EventLog:
    """So many users of each device at each of the steps a, b, c, and what a conversion is worth."""
    rows = []
    for device, (counts, worth) in groups.items():
        for step, count in enumerate(counts):
            time = pd.Timestamp("2026-01-01") + pd.Timedelta(minutes=step)
            value = worth if step == len(counts) - 1 else None
            rows += [(f"{device}{i}", time, STEPS[step], device, value) for i in range(count)]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "device", "value"])
    return EventLog.from_frame(frame.assign(**more), covers_until="2026-03-01")


def test_a_shop_by_hand() -> None:
    log = shop({"m": ([1000, 300, 60], 20.0), "d": ([500, 250, 100], 50.0)}, currency="EUR")
    lost = value_lost(funnel(log, STEPS, by="device")).set_index(["group", "step"])
    assert lost["best_group"].eq("d").all()
    first, second = lost.loc[("m", 2)], lost.loc[("m", 3)]
    # About 1000 · (250/500 − 300/1000) more at b; 60 of 300 of these buy for 20. The rates lie far
    # apart, so they are drawn toward one another by little.
    assert first["lost_units"] == pytest.approx(200, rel=0.06)
    near = pooled([300, 250], [1000, 500])
    assert first["pooled_rate"] == pytest.approx(near.rate[0])
    assert first["lost_units"] == pytest.approx(1000 * (near.rate[1] - near.rate[0]))
    assert first["lost_conversions"] == pytest.approx(first["lost_units"] * 60 / 300)
    assert first["lost_value"] == pytest.approx(20 * first["lost_conversions"])
    assert second["lost_units"] == second["lost_conversions"]
    assert second["lost_units"] == pytest.approx(300 * (0.4 - 0.2), rel=0.15)
    assert second["lost_value"] == pytest.approx(20 * second["lost_units"])
    low, high = confint_proportions_2indep(250, 500, 300, 1000, method="newcomb", compare="diff")
    assert (first["lost_units_low"], first["lost_units_high"]) == pytest.approx(
        (1000 * low, 1000 * high)
    )
    best = lost.loc["d"]
    assert best[["lost_units", "lost_units_low", "lost_conversions"]].eq(0).all(axis=None)
    assert lost["currency"].eq("EUR").all()
    assert lost["note"].eq("").all()


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.integers(1, 30))
def test_every_number_by_plain_pandas(seed: int, min_n: int) -> None:
    result = funnel(view_log(seed, users=120), STEPS, window="3d", by="device")
    lost = value_lost(result, min_n=min_n, min_conversions=3)
    table = result.table.set_index(["group", "step"])
    shown = list(zip(lost["group"], lost["step"], strict=True))
    assert shown == [key for key in table.index if key[1] > 1]
    for row in lost.to_dict("records"):
        at = table.xs(row["step"], level="step")
        own = at.loc[row["group"]]
        named = at[(at["n_previous"] >= min_n) & (at.index != "(missing)")]
        if not len(named):
            assert pd.isna(row["best_group"])
            assert np.isnan(row["lost_units"])
            assert f"no group of {min_n} or more" in row["note"]
            continue
        known = at[at["n_previous"] > 0]
        near = pooled(known["k"], known["n_previous"])
        if len(known) > 1:
            rates = pd.DataFrame({"rate": near.rate, "low": near.low}, index=known.index)
        else:
            low = proportion_confint(known["k"], known["n_previous"], method="wilson")[0]
            rates = pd.DataFrame({"rate": known["k"] / known["n_previous"], "low": low})
        best = rates.loc[rates.loc[named.index, "low"].idxmax()]
        assert row["best_rate"] == pytest.approx(best["rate"])
        if not own["n_previous"]:
            assert np.isnan(row["lost_units"])
            continue
        units = own["n_previous"] * (best["rate"] - rates.loc[row["group"], "rate"])
        assert row["lost_units"] == pytest.approx(units)
        last = table.loc[(row["group"], 3), "k"]
        whole = table.xs(3, level="step")["k"].sum()
        later = last / own["k"] if own["k"] else whole / at["k"].sum()
        assert row["lost_conversions"] == pytest.approx(units * later)
        assert row["lost_value"] == pytest.approx(
            row["lost_conversions"] * row["value_per_conversion"], nan_ok=True
        )
        assert row["lost_units_low"] <= row["lost_units"] <= row["lost_units_high"]


@settings(max_examples=25)
@given(st.integers(0, 2**32), st.sampled_from([None, "device"]), st.booleans())
def test_worth_by_plain_pandas(seed: int, by: Any, filtered: bool) -> None:
    log = view_log(seed, users=60)
    if filtered:
        log = log.where(device=["m", "d"])
    result = funnel(log, STEPS, window="3d", by=by)
    values = conversion_values(result, "value")
    rows = log.to_frame()
    rows = rows[rows["event"] == "c"].drop_duplicates(["user", "time"])
    done = result.mature_attempts.dropna(subset="step_3")
    joined = done.merge(rows, left_on=["unit", "step_3"], right_on=["user", "time"], how="left")
    assert len(joined) == len(done)
    assert joined["event"].notna().all()
    for code, group in enumerate(dict.fromkeys(result.table["group"])):
        own = joined.loc[joined["group"] == group, "value"].dropna()
        assert values.n[code] == len(own)
        assert values.total[code] == pytest.approx(own.sum())
    assert values.currency in ("EUR", None)


def test_a_conversion_that_must_meet_a_condition() -> None:
    time = pd.Timestamp("2026-01-01")
    frame = pd.DataFrame(
        {
            "user": list("uuuv"),
            "event": ["a", "b", "b", "a"],
            "time": [time, time + pd.Timedelta("1h"), time + pd.Timedelta("1h"), time],
            "value": [None, 5.0, 80.0, None],
            "device": "m",
        }
    )
    log = EventLog.from_frame(frame, covers_until="2026-03-01")
    large = funnel(log, ["a", Step("b", where={"value": ">= 50"})], by="device")
    assert conversion_values(large, "value").total.tolist() == [80.0]
    assert conversion_values(funnel(log, ["a", "b"]), "value").total.tolist() == [5.0]


VALUE_OPTIONS: list[dict[str, Any]] = [
    {"unit": "session"},
    {"hold": ["device"]},
    {"count": "attempts"},
    {"order": "any"},
    {"unit": "device"},
    {"by": "device", "by_at": 3},
]


@settings(max_examples=20)
@given(st.integers(0, 2**32), st.sampled_from(VALUE_OPTIONS))
def test_worth_in_every_kind_of_funnel(seed: int, options: dict[str, Any]) -> None:
    result = funnel(view_log(seed, users=30), STEPS, window="3d", **options)
    values = conversion_values(result, "value")
    rows = result.log.to_frame()
    any_order = options.get("order") == "any"
    rows = rows[rows["event"].isin(STEPS if any_order else ["c"])]
    rows = rows.drop_duplicates(["user", "time"])
    done = result.mature_attempts.dropna(subset=["step_3", "group"])
    done = done.assign(who=done["user" if "user" in done else "unit"]).drop(
        columns="user", errors="ignore"
    )
    joined = done.merge(rows, left_on=["who", "step_3"], right_on=["user", "time"], how="left")
    assert joined["event"].notna().all()
    assert values.n.sum() == joined["value"].notna().sum()
    assert values.total.sum() == pytest.approx(joined["value"].sum())


def test_luck_in_a_small_group_does_not_lead() -> None:
    log = shop({"m": ([1000, 300], 1.0), "d": ([500, 250], 1.0), "t": ([9, 9], 1.0)})
    result = funnel(log, ["a", "b"], by="device")
    assert set(value_lost(result)["best_group"]) == {"d"}
    assert set(value_lost(result, min_n=5)["best_group"]) == {"t"}
    # 54 of 100 is more than 250 of 500, and its lower limit is less.
    lucky = shop({"d": ([500, 250], 1.0), "t": ([100, 54], 1.0)})
    lost = value_lost(funnel(lucky, ["a", "b"], by="device")).set_index("group")
    assert lost.loc["t", "best_group"] == "d"
    # Its own rate is higher, and by less than it looks.
    assert -4 < lost.loc["t", "lost_units"] < 0


def test_what_is_no_group_is_not_the_best() -> None:
    log = shop({None: ([500, 500], 1.0), "d": ([500, 250], 1.0)})
    lost = value_lost(funnel(log, ["a", "b"], by="device")).set_index("group")
    assert lost["best_group"].eq("d").all()
    assert lost.loc["(missing)", "lost_units"] == pytest.approx(-250, rel=0.02)
    rest = {name: ([500, 400], 1.0) for name in "xyz"}
    log = shop({"d": ([900, 450], 1.0), **rest})
    lost = value_lost(funnel(log, ["a", "b"], by="device", top=1))
    assert lost["best_group"].eq("d").all()


def test_few_conversions_have_the_worth_of_all() -> None:
    log = shop({"m": ([1000, 300, 60], 20.0), "d": ([500, 250, 10], 90.0)})
    lost = value_lost(funnel(log, STEPS, by="device")).set_index(["group", "step"])
    assert lost.loc[("m", 2), "value_of"] == "the group"
    assert lost.loc[("m", 2), "value_per_conversion"] == 20
    assert lost.loc[("d", 2), "value_of"] == "all groups"
    assert lost.loc[("d", 2), "value_per_conversion"] == pytest.approx((60 * 20 + 10 * 90) / 70)
    assert lost["currency"].isna().all()


def test_worth_that_cannot_be_told_says_why() -> None:
    groups = {"m": ([200, 80], 20.0), "d": ([200, 90], 50.0)}
    log = shop(groups)
    frame = log.to_frame().drop(columns="session")
    frame["currency"] = np.where(frame["device"] == "m", "EUR", "USD")
    mixed = EventLog.from_frame(frame, covers_until="2026-03-01")
    lost = value_lost(funnel(mixed, ["a", "b"], by="device"))
    assert lost["lost_value"].isna().all()
    assert lost["note"].eq("worth in several currencies").all()
    assert lost["currency"].eq("EUR, USD").all()
    assert lost["lost_conversions"].notna().all()
    plain = EventLog.from_frame(frame.drop(columns="value"), covers_until="2026-03-01")
    lost = value_lost(funnel(plain, ["a", "b"], by="device"))
    assert lost["note"].eq("the log has no property 'value'").all()
    nothing = EventLog.from_frame(frame.assign(value=np.nan), covers_until="2026-03-01")
    lost = value_lost(funnel(nothing, ["a", "b"], by="device"))
    assert lost["note"].eq("no conversion has a worth").all()


def test_wrong_use_of_value_lost() -> None:
    log = view_log(1)
    result = funnel(log, STEPS, by="device")
    with pytest.raises(UsageError, match="has no groups to compare"):
        value_lost(funnel(log, STEPS))
    with pytest.raises(
        UsageError, match=r"value='valu' is not a property of this log. Did you mean"
    ):
        value_lost(result, value="valu")
    with pytest.raises(UsageError, match="value='device' holds text"):
        value_lost(result, value="device")
    with pytest.raises(UsageError, match="min_n=0"):
        value_lost(result, min_n=0)


# ── Who stopped and what they did next, by a plain loop over every user's rows.

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


STOP_OPTIONS: list[dict[str, Any]] = [
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
@given(seeds, st.sampled_from(STOP_OPTIONS), st.booleans())
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
def test_wrong_use_of_units_and_next_events(ask: Any) -> None:
    result = funnel(view_log(1), STEPS, by="device")
    with pytest.raises(UsageError, match=r"step=3 is not one it can be asked of. Allowed: 1"):
        ask(result, 3)
    with pytest.raises(UsageError, match="'tablet' is not a group of this funnel"):
        ask(result, 1, group="tablet")
    with pytest.raises(UsageError, match="a funnel of one step"):
        ask(funnel(view_log(1), ["a"]), 1)
    with pytest.raises(UsageError, match="top=0"):
        next_events(result, 1, top=0)
    assert len(drop_offs(funnel(view_log(1), ["a"]))) == 0
