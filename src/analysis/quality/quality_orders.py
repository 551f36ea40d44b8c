"""Do the orders have values and numbers that can be believed?

Values are judged on the logarithm, because orders spread by factors, and by median and median
absolute deviation, which a few wrong values cannot move. Currencies are judged each on its own.
"""

from __future__ import annotations

from functools import partial
from typing import NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.catalog import Catalog
from analysis.core.schema import MISSING, VALUE
from analysis.core.wording import count, percent, share
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn, string_hashes
from analysis.quality.quality_words import PASS, Finding, Limits, judged, not_applicable, verdict_of

ORDER_ID, CURRENCY = "order_id", "currency"


_TO_SIGMA = 1.4826


_LEAST_SIGMA = 0.1


_FEWEST = 20


class Orders(NamedTuple):
    """All rows of the events that pay: values (NaN is missing), two hashes of each order's
    number, whether it has one, and currencies. Sorted by value, so that shards do not show."""

    values: np.ndarray
    ids: np.ndarray
    currencies: np.ndarray


def orders_of(log: EventLog, catalog: Catalog) -> Orders:
    """The rows of all events that have the role macro."""
    codes = [i for i, name in enumerate(log.event_names) if name in catalog.with_role("macro")]
    parts = engine.over(log.shards, partial(_orders, codes=codes))
    values = np.concatenate([part.values for part in parts])
    ids = np.concatenate([part.ids for part in parts])
    currencies = np.concatenate([part.currencies for part in parts])
    order = np.lexsort((currencies.astype(str), values))
    return Orders(values[order], ids, currencies[order])


def _orders(shard: Shard, *, codes: list[int]) -> Orders:
    rows = np.flatnonzero(np.isin(shard.event, codes))
    value = shard.columns.get(VALUE)
    values = value.numbers[rows] if isinstance(value, NumberColumn) else np.full(len(rows), np.nan)
    number, unit = shard.columns.get(ORDER_ID), shard.columns.get(CURRENCY)
    ids: np.ndarray = np.empty((0, 2), np.uint64)
    if isinstance(number, TextColumn):
        own = number.codes[rows].astype(np.int64)
        own, where = np.unique(own[own >= 0], return_inverse=True)
        ids = string_hashes(number.values.take(pa.array(own)), ORDER_ID)[where]
    elif isinstance(number, NumberColumn):
        own_numbers = number.numbers[rows]
        words = (own_numbers[~np.isnan(own_numbers)] + 0.0).view(np.uint64)
        ids = np.stack([words, words], axis=1)
    currencies = np.full(len(rows), MISSING, object)
    if isinstance(unit, TextColumn):
        names = np.array([*unit.values.to_pylist(), MISSING], object)
        currencies = names[unit.codes[rows].astype(np.int64)]
    return Orders(values, ids, currencies)


def without_value(orders: Orders, log: EventLog, catalog: Catalog, limits: Limits) -> Finding:
    """Orders whose value is missing, zero or negative."""
    check, n = "orders without value", len(orders.values)
    if log.kinds.get(VALUE) != "number":
        return not_applicable(check, "The log has no property value that is a number.")
    if not n:
        return not_applicable(check, "There is no order in the log.")
    k = int(n - (orders.values > 0).sum())
    if k == n and catalog.currency is None:
        why = "No order has a value, and the catalog names no currency."
        return not_applicable(check, why)
    negative = int((orders.values < 0).sum())
    finding = f"{share(k, n, k / n)} of the orders have no value above zero."
    finding += f" {count(negative)} of them are negative." if negative else ""
    advice = "Map the column that holds the value; refunds are events of their own."
    return judged(check, limits.orders_without_value, k=k, n=n, finding=finding, advice=advice)


def order_ids(orders: Orders, log: EventLog, limits: Limits) -> Finding:
    """Orders that are there more than once, by their number."""
    check, n = "duplicate orders", len(orders.ids)
    if ORDER_ID not in log.kinds:
        return not_applicable(check, f"The log has no property {ORDER_ID}.")
    if not n:
        return not_applicable(check, f"No order of the log has an {ORDER_ID}.")
    k = n - len(np.unique(np.ascontiguousarray(orders.ids).view("u8,u8")))
    finding = f"{share(k, n, k / n)} of the orders with a number have one that was there before."
    finding = finding if k else f"Each of {count(n)} orders with a number has its own."
    advice = f'Import with [duplicates] purchase = ["{ORDER_ID}"], which keeps one event of each.'
    return judged(check, limits.duplicate_orders, k=k, n=n, finding=finding, advice=advice)


def outliers(orders: Orders, limits: Limits) -> tuple[Finding, pd.DataFrame]:
    """Orders of values so far from the others that they are mistakes or not people.

    Returns
    -------
    The finding, and a row per class of values: ``low, high`` (a factor of 10 ** 0.1 apart),
    ``count``, ``odd`` (how many of them are outliers).
    """
    usable = (orders.values > 0) & np.isfinite(orders.values)
    values, currencies = orders.values[usable], orders.currencies[usable]
    n = len(values)
    if n < _FEWEST:
        why = f"An unusual value takes {_FEWEST} usual ones; the log has {n} orders with a value."
        return not_applicable("revenue outliers", why), _histogram(values[:0], values[:0] > 0)
    level = np.log(values)
    z = np.zeros(n)
    for unit in np.unique(currencies.astype(str)):
        mine = currencies == unit
        middle = np.median(level[mine])
        scatter = _TO_SIGMA * np.median(np.abs(level[mine] - middle))
        z[mine] = (level[mine] - middle) / max(scatter, _LEAST_SIGMA)
    odd = np.abs(z) >= limits.outlier_z
    finding = f"None of {count(n)} orders has a value far from the others."
    money = float(values[odd].sum() / values.sum())
    if odd.any():
        ends = f"{values[odd].min():,.2f} to {values[odd].max():,.2f}"
        finding = (
            f"{share(odd.sum(), n, odd.mean())} of the orders ({ends}) are far from the median of "
            f"{np.median(values):,.2f}; they hold {percent(money)} of the revenue."
        )
    # The larger of two shares: one order may hold most of the revenue, or many hold little.
    value = max(money, float(odd.mean()))
    verdict = verdict_of(value, limits.outliers)
    advice = "Look at them: test orders, cents read as euros, or business customers?"
    numbers = (value, limits.outliers[0], int(odd.sum()), n)
    advice = "" if verdict == PASS else advice
    return Finding("revenue outliers", verdict, *numbers, finding, advice), _histogram(values, odd)


def _histogram(values: np.ndarray, odd: np.ndarray) -> pd.DataFrame:
    place = np.floor(10 * np.log10(values)).astype(np.int64)
    classes = np.arange(place.min(), place.max() + 1) if len(place) else np.arange(0)
    at = place - (classes[0] if len(classes) else 0)
    many = np.bincount(at, minlength=len(classes))
    strange = np.bincount(at[odd], minlength=len(classes))
    low, high = 10 ** (classes / 10), 10 ** ((classes + 1) / 10)
    return pd.DataFrame({"low": low, "high": high, "count": many, "odd": strange})
