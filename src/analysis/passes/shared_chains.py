"""The best chain of one user where one event can match several steps.

The rule is that of `chains`. One event never serves two steps, so the steps and the rows of one
instant are matched: each step is given a row of its own along augmenting paths (Kuhn 1955, *Naval
Research Logistics Quarterly* 2:83), moving steps that have one already.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.passes.plain_chains import NEVER

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True, inline="always")
def has(steps, k):
    """Is step k (counted from 1) in the set?"""
    return (steps >> np.uint64(k - 1)) & _ONE != 0


@nb.njit(cache=True, nogil=True)
def _augment(step, sets, first, last, without, scratch):
    """Give `step` a row of the instant, moving others if need be (Kuhn, without recursion)."""
    owner, tried, path = scratch
    # path[d] is the step to place at depth d; depth d's cursor runs over the instant's rows.
    depth = 0
    path[0, 0] = step
    path[0, 1] = first
    for r in range(first, last):
        tried[r - first] = r == without
    while depth >= 0:
        want = path[depth, 0]
        moved = False
        while path[depth, 1] < last:
            r = path[depth, 1]
            path[depth, 1] += 1
            if tried[r - first] or not has(sets[r], want):
                continue
            tried[r - first] = True
            if owner[r - first] < 0:
                for d in range(depth, -1, -1):
                    owner[path[d, 1] - 1 - first] = path[d, 0]
                return True
            depth += 1
            path[depth, 0] = owner[r - first]
            path[depth, 1] = first
            moved = True
            break
        if not moved:
            depth -= 1
    return False


@nb.njit(cache=True, nogil=True)
def _matches(sets, first, last, low, high, without, scratch):
    """How far steps low, low + 1, … ≤ high can all be given rows of their own: the last of them."""
    owner = scratch[0]
    for r in range(first, last):
        owner[r - first] = -1
    for step in range(low, high + 1):
        if not _augment(step, sets, first, last, without, scratch):
            return step - 1
    return high


@nb.njit(cache=True, nogil=True)
def _instant(latest, sets, first, last, t, edges, strict, scratch):
    """Extend the chains by the rows [first, last) of the instant t.

    `latest` has an entry per step, numbered from 1; `edges` is (window, lo, hi).
    """
    window, lo, hi = edges
    steps = latest.size - 1
    union = np.uint64(0)
    for r in range(first, last):
        union |= sets[r]
    enters = lo <= t < hi
    if not strict and last - first > 1:
        before = latest.copy()
        for i in range(steps - 1, -1, -1):
            start = before[i] if i else t
            if start < t - window or (i == 0 and not enters):
                continue
            far = _matches(sets, first, last, i + 1, steps, -1, scratch)
            for k in range(i + 1, far + 1):
                latest[k] = max(latest[k], start)
    else:
        for k in range(steps, 0, -1):
            if has(union, k):
                if k == 1:
                    if enters:
                        latest[1] = t
                elif latest[k - 1] >= t - window:
                    latest[k] = latest[k - 1]


@nb.njit(cache=True, nogil=True)
def _furthest(latest, rows, sets, m, time, edges, strict, scratch):
    """The furthest step that any chain of these rows reaches, and the first instant of that."""
    latest[:] = NEVER
    steps = latest.size - 1
    best = 0
    end = NEVER
    r = 0
    while r < m:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        _instant(latest, sets, r, stop, t, edges, strict, scratch)
        while best < steps and latest[best + 1] != NEVER:
            best += 1
            end = t
        if best == steps:
            break
        r = stop
    return best, end


@nb.njit(cache=True, nogil=True)
def _step_times(latest, rows, sets, m, time, edges, strict, scratch, reach, times):
    """The earliest time of each step among chains that end where the best one ends."""
    latest[:] = NEVER
    done = 0
    r = 0
    while r < m and done < reach:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if t >= edges[1]:
            _instant(latest, sets, r, stop, t, edges, strict, scratch)
            while done < reach and latest[done + 1] != NEVER:
                done += 1
                times[done - 1] = t
        r = stop


@nb.njit(cache=True, nogil=True)
def _latest_entry(rows, sets, m, time, edges, strict, scratch, reach, times):
    """The position of the latest entry that leaves the times of steps 2, 3, … possible."""
    _, lo, hi = edges
    last = m - 1
    while last >= 0 and time[rows[last]] > times[1]:
        last -= 1
    if not strict and lo <= times[1] < hi:
        first = last
        while first > 0 and time[rows[first - 1]] == times[1]:
            first -= 1
        same = 2
        while same < reach and times[same] == times[1]:
            same += 1
        for r in range(last, first - 1, -1):
            alone = _matches(sets, first, last + 1, 2, same, r, scratch)
            if has(sets[r], 1) and alone == same:
                return r
    for r in range(last, -1, -1):
        t = time[rows[r]]
        if t < times[1] and lo <= t < hi and has(sets[r], 1):
            return r
    return -1


@nb.njit(cache=True, nogil=True)
def choose(latest, rows, sets, m, time, edges, strict, scratch, times):
    """The best chain where steps share events; returns what `plain_chains.choose` returns."""
    reach, end = _furthest(latest, rows, sets, m, time, edges, strict, scratch)
    if reach == 0:
        return 0, -1, False
    if reach == 1:
        times[0] = end
        r = 0
        while time[rows[r]] != end or not has(sets[r], 1):
            r += 1
        return 1, rows[r], False
    near = (edges[0], max(edges[1], end - edges[0]), edges[2])
    _step_times(latest, rows, sets, m, time, near, strict, scratch, reach, times)
    entry = _latest_entry(rows, sets, m, time, near, strict, scratch, reach, times)
    times[0] = time[rows[entry]]
    tied = False
    for k in range(1, reach):
        if times[k] == times[k - 1]:
            far, _ = _furthest(latest, rows, sets, m, time, edges, True, scratch)
            tied = far < reach
            break
    return reach, rows[entry], tied
