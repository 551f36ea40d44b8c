"""Writers of a log in processes of their own, so that they can be killed at any instant."""

from __future__ import annotations

import multiprocessing
import os
import resource
import shutil
import signal
from pathlib import Path
from typing import Any

from analysis.eventlog.folder import only_writer
from analysis.eventlog.maintenance import forget
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

MAPPING = ColumnMapping(duplicates={"buy": ("order",)})
# A server that has imported everything forks the writers: starting one costs milliseconds.
CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(["analysis.sources.ingest", "analysis.eventlog.maintenance"])


def write(kind: str, folder: Path) -> None:
    """What a command does to the log in `folder`; the files lie beside it."""
    if kind == "import":
        import_files([folder.parent / "a.csv"], MAPPING, folder, shards=4)
    elif kind == "append":
        import_files([folder.parent / "b.csv"], MAPPING, folder, append=True)
    else:
        forget(folder, ["u3", "bad-user"])


def start(kind: str, folder: Path, **options: Any) -> tuple[Any, Any]:
    """A writer that says when it begins, and what went wrong in the end."""
    here, there = CONTEXT.Pipe(duplex=False)
    process = CONTEXT.Process(target=_work, args=(kind, folder, there, options), daemon=True)
    process.start()
    there.close()
    assert here.recv() == "begin"
    return process, here


def _work(kind: str, folder: Path, pipe: Any, options: dict[str, Any]) -> None:
    if "die_at" in options:
        _at(options["die_at"], lambda: os.kill(os.getpid(), signal.SIGKILL))
    if "tell_at" in options:
        _at(options["tell_at"], lambda: pipe.send("now"))
    if "file_size" in options:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["file_size"], options["file_size"]))
    if "user" in options:
        os.seteuid(options["user"])
    pipe.send("begin")
    try:
        if kind == "hold":
            with only_writer(folder):
                pipe.send("held")
                signal.pause()
        write(kind, folder)
        pipe.send(None)
    except Exception as error:
        pipe.send((type(error).__name__, str(error)))


def _at(step: int, act: Any) -> None:
    """Call `act` right before this process's n-th step that changes what a disk holds."""
    left = [step]

    def counting(action: Any) -> Any:
        def run(*args: Any, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                act()
            return action(*args, **options)

        return run

    for module, name in (
        (os, "fsync"),
        (os, "replace"),
        (os, "unlink"),
        (os, "mkdir"),
        (os, "rmdir"),
        (shutil, "rmtree"),
    ):
        setattr(module, name, counting(getattr(module, name)))
