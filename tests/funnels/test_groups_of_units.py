"""Which group is a unit in, and does the answer say where the group knows how it ended?"""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel

DAY = pd.Timedelta("1D")


def log_of(rows: list[tuple[str, float, str, str | None]], covers: str = "2026-03-01") -> EventLog:
    """Rows (user, day of January 2026, event, plan)."""
    frame = pd.DataFrame(rows, columns=["user", "day", "event", "plan"])
    frame["time"] = pd.Timestamp("2025-12-31") + frame.pop("day") * DAY
    return EventLog.from_frame(frame.astype({"plan": "str"}), covers_until=covers, shards=2)


def caveat(result: FunnelResult, words: str) -> str:
    return next((note for note in result.warnings if words in note), "")


def lines(result: FunnelResult, *columns: str) -> list[Any]:
    return result.table[["group", *columns]].to_numpy().tolist()


def test_what_is_left_out_of_the_rates_is_what_the_table_leaves_out() -> None:
    """Ann came early and again on the last day: she is in the rates, and so is Bob."""
    log = log_of(
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
    assert lines(found, "count", "k", "n_first") == [["all", 3, 2, 2], ["all", 1, 0, 2]]
    assert found.immature == 1
    assert found.warnings == (
        "1 of 3 users entered less than 7 days before the log ends: they are counted, and left "
        "out of every rate.",
    )


def test_a_unit_is_counted_and_judged_in_one_group() -> None:
    log = log_of(
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
    assert lines(found, "count", "k") == [["x", 1, 1], ["x", 1, 0], ["y", 1, 1], ["y", 0, 0]]
    assert dict(zip(found.attempts["unit"], found.attempts["group"], strict=True)) == {
        "ann": "x",
        "bob": "y",
    }


def test_a_group_that_only_later_steps_know_is_told() -> None:
    """The plan is asked in the checkout: all of a plan go on, and all without one stop."""
    rows: list[tuple[str, float, str, str | None]] = [(f"u{k}", 1, "view", None) for k in range(20)]
    rows += [(f"u{k}", 2, "buy", "basic" if k % 2 else "pro") for k in range(8)]
    log = log_of(rows)
    for by_at in ("first_touch", "last_touch"):
        found = funnel(log, ["view", "buy"], by="plan", by_at=by_at)
        rates = found.table[found.table["step"] == 2].set_index("group")["rate"].to_dict()
        assert rates == {"(missing)": 0.0, "basic": 1.0, "pro": 1.0}
        assert caveat(found, "cannot be compared") == (
            "8 of 20 users are in their group by a value of 'plan' that they had only after their "
            f"entry (by_at={by_at!r}): who goes on can get such a value and who stops cannot, so "
            "the groups' rates cannot be compared. by_at='entry' reads the value at the entry."
        )
    both = funnel(log, ["view", "buy"], by=["plan", "session"], by_at="last_touch")
    assert "8 of 20 users" in caveat(both, "cannot be compared")


@pytest.mark.parametrize("by_at", ["first_touch", "last_touch"])
def test_a_value_from_the_entry_or_before_knows_nothing(by_at: str) -> None:
    rows: list[tuple[str, float, str, str | None]] = [(f"u{k}", 1, "view", "pro") for k in range(9)]
    rows += [("u1", 2, "buy", "pro"), ("u2", 1, "buy", "pro"), ("u3", 3, "buy", None)]
    found = funnel(log_of(rows), ["view", "buy"], by="plan", by_at=by_at)
    assert found.warnings == (
        "1 of 9 users got as far as they did only because events at the same instant count in "
        "whichever order helps (ties='strict' tells without them).",
    )


def test_a_property_that_the_step_of_the_breakdown_lacks_is_told() -> None:
    log = log_of([("ann", 1, "view", None), ("ann", 2, "buy", "pro"), ("bob", 1, "view", None)])
    for options, where in (({}, "step 1"), ({"by_at": 1}, "step 1")):
        found = funnel(log, ["view", "buy"], by="plan", **options)
        assert lines(found, "count")[0] == ["(missing)", 2]
        assert caveat(found, "No event of").startswith(f"No event of {where} has a value of 'plan'")
    assert not caveat(funnel(log, ["view", "buy"], by="plan", by_at=2), "No event of")
