"""Which group does each chain, person or row belong to?

A shard has dictionaries of its own, so groups meet by their names. Names are text: a number is
written without a trailing ``.0``, a missing value is ``"(missing)"``, and several properties
make a tuple.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.schema import ALL, MISSING, OTHER
from analysis.eventlog.shard import Column, NumberColumn, Shard

_MOST_PLACES = 1_000_000
"""Up to how many combinations of values have a place each."""


class Groups(NamedTuple):
    """Group numbers (one array per shard) into `names`."""

    codes: list[np.ndarray]
    names: list[Hashable]


def groups_of(shards: Sequence[Shard], rows: Sequence[np.ndarray], by: Sequence[str]) -> Groups:
    """The group of each of the given rows, by the values of one or several properties.

    Parameters
    ----------
    rows : per shard an int64 array of row numbers; −1 stands for a row without a value.
    by : names of properties; none means that all rows are of the one group ``"all"``.
    """
    if not by:
        return Groups([np.zeros(len(r), np.int64) for r in rows], [ALL])
    place: dict[Hashable, int] = {}
    codes = []
    for shard, wanted in zip(shards, rows, strict=True):
        if not len(wanted):
            codes.append(np.empty(0, np.int64))
            continue
        parts = [_cells(shard.columns[name], wanted) for name in by]
        local, names = parts[0] if len(parts) == 1 else _tuples(parts)
        # Only what the rows hold is a group: a dictionary may have values from other rows.
        present = np.zeros(len(names), np.bool_)
        present[local] = True
        lookup = np.full(len(names), -1, np.int64)
        for code in np.flatnonzero(present):
            lookup[code] = place.setdefault(names[code], len(place))
        codes.append(lookup[local])
    return Groups(codes, list(place))


def largest(groups: Groups, sizes: np.ndarray, top: int) -> Groups:
    """Keep the `top` largest groups, largest first; the rest becomes ``"(other)"``.

    Equal sizes are ordered by name, so that the answer does not depend on the order of shards.
    """
    if not groups.names:
        return Groups(groups.codes, [ALL])
    order = sorted(range(len(sizes)), key=lambda g: (-sizes[g], str(groups.names[g])))
    kept, rest = order[:top], order[top:]
    names = [groups.names[g] for g in kept]
    lookup = np.empty(len(order), np.int64)
    lookup[kept] = np.arange(len(kept))
    if rest:
        # A property's own value "(other)" is one group with the rest, not a second of the name.
        if OTHER not in names:
            names.append(OTHER)
        lookup[rest] = names.index(OTHER)
    return Groups([lookup[part] for part in groups.codes], names)


def number_name(value: float) -> str:
    """A number as a group's name.

    Examples
    --------
    >>> number_name(3.0), number_name(2.5), number_name(float("nan"))
    ('3', '2.5', '(missing)')
    """
    if np.isnan(value):
        return MISSING
    return (
        str(int(value)) if float(value).is_integer() and abs(value) < 1e15 else repr(float(value))
    )


def _cells(column: Column, rows: np.ndarray) -> tuple[np.ndarray, list[Hashable]]:
    if isinstance(column, NumberColumn):
        cells = np.where(rows < 0, np.nan, column.numbers[rows])
        numbers, local = np.unique(cells, return_inverse=True)
        return local, [number_name(number) for number in numbers]
    codes = np.where(rows < 0, -1, column.codes[rows])
    size = len(column.values)
    if size <= 4096:
        # Code −1, a missing value, reads the last name.
        return codes, [*column.values.to_pylist(), MISSING]
    used, local = np.unique(codes, return_inverse=True)
    texts = column.values.take(pa.array(used, mask=used < 0)).to_pylist()
    return local, [MISSING if text is None else text for text in texts]


def _tuples(
    parts: Sequence[tuple[np.ndarray, list[Hashable]]],
) -> tuple[np.ndarray, list[Hashable]]:
    sizes = tuple(len(names) for _, names in parts)
    # Code −1, a missing value, is the last name.
    wide = [
        np.asarray(local, np.int64) % size for (local, _), size in zip(parts, sizes, strict=True)
    ]
    if np.prod([float(size) for size in sizes]) >= _MOST_PLACES:
        used, local = np.unique(np.column_stack(wide), axis=0, return_inverse=True)
    else:
        places = np.ravel_multi_index(wide, sizes)
        present = np.zeros(int(np.prod(sizes)), np.bool_)
        present[places] = True
        local = (np.cumsum(present) - 1)[places]
        used = np.column_stack(np.unravel_index(np.flatnonzero(present), sizes))
    names = [
        tuple(names[code] for code, (_, names) in zip(row, parts, strict=True))
        for row in used.tolist()
    ]
    return local.reshape(-1), list(names)
