"""Run a notebook from its first cell to its last, and notice when that is not what happened.

papermill does the running. It treats several failures as success, so around it this module
checks: a cell that leaves by ``sys.exit(0)`` and takes the rest with it, cells never run, a
parameter that nobody reads, a missing ``parameters`` tag, values that would arrive as text. A cell
has run when the kernel replied so, whatever the saved notebook says of itself. Each failure is one
line: the notebook, the cell, what it said.

The kernel is this Python's own. Jupyter looks a kernel called ``python3`` up along paths of the
user and the machine, so another program's kernel of that name can take its place and run the
report with other packages. Here the list of paths is empty, which leaves the one kernel that
belongs to the running interpreter. It has nobody's profile, and where possible its sockets are
files, so that a report needs no network.
"""

from __future__ import annotations

import contextlib
import errno
import json
import logging
import os
import re
import shutil
import socket
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analysis.core.schema import ReportError, did_you_mean
from analysis.core.wording import system_error
from analysis.reports.definition import check_values, read_parameters

if TYPE_CHECKING:
    from jupyter_client.manager import AsyncKernelManager

CELL_TIMEOUT_SECONDS = 600
INTERACTIVE = "interactive"
LOG_FILE = "kernel.log"

_CONNECTION_FILE = "kernel.json"
_INJECTED = "injected-parameters"
_LONGEST_REASON = 300
_BEFORE = "before its first cell"
_LEAST_ROOM = 100_000
"""Bytes of a disk that is not full: as many as a kernel's own files need."""

_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_ARROW = re.compile(r"^-+> \d+ +(.+)$", re.MULTILINE)
_SEE_MORE = "Run the notebook to see more: workbook lab."


def execute(
    path: Path,
    parameters: Mapping[str, Any],
    *,
    scratch: Path,
    timeout_seconds: int = CELL_TIMEOUT_SECONDS,
) -> Any:
    """The notebook, run to its end with these parameters in the place of its own.

    Parameters
    ----------
    path : the notebook's file, which is not changed; the kernel works in its folder. Cells
        tagged ``interactive`` are left out.
    parameters : plain data for names that the notebook's parameters cell has.
    scratch : an empty folder for the kernel's own files; the caller removes it.
    timeout_seconds : the longest that one cell may take.

    Returns
    -------
    The executed notebook (nbformat 4).

    Raises
    ------
    ReportError
        If any cell did not run to its end: an exception, an exit, a killed kernel, a time-out;
        or there is no kernel to run it.
    UsageError
        If a parameter is unknown to the notebook or of the wrong type.
    """
    notebook = read_notebook(path)
    values = check_values(parameters, read_parameters(notebook, path.stem), path.stem)
    started: list[str] = []
    succeeded: list[str] = []
    failed: dict[str, str] = {}

    def note(cell: Any, execute_reply: Any, **_: Any) -> None:
        reply = execute_reply["content"]
        # A magic that runs code, such as %%capture, shows its error and still replies "ok".
        shown = [output for output in cell.outputs if output["output_type"] == "error"]
        if reply["status"] != "ok":
            failed[cell.id] = reason_of(reply)
        elif shown:
            failed[cell.id] = reason_of(shown[0])
        else:
            succeeded.append(cell.id)

    def where() -> str:
        return _place(notebook, [*started, *list(failed)[:1]][-1]) if started else _BEFORE

    def why(error: Any) -> str:
        # A magic that fails leaves no error in the notebook; the kernel's reply says what it was.
        return next(iter(failed.values()), "") or reason_of(vars(error))

    with _quiet("papermill", "traitlets"), _one_line_failures(path.stem, where, why, scratch):
        done = _papermill(
            notebook,
            values,
            scratch=scratch,
            cwd=path.parent,
            execution_timeout=timeout_seconds,
            on_cell_execute=lambda cell, **_: started.append(cell.id),
            on_cell_executed=note,
        )
    for cell in notebook.cells:
        if _is_run(cell) and cell.id not in succeeded:
            raise ReportError(
                f"{path.stem}: {_place(notebook, cell.id)} did not run to its end: "
                f"{_why_not(done, cell.id)} Nothing may stop a report half-way. {_SEE_MORE}"
            )
    return done


