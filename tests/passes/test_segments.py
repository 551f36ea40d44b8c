"""The passes of segments on bare arrays: bounds, hidden rows, and what the rules do not reach."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.segments import kernels as passes

LOW, HIGH = -int(passes.EVER), int(passes.EVER)
times = st.lists(st.integers(-3, 6), max_size=12).map(sorted)


@given(times, st.integers(-4, 8))
def test_the_first_row_at_an_instant_is_that_of_numpy(found, instant):
    time = np.array(found, np.int64)
    assert passes.first_at(time, 0, len(time), instant) == np.searchsorted(time, instant)


@given(times, st.integers(-4, 8), st.integers(-4, 8), st.data())
def test_counts_and_tallies_are_those_of_numpy(found, low, high, data):
    time = np.array([*found, *found], np.int64)
    event = np.array(
        data.draw(st.lists(st.integers(0, 2), min_size=len(time), max_size=len(time))), np.uint8
    )
    offsets = np.array([0, len(found), len(time)], np.int64)
    tally = passes.tallied(time, event, offsets, 2, low, high)
    masks, lut = np.full(2, 3, np.uint64), np.array([0, 1, 0], np.uint8)
    count = passes.counted(time, event, offsets, masks, lut, np.uint64(2), low, high)
    first, last = (
        find(time, event, offsets, masks, lut, np.uint64(2), low, high)
        for find in (passes.found_first, passes.found_last)
    )
    for u in range(2):
        rows = np.arange(offsets[u], offsets[u + 1])
        rows = rows[(time[rows] >= low) & (time[rows] < high)]
        assert tally[u].tolist() == [(event[rows] == code).sum() for code in range(2)]
        mine = rows[event[rows] == 1]
        assert count[u] == len(mine)
        assert (first[u], last[u]) == ((mine[0], mine[-1]) if len(mine) else (-1, -1))


def test_users_whose_events_do_not_matter_are_skipped():
    time, event = np.zeros(2, np.int64), np.zeros(2, np.uint8)
    offsets, lut = np.array([0, 1, 2], np.int64), np.array([1], np.uint8)
    masks = np.array([1, 0], np.uint64)
    count = passes.counted(time, event, offsets, masks, lut, np.uint64(1), LOW, HIGH)
    assert count.tolist() == [1, 0]


def test_days_are_counted_from_midnight_before_1970_too():
    day = 86_400
    time = np.array([-day - 1, -day, -1, 0, day - 1, day], np.int64)
    codes, offsets = np.zeros(6, np.uint8), np.array([0, 6], np.int64)
    masks, lut = np.ones(1, np.uint64), np.array([1], np.uint8)
    count = passes.days(time, codes, offsets, masks, lut, np.uint64(1), day, LOW, HIGH)
    assert count.tolist() == [4]
