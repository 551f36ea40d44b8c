"""The committed notebooks: executed on the demo data, so that they can be read without running.

Running them again must give the same bytes, or a changed number would drown in noise. So whatever
differs from run to run or from machine to machine is taken out before a notebook is written:
widgets' state, outputs of the cells tagged ``interactive``, timings, versions of Python. What is
left is text, tables and figures; a difference in those is a difference in an answer.
"""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.core.schema import DataError, one_of
from analysis.eventlog.store import replace_file
from analysis.reports.execution import INTERACTIVE, read_notebook
from analysis.reports.kernel import kernel_class
from analysis.reports.runs import project_root

NOTEBOOKS = "notebooks"


CELL_TIMEOUT_SECONDS = 600


_WIDGET = "application/vnd.jupyter.widget-view+json"


_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


class Rerun(NamedTuple):
    """A notebook that was executed anew; `changed` if its file holds something else."""

    path: Path
    changed: bool


def rerun_all(names: Sequence[str] = (), *, check: bool = False) -> int:
    """Execute the project's notebooks anew, tell what came of it, and return the exit code.

    Parameters
    ----------
    names : which ones; default: all. check : change no file; the code is 1 if one would change.

    Raises
    ------
    UsageError
        If there is no project here, or no notebook of that name.
    DataError
        If a cell fails.
    """
    changed = False
    for path in notebook_paths(project_root(Path.cwd()) / NOTEBOOKS, names):
        made = rerun(path, write=not check)
        changed |= made.changed
        what = "is as committed" if not made.changed else "differs" if check else "written anew"
        print(f"{path.name}: {what}", flush=True)
    return int(check and changed)


def rerun(path: Path, *, write: bool = True) -> Rerun:
    """Does a notebook still say what it said? Execute it anew and compare.

    Parameters
    ----------
    path : the notebook; its kernel works in its folder.
    write : replace the file where it differs.

    Raises
    ------
    DataError
        If it is no notebook, or a cell fails.
    """
    before = path.read_text("utf-8") if path.is_file() else ""
    after = as_committed(_executed(path))
    changed = before != after
    if changed and write:
        replace_file(path, after)
    return Rerun(path, changed)


def notebook_paths(folder: Path, names: Sequence[str] = ()) -> list[Path]:
    """The notebooks of a folder by name, or those that are named (without ``.ipynb``).

    Raises
    ------
    UsageError
        If one of the names is no notebook of the folder.
    """
    there = {path.stem: path for path in sorted(folder.glob("*.ipynb"))}
    asked = [name.removesuffix(".ipynb") for name in names]
    return [there[one_of("notebooks: name", name, there)] for name in asked or there]


def as_committed(notebook: Any) -> str:
    """An executed notebook as the text of its file, without what differs from run to run."""
    import nbformat

    for cell in notebook.cells:
        tags = cell.metadata.get("tags", [])
        cell.metadata = nbformat.from_dict({"tags": tags} if tags else {})
        if cell.cell_type == "code":
            kept = [] if INTERACTIVE in tags else cell.outputs
            cell.outputs = [o for o in kept if _WIDGET not in o.get("data", {})]
    notebook.metadata = nbformat.from_dict(
        {"kernelspec": _KERNEL, "language_info": {"name": "python"}}
    )
    return nbformat.writes(notebook).rstrip("\n") + "\n"


def _executed(path: Path) -> Any:
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError as CellFailed
    from nbclient.exceptions import CellTimeoutError, DeadKernelError

    notebook = read_notebook(path)
    with tempfile.TemporaryDirectory(prefix="workbook-") as scratch:
        client = NotebookClient(
            notebook,
            kernel_name="python3",
            timeout=CELL_TIMEOUT_SECONDS,
            store_widget_state=False,
            record_timing=False,
            coalesce_streams=True,
            extra_arguments=["--HistoryManager.enabled=False"],
            kernel_manager_class=kernel_class(Path(scratch), path.parent),
        )
        try:
            return client.execute()
        except CellFailed as error:
            said = " ".join([f"{error.ename}:", *error.evalue.splitlines()[:1]])
            raise DataError(
                f"{path.name}: a cell failed with {said} Open it to see more: workbook lab."
            ) from error
        except (DeadKernelError, CellTimeoutError) as error:
            raise DataError(
                f"{path.name}: the kernel stopped or took too long ({type(error).__name__}). "
                "Open it to see more: workbook lab."
            ) from error
