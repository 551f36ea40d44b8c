"""The best chain of one user where no event matches two steps.

The rule is that of `chains`; without shared events there is nothing to match at one instant, so
each row is one step number and each look at the rows is a plain loop.
"""

from __future__ import annotations

import numpy as np

from analysis.funnels.search.kernels_chain_state import reader

NEVER = np.int64(-(2**62))


_ONE = np.uint64(1)


@reader
def _instant_steps(step, first, last):
    """The steps found at one instant, as bits (step k is bit k − 1)."""
    union = np.uint64(0)
    for i in range(first, last):
        union |= _ONE << np.uint64(step[i] - 1)
    return union


@reader
def furthest(latest, rows, step, m, time, edges, strict):
    """The furthest step that any chain of these rows reaches, and the first instant of that.

    `rows[:m]` are row numbers in order, `step[:m]` their steps from 1; `edges` is
    (window, lo, hi): entries are in [lo, hi). `latest` is room for an int64 per step and one.
    """
    window, lo, hi = edges
    latest[:] = NEVER
    steps = latest.size - 1
    best = 0
    end = NEVER
    r = 0
    while r < m and best < steps:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if stop == r + 1:
            k = step[r]
            if k == 1:
                if lo <= t < hi:
                    latest[1] = t
                    if best == 0:
                        best, end = 1, t
            elif latest[k - 1] >= t - window:
                latest[k] = latest[k - 1]
                if k > best:
                    best, end = np.int64(k), t
        else:
            union = _instant_steps(step, r, stop)
            for j in range(1, steps + 1):
                # Strict: later steps first, so that one instant never serves two steps.
                k = steps + 1 - j if strict else j
                if not (union >> np.uint64(k - 1)) & _ONE:
                    continue
                if k == 1:
                    if lo <= t < hi:
                        latest[1] = t
                        if best == 0:
                            best, end = 1, t
                elif latest[k - 1] >= t - window:
                    latest[k] = latest[k - 1]
                    if k > best:
                        best, end = k, t
        r = stop
    return best, end


@reader
def _step_rows(rows, step, m, time, edges, strict, reach, own):
    """The row of each step, at its earliest time: each step's first at or after the one before."""
    _, lo, hi = edges
    done = 0
    r = 0
    while r < m and done < reach:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if t >= lo:
            union = _instant_steps(step, r, stop)
            while done < reach and (union >> np.uint64(done)) & _ONE and (done or t < hi):
                row = r
                while step[row] != done + 1:
                    row += 1
                own[done] = rows[row]
                done += 1
                if strict:
                    break
        r = stop


@reader
def choose(latest, rows, step, m, time, edges, strict, own):
    """The best chain: (reach, does it depend on a tie). Fills `own[:reach]` with its rows."""
    reach, end = furthest(latest, rows, step, m, time, edges, strict)
    if reach == 0:
        return 0, False
    window, lo, hi = edges
    r = m - 1
    if reach == 1:
        # Of several entries at one instant the last to arrive counts.
        while time[rows[r]] != end or step[r] != 1:
            r -= 1
        own[0] = rows[r]
        return 1, False
    near = (window, max(lo, end - window), hi)
    _step_rows(rows, step, m, time, near, strict, reach, own)
    second = time[own[1]]
    while (
        step[r] != 1
        or time[rows[r]] > second
        or time[rows[r]] >= hi
        or (strict and time[rows[r]] == second)
    ):
        r -= 1
    own[0] = rows[r]
    tied = False
    for k in range(1, reach):
        if time[own[k]] == time[own[k - 1]]:
            far, _ = furthest(latest, rows, step, m, time, edges, True)
            tied = far < reach
            break
    return reach, tied
