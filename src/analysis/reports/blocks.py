"""A funnel of one period as a report tells it: headline, numbers, caveats, small cells hidden.

Whatever a funnel was asked for (units, order, exclusions), its conversion rate is set beside the
one of the period before, by the same question. Where a number is about so few that it would
point at them, the headline says that instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.periods import Period, period_before, period_of
from analysis.core.schema import UsageError, instant_us
from analysis.core.wording import UNDEFINED, count, percent, points, relative
from analysis.eventlog.groups import Totals
from analysis.funnels import periods as period_words
from analysis.funnels.compare import FROM_FIRST, compare, suppressed
from analysis.funnels.periods import PeriodResult, before_words
from analysis.funnels.result import FunnelResult, noun
from analysis.quality.result import GateResult
from analysis.reports import templates

# ──── reports.funnel_told


class Told(NamedTuple):
    """What `emit` takes: the headline, numbers by name, and caveats."""

    headline: str
    numbers: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]


def funnel_told(result: FunnelResult, *, time_zone: str = "UTC", min_cell: int = 5) -> Told:
    """How many converted in the period, and how does that compare with the period before?

    Parameters
    ----------
    result : a funnel without a breakdown, with the period in ``entered``.
    time_zone : whose dates the period has.
    min_cell : what is about fewer than this is not told.

    Raises
    ------
    UsageError
        If the funnel has a breakdown or no whole period.

    Notes
    -----
    The change has the interval of `funnel_compare.compare` (Newcombe 1998, *Stat Med* 17:873).

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> rows = [(f"u{i}", "2026-01-08", "cart") for i in range(8)]
    >>> rows += [(f"u{i}", "2026-01-09", "purchase") for i in range(6)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> told = funnel_told(funnel(log, ["cart", "purchase"], entered=("2026-01-08", "2026-01-15")))
    >>> told.numbers["macro_rate"]["value"], told.numbers["macro_rate"]["n"]
    (0.75, 8)
    """
    entered = result.parameters["entered"]
    if result.question.by or entered is None or None in entered:
        raise UsageError(
            "funnel_told: the funnel has a breakdown or no whole period. Ask with entered=(start, "
            "end) and without by."
        )
    now = period_of(entered, time_zone, "funnel_told: entered")
    ago = period_before(now)
    before = result.ask(entered=ago.bounds, top=1)
    tables = suppressed(result.table, min_cell), suppressed(before.table, min_cell)
    if instant_us(now.end) > result.log.covers_until_us:
        numbers, change = _numbers(result, tables, None), ""
    else:
        compared = compare(result, None, before) if len(result.steps) > 1 else None
        numbers = _numbers(result, tables, compared)
        change = _change(numbers["macro_rate"], ago)
    said = _headline(result, tables[0], min_cell) + change
    return Told(said, numbers, (*result.warnings, *_caveats(result, now, ago)))


def _headline(result: FunnelResult, shown: pd.DataFrame, min_cell: int) -> str:
    who, whole = noun(result.question), result.table
    if len(shown) and not shown["k"].isna().any():
        return result.sentence()
    if not whole["count"].iloc[0]:
        return result.sentence()
    first = whole["event"].iloc[0]
    if not len(shown) or np.isnan(shown["k"].iloc[0]):
        return f"Fewer than {min_cell} {who} did {first}: too few to tell a rate."
    few = shown.loc[shown["k"].isna(), "event"].iloc[0]
    return (
        f"{count(shown['k'].iloc[0])} {who} did {first}, and fewer than {min_cell} of them "
        f"{few}: too few to tell more."
    )


def _change(rate: dict[str, Any], ago: Period) -> str:
    if rate["change"] is None:
        return ""
    low, high = points(rate["change_low"]), points(rate["change_high"])
    return (
        f" Against {ago.name} ({percent(rate['previous'])} of {count(rate['previous_n'])}) the "
        f"rate changed by {points(rate['change'])} points (95 % interval {low} to {high})."
    )


def _numbers(
    result: FunnelResult, tables: tuple[pd.DataFrame, pd.DataFrame], compared: pd.DataFrame | None
) -> dict[str, dict[str, Any]]:
    any_order = result.question.order == "any"
    last = len(result.steps) if any_order else result.question.last_required
    entries = [table["count"].iloc[0] if len(table) else np.nan for table in tables]
    over = compared is not None or len(result.steps) == 1
    said = {
        "macro_rate": _rate(tables, last, ("rate", "rate_low", "rate_high", "n_first"), compared),
        "entered": {
            "value": _whole(entries[0]),
            "previous": _whole(entries[1]),
            "change": _whole(entries[0] - entries[1]) if over else None,
        },
    }
    for number, step in enumerate(result.steps[1:], start=2):
        name = f"step_{number}" if any_order else "_or_".join(step.events).replace("*", "any_event")
        key = f"{name}_rate" if f"{name}_rate" not in said else f"{name}_{number}_rate"
        said[key] = _rate(tables, number, ("step_rate", "low", "high", "n_previous"), compared)
    return said


def _rate(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    step: int,
    columns: tuple[str, str, str, str],
    compared: pd.DataFrame | None,
) -> dict[str, Any]:
    """One rate of both periods with its interval and change; undefined or hidden is None."""
    nothing = pd.Series(np.nan, index=[*columns, "k"])
    now, before = (
        table[table["step"] == step].iloc[0] if (table["step"] == step).any() else nothing
        for table in tables
    )
    value, low, high = (_plain(now[name]) for name in columns[:3])
    said = {"value": value, "low": low, "high": high, "k": _whole(now["k"])}
    said["n"] = _whole(now[columns[3]])
    said |= {"previous": _plain(before[columns[0]]), "previous_n": _whole(before[columns[3]])}
    changed: dict[str, Any] = dict.fromkeys(["change", "change_low", "change_high"])
    if compared is not None and value is not None and said["previous"] is not None:
        of_all = compared["denominator"] == FROM_FIRST
        own = of_all if columns[0] == "rate" else ~of_all & (compared["step"] == step)
        row = compared[own].iloc[0]
        names = zip(changed, ("difference", "low", "high"), strict=True)
        changed = {key: _plain(row[name]) for key, name in names}
    return said | changed


def _caveats(result: FunnelResult, now: Period, before: Period) -> list[str]:
    said = []
    if instant_us(now.end) > result.log.covers_until_us:
        said.append(period_words.not_over(now, result.log.covers_until))
    first: Any = result.log.start
    if result.log.events and before.start < first.tz_convert(before.time_zone).normalize():
        said.append(period_words.begins_late(before, first))
    return said


def _plain(number: Any) -> float | None:
    return None if pd.isna(number) else float(number)


def _whole(number: Any) -> int | None:
    return None if pd.isna(number) else int(number)


# ──── reports.pieces
#
# The parts of a report that are no table and no figure: headline, key numbers, data check, notes.
#
# Each is text and HTML at once: a notebook shows the HTML, a test compares the text. Everything
# that comes from outside is escaped here. The few inline styles are for the notebook; the report's
# page takes them off and dresses the same classes in its own style sheet.


_BLOCKS = "blocks.html"


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
    return Piece(" ".join([lead, *more]), _markup("headline", lead, " ".join(more)))


def sentence(text: str) -> Piece:
    """One of several answers in words: no larger than the text around it.

    Examples
    --------
    >>> sentence("4.6% of <b>all</b> bought.")._repr_html_().count("<b>")
    0
    """
    return Piece(text, _markup("sentence", text))


def tiles(numbers: Sequence[Tile]) -> Piece:
    """A row of key numbers."""
    text = "\n".join(" · ".join([f"{t.name}: {t.value}", *t.context]) for t in numbers)
    return Piece(text, _markup("tiles", numbers))


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
    findings = [(r["check"], r["finding"]) for r in rows if passed or r["status"] != "pass"]
    lines = [f"{row['status'].upper():4} {row['check']}: {row['finding']}" for row in rows]
    return Piece("\n".join([said, *lines]), _markup("check", gate.status, said, findings))


def notes(*groups: Iterable[str]) -> Piece:
    """Caveats, each once, in the order given."""
    lines = list(dict.fromkeys(line for group in groups for line in group))
    text = "\n".join(lines) if lines else "No caveats."
    return Piece(text, _markup("notes", lines))


def _markup(block: str, *values: Any) -> str:
    return str(getattr(templates.macros(_BLOCKS), block)(*values))


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
