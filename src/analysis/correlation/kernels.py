"""Who had done what before each cell of time since entry, and who converted in it: one visit a row.

A person's state (how active so far, which events how often) changes at few cell edges, and
between two changes every cell is alike. So nothing loops over cells: a change takes one from the
old state and adds one to the new, at the cell where it takes effect, and the running sum over
cells gives the people at risk. Events count from the first cell that starts strictly after them.

Of those who have not done an event nothing is counted: they are everybody less those who have.

A processor that foresees a branch wrongly loses what ten additions take. So rows are walked
without one (`_walk`), and what need not be counted is counted where nobody reads: at a dose of
none, and in a cell more than there are.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from analysis.correlation.kernels_before_macros import by_event, shortly_before, wait
from analysis.correlation.kernels_cells import cell_of
from analysis.correlation.kernels_exposure import ACTIVITY_BINS, BINS, LEVELS, MOST_COUNTED, NEVER
from analysis.correlation.kernels_exposure_layout import (
    CONVERTERS,
    COUNTED,
    DOSE,
    FIRST_CELL,
    LINES,
    MATURE,
    NEAR,
    ORDER,
    ROW,
    TIMES,
    UNITS,
)

# Unsigned, because a signed index may be one from the end, which costs a look each time.
_NONE, _ONE, _MOST = np.uint64(0), np.uint64(1), np.uint64(LEVELS - 1)


class _Person(NamedTuple):
    """Rows [start, stop), and that of the macro conversion; the instants of entry and of the end;
    cells at risk; does the log cover the whole horizon; is there a macro conversion in it, and is
    it in these cells?  Then the first place of the person's states, and the time since entry from
    which the next group's hold."""

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
    deeds = np.zeros((LINES, layout.asked + 2), np.uint64)
    # What is not asked about is never done for the first time.
    deeds[TIMES, layout.asked :] = 1
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
        found = _until_converted(time, event, kind, cells, layout, counts, deeds, person)
        i, known, before, state = found
        if person.counted or 0 < person.at_risk < layout.width - 1:
            _leave(counts, deeds, layout, state + person.at_risk, before, person.counted)
        known = _walk(time, event, kind, deeds, (i, person.stop), person.end, known)[1]
        if person.converted:
            shortly_before(time, event, session, kind, deeds, span, gap)
            waiting = wait(time, deeds, (known, macro), waits, wait_of, waiting)
        _forget(deeds, known, layout, counts, person.converted)
    return by_event(waits[:waiting], wait_of[:waiting], layout.asked)


@nb.njit(cache=True, nogil=True, forceinline=True)
def _person(time, span, bounds, cells, layout, counts, place):
    """Who is looked at, how long; and one more of them in the totals."""
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
def _walk(time, event, kind, deeds, span, limit, known):
    """The rows of `span` before `limit`: the row after them, and how many events are known.

    An event that is done for the first time stays in the order; of any other the next one takes
    the place.
    """
    i, stop = span
    while i < stop and time[i] < limit:
        k = kind[event[i]]
        n = deeds[TIMES, k]
        deeds[ORDER, known] = k
        deeds[ROW, known] = i
        known += np.uint64(n == _NONE)
        deeds[TIMES, k] = n + _ONE
        i += _ONE
    return i, known


@nb.njit(cache=True, nogil=True, forceinline=True)
def _until_converted(time, event, kind, cells, layout, counts, deeds, person):
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
        i, known = _walk(time, event, kind, deeds, (i, person.stop), person.entry + edge, known)
        inside = np.int64(deeds[TIMES, asked]) - 1 - activity
        activity += inside
        tried = (inside > 0) & person.mature
        bins = (bin_before, BINS[min(inside, MOST_COUNTED)])
        trial = _trial(layout, cell if tried else width - 1, bins, person.converted)
        bin_before = BINS[min(activity, MOST_COUNTED)]
        new_state = person.base + (bin_before * width if layout.binned else 0)
        new_state += layout.strata * width if person.turn < edge else 0
        places = (trial, state + cell + 1, new_state + cell + 1)
        _change(counts, deeds, layout, places, before, known)
        before, state = known, new_state
    return i, known, before, state


@nb.njit(cache=True, nogil=True, forceinline=True)
def _trial(layout, cell, bins, converted):
    """The place of a trial: by cell, activity before and in it, and what comes later."""
    before, inside = bins
    return ((cell * ACTIVITY_BINS + before) * ACTIVITY_BINS + inside) * 2 + converted


@nb.njit(cache=True, nogil=True, forceinline=True)
def _change(counts, deeds, layout, places, before, known):
    """A trial, and from one state to the next; `before` events were done before the cell."""
    trial, old, new = places
    counts[layout.active + trial] += 1
    counts[layout.changes + old] -= 1
    counts[layout.changes + new] += 1
    asked = np.uint64(layout.asked)
    now = np.uint64(layout.trials + trial * 2 * layout.asked)
    old = np.uint64(layout.done_changes + old * LEVELS * layout.asked)
    new = np.uint64(layout.done_changes + new * LEVELS * layout.asked)
    for j in range(known):
        k = deeds[ORDER, j]
        counts[now + (asked if j < before else _NONE) + k] += 1
        counts[old + deeds[DOSE, j] * asked + k] -= 1
        dose = min(deeds[TIMES, k], _MOST)
        counts[new + dose * asked + k] += 1
        deeds[DOSE, j] = dose


@nb.njit(cache=True, nogil=True, forceinline=True)
def _leave(counts, deeds, layout, place, known, counted):
    """Nobody is at risk from `place` on; who is `counted` converts in the cell before it."""
    counts[layout.changes + place] -= 1
    counts[layout.macros + place - 1] += counted
    asked = np.uint64(layout.asked)
    done_changes = np.uint64(layout.done_changes + place * LEVELS * layout.asked)
    done_macros = np.uint64(layout.done_macros + (place - 1) * LEVELS * layout.asked)
    for j in range(known):
        at = deeds[DOSE, j] * asked + deeds[ORDER, j]
        counts[done_changes + at] -= 1
        counts[done_macros + at] += counted


@nb.njit(cache=True, nogil=True, forceinline=True)
def _forget(deeds, known, layout, counts, converted):
    """Count what a person did at all and shortly before; and make room for the next."""
    did = np.uint64(layout.did + converted * layout.asked)
    for j in range(known):
        k = deeds[ORDER, j]
        counts[did + k] += 1
        deeds[TIMES, k] = _NONE
        deeds[DOSE, j] = _NONE
    if converted:
        shortly = np.uint64(layout.shortly)
        for j in range(known):
            k = deeds[ORDER, j]
            counts[shortly + k] += np.int32(deeds[NEAR, k])
            deeds[NEAR, k] = _NONE
    deeds[TIMES, layout.asked] = _ONE
