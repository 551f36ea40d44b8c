"""What do earlier periods make usual for the rates of a funnel, and which of them have gaps?"""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.periods import Period, length_in_days
from analysis.core.result import records
from analysis.core.schema import ALL, instant_us
from analysis.core.wording import count, day, listed
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnels.compare import FALSE_DISCOVERIES, FUNNEL, STEP
from analysis.funnels.counts import previous_required
from analysis.funnels.data import FunnelData
from analysis.funnels.over_time import sums_between
from analysis.statistics.rates import q_values
from analysis.statistics.usual_range import (
    CLEARLY_HIGH,
    CLEARLY_LOW,
    LEAST_EXPECTED,
    UNKNOWN,
    UsualRange,
    usual_range,
)

_LEAST_OF_A_STEP: Final = 5
"""Below so many usual successes, or failures, the rate of a step is not judged."""

_FEWEST_EVENTS: Final = 10
"""A day without any event is a gap where so many are usual on that weekday."""


def counts_of(view: FunnelData, period: Period) -> dict[str, int]:
    """Of all groups together: how many entered, converted, and could."""
    counts = sums_between(view, period.bounds, view.sums.names).counts.sum(axis=1)
    last = view.question.conversion - 1
    return {"entered": int(counts[0, 0]), "k": int(counts[1, last]), "n": int(counts[1, 0])}


class History(NamedTuple):
    """What the same funnel counted in earlier periods, oldest first.

    Attributes
    ----------
    names : the groups. counts : int64 (2, groups, steps, periods): all, and mature entries.
    usable : which periods have no gap. before : per step the required one before it.
    """

    names: list[Hashable]
    periods: list[Period]
    counts: np.ndarray
    usable: np.ndarray
    before: np.ndarray
    conversion: int

    @classmethod
    def of(cls, view: FunnelData, periods: list[Period], usable: list[bool]) -> History:
        """Ask the same funnel of each of these periods."""
        names = view.sums.names
        shape = (2, len(names) + 1, len(view.steps), len(periods))
        counts = np.zeros(shape, np.int64)
        for i, period in enumerate(periods):
            own = sums_between(view, period.bounds, names).counts
            counts[:, : len(names), :, i] = own[:, : len(names)]
            # A group that is none of the others is in all together.
            counts[:, -1, :, i] = own.sum(axis=1)
        required = previous_required(view.question)
        flags = np.array(usable, bool)
        return cls([*names, ALL], periods, counts, flags, required, view.question.conversion)

    def frame(self) -> pd.DataFrame:
        """The conversion rate's counts in each period, all groups together."""
        whole = self.counts[:, -1]
        starts = pd.to_datetime([p.bounds[0] for p in self.periods], utc=True)
        return pd.DataFrame(
            {
                "start": starts,
                "entered": whole[0, 0],
                "k": whole[1, self.conversion - 1],
                "n": whole[1, 0],
                "usable": self.usable,
                "mature": True,
            }
        )

    def series(self, row: Any) -> tuple[np.ndarray, np.ndarray]:
        """Successes and trials of a row of the table, period by period."""
        place = len(self.names) - 1 if row.group == ALL else self.names.index(row.group)
        own, step = self.counts[1, place], row.step - 1
        return own[step], own[self.before[step] if row.basis == STEP else 0]


