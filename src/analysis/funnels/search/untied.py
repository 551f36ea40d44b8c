"""The search of units whose steps never compete for a row: nearly every unit there is.

`units.choose` asks `is_untied` for each unit, in sequence or among neighbors. Without ties one
chain per step is enough; the proof is in ARCHITECTURE.md, "The chain search". So how far anyone
gets takes one pass that keeps the last chain of each step (`furthest`). For the times of the steps,
among entries that the window no longer tells apart, the first chain to do a step is the one with
the earliest times, and the last entry before its second step is its entry (`walk`). `exact` has
the search for everything else: ties, optional steps, and limits of single steps when times are
asked for.
"""

from __future__ import annotations

from analysis.funnels.search.state import (
    ACTIVE,
    AFTER,
    ANSWER,
    BEFORE,
    BEST_ROWS,
    COUNT,
    ENTRY,
    EXCLUSIONS,
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
    can_match,
    has,
    highest,
    step_of,
    time_of,
    without_refcounts,
)

# Columns of `levels`, a line per step: the instants of the entry and of the last step of the
# chain that has done it, then its rows.
_ENTERED, _DONE, PATH = range(3)


@without_refcounts
def is_untied(rows, first, m, bounded, dropping):
    """Are the searches of this file right for these rows?

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
        difficult |= rows[EXCLUSIONS, r] != 0 or (dropping and has(steps, 1) and steps != 1)
        simple &= several < 2 or not difficult
    return simple


# How far anyone gets, and when.


@without_refcounts
def furthest(rules, rows, first, m, low, high, strict, levels, per_step):
    """How far any chain with an entry in [low, high) gets, and the instant of that."""
    for k in range(1, rules.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, end = 0, NEVER
    r = first
    while r < m and reach < rules.steps:
        t = rows[TIME, r]
        stop, several, own, others = r + 1, 1, r, 0
        steps = 0 if rows[USED, r] else rows[STEPS, r]
        if stop < m and rows[TIME, stop] == t:
            stop, several, steps, own, others = _instant(rows, r, m)
        made = 0
        if several > 1 and not strict:
            _enter_at_once(rules, rows, r, stop, low, high, levels, per_step)
            for k in range(1, rules.steps + 1):
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
                for q in range(rules.limits[BEFORE, k], k):
                    within = t - levels[q, _DONE] <= rules.limits[WITHIN, k]
                    if within and levels[q, _ENTERED] >= t - rules.window:
                        entered = max(entered, levels[q, _ENTERED])
            if entered > NEVER:
                levels[k, _ENTERED], levels[k, _DONE] = entered, t
                made |= bit(k)
        if made and highest(made) > reach:
            reach, end = highest(made), t
        if rows[EXCLUSIONS, own] | others != 0 or rules.neighbors:
            _end_chains(levels, made, rows[EXCLUSIONS, own], others, rules)
        r = stop
    return reach, end


@without_refcounts
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
            others |= rows[EXCLUSIONS, other]
    return stop, several, steps, own, others


@without_refcounts
def _enter_at_once(rules, rows, r, stop, low, high, levels, per_step):
    """Extend the last chain of each step by the rows of an instant, in whichever order helps."""
    t = rows[TIME, r]
    for step in range(rules.steps):
        # From the last step down: no chain is read that this instant has made.
        i = rules.steps - 1 - step
        entered = levels[i, _ENTERED]
        if i == 0:
            entered = t if low <= t < high else NEVER
        if entered < t - rules.window:
            continue
        for k in range(i + 1, _together(rows, r, stop, i + 1, rules.steps, per_step) + 1):
            levels[k, _ENTERED] = max(levels[k, _ENTERED], entered)
            levels[k, _DONE] = t


@without_refcounts
def _together(rows, r, stop, k, steps, per_step):
    """The last of the steps k, k + 1, … that the rows of an instant can do all at once."""
    for row in range(r, stop):
        rows[MUST, row], rows[TAKEN, row] = 0, 0
    among = 0
    while k <= steps:
        among |= bit(k)
        if not can_match(rows, r, stop, among, steps, per_step):
            break
        k += 1
    return k - 1


@without_refcounts
def _end_chains(levels, made, own, others, rules):
    """Drop the chains that this instant's excluded events end, or, among neighbors, its being."""
    for x in range(rules.exclusions):
        if not has(own | others, x + 1):
            continue
        after = rules.limits[AFTER, x]
        for k in range(after, rules.limits[UNTIL, x]):
            # A chain's own event does not end it, nor does one at the instant of step `after`.
            if not has(made, k) or (has(others, x + 1) and k > after):
                levels[k, _ENTERED] = NEVER
    if rules.neighbors:
        for k in range(1, rules.steps + 1):
            if not has(made, k):
                levels[k, _ENTERED] = NEVER


# The times of the steps.


