"""What is drawn of segments: their overlaps, the rates of an audience, RFM scores, and clusters.

Each function takes the table of a result and returns a plotly figure.
"""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.wording import count, label, listed, percent, share
from analysis.plotting.theme import (
    AXIS,
    GRID,
    INK,
    PALETTE,
    ROW,
    TOO_FEW,
    Bar,
    bars_under_headings,
    empty,
    finished,
    percent_axis,
    plain,
    safe,
    safe_lines,
    short,
)

MOST_ROWS: Final = 20

_MATRIX: Final = 0.34
_HEAD: Final = 112
_MOST_NAME: Final = 20
_MOST_HEADING: Final = 26
_UNITS: Final = {"recency": "days ago", "frequency": "times", "monetary": ""}


def upset(table: pd.DataFrame, sets: tuple[str, ...], *, title: str | None = None) -> go.Figure:
    """How many people are in each combination of sets, and in no other?

    An UpSet figure: a row per combination, its sets as dots, its size as a bar.

    Parameters
    ----------
    table : a row per combination, largest first: a boolean column per set, numbered ``set_1`` …,
        and ``k, n, rate, low, high``. sets : their names. title : plain text.

    Notes
    -----
    Lex, Gehlenborg, Strobelt, Vuillemot & Pfister 2014, *IEEE TVCG* 20:1983, turned so that rows
    run down a page: beyond three sets overlapping circles cannot be drawn to size, and rows can.

    Examples
    --------
    >>> table = pd.DataFrame({"set_1": [True, True], "set_2": [False, True], "k": [30, 10],
    ...     "n": 100, "rate": [0.3, 0.1], "low": [0.22, 0.06], "high": [0.4, 0.17]})
    >>> upset(table, ("Carts", "Readers")).layout.meta["alt"]
    'Only Carts: 30.0% (30 of 100). Carts and Readers: 10.0% (10 of 100).'
    """
    if not len(table):
        return empty("Nobody is in any of these sets.", title=title)
    shown = table.head(MOST_ROWS)
    y = [(i + 0.5) * ROW for i in range(len(shown))]
    upper = float(shown["high"].max())
    layout = {
        "xaxis": {"domain": [0, _MATRIX], "range": [-0.6, len(sets) - 0.4], "visible": False},
        "xaxis2": _share_axis(upper if upper == upper else 1.0),
        "yaxis": {"range": [len(shown) * ROW, 0], "visible": False},
        "annotations": _names(sets),
        "bargap": 0.3,
    }
    traces = [_grid(len(sets), y), *_dots(shown, len(sets), y), *_bars(shown, sets, y)]
    alt = " ".join(f"{_combination(row, sets)}: {_many(row)}." for row in records(shown))
    rest = len(table) - len(shown)
    alt += f" {rest} smaller combinations are not drawn." if rest else ""
    figure = finished(traces, layout, title=title, alt=alt, height=len(shown) * ROW + AXIS + _HEAD)
    return figure.update_layout(margin_t=_HEAD + (40 if title else 8))


def _share_axis(upper: float) -> dict[str, Any]:
    # Room for the words behind the longest whisker.
    room = {"domain": [_MATRIX + 0.02, 1], "range": [0, upper * 1.7], "anchor": "y"}
    return percent_axis(max(upper, 0.01)) | room


def _names(sets: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "text": safe(short(label(name), _MOST_NAME)),
            "x": i,
            "xref": "x",
            "y": 1,
            "yref": "paper",
            "xanchor": "left",
            "yanchor": "bottom",
            "textangle": -50,
            "xshift": -4,
            "showarrow": False,
            "font": {"size": 12},
        }
        for i, name in enumerate(sets)
    ]


def _grid(sets: int, y: list[float]) -> go.Scatter:
    return go.Scatter(
        mode="markers",
        x=[i for _ in y for i in range(sets)],
        y=[at for at in y for _ in range(sets)],
        marker={"size": 9, "color": GRID},
        hoverinfo="skip",
    )


