"""Which chain of a unit counts: the best of all entries, the first entry's, or one attempt's.

The search is that of `labels`; here is what it is asked. A unit without an excluded event is
asked once for how far its chains get and when that is reached, and once more, confined to the
entries that can reach it, for the times of the steps. Where an excluded event may drop a chain,
every entry is asked on its own, because what an event touches depends on when the window ends.
"""

from __future__ import annotations

from typing import NamedTuple

import numba as nb
import numpy as np

from analysis.funnels.search.blocks import CHOSEN as AMONG_ALL
from analysis.funnels.search.blocks import (
    EXCLUDED,
    MATURE,
    NOT_DONE,
    TIED,
    UNGROUPED,
    USERS,
    add,
    close_user,
    larger_block,
    new_block,
    new_list,
    new_sums,
    resized,
    with_room,
    write,
)
from analysis.funnels.search.exact import best_in_any_order, explore, preferred
from analysis.funnels.search.greedy import FULL, MOST_UNITS, UNSURE, certain_chains
from analysis.funnels.search.state import (
    AFTER,
    ASIDE,
    BARRED,
    BEST,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    ENTRY_ALONE,
    FOREVER,
    LACKING,
    LAST,
    MORE,
    NO_CHAIN,
    NO_LABEL,
    NUMBER,
    OF_ENTRY,
    PICKED,
    REACH,
    ROW_LINES,
    SCRATCH_LINES,
    STEPS,
    TIME,
    UNTIL,
    UNTOUCHED,
    USED,
    Ask,
    Entries,
    bit,
    copy_label,
    gather,
    gather_entry,
    has,
    inner,
    instant_of,
    longest,
    melted,
    new_labels,
    next_entry,
    pick_rows,
    reader,
    sort_units,
    step_of,
    time_of,
    touch,
    touch_row,
    wider,
)
from analysis.funnels.search.untied import (
    PATH,
    as_label,
    earlier,
    furthest,
    is_simple,
    shares_an_instant,
    walk,
)

# ──── passes.unit_choice


END_ATTEMPT, DROP_ATTEMPT, DROP_UNIT = 0, 1, 2


class Choice(NamedTuple):
    """How a unit's chain is chosen: the effect of exclusions, the first entry only, strict ties."""

    effect: int
    first: bool
    strict: bool


@reader
def without_exclusions(ask):
    """The same question, without the exclusions."""
    return Ask(
        ask.steps,
        ask.required,
        ask.window,
        ask.any_order,
        ask.neighbors,
        ask.limited,
        ask.optional,
        0,
        ask.limits,
    )


@reader
def _best_by_entry(ask, rows, first, m, labels, low, high, effect, strict, scratch):
    """Put the best chain, or the best untouched one where exclusions drop chains, with an entry in
    [low, high) at CHOSEN, each entry asked on its own; and the row of its entry.

    Where chains are dropped one by one, an entry counts only if an untouched chain gets as far
    from it as any valid one does.
    """
    dropping = effect != END_ATTEMPT
    place = UNTOUCHED if dropping else BEST
    only = -1
    labels[CHOSEN, REACH] = 0
    r = next_entry(rows, first, m, ask, low, high)
    while r >= 0:
        t = rows[TIME, r]
        start, _ = instant_of(rows, r, first, m)
        entries = Entries(t, t + 1, r)
        explore(ask, rows, start, m, labels, entries, strict, True, dropping, scratch)
        mine, known = labels[place, REACH], labels[CHOSEN, REACH]
        if mine > 0 and (effect == DROP_UNIT or mine == labels[BEST, REACH]):
            sooner = labels[CHOSEN, LAST] - labels[place, LAST]
            better = mine > known or (mine == known and sooner > 0)
            alike = mine == known and sooner == 0
            # Of entries that are alike the last to arrive counts.
            if better or (alike and preferred(labels, place, CHOSEN) >= 0):
                only = r
                copy_label(labels, place, CHOSEN)
        r = next_entry(rows, r + 1, m, ask, low, high)
    return only


@melted
def _best_valid(ask, rows, first, m, labels, low, high, at_once, strict, scratch):
    """Put the best chain with an entry in [low, high), which is one instant where `at_once`, at
    CHOSEN; and the row of its entry, where it matters which.
    """
    if not at_once:
        entries = Entries(low, high, -1)
        explore(ask, rows, first, m, labels, entries, strict, False, False, scratch)
        if labels[BEST, REACH] == 0:
            labels[CHOSEN, REACH] = 0
            return -1
        end = labels[BEST, LAST]
        low = max(low, end - ask.window)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
    if ask.any_order:
        # Each row of an instant may begin another chain.
        return _best_by_entry(ask, rows, first, m, labels, low, high, END_ATTEMPT, strict, scratch)
    entries = Entries(low, high, -1)
    explore(ask, rows, first, m, labels, entries, strict, True, False, scratch)
    copy_label(labels, BEST, CHOSEN)
    return -1


