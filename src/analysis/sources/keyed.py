"""Rows that have a key (an order id): the key goes with its row until that has its place.

The shard itself does not hold keys: columns that name an order need not be properties. So they
lie beside it, with the number of the row, for the next append to compare with.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Final

import numpy as np
import pyarrow as pa

from analysis.core.schema import VALUE
from analysis.eventlog.build import build_shard
from analysis.eventlog.folder import Part
from analysis.eventlog.sessions import SessionRule
from analysis.eventlog.shard import NumberColumn

# No file can have columns of these names: they would be read as a nameless one.
_LOW: Final = "\0low"


_HIGH: Final = "\0high"


_PLACE: Final = "\0place"


def with_keys(table: pa.Table, keys: pa.Table) -> pa.Table:
    """The table with the keys of its rows (``row``, ``low``, ``high``) in two more columns."""
    row = keys.column("row").to_numpy()
    missing = np.ones(len(table), np.bool_)
    missing[row] = False
    for name, half in ((_LOW, "low"), (_HIGH, "high")):
        cells = np.zeros(len(table), np.uint64)
        cells[row] = keys.column(half).to_numpy()
        table = table.append_column(name, pa.array(cells, mask=missing))
    return table


def is_keyed(table: pa.Table) -> np.ndarray:
    """Which rows have a key? A boolean per row."""
    if _LOW not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return table.column(_LOW).is_valid().to_numpy()


def keyed_part(
    table: pa.Table, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Part:
    """Build the shard of a table and say where in it the keyed rows have come to lie."""
    keyed = is_keyed(table)
    if not keyed.any():
        return Part(build_shard(_plain(table), event_names=event_names, sessions=sessions), None)
    place = np.where(keyed, np.arange(len(table), dtype=np.float64), np.nan)
    placed = _plain(table).append_column(_PLACE, pa.array(place))
    shard = build_shard(placed, event_names=event_names, sessions=sessions)
    columns = dict(shard.columns)
    moved = columns.pop(_PLACE)
    assert isinstance(moved, NumberColumn)
    row = np.flatnonzero(~np.isnan(moved.numbers))
    came = pa.array(moved.numbers[row].astype(np.int64))
    keys = table.select([_LOW, _HIGH]).take(came).rename_columns(["low", "high"])
    value = columns.get(VALUE)
    bare = np.isnan(value.numbers[row]) if isinstance(value, NumberColumn) else row >= 0
    for name, cells in (("bare", bare), ("time", shard.time[row]), ("row", row)):
        keys = keys.add_column(0, name, pa.array(cells))
    return Part(dataclasses.replace(shard, columns=columns), keys)


def _plain(table: pa.Table) -> pa.Table:
    return table.drop_columns([_LOW, _HIGH]) if _LOW in table.column_names else table
