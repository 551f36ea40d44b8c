"""``workbook report``: what is asked, and how the answer is told.

A person gets the page's path, the headline and the caveats; a program gets the same as JSON. What
is going on while it runs goes to standard error. The exit code is 1 as soon as one report could
not be made or its quality gate said no, so that whatever called the command notices.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analysis.cli import console
from analysis.core.schema import UsageError
from analysis.reports.definition import FOLDER, definition_names
from analysis.reports.publish import Busy
from analysis.reports.runs import REPORTS, Outcome, project_root, report_due, report_period

COMMAND = "workbook report"


def run_report(
    name: str | None, *, period: str | None, due: bool, as_json: bool = False, **where: Any
) -> int:
    """Render what is asked for, tell what came of it, and return the exit code.

    Parameters
    ----------
    name : of a definition, or the path of its file; period : which one; due : whatever is.
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
    if period and name:
        made = report_period(name, period, root=root, say=_say, **where)
        if as_json:
            console.print_json(_plain(made))
        _tell([made], as_json=as_json)
        return int(not made.good)
    try:
        outcomes = report_due(name, root=root, say=_timed(), **where)
    except Busy as error:
        console.complain(COMMAND, error)
        return 0
    if as_json:
        console.print_json({"reports": [_plain(made) for made in outcomes]})
    elif not outcomes:
        print("Nothing is due: every complete period has its report.")
    _tell(outcomes, as_json=as_json)
    return int(not all(made.good for made in outcomes))


def _tell(outcomes: Sequence[Outcome], *, as_json: bool) -> None:
    for made in outcomes:
        if made.error:
            about = " ".join([made.report, made.period]).strip()
            page = f" ({_shown(made.page)})" if made.page else ""
            console.complain(COMMAND, f"{about}{page}: {made.error}")
        elif not as_json:
            print(_shown(made.page))
            print(f"  {console.printable(made.headline)}")
            for warning in made.warnings:
                print(f"  Note: {console.printable(warning)}")


def _plain(made: Outcome) -> dict[str, Any]:
    return {**asdict(made), "page": _shown(made.page) or None, "warnings": list(made.warnings)}


def _shown(page: Path | None) -> str:
    """A path as a person would type it: from here, where it is below here."""
    if page is None:
        return ""
    here = Path.cwd()
    return os.path.relpath(page, here) if page.is_relative_to(here) else str(page)


def _say(line: str) -> None:
    print(console.printable(line), file=sys.stderr, flush=True)


def _timed() -> Any:
    began = time.monotonic()

    def say(line: str) -> None:
        _say(f"{line} (after {time.monotonic() - began:.0f} s)")

    return say


def _what_to_say(root: Path) -> str:
    names = ", ".join(definition_names(root / REPORTS / FOLDER)) or "none yet"
    return (
        "name a report and a period, or say --due. Defined in "
        f"{REPORTS}/{FOLDER}: {names}. For example: {COMMAND} weekly --period 2026-W46."
    )
