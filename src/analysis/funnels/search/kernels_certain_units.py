"""The chains of users where one look at their rows is enough, and where it is not.

A user is cut into units, each a value of the property inside the user with the stretch of rows in
which it stands; a unit has its best chain, and the best mature one, or its attempts. The looks are
those of `unit_looks`. If one of them is not sure, nothing of the user counts: `unit_chains`
searches all of it.
"""

from __future__ import annotations

from analysis.funnels.search.greedy import (
    UNSURE,
    Columns,
    Lines,
    among_neighbors,
    in_any_order,
    in_order,
    touched_row,
    with_optional,
)
from analysis.funnels.search.kernels_chain_block import CHOSEN, MATURE, USERS
from analysis.funnels.search.kernels_chain_state import melted, reader
from analysis.funnels.search.kernels_unit_rows import FIRST_TOUCH, MORE, NOTHING, OF_ENTRY, SEARCH

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
