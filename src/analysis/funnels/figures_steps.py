"""What do a suggested funnel, the steps hidden in one, and the small actions beside it look like?

A suggestion is a bar per step: how many of those who converted did it before. A candidate for a
hidden step is two points on one scale: the share of people who went on, and who stopped.
A small action is a bar and a point: how many did it, and how many of these converted, with the
rate of everybody as a line. What goes together is shown; what causes what is not.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import US_PER_SECOND, human_duration
from analysis.core.wording import count, label, percent, points, share
from analysis.funnels.figures import whiskers
from analysis.plotting.theme import (
    AXIS,
    INK,
    PALETTE,
    ROW,
    TOO_FEW,
    empty,
    finished,
    heading_notes,
    ink_on,
    percent_axis,
    plain,
    row_axis,
    row_lines,
    rows,
    safe,
    safe_lines,
)

_WORDS_FIT = 0.55
"""Above this rate the words stand inside a bar, or left of a point."""


def step_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many converters did each suggested step, and how many in this order?

    Parameters
    ----------
    table : as `suggest` returns it: a row per step, rates as fractions; the macro is the last.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": [1, 2], "label": ["Added to cart", "Purchase"], "k": [30, 40], "n": 40,
    ...     "rate": [0.75, 1.0], "low": [0.598, 1.0], "high": [0.858, 1.0],
    ...     "median_seconds_before": [90.0, 0.0], "n_after": float("nan")})
    >>> step_bars(table).layout.meta["alt"]
    'Of 40 converters: Added to cart: 75.0% (30 of 40), interval 59.8% to 85.8%. Purchase.'
    """
    if not len(table):
        return empty("Nobody converted: there is no funnel to suggest.", title=title)
    place = rows(len(table), 1)
    y = [centers[0] for centers in place.centers]
    inside = (table["low"] > _WORDS_FIT).to_list()
    at = table["low"].where(table["low"] > _WORDS_FIT, table["high"])
    bars = go.Bar(
        orientation="h",
        x=plain(table["rate"]),
        y=y,
        width=ROW - 6,
        marker={"color": PALETTE[0], "line": {"width": 0}},
        error_x=whiskers(table["rate"], table["low"], table["high"], INK),
        hovertext=[safe_lines(_step_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(at),
        y=y,
        text=[f"&nbsp;{percent(row.rate)} · {count(row.k)}&nbsp;" for row in records(table)],
        textposition=["middle left" if within else "middle right" for within in inside],
        textfont={"size": 12, "color": [ink_on(PALETTE[0]) if w else INK for w in inside]},
        hoverinfo="skip",
        cliponaxis=False,
    )
    layout = {
        "xaxis": percent_axis(1.0),
        "yaxis": row_axis(place, [""]),
        "annotations": heading_notes(place, [_step_heading(row) for row in records(table)]),
    }
    height = int(place.height) + AXIS
    return finished([bars, words], layout, title=title, alt=_steps_caption(table), height=height)


def _step_heading(row: Any) -> str:
    text = f"{row.step}. <b>{safe(row.label)}</b>"
    if not row.n_after > 0:
        return text
    return f"{text}  {percent(row.after_rate)} of {count(row.n_after)} after step {row.step - 1}"


def _step_hover_text(row: Any) -> list[str]:
    lines = [row.label, f"did it before: {share(row.k, row.n, row.rate)}"]
    if row.low < row.high:
        lines.append(f"95% interval {percent(row.low)} to {percent(row.high)}")
    if row.median_seconds_before > 0:
        wait = human_duration(row.median_seconds_before * US_PER_SECOND)
        lines.append(f"median time before converting: {wait}")
    if row.n_after > 0:
        lines += [
            f"after the step above: {share(row.k_after, row.n_after, row.after_rate)}",
            f"95% interval {percent(row.after_low)} to {percent(row.after_high)}",
        ]
    return lines


def _steps_caption(table: pd.DataFrame) -> str:
    *steps, macro = records(table)
    sentences = [f"Of {count(macro.n)} converters:"]
    for row in steps:
        interval = f"interval {percent(row.low)} to {percent(row.high)}"
        sentences.append(f"{row.label}: {share(row.k, row.n, row.rate)}, {interval}.")
    return " ".join([*sentences, f"{macro.label}."])


_GROUPS = (("", "went on", PALETTE[0], "circle"), ("stopped_", "stopped", PALETTE[5], "diamond"))
"""The two points of a candidate: the prefix of its columns, its name, color and symbol."""


def hidden_dots(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which events did people who went on do, and people who stopped not?

    Parameters
    ----------
    table : as `hidden_steps` returns it: a row per candidate, rates as fractions.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": [1], "from_event": ["cart"], "to_event": ["buy"], "event": ["form"],
    ...     "within_seconds": [540.0], "k": [38], "n": [38], "rate": [1.0], "low": [0.908],
    ...     "high": [1.0], "stopped_k": [2], "stopped_n": [22], "stopped_rate": [0.0909],
    ...     "stopped_low": [0.025], "stopped_high": [0.278], "difference": [0.909],
    ...     "difference_low": [0.7], "difference_high": [0.975], "hidden": [True]})
    >>> hidden_dots(table).layout.meta["alt"]
    'Cart to Buy: Form: 100% (38 of 38) of people who went on, 9.1% (2 of 22) of people who \
stopped.'
    """
    if not len(table):
        return empty("There is nothing to compare between these steps.", title=title)
    # The first row under a heading says between which steps: two names are too long beside a third.
    place = rows(len(table), 3)
    first_rows = place._replace(headings=[centers[0] for centers in place.centers])
    layout = {
        "xaxis": percent_axis(1.0),
        "yaxis": row_axis(place, ["", *(name for _, name, _, _ in _GROUPS)]),
        "annotations": heading_notes(place, [_candidate_heading(row) for row in records(table)])
        + heading_notes(first_rows, [_between_heading(row) for row in records(table)]),
    }
    traces = [
        trace
        for j, group in enumerate(_GROUPS, start=1)
        for trace in _group_traces(table, [centers[j] for centers in place.centers], group)
    ]
    alt = " ".join(_candidate_caption(row) for row in records(table))
    height = int(place.height) + AXIS
    return finished(traces, layout, title=title, alt=alt, height=height)


def _group_traces(
    table: pd.DataFrame, y: list[float], group: tuple[str, str, str, str]
) -> list[Any]:
    prefix, _, color, symbol = group
    ks, rates, lows, highs = (table[f"{prefix}{name}"] for name in ("k", "rate", "low", "high"))
    left = (highs > _WORDS_FIT).to_list()
    dots = go.Scatter(
        mode="markers",
        x=plain(rates),
        y=y,
        marker={"color": color, "size": 10, "symbol": symbol},
        error_x=whiskers(rates, lows, highs, color),
        hovertext=[safe_lines(_candidate_hover_text(row)) for row in records(table)],
        hoverinfo="text",
        cliponaxis=False,
    )
    words = go.Scatter(
        mode="text",
        x=plain(lows.where(highs > _WORDS_FIT, highs)),
        y=y,
        text=[
            f"&nbsp;&nbsp;{percent(rate)} · {count(k)}&nbsp;&nbsp;"
            for rate, k in zip(rates, ks, strict=True)
        ],
        textposition=["middle left" if own else "middle right" for own in left],
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    return [dots, words]


def _candidate_heading(row: Any) -> str:
    mark = " may be a hidden step" if row.hidden else ""
    return f"<b>{safe(label(row.event))}</b>{mark}"


def _between_heading(row: Any) -> str:
    return f"{safe(label(row.from_event))} → {safe(label(row.to_event))}"


def _candidate_hover_text(row: Any) -> list[str]:
    low, high = points(row.difference_low), points(row.difference_high)
    return [
        label(row.event),
        f"between {label(row.from_event)} and {label(row.to_event)}",
        f"went on: {share(row.k, row.n, row.rate)}",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
        f"stopped: {share(row.stopped_k, row.stopped_n, row.stopped_rate)}",
        f"95% interval {percent(row.stopped_low)} to {percent(row.stopped_high)}",
        f"difference {points(row.difference)} points, 95% interval {low} to {high}",
        f"people who stopped: in the first {human_duration(row.within_seconds * US_PER_SECOND)}",
    ]


def _candidate_caption(row: Any) -> str:
    return (
        f"{label(row.from_event)} to {label(row.to_event)}: {label(row.event)}: "
        f"{share(row.k, row.n, row.rate)} of people who went on, "
        f"{share(row.stopped_k, row.stopped_n, row.stopped_rate)} of people who stopped."
    )


_MEASURES = ("did it", "converted")


def micro_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many did each small action, and how often did those who did it convert?

    Parameters
    ----------
    table : a row per action: ``event``, ``k`` of ``n`` users did it (``rate, low, high``),
        ``macro_k`` of these converted (``macro_rate, macro_low, macro_high``), and ``all_rate``,
        the rate of everybody. Rates are fractions.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["video_start"], "k": [40], "n": [200], "rate": [0.2], "low": [0.15],
    ...     "high": [0.261], "macro_k": [8], "macro_rate": [0.2], "macro_low": [0.105],
    ...     "macro_high": [0.348], "all_k": [20], "all_rate": [0.1]})
    >>> micro_bars(table).layout.meta["alt"]
    'Of everybody 10.0% (20 of 200) converted. Video start: 20.0% (40 of 200) did it, of these \
20.0% (8 of 40) converted.'
    """
    if not len(table):
        return empty("The catalog names no small action that this log has.", title=title)
    if not table["n"].fillna(0).max():
        return empty("Nobody who entered has had the whole time to convert yet.", title=title)
    place = rows(len(table), 2)
    upper = float(table[["high", "macro_high", "all_rate"]].max().max())
    # Room for the words behind the longest whisker, and never a chart of one percent only.
    axis = percent_axis(min(1.0, max(upper * 1.45, 0.05)) if upper == upper else 1.0)
    did = [centers[0] for centers in place.centers]
    converted = [centers[1] for centers in place.centers]
    everybody = float(table["all_rate"].iloc[0])
    layout = {
        "xaxis": axis,
        "yaxis": row_axis(place, _MEASURES),
        "annotations": heading_notes(
            place, [f"<b>{safe(label(event))}</b>" for event in table["event"]]
        ),
        "shapes": row_lines(place, everybody, dash="dot") if everybody == everybody else [],
    }
    traces = [
        _did_bars(table, did),
        _converted_dots(table, converted),
        _words(table["high"], did, [_rate_and_count(r.k, r.n, r.rate) for r in records(table)]),
        _words(
            table["macro_high"],
            converted,
            [_rate_and_count(r.macro_k, r.k, r.macro_rate) if r.k else "" for r in records(table)],
        ),
    ]
    height = int(place.height) + AXIS
    return finished(traces, layout, title=title, alt=_actions_caption(table), height=height)


def _did_bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=plain(table["rate"]),
        y=y,
        width=15,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x=whiskers(table["rate"], table["low"], table["high"], INK),
        hovertext=[safe_lines(_action_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )


def _converted_dots(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    rate, low, high = (table[f"macro_{name}"] for name in ("rate", "low", "high"))
    return go.Scatter(
        mode="markers",
        x=plain(rate),
        y=y,
        marker={"color": PALETTE[0], "size": 10},
        error_x=whiskers(rate, low, high, PALETTE[0]),
        hovertext=[safe_lines(_action_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )


def _words(at: pd.Series, y: list[float], texts: list[str]) -> go.Scatter:
    return go.Scatter(
        mode="text",
        x=plain(at.fillna(0)),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(text)}" for text in texts],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _rate_and_count(k: float, n: float, rate: float) -> str:
    if pd.isna(k):
        return TOO_FEW
    return f"{percent(rate)} · {count(k)}" if n else "nobody"


def _action_hover_text(row: Any) -> list[str]:
    lines = [label(row.event)]
    if pd.isna(row.k):
        return [*lines, TOO_FEW]
    lines += [
        f"did it: {share(row.k, row.n, row.rate)}",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
    ]
    if pd.isna(row.macro_k):
        return [*lines, f"converted: {TOO_FEW}"]
    if row.k:
        lines += [
            f"of these converted: {share(row.macro_k, row.k, row.macro_rate)}",
            f"95% interval {percent(row.macro_low)} to {percent(row.macro_high)}",
            f"of everybody: {share(row.all_k, row.n, row.all_rate)}",
        ]
    return lines


def _actions_caption(table: pd.DataFrame) -> str:
    first = table.iloc[0]
    sentences = [f"Of everybody {share(first['all_k'], first['n'], first['all_rate'])} converted."]
    for row in records(table):
        if pd.isna(row.k):
            sentences.append(f"{label(row.event)}: {TOO_FEW}.")
            continue
        words = f"{label(row.event)}: {share(row.k, row.n, row.rate)} did it"
        if pd.isna(row.macro_k):
            words += f"; of these {TOO_FEW} converted"
        elif row.k:
            words += f", of these {share(row.macro_k, row.k, row.macro_rate)} converted"
        sentences.append(words + ".")
    return " ".join(sentences)
