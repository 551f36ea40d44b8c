"""What each group loses at each step against the best group: bars of worth, or of conversions.

The words say "if it did as well", because groups differ in who comes: it is a bound on what is
worth looking at and no promise.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import UNDEFINED, count, group_name, label, percent
from analysis.plotting.figures_rows import AXIS, ROW, heading_notes, row_axis, rows, shown_groups
from analysis.plotting.theme import (
    INK,
    empty,
    finished,
    group_colors,
    plain,
    records,
    safe,
    safe_lines,
)

_BOUND = "if it did as well as the best group there; no promise"


_AXIS = "if as good as the best group"


def value_lost_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Where would doing as well as the best group be worth most?

    Parameters
    ----------
    table : as `FunnelResult.value_lost` returns it. The bars are of ``lost_value`` where the log
        knows it and of ``lost_conversions`` elsewhere; whiskers hold the chance in the step's
        rate only. Beyond six groups only the first are drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["mobile"], "step": [2], "event": ["purchase"], "n_previous": [200],
    ...     "step_rate": [0.25], "best_group": ["desktop"], "best_rate": [0.5],
    ...     "lost_units": [50.0], "lost_units_low": [31.0], "lost_units_high": [68.0],
    ...     "lost_conversions": [50.0], "lost_value": [500.0], "currency": ["EUR"]})
    >>> value_lost_bars(table).layout.meta["alt"]
    'Purchase, mobile: 25.0% of 200, the best group desktop 50.0%: 50 more (95% interval 31 to \
68), 50 conversions, 500 EUR, if it did as well as the best group there; no promise.'
    """
    if not len(table) or not table["lost_conversions"].notna().any():
        return empty("There is no group to compare with.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    table = _drawn(table[[group in groups for group in table["group"]]])
    steps = table.drop_duplicates("step").sort_values("step")
    place = rows(len(steps), len(groups))
    at = dict(zip(steps["step"], place.centers, strict=True))
    y = [at[row.step][groups.index(row.group)] for row in records(table)]
    unit = "conversions" if not table["lost_value"].notna().any() else _currency(table) or "worth"
    headings = [_heading(row) for row in records(steps)]
    left, right = _ends(table)
    layout = {
        "xaxis": {
            "range": [left, right],
            "nticks": 6,
            "title": {"text": f"{safe(unit)}, {_AXIS}", "standoff": 4},
            "zeroline": True,
        },
        "yaxis": row_axis(place, [group_name(group) for group in groups]),
        "annotations": heading_notes(place, headings),
    }
    alt = " ".join(f"{_said(row)}." for row in records(table)) + (f" {note}" if note else "")
    height = int(place.height) + AXIS + 18
    traces = [_bars(table, y), _words(table, y)]
    return finished(traces, layout, title=title, alt=alt, height=height)


def _drawn(table: pd.DataFrame) -> pd.DataFrame:
    """With the bar and its limits: the limits of the units, on the scale of the bar."""
    worth = table["lost_value"].notna().any()
    bar = table["lost_value"] if worth else table["lost_conversions"]
    scale = (bar / table["lost_units"]).where(table["lost_units"] != 0, 0.0)
    low, high = (table[f"lost_units_{side}"] * scale for side in ("low", "high"))
    return table.assign(bar=bar, bar_low=low, bar_high=high)


def _currency(table: pd.DataFrame) -> str:
    named = table["currency"].dropna()
    return str(named.iloc[0]) if len(named) else ""


def _heading(row: Any) -> str:
    text = f"<b>{safe(label(row.event))}</b>"
    if pd.isna(row.best_rate):
        return text
    return f"{text}  best: {safe(group_name(row.best_group))} {percent(row.best_rate)}"


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis, with room for the words behind the longest whisker."""
    low = min(0.0, float(table[["bar", "bar_low"]].min().min()))
    high = max(0.0, float(table[["bar", "bar_high"]].max().max()))
    wide = (high - low) or 1.0
    return low - 0.04 * wide, high + 1.2 * wide


def _bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    colors = group_colors(list(dict.fromkeys(table["group"])))
    return go.Bar(
        orientation="h",
        x=plain(table["bar"]),
        y=y,
        width=ROW - 6,
        marker={"color": [colors[group] for group in table["group"]], "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain(table["bar_high"] - table["bar"]),
            "arrayminus": plain(table["bar"] - table["bar_low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )


def _words(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    ends = table[["bar", "bar_high"]].max(axis=1).clip(lower=0).fillna(0)
    return go.Scatter(
        mode="text",
        x=plain(ends),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(_beside(row))}" for row in records(table)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _beside(row: Any) -> str:
    if pd.isna(row.bar):
        return UNDEFINED
    rate = f"{percent(row.step_rate)} of {count(row.n_previous)}"
    if row.best_group == row.group:
        return f"the best: {rate}"
    return f"{_amount(row)} · {rate}"


def _amount(row: Any) -> str:
    if pd.isna(row.lost_value):
        return f"{count(row.lost_conversions)} conversions"
    return f"{count(row.lost_value)} {'' if pd.isna(row.currency) else row.currency}".strip()


def _told(row: Any) -> list[str]:
    head = f"{label(row.event)}, {group_name(row.group)}"
    if pd.isna(row.bar):
        return [head, UNDEFINED]
    lines = [head, f"{percent(row.step_rate)} of {count(row.n_previous)} at the step before"]
    if row.best_group == row.group:
        return [*lines, "the best group"]
    units = f"{count(row.lost_units_low)} to {count(row.lost_units_high)}"
    return [
        *lines,
        f"the best group {group_name(row.best_group)} {percent(row.best_rate)}",
        f"{count(row.lost_units)} more at this step (95% interval {units})",
        f"{count(row.lost_conversions)} more conversions",
        *([] if pd.isna(row.lost_value) else [f"worth {_amount(row)}"]),
        _BOUND,
    ]


def _said(row: Any) -> str:
    head = f"{label(row.event)}, {group_name(row.group)}: "
    if pd.isna(row.bar):
        return head + UNDEFINED
    own = f"{percent(row.step_rate)} of {count(row.n_previous)}"
    if row.best_group == row.group:
        return f"{head}{own}, the best group"
    best = f"the best group {group_name(row.best_group)} {percent(row.best_rate)}"
    limits = f"95% interval {count(row.lost_units_low)} to {count(row.lost_units_high)}"
    more = f"{count(row.lost_units)} more ({limits}), {count(row.lost_conversions)} conversions"
    if not pd.isna(row.lost_value):
        more += f", {_amount(row)}"
    return f"{head}{own}, {best}: {more}, {_BOUND}"
