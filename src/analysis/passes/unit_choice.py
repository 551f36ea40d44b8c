"""Which chain of a unit counts: the best of all entries, the first entry's, or one attempt's.

The search is that of `labels`; here is what it is asked. A unit without an excluded event is
asked once for how far its chains get and when that is reached, and once more, confined to the
entries that can reach it, for the times of the steps. Where an excluded event may drop a chain,
every entry is asked on its own, because what an event touches depends on when the window ends.
"""

from __future__ import annotations

from typing import NamedTuple

from analysis.passes.chain_state import (
    ACTIVE,
    AFTER,
    BARRED,
    BEST,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    FOREVER,
    FRESH,
    LAST,
    MUST,
    PICKED,
    REACH,
    STEPS,
    TAKEN,
    TIME,
    UNTIL,
    UNTOUCHED,
    USED,
    Ask,
    Entries,
    bit,
    copy_label,
    has,
    inner,
    step_of,
    time_of,
)
from analysis.passes.labels import explore, preferred
from analysis.passes.seating import can_seat
from analysis.passes.untied_chains import as_label, earlier, furthest, is_untied, walk

END_ATTEMPT, DROP_ATTEMPT, DROP_UNIT = 0, 1, 2


class Choice(NamedTuple):
    """How a unit's chain is chosen: the effect of exclusions, the first entry only, strict ties."""

    effect: int
    first: bool
    strict: bool


@inner
def can_enter(rows, r, ask):
    """Can the row be an entry, its instant aside?"""
    if rows[USED, r]:
        return False
    return rows[STEPS, r] != 0 if ask.any_order else has(rows[STEPS, r], 1)


@inner
def next_entry(rows, first, m, ask, low, high):
    """The position of the first row in [first, m) that can be an entry in [low, high), or −1."""
    for r in range(first, m):
        t = rows[TIME, r]
        if t >= high:
            return -1
        if t >= low and can_enter(rows, r, ask):
            return r
    return -1


@inner
def instant_of(rows, r, first, m):
    """The rows of the instant of row r: [start, stop)."""
    start, stop = r, r + 1
    while start > first and rows[TIME, start - 1] == rows[TIME, r]:
        start -= 1
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        stop += 1
    return start, stop


@inner
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


@inner
def _best_valid(ask, rows, first, m, labels, low, high, at_once, strict, scratch):
    """The best chain with an entry in [low, high), which is one instant where `at_once`."""
    if not at_once:
        entries = Entries(low, high, -1)
        labels = explore(ask, rows, first, m, labels, entries, strict, False, False, scratch)
        if labels[BEST, REACH] == 0:
            labels[CHOSEN, REACH] = 0
            return labels
        end = labels[BEST, LAST]
        low = max(low, end - ask.window)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
    entries = Entries(low, high, -1)
    labels = explore(ask, rows, first, m, labels, entries, strict, True, False, scratch)
    copy_label(labels, BEST, CHOSEN)
    return labels


@inner
def _best_untouched(ask, rows, first, m, labels, low, high, effect, strict, scratch):
    """The best untouched chain with an entry in [low, high), each entry asked on its own; and the
    row of its entry.

    Where chains are dropped one by one, an entry counts only if an untouched chain gets as far
    from it as any valid one does.
    """
    only = -1
    labels[CHOSEN, REACH] = 0
    r = next_entry(rows, first, m, ask, low, high)
    while r >= 0:
        t = rows[TIME, r]
        start, _ = instant_of(rows, r, first, m)
        entries = Entries(t, t + 1, r)
        labels = explore(ask, rows, start, m, labels, entries, strict, True, True, scratch)
        mine, known = labels[UNTOUCHED, REACH], labels[CHOSEN, REACH]
        if mine > 0 and (effect == DROP_UNIT or mine == labels[BEST, REACH]):
            sooner = labels[CHOSEN, LAST] - labels[UNTOUCHED, LAST]
            better = mine > known or (mine == known and sooner > 0)
            alike = mine == known and sooner == 0
            # Of entries that are alike the last to arrive counts.
            if better or (alike and preferred(labels, UNTOUCHED, CHOSEN) >= 0):
                only = r
                copy_label(labels, UNTOUCHED, CHOSEN)
        r = next_entry(rows, r + 1, m, ask, low, high)
    return labels, only


@inner
def _best_by_search(ask, rows, first, m, labels, low, high, choice, dropping, scratch):
    """Put the chain that counts at CHOSEN, by the search that is right for every unit."""
    strict = choice.strict
    only = -1
    if not dropping:
        labels = _best_valid(ask, rows, first, m, labels, low, high, choice.first, strict, scratch)
    else:
        ignored = 0
        if choice.effect == DROP_UNIT:
            entries = Entries(low, high, -1)
            free = without_exclusions(ask)
            labels = explore(free, rows, first, m, labels, entries, strict, False, False, scratch)
            ignored = labels[BEST, REACH]
        labels, only = _best_untouched(
            ask, rows, first, m, labels, low, high, choice.effect, strict, scratch
        )
        if ignored > labels[CHOSEN, REACH]:
            labels[CHOSEN, REACH] = 0
    if labels[CHOSEN, REACH]:
        pick_rows(ask, rows, first, m, labels, dropping, only, scratch)
    return labels


