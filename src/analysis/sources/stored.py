"""A shard's rows as a table again, so that later rows can be merged into them.

The table is what the import once had before the shard was built, in the columns that the log has
by now: a property that has appeared since is missing, and one that has turned out to be text is
written as its file wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT, SESSION, TIME, USER
from analysis.eventlog.sessions import SessionRule, session_column
from analysis.eventlog.shard import Column, NumberColumn, Shard, TextColumn
from analysis.sources.cells import TEXT

Words = Callable[[str, Sequence[float]], list[str | None]]


def stored_table(
    shard: Shard, event_names: Sequence[str], kinds: Mapping[str, pa.DataType], words: Words
) -> pa.Table:
    """The rows in their order, text dictionary-encoded.

    Parameters
    ----------
    kinds : the columns beside user, time and event: text or float64. A session that is not among
        them is left out: it is computed anew.
    words : the texts of a column's numbers, where that has become text.
    """
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))
    names = pa.array(event_names, TEXT)
    cells = {
        USER: _coded(user, shard.users),
        TIME: pa.array(shard.time),
        EVENT: _coded(shard.event.astype(np.int64), names),
    }
    for name, kind in kinds.items():
        cells[name] = _cells(name, shard.columns.get(name), kind, shard.rows, words)
    return pa.table(cells)


def has_computed_sessions(shard: Shard, rule: SessionRule, *, names: int) -> bool:
    """Are a shard's sessions those that the rule makes? Then they were not given.

    `names` is how many event names the log has.
    """
    column = shard.columns.get(SESSION)
    if not isinstance(column, TextColumn):
        return False
    computed = session_column(shard, rule, names=names)
    same_names = column.values.to_pylist() == computed.values.to_pylist()
    return same_names and bool(np.array_equal(column.codes, computed.codes))


def _cells(
    name: str, column: Column | None, kind: pa.DataType, rows: int, words: Words
) -> pa.Array:
    if isinstance(column, TextColumn):
        return _coded(column.codes.astype(np.int64), column.values)
    if isinstance(column, NumberColumn) and kind != TEXT:
        return pa.array(column.numbers)
    if isinstance(column, NumberColumn):
        numbers, codes = np.unique(column.numbers, return_inverse=True)
        texts = words(name, numbers.tolist())
        codes = np.where(np.isnan(column.numbers), -1, codes)
        return _coded(codes, pa.array([text for text in texts if text is not None], TEXT))
    if kind != TEXT:
        return pa.array(np.full(rows, np.nan))
    return _coded(np.full(rows, -1), pa.array([], TEXT))


def _coded(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, values)
