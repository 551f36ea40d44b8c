"""Which cell of time since entry an instant lies in: a look, where a search would guess wrong.

A binary search is a chain of branches that nobody can foresee. Here the leading bits of a time
name a cell that does not lie behind it, and the right one is mostly no step away: leading bits
are fine where times are short, and so are the cells of the first minutes.
"""

from __future__ import annotations

import numba as nb
import numpy as np

# Of a float64's 52 bits of fraction 6 stay: 64 steps from 2^n to 2^(n + 1).
_DROPPED = np.int64(46)


_LEAST = np.int64(np.float64(1).view(np.int64) >> 46)


_STEPS = 8


@nb.njit(cache=True, nogil=True, forceinline=True)
def _leading_bits(since):
    """A number that grows with `since` ≥ 0, from 0."""
    return (np.float64(since + 1).view(np.int64) >> _DROPPED) - _LEAST


@nb.njit(cache=True, nogil=True)
def with_guesses(edges):
    """`edges`, and behind them per leading bits of a time a cell that does not lie behind it."""
    guesses = np.zeros(_leading_bits(edges[-1]) + 1, np.int64)
    for cell in range(edges.size - 1):
        guesses[_leading_bits(edges[cell]) + 1 :] = cell
    return np.concatenate((edges, guesses))


@nb.njit(cache=True, nogil=True, forceinline=True)
def cell_of(since, cells, width):
    """The cell of `since`, at least 0 and before the last edge.

    `cells` are the `width` edges `with_guesses`.
    """
    low = cells[width + _leading_bits(since)]
    step = 1
    while low + step < width and since >= cells[low + step]:
        low += step
        step *= 2
    while step > 1:
        step //= 2
        if low + step < width and since >= cells[low + step]:
            low += step
    return low
