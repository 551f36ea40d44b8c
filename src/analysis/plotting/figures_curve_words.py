"""What a conversion curve says: in the hover of its steps, and to those who cannot see it."""

from __future__ import annotations

from typing import Any

import pandas as pd

from analysis.core.schema import ALL, US_PER_DAY, human_duration
from analysis.core.wording import UNDEFINED, count, group_name, percent


def _elapsed(days: float) -> str:
    return human_duration(days * US_PER_DAY)


def step_told(row: Any) -> list[str]:
    """Lines for the hover of one step: the rate with its n and interval, and who is at risk."""
    head = f"after {_elapsed(row.elapsed_days)}"
    return [
        head if row.group == ALL else f"{group_name(row.group)}, {head}",
        f"{percent(row.rate)} of {count(row.n)} users converted",
        f"95% interval {percent(row.low)} to {percent(row.high)}",
        f"seen: {count(row.converted)} conversions",
        f"at risk: {count(row.at_risk)}; the log follows {count(row.followed)} so long",
    ]


def curve_said(own: pd.DataFrame, group: Any) -> str:
    """Where a group's curve ends, as a sentence."""
    known = own[own["rate"].notna()]
    name = "" if group == ALL else f"{group_name(group)}: "
    if not len(known):
        return f"{name}no rate to show."
    row = known.iloc[-1]
    said = (
        f"after {_elapsed(row['elapsed_days'])} {percent(row['rate'])} of {count(row['n'])} users "
        f"have converted (95% interval {percent(row['low'])} to {percent(row['high'])}); "
        f"{count(row['at_risk'])} were at risk."
    )
    return f"{name}{said}" if name else said[0].upper() + said[1:]


def median_row(medians: pd.DataFrame | None, group: Any) -> pd.Series | None:
    """The row on a group's median, where there is one."""
    if medians is None:
        return None
    own = medians[(medians["group"] == group) & medians["days"].notna()]
    return own.iloc[0] if len(own) else None


def median_told(row: pd.Series) -> list[str]:
    """Lines for the hover of a median: the time with its interval and the conversions.

    Examples
    --------
    >>> row = pd.Series({"group": "all", "days": 3.0, "days_low": 2.0, "days_high": 4.0,
    ...                  "converted": 90})
    >>> median_told(row)[1:]
    ['within 3 days', '95% interval 2 days to 4 days', '90 conversions']
    """
    head = "half of those who convert"
    low, high = (UNDEFINED if v != v else _elapsed(v) for v in (row["days_low"], row["days_high"]))
    return [
        head if row["group"] == ALL else f"{group_name(row['group'])}, {head}",
        f"within {_elapsed(row['days'])}",
        f"95% interval {low} to {high}",
        f"{count(row['converted'])} conversions",
    ]


def median_said(medians: pd.DataFrame | None, group: Any) -> str:
    """A group's median as a sentence with a leading space; nothing where there is none."""
    row = median_row(medians, group)
    if row is None:
        return ""
    _, *said = median_told(row)
    return f" Half of those who convert: {', '.join(said)}."
