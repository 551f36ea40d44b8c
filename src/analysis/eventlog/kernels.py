"""Compiled loops over the rows of a shard: sort, cut into sessions, count, hash.

Rows are sorted stably by user and time: rows of one instant keep the order of their arrival. Event
codes from `names` on are hidden rows; they count nowhere.

Hashes are the same on every machine and in every version: they decide to which shard a user
belongs, and make up the content fingerprint. Two independent 64-bit lanes are kept everywhere, so a
fingerprint has 128 bits. They find changes; they are not cryptographic and resist no adversary.
"""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.core.schema import MONEY_SCALE, US_PER_HOUR

MOST_VALUE = 1e15
"""Values from here on are not added: a float has no digits left for their millionths."""

REST_SCALE = 1e9
"""What is below a millionth adds up in parts of this size."""

TWO_32 = 2.0**32

ROUNDING = 2.0**-50
"""A product of a decimal number is off by less than this share of itself."""

_M1 = np.uint64(0x9E3779B97F4A7C15)
_M2 = np.uint64(0xBF58476D1CE4E5B9)
_M3 = np.uint64(0x94D049BB133111EB)
_LANE = np.uint64(0xD6E8FEB86659FD93)


# ── sorting and encoding ─────────────────────────────────────────────────────────────────────────


@nb.njit(cache=True, nogil=True)
def user_time_order(ranks, time, users):
    """The order of rows by (user, time, arrival), and where each user's rows start.

    A counting sort by user, then a merge sort only for the users whose rows did not arrive in
    the order of time: a log that was written as things happened is never compared.

    Parameters
    ----------
    ranks : int64 array, each row's user as a number from 0 to `users` − 1.
    time : int64 array, microseconds.

    Returns
    -------
    (order, offsets) : int64 arrays of length rows and users + 1.
    """
    rows = ranks.size
    offsets = np.zeros(users + 1, np.int64)
    for i in range(rows):
        offsets[ranks[i] + 1] += 1
    for u in range(users):
        offsets[u + 1] += offsets[u]
    place = offsets[:-1].copy()
    order = np.empty(rows, np.int64)
    for i in range(rows):
        u = ranks[i]
        order[place[u]] = i
        place[u] += 1
    for u in range(users):
        start, stop = offsets[u], offsets[u + 1]
        for i in range(start + 1, stop):
            if time[order[i]] < time[order[i - 1]]:
                own = order[start:stop].copy()
                order[start:stop] = own[np.argsort(time[own], kind="mergesort")]
                break
    return order, offsets


@nb.njit(cache=True, nogil=True)
def event_masks(event, offsets):
    """Per user a 64-bit set of the events they have: bit ``code % 64``."""
    users = offsets.size - 1
    masks = np.zeros(users, np.uint64)
    for u in range(users):
        mask = np.uint64(0)
        for i in range(offsets[u], offsets[u + 1]):
            mask |= np.uint64(1) << np.uint64(event[i] & 63)
        masks[u] = mask
    return masks


@nb.njit(cache=True, nogil=True)
def part_order(part, parts):
    """The order of rows by their part, stably, and how many rows each part has.

    Parameters
    ----------
    part : int64 array, each row's part as a number from 0 to `parts` − 1.

    Returns
    -------
    (order, counts) : int64 arrays of length rows and parts.
    """
    counts = np.zeros(parts, np.int64)
    for i in range(part.size):
        counts[part[i]] += 1
    place = np.zeros(parts, np.int64)
    for p in range(1, parts):
        place[p] = place[p - 1] + counts[p - 1]
    order = np.empty(part.size, np.int64)
    for i in range(part.size):
        order[place[part[i]]] = i
        place[part[i]] += 1
    return order, counts


