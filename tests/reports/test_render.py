"""A rendered report: the same bytes from the same inputs, and where they come from."""

from __future__ import annotations

import getpass
import hashlib
import json
import math
import platform
import shutil
import socket
import subprocess
import sys
from decimal import Context, Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.report_projects import EMIT, PARAMETERS, write_log, write_notebook, write_project

from analysis.core.periods import parse_period
from analysis.core.schema import DataError, ReportError, UsageError
from analysis.reports.definition import load_definition
from analysis.reports.render import (
    MIME_TYPE,
    code_version,
    collect,
    emit,
    notebook_checksum,
    number,
    open_source,
    render,
)
from analysis.reports.runs import report_period

ROOT = Path(__file__).parents[2]


FILES = ("index.html", "numbers.json", "manifest.json")


def source(root: Path) -> Any:
    definition = load_definition(root / "reports" / "definitions" / "tiny.toml")
    return open_source(definition, root=root, data=root / "data" / "log")


def test_two_renders_are_equal_to_the_byte_and_tell_no_place(tmp_path: Path) -> None:
    """The second one runs in another folder, as another project with the same content."""
    told = "import os; print(data, period_start, period_end, time_zone, window, report)"
    one = write_project(tmp_path / "one", told, EMIT)
    two = write_project(tmp_path / "deep" / "er" / "two", told, EMIT)
    pages = [report_period("tiny", "2026-W32", root=root).page for root in (one, two)]
    for file in FILES:
        first, second = ((page.parent / file).read_bytes() for page in pages)
        assert first == second
        for secret in (str(tmp_path), str(ROOT), socket.gethostname(), "/tmp/", str(Path.home())):
            assert secret not in first.decode()
        assert f'"{getpass.getuser()}"' not in first.decode()
    assert sorted(path.name for path in pages[0].parent.iterdir()) == sorted(FILES)

    log = write_log(tmp_path / "judge")
    assert json.loads((pages[0].parent / "numbers.json").read_text()) == {
        "report": "tiny",
        "period": "2026-W32",
        "headline": "Entered: 3.",
        "log": log.fingerprint,
        "numbers": {"rate": {"value": 0.3333333333, "n": 3, "low": None}},
        "warnings": [],
    }
    manifest = json.loads((pages[0].parent / "manifest.json").read_text())
    assert manifest["files"] == {
        file: hashlib.sha256((pages[0].parent / file).read_bytes()).hexdigest()
        for file in FILES[:2]
    }
    assert manifest["log"] == log.fingerprint
    assert manifest["parameters"] == {"window": "7d"}
    assert (manifest["period_start"], manifest["period_end"]) == (
        "2026-08-03T00:00:00+00:00",
        "2026-08-10T00:00:00+00:00",
    )
    assert manifest["python"] == platform.python_version()
    assert manifest["packages"]["pandas"] == pytest.importorskip("pandas").__version__
    assert manifest["notebook"]["name"] == "tiny"


