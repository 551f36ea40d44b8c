"""Shares as colored cells: what follows what, who is where, what comes before what.

Everything is in them, so thirty events have nine hundred cells. The darker, the more; shares from
a twentieth on are written on their cell, the others are in the hover, as every count is.
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
    TOO_FEW,
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

# ──── figures.flows
#
# Flows between events: a Sankey of the largest (every one: `flow_maps`).
#
# A Sankey of thirty events with loops is a knot. This one has two columns, what people did and what
# they did right after it; each event is in both, only the most frequent under their own names, and
# a
# flow too thin to be seen is told in words. Everything is in the heat map.


MOST_EVENTS: Final = 10


MOST_TOLD: Final = 20


NAME: Final = 20


_NARROW: Final = 0.005


def transition_flows(
    table: pd.DataFrame, *, most: int = MOST_EVENTS, title: str | None = None
) -> go.Figure:
    """Where do people go right after each event? The largest flows.

    Parameters
    ----------
    table : a row per pair: ``event, next_event, k, n, rate, low, high, median_seconds``; hidden
        ones are NaN. most : events under their own names. title : plain text.

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
    lumped = _lumped(known, most)
    thick = lumped[lumped["k"] >= _NARROW * lumped["k"].sum()]
    sources = list(dict.fromkeys(thick["event"]))
    targets = list(dict.fromkeys(thick["next_event"]))
    colors = group_colors([*sources, *[name for name in targets if name not in sources]])
    names = [*sources, *targets]
    # All that leave and arrive, those in flows too thin to draw among them.
    sizes = [*lumped.groupby("event")["k"].sum()[sources]]
    sizes += [*lumped.groupby("next_event")["k"].sum()[targets]]
    trace = go.Sankey(
        arrangement="fixed",
        node={
            "label": [
                f"{safe(short(label(name), NAME))} · {count(size)}"
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
            "color": [_faint(colors[name]) for name in thick["event"]],
            "customdata": [safe_lines(_told(row)) for row in records(thick)],
            "hovertemplate": "%{customdata}<extra></extra>",
        },
        textfont={"size": 12, "color": INK, "shadow": "none"},
    )
    alt = " ".join(f"{pair(row)}: {many(row)}." for row in records(thick.head(MOST_TOLD)))
    rest = len(lumped) - len(thick)
    alt += f" {count(rest)} thinner flows are not drawn." if rest else ""
    height = max(220, 34 * max(len(sources), len(targets)))
    # In any other mode plotly's Sankey sets a cursor by what is on the page, and fails in a panel,
    # which is drawn before it is there.
    layout = {"dragmode": "zoom"}
    return finished([trace], layout, title=title, alt=alt, height=height)


def _lumped(table: pd.DataFrame, most: int) -> pd.DataFrame:
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


def _told(row: Any) -> list[str]:
    return [pair(row), many(row), *waited(row.median_seconds)]


def waited(seconds: float) -> list[str]:
    """The median time between the two, as hover lines."""
    return (
        [f"median {human_duration(seconds * US_PER_SECOND)} between"] if seconds == seconds else []
    )


def pair(row: Any) -> str:
    """The two events, in words."""
    return f"{label(row.event)}, then {label(row.next_event)}"


def many(row: Any) -> str:
    """The share, in words."""
    return share(row.k, row.n, row.rate)


def _faint(color: str) -> str:
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red}, {green}, {blue}, {0.18 if color == REST else 0.26})"


# ──── figures.flow_maps


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


# ──── figures.journeys
#
# Paths, orders and distances as bars with their words beside them.


MOST_BARS: Final = 12


MOST_PAIRS: Final = 20


_HEADING: Final = 96


# In pixels: the names of the rows, and a letter of a heading.
_MARGIN, _LETTER = 110, 7


