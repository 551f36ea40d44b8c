"""From the panel of verdicts to the schedule: a saved panel renders as what was seen."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import cli
from analysis.catalog import Catalog
from analysis.correlation.result import micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.simulation.log import write_simulation
from analysis.widgets.panel import SaveTo
from analysis.widgets.correlation import correlation_panel

ROOT = Path(__file__).parents[2]


def test_saved_verdicts_render_as_the_report_that_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    name = "04_micro_to_macro"
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / f"{name}.ipynb").read_bytes()
    (tmp_path / "notebooks" / f"{name}.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    catalog = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
    monkeypatch.chdir(tmp_path / "notebooks")

    log, plan = EventLog.open("../data/shop"), Catalog.load(catalog)
    target = SaveTo(name, "../data/shop", parameters={"catalog": catalog})
    panel = correlation_panel(log, plan, min_cell=5, save=target)
    panel.horizon.value = "14d"
    panel.adjust.value = ("activity", "device")
    panel.by.value = "returning"
    panel.start.value = "view_item"
    panel.form.name.value = "verdicts"
    panel.form.save()
    monkeypatch.chdir(tmp_path)
    code = cli.run(["report", "verdicts", "--period", "2026-W46"])
    assert code == 0, capsys.readouterr()

    folder = tmp_path / "reports" / "verdicts" / "2026-W46"
    found = json.loads((folder / "numbers.json").read_text("utf-8"))
    # What came after the week is not looked at, whoever came before it is.
    known = micro_to_macro(log.between(end="2026-11-16"), plan, **panel.kwargs())
    assert found["headline"] == known.sentence()
    assert found["log"] == log.fingerprint
    own = known.table[known.table["group"] == "all"].set_index("event").loc["video_start"]
    number = found["numbers"]["video_start"]
    assert number["value"] == pytest.approx(own["calibrated"], rel=1e-9)
    assert number["conversions_after"] == own["exposed_macros"]
    assert number["verdict"] == own["verdict"]
    assert not {"footer_click", "add_to_cart"} & set(found["numbers"])
    page = (folder / "index.html").read_text("utf-8")
    assert own["reason"].partition(":")[0] in page
    assert "correlation_panel(" not in page
    assert "CorrelationPanel" not in page
