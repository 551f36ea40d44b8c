"""The funnel's exact search: every chain worth keeping, as labels that move through the rows.

A label stands for a chain: which steps it has done, when it entered, when it did its last step,
which exclusions can still end it. At each instant labels are extended by the rows found there. Of
two labels with the same steps ahead of them one is dropped when whatever the other could still
become, the first could become too and no worse (Pareto dominance), so a handful is left and the
cost stays linear in the rows.

Without paths a label is better for a later entry (more of the window is left) and, where steps
have limits of their own, a later last step. With paths all entries are such that the window
cannot matter any more, and the funnel's rule decides: more optional steps, earlier times of
steps, a later entry.
"""

from __future__ import annotations

from analysis.funnels.search.kernels_chain_state import (
    ACTIVE,
    AFTER,
    BARRED,
    BEFORE,
    BEST,
    COUNT,
    DONE,
    ENTRY,
    EXTRAS,
    FIRST,
    FOREVER,
    FRESH,
    HERE,
    LACKING,
    LAST,
    LIVE,
    MUST,
    NO_LABEL,
    REACH,
    STEPS,
    TAKEN,
    TIME,
    UNTIL,
    UNTOUCHED,
    USED,
    WITHIN,
    bit,
    copy_label,
    has,
    reader,
    step_of,
    time_of,
)
from analysis.funnels.search.kernels_seating import can_seat


@reader
def _follows(labels, a, k, t, ask):
    """Can the label do step k at the instant t?"""
    if t - labels[a, LAST] > ask.limits[WITHIN, k] or t - labels[a, ENTRY] > ask.window:
        return False
    if ask.any_order:
        return not has(labels[a, DONE], k)
    return ask.limits[BEFORE, k] <= labels[a, REACH] < k


@reader
def preferred(labels, a, b):
    """By the funnel's rule for chains that go equally far and end at the same instant:
    1 where label a is better, −1 where b is, 0 where they are alike.
    """
    if labels[a, EXTRAS] != labels[b, EXTRAS]:
        return 1 if labels[a, EXTRAS] > labels[b, EXTRAS] else -1
    count = min(labels[a, COUNT], labels[b, COUNT])
    for c in range(1, count):
        if labels[a, time_of(c)] != labels[b, time_of(c)]:
            return 1 if labels[a, time_of(c)] < labels[b, time_of(c)] else -1
    if labels[a, EXTRAS]:
        for c in range(count):
            if labels[a, step_of(c)] != labels[b, step_of(c)]:
                return 1 if labels[a, step_of(c)] < labels[b, step_of(c)] else -1
    if labels[a, ENTRY] != labels[b, ENTRY]:
        return 1 if labels[a, ENTRY] > labels[b, ENTRY] else -1
    return 0


@reader
def _covers(labels, a, b, ask, paths, within_instant):
    """Is label b of no use beside label a?"""
    if labels[a, REACH] != labels[b, REACH]:
        return False
    if ask.any_order and labels[a, DONE] != labels[b, DONE]:
        return False
    if labels[a, ACTIVE] & ~labels[b, ACTIVE] != 0:
        return False
    if within_instant and (
        labels[a, HERE] != labels[b, HERE]
        or labels[a, FRESH] != labels[b, FRESH]
        or labels[a, step_of(0)] != labels[b, step_of(0)]
    ):
        return False
    if ask.limited and labels[a, LAST] < labels[b, LAST]:
        return False
    if paths:
        return preferred(labels, a, b) >= 0
    return labels[a, ENTRY] >= labels[b, ENTRY]


