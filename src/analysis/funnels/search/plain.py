"""The plain scan: sequential funnels without any option in which no event matches two steps.

`funnels.chains.is_plain` sends a funnel here. Take the first entry, then the first event of step 2
after it, the first of step 3 after that, and so on. No chain gets further, whatever the window, and
none does its steps earlier. So if the last entry before that second step leaves them all inside the
window, this chain is the best there is (`scan`, `check`).

Where the window is over, where events of one instant could change places, or where the entry is
out of bounds, it may not be. Such users are searched (`_search`) with one number per step: the
latest entry of any chain that has reached it. Why one is enough: ARCHITECTURE.md, "The chain
search". The first instant at which the furthest step is reached is the chain's end. A second pass,
confined to entries inside the window before that end, gives the earliest time of every step, and
the entry is the latest one that leaves those times possible.

Rows of one instant are taken together. Lenient ties let them count in any order, strict ties let a
chain use at most one row of an instant. Without shared events there is nothing to match at one
instant, so each row is one step number and each pass is a plain loop.

Users are scanned in blocks: first the events of all of them, without asking for an instant and
almost without a branch, then the instants of the rows that were found. So the processor waits for
many of them at once, and not for each user's in turn.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.funnels.search.blocks import (
    CHOSEN,
    MATURE,
    TIED,
    USERS,
    add,
    add_entries,
    new_block,
    new_list,
    new_sums,
    resized,
    write,
)
from analysis.funnels.search.state import FOREVER, NEVER, has, internal, without_refcounts

MASK_BITS = 64
"""A user's mask has a bit per event name, and the same bit again after so many."""

_ONE = np.uint64(1)


@nb.njit(cache=True, nogil=True)
def best_chains(columns, ends, lut, wanted, limits, strict, grouping, keep):
    """The best chain of each user of a shard among all entries, and among mature ones.

    Parameters
    ----------
    columns : (time, event, offsets, masks), the shard's arrays. ends : its `last_instants`.
    lut : uint64 per event code (and one for hidden rows); bit k − 1 says that the event
        matches step k. No event matches two.
    wanted : uint64 array, per step (from index 1) the bits that a user's mask must share.
    limits : (window, lo, hi, mature_until) in microseconds: entries are in [lo, hi) and mature
        up to `mature_until` included.
    strict : do ties have to wait.
    grouping : see `blocks.Grouping`.
    keep : is the list of the chains wanted, too.

    Returns
    -------
    (sums, list), the list empty where it is not wanted. A user whose best chain is immature has a
    second one for the best mature chain, if there is one; both are in the group of the second.
    """
    offsets, steps = columns[2], wanted.size - 1
    beyond, longest = _most(offsets, columns[3], wanted)
    sums = new_sums(grouping.values + 1, steps, 2 * beyond, False)
    kept = new_list(0, 0, steps)
    block = new_block(2 * USERS, steps)
    room = (
        np.empty(steps + 1, np.int64),
        np.empty(longest + 1, np.int64),
        np.empty(longest + 1, np.uint8),
        np.empty(steps, np.int64),
    )
    numbers = _step_numbers(lut, steps)
    bounded = limits[1] > -FOREVER or limits[2] < FOREVER
    if keep or grouping.width or bounded or not _masks_are_exact(columns[1], lut):
        ends = ends[:0]
    for first in range(0, offsets.size - 1, USERS):
        users = (first, min(first + USERS, offsets.size - 1))
        n, counted = scan(columns, numbers, wanted, limits, users, ends, block)
        add_entries(sums, counted)
        check(columns, numbers, limits, block, n)
        n = _search(columns, numbers, limits, strict, block, n, room)
        add(sums, block, n, grouping)
        if keep:
            kept = write(kept, block, n)
    return sums, resized(kept, kept.sizes[0], kept.sizes[1])


@internal
def _step_numbers(lut, steps):
    """The step of each event code, 0 for none."""
    numbers = np.zeros(lut.size, np.uint8)
    for code in range(lut.size):
        for k in range(1, steps + 1):
            if has(lut[code], k):
                numbers[code] = k
    return numbers


