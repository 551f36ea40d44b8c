"""In which shares do two groups differ? A point and its interval each, around a line of none."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import label, percent, points, share
from analysis.plotting.figures_rows import AXIS, edge_note, heading_notes, row_axis, row_lines, rows
from analysis.plotting.theme import (
    DOWN,
    REST,
    UP,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

MOST_ROWS = 15


_NAME = 34


def share_differences(
    table: pd.DataFrame, *, names: tuple[str, str] = ("a", "b"), title: str | None = None
) -> go.Figure:
    """Which shares differ between two groups, the clearest first?

    Parameters
    ----------
    table : as `compare_segments` returns it; only rows in ``unit`` share with an interval are
        drawn, at most 15. names : of the two groups. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "kind": ["event"], "name": ["share"], "value": [""], "unit": ["share"], "k_a": [56],
    ...     "n_a": [70], "rate_a": [0.8], "k_b": [48], "n_b": [80], "rate_b": [0.6],
    ...     "difference": [0.2], "low": [0.0524], "high": [0.3339], "q_value": [0.01],
    ...     "clear": [True]})
    >>> share_differences(table).layout.meta["alt"]
    'a against b. Share: 80.0% (56 of 70) against 60.0% (48 of 80), +20.0 points (95% interval \
+5.2 to +33.4), clear of chance.'
    """
    shown = table[(table["unit"] == "share") & table["low"].notna()]
    if not len(shown):
        return empty("There is nothing to compare.", title=title)
    shown = shown.assign(size=shown["difference"].abs())
    shown = shown.sort_values(["clear", "size"], ascending=False, kind="stable").head(MOST_ROWS)
    place = rows(len(shown), 1)
    y = [centers[0] for centers in place.centers]
    headings = [f"<b>{safe(short(_thing(row), _NAME))}</b>" for row in records(shown)]
    title_note = edge_note(f"{short(names[0], 14)} · {short(names[1], 14)}", -8.0, reach=108)
    beside = [title_note, *_beside(shown, y)]
    layout = {
        "xaxis": _axis(shown, names),
        "yaxis": row_axis(place, [""]) | {"range": [place.height, -18]},
        "annotations": heading_notes(place, headings) + beside,
        "shapes": row_lines(place, 0.0),
        "margin_r": 112,
    }
    said = " ".join(f"{_said(row)}." for row in records(shown))
    rest = int((table["unit"] == "share").sum()) - len(shown)
    more = f" {rest} more compared." if rest else ""
    alt = f"{names[0]} against {names[1]}. {said}{more}"
    height = int(place.height) + AXIS + 36
    return finished(_traces(shown, y, names), layout, title=title, alt=alt, height=height)


def _axis(table: pd.DataFrame, names: tuple[str, str]) -> dict[str, Any]:
    reach = max(float(table[["low", "high"]].abs().max().max()) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    one, two = (safe(short(name, 11)) for name in names)
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": f"← {two} · points · {one} →", "standoff": 4},
        "zeroline": False,
    }


def _traces(table: pd.DataFrame, y: list[float], names: tuple[str, str]) -> list[Any]:
    colors = [
        REST if not row.clear else (UP if row.difference > 0 else DOWN) for row in records(table)
    ]
    lines: list[Any] = [
        go.Scatter(
            x=plain([row.low, row.high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 3 if row.clear else 2},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(table["difference"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in table["clear"]],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told(row, names)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _beside(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    return [
        edge_note(f"{percent(row.rate_a)} · {percent(row.rate_b)}", at, strong=bool(row.clear))
        for row, at in zip(records(table), y, strict=True)
    ]


def thing(kind: str, name: str, value: str) -> str:
    """What a row compares, in words.

    Examples
    --------
    >>> thing("event", "view_item", ""), thing("property", "device", "mobile")
    ('View item', 'Device: mobile')
    """
    if kind == "property":
        return f"{label(name)}: {value}"
    return f"{label(name)} ({value})" if kind == "funnel" else label(name)


def chance(q_value: float) -> str:
    """A q-value in words; below a thousandth its digits say nothing.

    Examples
    --------
    >>> chance(0.012), chance(1e-9)
    ('q = 0.012', 'q < 0.001')
    """
    return "q < 0.001" if q_value < 0.001 else f"q = {q_value:.2g}"


def _thing(row: Any) -> str:
    return thing(row.kind, row.name, row.value)


def _told(row: Any, names: tuple[str, str]) -> list[str]:
    return [
        _thing(row),
        f"{names[0]}: {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]}: {share(row.k_b, row.n_b, row.rate_b)}",
        f"difference: {points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        f"{chance(row.q_value)}, {'clear of chance' if row.clear else 'not clear of chance'}",
    ]


def _said(row: Any) -> str:
    both = f"{share(row.k_a, row.n_a, row.rate_a)} against {share(row.k_b, row.n_b, row.rate_b)}"
    interval = f"95% interval {points(row.low)} to {points(row.high)}"
    verdict = "clear of chance" if row.clear else "not clear of chance"
    return f"{_thing(row)}: {both}, {points(row.difference)} points ({interval}), {verdict}"