def read_notebook(path: Path) -> Any:
    """The notebook in a file, as nbformat reads it, without what an earlier run injected.

    Raises
    ------
    ReportError
        If there is no such notebook, or the file is not one, or it is not Python's.
    """
    import nbformat

    if not path.is_file():
        there = [other.stem for other in sorted(path.parent.glob("*.ipynb"))]
        raise ReportError(
            f"there is no notebook {path.stem!r} in the folder '{path.parent.name}'."
            f"{did_you_mean(path.stem, there)} There are: {', '.join(there) or 'none'}."
        )
    try:
        text = path.read_text(encoding="utf-8")
        content = json.loads(text)
        if not isinstance(content, dict) or content.get("nbformat") != 4:
            raise ValueError("it does not say that it is one of format 4")
        notebook = nbformat.reads(text, as_version=4)
        nbformat.validate(notebook)
    except (ValueError, TypeError, nbformat.ValidationError) as error:
        raise ReportError(
            f"'{path.name}' is not a notebook: {_one_line(str(error))} Restore the file."
        ) from error
    language = notebook.metadata.get("kernelspec", {}).get("language", "python")
    if language != "python":
        raise ReportError(
            f"'{path.name}' is written in {language}, and reports run Python notebooks. "
            "Choose another notebook."
        )
    notebook = nbformat.v4.upgrade(notebook)
    notebook.cells = [cell for cell in notebook.cells if _INJECTED not in _tags(cell)]
    return notebook


def _tags(cell: Any) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _papermill(
    notebook: Any, values: dict[str, Any], *, scratch: Path, cwd: Path, **options: Any
) -> Any:
    import papermill

    return papermill.execute_notebook(
        notebook,
        None,
        parameters=values,
        kernel_name="python3",
        language="python",
        progress_bar=False,
        store_widget_state=False,
        skip_cells_with_tag=INTERACTIVE,
        kernel_manager_class=kernel_class(scratch, cwd),
        extra_arguments=[
            "--HistoryManager.enabled=False",
            "--IPKernelApp.extra_extensions=analysis.reports.magics",
        ],
        # When its last cell has replied a kernel has nothing left to do; asking it takes a second.
        shutdown_kernel="immediate",
        **options,
    )


@contextlib.contextmanager
def _one_line_failures(
    name: str, where: Callable[[], str], why: Callable[[Any], str], scratch: Path
) -> Iterator[None]:
    from jupyter_client.kernelspec import NoSuchKernel
    from nbclient.exceptions import CellTimeoutError, DeadKernelError
    from papermill import PapermillExecutionError

    try:
        yield
    except PapermillExecutionError as error:
        raise ReportError(f"{name}: {where()} failed: {why(error)} {_SEE_MORE}") from error
    except CellTimeoutError as error:
        raise ReportError(
            f"{name}: {where()} took longer than it may. Make it faster, or allow more time with "
            "--timeout SECONDS."
        ) from error
    except DeadKernelError as error:
        raise ReportError(
            f"{name}: {where()} ended its kernel, which was killed, crashed or ran out of memory. "
            + _SEE_MORE
        ) from error
    except NoSuchKernel as error:
        raise ReportError(
            f"{name}: this Python has no Jupyter kernel. Install it with: pip install ipykernel."
        ) from error
    except RuntimeError as error:
        if where() != _BEFORE:
            raise
        full = shutil.disk_usage(scratch).free < _LEAST_ROOM
        if full:  # whatever the kernel said of it found no room either
            raise ReportError(
                f"{name}: {system_error(OSError(errno.ENOSPC, '', str(scratch.parent.parent)))}"
            ) from error
        last_words = _last_words(scratch)
        raise ReportError(
            f"{name}: the kernel did not start: {_one_line(str(error))}{last_words} Set up the "
            "environment again, with: make."
        ) from error


