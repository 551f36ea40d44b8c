"""When a unit enters, and when it first did what, before it converted.

The pass of the exposure counts cells, and knows of every event only how often it was done. Two
questions want the instant: what a conversion was worth to those who had done something before it,
and which milestone was reached before something else. Before is what it is there: strictly before
the conversion, within the horizon, in what the log covers.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from analysis.correlation import kernels_exposure as passes
from analysis.correlation import kernels_firsts as firsts
from analysis.correlation.plan import ExposurePlan
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard

NEVER: Final = firsts.NEVER


def entry_rows(shard: Shard, *, log: EventLog, start: str | None) -> np.ndarray:
    """Per unit of a shard the row with which it enters, or −1: the first, or the first `start`."""
    if start is None:
        return passes.first_shown(shard.event, shard.offsets, len(log.event_names))
    rows = np.flatnonzero(shard.event == log.event_names.index(start))
    who = np.searchsorted(shard.offsets, rows, side="right") - 1
    out = np.full(len(shard.offsets) - 1, -1, np.int64)
    units, place = np.unique(who, return_index=True)
    out[units] = rows[place]
    return out


def first_times(
    shard: Shard,
    *,
    log: EventLog,
    plan: ExposurePlan,
    names: Sequence[str],
    rows: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """When each unit of a shard first did each event, while it was looked at and had not converted.

    Parameters
    ----------
    names : of events of the log. rows : per unit the row with which it enters, as of `entry_rows`,
        and that of its macro conversion; −1 is none.

    Returns
    -------
    int64 array (events, units) of microseconds, `NEVER` where it did not.
    """
    first, bought = rows
    entry = shard.time[np.maximum(first, 0)]
    end = np.minimum(entry + plan.horizon_us, log.covers_until_us)
    end = np.where(bought >= 0, np.minimum(end, shard.time[np.maximum(bought, 0)]), end)
    codes = [log.event_names.index(name) for name in names]
    # A code more, for rows that a view hides.
    place = np.full(len(log.event_names) + 1, -1, np.int64)
    place[codes] = np.arange(len(codes))
    bits = np.uint64(sum({1 << code % 64 for code in codes}))
    columns = (shard.time, shard.event, shard.offsets, shard.masks)
    return firsts.first_times(*columns, bits, first, end, place, len(codes))
