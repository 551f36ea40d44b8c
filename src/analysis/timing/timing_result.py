"""The answers about waits: their tables, sentences, numbers and figures."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import US_PER_DAY, US_PER_SECOND, duration_us, time_zone_of
from analysis.core.wording import label, share
from analysis.plotting.curves import conversion_curves
from analysis.plotting.trend import rate_trend
from analysis.statistics.stats import Interval
from analysis.statistics.survival import LogRank, Points, Steps, points_at
from analysis.timing import tables as timing_words
from analysis.timing.figures import session_bars, wait_ranges
from analysis.timing.timing_table import CONVERTERS, cohort_rows, named
from analysis.timing.waits import Waits


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
        """A curve at some times, with what is about few people hidden."""
        found = points_at(steps, np.array(times, np.int64))
        few = (found.converted > 0) & (found.converted < self.parameters["min_cell"])
        hidden = {
            name: np.where(few, np.nan, getattr(found, name))
            for name in ("rate", "low", "high", "converted")
        }
        return found._replace(**hidden)

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
        # A curve that ends early is told where it ends.
        final, end = self.final, max(min(self.overall.reach, self.horizon_us), 0)
        if np.isnan(final.rate[0]) and self.overall.events.sum():
            final = self._at(self.overall, end)
        said = timing_words.curve_sentence(
            self.overall,
            final,
            _median(self.medians.iloc[0]),
            place=timing_words.way(self.start, self.macro),
            horizon_us=self.horizon_us,
        )
        if len(self.curves) < 2 or not self.overall.events.sum():
            return said
        finals = [self._at(steps, self.horizon_us) for steps in self.curves]
        sizes = [steps.n for steps in self.curves]
        return f"{said} {timing_words.group_words(self.waits.names, finals, sizes)}"

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
            If one is no duration.
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
        return timing_words.readable_rates(self.at(*times))

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
        place = timing_words.way(self.start, self.macro)
        if pd.isna(row["days"]):
            return f"There is no median wait to tell {place}: see the notes."
        said = [
            f"Half of those who get {place} do so within {timing_words.days_words(*_median(row))}; "
            f"{row['converted']:,.0f} conversions of {row['n']:,} users."
        ]
        first = self.sessions[self.sessions["session"] == "1"]
        k, n = first["k"].sum(), first["n"].sum()
        if n and not first["k"].isna().any():
            said.append(f"{share(k, n, k / n)} of the conversions came in the first session.")
        if len(self.curves) > 1:
            said.append(timing_words.test_words(self.test, self.waits.names))
        return " ".join(said)

    def cohorts(self, time_zone: str = "UTC") -> pd.DataFrame:
        """How did those who entered in each week convert, and is that final?

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
        """By when a quarter, half and three quarters of those who convert have done so."""
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
