"""What does a funnel look like? Its steps, its drop-offs, and what each step loses, as bars.

A row per step and group, with its rate and count written on it. Bars run from left to right and
not upwards, because a phone has room below and none beside.

What these figures refuse to do: give a reason for a stop (they say "next" and never "because"),
or promise what a group could do. Groups differ in who comes, so "if it did as well" is an upper
bound on what is worth a look.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import ALL, OTHER, US_PER_SECOND, human_duration
from analysis.core.wording import UNDEFINED, count, group_name, label, percent, share
from analysis.plotting.theme import (
    AXIS,
    GAP,
    HEADING,
    INK,
    PALETTE,
    REST,
    ROW,
    TOO_FEW,
    Rows,
    empty,
    finished,
    group_colors,
    heading_notes,
    ink_on,
    percent_axis,
    plain,
    row_axis,
    rows,
    safe,
    safe_lines,
    short,
    shown_groups,
)

# ── Steps

_WORDS_FIT = 0.55
"""Above this rate the words fit into a step's bar and no longer behind it."""


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
    traces = _step_traces(table, groups, place)
    layout = {
        "xaxis": percent_axis(1.0),
        "yaxis": row_axis(place, names),
        "annotations": heading_notes(place, _step_headings(table, steps, len(groups)))
        + ([_footnote(note)] if note else []),
        "barmode": "overlay",
    }
    height = int(place.height) + AXIS + (20 if note else 0)
    alt = _funnel_caption(table, groups) + (f" {note}" if note else "")
    return finished(traces, layout, title=title, alt=alt, height=height)


def _groups_with_users(table: pd.DataFrame) -> list[Any]:
    first = table[table["step"] == table["step"].min()]
    return [g for g, n in zip(first["group"], first["count"], strict=True) if n != 0]


def _step_traces(table: pd.DataFrame, groups: list[Any], place: Rows) -> list[Any]:
    colors = group_colors(groups)
    traces: list[Any] = []
    for j, group in enumerate(groups):
        own = table[table["group"] == group].sort_values("step")
        y = [centers[j] for centers in place.centers]
        # The first step is at 100 % by definition and has no interval worth drawing.
        low, high = (
            own[name].where(own["step"] > own["step"].min()) for name in ("rate_low", "rate_high")
        )
        bars = go.Bar(
            orientation="h",
            x=plain(own["rate"]),
            y=y,
            width=ROW - 6,
            marker={"color": colors[group], "line": {"width": 0}},
            error_x=whiskers(own["rate"], low, high, INK),
            hovertext=[safe_lines(_step_hover_text(row)) for row in records(own)],
            hoverinfo="text",
            name=safe(group_name(group)),
        )
        traces += [bars, _step_words(own, y, colors[group])]
    return traces


