"""Shares as colored cells: what follows what, who is where, what comes before what.

Everything is in them, so thirty events have nine hundred cells. The darker, the more; shares from
a twentieth on are written on their cell, the others are in the hover, as every count is.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import count, label, percent, share
from analysis.journeys.figures_flows import MOST_TOLD, NAME, many, pair, waited
from analysis.plotting.theme import (
    INK,
    PALETTE,
    empty,
    finished,
    ink_on,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

_CELL, _WIDTH, _NAMES = 24, 20, 200


_SCALE: Final = [[0.0, "rgba(74, 163, 223, 0.06)"], [1.0, PALETTE[0]]]


_WRITTEN: Final = 0.05


def transition_map(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which share of each event's departures goes to which event?

    Parameters
    ----------
    table : as `transition_flows` takes it.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["visit"], "next_event": ["buy"], "k": [10], "n": [40], "rate": [0.25],
    ...     "low": [0.14], "high": [0.4], "median_seconds": [60.0]})
    >>> transition_map(table).layout.meta["alt"]
    'Visit, then Buy: 25.0% (10 of 40).'
    """
    known = table.dropna(subset=["k"])
    if not len(known):
        return empty("No transition of enough people to show.", title=title)
    rows = known.groupby("event")["n"].max().sort_values(ascending=False, kind="stable").index
    arrivals = known.groupby("next_event")["k"].sum()
    columns = [name for name in rows if name in arrivals]
    columns += [name for name in arrivals.index if name not in columns]
    cells = {(row.event, row.next_event): row for row in records(known)}
    alt = " ".join(f"{pair(row)}: {many(row)}." for row in records(known.head(MOST_TOLD)))
    if len(known) > MOST_TOLD:
        alt += f" {count(len(known) - MOST_TOLD)} rarer transitions are drawn, too."
    return _heat(cells, (list(rows), columns), "then", alt=alt, title=title)


def position_map(
    table: pd.DataFrame, *, names: tuple[str, str | None], title: str | None = None
) -> go.Figure:
    """Which share is where, by steps from the start and back from an event?

    Parameters
    ----------
    table : a row per position and event: ``direction, position, event, k, n, rate, low, high``.
    names : the event counted from (empty: the beginning), and the one counted back from.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "direction": "from", "position": [0], "event": ["visit"], "k": [40], "n": [40],
    ...     "rate": [1.0], "low": [0.91], "high": [1.0]})
    >>> position_map(table, names=("", None)).layout.meta["alt"]
    'At the start: Visit 100% (40 of 40).'
    """
    known = table.dropna(subset=["k"])
    if not len(known):
        return empty("Too few to show.", title=title)
    ends = {"from": names[0] or "start", "to": names[1] or ""}
    columns: list[str] = []
    alt = []
    cells: dict[tuple[str, str], Any] = {}
    for (direction, position), own in known.groupby(["direction", "position"], sort=True):
        mark = f"{position:+d}".replace("-", "−") if position else label(ends[str(direction)])
        column = mark + ("" if direction == "from" else "\u200b")
        if direction == "to" and columns and "" not in columns and own["position"].max() < 0:
            # A gap between what follows the start and what leads to the event.
            columns.append("")
        columns.append(column)
        cells |= {(row.event, column): row for row in records(own)}
        first = own.iloc[0]
        where = f"At the {mark.lower()}" if mark == "Start" else f"At {mark}"
        alt.append(
            f"{where}: {label(first['event'])} {share(first['k'], first['n'], first['rate'])}."
        )
    events = known.groupby("event")["k"].sum().sort_values(ascending=False, kind="stable").index
    rows = sorted(events, key=lambda name: name.startswith("("))
    return _heat(cells, (rows, columns), "at", alt=" ".join(alt), title=title)


