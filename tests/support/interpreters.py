"""Other Pythons of this machine, each with an environment of the locked packages."""

from __future__ import annotations

import functools
import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
SUPPORTED = ("3.11", "3.12", "3.13")
CURRENT = f"3.{sys.version_info.minor}"
_LOCK, _PROJECT = ROOT / "requirements.lock", ROOT / "pyproject.toml"


def find(version: str) -> Path | None:
    """A Python of that version that starts: on the PATH, or one of pyenv's."""
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    on_path = shutil.which(f"python{version}")
    candidates = [Path(on_path)] if on_path else []
    candidates += sorted(pyenv.glob(f"versions/{version}.*/bin/python{version}"))
    # A shim of pyenv's lies on the PATH and starts nothing, so each is asked.
    return next((path for path in candidates if _version(path) == version), None)


@functools.cache
def environment(version: str) -> Path:
    """The Python of an environment under ``build/``, made once and again when the lock changes."""
    python = find(version)
    assert python is not None
    folder = ROOT / "build" / f"venv-{version}"
    made = folder / "bin" / "python"
    stamp = folder / "made-from"
    wanted = hashlib.sha256(_LOCK.read_bytes() + _PROJECT.read_bytes()).hexdigest()
    if stamp.exists() and stamp.read_text() == wanted and _version(made) == version:
        return made
    _uv("venv", "--clear", "--python", str(python), str(folder))
    target = ("--python", str(made), "--compile-bytecode")
    _uv("pip", "sync", *target, "--require-hashes", str(_LOCK))
    _uv("pip", "install", *target, "--no-deps", "--no-build-isolation", "--editable", str(ROOT))
    stamp.write_text(wanted)
    return made


def _version(python: Path) -> str:
    asked = "import sys; print('{}.{}'.format(*sys.version_info))"
    done = subprocess.run([str(python), "-c", asked], capture_output=True, text=True)
    return done.stdout.strip() if done.returncode == 0 else ""


def _uv(*arguments: str) -> None:
    command = [str(Path(sys.executable).with_name("uv")), "--quiet", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr}"
