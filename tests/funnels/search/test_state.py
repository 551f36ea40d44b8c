"""Rows and steps are matched: against scipy, and against trying every assignment; sets, states."""

from __future__ import annotations

import itertools
from typing import Any

import numba as nb
import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import maximum_bipartite_matching

from analysis.funnels.search import state
from analysis.funnels.search.state import (
    MUST,
    OWNER,
    ROW_LINES,
    STEP_LINES,
    STEPS,
    TAKEN,
    USED,
    augment,
    can_match,
    clear_matching,
)


@nb.njit
def matched(rows, among, steps):
    """Can the steps of `among` have rows of their own, and which row has which step?"""
    per_step = np.zeros((STEP_LINES, steps + 2), np.int64)
    could = can_match(rows, 0, rows.shape[1], among, steps, per_step)
    return could, per_step[OWNER, 1 : steps + 1].copy()


@nb.njit
def matched_in_turn(rows, among, steps):
    """Which rows get a step when each is matched as it comes."""
    per_step = np.zeros((STEP_LINES, steps + 2), np.int64)
    clear_matching(per_step, steps)
    got = np.zeros(rows.shape[1], np.bool_)
    for r in range(rows.shape[1]):
        got[r] = augment(rows, STEPS, r, among, steps, per_step)
    return got


MOST = 5

some_rows = st.lists(
    st.tuples(st.integers(0, 2**MOST - 1), st.sampled_from(["", "", "", "must", "used", "taken"])),
    min_size=1,
    max_size=5,
)


def table_of(drawn: list[tuple[int, str]]) -> np.ndarray:
    rows = np.zeros((ROW_LINES, len(drawn)), np.int64)
    rows[STEPS] = [steps for steps, _ in drawn]
    for line, name in ((MUST, "must"), (USED, "used"), (TAKEN, "taken")):
        rows[line] = [what == name for _, what in drawn]
    return rows


def can(drawn: list[tuple[int, str]], among: list[int]) -> bool:
    """Some choice of distinct rows, every one that must be among them, serves the steps."""
    free = [r for r, (_, what) in enumerate(drawn) if what in ("", "must")]
    must = {r for r, (_, what) in enumerate(drawn) if what == "must"}
    return any(
        must <= set(chosen)
        and all(drawn[r][0] >> (k - 1) & 1 for r, k in zip(chosen, among, strict=True))
        for chosen in itertools.permutations(free, len(among))
    )


@settings(max_examples=300)
@given(some_rows, st.sets(st.integers(1, MOST)))
def test_steps_have_rows_of_their_own_if_any_assignment_does(
    drawn: list[tuple[int, str]], numbers: set[int]
) -> None:
    among = sorted(numbers)
    could, owners = matched(table_of(drawn), sum(1 << (k - 1) for k in among), MOST)
    assert could == can(drawn, among)
    if could:
        row_of = {k: owners[k - 1] for k in among}
        assert len(set(row_of.values())) == len(among)
        assert all(drawn[r][0] >> (k - 1) & 1 for k, r in row_of.items())


@given(some_rows, st.integers(0, 2**MOST - 1))
def test_as_many_rows_are_matched_in_turn_as_a_matching_has(
    drawn: list[tuple[int, str]], among: int
) -> None:
    allowed = [[steps & among & (1 << k) != 0 for k in range(MOST)] for steps, _ in drawn]
    got = matched_in_turn(table_of(drawn), among, MOST)
    judge: Any = maximum_bipartite_matching(csr_array(np.array(allowed, int)), perm_type="column")
    assert got.sum() == (judge >= 0).sum()
    # A row that has a step keeps one, so those matched are the first that can be.
    for r in range(len(drawn)):
        before = [one for one in range(r) if got[one]]
        graph = csr_array(np.array([allowed[one] for one in [*before, r]], int))
        fits = (maximum_bipartite_matching(graph, perm_type="column") >= 0).all()
        assert got[r] == fits


def test_the_sixty_fourth_step_is_matched_too() -> None:
    rows = np.zeros((ROW_LINES, 2), np.int64)
    rows[STEPS] = [np.iinfo(np.int64).min, -1]
    could, owners = matched(rows, np.iinfo(np.int64).min | 1, 64)
    assert could
    assert (owners[63], owners[0]) == (0, 1)


# ── Sets as bits and chains as lines, asked by a kernel, since only kernels can.

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
    states = state.new_states(3, steps)
    states[:] = 7
    states[1, state.COUNT] = count
    for c in range(count):
        states[1, state.time_of(c)], states[1, state.step_of(c)] = 100 + c, 200 + c
    state.copy_state(states, 1, 2)
    return states, state.wider(states)


@given(sets)
def test_a_set_is_its_bits(numbers: set[int]) -> None:
    bits = as_bits(numbers)
    size, highest, held, again = described(np.int64(bits))
    assert (size, highest) == (len(numbers), max(numbers, default=0))
    assert sorted(held) == sorted(numbers)
    assert again == bits


def test_a_copy_ends_with_the_chain_and_a_wider_array_keeps_all() -> None:
    states, wider = copied_and_widened(4, 2)
    head = state.LIVE + 1
    assert states.shape == (3, head + 2 * 4)
    assert (states[2, head:] == [100, 200, 101, 201, 7, 7, 7, 7]).all()
    assert wider.shape == (6, states.shape[1])
    assert (wider[:3] == states).all()
    assert not wider[3:].any()


def test_the_names_of_columns_and_lines_are_places_of_their_own() -> None:
    columns = "DONE REACH ENTRY LAST ACTIVE FRESH HERE EXTRAS COUNT LIVE"
    lines = "NUMBER TIME STEPS EXCLUSIONS USED MUST TAKEN STANDS ALIKE"
    per_step = "OWNER CAME_FROM QUEUE PICKED BEST_ROWS ASIDE LACKING"
    for names, size in ((columns, 10), (lines, state.ROW_LINES), (per_step, state.STEP_LINES)):
        assert sorted(getattr(state, name) for name in names.split()) == list(range(size))
