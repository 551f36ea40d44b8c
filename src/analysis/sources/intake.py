"""What an import has read so far, on disk, split by user.

Files come in batch by batch; each row goes to one of 64 parts by its user's hash, each bad record
to the quarantine, and every record is counted once. When all files are read, the parts are taken
up again, a few at a time, and become shards. Memory holds one batch or one group of parts, never
the log.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, SESSION, TIME, USER, VALUE, DataError
from analysis.eventlog.build import default_shards, shard_of, split_table
from analysis.eventlog.folder import QUARANTINE, Part
from analysis.eventlog.maintenance import Quarantine
from analysis.eventlog.parallel import ahead
from analysis.eventlog.shard import event_dtype
from analysis.eventlog.spill import Spill
from analysis.sources.append import Ground
from analysis.sources.batch import Batch
from analysis.sources.cells import TEXT
from analysis.sources.duplicates import Duplicates
from analysis.sources.files import JSON, SourceFile, checksum
from analysis.sources.keyed import is_keyed, keyed_part, with_keys
from analysis.sources.mapping import ColumnMapping, check_columns, missing_column, named_columns
from analysis.sources.merging import Alignment, settled
from analysis.sources.repeats import repeated
from analysis.sources.rows import Rows, canonical_rows
from analysis.sources.tables import read
from analysis.sources.terms import terms_of

PARTS: Final = 64


class Intake:
    """Reads files into `folder`.

    Parameters
    ----------
    shards : how many the log shall have; None: by its size.
    ground : the log to which the files are added; None: there is none.
    """

    def __init__(
        self,
        folder: Path,
        mapping: ColumnMapping,
        shards: int | None = None,
        *,
        ground: Ground | None = None,
        bad_before: Path | None = None,
    ) -> None:
        self.parts = len(ground.entries) if ground else shards or PARTS
        self.terms = terms_of(mapping)
        self.rows_in = 0
        self.sources: list[dict[str, Any]] = []
        self.quarantine = Quarantine(folder / QUARANTINE, bad_before)
        self.alignment = Alignment(ground.columns if ground else None)
        self._new_names: set[str] = set()
        self._mapping = mapping
        self._shards = shards
        self._ground = ground
        self._spill = Spill(folder / "rows", self.parts)
        self._duplicates = Duplicates(folder / "keys")
        self._columns: set[str] = set()
        self._dropped: list[np.ndarray] = []
        self._keys: list[pa.Table] = []
        self._keyed = False
        self._repeated = 0
        self._excluded = 0
        if ground:
            self._spill.rows += ground.rows
            for keyed in ground.keyed_rows():
                self._duplicates.add(
                    keyed.keys,
                    time=keyed.time,
                    valued=keyed.valued,
                    part=np.full(len(keyed.place), keyed.part),
                    place=keyed.place,
                )
        self._bounds = [self._spill.rows.copy()]

    @property
    def event_names(self) -> list[str]:
        """Those of the log in their order, then the new ones in theirs."""
        known = self._ground.manifest.event_names if self._ground else []
        return [*known, *sorted(self._new_names.difference(known))]

    def close(self) -> None:
        """Close all files."""
        self._spill.close()
        self._duplicates.close()
        self.quarantine.close()

    def take(self, file: SourceFile, progress: Callable[[int, int], None]) -> None:
        """Read a file; `progress` gets the bytes read of it and the rows read so far.

        Raises
        ------
        UsageError
            If the mapping does not fit the file.
        DataError
            If the file is damaged.
        """
        before = self.rows_in
        with checksum(file.path) as digest:
            for batch, rows in ahead(self._rows(file)):
                self._columns.update(batch.columns)
                self.rows_in += len(batch.rows) + len(batch.bad)
                self._excluded += rows.excluded
                self.quarantine.add(file.path.name, rows.bad)
                self._keep(rows)
                progress(batch.position, self.rows_in)
            facts = {"name": file.path.name, "bytes": file.size, "blake2b": digest.result()}
        self.sources.append({**facts, "rows": self.rows_in - before})
        self._bounds.append(self._spill.rows.copy())

    def _rows(self, file: SourceFile) -> Iterator[tuple[Batch, Rows]]:
        """The batches of a file, the next one read in a thread, and their rows."""
        mapping, first = self._mapping, True
        batches = read(file, columns=mapping.columns, missing=mapping.missing)
        with contextlib.closing(ahead(batches)) as coming:
            for batch in coming:
                if first:
                    check_columns(mapping, batch.columns, file.path, sparse=file.kind == JSON)
                    first = False
                yield batch, canonical_rows(batch, mapping)

    def _keep(self, rows: Rows) -> None:
        table = self.alignment.align(rows.table, rows.untyped)
        self._new_names.update(pc.unique(table.column(EVENT)).to_pylist())
        users = table.column(USER).combine_chunks()
        part = self._ground.part_of(users) if self._ground else shard_of(users, self.parts)
        if rows.keys is not None and rows.keyed is not None and rows.keyed.any():
            keyed, place = rows.keyed, self._spill.places(part)
            self._duplicates.add(
                rows.keys[keyed],
                time=table.column(TIME).to_numpy()[keyed],
                valued=_valued(table)[keyed],
                part=part[keyed],
                place=place[keyed],
            )
        self._spill.add(table, part)

    def finish(self, max_bad: float | None = None) -> None:
        """Stop reading; `max_bad` is the share of bad rows that is allowed.

        Raises
        ------
        UsageError
            If no file has a column that the mapping names.
        DataError
            If there is no row to keep, or too many are bad.
        """
        self.close()
        for name, option in named_columns(self._mapping).items():
            if self._columns and name not in self._columns:
                raise missing_column(name, sorted(self._columns), "the files have", option)
        if not self.rows_in:
            names = ", ".join(repr(source["name"]) for source in self.sources[:3])
            raise DataError(f"there is a header and no row in {names}. Export the data again.")
        if self._good == 0 and self._excluded == self.rows_in:
            raise DataError(
                f"not one of {self.rows_in:,} rows has consent. Is it the right column, and what "
                "are its words for yes? Say so: --consent COLUMN=WORD,WORD."
            )
        if self._good == 0:
            raise self.quarantine.nothing_left()
        if max_bad is not None:
            self.quarantine.refuse(max_bad, self.rows_in)
        self._dropped, self._keys = self._duplicates.settled(self.parts)
        self._keyed = any(map(len, self._keys))

    @property
    def _good(self) -> int:
        return int((self._spill.rows - self._bounds[0]).sum())

    def counts(self, events: int) -> dict[str, int]:
        """How the rows that were read add up, as `ImportCounts` names them.

        Parameters
        ----------
        events : how many rows the log has now.

        Raises
        ------
        DataError
            If they do not, so that nothing is published that lost some.
        """
        kept = events - int(self._bounds[0].sum())
        duplicate = sum(map(len, self._dropped)) + self._repeated
        duplicate += self.quarantine.bad - self.quarantine.rows
        counted = kept + duplicate + self._excluded + self.quarantine.rows
        if counted != self.rows_in:
            raise DataError(
                f"{self.rows_in:,} rows were read and {counted:,} accounted for. Nothing was "
                "written. Was a file changed during the import? If not, please report this."
            )
        return {
            "rows_in": self.rows_in,
            "rows_kept": kept,
            "rows_duplicate": duplicate,
            "rows_excluded": self._excluded,
            "rows_quarantined": self.quarantine.rows,
        }

    def shards(self, progress: Callable[[int, int], None]) -> Iterator[Part | dict[str, Any]]:
        """The shards, one after the other: as built from rows, or as the log has them already.

        `progress` gets the rows that are done and all rows.
        """
        names, sessions = self.event_names, self._mapping.sessions
        with contextlib.closing(ahead(self._groups(progress))) as groups:
            for group in groups:
                if isinstance(group, dict):
                    yield group
                    continue
                # What was added may have made a shard too large: it becomes several.
                for table in split_table(group) if self._ground else [group]:
                    if len(table):
                        yield keyed_part(table, names, sessions)

    def _groups(self, progress: Callable[[int, int], None]) -> Iterator[pa.Table | dict[str, Any]]:
        """What becomes a shard each: rows, or the entry of one that stays as it is."""
        done, rows = 0, self._spill.rows
        number = self._shards or min(PARTS, default_shards(self._good))
        size = 1 if self._ground else self.parts // number
        for start in range(0, self.parts, size):
            group = range(start, start + size)
            table, changed = self._load(group) if self._touched(start) else (None, False)
            if self._ground and not changed and not self._rewrite:
                yield self._ground.entries[start]
            elif table is not None:
                yield table
            done += int(rows[group].sum())
            progress(done, int(rows.sum()))

    def _touched(self, part: int) -> bool:
        if self._ground is None or self._rewrite:
            return True
        return self._spill.rows[part] > self._bounds[0][part] or len(self._dropped[part]) > 0

    @cached_property
    def properties(self) -> dict[str, str]:
        """``"number"`` or ``"text"`` for the session and every property of the log."""
        kinds = self.alignment.kinds()
        found = {name: "text" if kind == TEXT else "number" for name, kind in kinds.items()}
        return found if SESSION in found else {SESSION: "text", **found}

    @cached_property
    def _rewrite(self) -> bool:
        """Does every shard change, because columns do or codes need wider integers?"""
        if self._ground is None:
            return False
        before = self._ground.manifest
        given = SESSION in self.alignment.kinds(), SESSION in self._ground.columns
        widths = {event_dtype(len(names)) for names in (self.event_names, before.event_names)}
        return before.properties != self.properties or len(set(given)) > 1 or len(widths) > 1

    def _load(self, parts: range) -> tuple[pa.Table, bool]:
        """The rows of these parts as they arrived, without those that repeat; are they others
        than the log has already?
        """
        kinds = self.alignment.kinds()
        tables, files = [], []
        for part in parts:
            rows = [settled(table, kinds) for table in self._spill.read(part)]
            if not (found := [*self._before(part, kinds), *rows]):
                continue
            # Not one table more than there is: two of them have dictionaries that must be joined.
            table = pa.concat_tables(found)
            keep = np.ones(len(table), np.bool_)
            keep[self._dropped[part]] = False
            arrived = np.diff([bound[part] for bound in self._bounds], prepend=0)
            files.append(np.repeat(np.arange(len(arrived)), arrived)[keep])
            if self._keyed:
                table = with_keys(table, self._keys[part])
            tables.append(table.filter(pa.array(keep)) if not keep.all() else table)
        if not tables:
            return settled(self.alignment.empty(), kinds), False
        table, file = pa.concat_tables(tables), np.concatenate(files)
        by_id = self._mapping.event_id is not None
        gone = repeated(table, file, keyed=is_keyed(table), by_id=by_id)
        self._repeated += int(gone.sum())
        before = int(self._bounds[0][parts].sum())
        changed = bool((file[~gone] > 0).any()) or int((~gone).sum()) != before
        return (table.filter(pa.array(~gone)) if gone.any() else table), changed

    def _before(self, part: int, kinds: dict[str, pa.DataType]) -> list[pa.Table]:
        return [self._ground.table(part, kinds)] if self._ground else []


def _valued(table: pa.Table) -> np.ndarray:
    if VALUE not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return ~pc.is_null(table.column(VALUE), nan_is_null=True).to_numpy()
