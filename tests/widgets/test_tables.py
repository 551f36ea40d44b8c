"""Words for people: the same numbers as the table, recomputed from it, and no markup from data."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog.log import EventLog
from analysis.funnels.compare import suppressed
from analysis.funnels.result import funnel
from analysis.widgets.tables import alert, answer, note, readable


@pytest.fixture(scope="module")
def log() -> EventLog:
    frame = pd.DataFrame(
        {
            "user": [f"u{i}" for i in range(60)] + [f"u{i}" for i in range(30)],
            "event": ["cart"] * 60 + ["purchase"] * 30,
            "time": [pd.Timestamp("2026-11-01")] * 60
            + [pd.Timestamp("2026-11-01") + pd.Timedelta(minutes=i) for i in range(30)],
            "device": ["mobile" if i < 56 else "<b>tablet</b>" for i in range(60)]
            + ["mobile"] * 30,
        }
    )
    return EventLog.from_frame(frame, covers_until="2026-12-01")


def test_says_the_numbers_of_the_table(log: EventLog) -> None:
    table = funnel(log, ["cart", "purchase"], window="1h", by="device").table
    shown = readable(table)
    assert list(shown.index) == [
        ("mobile", "Cart"),
        ("mobile", "Purchase"),
        ("<b>tablet</b>", "Cart"),
        ("<b>tablet</b>", "Purchase"),
    ]
    row = shown.loc[("mobile", "Purchase")]
    assert row["people"] == "30"
    assert row["of the first step"] == f"{30 / 56:.1%} of 56"
    assert row["of the step before"] == f"{30 / 56:.1%} of 56"
    low, high = (float(part) for part in re.findall(r"([\d.]+)%", row["95 % interval"]))
    assert low < 100 * 30 / 56 < high
    assert row["median wait"] == f"{np.median(np.arange(30))} min"
    assert set(shown.loc[("mobile", "Cart")].iloc[1:]) == {""}


def test_each_share_is_of_its_own_step(log: EventLog) -> None:
    table = funnel(log, ["cart", "purchase", "purchase"], window="1h").table
    table.loc[2, ["k", "n_previous", "step_rate", "rate"]] = [15, 30, 0.5, 0.25]
    assert readable(table).iloc[2]["of the first step"] == "25.0% of 60"
    assert readable(table).iloc[2]["of the step before"] == "50.0% of 30"


def test_one_group_is_not_named(log: EventLog) -> None:
    shown = readable(funnel(log, ["cart", "purchase"], window="1h").table)
    assert list(shown.index) == ["Cart", "Purchase"]


def test_few_buyers_of_many_are_shown_and_few_people_are_not(log: EventLog) -> None:
    table = funnel(log, ["cart", "purchase"], window="3min").table
    assert (table["k"].iloc[1], table["n_first"].iloc[1]) == (4, 60)
    assert readable(suppressed(table, 5)).loc["Purchase"].to_list()[:2] == ["4", "6.7% of 60"]
    assert not len(readable(suppressed(table, 61)))


def test_a_rate_of_nobody_is_no_rate(log: EventLog) -> None:
    shown = readable(funnel(log, ["purchase", "cart"], window="1min").table)
    assert shown.loc["Cart", "people"] == "1"
    nobody = funnel(log, ["cart"], entered=("2026-11-20", "2026-11-21")).table
    assert readable(nobody)["people"].to_list() == ["0"]


@given(st.text(alphabet="<>&\"'abc/= ", min_size=1))
def test_no_text_is_markup(text: str) -> None:
    for shown in (note(text), alert(text)):
        inner = re.sub(r"^<(?:div|p)[^>]*>(?:<p[^>]*>)?|</p>(?:</div>)?$", "", shown)
        assert not set(inner) & set("<>\"'")


def test_a_name_from_right_to_left_is_an_element_of_its_own() -> None:
    for shown in (note("קנייה: 12 of 30"), alert("קנייה: 12 of 30")):
        assert "<bdi>קנייה</bdi>: 12 of 30" in shown


def test_an_answer_brings_its_caveats(log: EventLog) -> None:
    result = funnel(log, ["cart", "purchase"], window="90d")
    shown = answer(result)
    assert result.warnings
    assert shown.count("Note: ") == len(result.warnings)
    assert "<strong>" in shown
