"""Every supported Python that this machine has gives the same log and the same notebooks."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.interpreters import CURRENT, SUPPORTED, environment, find
from support.nbval_runs import NOTEBOOKS, ROOT, nbval

pytestmark = pytest.mark.slow


@pytest.fixture(params=SUPPORTED)
def python(request: pytest.FixtureRequest) -> Path:
    if request.param == CURRENT:
        return Path(sys.executable)
    if find(request.param) is None:
        pytest.skip(f"no Python {request.param} on the PATH or in pyenv")
    return environment(request.param)


def test_the_demo_data_have_the_same_fingerprint(python: Path) -> None:
    command = [str(python), "-m", "pytest", "-q", "-k", "every_machine", "tests/simulation/test_log.py"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider"], cwd=ROOT, capture_output=True, text=True, timeout=600
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.usefixtures("demo")
def test_the_notebooks_say_the_same(python: Path) -> None:
    run = nbval(
        sorted(NOTEBOOKS.glob("*.ipynb")), python=str(python), workers=min(2, os.cpu_count() or 1)
    )
    assert run.passed
    assert not run.failed, run.output