@melted
def _best_by_search(ask, rows, first, m, labels, low, high, choice, dropping, scratch):
    """Put the chain that counts at CHOSEN, by the search that is right for every unit."""
    strict = choice.strict
    if not dropping:
        only = _best_valid(ask, rows, first, m, labels, low, high, choice.first, strict, scratch)
    else:
        ignored = 0
        if choice.effect == DROP_UNIT:
            entries = Entries(low, high, -1)
            free = without_exclusions(ask)
            explore(free, rows, first, m, labels, entries, strict, False, False, scratch)
            ignored = labels[BEST, REACH]
        only = _best_by_entry(
            ask, rows, first, m, labels, low, high, choice.effect, strict, scratch
        )
        if ignored > labels[CHOSEN, REACH]:
            labels[CHOSEN, REACH] = 0
    if labels[CHOSEN, REACH]:
        pick_rows(ask, rows, first, m, labels, dropping, only, scratch)


@reader
def _is_touched(ask, rows, r, m):
    """Is every chain that enters at row r touched?

    It is where an excluded event that no chain can use comes after the entry and before any row
    of the step up to which it may not happen.
    """
    t = rows[TIME, r]
    seen, pending, instant = 0, 0, t
    for later in range(r + 1, m):
        if rows[TIME, later] > t + ask.window:
            break
        if rows[TIME, later] != instant:
            if pending & ~seen != 0:
                return True
            instant = rows[TIME, later]
        seen |= rows[STEPS, later]
        if rows[BARRED, later] != 0 and rows[STEPS, later] == 0 and instant > t:
            for x in range(ask.exclusions):
                if has(rows[BARRED, later], x + 1) and ask.limits[AFTER, x] == 1:
                    pending |= bit(ask.limits[UNTIL, x])
    return pending & ~seen != 0


@reader
def _untouched_walks(ask, rows, first, m, low, high, effect, strict, levels, scratch):
    """How far the best untouched chain of an untied unit gets, each entry asked on its own."""
    most, _ = furthest(ask, rows, first, m, low, high, strict, levels, scratch)
    known, end = 0, FOREVER
    r = next_entry(rows, first, m, ask, low, high)
    # Once a chain gets as far as any, entries after its end cannot do better.
    while r >= 0 and (known < most or rows[TIME, r] <= end):
        t = rows[TIME, r]
        start, stop = instant_of(rows, r, first, m)
        if not _is_touched(ask, rows, r, m):
            reach, far = walk(ask, rows, start, m, t, t + 1, strict, levels, True, scratch, PICKED)
            counts = reach > 0 and (effect == DROP_UNIT or reach == far)
            if counts and (reach > known or (reach == known and earlier(rows, reach, scratch))):
                known, end = reach, rows[TIME, scratch[PICKED, reach - 1]]
                for c in range(reach):
                    scratch[BEST_ROWS, c] = scratch[PICKED, c]
        r = next_entry(rows, stop, m, ask, low, high)
    return known


@melted
def _best_untied(ask, rows, first, m, labels, low, high, choice, dropping, levels, scratch):
    """Put the chain that counts at CHOSEN, for an untied unit; limits of single steps and optional
    steps only where the exclusions, if any, are not dropping.
    """
    strict = choice.strict
    if dropping:
        ignored = 0
        if choice.effect == DROP_UNIT:
            ignored, _ = furthest(
                without_exclusions(ask), rows, first, m, low, high, strict, levels, scratch
            )
        reach = _untouched_walks(
            ask, rows, first, m, low, high, choice.effect, strict, levels, scratch
        )
        reach = 0 if ignored > reach else reach
        as_label(ask, rows, reach, labels, scratch)
        if reach and shares_an_instant(rows, reach, m, scratch):
            pick_rows(ask, rows, first, m, labels, True, -1, scratch)
        return
    reach = 2
    if not choice.first:
        reach, end = furthest(ask, rows, first, m, low, high, strict, levels, scratch)
        if reach == 0:
            labels[CHOSEN, REACH] = 0
            return
        low, high = max(low, end - ask.window), min(high, end + 1)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
        if reach == 1:
            low = end
    if (ask.limited or ask.optional) and reach > 1:
        entries = Entries(low, high, -1)
        explore(ask, rows, first, m, labels, entries, strict, True, False, scratch)
        copy_label(labels, BEST, CHOSEN)
        pick_rows(ask, rows, first, m, labels, False, -1, scratch)
        return
    reach, _ = walk(ask, rows, first, m, low, high, strict, levels, False, scratch, BEST_ROWS)
    as_label(ask, rows, reach, labels, scratch)
    if shares_an_instant(rows, reach, m, scratch):
        pick_rows(ask, rows, first, m, labels, False, -1, scratch)


@reader
def choose(ask, rows, first, m, labels, low, high, choice, levels, scratch):
    """Put the chain that counts among those with an entry in [low, high) at CHOSEN (REACH 0:
    none), and its rows in BEST_ROWS.
    """
    if choice.first:
        r = next_entry(rows, first, m, ask, low, high)
        if r < 0:
            labels[CHOSEN, REACH] = 0
            return
        low, high = rows[TIME, r], rows[TIME, r] + 1
        first, _ = instant_of(rows, r, first, m)
    dropping = False
    if choice.effect != END_ATTEMPT and ask.exclusions:
        for r in range(first, m):
            dropping |= rows[BARRED, r] != 0
    bounded = ask.limited or ask.optional != 0 or ask.neighbors
    simple = not (ask.any_order or ((ask.limited or ask.optional) and ask.exclusions))
    if simple and is_simple(rows, first, m, bounded, dropping):
        _best_untied(ask, rows, first, m, labels, low, high, choice, dropping, levels, scratch)
    else:
        _best_by_search(ask, rows, first, m, labels, low, high, choice, dropping, scratch)


