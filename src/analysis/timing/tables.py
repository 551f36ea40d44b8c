"""How waits are said: rates with their n and interval, times as people say them, the caveats."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd

from analysis.core.schema import (
    ALL,
    US_PER_DAY,
    US_PER_SECOND,
    human_duration,
    instant_us,
    timestamp,
)
from analysis.core.wording import UNDEFINED, axis_ticks, count, group_name, label, listed, percent
from analysis.statistics.rates import Interval, ratio, wilson
from analysis.statistics.survival import (
    LogRank,
    Points,
    Steps,
    converters_quantile,
    points_at,
    quantile,
)
from analysis.timing.waits import Waits

# ──── timing_words


_MOST_SAID = 6


def way(start: str | None, macro: str) -> str:
    """From where to where.

    Examples
    --------
    >>> way("view_item", "purchase"), way(None, "purchase")
    ('from View item to Purchase', 'from their first event to Purchase')
    """
    return f"from {'their first event' if start is None else label(start)} to {label(macro)}"


def rate_words(rate: float, low: float, high: float, n: int) -> str:
    """A rate with its n and interval.

    Examples
    --------
    >>> rate_words(0.081, 0.077, 0.085, 20000)
    '8.1% of 20,000 users (95% interval 7.7% to 8.5%)'
    """
    return f"{percent(rate)} of {_users(n)} (95% interval {percent(low)} to {percent(high)})"


def _users(n: int) -> str:
    return "1 user" if n == 1 else f"{count(n)} users"


def days_words(days: float, low: float, high: float) -> str:
    """A time in days with its interval; a limit that was not reached is open.

    Examples
    --------
    >>> days_words(2.0, 1.5, 3.0), days_words(2.0, 1.5, float("nan"))
    ('2 days (95% interval 36 h to 3 days)', '2 days (95% interval from 36 h, open above)')
    """
    said = [human_duration(value * US_PER_DAY) for value in (days, low, high) if value == value]
    if np.isnan(days):
        return UNDEFINED
    if np.isnan(low):
        return f"{said[0]} (too few for an interval)"
    if np.isnan(high):
        return f"{said[0]} (95% interval from {said[1]}, open above)"
    return f"{said[0]} (95% interval {said[1]} to {said[2]})"


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
    said = (
        f"{rate_words(final.rate[0], final.low[0], final.high[0], steps.n)} get {place} within "
        f"{human_duration(end)}; conversions seen so far: {count(seen)}."
    )
    if np.isnan(median.estimate):
        return said
    return f"{said} Half of those who convert do so within {days_words(*median)}."


def group_words(names: Sequence[object], finals: Sequence[Points], sizes: Sequence[int]) -> str:
    """The rates of the groups, side by side.

    Examples
    --------
    >>> final = Points(*(np.array([value]) for value in (0.1, 0.08, 0.12, 50, 90)))
    >>> group_words(["mobile"], [final], [900])
    'mobile: 10.0% of 900 users (95% interval 8.0% to 12.0%).'
    """
    said = [
        f"{group_name(name)}: {_group_rate(final, n)}"
        for name, final, n in zip(names, finals, sizes, strict=True)
    ]
    return "; ".join(said[:_MOST_SAID]) + "."


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


def _group_rate(final: Points, n: int) -> str:
    if np.isnan(final.rate[0]):
        return f"no rate to tell of {_users(n)}"
    return rate_words(final.rate[0], final.low[0], final.high[0], n)


def test_words(test: LogRank, names: Sequence[object]) -> str:
    """What the log-rank test says of the groups.

    Examples
    --------
    >>> test_words(LogRank(10.33, 1, 0.0013), ["mobile", "desktop"])
    'The curves of mobile and desktop differ beyond chance (log-rank test, p = 0.0013).'
    """
    who = listed([group_name(name) for name in names])
    if np.isnan(test.p_value):
        return f"Whether {who} differ cannot be tested: too few of them convert."
    p = "p < 0.0001" if test.p_value < 0.0001 else f"p = {test.p_value:.2g}"
    if test.p_value > 0.05:
        return f"The curves of {who} do not differ beyond chance (log-rank test, {p})."
    return f"The curves of {who} differ beyond chance (log-rank test, {p})."


test_words.__test__ = False  # type: ignore[attr-defined]


def caveats(
    waits: Waits,
    curves: Sequence[Steps],
    *,
    macro: str,
    known: bool,
    horizon_us: int,
    min_cell: int = 1,
) -> list[str]:
    """What has to be said with every answer about waits.

    Parameters
    ----------
    curves : of all groups. known : whether the log has the macro at all.
    """
    within = human_duration(horizon_us)
    said = []
    if waits.hidden:
        groups = "group" if waits.hidden == 1 else "groups"
        said.append(f"{waits.hidden} {groups} of too few users to show left out.")
    if not len(waits.wait_us):
        return [*said, "No user started: every rate and time is undefined (NaN)."]
    if not known:
        said.append(
            f"{label(macro)} ({macro}) is never in this log, so its rate is undefined (NaN) and "
            "not 0: is it recorded?"
        )
        return said
    if any(0 < steps.events.sum() < min_cell for steps in curves):
        said.append(f"Rates and times of fewer than {min_cell} conversions are hidden (NaN).")
    young = int((~waits.mature(horizon_us) & ~waits.converted).sum())
    longest = int(waits.followed_us.max())
    if longest < horizon_us:
        said.append(
            f"The log follows nobody for {within}, at most for {human_duration(longest)}: what "
            "comes later is undefined (NaN)."
        )
    elif young:
        said.append(
            f"{count(young)} of {count(len(waits.wait_us))} users entered less than {within} "
            "before the log ends and have not converted yet. They count for as long as they were "
            "followed; after that they are taken to go on like those who entered before them."
        )
        said += _short(waits, curves, horizon_us)
    if len(waits.names) > 1:
        said.append(
            "Groups differ in who is in them: that one is quicker does not say that being in it "
            "makes anybody quicker."
        )
    return said


def _short(waits: Waits, curves: Sequence[Steps], horizon_us: int) -> list[str]:
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
    """Why there are times or limits in a table of quantiles that are NaN."""
    said = []
    missing = table[table["days"].isna()]
    if (missing["of"] == "everyone").any():
        said.append(
            "A share of everyone that was not reached within the horizon has no time (NaN)."
        )
    if (missing["of"] == "converters").any():
        said.append(
            "Where nobody, or too few to show, converted, or nobody was followed to the end of "
            "the horizon, converters have no times (NaN)."
        )
    if (table["days"].notna() & table["days_low"].isna()).any():
        said.append("Times of fewer than 6 conversions have no interval (NaN).")
    if (table["days_low"].notna() & table["days_high"].isna()).any():
        said.append("An upper limit that was not reached is open (NaN).")
    return said


# ──── timing_table
#
# Tables about waits: the curve, its quantiles, the sessions of conversions, weeks of entry.
#
# Every row has its n and its interval. Rates of the curve count everybody as far as they were
# followed; rates of sessions and of weeks count only users whose whole horizon is over, so that
# nobody quick stands in for those who are still deciding.


FINEST = 300
"""A step that is lower and nearer to the last one than a 300th is not drawn by any screen."""


EVERYONE, CONVERTERS = "everyone", "converters"


START, FIRST_TOUCH = "start", "first_touch"


SHARES = (0.25, 0.5, 0.75)


SESSIONS = ("1", "2", "3", "4+")


def curve_table(
    waits: Waits, curves: list[Steps], horizon_us: int, *, min_cell: int
) -> pd.DataFrame:
    """The curve of each group at the instants at which it rises.

    Every row is exact; where there are more instants than a screen can show, some are left out.
    Between two rows lie no conversions or at least `min_cell`.
    """
    frames = []
    for group, steps in enumerate(curves):
        followed = np.sort(waits.followed_us[waits.members(group)])
        times = _chosen(steps, horizon_us, min_cell)
        points = points_at(steps, times)
        few = (points.converted > 0) & (points.converted < min_cell)
        columns = {
            "elapsed_days": times / US_PER_DAY,
            "elapsed_seconds": times / US_PER_SECOND,
            "rate": np.where(few, np.nan, points.rate),
            "low": np.where(few, np.nan, points.low),
            "high": np.where(few, np.nan, points.high),
            "at_risk": points.at_risk,
            "converted": np.where(few, np.nan, points.converted),
            "followed": steps.n - np.searchsorted(followed, times, "left"),
            "n": steps.n,
        }
        frames.append(pd.DataFrame({"group": named(waits.names[group], len(times)), **columns}))
    return pd.concat(frames, ignore_index=True)


def named(name: Any, size: int) -> np.ndarray:
    """A column that repeats a group's name, which may be a tuple."""
    column = np.empty(size, object)
    column[:] = [name] * size
    return column


