"""Comparisons counted again in pandas; no looking into the future; truth of the demo found."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.segments.comparison import compare_segments
from analysis.segments.result import picked, segment
from analysis.segments.rules import did, is_in
from analysis.simulation.log import simulate

AT = pd.Timestamp("2026-01-10", tz="UTC")
END = pd.Timestamp("2026-02-01", tz="UTC")
EVENTS = ["visit", "cart", "buy"]
rows = st.lists(
    st.tuples(
        st.integers(0, 11).map(str),
        st.integers(1, 20),
        st.sampled_from(EVENTS),
        st.sampled_from([None, "m", "d"]),
    ),
    min_size=1,
    max_size=50,
)


def log_of(found: Any, shards: int = 1) -> EventLog:
    always = [("z", 1, name, "m") for name in EVENTS]
    frame = pd.DataFrame([*found, *always], columns=["user", "day", "event", "device"])
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame = frame.astype({"device": "str"})
    return EventLog.from_frame(frame, covers_until=END, shards=shards)


@settings(max_examples=60)
@given(rows, st.sampled_from([1, 4]), st.booleans())
def test_counts_are_those_of_pandas(found: Any, shards: int, look_back: bool) -> None:
    log = log_of(found, shards)
    frame = log.to_frame()
    past = frame[frame["time"] < AT]
    seen, carts = set(past["user"]), set(past.loc[past["event"] == "cart", "user"])
    buys = set(past.loc[past["event"] == "buy", "user"])
    a = segment(log, did("cart"), at=AT)
    for b, other in ((None, seen - carts), (segment(log, did("buy"), at=AT), buys)):
        both = carts & other
        groups = {"a": carts - both, "b": other - both}
        result = compare_segments(log, a, b, look_back=look_back, min_cell=1)
        period = past if look_back else frame[frame["time"] >= AT]
        known = past.dropna(subset=["device"]).groupby("user")["device"].last()
        for row in result.table.itertuples():
            for group, people in groups.items():
                own = period[period["user"].isin(people)]
                k, n = getattr(row, f"k_{group}"), getattr(row, f"n_{group}")
                if row.kind == "event":
                    doers = own.loc[own["event"] == row.name, "user"].nunique()
                    assert (k, n) == (doers, len(people))
                elif row.kind == "property":
                    values = [known.get(user, "(missing)") for user in people]
                    assert (k, n) == (values.count(row.value), len(people))
                elif row.kind == "time":
                    days = own[own["event"] == row.name].groupby("user")["time"]
                    waits = AT - days.max() if look_back else days.min() - AT
                    assert k == len(waits)
                    if k:
                        median = getattr(row, f"median_days_{group}")
                        assert median == pytest.approx(waits.median() / pd.Timedelta(days=1))
        assert any(f"{len(both)} people are in both" in w for w in result.warnings) == bool(both)
        assert any("by construction" in w for w in result.warnings) == look_back


def test_funnel_steps_are_those_of_each_groups_own_funnel() -> None:
    log = simulate(users=3_000).log
    steps = ["view_item", "add_to_cart", "purchase"]
    watched = segment(log, did("video_start"), at="2026-10-01", name="Watched")
    result = compare_segments(log, watched, steps=steps, window="7d", min_cell=1)
    found = result.table[result.table["kind"] == "funnel"].set_index("name")
    for group, mask in (("a", watched.mask), ("b", watched.everybody().mask & ~watched.mask)):
        own = funnel(log.in_segment(mask), steps, window="7d", entered=("2026-10-01", "2026-11-23"))
        table = own.table.set_index("event")
        for name in steps[1:]:
            assert found.loc[name, f"k_{group}"] == table.loc[name, "k"]
            assert found.loc[name, f"n_{group}"] == table.loc[name, "n_previous"]


def test_nothing_is_compared_with_what_a_rule_has_seen() -> None:
    log = log_of([("a", 2, "cart", "m"), ("b", 12, "cart", "d")])
    early, late = segment(log, did("cart"), at="2026-01-05"), segment(log, did("visit"))
    with pytest.raises(UsageError, match=r"since starts at 2026-01-04.*look into its future"):
        compare_segments(log, early, since="2026-01-04")
    with pytest.raises(UsageError, match="nothing lies between"):
        compare_segments(log, early, late)
    with pytest.raises(UsageError, match="look_back=True"):
        compare_segments(log, late)
    with pytest.raises(UsageError, match="Give an earlier since="):
        compare_segments(log, early, look_back=True, since="2026-01-06")
    result = compare_segments(log, early, since="2026-01-10", until="2026-01-20", min_cell=1)
    assert (result.start, result.end) == (AT, pd.Timestamp("2026-01-20", tz="UTC"))


def test_a_group_against_itself_has_nobody_to_compare() -> None:
    log = log_of([(f"u{i}", 2, "cart", "m") for i in range(20)])
    one = segment(log, did("cart"), at=AT, name="Carts")
    result = compare_segments(log, one, one)
    assert "nobody is in one of them alone" in result.sentence()
    assert any("are in both groups" in warning for warning in result.warnings)
    assert result.figure().layout.meta["alt"] == "There is nothing to compare."


def test_groups_drawn_by_lot_differ_in_nothing() -> None:
    log = simulate(users=4_000).log
    lot = np.random.default_rng(3).random(log.users) < 0.5
    result = compare_segments(log, picked(log, lot, at="2026-09-20", name="lot"))
    assert not result.table["clear"].any()
    assert "do not differ clearly in any of" in result.sentence()


def test_an_events_name_before_the_import_is_no_property_of_people() -> None:
    frame = pd.DataFrame(
        {
            "user": [f"u{k}" for k in range(40)],
            "time": pd.Timestamp("2026-01-05"),
            "event": ["cart" if k % 2 else "visit" for k in range(40)],
            "source_event": ["addToCart" if k % 2 else "pageview" for k in range(40)],
            "device": ["m" if k % 3 else "d" for k in range(40)],
        }
    )
    log = EventLog.from_frame(frame, covers_until=END)
    compared = compare_segments(log, segment(log, did("cart"), at=AT)).table
    assert set(compared.loc[compared["kind"] == "property", "name"]) == {"device"}


def test_a_planted_difference_is_found_and_said() -> None:
    rng = np.random.default_rng(4)
    found = [(f"u{i}", 2, "cart" if i % 2 else "visit", "m" if i % 2 else "d") for i in range(600)]
    found += [
        (f"u{i}", 12, "buy", "m") for i in range(600) if rng.random() < (0.4 if i % 2 else 0.1)
    ]
    log = log_of(found)
    result = compare_segments(log, segment(log, did("cart"), at=AT, name="Carts"))
    top = result.table[result.table["name"] == "buy"].iloc[0]
    assert top["clear"]
    assert top["low"] < 0.3 < top["high"]
    said = result.sentence()
    assert "“Carts” (301 people) and “everybody else” (300)" in said
    assert "q < 0.001" in said
    assert "95% interval" in said
    drawn = result.figure()
    assert "Device: m: 100% (" in drawn.layout.meta["alt"]
    assert any("not drawn by lot" in warning for warning in result.warnings)


def test_the_readable_table_says_funnel_steps_times_and_effect_sizes() -> None:
    log = simulate(users=3_000).log
    watched = segment(log, did("video_start"), at="2026-10-01", name="Watched")
    result = compare_segments(log, watched, steps=["view_item", "add_to_cart", "purchase"])
    shown = result.readable(most=500)
    assert len(shown) == len(result.table)
    assert list(shown.columns[:3]) == ["kind", "Watched", "everybody else"]
    for kind in ("event", "property", "funnel", "time"):
        own = result.readable(kind, most=500)
        assert set(own["kind"]) == {kind}
    row = result.table[result.table["name"] == "view_item"].query("kind == 'time'").iloc[0]
    said = result.readable("time", most=500).loc["days until View item"]
    assert said["Watched"] == f"{row['median_days_a']:.1f} ({row['k_a']:,.0f} people)"
    assert said["effect size"].endswith("(delta)")
    assert said["chance"].startswith("q ")
    assert "points (95% " in said["difference"]
    top = result.table[result.table["kind"] == "funnel"].iloc[0]
    step = result.readable("funnel").iloc[0]
    assert f"({top['k_a']:,.0f} of {top['n_a']:,.0f})" in step["Watched"]
    assert not shown.apply(lambda column: column.str.contains("nan")).any(axis=None)
    with pytest.raises(UsageError, match="Did you mean 'event'"):
        result.readable("events")


def test_what_a_rule_looks_at_differs_by_construction() -> None:
    log = log_of([(f"u{i}", 2, "cart", "md"[i % 2]) for i in range(40)])
    result = compare_segments(log, segment(log, is_in("device", "m"), at=AT))
    assert any("look at 'device'" in warning for warning in result.warnings)
    plain = compare_segments(log, segment(log, did("visit"), at=AT))
    assert not any("construction" in warning for warning in plain.warnings)


def test_few_people_are_hidden() -> None:
    found = [(f"u{i}", 2, "cart", "m") for i in range(40)] + [("u1", 12, "buy", None)]
    found += [(f"v{i}", 2, "visit", "d") for i in range(40)]
    log = log_of(found)
    result = compare_segments(log, segment(log, did("cart"), at=AT))
    own = result.table[result.table["name"] == "buy"].set_index("kind")
    # One of forty-one is told; when that one did it is not.
    assert own.loc["event", ["k_a", "n_a", "k_b", "n_b"]].tolist() == [1, 41, 0, 40]
    numbers = ["k_a", "n_a", "median_days_a", "k_b", "difference", "p_value"]
    assert own.loc["time", numbers].isna().all()
    assert any("of fewer than 5 people" in warning for warning in result.warnings)
    few = compare_segments(log, segment(log, did("cart"), at=AT), min_cell=42)
    assert few.table[["k_a", "rate_a", "k_b", "difference", "p_value"]].isna().all(axis=None)


@pytest.mark.parametrize("devices", ["md", "dm"])
def test_several_last_values_of_one_instant_are_said(devices: str) -> None:
    found = [(f"u{i}", 2, "cart", "m") for i in range(20)]
    found += [(f"v{i}", 2, "visit", device) for i in range(10) for device in devices]
    log = log_of(found)
    result = compare_segments(log, segment(log, did("cart"), at=AT))
    said = "32.3% (10 of 31) of the people had several values of 'device' at the last instant"
    assert any(warning.startswith(said) for warning in result.warnings)
    assert result.parameters["tied"] == {"device": 10 / 31}
    one = log_of([(f"u{i}", 2, "cart", "m") for i in range(20)])
    assert compare_segments(one, segment(one, did("cart"), at=AT)).parameters["tied"] == {}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"properties": "devise"}, "Did you mean 'device'"),
        ({"properties": []}, "leave it out for all"),
        ({"properties": ["devise"]}, "Did you mean 'device'"),
        ({"most_false": 1.0}, "between 0 and 1"),
        ({"min_cell": 0}, "whole number from 1"),
        ({"steps": ["visit", "by"]}, "Did you mean 'buy'"),
        ({"since": "soon"}, "not a time"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    log = log_of([("a", 2, "cart", "m"), ("b", 2, "visit", "m")])
    with pytest.raises(UsageError, match=message):
        compare_segments(log, segment(log, did("cart"), at=AT), **arguments)
