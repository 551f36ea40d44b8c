"""Compiled loops over a shard's rows: for which users does a rule hold, and what did they do?

One loop per kind of rule (`counted` to `abandoned`), `any_at` for all rows of the instant of one
that was found, `tallied` for counts of all events, `carts` for carts left and
`conversions_by_value` for values of a property; `content` and `engagement` use them too. Each
user's rows lie in the order of time, so the rows that may count are found by bisection
(`first_at`), and users whose set of events shows that none of them can match are skipped.
Codes that `lut` leaves out, those of hidden rows among them, count nowhere. The instant `hi`, which
the question is asked at, is always excluded.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.eventlog.kernels import add_value

NEVER = np.int64(-(2**62))
EVER = np.int64(2**61)
_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def first_at(time, start, stop, instant):
    """The first of the rows from `start` to `stop` that is not before an instant, or `stop`."""
    if start == stop or time[stop - 1] < instant:
        return stop
    if time[start] >= instant:
        return start
    while start < stop:
        middle = (start + stop) // 2
        if time[middle] < instant:
            start = middle + 1
        else:
            stop = middle
    return start


@nb.njit(cache=True, nogil=True)
def counted(time, codes, offsets, masks, lut, wanted, lo, hi):
    """How many rows of each user match, from `lo` to `hi` (excluded)? int32 per user.

    Parameters
    ----------
    codes, lut : a row matches if ``lut[codes[row]]``; code −1 reads the last.
    wanted : the set of events that can match, as in `masks`.
    lo, hi : instants in microseconds.
    """
    users = offsets.size - 1
    count = np.zeros(users, np.int32)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        begin = first_at(time, offsets[u], offsets[u + 1], lo)
        end = first_at(time, begin, offsets[u + 1], hi)
        found = 0
        for i in range(begin, end):
            found += lut[codes[i]]
        count[u] = found
    return count


@nb.njit(cache=True, nogil=True)
def found_first(time, codes, offsets, masks, lut, wanted, lo, hi):
    """The first row of each user that matches from `lo` to `hi` (excluded), −1 where none does."""
    users = offsets.size - 1
    row = np.full(users, -1, np.int64)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        i = first_at(time, offsets[u], offsets[u + 1], lo)
        stop = offsets[u + 1]
        while i < stop and not lut[codes[i]]:
            i += 1
        if i < stop and time[i] < hi:
            row[u] = i
    return row


@nb.njit(cache=True, nogil=True)
def found_last(time, codes, offsets, masks, lut, wanted, lo, hi):
    """The last row of each user that matches from `lo` to `hi` (excluded), −1 where none does."""
    users = offsets.size - 1
    row = np.full(users, -1, np.int64)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        start = offsets[u]
        i = first_at(time, start, offsets[u + 1], hi) - 1
        while i >= start and not lut[codes[i]]:
            i -= 1
        if i >= start and time[i] >= lo:
            row[u] = i
    return row


@nb.njit(cache=True, nogil=True)
def sessions(time, codes, offsets, masks, lut, wanted, session, size, lo, hi):
    """In how many sessions does each user match? Codes are below `size`; −1 is no session.

    Sessions may overlap, so one counts when it is first seen for its user, not where it changes.
    """
    users = offsets.size - 1
    count = np.zeros(users, np.int32)
    seen = np.full(size, -1, np.int64)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        begin = first_at(time, offsets[u], offsets[u + 1], lo)
        end = first_at(time, begin, offsets[u + 1], hi)
        for i in range(begin, end):
            key = session[i]
            if key >= 0 and seen[key] != u and lut[codes[i]]:
                seen[key] = u
                count[u] += 1
    return count


@nb.njit(cache=True, nogil=True)
def days(time, codes, offsets, masks, lut, wanted, length, lo, hi):
    """On how many days, each of this `length` and counted from 1970 UTC, does each user match?"""
    users = offsets.size - 1
    count = np.zeros(users, np.int32)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        begin = first_at(time, offsets[u], offsets[u + 1], lo)
        end = first_at(time, begin, offsets[u + 1], hi)
        next_day = NEVER
        for i in range(begin, end):
            if lut[codes[i]] and time[i] >= next_day:
                next_day = (time[i] // length + 1) * length
                count[u] += 1
    return count


@nb.njit(cache=True, nogil=True)
def summed(time, codes, offsets, masks, lut, wanted, numbers, lo, hi):
    """The exact sum of a number over each user's matches, as `eventlog.kernels.money` returns it.

    NaN is left out.
    """
    users = offsets.size - 1
    sums = np.zeros((users, 5), np.int64)
    for u in range(users):
        if not masks[u] & wanted:
            continue
        begin = first_at(time, offsets[u], offsets[u + 1], lo)
        end = first_at(time, begin, offsets[u + 1], hi)
        for i in range(begin, end):
            if lut[codes[i]]:
                add_value(sums, u, numbers[i])
    return sums


@nb.njit(cache=True, nogil=True)
def any_at(time, codes, offsets, lut, row):
    """Does any row at the instant of the user's `row` match? False where `row` is −1."""
    out = np.zeros(row.size, np.bool_)
    for u in range(row.size):
        if row[u] < 0:
            continue
        i = row[u]
        while i > offsets[u] and time[i - 1] == time[row[u]]:
            i -= 1
        while i < offsets[u + 1] and time[i] == time[row[u]] and not out[u]:
            out[u] = lut[codes[i]] != 0
            i += 1
    return out


