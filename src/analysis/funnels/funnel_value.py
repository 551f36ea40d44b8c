"""What would each step bring if every group did as well there as the best one?

An upper bound of what is worth looking at, step by step: the people that a group loses against
the best group, carried on at the group's own later rates, at the worth of its own conversions.
The best group is the one whose rate is surely high and not the one whose rate is highest, so that
luck in a small group does not lead the table.

What this module refuses to do: promise. Groups differ in who comes, so no group need be able to do
as well as another; the table says where the distance is worth most.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from analysis.core.schema import MISSING, OTHER, VALUE, UsageError, did_you_mean
from analysis.funnels.compare import difference_limits
from analysis.funnels.data import group_names, required_steps
from analysis.funnels.funnel_worth import Worth, worth_of_conversions

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


_COLUMNS = [
    "group",
    "step",
    "event",
    "n_previous",
    "step_rate",
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
    result: FunnelResult, *, value: str = VALUE, min_n: int = 100, min_conversions: int = 30
) -> pd.DataFrame:
    """What does each group lose at each step against the group that does best there?

    Parameters
    ----------
    value : the property of the converting event that holds its worth; a log without ``"value"``
        has no worth and loses units and conversions only.
    min_n : with fewer at the step before, a group is not taken as the best.
    min_conversions : with fewer that have a worth, a group's conversions are given the mean of
        all groups.

    Returns
    -------
    A row per group and required step from the second on: ``group, step, event, n_previous,
    step_rate``; ``best_group``, whose step rate has the highest lower limit among the groups of
    at least `min_n` (``"(other)"`` and ``"(missing)"`` are no groups to learn from), with
    ``best_rate``; ``lost_units = n_previous · (best_rate − step_rate)`` with 95 % limits,
    negative where the group's own rate is higher; ``lost_conversions``, those units at the
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
    The limits are those of Newcombe's interval of the difference of the two rates (1998, *Stat
    Med* 17:873) times ``n_previous``. They do not hold the chance in which group is the best,
    nor that in the later rates and the worth.

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
    >>> lost[["group", "step_rate", "best_group", "lost_units", "lost_value"]]
         group  step_rate best_group  lost_units  lost_value
    0  desktop       0.50    desktop         0.0         0.0
    1   mobile       0.25    desktop        50.0       500.0
    """
    for name, given in (("min_n", min_n), ("min_conversions", min_conversions)):
        if not isinstance(given, int) or given < 1:
            raise UsageError(f"value_lost: {name}={given!r}. Allowed: a whole number from 1.")
    if len(group_names(result)) < 2 and not result.parameters["by"]:
        raise UsageError(
            "value_lost: the funnel has no groups to compare. Ask for it with by='device' or "
            "another property."
        )
    _check_value(result, value)
    worth = worth_of_conversions(result, value)
    table, later = result.table, _later_rates(result)
    rows = []
    for step in required_steps(result)[1:]:
        at: list[dict[Any, Any]] = table[table["step"] == step].to_dict("records")
        best = _best(at, min_n)
        for code, row in enumerate(at):
            said = {"code": code} | {name: row[name] for name in _COLUMNS[:5]}
            said |= _against(row, best, later[code, step - 1], min_n)
            said |= _worth_of(worth, code, min_conversions)
            said["note"] = "; ".join(filter(None, [said["note"], said.pop("no_worth")]))
            rows.append(said)
    lost = pd.DataFrame(rows, columns=["code", *(n for n in _COLUMNS if n != "lost_value")])
    lost["lost_value"] = lost["lost_conversions"] * lost["value_per_conversion"]
    return lost.sort_values(["code", "step"], ignore_index=True)[_COLUMNS]


def _check_value(result: FunnelResult, value: str) -> None:
    kinds = result.log.kinds
    if kinds.get(value) == "number" or (value == VALUE and value not in kinds):
        return
    numbers = [name for name, kind in kinds.items() if kind == "number"]
    why = "holds text" if value in kinds else "is no property of this log"
    raise UsageError(
        f"value_lost: value={value!r} {why}.{did_you_mean(value, numbers)} "
        f"Properties with numbers: {', '.join(map(repr, numbers)) or 'none'}."
    )


def _later_rates(result: FunnelResult) -> np.ndarray:
    """The share of those at each step that converted, (groups, steps); where nobody of a group
    got to a step, that of all groups together.
    """
    k = result.table["k"].to_numpy(float).reshape(-1, len(result.steps))
    last = max(required_steps(result)) - 1
    whole = k.sum(axis=0)
    everybody = np.divide(whole[last], whole, out=np.full(len(whole), np.nan), where=whole > 0)
    return np.divide(k[:, [last]], k, out=np.tile(everybody, (len(k), 1)), where=k > 0)


def _best(rows: list[dict[Any, Any]], min_n: int) -> dict[Any, Any] | None:
    named = [row for row in rows if not _nameless(row["group"]) and row["n_previous"] >= min_n]
    # Of equal limits the group that the table names first.
    return max(named, key=lambda row: row["low"]) if named else None


def _nameless(group: Any) -> bool:
    values = set(group) if isinstance(group, tuple) else {group}
    return group == OTHER or values == {MISSING}


def _against(
    row: dict[Any, Any], best: dict[Any, Any] | None, later: float, min_n: int
) -> dict[str, Any]:
    """What a group loses at a step against the best group."""
    n, nothing = row["n_previous"], np.nan
    if best is None or not n:
        why = f"no group of {min_n} or more at the step before" if best is None else ""
        lost, name, rate = (nothing, nothing, nothing), None, nothing
        if best is not None:
            name, rate, why = best["group"], best["step_rate"], "nobody at the step before"
    elif row is best:
        lost, name, rate, why = (0.0, 0.0, 0.0), row["group"], row["step_rate"], ""
    else:
        one, other = ((own["step_rate"], own["low"], own["high"]) for own in (best, row))
        low, high = difference_limits(one, other)
        lost = (n * (one[0] - other[0]), n * low, n * high)
        name, rate, why = best["group"], best["step_rate"], ""
    return {
        "best_group": name,
        "best_rate": rate,
        "lost_units": lost[0],
        "lost_units_low": lost[1],
        "lost_units_high": lost[2],
        "lost_conversions": lost[0] * later,
        "note": why,
    }


def _worth_of(worth: Worth, code: int, min_conversions: int) -> dict[str, Any]:
    """The mean worth of a conversion of a group, or of all where it has few."""
    own = bool(worth.n[code] >= min_conversions)
    n, total = (worth.n[code], worth.total[code]) if own else (worth.n.sum(), worth.total.sum())
    known = n > 0 and not worth.missing
    return {
        "value_per_conversion": total / n if known else np.nan,
        "value_of": ("the group" if own else "all groups") if known else None,
        "currency": worth.currency,
        "no_worth": worth.missing or ("" if known else "no conversion has a worth"),
    }