@nb.njit(cache=True, nogil=True)
def part_entries(codes, order, counts, before, values):
    """Number the distinct values of each part in the order in which they first appear there.

    Parameters
    ----------
    codes : int32 array, each row's value as a number from 0 to `values` − 1, or −1.
    order, counts : as `part_order` returns them.
    before : int64 array, how many numbers each part has given already.

    Returns
    -------
    (entry, first, found) : each ordered row's number within its part (int32; −1 where it has no
    value), the values that got one, part by part (int64), and how many of them each part has.
    """
    part_of_value = np.full(values, -1, np.int64)
    number = np.empty(values, np.int32)
    entry = np.empty(order.size, np.int32)
    first = np.empty(order.size, np.int64)
    found = np.zeros(counts.size, np.int64)
    start, total = 0, 0
    for p in range(counts.size):
        for i in range(start, start + counts[p]):
            code = codes[order[i]]
            entry[i] = -1
            if code >= 0:
                if part_of_value[code] != p:
                    part_of_value[code] = p
                    number[code] = before[p] + found[p]
                    first[total] = code
                    total += 1
                    found[p] += 1
                entry[i] = number[code]
        start += counts[p]
    return entry, first[:total], found


@nb.njit(cache=True, nogil=True)
def eight_bytes(data, offsets, skip):
    """Eight bytes of each string of an Arrow string array, from byte `skip` on, as a number.

    Numbers (uint64) are ordered as the bytes are; strings that end sooner are filled with zeros.
    """
    words = np.zeros(offsets.size - 1, np.uint64)
    for i in range(words.size):
        start = offsets[i] + skip
        for j in range(start, min(start + 8, offsets[i + 1])):
            words[i] |= np.uint64(data[j]) << np.uint64(56 - 8 * (j - start))
    return words


@nb.njit(cache=True, nogil=True)
def mark(codes, used):
    """Set `used` at every code; code −1 is its last element."""
    for i in range(codes.size):
        used[codes[i]] = True


@nb.njit(cache=True, nogil=True)
def taken(lookup, codes, order):
    """`lookup` at the code of every row in an order; code −1 is its last element."""
    out = np.empty(order.size, lookup.dtype)
    for i in range(order.size):
        out[i] = lookup[codes[order[i]]]
    return out


# ── sessions ─────────────────────────────────────────────────────────────────────────────────────


@nb.njit(cache=True, nogil=True)
def by_rules(time, event, offsets, names, gap, days, campaigns):
    """Number each row's session within its user, from 0, by pauses, days and campaigns.

    A session ends with a pause longer than `gap`, at the first instant of a day, and where a row
    names another campaign than the last one named in the session. Hidden rows have no say.

    Parameters
    ----------
    days : int64 array, instants at which a day starts, ascending; empty: days do not matter.
    campaigns : a code per row, −1 is missing; empty: campaigns do not matter.

    Returns
    -------
    int64 array; a hidden row has the number of the shown row before it, or 0.
    """
    out = np.empty(time.size, np.int64)
    for u in range(offsets.size - 1):
        number = 0
        before = np.int64(-1)
        day = np.int64(0)
        campaign = np.int64(-1)
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names:
                out[i] = number
                continue
            named = np.int64(campaigns[i]) if campaigns.size else np.int64(-1)
            if before < 0:
                day = np.searchsorted(days, time[i], "right")
            else:
                cut = time[i] - time[before] > gap
                if day < days.size and time[i] >= days[day]:
                    day = np.searchsorted(days, time[i], "right")
                    cut = True
                if campaign >= 0 and named >= 0 and named != campaign:
                    cut = True
                if cut:
                    number += 1
                    campaign = np.int64(-1)
            if named >= 0:
                campaign = named
            before = i
            out[i] = number
    return out


@nb.njit(cache=True, nogil=True)
def by_first_seen(visits, offsets, size):
    """Number the visits of each unit, from 0, in the order of their first row.

    Parameters
    ----------
    visits : int64 array, below `size`; −1 is missing and stays so. One visit may be seen in more
        than one unit, and has a number of its own in each.
    """
    out = np.empty(visits.size, np.int64)
    unit_of = np.full(size, -1, np.int64)
    number_of = np.empty(size, np.int64)
    for u in range(offsets.size - 1):
        known = 0
        for i in range(offsets[u], offsets[u + 1]):
            visit = visits[i]
            if visit < 0:
                out[i] = -1
                continue
            if unit_of[visit] != u:
                unit_of[visit] = u
                number_of[visit] = known
                known += 1
            out[i] = number_of[visit]
    return out


