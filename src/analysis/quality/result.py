"""Can this log be believed? Fifteen checks of what goes wrong with event logs.

An answer is no better than the log it comes from, and most of what goes wrong with logs shows in
the log itself: a tag that fires twice, a name with a slip in it, a day that is missing, a clock
that is off, orders without a value. `audit` looks for each, says what it found and what to do, and
draws its lines where `Limits` says. One look at every shard finds it all; integers add up, so the
number of shards changes nothing.

A check that has nothing to go by says "not applicable" and why; it never passes. What this module
refuses to do: repair. It changes no row, it names no person, and it does not say that what
passed is true, only that it does not look wrong.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import one_of, time_zone_of
from analysis.core.wording import count
from analysis.eventlog.log import EventLog
from analysis.quality import quality_cells, quality_names, quality_orders
from analysis.quality import row_checks as quality_rows
from analysis.quality import time_checks as quality_volume
from analysis.quality.figures import audit_rows, hours_of_day, value_classes
from analysis.quality.figures_quality_days import daily_volume, missing_cells, silences
from analysis.quality.quality_words import (
    FAIL,
    NOT_APPLICABLE,
    PASS,
    WARN,
    Finding,
    Limits,
    not_applicable,
)
from analysis.quality.scan import days_of, scan

ENTRY = ("page_view", "session_start", "screen_view", "first_visit", "first_open")


NEED_ROWS = (
    "new and vanished names",
    "daily volume",
    "last day",
    "missing cells",
    "duplicates",
    "bursts",
    "clock",
    "bots",
    "sessions without an entry",
    "time zone",
    "orders without value",
    "duplicate orders",
    "revenue outliers",
)


@dataclass(frozen=True, eq=False, kw_only=True)
class AuditResult(Result):
    """The answer of `audit`.

    ``table`` has a row per check: ``check``, ``verdict`` (``pass``, ``warn``, ``fail`` or ``not
    applicable``), ``value`` and the ``limit`` from which on it warns, ``k`` of ``n`` (what it is
    about), ``finding`` and ``advice`` in words. ``details`` has the tables behind the figures of
    single checks, by the check's name.
    """

    details: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def verdict(self) -> str:
        """The worst of all checks: ``pass``, ``warn`` or ``fail``."""
        found = set(self.table["verdict"])
        return FAIL if FAIL in found else WARN if WARN in found else PASS

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
        said = [str(row.finding) for row in worst_first if row.verdict in (FAIL, WARN)]
        return " ".join([", ".join(parts) + ".", *said])

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
            return audit_rows(self.table)
        draw = {
            "daily volume": daily_volume,
            "missing cells": missing_cells,
            "new and vanished names": silences,
            "revenue outliers": value_classes,
            "time zone": hours_of_day,
        }
        return draw[one_of("AuditResult.figure: check", check, draw)](self.details[check])


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
    catalog : what was planned: the names, and which of them pay.
    limits : where the lines are drawn.
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
    modules ``quality_*`` say how each check is made.

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
        quality_names.never_seen(seen, catalog, lines),
        quality_names.not_planned(seen, catalog, lines),
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
    counts = scan(log, days, entry=entry, limits=limits)
    names, rows = log.event_names, log.events
    silence, silences = quality_names.silences(counts, days, names, limits)
    volume, last_day, series = quality_volume.volume(counts, days, names, limits)
    cells, missing = quality_cells.missing(counts, days, names, log.properties, limits)
    orders = quality_orders.orders_of(log, catalog)
    outliers, classes = quality_orders.outliers(orders, limits)
    findings = [
        silence,
        volume,
        last_day,
        cells,
        quality_rows.duplicates(counts, names, rows, limits),
        quality_rows.repeats(counts, names, rows, limits),
        quality_rows.clock(counts, days, rows, limits),
        quality_rows.bots(counts, log.users, limits),
        quality_rows.entries(counts, entry, names, limits),
        quality_rows.night(counts, days, limits),
        quality_orders.without_value(orders, log, catalog, limits),
        quality_orders.order_ids(orders, log, limits),
        outliers,
    ]
    hours = pd.DataFrame({"hour": np.arange(24), "count": counts.hours[:24]})
    return findings, {
        "new and vanished names": silences,
        "daily volume": series,
        "missing cells": missing,
        "time zone": hours,
        "revenue outliers": classes,
    }
