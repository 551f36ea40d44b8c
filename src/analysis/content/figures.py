"""What is drawn of contents: pooled rates as points with intervals, the crude rates as rings."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.wording import count, percent, share
from analysis.plotting.theme import (
    AXIS,
    DOWN,
    INK,
    REST,
    UP,
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

MOST_ROWS: Final = 16

_MOST_NAME: Final = 34
_COLORS: Final = {"more": UP, "less": DOWN}
_VERDICTS: Final = {
    "more": "above a typical one",
    "less": "below a typical one",
    "unclear": "not clear",
}


def pooled_rates(table: pd.DataFrame, typical: float, *, title: str | None = None) -> go.Figure:
    """Which values are seen by people who then convert, given what all values are like?

    Parameters
    ----------
    table : a row per value: ``value, k, n, rate, pooled, pooled_low, pooled_high, verdict``; rows
        without a pooled rate are left out, and of more than 16 the middle ones.
    typical : the rate of a typical value, as a line. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "value": ["sizes"], "k": [40], "n": [400], "rate": [0.1], "pooled": [0.09],
    ...     "pooled_low": [0.07], "pooled_high": [0.12], "verdict": ["more"]})
    >>> pooled_rates(table, 0.05).layout.meta["alt"]
    'A typical value: 5.0%. sizes: pooled 9.0% (95% interval 7.0% to 12.0%), counted 10.0% (40 of \
400), above a typical one.'
    """
    known = table[table["pooled"].notna()]
    if not len(known):
        return empty("There are too few people to compare values.", title=title)
    half = MOST_ROWS // 2
    shown = known if len(known) <= MOST_ROWS else pd.concat([known.head(half), known.tail(half)])
    place = rows(len(shown), 1)
    y = [centers[0] for centers in place.centers]
    names = [f"<b>{safe(short(row.value, _MOST_NAME))}</b>" for row in records(shown)]
    beside = [
        edge_note(f"{percent(row.pooled)} · {count(row.n)}", at, strong=row.verdict != "unclear")
        for row, at in zip(records(shown), y, strict=True)
    ]
    left = len(known) - len(shown)
    words = f"; the {half} highest and {half} lowest of {len(known)}" if left else ""
    layout = {
        "xaxis": _axis(shown, words),
        "yaxis": row_axis(place, [""]) | {"range": [place.height, -18]},
        "annotations": [
            *heading_notes(place, names),
            *beside,
            edge_note("pooled · people", -8.0, reach=100),
        ],
        "shapes": row_lines(place, typical, dash="dot"),
        "margin_r": 104,
    }
    more = f" {left} more lie between." if left else ""
    captions = " ".join(f"{_caption(row)}." for row in records(shown))
    alt = f"A typical value: {percent(typical)}. {captions}{more}"
    height = int(place.height) + AXIS + 36
    return finished(_traces(shown, y), layout, title=title, alt=alt, height=height)


def _axis(table: pd.DataFrame, words: str) -> dict[str, Any]:
    upper = _upper(table)
    title = f"converted; dot: pooled, ring: counted, dotted: typical{words}"
    axis = percent_axis(upper) | {"title": {"text": title, "standoff": 4}}
    if upper < 0.02:
        ticks = [i * 0.0025 for i in range(int(upper / 0.0025) + 1)]
        axis |= {"tickvals": plain(ticks), "ticktext": [f"{100 * tick:g}%" for tick in ticks]}
    return axis


def _upper(table: pd.DataFrame) -> float:
    """The end of the scale: all intervals, and the counted rates that lie near them."""
    reach = float(table["pooled_high"].max())
    counted = table.loc[table["rate"] <= 1.3 * reach, "rate"]
    return min(1.0, max(reach, float(counted.max()) if len(counted) else 0.0, 0.005) * 1.05)


def _traces(table: pd.DataFrame, y: list[float]) -> list[Any]:
    colors = [_COLORS.get(row.verdict, REST) for row in records(table)]
    lines: list[Any] = [
        go.Scatter(
            x=plain([row.pooled_low, row.pooled_high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 2 if color == REST else 3},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    upper = _upper(table)
    # A small value's crude rate may lie far outside: it is on hover, not on the scale.
    rings = go.Scatter(
        x=plain(table["rate"].where(table["rate"] <= upper)),
        y=y,
        mode="markers",
        marker={"size": 9, "symbol": "circle-open", "color": INK, "line": {"width": 1.5}},
        hoverinfo="skip",
    )
    dots = go.Scatter(
        x=plain(table["pooled"]),
        y=y,
        mode="markers",
        marker={"size": 11, "color": colors, "line": {"width": 0}},
        hovertext=[safe_lines(_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, rings, dots]


def _interval(row: Any) -> str:
    return f"95% interval {percent(row.pooled_low)} to {percent(row.pooled_high)}"


def _hover_text(row: Any) -> list[str]:
    return [
        str(row.value),
        f"pooled {percent(row.pooled)}",
        _interval(row),
        f"counted {share(row.k, row.n, row.rate)}",
        _VERDICTS[row.verdict],
    ]


def _caption(row: Any) -> str:
    return (
        f"{row.value}: pooled {percent(row.pooled)} ({_interval(row)}), "
        f"counted {share(row.k, row.n, row.rate)}, {_VERDICTS[row.verdict]}"
    )
