"""The panel against the function it stands for: whatever it shows, `funnel` says the same."""

from __future__ import annotations

import datetime
import html
import json
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, WorkbookError
from analysis.eventlog.log import EventLog
from analysis.funnels.compare import compare
from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion, Step
from analysis.widgets.controls import MOST_GROUPS, breakdown_choices, event_choices
from analysis.widgets.funnels import USUAL, FunnelPanel, funnel_panel
from analysis.widgets.panel import PLOTLY
from analysis.widgets.step_editor import StepList

EVENTS = ("view_item", "add_to_cart", "purchase", "footer_click")
SHOP = {
    "name": "shop",
    "events": {
        "purchase": {"role": "macro", "label": "Bought"},
        "view_item": {"role": "milestone", "label": "Viewed a product"},
    },
    "funnels": {"buying": {"steps": ["view_item", "add_to_cart", "purchase"], "window": "24h"}},
}


@pytest.fixture(scope="module")
def log() -> EventLog:
    rows = [
        (f"u{user:02}", pd.Timestamp("2026-11-01") + pd.Timedelta(hours=7 * user + 2 * k), event)
        for user in range(40)
        for k, event in enumerate(EVENTS[: 1 + user % 4])
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    number = frame["user"].str[1:].astype(int)
    frame["device"] = number.mod(3).map({0: "mobile", 1: "desktop", 2: None})
    frame["page"] = "/p/" + frame.index.astype(str)
    frame["value"] = 1.5
    frame["shop"] = "north"
    return EventLog.from_frame(frame, covers_until="2026-12-01")


@pytest.fixture
def panel(log: EventLog) -> FunnelPanel:
    return funnel_panel(log, catalog=Catalog.from_mapping(SHOP))


def words(panel: FunnelPanel) -> str:
    return panel.children[1].value


def drawing(panel: FunnelPanel) -> dict[str, Any]:
    (output,) = panel.children[2].outputs
    assert set(output["data"]) == {PLOTLY}
    return output["data"][PLOTLY]


def agrees(panel: FunnelPanel, log: EventLog) -> None:
    """What is shown is what the function gives for the arguments that the panel tells."""
    expected = funnel(log, **panel.kwargs())
    assert panel.result is not None
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    assert drawing(panel)["data"] == json.loads(expected.figure().to_json())["data"]


def agrees_or_says_why(panel: FunnelPanel, log: EventLog) -> None:
    """What the function answers is shown; what it refuses is said in its own line."""
    try:
        funnel(log, **panel.kwargs())
    except WorkbookError as error:
        refused = str(error)
    else:
        agrees(panel, log)
        return
    assert panel.result is None
    assert html.escape(refused) in words(panel)
    assert panel.children[2].outputs == ()


def test_starts_with_the_default_funnel_of_the_catalog(panel: FunnelPanel, log: EventLog) -> None:
    assert panel.kwargs() == {
        "steps": [
            {"event": "view_item", "label": "Viewed a product"},
            {"event": "add_to_cart", "label": "Add to cart"},
            {"event": "purchase", "label": "Bought"},
        ],
        "window": "1d",
        "by": None,
        "entered": None,
    }
    agrees(panel, log)
    assert "of 40 users got from Viewed a product to Bought" in words(panel)


def test_every_control_changes_the_answer(panel: FunnelPanel, log: EventLog) -> None:
    seen = [drawing(panel)]
    panel.by.value = "device"
    seen.append(drawing(panel))
    panel.steps.add("footer_click")
    seen.append(drawing(panel))
    panel.steps.remove(1)
    seen.append(drawing(panel))
    panel.window.value = "1h"
    seen.append(drawing(panel))
    panel.entry.first.value = datetime.date(2026, 11, 5)
    seen.append(drawing(panel))
    agrees(panel, log)
    texts = [json.dumps(figure, sort_keys=True) for figure in seen]
    assert len(set(texts)) == len(texts)
    assert panel.kwargs()["entered"] == ("2026-11-05", None)
    assert [step["event"] for step in panel.kwargs()["steps"]] == [
        *("add_to_cart", "purchase", "footer_click")
    ]


@settings(max_examples=25, deadline=None)
@given(
    moves=st.lists(
        st.one_of(
            st.tuples(st.just("add"), st.sampled_from(EVENTS)),
            st.tuples(st.just("remove"), st.integers(1, 5)),
            st.tuples(st.just("choose"), st.integers(0, 4), st.sampled_from(EVENTS)),
            st.tuples(st.just("by"), st.sampled_from(["", "device"])),
            st.tuples(st.just("window"), st.sampled_from(["30min", "1d", "90d"])),
            st.tuples(st.just("order"), st.sampled_from(["sequential", "strict", "any"])),
            st.tuples(st.just("unit"), st.sampled_from(["user", "device"])),
            st.tuples(st.just("count"), st.sampled_from(["units", "attempts"])),
            st.tuples(st.just("entry"), st.sampled_from(["best", "first"])),
            st.tuples(st.just("ties"), st.sampled_from(["lenient", "strict"])),
            st.tuples(st.just("by_at"), st.sampled_from(["entry", "first_touch", 2])),
            st.tuples(st.just("hold"), st.sampled_from([(), ("device",)])),
            st.tuples(st.just("exclude"), st.sampled_from(EVENTS), st.sampled_from([0, 1, 2])),
        ),
        max_size=8,
    )
)
def test_whatever_is_clicked_the_panel_tells_the_truth(log: EventLog, moves: list[Any]) -> None:
    panel = funnel_panel(log, steps=["view_item", "purchase"])
    expected = ["view_item", "purchase"]
    for what, *how in moves:
        if what == "add":
            panel.steps.add(how[0])
            expected.append(how[0])
        elif what == "remove" and 1 < len(expected) >= how[0]:
            panel.steps.remove(how[0])
            del expected[how[0] - 1]
        elif what == "choose" and how[0] < len(expected):
            panel.steps.children[how[0]].children[0].value = how[1]
            expected[how[0]] = how[1]
        elif what == "by":
            panel.by.value = how[0]
        elif what == "exclude":
            panel.more.exclude.add(Exclusion(how[0], after=how[1] or None))
        elif what in ("window", "order", "unit"):
            getattr(panel, what).value = how[0]
        elif what in ("count", "entry", "ties", "by_at", "hold"):
            getattr(panel.more, what).value = how[0]
    assert panel.kwargs()["steps"] == expected
    agrees_or_says_why(panel, log)


def test_buttons_add_and_remove_steps_and_keep_one(panel: FunnelPanel) -> None:
    *rows, add = panel.steps.children
    assert [row.children[0].description for row in rows] == ["Step 1", "Step 2", "Step 3"]
    assert [row.children[1].tooltip for row in rows] == [f"Remove step {n}" for n in (1, 2, 3)]
    add.click()
    assert panel.steps.events[-1] == "footer_click"  # the first one that is no step yet
    panel.steps.children[1].children[1].click()
    assert panel.steps.events == ("view_item", "purchase", "footer_click")
    for _ in range(2):
        panel.steps.children[0].children[1].click()
    (row, _) = panel.steps.children
    assert row.children[0].description == "Step 1"
    assert row.children[1].disabled
    assert "users did" in words(panel)


def test_one_redraw_for_a_change(
    panel: FunnelPanel, log: EventLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = []

    def counted(log: EventLog, **arguments: Any) -> Any:
        calls.append(arguments)
        return funnel(log, **arguments)

    monkeypatch.setattr("analysis.widgets.funnels.funnel", counted)
    panel.window.value = "7d"
    panel.by.value = "device"
    panel.steps.add("purchase")
    panel.steps.remove(1)
    assert len(calls) == 4


def test_errors_are_words_where_the_answer_would_be(panel: FunnelPanel) -> None:
    panel.entry.first.value = datetime.date(2026, 11, 9)
    panel.entry.end.value = datetime.date(2026, 11, 1)
    assert panel.result is None
    assert 'role="alert"' in words(panel)
    assert "ends before it starts" in words(panel)
    assert panel.children[2].outputs == ()
    panel.entry.end.value = None
    assert panel.result is not None
    assert "alert" not in words(panel)


def test_an_event_that_the_log_does_not_know_is_said_in_the_panel(log: EventLog) -> None:
    panel = funnel_panel(log, steps=["view_itme", "purchase"])
    assert "Did you mean &#x27;view_item&#x27;?" in words(panel)
    panel.steps.children[0].children[0].value = "view_item"
    agrees(panel, log)


def test_opens_with_any_arguments(log: EventLog) -> None:
    panel = funnel_panel(
        log,
        steps=[{"event": "view_item", "label": "Saw"}, "purchase"],
        window="100min",
        by="page",
        entered=("2026-11-02", "2026-11-04"),
    )
    assert panel.kwargs() == {
        "steps": [{"event": "view_item", "label": "Saw"}, "purchase"],
        "window": "100min",
        "by": "page",
        "entered": ("2026-11-02", "2026-11-04"),
    }
    assert ("1.7 h", "100min") in panel.window.options
    agrees(panel, log)


EVERYTHING: dict[str, Any] = {
    "steps": [
        {"event": "view_item", "where": {"device": ["mobile", "desktop"]}},
        {"event": ["add_to_cart", "footer_click"], "optional": True, "label": "Took it"},
        {"event": "purchase", "within": "3h", "where": {"value": ">= 1", "shop": "north"}},
    ],
    "window": "100min",
    "by": ["device", "shop"],
    "by_at": 1,
    "top": 1,
    "unit": "shop",
    "count": "attempts",
    "hold": ["device"],
    "exclude": [
        {"event": ["footer_click", "view_item"], "after": 1, "before": 3, "where": {"value": 1.5}}
    ],
    "on_exclude": "drop_unit",
    "ties": "strict",
    "entered": ("2026-11-02", None),
}


def test_opens_with_every_argument_and_tells_each_back(log: EventLog) -> None:
    panel = funnel_panel(log, **EVERYTHING)
    assert panel.kwargs() == EVERYTHING
    assert panel.more.selected_index == 0
    assert set(EVERYTHING) | {"order", "entry"} == {*USUAL, "steps"}
    agrees(panel, log)
    for argument in ({"order": "any"}, {"entry": "first"}):
        other = funnel_panel(log, steps=["view_item", "purchase"], **argument)
        assert argument.items() <= other.kwargs().items()
        agrees(other, log)


def test_details_of_a_step_are_folded_until_asked_for(panel: FunnelPanel, log: EventLog) -> None:
    row = panel.steps.children[1]
    assert row.details.layout.display == "none"
    assert panel.more.selected_index is None
    row.more.value = True
    assert row.details.layout.display is None
    row.where.value = 'device = "mobile"'
    row.within.value = "1h"
    row.optional.value = True
    row.others.value = ("footer_click",)
    row.called.value = "Took it"
    assert panel.kwargs()["steps"][1] == {
        "event": ["add_to_cart", "footer_click"],
        "where": {"device": "mobile"},
        "within": "1h",
        "optional": True,
        "label": "Took it",
    }
    agrees(panel, log)


@pytest.mark.parametrize(
    ("turn", "said"),
    [
        (lambda p: setattr(p.more.by_at, "value", "last_touch"), "without by"),
        (lambda p: setattr(p.more.top, "value", 0), "whole number from 1"),
        (lambda p: p.more.exclude.add(Exclusion("footer_click", after=9)), "lies after step 9"),
        (lambda p: setattr(p.steps.children[0].optional, "value", True), "step 1 is optional"),
        (lambda p: setattr(p.steps.children[0].where, "value", "device = m"), "cannot be read"),
        (lambda p: setattr(p.steps.children[0].where, "value", "devise = 1"), "Did you mean"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_leaves_no_figure(
    panel: FunnelPanel, turn: Any, said: str
) -> None:
    turn(panel)
    assert panel.result is None
    assert said in html.unescape(words(panel))
    assert words(panel).count("<p") == 1
    assert panel.children[2].outputs == ()
    repr(panel)


def test_two_entry_ranges_side_by_side(panel: FunnelPanel, log: EventLog) -> None:
    panel.entry.first.value = datetime.date(2026, 11, 6)
    panel.against.end.value = datetime.date(2026, 11, 6)
    bars, differences = panel.children[2].outputs
    asked = panel.kwargs()
    assert asked["entered"] == ("2026-11-06", None)
    ranges = asked["entered"], (None, "2026-11-06")
    now, before = (funnel(log, **{**asked, "entered": entered}) for entered in ranges)
    row = compare(now, None, before).iloc[-1]
    assert f"({row.k_a} of {row.n_a})" in words(panel)
    assert f"({row.k_b} of {row.n_b})" in words(panel)
    assert row.n_a != row.n_b
    assert bars["data"][PLOTLY]["data"] == json.loads(now.figure().to_json())["data"]
    assert "from 6 Nov 2026" in differences["data"][PLOTLY]["layout"]["meta"]["alt"]
    panel.against.end.value = None
    agrees(panel, log)


def test_days_of_another_time_zone_stay_days_of_it(log: EventLog) -> None:
    day = pd.Timestamp("2026-11-02", tz="Europe/Berlin")
    panel = funnel_panel(log, steps=["view_item"], entered=(day, None))
    assert panel.entry.first.value == datetime.date(2026, 11, 2)
    assert pd.Timestamp(panel.kwargs()["entered"][0]) == day
    panel.entry.first.value = datetime.date(2026, 11, 3)
    assert pd.Timestamp(panel.kwargs()["entered"][0]) == day + pd.Timedelta(days=1)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({}, "no steps"),
        ({"steps": ["purchase"], "ordr": "any"}, "Did you mean 'order'"),
        ({"steps": ["purchase"], "by": ["device", "shop", "page"]}, "two properties at most"),
        ({"steps": []}, "steps is empty"),
        ({"steps": ["purchase"], "window": "soon"}, "is not a duration"),
        ({"steps": ["purchase"], "entered": ("2026-11-02T08:00", None)}, "whole days"),
        ({"steps": ["purchase"], "entered": "2026-11-02"}, "end excluded"),
    ],
)
def test_what_a_panel_cannot_open_with(log: EventLog, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        funnel_panel(log, **arguments)


def test_breakdowns_are_texts_with_a_few_values(log: EventLog) -> None:
    offered = [value for _, value in breakdown_choices(log, None)]
    assert offered == ["", "device"]  # not value (a number), shop (one value), page (too many)
    assert MOST_GROUPS < 100


def test_events_called_the_same_can_be_told_apart() -> None:
    choices = event_choices(["buy", "Buy", "view"], {"buy": "Bought", "Buy": "Bought"})
    assert choices == [("Bought (Buy)", "Buy"), ("Bought (buy)", "buy"), ("View", "view")]


def test_no_more_steps_than_a_funnel_takes() -> None:
    steps = StepList([("A", "a"), ("B", "b")], [Step("a")], labels={}, most=2)
    add = steps.children[-1]
    assert not add.disabled
    add.click()
    assert steps.events == ("a", "b")
    assert add.disabled
    steps.remove(1)
    assert not add.disabled


def test_what_comes_from_data_is_never_markup() -> None:
    nasty = "<script>alert(1)</script>"
    frame = pd.DataFrame(
        {
            "user": ["a", "a", "b"],
            "time": pd.to_datetime(["2026-11-01", "2026-11-02", "2026-11-01"]),
            "event": [nasty, "<img src=x onerror=alert(1)>", nasty],
            "device": ["<b>x</b>", "<b>x</b>", "<a href='javascript:1'>"],
        }
    )
    log = EventLog.from_frame(frame, covers_until="2026-12-01")
    panel = funnel_panel(log, steps=list(dict.fromkeys(frame["event"])), by="device")
    shown = words(panel) + json.dumps(drawing(panel)["data"])
    for raw in ("<script", "<img", "<b>x", "<a href"):
        assert raw not in shown
    assert "&lt;script&gt;" in words(panel)
    panel.by.value = ""
    panel.steps.add(nasty)
    assert "<script" not in words(panel)
    unknown = funnel_panel(log, steps=[nasty + "!"])
    assert 'role="alert"' in words(unknown)
    assert "<script" not in words(unknown)


def test_is_readable_without_a_browser(panel: FunnelPanel) -> None:
    assert repr(panel).startswith("FunnelPanel(steps=[{'event': 'view_item'")
    assert "IPY_MODEL" not in repr(panel)
