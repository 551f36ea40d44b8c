"""Tiny notebooks, logs and projects for the tests of reports."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
import pandas as pd
from nbformat import v4

from analysis.eventlog.log import EventLog

PARAMETERS = """
data: str = "nowhere"
period_start: str = ""
period_end: str = ""
time_zone: str = "UTC"
window: str = "7d"
by: str | None = "a=b"
report: bool = False
"""
EMIT = """
from analysis.reports import emit
emit(headline="Entered: 3.", numbers={"rate": {"value": 1 / 3, "n": 3, "low": float("nan")}})
"""


def notebook(
    *cells: str, parameters: str = PARAMETERS, tags: tuple[str, ...] = ("parameters",)
) -> Any:
    first = v4.new_code_cell(parameters, metadata={"tags": list(tags)})
    rest = [v4.new_code_cell(cell) if isinstance(cell, str) else cell for cell in cells]
    made = v4.new_notebook(cells=[v4.new_markdown_cell("# Tiny"), first, *rest])
    for number, cell in enumerate(made.cells):
        cell.id = f"cell-{number}"
    return made


def write_notebook(folder: Path, *cells: str, name: str = "tiny", **options: Any) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.ipynb"
    nbformat.write(notebook(*cells, **options), path)
    return path


def write_log(folder: Path, *, covers_until: str = "2026-09-07", event: str = "visit") -> EventLog:
    """Three people who come on the first three days of August 2026."""
    frame = pd.DataFrame(
        {
            "user": ["ann", "bob", "cem"],
            "time": pd.to_datetime(["2026-08-03", "2026-08-04", "2026-08-05"]),
            "event": event,
        }
    )
    log = EventLog.from_frame(frame, covers_until=covers_until)
    log.save(folder)
    return log


def write_project(root: Path, *cells: str, parameters: str = 'window = "7d"', **log: Any) -> Path:
    """A project with one notebook, one log and one weekly definition called ``tiny``."""
    write_notebook(root / "notebooks", *(cells or (EMIT,)))
    write_log(root / "data" / "log", **log)
    definitions = root / "reports" / "definitions"
    definitions.mkdir(parents=True)
    (definitions / "tiny.toml").write_text(
        'notebook = "tiny"\ntitle = "Tiny"\ndata = "data/log"\nperiod = "week"\n'
        f"[parameters]\n{parameters}\n"
    )
    return root
