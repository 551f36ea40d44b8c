"""Which group does each chain, person or row belong to, and how often did an event happen in all?

A shard has dictionaries of its own, so groups of different shards meet by their names. Names are
text: a number is written without a trailing ``.0``, a missing value is ``"(missing)"``, and several
properties make a tuple.

Totals are plain counts of a period, whoever people are and whenever they came first: the numbers of
the books, and so not those of a funnel. Money adds up exactly, so that the order of rows does not
change it; several currencies are not added up.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.checks import EVER
from analysis.core.result import small
from analysis.core.schema import ALL, MISSING, OTHER, VALUE, UsageError, instant_us
from analysis.eventlog import money, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, NumberColumn, Shard

CURRENCY: Final = money.CURRENCY

_MOST_PLACES: Final = 1_000_000
"""More combinations of values than this are sorted; fewer have a place each."""


# ── which group a row belongs to ─────────────────────────────────────────────────────────────────


class Groups(NamedTuple):
    """Per shard the group of each row, as a number into `names`."""

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


# ── totals ───────────────────────────────────────────────────────────────────────────────────────


class Totals(NamedTuple):
    """Counts of one event; NaN where the period has too few users to show any.

    ``value`` is NaN too where the log has none, or has it in several currencies, which
    ``currency`` then lists; ``currency`` is None where the log does not say.
    """

    events: float
    users: float
    value: float
    currency: str | None


def totals(
    log: EventLog, event: str, *, period: tuple[Any, Any] | None = None, min_cell: int = 1
) -> Totals:
    """How often did an event happen in a period, by how many, worth how much?

    Parameters
    ----------
    event : its name; one that the log does not know has happened 0 times.
    period : (start, end) in instants, `end` excluded, naive ones are UTC; default: the whole log.
    min_cell : where the period has fewer users, whatever they did, counts and value are NaN. Few
        who did it among many are told.

    Raises
    ------
    UsageError
        If the period ends before it starts.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 3),
    ...     "event": "purchase", "value": [10.0, 2.5, 7.5]}))
    >>> totals(log, "purchase")
    Totals(events=3, users=2, value=20.0, currency=None)
    """
    low, high = (-EVER, EVER) if period is None else map(instant_us, period)
    if high <= low:
        raise UsageError(f"totals: period={period!r} ends before it starts. Swap the two.")
    code = log.event_names.index(event) if event in log.event_names else -1
    find = partial(_rows, code=code, low=low, high=high)
    rows = parallel.map_shards(log.shards, find)
    users = sum(_users(shard, own) for shard, own in zip(log.shards, rows, strict=True))
    currencies = _currencies(log, rows)
    unit = ", ".join(currencies) or None
    # Who did it is in the period, so only few of these leave the question open.
    if users < min_cell and small(_present(log, low, high), min_cell):
        return Totals(np.nan, np.nan, np.nan, unit)
    value = np.nan
    if log.kinds.get(VALUE) == "number" and len(currencies) < 2:
        parts = [_values(s, own) for s, own in zip(log.shards, rows, strict=True)]
        value = money.total(np.concatenate([np.empty(0), *parts]))
    return Totals(sum(map(len, rows)), users, value, unit)


def _rows(shard: Shard, *, code: int, low: int, high: int) -> np.ndarray:
    hits = np.flatnonzero(shard.event == code)
    time = shard.time[hits]
    return hits[(time >= low) & (time < high)]


def _present(log: EventLog, low: int, high: int) -> int:
    """How many users have an event in a period?"""
    names = len(log.event_names)

    def present(shard: Shard) -> int:
        inside = (shard.event < names) & (shard.time >= low) & (shard.time < high)
        return _users(shard, np.flatnonzero(inside))

    return sum(parallel.map_shards(log.shards, present))


def _users(shard: Shard, rows: np.ndarray) -> int:
    return len(np.unique(np.searchsorted(shard.offsets, rows, side="right")))


def _currencies(log: EventLog, rows: list[np.ndarray]) -> list[str]:
    if log.kinds.get(CURRENCY) != "text" or not rows:
        return []
    groups = groups_of(log.shards, rows, [CURRENCY])
    used = np.unique(np.concatenate(groups.codes))
    return sorted({str(groups.names[code]) for code in used} - {MISSING})


def _values(shard: Shard, rows: np.ndarray) -> np.ndarray:
    column = shard.columns[VALUE]
    assert isinstance(column, NumberColumn)
    return column.numbers[rows]
