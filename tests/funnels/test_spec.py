"""Everything a person can get wrong in a funnel's question is one line that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core import checks
from analysis.core.checks import EVER
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.funnels.spec import (
    Exclusion,
    Step,
    as_exclusions,
    as_steps,
    exclusion_range,
    funnel_spec,
)

NAMES = ["view_item", "add_to_cart", "purchase"]


LOG = EventLog.from_frame(
    pd.DataFrame(
        {
            "user": "u",
            "time": pd.date_range("2026-11-02", periods=3, freq="min"),
            "event": NAMES,
            "device": "m",
            "value": [1.0, 2.0, 3.0],
            "coupon": pd.array([None, None, None], dtype="str"),
        }
    )
)


DEFAULTS: dict[str, Any] = {
    "order": "sequential",
    "window": "7d",
    "unit": "user",
    "count": "units",
    "entry": "best",
    "hold": (),
    "exclude": (),
    "on_exclude": "end_attempt",
    "by": None,
    "by_at": "entry",
    "top": 12,
    "ties": "lenient",
    "entered": None,
}


def refusal(steps: Any, **options: Any) -> str:
    """What the funnel says to it: one line."""
    with pytest.raises(UsageError) as caught:
        funnel(LOG, steps, **options)
    said = str(caught.value)
    assert "\n" not in said
    assert said.startswith("funnel: ")
    return said.removeprefix("funnel: ")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "sequental"}, r"order='sequental' is unknown\. Did you mean 'sequential'\?"),
        ({"count": "users"}, "count='users' is unknown.*'units', 'attempts'"),
        ({"entry": None}, "entry=None is unknown"),
        ({"ties": True}, "ties=True is unknown"),
        ({"on_exclude": "drop"}, "on_exclude='drop' is unknown"),
        ({"window": 7}, "window=7 has no unit"),
        ({"window": "0d"}, "window='0d' must be longer than zero"),
        ({"window": None}, "window=None"),
        ({"top": 0}, r"top=0\. Allowed: a whole number from 1"),
        ({"top": 2.5}, r"top=2\.5\."),
        ({"by": "devise"}, r"by: 'devise' is not a property of this log\. Did you mean 'device'\?"),
        (
            {"by": ["device", "zzz"]},
            r"by: 'zzz' is not a property.*Properties: 'session', 'device', 'value'",
        ),
        ({"by": "event"}, "by='event' is a column, not a property"),
        (
            {"entered": "2026-11-02"},
            r"entered='2026-11-02'\. Allowed: \(start, end\), end excluded",
        ),
        ({"entered": ("soon", None)}, r"entered start='soon' is not a time"),
        ({"entered": (None, "soon")}, r"entered end='soon' is not a time"),
        (
            {"entered": ("2026-11-03", "2026-11-03")},
            r"entered=.* ends before it starts\. Swap the two",
        ),
    ],
)
def test_options_that_are_none(options: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=f"^funnel: {said}") as caught:
        funnel(LOG, ["view_item"], **options)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"order": "any_order"}, "Allowed: 'sequential', 'strict', 'any'."),
        ({"unit": "sesion"}, "not a unit of this log. Did you mean 'session'? Allowed: 'user', 's"),
        (
            {"unit": None},
            "unit=None is not a unit of this log. Allowed: 'user', 'session', 'device'",
        ),
        ({"unit": "event"}, "unit='event' is not a unit"),
        (
            {"hold": ["devise"]},
            "hold: 'devise' is not a property of this log. Did you mean 'device'?",
        ),
        ({"hold": "time"}, "hold='time' is a column, not a property. Properties: "),
        ({"by_at": 1}, "by_at=1 without by. Name the property whose value is meant: by=..."),
        ({"by_at": "first_touch"}, "by_at='first_touch' without by."),
        ({"by": "device", "by_at": 4}, "or the number of a step from 1 to 3."),
        ({"by": "device", "by_at": 0}, "by_at=0. Allowed: 'entry', 'first_touch', 'last_touch'"),
        ({"by": "device", "by_at": True}, "by_at=True."),
        (
            {"by": "device", "by_at": "lasttouch"},
            "by_at='lasttouch' is unknown. Did you mean 'last_touch'?",
        ),
        (
            {"count": "attempts", "entry": "first"},
            "entry='first' with count='attempts'. Every attempt has an entry of its own.",
        ),
        ({"hold": 7}, "hold=7. Allowed: a property's name, or a list of names."),
        ({"by": [["device"]]}, "by=[['device']]. Allowed: a property's name, or a list of names."),
        ({"by": 7}, "by=7. Allowed: "),
        ({"entered": 5}, "entered=5. Allowed: (start, end), end excluded."),
        ({"window": "-1d"}, "window='-1d' must be longer than zero"),
        ({"window": "a week"}, "window='a week' is not a duration"),
        (
            {"exclude": ["ad_to_cart"]},
            "'ad_to_cart' is not an event of this log. Did you mean 'add_",
        ),
        (
            {"exclude": [Exclusion("purchase", after=3)]},
            "exclusion 1 lies after step 3 and before step 3, and the funnel has 3 steps. "
            "Allowed: 1 <= after < before <= 3. Leave both out for the whole funnel.",
        ),
        ({"exclude": [Exclusion("purchase", 0, 2)]}, "after step 0 and before step 2"),
        ({"exclude": [Exclusion("purchase", 1, 4)]}, "after step 1 and before step 4"),
        ({"exclude": [Exclusion("purchase", 2, 1)]}, "after step 2 and before step 1"),
        ({"exclude": ["*", Exclusion("*", True)]}, "exclusion 2 lies after step True"),
        ({"exclude": [{"event": "*", "before": 2.0}]}, "before step 2.0"),
        (
            {"exclude": [Exclusion("*", where={"devise": "m"})]},
            "where of exclusion 1: 'devise' is not a property of this log. Did you mean 'device'?",
        ),
        ({"exclude": [Exclusion("*", where="device")]}, "where='device' of exclusion 1 is no dict"),  # type: ignore[arg-type]
    ],
)
def test_options_that_make_no_sense(options: dict[str, Any], said: str) -> None:
    assert said in refusal(NAMES, **options)


@pytest.mark.parametrize(
    ("steps", "options", "said"),
    [
        (
            [Step("view_item", optional=True), "purchase"],
            {},
            "step 1 is optional. A chain begins with its first step: make it required",
        ),
        (
            ["view_item", Step("purchase", optional=True)],
            {"order": "any"},
            "step 2 is optional and order='any'. Optional steps are for order='sequential'.",
        ),
        (["view_item", Step("purchase", optional=True)], {"order": "strict"}, "order='strict'"),
        (["view_item", Step("purchase", within="0s")], {}, "within of step 2='0s' must be longer"),
        (["view_item", Step("purchase", within="5")], {}, "within of step 2='5' has no unit"),
        (
            ["view_item", Step("purchase", where={"valeu": 1})],
            {},
            "where of step 2: 'valeu' is not a property of this log. Did you mean 'value'?",
        ),
        ([Step("purchase", where=["value"])], {}, "where=['value'] of step 1 is no dict. Allowed:"),  # type: ignore[arg-type]
        (["view_item"], {"exclude": ["purchase"]}, "and the funnel has 1 step. Allowed: "),
        (["*"] * 13, {"order": "any", "exclude": ["purchase"]}, "13 steps in any order with excl"),
        ([*["*"] * 12, Step("*", within="1h")], {"order": "any"}, "up to 12 steps. Leave them out"),
        (
            NAMES,
            {"hold": ["coupon"]},
            "hold='coupon': no event of the steps (view_item, add_to_cart, purchase) has a value "
            "of it. Hold a property that the steps have, or leave hold out.",
        ),
    ],
)
def test_steps_that_make_no_sense_with_the_rest(
    steps: list[Any], options: dict[str, Any], said: str
) -> None:
    assert said in refusal(steps, **options)


def test_so_many_steps_in_any_order_are_allowed() -> None:
    many = funnel(LOG, ["*"] * 64, order="any")
    assert many.table["count"].tolist() == [1, 1, 1, *[0] * 61]
    bounded = funnel(
        LOG, ["*"] * 12, order="any", exclude=[Exclusion("purchase", where={"value": 0})]
    )
    assert bounded.table["count"].tolist() == [1, 1, 1, *[0] * 9]


def test_what_is_asked_as_numbers() -> None:
    steps = ["view_item", Step("add_to_cart", optional=True), "purchase", Step("*", optional=True)]
    asked = funnel_spec(LOG, steps, {**DEFAULTS, "hold": "device", "by": "value", "window": "1ms"})
    assert asked.last_required == 3
    assert asked.window_us == 1000
    assert asked.within_us == (EVER,) * 4
    assert (asked.hold, asked.by, asked.inside_user) == (("device",), ("value",), ("device",))
    assert asked.repeats_users
    alone = funnel_spec(LOG, NAMES, DEFAULTS)
    assert not alone.repeats_users
    assert alone.inside_user == ()
    visits = funnel_spec(LOG, NAMES, {**DEFAULTS, "unit": "session", "hold": ["device"]})
    assert visits.inside_user == ("session", "device")
    assert funnel_spec(LOG, NAMES, {**DEFAULTS, "count": "attempts"}).repeats_users


def test_of_an_empty_view_nothing_is_held() -> None:
    nobody = LOG.where(device="none")
    assert funnel(nobody, NAMES, hold=["device"]).table["count"].tolist() == [0, 0, 0]


def test_where_an_exclusion_holds() -> None:
    assert exclusion_range(Exclusion("x"), 4) == (1, 4)
    assert exclusion_range(Exclusion("x", after=2), 4) == (2, 4)
    assert exclusion_range(Exclusion("x", before=2), 4) == (1, 2)


def test_entry_ranges() -> None:
    low, high = checks.entry_range("funnel", None)
    assert low < np.iinfo(np.int32).min * 10**6 < np.iinfo(np.int32).max * 10**6 < high
    assert checks.entry_range("funnel", ("1970-01-01", "1970-01-02")) == (0, 86_400_000_000)
    assert checks.entry_range("funnel", (None, "1970-01-02")) == (low, 86_400_000_000)


def test_an_empty_log_is_the_data_s_fault() -> None:
    empty = EventLog.from_frame(LOG.to_frame().iloc[:0])
    with pytest.raises(DataError, match=r"^funnel: the log is empty\."):
        funnel(empty, ["view_item"])


def test_parameters_are_what_was_asked() -> None:
    asked = funnel(LOG, ["view_item"], window="2h", by="device", entered=("2026-11-02", None))
    assert asked.parameters["window"] == "2h"
    assert asked.parameters["by"] == "device"
    assert asked.parameters["order"] == "sequential"
    assert asked.parameters["entered"] == ("2026-11-02", None)


# ── Steps and exclusions as people write them, and as a report definition holds them.


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("view_item", r"steps='view_item' is not a list\. Allowed: a list of event names\."),
        (None, "steps=None is not a list"),
        ({"event": "view_item"}, "is not a list"),
        ([], r"steps is empty\. Give at least one event: log\.summary\(\)\."),
        (["view_item"] * 65, r"65 steps\. Allowed: up to 64"),
        ([7], r"step 1 is 7\. Allowed: an event name, a list of alternative names"),
        (["view_item", None], "step 2 is None"),
        (["view_item", []], "step 2 is Step"),
        (["view_item", [1, 2]], "step 2 is Step"),
        ([{"event": 3}], "step 1 is Step"),
        ([{"label": "x"}], r"step 1 has no event\. Give \{'event': 'name'\}"),
        (
            [{"event": "purchase", "lable": "x"}],
            r"step 1 has a key 'lable'\. Did you mean 'label'\?",
        ),
        (
            ["view_itm"],
            r"'view_itm' is not an event of this log\. Did you mean 'view_item'\? 3 events",
        ),
        (
            ["view_item", ["purchase", "zzz"]],
            r"'zzz' is not an event of this log\. 3 events: log\.summ",
        ),
    ],
)
def test_steps_that_are_none(steps: Any, said: str) -> None:
    with pytest.raises(
        UsageError, match=f"^funnel: .*{said}" if "steps" not in said else said
    ) as e:
        funnel(LOG, steps)
    assert "\n" not in str(e.value)


def test_the_ways_to_write_a_step() -> None:
    written = [
        "view_item",
        ["view_item", "add_to_cart"],
        ("view_item", "purchase"),
        {"event": "purchase", "label": "Bought"},
        {"event": ["view_item", "purchase"]},
        "*",
        Step("add_to_cart", label="Cart"),
    ]
    steps = as_steps(written)
    assert [step.name for step in steps] == [
        "view_item",
        "view_item or add_to_cart",
        "view_item or purchase",
        "Bought",
        "view_item or purchase",
        "any event",
        "Cart",
    ]
    assert funnel(LOG, written).table["event"].tolist() == [step.name for step in steps]
    assert as_steps(steps) == steps
    assert as_steps(tuple(written)) == steps


@pytest.mark.parametrize(
    ("step", "plain"),
    [
        (Step("a"), "a"),
        (Step(["a", "b"]), {"event": ["a", "b"]}),
        (Step(("a",)), {"event": ["a"]}),
        (Step("a", label="A"), {"event": "a", "label": "A"}),
        (
            Step("a", {"value": ">= 5"}, "1h", True),
            {"event": "a", "where": {"value": ">= 5"}, "within": "1h", "optional": True},
        ),
    ],
)
def test_a_step_as_plain_data_comes_back(step: Step, plain: Any) -> None:
    assert step.plain() == plain
    again = as_steps([step.plain()])[0]
    assert again.plain() == plain
    assert again.events == step.events


@pytest.mark.parametrize(
    ("exclusion", "plain"),
    [
        (Exclusion("a"), {"event": "a"}),
        (Exclusion(["a", "b"], 1, 3), {"event": ["a", "b"], "after": 1, "before": 3}),
        (Exclusion(("a",), where={"v": "> 1"}), {"event": ["a"], "where": {"v": "> 1"}}),
    ],
)
def test_an_exclusion_as_plain_data_comes_back(exclusion: Exclusion, plain: Any) -> None:
    assert exclusion.plain() == plain
    again = as_exclusions([exclusion.plain()])[0]
    assert again.plain() == plain
    assert again.events == exclusion.events


def test_the_ways_to_write_an_exclusion() -> None:
    alone: list[Any] = ["a", {"event": "a"}, Exclusion("a"), ["a"], [Exclusion("a")]]
    assert [as_exclusions(one) for one in alone] == [(Exclusion("a"),)] * len(alone)
    assert [one.events for one in as_exclusions([["a", "b"], "*"])] == [("a", "b"), ("*",)]
    assert as_exclusions(()) == ()


@pytest.mark.parametrize(
    ("exclude", "said"),
    [
        (7, r"exclude=7 is not a list\. Allowed: a list of Exclusion\."),
        (None, "exclude=None is not a list"),
        ([7], r"exclusion 1 is 7\. Allowed: an event name.* or a dict with the arguments of Excl"),
        (["a", {}], r"exclusion 2 has no event\. Give \{'event': 'name'\}"),
        ([{"event": "a", "befor": 2}], "exclusion 1 has a key 'befor'. Did you mean 'before'"),
        ([Step("a")], "exclusion 1 is Step"),
        (["a"] * 65, r"65 exclusions\. Allowed: up to 64"),
    ],
)
def test_exclusions_that_are_none(exclude: Any, said: str) -> None:
    with pytest.raises(UsageError, match=f"^funnel: {said}") as caught:
        as_exclusions(exclude)
    assert "\n" not in str(caught.value)
