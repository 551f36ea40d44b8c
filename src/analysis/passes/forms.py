"""How a form is filled in: one look at the rows of each attempt.

A row is a focus, a change, an error or a submit; all but the submit name a field. Being in a field
lasts from its first row to the next row that is of another field or a submit.
"""

from __future__ import annotations

import numba as nb
import numpy as np

FOCUS, CHANGE, ERROR, SUBMIT = 0, 1, 2, 3
TOUCHED, STOPPED, LAST, REFILLED, FAILED, ERRORS, BLANK = 0, 1, 2, 3, 4, 5, 6
ATTEMPTS, DONE, SUBMITTED, NOTHING, UNTOUCHED = 0, 1, 2, 3, 4


@nb.njit(cache=True, nogil=True)
def fields(kinds, names, times, starts, size):
    """What happens with each field, and how do the attempts end?

    Parameters
    ----------
    kinds : what each row is. names : its field, −1 is none. starts : where attempts start.
    size : number of fields.

    Returns
    -------
    counts : int64 (size, 7), attempts that touched the field; that were given up with it last;
        in which it was last; that changed it again after being elsewhere; that had an error in
        it; its errors; that submitted without ever changing it.
    ends : int64 (5,), attempts; done (the last submit has no error after it); with a submit; with
        a submit before any change; given up without touching a field.
    order, waits, whose : int64, per attempt and field touched: its place among the fields touched
        (from 0), the microseconds in it (−1: it is not known when it was left), and the field.
    """
    counts = np.zeros((size, 7), np.int64)
    ends = np.zeros(5, np.int64)
    order = np.empty(kinds.size, np.int64)
    waits = np.empty(kinds.size, np.int64)
    whose = np.empty(kinds.size, np.int64)
    found = 0
    slot = np.full(size, -1, np.int64)
    changed = np.zeros(size, np.bool_)
    left = np.zeros(size, np.bool_)
    refilled = np.zeros(size, np.bool_)
    failed = np.zeros(size, np.bool_)
    for u in range(starts.size - 1):
        slot[:] = -1
        changed[:] = False
        left[:] = False
        refilled[:] = False
        failed[:] = False
        begin = found
        own = np.int64(-1)
        since = np.int64(0)
        last = np.int64(-1)
        submitted = False
        nothing = False
        done = False
        any_change = False
        for i in range(starts[u], starts[u + 1]):
            kind, f = kinds[i], names[i]
            if kind == ERROR:
                done = False
                if f >= 0:
                    counts[f, ERRORS] += 1
                    failed[f] = True
                    if slot[f] < 0:
                        slot[f] = found
                        order[found], waits[found], whose[found] = found - begin, 0, f
                        found += 1
                continue
            if kind == SUBMIT:
                nothing = nothing or not any_change
                submitted = True
                done = True
            elif f < 0:
                continue
            if own >= 0 and (kind == SUBMIT or f != own):
                waits[slot[own]] += times[i] - since
                left[own] = True
                own = np.int64(-1)
            if kind == SUBMIT:
                continue
            if own < 0:
                own = f
                since = times[i]
            last = f
            if slot[f] < 0:
                slot[f] = found
                order[found], waits[found], whose[found] = found - begin, 0, f
                found += 1
            if kind == CHANGE:
                any_change = True
                refilled[f] = refilled[f] or (changed[f] and left[f])
                changed[f] = True
                left[f] = False
        if own >= 0:
            waits[slot[own]] = -1
        ends[ATTEMPTS] += 1
        ends[DONE] += done
        ends[SUBMITTED] += submitted
        ends[NOTHING] += nothing
        ends[UNTOUCHED] += not done and last < 0
        if last >= 0:
            counts[last, LAST] += 1
            counts[last, STOPPED] += not done
        for f in range(size):
            counts[f, TOUCHED] += slot[f] >= 0
            counts[f, REFILLED] += refilled[f]
            counts[f, FAILED] += failed[f]
            counts[f, BLANK] += submitted and not changed[f]
    return counts, ends, order[:found].copy(), waits[:found].copy(), whose[:found].copy()