def test_the_notebook_is_told_its_log_and_its_local_days(
    tmp_path: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    root = write_project(tmp_path)
    toml = root / "reports" / "definitions" / "tiny.toml"
    toml.write_text(toml.read_text().replace("[param", 'time_zone = "Asia/Tokyo"\n[param'))
    render(source(root), parse_period("2026-W32", "week", "Asia/Tokyo"), tmp_path / "out" / "r")
    assert executed[1] == [
        {
            "data": "../data/log",
            "period_start": "2026-08-03",
            "period_end": "2026-08-10",
            "time_zone": "Asia/Tokyo",
            "window": "7d",
            "report": True,
        }
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["r"]


def test_only_parameters_that_the_notebook_has_are_told(
    tmp_path: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    root = write_project(tmp_path, parameters="")
    few = 'data: str = ""\nperiod_start: str = ""\nperiod_end: str = ""'
    write_notebook(root / "notebooks", EMIT, parameters=few)
    render(source(root), parse_period("2026-W32", "week"), tmp_path / "out" / "r")
    assert sorted(executed[1][0]) == ["data", "period_end", "period_start"]


def test_a_failed_gate_and_an_immature_period_are_said_at_the_top(
    tmp_path: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    root = write_project(tmp_path)
    executed[0]["gate"] = "fail"
    made = render(source(root), parse_period("2026-W36", "week"), tmp_path / "out" / "r")
    page = (made.folder / "index.html").read_text()
    assert page.index("quality gate failed") < page.index("is not final")
    assert made.gate == "fail"
    assert made.warnings[0] == "few"
    assert "2026-W36 is not final" in made.warnings[1]
    numbers = json.loads((made.folder / "numbers.json").read_text())
    assert numbers["warnings"] == list(made.warnings)


def test_the_title_is_escaped(
    tmp_path: Path, executed: tuple[dict[str, Any], list[dict[str, Any]]]
) -> None:
    root = write_project(tmp_path)
    toml = root / "reports" / "definitions" / "tiny.toml"
    toml.write_text(toml.read_text().replace('"Tiny"', "'<script>alert(1)</script>'"))
    made = render(source(root), parse_period("2026-W32", "week"), tmp_path / "out" / "r")
    page = (made.folder / "index.html").read_text()
    assert "<script>alert" not in page
    assert "&lt;script&gt;alert" in page


def test_a_log_that_changes_meanwhile_is_no_source(
    tmp_path: Path,
    executed: tuple[dict[str, Any], list[dict[str, Any]]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = write_project(tmp_path)
    opened = source(root)
    write_log(root / "data" / "log", event="other")
    with pytest.raises(ReportError, match="the log changed while it was reported on"):
        render(opened, parse_period("2026-W32", "week"), tmp_path / "out" / "r")


def test_the_follow_up_is_the_definitions_window_or_the_notebooks(tmp_path: Path) -> None:
    root = write_project(tmp_path, parameters='window = "3d"')
    assert source(root).window_us == 3 * 86_400_000_000
    toml = root / "reports" / "definitions" / "tiny.toml"
    toml.write_text(toml.read_text().replace("window", "# window"))
    assert source(root).window_us == 7 * 86_400_000_000
    none = PARAMETERS.replace("window", "other")
    write_notebook(root / "notebooks", EMIT, parameters=none)
    assert source(root).window_us == 0


def test_what_cannot_be_rendered_is_said_before_anything_runs(tmp_path: Path) -> None:
    root = write_project(tmp_path, parameters="windw = 3")
    with pytest.raises(
        UsageError, match=r"tiny: 'windw' is not a parameter.*Did you mean 'window'"
    ):
        source(root)
    write_notebook(root / "notebooks", parameters='data: str = ""')
    with pytest.raises(UsageError, match="has no parameter 'period_start', 'period_end'"):
        source(root)
    (root / "notebooks" / "tiny.ipynb").unlink()
    with pytest.raises(ReportError, match="no notebook 'tiny'"):
        source(root)
    shutil.rmtree(root / "data")
    with pytest.raises(DataError, match=r"no log in '.*data/log'.*make demo .or: workbook demo"):
        source(root)


def test_the_commit_is_that_of_the_project(tmp_path: Path) -> None:
    assert code_version(tmp_path)["commit"] is None
    git = ["git", "-c", "user.name=x", "-c", "user.email=x@x.example"]
    if shutil.which("git") is None:
        pytest.skip("no git on this machine")
    subprocess.run([*git, "init", "-q"], cwd=tmp_path, check=True)
    assert code_version(tmp_path)["commit"] is None
    (tmp_path / "workbook.toml").touch()
    subprocess.run([*git, "add", "workbook.toml"], cwd=tmp_path, check=True)
    subprocess.run([*git, "commit", "-qm", "x"], cwd=tmp_path, check=True)
    head = ["git", "rev-parse", "HEAD"]
    commit = subprocess.run(head, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert code_version(tmp_path)["commit"] == commit.stdout.strip()
    (tmp_path / "workbook.toml").write_text("# changed")
    assert code_version(tmp_path)["commit"] == f"{commit.stdout.strip()}-dirty"
    (tmp_path / "inner").mkdir()
    assert code_version(tmp_path / "inner")["commit"] is None


def test_a_notebook_is_known_by_what_it_runs_and_not_by_its_outputs(tmp_path: Path) -> None:
    path = write_notebook(tmp_path, "1")
    before = notebook_checksum(path)
    content = json.loads(path.read_text())
    content["cells"][2]["outputs"] = [{"output_type": "stream", "name": "stdout", "text": "1"}]
    path.write_text(json.dumps(content))
    assert notebook_checksum(path) == before
    content["cells"][2]["source"] = "2"
    path.write_text(json.dumps(content))
    assert notebook_checksum(path) != before


# ── What a notebook hands over: plain, rounded, once.


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **how: bundles.append((data, how)))
    return bundles


class Log:
    fingerprint = "ab" * 16


def test_numbers_travel_as_one_bundle_that_no_browser_shows(shown: list[Any]) -> None:
    emit(headline="Up.", numbers={"rate": {"value": 0.5, "n": 4}}, warnings=["few"], log=Log())
    ((data, how),) = shown
    assert list(data) == [MIME_TYPE]
    assert how == {"raw": True}
    assert data[MIME_TYPE] == {
        "headline": "Up.",
        "numbers": {"rate": {"value": 0.5, "n": 4}},
        "warnings": ["few"],
        "gate": "pass",
        "log": Log.fingerprint,
    }
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    notebook = {"cells": [{"cell_type": "code", "outputs": [output]}]}
    assert collect(notebook, "n") == data[MIME_TYPE]


@given(st.floats())
@example(sys.float_info.max)
@example(-0.0)
def test_floats_keep_ten_significant_digits_and_undefined_is_null(value: float) -> None:
    rounded = number(value, "x")["value"]
    if not math.isfinite(value):
        assert rounded is None
    else:
        judge = float(Context(prec=10).plus(Decimal(value)))
        assert rounded == (judge if math.isfinite(judge) else value)
        assert not (rounded == 0 and math.copysign(1, rounded) < 0)
    json.dumps(rounded, allow_nan=False)


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, np.float64("inf"), -math.inf])
def test_undefined_is_null(value: Any) -> None:
    assert number(value, "x") == {"value": None}


def test_numpy_and_pandas_numbers_become_plain() -> None:
    row = pd.Series({"value": 1 / 3, "n": 7.0})
    cells = number({"value": row["value"], "n": np.int32(7), "ok": np.bool_(True)}, "x")
    assert cells == {"value": 0.3333333333, "n": 7, "ok": True}
    assert [type(cell) for cell in cells.values()] == [float, int, bool]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"headline": "", "numbers": {}}, "headline = '' must be text"),
        ({"headline": "x", "numbers": {"a": {"n": 3}}}, "has no 'value', only 'n'"),
        ({"headline": "x", "numbers": {"a": [1]}}, "is of type list"),
        ({"headline": "x", "numbers": {"a": pd.Timestamp("2026")}}, "is of type Timestamp"),
        ({"headline": "x", "numbers": {}, "gate": "fial"}, "Did you mean 'fail'"),
        ({"headline": "x", "numbers": {}, "warnings": [3]}, "warnings = 3 must be text"),
    ],
)
def test_what_cannot_be_reported_is_refused(
    shown: list[Any], arguments: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        emit(**arguments)
    assert not shown


def test_text_that_no_file_can_hold_is_mended(shown: list[Any]) -> None:
    emit(headline="broken \ud800", numbers={})
    shown[0][0][MIME_TYPE]["headline"].encode("utf-8")


def test_nothing_emitted_or_twice_is_an_error() -> None:
    output = {"output_type": "display_data", "data": {MIME_TYPE: {}}, "metadata": {}}
    with pytest.raises(ReportError, match="emitted no numbers"):
        collect({"cells": [{"cell_type": "markdown"}]}, "n")
    with pytest.raises(ReportError, match="emitted numbers 2 times"):
        collect({"cells": [{"outputs": [output]}, {"outputs": [output]}]}, "n")
