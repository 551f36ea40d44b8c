"""From a definition and a period to three files: the page, its numbers, and where they come from.

``index.html`` is for people, ``numbers.json`` for programs, ``manifest.json`` for whoever asks
later which data and which code gave those numbers. The same inputs give the same bytes: keys are
sorted, numbers are rounded where they are emitted, and nothing tells the hour, the machine, the
user or a path of it. The files are made in a folder of their own; putting them where people look
is another module's work.
"""

from __future__ import annotations

import os
import platform
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from analysis.core.periods import Period, what_is_immature
from analysis.core.schema import DataError, UsageError, duration_us, timestamp
from analysis.eventlog.store import Manifest, read_manifest
from analysis.reports.definition import RESERVED, Definition
from analysis.reports.execution import CELL_TIMEOUT_SECONDS, execute, read_notebook
from analysis.reports.numbers import ReportError, collect
from analysis.reports.parameters import Parameter, check_values, read_parameters
from analysis.reports.provenance import (
    as_json,
    checksums,
    code_version,
    notebook_checksum,
    package_versions,
)

PAGE, NUMBERS, MANIFEST = "index.html", "numbers.json", "manifest.json"


_NEEDED = ("data", "period_start", "period_end")


@dataclass(frozen=True)
class Source:
    """What a report is made from: its definition, notebook and log, opened and checked."""

    definition: Definition
    notebook: Path
    data: Path
    log: Manifest
    parameters: Mapping[str, Parameter]

    @property
    def window_us(self) -> int:
        """Microseconds for which people are followed: the parameter ``window``, if there is one."""
        default = self.parameters["window"].default if "window" in self.parameters else None
        window = self.definition.parameters.get("window", default)
        return duration_us(window, f"{self.definition.name}: window") if window else 0


@dataclass(frozen=True)
class Rendering:
    """A rendered report, not yet published: its files in `folder`, and what it says."""

    folder: Path
    headline: str
    gate: str
    warnings: tuple[str, ...]


def open_source(definition: Definition, *, notebooks: Path, data: Path) -> Source:
    """Check, before any time is spent, that a report can be made.

    Parameters
    ----------
    notebooks : the folder of the notebooks; data : the log's folder.

    Raises
    ------
    DataError
        If there is no notebook or no log.
    UsageError
        If the notebook cannot be told its data and its period, or does not have the definition's
        parameters.
    """
    name = definition.name
    try:
        log = read_manifest(data)
    except DataError as error:
        if (data / "manifest.json").exists():
            raise
        shown = os.path.relpath(data) if data.is_relative_to(Path.cwd()) else data
        raise DataError(
            f"{name}: there is no log in '{shown}'. Make the demo data with: make demo (or: "
            "workbook demo), your own with: workbook import FILE --to DIR, or name another log "
            "with --data DIR."
        ) from error
    path = notebooks / f"{definition.notebook}.ipynb"
    parameters = read_parameters(read_notebook(path), definition.notebook)
    missing = [key for key in _NEEDED if key not in parameters]
    if missing:
        raise UsageError(
            f"{name}: the notebook {definition.notebook} has no parameter "
            f"{', '.join(map(repr, missing))}, so it cannot be told what to report on. "
            "Add it to the notebook's parameters cell."
        )
    check_values(definition.parameters, parameters, name)
    return Source(definition, path, data, log, parameters)


def render(
    source: Source, period: Period, into: Path, *, timeout_seconds: int = CELL_TIMEOUT_SECONDS
) -> Rendering:
    """Run the notebook for a period and write the report's three files.

    Parameters
    ----------
    into : a folder that must not exist yet; timeout_seconds : the longest one cell may take.

    Raises
    ------
    ReportError
        If a cell did not run to its end, emitted no numbers, or the log changed meanwhile.
    UsageError
        If the definition's parameters do not fit the notebook.
    """
    from analysis.reports.page import to_html

    into.mkdir(parents=True)
    done = _executed(source, period, into.parent, timeout_seconds=timeout_seconds)
    said = collect(done, source.definition.name)
    until = timestamp(source.log.covers_until)
    immature = what_is_immature(period, until, window_us=source.window_us)
    warnings = tuple(dict.fromkeys([*said["warnings"], *([immature] if immature else [])]))
    page = to_html(
        done,
        title=source.definition.title,
        subtitle=_subtitle(period, gate=said["gate"], immature=immature),
        footer=_footer(source, period),
    )
    numbers = {
        "report": source.definition.name,
        "period": period.label,
        "headline": said["headline"],
        "log": said["log"] or source.log.fingerprint,
        "numbers": said["numbers"],
        "warnings": list(warnings),
    }
    files = {PAGE: page, NUMBERS: as_json(numbers)}
    manifest = {**inputs(source, period), "gate": said["gate"], "files": checksums(files)}
    for file, text in {**files, MANIFEST: as_json(manifest)}.items():
        (into / file).write_text(text, encoding="utf-8", newline="\n")
    return Rendering(into, said["headline"], said["gate"], warnings)


def inputs(source: Source, period: Period) -> dict[str, Any]:
    """Everything a report depends on, as plain data: equal inputs give an equal report."""
    definition = source.definition
    return {
        "report": definition.name,
        "title": definition.title,
        "period": period.label,
        "period_start": period.start.isoformat(),
        "period_end": period.end.isoformat(),
        "time_zone": definition.time_zone,
        "log": source.log.fingerprint,
        "covers_until": timestamp(source.log.covers_until).isoformat(),
        "notebook": {"name": definition.notebook, "sha256": notebook_checksum(source.notebook)},
        "parameters": dict(definition.parameters),
        "code": code_version(),
        "python": platform.python_version(),
        "packages": package_versions(),
    }


def _executed(source: Source, period: Period, beside: Path, *, timeout_seconds: int) -> Any:
    # A short path beside the report: the kernel's sockets are files in it where that is possible.
    with tempfile.TemporaryDirectory(prefix="k-", dir=beside) as scratch:
        done = execute(
            source.notebook,
            _values(source, period),
            scratch=Path(scratch),
            timeout_seconds=timeout_seconds,
        )
    if read_manifest(source.data).fingerprint != source.log.fingerprint:
        name = source.definition.name
        raise ReportError(f"{name}: the log changed while it was reported on. Run again.")
    return done


def _values(source: Source, period: Period) -> dict[str, Any]:
    told = {
        "data": os.path.relpath(source.data.resolve(), source.notebook.parent.resolve()),
        "period_start": period.first_day.isoformat(),
        "period_end": period.end_day.isoformat(),
        "time_zone": period.time_zone,
        "report": True,
    }
    assert set(told) == set(RESERVED)
    told = {key: value for key, value in told.items() if key in source.parameters}
    return {**source.definition.parameters, **told}


def _subtitle(period: Period, *, gate: str, immature: str) -> str:
    parts = [f"{period.label}, {period.words()} ({period.time_zone})"]
    if gate == "fail":
        parts.insert(0, "The quality gate failed: do not use these numbers")
    return " · ".join([*parts, immature] if immature else parts)


def _footer(source: Source, period: Period) -> str:
    code = code_version()
    version = f"workbook {code['version']}"
    if code["commit"]:
        changed = ", changed since" if code["commit"].endswith("-dirty") else ""
        version += f" ({code['commit'][:12]}{changed})"
    until = timestamp(source.log.covers_until).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{source.definition.name} {period.label} · log {source.log.fingerprint[:12]}, complete "
        f"until {until} · {version} · the numbers of this page: {NUMBERS}"
    )
