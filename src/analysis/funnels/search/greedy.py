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

from analysis.funnels.search.kernels_chain_block import NOT_DONE
from analysis.funnels.search.kernels_chain_state import WITHIN, bit, has, highest, reader

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