@inner
def _untouched_walks(ask, rows, first, m, low, high, effect, levels, scratch):
    """How far the best untouched chain of an untied unit gets, each entry asked on its own."""
    most, _ = furthest(ask, rows, first, m, low, high, levels)
    known, end = 0, FOREVER
    r = next_entry(rows, first, m, ask, low, high)
    # Once a chain gets as far as any, entries after its end cannot do better.
    while r >= 0 and (known < most or rows[TIME, r] <= end):
        t = rows[TIME, r]
        reach, far = walk(ask, rows, r, m, t, t + 1, levels, True, scratch, PICKED)
        counts = reach > 0 and (effect == DROP_UNIT or reach == far)
        if counts and (reach > known or (reach == known and earlier(rows, reach, scratch))):
            known, end = reach, rows[TIME, scratch[PICKED, reach - 1]]
            for c in range(reach):
                scratch[BEST_ROWS, c] = scratch[PICKED, c]
        r = next_entry(rows, r + 1, m, ask, low, high)
    return known


@inner
def _best_untied(ask, rows, first, m, labels, low, high, choice, dropping, levels, scratch):
    """Put the chain that counts at CHOSEN, for an untied unit; limits of single steps and optional
    steps only where the exclusions, if any, are not dropping.
    """
    if dropping:
        ignored = 0
        if choice.effect == DROP_UNIT:
            ignored, _ = furthest(without_exclusions(ask), rows, first, m, low, high, levels)
        reach = _untouched_walks(ask, rows, first, m, low, high, choice.effect, levels, scratch)
        as_label(ask, rows, 0 if ignored > reach else reach, labels, scratch)
        return labels
    reach = 2
    if not choice.first:
        reach, end = furthest(ask, rows, first, m, low, high, levels)
        if reach == 0:
            labels[CHOSEN, REACH] = 0
            return labels
        low, high = max(low, end - ask.window), min(high, end + 1)
        while rows[TIME, first] < low:
            first += 1
        while rows[TIME, m - 1] > end:
            m -= 1
        if reach == 1:
            low = end
    if (ask.limited or ask.optional) and reach > 1:
        entries = Entries(low, high, -1)
        labels = explore(ask, rows, first, m, labels, entries, True, True, False, scratch)
        copy_label(labels, BEST, CHOSEN)
        pick_rows(ask, rows, first, m, labels, False, -1, scratch)
        return labels
    reach, _ = walk(ask, rows, first, m, low, high, levels, False, scratch, BEST_ROWS)
    as_label(ask, rows, reach, labels, scratch)
    return labels


@inner
def choose(ask, rows, first, m, labels, low, high, choice, levels, scratch):
    """Put the chain that counts among those with an entry in [low, high) at CHOSEN (REACH 0:
    none), and its rows in BEST_ROWS.
    """
    if choice.first:
        r = next_entry(rows, first, m, ask, low, high)
        if r < 0:
            labels[CHOSEN, REACH] = 0
            return labels
        low, high = rows[TIME, r], rows[TIME, r] + 1
        first, _ = instant_of(rows, r, first, m)
    dropping = False
    if choice.effect != END_ATTEMPT and ask.exclusions:
        for r in range(first, m):
            dropping |= rows[BARRED, r] != 0
    simple = not (ask.any_order or ((ask.limited or ask.optional) and ask.exclusions))
    if simple and is_untied(rows, first, m):
        return _best_untied(
            ask, rows, first, m, labels, low, high, choice, dropping, levels, scratch
        )
    return _best_by_search(ask, rows, first, m, labels, low, high, choice, dropping, scratch)


@inner
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


@inner
def _seat_instant(ask, rows, start, stop, labels, c, e, need, only, scratch):
    """Rows for the chain's steps c, …, e − 1, all of one instant: the entry's is the last to
    arrive that leaves rows for the others, every other step's the first.
    """
    left = 0
    for r in range(start, stop):
        rows[MUST, r] = rows[BARRED, r] & need != 0
        rows[TAKEN, r] = 0
    for place in range(c, e):
        left |= bit(labels[CHOSEN, step_of(place)])
    for place in range(c, e):
        k = labels[CHOSEN, step_of(place)]
        left &= ~bit(k)
        for i in range(stop - start):
            r = stop - 1 - i if place == 0 else start + i
            if rows[USED, r] or rows[TAKEN, r] or not has(rows[STEPS, r], k):
                continue
            if place == 0 and only >= 0 and r != only:
                continue
            rows[TAKEN, r] = 1
            if can_seat(rows, start, stop, left, ask.steps, scratch):
                scratch[BEST_ROWS, place] = r
                break
            rows[TAKEN, r] = 0


@inner
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
