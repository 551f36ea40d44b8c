"""The parts of a report that are no table and no figure: headline, key numbers, data check, notes.

Each is text and HTML at once: a notebook shows the HTML, a test compares the text. Everything
that comes from outside is escaped here. The few inline styles are for the notebook; the report's
page takes them off and dresses the same classes in its own style sheet.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import pandas as pd

from analysis.core.wording import UNDEFINED, count, percent, points, relative
from analysis.eventlog.totals import Totals
from analysis.funnels.period_result import PeriodResult
from analysis.funnels.period_words import before_words
from analysis.quality.gate import GateResult

_LARGE = "font-size:1.35em;line-height:1.4;max-width:46em"


_ROW = "display:flex;flex-wrap:wrap;gap:12px 40px;margin:12px 0"


_NUMBER = "font-size:1.9em;line-height:1.2"


@dataclass(frozen=True)
class Piece:
    """A part of a report, as text and as HTML that is safe to show."""

    text: str
    markup: str

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        return self.markup


class Tile(NamedTuple):
    """One key number: what it is, the number, and its context (plain text)."""

    name: str
    value: str
    context: Sequence[str] = ()


def headline(lead: str, *more: str) -> Piece:
    """The answer in words: the first part large, the others below it.

    Examples
    --------
    >>> headline("4.6% of <b>all</b> bought.")._repr_html_().count("<b>")
    0
    """
    rest = " ".join(more)
    markup = f'<p class="wb-headline" style="{_LARGE}"><strong>{html.escape(lead)}</strong>'
    markup += f"<br>{html.escape(rest)}</p>" if rest else "</p>"
    return Piece(" ".join([lead, *more]), markup)


def sentence(text: str) -> Piece:
    """One of several answers in words: no larger than the text around it.

    Examples
    --------
    >>> sentence("4.6% of <b>all</b> bought.")._repr_html_().count("<b>")
    0
    """
    return Piece(text, f'<p class="wb-sentence">{html.escape(text)}</p>')


def tiles(numbers: Sequence[Tile]) -> Piece:
    """A row of key numbers."""
    text = "\n".join(" · ".join([f"{t.name}: {t.value}", *t.context]) for t in numbers)
    cells = "".join(
        f'<div class="wb-tile"><div class="wb-name">{html.escape(tile.name)}</div>'
        f'<div class="wb-value" style="{_NUMBER}">{html.escape(tile.value)}</div>'
        + "".join(f'<div class="wb-context">{html.escape(line)}</div>' for line in tile.context)
        + "</div>"
        for tile in numbers
    )
    return Piece(text, f'<div class="wb-tiles" style="{_ROW}">{cells}</div>')


def key_numbers(
    week: PeriodResult, *, orders: Sequence[Totals], name: str, currency: str | None = None
) -> Piece:
    """Entered, conversion rate, conversions and their value, each beside the period before.

    Parameters
    ----------
    orders : totals of the macro conversion in the period and in the one before. name : what a
        conversion is called. currency : of values whose log does not say.
    """
    now, before = week.entered
    # A count of some days and a count of a whole period are not compared.
    ago = before_words(week.period, week.previous) if week.is_over else None
    return tiles(
        [
            Tile("Entered the funnel", count(now), _against(now, before, ago)),
            Tile("Conversion rate", percent(week.overall["rate"]), _rate_context(week)),
            *_money(orders, name, ago, few=int(week.parameters["min_cell"]), currency=currency),
        ]
    )


def _rate_context(week: PeriodResult) -> list[str]:
    row, ago = week.overall, before_words(week.period, week.previous)
    if pd.isna(row["rate"]):
        few = (
            f"fewer than {week.parameters['min_cell']} converted" if week.mature else "no rate yet"
        )
        return [few if week.entered[0] else "nobody entered"]
    said = [f"95% interval {percent(row['low'])} to {percent(row['high'])}"]
    if pd.isna(row["change"]):
        return [*said, f"no rate of {ago}"]
    interval = f"({points(row['change_low'])} to {points(row['change_high'])})"
    return [*said, f"{points(row['change'])} points vs {ago} {interval}"]


def check(gate: GateResult) -> Piece:
    """What the data check says; where it passes, its facts are folded away."""
    rows = gate.table.to_dict("records")
    passed = gate.status == "pass"
    said = gate.sentence() if passed else gate.sentence().partition(":")[0] + "."
    items = "".join(
        f"<li><b>{html.escape(row['check'])}:</b> {html.escape(row['finding'])}</li>"
        for row in rows
        if passed or row["status"] != "pass"
    )
    outer, inner = ("details", "summary") if passed else ("div", "strong")
    markup = (
        f'<{outer} class="wb-check wb-{gate.status}"><{inner}>{html.escape(said)}</{inner}>'
        f"<ul>{items}</ul></{outer}>"
    )
    lines = [f"{row['status'].upper():4} {row['check']}: {row['finding']}" for row in rows]
    return Piece("\n".join([said, *lines]), markup)


def notes(*groups: Iterable[str]) -> Piece:
    """Caveats, each once, in the order given."""
    lines = list(dict.fromkeys(line for group in groups for line in group))
    if not lines:
        return Piece("No caveats.", '<p class="wb-notes">No caveats.</p>')
    items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
    return Piece("\n".join(lines), f'<ul class="wb-notes">{items}</ul>')


def _against(now: float, before: float, ago: str | None) -> list[str]:
    if ago is None:
        return ["so far; the period is not over"]
    if not before or pd.isna(before) or pd.isna(now):
        return [f"nothing to compare with in {ago}"]
    return [f"{relative(now / before - 1)} vs {ago} ({count(before)})"]


def _money(
    orders: Sequence[Totals], name: str, ago: str | None, *, few: int, currency: str | None
) -> list[Tile]:
    now, before = orders
    names = [f"Conversions ({name})", "Revenue"]
    if pd.isna(now.users):
        return [Tile(what, UNDEFINED, [f"fewer than {few} users"]) for what in names]
    many = Tile(names[0], count(now.events), _against(now.events, before.events, ago))
    unit = now.currency or currency or ""
    if pd.isna(now.value):
        why = f"several currencies: {unit}" if "," in unit else "the log has no values"
        return [many, Tile(names[1], UNDEFINED, [why])]
    context = _against(now.value, before.value, ago)
    return [many, Tile(names[1], f"{count(now.value)} {unit}".strip(), context)]
