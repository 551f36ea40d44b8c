"""Do two groups, or two funnels of the same steps, lose people at the same places?

Each step's rate in one against that in the other, with the interval of the difference; over the
steps false discoveries are controlled, because the largest of several differences is large by
chance. The rate of the whole funnel is the one question that is asked and stands by itself.

`change_rows` sets the tables of any two funnels side by side (`periods` asks it too), and
`suppressed` hides small cells of such a table first, so that nothing hidden is compared, drawn or
said.

What this module refuses to do: call a difference an effect. Groups differ in more than a name.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.result import Result, small, with_another
from analysis.core.schema import ALL, USER, UsageError, human_duration
from analysis.funnels.data import FunnelData, group_codes, group_number, required_steps
from analysis.funnels.overlap import Correlations, correlations
from analysis.statistics.rates import (
    CONFIDENCE,
    effective_size,
    newcombe,
    newcombe_from_limits,
    q_values,
    ratio,
    two_proportions,
    wilson,
)

STEP, FUNNEL = "step", "funnel"
FROM_FIRST, FROM_PREVIOUS = "from first", "from previous"

FALSE_DISCOVERIES = 0.05
"""The share of false alarms that is accepted among the findings called clear."""

_NAMES = {
    "step": "step",
    "event": "event",
    "denominator": "denominator",
    "k": "k_a",
    "n": "n_a",
    "rate": "rate_a",
    "previous_k": "k_b",
    "previous_n": "n_b",
    "previous": "rate_b",
    "change": "difference",
    "change_low": "low",
    "change_high": "high",
    "p_value": "p_value",
    "q_value": "q_value",
    "clear": "clear",
}


def compare(result: FunnelData, a: Any, b: Any) -> pd.DataFrame:
    """By how much do the rates of two groups, or of two funnels, differ at each step?

    Parameters
    ----------
    a : a group of the breakdown; None: all groups together.
    b : another group; or the result of another funnel with the same steps and window, of which
        the same group `a` is taken, or all together.

    Returns
    -------
    A row per step from the second on and one for the whole funnel: ``step, event, denominator``
    (``"from previous"``: of those at the required step before; ``"from first"``: of those who
    entered), ``k_a`` of ``n_a`` (``rate_a``), ``k_b`` of ``n_b`` (``rate_b``), ``difference``
    (``rate_a − rate_b``) with 95 % limits ``low, high``, ``p_value``, ``q_value`` over the
    steps, and ``clear``: the difference stands out from chance, of the steps at 5 % false
    discoveries, of the whole funnel where its limits leave out 0. Mature chains only; NaN where
    one of the rates is undefined.

    Raises
    ------
    UsageError
        If a group is unknown, both are the same, or the funnels differ in steps or window.

    Notes
    -----
    Newcombe's interval (1998, *Stat Med* 17:873); p values of the score test for two proportions;
    q values of Benjamini & Hochberg (1995, *JRSS B* 57:289) over the steps. Where one user can be
    several units (sessions, attempts) both use the effective sizes behind the limits of the table.
    People who are in two funnels of one log enter with their covariance (`overlap.correlations`);
    a user who is in two groups of one funnel is still taken as two.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> rows = [(f"u{i}", "cart", "mobile" if i < 70 else "desktop") for i in range(150)]
    >>> rows += [(f"u{i}", "purchase", "") for i in (*range(56), *range(70, 118))]
    >>> log = EventLog.from_frame(
    ...     pd.DataFrame(rows, columns=["user", "event", "device"]).assign(
    ...         time=pd.Timestamp("2026-01-01")), covers_until="2026-02-01")
    >>> result = funnel(log, ["cart", "purchase"], by="device")
    >>> compare(result, "mobile", "desktop")[["rate_a", "rate_b", "low", "high"]].round(4)[:1]
       rate_a  rate_b     low    high
    0     0.8     0.6  0.0524  0.3339
    """
    if len(result.steps) < 2:
        raise UsageError("compare: a funnel of one step has no rate. Give it a second step.")
    if isinstance(b, Result):
        other: Any = b
        _check_same(result, other)
        tables = _table_of(result, a), _table_of(other, a)
        name = ALL if a is None else a
        found = correlations(result, other)
        shared: Correlations = {
            (ALL, *key[1:]): value for key, value in found.items() if key[0] == name
        }
    else:
        if a == b:
            raise UsageError(f"compare: a and b are both {a!r}. Name two groups.")
        tables, shared = (_table_of(result, a), _table_of(result, b)), {}
    rows = change_rows(*tables, shared)
    if result.question.repeats_users:
        rows = _with_effective_sizes(rows, *tables, shared)
    rows["denominator"] = [FROM_FIRST if basis == FUNNEL else FROM_PREVIOUS for basis in rows.basis]
    return rows[list(_NAMES)].rename(columns=_NAMES)


def _check_same(result: FunnelData, other: FunnelData) -> None:
    ours, theirs = (
        [step.plain() for step in own.steps] if hasattr(own, "steps") else []
        for own in (result, other)
    )
    if ours != theirs:
        raise UsageError(
            f"compare: the steps of b are {theirs!r}. Allowed: those of a, {ours!r}. "
            "Ask for both with the same steps."
        )
    if result.window_us != other.window_us:
        windows = " and ".join(human_duration(own.window_us) for own in (result, other))
        raise UsageError(
            f"compare: the windows are {windows}. Rates within different times cannot be "
            "compared: ask for both with the same window."
        )


def _table_of(result: FunnelData, group: Any) -> pd.DataFrame:
    """The table of a group, or of all groups together, under the name of one group."""
    table = result.table
    if group is not None:
        group_number(result, group, "compare")
        return table[[name == group for name in table["group"]]].assign(group=ALL)
    if table["group"].nunique() < 2:
        return table.assign(group=ALL)
    counts = ["count", "k", "n_first", "n_previous"]
    whole = table.groupby(["step", "event"], as_index=False, sort=False)[counts].sum()
    k, n_first, n_previous = (whole[name].to_numpy() for name in counts[1:])
    whole["rate"], whole["step_rate"] = ratio(k, n_first), ratio(k, n_previous)
    sizes = _sizes_of_all(result) if result.question.repeats_users else (n_first, n_previous)
    whole["rate_low"], whole["rate_high"] = _limits(whole["rate"], sizes[0])
    whole["low"], whole["high"] = _limits(whole["step_rate"], sizes[1])
    return whole.assign(group=ALL)


def _limits(rate: pd.Series, size: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    return wilson(rate.fillna(0) * size, size)


def _sizes_of_all(result: FunnelData) -> tuple[np.ndarray, np.ndarray]:
    """The effective sizes behind the rates from first and from previous, all groups together."""
    attempts = result.mature_attempts
    attempts = attempts[group_codes(result, attempts) >= 0]
    user = pd.factorize(attempts[USER if USER in attempts else "unit"])[0]
    did = [attempts[f"step_{k}"].notna() for k in range(1, len(result.steps) + 1)]
    places = [k - 1 for k in required_steps(result)]
    first: list[float] = []
    previous: list[float] = []
    for k, own in enumerate(did):
        before = did[max((p for p in places if p < k), default=0)]
        for sizes, of in ((first, did[0]), (previous, before)):
            sizes.append(effective_size(np.bincount(user, own & of), np.bincount(user, of)))
    return np.array(first), np.array(previous)


def _with_effective_sizes(
    rows: pd.DataFrame, one: pd.DataFrame, two: pd.DataFrame, shared: Correlations
) -> pd.DataFrame:
    """The rows with limits, p and q of the effective sizes that the tables' limits rest on."""
    for i, row in rows.iterrows():
        limits = ["rate", "rate_low", "rate_high"]
        if row["basis"] == STEP:
            limits = ["step_rate", "low", "high"]
        a, b = (own.loc[own["step"] == row["step"], limits].iloc[0].tolist() for own in (one, two))
        if not math.isnan(row["change"]):
            same = shared.get((row["group"], row["step"], row["basis"]), 0.0)
            found = newcombe_from_limits(a, b, correlation=same)
            rows.loc[i, ["change_low", "change_high"]] = float(found.low), float(found.high)
            m, n = _size(*a), _size(*b)
            p = two_proportions(a[0] * m, m, b[0] * n, n, correlation=same)
            rows.loc[i, "p_value"] = float(p)
    return _with_verdicts(rows)


