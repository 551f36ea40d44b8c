"""The answer of a funnel: its table, its chains, its trend, its sentence and its figure."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis import figures
from analysis.breakdown import Groups
from analysis.eventlog.log import EventLog
from analysis.funnel_steps import Step
from analysis.funnel_table import ShardChains, chain_rows
from analysis.results import Result
from analysis.schema import human_duration, instant_us, one_of
from analysis.stats import wilson

_FREQUENCIES = {"D": "D", "W": "W-SUN", "M": "M", "day": "D", "week": "W-SUN", "month": "M"}


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
        """How many of those who entered reached the last step, and where the most were lost."""
        totals = self._totals()
        first, last = self.steps[0].name, self.steps[-1].name
        if not totals[0]:
            why = "entered so long ago that their window is over" if self.immature else "entered"
            return f"No user {why}: there is no rate to tell ({first} to {last})."
        if len(self.steps) == 1:
            return f"{totals[0]:,} users did {first}."
        low, high = wilson(totals[-1], totals[0])
        said = (
            f"{totals[-1] / totals[0]:.1%} of {totals[0]:,} users got from {first} to {last} "
            f"within {human_duration(self.window_us)} "
            f"(95 % interval {float(low):.1%} to {float(high):.1%})."
        )
        lost = totals[:-1] - totals[1:]
        worst = int(np.argmax(lost))
        if lost[worst]:
            said += (
                f" Most were lost between {self.steps[worst].name} and "
                f"{self.steps[worst + 1].name}: {lost[worst]:,} of {totals[worst]:,} "
                f"({lost[worst] / totals[worst]:.1%})."
            )
        return said

    def figure(self) -> Any:
        """Bars per step, by group, with rates, counts and intervals."""
        return figures.funnel_bars(self.table)

    def trend(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """How did the rate develop by period of entry?

        A user counts once in each period that they enter, as if the funnel ran with ``entered=``
        that period.

        Parameters
        ----------
        freq : ``"D"``, ``"W"`` (weeks from Monday) or ``"M"``; or day, week, month.
        time_zone : whose midnights bound the periods.

        Returns
        -------
        A row per period and group: ``group``, ``start``, ``end`` (UTC), ``entered`` (all
        entries), ``k``, ``n``, ``rate``, ``low``, ``high`` (mature entries), ``mature`` (every
        entry of the period can be).
        """
        one_of("trend: freq", freq, _FREQUENCIES)
        rows = []
        for start, end in _periods(self.log, _FREQUENCIES[freq], time_zone):
            part = self.ask(entered=(start, end))
            table = part.table.groupby("group", sort=False, observed=True)
            firsts, lasts = table.first(), table.last()
            low, high = wilson(lasts["k"], firsts["k"])
            rows.append(
                pd.DataFrame(
                    {
                        "group": list(firsts.index),
                        "start": start,
                        "end": end,
                        "entered": firsts["count"].to_numpy(),
                        "k": lasts["k"].to_numpy(),
                        "n": firsts["k"].to_numpy(),
                        "rate": lasts["rate"].to_numpy(),
                        "low": low,
                        "high": high,
                        "mature": instant_us(end) + self.window_us <= self.log.covers_until_us,
                    }
                )
            )
        return pd.concat(rows, ignore_index=True)

    def _totals(self) -> np.ndarray:
        return self.table.groupby("step")["k"].sum().to_numpy()

    def _frame(self, keep: Any) -> pd.DataFrame:
        frames = [
            chain_rows(part, codes, keep(part), len(self.steps))
            for part, codes in zip(self.parts, self.groups.codes, strict=True)
        ]
        frame = pd.concat(frames, ignore_index=True)
        codes = frame.pop("group").to_numpy()
        names = np.empty(len(self.groups.names), object)
        names[:] = self.groups.names
        frame.insert(1, "group", names[codes])
        frame["censored"] = ~frame["mature"] & (frame["reach"] < len(self.steps))
        return frame.sort_values("unit", kind="stable", ignore_index=True)


def _periods(log: EventLog, freq: str, time_zone: str) -> list[tuple[pd.Timestamp, pd.Timestamp]]:
    local = log.start.tz_convert(time_zone).tz_localize(None).to_period(freq)
    last = log.end.tz_convert(time_zone).tz_localize(None).to_period(freq)
    bounds = [p.start_time.tz_localize(time_zone) for p in pd.period_range(local, last + 1)]
    utc = [bound.tz_convert("UTC") for bound in bounds]
    return list(itertools.pairwise(utc))
