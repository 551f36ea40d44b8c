"""Which share has converted by when? A curve with a band per group.

`conversion_curves` draws them over days. A curve says little without the number that it rests on,
and at its end it often rests on few: so the users at risk stand under the axis, and where the log
can follow fewer than a tenth of a group for so long the curve is dotted. A group that nobody
followed to the end has a curve that ends earlier, in a hollow point: it is young, not finished.

`time_curves` draws those of a funnel's step on a logarithmic axis, because most of those who
convert do it in minutes and the window has days. What is drawn is Kaplan and Meier's estimate, and
the figure says so.
"""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import ALL, US_PER_DAY, US_PER_SECOND, human_duration
from analysis.core.wording import (
    UNDEFINED,
    axis_ticks,
    axis_unit,
    count,
    group_name,
    label,
    percent,
)
from analysis.plotting.theme import (
    INK,
    NAME_ROOM,
    empty,
    finished,
    group_colors,
    plain,
    safe,
    safe_lines,
    short,
    shown_groups,
)

# Over days, with the users at risk

_PLOT, _AXIS, _ROW, _HEAD = 290, 30, 20, 22
"""Heights in pixels: of the curves, the axis, a row of numbers, and their heading."""

_FEW_FOLLOWED = 0.1

_MOST_STRONG_BANDS = 3


