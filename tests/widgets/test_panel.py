"""What every panel does: it shows what its function says, and saves what it shows.

First the panels over groups and segments against their functions, then "Save as report": what is
in the panel is what the definition says, read back by the loader.
"""

from __future__ import annotations

import datetime
import inspect
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import (
    Catalog,
    EventLog,
    audience,
    behavioral_clusters,
    content_conversion,
    engagement_levels,
    engagement_table,
    overlaps,
    rfm,
    segment,
    simulate,
)
from analysis.core.schema import UsageError
from analysis.funnels.spec import Exclusion
from analysis.reports.definition import load_definition
from analysis.widgets.correlation import correlation_panel
from analysis.widgets.funnels import FunnelPanel, funnel_panel
from analysis.widgets.groups import (
    clusters_panel,
    content_panel,
    engagement_panel,
    levels_panel,
    rfm_panel,
)
from analysis.widgets.journeys import paths_panel
from analysis.widgets.panel import PLOTLY, QuestionPanel, SaveTo
from analysis.widgets.segments import audience_panel, overlaps_panel, segments_panel

ROOT = Path(__file__).parents[2]
SHOP = Catalog.load(ROOT / "data" / "catalogs" / "ecommerce.toml")
OCTOBER = datetime.date(2026, 10, 1)


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=1_500).log


def asked_overlaps(log: EventLog, segments: list[str], at: Any, min_cell: int) -> Any:
    found = {name: segment(log, name, at=at, catalog=SHOP) for name in segments}
    return overlaps(log, found, min_cell=min_cell)


def asked_audience(log: EventLog, **asked: Any) -> Any:
    one = segment(log, asked.pop("segment"), at=asked.pop("at"), catalog=SHOP)
    return audience(log, one, **asked)


class Case:
    """How a panel is opened, what its function is, and a change of every control."""

    def __init__(
        self,
        opened: Callable[..., QuestionPanel],
        asked: Callable[..., Any],
        function: Callable[..., Any],
        changes: dict[str, Any],
        besides: set[str],
    ) -> None:
        self.opened, self.asked, self.function = opened, asked, function
        self.changes, self.besides = changes, besides


CASES = {
    "levels": Case(
        lambda log, **more: levels_panel(log, SHOP, **more),
        lambda log, **asked: engagement_levels(log, SHOP, **asked),
        engagement_levels,
        {"at": OCTOBER, "cuts": "40, 60.5", "without": ("share",)},
        {"log", "catalog"},
    ),
    "engagement": Case(
        lambda log, **more: engagement_panel(log, SHOP, events=["share", "view_item"], **more),
        lambda log, **asked: engagement_table(log, SHOP, **asked),
        engagement_table,
        {"at": OCTOBER, "until": datetime.date(2026, 11, 1), "cuts": "30,70",
         "most_false": 0.01, "events": ("share", "cart_abandoned")},
        {"log", "catalog"},
    ),
    "overlaps": Case(
        lambda log, **more: overlaps_panel(log, SHOP, **more),
        asked_overlaps,
        overlaps,
        {"at": OCTOBER, "segments": ("subscribers", "returning_visitors")},
        {"log"},
    ),
    "rfm": Case(
        lambda log, **more: rfm_panel(log, SHOP, **more),
        rfm,
        rfm,
        {"event": "add_to_cart", "value": "", "scores": 3, "at": OCTOBER},
        {"log"},
    ),
    "clusters": Case(
        lambda log, **more: clusters_panel(log, SHOP, clusters=2, draws=2, **more),
        behavioral_clusters,
        behavioral_clusters,
        {"clusters": 3, "at": OCTOBER, "min_events": 8, "draws": 3,
         "events": ("share", "view_item", "video_start")},
        {"log"},
    ),
    "content": Case(
        lambda log, **more: content_panel(log, SHOP, **more),
        content_conversion,
        content_conversion,
        {"property": "channel", "touch": "first", "event": "view_item", "to": "share",
         "macro": "add_to_cart", "window": "14d", "since": datetime.date(2026, 9, 1),
         "until": datetime.date(2026, 11, 1)},
        {"log"},
    ),
    "audience": Case(
        lambda log, **more: audience_panel(log, SHOP, **more),
        asked_audience,
        audience,
        {"segment": "subscribers", "at": OCTOBER, "macro": "add_to_cart", "holdout": 0.5,
         "seed": "autumn", "consent": "device"},
        {"log", "path"},
    ),
}  # fmt: skip


def agrees(panel: QuestionPanel, log: EventLog, case: Case) -> None:
    expected = case.asked(log, **panel.kwargs())
    assert panel.result is not None, panel.words
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    drawn = panel.drawn[0]["data"][PLOTLY]
    assert drawn["data"] == json.loads(expected.figure().to_json())["data"]
    assert drawn["config"] == {"responsive": True, "displaylogo": False}


@pytest.mark.parametrize("name", CASES)
def test_every_control_changes_the_question_and_the_answer_is_the_functions(name, log) -> None:
    case = CASES[name]
    panel = case.opened(log)
    agrees(panel, log, case)
    assert set(panel.controls) == set(case.changes)
    for control, value in case.changes.items():
        before = panel.kwargs()
        panel.controls[control].value = value
        assert {k for k, v in panel.kwargs().items() if v != before[k]} == {control}
        agrees(panel, log, case)


@pytest.mark.parametrize("name", CASES)
def test_a_panel_has_the_arguments_of_its_function(name, log) -> None:
    case = CASES[name]
    taken = set(inspect.signature(case.function).parameters) - case.besides
    had = set(CASES[name].opened(log).kwargs())
    # The groups themselves and the instant are for `segment`.
    instead = {"segments": {"segments", "at"}, "segment": {"segment", "at"}}
    extra = set().union(*(instead.get(n, set()) for n in taken))
    assert had == taken | extra


