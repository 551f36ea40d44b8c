"""Conversion curves: steps with a band per group, and beneath them how many were still followed.

A curve says little without the number it rests on, and at its end it often rests on few. So the
users at risk stand under the axis, and where the log can follow fewer than a tenth of a group for
so long the curve is dotted. A group that nobody followed to the end has a curve that ends earlier,
in a hollow point: it is young, not finished.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import ALL
from analysis.core.wording import count, group_name, percent
from analysis.plotting.figures_curve_words import (
    curve_said,
    median_row,
    median_said,
    median_told,
    step_told,
)
from analysis.plotting.figures_rows import shown_groups
from analysis.plotting.theme import (
    INK,
    empty,
    finished,
    group_colors,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_PLOT, _AXIS, _ROW, _HEAD = 290, 30, 20, 22


_NAME = 15


_FEW = 0.1


_CLEAR = 3


_STEPS = (1, 2, 5, 8, 10, 15, 20, 30, 60, 90, 120, 180, 365)


_MOST_TICKS = 3.5
"""After the first; more numbers of users would overlap on a phone."""


def conversion_curves(
    table: pd.DataFrame,
    *,
    medians: pd.DataFrame | None = None,
    horizon_days: float | None = None,
    title: str | None = None,
) -> go.Figure:
    """Which share has converted after which time? Steps with 95 % bands, and users at risk.

    Parameters
    ----------
    table : as `conversion_curve` returns it: a row per group and instant, ``elapsed_days``,
        ``rate, low, high`` (fractions), ``at_risk``, ``converted``, ``followed``, ``n``. Beyond
        six groups only the first ones are drawn.
    medians : rows of ``group, days, days_low, days_high, converted``: by when half of those who
        convert have done so; a diamond on the group's curve. Default: none.
    horizon_days : where the axis ends; default: where the table does.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "elapsed_days": [0.0, 2.0, 14.0], "rate": [0.0, 0.1, 0.1],
    ...     "low": [0.0, 0.05, 0.05], "high": [0.04, 0.19, 0.19], "at_risk": [90, 88, 70],
    ...     "converted": [0, 9, 9], "followed": [90, 88, 77], "n": 90})
    >>> conversion_curves(table).layout.meta["alt"]
    'After 14 days 10.0% of 90 users have converted (95% interval 5.0% to 19.0%); 70 were at risk.'
    """
    if not len(table) or not table["n"].max():
        return empty("Nobody started, or too few people to show.", title=title)
    if not table["rate"].notna().any():
        return empty("There is no rate to show.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    owns = {group: table[table["group"] == group] for group in groups}
    until = float(table["elapsed_days"].max()) if horizon_days is None else horizon_days
    unit, size = _unit(until)
    colors = group_colors(groups)
    ends = _apart([_last(own) for own in owns.values()], table)
    traces: list[Any] = []
    for (group, own), end in zip(owns.items(), ends, strict=True):
        drawn = own[own["rate"].notna()].assign(x=lambda t: t["elapsed_days"] / size)
        if len(drawn):
            traces.append(_band(drawn, colors[group], strong=len(groups) <= _CLEAR))
            traces += _curve(drawn, colors[group], group, until / size, end)
            traces += _median(drawn, medians, group, colors[group], size)
    ticks = [tick / size for tick in axis_ticks(until)]
    traces.append(_table(owns, ticks, size))
    said = [curve_said(own, group) + median_said(medians, group) for group, own in owns.items()]
    alt = " ".join([*said, *([note] if note else [])])
    height = _PLOT + _AXIS + _HEAD + _ROW * len(groups)
    layout = _layout(table, owns, (ticks, until / size, unit), height)
    return finished(traces, layout, title=title, alt=alt, height=height)


def _unit(days: float) -> tuple[str, float]:
    """The unit of the axis and its length in days."""
    if days >= 2:
        return "days", 1.0
    return ("hours", 1 / 24) if days >= 1 / 12 else ("minutes", 1 / 1440)


def axis_ticks(until_days: float) -> list[float]:
    """At which times (days) the axis has its numbers; the table should have a row at each.

    Examples
    --------
    >>> axis_ticks(30.0), axis_ticks(7.0)
    ([0.0, 10.0, 20.0, 30.0], [0.0, 2.0, 4.0, 6.0])
    """
    _, size = _unit(until_days)
    until = until_days / size
    step = next((s for s in _STEPS if until / s <= _MOST_TICKS), until / 2)
    return [i * step * size for i in range(int(until / step + 1e-9) + 1)]


def _last(own: pd.DataFrame) -> float:
    known = own["rate"].dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")


def _upper(table: pd.DataFrame) -> float:
    # A wide interval at the very start would flatten every curve.
    top = table.groupby("group", sort=False)[["rate", "high"]].last().max().max()
    return min(max(float(table["rate"].max()) * 1.2, float(top) * 1.05, 0.01), 1.02)


def _apart(ends: list[float], table: pd.DataFrame) -> list[float]:
    """Heights of the words at the ends of the curves, moved so that they do not overlap."""
    gap = _upper(table) * 19 / _PLOT
    order = sorted((i for i, y in enumerate(ends) if y == y), key=lambda i: ends[i])
    placed = list(ends)
    for before, i in itertools.pairwise(order):
        placed[i] = max(placed[i], placed[before] + gap)
    return placed


def _curve(own: pd.DataFrame, color: str, group: Any, until: float, end: float) -> list[Any]:
    """The curve (dotted where few are followed), its end, and its number."""
    thin = own["followed"] < _FEW * own["n"]
    # From the last step that many were followed to.
    first = max(int(np.argmax(thin)) - 1, 0) if thin.any() else len(own)
    parts = [(own.iloc[: first + 1], "solid"), (own.iloc[first:], "dot")]
    traces: list[Any] = []
    for part, dash in parts:
        if len(part):
            traces.append(
                go.Scatter(
                    x=plain(part["x"]),
                    y=plain(part["rate"]),
                    mode="lines",
                    line={"color": color, "width": 2.2, "shape": "hv", "dash": dash},
                    name=safe(group_name(group)),
                    hovertext=[safe_lines(step_told(row)) for row in records(part)],
                    hoverinfo="text",
                )
            )
    return [*traces, _ending(own.iloc[-1], color, group, until, end)]


def _band(own: pd.DataFrame, color: str, *, strong: bool) -> go.Scatter:
    """The interval of every step, level until the next; pale where many lie over one another."""
    known = own[own["low"].notna() & own["high"].notna()]
    x = [v for v in known["x"] for _ in (0, 1)][1:]
    low, high = ([v for v in known[side] for _ in (0, 1)][:-1] for side in ("low", "high"))
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=plain([*x, *reversed(x)]),
        y=plain([*high, *reversed(low)]),
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, {0.16 if strong else 0.07})",
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
    )


def _ending(last: pd.Series, color: str, group: Any, until: float, end: float) -> go.Scatter:
    early = last["x"] < until * (1 - 1e-9)
    name = "" if group == ALL else f" {short(group_name(group), _NAME)}"
    # The mark stands on the curve; its words beside it, moved where they would overlap.
    return go.Scatter(
        x=plain([last["x"], last["x"]]),
        y=plain([last["rate"], end]),
        mode="markers+text",
        marker={
            "color": color,
            "size": [9, 1],
            "opacity": [1, 0],
            "symbol": "circle-open" if early else "circle",
            "line": {"width": 2, "color": color},
        },
        text=["", f"&nbsp;&nbsp;<b>{safe(percent(last['rate']))}</b>{safe(name)}"],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _median(
    drawn: pd.DataFrame, medians: pd.DataFrame | None, group: Any, color: str, size: float
) -> list[go.Scatter]:
    """The time by which half of the converters have converted, as a diamond on the curve."""
    row = median_row(medians, group)
    if row is None:
        return []
    reached = drawn[drawn["elapsed_days"] <= row["days"] + 1e-9]
    low, high = row["days"] - row["days_low"], row["days_high"] - row["days"]
    return [
        go.Scatter(
            x=plain([row["days"] / size]),
            y=plain([reached["rate"].iloc[-1]]),
            mode="markers",
            marker={"color": color, "size": 10, "symbol": "diamond"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": plain([high / size]),
                "arrayminus": plain([low / size]),
                "color": INK,
                "thickness": 1.4,
                "width": 4,
            },
            hovertext=[safe_lines(median_told(row))],
            hoverinfo="text",
            cliponaxis=False,
        )
    ]


def _table(owns: dict[Any, pd.DataFrame], ticks: list[float], size: float) -> go.Scatter:
    """Users at risk at every tick, a row per group, on the lower axis."""
    x, y, text = [], [], []
    for place, own in enumerate(owns.values()):
        for tick in ticks:
            later = own[own["elapsed_days"] >= tick * size - 1e-9]
            x.append(tick)
            y.append(float(place))
            text.append(count(later["at_risk"].iloc[0]) if len(later) else "0")
    return go.Scatter(
        x=plain(x),
        y=y,
        text=text,
        mode="text",
        textfont={"size": 12, "color": INK},
        yaxis="y2",
        hoverinfo="skip",
        cliponaxis=False,
    )


def _layout(
    table: pd.DataFrame,
    owns: dict[Any, pd.DataFrame],
    axis: tuple[list[float], float, str],
    height: int,
) -> dict[str, Any]:
    ticks, until, unit = axis
    inner = height - 8
    beneath = _ROW * len(owns) / inner
    names = ["" if g == ALL else safe(short(group_name(g), _NAME)) for g in owns]
    return {
        "xaxis": {
            "range": [0, until],
            "tickvals": plain(ticks),
            "ticktext": [*(f"{tick:g}" for tick in ticks[:-1]), f"{ticks[-1]:g} {unit}"],
            "anchor": "y",
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {
            "range": [0, _upper(table)],
            "domain": [beneath + (_AXIS + _HEAD) / inner, 1],
            "tickformat": ",.1~%",
            "nticks": 6,
        },
        "yaxis2": {
            "range": [len(owns) - 0.5, -0.5],
            "domain": [0, beneath],
            "tickvals": list(range(len(owns))),
            "ticktext": names,
            # The first number stands around the start of the axis, not behind it.
            "ticklabelstandoff": 22,
            "showgrid": False,
            "zeroline": False,
        },
        "annotations": [
            {
                "text": "<b>users at risk</b>",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "xshift": -16,
                "y": beneath,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12},
            }
        ],
        "margin_r": 64 if len(owns) == 1 else 118,
    }
