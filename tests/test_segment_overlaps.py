"""Overlaps against sets of Python."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.segments.rules import did
from analysis.segments.segment_overlaps import overlaps
from analysis.segments.segments import segment
from analysis.statistics.stats import wilson

EVENTS = ["a", "b", "c"]
rows = st.lists(st.tuples(st.integers(0, 9).map(str), st.sampled_from([*EVENTS, "x"])), max_size=40)


def log_of(found: list[tuple[str, str]], shards: int = 1) -> EventLog:
    frame = pd.DataFrame([*found, *(("z", e) for e in EVENTS)], columns=["user", "event"])
    frame["time"] = pd.Timestamp("2026-01-01")
    return EventLog.from_frame(frame, shards=shards)


@settings(max_examples=80)
@given(rows, st.sampled_from([1, 4]))
def test_combinations_are_those_of_sets(found, shards):
    log = log_of(found, shards)
    people = log.to_frame().groupby("user")["event"].agg(set)
    result = overlaps(log, {name: segment(log, did(name)) for name in EVENTS}, min_cell=1)
    assert result.table["k"].sum() == len(people)
    for row in result.table.itertuples():
        mine = [done for done in people if done & set(EVENTS) == set(row.sets)]
        assert (row.k, row.n) == (len(mine), len(people))
        assert [row.set_1, row.set_2, row.set_3] == [name in row.sets for name in EVENTS]
        low, high = wilson(row.k, row.n)
        assert (row.low, row.high) == pytest.approx((float(low), float(high)))
    named = result.table[result.table["sets"].map(len) > 0]
    assert (np.diff(named["k"]) <= 0).all()
    for row in result.pairs.itertuples():
        one, two = ({u for u, done in people.items() if name in done} for name in (row.a, row.b))
        assert row.k == len(one & two)
        assert row.jaccard == pytest.approx(len(one & two) / len(one | two))
        assert row.share_of_a == pytest.approx(len(one & two) / len(one))


def test_sentence_figure_and_few_people():
    found = [(f"u{i}", "a") for i in range(30)] + [(f"u{i}", "b") for i in range(10)]
    found += [(f"u{i}", "c") for i in range(2)]
    log = log_of(found)
    result = overlaps(log, {name: segment(log, did(name)) for name in EVENTS})
    assert "most of them in A and B: 25.8% (8 of 31)" in result.sentence()
    assert "95% interval" in result.sentence()
    assert result.warnings == ("Hidden, of fewer than 5 people each: 1 of 3 combinations.",)
    alt = result.figure().layout.meta["alt"]
    assert alt.startswith("Only A: 64.5% (20 of 31). A and B: 25.8% (8 of 31).")
    assert "A, B and C: too few people to show." in alt
    assert "3 of 31" not in alt + result.sentence()


def test_a_view_counts_its_own_people():
    log = log_of([("u", "a"), ("v", "b"), ("w", "x")])
    both = {name: segment(log, did(name)) for name in ("a", "b")}
    found = overlaps(log.where(event=["a", "b"]), both, min_cell=1)
    assert found.table["k"].tolist() == [1, 1, 1]
    assert set(found.table["n"]) == {3}


def test_wrong_use():
    log = log_of([("u", "a")])
    one, two = segment(log, did("a")), segment(log, did("b"), at="2026-01-01 12:00")
    with pytest.raises(UsageError, match="the same instant"):
        overlaps(log, {"a": one, "b": two})
    with pytest.raises(UsageError, match="2 to 12"):
        overlaps(log, {"a": one})
    with pytest.raises(UsageError, match="by name"):
        overlaps(log, [one, one])
    with pytest.raises(UsageError, match="whole number"):
        overlaps(log, {"a": one, "b": one}, min_cell=0)


def test_nobody_overlaps():
    log = log_of([])
    empty = EventLog.from_frame(log.to_frame().iloc[:0])
    found = overlaps(empty, {"a": segment(empty, did("*")), "b": segment(empty, ~did("*"))})
    assert not len(found.table)
    assert found.sentence() == "No combination of these segments has enough people to show."
    assert found.figure().layout.meta["alt"] == "Nobody is in any of these sets."
