"""Which small actions were done by those who entered, and how many of these converted?

Everybody has the same time: the action counts if it was done in the period, before or after the
conversion, and the conversion if it came within the window. Counting only actions before the
conversion would give those who convert less time for them, and make every action look harmful.

What this module refuses to do: call a difference an effect. People who want to buy do more of
everything; whether an action makes them buy is a question that takes a control.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.period_bounds import Period, period_of
from analysis.core.result import Result
from analysis.core.schema import UsageError, human_duration, instant_us
from analysis.core.wording import count, listed, share
from analysis.eventlog import parallel as engine
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.funnels.chains import ShardChains
from analysis.funnels.figures_shares import micro_bars
from analysis.funnels.result import funnel
from analysis.statistics.stats import wilson

_ASSOCIATION = (
    "Small actions and conversions go together for many reasons; those who want to buy do more of "
    "everything. These rates compare people, they do not say what an action causes."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class MicroSharesResult(Result):
    """The answer of `micro_shares`.

    ``table`` has a row per action, most frequent first: ``event`` (its label), ``events`` (how
    often those who entered did it), ``k`` of ``n`` users did it (``rate, low, high``), ``macro_k``
    of these converted (``macro_rate, macro_low, macro_high``), and of all ``n`` users ``all_k``
    (``all_rate``). What is about few people is NaN.
    """

    period: Period
    window_us: int

    def sentence(self) -> str:
        """The action done by most, and how often those who did it converted."""
        known = self.table[self.table["rate"].notna() & (self.table["k"] > 0)]
        if not len(known):
            return f"None of these actions was done by enough users in {self.period.name}."
        top = known.iloc[0]
        said = (
            f"The small action that most did is “{top['event']}”: "
            f"{share(top['k'], top['n'], top['rate'])} of those who entered."
        )
        if pd.isna(top["macro_rate"]) or pd.isna(top["all_rate"]):
            return said
        these = share(top["macro_k"], top["k"], top["macro_rate"])
        everybody = share(top["all_k"], top["n"], top["all_rate"])
        within = f"within {human_duration(self.window_us)}"
        return f"{said} Of these, {these} converted {within}, of everybody {everybody}."

    def figure(self) -> Any:
        """Share and conversion rate of every action, with intervals."""
        return micro_bars(self.table)


def micro_shares(
    log: EventLog,
    catalog: Catalog,
    steps: Sequence[Any],
    *,
    period: tuple[Any, Any],
    window: Any = "7d",
    min_cell: int = 5,
    time_zone: str = "UTC",
) -> MicroSharesResult:
    """What did those who entered do besides, and how many of them converted?

    Parameters
    ----------
    catalog : its secondary events are the actions. steps, window : the funnel, as `funnel` takes
        it; to convert is to reach the last step.
    period : (start, end) of the entries and of the actions; naive instants are local times of
        `time_zone`.
    min_cell : counts of fewer users than this are hidden.

    Raises
    ------
    UsageError
        If an argument is unknown or out of range.

    Examples
    --------
    >>> rows = [(f"u{i}", "2026-01-05", "visit") for i in range(20)]
    >>> rows += [(f"u{i}", "2026-01-05", "video_start") for i in range(10)]
    >>> rows += [(f"u{i}", "2026-01-06", "buy") for i in range(4, 14)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video_start": {"role": "secondary"}}})
    >>> week = ("2026-01-05", "2026-01-12")
    >>> result = micro_shares(log, shop, ["visit", "buy"], period=week)
    >>> result.table[["event", "k", "n", "macro_k", "all_k"]].to_dict("records")
    [{'event': 'Video start', 'k': 10.0, 'n': 20.0, 'macro_k': 6.0, 'all_k': 10.0}]
    """
    if not isinstance(min_cell, int) or min_cell < 1:
        raise UsageError(f"micro_shares: min_cell={min_cell!r}. Allowed: a whole number from 1.")
    asked = period_of(period, time_zone, "micro_shares: period")
    entered = funnel(log, steps, window=window, entered=asked.bounds)
    names = [name for name in catalog.secondary if name in log.event_names]
    counting = partial(
        _counts,
        codes=[log.event_names.index(name) for name in names],
        bounds=(instant_us(asked.start), instant_us(asked.end)),
        last=len(entered.steps),
    )
    counts = sum(engine.over(entered.parts, counting), np.zeros((len(names), 3), np.int64))
    everybody = entered.table[["k"]].to_numpy()[[0, -1], 0]
    table = _table([catalog.label(name) for name in names], counts, everybody, min_cell)
    return MicroSharesResult(
        table=table,
        parameters={
            "steps": [step.plain() for step in entered.steps],
            "period": [str(asked.start), str(asked.end)],
            "window": str(window),
            "min_cell": min_cell,
            "time_zone": time_zone,
        },
        warnings=(
            *_warnings(catalog, names, table, min_cell),
            *hindsight(log, instant_us(asked.start)),
        ),
        period=asked,
        window_us=entered.window_us,
    )


def _counts(
    part: ShardChains, *, codes: list[int], bounds: tuple[int, int], last: int
) -> np.ndarray:
    """Per action: how often it was done, by how many who entered, by how many who converted."""
    shard, low, high = part.shard, *bounds
    people = np.zeros(len(shard.users), np.int8)
    people[part.users[part.mature]] = 1
    people[part.users[part.mature & (part.reach == last)]] = 2
    counts = np.zeros((len(codes), 3), np.int64)
    for i, code in enumerate(codes):
        rows = np.flatnonzero(shard.event == code)
        rows = rows[(shard.time[rows] >= low) & (shard.time[rows] < high)]
        who = np.searchsorted(shard.offsets, rows, side="right") - 1
        own = people[np.unique(who)]
        counts[i] = (people[who] > 0).sum(), (own > 0).sum(), (own == 2).sum()
    return counts


def _table(
    names: list[str], counts: np.ndarray, everybody: np.ndarray, min_cell: int
) -> pd.DataFrame:
    entered, converted = (_shown(np.array([float(v)]), min_cell)[0] for v in everybody)
    events = counts[:, 0].astype(float)
    k, macro_k = (_shown(counts[:, column].astype(float), min_cell) for column in (1, 2))
    # Few people, or none, who did it: then it is also not said how many of these converted.
    macro_k = np.where(np.isnan(k) | (k == 0), np.nan, macro_k)
    n = np.full(len(names), entered)
    table = pd.DataFrame({"event": names, "events": np.where(np.isnan(k), np.nan, events)})
    table[["k", "n"]] = np.column_stack([k, n])
    table[["rate", "low", "high"]] = _rates(k, n)
    table["macro_k"] = macro_k
    table[["macro_rate", "macro_low", "macro_high"]] = _rates(macro_k, k)
    table["all_k"] = converted
    table["all_rate"] = converted / entered if entered > 0 else np.nan
    order = table["k"].fillna(-1).to_numpy()
    return table.iloc[np.argsort(-order, kind="stable")].reset_index(drop=True)


def _shown(number: np.ndarray, min_cell: int) -> np.ndarray:
    return np.where((number > 0) & (number < min_cell), np.nan, number)


def _rates(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    known = ~np.isnan(k) & (n > 0)
    low, high = wilson(np.where(known, k, 0), np.where(known, n, 0))
    rate = np.divide(k, n, out=np.full(len(k), np.nan), where=known)
    return np.column_stack([rate, low, high])


def _warnings(catalog: Catalog, names: list[str], table: pd.DataFrame, min_cell: int) -> list[str]:
    said = [_ASSOCIATION]
    unseen = [catalog.label(name) for name in catalog.secondary if name not in names]
    if unseen:
        said.append(f"Never seen in the log: {listed(unseen)}.")
    few = int(table[["k"]].isna().sum().sum())
    if few:
        what = "action" if few == 1 else "actions"
        said.append(f"{count(few)} {what} done by fewer than {min_cell} users hidden.")
    return said
