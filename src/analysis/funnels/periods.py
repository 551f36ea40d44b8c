"""What changed against the week before, and is it unusual? The funnel of one period beside another.

People are selected by when they enter and then followed for the whole window, so the last days of
a period count as much as the first. A period whose windows are not all over is compared with as
much of the earlier one: entries of the same age.

Rates wander from week to week by more than the chance of who happened to come. So whether a change
is clear is judged by the range that the number's own past makes usual
(`analysis.statistics.usual_range`), and not by its distance from last week. Which step or group
moved is a search among many: there a change is called clear only where it stands out after
false-discovery control over all of them, and where none does, that is what is said.

The headline is for people who read no tables: the rate comes first, with its count; then the
change, with its interval, and what is usual; then where it happened, but only where that is clear.

What this module refuses to do: judge by fewer than four earlier periods; name a culprit because it
has the largest difference; show a rate of a group of a few people.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.periods import (
    Period,
    earlier,
    length_in_days,
    period_before,
    period_of,
    same_age,
    surrounding,
)
from analysis.core.result import Result, small
from analysis.core.schema import ALL, human_duration, instant_us, timestamp
from analysis.core.wording import (
    coefficient,
    count,
    day,
    group_name,
    label,
    percent,
    points,
)
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.funnels.compare import FUNNEL, STEP, change_rows, suppressed
from analysis.funnels.data import FunnelData
from analysis.funnels.figures import funnel_bars
from analysis.funnels.history import Gaps, History, counts_of, judged
from analysis.funnels.over_time import not_whole
from analysis.funnels.overlap import Correlations, correlations
from analysis.funnels.result import FunnelResult, funnel
from analysis.funnels.spec import Step
from analysis.plotting.intervals import step_changes
from analysis.plotting.trend import rate_trend
from analysis.statistics.rates import wilson
from analysis.statistics.usual_range import (
    CLEARLY_HIGH,
    CLEARLY_LOW,
    FEWEST_PERIODS,
    HIGH,
    LOW,
    MOST_PERIODS,
    TOO_FEW,
    UNKNOWN,
    usual_range,
)

_NAMED = ("day", "week", "month")
_WEEKDAYS = (
    "Mondays", "Tuesdays", "Wednesdays", "Thursdays", "Fridays", "Saturdays", "Sundays"
)  # fmt: skip


@dataclass(frozen=True, eq=False, kw_only=True)
class PeriodResult(Result):
    """The answer of `compare_periods`.

    ``table`` has a row per group (``"all"`` first) and step from the second on, and one for the
    whole funnel: ``group, step, event, from_event, basis`` (``"step"``: of those at the step
    before; ``"funnel"``: of those who entered), ``rate, low, high, k, n, previous, previous_k,
    previous_n, change, change_low, change_high`` (fractions), ``p_value, q_value`` (of the change,
    as if nothing but chance moved rates); ``usual, usual_low, usual_high`` (the middle and the
    95 % range that the periods before make usual; of a funnel of one step those of its count),
    ``usual_p_value, usual_q_value``, ``verdict`` (see `analysis.statistics.usual_range`),
    ``history`` (from how many periods), and ``clear``: the whole funnel's rate lies outside 99 %
    of what is usual, or that of a step stands out among all of them. Counts are of users with
    mature entries; hidden or undefined numbers are NaN.

    ``funnel_table`` and ``previous_table`` hold the funnels of both periods, in the form that
    `funnel` gives, all together and by group, with small cells hidden. ``compared`` is the part of
    the earlier period that is as old as the later one: all of it, once the later one is final.
    """

    period: Period
    previous: Period
    compared: Period
    funnel_table: pd.DataFrame
    previous_table: pd.DataFrame
    steps: tuple[Step, ...]
    window_us: int
    covers_until: pd.Timestamp
    log_start: Any
    entered_before: float
    days: tuple[float, float]
    past: pd.DataFrame = field(repr=False)
    view: FunnelData = field(repr=False)

    @property
    def ask(self) -> Callable[..., FunnelData]:
        """Asks the same funnel of other entries."""
        return self.view.ask

    @property
    def entered(self) -> tuple[float, float]:
        """Users who entered in the period, and in the whole one before; NaN where they are few."""
        own = float(self.view.table["count"].iloc[0])
        few = small(own, int(self.parameters["min_cell"]))
        return np.nan if few else own, self.entered_before

    @property
    def entered_per_day(self) -> tuple[float, float]:
        """The same for each day with data: for months of unequal length."""
        return self.entered[0] / self.days[0], self.entered[1] / self.days[1]

    @property
    def is_young(self) -> bool:
        """Is the earlier period cut, because windows of this one are not over?"""
        return self.compared != self.previous

    @property
    def has_cut_past(self) -> bool:
        """Does ``past`` hold only as much of each period as of this one is mature?

        A month can be cut where the one before it is shorter and is not.
        """
        return mature_until(self.period, self.view.log, self.window_us) is not None

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

        Columns as in `FunnelResult.trend`; those about what is usual are empty where periods are
        days. A final period with a gap is ``"not whole"``. Periods that begin before the log are
        left out, and small cells are hidden.
        """
        shown = surrounding(self.period, periods, self.log_start, self.covers_until)
        known = self.past.set_index("start")
        rows = []
        for period in shown:
            start, end = period.bounds
            if start in known.index and not self.has_cut_past:
                counts = dict(known.loc[start, ["entered", "k", "n", "usable"]])
            else:
                counts = counts_of(self.view, period) | {"usable": True}
            final = instant_us(period.end) + self.window_us <= instant_us(self.covers_until)
            rows.append({"start": start, "end": end, **counts, "mature": final})
        table = pd.DataFrame(rows)
        usual: dict[str, Any]
        if self.period.noun == "day":
            usual = {"usual_low": np.nan, "usual_high": np.nan, "verdict": ""}
        else:
            usual = _band(self.past, table, young=self.has_cut_past)
        return _with_rates(table.assign(group=ALL, **usual), int(self.parameters["min_cell"]))

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


