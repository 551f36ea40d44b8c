"""Uncompressed Arrow files: written with a checksum, read by mapping."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pyarrow as pa


def write_table(path: Path, table: pa.Table) -> dict[str, Any]:
    """Write an uncompressed Arrow file; returns its size in ``bytes`` and its ``blake2b``.

    The checksum is taken of what is handed over, before any disk or cable can change it.
    """
    with path.open("wb", buffering=0) as handle:
        sink = _Summed(handle)
        with (
            pa.PythonFile(sink, "w") as stream,
            pa.ipc.new_file(stream, table.schema) as writer,
        ):
            writer.write_table(table.combine_chunks())
        os.fsync(handle.fileno())
    return {"bytes": sink.bytes, "blake2b": sink.digest.hexdigest()}


class _Summed:
    """A file that keeps the sum of what is written to it."""

    closed = False

    def __init__(self, handle: Any) -> None:
        self._handle = handle
        self.bytes = 0
        self.digest = hashlib.blake2b(digest_size=16)

    def write(self, content: Any) -> int:
        view = memoryview(content).cast("B")
        self.digest.update(view)
        self.bytes += len(view)
        rest = view
        while len(rest):  # a raw file may take a part
            rest = rest[self._handle.write(rest) :]
        return len(view)

    def tell(self) -> int:
        return self.bytes

    def flush(self) -> None:
        """Nothing is held back."""

    def close(self) -> None:
        self.closed = True


def map_table(path: Path) -> pa.Table:
    """The table of an Arrow file, mapped."""
    return pa.ipc.open_file(pa.memory_map(str(path), "rb")).read_all()