@reader
def _step_done(labels, a, k, t, ask):
    """Let the label at `a` do step k at the instant t."""
    count = labels[a, COUNT]
    labels[a, time_of(count)] = t
    labels[a, step_of(count)] = k
    labels[a, COUNT] = count + 1
    labels[a, DONE] |= bit(k)
    labels[a, HERE] |= bit(k)
    labels[a, LAST] = t
    labels[a, EXTRAS] += has(ask.optional, k)
    place = count + 1 if ask.any_order else k
    labels[a, REACH] = place
    for x in range(ask.exclusions):
        if ask.limits[AFTER, x] == place:
            labels[a, ACTIVE] |= bit(x + 1)
            labels[a, FRESH] |= bit(x + 1)
        elif ask.limits[UNTIL, x] == place:
            labels[a, ACTIVE] &= ~bit(x + 1)


@reader
def _kept(labels, base, n, ask, paths):
    """Keep the new label at n unless one of this instant covers it: the number of labels now."""
    labels[n, LIVE] = 1
    for b in range(base, n):
        if labels[b, LIVE] and _covers(labels, b, n, ask, paths, True):
            return n
    for b in range(base, n):
        if labels[b, LIVE] and _covers(labels, n, b, ask, paths, True):
            labels[b, LIVE] = 0
    return n + 1


@reader
def _seated(labels, a, rows, first, stop, need, ask, entries, scratch):
    """Can the label's steps of this instant have rows of their own, so that every row which
    matches an exclusion of `need` is one of them?
    """
    steps = labels[a, HERE]
    for r in range(first, stop):
        rows[MUST, r] = rows[BARRED, r] & need != 0
        rows[TAKEN, r] = 0
    if first <= entries.only < stop and labels[a, ENTRY] == rows[TIME, first]:
        rows[TAKEN, entries.only] = 1
        steps &= ~bit(labels[a, step_of(0)])
    return can_seat(rows, first, stop, steps, ask.steps, scratch)


@reader
def _enters(rows, first, stop, k, entries):
    """Is there a row in [first, stop) that can be an entry at step k?"""
    if not entries.low <= rows[TIME, first] < entries.high:
        return False
    for r in range(first, stop):
        if (entries.only < 0 or r == entries.only) and not rows[USED, r] and has(rows[STEPS, r], k):
            return True
    return False


@reader
def _begun(labels, n, t):
    """A chain at n that enters at the instant t and has done nothing yet."""
    labels[n, DONE], labels[n, COUNT], labels[n, EXTRAS], labels[n, ACTIVE] = 0, 0, 0, 0
    labels[n, ENTRY] = t


@reader
def _extend(labels, n, rows, first, stop, union, ask, entries, strict, paths, scratch):
    """Append what the rows [first, stop) of one instant make of the first n labels: how many there
    are then.
    """
    t = rows[TIME, first]
    base = n
    alone = stop == first + 1
    a = FIRST - 1
    # The one before the first stands for the chain that has not begun. Labels made here may go on
    # here, where ties are lenient.
    while a < n and not (a >= base and (strict or alone)):
        begins = a < FIRST
        for k in range(1, ask.steps + 1):
            if not has(union, k) or not (begins or labels[a, LIVE]):
                continue
            if begins:
                fits = (ask.any_order or k == 1) and _enters(rows, first, stop, k, entries)
            else:
                fits = _follows(labels, a, k, t, ask)
            if not fits:
                continue
            if n == labels.shape[0]:
                scratch[LACKING, NO_LABEL] = 1
                return base
            if begins:
                _begun(labels, n, t)
            else:
                copy_label(labels, a, n)
            if a < base:
                labels[n, HERE], labels[n, FRESH] = 0, 0
            _step_done(labels, n, k, t, ask)
            if alone or _seated(labels, n, rows, first, stop, 0, ask, entries, scratch):
                n = _kept(labels, base, n, ask, paths)
        a += 1
    return n


@reader
def touched_at(labels, a, rows, first, stop, m, ask, entries, scratch):
    """The first instant, inside the window, of an excluded event that ends the label's chain, or
    FOREVER where there is none; [first, stop) are the rows of the chain's last instant.
    """
    late = labels[a, ACTIVE]
    if late == 0:
        return FOREVER
    need = late & ~labels[a, FRESH]
    if need != 0 and not _seated(labels, a, rows, first, stop, need, ask, entries, scratch):
        return labels[a, LAST]
    end = labels[a, ENTRY] + ask.window
    r = stop
    while r < m and rows[TIME, r] <= end:
        if rows[BARRED, r] & late != 0:
            return rows[TIME, r]
        r += 1
    return FOREVER


