"""Rerunning notebooks: the same bytes twice, a difference told, a failure in one line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import nbformat
import pytest
from jupyter_client.kernelspec import KernelSpecManager
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis import EventLog, cli, funnel, simulate
from analysis.cli import jupyter as kernels
from analysis.cli import jupyter as lab
from analysis.cli.jupyter import as_committed, notebook_paths, rerun
from analysis.core.schema import DataError, UsageError
from analysis.correlation import kernels as exposure_counts
from analysis.funnels.search import plain as chains
from analysis.funnels.search import units as unit_chains

GONE = {"name": "gone", "display_name": "A kernel that this machine does not have"}


WIDGET = "application/vnd.jupyter.widget-view+json"


SOURCES = (
    "import sys\nprint('one')\nprint('two', flush=True)",
    "6 * 7",
    "import ipywidgets\nprint('interactive')\nipywidgets.IntSlider()",
    "from pathlib import Path\nPath.cwd().name",
)


def save(folder: Path, *sources: str, name: str = "10_small") -> Path:
    cells = [new_markdown_cell("# Small"), *(new_code_cell(source) for source in sources)]
    for number, cell in enumerate(cells):
        cell.id = f"c{number}"
    if len(sources) > 2:
        cells[3].metadata = {"tags": ["interactive"], "scrolled": True}
    path = folder / f"{name}.ipynb"
    nbformat.write(new_notebook(cells=cells, metadata={"kernelspec": GONE}), path)
    return path


def test_executes_in_place_and_again_to_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "reports" / "definitions").mkdir(parents=True)
    folder = tmp_path / "notebooks"
    folder.mkdir()
    path = save(folder, *SOURCES)
    before = path.read_bytes()
    assert rerun(path, write=False).changed
    assert path.read_bytes() == before
    assert rerun(path).changed
    after = path.read_text("utf-8")
    monkeypatch.chdir(tmp_path)
    written = path.stat().st_mtime_ns
    assert cli.run(["notebooks"]) == 0
    assert capsys.readouterr().out == "10_small.ipynb: is as committed\n"
    assert path.stat().st_mtime_ns == written

    notebook = json.loads(after)
    cells = notebook["cells"][1:]
    assert [cell["execution_count"] for cell in cells] == [1, 2, 3, 4]
    assert [output["text"] for output in cells[0]["outputs"]] == [["one\n", "two\n"]]
    assert cells[1]["outputs"][0]["data"] == {"text/plain": ["42"]}
    assert cells[2]["outputs"] == []
    assert cells[2]["metadata"] == {"tags": ["interactive"]}
    assert cells[3]["outputs"][0]["data"] == {"text/plain": ["'notebooks'"]}
    assert notebook["metadata"]["kernelspec"]["name"] == "python3"
    assert "version" not in notebook["metadata"]["language_info"]

    path.write_text(after.replace('"42"', '"43"'), "utf-8")
    assert cli.run(["notebooks", "10_small", "--check"]) == 1
    assert capsys.readouterr().out == "10_small.ipynb: differs\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("raise ValueError('no such\\nshop')", "ValueError: no such shop."),
        ("assert 0", "AssertionError at: assert 0."),
    ],
)
def test_a_cell_that_fails_is_one_line_and_changes_nothing(
    tmp_path: Path, source: str, said: str
) -> None:
    path = save(tmp_path, source)
    before = path.read_bytes()
    with pytest.raises(DataError) as caught:
        rerun(path)
    assert f"10_small.ipynb: a cell failed with {said} Open" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert path.read_bytes() == before


def test_a_kernel_that_dies_is_one_line(tmp_path: Path) -> None:
    path = save(tmp_path, "import os\nos._exit(3)")
    with pytest.raises(DataError, match=r"10_small\.ipynb: the kernel stopped"):
        rerun(path)


def test_names_find_notebooks_or_say_which_there_are(tmp_path: Path) -> None:
    for name in ("02_b", "01_a"):
        save(tmp_path, name=name)
    assert [path.stem for path in notebook_paths(tmp_path)] == ["01_a", "02_b"]
    assert [path.stem for path in notebook_paths(tmp_path, ["02_b.ipynb"])] == ["02_b"]
    with pytest.raises(UsageError, match="Did you mean '02_b'"):
        notebook_paths(tmp_path, ["02_bb"])


def test_what_differs_from_run_to_run_is_not_written() -> None:
    outputs = [
        new_output("display_data", data={WIDGET: {"model_id": "1f"}, "text/plain": "slider"}),
        new_output("display_data", data={"text/plain": "kept"}),
    ]
    cell = new_code_cell("x", execution_count=7, outputs=outputs)
    cell.id = "c"
    cell.metadata = {"papermill": {"duration": 1.5}, "execution": {"iopub.execute_input": "now"}}
    state = {"kernelspec": GONE, "language_info": {"name": "python", "version": "3.13.0"}}
    text = as_committed(new_notebook(cells=[cell], metadata={**state, "widgets": {"state": {}}}))
    for noise in ("papermill", "iopub", "model_id", "3.13.0", "widgets", "gone"):
        assert noise not in text
    assert "kept" in text
    assert as_committed(nbformat.reads(text, as_version=4)) == text


# ── The kernels are compiled before somebody waits for one.


def test_a_question_of_each_kind_is_asked() -> None:
    kernels.compile_kernels()
    assert chains.best_chains.signatures
    assert unit_chains.unit_chains.signatures
    assert exposure_counts.count.signatures


def test_a_log_in_memory_and_one_on_disk_share_what_is_compiled(tmp_path: Path) -> None:
    kernels.compile_kernels()
    compiled = [len(kernel.signatures) for kernel in (chains.best_chains, unit_chains.unit_chains)]
    simulate(users=50).log.save(tmp_path / "log")
    log = EventLog.open(tmp_path / "log")
    for options in ({}, {"order": "any"}):
        funnel(log, ["view_item", "purchase"], **options)  # type: ignore[arg-type]
    assert compiled == [
        len(kernel.signatures) for kernel in (chains.best_chains, unit_chains.unit_chains)
    ]


def test_it_is_done_beside_with_the_environment_given(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[list[str], dict[str, Any]]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda args, **given: begun.append((args, given)))
    kernels.compile_beside({**os.environ, "A": "b"})
    ((args, given),) = begun
    assert args[1:] == ["-m", "analysis.cli.jupyter"]
    assert given["env"]["A"] == "b"


# ── JupyterLab's command and surroundings; that nothing leaves the machine is tests/browser's.


ROOT = Path(__file__).parents[2]


def test_listens_to_this_machine_only_and_asks_nobody(tmp_path: Path) -> None:
    command = lab.lab_command(tmp_path, port=8890, browser=False)
    assert command[0] == sys.executable
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.port_retries=0" in command
    assert "--LabApp.news_url=None" in command
    assert "--LabApp.extension_manager=readonly" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab" in command
    assert "--no-browser" in command
    assert "--no-browser" not in lab.lab_command(tmp_path)


def test_opens_the_first_notebook_where_there_is_one() -> None:
    opened = lab.lab_command(ROOT / "notebooks")
    assert f"--LabApp.default_url=/lab/tree/{lab.FIRST_NOTEBOOK}" in opened


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_is_none(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match="Allowed: 1 to 65535"):
        lab.lab_command(tmp_path, port=port)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        lab.lab_command(tmp_path / "notebooks")


def test_own_settings_and_kernels_come_first_and_those_of_others_stay() -> None:
    given = {"JUPYTER_CONFIG_PATH": "/theirs", "JUPYTER_PATH": "/kernels", "HOME": "/h"}
    environment = lab.lab_environment({**given, "PYTHONDONTWRITEBYTECODE": "1"})
    own, theirs = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(own) / "labconfig" / "default_setting_overrides.json").is_file()
    assert theirs == "/theirs"
    kernels, others = environment["JUPYTER_PATH"].split(os.pathsep)
    found = KernelSpecManager(kernel_dirs=[f"{kernels}/kernels"]).find_kernel_specs()
    assert "python3" in found
    assert others == "/kernels"
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["HOME"] == "/h"


def test_the_settings_are_those_that_jupyterlab_knows() -> None:
    settings = json.loads(
        (
            resources.files("analysis.cli") / "labconfig" / "default_setting_overrides.json"
        ).read_text()
    )
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    for plugin, overrides in settings.items():
        package, _, name = plugin.partition(":")
        schema = json.loads((schemas / package / f"{name}.json").read_text())
        for key, value in overrides.items():
            known = schema["properties"][key]
            assert isinstance(value, {"boolean": bool, "string": str}[known["type"]])
            assert value in known.get(
                "enum", [value, *(o["const"] for o in known.get("oneOf", []))]
            )


def test_the_command_replaces_itself_by_jupyterlab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "reports" / "definitions").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    called: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execve", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(lab, "compile_beside", lambda environment: None)
    assert cli.run(["lab", "--port", "8899", "--no-browser"]) == 0
    ((program, command, environment),) = called
    assert program == command[0] == sys.executable
    assert f"--ServerApp.root_dir={tmp_path / 'notebooks'}" in command
    assert "--ServerApp.port=8899" in command
    assert environment["PLOTLY_RENDERER"] == "plotly_mimetype"
