"""From the panels of segments to the schedule: a saved panel renders as what was seen."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path

import pytest

from analysis import Catalog
from analysis import EventLog
from analysis import cli
from analysis import compare_segments
from analysis import segment
from analysis.content.result import content_conversion
from analysis.simulation.log import write_simulation
from analysis.widgets.panel import SaveTo
from analysis.widgets.groups import content_panel
from analysis.widgets.segments import segments_panel

ROOT = Path(__file__).parents[2]
NAME = "03_segments"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / f"{NAME}.ipynb").read_bytes()
    (tmp_path / "notebooks" / f"{NAME}.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def test_a_saved_comparison_and_saved_contents_render_as_they_were_seen(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    catalog = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
    log, plan = EventLog.open("../data/shop"), Catalog.load(catalog)
    where = {"notebook": NAME, "data": "../data/shop"}
    target = SaveTo(**where, parameters={"catalog": catalog})
    contents = content_panel(log, plan, property="channel", save=target, until="2026-11-16")
    contents.controls["to"].value = "newsletter_sign_up"
    contents.controls["touch"].value = "first"
    contents.form.name.value = "contents"
    contents.form.save()
    saved = tomllib.loads(Path("../reports/definitions/contents.toml").read_text("utf-8"))
    # One report with what both panels saved is half the work of two.
    target = SaveTo(**where, parameters=saved["parameters"])
    panel = segments_panel(log, catalog=plan, a="window_shoppers", at="2026-11-09", save=target)
    panel.a.value, panel.b.value = "returning_visitors", "new_visitors"
    panel.funnel.value, panel.window.value = "checkout_in_detail", "3d"
    panel.properties.value, panel.most_false.value = ("device",), 0.1
    panel.until.value = datetime.date(2026, 11, 16)
    panel.form.name.value = "two-groups"
    panel.form.save()
    monkeypatch.chdir(project)
    code = cli.run(["report", "two-groups", "--period", "2026-W46"])
    assert code == 0, capsys.readouterr()

    folder = project / "reports" / "two-groups" / "2026-W46"
    found = json.loads((folder / "numbers.json").read_text("utf-8"))
    asked = panel.kwargs()
    a, b = (segment(log, asked.pop(side), at="2026-11-09", catalog=plan) for side in "ab")
    del asked["at"]
    assert found["headline"] == compare_segments(log, a, b, **asked).sentence()
    page = (folder / "index.html").read_text("utf-8")
    assert "Entered payment (step 5)" in page
    assert "segments_panel(" not in page

    known = log.between(end="2026-11-16")
    given = {k: v for k, v in contents.kwargs().items() if k != "until"}
    assert content_conversion(known, **given).sentence() in page
