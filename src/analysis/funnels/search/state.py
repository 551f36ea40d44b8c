"""What every search of a funnel's chains works on: arrays of int64, and names for their places.

One array instead of a structure of many keeps small what numba has to compile: a structure of
twenty arrays that goes through thirty functions takes minutes, its columns in one array seconds.

- ``rows``: the rows of a unit that matter, a column per row of the log, in order of time, and a
  line per fact about it (`NUMBER`, `TIME`, ...). Sets are bits: number k is bit k − 1.
- ``states``: the states of the search, one chain a line: the columns named below, then for each
  step, in the order of doing, its instant and its number (`time_of`, `step_of`).
- ``per_step``: working memory with a line per purpose (`OWNER`, ...) and an element per step,
  from 1.

In this order: how a kernel is compiled; the names; what a funnel asks; sets; states; the rows of
a unit; entries and instants; which rows the chosen chain takes (a bipartite matching).
ARCHITECTURE.md, "The chain search", says how the searches use them.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba as nb
import numpy as np

_ONLY_FOR_KERNELS: dict[str, Any] = {"no_cpython_wrapper": True, "no_cfunc_wrapper": True}

# A number that changes in a loop and goes into another kernel begins as np.int64(0), not as 0: to
# numba a plain 0 is a type of its own, and all that it goes into would be compiled a second time.
internal = nb.njit(cache=True, nogil=True, **_ONLY_FOR_KERNELS)
"""A kernel that only kernels call: nothing is compiled for a call from Python."""

_READS: dict[str, Any] = {**_ONLY_FOR_KERNELS, "_nrt": False}

without_refcounts = nb.njit(cache=True, nogil=True, **_READS)
"""An internal kernel that makes no array, returns none, and calls only such kernels. So it need not
count references to arrays, which takes longer than to read a number of one, and to compile."""

inlined = nb.njit(cache=True, nogil=True, inline="always", **_READS)
"""The same, written into each kernel that calls it. It is for those that only pass on to others: a
kernel of their own would be linked anew into every caller."""

NEVER = np.int64(-(2**62))
FOREVER = np.int64(2**62)

# Lines of `rows`: the row's number in the shard, its instant, the steps and the exclusions that
# it matches, whether an earlier attempt has used it; then room for questions about one instant:
# rows that must be used, rows that are, and the steps that a row stands for; and which rows like it
# wait aside (`crowds`).
NUMBER, TIME, STEPS, EXCLUSIONS, USED, MUST, TAKEN, STANDS, ALIKE = range(9)
ROW_LINES = 9

# Columns of `states`: the steps done, how far that is (the highest step; in any order how many),
# the instants of the entry and of the last step, the exclusions that can still end the chain; of
# the present instant the exclusions begun and the steps done; how many optional steps, how many
# steps in all; whether the search still follows it.
DONE, REACH, ENTRY, LAST, ACTIVE, FRESH, HERE, EXTRAS, COUNT, LIVE = range(10)
_HEAD = 10

# The first lines of `states`: the two answers of a search, the chain that counts in the end, and
# the line where the states themselves begin.
BEST, UNTOUCHED, ANSWER, FIRST = range(4)

# Lines of `per_step`: the row at each step and two lines for finding it (the matching); the rows of
# a chain in order of doing: of one being looked for, of the best, of one set aside; and whether
# there was no room for a chain (`NO_CHAIN`) or a state (`NO_STATE`): the unit is then asked again.
OWNER, CAME_FROM, QUEUE, PICKED, BEST_ROWS, ASIDE, LACKING = range(7)
STEP_LINES = 7
NO_CHAIN, NO_STATE = range(2)

# Lines of `ChainRules.limits`: the longest wait before a step, the required step before it, and per
# exclusion (from 0) the steps between which it holds.
WITHIN, BEFORE, AFTER, UNTIL = range(4)

# What a user's chains need, see `Codes`.
NOTHING, ENTRY_ALONE, MORE, SEARCH = range(4)

# What an excluded event does.
END_ATTEMPT, DROP_ATTEMPT, DROP_UNIT = range(3)

# Which value of a unit is its group; 0: that of the entry or of a step.
FIRST_TOUCH, LAST_TOUCH = 1, 2

OF_ENTRY = -2
"""In the place of a row that a group is read from: the row of the entry."""


# What a funnel asks of a shard.


class ChainRules(NamedTuple):
    """What makes a chain of this funnel, as numbers; steps are counted from 1.

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


