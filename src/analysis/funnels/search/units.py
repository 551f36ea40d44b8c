"""Funnels with options: the chains of every unit of a shard. `unit_chains` is the entry point.

A unit is a user, or the rows of one user that share a value (a session, a cart). One pass over the
rows tells the chains of most users (`greedy`). The others are searched, unit by unit:

- `choose` says which chain counts: the best of all entries, the first entry's, or one attempt's. A
  unit without an excluded event is asked once for how far its chains get and when that is reached,
  and once more, confined to the entries that can reach it, for the times of the steps. Where an
  excluded event may drop a chain, every entry is asked on its own, because what an event touches
  depends on when the window ends.
- Where no step competes for a row `untied` answers, else `exact`.

What is found is added up, block by block (`blocks`), and kept where that is wanted. Where there is
no room for a chain or a state, `per_step` says so, and the user is asked again with more room. The
funnel that needs no option has a search of its own, `plain`. ARCHITECTURE.md, "The chain search",
says why each unit is in good hands.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.funnels.search.blocks import (
    CHOSEN,
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
from analysis.funnels.search.crowds import ALIKE_LINES, MOST_KINDS, set_aside, use
from analysis.funnels.search.exact import best_in_any_order, explore, preferred
from analysis.funnels.search.greedy import FULL, MOST_UNITS, UNSURE, greedy_chains
from analysis.funnels.search.state import (
    AFTER,
    ANSWER,
    ASIDE,
    BEST,
    BEST_ROWS,
    COUNT,
    DROP_ATTEMPT,
    DROP_UNIT,
    END_ATTEMPT,
    ENTRY,
    ENTRY_ALONE,
    EXCLUSIONS,
    FOREVER,
    LACKING,
    LAST,
    MORE,
    NO_CHAIN,
    NO_STATE,
    NUMBER,
    OF_ENTRY,
    PICKED,
    REACH,
    ROW_LINES,
    STEP_LINES,
    STEPS,
    TIME,
    UNTIL,
    UNTOUCHED,
    ChainRules,
    Choice,
    Entries,
    Scratch,
    Spec,
    bit,
    copy_state,
    gather,
    gather_entry,
    has,
    inlined,
    instant_of,
    internal,
    longest,
    new_states,
    next_entry,
    pick_rows,
    sort_units,
    step_of,
    time_of,
    touch,
    touch_row,
    wider,
    without_refcounts,
)
from analysis.funnels.search.untied import (
    PATH,
    as_state,
    earlier,
    furthest,
    is_untied,
    shares_an_instant,
    walk,
)


@nb.njit(cache=True, nogil=True)
def unit_chains(cells, codes, rules, limits, choice, output, grouping):
    """The chains of every unit of a shard: (sums, list), the list empty where it is not wanted.

    Parameters
    ----------
    cells, codes, rules, limits, choice, output : see these types in `state`.
    grouping : see `blocks.Grouping`.
    """
    spec = Spec(rules, limits, choice, output)
    most = longest(cells.offsets)
    units = np.zeros(most + 1, np.int64)
    scratch = Scratch(
        np.zeros((ROW_LINES, most + 1), np.int64),
        new_states(64, rules.steps),
        np.zeros((rules.steps + 1, PATH + rules.steps), np.int64),
        np.zeros((STEP_LINES, rules.steps + 2), np.int64),
        np.zeros(most + 1, np.int64),
        np.zeros((ALIKE_LINES, MOST_KINDS + most // 2 + 1), np.int64),
    )
    lacking = scratch.per_step[LACKING]
    sums = new_sums(grouping.values + 1, rules.steps, np.int64(USERS), output.repeats)
    kept = new_list(0, 0, rules.steps)
    block, n = new_block(2 * USERS, rules.steps), np.int64(0)
    table = np.zeros((3, MOST_UNITS), np.int64)
    u = np.int64(0)
    while u < cells.offsets.size - 1:
        n, u, why = greedy_chains(cells, codes, spec, table, block, n, u)
        if why == UNSURE:
            m = _rows_of_user(cells, codes, spec, u, scratch, units)
            now = searched_chains(cells, codes, spec, u, units, m, block, n, scratch)
            # Where room is lacking, the user is asked again.
            if lacking[NO_STATE]:
                scratch = Scratch(
                    scratch.rows,
                    wider(scratch.states),
                    scratch.levels,
                    scratch.per_step,
                    scratch.aside,
                    scratch.alike,
                )
            elif not lacking[NO_CHAIN]:
                n, u = now, u + 1
        if why == FULL or lacking[NO_CHAIN]:
            block = larger_block(block)
        lacking[:] = 0
        if n >= USERS:
            sums, kept = _flush(sums, kept, block, n, output, grouping)
            n = np.int64(0)
    sums, kept = _flush(sums, kept, block, n, output, grouping)
    close_user(sums)
    return sums, resized(kept, kept.sizes[0], kept.sizes[1])


@internal
def _rows_of_user(cells, codes, spec, user, scratch, units):
    """Write down the rows of a user that matter, unit by unit; how many there are."""
    rows = scratch.rows
    start, stop = cells.offsets[user], cells.offsets[user + 1]
    alone = codes.need[user] == ENTRY_ALONE
    if alone and not (cells.unit.size or spec.output.attempts or spec.output.touch):
        return gather_entry(cells, codes, start, stop, spec.limits, rows)
    m = gather(cells, codes, start, stop, rows, units, spec.rules.neighbors)
    if m and cells.unit.size:
        sort_units(rows, units, m)
    steps, aside, alike = spec.rules.steps, scratch.aside, scratch.alike
    return set_aside(rows, units, m, steps, cells.known, aside, alike)


@internal
def _flush(sums, kept, block, n, output, grouping):
    """Add up the first n chains of the block, and keep them where that is wanted."""
    if not output.attempts:
        _chosen_as_mature(block, n)
    if output.at_step:
        _grouped_at(sums, block, n, output.at_step)
    if not output.attempts:
        _grouped_as_mature(block, n)
    sums = with_room(sums, n)
    add(sums, block, n, grouping)
    if output.keep:
        kept = write(kept, block, n)
    return sums, kept


# A unit whose best chain is immature has its best mature one behind it. Both count: the first says
# how far the unit has got, the second stands in the rates. So the first has to have done every step
# that the second has, and both are in one group, that of the second.


@inlined
def _is_second(block, j):
    """Is chain j the best mature one of a unit whose best chain is the one before it?"""
    return block.marks[j] & (CHOSEN | MATURE) == MATURE


@without_refcounts
def _chosen_as_mature(block, n):
    """Where the best chain leaves out a step that the best mature one did, that one counts for
    both.
    """
    for j in range(1, n):
        if not _is_second(block, j):
            continue
        left_out = False
        for k in range(block.reach[j]):
            done = k < block.reach[j - 1] and block.rows[j - 1, k] >= 0
            left_out |= block.rows[j, k] >= 0 and not done
        if left_out:
            block.reach[j - 1], block.marks[j - 1] = 0, 0
            block.marks[j] += CHOSEN


@without_refcounts
def _grouped_as_mature(block, n):
    for j in range(1, n):
        if _is_second(block, j):
            block.group[j - 1] = block.group[j]


@without_refcounts
def _grouped_at(sums, block, n, step):
    """Read the groups on a step: chains that never reach it are in none, and count nowhere."""
    for j in range(n):
        if block.reach[j] >= step and block.rows[j, step - 1] >= 0:
            block.group[j] = block.rows[j, step - 1]
        else:
            sums.facts[UNGROUPED] += (block.marks[j] & CHOSEN) != 0
            block.reach[j], block.marks[j] = 0, 0


# The chains of one user, by search. A unit is the rows [first, m) of `scratch.rows`; its chains go
# behind the first n of the block, and the answer is how many there are now.


@inlined
def searched_chains(cells, codes, spec, user, units, m, block, n, scratch):
    """Write the chains of a user."""
    rows = scratch.rows
    first = np.int64(0)
    while first < m:
        stop = m
        more = codes.need[user] >= MORE
        if cells.unit.size:
            seen, stop = 0, first
            while stop < m and units[stop] == units[first]:
                seen |= (rows[STEPS, stop] & codes.more) | rows[EXCLUSIONS, stop]
                stop += 1
            more = spec.rules.any_order or seen != 0
        group = OF_ENTRY
        if spec.output.touch:
            group = touch_row(rows, first, stop, cells.known, spec.output.touch)
        if spec.output.attempts:
            n = _attempts(spec, scratch, first, stop, block, n, user, group)
        elif more:
            n = _best_of_unit(spec, scratch, first, stop, block, n, user, group)
        else:
            n = _lone_entry(spec, scratch, first, stop, block, n, user, group)
        first = stop
    return n


@without_refcounts
def _best_of_unit(spec, scratch, first, m, block, n, user, group):
    """Write the unit's best chain among all entries, and among mature ones where it differs."""
    rules, limits, choice = spec.rules, spec.limits, spec.choice
    rows, states = scratch.rows, scratch.states
    kind, low, high = CHOSEN, limits.low, limits.high
    strict = Choice(choice.effect, choice.first, True)
    for _ in range(2):
        _chosen(rules, choice, scratch, first, m, low, high)
        reach = states[ANSWER, REACH]
        # A unit that leaves with all its entries may stay with the mature ones: then these count.
        mature = reach > 0 and states[ANSWER, ENTRY] <= limits.mature_until
        if reach:
            ended = choice.effect == END_ATTEMPT and (
                touch(rules, rows, first, m, states, scratch.per_step) != FOREVER
            )
            marks = kind + (MATURE if mature else 0) + (EXCLUDED if ended else 0)
            together = _put(rules, scratch, block, n, user, marks, group)
            if together and not choice.strict:
                _chosen(rules, strict, scratch, first, m, low, high)
                block.marks[n] += TIED if states[ANSWER, REACH] < reach else 0
            n += 1
        if mature or rows[TIME, first] > limits.mature_until or high <= limits.mature_until + 1:
            break
        kind, high = np.uint8(0) if reach else CHOSEN, limits.mature_until + 1
    return n


