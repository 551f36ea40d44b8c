"""What matters of a user: the rows that match a step or an exclusion, unit by unit.

Rows that match neither are left behind at once, unless neighbors are asked for. Rows are told
apart by the unit inside the user (a session, a cart); `unit_chains` asks each unit on its own.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.funnels.search.kernels_chain_state import (
    BARRED,
    NUMBER,
    STEPS,
    TIME,
    USED,
    inner,
    reader,
)

FIRST_TOUCH, LAST_TOUCH = 1, 2


OF_ENTRY = -2
"""In the place of a row that a group is read from: the row of the entry."""


NOTHING, ENTRY_ALONE, MORE, SEARCH = range(4)


class Cells(NamedTuple):
    """The shard's arrays: per row the instant, the event code, and, each of them of size 0 where
    it is not asked for, the steps and exclusions whose conditions hold, the unit inside the user
    (−1: of nobody), and whether the row has a value of the breakdown; per user the first row.
    """

    time: np.ndarray
    event: np.ndarray
    offsets: np.ndarray
    steps_hold: np.ndarray
    exclusions_hold: np.ndarray
    unit: np.ndarray
    known: np.ndarray


class Codes(NamedTuple):
    """Per event code (the last one: hidden rows) the steps and the exclusions that it matches,
    per user what can come of them: NOTHING, an ENTRY_ALONE, MORE, or what only a SEARCH can tell;
    and the steps that can follow an entry.
    """

    steps: np.ndarray
    exclusions: np.ndarray
    promise: np.ndarray
    more: int


class Limits(NamedTuple):
    """Entries lie in [low, high); those up to `mature_until` are mature; microseconds."""

    low: int
    high: int
    mature_until: int


@reader
def gather(cells, codes, start, stop, rows, units, all_rows):
    """Write down the rows of a user that matter; how many there are."""
    m = 0
    hidden = codes.steps.size - 1
    for i in range(start, stop):
        code = cells.event[i]
        steps = codes.steps[code]
        barred = codes.exclusions[code]
        if cells.steps_hold.size:
            steps &= cells.steps_hold[i]
        if cells.exclusions_hold.size:
            barred &= cells.exclusions_hold[i]
        keep = steps | barred != 0 or (all_rows and code != hidden)
        if cells.unit.size:
            units[m] = cells.unit[i]
            keep &= units[m] >= 0
        rows[NUMBER, m] = i
        rows[TIME, m] = cells.time[i]
        rows[STEPS, m] = steps
        rows[BARRED, m] = barred
        rows[USED, m] = 0
        m += keep
    return m


@reader
def _together(units, m):
    """Do the rows of each unit lie together?"""
    starts = 0
    for r in range(m):
        if r and units[r] == units[r - 1]:
            continue
        for before in range(r):
            # Runs are few, and the first row of each says whose it is.
            if units[before] == units[r]:
                return False
        starts += 1
        if starts > 32:
            return False
    return True


@inner
def sort_units(rows, units, m):
    """Bring the rows of each unit together, their order in time kept."""
    if _together(units, m):
        return
    order = np.argsort(units[:m], kind="mergesort")
    before = rows[:, :m].copy()
    kept = units[:m].copy()
    for to in range(m):
        source = order[to]
        units[to] = kept[source]
        for line in range(USED):
            rows[line, to] = before[line, source]


@reader
def touch_row(rows, first, m, known, which):
    """The row that the unit's group is read from: the first or last step that has a value."""
    found = -1
    for r in range(first, m):
        if rows[STEPS, r] != 0 and known[rows[NUMBER, r]]:
            found = rows[NUMBER, r]
            if which == FIRST_TOUCH:
                break
    return found


@reader
def gather_entry(cells, codes, start, stop, limits, rows):
    """Write down the rows of a user's first instant with an entry, and no others."""
    m = 0
    for i in range(start, stop):
        t = cells.time[i]
        if m and t != rows[TIME, 0]:
            break
        steps = codes.steps[cells.event[i]]
        if cells.steps_hold.size:
            steps &= cells.steps_hold[i]
        if steps & 1 and limits.low <= t < limits.high:
            rows[NUMBER, m], rows[TIME, m] = i, t
            rows[STEPS, m], rows[BARRED, m], rows[USED, m] = 1, 0, 0
            m += 1
    return m


@reader
def longest(offsets):
    """How many rows the longest user has, at least 1."""
    most = 1
    for u in range(offsets.size - 1):
        most = max(most, offsets[u + 1] - offsets[u])
    return most
