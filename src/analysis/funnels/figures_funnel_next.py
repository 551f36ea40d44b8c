"""After which step people stopped, and what they did next: a block of bars per step.

What follows a stop is no reason for it: the words say "next" and never "because".
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import OTHER, US_PER_SECOND, human_duration
from analysis.core.wording import count, label, percent, share
from analysis.plotting.figures_rows import (
    AXIS,
    GAP,
    HEADING,
    ROW,
    Rows,
    heading_notes,
    percent_axis,
)
from analysis.plotting.theme import (
    INK,
    PALETTE,
    REST,
    empty,
    finished,
    ink_on,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_NAME = 20


_CHARACTER = 5.8


_ROOM = 1.25
"""How much wider than the longest bar the axis is, for the words behind it."""


_INSIDE = 0.6
"""From this share of the longest bar on the words fit into it."""


def drop_off_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many stopped after each step, and what was the next thing they did?

    Parameters
    ----------
    table : as `FunnelResult.next_events` or `FunnelResult.drop_offs` return it: ``step, after,
        reached, event, k, n, share, low, high, median_seconds``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": 1, "after": "cart", "reached": 100, "event": ["help", "(nothing more)"],
    ...     "k": [8, 32], "n": 40, "share": [0.2, 0.8], "low": [0.105, 0.652],
    ...     "high": [0.348, 0.895], "median_seconds": [300.0, None]})
    >>> drop_off_bars(table).layout.meta["alt"]
    'After Cart 40.0% (40 of 100) stopped. Next: Help 20.0% (8 of 40), after 5 min in the median; \
nothing more 80.0% (32 of 40).'
    """
    table = table[table["n"] > 0].reset_index(drop=True)
    if not len(table):
        return empty("Nobody stopped on the way.", title=title)
    blocks = [own for _, own in table.groupby("step", sort=True)]
    place = _places([len(own) for own in blocks])
    y = [center for centers in place.centers for center in centers]
    table = pd.concat(blocks, ignore_index=True)
    upper = float(table["high"].max())
    notes = heading_notes(place, [_heading(own.iloc[0]) for own in blocks])
    # Headings begin where the names do, so that they have the whole width of a phone.
    indent = int(_CHARACTER * max(len(short(_name(event), _NAME)) for event in table["event"]))
    layout = {
        "xaxis": percent_axis(upper) | {"range": [0, upper * _ROOM]},
        "yaxis": {
            "range": [place.height, 0],
            "tickvals": y,
            "ticktext": [safe(short(_name(event), _NAME)) for event in table["event"]],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
        },
        "annotations": [note | {"xshift": -indent} for note in notes],
    }
    alt = " ".join(_said(own) for own in blocks)
    height = int(place.height) + AXIS
    return finished(
        [_bars(table, y), _words(table, y)], layout, title=title, alt=alt, height=height
    )


def _places(sizes: list[int]) -> Rows:
    """As `rows.rows`, for blocks of different sizes."""
    centers, headings, top = [], [], 0.0
    for size in sizes:
        headings.append(top + HEADING / 2)
        centers.append([top + HEADING + (j + 0.5) * ROW for j in range(size)])
        top += HEADING + size * ROW + GAP
    return Rows(centers, headings, top)


def _name(event: Any) -> str:
    return str(event).strip("()") if str(event).startswith("(") else label(event)


def _wait(row: Any) -> str:
    return human_duration(row.median_seconds * US_PER_SECOND)


def _heading(row: Any) -> str:
    stopped = f"{percent(row['n'] / row['reached'])} of {count(row['reached'])}"
    return f"<b>{stopped}</b> stopped after <b>{safe(label(row['after']))}</b>"


def _colors(table: pd.DataFrame) -> list[str]:
    return [REST if str(event).startswith("(") else PALETTE[0] for event in table["event"]]


def _bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=plain(table["share"]),
        y=y,
        width=ROW - 6,
        marker={"color": _colors(table), "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain(table["high"] - table["share"]),
            "arrayminus": plain(table["share"] - table["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )


def _words(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    texts = []
    for row in records(table):
        text = f"{percent(row.share)} · {count(row.k)}"
        late = "" if pd.isna(row.median_seconds) else f" · {_wait(row)}"
        texts.append(f"&nbsp;&nbsp;{safe(text + late)}&nbsp;&nbsp;")
    inside = table["high"] > _INSIDE * table["high"].max()
    inks = [
        ink_on(color) if own else INK for color, own in zip(_colors(table), inside, strict=True)
    ]
    return go.Scatter(
        mode="text",
        x=plain(table["low"].where(inside, table["high"])),
        y=y,
        text=texts,
        textposition=["middle left" if own else "middle right" for own in inside],
        textfont={"size": 12, "color": inks},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _told(row: Any) -> list[str]:
    what = "other events" if row.event == OTHER else _name(row.event)
    lines = [
        f"{what}, next after {label(row.after)}",
        f"of those who stopped there: {share(row.k, row.n, row.share)}",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
    ]
    return lines if pd.isna(row.median_seconds) else [*lines, f"median wait {_wait(row)}"]


def _said(own: pd.DataFrame) -> str:
    first = own.iloc[0]
    stopped = share(first["n"], first["reached"], first["n"] / first["reached"])
    said = []
    for row in records(own):
        text = f"{_name(row.event)} {share(row.k, row.n, row.share)}"
        said.append(
            text if pd.isna(row.median_seconds) else f"{text}, after {_wait(row)} in the median"
        )
    return f"After {label(first['after'])} {stopped} stopped. Next: {'; '.join(said)}."
