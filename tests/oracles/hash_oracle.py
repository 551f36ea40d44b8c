"""The hashes and the fingerprint in Python's unbounded integers, from their definition."""

from __future__ import annotations

import hashlib
import json
import math
import struct
from collections.abc import Iterable, Mapping
from typing import Any

FULL = 2**64 - 1
GOLDEN = 0x9E3779B97F4A7C15
LANE = 0xD6E8FEB86659FD93
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB
MISSING = 0x51ED270B27D4EB4F

Pair = tuple[int, int]


def mix(x: int) -> int:
    """splitmix64's finalizer."""
    x &= FULL
    x = (x ^ (x >> 30)) * FIRST & FULL
    x = (x ^ (x >> 27)) * SECOND & FULL
    return x ^ (x >> 31)


def hash_text(content: bytes, seed: int) -> Pair:
    a, b = mix(seed + GOLDEN), mix(seed + LANE)
    whole = len(content) // 8 * 8
    for i in range(0, whole, 8):
        word = int.from_bytes(content[i : i + 8], "little")
        a, b = mix((a ^ word) + GOLDEN), mix((b ^ word) * LANE + GOLDEN)
    word = int.from_bytes(content[whole:], "little")
    length = len(content) * GOLDEN
    return mix((a ^ word) + length), mix((b ^ word) * LANE + length + GOLDEN)


def column_seed(column: str) -> int:
    return hash_text(column.encode(), 0)[0]


def hash_word(word: int, seed: int) -> Pair:
    return mix((word ^ seed) * GOLDEN + FIRST), mix((word ^ seed) * LANE + SECOND)


def hash_cell(column: str, cell: Any, kind: str) -> Pair:
    seed = column_seed(column)
    if kind == "text" and cell is None:
        return (MISSING ^ seed, (MISSING ^ seed) * LANE & FULL)
    if kind == "text":
        return hash_text(cell.encode(), seed)
    if kind == "time":
        return hash_word(cell & FULL, seed)
    number = math.nan if cell is None or math.isnan(cell) else cell + 0.0
    return hash_word(struct.unpack("<Q", struct.pack("<d", number))[0], seed)


def fingerprint(rows: Iterable[Mapping[str, Any]], kinds: Mapping[str, str]) -> str:
    """The fingerprint of rows in the order of a log; `kinds` of the session and properties."""
    every = {"time": "time", "event": "text", **kinds}
    people: dict[str, Pair] = {}
    for row in rows:
        user = row["user"]
        a, b = people.get(user) or hash_text(user.encode(), column_seed("user"))
        cells = [hash_cell(name, row[name], kind) for name, kind in every.items()]
        low, high = (mix(sum(lane) & FULL) for lane in zip(*cells, strict=True))
        people[user] = (mix(a * GOLDEN + low), mix(b * LANE + high))
    sums = [sum(mix(pair[lane]) for pair in people.values()) & FULL for lane in (0, 1)]
    text = f"1:{sums[0]:016x}{sums[1]:016x}:{json.dumps(sorted(kinds.items()))}"
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