class Limits(NamedTuple):
    """Entries lie in [low, high); those up to `mature_until` are mature; microseconds."""

    low: int
    high: int
    mature_until: int


class Choice(NamedTuple):
    """Which chain of a unit counts: the effect of exclusions (END_ATTEMPT, DROP_ATTEMPT or
    DROP_UNIT), the first entry's only, strict ties.
    """

    effect: int
    first: bool
    strict: bool


class Output(NamedTuple):
    """What is wanted of the chains: every attempt of a unit, not its best chain; the group's value
    from a touch (FIRST_TOUCH, LAST_TOUCH), or from a step (its number), or from the entry (both
    0); the list of the chains beside their sums. ``repeats``: can one user have several chains?
    """

    attempts: bool
    touch: int
    at_step: int
    keep: bool
    repeats: bool


class Spec(NamedTuple):
    """All that is asked of a unit."""

    rules: ChainRules
    limits: Limits
    choice: Choice
    output: Output


class Scratch(NamedTuple):
    """Working memory of a search, used again for every unit; ``levels`` is that of `untied`,
    ``aside`` and ``alike`` are those of `crowds`.
    """

    rows: np.ndarray
    states: np.ndarray
    levels: np.ndarray
    per_step: np.ndarray
    aside: np.ndarray
    alike: np.ndarray


class Entries(NamedTuple):
    """Which rows can be an entry: [low, high) in time, and one row alone where `only` is ≥ 0."""

    low: int
    high: int
    only: int


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
    per user what its chains need: NOTHING, an ENTRY_ALONE, the greedy scan (MORE), or a SEARCH; and
    the steps that can follow an entry.
    """

    steps: np.ndarray
    exclusions: np.ndarray
    need: np.ndarray
    more: int


# Sets of steps or of exclusions.


@nb.njit(cache=True, nogil=True, inline="always")
def has(steps, k):
    """Is number k (from 1) in the set?"""
    return (steps >> (k - 1)) & 1 != 0


@nb.njit(cache=True, nogil=True, inline="always")
def bit(k):
    """The set of number k alone."""
    return np.int64(1) << np.int64(k - 1)


@without_refcounts
def size(steps):
    """How many numbers a set has."""
    count = 0
    while steps != 0:
        steps &= steps - 1
        count += 1
    return count


@without_refcounts
def highest(steps):
    """The highest number of a set, 0 where it is empty."""
    k = 64 if steps < 0 else 0
    while steps > 0:
        steps >>= 1
        k += 1
    return k


# States of the search.


@nb.njit(cache=True, nogil=True, inline="always")
def time_of(c):
    """The column with the instant of the step done c-th (from 0)."""
    return _HEAD + 2 * c


@nb.njit(cache=True, nogil=True, inline="always")
def step_of(c):
    """The column with the number of the step done c-th (from 0)."""
    return _HEAD + 2 * c + 1


@internal
def new_states(size, steps):
    """Room for `size` states."""
    return np.zeros((size, _HEAD + 2 * steps), np.int64)


@without_refcounts
def copy_state(states, source, target):
    """Write a state over another."""
    for column in range(time_of(states[source, COUNT])):
        states[target, column] = states[source, column]


@internal
def wider(states):
    """The states, with room for as many more."""
    more = np.zeros((2 * states.shape[0], states.shape[1]), np.int64)
    for a in range(states.shape[0]):
        for column in range(states.shape[1]):
            more[a, column] = states[a, column]
    return more


# The rows of a user that match a step or an exclusion; all of them where neighbors are asked for.
# A user's units (sessions, carts) are told apart by their number; each is asked on its own.


@without_refcounts
def longest(offsets):
    """How many rows the longest user has, at least 1."""
    most = 1
    for u in range(offsets.size - 1):
        most = max(most, offsets[u + 1] - offsets[u])
    return most


@without_refcounts
def gather(cells, codes, start, stop, rows, units, all_rows):
    """Write down the rows of a user that matter; how many there are."""
    m = 0
    hidden = codes.steps.size - 1
    for i in range(start, stop):
        code = cells.event[i]
        steps = codes.steps[code]
        excluded = codes.exclusions[code]
        if cells.steps_hold.size:
            steps &= cells.steps_hold[i]
        if cells.exclusions_hold.size:
            excluded &= cells.exclusions_hold[i]
        keep = steps | excluded != 0 or (all_rows and code != hidden)
        if cells.unit.size:
            units[m] = cells.unit[i]
            keep &= units[m] >= 0
        rows[NUMBER, m] = i
        rows[TIME, m] = cells.time[i]
        rows[STEPS, m] = steps
        rows[EXCLUSIONS, m] = excluded
        rows[USED, m] = 0
        m += keep
    return m


@without_refcounts
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
            rows[STEPS, m], rows[EXCLUSIONS, m], rows[USED, m] = 1, 0, 0
            m += 1
    return m


@internal
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


@without_refcounts
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


@without_refcounts
def touch_row(rows, first, m, known, which):
    """The row that the unit's group is read from: the first or last step that has a value."""
    found = -1
    for r in range(first, m):
        if rows[STEPS, r] != 0 and known[rows[NUMBER, r]]:
            found = rows[NUMBER, r]
            if which == FIRST_TOUCH:
                break
    return found


