"""How a comparison of two periods is said: a headline for people who read no tables.

The rate comes first, with its count; then the change, with its interval, or that there is no
clear one; then where it happened, but only where that is clear of chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pandas as pd

from analysis.core.period_bounds import Period
from analysis.core.schema import ALL, human_duration, instant_us, timestamp
from analysis.core.wording import count, day, group_name, label, percent, points

if TYPE_CHECKING:
    from analysis.funnels.period_result import PeriodResult


def sentences(result: PeriodResult) -> list[str]:
    """The rate and its change; then, where more than one rate was compared, the place."""
    entered, _ = result.entered
    if not entered:
        few = "Nobody, or too few people to show,"
        return [f"{few} entered the funnel from {result.period.name}: there is no rate to tell."]
    row = result.overall
    if pd.isna(row["rate"]):
        return [_no_rate(result, entered)]
    said = [_final(result, entered) + _rate_and_change(result, row)]
    if len(result.steps) > 2 or result.has_groups:
        said.append(_where(result))
    return [part for part in said if part]


def _no_rate(result: PeriodResult, entered: float) -> str:
    first = f"{count(entered)} users did {_named(result.steps[0].name)} from {result.period.name}"
    if result.mature == 0:
        final = day(_final_at(result), year=True)
        return (
            f"{first}. None of their windows of {human_duration(result.window_us)} is over yet, "
            f"so there is no rate to tell; it is final on {final}."
        )
    few = int(result.parameters["min_cell"])
    last = _named(result.steps[-1].name)
    return f"{first}; fewer than {few} of them reached {last}, too few to show a rate."


def _final_at(result: PeriodResult) -> pd.Timestamp:
    end = timestamp(instant_us(result.period.end) + result.window_us)
    return end.tz_convert(result.period.time_zone)


def _final(result: PeriodResult, entered: float) -> str:
    if not entered > result.mature and result.is_over:
        return ""
    return (
        f"Not final before {day(_final_at(result))}: {count(result.mature)} of {count(entered)} "
        "users have had their whole window so far. "
    )


def _rate_and_change(result: PeriodResult, row: pd.Series) -> str:
    before = before_words(result.period, result.previous)
    first, last = (_named(result.steps[i].name) for i in (0, -1))
    if len(result.steps) == 1:
        was = count(row["previous_n"]) if row["previous_n"] > 0 else "nobody, or too few to show,"
        return f"{count(row['n'])} users did {first}; {was} did in {before}."
    said = (
        f"{percent(row['rate'])} of {count(row['n'])} users went from {first} to {last} within "
        f"{human_duration(result.window_us)}"
    )
    if pd.isna(row["change"]):
        interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
        return f"{said} ({interval}). There is no rate of {before} to compare with."
    interval = f"95% interval {points(row['change_low'])} to {points(row['change_high'])} points"
    if row["clear"]:
        more = "more" if row["change"] > 0 else "less"
        size = points(row["change"], signed=False)
        return f"{said}, {size} points {more} than {before} ({interval})."
    was = f"{percent(row['previous'])} of {count(row['previous_n'])}"
    change = f"{points(row['change'])} points, {interval}"
    return f"{said}: no clear change against {before} ({was}; {change})."


def before_words(period: Period, previous: Period) -> str:
    """``the week before``, or the days where it is not directly before."""
    if previous.end == period.start and previous.noun == period.noun:
        return f"the {period.noun} before"
    return f"the time from {previous.name}"


def _where(result: PeriodResult) -> str:
    table = result.table[(result.table["basis"] == "step") & result.table["p_value"].notna()]
    if not len(table):
        return ""
    best = table.sort_values(["p_value", "step"], kind="stable").iloc[0]
    if best["clear"]:
        return _clearest(result, best, int(table["clear"].sum()), len(table))
    groups = (result.has_groups and " or group") or ""
    return (
        f"No single step{groups} stands out: the largest difference, {_place(result, best)} "
        f"({_instead(best)}), is within what chance gives among {len(table)} comparisons."
    )


def _clearest(result: PeriodResult, best: pd.Series, clear: int, compared: int) -> str:
    where = f"{_place(result, best)}: {_instead(best)}."
    turn, turned = ("rise", "rose") if best["change"] > 0 else ("fall", "fell")
    if result.overall["clear"]:
        return f"The clearest {turn} is {where}"
    if clear == 1:
        return f"But one of the {compared} rates that were compared clearly {turned}, {where}"
    changed = f"{clear} of the {compared} rates that were compared changed clearly"
    return f"But {changed}; the clearest {turn} is {where}"


def _place(result: PeriodResult, row: pd.Series) -> str:
    way = f"from {_named(row['from_event'])} to {_named(row['event'])}"
    if row["group"] == ALL:
        return way
    by = result.parameters["by"]
    names = by if isinstance(by, str) else " and ".join(by)
    return f"{way} for {names} “{group_name(row['group'])}”"


def _instead(row: pd.Series) -> str:
    return (
        f"{percent(row['rate'])} of {count(row['n'])} instead of "
        f"{percent(row['previous'])} of {count(row['previous_n'])}"
    )


def _named(name: Any) -> str:
    return f"“{label(name)}”"


def not_over(period: Period, until: pd.Timestamp) -> str:
    """The caveat of a period that is still running."""
    covered = until.tz_convert(period.time_zone)
    return (
        f"The log is complete up to {day(covered, year=True)} {covered:%H:%M} only: the period "
        f"{period.name} is not over, and fewer people than in a whole one are in it."
    )


def begins_late(before: Period, start: pd.Timestamp) -> str:
    """The caveat of a comparison with a period that the log does not hold whole."""
    first = day(start.tz_convert(before.time_zone), year=True)
    return (
        f"The log begins on {first}, so the period it is compared with ({before.name}) is not "
        "in it, or not whole: read the change with care."
    )


def in_both(both: int, entered: int, min_cell: int) -> str:
    """The caveat of people who are in both samples."""
    people = f"Fewer than {min_cell}" if both < min_cell else count(both)
    return (
        f"{people} of {count(entered)} users entered in both periods. The intervals take the "
        "periods as independent; where the same people behave alike in both, they are too wide."
    )


def hidden(groups: int, cells: int, min_cell: int) -> list[str]:
    """What was left out because it is about too few people."""
    said = []
    if groups:
        what = "group" if groups == 1 else "groups"
        said.append(f"{count(groups)} {what} of fewer than {min_cell} users left out.")
    if cells:
        what = "step count" if cells == 1 else "step counts"
        said.append(f"{count(cells)} {what} of fewer than {min_cell} users hidden.")
    return said
