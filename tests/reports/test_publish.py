"""A report is there whole or not at all, at whatever instant a run dies."""

from __future__ import annotations

import itertools
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import lxml.html
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.reports import publish as publishing
from analysis.reports.publish import (
    Busy,
    index_page,
    publish,
    sparkline,
    workspace,
    write_index,
)
from analysis.reports.publish import published as published_of_index
from analysis.reports.render import MANIFEST, NUMBERS, PAGE

FILES = (PAGE, NUMBERS, MANIFEST)


class Killed(BaseException):
    """Stands for the end of the process: nothing after it runs that could be left out."""


def staged(work: Path, content: str) -> Path:
    folder = work / f"staged-{content}"
    folder.mkdir()
    for name in FILES:
        (folder / name).write_text(content)
    return folder


def content(target: Path) -> set[str]:
    return {(target / name).read_text() for name in FILES}


@pytest.fixture
def to(tmp_path: Path) -> Path:
    return tmp_path / "reports"


def published(to: Path, text: str) -> Path:
    target = to / "weekly" / "2026-W46"
    with workspace(to) as work:
        publish(staged(work, text), target)
    return target


def test_a_report_is_published_and_replaced(to: Path) -> None:
    target = published(to, "old")
    assert content(target) == {"old"}
    published(to, "new")
    assert content(target) == {"new"}
    assert (to / "weekly" / "2026-W46" / MANIFEST).is_file()
    assert sorted(path.name for path in to.rglob("*")) == sorted([*FILES, "2026-W46", "weekly"])


@pytest.mark.parametrize("survived", range(9))
def test_a_kill_at_any_step_leaves_the_old_report_or_the_new_one(
    to: Path, monkeypatch: pytest.MonkeyPatch, survived: int
) -> None:
    """Kill before the first, second, … of all the calls that touch the disk."""
    target = published(to, "old")
    calls = 0

    def counted(function: Callable[..., Any]) -> Any:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls > survived:
                raise Killed
            return function(*arguments, **options)

        return call

    work = to / ".work-left"
    work.mkdir()
    new = staged(work, "new")
    with monkeypatch.context() as patched:
        patched.setattr(publishing.os, "rename", counted(os.rename))
        patched.setattr(publishing, "sync", counted(publishing.sync))
        patched.setattr(publishing, "remove", counted(publishing.remove))
        # A killed process undoes nothing.
        patched.setattr(publishing, "_put_back", lambda aside: None)
        if survived < 8:
            with pytest.raises(Killed):
                publish(new, target)
        else:
            publish(new, target)
    with workspace(to):
        assert content(target) == ({"old"} if survived < 6 else {"new"})
    assert sorted(path.name for path in to.rglob("*")) == sorted([*FILES, "2026-W46", "weekly"])


