"""What an import adds to: the log that is there, or nothing.

An append is an import whose parts begin with the shards of the log. Here is what it has to know
of these: which users they hold, how many rows, which keys, and how their columns were written.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from analysis.core.schema import SESSION, DataError
from analysis.eventlog.folder import user_homes
from analysis.eventlog.opening import read_part, read_sound_part, sound_keys
from analysis.eventlog.sessions import SessionRule
from analysis.eventlog.shard import Shard
from analysis.eventlog.store import Manifest
from analysis.sources.plain_numbers import NO_NUMBERS, Look, words_of
from analysis.sources.stored import has_computed_sessions, stored_table


class KeyedRows(NamedTuple):
    """Rows of one part that have a key, as `Duplicates.add` wants them."""

    part: int
    keys: np.ndarray
    time: np.ndarray
    valued: np.ndarray
    place: np.ndarray


class Ground:
    """The shards of a log, in the order of the users' hashes.

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

        def words(name: str, numbers: Sequence[float]) -> list[str | None]:
            return words_of(numbers, Look(*(self.columns[name]["look"] or Look())))

        shard = read_sound_part(self._folder, self.entries[part])
        # Sessions that were computed are none that a file has given.
        given = {name: cells for name, cells in shard.columns.items() if name in self.columns}
        shard = dataclasses.replace(shard, columns=given)
        return stored_table(shard, self.manifest.event_names, kinds, words)

    def keyed_rows(self) -> Iterator[KeyedRows]:
        """Of every shard that has keys the rows that have one."""
        for part, entry in enumerate(self.entries):
            keys = sound_keys(self._folder, entry)
            if keys is not None:
                cells = {name: keys.column(name).to_numpy() for name in keys.column_names}
                yield KeyedRows(
                    part,
                    np.column_stack([cells["low"], cells["high"]]),
                    cells["time"],
                    ~cells["bare"],
                    cells["row"],
                )

    @cached_property
    def columns(self) -> dict[str, dict[str, Any]]:
        """How the columns were written; of a log that no import made, as they are."""
        if self.manifest.columns or self.manifest.sources:
            return self.manifest.columns
        looks = {"number": None, "text": list(NO_NUMBERS)}
        found = {
            name: {"number": kind == "number", "look": looks[kind]}
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
