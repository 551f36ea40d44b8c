"""The table is summed as the log is passed; it says what the chains say that views are made of."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.funnel_logs import FAR, by_group

from analysis import EventLog, funnel, simulate
from analysis.funnels import counts
from analysis.funnels.result import FunnelResult
from analysis.statistics.rates import effective_size, wilson

STEPS = ["view_item", "add_to_cart", "begin_checkout", "purchase"]


LOG = simulate(users=1500, seed=3).log


OPTIONS: list[dict[str, Any]] = [
    {},
    {"by": "device"},
    {"by": "channel", "top": 2},
    {"by": ["device", "channel"], "top": 3},
    {"by": "value"},
    {"by": "device", "by_at": 2},
    {"by": "device", "by_at": "last_touch"},
    {"ties": "strict"},
    {"steps": [STEPS[0], {"event": "view_cart", "optional": True}, *STEPS[1:]]},
    {"entered": ("2026-10-01", "2026-10-20")},
    {"entry": "first"},
    {"count": "attempts"},
    {"count": "attempts", "by": "device"},
    {"unit": "session"},
    {"unit": "session", "by": "channel", "top": 2},
    {"hold": ["device"]},
    {"order": "any"},
    {"order": "strict"},
    {"exclude": [{"event": "remove_from_cart"}], "on_exclude": "drop_unit"},
]


def by_hand(result: FunnelResult, group: Any, k: int) -> dict[str, Any]:
    """What the chains say of step k in a group."""
    column = f"step_{k}"
    chosen, mature = (
        frame[[name == group for name in frame["group"]]]
        for frame in (result.attempts, result.mature_attempts)
    )
    done = mature[mature[column].notna()]
    before = [f"step_{j}" for j in range(1, k)]
    waits = (done[column] - done[before].max(axis=1)) if k > 1 else pd.Series(dtype="m8[us]")
    return {
        "count": int(chosen[column].notna().sum()),
        "k": len(done),
        "n_first": len(mature),
        "median_seconds": waits.median() / pd.Timedelta("1s") if len(waits) else np.nan,
        "mean_seconds": waits.mean() / pd.Timedelta("1s") if len(waits) else np.nan,
    }


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_the_table_says_what_the_chains_say(options: dict[str, Any]) -> None:
    result = funnel(LOG, **{"steps": STEPS, "window": "3d", **options})
    assert len(result.table) >= len(STEPS)
    for row in result.table.to_dict("records"):
        for name, wanted in by_hand(result, row["group"], row["step"]).items():
            assert row[name] == pytest.approx(wanted, rel=1e-6, abs=1e-6, nan_ok=True), (name, row)
    assert result.sums.entered == len(result.attempts)
    assert result.immature == len(result.attempts) - len(result.mature_attempts)
    assert result.tied == int(result.attempts["tied"].sum())
    assert list(dict.fromkeys(result.table["group"])) == list(result.groups.names)


@pytest.mark.parametrize("options", [{"count": "attempts"}, {"unit": "session"}], ids=str)
def test_intervals_take_a_users_chains_as_one(options: dict[str, Any]) -> None:
    result = funnel(LOG, STEPS, window="3d", by="device", **options)
    chains = result.mature_attempts
    for group, own in chains.groupby("group"):
        users = own.assign(did=own["step_4"].notna()).groupby("user" if "user" in own else "unit")
        size = effective_size(users["did"].sum(), users.size())
        place = result.sums.names.index(group)
        squares = result.sums.moments[place]
        assert squares[0, 0] == int((users.size() ** 2).sum())
        assert squares[3, 0] == int((users["did"].sum() * users.size()).sum())
        assert result.sums.users[place, 0] == len(users)
        row = result.table[(result.table["group"] == group) & (result.table["step"] == 4)].iloc[0]
        low, high = wilson(row["rate"] * size, size)
        assert (row["rate_low"], row["rate_high"]) == pytest.approx((float(low), float(high)))


def frame_of(rows: list[tuple[str, str, str]]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=["user", "event", "device"])
    return frame.assign(time=pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.index, "min"))


def test_a_bit_that_two_events_share_is_not_taken_for_either() -> None:
    names = [f"e{number:03}" for number in range(130)]
    rows = [("all", name, "m") for name in names] + [("u", "e064", "m"), ("v", "e000", "m")]
    log = EventLog.from_frame(frame_of(rows), covers_until="2027-01-01", shards=1)
    assert funnel(log, ["e000", "e001"]).table["count"].tolist() == [2, 1]
    assert funnel(log, ["e064"]).table["count"].tolist() == [2]


def test_events_that_a_view_hides_are_not_counted() -> None:
    rows = [("u", "a", "m"), ("u", "x", "d"), ("v", "a", "d"), ("v", "x", "m"), ("w", "a", "m")]
    log = EventLog.from_frame(frame_of(rows), covers_until="2027-01-01")
    assert funnel(log, ["a"]).table["count"].tolist() == [3]
    assert funnel(log.where(device="m"), ["a"]).table["count"].tolist() == [2]
    assert funnel(log.where(device="d"), ["a"]).table["count"].tolist() == [1]
    assert funnel(log.in_segment([True, False, False]), ["a"]).table["count"].tolist() == [1]


def test_who_only_entered_late_is_counted_and_not_mature() -> None:
    rows = [("u", "a", "m"), ("v", "x", "m"), ("v", "a", "m"), ("w", "b", "m")]
    log = EventLog.from_frame(frame_of(rows), covers_until="2026-01-01T00:02")
    table = funnel(log, ["a", "b"], window="1min").table
    assert table["count"].tolist() == [2, 0]
    assert table["k"].tolist() == [1, 0]


def test_many_values_are_grouped_by_their_chains(monkeypatch: pytest.MonkeyPatch) -> None:
    table = funnel(LOG, STEPS, by="page", top=5).table
    monkeypatch.setattr(counts, "_MOST_CODES", 1)
    pd.testing.assert_frame_equal(funnel(LOG, STEPS, by="page", top=5).table, table)


# ── The groups of a funnel's table, and its numbers against plain pandas.


def people(groups: Sequence[Any], **more: Sequence[Any]) -> EventLog:
    """A user per group: A, and B for every second of them."""
    rows = [(i, name) for i in range(len(groups)) for name in ("AB" if i % 2 else "A")]
    frame = pd.DataFrame(
        {
            "user": [str(i) for i, _ in rows],
            "event": [name for _, name in rows],
            "time": [pd.Timestamp("2026-11-02") + pd.Timedelta(k, "s") for k in range(len(rows))],
            "g": [groups[i] for i, _ in rows],
            **{key: [values[i] for i, _ in rows] for key, values in more.items()},
        }
    )
    return EventLog.from_frame(frame, covers_until=FAR, shards=3)


def test_groups_beyond_the_top_are_other() -> None:
    log = people(["x"] * 4 + ["y"] * 3 + ["z"] * 2 + [None] * 2 + ["w"])
    assert by_group(log, ["A", "B"], by="g") == {
        "x": [4, 2],
        "y": [3, 1],
        "(missing)": [2, 1],
        "z": [2, 1],
        "w": [1, 1],
    }
    assert by_group(log, ["A", "B"], by="g", top=2) == {"x": [4, 2], "y": [3, 1], "(other)": [5, 3]}
    result = funnel(log, ["A", "B"], by="g", top=1)
    assert result.attempts["group"].value_counts().to_dict() == {"(other)": 8, "x": 4}


def test_groups_by_number_and_by_several_properties() -> None:
    log = people([1.0, 1.0, 2.5, math.nan], h=["p", "q", "p", None])
    assert by_group(log, ["A", "B"], by="g") == {"1": [2, 1], "(missing)": [1, 1], "2.5": [1, 0]}
    assert by_group(log, ["A", "B"], by=["h", "g"]) == {
        ("(missing)", "(missing)"): [1, 1],
        ("p", "1"): [1, 0],
        ("p", "2.5"): [1, 0],
        ("q", "1"): [1, 1],
    }
    assert by_group(log, ["A", "B"], by=["h", "g"], top=1) == {
        ("(missing)", "(missing)"): [1, 1],
        "(other)": [3, 1],
    }
    assert by_group(log, ["A"], by=["g"]) == {"1": [2], "(missing)": [1], "2.5": [1]}


def test_groups_add_up_to_the_whole() -> None:
    log = people(list("xyzxyzxxy"))
    for top in (1, 2, 12):
        parts = funnel(log, ["A", "B"], by="g", top=top).table
        whole = funnel(log, ["A", "B"]).table
        columns = ["count", "k", "n_first", "n_previous"]
        assert (parts.groupby("step")[columns].sum() == whole.set_index("step")[columns]).all(
            axis=None
        )


# Which group is a unit in, and does the answer say where the group knows how it ended?

DAY = pd.Timedelta("1D")


def log_of_plans(
    rows: list[tuple[str, float, str, str | None]], covers: str = "2026-03-01"
) -> EventLog:
    """Rows (user, day of January 2026, event, plan)."""
    frame = pd.DataFrame(rows, columns=["user", "day", "event", "plan"])
    frame["time"] = pd.Timestamp("2025-12-31") + frame.pop("day") * DAY
    return EventLog.from_frame(frame.astype({"plan": "str"}), covers_until=covers, shards=2)


def caveat(result: FunnelResult, words: str) -> str:
    return next((note for note in result.warnings if words in note), "")


def cells_of(result: FunnelResult, *columns: str) -> list[Any]:
    return result.table[["group", *columns]].to_numpy().tolist()


def test_what_is_left_out_of_the_rates_is_what_the_table_leaves_out() -> None:
    """Ann came early and again on the last day: she is in the rates, and so is Bob."""
    log = log_of_plans(
        [
            ("ann", 1, "view", "x"),
            ("ann", 30, "view", "y"),
            ("ann", 30.5, "buy", "y"),
            ("bob", 2, "view", "y"),
            ("cy", 30, "view", "y"),
        ],
        covers="2026-01-31",
    )
    found = funnel(log, ["view", "buy"], window="7d")
    assert cells_of(found, "count", "k", "n_first") == [["all", 3, 2, 2], ["all", 1, 0, 2]]
    assert found.immature == 1
    assert found.warnings == (
        "1 of 3 users entered less than 7 days before the log ends: they are counted, and left "
        "out of every rate.",
    )


def test_a_unit_is_counted_and_judged_in_one_group() -> None:
    log = log_of_plans(
        [
            ("ann", 1, "view", "x"),
            ("ann", 30, "view", "y"),
            ("ann", 30.5, "buy", "y"),
            ("bob", 2, "view", "y"),
        ],
        covers="2026-01-31",
    )
    for more in ({}, {"top": 1}, {"entry": "best", "ties": "strict"}, {"hold": []}):
        found = funnel(log, ["view", "buy"], window="7d", by=["plan"], **more)
        assert (found.table["k"] <= found.table["count"]).all()
    found = funnel(log, ["view", "buy"], window="7d", by="plan")
    assert cells_of(found, "count", "k") == [["x", 1, 1], ["x", 1, 0], ["y", 1, 1], ["y", 0, 0]]
    assert dict(zip(found.attempts["unit"], found.attempts["group"], strict=True)) == {
        "ann": "x",
        "bob": "y",
    }


def test_a_group_that_only_later_steps_know_is_told() -> None:
    """The plan is asked in the checkout: all of a plan go on, and all without one stop."""
    rows: list[tuple[str, float, str, str | None]] = [(f"u{k}", 1, "view", None) for k in range(20)]
    rows += [(f"u{k}", 2, "buy", "basic" if k % 2 else "pro") for k in range(8)]
    log = log_of_plans(rows)
    for by_at in ("first_touch", "last_touch"):
        found = funnel(log, ["view", "buy"], by="plan", by_at=by_at)
        rates = found.table[found.table["step"] == 2].set_index("group")["rate"].to_dict()
        assert rates == {"(missing)": 0.0, "basic": 1.0, "pro": 1.0}
        assert caveat(found, "cannot be compared") == (
            "8 of 20 users are in their group by a value of 'plan' that they had only after their "
            f"entry (by_at={by_at!r}): who goes on can get such a value and who stops cannot, so "
            "the groups' rates cannot be compared. by_at='entry' reads the value at the entry."
        )
        lost = found.value_lost(min_n=1)
        assert lost["note"].str.contains("the groups know who went on").all()
    both = funnel(log, ["view", "buy"], by=["plan", "session"], by_at="last_touch")
    assert "8 of 20 users" in caveat(both, "cannot be compared")


@pytest.mark.parametrize("by_at", ["first_touch", "last_touch"])
def test_a_value_from_the_entry_or_before_knows_nothing(by_at: str) -> None:
    rows: list[tuple[str, float, str, str | None]] = [(f"u{k}", 1, "view", "pro") for k in range(9)]
    rows += [("u1", 2, "buy", "pro"), ("u2", 1, "buy", "pro"), ("u3", 3, "buy", None)]
    found = funnel(log_of_plans(rows), ["view", "buy"], by="plan", by_at=by_at)
    assert found.warnings == (
        "1 of 9 users got as far as they did only because events at the same instant count in "
        "whichever order helps (ties='strict' tells without them).",
    )


def test_a_property_that_the_step_of_the_breakdown_lacks_is_told() -> None:
    log = log_of_plans(
        [("ann", 1, "view", None), ("ann", 2, "buy", "pro"), ("bob", 1, "view", None)]
    )
    for options, where in (({}, "step 1"), ({"by_at": 1}, "step 1")):
        found = funnel(log, ["view", "buy"], by="plan", **options)
        assert cells_of(found, "count")[0] == ["(missing)", 2]
        assert caveat(found, "No event of").startswith(f"No event of {where} has a value of 'plan'")
    assert not caveat(funnel(log, ["view", "buy"], by="plan", by_at=2), "No event of")
