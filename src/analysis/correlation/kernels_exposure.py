"""When a unit enters, when it converts, how long it is watched; and how activity is binned.

What is counted of them stands in `exposure_counts` and `before_macros`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

NEVER = np.int64(2**62)


LEVELS = 4


ACTIVITY_BINS = 11


MOST_COUNTED = 2 ** (ACTIVITY_BINS - 3) + 1


BINS = np.array([0, *(int(n - 1).bit_length() + 1 for n in range(1, MOST_COUNTED + 1))], np.int64)
"""The bin of a number of context events: 0, 1, 2, 3-4, 5-8, …; the last holds all above 256."""


@nb.njit(cache=True, nogil=True)
def first_shown(event, offsets, names):
    """The first row of each unit whose code is below `names`, or −1."""
    out = np.full(offsets.size - 1, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] < names:
                out[u] = i
                break
    return out


@nb.njit(cache=True, nogil=True)
def second_sessions(time, event, session, offsets, names):
    """When each unit's second session begins, or `NEVER`; rows without a session have no say."""
    out = np.full(offsets.size - 1, NEVER, np.int64)
    for u in range(offsets.size - 1):
        own = np.int64(-1)
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names or session[i] < 0:
                continue
            if own < 0:
                own = np.int64(session[i])
            elif session[i] != own:
                out[u] = time[i]
                break
    return out


@nb.njit(cache=True, nogil=True)
def first_macros(time, offsets, first, macros, horizon, covers):
    """The row of each unit's first macro conversion, or −1; `macros` are the rows of all of them.

    It counts within `horizon` of the row at which the unit enters, and before `covers`.
    """
    out = np.full(first.size, -1, np.int64)
    m = 0
    for u in range(first.size):
        start = first[u]
        if start < 0:
            continue
        while m < macros.size and macros[m] < start:
            m += 1
        if m == macros.size:
            break
        row = macros[m]
        if row < offsets[u + 1] and time[row] < min(time[start] + horizon, covers):
            out[u] = row
    return out


@nb.njit(cache=True, nogil=True)
def observed_cells(entry, horizon, covers, edges):
    """How many cells since `entry` the log covers whole."""
    if covers - entry >= horizon:
        return edges.size - 1
    return max(np.searchsorted(edges, covers - entry, side="right") - 1, 0)
