"""Runs on a schedule: each report once, failures apart, nothing lost when a run is killed."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support.report_projects import EMIT, PARAMETERS, write_log, write_notebook, write_project

from analysis.cli import run
from analysis.core.schema import ReportError, UsageError
from analysis.eventlog.log import EventLog
from analysis.reports.publish import Busy, workspace, write_index
from analysis.reports.runs import project_root, report_due, report_period

ROOT = Path(__file__).parents[2]
WEEKS = ["2026-W32", "2026-W33", "2026-W34", "2026-W35"]


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return write_project(tmp_path)


def due(root: Path, **options: Any) -> list[tuple[str, str, bool]]:
    return [(o.report, o.period, o.good) for o in report_due(root=root, **options)]


def test_what_is_due_is_rendered_once_and_in_order(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    assert due(root) == [("tiny", week, True) for week in WEEKS]
    assert [told["period_start"] for told in executed[1]] == [
        "2026-08-03",
        "2026-08-10",
        "2026-08-17",
        "2026-08-24",
    ]
    assert due(root) == []
    assert len(executed[1]) == 4
    page = (root / "reports" / "index.html").read_text()
    assert all(f'href="tiny/{week}/index.html"' in page for week in WEEKS)
    assert not list((root / "reports").glob(".work*"))


def test_a_missing_report_and_a_newly_complete_one_are_rendered(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    due(root)
    shutil.rmtree(root / "reports" / "tiny" / "2026-W33")
    write_log(root / "data" / "log", covers_until="2026-09-14")
    assert due(root) == [("tiny", "2026-W33", True), ("tiny", "2026-W36", True)]


# ── nothing that one report or one definition does stops the others ─────────────────────────────


DEFINITION = 'notebook = "tiny"\ntitle = "Tiny"\ndata = "data/log"\nperiod = "week"\n[parameters]\n'


def listed(root: Path) -> str:
    """The words of the page over all reports."""
    page = (root / "reports" / "index.html").read_text()
    return " ".join(re.sub(r"<style>.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL).split())


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (DEFINITION + "window = nan\n", "window = nan is no number"),
        (DEFINITION + "f = -inf\n", "f = -inf is no number"),
        (DEFINITION + f"f = 0x{'f' * 5000}\n", "thousands of digits"),
        (DEFINITION + f"f = {'9' * 5000}\n", "is not TOML"),
        (DEFINITION + f"f = {'[' * 30000}{']' * 30000}\n", "nested too deeply"),
        (DEFINITION + f"f = {'[' * 300}{']' * 300}\n", "f' is not a parameter"),
        (DEFINITION.replace("week", "fortnight"), "period"),
    ],
)
def test_a_definition_that_cannot_be_read_is_said_and_listed_and_stops_nothing(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]], text: str, said: str
) -> None:
    (root / "reports" / "definitions" / "bad.toml").write_text(text)
    bad, *others = report_due(root=root)
    assert said in bad.error
    assert bad.error.count("\n") == 0
    assert [(o.report, o.period, o.good) for o in others] == [
        ("tiny", week, True) for week in WEEKS
    ]
    assert "Not made" in listed(root)
    assert said.replace("'", "&#x27;") in listed(root)
    (root / "reports" / "definitions" / "bad.toml").unlink()
    assert due(root) == []
    assert "Not made" not in listed(root)
    assert not (root / "reports" / ".failures.json").exists()


@pytest.mark.parametrize("error", [ZeroDivisionError("by zero"), RecursionError(), KeyError("x")])
def test_any_exception_of_one_report_is_said_and_the_next_is_made(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    error: Exception,
) -> None:
    from analysis.reports import render as rendering

    works = rendering.execute

    def execute(path: Path, parameters: dict[str, Any], **options: Any) -> Any:
        if parameters["period_start"] == "2026-08-10":
            raise error
        return works(path, parameters, **options)

    monkeypatch.setattr(rendering, "execute", execute)
    made = report_due(root=root)
    assert [(o.period, o.good) for o in made] == [(week, week != "2026-W33") for week in WEEKS]
    assert type(error).__name__ in made[1].error
    assert "mistake of the workbook (test_runs.py:" in made[1].error
    assert "tiny 2026-W33" in listed(root)


def damaged_numbers(change: Callable[[dict[str, Any]], None]) -> Callable[[str], str]:
    def damage(text: str) -> str:
        content = json.loads(text)
        change(content)
        return json.dumps(content)

    return damage


DAMAGES = {
    "no headline": damaged_numbers(lambda numbers: numbers.update(headline=None)),
    "no numbers": damaged_numbers(lambda numbers: numbers.update(numbers=None)),
    "a list": damaged_numbers(lambda numbers: numbers.update(numbers={"rate": [1]})),
    "a table in a number": damaged_numbers(
        lambda numbers: numbers.update(numbers={"rate": {"value": {}}})
    ),
    "another number": damaged_numbers(lambda numbers: numbers.update(numbers={"r": {"value": 1}})),
    "nan": lambda text: text.replace('"headline"', '"x": NaN, "headline"'),
    "infinite": lambda text: text.replace('"numbers": {}', '"numbers": {"r": {"value": 1e999}}'),
    "cut short": lambda text: text[:40],
    "empty": lambda text: "",
    "nested deeply": lambda text: "[" * 100_000,
    "many digits": lambda text: "1" * 5_000,
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_report_is_said_and_made_anew_and_stops_nothing(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    damage: Callable[[str], str],
) -> None:
    due(root)
    numbers = root / "reports" / "tiny" / "2026-W33" / "numbers.json"
    whole = numbers.read_bytes()
    numbers.write_text(damage(whole.decode()))
    write_index(root / "reports")
    assert "cannot be read" in listed(root)
    told: list[str] = []
    assert due(root, say=told.append) == [("tiny", "2026-W33", True)]
    assert told[0].startswith("tiny 2026-W33 again: its files are damaged (")
    assert numbers.read_bytes() == whole
    assert "cannot be read" not in listed(root)
    assert due(root) == []


@pytest.mark.parametrize(
    "text", ["{", "[]", "[" * 100_000, '{"title": 1}', "\udc80", '{"gate": "pass", "title": "T"}']
)
def test_a_damaged_manifest_is_made_anew(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]], text: str
) -> None:
    due(root)
    manifest = root / "reports" / "tiny" / "2026-W34" / "manifest.json"
    manifest.write_bytes(text.encode("utf-8", "surrogateescape"))
    assert due(root) == [("tiny", "2026-W34", True)]
    assert due(root) == []


@pytest.mark.parametrize("text", ["{", "[1]", "[" * 100_000, '[{"report": 1}]'])
def test_a_damaged_note_of_failures_is_none(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]], text: str
) -> None:
    due(root)
    (root / "reports" / ".failures.json").write_text(text)
    assert due(root) == []
    assert "Not made" not in listed(root)


def test_a_report_that_the_gate_refuses_is_listed_with_its_page(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    executed[0]["gate"] = "fail"
    report_period("tiny", "2026-W32", root=root)
    page = (root / "reports" / "index.html").read_text()
    assert 'href="tiny/2026-W32.failed/index.html"' in page
    executed[0]["gate"] = "pass"
    report_period("tiny", "2026-W32", root=root)
    assert "Not made" not in listed(root)


# ── what is due ─────────────────────────────────────────────────────────────────────────────────


def rows(*times: str, event: str = "visit") -> pd.DataFrame:
    users = [f"{event}-{number}" for number in range(len(times))]
    return pd.DataFrame({"user": users, "time": pd.to_datetime(list(times)), "event": event})


def save(root: Path, frame: pd.DataFrame, covers_until: str | None) -> None:
    EventLog.from_frame(frame, covers_until=covers_until).save(root / "data" / "log")


def test_nothing_is_due_beyond_now_however_far_the_log_says_to_reach(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    days = [f"2026-08-{day:02}" for day in range(3, 13)]
    save(root, rows(*days, "2098-01-01"), "2098-01-02")
    fingerprint = EventLog.open(root / "data" / "log").fingerprint
    made = report_due(root=root, now="2026-08-25T09:00:00Z")
    assert [o.period for o in made] == ["2026-W32", "2026-W33"]
    assert [o.period for o in report_due(root=root, now="2026-08-31")] == ["2026-W34"]
    log = EventLog.open(root / "data" / "log")
    assert (log.fingerprint, str(log.covers_until.date())) == (fingerprint, "2098-01-02")


def test_nothing_is_due_before_the_data_begin(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    days = [f"2026-08-{day:02}" for day in range(3, 30) for _ in range(8)]
    save(root, rows("1970-01-01", *days), "2026-09-07")
    assert [o.period for o in report_due(root=root)] == WEEKS
    shutil.rmtree(root / "reports" / "tiny")
    # Fewer than one in a hundred only: half of the log is no wrong clock's.
    save(root, rows("2025-06-02", "2025-06-03", "2026-08-03", "2026-08-04"), "2026-08-17")
    assert due(root)[0] == ("tiny", "2025-W23", True)


def test_the_command_reads_the_clock_once_and_now_takes_its_place(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from analysis.cli import commands

    read: list[Any] = []

    class Clock(commands.datetime):  # type: ignore[misc,name-defined]
        @classmethod
        def now(cls, zone: Any = None) -> Any:
            read.append(zone)
            return super().now(zone).replace(year=2026, month=8, day=20)

    monkeypatch.setattr(commands, "datetime", Clock)
    assert run(["report", "--due", "--now", "2026-08-19", "--json"]) == 0
    assert [one["period"] for one in json.loads(capsys.readouterr().out)["reports"]] == WEEKS[:1]
    assert not read
    assert run(["report", "--due", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["reports"] == []
    assert len(read) == 1
    assert run(["report", "--due", "--now", "soon"]) == 2
    assert run(["report", "tiny", "--period", "2026-W32", "--now", "2026-08-19"]) == 2


def test_late_rows_make_a_report_due_again_and_rows_after_it_do_not(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    visits = rows("2026-08-03", "2026-08-11", "2026-08-18", "2026-08-25")
    save(root, visits, "2026-09-07")
    assert [period for _, period, _ in due(root)] == WEEKS
    # Of the week after the last report's horizon.
    save(root, pd.concat([visits, rows("2026-09-08", event="later")]), "2026-09-09")
    assert due(root) == []
    # A purchase that came late, in W33: W32 followed its people through that week.
    late = pd.concat([visits, rows("2026-08-12", event="purchase")])
    save(root, late, "2026-09-07")
    told: list[str] = []
    assert due(root, say=told.append) == [("tiny", "2026-W32", True), ("tiny", "2026-W33", True)]
    assert told == [
        f"tiny {week} again: the log has changed for what it read" for week in WEEKS[:2]
    ]
    assert due(root) == []
    # The same rows under another value, and gone again.
    save(root, visits.assign(event="visit", device="phone"), "2026-09-07")
    assert len(due(root)) == 4


def test_a_report_that_was_not_final_is_made_anew_when_it_is(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    due(root)
    report_period("tiny", "2026-W36", root=root)
    assert due(root) == []
    write_log(root / "data" / "log", covers_until="2026-09-14")
    assert due(root) == [("tiny", "2026-W36", True)]
    assert due(root) == []


def test_a_report_of_an_older_version_stays(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    due(root)
    for manifest in (root / "reports").glob("tiny/*/manifest.json"):
        content = json.loads(manifest.read_text())
        del content["content"]
        manifest.write_text(json.dumps(content))
    write_log(root / "data" / "log", event="other")
    assert due(root) == []


@pytest.mark.parametrize(
    ("parameter", "tags", "written", "weeks"),
    [
        ('window: str = "7d"', (), "", WEEKS),
        ('horizon: str = "7d"', (), 'horizon = "21d"', WEEKS[:2]),
        ('horizon: str = "21d"', (), "", WEEKS[:2]),
        ('follow: str = "21d"', (), "", [*WEEKS, "2026-W36"]),
        ('follow: str = "21d"', ("waits:follow",), "", WEEKS[:2]),
        ('follow: list[str] = ["7d", "21d"]', ("waits:follow",), 'follow = ["14d"]', WEEKS[:3]),
    ],
)
def test_whatever_a_notebook_waits_for_is_waited_for(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    parameter: str,
    tags: tuple[str, ...],
    written: str,
    weeks: list[str],
) -> None:
    parameters = PARAMETERS.replace('window: str = "7d"', parameter)
    write_notebook(root / "notebooks", EMIT, parameters=parameters, tags=("parameters", *tags))
    (root / "reports" / "definitions" / "tiny.toml").write_text(DEFINITION + written)
    assert [period for _, period, _ in due(root)] == weeks


def test_the_definition_on_the_curve_of_waits_is_due_when_its_horizon_is_over(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    shutil.copy(ROOT / "notebooks" / "06_time_to_conversion.ipynb", root / "notebooks")
    (root / "reports" / "definitions" / "tiny.toml").write_text(
        DEFINITION.replace('"tiny"', '"06_time_to_conversion"') + 'horizon = "30d"\n'
    )
    write_log(root / "data" / "log", covers_until="2026-09-08")
    assert due(root) == []
    write_log(root / "data" / "log", covers_until="2026-09-09")
    assert due(root) == [("tiny", "2026-W32", True)]


# ── nothing is removed or written through a link ────────────────────────────────────────────────


def test_a_link_in_the_place_of_the_work_folder_is_not_followed(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]], tmp_path: Path
) -> None:
    kept = tmp_path / "kept"
    (kept / "deep").mkdir(parents=True)
    (kept / "deep" / "file").write_text("mine")
    for name in (".work", ".work-0", "tiny"):
        (root / "reports" / name).symlink_to(kept)
    for name in (".2026-W40.old", "2026-W32.failed"):
        (kept / name).mkdir()
        (kept / name / "file").write_text("mine")
    outcomes = report_due(root=root)
    assert [o.good for o in outcomes] == [False] * 4
    assert "is a link" in outcomes[0].error
    assert sorted(path.name for path in kept.rglob("*")) == sorted(
        [".2026-W40.old", "2026-W32.failed", "deep", "file", "file", "file"]
    )
    assert not list((root / "reports").glob(".work*"))
    (root / "reports" / "tiny").unlink()
    assert [o.good for o in report_due(root=root)] == [True] * 4


def test_work_is_done_in_a_folder_that_nobody_else_can_enter(tmp_path: Path) -> None:
    with workspace(tmp_path) as first:
        assert first.stat().st_mode & 0o777 == 0o700
    with workspace(tmp_path) as second:
        assert first.name != second.name


def test_no_report_is_written_where_no_folder_can_be_made(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for place in ("/proc", "/proc/none"):
        assert run(["report", "tiny", "--period", "2026-W32", "--to", place]) == 2
        assert "reports cannot be written to" in capsys.readouterr().err


def test_one_failing_definition_does_not_stop_the_others(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    definitions = root / "reports" / "definitions"
    tiny = (definitions / "tiny.toml").read_text()
    (definitions / "a-broken.toml").write_text("notebook = ")
    (definitions / "b-no-data.toml").write_text(tiny.replace("data/log", "data/none"))
    (definitions / "c-no-notebook.toml").write_text(tiny.replace('"tiny"', '"tinny"'))
    outcomes = report_due(root=root)
    assert [(o.report, o.period, o.good) for o in outcomes] == [
        ("a-broken", "", False),
        ("b-no-data", "", False),
        ("c-no-notebook", "", False),
        *[("tiny", week, True) for week in WEEKS],
    ]
    assert "make demo" in outcomes[1].error
    assert run(["report", "--due"]) == 1


def test_a_period_that_fails_does_not_stop_the_next(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from analysis.reports import render as rendering

    works = rendering.execute

    def execute(path: Path, parameters: dict[str, Any], **options: Any) -> Any:
        if parameters["period_start"] == "2026-08-10":
            raise ReportError("tiny: code cell 2 failed.")
        return works(path, parameters, **options)

    monkeypatch.setattr(rendering, "execute", execute)
    assert due(root) == [("tiny", week, week != "2026-W33") for week in WEEKS]
    assert not (root / "reports" / "tiny" / "2026-W33").exists()
    monkeypatch.setattr(rendering, "execute", works)
    assert due(root) == [("tiny", "2026-W33", True)]


def test_only_the_report_that_is_named(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    definitions = root / "reports" / "definitions"
    shutil.copy(definitions / "tiny.toml", definitions / "other.toml")
    assert {report for report, _, _ in due(root, name="other")} == {"other"}


def test_a_failed_quality_gate_leaves_the_last_good_report(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitted, told = executed
    reports = root / "reports" / "tiny"
    monkeypatch.setattr(
        "analysis.reports.render.code_version", lambda root: {"version": "1", "commit": "a"}
    )
    report_period("tiny", "2026-W32", root=root)
    good = (reports / "2026-W32" / "index.html").read_bytes()
    emitted.update(gate="fail", headline="Down")
    made = report_period("tiny", "2026-W32", root=root)
    assert (made.good, made.gate) == (False, "fail")
    assert made.page == reports / "2026-W32.failed" / "index.html"
    assert (reports / "2026-W32" / "index.html").read_bytes() == good
    assert "quality gate failed" in made.page.read_text()
    assert "Down" not in (root / "reports" / "index.html").read_text()

    assert [o.good for o in report_due(root=root)] == [False] * 3
    before = len(told)
    assert [o.good for o in report_due(root=root)] == [False] * 3
    assert len(told) == before, "unchanged inputs were rendered again"
    assert not (reports / "2026-W33").exists()

    emitted["gate"] = "pass"
    write_log(root / "data" / "log", event="mended")
    # The week that was good has other rows now, so it is made anew with the three that failed.
    assert [o.good for o in report_due(root=root)] == [True] * 4
    assert sorted(path.name for path in reports.iterdir()) == WEEKS


def test_a_failed_gate_is_tried_again_when_the_definition_changes(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    emitted, told = executed
    monkeypatch.setattr(
        "analysis.reports.render.code_version", lambda root: {"version": "1", "commit": "a"}
    )
    emitted["gate"] = "fail"
    due(root)
    toml = root / "reports" / "definitions" / "tiny.toml"
    toml.write_text(toml.read_text().replace('"7d"', '"6d"'))
    before = len(told)
    due(root)
    assert len(told) == before + 4


def test_a_failed_render_leaves_the_last_good_report_and_nothing_else(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    report_period("tiny", "2026-W32", root=root)
    before = {path: path.stat().st_mtime_ns for path in (root / "reports").rglob("*")}

    def execute(path: Path, parameters: dict[str, Any], **options: Any) -> None:
        raise ReportError("tiny: code cell 2 failed.")

    monkeypatch.setattr("analysis.reports.render.execute", execute)
    with pytest.raises(ReportError):
        report_period("tiny", "2026-W32", root=root)
    assert {p: p.stat().st_mtime_ns for p in (root / "reports").rglob("*")} == before


def test_a_second_run_while_one_is_at_work_says_so_and_is_no_failure(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    with workspace(root / "reports"):
        with pytest.raises(Busy):
            report_due(root=root)
        assert run(["report", "--due"]) == 0
    assert "another run is at work" in capsys.readouterr().err
    assert not executed[1]


def test_other_data_and_another_place(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]], tmp_path: Path
) -> None:
    write_log(tmp_path / "other", event="other", covers_until="2026-08-17")
    to = tmp_path / "x" / "y"
    made = report_due(root=root, data=tmp_path / "other", to=to)
    assert [(o.period, o.page) for o in made] == [("2026-W32", to / "tiny/2026-W32/index.html")]
    assert sorted(path.name for path in (root / "reports").iterdir()) == ["definitions"]


def test_a_definition_may_be_named_by_its_file(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    file = root / "reports" / "definitions" / "tiny.toml"
    made = report_period(str(file), "2026-W32", root=Path("/nonexistent"))
    assert made.page == root / "reports" / "tiny" / "2026-W32" / "index.html"
    shutil.copy(file, elsewhere / "mine.toml")
    made = report_period("mine.toml", "2026-W32", root=root)
    assert made.page == root / "reports" / "mine" / "2026-W32" / "index.html"


def test_the_project_is_found_from_inside_it(root: Path, tmp_path: Path) -> None:
    (root / "notebooks" / "deep").mkdir()
    assert project_root(root / "notebooks" / "deep") == root
    inner = root / "notebooks" / "deep" / "inner"
    (inner / "data").mkdir(parents=True)
    (inner / "workbook.toml").touch()
    assert project_root(inner / "data") == inner


def test_a_project_without_definitions_says_that_there_are_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "workbook.toml").touch()
    monkeypatch.chdir(tmp_path)
    assert run(["report", "tiny", "--period", "2026-W32"]) == 2
    assert "Defined in reports/definitions: none yet" in capsys.readouterr().err
    assert run(["report", "--due"]) == 0


def test_no_project_is_found_where_the_package_is(tmp_path: Path) -> None:
    """Neither in its checkout nor in the site-packages of an environment."""
    with pytest.raises(UsageError, match=r"no project here or above: no file workbook\.toml, and"):
        project_root(Path(tmp_path.anchor))


# ── the command ─────────────────────────────────────────────────────────────────────────────────


def test_the_command_prints_the_page_the_headline_and_the_caveats(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    executed[0]["headline"] = "Up \x1b[31m 3 %"
    assert run(["report", "tiny", "--period", "2026-W36"]) == 0
    printed = capsys.readouterr()
    first, second, *notes = printed.out.splitlines()
    assert first == "reports/tiny/2026-W36/index.html"
    assert second.strip() == r"Up \x1b[31m 3 %"
    assert notes[0].strip() == "Note: few"
    assert "2026-W36 is not final" in notes[1]


def test_the_command_prints_json_for_programs(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["report", "tiny", "--period", "2026-W32", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "report": "tiny",
        "period": "2026-W32",
        "page": "reports/tiny/2026-W32/index.html",
        "headline": "<b>Up</b>",
        "warnings": ["few"],
        "gate": "pass",
        "error": "",
    }
    assert run(["report", "--due", "--json"]) == 0
    made = json.loads(capsys.readouterr().out)["reports"]
    assert [one["period"] for one in made] == WEEKS[1:]
    assert run(["report", "--due", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"reports": []}


def test_the_command_says_when_nothing_is_due(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert run(["report", "--due"]) == 0
    capsys.readouterr()
    assert run(["report", "--due"]) == 0
    assert capsys.readouterr().out.startswith("Nothing is due")


def test_the_command_fails_when_the_quality_gate_does(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    why = "Macro conversion: “Purchase” (purchase) is never in the log."
    executed[0].update(gate="fail", warnings=[why])
    for arguments in (["tiny", "--period", "2026-W32"], ["--due"], ["--due"]):
        assert run(["report", *arguments]) == 1
        told = capsys.readouterr().err
        assert "2026-W32.failed/index.html): the quality gate failed" in told
        assert f"  {why}" in told.splitlines()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "Defined in reports/definitions: tiny. For example"),
        (["tiny"], 2, "name a report and a period, or say --due"),
        (["--period", "2026-W32"], 2, "name a report and a period"),
        (["tiny", "--period", "2026-W32", "--due"], 2, "name a report and a period"),
        (["tinny", "--period", "2026-W32"], 2, "Did you mean 'tiny'"),
        (["../tiny", "--period", "2026-W32"], 2, "there is no report '../tiny'"),
        (["tiny", "--period", "2026-08"], 2, "A week looks like '2026-W46'"),
        (["tiny", "--period", "2026-W32", "--data", "none"], 1, "no log in 'none'. Make the demo"),
        (["tiny", "--period", "2026-W32", "--timeout", "0"], 2, "--timeout"),
        (["none.toml", "--period", "2026-W32"], 1, "cannot be read"),
        (["tiny", "--period", "2026-W32", "--to", "data/log/manifest.json"], 2, "--to DIR"),
    ],
)
def test_wrong_usage_is_one_line_and_publishes_nothing(
    root: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    capsys: pytest.CaptureFixture[str],
    arguments: Any,
    code: int,
    message: str,
) -> None:
    assert run(["report", *arguments]) == code
    printed = capsys.readouterr()
    assert message in printed.err
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("workbook report: ")
    assert sorted(path.name for path in (root / "reports").iterdir()) == ["definitions"]


# ── with a kernel ───────────────────────────────────────────────────────────────────────────────


def test_a_run_killed_while_it_renders_leaves_the_last_good_report(
    root: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    """SIGKILL in the middle of a cell of a real run; the next run cleans up and renders."""
    place = report_period("tiny", "2026-W32", root=root).page.parent
    before = {path: path.read_bytes() for path in place.iterdir()}

    marker = root / "kernel.pid"
    slow = f"import os, pathlib, time; pathlib.Path({str(marker)!r}).write_text(str(os.getpid()))"
    write_notebook(root / "notebooks", slow, "time.sleep(60)", EMIT)
    command = [sys.executable, "-c", "from analysis.cli import main; main()", "report"]
    process = subprocess.Popen([*command, "tiny", "--period", "2026-W32"], cwd=root)
    assert soon(lambda: marker.exists() and marker.read_text())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert {path: path.read_bytes() for path in place.iterdir()} == before
    assert list((root / "reports").glob(".work-*"))

    executed[0]["headline"] = "New"
    assert report_period("tiny", "2026-W32", root=root).good
    assert not list((root / "reports").glob(".work*"))
    assert [path.name for path in place.parent.iterdir()] == ["2026-W32"]
    assert "New" in (place / "numbers.json").read_text()
    kernel = int(marker.read_text())
    if not soon(lambda: not Path(f"/proc/{kernel}").exists()):
        os.kill(kernel, signal.SIGKILL)
        pytest.fail("the kernel of the killed run went on")


def soon(happened: Callable[[], Any]) -> bool:
    for _ in range(1200):
        if happened():
            return True
        time.sleep(0.05)
    return False


def without_network() -> list[str] | None:
    for command in (["unshare", "--net"], ["unshare", "--map-root-user", "--net"]):
        found = shutil.which("unshare")
        if found and not subprocess.run([*command, "true"], capture_output=True).returncode:
            return command
    return None


def test_a_run_needs_no_network_not_even_this_machines() -> None:
    """In a network namespace whose every interface is down, the loopback too."""
    cut_off = without_network()
    if cut_off is None:
        pytest.skip("this system does not let us make a network namespace")
    # A short path: in a long one the kernel's sockets cannot be files.
    with tempfile.TemporaryDirectory() as folder:
        root = write_project(Path(folder))
        command = [sys.executable, "-c", "from analysis.cli import main; main()", "report"]
        done = subprocess.run(
            [*cut_off, *command, "tiny", "--period", "2026-W32"],
            cwd=root,
            check=False,
            capture_output=True,
            text=True,
        )
    assert (done.returncode, done.stderr) == (0, "")


def test_an_installed_package_makes_reports_of_a_project_elsewhere(tmp_path: Path) -> None:
    """The wheel, unpacked, beside a project that is not inside of this repository."""
    pytest.importorskip("hatchling")
    wheel = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(wheel, cwd=ROOT, check=True, capture_output=True)
    site = tmp_path / "site-packages"
    zipfile.ZipFile(next(tmp_path.glob("*.whl"))).extractall(site)
    root = write_project(tmp_path / "shop")
    where = "import analysis, sys; from analysis.cli import main; print(analysis.__file__); main()"
    command = [sys.executable, "-c", where, "report", "tiny", "--period", "2026-W32"]
    environment = {**os.environ, "PYTHONPATH": str(site)}
    done = subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[:2] == [
        str(site / "analysis" / "__init__.py"),
        "reports/tiny/2026-W32/index.html",
    ]
    manifest = json.loads((root / "reports" / "tiny" / "2026-W32" / "manifest.json").read_text())
    assert manifest["code"]["commit"] is None
    assert (root / "reports" / "index.html").is_file()
    done = subprocess.run(
        command, cwd=site, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert "there is no project here or above" in done.stderr
