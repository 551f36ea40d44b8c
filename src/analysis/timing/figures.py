"""What is drawn of waits: by when a quarter, half and three quarters convert, in which session.

Waits run from minutes to weeks, so their axis is one of factors: the same distance is the same
factor. A wait is drawn as a bar over the middle half of the people who convert, with the median on
it.
"""

from __future__ import annotations

import math
from typing import Any, Final

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import ALL, US_PER_DAY, human_duration
from analysis.core.wording import UNDEFINED, count, group_name, percent, share
from analysis.plotting.theme import (
    AXIS,
    INK,
    TOO_FEW,
    empty,
    finished,
    group_colors,
    heading_notes,
    percent_axis,
    plain,
    row_axis,
    rows,
    safe,
    safe_lines,
    shown_groups,
)

_TICKS: Final = {
    "1 s": 1 / 86_400,
    "10 s": 10 / 86_400,
    "1 min": 1 / 1_440,
    "10 min": 10 / 1_440,
    "1 h": 1 / 24,
    "6 h": 0.25,
    "1 day": 1.0,
    "7 days": 7.0,
    "30 days": 30.0,
    "90 days": 90.0,
    "1 year": 365.0,
}
_SOONEST: Final = 1 / 86_400
_ORIGINS: Final = {"start": "from the start", "first_touch": "from the first touch"}


def wait_ranges(
    table: pd.DataFrame, *, macro: str = "the conversion", title: str | None = None
) -> go.Figure:
    """How long do people who convert take? The middle half and the median, with its interval.

    Parameters
    ----------
    table : rows of `time_to_convert` on converters: ``group, origin, quantile`` (0.25, 0.5 and
        0.75), ``days, days_low, days_high, converted, n``.
    macro : what the conversion is called. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "origin": "start", "quantile": [0.25, 0.5, 0.75],
    ...     "days": [0.1, 1.0, 5.0], "days_low": [0.08, 0.8, 4.0], "days_high": [0.2, 1.5, 7.0],
    ...     "converted": 90, "n": 900})
    >>> wait_ranges(table).layout.meta["alt"]
    'from the start: a quarter within 2.4 h, half within 24 h (95% interval 19.2 h to 36 h), \
three quarters within 5 days; 90 conversions.'
    """
    wide = _by_group(table)
    if not any(row["middle"] == row["middle"] for row in wide):
        return empty(f"Too few reach {macro} to tell how long they take.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(row["group"] for row in wide)))
    wide = [row for row in wide if row["group"] in groups]
    origins = list(dict.fromkeys(row["origin"] for row in wide))
    # The first touch has one row, whatever the groups are.
    blocks = [[row for row in wide if row["origin"] == origin] for origin in origins]
    place = rows(1, sum(map(len, blocks)) + len(blocks) - 1)
    free = iter(place.centers[0])
    at: list[float] = []
    heads: list[float] = []
    for number, block in enumerate(blocks):
        heads.append(next(free) if number else place.headings[0])
        at += [next(free) for _ in block]
    colors = group_colors(groups)
    traces = [_bar(row, y, colors) for row, y in zip(wide, at, strict=True)]
    names = ["" if row["group"] == ALL else group_name(row["group"]) for row in wide]
    layout = {
        "xaxis": _factor_axis(wide),
        "yaxis": row_axis(place, [""])
        | {"tickvals": at, "ticktext": [safe(name[:15]) for name in names]},
        "annotations": heading_notes(
            place._replace(headings=heads), [f"<b>{safe(_ORIGINS[o])}</b>" for o in origins]
        )
        + [_right("half within · n", place.headings[0])]
        + [_right(_beside(row), y) for row, y in zip(wide, at, strict=True)],
        "margin_r": 118,
    }
    alt = " ".join([*(_caption(row) for row in wide), *([note] if note else [])])
    height = int(place.height) + AXIS
    return finished(
        [trace for pair in traces for trace in pair], layout, title=title, alt=alt, height=height
    )


def _by_group(table: pd.DataFrame) -> list[dict[str, Any]]:
    found: dict[Any, dict[str, Any]] = {}
    names = {0.25: "first", 0.5: "middle", 0.75: "last"}
    for row in records(table):
        own = found.setdefault(
            (row.origin, row.group),
            {"group": row.group, "origin": row.origin, "converted": row.converted, "n": row.n},
        )
        own[names[row.quantile]] = row.days
        if row.quantile == 0.5:
            own |= {"low": row.days_low, "high": row.days_high}
    return list(found.values())


def _factor_axis(wide: list[dict[str, Any]]) -> dict[str, Any]:
    names = ("first", "middle", "last", "low", "high")
    known = [max(row[n], _SOONEST) for row in wide for n in names if row[n] == row[n]]
    low, high = min(known), max(known)
    inside = {k: v for k, v in _TICKS.items() if low / 10 <= v <= high * 4}
    return {
        "type": "log",
        "range": [math.log10(low) - 0.15, math.log10(high) + 0.15],
        "tickvals": list(inside.values()),
        "ticktext": list(inside),
        "zeroline": False,
    }


def _bar(row: dict[str, Any], y: float, colors: dict[Any, str]) -> list[Any]:
    color = colors[row["group"]]
    ends = [max(row[name], _SOONEST) for name in ("first", "last")]
    bar = go.Scatter(
        x=plain(ends),
        y=[y, y],
        mode="lines",
        line={"color": color, "width": 9},
        opacity=0.45,
        hoverinfo="skip",
    )
    middle, low, high = (
        max(row[name], _SOONEST) if row[name] == row[name] else math.nan
        for name in ("middle", "low", "high")
    )
    dot = go.Scatter(
        x=plain([middle]),
        y=[y],
        mode="markers",
        marker={"color": color, "size": 11},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain([high - middle]),
            "arrayminus": plain([middle - low]),
            "color": INK,
            "thickness": 1.4,
            "width": 5,
        },
        hovertext=[safe_lines(_hover_text(row))],
        hoverinfo="text",
    )
    return [bar, dot]


