"""May these data be used for this report? Checked before anything is said.

A gate that fails means: do not read on, the numbers below are about nothing, about the wrong time
or of a log that is broken. A gate that warns means: read on, with this in mind. Whether the log
holds the period is looked at here; whether the log can be believed is what `audit` says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import pandas as pd

from analysis.catalog import Catalog
from analysis.core.period_bounds import Period, period_of
from analysis.core.result import Result
from analysis.core.schema import duration_us, human_duration, instant_us, timestamp
from analysis.core.wording import count, day, days
from analysis.eventlog.log import EventLog
from analysis.eventlog.totals import totals
from analysis.quality.result import audit

PASS, WARN, FAIL = "pass", "warn", "fail"


class Check(NamedTuple):
    """One fact: what was looked at, ``pass``, ``warn`` or ``fail``, and what was found."""

    check: str
    status: str
    finding: str


@dataclass(frozen=True, eq=False, kw_only=True)
class GateResult(Result):
    """The answer of `gate`: ``table`` has a row per check (``check, status, finding``)."""

    @property
    def status(self) -> str:
        """The worst of all checks: ``pass``, ``warn`` or ``fail``."""
        found = set(self.table["status"])
        return FAIL if FAIL in found else WARN if WARN in found else PASS

    def sentence(self) -> str:
        """What the gate says, and why where it does not let pass."""
        said = {
            PASS: "The data check passed.",
            WARN: "The data check passed with remarks:",
            FAIL: "The data check FAILED; do not use the numbers of this report:",
        }
        odd = self.table[self.table["status"] == self.status]
        why = [] if self.status == PASS else list(odd["finding"])
        return " ".join([said[self.status], *why])


def gate(
    log: EventLog,
    catalog: Catalog,
    *,
    period: tuple[Any, Any],
    window: Any = "7d",
    time_zone: str = "UTC",
) -> GateResult:
    """May this log be used for a report on this period?

    It fails where the period lies outside the log, or where what pays never happened in it. It
    warns where the period or its follow-up is not over yet, or where nobody converted in it. Its
    last check is the audit of the log as a whole, and fails or warns as that does.

    Parameters
    ----------
    period : (start, end), `end` excluded; naive instants are local times of `time_zone`.
    window : how long people are followed after they enter.

    Raises
    ------
    UsageError
        If the period, the window or the time zone cannot be read.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["purchase"]}))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {"purchase": {"role": "macro"}}})
    >>> gate(log, shop, period=("2026-03-01", "2026-03-08")).status
    'fail'
    """
    asked = period_of(period, time_zone, "gate: period")
    window_us = duration_us(window, "gate: window")
    checks = [
        _content(log, asked),
        _period(log, asked),
        _follow_up(log, asked, window_us),
        _macro(log, catalog, asked),
        _quality(log, catalog, time_zone),
    ]
    return GateResult(
        table=pd.DataFrame(checks),
        parameters={
            "period": [str(asked.start), str(asked.end)],
            "window": str(window),
            "time_zone": time_zone,
        },
        warnings=tuple(f"{c.check}: {c.finding}" for c in checks if c.status != PASS),
    )


def _content(log: EventLog, asked: Period) -> Check:
    if not log.events:
        return Check("Log", FAIL, "The log is empty.")
    first: Any = log.start
    last: Any = log.end
    span = days(
        first.tz_convert(asked.time_zone), last.tz_convert(asked.time_zone) + pd.Timedelta(1, "us")
    )
    return Check("Log", PASS, f"{count(log.events)} events of {count(log.users)} users, {span}.")


def _period(log: EventLog, asked: Period) -> Check:
    covered = timestamp(log.covers_until_us).tz_convert(asked.time_zone)
    until = day(covered, year=True)
    first: Any = log.start
    if instant_us(asked.start) >= log.covers_until_us:
        return Check("Period", FAIL, f"{asked.name} lies after the log, which ends on {until}.")
    if log.events and asked.end <= first:
        begins = day(first.tz_convert(asked.time_zone), year=True)
        return Check("Period", FAIL, f"{asked.name} lies before the log, which begins on {begins}.")
    if instant_us(asked.end) > log.covers_until_us:
        return Check("Period", WARN, f"{asked.name} is not over: the log ends on {until}.")
    if log.events and asked.start < first.tz_convert(asked.time_zone).normalize():
        begins = day(first.tz_convert(asked.time_zone), year=True)
        return Check("Period", WARN, f"{asked.name} is not whole: the log begins on {begins}.")
    return Check("Period", PASS, f"{asked.name} is complete.")


def _follow_up(log: EventLog, asked: Period, window_us: int) -> Check:
    final = timestamp(instant_us(asked.end) + window_us)
    said = human_duration(window_us)
    if instant_us(final) <= log.covers_until_us:
        return Check("Follow-up", PASS, f"Everybody who entered was followed for {said}.")
    when = day(final.tz_convert(asked.time_zone), year=True)
    finding = f"The last to enter have not had their {said} yet; the rates are final on {when}."
    return Check("Follow-up", WARN, finding)


def _macro(log: EventLog, catalog: Catalog, asked: Period) -> Check:
    name = catalog.label(catalog.macro)
    if not totals(log, catalog.macro).events:
        return Check("Macro conversion", FAIL, f"“{name}” ({catalog.macro}) is never in the log.")
    inside = totals(log, catalog.macro, period=asked.bounds)
    if not inside.events:
        return Check("Macro conversion", WARN, f"“{name}” did not happen in {asked.name}.")
    return Check("Macro conversion", PASS, f"“{name}” happened in {asked.name}.")


def _quality(log: EventLog, catalog: Catalog, time_zone: str) -> Check:
    audited = audit(log, catalog, time_zone=time_zone)
    return Check("Data quality", audited.verdict, audited.sentence())
