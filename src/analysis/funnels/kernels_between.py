"""What people did between two instants of theirs."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def done_between(time, event, offsets, users, after, before, names):
    """In how many of these stretches of time was each event done?

    Parameters
    ----------
    time, event, offsets : the shard's arrays.
    users, after, before : per stretch the index of its user and two instants; what counts lies
        strictly between them.
    names : codes from here on are hidden rows.

    Returns
    -------
    int64 array of `names`: stretches with the event, however often in each.
    """
    out = np.zeros(names, np.int64)
    seen = np.full(names, -1, np.int64)
    for j in range(users.size):
        low, stop = offsets[users[j]], offsets[users[j] + 1]
        high = stop
        while low < high:
            middle = (low + high) // 2
            if time[middle] > after[j]:
                high = middle
            else:
                low = middle + 1
        while low < stop and time[low] < before[j]:
            e = event[low]
            if e < names and seen[e] != j:
                seen[e] = j
                out[e] += 1
            low += 1
    return out
