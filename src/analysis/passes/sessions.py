"""Cutting a user's rows into sessions."""

from __future__ import annotations

import numba as nb
import numpy as np


@nb.njit(cache=True, nogil=True)
def by_inactivity(time, offsets, gap):
    """Number each row's session within its user, from 0; a pause longer than `gap` starts one."""
    out = np.empty(time.size, np.int64)
    for u in range(offsets.size - 1):
        number = 0
        for i in range(offsets[u], offsets[u + 1]):
            if i > offsets[u] and time[i] - time[i - 1] > gap:
                number += 1
            out[i] = number
    return out
