"""The funnel's pass with every option: the chains of each unit of a shard.

A unit is a user, or the rows of one user that share a value (a session, a cart). Rows that match
no step and no exclusion are left behind at once, unless neighbors are asked for. `unit_choice`
says which chain counts; here users are cut into units, units into attempts, and chains are
written down. The funnel that needs none of this has a pass of its own, `chains`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.passes.any_chains import best_in_any_order
from analysis.passes.chain_rows import instant_of, next_entry, touch
from analysis.passes.chain_state import (
    ASIDE,
    BARRED,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
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
)
from analysis.passes.unit_rows import (
    ENTRY_ALONE,
    MORE,
    NOTHING,
    gather,
    gather_entry,
    longest,
    sort_units,
    touch_row,
)
from analysis.passes.untied_chains import PATH, as_label

# Columns of the chains found: the user, the row of the entry, the row that the group is read from
# (−1: none), how far, what kind (see `chains`), two truth values, and then the row of each step
# (in any order: of the k-th one done), −1 where it is not done.
USER, ENTRY_ROW, TOUCH, FAR, KIND, TIED, EXCLUDED = range(7)
STEP_ROWS = 7


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
    scratch[BEST_ROWS, 0] = r
    as_label(ask, rows, 1, labels, scratch)
    kind = AMONG_ALL + MATURE if t <= limits.mature_until else AMONG_ALL
    out, _ = _write(out, n, ask, rows, labels, user, kind, False, group, scratch)
    return out, n + 1


@nb.njit(cache=True, nogil=True)
def unit_chains(cells, codes, ask, limits, choice, attempts, which_touch):
    """The chains of every unit of a shard: int64 (chains, STEP_ROWS + steps), see the columns.

    Parameters
    ----------
    cells, codes, ask, limits, choice : see these types.
    attempts : every attempt of a unit counts, not its best chain.
    which_touch : FIRST_TOUCH, LAST_TOUCH, or 0 where the group is not read from a touch.
    """
    most = longest(cells.offsets)
    rows = np.zeros((ROW_LINES, most + 1), np.int64)
    units = np.zeros(most + 1, np.int64)
    labels = new_labels(64, ask.steps)
    levels = np.zeros((ask.steps + 1, PATH + ask.steps), np.int64)
    scratch = np.zeros((SCRATCH_LINES, ask.steps + 2), np.int64)
    out = np.empty((cells.offsets.size + 1, STEP_ROWS + ask.steps), np.int64)
    n = 0
    for u in range(cells.offsets.size - 1):
        promise = codes.promise[u]
        if promise == NOTHING:
            continue
        start, end = cells.offsets[u], cells.offsets[u + 1]
        if promise == ENTRY_ALONE and not (cells.unit.size or attempts or which_touch):
            m = gather_entry(cells, codes, start, end, limits, rows)
        else:
            m = gather(cells, codes, start, end, rows, units, ask.neighbors)
        if m and cells.unit.size:
            sort_units(rows, units, m)
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
                group = touch_row(rows, first, stop, cells.known, which_touch)
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
