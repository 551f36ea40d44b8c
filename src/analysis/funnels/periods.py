"""What changed against the week before? The funnel of one period beside that of the one before.

People are selected by when they enter and then followed for the whole window, so the last days of
a period count as much as the first. The change of the conversion rate is the one question that is
asked, and its interval answers it. Which step or group moved is a search among many: there a
change is called clear only where it stands out after false-discovery control over all of them,
and where none does, that is what is said.

The headline is for people who read no tables: the rate comes first, with its count; then the
change, with its interval, or that there is no clear one; then where it happened, but only where
that is clear of chance.

What this module refuses to do: compare a period that is not over with one that is, as if both
were final; name a culprit because it has the largest difference; show a group of a few people. It
hides small cells, but not against someone who subtracts the groups shown from the total.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.periods import Period, period_before, period_of, surrounding
from analysis.core.result import Result
from analysis.core.schema import ALL, human_duration, instant_us, timestamp
from analysis.core.wording import count, day, group_name, label, percent, points
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.funnels.compare import FUNNEL, STEP, change_rows, suppressed
from analysis.funnels.data import FunnelData
from analysis.funnels.figures import funnel_bars
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Step
from analysis.plotting.intervals import step_changes
from analysis.plotting.trend import rate_trend
from analysis.statistics.rates import wilson


@dataclass(frozen=True, eq=False, kw_only=True)
class PeriodResult(Result):
    """The answer of `compare_periods`.

    ``table`` has a row per group (``"all"`` first) and step from the second on, and one for the
    whole funnel: ``group, step, event, from_event, basis`` (``"step"``: of those at the step
    before; ``"funnel"``: of those who entered), ``rate, low, high, k, n, previous, previous_k,
    previous_n, change, change_low, change_high`` (fractions), ``p_value, q_value, clear``. Counts
    are of users with mature entries; hidden or undefined numbers are NaN.

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
    ask: Callable[..., FunnelData] = field(repr=False)

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
        return tuple(sentences(self))

    def numbers(self) -> dict[str, dict[str, Any]]:
        """The numbers of the headline as plain data, undefined is None: for ``numbers.json``.

        ``macro_rate``, ``entered`` and a rate per step, all groups together.
        """
        now, before = self.entered
        numbers = {
            "macro_rate": _number(self.overall),
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
            key = f"{name}_rate" if f"{name}_rate" not in numbers else f"{name}_{number}_rate"
            numbers[key] = _number(by_step.get(number, {}))
        return numbers

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


def _number(row: Mapping[Any, Any] | pd.Series) -> dict[str, Any]:
    fields = {"value": "rate"} | {
        name: name
        for name in ("low", "high", "n", "k", "previous", "change", "change_low", "change_high")
    }
    return {name: _plain(row.get(column, np.nan)) for name, column in fields.items()}


def compare_periods(
    log: EventLog,
    steps: Sequence[Any],
    *,
    period: tuple[Any, Any],
    previous: tuple[Any, Any] | None = None,
    window: Any = "7d",
    by: str | Sequence[str] | None = None,
    min_cell: int = 5,
    time_zone: str = "UTC",
) -> PeriodResult:
    """Did more or fewer get through than the period before, and where did that change?

    Parameters
    ----------
    log : the events, not cut to the period, which would cut history and follow-up.
    steps, window, by : as `funnel` takes them.
    period : (start, end) of the entries, `end` excluded. Naive instants are local times of
        `time_zone`.
    previous : the period to compare with; default: the one of the same length directly before,
        a calendar month for a calendar month.
    min_cell : groups and counts of fewer users than this are left out of everything; 1 shows all.

    Returns
    -------
    PeriodResult

    Raises
    ------
    UsageError
        If an argument is unknown or out of range, or the period ends before it starts.
    DataError
        If the log is empty.

    Notes
    -----
    Changes have Newcombe's interval (1998, *Stat Med* 17:873), which takes the two periods as
    independent. p values are of the score test for two proportions; q values are Benjamini &
    Hochberg's (1995, *JRSS B* 57:289) over every step of every group and of all together.

    Examples
    --------
    >>> days = ["2026-01-01"] * 9 + ["2026-01-08"] * 8
    >>> rows = [(f"u{i}", day, "cart") for i, day in enumerate(days)]
    >>> rows += [(f"u{i}", day, "purchase") for i, day in enumerate(days) if i not in (6, 7, 8)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> week = compare_periods(log, ["cart", "purchase"], period=("2026-01-08", "2026-01-15"))
    >>> week.numbers()["macro_rate"]["value"], round(week.numbers()["macro_rate"]["change"], 3)
    (1.0, 0.333)
    """
    log = log.until_end()
    min_cell = checks.min_cell("compare_periods", min_cell)
    now = period_of(period, time_zone, "compare_periods: period")
    before = period_before(now)
    if previous is not None:
        before = period_of(previous, time_zone, "compare_periods: previous")
    ask = partial(funnel, log, steps, window=window)
    overall = [ask(entered=p.bounds) for p in (now, before)]
    groups = [ask(entered=p.bounds, by=by) for p in (now, before)] if by else []
    current = _shown([overall[0], *groups[:1]], min_cell)
    past = _shown([overall[1], *groups[1:]], min_cell)
    parameters = {
        "steps": [step.plain() for step in overall[0].steps],
        "period": [str(now.start), str(now.end)],
        "previous": [str(before.start), str(before.end)],
        "window": str(window),
        "by": by if by is None or isinstance(by, str) else list(by),
        "min_cell": min_cell,
        "time_zone": time_zone,
    }
    left_out = _hidden(groups[0] if groups else overall[0], min_cell)
    return PeriodResult(
        table=change_rows(current, past),
        parameters=parameters,
        warnings=(*_warnings(log, (now, before), overall, min_cell), *left_out),
        period=now,
        previous=before,
        funnel_table=current,
        previous_table=past,
        steps=overall[0].steps,
        window_us=overall[0].window_us,
        covers_until=log.covers_until,
        log_start=log.start,
        ask=overall[0].ask,
    )


def _shown(views: list[FunnelResult], min_cell: int) -> pd.DataFrame:
    tables = [suppressed(view.table, min_cell) for view in views]
    return pd.concat(tables, ignore_index=True)


def _warnings(
    log: EventLog, periods: tuple[Period, Period], views: list[FunnelResult], min_cell: int
) -> list[str]:
    now, before = periods
    # The earlier period may lie before what picked them where the later one does not.
    notes = list(
        dict.fromkeys([*views[0].warnings, *look_ahead_warnings(log, instant_us(before.start))])
    )
    if instant_us(now.end) > log.covers_until_us:
        notes.append(not_over(now, log.covers_until))
    first: Any = log.start
    if log.events and before.start < first.tz_convert(before.time_zone).normalize():
        notes.append(begins_late(before, first))
    both = sum(
        len(np.intersect1d(a.users[a.chosen], b.users[b.chosen]))
        for a, b in zip(views[0].parts, views[1].parts, strict=True)
    )
    if both:
        notes.append(in_both(both, int(views[0].table["count"].iloc[0]), min_cell))
    return notes


def not_over(period: Period, until: pd.Timestamp) -> str:
    """The caveat of a period that is still running."""
    covered = until.tz_convert(period.time_zone)
    return (
        f"The log is complete up to {day(covered, year=True)} {covered:%H:%M} only: the period "
        f"{period.name} is not over, and fewer people than in a whole one are in it."
    )


def begins_late(before: Period, start: pd.Timestamp) -> str:
    """The caveat of a comparison with a period that the log does not hold whole."""
    first = day(start.tz_convert(before.time_zone), year=True)
    return (
        f"The log begins on {first}, so the period it is compared with ({before.name}) is not "
        "in it, or not whole: read the change with care."
    )


def in_both(both: int, entered: int, min_cell: int) -> str:
    """The caveat of people who are in both samples."""
    people = f"Fewer than {min_cell}" if both < min_cell else count(both)
    return (
        f"{people} of {count(entered)} users entered in both periods. The intervals take the "
        "periods as independent; where the same people behave alike in both, they are too wide."
    )


def _hidden(view: FunnelResult, min_cell: int) -> list[str]:
    """The caveats of groups and steps that are about too few people."""
    before, after = view.table, suppressed(view.table, min_cell)
    entered = before[(before["step"] == 1) & (before["count"] > 0)]
    groups = len(entered) - int((after["step"] == 1).sum())
    cells = int(after["k"].isna().sum())
    notes = []
    if groups:
        what = "group" if groups == 1 else "groups"
        notes.append(f"{count(groups)} {what} of fewer than {min_cell} users left out.")
    if cells:
        what = "step count" if cells == 1 else "step counts"
        notes.append(f"{count(cells)} {what} of fewer than {min_cell} users hidden.")
    return notes


def sentences(result: PeriodResult) -> list[str]:
    """The rate and its change; then, where more than one rate was compared, the place."""
    entered, _ = result.entered
    if not entered:
        few = "Nobody, or too few people to show,"
        return [f"{few} entered the funnel from {result.period.name}: there is no rate to tell."]
    row = result.overall
    if pd.isna(row["rate"]):
        return [_no_rate(result, entered)]
    notes = [_final(result, entered) + _rate_and_change(result, row)]
    if len(result.steps) > 2 or result.has_groups:
        notes.append(_where(result))
    return [part for part in notes if part]


def _no_rate(result: PeriodResult, entered: float) -> str:
    first = f"{count(entered)} users did {_named(result.steps[0].name)} from {result.period.name}"
    if result.mature == 0:
        final = day(_final_at(result), year=True)
        return (
            f"{first}. None of their windows of {human_duration(result.window_us)} is over yet, "
            f"so there is no rate to tell; it is final on {final}."
        )
    few = int(result.parameters["min_cell"])
    last = _named(result.steps[-1].name)
    return f"{first}; fewer than {few} of them reached {last}, too few to show a rate."


def _final_at(result: PeriodResult) -> pd.Timestamp:
    end = timestamp(instant_us(result.period.end) + result.window_us)
    return end.tz_convert(result.period.time_zone)


def _final(result: PeriodResult, entered: float) -> str:
    if not entered > result.mature and result.is_over:
        return ""
    return (
        f"Not final before {day(_final_at(result))}: {count(result.mature)} of {count(entered)} "
        "users have had their whole window so far. "
    )


def _rate_and_change(result: PeriodResult, row: pd.Series) -> str:
    before = before_words(result.period, result.previous)
    first, last = (_named(result.steps[i].name) for i in (0, -1))
    if len(result.steps) == 1:
        was = count(row["previous_n"]) if row["previous_n"] > 0 else "nobody, or too few to show,"
        return f"{count(row['n'])} users did {first}; {was} did in {before}."
    text = (
        f"{percent(row['rate'])} of {count(row['n'])} users went from {first} to {last} within "
        f"{human_duration(result.window_us)}"
    )
    if pd.isna(row["change"]):
        interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
        return f"{text} ({interval}). There is no rate of {before} to compare with."
    interval = f"95% interval {points(row['change_low'])} to {points(row['change_high'])} points"
    if row["clear"]:
        more = "more" if row["change"] > 0 else "less"
        size = points(row["change"], signed=False)
        return f"{text}, {size} points {more} than {before} ({interval})."
    was = f"{percent(row['previous'])} of {count(row['previous_n'])}"
    change = f"{points(row['change'])} points, {interval}"
    return f"{text}: no clear change against {before} ({was}; {change})."


def before_words(period: Period, previous: Period) -> str:
    """``the week before``, or the days where it is not directly before."""
    if previous.end == period.start and previous.noun == period.noun:
        return f"the {period.noun} before"
    return f"the time from {previous.name}"


def _where(result: PeriodResult) -> str:
    table = result.table[(result.table["basis"] == "step") & result.table["p_value"].notna()]
    if not len(table):
        return ""
    best = table.sort_values(["p_value", "step"], kind="stable").iloc[0]
    if best["clear"]:
        return _clearest(result, best, int(table["clear"].sum()), len(table))
    groups = (result.has_groups and " or group") or ""
    return (
        f"No single step{groups} stands out: the largest difference, {_place(result, best)} "
        f"({_instead(best)}), is within what chance gives among {len(table)} comparisons."
    )


def _clearest(result: PeriodResult, best: pd.Series, clear: int, compared: int) -> str:
    where = f"{_place(result, best)}: {_instead(best)}."
    turn, turned = ("rise", "rose") if best["change"] > 0 else ("fall", "fell")
    if result.overall["clear"]:
        return f"The clearest {turn} is {where}"
    if clear == 1:
        return f"But one of the {compared} rates that were compared clearly {turned}, {where}"
    changed = f"{clear} of the {compared} rates that were compared changed clearly"
    return f"But {changed}; the clearest {turn} is {where}"


def _place(result: PeriodResult, row: pd.Series) -> str:
    way = f"from {_named(row['from_event'])} to {_named(row['event'])}"
    if row["group"] == ALL:
        return way
    by = result.parameters["by"]
    names = by if isinstance(by, str) else " and ".join(by)
    return f"{way} for {names} “{group_name(row['group'])}”"


def _instead(row: pd.Series) -> str:
    return (
        f"{percent(row['rate'])} of {count(row['n'])} instead of "
        f"{percent(row['previous'])} of {count(row['previous_n'])}"
    )


def _named(name: Any) -> str:
    return f"“{label(name)}”"
