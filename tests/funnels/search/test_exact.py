"""The exact search: which of two chains is preferred, how far any gets, steps in any order."""

from __future__ import annotations

from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle
from support import chain_runs as runs

from analysis.funnels.chains import codes_of, rules_of
from analysis.funnels.search import state
from analysis.funnels.search.exact import explore, preferred


@nb.njit
def better(states):
    return preferred(states, 0, 1)


@nb.njit
def searched(ask, rows, m, low, high, strict):
    """How far any chain gets, and when it ends."""
    states = state.new_states(64, ask.steps)
    per_step = np.zeros((state.STEP_LINES, ask.steps + 2), np.int64)
    entries = state.Entries(low, high, -1)
    explore(ask, rows, 0, m, states, entries, strict, False, False, per_step)
    return states[state.BEST, state.REACH], states[state.BEST, state.LAST]


def line_of(chain: list[tuple[int, int]], optional: set[int], size: int) -> list[int]:
    """A chain of (instant, step) as a state of the search."""
    head = [0] * (state.LIVE + 1)
    head[state.ENTRY], head[state.LAST] = chain[0][0], chain[-1][0]
    head[state.COUNT] = len(chain)
    head[state.EXTRAS] = sum(step in optional for _, step in chain)
    cells = [cell for pair in chain for cell in pair]
    return head + cells + [0] * (size - len(cells))


@st.composite
def chains_to_the_last_step(draw: st.DrawFn) -> list[tuple[int, int]]:
    """Steps 1 to 4, of which 2 and 3 may be skipped, all ending at the instant 9."""
    steps = [1, *sorted(draw(st.sets(st.sampled_from([2, 3])))), 4]
    times = sorted(draw(st.lists(st.integers(0, 9), min_size=len(steps), max_size=len(steps))))
    return list(zip([*times[:-1], 9], steps, strict=True))


def rank(chain: list[tuple[int, int]]) -> tuple[object, ...]:
    """The funnel's rule for chains that go equally far and end together; smallest is best."""
    times, steps = zip(*chain, strict=True)
    return -len(chain), times[1:], steps, -times[0]


@given(chains_to_the_last_step(), chains_to_the_last_step())
def test_the_preferred_of_two_chains(a: list[tuple[int, int]], b: list[tuple[int, int]]) -> None:
    states = np.array([line_of(chain, {2, 3}, 8) for chain in (a, b)], np.int64)
    assert better(states) == (rank(a) < rank(b)) - (rank(a) > rank(b))
    assert better(states[::-1].copy()) == -better(states)


@settings(max_examples=150)
@given(
    runs.drawn_units(ties=True),
    runs.drawn_questions(entry="best", on_exclude="end_attempt"),
    st.sampled_from(["sequential", "strict", "any"]),
)
def test_how_far_any_chain_gets_and_when_that_is_first_so(
    units: list[runs.Unit], asked: oracle.Question, order: str
) -> None:
    if order != "sequential" and any(step.optional for step in asked.steps):
        order = "sequential"
    asked = oracle.replace(asked, order=order)
    question = runs.question(asked)
    codes = codes_of(list(runs.NAMES), question.steps, question.exclusions)
    for unit in units:
        own = [oracle.Event(time, place, name) for place, (time, name) in enumerate(unit)]
        best = oracle.best_chain(own, asked, strict=asked.strict)
        rows = np.zeros((state.ROW_LINES, len(unit) + 1), np.int64)
        for r, (time, name) in enumerate(unit):
            code = runs.NAMES.index(name)
            rows[state.NUMBER, r], rows[state.TIME, r] = r, time
            rows[state.STEPS, r] = codes.steps.view(np.int64)[code]
            rows[state.EXCLUSIONS, r] = codes.exclusions.view(np.int64)[code]
        arguments = rules_of(question), rows, len(unit), *question.entered, asked.strict
        reach, end = searched(*arguments)
        assert reach == oracle.reach(best, asked)
        assert not best or end == best[-1].event.time


# ── Steps in any order, row by row, against the list of all chains.


@pytest.mark.parametrize("ties", [False, True])
@pytest.mark.parametrize("shared", [False, True])
@settings(max_examples=60)
@given(data=st.data())
def test_the_rows_are_those_of_the_best_chain(data: Any, ties: bool, shared: bool) -> None:
    asked = runs.drawn_questions(order="any", bounded=False, shared=shared, exclude=())
    runs.compare(data.draw(runs.drawn_units(ties=ties, longest=6)), data.draw(asked))


@pytest.mark.parametrize(
    ("unit", "strict", "rows"),
    [
        # Which steps an event serves is decided by those that come after it.
        ([(0, "a"), (1, "b"), (2, "a")], False, (0, 1, 2)),
        ([(0, "b"), (1, "b"), (2, "c")], False, (0, 1, -1)),
        ([(0, "a"), (1, "a"), (2, "a")], False, (0, 1, -1)),
        # At one instant the entry is the last to arrive, the others the first.
        ([(0, "a"), (0, "b"), (0, "c")], False, (2, 0, 1)),
        ([(0, "a"), (0, "b"), (0, "c")], True, (2, -1, -1)),
        ([(0, "c"), (1, "a"), (1, "b"), (2, "b")], True, (0, 1, 3)),
    ],
)
def test_one_event_one_step(unit: runs.Unit, strict: bool, rows: tuple[int, ...]) -> None:
    steps = oracle.plain("ab", "a", "bc")
    asked = oracle.Question(steps, window=9, covers_until=100, order="any", strict=strict)
    (found,) = runs.found_chains([unit], asked)
    runs.compare([unit], asked)
    assert found.rows == rows


def test_sixty_four_steps() -> None:
    asked = oracle.Question(oracle.plain(*["ab"] * 64), window=99, covers_until=1000, order="any")
    unit = [(k, "ab"[k % 2]) for k in range(70)]
    (found,) = runs.found_chains([unit], asked)
    assert (found.reach, found.rows) == (64, tuple(range(64)))
