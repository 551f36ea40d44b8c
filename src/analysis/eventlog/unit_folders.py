"""Where a log keeps itself regrouped, and when that may go.

::

    shop/units/account-1f0c…-<fingerprint>/    the log of accounts, as any other log's folder

The name holds the fingerprint of the log it was made from, so one that belongs to an older state
is never taken for the present one. Builders wait for each other; readers wait for nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

UNITS: Final = "units"


_LOCK: Final = ".lock"


_LONGEST: Final = 40


def unit_folder(folder: Path, name: str, fingerprint: str) -> Path:
    """Where the log in `folder`, in the state of that fingerprint, keeps itself by a property.

    Examples
    --------
    >>> unit_folder(Path("shop"), "account id", "00ff").name
    'account-id-62c33706-00ff'
    """
    plain = re.sub(r"[^0-9A-Za-z]+", "-", name).strip("-")[:_LONGEST]
    apart = hashlib.blake2b(name.encode(), digest_size=4).hexdigest()
    return folder / UNITS / f"{plain}-{apart}-{fingerprint}"


@contextlib.contextmanager
def building(place: Path) -> Iterator[Path]:
    """Be the only builder; yields a folder to fill, which becomes `place` when all went well.

    What builders that died have left behind goes, and so does what was made from another state
    of the log.
    """
    units = place.parent
    units.mkdir(exist_ok=True)
    with _locked(units, wait=True):
        _sweep(units, keep=place.name.rsplit("-", 1)[1], drafts=True)
        draft = units / f".{secrets.token_hex(4)}.tmp"
        try:
            yield draft
            if draft.exists():
                shutil.rmtree(place, ignore_errors=True)
                os.replace(draft, place)
        finally:
            shutil.rmtree(draft, ignore_errors=True)


def drop_units(folder: Path, *, keep: str | None = None) -> None:
    """Remove what the log in `folder` keeps of itself, but for the state of fingerprint `keep`.

    A reader that has it mapped keeps it; only its names go. A builder at work is not disturbed:
    it sees for itself that the log has changed.
    """
    units = folder / UNITS
    if not units.is_dir():
        return
    with _locked(units, wait=False) as alone:
        _sweep(units, keep=keep, drafts=alone)
        if alone and keep is None:
            shutil.rmtree(units, ignore_errors=True)


def _sweep(units: Path, *, keep: str | None, drafts: bool) -> None:
    for place in units.iterdir():
        if place.name.startswith("."):
            gone = drafts and place.name != _LOCK
        else:
            gone = keep is None or not place.name.endswith(f"-{keep}")
        if gone:
            shutil.rmtree(place, ignore_errors=True)


@contextlib.contextmanager
def _locked(units: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the lock; yields whether we do, which without `wait` somebody may prevent."""
    handle = os.open(units / _LOCK, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
    finally:
        os.close(handle)