def _step_words(own: pd.DataFrame, y: list[float], color: str) -> go.Scatter:
    inside = own["rate_high"] > _WORDS_FIT
    first = own["step"] == own["step"].min()
    at = own["rate_low"].where(~first, own["rate"]).where(inside, own["rate_high"]).fillna(0)
    return go.Scatter(
        mode="text",
        x=plain(at),
        y=y,
        text=[f"&nbsp;{safe(_beside_step(row))}&nbsp;" for row in records(own)],
        textposition=["middle left" if w else "middle right" for w in inside],
        textfont={"color": [ink_on(color) if w else INK for w in inside], "size": 12},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _beside_step(row: Any) -> str:
    if pd.isna(row.k):
        return TOO_FEW
    if pd.isna(row.rate):
        return f"{count(row.count)}, no rate yet" if row.count else "nobody"
    if row.step == 1:
        return f"{count(row.k)} {row.noun}"
    return f"{percent(row.rate)} · {count(row.k)}"


def _step_headings(table: pd.DataFrame, steps: pd.DataFrame, groups: int) -> list[str]:
    texts = [f"<b>{safe(label(name))}</b>" for name in steps["event"]]
    if groups > 1:
        return texts
    rates = table.sort_values("step")["step_rate"]
    counts = table.sort_values("step")["n_previous"]
    return [
        text if pd.isna(rate) else f"{text}  {percent(rate)} of the {count(n)} before"
        for text, rate, n in zip(texts, rates, counts, strict=True)
    ]


def _step_hover_text(row: Any) -> list[str]:
    name = label(row.event)
    lines = [name if row.group == ALL else f"{name} · {group_name(row.group)}"]
    if pd.isna(row.k) or pd.isna(row.rate):
        return [*lines, _beside_step(row)]
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


def _funnel_caption(table: pd.DataFrame, groups: list[Any]) -> str:
    sentences = []
    for group in groups:
        own = table[table["group"] == group].sort_values("step")
        words = " ".join(f"{_step_caption(row)}." for row in records(own))
        sentences.append(words if group == ALL else f"{group_name(group)}: {words}")
    return " ".join(sentences)


def _step_caption(row: Any) -> str:
    if pd.isna(row.k) or pd.isna(row.rate) or row.step == 1:
        return f"{label(row.event)}: {_beside_step(row)}"
    interval = f"interval {percent(row.rate_low)} to {percent(row.rate_high)}"
    return f"{label(row.event)}: {share(row.k, row.n_first, row.rate)}, {interval}"


def whiskers(value: pd.Series, low: pd.Series, high: pd.Series, color: str) -> dict[str, Any]:
    """The interval of each value as plotly's error bars; none where a limit is missing."""
    return {
        "type": "data",
        "symmetric": False,
        "array": plain(high - value),
        "arrayminus": plain(value - low),
        "color": color,
        "thickness": 1.4,
        "width": 4,
    }


# ── Drop-offs

_NAME_LENGTH = 20
_CHARACTER_WIDTH = 5.8

_ROOM_BEHIND = 1.25
"""How much wider than the longest bar the axis is, for the words behind it."""

_WORDS_FIT_LONGEST = 0.6
"""From this share of the longest bar on the words fit into it."""


def drop_off_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many stopped after each step, and what was the next thing they did?

    Parameters
    ----------
    table : as `FunnelResult.next_events` or `FunnelResult.drop_offs` return it: ``step, after,
        reached, event, k, n, share, low, high, median_seconds``.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "step": 1, "after": "cart", "reached": 100, "event": ["help", "(nothing more)"],
    ...     "k": [8, 32], "n": 40, "share": [0.2, 0.8], "low": [0.105, 0.652],
    ...     "high": [0.348, 0.895], "median_seconds": [300.0, None]})
    >>> drop_off_bars(table).layout.meta["alt"]
    'After Cart 40.0% (40 of 100) stopped. Next: Help 20.0% (8 of 40), after 5 min in the median; \
nothing more 80.0% (32 of 40).'
    """
    table = table[table["n"] > 0].reset_index(drop=True)
    if not len(table):
        return empty("Nobody stopped on the way.", title=title)
    blocks = [own for _, own in table.groupby("step", sort=True)]
    place = _uneven_rows([len(own) for own in blocks])
    y = [center for centers in place.centers for center in centers]
    table = pd.concat(blocks, ignore_index=True)
    upper = float(table["high"].max())
    notes = heading_notes(place, [_drop_off_heading(own.iloc[0]) for own in blocks])
    # Headings begin where the names do, so that they have the whole width of a phone.
    indent = int(
        _CHARACTER_WIDTH
        * max(len(short(_event_name(event), _NAME_LENGTH)) for event in table["event"])
    )
    layout = {
        "xaxis": percent_axis(upper) | {"range": [0, upper * _ROOM_BEHIND]},
        "yaxis": {
            "range": [place.height, 0],
            "tickvals": y,
            "ticktext": [safe(short(_event_name(event), _NAME_LENGTH)) for event in table["event"]],
            "showgrid": False,
            "zeroline": False,
            "ticks": "",
        },
        "annotations": [note | {"xshift": -indent} for note in notes],
    }
    alt = " ".join(_drop_off_caption(own) for own in blocks)
    height = int(place.height) + AXIS
    traces = [_drop_off_bars(table, y), _drop_off_words(table, y)]
    return finished(traces, layout, title=title, alt=alt, height=height)


def _uneven_rows(sizes: list[int]) -> Rows:
    """As `analysis.plotting.theme.rows`, for headings with different numbers of rows."""
    centers, headings, top = [], [], 0.0
    for size in sizes:
        headings.append(top + HEADING / 2)
        centers.append([top + HEADING + (j + 0.5) * ROW for j in range(size)])
        top += HEADING + size * ROW + GAP
    return Rows(centers, headings, top)


def _event_name(event: Any) -> str:
    return str(event).strip("()") if str(event).startswith("(") else label(event)


def _wait(row: Any) -> str:
    return human_duration(row.median_seconds * US_PER_SECOND)


def _drop_off_heading(row: Any) -> str:
    stopped = f"{percent(row['n'] / row['reached'])} of {count(row['reached'])}"
    return f"<b>{stopped}</b> stopped after <b>{safe(label(row['after']))}</b>"


def _event_colors(table: pd.DataFrame) -> list[str]:
    return [REST if str(event).startswith("(") else PALETTE[0] for event in table["event"]]


def _drop_off_bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    return go.Bar(
        orientation="h",
        x=plain(table["share"]),
        y=y,
        width=ROW - 6,
        marker={"color": _event_colors(table), "line": {"width": 0}},
        error_x=whiskers(table["share"], table["low"], table["high"], INK),
        hovertext=[safe_lines(_drop_off_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )


def _drop_off_words(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    texts = []
    for row in records(table):
        text = f"{percent(row.share)} · {count(row.k)}"
        late = "" if pd.isna(row.median_seconds) else f" · {_wait(row)}"
        texts.append(f"&nbsp;&nbsp;{safe(text + late)}&nbsp;&nbsp;")
    inside = table["high"] > _WORDS_FIT_LONGEST * table["high"].max()
    inks = [
        ink_on(color) if own else INK
        for color, own in zip(_event_colors(table), inside, strict=True)
    ]
    return go.Scatter(
        mode="text",
        x=plain(table["low"].where(inside, table["high"])),
        y=y,
        text=texts,
        textposition=["middle left" if own else "middle right" for own in inside],
        textfont={"size": 12, "color": inks},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _drop_off_hover_text(row: Any) -> list[str]:
    what = "other events" if row.event == OTHER else _event_name(row.event)
    lines = [
        f"{what}, next after {label(row.after)}",
        f"of those who stopped there: {share(row.k, row.n, row.share)}",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
    ]
    return lines if pd.isna(row.median_seconds) else [*lines, f"median wait {_wait(row)}"]


def _drop_off_caption(own: pd.DataFrame) -> str:
    first = own.iloc[0]
    stopped = share(first["n"], first["reached"], first["n"] / first["reached"])
    sentences = []
    for row in records(own):
        text = f"{_event_name(row.event)} {share(row.k, row.n, row.share)}"
        sentences.append(
            text if pd.isna(row.median_seconds) else f"{text}, after {_wait(row)} in the median"
        )
    return f"After {label(first['after'])} {stopped} stopped. Next: {'; '.join(sentences)}."


# ── Value lost

_BOUND = "if it did as well as the best group there; no promise"
_AXIS_TITLE = "if as good as the best group"


def value_lost_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Where would doing as well as the best group be worth most?

    Parameters
    ----------
    table : as `FunnelResult.value_lost` returns it. The bars are of ``lost_value`` where the log
        knows it and of ``lost_conversions`` elsewhere; whiskers hold the chance in the step's
        rate only. Beyond six groups only the first are drawn.
    title : plain text.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "group": ["mobile"], "step": [2], "event": ["purchase"], "n_previous": [200],
    ...     "step_rate": [0.25], "best_group": ["desktop"], "best_rate": [0.5],
    ...     "lost_units": [50.0], "lost_units_low": [31.0], "lost_units_high": [68.0],
    ...     "lost_conversions": [50.0], "lost_value": [500.0], "currency": ["EUR"]})
    >>> value_lost_bars(table).layout.meta["alt"]
    'Purchase, mobile: 25.0% of 200, the best group desktop 50.0%: 50 more (95% interval 31 to \
68), 50 conversions, 500 EUR, if it did as well as the best group there; no promise.'
    """
    if not len(table) or not table["lost_conversions"].notna().any():
        return empty("There is no group to compare with.", title=title)
    groups, note = shown_groups(list(dict.fromkeys(table["group"])))
    table = _with_bars(table[[group in groups for group in table["group"]]])
    steps = table.drop_duplicates("step").sort_values("step")
    place = rows(len(steps), len(groups))
    at = dict(zip(steps["step"], place.centers, strict=True))
    y = [at[row.step][groups.index(row.group)] for row in records(table)]
    unit = "conversions" if not table["lost_value"].notna().any() else _currency(table) or "worth"
    headings = [_loss_heading(row) for row in records(steps)]
    left, right = _axis_range(table)
    layout = {
        "xaxis": {
            "range": [left, right],
            "nticks": 6,
            "title": {"text": f"{safe(unit)}, {_AXIS_TITLE}", "standoff": 4},
            "zeroline": True,
        },
        "yaxis": row_axis(place, [group_name(group) for group in groups]),
        "annotations": heading_notes(place, headings),
    }
    alt = " ".join([*(f"{_loss_caption(row)}." for row in records(table)), *filter(None, [note])])
    height = int(place.height) + AXIS + 18
    traces = [_loss_bars(table, y), _loss_words(table, y)]
    return finished(traces, layout, title=title, alt=alt, height=height)


