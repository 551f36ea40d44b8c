"""Correlation by shift: bars around 0 with intervals, filled where clear of chance."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import chance, coefficient
from analysis.core.wording import count
from analysis.plotting.theme import (
    INK,
    PALETTE,
    REST,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
)

_SURE = 0.05


_HEIGHT = 300


def lag_bars(table: pd.DataFrame, *, unit: str = "weeks", title: str | None = None) -> go.Figure:
    """Do the changes of one rate come before those of the other?

    Parameters
    ----------
    table : a row per shift: ``lag, correlation, low, high, n, p_value, p_adjusted``.
    unit : what a shift is counted in.

    Examples
    --------
    >>> table = pd.DataFrame({"lag": [0, 1], "correlation": [0.1, 0.62], "low": [-0.2, 0.35],
    ...     "high": [0.4, 0.8], "n": [39, 38], "p_value": [0.5, 0.001], "p_adjusted": [0.9, 0.002]})
    >>> lag_bars(table).layout.meta["alt"]
    'Micro 0 weeks ahead: 0.10 (95% interval −0.20 to 0.40), n = 39, p = 0.9. Micro 1 weeks ahead: \
0.62 (95% interval 0.35 to 0.80), n = 38, p = 0.002.'
    """
    known = table[table["correlation"].notna()]
    if not len(known):
        return empty("Not enough periods to compare the changes of the rates.", title=title)
    shown = records(known)
    clear = [row.p_adjusted <= _SURE for row in shown]
    bars = go.Bar(
        x=[int(row.lag) for row in shown],
        y=plain(known["correlation"]),
        width=0.6,
        marker={"color": [PALETTE[0] if sure else REST for sure in clear], "line": {"width": 0}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": plain(known["high"] - known["correlation"]),
            "arrayminus": plain(known["correlation"] - known["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row, unit)) for row in shown],
        hoverinfo="text",
    )
    words = go.Scatter(
        x=[int(row.lag) for row in shown],
        y=plain(row.high if row.correlation >= 0 else row.low for row in shown),
        mode="text",
        text=[safe(coefficient(row.correlation)) for row in shown],
        textposition=[f"{'top' if row.correlation >= 0 else 'bottom'} center" for row in shown],
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    layout = {
        "xaxis": {
            "tickvals": [int(row.lag) for row in shown],
            "title": {"text": f"← micro behind · {unit} · micro ahead →", "standoff": 4},
            "showgrid": False,
        },
        "yaxis": {"range": [-1.12, 1.12], "title": {"text": "correlation of changes"}},
    }
    alt = " ".join(f"{_said(row, unit)}." for row in shown)
    return finished([bars, words], layout, title=title, alt=alt, height=_HEIGHT)


def _ahead(row: Any, unit: str) -> str:
    side = "ahead" if row.lag >= 0 else "behind"
    return f"micro {abs(int(row.lag))} {unit} {side}"


def _value(row: Any) -> str:
    ends = f"{coefficient(row.low)} to {coefficient(row.high)}"
    return f"{coefficient(row.correlation)} (95% interval {ends})"


def _told(row: Any, unit: str) -> list[str]:
    return [
        _ahead(row, unit),
        f"correlation of changes {_value(row)}",
        f"n = {count(row.n)} pairs",
        f"p = {chance(row.p_value)}, over all shifts {chance(row.p_adjusted)}",
    ]


def _said(row: Any, unit: str) -> str:
    words = _ahead(row, unit)
    p = chance(row.p_adjusted)
    return f"{words[:1].upper()}{words[1:]}: {_value(row)}, n = {count(row.n)}, p = {p}"
