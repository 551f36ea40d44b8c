"""Totals against a count in pandas."""

from __future__ import annotations

import math

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.eventlog.totals import Totals, totals

START, END = pd.Timestamp("2026-11-09"), pd.Timestamp("2026-11-16")
row = st.tuples(
    st.integers(0, 12).map(str),
    st.integers(0, 20).map(lambda days: pd.Timestamp("2026-11-01") + pd.Timedelta(days, "D")),
    st.sampled_from(["buy", "look"]),
    st.none() | st.integers(0, 10**7).map(lambda cents: cents / 100),
)


@given(st.lists(row, min_size=1, max_size=40), st.sampled_from([1, 4]))
def test_totals_are_those_of_pandas(rows, shards):
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "value"])
    frame["value"] = frame["value"].astype(float)
    log = EventLog.from_frame(frame, covers_until="2026-12-01", shards=shards)
    own = frame[(frame.event == "buy") & (frame.time >= START) & (frame.time < END)]
    found = totals(log, "buy", period=(START, END))
    assert (found.events, found.users) == (len(own), own["user"].nunique())
    assert found.value == pytest.approx(own["value"].sum(), abs=1e-6)
    few = totals(log, "buy", period=(START, END), min_cell=5)
    assert (few == found) if own["user"].nunique() in (0, *range(5, 20)) else math.isnan(few.events)


def test_what_cannot_be_added_is_undefined_and_says_why():
    frame = pd.DataFrame({"user": ["a", "b"], "time": [START, START], "event": "buy"})
    assert math.isnan(totals(EventLog.from_frame(frame), "buy").value)
    mixed = EventLog.from_frame(frame.assign(value=[1.0, 2.0], currency=["EUR", "CHF"]))
    assert math.isnan(totals(mixed, "buy").value)
    assert totals(mixed, "buy").currency == "CHF, EUR"
    same = EventLog.from_frame(frame.assign(value=[1.0, 2.0], currency=["EUR", None]))
    assert totals(same, "buy") == Totals(2, 2, 3.0, "EUR")
    huge = EventLog.from_frame(frame.assign(value=[9e18, 1.0]))
    assert math.isnan(totals(huge, "buy").value)


def test_an_event_that_never_happened():
    log = EventLog.from_frame(pd.DataFrame({"user": ["a"], "time": [START], "event": "look"}))
    assert totals(log, "buy")[:2] == (0, 0)
    with pytest.raises(UsageError, match="Swap the two"):
        totals(log, "look", period=(END, START))
