"""One page over all reports: what each says now, and how its numbers have moved.

It is made from the ``numbers.json`` and ``manifest.json`` on disk and from nothing else, so it
says what the reports beside it say and can be made again at any time. No script, no address
outside the folder, no date of today. Text in those files comes from data and is escaped.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from typing import Any

from analysis.core import wording
from analysis.eventlog.store import replace_file
from analysis.reports.publish import FAILED
from analysis.reports.render import MANIFEST, NUMBERS, PAGE

TREND_PERIODS = 26


HEADLINE_NUMBER = "macro_rate"


_WIDTH, _HEIGHT, _MARGIN = 160, 32, 4


_UNREADABLE = "The numbers of this report cannot be read: render it again."


_FOLDER = Path(__file__).parent


_STYLES = ("page.css", "index.css")


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


def index_page(issues: Sequence[Issue]) -> str:
    """The page as one HTML text."""
    reports = {issue.report: [i for i in issues if i.report == issue.report] for issue in issues}
    page = Template((_FOLDER / "index_page.html").read_text(encoding="utf-8"))
    return page.substitute(
        style="".join((_FOLDER / name).read_text(encoding="utf-8") for name in _STYLES),
        body="\n".join(_section(series) for series in reports.values()),
    )


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
    points: list[tuple[float, float] | None] = [
        None if v is None else (_MARGIN + i * step, _HEIGHT - _MARGIN - (v - low) * tall)
        for i, v in enumerate(values)
    ]
    said = html.escape(f"{label}: from {known[0]:.4g} to {known[-1]:.4g} ({len(known)} periods)")
    lines = "".join(f'<polyline points="{_path(run)}"/>' for run in _runs(points))
    end = points[-1]
    dot = f'<circle cx="{end[0]:.1f}" cy="{end[1]:.1f}" r="2.5"/>' if end else ""
    return (
        f'<svg class="spark" role="img" aria-label="{said}" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        f'width="{_WIDTH}" height="{_HEIGHT}"><title>{said}</title>{lines}{dot}</svg>'
    )


def _section(series: Sequence[Issue]) -> str:
    latest = series[-1]
    rows = "\n".join(
        _number_row(name, series[-TREND_PERIODS:]) for name in _in_order(latest.numbers)
    )
    columns = ("Number", latest.label, "Change (95% interval)", "Trend")
    heads = "".join(f'<th scope="col">{html.escape(column)}</th>' for column in columns)
    table = (
        f'<div class="table"><table>\n<thead><tr>{heads}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n'
        "</table></div>\n"
    )
    items = "\n".join(_item(issue) for issue in reversed(series))
    return (
        f'<section>\n<h2>{_link(latest, latest.title)}</h2>\n<p class="latest">'
        f"{html.escape(latest.headline)}</p>\n{_gate(latest)}{table if rows else ''}"
        f'<h3>All periods</h3>\n<ul class="periods">\n{items}\n</ul>\n</section>'
    )


def _in_order(names: Iterable[str]) -> list[str]:
    return sorted(names, key=lambda name: (name != HEADLINE_NUMBER, name))


def _number_row(name: str, series: Sequence[Issue]) -> str:
    cells = series[-1].numbers[name]
    label = wording.label(cells.get("label") or name)
    values = [_value(issue.numbers.get(name, {})) for issue in series]
    return (
        f'<tr><th scope="row">{html.escape(label)}</th><td>{html.escape(_shown(cells))}</td>'
        f"<td>{html.escape(_change(cells))}</td>"
        f'<td class="trend">{sparkline(values, label)}</td></tr>'
    )


def _item(issue: Issue) -> str:
    said = html.escape(issue.headline)
    return f"<li>{_link(issue, issue.label)} <span>{said}</span></li>"


def _link(issue: Issue, text: str) -> str:
    address = html.escape(f"{issue.report}/{issue.label}/{PAGE}")
    return f'<a href="{address}">{html.escape(text)}</a>'


def _gate(issue: Issue) -> str:
    if issue.gate == "pass":
        return ""
    return '<p class="gate">The quality gate has a warning: see the report.</p>\n'


def _is_rate(cells: Mapping[str, Any]) -> bool:
    value = _value(cells)
    return "n" in cells and value is not None and 0 <= value <= 1


def _value(cells: Mapping[str, Any]) -> float | None:
    value = cells.get("value")
    return float(value) if isinstance(value, (int, float)) else None


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
    said = f"{wording.points(change)} points"
    low, high = cells.get("change_low"), cells.get("change_high")
    if low is None or high is None:
        return said
    return f"{said} ({wording.points(low)} to {wording.points(high)})"


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


def _runs(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            runs.append([])
        else:
            runs[-1].append(point)
    return [run for run in runs if len(run) > 1]


def _path(run: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in run)
