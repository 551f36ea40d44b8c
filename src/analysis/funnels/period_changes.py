"""The change of each rate between two funnels, and which changes stand out.

Both functions take tables and give tables, so that what is hidden is hidden before anything is
compared, drawn or said.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd

from analysis.statistics.stats import newcombe

STEP, FUNNEL = "step", "funnel"


FALSE_DISCOVERIES = 0.05
"""The share of false alarms that is accepted among the changes called clear."""


_CELLS = [
    "count",
    "k",
    "rate",
    "rate_low",
    "rate_high",
    "step_rate",
    "low",
    "high",
    "median_seconds",
    "mean_seconds",
]


def suppressed(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """A funnel's table without what is about fewer than `min_cell` users.

    A group into which fewer entered is left out; a step that fewer reached has its numbers set to
    NaN, and so has every number that gives them away, such as the next step's denominator. Groups
    that nobody entered are left out too.

    Examples
    --------
    >>> table = pd.DataFrame({"group": "all", "step": [1, 2], "count": [9, 3], "k": [9, 3],
    ...     "n_first": 9, "n_previous": 9, "rate": [1, 1 / 3], "step_rate": [None, 1 / 3]})
    >>> suppressed(table, 5)[["count", "k", "rate"]]
       count    k  rate
    0    9.0  9.0   1.0
    1    NaN  NaN   NaN
    """
    entered = table.groupby("group", sort=False)["count"].transform("first")
    kept = table[entered >= max(min_cell, 1)].copy()
    cells = [name for name in _CELLS if name in kept]
    kept[[*cells, "n_first", "n_previous"]] = kept[[*cells, "n_first", "n_previous"]].astype(float)
    few = _few(kept["count"], min_cell) | _few(kept["k"], min_cell)
    kept.loc[few, cells] = np.nan
    for denominator, rates in (
        ("n_previous", ["step_rate", "low", "high"]),
        ("n_first", ["rate", "rate_low", "rate_high"]),
    ):
        few = _few(kept[denominator], min_cell)
        kept.loc[few, [denominator, *(name for name in rates if name in kept)]] = np.nan
    return kept.reset_index(drop=True)


def _few(number: pd.Series, min_cell: int) -> pd.Series:
    return (number > 0) & (number < min_cell)


def change_rows(now: pd.DataFrame, before: pd.DataFrame) -> pd.DataFrame:
    """The rates of two funnels side by side, with the change, its interval, p and q.

    Parameters
    ----------
    now, before : tables of two funnels with the same steps; groups are matched by name.
    """
    past = {(row.group, row.step): row for row in before.itertuples()}
    rows = []
    for _, own in now.groupby("group", sort=False):
        steps: list[Any] = list(own.sort_values("step").itertuples())
        for earlier, row in pairwise(steps):
            rows.append(_row(row, past, basis=STEP, start=earlier))
        rows.append(_row(steps[-1], past, basis=FUNNEL, start=steps[0]))
    if not rows:
        rows = [_nothing()]
    return _judged(pd.DataFrame(rows))


def _row(row: Any, past: dict[Any, Any], *, basis: str, start: Any) -> dict[str, Any]:
    then = past.get((row.group, row.step))
    n = row.n_previous if basis == STEP else row.n_first
    n_before = (then.n_previous if basis == STEP else then.n_first) if then else np.nan
    k_before = then.k if then else np.nan
    cells = [row.k, n, k_before, n_before]
    known = not np.isnan(cells).any() and n > 0 and n_before > 0
    change = newcombe(*map(int, cells)) if known else newcombe(0, 0, 0, 0)
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
        "change": change.estimate,
        "change_low": change.low,
        "change_high": change.high,
        "p_value": _p_value(*map(int, cells)) if known else np.nan,
    }


def _nothing() -> dict[str, Any]:
    """The row of a funnel that nobody, or hardly anybody, entered."""
    words = {"group": "all", "step": 1, "event": "", "from_event": "", "basis": FUNNEL}
    numbers = ["rate", "low", "high", "k", "n", "previous", "previous_k", "previous_n"]
    numbers += ["change", "change_low", "change_high", "p_value"]
    return words | dict.fromkeys(numbers, np.nan)


def _p_value(k: int, n: int, k_before: int, n_before: int) -> float:
    from statsmodels.stats.proportion import test_proportions_2indep

    if k + k_before in (0, n + n_before):
        return 1.0
    # It also computes an odds ratio, which has no value where a rate is 1.
    with np.errstate(divide="ignore", invalid="ignore"):
        test = test_proportions_2indep(
            k, n, k_before, n_before, method="score", compare="diff", correction=False
        )
    return float(test.pvalue)


def _judged(table: pd.DataFrame) -> pd.DataFrame:
    from scipy.stats import false_discovery_control

    searched = (table["basis"] == STEP) & table["p_value"].notna()
    table["q_value"] = np.nan
    if searched.any():
        table.loc[searched, "q_value"] = false_discovery_control(
            table.loc[searched, "p_value"].to_numpy(float)
        )
    excludes = (table["change_low"] > 0) | (table["change_high"] < 0)
    table["clear"] = np.where(
        table["basis"] == STEP, table["q_value"] < FALSE_DISCOVERIES, excludes
    ).astype(bool)
    return table