def path_bars(table: pd.DataFrame, *, to: str | None, title: str | None = None) -> go.Figure:
    """Which paths are the most common, and how often do they end in the event?

    Parameters
    ----------
    table : a row per path: ``events, count, lines, share, share_low, share_high, k, n, rate, low,
        high``. to : the event; None: nothing about conversion.

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
    blocks, alt = [], []
    for row in records(table.head(MOST_BARS)):
        name = " → ".join(label(event) for event in row.events) or "(start)"
        taken = share(row.count, row.lines, row.share)
        told = [name, taken, _interval(row.share_low, row.share_high)]
        bars = [Bar("took it", row.share, row.share_low, row.share_high, taken, told)]
        said = f"{name}: {taken}"
        if to is not None:
            hidden = row.rate != row.rate
            came = TOO_FEW if hidden else share(row.k, row.n, row.rate)
            interval = [] if hidden else [_interval(row.low, row.high)]
            told = [f"{name}, then {label(to)}", came, *interval]
            bars.append(Bar(f"→ {label(to)}", row.rate, row.low, row.high, came, told))
            ended = f"came to {label(to)}: {came}" if hidden else f"{came} came to {label(to)}"
            said += f"; of those through it, {ended}"
        blocks.append((short(name, _HEADING), bars))
        alt.append(f"{said}.")
    figure = _percents(blocks, alt, title)
    # On a phone it is scrolled: where a way ends is what it is about.
    longest = max(len(heading) for heading, _ in blocks)
    figure.layout.meta = {**figure.layout.meta, "room": _MARGIN + _LETTER * longest}
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
    known = table.dropna(subset=["rate"]).head(MOST_PAIRS)
    if not len(known):
        return empty("No pair of events with enough people to show.", title=title)
    blocks, alt = [], []
    for row in records(known):
        name = f"{label(row.a)} before {label(row.b)}"
        many = share(row.k, row.n, row.rate)
        lift = f"together {row.lift:.2f} times as often as by chance"
        told = [name, many, _interval(row.low, row.high), lift, f"q = {row.q_value:.2g}"]
        words = f"{many} · together {row.lift:.2f}×"
        blocks.append((name, [Bar("", row.rate, row.low, row.high, words, told)]))
        alt.append(f"{name}: {many}.")
    return _percents(blocks, alt, title)


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
    blocks, alt = _in_all(records(known)[0], label(macro))
    for row in records(known):
        steps = f"{row.median_steps:.1f}".removesuffix(".0")
        away = f"{steps} step{'' if steps == '1' else 's'}"
        away += f" and {human_duration(row.median_seconds * US_PER_SECOND)}"
        name = f"{label(row.event)} ({row.role})"
        did, came = share(row.k, row.converters, row.coverage), share(row.k, row.n, row.rate)
        told = [name, f"done before by {did} of those who convert"]
        ends = (row.coverage_low, row.coverage_high)
        one = Bar("did it before", row.coverage, *ends, did, [*told, _interval(*ends)])
        told = [name, f"{came} convert after it", _interval(row.low, row.high)]
        two = Bar("convert after", row.rate, row.low, row.high, came, told)
        verdict = f" · {row.behaves}" if row.role == "milestone" else ""
        blocks.append((f"{name} · {away} before{verdict}", [one, two]))
        alt.append(
            f"{name}, {away} before {label(macro)}: done before by {did} of those who convert; "
            f"{came} convert after it; {row.behaves}."
        )
    return _percents(blocks, alt, title)


def _in_all(row: Any, macro: str) -> tuple[list[tuple[str, list[Bar]]], list[str]]:
    """What every share of those who convert is held against."""
    many = share(row.k_all, row.n_all, row.rate_all)
    told = [f"{many} come to {macro}", _interval(row.low_all, row.high_all)]
    bar = Bar("convert", row.rate_all, row.low_all, row.high_all, many, told)
    return [("In all", [bar])], [f"In all, {many} come to {macro}."]


def _percents(blocks: list[tuple[str, list[Bar]]], alt: list[str], title: str | None) -> go.Figure:
    highs = [bar.high for _, bars in blocks for bar in bars if bar.high == bar.high]
    upper = max(highs, default=1.0)
    # Room for the words behind the longest whisker.
    axis: dict[str, Any] = percent_axis(min(1.0, max(upper, 0.01)))
    axis |= {"range": [0, max(upper, 0.01) * 1.7]}
    return bars_under_headings(blocks, axis, alt=" ".join(alt), title=title)


def _interval(low: float, high: float) -> str:
    return f"95% interval {percent(low)} to {percent(high)}"