def _beside(row: dict[str, Any]) -> str:
    known = row["middle"] == row["middle"]
    return f"{_time(row['middle'])} · {count(row['converted'])}" if known else "too few"


def _right(text: str, y: float) -> dict[str, Any]:
    return {
        "text": safe(text),
        "x": 1,
        "xref": "paper",
        "xanchor": "left",
        "xshift": 6,
        "y": y,
        "yanchor": "middle",
        "showarrow": False,
        "font": {"size": 12},
    }


def _time(days: float) -> str:
    return UNDEFINED if days != days else human_duration(days * US_PER_DAY)


def _hover_text(row: dict[str, Any]) -> list[str]:
    return [
        _heading(row),
        f"half within {_time(row['middle'])}",
        f"95% interval {_time(row['low'])} to {_time(row['high'])}",
        f"a quarter within {_time(row['first'])}, three quarters within {_time(row['last'])}",
        f"{count(row['converted'])} conversions of {count(row['n'])} users",
    ]


def _heading(row: dict[str, Any]) -> str:
    origin = _ORIGINS[row["origin"]]
    return origin if row["group"] == ALL else f"{group_name(row['group'])}, {origin}"


def _caption(row: dict[str, Any]) -> str:
    head = _heading(row)
    if row["middle"] != row["middle"]:
        return f"{head}: {TOO_FEW}."
    return (
        f"{head}: a quarter within {_time(row['first'])}, half within {_time(row['middle'])} "
        f"(95% interval {_time(row['low'])} to {_time(row['high'])}), three quarters within "
        f"{_time(row['last'])}; {count(row['converted'])} conversions."
    )


def session_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """In which session do conversions come? Bars per session, by group, with intervals.

    Parameters
    ----------
    table : as `time_to_convert` gives it in ``sessions``: ``group, session, k, n, rate, low,
        high``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "session": ["1", "2"], "k": [8, 32], "n": 40, "rate": [0.2, 0.8],
    ...     "low": [0.105, 0.652], "high": [0.348, 0.895]})
    >>> session_bars(table).layout.meta["alt"]
    '1st session: 20.0% (8 of 40) of conversions. 2nd session: 80.0% (32 of 40) of conversions.'
    """
    if not len(table) or not table["n"].fillna(0).max():
        nobody = "Nobody whose horizon is over has converted, or too few people to show."
        return empty(nobody, title=title)
    groups, note = shown_groups(
        [g for g in dict.fromkeys(table["group"]) if table.loc[table["group"] == g, "n"].max() > 0]
    )
    table = table[table["group"].isin(groups)]
    sessions = list(dict.fromkeys(table["session"]))
    place = rows(len(sessions), len(groups))
    colors = group_colors(groups)
    upper = float(table[["rate", "high"]].max().max())
    layout = {
        "xaxis": percent_axis(min(max(upper * 1.35, 0.05), 1.0) if upper == upper else 1.0),
        "yaxis": row_axis(place, ["" if group == ALL else group_name(group) for group in groups]),
        "annotations": heading_notes(place, [f"<b>{safe(_session(s))}</b>" for s in sessions]),
        "margin_r": 60,
    }
    traces: list[Any] = []
    for j, group in enumerate(groups):
        own = table[table["group"] == group]
        y = [centers[j] for centers in place.centers]
        traces += _session_traces(own, y, colors[group])
    alt = " ".join([*(_session_caption(row) for row in records(table)), *([note] if note else [])])
    return finished(traces, layout, title=title, alt=alt, height=int(place.height) + AXIS)


def _session_traces(own: pd.DataFrame, y: list[float], color: str) -> list[Any]:
    bars = go.Bar(
        orientation="h",
        x=plain(own["rate"]),
        y=y,
        width=15,
        marker={"color": color, "line": {"width": 0}},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": plain(own["high"] - own["rate"]),
            "arrayminus": plain(own["rate"] - own["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[
            safe_lines(
                [_session_caption(row), f"95% interval {percent(row.low)} to {percent(row.high)}"]
            )
            for row in records(own)
        ],
        hoverinfo="text",
    )
    words = go.Scatter(
        mode="text",
        x=plain(own["high"].fillna(0)),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(_session_number(row))}" for row in records(own)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    return [bars, words]


def _session(number: str) -> str:
    return {"1": "1st session", "2": "2nd session", "3": "3rd session"}.get(
        number, f"{number.removesuffix('+')}th session or later"
    )


def _session_number(row: Any) -> str:
    return TOO_FEW if pd.isna(row.k) else f"{percent(row.rate)} · {count(row.k)}"


def _session_caption(row: Any) -> str:
    name = _session(row.session)
    name = name if row.group == ALL else f"{group_name(row.group)}, {name}"
    many = TOO_FEW if pd.isna(row.k) else f"{share(row.k, row.n, row.rate)} of conversions"
    return f"{name}: {many}."
