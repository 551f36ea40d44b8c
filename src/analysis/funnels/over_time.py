"""How long does it take to get to a step, how many get there by when, and is the rate changing?

The waits of those who did the step say how long it took them, and nothing of those who did not;
the curve says how many of all who entered got there by each time. Recent entries are in the curve
for as long as they have been watched, so it neither waits for them nor counts them as lost.

The rate of a recent period leaves out everybody whose window is still open. Where some of its
entries have been watched for the whole window, Kaplan & Meier's estimate tells the final rate
from all of its entries, each for as long as they were watched. It is an estimate and is called
one wherever it is shown.

What this module refuses to do: average a wait without its median, leave out waits of 0 s, extend
a curve beyond the time for which anybody has been watched, or end it on the last few people
watched longest, whose next step would move it by much.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike
from pandas.api.typing import NaTType

from analysis.core import checks
from analysis.core.schema import (
    US_PER_SECOND,
    human_duration,
    instant_us,
    one_of,
    time_zone_of,
    timestamp,
)
from analysis.core.wording import day
from analysis.eventlog.log import EventLog
from analysis.funnels.counts import FunnelSums, conversion_sizes, sums_of
from analysis.funnels.data import (
    NEVER,
    FunnelData,
    group_codes,
    group_names,
    microseconds,
    required_steps,
    step_before,
    step_name,
    step_number,
)
from analysis.funnels.entries import Entries, entries_of, final_rate
from analysis.funnels.waits import first_waits
from analysis.statistics.rates import ratio, wilson
from analysis.statistics.survival import Points, points_at, steps_of
from analysis.statistics.usual_range import NOT_FINAL, NOT_WHOLE, UNKNOWN, usual_range

_QUANTILES = {"median": 0.5, "p10": 0.1, "p25": 0.25, "p75": 0.75, "p90": 0.9}


def times(
    result: FunnelData, step: int | str | None = None, *, since: str = "previous"
) -> pd.DataFrame:
    """How long did those who did a step take for it?

    Parameters
    ----------
    step : number or name of a step from the second on; default: the last required one.
    since : ``"previous"``: the wait since the step they did before it; ``"entry"``: since the
        first event of their chain, which is the attempt that counts, the furthest one;
        ``"first"``: from the first time ever that they did the first step to the first time after
        it that they did this one, window or not.

    Returns
    -------
    A row per group: ``group, step, event, n, median_seconds, p10_seconds, p25_seconds,
    p75_seconds, p90_seconds, mean_seconds``, of the ``n`` mature chains that did the step; NaN
    where none did. Waits of 0 s are kept.

    Raises
    ------
    UsageError
        If the step or `since` is unknown, the step is the first, or the first time is asked for
        and steps have no order or every attempt counts.

    Notes
    -----
    Quantiles interpolate linearly (Hyndman & Fan 1996, *Am Stat* 50:361, type 7).

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "bob"], "event": ["cart", "purchase"] * 2,
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30",
    ...                             "2026-01-01 09:00", "2026-01-01 09:10"])}),
    ...     covers_until="2026-02-01")
    >>> times(funnel(log, ["cart", "purchase"]))[["event", "n", "median_seconds"]]
          event  n  median_seconds
    0  purchase  2          1200.0
    """
    one_of("times: since", since, ["previous", "entry", "first"])
    k = _step_from_the_second(result, step, "times")
    if since == "first":
        waits, groups = first_waits(result, k)
    else:
        attempts = result.mature_attempts
        start = step_before(attempts, k) if since == "previous" else _entered(attempts)
        until = microseconds(attempts, f"step_{k}")
        did = until != NEVER
        waits, groups = until[did] - start[did], group_codes(result, attempts)[did]
    rows = []
    for code, name in enumerate(group_names(result)):
        own = waits[groups == code]
        row: dict[str, Any] = {"group": name, "step": k, "event": step_name(result, k)}
        rows.append(row | {"n": len(own)} | _quantiles(own))
    return pd.DataFrame(rows)


def _step_from_the_second(result: FunnelData, step: int | str | None, what: str) -> int:
    default = max(required_steps(result)) if step is None else step
    return step_number(result, default, what, range(2, len(result.steps) + 1))


def _entered(attempts: pd.DataFrame) -> np.ndarray:
    return microseconds(attempts, "entered_at")


def _quantiles(waits: np.ndarray) -> dict[str, float]:
    if not len(waits):
        return {f"{name}_seconds": np.nan for name in [*_QUANTILES, "mean"]}
    cuts = np.quantile(waits, list(_QUANTILES.values())) / US_PER_SECOND
    cells = {f"{name}_seconds": float(cut) for name, cut in zip(_QUANTILES, cuts, strict=True)}
    return cells | {"mean_seconds": int(waits.sum()) / len(waits) / US_PER_SECOND}


def time_curve(result: FunnelData, step: int | str | None = None) -> pd.DataFrame:
    """Which share of all who entered has reached a step by which time since their entry?

    Parameters
    ----------
    step : number or name of a step from the second on; default: the last required one.

    Returns
    -------
    At most a few hundred rows per group, ascending in time from 0: ``group, step, event,
    seconds, rate, low, high, at_risk, reached, n``. ``rate`` (95 % limits ``low``, ``high``) is
    the Kaplan-Meier estimate of the share that reached the step within so many seconds;
    ``at_risk`` were watched that long without having reached it before, ``reached`` had, of
    ``n`` in all. The last row of a group is the longest time that anybody was watched, at most
    the window. A group without an entry has no row.

    Raises
    ------
    UsageError
        If the step is unknown or the first.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457, with limits from Greenwood's variance of log(−log S); see
    `analysis.statistics.survival.points_at`. An attempt is watched until its window or the log
    ends, an excluded one too, as another of its entry day would have been: so the curve ends at
    the share of the table where all entries are mature. Attempts are taken as independent of one
    another. Of a unit that entered several times the chain is that of the table, the best; where
    many return, ``entry="first"`` or ``count="attempts"`` gives a curve that no choice among
    entries has touched. With a breakdown at a later step the groups know the future, and their
    curves do too.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 23:30"])}),
    ...     covers_until="2026-01-02")
    >>> curve = time_curve(funnel(log, ["cart", "purchase"], window="1h"))
    >>> curve[["seconds", "rate", "at_risk", "reached", "n"]]
       seconds  rate  at_risk  reached  n
    0      0.0   0.0        2        0  2
    1   1800.0   0.5        2        1  2
    """
    k = _step_from_the_second(result, step, "time_curve")
    attempts = result.attempts
    seen = follow_up(result, attempts, k)
    groups = np.where(seen.watched < 0, -1, group_codes(result, attempts))
    parts = [_curve_rows(np.empty(0, np.int64), np.empty(0, bool))]
    for code in range(len(group_names(result))):
        own = groups == code
        parts.append(_curve_rows(seen.time[own], seen.reached[own]))
    sizes = [len(part) for part in parts[1:]]
    curve = pd.concat(parts, ignore_index=True)
    names = np.empty(len(sizes), object)
    names[:] = group_names(result)
    curve.insert(0, "group", np.repeat(names, sizes))
    curve.insert(1, "step", k)
    curve.insert(2, "event", step_name(result, k))
    return curve


class FollowUp(NamedTuple):
    """How long each attempt was watched; microseconds since its entry.

    Attributes
    ----------
    watched : until the window or the log ended; negative where the log ended before the entry.
    time : until the attempt reached the step, or as long as it was watched.
    reached : whether it reached the step.
    """

    watched: np.ndarray
    time: np.ndarray
    reached: np.ndarray


def follow_up(result: FunnelData, attempts: pd.DataFrame, step: int) -> FollowUp:
    """How long was each attempt watched, and did it reach the step by then?

    Rows beyond the instant that the log covers are not complete and not used.
    """
    entered = _entered(attempts)
    watched = np.minimum(result.log.covers_until_us - entered, result.window_us)
    until = microseconds(attempts, f"step_{step}")
    wait = np.where(until == NEVER, np.iinfo(np.int64).max, until - entered)
    return FollowUp(watched, np.minimum(wait, watched), wait <= watched)


_MOST_POINTS = 240
"""Up to so many points of a curve are kept."""


def _curve_rows(time: np.ndarray, reached: np.ndarray) -> pd.DataFrame:
    """The rows of a curve, from 0 on, as many as a picture has room for."""
    times, curve = _curve(time, reached)
    rows = pd.DataFrame(curve._asdict()).rename(columns={"converted": "reached"})
    rows.insert(0, "seconds", times.astype(float))
    n = len(time)
    if n and times[0] > 0:
        start = [0.0, 0.0, 0.0, float(wilson(0, n)[1]), n, 0]
        rows = pd.concat([pd.DataFrame([start], columns=rows.columns), rows], ignore_index=True)
    rows["seconds"] /= US_PER_SECOND
    rows["n"] = n
    return rows.iloc[_thinned(rows["seconds"].to_numpy(), rows["rate"].to_numpy())]


def _curve(time: np.ndarray, reached: np.ndarray) -> tuple[np.ndarray, Points]:
    """Every time at which somebody got there or was lost, and the curve at each."""
    times = np.unique(time)
    steps = steps_of(time, reached, int(times[-1]) if len(times) else 0)
    return times, points_at(steps, times)


def _thinned(seconds: np.ndarray, rate: np.ndarray) -> np.ndarray:
    """The points where the rate rises, the first and the last, thinned out evenly.

    Half of them are spread along the rate and half along the logarithm of time.
    """
    if not len(rate):
        return np.empty(0, np.int64)
    rises = np.flatnonzero(np.diff(rate, prepend=rate[0]) > 0)
    if len(rises) > _MOST_POINTS:
        half, spread = _MOST_POINTS // 2, np.log1p(seconds[rises])
        wanted = np.linspace(rate[rises[0]], rate[-1], half)
        waits = np.linspace(spread[0], spread[-1], half)
        near = [np.searchsorted(rate[rises], wanted), np.searchsorted(spread, waits)]
        rises = rises[np.unique(np.minimum(np.concatenate(near), len(rises) - 1))]
    return np.unique(np.concatenate([[0], rises, [len(rate) - 1]]))


_FREQUENCIES = {"D": "D", "W": "W-SUN", "M": "M", "day": "D", "week": "W-SUN", "month": "M"}

_SEASON: Final = {"D": 7}
"""Days are compared with the same weekday: so many periods ago."""


class _PeriodCounts(NamedTuple):
    """Entries, conversions and mature entries of a group, and the size behind the last."""

    entered: int = 0
    k: int = 0
    n: int = 0
    size: float = 0.0


def trend(result: FunnelData, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
    """How did the rate develop by period of entry, and which range is usual for it?

    A unit counts once in each period that it enters, as if the funnel ran with ``entered=`` that
    period; where the funnel has an ``entered=`` of its own, entries outside it count nowhere.

    Parameters
    ----------
    freq : ``"D"``, ``"W"`` (weeks from Monday) or ``"M"``; or day, week, month.
    time_zone : whose midnights bound the periods.

    Returns
    -------
    A row per period and group, in every period the same groups: ``group``, ``start``, ``end``
    (UTC), ``entered`` (all entries), ``k``, ``n``, ``rate``, ``low``, ``high`` (mature entries;
    the limits as in the funnel's table), ``mature`` (every entry of the period can be);
    ``usual_low``, ``usual_high`` (the range that the periods before make usual) and ``verdict``
    (see `analysis.statistics.usual_range.UsualRange`; ``"not whole"`` where the log, or
    ``entered=``, holds a part of the period).

    Raises
    ------
    UsageError
        If the frequency or the time zone is unknown.

    Notes
    -----
    The range of a day comes from the same weekday of the weeks before. Periods that the log holds
    in part, or whose entries are not all mature, are neither judged nor used for later ones.
    """
    one_of("trend: freq", freq, _FREQUENCIES)
    zone = time_zone_of(time_zone, "trend: time_zone")
    periods = _periods(result.log, _FREQUENCIES[freq], zone, result.parameters["entered"])
    counted = [_period_counts(result, (p.start, p.end)) for p in periods]
    names = dict.fromkeys([*result.sums.names, *itertools.chain(*counted)])
    rows, usable = [], []
    for period, counts in zip(periods, counted, strict=True):
        mature = instant_us(period.end) + result.window_us <= result.log.covers_until_us
        bounds = (period.start, period.end)
        rows += [(name, *bounds, *counts.get(name, _PeriodCounts()), mature) for name in names]
        usable.append(mature and period.whole)
    columns = ["group", "start", "end", "entered", "k", "n", "size", "mature"]
    table = pd.DataFrame(rows, columns=columns)
    table[["start", "end"]] = table[["start", "end"]].apply(pd.to_datetime, utc=True)
    kinds = {"entered": np.int64, "k": np.int64, "n": np.int64, "size": float, "mature": bool}
    table = table.astype(kinds)
    k, n = table["k"].to_numpy(), table["n"].to_numpy()
    size = table.pop("size").to_numpy()
    table["rate"] = ratio(k, n)
    worth = k * np.nan_to_num(ratio(size, n))
    table["low"], table["high"] = wilson(worth, size)
    table = table[[*table.columns.drop("mature"), "mature"]]
    shape = len(periods), len(names)
    usual = _usual(
        worth.reshape(shape).T,
        size.reshape(shape).T,
        np.array(usable, bool),
        _SEASON.get(_FREQUENCIES[freq], 1),
    )
    table = table.assign(**{name: cells.T.ravel() for name, cells in usual.items()})
    return table.assign(verdict=not_whole(table["verdict"], table["mature"]))


def not_whole(verdict: ArrayLike, mature: ArrayLike) -> np.ndarray:
    """The verdicts of a trend: a final period that is not used is no whole one."""
    words, final = np.array(verdict, object), np.asarray(mature, bool)
    words[final & (words == NOT_FINAL)] = NOT_WHOLE
    return words


def _usual(k: np.ndarray, n: np.ndarray, usable: np.ndarray, season: int) -> dict[str, np.ndarray]:
    """The usual range of rates, a row per group: in each season by its own past."""
    low, high = np.full((2, *k.shape), np.nan)
    verdict = np.full(k.shape, UNKNOWN, object)
    for first in range(season if k.size else 0):
        own = slice(first, None, season)
        found = usual_range(k[:, own], n[:, own], usable=usable[own])
        low[:, own], high[:, own], verdict[:, own] = found.low, found.high, found.verdict
    return {"usual_low": low, "usual_high": high, "verdict": verdict}


def sums_between(
    result: FunnelData, period: tuple[pd.Timestamp, pd.Timestamp], names: Sequence[Hashable]
) -> FunnelSums:
    """What the same funnel adds up to for the entries of a period, in the groups of that name."""
    entered = checks.entry_range("funnel", period)
    return sums_of(result.log, replace(result.question, entered=entered), names)


def _period_counts(
    result: FunnelData, period: tuple[pd.Timestamp, pd.Timestamp]
) -> dict[Any, _PeriodCounts]:
    """The counts of a period, by the groups of the table."""
    sums = sums_between(result, period, result.sums.names)
    last = result.question.conversion - 1
    sizes = conversion_sizes(sums, result.question)
    counted = zip(sums.counts[0, :, 0], sums.counts[1, :, last], sums.counts[1, :, 0], strict=True)
    return {
        name: _PeriodCounts(int(row[0]), int(row[1]), int(row[2]), size)
        for name, row, size in zip(sums.names, counted, sizes.tolist(), strict=True)
        if any(row)
    }


class _CutPeriod(NamedTuple):
    """A period, cut to the entries asked for; is it in the log, and asked for, from end to end?"""

    start: pd.Timestamp
    end: pd.Timestamp
    whole: bool


def _periods(
    log: EventLog, freq: str, zone: ZoneInfo, entered: tuple[Any, Any] | None
) -> list[_CutPeriod]:
    """The periods of the log's events, cut to the entries asked for; UTC."""
    start, end = log.start, log.end
    if isinstance(start, NaTType) or isinstance(end, NaTType):
        return []
    first, last = (t.tz_convert(zone).tz_localize(None).to_period(freq) for t in (start, end))
    low, high = checks.entry_range("funnel", entered)
    # A midnight that the clocks skip is the next instant there is; one that comes twice, the first.
    bounds = [
        instant_us(p.start_time.tz_localize(zone, nonexistent="shift_forward", ambiguous=True))
        for p in pd.period_range(first, last + 1)
    ]
    begin = instant_us(start.tz_convert(zone).normalize())
    return [
        _CutPeriod(
            timestamp(max(a, low)), timestamp(min(b, high)), whole=low <= a >= begin and b <= high
        )
        for a, b in itertools.pairwise(bounds)
        if max(a, low) < min(b, high)
    ]


_NUMBERS = ["km_rate", "km_low", "km_high", "km_seconds"]
_SO_FAR = ["km_so_far", "km_so_far_low", "km_so_far_high", "km_at_risk"]

_STILL_WATCHED = 0.1
"""The share of the entries that a curve may rest on."""

FINAL, NOBODY = "the rate is final", "nobody has entered"


def with_estimates(result: FunnelData, trend: pd.DataFrame) -> pd.DataFrame:
    """Which final rate do the periods that are not final yet point to?

    Parameters
    ----------
    trend : what ``result.trend(freq, time_zone)`` gives; any of its rows.

    Returns
    -------
    The trend with more columns. For periods that are not ``mature``: ``km_rate, km_low, km_high``,
    the Kaplan-Meier estimate of the rate within the whole window, from all entries of the period
    (``entered``); ``km_seconds``, how far the curve looks: as long as a tenth of them has been
    watched, at most the window; ``km_so_far, km_so_far_low, km_so_far_high``, the estimate within
    that time, with ``km_at_risk`` entries watched until then without a conversion before. Where
    the curve does not get to the end of the window, or the period is not over and people enter
    again, ``km_rate`` is NaN and ``km_reason`` says why; for mature periods all of them are NaN.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457; see `analysis.statistics.survival.points_at`. Of a unit
    that enters several times each entry is followed for itself, until the next one: see
    `analysis.funnels.entries.final_rate`. A curve is not
    read where only a few are left (Pocock, Clayton & Altman 2002, *Lancet* 359:1686, advise to stop
    at 10 to 20 % of the sample). The estimate assumes that those who entered late in the period
    convert like those who entered early.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cy"], "event": ["cart", "purchase", "cart", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-01", "2026-01-04"])}),
    ...     covers_until="2026-01-05")
    >>> result = funnel(log, ["cart", "purchase"], window="2d")
    >>> with_estimates(result, result.trend("W"))[["entered", "n", "rate", "km_rate"]]
       entered  n  rate  km_rate
    0        3  2   0.5      0.5
    """
    found = {}
    young = trend[~trend["mature"]]
    for start, end in young[["start", "end"]].drop_duplicates().itertuples(index=False):
        groups = list(young.loc[young["start"] == start, "group"])
        for name, row in _estimates(result, (start, end), groups).items():
            found[name, start] = row
    none = dict.fromkeys([*_NUMBERS, *_SO_FAR], np.nan) | {"km_reason": FINAL}
    rows = [found.get(key, none) for key in zip(trend["group"], trend["start"], strict=True)]
    columns = [*_NUMBERS, *_SO_FAR, "km_reason"]
    return trend.join(pd.DataFrame(rows, index=trend.index, columns=columns))


def _estimates(
    result: FunnelData, period: tuple[pd.Timestamp, pd.Timestamp], groups: list[Any]
) -> dict[Any, dict[str, Any]]:
    """The estimates of one period, by the groups of the trend."""
    spec = replace(result.question, entered=checks.entry_range("funnel", period))
    entries, codes = entries_of(result.log, spec, groups)
    open_until = period[1] if period[1] > result.log.covers_until else None
    return {
        name: _estimate(entries.of_units(codes == i), result.window_us, open_until)
        for i, name in enumerate(groups)
    }


def _estimate(entries: Entries, window_us: int, ends: pd.Timestamp | None) -> dict[str, Any]:
    """The estimate of some units of a period, as far as enough of them were followed.

    `ends` is the end of a period that is not over.
    """
    n = entries.units
    if not n:
        return dict.fromkeys([*_NUMBERS, *_SO_FAR], np.nan) | {"km_reason": NOBODY}
    longest = entries.longest
    far = int(np.sort(longest)[n - max(int(np.ceil(_STILL_WATCHED * n)), 1)])
    at = final_rate(entries, far)
    # Once all have converted there is nothing left to wait for; else the curve ends with the
    # last one followed.
    if at[0] < 1:
        far = min(far, int(entries.time.max()))
    why = "" if far >= window_us else _why_too_short(longest, window_us)
    again = n - int((np.bincount(entries.unit) == 1).sum())
    if not why and ends is not None and again:
        why = (
            f"{again:,} of {n:,} have entered more than once, and others may until the period "
            f"ends on {day(ends - pd.Timedelta(1, 'us'))}"
        )
    numbers = dict(zip(_NUMBERS, at if not why else [np.nan] * 3, strict=False))
    numbers["km_seconds"] = float(far) / US_PER_SECOND
    left = int((entries.time >= far).sum())
    return numbers | dict(zip(_SO_FAR, [*at, left], strict=True)) | {"km_reason": why}


def _why_too_short(watched: np.ndarray, window_us: int) -> str:
    """Why the curve does not get to the end of the window."""
    whole, window = watched >= window_us, human_duration(window_us)
    if whole.mean() >= _STILL_WATCHED:
        return f"all who were watched for {window} have converted"
    return (
        f"{whole.sum():,} of {len(whole):,} were watched for {window}, "
        f"fewer than {_STILL_WATCHED:.0%}"
    )
