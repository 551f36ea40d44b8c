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
