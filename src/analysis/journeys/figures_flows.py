"""Flows between events: a Sankey of the largest (every one: `flow_maps`).

A Sankey of thirty events with loops is a knot. This one has two columns, what people did and what
they did right after it; each event is in both, only the most frequent under their own names, and a
flow too thin to be seen is told in words. Everything is in the heat map.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import OTHER, US_PER_SECOND, human_duration
from analysis.core.wording import count, label, share
from analysis.plotting.theme import (
    INK,
    REST,
    empty,
    finished,
    group_colors,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

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
