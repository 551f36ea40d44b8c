"""In which order did converters first do things? The numbers behind a suggested funnel.

A converter is a user with the macro; what counts lies in a window before their first one. All of
it follows from one matrix, a row per converter and a column per event: how long before the macro
they first did it. Counts of shards add and their rows concatenate, and nothing here depends on
the order of the rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from pandas.api.typing import NaTType

from analysis.core.schema import US_PER_SECOND, instant_us
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnels import kernels as lookback
from analysis.statistics.stats import wilson

MOST_COLUMNS = 15
"""An order of so many events fits into one integer."""


class Before(NamedTuple):
    """How many converters there are, how many did each event before, whose look-back is cut."""

    n: int
    users: dict[str, int]
    cut: int


class Order(NamedTuple):
    """An order of the columns, and how many have it."""

    columns: tuple[int, ...]
    k: int


def users_before(log: EventLog, macro: str, window_us: int) -> Before:
    """How many converters did each event in the window before their first macro?"""
    names, start = log.event_names, log.start
    if macro not in names or isinstance(start, NaTType):
        return Before(0, dict.fromkeys(names, 0), 0)
    code, known_from = names.index(macro), instant_us(start)

    def counted(shard: Shard) -> np.ndarray:
        arrays = shard.time, shard.event, shard.offsets, shard.masks
        return lookback.users_before(*arrays, code, window_us, len(names), known_from)

    counts = sum(engine.over(log.shards, counted), np.zeros(len(names) + 1, np.int64))
    users = dict(zip(names, map(int, counts), strict=False))
    return Before(users[macro], users, int(counts[-1]))


def leads(log: EventLog, macro: str, events: Sequence[str], window_us: int) -> np.ndarray:
    """A row per converter, a column per event: microseconds to the macro, −1 if not done."""
    place = np.full(len(log.event_names) + 1, -1, np.int64)
    for column, name in enumerate(events):
        place[log.event_names.index(name)] = column
    code = log.event_names.index(macro)

    def measured(shard: Shard) -> np.ndarray:
        arrays = shard.time, shard.event, shard.offsets, shard.masks
        return lookback.leads(*arrays, code, window_us, place, len(events))

    return np.concatenate(engine.over(log.shards, measured))


def common_orders(lead: np.ndarray) -> list[Order]:
    """The orders of those who did everything, most common first.

    Events at one instant stand in the order of the columns; equally common orders in that of
    their column numbers.

    Examples
    --------
    >>> common_orders(np.array([[9, 5], [8, 8], [1, 2], [7, -1]]))
    [Order(columns=(0, 1), k=2), Order(columns=(1, 0), k=1)]
    """
    wide = lead.shape[1]
    if not 0 < wide <= MOST_COLUMNS:
        return []
    complete = lead[(lead >= 0).all(axis=1)]
    ranked = np.argsort(-complete, axis=1, kind="stable")
    weights = wide ** np.arange(wide - 1, -1, -1, dtype=np.int64)
    codes, k = np.unique(ranked @ weights, return_counts=True)
    columns = codes[:, None] // weights % wide
    common = np.argsort(-k, kind="stable")
    return [Order(tuple(map(int, columns[i])), int(k[i])) for i in common]


def by_median(lead: np.ndarray) -> tuple[int, ...]:
    """The columns by the median time before the macro, longest first."""
    middle = [np.median(own[own >= 0]) if (own >= 0).any() else -1.0 for own in lead.T]
    return tuple(int(i) for i in np.argsort(-np.array(middle), kind="stable"))


def shares(k: Sequence[int] | np.ndarray, n: Sequence[int] | np.ndarray | int) -> pd.DataFrame:
    """Counts as rates with Wilson intervals: ``k, n, rate, low, high``; NaN where n is 0."""
    hits, of = np.broadcast_arrays(np.asarray(k, np.int64), np.asarray(n, np.int64))
    rate = np.divide(hits, of, out=np.full(len(hits), np.nan), where=of > 0)
    low, high = wilson(hits, of)
    return pd.DataFrame({"k": hits, "n": of, "rate": rate, "low": low, "high": high})


def step_numbers(lead: np.ndarray) -> pd.DataFrame:
    """What is told of each step, for columns in their proposed order.

    Returns
    -------
    A row per column: ``k, n, rate, low, high`` (did it), ``median_position`` (from 1, among the
    columns that the converter did), ``median_seconds_before``, and ``k_after, n_after,
    after_rate, after_low, after_high``: of those who did it and the column before, how many did
    it after that or at the same instant; NaN at the first.
    """
    did = lead >= 0
    table = shares(did.sum(axis=0), len(lead))
    position, seconds = [], []
    for column in range(lead.shape[1]):
        own = lead[did[:, column]]
        earlier = (own > own[:, [column]]).sum(axis=1)
        position.append(float(np.median(earlier)) + 1 if len(own) else np.nan)
        seconds.append(np.median(own[:, column]) / US_PER_SECOND if len(own) else np.nan)
    table["median_position"], table["median_seconds_before"] = position, seconds
    both = did[:, 1:] & did[:, :-1]
    agree = both & (lead[:, 1:] <= lead[:, :-1])
    first = {name: [np.nan] for name in ("k", "n", "rate", "low", "high")}
    after = pd.concat([pd.DataFrame(first), shares(agree.sum(axis=0), both.sum(axis=0))])
    names = {"k": "k_after", "n": "n_after", "rate": "after_rate"}
    names |= {"low": "after_low", "high": "after_high"}
    after = after.rename(columns=names).reset_index(drop=True)
    return pd.concat([table, after.iloc[: len(table)]], axis=1)
