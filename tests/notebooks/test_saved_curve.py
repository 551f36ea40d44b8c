"""From the panel of waits to the schedule: a saved panel renders as what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import cli
from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.simulation.log import write_simulation
from analysis.timing.result import conversion_curve
from analysis.widgets.panel import SaveTo
from analysis.widgets.timing import timing_panel

ROOT = Path(__file__).parents[2]


def test_a_saved_curve_renders_as_the_report_that_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "06_time_to_conversion"
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
    (tmp_path / "notebooks" / f"{name}.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    catalog = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
    monkeypatch.chdir(tmp_path / "notebooks")

    log = EventLog.open("../data/shop")
    target = SaveTo(name, "../data/shop", parameters={"catalog": catalog})
    plan = Catalog.load(catalog)
    panel = timing_panel(log, catalog=plan, start="view_item", min_cell=5, save=target)
    panel.controls["horizon"].value = "7d"
    panel.controls["by"].value = "device"
    panel.form.name.value = "waits-by-device"
    panel.form.save()
    monkeypatch.chdir(tmp_path)
    code = cli.run(["report", "waits-by-device", "--period", "2026-W46"])
    assert code == 0, capsys.readouterr()

    folder = tmp_path / "reports" / "waits-by-device" / "2026-W46"
    found = json.loads((folder / "numbers.json").read_text("utf-8"))
    arguments = panel.kwargs() | {"by": None, "entered": ("2026-11-09", "2026-11-16")}
    week = conversion_curve(log, **arguments)
    assert found["headline"] == week.sentence()
    assert found["log"] == log.fingerprint
    rate = week.numbers()["rate"]
    assert rate["value"] is not None
    assert found["numbers"]["rate"]["value"] == pytest.approx(rate["value"], rel=1e-9)
    assert found["numbers"]["median_days"]["n"] == week.overall.events.sum()
    page = (folder / "index.html").read_text("utf-8")
    assert "users at risk" in page
    assert "timing_panel(" not in page
    assert "QuestionPanel" not in page