@nb.njit(cache=True, nogil=True)
def ordered(time, codes, offsets, masks, lut, needs, at_least, lo, hi):
    """Which users did step 1 `at_least` so often, and step 2 so often after that?

    Rows of one instant count in the order that helps, but none serves both steps.

    Parameters
    ----------
    lut : the steps of each code as bits (1, 2 or both).
    needs, at_least, lo : per step the events as in `masks`, how often, and from when rows count.
    """
    users = offsets.size - 1
    out = np.zeros(users, np.bool_)
    for u in range(users):
        if not masks[u] & needs[0] or not masks[u] & needs[1]:
            continue
        i = first_at(time, offsets[u], offsets[u + 1], min(lo[0], lo[1]))
        end = first_at(time, i, offsets[u + 1], hi)
        missing = at_least[0]
        after = 0
        while i < end and not out[u]:
            t = time[i]
            one, two, either = 0, 0, 0
            while i < end and time[i] == t:
                steps = lut[codes[i]]
                i += 1
                first = steps & 1 and t >= lo[0]
                second = steps & 2 and t >= lo[1]
                either += first and second
                one += first and not second
                two += second and not first
            if missing <= 0:
                after += two + either
            elif one + either >= missing:
                after += two + either - max(missing - one, 0)
                missing = 0
            else:
                missing -= one + either
            out[u] = missing <= 0 and after >= at_least[1]
    return out


@nb.njit(cache=True, nogil=True)
def chained(time, codes, offsets, masks, lut, needs, within, hi):
    """Which users did all steps in order, `within` so long of the first?

    For each step the latest start of any chain that has reached it is kept: a later start leaves
    more of the time. Rows of one instant count in the order that helps: they carry a chain as far
    as each further step has a row of its own, and later steps are served first, so that no chain
    is read that the instant has made.

    Parameters
    ----------
    lut : uint64, the steps of each code as bits.
    needs : per step the events as in `masks`.
    """
    users = offsets.size - 1
    steps = needs.size
    out = np.zeros(users, np.bool_)
    latest = np.empty(steps, np.int64)
    # The rows of an instant by the steps they may serve: these steps, and how many rows.
    kinds = np.zeros(lut.size, np.uint64)
    many = np.zeros(lut.size, np.int64)
    for u in range(users):
        possible = True
        for k in range(steps):
            possible = possible and masks[u] & needs[k] != 0
        if not possible:
            continue
        latest[:] = NEVER
        i = offsets[u]
        end = first_at(time, i, offsets[u + 1], hi)
        while i < end and latest[steps - 1] == NEVER:
            bits = lut[codes[i]]
            t = time[i]
            i += 1
            if bits == 0:
                continue
            kinds[0], many[0], found, rows = bits, 1, 1, 1
            while i < end and time[i] == t:
                own = lut[codes[i]]
                i += 1
                if own == 0:
                    continue
                rows += 1
                bits |= own
                p = 0
                while p < found and kinds[p] != own:
                    p += 1
                if p == found:
                    kinds[p], many[p] = own, 0
                    found += 1
                many[p] += 1
            for k in range(steps - 1, -1, -1):
                entered = latest[k - 1] if k > 0 else t
                if not (bits >> np.uint64(k)) & _ONE or entered < t - within:
                    continue
                last = k
                if rows > 1 and k + 1 < steps:
                    last = _served(kinds, many, found, k, steps)
                for step in range(k, last + 1):
                    latest[step] = max(latest[step], entered)
        out[u] = latest[steps - 1] != NEVER
    return out