@pytest.mark.parametrize("name", CASES)
def test_errors_are_words_and_the_panel_recovers(name, log) -> None:
    case = CASES[name]
    panel = case.opened(log)
    day = panel.controls["until" if name == "content" else "at"]
    day.value = datetime.date(2020, 1, 1) if name == "content" else datetime.date(2030, 1, 1)
    if name == "content":
        panel.controls["since"].value = datetime.date(2026, 1, 1)
    assert panel.result is None
    assert 'role="alert"' in panel.words
    assert panel.drawn == ()
    day.value = None
    assert 'role="alert"' not in panel.words
    agrees(panel, log, case)


def test_cut_points_that_are_none_are_refused_in_words(log) -> None:
    panel = levels_panel(log, SHOP, cuts=(40, 60))
    assert panel.kwargs()["cuts"] == [40.0, 60.0]
    for wrong in ("60, 40", "40", "high", "40; 60"):
        panel.controls["cuts"].value = wrong
        assert "two rising scores" in panel.words
    panel.controls["cuts"].value = ""
    assert panel.kwargs()["cuts"] is None
    assert panel.result is not None


def test_the_share_of_people_stands_beside_the_rates(log) -> None:
    panel = engagement_panel(log, SHOP, events=["share"])
    markup = panel.drawn[1]["data"]["text/html"]
    assert "did it, low" in markup
    assert "Shared a product (sessions)" in markup


def test_one_segment_does_not_overlap(log) -> None:
    panel = overlaps_panel(log, SHOP)
    panel.controls["segments"].value = ("subscribers",)
    assert "Choose 2 to 12 segments" in panel.words


def test_an_audience_is_written_when_the_button_is_pressed(log, tmp_path: Path) -> None:
    panel = audience_panel(log, SHOP, segment="subscribers", path=str(tmp_path / "people.csv"))
    panel.controls["holdout"].value = 0.2
    assert not list(tmp_path.iterdir())
    panel.write.click()
    written = pd.read_csv(tmp_path / "people.csv")
    assert written["group"].tolist() == panel.result.people["group"].tolist()
    assert f"Wrote {len(written):,} people" in panel.message.value
    for path, said in (("", "no file"), ("people.xlsx", "Allowed: .csv, .parquet")):
        panel.path.value = path
        panel.write.click()
        assert said in panel.message.value
        assert 'role="alert"' in panel.message.value


SAVED = {
    "levels": {"cuts": [40.0, 60.5]},
    "engagement": {"cuts": [30.0, 70.0]},
    "overlaps": {"overlapping": ["subscribers", "returning_visitors"]},
    "rfm": {"scores": 3},
    "clusters": {"clusters": 3},
    "content": {
        "content_property": "channel",
        "content_to": "share",
        "content_window": "14d",
        "content_touch": "first",
    },
    "audience": {"audience": "subscribers", "holdout": 0.5, "campaign": "autumn"},
}


@pytest.mark.parametrize("name", CASES)
def test_what_was_tuned_is_saved(name, log, tmp_path, monkeypatch) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    save = SaveTo("03_segments", "../data/demo", parameters={"catalog": "x.toml"})
    panel = CASES[name].opened(log, save=save)
    for control, value in CASES[name].changes.items():
        panel.controls[control].value = value
    panel.form.name.value = "tuned"
    panel.form.save()
    path = tmp_path / "reports" / "definitions" / "tuned.toml"
    assert path.exists(), panel.form.message.value
    written = tomllib.loads(path.read_text("utf-8"))
    assert written["parameters"] == {"catalog": "x.toml", **SAVED[name]}


def test_what_gives_no_answer_is_not_saved(log, tmp_path, monkeypatch) -> None:
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path / "notebooks")
    panel = levels_panel(log, SHOP, save=SaveTo("03_segments", "../data/demo"))
    panel.controls["cuts"].value = "sixty"
    panel.form.name.value = "wrong"
    panel.form.save()
    assert "no answer to save" in panel.form.message.value
    assert not (tmp_path / "reports").exists()


def test_what_a_panel_cannot_open_with(log) -> None:
    with pytest.raises(UsageError, match="Did you mean 'subscribers'"):
        overlaps_panel(log, SHOP, segments=["subscriber", "at_risk"])
    with pytest.raises(UsageError, match="audience_panel: segment='nobody'"):
        audience_panel(log, SHOP, segment="nobody")
    with pytest.raises(UsageError, match="not a midnight UTC"):
        rfm_panel(log, at="2026-10-26T08:00")
    with pytest.raises(UsageError, match="Allowed: a day"):
        rfm_panel(log, at="soon")
    plain = Catalog.from_mapping({"name": "blog", "events": {"donate": {"role": "macro"}}})
    with pytest.raises(UsageError, match="has no segments"):
        audience_panel(log, plain)


def test_what_comes_from_data_is_never_markup(log) -> None:
    nasty = "<script>alert(1)</script>"
    frame = log.to_frame().iloc[:2_000].assign(page=nasty)
    panel = content_panel(EventLog.from_frame(frame, session="session"), SHOP, to="view_item")
    assert "<script" not in panel.words
    assert "<script" not in json.dumps(panel.drawn)
    assert repr(panel).startswith("content_panel(property='page'")


# Save as report


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
    return {
        "question": paths_panel(log, to="purchse", save=save),
        "funnel": funnel_panel(log, steps=["view_item", "purchse"], save=save),
        "segments": segments_panel(log, catalog=SHOP, at="2030-01-01", save=save),
        "correlation": correlation_panel(log, SHOP, macro="purchse", save=save),
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
