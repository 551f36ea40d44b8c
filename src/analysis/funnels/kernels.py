"""What people did in the time before their first conversion: who did what, and how long before.

The rows looked at are those from a window before a user's first macro conversion (included) up to
its instant; at that instant rows count wherever they stand, because ties have no order.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _before(time, event, start, stop, macro, window):
    """First and last row (excluded) of the look-back of one user; the same where there is none."""
    for i in range(start, stop):
        if event[i] == macro:
            first = i
            while first > start and time[first - 1] >= time[i] - window:
                first -= 1
            last = i + 1
            while last < stop and time[last] == time[i]:
                last += 1
            return first, last
    return start, start


@nb.njit(cache=True, nogil=True)
def users_before(time, event, offsets, masks, macro, window, names, known_from):
    """How many users did each event in the window before their first macro conversion?

    Parameters
    ----------
    time, event, offsets, masks : the shard's arrays.
    macro : the event's code. window : microseconds. names : codes from here on are hidden rows.
    known_from : the instant at which the log begins, in microseconds.

    Returns
    -------
    int64 array of `names` + 1: users per event, and last those whose window begins before
    `known_from`. The macro's own cell is the number of users with the macro.
    """
    out = np.zeros(names + 1, np.int64)
    seen = np.full(names, -1, np.int64)
    bit = np.uint64(1) << np.uint64(macro & 63)
    for u in range(offsets.size - 1):
        if not masks[u] & bit:
            continue
        first, last = _before(time, event, offsets[u], offsets[u + 1], macro, window)
        for i in range(first, last):
            e = event[i]
            if e < names and seen[e] != u:
                seen[e] = u
                out[e] += 1
        if first < last and time[last - 1] - window < known_from:
            out[names] += 1
    return out


@nb.njit(cache=True, nogil=True)
def leads(time, event, offsets, masks, macro, window, place, wide):
    """How long before the macro did each user with one first do each of some events?

    Parameters
    ----------
    place : int64 per event code, and one for hidden rows: the event's column, −1 for none.
    wide : number of columns.

    Returns
    -------
    int64 array (users with the macro, `wide`): microseconds from the first time inside the window
    to the macro; −1 where the user did not do it.
    """
    room = 0
    bit = np.uint64(1) << np.uint64(macro & 63)
    for u in range(offsets.size - 1):
        room += (masks[u] & bit) != 0
    out = np.full((room, wide), -1, np.int64)
    row = 0
    for u in range(offsets.size - 1):
        if not masks[u] & bit:
            continue
        first, last = _before(time, event, offsets[u], offsets[u + 1], macro, window)
        for i in range(first, last):
            column = place[event[i]]
            if column >= 0 and out[row, column] < 0:
                out[row, column] = time[last - 1] - time[i]
        row += first < last
    return out[:row]
