"""Tables about waits: the curve, its quantiles, the sessions of conversions, weeks of entry.

Every row has its n and its interval. Rates of the curve count everybody as far as they were
followed; rates of sessions and of weeks count only users whose whole horizon is over, so that
no quick user stands in for those who are still deciding.
"""

from __future__ import annotations

from typing import Any, Final
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from analysis.core.result import small, suppress
from analysis.core.schema import ALL, US_PER_DAY, US_PER_SECOND, instant_us, timestamp
from analysis.plotting.curves import axis_ticks
from analysis.statistics.rates import Interval, ratio, wilson
from analysis.statistics.survival import Steps, converters_quantile, points_at, quantile
from analysis.timing.waits import Waits

EVERYONE, CONVERTERS = "everyone", "converters"
START, FIRST_TOUCH = "start", "first_touch"
SHARES: Final = (0.25, 0.5, 0.75)
SESSIONS: Final = ("1", "2", "3", "4+")
FINEST: Final = 300
"""A step that is lower and nearer to the last one than a 300th is not drawn by any screen."""


def curve_table(
    waits: Waits, curves: list[Steps], horizon_us: int, *, min_cell: int
) -> pd.DataFrame:
    """The curve of each group at the instants at which it rises.

    Every row is exact; where there are more instants than a screen can show, some are left out.
    Between two rows lie no conversions or at least `min_cell`.
    """
    frames = []
    for group, steps in enumerate(curves):
        followed = np.sort(waits.followed_us[waits.members(group)])
        times = _chosen(steps, horizon_us, min_cell)
        points = points_at(steps, times)
        columns = {
            "elapsed_days": times / US_PER_DAY,
            "elapsed_seconds": times / US_PER_SECOND,
            "rate": points.rate,
            "low": points.low,
            "high": points.high,
            "at_risk": points.at_risk,
            "converted": points.converted.astype(float),
            "followed": steps.n - np.searchsorted(followed, times, "left"),
            "n": steps.n,
        }
        frames.append(pd.DataFrame({"group": named(waits.names[group], len(times)), **columns}))
    return pd.concat(frames, ignore_index=True)


def _chosen(steps: Steps, horizon_us: int, min_cell: int) -> np.ndarray:
    """The instants shown: the curve's end, the ticks of a figure, and where the curve rises."""
    counts = np.concatenate([[0], np.cumsum(steps.events)])
    end = horizon_us if steps.reach >= horizon_us else max(steps.reach, 0)
    ticks = [round(tick * US_PER_DAY) for tick in axis_ticks(horizon_us / US_PER_DAY)]
    wanted = [*reversed([tick for tick in ticks if tick < end]), *_rises(steps, counts, horizon_us)]
    if min_cell == 1:
        return np.unique([*wanted, end])
    kept, shown = [end], [0, int(counts[-1])]
    for time in wanted:
        count = int(counts[np.searchsorted(steps.times, time, "right")])
        if all(count == other or abs(count - other) >= min_cell for other in shown):
            kept.append(time)
            shown.append(count)
    return np.unique(kept)


