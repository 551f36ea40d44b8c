"""Small actions: how many of those who entered did each, and how many of these converted.

The two rates stand under one another with their intervals and counts. Beside them stands the rate
of everybody, as a line. What goes together is shown; what causes what is not.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, label, percent, share
from analysis.plotting.figures_rows import (
    AXIS,
    heading_notes,
    percent_axis,
    row_axis,
    row_lines,
    rows,
)
from analysis.plotting.theme import (
    INK,
    PALETTE,
    TOO_FEW,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
)

_NAMES = ("did it", "converted")


def micro_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many did each small action, and how often did those who did it convert?

    Parameters
    ----------
    table : a row per action: ``event``, ``k`` of ``n`` users did it (``rate, low, high``),
        ``macro_k`` of these converted (``macro_rate, macro_low, macro_high``), and ``all_rate``,
        the rate of everybody. Rates are fractions.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["video_start"], "k": [40], "n": [200], "rate": [0.2], "low": [0.15],
    ...     "high": [0.261], "macro_k": [8], "macro_rate": [0.2], "macro_low": [0.105],
    ...     "macro_high": [0.348], "all_k": [20], "all_rate": [0.1]})
    >>> micro_bars(table).layout.meta["alt"]
    'Of everybody 10.0% (20 of 200) converted. Video start: 20.0% (40 of 200) did it, of these \
20.0% (8 of 40) converted.'
    """
    if not len(table):
        return empty("None of these actions was done.", title=title)
    if not table["n"].fillna(0).max():
        return empty("Nobody who entered has had the whole time to convert yet.", title=title)
    place = rows(len(table), 2)
    upper = float(table[["high", "macro_high", "all_rate"]].max().max())
    # Room for the words behind the longest whisker, and never a chart of one percent only.
    axis = percent_axis(min(1.0, max(upper * 1.45, 0.05)) if upper == upper else 1.0)
    did = [centers[0] for centers in place.centers]
    converted = [centers[1] for centers in place.centers]
    everybody = float(table["all_rate"].iloc[0])
    layout = {
        "xaxis": axis,
        "yaxis": row_axis(place, _NAMES),
        "annotations": heading_notes(
            place, [f"<b>{safe(label(event))}</b>" for event in table["event"]]
        ),
        "shapes": row_lines(place, everybody, dash="dot") if everybody == everybody else [],
    }
    traces = [
        _bars(table, did),
        _dots(table, converted),
        _words(table["high"], did, [_share(r.k, r.n, r.rate) for r in records(table)]),
        _words(
            table["macro_high"],
            converted,
            [_share(r.macro_k, r.k, r.macro_rate) if r.k else "" for r in records(table)],
        ),
    ]
    height = int(place.height) + AXIS
    return finished(traces, layout, title=title, alt=_alt(table), height=height)


def _interval(rate: pd.Series, low: pd.Series, high: pd.Series) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": plain(high - rate),
        "arrayminus": plain(rate - low),
        "thickness": 1.4,
        "width": 4,
    }


def _bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=plain(table["rate"]),
        y=y,
        width=15,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x=_interval(table["rate"], table["low"], table["high"]) | {"color": INK},
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )


def _dots(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    whiskers = _interval(table["macro_rate"], table["macro_low"], table["macro_high"])
    return go.Scatter(
        mode="markers",
        x=plain(table["macro_rate"]),
        y=y,
        marker={"color": PALETTE[0], "size": 10},
        error_x=whiskers | {"color": PALETTE[0]},
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )


def _words(at: pd.Series, y: list[float], texts: list[str]) -> go.Scatter:
    return go.Scatter(
        mode="text",
        x=plain(at.fillna(0)),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(text)}" for text in texts],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _share(k: float, n: float, rate: float) -> str:
    if pd.isna(k):
        return TOO_FEW
    return f"{percent(rate)} · {count(k)}" if n else "nobody"


def _told(row: Any) -> list[str]:
    lines = [label(row.event)]
    if pd.isna(row.k):
        return [*lines, TOO_FEW]
    lines += [
        f"did it: {share(row.k, row.n, row.rate)}",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
    ]
    if pd.isna(row.macro_k):
        return [*lines, f"converted: {TOO_FEW}"]
    if row.k:
        lines += [
            f"of these converted: {share(row.macro_k, row.k, row.macro_rate)}",
            f"95% interval {percent(row.macro_low)} to {percent(row.macro_high)}",
            f"of everybody: {share(row.all_k, row.n, row.all_rate)}",
        ]
    return lines


def _alt(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    said = [f"Of everybody {share(first['all_k'], first['n'], first['all_rate'])} converted."]
    for row in records(table):
        if pd.isna(row.k):
            said.append(f"{label(row.event)}: {TOO_FEW}.")
            continue
        words = f"{label(row.event)}: {share(row.k, row.n, row.rate)} did it"
        if pd.isna(row.macro_k):
            words += f"; of these {TOO_FEW} converted"
        elif row.k:
            words += f", of these {share(row.macro_k, row.k, row.macro_rate)} converted"
        said.append(words + ".")
    return " ".join(said)