def test_a_failed_rename_puts_the_old_report_back_at_once(
    to: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = published(to, "old")
    with workspace(to) as work:
        new = staged(work, "new")
        rename = os.rename
        refused = iter([False, True, False])
        with monkeypatch.context() as patched:

            def fail(source: Any, place: Path) -> None:
                if next(refused):
                    raise OSError("disk full")
                rename(source, place)

            patched.setattr(publishing.os, "rename", fail)
            with pytest.raises(OSError, match="disk full"):
                publish(new, target)
        assert content(target) == {"old"}


def test_a_failed_run_leaves_nothing_behind(to: Path) -> None:
    def run() -> None:
        with workspace(to) as work:
            staged(work, "half")
            raise Killed

    with pytest.raises(Killed):
        run()
    assert not to.exists()


def test_what_a_killed_run_left_is_removed_by_the_next(to: Path) -> None:
    target = published(to, "old")
    script = (
        "import os, signal, sys; from pathlib import Path\n"
        "from analysis.reports.publish import workspace\n"
        f"with workspace(Path({str(to)!r})) as work:\n"
        "    (work / 'k-1').mkdir(); (work / 'k-1' / 'half').write_text('x')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False)
    assert done.returncode == -9
    assert len(list(to.glob(".work-*/k-1/half"))) == 1
    assert content(target) == {"old"}
    with workspace(to) as work:
        assert list(to.glob(".work*")) == [work]
        assert not list(work.iterdir())
    assert not list(to.glob(".work*"))


def test_one_run_at_a_time(to: Path) -> None:
    with workspace(to) as work:
        (work / "mine").mkdir()
        with pytest.raises(Busy, match="another run is at work"), workspace(to):
            pass
        assert (work / "mine").exists()
    with workspace(to):
        pass


def test_runs_that_wait_come_one_after_the_other(to: Path) -> None:
    """Six processes add to a number in a file; without the lock some additions are lost."""
    to.mkdir()
    (to / "count").write_text("0")
    script = (
        "import time; from pathlib import Path\n"
        "from analysis.reports.publish import workspace\n"
        f"to = Path({str(to)!r})\n"
        "for _ in range(5):\n"
        "    with workspace(to, waiting=print) as work:\n"
        "        (work / 'mine').mkdir()\n"
        "        count = int((to / 'count').read_text()); time.sleep(0.01)\n"
        "        (to / 'count').write_text(str(count + 1))\n"
    )
    running = [subprocess.Popen([sys.executable, "-c", script]) for _ in range(4)]
    assert [process.wait() for process in running] == [0] * 4
    assert (to / "count").read_text() == "20"


def test_a_folder_that_cannot_be_written_is_said_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="reports cannot be written to"),
        workspace(tmp_path / "file"),
    ):
        pass


# ── The page over all reports says what their files say, and lets nothing through.


EVIL = '<script>alert("x")</script>'


def put(to: Path, label: str, *, report: str = "weekly", start: str = "", **parts: Any) -> None:
    folder = to / report / label
    folder.mkdir(parents=True)
    numbers = {
        "headline": f"Headline of {label}.",
        "numbers": {"macro_rate": {"value": 0.031, "n": 2410}},
        **{key: value for key, value in parts.items() if key in ("headline", "numbers")},
    }
    manifest = {
        "title": parts.get("title", "Weekly report"),
        "period_start": start or label,
        "gate": parts.get("gate", "pass"),
    }
    (folder / "numbers.json").write_text(json.dumps(numbers))
    (folder / "manifest.json").write_text(json.dumps(manifest))


def page(to: Path) -> Any:
    write_index(to)
    return lxml.html.document_fromstring((to / "index.html").read_text(encoding="utf-8"))


def test_the_latest_report_is_first_with_its_numbers_and_links(tmp_path: Path) -> None:
    put(tmp_path, "2026-W45")
    put(
        tmp_path,
        "2026-W46",
        numbers={
            "macro_rate": {
                "value": 0.022,
                "n": 2410,
                "change": -0.009,
                "change_low": -0.016,
                "change_high": -0.002,
            },
            "entered": {"value": 2410, "change": -12},
            "undefined": {"value": None, "n": 0},
        },
    )
    found = page(tmp_path)
    assert found.xpath("//p[@class='latest']/text()") == ["Headline of 2026-W46."]
    cells = [[cell.text_content() for cell in row[:3]] for row in found.xpath("//tbody/tr")]
    assert cells == [
        ["Macro rate", "2.2% of 2,410", "−0.9 points (−1.6 to −0.2)"],
        ["Entered", "2,410", "−12"],
        ["Undefined", "n/a", ""],
    ]
    assert [link.get("href") for link in found.xpath("//li/a")] == [
        "weekly/2026-W46/index.html",
        "weekly/2026-W45/index.html",
    ]
    assert len(found.xpath("//polyline")) == 1


