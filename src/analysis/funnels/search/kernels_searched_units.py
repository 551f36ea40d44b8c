"""The chains of a user found by search, where one look at the rows is not enough.

`unit_choice` says which chain counts; here a user's units have their best chains, or their
attempts, and these are put into the block. Where there is no room for one, `scratch` says so, and
the user has to be asked again.
"""

from __future__ import annotations

import numpy as np

from analysis.funnels.search.kernels_any_chains import best_in_any_order
from analysis.funnels.search.kernels_chain_block import CHOSEN as AMONG_ALL
from analysis.funnels.search.kernels_chain_block import EXCLUDED, MATURE, NOT_DONE, TIED
from analysis.funnels.search.kernels_chain_state import (
    ASIDE,
    BARRED,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    FOREVER,
    LACKING,
    LAST,
    NO_CHAIN,
    NUMBER,
    REACH,
    STEPS,
    TIME,
    USED,
    melted,
    reader,
    step_of,
    time_of,
)
from analysis.funnels.search.kernels_unit_rows import MORE, OF_ENTRY, touch_row
from analysis.funnels.search.state import instant_of, next_entry, touch
from analysis.funnels.search.units import DROP_ATTEMPT, DROP_UNIT, END_ATTEMPT, Choice, choose
from analysis.funnels.search.untied import as_label


@melted
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
    else:
        choose(ask, rows, first, m, labels, low, high, choice, levels, scratch)


@reader
def _put(block, n, ask, rows, labels, user, marks, group, scratch):
    """Put the chain at CHOSEN into place n; is there an instant with two of its steps?"""
    if n >= block.user.size:
        scratch[LACKING, NO_CHAIN] = 1
        return False
    block.user[n], block.reach[n], block.marks[n] = user, labels[CHOSEN, REACH], marks
    for k in range(ask.steps):
        block.rows[n, k], block.times[n, k] = -1, NOT_DONE
    together = False
    for c in range(labels[CHOSEN, COUNT]):
        place = c if ask.any_order else labels[CHOSEN, step_of(c)] - 1
        block.rows[n, place] = rows[NUMBER, scratch[BEST_ROWS, c]]
        block.times[n, place] = rows[TIME, scratch[BEST_ROWS, c]]
        together |= c > 0 and labels[CHOSEN, time_of(c)] == labels[CHOSEN, time_of(c - 1)]
    block.group[n] = block.rows[n, 0] if group == OF_ENTRY else group
    return together


@reader
def _best_of_unit(
    block, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch
):
    """Write the unit's best chain among all entries, and among mature ones where it differs."""
    kind, low, high = AMONG_ALL, limits.low, limits.high
    strict = Choice(choice.effect, choice.first, True)
    for _ in range(2):
        _chosen(ask, rows, first, m, labels, low, high, choice, levels, scratch)
        reach = labels[CHOSEN, REACH]
        # A unit that leaves with all its entries may stay with the mature ones.
        mature = reach > 0 and labels[CHOSEN, ENTRY] <= limits.mature_until
        if reach:
            ended = choice.effect == END_ATTEMPT and (
                touch(ask, rows, first, m, labels, scratch) != FOREVER
            )
            marks = kind + (MATURE if mature else 0) + (EXCLUDED if ended else 0)
            together = _put(block, n, ask, rows, labels, user, marks, group, scratch)
            if together and not choice.strict:
                _chosen(ask, rows, first, m, labels, low, high, strict, levels, scratch)
                block.marks[n] += TIED if labels[CHOSEN, REACH] < reach else 0
            n += 1
        if mature or rows[TIME, first] > limits.mature_until or high <= limits.mature_until + 1:
            break
        kind, high = np.uint8(0), limits.mature_until + 1
    return n


@reader
def _attempts(block, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch):
    """Write the unit's attempts: each from the earliest unused entry, as far as it gets."""
    effect = choice.effect
    free = limits.low
    if effect == DROP_UNIT:
        _chosen(ask, rows, first, m, labels, free, limits.high, choice, levels, scratch)
        free = free if labels[CHOSEN, REACH] else limits.high
        effect = DROP_ATTEMPT
    r = next_entry(rows, first, m, ask, free, limits.high)
    while r >= 0:
        low, high = rows[TIME, r], rows[TIME, r] + 1
        asked = Choice(effect, True, choice.strict)
        first, _ = instant_of(rows, r, first, m)
        _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
        dropped = labels[CHOSEN, REACH] == 0
        if dropped:
            # What the dropped attempt has used, no other may use.
            asked = Choice(END_ATTEMPT, True, choice.strict)
            _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
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
            marks = AMONG_ALL + (MATURE if low <= limits.mature_until else 0)
            marks += EXCLUDED if ended != FOREVER else 0
            together = _put(block, n, ask, rows, labels, user, marks, group, scratch)
            if together and not choice.strict:
                asked = Choice(effect, True, True)
                _chosen(ask, rows, first, m, labels, low, high, asked, levels, scratch)
                block.marks[n] += TIED if labels[CHOSEN, REACH] < reach else 0
            n += 1
        for c in range(count):
            rows[USED, scratch[ASIDE, c]] = 1
        r = next_entry(rows, first, m, ask, free, limits.high)
    return n


@reader
def _lone_entry(block, n, ask, rows, first, m, labels, user, limits, group, scratch):
    """Write the chain of a unit that never got to a second step."""
    r = next_entry(rows, first, m, ask, limits.low, limits.high)
    if r < 0:
        return n
    t = rows[TIME, r]
    later = r
    while later >= 0:
        r = later
        later = next_entry(rows, r + 1, m, ask, t, t + 1)
    scratch[BEST_ROWS, 0] = r
    as_label(ask, rows, 1, labels, scratch)
    marks = AMONG_ALL + (MATURE if t <= limits.mature_until else 0)
    _put(block, n, ask, rows, labels, user, marks, group, scratch)
    return n + 1


@melted
def _search_unit(
    block, n, ask, rows, first, m, labels, user, limits, choice, wish, group, more, levels, scratch
):
    """Write the chains of a unit behind the first n of the block; how many there are now."""
    if wish.attempts:
        return _attempts(
            block, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch
        )
    if more:
        return _best_of_unit(
            block, n, ask, rows, first, m, labels, user, limits, choice, group, levels, scratch
        )
    return _lone_entry(block, n, ask, rows, first, m, labels, user, limits, group, scratch)


@melted
def searched_chains(
    block, n, cells, codes, ask, rows, units, m, labels, user, limits, choice, wish, levels, scratch
):
    """Write the chains of a user behind the first n of the block; how many there are now."""
    first = 0
    while first < m:
        stop = m
        more = codes.promise[user] >= MORE
        if cells.unit.size:
            seen, stop = 0, first
            while stop < m and units[stop] == units[first]:
                seen |= (rows[STEPS, stop] & codes.more) | rows[BARRED, stop]
                stop += 1
            more = ask.any_order or seen != 0
        group = OF_ENTRY
        if wish.touch:
            group = touch_row(rows, first, stop, cells.known, wish.touch)
        n = _search_unit(
            block,
            n,
            ask,
            rows,
            first,
            stop,
            labels,
            user,
            limits,
            choice,
            wish,
            group,
            more,
            levels,
            scratch,
        )
        first = stop
    return n