def _band(past: pd.DataFrame, shown: pd.DataFrame, *, young: bool) -> dict[str, Any]:
    """What is usual in each of the periods shown, by the periods before it."""
    older = past[past["start"] < shown["start"].iloc[0]]
    series = shown if young else pd.concat([older, shown], ignore_index=True)
    usable = series["usable"].to_numpy(bool) & series["mature"].to_numpy(bool)
    found = usual_range(series["k"].to_numpy(), series["n"].to_numpy(), usable=usable)
    own = slice(len(series) - len(shown), None)
    return {
        "usual_low": found.low[own],
        "usual_high": found.high[own],
        "verdict": not_whole(found.verdict[own], shown["mature"]),
    }


def _with_rates(table: pd.DataFrame, min_cell: int) -> pd.DataFrame:
    table = table.astype({"entered": float, "k": float, "n": float})
    few = small(table["entered"], min_cell)
    table.loc[few, "entered"] = np.nan
    table.loc[few | small(table["n"], min_cell), ["k", "n"]] = np.nan
    k, n = table["k"].fillna(0), table["n"].fillna(0)
    low, high = wilson(k, n)
    return table.assign(rate=(k / n.where(n > 0)), low=low, high=high)[
        ["group", "start", "end", "entered", "k", "n", "rate", "low", "high", "mature",
         "usual_low", "usual_high", "verdict"]
    ]  # fmt: skip


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
    min_cell : groups of fewer users than this are left out of everything; 1 shows all.

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
    Changes have Newcombe's interval (1998, *Stat Med* 17:873 and 2635); people who are in both
    periods enter with their covariance. p values are of the score test for two proportions; q
    values are Benjamini & Hochberg's (1995, *JRSS B* 57:289) over every step of every group and of
    all together.

    What is usual comes from up to 26 earlier periods that the log holds whole, the same weekday
    for a day; with fewer than four it is not known. A period in which a day is without any event
    does not count. Of a period that is not final the earlier ones are cut at the same age.

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
    overall = ask(entered=now.bounds)
    age = mature_until(now, log, overall.window_us)
    compared = before if age is None else same_age(before, now, age)
    views = [overall, ask(entered=compared.bounds)]
    groups = [ask(entered=p.bounds, by=by) for p in (now, compared)] if by else []
    current = _shown([views[0], *groups[:1]], min_cell)
    past = _shown([views[1], *groups[1:]], min_cell)
    # The chains in groups are those of all together, with all together among their correlations.
    pair = groups or views
    shared = correlations(pair[0], pair[1])
    history = [
        p if age is None else same_age(p, now, age) for p in earlier(now, MOST_PERIODS, log.start)
    ]
    gaps = Gaps.of_log(log, [*history, before, now])
    widest = groups[0] if groups else overall
    found = History.of(widest, history, [not gaps.within(p) for p in history])
    parameters = {
        "steps": [step.plain() for step in overall.steps],
        "period": [str(now.start), str(now.end)],
        "previous": [str(before.start), str(before.end)],
        "window": str(window),
        "by": by if by is None or isinstance(by, str) else list(by),
        "min_cell": min_cell,
        "time_zone": time_zone,
    }
    left_out = [
        *_hidden(widest, min_cell),
        *_hidden(groups[1] if groups else views[1], min_cell, f"From {compared.name}: "),
    ]
    own = now if age is None else same_age(now, now, age)
    table, level = judged(
        change_rows(current, past, shared),
        found,
        steps=len(overall.steps),
        days=length_in_days(own),
    )
    entered = (views[1] if compared == before else ask(entered=before.bounds)).sums.entered
    result = PeriodResult(
        table=table,
        parameters=parameters,
        period=now,
        previous=before,
        compared=compared,
        funnel_table=current,
        previous_table=past,
        steps=overall.steps,
        window_us=overall.window_us,
        covers_until=log.covers_until,
        log_start=log.start,
        entered_before=np.nan if small(entered, min_cell) else float(entered),
        days=(_days(now, gaps), _days(before, gaps)),
        past=found.frame(),
        view=overall,
    )
    shared_people = _in_both(pair, shared, min_cell)
    notes = [*_warnings(log, result), *gaps.notes((now, before)), *_unequal(result)]
    notes += [*level, *shared_people, *left_out]
    return replace(result, warnings=tuple(notes))


