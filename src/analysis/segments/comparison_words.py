"""A comparison of two groups as a table for people: what differs, by how much, how sure."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.core.wording import UNDEFINED, points, share
from analysis.plotting.figures_differences import chance, thing
from analysis.statistics.contrasts import LATER

FEW = "too few people to show"


_COLUMNS = ("what differs", "kind", "difference", "effect size", "chance")


def readable_rows(table: pd.DataFrame, names: tuple[str, str], *, most: int) -> pd.DataFrame:
    """The clearest rows as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "kind": ["time"], "name": ["cart"], "value": [""], "unit": ["later"], "k_a": [20],
    ...     "n_a": [20], "k_b": [30], "n_b": [30], "rate_a": [None], "rate_b": [None],
    ...     "median_days_a": [2.0], "median_days_b": [5.5], "difference": [-0.2], "low": [-0.3],
    ...     "high": [-0.1], "effect": [-0.4], "q_value": [0.004]})
    >>> readable_rows(rows, ("carts", "readers"), most=10).iloc[0].to_list()
    ['time', '2.0 (20 people)', '5.5 (30 people)', '−20.0 points \
(95% −30.0 to −10.0)', '−0.40 (delta)', 'q = 0.004']
    """
    rows = [_row(row) for row in table.head(most).itertuples()]
    titles = [*_COLUMNS[:2], *_titles(names), *_COLUMNS[2:]]
    return pd.DataFrame(rows, columns=titles, dtype=str).set_index(titles[0])


def _titles(names: tuple[str, str]) -> list[str]:
    one, two = names
    return [one, two if two != one else f"{two} (second)"]


def _row(row: Any) -> list[str]:
    waits = row.unit == LATER
    what = thing(row.kind, row.name, row.value)
    said = [f"days until {what}" if waits else what, row.kind]
    if pd.isna(row.k_a):
        return [*said, FEW, FEW, UNDEFINED, UNDEFINED, UNDEFINED]
    for group in "ab":
        k, n = getattr(row, f"k_{group}"), getattr(row, f"n_{group}")
        if waits:
            middle = getattr(row, f"median_days_{group}")
            said.append(f"{middle:.1f} ({k:,.0f} people)" if k else "nobody")
        else:
            said.append(share(k, n, getattr(row, f"rate_{group}")) if n else "nobody")
    if pd.isna(row.difference):
        return [*said, UNDEFINED, UNDEFINED, UNDEFINED]
    interval = f" (95% {points(row.low)} to {points(row.high)})" if row.low == row.low else ""
    effect = f"{row.effect:+.2f}".replace("-", "−") + (" (delta)" if waits else " (h)")
    sure = UNDEFINED if pd.isna(row.q_value) else chance(row.q_value)
    return [*said, f"{points(row.difference)} points{interval}", effect, sure]
