"""The best chain in which the steps may be done in any order.

Which events of a stretch of time can serve distinct steps together is a transversal matroid, so
taking events as they come, whenever they can still be given a step, gets as far as any choice
does, and at each step the earliest (Edmonds 1971, *Mathematical Programming* 1:127). An entry is
therefore judged by one walk through its window. Where no event matches two steps one look at all
rows tells how far anyone gets and when, and only the entries that can reach that are walked from.
"""

from __future__ import annotations

from analysis.funnels.search.exact import preferred
from analysis.funnels.search.kernels_chain_state import (
    ACTIVE,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    EXTRAS,
    LAST,
    NEVER,
    OWNER,
    PICKED,
    REACH,
    STANDS,
    STEPS,
    TIME,
    UNTOUCHED,
    USED,
    copy_label,
    has,
    reader,
    time_of,
)
from analysis.funnels.search.kernels_seating import augment, nobody_seated
from analysis.funnels.search.state import instant_of, next_entry
from analysis.funnels.search.untied import is_simple

_ALL = -1


@reader
def _distinct(rows, first, m):
    """Does every row match at most one step?"""
    shared = False
    for r in range(first, m):
        shared |= rows[STEPS, r] & (rows[STEPS, r] - 1) != 0
    return not shared


@reader
def _furthest(ask, rows, first, m, low, high, scratch):
    """How many steps any chain of these rows gets, and when first; no event matches two steps."""
    for k in range(1, ask.steps + 1):
        scratch[OWNER, k] = NEVER
    reach, end = 0, NEVER
    entry = next_entry(rows, first, m, ask, low, high)
    for r in range(first, m):
        if rows[USED, r] or rows[STEPS, r] == 0:
            continue
        t = rows[TIME, r]
        for k in range(1, ask.steps + 1):
            if has(rows[STEPS, r], k):
                scratch[OWNER, k] = t
        # The earliest entry in this instant's window has every event after it to itself.
        while 0 <= entry <= r and rows[TIME, entry] < t - ask.window:
            entry = next_entry(rows, entry + 1, m, ask, low, high)
        if entry < 0 or entry > r:
            continue
        count = 0
        for k in range(1, ask.steps + 1):
            count += scratch[OWNER, k] >= rows[TIME, entry]
        if count > reach:
            reach, end = count, t
    return reach, end


@reader
def _walk(ask, rows, entry, start, m, strict, scratch):
    """Walk from an entry: PICKED receives the rows that get a step; how many, and the end.

    Where ties have to wait an instant is one event, and its first row stands for all of them.
    """
    nobody_seated(scratch, ask.steps)
    rows[STANDS, entry] = rows[STEPS, entry]
    augment(rows, STANDS, entry, _ALL, ask.steps, scratch)
    scratch[PICKED, 0] = entry
    count = 1
    end = rows[TIME, entry]
    limit = end + ask.window
    r = start
    while r < m and rows[TIME, r] <= limit and count < ask.steps:
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
            if augment(rows, STANDS, r, _ALL, ask.steps, scratch):
                scratch[PICKED, count] = r
                count += 1
                end = rows[TIME, r]
        r = stop
    return count, end


@reader
def _own_rows(ask, rows, m, count, scratch):
    """Where an instant stood for its rows: the first to arrive that leaves every step served."""
    for c in range(1, count):
        place = scratch[PICKED, c]
        _, stop = instant_of(rows, place, place, m)
        for r in range(place, stop):
            if rows[USED, r] or rows[STEPS, r] == 0:
                continue
            before = rows[STANDS, place]
            rows[STANDS, place] = rows[STEPS, r]
            nobody_seated(scratch, ask.steps)
            served = True
            for other in range(count):
                row = scratch[PICKED, other]
                served &= augment(rows, STANDS, row, _ALL, ask.steps, scratch)
            if served:
                rows[STANDS, r] = rows[STANDS, place]
                scratch[PICKED, c] = r
                break
            rows[STANDS, place] = before


@reader
def _keep(labels, rows, count, scratch, place):
    """Write the chain of the PICKED rows as a label."""
    labels[place, ENTRY] = rows[TIME, scratch[PICKED, 0]]
    labels[place, LAST] = rows[TIME, scratch[PICKED, count - 1]]
    labels[place, COUNT], labels[place, REACH] = count, count
    labels[place, EXTRAS], labels[place, ACTIVE] = 0, 0
    for c in range(count):
        labels[place, time_of(c)] = rows[TIME, scratch[PICKED, c]]


@reader
def best_in_any_order(ask, rows, first, m, labels, low, high, at_once, strict, scratch):
    """Put the chain that counts among those with an entry in [low, high) at CHOSEN (REACH 0:
    none), its rows in BEST_ROWS.
    """
    labels[CHOSEN, REACH] = 0
    r = next_entry(rows, first, m, ask, low, high)
    if r >= 0 and at_once:
        low, high = rows[TIME, r], rows[TIME, r] + 1
    far = 0
    if r >= 0 and not (strict or at_once) and _distinct(rows, first, m):
        far, end = _furthest(ask, rows, first, m, low, high, scratch)
        low, high = max(low, end - ask.window), min(high, end + 1)
        r = next_entry(rows, first, m, ask, low, high)
    untied = far > 0 and is_simple(rows, first, m, True, False)
    if untied:
        # The first entry that gets this far has the earliest steps; a later one before its second
        # step has the same.
        _walk(ask, rows, r, r, m, strict, scratch)
        for later in range(r + 1, scratch[PICKED, 1] if far > 1 else r + 1):
            if rows[STEPS, later] != 0 and not rows[USED, later] and rows[TIME, later] < high:
                r = later
    while r >= 0:
        start, _ = instant_of(rows, r, first, m)
        count, end = _walk(ask, rows, r, start, m, strict, scratch)
        known, sooner = labels[CHOSEN, REACH], labels[CHOSEN, LAST] - end
        if count >= far and (count > known or (count == known and sooner >= 0)):
            if strict:
                _own_rows(ask, rows, m, count, scratch)
            _keep(labels, rows, count, scratch, UNTOUCHED)
            better = count > known or sooner > 0
            if better or preferred(labels, UNTOUCHED, CHOSEN) >= 0:
                copy_label(labels, UNTOUCHED, CHOSEN)
                for c in range(count):
                    scratch[BEST_ROWS, c] = scratch[PICKED, c]
        r = -1 if untied else next_entry(rows, r + 1, m, ask, low, high)
        # Where it is known how far anyone gets, an entry after the second step is too late.
        if (
            r >= 0
            and labels[CHOSEN, REACH] == far > 1
            and rows[TIME, r] > labels[CHOSEN, time_of(1)]
        ):
            r = -1
