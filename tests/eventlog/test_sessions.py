"""Sessions of a log against plain Python: pauses, midnights of real places, campaigns."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.session_oracle import sessions_of
from support.log_frames import cells_of, expected

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import SessionRule, midnights, session_rule, sessionize

SHARDS = [1, 2, 50]
HOUR = 3_600_000_000
# Clocks that skip midnight, show it twice, go back over it, or stand half an hour off.
ZONES = [
    "UTC",
    "Europe/Berlin",
    "America/Sao_Paulo",
    "America/Havana",
    "America/St_Johns",
    "Asia/Beirut",
    "Australia/Lord_Howe",
    "Pacific/Apia",
]


@st.composite
def visits(draw: st.DrawFn) -> pd.DataFrame:
    base = pd.Timestamp(draw(st.sampled_from(["2026-03-28T20:00", "2026-10-24T20:00"])), tz="UTC")
    row = st.tuples(
        st.sampled_from(["ann", "bob", "cy"]),
        st.integers(0, 40),
        st.sampled_from(["spring", "brand", None]),
        st.sampled_from([1.0, 2.0, None]),
        st.booleans(),
    )
    rows = draw(st.lists(row, min_size=1, max_size=25))
    user, step, campaign, number, odd = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "user": user,
            "time": base + pd.to_timedelta(np.array(step) * 15, unit="min"),
            "event": "visit",
            "campaign": pd.array(campaign, dtype="str"),
            "number": np.array(number, float),
            "odd": odd,
        }
    )


rules = {
    "gap": st.sampled_from(["15min", "30min", "2h"]),
    "campaign": st.sampled_from([None, "campaign", "number"]),
    "midnight": st.sampled_from([None, "UTC", "Europe/Berlin", "America/New_York"]),
}


@settings(max_examples=200)
@given(visits(), st.sampled_from(SHARDS), st.fixed_dictionaries(rules))
def test_sessions_are_what_plain_python_says(frame: pd.DataFrame, shards: int, rule: dict) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    cut = sessionize(
        log,
        gap=rule["gap"],
        cut_at_campaign=rule["campaign"] or False,
        cut_at_midnight=rule["midnight"],
    )
    want = expected(frame)
    want["session"] = sessions_of(want, **rule | {"gap": pd.Timedelta(rule["gap"])})
    assert cut.to_frame()["session"].tolist() == want["session"].tolist()
    assert cut.sessions == len(want[["user", "session"]].drop_duplicates())
    others = [name for name in log.to_frame() if name != "session"]
    assert cells_of(cut.to_frame()[others]) == cells_of(log.to_frame()[others])


@given(visits(), st.sampled_from(SHARDS))
def test_of_a_view_only_the_rows_shown_count(frame: pd.DataFrame, shards: int) -> None:
    view = EventLog.from_frame(frame, shards=shards).where(odd=True)
    alone = EventLog.from_frame(frame[frame["odd"]].assign(odd="true"), shards=shards)
    options: dict[str, Any] = {"gap": "20min", "cut_at_campaign": True, "cut_at_midnight": "UTC"}
    if len(alone):
        assert cells_of(sessionize(view, **options).to_frame()) == cells_of(
            sessionize(alone, **options).to_frame()
        )


def test_only_the_sessions_are_new_and_the_log_stays_as_it_is() -> None:
    times = pd.to_datetime(["2026-01-01T00:00", "2026-01-01T00:20"])
    log = EventLog.from_frame(pd.DataFrame({"user": "ann", "time": times, "event": "a", "p": "x"}))
    before = log.fingerprint
    cut = sessionize(log, gap="10min")
    assert (log.sessions, cut.sessions) == (1, 2)
    assert log.fingerprint == before != cut.fingerprint
    for old, new in zip(log.shards, cut.shards, strict=True):
        assert np.shares_memory(old.time, new.time)
        assert np.shares_memory(old.event, new.event)
        assert np.shares_memory(old.columns["p"].codes, new.columns["p"].codes)  # type: ignore[union-attr]


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("year", [2004, 2011, 2018, 2026])
def test_the_date_changes_exactly_at_a_midnight(zone: str, year: int) -> None:
    place = ZoneInfo(zone)
    low, high = (datetime(y, 1, 1, tzinfo=UTC) for y in (year, year + 1))
    first, last = (int(instant.timestamp()) * 1_000_000 for instant in (low, high))
    found = set(midnights(first, last, zone).tolist())
    # Clocks are set on full minutes in these years, so every minute tells all.
    want, before = set(), low.astimezone(place).date()
    for minute in range(30, (high - low) // timedelta(minutes=1) + 1, 30):
        date = (low + timedelta(minutes=minute)).astimezone(place).date()
        if date != before:
            late = [low + timedelta(minutes=minute - back) for back in range(30, -1, -1)]
            dates = [instant.astimezone(place).date() for instant in late]
            for k in range(1, len(late)):
                if dates[k] != dates[k - 1]:
                    want.add(int(late[k].timestamp()) * 1_000_000)
        before = date
    missed = {us for us in found - want if not _changes(us, place)}
    assert want <= found
    assert not missed


def _changes(us: int, place: ZoneInfo) -> bool:
    start = datetime(1970, 1, 1, tzinfo=UTC)
    here, before = (
        (start + timedelta(microseconds=at)).astimezone(place).date() for at in (us, us - 1)
    )
    return here != before


def test_clocks_that_go_back_over_midnight_change_the_date_three_times() -> None:
    # St. John's, 2010-11-07: at 00:01 clocks went back to 23:01 of the 6th.
    first = int(datetime(2010, 11, 7, 2, 0, tzinfo=UTC).timestamp()) * 1_000_000
    found = midnights(first, first + 3 * HOUR, "America/St_Johns")
    minutes = (found - first) // 60_000_000
    assert minutes.tolist() == [30, 31, 90]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gap": "30"}, "no unit"),
        ({"gap": "0min"}, "longer than zero"),
        ({"cut_at_midnight": "Europe/Berln"}, "Did you mean 'Europe/Berlin'"),
        ({"cut_at_campaign": "campagn"}, "Did you mean 'campaign'"),
        ({"cut_at_campaign": 3}, "name of a property"),
    ],
)
def test_what_cannot_be_read_is_said(options: dict, words: str) -> None:
    frame = pd.DataFrame({"user": ["a"], "time": ["2026-01-01"], "event": "x", "campaign": "c"})
    with pytest.raises(UsageError, match=words):
        sessionize(EventLog.from_frame(frame), **options)


def test_a_log_without_campaigns_says_what_it_has() -> None:
    frame = pd.DataFrame({"user": ["a"], "time": ["2026-01-01"], "event": "x"})
    with pytest.raises(UsageError, match="Properties: none"):
        sessionize(EventLog.from_frame(frame), cut_at_campaign=True)


def test_a_rule_is_plain_words() -> None:
    assert session_rule() == SessionRule()
    assert session_rule(campaign="source", midnight="UTC") == SessionRule(
        campaign="source", midnight="UTC"
    )


def test_an_empty_log_has_no_session() -> None:
    frame = pd.DataFrame({"user": [], "time": pd.to_datetime([]), "event": []})
    assert sessionize(EventLog.from_frame(frame), cut_at_midnight="UTC").sessions == 0
