"""The kernel that runs a report: this Python, nobody's profile, sockets that are files.

Jupyter looks a kernel called ``python3`` up along paths of the user and the machine, so another
program's kernel of that name can take its place and run the report with other packages. Here the
list of paths is empty, which leaves the one kernel that belongs to the running interpreter.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path
from typing import Any

from jupyter_client.kernelspec import KernelSpecManager
from jupyter_client.manager import AsyncKernelManager

LOG_FILE = "kernel.log"


_CONNECTION_FILE = "kernel.json"


def kernel_class(scratch: Path, cwd: Path) -> type[AsyncKernelManager]:
    """A kernel manager for one run: its files in `scratch`, its working folder `cwd`."""

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
