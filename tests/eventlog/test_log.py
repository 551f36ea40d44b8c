"""The event log against plain pandas: what goes in comes out, whatever it is made of."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_frames import KINDS_OF_FRAME, cells_of, expected, frames

import analysis
from analysis import (
    Catalog,
    audience,
    behavioral_clusters,
    channel_strength,
    compare_horizons,
    compare_periods,
    compare_segments,
    content_conversion,
    conversion_curve,
    distance_to_macro,
    dose_response,
    doubly_robust,
    engagement_levels,
    engagement_table,
    event_order,
    form_fields,
    funnel,
    hidden_steps,
    lead_lag,
    micro_to_macro,
    overlaps,
    paths,
    rfm,
    segment,
    simulate,
    stability,
    step_matrix,
    suggest,
    time_to_convert,
    transitions,
)
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.between_steps import micro_shares
from analysis.segments.result import picked
from analysis.segments.rules import did

SHARDS = [1, 2, 50]


@settings(max_examples=150)
@given(frames(), st.sampled_from(SHARDS), st.sampled_from(list(KINDS_OF_FRAME)))
def test_what_goes_in_comes_out(frame: pd.DataFrame, shards: int, kind: str) -> None:
    log = EventLog.from_frame(KINDS_OF_FRAME[kind](frame), shards=shards)
    want = expected(frame)
    found = log.to_frame()
    assert list(found) == ["user", "time", "event", "session", "text", "number"]
    assert cells_of(found) == cells_of(want)
    assert found["time"].dtype == "datetime64[us, UTC]"
    assert (len(log), log.events) == (len(frame), len(frame))
    assert log.users == frame["user"].nunique()
    assert log.sessions == len(want[["user", "session"]].drop_duplicates())
    assert (log.start, log.end) == (frame["time"].min(), frame["time"].max())
    assert log.covers_until == (frame["time"].max() + pd.Timedelta("1D")).floor("D")
    assert log.properties == ("text", "number")


@settings(max_examples=60)
@given(frames(), st.sampled_from(SHARDS))
def test_a_log_survives_its_folder(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, shards: int
) -> None:
    folder = tmp_path_factory.mktemp("log")
    log = EventLog.from_frame(frame, covers_until="2120-01-01", shards=shards)
    log.save(folder)
    again = EventLog.open(folder)
    assert cells_of(again.to_frame()) == cells_of(log.to_frame())
    pd.testing.assert_frame_equal(again.to_frame(), log.to_frame())
    assert again.covers_until == pd.Timestamp("2120-01-01", tz="UTC")
    assert again.fingerprint == log.fingerprint
    assert again.kinds == log.kinds
    pd.testing.assert_frame_equal(again.summary(), log.summary())


@settings(max_examples=40)
@given(frames(), st.sampled_from(SHARDS))
def test_the_summary_is_pandas_group_by(frame: pd.DataFrame, shards: int) -> None:
    frame = frame.assign(value=frame["number"].where(frame["number"].abs() < 1e6))
    log = EventLog.from_frame(frame, shards=shards)
    by = frame.groupby("event", sort=False)
    want = pd.DataFrame(
        {
            "events": by.size(),
            "users": by["user"].nunique(),
            "share_of_users": by["user"].nunique() / frame["user"].nunique(),
            "first": by["time"].min(),
            "last": by["time"].max(),
            "value": by["value"].apply(lambda v: math.fsum(v.dropna())),
        }
    )
    found = log.summary().set_index("event")
    assert found.index.tolist() == sorted(
        want.index, key=lambda name: (-want["events"][name], name)
    )
    for name, row in found.iterrows():
        assert (
            row.drop(["value", "currency"]).tolist()
            == want.drop(columns="value").loc[name].tolist()
        )
        assert row["value"] == pytest.approx(want["value"][name], rel=1e-12, abs=1e-12)


def test_many_users_in_any_number_of_shards() -> None:
    rng = np.random.default_rng(0)
    size = 20_000
    frame = pd.DataFrame(
        {
            "user": [f"u{n}" for n in rng.integers(0, 3000, size)],
            "time": pd.Timestamp("2026-01-01")
            + pd.to_timedelta(rng.integers(0, 10**13, size), "us"),
            "event": rng.choice(list("abcdef"), size),
            "value": rng.integers(0, 10**6, size) / 100,
            "device": rng.choice(np.array(["m", "d", None], object), size),
        }
    )
    whole = EventLog.from_frame(frame, shards=1)
    for shards in (2, 50, 4096):
        log = EventLog.from_frame(frame, shards=shards)
        assert 1 < len(log.shards) <= shards
        assert max(shard.rows for shard in log.shards) < 4 * size / min(shards, 500)
        pd.testing.assert_frame_equal(log.to_frame(), whole.to_frame())
        pd.testing.assert_frame_equal(log.summary(), whole.summary())
        assert (log.users, log.sessions) == (whole.users, whole.sessions)
        assert log.fingerprint == whole.fingerprint
    assert cells_of(whole.to_frame()) == cells_of(
        expected(frame.assign(time=frame["time"].dt.tz_localize("UTC")))[list(whole.to_frame())]
    )


TIMES = ["2026-03-29T00:30:00", "2026-03-29T02:30:00.123456", "1969-12-31T23:59:59.999999"]


@pytest.mark.parametrize(
    "times",
    [
        TIMES,
        pd.Series(TIMES, dtype=object),
        pd.to_datetime(TIMES, format="ISO8601"),
        pd.to_datetime(TIMES, format="ISO8601").as_unit("ns"),
        pd.to_datetime(TIMES, format="ISO8601").tz_localize("UTC"),
        pd.to_datetime(TIMES, format="ISO8601").tz_localize("UTC").tz_convert("Asia/Kolkata"),
        pd.to_datetime(TIMES, format="ISO8601").tz_localize("UTC").tz_convert("Europe/Berlin"),
        [t + "Z" for t in TIMES],
        [
            "2026-03-29T01:30:00+01:00",
            "2026-03-29T04:30:00.123456+02:00",
            "1969-12-31T23:59:59.999999Z",
        ],
        pd.Series(pd.to_datetime(TIMES, format="ISO8601").to_pydatetime(), dtype=object),
        pd.Categorical(TIMES),
    ],
    ids=str,
)
def test_times_of_any_type(times: Any) -> None:
    frame = pd.DataFrame({"user": ["a", "b", "c"], "time": times, "event": "x"})
    want = pd.to_datetime(TIMES, format="ISO8601", utc=True).tolist()
    assert EventLog.from_frame(frame).to_frame()["time"].tolist() == want
    assert EventLog.from_frame(to_arrow(frame)).to_frame()["time"].tolist() == want


def to_arrow(frame: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(frame, preserve_index=False)


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
@pytest.mark.parametrize("zone", [None, "UTC", "America/New_York"])
def test_times_of_any_unit(unit: Any, zone: str | None) -> None:
    stamps = pd.to_datetime(["2026-01-01T05:00:00", "1950-06-01T00:00:01"]).as_unit(unit)
    frame = pd.DataFrame({"user": ["a", "b"], "time": stamps.tz_localize(zone), "event": "x"})
    want = (
        frame["time"].dt.tz_localize("UTC") if zone is None else frame["time"].dt.tz_convert("UTC")
    )
    for made in (frame, to_arrow(frame), pl.from_pandas(frame)):
        assert EventLog.from_frame(made).to_frame()["time"].tolist() == want.tolist()


def test_dates_and_nanoseconds_as_times() -> None:
    dates = pa.table({"user": ["a"], "time": pa.array([20_000], pa.date32()), "event": ["x"]})
    assert EventLog.from_frame(dates).start == pd.Timestamp("2024-10-04", tz="UTC")
    fine = pd.DataFrame({"user": "a", "time": pd.to_datetime([1999, 999], unit="ns"), "event": "x"})
    assert EventLog.from_frame(fine).to_frame()["time"].astype("int64").tolist() == [0, 1]


def test_columns_by_other_names_and_a_session_column() -> None:
    frame = pd.DataFrame(
        {
            "client": [7, 7, 8, 8],
            "ts": pd.to_datetime(["2026-01-01"] * 3 + ["2026-01-02"]),
            "action": ["a", "b", "a", "a"],
            "visit": ["s1", "s2", "s1", None],
            "start": 1.5,
        }
    )
    log = EventLog.from_frame(frame, "client", "ts", "action", "visit")
    assert (log.users, log.sessions, log.properties) == (2, 3, ("start",))
    found = log.to_frame()
    assert found["user"].tolist() == ["7", "7", "8", "8"]
    assert found["session"].tolist()[:3] == ["s1", "s2", "s1"]
    assert pd.isna(found["session"].iloc[3])
    named = frame.set_axis(["user", "time", "event", "session", "start"], axis=1)
    assert EventLog.from_frame(named).fingerprint == log.fingerprint


def test_sessions_of_one_user_may_overlap() -> None:
    frame = pd.DataFrame(
        {
            "user": "u",
            "time": pd.date_range("2026-01-01", periods=6, freq="min"),
            "event": "a",
            "session": ["phone", "desk", "phone", "desk", None, "phone"],
        }
    )
    for shards in SHARDS:
        log = EventLog.from_frame(frame, shards=shards)
        assert log.sessions == 2
        assert log.where(session="desk").sessions == 1
        assert log.where(session="phone").events == 3


def test_a_log_without_a_row() -> None:
    frame = pd.DataFrame(
        {"user": ["u"], "time": [pd.Timestamp(0)], "event": ["a"], "text": ["x"], "number": [1.0]}
    )
    log = EventLog.from_frame(frame.iloc[:0])
    assert (len(log), log.users, log.sessions, log.events) == (0, 0, 0, 0)
    assert log.start is log.end is pd.NaT
    assert log.summary().empty
    assert log.properties == ("text", "number")
    found = log.to_frame()
    assert found.empty
    assert list(found) == ["user", "time", "event", "session", "text", "number"]
    assert len(log.where(text="x")) == len(log.between("2026-01-01")) == 0
    assert repr(log) == "EventLog(0 events, 0 users, NaT to NaT)"
    view = EventLog.from_frame(frame).where(text="y")
    assert log.fingerprint == view.fingerprint
    assert EventLog.from_frame(view.to_frame()).fingerprint == view.fingerprint
    with pytest.raises(DataError, match=r"^the log would be empty"):
        log.save("nowhere")
    assert not Path("nowhere").exists()


@pytest.mark.parametrize("shards", [0, -1, 2.5, "2"])
def test_a_number_of_shards_is_a_whole_number(shards: Any) -> None:
    frame = pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["a"]})
    with pytest.raises(UsageError, match=r"^from_frame: shards=.* Allowed: a whole number from 1"):
        EventLog.from_frame(frame, shards=shards)


def test_a_log_cannot_be_changed() -> None:
    log = EventLog.from_frame(
        pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["a"]})
    )
    with pytest.raises(AttributeError):
        log.event_names = ()  # type: ignore[misc]


def test_a_derived_log_is_of_no_folder_and_keeps_the_fingerprint_with_the_shards(
    tmp_path: Path,
) -> None:
    frame = pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["a"]})
    EventLog.from_frame(frame).save(tmp_path)
    log = EventLog.open(tmp_path)
    later = log.derive(covers_until_us=log.covers_until_us + 1)
    assert (later.folder, later.covers_until_us) == (None, log.covers_until_us + 1)
    assert "fingerprint" in vars(later)
    assert later.fingerprint == log.fingerprint
    assert "fingerprint" not in vars(log.derive(shards=log.shards, filtered=True))


# ── Whoever was picked by what came before is not looked at there without a word.


AT, EARLIER = "2026-10-26", "2026-10-01"
SHOP = Catalog.load("data/catalogs/ecommerce.toml")
STEPS = ["view_item", "add_to_cart", "purchase"]
SAID = "picked by what they did before 2026-10-26 00:00 UTC"


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=2_500).log


@pytest.fixture(scope="module")
def buyers(log: EventLog) -> EventLog:
    return log.in_segment(segment(log, did("purchase"), at=AT))


WEEK = ("2026-10-26", "2026-11-02")


QUESTIONS: dict[str, Callable[[EventLog], Any]] = {
    "behavioral_clusters": lambda log: behavioral_clusters(log, clusters=2, min_events=1, draws=2),
    "channel_strength": channel_strength,
    "compare_horizons": lambda log: compare_horizons(log, SHOP, micros=["share"]),
    "compare_periods": lambda log: compare_periods(log, STEPS, period=WEEK),
    "content_conversion": lambda log: content_conversion(log, "page", to="purchase"),
    "conversion_curve": lambda log: conversion_curve(log, "view_item", "purchase"),
    "distance_to_macro": lambda log: distance_to_macro(log, SHOP),
    "dose_response": lambda log: dose_response(log, SHOP, "share"),
    "doubly_robust": lambda log: doubly_robust(log, SHOP, "share", horizon="7d"),
    "engagement_levels": lambda log: engagement_levels(log, SHOP),
    "engagement_table": lambda log: engagement_table(log, SHOP, events=["share"]),
    "event_order": event_order,
    "form_fields": lambda log: form_fields(log, "contact"),
    "funnel": lambda log: funnel(log, STEPS),
    "funnel by": lambda log: funnel(log, STEPS, by="device"),
    "funnel of a property": lambda log: funnel(log, ["view_item", "purchase"], unit="country"),
    "hidden_steps": lambda log: hidden_steps(log, ["view_item", "purchase"]),
    "lead_lag": lambda log: lead_lag(log, SHOP, "share", freq="1D", permutations=99),
    "lead_lag of few": lambda log: lead_lag(log, SHOP, "share"),
    "micro_shares": lambda log: micro_shares(
        log, SHOP, ["view_item", "purchase"], period=("2026-10-25", "2026-11-01")
    ),
    "micro_to_macro": lambda log: micro_to_macro(log, SHOP, micros=["share"]),
    "paths": lambda log: paths(log, to="add_to_cart", length=2),
    "rfm": rfm,
    "stability": lambda log: stability(log, SHOP, "share", dimensions=["device"]),
    "step_matrix": lambda log: step_matrix(log, steps=2),
    "suggest": lambda log: suggest(log, SHOP),
    "suggest nothing": lambda log: suggest(
        log, Catalog.from_mapping({"name": "blog", "events": {"donate": {"role": "macro"}}})
    ),
    "time_to_convert": lambda log: time_to_convert(log, "purchase"),
    "transitions": transitions,
}


ELSEWHERE = {
    "audience": "as of its segment: test_what_takes_a_segment_of_an_earlier_instant_says_so",
    "overlaps": "as of its segments: test_what_takes_a_segment_of_an_earlier_instant_says_so",
    "segment": "refuses an instant before the pick: test_nothing_is_asked_as_of_...",
    "compare_segments": "refuses an instant before the pick: test_nothing_is_asked_as_of_...",
    "audit": "is about the rows and how they came, and compares no people",
    "person_periods": "gives rows and has no words; who models them knows whom they picked",
    "sessionize": "makes a log, which keeps the instant",
    "units": "makes a log of other units",
}


def test_no_question_is_forgotten() -> None:
    public = {name: getattr(analysis, name) for name in analysis.__all__}
    ask_a_log = {
        name
        for name, found in public.items()
        if inspect.isfunction(found) and next(iter(inspect.signature(found).parameters)) == "log"
    }
    assert len(ask_a_log) > 25
    assert not ELSEWHERE.keys() & QUESTIONS.keys()
    assert ask_a_log == (QUESTIONS.keys() & public.keys()) | ELSEWHERE.keys()


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_what_picked_them_says_so(
    name: str, log: EventLog, buyers: EventLog
) -> None:
    said = [one for one in QUESTIONS[name](buyers).warnings if SAID in one]
    assert len(said) == 1


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_question_about_everybody_does_not(name: str, log: EventLog) -> None:
    assert not any("picked by" in one for one in QUESTIONS[name](log).warnings)


BOUNDED: dict[str, Callable[[EventLog, Any], Any]] = {
    "transitions": lambda log, given: transitions(log, entered=given),
    "step_matrix": lambda log, given: step_matrix(log, steps=2, entered=given),
    "paths": lambda log, given: paths(log, length=2, entered=given),
    "event_order": lambda log, given: event_order(log, entered=given),
    "distance_to_macro": lambda log, given: distance_to_macro(log, SHOP, entered=given),
    "form_fields": lambda log, given: form_fields(log, "contact", entered=given),
    "micro_shares": lambda log, given: micro_shares(
        log, SHOP, ["view_item", "purchase"], period=given
    ),
    "compare_periods": lambda log, given: compare_periods(
        log, STEPS, period=("2026-11-09", "2026-11-16"), previous=given
    ),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_what_looks_from_then_on_does_not_warn(name: str, log: EventLog) -> None:
    viewers = log.in_segment(segment(log, did("view_item"), at=AT))
    later = BOUNDED[name](viewers, (AT, "2026-11-09"))
    assert not any("picked by" in one for one in later.warnings)
    earlier = BOUNDED[name](viewers, ("2026-10-25", "2026-11-09"))
    assert any(SAID in one for one in earlier.warnings)


def test_entries_from_then_on_do_not_warn(log: EventLog, buyers: EventLog) -> None:
    for found in (
        funnel(buyers, STEPS, entered=(AT, None)),
        conversion_curve(buyers, "view_item", "purchase", entered=(AT, "2026-11-10")),
        funnel(buyers.between(AT), STEPS),
        funnel(buyers.where(device="mobile"), STEPS, entered=(AT, None)),
    ):
        assert not any("picked by" in one for one in found.warnings)
    late = funnel(buyers, STEPS, entered=("2026-10-25", None))
    assert any(SAID in one for one in late.warnings)
    assert any(SAID in one for one in funnel(buyers.where(device="mobile"), STEPS).warnings)


def test_the_latest_pick_counts(log: EventLog, buyers: EventLog) -> None:
    again = buyers.in_segment(segment(buyers, did("share"), at="2026-11-01"))
    assert again.picked_at_us == pd.Timestamp("2026-11-01", tz="UTC").value // 1000
    first = segment(log, did("share"), at=EARLIER)
    assert buyers.in_segment(first).picked_at_us == buyers.picked_at_us


def test_a_mask_without_an_instant_is_said_and_one_with_it_is_not(log: EventLog) -> None:
    one = segment(log, did("purchase"), at=AT)
    bare = funnel(log.in_segment(one.mask), STEPS, entered=(AT, None))
    assert any("a mask that says no instant" in warning for warning in bare.warnings)
    assert log.in_segment(one.series()).picked_at_us == one.at_us
    lot = picked(log, np.arange(log.users) % 2 == 0, at=log.start)
    assert not any("picked" in warning for warning in funnel(log.in_segment(lot), STEPS).warnings)


def test_nothing_is_asked_as_of_an_instant_at_which_they_were_unknown(
    log: EventLog, buyers: EventLog
) -> None:
    """Whoever bought in October is no group of September: all of them go on to buy."""
    for ask in (
        lambda: segment(buyers, did("view_item"), at=EARLIER),
        lambda: picked(buyers, np.ones(buyers.users, bool), at=EARLIER),
        lambda: engagement_levels(buyers, SHOP, at=EARLIER),
        lambda: engagement_table(buyers, SHOP, at=EARLIER),
        lambda: rfm(buyers, at=EARLIER),
        lambda: behavioral_clusters(buyers, at=EARLIER),
        lambda: compare_segments(buyers, segment(log, did("view_item"), at=EARLIER)),
    ):
        with pytest.raises(UsageError, match="would look into its future") as raised:
            ask()
        assert "\n" not in str(raised.value)


def test_what_takes_a_segment_of_an_earlier_instant_says_so(
    log: EventLog, buyers: EventLog
) -> None:
    early = segment(log, did("view_item"), at=EARLIER)
    both = {"a": early, "b": segment(log, did("share"), at=EARLIER)}
    assert any(SAID in one for one in audience(buyers, early).warnings)
    assert any(SAID in one for one in overlaps(buyers, both).warnings)
    assert not any(SAID in one for one in audience(log, early).warnings)
    same = segment(log, did("purchase"), at=AT)
    assert not any("picked" in one for one in audience(buyers, same).warnings)
    assert not any("picked" in one for one in overlaps(buyers, {"a": same, "b": same}).warnings)


def test_an_empty_view_has_nothing_to_say(log: EventLog) -> None:
    nobody = log.in_segment(segment(log, ~did("*"), at=AT))
    assert nobody.users == 0
    assert not any("picked" in one for one in engagement_levels(nobody, SHOP).warnings)
