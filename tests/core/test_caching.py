"""The library computes where nothing that it compiles can be kept, and says so once."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import analysis

ASK = """
    import warnings
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        import analysis
        import numba
        import pandas as pd
        log = analysis.EventLog.from_frame(pd.DataFrame({
            "user": ["ann", "ann", "bob"], "event": ["cart", "buy", "cart"],
            "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-01"])}))
        print(log.summary()["events"].tolist())
    print(sum("can be kept nowhere" in str(each.message) for each in said))
    try:
        numba.njit(cache=True)(lambda x: x)
    except RuntimeError:
        print("others' kernels are left alone")
"""


def copied(tmp_path: Path) -> Path:
    """A copy of the package in which no ``__pycache__`` can be made, for root neither."""
    package = tmp_path / "site" / "analysis"
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(analysis.__file__).parent, package, ignore=ignored)
    for folder in [package, *(path for path in package.rglob("*") if path.is_dir())]:
        (folder / "__pycache__").write_text("")
    return package.parent


def asked(site: Path, **environment: str) -> list[str]:
    kept = {
        name: value
        for name, value in os.environ.items()
        if name not in ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    }
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(ASK)],
        env={**kept, "PYTHONPATH": str(site), **environment},
        cwd=site,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.splitlines()


@pytest.mark.skipif(sys.platform == "win32", reason="the user's folder is named otherwise there")
def test_kernels_compile_where_nothing_can_be_kept_with_one_warning(tmp_path: Path) -> None:
    site = copied(tmp_path)
    nowhere = {"HOME": os.devnull, "NUMBA_CACHE_DIR": f"{os.devnull}/x"}
    assert asked(site, **nowhere) == ["[2, 1]", "1", "others' kernels are left alone"]


@pytest.mark.skipif(sys.platform == "win32", reason="the user's folder is named otherwise there")
def test_where_one_place_can_be_written_nothing_is_said(tmp_path: Path) -> None:
    site = copied(tmp_path)
    assert asked(site, HOME=str(tmp_path))[:2] == ["[2, 1]", "0"]
    assert list((tmp_path / ".cache" / "numba").rglob("*.nbi"))
