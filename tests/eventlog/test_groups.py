"""Groups against what pandas makes of the same rows."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog import groups
from analysis.eventlog.groups import Groups, Totals, groups_of, largest, number_name, totals
from analysis.eventlog.log import EventLog

TIME = pd.Timestamp("2026-01-01")


def frame_of(**properties: Any) -> pd.DataFrame:
    """One event per user, in the order of the users' names."""
    size = len(next(iter(properties.values())))
    users = [f"u{number:05d}" for number in range(size)]
    return pd.DataFrame({"user": users, "time": TIME, "event": "a", **properties})


def names_by_user(log: EventLog, by: list[str]) -> dict[str, Any]:
    rows = [np.arange(shard.rows) for shard in log.shards]
    groups = groups_of(log.shards, rows, by)
    found: dict[Any, Any] = {}
    for shard, codes in zip(log.shards, groups.codes, strict=True):
        named = [groups.names[code] for code in codes]
        found |= dict(zip(shard.users.to_pylist(), named, strict=True))
    return found


cells = st.lists(
    st.tuples(
        st.sampled_from([None, "x", "", "ü", "(missing)", "1"]),
        st.sampled_from([math.nan, -0.0, 0.0, 1.0, 2.5, 2.0**60, math.inf]),
    ),
    min_size=1,
    max_size=12,
)


@settings(max_examples=60)
@given(drawn=cells, shards=st.sampled_from([1, 3, 50]))
def test_a_group_is_named_by_its_value(drawn: list[tuple[Any, float]], shards: int) -> None:
    texts = [text for text, _ in drawn]
    frame = frame_of(p=pd.array(texts, dtype="str"), q=[number for _, number in drawn])
    log = EventLog.from_frame(frame, shards=shards)
    text_names = ["(missing)" if text is None else text for text in texts]
    numbers = ["(missing)" if math.isnan(q) else plain(q) for _, q in drawn]
    assert list(names_by_user(log, ["p"]).values()) == in_order(log, text_names)
    assert list(names_by_user(log, ["q"]).values()) == in_order(log, numbers)
    pairs = list(zip(text_names, numbers, strict=True))
    assert list(names_by_user(log, ["p", "q"]).values()) == in_order(log, pairs)
    assert set(names_by_user(log, []).values()) == {"all"}


def plain(number: float) -> str:
    return {-0.0: "0", 1.0: "1", 2.5: "2.5", 2.0**60: "1.152921504606847e+18"}.get(number, "inf")


def in_order(log: EventLog, names: list[Any]) -> list[Any]:
    place = {f"u{number:05d}": name for number, name in enumerate(names)}
    return [place[user] for shard in log.shards for user in shard.users.to_pylist()]


@pytest.mark.parametrize("values", [1, 127, 128, 4095, 4096, 4097])
def test_any_number_of_values(values: int) -> None:
    texts = [f"v{number}" for number in range(values)]
    log = EventLog.from_frame(frame_of(p=[*texts, None], q=["y"] * values + [None]))
    assert list(names_by_user(log, ["p"]).values()) == [*texts, "(missing)"]
    both = list(names_by_user(log, ["p", "q"]).values())
    assert both == [*[(text, "y") for text in texts], ("(missing)", "(missing)")]


def test_pairs_have_places_or_are_sorted_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [None, "x", "y", "x", None, "y", "x"]
    log = EventLog.from_frame(frame_of(p=texts, q=[1.0, 2.0, math.nan, 2.0, 1.0, 3.0, 1.0]))
    placed = names_by_user(log, ["p", "q"])
    monkeypatch.setattr(groups, "_MOST_PLACES", 0)
    assert names_by_user(log, ["p", "q"]) == placed
    assert list(placed.values())[:3] == [("(missing)", "1"), ("x", "2"), ("y", "(missing)")]


def test_values_of_other_rows_are_no_groups() -> None:
    log = EventLog.from_frame(frame_of(p=["x", "y", "z"]))
    groups = groups_of(log.shards, [np.array([1])], ["p"])
    assert groups.names == ["y"]
    assert groups.codes[0].tolist() == [0]


@pytest.mark.parametrize("by", [["p"], ["p", "q"], ["q", "r"]])
def test_no_rows_at_all(by: list[str]) -> None:
    log = EventLog.from_frame(frame_of(p=["x", "y"], q=[1.0, 2.0], r=[3.0, 4.0]), shards=50)
    none = [np.empty(0, np.int64) for _ in log.shards]
    groups = groups_of(log.shards, none, by)
    assert groups.names == []
    assert [len(codes) for codes in groups.codes] == [0] * len(log.shards)
    assert largest(groups, np.zeros(0, np.int64), 3).names == ["all"]


