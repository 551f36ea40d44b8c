"""The answer of a comparison of two periods: its tables, sentence, numbers and figures."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.period_bounds import Period, surrounding
from analysis.core.result import Result
from analysis.core.schema import ALL, instant_us
from analysis.funnels import period_words
from analysis.funnels.figures import funnel_bars
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.funnel_steps import Step
from analysis.funnels.period_changes import FUNNEL, STEP, suppressed
from analysis.plotting.figures_changes import step_changes
from analysis.plotting.trend import rate_trend
from analysis.statistics.stats import wilson


@dataclass(frozen=True, eq=False, kw_only=True)
class PeriodResult(Result):
    """The answer of `compare_periods`.

    ``table`` has a row per group (``"all"`` first) and step from the second on, and one for the
    whole funnel: ``group, step, event, from_event, basis`` (``"step"``: of those at the step
    before; ``"funnel"``: of those who entered), ``rate, low, high, k, n, previous, previous_k,
    previous_n, change, change_low, change_high`` (fractions), ``p_value, q_value, clear``. Counts
    are users with mature entries; what is hidden or undefined is NaN.

    ``funnel_table`` and ``previous_table`` hold the funnels of both periods, in the form that
    `funnel` gives, all together and by group, with small cells hidden.
    """

    period: Period
    previous: Period
    funnel_table: pd.DataFrame
    previous_table: pd.DataFrame
    steps: tuple[Step, ...]
    window_us: int
    covers_until: pd.Timestamp
    log_start: Any
    ask: Callable[..., FunnelResult] = field(repr=False)

    @property
    def entered(self) -> tuple[float, float]:
        """Users who entered in the period, and in the one before; all entries."""
        return _first(self.funnel_table, "count"), _first(self.previous_table, "count")

    @property
    def mature(self) -> float:
        """Users of the period whose whole window the log covers; NaN where they are few."""
        return _first(self.funnel_table, "k")

    @property
    def overall(self) -> pd.Series:
        """The row of the table on the whole funnel, all groups together."""
        rows = self.table[(self.table["basis"] == FUNNEL) & (self.table["group"] == ALL)]
        return rows.iloc[0]

    @property
    def is_over(self) -> bool:
        """Does the log cover the whole period? Its counts can be compared only then."""
        return bool(self.period.end <= self.covers_until)

    @property
    def has_groups(self) -> bool:
        """Was there a breakdown, and is a group of it large enough to show?"""
        return bool((self.table["group"] != ALL).any())

    def sentence(self) -> str:
        """The conversion rate, its change, and where it changed: the headline."""
        return " ".join(self.sentences)

    @property
    def sentences(self) -> tuple[str, ...]:
        """The sentence in its parts: the rate and its change first, then the place."""
        return tuple(period_words.sentences(self))

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of the headline as plain data, undefined is None: for ``numbers.json``.

        ``macro_rate``, ``entered`` and a rate per step, all groups together.
        """
        now, before = self.entered
        said = {
            "macro_rate": _as_number(self.overall),
            "entered": {
                "value": _plain(now),
                "previous": _plain(before),
                "change": _plain(now - before) if self.is_over else None,
            },
        }
        rows = self.table[(self.table["basis"] == STEP) & (self.table["group"] == ALL)]
        by_step = {row["step"]: row for row in rows.to_dict("records")}
        for number, step in enumerate(self.steps[1:], start=2):
            name = "_or_".join(step.events)
            key = f"{name}_rate" if f"{name}_rate" not in said else f"{name}_{number}_rate"
            said[key] = _as_number(by_step.get(number, {}))
        return said

    def trend(self, periods: int = 12) -> pd.DataFrame:
        """The conversion rate of the last so many periods, this one and the next ones included.

        Columns as in `FunnelResult.trend`. Periods that begin before the log are left out; small
        cells are hidden.
        """
        few = int(self.parameters["min_cell"])
        rows = []
        for period in surrounding(self.period, periods, self.log_start, self.covers_until):
            whole = self.ask(entered=period.bounds).table
            shown = suppressed(whole, few)
            # A period that nobody entered has counts of 0; one of a few people has none to show.
            hidden = dict.fromkeys(["count", "k"], np.nan if whole["count"].iloc[0] else 0)
            first, last = (shown.iloc[0], shown.iloc[-1]) if len(shown) else (hidden, hidden)
            rows.append(
                {
                    "group": ALL,
                    "start": period.bounds[0],
                    "end": period.bounds[1],
                    "entered": first["count"],
                    "k": last["k"],
                    "n": first["k"],
                    "mature": instant_us(period.end) + self.window_us
                    <= instant_us(self.covers_until),
                }
            )
        return _with_rates(pd.DataFrame(rows))

    def figure(self) -> Any:
        """The change of each step's rate, by group, with intervals."""
        rows = self.table[self.table["basis"] == STEP]
        return step_changes(rows[(rows["group"] != ALL) | (not self.has_groups)])

    def funnel_figure(self) -> Any:
        """The funnel of the period, by group where there is a breakdown."""
        table = self.funnel_table
        return funnel_bars(table[(table["group"] != ALL) | (not self.has_groups)])

    def trend_figure(self, periods: int = 12) -> Any:
        """The conversion rate period by period, with this one marked."""
        return rate_trend(
            self.trend(periods), current=self.period.start, time_zone=self.period.time_zone
        )


def _with_rates(table: pd.DataFrame) -> pd.DataFrame:
    k, n = table["k"].fillna(0), table["n"].fillna(0).where(table["k"].notna(), 0)
    low, high = wilson(k, n)
    return table.assign(rate=(k / n.where(n > 0)), low=low, high=high)[
        ["group", "start", "end", "entered", "k", "n", "rate", "low", "high", "mature"]
    ]


def _first(table: pd.DataFrame, column: str) -> float:
    rows = table[(table["group"] == ALL) & (table["step"] == 1)]
    return float(rows[column].iloc[0]) if len(rows) else 0.0


def _plain(number: Any) -> Any:
    if pd.isna(number):
        return None
    return int(number) if float(number).is_integer() and abs(number) > 1 else float(number)


def _as_number(row: Mapping[Any, Any] | pd.Series) -> dict[str, Any]:
    fields = {"value": "rate"} | {
        name: name
        for name in ("low", "high", "n", "k", "previous", "change", "change_low", "change_high")
    }
    return {name: _plain(row.get(column, np.nan)) for name, column in fields.items()}
