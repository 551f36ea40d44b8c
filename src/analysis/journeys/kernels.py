"""Compiled loops over sequences: what follows what, where, which paths, which order, how far?

`sequences` puts the rows of each unit (a session, a user) behind one another. The two kernels of
transitions read the rows themselves, and so need no copy of them. All others read the output of
`sequences`: ``codes`` (the group of each row, from 0 to ``groups`` − 1), ``times`` in microseconds,
``starts`` (where each sequence begins in them, and the end of the last) and ``users`` (each
sequence's; those of one user are behind one another). Every sequence has at least one row.

A path is one whole number: its events are the digits to the base ``groups`` + 2, with 0 for nothing
and ``groups`` + 1 for the beginning of a sequence.

Rows of one instant lie in the order in which they arrived, which says nothing of what people did.
An instant of a sequence is *mixed* where it holds rows of several groups: what is read from the
order of rows hangs on arrival there. The kernels that read it count how often (`mixed` marks the
rows); `orders` and `distances` do not read it.
"""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def sequences(event, session, offsets, lut):
    """The rows of each unit, behind one another, in the order of time and arrival.

    Parameters
    ----------
    session : codes, −1 is none (the row is left out); empty: a user's rows are one sequence.
    lut : group of each event code; −1 leaves the row out.

    Returns
    -------
    (rows, starts, users) : row numbers; where each sequence starts in them, and their end; each
        sequence's user. Sequences of one user are in the order of their first row.
    """
    rows = np.empty(event.size, np.int64)
    starts = np.empty(event.size + 1, np.int64)
    users = np.empty(event.size, np.int64)
    split = session.size > 0
    size = 1
    for i in range(session.size):
        size = max(size, np.int64(session[i]) + 1)
    user_of = np.full(size, -1, np.int64)
    number_of = np.zeros(size, np.int64)
    most = 1
    for u in range(offsets.size - 1):
        most = max(most, offsets[u + 1] - offsets[u])
    place = np.zeros(most, np.int64)
    done = 0
    found = 0
    for u in range(offsets.size - 1):
        known = 0
        for i in range(offsets[u], offsets[u + 1]):
            s = np.int64(session[i]) if split else np.int64(0)
            if lut[event[i]] < 0 or s < 0:
                continue
            if user_of[s] != u:
                user_of[s] = u
                number_of[s] = known
                place[known] = 0
                known += 1
            place[number_of[s]] += 1
        for k in range(known):
            starts[found + k] = done
            users[found + k] = u
            size_of = place[k]
            place[k] = done
            done += size_of
        for i in range(offsets[u], offsets[u + 1]):
            s = np.int64(session[i]) if split else np.int64(0)
            if lut[event[i]] < 0 or s < 0:
                continue
            k = number_of[s]
            rows[place[k]] = i
            place[k] += 1
        found += known
    starts[found] = done
    return rows[:done].copy(), starts[: found + 1].copy(), users[:found].copy()


@nb.njit(cache=True, nogil=True)
def mixed(codes, times, starts):
    """Which rows share their instant with a row of another group of their sequence? A mask."""
    out = np.zeros(codes.size, np.bool_)
    for u in range(starts.size - 1):
        first = starts[u]
        different = False
        for i in range(starts[u] + 1, starts[u + 1]):
            if times[i] != times[i - 1]:
                first, different = i, False
                continue
            if different:
                out[i] = True
            elif codes[i] != codes[i - 1]:
                different = True
                out[first : i + 1] = True
    return out


