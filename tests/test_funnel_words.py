"""What a funnel says, in the words of its units."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from funnel_logs import log_of

from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import Step
from analysis.funnels.result import funnel

EVENTS = "A 1:00, B 1:10, A 2:00, A 3:00, B 3:05, C 3:10"
OF_EACH = {"session": ["s", "s", "t", "r", "r", "r"], "cart": ["1", "1", "1", "2", "2", "2"]}


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "100.0% of 1 users got from A to C within 30 min (95 % interval 20.7% to 100.0%)."),
        (
            {"unit": "session"},
            "33.3% of 3 sessions got from A to C within 30 min (95 % interval 2.5% to 90.6%). "
            "Most were lost between A and B: 1 of 3 (33.3%).",
        ),
        ({"count": "attempts"}, "33.3% of 3 attempts got from A to C within 30 min (95 % interval"),
        ({"unit": "cart"}, "50.0% of 2 units (cart) got from A to C within 30 min (95 % interval "),
        ({"hold": ["cart"]}, "50.0% of 2 units (user, cart) got from A to C within 30 min (95 % "),
        (
            {"hold": ["cart"], "unit": "session"},
            "33.3% of 3 units (session, cart) got from A to C within 30 min (95 % interval ",
        ),
        (
            {"hold": ["cart"], "count": "attempts"},
            "33.3% of 3 attempts got from A to C within 30 min (95 % interval ",
        ),
        (
            {"order": "any"},
            "100.0% of 1 users got from 1 of 3 to 3 of 3 within 30 min (95 % interval 20.7% to ",
        ),
    ],
)
def test_a_sentence_names_what_is_counted(options: dict[str, Any], said: str) -> None:
    log = log_of(EVENTS, **OF_EACH)
    assert funnel(log, ["A", "B", "C"], window="30min", **options).sentence().startswith(said)


def test_a_sentence_ends_at_the_last_required_step() -> None:
    steps = ["A", Step("Q", optional=True), "B", Step("C", optional=True)]
    found = funnel(log_of("A 1:00, Q 1:01, A 2:00, B 2:10"), steps).sentence()
    assert found.startswith("100.0% of 1 users got from A to B within 7 days")
    lost = funnel(log_of("A 1:00, Q 1:01"), steps).sentence()
    assert lost.endswith("Most were lost between A and B: 1 of 1 (100.0%).")


def test_the_interval_of_several_groups_is_that_of_the_whole() -> None:
    log = log_of(EVENTS, **OF_EACH)
    whole, parts = (funnel(log, ["A", "B"], by=by).sentence() for by in (None, "cart"))
    assert whole == parts
    # Groups of sessions are no independent trials: without the users' chains there is none.
    several = funnel(log, ["A", "B"], by="cart", unit="session", window="30min").sentence()
    assert several.startswith("66.7% of 3 sessions got from A to B within 30 min. Most were lost")


def test_without_a_mature_entry_or_a_second_required_step_there_is_no_rate() -> None:
    young = log_of("A 1:00", until="2026-11-02T02:00", session=["s"])
    said = funnel(young, ["A", "B"], unit="session").sentence()
    assert said.startswith("None of the sessions entered so long ago that their window is over")
    assert funnel(log_of("A 1:00"), ["A", Step("B", optional=True)]).sentence() == "1 users did A."


def test_a_breakdown_at_a_step_speaks_of_those_who_reached_it() -> None:
    log = log_of("A 1:00, B 1:10", g=["x", "y"])
    said = funnel(log, ["A", "B", "C"], by="g", by_at=2).sentence()
    assert said.startswith("0.0% of 1 users that reached step 2 got from A to C within 7 days (95")


def test_the_caveats_travel_with_the_numbers() -> None:
    cart = pd.array(["1", None, "1", "2", "2", None], dtype="str")
    log = log_of(EVENTS, until="2026-11-02T03:20", cart=cart)
    result = funnel(log, ["A", "B"], window="30min", hold=["cart"], by="cart", by_at=2)
    assert result.warnings == (
        "1 of 1 units (user, cart) entered less than 30 min before the log ends: they are "
        "counted, and left out of every rate.",
        "2 rows without a value of 'cart' belong to no unit: left out.",
        "1 units (user, cart) never reach step 2, whose 'cart' makes the groups: they are in none.",
        "One user can be several units (user, cart): the intervals take users as the independent "
        "units.",
    )


def test_of_one_user_each_no_caveat_is_made() -> None:
    log = log_of(EVENTS, cart=["1"] * 6)
    assert funnel(log, ["A", "B"]).warnings == ()
    assert funnel(log, ["A", "B"], unit="cart").warnings == ()


def test_one_row_without_a_unit_is_one_row() -> None:
    log = log_of("A 1:00, B 1:10", cart=pd.array(["1", None], dtype="str"))
    for options in ({"unit": "cart"}, {"hold": ["cart"]}):
        said = funnel(log, ["A", "B"], **options).warnings
        assert "1 row without a value of 'cart' belong" in said[0]


def test_ties_are_counted_by_unit() -> None:
    frame = pd.DataFrame(
        [(f"u{u}", 0 if u < 2 else k, name) for u in range(3) for k, name in enumerate("BA")],
        columns=["user", "time", "event"],
    )
    # Of the third B comes first, so that it never gets to the second step.
    frame["time"] = pd.Timestamp("2026-11-02") + pd.to_timedelta(frame["time"], "min")
    log = EventLog.from_frame(frame, covers_until="2027-01-01")
    result = funnel(log, ["A", "B"])
    assert result.tied == 2
    assert result.warnings[0].startswith("2 of 3 users got as far as they did only because")
    assert funnel(log, ["A", "B"], ties="strict").warnings == ()
