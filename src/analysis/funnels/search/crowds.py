"""Many rows of one unit in one instant: no more of those that are alike than a chain can use.

A log of dates puts a day of a robot into one instant, and what asks each row of an instant about
each other takes the square of their number. Rows of one instant are alike if they match the same
steps and exclusions. A chain uses no more of them than it has steps: as its entry the last to
arrive, for every other step the first. So a search sees the first and the last few of each kind,
and the others wait aside (`set_aside`). It finds the same rows as among all of them, because what
it leaves out could only stand for a row that it has. Where attempts use rows up, others come in
their place (`use`).
"""

from __future__ import annotations

import numpy as np

from analysis.funnels.search.state import (
    ALIKE,
    ASIDE,
    EXCLUSIONS,
    NUMBER,
    ROW_LINES,
    STEPS,
    TIME,
    USED,
    instant_of,
    without_refcounts,
)

MOST_KINDS = 64
"""Up to so many kinds of an instant are told apart; rows of further kinds stay where they are."""

# Lines of `alike`. Per kind that has rows aside, from column 1 on: its first row in `aside`, and
# the place after its last; column 0 says how many such kinds there are. Per kind of the instant at
# hand: a row of it, how many rows it has, how many of them were seen, its column or −1.
BEGIN, END, ANY_ROW, ROWS, SEEN, COLUMN = range(6)
ALIKE_LINES = 6

_NONE = -1


@without_refcounts
def set_aside(rows, units, m, copies, known, aside, alike):
    """Set aside all but the first and the last `copies` of alike rows; how many rows are left.

    Parameters
    ----------
    rows, units : the first m rows of a user, unit by unit, in order of time and arrival; `units` is
        of use only where rows of an instant may be of several.
    known : per row of the shard, whether it has a value of the breakdown: then rows are alike if
        this is the same, too. Of size 0 where it does not matter.
    aside : room for as many numbers of rows. alike : room for the kinds, see `ALIKE_LINES`.
    """
    alike[BEGIN, 0] = 0
    if not _is_crowded(rows, m, 2 * copies):
        return m
    columns, waiting, to, r = np.int64(0), np.int64(0), np.int64(0), np.int64(0)
    while r < m:
        stop = r + 1
        while stop < m and rows[TIME, stop] == rows[TIME, r] and units[stop] == units[r]:
            stop += 1
        kinds = 0
        if stop - r > 2 * copies:
            kinds = _count_kinds(rows, r, stop, known, alike)
        for kind in range(kinds):
            more = alike[ROWS, kind] - 2 * copies
            alike[SEEN, kind], alike[COLUMN, kind] = 0, _NONE
            if more > 0:
                columns += 1
                alike[COLUMN, kind] = columns
                alike[BEGIN, columns], alike[END, columns] = waiting, waiting + more
                waiting += more
        for i in range(r, stop):
            kind = rows[ALIKE, i] if kinds else _NONE
            column, stays = _NONE, True
            if kind >= 0:
                column, place = alike[COLUMN, kind], alike[SEEN, kind]
                alike[SEEN, kind] += 1
                if column >= 0 and copies <= place < alike[ROWS, kind] - copies:
                    aside[alike[BEGIN, column] + place - copies] = rows[NUMBER, i]
                    stays = False
            if stays:
                for line in range(USED + 1):
                    rows[line, to] = rows[line, i]
                rows[ALIKE, to], units[to] = column, units[i]
                to += 1
        r = stop
    alike[BEGIN, 0] = columns
    return to


@without_refcounts
def _is_crowded(rows, m, few):
    """Has any instant more than a few rows?"""
    crowded = False
    for r in range(m - few):
        crowded |= rows[TIME, r] == rows[TIME, r + few]
    return crowded


@without_refcounts
def _count_kinds(rows, first, stop, known, alike):
    """Write down of what kind each row of an instant is, and how many rows each kind has."""
    kinds = 0
    for r in range(first, stop):
        kind = 0
        while kind < kinds and not _are_alike(rows, r, alike[ANY_ROW, kind], known):
            kind += 1
        if kind == MOST_KINDS:
            kind = _NONE
        elif kind == kinds:
            alike[ANY_ROW, kind], alike[ROWS, kind] = r, 0
            kinds += 1
        if kind >= 0:
            alike[ROWS, kind] += 1
        rows[ALIKE, r] = kind
    return kinds


@without_refcounts
def _are_alike(rows, one, other, known):
    same = (rows[STEPS, one] == rows[STEPS, other]) & (
        rows[EXCLUSIONS, one] == rows[EXCLUSIONS, other]
    )
    if known.size:
        same &= known[rows[NUMBER, one]] == known[rows[NUMBER, other]]
    return same


@without_refcounts
def use(rows, first, m, count, per_step, aside, alike):
    """Use up the rows in ASIDE, the first `count`; others that wait aside take their places."""
    for c in range(count):
        rows[USED, per_step[ASIDE, c]] = 1
    if alike[BEGIN, 0] == 0:
        return
    for c in range(count):
        start, stop = instant_of(rows, per_step[ASIDE, c], first, m)
        changed = False
        for r in range(start, stop):
            column = rows[ALIKE, r]
            if not rows[USED, r] or column < 0 or alike[BEGIN, column] == alike[END, column]:
                continue
            # The first to arrive are followed by the next, the last by the one before.
            if rows[NUMBER, r] < aside[alike[BEGIN, column]]:
                rows[NUMBER, r] = aside[alike[BEGIN, column]]
                alike[BEGIN, column] += 1
            else:
                alike[END, column] -= 1
                rows[NUMBER, r] = aside[alike[END, column]]
            rows[USED, r] = 0
            changed = True
        if changed:
            _by_arrival(rows, start, stop)


@without_refcounts
def _by_arrival(rows, start, stop):
    """Sort the rows of an instant by arrival; nearly all are where they belong."""
    for r in range(start + 1, stop):
        to = r
        while to > start and rows[NUMBER, to - 1] > rows[NUMBER, to]:
            for line in range(ROW_LINES):
                rows[line, to - 1], rows[line, to] = rows[line, to], rows[line, to - 1]
            to -= 1
