"""Everything a person can get wrong in a funnel's question is one line that says what to do."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.eventlog.log import EventLog
from analysis.funnel_steps import Step, as_steps, entry_range, step_codes
from analysis.funnels import funnel
from analysis.schema import DataError, UsageError

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
        ({"by": "devise"}, r"by='devise' is no property of this log\. Did you mean 'device'\?"),
        (
            {"by": ["device", "zzz"]},
            r"by='zzz' is no property.*Properties: 'session', 'device', 'value'",
        ),
        ({"by": "event"}, "by='event' is no property.*'event' is a column, not a property"),
        (
            {"entered": "2026-11-02"},
            r"entered='2026-11-02'\. Allowed: \(start, end\), end excluded",
        ),
        ({"entered": ("soon", None)}, r"entered start='soon' is no time"),
        ({"entered": (None, "soon")}, r"entered end='soon' is no time"),
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


def test_codes_are_bits_per_step() -> None:
    codes = step_codes(LOG, as_steps(["purchase", ["add_to_cart", "purchase"], "*"]), "lenient")
    place = {name: LOG.event_names.index(name) for name in NAMES}
    assert int(codes.lut[place["purchase"]]) == 0b111
    assert int(codes.lut[place["add_to_cart"]]) == 0b110
    assert int(codes.lut[place["view_item"]]) == 0b100
    assert int(codes.lut[-1]) == 0
    assert int(codes.wanted[1]) == 1 << place["purchase"]
    assert int(codes.wanted[3]) == 0b111
    assert codes.shared
    assert not codes.strict
    apart = step_codes(LOG, as_steps(["purchase", "view_item"]), "strict")
    assert apart.strict
    assert not apart.shared


def test_entry_ranges() -> None:
    low, high = entry_range(None)
    assert low < np.iinfo(np.int32).min * 10**6 < np.iinfo(np.int32).max * 10**6 < high
    assert entry_range(("1970-01-01", "1970-01-02")) == (0, 86_400_000_000)
    assert entry_range((None, "1970-01-02")) == (low, 86_400_000_000)


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
