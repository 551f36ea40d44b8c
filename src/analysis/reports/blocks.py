"""What a notebook shows a reader and hands to its report, small cells hidden.

The blocks are the parts of a report that are no table and no figure: headline, key numbers, data
check, caveats. Each is text and HTML at once: a notebook shows the HTML, a test compares the text.
Everything that comes from outside is escaped. `funnel_numbers` is what `analysis.reports.emit`
takes of a funnel.

Nothing here compares a count of some days with a count of a whole period, or shows a rate of so few
people that it would point at them; it says that instead. Few conversions of many people point at
nobody: they are told as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.periods import Period, period_before, period_of, same_age
from analysis.core.result import small
from analysis.core.schema import UsageError, instant_us
from analysis.core.wording import UNDEFINED, count, isolate, percent, points, relative
from analysis.eventlog.groups import Totals
from analysis.funnels.compare import FROM_FIRST, compare, suppressed
from analysis.funnels.periods import (
    PeriodResult,
    before_words,
    begins_late,
    mature_until,
    not_over,
    same_age_words,
)
from analysis.funnels.result import FunnelResult, noun
from analysis.quality.result import GateResult
from analysis.reports import templates


@dataclass(frozen=True)
class Block:
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


class FunnelNumbers(NamedTuple):
    """What `analysis.reports.emit` takes: the headline, numbers by name, and caveats."""

    headline: str
    numbers: dict[str, dict[str, Any]]
    warnings: tuple[str, ...]


def headline(lead: str, *more: str) -> Block:
    """The answer in words: the first part large, the others below it.

    Examples
    --------
    >>> headline("4.6% of <b>all</b> bought.")._repr_html_().count("<b>")
    0
    """
    return Block(" ".join([lead, *more]), _markup("headline", lead, " ".join(more)))


def sentence(text: str) -> Block:
    """One of several answers in words: no larger than the text around it.

    Examples
    --------
    >>> sentence("4.6% of <b>all</b> bought.")._repr_html_().count("<b>")
    0
    """
    return Block(text, _markup("sentence", text))


def tiles(numbers: Sequence[Tile]) -> Block:
    """A row of key numbers.

    Examples
    --------
    >>> tiles([Tile("Entered", "70", ["−12% vs the week before"]), Tile("Revenue", "560 EUR")])
    Entered: 70 · −12% vs the week before
    Revenue: 560 EUR
    """
    text = "\n".join(" · ".join([f"{t.name}: {t.value}", *t.context]) for t in numbers)
    return Block(text, _markup("tiles", numbers))


def check(gate: GateResult) -> Block:
    """The result of the data check; where it passes, its facts are folded away."""
    rows = gate.table.to_dict("records")
    passed = gate.status == "pass"
    summary = gate.sentence() if passed else gate.sentence().partition(":")[0] + "."
    findings = [(r["check"], r["finding"]) for r in rows if passed or r["status"] != "pass"]
    lines = [f"{row['status'].upper():4} {row['check']}: {row['finding']}" for row in rows]
    return Block("\n".join([summary, *lines]), _markup("check", gate.status, summary, findings))


def notes(*groups: Iterable[str]) -> Block:
    """Caveats, each once, in the order given.

    Examples
    --------
    >>> notes(["Few people."], ["Few people.", "The week is not over."])
    Few people.
    The week is not over.
    """
    lines = list(dict.fromkeys(line for group in groups for line in group))
    text = "\n".join(lines) if lines else "No caveats."
    return Block(text, _markup("notes", lines))


def _markup(block: str, *values: Any) -> str:
    return str(getattr(templates.macros("blocks.html"), block)(*values))


# Key numbers of a period


def key_numbers(
    week: PeriodResult, *, orders: Sequence[Totals], name: str, currency: str | None = None
) -> Block:
    """Entered, conversion rate, conversions and their value, each beside the period before.

    Parameters
    ----------
    week : a period compared with the one before (`analysis.compare_periods`).
    orders : totals of the macro conversion in the period and in the one before.
    name : the name of a conversion.
    currency : of values whose log does not say.
    """
    now, before = week.entered
    min_cell = int(week.parameters["min_cell"])
    # The totals are of the books, whoever did it; where few came, they would point at these.
    few = [bool(pd.isna(people) or small(people, min_cell)) for people in week.entered]
    known = [
        Totals(np.nan, np.nan, np.nan, total.currency) if hidden else total
        for total, hidden in zip(orders, few, strict=True)
    ]
    # A count of some days and a count of a whole period are not compared.
    ago = before_words(week.period, week.previous) if week.is_over else None
    days = week.days
    return tiles(
        [
            Tile(
                "Entered the funnel",
                count(now),
                [f"fewer than {min_cell} people"] if few[0] else _against(now, before, ago, days),
            ),
            Tile("Conversion rate", percent(week.overall["rate"]), _rate_context(week)),
            *_order_tiles(known, name, ago, days, min_cell=min_cell, currency=currency),
        ]
    )


def _against(now: float, before: float, ago: str | None, days: tuple[float, float]) -> list[str]:
    """A count beside the one before; per day where the periods have unlike numbers of days."""
    if ago is None:
        return ["so far; the period is not over"]
    if not before or pd.isna(before) or pd.isna(now):
        return [f"nothing to compare with in {ago}"]
    if days[0] == days[1]:
        return [f"{relative(now / before - 1)} vs {ago} ({count(before)})"]
    per_day = (now / days[0]) / (before / days[1]) - 1
    return [
        f"{relative(per_day)} a day vs {ago} ({count(before)}; {days[0]:g} against {days[1]:g} "
        "days)"
    ]


def _rate_context(week: PeriodResult) -> list[str]:
    row, ago = week.overall, before_words(week.period, week.previous)
    if not pd.isna(row["rate"]):
        interval = f"95% interval {percent(row['low'])} to {percent(row['high'])}"
        if pd.isna(row["change"]):
            return [interval, f"no rate of {ago}"]
        change = f"({points(row['change_low'])} to {points(row['change_high'])})"
        return [interval, f"{points(row['change'])} points vs {ago} {change}"]
    if not week.entered[0]:
        return ["nobody entered"]
    if pd.isna(week.entered[0]) or week.mature:
        return [f"fewer than {week.parameters['min_cell']} people, too few to show a rate"]
    return ["no rate yet"]


def _order_tiles(
    orders: Sequence[Totals],
    name: str,
    ago: str | None,
    days: tuple[float, float],
    *,
    min_cell: int,
    currency: str | None,
) -> list[Tile]:
    now, before = orders
    names = [f"Conversions ({name})", "Revenue"]
    if pd.isna(now.users):
        return [Tile(each, UNDEFINED, [f"fewer than {min_cell} people"]) for each in names]
    conversions = Tile(names[0], count(now.events), _against(now.events, before.events, ago, days))
    unit = now.currency or currency or ""
    if pd.isna(now.value):
        why = f"several currencies: {unit}" if "," in unit else "the log has no values"
        return [conversions, Tile(names[1], UNDEFINED, [why])]
    context = _against(now.value, before.value, ago, days)
    return [conversions, Tile(names[1], f"{count(now.value)} {unit}".strip(), context)]


# Numbers of a funnel


def funnel_numbers(
    result: FunnelResult, *, time_zone: str = "UTC", min_cell: int = 5
) -> FunnelNumbers:
    """How many converted in the period, and how does that compare with the period before?

    Whatever the funnel was asked for (units, order, exclusions), its conversion rate is set beside
    the one of the period before, by the same question.

    Parameters
    ----------
    result : a funnel without a breakdown, with the period in ``entered``.
    time_zone : whose dates the period has.
    min_cell : see `analysis.core.checks`.

    Returns
    -------
    Headline, numbers and caveats. Rates are fractions; undefined or hidden is None.

    Raises
    ------
    UsageError
        If the funnel has a breakdown or no whole period.

    Notes
    -----
    The change has the interval of `FunnelResult.compare` (Newcombe 1998, *Stat Med* 17:873).

    Examples
    --------
    >>> from analysis.eventlog.log import EventLog
    >>> from analysis.funnels.result import funnel
    >>> rows = [(f"u{i}", "2026-01-08", "cart") for i in range(8)]
    >>> rows += [(f"u{i}", "2026-01-09", "purchase") for i in range(6)]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime(frame.time)),
    ...                           covers_until="2026-02-01")
    >>> week = funnel(log, ["cart", "purchase"], entered=("2026-01-08", "2026-01-15"))
    >>> rate = funnel_numbers(week).numbers["macro_rate"]
    >>> rate["value"], rate["n"]
    (0.75, 8)
    """
    entered = result.parameters["entered"]
    if result.question.by or entered is None or None in entered:
        raise UsageError(
            "funnel_numbers: the funnel has a breakdown or no whole period. Ask with "
            "entered=(start, end) and without by."
        )
    period = period_of(entered, time_zone, "funnel_numbers: entered")
    previous = period_before(period)
    whole = result.ask(entered=previous.bounds, top=1)
    # Who enters several times has had fewer chances in a young period.
    until = mature_until(period, result.log, result.window_us)
    aged = previous if until is None else same_age(previous, period, until)
    before = whole if until is None else result.ask(entered=aged.bounds, top=1)
    tables = suppressed(result.table, min_cell), suppressed(before.table, min_cell)
    is_over = instant_us(period.end) <= result.log.covers_until_us
    compared = compare(result, None, before) if is_over and len(result.steps) > 1 else None
    entered_before = suppressed(whole.table, min_cell)["count"].iloc[:1].sum(min_count=1)
    numbers = _numbers(result, tables, compared, before=entered_before, is_over=is_over)
    answer = _answer(result, min_cell)
    if numbers["macro_rate"]["change"] is not None:
        answer += _change_sentence(numbers["macro_rate"], aged)
    warnings = (*result.warnings, *_caveats(result, period, previous, is_over=is_over))
    if until is not None:
        warnings = (*warnings, same_age_words(aged))
    return FunnelNumbers(answer, numbers, warnings)


def _answer(result: FunnelResult, min_cell: int) -> str:
    """The funnel's sentence, unless it is about too few people."""
    people, table = noun(result.question), result.table
    few = small(table[["count", "k"]].iloc[0], min_cell).any()
    if not few:
        return result.sentence()
    first = isolate(table["event"].iloc[0])
    return f"Fewer than {min_cell} {people} did {first}: too few to tell a rate."