@without_refcounts
def _masks_are_exact(event, lut):
    """Does every bit of a user's mask stand for one event that the user has?"""
    names, most = lut.size - 1, 0
    for i in range(event.size):
        most = max(most, event[i])
    return names <= MASK_BITS and most < names


@without_refcounts
def _most(offsets, masks, wanted):
    """How many chains get beyond their entry at most, and how many rows the longest user has."""
    second = wanted[2] if wanted.size > 2 else np.uint64(0)
    beyond, longest = 0, 0
    for u in range(offsets.size - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
        beyond += ((masks[u] & wanted[1]) != 0) & ((masks[u] & second) != 0)
    return beyond, longest


# One scan: the chain that takes what comes.


@without_refcounts
def scan(columns, numbers, wanted, limits, users, ends, block):
    """Take what comes, of a block of users.

    Parameters
    ----------
    columns : (time, event, offsets, masks) of the shard.
    numbers : the step of each event code, 0 for none.
    wanted : per step (from index 1) the bits that a user's mask must share.
    limits : as `best_chains` has them.
    users : (first, stop), numbers of users.
    ends : per user the instant of the last row: those that can get no further than an entry, and
        do nothing after the last mature instant, are only counted. Of size 0 where that is not
        enough.

    Returns
    -------
    Of how many users there is something to tell in the block, and how many were only counted.
    """
    time, event, offsets, masks = columns
    window, lo, hi, mature_until = limits
    bounded = lo > -FOREVER or hi < FOREVER
    second = wanted[2] if wanted.size > 2 else np.uint64(0)
    n, counted = np.int64(0), 0
    for u in range(*users):
        if not masks[u] & wanted[1]:
            continue
        if ends.size and not masks[u] & second and ends[u] <= mature_until:
            counted += 1
            continue
        if bounded and (time[offsets[u + 1] - 1] < lo or time[offsets[u]] >= hi):
            continue
        start, stop = np.uint64(offsets[u]), np.uint64(offsets[u + 1])
        if bounded:
            # No chain has a row before the first entry there can be, nor after the last window.
            start = _first_from(time, start, stop, lo)
            stop = _first_from(time, start, stop, hi + window) if hi < FOREVER else stop
        block.user[n] = u
        if masks[u] & second:
            most = _most_steps(masks[u], wanted)
            reach, early = _take(event, numbers, start, stop, most, block.rows, n)
            block.reach[n] = reach
            if early and reach:
                entry = np.int64(_first_entry(event, numbers, start, stop))
                # Step 2 may lie at the instant of the first entry.
                block.reach[n] = 0 if time[entry - 1] == time[entry] else reach
            n += reach > 0
        else:
            entry = _first_entry(event, numbers, start, stop)
            for k in range(wanted.size):
                block.rows[n, k] = entry
            block.reach[n] = 1
            n += entry < stop
    return n, counted


@without_refcounts
def _first_from(time, start, stop, instant):
    """The first row of a user that is not before an instant, or `stop`."""
    one = np.uint64(1)
    while start < stop:
        middle = (start + stop) >> one
        if time[middle] < instant:
            start = middle + one
        else:
            stop = middle
    return start


@without_refcounts
def _most_steps(mask, wanted):
    """How many of the first steps the events of a mask could do."""
    k = 1
    while k < wanted.size and (mask & wanted[k]) != 0:
        k += 1
    return np.uint64(k - 1)


@without_refcounts
def _take(event, numbers, start, stop, most, rows, n):
    """Take the first row of each step after the one before into line n, up to step `most`; how many
    steps that are, and whether step 2 is found before the first entry, too.
    """
    one, two = np.uint64(1), np.uint64(2)
    done, i, entry = np.uint64(0), start, start
    early = False
    while i < stop and done < most:
        step = np.uint64(numbers[event[i]])
        rows[n, done] = i
        entry = i if (step == one) & (done <= one) else entry
        early |= (step == two) & (done == np.uint64(0))
        done += np.uint64(step == done + one)
        i += one
    # A chain that gets nowhere enters when it first could.
    rows[n, 0] = entry if done > one else rows[n, 0]
    for k in range(1, rows.shape[1]):
        rows[n, k] = rows[n, k] if k < np.int64(done) else rows[n, k - 1]
    return np.int64(done), early


@without_refcounts
def _first_entry(event, numbers, start, stop):
    """The first row of step 1, or `stop`."""
    i = start
    while i < stop and numbers[event[i]] != 1:
        i += np.uint64(1)
    return i


# Is it the best?


@without_refcounts
def check(columns, numbers, limits, block, n):
    """Set the reach of the first n chains to 0 where the chain found may not be the best, or is
    immature while an earlier entry may be mature.
    """
    time, event, offsets, _ = columns
    window, lo, hi, mature_until = limits
    steps = block.times.shape[1]
    end_of_rows = time.size - 1
    _read_times(time, block, n)
    for j in range(n):
        entered, second = block.times[j, 0], min(steps - 1, 1)
        # A neighbor outside of the user's rows does no harm: `_in_place` asks for the user's own.
        after = min(block.rows[j, second] + 1, end_of_rows)
        shared = time[np.uint64(after)] == block.times[j, second]
        for k in range(1, steps):
            before = max(block.rows[j, k] - 1, 0)
            shared |= time[np.uint64(before)] == block.times[j, k]
        fits = (lo <= entered) & (entered < hi) & (block.times[j, steps - 1] - entered <= window)
        if fits and shared:
            fits = _in_place(time, event, numbers, block, j, offsets[block.user[j] + 1])
        if entered > mature_until and block.reach[j] > 1:
            fits &= time[offsets[block.user[j]]] > mature_until
        block.reach[j] = block.reach[j] if fits else 0
        block.marks[j] = CHOSEN + MATURE if entered <= mature_until else CHOSEN
        block.group[j] = block.rows[j, 0]


@without_refcounts
def _read_times(time, block, n):
    # Nothing but loads: the processor has many of them under way at once.
    for j in range(n):
        for k in range(block.times.shape[1]):
            block.times[j, k] = time[np.uint64(block.rows[j, k])]


@without_refcounts
def _in_place(time, event, numbers, block, j, stop):
    """Is the chain certain whatever the order of the rows of one instant?

    An entry that leads nowhere is set to the last of its instant.
    """
    reach = block.reach[j]
    if reach == 1:
        block.rows[j, 0] = _last_of_instant(time, event, numbers, block.rows[j, 0], stop)
    for k in range(1, reach):
        if _may_change_places(time, event, numbers, block.rows[j, k], stop, k == 1):
            return False
    return True


@without_refcounts
def _last_of_instant(time, event, numbers, row, stop):
    """The last row of step 1 at the instant of a row of step 1."""
    last, i = row, row + 1
    while i < stop and time[i] == time[row]:
        if numbers[event[i]] == 1:
            last = i
        i += 1
    return last


@without_refcounts
def _may_change_places(time, event, numbers, row, stop, second):
    """Is there a row at the instant of this one of a chain with which it could change places?

    Before it, a row of any step; after it, where it does step 2, one that is an entry.
    """
    i = row - 1
    while i >= 0 and time[i] == time[row]:
        if numbers[event[i]] != 0:
            return True
        i -= 1
    i = row + 1
    while second and i < stop and time[i] == time[row]:
        if numbers[event[i]] == 1:
            return True
        i += 1
    return False


# The search, for users of whom one scan does not tell.


@without_refcounts
def _search(columns, numbers, limits, strict, block, n, room):
    """Find the chains for which one scan was not enough; how many the block has now."""
    time, event, offsets, _ = columns
    window, lo, hi, mature_until = limits
    latest, rows, step, own = room
    last = n
    for j in range(n):
        if block.reach[j]:
            continue
        u, place, kind, end = block.user[j], j, CHOSEN, hi
        m = _gather(event, numbers, offsets[u], offsets[u + 1], rows, step)
        while True:
            edges = (window, lo, end)
            reach, tied = _best_chain(latest, rows, step, m, time, edges, strict, own)
            block.user[place], block.reach[place], block.marks[place] = u, reach, 0
            if reach == 0:
                break
            for k in range(reach):
                block.rows[place, k], block.times[place, k] = own[k], time[own[k]]
            mature = time[own[0]] <= mature_until
            block.marks[place] = kind + (MATURE if mature else 0) + (TIED if tied else 0)
            block.group[place] = own[0]
            if kind == 0:
                # A user is in one group, that of the chain whose rate counts.
                block.group[j] = own[0]
            if mature or kind == 0 or time[rows[0]] > mature_until:
                break
            place, kind, end = last, np.uint8(0), min(hi, mature_until + 1)
            last += 1
    return last


@without_refcounts
def _gather(event, numbers, start, stop, rows, found):
    """Write the rows that match a step, and which step; how many there are."""
    m = 0
    # No branch: whether a row matters is as good as random.
    for i in range(start, stop):
        step = numbers[event[i]]
        rows[m] = i
        found[m] = step
        m += step != 0
    return m


@without_refcounts
def _best_chain(latest, rows, step, m, time, edges, strict, own):
    """The best chain: (reach, does it depend on a tie). Fills `own[:reach]` with its rows."""
    reach, end = _furthest(latest, rows, step, m, time, edges, strict)
    if reach == 0:
        return 0, False
    window, lo, hi = edges
    r = m - 1
    if reach == 1:
        # Of several entries at one instant the last to arrive counts.
        while time[rows[r]] != end or step[r] != 1:
            r -= 1
        own[0] = rows[r]
        return 1, False
    near = (window, max(lo, end - window), hi)
    _step_rows(rows, step, m, time, near, strict, reach, own)
    second = time[own[1]]
    while (
        step[r] != 1
        or time[rows[r]] > second
        or time[rows[r]] >= hi
        or (strict and time[rows[r]] == second)
    ):
        r -= 1
    own[0] = rows[r]
    tied = False
    for k in range(1, reach):
        if time[own[k]] == time[own[k - 1]]:
            far, _ = _furthest(latest, rows, step, m, time, edges, True)
            tied = far < reach
            break
    return reach, tied


@without_refcounts
def _furthest(latest, rows, step, m, time, edges, strict):
    """The furthest step that any chain of these rows reaches, and the first instant of that.

    `rows[:m]` are row numbers in order, `step[:m]` their steps from 1; `edges` is
    (window, lo, hi): entries are in [lo, hi). `latest` is room for an int64 per step and one.
    """
    window, lo, hi = edges
    latest[:] = NEVER
    steps = latest.size - 1
    best = 0
    end = NEVER
    r = np.int64(0)
    while r < m and best < steps:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if stop == r + 1:
            k = step[r]
            if k == 1:
                if lo <= t < hi:
                    latest[1] = t
                    if best == 0:
                        best, end = 1, t
            elif latest[k - 1] >= t - window:
                latest[k] = latest[k - 1]
                if k > best:
                    best, end = np.int64(k), t
        else:
            union = _instant_steps(step, r, stop)
            for j in range(1, steps + 1):
                # Strict: later steps first, so that one instant never serves two steps.
                k = steps + 1 - j if strict else j
                if not (union >> np.uint64(k - 1)) & _ONE:
                    continue
                if k == 1:
                    if lo <= t < hi:
                        latest[1] = t
                        if best == 0:
                            best, end = 1, t
                elif latest[k - 1] >= t - window:
                    latest[k] = latest[k - 1]
                    if k > best:
                        best, end = k, t
        r = stop
    return best, end


@without_refcounts
def _instant_steps(step, first, last):
    """The steps found at one instant, as bits (step k is bit k − 1)."""
    union = np.uint64(0)
    for i in range(first, last):
        union |= _ONE << np.uint64(step[i] - 1)
    return union


@without_refcounts
def _step_rows(rows, step, m, time, edges, strict, reach, own):
    """The row of each step, at its earliest time: each step's first at or after the one before."""
    _, lo, hi = edges
    done = 0
    r = np.int64(0)
    while r < m and done < reach:
        t = time[rows[r]]
        stop = r + 1
        while stop < m and time[rows[stop]] == t:
            stop += 1
        if t >= lo:
            union = _instant_steps(step, r, stop)
            while done < reach and (union >> np.uint64(done)) & _ONE and (done or t < hi):
                row = r
                while step[row] != done + 1:
                    row += 1
                own[done] = rows[row]
                done += 1
                if strict:
                    break
        r = stop
