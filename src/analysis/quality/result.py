"""Can this log be believed, and may it be used for a report on this period?

`audit`: nineteen checks of what goes wrong with event logs. An answer is no better than the log it
comes from, and most of what goes wrong with logs shows in the log itself: a tag that fires twice, a
name with a slip in it, a day that is missing, a clock that is off, orders without a value. `audit`
looks for each, says what it found and what to do, and draws its lines where `Limits` says. One scan
of every shard finds it all; integers add up, so the number of shards changes nothing.

`gate`: checked before anything is said. Where it fails, the numbers below are about nothing, about
the wrong time or of a log that is broken: do not read on. Where it warns, read on with this in
mind. It checks itself whether the log holds the period; whether the log can be believed is what
`audit` says.

A check that has nothing to go by says "not applicable" and why; it never passes. What this module
refuses to do: repair. It changes no row, it names no person, and it does not say that what
passed is true, only that it does not look wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.periods import Period, period_of
from analysis.core.result import Result
from analysis.core.schema import (
    duration_us,
    human_duration,
    instant_us,
    one_of,
    time_zone_of,
    timestamp,
)
from analysis.core.wording import count, counted, day, days, isolate, share
from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog
from analysis.quality import figures, row_checks, time_checks
from analysis.quality.scan import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    WARN,
    Finding,
    Limits,
    days_of,
    groups_of,
    not_applicable,
    scan,
    verdict_of,
)

ENTRY: Final = ("page_view", "session_start", "screen_view", "first_visit", "first_open")
"""Events with which a visit begins, by their usual names."""

NEED_ROWS: Final = (
    "new and vanished names",
    "daily volume",
    "last day",
    "lasting changes",
    "changes in one group",
    "missing cells",
    "lost at the import",
    "duplicates",
    "bursts",
    "clock",
    "shared ids",
    "bots",
    "sessions without an entry",
    "time zone",
    "orders without value",
    "duplicate orders",
    "revenue outliers",
)


# ── audit ────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditResult(Result):
    """The answer of `audit`.

    Attributes
    ----------
    table : a row per check: ``check``, ``verdict`` (``pass``, ``warn``, ``fail`` or ``not
        applicable``), ``value`` and the ``limit`` from which on it warns, ``k`` of ``n`` (what it
        is about), ``finding`` and ``advice`` in words.
    details : the tables behind the figures of single checks, by the check's name.
    """

    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The worst of all checks: ``pass``, ``warn`` or ``fail``."""
        return _worst(self.table["verdict"])

    def sentence(self) -> str:
        """How many checks passed, and what the others found."""
        many = Counter(self.table["verdict"])
        parts = [
            f"{count(many[PASS])} of {count(len(self.table))} checks passed",
            *([f"{count(many[WARN])} warn"] if many[WARN] else []),
            *([f"{count(many[FAIL])} fail"] if many[FAIL] else []),
            *([f"{count(many[NOT_APPLICABLE])} do not apply"] if many[NOT_APPLICABLE] else []),
        ]
        worst_first = sorted(self.table.itertuples(), key=lambda row: row.verdict != FAIL)
        sentences = [str(row.finding) for row in worst_first if row.verdict in (FAIL, WARN)]
        return " ".join([", ".join(parts) + ".", *sentences])

    def figure(self, check: str | None = None) -> Any:
        """All checks with their verdicts, or what one of them saw.

        Parameters
        ----------
        check : one of ``details``; default: the table as a whole.

        Raises
        ------
        UsageError
            If that check has no figure.
        """
        if check is None:
            return figures.audit_rows(self.table)
        draw = {
            "daily volume": figures.daily_volume,
            "lasting changes": figures.lasting_changes,
            "missing cells": figures.missing_cells,
            "new and vanished names": figures.silences,
            "revenue outliers": figures.value_classes,
            "time zone": figures.hours_of_day,
        }
        one_of("AuditResult.figure: check", check, draw)
        if check not in self.details:
            return figures.empty("The log is empty.", title=None)
        return draw[check](self.details[check])