def _with_bars(table: pd.DataFrame) -> pd.DataFrame:
    """Add the bar and its limits: the limits of the units, on the scale of the bar."""
    has_value = table["lost_value"].notna().any()
    bar = table["lost_value"] if has_value else table["lost_conversions"]
    scale = (bar / table["lost_units"]).where(table["lost_units"] != 0, 0.0)
    low, high = (table[f"lost_units_{side}"] * scale for side in ("low", "high"))
    return table.assign(bar=bar, bar_low=low, bar_high=high)


def _currency(table: pd.DataFrame) -> str:
    named = table["currency"].dropna()
    return str(named.iloc[0]) if len(named) else ""


def _loss_heading(row: Any) -> str:
    text = f"<b>{safe(label(row.event))}</b>"
    if pd.isna(row.best_rate):
        return text
    return f"{text}  best: {safe(group_name(row.best_group))} {percent(row.best_rate)}"


def _axis_range(table: pd.DataFrame) -> tuple[float, float]:
    """The ends of the axis, with room for the words behind the longest whisker."""
    low = min(0.0, float(table[["bar", "bar_low"]].min().min()))
    high = max(0.0, float(table[["bar", "bar_high"]].max().max()))
    wide = (high - low) or 1.0
    return low - 0.04 * wide, high + 1.2 * wide


