"""What each command does and prints; `analysis.cli` says which options it has.

A person gets tables, the path of a page, headlines and caveats; a program gets the same as JSON
(``--json``). What goes on meanwhile goes to standard error. The exit code is 1 as soon as one
report could not be made or its quality gate said no, so that the caller of the command notices.
"""

from __future__ import annotations

import contextlib
import math
import os
import shlex
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from analysis.cli.project import new_project
from analysis.cli.terminal import (
    INTERRUPTED,
    complain,
    print_json,
    print_table,
    printable,
    progress,
)
from analysis.core.result import records
from analysis.core.schema import EVENT, UsageError, WorkbookError, instant_us, timestamp
from analysis.core.wording import percent
from analysis.eventlog.filters import consent_of
from analysis.eventlog.folder import QUARANTINE
from analysis.eventlog.log import EventLog
from analysis.eventlog.maintenance import check, forget, not_checked
from analysis.eventlog.store import MANIFEST
from analysis.reports.definition import FOLDER, definition_names
from analysis.reports.losses import loss_notes, loss_table
from analysis.reports.publish import Busy
from analysis.reports.runs import REPORTS, Outcome, project_root, report_due, report_period
from analysis.simulation.log import write_simulation
from analysis.sources.ingest import Progress, import_files
from analysis.sources.losses import DUPLICATE
from analysis.sources.mapping import ColumnMapping, load_mapping

_REPORT = "workbook report"

_MOST_REASONS = 3
"""Lines that say why a report's data check failed."""


