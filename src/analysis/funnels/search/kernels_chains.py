"""The funnel's pass: the best sequential chain of every user.

What is kept while a user's rows go by is, for each step k, ``latest[k]``: the latest entry of any
chain that has reached k. A later entry leaves more of the window, so one number per step is
enough: an event of step k can extend a chain exactly if ``latest[k − 1]`` is still inside the
window. The first instant at which the furthest step is reached is the chain's end; a second look,
confined to entries inside the window before that end, gives the earliest time of every step, and
the entry is the latest one that leaves those times possible.

Few users need all that: `first_looks` tells the chain of nearly everybody from one look at the
events. Rows of one instant are taken together. Lenient ties let them count in any order, strict
ties let a chain use at most one row of an instant. No event matches two steps here: that, and
every other option of a funnel, is the business of `unit_chains`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.funnels.search import kernels_plain_chains as plain_chains
from analysis.funnels.search import plain as first_looks
from analysis.funnels.search.blocks import add, add_entries, new_sums
from analysis.funnels.search.kernels_chain_block import (
    CHOSEN,
    MATURE,
    TIED,
    USERS,
    new_block,
    new_list,
    resized,
    write,
)
from analysis.funnels.search.kernels_chain_state import FOREVER, has, inner, reader

MASK_BITS = 64


@inner
def _step_numbers(lut, steps):
    """The step of each event code, 0 for none."""
    numbers = np.zeros(lut.size, np.uint8)
    for code in range(lut.size):
        for k in range(1, steps + 1):
            if has(lut[code], k):
                numbers[code] = k
    return numbers


@reader
def _masks_are_exact(event, lut):
    """Does every bit of a user's mask stand for one event that the user has?"""
    names, most = lut.size - 1, 0
    for i in range(event.size):
        most = max(most, event[i])
    return names <= MASK_BITS and most < names


@reader
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


@reader
def _most(offsets, masks, wanted):
    """How many chains get beyond their entry at most, and how many rows the longest user has."""
    second = wanted[2] if wanted.size > 2 else np.uint64(0)
    beyond, longest = 0, 0
    for u in range(offsets.size - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
        beyond += ((masks[u] & wanted[1]) != 0) & ((masks[u] & second) != 0)
    return beyond, longest


@reader
def _search(columns, numbers, limits, strict, block, n, room):
    """Find the chains for which one look was not enough; how many the block has now."""
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
            reach, tied = plain_chains.choose(latest, rows, step, m, time, edges, strict, own)
            block.user[place], block.reach[place], block.marks[place] = u, reach, 0
            if reach == 0:
                break
            for k in range(reach):
                block.rows[place, k], block.times[place, k] = own[k], time[own[k]]
            mature = time[own[0]] <= mature_until
            block.marks[place] = kind + (MATURE if mature else 0) + (TIED if tied else 0)
            block.group[place] = own[0]
            if mature or kind == 0 or time[rows[0]] > mature_until:
                break
            place, kind, end = last, np.uint8(0), min(hi, mature_until + 1)
            last += 1
    return last


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
    grouping : see `chain_sums.Grouping`.
    keep : is the list of the chains wanted, too.

    Returns
    -------
    (sums, list), the list empty where it is not wanted. A user whose best chain is immature has a
    second one for the best mature chain, if there is one.
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
        n, counted = first_looks.look(columns, numbers, wanted, limits, users, ends, block)
        add_entries(sums, counted)
        first_looks.check(columns, numbers, limits, block, n)
        n = _search(columns, numbers, limits, strict, block, n, room)
        add(sums, block, n, grouping)
        if keep:
            kept = write(kept, block, n)
    return sums, resized(kept, kept.sizes[0], kept.sizes[1])
