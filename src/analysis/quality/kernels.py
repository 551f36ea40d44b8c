"""What an audit counts: one plain loop per question over a shard's rows.

Every loop passes over hidden rows (codes from `names` on) and returns integers that add. Days are
numbered from 0 by their local midnights, so that a day is what people call a day; −1 is a row
that is hidden or outside of the days looked at.
"""

from __future__ import annotations

import numba as nb
import numpy as np

_MINUTE = 60_000_000
_HOUR = 3_600_000_000
_DAY = 86_400_000_000


@nb.njit(cache=True, nogil=True)
def per_utc_day(time, event, names, first, bins):
    """Rows per UTC day from the instant `first` on; what lies beyond counts in the end bins."""
    out = np.zeros(bins, np.int64)
    for i in range(time.size):
        if event[i] < names:
            out[min(max((time[i] - first) // _DAY, 0), bins - 1)] += 1
    return out


@nb.njit(cache=True, nogil=True)
def day_of(time, event, names, midnights):
    """The day of every row: int32, −1 where it is hidden or outside of the midnights."""
    out = np.full(time.size, -1, np.int32)
    last = midnights.size - 1
    d = 0
    for i in range(time.size):
        t = time[i]
        if event[i] >= names or t < midnights[0] or t >= midnights[last]:
            continue
        # Most rows are of the same day as the row before, and need no division.
        if midnights[d] <= t < midnights[d + 1]:
            out[i] = d
            continue
        d = min((t - midnights[0]) // _DAY, last - 1)
        # Days of 23 and 25 hours move the midnights by an hour at most.
        while t < midnights[d]:
            d -= 1
        while t >= midnights[d + 1]:
            d += 1
        out[i] = d
    return out


@nb.njit(cache=True, nogil=True)
def outside(time, event, offsets, names, low, high):
    """Rows before `low`, rows from `high` on, users with such a row, users with no other."""
    out = np.zeros(4, np.int64)
    for u in range(offsets.size - 1):
        rows = 0
        odd = 0
        for i in range(offsets[u], offsets[u + 1]):
            if event[i] >= names:
                continue
            rows += 1
            if time[i] < low:
                out[0] += 1
                odd += 1
            elif time[i] >= high:
                out[1] += 1
                odd += 1
        out[2] += odd > 0
        out[3] += odd > 0 and odd == rows
    return out


@nb.njit(cache=True, nogil=True)
def per_day(event, day, names, days):
    """Rows per event name and day: int64 of shape (names, days)."""
    out = np.zeros((names, days), np.int64)
    for i in range(event.size):
        if day[i] >= 0:
            out[event[i], day[i]] += 1
    return out


@nb.njit(cache=True, nogil=True)
def missing_codes(event, day, codes, names, days):
    """Rows whose text cell is missing, per event name and day: int64 (names, days)."""
    out = np.zeros((names, days), np.int64)
    for i in range(event.size):
        if codes[i] < 0 and day[i] >= 0:
            out[event[i], day[i]] += 1
    return out


@nb.njit(cache=True, nogil=True)
def by_value(event, day, codes, offsets, place, names, values, days):
    """Rows of each value of a text property per name and day, and rows without a value.

    `place` gives each code's value its place, from 0 to `values` (excluded).

    Returns
    -------
    (rows, people) : int64 of shape (values + 1, names, days) and (values + 1, days); the last
        entry is of missing cells. People count where the first row of their day is.
    """
    rows = np.zeros((values + 1, names, days), np.int64)
    people = np.zeros((values + 1, days), np.int64)
    for u in range(offsets.size - 1):
        last = -1
        for i in range(offsets[u], offsets[u + 1]):
            d = day[i]
            if d < 0:
                continue
            code = codes[i]
            v = place[code] if code >= 0 else values
            rows[v, event[i], d] += 1
            if d != last:
                last = d
                people[v, d] += 1
    return rows, people


@nb.njit(cache=True, nogil=True)
def missing_numbers(event, day, numbers, names, days):
    """Rows whose number is missing, per event name and day: int64 (names, days)."""
    out = np.zeros((names, days), np.int64)
    for i in range(event.size):
        if np.isnan(numbers[i]) and day[i] >= 0:
            out[event[i], day[i]] += 1
    return out


@nb.njit(cache=True, nogil=True)
def per_hour(time, day, midnights):
    """Rows per hour since local midnight: int64 (24,), and rows exactly at a midnight."""
    out = np.zeros(24, np.int64)
    sharp = 0
    hour = 0
    begin = 0
    end = 0
    for i in range(time.size):
        if day[i] < 0:
            continue
        t = time[i]
        since = t - midnights[day[i]]
        sharp += since == 0
        if since == 0 or not begin <= t < end:
            hour = since // _HOUR
            begin = t - since + hour * _HOUR
            end = min(begin + _HOUR, midnights[day[i] + 1])
        out[min(hour, 23)] += 1
    return out, sharp


@nb.njit(cache=True, nogil=True)
def entries(event, session, offsets, names, is_entry):
    """Sessions, and those among them that have an entry event."""
    sessions = 0
    entered = 0
    size = 0
    for i in range(session.size):
        size = max(size, session[i] + 1)
    seen = np.full(size, -1, np.int64)
    began = np.full(size, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            s = session[i]
            if event[i] >= names or s < 0:
                continue
            if seen[s] != u:
                seen[s] = u
                sessions += 1
            if is_entry[event[i]] and began[s] != u:
                began[s] = u
                entered += 1
    return sessions, entered


@nb.njit(cache=True, nogil=True)
def haste(time, event, day, offsets, midnights, per_minute, hours):
    """Users with more than `per_minute` rows in 60 s, or rows in `hours` hours of one day.

    Returns
    -------
    int64 (6,): users too fast, users awake too long, users who are either, their rows, the
        highest number of rows in 60 s, the highest number of hours of a day with a row.
    """
    out = np.zeros(6, np.int64)
    for u in range(offsets.size - 1):
        first, end = offsets[u], offsets[u + 1]
        rows = 0
        inside = 0
        tail = first
        fastest = 0
        longest = 0
        awake = 0
        last_day = -1
        hour_end = midnights[0]
        for i in range(first, end):
            if day[i] < 0:
                continue
            rows += 1
            inside += 1
            while time[i] - time[tail] >= _MINUTE:
                inside -= day[tail] >= 0
                tail += 1
            fastest = max(fastest, inside)
            if day[i] != last_day:
                awake = 0
                last_day = day[i]
                hour_end = midnights[day[i]]
            if time[i] >= hour_end:
                awake += 1
                hour_end += ((time[i] - hour_end) // _HOUR + 1) * _HOUR
            longest = max(longest, awake)
        fast = fastest > per_minute
        long = longest >= hours
        out[0] += fast
        out[1] += long
        out[2] += fast or long
        out[3] += rows if fast or long else 0
        out[4] = max(out[4], fastest)
        out[5] = max(out[5], longest)
    return out


@nb.njit(cache=True, nogil=True)
def shared_instants(time, event, offsets, names):
    """For each row the first row of its user and instant, or −1 where it is alone or hidden."""
    out = np.full(time.size, -1, np.int64)
    for u in range(offsets.size - 1):
        i = offsets[u]
        while i < offsets[u + 1]:
            end = i
            shown = 0
            while end < offsets[u + 1] and time[end] == time[i]:
                shown += event[end] < names
                end += 1
            if shown > 1:
                for r in range(i, end):
                    if event[r] < names:
                        out[r] = i
            i = end
    return out


@nb.njit(cache=True, nogil=True)
def repeats(time, event, offsets, names, gap):
    """For each row the user's row before of the same name, if 0 < pause ≤ `gap`, else −1."""
    out = np.full(time.size, -1, np.int64)
    last = np.full(names, -1, np.int64)
    for u in range(offsets.size - 1):
        for i in range(offsets[u], offsets[u + 1]):
            e = event[i]
            if e >= names:
                continue
            before = last[e]
            if before >= offsets[u] and 0 < time[i] - time[before] <= gap:
                out[i] = before
            last[e] = i
    return out


@nb.njit(cache=True, nogil=True)
def largest_ratios(levels, variances, starts, ends):
    """Of each series the largest logarithm of a likelihood ratio of its spans, if nothing wanders.

    It is half the square of a span's mean less that of the others, over its variance.
    """
    out = np.zeros(levels.shape[0])
    n = levels.shape[1]
    for s in range(levels.shape[0]):
        weight = np.zeros(n + 1)
        total = np.zeros(n + 1)
        for t in range(n):
            weight[t + 1] = weight[t] + 1 / variances[s, t]
            total[t + 1] = total[t] + levels[s, t] / variances[s, t]
        mean = total[n] / weight[n]
        for i in range(starts.size):
            mass = weight[ends[i]] - weight[starts[i]]
            off = total[ends[i]] - total[starts[i]] - mean * mass
            mass *= 1 - mass / weight[n]
            if mass > 0:
                out[s] = max(out[s], 0.5 * off * off / mass)
    return out


@nb.njit(cache=True, nogil=True)
def running_median(levels, window):
    """The median of `window` numbers around each, NaN left out; less at the ends; a row a series.

    Where all of them are NaN, so is the median.
    """
    out = np.full(levels.shape, np.nan)
    half = window // 2
    near = np.empty(window)
    for s in range(levels.shape[0]):
        for t in range(levels.shape[1]):
            many = 0
            for i in range(max(t - half, 0), min(t + half + 1, levels.shape[1])):
                if np.isnan(levels[s, i]):
                    continue
                place = many
                while place > 0 and near[place - 1] > levels[s, i]:
                    near[place] = near[place - 1]
                    place -= 1
                near[place] = levels[s, i]
                many += 1
            if many:
                out[s, t] = 0.5 * (near[many // 2] + near[(many - 1) // 2])
    return out


@nb.njit(cache=True, nogil=True)
def users_per_day(event, day, offsets, names, days):
    """Users per event name and day, and how the events of a name come together.

    Returns
    -------
    (users, squares) : int64 of shape (names + 1, days) and (names + 1,); the last entry is of any
        event. The squares are those of each user's number of events on each day, added up.
    """
    users = np.zeros((names + 1, days), np.int64)
    squares = np.zeros(names + 1, np.int64)
    last = np.full(names + 1, -1, np.int64)
    many = np.zeros(names + 1, np.int64)
    for u in range(offsets.size - 1):
        last[:] = -1
        for i in range(offsets[u], offsets[u + 1]):
            d = day[i]
            if d < 0:
                continue
            for e in (np.int64(event[i]), np.int64(names)):
                if last[e] != d:
                    last[e] = d
                    many[e] = 0
                    users[e, d] += 1
                # m squared is the sum of the first m odd numbers.
                many[e] += 1
                squares[e] += 2 * many[e] - 1
    return users, squares