def test_a_row_of_minus_one_has_no_value() -> None:
    log = EventLog.from_frame(frame_of(p=["x", "y", None], q=[1.0, math.nan, 3.0]))
    rows = [np.array([-1, 1, 2, -1, 0])]
    named = {}
    for by in (["p"], ["q"], ["p", "q"], []):
        groups = groups_of(log.shards, rows, by)
        named[tuple(by)] = [groups.names[code] for code in groups.codes[0]]
    lost = "(missing)"
    assert named == {
        ("p",): [lost, "y", lost, lost, "x"],
        ("q",): [lost, lost, "3", lost, "1"],
        ("p", "q"): [(lost, lost), ("y", lost), (lost, "3"), (lost, lost), ("x", "1")],
        (): ["all"] * 5,
    }
    # So it is where a property has so many values that only those used are looked up.
    many = EventLog.from_frame(frame_of(p=[f"v{number}" for number in range(5000)]))
    groups = groups_of(many.shards, [np.array([7, -1])], ["p"])
    assert [groups.names[code] for code in groups.codes[0]] == ["v7", lost]


def test_the_rest_beyond_the_largest() -> None:
    groups = Groups([np.array([0, 1, 2, 3]), np.array([3, 4])], ["a", "b", "c", "d", "e"])
    sizes = np.array([5, 9, 5, 9, 1])
    kept = largest(groups, sizes, 3)
    assert kept.names == ["b", "d", "a", "(other)"]
    assert [codes.tolist() for codes in kept.codes] == [[2, 0, 3, 1], [1, 3]]
    assert largest(groups, sizes, 5).names == ["b", "d", "a", "c", "e"]


def test_a_value_called_other_is_one_group_with_the_rest() -> None:
    groups = Groups([np.array([0, 1, 2])], ["(other)", "x", "y"])
    kept = largest(groups, np.array([3, 2, 1]), 2)
    assert kept.names == ["(other)", "x"]
    assert kept.codes[0].tolist() == [0, 1, 0]


def test_numbers_as_names() -> None:
    named = [number_name(number) for number in (3.0, -7.0, 0.5, 1e14, 1e15, -math.inf, math.nan)]
    assert named == ["3", "-7", "0.5", "100000000000000", "1000000000000000.0", "-inf", "(missing)"]


# ── Totals against a count in pandas.


START, END = pd.Timestamp("2026-11-09"), pd.Timestamp("2026-11-16")


row = st.tuples(
    st.integers(0, 12).map(str),
    st.integers(0, 20).map(lambda days: pd.Timestamp("2026-11-01") + pd.Timedelta(days, "D")),
    st.sampled_from(["buy", "look"]),
    st.none() | st.integers(0, 10**7).map(lambda cents: cents / 100),
)


@given(st.lists(row, min_size=1, max_size=40), st.sampled_from([1, 4]))
def test_totals_are_those_of_pandas(rows: list[Any], shards: int) -> None:
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "value"])
    frame["value"] = frame["value"].astype(float)
    log = EventLog.from_frame(frame, covers_until="2026-12-01", shards=shards)
    own = frame[(frame.event == "buy") & (frame.time >= START) & (frame.time < END)]
    found = totals(log, "buy", period=(START, END))
    assert (found.events, found.users) == (len(own), own["user"].nunique())
    assert found.value == pytest.approx(own["value"].sum(), abs=1e-6)
    # Few buyers of many who were there point at nobody: who was there decides.
    there = frame[(frame.time >= START) & (frame.time < END)]["user"].nunique()
    few = totals(log, "buy", period=(START, END), min_cell=5)
    there = frame.loc[(frame.time >= START) & (frame.time < END), "user"].nunique()
    assert math.isnan(few.events) if 0 < there < 5 else few == found


def test_few_buyers_among_many_visitors_are_told() -> None:
    frame = pd.DataFrame({"user": [f"u{i}" for i in range(200)], "time": START, "event": "look"})
    bought = frame.head(3).assign(event="buy", value=10.0)
    log = EventLog.from_frame(pd.concat([frame.assign(value=math.nan), bought]))
    assert totals(log, "buy", period=(START, END), min_cell=5) == Totals(3, 3, 30.0, None)
    alone = log.in_segment(log.user_ids.isin(["u0", "u1", "u2"]))
    assert math.isnan(totals(alone, "buy", period=(START, END), min_cell=5).value)


def test_what_cannot_be_added_is_undefined_and_says_why() -> None:
    frame = pd.DataFrame({"user": ["a", "b"], "time": [START, START], "event": "buy"})
    assert math.isnan(totals(EventLog.from_frame(frame), "buy").value)
    mixed = EventLog.from_frame(frame.assign(value=[1.0, 2.0], currency=["EUR", "CHF"]))
    assert math.isnan(totals(mixed, "buy").value)
    assert totals(mixed, "buy").currency == "CHF, EUR"
    same = EventLog.from_frame(frame.assign(value=[1.0, 2.0], currency=["EUR", None]))  # type: ignore[list-item]
    assert totals(same, "buy") == Totals(2, 2, 3.0, "EUR")
    huge = EventLog.from_frame(frame.assign(value=[9e18, 1.0]))
    assert math.isnan(totals(huge, "buy").value)


def test_an_event_that_never_happened() -> None:
    log = EventLog.from_frame(pd.DataFrame({"user": ["a"], "time": [START], "event": "look"}))
    assert totals(log, "buy")[:2] == (0, 0)
    with pytest.raises(UsageError, match="Swap the two"):
        totals(log, "look", period=(END, START))
