"""The pieces of a report: escaped, with their reasons, and never comparing what cannot be."""

from __future__ import annotations

import dataclasses
import math

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.eventlog.totals import totals
from analysis.funnels.periods import compare_periods
from analysis.quality.gate import gate
from analysis.reports import blocks as pieces
from analysis.reports.sanitize import clean

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
