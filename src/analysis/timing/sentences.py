"""How are waits said? Rates with their n and interval, times as people say them, the caveats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd

from analysis.core.result import small
from analysis.core.schema import ALL, US_PER_DAY, human_duration
from analysis.core.wording import UNDEFINED, count, group_name, label, listed, percent
from analysis.statistics.rates import Interval
from analysis.statistics.survival import LogRank, Points, Steps
from analysis.timing.waits import Waits

_MOST_SAID: Final = 6


def curve_sentence(
    steps: Steps, final: Points, median: Interval, *, place: str, horizon_us: int
) -> str:
    """The rate at the end of the horizon and the median wait of those who convert.

    Parameters
    ----------
    final : the curve at the end of the horizon, or where it ends before. median : days.
    place : from where to where.
    """
    seen = int(steps.events.sum())
    if not steps.n:
        return f"Nobody, or too few people to show, started: there is no wait to tell ({place})."
    if np.isnan(final.rate[0]):
        return f"{_users(steps.n)} started, and no rate can be told ({place}): see the notes."
    end = min(horizon_us, steps.reach) if steps.survival[-1:].sum() or not seen else horizon_us
    text = (
        f"{rate_in_words(final.rate[0], final.low[0], final.high[0], steps.n)} get {place} within "
        f"{human_duration(end)}; conversions seen so far: {count(seen)}."
    )
    if np.isnan(median.estimate):
        return text
    return f"{text} Half of those who convert do so within {days_in_words(*median)}."


def rate_in_words(rate: float, low: float, high: float, n: int) -> str:
    """A rate with its n and interval.

    Examples
    --------
    >>> rate_in_words(0.081, 0.077, 0.085, 20000)
    '8.1% of 20,000 users (95% interval 7.7% to 8.5%)'
    """
    return f"{percent(rate)} of {_users(n)} (95% interval {percent(low)} to {percent(high)})"


def _users(n: int) -> str:
    return "1 user" if n == 1 else f"{count(n)} users"


def days_in_words(days: float, low: float, high: float) -> str:
    """A time in days with its interval; a limit that was not reached is open.

    Examples
    --------
    >>> days_in_words(2.0, 1.5, 3.0), days_in_words(2.0, 1.5, float("nan"))
    ('2 days (95% interval 36 h to 3 days)', '2 days (95% interval from 36 h, open above)')
    """
    sentences = [
        human_duration(value * US_PER_DAY) for value in (days, low, high) if value == value
    ]
    if np.isnan(days):
        return UNDEFINED
    if np.isnan(low):
        return f"{sentences[0]} (too few for an interval)"
    if np.isnan(high):
        return f"{sentences[0]} (95% interval from {sentences[1]}, open above)"
    return f"{sentences[0]} (95% interval {sentences[1]} to {sentences[2]})"


def from_to(start: str | None, macro: str) -> str:
    """From where to where the wait goes.

    Examples
    --------
    >>> from_to("view_item", "purchase"), from_to(None, "purchase")
    ('from View item to Purchase', 'from their first event to Purchase')
    """
    return f"from {'their first event' if start is None else label(start)} to {label(macro)}"


def groups_sentence(names: Sequence[object], finals: Sequence[Points], sizes: Sequence[int]) -> str:
    """The rates of the groups, side by side.

    Examples
    --------
    >>> final = Points(*(np.array([value]) for value in (0.1, 0.08, 0.12, 50, 90)))
    >>> groups_sentence(["mobile"], [final], [900])
    'mobile: 10.0% of 900 users (95% interval 8.0% to 12.0%).'
    """
    sentences = [
        f"{group_name(name)}: {_group_rate(final, n)}"
        for name, final, n in zip(names, finals, sizes, strict=True)
    ]
    return "; ".join(sentences[:_MOST_SAID]) + "."


def _group_rate(final: Points, n: int) -> str:
    if np.isnan(final.rate[0]):
        return f"no rate to tell of {_users(n)}"
    return rate_in_words(final.rate[0], final.low[0], final.high[0], n)


def logrank_sentence(test: LogRank, names: Sequence[object]) -> str:
    """What the log-rank test says of the groups.

    Examples
    --------
    >>> logrank_sentence(LogRank(10.33, 1, 0.0013), ["mobile", "desktop"])
    'The curves of mobile and desktop differ beyond chance (log-rank test, p = 0.0013).'
    """
    groups = listed([group_name(name) for name in names])
    if np.isnan(test.p_value):
        return f"Whether {groups} differ cannot be tested: too few of them convert."
    p = "p < 0.0001" if test.p_value < 0.0001 else f"p = {test.p_value:.2g}"
    if test.p_value > 0.05:
        return f"The curves of {groups} do not differ beyond chance (log-rank test, {p})."
    return f"The curves of {groups} differ beyond chance (log-rank test, {p})."


def readable_rates(table: pd.DataFrame) -> pd.DataFrame:
    """Rates after some times as text, a row per group and time.

    Examples
    --------
    >>> table = pd.DataFrame({"group": "all", "elapsed_days": [7.0], "rate": [0.081],
    ...     "low": [0.077], "high": [0.085], "at_risk": [9000], "n": [20000]})
    >>> readable_rates(table).loc["7 days"].to_list()
    ['8.1% of 20,000', '7.7% to 8.5%', '9,000']
    """
    shown = pd.DataFrame(
        {
            "group": [group_name(name) for name in table["group"]],
            "after": [human_duration(days * US_PER_DAY) for days in table["elapsed_days"]],
            "have converted": [
                UNDEFINED if np.isnan(rate) else f"{percent(rate)} of {count(n)}"
                for rate, n in zip(table["rate"], table["n"], strict=True)
            ],
            "95 % interval": [
                UNDEFINED if np.isnan(low) else f"{percent(low)} to {percent(high)}"
                for low, high in zip(table["low"], table["high"], strict=True)
            ],
            "still at risk": [count(number) for number in table["at_risk"]],
        },
        dtype=str,
    )
    if set(table["group"]) <= {ALL}:
        return shown.drop(columns="group").set_index("after")
    return shown.set_index(["group", "after"])


def caveats(
    waits: Waits,
    curves: Sequence[Steps],
    *,
    macro: str,
    known: bool,
    horizon_us: int,
    min_cell: int = 1,
) -> list[str]:
    """What must be said with every answer about waits.

    Parameters
    ----------
    curves : of all groups. known : whether the log has the macro at all.
    """
    within = human_duration(horizon_us)
    notes = [waits.burn_in.note] if waits.burn_in.note else []
    if waits.hidden:
        groups = "group" if waits.hidden == 1 else "groups"
        notes.append(f"{waits.hidden} {groups} of too few users to show left out.")
    if not len(waits.wait_us):
        return [*notes, "No user started: every rate and time is undefined (NaN)."]
    if not known:
        notes.append(
            f"{label(macro)} ({macro}) is never in this log, so its rate is undefined (NaN) and "
            "not 0: is it recorded?"
        )
        return notes
    if any(small(steps.events.sum(), min_cell) for steps in curves):
        notes.append(f"Times of fewer than {min_cell} people who convert are hidden (NaN).")
    young = int((~waits.mature(horizon_us) & ~waits.converted).sum())
    longest = int(waits.followed_us.max())
    if longest < horizon_us:
        notes.append(
            f"The log follows nobody for {within}, at most for {human_duration(longest)}: what "
            "comes later is undefined (NaN)."
        )
    elif young:
        notes.append(
            f"{count(young)} of {count(len(waits.wait_us))} users entered less than {within} "
            "before the log ends and have not converted yet. They count for as long as they were "
            "followed; after that they are taken to go on like those who entered before them."
        )
        notes += _ended_early(waits, curves, horizon_us)
    if len(waits.names) > 1:
        notes.append(
            "Groups differ in who is in them: that one is quicker does not say that being in it "
            "makes anybody quicker."
        )
    return notes


def _ended_early(waits: Waits, curves: Sequence[Steps], horizon_us: int) -> list[str]:
    """Groups of which nobody was followed to the end of the horizon."""
    ended = [
        f"{group_name(name)} ({human_duration(steps.reach)})"
        for name, steps in zip(waits.names, curves, strict=True)
        if steps.reach < horizon_us and not (len(steps.survival) and steps.survival[-1] == 0)
    ]
    if not ended:
        return []
    return [f"Not followed to the end, so the rate there is undefined (NaN): {listed(ended)}."]


def undefined_times(table: pd.DataFrame) -> list[str]:
    """Why some times or limits in a table of quantiles are NaN."""
    sentences = []
    missing = table[table["days"].isna()]
    if (missing["of"] == "everyone").any():
        sentences.append(
            "A share of everyone that was not reached within the horizon has no time (NaN)."
        )
    if (missing["of"] == "converters").any():
        sentences.append(
            "Where nobody, or too few to show, converted, or nobody was followed to the end of "
            "the horizon, converters have no times (NaN)."
        )
    if (table["days"].notna() & table["days_low"].isna()).any():
        sentences.append("Times of fewer than 6 conversions have no interval (NaN).")
    if (table["days_low"].notna() & table["days_high"].isna()).any():
        sentences.append("An upper limit that was not reached is open (NaN).")
    return sentences
