"""How did a rate develop over periods? A line with its interval, and what is not final marked.

A period whose window is not over for everybody has a rate that can only rise. It is hatched and
its point is hollow, so that nobody reads the end of the line as a fall. Where there is an
estimate of its final rate, that stands beside it as a diamond. Where it is known which range is
usual for a period, by the ones before it, that is a grey band behind the line.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import US_PER_SECOND, human_duration
from analysis.core.wording import count, day, days, percent, share
from analysis.plotting.theme import INK, PALETTE, TOO_FEW, empty, finished, plain, safe, safe_lines

_HEIGHT = 300

_MOST_LABELS = 7

_BAND = "rgba(0, 114, 178, 0.16)"

_USUAL = "rgba(128, 128, 128, 0.18)"

_HATCH = "rgba(128, 128, 128, 0.45)"

_ESTIMATES = ["km_rate", "km_low", "km_high", "km_so_far", "km_so_far_low", "km_so_far_high"]

_ESTIMATE_COLOR = PALETTE[5]

_ESTIMATE_OFFSET = 0.2
"""How far beside its period an estimate stands, in periods."""


def rate_trend(
    table: pd.DataFrame,
    *,
    current: Any = None,
    time_zone: str = "UTC",
    title: str | None = None,
) -> go.Figure:
    """How did the rate develop? A line with a 95 % band; periods that are not final are hatched.

    Parameters
    ----------
    table : a row per period: ``start``, ``end`` (UTC), ``entered``, ``k``, ``n``, ``rate``,
        ``low``, ``high``, ``mature``; one group. With the columns of
        `FunnelResult.recent` the estimates of what is not final are drawn too, and with
        ``usual_low`` and ``usual_high`` the usual range.
    current : the start of the period that the report is about; it is marked.
    time_zone : whose dates are written on the axis.
    title : plain text.

    Examples
    --------
    >>> weeks = pd.date_range("2026-11-02", periods=3, freq="7D", tz="UTC")
    >>> table = pd.DataFrame({
    ...     "start": weeks[:2], "end": weeks[1:], "entered": [40, 50], "k": [8, 0],
    ...     "n": [40, 0], "rate": [0.2, None], "low": [0.105, None], "high": [0.348, None],
    ...     "mature": [True, False]})
    >>> rate_trend(table).layout.meta["alt"]
    '2 to 8 Nov 2026: 20.0% (8 of 40). 9 to 15 Nov 2026: not final, 50 users entered.'
    """
    if not len(table):
        return empty("There is no period to show.", title=title)
    table = _with_estimates(table)
    if not table[["rate", "km_so_far"]].notna().any(axis=None):
        return empty("No period has a rate to show yet.", title=title)
    table = table.reset_index(drop=True).copy()
    for side in ("start", "end"):
        table[side] = table[side].dt.tz_convert(time_zone)
    now = _position(table, current)
    tops = ["rate", "high", "km_so_far", "km_so_far_high", "usual_high"]
    upper = float(table[tops].max().max()) * 1.15 or 1.0
    traces = [_hatched(table, upper), _band(table), _line(table), _points(table, now)]
    few = len(table) <= _MOST_LABELS
    traces += [_rate_labels(table, now), *_usual_band(table)]
    traces += _estimate_traces(table, {*table.index} if few else {now})
    starts = [day(start) for start in table["start"]]
    every = -(-len(table) // _MOST_LABELS)
    ticks = [i for i in range(len(table)) if (now - i) % every == 0]
    layout = {
        "xaxis": {
            "range": [-0.6, len(table) - 0.4],
            "tickvals": ticks,
            "ticktext": [f"<b>{starts[i]}</b>" if i == now else starts[i] for i in ticks],
            "showgrid": False,
            "zeroline": False,
        },
        "yaxis": {"range": [0, upper], "tickformat": ",.1~%", "nticks": 6},
        "bargap": 0,
    }
    alt = " ".join(f"{_caption(row)}." for row in records(table))
    figure = finished(traces, layout, title=title, alt=alt, height=_HEIGHT)
    if key := _estimate_key(table):
        # Room for the key of the estimates above, and for the number of the last one beside it.
        top = figure.layout.margin.t + 20
        figure.update_layout(annotations=key, margin_t=top, margin_r=40)
    return figure


def _position(table: pd.DataFrame, current: Any) -> int:
    if current is None:
        return len(table) - 1
    wanted = pd.Timestamp(current)
    wanted = wanted.tz_localize("UTC") if wanted.tz is None else wanted
    found = table.index[table["start"] == wanted]
    return int(found[0]) if len(found) else len(table) - 1


def _hatched(table: pd.DataFrame, upper: float) -> go.Bar:
    young = [i for i, mature in enumerate(table["mature"]) if not mature]
    texts = ["window not over" if pd.isna(table["rate"][i]) else "not final" for i in young]
    return go.Bar(
        x=young,
        y=[upper] * len(young),
        width=0.9,
        marker={
            "color": "rgba(0, 0, 0, 0)",
            "line": {"width": 0},
            "pattern": {"shape": "/", "fgcolor": _HATCH, "size": 7, "solidity": 0.2},
        },
        text=texts,
        textangle=-90,
        textposition="inside",
        insidetextanchor="start",
        insidetextfont={"color": INK, "size": 12},
        hoverinfo="skip",
    )


def _band(table: pd.DataFrame) -> go.Scatter:
    x: list[float | None] = []
    y: list[float | None] = []
    known = table["rate"].notna() & table["mature"]
    for _, run in table[known].groupby((~known).cumsum()[known]):
        # One period alone has no area: its interval is drawn half a period wide.
        at = [float(i) for i in run.index]
        low, high = list(run["low"]), list(run["high"])
        if len(run) == 1:
            at, low, high = [at[0] - 0.25, at[0] + 0.25], low * 2, high * 2
        x += [*at, *reversed(at), None]
        y += [*plain(high), *plain(reversed(low)), None]
    return go.Scatter(
        x=x, y=y, mode="lines", fill="toself", fillcolor=_BAND, line={"width": 0}, hoverinfo="skip"
    )


def _usual_band(table: pd.DataFrame) -> list[go.Scatter]:
    """The range that the periods before each one make usual: a step per period, in grey."""
    known = table[table["usual_low"].notna()]
    if not len(known):
        return []
    x: list[float | None] = []
    y: list[float | None] = []
    for i, low, high in zip(known.index, known["usual_low"], known["usual_high"], strict=True):
        x += [i - 0.5, i + 0.5, i + 0.5, i - 0.5, None]
        y += [*plain([high, high, low, low]), None]
    return [
        go.Scatter(
            x=x,
            y=y,
            mode="lines",
            fill="toself",
            fillcolor=_USUAL,
            line={"width": 0},
            hoverinfo="skip",
        )
    ]


def _line(table: pd.DataFrame) -> go.Scatter:
    return go.Scatter(
        x=list(table.index),
        y=plain(table["rate"].where(table["mature"])),
        mode="lines",
        line={"color": PALETTE[0], "width": 2},
        hoverinfo="skip",
    )


def _points(table: pd.DataFrame, now: int) -> go.Scatter:
    young = table["rate"].notna() & ~table["mature"]
    return go.Scatter(
        x=list(table.index),
        y=plain(table["rate"]),
        mode="markers",
        marker={
            "color": PALETTE[0],
            "opacity": 1,
            "size": [12 if i == now else 7 for i in table.index],
            "symbol": ["circle-open" if hollow else "circle" for hollow in young],
            "line": {"width": 2, "color": PALETTE[0]},
        },
        error_y={
            "type": "data",
            "symmetric": False,
            "array": plain((table["high"] - table["rate"]).where(young)),
            "arrayminus": plain((table["rate"] - table["low"]).where(young)),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_hover_text(row)) for row in records(table)],
        hoverinfo="text",
    )


def _rate_labels(table: pd.DataFrame, now: int) -> go.Scatter:
    rate = table["rate"]
    texts = [percent(r) if i in _labelled(rate, now) else "" for i, r in enumerate(rate)]
    return go.Scatter(
        x=list(table.index),
        y=plain(rate),
        mode="markers+text",
        # Unseen markers keep the words off the points.
        marker={"size": 16, "opacity": 0},
        text=[f"<b>{safe(t)}</b>" if i == now and t else safe(t) for i, t in enumerate(texts)],
        textposition="top center",
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )


def _labelled(rate: pd.Series, now: int) -> set[int]:
    """The current period, the highest and the lowest; all of them where there is room."""
    known = {i for i, r in enumerate(rate) if r == r}
    if len(rate) <= _MOST_LABELS or not known:
        return known
    marked = {now} & known
    for extreme in (int(rate.argmax()), int(rate.argmin())):
        if all(abs(extreme - other) > 1 for other in marked):
            marked.add(extreme)
    return marked


def _estimate_traces(table: pd.DataFrame, labelled: set[int]) -> list[Any]:
    """A diamond with its interval for each period that has an estimate.

    A full one is the estimate of the final rate; an open one that of the rate within the time
    that anybody was watched, which can only rise. The numbers of the rows in `labelled` are
    written.
    """
    known = table[table["km_so_far"].notna()]
    if not len(known):
        return []
    rate = known["km_so_far"]
    final = known["km_rate"].notna()
    words = [f"&nbsp;&nbsp;{safe(percent(r))}" if i in labelled else "" for i, r in rate.items()]
    hover = [safe_lines([days(r.start, r.end), *_estimate_text(r)]) for r in records(known)]
    return [
        go.Scatter(
            x=[i + _ESTIMATE_OFFSET for i in known.index],
            y=plain(rate),
            mode="markers+text",
            marker={
                "symbol": ["diamond" if own else "diamond-open" for own in final],
                "size": 10,
                "opacity": 1,
                "color": _ESTIMATE_COLOR,
                "line": {"width": 2, "color": _ESTIMATE_COLOR},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": plain(known["km_so_far_high"] - rate),
                "arrayminus": plain(rate - known["km_so_far_low"]),
                "color": _ESTIMATE_COLOR,
                "thickness": 1.4,
                "width": 4,
            },
            text=words,
            textposition="middle right",
            textfont={"size": 12, "color": INK},
            hovertext=hover,
            hoverinfo="text",
            cliponaxis=False,
        )
    ]


def _estimate_key(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What the diamonds are, where there are any."""
    drawn = table[table["km_so_far"].notna()]
    if not len(drawn):
        return []
    whole = drawn["km_rate"].notna()
    text = "◆ Kaplan-Meier estimate of the final rate" if whole.any() else ""
    if not whole.all():
        text = f"{text}, ◇ so far" if text else "◇ Kaplan-Meier estimate so far"
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper"}
    return [place | {"yanchor": "bottom", "showarrow": False, "text": text, "font": {"size": 12}}]


