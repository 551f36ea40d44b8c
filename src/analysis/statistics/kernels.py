"""Compiled loops of estimators: how far is a distribution from the nearest one with one hump?"""

from __future__ import annotations

import numba as nb
import numpy as np

_HALVINGS = 16
_ROUNDING = 1e-12


@nb.njit(cache=True, nogil=True)
def dip(at, before, share, least):
    """The smallest distance at which a distribution with one hump fits, by halving.

    Such a distribution is convex up to its hump and concave from there on, and does not fall at the
    hump. Seen from the other end, the concave part is a convex one.

    Parameters
    ----------
    at : where the values lie, ascending. before, share : the share below, and up to there.
    least : the dip is no less.
    """
    size = at.size
    low, high = least, 0.25 + least
    back, back_before, back_share = -at[::-1], 1 - share[::-1], 1 - before[::-1]
    rise, back_rise = np.zeros(size), np.zeros(size)
    for _ in range(_HALVINGS):
        far = (low + high) / 2
        last = _convex_until(at, before, share, far, rise)
        first = size - 1 - _convex_until(back, back_before, back_share, far, back_rise)
        fits = False
        # From the middle of the places outwards: that is where it fits, if anywhere.
        middle = (first + last) // 2
        for i in range(2 * (last - first) + 2):
            hump = middle + ((i + 1) // 2 if i % 2 else -(i // 2))
            if fits or hump < first or hump > last:
                continue
            up = _lowest(at, share, far, rise, hump)
            fits = up + _lowest(back, back_share, far, back_rise, size - 1 - hump) <= 1 + _ROUNDING
        if fits:
            high = far
        else:
            low = far
    return high


@nb.njit(cache=True, nogil=True)
def _convex_until(at, before, share, far, rise):
    """The last place of the hump up to which a convex distribution is `far` at most.

    There is one if the greatest convex line below ``before + far`` is nowhere below
    ``share - far``; the hump itself may be a jump.

    Parameters
    ----------
    rise : is given the least slope of such a distribution after each place.
    """
    corners = np.zeros(at.size, np.int64)
    top = 0
    rise[0] = 0.0
    for i in range(1, at.size):
        if before[i - 1] + far < share[i - 1] - far - _ROUNDING:
            return i - 1
        steepest = 0.0
        for c in range(top + 1):
            j = corners[c]
            steepest = max(steepest, (share[i] - before[j] - 2 * far) / (at[i] - at[j]))
        rise[i] = steepest
        while top > 0:
            a, b = corners[top - 1], corners[top]
            left = (before[b] - before[a]) * (at[i] - at[b])
            if left < (before[i] - before[b]) * (at[b] - at[a]):
                break
            top -= 1
        a = corners[top]
        slope = (before[i] - before[a]) / (at[i] - at[a])
        for k in range(a + 1, i):
            if before[a] + slope * (at[k] - at[a]) + far < share[k] - far - _ROUNDING:
                return i - 1
        top += 1
        corners[top] = i
    return at.size - 1


@nb.njit(cache=True, nogil=True)
def _lowest(at, share, far, rise, hump):
    """The least value at the hump of a convex distribution up to there."""
    lowest = 0.0
    for k in range(hump):
        lowest = max(lowest, share[k] - far + rise[k] * (at[hump] - at[k]))
    return lowest
