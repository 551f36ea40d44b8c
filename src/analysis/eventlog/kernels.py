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


@nb.njit(cache=True, nogil=True)
def part_order(part, parts):
    """The order of rows by their part, stably, and how many rows each part has.

    Parameters
    ----------
    part : int64 array, each row's part as a number from 0 to `parts` − 1.

    Returns
    -------
    (order, counts) : int64 arrays of length rows and parts.
    """
    counts = np.zeros(parts, np.int64)
    for i in range(part.size):
        counts[part[i]] += 1
    place = np.zeros(parts, np.int64)
    for p in range(1, parts):
        place[p] = place[p - 1] + counts[p - 1]
    order = np.empty(part.size, np.int64)
    for i in range(part.size):
        order[place[part[i]]] = i
        place[part[i]] += 1
    return order, counts


@nb.njit(cache=True, nogil=True)
def part_entries(codes, order, counts, before, values):
    """Number the distinct values of each part in the order in which they first appear there.

    Parameters
    ----------
    codes : int32 array, each row's value as a number from 0 to `values` − 1, or −1.
    order, counts : as `part_order` returns them.
    before : int64 array, how many numbers each part has given already.

    Returns
    -------
    (entry, first, found) : each ordered row's number within its part (int32; −1 where it has no
    value), the values that got one, part by part (int64), and how many of them each part has.
    """
    part_of_value = np.full(values, -1, np.int64)
    number = np.empty(values, np.int32)
    entry = np.empty(order.size, np.int32)
    first = np.empty(order.size, np.int64)
    found = np.zeros(counts.size, np.int64)
    start, total = 0, 0
    for p in range(counts.size):
        for i in range(start, start + counts[p]):
            code = codes[order[i]]
            entry[i] = -1
            if code >= 0:
                if part_of_value[code] != p:
                    part_of_value[code] = p
                    number[code] = before[p] + found[p]
                    first[total] = code
                    total += 1
                    found[p] += 1
                entry[i] = number[code]
        start += counts[p]
    return entry, first[:total], found


@nb.njit(cache=True, nogil=True)
def eight_bytes(data, offsets, skip):
    """Eight bytes of each string of an Arrow string array, from byte `skip` on, as a number.

    Numbers (uint64) are ordered as the bytes are; strings that end sooner are filled with zeros.
    """
    words = np.zeros(offsets.size - 1, np.uint64)
    for i in range(words.size):
        start = offsets[i] + skip
        for j in range(start, min(start + 8, offsets[i + 1])):
            words[i] |= np.uint64(data[j]) << np.uint64(56 - 8 * (j - start))
    return words


@nb.njit(cache=True, nogil=True)
def mark(codes, used):
    """Set `used` at every code; code −1 is its last element."""
    for i in range(codes.size):
        used[codes[i]] = True


@nb.njit(cache=True, nogil=True)
def taken(lookup, codes, order):
    """`lookup` at the code of every row in an order; code −1 is its last element."""
    out = np.empty(order.size, lookup.dtype)
    for i in range(order.size):
        out[i] = lookup[codes[order[i]]]
    return out