def audit(
    log: EventLog,
    catalog: Catalog,
    *,
    limits: Limits | None = None,
    entry: tuple[str, ...] = ENTRY,
    time_zone: str = "UTC",
) -> AuditResult:
    """Can this log be believed? What looks wrong with it, and what to do about it.

    Parameters
    ----------
    catalog : the planned event names and their roles.
    limits : where the lines are drawn; default: `Limits()`.
    entry : the events with which a visit begins; one of them is enough.
    time_zone : where people live; its midnights bound the days.

    Raises
    ------
    UsageError
        If the time zone is unknown.

    Notes
    -----
    A log without rows has nothing to be checked but its names. Levels and scatter are medians and
    median absolute deviations (Hampel 1974, *JASA* 69:383), so a fault does not hide itself; the
    modules ``row_checks`` and ``time_checks`` say how each check is made.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01", "2026-01-02"]),
    ...     "event": ["add_to_crt", "purchase"]}))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "purchase": {"role": "macro"}, "add_to_cart": {"role": "milestone"}}})
    >>> result = audit(log, shop)
    >>> result.verdict, result.table.set_index("check").loc["seen, not planned", "finding"]
    ('warn', "'add_to_crt' (1 event): did they mean 'add_to_cart'?")
    """
    lines = limits or Limits()
    entry = (entry,) if isinstance(entry, str) else tuple(entry)
    time_zone_of(time_zone, "audit: time_zone")
    seen = dict(zip(*log.summary()[["event", "events"]].to_dict("list").values(), strict=True))
    findings = [
        time_checks.never_seen(seen, catalog, lines),
        time_checks.not_planned(seen, catalog, lines),
    ]
    details: dict[str, pd.DataFrame] = {}
    if log.events:
        more, details = _of_rows(log, catalog, lines, entry, time_zone)
        findings += more
    else:
        findings += [not_applicable(check, "The log is empty.") for check in NEED_ROWS]
    return AuditResult(
        table=pd.DataFrame(findings),
        details=details,
        parameters={"limits": asdict(lines), "entry": list(entry), "time_zone": time_zone},
        warnings=tuple(f"{f.check}: {f.finding}" for f in findings if f.verdict in (WARN, FAIL)),
    )


def _of_rows(
    log: EventLog, catalog: Catalog, limits: Limits, entry: tuple[str, ...], time_zone: str
) -> tuple[list[Finding], dict[str, pd.DataFrame]]:
    days = days_of(log, time_zone)
    groups = groups_of(log)
    counts = scan(log, days, entry=entry, limits=limits, groups=groups)
    names, rows = log.event_names, log.events
    people = log.summary().set_index("event")["users"]
    persons = people.reindex(list(names), fill_value=0).to_numpy()
    silence, silent = time_checks.silences(counts, days, names, persons, limits)
    change, in_group, changes = time_checks.lasting(counts, days, names, groups, persons, limits)
    volume, last_day, series = time_checks.volume(counts, days, names, limits)
    cells, missing = row_checks.missing(counts, days, names, log.properties, limits)
    orders = row_checks.orders_of(log, catalog)
    outliers, classes = row_checks.outliers(orders, limits)
    findings = [
        silence,
        volume,
        last_day,
        change,
        in_group,
        cells,
        row_checks.lost(log, catalog, limits),
        row_checks.duplicates(counts, names, log.properties, orders, rows, limits),
        row_checks.repeats(counts, names, rows, limits),
        row_checks.clock(log, counts, days, limits),
        row_checks.shared_ids(log, limits),
        row_checks.bots(counts, log.users, limits),
        row_checks.entries(counts, entry, names, limits),
        row_checks.night(counts, days, limits),
        row_checks.without_value(orders, log, catalog, limits),
        row_checks.order_ids(orders, log, catalog, limits),
        outliers,
    ]
    hours = pd.DataFrame({"hour": np.arange(24), "count": counts.hours[:24]})
    return findings, {
        "new and vanished names": silent,
        "daily volume": series,
        "lasting changes": changes,
        "missing cells": missing,
        "time zone": hours,
        "revenue outliers": classes,
    }


# ── gate ─────────────────────────────────────────────────────────────────────────────────────────


class Check(NamedTuple):
    """One row of a gate: what was looked at, ``pass``, ``warn`` or ``fail``, and what was found."""

    check: str
    status: str
    finding: str


@dataclass(frozen=True, eq=False, kw_only=True)
class GateResult(Result):
    """The answer of `gate`: ``table`` has a row per check (``check, status, finding``).

    ``tells_losses`` says whether one of them tells what the import lost.
    """

    tells_losses: bool = False

    @property
    def status(self) -> str:
        """The worst of all checks: ``pass``, ``warn`` or ``fail``."""
        return _worst(self.table["status"])

    def sentence(self) -> str:
        """Whether the data check passed; where it did not, why."""
        answers = {
            PASS: "The data check passed.",
            WARN: "The data check passed with remarks:",
            FAIL: "The data check FAILED; do not use the numbers of this report:",
        }
        odd = self.table[self.table["status"] == self.status]
        why = [] if self.status == PASS else list(odd["finding"])
        return " ".join([answers[self.status], *why])


