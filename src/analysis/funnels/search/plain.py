"""The chain that takes what comes: for nearly every user it is the best one, found in one look.

Take the first entry, then the first event of step 2 after it, the first of step 3 after that, and
so on. No chain gets further, whatever the window, and none does its steps earlier. So if the last
entry before that second step leaves them all inside the window, this chain is the best there is.
Where the window is over, where events of one instant could change places, or where the entry is
out of bounds, it may not be: such users are left to `plain_chains`, which is right for all.

Users are looked at in blocks: first the events of all of them, without asking for an instant and
almost without a branch, then the instants of the rows that were found. So the processor waits for
many of them at once, and not for each user's in turn.
"""

from __future__ import annotations

import numpy as np

from analysis.funnels.search.kernels_chain_block import CHOSEN, MATURE
from analysis.funnels.search.kernels_chain_state import FOREVER, reader


@reader
def _first_entry(event, numbers, start, stop):
    """The first row of step 1, or `stop`."""
    i = start
    while i < stop and numbers[event[i]] != 1:
        i += np.uint64(1)
    return i


@reader
def _most_steps(mask, wanted):
    """How many of the first steps the events of a mask could do."""
    k = 1
    while k < wanted.size and (mask & wanted[k]) != 0:
        k += 1
    return np.uint64(k - 1)


@reader
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


@reader
def look(columns, numbers, wanted, limits, users, ends, block):
    """Look at the events of a block of users.

    Parameters
    ----------
    columns : (time, event, offsets, masks) of the shard.
    numbers : the step of each event code, 0 for none.
    wanted : per step (from index 1) the bits that a user's mask must share.
    limits : as `chains.best_chains` has them.
    users : (first, stop), numbers of users.
    ends : per user the instant of the last row: those that can get no further than an entry, and
        do nothing after the last mature instant, are only counted. Of size 0 where that is not
        enough.

    Returns
    -------
    Of how many users there is something to tell in the block, and how many were only counted.
    """
    time, event, offsets, masks = columns
    _, lo, hi, mature_until = limits
    bounded = lo > -FOREVER or hi < FOREVER
    second = wanted[2] if wanted.size > 2 else np.uint64(0)
    n, counted = 0, 0
    for u in range(*users):
        if not masks[u] & wanted[1]:
            continue
        if ends.size and not masks[u] & second and ends[u] <= mature_until:
            counted += 1
            continue
        if bounded and (time[offsets[u + 1] - 1] < lo or time[offsets[u]] >= hi):
            continue
        start, stop = np.uint64(offsets[u]), np.uint64(offsets[u + 1])
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


@reader
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


@reader
def _last_of_instant(time, event, numbers, row, stop):
    """The last row of step 1 at the instant of a row of step 1."""
    last, i = row, row + 1
    while i < stop and time[i] == time[row]:
        if numbers[event[i]] == 1:
            last = i
        i += 1
    return last


@reader
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


@reader
def _read_times(time, block, n):
    # Nothing but loads: the processor has many of them under way at once.
    for j in range(n):
        for k in range(block.times.shape[1]):
            block.times[j, k] = time[np.uint64(block.rows[j, k])]


@reader
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
        # A neighbor outside of the user's rows is asked for nothing: it is looked at closely.
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
