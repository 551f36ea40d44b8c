"""How many units had done what before each cell, and converted in it? The compiled loops.

Time since a unit's entry is cut into cells. A unit's state (how active so far, which events how
often) changes at few cell edges, and between two changes every cell is alike. So nothing loops over
cells: a change takes one from the old state and adds one to the new state, at the cell where it
takes effect, and the running sum over cells gives the people at risk. Events count from the first
cell that starts strictly after them. Each row is visited once. Nothing is counted of those who
have not done an event: they are everybody less those who have.

A branch that the processor predicts wrongly costs as much as ten additions. So rows are walked
without branches (`_walk`), and what need not be counted is counted where nobody reads: at level 0,
and in one cell more than there are.

No loop here decides what is asked: `plan.py` says which events, cells, groups and strata, and
`counts.py` calls the loops in this order.

1. Entry: `first_shown` (the row with which a unit enters), `second_sessions` (from when on it is
   returning).
2. Cells: `with_guesses` prepares the edges, `cell_of` finds the cell of an instant.
3. Counts: `no_counts` lays out the tables, `count` adds the units of one shard to them.
4. Instants, for the questions that need one: `first_macros` (the macro conversion), `first_times`
   (the first time of each event).
5. Rows: `rows_at_risk` and `fill` write one row per unit and cell at risk. They look at every cell
   of everybody, and share nothing with `count` but the definitions, so that each can check the
   other.
"""

from __future__ import annotations

import itertools
import math
from typing import NamedTuple

import numba as nb
import numpy as np

NEVER = np.int64(2**62)
"""Later than any instant, in microseconds; far enough from the largest int64 to subtract from."""

N_LEVELS = 4
"""How often an event was done before has so many levels: 0, 1, 2, 3 times and more."""

ACTIVITY_BINS = 11

MOST_COUNTED = 2 ** (ACTIVITY_BINS - 3) + 1

BINS = np.array([0, *(int(n - 1).bit_length() + 1 for n in range(1, MOST_COUNTED + 1))], np.int64)
"""The bin of a number of context events: 0, 1, 2, 3-4, 5-8, …; the last holds all above 256."""


# 1. Entry


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
    """When each unit's second session begins, or `NEVER`; rows without a session are ignored."""
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


# 2. Cells
#
# A binary search is a chain of branches that nobody can predict. Here the leading bits of a time
# name a cell that does not lie behind it, and mostly it is the right one: leading bits are fine
# where times are short, and so are the cells of the first minutes.

# Of a float64's 52 bits of fraction 6 stay: 64 steps from 2^n to 2^(n + 1).
_DROPPED = np.int64(46)
_LEAST = np.int64(np.float64(1).view(np.int64) >> 46)


@nb.njit(cache=True, nogil=True, forceinline=True)
def _leading_bits(since):
    """A number that grows with `since` ≥ 0, from 0."""
    return (np.float64(since + 1).view(np.int64) >> _DROPPED) - _LEAST


@nb.njit(cache=True, nogil=True)
def with_guesses(edges):
    """`edges`, and behind them, per leading bits of a time, a cell that does not lie behind it."""
    guesses = np.zeros(_leading_bits(edges[-1]) + 1, np.int64)
    for cell in range(edges.size - 1):
        guesses[_leading_bits(edges[cell]) + 1 :] = cell
    return np.concatenate((edges, guesses))


@nb.njit(cache=True, nogil=True, forceinline=True)
def cell_of(since, cells, width):
    """The cell of `since`, at least 0 and before the last edge.

    `cells` are the `width` edges `with_guesses`.
    """
    low = cells[width + _leading_bits(since)]
    step = 1
    while low + step < width and since >= cells[low + step]:
        low += step
        step *= 2
    while step > 1:
        step //= 2
        if low + step < width and since >= cells[low + step]:
            low += step
    return low


# 3. Counts: how they lie in memory

TIMES, ORDER, ROW, LEVEL, NEAR, RECENT_LINES = range(6)
"""Lines of `recent`, the recent events of one person. By kind of event: how often it was done
(`TIMES`), and whether shortly before the macro conversion (`NEAR`). By the order of first times:
the event (`ORDER`), its row (`ROW`), and the level of it that the tables have (`LEVEL`)."""

