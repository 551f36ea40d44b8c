"""The chain of a unit whose steps never share an instant: nearly every unit there is.

Without ties one chain per step is enough. Of two chains that have done step k, the one that did
it later also entered no earlier, or the two could be spliced into one that did (they cross
somewhere, and from there on the one may follow the other, limits and exclusions included); so how
far anyone gets takes one look that keeps the last chain of each step. For the times of the steps,
among entries that the window no longer tells apart, the first chain to do a step is the one with
the earliest times, and the last entry before its second step its entry. `labels` has the search
for everything else: ties, optional steps, and limits of single steps when times are asked for.
"""

from __future__ import annotations

from analysis.passes.chain_state import (
    ACTIVE,
    AFTER,
    BARRED,
    BEFORE,
    BEST_ROWS,
    CHOSEN,
    COUNT,
    ENTRY,
    EXTRAS,
    FRESH,
    LAST,
    NEVER,
    PICKED,
    REACH,
    STEPS,
    TIME,
    UNTIL,
    USED,
    WITHIN,
    bit,
    has,
    highest,
    inner,
    step_of,
    time_of,
)

# Columns of `levels`, a line per step: the instants of the entry and of the last step of the
# chain that has done it, then its rows.
_ENTERED, _DONE, PATH = range(3)


@inner
def is_untied(rows, first, m):
    """Is there at most one row with a step at each instant?"""
    last = NEVER
    tied = False
    for r in range(first, m):
        if rows[STEPS, r] != 0:
            tied |= rows[TIME, r] == last
            last = rows[TIME, r]
    return not tied


@inner
def _instant(rows, r, m):
    """The instant of row r: where it stops, the row with a step (or r), and the exclusions of its
    other rows.
    """
    stop, own = r, r
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        if rows[STEPS, stop] != 0:
            own = stop
        stop += 1
    others = 0
    for other in range(r, stop):
        if other != own:
            others |= rows[BARRED, other]
    return stop, own, others


@inner
def _end_chains(levels, made, own, others, ask):
    """Drop the chains that this instant's excluded events end, or, among neighbors, its being."""
    for x in range(ask.exclusions):
        if not has(own | others, x + 1):
            continue
        after = ask.limits[AFTER, x]
        for k in range(after, ask.limits[UNTIL, x]):
            # A chain's own event does not end it, nor does one at the instant of step `after`.
            if not has(made, k) or (has(others, x + 1) and k > after):
                levels[k, _ENTERED] = NEVER
    if ask.neighbors:
        for k in range(1, ask.steps + 1):
            if not has(made, k):
                levels[k, _ENTERED] = NEVER


