"""By how much do rates or odds differ? Points with their intervals around 0, or around 1.

A point is filled where its interval is clear of chance, after allowing for how many were looked
at, and hollow elsewhere: a hollow change is one that a week without any cause shows as easily.
Each row's number stands at its right end.

First the differences of rates, in points: `step_changes` of a funnel against the period before,
`share_differences` between two segments, `rate_differences` between two groups of a funnel; all
three are drawn by `differences`. Then `forest`: ratios on a scale of factors, which is
logarithmic, because a factor of two up is as far from 1 as a factor of two down.
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
    group_name,
    label,
    percent,
    points,
    q_equals,
    share,
    subject,
    times,
)
from analysis.plotting.theme import (
    AXIS,
    DOWN,
    INK,
    NAME_ROOM,
    PALETTE,
    REST,
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
    rows_of_sizes,
    safe,
    safe_lines,
    short,
    shown_groups,
)

# Differences of rates, around 0

_MOST_ROWS = 15

_SUBJECT_ROOM = 34


class DifferenceMark(NamedTuple):
    """A difference of two rates between its limits, fractions; NaN where there is none.

    `y` is its height in pixels, `color` that of a clear one, `beside` what stands at its end;
    `lines` are shown on hover, the first one as a heading.
    """

    y: float
    estimate: float
    low: float
    high: float
    clear: bool
    color: str
    beside: str
    lines: list[str]


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
    found = [
        DifferenceMark(
            at[row.step][groups.index(row.group)],
            row.change,
            row.change_low,
            row.change_high,
            bool(row.clear),
            UP if row.change > 0 else DOWN,
            _before_and_now(row),
            _change_hover_text(row),
        )
        for row in records(table)
    ]
    names = ["" if group == ALL else group_name(group) for group in groups]
    headings = [f"<b>{safe(_from_to(row))}</b>" for row in records(steps)]
    layout = {
        "yaxis": row_axis(place, names),
        "annotations": heading_notes(place, headings) + _beside(found),
        "margin_r": 112,
    }
    sentences = [f"{_change_caption(row)}." for row in records(table)]
    alt = " ".join([*sentences, note] if note else sentences)
    axis = "← fell · change in points · rose →"
    return differences(found, place, layout, axis=axis, title=title, alt=alt)


def _from_to(row: Any) -> str:
    return f"{label(row.from_event)} → {label(row.event)}"


def _before_and_now(row: Any) -> str:
    known = not pd.isna(row.change)
    return f"{percent(row.previous)} → {percent(row.rate)}" if known else _why(row)


def _why(row: Any) -> str:
    return "too few" if pd.isna(row.k) or pd.isna(row.previous_k) else "no rate"


def _change_hover_text(row: Any) -> list[str]:
    name = _from_to(row) if row.group == ALL else f"{_from_to(row)} · {group_name(row.group)}"
    if pd.isna(row.change):
        return [name, TOO_FEW if _why(row) == "too few" else "no rate to compare"]
    return [
        name,
        f"now: {share(row.k, row.n, row.rate)}",
        f"before: {share(row.previous_k, row.previous_n, row.previous)}",
        f"change: {points(row.change)} points",
        f"95% interval {points(row.change_low)} to {points(row.change_high)}",
        "a clear change" if row.clear else "no clear change",
    ]


def _change_caption(row: Any) -> str:
    name = f"{label(row.from_event)} to {label(row.event)}"
    name = name if row.group == ALL else f"{name}, {group_name(row.group)}"
    if pd.isna(row.change):
        return f"{name}: {_change_hover_text(row)[1]}"
    now, before = share(row.k, row.n, row.rate), share(row.previous_k, row.previous_n, row.previous)
    interval = f"95% interval {points(row.change_low)} to {points(row.change_high)}"
    verdict = "a clear change" if row.clear else "no clear change"
    return f"{name}: {now} after {before}, {points(row.change)} points ({interval}), {verdict}"


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
    shown = shown.sort_values(["clear", "size"], ascending=False, kind="stable").head(_MOST_ROWS)
    place = rows(len(shown), 1)
    found = [
        DifferenceMark(
            centers[0],
            row.difference,
            row.low,
            row.high,
            bool(row.clear),
            UP if row.difference > 0 else DOWN,
            f"{percent(row.rate_a)} · {percent(row.rate_b)}",
            _share_hover_text(row, names),
        )
        for row, centers in zip(records(shown), place.centers, strict=True)
    ]
    headings = [f"<b>{safe(short(_subject(row), _SUBJECT_ROOM))}</b>" for row in records(shown)]
    both = edge_note(f"{short(names[0], 14)} · {short(names[1], 14)}", -8.0, reach=108)
    layout = {
        "yaxis": row_axis(place, [""]) | {"range": [place.height, -18]},
        "annotations": [*heading_notes(place, headings), both, *_beside(found)],
        "margin_r": 112,
    }
    text = " ".join(f"{_share_caption(row)}." for row in records(shown))
    rest = int((table["unit"] == "share").sum()) - len(shown)
    more = f" {rest} more compared." if rest else ""
    alt = f"{names[0]} against {names[1]}. {text}{more}"
    one, two = (safe(short(name, 11)) for name in names)
    axis = f"← {two} · points · {one} →"
    return differences(found, place, layout, axis=axis, title=title, alt=alt)


def _subject(row: Any) -> str:
    return subject(row.kind, row.name, row.value)


def _share_hover_text(row: Any, names: tuple[str, str]) -> list[str]:
    return [
        _subject(row),
        f"{names[0]}: {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]}: {share(row.k_b, row.n_b, row.rate_b)}",
        f"difference: {points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        q_equals(row.q_value) + (", clear of chance" if row.clear else ", not clear of chance"),
    ]


def _share_caption(row: Any) -> str:
    both = f"{share(row.k_a, row.n_a, row.rate_a)} against {share(row.k_b, row.n_b, row.rate_b)}"
    interval = f"95% interval {points(row.low)} to {points(row.high)}"
    verdict = "clear of chance" if row.clear else "not clear of chance"
    return f"{_subject(row)}: {both}, {points(row.difference)} points ({interval}), {verdict}"


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
    found = [
        DifferenceMark(
            centers[0],
            row.difference,
            row.low,
            row.high,
            bool(row.clear),
            # Colors of two groups, not of better and worse.
            PALETTE[0 if row.difference > 0 else 1],
            "no rate" if pd.isna(row.difference) else points(row.difference),
            [f"{label(row.event)}, {_basis(row)}", *_rate_hover_text(row, names)],
        )
        for row, centers in zip(records(table), place.centers, strict=True)
    ]
    beside = [note | {"font": {"size": 12, "color": INK}} for note in _beside(found)]
    layout = {
        "yaxis": row_axis(place, [""]),
        "annotations": heading_notes(place, [_rates_heading(row) for row in records(table)])
        + beside,
        "margin_r": 56,
    }
    alt = " ".join(f"{_rate_caption(row, names)}." for row in records(table))
    one, two = (safe(short(name, 12)) for name in names)
    axis = f"← {two} higher · points · {one} higher →"
    return differences(found, place, layout, axis=axis, title=title, alt=alt)


def _rates_heading(row: Any) -> str:
    # Both rates, so that nobody reads a difference without its level.
    text = f"<b>{safe(label(row.event))}</b>"
    if pd.isna(row.difference):
        return f"{text}  {_basis(row)}"
    return f"{text}  {percent(row.rate_a)} vs {percent(row.rate_b)} {_basis(row)}"


def _basis(row: Any) -> str:
    return "of all who entered" if row.denominator == "from first" else "of the step before"


def _rate_hover_text(row: Any, names: tuple[str, str]) -> list[str]:
    if pd.isna(row.difference):
        return ["no rate to compare"]
    return [
        f"{names[0]} {share(row.k_a, row.n_a, row.rate_a)}",
        f"{names[1]} {share(row.k_b, row.n_b, row.rate_b)}",
        f"{points(row.difference)} points",
        f"95% interval {points(row.low)} to {points(row.high)}",
        "a clear difference" if row.clear else "not clear of chance",
    ]


def _rate_caption(row: Any, names: tuple[str, str]) -> str:
    head, lines = f"{label(row.event)}, {_basis(row)}", _rate_hover_text(row, names)
    if len(lines) == 1:
        return f"{head}: {lines[0]}"
    return f"{head}: {', '.join(lines[:3])} ({lines[3]}), {lines[4]}"


def differences(
    found: Sequence[DifferenceMark],
    place: Rows,
    layout: dict[str, Any],
    *,
    axis: str,
    alt: str,
    title: str | None = None,
) -> go.Figure:
    """Differences of rates in points, each with its interval, around a line of none.

    Parameters
    ----------
    place : of the rows. layout : with ``yaxis``, ``annotations`` and ``margin_r``.
    axis : what the scale says, escaped. alt : the numbers in words.
    """
    bottom, top = layout["yaxis"]["range"]
    return finished(
        _traces(found),
        {"xaxis": _points_axis(found, axis), "shapes": row_lines(place, 0.0), **layout},
        title=title,
        alt=alt,
        height=int(bottom) - int(top) + AXIS + 18,
    )


def _points_axis(found: Sequence[DifferenceMark], text: str) -> dict[str, Any]:
    ends = [abs(end) for one in found for end in (one.estimate, one.low, one.high)]
    reach = max(max(end for end in ends if end == end) * 1.08, 0.01)
    step = next((s for s in (0.01, 0.02, 0.05, 0.1, 0.2) if reach / s < 3), 0.5)
    ticks = [round(i * step, 2) for i in range(-int(reach / step), int(reach / step) + 1)]
    return {
        "range": [-reach, reach],
        "tickvals": ticks,
        "ticktext": ["0" if t == 0 else points(t).removesuffix(".0") for t in ticks],
        "title": {"text": text, "standoff": 4},
        "zeroline": False,
    }


def _traces(found: Sequence[DifferenceMark]) -> list[Any]:
    colors = [one.color if one.clear else REST for one in found]
    lines: list[Any] = [
        go.Scatter(
            x=plain([one.low, one.high]),
            y=[one.y, one.y],
            mode="lines",
            line={"color": color, "width": 3 if one.clear else 2},
            hoverinfo="skip",
        )
        for one, color in zip(found, colors, strict=True)
    ]
    dots = go.Scatter(
        x=plain(one.estimate for one in found),
        y=[one.y for one in found],
        mode="markers",
        marker={
            "size": 11,
            "color": colors,
            "symbol": ["circle" if one.clear else "circle-open" for one in found],
            "line": {"width": 2, "color": colors},
        },
        hovertext=[safe_lines(one.lines) for one in found],
        hoverinfo="text",
    )
    return [*lines, dots]


def _beside(found: Sequence[DifferenceMark]) -> list[dict[str, Any]]:
    return [edge_note(one.beside, one.y, strong=one.clear) for one in found]


# Ratios, around 1

_WIDEST = 40.0

_TICKS = (0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 0.8, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0)

_NUMBERS_WIDTH = 132


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
    place = rows_of_sizes([len(block.rows) for block in blocks])
    low, high = _reach(marks)
    placed = [
        (row, y)
        for block, centers in zip(blocks, place.centers, strict=True)
        for row, y in zip(block.rows, centers, strict=True)
    ]
    named = {
        "tickvals": [y for _, y in placed],
        "ticktext": [safe(short(row.name, NAME_ROOM)) for row, _ in placed],
    }
    headings = heading_notes(place, [f"<b>{safe(block.heading)}</b>" for block in blocks])
    layout = {
        "xaxis": _ratio_axis(low, high, axis),
        "yaxis": row_axis(place, [""]) | named,
        "annotations": headings + [edge_note(row.beside, y) for row, y in placed],
        "shapes": row_lines(place, 0.0),
        "margin_r": _NUMBERS_WIDTH,
    }
    height = int(place.height) + AXIS + 18
    return finished(_ratio_traces(placed, low, high), layout, title=title, alt=alt, height=height)


def _reach(marks: Sequence[Mark]) -> tuple[float, float]:
    """The ends of the scale in logarithms: all intervals, but no further than a factor of 40."""
    known = [mark for mark in marks if math.isfinite(mark.ratio)]
    ends = [x for m in known for x in (m.low, m.ratio, m.high) if math.isfinite(x) and x > 0]
    low = max(min([*ends, 0.8]), 1 / _WIDEST)
    high = min(max([*ends, 1.25]), _WIDEST)
    room = 0.04 * math.log(high / low)
    return math.log(low) - room, math.log(high) + room


def _ratio_axis(low: float, high: float, title: str) -> dict[str, Any]:
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


def _ratio_traces(placed: Sequence[tuple[Row, float]], low: float, high: float) -> list[Any]:
    known = [(row, mark, y) for row, y in placed for mark in row.marks if math.isfinite(mark.ratio)]
    # Several marks in a row are a cloud: their intervals would hide each other.
    lines = [
        _ratio_line(mark, y, low, high)
        for row, mark, y in known
        if len(row.marks) == 1 and mark.low > 0
    ]
    dots = go.Scatter(
        mode="markers",
        x=plain(min(max(math.log(mark.ratio), low), high) for _, mark, _ in known),
        y=[y for _, _, y in known],
        marker={
            "size": 10,
            "color": [mark.color for _, mark, _ in known],
            "symbol": ["circle" if mark.filled else "circle-open" for _, mark, _ in known],
            "line": {"width": 2, "color": [mark.color for _, mark, _ in known]},
        },
        hovertext=[safe_lines(mark.lines) for _, mark, _ in known],
        hoverinfo="text",
    )
    return [*lines, dots]


def _ratio_line(mark: Mark, y: float, low: float, high: float) -> go.Scatter:
    ends = [min(max(math.log(limit), low), high) for limit in (mark.low, mark.high)]
    return go.Scatter(
        x=plain(ends),
        y=[y, y],
        mode="lines",
        line={"color": mark.color, "width": 3 if mark.filled else 2},
        hoverinfo="skip",
    )


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