@nb.njit(cache=True, nogil=True)
def _served(kinds, many, found, low, steps):
    """The last of the steps low, low + 1, … that rows of these kinds can serve all at once.

    A bipartite matching by augmenting paths (Kuhn 1955); rows of one kind are alike, so it does
    not matter how many there are.
    """
    owner = np.full(steps, -1, np.int64)
    taken = np.zeros(found, np.int64)
    reached_by = np.empty(found, np.int64)
    queue = np.empty(steps, np.int64)
    for step in range(low, steps):
        reached_by[:] = -1
        queue[0] = step
        head, tail, free = 0, 1, -1
        while head < tail and free < 0:
            s = queue[head]
            head += 1
            for p in range(found):
                if reached_by[p] >= 0 or not (kinds[p] >> np.uint64(s)) & _ONE:
                    continue
                reached_by[p] = s
                if taken[p] < many[p]:
                    free = p
                    break
                for other in range(low, step):
                    if owner[other] == p:
                        queue[tail] = other
                        tail += 1
        if free < 0:
            return step - 1
        taken[free] += 1
        while free >= 0:
            s = reached_by[free]
            owner[s], free = free, owner[s]
    return steps - 1


@nb.njit(cache=True, nogil=True)
def abandoned(time, codes, offsets, masks, lut, needs, wait, still, lo, hi):
    """Which users did the first thing, and not the second until `wait` was over?

    The end of the wait must lie from `lo` to `hi` (excluded). An event that is both things does
    not end its own wait; another one at the same instant does.

    Parameters
    ----------
    lut : bits of each code: 1 the first thing, 2 the second.
    still : the second may not have come later either, until `hi`.
    """
    users = offsets.size - 1
    out = np.zeros(users, np.bool_)
    for u in range(users):
        if not masks[u] & needs:
            continue
        start = offsets[u]
        i = first_at(time, start, offsets[u + 1], hi) - 1
        later = EVER
        while i >= start and not out[u]:
            if not lut[codes[i]]:
                i -= 1
                continue
            t = time[i]
            if t < lo - wait:
                break
            others = 0
            alone = False
            both = False
            while i >= start and time[i] == t:
                bits = lut[codes[i]]
                others += bits >> 1
                alone = alone or bits == 1
                both = both or bits == 3
                i -= 1
            quiet = later == EVER if still else later > t + wait
            if t < hi - wait and quiet:
                out[u] = (alone and others == 0) or (both and others == 1)
            if others:
                later = t
    return out


@nb.njit(cache=True, nogil=True)
def tallied(time, event, offsets, names, lo, hi):
    """How often did each user do each event, from `lo` to `hi` (excluded)? int32 (users, names)."""
    users = offsets.size - 1
    out = np.zeros((users, names), np.int32)
    for u in range(users):
        begin = first_at(time, offsets[u], offsets[u + 1], lo)
        end = first_at(time, begin, offsets[u + 1], hi)
        for i in range(begin, end):
            if event[i] < names:
                out[u, event[i]] += 1
    return out


