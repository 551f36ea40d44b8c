"""Who is in which sets at once? UpSet: a row per combination, its sets as dots, its size as a bar.

Lex, Gehlenborg, Strobelt, Vuillemot & Pfister 2014, *IEEE TVCG* 20:1983, turned so that rows run
down a page: beyond three sets overlapping circles cannot be drawn to size, and rows can.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, label, listed, percent, share
from analysis.plotting.figures_rows import AXIS, ROW, percent_axis
from analysis.plotting.theme import (
    GRID,
    INK,
    PALETTE,
    TOO_FEW,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

MOST_ROWS = 20


_MATRIX = 0.34


_HEAD = 112


_NAME = 20


def upset(table: pd.DataFrame, sets: tuple[str, ...], *, title: str | None = None) -> go.Figure:
    """How many people are in each combination of sets, and in no other?

    Parameters
    ----------
    table : a row per combination, largest first: a boolean column per set, numbered ``set_1`` …,
        and ``k, n, rate, low, high``. sets : their names. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"set_1": [True, True], "set_2": [False, True], "k": [30, 10],
    ...     "n": 100, "rate": [0.3, 0.1], "low": [0.22, 0.06], "high": [0.4, 0.17]})
    >>> upset(table, ("Carts", "Readers")).layout.meta["alt"]
    'Only Carts: 30.0% (30 of 100). Carts and Readers: 10.0% (10 of 100).'
    """
    if not len(table):
        return empty("Nobody is in any of these sets.", title=title)
    shown = table.head(MOST_ROWS)
    y = [(i + 0.5) * ROW for i in range(len(shown))]
    upper = float(shown["high"].max())
    layout = {
        "xaxis": {"domain": [0, _MATRIX], "range": [-0.6, len(sets) - 0.4], "visible": False},
        "xaxis2": _axis(upper if upper == upper else 1.0),
        "yaxis": {"range": [len(shown) * ROW, 0], "visible": False},
        "annotations": _names(sets),
        "bargap": 0.3,
    }
    traces = [_rest(len(sets), y), *_dots(shown, len(sets), y), *_bars(shown, sets, y)]
    alt = " ".join(f"{_who(row, sets)}: {_many(row)}." for row in records(shown))
    rest = len(table) - len(shown)
    alt += f" {rest} smaller combinations are not drawn." if rest else ""
    figure = finished(traces, layout, title=title, alt=alt, height=len(shown) * ROW + AXIS + _HEAD)
    return figure.update_layout(margin_t=_HEAD + (40 if title else 8))


def _axis(upper: float) -> dict[str, Any]:
    # Room for the words behind the longest whisker.
    room = {"domain": [_MATRIX + 0.02, 1], "range": [0, upper * 1.7], "anchor": "y"}
    return percent_axis(max(upper, 0.01)) | room


def _names(sets: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "text": safe(short(label(name), _NAME)),
            "x": i,
            "xref": "x",
            "y": 1,
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "bottom",
            "textangle": -50,
            "xshift": -4,
            "showarrow": False,
            "font": {"size": 12},
        }
        for i, name in enumerate(sets)
    ]


def _rest(sets: int, y: list[float]) -> go.Scatter:
    return go.Scatter(
        mode="markers",
        x=[i for _ in y for i in range(sets)],
        y=[at for at in y for _ in range(sets)],
        marker={"size": 9, "color": GRID},
        hoverinfo="skip",
    )


def _dots(table: pd.DataFrame, sets: int, y: list[float]) -> list[Any]:
    traces = []
    for row, at in zip(records(table), y, strict=True):
        inside = [i for i in range(sets) if getattr(row, f"set_{i + 1}")]
        traces.append(
            go.Scatter(
                mode="lines+markers",
                x=inside,
                y=[at] * len(inside),
                marker={"size": 10, "color": PALETTE[0]},
                line={"width": 2.5, "color": PALETTE[0]},
                hoverinfo="skip",
            )
        )
    return traces


def _bars(table: pd.DataFrame, sets: tuple[str, ...], y: list[float]) -> list[Any]:
    bars = go.Bar(
        orientation="h",
        x=plain(table["rate"]),
        y=y,
        xaxis="x2",
        width=ROW - 7,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain(table["high"] - table["rate"]),
            "arrayminus": plain(table["rate"] - table["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row, sets)) for row in records(table)],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(table["high"].fillna(0)),
        y=y,
        xaxis="x2",
        text=[f"&nbsp;&nbsp;{safe(_beside(row))}" for row in records(table)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    return [bars, words]


def _beside(row: Any) -> str:
    return TOO_FEW if pd.isna(row.k) else f"{percent(row.rate)} · {count(row.k)}"


def _many(row: Any) -> str:
    return TOO_FEW if pd.isna(row.k) else share(row.k, row.n, row.rate)


def _who(row: Any, sets: tuple[str, ...]) -> str:
    inside = [label(name) for i, name in enumerate(sets) if getattr(row, f"set_{i + 1}")]
    if len(inside) == 1:
        return f"Only {inside[0]}"
    return listed(inside) if inside else "None of them"


def _told(row: Any, sets: tuple[str, ...]) -> list[str]:
    lines = [_who(row, sets), _many(row)]
    if not pd.isna(row.k):
        lines.append(f"95% interval {percent(row.low)} to {percent(row.high)}")
    return lines
