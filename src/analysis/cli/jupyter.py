"""Notebooks: JupyterLab opened in them, run again as committed, and kernels compiled ahead.

`open_lab` starts a JupyterLab that talks to this machine and to no other. As it comes, JupyterLab
asks for news and for updates, and its extension manager asks the package index. Here all three are
off: the settings that say so travel with the package, and those of the user are neither changed
nor ignored. Its kernels are those of this Python, whatever other kernels the machine has, and it
draws plotly figures itself.

`rerun_all` executes the committed notebooks again. The same answers must give the same bytes, or a
changed number would drown in noise. So everything that differs from run to run or from machine to
machine is taken out before a notebook is written: the state of widgets, outputs of the cells tagged
``interactive``, timings, versions of Python. What is left is text, tables and figures: if they
differ, an answer differs.

`compile_kernels` asks a small log one question of each kind. A kernel is compiled when it is first
called and kept beside its source: the funnel's exact search takes the better part of a minute, the
counts of micro-to-macro some ten seconds. `workbook lab` has that done while the first notebook is
read.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from analysis.core.schema import DataError, UsageError, one_of
from analysis.eventlog.store import replace_file
from analysis.reports.execution import INTERACTIVE, kernel_class, read_notebook, reason_of
from analysis.reports.runs import project_root

NOTEBOOKS = "notebooks"
FIRST_NOTEBOOK = "00_start_here.ipynb"
CELL_TIMEOUT_SECONDS = 600

_PACKAGE = Path(__file__).parent
_PORTS = range(1, 65536)
_WIDGET = "application/vnd.jupyter.widget-view+json"
_KERNEL = {"display_name": "Python 3 (ipykernel)", "language": "python", "name": "python3"}


def open_lab(*, port: int | None = None, browser: bool = True) -> None:
    """Turn this process into JupyterLab, in the notebooks of the project it was called in.

    Raises
    ------
    UsageError
        If there is no project, or no such port.
    """
    folder = project_root(Path.cwd()) / NOTEBOOKS
    command = lab_command(folder, port=port, browser=browser)
    compile_beside(lab_environment())
    # Replaced and not called, so that Ctrl-C and signals reach JupyterLab itself.
    os.execve(command[0], command, lab_environment())


def lab_command(folder: Path, *, port: int | None = None, browser: bool = True) -> list[str]:
    """The command that opens JupyterLab in a folder.

    Parameters
    ----------
    port : on this machine; default: 8888, or the next free one.
    browser : open a browser window; without one the address is only printed.

    Raises
    ------
    UsageError
        If there is no such folder, or no such port.

    Examples
    --------
    >>> command = lab_command(Path("notebooks"), port=8890, browser=False)
    >>> "--ServerApp.port=8890" in command, "--no-browser" in command
    (True, True)
    """
    if not folder.is_dir():
        raise UsageError(
            f"lab: there is no folder {str(folder)!r}. Run it in the project's folder."
        )
    if port is not None and port not in _PORTS:
        raise UsageError(f"lab: port={port}. Allowed: 1 to 65535. Leave it out for a free one.")
    first = folder / FIRST_NOTEBOOK
    command = [
        *(sys.executable, "-m", "jupyterlab"),
        f"--ServerApp.root_dir={folder.resolve()}",
        "--ServerApp.ip=127.0.0.1",
        f"--LabApp.default_url=/lab{'/tree/' + first.name if first.exists() else ''}",
        "--LabApp.news_url=None",
        "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate",
        "--LabApp.extension_manager=readonly",
    ]
    if hasattr(os, "geteuid") and os.geteuid() == 0:
        # In a container there is often nobody else to be; it listens to this machine only.
        command.append("--allow-root")
    command += [] if port is None else [f"--ServerApp.port={port}", "--ServerApp.port_retries=0"]
    return command if browser else [*command, "--no-browser"]


def lab_environment(given: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment in which JupyterLab and its kernels run.

    Examples
    --------
    >>> lab_environment({"PATH": "/bin"})["PLOTLY_RENDERER"]
    'plotly_mimetype'
    """
    environment = dict(given)
    environment["JUPYTER_CONFIG_PATH"] = _first(_PACKAGE, given.get("JUPYTER_CONFIG_PATH"))
    kernels = Path(sys.prefix) / "share" / "jupyter"
    environment["JUPYTER_PATH"] = _first(kernels, given.get("JUPYTER_PATH"))
    environment["PLOTLY_RENDERER"] = "plotly_mimetype"
    # Without bytecode every start of a kernel compiles all its libraries again.
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def _first(folder: Path, others: str | None) -> str:
    return os.pathsep.join([str(folder), *([others] if others else [])])


class Rerun(NamedTuple):
    """A notebook that was executed anew; `changed` if its file holds something else."""

    path: Path
    changed: bool


def rerun_all(names: Sequence[str] = (), *, check: bool = False) -> int:
    """Execute the project's notebooks anew, print what came of it, and return the exit code.

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
        If it is not a notebook, or a cell fails.
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
        If one of the names is not a notebook of the folder.
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
            raise DataError(
                f"{path.name}: a cell failed with {reason_of(vars(error))} Open it to see more: "
                "workbook lab."
            ) from error
        except (DeadKernelError, CellTimeoutError) as error:
            raise DataError(
                f"{path.name}: the kernel stopped or took too long ({type(error).__name__}). "
                "Open it to see more: workbook lab."
            ) from error


def compile_kernels() -> None:
    """Ask a small log one question of each kind, so that the next to ask finds compiled code."""
    from analysis.catalog import Catalog
    from analysis.correlation.counts import exposure_counts
    from analysis.funnels.result import funnel
    from analysis.simulation.log import simulate

    log = simulate(users=200).log
    steps = ["view_item", "add_to_cart", "purchase"]
    for options in ({}, {"order": "any"}):
        funnel(log, steps, **options)  # type: ignore[arg-type]
    roles = {"purchase": "macro", "video_start": "secondary", "footer_click": "control"}
    events = {name: {"role": role} for name, role in roles.items()}
    exposure_counts(log, Catalog.from_mapping({"name": "shop", "events": events}))


def compile_beside(environment: Mapping[str, str]) -> None:
    """Have the kernels compiled by a process of its own, and go on."""
    subprocess.Popen(
        [sys.executable, "-m", "analysis.cli.jupyter"],
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


if __name__ == "__main__":
    compile_kernels()
