"""Put finished reports where people look, whole or not at all, with one page over all of them.

::

    reports/index.html                all reports: what each says now, how its numbers have moved
    reports/weekly/2026-W46/          what people open
    reports/weekly/2026-W46.failed/   the quality gate said no; beside the last good one
    reports/.work/                    where one run at a time prepares; gone when it ends

A report is written and synced in ``.work``, then renamed into place. Two renames replace a report
that is there (the old one aside, the new one in), because no portable call swaps two folders; a
crash between them leaves the old one under ``.<period>.old``, and the next run puts it back
before it does anything else. At no instant is there half a report.

One run works in a folder of reports at a time: it holds a lock that the system lets go of when
the run ends, however it ends. What a killed run left in ``.work`` is removed by the next.

The page over all reports is made from the ``numbers.json`` and ``manifest.json`` on disk and from
nothing else, so it says what the reports beside it say and can be made again at any time. It has
no script, no address outside the folder, no date of today. Text in those files comes from data and
is escaped.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analysis.core import wording
from analysis.core.schema import ReportError, UsageError
from analysis.eventlog.folder import locked, sync
from analysis.eventlog.store import replace_file
from analysis.reports import templates
from analysis.reports.render import MANIFEST, NUMBERS, PAGE

WORK, FAILED = ".work", ".failed"
_LOCK, _ASIDE = "lock", ".old"

Say = Callable[[str], None]
"""Is told, in one line, what a run is doing."""


class Busy(ReportError):
    """Another run is at work in the same folder of reports."""


@contextlib.contextmanager
def workspace(to: Path, *, waiting: Say | None = None) -> Iterator[Path]:
    """A hidden folder to prepare reports in, for one run at a time; gone afterwards.

    Parameters
    ----------
    to : the folder of reports, made if it is not there.
    waiting : is told that another run is at work, whose end is then waited for; without it that
        is an error.

    Raises
    ------
    Busy
        If another run is at work there and `waiting` is not given.
    """
    made = [folder for folder in (to, *to.parents) if not folder.exists()]
    work = to / WORK
    with contextlib.ExitStack() as end:
        for folder in reversed((work, *made)):
            end.callback(_remove_if_empty, folder)
        if not _begun(work, end, wait=False):
            busy = f"another run is at work in '{to.name}'"
            if waiting is None:
                raise Busy(f"{busy}. Run again when it has ended.")
            waiting(f"{busy}; waiting for it to end.")
            _begun(work, end, wait=True)
        end.callback(_clear, work)
        _clear(work)
        recover(to)
        yield work


def _begun(work: Path, end: contextlib.ExitStack, *, wait: bool) -> bool:
    """Hold the lock of a run until `end`; says whether it is held."""
    try:
        return end.enter_context(locked(work / _LOCK, wait=wait))
    except OSError as error:
        raise UsageError(
            f"reports cannot be written to '{work.parent}' ({error.strerror}). "
            "Name another folder with --to DIR."
        ) from error


def _remove_if_empty(folder: Path) -> None:
    # Another run may have come in, and a folder with reports in it stays.
    with contextlib.suppress(OSError):
        folder.rmdir()


def _clear(work: Path) -> None:
    for path in work.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def publish(staged: Path, target: Path) -> None:
    """Make a finished report the one that people see, in the place of the one that is there.

    Parameters
    ----------
    staged : the folder with the finished files, on the same file system; target : where to.
    """
    for path in (staged / PAGE, staged / NUMBERS, staged / MANIFEST, staged):
        sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(target)
    if target.exists():
        os.rename(target, aside)
    try:
        os.rename(staged, target)
    except BaseException:
        _put_back(aside)
        raise
    sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def recover(to: Path) -> None:
    """Put back every report that a crash left aside; drop what was replaced already."""
    for aside in to.glob(f"*/.*{_ASIDE}"):
        _put_back(aside)


def is_published(to: Path, report: str, label: str) -> bool:
    """Whether a report of that period is there, whole."""
    return (to / report / label / MANIFEST).is_file()


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE}")


def _put_back(aside: Path) -> None:
    target = aside.with_name(aside.name[1:].removesuffix(_ASIDE))
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside)
    else:
        os.rename(aside, target)


# The page over all reports

TREND_PERIODS = 26
HEADLINE_NUMBER = "macro_rate"
_WIDTH, _HEIGHT, _MARGIN = 160, 32, 4
_STYLES = ("page.css", "index.css")
_UNREADABLE = "The numbers of this report cannot be read: render it again."


@dataclass(frozen=True)
class Issue:
    """One published report, as its files say."""

    report: str
    label: str
    title: str
    start: str
    headline: str
    gate: str = "pass"
    numbers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)

    @property
    def address(self) -> str:
        """Where its page is, seen from the page over all reports."""
        return quote(os.fsencode(f"{self.report}/{self.label}/{PAGE}"))


def write_index(to: Path) -> None:
    """Bring ``index.html`` of a folder of reports up to date, in one step; none without reports."""
    path, issues = to / PAGE, published(to)
    page = index_page(issues)
    if issues and (not path.is_file() or path.read_text(encoding="utf-8") != page):
        replace_file(path, page)


def published(to: Path) -> list[Issue]:
    """Every published report of a folder, by name and then oldest first.

    A report whose files are damaged is listed with words that say so.
    """
    issues = [
        _issue(path.parent)
        for path in to.glob(f"[!.]*/[!.]*/{NUMBERS}")
        if not path.parent.name.endswith(FAILED)
    ]
    return sorted(issues, key=lambda issue: (issue.report, issue.start, issue.label))


def _issue(folder: Path) -> Issue:
    report, label = folder.parent.name, folder.name
    try:
        numbers = json.loads((folder / NUMBERS).read_text(encoding="utf-8"))
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        return Issue(
            report,
            label,
            manifest["title"],
            manifest["period_start"],
            numbers["headline"],
            manifest["gate"],
            numbers["numbers"],
        )
    except (OSError, ValueError, KeyError, TypeError):
        return Issue(report, label, report, label, _UNREADABLE)


def index_page(issues: Sequence[Issue]) -> str:
    """The page over these reports, which are in order, as one HTML text."""
    return templates.fill(
        "index_page.html",
        style="".join(templates.read(name) for name in _STYLES),
        reports=[_section(list(series)) for _, series in groupby(issues, lambda i: i.report)],
    )


def _section(series: Sequence[Issue]) -> dict[str, Any]:
    """One report on the page: what it says now, its numbers, all its periods."""
    latest, recent = series[-1], series[-TREND_PERIODS:]
    names = sorted(latest.numbers, key=lambda name: (name != HEADLINE_NUMBER, name))
    rows = [_number_row(name, recent) for name in names]
    return {"latest": latest, "rows": rows, "issues": series[::-1]}


def _number_row(name: str, series: Sequence[Issue]) -> dict[str, str]:
    cells = series[-1].numbers[name]
    label = wording.label(cells.get("label") or name)
    trend = sparkline([_value(issue.numbers.get(name, {})) for issue in series], label)
    return {"label": label, "value": _shown(cells), "change": _change(cells), "trend": trend}


def _shown(cells: Mapping[str, Any]) -> str:
    value = _value(cells)
    if value is None:
        return wording.UNDEFINED
    if _is_rate(cells):
        return f"{wording.percent(value)} of {wording.count(cells['n'] or 0)}"
    return wording.count(value) if value == int(value) else f"{value:,.2f}"


def _change(cells: Mapping[str, Any]) -> str:
    change = cells.get("change")
    if not isinstance(change, (int, float)):
        return ""
    if not _is_rate(cells):
        return f"{change:+,.4g}".replace("-", "−")
    words = f"{wording.points(change)} points"
    low, high = cells.get("change_low"), cells.get("change_high")
    if low is None or high is None:
        return words
    return f"{words} ({wording.points(low)} to {wording.points(high)})"


def _is_rate(cells: Mapping[str, Any]) -> bool:
    value = _value(cells)
    return "n" in cells and value is not None and 0 <= value <= 1


def _value(cells: Mapping[str, Any]) -> float | None:
    value = cells.get("value")
    return float(value) if isinstance(value, (int, float)) else None


def sparkline(values: Sequence[float | None], label: str) -> str:
    """A small line of values, oldest first, as SVG; a missing value leaves a gap.

    Examples
    --------
    >>> sparkline([1.0], "Entered")
    ''
    >>> sparkline([1.0, 3.0], "Entered").count("<polyline")
    1
    """
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return ""
    low, high = min(known), max(known)
    step = (_WIDTH - 2 * _MARGIN) / (len(values) - 1)
    tall = (_HEIGHT - 2 * _MARGIN) / (high - low) if high > low else 0.0
    points = [
        None
        if value is None
        else (f"{_MARGIN + i * step:.1f}", f"{_HEIGHT - _MARGIN - (value - low) * tall:.1f}")
        for i, value in enumerate(values)
    ]
    words = f"{label}: from {known[0]:.4g} to {known[-1]:.4g} ({len(known)} periods)"
    # A point between two gaps is no line.
    lines = [" ".join(map(",".join, run)) for run in _runs(points) if len(run) > 1]
    drawn = templates.macros("parts.html").sparkline(words, _WIDTH, _HEIGHT, lines, points[-1])
    return str(drawn)


def _runs(points: Iterable[tuple[str, str] | None]) -> Iterator[list[tuple[str, str]]]:
    """The points between gaps."""
    for is_there, run in groupby(points, lambda point: point is not None):
        if is_there:
            yield [point for point in run if point is not None]
