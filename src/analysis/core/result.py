"""What is an answer? A table, a figure, a sentence, and the caveats that travel with them.

What no answer does: show a number about a group of fewer than ``min_cell`` people. The people in
the group decide, the denominator; few who did something among many are shown. `small` says which
counts that concerns, `suppress` hides the rows of a table, `with_another` hides a second part where
the sum would give the first away.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.wording import as_html, isolate_html


@dataclass(frozen=True, eq=False, kw_only=True)
class Result:
    """The answer to one question; frozen.

    Attributes
    ----------
    table : tidy DataFrame with standard column names; rates are fractions.
    parameters : the arguments that gave this answer, as plain data.
    warnings : caveats in plain words; they go wherever the answer goes.
    """

    table: pd.DataFrame
    parameters: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()

    def sentence(self) -> str:
        """The answer in plain words, with its number, n and interval."""
        raise TypeError(f"{type(self).__name__} must say its answer in words.")

    def figure(self) -> Any:
        """The answer as a plotly figure."""
        raise TypeError(f"{type(self).__name__} must draw its answer.")

    def _repr_html_(self) -> str:
        lines = [f"<p>{as_html(self.sentence())}</p>"]
        lines += [f"<p><strong>Note:</strong> {as_html(w)}</p>" for w in self.warnings]
        cells = isolate_html(self.table.to_html(index=False, escape=True))
        return "\n".join([*lines, cells])


def small(count: Any, min_cell: int) -> np.ndarray:
    """Is the count above 0 and below `min_cell`?

    Examples
    --------
    >>> small([0, 1, 5], 5).tolist()
    [False, True, False]
    """
    number = np.asarray(count, float)
    return (number > 0) & (number < min_cell)


def suppress(
    table: pd.DataFrame, *, min_cell: int, counts: list[str], columns: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Hide the rows about groups of fewer than `min_cell` people, with what gives their count away.

    Parameters
    ----------
    counts : the denominators, columns that count the people whom a row is about. A row is hidden
        where one of them is small.
    columns : what a hidden row loses; numbers become NaN.

    Returns
    -------
    The table, and which of its rows lost their numbers.

    Examples
    --------
    >>> shown, hidden = suppress(pd.DataFrame({"n": [3, 90], "rate": [1.0, 0.5]}), min_cell=5,
    ...                          counts=["n"], columns=["n", "rate"])
    >>> shown["rate"].tolist(), hidden.tolist()
    ([nan, 0.5], [True, False])
    """
    hidden = np.zeros(len(table), bool)
    for name in counts:
        hidden |= small(table[name], min_cell)
    if not hidden.any():
        return table, hidden
    table = table.copy()
    table[columns] = table[columns].astype(float)
    table.loc[hidden, columns] = np.nan
    return table, hidden


def with_another(hidden: np.ndarray, size: np.ndarray) -> np.ndarray:
    """Hide a second part of a sum where one is hidden, the smallest: one alone could be worked out.

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


def suppress_parts(
    table: pd.DataFrame, *, min_cell: int, size: str, total: str, columns: list[str]
) -> tuple[pd.DataFrame, np.ndarray]:
    """Hide the rows that are groups of few people, where all rows together are everybody.

    Where that hides one row, a second goes with it: one alone could be worked out.

    Parameters
    ----------
    size, total : the columns with each group's people, and with everybody.
    columns : what a hidden row loses, besides `total` where that is small.

    Returns
    -------
    The table, and which of its rows lost their numbers.

    Examples
    --------
    >>> groups = pd.DataFrame({"k": [3, 90, 7], "n": 100})
    >>> shown, hidden = suppress_parts(groups, min_cell=5, size="k", total="n", columns=["k"])
    >>> shown["k"].tolist(), hidden.tolist()
    ([nan, 90.0, nan], [True, False, True])
    """
    sizes = table[size].to_numpy(float)
    hidden = with_another(small(sizes, min_cell), sizes)
    if not hidden.any():
        return table, hidden
    table = table.copy()
    table[[*columns, total]] = table[[*columns, total]].astype(float)
    table.loc[hidden, columns] = np.nan
    table.loc[small(table[total], min_cell), total] = np.nan
    return table, hidden


def records(table: pd.DataFrame) -> list[Any]:
    """The rows of a table, with their cells as attributes."""
    return list(table.itertuples())
