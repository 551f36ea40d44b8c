"""The panel against the functions it stands for: whatever it shows, they say the same."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.segments.comparison import compare_segments
from analysis.segments.result import segment
from analysis.simulation.log import simulate
from analysis.widgets.panel import PLOTLY, SaveTo
from analysis.widgets.segments import SegmentsPanel, segments_panel

SHOP = Catalog.load("data/catalogs/ecommerce.toml")


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=1_500).log


@pytest.fixture
def panel(log: EventLog) -> SegmentsPanel:
    return segments_panel(log, catalog=SHOP, a="window_shoppers", b="abandoned_carts")


def words(panel: SegmentsPanel) -> str:
    return panel.children[1].value


def agrees(panel: SegmentsPanel, log: EventLog) -> None:
    """What is shown is what the functions give for the arguments that the panel tells."""
    asked = panel.kwargs()
    names = [name for name in (asked.pop("a"), asked.pop("b")) if name]
    at = asked.pop("at")
    groups = [segment(log, name, at=at, catalog=SHOP) for name in names]
    expected = compare_segments(log, *groups, **asked)
    assert panel.result is not None
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    (output,) = panel.children[2].outputs
    assert output["data"][PLOTLY]["data"] == json.loads(expected.figure().to_json())["data"]
    for group in groups:
        assert f"“{group.name}”: " in words(panel)
        assert f"({group.size:,} of {group.seen:,})" in words(panel)


def test_starts_four_weeks_before_the_end(panel: SegmentsPanel, log: EventLog) -> None:
    assert panel.kwargs() == {
        "a": "window_shoppers",
        "b": "abandoned_carts",
        "at": "2026-10-26",
        "since": None,
        "until": None,
        "look_back": False,
        "properties": None,
        "steps": None,
        "window": "7d",
        "most_false": 0.05,
        "min_cell": 5,
    }
    agrees(panel, log)


def test_every_control_changes_the_answer(panel: SegmentsPanel, log: EventLog) -> None:
    seen = [panel.kwargs()]
    for control, value in (
        (panel.a, "returning_visitors"),
        (panel.b, ""),
        (panel.day, datetime.date(2026, 10, 1)),
        (panel.since, datetime.date(2026, 10, 8)),
        (panel.until, datetime.date(2026, 11, 1)),
        (panel.properties, ("device",)),
        (panel.funnel, "checkout"),
        (panel.window, "1d"),
        (panel.most_false, 0.1),
        (panel.since, None),
        (panel.look_back, True),
    ):
        control.value = value
        seen.append(panel.kwargs())
        agrees(panel, log)
        assert seen[-1] not in seen[:-1]
    assert "funnel" in set(panel.result.table["kind"])
    assert panel.kwargs()["b"] is None
    assert "everybody else" in words(panel)
    assert "differs by construction" in words(panel)


def test_errors_are_words_where_the_answer_would_be(panel: SegmentsPanel, log: EventLog) -> None:
    panel.day.value = None
    assert panel.result is None
    assert 'role="alert"' in words(panel)
    assert "Ask segment(log, rule, at=...) for an earlier instant" in words(panel)
    assert "“window_shoppers”" in words(panel)  # who they are is still known
    assert panel.children[2].outputs == ()
    panel.day.value = datetime.date(2030, 1, 1)
    assert "after what the log covers" in words(panel)
    panel.day.value = datetime.date(2026, 10, 26)
    assert 'role="alert"' not in words(panel)
    agrees(panel, log)


def test_saves_what_was_tuned(
    log: EventLog, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    save = SaveTo("03_segments", "../data/demo", parameters={"catalog": "x.toml"})
    panel = segments_panel(log, catalog=SHOP, a="subscribers", save=save)
    panel.a.value = "repeat_buyers"
    panel.funnel.value = "checkout"
    panel.window.value = "3d"
    panel.properties.value = ("device", "channel")
    assert panel.form is not None
    panel.form.name.value = "buyers"
    panel.form.save()
    path = tmp_path / "reports" / "definitions" / "buyers.toml"
    written: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    assert written["title"] == "Bought twice or more against everybody else"
    assert written["parameters"] == {
        "catalog": "x.toml",
        "a": "repeat_buyers",
        "b": "",
        "funnel": "checkout",
        "window": "3d",
        "look_back": False,
        "most_false": 0.05,
        "properties": ["device", "channel"],
    }


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"a": "window_shopers"}, "Did you mean 'window_shoppers'"),
        ({"funnel": "chekout"}, "Did you mean 'checkout'"),
        ({"b": "nobody"}, "segments_panel: b='nobody'"),
        ({"at": "soon"}, "Allowed: a day"),
        ({"at": "2026-10-26T08:00"}, "not a midnight UTC"),
    ],
)
def test_what_a_panel_cannot_open_with(log: EventLog, arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        segments_panel(log, catalog=SHOP, **arguments)


def test_a_catalog_without_segments_is_refused(log: EventLog) -> None:
    plain = Catalog.from_mapping({"name": "blog", "events": {"donate": {"role": "macro"}}})
    with pytest.raises(UsageError, match="has no segments"):
        segments_panel(log, catalog=plain)


def test_what_comes_from_a_catalog_is_never_markup(log: EventLog) -> None:
    nasty = "<script>alert(1)</script>"
    plan = Catalog.from_mapping(
        {
            "name": "x",
            "events": {"purchase": {"role": "macro"}},
            "segments": {nasty: {"rule": {"did": "share"}}},
        }
    )
    panel = segments_panel(log, catalog=plan)
    assert panel.result is not None
    assert "<script" not in words(panel)
    assert "&lt;script&gt;" in words(panel)


def test_is_readable_without_a_browser(panel: SegmentsPanel) -> None:
    assert repr(panel).startswith("SegmentsPanel(a='window_shoppers', b='abandoned_carts'")
    assert "IPY_MODEL" not in repr(panel)
