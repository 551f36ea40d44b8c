"""The look of every figure: colors, type, and what text from the data may not do.

The colors are those of Okabe & Ito (2008, *Color Universal Design*), which people with any common
color blindness can tell apart, with the light ones darkened a little so that they stand out on
white paper as well as on a dark page. The background is transparent and the text mid-gray, so one
figure reads in a light and in a dark theme.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import pandas as pd
import plotly.graph_objects as go

PALETTE = ("#0072B2", "#D98C00", "#009E73", "#C9659C", "#4AA3DF", "#C14F00")
"""Blue, orange, green, purple, sky blue, vermilion; six groups are as many as an eye can hold."""


REST = "#7F7F7F"
"""For what is not a group of its own: other, missing, unclear."""


UP, DOWN = PALETTE[0], PALETTE[5]


INK = "#777777"


GRID = "rgba(128, 128, 128, 0.25)"


FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"


TOO_FEW = "too few people to show"


_SIGNIFICANT_DIGITS = 6


_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "$": "&#36;"}


def safe(text: Any) -> str:
    """Text as plotly shows it letter by letter: no bold, no link, no formula.

    Examples
    --------
    >>> safe("<b>A & B</b>")
    '&lt;b&gt;A &amp; B&lt;/b&gt;'
    """
    printable = "".join(c if c.isprintable() else " " for c in str(text))
    return "".join(_ENTITIES.get(c, c) for c in printable)


def records(table: pd.DataFrame) -> list[Any]:
    """The rows of a table, with their cells as attributes."""
    return list(table.itertuples())


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
    return text if len(text) <= most else text[: most - 1] + "…"


def plain(values: Iterable[float]) -> list[float | None]:
    """A list of numbers of six digits; undefined is None, which plotly leaves out.

    Examples
    --------
    >>> plain([1 / 3, float("nan")])
    [0.333333, None]
    """
    return [None if v != v else float(f"{v:.{_SIGNIFICANT_DIGITS}g}") for v in values]


def group_colors(groups: Iterable[Any]) -> dict[Any, str]:
    """A color per group, in their order; what is no group of its own is gray."""
    named = [group for group in groups if group not in ("(other)", "(missing)")]
    colors = {group: PALETTE[i % len(PALETTE)] for i, group in enumerate(named)}
    return {group: colors.get(group, REST) for group in groups}


def ink_on(color: str) -> str:
    """White or near-black, whichever reads better on a color (relative luminance, WCAG 2.2)."""
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return "#ffffff" if 1.05 / (luminance + 0.05) >= (luminance + 0.05) / 0.06 else "#111111"


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
        meta={"alt": f"{title}. {alt}" if title else alt},
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
