"""Make a report's three files from a definition and a period: page, numbers, manifest.

``index.html`` is for people, ``numbers.json`` for programs, ``manifest.json`` for those who ask
later which data and which code gave those numbers. The same inputs give the same bytes: keys are
sorted, numbers are rounded where they are emitted, and nothing tells the hour, the machine, the
user or a path of it. The files are made in a folder of their own; `publish` puts them where people
look.

A notebook hands over its numbers with `emit`, as one MIME bundle in a format that no browser shows.
So they are kept with the notebook that made them, are compared when it is tested, and need no file
and no shared folder; `collect` takes them out of the finished notebook. They are rounded to ten
significant digits: what differs beyond is the order of a sum, not the world, and it would make two
equal reports differ. Only aggregates come this way; nothing here looks at users.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import math
import os
import platform
import subprocess
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd

from analysis.core.periods import Period, what_is_immature
from analysis.core.schema import DataError, ReportError, UsageError, duration_us, one_of, timestamp
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import Manifest, read_manifest
from analysis.reports.contents import content_of_period
from analysis.reports.definition import (
    RESERVED,
    Definition,
    Parameter,
    check_values,
    read_parameters,
)
from analysis.reports.execution import CELL_TIMEOUT_SECONDS, execute, read_notebook

NOTEBOOKS = "notebooks"
PAGE, NUMBERS, MANIFEST = "index.html", "numbers.json", "manifest.json"
MIME_TYPE = "application/vnd.workbook.numbers+json"
GATES = ("pass", "warn", "fail")
SIGNIFICANT_DIGITS = 10

_DISTRIBUTION = "micro-conversion-workbook"
_COMPUTING = ("numpy", "numba", "pandas", "pyarrow", "scipy", "statsmodels")
_DRAWING = ("plotly", "papermill", "nbconvert")
WAITED = ("window", "horizon")
"""Parameters that say for how long people are followed; a report waits for the end of it."""

_NEEDED = ("data", "period_start", "period_end")


@dataclass(frozen=True)
class Source:
    """What a report is made from: its definition, project, notebook and log, all checked."""

    definition: Definition
    root: Path
    notebook: Path
    data: Path
    log: Manifest
    parameters: Mapping[str, Parameter]

    @property
    def window_us(self) -> int:
        """Microseconds for which the report waits after a period: as long as people are followed.

        The longest of the notebook's parameters ``window`` and ``horizon``, and of those that a
        tag ``waits:NAME`` of its parameters cell names.
        """
        longest = 0
        for name, parameter in self.parameters.items():
            if name not in WAITED and not parameter.waited:
                continue
            given = self.definition.parameters.get(name, parameter.default)
            for each in given if isinstance(given, list) else [given]:
                if isinstance(each, str) and each:
                    longest = max(longest, duration_us(each, f"{self.definition.name}: {name}"))
        return longest


@dataclass(frozen=True)
class Rendering:
    """A rendered report, not yet published: its files in `folder`, and what it says."""

    folder: Path
    headline: str
    gate: str
    warnings: tuple[str, ...]


def open_source(definition: Definition, *, root: Path, data: Path) -> Source:
    """Check, before any time is spent, that a report can be made.

    Parameters
    ----------
    root : the project's folder. data : the log's folder.

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
    path = root / NOTEBOOKS / f"{definition.notebook}.ipynb"
    parameters = read_parameters(read_notebook(path), definition.notebook)
    missing = [key for key in _NEEDED if key not in parameters]
    if missing:
        raise UsageError(
            f"{name}: the notebook {definition.notebook} has no parameter "
            f"{', '.join(map(repr, missing))}, so it cannot be told what to report on. "
            "Add it to the notebook's parameters cell."
        )
    check_values(definition.parameters, parameters, name)
    return Source(definition, root, path, data, log, parameters)