def _chosen(steps: Steps, horizon_us: int, min_cell: int) -> np.ndarray:
    """Where the curve ends, what a figure writes numbers at, and instants at which it rises."""
    counts = np.concatenate([[0], np.cumsum(steps.events)])
    end = horizon_us if steps.reach >= horizon_us else max(steps.reach, 0)
    ticks = [round(tick * US_PER_DAY) for tick in axis_ticks(horizon_us / US_PER_DAY)]
    wanted = [*reversed([tick for tick in ticks if tick < end]), *_rises(steps, counts, horizon_us)]
    if min_cell == 1:
        return np.unique([*wanted, end])
    kept, told = [end], [0, int(counts[-1])] if counts[-1] >= min_cell else [0]
    for time in wanted:
        count = int(counts[np.searchsorted(steps.times, time, "right")])
        if all(count == other or abs(count - other) >= min_cell for other in told):
            kept.append(time)
            told.append(count)
    return np.unique(kept)


def _rises(steps: Steps, counts: np.ndarray, horizon_us: int) -> list[int]:
    """Instants of conversions, each a 300th of all or of the horizon after the one before."""
    kept: list[int] = []
    rise, lap = max(counts[-1] // FINEST, 1), horizon_us // FINEST
    at = 0
    while at < len(steps.times):
        time = int(steps.times[at])
        kept.append(time)
        up = np.searchsorted(counts[1:], counts[at + 1] + rise, "left")
        along = np.searchsorted(steps.times, time + lap, "left")
        at = max(int(min(up, along)), at + 1)
    return kept


def quantile_rows(
    waits: Waits, curves: list[Steps], horizon_us: int, *, origin: str, min_cell: int = 1
) -> pd.DataFrame:
    """By when a quarter, half and three quarters had converted: of everyone, of converters.

    `origin` is where the wait begins. Groups with fewer than `min_cell` conversions have no times.
    """
    rows = []
    for name, steps in zip(waits.names, curves, strict=True):
        k = int(steps.events.sum())
        few = 0 < k < min_cell
        for of in (CONVERTERS, EVERYONE):
            for share in SHARES:
                if few:
                    found = Interval(np.nan, np.nan, np.nan)
                elif of == EVERYONE:
                    found = quantile(steps, share)
                else:
                    found = converters_quantile(steps, share, horizon_us)
                days = [value / US_PER_DAY for value in found]
                rows.append((name, origin, of, share, *days, np.nan if few else k, steps.n))
    columns = ["group", "origin", "of", "quantile", "days", "days_low", "days_high"]
    return pd.DataFrame(rows, columns=[*columns, "converted", "n"])


def session_rows(waits: Waits, horizon_us: int, *, min_cell: int = 1) -> pd.DataFrame:
    """In which session since the start do conversions come? Users whose horizon is over only.

    Conversions of unknown session are left out of ``k`` and ``n``.
    """
    counted = waits.within(horizon_us) & waits.mature(horizon_us) & (waits.sessions > 0)
    place = np.minimum(waits.sessions[counted], len(SESSIONS)) - 1
    cells = waits.groups[counted] * len(SESSIONS) + place
    size = len(waits.names)
    k = np.bincount(cells, minlength=size * len(SESSIONS))
    n = np.repeat(k.reshape(size, -1).sum(axis=1), len(SESSIONS))
    low, high = wilson(k, n)
    hidden = ((k > 0) & (k < min_cell)) | ((n > 0) & (n < min_cell))
    table = pd.DataFrame(
        {
            "group": np.concatenate([named(name, len(SESSIONS)) for name in waits.names]),
            "session": np.tile(SESSIONS, size),
            "k": k.astype(float),
            "n": n.astype(float),
            "rate": ratio(k, n),
            "low": low,
            "high": high,
        }
    )
    table.loc[hidden, ["k", "rate", "low", "high"]] = np.nan
    table.loc[table["n"].between(1, min_cell - 1), "n"] = np.nan
    return table


def cohort_rows(
    waits: Waits, horizon_us: int, zone: ZoneInfo, *, min_cell: int = 1
) -> pd.DataFrame:
    """How did those who entered in each week convert, and is that final?

    ``entered`` all, ``so_far`` of them converted within the horizon until now; ``k`` of the ``n``
    whose horizon is over (``rate, low, high``); ``mature`` where that is everybody.
    """
    bounds = _weeks(waits.entered_us, zone)
    if waits.bounds_us is not None:
        # A week that was asked for in part is as long as that part.
        bounds = np.unique(np.clip(bounds, *waits.bounds_us))
    week = np.searchsorted(bounds, waits.entered_us, "right") - 1
    size = max(len(bounds) - 1, 0)
    within, mature = waits.within(horizon_us), waits.mature(horizon_us)
    entered, so_far, n, k = (
        np.bincount(week[keep], minlength=size).astype(float)
        for keep in (np.full(len(week), True), within, mature, within & mature)
    )
    low, high = wilson(k, n)
    stamps = pd.to_datetime(bounds, unit="us", utc=True)
    table = pd.DataFrame({"group": [ALL] * size, "start": stamps[:size], "end": stamps[1:]})
    table = table.assign(entered=entered, so_far=so_far, k=k, n=n, rate=ratio(k, n))
    table = table.assign(low=low, high=high, mature=bounds[1:] + horizon_us <= waits.until_us)
    few = table[["entered", "so_far", "k", "n"]]
    few = few.ge(1) & few.lt(min_cell)
    rated = few[["entered", "k", "n"]].any(axis=1)
    table = table.assign(**table[few.columns].mask(few))
    table.loc[rated, ["k", "rate", "low", "high"]] = np.nan
    return table


def _weeks(entered_us: np.ndarray, zone: ZoneInfo) -> np.ndarray:
    """Mondays, midnight in a place, around all entries; microseconds UTC."""
    if not len(entered_us):
        return np.empty(0, np.int64)
    ends = [timestamp(us) for us in (entered_us.min(), entered_us.max())]
    first, last = (t.tz_convert(zone).tz_localize(None).to_period("W-SUN") for t in ends)
    return np.array(
        [
            # A midnight that the clocks skip is the next instant there is.
            instant_us(p.start_time.tz_localize(zone, nonexistent="shift_forward", ambiguous=True))
            for p in pd.period_range(first, last + 1)
        ],
        np.int64,
    )
