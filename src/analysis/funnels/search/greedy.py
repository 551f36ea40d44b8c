"""The chain that takes what comes, for the units and orders of every funnel.

The idea is that of `first_looks`: taking the first row of each step after the one before, nobody
gets further and nobody is earlier, so where the window holds that chain it is the best. In any
order the first row of each step does the same, and among neighbors one set of bits says after each
row which beginnings of the funnel end there. What this cannot decide, where events share an
instant, a limit is passed, or an excluded event or an optional step is about, it says it is not
sure of, and the search of `unit_choice` decides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.funnels.search.blocks import CHOSEN, MATURE, NOT_DONE, USERS
from analysis.funnels.search.state import (
    FIRST_TOUCH,
    MORE,
    NOTHING,
    OF_ENTRY,
    SEARCH,
    WITHIN,
    bit,
    has,
    highest,
    melted,
    reader,
)

# ──── passes.unit_looks


UNSURE = -1


class Columns(NamedTuple):
    """Of each row the instant, the event code and, of size 0 where not asked for, the steps whose
    conditions hold and the unit inside the user; and the steps that each event code matches.
    """

    time: np.ndarray
    event: np.ndarray
    hold: np.ndarray
    unit: np.ndarray
    steps: np.ndarray


class Lines(NamedTuple):
    """Row and instant of each step of chains, as `chain_block.Block` has them."""

    rows: np.ndarray
    times: np.ndarray


@reader
def matches(columns, i, unit):
    """The steps that a row matches; none where it is of another unit."""
    steps = columns.steps[columns.event[i]]
    if columns.hold.size:
        steps &= columns.hold[i]
    if columns.unit.size and columns.unit[i] != unit:
        steps = 0
    return steps


@reader
def touched_row(columns, known, span, unit, first):
    """The first or last row of a step in [start, stop) that has a value of the breakdown, or −1."""
    start, stop = span
    found = -1
    for i in range(start, stop):
        if known[i] and matches(columns, i, unit) != 0:
            found = i
            if first:
                break
    return found


@reader
def _shares_its_instant(columns, row, span, unit):
    """Is there another row of a step at the instant of this one?"""
    start, stop = span
    i = row - 1
    while i >= start and columns.time[i] == columns.time[row]:
        if matches(columns, i, unit) != 0:
            return True
        i -= 1
    i = row + 1
    while i < stop and columns.time[i] == columns.time[row]:
        if matches(columns, i, unit) != 0:
            return True
        i += 1
    return False


@reader
def _next_step(ask, k, every):
    """The step after step k, or 0; optional ones only where `every` step is to be done."""
    k += 1
    while k <= ask.steps and has(ask.optional, k) and not every:
        k += 1
    return k if k <= ask.steps else 0


@reader
def _put_step(lines, n, place, columns, row):
    lines.rows[n, place], lines.times[n, place] = row, columns.time[row]


@reader
def _nothing_done(lines, n):
    for k in range(lines.times.shape[1]):
        lines.rows[n, k], lines.times[n, k] = -1, NOT_DONE


@reader
def _first_entry(columns, span, unit, low, high, step):
    """The first row in [start, stop) that does the step (0: any) with an instant in [low, high),
    or −1.
    """
    start, stop = span
    for i in range(start, stop):
        steps = matches(columns, i, unit)
        if (has(steps, step) if step else steps != 0) and columns.time[i] >= low:
            return i if columns.time[i] < high else -1
    return -1


@reader
def in_order(columns, ask, span, unit, low, high, alone, more, every, lines, n):
    """Write the chain with an entry in [low, high) into place n, its reach or UNSURE.

    `alone`: it is the first entry's. `more`: can anything follow an entry at all? `every`: optional
    steps are done like any other, or skipped.
    """
    first = _first_entry(columns, span, unit, low, high, 1)
    if first < 0:
        return 0
    _nothing_done(lines, n)
    if _shares_its_instant(columns, first, span, unit):
        return UNSURE
    entry, reach, row = first, 1, first
    k = _next_step(ask, 1, every) if more else 0
    while k:
        last, i = row, row + 1
        while i < span[1]:
            steps = matches(columns, i, unit)
            if has(steps, k):
                break
            if reach == 1 and has(steps, 1) and not alone and columns.time[i] < high:
                entry = i
            i += 1
        row = i
        if row == span[1]:
            break
        wait = columns.time[row] - columns.time[entry if reach == 1 else last]
        if alone and columns.time[row] - columns.time[first] > ask.window:
            break
        if wait > ask.limits[WITHIN, k] or _shares_its_instant(columns, row, span, unit):
            return UNSURE
        _put_step(lines, n, k - 1, columns, row)
        reach = k
        k = _next_step(ask, k, every)
    entry = entry if reach > 1 else first
    _put_step(lines, n, 0, columns, entry)
    if reach > 1 and lines.times[n, reach - 1] - lines.times[n, 0] > ask.window:
        return UNSURE
    return reach


@reader
def with_optional(columns, ask, span, unit, low, high, alone, lines, n):
    """Write the best chain of a funnel with one optional step into place n, its reach or UNSURE;
    the place after it is written over.

    A chain does the optional step or does not. Of those that do, the one that takes what comes is
    the best, and so it is of the others: so one of these two is.
    """
    reach = in_order(columns, ask, span, unit, low, high, alone, True, False, lines, n)
    if reach <= 0:
        return reach
    doing = in_order(columns, ask, span, unit, low, high, alone, True, True, lines, n + 1)
    if doing == UNSURE:
        return UNSURE
    as_soon = lines.times[n + 1, doing - 1] <= lines.times[n, reach - 1]
    if doing > reach or (doing == reach and as_soon):
        reach = doing
        for k in range(lines.times.shape[1]):
            lines.rows[n, k], lines.times[n, k] = lines.rows[n + 1, k], lines.times[n + 1, k]
    return reach


@reader
def in_any_order(columns, ask, span, unit, low, high, alone, lines, n):
    """Write the chain with an entry in [low, high) into place n, its reach or UNSURE; no row
    matches two steps, and no step has a limit of its own.
    """
    first = _first_entry(columns, span, unit, low, high, 0)
    if first < 0:
        return 0
    _nothing_done(lines, n)
    entry, reach, seen = first, 0, 0
    for i in range(first, span[1]):
        steps = matches(columns, i, unit)
        if steps & ~seen != 0:
            if alone and columns.time[i] - columns.time[first] > ask.window:
                break
            if _shares_its_instant(columns, i, span, unit):
                return UNSURE
            seen |= steps
            _put_step(lines, n, reach, columns, i)
            reach += 1
            if reach == ask.steps:
                break
        elif steps != 0 and reach == 1 and not alone and columns.time[i] < high:
            entry = i
    if reach > 1:
        _put_step(lines, n, 0, columns, entry)
        if lines.times[n, reach - 1] - lines.times[n, 0] > ask.window:
            return UNSURE
    return reach


@reader
def _instant(columns, i, stop, unit):
    """The instant of row i: where it stops; how many of the unit's rows it has; how many of them do
    a step, and the last of these.
    """
    seen, several, row = 0, 0, i
    t, hidden = columns.time[i], columns.steps.size - 1
    while i < stop and columns.time[i] == t:
        if columns.event[i] != hidden and (not columns.unit.size or columns.unit[i] == unit):
            seen += 1
            if matches(columns, i, unit) != 0:
                several += 1
                row = i
        i += 1
    return i, seen, several, row


@reader
def among_neighbors(columns, ask, span, unit, low, high, alone, more, lines, n):
    """Write the chain of neighbors with an entry in [low, high) into place n, its reach or UNSURE;
    no step has a limit of its own.

    Nothing comes between two instants that follow each other, whatever else they hold.
    """
    first = _first_entry(columns, span, unit, low, high, 1)
    if first < 0:
        return 0
    _nothing_done(lines, n)
    if _shares_its_instant(columns, first, span, unit):
        return UNSURE
    ending, reach, end, i = 0, 0, first, first
    most = ask.steps if more else 1
    while i < span[1] and reach < most:
        enters = i == first if alone else columns.time[i] < high
        i, seen, several, row = _instant(columns, i, span[1], unit)
        if several > 1:
            return UNSURE
        if seen:
            # Number k is in the set where this instant and those before it do the first k steps.
            steps = matches(columns, row, unit) if several else 0
            ending = ((ending << 1) | enters) & steps
        if ending >= bit(reach + 1):
            reach, end = highest(ending), row
    row = end
    for c in range(reach):
        while matches(columns, row, unit) == 0:
            row -= 1
        _put_step(lines, n, reach - 1 - c, columns, row)
        row -= 1
    return UNSURE if lines.times[n, reach - 1] - lines.times[n, 0] > ask.window else reach


# ──── passes.certain_units
#
# The chains of users where one look at their rows is enough, and where it is not.
#
# A user is cut into units, each a value of the property inside the user with the stretch of rows in
# which it stands; a unit has its best chain, and the best mature one, or its attempts. The looks
# are
# those of `unit_looks`. If one of them is not sure, nothing of the user counts: `unit_chains`
# searches all of it.


NOBODY = -1


FULL = -2


MOST_UNITS = 32


# Lines of the table of a user's units: the unit, its first row, and the row after its last.
UNIT, STARTS, STOPS = range(3)


@melted
def _look(columns, ask, span, unit, low, high, alone, more, lines, n):
    if ask.any_order:
        return in_any_order(columns, ask, span, unit, low, high, alone, lines, n)
    if ask.neighbors:
        return among_neighbors(columns, ask, span, unit, low, high, alone, more, lines, n)
    if ask.optional != 0 and more:
        return with_optional(columns, ask, span, unit, low, high, alone, lines, n)
    return in_order(columns, ask, span, unit, low, high, alone, more, False, lines, n)


@reader
def _best(columns, ask, span, unit, limits, first, more, lines, marks, reaches, n):
    """Write the best chain of a unit, and the best mature one where that is another: how many
    chains there are now, or UNSURE, or FULL.
    """
    kind, high = CHOSEN, limits.high
    begins = columns.time[span[0]]
    for _ in range(2):
        # A look may need a second place.
        if n + 1 >= reaches.size:
            return FULL
        reach = _look(columns, ask, span, unit, limits.low, high, first, more, lines, n)
        if reach == UNSURE:
            return UNSURE
        if reach == 0:
            break
        mature = lines.times[n, 0] <= limits.mature_until
        reaches[n], marks[n] = reach, kind + MATURE if mature else kind
        n += 1
        if mature or begins > limits.mature_until or high <= limits.mature_until + 1:
            break
        kind, high = kind - CHOSEN, limits.mature_until + 1
    return n


@reader
def _attempts(columns, ask, span, unit, limits, more, lines, marks, reaches, n):
    """Write the attempts of a unit: how many chains there are now, or UNSURE, or FULL."""
    start, stop = span
    free = limits.low
    while n + 1 < reaches.size:
        rest = (start, stop)
        reach = _look(columns, ask, rest, unit, free, limits.high, True, more, lines, n)
        if reach <= 0:
            return n if reach == 0 else UNSURE
        mature = lines.times[n, 0] <= limits.mature_until
        reaches[n], marks[n] = reach, CHOSEN + MATURE if mature else CHOSEN
        if reach >= ask.required:
            free, start = lines.times[n, reach - 1], lines.rows[n, reach - 1] + 1
        else:
            free, start = lines.times[n, 0] + ask.window + 1, lines.rows[n, 0] + 1
        n += 1
    return FULL


@reader
def _units_of(unit, start, stop, table):
    """Write the units of the rows [start, stop) into the table; how many, or UNSURE where there
    are too many.
    """
    if not unit.size:
        table[UNIT, 0], table[STARTS, 0], table[STOPS, 0] = NOBODY, start, stop
        return 1
    n, own = 0, 0
    for i in range(start, stop):
        if unit[i] < 0:
            continue
        if n == 0 or table[UNIT, own] != unit[i]:
            own = 0
            while own < n and table[UNIT, own] != unit[i]:
                own += 1
            if own == table.shape[1]:
                return UNSURE
            if own == n:
                table[UNIT, own], table[STARTS, own] = unit[i], i
                n += 1
        table[STOPS, own] = i + 1
    return n


@reader
def certain_chains(cells, codes, ask, limits, choice, wish, table, block, n, user):
    """Write the chains of users behind the first n of the block, from this user on until one is
    not certain or the block holds as many as it should.

    Returns
    -------
    How many chains there are now; the first user whose chains are not there; and why not: UNSURE,
    FULL where the block has no room for them, 0 where it may be emptied or there are no more.
    """
    columns = Columns(cells.time, cells.event, cells.steps_hold, cells.unit, codes.steps)
    lines = Lines(block.rows, block.times)
    while user < cells.offsets.size - 1 and n < USERS:
        promise = codes.promise[user]
        if promise == SEARCH:
            return n, user, UNSURE
        now = n
        units = 0
        if promise != NOTHING:
            units = _units_of(cells.unit, cells.offsets[user], cells.offsets[user + 1], table)
        if units == UNSURE:
            return n, user, UNSURE
        for own in range(units):
            unit, span = table[UNIT, own], (table[STARTS, own], table[STOPS, own])
            before, more = now, promise == MORE
            if wish.attempts:
                now = _attempts(
                    columns, ask, span, unit, limits, more, lines, block.marks, block.reach, now
                )
            else:
                first, marks = choice.first, block.marks
                now = _best(
                    columns, ask, span, unit, limits, first, more, lines, marks, block.reach, now
                )
            if now < 0:
                return n, user, now
            group = OF_ENTRY
            if wish.touch and now > before:
                first_touch = wish.touch == FIRST_TOUCH
                group = touched_row(columns, cells.known, span, unit, first_touch)
            for j in range(before, now):
                block.user[j] = user
                block.group[j] = block.rows[j, 0] if group == OF_ENTRY else group
        n = now
        user += 1
    return n, user, 0
