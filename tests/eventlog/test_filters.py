"""Filters and time ranges against boolean masks of plain pandas."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_frames import cells_of, expected, frames

from analysis.core.schema import UsageError
from analysis.eventlog.filters import GRANTED, Consent, consent_of, granted_rows
from analysis.eventlog.log import EventLog
from analysis.eventlog.maintenance import BadRecord
from analysis.sources.mapping import ColumnMapping
from analysis.sources.readers import Batch
from analysis.sources.rows import canonical_rows

LOG = EventLog.from_frame(
    pd.DataFrame(
        {
            "user": ["ann", "ann", "bob", "7"],
            "time": pd.date_range("2026-01-01", periods=4, freq="h"),
            "event": ["view", "buy", "view", "view"],
            "device": pd.array(["mobile", None, "", "7"], dtype="str"),
            "value": [1.0, np.nan, -2.5, 50.0],
            "flag": [True, False, True, None],
        }
    ),
    shards=2,
)


@settings(max_examples=120)
@given(frames(), st.sampled_from([1, 2, 50]), st.data())
def test_a_view_shows_the_rows_of_a_mask(
    frame: pd.DataFrame, shards: int, data: st.DataObject
) -> None:
    rows = expected(frame)
    log = EventLog.from_frame(frame, shards=shards)
    masks, view = np.ones(len(rows), bool), log
    for _ in range(data.draw(st.integers(1, 3))):
        name = data.draw(st.sampled_from(["user", "event", "text", "session", "number"]))
        known = [cell for cell in rows[name].unique().tolist() if not pd.isna(cell)]
        value = st.sampled_from([*known, "zzz" if name != "number" else 7.0])
        wanted = data.draw(st.one_of(value, st.lists(value, max_size=3)))
        view = view.where(**{name: wanted})
        masks &= rows[name].isin(wanted if isinstance(wanted, list) else [wanted]).to_numpy()
    assert cells_of(view.to_frame()) == cells_of(rows[masks])
    assert (len(view), view.users) == (masks.sum(), rows[masks]["user"].nunique())
    assert view.sessions == len(rows[masks][["user", "session"]].drop_duplicates())
    assert view.summary()["events"].sum() == masks.sum()
    assert view.covers_until == log.covers_until


@settings(max_examples=80)
@given(frames(), st.sampled_from([1, 2, 50]), st.data())
def test_between_includes_its_start_and_excludes_its_end(
    frame: pd.DataFrame, shards: int, data: st.DataObject
) -> None:
    rows = expected(frame)
    log = EventLog.from_frame(frame, shards=shards)
    near = st.sampled_from(sorted(set(frame["time"])))
    moves = st.sampled_from([-1, 0, 1]).map(lambda us: pd.Timedelta(us, "us"))
    start, end = sorted(
        data.draw(st.tuples(near, moves).map(lambda pair: pair[0] + pair[1])) for _ in range(2)
    )
    end += pd.Timedelta("1us")
    mask = (rows["time"] >= start) & (rows["time"] < end)
    view = log.between(start, end)
    assert cells_of(view.to_frame()) == cells_of(rows[mask])
    assert view.covers_until == min(end, log.covers_until)
    assert cells_of(log.between(end=end).to_frame()) == cells_of(rows[rows["time"] < end])
    assert cells_of(log.between(start).to_frame()) == cells_of(rows[rows["time"] >= start])
    assert log.between(start).covers_until == log.covers_until
    # A view of a view is the view of both.
    one = log.between(start).where(user=frame["user"][0])
    both = (rows["time"] >= start) & (rows["user"] == frame["user"][0])
    assert cells_of(one.to_frame()) == cells_of(rows[both])


@pytest.mark.parametrize("symbol", [">=", "<=", "!=", "==", ">", "<"])
@pytest.mark.parametrize("number", ["-2.5", "1", "1.0", "5e1", "50", "0"])
@pytest.mark.parametrize("form", ["{} {}", "{}{}", "  {}  {} "])
def test_comparisons(symbol: str, number: str, form: str) -> None:
    signs = {">=": "ge", "<=": "le", "!=": "ne", "==": "eq", ">": "gt", "<": "lt"}
    frame = LOG.to_frame()
    mask = getattr(operator, signs[symbol])(frame["value"], float(number)) & frame["value"].notna()
    found = LOG.where(value=form.format(symbol, number)).to_frame()
    assert cells_of(found) == cells_of(frame[mask])


@pytest.mark.parametrize(
    ("conditions", "count"),
    [
        ({}, 4),
        ({"device": "mobile"}, 1),
        ({"device": ["mobile", "", "none"]}, 2),
        ({"device": []}, 0),
        ({"device": 7}, 1),
        ({"device": None}, 0),
        ({"user": 7}, 1),
        ({"user": ["ann", 7]}, 3),
        ({"event": ("buy",)}, 1),
        ({"event": "nothing"}, 0),
        ({"event": {"buy", "view"}, "user": "ann"}, 2),
        ({"flag": True}, 2),
        ({"flag": "true"}, 2),
        ({"flag": np.True_}, 2),
        ({"flag": [False]}, 1),
        ({"value": 1}, 1),
        ({"value": [1, "> 10"]}, 2),
        ({"value": "50"}, 1),
        ({"value": ["< 0", ">= 50"]}, 2),
        ({"value": float("nan")}, 0),
        ({"value": "!= 1"}, 2),
        ({"device": pd.Series(["mobile", "7"])}, 2),
        ({"device": np.array(["mobile", "7"])}, 2),
        ({"user": pd.Index(["bob"])}, 1),
        ({"user": (name for name in ["ann", "bob"])}, 3),
        ({"user": {"ann": 1}.keys()}, 2),
        ({"value": pd.Series([1.0, 50.0])}, 2),
        ({"session": 1}, 3),
    ],
    ids=lambda asked: ", ".join(asked) if isinstance(asked, dict) else str(asked),
)
def test_conditions_of_any_form(conditions: dict[str, Any], count: int) -> None:
    assert len(LOG.where(**conditions)) == count


@pytest.mark.parametrize(
    ("conditions", "said"),
    [
        (
            {"devise": "x"},
            r"where: 'devise' is not a property of this log\. Did you mean 'device'\?",
        ),
        ({"time": "x"}, r"where: 'time' is not a property of this log\."),
        ({"value": "=> 1"}, r"where: value='=> 1', but 'value' holds numbers\. Allowed: a number"),
        ({"value": None}, r"where: value=None, but 'value' holds numbers"),
        ({"value": [1, "x"]}, r"where: value='x', but"),
        ({"value": {"min": 3}}, r"where: value=\{'min': 3\}, but"),
    ],
)
def test_conditions_that_cannot_be(conditions: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}") as caught:
        LOG.where(**conditions)
    assert "\n" not in str(caught.value)


def test_a_log_without_properties_says_none() -> None:
    bare = EventLog.from_frame(
        pd.DataFrame({"user": ["u"], "time": [pd.Timestamp(0)], "event": ["a"]})
    )
    with pytest.raises(
        UsageError, match=r"'device' is not a property of this log\. Properties: 'session'"
    ):
        bare.where(device="x")


@pytest.mark.parametrize(
    ("start", "end", "said"),
    [
        (
            "2026-01-02",
            "2026-01-02",
            r"between: end='2026-01-02' is not after start='2026-01-02'\. Swap",
        ),
        ("2026-01-02", "2026-01-01", "is not after"),
        ("soon", None, "between: start='soon' is not a time"),
        (None, 20260101, "between: end=20260101 is not a time"),
    ],
)
def test_ranges_that_cannot_be(start: Any, end: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        LOG.between(start, end)


def test_a_view_covers_no_more_than_its_log() -> None:
    assert LOG.between(end="2200-01-01").covers_until == LOG.covers_until
    assert LOG.between(end="2026-01-01T02:00").covers_until == pd.Timestamp("2026-01-01T02:00Z")


def test_a_view_changes_nothing_of_its_log() -> None:
    before = cells_of(LOG.to_frame())
    view = LOG.where(event="buy").between("2026-01-01", "2027-01-01")
    assert len(view) == 1
    assert cells_of(LOG.to_frame()) == before
    assert view.event_names == LOG.event_names
    assert all(
        mine.time is its.time and mine.columns is its.columns
        for mine, its in zip(LOG.shards, view.shards, strict=True)
    )


# ── Segments of a log against pandas: who is in, in which order, and what is shared.


SHARDS = [1, 2, 50]


def in_byte_order(ids: Any) -> list[str]:
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


# ── Rows without consent leave before anything of them is read, and are counted.


WORDS = ["yes", "YES", " Yes ", "no", "", None, "1", "0", "true", "denied", "granted", "yes!"]


@given(
    st.lists(st.sampled_from(WORDS)), st.sets(st.sampled_from(["yes", "DENIED", "0"]), min_size=1)
)
def test_a_cell_grants_if_it_is_one_of_the_words(cells: list, granted: set) -> None:
    want = [c is not None and c.strip().lower() in {g.lower() for g in granted} for c in cells]
    found = granted_rows(pa.array(cells, pa.large_string()), Consent("c", tuple(granted)))
    assert found.tolist() == want


def rows_of(cells: dict, *, bad: Any = ()) -> Any:
    batch = pa.RecordBatch.from_pydict(cells)
    numbers = np.arange(2, batch.num_rows + 2)
    mapping = ColumnMapping(consent=Consent("consent"))
    return canonical_rows(Batch(batch, numbers, bad, list(cells), True, 0), mapping)


def columns(**cells: Any) -> dict[str, Any]:
    rows = len(next(iter(cells.values())))
    plain = {"user": list("abcdef")[:rows], "time": ["2026-01-01T00:00Z"] * rows}
    return {**plain, "event": ["visit"] * rows, **cells}


@pytest.mark.parametrize(
    "cells",
    [["yes", "no", None], [True, False, None], [1, 0, None], [1.0, 0.0, None], ["1", "2", ""]],
)
def test_consent_of_any_type(cells: list) -> None:
    rows = rows_of(columns(consent=cells))
    assert rows.table.column("user").to_pylist() == ["a"]
    assert rows.excluded == 2


def test_a_bad_row_without_consent_is_not_kept_anywhere() -> None:
    times = ["nonsense", "nonsense", "2026-01-01T00:00Z"]
    unreadable = BadRecord(9, "has 2 cells, the header has 4", '"secret,x"')
    rows = rows_of(columns(consent=["no", "yes", "no"]) | {"time": times}, bad=[unreadable])
    assert (rows.excluded, len(rows.table)) == (2, 0)
    assert [bad.row for bad in rows.bad] == [9, 3]
    assert "secret" not in str(rows.bad)


def test_without_the_column_nobody_has_said_yes() -> None:
    rows = rows_of(columns(user=["a", "b"]))
    assert (rows.excluded, len(rows.table), list(rows.bad)) == (2, 0, [])


def test_the_option_says_column_and_words() -> None:
    assert consent_of("a.b") == Consent("a.b", GRANTED)
    assert consent_of("ok=G1, G2") == Consent("ok", ("G1", " G2"))


@pytest.mark.parametrize("text", ["", "=yes", "ok=", "ok=yes,"])
def test_an_empty_word_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="at least one word"):
        consent_of(text)


def priced(*prices: str | None, **more: Any) -> EventLog:
    frame = pd.DataFrame({"user": [f"u{k}" for k in range(len(prices))], "event": "buy"})
    frame["time"] = pd.Timestamp("2026-01-01")
    return EventLog.from_frame(frame.assign(price=np.array(prices, object), **more), shards=2)


@pytest.mark.parametrize(
    ("wanted", "users"),
    [
        (">= 10", ["u1", "u2"]),
        ("> 10", ["u1"]),
        ("< 10", ["u0"]),
        ("!= 10", ["u0", "u1"]),
        ("== 10", ["u2"]),
        ([">= 12", "9.99"], ["u0", "u1"]),
        ("!= 10.0", ["u0", "u1"]),
    ],
)
def test_numbers_that_are_text_are_compared_as_numbers(wanted: Any, users: list[str]) -> None:
    log = priced("9.99", "12.50", "10", None)
    assert list(log.where(price=wanted).user_ids) == users


def test_text_is_the_same_or_not_and_a_missing_value_is_neither() -> None:
    log = priced("mobile", "desktop", None, "tablet")
    assert list(log.where(price="!= mobile").user_ids) == ["u1", "u3"]
    assert list(log.where(price="== mobile").user_ids) == ["u0"]
    assert list(log.where(price=["!= mobile", "mobile"]).user_ids) == ["u0", "u1", "u3"]
    assert list(log.where(user="!= u0").user_ids) == ["u1", "u2", "u3"]
    assert log.where(event="!= buy").events == 0


def test_a_value_that_looks_like_a_comparison_is_meant_as_it_stands() -> None:
    log = priced("<18", "18-30", ">30", "<18")
    assert list(log.where(price="<18").user_ids) == ["u0", "u3"]
    assert list(log.where(price="!= <18").user_ids) == ["u1", "u2"]


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        (">= 10", r"where: price='>= 10', but 'price' holds text such as 'free': it has no order"),
        ("< b", r"where: price='< b', but 'price' holds text such as 'free': it has no order"),
    ],
)
def test_text_that_has_no_order_is_not_compared(wanted: str, said: str) -> None:
    with pytest.raises(UsageError, match=f"^{said}.*Allowed on text: a value"):
        priced("12", "free").where(price=wanted)
    with pytest.raises(UsageError, match="but 'b' is not a number: it has no order"):
        priced("12", "13").where(price="> b")


def test_a_value_that_no_event_has_is_told() -> None:
    log = priced("mobile", "desktop")
    with pytest.warns(UserWarning, match=r"No event has 'mobil' as price\. Did you mean 'mobile'"):
        assert log.where(price=["mobil", "desktop"]).users == 1
    with pytest.warns(UserWarning, match="No event has 'mobil' as price"):
        assert log.where(price="!= mobil").users == 2
    with pytest.warns(UserWarning, match=r"No event has 'bye' as event\. Did you mean 'buy'"):
        assert log.where(event="bye").events == 0
