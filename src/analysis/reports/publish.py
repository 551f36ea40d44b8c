"""Put finished reports where people look, whole or not at all, with one page over all of them.

::

    reports/index.html                all reports: what each says now, how its numbers have moved
    reports/weekly/2026-W46/          what people open
    reports/weekly/2026-W46.failed/   the quality gate said no; beside the last good one
    reports/.failures.json            what the last run could not make, and why
    reports/.work-…/                  where one run at a time prepares; gone when it ends

A report is written and synced in a work folder, then renamed into place. Two renames replace a
report that is there (the old one aside, the new one in), because no portable call swaps two
folders; a crash between them leaves the old one under ``.<period>.old``, and the next run puts it
back before it does anything else. At no instant is there half a report.

One run works in a folder of reports at a time: it holds a lock that the system lets go of when
the run ends, however it ends. Its work folder is new, has a name that nobody can know before, and
is open to its user only. What a killed run left is removed by the next. Nothing is removed or
written through a link.

The page over all reports is made from the files on disk and from nothing else, so it says what
the reports beside it say and can be made again at any time. It has no script, no address outside
the folder, no date of today. Text in those files comes from data and is escaped. A file that is
damaged stops nothing: the page names the report, and ``--due`` makes it anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any
from urllib.parse import quote

from analysis.core import wording
from analysis.core.schema import ReportError, UsageError, instant_us
from analysis.eventlog.folder import is_link, locked, remove, sync
from analysis.eventlog.store import replace_file
from analysis.reports import templates
from analysis.reports.render import GATES, MANIFEST, NUMBERS, PAGE

FAILED = ".failed"
FAILURES = ".failures.json"
_WORK, _LOCK, _ASIDE = ".work", ".lock", ".old"

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
    with contextlib.ExitStack() as end:
        for folder in reversed(made):
            end.callback(_remove_if_empty, folder)
        if not _begun(to, end, wait=False):
            busy = f"another run is at work in '{to.name}'"
            if waiting is None:
                raise Busy(f"{busy}. Run again when it has ended.")
            waiting(f"{busy}; waiting for it to end.")
            _begun(to, end, wait=True)
        for left in to.glob(f"{_WORK}*"):
            remove(left)
        work = Path(tempfile.mkdtemp(prefix=f"{_WORK}-", dir=to))  # open to its user only
        end.callback(remove, work)
        recover(to)
        yield work


def _begun(to: Path, end: contextlib.ExitStack, *, wait: bool) -> bool:
    """Hold the lock of a run until `end`; says whether it is held."""
    try:
        to.mkdir(parents=True, exist_ok=True)
        return end.enter_context(locked(to / _LOCK, wait=wait))
    except OSError as error:
        raise UsageError(
            f"reports cannot be written to '{to}' ({error.strerror}). "
            "Name another folder with --to DIR."
        ) from error


def _remove_if_empty(folder: Path) -> None:
    # Another run may have come in, and a folder with reports in it stays.
    with contextlib.suppress(OSError):
        folder.rmdir()


def publish(staged: Path, target: Path) -> None:
    """Make a finished report the one that people see, in the place of the one that is there.

    Parameters
    ----------
    staged : the folder with the finished files, on the same file system; target : where to.

    Raises
    ------
    ReportError
        If the report's folder is a link: what is replaced would be somewhere else.
    """
    for place in (target.parent, target):
        if is_link(place):
            raise ReportError(
                f"'{place}' is a link, and reports are not replaced through links. Remove it, or "
                "name another folder with --to DIR."
            )
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
    remove(aside)


def recover(to: Path) -> None:
    """Put back every report that a crash left aside; drop what was replaced already."""
    for aside in to.glob(f"*/.*{_ASIDE}"):
        if not is_link(aside.parent):
            _put_back(aside)


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE}")


def _put_back(aside: Path) -> None:
    target = aside.with_name(aside.name[1:].removesuffix(_ASIDE))
    if not aside.exists():
        return
    if target.exists():
        remove(aside)
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
    """One published report, as its files say; `damage` says why they cannot be read."""

    report: str
    label: str
    title: str
    start: str
    headline: str
    gate: str = "pass"
    numbers: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    manifest: Mapping[str, Any] = field(default_factory=dict)
    damage: str = ""

    @property
    def address(self) -> str:
        """Where its page is, seen from the page over all reports."""
        return quote(os.fsencode(f"{self.report}/{self.label}/{PAGE}"))


@dataclass(frozen=True)
class Failure:
    """A report that could not be made, or is not good; `period` is empty for a whole definition."""

    report: str
    period: str
    error: str
    page: str = ""
    """Its page, seen from the folder of reports, where there is one."""

    @property
    def address(self) -> str:
        return quote(os.fsencode(self.page))


def write_index(to: Path) -> None:
    """Bring ``index.html`` of a folder of reports up to date, in one step; none without reports."""
    path, issues, failures = to / PAGE, published(to), failed(to)
    page = index_page(issues, failures).encode("utf-8", "replace").decode("utf-8")
    if (issues or failures) and (not path.is_file() or path.read_bytes() != page.encode()):
        replace_file(path, page)


def published(to: Path) -> list[Issue]:
    """Every published report of a folder, by name and then oldest first.

    A report whose files are damaged is listed with words that say so.
    """
    places = {
        path.parent for name in (NUMBERS, MANIFEST) for path in to.glob(f"[!.]*/[!.]*/{name}")
    }
    issues = [read_issue(place) for place in places if not place.name.endswith(FAILED)]
    return sorted(issues, key=lambda issue: (issue.report, issue.start, issue.label))


def read_issue(folder: Path) -> Issue:
    """A published report as its files say it, every part of them checked."""
    report, label = folder.parent.name, folder.name
    try:
        texts = {name: _text_of(folder / name) for name in (NUMBERS, MANIFEST)}
        numbers, manifest = (_object(texts[name], name) for name in (NUMBERS, MANIFEST))
        _check_numbers(numbers)
        _check_manifest(manifest)
        written = manifest.get("files", {}).get(NUMBERS)
        if written is not None and hashlib.sha256(texts[NUMBERS].encode()).hexdigest() != written:
            raise ValueError(f"{NUMBERS} is not what was written")
        if not (folder / PAGE).is_file() and written is not None:
            raise ValueError(f"{PAGE} is missing")
    except (OSError, ValueError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        return Issue(report, label, report, label, _UNREADABLE, damage=str(why))
    return Issue(
        report,
        label,
        manifest["title"],
        manifest["period_start"],
        numbers["headline"],
        manifest["gate"],
        numbers["numbers"],
        manifest,
    )


def _text_of(path: Path) -> str:
    if not path.is_file():  # a pipe would be waited for, for ever
        raise ValueError(f"{path.name} is missing")
    return path.read_text(encoding="utf-8")


def _object(text: str, name: str) -> dict[str, Any]:
    def refused(constant: str) -> None:
        raise ValueError(f"{name} holds {constant}, which is no number")

    try:
        content = json.loads(text, parse_constant=refused)
    except RecursionError as error:
        raise ValueError(f"{name} is nested too deeply") from error
    if not isinstance(content, dict):
        raise ValueError(f"{name} is no table")
    return content


def _check_numbers(content: Mapping[str, Any]) -> None:
    if not isinstance(content.get("headline"), str):
        raise ValueError(f"{NUMBERS} has no headline")
    numbers = content.get("numbers")
    if not isinstance(numbers, dict):
        raise ValueError(f"{NUMBERS} has no numbers")
    for name, cells in numbers.items():
        if not isinstance(cells, dict):
            raise ValueError(f"{NUMBERS}: {name!r} is no number with its fields")
        for key, cell in cells.items():
            if not (cell is None or isinstance(cell, str) or _is_number(cell)):
                raise ValueError(f"{NUMBERS}: {name!r} has {key!r}, which is no number and no text")


def _is_number(cell: Any) -> bool:
    try:
        return isinstance(cell, (int, float)) and math.isfinite(cell)
    except OverflowError:
        return False


def _check_manifest(content: Mapping[str, Any]) -> None:
    for key in ("title", "period_start"):
        if not isinstance(content.get(key), str):
            raise ValueError(f"{MANIFEST} has no {key}")
    if content.get("gate") not in GATES:
        raise ValueError(f"{MANIFEST} has no result of the quality gate")
    if not isinstance(content.get("files", {}), dict):
        raise ValueError(f"{MANIFEST} has no checksums")
    if not isinstance(content.get("content", {}), dict):
        raise ValueError(f"{MANIFEST} does not say what was read")
    for instant in (content.get("covers_until"), content.get("content", {}).get("until")):
        if instant is not None:
            instant_us(instant, MANIFEST)


# What could not be made


def failed(to: Path) -> list[Failure]:
    """What the last runs could not make; none where the file that says it cannot be read."""
    try:
        content = json.loads(_text_of(to / FAILURES))
        found = [Failure(**each) for each in content]
    except (OSError, ValueError, TypeError, RecursionError):
        return []
    whole = all(isinstance(part, str) for each in found for part in vars(each).values())
    return found if whole else []


def note_failures(to: Path, failures: Iterable[Failure]) -> None:
    """Remember what could not be made, in the place of what was remembered before."""
    content = [vars(failure) for failure in failures]
    if content:
        replace_file(to / FAILURES, json.dumps(content, indent=1) + "\n")
    else:
        remove(to / FAILURES)


def index_page(issues: Sequence[Issue], failures: Sequence[Failure] = ()) -> str:
    """The page over these reports, which are in order, and what failed, as one HTML text."""
    return templates.fill(
        "index_page.html",
        style="".join(templates.read(name) for name in _STYLES),
        failures=failures,
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
        return f"{wording.percent(value)} of {wording.count(_number(cells, 'n') or 0)}"
    return wording.count(value) if value == int(value) else f"{value:,.2f}"


def _change(cells: Mapping[str, Any]) -> str:
    change = _number(cells, "change")
    if change is None:
        return ""
    if not _is_rate(cells):
        return f"{change:+,.4g}".replace("-", "−")
    words = f"{wording.points(change)} points"
    low, high = _number(cells, "change_low"), _number(cells, "change_high")
    if low is None or high is None:
        return words
    return f"{words} ({wording.points(low)} to {wording.points(high)})"


def _is_rate(cells: Mapping[str, Any]) -> bool:
    value = _value(cells)
    return "n" in cells and value is not None and 0 <= value <= 1


def _value(cells: Mapping[str, Any]) -> float | None:
    return _number(cells, "value")


def _number(cells: Mapping[str, Any], key: str) -> float | None:
    value = cells.get(key)
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
