"""From the panel to the schedule: what was tuned by hand is what is then rendered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from analysis import cli
from analysis.catalog import Catalog
from analysis.eventlog.log import EventLog
from analysis.funnels.spec import Exclusion
from analysis.funnels.result import funnel
from analysis.funnels.compare import suppressed
from analysis.funnels.periods import compare_periods
from analysis.simulation.log import write_simulation
from analysis.widgets.funnels import FunnelPanel
from analysis.widgets.panel import SaveTo
from analysis.widgets.funnels import funnel_panel

ROOT = Path(__file__).parents[2]
CATALOG = str(ROOT / "data" / "catalogs" / "ecommerce.toml")
WEEK = ("2026-11-09", "2026-11-16")


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project with the notebook and a small shop; its notebooks are where we are."""
    (tmp_path / "notebooks").mkdir()
    notebook = (ROOT / "notebooks" / "02_funnels.ipynb").read_bytes()
    (tmp_path / "notebooks" / "02_funnels.ipynb").write_bytes(notebook)
    write_simulation(tmp_path / "data" / "shop", users=3000)
    monkeypatch.chdir(tmp_path / "notebooks")
    return tmp_path


def opened(**arguments: Any) -> tuple[EventLog, FunnelPanel]:
    """The shop's log, and a panel on it as the notebook has it."""
    log = EventLog.open("../data/shop")
    target = SaveTo("02_funnels", "../data/shop", parameters={"catalog": CATALOG})
    return log, funnel_panel(log, catalog=Catalog.load(CATALOG), save=target, **arguments)


def rendered(
    panel: FunnelPanel,
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> tuple[dict[str, Any], str]:
    """The numbers and the page of the report that was saved from the panel."""
    panel.form.name.value = "from-the-panel"
    panel.form.save()
    monkeypatch.chdir(project)
    code = cli.run(["report", "from-the-panel", "--period", "2026-W46"])
    assert code == 0, capsys.readouterr()
    folder = project / "reports" / "from-the-panel" / "2026-W46"
    page = (folder / "index.html").read_text("utf-8")
    return json.loads((folder / "numbers.json").read_text("utf-8")), page


def test_a_saved_panel_renders_as_the_report_that_was_seen(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, panel = opened()
    panel.window.value = "3d"
    panel.by.value = "country"
    panel.steps.remove(2)
    found, page = rendered(panel, project, monkeypatch, capsys)
    arguments = {key: panel.kwargs()[key] for key in ("steps", "window", "by")}
    week = compare_periods(log, **arguments, period=WEEK)
    assert found["log"] == log.fingerprint
    mine, judge = found["numbers"]["macro_rate"], week.numbers()["macro_rate"]
    for name in ("value", "low", "high", "n", "previous", "change", "change_low", "change_high"):
        assert mine[name] == pytest.approx(judge[name], rel=1e-9), name
    assert "From Viewed a product to Purchase" in page
    assert "funnel_panel(" not in page
    assert "FunnelPanel" not in page


def test_every_option_of_the_panel_reaches_the_report(
    project: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log, panel = opened(by="device")
    first, second, third, last = panel.steps.children[:4]
    first.where.value = 'device = ["mobile", "desktop"]'
    second.others.value = ("view_cart",)
    third.optional.value = True
    last.within.value = "30min"
    last.called.value = "Paid"
    panel.window.value = "1d"
    panel.unit.value = "session"
    panel.more.count.value = "attempts"
    panel.more.exclude.add(Exclusion("footer_click", after=1, before=3))
    panel.more.on_exclude.value = "drop_attempt"
    panel.more.ties.value = "strict"
    panel.more.by_at.value = "last_touch"
    panel.more.hold.value = ("device",)
    assert panel.result is not None
    found, page = rendered(panel, project, monkeypatch, capsys)

    week = funnel(log, **{**panel.kwargs(), "by": None, "by_at": "entry", "entered": WEEK})
    row = week.table.iloc[-1]
    rate = found["numbers"]["macro_rate"]
    assert rate["n"] == row["n_first"] > 20
    for name, column in (("value", "rate"), ("low", "rate_low"), ("high", "rate_high")):
        assert rate[name] == pytest.approx(row[column], rel=1e-9)
    assert found["headline"].startswith(week.sentence())
    assert "Paid" in page
    groups = suppressed(funnel(log, **{**panel.kwargs(), "entered": WEEK}).table, 5)
    for shown in groups.loc[groups["step"] == 1, "count"]:
        assert f"{shown:,.0f}" in page


@pytest.mark.parametrize(
    "arguments",
    [{"steps": ["purchase"]}, {"order": "any"}, {"order": "strict", "entry": "first"}],
    ids=["one step", "any order", "strict"],
)
def test_a_funnel_of_any_kind_has_a_report(
    arguments: dict[str, Any],
    project: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    log, panel = opened(**arguments)
    found, _ = rendered(panel, project, monkeypatch, capsys)
    week = funnel(log, **{**panel.kwargs(), "entered": WEEK})
    assert found["headline"].startswith(week.sentence())
