"""What a converter did before the macro conversion: how long before, and what shortly before."""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.correlation.kernels_exposure_layout import NEAR, ORDER, ROW


@nb.njit(cache=True, nogil=True, forceinline=True)
def shortly_before(time, event, session, kind, deeds, span, gap):
    """Note the kinds in the session of the macro conversion, at most `gap` earlier.

    An event at its very instant counts in whichever order the two arrived. `span` is the person's
    first row, the row after the last, and that of the macro conversion.
    """
    start, stop, macro = span
    own, at = session[macro], time[macro]
    if own < 0:
        return
    i = np.uint64(macro + 1)
    while i < stop and time[i] == at:
        i += np.uint64(1)
    while i > start and time[i - np.uint64(1)] >= at - gap:
        i -= np.uint64(1)
        if session[i] == own:
            deeds[NEAR, kind[event[i]]] = np.uint64(1)


@nb.njit(cache=True, nogil=True, forceinline=True)
def wait(time, deeds, found, waits, wait_of, waiting):
    """Append how long it is from the first time of each event to the macro conversion.

    `found` is how many events are known, and the row of the macro conversion. As they stand in the
    order of first times, those that come with it or after it are the last.
    """
    known, macro = found
    for j in range(known):
        ahead = time[macro] - time[deeds[ROW, j]]
        if ahead <= 0:
            break
        waits[waiting] = ahead
        wait_of[waiting] = deeds[ORDER, j]
        waiting += 1
    return waiting


@nb.njit(cache=True, nogil=True)
def by_event(waits, wait_of, asked):
    """The waits event by event, and where those of each begin and end."""
    ends = np.zeros(asked + 1, np.int64)
    for k in wait_of:
        ends[k + 1] += 1
    ends = np.cumsum(ends)
    free = ends.copy()
    out = np.empty(waits.size, np.int64)
    for i in range(waits.size):
        k = wait_of[i]
        out[free[k]] = waits[i]
        free[k] += 1
    return out, ends