@without_refcounts
def _attempts(spec, scratch, first, m, block, n, user, group):
    """Write the unit's attempts: each from the earliest unused entry, as far as it gets."""
    rules, limits, choice = spec.rules, spec.limits, spec.choice
    rows, states, per_step = scratch.rows, scratch.states, scratch.per_step
    effect = choice.effect
    free = limits.low
    if effect == DROP_UNIT:
        _chosen(rules, choice, scratch, first, m, free, limits.high)
        free = free if states[ANSWER, REACH] else limits.high
        effect = DROP_ATTEMPT
    r = next_entry(rows, first, m, rules, free, limits.high)
    while r >= 0:
        low, high = rows[TIME, r], rows[TIME, r] + 1
        first, _ = instant_of(rows, r, first, m)
        _chosen(rules, Choice(effect, True, choice.strict), scratch, first, m, low, high)
        dropped = states[ANSWER, REACH] == 0
        if dropped:
            # What the dropped attempt has used, no other may use.
            _chosen(rules, Choice(END_ATTEMPT, True, choice.strict), scratch, first, m, low, high)
        reach, count = states[ANSWER, REACH], states[ANSWER, COUNT]
        ended = touch(rules, rows, first, m, states, per_step)
        free = low + rules.window + 1
        if reach >= rules.required and not dropped:
            free = states[ANSWER, LAST]
        elif ended != FOREVER:
            free = ended
        for c in range(count):
            per_step[ASIDE, c] = per_step[BEST_ROWS, c]
        if not dropped:
            marks = CHOSEN + (MATURE if low <= limits.mature_until else 0)
            marks += EXCLUDED if ended != FOREVER else 0
            together = _put(rules, scratch, block, n, user, marks, group)
            if together and not choice.strict:
                _chosen(rules, Choice(effect, True, True), scratch, first, m, low, high)
                block.marks[n] += TIED if states[ANSWER, REACH] < reach else 0
            n += 1
        use(rows, first, m, count, per_step, scratch.aside, scratch.alike)
        r = next_entry(rows, first, m, rules, free, limits.high)
    return n


