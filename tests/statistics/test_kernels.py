"""The dip against linear programs: the nearest distribution with one hump, place by place."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog

from analysis.statistics.modes import dip


def farthest(values: list[float]) -> float:
    """The dip by a linear program for each place of the hump."""
    at, counts = np.unique(values, return_counts=True)
    share = np.cumsum(counts) / len(values)
    return min(
        _with_hump_at(hump, at.astype(float), share - counts / len(values), share)
        for hump in range(len(at))
    )


def _with_hump_at(hump: int, at: np.ndarray, before: np.ndarray, share: np.ndarray) -> float:
    """Convex up to the hump, concave from it on; unknowns: both parts there, and the distance."""
    size = len(at)
    place = {("left", i): i for i in range(hump + 1)}
    place |= {("right", i): hump + 1 + i - hump for i in range(hump, size)}
    far = len(place)
    rows: list[np.ndarray] = []
    most: list[float] = []

    def limit(parts: dict[int, float], bound: float) -> None:
        row = np.zeros(far + 1)
        for unknown, times in parts.items():
            row[unknown] = times
        rows.append(row)
        most.append(bound)

    for (side, i), unknown in place.items():
        if side == "left" or i > hump:
            limit({unknown: 1.0, far: -1.0}, before[i])
        if side == "right" or i < hump:
            limit({unknown: -1.0, far: -1.0}, -share[i])
        if (side, i - 1) in place and (side, i + 1) in place:
            a, b = at[i] - at[i - 1], at[i + 1] - at[i]
            sign = 1.0 if side == "left" else -1.0
            bend = {unknown: sign * (1 / a + 1 / b)}
            bend |= {place[side, i - 1]: -sign / a, place[side, i + 1]: -sign / b}
            limit(bend, 0.0)
    limit({place["left", hump]: 1.0, place["right", hump]: -1.0}, 0.0)
    found = linprog(np.eye(far + 1)[far], np.array(rows), most, bounds=(0, 1))
    return 1.0 if found.fun is None else float(found.fun)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 12), min_size=2, max_size=12))
def test_the_dip_is_that_of_the_nearest_distribution_with_one_hump(drawn: list[int]) -> None:
    found = max(farthest([float(v) for v in drawn]), 0.5 / len(drawn))
    assert dip(drawn) == pytest.approx(found, abs=2e-5)
