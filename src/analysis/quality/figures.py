"""What did an audit find? All verdicts at a glance, and what single checks saw.

A verdict is a shape, a color and a word, so that nobody has to tell red from green.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.wording import count, day, money, percent, share, times
from analysis.plotting.theme import (
    DOWN,
    INK,
    PALETTE,
    REST,
    empty,
    finished,
    plain,
    safe,
    safe_lines,
    short,
)

_MARKER: Final = {
    "pass": (PALETTE[2], "circle"),
    "warn": (PALETTE[1], "triangle-up"),
    "fail": (DOWN, "x"),
    "not applicable": (REST, "circle-open"),
}

_ROW: Final = 26
_HEIGHT: Final = 280
_LONGEST: Final = 70
_MOST_LINES: Final = 6


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
    markers = [_MARKER[row.verdict] for row in rows]
    places = list(range(len(rows)))
    marks = go.Scatter(
        x=[0] * len(rows),
        y=places,
        mode="markers+text",
        marker={
            "color": [color for color, _ in markers],
            "symbol": [symbol for _, symbol in markers],
            "size": 13,
            "line": {"width": 2, "color": [color for color, _ in markers]},
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


def daily_volume(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many events did each day have, and which days are far off?

    Parameters
    ----------
    table : a row per series and day: ``series, date, count, expected, odd, shift``; the first
        series is drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"series": "all events", "count": [90, 10], "expected": [90.0, 95.0],
    ...                       "date": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    ...                       "odd": [False, True], "shift": False})
    >>> daily_volume(table).layout.meta["alt"]
    '2 days of 10 to 90 events; 2 Jan 2026: 10, usual are 95.'
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
    words = [hover[i] for i in odd] or ["no day is far off"]
    least, most = own["count"].min(), own["count"].max()
    alt = f"{len(own)} days of {count(least)} to {count(most)} events; {'; '.join(words)}."
    return finished(traces, layout, title=title, alt=alt, height=_HEIGHT)


def missing_cells(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Of which property did the share of missing cells change, and when?

    Parameters
    ----------
    table : a row per event, property and block of days: ``event, property, date, k, n, rate,
        usual``; the first pairs are drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"event": "purchase", "property": "value", "usual": 0.0,
    ...                       "date": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    ...                       "k": [0, 45], "n": [50, 50], "rate": [0.0, 0.9]})
    >>> missing_cells(table).layout.meta["alt"]
    'value of purchase is missing most unusually on 2 Jan 2026: 90.0% (45 of 50).'
    """
    if not len(table):
        return empty("No property changed suddenly.", title=title)
    traces: list[Any] = []
    sentences = []
    pairs = list(table.groupby(["event", "property"], sort=False))
    for (event, name), own in pairs[:_MOST_LINES]:
        rows = records(own)
        shares = [f"{day(r.date, year=True)}: {share(r.k, r.n, r.rate)}" for r in rows]
        color = PALETTE[len(traces)]
        dates = [row.date.strftime("%Y-%m-%d") for row in rows]
        hover = [safe_lines([f"{name} of {event}", text]) for text in shares]
        traces.append(_line(dates, plain(own["rate"]), color, "solid", hover))
        traces[-1].update(name=safe(short(f"{name} of {event}", 40)))
        worst = int((own["rate"] - own["usual"]).abs().argmax())
        sentences.append(f"{name} of {event} is missing most unusually on {shares[worst]}.")
    more = len(pairs) - _MOST_LINES
    sentences += [f"{more} more pairs are not drawn."] if more > 0 else []
    layout = {"yaxis": {"range": [-0.02, 1.02], "tickformat": ".0%"}, "showlegend": True}
    return finished(traces, layout, title=title, alt=" ".join(sentences), height=_HEIGHT)


