"""Cutting a user's rows into sessions."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def by_rules(time, event, offsets, names, gap, days, campaigns):
    """Number each row's session within its user, from 0, by pauses, days and campaigns.

    A session ends with a pause longer than `gap`, at the first instant of a day, and where a row
    names another campaign than the last one named in the session. Hidden rows have no say.

    Parameters
    ----------
    event : codes; `names` and above are hidden rows.
    days : int64 array, instants at which a day starts, ascending; empty: days do not matter.
    campaigns : a code per row, −1 is missing; empty: campaigns do not matter.

    Returns
    -------
    int64 array; a hidden row has the number of the shown row before it, or 0.
    """
    out = np.empty(time.size, np.int64)
    for u in range(offsets.size - 1):
        number = 0
        before = np.int64(-1)
        day = np.int64(0)
        campaign = np.int64(-1)
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names:
                out[i] = number
                continue
            named = np.int64(campaigns[i]) if campaigns.size else np.int64(-1)
            if before < 0:
                day = np.searchsorted(days, time[i], "right")
            else:
                cut = time[i] - time[before] > gap
                if day < days.size and time[i] >= days[day]:
                    day = np.searchsorted(days, time[i], "right")
                    cut = True
                if campaign >= 0 and named >= 0 and named != campaign:
                    cut = True
                if cut:
                    number += 1
                    campaign = np.int64(-1)
            if named >= 0:
                campaign = named
            before = i
            out[i] = number
    return out


@nb.njit(cache=True, nogil=True)
def by_first_seen(visits, offsets, size):
    """Number the visits of each unit, from 0, in the order of their first row.

    Parameters
    ----------
    visits : int64 array, below `size`; −1 is missing and stays so. One visit may be seen in more
        than one unit, and has a number of its own in each.
    """
    out = np.empty(visits.size, np.int64)
    unit_of = np.full(size, -1, np.int64)
    number_of = np.empty(size, np.int64)
    for u in range(offsets.size - 1):
        known = 0
        for i in range(offsets[u], offsets[u + 1]):
            visit = visits[i]
            if visit < 0:
                out[i] = -1
                continue
            if unit_of[visit] != u:
                unit_of[visit] = u
                number_of[visit] = known
                known += 1
            out[i] = number_of[visit]
    return out