@reader
def _close(labels, base, n, rows, first, stop, barred, ask, entries, paths, scratch):
    """End the instant: drop labels that an excluded event has ended, and labels of no use."""
    oldest = rows[TIME, first] - ask.window
    for a in range(FIRST, n):
        need = labels[a, ACTIVE] & barred
        if a < base:
            ended = ask.neighbors or need != 0 or labels[a, ENTRY] < oldest
        else:
            need &= ~labels[a, FRESH]
            ended = need != 0 and not _seated(
                labels, a, rows, first, stop, need, ask, entries, scratch
            )
        if ended:
            labels[a, LIVE] = 0
    kept = FIRST
    for a in range(FIRST, n):
        for b in range(FIRST, n):
            if b != a and labels[a, LIVE] and labels[b, LIVE]:
                labels[a, LIVE] = not _covers(labels, b, a, ask, paths, False)
    for a in range(FIRST, n):
        if labels[a, LIVE]:
            if kept != a:
                copy_label(labels, a, kept)
            kept += 1
    return kept


@reader
def _noted(labels, a, place, paths):
    """Remember label a in `place` where it is better than what is there."""
    far, known = labels[a, REACH], labels[place, REACH]
    if far < known or (far == known and labels[a, LAST] > labels[place, LAST]):
        return
    if far > known or (paths and preferred(labels, a, place) > 0):
        copy_label(labels, a, place)


@reader
def explore(ask, rows, first, m, labels, entries, strict, paths, untouched, scratch):
    """Find the best chain of the rows [first, m).

    Parameters
    ----------
    strict : do ties have to wait. paths : do the times of steps decide between chains (then the
        window must not: entries so late that it ends after the last row, or at one instant).
    untouched : look for the best chain that no excluded event touches, too (then entries are at
        one instant).

    The answers are the labels at BEST and UNTOUCHED, whose REACH is 0 where there is none, and
    whose LAST is the instant at which they end. Where there is no room for the labels, `scratch`
    says so, and there is none.
    """
    labels[BEST, REACH], labels[UNTOUCHED, REACH] = 0, 0
    labels[BEST, COUNT], labels[UNTOUCHED, COUNT] = 0, 0
    answer = UNTOUCHED if untouched else BEST
    n = FIRST
    r = first
    while r < m and labels[answer, REACH] < ask.steps:
        t = rows[TIME, r]
        if t >= entries.high and (n == FIRST or t - ask.window >= entries.high):
            break
        union, barred = 0, 0
        stop = r
        while stop < m and rows[TIME, stop] == t:
            if not rows[USED, stop]:
                union |= rows[STEPS, stop]
            barred |= rows[BARRED, stop]
            stop += 1
        base = n
        if union != 0:
            n = _extend(labels, n, rows, r, stop, union, ask, entries, strict, paths, scratch)
            if scratch[LACKING, NO_LABEL]:
                labels[BEST, REACH], labels[UNTOUCHED, REACH] = 0, 0
                labels[BEST, COUNT], labels[UNTOUCHED, COUNT] = 0, 0
                break
            for a in range(base, n):
                if labels[a, LIVE]:
                    _noted(labels, a, BEST, paths)
                    if untouched and labels[a, REACH] >= labels[UNTOUCHED, REACH]:
                        ends = touched_at(labels, a, rows, r, stop, m, ask, entries, scratch)
                        if ends == FOREVER:
                            _noted(labels, a, UNTOUCHED, paths)
        if n > base or barred != 0 or ask.neighbors:
            n = _close(labels, base, n, rows, r, stop, barred, ask, entries, paths, scratch)
        r = stop
