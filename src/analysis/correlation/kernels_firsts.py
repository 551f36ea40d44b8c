"""When each unit first did each of some events: one visit to the rows of those who may have."""

from __future__ import annotations

import numba as nb
import numpy as np

NEVER = np.int64(np.iinfo(np.int64).max)


@nb.njit(cache=True, nogil=True)
def first_times(time, event, offsets, masks, bits, first, end, place, kinds):
    """The instants of first times, from the row at which a unit enters up to its end, excluded.

    Parameters
    ----------
    masks, bits : units whose mask has none of the bits are not visited.
    first, end : per unit the row at which it enters, −1 is none, and the instant at which looking
        ends. place : per event code, and one more for hidden rows, the row of the answer, or −1.
    kinds : how many rows the answer has.

    Returns
    -------
    int64 array (kinds, units) of microseconds, or `NEVER`.
    """
    out = np.full((kinds, first.size), NEVER, np.int64)
    for u in range(first.size):
        if first[u] < 0 or not masks[u] & bits:
            continue
        for i in range(first[u], offsets[u + 1]):
            if time[i] >= end[u]:
                break
            k = place[event[i]]
            if k >= 0 and out[k, u] == NEVER:
                out[k, u] = time[i]
    return out
