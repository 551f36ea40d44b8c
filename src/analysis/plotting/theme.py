"""How does a figure look: its colors, its type, its rows, and how text from the data is escaped?

The colors are those of Okabe & Ito (2008, *Color Universal Design*), which people with any common
color blindness can tell apart, with the light ones darkened a little so that they stand out on
white paper as well as on a dark page. The background is transparent and the text mid-gray, so one
figure reads in a light and in a dark theme.

The sections, in order: colors and type, text (`safe` before anything from the data is drawn),
the figure itself (`finished`, `empty`), rows under headings, bars under headings.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import MISSING, OTHER
from analysis.core.wording import ISOLATES, isolate_within

# Colors and type

PALETTE = ("#0072B2", "#D98C00", "#009E73", "#C9659C", "#4AA3DF", "#C14F00")
"""Blue, orange, green, purple, sky blue, vermilion; six groups are as many as an eye can hold."""

REST = "#7F7F7F"
"""For what is not a group of its own: other, missing, unclear."""

UP, DOWN = PALETTE[0], PALETTE[5]

INK = "#777777"
"""Of text and lines."""

GRID = "rgba(128, 128, 128, 0.25)"

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"

TOO_FEW = "too few people to show"

_SIGNIFICANT_DIGITS = 6

_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}


def group_colors(groups: Iterable[Any]) -> dict[Any, str]:
    """A color per group, in their order; what is no group of its own is gray."""
    named = [group for group in groups if group not in (OTHER, MISSING)]
    colors = {group: PALETTE[i % len(PALETTE)] for i, group in enumerate(named)}
    return {group: colors.get(group, REST) for group in groups}


def ink_on(color: str) -> str:
    """White or near-black, whichever reads better on a color (relative luminance, WCAG 2.2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.06 else "#111111"


# Text


def safe(text: Any) -> str:
    """Text as plotly shows it letter by letter: no bold, no link, no formula, no turned number.

    Examples
    --------
    >>> safe("<b>A & B</b>")
    '&lt;b&gt;A &amp; B&lt;/b&gt;'
    """
    isolated = isolate_within(text)
    printable = "".join(c if c.isprintable() or c in ISOLATES else " " for c in isolated)
    return "".join(_ENTITIES.get(c, c) for c in printable)


def safe_lines(lines: list[str]) -> str:
    """Lines of plain text, escaped, as plotly shows them; the first one stands out."""
    head, *rest = [safe(line) for line in lines]
    return "<br>".join([f"<b>{head}</b>", *rest])


def short(text: str, most: int) -> str:
    """The text, cut where it is longer than `most` characters.

    Examples
    --------
    >>> short("a very long name", 8)
    'a very …'
    """
    return text if len(text) <= most else isolate_within(text[: most - 1]) + "…"


def plain(values: Iterable[float]) -> list[float | None]:
    """A list of numbers of six digits; undefined is None, which plotly leaves out.

    Examples
    --------
    >>> plain([1 / 3, float("nan")])
    [0.333333, None]
    """
    return [None if v != v else float(f"{v:.{_SIGNIFICANT_DIGITS}g}") for v in values]


# The figure itself


@cache
def template() -> go.layout.Template:
    """The template of every figure."""
    axis = {
        "gridcolor": GRID,
        "linecolor": GRID,
        "zerolinecolor": GRID,
        "tickfont": {"size": 12},
        "title": {"font": {"size": 12}},
        "fixedrange": True,
        "automargin": True,
    }
    return go.layout.Template(
        layout={
            "font": {"family": FONT, "size": 13, "color": INK},
            "title": {"font": {"size": 15}, "x": 0, "xref": "paper", "xanchor": "left"},
            "paper_bgcolor": "rgba(0, 0, 0, 0)",
            "plot_bgcolor": "rgba(0, 0, 0, 0)",
            "colorway": list(PALETTE),
            "xaxis": axis,
            "yaxis": axis,
            "hoverlabel": {
                "bgcolor": "#23272e",
                "bordercolor": "#23272e",
                "font": {"family": FONT, "size": 13, "color": "#ffffff"},
                "align": "left",
            },
            "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom"},
            "showlegend": False,
            "dragmode": False,
            "margin": {"l": 16, "r": 20, "t": 8, "b": 8},
        }
    )


def finished(
    traces: list[Any], layout: Mapping[str, Any], *, title: str | None, alt: str, height: int
) -> go.Figure:
    """A figure of our look, with its title and its numbers in words.

    Parameters
    ----------
    title : plain text; it is escaped here. alt : plain text, for screen readers.
    height : pixels without the title.
    """
    figure = go.Figure(traces, layout)
    top = 40 if title else 8
    figure.update_layout(
        template=template(),
        height=height + top,
        margin_t=top,
        meta={"alt": isolate_within(f"{title}. {alt}" if title else alt)},
    )
    if title:
        figure.update_layout(title_text=safe(title))
    return figure


def empty(reason: str, *, title: str | None) -> go.Figure:
    """A figure that has nothing to show and says why."""
    note = {"text": safe(reason), "showarrow": False, "x": 0, "xref": "paper", "y": 0.5}
    hidden = {"visible": False}
    layout = {
        "annotations": [note | {"xanchor": "left", "yref": "paper"}],
        "xaxis": hidden,
        "yaxis": hidden,
    }
    return finished([], layout, title=title, alt=reason, height=80)


# Rows of bars or points under headings
#
# A heading stands above its rows, not beside them, so a long name costs no width on a phone. The
# vertical axis is measured in pixels: a row is as high with three groups as with six, and the
# figure grows downwards, where a page has room.

ROW, HEADING, GAP, AXIS = 22, 22, 10, 34

MOST_GROUPS = 6

