"""The fingerprint: the same for the same content, another one for any other."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import hash_oracle as oracle
import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from log_frames import KINDS_OF_FRAME, cells, cells_of, expected, frames, numbers, texts

from analysis.eventlog.log import EventLog


def print_of(frame: pd.DataFrame, shards: int = 1) -> str:
    return EventLog.from_frame(frame, shards=shards).fingerprint


def pinned() -> pd.DataFrame:
    stamps = ["2026-01-01T10:00", "2026-01-01T10:00", "2026-01-01T11:00", "1969-12-31T23:59:59.5"]
    return pd.DataFrame(
        {
            "user": ["ann", "ann", "Ünal 🌊", ""],
            "time": pd.to_datetime(stamps, format="ISO8601", utc=True),
            "event": ["view", "buy", "view", "a longer name than eight bytes"],
            "device": ["mobile", None, "", "(missing)"],
            "value": [0.1, math.nan, 1e300, -0.0],
        }
    )


def test_a_small_log_has_this_fingerprint_everywhere() -> None:
    """On every machine, Python and numpy; a change of it makes every report a new one."""
    assert print_of(pinned()) == "75b20f2fb3417e2d7da21d08106e99d1"
    assert print_of(pinned(), shards=50) == print_of(pinned())


@settings(max_examples=80)
@given(frames(), st.sampled_from([1, 2, 50]))
def test_the_fingerprint_is_the_one_defined(frame: pd.DataFrame, shards: int) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    rows = expected(frame)
    kinds = {"session": "text", "text": "text", "number": "number"}
    plain = [dict(zip(rows.columns, values, strict=True)) for values in cells_of(rows)]
    assert log.fingerprint == oracle.fingerprint(plain, kinds)


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows in another order, those of one user at one instant in the same."""
    mixed = frame.sample(frac=1, random_state=seed)
    own = list(zip(frame["user"], frame["time"], strict=True))
    turn: dict[Any, list[int]] = {}
    for row, key in enumerate(own):
        turn.setdefault(key, []).append(row)
    keys = zip(mixed["user"], mixed["time"], strict=True)
    return frame.iloc[[turn[key].pop(0) for key in keys]]


@settings(max_examples=60)
@given(
    frames(),
    st.sampled_from([2, 7, 50]),
    st.integers(0, 2**31),
    st.sampled_from(list(KINDS_OF_FRAME)),
)
def test_neither_shards_nor_order_nor_container_matter(
    frame: pd.DataFrame, shards: int, seed: int, kind: str
) -> None:
    want = print_of(frame)
    assert print_of(shuffled(frame, seed), shards) == want
    assert print_of(KINDS_OF_FRAME[kind](frame), shards) == want
    assert print_of(frame[["number", "event", "user", "text", "time"]]) == want


@settings(max_examples=150)
@given(frames(), st.data())
def test_any_cell_matters(frame: pd.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.sampled_from(list(frame)))
    new: Any = {
        "user": texts,
        "event": texts,
        "text": cells,
        "number": numbers,
        "time": st.integers(-(10**6), 10**6).map(
            lambda us: frame["time"].iloc[row] + pd.Timedelta(us, "us")
        ),
    }
    value = data.draw(new[column])
    old = frame[column].iloc[row]
    assume(not (pd.isna(value) and pd.isna(old)))
    assume(pd.isna(value) or pd.isna(old) or value != old)
    changed = frame.copy()
    changed.iloc[row, frame.columns.get_loc(column)] = value
    assert print_of(changed) != print_of(frame)


@settings(max_examples=60)
@given(frames(min_rows=2), st.data())
def test_the_order_of_ties_matters(frame: pd.DataFrame, data: st.DataObject) -> None:
    first, second = sorted(data.draw(st.permutations(range(len(frame))))[:2])
    frame.loc[second, ["user", "time"]] = frame.loc[first, ["user", "time"]]
    frame.loc[first, "event"], frame.loc[second, "event"] = "one", "two"
    swapped = frame.copy()
    swapped.loc[[first, second], ["event", "text", "number"]] = frame.loc[
        [second, first], ["event", "text", "number"]
    ].to_numpy()
    assert print_of(swapped.astype(frame.dtypes)) != print_of(frame)