@nb.njit(cache=True, nogil=True)
def _walk(time, event, session, sessions, offsets, lut, groups, place, measured):
    """Count every row with its predecessor, or measure the time between if `measured` is set.

    A row's predecessor is the last shown row of its session, or of its user where `session` is
    empty. Sessions of one user may overlap (two devices at once), so the last row of each is
    remembered; it is only looked up where the session changes.

    One loop serves both kernels. The branch goes the same way for every row, so it costs nothing;
    a generator that both went through would be fifty times as slow.

    Returns
    -------
    (cells, people, out, tied) : transitions or users by pair; users by group (measured only); the
        times between (measured only); departures into, within and out of mixed instants (counted
        only).
    """
    cells = np.zeros((groups + 1, groups), np.int64)
    seen = np.full((groups + 1, groups), -1, np.int64)
    people = np.zeros(groups + 1, np.int64)
    known = np.full(groups + 1, -1, np.int64)
    out = np.empty(event.size if measured else 0, np.int64)
    split = session.size > 0
    last = np.full(sessions if split else 0, -1, np.int64)
    # Of each session's last instant: its rows, whether it is mixed, whether the one before was.
    instants = np.zeros((sessions if split else 0, 3), np.int64)
    tied = np.int64(0)
    for u in range(offsets.size - 1):
        begin = offsets[u]
        before, f, own = np.int64(-1), np.int64(groups), np.int64(-1)
        rows, several, earlier = np.int64(0), np.int64(0), np.int64(0)
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
                        instants[own, 0], instants[own, 1] = rows, several
                        instants[own, 2] = earlier
                    before = last[s]
                    f = groups
                    rows, several, earlier = np.int64(0), np.int64(0), np.int64(0)
                    if before >= begin:
                        f = lut[event[before]]
                        rows, several, earlier = instants[s, 0], instants[s, 1], instants[s, 2]
                    own = s
            if not measured:
                cells[f, g] += 1
                if rows > 0 and time[i] == time[before]:
                    if several:
                        tied += 1
                    elif f != g:
                        # The departures within it so far, the one into it, and the one out of it.
                        tied += rows + 1 + (1 - earlier)
                        several = np.int64(1)
                    rows += 1
                else:
                    earlier, several, rows = several, np.int64(0), np.int64(1)
            else:
                if seen[f, g] != u:
                    seen[f, g] = u
                    cells[f, g] += 1
                if known[g] != u:
                    known[g] = u
                    people[g] += 1
                if f < groups:
                    out[place[f, g]] = time[i] - time[before]
                    place[f, g] += 1
                elif known[f] != u:
                    known[f] = u
                    people[f] += 1
            before, f = i, g
    return cells, people, out, tied


@nb.njit(cache=True, nogil=True)
def transition_counts(time, event, session, sessions, offsets, lut, groups):
    """How often does each group of events follow each other?

    Parameters
    ----------
    session : codes below `sessions`, −1 is none (the row is left out); empty: a user's rows are
        one sequence.
    lut : group of each event code; −1 leaves the row out, as it must for hidden rows.

    Returns
    -------
    (cells, tied) : int64 (groups + 1, groups), transitions from a row's group to a column's; the
        last row counts the groups that sequences start with. Then how many departures, starts and
        ends among them, lead into, within or out of a mixed instant: others, if its rows had
        arrived in another order.
    """
    place = np.empty((0, 0), np.int64)
    walked = _walk(time, event, session, sessions, offsets, lut, groups, place, False)
    return walked[0], walked[3]


@nb.njit(cache=True, nogil=True)
def transition_gaps(time, event, session, sessions, offsets, lut, groups, place):
    """How long does each transition take, and with how many people does it happen?

    Parameters
    ----------
    place : int64 (groups, groups), where the gaps of each pair start; it is moved to their ends.
        The other parameters are those of `transition_counts`.

    Returns
    -------
    (users, people, gaps) : int64 (groups + 1, groups), users with at least one transition, in the
        cells of `transition_counts`; (groups + 1,), users with a departure from the group; and the
        microseconds between the two events, by pair, from the places in `place` on.
    """
    walked = _walk(time, event, session, sessions, offsets, lut, groups, place, True)
    return walked[0], walked[1], walked[2]


@nb.njit(cache=True, nogil=True)
def collapsed(codes, starts):
    """Replace each run of one code by its first row: (places kept, new starts)."""
    kept = np.empty(codes.size, np.int64)
    out = np.empty(starts.size, np.int64)
    m = 0
    for u in range(starts.size - 1):
        out[u] = m
        for i in range(starts[u], starts[u + 1]):
            if i == starts[u] or codes[i] != codes[i - 1]:
                kept[m] = i
                m += 1
    out[starts.size - 1] = m
    return kept[:m].copy(), out


