"""Steps and exclusions as people write them, and as a report definition holds them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import Exclusion, Step, as_exclusions, as_steps
from analysis.funnels.result import funnel

NAMES = ["view_item", "add_to_cart", "purchase"]
LOG = EventLog.from_frame(
    pd.DataFrame(
        {
            "user": "u",
            "time": pd.date_range("2026-11-02", periods=3, freq="min"),
            "event": NAMES,
            "device": "m",
            "value": [1.0, 2.0, 3.0],
        }
    )
)


@pytest.mark.parametrize(
    ("steps", "said"),
    [
        ("view_item", r"steps='view_item' is no list\. Allowed: a list of event names\."),
        (None, "steps=None is no list"),
        ({"event": "view_item"}, "is no list"),
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
        (["view_itm"], r"'view_itm' is no event of this log\. Did you mean 'view_item'\? 3 events"),
        (
            ["view_item", ["purchase", "zzz"]],
            r"'zzz' is no event of this log\. 3 events: log\.summ",
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
        (7, r"exclude=7 is no list\. Allowed: a list of Exclusion\."),
        (None, "exclude=None is no list"),
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
