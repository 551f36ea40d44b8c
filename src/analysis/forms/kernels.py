"""Compiled loop over a form's attempts: what happens with each field, and how do they end?

A row is a focus, a change, an error or a submit; all but the submit name a field. A visit of a
field lasts from its first row to the next row that is of another field or a submit. Errors happen
beside the visits: they neither begin nor end one.
"""

from __future__ import annotations

import numba as nb
import numpy as np

# Kinds of rows.
FOCUS, CHANGE, ERROR, SUBMIT = 0, 1, 2, 3

# Columns of the counts by field, and of those of the ends.
TOUCHED, STOPPED, LAST, REFILLED, FAILED, ERRORS, BLANK = 0, 1, 2, 3, 4, 5, 6
ATTEMPTS, DONE, SUBMITTED, BLANK_SUBMIT, UNTOUCHED = 0, 1, 2, 3, 4

# What is known of a field within an attempt: where its time is written (−1: not touched), marks.
_SLOT, _CHANGED, _LEFT, _CHANGED_AGAIN, _HAD_ERROR = 0, 1, 2, 3, 4

# Rows of what is written per attempt and field touched.
_ORDER, _WAIT, _FIELD = 0, 1, 2


@nb.njit(cache=True, nogil=True)
def count_fields(kinds, fields, times, starts, later, size):
    """What happens with each field, and how do the attempts end?

    Parameters
    ----------
    kinds : what each row is.
    fields : each row's field, −1 is none.
    times : each row's instant in microseconds.
    starts : where each attempt starts in the rows, and the end of the last.
    later : bool per attempt, whether the macro came after it.
    size : number of fields.

    Returns
    -------
    counts : int64 (size, 7), attempts that touched the field; that were given up with it last;
        in which it was last; that changed it again after being elsewhere; that had an error in
        it; its errors; that submitted without ever changing it.
    ends : int64 (2, 5), of all attempts, and of those with the macro later: attempts; done (the
        last submit has no error after it); with a submit; with a submit before any change; given
        up without touching a field.
    order, waits, touched : int64, per attempt and field touched: its place among the fields
        touched (from 0), the microseconds in it (−1: it is not known when it was left), and the
        field.
    """
    counts = np.zeros((size, 7), np.int64)
    ends = np.zeros((2, 5), np.int64)
    visits = np.empty((3, kinds.size), np.int64)
    written = 0
    state = np.empty((size, 5), np.int64)
    for u in range(starts.size - 1):
        state[:] = 0
        state[:, _SLOT] = -1
        rows = (starts[u], starts[u + 1])
        written, last, done, submitted, blank = _walk(
            kinds, fields, times, rows, counts, state, visits, written
        )
        for k in range(2 if later[u] else 1):
            ends[k, ATTEMPTS] += 1
            ends[k, DONE] += done
            ends[k, SUBMITTED] += submitted
            ends[k, BLANK_SUBMIT] += blank
            ends[k, UNTOUCHED] += not done and last < 0
        if last >= 0:
            counts[last, LAST] += 1
            counts[last, STOPPED] += not done
        for f in range(size):
            counts[f, TOUCHED] += state[f, _SLOT] >= 0
            counts[f, REFILLED] += state[f, _CHANGED_AGAIN]
            counts[f, FAILED] += state[f, _HAD_ERROR]
            counts[f, BLANK] += submitted and not state[f, _CHANGED]
    own = visits[:, :written]
    return counts, ends, own[_ORDER].copy(), own[_WAIT].copy(), own[_FIELD].copy()


@nb.njit(cache=True, nogil=True)
def _walk(kinds, fields, times, rows, counts, state, visits, written):
    """Walk through one attempt: count its errors, mark its fields, write its times.

    Returns
    -------
    (fields written so far, the field touched last, done, submitted, submitted before any change).
    """
    begin = written
    current, since, last = np.int64(-1), np.int64(0), np.int64(-1)
    submitted, blank, done, any_change = False, False, False, False
    for i in range(rows[0], rows[1]):
        kind, f = kinds[i], fields[i]
        if kind == ERROR:
            done = False
            if f >= 0:
                counts[f, ERRORS] += 1
                state[f, _HAD_ERROR] = 1
                written = _touch(state, visits, f, begin, written)
            continue
        if kind != SUBMIT and f < 0:
            continue
        if current >= 0 and (kind == SUBMIT or f != current):
            visits[_WAIT, state[current, _SLOT]] += times[i] - since
            state[current, _LEFT] = 1
            current = np.int64(-1)
        if kind == SUBMIT:
            blank = blank or not any_change
            submitted = done = True
            continue
        if current < 0:
            current, since = f, times[i]
        last = f
        written = _touch(state, visits, f, begin, written)
        if kind == CHANGE:
            any_change = True
            state[f, _CHANGED_AGAIN] |= state[f, _CHANGED] & state[f, _LEFT]
            state[f, _CHANGED], state[f, _LEFT] = 1, 0
    if current >= 0:
        visits[_WAIT, state[current, _SLOT]] = -1
    return written, last, done, submitted, blank


@nb.njit(cache=True, nogil=True)
def _touch(state, visits, f, begin, written):
    """Write the field, if it is touched for the first time in this attempt."""
    if state[f, _SLOT] >= 0:
        return written
    state[f, _SLOT] = written
    visits[_ORDER, written], visits[_WAIT, written] = written - begin, 0
    visits[_FIELD, written] = f
    return written + 1
