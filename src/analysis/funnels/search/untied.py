"""The chain of a unit whose steps never compete for a row: nearly every unit there is.

Without ties one chain per step is enough. Of two chains that have done step k, the one that did
it later also entered no earlier, or the two could be spliced into one that did (they cross
somewhere, and from there on the one may follow the other, limits and exclusions included); so how
far anyone gets takes one look that keeps the last chain of each step. For the times of the steps,
among entries that the window no longer tells apart, the first chain to do a step is the one with
the earliest times, and the last entry before its second step its entry. `labels` has the search
for everything else: ties, optional steps, and limits of single steps when times are asked for.
"""

from __future__ import annotations

from analysis.funnels.search.state import (
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
    MUST,
    NEVER,
    PICKED,
    REACH,
    STEPS,
    TAKEN,
    TIME,
    UNTIL,
    USED,
    WITHIN,
    bit,
    can_seat,
    has,
    highest,
    reader,
    step_of,
    time_of,
)

# Columns of `levels`, a line per step: the instants of the entry and of the last step of the
# chain that has done it, then its rows.
_ENTERED, _DONE, PATH = range(3)


@reader
def is_simple(rows, first, m, bounded, dropping):
    """Are the looks of this module right for these rows?

    They are where at most one row with a step lies at each instant. Several are fine where no
    excluded event lies at that instant, no step is optional or limited, and no neighbors are
    asked for (`bounded`: one of these); and, where entries are asked on their own (`dropping`),
    none of them could be an entry or something else.
    """
    simple = True
    instant, several, difficult = NEVER, 0, False
    for r in range(first, m):
        if rows[TIME, r] != instant:
            instant, several, difficult = rows[TIME, r], 0, bounded
        steps = rows[STEPS, r]
        several += steps != 0
        difficult |= rows[BARRED, r] != 0 or (dropping and has(steps, 1) and steps != 1)
        simple &= several < 2 or not difficult
    return simple


@reader
def _instant(rows, r, m):
    """The instant of row r: where it stops, how many unused rows have a step and which steps,
    one row with a step (or r), and the exclusions of the rows but that one.
    """
    stop, own, several, steps = r, r, 0, 0
    while stop < m and rows[TIME, stop] == rows[TIME, r]:
        if rows[STEPS, stop] != 0:
            own = stop
            if not rows[USED, stop]:
                several += 1
                steps |= rows[STEPS, stop]
        stop += 1
    others = 0
    for other in range(r, stop):
        if other != own:
            others |= rows[BARRED, other]
    return stop, several, steps, own, others


@reader
def _together(rows, r, stop, k, steps, scratch):
    """The last of the steps k, k + 1, … that the rows of an instant can do all at once."""
    for row in range(r, stop):
        rows[MUST, row], rows[TAKEN, row] = 0, 0
    among = 0
    while k <= steps:
        among |= bit(k)
        if not can_seat(rows, r, stop, among, steps, scratch):
            break
        k += 1
    return k - 1


@reader
def _ended_by(barred, ask):
    """The steps whose chains these excluded events end, unless a chain uses the event."""
    ended = 0
    for x in range(ask.exclusions):
        if has(barred, x + 1):
            for k in range(ask.limits[AFTER, x], ask.limits[UNTIL, x]):
                ended |= bit(k)
    return ended


@reader
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


@reader
def _enter_at_once(ask, rows, r, stop, low, high, levels, scratch):
    """Extend the last chain of each step by the rows of an instant, in whichever order helps."""
    t = rows[TIME, r]
    for step in range(ask.steps):
        # From the last step down: no chain is read that this instant has made.
        i = ask.steps - 1 - step
        entered = levels[i, _ENTERED]
        if i == 0:
            entered = t if low <= t < high else NEVER
        if entered < t - ask.window:
            continue
        for k in range(i + 1, _together(rows, r, stop, i + 1, ask.steps, scratch) + 1):
            levels[k, _ENTERED] = max(levels[k, _ENTERED], entered)
            levels[k, _DONE] = t


