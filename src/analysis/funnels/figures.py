"""A funnel as bars: how many of those who entered reached each step, with intervals.

A row per step and group, its rate and count written on it. Bars run from left to right and not
upwards, because a phone has room below and none beside.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import ALL
from analysis.core.wording import count, group_name, label, percent, share
from analysis.plotting.figures_rows import (
    AXIS,
    ROW,
    Rows,
    heading_notes,
    percent_axis,
    row_axis,
    rows,
    shown_groups,
)
from analysis.plotting.theme import (
    INK,
    TOO_FEW,
    empty,
    finished,
    group_colors,
    ink_on,
    plain,
    records,
    safe,
    safe_lines,
)

_INSIDE = 0.55
"""Above this rate the words fit into the bar and no longer behind it."""


def funnel_bars(table: pd.DataFrame, *, title: str | None = None, noun: str = "users") -> go.Figure:
    """How far did they get? Bars per step, grouped, with rates, counts and intervals.

    Parameters
    ----------
    table : as `funnel` returns it: a row per group and step, rates as fractions. Rows whose ``k``
        is missing are shown as too few people. Beyond six groups only the largest are drawn.
    title : plain text.
    noun : what is counted, in the plural.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "step": [1, 2], "event": ["view_item", "purchase"],
    ...     "count": [40, 8], "k": [40, 8], "n_first": 40, "n_previous": 40, "rate": [1.0, 0.2],
    ...     "rate_low": [0.91, 0.105], "rate_high": [1.0, 0.348], "step_rate": [None, 0.2],
    ...     "low": [None, 0.105], "high": [None, 0.348]})
    >>> funnel_bars(table).layout.meta["alt"]
    'View item: 40 users. Purchase: 20.0% (8 of 40), interval 10.5% to 34.8%.'
    """
    if not len(table) or not table["count"].fillna(0).sum():
        return empty("Nobody entered this funnel.", title=title)
    groups, note = shown_groups(_groups_with_users(table))
    table = table[table["group"].isin(groups)].assign(noun=noun)
    steps = table.drop_duplicates("step").sort_values("step")
    place = rows(len(steps), len(groups))
    names = ["" if group == ALL else group_name(group) for group in groups]
    traces = _traces(table, groups, place)
    layout = {
        "xaxis": percent_axis(1.0),
        "yaxis": row_axis(place, names),
        "annotations": heading_notes(place, _headings(table, steps, len(groups)))
        + ([_footnote(note)] if note else []),
        "barmode": "overlay",
    }
    height = int(place.height) + AXIS + (20 if note else 0)
    alt = _alt(table, groups) + (f" {note}" if note else "")
    return finished(traces, layout, title=title, alt=alt, height=height)


def _groups_with_users(table: pd.DataFrame) -> list[Any]:
    first = table[table["step"] == table["step"].min()]
    return [g for g, n in zip(first["group"], first["count"], strict=True) if n != 0]


def _traces(table: pd.DataFrame, groups: list[Any], place: Rows) -> list[Any]:
    colors = group_colors(groups)
    traces: list[Any] = []
    for j, group in enumerate(groups):
        own = table[table["group"] == group].sort_values("step")
        y = [centers[j] for centers in place.centers]
        bars = go.Bar(
            orientation="h",
            x=plain(own["rate"]),
            y=y,
            width=ROW - 6,
            marker={"color": colors[group], "line": {"width": 0}},
            error_x=_whiskers(own),
            hovertext=[safe_lines(_told(row)) for row in records(own)],
            hoverinfo="text",
            name=safe(group_name(group)),
        )
        traces += [bars, _words(own, y, colors[group])]
    return traces


def _whiskers(own: pd.DataFrame) -> dict[str, Any]:
    # A step at 100 % by definition has no interval worth drawing.
    free = own["step"] > own["step"].min()
    return {
        "type": "data",
        "symmetric": False,
        "array": plain((own["rate_high"] - own["rate"]).where(free)),
        "arrayminus": plain((own["rate"] - own["rate_low"]).where(free)),
        "color": INK,
        "thickness": 1.4,
        "width": 4,
    }


def _words(own: pd.DataFrame, y: list[float], color: str) -> go.Scatter:
    inside = own["rate_high"] > _INSIDE
    first = own["step"] == own["step"].min()
    at = own["rate_low"].where(~first, own["rate"]).where(inside, own["rate_high"]).fillna(0)
    return go.Scatter(
        mode="text",
        x=plain(at),
        y=y,
        text=[f"&nbsp;{safe(_beside(row))}&nbsp;" for row in records(own)],
        textposition=["middle left" if w else "middle right" for w in inside],
        textfont={"color": [ink_on(color) if w else INK for w in inside], "size": 12},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _beside(row: Any) -> str:
    if pd.isna(row.k):
        return TOO_FEW
    if pd.isna(row.rate):
        return f"{count(row.count)}, no rate yet" if row.count else "nobody"
    if row.step == 1:
        return f"{count(row.k)} {row.noun}"
    return f"{percent(row.rate)} · {count(row.k)}"


def _headings(table: pd.DataFrame, steps: pd.DataFrame, groups: int) -> list[str]:
    texts = [f"<b>{safe(label(name))}</b>" for name in steps["event"]]
    if groups > 1:
        return texts
    rates = table.sort_values("step")["step_rate"]
    counts = table.sort_values("step")["n_previous"]
    return [
        text if pd.isna(rate) else f"{text}  {percent(rate)} of the {count(n)} before"
        for text, rate, n in zip(texts, rates, counts, strict=True)
    ]


def _told(row: Any) -> list[str]:
    name = label(row.event)
    lines = [name if row.group == ALL else f"{name} · {group_name(row.group)}"]
    if pd.isna(row.k) or pd.isna(row.rate):
        return [*lines, _beside(row)]
    if row.step == 1:
        return [*lines, f"{count(row.k)} {row.noun} entered"]
    lines += [
        f"of those who entered: {share(row.k, row.n_first, row.rate)}",
        f"95% interval {percent(row.rate_low)} to {percent(row.rate_high)}",
    ]
    if not pd.isna(row.step_rate):
        lines += [
            f"of the step before: {share(row.k, row.n_previous, row.step_rate)}",
            f"95% interval {percent(row.low)} to {percent(row.high)}",
        ]
    return lines


def _footnote(note: str) -> dict[str, Any]:
    return {
        "text": safe(note),
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 0,
        "yref": "paper",
        "yanchor": "top",
        "yshift": -AXIS + 8,
        "showarrow": False,
    }


def _alt(table: pd.DataFrame, groups: list[Any]) -> str:
    said = []
    for group in groups:
        own = table[table["group"] == group].sort_values("step")
        words = " ".join(f"{_step_words(row)}." for row in records(own))
        said.append(words if group == ALL else f"{group_name(group)}: {words}")
    return " ".join(said)


def _step_words(row: Any) -> str:
    if pd.isna(row.k) or pd.isna(row.rate) or row.step == 1:
        return f"{label(row.event)}: {_beside(row)}"
    interval = f"interval {percent(row.rate_low)} to {percent(row.rate_high)}"
    return f"{label(row.event)}: {share(row.k, row.n_first, row.rate)}, {interval}"
