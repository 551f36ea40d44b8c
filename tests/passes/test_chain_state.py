"""Sets as bits and chains as lines, asked by a kernel, since only kernels can."""

from __future__ import annotations

import numba as nb
import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from analysis.funnels.search import kernels_chain_state as state

sets = st.sets(st.integers(1, 64))


def as_bits(numbers: set[int]) -> int:
    """The set as an int64, whose sign is number 64."""
    return int(np.uint64(sum(1 << (k - 1) for k in numbers)).astype(np.int64))


@nb.njit
def described(numbers):
    """The size, the highest number, and the numbers themselves."""
    held = [k for k in range(1, 65) if state.has(numbers, k)]
    again = np.int64(0)
    for k in held:
        again |= state.bit(k)
    return state.size(numbers), state.highest(numbers), held, again


@nb.njit
def copied_and_widened(steps, count):
    labels = state.new_labels(3, steps)
    labels[:] = 7
    labels[1, state.COUNT] = count
    for c in range(count):
        labels[1, state.time_of(c)], labels[1, state.step_of(c)] = 100 + c, 200 + c
    state.copy_label(labels, 1, 2)
    return labels, state.wider(labels)


@given(sets)
def test_a_set_is_its_bits(numbers: set[int]) -> None:
    bits = as_bits(numbers)
    size, highest, held, again = described(np.int64(bits))
    assert (size, highest) == (len(numbers), max(numbers, default=0))
    assert sorted(held) == sorted(numbers)
    assert again == bits


def test_a_copy_ends_with_the_chain_and_a_wider_array_keeps_all() -> None:
    labels, wider = copied_and_widened(4, 2)
    head = state.LIVE + 1
    assert labels.shape == (3, head + 2 * 4)
    assert (labels[2, head:] == [100, 200, 101, 201, 7, 7, 7, 7]).all()
    assert wider.shape == (6, labels.shape[1])
    assert (wider[:3] == labels).all()
    assert not wider[3:].any()


def test_the_names_of_columns_and_lines_are_places_of_their_own() -> None:
    columns = "DONE REACH ENTRY LAST ACTIVE FRESH HERE EXTRAS COUNT LIVE"
    lines = "NUMBER TIME STEPS BARRED USED MUST TAKEN STANDS"
    scratch = "OWNER CAME_FROM QUEUE PICKED BEST_ROWS ASIDE LACKING"
    for names, size in ((columns, 10), (lines, state.ROW_LINES), (scratch, state.SCRATCH_LINES)):
        assert sorted(getattr(state, name) for name in names.split()) == list(range(size))