UNITS, MATURE, CONVERTERS, COUNTED, FIRST_CELL = range(5)
"""Places of `CountTables.totals`."""

# Unsigned, because a signed index may count from the end, which costs a test each time.
_NONE, _ONE, _HIGHEST = np.uint64(0), np.uint64(1), np.uint64(N_LEVELS - 1)


class Layout(NamedTuple):
    """What is asked, and where in one array of counts each table begins.

    `asked` is K; `width` cells + 1; `strata` all of them, with bins of activity where `binned`.
    The tables lie in one array, because numba counts the references to every array at every use.
    """

    asked: int
    width: int
    groups: int
    strata: int
    binned: bool
    totals: int
    did: int
    changes: int
    macros: int
    done_changes: int
    done_macros: int
    active: int
    trials: int
    shortly: int


class CountTables(NamedTuple):
    """The tables in an array of counts, int32.

    Where a table has an axis of events, it is the last one, because all that one person has done
    is written together.

    totals (5,); did (2, K): units that did it, without and with a macro conversion.
    changes (groups, strata, cells + 1) and done_changes (…, 4, K): of the people at risk from one
    cell to the next, all, and by level and event; macros and done_macros: alike, those who convert
    in the cell. Level 0 and the last cell mean nothing.
    active (cells + 1, bins, bins, 2): people in trials, without and with a macro conversion
    later; trials (…, 2, K): of these, those who do the event in the cell, and those who did it
    before. The last cell means nothing.
    shortly (K,): converters with the event shortly before, see `_shortly_before`.
    """

    totals: np.ndarray
    did: np.ndarray
    changes: np.ndarray
    macros: np.ndarray
    done_changes: np.ndarray
    done_macros: np.ndarray
    active: np.ndarray
    trials: np.ndarray
    shortly: np.ndarray


def no_counts(*, asked, cells, groups, strata, binned):
    """The layout of the tables, an array of counts, all 0, and the tables in it."""
    width = cells + 1
    people = (groups, strata, width)
    done = (*people, N_LEVELS, asked)
    active = (width, ACTIVITY_BINS, ACTIVITY_BINS, 2)
    shapes = ((5,), (2, asked), people, people, done, done, active, (*active, 2, asked), (asked,))
    sizes = [math.prod(shape) for shape in shapes]
    starts = [0, *itertools.accumulate(sizes)]
    counts = np.zeros(starts[-1], np.int32)
    layout = Layout(asked, width, groups, strata, binned, *starts[:-1])
    parts = zip(itertools.pairwise(starts), shapes, strict=True)
    return layout, counts, CountTables(*(counts[a:b].reshape(shape) for (a, b), shape in parts))


class _Person(NamedTuple):
    """One unit, as `count` looks at it.

    `start`, `stop` (excluded), `macro`: its rows, and that of its macro conversion. `entry`, `end`:
    the instants between which it is watched. `at_risk`: its cells at risk. `mature`: the log covers
    its whole horizon. `converted`: it has a macro conversion; `counted`: in one of these cells.
    `base`: the first place of its states. `turn`: the time since entry from which on the states
    of the next group hold.
    """

    start: int
    stop: int
    macro: int
    entry: int
    end: int
    at_risk: int
    mature: bool
    converted: bool
    counted: bool
    base: int
    turn: int


# 3. Counts: one visit to every row