def render(
    source: Source, period: Period, into: Path, *, timeout_seconds: int = CELL_TIMEOUT_SECONDS
) -> Rendering:
    """Run the notebook for a period and write the report's three files.

    Parameters
    ----------
    into : a folder that must not exist yet.
    timeout_seconds : the longest one cell may take.

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
    emitted = collect(done, source.definition.name)
    until = timestamp(source.log.covers_until)
    immature = what_is_immature(period, until, window_us=source.window_us)
    warnings = tuple(dict.fromkeys([*emitted["warnings"], *([immature] if immature else [])]))
    page = to_html(
        done,
        title=source.definition.title,
        subtitle=_subtitle(period, gate=emitted["gate"], immature=immature),
        footer=_footer(source, period),
    )
    numbers = {
        "report": source.definition.name,
        "period": period.label,
        "headline": emitted["headline"],
        "log": emitted["log"] or source.log.fingerprint,
        "numbers": emitted["numbers"],
        "warnings": list(warnings),
    }
    files = {PAGE: page, NUMBERS: as_json(numbers)}
    manifest = {
        **inputs(source, period),
        "content": _content(source, period),
        "gate": emitted["gate"],
        "files": checksums(files),
    }
    for file, text in {**files, MANIFEST: as_json(manifest)}.items():
        (into / file).write_text(text, encoding="utf-8", newline="\n")
    return Rendering(into, emitted["headline"], emitted["gate"], warnings)


def _executed(source: Source, period: Period, beside: Path, *, timeout_seconds: int) -> Any:
    # A short path beside the report: the kernel's sockets are files in it where that is possible.
    with tempfile.TemporaryDirectory(prefix="k-", dir=beside) as scratch:
        done = execute(
            source.notebook,
            _values(source, period),
            scratch=Path(scratch),
            timeout_seconds=timeout_seconds,
        )
    return done


def _content(source: Source, period: Period) -> dict[str, Any]:
    """What the report has read, summed up, so that a later run can tell whether it is right."""
    log = EventLog.open(source.data)
    if log.fingerprint != source.log.fingerprint:
        name = source.definition.name
        raise ReportError(f"{name}: the log changed while it was reported on. Run again.")
    return content_of_period(log, period, window_us=source.window_us)


def _values(source: Source, period: Period) -> dict[str, Any]:
    run = {
        "data": os.path.relpath(source.data.resolve(), source.notebook.parent.resolve()),
        "period_start": period.first_day.isoformat(),
        "period_end": period.end_day.isoformat(),
        "time_zone": period.time_zone,
        "report": True,
    }
    assert set(run) == set(RESERVED)
    known = {key: value for key, value in run.items() if key in source.parameters}
    return {**source.definition.parameters, **known}


def _subtitle(period: Period, *, gate: str, immature: str) -> str:
    parts = [f"{period.label}, {period.name} ({period.time_zone})"]
    if gate == "fail":
        parts.insert(0, "The quality gate failed: do not use these numbers")
    return " · ".join([*parts, immature] if immature else parts)


def _footer(source: Source, period: Period) -> str:
    code = code_version(source.root)
    version = f"workbook {code['version']}"
    if code["commit"]:
        changed = ", changed since" if code["commit"].endswith("-dirty") else ""
        version += f" ({code['commit'][:12]}{changed})"
    until = timestamp(source.log.covers_until).strftime("%Y-%m-%d %H:%M UTC")
    return (
        f"{source.definition.name} {period.label} · log {source.log.fingerprint[:12]}, complete "
        f"until {until} · {version} · the numbers of this page: {NUMBERS}"
    )


def as_json(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys, one fact a line: equal content is equal text.

    Examples
    --------
    >>> print(as_json({"b": 1, "a": "ü"}), end="")
    {
     "a": "ü",
     "b": 1
    }
    """
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


# Where a report comes from: enough to make it again, and nothing of the machine


def inputs(source: Source, period: Period) -> dict[str, Any]:
    """Everything a report depends on, as plain data: equal inputs give an equal report."""
    definition = source.definition
    return {
        "report": definition.name,
        "title": definition.title,
        "period": period.label,
        "period_start": period.bounds[0].isoformat(),
        "period_end": period.bounds[1].isoformat(),
        "time_zone": definition.time_zone,
        "log": source.log.fingerprint,
        "covers_until": timestamp(source.log.covers_until).isoformat(),
        "notebook": {"name": definition.notebook, "sha256": notebook_checksum(source.notebook)},
        "parameters": dict(definition.parameters),
        "code": code_version(source.root),
        "python": platform.python_version(),
        "packages": package_versions(),
    }


def code_version(root: Path) -> dict[str, str | None]:
    """The package's version, and the commit of the project where that is a git checkout."""
    commit = None
    # A project inside of somebody's checkout must not take that checkout's commit.
    if (root / ".git").exists():
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        commit = _output_of(command, cwd=root)
    return {"version": importlib.metadata.version(_DISTRIBUTION), "commit": commit}


def _output_of(command: list[str], *, cwd: Path) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None


