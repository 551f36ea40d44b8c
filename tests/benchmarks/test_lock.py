"""The engines to compare with are locked like everything else."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
LOCK = (ROOT / "requirements-bench.lock").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def pins(text: str) -> set[str]:
    return set(re.findall(r"^[A-Za-z0-9_.-]+==[^\\]+?(?= *\\?$)", text, re.M))


def test_the_lock_covers_the_group_with_hashes_and_no_addresses() -> None:
    assert not re.search(r"://|^--|\bfile:", LOCK, re.M)
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]
    names = {pin.split("==")[0] for pin in pins(LOCK)}
    for spec in PROJECT["dependency-groups"]["bench"]:
        assert re.match(r"[A-Za-z0-9_.-]+", spec)[0] in names  # type: ignore[index]


def test_both_locks_can_be_installed_together() -> None:
    ours = pins((ROOT / "requirements.lock").read_text())
    shared = {pin.split("==")[0] for pin in ours}
    for pin in pins(LOCK):
        assert pin in ours or pin.split("==")[0] not in shared
