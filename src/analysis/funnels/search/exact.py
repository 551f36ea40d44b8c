"""The exact search: right for every unit, and used where `greedy` and `untied` are not sure.

A state of the search stands for a chain: which steps it has done, when it entered, when it did its
last step, which exclusions can still end it. At each instant states are extended by the rows found
there. Of two states with the same steps ahead of them one is dropped when all that it could still
become, the other could become too, and no worse (Pareto dominance: `_covers`). So a handful is left
and the cost stays linear in the rows.

Without paths a state is better for a later entry (more of the window is left) and, where steps
have limits of their own, for a later last step. With paths all entries are such that the window
cannot matter any more, and the funnel's rule decides: more optional steps, earlier times of
steps, a later entry (`preferred`).

In any order, without limits of single steps and without excluded events, `best_in_any_order` is
quicker. Which events of a stretch of time can serve distinct steps together is a transversal
matroid. So taking events as they come, whenever they can still be given a step, gets as far as any
choice does, and at each step the earliest (Edmonds 1971, *Mathematical Programming* 1:127), and one
walk through its window judges an entry. Where no event matches two steps, one pass over all rows
tells how far anyone gets and when; then only the entries that can reach that are walked from.
"""

from __future__ import annotations

import numpy as np

from analysis.funnels.search.state import (
    ACTIVE,
    AFTER,
    ANSWER,
    BEFORE,
    BEST,
    BEST_ROWS,
    COUNT,
    DONE,
    ENTRY,
    EXCLUSIONS,
    EXTRAS,
    FIRST,
    FOREVER,
    FRESH,
    HERE,
    LACKING,
    LAST,
    LIVE,
    MUST,
    NEVER,
    NO_STATE,
    OWNER,
    PICKED,
    REACH,
    STANDS,
    STEPS,
    TAKEN,
    TIME,
    UNTIL,
    UNTOUCHED,
    USED,
    WITHIN,
    augment,
    bit,
    can_match,
    clear_matching,
    copy_state,
    has,
    instant_of,
    next_entry,
    step_of,
    time_of,
    without_refcounts,
)
from analysis.funnels.search.untied import is_untied


@without_refcounts
def explore(rules, rows, first, m, states, entries, strict, paths, untouched, per_step):
    """Find the best chain of the rows [first, m).

    Parameters
    ----------
    strict : do ties have to wait. paths : do the times of steps decide between chains (then the
        window must not: entries so late that it ends after the last row, or at one instant).
    untouched : look for the best chain that no excluded event touches, too (then entries are at
        one instant).

    The answers are the states at BEST and UNTOUCHED, whose REACH is 0 where there is none, and
    whose LAST is the instant at which they end. Where there is no room for the states, `per_step`
    says so, and there is none.
    """
    states[BEST, REACH], states[UNTOUCHED, REACH] = 0, 0
    states[BEST, COUNT], states[UNTOUCHED, COUNT] = 0, 0
    wanted = UNTOUCHED if untouched else BEST
    n = np.int64(FIRST)
    r = first
    while r < m and states[wanted, REACH] < rules.steps:
        t = rows[TIME, r]
        if t >= entries.high and (n == FIRST or t - rules.window >= entries.high):
            break
        union, excluded = 0, 0
        stop = r
        while stop < m and rows[TIME, stop] == t:
            if not rows[USED, stop]:
                union |= rows[STEPS, stop]
            excluded |= rows[EXCLUSIONS, stop]
            stop += 1
        base = n
        if union != 0:
            n = _extend(states, n, rows, r, stop, union, rules, entries, strict, paths, per_step)
            if per_step[LACKING, NO_STATE]:
                states[BEST, REACH], states[UNTOUCHED, REACH] = 0, 0
                states[BEST, COUNT], states[UNTOUCHED, COUNT] = 0, 0
                break
            for a in range(base, n):
                if states[a, LIVE]:
                    _noted(states, a, BEST, paths)
                    if untouched and states[a, REACH] >= states[UNTOUCHED, REACH]:
                        ends = touched_at(states, a, rows, r, stop, m, rules, entries, per_step)
                        if ends == FOREVER:
                            _noted(states, a, UNTOUCHED, paths)
        if n > base or excluded != 0 or rules.neighbors:
            n = _close(states, base, n, rows, r, stop, excluded, rules, entries, paths, per_step)
        r = stop


