"""The log of other units than people: accounts, devices, any property's values.

Every pass asks about one user at a time, so an account is made a user: the log is regrouped once
and everything else stays as it is. A log in a folder keeps the result there. Rows without a value
belong to no unit; they are left out and counted.
"""

from __future__ import annotations

import dataclasses
import errno
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Generic, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT, SESSION, TIME, USER, DataError, UsageError, did_you_mean
from analysis.eventlog import filters, kernels, store
from analysis.eventlog.build import build_shard, shard_of
from analysis.eventlog.folder import building, remove, unit_folder
from analysis.eventlog.shard import (
    TEXT,
    AnyLog,
    Column,
    Log,
    NumberColumn,
    Shard,
    TextColumn,
    narrow,
    numbers_as_text,
    plain,
)
from analysis.eventlog.spill import Spill

# Columns of the regrouped rows, named as no property is.
_PERSON: Final = "\0person"
_VISIT: Final = "\0visit"

_NOT_WRITABLE: Final = (errno.EROFS, errno.EACCES, errno.EPERM, errno.ENOENT)
"""The folder is read-only or gone: a log that is mapped can still be regrouped in memory."""


class Units(NamedTuple, Generic[Log]):
    """A log regrouped by a property, and how many rows had no value of it."""

    log: Log
    rows_left_out: int


def units(log: Log, by: str) -> Units[Log]:
    """The same events, with what a property names in the place of the users.

    Parameters
    ----------
    by : a property, like ``"account"`` or ``"device"``. Numbers become text.

    Returns
    -------
    A log whose users are the values of the property, which stays one too; and the number of rows
    without a value, which are left out. Each person's sessions stay apart: within a unit they
    are numbered in the order of their first event. Events of one unit at one instant are in the
    order of the people's ids, then of arrival.

    The first call regroups the rows; a log in a folder keeps the result there (in ``units/``)
    until the log changes. A view, a log in memory and one in a folder that cannot be written are
    regrouped in memory, every time.

    Raises
    ------
    UsageError
        If the log has no such property.
    DataError
        If no row has a value of it.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis import EventLog
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob", "cy"], "time": pd.to_datetime(["2026-01-01"] * 3),
    ...     "event": "visit", "account": ["acme", "acme", None]}))
    >>> found = units(log, "account")
    >>> found.log.users, found.log.sessions, found.rows_left_out
    (1, 2, 1)
    """
    if by not in log.properties:
        raise UsageError(
            f"by_unit: {by!r} is not a property of this log.{did_you_mean(by, log.properties)} "
            f"Properties: {', '.join(map(repr, log.properties)) or 'none'}. A session lies inside "
            "one user and is no unit."
        )
    made = None
    if log.folder is not None and len(log.shards):
        try:
            made = _kept(log, log.folder, by)
        except OSError as error:
            if error.errno not in _NOT_WRITABLE:
                raise
    if made is None:
        made = _in_memory(log, by)
    if log.picked_at_us is not None:
        made = made.derive(picked_at_us=log.picked_at_us)
    return Units(made, log.events - made.events)


def _kept(log: Log, folder: Path, by: str) -> Log:
    place = unit_folder(folder, by, log.fingerprint)
    if _fingerprint(folder) != log.fingerprint:
        return _in_memory(log, by)  # the folder is ahead of us, and keeps what fits its own state
    found = _opened(log, place)
    if found is not None:
        return found
    with building(place) as draft:
        found = _opened(log, place)  # by whoever built it while we waited
        if found is not None:
            return found
        with tempfile.TemporaryDirectory(prefix=".", suffix=".tmp", dir=place.parent) as aside:
            store.write_log(
                _shards(log, by, Path(aside) / "rows"),
                draft,
                event_names=log.event_names,
                covers_until=log.covers_until_us,
            )
    found = _opened(log, place)
    if _fingerprint(folder) != log.fingerprint:
        # The log changed while we built: what we have mapped stays ours.
        remove(place)
    return _in_memory(log, by) if found is None else found


def _opened(log: Log, place: Path) -> Log | None:
    """The log kept there; a damaged one counts as none."""
    try:
        found = type(log).open(place)
    except DataError:
        return None
    return found.derive(covers_until_us=log.covers_until_us)


