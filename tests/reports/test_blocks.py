"""What a report says of a funnel, against `compare_periods` and against counting by hand."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import pandas as pd
import pytest

from analysis import reports
from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.groups import totals
from analysis.eventlog.log import EventLog
from analysis.funnels.periods import compare_periods
from analysis.funnels.result import funnel
from analysis.quality.result import gate
from analysis.reports import blocks
from analysis.reports.blocks import funnel_numbers
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
    found = funnel_numbers(funnel(log, STEPS, entered=WEEK))
    judge = compare_periods(log, STEPS, period=WEEK).numbers()
    assert set(found.numbers) == set(judge)
    for name, numbers in judge.items():
        for key, value in numbers.items():
            assert found.numbers[name][key] == (None if value is None else pytest.approx(value))
    assert found.numbers["macro_rate"]["previous_n"] == 60
    assert "rate changed by +17.5 points" in found.headline
    assert "(20.0% of 60)" in found.headline


@pytest.mark.parametrize("steps", [["view"], ["view", "cart"]])
def test_entries_of_some_days_are_not_compared_with_a_whole_week(
    log: EventLog, steps: list[str]
) -> None:
    """Of a period that is not over, whatever the number of steps."""
    for until, over in ((pd.Timestamp(WEEK[0]) + pd.Timedelta("3D"), False), (WEEK[1], True)):
        view = log.between(end=until)
        entered = funnel_numbers(funnel(view, steps, entered=WEEK)).numbers["entered"]
        assert entered["previous"] is not None
        assert (entered["change"] is not None) == over


def test_other_units_are_counted_and_compared_as_such(log: EventLog) -> None:
    result = funnel(log, STEPS, entered=WEEK, unit="session", order="any")
    found = funnel_numbers(result)
    last = result.table.iloc[-1]
    assert found.numbers["macro_rate"]["value"] == pytest.approx(last["rate"])
    assert found.numbers["macro_rate"]["high"] == pytest.approx(last["rate_high"])
    assert list(found.numbers) == ["macro_rate", "entered", "step_2_rate", "step_3_rate"]
    assert "sessions" in found.headline


def test_a_skipped_step_is_not_the_conversion(log: EventLog) -> None:
    steps = ["view", "cart", {"event": "purchase", "optional": True}]
    found = funnel_numbers(funnel(log, steps, entered=WEEK))
    assert found.numbers["macro_rate"]["value"] == pytest.approx(44 / 80)
    assert found.numbers["macro_rate"]["previous"] == pytest.approx(30 / 60)


@pytest.mark.parametrize("reached", [(40, 20, 3), (40, 4, 0), (40, 40, 38), (40, 20, 0)])
def test_few_conversions_of_many_people_are_told(reached: tuple[int, ...]) -> None:
    log = a_log({"2026-01-05": (60, 30, 3), "2026-01-13": reached})
    found = funnel_numbers(funnel(log, STEPS, entered=WEEK))
    rate = found.numbers["macro_rate"]
    assert (rate["value"], rate["n"]) == (pytest.approx(reached[2] / 40), 40)
    assert (rate["previous"], rate["previous_n"]) == (pytest.approx(3 / 60), 60)
    assert rate["low"] < rate["value"] + 1e-12 < rate["high"] + 2e-12
    assert rate["change"] == pytest.approx(reached[2] / 40 - 3 / 60)
    assert "of 40 users got from view to purchase" in found.headline
    assert "(5.0% of 60)" in found.headline
    assert "few" not in found.headline.lower()


def test_few_people_are_hidden() -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (3, 2, 1)})
    found = funnel_numbers(funnel(log, STEPS, entered=WEEK))
    assert found.headline == "Fewer than 5 users did view: too few to tell a rate."
    assert found.numbers["macro_rate"]["value"] is None
    assert found.numbers["macro_rate"]["change"] is None
    shown = funnel_numbers(funnel(log, STEPS, entered=WEEK), min_cell=1)
    assert shown.numbers["macro_rate"]["value"] == pytest.approx(1 / 3)


def test_a_few_people_of_the_period_before_are_no_comparison() -> None:
    log = a_log({"2026-01-05": (4, 4, 3), "2026-01-13": (80, 44, 30)})
    rate = funnel_numbers(funnel(log, STEPS, entered=WEEK)).numbers["macro_rate"]
    assert (rate["previous"], rate["change"]) == (None, None)
    assert rate["value"] == pytest.approx(30 / 80)


def test_a_period_that_is_not_over_is_not_compared() -> None:
    log = a_log({"2026-01-05": (60, 30, 12), "2026-01-13": (80, 44, 30)}, until="2026-01-15")
    found = funnel_numbers(funnel(log, STEPS, window="4h", entered=WEEK))
    assert found.numbers["macro_rate"]["change"] is None
    assert found.numbers["entered"] == {"value": 80, "previous": 60, "change": None}
    assert any("is not over" in warning for warning in found.warnings)


def test_nobody_and_one_step_are_told_too(log: EventLog) -> None:
    empty = funnel_numbers(funnel(log, STEPS, entered=("2026-02-02", "2026-02-09")))
    assert "there is no rate to tell" in empty.headline
    one = funnel_numbers(funnel(log, ["view"], entered=WEEK))
    assert one.numbers["entered"] == {"value": 80, "previous": 60, "change": 20}


def test_it_wants_a_period_and_no_breakdown(log: EventLog) -> None:
    for arguments in ({}, {"entered": (None, "2026-01-19")}, {"entered": WEEK, "by": "session"}):
        with pytest.raises(UsageError, match="no whole period"):
            funnel_numbers(funnel(log, STEPS, **arguments))


# ── The blocks of a report: escaped, with their reasons, and never comparing what cannot be.


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


def row_of(log: EventLog, **options: Any) -> blocks.Block:
    week = compare_periods(log, ["look", "buy"], period=NOW, **options)
    both = (week.period, week.previous)
    orders = [totals(log, "buy", period=p.bounds) for p in both]
    return blocks.key_numbers(week, orders=orders, name="Purchase", currency="EUR")


def test_key_numbers_stand_beside_the_week_before() -> None:
    assert repr(row_of(shop(70, 56))).splitlines() == [
        "Entered the funnel: 70 · −12% vs the week before (80)",
        "Conversion rate: 80.0% · 95% interval 69.2% to 87.7% · "
        "+20.0 points vs the week before (+5.2 to +33.4)",
        "Conversions (Purchase): 56 · +17% vs the week before (48)",
        "Revenue: 560 EUR · +17% vs the week before (480)",
    ]


def test_months_of_unequal_length_are_compared_per_day() -> None:
    """Ten a day in February and in March: not 11 % more."""
    days = pd.date_range("2026-02-01", "2026-03-31", freq="D")
    rows = [(f"{day:%m%d}-{i}", day, "look", 0.0) for day in days for i in range(10)]
    rows += [(f"{day:%m%d}-{i}", day, "buy", 10.0) for day in days for i in range(5)]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "value"])
    log = EventLog.from_frame(frame, covers_until="2026-05-01")
    month = compare_periods(log, ["look", "buy"], period=("2026-03-01", "2026-04-01"))
    both = (month.period, month.previous)
    orders = [totals(log, "buy", period=p.bounds, min_cell=5) for p in both]
    said = repr(blocks.key_numbers(month, orders=orders, name="Purchase", currency="EUR"))
    lines = said.splitlines()
    assert lines[0] == (
        "Entered the funnel: 310 · 0% a day vs the month before (280; 31 against 28 days)"
    )
    assert lines[2].endswith("155 · 0% a day vs the month before (140; 31 against 28 days)")
    assert lines[3].endswith("0% a day vs the month before (1,400; 31 against 28 days)")


def test_a_young_period_is_compared_at_the_same_age() -> None:
    """As `compare_periods` does: who entered late in the week before is left out."""
    rows = [
        (f"{week}-{i}", day, "view")
        for week, days in (("a", (2, 6)), ("b", (9, 13)))
        for i, day in enumerate([days[0]] * 40 + [days[1]] * 20)
    ]
    rows += [
        (f"{week}-{i}", day, "purchase")
        for week, days in (("a", (2, 6)), ("b", (9, 13)))
        for i, day in [(j, days[0]) for j in range(10)] + [(j, days[1]) for j in range(40, 58)]
    ]
    frame = pd.DataFrame(rows, columns=["user", "day", "event"])
    frame = frame.assign(time=pd.Timestamp("2026-11-01") + pd.to_timedelta(frame["day"] - 1, "D"))
    log = EventLog.from_frame(frame[["user", "time", "event"]], covers_until="2026-11-16")
    steps = ["view", "purchase"]
    found = funnel_numbers(funnel(log, steps, window="5d", entered=NOW))
    judge = compare_periods(log, steps, window="5d", period=NOW)
    assert judge.is_young
    for key, value in judge.numbers()["macro_rate"].items():
        assert found.numbers["macro_rate"][key] == pytest.approx(value)
    assert found.numbers["macro_rate"]["previous_n"] == 40
    assert found.numbers["macro_rate"]["change"] == 0
    assert found.numbers["entered"] == {"value": 60, "previous": 60, "change": 0}
    assert any("entries of the same age" in note for note in found.warnings)


def test_a_week_that_is_not_over_is_not_compared() -> None:
    said = repr(row_of(shop(70, 56, until="2026-11-13")))
    assert said.count("so far; the period is not over") == 3
    assert "Conversion rate: n/a · no rate yet" in said
    assert "vs" not in said


def test_few_conversions_are_told_with_their_interval_and_few_people_are_not() -> None:
    assert repr(row_of(shop(70, 3))).splitlines() == [
        "Entered the funnel: 70 · −12% vs the week before (80)",
        "Conversion rate: 4.3% · 95% interval 1.5% to 11.9% · "
        "−55.7 points vs the week before (−66.1 to −42.4)",
        "Conversions (Purchase): 3 · −94% vs the week before (48)",
        "Revenue: 30 EUR · −94% vs the week before (480)",
    ]
    said = repr(row_of(shop(4, 3)))
    assert "Conversion rate: n/a · fewer than 5 people, too few to show a rate" in said
    assert said.count("n/a · fewer than 5 people") == 4
    assert "nobody entered" in repr(row_of(shop(0, 0)))


@pytest.mark.parametrize("text", [EVIL, "a & b <b>"])
def test_everything_is_escaped_and_survives_the_page(text: str) -> None:
    shown = [
        blocks.headline(text, text),
        blocks.notes([text], [text]),
        blocks.tiles([blocks.Tile(text, text, [text])]),
        row_of(shop(70, 56, currency=text)),
    ]
    for block in shown:
        markup = block._repr_html_()
        assert text not in markup
        assert text in repr(block)
        cleaned = clean(markup)
        assert "class=" in cleaned
        assert "style=" not in cleaned
        assert text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") in cleaned


def test_notes_are_told_once() -> None:
    assert repr(blocks.notes(["a", "b"], ["b", "c"])) == "a\nb\nc"
    assert repr(blocks.notes([])) == "No caveats."


def test_a_failed_check_is_in_the_open_and_a_passed_one_folded() -> None:
    catalog = Catalog.from_mapping({"name": "s", "events": {"buy": {"role": "macro"}}})
    found = gate(shop(9, 9), catalog, period=NOW)
    passed = blocks.check(dataclasses.replace(found, table=found.table.assign(status="pass")))
    assert passed._repr_html_().startswith('<details class="wb-check wb-pass">')
    late = gate(shop(9, 9), catalog, period=("2027-01-04", "2027-01-11"))
    failed = blocks.check(late)._repr_html_()
    assert failed.startswith('<div class="wb-check wb-fail"><strong>The data check FAILED')
    assert "lies after the log" in failed
    assert "Every event of the catalog" not in failed


def test_values_in_several_currencies_are_not_added_up() -> None:
    frame = shop(70, 56).to_frame()
    frame.loc[frame["user"] > "a5", "currency"] = "CHF"
    mixed = EventLog.from_frame(frame, covers_until="2026-12-01")
    assert math.isnan(totals(mixed, "buy").value)
    assert "Revenue: n/a · several currencies: CHF, EUR" in repr(row_of(mixed))


def test_the_names_of_version_0_1_still_work_and_say_their_new_name() -> None:
    for name in ("pieces", "funnel_told"):
        with pytest.warns(DeprecationWarning, match=r"analysis\.reports\.blocks"):
            assert getattr(reports, name) is blocks
    with pytest.warns(DeprecationWarning, match=r"blocks\.funnel_numbers"):
        assert blocks.funnel_told is funnel_numbers  # type: ignore[attr-defined]
    assert reports.__all__ == ["emit"]
    for module in (reports, blocks):
        with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
            _ = module.nothing
