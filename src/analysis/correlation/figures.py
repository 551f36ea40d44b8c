"""Common, or strongly associated, or both? Reach against odds ratio, a point per event.

A strong association of something that hardly anyone does matters less than a fair one of something
that half of all buyers do. Height is the odds ratio next to the controls, on a scale of factors.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import times, with_interval
from analysis.core.wording import count, percent, share
from analysis.plotting.theme import (
    DOWN,
    INK,
    PALETTE,
    REST,
    UP,
    empty,
    finished,
    plain,
    records,
    safe,
    safe_lines,
    short,
)

LOOKS = {
    "leads": (UP, "circle"),
    "inverse": (DOWN, "circle"),
    "goes_along": (PALETTE[1], "diamond-open"),
    "vanity": (PALETTE[3], "square-open"),
    "not_enough_data": (REST, "circle-open"),
}


_CONTROL = "control"


_HEIGHT, _WIDTH = 420, 340


_TICKS = (0.1, 0.2, 0.35, 0.5, 0.7, 1.0, 1.4, 2.0, 3.0, 5.0, 10.0, 20.0)


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
    low, high = _ends([x for s in spots for x in (s.low, s.high)])
    right = min(1.0, max(s.row.reach_high for s in spots) * 1.2)
    traces = [_cloud([s for s in spots if s.row.role == _CONTROL]), _whiskers(named)]
    traces += [_points(named, verdict) for verdict in LOOKS]
    traces += [_labels(spots, right, (low, high))]
    ticks = [tick for tick in _TICKS if low <= math.log(tick) <= high]
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
    alt = " ".join(_said(spot) for spot in named)
    figure = finished(traces, layout, title=title, alt=alt, height=_HEIGHT)
    return figure.update_layout(margin_t=70 if title else 36)


def _spot(row: Any) -> _Spot:
    known = row.calibrated == row.calibrated
    basis = "calibrated" if known else "adjusted"
    ratio, low, high = (float(getattr(row, f"{basis}{end}")) for end in ("", "_low", "_high"))
    return _Spot(row, ratio, low, high, basis)


def _ends(limits: list[float]) -> tuple[float, float]:
    known = [math.log(min(max(x, 0.05), 40.0)) for x in limits if x == x and x > 0]
    low, high = min([*known, -0.25]), max([*known, 0.25])
    return low - 0.08 * (high - low), high + 0.08 * (high - low)


def _cloud(controls: list[_Spot]) -> go.Scatter:
    return go.Scatter(
        mode="markers",
        x=plain(s.row.reach for s in controls),
        y=plain(math.log(s.ratio) for s in controls),
        marker={"size": 7, "color": REST, "symbol": "x-thin", "line": {"width": 2, "color": REST}},
        hovertext=[safe_lines(_told(s)) for s in controls],
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
        hovertext=[safe_lines(_told(s)) for s in own],
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


def _told(spot: _Spot) -> list[str]:
    row = spot.row
    return [
        row.label,
        f"{share(row.reach_k, row.converters, row.reach)} of those who converted had done it",
        f"95% interval {percent(row.reach_low)} to {percent(row.reach_high)}",
        f"{spot.basis} odds ratio {with_interval(spot.ratio, spot.low, spot.high)}",
        f"verdict: {row.verdict.replace('_', ' ')}, n = {count(row.converters)} conversions",
    ]


def _said(spot: _Spot) -> str:
    row = spot.row
    reach = share(row.reach_k, row.converters, row.reach)
    ratio = with_interval(spot.ratio, spot.low, spot.high)
    return (
        f"{row.label}, {row.verdict.replace('_', ' ')}: {reach} of those who converted had done "
        f"it; {spot.basis} odds ratio {ratio}."
    )