def _dots(table: pd.DataFrame, sets: int, y: list[float]) -> list[Any]:
    traces = []
    for row, at in zip(records(table), y, strict=True):
        inside = [i for i in range(sets) if getattr(row, f"set_{i + 1}")]
        traces.append(
            go.Scatter(
                mode="lines+markers",
                x=inside,
                y=[at] * len(inside),
                marker={"size": 10, "color": PALETTE[0]},
                line={"width": 2.5, "color": PALETTE[0]},
                hoverinfo="skip",
            )
        )
    return traces


def _bars(table: pd.DataFrame, sets: tuple[str, ...], y: list[float]) -> list[Any]:
    bars = go.Bar(
        orientation="h",
        x=plain(table["rate"]),
        y=y,
        xaxis="x2",
        width=ROW - 7,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain(table["high"] - table["rate"]),
            "arrayminus": plain(table["rate"] - table["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_hover_text(row, sets)) for row in records(table)],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(table["high"].fillna(0)),
        y=y,
        xaxis="x2",
        text=[f"&nbsp;&nbsp;{safe(_beside(row))}" for row in records(table)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    return [bars, words]


def _beside(row: Any) -> str:
    return TOO_FEW if pd.isna(row.k) else f"{percent(row.rate)} · {count(row.k)}"


def _combination(row: Any, sets: tuple[str, ...]) -> str:
    inside = [label(name) for i, name in enumerate(sets) if getattr(row, f"set_{i + 1}")]
    if len(inside) == 1:
        return f"Only {inside[0]}"
    return listed(inside) if inside else "None of them"


def _many(row: Any) -> str:
    return TOO_FEW if pd.isna(row.k) else share(row.k, row.n, row.rate)


def _hover_text(row: Any, sets: tuple[str, ...]) -> list[str]:
    lines = [_combination(row, sets), _many(row)]
    if not pd.isna(row.k):
        lines.append(f"95% interval {percent(row.low)} to {percent(row.high)}")
    return lines


def audience_rates(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many of each group did the macro conversion, since the instant and before it?

    Parameters
    ----------
    table : a row per group: ``group, users``, and ``k, rate, low, high`` since the instant; the
        same with ``_before``. Undefined rates are left out.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["all"], "users": [40], "k": [10], "rate": [0.25], "low": [0.14],
    ...     "high": [0.4], "k_before": [4], "rate_before": [0.1], "low_before": [0.04],
    ...     "high_before": [0.23]})
    >>> audience_rates(table).layout.meta["alt"]
    'All, since then: 25.0% (10 of 40). All, before: 10.0% (4 of 40).'
    """
    if not len(table) or not table["users"].max():
        return empty("Nobody is in this audience.", title=title)
    blocks, alt = [], []
    for row in records(table[table["users"] > 0]):
        bars = []
        for ends, name in (("", "since then"), ("_before", "before")):
            k, rate, low, high = (getattr(row, f"{c}{ends}") for c in ("k", "rate", "low", "high"))
            if pd.isna(rate):
                continue
            many = share(k, row.users, rate)
            interval = f"95% interval {percent(low)} to {percent(high)}"
            hover = [f"{label(row.group)}, {name}", many, interval]
            bars.append(Bar(name, rate, low, high, many, hover))
            alt.append(f"{label(row.group)}, {name}: {many}.")
        blocks.append((f"{label(row.group)}: {count(row.users)} people", bars))
    if not any(bars for _, bars in blocks):
        return empty("There are too few people to show.", title=title)
    upper = float(table[["high", "high_before"]].max().max())
    axis = percent_axis(min(1.0, max(upper, 0.01))) | {"range": [0, max(upper, 0.01) * 1.7]}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)


def score_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many buyers have each score, and which numbers make it?

    Parameters
    ----------
    table : a row per measure and score: ``measure, score, low, high`` (range of the measure),
        ``k, n, rate, rate_low, rate_high``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "measure": "frequency", "score": [1, 2], "low": [1, 2], "high": [1, 9], "k": [30, 10],
    ...     "n": 40, "rate": [0.75, 0.25], "rate_low": [0.6, 0.14], "rate_high": [0.86, 0.4]})
    >>> score_bars(table).layout.meta["alt"]
    'Frequency, score 2: 2 to 9 times, 25.0% (10 of 40). Frequency, score 1: 1 time, 75.0% \
(30 of 40).'
    """
    if not len(table):
        return empty("Nobody bought.", title=title)
    blocks, alt = [], []
    for measure, own in table.groupby("measure", sort=False):
        bars = []
        for row in records(own.sort_values("score", ascending=False)):
            name = f"score {row.score}"
            if pd.isna(row.k):
                none, hover = float("nan"), [f"{label(measure)}, {name}", TOO_FEW]
                bars.append(Bar(name, none, none, none, TOO_FEW, hover))
                alt.append(f"{label(measure)}, {name}: {TOO_FEW}.")
                continue
            numbers = _range_words(str(measure), row.low, row.high)
            many = share(row.k, row.n, row.rate)
            interval = f"95% interval {percent(row.rate_low)} to {percent(row.rate_high)}"
            words = f"{percent(row.rate)} · {count(row.k)} · {numbers}"
            hover = [f"{label(measure)}, {name}", numbers, many, interval]
            bars.append(Bar(name, row.rate, row.rate_low, row.rate_high, words, hover))
            alt.append(f"{label(measure)}, {name}: {numbers}, {many}.")
        blocks.append((label(measure), bars))
    upper = float(table["rate_high"].fillna(0.01).max())
    # Room for the words behind the longest whisker, also where that ends at 100 %.
    axis = percent_axis(min(1.0, upper)) | {"range": [0, upper * 1.8]}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)


def _range_words(measure: str, low: float, high: float) -> str:
    ends = [f"{end:,.1f}".removesuffix(".0") for end in (low, high)]
    unit = "time" if measure == "frequency" and high == 1 else _UNITS.get(measure, "")
    words = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"{words} {unit}".strip()


def cluster_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """What do the people of each cluster do more, or less, than everybody?

    Parameters
    ----------
    table : a row per cluster and event: ``cluster, k, n, rate, low, high`` (its people), ``event,
        per_session, per_session_all``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "cluster": ["Much share"], "k": [10], "n": [40], "rate": [0.25], "low": [0.14],
    ...     "high": [0.4], "event": ["share"], "per_session": [0.6], "per_session_all": [0.2]})
    >>> cluster_bars(table).layout.meta["alt"]
    'Much share: 25.0% (10 of 40). Share: 0.60 per session, everybody 0.20.'
    """
    if not len(table):
        return empty("There are no clusters to show.", title=title)
    upper = float(table[["per_session", "per_session_all"]].max().max())
    blocks, alt = [], []
    for cluster, own in table.groupby("cluster", sort=False):
        first = own.iloc[0]
        few = pd.isna(first["k"])
        many = TOO_FEW if few else share(first["k"], first["n"], first["rate"])
        alt.append(f"{cluster}: {many}.")
        bars = []
        for row in records(own):
            if few:
                nan = float("nan")
                hover = [f"{cluster} · {label(row.event)}", TOO_FEW]
                bars.append(Bar(label(row.event), nan, nan, nan, TOO_FEW, hover))
                continue
            both = f"{row.per_session:.2f} per session, everybody {row.per_session_all:.2f}"
            interval = f"95% interval {percent(row.low)} to {percent(row.high)}"
            hover = [f"{cluster} · {label(row.event)}", both, many, interval]
            words = f"{row.per_session:.2f} · everybody {row.per_session_all:.2f}"
            nan = float("nan")
            bars.append(Bar(label(row.event), row.per_session, nan, nan, words, hover))
            alt.append(f"{label(row.event)}: {both}.")
        people = TOO_FEW if few else f"{percent(first['rate'])} · {count(first['k'])}"
        blocks.append((f"{people} · {short(str(cluster), _MOST_HEADING)}", bars))
    axis = {"range": [0, upper * 2.2], "title": {"text": "events per session", "standoff": 4}}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)