@reader
def furthest(ask, rows, first, m, low, high, strict, levels, scratch):
    """How far any chain with an entry in [low, high) gets, and the instant of that."""
    for k in range(1, ask.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, end = 0, NEVER
    r = first
    while r < m and reach < ask.steps:
        t = rows[TIME, r]
        stop, several, own, others = r + 1, 1, r, 0
        steps = 0 if rows[USED, r] else rows[STEPS, r]
        if stop < m and rows[TIME, stop] == t:
            stop, several, steps, own, others = _instant(rows, r, m)
        made = 0
        if several > 1 and not strict:
            _enter_at_once(ask, rows, r, stop, low, high, levels, scratch)
            for k in range(1, ask.steps + 1):
                if levels[k, _ENTERED] > NEVER and levels[k, _DONE] == t:
                    made |= bit(k)
        while steps != 0 and not (several > 1 and not strict):
            # From the last step down, so that nothing serves two.
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
        if made and highest(made) > reach:
            reach, end = highest(made), t
        if rows[BARRED, own] | others != 0 or ask.neighbors:
            _end_chains(levels, made, rows[BARRED, own], others, ask)
        r = stop
    return reach, end


@reader
def _stays_untouched(ask, rows, r, m, k, others, end):
    """Does no excluded event, of this instant's `others` or later, touch a chain which has done
    step k at row r?
    """
    late = 0
    for x in range(ask.exclusions):
        if ask.limits[AFTER, x] <= k < ask.limits[UNTIL, x]:
            late |= bit(x + 1)
            # At the instant of step `after` itself it does no harm.
            if ask.limits[AFTER, x] < k and has(others, x + 1):
                return False
    t = rows[TIME, r]
    while r < m and rows[TIME, r] <= end:
        if rows[TIME, r] > t and rows[BARRED, r] & late != 0:
            return False
        r += 1
    return True


@reader
def _follow(levels, i, k, row):
    """Let the chain that has done step k be the one that has done step i, and go on at `row`."""
    if i > 0:
        levels[k, _ENTERED] = levels[i, _ENTERED]
    for c in range(i):
        levels[k, PATH + c] = levels[i, PATH + c]
    for c in range(i, k):
        levels[k, PATH + c] = row


@reader
def _follow_at_once(ask, rows, r, stop, low, high, levels, scratch):
    """Extend the first chain of each step by the rows of an instant, in whichever order helps;
    which steps are done by chains of this instant. A path holds the instant's first row for all
    of them.
    """
    t = rows[TIME, r]
    made, by_entries = 0, 0
    for step in range(ask.steps):
        i = ask.steps - 1 - step
        # Of chains whose second step is now, those that enter now come before earlier entries;
        # step 1's own line is read before it is written.
        if i > 0 and levels[i, _ENTERED] == NEVER:
            continue
        if i == 0 and not low <= t < high:
            continue
        for k in range(i + 1, _together(rows, r, stop, i + 1, ask.steps, scratch) + 1):
            if k == 1 or levels[k, _ENTERED] == NEVER or (i == 0 and has(by_entries, k)):
                _follow(levels, i, k, r)
                if i == 0:
                    levels[k, _ENTERED] = t
                made |= bit(k)
                if i == 1:
                    by_entries |= bit(k)
    return made


@reader
def walk(ask, rows, first, m, low, high, strict, levels, untouched, scratch, line):
    """Write the rows of the chain with the earliest steps into a line of `scratch`.

    Entries are in [low, high). With `untouched` (then they are one instant) it is the best chain
    that no excluded event touches. Where several rows share an instant of the chain, the rows are
    of the right instant and no more.

    Returns
    -------
    How far it gets, and how far any chain gets.
    """
    for k in range(1, ask.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, far = 0, 0
    r = first
    while r < m and far < ask.steps and rows[TIME, r] - ask.window < high:
        t = rows[TIME, r]
        stop, several, own, others = r + 1, 1, r, 0
        steps = 0 if rows[USED, r] else rows[STEPS, r]
        if stop < m and rows[TIME, stop] == t:
            stop, several, steps, own, others = _instant(rows, r, m)
        made = 0
        if several > 1 and not strict:
            made = _follow_at_once(ask, rows, r, stop, low, high, levels, scratch)
            steps = 0
        # The chains that this instant's excluded events end make way for those that use them.
        ended = _ended_by(rows[BARRED, own] | others, ask)
        while steps != 0:
            k = highest(steps)
            steps &= ~bit(k)
            if k == 1:
                fits = low <= t < high
            else:
                fits = levels[k - 1, _ENTERED] > NEVER
                ends = ask.neighbors or has(ended, k)
                fits &= ends or levels[k, _ENTERED] == NEVER
            if fits:
                _follow(levels, k - 1, k, own)
                if k == 1:
                    levels[k, _ENTERED] = t
                made |= bit(k)
        far = max(far, highest(made))
        left = made
        while highest(left) > reach:
            k = highest(left)
            left &= ~bit(k)
            if untouched and not _stays_untouched(ask, rows, own, m, k, others, low + ask.window):
                continue
            reach = k
            for c in range(k):
                scratch[line, c] = levels[k, PATH + c]
        if rows[BARRED, own] | others != 0 or ask.neighbors:
            _end_chains(levels, made, rows[BARRED, own], others, ask)
        r = stop
    return reach, far


@reader
def shares_an_instant(rows, reach, m, scratch):
    """Does the chain in BEST_ROWS use an instant at which there is another row?"""
    shared = False
    for c in range(reach):
        r = scratch[BEST_ROWS, c]
        shared |= r > 0 and rows[TIME, r - 1] == rows[TIME, r]
        shared |= r + 1 < m and rows[TIME, r + 1] == rows[TIME, r]
    return shared


@reader
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


@reader
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
