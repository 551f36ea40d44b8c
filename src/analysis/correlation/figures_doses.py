"""Once, twice, three times: odds ratio by how often it was done before, a panel per event.

The line is the nearest curve that never falls. Points off it are what chance, or a curve that does
fall, makes of it; their intervals tell which.
"""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import times, with_interval
from analysis.core.wording import count, share
from analysis.plotting.theme import (
    INK,
    PALETTE,
    REST,
    TOO_FEW,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
)

_MOST = 6


_PANEL, _HEAD, _FOOT = 118, 50, 44


_TICKS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 25.0)


def dose_curves(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Does doing it again go with more conversions?

    Parameters
    ----------
    table : a row per event and level as `dose_table` gives them: ``label, level, k, n,
        odds_ratio, low, high, rising``. The first six events are drawn.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": "video", "label": "Video", "level": ["0", "1"], "k": [50, 20],
    ...     "n": [9000, 1500], "odds_ratio": [1.0, 1.5], "low": [None, 1.2], "high": [None, 1.9],
    ...     "rising": [1.0, 1.5]})
    >>> dose_curves(table).layout.meta["alt"]
    'Video, 1 time: odds ratio 1.50 (95% interval 1.20 to 1.90), 1.3% (20 of 1,500) of the \
periods; never done 0.56% (50 of 9,000).'
    """
    numbers = ["odds_ratio", "low", "high", "rising"]
    table = table.assign(**{name: table[name].astype(float) for name in numbers})
    told = table.loc[(table["level"] != "0") & table["odds_ratio"].notna(), "event"]
    events = [name for name in dict.fromkeys(table["event"]) if name in set(told)][:_MOST]
    if not events:
        return empty("There is no odds ratio to show: too few conversions.", title=title)
    height = len(events) * (_PANEL + _HEAD) + _FOOT
    low, high = _ends(table[table["event"].isin(events)])
    traces: list[Any] = []
    notes: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, event in enumerate(events):
        own = records(table[table["event"] == event])
        top = 1 - (i * (_PANEL + _HEAD) + _HEAD) / height
        bottom = top - _PANEL / height
        axis = "" if i == 0 else str(i + 1)
        layout[f"yaxis{axis}"] = _scale(low, high) | {"domain": [max(bottom, 0.0), top]}
        layout[f"xaxis{axis}"] = _levels(own, last=i == len(events) - 1) | {"anchor": f"y{axis}"}
        traces += _panel(own, axis)
        notes.append(_heading(own[0].label, top))
    alt = " ".join(_said(records(table[table["event"] == event])) for event in events)
    layout["annotations"] = notes
    return finished(traces, layout, title=title, alt=alt, height=height)


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    known = pd.concat([table["low"], table["high"], table["odds_ratio"]]).dropna()
    logs = [math.log(min(max(x, 0.05), 40.0)) for x in known if x > 0]
    low, high = min([*logs, -0.2]), max([*logs, 0.2])
    return low - 0.1 * (high - low), high + 0.22 * (high - low)


def _scale(low: float, high: float) -> dict[str, Any]:
    ticks = [tick for tick in _TICKS if low <= math.log(tick) <= high]
    return {
        "range": [low, high],
        "tickvals": plain(math.log(tick) for tick in ticks),
        "ticktext": [f"{tick:g}" for tick in ticks],
        "zeroline": True,
        "zerolinecolor": INK,
    }


def _levels(own: list[Any], *, last: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "range": [-0.4, len(own) - 0.6],
        "tickvals": list(range(len(own))),
        "ticktext": [row.level for row in own],
        "showgrid": False,
        "zeroline": False,
    }
    if last:
        axis["title"] = {"text": "times done before", "standoff": 4}
    return axis


def _heading(label: str, top: float) -> dict[str, Any]:
    return {
        "text": f"<b>{safe(label)}</b>",
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _log(x: float) -> float:
    return math.log(x) if x > 0 else math.nan


def _panel(own: list[Any], axis: str) -> list[Any]:
    place = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    x = list(range(len(own)))
    y = [_log(row.odds_ratio) for row in own]
    curve = go.Scatter(
        x=x,
        y=plain(_log(row.rising) for row in own),
        mode="lines",
        line={"color": REST, "width": 2, "dash": "dot"},
        hoverinfo="skip",
        **place,
    )
    points = go.Scatter(
        x=x,
        y=plain(y),
        mode="markers",
        marker={"size": 10, "color": [REST, *[PALETTE[0]] * (len(own) - 1)]},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": plain(_log(row.high) - at for row, at in zip(own, y, strict=True)),
            "arrayminus": plain(at - _log(row.low) for row, at in zip(own, y, strict=True)),
            "color": PALETTE[0],
            "thickness": 1.6,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row)) for row in own],
        hoverinfo="text",
        cliponaxis=False,
        **place,
    )
    done = [row for row in own if row.level != "0"]
    words = go.Scatter(
        x=[own.index(row) for row in done],
        y=plain(_log(row.high) if row.high == row.high else 0.0 for row in done),
        mode="text",
        text=[
            safe(times(row.odds_ratio)) if row.odds_ratio == row.odds_ratio else "too few"
            for row in done
        ],
        textposition="top center",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
        **place,
    )
    return [curve, points, words]


def _times(level: str) -> str:
    return {"0": "never", "1": "1 time", "3+": "3 times or more"}.get(level, f"{level} times")


def _told(row: Any) -> list[str]:
    name = f"{row.label}, {_times(row.level)}"
    if pd.isna(row.k):
        return [name, TOO_FEW]
    lines = [name, f"converted in {_share(row)} periods of users at risk"]
    if row.level == "0":
        return [*lines, "what the others are compared with"]
    return [*lines, f"odds ratio {with_interval(row.odds_ratio, row.low, row.high)}"]


def _share(row: Any) -> str:
    if pd.isna(row.k):
        return TOO_FEW
    return share(row.k, row.n, row.k / row.n) if row.n else f"none of {count(row.n)}"


def _said(own: list[Any]) -> str:
    said = [
        f"{_times(row.level)}: odds ratio {with_interval(row.odds_ratio, row.low, row.high)}, "
        f"{_share(row)} of the periods"
        for row in own
        if row.level != "0" and row.odds_ratio == row.odds_ratio
    ]
    return f"{own[0].label}, {'; '.join(said)}; never done {_share(own[0])}."