def notebook_checksum(notebook: Path) -> str:
    """The SHA-256 of what runs in a notebook; the outputs it was committed with do not count."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def package_versions() -> dict[str, str]:
    """The versions of the packages that can change a number or a picture."""
    return {name: importlib.metadata.version(name) for name in _COMPUTING + _DRAWING}


def checksums(files: Mapping[str, str]) -> dict[str, str]:
    """The SHA-256 of each file's text, by name."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}


# The numbers of a notebook


class _HasFingerprint(Protocol):
    @property
    def fingerprint(self) -> str: ...


def emit(
    *,
    headline: str,
    numbers: Mapping[str, Any],
    warnings: Iterable[str] = (),
    gate: str = "pass",
    log: _HasFingerprint | None = None,
) -> None:
    """Hand the report its headline and numbers; called once, in a cell of the notebook.

    Parameters
    ----------
    headline : the answer in one or two plain sentences.
    numbers : name → number, or name → ``{"value": …, "low": …, "high": …, "n": …, …}``; rates
        are fractions, undefined is NaN or None.
    warnings : caveats in plain words; they go wherever the numbers go.
    gate : what the quality gate says: ``pass``, ``warn`` or ``fail``; a report that fails does
        not replace the last good one.
    log : the log the numbers come from; its fingerprint goes with them.

    Raises
    ------
    UsageError
        If the headline is empty, or a number is none.

    Examples
    --------
    >>> emit(headline="", numbers={"rate": {"value": 0.5, "n": 4}})
    Traceback (most recent call last):
    analysis.UsageError: emit: headline = '' must be text. Write what a reader should read.
    """
    from IPython.display import display

    payload = {
        "headline": _text(headline, "headline"),
        "numbers": {_text(k, "numbers"): number(v, str(k)) for k, v in numbers.items()},
        "warnings": [_text(warning, "warnings") for warning in warnings],
        "gate": one_of("emit: gate", gate, GATES),
        "log": None if log is None else log.fingerprint,
    }
    display({MIME_TYPE: payload}, raw=True)


def collect(notebook: Mapping[str, Any], name: str) -> dict[str, Any]:
    """What the notebook emitted: ``headline``, ``numbers``, ``warnings``, ``gate``, ``log``.

    Raises
    ------
    ReportError
        If it emitted nothing, or more than once.

    Examples
    --------
    >>> collect({"cells": []}, "weekly")
    Traceback (most recent call last):
    analysis.core.schema.ReportError: weekly: the notebook emitted no numbers. Call \
analysis.reports.emit(headline=…, numbers=…) once, in a cell that runs when report is True.
    """
    found = [
        output["data"][MIME_TYPE]
        for cell in notebook["cells"]
        for output in cell.get("outputs", [])
        if MIME_TYPE in output.get("data", {})
    ]
    if len(found) == 1:
        return dict(found[0])
    what = f"emitted numbers {len(found)} times" if found else "emitted no numbers"
    raise ReportError(
        f"{name}: the notebook {what}. Call analysis.reports.emit(headline=…, numbers=…) once, "
        "in a cell that runs when report is True."
    )


def number(value: Any, name: str) -> dict[str, Any]:
    """A number with its fields as plain data, rounded to ten significant digits.

    Examples
    --------
    >>> number({"value": 1 / 3, "n": np.int64(7), "low": np.nan}, "rate")
    {'value': 0.3333333333, 'n': 7, 'low': None}
    >>> number(12, "entered")
    {'value': 12}
    """
    fields = value if isinstance(value, Mapping) else {"value": value}
    if "value" not in fields:
        raise UsageError(
            f"emit: numbers[{name!r}] has no 'value', only {', '.join(map(repr, fields))}. "
            "Add it; use NaN where it is undefined."
        )
    return {_text(key, "numbers"): _rounded(cell, f"{name}.{key}") for key, cell in fields.items()}


def _rounded(value: Any, what: str) -> Any:
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, str):
        return _text(value, what)
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        rounded = float(f"{value:.{SIGNIFICANT_DIGITS}g}")
        # The largest floats round beyond what a float holds. Adding 0.0 makes -0.0 plain 0.0.
        kept = rounded if math.isfinite(rounded) else value
        return kept + 0.0 if math.isfinite(value) else None
    raise UsageError(
        f"emit: numbers: {what} = {value!r} is of type {type(value).__name__}. "
        "Allowed: a number, text, true/false, or NaN where it is undefined."
    )


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"emit: {what} = {value!r} must be text. Write what a reader should read.")
    # Half a surrogate pair is text to Python and to nobody else; it must not break the files.
    return value.encode("utf-8", "replace").decode("utf-8")
