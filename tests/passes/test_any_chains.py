"""Steps in any order, row by row, against the list of all chains."""

from __future__ import annotations

from typing import Any

import chain_runs as runs
import funnel_oracle as oracle
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


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