def reason_of(reply: Mapping[str, Any]) -> str:
    """Why a cell failed, in one line, from the kernel's reply or an error that was kept.

    Examples
    --------
    >>> reason_of({"ename": "UsageError", "evalue": "Line magic function `%x` not found."})
    'UsageError: Line magic function `%x` not found.'
    >>> lines = ["KeyError  Traceback", "Cell In[2], line 1\\n----> 1 raise KeyError()"]
    >>> reason_of({"ename": "KeyError", "evalue": "", "traceback": lines})
    'KeyError at: raise KeyError().'
    """
    name, said = reply["ename"], str(reply["evalue"]).strip()
    if not said:
        told = reply.get("traceback") or []
        text = told if isinstance(told, str) else "\n".join(told)
        lines = _ARROW.findall(_COLORS.sub("", text))
        return _one_line(f"{name} at: {lines[-1]}" if lines else f"{name}, and nothing more")
    return _one_line(f"{name}: {said}")


def _last_words(scratch: Path) -> str:
    log = scratch / LOG_FILE
    lines = log.read_text(errors="replace").split("\n") if log.exists() else []
    words = [line.strip() for line in lines if line.strip()]
    return f" It said: {_one_line(words[-1])}" if words else ""


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    if len(line) > _LONGEST_REASON:
        line = line[: _LONGEST_REASON - 1] + "…"
    return line if line.endswith((".", "…", "!", "?")) else f"{line}."


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keep libraries from telling on the terminal what the one line of an error says better."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def _is_run(cell: Any) -> bool:
    return cell.cell_type == "code" and bool(cell.source.strip()) and INTERACTIVE not in _tags(cell)


def _place(notebook: Any, cell_id: str) -> str:
    """The cell as a person counts: code cells from 1, without the one papermill adds."""
    ids = [cell.id for cell in notebook.cells if cell.cell_type == "code"]
    return f"code cell {ids.index(cell_id) + 1}" if cell_id in ids else "the injected parameters"


def _why_not(done: Any, cell_id: str) -> str:
    for cell in done.cells:
        for output in cell.get("outputs", []):
            if cell.id == cell_id and output.output_type == "error":
                return reason_of(output)
    return "an earlier cell left the notebook."


# The kernel


def kernel_class(scratch: Path, cwd: Path) -> type[AsyncKernelManager]:
    """A kernel manager for one run: its files in `scratch`, its working folder `cwd`."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager

    class RunKernel(AsyncKernelManager):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            options["kernel_spec_manager"] = KernelSpecManager(kernel_dirs=[])
            options["connection_file"] = str(scratch / _CONNECTION_FILE)
            options["transport"] = "ipc" if files_can_be_sockets(scratch) else "tcp"
            super().__init__(**options)

        async def start_kernel(self, **options: Any) -> None:  # type: ignore[override]
            with (scratch / LOG_FILE).open("wb") as log:
                await super().start_kernel(
                    **{**options, "cwd": str(cwd), "env": kernel_environment(scratch)},
                    stdout=log,
                    stderr=log,
                )

    return RunKernel


def kernel_environment(scratch: Path) -> dict[str, str]:
    """The kernel's environment variables: as here, but the same for everyone.

    Compiled bytecode is kept, or every start pays for it in seconds; text hashes the same way in
    every run; IPython's profile, startup files and history are an empty folder.
    """
    environment = {**os.environ, "PYTHONHASHSEED": "0", "IPYTHONDIR": str(scratch / "ipython")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    return environment


def files_can_be_sockets(folder: Path) -> bool:
    """Whether a socket can be a file here: not on every network drive, nor in a long path."""
    if not hasattr(socket, "AF_UNIX"):
        return False
    probe = folder / "kernel-ipc-00000"
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            listener.bind(str(probe))
        except OSError:
            return False
    probe.unlink()
    return True
