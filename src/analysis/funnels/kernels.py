"""The compiled loops beside the chain search: what was done when, and the medians of waits.

`done_between` counts events between two instants of a person. `users_before` and `leads` look at
the time before a person's first macro conversion: from a window before it (included) up to its
instant, at which rows count wherever they stand, because ties have no order.

`tally` and `fetch` find the median of many numbers that lie in several arrays without bringing
them together. Numbers are counted in classes that are narrow where numbers are small: the class is
what the first bits of a number as a float say. One pass tells in which class the median lies, and
a second one fetches the few numbers of that class.
"""

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
    names : the number of event names; codes from here on are hidden rows.

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


@nb.njit(cache=True, nogil=True)
def _look_back(time, event, start, stop, macro, window):
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
        first, last = _look_back(time, event, offsets[u], offsets[u + 1], macro, window)
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
    converters = 0
    bit = np.uint64(1) << np.uint64(macro & 63)
    for u in range(offsets.size - 1):
        converters += (masks[u] & bit) != 0
    out = np.full((converters, wide), -1, np.int64)
    row = 0
    for u in range(offsets.size - 1):
        if not masks[u] & bit:
            continue
        first, last = _look_back(time, event, offsets[u], offsets[u + 1], macro, window)
        for i in range(first, last):
            column = place[event[i]]
            if column >= 0 and out[row, column] < 0:
                out[row, column] = time[last - 1] - time[i]
        row += first < last
    return out[:row]


_MANTISSA_BITS = 6
_SHIFT = np.int64(52 - _MANTISSA_BITS)
_FIRST = (np.int64(1023) << np.int64(_MANTISSA_BITS)) - 1

CLASSES = (64 << _MANTISSA_BITS) + 2
"""How many classes there are."""


@nb.njit(cache=True, nogil=True)
def class_of(number):
    """The class of a number that is not negative; never less for a greater number."""
    if number < 1:
        return np.int64(0)
    return (np.float64(number).view(np.int64) >> _SHIFT) - _FIRST


@nb.njit(cache=True, nogil=True)
def tally(numbers, owners, group_of, classes, totals):
    """Count numbers in their classes and add them up, by group.

    `owners` are the numbers' own groups, of size 0 where all are of the first; `group_of` the group
    that each of these is counted in. `classes`: int64 (groups, CLASSES); `totals`: int64 (groups,).
    """
    for i in range(numbers.size):
        group = group_of[owners[i] if owners.size else 0]
        classes[group, class_of(numbers[i])] += 1
        totals[group] += numbers[i]


@nb.njit(cache=True, nogil=True)
def fetch(numbers, owners, group_of, group, first, last):
    """The numbers of a group whose class is in [first, last]."""
    out = np.empty(16, np.int64)
    n = 0
    for i in range(numbers.size):
        own = class_of(numbers[i])
        if first <= own <= last and group_of[owners[i] if owners.size else 0] == group:
            if n == out.size:
                longer = np.empty(4 * n, np.int64)
                longer[:n] = out
                out = longer
            out[n] = numbers[i]
            n += 1
    return out[:n]
