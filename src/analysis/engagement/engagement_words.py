"""What the levels and the table of engagement say in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from analysis.core.schema import timestamp
from analysis.core.wording import count, share
from analysis.statistics.rates import LEVELS
from analysis.statistics.stats import wilson

_NOT_CAUSED = (
    "A trend says who does it, not what it does: it makes nobody engaged, and engagement does not "
    "make anybody do it."
)


_PATH = (
    "Milestones come one after the other, so a score that leaves out one still holds the others: "
    "their trends are in part true by construction."
)


def score_table(users: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    """A row per level: its scores, its people and their medians; what is about few is NaN."""
    numbers = ["recency_days", "sessions", "depth", "diversity"]
    n = len(users)
    rows = []
    for level in LEVELS:
        own = users[users["level"] == level]
        known = len(own) > 0
        ends = [own["score"].min(), own["score"].max()] if known else [np.nan] * 2
        middle = [float(own[name].median()) if known else np.nan for name in numbers]
        rows.append([level, *ends, len(own), n, len(own) / n if n else np.nan, *middle])
    names = ["level", "score_low", "score_high", "k", "n", "rate", *numbers]
    table = pd.DataFrame(rows, columns=names)
    low, high = wilson(table["k"], table["n"])
    table.insert(6, "low", low)
    table.insert(7, "high", high)
    few = table["k"].between(1, min_cell - 1)
    if few.any():
        shown = [*names[1:4], "rate", "low", "high", *numbers]
        table[shown] = table[shown].astype(float).mask(few)
    return table


def readable_rows(table: pd.DataFrame, trends: pd.DataFrame, *, min_cell: int) -> pd.DataFrame:
    """The table for people: a row per event, a column per level, everything as text.

    Examples
    --------
    >>> rows = pd.DataFrame({
    ...     "event": "share", "level": ["low", "medium", "high"], "per_100": [2.0, 3.0, 6.0],
    ...     "low": [1.5, 2.5, 5.0], "high": [2.5, 3.5, 7.0], "k": 10, "n": 40, "share": 0.25})
    >>> found = readable_rows(rows, pd.DataFrame({
    ...     "event": ["share"], "label": "Shared", "unit": "sessions", "trend": "rises",
    ...     "share_trend": "unclear"}), min_cell=5)
    >>> found.iloc[0].to_list()[2:5]
    ['6.0 (5.0 to 7.0)', 'rises', '25.0% (10 of 40)']
    """
    few = f"fewer than {min_cell} people"
    cells: dict[str, list[str]] = {}
    for row in table.to_dict("records"):
        interval = f"{row['low']:.1f} to {row['high']:.1f}"
        rate = "n/a" if np.isnan(row["per_100"]) else f"{row['per_100']:.1f} ({interval})"
        hidden = np.isnan(row["k"])
        own = cells.setdefault(row["event"], [])
        own.append(few if hidden else rate)
        own.append(few if hidden else share(row["k"], row["n"], row["share"]))
    rows = [
        [*cells[row["event"]][::2], row["trend"], *cells[row["event"]][1::4], row["share_trend"]]
        for row in trends.to_dict("records")
    ]
    names = [f"{level}, per 100" for level in LEVELS]
    names += ["rate", "did it, low", "did it, high", "share"]
    titles = [f"{row['label']} ({row['unit']})" for row in trends.to_dict("records")]
    return pd.DataFrame(rows, pd.Index(titles, name="event"), names, dtype=str)


def table_sentence(table: pd.DataFrame, trends: pd.DataFrame) -> str:
    """How many micro conversions rise per session, and the one that does most."""
    own = trends[trends["role"].isin(["milestone", "secondary"])]
    up = own[own["trend"] == "rises"]
    said = (
        f"{count(len(up))} of {count(len(own))} micro conversions are done clearly more often per "
        "session by people who are more engaged in all else"
    )
    known = up[up["ratio"].notna()]
    if not len(known):
        return f"{said}."
    top = known.iloc[int(known["ratio"].to_numpy().argmax())]
    levels = table[table["event"] == top["event"]].set_index("level")
    return (
        f"{said}; the steepest is “{top['label']}”: {_rate(levels.loc['high'])} at the high level "
        f"against {_rate(levels.loc['low'])} at the low one, {top['ratio']:.1f} times as often "
        f"(95% interval {top['ratio_low']:.1f} to {top['ratio_high']:.1f})."
    )


def _rate(row: Any) -> str:
    return (
        f"{row['per_100']:.1f} per 100 sessions ({count(row['events'])} in "
        f"{count(row['trials'])} sessions of {count(row['n'])} people)"
    )


def table_warnings(
    trends: pd.DataFrame, *, hidden: int, unplaced: int, min_cell: int
) -> tuple[str, ...]:
    """What must be known to read the table."""
    said = [_NOT_CAUSED, _shares(trends)]
    controls = trends[trends["role"] == "control"]
    if len(controls):
        k = int((controls["trend"] == "rises").sum())
        said.append(
            f"Of {count(len(controls))} controls, which cannot do anything, {count(k)} rise per "
            "session too: "
            + (
                "active people do more of everything, also within a session, so a rise by itself "
                f"says nothing of an action. Compare it with theirs{_range(controls['ratio'])}."
                if k
                else "a rise of an action is more than being active."
            )
        )
    if (trends["role"] == "milestone").any():
        said.append(_PATH)
    if hidden:
        said.append(f"{count(hidden)} rows of fewer than {min_cell} people are hidden.")
    if unplaced:
        said.append(
            f"Up to {count(unplaced)} people did nothing but the row's own event, and are not in "
            "that row."
        )
    return tuple(said)


def period_note(period: tuple[int, int] | None) -> str:
    """Which sessions were counted; None: those that the levels were made of."""
    if period is None:
        return (
            "The sessions counted are those that made the levels: whoever stayed long in one did "
            "more of everything in it. until=... counts those that came after."
        )
    start, end = (timestamp(instant) for instant in period)
    return (
        f"The levels are as of {start:%Y-%m-%d %H:%M} UTC, the sessions counted those from then "
        f"until {end:%Y-%m-%d %H:%M}: what made the levels is not counted."
    )


def _range(ratios: pd.Series) -> str:
    if not ratios.notna().any():
        return ""
    return f", from {ratios.min():.1f} to {ratios.max():.1f} times as often at high as at low"


def _shares(trends: pd.DataFrame) -> str:
    k = int((trends["share_trend"] == "rises").sum())
    flat = int(((trends["share_trend"] == "rises") & (trends["trend"] == "unclear")).sum())
    said = (
        f"The share of people who ever did it rises with engagement in {count(k)} of "
        f"{count(len(trends))} rows: who comes more often has more chances. Read the rate"
    )
    return said + (f"; in {count(flat)} of these rows it shows no trend." if flat else ".")