@without_refcounts
def _lone_entry(spec, scratch, first, m, block, n, user, group):
    """Write the chain of a unit that never got to a second step."""
    rules, limits, rows = spec.rules, spec.limits, scratch.rows
    r = next_entry(rows, first, m, rules, limits.low, limits.high)
    if r < 0:
        return n
    t = rows[TIME, r]
    later = r
    while later >= 0:
        r = later
        later = next_entry(rows, r + 1, m, rules, t, t + 1)
    scratch.per_step[BEST_ROWS, 0] = r
    as_state(rules, rows, 1, scratch.states, scratch.per_step)
    marks = CHOSEN + (MATURE if t <= limits.mature_until else 0)
    _put(rules, scratch, block, n, user, marks, group)
    return n + 1


@without_refcounts
def _put(rules, scratch, block, n, user, marks, group):
    """Put the chain at ANSWER into place n; is there an instant with two of its steps?"""
    rows, states, per_step = scratch.rows, scratch.states, scratch.per_step
    if n >= block.user.size:
        per_step[LACKING, NO_CHAIN] = 1
        return False
    block.user[n], block.reach[n], block.marks[n] = user, states[ANSWER, REACH], marks
    for k in range(rules.steps):
        block.rows[n, k], block.times[n, k] = -1, NOT_DONE
    together = False
    for c in range(states[ANSWER, COUNT]):
        place = c if rules.any_order else states[ANSWER, step_of(c)] - 1
        block.rows[n, place] = rows[NUMBER, per_step[BEST_ROWS, c]]
        block.times[n, place] = rows[TIME, per_step[BEST_ROWS, c]]
        together |= c > 0 and states[ANSWER, time_of(c)] == states[ANSWER, time_of(c - 1)]
    block.group[n] = block.rows[n, 0] if group == OF_ENTRY else group
    return together


