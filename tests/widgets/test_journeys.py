"""Panels of journeys and of a form against the functions they stand for."""

from __future__ import annotations

import datetime
import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
import pytest

from analysis import journeys
from analysis.catalog import Catalog
from analysis.core.result import Result
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.forms import result as forms
from analysis.reports.definition import read_parameters
from analysis.simulation.log import simulate
from analysis.widgets.journeys import (
    distance_panel,
    form_panel,
    order_panel,
    paths_panel,
    steps_panel,
    transitions_panel,
)
from analysis.widgets.panel import PLOTLY, QuestionPanel, SaveTo

ROOT = Path(__file__).parents[2]
NOTEBOOK = ROOT / "notebooks" / "05_journeys_and_forms.ipynb"
SHOP = Catalog.load(ROOT / "data" / "catalogs" / "ecommerce.toml")
Make = Callable[..., QuestionPanel]
Ask = Callable[..., Result]

MAKERS: dict[str, tuple[Make, Ask]] = {
    "transitions": (transitions_panel, journeys.transitions),
    "steps": (lambda log, **o: steps_panel(log, catalog=SHOP, **o), journeys.step_matrix),
    "paths": (lambda log, **o: paths_panel(log, catalog=SHOP, **o), journeys.paths),
    "order": (lambda log, **o: order_panel(log, catalog=SHOP, **o), journeys.event_order),
    "distance": (
        lambda log, **o: distance_panel(log, SHOP, **o),
        lambda log, **o: journeys.distance_to_macro(log, SHOP, **o),
    ),
    "form": (
        lambda log, **o: form_panel(log, "contact", catalog=SHOP, **o),
        forms.form_fields,
    ),
}
CHANGES: dict[str, dict[str, Any]] = {
    "transitions": {"within": "user", "top": 6},
    "steps": {"start": "view_item", "to": "purchase", "steps": 4, "within": "user", "top": 5},
    "paths": {
        "to": "add_to_cart",
        "start": "view_item",
        "length": 2,
        "collapse": False,
        "within": "user",
    },
    "order": {"about": "purchase", "within": "session", "top": 8, "most_false": 0.01},
    "distance": {"within": "session", "near": 2},
    "form": {"macro": "purchase", "within": "user"},
}


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=1_500).log


def words(panel: QuestionPanel) -> str:
    return panel.children[1].value


def drawing(panel: QuestionPanel) -> dict[str, Any]:
    (output,) = panel.children[2].outputs
    assert set(output["data"]) == {PLOTLY}
    return output["data"][PLOTLY]


def agrees(panel: QuestionPanel, expected: Result) -> None:
    assert panel.result is not None
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    assert drawing(panel)["data"] == json.loads(expected.figure().to_json())["data"]


@pytest.mark.parametrize("name", MAKERS)
def test_every_control_asks_anew_what_it_says(log: EventLog, name: str) -> None:
    make, ask = MAKERS[name]
    panel = make(log)
    agrees(panel, ask(log, **panel.kwargs()))
    for argument, value in CHANGES[name].items():
        before = panel.result
        panel.controls[argument].value = value
        assert panel.kwargs()[argument] == value
        assert panel.result is not before
        agrees(panel, ask(log, **panel.kwargs()))
    panel.controls["entered"].first.value = datetime.date(2026, 10, 1)
    assert panel.kwargs()["entered"] == ("2026-10-01", None)
    agrees(panel, ask(log, **panel.kwargs()))
    assert set(panel.kwargs()) <= set(panel.result.parameters) | {"catalog"}  # type: ignore[union-attr]


@pytest.mark.parametrize("name", MAKERS)
def test_a_panel_starts_where_it_is_told(log: EventLog, name: str) -> None:
    make, ask = MAKERS[name]
    given = CHANGES[name] | {"entered": ("2026-09-01", "2026-11-01"), "min_cell": 3}
    panel = make(log, **given)
    assert panel.kwargs().items() >= given.items()
    agrees(panel, ask(log, **panel.kwargs()))


def test_another_view_asks_nothing(log: EventLog) -> None:
    panel = transitions_panel(log)
    asked = panel.result
    assert panel.view is not None
    panel.view.value = "Every pair"
    assert panel.result is asked
    assert drawing(panel)["data"][0]["type"] == "heatmap"


def test_an_error_is_said_where_the_answer_would_be(log: EventLog) -> None:
    panel = paths_panel(log, to="purchase")
    panel.controls["length"].value = 60
    assert panel.result is None
    assert "Allowed: up to" in words(panel)
    assert panel.children[2].outputs == ()
    panel.controls["length"].value = 3
    assert panel.result is not None


def test_what_the_log_does_not_know_is_a_choice_and_an_error(log: EventLog) -> None:
    assert "Did you mean &#x27;purchase&#x27;?" in words(paths_panel(log, to="purchse"))
    assert "Did you mean &#x27;contact&#x27;?" in words(form_panel(log, "contct"))


@pytest.mark.parametrize("name", MAKERS)
def test_an_entry_range_that_is_not_of_days_names_no_other_panel(log: EventLog, name: str) -> None:
    for entered in (("2026-11-02T08:00", None), ("soon", None)):
        with pytest.raises(UsageError, match=r"^panel: entered="):
            MAKERS[name][0](log, entered=entered)


@pytest.mark.parametrize("name", MAKERS)
def test_saves_what_notebook_05_takes(log: EventLog, name: str, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "definitions"
    folder.mkdir(parents=True)
    target = SaveTo("05_journeys_and_forms", str(tmp_path / "data"), folder=str(folder))
    panel = MAKERS[name][0](log, **CHANGES[name], save=target)
    assert panel.form is not None
    panel.form.name.value = "mine"
    panel.form.save()
    saved = tomllib.loads((folder / "mine.toml").read_text("utf-8"))
    assert saved["notebook"] == "05_journeys_and_forms"
    assert saved["title"]
    told = saved["parameters"]
    assert told["lead"] == name
    assert "entered" not in told
    known = read_parameters(nbformat.read(NOTEBOOK, as_version=4), NOTEBOOK.stem)
    assert set(told) <= set(known)
    values = [value for argument, value in panel.kwargs().items() if argument != "entered"]
    assert sorted(map(str, told.values())) == sorted(
        map(str, ["" if v is None else v for v in values] + [name])
    )
