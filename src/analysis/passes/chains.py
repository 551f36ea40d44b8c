"""The funnel's pass: the best sequential chain of every user, in one look at their rows.

What is kept while a user's rows go by is, for each step k, ``latest[k]``: the latest entry of any
chain that has reached k. A later entry leaves more of the window, so one number per step is
enough: an event of step k can extend a chain exactly if ``latest[k − 1]`` is still inside the
window. The first instant at which the furthest step is reached is the chain's end; a second look,
confined to entries inside the window before that end, gives the earliest time of every step, and
the entry is the latest one that leaves those times possible.

Rows of one instant are taken together. Lenient ties let them count in any order, but one event
never serves two steps: where several steps share events, steps and events of the instant are
matched (augmenting paths). Strict ties let a chain use at most one row of an instant.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.passes import plain_chains
from analysis.passes.plain_chains import NEVER

_ONE = np.uint64(1)
MATURE = np.uint8(1)
CHOSEN = np.uint8(2)


@nb.njit(cache=True, nogil=True, inline="always")
def _has(steps, k):
    """Is step k (counted from 1) in the set?"""
    return (steps >> np.uint64(k - 1)) & _ONE != 0


@nb.njit(cache=True, nogil=True)
def _augment(step, sets, first, last, without, scratch):
    """Give `step` a row of the instant, moving others if need be (Kuhn, without recursion)."""
    owner, tried, path = scratch
    # path[d] is the step to place at depth d; depth d's cursor runs over the instant's rows.
    depth = 0
    path[0, 0] = step
    path[0, 1] = first
    for r in range(first, last):
        tried[r - first] = r == without
    while depth >= 0:
        want = path[depth, 0]
        moved = False
        while path[depth, 1] < last:
            r = path[depth, 1]
            path[depth, 1] += 1
            if tried[r - first] or not _has(sets[r], want):
                continue
            tried[r - first] = True
            if owner[r - first] < 0:
                for d in range(depth, -1, -1):
                    owner[path[d, 1] - 1 - first] = path[d, 0]
                return True
            depth += 1
            path[depth, 0] = owner[r - first]
            path[depth, 1] = first
            moved = True
            break
        if not moved:
            depth -= 1
    return False


@nb.njit(cache=True, nogil=True)
def _matches(sets, first, last, low, high, without, scratch):
    """How far steps low, low + 1, … ≤ high can all be given rows of their own: the last of them."""
    owner = scratch[0]
    for r in range(first, last):
        owner[r - first] = -1
    for step in range(low, high + 1):
        if not _augment(step, sets, first, last, without, scratch):
            return step - 1
    return high


@nb.njit(cache=True, nogil=True)
def _instant(latest, sets, first, last, t, edges, strict, scratch):
    """Extend the chains by the rows [first, last) of the instant t.

    `latest` has an entry per step, numbered from 1; `edges` is (window, lo, hi).
    """
    window, lo, hi = edges
    steps = latest.size - 1
    union = np.uint64(0)
    for r in range(first, last):
        union |= sets[r]
    enters = lo <= t < hi
    if not strict and last - first > 1:
        before = latest.copy()
        for i in range(steps - 1, -1, -1):
            start = before[i] if i else t
            if start < t - window or (i == 0 and not enters):
                continue
            far = _matches(sets, first, last, i + 1, steps, -1, scratch)
            for k in range(i + 1, far + 1):
                latest[k] = max(latest[k], start)
    else:
        for k in range(steps, 0, -1):
            if _has(union, k):
                if k == 1:
                    if enters:
                        latest[1] = t
                elif latest[k - 1] >= t - window:
                    latest[k] = latest[k - 1]


@nb.njit(cache=True, nogil=True)
def _furthest(latest, rows, sets, m, time, edges, strict, scratch):
    """The furthest step that any chain of these rows reaches, and the first instant of that."""
    latest[:] = NEVER
    steps = latest.size - 1
    best = 0
    end = NEVER
    r = 0
    while r < m:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        _instant(latest, sets, r, stop, t, edges, strict, scratch)
        while best < steps and latest[best + 1] != NEVER:
            best += 1
            end = t
        if best == steps:
            break
        r = stop
    return best, end


@nb.njit(cache=True, nogil=True)
def _step_times(latest, rows, sets, m, time, edges, strict, scratch, reach, times):
    """The earliest time of each step among chains that end where the best one ends."""
    latest[:] = NEVER
    done = 0
    r = 0
    while r < m and done < reach:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if t >= edges[1]:
            _instant(latest, sets, r, stop, t, edges, strict, scratch)
            while done < reach and latest[done + 1] != NEVER:
                done += 1
                times[done - 1] = t
        r = stop


@nb.njit(cache=True, nogil=True)
def _latest_entry(rows, sets, m, time, edges, strict, scratch, reach, times):
    """The position of the latest entry that leaves the times of steps 2, 3, … possible."""
    _, lo, hi = edges
    last = m - 1
    while last >= 0 and time[rows[last]] > times[1]:
        last -= 1
    if not strict and lo <= times[1] < hi:
        first = last
        while first > 0 and time[rows[first - 1]] == times[1]:
            first -= 1
        same = 2
        while same < reach and times[same] == times[1]:
            same += 1
        for r in range(last, first - 1, -1):
            alone = _matches(sets, first, last + 1, 2, same, r, scratch)
            if _has(sets[r], 1) and alone == same:
                return r
    for r in range(last, -1, -1):
        t = time[rows[r]]
        if t < times[1] and lo <= t < hi and _has(sets[r], 1):
            return r
    return -1


@nb.njit(cache=True, nogil=True)
def _choose(latest, rows, sets, m, time, edges, strict, scratch, times):
    """The best chain where steps share events; returns what `plain_chains.choose` returns."""
    reach, end = _furthest(latest, rows, sets, m, time, edges, strict, scratch)
    if reach == 0:
        return 0, -1, False
    if reach == 1:
        times[0] = end
        r = 0
        while time[rows[r]] != end or not _has(sets[r], 1):
            r += 1
        return 1, r, False
    near = (edges[0], max(edges[1], end - edges[0]), edges[2])
    _step_times(latest, rows, sets, m, time, near, strict, scratch, reach, times)
    entry = _latest_entry(rows, sets, m, time, near, strict, scratch, reach, times)
    times[0] = time[rows[entry]]
    tied = False
    for k in range(1, reach):
        if times[k] == times[k - 1]:
            far, _ = _furthest(latest, rows, sets, m, time, edges, True, scratch)
            tied = far < reach
            break
    return reach, entry, tied


@nb.njit(cache=True, nogil=True)
def _first_entry(time, event, lut, start, stop, lo, hi):
    for i in range(start, stop):
        if _has(lut[event[i]], 1) and lo <= time[i] < hi:
            return i
    return -1


@nb.njit(cache=True, nogil=True)
def best_chains(time, event, offsets, masks, lut, wanted, limits, strict, shared):
    """The best chain of each user of a shard among all entries, and among mature ones.

    Parameters
    ----------
    time, event, offsets, masks : the shard's arrays.
    lut : uint64 per event code (and one for hidden rows); bit k − 1 says that the event
        matches step k.
    wanted : uint64 array, per step (from index 1) the bits that a user's mask must share.
    limits : (window, lo, hi, mature_until) in microseconds: entries are in [lo, hi) and mature
        up to `mature_until` included.
    strict : do ties have to wait; shared : can one event match two steps.

    Returns
    -------
    users, entries, reach, tied, kind : one element per chain: index of the user, row of the
        entry, steps reached, whether that depends on a tie, and a sum of MATURE (the entry is
        mature) and CHOSEN (the best among all entries). A user whose best chain is immature has
        a second row for the best mature one, if there is one.
    times : int64 array (chains with reach ≥ 2, steps), in the same order; microseconds.
    """
    window, lo, hi, mature_until = limits
    steps = wanted.size - 1
    people = offsets.size - 1
    room = 0
    longest = 0
    for u in range(people):
        longest = max(longest, offsets[u + 1] - offsets[u])
        if masks[u] & wanted[1]:
            room += 1 if time[offsets[u + 1] - 1] <= mature_until else 2
    users = np.empty(room, np.int64)
    entries = np.empty(room, np.int64)
    reaches = np.empty(room, np.int8)
    tied = np.empty(room, np.bool_)
    kinds = np.empty(room, np.uint8)
    times = np.empty((room, steps), np.int64)
    latest = np.empty(steps + 1, np.int64)
    own = np.empty(steps, np.int64)
    rows = np.empty(longest + 1, np.int64)
    sets = np.empty(longest + 1 if shared else 1, np.uint64)
    step = np.empty(longest + 1, np.uint8)
    step_of = np.zeros(lut.size, np.uint8)
    for code in range(lut.size):
        for k in range(1, steps + 1):
            if _has(lut[code], k):
                step_of[code] = k
    some = longest if shared else 1
    scratch = (
        np.empty(some, np.int64),
        np.empty(some, np.bool_),
        np.empty((steps + 2, 2), np.int64),
    )
    out = 0
    detailed = 0
    for u in range(people):
        if not masks[u] & wanted[1]:
            continue
        start, stop = offsets[u], offsets[u + 1]
        short = steps == 1 or not masks[u] & wanted[2]
        m = 0
        if shared and not short:
            for i in range(start, stop):
                found = lut[event[i]]
                rows[m] = i
                sets[m] = found
                m += found != 0
        elif not short:
            # No branch: whether a row matters is as good as random.
            for i in range(start, stop):
                k = step_of[event[i]]
                rows[m] = i
                step[m] = k
                m += k != 0
        kind = CHOSEN
        end = hi
        for _ in range(2):
            edges = (window, lo, end)
            tie = False
            if short:
                entry = _first_entry(time, event, lut, start, stop, lo, end)
                reach = 1 if entry >= 0 else 0
            else:
                if shared:
                    reach, place, tie = _choose(
                        latest, rows, sets, m, time, edges, strict, scratch, own
                    )
                else:
                    reach, place, tie = plain_chains.choose(
                        latest, rows, step, m, time, edges, strict, own
                    )
                entry = rows[place] if reach else -1
            if reach == 0:
                break
            mature = time[entry] <= mature_until
            users[out] = u
            entries[out] = entry
            reaches[out] = reach
            kinds[out] = kind + MATURE if mature else kind
            tied[out] = tie
            if reach > 1:
                times[detailed, :reach] = own[:reach]
                detailed += 1
            out += 1
            if mature or time[start] > mature_until:
                break
            kind = np.uint8(0)
            end = min(hi, mature_until + 1)
    return (
        users[:out],
        entries[:out],
        reaches[:out],
        tied[:out],
        kinds[:out],
        times[:detailed],
    )