def mature_until(period: Period, log: EventLog, window_us: int) -> pd.Timestamp | None:
    """Up to when entries have had their whole window, where that is inside of the period."""
    mature = log.covers_until_us - window_us + 1
    inside = instant_us(period.start) < mature < instant_us(period.end)
    return timestamp(mature) if inside else None


def _days(period: Period, gaps: Gaps) -> float:
    """How many days of a period have data; at least one."""
    return max(length_in_days(period) - len(gaps.within(period)), 1.0)


def _unequal(result: PeriodResult) -> list[str]:
    now, before = result.days
    if now == before or not result.is_over or np.isnan(result.entered_per_day).any():
        return []
    rates = [f"{per_day:,.1f}" for per_day in result.entered_per_day]
    return [
        f"{now:g} days with data against {before:g}: per day {rates[0]} users entered against "
        f"{rates[1]}."
    ]


def _shown(views: list[FunnelResult], min_cell: int) -> pd.DataFrame:
    tables = [suppressed(view.table, min_cell) for view in views]
    return pd.concat(tables, ignore_index=True)


def _warnings(log: EventLog, result: PeriodResult) -> list[str]:
    now, before = result.period, result.previous
    # The earlier period may lie before what picked them where the later one does not.
    notes = list(
        dict.fromkeys([*result.view.warnings, *look_ahead_warnings(log, instant_us(before.start))])
    )
    if instant_us(now.end) > log.covers_until_us:
        notes.append(not_over(now, log.covers_until))
    if result.is_young:
        notes.append(same_age_words(result.compared))
    first: Any = log.start
    if log.events and before.start < first.tz_convert(before.time_zone).normalize():
        notes.append(begins_late(before, first))
    return notes


