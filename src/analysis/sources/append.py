"""The log that an import is appended to: the settings it was imported with, its shards as rows.

An append is an import whose parts begin with the shards of the log, the base log. What it must
know of these: which users they hold, how many rows, which order ids, and how their columns were
written. A shard becomes a table again, the one that the import had before it built the shard, in
the columns that the log has by now: a property that has appeared since is missing, and one that
has turned out to be text is written as its file wrote it.

One person must not have two ids in one log, and a row's session must not depend on which file it
came in. So the manifest keeps the import settings: the mark of the key (never the key), where
sessions end, which column holds consent, which rows are lines of an order, and which sign decimals
have. An append takes these over,
or is refused.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa

from analysis.core.schema import EVENT, SESSION, TIME, USER, DataError, UsageError, human_duration
from analysis.eventlog.filters import Consent
from analysis.eventlog.folder import user_homes
from analysis.eventlog.sessions import SessionRule, session_column
from analysis.eventlog.shard import TEXT, Column, NumberColumn, Shard, TextColumn
from analysis.eventlog.store import Manifest, read_part, read_sound_part, sound_keys
from analysis.sources.cells import NO_NUMBERS, NumberFormat, as_written
from analysis.sources.mapping import ColumnMapping, OrderLines
from analysis.sources.privacy import read_key

AsWritten: TypeAlias = Callable[[str, Sequence[float]], list[str | None]]
"""The texts of a column's numbers, by the column's name."""


def import_settings(mapping: ColumnMapping) -> dict[str, Any]:
    """What the manifest keeps of a mapping (under ``terms``), for later files to agree to.

    Examples
    --------
    >>> import_settings(ColumnMapping(consent=Consent("cookies", ("all",))))
    {'consent': {'column': 'cookies', 'granted': ['all']}}
    """
    settings: dict[str, Any] = {}
    if mapping.key is not None:
        settings["ids"] = mapping.key.mark
    if mapping.sessions is not None:
        settings["sessions"] = dataclasses.asdict(mapping.sessions)
    if mapping.consent is not None:
        consent = mapping.consent
        settings["consent"] = {"column": consent.column, "granted": list(consent.granted)}
    if mapping.decimal is not None:
        settings["decimal"] = mapping.decimal
    renamed = {own: name for name, own in (mapping.properties or {}).items() if own != name}
    if renamed:
        # Which column a property was: advice on the mapping has to name the column.
        settings["columns"] = renamed
    if mapping.orders is not None:
        settings["orders"] = {"key": list(mapping.orders.key), "event": mapping.orders.event}
    return settings


def with_settings_of_log(
    mapping: ColumnMapping, before: Mapping[str, Any] | None, log: Path
) -> ColumnMapping:
    """Read the mapping's key, and take over the settings of the log that is appended to.

    Parameters
    ----------
    before : the import settings in the log's manifest; None: there is no log.
    log : its folder.

    Raises
    ------
    UsageError
        If the key cannot be used, or key or sessions are others than the log's.
    """
    if mapping.hash_key_file is not None:
        mapping = dataclasses.replace(mapping, key=read_key(mapping.hash_key_file, log=log))
    if before is None:
        return mapping
    mark = mapping.key.mark if mapping.key is not None else None
    if mark != before.get("ids"):
        has = "not hashed" if "ids" not in before else "hashed with another key"
        then = "without --hash-ids" if "ids" not in before else "with --hash-ids and that key"
        raise UsageError(
            f"the ids of the log in '{log}' are {has}: the same people would be there under two "
            f"ids. Add to it {then}, or import all files into a new folder."
        )
    mapping = _same_sessions(mapping, before.get("sessions"), log)
    mapping = _same_decimal(mapping, before.get("decimal"), log)
    mapping = _same_orders(mapping, before.get("orders"), log)
    if mapping.consent is None and "consent" in before:
        column, granted = before["consent"]["column"], before["consent"]["granted"]
        mapping = dataclasses.replace(mapping, consent=Consent(column, tuple(granted)))
    return mapping


def _same_decimal(mapping: ColumnMapping, before: str | None, log: Path) -> ColumnMapping:
    if before is None or mapping.decimal == before:
        return mapping
    if mapping.decimal is not None:
        raise UsageError(
            f"the numbers of the log in '{log}' have the decimal sign {before!r}, not "
            f"{mapping.decimal!r}: numbers that became text would not be those of the files. Add "
            f"to it with --decimal {before}, or import all files into a new folder."
        )
    return dataclasses.replace(mapping, decimal=before)


def _same_orders(
    mapping: ColumnMapping, before: Mapping[str, Any] | None, log: Path
) -> ColumnMapping:
    rule = None if before is None else OrderLines(tuple(before["key"]), before["event"])
    if mapping.orders is None and rule is not None:
        return dataclasses.replace(mapping, orders=rule)
    if mapping.orders != rule:
        there = "are rows as the files have them"
        if rule is not None:
            there = f"are made of lines by [orders] key = {list(rule.key)}, event = {rule.event!r}"
        raise UsageError(
            f"the orders of the log in '{log}' {there}. Add to it with the same [orders], or "
            "import all files into a new folder."
        )
    return mapping


def _same_sessions(
    mapping: ColumnMapping, before: Mapping[str, Any] | None, log: Path
) -> ColumnMapping:
    rule = None if before is None else SessionRule(**before)
    if mapping.sessions is None and rule is not None and mapping.session is None:
        return dataclasses.replace(mapping, sessions=rule)
    if mapping.sessions != rule:
        there = "come from a column, or from pauses of 30 min"
        if rule is not None:
            words = [f"gap {human_duration(rule.gap_us)}"]
            words += [f"campaign {rule.campaign!r}"] if rule.campaign else []
            words += [f"midnight {rule.midnight}"] if rule.midnight else []
            there = f"were computed ({', '.join(words)})"
        raise UsageError(
            f"the sessions of the log in '{log}' {there}. Add to it without naming sessions, or "
            "import all files into a new folder."
        )
    return mapping


class OrderIdRows(NamedTuple):
    """Rows of one part that have an order id, as `Duplicates.add` wants them."""

    part: int
    ids: np.ndarray
    time: np.ndarray
    valued: np.ndarray
    place: np.ndarray
    line: np.ndarray


class BaseLog:
    """The shards of a log that is appended to, in the order of the users' hashes.

    Raises
    ------
    DataError
        If the shards do not hold ranges of users: nothing can be merged into such a log.
    """

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.manifest = manifest
        self._folder = folder
        homes = [self._homes(entry) for entry in manifest.shards]
        order = sorted(range(len(homes)), key=homes.__getitem__)
        self.entries = [manifest.shards[number] for number in order]
        ranges = np.array([homes[number] for number in order])
        if (ranges[1:, 0] <= ranges[:-1, 1]).any():
            raise DataError(
                f"the shards of '{folder}' were not split by user, so nothing can be added to it. "
                "Import all files in one call into a new folder."
            )
        self._starts = ranges[:, 0].astype(np.uint64)
        self.rows = np.array([entry["events"] for entry in self.entries], np.int64)

    def part_of(self, users: pa.Array) -> np.ndarray:
        """The number of the shard to which each user belongs (int64)."""
        found = np.searchsorted(self._starts, user_homes(users), side="right") - 1
        return np.maximum(found, 0)

    def shard(self, part: int) -> Shard:
        """A shard, mapped."""
        return read_part(self._folder, self.entries[part])

    def table(self, part: int, kinds: Mapping[str, pa.DataType]) -> pa.Table:
        """The rows of a shard in the columns that the log has by now."""

        def written(name: str, numbers: Sequence[float]) -> list[str | None]:
            return as_written(numbers, NumberFormat(*(self.columns[name]["look"] or ())))

        shard = read_sound_part(self._folder, self.entries[part])
        # Sessions that were computed were not in any file.
        given = {name: cells for name, cells in shard.columns.items() if name in self.columns}
        shard = dataclasses.replace(shard, columns=given)
        return shard_as_rows(shard, self.manifest.event_names, kinds, written)

    def rows_with_order_id(self) -> Iterator[OrderIdRows]:
        """For every shard that has order ids, the rows that have one."""
        for part, entry in enumerate(self.entries):
            keys = sound_keys(self._folder, entry)
            if keys is not None:
                cells = {name: keys.column(name).to_numpy() for name in keys.column_names}
                yield OrderIdRows(
                    part,
                    np.column_stack([cells["low"], cells["high"]]),
                    cells["time"],
                    ~cells["bare"],
                    cells["row"],
                    cells.get("line", np.zeros(len(keys), np.bool_)),
                )

    @cached_property
    def columns(self) -> dict[str, dict[str, Any]]:
        """How the files wrote each column; a log that no import made is taken as it is."""
        if self.manifest.columns or self.manifest.sources:
            return self.manifest.columns
        formats = {"number": None, "text": list(NO_NUMBERS)}
        found = {
            name: {"number": kind == "number", "look": formats[kind]}
            for name, kind in self.manifest.properties.items()
        }
        names = len(self.manifest.event_names)
        shards = map(self.shard, range(len(self.entries)))
        rule = SessionRule(**self.manifest.terms.get("sessions", {}))
        if all(has_computed_sessions(shard, rule, names=names) for shard in shards):
            del found[SESSION]
        return found

    def _homes(self, entry: dict[str, Any]) -> tuple[int, int]:
        if "homes" not in entry:
            homes = user_homes(read_part(self._folder, entry).users)
            entry["homes"] = [int(homes.min()), int(homes.max())]
        return entry["homes"][0], entry["homes"][1]


def shard_as_rows(
    shard: Shard, event_names: Sequence[str], kinds: Mapping[str, pa.DataType], written: AsWritten
) -> pa.Table:
    """The rows of a shard in their order, text dictionary-encoded.

    Parameters
    ----------
    kinds : the columns beside user, time and event: text or float64. A session that is not among
        them is left out: it is computed anew.
    written : how a column's numbers were written, where that has become text.
    """
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))
    names = pa.array(event_names, TEXT)
    cells = {
        USER: _coded(user, shard.users),
        TIME: pa.array(shard.time),
        EVENT: _coded(shard.event.astype(np.int64), names),
    }
    for name, kind in kinds.items():
        cells[name] = _cells(name, shard.columns.get(name), kind, shard.rows, written)
    return pa.table(cells)


def _cells(
    name: str, column: Column | None, kind: pa.DataType, rows: int, written: AsWritten
) -> pa.Array:
    if isinstance(column, TextColumn) and kind == TEXT:
        return _coded(column.codes.astype(np.int64), column.values)
    if isinstance(column, NumberColumn) and kind != TEXT:
        return pa.array(column.numbers)
    if isinstance(column, NumberColumn):
        numbers, codes = np.unique(column.numbers, return_inverse=True)
        texts = written(name, numbers.tolist())
        codes = np.where(np.isnan(column.numbers), -1, codes)
        return _coded(codes, pa.array([text for text in texts if text is not None], TEXT))
    if kind != TEXT:  # a column that had no cell, which was text for want of a number
        return pa.array(np.full(rows, np.nan))
    return _coded(np.full(rows, -1), pa.array([], TEXT))


def _coded(codes: np.ndarray, values: pa.Array) -> pa.DictionaryArray:
    indices = pa.array(codes.astype(np.int32), mask=codes < 0)
    return pa.DictionaryArray.from_arrays(indices, values)


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
