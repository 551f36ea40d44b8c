"""From a start to the first macro conversion: one visit to each user."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def first_conversions(time, event, session, offsets, masks, names, codes, until, sessions):
    """Each user's first start, the first macro at or after it, and the session in which it came.

    A macro at the very instant of the start counts, whichever of the two stands first. What lies
    after `until` is not known to be complete, so it is not looked at.

    Parameters
    ----------
    event : codes; `names` and above are hidden rows. session : codes, −1 is none.
    masks : per user the bits ``code % 64`` of the events they may have.
    codes : (start, macro); a start of −1 is the first row whatever it is, a macro of −1 is none.
    until : the last instant to look at. sessions : number of session codes.

    Returns
    -------
    (rows, waits, numbers, converted) : an entry per user with a start. The row of the start; the
        microseconds to the macro, or else to `until`; the number of the macro's session, counted
        from 1 for that of the start in the order of first rows, 0 where there is none; whether
        there was a macro.
    """
    start, macro = codes
    users = offsets.size - 1
    rows = np.empty(users, np.int64)
    waits = np.empty(users, np.int64)
    numbers = np.zeros(users, np.int32)
    converted = np.zeros(users, np.bool_)
    start_bit = np.uint64(0) if start < 0 else np.uint64(1) << np.uint64(start & 63)
    macro_bit = np.uint64(0) if macro < 0 else np.uint64(1) << np.uint64(macro & 63)
    seen = np.full(sessions, -1, np.int64)
    number_of = np.zeros(sessions, np.int32)
    kept = 0
    for u in range(users):
        if start >= 0 and not masks[u] & start_bit:
            continue
        low, high = offsets[u], offsets[u + 1]
        first = low
        while first < high and not (event[first] == start or (start < 0 and event[first] < names)):
            first += 1
        if first == high or time[first] > until:
            continue
        rows[kept] = first
        waits[kept] = until - time[first]
        done = high
        if masks[u] & macro_bit:
            done = first
            while done > low and time[done - 1] == time[first]:
                done -= 1
            while done < high and event[done] != macro:
                done += 1
        if done < high and time[done] <= until:
            waits[kept] = time[done] - time[first]
            converted[kept] = True
            if session[done] >= 0:
                known = 0
                for i in range(first, max(done, first) + 1):
                    s = session[i]
                    if event[i] < names and s >= 0 and seen[s] != u:
                        seen[s] = u
                        known += 1
                        number_of[s] = known
                if seen[session[done]] != u:
                    known += 1
                    number_of[session[done]] = known
                numbers[kept] = number_of[session[done]]
        kept += 1
    return rows[:kept], waits[:kept], numbers[:kept], converted[:kept]