def _size(rate: float, low: float, high: float) -> float:
    """The number of trials that Wilson's limits come from.

    They are the roots x of (1 + q)·x² − (2p + q)·x + p² with q = z²/n: their product, and that of
    their distances from 1, tell q.
    """
    from scipy.stats import norm

    square = norm.ppf((1 + CONFIDENCE) / 2) ** 2
    if rate < 0.5:
        rate, low, high = 1 - rate, 1 - high, 1 - low
    return float(square / (rate**2 / (low * high) - 1))


def change_rows(
    now: pd.DataFrame, before: pd.DataFrame, shared: Correlations | None = None
) -> pd.DataFrame:
    """The rates of two funnels side by side, with the change, its interval, p and q.

    Parameters
    ----------
    now, before : tables of two funnels with the same steps; groups are matched by name.
    shared : the correlation of both rates of a row, where people are in both.
    """
    shared = shared or {}
    past = {(row.group, row.step): row for row in before.itertuples()}
    rows = []
    for _, own in now.groupby("group", sort=False):
        steps: list[Any] = list(own.sort_values("step").itertuples())
        for earlier, row in pairwise(steps):
            rows.append(_change_row(row, past, shared, basis=STEP, start=earlier))
        rows.append(_change_row(steps[-1], past, shared, basis=FUNNEL, start=steps[0]))
    if not rows:
        rows = [_empty_row()]
    return _with_verdicts(pd.DataFrame(rows))


