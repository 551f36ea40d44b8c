"""What an import has read so far, on disk, split by user.

Files come in batch by batch; each row goes to one of 64 parts by its user's hash, each bad record
to the quarantine, and every record is counted once. When all files are read, the parts are taken
up again, a few at a time, and become shards. Memory holds one batch or one group of parts, never
the log.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.eventlog.alignment import Alignment, settled
from analysis.eventlog.build import build_shard, default_shards, shard_of
from analysis.eventlog.duplicates import Duplicates
from analysis.eventlog.quarantine import QUARANTINE, Quarantine
from analysis.eventlog.shard import Shard
from analysis.eventlog.spill import Spill
from analysis.schema import EVENT, TIME, USER, VALUE, DataError
from analysis.sources.files import JSON, SourceFile
from analysis.sources.mapping import (
    ColumnMapping,
    check_columns,
    missing_column,
    named_columns,
)
from analysis.sources.rows import Rows, canonical_rows
from analysis.sources.tables import read

PARTS: Final = 64


class Intake:
    """Reads files into `folder`; `shards` is how many the log shall have, None: by its size."""

    def __init__(self, folder: Path, mapping: ColumnMapping, shards: int | None) -> None:
        self.parts = shards or PARTS
        self.rows_in = 0
        self.sources: list[dict[str, Any]] = []
        self.event_names: set[str] = set()
        self.quarantine = Quarantine(folder / QUARANTINE)
        self._mapping = mapping
        self._shards = shards
        self._alignment = Alignment()
        self._spill = Spill(folder / "rows", self.parts)
        self._duplicates = Duplicates(folder / "keys")
        self._columns: set[str] = set()
        self._dropped: list[np.ndarray] = []

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
        before, mapping = self.rows_in, self._mapping
        first = True
        for batch in read(file, columns=mapping.columns, missing=mapping.missing):
            if first:
                check_columns(mapping, batch.columns, file.path, sparse=file.kind == JSON)
                first = False
            self._columns.update(batch.columns)
            self.rows_in += len(batch.rows) + len(batch.bad)
            rows = canonical_rows(batch, mapping)
            self.quarantine.add(file.path.name, rows.bad)
            self._keep(rows)
            progress(batch.position, self.rows_in)
        self.sources.append(_source(file, self.rows_in - before))

    def _keep(self, rows: Rows) -> None:
        table = self._alignment.align(rows.table, rows.untyped)
        self.event_names.update(pc.unique(table.column(EVENT)).to_pylist())
        part = shard_of(table.column(USER).combine_chunks(), self.parts)
        place = self._spill.add(table, part)
        if rows.keys is not None and rows.keyed is not None and rows.keyed.any():
            keyed = rows.keyed
            self._duplicates.add(
                rows.keys[keyed],
                time=table.column(TIME).to_numpy()[keyed],
                valued=_valued(table)[keyed],
                part=part[keyed],
                place=place[keyed],
            )

    def finish(self) -> dict[str, int]:
        """Stop reading; returns the counts of rows, as `ImportCounts` names them.

        Raises
        ------
        UsageError
            If no file has a column that the mapping names.
        DataError
            If there is no row to keep.
        """
        self.close()
        for name, option in named_columns(self._mapping).items():
            if self._columns and name not in self._columns:
                raise missing_column(name, sorted(self._columns), "the files have", option)
        if not self.rows_in:
            names = ", ".join(repr(source["name"]) for source in self.sources[:3])
            raise DataError(f"there is a header and no row in {names}. Export the data again.")
        if not self._spill.rows.sum():
            raise self.quarantine.nothing_left()
        self._dropped = self._duplicates.dropped(self.parts)
        duplicate = sum(len(places) for places in self._dropped)
        return {
            "rows_in": self.rows_in,
            "rows_kept": int(self._spill.rows.sum()) - duplicate,
            "rows_duplicate": duplicate,
            "rows_excluded": 0,
            "rows_quarantined": self.quarantine.rows,
        }

    def shards(
        self, counts: dict[str, int], progress: Callable[[int, int], None]
    ) -> Iterator[Shard]:
        """The shards, one after the other; `progress` gets the rows written and all rows.

        Raises
        ------
        DataError
            If the rows do not add up, so that nothing is published that lost some.
        """
        names, kept, written = sorted(self.event_names), counts["rows_kept"], 0
        number = self._shards or min(PARTS, default_shards(kept))
        size = self.parts // number
        for start in range(0, self.parts, size):
            table = self._load(range(start, start + size))
            written += len(table)
            if len(table):
                yield build_shard(table, event_names=names)
            progress(written, kept)
        others = ("rows_duplicate", "rows_excluded", "rows_quarantined")
        counted = written + sum(counts[name] for name in others)
        if counted != counts["rows_in"]:
            raise DataError(
                f"{counts['rows_in']:,} rows were read and {counted:,} accounted for. Nothing was "
                "written. Was a file changed during the import? If not, please report this."
            )

    def _load(self, parts: range) -> pa.Table:
        kinds = self._alignment.kinds()
        tables = [settled(self._alignment.empty(), kinds)]
        for part in parts:
            place = 0
            for table in self._spill.read(part):
                keep = np.ones(len(table), np.bool_)
                gone = self._dropped[part] - place
                keep[gone[(gone >= 0) & (gone < len(table))]] = False
                place += len(table)
                tables.append(settled(table.filter(pa.array(keep)), kinds))
        return pa.concat_tables(tables)


def _valued(table: pa.Table) -> np.ndarray:
    if VALUE not in table.column_names:
        return np.zeros(len(table), np.bool_)
    return ~pc.is_null(table.column(VALUE), nan_is_null=True).to_numpy()


def _source(file: SourceFile, rows: int) -> dict[str, Any]:
    with file.path.open("rb") as handle:
        digest = hashlib.file_digest(handle, lambda: hashlib.blake2b(digest_size=16))
    return {
        "name": file.path.name,
        "bytes": file.size,
        "blake2b": digest.hexdigest(),
        "rows": rows,
    }
