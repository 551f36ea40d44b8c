"""Who saw a value of a property, and did it then? One walk over each user's rows."""

from __future__ import annotations

import numba as nb
import numpy as np

from analysis.segments.kernels import EVER, first_at


@nb.njit(cache=True, nogil=True)
def led(time, event, offsets, value, size, shows, target, macro, window, bounds, first_only):
    """Of those who saw each value, how many did the target within the window after that?

    A user counts under a value from the first time it was seen in the period, and only if the
    target had not been done by then (nor at the same instant: it may be what showed the value).

    Parameters
    ----------
    value : codes below `size`, −1 where missing. shows : uint8 per event code (hidden rows have
        the last one): does a row of it show its value? target, macro : event codes.
    window : microseconds, its end included. bounds : int64, from when and until when (excluded) a
        value is seen, and where the log's knowledge ends.
    first_only : only the first value that a user has ever seen.

    Returns
    -------
    int64 array (size + 1, 4): users whose window is over, those of them with the target in it,
    those with the macro in it, and users whose window is not over. The last row is of people,
    from the first value they saw.
    """
    out = np.zeros((size + 1, 4), np.int64)
    seen = np.full(size + 1, -1, np.int64)
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
                break
    return out
