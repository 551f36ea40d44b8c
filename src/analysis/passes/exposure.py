"""Who had done what before each cell of time since entry, and who converted in it: one visit a row.

A person's state (how active so far, which events how often) changes at few cell edges, and
between two changes every cell is alike. So nothing loops over cells: a change takes one from the
old state and adds one to the new, at the cell where it takes effect, and the running sum over
cells gives the people at risk. Events count from the first cell that starts strictly after them.

Of those who have not done an event nothing is written: they are everybody less those who have.
"""

from __future__ import annotations

import numba as nb
import numpy as np

NEVER = np.int64(2**62)
LEVELS = 4
ACTIVITY_BINS = 11
MOST_COUNTED = 2 ** (ACTIVITY_BINS - 3) + 1
BINS = np.array([0, *(int(n - 1).bit_length() + 1 for n in range(1, MOST_COUNTED + 1))], np.int64)
"""The bin of a number of context events: 0, 1, 2, 3-4, 5-8, …; the last holds all above 256."""

UNITS, MATURE, CONVERTERS, COUNTED, FIRST_CELL = range(5)
_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def first_shown(event, offsets, names):
    """The first row of each unit whose code is below `names`, or −1."""
    out = np.full(offsets.size - 1, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] < names:
                out[u] = i
                break
    return out


@nb.njit(cache=True, nogil=True)
def second_sessions(time, event, session, offsets, names):
    """When each unit's second session begins, or `NEVER`; rows without a session have no say."""
    out = np.full(offsets.size - 1, NEVER, np.int64)
    for u in range(offsets.size - 1):
        own = np.int64(-1)
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names or session[i] < 0:
                continue
            if own < 0:
                own = np.int64(session[i])
            elif session[i] != own:
                out[u] = time[i]
                break
    return out


@nb.njit(cache=True, nogil=True)
def first_macros(time, event, offsets, masks, first, macro, macro_bits, horizon, covers):
    """The row of each unit's first macro conversion (code `macro`), or −1.

    It counts within `horizon` of the row at which the unit enters, and before `covers`.
    """
    out = np.full(first.size, -1, np.int64)
    for u in range(first.size):
        start = first[u]
        if start < 0 or not masks[u] & macro_bits:
            continue
        for i in range(start, offsets[u + 1]):
            if event[i] == macro:
                if time[i] < min(time[start] + horizon, covers):
                    out[u] = i
                break
    return out


@nb.njit(cache=True, nogil=True)
def shortly_before(time, event, session, offsets, first, bought, kind, asked, gap):
    """How many macro conversions had each event in their session, at most `gap` earlier?

    An event at the instant of the macro conversion counts in whichever order they arrived.
    """
    out = np.zeros(asked, np.int64)
    near = np.zeros(asked, np.bool_)
    for u in range(first.size):
        row = bought[u]
        if row < 0 or session[row] < 0:
            continue
        last = row
        while last + 1 < offsets[u + 1] and time[last + 1] == time[row]:
            last += 1
        near[:] = False
        for i in range(last, first[u] - 1, -1):
            if time[i] < time[row] - gap:
                break
            k = kind[event[i]]
            if k < asked and session[i] == session[row]:
                near[k] = True
        for k in range(asked):
            out[k] += near[k]
    return out


@nb.njit(cache=True, nogil=True)
def observed_cells(entry, horizon, covers, edges):
    """How many cells since `entry` the log covers whole."""
    if covers - entry >= horizon:
        return edges.size - 1
    return max(np.searchsorted(edges, covers - entry, side="right") - 1, 0)