@settings(max_examples=40)
@given(frames())
def test_rows_and_columns_matter(frame: pd.DataFrame) -> None:
    same = print_of(frame)
    others = [
        pd.concat([frame, frame.iloc[:1]]),
        frame.rename(columns={"text": "texts"}),
        frame.rename(columns={"text": "number", "number": "text"}),
        frame.drop(columns="text"),
        frame.assign(more=None),
        frame.assign(more=1.0),
        frame.assign(user=frame["user"] + "x"),
        frame.assign(number=frame["number"].astype(str)),
        frame.assign(session="s"),
    ]
    if len(frame) > 1:
        others.append(frame.iloc[1:])
    prints = [print_of(other) for other in others]
    assert same not in prints
    assert len(set(prints)) == len(prints)


def test_cells_that_change_places_matter() -> None:
    frame = pinned().assign(user=list("abcd"), one=list("wxyz"), two=list("xwzy"))
    prints = {
        print_of(frame),
        print_of(frame.assign(one=frame["two"], two=frame["one"])),
        print_of(frame.assign(one=list("xwyz"))),
        print_of(frame.assign(one=list("xwyz"), two=list("wxzy"))),
        print_of(frame.assign(user=list("bacd"))),
    }
    assert len(prints) == 5


def test_what_is_the_same_value_has_the_same_fingerprint() -> None:
    frame = pinned()
    same = print_of(frame)
    assert print_of(frame.assign(value=[0.1, math.nan, 1e300, 0.0])) == same
    assert print_of(frame.assign(value=pd.array([0.1, None, 1e300, -0.0], dtype="Float64"))) == same
    assert print_of(frame.assign(time=frame["time"].dt.tz_convert("Asia/Tokyo"))) == same
    whole = frame.assign(value=[1.0, 2.0, 3.0, 4.0])
    for dtype in ("int8", "int64", "uint16", "float32", "Int32"):
        assert print_of(whole.astype({"value": dtype})) == print_of(whole)
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(float)
    nans = frame.assign(value=[*odd, math.nan, 1.0])
    assert print_of(nans) == print_of(frame.assign(value=[math.nan] * 3 + [1.0]))


@settings(max_examples=40)
@given(frames(), st.sampled_from([1, 2, 50]), st.data())
def test_a_view_is_the_log_of_its_rows(
    frame: pd.DataFrame, shards: int, data: st.DataObject
) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    event = data.draw(st.sampled_from(sorted(set(frame["event"]))))
    start = data.draw(st.sampled_from(sorted(set(frame["time"]))))
    for view in (log.where(event=event), log.between(start), log.where(user=frame["user"][0])):
        again = EventLog.from_frame(view.to_frame())
        assert again.fingerprint == view.fingerprint
        assert (view.fingerprint == log.fingerprint) == (len(view) == len(log))
    assert log.where().fingerprint == log.fingerprint


def test_the_fingerprint_of_an_opened_log_is_of_what_it_shows(tmp_path: Path) -> None:
    log = EventLog.from_frame(pinned())
    log.save(tmp_path)
    opened = EventLog.open(tmp_path)
    view = opened.where(device="mobile")
    assert opened.fingerprint == log.fingerprint
    assert view.fingerprint == log.where(device="mobile").fingerprint != log.fingerprint
    opened.__dict__.pop("fingerprint")
    assert opened.fingerprint == log.fingerprint
    view.save(tmp_path / "view")
    assert EventLog.open(tmp_path / "view").fingerprint == view.fingerprint


def test_no_two_of_hundreds_of_small_logs_collide() -> None:
    frame = pd.DataFrame({"user": "u", "time": [pd.Timestamp(0)], "event": "a", "n": 0.0})
    prints = {print_of(frame.assign(n=float(n))) for n in range(300)}
    prints |= {print_of(frame.assign(time=pd.Timestamp(n, unit="us"))) for n in range(1, 300)}
    prints |= {print_of(frame.assign(user=f"u{n}")) for n in range(300)}
    assert len(prints) == 899
    assert all(len(found) == 32 and set(found) <= set("0123456789abcdef") for found in prints)


@pytest.mark.parametrize("shards", [1, 50])
def test_hidden_rows_take_no_part(shards: int) -> None:
    frame = pinned()
    log = EventLog.from_frame(frame, shards=shards).where(event="view")
    kept = frame[frame["event"] == "view"].assign(session="1")
    assert log.fingerprint == print_of(kept)
