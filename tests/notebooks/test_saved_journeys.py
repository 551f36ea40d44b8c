"""From a panel of journeys to the schedule: a saved panel renders as what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import cli
from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.forms.result import form_fields
from analysis.journeys.distance import distance_to_macro
from analysis.journeys.routes import paths
from analysis.simulation.log import write_simulation
from analysis.widgets.panel import SaveTo
from analysis.widgets.journeys import form_panel
from analysis.widgets.journeys import paths_panel

ROOT = Path(__file__).parents[2]
NAME = "05_journeys_and_forms"
WEEK = ("2026-11-09", "2026-11-16")


def test_saved_panels_render_as_the_reports_that_were_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / f"{NAME}.ipynb").read_bytes()
    (tmp_path / "notebooks" / f"{NAME}.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    catalog = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
    monkeypatch.chdir(tmp_path / "notebooks")
    log, plan = EventLog.open("../data/shop"), Catalog.load(catalog)
    target = SaveTo(NAME, "../data/shop", parameters={"catalog": catalog})
    ways = paths_panel(log, to="add_to_cart", save=target)
    ways.controls["length"].value = 3
    form = form_panel(log, "contact", macro="purchase", save=target)
    form.controls["within"].value = "user"
    for panel, name in ((ways, "ways"), (form, "form")):
        assert panel.form is not None
        panel.form.name.value = name
        panel.form.save()
    monkeypatch.chdir(tmp_path)
    for name in ("ways", "form"):
        code = cli.run(["report", name, "--period", "2026-W46"])
        assert code == 0, capsys.readouterr()

    week = {"entered": WEEK}
    seen = {
        "ways": paths(log, **(ways.kwargs() | week)),
        "form": form_fields(log, **(form.kwargs() | week)),
    }
    for name, answer in seen.items():
        folder = tmp_path / "reports" / name / "2026-W46"
        found = json.loads((folder / "numbers.json").read_text("utf-8"))
        assert found["headline"] == answer.sentence()
        assert found["log"] == log.fingerprint
        away = distance_to_macro(log, plan, **week)  # type: ignore[arg-type]
        rate = found["numbers"]["macro_rate"]
        assert rate["value"] == pytest.approx(away.numbers()["macro_rate"]["value"], rel=1e-9)
        page = (folder / "index.html").read_text("utf-8")
        assert "_panel(" not in page
        assert "QuestionPanel" not in page
