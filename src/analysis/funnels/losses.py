"""What do people who stop after a step do instead, who are they, and what would they be worth?

A unit stopped after a step if it did that step and none that comes later, in a chain whose whole
window the log covers. Its next event is the first one of any name after the step, within the
window that the chain had opened. Most do nothing more; that is a row like any other.

`value_lost` is an upper bound of what is worth looking at, step by step: the people that a group
loses against the best group, carried on at the group's own later rates, at the value of its own
conversions. Of several groups that are alike one is best by luck, so each rate is first drawn
toward the others, as far as they differ no more than by chance (`statistics.pooling`); equal groups
lose about nothing. The best group is the one whose rate is surely high and not the one whose rate
is highest, so that luck in a small group does not lead the table.

What this module refuses to do: call the next event a reason for stopping, or promise a gain.
Groups differ in who comes, so no group need be able to do as well as another; the table says where
the distance is worth most.
"""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.schema import (
    MISSING,
    OTHER,
    US_PER_SECOND,
    USER,
    VALUE,
    UsageError,
    did_you_mean,
)
from analysis.eventlog import filters, money, parallel
from analysis.eventlog import groups as log_groups
from analysis.eventlog.filters import Conditions
from analysis.eventlog.groups import CURRENCY
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.funnels.counts import nameless, previous_required, size_behind
from analysis.funnels.data import (
    NEVER,
    FunnelData,
    Located,
    first_not_before,
    group_codes,
    group_names,
    group_number,
    located,
    microseconds,
    next_required,
    required_steps,
    step_name,
    step_number,
)
from analysis.funnels.spec import ANY_EVENT, Step
from analysis.statistics.pooling import pooled
from analysis.statistics.rates import CONFIDENCE, effective_size, newcombe_from_limits, wilson

NOTHING = "(nothing more)"

_NEXT_COLUMNS = [
    "step",
    "after",
    "reached",
    "event",
    "k",
    "n",
    "share",
    "low",
    "high",
    "median_seconds",
]


def units(
    result: FunnelData, step: int | str, *, converted: bool = False, group: Any = None
) -> pd.DataFrame:
    """Which units stopped after a step, or went on from it?

    Parameters
    ----------
    step : number or name of a step before the last required one.
    converted : False: units that did the step and no later one. True: units that did it and the
        next required step too. Those that did a later optional step and not the required one are
        in neither.
    group : one group of the breakdown; default: all of them.

    Returns
    -------
    Their rows of ``result.mature_attempts``, with its columns.

    Raises
    ------
    UsageError
        If the step or the group is unknown, or the step is the last.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 3)}), covers_until="2026-02-01")
    >>> result = funnel(log, ["cart", "purchase"])
    >>> list(units(result, "cart")["unit"]), list(units(result, 1, converted=True)["unit"])
    (['bob'], ['ann'])
    """
    k = _step_before_last(result, step, "units")
    attempts = _mature_attempts(result, group, "units")
    if converted:
        went_on = attempts[f"step_{next_required(result, k)}"].notna()
        return attempts[went_on & attempts[f"step_{k}"].notna()].reset_index(drop=True)
    return attempts[attempts["reach"] == k].reset_index(drop=True)


