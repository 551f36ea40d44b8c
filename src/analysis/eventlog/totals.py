"""How often did it happen, by how many people, and what was it worth?

Plain counts of a period, whoever they are and whenever they came first: what the books show, and
so not what a funnel counts. Money adds up in millionths, so that no order of the rows changes it,
and is not added up over several currencies.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np

from analysis.core.schema import MISSING, MONEY_SCALE, VALUE, UsageError, instant_us
from analysis.eventlog import groups as breakdown
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard

CURRENCY = "currency"


_MOST = 2.0**62


class Totals(NamedTuple):
    """Counts of one event; what is about too few users to show is NaN.

    ``value`` is NaN too where the log has none, or has it in several currencies, which
    ``currency`` then lists; ``currency`` is None where the log does not say.
    """

    events: float
    users: float
    value: float
    currency: str | None


def totals(
    log: EventLog, event: str, *, period: tuple[Any, Any] | None = None, min_cell: int = 1
) -> Totals:
    """How often did an event happen in a period, by how many, worth how much?

    Parameters
    ----------
    event : its name; one that the log does not know has happened 0 times.
    period : (start, end) in instants, `end` excluded, naive ones are UTC; default: the whole log.
    min_cell : where fewer users did it, counts and value are NaN.

    Raises
    ------
    UsageError
        If the period ends before it starts.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 3),
    ...     "event": "purchase", "value": [10.0, 2.5, 7.5]}))
    >>> totals(log, "purchase")
    Totals(events=3, users=2, value=20.0, currency=None)
    """
    low, high = (-(2**62), 2**62) if period is None else map(instant_us, period)
    if high <= low:
        raise UsageError(f"totals: period={period!r} ends before it starts. Swap the two.")
    code = log.event_names.index(event) if event in log.event_names else -1
    find = partial(_rows, code=code, low=low, high=high)
    rows = engine.over(log.shards, find)
    users = sum(_users(shard, own) for shard, own in zip(log.shards, rows, strict=True))
    currencies = _currencies(log, rows)
    unit = ", ".join(currencies) or None
    if 0 < users < min_cell:
        return Totals(np.nan, np.nan, np.nan, unit)
    value = np.nan
    if log.kinds.get(VALUE) == "number" and len(currencies) < 2:
        value = _money([_values(s, own) for s, own in zip(log.shards, rows, strict=True)])
    return Totals(sum(map(len, rows)), users, value, unit)


def _rows(shard: Shard, *, code: int, low: int, high: int) -> np.ndarray:
    hits = np.flatnonzero(shard.event == code)
    time = shard.time[hits]
    return hits[(time >= low) & (time < high)]


def _users(shard: Shard, rows: np.ndarray) -> int:
    return len(np.unique(np.searchsorted(shard.offsets, rows, side="right")))


def _values(shard: Shard, rows: np.ndarray) -> np.ndarray:
    column = shard.columns[VALUE]
    assert isinstance(column, NumberColumn)
    numbers = column.numbers[rows]
    return np.rint(numbers[~np.isnan(numbers)] * MONEY_SCALE)


def _money(parts: list[np.ndarray]) -> float:
    # Beyond this size the integers would overflow, and the sum would mean nothing.
    if sum(float(np.abs(part).sum()) for part in parts) >= _MOST:
        return np.nan
    return sum(int(part.astype(np.int64).sum()) for part in parts) / MONEY_SCALE


def _currencies(log: EventLog, rows: list[np.ndarray]) -> list[str]:
    if log.kinds.get(CURRENCY) != "text" or not rows:
        return []
    groups = breakdown.groups_of(log.shards, rows, [CURRENCY])
    used = np.unique(np.concatenate(groups.codes))
    return sorted({str(groups.names[code]) for code in used} - {MISSING})
