"""Which reports are made by one run: a period by name, or every one that is due and missing.

`report_due` is for cron and the like: it renders every period that is complete and not there yet,
oldest first, one at a time, and a second call finds nothing to do. A report that is there is made
anew where its files are damaged, where it was not final, and where the log now has other rows for
what it read. Whatever a report or a definition does, the others are made; what failed is said, and
stands on the page over all reports. A report whose quality gate says no is put beside, under
``<period>.failed``, where it can be looked at; the last good one stays where it is, and the same
report is not tried again until its data, its definition or the code has changed.

Reports belong to a project: the folder with ``workbook.toml``, or with ``reports/definitions``. It
is looked for in the current folder and above, never where the package is installed.
"""

from __future__ import annotations

import json
import traceback
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

from analysis.core.periods import Period, parse_period, periods_due
from analysis.core.schema import UsageError, WorkbookError, did_you_mean, instant_us, timestamp
from analysis.core.wording import system_error
from analysis.eventlog.folder import is_link, remove
from analysis.eventlog.log import EventLog
from analysis.reports.contents import first_instant, has_changed
from analysis.reports.definition import FOLDER, Definition, definition_names, load_definition
from analysis.reports.execution import CELL_TIMEOUT_SECONDS
from analysis.reports.publish import (
    FAILED,
    Failure,
    Issue,
    Say,
    failed,
    note_failures,
    publish,
    read_issue,
    workspace,
    write_index,
)
from analysis.reports.render import MANIFEST, NUMBERS, PAGE, Source, inputs, open_source, render

PROJECT = "workbook.toml"
"""Marks the root of a project; it may be empty."""

REPORTS = "reports"
_GATE_FAILED = (
    "the quality gate failed. Look at the page, mend the data, and run again; "
    "the last good report stays."
)


@dataclass(frozen=True)
class Outcome:
    """What became of one report; where `page` is None, `error` says why.

    A report can be there and not be `good`: its quality gate said no.
    """

    report: str
    period: str = ""
    page: Path | None = None
    headline: str = ""
    warnings: tuple[str, ...] = ()
    gate: str = ""
    error: str = ""

    @property
    def good(self) -> bool:
        return not self.error


def report_period(
    name: str,
    label: str,
    *,
    root: Path,
    data: Path | None = None,
    to: Path | None = None,
    timeout_seconds: int = CELL_TIMEOUT_SECONDS,
    say: Say = lambda line: None,
) -> Outcome:
    """Render one period of one report, complete or not, and publish it.

    Parameters
    ----------
    name : of a definition, or the path of its file.
    label : ``2026-W46`` or the like.
    root : the project's folder.
    data, to : in the place of the definition's log and of ``reports/``.
    timeout_seconds : the longest that one cell may take.
    say : is told where another run has to be waited for.

    Raises
    ------
    UsageError, DataError
        If the report cannot be made; nothing is published then.
    """
    definition, root = named_definition(name, root)
    period = parse_period(label, definition.period, definition.time_zone)
    source = _source(definition, root, data)
    to = (to or root / REPORTS).resolve()
    with workspace(to, waiting=say) as work:
        made = _made(source, period, work=work, to=to, timeout_seconds=timeout_seconds)
        others = [f for f in failed(to) if (f.report, f.period) != (made.report, made.period)]
        _note(to, others, [made])
        write_index(to)
    return made


def report_due(
    name: str | None = None,
    *,
    root: Path,
    data: Path | None = None,
    to: Path | None = None,
    timeout_seconds: int = CELL_TIMEOUT_SECONDS,
    now: datetime | str | None = None,
    say: Say = lambda line: None,
) -> list[Outcome]:
    """Render every period of every definition that is due, oldest first.

    Parameters
    ----------
    name : of the one definition to look at, or the path of its file; default: all.
    root, data, to, timeout_seconds : as for `report_period`.
    now : nothing is due that is not over by now, whatever the log says that it covers.
    say : is told, before each report, which one it is.

    Returns
    -------
    An outcome per report that was rendered or failed; empty when nothing was due.

    Raises
    ------
    Busy
        If another run is at work in the same folder.
    """
    to = (to or root / REPORTS).resolve()
    outcomes: list[Outcome] = []
    with workspace(to) as work:
        others = [failure for failure in failed(to) if name and failure.report != name]
        try:
            for each in [name] if name else definition_names(root / REPORTS / FOLDER):
                try:
                    source = _source(*named_definition(each, root), data)
                    due = due_periods(source, to, now=now)
                except Exception as error:  # whatever it is, the others are made
                    outcomes.append(Outcome(each, error=_error_text(error)))
                    continue
                for period, why in due:
                    say(" ".join([source.definition.name, period.label, *([why] if why else [])]))
                    outcomes.append(
                        _tried(source, period, work=work, to=to, timeout_seconds=timeout_seconds)
                    )
        finally:
            # Also where nothing was due: a run may have been killed between a report and its page.
            _note(to, others, outcomes)
            write_index(to)
    return outcomes


def _note(to: Path, others: list[Failure], outcomes: list[Outcome]) -> None:
    failures = [
        Failure(
            made.report,
            made.period,
            made.error,
            made.page.relative_to(to).as_posix() if made.page else "",
        )
        for made in outcomes
        if made.error
    ]
    note_failures(to, [*others, *failures])


class Due(NamedTuple):
    """A period to report on; `why` says what is wrong with the report that is there."""

    period: Period
    why: str = ""


