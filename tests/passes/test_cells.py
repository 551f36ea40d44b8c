"""The cell of a time, found by its leading bits, against a plain search."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.correlation.kernels_cells import cell_of, with_guesses
from analysis.correlation.plan import period_edges


def expected(edges: np.ndarray, since: int) -> int:
    return int(np.searchsorted(edges, since, side="right")) - 1


@given(st.lists(st.integers(1, 2**61), min_size=1, unique=True), st.data())
def test_any_edges(starts: list[int], data: st.DataObject) -> None:
    edges = np.array([0, *sorted(starts)], np.int64)
    cells = with_guesses(edges)
    near = [t for e in edges.tolist() for t in (e - 1, e, e + 1) if 0 <= t < edges[-1]]
    for since in (*near, data.draw(st.integers(0, int(edges[-1]) - 1))):
        assert cell_of(since, cells, len(edges)) == expected(edges, since)


@pytest.mark.parametrize("period", ["auto", "1h", "7min"])
def test_the_cells_of_a_question(period: str) -> None:
    edges = period_edges(period, "20d")
    cells = with_guesses(edges)
    rng = np.random.default_rng(1)
    times = (edges[-1] ** rng.random(2_000)).astype(np.int64)
    for since in times[times < edges[-1]].tolist():
        assert cell_of(since, cells, len(edges)) == expected(edges, since)