@nb.njit(cache=True, nogil=True)
def positions(codes, starts, users, hanging, groups, anchor, steps, back):
    """How many sequences are where, counted from an event on or back from it?

    Parameters
    ----------
    hanging : as `mixed` marks the rows.
    anchor : the group to count from, at its first row in a sequence; −1: the sequence's first row.
    back : count back from the anchor.

    Returns
    -------
    (counts, anchored, people, tied) : int64 (steps + 1, groups + 1), sequences by distance from
        the anchor and group; the last column is for those that are over, or had not begun. Then
        how many have the anchor, of how many users they are, and how many of them have a mixed
        instant at one of the positions.
    """
    counts = np.zeros((steps + 1, groups + 1), np.int64)
    anchored = 0
    people, known = 0, -1
    tied = 0
    for u in range(starts.size - 1):
        at = starts[u]
        while anchor >= 0 and at < starts[u + 1] and codes[at] != anchor:
            at += 1
        if at == starts[u + 1]:
            continue
        anchored += 1
        people += users[u] != known
        known = users[u]
        hangs = False
        for k in range(steps + 1):
            i = at - k if back else at + k
            inside = starts[u] <= i < starts[u + 1]
            counts[k, codes[i] if inside else groups] += 1
            hangs |= inside and hanging[i]
        tied += hangs
    return counts, anchored, people, tied


@nb.njit(cache=True, nogil=True)
def _bounds(codes, first, last, start, to):
    """Where a journey begins, where it reaches `to` (or the end), and whether it reaches it."""
    at = first
    while start >= 0 and at < last and codes[at] != start:
        at += 1
    end = at + 1 if start >= 0 else at
    end = min(end, last)
    while end < last and codes[end] != to:
        end += 1
    return at, end, end < last


@nb.njit(cache=True, nogil=True)
def _extended(key, code, number, length, base, forward):
    """The path with one more event; backward, it drops the event that lies too far back."""
    if forward:
        return key * base + code + 1 if number < length else key
    return (key % base ** (length - 1)) * base + code + 1


@nb.njit(cache=True, nogil=True)
def path_keys(codes, starts, hanging, groups, start, to, length, forward):
    """Which path does each sequence take, from its beginning on or right before it reaches `to`?

    Parameters
    ----------
    hanging : as `mixed` marks the rows.
    start : the group whose first row begins the journey; −1: the sequence's first row.
    to : the group that ends it, not part of the path; −1: none.
    forward : take the first `length` events from the beginning; else the last `length` before
        `to`, of the sequences that reach it.

    Returns
    -------
    (keys, looked_at, tied) : int64 array, a path per sequence; −1 for a sequence without the
        start, or, backward, for one that never reaches `to`. Then how many sequences have the start
        (all, without one), and how many of these have a mixed instant in what their paths are read
        from: forward the first `length` events, backward all until `to`.
    """
    base = np.int64(groups + 2)
    out = np.full(starts.size - 1, -1, np.int64)
    looked_at = 0
    tied = 0
    for u in range(starts.size - 1):
        at, end, reached = _bounds(codes, starts[u], starts[u + 1], start, to)
        if start >= 0 and at == starts[u + 1]:
            continue
        looked_at += 1
        until = min(end + reached, at + length) if forward else end + reached
        tied += hanging[at:until].any()
        if not (forward or reached):
            continue
        key = np.int64(0) if forward else np.int64(groups + 1)
        for i in range(at, end):
            key = _extended(key, codes[i], i - at, length, base, forward)
        out[u] = key
    return out, looked_at, tied


@nb.njit(cache=True, nogil=True)
def path_counts(codes, starts, groups, start, to, length, forward, wanted):
    """How many sequences go through each wanted path, and how many of them then reach `to`?

    Parameters
    ----------
    wanted : paths in ascending order. The other parameters are those of `path_keys`.

    Returns
    -------
    int64 (wanted, 2) : sequences that went through it before `to`, and those that reached `to`.
    """
    base = np.int64(groups + 2)
    out = np.zeros((wanted.size, 2), np.int64)
    seen = np.full(wanted.size, -1, np.int64)
    for u in range(starts.size - 1):
        at, end, reached = _bounds(codes, starts[u], starts[u + 1], start, to)
        if start >= 0 and at == starts[u + 1]:
            continue
        key = np.int64(0) if forward else np.int64(groups + 1)
        # The beginning alone is a path, too: backward as its own digit, forward as no event.
        for i in range(at - 1, end):
            if i >= at:
                if forward and i - at >= length:
                    break
                key = _extended(key, codes[i], i - at, length, base, forward)
            k = np.searchsorted(wanted, key)
            if k < wanted.size and wanted[k] == key and seen[k] != u:
                seen[k] = u
                out[k, 0] += 1
                out[k, 1] += reached
    return out