@nb.njit(cache=True, nogil=True)
def count(rows, people, macros, bounds, kind, cells, layout, counts):
    """Add one shard's people to the tables.

    Parameters
    ----------
    rows : (time, event, session, offsets) of the shard; session −1 is none.
    people : (first, group, stratum, turns), per unit: the row at which it enters, −1 is none; its
        group and its stratum without bins of activity; and the instant from which it is in the
        next group (empty: it stays in its own).
    macros : the rows of macro conversions.
    bounds : (horizon, instant up to which the log is complete, what is shortly before), in
        microseconds.
    kind : per event code, and one more for hidden rows: 0 … K − 1 are the events asked about, K
        is context, K + 1 anything else.
    cells : the edges `with_guesses`.
    layout, counts : see `no_counts`.

    Returns
    -------
    (waits, ends) : microseconds from the first time to the macro conversion, one for each event
        that a converter did strictly before it, by event: of k ``waits[ends[k]:ends[k + 1]]``.
    """
    time, event, session, offsets = rows
    first, group, stratum, turns = people
    horizon, covers, gap = bounds
    recent = np.zeros((RECENT_LINES, layout.asked + 2), np.uint64)
    # What is not asked about is never done for the first time.
    recent[TIMES, layout.asked :] = 1
    bins = ACTIVITY_BINS if layout.binned else 1
    room = min(macros.size * layout.asked, time.size)
    waits, wait_of = np.empty(room, np.int64), np.empty(room, kind.dtype)
    waiting = m = 0
    for u in range(first.size):
        if first[u] < 0:
            continue
        while m < macros.size and macros[m] < first[u]:
            m += 1
        macro = macros[m] if m < macros.size and macros[m] < offsets[u + 1] else -1
        span = (np.uint64(first[u]), np.uint64(offsets[u + 1]), macro)
        base = (np.int64(group[u]) * layout.strata + np.int64(stratum[u]) * bins) * layout.width
        place = (base, turns[u] if turns.size else NEVER)
        person = _person(time, span, (horizon, covers), cells, layout, counts, place)
        found = _until_converted(time, event, kind, cells, layout, counts, recent, person)
        i, known, before, state = found
        if person.counted or 0 < person.at_risk < layout.width - 1:
            _leave(counts, recent, layout, state + person.at_risk, before, person.counted)
        known = _walk(time, event, kind, recent, (i, person.stop), person.end, known)[1]
        if person.converted:
            _shortly_before(time, event, session, kind, recent, span, gap)
            waiting = _wait(time, recent, (known, macro), waits, wait_of, waiting)
        _forget(recent, known, layout, counts, person.converted)
    return _waits_by_event(waits[:waiting], wait_of[:waiting], layout.asked)


@nb.njit(cache=True, nogil=True, forceinline=True)
def _person(time, span, bounds, cells, layout, counts, place):
    """One unit: until when it is watched and at risk. It is added to the totals."""
    start, stop, macro = span
    horizon, covers = bounds
    base, turn = place
    entry = time[start]
    seen = covers - entry
    mature = seen >= horizon
    at_risk = layout.width - 1
    if not mature:
        at_risk = cell_of(seen, cells, layout.width) if seen > 0 else 0
    end = min(entry + horizon, covers)
    converted = macro >= 0 and time[macro] < end
    counted = False
    if converted:
        cell = cell_of(time[macro] - entry, cells, layout.width)
        counted = cell < at_risk
        at_risk = min(cell + 1, at_risk)
        counts[layout.totals + FIRST_CELL] += cell == 0
    counts[layout.totals + UNITS] += 1
    counts[layout.totals + MATURE] += mature
    counts[layout.totals + CONVERTERS] += converted
    counts[layout.totals + COUNTED] += counted
    return _Person(
        start, stop, macro, entry, end, at_risk, mature, converted, counted, base, turn - entry
    )


@nb.njit(cache=True, nogil=True, forceinline=True)
def _until_converted(time, event, kind, cells, layout, counts, recent, person):
    """Up to the start of the last cell at risk: states, and trials in the cells before it."""
    asked, width = layout.asked, layout.width
    state = person.base
    known = before = _NONE
    activity = bin_before = 0
    counts[layout.changes + state] += person.at_risk > 0
    last_start = cells[max(person.at_risk - 1, 0)]
    i = person.start
    while i < person.stop and time[i] - person.entry < last_start:
        cell = cell_of(time[i] - person.entry, cells, width)
        edge = cells[cell + 1]
        i, known = _walk(time, event, kind, recent, (i, person.stop), person.entry + edge, known)
        inside = np.int64(recent[TIMES, asked]) - 1 - activity
        activity += inside
        tried = (inside > 0) & person.mature
        bins = (bin_before, BINS[min(inside, MOST_COUNTED)])
        trial = _trial(layout, cell if tried else width - 1, bins, person.converted)
        bin_before = BINS[min(activity, MOST_COUNTED)]
        new_state = person.base + (bin_before * width if layout.binned else 0)
        new_state += layout.strata * width if person.turn < edge else 0
        places = (trial, state + cell + 1, new_state + cell + 1)
        _change(counts, recent, layout, places, before, known)
        before, state = known, new_state
    return i, known, before, state


