"""One row per unit and cell at risk: the long way, a look at every cell of everybody.

Kept apart from `passes.exposure`, which counts the same without going through the cells, so that
each can judge the other.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.correlation.kernels_exposure import observed_cells


@nb.njit(cache=True, nogil=True)
def _cells_at_risk(time, first, bought, horizon, covers, edges, u):
    """(cells at risk, cell of the macro conversion or −1) of one unit."""
    if first[u] < 0:
        return np.int64(0), np.int64(-1)
    entry = time[first[u]]
    cells = observed_cells(entry, horizon, covers, edges)
    if bought[u] < 0:
        return cells, np.int64(-1)
    for p in range(cells):
        if time[bought[u]] < entry + edges[p + 1]:
            return np.int64(p + 1), np.int64(p)
    return cells, np.int64(-1)


@nb.njit(cache=True, nogil=True)
def rows_at_risk(time, first, bought, horizon, covers, edges):
    """How many rows `fill` writes for a shard."""
    rows = 0
    for u in range(first.size):
        rows += _cells_at_risk(time, first, bought, horizon, covers, edges, u)[0]
    return rows


@nb.njit(cache=True, nogil=True)
def fill(time, event, offsets, first, bought, kind, horizon, covers, edges, out):
    """Write the rows of a shard, unit by unit and cell by cell.

    Parameters
    ----------
    kind : per event code, and one more for hidden rows: 0 … K − 1 are the events asked about, K
        is context, K + 1 anything else.
    out : (unit, cell, converted, context, events): room for the rows; `context` and `events`
        (rows, K) are how often each was done strictly before the cell starts.
    """
    unit, period, converted, context, events = out
    asked = events.shape[1]
    row = 0
    for u in range(first.size):
        cells, macro_cell = _cells_at_risk(time, first, bought, horizon, covers, edges, u)
        i = first[u]
        for p in range(cells):
            start = time[first[u]] + edges[p]
            if p > 0:
                context[row] = context[row - 1]
                events[row] = events[row - 1]
            while i < offsets[u + 1] and time[i] < start:
                k = kind[event[i]]
                if k == asked:
                    context[row] += 1
                elif k < asked:
                    events[row, k] += 1
                i += 1
            unit[row] = u
            period[row] = p
            converted[row] = p == macro_cell
            row += 1
