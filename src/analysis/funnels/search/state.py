"""Rows and chains: which row can be an entry, which rows a chain takes, what touches it."""

from __future__ import annotations

from analysis.funnels.search.kernels_chain_state import (
    ACTIVE,
    AFTER,
    BARRED,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    FOREVER,
    FRESH,
    LAST,
    MUST,
    STEPS,
    TAKEN,
    TIME,
    UNTIL,
    USED,
    WITHIN,
    bit,
    has,
    reader,
    step_of,
    time_of,
)
from analysis.funnels.search.kernels_seating import can_seat


@reader
def can_enter(rows, r, ask):
    """Can the row be an entry, its instant aside?"""
    if rows[USED, r]:
        return False
    return rows[STEPS, r] != 0 if ask.any_order else has(rows[STEPS, r], 1)


@reader
def next_entry(rows, first, m, ask, low, high):
    """The position of the first row in [first, m) that can be an entry in [low, high), or −1."""
    for r in range(first, m):
        t = rows[TIME, r]
        if t >= high:
            return -1
        if t >= low and can_enter(rows, r, ask):
            return r
    return -1


@reader
def instant_of(rows, r, first, m):
    """The rows of the instant of row r: [start, stop)."""
    start, stop = r, r + 1
    while start > first and rows[TIME, start - 1] == rows[TIME, r]:
        start -= 1
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        stop += 1
    return start, stop


@reader
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


@reader
def _seat_place(ask, rows, start, stop, labels, c, place, left, only, scratch):
    """Give the chain's step done at `place` (from 0) a row: the entry's is the last to arrive that
    leaves rows for the others, every other step's the first. Returns the steps that are left.

    In any order the steps of one instant, which begin at place c, may change places, as long as
    the first of them is not too late.
    """
    wait = labels[CHOSEN, time_of(place)] - labels[CHOSEN, time_of(max(c - 1, 0))]
    for i in range(stop - start):
        r = stop - 1 - i if place == 0 else start + i
        if rows[USED, r] or rows[TAKEN, r] or (place == 0 and only >= 0 and r != only):
            continue
        for k in range(1, ask.steps + 1):
            mine = ask.any_order or k == labels[CHOSEN, step_of(place)]
            if not (mine and has(left & rows[STEPS, r], k)):
                continue
            if ask.any_order and 0 < c == place and wait > ask.limits[WITHIN, k]:
                continue
            rows[TAKEN, r] = 1
            if can_seat(rows, start, stop, left & ~bit(k), ask.steps, scratch):
                scratch[BEST_ROWS, place] = r
                return left & ~bit(k)
            rows[TAKEN, r] = 0
    return left


@reader
def _seat_instant(ask, rows, start, stop, labels, c, e, need, only, scratch):
    """Rows for the chain's steps c, …, e − 1, all of one instant."""
    left = 0
    for r in range(start, stop):
        rows[MUST, r] = rows[BARRED, r] & need != 0
        rows[TAKEN, r] = 0
    for place in range(c, e):
        left |= bit(labels[CHOSEN, step_of(place)])
    for place in range(c, e):
        left = _seat_place(ask, rows, start, stop, labels, c, place, left, only, scratch)


@reader
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