@nb.njit(cache=True, nogil=True)
def count(columns, first, bought, kind, wanted, bounds, edges, strata, tables):
    """Add one shard's people to the tables.

    Parameters
    ----------
    columns : (time, event, offsets, masks) of the shard.
    first, bought : per unit the row at which it enters and that of its first macro conversion;
        −1 is none.
    kind : per event code, and one more for hidden rows: 0 … K − 1 are the events asked about, K
        is context, K + 1 anything else.
    wanted : (K, bits of the events asked about), as in the masks.
    bounds : (horizon, instant up to which the log is complete), in microseconds.
    edges : cells since entry, in microseconds, from 0 to the horizon.
    strata : (group, stratum, turns, binned): numbers per unit; where there are `turns`, a unit is
        in the next group from the first cell that starts after its turn; where `binned`, the
        stratum counted is stratum × bins + bin of activity.
    tables : int arrays that are added to. An event is the last axis of all that have one, because
        what one person has done is written together:
        changes (groups, strata, cells + 1) and done_changes (…, 3, K): of the people at risk from
        one cell to the next, all, and by dose and event; macros and done_macros: alike, those who
        convert in the cell; active (cells, bins, bins, 2): people in trials, and those of them
        with a macro conversion later; trials (…, 2, K): of these, who do the event in the cell,
        and who did it before;
        facts (K, 3): units that did it, and without and with a macro conversion after it;
        totals (5,).

    Returns
    -------
    (waits, events) : microseconds from the first event to the first macro conversion, one for
        each event that a converter did strictly before, and which event it was.
    """
    time, event, offsets, masks = columns
    asked, event_bits = wanted
    horizon, covers = bounds
    group, stratum, turns, binned = strata
    changes, done_changes, macros, done_macros, active, trials, facts, totals = tables
    bins = ACTIVITY_BINS if binned else 1
    # One place in flat tables serves all events of a person; five axes would each be reckoned.
    width, all_strata, doses = edges.size, changes.shape[1], (LEVELS - 1) * asked
    changes, done_changes = changes.reshape(-1), done_changes.reshape(-1)
    macros, done_macros = macros.reshape(-1), done_macros.reshape(-1)
    active, trials = active.reshape(-1), trials.reshape(-1)
    earliest = np.empty(asked, np.int64)
    times = np.zeros(asked, np.int64)
    level = np.zeros(asked, np.int64)
    done = np.empty(asked, kind.dtype)
    waits = np.empty(1024, np.int64)
    wait_of = np.empty(1024, np.int64)
    waiting = 0
    for u in range(first.size):
        start = first[u]
        if start < 0:
            continue
        stop = offsets[u + 1]
        entry = time[start]
        end = min(entry + horizon, covers)
        at_risk = observed_cells(entry, horizon, covers, edges)
        mature = covers - entry >= horizon
        converted = bought[u] >= 0
        counted = False
        totals[UNITS] += 1
        totals[MATURE] += mature
        macro_at = NEVER
        if converted:
            macro_at = time[bought[u]]
            cell = np.searchsorted(edges, macro_at - entry, side="right") - 1
            counted = cell < at_risk
            at_risk = min(cell + 1, at_risk)
            totals[CONVERTERS] += 1
            totals[COUNTED] += counted
            totals[FIRST_CELL] += cell == 0

        # Up to the start of the last cell at risk: states, and trials in the cells before it.
        known = 0
        base = (np.int64(group[u]) * all_strata + np.int64(stratum[u]) * bins) * width
        state = base
        last_start = edges[max(at_risk - 1, 0)]
        if at_risk > 0:
            changes[state] += 1
        next_cell = 1
        total = 0
        inside = 0
        i = start
        while True:
            limit = entry + min(edges[next_cell], last_start)
            while i < stop and time[i] < limit:
                k = kind[event[i]]
                if k >= asked:
                    inside += k == asked
                else:
                    if times[k] == 0:
                        done[known] = k
                        known += 1
                        earliest[k] = time[i]
                    times[k] += 1
                i += 1
            if next_cell < at_risk:
                if inside and mature:
                    a = BINS[min(total, MOST_COUNTED)]
                    b = BINS[min(inside, MOST_COUNTED)]
                    place = (((next_cell - 1) * ACTIVITY_BINS + a) * ACTIVITY_BINS + b) * 2
                    active[place] += 1
                    active[place + 1] += converted
                    place *= 2 * asked
                    for j in range(known):
                        k = done[j]
                        at = place + (asked + k if level[k] else k)
                        trials[at] += 1
                        if converted:
                            trials[at + 2 * asked] += 1
                total += inside
                inside = 0
                new_state = base
                if binned:
                    new_state += BINS[min(total, MOST_COUNTED)] * width
                if turns.size and turns[u] < entry + edges[next_cell]:
                    new_state += all_strata * width
                moved = new_state != state
                if moved:
                    changes[state + next_cell] -= 1
                    changes[new_state + next_cell] += 1
                old_place = (state + next_cell) * doses - asked
                new_place = (new_state + next_cell) * doses - asked
                for j in range(known):
                    k = done[j]
                    old = level[k]
                    new = min(times[k], LEVELS - 1)
                    if moved or new != old:
                        if old:
                            done_changes[old_place + old * asked + k] -= 1
                        done_changes[new_place + new * asked + k] += 1
                        level[k] = new
                state = new_state
            if i >= stop or time[i] - entry >= last_start:
                break
            since = time[i] - entry
            near = min(next_cell + 8, edges.size - 1)
            while next_cell < near and since >= edges[next_cell]:
                next_cell += 1
            if since >= edges[next_cell]:
                next_cell = np.searchsorted(edges, since, side="right")
        if at_risk > 0:
            changes[state + at_risk] -= 1
            macros[state + at_risk - 1] += counted
            for j in range(known):
                k = done[j]
                if level[k]:
                    at = (level[k] - 1) * asked + k
                    done_changes[(state + at_risk) * doses + at] -= 1
                    done_macros[(state + at_risk - 1) * doses + at] += counted

        # To the end of the horizon: who did it at all.
        if masks[u] & event_bits:
            while i < stop and time[i] < end:
                k = kind[event[i]]
                if k < asked and times[k] == 0:
                    done[known] = k
                    known += 1
                    earliest[k] = time[i]
                    times[k] = 1
                i += 1
        for j in range(known):
            k = done[j]
            times[k] = 0
            level[k] = 0
            facts[k, 0] += 1
            if not converted:
                facts[k, 1] += 1
            elif earliest[k] < macro_at:
                facts[k, 2] += 1
                if waiting == waits.size:
                    waits = np.append(waits, np.empty(waits.size, np.int64))
                    wait_of = np.append(wait_of, np.empty(wait_of.size, np.int64))
                waits[waiting] = macro_at - earliest[k]
                wait_of[waiting] = k
                waiting += 1
    return waits[:waiting], wait_of[:waiting]