@without_refcounts
def _extend(states, n, rows, first, stop, union, rules, entries, strict, paths, per_step):
    """Append what the rows [first, stop) of one instant make of the first n states: how many there
    are then.
    """
    t = rows[TIME, first]
    base = n
    alone = stop == first + 1
    a = np.int64(FIRST - 1)
    # The one before the first stands for the chain that has not begun. Labels made here may go on
    # here, where ties are lenient.
    while a < n and not (a >= base and (strict or alone)):
        begins = a < FIRST
        for k in range(1, rules.steps + 1):
            if not has(union, k) or not (begins or states[a, LIVE]):
                continue
            if begins:
                fits = (rules.any_order or k == 1) and _enters(rows, first, stop, k, entries)
            else:
                fits = _follows(states, a, k, t, rules)
            if not fits:
                continue
            if n == states.shape[0]:
                per_step[LACKING, NO_STATE] = 1
                return base
            if begins:
                _begun(states, n, t)
            else:
                copy_state(states, a, n)
            if a < base:
                states[n, HERE], states[n, FRESH] = 0, 0
            _step_done(states, n, k, t, rules)
            if alone or _can_be_matched(states, n, rows, first, stop, 0, rules, entries, per_step):
                n = _kept(states, base, n, rules, paths)
        a += 1
    return n


@without_refcounts
def _enters(rows, first, stop, k, entries):
    """Is there a row in [first, stop) that can be an entry at step k?"""
    if not entries.low <= rows[TIME, first] < entries.high:
        return False
    for r in range(first, stop):
        if (entries.only < 0 or r == entries.only) and not rows[USED, r] and has(rows[STEPS, r], k):
            return True
    return False


@without_refcounts
def _follows(states, a, k, t, rules):
    """Can the state do step k at the instant t?"""
    if t - states[a, LAST] > rules.limits[WITHIN, k] or t - states[a, ENTRY] > rules.window:
        return False
    if rules.any_order:
        return not has(states[a, DONE], k)
    return rules.limits[BEFORE, k] <= states[a, REACH] < k


@without_refcounts
def _begun(states, n, t):
    """A chain at n that enters at the instant t and has done nothing yet."""
    states[n, DONE], states[n, COUNT], states[n, EXTRAS], states[n, ACTIVE] = 0, 0, 0, 0
    states[n, ENTRY] = t


@without_refcounts
def _step_done(states, a, k, t, rules):
    """Let the state at `a` do step k at the instant t."""
    count = states[a, COUNT]
    states[a, time_of(count)] = t
    states[a, step_of(count)] = k
    states[a, COUNT] = count + 1
    states[a, DONE] |= bit(k)
    states[a, HERE] |= bit(k)
    states[a, LAST] = t
    states[a, EXTRAS] += has(rules.optional, k)
    place = count + 1 if rules.any_order else k
    states[a, REACH] = place
    for x in range(rules.exclusions):
        if rules.limits[AFTER, x] == place:
            states[a, ACTIVE] |= bit(x + 1)
            states[a, FRESH] |= bit(x + 1)
        elif rules.limits[UNTIL, x] == place:
            states[a, ACTIVE] &= ~bit(x + 1)


@without_refcounts
def _can_be_matched(states, a, rows, first, stop, need, rules, entries, per_step):
    """Can the state's steps of this instant have rows of their own, so that every row which
    matches an exclusion of `need` is one of them?
    """
    steps = states[a, HERE]
    for r in range(first, stop):
        rows[MUST, r] = rows[EXCLUSIONS, r] & need != 0
        rows[TAKEN, r] = 0
    if first <= entries.only < stop and states[a, ENTRY] == rows[TIME, first]:
        rows[TAKEN, entries.only] = 1
        steps &= ~bit(states[a, step_of(0)])
    return can_match(rows, first, stop, steps, rules.steps, per_step)


@without_refcounts
def _kept(states, base, n, rules, paths):
    """Keep the new state at n unless one of this instant covers it; how many there are now."""
    states[n, LIVE] = 1
    for b in range(base, n):
        if states[b, LIVE] and _covers(states, b, n, rules, paths, True):
            return n
    for b in range(base, n):
        if states[b, LIVE] and _covers(states, n, b, rules, paths, True):
            states[b, LIVE] = 0
    return n + 1


@without_refcounts
def _covers(states, a, b, rules, paths, within_instant):
    """Is state b of no use beside state a?"""
    if states[a, REACH] != states[b, REACH]:
        return False
    if rules.any_order and states[a, DONE] != states[b, DONE]:
        return False
    if states[a, ACTIVE] & ~states[b, ACTIVE] != 0:
        return False
    if within_instant and (
        states[a, HERE] != states[b, HERE]
        or states[a, FRESH] != states[b, FRESH]
        or states[a, step_of(0)] != states[b, step_of(0)]
    ):
        return False
    if rules.limited and states[a, LAST] < states[b, LAST]:
        return False
    if paths:
        return preferred(states, a, b) >= 0
    return states[a, ENTRY] >= states[b, ENTRY]