def _change_sentence(rate: dict[str, Any], previous: Period) -> str:
    low, high = points(rate["change_low"]), points(rate["change_high"])
    return (
        f" Against {previous.name} ({percent(rate['previous'])} of {count(rate['previous_n'])}) "
        f"the rate changed by {points(rate['change'])} points (95 % interval {low} to {high})."
    )


def _numbers(
    result: FunnelResult,
    tables: tuple[pd.DataFrame, pd.DataFrame],
    compared: pd.DataFrame | None,
    *,
    before: float,
    is_over: bool,
) -> dict[str, dict[str, Any]]:
    any_order = result.question.order == "any"
    last = len(result.steps) if any_order else result.question.last_required
    now = tables[0]["count"].iloc[0] if len(tables[0]) else np.nan
    numbers = {
        "macro_rate": _rate(tables, last, ("rate", "rate_low", "rate_high", "n_first"), compared),
        "entered": {
            "value": _whole(now),
            "previous": _whole(before),
            # Some days of a period have fewer entries than a whole one, whatever the steps.
            "change": _whole(now - before) if is_over else None,
        },
    }
    for number, step in enumerate(result.steps[1:], start=2):
        name = f"step_{number}" if any_order else "_or_".join(step.events).replace("*", "any_event")
        key = f"{name}_rate" if f"{name}_rate" not in numbers else f"{name}_{number}_rate"
        numbers[key] = _rate(tables, number, ("step_rate", "low", "high", "n_previous"), compared)
    return numbers


