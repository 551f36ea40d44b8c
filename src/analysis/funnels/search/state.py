"""Rows and chains: which row can be an entry, which rows a chain takes, what touches it."""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

# ──── passes.chain_state
#
# What the funnel's search works on: plain arrays of int64, and names for their columns.
#
# One array instead of a structure of many keeps what numba has to compile small: a structure of
# twenty arrays that goes through thirty functions takes minutes, its columns in one array seconds.
#
# - **rows**: what matters of a unit, a column per row of the log, in order of time; a line per name
#   below. Sets are bits: number k is bit k − 1.
# - **labels**: a chain per line: the columns below, then for each step, in the order of doing, its
#   instant and its number (`time_of`, `step_of`).
# - **scratch**: room that is used again, a line per name below, an element per step (from 1).


_ONLY_FOR_KERNELS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}


inner = nb.njit(cache=True, nogil=True, **_ONLY_FOR_KERNELS)
"""A kernel that only kernels call: nothing is compiled for a call from Python."""


_READS: dict[str, Any] = {**_ONLY_FOR_KERNELS, "_nrt": False}


reader = nb.njit(cache=True, nogil=True, **_READS)
"""An inner kernel that makes no array, returns none, and calls only such kernels. So it need not
count who holds an array, which takes longer than reading a number of it, and to compile, too."""


melted = nb.njit(cache=True, nogil=True, inline="always", **_READS)
"""A reader that becomes a part of each kernel that calls it. Every kernel is made anew with all
that it calls, so those that only pass on to others are no kernels of their own."""


NEVER = np.int64(-(2**62))


FOREVER = np.int64(2**62)


# Lines of `rows`: the row's number in the shard, its instant, the steps and the exclusions that
# it matches, whether an earlier attempt has used it; then room for questions about one instant:
# rows that must be used, rows that are, and the steps that a row stands for.
NUMBER, TIME, STEPS, BARRED, USED, MUST, TAKEN, STANDS = range(8)


ROW_LINES = 8


# Columns of `labels`: the steps done, how far that is (the highest step; in any order how many),
# the instants of the entry and of the last step, the exclusions that can still end the chain; of
# the present instant the exclusions begun and the steps done; how many optional steps, how many
# steps in all; whether the label is in the search.
DONE, REACH, ENTRY, LAST, ACTIVE, FRESH, HERE, EXTRAS, COUNT, LIVE = range(10)


_HEAD = 10


# Lines of `scratch`: the row at each step, two lines for the search for a seat, the rows of a
# chain in order of doing: while one is looked for, the chosen one's, and one set aside; and what
# there was no room for, chains or labels, so that the unit has to be asked again.
OWNER, CAME_FROM, QUEUE, PICKED, BEST_ROWS, ASIDE, LACKING = range(7)


SCRATCH_LINES = 7


NO_CHAIN, NO_LABEL = range(2)


# Lines of `Ask.limits`: the longest wait before a step, the required step before it, and per
# exclusion (from 0) the steps between which it holds.
WITHIN, BEFORE, AFTER, UNTIL = range(4)


# Places among the labels: the answers of a search, what its caller keeps, and where it begins.
BEST, UNTOUCHED, CHOSEN, FIRST = range(4)


class Ask(NamedTuple):
    """What a funnel asks, as numbers; steps are counted from 1.

    ``required`` is the last required step, ``neighbors`` the strict order; ``limited``: does any
    step have a limit of its own; ``optional``: the set of optional steps.
    """

    steps: int
    required: int
    window: int
    any_order: bool
    neighbors: bool
    limited: bool
    optional: int
    exclusions: int
    limits: np.ndarray


class Entries(NamedTuple):
    """Which rows can be an entry: [low, high) in time, and one row alone where `only` is ≥ 0."""

    low: int
    high: int
    only: int


@nb.njit(cache=True, nogil=True, inline="always")
def time_of(c):
    """The column with the instant of the step done c-th (from 0)."""
    return _HEAD + 2 * c


@nb.njit(cache=True, nogil=True, inline="always")
def step_of(c):
    """The column with the number of the step done c-th (from 0)."""
    return _HEAD + 2 * c + 1


