"""What is drawn of journeys: flows from event to event, maps of shares, and bars of paths.

- `transition_flows` is a Sankey of the largest flows. With thirty events and loops a Sankey is a
  knot. This one has two columns, what people did and what they did right after it. Each event is in
  both, only the most frequent under their own names, and flows too thin to be seen are counted in
  the caption.
- `transition_map`, `position_map` and `order_map` show every share as a colored cell: what follows
  what, where people are, what comes before what. Thirty events have nine hundred cells. The darker,
  the more; shares from a twentieth on are written on their cell, and every count is in the hover
  text.
- `path_bars`, `order_bars` and `distance_bars` are bars with their words beside them.

Each takes a table of its question and draws what is in it.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import OTHER, US_PER_SECOND, human_duration
from analysis.core.wording import count, label, percent, share
from analysis.plotting.theme import (
    INK,
    PALETTE,
    REST,
    Bar,
    bars_under_headings,
    empty,
    finished,
    group_colors,
    ink_on,
    percent_axis,
    plain,
    safe,
    safe_lines,
    short,
)

# Flows from event to event

MOST_EVENTS: Final = 10
"""Events under their own names in a Sankey; the others are drawn as one."""

_MOST_CAPTIONED: Final = 20
_NAME_LETTERS: Final = 20
_NARROW: Final = 0.005
"""A flow of less than this share of all is too thin to be seen."""


def transition_flows(
    table: pd.DataFrame, *, most: int = MOST_EVENTS, title: str | None = None
) -> go.Figure:
    """Where do people go right after each event? The largest flows.

    Parameters
    ----------
    table : a row per pair: ``event, next_event, k, n, rate, low, high, median_seconds``; hidden
        ones are NaN.
    most : events under their own names.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["visit"], "next_event": ["buy"], "k": [10], "n": [40], "rate": [0.25],
    ...     "low": [0.14], "high": [0.4], "median_seconds": [60.0]})
    >>> transition_flows(table).layout.meta["alt"]
    'Visit, then Buy: 25.0% (10 of 40).'
    """
    known = table.dropna(subset=["k"])
    if not len(known):
        return empty("No transition of enough people to show.", title=title)
    flows = _flows(known, most)
    thick = flows[flows["k"] >= _NARROW * flows["k"].sum()]
    sources = list(dict.fromkeys(thick["event"]))
    targets = list(dict.fromkeys(thick["next_event"]))
    colors = group_colors([*sources, *[name for name in targets if name not in sources]])
    names = [*sources, *targets]
    # All that leave and arrive, those in flows too thin to draw among them.
    sizes = [*flows.groupby("event")["k"].sum()[sources]]
    sizes += [*flows.groupby("next_event")["k"].sum()[targets]]
    trace = go.Sankey(
        arrangement="fixed",
        node={
            "label": [
                f"{safe(short(label(name), _NAME_LETTERS))} · {count(size)}"
                for name, size in zip(names, sizes, strict=True)
            ],
            "color": [colors[name] for name in names],
            "line": {"width": 0},
            "pad": 10,
            "thickness": 12,
            "hovertemplate": "%{label}<extra></extra>",
        },
        link={
            "source": [sources.index(name) for name in thick["event"]],
            "target": [len(sources) + targets.index(name) for name in thick["next_event"]],
            "value": plain(thick["k"]),
            "color": [_translucent(colors[name]) for name in thick["event"]],
            "customdata": [safe_lines(_flow_hover_text(row)) for row in records(thick)],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        textfont={"size": 12, "color": INK, "shadow": "none"},
    )
    alt = " ".join(map(_flow_caption, records(thick.head(_MOST_CAPTIONED))))
    rest = len(flows) - len(thick)
    alt += f" {count(rest)} thinner flows are not drawn." if rest else ""
    height = max(220, 34 * max(len(sources), len(targets)))
    # In any other mode plotly's Sankey sets a cursor by what is on the page, and fails in a panel,
    # which is drawn before it is there.
    layout = {"dragmode": "zoom"}
    return finished([trace], layout, title=title, alt=alt, height=height)


def _flows(table: pd.DataFrame, most: int) -> pd.DataFrame:
    """The pairs with all but the most frequent events as one; shares anew where they are sums."""
    sizes = (
        table.groupby("event")["k"].sum().add(table.groupby("next_event")["k"].sum(), fill_value=0)
    )
    marks = [name for name in sizes.index if name.startswith("(")]
    ranked = sizes.drop(marks).sort_values(ascending=False, kind="stable").index[:most]
    keep = {*ranked, *marks}
    pairs = table.copy()
    for column in ("event", "next_event"):
        pairs[column] = pairs[column].where(pairs[column].isin(keep), OTHER)
    departures = pairs.assign(n=table["n"], own=table["event"]).drop_duplicates("own")
    totals = departures.groupby("event")["n"].sum()
    summed = pairs.groupby(["event", "next_event"], sort=False).agg(
        k=("k", "sum"), pairs=("k", "size"), median_seconds=("median_seconds", "first")
    )
    summed = summed.reset_index().sort_values("k", ascending=False, kind="stable")
    summed["n"] = summed["event"].map(totals)
    summed["rate"] = summed["k"] / summed["n"]
    summed.loc[summed["pairs"] > 1, "median_seconds"] = np.nan
    return summed.reset_index(drop=True)


def _translucent(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {0.18 if color == REST else 0.26})"


def _flow_hover_text(row: Any) -> list[str]:
    return [_pair(row), _share(row), *_wait(row.median_seconds)]


def _flow_caption(row: Any) -> str:
    return f"{_pair(row)}: {_share(row)}."


def _pair(row: Any) -> str:
    return f"{label(row.event)}, then {label(row.next_event)}"


def _share(row: Any) -> str:
    return share(row.k, row.n, row.rate)


def _wait(seconds: float) -> list[str]:
    """The median time between two events as a line of hover text; none if it is not known."""
    if seconds != seconds:
        return []
    return [f"median {human_duration(seconds * US_PER_SECOND)} between"]


# Shares as colored cells

_CELL_HEIGHT, _CELL_WIDTH, _NAMES_WIDTH, _HEAD_HEIGHT = 24, 20, 200, 110
"""In pixels."""

_SCALE: Final = [[0.0, "rgba(74, 163, 223, 0.06)"], [1.0, PALETTE[0]]]
_WRITTEN: Final = 0.05
"""Smaller shares are not written on their cells, or nothing could be read."""


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
    alt = " ".join(map(_flow_caption, records(known.head(_MOST_CAPTIONED))))
    if len(known) > _MOST_CAPTIONED:
        alt += f" {count(len(known) - _MOST_CAPTIONED)} rarer transitions are drawn, too."
    return _heat_map(cells, list(rows), columns, "then", alt=alt, title=title)


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
        return empty("Too few people to show where they are.", title=title)
    anchors = {"from": names[0] or "start", "to": names[1] or ""}
    columns: list[str] = []
    captions = []
    cells: dict[tuple[str, str], Any] = {}
    for (direction, position), own in known.groupby(["direction", "position"], sort=True):
        mark = f"{position:+d}".replace("-", "−") if position else label(anchors[str(direction)])
        # The invisible letter tells a column of the one direction from that of the other.
        column = mark + ("" if direction == "from" else "\u200b")
        if direction == "to" and columns and "" not in columns and own["position"].max() < 0:
            # A gap between what follows the start and what leads to the event.
            columns.append("")
        columns.append(column)
        cells |= {(row.event, column): row for row in records(own)}
        first = records(own)[0]
        where = f"At the {mark.lower()}" if mark == "Start" else f"At {mark}"
        captions.append(f"{where}: {label(first.event)} {_share(first)}.")
    events = known.groupby("event")["k"].sum().sort_values(ascending=False, kind="stable").index
    rows = sorted(events, key=lambda name: name.startswith("("))
    return _heat_map(cells, rows, columns, "at", alt=" ".join(captions), title=title)


def order_map(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which event comes before which, among the sequences that have both?

    The events stand in the order in which people first come to them, so pairs that go against it
    show below the diagonal.

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
    alt = " ".join(
        f"{label(row.a)}, before {label(row.b)}: {_share(row)}."
        for row in records(known.head(_MOST_CAPTIONED))
    )
    if len(known) > _MOST_CAPTIONED:
        alt += f" {count(len(known) - _MOST_CAPTIONED)} more pairs are drawn, too."
    return _heat_map(cells, list(names), list(names), "before", alt=alt, title=title)


def _heat_map(
    cells: dict[tuple[str, str], Any],
    rows: list[str],
    columns: list[str],
    between: str,
    *,
    alt: str,
    title: str | None,
) -> go.Figure:
    """Shares as colored cells with their percent, rows downwards.

    Parameters
    ----------
    cells : rows of a table by the names of their row and column; the others stay blank.
    between : the word between the two names in the hover text.
    """
    rate = [[getattr(cells.get((r, c)), "rate", float("nan")) for c in columns] for r in rows]
    most = max(0.01, max(float(np.nanmax(own)) for own in rate if not np.isnan(own).all()))
    trace = go.Heatmap(
        z=[plain(own) for own in rate],
        x=list(range(len(columns))),
        y=list(range(len(rows))),
        colorscale=_SCALE,
        zmin=0,
        zmax=most,
        showscale=False,
        xgap=1,
        ygap=1,
        hovertext=[
            [_cell_hover_text(cells.get((r, c)), r, c, between) for c in columns] for r in rows
        ],
        hoverinfo="text",
    )
    layout = {
        "xaxis": _names_axis(columns) | {"side": "top", "tickangle": -50},
        "yaxis": _names_axis(rows) | {"range": [len(rows) - 0.5, -0.5]},
        "annotations": _percents_on_cells(rate, most, len(columns)),
    }
    height = _CELL_HEIGHT * len(rows) + _HEAD_HEIGHT
    figure = finished([trace], layout, title=title, alt=alt, height=height)
    # On a phone it is scrolled: cells narrower than their numbers cannot be read.
    room = _NAMES_WIDTH + _CELL_WIDTH * len(columns)
    figure.layout.meta = {**figure.layout.meta, "room": room}
    # Room for the last name, which leans to the right.
    return figure.update_layout(margin_t=_HEAD_HEIGHT + (40 if title else 8), margin_r=64)


def _cell_hover_text(row: Any, name: str, column: str, between: str) -> str:
    pair = f"{label(name)}, {between} {label(column)}"
    if row is None:
        return safe_lines([pair, "nobody, or too few"])
    lines = [pair, _share(row), _interval(row.low, row.high)]
    lift = getattr(row, "lift", float("nan"))
    if lift == lift:
        lines.append(f"both: {count(row.both)}, {lift:.2f} times as many as by chance")
    return safe_lines([*lines, *_wait(getattr(row, "median_seconds", float("nan")))])


def _names_axis(names: list[str]) -> dict[str, Any]:
    return {
        "tickvals": list(range(len(names))),
        "ticktext": [safe(short(label(name), _NAME_LETTERS)) for name in names],
        "showgrid": False,
        "zeroline": False,
        "ticks": "",
        "tickfont": {"size": 11},
    }


def _percents_on_cells(rate: list[list[float]], most: float, columns: int) -> list[dict[str, Any]]:
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


# Bars with their words beside them

_MOST_PATHS: Final = 12
_MOST_PAIRS: Final = 20
_HEADING_LETTERS: Final = 96
_MARGIN_WIDTH, _LETTER_WIDTH = 110, 7
"""In pixels: the names of the rows, and a letter of a heading."""


def path_bars(table: pd.DataFrame, *, to: str | None, title: str | None = None) -> go.Figure:
    """Which paths are the most common, and how often do they end in the event?

    Parameters
    ----------
    table : a row per path: ``events, count, lines, share, share_low, share_high, k, n, rate, low,
        high``.
    to : the event; None: nothing about conversion.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "events": [("visit", "cart")], "count": [10], "lines": 40, "share": 0.25,
    ...     "share_low": 0.14, "share_high": 0.4, "k": [10], "n": [20], "rate": [0.5],
    ...     "low": [0.3], "high": [0.7]})
    >>> path_bars(table, to="buy").layout.meta["alt"]
    'Visit → Cart: 25.0% (10 of 40); of those through it, 50.0% (10 of 20) came to Buy.'
    """
    if not len(table):
        return empty("No path of enough people to show.", title=title)
    blocks, captions = [], []
    for row in records(table.head(_MOST_PATHS)):
        name = " → ".join(label(event) for event in row.events) or "(start)"
        took = share(row.count, row.lines, row.share)
        hover = [name, took, _interval(row.share_low, row.share_high)]
        bars = [Bar("took it", row.share, row.share_low, row.share_high, took, hover)]
        caption = f"{name}: {took}"
        if to is not None:
            came = _share(row)
            hover = [f"{name}, then {label(to)}", came, _interval(row.low, row.high)]
            bars.append(Bar(f"→ {label(to)}", row.rate, row.low, row.high, came, hover))
            caption += f"; of those through it, {came} came to {label(to)}"
        blocks.append((short(name, _HEADING_LETTERS), bars))
        captions.append(f"{caption}.")
    figure = _percent_bars(blocks, captions, title)
    # On a phone it is scrolled: where a way ends is what it is about.
    longest = max(len(heading) for heading, _ in blocks)
    figure.layout.meta = {**figure.layout.meta, "room": _MARGIN_WIDTH + _LETTER_WIDTH * longest}
    return figure


def order_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which event comes before which? The pairs with the clearest order.

    Parameters
    ----------
    table : a row per pair: ``a, b, k, n, rate, low, high, lift, q_value``; hidden ones are NaN.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "a": ["video"], "b": ["buy"], "k": [30], "n": [40], "rate": [0.75], "low": [0.6],
    ...     "high": [0.86], "lift": [1.2], "q_value": [0.002]})
    >>> order_bars(table).layout.meta["alt"]
    'Video before Buy: 75.0% (30 of 40).'
    """
    known = table.dropna(subset=["rate"]).head(_MOST_PAIRS)
    if not len(known):
        return empty("No pair of events with enough people to show.", title=title)
    blocks, captions = [], []
    for row in records(known):
        name = f"{label(row.a)} before {label(row.b)}"
        lift = f"together {row.lift:.2f} times as often as by chance"
        hover = [name, _share(row), _interval(row.low, row.high), lift, f"q = {row.q_value:.2g}"]
        words = f"{_share(row)} · together {row.lift:.2f}×"
        blocks.append((name, [Bar("", row.rate, row.low, row.high, words, hover)]))
        captions.append(f"{name}: {_share(row)}.")
    return _percent_bars(blocks, captions, title)


