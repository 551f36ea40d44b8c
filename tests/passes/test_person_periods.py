"""The rows of one shard, written out by hand."""

from __future__ import annotations

import numpy as np

from analysis.correlation import kernels_person_periods as person_periods


def test_rows_stop_at_the_conversion_and_where_the_log_ends() -> None:
    time = np.array([0, 3, 12, 14, 100, 105], np.int64)
    event = np.array([1, 0, 2, 0, 1, 0], np.uint8)  # the event, context, the macro conversion
    offsets, first = np.array([0, 4, 6, 6], np.int64), np.array([0, 4, -1], np.int64)
    bought, kind = np.array([2, -1, -1], np.int64), np.array([0, 1, 2, 2], np.int64)
    bounds = (30, 121, np.array([0, 10, 20, 30], np.int64))
    size = person_periods.rows_at_risk(time, first, bought, *bounds)
    assert size == 4
    unit, cell, context = (np.zeros(size, np.int64) for _ in range(3))
    converted, events = np.zeros(size, np.bool_), np.zeros((size, 1), np.int64)
    out = (unit, cell, converted, context, events)
    person_periods.fill(time, event, offsets, first, bought, kind, *bounds, out)
    assert unit.tolist() == [0, 0, 1, 1]
    assert cell.tolist() == [0, 1, 0, 1]
    assert converted.tolist() == [False, True, False, False]
    assert context.tolist() == [0, 1, 0, 1]
    assert events[:, 0].tolist() == [0, 1, 0, 1]
