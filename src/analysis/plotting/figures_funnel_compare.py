"""By how much two groups differ at each step: a point and its interval around no difference.

A point is filled only where the difference is clear of chance after allowing for how many steps
were looked at. Both rates stand beside it, so that nobody reads a difference without its level.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import group_name, label, percent, points, share
from analysis.plotting.figures_rows import AXIS, heading_notes, row_axis, row_lines, rows
from analysis.plotting.theme import (
    INK,
    PALETTE,
    REST,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_NAME = 12


def rate_differences(
    table: pd.DataFrame, *, a: Any = "a", b: Any = "b", title: str | None = None
) -> go.Figure:
    """How does the rate of each step differ between two groups?

    Parameters
    ----------
    table : as `FunnelResult.compare` returns it: a row per step and one for the whole funnel:
        ``step, event, denominator, k_a, n_a, rate_a, k_b, n_b, rate_b, difference, low, high,
        clear``.
    a, b : what to call the two. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": [2], "event": ["purchase"], "denominator": ["from previous"], "k_a": [56],
    ...     "n_a": [70], "rate_a": [0.8], "k_b": [48], "n_b": [80], "rate_b": [0.6],
    ...     "difference": [0.2], "low": [0.0524], "high": [0.3339], "clear": [True]})
    >>> rate_differences(table, a="mobile", b="desktop").layout.meta["alt"]
    'Purchase, of the step before: mobile 80.0% (56 of 70), desktop 60.0% (48 of 80), +20.0 points \
(95% interval +5.2 to +33.4), a clear difference.'
    """
    if not len(table) or not table["difference"].notna().any():
        return empty("There are no two rates to compare.", title=title)
    names = group_name(a), group_name(b)
    place = rows(len(table), 1)
    y = [centers[0] for centers in place.centers]
    headings = [_heading(row) for row in records(table)]
    layout = {
        "xaxis": _points_axis(table, names),
        "yaxis": row_axis(place, [""]),
        "annotations": heading_notes(place, headings) + _beside(table, y),
        "shapes": row_lines(place, 0.0),
        "margin_r": 56,
    }
    alt = " ".join(f"{_said(row, names)}." for row in records(table))
    height = int(place.height) + AXIS + 18
    return finished(_traces(table, y, names), layout, title=title, alt=alt, height=height)


def _heading(row: Any) -> str:
    text = f"<b>{safe(label(row.event))}</b>"
    if pd.isna(row.difference):
        return f"{text}  {_basis(row)}"
    return f"{text}  {percent(row.rate_a)} vs {percent(row.rate_b)} {_basis(row)}"


def _basis(row: Any) -> str:
    return "of all who entered" if row.denominator == "from first" else "of the step before"


def _points_axis(table: pd.DataFrame, names: tuple[str, str]) -> dict[str, Any]:
    ends = table[["low", "high", "difference"]].abs().max().max()
    reach = max(float(ends) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    a, b = (safe(short(name, _NAME)) for name in names)
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": f"← {b} higher · points · {a} higher →", "standoff": 4},
        "zeroline": False,
    }


def _traces(table: pd.DataFrame, y: list[float], names: tuple[str, str]) -> list[Any]:
    clear = table["clear"].astype(bool)
    colors = [
        REST if not sure else PALETTE[0 if difference > 0 else 1]
        for sure, difference in zip(clear, table["difference"], strict=True)
    ]
    lines = [
        go.Scatter(
            x=plain([row.low, row.high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 3 if row.clear else 2},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(table["difference"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in clear],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told(row, names)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _beside(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    notes = []
    for row, at in zip(records(table), y, strict=True):
        text = "no rate"
        if not pd.isna(row.difference):
            text = points(row.difference)
        notes.append(
            {
                "text": f"<b>{safe(text)}</b>" if row.clear else safe(text),
                "x": 1,
                "xref": "paper",
                "xanchor": "left",
                "xshift": 6,
                "y": at,
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 12, "color": INK},
            }
        )
    return notes


def _words(row: Any, names: tuple[str, str]) -> list[str]:
    if pd.isna(row.difference):
        return ["no rate to compare"]
    return [
        f"{names[0]} {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]} {share(row.k_b, row.n_b, row.rate_b)}",
        f"{points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        "a clear difference" if row.clear else "not clear of chance",
    ]


def _told(row: Any, names: tuple[str, str]) -> list[str]:
    return [f"{label(row.event)}, {_basis(row)}", *_words(row, names)]


def _said(row: Any, names: tuple[str, str]) -> str:
    head, words = f"{label(row.event)}, {_basis(row)}", _words(row, names)
    if len(words) == 1:
        return f"{head}: {words[0]}"
    return f"{head}: {', '.join(words[:3])} ({words[3]}), {words[4]}"