def _rate(
    tables: tuple[pd.DataFrame, pd.DataFrame],
    step: int,
    columns: tuple[str, str, str, str],
    compared: pd.DataFrame | None,
) -> dict[str, Any]:
    """One rate of both periods with its interval and change; undefined or hidden is None."""
    value, low, high, n = columns
    nothing = pd.Series(np.nan, index=[*columns, "k"])
    now, before = (
        table[table["step"] == step].iloc[0] if (table["step"] == step).any() else nothing
        for table in tables
    )
    rate: dict[str, Any] = {
        "value": _plain(now[value]),
        "low": _plain(now[low]),
        "high": _plain(now[high]),
        "k": _whole(now["k"]),
        "n": _whole(now[n]),
        "previous": _plain(before[value]),
        "previous_n": _whole(before[n]),
        "change": None,
        "change_low": None,
        "change_high": None,
    }
    if compared is None or rate["value"] is None or rate["previous"] is None:
        return rate
    of_all = compared["denominator"] == FROM_FIRST
    rows = of_all if value == "rate" else ~of_all & (compared["step"] == step)
    change = compared[rows].iloc[0]
    return rate | {
        "change": _plain(change["difference"]),
        "change_low": _plain(change["low"]),
        "change_high": _plain(change["high"]),
    }


def _caveats(
    result: FunnelResult, period: Period, previous: Period, *, is_over: bool
) -> Iterable[str]:
    if not is_over:
        yield not_over(period, result.log.covers_until)
    first: Any = result.log.start
    if result.log.events and previous.start < first.tz_convert(previous.time_zone).normalize():
        yield begins_late(previous, first)


def _plain(number: Any) -> float | None:
    return None if pd.isna(number) else float(number)


def _whole(number: Any) -> int | None:
    return None if pd.isna(number) else int(number)


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        """Names of version 0.1, until the next version."""
        renamed = {"funnel_told": funnel_numbers, "Piece": Block, "Told": FunnelNumbers}
        if name not in renamed:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        import warnings

        now = renamed[name].__name__
        warnings.warn(f"blocks.{name} is called blocks.{now}", DeprecationWarning, stacklevel=2)
        return renamed[name]
