"""Which funnel does this log suggest? The usual order of the milestones before the macro.

A converter is a user with the macro. What counts lies in the window before a converter's *first*
one: which milestones they did in it, and in which order they first did them. Milestones that few
did are left out and named, and the most common order of the others is proposed. It describes those
who converted; what the others did, and where they are lost, is the question of the funnel itself.

All of it follows from one matrix, a row per converter and a column per event: how long before the
macro they first did it. Counts of shards add up and their rows concatenate, and nothing depends on
the order of the rows.

What this module refuses to do: call an order the right one. Where two orders are nearly as
common it says so, and how many went the proposed way stands in the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from pandas.api.typing import NaTType

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import (
    US_PER_SECOND,
    UsageError,
    did_you_mean,
    duration_us,
    human_duration,
    instant_us,
)
from analysis.core.wording import count, listed, percent, share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.funnels import kernels
from analysis.funnels.figures_steps import step_bars
from analysis.statistics.rates import shares, wilson

MOST_COLUMNS = 15
"""An order of so many events fits into one integer."""

MOST = MOST_COLUMNS + 1
"""Up to how many steps are suggested, the macro included."""

FEW = 30
"""An order of fewer converters than this is said to rest on few."""

NEARLY = 0.8
"""From this share of the first on, a second order makes the first one ambiguous."""

ARROW = " → "

_NO_STEP = ("macro", "adverse", "control")

_NAMED = 8
"""Up to so many of the events that are left out are named."""


@dataclass(frozen=True, eq=False, kw_only=True)
class SuggestResult(Result):
    """The answer of `suggest`.

    ``table`` has a row per proposed step, the macro last: ``step, event, label``; ``k`` of ``n``
    converters did it in the window before (``rate, low, high``); ``median_position`` among the
    proposed milestones they did, from 1; ``median_seconds_before`` the macro; and of the
    ``n_after`` who did both it and the step before, ``k_after`` first did it after that step or
    at the same instant (``after_rate, after_low, after_high``; NaN at the first step and at the
    macro, which comes last by definition).

    Attributes
    ----------
    steps : event names in the proposed order, ready for ``funnel(log, steps)`` or a catalog.
    orders : the orders of those who did every proposed milestone, most common first: ``order``
        (names joined by arrows), ``k, n, rate, low, high``.
    left_out : events that were considered and are no step: ``event, k, n, rate, low, high``.
    window_us : the look-back in microseconds.
    """

    steps: tuple[str, ...]
    orders: pd.DataFrame
    left_out: pd.DataFrame
    window_us: int

    def sentence(self) -> str:
        """The proposed funnel, how many went this way, and the step that fewest did."""
        if not self.steps:
            return "There is no funnel to suggest: " + self.warnings[0]
        labels = list(self.table["label"])
        text = f"Suggested funnel: {ARROW.join(labels)}."
        if len(labels) == 1:
            return text
        n = int(self.table["n"].iloc[0])
        within = f"in the {human_duration(self.window_us)} before"
        if len(self.orders):
            top = self.orders.iloc[0]
            text += (
                f" Of {count(top['n'])} converters who did all of these {within}, "
                f"{percent(top['rate'])} ({count(top['k'])}) first did them in this order "
                f"(95% interval {percent(top['low'])} to {percent(top['high'])})."
            )
        rare = self.table.iloc[:-1].sort_values("rate", kind="stable").iloc[0]
        return (
            f"{text} The step that fewest of the {count(n)} converters did is “{rare['label']}”: "
            f"{share(rare['k'], n, rare['rate'])}, "
            f"95% interval {percent(rare['low'])} to {percent(rare['high'])}."
        )

    def figure(self) -> Any:
        """A bar per step: how many converters did it, and how many after the step before."""
        return step_bars(self.table)


def suggest(
    log: EventLog,
    catalog: Catalog,
    *,
    macro: str | None = None,
    window: Any = "7d",
    most: int = 6,
    least: float = 0.5,
) -> SuggestResult:
    """Which funnel fits this log: which milestones, in which order, come before the macro?

    Parameters
    ----------
    log : the events; see `analysis.core.checks`.
    catalog : its milestones are the candidates. Where the log knows none of them, every event
        but the macro, adverse ones and controls is one, and a warning says so.
    macro : the event that ends the funnel; default: the catalog's.
    window : how long before a user's first macro a milestone counts, both ends included.
    most : how many steps at most, the macro included; from 2 to 16. The milestones that most
        converters did are kept.
    least : milestones that a smaller share of the converters did are left out and named.

    Returns
    -------
    SuggestResult
        Without anybody who did the macro: no steps, an empty table, and a warning.

    Raises
    ------
    UsageError
        If `macro` is not an event of the log, or another argument is out of range.

    Notes
    -----
    A converter is a user with the macro. The order is that of the first occurrences inside the
    window before the first macro. Among the converters who did every kept milestone the most common
    order is proposed; milestones at the same instant stand in the order of the catalog. If nobody
    did all of them, the order is that of the median time before the macro. The order counts as
    ambiguous if the second one is at least 80 % as common, or if Wilson's interval of the first
    one's share of the two does not lie above one half. Intervals are Wilson's (1927); converters
    are taken as independent of each other.

    Examples
    --------
    >>> rows = [(f"u{i}", minute, event) for i in range(40)
    ...         for minute, event in enumerate(["view", "cart", "pay", "buy"])]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(
    ...     time=pd.Timestamp("2026-01-10") + pd.to_timedelta(frame.time, "min")))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "pay": {"role": "milestone"},
    ...     "cart": {"role": "milestone"}}})
    >>> suggest(log, shop).steps
    ('cart', 'pay', 'buy')
    """
    log, window_us = log.until_end(), duration_us(window, "suggest: window")
    _check_limits(most, least)
    if macro is not None:
        checks.event_name("suggest: macro", log, macro)
    goal = catalog.macro if macro is None else macro
    given = {"macro": goal, "window": str(window), "most": most, "least": least}
    before = users_before(log, goal, window_us)
    if not before.n:
        return _without_converters(log, catalog, given, window_us)
    candidates, text = _considered(log, catalog, goal, before.users)
    often = [name for name in candidates if before.users[name] >= least * before.n]
    ranked = sorted(often, key=lambda name: -before.users[name])[: most - 1]
    kept = [name for name in candidates if name in ranked]
    lead = leads(log, goal, kept, window_us)
    found = common_orders(lead)
    order = list(found[0].columns if found else by_median(lead))
    proposed = [kept[i] for i in order]
    left_out = _left_out([name for name in candidates if name not in kept], before)
    text += _left_out_warnings(left_out, catalog, given)
    text += _order_warnings(found, [catalog.label(name) for name in kept], before.n)
    text += _cut_warnings(before, window_us)
    return SuggestResult(
        table=_table(proposed, goal, lead[:, order], catalog),
        parameters=given,
        warnings=(*text, *look_ahead_warnings(log)),
        steps=(*proposed, goal),
        orders=_orders_table(found, kept),
        left_out=left_out,
        window_us=window_us,
    )


def _check_limits(most: int, least: float) -> None:
    if not isinstance(most, int) or not 2 <= most <= MOST:
        raise UsageError(f"suggest: most={most!r}. Allowed: a whole number from 2 to {MOST}.")
    if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 < least <= 1:
        raise UsageError(
            f"suggest: least={least!r}. Allowed: a share above 0 and up to 1, such as 0.5."
        )


class Before(NamedTuple):
    """How many converters did each event in the window before their first macro.

    ``n`` converters, ``users`` of them per event, and ``cut`` whose window begins before the log.
    """

    n: int
    users: dict[str, int]
    cut: int


def users_before(log: EventLog, macro: str, window_us: int) -> Before:
    """How many converters did each event in the window before their first macro?"""
    names, start = log.event_names, log.start
    if macro not in names or isinstance(start, NaTType):
        return Before(0, dict.fromkeys(names, 0), 0)
    code, known_from = names.index(macro), instant_us(start)

    def counted(shard: Shard) -> np.ndarray:
        arrays = shard.time, shard.event, shard.offsets, shard.masks
        return kernels.users_before(*arrays, code, window_us, len(names), known_from)

    counts = sum(parallel.map_shards(log.shards, counted), np.zeros(len(names) + 1, np.int64))
    users = dict(zip(names, map(int, counts), strict=False))
    return Before(users[macro], users, int(counts[-1]))


def _considered(
    log: EventLog, catalog: Catalog, macro: str, users: Mapping[str, int]
) -> tuple[list[str], list[str]]:
    """The candidates, in the order that breaks ties, and what is to be said about them."""
    planned = [name for name in catalog.milestones if name != macro]
    known = [name for name in planned if name in log.event_names]
    if known:
        unseen = [catalog.label(name) for name in planned if name not in known]
        return known, [f"Milestones never seen in the log: {listed(unseen)}."] if unseen else []
    refused = {macro, *(name for role in _NO_STEP for name in catalog.with_role(role))}
    others = [name for name in log.event_names if users[name] and name not in refused]
    others.sort(key=lambda name: -users[name])
    return others, [
        f"The catalog {catalog.name!r} names no milestone that this log has: every event that "
        "converters did before was considered. Give events the role 'milestone' to say which "
        "are steps."
    ]


def leads(log: EventLog, macro: str, events: Sequence[str], window_us: int) -> np.ndarray:
    """A row per converter, a column per event: microseconds to the macro, −1 if not done."""
    place = np.full(len(log.event_names) + 1, -1, np.int64)
    for column, name in enumerate(events):
        place[log.event_names.index(name)] = column
    code = log.event_names.index(macro)

    def measured(shard: Shard) -> np.ndarray:
        arrays = shard.time, shard.event, shard.offsets, shard.masks
        return kernels.leads(*arrays, code, window_us, place, len(events))

    return np.concatenate(parallel.map_shards(log.shards, measured))


class Order(NamedTuple):
    """An order of the columns, and how many have it."""

    columns: tuple[int, ...]
    k: int


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


def _left_out(names: Sequence[str], before: Before) -> pd.DataFrame:
    table = shares([before.users[name] for name in names], before.n)
    table.insert(0, "event", pd.Series(list(names), dtype="str"))
    return table.sort_values("k", ascending=False, kind="stable", ignore_index=True)


def _left_out_warnings(left: pd.DataFrame, catalog: Catalog, given: Mapping[str, Any]) -> list[str]:
    """Which events are left out, and why; of a long list the first ones."""
    least, most = given["least"], given["most"]
    few = left["rate"] < least
    notes = []
    for rows, why in (
        (left[few], f"done by fewer than {percent(least)} of the converters before"),
        (left[~few], f"more would be over {most} steps (most={most})"),
    ):
        named = [
            f"{catalog.label(event)} {share(k, n, rate)}"
            for event, k, n, rate in rows[["event", "k", "n", "rate"]].head(_NAMED).to_numpy()
        ]
        if len(rows) > _NAMED:
            named.append(f"{len(rows) - _NAMED} more")
        if named:
            notes.append(f"Left out, {why}: {listed(named)}.")
    return notes


def _order_warnings(found: Sequence[Order], labels: Sequence[str], n: int) -> list[str]:
    """Caveats of the order: nobody did everything, few did, or two orders are as common."""
    if not labels:
        return ["Too few people did any one event before they converted: only the macro is left."]
    if not found:
        return [
            f"None of the {count(n)} converters did all of {listed(list(labels))}: the order is "
            "that of the median time before the macro. Fewer steps (most=) may be clearer."
        ]
    notes = []
    did_all = sum(order.k for order in found)
    if did_all < FEW:
        notes.append(f"The order rests on {count(did_all)} of {count(n)} converters who did all.")
    if len(found) > 1:
        first, second = found[:2]
        low, _ = wilson(first.k, first.k + second.k)
        other = ARROW.join(labels[i] for i in second.columns)
        against = f"{count(second.k)} against {count(first.k)} of {count(did_all)} converters"
        if second.k >= NEARLY * first.k:
            notes.append(f"The order is ambiguous: {other} is nearly as common ({against}).")
        elif float(low) <= 0.5:
            notes.append(
                f"The order is ambiguous: too few converters to tell it from {other} ({against})."
            )
    return notes


def _cut_warnings(before: Before, window_us: int) -> list[str]:
    """How many converted so early that the log does not know their whole look-back."""
    if not before.cut:
        return []
    return [
        f"{share(before.cut, before.n, before.cut / before.n)} of the converters converted less "
        f"than {human_duration(window_us)} after the log begins: what they did before is not all "
        "seen, so the shares may be too low."
    ]


def _table(kept: Sequence[str], macro: str, lead: np.ndarray, catalog: Catalog) -> pd.DataFrame:
    numbers = step_numbers(lead)
    whole = {"k": len(lead), "n": len(lead), "rate": 1.0, "low": 1.0, "high": 1.0}
    last = {"median_position": len(kept) + 1.0, "median_seconds_before": 0.0}
    table = pd.concat([numbers, pd.DataFrame([whole | last])], ignore_index=True)
    events = [*kept, macro]
    table.insert(0, "step", np.arange(1, len(events) + 1))
    table.insert(1, "event", events)
    table.insert(2, "label", [catalog.label(name) for name in events])
    return table


def step_numbers(lead: np.ndarray) -> pd.DataFrame:
    """The numbers of each step, for columns in their proposed order.

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


def _orders_table(found: Sequence[Order], kept: Sequence[str]) -> pd.DataFrame:
    named = [ARROW.join(kept[i] for i in order.columns) for order in found]
    ks = [order.k for order in found]
    return pd.concat([pd.DataFrame({"order": named}, dtype="str"), shares(ks, sum(ks))], axis=1)


def _without_converters(
    log: EventLog, catalog: Catalog, given: dict[str, Any], window_us: int
) -> SuggestResult:
    goal = str(given["macro"])
    near = "" if goal in log.event_names else did_you_mean(goal, log.event_names)
    text = f"Nobody in this log did the macro {goal!r}.{near} log.summary() tells what they did."
    return SuggestResult(
        table=_table([], goal, np.empty((0, 0), np.int64), catalog).iloc[:0],
        parameters=given,
        warnings=(text, *look_ahead_warnings(log)),
        steps=(),
        orders=_orders_table([], []),
        left_out=_left_out([], Before(0, {}, 0)),
        window_us=window_us,
    )
