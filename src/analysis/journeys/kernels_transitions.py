"""What comes right after what: one look at the rows, one cell per pair of events.

A row's predecessor is the last shown row of its line: of its session, or of its user where the
session codes are empty. Sessions of one user may overlap (two devices at once), so the last row of
each is remembered; that is only looked up where the session changes.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def _walk(time, event, session, sessions, offsets, lut, groups, place, measured):
    """Every row after its predecessor: counted, or measured where `measured` is set.

    One walk for both passes; the branch goes the same way for every row, so it costs nothing. (A
    generator that both would go through is fifty times as slow.)
    """
    cells = np.zeros((groups + 1, groups), np.int64)
    seen = np.full((groups + 1, groups), -1, np.int64)
    out = np.empty(event.size if measured else 0, np.int64)
    split = session.size > 0
    last = np.full(sessions if split else 0, -1, np.int64)
    for u in range(offsets.size - 1):
        begin = offsets[u]
        before, f, own = np.int64(-1), np.int64(groups), np.int64(-1)
        for i in range(begin, offsets[u + 1]):
            g = lut[event[i]]
            if g < 0:
                continue
            if split:
                s = np.int64(session[i])
                if s < 0:
                    continue
                if s != own:
                    if own >= 0:
                        last[own] = before
                    before = last[s]
                    f = lut[event[before]] if before >= begin else groups
                    own = s
            if not measured:
                cells[f, g] += 1
            elif seen[f, g] != u:
                seen[f, g] = u
                cells[f, g] += 1
            if measured and f < groups:
                out[place[f, g]] = time[i] - time[before]
                place[f, g] += 1
            before, f = i, g
    return cells, out


@nb.njit(cache=True, nogil=True)
def counts(event, session, sessions, offsets, lut, groups):
    """How often does each group of events follow each other?

    Parameters
    ----------
    session : codes below `sessions`, −1 is none (the row is left out); empty: a user's rows are
        one line.
    lut : group of each event code; −1 leaves the row out, as it must for hidden rows.

    Returns
    -------
    int64 (groups + 1, groups): transitions from a row's group to a column's; the last row is what
    lines start with.
    """
    none = np.empty(0, np.int64)
    place = np.empty((0, 0), np.int64)
    return _walk(none, event, session, sessions, offsets, lut, groups, place, False)[0]


@nb.njit(cache=True, nogil=True)
def gaps(time, event, session, sessions, offsets, lut, groups, place):
    """How long does each transition take, and with how many people does it happen?

    Parameters
    ----------
    place : int64 (groups, groups), where the gaps of each pair start; it is moved to their ends.
        The others are those of `counts`.

    Returns
    -------
    (users, gaps) : int64 (groups + 1, groups), users with at least one transition, as `counts` has
        them; and the microseconds between the two events, by pair as `place` says.
    """
    return _walk(time, event, session, sessions, offsets, lut, groups, place, True)
