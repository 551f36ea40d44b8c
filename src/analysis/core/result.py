"""What an answer is: a table, a figure, a sentence, and the caveats that travel with them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

# ──── figures.theme


def records(table: pd.DataFrame) -> list[Any]:
    """The rows of a table, with their cells as attributes."""
    return list(table.itertuples())


# ──── results


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
        lines = [f"<p>{html.escape(self.sentence())}</p>"]
        lines += [f"<p><strong>Note:</strong> {html.escape(w)}</p>" for w in self.warnings]
        return "\n".join([*lines, self.table.to_html(index=False, escape=True)])


# ──── micro_cells


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
