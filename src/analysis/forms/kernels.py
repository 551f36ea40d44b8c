"""Compiled loop over a form's attempts: what happens with each field, and how do they end?

A row is a focus, a change, an error or a submit; all but the submit name a field. A visit of a
field lasts from its first row to the next row that is of another field or a submit. Errors happen
beside the visits: they neither begin nor end one.

Rows of one instant count in the order that helps: errors, then fields, then submits. So an error in
the very instant of a submit does not undo it, and what was filled in then is not blank. Rows of
several fields in one instant stay in the order in which they arrived.
"""

from __future__ import annotations

import numba as nb
import numpy as np

# Kinds of rows.
FOCUS, CHANGE, ERROR, SUBMIT = 0, 1, 2, 3

# Columns of the counts by field, and of those of the ends.
TOUCHED, STOPPED, LAST, REFILLED, FAILED, ERRORS, BLANK = 0, 1, 2, 3, 4, 5, 6
ATTEMPTS, DONE, SUBMITTED, BLANK_SUBMIT, UNTOUCHED, TIED, MIXED = 0, 1, 2, 3, 4, 5, 6

# Columns of the people by end: those who made, finished, gave up and submitted an attempt.
TRIED, FINISHED, GAVE_UP, SENT = 0, 1, 2, 3

# What an attempt's rows come to, as bits of a number.
_IS_DONE, _IS_SUBMITTED, _IS_BLANK, _IS_TIED, _IS_MIXED = 1, 2, 4, 8, 16

# What is known of a field within an attempt: where its time is written (−1: not touched), marks.
_SLOT, _CHANGED, _LEFT, _CHANGED_AGAIN, _HAD_ERROR = 0, 1, 2, 3, 4

# Rows of what is written per attempt and field touched.
_ORDER, _WAIT, _FIELD = 0, 1, 2


@nb.njit(cache=True, nogil=True)
def count_fields(kinds, fields, times, starts, users, later, size):
    """What happens with each field, and how do the attempts end?

    Parameters
    ----------
    kinds : what each row is.
    fields : each row's field, −1 is none.
    times : each row's instant in microseconds.
    starts : where each attempt starts in the rows, and the end of the last.
    users : each attempt's; those of one user are behind one another.
    later : bool per attempt, whether the macro came after it.
    size : number of fields.

    Returns
    -------
    counts : int64 (size, 7), attempts that touched the field; that were given up with it last;
        in which it was last; that changed it again after being elsewhere; that had an error in
        it; its errors; that submitted without ever changing it.
    ends : int64 (2, 7), of all attempts, and of those with the macro later: attempts; done (the
        last submit has no error after it); with a submit; with a submit before any change; given
        up without touching a field; done, or not blank, only if the rows of one instant are in the
        order that helps; and with several fields in one instant.
    people, ended : int64 (size,), users who touched the field; (4,), users by how attempts ended.
    order, waits, touched : int64, per attempt and field touched: how many fields were touched at
        earlier instants, the microseconds in it (−1: it is not known when it was left), and the
        field.
    """
    counts = np.zeros((size, 7), np.int64)
    ends = np.zeros((2, 7), np.int64)
    visits = np.empty((3, kinds.size), np.int64)
    written = 0
    state = np.empty((size, 5), np.int64)
    people, ended = np.zeros(size, np.int64), np.zeros(4, np.int64)
    known, known_end = np.full(size, -1, np.int64), np.full(4, -1, np.int64)
    for u in range(starts.size - 1):
        state[:] = 0
        state[:, _SLOT] = -1
        rows = (starts[u], starts[u + 1])
        written, last, found = _walk(kinds, fields, times, rows, counts, state, visits, written)
        done, submitted = found & _IS_DONE != 0, found & _IS_SUBMITTED != 0
        for k in range(2 if later[u] else 1):
            ends[k, ATTEMPTS] += 1
            ends[k, DONE] += done
            ends[k, SUBMITTED] += submitted
            ends[k, BLANK_SUBMIT] += found & _IS_BLANK != 0
            ends[k, UNTOUCHED] += not done and last < 0
            ends[k, TIED] += found & _IS_TIED != 0
            ends[k, MIXED] += found & _IS_MIXED != 0
        if last >= 0:
            counts[last, LAST] += 1
            counts[last, STOPPED] += not done
        for end in range(4):
            here = (end == TRIED) | ((end == FINISHED) & done) | ((end == GAVE_UP) & (not done))
            if (here | ((end == SENT) & submitted)) and known_end[end] != users[u]:
                known_end[end] = users[u]
                ended[end] += 1
        for f in range(size):
            counts[f, TOUCHED] += state[f, _SLOT] >= 0
            if state[f, _SLOT] >= 0 and known[f] != users[u]:
                known[f] = users[u]
                people[f] += 1
            counts[f, REFILLED] += state[f, _CHANGED_AGAIN]
            counts[f, FAILED] += state[f, _HAD_ERROR]
            counts[f, BLANK] += submitted and not state[f, _CHANGED]
    own = visits[:, :written]
    return counts, ends, people, ended, own[_ORDER].copy(), own[_WAIT].copy(), own[_FIELD].copy()


