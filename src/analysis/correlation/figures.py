"""Common, or strongly associated, or both? Reach against odds ratio, a point per event.

A strong association of something that hardly anyone does matters less than a fair one of something
that half of all buyers do. Height is the odds ratio next to the controls, on a scale of factors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.wording import count, percent, share, significance, times, with_interval
from analysis.plotting.intervals import Block, Mark, Row, clear_of_one, forest, numbers
from analysis.plotting.theme import (
    DOWN,
    INK,
    PALETTE,
    REST,
    TOO_FEW,
    UP,
    empty,
    finished,
    plain,
    safe,
    safe_lines,
    short,
)

# ──── figures.doses
#
# Once, twice, three times: odds ratio by how often it was done before, a panel per event.
#
# The line is the nearest curve that never falls. Points off it are what chance, or a curve that
# does
# fall, makes of it; their intervals tell which.


_MOST = 6


_PANEL, _HEAD, _FOOT = 118, 50, 44


_TICKS = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0, 10.0, 25.0)


def dose_curves(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Does doing it again go with more conversions?

    Parameters
    ----------
    table : a row per event and level as `dose_table` gives them: ``label, level, k, n,
        odds_ratio, low, high, rising``. The first six events are drawn.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": "video", "label": "Video", "level": ["0", "1"], "k": [50, 20],
    ...     "n": [9000, 1500], "odds_ratio": [1.0, 1.5], "low": [None, 1.2], "high": [None, 1.9],
    ...     "rising": [1.0, 1.5]})
    >>> dose_curves(table).layout.meta["alt"]
    'Video, 1 time: odds ratio 1.50 (95% interval 1.20 to 1.90), 1.3% (20 of 1,500) of the \
periods; never done 0.56% (50 of 9,000).'
    """
    numbers = ["odds_ratio", "low", "high", "rising"]
    table = table.assign(**{name: table[name].astype(float) for name in numbers})
    told = table.loc[(table["level"] != "0") & table["odds_ratio"].notna(), "event"]
    events = [name for name in dict.fromkeys(table["event"]) if name in set(told)][:_MOST]
    if not events:
        return empty("There is no odds ratio to show: too few conversions.", title=title)
    height = len(events) * (_PANEL + _HEAD) + _FOOT
    low, high = _ends(table[table["event"].isin(events)])
    traces: list[Any] = []
    notes: list[dict[str, Any]] = []
    layout: dict[str, Any] = {}
    for i, event in enumerate(events):
        own = records(table[table["event"] == event])
        top = 1 - (i * (_PANEL + _HEAD) + _HEAD) / height
        bottom = top - _PANEL / height
        axis = "" if i == 0 else str(i + 1)
        layout[f"yaxis{axis}"] = _scale(low, high) | {"domain": [max(bottom, 0.0), top]}
        layout[f"xaxis{axis}"] = _levels(own, last=i == len(events) - 1) | {"anchor": f"y{axis}"}
        traces += _panel(own, axis)
        notes.append(_heading(own[0].label, top))
    alt = " ".join(_said(records(table[table["event"] == event])) for event in events)
    layout["annotations"] = notes
    return finished(traces, layout, title=title, alt=alt, height=height)


def _ends(table: pd.DataFrame) -> tuple[float, float]:
    known = pd.concat([table["low"], table["high"], table["odds_ratio"]]).dropna()
    logs = [math.log(min(max(x, 0.05), 40.0)) for x in known if x > 0]
    low, high = min([*logs, -0.2]), max([*logs, 0.2])
    return low - 0.1 * (high - low), high + 0.22 * (high - low)


def _scale(low: float, high: float) -> dict[str, Any]:
    ticks = [tick for tick in _TICKS if low <= math.log(tick) <= high]
    return {
        "range": [low, high],
        "tickvals": plain(math.log(tick) for tick in ticks),
        "ticktext": [f"{tick:g}" for tick in ticks],
        "zeroline": True,
        "zerolinecolor": INK,
    }


def _levels(own: list[Any], *, last: bool) -> dict[str, Any]:
    axis: dict[str, Any] = {
        "range": [-0.4, len(own) - 0.6],
        "tickvals": list(range(len(own))),
        "ticktext": [row.level for row in own],
        "showgrid": False,
        "zeroline": False,
    }
    if last:
        axis["title"] = {"text": "times done before", "standoff": 4}
    return axis