def mapping_from(
    source: str | None,
    columns: Mapping[str, str | None],
    *,
    consent: str | None = None,
    names: str | None = None,
    no_header: bool = False,
    **options: str | None,
) -> ColumnMapping:
    """The mapping that the options say: a shipped one or a file, and what overrides it.

    `names` are the columns of files without a header, with commas between.

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
    return mapping.with_options(
        columns=columns,
        consent=granted,
        header=False if no_header else None,
        names=None if names is None else tuple(name.strip() for name in names.split(",")),
        **options,
    )


class Interrupted(WorkbookError):
    """A command was interrupted when its work was published already."""

    exit_code = INTERRUPTED


@contextlib.contextmanager
def late_interrupts(folder: Path) -> Iterator[None]:
    """Writing the log in `folder`: an interrupt that comes when it was published says so.

    Raises
    ------
    Interrupted
        If the interrupt comes when the log is another one already; before, the interrupt goes on.
    """
    before = _manifest_of(folder)
    try:
        yield
    except KeyboardInterrupt:
        if _manifest_of(folder) == before:
            raise
        raise Interrupted(
            f"interrupted, but the change of '{folder}' was published already: all of it is done. "
            f"See: workbook info {shlex.quote(str(folder))}"
        ) from None


def _manifest_of(folder: Path) -> bytes | None:
    try:
        return (folder / MANIFEST).read_bytes()
    except OSError:
        return None


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
    notes: list[str] = []
    with progress() as tell:

        def show(step: Progress) -> None:
            tell(step.stage, step.done, step.total, step.rows)

        counts = import_files(
            paths,
            mapping,
            to,
            append=append,
            covers_until=covers_until,
            max_bad=max_bad,
            progress=show,
            say=notes.append,
        )
    for note in notes:
        print(printable(note), file=sys.stderr)
    if as_json:
        print_json(counts._asdict())
        return
    rows = [(name.removeprefix("rows_"), count) for name, count in counts._asdict().items()]
    print_table(f"Imported to {to}", ["rows", "count"], rows)
    if counts.rows_quarantined:
        where = printable(to / QUARANTINE)
        print(f"The rows in the quarantine, each with its reason: {where}", file=sys.stderr)


def run_check(folder: Path, *, as_json: bool) -> int:
    """Read every file of a log and print which are not what was written; the exit code."""
    found, notes = check(folder), not_checked(folder)
    if as_json:
        damaged = [damage._asdict() for damage in found.damaged]
        print_json({**found._asdict(), "damaged": damaged, "notes": list(notes)})
    elif not found.damaged:
        print(f"Fine: {found.files:,} files, {found.bytes:,} bytes.")
    if not as_json:
        for note in notes:
            print(f"Note: {printable(note)}")
    for file, reason in found.damaged:
        complain("workbook check", f"'{folder / file}' {reason}")
    return 1 if found.damaged else 0


def run_forget(folder: Path, users: Sequence[str], *, as_json: bool) -> None:
    """Remove people from a log and print how much of it they were."""
    gone = forget(folder, users)._asdict()
    if as_json:
        print_json(gone)
        return
    print_table(f"Removed from {folder}", ["what", "count"], list(gone.items()))


def run_new(folder: Path) -> None:
    """Make a project and print what to do in it."""
    made = new_project(folder)
    print(f"{printable(folder)}: {len(made)} files. Next:")
    for command in (f"cd {shlex.quote(str(folder))}", "workbook demo", "workbook lab"):
        print(f"  {printable(command)}")


def run_demo(to: Path, *, users: int, seed: int, as_json: bool) -> None:
    """Write the simulated shop and print what is in it."""
    write_simulation(to, seed=seed, users=users)
    run_info(to, as_json=as_json)


def run_info(folder: Path, *, as_json: bool) -> None:
    """Print what is in a log."""
    log = EventLog.open(folder)
    facts = facts_of(log)
    if as_json:
        print_json(facts)
        return
    by_event, notes = facts.pop("by_event"), facts.pop("notes", [])
    losses = facts.pop("losses", [])
    print_table(f"Log in {folder}", ["what", "is"], list(facts.items()))
    columns = [EVENT, "events", "users", "value"]
    rows = [(name, *(event[column] for column in columns[1:])) for name, event in by_event.items()]
    print_table("Events, most frequent first", columns, rows)
    if losses:
        cells = [(lost["fate"], *(lost[name] for name in ("column", "event"))) for lost in losses]
        told = [
            (" · ".join(filter(None, words)), lost["rows"], percent(lost["share"] or 0.0))
            for words, lost in zip(cells, losses, strict=True)
        ]
        print_table("Not read, left out or blanked", ["what", "rows", "share"], told)
    for note in (*loss_notes(log), *notes):
        print(f"Note: {printable(note)}")


def facts_of(log: EventLog) -> dict[str, Any]:
    """How many of what, from when to when: what ``workbook info --json`` prints.

    A value is the sum of the events' values, None where the log has no values, or has them in
    several currencies. Losses (duplicates are none) are rows per fate, cell and event, with their
    share of the rows there were; notes are caveats in plain words. They are there where there are
    any, like ``events_after_end``.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({"user": ["ann"], "time": ["2026-01-01"],
    ...                                         "event": ["visit"]}))
    >>> facts_of(log)["by_event"]
    {'visit': {'events': 1, 'users': 1, 'value': None}}
    """
    summary = log.summary()
    notes, late = _notes(log, summary), log.events_after_end()
    # What was there already is no loss.
    lost = [
        {**row, "share": None if math.isnan(row["share"]) else row["share"]}
        for row in loss_table(log).to_dict("records")
        if row["fate"] != DUPLICATE
    ]
    instants = {"start": log.start, "end": log.end, "covers_until": log.covers_until}
    return {
        "events": log.events,
        "users": log.users,
        "sessions": log.sessions,
        **{name: str(instant).replace(" ", "T") for name, instant in instants.items()},
        **({"events_after_end": late} if late else {}),
        "fingerprint": log.fingerprint,
        "by_event": {
            row[EVENT]: {
                "events": row["events"],
                "users": row["users"],
                "value": None if math.isnan(row["value"]) else row["value"],
            }
            for row in summary.to_dict("records")
        },
        **({"losses": lost} if lost else {}),
        **({"notes": notes} if notes else {}),
    }


def _notes(log: EventLog, summary: pd.DataFrame) -> list[str]:
    """What a reader of these numbers must know: where the log ends, and what is not added up."""
    followed, tiny = log.until_end(), log.tiny_values()
    until, last, notes = log.covers_until, followed.end, []
    far = log.events - followed.events
    if far:
        are = "1 event is" if far == 1 else f"{far:,} events are"
        notes.append(
            f"{are} far behind all others; the last is of {log.end:%Y-%m-%d}. A wrong clock does "
            f"that. They stay in the log, which ends {until:%Y-%m-%d %H:%M} UTC, and no question "
            "looks at them. If they are right, say so at the import: --covers-until."
        )
    if late := log.events_after_end() - far:
        are = "1 event is" if late == 1 else f"{late:,} events are"
        notes.append(
            f"{are} at or after {until:%Y-%m-%d %H:%M} UTC, up to which the log was said to be "
            "complete."
        )
    if until != until.floor("D") and last == until - pd.Timedelta("1us"):
        notes.append(
            f"The log ends with its last event, {last:%Y-%m-%d %H:%M} UTC: the rest of that day is "
            "silent, as on none of the 28 days before. If the day was complete, say so at the "
            f"import: --covers-until {until.ceil('D'):%Y-%m-%d}."
        )
    mixed = summary[summary["currency"].astype(str).str.contains(", ")]
    notes += [
        f"The values of {row.event!r} are in {row.currency}: not added up."
        for row in records(mixed)
    ]
    if tiny:
        are = "1 value is" if tiny == 1 else f"{tiny:,} values are"
        notes.append(f"{are} smaller than a millionth. Is the unit right?")
    return notes


def run_report(
    name: str | None,
    *,
    period: str | None,
    due: bool,
    now: str | None = None,
    as_json: bool = False,
    **where: Any,
) -> int:
    """Render what is asked for, print what came of it, and return the exit code.

    Parameters
    ----------
    name : of a definition, or the path of its file; period : which one; due : whatever is.
    now : after which nothing is due; default: what the clock says, which is read here, once, and
        nowhere else in the library.
    where : ``data``, ``to`` and ``timeout_seconds`` of `analysis.reports.runs`.

    Raises
    ------
    UsageError
        If it is not clear what to render.
    DataError
        If a report that was asked for by name cannot be made.
    """
    root = project_root(Path.cwd())
    if due == bool(period) or not (due or name):
        raise UsageError(_what_to_say(root))
    if now is not None and not due:
        raise UsageError("--now says what is due by then. Add --due, or leave it out.")
    if period and name:
        made = report_period(name, period, root=root, say=_say, **where)
        if as_json:
            print_json(_plain(made))
        _tell([made], as_json=as_json)
        return int(not made.good)
    try:
        at = timestamp(instant_us(now, "--now")) if now is not None else datetime.now(UTC)
        outcomes = report_due(name, root=root, now=at, say=_timed(), **where)
    except Busy as error:
        complain(_REPORT, error)
        return 0
    if as_json:
        print_json({"reports": [_plain(made) for made in outcomes]})
    elif not outcomes:
        print("Nothing is due: every complete period has its report.")
    _tell(outcomes, as_json=as_json)
    return int(not all(made.good for made in outcomes))


def _tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    for made in outcomes:
        if made.error:
            about = " ".join([made.report, made.period]).strip()
            page = f" ({_shown(made.page)})" if made.page else ""
            complain(_REPORT, f"{about}{page}: {made.error}")
            if made.gate == "fail":
                # The gate's own reasons come first.
                for warning in made.warnings[:_MOST_REASONS]:
                    print(f"  {printable(warning)}", file=sys.stderr)
        elif not as_json:
            print(_shown(made.page))
            print(f"  {printable(made.headline)}")
            for warning in made.warnings:
                print(f"  Note: {printable(warning)}")


def _plain(made: Outcome) -> dict[str, Any]:
    return {**asdict(made), "page": _shown(made.page) or None, "warnings": list(made.warnings)}


def _shown(page: Path | None) -> str:
    """A path as a person would type it: from here, where it is below here."""
    if page is None:
        return ""
    here = Path.cwd()
    return os.path.relpath(page, here) if page.is_relative_to(here) else str(page)


def _say(line: str) -> None:
    print(printable(line), file=sys.stderr, flush=True)


def _timed() -> Any:
    began = time.monotonic()

    def say(line: str) -> None:
        _say(f"{line} (after {time.monotonic() - began:.0f} s)")

    return say


def _what_to_say(root: Path) -> str:
    names = ", ".join(definition_names(root / REPORTS / FOLDER)) or "none yet"
    return (
        "name a report and a period, or say --due. Defined in "
        f"{REPORTS}/{FOLDER}: {names}. For example: {_REPORT} weekly --period 2026-W46."
    )
