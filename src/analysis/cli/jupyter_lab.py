"""JupyterLab in the notebooks' folder, which talks to this machine and to no other.

As it comes, JupyterLab asks for news and for updates, and its extension manager asks the package
index. Here all three are off: the settings that say so travel with the package, and those of the
user are neither changed nor ignored. Kernels are those of this Python, whatever other kernels the
machine has, and figures are plotly bundles that Lab draws itself.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path

from analysis.cli.jupyter import NOTEBOOKS
from analysis.cli.kernels import compile_beside
from analysis.core.schema import UsageError
from analysis.reports.runs import project_root

FIRST_NOTEBOOK = "00_start_here.ipynb"


_PORTS = range(1, 65536)


_PACKAGE = Path(__file__).parent


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
    if os.geteuid() == 0:
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