def _change_row(
    row: Any, past: Mapping[Any, Any], shared: Correlations, *, basis: str, start: Any
) -> dict[str, Any]:
    then = past.get((row.group, row.step))
    n = row.n_previous if basis == STEP else row.n_first
    n_before = (then.n_previous if basis == STEP else then.n_first) if then else np.nan
    k_before = then.k if then else np.nan
    cells = row.k, n, k_before, n_before
    same = shared.get((row.group, row.step, basis), 0.0)
    change = newcombe(*cells, correlation=same)
    rate, low, high = (
        (row.step_rate, row.low, row.high)
        if basis == STEP and row.step > 1
        else (row.rate, row.rate_low, row.rate_high)
    )
    return {
        "group": row.group,
        "step": row.step,
        "event": row.event,
        "from_event": start.event,
        "basis": basis,
        "rate": rate,
        "low": low,
        "high": high,
        "k": row.k,
        "n": n,
        "previous": k_before / n_before if n_before > 0 else np.nan,
        "previous_k": k_before,
        "previous_n": n_before,
        "change": float(change.estimate),
        "change_low": float(change.low),
        "change_high": float(change.high),
        "p_value": float(two_proportions(*cells, correlation=same)),
    }


def _empty_row() -> dict[str, Any]:
    """The row of a funnel that nobody, or hardly anybody, entered."""
    words = {"group": "all", "step": 1, "event": "", "from_event": "", "basis": FUNNEL}
    numbers = ["rate", "low", "high", "k", "n", "previous", "previous_k", "previous_n"]
    numbers += ["change", "change_low", "change_high", "p_value"]
    return words | dict.fromkeys(numbers, np.nan)


def _with_verdicts(table: pd.DataFrame) -> pd.DataFrame:
    """The rows with q values over the steps, and which changes are clear."""
    table["q_value"] = q_values(table["p_value"], table["basis"] == STEP)
    excludes = (table["change_low"] > 0) | (table["change_high"] < 0)
    table["clear"] = np.where(
        table["basis"] == STEP, table["q_value"] < FALSE_DISCOVERIES, excludes
    ).astype(bool)
    return table


_SHARED = ["step_rate", "low", "high", "n_previous"]
_OF_MATURE = ["k", "n_first", "rate", "rate_low", "rate_high", *_SHARED]
_WAITS = ["median_seconds", "mean_seconds"]


def suppressed(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """Hide the rates of fewer than `min_cell` users in a funnel's table.

    A group that fewer entered is left out, as is one that nobody entered; so are the numbers of
    mature entries where fewer have one, and a rate from the step before where fewer did that step.
    Where that concerns exactly one of several groups, the smallest other one goes with it: else it
    could be worked out from all together. How few of many get to a step is shown.

    Examples
    --------
    >>> table = pd.DataFrame({"group": "all", "step": [1, 2, 3], "count": [9, 3, 2],
    ...     "k": [9, 3, 2], "n_first": 9, "n_previous": [9, 9, 3], "rate": [1, 1 / 3, 2 / 9],
    ...     "step_rate": [None, 1 / 3, 2 / 3]})
    >>> suppressed(table, 5)[["k", "rate", "step_rate"]].round(2)
         k  rate  step_rate
    0  9.0  1.00        NaN
    1  3.0  0.33       0.33
    2  2.0  0.22        NaN
    """
    sizes = table.groupby("group", sort=False)[["count", "n_first"]].first()
    left_out = _few_of(sizes["count"].to_numpy(), min_cell)
    unjudged = _few_of(sizes["n_first"].to_numpy(), min_cell, left_out)
    hidden = dict(zip(sizes.index, left_out, strict=True))
    young = dict(zip(sizes.index, unjudged, strict=True))
    entered = table["group"].map(dict(zip(sizes.index, sizes["count"], strict=True)))
    kept = table[(entered > 0) & ~table["group"].map(hidden).astype(bool)].copy()
    numbers = [name for name in ("count", *_OF_MATURE, *_WAITS) if name in kept]
    kept[numbers] = kept[numbers].astype(float)
    for names, few in (
        (_SHARED, small(kept["n_previous"], min_cell)),
        (_WAITS, small(kept["k"], min_cell)),
        ([*_OF_MATURE, *_WAITS], kept["group"].map(young).to_numpy(bool)),
    ):
        kept.loc[few, [name for name in names if name in kept]] = np.nan
    return kept.reset_index(drop=True)


def _few_of(size: np.ndarray, min_cell: int, hidden: np.ndarray | None = None) -> np.ndarray:
    """Which groups are too small to show, or would tell the size of one that is?"""
    few = small(size, min_cell)
    return with_another(few if hidden is None else few | hidden, size)
