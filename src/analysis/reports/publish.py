"""Put a finished report where people look, whole or not at all.

::

    reports/weekly/2026-W46/          what people open
    reports/weekly/2026-W46.failed/   the quality gate said no; beside the last good one
    reports/.work/                    where one run at a time prepares; gone when it ends

A report is written and synced in ``.work``, then renamed into place. Two renames replace a report
that is there (the old one aside, the new one in), because no portable call swaps two folders; a
crash between them leaves the old one under ``.<period>.old``, and the next run puts it back
before it does anything else. At no instant is there half a report.

One run works in a folder of reports at a time: it holds a lock that the system lets go of when
the run ends, however it ends. What a killed run left in ``.work`` is removed by the next.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO

from analysis.core.schema import UsageError
from analysis.reports.numbers import ReportError
from analysis.reports.render import MANIFEST, NUMBERS, PAGE

WORK, FAILED = ".work", ".failed"


_LOCK, _ASIDE = "lock", ".old"


Say = Callable[[str], None]
"""Is told, in one line, what a run is doing."""


class Busy(ReportError):
    """Another run is at work in the same folder of reports."""


@contextlib.contextmanager
def workspace(to: Path, *, waiting: Say | None = None) -> Iterator[Path]:
    """A hidden folder to prepare reports in, for one run at a time; gone afterwards.

    Parameters
    ----------
    to : the folder of reports, made if it is not there.
    waiting : is told that another run is at work, whose end is then waited for; without it that
        is an error.

    Raises
    ------
    Busy
        If another run is at work there and `waiting` is not given.
    """
    made = [folder for folder in (to, *to.parents) if not folder.exists()]
    work = to / WORK
    lock = _locked(work, waiting)
    try:
        _clear(work)
        recover(to)
        yield work
    finally:
        _clear(work)
        (work / _LOCK).unlink(missing_ok=True)
        lock.close()
        for folder in (work, *made):
            # Another run may have come in, and a folder with reports in it stays.
            with contextlib.suppress(OSError):
                folder.rmdir()


def publish(staged: Path, target: Path) -> None:
    """Make a finished report the one that people see, in the place of the one that is there.

    Parameters
    ----------
    staged : the folder with the finished files, on the same file system; target : where to.
    """
    for path in (staged / PAGE, staged / NUMBERS, staged / MANIFEST, staged):
        _sync(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    aside = _aside(target)
    if target.exists():
        os.rename(target, aside)
    try:
        os.rename(staged, target)
    except BaseException:
        _put_back(aside)
        raise
    _sync(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def recover(to: Path) -> None:
    """Put back every report that a crash left aside; drop what was replaced already."""
    for aside in to.glob(f"*/.*{_ASIDE}"):
        _put_back(aside)


def is_published(to: Path, report: str, label: str) -> bool:
    """Whether a report of that period is there, whole."""
    return (to / report / label / MANIFEST).is_file()


def _aside(target: Path) -> Path:
    return target.with_name(f".{target.name}{_ASIDE}")


def _put_back(aside: Path) -> None:
    target = aside.with_name(aside.name[1:].removesuffix(_ASIDE))
    if not aside.exists():
        return
    if target.exists():
        shutil.rmtree(aside)
    else:
        os.rename(aside, target)


def _locked(work: Path, waiting: Say | None) -> IO[bytes]:
    busy = f"another run is at work in '{work.parent.name}'"
    while True:
        try:
            work.mkdir(parents=True, exist_ok=True)
            lock = (work / _LOCK).open("ab")
        except FileNotFoundError:
            continue
        except OSError as error:
            raise UsageError(
                f"reports cannot be written to '{work.parent}' ({error.strerror}). "
                "Name another folder with --to DIR."
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            if waiting is None:
                lock.close()
                raise Busy(f"{busy}. Run again when it has ended.") from None
            waiting(f"{busy}; waiting for it to end.")
            fcntl.flock(lock, fcntl.LOCK_EX)
        # The run before removes its lock as it ends; what we hold must still be the one there.
        with contextlib.suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(lock.fileno()), os.stat(work / _LOCK)):
                return lock
        lock.close()


def _clear(work: Path) -> None:
    for path in work.iterdir():
        if path.name != _LOCK:
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
