"""Rerunning notebooks: the same bytes twice, a difference told, a failure in one line."""

from __future__ import annotations

import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from analysis import cli
from analysis.cli.jupyter import as_committed, notebook_paths, rerun
from analysis.core.schema import DataError, UsageError

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
        ("raise ValueError('no such\\nshop')", "ValueError: no such"),
        ("assert 0", "AssertionError:"),
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
