"""The funnel's pass: the best sequential chain of every user, in one look at their rows.

What is kept while a user's rows go by is, for each step k, ``latest[k]``: the latest entry of any
chain that has reached k. A later entry leaves more of the window, so one number per step is
enough: an event of step k can extend a chain exactly if ``latest[k − 1]`` is still inside the
window. The first instant at which the furthest step is reached is the chain's end; a second look,
confined to entries inside the window before that end, gives the earliest time of every step, and
the entry is the latest one that leaves those times possible.

Rows of one instant are taken together. Lenient ties let them count in any order, but one event
never serves two steps. Strict ties let a chain use at most one row of an instant.
`plain_chains` has the case in which no event matches two steps, `shared_chains` the other.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.passes import plain_chains, shared_chains
from analysis.passes.shared_chains import has

MATURE = np.uint8(1)
CHOSEN = np.uint8(2)


@nb.njit(cache=True, nogil=True)
def _first_entry(time, event, lut, start, stop, lo, hi):
    for i in range(start, stop):
        if has(lut[event[i]], 1) and lo <= time[i] < hi:
            return i
    return -1


@nb.njit(cache=True, nogil=True)
def _room(time, offsets, masks, wanted, mature_until):
    """How many chains there can be, and how many rows the longest user has."""
    room = 0
    longest = 0
    for u in range(offsets.size - 1):
        longest = max(longest, offsets[u + 1] - offsets[u])
        if masks[u] & wanted[1]:
            room += 1 if time[offsets[u + 1] - 1] <= mature_until else 2
    return room, longest


@nb.njit(cache=True, nogil=True)
def _step_numbers(lut, steps):
    """The step of each event code, 0 for none; for steps that share no event."""
    numbers = np.zeros(lut.size, np.uint8)
    for code in range(lut.size):
        for k in range(1, steps + 1):
            if has(lut[code], k):
                numbers[code] = k
    return numbers


@nb.njit(cache=True, nogil=True)
def _gather(event, table, start, stop, rows, found):
    """Write the rows that match a step, and what `table` says of them; how many there are."""
    m = 0
    # No branch: whether a row matters is as good as random.
    for i in range(start, stop):
        cell = table[event[i]]
        rows[m] = i
        found[m] = cell
        m += cell != 0
    return m


@nb.njit(cache=True, nogil=True)
def _workspace(steps, longest, shared):
    """Room that is used again for every user: see the parameters of `plain_chains.choose`."""
    some = longest if shared else 1
    matching = (
        np.empty(some, np.int64),
        np.empty(some, np.bool_),
        np.empty((steps + 2, 2), np.int64),
    )
    latest = np.empty(steps + 1, np.int64)
    rows = np.empty(longest + 1, np.int64)
    sets = np.empty(some + 1, np.uint64)
    step = np.empty(longest + 1, np.uint8)
    return latest, rows, sets, step, matching


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
    room, longest = _room(time, offsets, masks, wanted, mature_until)
    users, entries = np.empty(room, np.int64), np.empty(room, np.int64)
    reaches, tied = np.empty(room, np.int8), np.empty(room, np.bool_)
    kinds, times = np.empty(room, np.uint8), np.empty((room, steps), np.int64)
    latest, rows, sets, step, matching = _workspace(steps, longest, shared)
    own = np.empty(steps, np.int64)
    numbers = _step_numbers(lut, steps)
    out = 0
    detailed = 0
    for u in range(offsets.size - 1):
        if not masks[u] & wanted[1]:
            continue
        start, stop = offsets[u], offsets[u + 1]
        short = steps == 1 or not masks[u] & wanted[2]
        m = 0
        if not short:
            if shared:
                m = _gather(event, lut, start, stop, rows, sets)
            else:
                m = _gather(event, numbers, start, stop, rows, step)
        kind, end = CHOSEN, hi
        for _ in range(2):
            edges = (window, lo, end)
            reach, entry, tie = 0, -1, False
            if short:
                entry = _first_entry(time, event, lut, start, stop, lo, end)
                reach = 1 if entry >= 0 else 0
            elif shared:
                reach, entry, tie = shared_chains.choose(
                    latest, rows, sets, m, time, edges, strict, matching, own
                )
            else:
                reach, entry, tie = plain_chains.choose(
                    latest, rows, step, m, time, edges, strict, own
                )
            if reach == 0:
                break
            mature = time[entry] <= mature_until
            users[out], entries[out], reaches[out], tied[out] = u, entry, reach, tie
            kinds[out] = kind + MATURE if mature else kind
            if reach > 1:
                times[detailed, :reach] = own[:reach]
                detailed += 1
            out += 1
            if mature or time[start] > mature_until:
                break
            kind, end = np.uint8(0), min(hi, mature_until + 1)
    chains = users[:out], entries[:out], reaches[:out], tied[:out], kinds[:out]
    return (*chains, times[:detailed])
