"""How long do people take to convert, and how many do in the end?

People who came yesterday have not had thirty days. Counting them as "did not convert" makes every
recent rate too low; leaving them out throws away what they have done already. Kaplan and Meier's
curve uses everybody for exactly as long as they were followed, so both questions come from it:
how many convert by which time, and by when half of those have.

There is one wait per user: from the first start to the first macro conversion at or after it. A
user who has not converted by the end of the log, or of the horizon, is censored there. Medians
are those of people who convert, since most of everybody never do; in them, too, newcomers count
with the share that is still expected of them, or else only the quick would be in it.

What this module refuses to do: extend a curve beyond the time for which anybody was followed;
give a rate for an event that the log does not have; call a difference between groups an effect.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import ALL, US_PER_DAY, US_PER_SECOND, duration_us, time_zone_of
from analysis.core.wording import label, share
from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.plotting.curves import conversion_curves
from analysis.plotting.trend import rate_trend
from analysis.statistics.rates import Interval
from analysis.statistics.survival import LogRank, Points, Steps, logrank, points_at, steps_of
from analysis.timing.figures import session_bars, wait_ranges
from analysis.timing.sentences import (
    caveats,
    curve_sentence,
    days_in_words,
    from_to,
    groups_sentence,
    logrank_sentence,
    readable_rates,
    undefined_times,
)
from analysis.timing.tables import (
    CONVERTERS,
    FIRST_TOUCH,
    START,
    cohort_rows,
    curve_table,
    named,
    quantile_rows,
    session_rows,
)
from analysis.timing.waits import Waits, waits_of


@dataclass(frozen=True, eq=False, kw_only=True)
class _Timed(Result):
    """What both answers have: the waits, the curve of all together, and one per group."""

    start: str | None
    macro: str
    horizon_us: int
    medians: pd.DataFrame
    waits: Waits = field(repr=False)
    overall: Steps = field(repr=False)
    curves: list[Steps] = field(repr=False)

    @property
    def final(self) -> Points:
        """The curve of all together at the end of the horizon; NaN if it ends before."""
        return self._at(self.overall, self.horizon_us)

    def _at(self, steps: Steps, *times: int) -> Points:
        """A curve at some times; groups of few people have none."""
        return points_at(steps, np.array(times, np.int64))

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The headline's numbers as plain data, undefined is None: for ``numbers.json``."""
        found, row = self.final, self.medians.iloc[0]
        rate = [found.rate[0], found.low[0], found.high[0]]
        median = [row["days"], row["days_low"], row["days_high"]]
        return {
            "rate": _as_number(rate, self.overall.n),
            "median_days": _as_number(median, row["converted"]),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class CurveResult(_Timed):
    """The answer of `conversion_curve`.

    ``table`` has a row per group and instant at which its curve rises: ``group``,
    ``elapsed_days``, ``elapsed_seconds`` since the start, ``rate`` (the share converted by then,
    Kaplan–Meier) with ``low`` and ``high``, ``at_risk`` (followed so far and not converted
    before), ``converted`` (seen by then), ``followed`` (users whom the log can follow for so
    long, converted or not), ``n`` (all users). ``medians`` has the median wait of those who
    convert within the horizon, all together first: ``group, days, days_low, days_high, converted,
    n``.
    """

    def sentence(self) -> str:
        """The rate within the horizon and the median wait, with n and intervals."""
        final = self.final
        if np.isnan(final.rate[0]) and self.overall.events.sum():
            # The rate of a curve that ends early is the one where it ends.
            final = self._at(self.overall, max(min(self.overall.reach, self.horizon_us), 0))
        text = curve_sentence(
            self.overall,
            final,
            _median(self.medians.iloc[0]),
            place=from_to(self.start, self.macro),
            horizon_us=self.horizon_us,
        )
        if len(self.curves) < 2 or not self.overall.events.sum():
            return text
        finals = [self._at(steps, self.horizon_us) for steps in self.curves]
        sizes = [steps.n for steps in self.curves]
        return f"{text} {groups_sentence(self.waits.names, finals, sizes)}"

    def at(self, *times: Any) -> pd.DataFrame:
        """Which share had converted after each of these times?

        Parameters
        ----------
        times : durations such as ``"1d"``.

        Returns
        -------
        A row per group and time, with the columns of ``table``.

        Raises
        ------
        UsageError
            If one is not a duration.
        """
        asked = np.array([duration_us(time, "conversion_curve: at") for time in times], np.int64)
        frames = []
        for group, steps in enumerate(self.curves):
            # Beyond the horizon nobody is looked at.
            found = self._at(steps, *np.where(asked > self.horizon_us, 2**62, asked).tolist())
            followed = self.waits.followed_us[self.waits.members(group)]
            columns = {
                "elapsed_days": asked / US_PER_DAY,
                "elapsed_seconds": asked / US_PER_SECOND,
                "rate": found.rate,
                "low": found.low,
                "high": found.high,
                "at_risk": found.at_risk,
                "converted": found.converted,
                "followed": [int((followed >= time).sum()) for time in asked],
                "n": steps.n,
            }
            name = named(self.waits.names[group], len(asked))
            frames.append(pd.DataFrame({"group": name, **columns}))
        return pd.concat(frames, ignore_index=True)

    def readable(self, *times: Any) -> pd.DataFrame:
        """The rates after some times, for people: in percent, beside their n and interval.

        Parameters
        ----------
        times : durations such as ``"1d"``, as of `at`.

        Returns
        -------
        A row per group (where there are several) and time, as text; the users at risk are those
        who were followed so long and had not converted.
        """
        return readable_rates(self.at(*times))

    def figure(self) -> Any:
        """The curves with their bands, and beneath them how many were still followed."""
        return conversion_curves(
            self.table, medians=self.medians, horizon_days=self.horizon_us / US_PER_DAY
        )


@dataclass(frozen=True, eq=False, kw_only=True)
class TimeToConvertResult(_Timed):
    """The answer of `time_to_convert`.

    ``table`` has a row per group and quantile: ``group``, ``origin`` (``"start"`` or
    ``"first_touch"``: where the wait begins), ``of`` (``"converters"``: of those who convert
    within the horizon; ``"everyone"``), ``quantile``, ``days`` with ``days_low`` and
    ``days_high``, ``converted`` of ``n`` users. ``sessions``: in which session since the start
    the conversions come (``group, session, k, n, rate, low, high``; users whose horizon is over).
    ``test``: the log-rank test over the groups.
    """

    sessions: pd.DataFrame
    test: LogRank

    def sentence(self) -> str:
        """The median wait of those who convert, and how many convert in the first session."""
        row = self.medians.iloc[0]
        place = from_to(self.start, self.macro)
        if pd.isna(row["days"]):
            return f"There is no median wait to tell {place}: see the notes."
        sentences = [
            f"Half of those who get {place} do so within {days_in_words(*_median(row))}; "
            f"{row['converted']:,.0f} conversions of {row['n']:,} users."
        ]
        first = self.sessions[self.sessions["session"] == "1"]
        k, n = first["k"].sum(), first["n"].sum()
        if n and not first["n"].isna().any():
            sentences.append(f"{share(k, n, k / n)} of the conversions came in the first session.")
        if len(self.curves) > 1:
            sentences.append(logrank_sentence(self.test, self.waits.names))
        return " ".join(sentences)

    def cohorts(self, time_zone: str = "UTC") -> pd.DataFrame:
        """How did the users who entered in each week convert, and is that final?

        Parameters
        ----------
        time_zone : whose Mondays begin the weeks.

        Returns
        -------
        A row per week: ``group``, ``start``, ``end`` (UTC), ``entered``, ``so_far`` (converted
        within the horizon until now), ``k`` of the ``n`` users whose horizon is over, ``rate``,
        ``low``, ``high`` (Wilson), ``mature`` (that is everybody).

        Raises
        ------
        UsageError
            If the time zone is unknown.
        """
        zone = time_zone_of(time_zone, "cohorts: time_zone")
        few = int(self.parameters["min_cell"])
        return cohort_rows(self.waits, self.horizon_us, zone, min_cell=few)

    def figure(self) -> Any:
        """By when a quarter, half and three quarters of the people who convert have done so."""
        rows = self.table[self.table["of"] == CONVERTERS]
        return wait_ranges(rows, macro=label(self.macro))

    def sessions_figure(self) -> Any:
        """In which session the conversions come."""
        return session_bars(self.sessions)

    def cohorts_figure(self, time_zone: str = "UTC") -> Any:
        """The rate of every week of entry; weeks that are not final are hatched."""
        return rate_trend(self.cohorts(time_zone), time_zone=time_zone)


def _median(row: Mapping[str, Any] | pd.Series) -> Interval:
    return Interval(*(float(row[name]) for name in ("days", "days_low", "days_high")))


def _as_number(values: list[float], n: float) -> dict[str, Any]:
    names = ("value", "low", "high")
    plain = {k: None if np.isnan(v) else float(v) for k, v in zip(names, values, strict=True)}
    return {**plain, "n": None if np.isnan(n) else int(n)}


def conversion_curve(  # noqa: PLR0913
    log: EventLog,
    start: str | None,
    macro: str,
    *,
    horizon: Any = "30d",
    by: str | Sequence[str] | None = None,
    entered: tuple[Any, Any] | None = None,
    min_cell: int = 1,
    since: Any = None,
    catalog: Catalog | None = None,
) -> CurveResult:
    """Which share of the people who start has converted after which time?

    Parameters
    ----------
    start : where the wait begins: a user's first event of that name; None: the first of any name.
    macro : what they convert to. The first one at or after the start counts; one at the same
        instant, or one that is itself the first event, is a wait of zero.
    horizon : for how long to look at each user; a duration such as ``"30d"``.
    by : property, or several, whose value on the row of the start is the group. The largest six
        groups are kept, the rest becomes ``"(other)"``.
    entered : (start, end) limits the starts, end excluded; naive times are UTC. Conversions after
        the end still count.
    log, min_cell : see `analysis.core.checks`; 1 shows all.
    since : an instant; people whose first event of any name is earlier are left out, because they
        may have been there before the log began. Default: from the data, where the log begins with
        a rush of first events (`analysis.eventlog.burn_in`); the log's first day keeps all.
    catalog : what the events mean. A macro that it names and the log lacks never happened: the
        answer is undefined, with a warning; without a catalog it is an unknown name.

    Returns
    -------
    CurveResult

    Raises
    ------
    UsageError
        If an event, property or option is unknown, or the macro is the start.
    DataError
        If the log is empty.

    Notes
    -----
    Kaplan & Meier 1958, *JASA* 53:457, with Greenwood's variance and limits on the scale of
    log(−log survival); see `statistics.survival`. Users are censored at ``log.covers_until``.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob", "cem"], "event": ["cart", "purchase", "cart", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-01", "2026-01-30"])}),
    ...     covers_until="2026-01-31")
    >>> curve = conversion_curve(log, "cart", "purchase", horizon="14d")
    >>> curve.table[["elapsed_days", "rate", "at_risk", "converted", "n"]]
       elapsed_days  rate  at_risk  converted  n
    0           0.0   0.0        3        0.0  3
    1           2.0   0.5        2        1.0  3
    2           5.0   0.5        1        1.0  3
    3          10.0   0.5        1        1.0  3
    4          14.0   0.5        1        1.0  3
    """
    log = log.until_end()
    horizon_us = duration_us(horizon, "conversion_curve: horizon")
    waits = waits_of(
        log,
        start,
        macro,
        by=by,
        entered=entered,
        min_cell=min_cell,
        planned=() if catalog is None else tuple(catalog.events),
        since=since,
        what="conversion_curve",
    )
    spec = _WaitSpec(log, start, macro, horizon_us, min_cell)
    found = _followed(spec, waits)
    return CurveResult(
        table=curve_table(waits, found.curves, horizon_us, min_cell=min_cell),
        parameters=_parameters(spec, horizon, by, entered) | {"since": _said(since)},
        warnings=tuple(found.caveats),
        start=start,
        macro=macro,
        horizon_us=horizon_us,
        medians=found.medians,
        waits=waits,
        overall=found.overall,
        curves=found.curves,
    )


def time_to_convert(  # noqa: PLR0913
    log: EventLog,
    macro: str,
    *,
    start: str | None = None,
    horizon: Any = "30d",
    by: str | Sequence[str] | None = None,
    entered: tuple[Any, Any] | None = None,
    min_cell: int = 1,
    since: Any = None,
    catalog: Catalog | None = None,
) -> TimeToConvertResult:
    """How long do people who convert take, and in which session do they?

    Parameters
    ----------
    macro : what they convert to. The first one at or after the start counts.
    start : where the wait begins; None: a user's first event. With a start the wait from the
        first event stands beside it, of everybody who has one.
    log, horizon, by, entered, min_cell, since, catalog : as of `conversion_curve`.

    Returns
    -------
    TimeToConvertResult

    Raises
    ------
    UsageError
        If an event, property or option is unknown, or the macro is the start.
    DataError
        If the log is empty.

    Notes
    -----
    Quantiles of Kaplan & Meier's curve with the limits of Brookmeyer & Crowley 1982, *Biometrics*
    38:29; those of converters are of the curve divided by its value at the horizon (see
    `statistics.survival`). Groups: the log-rank test of Mantel 1966, *Cancer Chemother Rep* 50:163.

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> rows = [(f"u{i}", pd.Timestamp("2026-01-01"), "visit") for i in range(20)]
    >>> rows += [(f"u{i}", pd.Timestamp("2026-01-01") + pd.Timedelta(hours=12 * (i + 1)), "buy")
    ...          for i in range(8)]
    >>> log = EventLog.from_frame(pd.DataFrame(rows, columns=["user", "time", "event"]),
    ...                           covers_until="2026-03-01")
    >>> found = time_to_convert(log, "buy")
    >>> found.medians[["days", "days_low", "days_high", "converted", "n"]].to_dict("records")
    [{'days': 2.0, 'days_low': 1.0, 'days_high': 3.5, 'converted': 8, 'n': 20}]
    """
    log = log.until_end()
    horizon_us = duration_us(horizon, "time_to_convert: horizon")
    options: dict[str, Any] = {
        "entered": entered,
        "min_cell": min_cell,
        "planned": () if catalog is None else tuple(catalog.events),
        "since": since,
        "what": "time_to_convert",
    }
    waits = waits_of(log, start, macro, by=by, **options)
    spec = _WaitSpec(log, start, macro, horizon_us, min_cell)
    found = _followed(spec, waits)
    origin = FIRST_TOUCH if start is None else START
    rows = [quantile_rows(waits, found.curves, horizon_us, origin=origin, min_cell=min_cell)]
    if start is not None:
        touched = waits_of(log, None, macro, **options)
        rows.append(_overall_rows(touched, _curve(touched, horizon_us), spec, FIRST_TOUCH))
    table = pd.concat(rows, ignore_index=True)
    return TimeToConvertResult(
        table=table,
        parameters=_parameters(spec, horizon, by, entered) | {"since": _said(since)},
        warnings=tuple(
            found.caveats + _unknown_sessions(waits, horizon_us) + undefined_times(table)
        ),
        start=start,
        macro=macro,
        horizon_us=horizon_us,
        medians=found.medians,
        waits=waits,
        overall=found.overall,
        curves=found.curves,
        sessions=session_rows(waits, horizon_us, min_cell=min_cell),
        test=logrank(waits.wait_us, waits.converted, waits.groups, horizon_us),
    )


class _WaitSpec(NamedTuple):
    log: EventLog
    start: str | None
    macro: str
    horizon_us: int
    min_cell: int


class _Found(NamedTuple):
    """Curves of all together and of each group, the median of all, and what to say with them."""

    overall: Steps
    curves: list[Steps]
    medians: pd.DataFrame
    caveats: list[str]


def _followed(spec: _WaitSpec, waits: Waits) -> _Found:
    horizon_us = spec.horizon_us
    curves = [_curve(waits, horizon_us, group) for group in range(len(waits.names))]
    overall = curves[0] if len(curves) == 1 else _curve(waits, horizon_us)
    known = bool(waits.converted.any()) or bool(totals(spec.log, spec.macro).events)
    if not known:
        # Without the event nothing was followed: the curve is undefined from its start.
        overall, curves = (overall._replace(reach=-1), [c._replace(reach=-1) for c in curves])
    text = caveats(
        waits,
        curves,
        macro=spec.macro,
        known=known,
        horizon_us=horizon_us,
        min_cell=spec.min_cell,
    )
    origin = FIRST_TOUCH if spec.start is None else START
    rows = _overall_rows(waits, overall, spec, origin)
    if waits.names != [ALL]:
        own = quantile_rows(waits, curves, horizon_us, origin=origin, min_cell=spec.min_cell)
        rows = pd.concat([rows, own], ignore_index=True)
    medians = rows[(rows["of"] == CONVERTERS) & (rows["quantile"] == 0.5)]
    text += look_ahead_warnings(spec.log, waits.bounds_us[0] if waits.bounds_us else None)
    return _Found(overall, curves, medians.reset_index(drop=True), text)


def _curve(waits: Waits, horizon_us: int, group: int | None = None) -> Steps:
    own = slice(None) if group is None else waits.members(group)
    return steps_of(waits.wait_us[own], waits.converted[own], horizon_us)


def _overall_rows(waits: Waits, overall: Steps, spec: _WaitSpec, origin: str) -> pd.DataFrame:
    return quantile_rows(
        replace(waits, names=[ALL]),
        [overall],
        spec.horizon_us,
        origin=origin,
        min_cell=spec.min_cell,
    )


def _parameters(
    spec: _WaitSpec, horizon: Any, by: str | Sequence[str] | None, entered: tuple[Any, Any] | None
) -> dict[str, Any]:
    return {
        "start": spec.start,
        "macro": spec.macro,
        "horizon": str(horizon),
        "by": by if by is None or isinstance(by, str) else list(by),
        "entered": None if entered is None else [None if e is None else str(e) for e in entered],
        "min_cell": spec.min_cell,
    }


def _said(since: Any) -> str | None:
    return None if since is None else str(since)


def _unknown_sessions(waits: Waits, horizon_us: int) -> list[str]:
    counted = waits.within(horizon_us) & waits.mature(horizon_us)
    sentences = []
    if waits.converted.any() and not counted.any():
        sentences.append(
            "Nobody whose horizon is over converted within it, so it is undefined (NaN) in which "
            "session conversions come."
        )
    unknown = int((counted & (waits.sessions == 0)).sum())
    if unknown:
        sentences.append(f"Conversions in no session, left out of the sessions: {unknown:,}.")
    return sentences
