"""The rows of shards as one table again, sorted by user and time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, TIME, USER
from analysis.eventlog import parallel as engine
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn


def table_of(
    shards: Sequence[Shard], event_names: Sequence[str], kinds: Mapping[str, str]
) -> pa.Table:
    """The shown rows as a canonical table; `kinds` are the columns where there is no shard."""
    parts = engine.over(shards, partial(_shard_table, event_names=event_names))
    if not parts:
        return _empty(kinds)
    table = pa.concat_tables(parts, promote_options="default")
    # Within a shard users ascend already, and sorting by user is stable.
    return table.take(pc.sort_indices(table.column(USER))) if len(parts) > 1 else table


def _empty(kinds: Mapping[str, str]) -> pa.Table:
    cells: dict[str, Any] = {
        USER: pa.array([], pa.large_string()),
        TIME: pa.array([], pa.int64()),
        EVENT: pa.array([], pa.large_string()),
    }
    for name, of in kinds.items():
        cells[name] = pa.array([], pa.float64() if of == "number" else pa.large_string())
    return pa.table(cells)


def _shard_table(shard: Shard, *, event_names: Sequence[str]) -> pa.Table:
    rows = np.flatnonzero(shard.event < len(event_names))
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))[rows]
    names = pa.array(event_names, pa.large_string())
    cells: dict[str, Any] = {
        USER: shard.users.take(pa.array(user)),
        TIME: pa.array(shard.time[rows]),
        EVENT: names.take(pa.array(shard.event[rows].astype(np.int64))),
    }
    for name, column in shard.columns.items():
        if isinstance(column, NumberColumn):
            cells[name] = pa.array(column.numbers[rows])
        else:
            assert isinstance(column, TextColumn)
            codes = column.codes[rows].astype(np.int64)
            cells[name] = column.values.take(pa.array(codes, mask=codes < 0))
    return pa.table(cells)
