"""The rows that every engine gets: the simulated shop as one Parquet file, as it happened.

The file is sorted by time, which is how a log is written and how exports arrive; nobody's rows
lie together. It is made once per size and kept. The newest hundredth of the rows lies in a file
of its own too, for appending. Run as a program it makes one size: ``data.py 5000000 FOLDER``.

People start to buy seven times as often as in the demo shop. There one row in a hundred is a
cart, which spares every engine that looks at the funnel's rows alone; here it is one in 24, as
in logs of real shops.
"""

from __future__ import annotations

import dataclasses
import sys
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.simulation.log import simulate
from analysis.simulation.shop import SHOP

BUSY: Final = dataclasses.replace(SHOP, base_hazard=0.05, form=None)
_EVENTS_PER_USER: Final = 21.5
_ROW_GROUP: Final = 1 << 20


class Files(NamedTuple):
    """All rows; the same without the newest hundredth; and that hundredth."""

    whole: Path
    older: Path
    newer: Path


def files(folder: Path, events: int) -> Files:
    """Where the files of a size are."""
    return Files(*(folder / f"busy-{events}-{name}.parquet" for name in Files._fields))


def make(folder: Path, events: int) -> Files:
    """Write the files of a size, if they are not there."""
    made = files(folder, events)
    if all(path.exists() for path in made):
        return made
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as place:
        users = max(round(events / _EVENTS_PER_USER), 1)
        simulate(users=users, shop=BUSY).log.save(place)
        log = EventLog.open(place)  # mapped: the rows in memory are gone
        table = pa.concat_tables([_table(shard, log.event_names) for shard in log.shards])
        table = table.unify_dictionaries().combine_chunks()
        order = np.argsort(table.column("time").to_numpy(), kind="stable")
        cut = len(order) - len(order) // 100
        for path, rows in zip(made, (order, order[:cut], order[cut:]), strict=True):
            _write(table, rows, path)
    return made


def _table(shard: Shard, event_names: tuple[str, ...]) -> pa.Table:
    codes = np.repeat(np.arange(len(shard.users), dtype=np.int32), np.diff(shard.offsets))
    cells = {
        "user": pa.DictionaryArray.from_arrays(codes, shard.users),
        "time": pa.array(shard.time).cast(pa.timestamp("us", "UTC")),
        "event": _text(shard.event, pa.array(event_names, pa.large_string())),
    }
    for name, column in shard.columns.items():
        if isinstance(column, NumberColumn):
            cells[name] = pc.if_else(np.isnan(column.numbers), None, column.numbers)
        else:
            cells[name] = _text(column.codes, column.values)
    return pa.table(cells)


def _text(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    # One width of codes in every shard, so that the shards' tables fit together.
    wide = codes.astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(wide, mask=wide < 0), values)


def _write(table: pa.Table, rows: np.ndarray, path: Path) -> None:
    plain = pa.schema(
        [
            (field.name, pa.string() if pa.types.is_dictionary(field.type) else field.type)
            for field in table.schema
        ]
    )
    beside = path.with_suffix(".tmp")
    with pq.ParquetWriter(beside, plain, compression="zstd") as writer:
        for start in range(0, len(rows), _ROW_GROUP):
            part = table.take(pa.array(rows[start : start + _ROW_GROUP]))
            writer.write_table(part.cast(plain))
    beside.replace(path)


if __name__ == "__main__":
    make(Path(sys.argv[2]), int(float(sys.argv[1])))
