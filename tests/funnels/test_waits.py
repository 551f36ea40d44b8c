"""Waits from the first time ever, against pandas; and the sentence that tells both waits apart."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import FunnelResult, funnel

START = pd.Timestamp("2026-01-01")


def crowd(seed: int, users: int = 60) -> pd.DataFrame:
    rng = random.Random(seed)
    rows = [
        (
            f"u{rng.randrange(users)}",
            START + pd.Timedelta(rng.randrange(20_000), "min"),
            rng.choice(["view", "view", "cart", "buy", "other"]),
            rng.choice(["1", "2", "3", None]),
            rng.choice(["x", "y"]),
            float(rng.randrange(5)),
        )
        for _ in range(30 * users)
    ]
    names = ["user", "time", "event", "session", "device", "size"]
    return pd.DataFrame(rows, columns=names).astype({"session": "str"}).sort_values("time")


def by_hand(frame: pd.DataFrame, result: FunnelResult, last: str, unit: list[str]) -> pd.Series:
    """Seconds from the first view to the first `last` from then on, of those that count."""
    frame = frame.dropna(subset=unit)
    first = frame[frame.event == "view"].groupby(unit)["time"].min().rename("first")
    then = frame[frame.event == last].join(first, on=unit, how="inner")
    done = then[then.time >= then["first"]].groupby(unit)["time"].min()
    waits = (done - first).dt.total_seconds()
    kept = result.mature_attempts
    kept = kept[kept[f"step_{len(result.steps)}"].notna()]
    names = ["user", "unit"] if "user" in kept and len(unit) > 1 else ["unit"]
    return waits.loc[[tuple(k) if len(k) > 1 else k[0] for k in kept[names].to_numpy().tolist()]]


@pytest.mark.parametrize("unit", ["user", "session"])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_waits_from_the_first_time_are_those_of_pandas(seed: int, unit: str) -> None:
    frame = crowd(seed)
    log = EventLog.from_frame(frame, covers_until="2026-03-01", shards=3)
    result = funnel(log, ["view", "cart", "buy"], window="2d", unit=unit)
    want = by_hand(frame, result, "buy", ["user", "session"] if unit == "session" else ["user"])
    assert len(want) > 5
    for since in ("first", "entry"):
        (row,) = result.times(since=since).to_dict("records")
        assert row["n"] == len(want)
        if since == "first":
            assert row["median_seconds"] == pytest.approx(want.median())
            assert row["mean_seconds"] == pytest.approx(want.mean())
            assert row["p90_seconds"] == pytest.approx(want.quantile(0.9))


def looked_for_weeks() -> EventLog:
    """Everybody looks on the first day and again on the tenth, and buys two minutes after that."""
    rows: list[tuple[str, pd.Timestamp, str, str]] = []
    for k in range(9):
        device = "x" if k % 3 else "y"
        rows += [
            (f"u{k}", START, "view", device),
            (f"u{k}", START + pd.Timedelta("10D"), "view", device),
            (f"u{k}", START + pd.Timedelta("10D 2min"), "buy", device),
        ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "device"])
    return EventLog.from_frame(frame, covers_until="2026-03-01", shards=2)


def test_both_waits_are_told_and_what_they_run_from() -> None:
    log = looked_for_weeks()
    result = funnel(log, ["view", "buy"], window="30min", by="device")
    assert result.times(since="entry")["median_seconds"].tolist() == [120, 120]
    assert result.times(since="first")["median_seconds"].tolist() == [864_120, 864_120]
    assert result.times(since="first")["n"].tolist() == [6, 3]
    assert result.waits_sentence() == (
        "Half of the 9 that got to Buy did so within 2 min of the entry of the furthest attempt, "
        "and within 10 days of the first time ever that they did View."
    )
    assert result.waits_sentence(min_cell=10) == ""
    assert funnel(log, ["view"]).waits_sentence() == ""


@pytest.mark.parametrize("options", [{"order": "any"}, {"count": "attempts"}], ids=str)
def test_without_an_order_or_a_unit_that_counts_once_there_is_no_first_time(
    options: dict[str, Any],
) -> None:
    result = funnel(looked_for_weeks(), ["view", "buy"], window="1h", **options)
    with pytest.raises(UsageError, match=r"times: since='first' with (order|count)="):
        result.times(since="first")
    said = result.waits_sentence()
    assert said.startswith("Half of the 9 that got to ")
    assert "first time ever" not in said


def test_conditions_and_skipped_steps_are_minded() -> None:
    frame = crowd(4)
    log = EventLog.from_frame(frame, covers_until="2026-03-01")
    steps: list[Any] = [{"event": "view", "where": {"size": ">= 2"}}, "buy"]
    result = funnel(log, [steps[0], {"event": "cart", "optional": True}, steps[1]], window="2d")
    kept = frame[(frame["event"] != "view") | (frame["size"] >= 2)]
    want = by_hand(kept, result, "buy", ["user"])
    got = result.times(since="first")
    assert got["n"].item() == len(want) > 5
    assert got["median_seconds"].item() == pytest.approx(want.median())
    cart = result.times(2, since="first")
    assert cart["n"].item() == int(np.sum(result.mature_attempts["step_2"].notna()))