@nb.njit(cache=True, nogil=True, forceinline=True)
def _walk(time, event, kind, recent, span, limit, known):
    """The rows of `span` before `limit`: the row after them, and how many events are known.

    Every row writes its event at the next place of the order. If it is the first time of the
    event, the place is kept; otherwise the next row overwrites it.
    """
    i, stop = span
    while i < stop and time[i] < limit:
        k = kind[event[i]]
        n = recent[TIMES, k]
        recent[ORDER, known] = k
        recent[ROW, known] = i
        known += np.uint64(n == _NONE)
        recent[TIMES, k] = n + _ONE
        i += _ONE
    return i, known


@nb.njit(cache=True, nogil=True, forceinline=True)
def _trial(layout, cell, bins, converted):
    """The place of a trial: by cell, activity before and in it, and whether it converts later."""
    before, inside = bins
    return ((cell * ACTIVITY_BINS + before) * ACTIVITY_BINS + inside) * 2 + converted


@nb.njit(cache=True, nogil=True, forceinline=True)
def _change(counts, recent, layout, places, before, known):
    """Count a trial, and a change of state; `before` events were done before the cell."""
    trial, old, new = places
    counts[layout.active + trial] += 1
    counts[layout.changes + old] -= 1
    counts[layout.changes + new] += 1
    asked = np.uint64(layout.asked)
    now = np.uint64(layout.trials + trial * 2 * layout.asked)
    old = np.uint64(layout.done_changes + old * N_LEVELS * layout.asked)
    new = np.uint64(layout.done_changes + new * N_LEVELS * layout.asked)
    for j in range(known):
        k = recent[ORDER, j]
        counts[now + (asked if j < before else _NONE) + k] += 1
        counts[old + recent[LEVEL, j] * asked + k] -= 1
        level = min(recent[TIMES, k], _HIGHEST)
        counts[new + level * asked + k] += 1
        recent[LEVEL, j] = level


@nb.njit(cache=True, nogil=True, forceinline=True)
def _leave(counts, recent, layout, place, known, counted):
    """End the time at risk at `place`; a unit that is `counted` converts in the cell before it."""
    counts[layout.changes + place] -= 1
    counts[layout.macros + place - 1] += counted
    asked = np.uint64(layout.asked)
    done_changes = np.uint64(layout.done_changes + place * N_LEVELS * layout.asked)
    done_macros = np.uint64(layout.done_macros + (place - 1) * N_LEVELS * layout.asked)
    for j in range(known):
        at = recent[LEVEL, j] * asked + recent[ORDER, j]
        counts[done_changes + at] -= 1
        counts[done_macros + at] += counted


@nb.njit(cache=True, nogil=True, forceinline=True)
def _shortly_before(time, event, session, kind, recent, span, gap):
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
            recent[NEAR, kind[event[i]]] = np.uint64(1)


@nb.njit(cache=True, nogil=True, forceinline=True)
def _wait(time, recent, found, waits, wait_of, waiting):
    """Append how long it is from the first time of each event to the macro conversion.

    `found` is how many events are known, and the row of the macro conversion. As they stand in the
    order of first times, those that come with it or after it are the last.
    """
    known, macro = found
    for j in range(known):
        ahead = time[macro] - time[recent[ROW, j]]
        if ahead <= 0:
            break
        waits[waiting] = ahead
        wait_of[waiting] = recent[ORDER, j]
        waiting += 1
    return waiting


@nb.njit(cache=True, nogil=True, forceinline=True)
def _forget(recent, known, layout, counts, converted):
    """Count what a person did at all and shortly before; then clear it for the next person."""
    did = np.uint64(layout.did + converted * layout.asked)
    for j in range(known):
        k = recent[ORDER, j]
        counts[did + k] += 1
        recent[TIMES, k] = _NONE
        recent[LEVEL, j] = _NONE
    if converted:
        shortly = np.uint64(layout.shortly)
        for j in range(known):
            k = recent[ORDER, j]
            counts[shortly + k] += np.int32(recent[NEAR, k])
            recent[NEAR, k] = _NONE
    recent[TIMES, layout.asked] = _ONE