def same_age_words(compared: Period) -> str:
    """The caveat of a comparison with a part of the earlier period."""
    last = compared.end - pd.Timedelta(1, "us")
    return (
        "Who enters several times has had fewer chances so far. So the rate is compared with that "
        f"of entries of the same age: up to {day(last, year=True)} {last:%H:%M}, and as much of "
        "each period before."
    )


def _in_both(views: list[FunnelResult], shared: Correlations, min_cell: int) -> list[str]:
    both = sum(
        len(np.intersect1d(a.users[a.chosen], b.users[b.chosen]))
        for a, b in zip(views[0].parts, views[1].parts, strict=True)
    )
    if not both:
        return []
    rows = [value for (group, _, basis), value in shared.items() if (group, basis) == (ALL, FUNNEL)]
    correlation = rows[0] if rows else 0.0
    return [in_both(both, views[0].sums.entered, min_cell, correlation)]


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


def in_both(both: int, entered: int, min_cell: int, correlation: float) -> str:
    """The caveat of people who are in both samples."""
    people = f"Fewer than {min_cell}" if both < min_cell else count(both)
    return (
        f"{people} of {count(entered)} users entered in both periods. The intervals take that into "
        f"account (correlation of the two rates {coefficient(correlation)})."
    )


def _hidden(view: FunnelData, min_cell: int, where: str = "") -> list[str]:
    """The caveats of groups and rates that are about too few people; `where`: in which period."""
    before, after = view.table, suppressed(view.table, min_cell)
    entered = before[(before["step"] == 1) & (before["count"] > 0)]
    groups = len(entered) - int((after["step"] == 1).sum())
    few = int(small(entered["count"], min_cell).sum())
    cells = int((after["n_previous"].isna() | after["n_first"].isna()).sum())
    notes = []
    if groups:
        what, verb = ("group", "is") if few == 1 else ("groups", "are")
        note = f"{where}{count(few)} {what} of fewer than {min_cell} users {verb} left out"
        more = ", and so is the smallest other one, which would give it away"
        notes.append(note + (more if groups > few else "") + ".")
    if cells:
        what, verb = ("rate", "is") if cells == 1 else ("rates", "are")
        notes.append(f"{where}{count(cells)} {what} of fewer than {min_cell} users {verb} hidden.")
    return notes


def sentences(result: PeriodResult) -> list[str]:
    """The rate and its change; then, where more than one rate was compared, the place."""
    entered, _ = result.entered
    if not entered or pd.isna(entered):
        few = f"Fewer than {result.parameters['min_cell']} users" if entered else "Nobody"
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
    return (
        f"{first}; fewer than {few} of them have had their whole window so far, too few to show a "
        f"rate. It is final on {day(_final_at(result), year=True)}."
    )


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
        return _counted(result, row, f"{count(row['n'])} users did {first}", before)
    text = (
        f"{percent(row['rate'])} of {count(row['n'])} users went from {first} to {last} within "
        f"{human_duration(result.window_us)}"
    )
    if pd.isna(row["change"]):
        interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
        return f"{text} ({interval}). {_no_rate_before(result, before)} {_usual(result, row)}"
    if result.is_young:
        before += " at the same age"
    interval = f"95% interval {points(row['change_low'])} to {points(row['change_high'])} points"
    if row["clear"]:
        more = "more" if row["change"] > 0 else "less"
        size = points(row["change"], signed=False)
        return f"{text}, {size} points {more} than {before} ({interval}). {_usual(result, row)}"
    was = f"{percent(row['previous'])} of {count(row['previous_n'])}"
    change = f"{points(row['change'])} points, {interval}"
    if row["verdict"] == UNKNOWN:
        return f"{text}, in {before} {was} ({change}). {_usual(result, row)}"
    return f"{text}: no clear change against {before} ({was}; {change}). {_usual(result, row)}"


