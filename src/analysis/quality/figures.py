"""What an audit found: all verdicts at a glance, and what single checks saw.

A verdict is a shape, a color and a word, so that nobody has to tell red from green.
"""

from __future__ import annotations

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, percent, share
from analysis.plotting.theme import (
    DOWN,
    INK,
    PALETTE,
    REST,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_LOOK = {
    "pass": (PALETTE[2], "circle"),
    "warn": (PALETTE[1], "triangle-up"),
    "fail": (DOWN, "x"),
    "not applicable": (REST, "circle-open"),
}


_ROW = 26


_HEIGHT = 280


_LONGEST = 70


_MOST_LINES = 6


def audit_rows(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which checks passed, warn or fail? A row per check with its verdict and its finding.

    Parameters
    ----------
    table : a row per check: ``check``, ``verdict``, ``finding``, ``advice``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "check": ["duplicates"], "verdict": ["pass"], "finding": ["No event is there twice."],
    ...     "advice": [""]})
    >>> audit_rows(table).layout.meta["alt"]
    'duplicates: pass. No event is there twice.'
    """
    if not len(table):
        return empty("No check was made.", title=title)
    rows = records(table)
    looks = [_LOOK[row.verdict] for row in rows]
    places = list(range(len(rows)))
    marks = go.Scatter(
        x=[0] * len(rows),
        y=places,
        mode="markers+text",
        marker={
            "color": [color for color, _ in looks],
            "symbol": [symbol for _, symbol in looks],
            "size": 13,
            "line": {"width": 2, "color": [color for color, _ in looks]},
        },
        text=[f"  <b>{safe(r.verdict)}</b>  {safe(short(r.finding, _LONGEST))}" for r in rows],
        textposition="middle right",
        hovertext=[
            safe_lines([f"{row.check}: {row.verdict}", *_wrapped(row.finding + " " + row.advice)])
            for row in rows
        ],
        hoverinfo="text",
        cliponaxis=False,
    )
    layout = {
        "xaxis": {"range": [-0.3, 10], "visible": False},
        "yaxis": {
            "range": [len(rows) - 0.4, -0.6],
            "tickvals": places,
            "ticktext": [safe(row.check) for row in rows],
            "showgrid": False,
            "zeroline": False,
        },
    }
    alt = " ".join(f"{row.check}: {row.verdict}. {row.finding}" for row in rows)
    return finished([marks], layout, title=title, alt=alt, height=_ROW * len(rows) + 8)


def _wrapped(text: str) -> list[str]:
    lines = [""]
    for word in text.split():
        if len(lines[-1]) + len(word) >= _LONGEST:
            lines.append("")
        lines[-1] = f"{lines[-1]} {word}".strip()
    return lines


def hours_of_day(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """At which hours of the day do events happen?

    Parameters
    ----------
    table : ``hour`` (0 to 23, local) and ``count``.
    title : plain text.
    """
    n = int(table["count"].sum())
    if not n:
        return empty("The log is empty.", title=title)
    said = [f"{r.hour} o'clock: {share(r.count, n, r.count / n)}" for r in records(table)]
    bars = go.Bar(
        x=plain(table["hour"]),
        y=plain(table["count"]),
        marker={"color": PALETTE[0]},
        hovertext=said,
        hoverinfo="text",
    )
    layout = {"xaxis": {"dtick": 3, "title": {"text": "hour of the day"}}, "bargap": 0.15}
    return finished([bars], layout, title=title, alt="; ".join(said) + ".", height=_HEIGHT)


def value_classes(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How are the values of the orders spread, and which are far from the others?

    Parameters
    ----------
    table : a row per class of values: ``low, high``, ``count`` and ``odd``, the outliers in it.
    title : plain text.
    """
    n = int(table["count"].sum())
    if not n:
        return empty("Too few orders have a value.", title=title)
    middle = (table["low"] * table["high"]) ** 0.5
    rows = records(table)
    hover = [f"{r.low:,.2f} to {r.high:,.2f}: {share(r.count, n, r.count / n)}" for r in rows]
    parts = [(table["count"] - table["odd"], PALETTE[0]), (table["odd"], DOWN)]
    bars = [
        go.Bar(
            x=plain(middle),
            y=plain(part),
            width=plain((table["high"] - table["low"]) * 0.9),
            marker={"color": color},
            hovertext=hover,
            hoverinfo="text",
        )
        for part, color in parts
    ]
    axis = {"type": "log", "title": {"text": "value of the order"}}
    layout = {"xaxis": axis, "barmode": "stack", "font": {"color": INK}}
    k = int(table["odd"].sum())
    alt = (
        f"{count(n)} orders of {table['low'].iloc[0]:,.2f} to {table['high'].iloc[-1]:,.2f}; "
        f"{percent(k / n)} ({count(k)} of {count(n)}) are far from the others."
    )
    return finished(bars, layout, title=title, alt=alt, height=_HEIGHT)
