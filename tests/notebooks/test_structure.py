"""Every committed notebook has the same skeleton, was executed in order, and hides nothing."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import nbformat
import pytest
from support.nbval_runs import NOTEBOOKS, code_cells

from analysis.cli.jupyter import as_committed
from analysis.reports.definition import read_parameters

PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
MOST_LINES = 10


@pytest.fixture(params=PATHS, ids=lambda path: path.stem)
def path(request: pytest.FixtureRequest) -> Path:
    return request.param


@pytest.fixture
def notebook(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text("utf-8"))


def tags(cell: dict[str, Any]) -> list[str]:
    return cell["metadata"].get("tags", [])


def source(cell: dict[str, Any]) -> str:
    return "".join(cell["source"])


def test_the_notebooks_are_there() -> None:
    assert {"00_start_here", "02_funnels"} <= {path.stem for path in PATHS}


def test_begins_with_a_question_and_says_how_to_read_the_answer(notebook: dict[str, Any]) -> None:
    first = notebook["cells"][0]
    assert first["cell_type"] == "markdown"
    assert source(first).startswith("# ")
    headings = "\n".join(source(c) for c in notebook["cells"] if c["cell_type"] == "markdown")
    assert "\n## How to read this" in headings
    assert "\n## What would change the conclusion" in headings


def test_has_one_parameters_cell_every_line_typed_and_explained(
    notebook: dict[str, Any], path: Path
) -> None:
    (cell,) = [cell for cell in code_cells(notebook) if "parameters" in tags(cell)]
    assert code_cells(notebook).index(cell) == 0
    for line in source(cell).splitlines():
        assert re.fullmatch(r"\w+: [\w\[\]| ]+ = .+  # \w.+", line) or not line.strip()
    known = read_parameters(nbformat.read(path, as_version=4), path.stem)
    assert {"data", "catalog"} <= set(known)


def test_cells_are_short_and_define_nothing(notebook: dict[str, Any]) -> None:
    for cell in code_cells(notebook):
        text = source(cell)
        assert len(text.splitlines()) <= MOST_LINES or "parameters" in tags(cell)
        assert not re.search(r"^\s*(def|class|async def) ", text, re.MULTILINE)
        assert "lambda" not in text


def test_was_executed_from_top_to_bottom_without_errors(notebook: dict[str, Any]) -> None:
    cells = code_cells(notebook)
    assert [cell["execution_count"] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell["outputs"]]
    assert not [o for o in outputs if o["output_type"] == "error" or o.get("name") == "stderr"]


def test_cells_with_widgets_are_tagged_and_without_output(notebook: dict[str, Any]) -> None:
    for cell in code_cells(notebook):
        if "_panel(" in source(cell):
            assert "interactive" in tags(cell)
        if "interactive" in tags(cell):
            assert "nbval-ignore-output" in tags(cell)
            assert cell["outputs"] == []
        else:
            assert "nbval-ignore-output" not in tags(cell)
            assert "nbval-skip" not in tags(cell)
    assert "widgets" not in notebook["metadata"]


def test_the_file_is_as_the_command_writes_it(path: Path) -> None:
    text = path.read_text("utf-8")
    assert as_committed(nbformat.reads(text, as_version=4)) == text
    for place in (str(Path.home()), str(NOTEBOOKS.parent), "/home/", "/tmp/", "https://"):
        assert place not in text


def test_figures_are_plotly_bundles_with_words_for_those_who_cannot_see_them(
    notebook: dict[str, Any],
) -> None:
    figures = [
        output["data"]["application/vnd.plotly.v1+json"]
        for cell in code_cells(notebook)
        for output in cell["outputs"]
        if "application/vnd.plotly.v1+json" in output.get("data", {})
    ]
    assert figures
    for figure in figures:
        assert len(figure["layout"]["meta"]["alt"]) > 40
