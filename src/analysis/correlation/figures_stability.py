"""Does an association hold in every group? Odds ratios by group, under a heading per dimension."""

from __future__ import annotations

from typing import Any

import pandas as pd
import plotly.graph_objects as go

from analysis.core.ratio_words import chance, with_interval
from analysis.core.schema import ALL
from analysis.core.wording import count, group_name
from analysis.plotting.intervals import Block, Mark, Row, clear_of_one, forest, numbers
from analysis.plotting.theme import DOWN, PALETTE, REST, TOO_FEW, records

_AXIS = "← fewer · adjusted odds ratio · more →"


_MOST = 14


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
        own = own.tail(_MOST) if name in ("day", "week", "month") else own.head(_MOST)
        shown = records(own)
        blocks.append(Block(_heading(name, dimensions), [_row(row) for row in shown]))
        said += [_said(row) for row in shown]
    nothing = "There is no odds ratio to show: too few conversions."
    return forest(blocks, axis=_AXIS, alt=" ".join(said), title=title, nothing=nothing)


def _heading(name: str, dimensions: pd.DataFrame) -> str:
    if name == ALL:
        return "Everybody"
    rows = dimensions[dimensions["dimension"] == name]
    p = float(rows["p_value"].iloc[0]) if rows["p_value"].notna().any() else None
    return name if p is None else f"{name} · do they differ? p = {chance(p)}"


def _row(row: Any) -> Row:
    color = DOWN if row.flips else PALETTE[0] if row.enough else REST
    filled = clear_of_one(row.low, row.high) and bool(row.enough)
    mark = Mark(row.odds_ratio, row.low, row.high, color, _told(row), filled)
    name = "" if row.dimension == ALL else group_name(row.group)
    return Row(name, [mark], numbers(row.odds_ratio, row.low, row.high))


def _name(row: Any) -> str:
    return "Everybody" if row.dimension == ALL else f"{row.dimension}, {group_name(row.group)}"


def _ratio(row: Any) -> str:
    if row.odds_ratio != row.odds_ratio:
        return "too few conversions for an odds ratio"
    return with_interval(row.odds_ratio, row.low, row.high)


def _of(row: Any) -> str:
    if pd.isna(row.exposed_macros):
        return TOO_FEW
    return f"{count(row.exposed_macros)} of {count(row.macros)} conversions after it"


def _told(row: Any) -> list[str]:
    lines = [_name(row), _ratio(row), _of(row)]
    if not row.enough:
        lines.append("too few to be compared")
    return [*lines, "points the other way than everybody"] if row.flips else lines


def _said(row: Any) -> str:
    turned = ", the other way round" if row.flips else ""
    return f"{_name(row)}: {_ratio(row)}, {_of(row)}{turned}."