def next_events(
    result: FunnelData, step: int | str, *, top: int = 10, group: Any = None
) -> pd.DataFrame:
    """What did people who stopped after a step do next?

    Parameters
    ----------
    step : number or name of a step before the last required one.
    top : how many events to name; the others become ``"(other)"``.
    group : one group of the breakdown; default: all of them.

    Returns
    -------
    A row per event, most frequent first, then ``"(other)"`` where there are more, and
    ``"(nothing more)"``: ``step, after`` (the step's name), ``reached`` (mature chains that did
    the step), ``event``, ``k`` of ``n`` chains that stopped there did it next, ``share`` with
    Wilson limits ``low, high`` (by user, where a user can be several units), and
    ``median_seconds`` from the step to it. Next is the user's first event of any name at a later
    instant than the step's and within the window; events at the same instant have no order.

    Raises
    ------
    UsageError
        If the step or the group is unknown, the step is the last, or `top` is not positive.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "help", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}),
    ...     covers_until="2026-02-01")
    >>> found = next_events(funnel(log, ["cart", "cart"]), 1)
    >>> found[["event", "k", "n", "share", "median_seconds"]]
                event  k  n  share  median_seconds
    0            help  1  2    0.5           300.0
    1  (nothing more)  1  2    0.5             NaN
    """
    k = _step_before_last(result, step, "next_events")
    attempts = _mature_attempts(result, group, "next_events")
    return _next_tables(result, attempts, [k], top, "next_events")


def drop_offs(result: FunnelData, *, top: int = 5, group: Any = None) -> pd.DataFrame:
    """How many stopped after each step, and what did they do next?

    Parameters
    ----------
    top, group : as `next_events` takes them.

    Returns
    -------
    The rows of `next_events` of every step before the last required one, in order; a funnel of
    one step has none.

    Raises
    ------
    UsageError
        If the group is unknown, or `top` is not positive.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["visit", "cart", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-01"])}),
    ...     covers_until="2026-02-01")
    >>> drop_offs(funnel(log, ["visit", "cart", "cart"]))[["after", "reached", "event", "k", "n"]]
       after  reached           event  k  n
    0  visit        2  (nothing more)  1  1
    1   cart        1  (nothing more)  1  1
    """
    steps = list(range(1, max(required_steps(result))))
    attempts = _mature_attempts(result, group, "drop_offs")
    return _next_tables(result, attempts, steps, top, "drop_offs")


def _step_before_last(result: FunnelData, step: int | str, what: str) -> int:
    """The number of a step that one can stop after."""
    return step_number(result, step, what, range(1, max(required_steps(result))))


def _mature_attempts(result: FunnelData, group: Any, what: str) -> pd.DataFrame:
    """The mature attempts of a group, or of all groups of the table."""
    attempts = result.mature_attempts
    codes = group_codes(result, attempts)
    return attempts[codes >= 0 if group is None else codes == group_number(result, group, what)]


def _next_tables(
    result: FunnelData, attempts: pd.DataFrame, steps: list[int], top: int, what: str
) -> pd.DataFrame:
    """The rows of `next_events` for each of the steps."""
    checks.whole(f"{what}: top", top, least=1)
    stopped = attempts[attempts["reach"].isin(steps)]
    reach = stopped["reach"].to_numpy()
    codes, waits = _next_event(result, stopped, steps)
    # Units of one user are alike: their shares rest on fewer than there are.
    whose = stopped[USER if USER in stopped else "unit"]
    user = pd.factorize(whose)[0] if result.question.repeats_users else None
    parts = [pd.DataFrame(columns=_NEXT_COLUMNS)]
    for k in steps:
        own = reach == k
        rows = _ranked(codes[own], list(result.log.event_names), top)
        part = _next_shares(rows, waits[own], None if user is None else user[own])
        part = part.assign(step=k, after=step_name(result, k))
        part["reached"] = int(attempts[f"step_{k}"].notna().sum())
        parts.append(part[_NEXT_COLUMNS])
    return pd.concat(parts[1:], ignore_index=True) if steps else parts[0]


def _next_event(
    result: FunnelData, stopped: pd.DataFrame, steps: list[int]
) -> tuple[np.ndarray, np.ndarray]:
    """Each one's next event as its code, the number of names where there is none; and the wait."""
    log, reach = result.log, stopped["reach"].to_numpy()
    after = np.full(len(stopped), NEVER)
    for k in steps:
        after = np.where(reach == k, microseconds(stopped, f"step_{k}"), after)
    until = microseconds(stopped, "entered_at") + result.window_us
    codes = np.full(len(stopped), len(log.event_names), np.int64)
    waits = np.full(len(stopped), NEVER)

    def find(part: Located) -> None:
        own = part.rows
        found = _in_shard(log.shards[part.shard], part.users, after[own], until[own], codes[own])
        codes[own], waits[own] = found

    parallel.map_shards(located(log, stopped), find)
    return codes, waits


