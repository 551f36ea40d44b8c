"""What changed against the week before? The funnel of one period beside that of the one before.

People are selected by when they enter and then followed for the whole window, so the last days of
a period count as much as the first. The change of the conversion rate is the one question that is
asked, and its interval answers it. Which step or group moved is a search among many: there a
change is called clear only where it stands out after false-discovery control over all of them,
and where none does, that is what is said.

What this module refuses to do: compare a period that is not over with one that is, as if both
were final; name a culprit because it has the largest difference; show a group of a few people. It
hides small cells, but not against someone who subtracts the groups shown from the total.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.period_bounds import Period, period_before, period_of
from analysis.core.schema import UsageError, instant_us
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.funnels import period_words
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.period_changes import change_rows, suppressed
from analysis.funnels.period_result import PeriodResult
from analysis.funnels.result import funnel


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
    log : the events; not cut to the period, which would cut history and follow-up.
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
    if not isinstance(min_cell, int) or min_cell < 1:
        raise UsageError(f"compare_periods: min_cell={min_cell!r}. Allowed: a whole number from 1.")
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
    hidden = [note for view in (groups or overall)[:1] for note in _hidden(view, min_cell)]
    return PeriodResult(
        table=change_rows(current, past),
        parameters=parameters,
        warnings=tuple(_warnings(log, (now, before), overall, min_cell) + hidden),
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
    said = list(dict.fromkeys([*views[0].warnings, *hindsight(log, instant_us(before.start))]))
    if instant_us(now.end) > log.covers_until_us:
        said.append(period_words.not_over(now, log.covers_until))
    first: Any = log.start
    if log.events and before.start < first.tz_convert(before.time_zone).normalize():
        said.append(period_words.begins_late(before, first))
    both = sum(
        len(np.intersect1d(a.users[a.chosen], b.users[b.chosen]))
        for a, b in zip(views[0].parts, views[1].parts, strict=True)
    )
    if both:
        said.append(period_words.in_both(both, int(views[0].table["count"].iloc[0]), min_cell))
    return said


def _hidden(view: FunnelResult, min_cell: int) -> list[str]:
    before, after = view.table, suppressed(view.table, min_cell)
    entered = before[(before["step"] == 1) & (before["count"] > 0)]
    groups = len(entered) - int((after["step"] == 1).sum())
    cells = int(after["k"].isna().sum())
    return period_words.hidden(groups, cells, min_cell)