# Which chain of a unit counts, among those with an entry in [low, high). It is put at ANSWER (REACH
# 0: none), its rows into BEST_ROWS.


@inlined
def _chosen(rules, choice, scratch, first, m, low, high):
    """Put the chain that counts at ANSWER, whatever the order of the steps."""
    rows, states, per_step = scratch.rows, scratch.states, scratch.per_step
    free = rules.any_order and not rules.limited
    if free and rules.exclusions:
        for r in range(first, m):
            free &= rows[EXCLUSIONS, r] == 0
    if free:
        best_in_any_order(
            rules, rows, first, m, states, low, high, choice.first, choice.strict, per_step
        )
    else:
        choose(rules, choice, scratch, first, m, low, high)


@without_refcounts
def choose(rules, choice, scratch, first, m, low, high):
    """Put the chain that counts at ANSWER: `untied` finds it where it can, else `exact`."""
    rows, states = scratch.rows, scratch.states
    if choice.first:
        r = next_entry(rows, first, m, rules, low, high)
        if r < 0:
            states[ANSWER, REACH] = 0
            return
        low, high = rows[TIME, r], rows[TIME, r] + 1
        first, _ = instant_of(rows, r, first, m)
    dropping = False
    if choice.effect != END_ATTEMPT and rules.exclusions:
        for r in range(first, m):
            dropping |= rows[EXCLUSIONS, r] != 0
    bounded = rules.limited or rules.optional != 0 or rules.neighbors
    simple = not (rules.any_order or ((rules.limited or rules.optional) and rules.exclusions))
    if simple and is_untied(rows, first, m, bounded, dropping):
        _best_untied(rules, choice, scratch, first, m, low, high, dropping)
    else:
        _best_by_search(rules, choice, scratch, first, m, low, high, dropping)