@nb.njit(cache=True, nogil=True)
def carts(time, event, offsets, after, without, wait, hi):
    """How many carts of each user are decided before `hi`, and how many of them were left?

    A cart begins with `after` where none is open. It is closed by `without`, or left once `wait`
    has passed since the last `after` in it. Rows of one instant are taken together, and `without`
    closes a cart that began at its own instant.

    Parameters
    ----------
    after, without : event codes. wait : microseconds.
    hi : an instant in microseconds; rows from then on do not count, nor do carts whose wait is not
        over by then.

    Returns
    -------
    (decided, left) : int64 arrays, an element per user.
    """
    users = offsets.size - 1
    decided = np.zeros(users, np.int64)
    left = np.zeros(users, np.int64)
    for u in range(users):
        is_open = False
        last = np.int64(0)
        i = offsets[u]
        stop = offsets[u + 1]
        while i < stop and time[i] < hi:
            t = time[i]
            begins = False
            closes = False
            while i < stop and time[i] == t:
                begins = begins or event[i] == after
                closes = closes or event[i] == without
                i += 1
            if not begins and not closes:
                continue
            if is_open and t - last > wait:
                decided[u] += 1
                left[u] += 1
                is_open = False
            if begins:
                is_open = True
                last = t
            if closes and is_open:
                decided[u] += 1
                is_open = False
        if is_open and last < hi - wait:
            decided[u] += 1
            left[u] += 1
    return decided, left


@nb.njit(cache=True, nogil=True)
def conversions_by_value(
    time, event, offsets, value, size, shows, target, macro, window, bounds, first_only
):
    """Of the users who saw each value, how many did the target within the window after that?

    A user counts under a value from the first time it was seen in the period, and only if the
    target had not been done by then (nor at the same instant: it may be what showed the value).

    Parameters
    ----------
    value : codes below `size`, −1 where missing. shows : uint8 per event code (hidden rows have
        the last one): does a row of it show its value?
    target, macro : event codes.
    window : microseconds, its end included. bounds : int64, from when and until when (excluded) a
        value is seen, and where the log's knowledge ends.
    first_only : only the first value that a user has ever seen.

    Returns
    -------
    (counts, tied) : int64 array (size + 1, 4): users whose window is over, those of them with the
        target in it, those with the macro in it, and users whose window is not over. The last row
        counts every user once, from the first value seen. Then, with `first_only`, how many users
        saw another value at the instant of their first: it is the one that arrived first.
    """
    out = np.zeros((size + 1, 4), np.int64)
    seen = np.full(size + 1, -1, np.int64)
    tied = 0
    for u in range(offsets.size - 1):
        start, stop = offsets[u], offsets[u + 1]
        done = EVER
        for i in range(start, stop):
            if event[i] == target:
                done = time[i]
                break
        begin = start if first_only else first_at(time, start, stop, bounds[0])
        ahead = begin
        for i in range(begin, stop):
            t = time[i]
            if t >= bounds[1] or t >= done:
                break
            code = value[i]
            if code < 0 or not shows[event[i]] or seen[code] == u:
                continue
            if t < bounds[0]:
                break
            seen[code] = u
            bought = False
            if t + window <= bounds[2]:
                ahead = max(ahead, i + 1)
                while ahead < stop and (event[ahead] != macro or time[ahead] <= t):
                    ahead += 1
                bought = ahead < stop and time[ahead] - t <= window
            people = seen[size] != u
            seen[size] = u
            for which in range(1 + people):
                row = size if which else code
                if t + window > bounds[2]:
                    out[row, 3] += 1
                    continue
                out[row, 0] += 1
                out[row, 1] += done - t <= window
                out[row, 2] += bought
            if first_only:
                j = i + 1
                while j < stop and time[j] == t:
                    if value[j] >= 0 and value[j] != code and shows[event[j]]:
                        tied += 1
                        break
                    j += 1
                break
    return out, tied
