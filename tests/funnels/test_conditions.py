"""Conditions that nothing meets are told, with the reason; those on text find what they say."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion, Step

ROWS = [
    ("ann", "view", "mobile", "9.99", np.nan),
    ("ann", "cart", "mobile", "9.99", np.nan),
    ("ann", "remove", "mobile", "9.99", np.nan),
    ("ann", "buy", "mobile", "9.99", 9.99),
    ("bob", "view", "desktop", "12.50", np.nan),
    ("bob", "cart", "desktop", "12.50", np.nan),
    ("bob", "buy", "desktop", "12.50", 12.5),
    ("cy", "view", "tablet", "10", np.nan),
    ("cy", "cart", "tablet", "10", np.nan),
]
FRAME = pd.DataFrame(ROWS, columns=["user", "event", "device", "price", "value"])
FRAME["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(np.arange(len(ROWS)), "min")
LOG = EventLog.from_frame(FRAME, covers_until="2026-02-01", shards=3)


def asked(where: Any = None, **options: Any) -> Any:
    return funnel(LOG, ["view", Step("cart", where=where), "buy"], **options)


def counts(result: Any) -> list[int]:
    return result.table["count"].tolist()


def test_a_condition_on_text_finds_what_it_says() -> None:
    found = asked({"price": ">= 10"})
    assert counts(found) == [3, 2, 1]
    assert found.warnings == ()
    assert counts(asked({"device": "!= mobile"})) == [3, 2, 1]
    assert counts(asked({"device": ["!= mobile", "mobile"]})) == [3, 3, 2]


def test_so_does_the_condition_of_an_exclusion() -> None:
    for where, want in (({"price": "< 10"}, [3, 3, 1]), ({"device": "!= desktop"}, [3, 3, 1])):
        found = asked(exclude=[Exclusion("remove", after=2, where=where)])
        assert counts(found) == want
        assert found.warnings == ()


def test_what_has_no_order_is_refused_by_step_and_exclusion() -> None:
    with pytest.raises(UsageError, match=r"where of step 2: device='> 1', but 'device' holds text"):
        asked({"device": "> 1"})
    with pytest.raises(UsageError, match=r"where of exclusion 1: device='< b', but"):
        asked(exclude=[Exclusion("remove", where={"device": "< b"})])


@pytest.mark.parametrize(
    ("where", "said"),
    [
        (
            {"value": ">= 1"},
            "Step 2 (cart) matches nothing: none of the 3 cart events has a value of 'value'. "
            "It is on buy.",
        ),
        (
            {"price": "> 12.5"},
            "Step 2 (cart) matches nothing: none of the 3 cart events has price='> 12.5'.",
        ),
        ({"device": "tablett"}, "No event has 'tablett' as device. Did you mean 'tablet'?"),
    ],
)
def test_a_step_that_nothing_can_match_says_why(where: dict[str, Any], said: str) -> None:
    found = asked(where)
    assert counts(found) == [3, 0, 0]
    assert any(said in one for one in found.warnings), found.warnings


def test_an_exclusion_that_excludes_nothing_is_told() -> None:
    found = asked(exclude=[Exclusion("remove", after=2, where={"value": "> 0"})])
    assert counts(found) == [3, 3, 2]
    assert found.warnings == (
        "Exclusion 1 (remove) matches nothing: none of the 1 remove events has a value of "
        "'value'. It is on buy.",
    )


def test_one_value_of_several_that_no_event_has_is_told_too() -> None:
    found = asked({"device": ["mobile", "watch"]})
    assert counts(found) == [3, 1, 1]
    assert found.warnings == ("Step 2 (cart): No event has 'watch' as device.",)


def test_any_event_and_several_conditions() -> None:
    found = funnel(LOG, ["view", Step("*", where={"device": "mobile", "price": "> 10"})])
    assert found.warnings == (
        "Step 2 (*) matches nothing: none of the 9 events has device='mobile' and price='> 10'.",
    )


def test_a_step_that_no_row_of_a_view_can_do_needs_no_reason() -> None:
    view = LOG.where(event=["view", "buy"])
    found = funnel(view, ["view", Step("cart", where={"device": "mobile"})])
    assert counts(found) == [3, 0]
    assert found.warnings == ()


def test_the_value_of_a_step_with_a_condition_on_text() -> None:
    rows = pd.concat([FRAME] * 3, ignore_index=True)
    rows["user"] = rows["user"] + (rows.index // len(FRAME)).astype(str)
    log = EventLog.from_frame(rows, covers_until="2026-02-01")
    steps = ["view", Step("buy", where={"price": ">= 10"})]
    lost = funnel(log, steps, by="device").value_lost(min_n=1)
    assert lost["value_per_conversion"].dropna().unique().tolist() == [12.5]
