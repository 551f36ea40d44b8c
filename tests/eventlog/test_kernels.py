"""Hashes against published vectors and the same arithmetic in Python's unbounded integers."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.hash_oracle import FIRST, FULL, GOLDEN, LANE, SECOND, hash_text, mix

from analysis.eventlog import kernels
from analysis.eventlog.kernels import (
    by_first_seen,
    by_rules,
    eight_bytes,
    event_masks,
    mark,
    part_entries,
    part_order,
    taken,
    user_time_order,
)
from analysis.eventlog.shard import column_seed, string_hashes

# splitmix64 (Steele, Lea & Flood 2014) with seed 1234567, as published on Rosetta Code.
SPLITMIX = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_mix_is_the_published_one() -> None:
    states = [(1234567 + k * GOLDEN) & FULL for k in range(1, 6)]
    assert [int(kernels.mix(np.uint64(state))) for state in states] == SPLITMIX
    assert [mix(state) for state in states] == SPLITMIX


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.sampled_from(["user", "é", ""]))
def test_a_text_s_hash_depends_on_its_bytes_alone(texts: list[str], column: str) -> None:
    seed = hash_text(column.encode(), 0)[0]
    assert int(column_seed(column)) == seed
    want = [hash_text(text.encode(), seed) for text in texts]
    array = pa.array(texts, pa.large_string())
    assert [tuple(map(int, pair)) for pair in string_hashes(array, column)] == want
    assert string_hashes(array[1:], column).tolist() == string_hashes(array, column)[1:].tolist()
    short = array.cast(pa.string())
    assert string_hashes(short, column).tolist() == string_hashes(array, column).tolist()


@pytest.mark.parametrize("size", range(18))
def test_texts_that_differ_little_have_different_hashes(size: int) -> None:
    texts = {"x" * size, "x" * size + "\0", "\0" * size, "\0" * (size + 1), "x" * size + "y"}
    found = string_hashes(pa.array(sorted(texts), pa.large_string()), "p")
    assert len(set(found[:, 0].tolist())) == len(set(found[:, 1].tolist())) == len(texts)


def test_no_text_no_hash() -> None:
    assert string_hashes(pa.array([], pa.large_string()), "p").shape == (0, 2)
    assert string_hashes(pa.array([""], pa.large_string()), "p").shape == (1, 2)


def test_half_of_all_bits_turn_when_one_does() -> None:
    texts = [f"user {i}" for i in range(2000)]
    other = [f"user {i}" for i in range(1, 2001)]
    one, two = (string_hashes(pa.array(t, pa.large_string()), "user") for t in (texts, other))
    turned = np.array([[int(a).bit_count() for a in row] for row in one ^ two])
    assert abs(turned.mean(axis=0) - 32).max() < 0.5
    # The lanes know nothing of each other.
    apart = [int(a ^ b).bit_count() for a, b in one]
    assert abs(np.mean(apart) - 32) < 0.5


def test_cells_add_up_in_any_order_of_columns() -> None:
    codes = np.array([0, -1, 1], np.int8)
    values = string_hashes(pa.array(["x", "y"], pa.large_string()), "p")
    missing = np.uint64(7)
    words = np.array([5, 6, 2**63], np.uint64)
    rows, other = np.zeros((2, 3, 2), np.uint64)
    kernels.add_coded_cells(rows, codes, values, missing)
    kernels.add_word_cells(rows, words, np.uint64(3))
    kernels.add_word_cells(other, words, np.uint64(3))
    kernels.add_coded_cells(other, codes, values, missing)
    assert rows.tolist() == other.tolist()
    cell = [[mix((w ^ 3) * GOLDEN + FIRST), mix((w ^ 3) * LANE + SECOND)] for w in words.tolist()]
    text = [values[0].tolist(), [7, 7 * LANE & FULL], values[1].tolist()]
    want = [
        [(a + b) & FULL for a, b in zip(x, y, strict=True)] for x, y in zip(cell, text, strict=True)
    ]
    assert rows.tolist() == want


def test_the_order_of_rows_counts_within_a_user_and_not_between() -> None:
    rows = np.arange(8, dtype=np.uint64).reshape(4, 2)
    users = np.array([[10, 11], [20, 21]], np.uint64)
    offsets = np.array([0, 2, 4])
    shown = np.ones(4, np.bool_)

    def total(
        row_order: list[int], user_order: list[int], seen: np.ndarray = shown
    ) -> tuple[int, ...]:
        return tuple(
            map(int, kernels.sum_user_hashes(rows[row_order], seen, offsets, users[user_order]))
        )

    whole = total([0, 1, 2, 3], [0, 1])
    assert total([2, 3, 0, 1], [1, 0]) == whole
    assert total([1, 0, 2, 3], [0, 1]) != whole
    assert total([2, 3, 0, 1], [0, 1]) != whole
    # A user without a shown row adds nothing.
    half = np.array([True, True, False, False])
    alone = kernels.sum_user_hashes(rows[:2], shown[:2], offsets[:2], users[:1])
    assert total([0, 1, 2, 3], [0, 1], half) == tuple(map(int, alone))
    assert total([0, 1, 2, 3], [0, 1], ~shown) == (0, 0)


# ── Counts behind a log's summary, against plain Python; what a view hides counts nowhere.


NAMES = 3
"""Codes 0 to 2 are events, 3 is a hidden row."""


Row = tuple[int, int, int, float]


row = st.tuples(
    st.integers(-5, 5),
    st.integers(0, NAMES),
    st.integers(-1, 4),
    st.sampled_from([0.0, 1.25, -2.5, 0.000_001, math.nan]),
)


people_rows = st.lists(st.lists(row, min_size=1, max_size=6), max_size=5)


def arrays(people: list[list[Row]]) -> tuple[np.ndarray, ...]:
    flat = [row for own in people for row in sorted(own, key=lambda r: r[0])]
    time, event, session, number = ([r[k] for r in flat] for k in range(4))
    offsets = np.cumsum([0, *map(len, people)]).astype(np.int64)
    return (
        np.array(time, np.int64),
        np.array(event, np.uint8),
        np.array(session, np.int16),
        np.array(number, float),
        offsets,
    )


@given(people_rows)
def test_rows_users_and_instants_per_event(people: list[list[Row]]) -> None:
    time, event, _, _, offsets = arrays(people)
    found = kernels.per_event(time, event, offsets, NAMES)
    for code in range(NAMES):
        own = [(u, r[0]) for u, rows in enumerate(people) for r in rows if r[1] == code]
        assert found[code, :2].tolist() == [len(own), len({u for u, _ in own})]
        if own:
            assert found[code, 2:].tolist() == [min(t for _, t in own), max(t for _, t in own)]
        else:
            assert found[code, 2] > found[code, 3]


@given(people_rows)
def test_sessions_are_pairs_of_user_and_session(people: list[list[Row]]) -> None:
    _, event, session, _, offsets = arrays(people)
    shown = [(u, r[2]) for u, rows in enumerate(people) for r in rows if r[1] < NAMES]
    users = len({u for u, _ in shown})
    sessions = len({pair for pair in shown if pair[1] >= 0})
    assert kernels.users_and_sessions(event, session, offsets, NAMES) == (users, sessions)


def test_sessions_of_one_user_may_overlap() -> None:
    event = np.zeros(6, np.uint8)
    session = np.array([0, 1, 0, 1, 0, 2], np.int8)
    assert kernels.users_and_sessions(event, session, np.array([0, 4, 6]), 1) == (2, 4)


def test_rows_of_an_hour_are_counted_and_the_last_one_found() -> None:
    hour = kernels.US_PER_HOUR
    time = np.array([-1, 0, 2 * hour + 5, hour - 1, 2 * hour + 3])
    events, last = np.zeros(4, np.int64), np.full(4, time.min())
    kernels.per_hour(time, -1, events, last)
    assert events.tolist() == [1, 2, 0, 2]
    assert last[[0, 1, 3]].tolist() == [-1, hour - 1, 2 * hour + 5]


# ── Sorting rows by user, time and arrival, against numpy's own sort.


rows = st.lists(st.tuples(st.integers(0, 5), st.integers(-3, 3)), max_size=60)


@given(rows, st.integers(0, 2))
def test_the_order_is_by_user_then_time_then_arrival(
    drawn: list[tuple[int, int]], more: int
) -> None:
    ranks = np.array([rank for rank, _ in drawn], np.int64)
    time = np.array([t for _, t in drawn], np.int64)
    users = 6 + more
    order, offsets = user_time_order(ranks, time, users)
    assert order.tolist() == np.lexsort([np.arange(len(drawn)), time, ranks]).tolist()
    assert offsets.tolist() == np.searchsorted(np.sort(ranks), np.arange(users + 1)).tolist()


def test_a_long_unsorted_user_keeps_the_order_of_arrival() -> None:
    rng = np.random.default_rng(3)
    time = rng.integers(0, 5, 5000)
    order, _ = user_time_order(np.zeros(5000, np.int64), time, 1)
    assert order.tolist() == np.argsort(time, kind="stable").tolist()


@given(st.lists(st.lists(st.integers(0, 200), max_size=6), max_size=5))
def test_a_mask_has_the_bits_of_the_user_s_events(people: list[list[int]]) -> None:
    event = np.array([code for own in people for code in own], np.uint8)
    offsets = np.cumsum([0, *map(len, people)])
    want = [sum({1 << code % 64 for code in own}) for own in people]
    assert event_masks(event, offsets).tolist() == want
    assert event_masks(event.astype(np.uint16), offsets).tolist() == want


parted = st.lists(st.tuples(st.integers(0, 3), st.integers(-1, 4)), max_size=40)


@given(parted)
def test_rows_are_dealt_out_in_the_order_of_their_arrival(drawn: list[tuple[int, int]]) -> None:
    part = np.array([p for p, _ in drawn], np.int64)
    order, counts = part_order(part, 5)
    assert order.tolist() == np.argsort(part, kind="stable").tolist()
    assert counts.tolist() == np.bincount(part, minlength=5).tolist()


@given(parted, st.lists(st.integers(0, 9), min_size=5, max_size=5))
def test_a_part_s_values_are_numbered_as_they_appear(
    drawn: list[tuple[int, int]], before: list[int]
) -> None:
    part = np.array([p for p, _ in drawn], np.int64)
    codes = np.array([code for _, code in drawn], np.int32)
    order, counts = part_order(part, 5)
    entry, first, found = part_entries(codes, order, counts, np.array(before), 5)
    want, values, new = [], [], []
    for p in range(5):
        own = [code for place, code in drawn if place == p]
        seen = list(dict.fromkeys(code for code in own if code >= 0))
        want += [before[p] + seen.index(code) if code >= 0 else -1 for code in own]
        values += seen
        new.append(len(seen))
    assert (entry.tolist(), first.tolist(), found.tolist()) == (want, values, new)


@given(st.lists(st.binary(max_size=12), max_size=9), st.integers(0, 5))
def test_eight_bytes_are_a_number_in_the_order_of_bytes(texts: list[bytes], skip: int) -> None:
    data = np.frombuffer(b"".join(texts), np.uint8)
    offsets = np.cumsum([0, *map(len, texts)])
    want = [int.from_bytes(text[skip : skip + 8].ljust(8, b"\0"), "big") for text in texts]
    assert eight_bytes(data, offsets, skip).tolist() == want


@given(st.lists(st.integers(-1, 6), max_size=20), st.randoms(use_true_random=False))
def test_codes_are_looked_up_and_the_missing_one_is_the_last(codes: list[int], random: Any) -> None:
    order = random.sample(range(len(codes)), len(codes))
    lookup = np.array([10, 11, 12, 13, 14, 15, 16, -1], np.int8)
    array = np.array(codes, np.int32)
    found = taken(lookup, array, np.array(order, np.int64))
    assert found.dtype == np.int8
    assert found.tolist() == lookup[array[np.array(order, int)]].tolist()
    used = np.zeros(8, np.bool_)
    mark(array, used)
    assert set(np.flatnonzero(used)) == {code % 8 for code in codes}


# ── Sessions by pauses, days and campaigns: the pass against pandas and against tables by hand.


GAP = 5
NEVER = 10**6
NO_DAYS, NO_CAMPAIGNS = np.empty(0, np.int64), np.empty(0, np.int8)


def sessions_of(
    time: Any,
    offsets: Any,
    *,
    gap: int = GAP,
    shown: Any = None,
    days: Any = NO_DAYS,
    campaigns: Any = NO_CAMPAIGNS,
) -> Any:
    hidden = np.zeros(len(time)) if shown is None else ~np.array(shown)
    given = np.array(time, np.int64), hidden.astype(np.uint8), np.array(offsets, np.int64)
    return by_rules(*given, 1, gap, np.array(days, np.int64), np.array(campaigns, np.int8)).tolist()


@given(st.lists(st.lists(st.integers(0, 40), min_size=1, max_size=10), max_size=5))
def test_a_pause_longer_than_the_gap_starts_a_session(people: list[list[int]]) -> None:
    frame = pd.DataFrame(
        [(u, t) for u, own in enumerate(people) for t in sorted(own)], columns=["user", "time"]
    ).astype("int64")
    pause = frame.groupby("user")["time"].diff()
    want = (pause > GAP).groupby(frame["user"]).cumsum()
    offsets = np.cumsum([0, *map(len, people)])
    assert sessions_of(frame["time"].to_numpy(), offsets) == want.tolist()


def test_a_pause_as_long_as_the_gap_does_not() -> None:
    time = [0, GAP, 2 * GAP + 1, 2 * GAP + 1, 0, 99]
    assert sessions_of(time, [0, 4, 6]) == [0, 0, 1, 1, 0, 1]


def test_a_day_starts_a_session_at_its_first_instant() -> None:
    time = [9, 10, 19, 20, 45, 9, 30]
    assert sessions_of(time, [0, 5, 7], gap=NEVER, days=[10, 20, 30, 40]) == [0, 1, 1, 2, 3, 0, 1]


def test_another_campaign_starts_a_session_and_a_missing_one_does_not() -> None:
    time = [0, 1, 2, 3, 4, 5, 6]
    campaigns = [-1, 2, -1, 2, 3, -1, 2]
    assert sessions_of(time, [0, 7], campaigns=campaigns) == [0, 0, 0, 0, 1, 1, 2]


def test_a_session_forgets_the_campaign_of_the_one_before() -> None:
    time = [0, 1, 100, 101, 102]
    assert sessions_of(time, [0, 5], campaigns=[7, 7, -1, 8, 7]) == [0, 0, 1, 1, 2]


def test_a_user_does_not_know_the_campaign_of_the_one_before() -> None:
    assert sessions_of([0, 1], [0, 1, 2], campaigns=[7, 8]) == [0, 0]


def test_hidden_rows_have_no_say() -> None:
    time, campaigns = [0, 4, 8, 9, 10], [1, 1, 1, 2, 1]
    shown = [True, False, True, False, True]
    assert sessions_of(time, [0, 5], shown=shown, campaigns=campaigns) == [0, 0, 1, 1, 1]
    assert sessions_of([3, 9], [0, 2], shown=[False, True]) == [0, 0]


@given(st.lists(st.lists(st.integers(-1, 5), min_size=1, max_size=10), max_size=5))
def test_visits_are_numbered_in_the_order_of_their_first_row(units: list[list[int]]) -> None:
    offsets = np.cumsum([0, *map(len, units)])
    visits = np.array([visit for own in units for visit in own], np.int64)
    want = []
    for own in units:
        known = list(dict.fromkeys(visit for visit in own if visit >= 0))
        want += [known.index(visit) if visit >= 0 else -1 for visit in own]
    assert by_first_seen(visits, offsets, 6).tolist() == want
