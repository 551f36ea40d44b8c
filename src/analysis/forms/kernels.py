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


# What is known of a field within an attempt: its place among those touched (−1: none) and marks.
_SLOT, _CHANGED, _LEFT, _AGAIN, _WRONG = 0, 1, 2, 3, 4


_ORDER, _WAIT, _WHOSE = 0, 1, 2


@nb.njit(cache=True, nogil=True)
def fields(kinds, names, times, starts, later, size):
    """What happens with each field, and how do the attempts end?

    Parameters
    ----------
    kinds : what each row is. names : its field, −1 is none. starts : where attempts start.
    later : bool per attempt, whether the macro came after it. size : number of fields.

    Returns
    -------
    counts : int64 (size, 7), attempts that touched the field; that were given up with it last;
        in which it was last; that changed it again after being elsewhere; that had an error in
        it; its errors; that submitted without ever changing it.
    ends : int64 (2, 5), of all attempts, and of those with the macro later: attempts; done (the
        last submit has no error after it); with a submit; with a submit before any change; given
        up without touching a field.
    order, waits, whose : int64, per attempt and field touched: its place among the fields touched
        (from 0), the microseconds in it (−1: it is not known when it was left), and the field.
    """
    counts = np.zeros((size, 7), np.int64)
    ends = np.zeros((2, 5), np.int64)
    visits = np.empty((3, kinds.size), np.int64)
    found = 0
    known = np.empty((size, 5), np.int64)
    for u in range(starts.size - 1):
        known[:] = 0
        known[:, _SLOT] = -1
        rows = (starts[u], starts[u + 1])
        found, last, done, submitted, nothing = _attempt(
            kinds, names, times, rows, counts, known, visits, found
        )
        for k in range(2 if later[u] else 1):
            ends[k, ATTEMPTS] += 1
            ends[k, DONE] += done
            ends[k, SUBMITTED] += submitted
            ends[k, NOTHING] += nothing
            ends[k, UNTOUCHED] += not done and last < 0
        if last >= 0:
            counts[last, LAST] += 1
            counts[last, STOPPED] += not done
        for f in range(size):
            counts[f, TOUCHED] += known[f, _SLOT] >= 0
            counts[f, REFILLED] += known[f, _AGAIN]
            counts[f, FAILED] += known[f, _WRONG]
            counts[f, BLANK] += submitted and not known[f, _CHANGED]
    own = visits[:, :found]
    return counts, ends, own[_ORDER].copy(), own[_WAIT].copy(), own[_WHOSE].copy()


@nb.njit(cache=True, nogil=True)
def _attempt(kinds, names, times, rows, counts, known, visits, found):
    """One attempt, row by row; errors are counted, fields are marked, visits are written.

    Returns
    -------
    (visits written so far, the field touched last, done, submitted, submitted before any change).
    """
    begin = found
    own, since, last = np.int64(-1), np.int64(0), np.int64(-1)
    submitted, nothing, done, any_change = False, False, False, False
    for i in range(rows[0], rows[1]):
        kind, f = kinds[i], names[i]
        if kind == ERROR:
            done = False
            if f >= 0:
                counts[f, ERRORS] += 1
                known[f, _WRONG] = 1
                found = _met(known, visits, f, begin, found)
            continue
        if kind != SUBMIT and f < 0:
            continue
        if own >= 0 and (kind == SUBMIT or f != own):
            visits[_WAIT, known[own, _SLOT]] += times[i] - since
            known[own, _LEFT] = 1
            own = np.int64(-1)
        if kind == SUBMIT:
            nothing = nothing or not any_change
            submitted = done = True
            continue
        if own < 0:
            own, since = f, times[i]
        last = f
        found = _met(known, visits, f, begin, found)
        if kind == CHANGE:
            any_change = True
            known[f, _AGAIN] |= known[f, _CHANGED] & known[f, _LEFT]
            known[f, _CHANGED], known[f, _LEFT] = 1, 0
    if own >= 0:
        visits[_WAIT, known[own, _SLOT]] = -1
    return found, last, done, submitted, nothing


@nb.njit(cache=True, nogil=True)
def _met(known, visits, f, begin, found):
    """Write a visit of the field, if it is the first one of the attempt."""
    if known[f, _SLOT] >= 0:
        return found
    known[f, _SLOT] = found
    visits[_ORDER, found], visits[_WAIT, found], visits[_WHOSE, found] = found - begin, 0, f
    return found + 1