def _rises(steps: Steps, counts: np.ndarray, horizon_us: int) -> list[int]:
    """Instants of conversions, each a 300th of all or of the horizon after the one before."""
    kept: list[int] = []
    rise, lap = max(counts[-1] // FINEST, 1), horizon_us // FINEST
    at = 0
    while at < len(steps.times):
        time = int(steps.times[at])
        kept.append(time)
        up = np.searchsorted(counts[1:], counts[at + 1] + rise, "left")
        along = np.searchsorted(steps.times, time + lap, "left")
        at = max(int(min(up, along)), at + 1)
    return kept


def named(name: Any, size: int) -> np.ndarray:
    """A column that repeats a group's name, which may be a tuple."""
    column = np.empty(size, object)
    column[:] = [name] * size
    return column


def quantile_rows(
    waits: Waits, curves: list[Steps], horizon_us: int, *, origin: str, min_cell: int = 1
) -> pd.DataFrame:
    """By when a quarter, half and three quarters had converted: of everyone, of converters.

    `origin` is where the wait begins. Where fewer than `min_cell` converted, converters have no
    times: these would be about few people.
    """
    rows = []
    for name, steps in zip(waits.names, curves, strict=True):
        k = int(steps.events.sum())
        few = bool(small(k, min_cell))
        for of in (CONVERTERS, EVERYONE):
            for share in SHARES:
                if of == EVERYONE:
                    found = quantile(steps, share)
                elif few:
                    found = Interval(np.nan, np.nan, np.nan)
                else:
                    found = converters_quantile(steps, share, horizon_us)
                days = [value / US_PER_DAY for value in found]
                rows.append((name, origin, of, share, *days, k, steps.n))
    columns = ["group", "origin", "of", "quantile", "days", "days_low", "days_high"]
    return pd.DataFrame(rows, columns=[*columns, "converted", "n"])


def session_rows(waits: Waits, horizon_us: int, *, min_cell: int = 1) -> pd.DataFrame:
    """In which session since the start do conversions come? Users whose horizon is over only.

    Conversions of unknown session are left out of ``k`` and ``n``.
    """
    counted = waits.within(horizon_us) & waits.mature(horizon_us) & (waits.sessions > 0)
    place = np.minimum(waits.sessions[counted], len(SESSIONS)) - 1
    cells = waits.groups[counted] * len(SESSIONS) + place
    size = len(waits.names)
    k = np.bincount(cells, minlength=size * len(SESSIONS))
    n = np.repeat(k.reshape(size, -1).sum(axis=1), len(SESSIONS))
    low, high = wilson(k, n)
    table = pd.DataFrame(
        {
            "group": np.concatenate([named(name, len(SESSIONS)) for name in waits.names]),
            "session": np.tile(SESSIONS, size),
            "k": k.astype(float),
            "n": n.astype(float),
            "rate": ratio(k, n),
            "low": low,
            "high": high,
        }
    )
    table, _ = suppress(
        table, min_cell=min_cell, counts=["n"], columns=["k", "rate", "low", "high"]
    )
    table.loc[small(table["n"], min_cell), "n"] = np.nan
    return table


def cohort_rows(
    waits: Waits, horizon_us: int, zone: ZoneInfo, *, min_cell: int = 1
) -> pd.DataFrame:
    """How did the users who entered in each week convert, and is that final?

    ``entered`` all, ``so_far`` of them converted within the horizon until now; ``k`` of the ``n``
    whose horizon is over (``rate, low, high``); ``mature`` where that is everybody.
    """
    bounds = _weeks(waits.entered_us, zone)
    if waits.bounds_us is not None:
        # A week that was asked for in part is as long as that part.
        bounds = np.unique(np.clip(bounds, *waits.bounds_us))
    week = np.searchsorted(bounds, waits.entered_us, "right") - 1
    size = max(len(bounds) - 1, 0)
    within, mature = waits.within(horizon_us), waits.mature(horizon_us)
    entered, so_far, n, k = (
        np.bincount(week[keep], minlength=size).astype(float)
        for keep in (np.full(len(week), True), within, mature, within & mature)
    )
    low, high = wilson(k, n)
    stamps = pd.to_datetime(bounds, unit="us", utc=True)
    table = pd.DataFrame({"group": [ALL] * size, "start": stamps[:size], "end": stamps[1:]})
    table = table.assign(entered=entered, so_far=so_far, k=k, n=n, rate=ratio(k, n))
    table = table.assign(low=low, high=high, mature=bounds[1:] + horizon_us <= waits.until_us)
    few = {name: small(table[name], min_cell) for name in ("entered", "n")}
    table.loc[few["entered"], ["entered", "so_far"]] = np.nan
    table.loc[few["entered"] | few["n"], ["k", "n", "rate", "low", "high"]] = np.nan
    return table


def _weeks(entered_us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Mondays, midnight in a place, around all entries; microseconds UTC."""
    if not len(entered_us):
        return np.empty(0, np.int64)
    ends = [timestamp(us) for us in (entered_us.min(), entered_us.max())]
    first, last = (t.tz_convert(zone).tz_localize(None).to_period("W-SUN") for t in ends)
    return np.array(
        [
            # A midnight that the clocks skip is the next instant there is.
            instant_us(p.start_time.tz_localize(zone, nonexistent="shift_forward", ambiguous=True))
            for p in pd.period_range(first, last + 1)
        ],
        np.int64,
    )
