"""Segments of a log against pandas: who is in, in which order, and what is shared."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_frames import cells_of, frames

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog

SHARDS = [1, 2, 50]


def in_byte_order(ids) -> list[str]:
    return sorted(set(ids), key=lambda name: str(name).encode())


@settings(max_examples=120)
@given(frames(), st.sampled_from(SHARDS), st.data())
def test_a_segment_is_the_rows_of_its_users(
    frame: pd.DataFrame, shards: int, data: st.DataObject
) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    ids = in_byte_order(frame["user"])
    assert log.user_ids.tolist() == ids
    mask = data.draw(st.lists(st.booleans(), min_size=len(ids), max_size=len(ids)))
    inside = {name for name, hit in zip(ids, mask, strict=True) if hit}
    want = log.to_frame()
    want = want[want["user"].isin(inside)]
    named = pd.Series(mask, index=ids).iloc[::-1]
    for given_mask in (mask, np.array(mask), pd.array(mask, dtype="boolean"), named):
        view = log.in_segment(given_mask)
        assert cells_of(view.to_frame()) == cells_of(want)
        assert (view.users, view.events) == (len(inside), len(want))
        assert view.user_ids.tolist() == [name for name in ids if name in inside]


@given(frames(), st.sampled_from(SHARDS))
def test_a_view_has_the_users_of_its_rows(frame: pd.DataFrame, shards: int) -> None:
    event = frame["event"].iloc[0]
    view = EventLog.from_frame(frame, shards=shards).where(event=event)
    ids = in_byte_order(frame.loc[frame["event"] == event, "user"])
    assert view.user_ids.tolist() == ids
    assert view.in_segment([True] * len(ids)).events == view.events
    first = view.in_segment([True] + [False] * (len(ids) - 1))
    assert set(first.to_frame()["user"]) == {ids[0]}
    assert set(first.to_frame()["event"]) == {event}


def small(shards: int = 2) -> EventLog:
    frame = pd.DataFrame({"user": [f"u{n}" for n in range(20)] * 2, "time": ["2026-01-01"] * 40})
    return EventLog.from_frame(frame.assign(event="visit", device="phone"), shards=shards)


def test_views_share_all_but_one_byte_a_row_with_the_log() -> None:
    log = small()
    mask = np.arange(20) % 2 == 0
    views = [log.in_segment(mask), log.where(device="phone"), log.between("2026-01-01")]
    for view in views:
        for ours, theirs in zip(log.shards, view.shards, strict=True):
            assert ours.users is theirs.users
            assert ours.columns is theirs.columns
            for name in ("time", "offsets", "masks"):
                assert np.shares_memory(getattr(ours, name), getattr(theirs, name))
            assert theirs.event.dtype == np.uint8
            assert theirs.event.nbytes == ours.rows


def test_a_series_may_come_from_a_larger_log() -> None:
    log = small().where(user=["u1", "u2"])
    mask = pd.Series({"u1": True, "u9": True, "else": True, "u2": False})
    assert log.in_segment(mask).user_ids.tolist() == ["u1"]
    assert log.in_segment(pd.Series({"u1": True})).user_ids.tolist() == ["u1"]


@pytest.mark.parametrize("shards", SHARDS)
def test_a_segment_answers_the_same_for_any_number_of_shards(shards: int) -> None:
    mask = np.arange(20) < 7
    view = small(shards).in_segment(mask)
    assert view.fingerprint == small(1).in_segment(mask).fingerprint
    assert view.users == 7


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        ([True], "1 values, the log 20 users"),
        (np.ones(20), "holds float64"),
        (np.ones((20, 1), bool), "2 dimensions"),
        ([None] + [True] * 19, "holds object"),
        (pd.Series([True, True], index=["u1", "u1"]), "twice"),
        (pd.Series([True], index=["nobody"]), "none of the 1 users"),
        (pd.Series([1.0], index=["u1"]), "holds float64"),
    ],
)
def test_a_mask_that_fits_nobody_is_refused(mask: object, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        small().in_segment(mask)