NAME_ROOM = 15
"""Characters of a row's name; longer ones are cut."""


class Rows(NamedTuple):
    """Where each row and heading stands, in pixels from the top."""

    centers: list[list[float]]
    headings: list[float]
    height: float


def rows(headings: int, per_heading: int) -> Rows:
    """Places for `per_heading` rows under each of so many headings."""
    block = HEADING + per_heading * ROW + GAP
    tops = [i * block for i in range(headings)]
    centers = [[t + HEADING + (j + 0.5) * ROW for j in range(per_heading)] for t in tops]
    return Rows(centers, [t + HEADING / 2 for t in tops], headings * block)


def rows_of_sizes(sizes: Sequence[int]) -> Rows:
    """Places for blocks of different sizes, one under the other."""
    single = [rows(1, size) for size in sizes]
    tops = np.cumsum([0, *(place.height for place in single)])
    centers = [
        [float(top) + at for at in place.centers[0]]
        for top, place in zip(tops, single, strict=False)
    ]
    headings = [float(top) + place.headings[0] for top, place in zip(tops, single, strict=False)]
    return Rows(centers, headings, float(tops[-1]))


def row_axis(place: Rows, names: Sequence[str]) -> dict[str, Any]:
    """The vertical axis: each row named; a single unnamed row has no label."""
    named = [name for _ in place.centers for name in names]
    flat = [y for centers in place.centers for y in centers]
    shown = len(names) > 1 or bool(names and names[0])
    return {
        "range": [place.height, 0],
        "tickvals": flat if shown else [],
        "ticktext": [safe(short(name, NAME_ROOM)) for name in named] if shown else [],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
    }


def heading_notes(place: Rows, texts: Sequence[str]) -> list[dict[str, Any]]:
    """Annotations with the headings; the texts are escaped already."""
    return [
        {
            "text": text,
            "x": 0,
            "xref": "paper",
            "xanchor": "left",
            "xshift": -2,
            "y": y,
            "yanchor": "middle",
            "showarrow": False,
            "align": "left",
        }
        for y, text in zip(place.headings, texts, strict=True)
    ]


def row_lines(place: Rows, at: float, *, dash: str = "solid") -> list[dict[str, Any]]:
    """A vertical line at a value, through the rows and not through the headings."""
    line = {"color": INK, "width": 1.2, "dash": dash}
    ends = [(own[0] - ROW / 2, own[-1] + ROW / 2) for own in place.centers]
    return [
        {"type": "line", "x0": at, "x1": at, "y0": top, "y1": end, "line": line, "layer": "below"}
        for top, end in ends
    ]


def percent_axis(upper: float) -> dict[str, Any]:
    """A horizontal axis of percent from 0 to `upper`, a fraction, with round ticks."""
    step = next(s for s in (0.01, 0.02, 0.05, 0.1, 0.25, 1) if upper / s <= 6)
    ticks = [round(i * step, 2) for i in range(int(upper / step + 1e-9) + 1)]
    return {
        "range": [0, upper],
        "tickvals": ticks,
        "ticktext": [f"{tick:.0%}" for tick in ticks],
        "zeroline": True,
    }


def shown_groups(groups: Sequence[Any]) -> tuple[list[Any], str]:
    """The groups that fit, in their order, and a note on those that do not."""
    if len(groups) <= MOST_GROUPS:
        return list(groups), ""
    return list(groups[:MOST_GROUPS]), f"The {MOST_GROUPS} largest of {len(groups)} groups."


def edge_note(text: str, at: float, *, reach: int = 0, strong: bool = False) -> dict[str, Any]:
    """Words at the right edge, at a height in pixels.

    Words above the rows (a negative height) end `reach` pixels beside it, the others begin there.
    """
    above = at < 0
    return {
        "text": f"<b>{safe(text)}</b>" if strong else safe(text),
        "x": 1,
        "xref": "paper",
        "xanchor": "right" if above else "left",
        "xshift": reach if above else 6,
        "y": at,
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 12},
    }


# Bars under headings

_BAR_NAME_ROOM = 22


class Bar(NamedTuple):
    """One row: its name, its length with perhaps an interval, its words and its lines on hover."""

    name: str
    at: float
    low: float
    high: float
    words: str
    lines: list[str]


def bars_under_headings(
    blocks: Sequence[tuple[str, list[Bar]]], axis: dict[str, Any], *, alt: str, title: str | None
) -> go.Figure:
    """Named bars with their words, in blocks of a heading each."""
    place = rows_of_sizes([len(bars) for _, bars in blocks])
    flat = [bar for _, bars in blocks for bar in bars]
    y = [at for centers in place.centers for at in centers]
    named = row_axis(place, [""])
    named |= {"tickvals": y, "ticktext": [safe(short(bar.name, _BAR_NAME_ROOM)) for bar in flat]}
    ends = pd.DataFrame(flat)
    trace = go.Bar(
        orientation="h",
        x=plain(ends["at"]),
        y=y,
        width=ROW - 6,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x=_whiskers(ends) if ends["low"].notna().any() else None,
        hovertext=[safe_lines(bar.lines) for bar in flat],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(ends["high"].fillna(ends["at"]).fillna(0)),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(bar.words)}" for bar in flat],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    headings = heading_notes(place, [f"<b>{safe(name)}</b>" for name, _ in blocks])
    layout = {"xaxis": axis, "yaxis": named, "annotations": headings}
    height = int(place.height) + AXIS + (14 if "title" in axis else 0)
    return finished([trace, words], layout, title=title, alt=alt, height=height)


def _whiskers(ends: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": plain(ends["high"] - ends["at"]),
        "arrayminus": plain(ends["at"] - ends["low"]),
        "color": INK,
        "thickness": 1.4,
        "width": 4,
    }