def _fingerprint(folder: Path) -> str | None:
    try:
        return store.read_manifest(folder).fingerprint
    except DataError:
        return None


def _in_memory(log: Log, by: str) -> Log:
    return type(log).from_shards(
        list(_shards(log, by, None)),
        event_names=log.event_names,
        covers_until=log.covers_until_us,
    )


def _shards(log: AnyLog, by: str, aside: Path | None) -> Iterator[Shard]:
    """The regrouped shards, as many as the log has; rows wait in `aside`, or in memory."""
    count = max(len(log.shards), 1)
    waiting: list[list[pa.Table]] = [[] for _ in range(count)]
    kept, visits = 0, 0
    spill = None if aside is None else Spill(aside, count)
    for shard, rank in zip(log.shards, filters.ranks(log.shards), strict=True):
        table, visits = _regrouped(log, shard, by, (rank, visits))
        kept += len(table)
        home = shard_of(plain(table.column(USER)).combine_chunks(), count)
        if spill is not None:
            spill.add(table, home)
            continue
        for number in np.unique(home):
            waiting[number].append(table.filter(pa.array(home == number)))
    if spill is not None:
        spill.close()
    if not kept:
        raise DataError(
            f"by_unit: none of {log.events:,} rows has a value of {by!r}. Choose another property: "
            "log.properties names them."
        )
    for number in range(count):
        tables = waiting[number] if spill is None else list(spill.read(number))
        if tables:
            yield _built(pa.concat_tables(tables), log, visits)


def _regrouped(
    log: AnyLog, shard: Shard, by: str, before: tuple[np.ndarray, int]
) -> tuple[pa.Table, int]:
    """The shown rows that have a unit, and how many visits there are by now.

    The unit is in the user's place; the user's rank and the visit (a person's session, numbered
    over the whole log, −1 where there is none) are numbers beside it.
    """
    rank, visits = before
    unit = _as_text(shard.columns[by])
    shown = np.flatnonzero((shard.event < len(log.event_names)) & (unit.codes >= 0))
    person = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))[shown]
    session = shard.columns[SESSION]
    assert isinstance(session, TextColumn)  # sessions always are
    code = session.codes[shown].astype(np.int64)
    visit = np.unique(person * (len(session.values) + 1) + code, return_inverse=True)[1] + visits
    cells: dict[str, Any] = {
        USER: _coded(unit, shown),
        TIME: pa.array(shard.time[shown]),
        EVENT: _coded(TextColumn(shard.event, pa.array(log.event_names, TEXT)), shown),
        _PERSON: pa.array(rank[person]),
        _VISIT: pa.array(np.where(code < 0, -1.0, visit)),
    }
    for name, column in shard.columns.items():
        if isinstance(column, TextColumn) and name != SESSION:
            cells[name] = _coded(column, shown)
        elif isinstance(column, NumberColumn):
            cells[name] = pa.array(column.numbers[shown])
    return pa.table(cells), int(visit.max(initial=visits - 1)) + 1


def _as_text(column: Column) -> TextColumn:
    if isinstance(column, TextColumn):
        return column
    numbers, codes = np.unique(column.numbers, return_inverse=True)
    texts = numbers_as_text(pa.array(numbers[~np.isnan(numbers)]))
    return TextColumn(np.where(np.isnan(column.numbers), -1, codes), texts)


def _coded(column: TextColumn, rows: np.ndarray) -> pa.DictionaryArray:
    codes = column.codes[rows].astype(np.int32)
    return pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), column.values)


def _built(table: pa.Table, log: AnyLog, visits: int) -> Shard:
    # People are spread over shards; in the order of their ids the number of shards has no say.
    order = np.argsort(table.column(_PERSON).to_numpy(), kind="stable")
    table = table.drop_columns([_PERSON]).take(pa.array(order))
    shard = build_shard(table, event_names=log.event_names)
    columns = dict(shard.columns)
    visit = columns.pop(_VISIT)
    assert isinstance(visit, NumberColumn)
    own = visit.numbers.astype(np.int64)
    numbers = kernels.by_first_seen(own, shard.offsets, visits)
    most = int(numbers.max(initial=-1)) + 1
    names = pa.array([str(n) for n in range(1, most + 1)], TEXT)
    columns[SESSION] = TextColumn(narrow(numbers, most), names)
    return dataclasses.replace(shard, columns=columns)
