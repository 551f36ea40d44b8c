"""The middle of many numbers that lie in several arrays, without bringing them together.

Numbers are counted in classes that are narrow where numbers are small: a class is what the first
bits of a number as a float say. So one look tells in which class the middle lies, and a second
one fetches the few numbers of that class.
"""

from __future__ import annotations

import numba as nb
import numpy as np

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
