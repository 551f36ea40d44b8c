"""What is drawn of engagement: levels as bars; how much more often the engaged do each thing."""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.wording import count, percent, share
from analysis.plotting.theme import (
    AXIS,
    DOWN,
    REST,
    UP,
    Bar,
    bars_under_headings,
    edge_note,
    empty,
    finished,
    heading_notes,
    percent_axis,
    plain,
    row_axis,
    row_lines,
    rows,
    safe,
    safe_lines,
    short,
)

_MOST_NAME: Final = 30
_TICKS: Final = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0)


def level_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many people has each level, and what are they like?

    Parameters
    ----------
    table : a row per level: ``level, score_low, score_high, k, n, rate, low, high``, and the
        medians ``recency_days, sessions, depth, diversity``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "level": ["high"], "score_low": [61.0], "score_high": [98.0], "k": [20], "n": [60],
    ...     "rate": [1 / 3], "low": [0.23], "high": [0.46], "recency_days": [3.0],
    ...     "sessions": [4.0], "depth": [2.5], "diversity": [5.0]})
    >>> level_bars(table).layout.meta["alt"]
    'High: score 61 to 98, 33.3% (20 of 60), median 4 sessions, 2.5 micro conversions per session, \
5 different ones.'
    """
    known = table[table["k"] > 0]
    if not len(known):
        return empty("Nobody was seen.", title=title)
    bars, alt = [], []
    for row in records(known.iloc[::-1]):
        span = f"score {row.score_low:.0f} to {row.score_high:.0f}"
        many = share(row.k, row.n, row.rate)
        like = (
            f"median {row.sessions:g} sessions, {row.depth:.3g} micro conversions per session, "
            f"{row.diversity:g} different ones"
        )
        interval = f"95% interval {percent(row.low)} to {percent(row.high)}"
        words = f"{percent(row.rate)} · {count(row.k)} · {span}"
        hover = [f"{row.level} engagement", span, many, interval, like]
        bars.append(Bar(row.level, row.rate, row.low, row.high, words, hover))
        alt.append(f"{row.level.capitalize()}: {span}, {many}, {like}.")
    upper = float(known["high"].max())
    axis = percent_axis(min(1.0, upper)) | {"range": [0, upper * 2.6]}
    heading = [("Level of engagement, of all people", bars)]
    return bars_under_headings(heading, axis, alt=" ".join(alt), title=title)


def engagement_ratios(
    table: pd.DataFrame, trends: pd.DataFrame, *, title: str | None = None
) -> go.Figure:
    """How many times as often as the little engaged do the highly engaged do it?

    Parameters
    ----------
    table : a row per event and level: ``event, level, per_100, n``.
    trends : a row per event: ``event, label, role, unit, ratio, ratio_low, ratio_high, trend``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"event": "share", "level": ["low", "high"], "per_100": [2.0, 6.0],
    ...                       "n": [50, 50]})
    >>> trends = pd.DataFrame({
    ...     "event": ["share"], "label": ["Shared"], "role": "secondary", "unit": "sessions",
    ...     "ratio": [3.0], "ratio_low": [2.0], "ratio_high": [4.5], "trend": ["rises"]})
    >>> engagement_ratios(table, trends).layout.meta["alt"]
    'Shared: 2.0 per 100 sessions at low engagement (50 people), 6.0 at high (50 people), 3.0 \
times as often (95% interval 2.0 to 4.5), rises.'
    """
    shown = trends[trends["ratio"].notna() & (trends["ratio"] > 0)]
    if not len(shown):
        return empty("There are too few events to compare levels.", title=title)
    order = {"milestone": 0, "secondary": 1, "adverse": 2, "control": 3}
    rank = shown["role"].map(order).fillna(4)
    shown = shown.assign(rank=rank).sort_values(
        ["rank", "ratio"], ascending=[True, False], kind="stable"
    )
    wide = {key: own.set_index("level") for key, own in table.groupby("event")}
    place = rows(len(shown), 1)
    y = [centers[0] for centers in place.centers]
    names = [f"<b>{safe(short(_heading(row), _MOST_NAME))}</b>" for row in records(shown)]
    beside = [
        edge_note(
            f"{_one(wide[row.event], 'low')} → {_one(wide[row.event], 'high')}",
            at,
            strong=row.trend != "unclear",
        )
        for row, at in zip(records(shown), y, strict=True)
    ]
    above = edge_note("per 100, low → high", -8.0, reach=104)
    layout = {
        "xaxis": _axis(shown),
        "yaxis": row_axis(place, [""]) | {"range": [place.height, -18]},
        "annotations": [*heading_notes(place, names), *beside, above],
        "shapes": row_lines(place, 1.0),
        "margin_r": 108,
    }
    alt = " ".join(f"{_caption(row, wide[row.event])}." for row in records(shown))
    rest = len(trends) - len(shown)
    alt += f" {rest} more with too few people or events to show." if rest else ""
    height = int(place.height) + AXIS + 36
    return finished(_traces(shown, y, wide), layout, title=title, alt=alt, height=height)


def _heading(row: Any) -> str:
    return f"{row.label} · control" if row.role == "control" else str(row.label)


def _one(levels: pd.DataFrame, level: str) -> str:
    return f"{levels['per_100'][level]:.1f}"


def _axis(table: pd.DataFrame) -> dict[str, Any]:
    low = min(float(table["ratio_low"].min()), 0.9) * 0.85
    high = max(float(table["ratio_high"].max()), 1.1) * 1.1
    ticks = [tick for tick in _TICKS if low <= tick <= high]
    return {
        "type": "log",
        "range": plain([math.log10(low), math.log10(high)]),
        "tickvals": ticks,
        "ticktext": [f"{tick:g}×" for tick in ticks],
        "title": {"text": "rate at high engagement ÷ rate at low", "standoff": 4},
    }


def _traces(table: pd.DataFrame, y: list[float], wide: dict[Any, pd.DataFrame]) -> list[Any]:
    color_of = {"rises": UP, "falls": DOWN}
    colors = [color_of.get(row.trend, REST) for row in records(table)]
    lines: list[Any] = [
        go.Scatter(
            x=plain([row.ratio_low, row.ratio_high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 2 if color == REST else 3},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(table["ratio"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle-open" if c == REST else "circle" for c in colors],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[
            safe_lines([_heading(row), *_parts(row, wide[row.event]), row.trend])
            for row in records(table)
        ],
        hoverinfo="text",
    )
    return [*lines, dots]


def _caption(row: Any, levels: pd.DataFrame) -> str:
    low, high, times, interval = _parts(row, levels)
    return f"{row.label}: {low}, {high}, {times} ({interval}), {row.trend}"


def _parts(row: Any, levels: pd.DataFrame) -> list[str]:
    low, high = (count(levels["n"][level]) for level in ("low", "high"))
    return [
        f"{_one(levels, 'low')} per 100 {row.unit} at low engagement ({low} people)",
        f"{_one(levels, 'high')} at high ({high} people)",
        f"{row.ratio:.1f} times as often",
        f"95% interval {row.ratio_low:.1f} to {row.ratio_high:.1f}",
    ]