def _loss_bars(table: pd.DataFrame, y: list[float]) -> go.Bar:
    colors = group_colors(list(dict.fromkeys(table["group"])))
    return go.Bar(
        orientation="h",
        x=plain(table["bar"]),
        y=y,
        width=ROW - 6,
        marker={"color": [colors[group] for group in table["group"]], "line": {"width": 0}},
        error_x=whiskers(table["bar"], table["bar_low"], table["bar_high"], INK),
        hovertext=[safe_lines(_loss_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )


def _loss_words(table: pd.DataFrame, y: list[float]) -> go.Scatter:
    ends = table[["bar", "bar_high"]].max(axis=1).clip(lower=0).fillna(0)
    return go.Scatter(
        mode="text",
        x=plain(ends),
        y=y,
        text=[f"&nbsp;&nbsp;{safe(_beside_loss(row))}" for row in records(table)],
        textposition="middle right",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _beside_loss(row: Any) -> str:
    if pd.isna(row.bar):
        return UNDEFINED
    rate = f"{percent(row.step_rate)} of {count(row.n_previous)}"
    if row.best_group == row.group:
        return f"the best: {rate}"
    return f"{_amount(row)} · {rate}"


def _amount(row: Any) -> str:
    if pd.isna(row.lost_value):
        return f"{count(row.lost_conversions)} conversions"
    return f"{count(row.lost_value)} {'' if pd.isna(row.currency) else row.currency}".strip()


def _loss_hover_text(row: Any) -> list[str]:
    head = f"{label(row.event)}, {group_name(row.group)}"
    if pd.isna(row.bar):
        return [head, UNDEFINED]
    lines = [head, f"{percent(row.step_rate)} of {count(row.n_previous)} at the step before"]
    if row.best_group == row.group:
        return [*lines, "the best group"]
    units = f"{count(row.lost_units_low)} to {count(row.lost_units_high)}"
    return [
        *lines,
        f"the best group {group_name(row.best_group)} {percent(row.best_rate)}",
        f"{count(row.lost_units)} more at this step (95% interval {units})",
        f"{count(row.lost_conversions)} more conversions",
        *([] if pd.isna(row.lost_value) else [f"worth {_amount(row)}"]),
        _BOUND,
    ]


def _loss_caption(row: Any) -> str:
    head = f"{label(row.event)}, {group_name(row.group)}: "
    if pd.isna(row.bar):
        return head + UNDEFINED
    own = f"{percent(row.step_rate)} of {count(row.n_previous)}"
    if row.best_group == row.group:
        return f"{head}{own}, the best group"
    best = f"the best group {group_name(row.best_group)} {percent(row.best_rate)}"
    limits = f"95% interval {count(row.lost_units_low)} to {count(row.lost_units_high)}"
    more = f"{count(row.lost_units)} more ({limits}), {count(row.lost_conversions)} conversions"
    if not pd.isna(row.lost_value):
        more += f", {_amount(row)}"
    return f"{head}{own}, {best}: {more}, {_BOUND}"
