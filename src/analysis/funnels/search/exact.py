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

from analysis.funnels.search.state import (
    ACTIVE,
    AFTER,
    BARRED,
    BEFORE,
    BEST,
    BEST_ROWS,
    CHOSEN,
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
    NEVER,
    NO_LABEL,
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
    can_seat,
    copy_label,
    has,
    instant_of,
    next_entry,
    nobody_seated,
    reader,
    step_of,
    time_of,
)
from analysis.funnels.search.untied import is_simple

# ──── passes.labels


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


# ──── passes.any_chains
#
# The best chain in which the steps may be done in any order.
#
# Which events of a stretch of time can serve distinct steps together is a transversal matroid, so
# taking events as they come, whenever they can still be given a step, gets as far as any choice
# does, and at each step the earliest (Edmonds 1971, *Mathematical Programming* 1:127). An entry is
# therefore judged by one walk through its window. Where no event matches two steps one look at all
# rows tells how far anyone gets and when, and only the entries that can reach that are walked from.


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