def _hover_text(row: Any) -> list[str]:
    lines = [days(row.start, row.end), _state(row)]
    if row.rate == row.rate and row.rate is not None:
        lines.append(f"95% interval {percent(row.low)} to {percent(row.high)}")
    if not pd.isna(row.usual_low):
        lines.append(f"usual {percent(row.usual_low)} to {percent(row.usual_high)}")
    if not row.mature:
        lines.append(f"not final: {count(row.entered - row.n)} windows are not over")
    return lines + _estimate_text(row)


def _caption(row: Any) -> str:
    state = _state(row)
    text = f"{days(row.start, row.end)}: {'' if row.mature else 'not final, '}{state}"
    return ", ".join([text, *_estimate_text(row)])


def _state(row: Any) -> str:
    if pd.isna(row.k):
        return TOO_FEW
    if not row.n:
        return f"{'nobody' if not row.entered else f'{count(row.entered)} users'} entered"
    return share(row.k, row.n, row.rate)


def _estimate_text(row: Any) -> list[str]:
    """The estimate in words, with its interval and how many entered; nothing where none."""
    if not pd.isna(row.km_rate):
        limits = f"95% interval {percent(row.km_low)} to {percent(row.km_high)}"
        return [
            f"Kaplan-Meier estimate of the final rate {percent(row.km_rate)} of "
            f"{count(row.entered)} ({limits})"
        ]
    if pd.isna(row.km_so_far):
        return []
    limits = f"95% interval {percent(row.km_so_far_low)} to {percent(row.km_so_far_high)}"
    within = human_duration(row.km_seconds * US_PER_SECOND)
    return [
        f"Kaplan-Meier estimate within {within} {percent(row.km_so_far)} of "
        f"{count(row.entered)} ({limits})"
    ]


def _with_estimates(table: pd.DataFrame) -> pd.DataFrame:
    wanted = [*_ESTIMATES, "km_seconds", "usual_low", "usual_high"]
    missing = [name for name in wanted if name not in table]
    return table.assign(**dict.fromkeys(missing, float("nan")))
