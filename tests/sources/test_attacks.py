"""Whatever a file holds, its import ends in rows that add up, or in a sentence; never otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sources.mutated import ending

SCRIPT = Path(__file__).with_name("mutated.py")


@pytest.mark.parametrize("seed", [0, 1_000_000])
def test_mutated_files(tmp_path: Path, seed: int) -> None:
    count = 150
    command = [sys.executable, str(SCRIPT), str(tmp_path), str(seed), str(count)]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    lines = ran.stdout.splitlines()
    assert ran.returncode == 0, (lines[-1:], ran.stderr)
    assert ran.stderr == ""
    ends = lines[1::2]
    assert [lines[2 * n] for n, end in enumerate(ends) if end not in ("rows", "said")] == []
    assert len(ends) == count
    assert {"rows", "said"} == set(ends)


RAW = pa.array([b"ok", b"caf\xe9", b"x"], pa.binary())
FAR = 2**62
COLUMNS: dict[str, Any] = {
    "string_view": pa.array(["a", None, "c"], pa.string_view()),
    "bytes that are text": pa.array([b"a", b"b", None]),
    "bytes": RAW,
    "binary_view": RAW.cast(pa.binary_view()),
    "fixed bytes": pa.array([b"abc", b"\xff\xff\xff", None], pa.binary(3)),
    "text that is none": pa.Array.from_buffers(pa.string(), 3, RAW.buffers()),
    "list": pa.array([["a"], None, []]),
    "list_view": pa.array([["a"], None, []], pa.list_view(pa.string())),
    "struct": pa.array([{"a": 1}, None, {"a": 2}]),
    "map": pa.array([[("a", 1)], [], None], pa.map_(pa.string(), pa.int64())),
    "null": pa.nulls(3),
    "boolean": pa.array([True, None, False]),
    "uint64": pa.array([2**64 - 1, 0, None], pa.uint64()),
    "int64": pa.array([-(2**63), 2**63 - 1, None]),
    "half": pa.array(np.array([1, np.nan, np.inf], np.float16)),
    "double": pa.array([1e300, -np.inf, np.nan]),
    "decimal128": pa.array([1, None, 2], pa.decimal128(38, 5)),
    "decimal256": pa.array([1, None, 2], pa.decimal256(76, 5)),
    "date": pa.array([0, 2**31 - 1, -(2**31)], pa.int32()).cast(pa.date32()),
    "nanoseconds": pa.array([0, 2**63 - 1, 1 - 2**63], pa.timestamp("ns")),
    "milliseconds": pa.array([0, FAR, None], pa.int64()).cast(pa.timestamp("ms")),
    "in UTC": pa.array([0, FAR, -FAR], pa.int64()).cast(pa.timestamp("us", "UTC")),
    "in New York": pa.array([0, 1, None], pa.timestamp("us", "America/New_York")),
    "nowhere": pa.array([0, 1, None], pa.timestamp("us", "No/Where")),
    "far in a list": pa.array([[2**40], None, []], pa.list_(pa.timestamp("s"))),
    "time": pa.array([0, 1, None], pa.time64("us")),
    "duration": pa.array([0, 1, None], pa.duration("us")),
    "codes": pa.array(["a", "b", None]).dictionary_encode(),
    "codes of numbers": pa.array([1, 2, None]).dictionary_encode(),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_any_type_in_any_place_of_parquet(tmp_path: Path, kind: str) -> None:
    sound = {
        "user": pa.array(["u", "v", "w"]),
        "time": pa.array(["2026-01-01T00:00Z"] * 3),
        "event": pa.array(["visit"] * 3),
        "value": pa.array([1.0, 2.0, 3.0]),
        "session": pa.array(["s"] * 3),
        "page": pa.array(["/"] * 3),
    }
    ends = {}
    for role in sound:
        pq.write_table(pa.table(sound | {role: COLUMNS[kind]}), tmp_path / "x.parquet")
        ends[role] = ending(tmp_path / "x.parquet", tmp_path / role)
    assert set(ends.values()) <= {"rows", "said"}, ends
