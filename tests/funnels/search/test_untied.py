"""Units whose steps never share an instant, row by row, against the list of all their chains."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle
from support import chain_runs as runs


@pytest.mark.parametrize("order", ["sequential", "strict"])
@pytest.mark.parametrize("bounded", [False, True])
@settings(max_examples=80)
@given(units=runs.drawn_units(ties=False), data=st.data())
def test_without_ties_the_rows_are_those_of_the_best_chain(
    units: list[runs.Unit], data: Any, order: str, bounded: bool
) -> None:
    optional = bounded and order == "sequential"
    asked = runs.drawn_questions(order=order, bounded=optional, strict=False)
    runs.compare(units, data.draw(asked))


def test_the_last_entry_before_the_second_step_and_the_first_of_every_other() -> None:
    unit = [(0, "a"), (1, "a"), (2, "b"), (3, "b"), (4, "c"), (5, "c")]
    (found,) = runs.found_chains([unit], asking("abc", window=10))
    assert found.rows == (1, 2, 4)


def test_an_entry_that_the_window_leaves_behind_is_no_entry() -> None:
    unit = [(0, "a"), (3, "b"), (5, "a"), (6, "b"), (9, "c")]
    assert runs.found_chains([unit], asking("abc", window=8))[0].rows == (2, 3, 4)
    assert runs.found_chains([unit], asking("abc", window=3))[0].rows == (0, 1, -1)


def test_a_row_of_no_step_ends_neighbors_even_at_the_end_of_the_unit() -> None:
    asked = asking("ab", window=9, order="strict")
    assert runs.found_chains([[(0, "a"), (1, "d"), (2, "b")]], asked)[0].rows == (0, -1)
    assert runs.found_chains([[(0, "a"), (1, "b"), (2, "d")]], asked)[0].rows == (0, 1)
    assert runs.found_chains([[(0, "a"), (0, "d"), (1, "b")]], asked)[0].rows == (0, 2)


def asking(names: str, **options: Any) -> oracle.Question:
    return oracle.Question(oracle.plain(*names), covers_until=100, **options)
