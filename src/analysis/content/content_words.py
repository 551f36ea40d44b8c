"""What is said of contents and channels: which one leads, against what, and with what caution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from analysis.core.schema import duration_us, human_duration
from analysis.core.wording import count, label, percent, share
from analysis.statistics.pooling import Pooled

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


def readable_contents(table: pd.DataFrame, *, most: int) -> pd.DataFrame:
    """The first rows for people, as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "value": ["/a"], "k": [20], "n": [100], "rate": [0.2], "pooled": [0.18],
    ...     "pooled_low": [0.12], "pooled_high": [0.25], "verdict": ["more"], "macro_k": [10],
    ...     "macro_rate": [0.1]})
    >>> readable_contents(rows, most=5).iloc[0].to_list()
    ['18.0% (12.0% to 25.0%)', '20.0% (20 of 100)', 'more', '10.0% (10 of 100)']
    """
    few = "too few people to show"
    rows = []
    for row in table.head(most).to_dict("records"):
        ends = f"{percent(row['pooled_low'])} to {percent(row['pooled_high'])}"
        macro = few
        if pd.notna(row["macro_rate"]):
            macro = share(row["macro_k"], row["n"], row["macro_rate"])
        counted = [few, few, "unclear", few]
        if pd.notna(row["pooled"]):
            many = share(row["k"], row["n"], row["rate"])
            counted = [f"{percent(row['pooled'])} ({ends})", many, row["verdict"], macro]
        rows.append([str(row["value"]), *counted])
    names = ["value", "pooled (95 % interval)", "counted", "than a typical one", "macro conversion"]
    return pd.DataFrame(rows, columns=names, dtype=str).set_index("value")


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