def _counted(result: PeriodResult, row: pd.Series, text: str, before: str) -> str:
    """How many did the only step, beside the period before."""
    known = result.entered[1] > 0
    was = count(result.entered[1]) if known else "nobody, or too few to show,"
    text += f"; {was} did in {before}"
    now_days, days = result.days
    if known and now_days != days and result.is_over:
        per_day = " against ".join(f"{number:,.1f}" for number in result.entered_per_day)
        text += f" ({now_days:g} against {days:g} days: {per_day} a day)"
    return f"{text}. {_usual(result, row)}"


def _no_rate_before(result: PeriodResult, before: str) -> str:
    few = result.parameters["min_cell"]
    if pd.isna(result.entered[1]) or result.entered[1] > 0:
        return f"Fewer than {few} users can be counted in {before}, too few to show a rate."
    return f"There is no rate of {before} to compare with."


def _usual(result: PeriodResult, row: pd.Series) -> str:
    """What is usual for the number, and whether it is."""
    verdict = row["verdict"]
    if verdict == UNKNOWN:
        past = 0 if pd.isna(row["history"]) else int(row["history"])
        there = "is" if past == 1 else "are"
        return (
            f"What is usual is not known yet: that takes {FEWEST_PERIODS} earlier "
            f"{_several(result.period)} to go by, and there {there} {past or 'none'}."
        )
    said = count if len(result.steps) == 1 else percent
    limits = f"{said(row['usual_low'])} to {said(row['usual_high'])}"
    if verdict == TOO_FEW:
        return f"Usual is {limits}; that is too few to judge {_one(result.period)} by."
    if verdict in (LOW, HIGH):
        return f"That is {verdict}, but not clearly so: usual is {limits}."
    if verdict in (CLEARLY_LOW, CLEARLY_HIGH):
        return f"That is {verdict}: usual is {limits}."
    return f"Usual is {limits}."


def _several(period: Period) -> str:
    """The earlier periods that it is compared with: ``weeks``, ``Mondays``."""
    if period.noun == "day":
        return _WEEKDAYS[period.first_day.weekday()]
    return f"{period.noun}s" if period.noun in _NAMED else f"stretches of {period.noun}"


def _one(period: Period) -> str:
    return f"a single {period.noun}" if period.noun in _NAMED else f"{period.noun} alone"


def before_words(period: Period, previous: Period) -> str:
    """``the week before``, or the days where it is not directly before."""
    if previous.end == period.start and previous.noun == period.noun:
        return f"the {period.noun} before"
    return f"the time from {previous.name}"


def _where(result: PeriodResult) -> str:
    table = result.table
    table = table[(table["basis"] == STEP) & table["usual_p_value"].notna()]
    if not len(table):
        return ""
    best = table.sort_values(["usual_p_value", "step"], kind="stable").iloc[0]
    if best["clear"]:
        return _clearest(result, best, int(table["clear"].sum()), len(table))
    groups = (result.has_groups and " or group") or ""
    return (
        f"No single step{groups} stands out: the most unusual rate, {_place(result, best)} "
        f"({_instead(best)}), is within what chance gives among {len(table)} comparisons."
    )


def _clearest(result: PeriodResult, best: pd.Series, clear: int, compared: int) -> str:
    where = f"{_place(result, best)}: {_instead(best)}."
    turn, turned = ("rise", "rose") if best["rate"] > best["usual"] else ("fall", "fell")
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
    return f"{percent(row['rate'])} of {count(row['n'])}, usually {percent(row['usual'])}"


def _named(name: Any) -> str:
    return f"“{label(name)}”"
