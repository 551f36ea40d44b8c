"""The answer of a funnel: its table, its chains, its trend, its sentence and its figure."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from pandas.api.typing import NaTType

from analysis import figures
from analysis.breakdown import Groups
from analysis.eventlog.log import EventLog
from analysis.funnel_attempts import attempts_frame
from analysis.funnel_chains import ShardChains
from analysis.funnel_options import Question, entry_range
from analysis.funnel_steps import Step
from analysis.funnel_table import ratio
from analysis.funnel_words import funnel_sentence
from analysis.results import Result
from analysis.schema import (
    OTHER,
    instant_us,
    one_of,
    time_zone_of,
    timestamp,
)
from analysis.stats import wilson

_FREQUENCIES = {"D": "D", "W": "W-SUN", "M": "M", "day": "D", "week": "W-SUN", "month": "M"}
_EVERY_GROUP = 2**31


@dataclass(frozen=True, eq=False, kw_only=True)
class FunnelResult(Result):
    """The answer of `funnel`.

    ``table`` has a row per group and step: ``group, step, event, count, k, n_first, n_previous,
    rate, rate_low, rate_high, step_rate, low, high, median_seconds, mean_seconds``. ``count``:
    users that reached the step, all entries. ``k``, ``n_first``, ``n_previous``: the same among
    mature entries; ``rate = k / n_first`` and ``step_rate = k / n_previous`` with Wilson
    intervals. The waits are those since the previous step, among mature users that did the step.
    """

    steps: tuple[Step, ...]
    window_us: int
    immature: int
    tied: int
    question: Question = field(repr=False)
    log: EventLog = field(repr=False)
    ask: Callable[..., FunnelResult] = field(repr=False)
    parts: list[ShardChains] = field(repr=False)
    groups: Groups = field(repr=False)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row per user that entered: their best chain among all entries.

        Columns: ``unit``, ``group``, ``entered_at``, ``reach``, ``step_1`` … (NaT where not
        reached), ``excluded``, ``mature``, ``censored`` (immature and not converted), ``tied``
        (would reach less far if steps had to be strictly later than one another).
        """
        return self._frame(lambda part: part.chosen)

    @cached_property
    def mature_attempts(self) -> pd.DataFrame:
        """A row per user with a mature entry: their best chain among mature entries.

        Rates, intervals and waits are those of these chains; the columns are those of
        `attempts`. A user whose best chain is immature stands in both with different chains.
        """
        return self._frame(lambda part: part.mature)

    def sentence(self) -> str:
        """How many of those who entered converted, and where the most were lost."""
        return funnel_sentence(self.table, self.question, self.immature)

    def figure(self) -> Any:
        """Bars per step, by group, with rates, counts and intervals."""
        return figures.funnel_bars(self.table)

    def trend(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """How did the rate develop by period of entry?

        A user counts once in each period that they enter, as if the funnel ran with ``entered=``
        that period; where the funnel has an ``entered=`` of its own, entries outside it count
        nowhere.

        Parameters
        ----------
        freq : ``"D"``, ``"W"`` (weeks from Monday) or ``"M"``; or day, week, month.
        time_zone : whose midnights bound the periods.

        Returns
        -------
        A row per period and group, in every period the same groups: ``group``, ``start``,
        ``end`` (UTC), ``entered`` (all entries), ``k``, ``n``, ``rate``, ``low``, ``high``
        (mature entries), ``mature`` (every entry of the period can be).

        Raises
        ------
        UsageError
            If the frequency or the time zone is unknown.
        """
        one_of("trend: freq", freq, _FREQUENCIES)
        zone = time_zone_of(time_zone, "trend: time_zone")
        periods = _periods(self.log, _FREQUENCIES[freq], zone, self.parameters["entered"])
        counted = [self._counted(period) for period in periods]
        names = dict.fromkeys([*self.groups.names, *itertools.chain(*counted)])
        rows = []
        for (start, end), counts in zip(periods, counted, strict=True):
            mature = instant_us(end) + self.window_us <= self.log.covers_until_us
            rows += [(name, start, end, *counts.get(name, (0, 0, 0)), mature) for name in names]
        trend = pd.DataFrame(rows, columns=["group", "start", "end", "entered", "k", "n", "mature"])
        trend[["start", "end"]] = trend[["start", "end"]].apply(pd.to_datetime, utc=True)
        trend = trend.astype({"entered": np.int64, "k": np.int64, "n": np.int64, "mature": bool})
        trend["rate"] = ratio(trend["k"].to_numpy(), trend["n"].to_numpy())
        trend["low"], trend["high"] = wilson(trend["k"], trend["n"])
        return trend[[*trend.columns.drop("mature"), "mature"]]

    def _counted(self, period: tuple[pd.Timestamp, pd.Timestamp]) -> dict[Any, tuple[int, ...]]:
        """Entries, conversions and mature entries of a period, by the groups of the table."""
        table = self.ask(entered=period, top=_EVERY_GROUP).table
        last = len(self.steps) if self.question.order == "any" else self.question.last_required
        firsts, lasts = (table[table["step"] == step] for step in (1, last))
        counts: dict[Any, tuple[int, ...]] = {}
        for name, *own in zip(
            firsts["group"], firsts["count"], lasts["k"], firsts["k"], strict=True
        ):
            shown = OTHER if OTHER in self.groups.names and name not in self.groups.names else name
            before = counts.get(shown, (0, 0, 0))
            if any(own):
                counts[shown] = tuple(a + int(b) for a, b in zip(before, own, strict=True))
        return counts

    def _frame(self, keep: Any) -> pd.DataFrame:
        return attempts_frame(self.parts, self.groups, self.question, keep)


def _periods(
    log: EventLog, freq: str, zone: ZoneInfo, entered: tuple[Any, Any] | None
) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    """The periods of the log's events, cut to the entries asked for; UTC."""
    start, end = log.start, log.end
    if isinstance(start, NaTType) or isinstance(end, NaTType):
        return []
    first, last = (t.tz_convert(zone).tz_localize(None).to_period(freq) for t in (start, end))
    low, high = entry_range(entered)
    # A midnight that the clocks skip is the next instant there is; one that comes twice, the first.
    bounds = [
        instant_us(p.start_time.tz_localize(zone, nonexistent="shift_forward", ambiguous=True))
        for p in pd.period_range(first, last + 1)
    ]
    cut = [(max(a, low), min(b, high)) for a, b in itertools.pairwise(bounds)]
    return [(timestamp(a), timestamp(b)) for a, b in cut if a < b]
