"""The funnel's pass with every option: the chains of each unit of a shard.

A unit is a user, or the rows of one user that share a value (a session, a cart). Rows that match
no step and no exclusion are left behind at once, unless neighbors are asked for. `unit_choice`
says which chain counts; here users are cut into units, units into attempts, and chains are
written down. The funnel that needs none of this has a pass of its own, `chains`.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from analysis.passes.any_chains import best_in_any_order
from analysis.passes.chain_state import (
    ASIDE,
    BARRED,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    EXTRAS,
    FOREVER,
    LAST,
    NUMBER,
    REACH,
    ROW_LINES,
    SCRATCH_LINES,
    STEPS,
    TIME,
    USED,
    inner,
    new_labels,
    step_of,
    time_of,
)
from analysis.passes.chains import CHOSEN as AMONG_ALL
from analysis.passes.chains import MATURE
from analysis.passes.unit_choice import (
    DROP_ATTEMPT,
    DROP_UNIT,
    END_ATTEMPT,
    Choice,
    choose,
    instant_of,
    next_entry,
    touch,
)
from analysis.passes.untied_chains import PATH

FIRST_TOUCH, LAST_TOUCH = 1, 2
NOTHING, ENTRY_ALONE, MORE = range(3)

# Columns of the chains found: the user, the row of the entry, the row that the group is read from
# (−1: none), how far, what kind (see `chains`), two truth values, and then the row of each step
# (in any order: of the k-th one done), −1 where it is not done.
USER, ENTRY_ROW, TOUCH, FAR, KIND, TIED, EXCLUDED = range(7)
STEP_ROWS = 7


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
    per user what can come of them: NOTHING, an ENTRY_ALONE, or MORE; and the steps that can
    follow an entry.
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


@inner
def _gather(cells, codes, start, stop, rows, units, all_rows):
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


@inner
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
def _sort_units(rows, units, m):
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


@inner
def _touch_row(rows, first, m, known, which):
    """The row that the unit's group is read from: the first or last step that has a value."""
    found = -1
    for r in range(first, m):
        if rows[STEPS, r] != 0 and known[rows[NUMBER, r]]:
            found = rows[NUMBER, r]
            if which == FIRST_TOUCH:
                break
    return found


@inner
def _chosen(ask, rows, first, m, labels, low, high, choice, levels, scratch):
    """Put the chain that counts at CHOSEN and its rows in BEST_ROWS; see `choose`."""
    free = ask.any_order and not ask.limited
    if free and ask.exclusions:
        for r in range(first, m):
            free &= rows[BARRED, r] == 0
    if free:
        best_in_any_order(
            ask, rows, first, m, labels, low, high, choice.first, choice.strict, scratch
        )
        return labels
    return choose(ask, rows, first, m, labels, low, high, choice, levels, scratch)


@inner
def _first(out, n, size):
    """The first n lines, with room for `size`."""
    wider = np.empty((size, out.shape[1]), np.int64)
    for i in range(n):
        for column in range(out.shape[1]):
            wider[i, column] = out[i, column]
    return wider


@inner
def _write(out, n, ask, rows, labels, user, kind, excluded, group, scratch):
    """Write the chain at CHOSEN as line n; is there an instant with two of its steps?"""
    if n == out.shape[0]:
        out = _first(out, n, 2 * n)
    out[n, USER] = user
    out[n, ENTRY_ROW] = rows[NUMBER, scratch[BEST_ROWS, 0]]
    out[n, TOUCH] = group
    out[n, FAR] = labels[CHOSEN, REACH]
    out[n, KIND] = kind
    out[n, TIED] = 0
    out[n, EXCLUDED] = excluded
    for k in range(ask.steps):
        out[n, STEP_ROWS + k] = -1
    together = False
    for c in range(labels[CHOSEN, COUNT]):
        place = c if ask.any_order else labels[CHOSEN, step_of(c)] - 1
        out[n, STEP_ROWS + place] = rows[NUMBER, scratch[BEST_ROWS, c]]
        together |= c > 0 and labels[CHOSEN, time_of(c)] == labels[CHOSEN, time_of(c - 1)]
    return out, together


@inner
def _best_of_unit(
    out, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch
):
    """Write the unit's best chain among all entries, and among mature ones where it differs."""
    kind, low, high = AMONG_ALL, limits.low, limits.high
    strict = Choice(choice.effect, choice.first, True)
    for _ in range(2):
        labels = _chosen(ask, rows, first, m, labels, low, high, choice, levels, scratch)
        reach = labels[CHOSEN, REACH]
        # A unit that leaves with all its entries may stay with the mature ones.
        mature = reach > 0 and labels[CHOSEN, ENTRY] <= limits.mature_until
        if reach:
            ended = choice.effect == END_ATTEMPT and (
                touch(ask, rows, first, m, labels, scratch) != FOREVER
            )
            told = kind + MATURE if mature else kind
            out, together = _write(out, n, ask, rows, labels, user, told, ended, group, scratch)
            if together and not choice.strict:
                labels = _chosen(ask, rows, first, m, labels, low, high, strict, levels, scratch)
                out[n, TIED] = labels[CHOSEN, REACH] < reach
            n += 1
        if mature or rows[TIME, first] > limits.mature_until or high <= limits.mature_until + 1:
            break
        kind, high = np.uint8(0), limits.mature_until + 1
    return out, n, labels