@without_refcounts
def preferred(states, a, b):
    """By the funnel's rule for chains that go equally far and end at the same instant:
    1 where state a is better, −1 where b is, 0 where they are alike.
    """
    if states[a, EXTRAS] != states[b, EXTRAS]:
        return 1 if states[a, EXTRAS] > states[b, EXTRAS] else -1
    count = min(states[a, COUNT], states[b, COUNT])
    for c in range(1, count):
        if states[a, time_of(c)] != states[b, time_of(c)]:
            return 1 if states[a, time_of(c)] < states[b, time_of(c)] else -1
    if states[a, EXTRAS]:
        for c in range(count):
            if states[a, step_of(c)] != states[b, step_of(c)]:
                return 1 if states[a, step_of(c)] < states[b, step_of(c)] else -1
    if states[a, ENTRY] != states[b, ENTRY]:
        return 1 if states[a, ENTRY] > states[b, ENTRY] else -1
    return 0


@without_refcounts
def _noted(states, a, place, paths):
    """Remember state a in `place` where it is better than what is there."""
    far, known = states[a, REACH], states[place, REACH]
    if far < known or (far == known and states[a, LAST] > states[place, LAST]):
        return
    if far > known or (paths and preferred(states, a, place) > 0):
        copy_state(states, a, place)


@without_refcounts
def touched_at(states, a, rows, first, stop, m, rules, entries, per_step):
    """The first instant, inside the window, of an excluded event that ends the state's chain, or
    FOREVER where there is none; [first, stop) are the rows of the chain's last instant.
    """
    late = states[a, ACTIVE]
    if late == 0:
        return FOREVER
    need = late & ~states[a, FRESH]
    if need != 0 and not _can_be_matched(
        states, a, rows, first, stop, need, rules, entries, per_step
    ):
        return states[a, LAST]
    end = states[a, ENTRY] + rules.window
    r = stop
    while r < m and rows[TIME, r] <= end:
        if rows[EXCLUSIONS, r] & late != 0:
            return rows[TIME, r]
        r += 1
    return FOREVER


@without_refcounts
def _close(states, base, n, rows, first, stop, excluded, rules, entries, paths, per_step):
    """End the instant: drop states that an excluded event has ended, and states of no use."""
    oldest = rows[TIME, first] - rules.window
    for a in range(FIRST, n):
        need = states[a, ACTIVE] & excluded
        if a < base:
            ended = rules.neighbors or need != 0 or states[a, ENTRY] < oldest
        else:
            need &= ~states[a, FRESH]
            ended = need != 0 and not _can_be_matched(
                states, a, rows, first, stop, need, rules, entries, per_step
            )
        if ended:
            states[a, LIVE] = 0
    kept = np.int64(FIRST)
    for a in range(FIRST, n):
        for b in range(FIRST, n):
            if b != a and states[a, LIVE] and states[b, LIVE]:
                states[a, LIVE] = not _covers(states, b, a, rules, paths, False)
    for a in range(FIRST, n):
        if states[a, LIVE]:
            if kept != a:
                copy_state(states, a, kept)
            kept += 1
    return kept


# Steps in any order.

_ALL = -1


@without_refcounts
def best_in_any_order(rules, rows, first, m, states, low, high, at_once, strict, per_step):
    """Put the chain that counts among those with an entry in [low, high) at ANSWER (REACH 0:
    none), its rows in BEST_ROWS.
    """
    states[ANSWER, REACH] = 0
    r = next_entry(rows, first, m, rules, low, high)
    if r >= 0 and at_once:
        low, high = rows[TIME, r], rows[TIME, r] + 1
    far = 0
    if r >= 0 and not (strict or at_once) and _distinct(rows, first, m):
        far, end = _furthest(rules, rows, first, m, low, high, per_step)
        low, high = max(low, end - rules.window), min(high, end + 1)
        r = next_entry(rows, first, m, rules, low, high)
    untied = far > 0 and is_untied(rows, first, m, True, False)
    if untied:
        # The first entry that gets this far has the earliest steps; a later one before its second
        # step has the same.
        _walk(rules, rows, r, r, m, strict, per_step)
        for later in range(r + 1, per_step[PICKED, 1] if far > 1 else r + 1):
            if rows[STEPS, later] != 0 and not rows[USED, later] and rows[TIME, later] < high:
                r = later
    while r >= 0:
        start, _ = instant_of(rows, r, first, m)
        count, end = _walk(rules, rows, r, start, m, strict, per_step)
        known, sooner = states[ANSWER, REACH], states[ANSWER, LAST] - end
        if count >= far and (count > known or (count == known and sooner >= 0)):
            if strict:
                _own_rows(rules, rows, m, count, per_step)
            _keep(states, rows, count, per_step, UNTOUCHED)
            better = count > known or sooner > 0
            if better or preferred(states, UNTOUCHED, ANSWER) >= 0:
                copy_state(states, UNTOUCHED, ANSWER)
                for c in range(count):
                    per_step[BEST_ROWS, c] = per_step[PICKED, c]
        r = -1 if untied else next_entry(rows, r + 1, m, rules, low, high)
        # Where it is known how far anyone gets, an entry after the second step is too late.
        if (
            r >= 0
            and states[ANSWER, REACH] == far > 1
            and rows[TIME, r] > states[ANSWER, time_of(1)]
        ):
            r = -1