def judged(
    table: pd.DataFrame, history: History, *, steps: int, days: float
) -> tuple[pd.DataFrame, list[str]]:
    """The rows with what is usual for each by its own past, and what is to be said of its level.

    Parameters
    ----------
    steps : how many the funnel has. days : how long the period is whose rates the table has.
    """
    lengths = [*(length_in_days(p) for p in history.periods), days]
    columns = {name: np.full(len(table), np.nan) for name in _USUAL}
    verdict = np.full(len(table), UNKNOWN, object)
    notes: list[str] = []
    usable = np.append(history.usable, True)
    known = (table["k"].notna() & table["n"].notna()).to_numpy()
    for basis, least in ((FUNNEL, LEAST_EXPECTED), (STEP, _LEAST_OF_A_STEP)):
        own = np.flatnonzero(known & (table["basis"] == basis).to_numpy())
        if not len(own):
            continue
        rows = table.iloc[own]
        k, n = np.stack([history.series(row) for row in records(rows)], axis=1)
        k, n = np.column_stack([k, rows["k"]]), np.column_stack([n, rows["n"]])
        if steps == 1:
            # There is no rate of one step: its count is judged.
            found = usual_range(n, usable=usable, days=lengths)
        else:
            found = usual_range(k, n, usable=usable, least_expected=least)
        cells = (found.usual, found.low, found.high, found.p_value, found.history)
        for name, cell in zip(_USUAL, cells, strict=True):
            columns[name][own] = cell[:, -1]
        verdict[own] = found.verdict[:, -1]
        if basis == FUNNEL and own[0] == _first_of_all(table):
            notes = _new_level(found, history)
    table = table.assign(**columns, verdict=verdict)
    place = list(table).index("usual_p_value") + 1
    searched = table["basis"] == STEP
    table.insert(place, "usual_q_value", q_values(table["usual_p_value"], searched))
    table["clear"] = np.where(
        table["basis"] == STEP,
        table["usual_q_value"] < FALSE_DISCOVERIES,
        table["verdict"].isin([CLEARLY_LOW, CLEARLY_HIGH]),
    )
    return table, notes


_USUAL = ("usual", "usual_low", "usual_high", "usual_p_value", "history")


def _first_of_all(table: pd.DataFrame) -> int:
    """The place of the row of the whole funnel, all groups together."""
    return int(np.flatnonzero((table["group"] == ALL) & (table["basis"] == FUNNEL))[0])


def _new_level(found: UsualRange, history: History) -> list[str]:
    level = int(found.level[0, -1])
    if not level:
        return []
    since = history.periods[level]
    return [
        f"The conversion rate has had a new level since {day(since.start, year=True)}: what is "
        "usual comes from the periods since then."
    ]


class Gaps(NamedTuple):
    """Days without any event where some are usual: first instants, and what is usual then."""

    days: list[pd.Timestamp]
    usual: list[float]

    @classmethod
    def of_log(cls, log: EventLog, periods: list[Period]) -> Gaps:
        """Look for them from the first to the last of these periods."""
        zone = periods[-1].time_zone
        if not isinstance(log.start, pd.Timestamp):
            return cls([], [])
        first = max(min(p.start for p in periods), log.start.tz_convert(zone).normalize())
        last = min(max(p.end for p in periods), log.covers_until.tz_convert(zone))
        days = pd.date_range(first.tz_localize(None).normalize(), last.tz_localize(None), freq="D")
        if len(days) < 2:
            return cls([], [])
        first_of_two = np.ones(len(days), bool)
        local = list(days.tz_localize(zone, nonexistent="shift_forward", ambiguous=first_of_two))
        bounds = np.array([instant_us(at) for at in local], np.int64)
        events = sum(
            parallel.map_shards(log.shards, partial(_events_by_day, bounds=bounds)),
            np.zeros(len(bounds) - 1, np.int64),
        )
        weekday = np.array([at.weekday() for at in local[:-1]])
        usual = np.zeros(len(events))
        for i in np.flatnonzero(events == 0):
            others = events[(weekday == weekday[i]) & (np.arange(len(events)) != i)]
            usual[i] = np.median(others) if len(others) else 0
        empty = np.flatnonzero(usual >= _FEWEST_EVENTS)
        return cls([local[i] for i in empty], usual[empty].tolist())

    def within(self, period: Period) -> list[int]:
        """The places of the days that lie in a period."""
        return [i for i, at in enumerate(self.days) if period.start <= at < period.end]

    def notes(self, periods: tuple[Period, ...]) -> list[str]:
        """What is to be said of periods with such days."""
        found = []
        for period in periods:
            own = self.within(period)
            if own:
                names = listed([day(self.days[i], year=True) for i in own])
                found.append(
                    f"No event was recorded on {names}; {count(self.usual[own[0]])} are usual. So "
                    f"fewer people could enter and convert from {period.name}."
                )
        return found


def _events_by_day(shard: Shard, *, bounds: np.ndarray) -> np.ndarray:
    inside = shard.time[(shard.time >= bounds[0]) & (shard.time < bounds[-1])]
    place = np.searchsorted(bounds, inside, side="right") - 1
    return np.bincount(place, minlength=len(bounds) - 1)
