"""One import in a process of its own: ``imports.py ENGINE TARGET SOURCE…`` prints JSON.

The time is that of the work, without the start of Python and of the libraries; the numba kernels
come from their cache. Each engine's rows end up sorted by user and time in uncompressed Arrow
files.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path

import questions

os.environ["POLARS_MAX_THREADS"] = str(questions.THREADS)


def workbook(target: Path, source: Path) -> int:
    """What `workbook import` does."""
    return import_files([source], ColumnMapping(), target).rows_kept


def append(target: Path, source: Path) -> int:
    """What `workbook import --append` does."""
    return import_files([source], ColumnMapping(), target, append=True).rows_kept


def from_frame(target: Path, source: Path) -> int:
    """A log of a table in memory; reading the table is not counted."""
    return len(EventLog.from_frame(TABLE))


def duck(target: Path, source: Path) -> int:
    """ORDER BY, as a stream of batches into a file."""
    base = duckdb.connect()
    base.sql(f"SET threads={questions.THREADS}")
    base.sql("SET enable_progress_bar=false")
    rows = 0
    query = base.sql(f"SELECT * FROM '{source}' ORDER BY \"user\", time")
    batches = query.to_arrow_reader(1 << 17)
    with pa.OSFile(str(target), "wb") as sink, pa.ipc.new_file(sink, batches.schema) as writer:
        for batch in batches:
            writer.write_batch(batch)
            rows += len(batch)
    return rows


def frame(target: Path, source: Path) -> int:
    """Sort in memory, then write."""
    sorted_rows = pl.scan_parquet(source).sort("user", "time", maintain_order=True).collect()
    sorted_rows.write_ipc(target)
    return len(sorted_rows)


if __name__ == "__main__":
    engine, target, source = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
    if engine == "duck":
        import duckdb
        import pyarrow as pa
    elif engine == "frame":
        import polars as pl
    else:
        import pyarrow.parquet as pq

        from analysis import EventLog
        from analysis.sources.ingest import import_files
        from analysis.sources.mapping import ColumnMapping

        if engine == "from_frame":
            TABLE = pq.read_table(source)
    start = time.perf_counter()
    rows = globals()[engine](target, source)
    seconds = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    print(json.dumps({"rows": rows, "seconds": seconds, "peak_kb": peak}))