def gate(
    log: EventLog,
    catalog: Catalog,
    *,
    period: tuple[Any, Any],
    window: Any = "7d",
    time_zone: str = "UTC",
) -> GateResult:
    """May this log be used for a report on this period?

    It fails where the period lies outside the log, where what pays never happened in it, or where
    the import could not read much of what pays. It warns where the period or its follow-up is not
    over yet, or where nobody converted in it. Its last check is the audit of the log up to the end
    of the follow-up, and fails or warns as that does: what went wrong later is not this report's.

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
    lost = row_checks.lost(log, catalog, Limits())
    checks = [
        _content(log, asked, lost),
        _period(log, asked),
        _follow_up(log, asked, window_us),
        _macro(log, catalog, asked),
        _quality(log, catalog, asked, window_us),
    ]
    odd = sorted((c for c in checks if c.status != PASS), key=lambda c: c.status != FAIL)
    return GateResult(
        table=pd.DataFrame(checks),
        parameters={
            "period": [str(asked.start), str(asked.end)],
            "window": str(window),
            "time_zone": time_zone,
        },
        warnings=tuple(f"{c.check}: {c.finding}" for c in odd),
        tells_losses=lost.verdict in (WARN, FAIL),
    )


def _content(log: EventLog, asked: Period, lost: Finding) -> Check:
    much = lost.verdict in (WARN, FAIL)
    if not log.events:
        return Check("Log", FAIL, f"The log is empty. {lost.finding if much else ''}".strip())
    first: Any = log.start
    last: Any = log.end
    span = days(
        first.tz_convert(asked.time_zone), last.tz_convert(asked.time_zone) + pd.Timedelta(1, "us")
    )
    finding = f"{counted(log.events, 'event')} of {counted(log.users, 'user')}, {span}."
    return (
        Check("Log", lost.verdict, f"{finding} {lost.finding}")
        if much
        else Check("Log", PASS, finding)
    )


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
    text = human_duration(window_us)
    if instant_us(final) <= log.covers_until_us:
        return Check("Follow-up", PASS, f"Everybody who entered was followed for {text}.")
    when = day(final.tz_convert(asked.time_zone), year=True)
    finding = f"The last to enter have not had their {text} yet; the rates are final on {when}."
    return Check("Follow-up", WARN, finding)


def _macro(log: EventLog, catalog: Catalog, asked: Period) -> Check:
    name = catalog.label(catalog.macro)
    if not totals(log, catalog.macro).events:
        return Check(
            "Macro conversion", FAIL, f"“{name}” ({isolate(catalog.macro)}) is never in the log."
        )
    inside = totals(log, catalog.macro, period=asked.bounds).events
    lost = _lost_macros(log, catalog, asked, inside)
    if lost and verdict_of(lost / (inside + lost), Limits().lost) != PASS:
        rate = lost / (inside + lost)
        finding = (
            f"{share(lost, inside + lost, rate)} of “{name}” in the weeks of {asked.name} could "
            "not be read at the import: look into quarantine.parquet."
        )
        return Check("Macro conversion", verdict_of(rate, Limits().lost), finding)
    if not inside:
        return Check("Macro conversion", WARN, f"“{name}” did not happen in {asked.name}.")
    return Check("Macro conversion", PASS, f"“{name}” happened in {asked.name}.")


def _lost_macros(log: EventLog, catalog: Catalog, asked: Period, inside: float) -> int:
    """How many events that pay the import could not read, of the weeks that the period touches.

    Those whose time could not be read belong to it in proportion to the others.
    """
    losses = log.losses()
    own = losses[(losses["fate"] == "quarantined") & (losses["event"] == catalog.macro)]
    if not len(own):
        return 0
    first, last = (at.tz_convert("UTC") for at in (asked.start, asked.end - pd.Timedelta(1, "us")))
    monday = (first - pd.Timedelta(days=first.day_of_week)).date().isoformat()
    known = own["week"].between(monday, last.date().isoformat())
    whole = totals(log, catalog.macro).events
    timeless = own.loc[own["week"] == "", "rows"].sum() * inside / whole
    return round(float(own.loc[known, "rows"].sum() + timeless))


def _quality(log: EventLog, catalog: Catalog, asked: Period, window_us: int) -> Check:
    until = instant_us(asked.end) + window_us
    first: Any = log.start
    if log.events and instant_us(first) < until < log.covers_until_us:
        log = log.between(end=timestamp(until))
    audited = audit(log, catalog, time_zone=asked.time_zone)
    # What the import lost is told beside the log's size.
    told = (audited.table["check"] == row_checks.LOST) & (audited.table["verdict"] != PASS)
    audited = replace(audited, table=audited.table[~told])
    return Check("Data quality", audited.verdict, audited.sentence())


def _worst(verdicts: pd.Series) -> str:
    found = set(verdicts)
    return FAIL if FAIL in found else WARN if WARN in found else PASS