def _heading(label: str, top: float) -> dict[str, Any]:
    return {
        "text": f"<b>{safe(label)}</b>",
        "x": 0,
        "xref": "paper",
        "xanchor": "left",
        "y": top,
        "yref": "paper",
        "yanchor": "bottom",
        "showarrow": False,
    }


def _log(x: float) -> float:
    return math.log(x) if x > 0 else math.nan


def _panel(own: list[Any], axis: str) -> list[Any]:
    place = {"xaxis": f"x{axis}", "yaxis": f"y{axis}"}
    x = list(range(len(own)))
    y = [_log(row.odds_ratio) for row in own]
    curve = go.Scatter(
        x=x,
        y=plain(_log(row.rising) for row in own),
        mode="lines",
        line={"color": REST, "width": 2, "dash": "dot"},
        hoverinfo="skip",
        **place,
    )
    points = go.Scatter(
        x=x,
        y=plain(y),
        mode="markers",
        marker={"size": 10, "color": [REST, *[PALETTE[0]] * (len(own) - 1)]},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": plain(_log(row.high) - at for row, at in zip(own, y, strict=True)),
            "arrayminus": plain(at - _log(row.low) for row, at in zip(own, y, strict=True)),
            "color": PALETTE[0],
            "thickness": 1.6,
            "width": 4,
        },
        hovertext=[safe_lines(_told(row)) for row in own],
        hoverinfo="text",
        cliponaxis=False,
        **place,
    )
    done = [row for row in own if row.level != "0"]
    words = go.Scatter(
        x=[own.index(row) for row in done],
        y=plain(_log(row.high) if row.high == row.high else 0.0 for row in done),
        mode="text",
        text=[
            safe(times(row.odds_ratio)) if row.odds_ratio == row.odds_ratio else "too few"
            for row in done
        ],
        textposition="top center",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
        **place,
    )
    return [curve, points, words]


def _times(level: str) -> str:
    return {"0": "never", "1": "1 time", "3+": "3 times or more"}.get(level, f"{level} times")


def _told(row: Any) -> list[str]:
    name = f"{row.label}, {_times(row.level)}"
    if pd.isna(row.k):
        return [name, TOO_FEW]
    lines = [name, f"converted in {_share(row)} periods of users at risk"]
    if row.level == "0":
        return [*lines, "what the others are compared with"]
    return [*lines, f"odds ratio {with_interval(row.odds_ratio, row.low, row.high)}"]


def _share(row: Any) -> str:
    if pd.isna(row.k):
        return TOO_FEW
    return share(row.k, row.n, row.k / row.n) if row.n else f"none of {count(row.n)}"


def _said(own: list[Any]) -> str:
    said = [
        f"{_times(row.level)}: odds ratio {with_interval(row.odds_ratio, row.low, row.high)}, "
        f"{_share(row)} of the periods"
        for row in own
        if row.level != "0" and row.odds_ratio == row.odds_ratio
    ]
    return f"{own[0].label}, {'; '.join(said)}; never done {_share(own[0])}."


# ──── figures.reach


LOOKS = {
    "leads": (UP, "circle"),
    "inverse": (DOWN, "circle"),
    "goes_along": (PALETTE[1], "diamond-open"),
    "vanity": (PALETTE[3], "square-open"),
    "not_enough_data": (REST, "circle-open"),
}


_CONTROL = "control"


_HEIGHT, _WIDTH = 420, 340


_TICKS_reach = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 20.0)


_PLACES = ("top center", "bottom center", "middle right", "middle left",
           "top right", "top left", "bottom right", "bottom left")  # fmt: skip


_NAME = 18


class _Spot(NamedTuple):
    """A point as it is drawn: the event's row, its ratio with its limits, where its words stand."""

    row: Any
    ratio: float
    low: float
    high: float
    basis: str


