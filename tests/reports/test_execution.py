"""Every way in which a run of a notebook ends badly is one line that says where and why."""

from __future__ import annotations

import ast
import json
import logging
import shutil
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from nbformat import v4
from support.report_projects import write_notebook

from analysis.core.schema import ReportError, UsageError, WorkbookError
from analysis.reports import execution
from analysis.reports.execution import (
    execute,
    files_can_be_sockets,
    kernel_environment,
    read_notebook,
)


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., Any]:
    def run(
        *cells: Any, given: Any = None, timeout_seconds: int = 60, **options: Any
    ) -> Callable[..., Any]:
        path = write_notebook(tmp_path / "notebooks", *cells, **options)
        scratch = tmp_path / "k"
        scratch.mkdir()
        return execute(path, given or {}, scratch=scratch, timeout_seconds=timeout_seconds)

    return run


def shown(done: Any, cell: int) -> str:
    return done.cells[cell].outputs[0]["data"]["text/plain"]


def fails(
    run: Any, match: str, *cells: Any, kind: type[WorkbookError] = ReportError, **options: Any
) -> str:
    with pytest.raises(kind, match=match) as caught:
        run(*cells, **options)
    said = str(caught.value)
    assert "\n" not in said
    assert "Traceback" not in said
    assert "tiny" in said
    return said


