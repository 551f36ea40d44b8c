"""Rows of bars or points under headings: the layout that the figures share.

A heading stands above its rows, not beside them, so a long name costs no width on a phone. The
vertical axis is measured in pixels: a row is as high with three groups as with six, and the
figure grows downwards, where a page has room.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from analysis.plotting.theme import INK, safe, short

ROW, HEADING, GAP, AXIS = 22, 22, 10, 34


MOST_GROUPS = 6


_NAME = 15


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


def row_axis(place: Rows, names: Sequence[str]) -> dict[str, Any]:
    """The vertical axis: each row named; a single unnamed row has no label."""
    named = [name for _ in place.centers for name in names]
    flat = [y for centers in place.centers for y in centers]
    shown = len(names) > 1 or bool(names and names[0])
    return {
        "range": [place.height, 0],
        "tickvals": flat if shown else [],
        "ticktext": [safe(short(name, _NAME)) for name in named] if shown else [],
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
    """Words at the right edge, at a height in pixels; those above the rows (a negative height) end
    `reach` pixels beside it, the others begin beside it.
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
