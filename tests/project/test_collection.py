"""The same tests with the same values in every process, or two workers can't share them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from hypothesis.internal.conjecture import providers

ROOT = Path(__file__).parents[2]
COLLECT = ROOT / "tests" / "support" / "collected.py"


def collecting(folder: Path, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, COLLECT, "--rootdir", ROOT, "-c", ROOT / "pyproject.toml", ROOT / "tests"],
        cwd=folder,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_no_case_is_drawn_from_the_modules_that_happen_to_be_loaded() -> None:
    assert not len(providers.HypothesisProvider(None)._local_constants)


def test_names_and_values_hang_on_no_clock_seed_locale_or_folder(tmp_path: Path) -> None:
    one = collecting(ROOT, PYTHONHASHSEED="1", LC_ALL="C.UTF-8", TZ="UTC")
    time.sleep(1.1)  # A value that holds the clock's second must show.
    two = collecting(tmp_path, PYTHONHASHSEED="2", LC_ALL="C", TZ="Asia/Kathmandu")
    first, second = ([line for line in p.communicate()[0].splitlines() if line.startswith("test ")]
                     for p in (one, two))  # fmt: skip
    assert (one.returncode, two.returncode) == (0, 0)
    assert len(first) > 1000
    differing = sorted(set(first) ^ set(second))
    assert not differing, "\n".join(differing[:20])
    assert first == second, "the same tests in another order"
    assert max(map(len, first)) < 400, max(first, key=len)