# ──── passes.searched_units
#
# The chains of a user found by search, where one look at the rows is not enough.
#
# `unit_choice` says which chain counts; here a user's units have their best chains, or their
# attempts, and these are put into the block. Where there is no room for one, `scratch` says so, and
# the user has to be asked again.


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


# ──── passes.unit_chains
#
# The funnel's pass with every option: the chains of each unit of a shard.
#
# A unit is a user, or the rows of one user that share a value (a session, a cart). Of most users
# one look at the rows tells the chains (`certain_units`), the others are searched
# (`searched_units`). What is found is added up, block by block, and kept where that is wanted. The
# funnel that needs no option has a pass of its own, `chains`.


class Wish(NamedTuple):
    """What is wanted of the chains: every attempt of a unit, not its best chain; the group's value
    from a touch (FIRST_TOUCH, LAST_TOUCH), or from a step (its number), or from the entry (both
    0); the list of the chains beside their sums. ``repeats``: can one user have several chains?
    """

    attempts: bool
    touch: int
    at_step: int
    keep: bool
    repeats: bool


@reader
def _grouped_at(sums, block, n, step):
    """Read the groups on a step: chains that never reach it are in none, and count nowhere."""
    for j in range(n):
        if block.reach[j] >= step and block.rows[j, step - 1] >= 0:
            block.group[j] = block.rows[j, step - 1]
        else:
            sums.facts[UNGROUPED] += (block.marks[j] & AMONG_ALL) != 0
            block.reach[j], block.marks[j] = 0, 0


@inner
def _flush(sums, kept, block, n, wish, grouping):
    """Add up the first n chains of the block, and keep them where that is wanted."""
    if wish.at_step:
        _grouped_at(sums, block, n, wish.at_step)
    sums = with_room(sums, n)
    add(sums, block, n, grouping)
    if wish.keep:
        kept = write(kept, block, n)
    return sums, kept


@inner
def _rows_of_user(cells, codes, ask, limits, wish, user, rows, units):
    """Write down the rows of a user that matter, unit by unit; how many there are."""
    start, stop = cells.offsets[user], cells.offsets[user + 1]
    alone = codes.promise[user] == ENTRY_ALONE
    if alone and not (cells.unit.size or wish.attempts or wish.touch):
        return gather_entry(cells, codes, start, stop, limits, rows)
    m = gather(cells, codes, start, stop, rows, units, ask.neighbors)
    if m and cells.unit.size:
        sort_units(rows, units, m)
    return m


@nb.njit(cache=True, nogil=True)
def unit_chains(cells, codes, ask, limits, choice, wish, grouping):
    """The chains of every unit of a shard: (sums, list), the list empty where it is not wanted.

    Parameters
    ----------
    cells, codes, ask, limits, choice, wish : see these types.
    grouping : see `chain_sums.Grouping`.
    """
    most = longest(cells.offsets)
    rows = np.zeros((ROW_LINES, most + 1), np.int64)
    units = np.zeros(most + 1, np.int64)
    labels = new_labels(64, ask.steps)
    levels = np.zeros((ask.steps + 1, PATH + ask.steps), np.int64)
    scratch = np.zeros((SCRATCH_LINES, ask.steps + 2), np.int64)
    sums = new_sums(grouping.values + 1, ask.steps, USERS, wish.repeats)
    kept = new_list(0, 0, ask.steps)
    block, n = new_block(2 * USERS, ask.steps), 0
    table = np.zeros((3, MOST_UNITS), np.int64)
    u = 0
    while u < cells.offsets.size - 1:
        n, u, why = certain_chains(cells, codes, ask, limits, choice, wish, table, block, n, u)
        if why == UNSURE:
            m = _rows_of_user(cells, codes, ask, limits, wish, u, rows, units)
            now = searched_chains(
                block,
                n,
                cells,
                codes,
                ask,
                rows,
                units,
                m,
                labels,
                u,
                limits,
                choice,
                wish,
                levels,
                scratch,
            )
            # Where room is lacking, the user is asked again.
            if scratch[LACKING, NO_LABEL]:
                labels = wider(labels)
            elif not scratch[LACKING, NO_CHAIN]:
                n, u = now, u + 1
        if why == FULL or scratch[LACKING, NO_CHAIN]:
            block = larger_block(block)
        scratch[LACKING] = 0
        if n >= USERS:
            sums, kept = _flush(sums, kept, block, n, wish, grouping)
            n = 0
    sums, kept = _flush(sums, kept, block, n, wish, grouping)
    close_user(sums)
    return sums, resized(kept, kept.sizes[0], kept.sizes[1])
