"""Ratios with their intervals under headings, on a scale of factors around a line of 1.

A factor of two up is as far from 1 as a factor of two down, so the scale is logarithmic. Each
row's number stands at the right end with its interval. What is filled lies clear of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import plotly.graph_objects as go

from analysis.core.ratio_words import times
from analysis.plotting.figures_rows import (
    AXIS,
    GAP,
    HEADING,
    ROW,
    Rows,
    heading_notes,
    row_axis,
    row_lines,
)
from analysis.plotting.theme import empty, finished, plain, safe, safe_lines

_WIDEST = 40.0


_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)


_NAME = 15


_NUMBERS = 132


class Mark(NamedTuple):
    """A ratio and its interval; `lines` are shown on hover, the first one as a heading."""

    ratio: float
    low: float
    high: float
    color: str
    lines: list[str]
    filled: bool = True


class Row(NamedTuple):
    """A named row of one mark, or of several that share it; `beside` stands at its end."""

    name: str
    marks: Sequence[Mark]
    beside: str


class Block(NamedTuple):
    """A heading and its rows; plain text."""

    heading: str
    rows: Sequence[Row]


def forest(
    blocks: Sequence[Block], *, axis: str, alt: str, title: str | None = None, nothing: str = ""
) -> go.Figure:
    """Rows of ratios under headings, with a line at 1.

    Parameters
    ----------
    axis : what the scale says. alt : the numbers in words. nothing : what to say where there is
        no ratio to draw.

    Examples
    --------
    >>> row = Row("adjusted", [Mark(1.5, 1.2, 1.9, "#0072B2", ["Video"])], "1.50 (1.20–1.90)")
    >>> forest([Block("Video", [row])], axis="odds ratio", alt="Video 1.5.").layout.meta["alt"]
    'Video 1.5.'
    """
    marks = [mark for block in blocks for row in block.rows for mark in row.marks]
    if not any(math.isfinite(mark.ratio) for mark in marks):
        return empty(nothing or "There is no ratio to show.", title=title)
    place = _places(blocks)
    low, high = _reach(marks)
    names = [row.name for block in blocks for row in block.rows]
    layout = {
        "xaxis": _axis(low, high, axis),
        "yaxis": row_axis(place, [""]) | _names(place, names),
        "annotations": heading_notes(place, [f"<b>{safe(block.heading)}</b>" for block in blocks])
        + _beside(blocks, place),
        "shapes": row_lines(place, 0.0),
        "margin_r": _NUMBERS,
    }
    height = int(place.height) + AXIS + 18
    traces = _traces(blocks, place, low, high)
    return finished(traces, layout, title=title, alt=alt, height=height)


def clear_of_one(low: float, high: float) -> bool:
    """Does the interval leave 1 out?"""
    return low > 1 or high < 1


def numbers(ratio: float, low: float, high: float) -> str:
    """A ratio and its interval as they stand at the end of a row.

    Examples
    --------
    >>> numbers(1.5, 1.2, 1.9), numbers(float("nan"), float("nan"), float("nan"))
    ('1.50 (1.20–1.90)', 'too few')
    """
    return "too few" if math.isnan(ratio) else f"{times(ratio)} ({times(low)}–{times(high)})"


def _places(blocks: Sequence[Block]) -> Rows:
    top, centers, headings = 0.0, [], []
    for block in blocks:
        headings.append(top + HEADING / 2)
        centers.append([top + HEADING + (j + 0.5) * ROW for j in range(len(block.rows))])
        top += HEADING + len(block.rows) * ROW + GAP
    return Rows(centers, headings, top)


def _names(place: Rows, names: Sequence[str]) -> dict[str, Any]:
    flat = [y for centers in place.centers for y in centers]
    cut = [name if len(name) <= _NAME else name[: _NAME - 1] + "…" for name in names]
    return {"tickvals": flat, "ticktext": [safe(name) for name in cut]}


def _reach(marks: Sequence[Mark]) -> tuple[float, float]:
    """The ends of the scale in logarithms: all intervals, but no further than a factor of 40."""
    known = [mark for mark in marks if math.isfinite(mark.ratio)]
    ends = [x for m in known for x in (m.low, m.ratio, m.high) if math.isfinite(x) and x > 0]
    low = max(min([*ends, 0.8]), 1 / _WIDEST)
    high = min(max([*ends, 1.25]), _WIDEST)
    room = 0.04 * math.log(high / low)
    return math.log(low) - room, math.log(high) + room


def _axis(low: float, high: float, title: str) -> dict[str, Any]:
    inside = [tick for tick in _TICKS if low <= math.log(tick) <= high]
    ticks = [1.0]
    for tick in sorted(inside, key=lambda t: abs(math.log(t))):
        apart = min(abs(math.log(tick / other)) for other in ticks)
        if apart > (high - low) / 7:
            ticks.append(tick)
    return {
        "range": [low, high],
        "tickvals": plain(math.log(tick) for tick in sorted(ticks)),
        "ticktext": [f"{tick:g}" for tick in sorted(ticks)],
        "title": {"text": safe(title), "standoff": 4},
        "zeroline": False,
    }


def _beside(blocks: Sequence[Block], place: Rows) -> list[dict[str, Any]]:
    return [
        {
            "text": safe(row.beside),
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 6,
            "y": y,
            "yanchor": "middle",
            "showarrow": False,
            "font": {"size": 12},
        }
        for block, centers in zip(blocks, place.centers, strict=True)
        for row, y in zip(block.rows, centers, strict=True)
    ]


def _traces(blocks: Sequence[Block], place: Rows, low: float, high: float) -> list[Any]:
    lines, points = [], []
    for block, centers in zip(blocks, place.centers, strict=True):
        for row, y in zip(block.rows, centers, strict=True):
            for mark in row.marks:
                if not math.isfinite(mark.ratio):
                    continue
                points.append((mark, y))
                # Several marks in a row are a cloud: their intervals would hide each other.
                if len(row.marks) == 1 and mark.low > 0:
                    lines.append(_line(mark, y, low, high))
    dots = go.Scatter(
        mode="markers",
        x=plain(min(max(math.log(mark.ratio), low), high) for mark, _ in points),
        y=[y for _, y in points],
        marker={
            "size": 10,
            "color": [mark.color for mark, _ in points],
            "symbol": ["circle" if mark.filled else "circle-open" for mark, _ in points],
            "line": {"width": 2, "color": [mark.color for mark, _ in points]},
        },
        hovertext=[safe_lines(mark.lines) for mark, _ in points],
        hoverinfo="text",
    )
    return [*lines, dots]


def _line(mark: Mark, y: float, low: float, high: float) -> go.Scatter:
    ends = [min(max(math.log(limit), low), high) for limit in (mark.low, mark.high)]
    return go.Scatter(
        x=plain(ends),
        y=[y, y],
        mode="lines",
        line={"color": mark.color, "width": 3 if mark.filled else 2},
        hoverinfo="skip",
    )
