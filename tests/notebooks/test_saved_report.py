"""From the panel to the schedule: what was tuned by hand is what is then rendered."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from analysis import cli
from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.periods import compare_periods
from analysis.simulate import write_simulation
from analysis.widgets import SaveTo, funnel_panel

ROOT = Path(__file__).parents[2]


def test_a_saved_panel_renders_as_the_report_that_was_seen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / "02_funnels.ipynb").read_bytes()
    (tmp_path / "notebooks" / "02_funnels.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    catalog = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
    monkeypatch.chdir(tmp_path / "notebooks")

    plan = Catalog.load(catalog)
    log = EventLog.open("../data/shop")
    panel = funnel_panel(
        log,
        catalog=plan,
        save=SaveTo("02_funnels", "../data/shop", parameters={"catalog": catalog}),
    )
    panel.window.value = "3d"
    panel.by.value = "country"
    panel.steps.remove(2)
    panel.form.name.value = "by-country"
    panel.form.save()
    monkeypatch.chdir(tmp_path)
    code = cli.run(["report", "by-country", "--period", "2026-W46"])
    assert code == 0, capsys.readouterr()

    folder = tmp_path / "reports" / "by-country" / "2026-W46"
    found = json.loads((folder / "numbers.json").read_text("utf-8"))
    arguments = {key: panel.kwargs()[key] for key in ("steps", "window", "by")}
    week = compare_periods(log, **arguments, period=("2026-11-09", "2026-11-16"))
    assert found["headline"] == week.sentence()
    assert found["log"] == log.fingerprint
    now = week.numbers()["macro_rate"]["value"]
    assert found["numbers"]["macro_rate"]["value"] == pytest.approx(now, rel=1e-9)
    page = (folder / "index.html").read_text("utf-8")
    assert "From Viewed a product to Purchase" in page
    assert "funnel_panel(" not in page
    assert "FunnelPanel" not in page
