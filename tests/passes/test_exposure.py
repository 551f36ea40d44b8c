"""The kernels of exposure, on arrays that fit on a line; an oracle judges the counts elsewhere."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.correlation import kernels_exposure as exposure

NEVER = int(exposure.NEVER)


def array(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def codes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint8)


@pytest.mark.parametrize(
    ("number", "expected"),
    [(0, 0), (1, 1), (2, 2), (3, 3), (4, 3), (5, 4), (8, 4), (9, 5), (256, 9), (257, 10)],
)
def test_bins_double(number: int, expected: int) -> None:
    assert exposure.BINS[number] == expected
    assert len(exposure.BINS) == exposure.MOST_COUNTED + 1 == 258


def test_a_unit_enters_with_its_first_shown_row() -> None:
    hidden = 5
    event = codes(hidden, 0, 1, hidden, hidden, 2)
    first = exposure.first_shown(event, array(0, 3, 5, 6), hidden)
    assert first.tolist() == [1, -1, 5]


def test_a_second_session_begins_with_another_name() -> None:
    time, event = np.arange(10, 18), codes(0, 0, 9, 0, 0, 0, 0, 0)
    session = np.array([-1, 3, 4, 3, -1, 5, 7, 7], np.int8)
    turns = exposure.second_sessions(time, event, session, array(0, 6, 8), 9)
    # The row at 12 is hidden, the one at 14 names no session.
    assert turns.tolist() == [15, NEVER]


def test_the_macro_conversion_is_the_first_within_horizon_and_log() -> None:
    time, offsets, first = array(0, 10, 20, 0, 30, 0, 9), array(0, 3, 5, 7), array(0, 3, 5)

    def rows(horizon: int, covers: int) -> list[int]:
        return exposure.first_macros(
            time, offsets, first, array(1, 2, 4, 6), horizon, covers
        ).tolist()

    assert rows(30, 100) == [1, -1, 6]
    assert rows(31, 100) == [1, 4, 6]
    assert rows(31, 10) == [-1, -1, 6]


def test_a_macro_conversion_before_the_entry_is_none() -> None:
    time, offsets, first = array(0, 10, 20, 0, 5), array(0, 3, 3, 5), array(1, -1, 4)
    assert exposure.first_macros(time, offsets, first, array(0, 3, 4), 9, 99).tolist() == [
        -1,
        -1,
        4,
    ]
    assert exposure.first_macros(time, offsets, first, array(), 9, 99).tolist() == [-1, -1, -1]


@pytest.mark.parametrize(
    ("covers", "cells"), [(30, 3), (29, 2), (20, 2), (19, 1), (5, 0), (-5, 0), (10**6, 3)]
)
def test_cells_count_that_the_log_covers_whole(covers: int, cells: int) -> None:
    assert exposure.observed_cells(0, 30, covers, array(0, 10, 20, 30)) == cells
