"""The weekly report as it ships, on a shop whose every name tries to get into the page."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import lxml.html
import pandas as pd
import pytest
from support.browser_runs import CHROMIUM, QUIET, needs_chromium

from analysis.cli import run
from analysis.eventlog.log import EventLog
from analysis.reports.runs import report_period

ROOT = Path(__file__).parents[2]
SCRIPT = '<script>alert("x")</script>'
IMAGE = "<img src=x onerror=alert(1)>"
LINK = '<a href="javascript:alert(1)">x</a>'
STEPS = [f"see {SCRIPT}", f"cart {IMAGE}", f"buy {LINK}"]
MICRO, CONTROL = f"video </script>{SCRIPT}", f"footer {IMAGE}"
DEVICES = [f"phone {SCRIPT}", f"desk {LINK}", '"><svg onload=alert(1)>']
PEOPLE = 240


def visits() -> pd.DataFrame:
    """People who enter in weeks 45 and 46, a fixed part of whom goes on at each step."""
    rows = []
    for number in range(PEOPLE):
        user, device = f"u{number:03d} {SCRIPT}", DEVICES[number % 3]
        start = pd.Timestamp("2026-11-02") + pd.Timedelta(hours=1.3 * number)
        done = [STEPS[0], CONTROL]
        if number % 2:
            done += [MICRO, STEPS[1]]
        if number % 6 == 1 or (number % 2 and number > 200):
            done.append(STEPS[2])
        for place, event in enumerate(done):
            rows.append((user, start + pd.Timedelta(minutes=place), event, device, 9.5))
    return pd.DataFrame(rows, columns=["user", "time", "event", "device", "value"])


def catalog() -> str:
    roles = {STEPS[0]: "milestone", STEPS[1]: "milestone", STEPS[2]: "macro"}
    roles |= {MICRO: "secondary", CONTROL: "control"}
    events = "".join(
        f"[events.{json.dumps(name)}]\nrole = {json.dumps(role)}\nlabel = {json.dumps(name)}\n"
        for name, role in roles.items()
    )
    return (
        f'name = "evil"\ncurrency = "EUR"\n{events}'
        f'[funnels.checkout]\nsteps = {json.dumps(STEPS)}\nwindow = "7d"\n'
    )


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Any:
    root = tmp_path_factory.mktemp("shop")
    (root / "notebooks").mkdir()
    shutil.copy(ROOT / "notebooks" / "90_weekly_report.ipynb", root / "notebooks")
    EventLog.from_frame(visits(), covers_until="2026-11-23").save(root / "data" / "log")
    (root / "evil.toml").write_text(catalog(), encoding="utf-8")
    definitions = root / "reports" / "definitions"
    definitions.mkdir(parents=True)
    (definitions / "evil.toml").write_text(
        f'notebook = "90_weekly_report"\ntitle = {json.dumps(SCRIPT)}\ndata = "data/log"\n'
        'period = "week"\n[parameters]\ncatalog = "../evil.toml"\n'
    )
    return report_period("evil", "2026-W46", root=root)


def test_the_numbers_are_those_of_a_count_by_hand(made: Any) -> None:
    numbers = json.loads((made.page.parent / "numbers.json").read_text(encoding="utf-8"))["numbers"]
    frame = visits()
    inside = frame["time"].between("2026-11-09", "2026-11-15 23:59:59")
    entered = set(frame.loc[inside & (frame["event"] == STEPS[0]), "user"])
    bought = set(frame.loc[frame["event"] == STEPS[2], "user"]) & entered
    rate = numbers["macro_rate"]
    assert (rate["n"], numbers["entered"]["value"]) == (len(entered), len(entered))
    assert rate["value"] == pytest.approx(len(bought) / len(entered))
    assert numbers["conversions"]["value"] == len(frame[inside & (frame["event"] == STEPS[2])])
    assert made.gate in ("pass", "warn")


def test_no_name_from_the_data_gets_into_the_page(made: Any) -> None:
    for page in (made.page, made.page.parents[2] / "index.html"):
        text = page.read_text(encoding="utf-8")
        for evil in (SCRIPT, "<script>alert", IMAGE, LINK, "<svg onload"):
            assert evil not in text
        document = lxml.html.document_fromstring(text)
        for element in document.iter():
            assert not [name for name in element.attrib if name.lower().startswith("on")]
            for name in ("src", "href", "action", "formaction", "data"):
                address = element.get(name, "")
                assert not address or address.startswith(("evil/", "#", "data:image/"))
        assert not document.xpath("//a[starts-with(@href, 'javascript')]")
    # What is hidden cannot be escaped wrongly, so make sure that the names are there at all.
    assert "&lt;script&gt;alert" in made.page.read_text(encoding="utf-8")


def test_the_files_tell_no_place(made: Any) -> None:
    for file in ("index.html", "numbers.json", "manifest.json"):
        text = (made.page.parent / file).read_text(encoding="utf-8")
        assert str(made.page.parents[3]) not in text
        assert str(ROOT) not in text
        assert str(Path.home()) not in text


@pytest.mark.browser
@needs_chromium
def test_a_browser_draws_every_chart_and_runs_nothing_else(made: Any) -> None:
    from playwright.sync_api import sync_playwright

    heard: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=[*QUIET])
        page = browser.new_page(viewport={"width": 1100, "height": 900})
        page.on("dialog", lambda dialog: (heard.append(dialog.message), dialog.dismiss()))  # type: ignore[func-returns-value]
        page.on("console", lambda message: heard.append(message.text))
        page.on("pageerror", lambda error: heard.append(str(error)))
        page.on("request", lambda request: heard.append(request.url))
        page.goto(made.page.as_uri())
        charts = page.locator("figure.chart")
        page.wait_for_function(
            "[...document.querySelectorAll('figure.chart')].every("
            "chart => chart.querySelector('svg.main-svg'))"
        )
        assert charts.count() >= 3
        assert page.locator("svg a").count() == 0
        assert page.locator("img, svg script, figure script:not([type])").count() == 0
        browser.close()
    assert [line for line in heard if line != made.page.as_uri()] == []


def test_the_period_after_the_log_fails_its_gate_and_leaves_nothing_good(
    made: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """What the notebook's own quality gate says reaches the exit code."""
    monkeypatch.chdir(made.page.parents[3])
    code = run(["report", "evil", "--period", "2026-W50", "--to", os.fspath(tmp_path)])
    assert code == 1
    assert "the quality gate failed" in capsys.readouterr().err
    assert not (tmp_path / "evil" / "2026-W50").exists()
    page = (tmp_path / "evil" / "2026-W50.failed" / "index.html").read_text(encoding="utf-8")
    assert page.index("The quality gate failed") < page.index("2026-W50")
