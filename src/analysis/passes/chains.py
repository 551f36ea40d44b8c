"""The funnel's pass: the best sequential chain of every user, in one look at their rows.

What is kept while a user's rows go by is, for each step k, ``latest[k]``: the latest entry of any
chain that has reached k. A later entry leaves more of the window, so one number per step is
enough: an event of step k can extend a chain exactly if ``latest[k − 1]`` is still inside the
window. The first instant at which the furthest step is reached is the chain's end; a second look,
confined to entries inside the window before that end, gives the earliest time of every step, and
the entry is the latest one that leaves those times possible.

Rows of one instant are taken together. Lenient ties let them count in any order, strict ties let
a chain use at most one row of an instant. No event matches two steps here: that, and every other
option of a funnel, is the business of `unit_chains`.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.passes import plain_chains
from analysis.passes.chain_state import has

MATURE = np.uint8(1)
CHOSEN = np.uint8(2)
NOT_DONE = np.iinfo(np.int64).min


@nb.njit(cache=True, nogil=True)
def _first_entry(time, event, numbers, start, stop, lo, hi):
    """The entry at the first instant that has one; of several the last to arrive."""
    found = -1
    for i in range(start, stop):
        if found >= 0 and time[i] != time[found]:
            break
        if numbers[event[i]] == 1 and lo <= time[i] < hi:
            found = i
    return found


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
    """The step of each event code, 0 for none."""
    numbers = np.zeros(lut.size, np.uint8)
    for code in range(lut.size):
        for k in range(1, steps + 1):
            if has(lut[code], k):
                numbers[code] = k
    return numbers


@nb.njit(cache=True, nogil=True)
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


@nb.njit(cache=True, nogil=True)
def best_chains(time, event, offsets, masks, lut, wanted, limits, strict):
    """The best chain of each user of a shard among all entries, and among mature ones.

    Parameters
    ----------
    time, event, offsets, masks : the shard's arrays.
    lut : uint64 per event code (and one for hidden rows); bit k − 1 says that the event
        matches step k. No event matches two.
    wanted : uint64 array, per step (from index 1) the bits that a user's mask must share.
    limits : (window, lo, hi, mature_until) in microseconds: entries are in [lo, hi) and mature
        up to `mature_until` included.
    strict : do ties have to wait.

    Returns
    -------
    users, entries, reach, tied, kind : one element per chain: index of the user, row of the
        entry, steps reached, whether that depends on a tie, and a sum of MATURE (the entry is
        mature) and CHOSEN (the best among all entries). A user whose best chain is immature has
        a second row for the best mature one, if there is one.
    times : int64 array (chains with reach ≥ 2, steps), in the same order; microseconds, NOT_DONE
        where the step is not reached.
    """
    window, lo, hi, mature_until = limits
    steps = wanted.size - 1
    room, longest = _room(time, offsets, masks, wanted, mature_until)
    users, entries = np.empty(room, np.int64), np.empty(room, np.int64)
    reaches, tied = np.empty(room, np.int8), np.empty(room, np.bool_)
    kinds, times = np.empty(room, np.uint8), np.empty((room, steps), np.int64)
    latest, own = np.empty(steps + 1, np.int64), np.empty(steps, np.int64)
    rows, step = np.empty(longest + 1, np.int64), np.empty(longest + 1, np.uint8)
    numbers = _step_numbers(lut, steps)
    out = 0
    detailed = 0
    for u in range(offsets.size - 1):
        if not masks[u] & wanted[1]:
            continue
        start, stop = offsets[u], offsets[u + 1]
        short = steps == 1 or not masks[u] & wanted[2]
        m = 0 if short else _gather(event, numbers, start, stop, rows, step)
        kind, end = CHOSEN, hi
        for _ in range(2):
            reach, entry, tie = 0, -1, False
            if short:
                entry = _first_entry(time, event, numbers, start, stop, lo, end)
                reach = 1 if entry >= 0 else 0
            else:
                reach, entry, tie = plain_chains.choose(
                    latest, rows, step, m, time, (window, lo, end), strict, own
                )
            if reach == 0:
                break
            mature = time[entry] <= mature_until
            users[out], entries[out], reaches[out], tied[out] = u, entry, reach, tie
            kinds[out] = kind + MATURE if mature else kind
            if reach > 1:
                times[detailed, :reach] = own[:reach]
                times[detailed, reach:] = NOT_DONE
                detailed += 1
            out += 1
            if mature or time[start] > mature_until:
                break
            kind, end = np.uint8(0), min(hi, mature_until + 1)
    chains = users[:out], entries[:out], reaches[:out], tied[:out], kinds[:out]
    return (*chains, times[:detailed])
