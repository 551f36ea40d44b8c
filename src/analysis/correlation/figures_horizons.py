"""The same question over several horizons, and for the value: ratios under each event."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import with_interval
from analysis.core.wording import count
from analysis.plotting.intervals import Block, Mark, Row, clear_of_one, forest, numbers
from analysis.plotting.theme import PALETTE, TOO_FEW, records

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
        said.append(f"{own[0].label}: {'; '.join(_said(row) for row in own)}.")
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


def _said(row: Any) -> str:
    return f"{row.measure}, {_what(row)}, {_of(row)}"