def distance_bars(table: pd.DataFrame, *, macro: str, title: str | None = None) -> go.Figure:
    """How far before the macro does each event lie, and how many converters did it?

    Parameters
    ----------
    table : a row per event, nearest first: ``event, role, k, n, rate, low, high, converters,
        coverage, coverage_low, coverage_high, median_steps, median_seconds, behaves``; and how many
        convert in all: ``k_all, n_all, rate_all, low_all, high_all``.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": ["cart"], "role": ["milestone"], "k": [30], "n": [60], "rate": [0.5],
    ...     "low": [0.38], "high": [0.62], "converters": [40], "coverage": [0.75],
    ...     "coverage_low": [0.6], "coverage_high": [0.86], "median_steps": [2.0],
    ...     "median_seconds": [90.0], "behaves": ["like a milestone"], "k_all": [40],
    ...     "n_all": [400], "rate_all": [0.1], "low_all": [0.07], "high_all": [0.13]})
    >>> distance_bars(table, macro="buy").layout.meta["alt"]
    'In all, 10.0% (40 of 400) come to Buy. Cart (milestone), 2 steps and 1.5 min before Buy: done \
before by 75.0% (30 of 40) of those who convert; 50.0% (30 of 60) convert after it; like a \
milestone.'
    """
    known = table.dropna(subset=["coverage", "median_steps"])
    if not len(known):
        return empty("Too few converted to show how far events lie from it.", title=title)
    first = records(known)[0]
    in_all = f"{share(first.k_all, first.n_all, first.rate_all)} come to {label(macro)}"
    blocks = [("In all", [_bar_in_all(first, in_all)])]
    captions = [f"In all, {in_all}."]
    for row in records(known):
        steps = f"{row.median_steps:.1f}".removesuffix(".0")
        away = f"{steps} step{'' if steps == '1' else 's'}"
        away += f" and {human_duration(row.median_seconds * US_PER_SECOND)}"
        name = f"{label(row.event)} ({row.role})"
        did, came = share(row.k, row.converters, row.coverage), _share(row)
        limits = (row.coverage_low, row.coverage_high)
        hover = [name, f"done before by {did} of those who convert", _interval(*limits)]
        did_it = Bar("did it before", row.coverage, *limits, did, hover)
        hover = [name, f"{came} convert after it", _interval(row.low, row.high)]
        convert = Bar("convert after", row.rate, row.low, row.high, came, hover)
        verdict = f" · {row.behaves}" if row.role == "milestone" else ""
        blocks.append((f"{name} · {away} before{verdict}", [did_it, convert]))
        captions.append(
            f"{name}, {away} before {label(macro)}: done before by {did} of those who convert; "
            f"{came} convert after it; {row.behaves}."
        )
    return _percent_bars(blocks, captions, title)


def _bar_in_all(row: Any, in_all: str) -> Bar:
    """The share that converts in all, which every share that converts is held against."""
    words = share(row.k_all, row.n_all, row.rate_all)
    hover = [in_all, _interval(row.low_all, row.high_all)]
    return Bar("convert", row.rate_all, row.low_all, row.high_all, words, hover)


def _percent_bars(
    blocks: list[tuple[str, list[Bar]]], captions: list[str], title: str | None
) -> go.Figure:
    highs = [bar.high for _, bars in blocks for bar in bars if bar.high == bar.high]
    upper = max(highs, default=1.0)
    # Room for the words behind the longest whisker.
    axis: dict[str, Any] = percent_axis(min(1.0, max(upper, 0.01)))
    axis |= {"range": [0, max(upper, 0.01) * 1.7]}
    return bars_under_headings(blocks, axis, alt=" ".join(captions), title=title)


def _interval(low: float, high: float) -> str:
    return f"95% interval {percent(low)} to {percent(high)}"
