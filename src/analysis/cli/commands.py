"""What the commands about logs do: import one, show one, simulate one.

The command line declares the options; here they become calls of the library, and its results
become JSON for a program or a table for a person.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from analysis.cli import console
from analysis.core.schema import EVENT
from analysis.eventlog.check import check
from analysis.eventlog.consent import consent_of
from analysis.eventlog.folder import QUARANTINE
from analysis.eventlog.forget import forget
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import Progress, import_files
from analysis.sources.mapping import ColumnMapping
from analysis.sources.mapping_file import load_mapping


def mapping_from(
    source: str | None,
    columns: Mapping[str, str | None],
    *,
    consent: str | None = None,
    **options: str | None,
) -> ColumnMapping:
    """The mapping that the options say: a shipped one or a file, and what overrides it.

    Raises
    ------
    UsageError
        If there is no such mapping, or an option's value is out of range.

    Examples
    --------
    >>> mapping_from("ga360", {"user": "clientId", "time": None}).user
    'clientId'
    """
    mapping = ColumnMapping() if source is None else load_mapping(source)
    granted = None if consent is None else consent_of(consent)
    return mapping.with_options(columns=columns, consent=granted, **options)


def run_import(
    paths: Sequence[str],
    mapping: ColumnMapping,
    to: Path,
    *,
    append: bool,
    covers_until: str | None,
    max_bad: str | None,
    as_json: bool,
) -> None:
    """Import files, with a progress bar, and print how the rows add up."""
    with console.progress() as tell:

        def told(step: Progress) -> None:
            tell(step.stage, step.done, step.total, step.rows)

        counts = import_files(
            paths,
            mapping,
            to,
            append=append,
            covers_until=covers_until,
            max_bad=max_bad,
            progress=told,
        )
    if as_json:
        console.print_json(counts._asdict())
        return
    rows = [(name.removeprefix("rows_"), count) for name, count in counts._asdict().items()]
    console.print_table(f"Imported to {to}", ["rows", "count"], rows)
    if counts.rows_quarantined:
        where = console.printable(to / QUARANTINE)
        print(f"The rows in the quarantine, each with its reason: {where}", file=sys.stderr)


def run_check(folder: Path, *, as_json: bool) -> int:
    """Read every file of a log and print which are not what was written; the exit code."""
    found = check(folder)
    if as_json:
        damaged = [damage._asdict() for damage in found.damaged]
        console.print_json({**found._asdict(), "damaged": damaged})
    elif not found.damaged:
        print(f"Fine: {found.files:,} files, {found.bytes:,} bytes.")
    for file, reason in found.damaged:
        console.complain("workbook check", f"'{folder / file}' {reason}")
    return 1 if found.damaged else 0


def run_forget(folder: Path, users: Sequence[str], *, as_json: bool) -> None:
    """Remove people from a log and print how much of it they were."""
    gone = forget(folder, users)._asdict()
    if as_json:
        console.print_json(gone)
        return
    console.print_table(f"Removed from {folder}", ["what", "count"], list(gone.items()))


def run_demo(to: Path, *, users: int, seed: int, as_json: bool) -> None:
    """Write the simulated shop and print what is in it."""
    from analysis.simulation.log import write_simulation

    write_simulation(to, seed=seed, users=users)
    run_info(to, as_json=as_json)


def run_info(folder: Path, *, as_json: bool) -> None:
    """Print what is in a log."""
    facts = facts_of(EventLog.open(folder))
    if as_json:
        console.print_json(facts)
        return
    by_event = facts.pop("by_event")
    console.print_table(f"Log in {folder}", ["what", "is"], list(facts.items()))
    columns = [EVENT, "events", "users", "value"]
    rows = [(name, *(event[column] for column in columns[1:])) for name, event in by_event.items()]
    console.print_table("Events, most frequent first", columns, rows)


def facts_of(log: EventLog) -> dict[str, Any]:
    """How many of what, from when to when: what ``workbook info --json`` prints.

    A value is the sum of the events' values, None where the log has no values.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({"user": ["ann"], "time": ["2026-01-01"],
    ...                                         "event": ["visit"]}))
    >>> facts_of(log)["by_event"]
    {'visit': {'events': 1, 'users': 1, 'value': None}}
    """
    instants = {"start": log.start, "end": log.end, "covers_until": log.covers_until}
    return {
        "events": log.events,
        "users": log.users,
        "sessions": log.sessions,
        **{name: str(instant).replace(" ", "T") for name, instant in instants.items()},
        "fingerprint": log.fingerprint,
        "by_event": {
            row[EVENT]: {
                "events": row["events"],
                "users": row["users"],
                "value": None if math.isnan(row["value"]) else row["value"],
            }
            for row in log.summary().to_dict("records")
        },
    }
