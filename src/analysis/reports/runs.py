"""Which reports are made by one run: a period by name, or every one that is due and missing.

`report_due` is for cron and the like: it renders every period that is complete and not there yet,
oldest first, one at a time, and a second call finds nothing to do. A report that fails does not
stop the others. A report whose quality gate says no is put beside, under ``<period>.failed``,
where it can be looked at; the last good one stays where it is, and the same report is not tried
again until its data, its definition or the code has changed.

Reports belong to a project: the folder with ``workbook.toml``, or with ``reports/definitions``. It
is looked for in the current folder and above, never where the package is installed.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.core.periods import Period, parse_period, periods_due
from analysis.core.schema import UsageError, WorkbookError, did_you_mean, timestamp
from analysis.reports.definition import FOLDER, Definition, definition_names, load_definition
from analysis.reports.execution import CELL_TIMEOUT_SECONDS
from analysis.reports.publish import FAILED, Say, is_published, publish, workspace, write_index
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
        return _made(source, period, work=work, to=to, timeout_seconds=timeout_seconds)


def report_due(
    name: str | None = None,
    *,
    root: Path,
    data: Path | None = None,
    to: Path | None = None,
    timeout_seconds: int = CELL_TIMEOUT_SECONDS,
    say: Say = lambda line: None,
) -> list[Outcome]:
    """Render every complete and missing period of every definition, oldest first.

    Parameters
    ----------
    name : of the one definition to look at, or the path of its file; default: all.
    root, data, to, timeout_seconds : as for `report_period`.
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
    outcomes = []
    with workspace(to) as work:
        for each in [name] if name else definition_names(root / REPORTS / FOLDER):
            try:
                source = _source(*named_definition(each, root), data)
                due = missing_periods(source, to)
            except (WorkbookError, OSError) as error:
                outcomes.append(Outcome(each, error=_error_text(error)))
                continue
            for period in due:
                say(f"{source.definition.name} {period.label}")
                outcomes.append(
                    _failed_before(source, period, to)
                    or _tried(source, period, work=work, to=to, timeout_seconds=timeout_seconds)
                )
        # Also where nothing was due: a run may have been killed between a report and its index.
        write_index(to)
    return outcomes


def missing_periods(source: Source, to: Path) -> list[Period]:
    """The complete periods of a log of which a report is not there, oldest first."""
    log, definition = source.log, source.definition
    due = periods_due(
        timestamp(min(entry["start"] for entry in log.shards)),
        timestamp(log.covers_until),
        kind=definition.period,
        time_zone=definition.time_zone,
        window_us=source.window_us,
    )
    return [period for period in due if not is_published(to, definition.name, period.label)]


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
    except ValueError:
        return None
    now = inputs(source, period)
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


def _tried(source: Source, period: Period, **where: Any) -> Outcome:
    try:
        return _made(source, period, **where)
    except (WorkbookError, OSError) as error:
        return Outcome(source.definition.name, period.label, error=_error_text(error))


def _error_text(error: Exception) -> str:
    return str(error) if isinstance(error, WorkbookError) else f"{type(error).__name__}: {error}."


def _made(source: Source, period: Period, *, work: Path, to: Path, timeout_seconds: int) -> Outcome:
    name = source.definition.name
    place = to / name / period.label
    failed = place.with_name(place.name + FAILED)
    staged = work / f"{name}-{period.label}"
    made = render(source, period, staged, timeout_seconds=timeout_seconds)
    good = made.gate != "fail"
    publish(staged, place if good else failed)
    if good:
        shutil.rmtree(failed, ignore_errors=True)
        write_index(to)
    return Outcome(
        name,
        period.label,
        page=(place if good else failed) / PAGE,
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