def test_a_notebook_runs_with_its_parameters_on_this_python_and_nobodys_profile(
    run: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also where the machine has another kernel called python3, and a start-up file."""
    other = tmp_path / "share" / "kernels" / "python3"
    other.mkdir(parents=True)
    (other / "kernel.json").write_text(
        json.dumps({"argv": ["/bin/false"], "display_name": "x", "language": "python"})
    )
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00.py").write_text("raise SystemExit('started with a profile')")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "share"))
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    hostile = '"; raise SystemExit #\n\\ <script>{x} ü \x00'
    done = run(
        "import os, sys; sys.executable, os.getcwd(), sys.dont_write_bytecode, hash('a')",
        "by, window",
        v4.new_code_cell("1/0", metadata={"tags": ["interactive"]}),
        v4.new_code_cell("   "),
        given={"by": hostile},
    )
    python, folder, _, _ = ast.literal_eval(shown(done, 3))
    assert (python, Path(folder)) == (sys.executable, (tmp_path / "notebooks").resolve())
    assert ast.literal_eval(shown(done, 3))[2] is False
    assert ast.literal_eval(shown(done, 4)) == (hostile, "7d")
    assert not done.cells[5].outputs


def test_leaving_by_sys_exit_is_no_success(run: Callable[..., Any]) -> None:
    said = fails(run, "did not run to its end: SystemExit: 0", "import sys", "sys.exit(0)", "1")
    assert "code cell 3 " in said


@pytest.mark.parametrize("way", ["os.kill(os.getpid(), 9)", "os._exit(0)"])
def test_a_kernel_that_ends_is_no_success(run: Callable[..., Any], way: str) -> None:
    assert "code cell 2 " in fails(run, "ended its kernel", f"import os; {way}", "1")


def test_a_cell_that_takes_too_long_is_stopped(run: Callable[..., Any]) -> None:
    said = fails(run, "took longer", "1", "import time; time.sleep(60)", timeout_seconds=1)
    assert "code cell 3 " in said
    assert "--timeout" in said


def test_an_exception_is_told_in_one_line_without_traceback(
    run: Callable[..., Any], caplog: pytest.LogCaptureFixture
) -> None:
    cell = v4.new_code_cell(
        "raise KeyError('<script>\\nno\\n' * 100)", metadata={"tags": ["raises-exception"]}
    )
    with caplog.at_level(logging.WARNING):
        said = fails(run, "code cell 3 failed: KeyError: ", "1", cell, "2")
    assert len(said) < 420
    assert not caplog.records


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ("%nosuch 1", "failed: UsageError: Line magic function `%nosuch` not found."),
        ("%%nosuch\nx", "failed: UsageError: Cell magic `%%nosuch` not found."),
        ("1\nraise KeyError()", r"failed: KeyError at: raise KeyError\(\)."),
        ("%cd /nosuch/x", "failed: FileNotFoundError: .*'/nosuch/x'"),
        ("%%capture\n%cd /nosuch/x", "failed: FileNotFoundError: .*'/nosuch/x'"),
        ("%time 1/0", "failed: ZeroDivisionError: division by zero."),
        (
            "%pip install --no-index nosuch",
            "exit code 1: ERROR: No matching distribution .* nosuch",
        ),
        ("%mkdir .", "failed: RuntimeError: %mkdir . ended with exit code 1: mkdir: "),
    ],
)
def test_what_fails_without_a_word_is_told_all_the_same(
    run: Callable[..., Any], cell: str, said: str
) -> None:
    assert "code cell 2 " in fails(run, said, cell, "2")


def test_magics_that_work_and_programs_of_ones_own_go_on(run: Callable[..., Any]) -> None:
    done = run(
        "%cd .", "!exit 1", "%%capture heard\nprint(1)", "%mkdir -p .", "print(heard.stdout)"
    )
    assert done.cells[-1].outputs[0]["text"].strip() == "1"


@pytest.mark.parametrize(
    ("free", "said"),
    [(50_000, "the disk is full: '.*'. Make room"), (10**9, "the kernel did not start: died.")],
)
def test_a_full_disk_is_not_called_a_broken_environment(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, free: int, said: str
) -> None:
    def papermill(*_: Any, **__: Any) -> None:
        raise RuntimeError("died")

    usage = shutil.disk_usage("/")._replace(free=free)
    monkeypatch.setattr(execution, "_papermill", papermill)
    monkeypatch.setattr(execution.shutil, "disk_usage", lambda _: usage)
    fails(run, said, "1")


def test_an_unknown_parameter_is_an_error(run: Callable[..., Any]) -> None:
    fails(run, "Did you mean 'window'", "1", given={"windw": "7d"}, kind=UsageError)


def test_a_parameter_of_the_wrong_type_is_an_error(run: Callable[..., Any]) -> None:
    fails(run, "is of type int, the notebook wants str", "1", given={"window": 7}, kind=UsageError)


@pytest.mark.parametrize("value", [{1, 2}, None, object])
def test_a_value_that_would_arrive_as_text_is_an_error(run: Callable[..., Any], value: Any) -> None:
    fails(run, "Allowed: text, numbers", "1", given={"by": value}, kind=UsageError)


def test_a_notebook_without_parameters_tag_is_an_error(run: Callable[..., Any]) -> None:
    fails(run, "no cell with the tag", "1", tags=(), kind=UsageError)


def test_a_missing_notebook_names_the_nearest(tmp_path: Path) -> None:
    write_notebook(tmp_path)
    with pytest.raises(ReportError, match=r"no notebook 'tinny'.*Did you mean 'tiny'"):
        read_notebook(tmp_path / "tinny.ipynb")


@pytest.mark.parametrize("content", ["", "{}", "[1]", '{"cells": 3}', "\xff"])
def test_what_is_no_notebook_is_told(tmp_path: Path, content: str) -> None:
    path = tmp_path / "tiny.ipynb"
    path.write_bytes(content.encode("latin-1"))
    with pytest.raises(ReportError, match="is not a notebook") as caught:
        read_notebook(path)
    assert "\n" not in str(caught.value)


def test_a_notebook_in_another_language_is_told(tmp_path: Path) -> None:
    path = write_notebook(tmp_path)
    content = json.loads(path.read_text())
    content["metadata"]["kernelspec"] = {"name": "ir", "language": "R", "display_name": "R"}
    path.write_text(json.dumps(content))
    with pytest.raises(ReportError, match="is written in R"):
        read_notebook(path)


def test_what_an_earlier_run_injected_is_dropped(tmp_path: Path) -> None:
    path = write_notebook(
        tmp_path, v4.new_code_cell("window = 3", metadata={"tags": ["injected-parameters"]})
    )
    assert [cell.source for cell in read_notebook(path).cells if "window = 3" in cell.source] == []


def test_a_python_without_kernel_is_told(
    run: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel.kernelspec", None)
    fails(run, "no Jupyter kernel. Install it", "1")


def test_a_kernel_that_cannot_start_is_told_with_its_last_words(
    run: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> None:
    from jupyter_client import kernelspec

    broken = [sys.executable, "-c", "raise SystemExit('no such luck')"]
    spec = kernelspec.KernelSpec(argv=broken, language="python", display_name="x")
    monkeypatch.setattr(kernelspec.KernelSpecManager, "get_kernel_spec", lambda *a: spec)
    assert "no such luck" in fails(run, "the kernel did not start", "1")
    assert not caplog.records
    assert capfd.readouterr().err == ""


def test_a_folder_whose_sockets_cannot_be_files_gets_ports(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 100)
    deep.mkdir()
    assert files_can_be_sockets(tmp_path) == (len(str(tmp_path)) < 85)
    assert not files_can_be_sockets(deep)
    assert not list(deep.iterdir())


def test_bytecode_is_kept_in_the_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    assert "PYTHONDONTWRITEBYTECODE" not in kernel_environment(tmp_path)
