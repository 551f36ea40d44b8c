"""What is said of contents and channels: which one leads, against what, and with what caution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.pooling import Pooled
from analysis.schema import duration_us, human_duration
from analysis.wording import count, label, percent, share

FEW_VALUES = 8
_NOT_CAUSED = (
    "People chose what they saw: a high rate says who comes by, not what it does to them. Only an "
    "experiment tells that."
)


def content_sentence(
    table: pd.DataFrame, everybody: pd.Series, typical: Pooled, asked: Mapping[str, Any]
) -> str:
    """After which value people converted most often, and how many stand out."""
    after = f"within {human_duration(duration_us(asked['window']))}"
    did, name = label(asked["to"]), label(asked["property"]).lower()
    who = "came with" if asked["touch"] == "first" else "saw"
    if not everybody["n"]:
        return f"Nobody who {who} a {name} could be followed for the whole window."
    base = (
        f"{share(everybody['k'], everybody['n'], everybody['rate'])} of the people who {who} any "
        f"{name} did “{did}” {after} (95% interval {percent(everybody['low'])} to "
        f"{percent(everybody['high'])})"
    )
    known = table[table["pooled"].notna()]
    if not len(known):
        return f"{base}; there is too little of any one to tell them apart."
    up, down = ((known["verdict"] == verdict).sum() for verdict in ("more", "less"))
    top = known.iloc[0]
    most = (
        f"most often after “{top['value']}”: {_pooled(top)}, against {percent(typical.typical)} "
        f"for a typical one (95% interval {percent(typical.typical_low)} to "
        f"{percent(typical.typical_high)}){_macro(top, asked)}"
    )
    return (
        f"{base}, {most}. Clearly above a typical one: {count(up)} of {count(len(known))}; "
        f"below: {count(down)}."
    )


def _pooled(top: pd.Series) -> str:
    return (
        f"pooled {percent(top['pooled'])} (95% interval {percent(top['pooled_low'])} to "
        f"{percent(top['pooled_high'])}; counted {share(top['k'], top['n'], top['rate'])})"
    )


def _macro(top: pd.Series, asked: Mapping[str, Any]) -> str:
    if asked["macro"] == asked["to"]:
        return ""
    what = f"“{label(asked['macro'])}”"
    if pd.isna(top["macro_rate"]):
        return f"; too few of them did {what} to show"
    return (
        f"; {share(top['macro_k'], top['n'], top['macro_rate'])} of them did {what} in that time "
        f"(95% interval {percent(top['macro_low'])} to {percent(top['macro_high'])})"
    )


def content_warnings(
    table: pd.DataFrame, everybody: pd.Series, first: bool, *, hidden: int, min_cell: int
) -> tuple[str, ...]:
    """What must be known to read the table."""
    said = [_NOT_CAUSED]
    if not first:
        said.append("A person counts under every value seen, so the rows overlap.")
    if everybody["open"]:
        said.append(
            f"{count(everybody['open'])} people came too lately to be followed for the whole "
            "window: they are in no rate."
        )
    if 1 < len(table) < FEW_VALUES:
        said.append(
            f"With {count(len(table))} values it is hardly known how different they are, so the "
            "intervals are wide."
        )
    if hidden:
        said.append(f"Hidden, of fewer than {min_cell} people: {count(hidden)} values.")
    return tuple(said)
