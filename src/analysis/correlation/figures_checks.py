"""Can the groups be compared at all? Their chances to have done it, one group up, one down."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.result import records
from analysis.core.schema import ALL
from analysis.core.wording import (
    UNDEFINED,
    coefficient,
    count,
    group_name,
    significance,
    with_interval,
)
from analysis.plotting.intervals import Block, Mark, Row, clear_of_one, forest, numbers
from analysis.plotting.theme import (
    DOWN,
    INK,
    PALETTE,
    REST,
    TOO_FEW,
    empty,
    finished,
    plain,
    safe,
    safe_lines,
)

# ──── figures.overlap


_HEIGHT = 320


def overlap_bars(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """How many of each group are there, by their chance to have done it?

    Parameters
    ----------
    table : a row per bin of the chance: ``low, high`` (fractions), ``exposed, other, trimmed``
        (people; those left out are in neither group). Each group is drawn as shares of itself, so
        that a small one can be seen.

    Examples
    --------
    >>> table = pd.DataFrame({"low": [0.0, 0.5], "high": [0.5, 1.0], "exposed": [30, 60],
    ...     "other": [400, 100], "trimmed": [0, 0]})
    >>> overlap_bars(table).layout.meta["alt"]
    'Chance 0 to 0.5: 30 had done it, 400 had not. Chance 0.5 to 1: 60 had done it, 100 had not. \
0 users without their like are left out.'
    """
    people = table[["exposed", "other"]].sum()
    if not people.min():
        return empty("Too few people in one of the groups to compare them.", title=title)
    shown = records(table)
    up = table["exposed"] / people["exposed"]
    down = -table["other"] / people["other"]
    reach = 1.18 * max(float(up.max()), float(-down.min()))
    middle = (table["low"] + table["high"]) / 2
    traces: list[Any] = []
    for shares, color in ((up, PALETTE[0]), (down, PALETTE[1])):
        traces.append(
            go.Bar(
                x=plain(middle),
                y=plain(shares),
                width=plain((table["high"] - table["low"]) * 0.94),
                marker={"color": color, "line": {"width": 0}},
                hovertext=[safe_lines(_told(row)) for row in shown],
                hoverinfo="text",
            )
        )
    layout = {
        "barmode": "overlay",
        "xaxis": {
            "range": [0, 1],
            "tickvals": [0, 0.2, 0.4, 0.6, 0.8, 1],
            "title": {"text": f"chance to have done it · {_gone(table)}", "standoff": 4},
            "showgrid": False,
        },
        "margin_b": 60,
        "yaxis": {"range": [-reach, reach], "showticklabels": False, "zerolinecolor": INK},
        "annotations": [
            _note(f"had done it: {_shown(table['exposed'])}", 1, "top"),
            _note(f"had not: {_shown(table['other'])}", 0.04, "bottom"),
        ],
    }
    alt = " ".join([*(_said(row) for row in shown if row.exposed or row.other), f"{_gone(table)}."])
    return finished(traces, layout, title=title, alt=alt, height=_HEIGHT)


def _shown(people: pd.Series) -> str:
    users = f"{count(people.sum())} users"
    return f"{users} in the bars shown" if people.isna().any() else users


def _note(text: str, y: float, anchor: str) -> dict[str, Any]:
    return {
        "text": f"<b>{safe(text)}</b>",
        "x": 1,
        "xref": "paper",
        "xanchor": "right",
        "y": y,
        "yref": "paper",
        "yanchor": anchor,
        "showarrow": False,
    }


def _bin(row: Any) -> str:
    return f"chance {row.low:.2g} to {row.high:.2g}"


def _told(row: Any) -> list[str]:
    lines = [_bin(row), f"had done it: {_people(row.exposed)}", f"had not: {_people(row.other)}"]
    return [*lines, f"left out besides: {_people(row.trimmed)}"] if row.trimmed else lines


def _said(row: Any) -> str:
    return f"C{_bin(row)[1:]}: {_people(row.exposed)} had done it, {_people(row.other)} had not."


def _people(number: float) -> str:
    return "too few to show" if count(number) == UNDEFINED else count(number)


def _gone(table: pd.DataFrame) -> str:
    return f"{count(table['trimmed'].sum())} users without their like are left out"


# ──── figures.lags
#
# Correlation by shift: bars around 0 with intervals, filled where clear of chance.


_SURE = 0.05


_HEIGHT_lags = 300


def lag_bars(table: pd.DataFrame, *, unit: str = "weeks", title: str | None = None) -> go.Figure:
    """Do the changes of one rate come before those of the other?

    Parameters
    ----------
    table : a row per shift: ``lag, correlation, low, high, n, p_value, p_adjusted``.
    unit : what a shift is counted in.

    Examples
    --------
    >>> table = pd.DataFrame({"lag": [0, 1], "correlation": [0.1, 0.62], "low": [-0.2, 0.35],
    ...     "high": [0.4, 0.8], "n": [39, 38], "p_value": [0.5, 0.001], "p_adjusted": [0.9, 0.002]})
    >>> lag_bars(table).layout.meta["alt"]
    'Micro 0 weeks ahead: 0.10 (95% interval −0.20 to 0.40), n = 39, p = 0.9. Micro 1 weeks ahead: \
0.62 (95% interval 0.35 to 0.80), n = 38, p = 0.002.'
    """
    known = table[table["correlation"].notna()]
    if not len(known):
        return empty("Not enough periods to compare the changes of the rates.", title=title)
    shown = records(known)
    clear = [row.p_adjusted <= _SURE for row in shown]
    bars = go.Bar(
        x=[int(row.lag) for row in shown],
        y=plain(known["correlation"]),
        width=0.6,
        marker={"color": [PALETTE[0] if sure else REST for sure in clear], "line": {"width": 0}},
        error_y={
            "type": "data",
            "symmetric": False,
            "array": plain(known["high"] - known["correlation"]),
            "arrayminus": plain(known["correlation"] - known["low"]),
            "color": INK,
            "thickness": 1.4,
            "width": 4,
        },
        hovertext=[safe_lines(_told_lags(row, unit)) for row in shown],
        hoverinfo="text",
    )
    words = go.Scatter(
        x=[int(row.lag) for row in shown],
        y=plain(row.high if row.correlation >= 0 else row.low for row in shown),
        mode="text",
        text=[safe(coefficient(row.correlation)) for row in shown],
        textposition=[f"{'top' if row.correlation >= 0 else 'bottom'} center" for row in shown],
        textfont={"size": 12, "color": INK},
        hoverinfo="skip",
        cliponaxis=False,
    )
    layout = {
        "xaxis": {
            "tickvals": [int(row.lag) for row in shown],
            "title": {"text": f"← micro behind · {unit} · micro ahead →", "standoff": 4},
            "showgrid": False,
        },
        "yaxis": {"range": [-1.12, 1.12], "title": {"text": "correlation of changes"}},
    }
    alt = " ".join(f"{_said_lags(row, unit)}." for row in shown)
    return finished([bars, words], layout, title=title, alt=alt, height=_HEIGHT_lags)


def _ahead(row: Any, unit: str) -> str:
    side = "ahead" if row.lag >= 0 else "behind"
    return f"micro {abs(int(row.lag))} {unit} {side}"


def _value(row: Any) -> str:
    ends = f"{coefficient(row.low)} to {coefficient(row.high)}"
    return f"{coefficient(row.correlation)} (95% interval {ends})"


def _told_lags(row: Any, unit: str) -> list[str]:
    return [
        _ahead(row, unit),
        f"correlation of changes {_value(row)}",
        f"n = {count(row.n)} pairs",
        f"p = {significance(row.p_value)}, over all shifts {significance(row.p_adjusted)}",
    ]


def _said_lags(row: Any, unit: str) -> str:
    words = _ahead(row, unit)
    p = significance(row.p_adjusted)
    return f"{words[:1].upper()}{words[1:]}: {_value(row)}, n = {count(row.n)}, p = {p}"


# ──── figures.horizons
#
# The same question over several horizons, and for the value: ratios under each event.


_AXIS = "← less · ratio · more →"


_COLORS = {"adjusted": PALETTE[4], "calibrated": PALETTE[0], "mean value": PALETTE[1]}


_MOST = 12


def horizon_forest(table: pd.DataFrame, *, title: str | None = None) -> go.Figure:
    """Is a micro conversion's association the same soon, late, and in value?

    Parameters
    ----------
    table : as `compare_horizons` gives it; the first twelve events are drawn.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "event": "video", "label": "Video", "measure": ["30 days", "value"],
    ...     "basis": ["calibrated", "mean value"], "ratio": [1.5, 0.9], "low": [1.2, 0.8],
    ...     "high": [1.9, 1.0], "n": [40, 38], "others": [60, 59]})
    >>> horizon_forest(table).layout.meta["alt"]
    'Video: 30 days, calibrated odds ratio 1.50 (95% interval 1.20 to 1.90), 40 conversions after \
it and 60 others; value, ratio of mean values 0.90 (95% interval 0.80 to 1.00), 38 conversions \
after it and 59 others.'
    """
    blocks, said = [], []
    for event in list(dict.fromkeys(table["event"]))[:_MOST]:
        own = records(table[table["event"] == event])
        blocks.append(Block(own[0].label, [_row(row) for row in own]))
        said.append(f"{own[0].label}: {'; '.join(_said_horizons(row) for row in own)}.")
    nothing = "There is no ratio to show: too few conversions."
    return forest(blocks, axis=_AXIS, alt=" ".join(said), title=title, nothing=nothing)


def _row(row: Any) -> Row:
    filled = clear_of_one(row.low, row.high)
    lines = [f"{row.label}, {row.measure}", _what(row), _of(row)]
    mark = Mark(row.ratio, row.low, row.high, _COLORS[row.basis], lines, filled)
    return Row(row.measure, [mark], numbers(row.ratio, row.low, row.high))


def _what(row: Any) -> str:
    name = "ratio of mean values" if row.basis == "mean value" else f"{row.basis} odds ratio"
    known = row.ratio == row.ratio
    return f"{name} {with_interval(row.ratio, row.low, row.high) if known else 'undefined'}"


def _of(row: Any) -> str:
    if pd.isna(row.n):
        return TOO_FEW
    return f"{count(row.n)} conversions after it and {count(row.others)} others"


def _said_horizons(row: Any) -> str:
    return f"{row.measure}, {_what(row)}, {_of(row)}"


# ──── figures.stability
#
# Does an association hold in every group? Odds ratios by group, under a heading per dimension.


_AXIS_stability = "← fewer · adjusted odds ratio · more →"


_MOST_stability = 14


def stability_forest(
    table: pd.DataFrame, dimensions: pd.DataFrame, *, title: str | None = None
) -> go.Figure:
    """In which groups does the association hold, and where does it turn round?

    Parameters
    ----------
    table, dimensions : as `stability` gives them. Groups with too few conversions are gray, those
        that point the other way than everybody are vermilion. Fourteen groups of a dimension are
        drawn at most, the last ones of a calendar.

    Examples
    --------
    >>> table = pd.DataFrame({
    ...     "dimension": ["all", "device"], "group": ["all", "mobile"], "macros": [90, 50],
    ...     "exposed_macros": [40, 20], "odds_ratio": [1.5, 1.4], "low": [1.2, 0.9],
    ...     "high": [1.9, 2.2], "enough": True, "flips": False})
    >>> dimensions = pd.DataFrame({"dimension": ["device"], "groups": [1], "p_value": [None]})
    >>> stability_forest(table, dimensions).layout.meta["alt"]
    'Everybody: 1.50 (95% interval 1.20 to 1.90), 40 of 90 conversions after it. device, mobile: \
1.40 (95% interval 0.90 to 2.20), 20 of 50 conversions after it.'
    """
    blocks, said = [], []
    for name in dict.fromkeys(table["dimension"]):
        own = table[table["dimension"] == name]
        own = (
            own.tail(_MOST_stability)
            if name in ("day", "week", "month")
            else own.head(_MOST_stability)
        )
        shown = records(own)
        blocks.append(Block(_heading(name, dimensions), [_row_stability(row) for row in shown]))
        said += [_said_stability(row) for row in shown]
    nothing = "There is no odds ratio to show: too few conversions."
    return forest(blocks, axis=_AXIS_stability, alt=" ".join(said), title=title, nothing=nothing)


def _heading(name: str, dimensions: pd.DataFrame) -> str:
    if name == ALL:
        return "Everybody"
    rows = dimensions[dimensions["dimension"] == name]
    p = float(rows["p_value"].iloc[0]) if rows["p_value"].notna().any() else None
    return name if p is None else f"{name} · do they differ? p = {significance(p)}"


def _row_stability(row: Any) -> Row:
    color = DOWN if row.flips else PALETTE[0] if row.enough else REST
    filled = clear_of_one(row.low, row.high) and bool(row.enough)
    mark = Mark(row.odds_ratio, row.low, row.high, color, _told_stability(row), filled)
    name = "" if row.dimension == ALL else group_name(row.group)
    return Row(name, [mark], numbers(row.odds_ratio, row.low, row.high))


def _name(row: Any) -> str:
    return "Everybody" if row.dimension == ALL else f"{row.dimension}, {group_name(row.group)}"


def _ratio(row: Any) -> str:
    if row.odds_ratio != row.odds_ratio:
        return "too few conversions for an odds ratio"
    return with_interval(row.odds_ratio, row.low, row.high)


def _of_stability(row: Any) -> str:
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    return f"{count(row.exposed_macros)} of {count(row.macros)} conversions after it"


def _told_stability(row: Any) -> list[str]:
    lines = [_name(row), _ratio(row), _of_stability(row)]
    if not row.enough:
        lines.append("too few to be compared")
    return [*lines, "points the other way than everybody"] if row.flips else lines


def _said_stability(row: Any) -> str:
    turned = ", the other way round" if row.flips else ""
    return f"{_name(row)}: {_ratio(row)}, {_of_stability(row)}{turned}."
