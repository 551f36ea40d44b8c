"""How often the groups of an audience convert: before the instant, and since."""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, label, percent, share
from analysis.plotting.figures_rows import percent_axis
from analysis.plotting.theme import empty, records
from analysis.segments.figures import Bar, bars_under_headings

_ENDS = (("", "since then"), ("_before", "before"))


def audience_rates(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many of each group did the macro conversion, since the instant and before it?

    Parameters
    ----------
    table : a row per group: ``group, users``, and ``k, rate, low, high`` since the instant; the
        same with ``_before``. Undefined rates are left out.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["all"], "users": [40], "k": [10], "rate": [0.25], "low": [0.14],
    ...     "high": [0.4], "k_before": [4], "rate_before": [0.1], "low_before": [0.04],
    ...     "high_before": [0.23]})
    >>> audience_rates(table).layout.meta["alt"]
    'All, since then: 25.0% (10 of 40). All, before: 10.0% (4 of 40).'
    """
    if not len(table) or not table["users"].max():
        return empty("Nobody is in this audience.", title=title)
    blocks, alt = [], []
    for row in records(table[table["users"] > 0]):
        bars = []
        for ends, name in _ENDS:
            k, rate, low, high = (getattr(row, f"{c}{ends}") for c in ("k", "rate", "low", "high"))
            if pd.isna(rate):
                continue
            many = share(k, row.users, rate)
            interval = f"95% interval {percent(low)} to {percent(high)}"
            told = [f"{label(row.group)}, {name}", many, interval]
            bars.append(Bar(name, rate, low, high, many, told))
            alt.append(f"{label(row.group)}, {name}: {many}.")
        blocks.append((f"{label(row.group)}: {count(row.users)} people", bars))
    if not any(bars for _, bars in blocks):
        return empty("There are too few people to show.", title=title)
    upper = float(table[["high", "high_before"]].max().max())
    axis = percent_axis(min(1.0, max(upper, 0.01))) | {"range": [0, max(upper, 0.01) * 1.7]}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)