# Entries and instants.


@without_refcounts
def can_enter(rows, r, rules):
    """Can the row be an entry, its instant aside?"""
    if rows[USED, r]:
        return False
    return rows[STEPS, r] != 0 if rules.any_order else has(rows[STEPS, r], 1)


@without_refcounts
def next_entry(rows, first, m, rules, low, high):
    """The position of the first row in [first, m) that can be an entry in [low, high), or −1."""
    for r in range(first, m):
        t = rows[TIME, r]
        if t >= high:
            return -1
        if t >= low and can_enter(rows, r, rules):
            return r
    return -1


@without_refcounts
def instant_of(rows, r, first, m):
    """The rows of the instant of row r: [start, stop)."""
    start, stop = r, r + 1
    while start > first and rows[TIME, start - 1] == rows[TIME, r]:
        start -= 1
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        stop += 1
    return start, stop


@without_refcounts
def touch(rules, rows, first, m, states, per_step):
    """The instant at which an excluded event ends the chain at ANSWER, FOREVER where none does;
    the chain's own rows are those in BEST_ROWS.
    """
    late = states[ANSWER, ACTIVE]
    if late == 0:
        return FOREVER
    last, end = states[ANSWER, LAST], states[ANSWER, ENTRY] + rules.window
    begun = late & ~states[ANSWER, FRESH]
    r = first
    while r < m and rows[TIME, r] <= end:
        t = rows[TIME, r]
        if t > last and rows[EXCLUSIONS, r] & late != 0:
            return t
        if t == last and rows[EXCLUSIONS, r] & begun != 0:
            own = False
            for c in range(states[ANSWER, COUNT]):
                own |= per_step[BEST_ROWS, c] == r
            if not own:
                return t
        r += 1
    return FOREVER


# The rows that the chosen chain takes.
#
# Events of one instant may serve steps in whichever order helps, but one event never serves two
# steps. So the rows and the steps of an instant are matched: a bipartite matching, by augmenting
# paths (Kuhn 1955, *Naval Research Logistics Quarterly* 2:83). A row that has a step keeps one
# while others are matched, so rows that must be used go first.


