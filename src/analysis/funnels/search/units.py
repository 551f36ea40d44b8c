"""Which chain of a unit counts: the best of all entries, the first entry's, or one attempt's.

The search is that of `labels`; here is what it is asked. A unit without an excluded event is
asked once for how far its chains get and when that is reached, and once more, confined to the
entries that can reach it, for the times of the steps. Where an excluded event may drop a chain,
every entry is asked on its own, because what an event touches depends on when the window ends.
"""

from __future__ import annotations

from typing import NamedTuple

from analysis.funnels.search.exact import explore, preferred
from analysis.funnels.search.kernels_chain_state import (
    AFTER,
    BARRED,
    BEST,
    BEST_ROWS,
    CHOSEN,
    FOREVER,
    LAST,
    PICKED,
    REACH,
    STEPS,
    TIME,
    UNTIL,
    UNTOUCHED,
    Ask,
    Entries,
    bit,
    copy_label,
    has,
    melted,
    reader,
)
from analysis.funnels.search.state import instant_of, next_entry, pick_rows
from analysis.funnels.search.untied import (
    as_label,
    earlier,
    furthest,
    is_simple,
    shares_an_instant,
    walk,
)

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