def test_weeks_and_months_of_one_report_stand_in_order_of_time(tmp_path: Path) -> None:
    put(tmp_path, "2026-W40", start="2026-09-28T00:00:00+00:00")
    put(tmp_path, "2026-11", start="2026-11-01T00:00:00+00:00")
    assert [issue.label for issue in published_of_index(tmp_path)] == ["2026-W40", "2026-11"]


def test_failed_and_unfinished_reports_are_not_listed(tmp_path: Path) -> None:
    put(tmp_path, "2026-W45")
    for hidden in ("2026-W46.failed", ".2026-W44.old"):
        put(tmp_path, hidden)
    put(tmp_path, "weekly-2026-W47", report=".work")
    (tmp_path / "definitions").mkdir()
    assert [issue.label for issue in published_of_index(tmp_path)] == ["2026-W45"]


def test_a_damaged_report_is_listed_with_words(tmp_path: Path) -> None:
    put(tmp_path, "2026-W45")
    (tmp_path / "weekly" / "2026-W45" / "numbers.json").write_text("{")
    assert "cannot be read" in page(tmp_path).text_content()


def test_text_from_data_is_escaped_wherever_it_is_shown(tmp_path: Path) -> None:
    put(
        tmp_path,
        "2026-W46",
        title=EVIL,
        headline=EVIL,
        numbers={EVIL: {"value": 1, "label": f"{EVIL} A"}, "b": {"value": 1}},
    )
    put(tmp_path, "2026-W45", numbers={EVIL: {"value": 2}})
    found = page(tmp_path)
    assert not found.xpath("//script")
    text = (tmp_path / "index.html").read_text()
    assert "<script" not in text
    assert text.count("&lt;script&gt;") >= 4
    assert not re.search(r"https?:|//[a-z]", text)


def test_a_warning_of_the_quality_gate_is_said(tmp_path: Path) -> None:
    put(tmp_path, "2026-W46", gate="warn")
    assert page(tmp_path).xpath("//p[@class='gate']")


def test_the_page_is_not_touched_when_nothing_changed(tmp_path: Path) -> None:
    write_index(tmp_path)
    assert not (tmp_path / "index.html").exists()
    put(tmp_path, "2026-W45")
    write_index(tmp_path)
    before = (tmp_path / "index.html").stat().st_ino
    write_index(tmp_path)
    assert (tmp_path / "index.html").stat().st_ino == before
    put(tmp_path, "2026-W46")
    write_index(tmp_path)
    assert (tmp_path / "index.html").stat().st_ino != before


@given(st.lists(st.none() | st.floats(-1e12, 1e12), max_size=30))
def test_a_sparkline_stays_in_its_box_and_keeps_its_gaps(values: list[Any]) -> None:
    svg = sparkline(values, "Rate & <b>")
    known = [value for value in values if value is not None]
    if len(known) < 2:
        assert svg == ""
        return
    drawn = lxml.html.fragment_fromstring(svg)
    pairs = [
        tuple(map(float, pair.split(",")))
        for line in drawn.iter("polyline")
        for pair in line.get("points").split()
    ]
    assert all(0 <= x <= 160 and 0 <= y <= 32 for x, y in pairs)
    neighbors = sum(a is not None and b is not None for a, b in itertools.pairwise(values))
    assert len(pairs) - len(list(drawn.iter("polyline"))) == neighbors
    assert "<b>" not in svg


@pytest.mark.parametrize("values", [[0.1, 0.2, 0.3], [5.0, 5.0, 4.0]])
def test_a_higher_value_is_drawn_higher(values: list[float]) -> None:
    drawn = lxml.html.fragment_fromstring(sparkline(values, "x"))
    heights = [float(p.split(",")[1]) for p in drawn.find("polyline").get("points").split()]
    order = sorted(range(3), key=lambda i: (values[i], i))
    assert [heights[i] for i in order] == sorted(heights, reverse=True)


def test_no_report_no_page() -> None:
    assert "<section>" not in index_page([])
