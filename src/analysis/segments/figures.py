"""Groups of people as bars under headings: their scores, and what sets clusters apart."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, label, percent, share
from analysis.plotting.figures_rows import (
    AXIS,
    ROW,
    Rows,
    heading_notes,
    percent_axis,
    row_axis,
    rows,
)
from analysis.plotting.theme import (
    INK,
    PALETTE,
    TOO_FEW,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_UNITS = {"recency": "days ago", "frequency": "times", "monetary": ""}


_NAME = 22


_HEADING = 26


class Bar(NamedTuple):
    """One row: its name, its length with perhaps an interval, its words and its hover lines."""

    name: str
    at: float
    low: float
    high: float
    words: str
    told: list[str]


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
            span = _span(str(measure), row.low, row.high)
            many = share(row.k, row.n, row.rate)
            interval = f"95% interval {percent(row.rate_low)} to {percent(row.rate_high)}"
            words = f"{percent(row.rate)} · {count(row.k)} · {span}"
            told = [f"{label(measure)}, score {row.score}", span, many, interval]
            bars.append(Bar(name, row.rate, row.rate_low, row.rate_high, words, told))
            alt.append(f"{label(measure)}, score {row.score}: {span}, {many}.")
        blocks.append((label(measure), bars))
    upper = float(table["rate_high"].fillna(0.01).max())
    # Room for the words behind the longest whisker, also where that ends at 100 %.
    axis = percent_axis(min(1.0, upper)) | {"range": [0, upper * 1.8]}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)


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
            both = f"{row.per_session:.2f} per session, everybody {row.per_session_all:.2f}"
            told = [f"{cluster} · {label(row.event)}", both, many]
            if not few:
                told.append(f"95% interval {percent(row.low)} to {percent(row.high)}")
            words = f"{row.per_session:.2f} · everybody {row.per_session_all:.2f}"
            bars.append(Bar(label(row.event), row.per_session, float("nan"), float("nan"),
                            words, told))  # fmt: skip
            alt.append(f"{label(row.event)}: {both}.")
        people = TOO_FEW if few else f"{percent(first['rate'])} · {count(first['k'])}"
        blocks.append((f"{people} · {short(str(cluster), _HEADING)}", bars))
    axis = {"range": [0, upper * 2.2], "title": {"text": "events per session", "standoff": 4}}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)


def bars_under_headings(
    blocks: Sequence[tuple[str, list[Bar]]], axis: dict[str, Any], *, alt: str, title: str | None
) -> go.Figure:
    """Named bars with their words, in blocks of a heading each."""
    place = _places([len(bars) for _, bars in blocks])
    flat = [bar for _, bars in blocks for bar in bars]
    y = [at for centers in place.centers for at in centers]
    named = row_axis(place, [""])
    named |= {"tickvals": y, "ticktext": [safe(short(bar.name, _NAME)) for bar in flat]}
    ends = pd.DataFrame(flat)
    trace = go.Bar(
        orientation="h",
        x=plain(ends["at"]),
        y=y,
        width=ROW - 6,
        marker={"color": PALETTE[4], "line": {"width": 0}},
        error_x=_whiskers(ends) if ends["low"].notna().any() else None,
        hovertext=[safe_lines(bar.told) for bar in flat],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(ends["high"].fillna(ends["at"]).fillna(0)),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(bar.words)}" for bar in flat],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    headings = heading_notes(place, [f"<b>{safe(name)}</b>" for name, _ in blocks])
    layout = {"xaxis": axis, "yaxis": named, "annotations": headings}
    height = int(place.height) + AXIS + (14 if "title" in axis else 0)
    return finished([trace, words], layout, title=title, alt=alt, height=height)


def _whiskers(ends: pd.DataFrame) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": plain(ends["high"] - ends["at"]),
        "arrayminus": plain(ends["at"] - ends["low"]),
        "color": INK,
        "thickness": 1.4,
        "width": 4,
    }


def _places(sizes: Sequence[int]) -> Rows:
    """Places for blocks of different sizes, one under the other."""
    single = [rows(1, size) for size in sizes]
    tops = np.cumsum([0, *(place.height for place in single)])
    centers = [
        [float(top) + at for at in place.centers[0]]
        for top, place in zip(tops, single, strict=False)
    ]
    headings = [float(top) + place.headings[0] for top, place in zip(tops, single, strict=False)]
    return Rows(centers, headings, float(tops[-1]))


def _span(measure: str, low: float, high: float) -> str:
    ends = [f"{end:,.1f}".removesuffix(".0") for end in (low, high)]
    unit = "time" if measure == "frequency" and high == 1 else _UNITS.get(measure, "")
    said = ends[0] if ends[0] == ends[1] else " to ".join(ends)
    return f"{said} {unit}".strip()