@nb.njit(cache=True, nogil=True)
def _walk(kinds, fields, times, rows, counts, state, visits, written):
    """Walk through one attempt: count its errors, mark its fields, write its times.

    Returns
    -------
    (fields written so far, the field touched last, what the attempt came to as bits).
    """
    begin = written
    current, since, last = np.int64(-1), np.int64(0), np.int64(-1)
    submitted, blank, done, any_change = False, False, False, False
    # Was the last submit done, and every submit filled in, whatever the order within an instant?
    surely_done, surely_filled, several = False, True, False
    first = rows[0]
    while first < rows[1]:
        stop = first + 1
        while stop < rows[1] and times[stop] == times[first]:
            stop += 1
        place = written - begin
        had_change, own = any_change, np.int64(-1)
        errors, submits = False, False
        for i in range(first, stop):
            if kinds[i] != ERROR:
                submits |= kinds[i] == SUBMIT
                continue
            errors = True
            f = fields[i]
            if f >= 0:
                counts[f, ERRORS] += 1
                state[f, _HAD_ERROR] = 1
                written = _touch(state, visits, f, place, written)
        for i in range(first, stop):
            f = fields[i]
            if kinds[i] == ERROR or kinds[i] == SUBMIT or f < 0:
                continue
            several |= own >= 0 and f != own
            own = last = f
            if f != current:
                if current >= 0:
                    _leave(state, visits, current, times[i] - since)
                current, since = f, times[i]
            written = _touch(state, visits, f, place, written)
            if kinds[i] == CHANGE:
                any_change = True
                state[f, _CHANGED_AGAIN] |= state[f, _CHANGED] & state[f, _LEFT]
                state[f, _CHANGED], state[f, _LEFT] = 1, 0
        if errors:
            done = surely_done = False
        if submits:
            if current >= 0:
                _leave(state, visits, current, times[first] - since)
                current = np.int64(-1)
            blank = blank or not any_change
            surely_filled = surely_filled and had_change
            submitted = done = True
            surely_done = not errors
        first = stop
    if current >= 0:
        visits[_WAIT, state[current, _SLOT]] = -1
    found = done * _IS_DONE + submitted * _IS_SUBMITTED + blank * _IS_BLANK
    hangs = done != surely_done or (submitted and blank == surely_filled)
    return written, last, found + hangs * _IS_TIED + several * _IS_MIXED


@nb.njit(cache=True, nogil=True)
def _leave(state, visits, f, wait):
    """The visit of a field is over, after so many microseconds."""
    visits[_WAIT, state[f, _SLOT]] += wait
    state[f, _LEFT] = 1


@nb.njit(cache=True, nogil=True)
def _touch(state, visits, f, place, written):
    """Write the field with its place, if it is touched for the first time in this attempt."""
    if state[f, _SLOT] >= 0:
        return written
    state[f, _SLOT] = written
    visits[_ORDER, written], visits[_WAIT, written] = place, 0
    visits[_FIELD, written] = f
    return written + 1
