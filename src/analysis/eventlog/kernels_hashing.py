"""Hashes of text and rows that are the same on every machine and every version.

They decide which shard a user belongs to and make up the content fingerprint. Two independent
64-bit lanes are kept everywhere, so a fingerprint has 128 bits. Not cryptographic: they find
changes, they do not resist an adversary.
"""

from __future__ import annotations

import numba as nb
import numpy as np

_M1 = np.uint64(0x9E3779B97F4A7C15)


_M2 = np.uint64(0xBF58476D1CE4E5B9)


_M3 = np.uint64(0x94D049BB133111EB)


_LANE = np.uint64(0xD6E8FEB86659FD93)


@nb.njit(cache=True, nogil=True, inline="always")
def mix(x):
    """One round of splitmix64's finalizer: every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * _M2
    x = (x ^ (x >> np.uint64(27))) * _M3
    return x ^ (x >> np.uint64(31))


@nb.njit(cache=True, nogil=True)
def hash_strings(data, offsets, seed):
    """Two 64-bit hashes of each string of an Arrow string array.

    Parameters
    ----------
    data : uint8 array, the bytes of all strings; offsets : int32 or int64 array, one more than
    there are strings; seed : uint64, tells columns apart.

    Returns
    -------
    uint64 array of shape (strings, 2).
    """
    n = offsets.size - 1
    out = np.empty((n, 2), np.uint64)
    for i in range(n):
        start = offsets[i]
        stop = offsets[i + 1]
        a = mix(seed + _M1)
        b = mix(seed + _LANE)
        word = np.uint64(0)
        filled = 0
        for j in range(start, stop):
            word |= np.uint64(data[j]) << np.uint64(8 * filled)
            filled += 1
            if filled == 8:
                a = mix((a ^ word) + _M1)
                b = mix((b ^ word) * _LANE + _M1)
                word = np.uint64(0)
                filled = 0
        length = np.uint64(stop - start)
        out[i, 0] = mix((a ^ word) + length * _M1)
        out[i, 1] = mix((b ^ word) * _LANE + length * _M1 + _M1)
    return out


@nb.njit(cache=True, nogil=True)
def add_coded_cells(rows, codes, value_hashes, missing):
    """Add to each row's hashes the hash of its coded cell; code −1 is a missing cell."""
    for i in range(rows.shape[0]):
        code = codes[i]
        if code < 0:
            rows[i, 0] += missing
            rows[i, 1] += missing * _LANE
        else:
            rows[i, 0] += value_hashes[code, 0]
            rows[i, 1] += value_hashes[code, 1]


@nb.njit(cache=True, nogil=True)
def add_word_cells(rows, words, seed):
    """Add to each row's hashes the hash of a cell held in 64 bits (a time, a number)."""
    for i in range(rows.shape[0]):
        rows[i, 0] += mix((words[i] ^ seed) * _M1 + _M2)
        rows[i, 1] += mix((words[i] ^ seed) * _LANE + _M3)


@nb.njit(cache=True, nogil=True)
def sum_user_hashes(rows, shown, offsets, user_hashes):
    """Sum over users of the hash of the user's sequence of rows: two uint64 that add up.

    Within a user the order of rows counts; between users it does not, so neither the number of
    shards nor the order of users changes the sum. Rows that `shown` hides do not take part, and
    a user with no shown row adds nothing.
    """
    low = np.uint64(0)
    high = np.uint64(0)
    for u in range(offsets.size - 1):
        a = user_hashes[u, 0]
        b = user_hashes[u, 1]
        any_row = False
        for i in range(offsets[u], offsets[u + 1]):
            if shown[i]:
                any_row = True
                a = mix(a * _M1 + mix(rows[i, 0]))
                b = mix(b * _LANE + mix(rows[i, 1]))
        if any_row:
            low += mix(a)
            high += mix(b)
    return low, high
