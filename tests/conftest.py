"""What all tests share: the judges beside them can be imported, and every run is the same run."""

from __future__ import annotations

import os
import re
import sys
import zlib
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

TESTS = Path(__file__).parent
sys.path.insert(0, str(TESTS))
# Tests and examples name the project's files from its root, wherever pytest was started.
os.chdir(TESTS.parent)

# Drawn from the code's own text, so that a green run stays green; never timed.
settings.register_profile(
    "steady",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("steady")
# Hypothesis also draws texts and numbers that it finds in the modules loaded so far: other ones in
# every process. With none of them, a test draws the same cases wherever it runs.
providers._get_local_constants = providers.Constants

LONGEST_NAME = 40


@pytest.fixture(scope="session")
def demo() -> Path:
    """The folder of the demo log, which `make test` and `make test-slow` write first."""
    folder = TESTS.parent / "data" / "demo"
    assert (folder / "manifest.json").exists(), "There is no demo log. Write it with: make demo"
    return folder


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name a test after bytes or a long text by their length and checksum: short and stable."""
    if isinstance(val, bytes):
        return f"{argname}-{len(val)}bytes-{zlib.crc32(val):08x}"
    if isinstance(val, str) and (
        len(val) > LONGEST_NAME or not (val.isascii() and val.isprintable())
    ):
        start = re.sub(r"[^0-9A-Za-z_]+", "-", val[:24]).strip("-")
        return f"{start or argname}-{zlib.crc32(val.encode('utf-8', 'surrogatepass')):08x}"
    return None