@inlined
def _best_untied(rules, choice, scratch, first, m, low, high, dropping):
    """Put the chain that counts at ANSWER, for an untied unit; limits of single steps and optional
    steps only where the exclusions, if any, are not dropping.
    """
    rows, states, levels, per_step = (
        scratch.rows,
        scratch.states,
        scratch.levels,
        scratch.per_step,
    )
    strict = choice.strict
    if dropping:
        ignored = 0
        if choice.effect == DROP_UNIT:
            ignored, _ = furthest(
                _without_exclusions(rules), rows, first, m, low, high, strict, levels, per_step
            )
        reach = _untouched_walks(rules, choice, scratch, first, m, low, high)
        reach = 0 if ignored > reach else reach
        as_state(rules, rows, reach, states, per_step)
        if reach and shares_an_instant(rows, reach, m, per_step):
            pick_rows(rules, rows, first, m, states, True, -1, per_step)
        return
    reach = 2
    if not choice.first:
        reach, end = furthest(rules, rows, first, m, low, high, strict, levels, per_step)
        if reach == 0:
            states[ANSWER, REACH] = 0
            return
        low, high = max(low, end - rules.window), min(high, end + 1)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
        if reach == 1:
            low = end
    if (rules.limited or rules.optional) and reach > 1:
        entries = Entries(low, high, -1)
        explore(rules, rows, first, m, states, entries, strict, True, False, per_step)
        copy_state(states, BEST, ANSWER)
        pick_rows(rules, rows, first, m, states, False, -1, per_step)
        return
    reach, _ = walk(rules, rows, first, m, low, high, strict, levels, False, per_step, BEST_ROWS)
    as_state(rules, rows, reach, states, per_step)
    if shares_an_instant(rows, reach, m, per_step):
        pick_rows(rules, rows, first, m, states, False, -1, per_step)


@without_refcounts
def _untouched_walks(rules, choice, scratch, first, m, low, high):
    """How far the best untouched chain of an untied unit gets, each entry asked on its own."""
    rows, levels, per_step = scratch.rows, scratch.levels, scratch.per_step
    strict = choice.strict
    most, _ = furthest(rules, rows, first, m, low, high, strict, levels, per_step)
    known, end = 0, FOREVER
    r = next_entry(rows, first, m, rules, low, high)
    # Once a chain gets as far as any, entries after its end cannot do better.
    while r >= 0 and (known < most or rows[TIME, r] <= end):
        t = rows[TIME, r]
        start, stop = instant_of(rows, r, first, m)
        if not _is_touched(rules, rows, r, m):
            reach, far = walk(
                rules, rows, start, m, t, t + 1, strict, levels, True, per_step, PICKED
            )
            counts = reach > 0 and (choice.effect == DROP_UNIT or reach == far)
            if counts and (reach > known or (reach == known and earlier(rows, reach, per_step))):
                known, end = reach, rows[TIME, per_step[PICKED, reach - 1]]
                for c in range(reach):
                    per_step[BEST_ROWS, c] = per_step[PICKED, c]
        r = next_entry(rows, stop, m, rules, low, high)
    return known


@without_refcounts
def _is_touched(rules, rows, r, m):
    """Is every chain that enters at row r touched?

    It is where an excluded event that no chain can use comes after the entry and before any row
    of the step up to which it may not happen.
    """
    t = rows[TIME, r]
    seen, pending, instant = 0, 0, t
    for later in range(r + 1, m):
        if rows[TIME, later] > t + rules.window:
            break
        if rows[TIME, later] != instant:
            if pending & ~seen != 0:
                return True
            instant = rows[TIME, later]
        seen |= rows[STEPS, later]
        if rows[EXCLUSIONS, later] != 0 and rows[STEPS, later] == 0 and instant > t:
            for x in range(rules.exclusions):
                if has(rows[EXCLUSIONS, later], x + 1) and rules.limits[AFTER, x] == 1:
                    pending |= bit(rules.limits[UNTIL, x])
    return pending & ~seen != 0


