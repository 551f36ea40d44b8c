"""Save as report: what is in the panel is what the definition says, read back by the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.funnels.funnel_steps import Exclusion
from analysis.reports.definition import load_definition
from analysis.simulation.log import simulate
from analysis.widgets.correlation import correlation_panel
from analysis.widgets.funnels import FunnelPanel, funnel_panel
from analysis.widgets.journeys import paths_panel
from analysis.widgets.saving import SaveTo
from analysis.widgets.segments import segments_panel

ROOT = Path(__file__).parents[2]


@pytest.fixture
def panel(tmp_path: Path) -> FunnelPanel:
    frame = pd.DataFrame(
        {
            "user": ["a", "a", "b"],
            "time": pd.to_datetime(["2026-11-01", "2026-11-02", "2026-11-01"]),
            "event": ["cart", "purchase", "cart"],
            "device": ["mobile", "mobile", "<desktop>"],
        }
    )
    target = SaveTo(
        "02_funnels",
        str(tmp_path / "data" / "shop"),
        folder=str(tmp_path / "reports" / "definitions"),
        time_zone="Europe/Berlin",
        parameters={"catalog": "../data/catalogs/shop.toml"},
    )
    return funnel_panel(EventLog.from_frame(frame), steps=["cart", "purchase"], save=target)


def test_writes_what_the_panel_shows(panel: FunnelPanel, tmp_path: Path) -> None:
    panel.by.value = "device"
    panel.window.value = "1h"
    panel.form.name.value = " by-device "
    panel.form.period.value = "month"
    panel.form.button.click()
    saved = load_definition(tmp_path / "reports" / "definitions" / "by-device.toml")
    assert saved.notebook == "02_funnels"
    assert saved.data == "data/shop"
    assert (saved.period, saved.time_zone) == ("month", "Europe/Berlin")
    assert saved.title == "From cart to purchase"
    assert dict(saved.parameters) == {
        "catalog": "../data/catalogs/shop.toml",
        "steps": ["cart", "purchase"],
        "window": "1h",
        "by": "device",
        "order": "sequential",
        "unit": "user",
        "count": "units",
        "entry": "best",
        "hold": [],
        "exclude": [],
        "on_exclude": "end_attempt",
        "by_at": "entry",
        "top": 12,
        "ties": "lenient",
    }
    assert "Saved as by-device.toml" in panel.form.message.value


def test_steps_and_exclusions_are_saved_with_all_that_they_ask(
    panel: FunnelPanel, tmp_path: Path
) -> None:
    row = panel.steps.children[1]
    row.where.value = 'device = "mobile"'
    row.within.value = "1h"
    panel.more.exclude.add(Exclusion("cart", after=1))
    panel.form.name.value = "all-of-it"
    panel.form.save()
    saved = load_definition(tmp_path / "reports" / "definitions" / "all-of-it.toml").parameters
    assert saved["steps"] == [
        "cart",
        {"event": "purchase", "where": {"device": "mobile"}, "within": "1h"},
    ]
    assert saved["exclude"] == [{"event": "cart", "after": 1}]


def test_what_cannot_be_read_is_not_saved(panel: FunnelPanel, tmp_path: Path) -> None:
    panel.steps.children[0].where.value = "device = mobile"
    panel.form.name.value = "mine"
    panel.form.save()
    assert "cannot be read" in panel.form.message.value
    assert not list(tmp_path.rglob("*.toml"))


def test_never_replaces_unless_told_to(panel: FunnelPanel, tmp_path: Path) -> None:
    panel.form.name.value = "mine"
    panel.form.save()
    path = tmp_path / "reports" / "definitions" / "mine.toml"
    before = path.read_bytes()
    panel.window.value = "90d"
    panel.form.save()
    assert path.read_bytes() == before
    assert 'role="alert"' in panel.form.message.value
    assert "taken" in panel.form.message.value
    panel.form.replace.value = True
    panel.form.save()
    assert load_definition(path).parameters["window"] == "90d"


@pytest.mark.parametrize("name", ["", "../../etc/passwd", "<b>bold</b>", "a b", "definitions"])
def test_a_name_that_is_none_is_refused_in_words(
    panel: FunnelPanel, tmp_path: Path, name: str
) -> None:
    panel.form.name.value = name
    panel.form.save()
    assert 'role="alert"' in panel.form.message.value
    assert "<b>" not in panel.form.message.value
    assert not list(tmp_path.rglob("*.toml"))


def test_a_folder_that_cannot_be_written_is_said(panel: FunnelPanel, tmp_path: Path) -> None:
    (tmp_path / "reports").write_text("a file where the folder should be")
    panel.form.name.value = "mine"
    panel.form.save()
    assert 'role="alert"' in panel.form.message.value


def test_data_outside_the_project_keeps_its_whole_path(tmp_path: Path) -> None:
    folder = str(tmp_path / "project" / "reports" / "definitions")
    inside = SaveTo("02_funnels", str(tmp_path / "project" / "data" / "demo"), folder=folder)
    outside = SaveTo("02_funnels", str(tmp_path / "elsewhere"), folder=folder)
    assert inside.data_in_project == "data/demo"
    assert outside.data_in_project == str(tmp_path / "elsewhere")


def test_a_panel_without_a_target_has_no_form() -> None:
    frame = pd.DataFrame({"user": ["a"], "time": pd.to_datetime(["2026-11-01"]), "event": ["x"]})
    assert funnel_panel(EventLog.from_frame(frame), steps=["x"]).form is None


def broken(log: EventLog, save: SaveTo) -> dict[str, Any]:
    """Every kind of panel, brought to where it has no answer."""
    plan = Catalog.load(ROOT / "data" / "catalogs" / "ecommerce.toml")
    return {
        "question": paths_panel(log, to="purchse", save=save),
        "funnel": funnel_panel(log, steps=["view_item", "purchse"], save=save),
        "segments": segments_panel(log, catalog=plan, at="2030-01-01", save=save),
        "correlation": correlation_panel(log, plan, macro="purchse", save=save),
    }


def test_no_panel_saves_what_has_no_answer(tmp_path: Path) -> None:
    (tmp_path / "definitions").mkdir()
    save = SaveTo("02_funnels", str(tmp_path), folder=str(tmp_path / "definitions"))
    for name, panel in broken(simulate(users=300).log, save).items():
        assert panel.result is None, name
        panel.form.name.value = name
        panel.form.save()
        assert "there is no answer to save" in panel.form.message.value, name
    assert not list((tmp_path / "definitions").iterdir())
