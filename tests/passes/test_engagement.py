"""Carts by hand: what begins, closes and leaves one, at the very instants where it turns."""

from __future__ import annotations

import numpy as np
import pytest

from analysis.segments.kernels_engagement import carts

ADD, BUY, OTHER = 0, 1, 2
WAIT = 10


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([], (0, 0)),
        ([(0, BUY)], (0, 0)),
        ([(0, ADD)], (1, 1)),
        ([(0, ADD), (10, BUY)], (1, 0)),
        ([(0, ADD), (11, BUY)], (1, 1)),
        ([(0, ADD), (10, ADD), (20, BUY)], (1, 0)),
        ([(0, ADD), (11, ADD), (12, BUY)], (2, 1)),
        ([(0, ADD), (1, BUY), (2, ADD), (3, BUY)], (2, 0)),
        ([(5, BUY), (5, ADD)], (1, 0)),
        ([(5, OTHER), (5, ADD), (8, OTHER), (9, BUY)], (1, 0)),
        ([(89, ADD)], (1, 1)),
        ([(90, ADD)], (0, 0)),
        ([(95, ADD), (99, BUY)], (1, 0)),
        ([(95, ADD), (100, BUY)], (0, 0)),
    ],
)
def test_one_person(rows, expected):
    time = np.array([t for t, _ in rows], np.int64)
    event = np.array([e for _, e in rows], np.uint8)
    # Somebody without rows before, somebody with a cart after: neither may leak.
    time, event = np.append(time, 50), np.append(event, np.uint8(ADD))
    offsets = np.array([0, 0, len(rows), len(rows) + 1])
    decided, left = carts(time, event, offsets, ADD, BUY, WAIT, 100)
    assert (decided.tolist(), left.tolist()) == ([0, expected[0], 1], [0, expected[1], 1])
