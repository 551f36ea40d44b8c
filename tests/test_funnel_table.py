"""The groups of a funnel's table, and its numbers against plain pandas."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import pandas as pd
from funnel_logs import FAR, by_group

from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel


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
