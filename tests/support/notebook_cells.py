"""The code cells of a committed notebook, run in this process: quicker than a kernel of its own."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import Any

import IPython.display
import pytest

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


def run_cells(name: str, patch: pytest.MonkeyPatch, **parameters: Any) -> list[Any]:
    """Run all cells with other parameters; returns everything that was shown, in order.

    A report's cells (``report=True``) leave out those that are interactive, as a schedule does.
    """
    shown: list[Any] = []

    def display(*values: Any, **_: Any) -> None:
        shown.extend(values)

    patch.setattr(IPython.display, "display", display)
    patch.chdir(NOTEBOOKS)
    names: dict[str, Any] = {"display": display, "__name__": "__main__"}
    cells = json.loads((NOTEBOOKS / f"{name}.ipynb").read_text("utf-8"))["cells"]
    for number, cell in enumerate(cell for cell in cells if cell["cell_type"] == "code"):
        tags = cell["metadata"].get("tags", [])
        if parameters.get("report") and "interactive" in tags:
            continue
        body = ast.parse("".join(cell["source"])).body
        where = f"{name}, code cell {number + 1}"
        last = body.pop() if body and isinstance(body[-1], ast.Expr) else None
        exec(compile(ast.Module(body, []), where, "exec"), names)  # noqa: S102
        if isinstance(last, ast.Expr):
            code = compile(ast.Expression(last.value), where, "eval")
            shown.append(eval(code, names))  # noqa: S307
        if "parameters" in tags:
            names |= parameters
    return shown
