"""The answer of a funnel: its table, its chains, its trend, its sentence and its figure."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import VALUE
from analysis.eventlog.groups import Groups
from analysis.eventlog.log import EventLog
from analysis.funnels import funnel_trend
from analysis.funnels import losses as funnel_next
from analysis.funnels import over_time as funnel_times
from analysis.funnels.chains import ShardChains, chains_of
from analysis.funnels.compare import compare
from analysis.funnels.counts import FunnelSums, groups_of
from analysis.funnels.figures import funnel_bars
from analysis.funnels.funnel_attempts import attempts_frame
from analysis.funnels.funnel_recent import with_estimates
from analysis.funnels.funnel_steps import Step
from analysis.funnels.funnel_value import value_lost
from analysis.funnels.funnel_words import funnel_sentence, noun
from analysis.funnels.spec import Question


@dataclass(frozen=True, eq=False, kw_only=True)
class FunnelResult(Result):
    """The answer of `funnel`.

    ``table`` has a row per group and step: ``group, step, event, count, k, n_first, n_previous,
    rate, rate_low, rate_high, step_rate, low, high, median_seconds, mean_seconds``. ``count``:
    units that did the step, all entries. ``k``, ``n_first``, ``n_previous``: the same among
    mature entries, the last two for the first step and for the required step before; ``rate = k /
    n_first`` and ``step_rate = k / n_previous`` with Wilson intervals, which take users as the
    independent units. The waits are those since the step done before, among mature units that did
    the step.
    """

    steps: tuple[Step, ...]
    window_us: int
    immature: int
    tied: int
    question: Question = field(repr=False)
    log: EventLog = field(repr=False)
    ask: Callable[..., FunnelResult] = field(repr=False)
    sums: FunnelSums = field(repr=False)

    @cached_property
    def parts(self) -> list[ShardChains]:
        """The chains, shard by shard. The table needs none; they are found when first asked for."""
        return chains_of(self.log, self.question)

    @cached_property
    def groups(self) -> Groups:
        """The group of each chain of `parts`, in the order of the table."""
        return groups_of(self.parts, self.question)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row per unit that entered (or per attempt): its best chain among all entries.

        Columns: ``unit`` (and ``user`` where units lie inside users), ``group``, ``entered_at``,
        ``reach`` (the highest step done; in any order how many), ``step_1`` … (NaT where not
        done), ``excluded`` (ended by an excluded event), ``mature``, ``censored`` (immature and
        not converted), ``tied`` (would reach less far if steps had to be strictly later than one
        another).
        """
        return self._frame(lambda part: part.chosen)

    @cached_property
    def mature_attempts(self) -> pd.DataFrame:
        """A row per unit with a mature entry: its best chain among mature entries.

        Rates, intervals and waits are those of these chains; the columns are those of
        `attempts`. A unit whose best chain is immature stands in both with different chains.
        """
        return self._frame(lambda part: part.mature)

    @property
    def counted(self) -> str:
        """What is counted, in the plural: users, sessions, attempts …"""
        return noun(self.question)

    def sentence(self) -> str:
        """How many of those who entered converted, and where the most were lost."""
        return funnel_sentence(self.table, self.question, self.immature)

    def figure(self) -> Any:
        """Bars per step, by group, with rates, counts and intervals."""
        return funnel_bars(self.table, noun=self.counted)

    def trend(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """How did the rate develop by period of entry? See `funnel_trend.trend`."""
        return funnel_trend.trend(self, freq, time_zone)

    def recent(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """The trend, with a Kaplan-Meier estimate where a period is too young for a rate.

        See `funnel_recent.with_estimates` for the columns that are added.
        """
        return with_estimates(self, self.trend(freq, time_zone))

    def times(self, step: int | str | None = None, *, since: str = "previous") -> pd.DataFrame:
        """How long do units take to a step? Median and quantiles; see `funnel_times.times`."""
        return funnel_times.times(self, step, since=since)

    def time_curve(self, step: int | str | None = None) -> pd.DataFrame:
        """What share has reached a step by which time? See `funnel_times.time_curve`."""
        return funnel_times.time_curve(self, step)

    def next_events(self, step: int | str, *, top: int = 10) -> pd.DataFrame:
        """What did units do next that stopped after a step? See `funnel_next.next_events`."""
        return funnel_next.next_events(self, step, top=top)

    def units(self, step: int | str, *, converted: bool = False) -> pd.DataFrame:
        """Who stopped after a step, or went on? See `funnel_next.units`."""
        return funnel_next.units(self, step, converted=converted)

    def compare(self, a: Any, b: Any) -> pd.DataFrame:
        """Where do two groups, or two funnels, differ? See `funnel_compare.compare`."""
        return compare(self, a, b)

    def value_lost(self, *, value: str = VALUE, min_n: int = 100) -> pd.DataFrame:
        """What would each step bring if every group did as well as the best one?

        See `funnel_value.value_lost`.
        """
        return value_lost(self, value=value, min_n=min_n)

    def _frame(self, keep: Any) -> pd.DataFrame:
        return attempts_frame(self.parts, self.groups, self.question, keep)
