"""JupyterLab as people use it: run all, turn a knob, see the figure follow, save a report."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.browser_runs import Watched, browser_page, copy_project, needs_chromium

from analysis.cli.jupyter import compile_kernels
from analysis.reports.definition import load_definition

ROOT = Path(__file__).parents[2]
TOKEN = "browser-test"
pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.usefixtures("demo"),
]


class Lab(NamedTuple):
    """A running JupyterLab and the project that it shows."""

    address: str
    project: Path

    def open(self, notebook: str) -> str:
        return f"{self.address}/lab/tree/{notebook}.ipynb?token={TOKEN}&reset"


@pytest.fixture(scope="module")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    project = copy_project(ROOT, tmp_path_factory.mktemp("project"))
    # What a kernel costs when it is first compiled is not what these tests are about.
    compile_kernels()
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    workbook = str(Path(sys.executable).with_name("workbook"))
    log = project / "lab.log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            [workbook, "lab", "--no-browser", "--port", str(port)],
            cwd=project,
            env=_environment(project / "home"),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_until_open(port, process, log)
        yield Lab(f"http://127.0.0.1:{port}", project)
    finally:
        process.terminate()
        process.wait(20)


def _environment(home: Path) -> dict[str, str]:
    """Settings, workspaces and histories of nobody: what a new user finds."""
    home.mkdir()
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JUPYTER", "IPYTHON"))}
    return {**environment, "HOME": str(home), "JUPYTER_TOKEN": TOKEN}


def _wait_until_open(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.25)
    raise AssertionError(log.read_text())


def run_all(seen: Watched, lab: Lab, notebook: str) -> None:
    """Open a notebook, run it from top to bottom, and wait for the kernel to be done."""
    page = seen.page
    page.goto(lab.open(notebook))
    page.locator(".jp-Notebook .jp-CodeCell").first.wait_for(timeout=60_000)
    # Running anything before the kernel is there makes Lab ask which kernel to take.
    page.get_by_text("Python 3 (ipykernel) | Idle").wait_for(timeout=60_000)
    page.get_by_role("menuitem", name="Run", exact=True).click()
    page.get_by_text("Run All Cells", exact=True).click()


def panel(page: Any) -> Any:
    """The interactive panel, scrolled into view."""
    found = page.locator(".jp-OutputArea-output", has=page.get_by_label("Step 1", exact=True))
    found.wait_for(timeout=30_000)
    found.scroll_into_view_if_needed()
    return found


def chart(found: Any) -> str:
    """What the panel's chart shows, once it is drawn."""
    found.locator(".js-plotly-plot .bars path").first.wait_for(timeout=30_000)
    return found.locator(".js-plotly-plot").evaluate(
        "p => [...p.querySelectorAll('text')].map(t => t.textContent).join('|')"
    )


def changed(found: Any, before: str) -> str:
    """What the chart shows after it has changed."""
    for _ in range(100):
        now = chart(found)
        if now != before:
            return now
        time.sleep(0.1)
    raise AssertionError(f"the figure did not change: {before}")