@nb.njit(cache=True, nogil=True)
def orders(codes, times, starts, users, groups):
    """Which of two groups comes first, among the sequences that have both?

    Returns
    -------
    (has, first, same, both, apart) : int64 (groups,), sequences with the group; (groups, groups),
        sequences in which the row's group first occurs strictly before the column's; and at the
        same instant; users with a sequence that has both; and both at different instants.
    """
    has = np.zeros(groups, np.int64)
    first = np.zeros((groups, groups), np.int64)
    same = np.zeros((groups, groups), np.int64)
    both = np.zeros((groups, groups), np.int64)
    apart = np.zeros((groups, groups), np.int64)
    with_both = np.full((groups, groups), -1, np.int64)
    with_order = np.full((groups, groups), -1, np.int64)
    seen = np.full(groups, -1, np.int64)
    own = np.empty(groups, np.int64)
    at = np.empty(groups, np.int64)
    for u in range(starts.size - 1):
        known = 0
        for i in range(starts[u], starts[u + 1]):
            g = codes[i]
            if seen[g] == u:
                continue
            seen[g] = u
            has[g] += 1
            for k in range(known):
                a, b = min(own[k], g), max(own[k], g)
                if with_both[a, b] != users[u]:
                    with_both[a, b] = users[u]
                    both[a, b] += 1
                    both[b, a] += 1
                if at[k] == times[i]:
                    same[a, b] += 1
                    same[b, a] += 1
                    continue
                first[own[k], g] += 1
                if with_order[a, b] != users[u]:
                    with_order[a, b] = users[u]
                    apart[a, b] += 1
                    apart[b, a] += 1
            own[known] = g
            at[known] = times[i]
            known += 1
    return has, first, same, both, apart


@nb.njit(cache=True, nogil=True)
def distances(codes, times, starts, users, groups, macro):
    """How many rows and how long is it from each group's last row to the first macro?

    Rows at the macro's instant count as before it, and of the rows at another instant each counts
    as the last there: rows of one instant are in the order that brings them nearest to the macro.

    Returns
    -------
    totals : int64 (2,), how many sequences have the macro, and how many of these have another group
        at the macro's instant.
    did, converted : int64 (groups,), how many sequences had the group before any macro, and how
        many of these then came to the macro.
    people : int64 (2, groups), how many users made the sequences of `did` and of `converted`; the
        macro's column counts the users with the macro.
    before, steps, waits : an entry for each converted sequence and group that it had: the group,
        the rows to the macro (1 is right before it) and the microseconds to it.
    """
    totals = np.zeros(2, np.int64)
    did = np.zeros(groups, np.int64)
    converted = np.zeros(groups, np.int64)
    people = np.zeros((2, groups), np.int64)
    known = np.full((2, groups), -1, np.int64)
    total = 0
    before = np.empty(codes.size, np.int64)
    steps = np.empty(codes.size, np.int64)
    waits = np.empty(codes.size, np.int64)
    # Of each group: the start of the instant of its last row, and the end.
    last = np.full(groups, -1, np.int64)
    after = np.zeros(groups, np.int64)
    for u in range(starts.size - 1):
        reached = False
        first, stop = starts[u], starts[u]
        while stop < starts[u + 1] and not reached:
            first = stop
            while stop < starts[u + 1] and times[stop] == times[first]:
                reached |= codes[stop] == macro
                stop += 1
            for i in range(first, stop):
                last[codes[i]], after[codes[i]] = first, stop
        if reached:
            totals[0] += 1
            people[1, macro] += known[1, macro] != users[u]
            known[1, macro] = users[u]
        together = False
        for g in range(groups):
            if last[g] < starts[u] or g == macro:
                continue
            did[g] += 1
            people[0, g] += known[0, g] != users[u]
            known[0, g] = users[u]
            if reached:
                converted[g] += 1
                people[1, g] += known[1, g] != users[u]
                known[1, g] = users[u]
                together |= last[g] == first
                before[total] = g
                steps[total] = max(first - after[g], 0) + 1
                waits[total] = times[first] - times[last[g]]
                total += 1
        totals[1] += together
    before, steps, waits = before[:total].copy(), steps[:total].copy(), waits[:total].copy()
    return totals, did, converted, people, before, steps, waits
