"""How a funnel's rate develops by the period in which units enter."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pandas.api.typing import NaTType

from analysis.core.schema import OTHER, instant_us, one_of, time_zone_of, timestamp
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_table import conversion_sizes, ratio
from analysis.funnels.spec import entry_range
from analysis.statistics.stats import wilson

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


EVERY_GROUP: Final = 2**31


_FREQUENCIES = {"D": "D", "W": "W-SUN", "M": "M", "day": "D", "week": "W-SUN", "month": "M"}


class _Counts(NamedTuple):
    """All entries, conversions and mature entries; how many independent entries the last are."""

    entered: int = 0
    k: int = 0
    n: int = 0
    size: float = 0.0


def trend(result: FunnelResult, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
    """How did the rate develop by period of entry?

    A unit counts once in each period that it enters, as if the funnel ran with ``entered=`` that
    period; where the funnel has an ``entered=`` of its own, entries outside it count nowhere.

    Parameters
    ----------
    freq : ``"D"``, ``"W"`` (weeks from Monday) or ``"M"``; or day, week, month.
    time_zone : whose midnights bound the periods.

    Returns
    -------
    A row per period and group, in every period the same groups: ``group``, ``start``, ``end``
    (UTC), ``entered`` (all entries), ``k``, ``n``, ``rate``, ``low``, ``high`` (mature entries;
    the limits as in the funnel's table), ``mature`` (every entry of the period can be).

    Raises
    ------
    UsageError
        If the frequency or the time zone is unknown.
    """
    one_of("trend: freq", freq, _FREQUENCIES)
    zone = time_zone_of(time_zone, "trend: time_zone")
    periods = _periods(result.log, _FREQUENCIES[freq], zone, result.parameters["entered"])
    counted = [_counted(result, period) for period in periods]
    names = dict.fromkeys([*result.sums.names, *itertools.chain(*counted)])
    rows = []
    for (start, end), counts in zip(periods, counted, strict=True):
        mature = instant_us(end) + result.window_us <= result.log.covers_until_us
        rows += [(name, start, end, *counts.get(name, _Counts()), mature) for name in names]
    columns = ["group", "start", "end", "entered", "k", "n", "size", "mature"]
    table = pd.DataFrame(rows, columns=columns)
    table[["start", "end"]] = table[["start", "end"]].apply(pd.to_datetime, utc=True)
    kinds = {"entered": np.int64, "k": np.int64, "n": np.int64, "size": float, "mature": bool}
    table = table.astype(kinds)
    k, n = table["k"].to_numpy(), table["n"].to_numpy()
    size = table.pop("size").to_numpy()
    table["rate"] = ratio(k, n)
    table["low"], table["high"] = wilson(k * np.nan_to_num(ratio(size, n)), size)
    return table[[*table.columns.drop("mature"), "mature"]]


def _counted(result: FunnelResult, period: tuple[pd.Timestamp, pd.Timestamp]) -> dict[Any, _Counts]:
    """The counts of a period, by the groups of the table."""
    own = result.ask(entered=period, top=EVERY_GROUP)
    last = own.question.conversion
    firsts, lasts = (own.table[own.table["step"] == step] for step in (1, last))
    numbers = zip(
        firsts["group"],
        firsts["count"],
        lasts["k"],
        firsts["k"],
        conversion_sizes(own),
        strict=True,
    )
    kept = result.sums.names
    counts: dict[Any, _Counts] = {}
    for name, *row in numbers:
        if any(row):
            shown = OTHER if OTHER in kept and name not in kept else name
            before = counts.get(shown, _Counts())
            counts[shown] = _Counts(*(a + b for a, b in zip(before, row, strict=True)))
    return counts


def _periods(
    log: EventLog, freq: str, zone: ZoneInfo, entered: tuple[Any, Any] | None
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The periods of the log's events, cut to the entries asked for; UTC."""
    start, end = log.start, log.end
    if isinstance(start, NaTType) or isinstance(end, NaTType):
        return []
    first, last = (t.tz_convert(zone).tz_localize(None).to_period(freq) for t in (start, end))
    low, high = entry_range(entered)
    # A midnight that the clocks skip is the next instant there is; one that comes twice, the first.
    bounds = [
        instant_us(p.start_time.tz_localize(zone, nonexistent="shift_forward", ambiguous=True))
        for p in pd.period_range(first, last + 1)
    ]
    cut = [(max(a, low), min(b, high)) for a, b in itertools.pairwise(bounds)]
    return [(timestamp(a), timestamp(b)) for a, b in cut if a < b]
