"""The event log against plain pandas: what goes in comes out, whatever it is made of."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_frames import KINDS_OF_FRAME, cells_of, expected, frames

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog

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
            "value": by["value"].apply(lambda v: (v.dropna() * 1e6).round().sum() / 1e6),
        }
    )
    found = log.summary().set_index("event")
    assert found.index.tolist() == sorted(
        want.index, key=lambda name: (-want["events"][name], name)
    )
    for name, row in found.iterrows():
        assert row.drop("value").tolist() == want.drop(columns="value").loc[name].tolist()
        assert row["value"] == pytest.approx(want["value"][name], abs=1e-6)


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
def test_times_of_any_unit(unit: str, zone: str | None) -> None:
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
