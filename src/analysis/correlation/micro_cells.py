"""What is about fewer people than may be told: hidden, and so that no sum gives it away.

A row of which one count is small loses all its numbers: ratio, interval and p-value would give the
count back. Where only one of several groups or levels would be hidden, the difference between
everybody and the others would tell it, so the smallest of the others is hidden with it.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.core.schema import ALL, UsageError
from analysis.core.wording import count
from analysis.correlation.verdict import CONTROL, NOT_ENOUGH, STRUCTURAL

_KEPT = {"event", "label", "role", "group", "verdict", "reason", "controls", "only_after"}


def checked_cell(min_cell: Any, what: str) -> int:
    """`min_cell` if it is a whole number from 1, else an error.

    Examples
    --------
    >>> checked_cell(5, "micro_to_macro")
    5
    """
    if isinstance(min_cell, bool) or not isinstance(min_cell, int) or min_cell < 1:
        raise UsageError(f"{what}: min_cell={min_cell!r}. Allowed: a whole number from 1.")
    return min_cell


def small(count: Any, min_cell: int) -> np.ndarray:
    """Is the count that of some people, and of fewer than `min_cell`?

    Examples
    --------
    >>> small([0, 1, 5], 5).tolist()
    [False, True, False]
    """
    number = np.asarray(count, float)
    return (number > 0) & (number < min_cell)


def with_another(hidden: np.ndarray, size: np.ndarray) -> np.ndarray:
    """What is to be hidden of the parts of a sum: never one alone, but the smallest other too.

    Examples
    --------
    >>> with_another(np.array([True, False, False]), np.array([2, 9, 7])).tolist()
    [True, False, True]
    """
    out = hidden.copy()
    others = np.flatnonzero(~hidden & (size > 0))
    if hidden.sum() == 1 and len(others):
        out[others[np.argmin(size[others])]] = True
    return out


def hide_small_rows(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `micro_table` without the numbers of few people.

    Parameters
    ----------
    min_cell : rows with a count of fewer people, but of some, are hidden; 1 hides none.
    """
    if min_cell == 1 or not len(table):
        return table
    others = table["macros"] - table["exposed_macros"]
    unreached = table["converters"] - table["reach_k"]
    counts = [table[name] for name in ("users", "exposed_users", "reach_k", "exposed_macros")]
    hidden = np.any([small(x, min_cell) for x in (*counts, others, unreached)], axis=0)
    groups = (table["group"] != ALL).to_numpy()
    size = table["exposed_macros"].to_numpy()
    for event in table["event"].unique():
        own = np.flatnonzero(groups & (table["event"] == event).to_numpy())
        hidden[own] = with_another(hidden[own], size[own])
    numbers = [name for name in table if name not in _KEPT]
    out = table.astype(dict.fromkeys(numbers, float))
    out.loc[hidden, numbers] = np.nan
    told = hidden & ~(table["role"] == "milestone").to_numpy()
    out.loc[told & ~table["verdict"].isin([CONTROL]).to_numpy(), "reason"] = _too_few(
        table["converters"].max(), min_cell
    )
    out.loc[hidden, "only_after"] = None
    judged = hidden & ~table["verdict"].isin([CONTROL, STRUCTURAL]).to_numpy()
    out.loc[judged, "verdict"] = NOT_ENOUGH
    return out


def _too_few(converters: float, min_cell: int) -> str:
    """Why nothing is told, with the number that limits it where that may be told."""
    said = f"Too few people to show: one of its numbers is of fewer than {min_cell}"
    return (
        f"{said}, of {count(converters)} who converted." if converters >= min_cell else f"{said}."
    )


def hide_small_levels(doses: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `dose_table` without the numbers of few people."""
    if min_cell == 1 or not len(doses):
        return doses
    numbers = ["k", "n", "odds_ratio", "low", "high", "rising"]
    out = doses.astype(dict.fromkeys(numbers, float))
    few = small(doses["k"], min_cell) | small(doses["n"], min_cell)
    for event in doses["event"].unique():
        own = np.flatnonzero((doses["event"] == event).to_numpy())
        few[own] = with_another(few[own], doses["k"].to_numpy()[own])
    out.loc[few, numbers] = np.nan
    # The curve runs through all levels, so a hidden one would show in those beside it.
    out.loc[out["event"].isin(doses.loc[few, "event"]), "rising"] = np.nan
    return out


def hide_small_groups(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `stability` without the numbers of few people."""
    if min_cell == 1 or not len(table):
        return table
    others = table["macros"] - table["exposed_macros"]
    few = small(table["exposed_macros"], min_cell) | small(others, min_cell)
    for dimension in table["dimension"].unique():
        own = np.flatnonzero((table["dimension"] == dimension).to_numpy())
        few[own] = with_another(few[own], table["exposed_macros"].to_numpy()[own])
    numbers = ["macros", "exposed_macros", "odds_ratio", "low", "high", "se"]
    out = table.astype(dict.fromkeys(numbers, float))
    out.loc[few, numbers] = np.nan
    out.loc[few, "enough"] = False
    return out


def hide_small_arms(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The table of `doubly_robust` without the numbers of few people.

    Of crude and doubly robust the one would give the other away, so both go.
    """
    if min_cell == 1 or not len(table):
        return table
    counts = [table[f"{arm}_{what}"] for arm in ("exposed", "other") for what in ("k", "n")]
    left = [table[f"{arm}_n"] - table[f"{arm}_k"] for arm in ("exposed", "other")]
    few = np.any([small(x, min_cell) for x in (*counts, *left)], axis=0)
    if "basis" in table:
        few[:] = few.any()
    numbers = [name for name in table if name not in ("basis", "event")]
    out = table.astype(dict.fromkeys(numbers, float))
    out.loc[few, numbers] = np.nan
    return out


def hide_small_bins(overlap: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """The bins of `doubly_robust` without those of few people."""
    out = overlap.copy()
    for name in ("exposed", "other", "trimmed") if min_cell > 1 else ():
        few = with_another(small(overlap[name], min_cell), overlap[name].to_numpy())
        out[name] = overlap[name].astype(float).mask(few)
    return out
