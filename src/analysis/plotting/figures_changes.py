"""Which rate changed? A point and its interval per step and group, around a line of no change.

A point is filled only where the change is clear of chance after allowing for how many were looked
at; a hollow one is a change that a week without any cause shows as easily.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import ALL
from analysis.core.wording import group_name, label, percent, points, share
from analysis.plotting.figures_rows import (
    AXIS,
    heading_notes,
    row_axis,
    row_lines,
    rows,
    shown_groups,
)
from analysis.plotting.theme import (
    DOWN,
    REST,
    TOO_FEW,
    UP,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
)


def step_changes(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How did the rate from step to step change against the period before?

    Parameters
    ----------
    table : a row per group and step: ``group, step, event, from_event, rate, k, n, previous,
        previous_k, previous_n, change, change_low, change_high`` (fractions) and ``clear``
        (True where the change is distinguishable from chance among all that were looked at).
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["mobile"], "step": [2], "event": ["purchase"], "from_event": ["view_item"],
    ...     "rate": [0.8], "k": [56], "n": [70], "previous": [0.6], "previous_k": [48],
    ...     "previous_n": [80], "change": [0.2], "change_low": [0.0524], "change_high": [0.3339],
    ...     "clear": [True]})
    >>> step_changes(table).layout.meta["alt"]
    'View item to Purchase, mobile: 80.0% (56 of 70) after 60.0% (48 of 80), +20.0 points \
(95% interval +5.2 to +33.4), a clear change.'
    """
    if not len(table) or not table["change"].notna().any():
        return empty("There is nothing to compare with.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    table = table[table["group"].isin(groups)]
    steps = table.drop_duplicates("step").sort_values("step")
    place = rows(len(steps), len(groups))
    at = dict(zip(steps["step"], place.centers, strict=True))
    y = [at[r.step][groups.index(r.group)] for r in records(table)]
    names = ["" if group == ALL else group_name(group) for group in groups]
    texts = [f"<b>{safe(_from_to(row))}</b>" for row in records(steps)]
    no_change = row_lines(place, 0.0)
    layout = {
        "xaxis": _points_axis(table),
        "yaxis": row_axis(place, names),
        "annotations": heading_notes(place, texts) + _before_and_now(table, y),
        "shapes": no_change,
        "margin_r": 112,
    }
    alt = " ".join([*(f"{_said(row)}." for row in records(table)), *([note] if note else [])])
    height = int(place.height) + AXIS + 18
    return finished(_traces(table, y), layout, title=title, alt=alt, height=height)


def _points_axis(table: pd.DataFrame) -> dict[str, Any]:
    ends = table[["change_low", "change_high", "change"]].abs().max().max()
    reach = max(float(ends) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": "← fell · change in points · rose →", "standoff": 4},
        "zeroline": False,
    }


def _traces(table: pd.DataFrame, y: list[float]) -> list[Any]:
    clear = table["clear"].astype(bool)
    colors = [
        REST if not sure else (UP if change > 0 else DOWN)
        for sure, change in zip(clear, table["change"], strict=True)
    ]
    lines: list[Any] = []
    for row, at, color in zip(records(table), y, colors, strict=True):
        lines.append(
            go.Scatter(
                x=plain([row.change_low, row.change_high]),
                y=[at, at],
                mode="lines",
                line={"color": color, "width": 3 if row.clear else 2},
                hoverinfo="skip",
            )
        )
    dots = go.Scatter(
        x=plain(table["change"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in clear],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _before_and_now(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    notes = []
    for row, at in zip(records(table), y, strict=True):
        known = not pd.isna(row.change)
        text = f"{percent(row.previous)} → {percent(row.rate)}" if known else _why(row)
        notes.append(
            {
                "text": f"<b>{safe(text)}</b>" if known and row.clear else safe(text),
                "x": 1,
                "xref": "paper",
                "xanchor": "left",
                "xshift": 6,
                "y": at,
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 12},
            }
        )
    return notes


def _why(row: Any) -> str:
    return "too few" if pd.isna(row.k) or pd.isna(row.previous_k) else "no rate"


def _from_to(row: Any) -> str:
    return f"{label(row.from_event)} → {label(row.event)}"


def _told(row: Any) -> list[str]:
    name = _from_to(row) if row.group == ALL else f"{_from_to(row)} · {group_name(row.group)}"
    if pd.isna(row.change):
        return [name, TOO_FEW if _why(row) == "too few" else "no rate to compare"]
    return [
        name,
        f"now: {share(row.k, row.n, row.rate)}",
        f"before: {share(row.previous_k, row.previous_n, row.previous)}",
        f"change: {points(row.change)} points",
        f"95% interval {points(row.change_low)} to {points(row.change_high)}",
        "a clear change" if row.clear else "not clear of chance",
    ]


def _said(row: Any) -> str:
    name = f"{label(row.from_event)} to {label(row.event)}"
    name = name if row.group == ALL else f"{name}, {group_name(row.group)}"
    if pd.isna(row.change):
        return f"{name}: {_told(row)[1]}"
    now, before = share(row.k, row.n, row.rate), share(row.previous_k, row.previous_n, row.previous)
    interval = f"95% interval {points(row.change_low)} to {points(row.change_high)}"
    verdict = "a clear change" if row.clear else "not clear of chance"
    return f"{name}: {now} after {before}, {points(row.change)} points ({interval}), {verdict}"