def reach_scatter(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """What do many of those who convert do, and what goes with converting?

    Parameters
    ----------
    table : rows of everybody together as `micro_to_macro` gives them. What converting requires is
        left out; controls are drawn small and unnamed.

    Examples
    --------
    >>> row = {"label": "Video", "role": "secondary", "verdict": "leads", "reach": 0.4,
    ...        "reach_low": 0.3, "reach_high": 0.5, "reach_k": 40.0, "converters": 100.0}
    >>> for name, ratio in (("adjusted", 2.1), ("calibrated", 1.5)):
    ...     row |= {name: ratio, f"{name}_low": ratio / 1.2, f"{name}_high": ratio * 1.2}
    >>> reach_scatter(pd.DataFrame([row])).layout.meta["alt"]
    'Video, leads: 40.0% (40 of 100) of those who converted had done it; calibrated odds ratio \
1.50 (95% interval 1.25 to 1.80).'
    """
    spots = [_spot(row) for row in records(table[table["verdict"] != "structural"])]
    spots = [
        spot for spot in spots if spot.ratio == spot.ratio and spot.row.reach == spot.row.reach
    ]
    named = [spot for spot in spots if spot.row.role != _CONTROL]
    if not named:
        return empty("There is no odds ratio to show: too few conversions.", title=title)
    low, high = _ends_reach([x for s in spots for x in (s.low, s.high)])
    right = min(1.0, max(s.row.reach_high for s in spots) * 1.2)
    traces = [_cloud([s for s in spots if s.row.role == _CONTROL]), _whiskers(named)]
    traces += [_points(named, verdict) for verdict in LOOKS]
    traces += [_labels(spots, right, (low, high))]
    ticks = [tick for tick in _TICKS_reach if low <= math.log(tick) <= high]
    layout = {
        "xaxis": {
            "range": [-0.02 * right, right],
            "tickformat": ",.0%",
            "title": {"text": "reach: share of those who converted who did it before"},
            "zeroline": False,
        },
        "yaxis": {
            "range": [low, high],
            "tickvals": plain(math.log(tick) for tick in ticks),
            "ticktext": [f"{tick:g}" for tick in ticks],
            "title": {"text": f"odds ratio, {named[0].basis}"},
            "zeroline": True,
            "zerolinecolor": INK,
        },
        "showlegend": True,
    }
    alt = " ".join(_said_reach(spot) for spot in named)
    figure = finished(traces, layout, title=title, alt=alt, height=_HEIGHT)
    return figure.update_layout(margin_t=70 if title else 36)


def _spot(row: Any) -> _Spot:
    known = row.calibrated == row.calibrated
    basis = "calibrated" if known else "adjusted"
    ratio, low, high = (float(getattr(row, f"{basis}{end}")) for end in ("", "_low", "_high"))
    return _Spot(row, ratio, low, high, basis)


def _ends_reach(limits: list[float]) -> tuple[float, float]:
    known = [math.log(min(max(x, 0.05), 40.0)) for x in limits if x == x and x > 0]
    low, high = min([*known, -0.25]), max([*known, 0.25])
    return low - 0.08 * (high - low), high + 0.08 * (high - low)


def _cloud(controls: list[_Spot]) -> go.Scatter:
    return go.Scatter(
        mode="markers",
        x=plain(s.row.reach for s in controls),
        y=plain(math.log(s.ratio) for s in controls),
        marker={"size": 7, "color": REST, "symbol": "x-thin", "line": {"width": 2, "color": REST}},
        hovertext=[safe_lines(_told_reach(s)) for s in controls],
        hoverinfo="text",
        name="control",
        visible=bool(controls),
    )


def _whiskers(spots: list[_Spot]) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    for spot in spots:
        if spot.low > 0:
            row = spot.row
            x += [*plain([row.reach] * 2), None, *plain([row.reach_low, row.reach_high]), None]
            across = math.log(spot.ratio)
            y += [*plain([math.log(spot.low), math.log(spot.high)]), None]
            y += [*plain([across] * 2), None]
    return go.Scatter(
        x=x,
        y=y,
        mode="lines",
        line={"color": INK, "width": 1.2},
        hoverinfo="skip",
        showlegend=False,
    )


def _points(spots: list[_Spot], verdict: str) -> go.Scatter:
    own = [spot for spot in spots if spot.row.verdict == verdict]
    color, symbol = LOOKS[verdict]
    return go.Scatter(
        mode="markers",
        x=plain(s.row.reach for s in own),
        y=plain(math.log(s.ratio) for s in own),
        marker={
            "size": 12,
            "color": color,
            "symbol": symbol,
            "line": {"width": 2, "color": color},
        },
        hovertext=[safe_lines(_told_reach(s)) for s in own],
        hoverinfo="text",
        name=verdict.replace("_", " "),
        visible=bool(own),
    )


def _labels(spots: list[_Spot], right: float, ends: tuple[float, float]) -> go.Scatter:
    """Names with their numbers, each on the side where it covers the least."""

    def pixels(reach: float, ratio: float) -> tuple[float, float]:
        across = (math.log(max(ratio, 0.01)) - ends[0]) / (ends[1] - ends[0])
        return reach / right * _WIDTH, min(max(across, 0.0), 1.0) * _HEIGHT

    named = [spot for spot in spots if spot.row.role != _CONTROL]
    taken: list[_Box] = []
    for spot in spots:
        x, y = pixels(spot.row.reach, spot.ratio)
        taken.append((x - 8, x + 8, y - 8, y + 8))
        if spot.row.role != _CONTROL:
            taken.append((x - 2, x + 2, pixels(0, spot.low)[1], pixels(0, spot.high)[1]))
            left, end = (
                pixels(r, spot.ratio)[0] for r in (spot.row.reach_low, spot.row.reach_high)
            )
            taken.append((left, end, y - 2, y + 2))
    texts = [f"{short(s.row.label, _NAME)} {times(s.ratio)}" for s in named]
    places = []
    for spot, text in zip(named, texts, strict=True):
        at = pixels(spot.row.reach, spot.ratio)
        boxes = [_box(*at, 6.6 * len(text), place) for place in _PLACES]
        hidden = [sum(_overlap(box, other) for other in taken) + _outside(box) for box in boxes]
        best = hidden.index(min(hidden))
        places.append(_PLACES[best])
        taken.append(boxes[best])
    return go.Scatter(
        mode="markers+text",
        x=plain(s.row.reach for s in named),
        y=plain(math.log(s.ratio) for s in named),
        # Unseen markers keep the words off the points.
        marker={"size": 12, "opacity": 0},
        text=[safe(text) for text in texts],
        textposition=places,
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        showlegend=False,
        cliponaxis=False,
    )


_Box = tuple[float, float, float, float]


def _box(x: float, y: float, width: float, place: str) -> _Box:
    up, side = place.split()
    left = {"center": x - width / 2, "right": x + 8, "left": x - 8 - width}[side]
    bottom = {"top": y + 7, "middle": y - 8, "bottom": y - 23}[up]
    return left, left + width, bottom, bottom + 16


def _overlap(one: _Box, two: _Box) -> float:
    wide = min(one[1], two[1]) - max(one[0], two[0])
    high = min(one[3], two[3]) - max(one[2], two[2])
    return max(wide, 0.0) * max(high, 0.0)


def _outside(box: _Box) -> float:
    over = max(0.0, -box[0]) + max(0.0, box[1] - _WIDTH)
    return 16 * over + 99 * (max(0.0, -box[2]) + max(0.0, box[3] - _HEIGHT))


def _told_reach(spot: _Spot) -> list[str]:
    row = spot.row
    return [
        row.label,
        f"{share(row.reach_k, row.converters, row.reach)} of those who converted had done it",
        f"95% interval {percent(row.reach_low)} to {percent(row.reach_high)}",
        f"{spot.basis} odds ratio {with_interval(spot.ratio, spot.low, spot.high)}",
        f"verdict: {row.verdict.replace('_', ' ')}, n = {count(row.converters)} conversions",
    ]


def _said_reach(spot: _Spot) -> str:
    row = spot.row
    reach = share(row.reach_k, row.converters, row.reach)
    ratio = with_interval(spot.ratio, spot.low, spot.high)
    return (
        f"{row.label}, {row.verdict.replace('_', ' ')}: {reach} of those who converted had done "
        f"it; {spot.basis} odds ratio {ratio}."
    )


# ──── figures.micro_ratios
#
# What each step takes away: odds ratios of micro conversions, crude, adjusted, calibrated.
#
# Under each micro conversion stand the crude odds ratio, the adjusted and the calibrated one, so
# that
# the eye follows how much of a striking number is left. The controls stand at the end, as a cloud:
# what the adjustment still finds where there is nothing to find.


STEPS = (("crude", REST), ("adjusted", PALETTE[4]), ("calibrated", PALETTE[0]))


_AXIS = "← fewer · odds ratio of converting · more →"


_CONTROL_micro_ratios, _STRUCTURAL = "control", "structural"


_MOST_micro_ratios = 12


_HEADING = 36
"""Letters that a phone has room for."""


def ratio_forest(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How much of each association is left after adjustment and calibration?

    Parameters
    ----------
    table : rows of one group as `micro_to_macro` gives them: ``label, role, verdict, reach,
        reach_k, converters, exposed_macros, macros, controls, q_value`` and, each with ``_low``
        and ``_high``, ``crude, adjusted, calibrated``. What converting requires is left out, as
        is what comes after the first twelve.

    Examples
    --------
    >>> row = {"label": "Video", "role": "secondary", "verdict": "leads", "q_value": 0.004,
    ...        "reach": 0.4, "reach_k": 40.0, "converters": 100.0, "exposed_macros": 39,
    ...        "macros": 98, "controls": 8}
    >>> for name, ratio in (("crude", 3.0), ("adjusted", 2.1), ("calibrated", 1.5)):
    ...     row |= {name: ratio, f"{name}_low": ratio / 1.2, f"{name}_high": ratio * 1.2}
    >>> ratio_forest(pd.DataFrame([row])).layout.meta["alt"]
    'Video, leads: crude 3.00 (95% interval 2.50 to 3.60), adjusted 2.10 (95% interval 1.75 to \
2.52), calibrated 1.50 (95% interval 1.25 to 1.80), 39 of 98 conversions after it.'
    """
    judged = table[~table["verdict"].isin([_CONTROL_micro_ratios, _STRUCTURAL])]
    shown = records(judged.head(_MOST_micro_ratios))
    controls = records(table[table["role"] == _CONTROL_micro_ratios])
    blocks = [Block(_heading_micro_ratios(row), _rows(row)) for row in shown]
    if controls:
        blocks.append(_cloud_micro_ratios(controls))
    said = [_said_micro_ratios(row) for row in shown] + [_controls_said(controls)] * bool(controls)
    if len(judged) > _MOST_micro_ratios:
        said.append(f"The first {_MOST_micro_ratios} of {len(judged)}.")
    return forest(
        blocks,
        axis=_AXIS,
        alt=" ".join(said),
        title=title,
        nothing="There is no odds ratio to show: too few conversions.",
    )


def _heading_micro_ratios(row: Any) -> str:
    verdict = _words(row)
    return f"{short(row.label, _HEADING - len(verdict))} · {verdict}"


def _words(row: Any) -> str:
    """The verdict; what only those do who have got to some milestone is on the way."""
    on_the_way = isinstance(getattr(row, "only_after", None), str)
    return f"{row.verdict.replace('_', ' ')}{', on the way' if on_the_way else ''}"


def _triple(row: Any, name: str) -> tuple[float, float, float]:
    return getattr(row, name), getattr(row, f"{name}_low"), getattr(row, f"{name}_high")


def _rows(row: Any) -> list[Row]:
    rows = []
    for name, color in STEPS:
        ratio, low, high = _triple(row, name)
        mark = Mark(ratio, low, high, color, _told_micro_ratios(row, name), clear_of_one(low, high))
        beside = numbers(ratio, low, high)
        if name == "calibrated" and ratio != ratio and row.adjusted == row.adjusted:
            beside = "too few controls"
        rows.append(Row(name, [mark], beside))
    return rows


def _told_micro_ratios(row: Any, name: str) -> list[str]:
    lines = [row.label, f"{name}: {with_interval(*_triple(row, name))}"]
    if name == "calibrated":
        lines.append(f"next to {count(row.controls)} controls, q = {significance(row.q_value)}")
    lines.append(_of(row))
    if row.reach == row.reach:
        done = share(row.reach_k, row.converters, row.reach)
        lines.append(f"{done} of all who converted had done it")
    return [*lines, f"verdict: {_words(row)}"]


def _cloud_micro_ratios(controls: list[Any]) -> Block:
    rows = []
    for name, color in STEPS[:2]:
        known = [row for row in controls if getattr(row, name) == getattr(row, name)]
        marks = [
            Mark(*_triple(row, name), color, _told_micro_ratios(row, name), False) for row in known
        ]
        values = [mark.ratio for mark in marks]
        ends = f"{times(min(values))} to {times(max(values))}" if values else "too few"
        rows.append(Row(name, marks, ends))
    return Block(f"Controls ({len(controls)}): nothing to find here", rows)


def _said_micro_ratios(row: Any) -> str:
    parts = []
    for name, _ in STEPS:
        ratio = _triple(row, name)
        parts.append(f"{name} {with_interval(*ratio) if ratio[0] == ratio[0] else 'undefined'}")
    return f"{row.label}, {_words(row)}: {', '.join(parts)}, {_of(row)}."


def _of(row: Any) -> str:
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    return f"{count(row.exposed_macros)} of {count(row.macros)} conversions after it"


def _controls_said(controls: list[Any]) -> str:
    known = [row.adjusted for row in controls if row.adjusted == row.adjusted]
    if not known:
        return f"{len(controls)} controls, with too few conversions."
    ends = f"{times(min(known))} to {times(max(known))}"
    return f"{len(controls)} controls, adjusted from {ends}."