def silences(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """When were events silent that should not have been?

    Parameters
    ----------
    table : a row per silence: ``event, kind, start, end``, and the days ``log_start, log_end``.
    title : plain text.

    Examples
    --------
    >>> first, last = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01")
    >>> table = pd.DataFrame({"event": ["search"], "kind": ["vanished"],
    ...                       "start": [pd.Timestamp("2026-01-20")], "end": [last],
    ...                       "log_start": [first], "log_end": [last]})
    >>> silences(table).layout.meta["alt"]
    'search is vanished: nobody from 20 Jan to 31 Jan 2026.'
    """
    if not len(table):
        return empty("No event began late, ended early or paused.", title=title)
    sentences = [
        f"{r.event} is {r.kind}: nobody from {day(r.start)} to "
        f"{day(r.end - pd.Timedelta(days=1), year=True)}"
        for r in records(table)
    ]
    return _spans(table, list(table["event"]), sentences, title)


def lasting_changes(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """When did events come more, or less, often from the people who were there?

    Parameters
    ----------
    table : a row per change: ``event, property, value, start, end, usual, rate``, and the days
        ``log_start, log_end``.
    title : plain text.

    Examples
    --------
    >>> first, last = pd.Timestamp("2026-01-01"), pd.Timestamp("2026-02-01")
    >>> table = pd.DataFrame({"event": ["purchase"], "property": ["device"], "value": ["mobile"],
    ...                       "start": [pd.Timestamp("2026-01-20")], "end": [last],
    ...                       "usual": [0.04], "rate": [0.02], "log_start": [first],
    ...                       "log_end": [last]})
    >>> lasting_changes(table).layout.meta["alt"]
    'purchase (mobile) from 20 Jan to 31 Jan 2026: 0.02 per active person and day, before 0.04.'
    """
    if not len(table):
        return empty("No event came more or less often for a week or longer.", title=title)
    rows = records(table)
    names = [f"{r.event} ({r.value})" if r.property else str(r.event) for r in rows]
    sentences = [
        f"{name} from {day(r.start)} to {day(r.end - pd.Timedelta(days=1), year=True)}: "
        f"{times(r.rate)} per active person and day, before {times(r.usual)}"
        for name, r in zip(names, rows, strict=True)
    ]
    return _spans(table, names, sentences, title)


def _spans(
    table: pd.DataFrame, names: list[str], sentences: list[str], title: str | None
) -> go.Figure:
    """A bar from ``start`` to ``end`` per row, in a line per name, over the days of the log."""
    rows = records(table)
    lines = list(dict.fromkeys(names))
    bars = [
        go.Scatter(
            x=[row.start.strftime("%Y-%m-%d"), row.end.strftime("%Y-%m-%d")],
            y=[lines.index(name)] * 2,
            mode="lines",
            line={"color": DOWN, "width": 10},
            hovertext=[safe(text)] * 2,
            hoverinfo="text",
        )
        for row, name, text in zip(rows, names, sentences, strict=True)
    ]
    axis = {
        "tickvals": list(range(len(lines))),
        "ticktext": [safe(short(name, 24)) for name in lines],
        "range": [len(lines) - 0.4, -0.6],
    }
    whole = [rows[0].log_start.strftime("%Y-%m-%d"), rows[0].log_end.strftime("%Y-%m-%d")]
    layout = {"xaxis": {"range": whole}, "yaxis": axis}
    height = _ROW * len(lines) + 60
    return finished(bars, layout, title=title, alt="; ".join(sentences) + ".", height=height)


def _line(x: list[Any], y: list[Any], color: str, dash: str, hover: Any = None) -> go.Scatter:
    on_hover = {"hoverinfo": "skip"} if hover is None else {"hovertext": hover, "hoverinfo": "text"}
    return go.Scatter(
        x=x, y=y, mode="lines", line={"color": color, "width": 2, "dash": dash}, **on_hover
    )


def value_classes(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How are the values of the orders spread, and which are far from the others?

    Parameters
    ----------
    table : a row per class of values: ``low, high``, ``count`` and ``odd``, the outliers in it.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"low": [10.0, 100.0], "high": [20.0, 200.0], "count": [99, 1],
    ...                       "odd": [0, 1]})
    >>> value_classes(table).layout.meta["alt"]
    '100 orders of 10.00 to 200.00; 1.0% (1 of 100) are far from the others.'
    """
    n = int(table["count"].sum())
    if not n:
        return empty("Too few orders have a value.", title=title)
    middle = (table["low"] * table["high"]) ** 0.5
    rows = records(table)
    hover = [f"{money(r.low)} to {money(r.high)}: {share(r.count, n, r.count / n)}" for r in rows]
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
        f"{count(n)} orders of {money(table['low'].iloc[0])} to "
        f"{money(table['high'].iloc[-1])}; "
        f"{percent(k / n)} ({count(k)} of {count(n)}) are far from the others."
    )
    return finished(bars, layout, title=title, alt=alt, height=_HEIGHT)


def hours_of_day(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """At which hours of the day do events happen?

    Parameters
    ----------
    table : ``hour`` (0 to 23, local) and ``count``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({"hour": [8, 9], "count": [30, 10]})
    >>> hours_of_day(table).layout.meta["alt"]
    "8 o'clock: 75.0% (30 of 40); 9 o'clock: 25.0% (10 of 40)."
    """
    n = int(table["count"].sum())
    if not n:
        return empty("The log is empty.", title=title)
    sentences = [f"{r.hour} o'clock: {share(r.count, n, r.count / n)}" for r in records(table)]
    bars = go.Bar(
        x=plain(table["hour"]),
        y=plain(table["count"]),
        marker={"color": PALETTE[0]},
        hovertext=sentences,
        hoverinfo="text",
    )
    layout = {"xaxis": {"dtick": 3, "title": {"text": "hour of the day"}}, "bargap": 0.15}
    return finished([bars], layout, title=title, alt="; ".join(sentences) + ".", height=_HEIGHT)
