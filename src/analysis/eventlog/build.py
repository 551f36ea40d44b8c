"""From a table of events to shards: who belongs where, in which order, with which codes.

The input is a *canonical table*: ``user`` (text), ``time`` (int64 microseconds UTC), ``event``
(text), optionally ``session`` (text), then properties as text or float64. The readers make it;
nothing here knows where it came from. A shard holds a range of the users' hashes, so the number
of shards is free to choose and neighboring ranges can be joined.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT, SESSION, TIME, USER, UsageError
from analysis.eventlog import kernels as ordering
from analysis.eventlog.sessions import SessionRule, session_column
from analysis.eventlog.shard import (
    Column,
    NumberColumn,
    Shard,
    encode,
    event_dtype,
    string_hashes,
    text_column,
)

ROWS_PER_SHARD = 2_000_000


def shard_of(users: pa.Array, shards: int) -> np.ndarray:
    """Which of `shards` shards each user id belongs to: an int64 per id.

    Examples
    --------
    >>> shard_of(pa.array(["anna", "ben"]), 1)
    array([0, 0])
    """
    if pa.types.is_dictionary(users.type):  # every id is hashed once
        return shard_of(users.dictionary, shards)[users.indices.to_numpy(zero_copy_only=False)]
    high = string_hashes(users, USER)[:, 0] >> np.uint64(32)
    return ((high * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def default_shards(rows: int) -> int:
    """A power of two, about one shard per two million rows."""
    return 1 << max(0, int(np.ceil(np.log2(max(rows, 1) / ROWS_PER_SHARD))))


def split_table(table: pa.Table) -> list[pa.Table]:
    """The table, or, where it has more than twice the rows of a shard, a table for each shard.

    Each has the users of a range of hashes, as shards have, and rows keep their order.
    """
    if len(table) <= 2 * ROWS_PER_SHARD:
        return [table]
    codes, users = encode(table.column(USER))
    home = string_hashes(users, USER)[:, 0] >> np.uint64(32)
    low, width = home.min(), home.max() - home.min() + np.uint64(1)
    count = default_shards(len(table))
    piece = ((home - low) * np.uint64(count) // width)[codes]
    return [table.filter(pa.array(piece == number)) for number in range(count)]


def checked(shards: int, what: str) -> int:
    """The number of shards, if it is one; raises a `UsageError` if it is not."""
    if not isinstance(shards, (int, np.integer)) or shards < 1:
        raise UsageError(f"{what}: shards={shards!r}. Allowed: a whole number from 1.")
    return int(shards)


def build_shards(table: pa.Table, *, event_names: Sequence[str], shards: int) -> Iterator[Shard]:
    """Split a canonical table by user and build each part; empty shards are left out."""
    if shards == 1:
        yield build_shard(table, event_names=event_names)
        return
    codes, users = encode(table.column(USER))
    home = shard_of(users, shards)[codes]
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(shards + 1))
    for start, stop in itertools.pairwise(bounds):
        if stop > start:
            part = table.take(pa.array(order[start:stop]))
            yield build_shard(part, event_names=event_names)


def build_shard(
    table: pa.Table, *, event_names: Sequence[str], sessions: SessionRule | None = None
) -> Shard:
    """Sort a canonical table by user and time and encode its columns.

    Rows of one user at one instant keep the order in which they stand in the table. Where there
    is no session column, `sessions` says where one ends (default: a pause of more than 30
    minutes starts the next).
    """
    codes, users = encode(table.column(USER))
    time = table.column(TIME).to_numpy()
    order, offsets = ordering.user_time_order(codes, time, len(users))
    time = time[order]
    event = _event_codes(table.column(EVENT), event_names)[order]
    columns = {
        name: _sorted_column(table.column(name), order)
        for name in table.column_names
        if name not in (USER, TIME, EVENT)
    }
    shard = Shard(
        users=users,
        offsets=offsets,
        time=time,
        event=event,
        masks=ordering.event_masks(event, offsets),
        columns=columns,
    )
    if SESSION in columns:
        return shard
    numbered = session_column(shard, sessions or SessionRule(), names=len(event_names))
    return dataclasses.replace(shard, columns={SESSION: numbered, **columns})


def _event_codes(column: pa.ChunkedArray, event_names: Sequence[str]) -> np.ndarray:
    codes, names = encode(column)
    place = {name: code for code, name in enumerate(event_names)}
    lookup = np.array([place[name] for name in names.to_pylist()], event_dtype(len(event_names)))
    return lookup[codes]


def _sorted_column(column: pa.ChunkedArray, order: np.ndarray) -> Column:
    if pa.types.is_floating(column.type):
        return NumberColumn(column.to_numpy()[order])
    return text_column(column, order)