@without_refcounts
def pick_rows(rules, rows, first, m, states, untouched, only, per_step):
    """Fill BEST_ROWS with the positions of the rows of the chain at ANSWER, in order of doing."""
    active = 0
    c = np.int64(0)
    r = first
    count = states[ANSWER, COUNT]
    while c < count:
        t = states[ANSWER, time_of(c)]
        while rows[TIME, r] < t:
            r += 1
        start, stop = instant_of(rows, r, first, m)
        e = c
        fresh = 0
        while e < count and states[ANSWER, time_of(e)] == t:
            place = e + 1 if rules.any_order else states[ANSWER, step_of(e)]
            for x in range(rules.exclusions):
                if rules.limits[AFTER, x] == place:
                    active |= bit(x + 1)
                    fresh |= bit(x + 1)
                elif rules.limits[UNTIL, x] == place:
                    active &= ~bit(x + 1)
            e += 1
        if stop == start + 1:
            per_step[BEST_ROWS, c] = start
        else:
            need = active & ~fresh if e < count or untouched else 0
            _match_instant(rules, rows, start, stop, states, c, e, need, only, per_step)
        c = e
        r = stop


@without_refcounts
def _match_instant(rules, rows, start, stop, states, c, e, need, only, per_step):
    """Rows for the chain's steps c, …, e − 1, all of one instant."""
    left = np.int64(0)
    for r in range(start, stop):
        rows[MUST, r] = rows[EXCLUSIONS, r] & need != 0
        rows[TAKEN, r] = 0
    for place in range(c, e):
        left |= bit(states[ANSWER, step_of(place)])
    for place in range(c, e):
        left = _match_place(rules, rows, start, stop, states, c, place, left, only, per_step)


@without_refcounts
def _match_place(rules, rows, start, stop, states, c, place, left, only, per_step):
    """Give the chain's step done at `place` (from 0) a row: the entry's is the last to arrive that
    leaves rows for the others, every other step's the first. Returns the steps that are left.

    In any order the steps of one instant, which begin at place c, may change places, as long as
    the first of them is not too late.
    """
    wait = states[ANSWER, time_of(place)] - states[ANSWER, time_of(max(c - 1, 0))]
    for i in range(stop - start):
        r = stop - 1 - i if place == 0 else start + i
        if rows[USED, r] or rows[TAKEN, r] or (place == 0 and only >= 0 and r != only):
            continue
        for k in range(1, rules.steps + 1):
            mine = rules.any_order or k == states[ANSWER, step_of(place)]
            if not (mine and has(left & rows[STEPS, r], k)):
                continue
            if rules.any_order and 0 < c == place and wait > rules.limits[WITHIN, k]:
                continue
            rows[TAKEN, r] = 1
            if can_match(rows, start, stop, left & ~bit(k), rules.steps, per_step):
                per_step[BEST_ROWS, place] = r
                return left & ~bit(k)
            rows[TAKEN, r] = 0
    return left


@without_refcounts
def can_match(rows, first, stop, among, steps, per_step):
    """Can every step of `among` have a row of its own in [first, stop), every MUST row one of them?

    USED and TAKEN rows are out of the question; a MUST row that is TAKEN has its step already.
    """
    clear_matching(per_step, steps)
    matched = 0
    for r in range(first, stop):
        if rows[MUST, r] and not rows[TAKEN, r]:
            if rows[USED, r] or not augment(rows, STEPS, r, among, steps, per_step):
                return False
            matched += 1
    wanted = size(among)
    for r in range(first, stop):
        if matched == wanted:
            break
        if not (rows[MUST, r] or rows[USED, r] or rows[TAKEN, r]):
            matched += augment(rows, STEPS, r, among, steps, per_step)
    return matched == wanted


@without_refcounts
def augment(rows, line, row, among, steps, per_step):
    """Give one more row a step of `among`, moving others if need be; is there a way?

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
                per_step[CAME_FROM, k] = at_step
                if per_step[OWNER, k] < 0:
                    while per_step[CAME_FROM, k] > 0:
                        per_step[OWNER, k] = per_step[OWNER, per_step[CAME_FROM, k]]
                        k = per_step[CAME_FROM, k]
                    per_step[OWNER, k] = row
                    return True
                per_step[QUEUE, tail] = k
                tail += 1
        if head == tail:
            return False
        at_step = per_step[QUEUE, head]
        current = per_step[OWNER, at_step]
        head += 1


@without_refcounts
def clear_matching(per_step, steps):
    """No step has a row."""
    for k in range(steps + 1):
        per_step[OWNER, k] = -1