@inner
def furthest(ask, rows, first, m, low, high, levels):
    """How far any chain with an entry in [low, high) gets, and the instant of that."""
    for k in range(1, ask.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, end = 0, NEVER
    r = first
    while r < m:
        t = rows[TIME, r]
        stop, own, others = r + 1, r, 0
        if stop < m and rows[TIME, stop] == t:
            stop, own, others = _instant(rows, r, m)
        steps = 0 if rows[USED, own] else rows[STEPS, own]
        made = 0
        while steps != 0:
            # From the last step down, so that one row never serves two.
            k = highest(steps)
            steps &= ~bit(k)
            entered = NEVER
            if k == 1:
                entered = t if low <= t < high else NEVER
            else:
                for q in range(ask.limits[BEFORE, k], k):
                    within = t - levels[q, _DONE] <= ask.limits[WITHIN, k]
                    if within and levels[q, _ENTERED] >= t - ask.window:
                        entered = max(entered, levels[q, _ENTERED])
            if entered > NEVER:
                levels[k, _ENTERED], levels[k, _DONE] = entered, t
                made |= bit(k)
                if k > reach:
                    reach, end = k, t
        if reach == ask.steps:
            break
        if rows[BARRED, own] | others != 0 or ask.neighbors:
            _end_chains(levels, made, rows[BARRED, own], others, ask)
        r = stop
    return reach, end


@inner
def _stays_untouched(ask, rows, r, m, k, end):
    """Does no excluded event follow that would touch a chain which has done step k at row r?"""
    late = 0
    for x in range(ask.exclusions):
        if ask.limits[AFTER, x] <= k < ask.limits[UNTIL, x]:
            late |= bit(x + 1)
    t = rows[TIME, r]
    while r < m and rows[TIME, r] <= end:
        if rows[TIME, r] > t and rows[BARRED, r] & late != 0:
            return False
        r += 1
    return True


@inner
def walk(ask, rows, first, m, low, high, levels, untouched, scratch, line):
    """Write the rows of the chain with the earliest steps into a line of `scratch`.

    Entries are in [low, high). With `untouched` (then they are one instant) it is the best chain
    that no excluded event touches.

    Returns
    -------
    How far it gets, and how far any chain gets.
    """
    for k in range(1, ask.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, far = 0, 0
    r = first
    while r < m and far < ask.steps:
        t = rows[TIME, r]
        stop, own, others = r + 1, r, 0
        if stop < m and rows[TIME, stop] == t:
            stop, own, others = _instant(rows, r, m)
        if t - ask.window >= high:
            break
        steps = 0 if rows[USED, own] else rows[STEPS, own]
        made = 0
        while steps != 0:
            k = highest(steps)
            steps &= ~bit(k)
            if k == 1:
                fits = low <= t < high
            else:
                fits = levels[k - 1, _ENTERED] > NEVER
                fits &= ask.neighbors or levels[k, _ENTERED] == NEVER
            if not fits:
                continue
            levels[k, _ENTERED] = t if k == 1 else levels[k - 1, _ENTERED]
            for c in range(k - 1):
                levels[k, PATH + c] = levels[k - 1, PATH + c]
            levels[k, PATH + k - 1] = own
            made |= bit(k)
            far = max(far, k)
            if k > reach and (
                not untouched or _stays_untouched(ask, rows, own, m, k, low + ask.window)
            ):
                reach = k
                for c in range(k):
                    scratch[line, c] = levels[k, PATH + c]
        if rows[BARRED, own] | others != 0 or ask.neighbors:
            _end_chains(levels, made, rows[BARRED, own], others, ask)
        r = stop
    return reach, far


@inner
def as_label(ask, rows, reach, labels, scratch):
    """Describe the chain in BEST_ROWS as the label at CHOSEN."""
    labels[CHOSEN, REACH], labels[CHOSEN, COUNT], labels[CHOSEN, EXTRAS] = reach, reach, 0
    labels[CHOSEN, ACTIVE], labels[CHOSEN, FRESH] = 0, 0
    if reach == 0:
        return
    labels[CHOSEN, ENTRY] = rows[TIME, scratch[BEST_ROWS, 0]]
    labels[CHOSEN, LAST] = rows[TIME, scratch[BEST_ROWS, reach - 1]]
    for c in range(reach):
        labels[CHOSEN, time_of(c)] = rows[TIME, scratch[BEST_ROWS, c]]
        labels[CHOSEN, step_of(c)] = c + 1
    for x in range(ask.exclusions):
        if ask.limits[AFTER, x] <= reach < ask.limits[UNTIL, x]:
            labels[CHOSEN, ACTIVE] |= bit(x + 1)
            if ask.limits[AFTER, x] == reach:
                labels[CHOSEN, FRESH] |= bit(x + 1)


@inner
def earlier(rows, reach, scratch):
    """Is the chain in PICKED at least as good as the one in BEST_ROWS, of the same reach, where
    the later entry is the one in PICKED?
    """
    last = rows[TIME, scratch[PICKED, reach - 1]] - rows[TIME, scratch[BEST_ROWS, reach - 1]]
    if last != 0:
        return last < 0
    for c in range(1, reach):
        sooner = rows[TIME, scratch[PICKED, c]] - rows[TIME, scratch[BEST_ROWS, c]]
        if sooner != 0:
            return sooner < 0
    return True
