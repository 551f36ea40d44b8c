"""From a table of events to shards: who belongs where, in which order, with which codes.

The input is a *canonical table*: ``user`` (text), ``time`` (int64 microseconds UTC), ``event``
(text), optionally ``session`` (text), then properties as text or float64. The readers make it;
nothing here knows where it came from. A shard holds a range of the users' hashes, so the number
of shards is free to choose and neighboring ranges can be joined.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.eventlog.shard import (
    Column,
    NumberColumn,
    Shard,
    TextColumn,
    event_dtype,
    narrow,
    string_hashes,
    text_column,
)
from analysis.passes import ordering, sessions
from analysis.schema import EVENT, SESSION, SESSION_GAP_US, TIME, USER

ROWS_PER_SHARD = 2_000_000


def shard_of(users: pa.Array, shards: int) -> np.ndarray:
    """Which of `shards` shards each user id belongs to: an int64 per id.

    Examples
    --------
    >>> shard_of(pa.array(["anna", "ben"]), 1)
    array([0, 0])
    """
    high = string_hashes(users, USER)[:, 0] >> np.uint64(32)
    return ((high * np.uint64(shards)) >> np.uint64(32)).astype(np.int64)


def default_shards(rows: int) -> int:
    """A power of two, about one shard per two million rows."""
    return 1 << max(0, int(np.ceil(np.log2(max(rows, 1) / ROWS_PER_SHARD))))


def build_shards(table: pa.Table, *, event_names: Sequence[str], shards: int) -> Iterator[Shard]:
    """Split a canonical table by user and build each part; empty shards are left out."""
    if shards == 1:
        yield build_shard(table, event_names=event_names)
        return
    users = _encoded(table.column(USER))
    home = shard_of(users.dictionary, shards)[users.indices.to_numpy()]
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(shards + 1))
    for start, stop in itertools.pairwise(bounds):
        if stop > start:
            part = table.take(pa.array(order[start:stop]))
            yield build_shard(part, event_names=event_names)


def build_shard(table: pa.Table, *, event_names: Sequence[str]) -> Shard:
    """Sort a canonical table by user and time and encode its columns.

    Rows of one user at one instant keep the order in which they stand in the table. Where there
    is no session column, a pause of more than 30 minutes starts a session.
    """
    users = _encoded(table.column(USER))
    by_bytes = pc.sort_indices(users.dictionary).to_numpy()
    rank = np.empty(len(by_bytes), np.int64)
    rank[by_bytes] = np.arange(len(by_bytes))
    time = table.column(TIME).to_numpy()
    order, offsets = ordering.user_time_order(rank[users.indices.to_numpy()], time, len(rank))
    time = time[order]
    event = _event_codes(table.column(EVENT), event_names)[order]
    columns: dict[str, Column] = {}
    if SESSION not in table.column_names:
        columns[SESSION] = _inactivity_sessions(time, offsets)
    for name in table.column_names:
        if name not in (USER, TIME, EVENT):
            columns[name] = _sorted_column(table.column(name), order)
    return Shard(
        users=users.dictionary.take(pa.array(by_bytes)),
        offsets=offsets,
        time=time,
        event=event,
        masks=ordering.event_masks(event, offsets),
        columns=columns,
    )


def _encoded(column: pa.ChunkedArray) -> pa.DictionaryArray:
    if not pa.types.is_dictionary(column.type):
        column = column.cast(pa.large_string()).dictionary_encode()
    chunk = column.unify_dictionaries().combine_chunks()
    used = pc.unique(chunk.indices)
    if len(used) == len(chunk.dictionary):
        return chunk
    return chunk.cast(chunk.type.value_type).dictionary_encode()


def _event_codes(column: pa.ChunkedArray, event_names: Sequence[str]) -> np.ndarray:
    encoded = _encoded(column)
    place = {name: code for code, name in enumerate(event_names)}
    codes = [place[name] for name in encoded.dictionary.to_pylist()]
    dtype = event_dtype(len(event_names))
    return np.array(codes, dtype)[encoded.indices.to_numpy()]


def _inactivity_sessions(time: np.ndarray, offsets: np.ndarray) -> TextColumn:
    numbers = sessions.by_inactivity(time, offsets, SESSION_GAP_US)
    most = int(numbers.max(initial=-1)) + 1
    names = pa.array([str(n) for n in range(1, most + 1)], pa.large_string())
    return TextColumn(narrow(numbers, most), names)


def _sorted_column(column: pa.ChunkedArray, order: np.ndarray) -> Column:
    if pa.types.is_floating(column.type):
        return NumberColumn(column.to_numpy()[order])
    text = text_column(column)
    return TextColumn(text.codes[order], text.values)