@without_refcounts
def _distinct(rows, first, m):
    """Does every row match at most one step?"""
    shared = False
    for r in range(first, m):
        shared |= rows[STEPS, r] & (rows[STEPS, r] - 1) != 0
    return not shared


@without_refcounts
def _furthest(rules, rows, first, m, low, high, per_step):
    """How many steps any chain of these rows gets, and when first; no event matches two steps."""
    for k in range(1, rules.steps + 1):
        per_step[OWNER, k] = NEVER
    reach, end = 0, NEVER
    entry = next_entry(rows, first, m, rules, low, high)
    for r in range(first, m):
        if rows[USED, r] or rows[STEPS, r] == 0:
            continue
        t = rows[TIME, r]
        for k in range(1, rules.steps + 1):
            if has(rows[STEPS, r], k):
                per_step[OWNER, k] = t
        # The earliest entry in this instant's window has every event after it to itself.
        while 0 <= entry <= r and rows[TIME, entry] < t - rules.window:
            entry = next_entry(rows, entry + 1, m, rules, low, high)
        if entry < 0 or entry > r:
            continue
        count = 0
        for k in range(1, rules.steps + 1):
            count += per_step[OWNER, k] >= rows[TIME, entry]
        if count > reach:
            reach, end = count, t
    return reach, end


@without_refcounts
def _walk(rules, rows, entry, start, m, strict, per_step):
    """Walk from an entry: PICKED receives the rows that get a step; how many, and the end.

    Where ties have to wait an instant is one event, and its first row stands for all of them.
    """
    clear_matching(per_step, rules.steps)
    rows[STANDS, entry] = rows[STEPS, entry]
    augment(rows, STANDS, entry, _ALL, rules.steps, per_step)
    per_step[PICKED, 0] = entry
    count = 1
    end = rows[TIME, entry]
    limit = end + rules.window
    r = start
    while r < m and rows[TIME, r] <= limit and count < rules.steps:
        stop = r + 1
        free = 0 if rows[USED, r] or r == entry else rows[STEPS, r]
        if strict:
            while stop < m and rows[TIME, stop] == rows[TIME, r]:
                free |= 0 if rows[USED, stop] else rows[STEPS, stop]
                stop += 1
            if rows[TIME, r] == rows[TIME, entry]:
                free = 0
        if free != 0:
            rows[STANDS, r] = free
            if augment(rows, STANDS, r, _ALL, rules.steps, per_step):
                per_step[PICKED, count] = r
                count += 1
                end = rows[TIME, r]
        r = stop
    return count, end


@without_refcounts
def _own_rows(rules, rows, m, count, per_step):
    """Where an instant stood for its rows: the first to arrive that leaves every step served."""
    for c in range(1, count):
        place = per_step[PICKED, c]
        _, stop = instant_of(rows, place, place, m)
        for r in range(place, stop):
            if rows[USED, r] or rows[STEPS, r] == 0:
                continue
            before = rows[STANDS, place]
            rows[STANDS, place] = rows[STEPS, r]
            clear_matching(per_step, rules.steps)
            served = True
            for other in range(count):
                row = per_step[PICKED, other]
                served &= augment(rows, STANDS, row, _ALL, rules.steps, per_step)
            if served:
                rows[STANDS, r] = rows[STANDS, place]
                per_step[PICKED, c] = r
                break
            rows[STANDS, place] = before


@without_refcounts
def _keep(states, rows, count, per_step, place):
    """Write the chain of the PICKED rows as a state."""
    states[place, ENTRY] = rows[TIME, per_step[PICKED, 0]]
    states[place, LAST] = rows[TIME, per_step[PICKED, count - 1]]
    states[place, COUNT], states[place, REACH] = count, count
    states[place, EXTRAS], states[place, ACTIVE] = 0, 0
    for c in range(count):
        states[place, time_of(c)] = rows[TIME, per_step[PICKED, c]]
