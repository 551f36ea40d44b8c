"""Shares of small actions against a count in pandas."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.micro_shares import micro_shares
from analysis.statistics.stats import wilson

WEEK = ("2026-11-09", "2026-11-16")
SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro"},
            "video": {"role": "secondary", "label": "Watched <it>"},
            "share": {"role": "secondary"},
            "never": {"role": "secondary"},
        },
    }
)
hours = st.integers(0, 60).map(lambda n: pd.Timestamp("2026-11-05") + pd.Timedelta(6 * n, "h"))
events = st.sampled_from(["visit", "buy", "video", "share"])
rows = st.lists(st.tuples(st.integers(0, 9).map(str), hours, events), min_size=1, max_size=60)


def counted_by_hand(frame: pd.DataFrame, micro: str, until: str) -> tuple[int, int, int, int, int]:
    start, end = map(pd.Timestamp, WEEK)
    inside = (frame["time"] >= start) & (frame["time"] < end)
    entered, converted = set(), set()
    for user, own in frame.groupby("user"):
        entries = own.loc[(own["event"] == "visit") & inside[own.index], "time"]
        entries = entries[entries + pd.Timedelta(days=3) <= pd.Timestamp(until)]
        buys = own.loc[own["event"] == "buy", "time"]
        if len(entries):
            entered.add(user)
            if any(t <= buy <= t + pd.Timedelta(days=3) for t in entries for buy in buys):
                converted.add(user)
    done = frame[inside & (frame["event"] == micro) & frame["user"].isin(entered)]
    did = set(done["user"])
    return len(done), len(did), len(entered), len(did & converted), len(converted)


@settings(max_examples=40)
@given(rows, st.sampled_from([1, 4]), st.sampled_from(["2026-11-14", "2026-12-01"]))
def test_counts_are_those_of_pandas(rows, shards, until):
    rows = [
        *rows,
        ("z", pd.Timestamp("2026-11-01"), "visit"),
        ("z", pd.Timestamp("2026-11-01"), "buy"),
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    log = EventLog.from_frame(frame, covers_until=until, shards=shards)
    result = micro_shares(log, SHOP, ["visit", "buy"], period=WEEK, window="72h", min_cell=1)
    for shown in result.table.itertuples():
        micro = {"Watched <it>": "video", "Share": "share"}[shown.event]
        did, k, n, macro_k, all_k = counted_by_hand(frame, micro, until)
        assert (shown.events, shown.k, shown.n, shown.all_k) == (did, k, n, all_k)
        assert shown.macro_k == macro_k if k else math.isnan(shown.macro_k)
        if n:
            low, high = wilson(k, n)
            assert (shown.low, shown.high) == pytest.approx((float(low), float(high)))
    assert any("do not say what an action causes" in warning for warning in result.warnings)
    assert "Never" in " ".join(result.warnings)


def shop(watched: int, bought: int) -> EventLog:
    frame = [(f"u{i}", "2026-11-10", "visit") for i in range(100)]
    frame += [(f"u{i}", "2026-11-10", "video") for i in range(watched)]
    frame += [(f"u{i}", "2026-11-11", "buy") for i in range(bought)]
    table = pd.DataFrame(frame, columns=["user", "time", "event"])
    return EventLog.from_frame(
        table.assign(time=pd.to_datetime(table["time"])), covers_until="2027"
    )


def test_small_cells_are_hidden():
    few = micro_shares(shop(watched=4, bought=20), SHOP, ["visit", "buy"], period=WEEK)
    assert few.table[["k", "rate", "macro_k", "macro_rate", "events"]].isna().all(axis=None)
    assert "1 action done by fewer than 5 users hidden." in few.warnings
    some = micro_shares(shop(watched=20, bought=4), SHOP, ["visit", "buy"], period=WEEK)
    assert some.table["k"].item() == 20
    assert some.table[["macro_k", "macro_rate", "all_k", "all_rate"]].isna().all(axis=None)
    for result in (few, some):
        assert "4 of" not in result.figure().to_json() + result.sentence()


def test_the_sentence_has_both_rates_with_their_counts():
    said = micro_shares(shop(watched=50, bought=20), SHOP, ["visit", "buy"], period=WEEK).sentence()
    assert "“Watched <it>”: 50.0% (50 of 100) of those who entered." in said
    assert (
        "Of these, 40.0% (20 of 50) converted within 7 days, of everybody 20.0% (20 of 100)."
        in said
    )


def test_nobody_has_had_the_time_yet():
    young = EventLog.from_frame(shop(50, 20).to_frame(), covers_until="2026-11-12")
    result = micro_shares(young, SHOP, ["visit", "buy"], period=WEEK)
    assert (result.table[["k", "n"]] == 0).all(axis=None)
    assert "Nobody who entered has had the whole time" in result.figure().layout.meta["alt"]


def test_wrong_use():
    with pytest.raises(UsageError, match="whole number from 1"):
        micro_shares(shop(9, 9), SHOP, ["visit", "buy"], period=WEEK, min_cell=0)
