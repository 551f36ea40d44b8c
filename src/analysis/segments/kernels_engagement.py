"""Carts and what became of them, a user after the other."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def carts(time, event, offsets, after, without, wait, hi):
    """How many carts of each user are decided before `hi`, and how many of them were left?

    A cart begins with `after` where none is open. It is closed by `without`, or left once `wait`
    has passed since the last `after` in it. What happens at one instant is taken together, and
    `without` closes what began at its own instant.

    Parameters
    ----------
    after, without : event codes. wait : microseconds. hi : an instant in microseconds; rows from
    then on do not count, nor do carts whose wait is not over by then.

    Returns
    -------
    (decided, left) : int64 arrays, an element per user.
    """
    users = offsets.size - 1
    decided = np.zeros(users, np.int64)
    left = np.zeros(users, np.int64)
    for u in range(users):
        is_open = False
        last = np.int64(0)
        i = offsets[u]
        stop = offsets[u + 1]
        while i < stop and time[i] < hi:
            t = time[i]
            begins = False
            closes = False
            while i < stop and time[i] == t:
                begins = begins or event[i] == after
                closes = closes or event[i] == without
                i += 1
            if not begins and not closes:
                continue
            if is_open and t - last > wait:
                decided[u] += 1
                left[u] += 1
                is_open = False
            if begins:
                is_open = True
                last = t
            if closes and is_open:
                decided[u] += 1
                is_open = False
        if is_open and last < hi - wait:
            decided[u] += 1
            left[u] += 1
    return decided, left