@inner
def _attempts(out, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch):
    """Write the unit's attempts: each from the earliest unused entry, as far as it gets."""
    effect = choice.effect
    free = limits.low
    if effect == DROP_UNIT:
        labels = _chosen(ask, rows, first, m, labels, free, limits.high, choice, levels, scratch)
        free = free if labels[CHOSEN, REACH] else limits.high
        effect = DROP_ATTEMPT
    r = next_entry(rows, first, m, ask, free, limits.high)
    while r >= 0:
        low, high = rows[TIME, r], rows[TIME, r] + 1
        asked = Choice(effect, True, choice.strict)
        first, _ = instant_of(rows, r, first, m)
        labels = _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
        dropped = labels[CHOSEN, REACH] == 0
        if dropped:
            # What the dropped attempt has used, no other may use.
            asked = Choice(END_ATTEMPT, True, choice.strict)
            labels = _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
        reach, count = labels[CHOSEN, REACH], labels[CHOSEN, COUNT]
        ended = touch(ask, rows, first, m, labels, scratch)
        free = low + ask.window + 1
        if reach >= ask.required and not dropped:
            free = labels[CHOSEN, LAST]
        elif ended != FOREVER:
            free = ended
        for c in range(count):
            scratch[ASIDE, c] = scratch[BEST_ROWS, c]
        if not dropped:
            kind = AMONG_ALL + MATURE if low <= limits.mature_until else AMONG_ALL
            out, together = _write(
                out, n, ask, rows, labels, user, kind, ended != FOREVER, group, scratch
            )
            if together and not choice.strict:
                asked = Choice(effect, True, True)
                labels = _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
                out[n, TIED] = labels[CHOSEN, REACH] < reach
            n += 1
        for c in range(count):
            rows[USED, scratch[ASIDE, c]] = 1
        r = next_entry(rows, first, m, ask, free, limits.high)
    return out, n, labels


@inner
def _lone_entry(out, n, ask, rows, first, m, labels, user, limits, group, scratch):
    """Write the chain of a unit that never got to a second step."""
    r = next_entry(rows, first, m, ask, limits.low, limits.high)
    if r < 0:
        return out, n
    t = rows[TIME, r]
    later = r
    while later >= 0:
        r = later
        later = next_entry(rows, r + 1, m, ask, t, t + 1)
    labels[CHOSEN, COUNT], labels[CHOSEN, REACH], labels[CHOSEN, EXTRAS] = 1, 1, 0
    labels[CHOSEN, step_of(0)], labels[CHOSEN, time_of(0)] = 1, t
    scratch[BEST_ROWS, 0] = r
    kind = AMONG_ALL + MATURE if t <= limits.mature_until else AMONG_ALL
    out, _ = _write(out, n, ask, rows, labels, user, kind, False, group, scratch)
    return out, n + 1


@inner
def _longest(offsets):
    longest = 1
    for u in range(offsets.size - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
    return longest


@nb.njit(cache=True, nogil=True)
def unit_chains(cells, codes, ask, limits, choice, attempts, which_touch):
    """The chains of every unit of a shard: int64 (chains, STEP_ROWS + steps), see the columns.

    Parameters
    ----------
    cells, codes, ask, limits, choice : see these types.
    attempts : every attempt of a unit counts, not its best chain.
    which_touch : FIRST_TOUCH, LAST_TOUCH, or 0 where the group is not read from a touch.
    """
    longest = _longest(cells.offsets)
    rows = np.zeros((ROW_LINES, longest + 1), np.int64)
    units = np.zeros(longest + 1, np.int64)
    labels = new_labels(64, ask.steps)
    levels = np.zeros((ask.steps + 1, PATH + ask.steps), np.int64)
    scratch = np.zeros((SCRATCH_LINES, ask.steps + 2), np.int64)
    out = np.empty((1024, STEP_ROWS + ask.steps), np.int64)
    n = 0
    for u in range(cells.offsets.size - 1):
        promise = codes.promise[u]
        if promise == NOTHING:
            continue
        start, end = cells.offsets[u], cells.offsets[u + 1]
        m = _gather(cells, codes, start, end, rows, units, ask.neighbors)
        if m and cells.unit.size:
            _sort_units(rows, units, m)
        first = 0
        while first < m:
            stop = m
            more = promise == MORE
            if cells.unit.size:
                seen, stop = 0, first
                while stop < m and units[stop] == units[first]:
                    seen |= (rows[STEPS, stop] & codes.more) | rows[BARRED, stop]
                    stop += 1
                more = ask.any_order or seen != 0
            group = -1
            if which_touch:
                group = _touch_row(rows, first, stop, cells.known, which_touch)
            if attempts:
                out, n, labels = _attempts(
                    out,
                    n,
                    ask,
                    rows,
                    first,
                    stop,
                    labels,
                    u,
                    limits,
                    choice,
                    group,
                    levels,
                    scratch,
                )
            elif more:
                out, n, labels = _best_of_unit(
                    out,
                    n,
                    ask,
                    rows,
                    first,
                    stop,
                    labels,
                    u,
                    limits,
                    choice,
                    group,
                    levels,
                    scratch,
                )
            else:
                out, n = _lone_entry(
                    out, n, ask, rows, first, stop, labels, u, limits, group, scratch
                )
            first = stop
    return _first(out, n, n)
