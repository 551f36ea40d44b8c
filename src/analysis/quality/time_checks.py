"""Do the days hold as many events as such days should?

A day is held against the same weekday of up to four weeks before and after, by the median, so
that neither growth, nor the weekday, nor another odd day makes it look odd. Its distance is
measured on the logarithm in robust standard deviations of all such distances, but is never more
than it would be if people came by chance (on the square root, Anscombe 1948, *Biometrika* 35:246).
One person's events come together, so chance scatters more than a Poisson count of events does: the
variance is the count times the mean square of a person's events of a day, over their mean.

A lasting shift moves those medians along and hides. So each week is also held against the week
before it, weekday by weekday, again by the median: one odd day moves that little, a shift fully.

The first week is held against nothing, and the second not against it: a log that begins with new
people fills up at first, and where in its first day it begins nobody knows.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.wording import count, day, percent
from analysis.quality.quality_words import (
    FAIL,
    PASS,
    WARN,
    Finding,
    Limits,
    not_applicable,
    verdict_of,
)
from analysis.quality.scan import Counts, Days

ALL_EVENTS = "all events"


_WEEKS = 4


_FEWEST_DAYS = 21


_FEWEST_EVENTS = 30


_TO_SIGMA = 1.4826  # the MAD of a normal distribution, upside down


_MEDIAN_OF_7 = 1.21  # standard error of a median of seven, against that of their mean


_YOUNG = 7


_MOST = 6


class _Series(NamedTuple):
    expected: np.ndarray
    z: np.ndarray
    ratio: np.ndarray


def volume(
    counts: Counts, days: Days, names: tuple[str, ...], limits: Limits
) -> tuple[Finding, Finding, pd.DataFrame]:
    """Days and weeks whose volume is far off; and whether the last day is complete.

    Returns
    -------
    Both findings, and a row per series and day: ``series, date, count, expected, ratio, z, odd``
    (whether the day is), ``shift`` (whether a lasting change begins there).
    """
    total = counts.daily.sum(axis=0)
    judged = len(days) - (0 if days.last_whole else 1)
    if judged < _FEWEST_DAYS:
        why = f"A weekday's pattern takes {_FEWEST_DAYS} whole days; the log has {max(judged, 0)}."
        last = not_applicable("last day", why)
        return not_applicable("daily volume", why), last, _table([], days)
    parts = []
    series = np.vstack([total, counts.daily])[:, :judged]
    squares = np.roll(counts.squares, 1)
    for name, own, square in zip((ALL_EVENTS, *names), series, squares, strict=True):
        if name == ALL_EVENTS or np.median(own) >= _FEWEST_EVENTS:
            clumps = max(float(square / max(own.sum(), 1)), 1.0)
            parts.append(_judged(name, own, days, limits, clumps))
    table = _table(parts, days)
    return _breaks(table, judged, limits), _last_day(parts[0], days, limits), table


def _judged(name: str, own: np.ndarray, days: Days, limits: Limits, clumps: float) -> pd.DataFrame:
    series = _against_weekdays(own, clumps)
    least = np.log(limits.volume_ratio)
    odd = (np.abs(series.z) >= limits.volume_z) & (np.abs(np.log(series.ratio)) >= least)
    odd[:_YOUNG] = False
    odd[-1] = False  # has a check of its own
    shift = np.zeros(len(own), np.bool_)
    cut = _shift(own, limits, clumps)
    if cut:
        shift[cut] = True
    columns = {"count": own, "expected": series.expected, "ratio": series.ratio, "z": series.z}
    frame = pd.DataFrame({"series": name, "date": days.dates[: len(own)], **columns})
    return frame.assign(odd=odd, shift=shift)


def _against_weekdays(own: np.ndarray, clumps: float) -> _Series:
    level = np.log(own + 0.5)
    near = np.full((2 * _WEEKS, len(own)), np.nan)
    for week in range(1, _WEEKS + 1):
        near[2 * week - 2, 7 * week :] = level[: -7 * week] if 7 * week < len(own) else []
        near[2 * week - 1, : -7 * week] = level[7 * week :] if 7 * week < len(own) else []
    usual = np.nanmedian(near, axis=0)
    distance = level - usual
    scatter = _TO_SIGMA * np.median(np.abs(distance - np.median(distance)))
    by_chance = 2 * (np.sqrt(own / clumps) - np.sqrt(np.exp(usual) / clumps))
    z = np.sign(distance) * np.minimum(np.abs(by_chance), np.abs(distance) / max(scatter, 1e-9))
    return _Series(np.exp(usual), z, np.exp(distance))


def _shift(own: np.ndarray, limits: Limits, clumps: float) -> int:
    """The day at which a lasting change begins, or 0."""
    level = np.log(own + 0.5)
    change = level[7:] - level[:-7]
    # Entry c: the week from day c + 7 on against the week before it.
    weeks = np.median(np.lib.stride_tricks.sliding_window_view(change, 7), axis=1)
    weeks = weeks[_YOUNG:-1]
    if not len(weeks):
        return 0
    usual = np.median(weeks)
    scatter = _TO_SIGMA * np.median(np.abs(weeks - usual))
    best = int(np.argmax(np.abs(weeks - usual)))
    size = abs(weeks[best] - usual)
    week = 7 * np.median(own) / clumps
    # Careful: as if the busier of the two weeks were the usual one.
    by_chance = np.sqrt(2 * week) * (1 - np.exp(-size / 2)) / _MEDIAN_OF_7
    far = min(by_chance, size / max(scatter, 1e-9)) >= limits.volume_z
    return best + _YOUNG + 7 if far and size >= np.log(limits.volume_ratio) else 0


def _breaks(table: pd.DataFrame, judged: int, limits: Limits) -> Finding:
    whole = table[table["series"] == ALL_EVENTS]
    k = int(whole["odd"].sum())
    value = k / judged
    limit = (1 / judged, limits.volume_days)
    verdict = verdict_of(value, limit)
    shifts = table[table["shift"]]
    single = table[table["odd"] & (table["series"] != ALL_EVENTS)]
    single = single[~single["date"].isin(whole.loc[whole["odd"], "date"])]
    if verdict == PASS and (len(shifts) or len(single)):
        verdict = WARN
    odd = pd.concat([whole[whole["odd"]], single])
    said = [_odd_day(row) for row in odd.itertuples()]
    said = [_shifted(row) for row in shifts.itertuples()] + said
    if not said:
        finding = f"Each of {count(judged)} days holds about what its weekday usually does."
        advice = ""
    else:
        more = [f"{len(said) - _MOST} more"] if len(said) > _MOST else []
        finding = "; ".join([*said[:_MOST], *more]) + "."
        advice = "Ask what happened: a campaign, a release, a broken tag or a lost file?"
    return Finding("daily volume", verdict, value, limit[0], k, judged, finding, advice)


def _odd_day(row: Any) -> str:
    what = row.series
    many, usual = row.count, row.expected
    when = day(row.date, year=True)
    return f"{when}: {count(many)} of {what}, usual are {count(usual)}"


def _shifted(row: Any) -> str:
    when = day(row.date, year=True)
    return f"{row.series} changed lastingly about {when}"


def _last_day(whole: pd.DataFrame, days: Days, limits: Limits) -> Finding:
    if not days.last_whole:
        return not_applicable("last day", "The log does not claim to cover its last day whole.")
    last = whole.iloc[-1]
    # A log that stops earlier has several empty days at its end.
    few = last["ratio"] <= 1 / limits.volume_ratio and last["z"] <= -limits.volume_z
    share = min(float(last["ratio"]), 1.0)
    said = f"{count(last['count'])} events, usual are {count(last['expected'])}"
    when = day(last["date"], year=True)
    numbers = (1 - share, 1 - 1 / limits.volume_ratio, int(last["count"]), round(last["expected"]))
    if not few:
        return Finding("last day", PASS, *numbers, f"{when} looks complete: {said}.")
    return Finding(
        "last day",
        FAIL if not last["count"] and not whole["count"].iloc[-3:].any() else WARN,
        *numbers,
        f"{when} looks incomplete ({percent(share)} of the usual): {said}.",
        "Import the rest, or say with --covers-until how far the log really goes.",
    )


def _table(parts: list[pd.DataFrame], days: Days) -> pd.DataFrame:
    if parts:
        return pd.concat(parts, ignore_index=True)
    columns = ["series", "date", "count", "expected", "ratio", "z", "odd", "shift"]
    return pd.DataFrame(columns=columns)