def due_periods(source: Source, to: Path, *, now: datetime | str | None = None) -> list[Due]:
    """The complete periods of a log whose report is not there or not right, oldest first.

    Parameters
    ----------
    to : the folder of reports.
    now : what is not over by now is not complete.
    """
    log, definition = source.log, source.definition
    if not log.events:
        return []
    until = log.covers_until if now is None else min(log.covers_until, instant_us(now, "now"))
    opened = EventLog.open(source.data)
    periods = periods_due(
        timestamp(first_instant(opened)),
        timestamp(until),
        kind=definition.period,
        time_zone=definition.time_zone,
        window_us=source.window_us,
    )
    due = []
    for period in periods:
        folder = to / definition.name / period.label
        if not (folder / MANIFEST).exists():
            due.append(Due(period))
        elif why := _wrong(read_issue(folder), source, period, opened):
            due.append(Due(period, why))
    return due


def _wrong(issue: Issue, source: Source, period: Period, log: EventLog) -> str:
    """Why a report that is there has to be made anew; empty where it is right."""
    if issue.damage:
        return f"again: its files are damaged ({issue.damage})"
    said = issue.manifest
    read = said.get("content", {})
    final = instant_us(read.get("until", period.end + timedelta(microseconds=source.window_us)))
    if "covers_until" in said and instant_us(said["covers_until"]) < final:
        return "again: it was not final"
    if said.get("log") != log.fingerprint and has_changed(log, read):
        return "again: the log has changed for what it read"
    return ""


def _source(definition: Definition, root: Path, data: Path | None) -> Source:
    return open_source(definition, root=root, data=(data or root / definition.data).resolve())


def _failed_before(source: Source, period: Period, to: Path) -> Outcome | None:
    """The outcome of an earlier run with the same inputs whose quality gate said no."""
    name = source.definition.name
    folder = to / name / f"{period.label}{FAILED}"
    if not (folder / MANIFEST).is_file():
        return None
    try:
        before = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        return None
    now = inputs(source, period)
    if not isinstance(before, dict):
        return None
    changed = any(before.get(key) != value for key, value in now.items())
    if changed or str(now["code"]["commit"]).endswith("-dirty"):
        return None
    return Outcome(
        name,
        period.label,
        page=folder / PAGE,
        warnings=_warnings_of(folder),
        gate="fail",
        error=_GATE_FAILED,
    )


def _warnings_of(folder: Path) -> tuple[str, ...]:
    try:
        said = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        return tuple(map(str, said["warnings"]))
    except (OSError, ValueError, TypeError, KeyError):
        return ()


def _tried(source: Source, period: Period, *, to: Path, **where: Any) -> Outcome:
    name = source.definition.name
    try:
        return _failed_before(source, period, to) or _made(source, period, to=to, **where)
    except Exception as error:  # whatever it is, the others are made
        return Outcome(name, period.label, error=_error_text(error))


def _error_text(error: Exception) -> str:
    """What went wrong, in one line; a mistake of the program says where it is."""
    if isinstance(error, WorkbookError):
        return str(error)
    said = system_error(error)
    if isinstance(error, (OSError, MemoryError)):
        return said
    at = traceback.extract_tb(error.__traceback__)[-1]
    return f"{said} This is a mistake of the workbook ({Path(at.filename).name}:{at.lineno})."


def _made(source: Source, period: Period, *, work: Path, to: Path, timeout_seconds: int) -> Outcome:
    name = source.definition.name
    place = to / name / period.label
    failed_place = place.with_name(place.name + FAILED)
    staged = work / f"{name}-{period.label}"
    made = render(source, period, staged, timeout_seconds=timeout_seconds)
    good = made.gate != "fail"
    publish(staged, place if good else failed_place)
    if good and not is_link(failed_place.parent):
        remove(failed_place)
    return Outcome(
        name,
        period.label,
        page=(place if good else failed_place) / PAGE,
        headline=made.headline,
        warnings=made.warnings,
        gate=made.gate,
        error="" if good else _GATE_FAILED,
    )


# Where things are


def project_root(start: Path) -> Path:
    """The project's folder: the first with ``workbook.toml`` or ``reports/definitions``.

    Parameters
    ----------
    start : the folder to begin in, by its absolute path; then come those above it.

    Raises
    ------
    UsageError
        If there is none.
    """
    for folder in (start, *start.parents):
        if (folder / PROJECT).is_file() or (folder / REPORTS / FOLDER).is_dir():
            return folder
    raise UsageError(
        f"there is no project here or above: no file {PROJECT}, and no folder {REPORTS}/{FOLDER}. "
        "Go to the project's folder, or make one with: workbook new DIR."
    )


def named_definition(name: str, root: Path) -> tuple[Definition, Path]:
    """A definition by its name or its file, and the project it belongs to.

    Raises
    ------
    UsageError
        If there is no definition of that name.
    """
    path = Path(name)
    if path.suffix == ".toml":
        definition = load_definition(path)
        inside = path.resolve().parent
        own = inside.name == FOLDER and inside.parent.name == REPORTS
        return definition, inside.parents[1] if own else root
    folder = root / REPORTS / FOLDER
    names = definition_names(folder)
    if name not in names:
        listed = ", ".join(map(repr, names)) or "none yet"
        raise UsageError(
            f"there is no report {name!r}.{did_you_mean(name, names)} Defined in {REPORTS}/"
            f"{FOLDER}: {listed}."
        )
    return load_definition(folder / f"{name}.toml"), root
