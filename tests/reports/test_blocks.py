"""What a report says of a funnel, against `compare_periods` and against counting by hand."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog
from analysis.funnels.periods import compare_periods
from analysis.funnels.result import funnel
from analysis.quality.result import gate
from analysis.reports import blocks as pieces
from analysis.reports.blocks import funnel_told
from analysis.reports.page import clean

WEEK = ("2026-01-12", "2026-01-19")


STEPS = ["view", "cart", "purchase"]


def a_log(weeks: dict[str, tuple[int, ...]], until: str = "2026-03-01") -> EventLog:
    """Users who enter on a day: so many did the first step, the second, the third."""
    rows = [
        (
            f"{day} {user}",
            pd.Timestamp(day) + pd.Timedelta(hours=user % 5 + k),
            event,
            f"s{user % 2}",
        )
        for day, reached in weeks.items()
        for k, event in enumerate(STEPS)
        for user in range(reached[k])
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "session"])
    return EventLog.from_frame(frame, session="session", covers_until=until)


@pytest.fixture(scope="module")
def log() -> EventLog:
    return a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (80, 44, 30)})


def test_the_numbers_are_those_of_the_comparison_of_periods(log: EventLog) -> None:
    told = funnel_told(funnel(log, STEPS, entered=WEEK))
    judge = compare_periods(log, STEPS, period=WEEK).numbers()
    assert set(told.numbers) == set(judge)
    for name, numbers in judge.items():
        for key, value in numbers.items():
            assert told.numbers[name][key] == (None if value is None else pytest.approx(value))
    assert told.numbers["macro_rate"]["previous_n"] == 60
    assert "rate changed by +17.5 points" in told.headline
    assert "(20.0% of 60)" in told.headline


def test_other_units_are_counted_and_compared_as_such(log: EventLog) -> None:
    result = funnel(log, STEPS, entered=WEEK, unit="session", order="any")
    told = funnel_told(result)
    last = result.table.iloc[-1]
    assert told.numbers["macro_rate"]["value"] == pytest.approx(last["rate"])
    assert told.numbers["macro_rate"]["high"] == pytest.approx(last["rate_high"])
    assert list(told.numbers) == ["macro_rate", "entered", "step_2_rate", "step_3_rate"]
    assert "sessions" in told.headline


def test_a_skipped_step_is_not_the_conversion(log: EventLog) -> None:
    steps = ["view", "cart", {"event": "purchase", "optional": True}]
    told = funnel_told(funnel(log, steps, entered=WEEK))
    assert told.numbers["macro_rate"]["value"] == pytest.approx(44 / 80)
    assert told.numbers["macro_rate"]["previous"] == pytest.approx(30 / 60)


@pytest.mark.parametrize(
    ("reached", "said"),
    [
        ((3, 2, 1), "Fewer than 5 users did view"),
        ((40, 20, 3), "40 users did view, and fewer than 5 of them purchase"),
        ((40, 4, 0), "40 users did view, and fewer than 5 of them cart"),
    ],
)
def test_few_are_not_told(reached: tuple[int, ...], said: str) -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": reached})
    told = funnel_told(funnel(log, STEPS, entered=WEEK))
    assert told.headline.startswith(said)
    if 0 < reached[2] < 5:
        assert told.numbers["macro_rate"]["value"] is None
        assert told.numbers["macro_rate"]["change"] is None
        assert f"{reached[2]} " not in told.headline
    shown = funnel_told(funnel(log, STEPS, entered=WEEK), min_cell=1)
    assert shown.numbers["macro_rate"]["value"] == pytest.approx(reached[2] / reached[0])


def test_a_few_of_the_period_before_are_no_comparison() -> None:
    log = a_log({"2026-01-05": (60, 30, 3), "2026-01-13": (80, 44, 30)})
    rate = funnel_told(funnel(log, STEPS, entered=WEEK)).numbers["macro_rate"]
    assert (rate["previous"], rate["change"]) == (None, None)
    assert rate["value"] == pytest.approx(30 / 80)


def test_a_period_that_is_not_over_is_not_compared() -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (80, 44, 30)}, until="2026-01-15")
    told = funnel_told(funnel(log, STEPS, window="4h", entered=WEEK))
    assert told.numbers["macro_rate"]["change"] is None
    assert told.numbers["entered"] == {"value": 80, "previous": 60, "change": None}
    assert any("is not over" in warning for warning in told.warnings)


def test_nobody_and_one_step_are_told_too(log: EventLog) -> None:
    empty = funnel_told(funnel(log, STEPS, entered=("2026-02-02", "2026-02-09")))
    assert "there is no rate to tell" in empty.headline
    one = funnel_told(funnel(log, ["view"], entered=WEEK))
    assert one.numbers["entered"] == {"value": 80, "previous": 60, "change": 20}


def test_it_wants_a_period_and_no_breakdown(log: EventLog) -> None:
    for arguments in ({}, {"entered": (None, "2026-01-19")}, {"entered": WEEK, "by": "session"}):
        with pytest.raises(UsageError, match="no whole period"):
            funnel_told(funnel(log, STEPS, **arguments))


# ── The pieces of a report: escaped, with their reasons, and never comparing what cannot be.


EVIL = "<script>alert(1)</script>"


NOW = ("2026-11-09", "2026-11-16")


def shop(now: int, bought: int, *, until: str = "2026-12-01", currency: str = "EUR") -> EventLog:
    rows = [(f"a{i}", "2026-11-10", "look", 0.0) for i in range(now)]
    rows += [(f"a{i}", "2026-11-11", "buy", 10.0) for i in range(bought)]
    rows += [(f"b{i}", "2026-11-03", "look", 0.0) for i in range(80)]
    rows += [(f"b{i}", "2026-11-04", "buy", 10.0) for i in range(48)]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "value"])
    frame = frame.assign(time=pd.to_datetime(frame["time"]), currency=currency)
    return EventLog.from_frame(frame, covers_until=until)


def row_of(log: EventLog, **options) -> pieces.Piece:
    week = compare_periods(log, ["look", "buy"], period=NOW, **options)
    both = (week.period, week.previous)
    orders = [totals(log, "buy", period=p.bounds, min_cell=5) for p in both]
    return pieces.key_numbers(week, orders=orders, name="Purchase", currency="EUR")


def test_key_numbers_stand_beside_the_week_before():
    assert repr(row_of(shop(70, 56))).splitlines() == [
        "Entered the funnel: 70 · −12% vs the week before (80)",
        "Conversion rate: 80.0% · 95% interval 69.2% to 87.7% · "
        "+20.0 points vs the week before (+5.2 to +33.4)",
        "Conversions (Purchase): 56 · +17% vs the week before (48)",
        "Revenue: 560 EUR · +17% vs the week before (480)",
    ]


def test_a_week_that_is_not_over_is_not_compared():
    said = repr(row_of(shop(70, 56, until="2026-11-13")))
    assert said.count("so far; the period is not over") == 3
    assert "Conversion rate: n/a · no rate yet" in said
    assert "vs" not in said


def test_few_people_are_not_told():
    said = repr(row_of(shop(70, 3)))
    assert "Conversion rate: n/a · fewer than 5 converted" in said
    assert said.count("fewer than 5 users") == 2
    assert "nobody entered" in repr(row_of(shop(0, 0)))


@pytest.mark.parametrize("text", [EVIL, "a & b <b>"])
def test_everything_is_escaped_and_survives_the_page(text):
    shown = [
        pieces.headline(text, text),
        pieces.notes([text], [text]),
        pieces.tiles([pieces.Tile(text, text, [text])]),
        row_of(shop(70, 56, currency=text)),
    ]
    for piece in shown:
        markup = piece._repr_html_()
        assert text not in markup
        assert text in repr(piece)
        cleaned = clean(markup)
        assert "class=" in cleaned
        assert "style=" not in cleaned
        assert text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in cleaned


def test_notes_are_told_once():
    assert repr(pieces.notes(["a", "b"], ["b", "c"])) == "a\nb\nc"
    assert repr(pieces.notes([])) == "No caveats."


def test_a_failed_check_is_in_the_open_and_a_passed_one_folded():
    catalog = Catalog.from_mapping({"name": "s", "events": {"buy": {"role": "macro"}}})
    found = gate(shop(9, 9), catalog, period=NOW)
    passed = pieces.check(dataclasses.replace(found, table=found.table.assign(status="pass")))
    assert passed._repr_html_().startswith('<details class="wb-check wb-pass">')
    late = gate(shop(9, 9), catalog, period=("2027-01-04", "2027-01-11"))
    failed = pieces.check(late)._repr_html_()
    assert failed.startswith('<div class="wb-check wb-fail"><strong>The data check FAILED')
    assert "lies after the log" in failed
    assert "Every event of the catalog" not in failed


def test_values_in_several_currencies_are_not_added_up():
    frame = shop(70, 56).to_frame()
    frame.loc[frame["user"] > "a5", "currency"] = "CHF"
    mixed = EventLog.from_frame(frame, covers_until="2026-12-01")
    assert math.isnan(totals(mixed, "buy").value)
    assert "Revenue: n/a · several currencies: CHF, EUR" in repr(row_of(mixed))