def order_map(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which event comes before which, among those who did both?

    The events stand in the order in which people first come to them, so what goes against it shows
    below the diagonal.

    Parameters
    ----------
    table : a row per pair: ``a, b, k, n, rate, low, high, both, lift``; hidden ones are NaN.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "a": ["video"], "b": ["buy"], "k": [30], "n": [40], "rate": [0.75], "low": [0.6],
    ...     "high": [0.86], "both": [41], "lift": [1.2]})
    >>> order_map(table).layout.meta["alt"]
    'Video, before Buy: 75.0% (30 of 40).'
    """
    known = table.dropna(subset=["rate"])
    if not len(known):
        return empty("No pair of events with enough people to show.", title=title)
    back = known.assign(
        **{"a": known["b"], "b": known["a"], "k": known["n"] - known["k"]},
        **{"rate": 1 - known["rate"], "low": 1 - known["high"], "high": 1 - known["low"]},
    )
    both = pd.concat([known, back], ignore_index=True)
    names = both.groupby("a")["rate"].mean().sort_values(ascending=False, kind="stable").index
    cells = {(row.a, row.b): row for row in records(both)}
    told = records(known.head(MOST_TOLD))
    alt = " ".join(f"{label(row.a)}, before {label(row.b)}: {many(row)}." for row in told)
    if len(known) > MOST_TOLD:
        alt += f" {count(len(known) - MOST_TOLD)} more pairs are drawn, too."
    return _heat(cells, (list(names), list(names)), "before", alt=alt, title=title)


def _heat(
    cells: dict[tuple[str, str], Any],
    names: tuple[list[str], list[str]],
    between: str,
    *,
    alt: str,
    title: str | None,
) -> go.Figure:
    """Shares as colored cells with their percent, rows downwards."""
    rows, columns = names
    rate = [[getattr(cells.get((r, c)), "rate", float("nan")) for c in columns] for r in rows]
    told = [[_cell_told(cells.get((r, c)), r, c, between) for c in columns] for r in rows]
    trace = go.Heatmap(
        z=[plain(own) for own in rate],
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        colorscale=_SCALE,
        zmin=0,
        zmax=max(0.01, max(float(np.nanmax(own)) for own in rate if not np.isnan(own).all())),
        showscale=False,
        xgap=1,
        ygap=1,
        hovertext=told,
        hoverinfo="text",
    )
    head = 110
    layout = {
        "xaxis": _axis(columns) | {"side": "top", "tickangle": -50},
        "yaxis": _axis(rows) | {"range": [len(rows) - 0.5, -0.5]},
        "annotations": _written(rate, float(trace.zmax), len(columns)),
    }
    figure = finished([trace], layout, title=title, alt=alt, height=_CELL * len(rows) + head)
    # On a phone it is scrolled: cells narrower than their numbers cannot be read.
    figure.layout.meta = {**figure.layout.meta, "room": _NAMES + _WIDTH * len(columns)}
    # Room for the last name, which leans to the right.
    return figure.update_layout(margin_t=head + (40 if title else 8), margin_r=64)


def _axis(names: list[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [safe(short(label(name), NAME)) for name in names],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": 11},
    }


def _written(rate: list[list[float]], most: float, columns: int) -> list[dict[str, Any]]:
    """Percents on the cells; the small ones are in the hover, or nothing could be read."""
    return [
        {
            "text": f"{100 * value:.0f}",
            "x": j,
            "y": i,
            "showarrow": False,
            "font": {
                "size": 11 if columns <= 16 else 9,
                "color": ink_on(PALETTE[0]) if value > 0.55 * most else INK,
            },
        }
        for i, own in enumerate(rate)
        for j, value in enumerate(own)
        if value == value and value >= _WRITTEN
    ]


def _cell_told(row: Any, name: str, column: str, between: str) -> str:
    if row is None:
        return safe_lines([f"{label(name)}, {between} {label(column)}", "nobody, or too few"])
    lines = [
        f"{label(name)}, {between} {label(column)}",
        many(row),
        f"95% interval {percent(row.low)} to {percent(row.high)}",
    ]
    wait = getattr(row, "median_seconds", float("nan"))
    lift = getattr(row, "lift", float("nan"))
    if lift == lift:
        lines.append(f"both: {count(row.both)}, {lift:.2f} times as many as by chance")
    return safe_lines([*lines, *waited(wait)])