def test_a_knob_changes_the_figure_and_nothing_leaves_the_machine(lab: Lab, tmp_path: Path) -> None:
    with browser_page() as seen:
        run_all(seen, lab, "02_funnels")
        found = panel(seen.page)
        first = chart(found)
        assert "Purchase" in first

        found.get_by_label("Window", exact=True).select_option(label="1 h")
        second = changed(found, first)

        found.get_by_label("Break down by", exact=True).select_option(label="(none)")
        third = changed(found, second)
        assert "mobile" in second
        assert "mobile" not in third

        found.get_by_role("button", name="Add step").click()
        added = changed(found, third)
        found.get_by_label("Step 5", exact=True).select_option(label="Newsletter sign-up")
        fourth = changed(found, added)
        assert "Newsletter sign-up" in fourth

        found.get_by_title("Remove step 5").click()
        assert changed(found, fourth) == third

        found.get_by_label("Entered from").fill("2026-11-09")
        found.get_by_label("Entered before").fill("2026-11-01")
        found.get_by_role("alert").wait_for()
        assert "ends before it starts" in found.get_by_role("alert").inner_text()
        found.get_by_label("Entered before").fill("2026-11-16")
        assert changed(found, third) != third

        found.get_by_label("Report name").fill("from-the-panel")
        found.get_by_role("button", name="Save as report").click()
        found.get_by_text("Saved as from-the-panel.toml").wait_for()
        seen.page.screenshot(path=tmp_path / "panel.png")
    saved = load_definition(lab.project / "reports" / "definitions" / "from-the-panel.toml")
    assert saved.notebook == "02_funnels"
    assert saved.data == "data/demo"
    assert saved.parameters["window"] == "1h"
    assert saved.parameters["by"] == ""
    assert seen.outside == []
    assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_options_are_folded_away_and_change_the_figure(
    lab: Lab, tmp_path: Path, scheme: str
) -> None:
    with browser_page(scheme=scheme, width=1360, height=1500) as seen:
        run_all(seen, lab, "02_funnels")
        found = panel(seen.page)
        now = chart(found)
        assert not found.get_by_label("Same instant", exact=True).is_visible()

        found.get_by_label("Order", exact=True).select_option(label="Any order")
        now = changed(found, now)
        found.get_by_label("Order", exact=True).select_option(label="Steps in order")
        now = changed(found, now)
        found.get_by_label("Unit", exact=True).select_option(label="Sessions")
        now = changed(found, now)

        found.get_by_text("More options").click()
        found.get_by_role("button", name="Exclude an event").click()
        before = chart(found)
        found.get_by_label("Exclude 1", exact=True).select_option(label="View item list")
        now = changed(found, before)
        found.get_by_label("Before", exact=True).select_option(label="step 9")
        found.get_by_role("alert").wait_for()
        assert "lies after step 1 and before step 9" in found.get_by_role("alert").inner_text()
        found.get_by_label("Before", exact=True).select_option(label="step 2")
        now = changed(found, now)

        found.get_by_title("Details of step 2").click()
        where = found.get_by_label("Only where", exact=True).nth(1)
        where.fill('value = ">= 100"')
        where.press("Enter")
        changed(found, now)

        found.get_by_text("Compare with another entry range").click()
        found.get_by_label("Entered from").fill("2026-11-02")
        found.get_by_label("Compare before").fill("2026-11-02")
        found.get_by_text("a difference of").wait_for()
        found.scroll_into_view_if_needed()
        found.screenshot(path=tmp_path / f"options-{scheme}.png")
    assert seen.outside == []
    assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_reads_in_light_and_dark(lab: Lab, tmp_path: Path, scheme: str) -> None:
    with browser_page(scheme=scheme, width=1360, height=1000) as seen:
        run_all(seen, lab, "02_funnels")
        found = panel(seen.page)
        chart(found)
        seen.page.screenshot(path=tmp_path / f"{scheme}.png")
        colors = found.evaluate(
            """e => { const of = (el, p) => getComputedStyle(el).getPropertyValue(p);
            return {page: of(document.querySelector('.jp-Notebook'), 'background-color'),
                    words: of(e.querySelector('.widget-html-content'), 'color'),
                    label: of(e.querySelector('.widget-label'), 'color'),
                    chart: of(e.querySelector('.xtick text'), 'fill'),
                    paper: of(e.querySelector('.main-svg'), 'background')}; }"""
        )
    page = luminance(colors["page"])
    assert (page < 0.1) == (scheme == "dark")
    for part in ("words", "label", "chart"):
        assert contrast(luminance(colors[part]), page) >= 3, (part, colors)
    assert "rgba(0, 0, 0, 0)" in colors["paper"]
    assert seen.outside == []
    assert seen.errors == []


def luminance(color: str) -> float:
    """Relative luminance of ``rgb(…)`` after WCAG 2."""
    parts = [float(part) / 255 for part in color[color.index("(") + 1 : -1].split(",")[:3]]
    red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: float, other: float) -> float:
    """Contrast ratio after WCAG 2; 3 is the least for large text and graphics."""
    return (max(one, other) + 0.05) / (min(one, other) + 0.05)