def _in_shard(
    shard: Shard, users: np.ndarray, after: np.ndarray, until: np.ndarray, nothing: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The next event of each user after an instant, and the wait; `nothing` where there is none."""
    end = shard.offsets[users + 1]
    row = first_not_before(shard.time, shard.offsets[users], end, after + 1)
    hidden = shard.event[np.minimum(row, shard.rows - 1)] == nothing
    if (hidden & (row < end)).any():
        shown = np.flatnonzero(shard.event != nothing[0])
        # Beyond the last row that is shown there is none.
        row = np.append(shown, shard.rows)[np.searchsorted(shown, row)]
    there = row < end
    time = shard.time[np.where(there, row, 0)]
    there &= time <= until
    code = np.where(there, shard.event[np.where(there, row, 0)], nothing)
    return code, np.where(there, time - after, NEVER)


def _ranked(codes: np.ndarray, names: list[str], top: int) -> list[tuple[str, np.ndarray]]:
    """The events, most frequent first, with a mask of those who did each next; then the others."""
    counts = np.bincount(codes, minlength=len(names) + 1)
    seen = [int(code) for code in np.flatnonzero(counts[:-1])]
    order = sorted(seen, key=lambda code: (-counts[code], names[code]))
    rows = [(names[code], codes == code) for code in order[:top]]
    if order[top:]:
        rows.append((OTHER, np.isin(codes, order[top:])))
    return [*rows, (NOTHING, codes == len(names))]


def _next_shares(
    rows: list[tuple[str, np.ndarray]], waits: np.ndarray, user: np.ndarray | None
) -> pd.DataFrame:
    """How many did each, their share with its limits, and the median wait."""
    table = pd.DataFrame({"event": [name for name, _ in rows], "n": len(waits)})
    table["k"] = [int(own.sum()) for _, own in rows]
    table["share"] = table["k"] / table["n"].where(table["n"] > 0)
    size = table["n"].to_numpy(float)
    if user is not None:
        each = np.bincount(user)
        size = np.array([effective_size(np.bincount(user, own), each) for _, own in rows])
    table["low"], table["high"] = wilson(table["share"].fillna(0) * size, size)
    table["median_seconds"] = [
        np.nan if n == NOTHING else _median_seconds(waits[own]) for n, own in rows
    ]
    return table


def _median_seconds(waits: np.ndarray) -> float:
    return float(np.median(waits)) / US_PER_SECOND if len(waits) else np.nan


_VALUE_COLUMNS = [
    "group",
    "step",
    "event",
    "n_previous",
    "step_rate",
    "pooled_rate",
    "best_group",
    "best_rate",
    "lost_units",
    "lost_units_low",
    "lost_units_high",
    "lost_conversions",
    "value_per_conversion",
    "value_of",
    "lost_value",
    "currency",
    "note",
]


def value_lost(
    result: FunnelData, *, value: str = VALUE, min_n: int = 100, min_conversions: int = 30
) -> pd.DataFrame:
    """What does each group lose at each step against the group that does best there?

    Parameters
    ----------
    value : the property of the converting event that holds its value; in a log without
        ``"value"`` only lost units and conversions are counted.
    min_n : with fewer at the step before, a group is not taken as the best.
    min_conversions : with fewer that have a value, a group's conversions get the mean of all
        groups.

    Returns
    -------
    A row per group and required step from the second on: ``group, step, event, n_previous,
    step_rate``; ``pooled_rate``, the same drawn toward those of the other groups as far as they
    differ by chance; ``best_group``, whose pooled rate has the highest lower limit among the groups
    of at least `min_n` (``"(other)"`` and ``"(missing)"`` are no groups to learn from), with its
    pooled rate as ``best_rate``; ``lost_units = n_previous · (best_rate − pooled_rate)`` with 95 %
    limits, negative where the group's own is higher; ``lost_conversions``, those units at the
    group's own rate from this step to the last; ``lost_value``, those conversions at
    ``value_per_conversion``, the mean of ``value_of`` (the group, or all groups), in
    ``currency`` (missing where the log does not say). What is undefined is NaN and ``note``
    says why.

    Raises
    ------
    UsageError
        If there is no breakdown, a property of that name holds no numbers, or a limit is not
        positive.

    Notes
    -----
    Rates are pooled as `analysis.statistics.pooling.pooled` says (Christiansen & Morris 1997,
    *JASA* 92:618). The limits are those of Newcombe's interval of the difference of the two step
    rates (1998, *Stat Med* 17:873) times ``n_previous``, at a confidence of 1 − 0.05 / (C − 1)
    for C groups that could be the best: so each covers with 95 % whichever of them luck makes the
    best (Bonferroni). They do not hold the chance in the later rates and the values.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> rows = [(f"u{i}", "cart", "mobile" if i < 200 else "desktop", None) for i in range(400)]
    >>> rows += [(f"u{i}", "purchase", "", 10.0) for i in (*range(50), *range(200, 300))]
    >>> log = EventLog.from_frame(
    ...     pd.DataFrame(rows, columns=["user", "event", "device", "value"]).assign(
    ...         time=pd.Timestamp("2026-01-01")), covers_until="2026-02-01")
    >>> lost = value_lost(funnel(log, ["cart", "purchase"], by="device"))
    >>> lost[["group", "step_rate", "best_group", "lost_units", "lost_value"]].round(
    ...     {"lost_units": 0, "lost_value": 0})
         group  step_rate best_group  lost_units  lost_value
    0  desktop       0.50    desktop         0.0         0.0
    1   mobile       0.25    desktop        44.0       442.0
    """
    checks.whole("value_lost: min_n", min_n, least=1)
    checks.whole("value_lost: min_conversions", min_conversions, least=1)
    if len(group_names(result)) < 2 and not result.parameters["by"]:
        raise UsageError(
            "value_lost: the funnel has no groups to compare. Ask for it with by='device' or "
            "another property."
        )
    _check_value(result, value)
    values = conversion_values(result, value)
    table, later = result.table, _later_rates(result)
    rows = []
    for step in required_steps(result)[1:]:
        at: list[dict[Any, Any]] = _pooled(result, table[table["step"] == step], step)
        candidates = [row for row in at if _named(row["group"]) and row["n_previous"] >= min_n]
        # Of equal limits the group that the table names first.
        best = max(candidates, key=lambda row: row["pooled_low"]) if candidates else None
        confidence = 1 - (1 - CONFIDENCE) / max(len(candidates) - 1, 1)
        for code, row in enumerate(at):
            cells = {"code": code} | {name: row[name] for name in _VALUE_COLUMNS[:6]}
            cells |= _loss_against(row, best, later[code, step - 1], min_n, confidence)
            cells |= _mean_value(values, code, min_conversions)
            cells["note"] = "; ".join(filter(None, [cells["note"], cells.pop("no_value")]))
            rows.append(cells)
    columns = ["code", *(name for name in _VALUE_COLUMNS if name != "lost_value")]
    lost = pd.DataFrame(rows, columns=columns)
    lost["lost_value"] = lost["lost_conversions"] * lost["value_per_conversion"]
    return lost.sort_values(["code", "step"], ignore_index=True)[_VALUE_COLUMNS]


def _check_value(result: FunnelData, value: str) -> None:
    kinds = result.log.kinds
    if kinds.get(value) == "number" or (value == VALUE and value not in kinds):
        return
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    why = "holds text" if value in kinds else "is not a property of this log"
    raise UsageError(
        f"value_lost: value={value!r} {why}.{did_you_mean(value, numbers)} "
        f"Properties with numbers: {', '.join(map(repr, numbers)) or 'none'}."
    )


def _later_rates(result: FunnelData) -> np.ndarray:
    """The share of those at each step that converted, (groups, steps).

    Where nobody of a group got to a step, it is the share of all groups together.
    """
    k = result.table["k"].to_numpy(float).reshape(-1, len(result.steps))
    last = max(required_steps(result)) - 1
    whole = k.sum(axis=0)
    everybody = np.divide(whole[last], whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return np.divide(k[:, [last]], k, out=np.tile(everybody, (len(k), 1)), where=k > 0)


def _named(group: Any) -> bool:
    return group != OTHER and not nameless(group)


def _pooled(result: FunnelData, table: pd.DataFrame, step: int) -> list[dict[Any, Any]]:
    """The rows of a step, with the independent units behind each rate, and the pooled rate."""
    n = table["n_previous"].to_numpy(float)
    if result.question.repeats_users:
        before = int(previous_required(result.question)[step - 1])
        n = np.array([size_behind(result.sums, g, step - 1, before) for g in range(len(n))])
    rate, low = table["step_rate"].to_numpy(copy=True), table["low"].to_numpy(copy=True)
    known = table["n_previous"].to_numpy() > 0
    # One rate alone has nothing to be drawn toward.
    if known.sum() > 1:
        found = pooled(rate[known] * n[known], n[known])
        rate[known], low[known] = found.rate, found.low
    return table.assign(size=n, pooled_rate=rate, pooled_low=low).to_dict("records")


def _loss_against(
    row: dict[Any, Any],
    best: dict[Any, Any] | None,
    later: float,
    min_n: int,
    confidence: float,
) -> dict[str, Any]:
    """The loss of a group at a step, against the best group."""
    n, undefined = row["n_previous"], (np.nan, np.nan, np.nan)
    if best is None:
        name, rate, lost = None, np.nan, undefined
        why = f"no group of {min_n} or more at the step before"
    elif not n:
        name, rate, lost = best["group"], best["pooled_rate"], undefined
        why = "nobody at the step before"
    elif row is best:
        name, rate, lost, why = row["group"], row["pooled_rate"], (0.0, 0.0, 0.0), ""
    else:
        name, rate, why = best["group"], best["pooled_rate"], ""
        one, other = (
            (
                own["step_rate"],
                *wilson(own["step_rate"] * own["size"], own["size"], confidence=confidence),
            )
            for own in (best, row)
        )
        more = newcombe_from_limits(one, other)
        gap = rate - row["pooled_rate"]
        lost = (n * gap, n * min(gap, float(more.low)), n * max(gap, float(more.high)))
    return {
        "best_group": name,
        "best_rate": rate,
        "lost_units": lost[0],
        "lost_units_low": lost[1],
        "lost_units_high": lost[2],
        "lost_conversions": lost[0] * later,
        "note": why,
    }


def _mean_value(values: ConversionValues, code: int, min_conversions: int) -> dict[str, Any]:
    """The mean value of a conversion of a group, or of all groups where it has few."""
    own = bool(values.n[code] >= min_conversions)
    n, total = (values.n[code], values.total[code]) if own else (values.n.sum(), values.total.sum())
    known = n > 0 and not values.missing
    return {
        "value_per_conversion": total / n if known else np.nan,
        "value_of": ("the group" if own else "all groups") if known else None,
        "currency": values.currency,
        "no_value": values.missing or ("" if known else "no conversion has a worth"),
    }


class ConversionValues(NamedTuple):
    """The value of the mature conversions of each group of the table.

    Attributes
    ----------
    n : how many of them have a value; ``total`` is its sum.
    currency : None where the log does not say.
    missing : why there is no value to tell; empty where there is one.
    """

    n: np.ndarray
    total: np.ndarray
    currency: str | None
    missing: str


def conversion_values(result: FunnelData, value: str) -> ConversionValues:
    """What were the mature conversions of each group worth?

    Parameters
    ----------
    value : a property with numbers; without it in the log there is no value.

    Notes
    -----
    The converting row of a chain is found again from its user and its instants: the first row at
    the instant that matches the step. In any order the converting event is the last one done,
    which may be any of the steps. Sums are exact, so that no order of the rows changes a
    digit. Values in several currencies are not added up.
    """
    size = len(group_names(result))
    nothing = np.zeros(size)
    if result.log.kinds.get(value) != "number":
        return ConversionValues(nothing, nothing, None, f"the log has no property {value!r}")
    last = max(required_steps(result))
    attempts = result.mature_attempts
    codes = group_codes(result, attempts)
    done = attempts[f"step_{last}"].notna().to_numpy() & (codes >= 0)
    converted, codes = attempts[done], codes[done]
    instants = microseconds(converted, f"step_{last}")
    parts = located(result.log, converted)
    any_order = result.parameters["order"] == "any"
    steps = result.steps if any_order else result.steps[last - 1 : last]
    wheres = [filters.check(step.where or {}, result.log, "funnel: where") for step in steps]
    find = partial(_converting_rows, result.log, steps, wheres, instants)
    rows = parallel.map_shards(parts, find)
    numbers = np.full(len(converted), np.nan)
    for part, own in zip(parts, rows, strict=True):
        column = result.log.shards[part.shard].columns[value]
        assert isinstance(column, NumberColumn)  # the log says that it holds numbers
        numbers[part.rows] = column.numbers[own]
    known = np.isfinite(numbers)
    valued = [own[known[part.rows]] for part, own in zip(parts, rows, strict=True)]
    currencies = _currencies(result.log, parts, valued)
    unit = ", ".join(currencies) or None
    if len(currencies) > 1:
        return ConversionValues(nothing, nothing, unit, "worth in several currencies")
    return _summed(numbers[known], codes[known], size, unit)


def _converting_rows(
    log: EventLog,
    steps: tuple[Step, ...],
    wheres: list[Conditions],
    instants: np.ndarray,
    part: Located,
) -> np.ndarray:
    """The row of each chain's converting event."""
    shard = log.shards[part.shard]
    instant, end = instants[part.rows], shard.offsets[part.users + 1]
    row = first_not_before(shard.time, shard.offsets[part.users], end, instant)
    matching = np.flatnonzero(_matches(log, steps, wheres, shard))
    found = matching[np.searchsorted(matching, row)]
    assert (found < end).all()  # a chain ends at a row that matches
    return found


def _matches(
    log: EventLog, steps: tuple[Step, ...], wheres: list[Conditions], shard: Shard
) -> np.ndarray:
    """Which rows of a shard match one of the steps, its conditions on properties too?"""
    names = log.event_names
    found = np.zeros(shard.rows, np.bool_)
    for step, where in zip(steps, wheres, strict=True):
        wanted = [step.events == (ANY_EVENT,) or name in step.events for name in names]
        matches = np.array([*wanted, False])[shard.event]
        found |= matches & filters.matching_rows(shard, where, names) if where else matches
    return found


def _currencies(log: EventLog, parts: list[Located], rows: list[np.ndarray]) -> list[str]:
    if log.kinds.get(CURRENCY) != "text" or not parts:
        return []
    shards = [log.shards[part.shard] for part in parts]
    names = log_groups.groups_of(shards, rows, [CURRENCY]).names
    return sorted({str(name) for name in names} - {MISSING})


def _summed(
    numbers: np.ndarray, codes: np.ndarray, size: int, unit: str | None
) -> ConversionValues:
    total = money.totals_by(codes, numbers, size)
    if np.isnan(total).any():
        return ConversionValues(np.zeros(size), np.zeros(size), unit, "worth too large to add up")
    return ConversionValues(np.bincount(codes, minlength=size), total, unit, "")