# ── counting ─────────────────────────────────────────────────────────────────────────────────────


@nb.njit(cache=True, nogil=True)
def per_event(time, event, offsets, names):
    """Rows, users, first and last instant of every event name of one shard.

    Returns
    -------
    int64 array of shape (names, 4): rows, users, first and last instant in microseconds.
    """
    out = np.zeros((names, 4), np.int64)
    out[:, 2] = np.iinfo(np.int64).max
    out[:, 3] = np.iinfo(np.int64).min
    seen = np.full(names, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            e = event[i]
            if e >= names:
                continue
            out[e, 0] += 1
            if seen[e] != u:
                seen[e] = u
                out[e, 1] += 1
            out[e, 2] = min(out[e, 2], time[i])
            out[e, 3] = max(out[e, 3], time[i])
    return out


@nb.njit(cache=True, nogil=True)
def users_and_sessions(event, session, offsets, names):
    """Users with a shown row, and distinct (user, session) pairs among shown rows.

    Sessions of one user may overlap (two devices at once), so a pair counts when it is first
    seen for its user, not when the code changes. Rows without a session are in none.
    """
    users = 0
    sessions = 0
    size = 0
    for i in range(session.size):
        size = max(size, session[i] + 1)
    seen = np.full(size, -1, np.int64)
    for u in range(offsets.size - 1):
        any_row = False
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names:
                continue
            any_row = True
            s = session[i]
            if s >= 0 and seen[s] != u:
                seen[s] = u
                sessions += 1
        users += any_row
    return users, sessions


@nb.njit(cache=True, nogil=True)
def add_value(sums, place, value):
    """Add a value to a row of `sums`, an int64 array as `money` returns it; NaN adds nothing."""
    if np.isnan(value):
        return
    if abs(value) >= MOST_VALUE:
        sums[place, 3] += 1
        return
    scaled = value * MONEY_SCALE
    whole = np.rint(scaled)
    high = np.floor(whole / TWO_32)
    sums[place, 0] += np.int64(high)
    sums[place, 1] += np.int64(whole - high * TWO_32)
    rest = scaled - whole
    # What is no more than the rounding of the product is none.
    if abs(rest) > abs(whole) * ROUNDING:
        sums[place, 2] += np.int64(np.rint(rest * REST_SCALE))
    if value != 0.0 and abs(scaled) < 1.0:
        sums[place, 4] += 1


@nb.njit(cache=True, nogil=True)
def money(codes, values, groups):
    """The exact sum of the values of each group; a code that is no group is left out.

    Returns
    -------
    int64 array (groups, 5): the sum in millionths as ``high · 2**32 + low``; what is left below a
        millionth, in ``1 / REST_SCALE`` of one; how many values are too large to add, or infinite;
        how many are smaller than a millionth, and not zero.
    """
    sums = np.zeros((groups, 5), np.int64)
    for i in range(codes.size):
        if 0 <= codes[i] < groups:
            add_value(sums, codes[i], values[i])
    return sums


@nb.njit(cache=True, nogil=True)
def per_hour(time, first, events, last):
    """Count the rows of each hour into `events`, and find the last instant of each.

    Parameters
    ----------
    first : the hour since 1970 of place 0; events, last : int64, one place per hour.
    """
    for i in range(time.size):
        hour = time[i] // US_PER_HOUR - first
        events[hour] += 1
        if time[i] > last[hour]:
            last[hour] = time[i]


# ── hashing ──────────────────────────────────────────────────────────────────────────────────────


@nb.njit(cache=True, nogil=True, inline="always")
def mix(x):
    """One round of splitmix64's finalizer: every input bit reaches every output bit."""
    x = (x ^ (x >> np.uint64(30))) * _M2
    x = (x ^ (x >> np.uint64(27))) * _M3
    return x ^ (x >> np.uint64(31))


@nb.njit(cache=True, nogil=True)
def hash_strings(data, offsets, seed):
    """Two 64-bit hashes of each string of an Arrow string array.

    Parameters
    ----------
    data : uint8 array, the bytes of all strings; offsets : int32 or int64 array, one more than
    there are strings; seed : uint64, tells columns apart.

    Returns
    -------
    uint64 array of shape (strings, 2).
    """
    n = offsets.size - 1
    out = np.empty((n, 2), np.uint64)
    for i in range(n):
        start = offsets[i]
        stop = offsets[i + 1]
        a = mix(seed + _M1)
        b = mix(seed + _LANE)
        word = np.uint64(0)
        filled = 0
        for j in range(start, stop):
            word |= np.uint64(data[j]) << np.uint64(8 * filled)
            filled += 1
            if filled == 8:
                a = mix((a ^ word) + _M1)
                b = mix((b ^ word) * _LANE + _M1)
                word = np.uint64(0)
                filled = 0
        length = np.uint64(stop - start)
        out[i, 0] = mix((a ^ word) + length * _M1)
        out[i, 1] = mix((b ^ word) * _LANE + length * _M1 + _M1)
    return out


@nb.njit(cache=True, nogil=True)
def add_coded_cells(rows, codes, value_hashes, missing):
    """Add to each row's hashes the hash of its coded cell; code −1 is a missing cell."""
    for i in range(rows.shape[0]):
        code = codes[i]
        if code < 0:
            rows[i, 0] += missing
            rows[i, 1] += missing * _LANE
        else:
            rows[i, 0] += value_hashes[code, 0]
            rows[i, 1] += value_hashes[code, 1]


@nb.njit(cache=True, nogil=True)
def add_word_cells(rows, words, seed):
    """Add to each row's hashes the hash of a cell held in 64 bits (a time, a number)."""
    for i in range(rows.shape[0]):
        rows[i, 0] += mix((words[i] ^ seed) * _M1 + _M2)
        rows[i, 1] += mix((words[i] ^ seed) * _LANE + _M3)


@nb.njit(cache=True, nogil=True)
def sum_user_hashes(rows, shown, offsets, user_hashes):
    """Sum over users of the hash of the user's sequence of rows: two uint64 that add up.

    Within a user the order of rows counts; between users it does not, so neither the number of
    shards nor the order of users changes the sum. Rows that `shown` hides do not take part, and
    a user with no shown row adds nothing.
    """
    low = np.uint64(0)
    high = np.uint64(0)
    for u in range(offsets.size - 1):
        a = user_hashes[u, 0]
        b = user_hashes[u, 1]
        any_row = False
        for i in range(offsets[u], offsets[u + 1]):
            if shown[i]:
                any_row = True
                a = mix(a * _M1 + mix(rows[i, 0]))
                b = mix(b * _LANE + mix(rows[i, 1]))
        if any_row:
            low += mix(a)
            high += mix(b)
    return low, high


@nb.njit(cache=True, nogil=True)
def sightings(time, event, offsets, names, middle):
    """Per user the first instant of all, and the first one from `middle` on.

    Events from `names` on are not shown. The largest int64 where there is none.
    """
    users = offsets.size - 1
    first = np.full(users, np.iinfo(np.int64).max)
    again = np.full(users, np.iinfo(np.int64).max)
    for u in range(users):
        low, high = offsets[u], offsets[u + 1]
        i = low
        while i < high and event[i] >= names:
            i += 1
        if i < high:
            first[u] = time[i]
        # A user's rows are in the order of time.
        end = high
        while i < end:
            half = (i + end) // 2
            if time[half] < middle:
                i = half + 1
            else:
                end = half
        while i < high and event[i] >= names:
            i += 1
        if i < high:
            again[u] = time[i]
    return first, again
