"""The greedy scan: any funnel with options, a unit's chains from one pass over its rows.

`units.unit_chains` asks it first, for every user whose events leave a chance that one pass tells
(`funnels.chains.needs_of`). It is the idea of `plain`: taking the first row of each step after
the one before, nobody gets further and nobody is earlier, so where the window holds that chain it
is the best. In any order the first row of each step does the same. Among neighbors one set of bits
says after each row which beginnings of the funnel end there. With one optional step, the chain
that does it and the chain that does not are compared.

What this cannot decide, it is UNSURE of: a step that shares its instant with another, a limit that
is passed, a window that is over. Then nothing of the user counts, and `units` searches all of it.
Users with an excluded event never come here, nor those with one of several optional steps, or with
one where steps have limits.

A user is cut into units, each a value of the property inside the user with the stretch of rows in
which it stands; a unit has its best chain, and the best mature one, or its attempts.
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
    inlined,
    without_refcounts,
)

# Why chains are not there.
UNSURE = -1
FULL = -2

NOBODY = -1

MOST_UNITS = 32
"""Users with more units are searched."""

# Lines of the table of a user's units: the unit, its first row, and the row after its last.
UNIT, STARTS, STOPS = range(3)


class Columns(NamedTuple):
    """Of each row the instant, the event code and, of size 0 where not asked for, the steps whose
    conditions hold and the unit inside the user; and the steps that each event code matches.
    """

    time: np.ndarray
    event: np.ndarray
    hold: np.ndarray
    unit: np.ndarray
    steps: np.ndarray


class ChainSteps(NamedTuple):
    """Row and instant of each step of chains, as `blocks.Block` has them."""

    rows: np.ndarray
    times: np.ndarray


@without_refcounts
def greedy_chains(cells, codes, spec, table, block, n, user):
    """Write the chains of users behind the first n of the block, from this user on until one is
    UNSURE or the block holds as many as it should.

    Returns
    -------
    How many chains there are now; the first user whose chains are not there; and why not: UNSURE,
    FULL where the block has no room for them, 0 where it may be emptied or there are no more.
    """
    columns = Columns(cells.time, cells.event, cells.steps_hold, cells.unit, codes.steps)
    rules = spec.rules
    chains = ChainSteps(block.rows, block.times)
    while user < cells.offsets.size - 1 and n < USERS:
        need = codes.need[user]
        if need == SEARCH:
            return n, user, UNSURE
        now = n
        units = 0
        if need != NOTHING:
            units = _units_of(cells.unit, cells.offsets[user], cells.offsets[user + 1], table)
        if units == UNSURE:
            return n, user, UNSURE
        for own in range(units):
            unit, span = table[UNIT, own], (table[STARTS, own], table[STOPS, own])
            before, more = now, need == MORE
            if spec.output.attempts:
                now = _attempts(
                    columns,
                    rules,
                    span,
                    unit,
                    spec.limits,
                    more,
                    chains,
                    block.marks,
                    block.reach,
                    now,
                )
            else:
                first, marks = spec.choice.first, block.marks
                now = _best(
                    columns,
                    rules,
                    span,
                    unit,
                    spec.limits,
                    first,
                    more,
                    chains,
                    marks,
                    block.reach,
                    now,
                )
            if now < 0:
                return n, user, now
            group = OF_ENTRY
            if spec.output.touch and now > before:
                first_touch = spec.output.touch == FIRST_TOUCH
                group = touched_row(columns, cells.known, span, unit, first_touch)
            for j in range(before, now):
                block.user[j] = user
                block.group[j] = block.rows[j, 0] if group == OF_ENTRY else group
        n = now
        user += 1
    return n, user, 0


@without_refcounts
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


# What follows gets the arrays that it needs and no tuple of more: to copy one costs 2 % of a scan.


@without_refcounts
def _best(columns, rules, span, unit, limits, first, more, chains, marks, reaches, n):
    """Write the best chain of a unit, and the best mature one where that is another: how many
    chains there are now, or UNSURE, or FULL.
    """
    kind, high = CHOSEN, limits.high
    begins = columns.time[span[0]]
    for _ in range(2):
        # A scan may need a second place.
        if n + 1 >= reaches.size:
            return FULL
        reach = _scan(columns, rules, span, unit, limits.low, high, first, more, chains, n)
        if reach == UNSURE:
            return UNSURE
        if reach == 0:
            break
        mature = chains.times[n, 0] <= limits.mature_until
        reaches[n], marks[n] = reach, kind + MATURE if mature else kind
        n += 1
        if mature or begins > limits.mature_until or high <= limits.mature_until + 1:
            break
        kind, high = kind - CHOSEN, limits.mature_until + 1
    return n


@without_refcounts
def _attempts(columns, rules, span, unit, limits, more, chains, marks, reaches, n):
    """Write the attempts of a unit: how many chains there are now, or UNSURE, or FULL."""
    start, stop = span
    free = limits.low
    while n + 1 < reaches.size:
        rest = (start, stop)
        reach = _scan(columns, rules, rest, unit, free, limits.high, True, more, chains, n)
        if reach <= 0:
            return n if reach == 0 else UNSURE
        mature = chains.times[n, 0] <= limits.mature_until
        reaches[n], marks[n] = reach, CHOSEN + MATURE if mature else CHOSEN
        if reach >= rules.required:
            free, start = chains.times[n, reach - 1], chains.rows[n, reach - 1] + 1
        else:
            free, start = chains.times[n, 0] + rules.window + 1, chains.rows[n, 0] + 1
        n += 1
    return FULL


@inlined
def _scan(columns, rules, span, unit, low, high, alone, more, chains, n):
    if rules.any_order:
        return in_any_order(columns, rules, span, unit, low, high, alone, chains, n)
    if rules.neighbors:
        return among_neighbors(columns, rules, span, unit, low, high, alone, more, chains, n)
    if rules.optional != 0 and more:
        return with_optional(columns, rules, span, unit, low, high, alone, chains, n)
    return in_order(columns, rules, span, unit, low, high, alone, more, False, chains, n)


# The scan in each order.


@without_refcounts
def in_order(columns, rules, span, unit, low, high, alone, more, every, chains, n):
    """Write the chain with an entry in [low, high) into place n, its reach or UNSURE.

    `alone`: it is the first entry's. `more`: can anything follow an entry at all? `every`: optional
    steps are done like any other, or skipped.
    """
    first = _first_entry(columns, span, unit, low, high, 1)
    if first < 0:
        return 0
    _nothing_done(chains, n)
    if _shares_its_instant(columns, first, span, unit):
        return UNSURE
    entry, reach, row = first, 1, first
    k = _next_step(rules, 1, every) if more else 0
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
        if alone and columns.time[row] - columns.time[first] > rules.window:
            break
        if wait > rules.limits[WITHIN, k] or _shares_its_instant(columns, row, span, unit):
            return UNSURE
        _put_step(chains, n, k - 1, columns, row)
        reach = k
        k = _next_step(rules, k, every)
    entry = entry if reach > 1 else first
    _put_step(chains, n, 0, columns, entry)
    if reach > 1 and chains.times[n, reach - 1] - chains.times[n, 0] > rules.window:
        return UNSURE
    return reach


@without_refcounts
def _next_step(rules, k, every):
    """The step after step k, or 0; optional ones only where `every` step is to be done."""
    k += 1
    while k <= rules.steps and has(rules.optional, k) and not every:
        k += 1
    return k if k <= rules.steps else 0


@without_refcounts
def with_optional(columns, rules, span, unit, low, high, alone, chains, n):
    """Write the best chain of a funnel with one optional step into place n, its reach or UNSURE;
    the place after it is written over.

    A chain does the optional step or does not. Of those that do, the one that takes what comes is
    the best, and so it is of the others: so one of these two is.
    """
    reach = in_order(columns, rules, span, unit, low, high, alone, True, False, chains, n)
    if reach <= 0:
        return reach
    doing = in_order(columns, rules, span, unit, low, high, alone, True, True, chains, n + 1)
    if doing == UNSURE:
        return UNSURE
    as_soon = chains.times[n + 1, doing - 1] <= chains.times[n, reach - 1]
    if doing > reach or (doing == reach and as_soon):
        reach = doing
        for k in range(chains.times.shape[1]):
            chains.rows[n, k], chains.times[n, k] = chains.rows[n + 1, k], chains.times[n + 1, k]
    return reach


@without_refcounts
def in_any_order(columns, rules, span, unit, low, high, alone, chains, n):
    """Write the chain with an entry in [low, high) into place n, its reach or UNSURE; no row
    matches two steps, and no step has a limit of its own.
    """
    first = _first_entry(columns, span, unit, low, high, 0)
    if first < 0:
        return 0
    _nothing_done(chains, n)
    entry, reach, seen = first, 0, 0
    for i in range(first, span[1]):
        steps = matches(columns, i, unit)
        if steps & ~seen != 0:
            if alone and columns.time[i] - columns.time[first] > rules.window:
                break
            if _shares_its_instant(columns, i, span, unit):
                return UNSURE
            seen |= steps
            _put_step(chains, n, reach, columns, i)
            reach += 1
            if reach == rules.steps:
                break
        elif steps != 0 and reach == 1 and not alone and columns.time[i] < high:
            entry = i
    if reach > 1:
        _put_step(chains, n, 0, columns, entry)
        if chains.times[n, reach - 1] - chains.times[n, 0] > rules.window:
            return UNSURE
    return reach


@without_refcounts
def among_neighbors(columns, rules, span, unit, low, high, alone, more, chains, n):
    """Write the chain of neighbors with an entry in [low, high) into place n, its reach or UNSURE;
    no step has a limit of its own.

    Nothing comes between two instants that follow each other, whatever else they hold.
    """
    first = _first_entry(columns, span, unit, low, high, 1)
    if first < 0:
        return 0
    _nothing_done(chains, n)
    if _shares_its_instant(columns, first, span, unit):
        return UNSURE
    ending, reach, end, i = 0, 0, first, first
    most = rules.steps if more else 1
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
        _put_step(chains, n, reach - 1 - c, columns, row)
        row -= 1
    return UNSURE if chains.times[n, reach - 1] - chains.times[n, 0] > rules.window else reach


@without_refcounts
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


# One row.


@without_refcounts
def matches(columns, i, unit):
    """The steps that a row matches; none where it is of another unit."""
    steps = columns.steps[columns.event[i]]
    if columns.hold.size:
        steps &= columns.hold[i]
    if columns.unit.size and columns.unit[i] != unit:
        steps = 0
    return steps


@without_refcounts
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


@without_refcounts
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


@without_refcounts
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


@without_refcounts
def _put_step(chains, n, place, columns, row):
    chains.rows[n, place], chains.times[n, place] = row, columns.time[row]


@without_refcounts
def _nothing_done(chains, n):
    for k in range(chains.times.shape[1]):
        chains.rows[n, k], chains.times[n, k] = -1, NOT_DONE