@nb.njit(cache=True, nogil=True)
def _waits_by_event(waits, wait_of, asked):
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


# 4. Instants


@nb.njit(cache=True, nogil=True)
def first_macros(time, offsets, first, macros, horizon, covers):
    """The row of each unit's first macro conversion, or −1; `macros` are the rows of all of them.

    It counts within `horizon` of the row at which the unit enters, and before `covers`.
    """
    out = np.full(first.size, -1, np.int64)
    m = 0
    for u in range(first.size):
        start = first[u]
        if start < 0:
            continue
        while m < macros.size and macros[m] < start:
            m += 1
        if m == macros.size:
            break
        row = macros[m]
        if row < offsets[u + 1] and time[row] < min(time[start] + horizon, covers):
            out[u] = row
    return out


@nb.njit(cache=True, nogil=True)
def first_times(time, event, offsets, masks, bits, first, end, place, kinds):
    """When each unit first did each event, from the row at which it enters up to its end, excluded.

    Parameters
    ----------
    masks, bits : units whose mask has none of the bits are not visited.
    first, end : per unit the row at which it enters, −1 is none, and the instant at which looking
        ends. place : per event code, and one more for hidden rows, the row of the answer, or −1.
    kinds : how many rows the answer has.

    Returns
    -------
    int64 array (kinds, units) of microseconds, or `NEVER`.
    """
    out = np.full((kinds, first.size), NEVER, np.int64)
    for u in range(first.size):
        if first[u] < 0 or not masks[u] & bits:
            continue
        for i in range(first[u], offsets[u + 1]):
            if time[i] >= end[u]:
                break
            k = place[event[i]]
            if k >= 0 and out[k, u] == NEVER:
                out[k, u] = time[i]
    return out


# 5. Rows: every cell of everybody


@nb.njit(cache=True, nogil=True)
def rows_at_risk(time, first, bought, horizon, covers, edges):
    """How many rows `fill` writes for a shard."""
    rows = 0
    for u in range(first.size):
        rows += _cells_at_risk(time, first, bought, horizon, covers, edges, u)[0]
    return rows


@nb.njit(cache=True, nogil=True)
def fill(time, event, offsets, first, bought, kind, horizon, covers, edges, out):
    """Write the rows of a shard, unit by unit and cell by cell.

    Parameters
    ----------
    first, bought : per unit the row at which it enters, and that of its macro conversion; −1 is
        none.
    kind : as in `count`.
    out : (unit, cell, converted, context, events): room for the rows; `context` and `events`
        (rows, K) are how often each was done strictly before the cell starts.
    """
    unit, period, converted, context, events = out
    asked = events.shape[1]
    row = 0
    for u in range(first.size):
        cells, macro_cell = _cells_at_risk(time, first, bought, horizon, covers, edges, u)
        i = first[u]
        for p in range(cells):
            start = time[first[u]] + edges[p]
            if p > 0:
                context[row] = context[row - 1]
                events[row] = events[row - 1]
            while i < offsets[u + 1] and time[i] < start:
                k = kind[event[i]]
                if k == asked:
                    context[row] += 1
                elif k < asked:
                    events[row, k] += 1
                i += 1
            unit[row] = u
            period[row] = p
            converted[row] = p == macro_cell
            row += 1


@nb.njit(cache=True, nogil=True)
def _cells_at_risk(time, first, bought, horizon, covers, edges, u):
    """(cells at risk, cell of the macro conversion or −1) of one unit."""
    if first[u] < 0:
        return np.int64(0), np.int64(-1)
    entry = time[first[u]]
    cells = observed_cells(entry, horizon, covers, edges)
    if bought[u] < 0:
        return cells, np.int64(-1)
    for p in range(cells):
        if time[bought[u]] < entry + edges[p + 1]:
            return np.int64(p + 1), np.int64(p)
    return cells, np.int64(-1)


@nb.njit(cache=True, nogil=True)
def observed_cells(entry, horizon, covers, edges):
    """How many cells since `entry` the log covers whole."""
    if covers - entry >= horizon:
        return edges.size - 1
    return max(np.searchsorted(edges, covers - entry, side="right") - 1, 0)
