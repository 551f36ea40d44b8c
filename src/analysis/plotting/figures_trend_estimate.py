"""The estimate of a rate that is not final yet, as a diamond beside the rate so far."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.schema import US_PER_SECOND, human_duration
from analysis.core.wording import count, days, percent
from analysis.plotting.theme import INK, PALETTE, plain, records, safe, safe_lines

_NUMBERS = ["km_rate", "km_low", "km_high", "km_so_far", "km_so_far_low", "km_so_far_high"]


_BESIDE = 0.2


_COLOR = PALETTE[5]


def estimates(table: pd.DataFrame) -> pd.DataFrame:
    """The table with its columns of estimates, empty where it has none.

    Examples
    --------
    >>> estimates(pd.DataFrame({"rate": [0.2]}))[["rate", "km_rate"]]
       rate  km_rate
    0   0.2      NaN
    """
    missing = [name for name in [*_NUMBERS, "km_seconds"] if name not in table]
    return table.assign(**dict.fromkeys(missing, float("nan")))


def estimate_traces(table: pd.DataFrame, labelled: set[int]) -> list[Any]:
    """A diamond with its interval for each period that has an estimate.

    A full one is the estimate of the final rate; an open one that of the rate within the time
    that anybody was watched, which can only rise.

    Parameters
    ----------
    table : with the columns of `estimates`. labelled : the rows whose number is written.
    """
    known = table[table["km_so_far"].notna()]
    if not len(known):
        return []
    rate = known["km_so_far"]
    final = known["km_rate"].notna()
    words = [f"&nbsp;&nbsp;{safe(percent(r))}" if i in labelled else "" for i, r in rate.items()]
    told = [safe_lines([days(r.start, r.end), *estimate_told(r)]) for r in records(known)]
    return [
        go.Scatter(
            x=[i + _BESIDE for i in known.index],
            y=plain(rate),
            mode="markers+text",
            marker={
                "symbol": ["diamond" if own else "diamond-open" for own in final],
                "size": 10,
                "opacity": 1,
                "color": _COLOR,
                "line": {"width": 2, "color": _COLOR},
            },
            error_y={
                "type": "data",
                "symmetric": False,
                "array": plain(known["km_so_far_high"] - rate),
                "arrayminus": plain(rate - known["km_so_far_low"]),
                "color": _COLOR,
                "thickness": 1.4,
                "width": 4,
            },
            text=words,
            textposition="middle right",
            textfont={"size": 12, "color": INK},
            hovertext=told,
            hoverinfo="text",
            cliponaxis=False,
        )
    ]


def estimate_key(table: pd.DataFrame) -> list[dict[str, Any]]:
    """What the diamonds are, where there are any."""
    drawn = table[table["km_so_far"].notna()]
    if not len(drawn):
        return []
    whole = drawn["km_rate"].notna()
    said = "◆ Kaplan-Meier estimate of the final rate" if whole.any() else ""
    if not whole.all():
        said = f"{said}, ◇ so far" if said else "◇ Kaplan-Meier estimate so far"
    place = {"x": 0, "xref": "paper", "xanchor": "left", "y": 1, "yref": "paper"}
    return [place | {"yanchor": "bottom", "showarrow": False, "text": said, "font": {"size": 12}}]


def estimate_told(row: Any) -> list[str]:
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