@nb.njit(cache=True, nogil=True, inline="always")
def has(steps, k):
    """Is number k (from 1) in the set?"""
    return (steps >> (k - 1)) & 1 != 0


@nb.njit(cache=True, nogil=True, inline="always")
def bit(k):
    """The set of number k alone."""
    return np.int64(1) << np.int64(k - 1)


@reader
def size(steps):
    """How many numbers a set has."""
    count = 0
    while steps != 0:
        steps &= steps - 1
        count += 1
    return count


@reader
def highest(steps):
    """The highest number of a set, 0 where it is empty."""
    k = 64 if steps < 0 else 0
    while steps > 0:
        steps >>= 1
        k += 1
    return k


@inner
def new_labels(size, steps):
    """Room for `size` labels."""
    return np.zeros((size, _HEAD + 2 * steps), np.int64)


@reader
def copy_label(labels, source, target):
    """Write a label over another."""
    for column in range(time_of(labels[source, COUNT])):
        labels[target, column] = labels[source, column]


@inner
def wider(labels):
    """The labels, with room for as many more."""
    more = np.zeros((2 * labels.shape[0], labels.shape[1]), np.int64)
    for a in range(labels.shape[0]):
        for column in range(labels.shape[1]):
            more[a, column] = labels[a, column]
    return more


# ──── passes.seating
#
# Giving the steps of one instant rows of their own.
#
# Events of one instant may serve steps in whichever order helps, but one event never serves two
# steps: rows and steps are matched, along augmenting paths (Kuhn 1955, *Naval Research Logistics
# Quarterly* 2:83). A row that has a step keeps one while others are seated, so rows that must be
# used go first.


@reader
def nobody_seated(scratch, steps):
    """Empty every seat."""
    for k in range(steps + 1):
        scratch[OWNER, k] = -1


@reader
def augment(rows, line, row, among, steps, scratch):
    """Seat one more row at a step of `among`, moving others if need be; is there a way?

    `line` of `rows` holds the steps that each row may serve.
    """
    tried = 0
    head, tail = 0, 0
    at_step, current = 0, row
    while True:
        options = rows[line, current] & among & ~tried
        if options != 0:
            for k in range(1, steps + 1):
                if not has(options, k):
                    continue
                tried |= bit(k)
                scratch[CAME_FROM, k] = at_step
                if scratch[OWNER, k] < 0:
                    while scratch[CAME_FROM, k] > 0:
                        scratch[OWNER, k] = scratch[OWNER, scratch[CAME_FROM, k]]
                        k = scratch[CAME_FROM, k]
                    scratch[OWNER, k] = row
                    return True
                scratch[QUEUE, tail] = k
                tail += 1
        if head == tail:
            return False
        at_step = scratch[QUEUE, head]
        current = scratch[OWNER, at_step]
        head += 1


@reader
def can_seat(rows, first, stop, among, steps, scratch):
    """Can every step of `among` have a row of its own in [first, stop), every MUST row seated?

    USED and TAKEN rows are out of the question; a MUST row that is taken is seated already.
    """
    nobody_seated(scratch, steps)
    seated = 0
    for r in range(first, stop):
        if rows[MUST, r] and not rows[TAKEN, r]:
            if rows[USED, r] or not augment(rows, STEPS, r, among, steps, scratch):
                return False
            seated += 1
    wanted = size(among)
    for r in range(first, stop):
        if seated == wanted:
            break
        if not (rows[MUST, r] or rows[USED, r] or rows[TAKEN, r]):
            seated += augment(rows, STEPS, r, among, steps, scratch)
    return seated == wanted


# ──── passes.unit_rows
#
# What matters of a user: the rows that match a step or an exclusion, unit by unit.
#
# Rows that match neither are left behind at once, unless neighbors are asked for. Rows are told
# apart by the unit inside the user (a session, a cart); `unit_chains` asks each unit on its own.


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


# ──── passes.chain_rows


@reader
def can_enter(rows, r, ask):
    """Can the row be an entry, its instant aside?"""
    if rows[USED, r]:
        return False
    return rows[STEPS, r] != 0 if ask.any_order else has(rows[STEPS, r], 1)


@reader
def next_entry(rows, first, m, ask, low, high):
    """The position of the first row in [first, m) that can be an entry in [low, high), or −1."""
    for r in range(first, m):
        t = rows[TIME, r]
        if t >= high:
            return -1
        if t >= low and can_enter(rows, r, ask):
            return r
    return -1