@without_refcounts
def walk(rules, rows, first, m, low, high, strict, levels, untouched, per_step, line):
    """Write the rows of the chain with the earliest steps into a line of `per_step`.

    Entries are in [low, high). With `untouched` (then they are one instant) it is the best chain
    that no excluded event touches. Where several rows share an instant of the chain, the rows are
    of the right instant and no more.

    Returns
    -------
    How far it gets, and how far any chain gets.
    """
    for k in range(1, rules.steps + 1):
        levels[k, _ENTERED] = NEVER
    reach, far = 0, 0
    r = first
    while r < m and far < rules.steps and rows[TIME, r] - rules.window < high:
        t = rows[TIME, r]
        stop, several, own, others = r + 1, 1, r, 0
        steps = 0 if rows[USED, r] else rows[STEPS, r]
        if stop < m and rows[TIME, stop] == t:
            stop, several, steps, own, others = _instant(rows, r, m)
        made = 0
        if several > 1 and not strict:
            made = _follow_at_once(rules, rows, r, stop, low, high, levels, per_step)
            steps = 0
        # The chains that this instant's excluded events end make way for those that use them.
        ended = _ended_by(rows[EXCLUSIONS, own] | others, rules)
        while steps != 0:
            k = highest(steps)
            steps &= ~bit(k)
            if k == 1:
                fits = low <= t < high
            else:
                fits = levels[k - 1, _ENTERED] > NEVER
                ends = rules.neighbors or has(ended, k)
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
            if untouched and not _stays_untouched(
                rules, rows, own, m, k, others, low + rules.window
            ):
                continue
            reach = k
            for c in range(k):
                per_step[line, c] = levels[k, PATH + c]
        if rows[EXCLUSIONS, own] | others != 0 or rules.neighbors:
            _end_chains(levels, made, rows[EXCLUSIONS, own], others, rules)
        r = stop
    return reach, far


@without_refcounts
def _follow(levels, i, k, row):
    """Let the chain that has done step k be the one that has done step i, and go on at `row`."""
    if i > 0:
        levels[k, _ENTERED] = levels[i, _ENTERED]
    for c in range(i):
        levels[k, PATH + c] = levels[i, PATH + c]
    for c in range(i, k):
        levels[k, PATH + c] = row


@without_refcounts
def _follow_at_once(rules, rows, r, stop, low, high, levels, per_step):
    """Extend the first chain of each step by the rows of an instant, in whichever order helps;
    which steps are done by chains of this instant. A path holds the instant's first row for all
    of them.
    """
    t = rows[TIME, r]
    made, by_entries = 0, 0
    for step in range(rules.steps):
        i = rules.steps - 1 - step
        # Of chains whose second step is now, those that enter now come before earlier entries;
        # step 1's own line is read before it is written.
        if i > 0 and levels[i, _ENTERED] == NEVER:
            continue
        if i == 0 and not low <= t < high:
            continue
        for k in range(i + 1, _together(rows, r, stop, i + 1, rules.steps, per_step) + 1):
            if k == 1 or levels[k, _ENTERED] == NEVER or (i == 0 and has(by_entries, k)):
                _follow(levels, i, k, r)
                if i == 0:
                    levels[k, _ENTERED] = t
                made |= bit(k)
                if i == 1:
                    by_entries |= bit(k)
    return made


@without_refcounts
def _ended_by(excluded, rules):
    """The steps whose chains these excluded events end, unless a chain uses the event."""
    ended = 0
    for x in range(rules.exclusions):
        if has(excluded, x + 1):
            for k in range(rules.limits[AFTER, x], rules.limits[UNTIL, x]):
                ended |= bit(k)
    return ended


@without_refcounts
def _stays_untouched(rules, rows, r, m, k, others, end):
    """Does no excluded event, of this instant's `others` or later, touch a chain which has done
    step k at row r?
    """
    late = 0
    for x in range(rules.exclusions):
        if rules.limits[AFTER, x] <= k < rules.limits[UNTIL, x]:
            late |= bit(x + 1)
            # At the instant of step `after` itself it does no harm.
            if rules.limits[AFTER, x] < k and has(others, x + 1):
                return False
    t = rows[TIME, r]
    while r < m and rows[TIME, r] <= end:
        if rows[TIME, r] > t and rows[EXCLUSIONS, r] & late != 0:
            return False
        r += 1
    return True


# The chain that was found.


@without_refcounts
def as_state(rules, rows, reach, states, per_step):
    """Describe the chain in BEST_ROWS as the state at ANSWER."""
    states[ANSWER, REACH], states[ANSWER, COUNT], states[ANSWER, EXTRAS] = reach, reach, 0
    states[ANSWER, ACTIVE], states[ANSWER, FRESH] = 0, 0
    if reach == 0:
        return
    states[ANSWER, ENTRY] = rows[TIME, per_step[BEST_ROWS, 0]]
    states[ANSWER, LAST] = rows[TIME, per_step[BEST_ROWS, reach - 1]]
    for c in range(reach):
        states[ANSWER, time_of(c)] = rows[TIME, per_step[BEST_ROWS, c]]
        states[ANSWER, step_of(c)] = c + 1
    for x in range(rules.exclusions):
        if rules.limits[AFTER, x] <= reach < rules.limits[UNTIL, x]:
            states[ANSWER, ACTIVE] |= bit(x + 1)
            if rules.limits[AFTER, x] == reach:
                states[ANSWER, FRESH] |= bit(x + 1)


@without_refcounts
def earlier(rows, reach, per_step):
    """Is the chain in PICKED at least as good as the one in BEST_ROWS, of the same reach, where
    the later entry is the one in PICKED?
    """
    last = rows[TIME, per_step[PICKED, reach - 1]] - rows[TIME, per_step[BEST_ROWS, reach - 1]]
    if last != 0:
        return last < 0
    for c in range(1, reach):
        sooner = rows[TIME, per_step[PICKED, c]] - rows[TIME, per_step[BEST_ROWS, c]]
        if sooner != 0:
            return sooner < 0
    return True


@without_refcounts
def shares_an_instant(rows, reach, m, per_step):
    """Does the chain in BEST_ROWS use an instant at which there is another row?"""
    shared = False
    for c in range(reach):
        r = per_step[BEST_ROWS, c]
        shared |= r > 0 and rows[TIME, r - 1] == rows[TIME, r]
        shared |= r + 1 < m and rows[TIME, r + 1] == rows[TIME, r]
    return shared
