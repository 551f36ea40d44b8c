"""What converters did before their macro conversion: how long before, and what shortly before it.

A second visit, to converters only: the others have nothing to wait for, and would pay for it.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def before_macros(time, event, session, offsets, first, bought, kind, asked, gap):
    """Waits from each converter's first time of an event, and who did it shortly before.

    Parameters
    ----------
    session : codes, −1 is none. first, bought : per unit the row at which it enters and that of
        its macro conversion; −1 is none.
    kind : per event code, and one more for hidden rows: 0 … `asked` − 1 are events.
    gap : microseconds that are shortly before.

    Returns
    -------
    (waits, ends, near) : microseconds from the first time to the macro conversion, one for each
        event that a converter did strictly before it, by event: those of k are
        ``waits[ends[k]:ends[k + 1]]``. And of how many converters an event is in the session of
        the macro conversion, at most `gap` earlier or at its instant, in whichever order the two
        arrived.
    """
    seen = np.full(asked + 2, -1, np.int64)
    seen_near = np.full(asked + 2, -1, np.int64)
    near = np.zeros(asked + 2, np.int64)
    room = 1
    for u in range(first.size):
        if bought[u] >= 0:
            room += min(bought[u] - first[u], asked)
    waits = np.empty(room, np.int64)
    events = np.empty(room, kind.dtype)
    waiting = 0
    for u in range(first.size):
        row = bought[u]
        if row < 0:
            continue
        at = time[row]
        i = first[u]
        # What is no first time is written too, and the next takes its place.
        while time[i] < at:
            k = kind[event[i]]
            waits[waiting] = at - time[i]
            events[waiting] = k
            waiting += (k < asked) & (seen[k] != u)
            seen[k] = u
            i += 1
        if session[row] < 0:
            continue
        i = row
        while i + 1 < offsets[u + 1] and time[i + 1] == at:
            i += 1
        while i >= first[u] and time[i] >= at - gap:
            if session[i] == session[row]:
                k = kind[event[i]]
                near[k] += seen_near[k] != u
                seen_near[k] = u
            i -= 1
    by_event, ends = _grouped(waits[:waiting], events[:waiting], asked)
    return by_event, ends, near[:asked]


@nb.njit(cache=True, nogil=True)
def _grouped(waits, events, asked):
    ends = np.zeros(asked + 1, np.int64)
    for k in events:
        ends[k + 1] += 1
    ends = np.cumsum(ends)
    free = ends.copy()
    out = np.empty(waits.size, np.int64)
    for i in range(waits.size):
        k = events[i]
        out[free[k]] = waits[i]
        free[k] += 1
    return out, ends