@reader
def instant_of(rows, r, first, m):
    """The rows of the instant of row r: [start, stop)."""
    start, stop = r, r + 1
    while start > first and rows[TIME, start - 1] == rows[TIME, r]:
        start -= 1
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        stop += 1
    return start, stop


@reader
def touch(ask, rows, first, m, labels, scratch):
    """The instant at which an excluded event ends the chain at CHOSEN, FOREVER where none does;
    the chain's own rows are those in BEST_ROWS.
    """
    late = labels[CHOSEN, ACTIVE]
    if late == 0:
        return FOREVER
    last, end = labels[CHOSEN, LAST], labels[CHOSEN, ENTRY] + ask.window
    begun = late & ~labels[CHOSEN, FRESH]
    r = first
    while r < m and rows[TIME, r] <= end:
        t = rows[TIME, r]
        if t > last and rows[BARRED, r] & late != 0:
            return t
        if t == last and rows[BARRED, r] & begun != 0:
            own = False
            for c in range(labels[CHOSEN, COUNT]):
                own |= scratch[BEST_ROWS, c] == r
            if not own:
                return t
        r += 1
    return FOREVER


@reader
def _seat_place(ask, rows, start, stop, labels, c, place, left, only, scratch):
    """Give the chain's step done at `place` (from 0) a row: the entry's is the last to arrive that
    leaves rows for the others, every other step's the first. Returns the steps that are left.

    In any order the steps of one instant, which begin at place c, may change places, as long as
    the first of them is not too late.
    """
    wait = labels[CHOSEN, time_of(place)] - labels[CHOSEN, time_of(max(c - 1, 0))]
    for i in range(stop - start):
        r = stop - 1 - i if place == 0 else start + i
        if rows[USED, r] or rows[TAKEN, r] or (place == 0 and only >= 0 and r != only):
            continue
        for k in range(1, ask.steps + 1):
            mine = ask.any_order or k == labels[CHOSEN, step_of(place)]
            if not (mine and has(left & rows[STEPS, r], k)):
                continue
            if ask.any_order and 0 < c == place and wait > ask.limits[WITHIN, k]:
                continue
            rows[TAKEN, r] = 1
            if can_seat(rows, start, stop, left & ~bit(k), ask.steps, scratch):
                scratch[BEST_ROWS, place] = r
                return left & ~bit(k)
            rows[TAKEN, r] = 0
    return left


@reader
def _seat_instant(ask, rows, start, stop, labels, c, e, need, only, scratch):
    """Rows for the chain's steps c, …, e − 1, all of one instant."""
    left = 0
    for r in range(start, stop):
        rows[MUST, r] = rows[BARRED, r] & need != 0
        rows[TAKEN, r] = 0
    for place in range(c, e):
        left |= bit(labels[CHOSEN, step_of(place)])
    for place in range(c, e):
        left = _seat_place(ask, rows, start, stop, labels, c, place, left, only, scratch)


@reader
def pick_rows(ask, rows, first, m, labels, untouched, only, scratch):
    """Fill BEST_ROWS with the positions of the rows of the chain at CHOSEN, in order of doing."""
    active = 0
    c = 0
    r = first
    count = labels[CHOSEN, COUNT]
    while c < count:
        t = labels[CHOSEN, time_of(c)]
        while rows[TIME, r] < t:
            r += 1
        start, stop = instant_of(rows, r, first, m)
        e = c
        fresh = 0
        while e < count and labels[CHOSEN, time_of(e)] == t:
            place = e + 1 if ask.any_order else labels[CHOSEN, step_of(e)]
            for x in range(ask.exclusions):
                if ask.limits[AFTER, x] == place:
                    active |= bit(x + 1)
                    fresh |= bit(x + 1)
                elif ask.limits[UNTIL, x] == place:
                    active &= ~bit(x + 1)
            e += 1
        if stop == start + 1:
            scratch[BEST_ROWS, c] = start
        else:
            need = active & ~fresh if e < count or untouched else 0
            _seat_instant(ask, rows, start, stop, labels, c, e, need, only, scratch)
        c = e
        r = stop
