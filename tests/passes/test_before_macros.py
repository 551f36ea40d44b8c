"""What converters did before their macro conversion, on arrays that fit on a line."""

from __future__ import annotations

import itertools

import numpy as np

from analysis.passes.before_macros import before_macros


def array(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.int64)


def codes(*numbers: int) -> np.ndarray:
    return np.array(numbers, np.uint8)


KIND = array(0, 1, 3, 2)  # codes 0 and 1 are asked about, 2 is the macro conversion, 3 context


def test_what_came_shortly_before_is_counted_once_and_in_the_session() -> None:
    time = array(0, 5, 5, 10, 10, 10, 11)
    event = codes(0, 1, 1, 1, 2, 0, 0)  # the macro conversion is at the instant of others
    session = np.array([1, 1, 1, 2, 1, 1, 1], np.int8)

    def near(gap: int, session: np.ndarray = session) -> list[int]:
        given = (array(0, 7), array(0), array(4), KIND, 2, gap)
        return before_macros(time, event, session, *given)[2].tolist()

    assert near(5) == [1, 1]
    assert near(4) == [1, 0]
    assert near(5, np.full(7, -1, np.int8)) == [0, 0]


def test_waits_run_from_the_first_time_to_the_macro_conversion_by_event() -> None:
    time = array(0, 10, 20, 30, 40, 0, 5, 9, 9, 0, 1)
    event = codes(3, 1, 1, 0, 2, 0, 0, 1, 2, 0, 1)
    session = np.zeros(11, np.int8)
    offsets, first, bought = array(0, 5, 9, 11), array(0, 5, 9), array(4, 8, -1)
    given = (time, event, session, offsets, first, bought, KIND, 2, 1)
    waits, ends, _ = before_macros(*given)
    # The second does event 1 at the very instant: that is not before. The third never converts.
    assert [waits[a:b].tolist() for a, b in itertools.pairwise(ends)] == [
        [10, 9],
        [30],
    ]


def test_what_lies_before_the_entry_is_not_looked_at() -> None:
    time, event, session = array(0, 1, 2), codes(0, 1, 2), np.zeros(3, np.int8)
    waits, ends, near = before_macros(
        time, event, session, array(0, 3), array(1), array(2), KIND, 2, 9
    )
    assert (waits.tolist(), ends.tolist(), near.tolist()) == ([1], [0, 0, 1], [0, 1])


def test_nobody_converts_and_nothing_is_asked() -> None:
    rows = (array(0, 1), codes(0, 2), np.zeros(2, np.int8), array(0, 2), array(0))
    waits, ends, near = before_macros(*rows, array(-1), KIND, 2, 9)
    assert (waits.size, ends.tolist(), near.tolist()) == (0, [0, 0, 0], [0, 0])
    waits, ends, near = before_macros(*rows, array(1), array(1, 1, 1), 0, 9)
    assert (waits.size, ends.tolist(), near.tolist()) == (0, [0], [])
