"""What an audit saw over time: volume, missing cells, silent events."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, day, share
from analysis.plotting.theme import (
    DOWN,
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

_HEIGHT = 280


_ROW = 26


_MOST_LINES = 6


def daily_volume(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many events had each day, and which days are far off?

    Parameters
    ----------
    table : a row per series and day: ``series, date, count, expected, odd, shift``; the first
        series is drawn.
    title : plain text.
    """
    if not len(table):
        return empty("The log has too few whole days for a pattern.", title=title)
    own = table[table["series"] == table["series"].iloc[0]]
    dates = [date.strftime("%Y-%m-%d") for date in own["date"]]
    rows = records(own)
    hover = [
        f"{safe(day(r.date, year=True))}: {count(r.count)}, usual are {count(r.expected)}"
        for r in rows
    ]
    odd = [i for i, row in enumerate(rows) if row.odd]
    traces = [
        _line(dates, plain(own["expected"]), REST, "dot"),
        _line(dates, plain(own["count"]), PALETTE[0], "solid", hover),
        go.Scatter(
            x=[dates[i] for i in odd],
            y=plain(rows[i].count for i in odd),
            mode="markers",
            marker={"color": DOWN, "size": 11, "symbol": "circle-open", "line": {"width": 2}},
            hoverinfo="skip",
            cliponaxis=False,
        ),
    ]
    shifts = [dates[i] for i, row in enumerate(rows) if row.shift]
    mark = {"type": "line", "yref": "paper", "y0": 0, "y1": 1, "line": {"color": DOWN, "width": 1}}
    layout = {
        "yaxis": {"rangemode": "tozero", "tickformat": ",d"},
        "shapes": [{**mark, "x0": date, "x1": date} for date in shifts],
    }
    said = [hover[i] for i in odd] or ["no day is far off"]
    least, most = own["count"].min(), own["count"].max()
    alt = f"{len(own)} days of {count(least)} to {count(most)} events; {'; '.join(said)}."
    return finished(traces, layout, title=title, alt=alt, height=_HEIGHT)


def missing_cells(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Whose share of missing cells changed, and when?

    Parameters
    ----------
    table : a row per event, property and block of days: ``event, property, date, k, n, rate,
        usual``; the first pairs are drawn.
    title : plain text.
    """
    if not len(table):
        return empty("No property changed suddenly.", title=title)
    traces: list[Any] = []
    said = []
    pairs = list(table.groupby(["event", "property"], sort=False))
    for (event, name), own in pairs[:_MOST_LINES]:
        rows = records(own)
        told = [f"{day(r.date, year=True)}: {share(r.k, r.n, r.rate)}" for r in rows]
        color = PALETTE[len(traces)]
        dates = [row.date.strftime("%Y-%m-%d") for row in rows]
        hover = [safe_lines([f"{name} of {event}", text]) for text in told]
        traces.append(_line(dates, plain(own["rate"]), color, "solid", hover))
        traces[-1].update(name=safe(short(f"{name} of {event}", 40)))
        worst = int((own["rate"] - own["usual"]).abs().argmax())
        said.append(f"{name} of {event} is missing most unusually on {told[worst]}.")
    more = len(pairs) - _MOST_LINES
    said += [f"{more} more pairs are not drawn."] if more > 0 else []
    layout = {"yaxis": {"range": [-0.02, 1.02], "tickformat": ".0%"}, "showlegend": True}
    return finished(traces, layout, title=title, alt=" ".join(said), height=_HEIGHT)


def silences(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """When were events silent that should not have been?

    Parameters
    ----------
    table : a row per silence: ``event, kind, start, end``, and the days ``log_start, log_end``.
    title : plain text.
    """
    if not len(table):
        return empty("No event began late, ended early or paused.", title=title)
    rows = records(table)
    names = list(dict.fromkeys(row.event for row in rows))
    said = [
        f"{r.event} is {r.kind}: nobody from {day(r.start)} to "
        f"{day(r.end - pd.Timedelta(days=1), year=True)}"
        for r in rows
    ]
    bars = [
        go.Scatter(
            x=[row.start.strftime("%Y-%m-%d"), row.end.strftime("%Y-%m-%d")],
            y=[names.index(row.event)] * 2,
            mode="lines",
            line={"color": DOWN, "width": 10},
            hovertext=[safe(text)] * 2,
            hoverinfo="text",
        )
        for row, text in zip(rows, said, strict=True)
    ]
    axis = {
        "tickvals": list(range(len(names))),
        "ticktext": [safe(short(name, 24)) for name in names],
        "range": [len(names) - 0.4, -0.6],
    }
    whole = [rows[0].log_start.strftime("%Y-%m-%d"), rows[0].log_end.strftime("%Y-%m-%d")]
    layout = {"xaxis": {"range": whole}, "yaxis": axis}
    height = _ROW * len(names) + 60
    return finished(bars, layout, title=title, alt="; ".join(said) + ".", height=height)


def _line(x: list[Any], y: list[Any], color: str, dash: str, hover: Any = None) -> go.Scatter:
    told = {"hoverinfo": "skip"} if hover is None else {"hovertext": hover, "hoverinfo": "text"}
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": color, "width": 2, "dash": dash}, **told
    )