def conversion_curves(
    table: pd.DataFrame,
    *,
    medians: pd.DataFrame | None = None,
    horizon_days: float | None = None,
    title: str | None = None,
) -> go.Figure:
    """Which share has converted after which time? Steps with 95 % bands, and users at risk.

    Parameters
    ----------
    table : as `conversion_curve` returns it: a row per group and instant, ``elapsed_days``,
        ``rate, low, high`` (fractions), ``at_risk``, ``converted``, ``followed``, ``n``. Beyond
        six groups only the first ones are drawn.
    medians : rows of ``group, days, days_low, days_high, converted``: by when half of those who
        convert have done so; a diamond on the group's curve. Default: none.
    horizon_days : where the axis ends; default: where the table does.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "elapsed_days": [0.0, 2.0, 14.0], "rate": [0.0, 0.1, 0.1],
    ...     "low": [0.0, 0.05, 0.05], "high": [0.04, 0.19, 0.19], "at_risk": [90, 88, 70],
    ...     "converted": [0, 9, 9], "followed": [90, 88, 77], "n": 90})
    >>> conversion_curves(table).layout.meta["alt"]
    'After 14 days 10.0% of 90 users have converted (95% interval 5.0% to 19.0%); 70 were at risk.'
    """
    if not len(table) or not table["n"].max():
        return empty("Nobody started, or too few people to show.", title=title)
    if not table["rate"].notna().any():
        return empty("There is no rate to show.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    owns = {group: table[table["group"] == group] for group in groups}
    until = float(table["elapsed_days"].max()) if horizon_days is None else horizon_days
    unit, size = axis_unit(until)
    colors = group_colors(groups)
    ends = _apart([_last(own) for own in owns.values()], table)
    traces: list[Any] = []
    for (group, own), end in zip(owns.items(), ends, strict=True):
        drawn = own[own["rate"].notna()].assign(x=lambda t: t["elapsed_days"] / size)
        if len(drawn):
            # Pale where many lie over one another.
            opacity = 0.16 if len(groups) <= _MOST_STRONG_BANDS else 0.07
            known = drawn[drawn["low"].notna() & drawn["high"].notna()]
            traces.append(_band(known["x"], known["low"], known["high"], colors[group], opacity))
            traces += _curve(drawn, colors[group], group, until / size, end)
            traces += _median(drawn, medians, group, colors[group], size)
    ticks = [tick / size for tick in axis_ticks(until)]
    traces.append(_users_at_risk(owns, ticks, size))
    sentences = [
        _curve_caption(own, group) + _median_caption(medians, group) for group, own in owns.items()
    ]
    alt = " ".join([*sentences, *([note] if note else [])])
    height = _PLOT + _AXIS + _HEAD + _ROW * len(groups)
    layout = _layout(table, owns, (ticks, until / size, unit), height)
    return finished(traces, layout, title=title, alt=alt, height=height)


def _apart(ends: list[float], table: pd.DataFrame) -> list[float]:
    """Heights of the words at the ends of the curves, moved so that they do not overlap."""
    gap = _upper(table) * 19 / _PLOT
    order = sorted((i for i, y in enumerate(ends) if y == y), key=lambda i: ends[i])
    placed = list(ends)
    for before, i in itertools.pairwise(order):
        placed[i] = max(placed[i], placed[before] + gap)
    return placed


def _upper(table: pd.DataFrame) -> float:
    # A wide interval at the very start would flatten every curve.
    top = table.groupby("group", sort=False)[["rate", "high"]].last().max().max()
    return min(max(float(table["rate"].max()) * 1.2, float(top) * 1.05, 0.01), 1.02)


def _last(own: pd.DataFrame) -> float:
    known = own["rate"].dropna()
    return float(known.iloc[-1]) if len(known) else float("nan")


def _band(x: pd.Series, low: pd.Series, high: pd.Series, color: str, opacity: float) -> go.Scatter:
    # A step holds until the next one: the outline has both corners of each.
    at = np.repeat(x.to_numpy(), 2)[1:]
    bottom, top = (np.repeat(side.to_numpy(), 2)[:-1] for side in (low, high))
    red, green, blue = (int(color[i : i + 2], 16) for i in (1, 3, 5))
    return go.Scatter(
        x=plain([*at, *at[::-1]]),
        y=plain([*top, *bottom[::-1]]),
        fill="toself",
        fillcolor=f"rgba({red}, {green}, {blue}, {opacity})",
        mode="lines",
        line={"width": 0},
        hoverinfo="skip",
    )


def _curve(own: pd.DataFrame, color: str, group: Any, until: float, end: float) -> list[Any]:
    """The curve (dotted where few are followed), its end, and its number."""
    thin = own["followed"] < _FEW_FOLLOWED * own["n"]
    # From the last step that many were followed to.
    first = max(int(np.argmax(thin)) - 1, 0) if thin.any() else len(own)
    parts = [(own.iloc[: first + 1], "solid"), (own.iloc[first:], "dot")]
    traces: list[Any] = []
    for part, dash in parts:
        if len(part):
            traces.append(
                go.Scatter(
                    x=plain(part["x"]),
                    y=plain(part["rate"]),
                    mode="lines",
                    line={"color": color, "width": 2.2, "shape": "hv", "dash": dash},
                    name=safe(group_name(group)),
                    hovertext=[safe_lines(_step_hover_text(row)) for row in records(part)],
                    hoverinfo="text",
                )
            )
    return [*traces, _ending(own.iloc[-1], color, group, until, end)]


def _ending(last: pd.Series, color: str, group: Any, until: float, end: float) -> go.Scatter:
    early = last["x"] < until * (1 - 1e-9)
    name = "" if group == ALL else f" {short(group_name(group), NAME_ROOM)}"
    # The mark stands on the curve; its words beside it, moved where they would overlap.
    return go.Scatter(
        x=plain([last["x"], last["x"]]),
        y=plain([last["rate"], end]),
        mode="markers+text",
        marker={
            "color": color,
            "size": [9, 1],
            "opacity": [1, 0],
            "symbol": "circle-open" if early else "circle",
            "line": {"width": 2, "color": color},
        },
        text=["", f"&nbsp;&nbsp;<b>{safe(percent(last['rate']))}</b>{safe(name)}"],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _step_hover_text(row: Any) -> list[str]:
    head = f"after {_elapsed(row.elapsed_days)}"
    return [
        head if row.group == ALL else f"{group_name(row.group)}, {head}",
        f"{percent(row.rate)} of {count(row.n)} users converted",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
        f"seen: {count(row.converted)} conversions",
        f"at risk: {count(row.at_risk)}; the log follows {count(row.followed)} so long",
    ]


def _median(
    drawn: pd.DataFrame, medians: pd.DataFrame | None, group: Any, color: str, size: float
) -> list[go.Scatter]:
    """The time by which half of the converters have converted, as a diamond on the curve."""
    row = _median_row(medians, group)
    if row is None:
        return []
    reached = drawn[drawn["elapsed_days"] <= row["days"] + 1e-9]
    low, high = row["days"] - row["days_low"], row["days_high"] - row["days"]
    return [
        go.Scatter(
            x=plain([row["days"] / size]),
            y=plain([reached["rate"].iloc[-1]]),
            mode="markers",
            marker={"color": color, "size": 10, "symbol": "diamond"},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": plain([high / size]),
                "arrayminus": plain([low / size]),
                "color": INK,
                "thickness": 1.4,
                "width": 4,
            },
            hovertext=[safe_lines(_median_hover_text(row))],
            hoverinfo="text",
            cliponaxis=False,
        )
    ]


def _median_row(medians: pd.DataFrame | None, group: Any) -> pd.Series | None:
    if medians is None:
        return None
    own = medians[(medians["group"] == group) & medians["days"].notna()]
    return own.iloc[0] if len(own) else None


def _median_hover_text(row: pd.Series) -> list[str]:
    head = "half of those who convert"
    low, high = (UNDEFINED if v != v else _elapsed(v) for v in (row["days_low"], row["days_high"]))
    return [
        head if row["group"] == ALL else f"{group_name(row['group'])}, {head}",
        f"within {_elapsed(row['days'])}",
        f"95% interval {low} to {high}",
        f"{count(row['converted'])} conversions",
    ]


def _users_at_risk(owns: dict[Any, pd.DataFrame], ticks: list[float], size: float) -> go.Scatter:
    """A row of numbers per group, on the lower axis."""
    x, y, text = [], [], []
    for place, own in enumerate(owns.values()):
        for tick in ticks:
            later = own[own["elapsed_days"] >= tick * size - 1e-9]
            x.append(tick)
            y.append(float(place))
            text.append(count(later["at_risk"].iloc[0]) if len(later) else "0")
    return go.Scatter(
        x=plain(x),
        y=y,
        text=text,
        mode="text",
        textfont={"size": 12, "color": INK},
        yaxis="y2",
        hoverinfo="skip",
        cliponaxis=False,
    )


def _curve_caption(own: pd.DataFrame, group: Any) -> str:
    """Where a group's curve ends, as a sentence."""
    known = own[own["rate"].notna()]
    name = "" if group == ALL else f"{group_name(group)}: "
    if not len(known):
        return f"{name}no rate to show."
    row = known.iloc[-1]
    text = (
        f"after {_elapsed(row['elapsed_days'])} {percent(row['rate'])} of {count(row['n'])} users "
        f"have converted (95% interval {percent(row['low'])} to {percent(row['high'])}); "
        f"{count(row['at_risk'])} were at risk."
    )
    return f"{name}{text}" if name else text[0].upper() + text[1:]


def _median_caption(medians: pd.DataFrame | None, group: Any) -> str:
    row = _median_row(medians, group)
    if row is None:
        return ""
    _, *text = _median_hover_text(row)
    return f" Half of those who convert: {', '.join(text)}."


def _elapsed(days: float) -> str:
    return human_duration(days * US_PER_DAY)


def _layout(
    table: pd.DataFrame,
    owns: dict[Any, pd.DataFrame],
    axis: tuple[list[float], float, str],
    height: int,
) -> dict[str, Any]:
    ticks, until, unit = axis
    inner = height - 8
    beneath = _ROW * len(owns) / inner
    names = ["" if g == ALL else safe(short(group_name(g), NAME_ROOM)) for g in owns]
    return {
        "xaxis": {
            "range": [0, until],
            "tickvals": plain(ticks),
            "ticktext": [*(f"{tick:g}" for tick in ticks[:-1]), f"{ticks[-1]:g} {unit}"],
            "anchor": "y",
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {
            "range": [0, _upper(table)],
            "domain": [beneath + (_AXIS + _HEAD) / inner, 1],
            "tickformat": ",.1~%",
            "nticks": 6,
        },
        "yaxis2": {
            "range": [len(owns) - 0.5, -0.5],
            "domain": [0, beneath],
            "tickvals": list(range(len(owns))),
            "ticktext": names,
            # The first number stands around the start of the axis, not behind it.
            "ticklabelstandoff": 22,
            "showgrid": False,
            "zeroline": False,
        },
        "annotations": [
            {
                "text": "<b>users at risk</b>",
                "x": 0,
                "xref": "paper",
                "xanchor": "left",
                "xshift": -16,
                "y": beneath,
                "yref": "paper",
                "yanchor": "bottom",
                "showarrow": False,
                "font": {"size": 12},
            }
        ],
        "margin_r": 64 if len(owns) == 1 else 118,
    }


# Of a funnel's step, on a logarithmic axis

_TIME_HEIGHT = 320

_TIME_TICKS = (1, 10, 60, 600, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 30 * 86_400, 365 * 86_400)

_MOST_TIME_TICKS = 6

_LEGEND_ROOM = 18


def time_curves(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Which share had got there by which time since entry? A curve with a 95 % band per group.

    The entry is that of the attempt that counts, the furthest one unless the funnel says otherwise;
    `FunnelResult.times` with ``since="first"`` measures from the first time ever.

    Parameters
    ----------
    table : as `FunnelResult.time_curve` returns it: ``group, event, seconds, rate, low, high,
        at_risk, reached, n``, ascending in time within a group. Beyond six groups only the
        largest are drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": "all", "event": "purchase", "seconds": [0.0, 600.0, 86400.0],
    ...     "rate": [0.0, 0.1, 0.2], "low": [0.0, 0.042, 0.111], "high": [0.088, 0.228, 0.345],
    ...     "at_risk": [40, 40, 36], "reached": [0, 4, 8], "n": 40})
    >>> time_curves(table).layout.meta["alt"]
    'Kaplan-Meier estimate of the share that reached Purchase. Within 24 h: 20.0% of 40 who \
entered, 95% interval 11.1% to 34.5%; half of these within 10 min.'
    """
    if not len(table):
        return empty("Nobody has been watched since they entered.", title=title)
    sizes = table.drop_duplicates("group")
    largest = sizes.sort_values("n", ascending=False, kind="stable")["group"]
    groups, note = shown_groups(list(largest))
    curves = {group: table[[g == group for g in table["group"]]] for group in groups}
    left, right = _time_range(table)
    upper = min(1.0, max(float(own["high"].iloc[-1]) for own in curves.values()) * 1.08 or 1.0)
    colors = group_colors(groups)
    traces = [_time_band(own, left, colors[group]) for group, own in curves.items()]
    traces += [_time_line(own, left, colors[group]) for group, own in curves.items()]
    layout = {
        "xaxis": _time_axis(left, right),
        "yaxis": {"range": [0, upper], "tickformat": ",.1~%", "nticks": 6},
        "annotations": [_time_heading(str(table["event"].iloc[0]))],
        "showlegend": True,
        "legend": {"y": -0.2, "yanchor": "top", "itemclick": False, "itemdoubleclick": False},
    }
    event = label(table["event"].iloc[0])
    alt = f"Kaplan-Meier estimate of the share that reached {event}. "
    sentences = [f"{_time_caption(own)}." for own in curves.values()]
    alt += " ".join([*sentences, note] if note else sentences)
    figure = finished(traces, layout, title=title, alt=alt, height=_TIME_HEIGHT)
    return figure.update_layout(margin_t=figure.layout.margin.t + 22)


def _time_range(table: pd.DataFrame) -> tuple[float, float]:
    """The seconds at the ends of the axis; what came at once stands at the left end."""
    rising = table.loc[(table["rate"] > 0) & (table["seconds"] > 0), "seconds"]
    first, right = float(rising.min()) if len(rising) else 1.0, float(table["seconds"].max())
    left = max([tick for tick in _TIME_TICKS if tick <= first], default=1.0)
    return float(left), max(right, 2.0 * left)


def _time_band(own: pd.DataFrame, left: float, color: str) -> go.Scatter:
    seconds = own["seconds"].clip(lower=left)
    return _band(seconds, own["low"], own["high"], color, 0.15).update(showlegend=False)


def _time_line(own: pd.DataFrame, left: float, color: str) -> go.Scatter:
    return go.Scatter(
        x=plain(own["seconds"].clip(lower=left)),
        y=plain(own["rate"]),
        mode="lines",
        line={"color": color, "width": 2, "shape": "hv"},
        hovertext=[safe_lines(_time_hover_text(row)) for row in records(own)],
        hoverinfo="text",
        name=safe(_legend_text(own)),
    )


def _time_hover_text(row: Any) -> list[str]:
    within = f"within {_within(row.seconds)}"
    return [
        within if row.group == ALL else f"{group_name(row.group)}, {within}",
        f"Kaplan-Meier estimate {percent(row.rate)} of {count(row.n)} who entered",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
        f"{count(row.reached)} had got there, {count(row.at_risk)} were watched until then",
    ]


def _legend_text(own: pd.DataFrame) -> str:
    last = own.iloc[-1]
    name = "" if last["group"] == ALL else f"{short(group_name(last['group']), _LEGEND_ROOM)} "
    end = f"{percent(last['rate'])} of {count(last['n'])}"
    return f"{name}{end} within {_within(last['seconds'])}"


def _time_axis(left: float, right: float) -> dict[str, Any]:
    ticks = [float(tick) for tick in _TIME_TICKS if left <= tick <= right]
    if right > 1.6 * ticks[-1]:
        ticks.append(right)
    ticks = ticks[:: -(-len(ticks) // _MOST_TIME_TICKS)]
    return {
        "type": "log",
        "range": [float(np.log10(left)), float(np.log10(right))],
        "tickvals": plain(ticks),
        "ticktext": [human_duration(tick * US_PER_SECOND) for tick in ticks],
        "tickangle": 0,
        "title": {"text": "time since the entry of the attempt that counts", "standoff": 4},
        "showgrid": False,
    }


def _time_heading(event: str) -> dict[str, Any]:
    return {
        "text": f"reached <b>{safe(label(event))}</b>, Kaplan-Meier estimate",
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": 1,
        "yref": "paper",
        "yanchor": "bottom",
        "yshift": 4,
        "showarrow": False,
    }


def _time_caption(own: pd.DataFrame) -> str:
    last = own.iloc[-1]
    name = "" if last["group"] == ALL else f"{group_name(last['group'])}, within"
    text = (
        f"{name or 'Within'} {_within(last['seconds'])}: {percent(last['rate'])} of "
        f"{count(last['n'])} who entered, 95% interval {percent(last['low'])} to "
        f"{percent(last['high'])}"
    )
    half = own[own["rate"] >= last["rate"] / 2]["seconds"]
    return f"{text}; half of these within {_within(half.iloc[0])}" if last["rate"] > 0 else text


def _within(seconds: float) -> str:
    return human_duration(seconds * US_PER_SECOND)