@inlined
def _best_by_search(rules, choice, scratch, first, m, low, high, dropping):
    """Put the chain that counts at ANSWER, by the search that is right for every unit."""
    rows, states, per_step = scratch.rows, scratch.states, scratch.per_step
    strict = choice.strict
    if not dropping:
        only = _best_valid(rules, rows, first, m, states, low, high, choice.first, strict, per_step)
    else:
        ignored = 0
        if choice.effect == DROP_UNIT:
            entries = Entries(low, high, -1)
            free = _without_exclusions(rules)
            explore(free, rows, first, m, states, entries, strict, False, False, per_step)
            ignored = states[BEST, REACH]
        only = _best_by_entry(
            rules, rows, first, m, states, low, high, choice.effect, strict, per_step
        )
        if ignored > states[ANSWER, REACH]:
            states[ANSWER, REACH] = 0
    if states[ANSWER, REACH]:
        pick_rows(rules, rows, first, m, states, dropping, only, per_step)


@inlined
def _best_valid(rules, rows, first, m, states, low, high, at_once, strict, per_step):
    """Put the best chain with an entry in [low, high), which is one instant where `at_once`, at
    ANSWER; and the row of its entry, where it matters which.
    """
    if not at_once:
        entries = Entries(low, high, -1)
        explore(rules, rows, first, m, states, entries, strict, False, False, per_step)
        if states[BEST, REACH] == 0:
            states[ANSWER, REACH] = 0
            return -1
        end = states[BEST, LAST]
        low = max(low, end - rules.window)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
    if rules.any_order:
        # Each row of an instant may begin another chain.
        return _best_by_entry(
            rules, rows, first, m, states, low, high, END_ATTEMPT, strict, per_step
        )
    entries = Entries(low, high, -1)
    explore(rules, rows, first, m, states, entries, strict, True, False, per_step)
    copy_state(states, BEST, ANSWER)
    return -1


@without_refcounts
def _best_by_entry(rules, rows, first, m, states, low, high, effect, strict, per_step):
    """Put the best chain, or the best untouched one where exclusions drop chains, with an entry in
    [low, high) at ANSWER, each entry asked on its own; and the row of its entry.

    Where chains are dropped one by one, an entry counts only if an untouched chain gets as far
    from it as any valid one does.
    """
    dropping = effect != END_ATTEMPT
    place = UNTOUCHED if dropping else BEST
    only = -1
    states[ANSWER, REACH] = 0
    r = next_entry(rows, first, m, rules, low, high)
    while r >= 0:
        t = rows[TIME, r]
        start, _ = instant_of(rows, r, first, m)
        entries = Entries(t, t + 1, r)
        explore(rules, rows, start, m, states, entries, strict, True, dropping, per_step)
        mine, known = states[place, REACH], states[ANSWER, REACH]
        if mine > 0 and (effect == DROP_UNIT or mine == states[BEST, REACH]):
            sooner = states[ANSWER, LAST] - states[place, LAST]
            better = mine > known or (mine == known and sooner > 0)
            alike = mine == known and sooner == 0
            # Of entries that are alike the last to arrive counts.
            if better or (alike and preferred(states, place, ANSWER) >= 0):
                only = r
                copy_state(states, place, ANSWER)
        r = next_entry(rows, r + 1, m, rules, low, high)
    return only


@without_refcounts
def _without_exclusions(rules):
    """The same funnel, without the exclusions."""
    return ChainRules(
        rules.steps,
        rules.required,
        rules.window,
        rules.any_order,
        rules.neighbors,
        rules.limited,
        rules.optional,
        0,
        rules.limits,
    )
