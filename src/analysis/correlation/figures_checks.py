"""Can the groups be compared at all? Their chances to have done it, one group up, one down."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.wording import UNDEFINED, count
from analysis.plotting.theme import INK, PALETTE, empty, finished, plain, records, safe, safe_lines

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
