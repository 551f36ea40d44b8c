"""Run nbval on notebooks in a process of its own, and read which cells it failed."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
SANITIZE = Path(__file__).parents[1] / "notebooks" / "sanitize.cfg"
_OUTCOME = re.compile(r"^(PASSED|FAILED|ERROR) (\S+)::Cell (\d+)", re.MULTILINE)


class Run(NamedTuple):
    """Cells by what became of them, as (notebook's file name, number of the code cell)."""

    passed: set[tuple[str, int]]
    failed: set[tuple[str, int]]
    output: str


def nbval(paths: Sequence[Path], *, python: str = sys.executable, workers: int = 2) -> Run:
    """Execute notebooks and compare every output strictly with the one in the file."""
    command = [python, "-m", "pytest", "--nbval", "--nbval-current-env"]
    command += ["--nbval-sanitize-with", str(SANITIZE), "--nbval-cell-timeout", "120"]
    # Nothing of this project's own test settings: only the notebooks are collected.
    command += ["-c", os.devnull, "--rootdir", str(paths[0].parent), "-p", "no:cacheprovider"]
    command += ["-rA", "--color=no", "-q", "-n", str(workers), "--dist", "loadfile"]
    environment = {**os.environ, "PYTHONHASHSEED": "0"}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(
        [*command, *map(str, paths)],
        cwd=paths[0].parent,
        env=environment,
        capture_output=True,
        text=True,
        timeout=900,
    )
    output = done.stdout + done.stderr
    cells: dict[str, set[tuple[str, int]]] = {"PASSED": set(), "FAILED": set(), "ERROR": set()}
    for what, notebook, number in _OUTCOME.findall(output):
        cells[what].add((Path(notebook).name, int(number)))
    assert done.returncode in (0, 1), output
    return Run(cells["PASSED"], cells["FAILED"] | cells["ERROR"], output)


def code_cells(notebook: dict) -> list[dict]:
    """The code cells in order; nbval numbers them from 0."""
    return [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
