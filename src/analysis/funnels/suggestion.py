"""Which funnel does this log suggest? The usual order of the milestones before the macro.

Of everybody who converted, the window before their *first* conversion is looked at: which
milestones they did in it, and in which order they first did them. Milestones that few of them did
are left out and named, and the most common order of the others is proposed. It describes those
who converted; what the others did, and where they are lost, is the question of the funnel itself.

What this module refuses to do: call an order the right one. Where two orders are nearly as
common it says so, and how many went the proposed way stands in the sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import UsageError, did_you_mean, duration_us, human_duration
from analysis.core.wording import count, listed, percent, share
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.funnels import figures_steps as suggested
from analysis.funnels import funnel_orders as orders
from analysis.funnels import funnel_suggest_words as words
from analysis.funnels.funnel_orders import MOST_COLUMNS, Before, Order
from analysis.funnels.funnel_suggest_words import ARROW

MOST = MOST_COLUMNS + 1


_NO_STEP = ("macro", "adverse", "control")


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
        said = f"Suggested funnel: {ARROW.join(labels)}."
        if len(labels) == 1:
            return said
        n = int(self.table["n"].iloc[0])
        within = f"in the {human_duration(self.window_us)} before"
        if len(self.orders):
            top = self.orders.iloc[0]
            said += (
                f" Of {count(top['n'])} converters who did all of these {within}, "
                f"{percent(top['rate'])} ({count(top['k'])}) first did them in this order "
                f"(95% interval {percent(top['low'])} to {percent(top['high'])})."
            )
        rare = self.table.iloc[:-1].sort_values("rate", kind="stable").iloc[0]
        return (
            f"{said} The step that fewest of the {count(n)} converters did is “{rare['label']}”: "
            f"{share(rare['k'], n, rare['rate'])}, "
            f"95% interval {percent(rare['low'])} to {percent(rare['high'])}."
        )

    def figure(self) -> Any:
        """A bar per step: how many converters did it, and how many after the step before."""
        return suggested.step_bars(self.table)


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
    catalog : its milestones are the candidates. Where it has none that the log knows, every
        event but the macro, adverse ones and controls is one, and a warning says so.
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
        If `macro` is no event of the log, or another argument is out of range.

    Notes
    -----
    A converter is a user with the macro; the order is that of the first occurrences inside the
    window before the first one. Among the converters who did every kept milestone the most common
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
    window_us = duration_us(window, "suggest: window")
    _check(most, least)
    goal = _macro(log, catalog, macro)
    given = {"macro": goal, "window": str(window), "most": most, "least": least}
    before = orders.users_before(log, goal, window_us)
    if not before.n:
        return _nothing(log, catalog, given, window_us)
    candidates, said = _considered(log, catalog, goal, before.users)
    often = [name for name in candidates if before.users[name] >= least * before.n]
    ranked = sorted(often, key=lambda name: -before.users[name])[: most - 1]
    kept = [name for name in candidates if name in ranked]
    lead = orders.leads(log, goal, kept, window_us)
    found = orders.common_orders(lead)
    order = list(found[0].columns if found else orders.by_median(lead))
    proposed = [kept[i] for i in order]
    left_out = _left_out([name for name in candidates if name not in kept], before)
    said += words.left_out_words(left_out, catalog, given)
    said += words.order_words(found, [catalog.label(name) for name in kept], before.n)
    said += words.cut_words(before, window_us)
    return SuggestResult(
        table=_table(proposed, goal, lead[:, order], catalog),
        parameters=given,
        warnings=(*said, *hindsight(log)),
        steps=(*proposed, goal),
        orders=_orders_table(found, kept),
        left_out=left_out,
        window_us=window_us,
    )


def _check(most: int, least: float) -> None:
    if not isinstance(most, int) or not 2 <= most <= MOST:
        raise UsageError(f"suggest: most={most!r}. Allowed: a whole number from 2 to {MOST}.")
    if isinstance(least, bool) or not isinstance(least, (int, float)) or not 0 < least <= 1:
        raise UsageError(
            f"suggest: least={least!r}. Allowed: a share above 0 and up to 1, such as 0.5."
        )


def _macro(log: EventLog, catalog: Catalog, macro: str | None) -> str:
    """The event that ends the funnel; one that was asked for by name must be known."""
    if macro is not None and macro not in log.event_names:
        raise UsageError(
            f"suggest: macro={macro!r} is no event of this log."
            f"{did_you_mean(macro, log.event_names)} {len(log.event_names)} events: log.summary()"
        )
    return catalog.macro if macro is None else macro


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


def _table(kept: Sequence[str], macro: str, lead: np.ndarray, catalog: Catalog) -> pd.DataFrame:
    numbers = orders.step_numbers(lead)
    whole = {"k": len(lead), "n": len(lead), "rate": 1.0, "low": 1.0, "high": 1.0}
    last = {"median_position": len(kept) + 1.0, "median_seconds_before": 0.0}
    table = pd.concat([numbers, pd.DataFrame([whole | last])], ignore_index=True)
    events = [*kept, macro]
    table.insert(0, "step", np.arange(1, len(events) + 1))
    table.insert(1, "event", events)
    table.insert(2, "label", [catalog.label(name) for name in events])
    return table


def _orders_table(found: Sequence[Order], kept: Sequence[str]) -> pd.DataFrame:
    named = [ARROW.join(kept[i] for i in order.columns) for order in found]
    ks = [order.k for order in found]
    return pd.concat(
        [pd.DataFrame({"order": named}, dtype="str"), orders.shares(ks, sum(ks))], axis=1
    )


def _left_out(names: Sequence[str], before: Before) -> pd.DataFrame:
    table = orders.shares([before.users[name] for name in names], before.n)
    table.insert(0, "event", pd.Series(list(names), dtype="str"))
    return table.sort_values("k", ascending=False, kind="stable", ignore_index=True)


def _nothing(
    log: EventLog, catalog: Catalog, given: dict[str, Any], window_us: int
) -> SuggestResult:
    goal = str(given["macro"])
    near = "" if goal in log.event_names else did_you_mean(goal, log.event_names)
    said = f"Nobody in this log did the macro {goal!r}.{near} log.summary() tells what they did."
    return SuggestResult(
        table=_table([], goal, np.empty((0, 0), np.int64), catalog).iloc[:0],
        parameters=given,
        warnings=(said, *hindsight(log)),
        steps=(),
        orders=_orders_table([], []),
        left_out=_left_out([], orders.Before(0, {}, 0)),
        window_us=window_us,
    )
