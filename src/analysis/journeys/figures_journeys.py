"""Paths, orders and distances as bars with their words beside them."""

from __future__ import annotations

from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import US_PER_SECOND, human_duration
from analysis.core.wording import label, percent, share
from analysis.plotting.figures_rows import percent_axis
from analysis.plotting.theme import TOO_FEW, empty, records, short
from analysis.segments.figures import Bar, bars_under_headings

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
