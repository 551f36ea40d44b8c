"""Ratios with their intervals under headings, on a scale of factors around a line of 1.

A factor of two up is as far from 1 as a factor of two down, so the scale is logarithmic. Each
row's number stands at the right end with its interval. What is filled lies clear of 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import ALL
from analysis.core.wording import (
    _thing,
    group_name,
    label,
    percent,
    points,
    q_words,
    share,
    times,
)
from analysis.plotting.theme import (
    AXIS,
    DOWN,
    GAP,
    HEADING,
    INK,
    PALETTE,
    REST,
    ROW,
    TOO_FEW,
    UP,
    Rows,
    edge_note,
    empty,
    finished,
    heading_notes,
    plain,
    row_axis,
    row_lines,
    rows,
    safe,
    safe_lines,
    short,
    shown_groups,
)

# ──── figures.changes
#
# Which rate changed? A point and its interval per step and group, around a line of no change.
#
# A point is filled only where the change is clear of chance after allowing for how many were looked
# at; a hollow one is a change that a week without any cause shows as easily.


def step_changes(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How did the rate from step to step change against the period before?

    Parameters
    ----------
    table : a row per group and step: ``group, step, event, from_event, rate, k, n, previous,
        previous_k, previous_n, change, change_low, change_high`` (fractions) and ``clear``
        (True where the change is distinguishable from chance among all that were looked at).
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["mobile"], "step": [2], "event": ["purchase"], "from_event": ["view_item"],
    ...     "rate": [0.8], "k": [56], "n": [70], "previous": [0.6], "previous_k": [48],
    ...     "previous_n": [80], "change": [0.2], "change_low": [0.0524], "change_high": [0.3339],
    ...     "clear": [True]})
    >>> step_changes(table).layout.meta["alt"]
    'View item to Purchase, mobile: 80.0% (56 of 70) after 60.0% (48 of 80), +20.0 points \
(95% interval +5.2 to +33.4), a clear change.'
    """
    if not len(table) or not table["change"].notna().any():
        return empty("There is nothing to compare with.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    table = table[table["group"].isin(groups)]
    steps = table.drop_duplicates("step").sort_values("step")
    place = rows(len(steps), len(groups))
    at = dict(zip(steps["step"], place.centers, strict=True))
    y = [at[r.step][groups.index(r.group)] for r in records(table)]
    names = ["" if group == ALL else group_name(group) for group in groups]
    texts = [f"<b>{safe(_from_to(row))}</b>" for row in records(steps)]
    no_change = row_lines(place, 0.0)
    layout = {
        "xaxis": _points_axis(table),
        "yaxis": row_axis(place, names),
        "annotations": heading_notes(place, texts) + _before_and_now(table, y),
        "shapes": no_change,
        "margin_r": 112,
    }
    alt = " ".join([*(f"{_said(row)}." for row in records(table)), *([note] if note else [])])
    height = int(place.height) + AXIS + 18
    return finished(_traces(table, y), layout, title=title, alt=alt, height=height)


def _points_axis(table: pd.DataFrame) -> dict[str, Any]:
    ends = table[["change_low", "change_high", "change"]].abs().max().max()
    reach = max(float(ends) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": "← fell · change in points · rose →", "standoff": 4},
        "zeroline": False,
    }


def _traces(table: pd.DataFrame, y: list[float]) -> list[Any]:
    clear = table["clear"].astype(bool)
    colors = [
        REST if not sure else (UP if change > 0 else DOWN)
        for sure, change in zip(clear, table["change"], strict=True)
    ]
    lines: list[Any] = []
    for row, at, color in zip(records(table), y, colors, strict=True):
        lines.append(
            go.Scatter(
                x=plain([row.change_low, row.change_high]),
                y=[at, at],
                mode="lines",
                line={"color": color, "width": 3 if row.clear else 2},
                hoverinfo="skip",
            )
        )
    dots = go.Scatter(
        x=plain(table["change"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in clear],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told(row)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _before_and_now(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    notes = []
    for row, at in zip(records(table), y, strict=True):
        known = not pd.isna(row.change)
        text = f"{percent(row.previous)} → {percent(row.rate)}" if known else _why(row)
        notes.append(
            {
                "text": f"<b>{safe(text)}</b>" if known and row.clear else safe(text),
                "x": 1,
                "xref": "paper",
                "xanchor": "left",
                "xshift": 6,
                "y": at,
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 12},
            }
        )
    return notes


def _why(row: Any) -> str:
    return "too few" if pd.isna(row.k) or pd.isna(row.previous_k) else "no rate"


def _from_to(row: Any) -> str:
    return f"{label(row.from_event)} → {label(row.event)}"


def _told(row: Any) -> list[str]:
    name = _from_to(row) if row.group == ALL else f"{_from_to(row)} · {group_name(row.group)}"
    if pd.isna(row.change):
        return [name, TOO_FEW if _why(row) == "too few" else "no rate to compare"]
    return [
        name,
        f"now: {share(row.k, row.n, row.rate)}",
        f"before: {share(row.previous_k, row.previous_n, row.previous)}",
        f"change: {points(row.change)} points",
        f"95% interval {points(row.change_low)} to {points(row.change_high)}",
        "a clear change" if row.clear else "not clear of chance",
    ]


def _said(row: Any) -> str:
    name = f"{label(row.from_event)} to {label(row.event)}"
    name = name if row.group == ALL else f"{name}, {group_name(row.group)}"
    if pd.isna(row.change):
        return f"{name}: {_told(row)[1]}"
    now, before = share(row.k, row.n, row.rate), share(row.previous_k, row.previous_n, row.previous)
    interval = f"95% interval {points(row.change_low)} to {points(row.change_high)}"
    verdict = "a clear change" if row.clear else "not clear of chance"
    return f"{name}: {now} after {before}, {points(row.change)} points ({interval}), {verdict}"


# ──── figures.differences
#
# In which shares do two groups differ? A point and its interval each, around a line of none.


MOST_ROWS = 15


_NAME = 34


def share_differences(
    table: pd.DataFrame, *, names: tuple[str, str] = ("a", "b"), title: str | None = None
) -> go.Figure:
    """Which shares differ between two groups, the clearest first?

    Parameters
    ----------
    table : as `compare_segments` returns it; only rows in ``unit`` share with an interval are
        drawn, at most 15. names : of the two groups. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "kind": ["event"], "name": ["share"], "value": [""], "unit": ["share"], "k_a": [56],
    ...     "n_a": [70], "rate_a": [0.8], "k_b": [48], "n_b": [80], "rate_b": [0.6],
    ...     "difference": [0.2], "low": [0.0524], "high": [0.3339], "q_value": [0.01],
    ...     "clear": [True]})
    >>> share_differences(table).layout.meta["alt"]
    'a against b. Share: 80.0% (56 of 70) against 60.0% (48 of 80), +20.0 points (95% interval \
+5.2 to +33.4), clear of chance.'
    """
    shown = table[(table["unit"] == "share") & table["low"].notna()]
    if not len(shown):
        return empty("There is nothing to compare.", title=title)
    shown = shown.assign(size=shown["difference"].abs())
    shown = shown.sort_values(["clear", "size"], ascending=False, kind="stable").head(MOST_ROWS)
    place = rows(len(shown), 1)
    y = [centers[0] for centers in place.centers]
    headings = [f"<b>{safe(short(_thing(row), _NAME))}</b>" for row in records(shown)]
    title_note = edge_note(f"{short(names[0], 14)} · {short(names[1], 14)}", -8.0, reach=108)
    beside = [title_note, *_beside(shown, y)]
    layout = {
        "xaxis": _axis(shown, names),
        "yaxis": row_axis(place, [""]) | {"range": [place.height, -18]},
        "annotations": heading_notes(place, headings) + beside,
        "shapes": row_lines(place, 0.0),
        "margin_r": 112,
    }
    said = " ".join(f"{_said_differences(row)}." for row in records(shown))
    rest = int((table["unit"] == "share").sum()) - len(shown)
    more = f" {rest} more compared." if rest else ""
    alt = f"{names[0]} against {names[1]}. {said}{more}"
    height = int(place.height) + AXIS + 36
    return finished(
        _traces_differences(shown, y, names), layout, title=title, alt=alt, height=height
    )


def _axis(table: pd.DataFrame, names: tuple[str, str]) -> dict[str, Any]:
    reach = max(float(table[["low", "high"]].abs().max().max()) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    one, two = (safe(short(name, 11)) for name in names)
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": f"← {two} · points · {one} →", "standoff": 4},
        "zeroline": False,
    }


def _traces_differences(table: pd.DataFrame, y: list[float], names: tuple[str, str]) -> list[Any]:
    colors = [
        REST if not row.clear else (UP if row.difference > 0 else DOWN) for row in records(table)
    ]
    lines: list[Any] = [
        go.Scatter(
            x=plain([row.low, row.high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 3 if row.clear else 2},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(table["difference"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in table["clear"]],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told_differences(row, names)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _beside(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    return [
        edge_note(f"{percent(row.rate_a)} · {percent(row.rate_b)}", at, strong=bool(row.clear))
        for row, at in zip(records(table), y, strict=True)
    ]


def _told_differences(row: Any, names: tuple[str, str]) -> list[str]:
    return [
        _thing(row),
        f"{names[0]}: {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]}: {share(row.k_b, row.n_b, row.rate_b)}",
        f"difference: {points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        q_words(row.q_value) + (", clear of chance" if row.clear else ", not clear of chance"),
    ]


def _said_differences(row: Any) -> str:
    both = f"{share(row.k_a, row.n_a, row.rate_a)} against {share(row.k_b, row.n_b, row.rate_b)}"
    interval = f"95% interval {points(row.low)} to {points(row.high)}"
    verdict = "clear of chance" if row.clear else "not clear of chance"
    return f"{_thing(row)}: {both}, {points(row.difference)} points ({interval}), {verdict}"


# ──── figures.forest


_WIDEST = 40.0


_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)


_NAME_forest = 15


_NUMBERS = 132


class Mark(NamedTuple):
    """A ratio and its interval; `lines` are shown on hover, the first one as a heading."""

    ratio: float
    low: float
    high: float
    color: str
    lines: list[str]
    filled: bool = True


class Row(NamedTuple):
    """A named row of one mark, or of several that share it; `beside` stands at its end."""

    name: str
    marks: Sequence[Mark]
    beside: str


class Block(NamedTuple):
    """A heading and its rows; plain text."""

    heading: str
    rows: Sequence[Row]


def forest(
    blocks: Sequence[Block], *, axis: str, alt: str, title: str | None = None, nothing: str = ""
) -> go.Figure:
    """Rows of ratios under headings, with a line at 1.

    Parameters
    ----------
    axis : what the scale says. alt : the numbers in words. nothing : what to say where there is
        no ratio to draw.

    Examples
    --------
    >>> row = Row("adjusted", [Mark(1.5, 1.2, 1.9, "#0072B2", ["Video"])], "1.50 (1.20–1.90)")
    >>> forest([Block("Video", [row])], axis="odds ratio", alt="Video 1.5.").layout.meta["alt"]
    'Video 1.5.'
    """
    marks = [mark for block in blocks for row in block.rows for mark in row.marks]
    if not any(math.isfinite(mark.ratio) for mark in marks):
        return empty(nothing or "There is no ratio to show.", title=title)
    place = _places(blocks)
    low, high = _reach(marks)
    names = [row.name for block in blocks for row in block.rows]
    layout = {
        "xaxis": _axis_forest(low, high, axis),
        "yaxis": row_axis(place, [""]) | _names(place, names),
        "annotations": heading_notes(place, [f"<b>{safe(block.heading)}</b>" for block in blocks])
        + _beside_forest(blocks, place),
        "shapes": row_lines(place, 0.0),
        "margin_r": _NUMBERS,
    }
    height = int(place.height) + AXIS + 18
    traces = _traces_forest(blocks, place, low, high)
    return finished(traces, layout, title=title, alt=alt, height=height)


def clear_of_one(low: float, high: float) -> bool:
    """Does the interval leave 1 out?"""
    return low > 1 or high < 1


def numbers(ratio: float, low: float, high: float) -> str:
    """A ratio and its interval as they stand at the end of a row.

    Examples
    --------
    >>> numbers(1.5, 1.2, 1.9), numbers(float("nan"), float("nan"), float("nan"))
    ('1.50 (1.20–1.90)', 'too few')
    """
    return "too few" if math.isnan(ratio) else f"{times(ratio)} ({times(low)}–{times(high)})"


def _places(blocks: Sequence[Block]) -> Rows:
    top, centers, headings = 0.0, [], []
    for block in blocks:
        headings.append(top + HEADING / 2)
        centers.append([top + HEADING + (j + 0.5) * ROW for j in range(len(block.rows))])
        top += HEADING + len(block.rows) * ROW + GAP
    return Rows(centers, headings, top)


def _names(place: Rows, names: Sequence[str]) -> dict[str, Any]:
    flat = [y for centers in place.centers for y in centers]
    cut = [name if len(name) <= _NAME_forest else name[: _NAME_forest - 1] + "…" for name in names]
    return {"tickvals": flat, "ticktext": [safe(name) for name in cut]}


def _reach(marks: Sequence[Mark]) -> tuple[float, float]:
    """The ends of the scale in logarithms: all intervals, but no further than a factor of 40."""
    known = [mark for mark in marks if math.isfinite(mark.ratio)]
    ends = [x for m in known for x in (m.low, m.ratio, m.high) if math.isfinite(x) and x > 0]
    low = max(min([*ends, 0.8]), 1 / _WIDEST)
    high = min(max([*ends, 1.25]), _WIDEST)
    room = 0.04 * math.log(high / low)
    return math.log(low) - room, math.log(high) + room


def _axis_forest(low: float, high: float, title: str) -> dict[str, Any]:
    inside = [tick for tick in _TICKS if low <= math.log(tick) <= high]
    ticks = [1.0]
    for tick in sorted(inside, key=lambda t: abs(math.log(t))):
        apart = min(abs(math.log(tick / other)) for other in ticks)
        if apart > (high - low) / 7:
            ticks.append(tick)
    return {
        "range": [low, high],
        "tickvals": plain(math.log(tick) for tick in sorted(ticks)),
        "ticktext": [f"{tick:g}" for tick in sorted(ticks)],
        "title": {"text": safe(title), "standoff": 4},
        "zeroline": False,
    }


def _beside_forest(blocks: Sequence[Block], place: Rows) -> list[dict[str, Any]]:
    return [
        {
            "text": safe(row.beside),
            "x": 1,
            "xref": "paper",
            "xanchor": "left",
            "xshift": 6,
            "y": y,
            "yanchor": "middle",
            "showarrow": False,
            "font": {"size": 12},
        }
        for block, centers in zip(blocks, place.centers, strict=True)
        for row, y in zip(block.rows, centers, strict=True)
    ]


def _traces_forest(blocks: Sequence[Block], place: Rows, low: float, high: float) -> list[Any]:
    lines, points = [], []
    for block, centers in zip(blocks, place.centers, strict=True):
        for row, y in zip(block.rows, centers, strict=True):
            for mark in row.marks:
                if not math.isfinite(mark.ratio):
                    continue
                points.append((mark, y))
                # Several marks in a row are a cloud: their intervals would hide each other.
                if len(row.marks) == 1 and mark.low > 0:
                    lines.append(_line(mark, y, low, high))
    dots = go.Scatter(
        mode="markers",
        x=plain(min(max(math.log(mark.ratio), low), high) for mark, _ in points),
        y=[y for _, y in points],
        marker={
            "size": 10,
            "color": [mark.color for mark, _ in points],
            "symbol": ["circle" if mark.filled else "circle-open" for mark, _ in points],
            "line": {"width": 2, "color": [mark.color for mark, _ in points]},
        },
        hovertext=[safe_lines(mark.lines) for mark, _ in points],
        hoverinfo="text",
    )
    return [*lines, dots]


def _line(mark: Mark, y: float, low: float, high: float) -> go.Scatter:
    ends = [min(max(math.log(limit), low), high) for limit in (mark.low, mark.high)]
    return go.Scatter(
        x=plain(ends),
        y=[y, y],
        mode="lines",
        line={"color": mark.color, "width": 3 if mark.filled else 2},
        hoverinfo="skip",
    )


# ──── figures.funnel_compare
#
# By how much two groups differ at each step: a point and its interval around no difference.
#
# A point is filled only where the difference is clear of chance after allowing for how many steps
# were looked at. Both rates stand beside it, so that nobody reads a difference without its level.


_NAME_funnel_compare = 12


def rate_differences(
    table: pd.DataFrame, *, a: Any = "a", b: Any = "b", title: str | None = None
) -> go.Figure:
    """How does the rate of each step differ between two groups?

    Parameters
    ----------
    table : as `FunnelResult.compare` returns it: a row per step and one for the whole funnel:
        ``step, event, denominator, k_a, n_a, rate_a, k_b, n_b, rate_b, difference, low, high,
        clear``.
    a, b : what to call the two. title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": [2], "event": ["purchase"], "denominator": ["from previous"], "k_a": [56],
    ...     "n_a": [70], "rate_a": [0.8], "k_b": [48], "n_b": [80], "rate_b": [0.6],
    ...     "difference": [0.2], "low": [0.0524], "high": [0.3339], "clear": [True]})
    >>> rate_differences(table, a="mobile", b="desktop").layout.meta["alt"]
    'Purchase, of the step before: mobile 80.0% (56 of 70), desktop 60.0% (48 of 80), +20.0 points \
(95% interval +5.2 to +33.4), a clear difference.'
    """
    if not len(table) or not table["difference"].notna().any():
        return empty("There are no two rates to compare.", title=title)
    names = group_name(a), group_name(b)
    place = rows(len(table), 1)
    y = [centers[0] for centers in place.centers]
    headings = [_heading(row) for row in records(table)]
    layout = {
        "xaxis": _points_axis_funnel_compare(table, names),
        "yaxis": row_axis(place, [""]),
        "annotations": heading_notes(place, headings) + _beside_funnel_compare(table, y),
        "shapes": row_lines(place, 0.0),
        "margin_r": 56,
    }
    alt = " ".join(f"{_said_funnel_compare(row, names)}." for row in records(table))
    height = int(place.height) + AXIS + 18
    return finished(
        _traces_funnel_compare(table, y, names), layout, title=title, alt=alt, height=height
    )


def _heading(row: Any) -> str:
    text = f"<b>{safe(label(row.event))}</b>"
    if pd.isna(row.difference):
        return f"{text}  {_basis(row)}"
    return f"{text}  {percent(row.rate_a)} vs {percent(row.rate_b)} {_basis(row)}"


def _basis(row: Any) -> str:
    return "of all who entered" if row.denominator == "from first" else "of the step before"


def _points_axis_funnel_compare(table: pd.DataFrame, names: tuple[str, str]) -> dict[str, Any]:
    ends = table[["low", "high", "difference"]].abs().max().max()
    reach = max(float(ends) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    a, b = (safe(short(name, _NAME_funnel_compare)) for name in names)
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": f"← {b} higher · points · {a} higher →", "standoff": 4},
        "zeroline": False,
    }


def _traces_funnel_compare(
    table: pd.DataFrame, y: list[float], names: tuple[str, str]
) -> list[Any]:
    clear = table["clear"].astype(bool)
    colors = [
        REST if not sure else PALETTE[0 if difference > 0 else 1]
        for sure, difference in zip(clear, table["difference"], strict=True)
    ]
    lines = [
        go.Scatter(
            x=plain([row.low, row.high]),
            y=[at, at],
            mode="lines",
            line={"color": color, "width": 3 if row.clear else 2},
            hoverinfo="skip",
        )
        for row, at, color in zip(records(table), y, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(table["difference"]),
        y=y,
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if sure else "circle-open" for sure in clear],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(_told_funnel_compare(row, names)) for row in records(table)],
        hoverinfo="text",
    )
    return [*lines, dots]


def _beside_funnel_compare(table: pd.DataFrame, y: list[float]) -> list[dict[str, Any]]:
    notes = []
    for row, at in zip(records(table), y, strict=True):
        text = "no rate"
        if not pd.isna(row.difference):
            text = points(row.difference)
        notes.append(
            {
                "text": f"<b>{safe(text)}</b>" if row.clear else safe(text),
                "x": 1,
                "xref": "paper",
                "xanchor": "left",
                "xshift": 6,
                "y": at,
                "yanchor": "middle",
                "showarrow": False,
                "font": {"size": 12, "color": INK},
            }
        )
    return notes


def _words(row: Any, names: tuple[str, str]) -> list[str]:
    if pd.isna(row.difference):
        return ["no rate to compare"]
    return [
        f"{names[0]} {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]} {share(row.k_b, row.n_b, row.rate_b)}",
        f"{points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        "a clear difference" if row.clear else "not clear of chance",
    ]


def _told_funnel_compare(row: Any, names: tuple[str, str]) -> list[str]:
    return [f"{label(row.event)}, {_basis(row)}", *_words(row, names)]


def _said_funnel_compare(row: Any, names: tuple[str, str]) -> str:
    head, words = f"{label(row.event)}, {_basis(row)}", _words(row, names)
    if len(words) == 1:
        return f"{head}: {words[0]}"
    return f"{head}: {', '.join(words[:3])} ({words[3]}), {words[4]}"
