"""The committed notebooks say what the code says: nbval, strictly, and proof that it is strict."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.nbval_runs import NOTEBOOKS, ROOT, code_cells, nbval

PLOTLY = "application/vnd.plotly.v1+json"


@pytest.mark.usefixtures("demo")
def test_committed_notebooks_still_say_what_they_said() -> None:
    paths = sorted(NOTEBOOKS.glob("*.ipynb"))
    run = nbval(paths)
    assert not run.failed, run.output
    expected = {
        (path.name, number)
        for path in paths
        for number in range(len(code_cells(json.loads(path.read_text("utf-8")))))
    }
    assert run.passed == expected


def change_text(notebook: dict[str, Any]) -> int:
    """One digit in a table."""
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell["outputs"]:
            html = "".join(output.get("data", {}).get("text/html", ""))
            if "<td>" in html:
                output["data"]["text/html"] = re.sub(r"<td>(\d)", _other_digit, html, count=1)
                return number
    raise AssertionError("no table to change")


def change_figure(notebook: dict[str, Any]) -> int:
    """The length of one bar, in the tenth digit."""
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell["outputs"]:
            if PLOTLY in output.get("data", {}):
                bar = next(t for t in output["data"][PLOTLY]["data"] if t["type"] == "bar")
                bar["x"][-1] += 1e-10
                return number
    raise AssertionError("no figure to change")


def change_sentence(notebook: dict[str, Any]) -> int:
    """One digit in printed words."""
    for number, cell in enumerate(code_cells(notebook)):
        for output in cell["outputs"]:
            if output["output_type"] == "stream":
                output["text"] = re.sub(r"\d", _other_digit, "".join(output["text"]), count=1)
                return number
    raise AssertionError("no printed words to change")


def break_panel(notebook: dict[str, Any]) -> int:
    """A cell tagged interactive is not compared, but it has to run."""
    cells = code_cells(notebook)
    (number,) = [k for k, c in enumerate(cells) if "interactive" in c["metadata"].get("tags", [])]
    cells[number]["source"] = 'raise ValueError("broken")'
    return number


def _other_digit(found: re.Match[str]) -> str:
    return found[0][:-1] + str((int(found[0][-1]) + 1) % 10)


MUTATIONS: list[tuple[str, Callable[[dict[str, Any]], int]]] = [
    ("00_start_here", change_text),
    ("00_start_here", change_figure),
    ("00_start_here", change_sentence),
    ("02_funnels", break_panel),
]


@pytest.mark.usefixtures("demo")
def test_a_changed_number_anywhere_makes_it_fail(tmp_path: Path) -> None:
    (tmp_path / "data").symlink_to(ROOT / "data")
    folder = tmp_path / "notebooks"
    folder.mkdir()
    expected = set()
    for name, mutate in MUTATIONS:
        notebook = copy.deepcopy(json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8")))
        path = folder / f"{mutate.__name__}.ipynb"
        expected.add((path.name, mutate(notebook)))
        path.write_text(json.dumps(notebook), "utf-8")
    run = nbval(sorted(folder.glob("*.ipynb")))
    assert run.failed == expected, run.output
    assert run.passed
