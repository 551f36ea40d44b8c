"""How many got there by when: a curve per group over the time since entry.

The time runs on a logarithmic axis, because most of those who convert do it in minutes and the
window has days. What is drawn is Kaplan & Meier's estimate, and the figure says so.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import ALL, US_PER_SECOND, human_duration
from analysis.core.wording import count, group_name, label, percent
from analysis.plotting.figures_rows import shown_groups
from analysis.plotting.theme import (
    empty,
    finished,
    group_colors,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_HEIGHT = 320


_TICKS = (1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)


_MOST_TICKS = 6


_MOST_NAME = 18


def time_curves(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which share had got there by which time since entry? A curve with a 95 % band per group.

    Parameters
    ----------
    table : as `FunnelResult.time_curve` returns it: ``group, event, seconds, rate, low, high,
        at_risk, reached, n``, ascending in time within a group. Beyond six groups only the
        largest are drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "event": "purchase", "seconds": [0.0, 600.0, 86400.0],
    ...     "rate": [0.0, 0.1, 0.2], "low": [0.0, 0.042, 0.111], "high": [0.088, 0.228, 0.345],
    ...     "at_risk": [40, 40, 36], "reached": [0, 4, 8], "n": 40})
    >>> time_curves(table).layout.meta["alt"]
    'Kaplan-Meier estimate of the share that reached Purchase. Within 24 h: 20.0% of 40 who \
entered, 95% interval 11.1% to 34.5%; half of these within 10 min.'
    """
    if not len(table):
        return empty("Nobody has been watched since they entered.", title=title)
    sizes = table.drop_duplicates("group")
    largest = sizes.sort_values("n", ascending=False, kind="stable")["group"]
    groups, note = shown_groups(list(largest))
    curves = {group: table[[g == group for g in table["group"]]] for group in groups}
    left, right = _range(table)
    upper = min(1.0, max(float(own["high"].iloc[-1]) for own in curves.values()) * 1.08 or 1.0)
    colors = group_colors(groups)
    traces = [_band(own, left, colors[group]) for group, own in curves.items()]
    traces += [_line(own, left, colors[group]) for group, own in curves.items()]
    layout = {
        "xaxis": _time_axis(left, right),
        "yaxis": {"range": [0, upper], "tickformat": ",.1~%", "nticks": 6},
        "annotations": [_heading(str(table["event"].iloc[0]))],
        "showlegend": True,
        "legend": {"y": -0.2, "yanchor": "top", "itemclick": False, "itemdoubleclick": False},
    }
    event = label(table["event"].iloc[0])
    alt = f"Kaplan-Meier estimate of the share that reached {event}. "
    alt += " ".join(f"{_said(own)}." for own in curves.values()) + (f" {note}" if note else "")
    figure = finished(traces, layout, title=title, alt=alt, height=_HEIGHT)
    return figure.update_layout(margin_t=figure.layout.margin.t + 22)


def _range(table: pd.DataFrame) -> tuple[float, float]:
    """The seconds at the ends of the axis; what came at once stands at the left end."""
    rising = table.loc[(table["rate"] > 0) & (table["seconds"] > 0), "seconds"]
    first, right = float(rising.min()) if len(rising) else 1.0, float(table["seconds"].max())
    left = max([tick for tick in _TICKS if tick <= first], default=1.0)
    return float(left), max(right, 2.0 * left)


def _time_axis(left: float, right: float) -> dict[str, Any]:
    ticks = [float(tick) for tick in _TICKS if left <= tick <= right]
    if right > 1.6 * ticks[-1]:
        ticks.append(right)
    ticks = ticks[:: -(-len(ticks) // _MOST_TICKS)]
    return {
        "type": "log",
        "range": [float(np.log10(left)), float(np.log10(right))],
        "tickvals": plain(ticks),
        "ticktext": [human_duration(tick * US_PER_SECOND) for tick in ticks],
        "tickangle": 0,
        "title": {"text": "time since entry", "standoff": 4},
        "showgrid": False,
    }


def _at(own: pd.DataFrame, left: float) -> list[float | None]:
    return plain(own["seconds"].clip(lower=left))


def _band(own: pd.DataFrame, left: float, color: str) -> go.Scatter:
    # A step holds until the next one: the outline has both corners of each.
    seconds = np.repeat(own["seconds"].clip(lower=left).to_numpy(), 2)[1:]
    low, high = (np.repeat(own[side].to_numpy(), 2)[:-1] for side in ("low", "high"))
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=plain([*seconds, *seconds[::-1]]),
        y=plain([*high, *low[::-1]]),
        mode="lines",
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, 0.15)",
        line={"width": 0},
        showlegend=False,
        hoverinfo="skip",
    )


def _line(own: pd.DataFrame, left: float, color: str) -> go.Scatter:
    return go.Scatter(
        x=_at(own, left),
        y=plain(own["rate"]),
        mode="lines",
        line={"color": color, "width": 2, "shape": "hv"},
        hovertext=[safe_lines(_told(row)) for row in records(own)],
        hoverinfo="text",
        name=safe(_end(own)),
    )


def _end(own: pd.DataFrame) -> str:
    """The group and the rate at the end of its curve, for the legend."""
    last = own.iloc[-1]
    name = "" if last["group"] == ALL else f"{short(group_name(last['group']), _MOST_NAME)} "
    end = f"{percent(last['rate'])} of {count(last['n'])}"
    return f"{name}{end} within {_within(last['seconds'])}"


def _heading(event: str) -> dict[str, Any]:
    return {
        "text": f"reached <b>{safe(label(event))}</b>, Kaplan-Meier estimate",
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
    }


def _within(seconds: float) -> str:
    return human_duration(seconds * US_PER_SECOND)


def _told(row: Any) -> list[str]:
    within = f"within {_within(row.seconds)}"
    return [
        within if row.group == ALL else f"{group_name(row.group)}, {within}",
        f"Kaplan-Meier estimate {percent(row.rate)} of {count(row.n)} who entered",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
        f"{count(row.reached)} had got there, {count(row.at_risk)} were watched until then",
    ]


def _said(own: pd.DataFrame) -> str:
    last = own.iloc[-1]
    name = "" if last["group"] == ALL else f"{group_name(last['group'])}, within"
    said = (
        f"{name or 'Within'} {_within(last['seconds'])}: {percent(last['rate'])} of "
        f"{count(last['n'])} who entered, 95% interval {percent(last['low'])} to "
        f"{percent(last['high'])}"
    )
    half = own[own["rate"] >= last["rate"] / 2]["seconds"]
    return f"{said}; half of these within {_within(half.iloc[0])}" if last["rate"] > 0 else said
