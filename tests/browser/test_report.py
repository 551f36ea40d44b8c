"""The weekly report as readers get it: one file, opened offline, every chart drawn."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.browser_runs import browser_page, needs_chromium

ROOT = Path(__file__).parents[2]
pytestmark = [
    pytest.mark.browser,
    needs_chromium,
    pytest.mark.usefixtures("demo"),
]


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page alone, away from whatever it was made of."""
    reports = tmp_path_factory.mktemp("reports")
    workbook = str(Path(sys.executable).with_name("workbook"))
    command = [workbook, "report", "weekly", "--period", "2026-W46", "--to", str(reports)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr
    alone = tmp_path_factory.mktemp("mail") / "report.html"
    alone.write_bytes((reports / "weekly" / "2026-W46" / "index.html").read_bytes())
    return alone


@pytest.mark.parametrize(
    ("scheme", "width"), [("light", 1280), ("dark", 1280), ("light", 390), ("dark", 360)]
)
def test_opens_offline_with_every_chart_drawn(
    page_file: Path, tmp_path: Path, scheme: str, width: int
) -> None:
    with browser_page(scheme=scheme, width=width, offline=True) as seen:
        page = seen.page
        page.goto(page_file.as_uri())
        charts = page.locator("figure.chart")
        expected = charts.count()
        assert 3 <= expected <= 6
        page.wait_for_function(
            "n => document.querySelectorAll('figure.chart .main-svg').length >= n",
            arg=expected,
            timeout=30_000,
        )
        for number in range(expected):
            chart = charts.nth(number)
            chart.scroll_into_view_if_needed()
            marks = chart.locator(".bars path, .scatterlayer path, .scatterlayer .point")
            marks.first.wait_for(state="attached", timeout=15_000)
            box = chart.locator(".main-svg").first.bounding_box()
            assert box is not None
            assert box["width"] > 0.7 * width - 60
            assert box["height"] > 100
            assert box["x"] + box["width"] <= width + 1, "a chart reaches over the edge"
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        assert page.locator("h1").count() == 1
        page.screenshot(path=tmp_path / f"report-{scheme}-{width}.png", full_page=True)
    assert seen.outside == []
    assert seen.errors == []
