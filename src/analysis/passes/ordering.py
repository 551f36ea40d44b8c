"""Sorting rows by user and time, stably: rows of one instant keep the order of their arrival."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def user_time_order(ranks, time, users):
    """The order of rows by (user, time, arrival), and where each user's rows start.

    A counting sort by user, then a merge sort only for the users whose rows did not arrive in
    the order of time: a log that was written as things happened is never compared.

    Parameters
    ----------
    ranks : int64 array, each row's user as a number from 0 to `users` − 1.
    time : int64 array, microseconds.

    Returns
    -------
    (order, offsets) : int64 arrays of length rows and users + 1.
    """
    rows = ranks.size
    offsets = np.zeros(users + 1, np.int64)
    for i in range(rows):
        offsets[ranks[i] + 1] += 1
    for u in range(users):
        offsets[u + 1] += offsets[u]
    place = offsets[:-1].copy()
    order = np.empty(rows, np.int64)
    for i in range(rows):
        u = ranks[i]
        order[place[u]] = i
        place[u] += 1
    for u in range(users):
        start, stop = offsets[u], offsets[u + 1]
        for i in range(start + 1, stop):
            if time[order[i]] < time[order[i - 1]]:
                own = order[start:stop].copy()
                order[start:stop] = own[np.argsort(time[own], kind="mergesort")]
                break
    return order, offsets


@nb.njit(cache=True, nogil=True)
def event_masks(event, offsets):
    """Per user a 64-bit set of the events they have: bit ``code % 64``."""
    users = offsets.size - 1
    masks = np.zeros(users, np.uint64)
    for u in range(users):
        mask = np.uint64(0)
        for i in range(offsets[u], offsets[u + 1]):
            mask |= np.uint64(1) << np.uint64(event[i] & 63)
        masks[u] = mask
    return masks
