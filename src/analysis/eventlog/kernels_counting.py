"""How often and by how many: the counts behind a log's summary."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def per_event(time, event, offsets, names):
    """Rows, users, first and last instant of every event name of one shard.

    Codes from `names` on are hidden rows and count nowhere.

    Returns
    -------
    int64 array of shape (names, 4): rows, users, first and last instant in microseconds.
    """
    out = np.zeros((names, 4), np.int64)
    out[:, 2] = np.iinfo(np.int64).max
    out[:, 3] = np.iinfo(np.int64).min
    seen = np.full(names, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            e = event[i]
            if e >= names:
                continue
            out[e, 0] += 1
            if seen[e] != u:
                seen[e] = u
                out[e, 1] += 1
            out[e, 2] = min(out[e, 2], time[i])
            out[e, 3] = max(out[e, 3], time[i])
    return out


@nb.njit(cache=True, nogil=True)
def users_and_sessions(event, session, offsets, names):
    """Users with a shown row, and distinct (user, session) pairs among shown rows.

    Sessions of one user may overlap (two devices at once), so a pair counts when it is first
    seen for its user, not when the code changes. Rows without a session are in none.
    """
    users = 0
    sessions = 0
    size = 0
    for i in range(session.size):
        size = max(size, session[i] + 1)
    seen = np.full(size, -1, np.int64)
    for u in range(offsets.size - 1):
        any_row = False
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names:
                continue
            any_row = True
            s = session[i]
            if s >= 0 and seen[s] != u:
                seen[s] = u
                sessions += 1
        users += any_row
    return users, sessions


@nb.njit(cache=True, nogil=True)
def money_per_event(event, numbers, names, scale):
    """Sum of a number over the rows of each event name, in integers of 1 / `scale`.

    Returns
    -------
    (sums, sizes) : int64 and float64 arrays; the sizes are the sums of the absolute values. Where
        a size is beyond what an int64 holds the sum has no meaning.
    """
    out = np.zeros(names, np.int64)
    sizes = np.zeros(names, np.float64)
    for i in range(event.size):
        if event[i] < names and not np.isnan(numbers[i]):
            scaled = np.rint(numbers[i] * scale)
            sizes[event[i]] += abs(scaled)
            if sizes[event[i]] < 2.0**62:
                out[event[i]] += np.int64(scaled)
    return out, sizes
