"""Which code, which packages, which bytes: what a report's manifest says of its making.

Enough to make the report again, and nothing of the machine: no path, no host, no user, no hour.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

_DISTRIBUTION = "micro-conversion-workbook"


_COMPUTING = ("numpy", "numba", "pandas", "pyarrow", "scipy", "statsmodels")


_DRAWING = ("plotly", "papermill", "nbconvert")


def code_version() -> dict[str, str | None]:
    """The package's version, and the commit where it runs from a git checkout (else None)."""
    root = Path(__file__).parents[3]
    commit = None
    # A package installed inside somebody's checkout must not take that checkout's commit.
    if (root / "pyproject.toml").exists() and (root / ".git").exists():
        command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
        commit = _said(command, cwd=root)
    return {"version": importlib.metadata.version(_DISTRIBUTION), "commit": commit}


def as_json(content: Mapping[str, Any]) -> str:
    """JSON with sorted keys, one fact a line: equal content is equal text.

    Examples
    --------
    >>> print(as_json({"b": 1, "a": "ü"}), end="")
    {
     "a": "ü",
     "b": 1
    }
    """
    text = json.dumps(content, indent=1, sort_keys=True, ensure_ascii=False, allow_nan=False)
    return f"{text}\n"


def package_versions() -> dict[str, str]:
    """The versions of the packages that can change a number or a picture."""
    return {name: importlib.metadata.version(name) for name in _COMPUTING + _DRAWING}


def checksums(files: Mapping[str, str]) -> dict[str, str]:
    """The SHA-256 of each file's text, by name."""
    return {name: hashlib.sha256(text.encode()).hexdigest() for name, text in files.items()}


def notebook_checksum(notebook: Path) -> str:
    """The SHA-256 of what runs in a notebook; the outputs it was committed with do not count."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    parts = [[cell["cell_type"], "".join(cell["source"])] for cell in cells]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _said(command: list[str], *, cwd: Path) -> str | None:
    environment = {**os.environ, "GIT_OPTIONAL_LOCKS": "0"}
    try:
        done = subprocess.run(
            command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        return None
    return done.stdout.strip() or None
