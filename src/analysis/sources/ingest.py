"""Make a log of files: from what other tools export to a log in a folder, or to nothing at all.

The stations of an import, each in its file:

====================  ==============================================================================
`files`               which files are meant, and are they what their names say
`readers`             each file as batches of records; `quotes` says where those of a CSV end,
                      `header` whether it has one, `parquet` how much fits into a batch
`rows`                the rows of the log in a batch, by a `mapping` that says which column is what;
                      `cells` and `decimals` read text and numbers, `times` and `clocks` read
                      times, `privacy` hashes ids, `losses` counts what is lost
`merging`             one set of columns for all files, and each order once
`overlaps`            each event once, whichever files say it
`orders`              one event of the lines of an order
`eventlog.build`      the rows of some users as a shard
`eventlog.store`      the shards as a log, published in one step
====================  ==============================================================================

Each row goes to one of 64 parts by its user's hash, each record that is no row to the quarantine,
and every record is counted once. When all files are read, the parts are taken up again, a few at a
time, and become shards. Memory holds one batch or one group of parts, never the log.

An import ends in one of two ways: the log is there, with every row of the input counted as kept,
duplicate, excluded or quarantined; or an error says what to do, and the folder is exactly as it
was before. What is read on the way lies in a folder of its own inside the log's, which goes when
the import ends, or when the next writer starts if the import was killed.

An append (see `append`) is an import whose parts begin with the shards that are there: the log is
afterwards what one import of all files would have made, and shards that get no row stay as they
are.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import (
    EVENT,
    SESSION,
    TIME,
    US_PER_DAY,
    USER,
    VALUE,
    DataError,
    UsageError,
    instant_us,
)
from analysis.eventlog import coverage
from analysis.eventlog.build import default_shards, shard_of, split_table
from analysis.eventlog.folder import QUARANTINE, Part, new_version, workspace, write_part
from analysis.eventlog.maintenance import Quarantine, share
from analysis.eventlog.parallel import prefetch
from analysis.eventlog.shard import TEXT, event_dtype
from analysis.eventlog.spill import Spill
from analysis.eventlog.store import Manifest, file_facts, publish, read_part, writing
from analysis.sources.append import BaseLog, import_settings, with_settings_of_log
from analysis.sources.clocks import FileClock
from analysis.sources.decimals import Decimals
from analysis.sources.files import JSON, SourceFile, checksum, expand, refuse_changed
from analysis.sources.losses import (
    BLANKED,
    DUPLICATE,
    NO_NUMBER,
    QUARANTINED,
    Loss,
    listed,
    rows_lost,
    weeks_of,
)
from analysis.sources.mapping import ColumnMapping, check_columns, missing_column, named_columns
from analysis.sources.merging import (
    Alignment,
    Duplicates,
    has_order_id,
    is_order_line,
    part_of_table,
    settled,
    with_order_ids,
)
from analysis.sources.orders import orders_of_lines
from analysis.sources.overlaps import overlapping, repeats
from analysis.sources.readers import Batch, lists_of_objects, read
from analysis.sources.rows import Rows, canonical_rows

PARTS: Final = 64
_MANY: Final = 20
"""Rows of a file that are not alike by chance."""
READING: Final = "reading"
WRITING: Final = "writing"


class ImportCounts(NamedTuple):
    """How the rows of the input add up: the last four make the first.

    One row of the input makes one event. Excluded are the rows without consent, where the
    mapping names a column of it.
    """

    rows_in: int
    rows_kept: int
    rows_duplicate: int
    rows_excluded: int
    rows_quarantined: int


class Progress(NamedTuple):
    """How far an import is: `done` of `total`, and how many rows that was.

    Both are bytes when files are read, rows when shards are written.
    """

    stage: str
    done: int
    total: int
    rows: int


def import_files(  # noqa: PLR0913
    paths: Sequence[str | Path],
    mapping: ColumnMapping,
    to: str | Path,
    *,
    append: bool = False,
    covers_until: Any = None,
    max_bad: str | float | None = None,
    shards: int | None = None,
    progress: Callable[[Progress], None] | None = None,
    say: Callable[[str], None] | None = None,
) -> ImportCounts:
    """Make a log of files, in a folder.

    Parameters
    ----------
    paths : files, folders and patterns, read in this order; rows of one user at one instant
        keep it.
    to : the folder of the log; it must not hold one, unless `append`.
    append : add to the log that is there. Rows that it has already add nothing: those with the
        same event id where the mapping names that column, else those equal in all cells, as
        often as one file has them.
    covers_until : the instant up to which the data are complete (naive: UTC); default: the end
        of the last event's UTC day, but for far-off events and a day that breaks off (see
        `eventlog.coverage`).
    max_bad : the share of bad rows above which there is no import, as ``"1%"`` or 0.01.
    shards : how many parts a new log has on disk; no answer depends on it.
    progress : called after every batch.
    say : called with each sentence about what the import found out or could not read.

    Raises
    ------
    UsageError
        If the call or the mapping does not fit: no such file or column, a time without a zone.
    DataError
        If a file is damaged, cut short, empty or not what its name says, no row can be read, too
        many are bad, or another process writes the log.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "clicks.csv").write_text("user,time,event\\nann,2026-01-01T00:00Z,visit\\n")
    >>> import_files([folder / "clicks.csv"], ColumnMapping(), folder / "log").rows_kept
    1
    """
    target = Path(to)
    if target.exists() and not target.is_dir():
        raise UsageError(f"'{target}' is a file; a log is a folder. Name another with --to.")
    if os.fsencode(target.absolute()).decode("utf-8", "replace") != str(target.absolute()):
        raise UsageError(
            f"the folder '{target}' has a name that is no UTF-8 text, and a log's files are named "
            "in text. Name another folder with --to."
        )
    if shards is not None and not 1 <= shards <= 4 * PARTS:
        raise UsageError(f"shards={shards!r} is out of range. Allowed: 1 to {4 * PARTS}.")
    until = None if covers_until is None else instant_us(covers_until, "covers_until")
    allowed = None if max_bad is None else share(max_bad)
    files = expand(paths)
    tell = progress or (lambda _: None)
    with writing(target) as manifest:
        if manifest is not None and not append:
            raise UsageError(
                f"there is a log in '{target}' already. Add to it with --append, name another "
                "folder with --to, or remove that one first."
            )
        mapping = with_settings_of_log(mapping, manifest.terms if manifest else None, target)
        base = BaseLog(target, manifest) if manifest else None
        bad_before = target / QUARANTINE if base and (target / QUARANTINE).exists() else None
        with (
            workspace(target) as folder,
            contextlib.closing(
                Intake(folder, mapping, shards, base=base, bad_before=bad_before)
            ) as intake,
        ):
            _read(files, intake, tell)
            intake.finish(allowed)
            counts = _write(target, intake, manifest, until, tell)
            for note in intake.notes():
                if say is not None:
                    say(note)
            return counts


def _read(files: list[SourceFile], intake: Intake, tell: Callable[[Progress], None]) -> None:
    before, total = 0, sum(file.size for file in files)
    for file in files:

        def so_far(position: int, rows: int, before: int = before) -> None:
            tell(Progress(READING, before + position, total, rows))

        intake.take(file, so_far)
        before += file.size


def _write(
    target: Path,
    intake: Intake,
    before: Manifest | None,
    until: int | None,
    tell: Callable[[Progress], None],
) -> ImportCounts:
    version, names = new_version(target), intake.event_names
    entries: list[dict[str, Any]] = []

    def written(done: int, total: int) -> None:
        tell(Progress(WRITING, done, total, done))

    seen: dict[str, coverage.Activity] = {}
    for part in prefetch(intake.shards(written)):
        if isinstance(part, dict):
            entry, time = part, read_part(target, part).time
        else:
            entry, time = write_part(part, version, len(entries), names), part.shard.time
        entries.append(entry)
        seen[entry["path"]] = coverage.activity(time)
    counts = intake.counts(sum(entry["events"] for entry in entries))
    draft = Manifest(
        events=0,
        covers_until=_covers_until(target, before, seen, until),
        event_names=names,
        properties=intake.properties,
        fingerprint="",
        shards=entries,
        sources=intake.sources,
        rows=counts,
        columns=intake.alignment.state(),
        terms=intake.settings,
        losses=listed(intake.lost, names, before.losses if before else ()),
    )
    quarantine = intake.quarantine.path if intake.quarantine.rows else None
    publish(target, version, _after(target, before, draft), quarantine=quarantine)
    return ImportCounts(**counts)


def _covers_until(
    target: Path,
    before: Manifest | None,
    seen: dict[str, coverage.Activity],
    stated: int | None,
) -> int:
    """Up to when is the log complete: as stated now, or before, or by its events (`seen`)?"""
    if stated is not None:
        return stated
    now = coverage.covered_until(coverage.together(seen.values()))
    if before is None:
        return now
    there = coverage.together(
        # Shards that stay have been looked at.
        seen.get(entry["path"]) or coverage.activity(read_part(target, entry).time)
        for entry in before.shards
    )
    then = coverage.covered_until(there)
    # Earlier versions took the end of the last event's day, whatever event that was.
    if before.covers_until in (then, (int(there.last[-1]) // US_PER_DAY + 1) * US_PER_DAY):
        return now
    return max(before.covers_until, now) if now > then else before.covers_until


def _after(target: Path, before: Manifest | None, draft: Manifest) -> Manifest:
    """The manifest of an import, with what the log had before added to it."""
    if before is None:
        return draft
    facts = before.quarantine
    if facts is None and (target / QUARANTINE).exists():
        facts = file_facts(target / QUARANTINE)
    counts = {name: before.rows.get(name, 0) + count for name, count in draft.rows.items()}
    if not before.rows:  # a log that was not imported: its rows came from somewhere
        for name in ("rows_in", "rows_kept"):
            counts[name] += before.events
    return dataclasses.replace(
        draft,
        sources=[*before.sources, *draft.sources],
        rows=counts,
        quarantine=facts,
    )


class Intake:
    """What an import has read so far, on disk in `folder`, split by user.

    Parameters
    ----------
    shards : how many the log shall have; None: by its size.
    base : the log that the files are appended to; None: there is none.
    bad_before : its quarantine.
    """

    def __init__(
        self,
        folder: Path,
        mapping: ColumnMapping,
        shards: int | None = None,
        *,
        base: BaseLog | None = None,
        bad_before: Path | None = None,
    ) -> None:
        self.parts = len(base.entries) if base else shards or PARTS
        self.settings = import_settings(mapping)
        self.rows_in = 0
        self.sources: list[dict[str, Any]] = []
        self.quarantine = Quarantine(folder / QUARANTINE, bad_before)
        self.alignment = Alignment(base.columns if base else None)
        self.lost: Counter[Loss] = Counter()
        self._decimals = Decimals(mapping.decimal)
        self._clocks: list[FileClock] = []
        self._blanked: dict[str, list[np.ndarray]] = {}
        self._new_names: set[str] = set()
        self._mapping = mapping
        self._shards = shards
        self._base = base
        self._spill = Spill(folder / "rows", self.parts)
        self._duplicates = Duplicates(folder / "keys")
        self._names: set[str] = set()
        self._dropped: list[np.ndarray] = []
        self._order_ids: list[pa.Table] = []
        self._overlapping = 0
        self._excluded = 0
        if base:
            self._spill.rows += base.rows
            for found in base.rows_with_order_id():
                self._duplicates.add(
                    found.ids,
                    time=found.time,
                    valued=found.valued,
                    part=np.full(len(found.place), found.part),
                    place=found.place,
                    line=found.line,
                )
        self._other_orders = 0
        self._columns_of_file: list[set[str]] = []
        self._alike: Counter[tuple[int, tuple[str, ...], tuple[str, ...]]] = Counter()
        self._bounds = [self._spill.rows.copy()]

    @property
    def event_names(self) -> list[str]:
        """The event names of the log in their order, then the new ones by name."""
        known = self._base.manifest.event_names if self._base else []
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
        self._columns_of_file.append(set())
        with (
            checksum(file.path) as digest,
            contextlib.closing(prefetch(self._rows(file))) as coming,
        ):
            for batch, rows in coming:
                self._names.update(batch.columns)
                self.rows_in += len(batch.rows) + len(batch.bad)
                self._excluded += rows.excluded
                new = self.quarantine.add(file.name, rows.bad)
                self.lost.update(rows.lost)
                for record, at, is_new in zip(rows.bad, rows.bad_of, new, strict=True):
                    fate = QUARANTINED if is_new else DUPLICATE
                    self.lost[Loss(fate, "", record.reason, *at)] += 1
                self._columns_of_file[-1].update(rows.table.column_names)
                self._keep(rows)
                progress(batch.position, self.rows_in)
            facts = {"name": file.name, "bytes": file.size, "blake2b": digest.result()}
        refuse_changed(file)
        columns = sorted(self._columns_of_file[-1])
        self.sources.append({**facts, "rows": self.rows_in - before, "columns": columns})
        self._bounds.append(self._spill.rows.copy())

    def _rows(self, file: SourceFile) -> Iterator[tuple[Batch, Rows]]:
        """The batches of a file, the next one read in a thread, and their rows."""
        mapping, first = self._mapping, True
        clock = FileClock()
        self._clocks.append(clock)
        batches = read(
            file,
            columns=mapping.columns,
            missing=mapping.missing,
            nested=mapping.nested,
            names=None if mapping.header else mapping.names,
            needed=mapping.needed,
        )
        with contextlib.closing(prefetch(batches)) as coming:
            for batch in coming:
                if first:
                    check_columns(
                        mapping,
                        batch.columns,
                        file.path,
                        sparse=file.kind == JSON,
                        lists=lists_of_objects(batch.cells) if batch.typed else (),
                    )
                    first = False
                yield batch, canonical_rows(batch, mapping, decimals=self._decimals, clock=clock)

    def _keep(self, rows: Rows) -> None:
        table = self.alignment.align(rows.table, rows.untyped)
        self._new_names.update(pc.unique(table.column(EVENT)).to_pylist())
        users = table.column(USER).combine_chunks()
        part = self._base.part_of(users) if self._base else shard_of(users, self.parts)
        ids, named = rows.order_ids, rows.has_order_id
        if rows.blanked or (named is not None and named.any()):
            place = self._spill.places(part)
        for column, found in rows.blanked.items():
            at = np.array([part[found], place[found]])
            self._blanked.setdefault(column, []).append(at)
        if ids is not None and named is not None and named.any():
            values = _values(table)[named]
            self._duplicates.add(
                ids[named],
                time=table.column(TIME).to_numpy()[named],
                valued=~np.isnan(values),
                part=part[named],
                place=place[named],
                line=rows.is_line[named] if rows.is_line is not None else None,
                values=values,
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
        for column, found in self._blanked.items():
            part, place = np.concatenate(found, axis=1)
            order = np.argsort(part, kind="stable")
            self._blanked[column] = [part[order], place[order]]
        self.alignment.decimal = self._decimals.sign
        if self._decimals.sign is not None:
            self.settings["decimal"] = self._decimals.sign
        for name, option in named_columns(self._mapping).items():
            if self._names and name not in self._names:
                raise missing_column(name, sorted(self._names), "the files have", option)
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
        self._dropped, self._order_ids = self._duplicates.settled(self.parts)

    def notes(self) -> list[str]:
        """What was found out without being told, or could not be read, each as a sentence."""
        notes = [self._decimals.note] if self._decimals.note else []
        blanked: Counter[tuple[str, str]] = Counter()
        for loss, rows in self.lost.items():
            if loss.fate == BLANKED:
                blanked[loss.column, loss.reason] += rows
        ambiguous = sum(clock.ambiguous for clock in self._clocks)
        if ambiguous:
            notes.append(
                f"{ambiguous:,} times are in the hour that the clocks of {self._mapping.zone} show "
                "twice, and the order of the file does not say which is meant: the first is taken. "
                "Export times in UTC, or with their offset."
            )
        if any(clock.dates_only for clock in self._clocks):
            notes.append(
                "All times are midnight, so they are dates: the order of events within a day is "
                "unknown, and all events of a day count as of one instant. Is there a column of "
                'the hour? In a mapping: [columns] time = ["date", "hour"].'
            )
        if self._duplicates.differing:
            notes.append(
                f"{self._duplicates.differing:,} rows that [duplicates] leaves out have another "
                "value than the row that stays. Are they lines of one order? Then import with "
                '[orders] key = "…", which adds their values up.'
            )
        if self._other_orders:
            notes.append(
                f"{self._other_orders:,} orders of the log are in the files with other values. An "
                "order that has no more lines there stays as it is in the log."
            )
        return notes + [
            f"{rows:,} of {self._good:,} rows have a cell in column {column!r} that {reason}: the "
            "rows are kept, these cells are missing."
            for (column, reason), rows in sorted(blanked.items())
        ]

    def _lose(
        self, table: pa.Table, found: np.ndarray, fate: str, *, reason: str, column: str = ""
    ) -> None:
        """Count rows that are there already, or have a cell that could not be read."""
        if found.any():
            rows = table.select([TIME, EVENT]).filter(pa.array(found))
            us = rows.column(TIME).to_numpy()
            weeks = weeks_of(us, np.ones(len(us), np.bool_))
            events = rows.column(EVENT)
            self.lost += rows_lost(fate, events, weeks, reason=reason, column=column)

    def _unread(self, column: str, part: int, rows: int) -> np.ndarray:
        """In which rows of a part a cell of this column could not be read."""
        found = np.zeros(rows, np.bool_)
        parts, places = self._blanked[column]
        start, stop = np.searchsorted(parts, [part, part + 1])
        found[places[start:stop]] = True
        return found

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
        self._refuse_alike()
        kept = events - int(self._bounds[0].sum())
        duplicate = sum(map(len, self._dropped)) + self._overlapping
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
        with contextlib.closing(prefetch(self._groups(progress))) as groups:
            for group in groups:
                if isinstance(group, dict):
                    yield group
                    continue
                # What was added may have made a shard too large: it becomes several.
                for table in split_table(group) if self._base else [group]:
                    if len(table):
                        yield part_of_table(table, names, sessions)

    def _groups(self, progress: Callable[[int, int], None]) -> Iterator[pa.Table | dict[str, Any]]:
        """What becomes a shard: rows, or the manifest entry of a shard that stays as it is."""
        done, rows = 0, self._spill.rows
        number = self._shards or min(PARTS, default_shards(self._good))
        size = 1 if self._base else self.parts // number
        for start in range(0, self.parts, size):
            group = range(start, start + size)
            table, changed = self._load(group) if self._touched(start) else (None, False)
            if self._base and not changed and not self._rewrite:
                yield self._base.entries[start]
            elif table is not None:
                yield table
            done += int(rows[group].sum())
            progress(done, int(rows.sum()))

    def _with_orders(self, table: pa.Table, file: np.ndarray) -> tuple[pa.Table, np.ndarray]:
        """The rows and their files, with the lines of each order as one row."""
        found = orders_of_lines(table, file)
        self._overlapping += int(found.gone.sum())
        self._lose(table, found.gone, DUPLICATE, reason="a line of an order that is kept")
        self._lose(table, found.mixed, BLANKED, reason="has several currencies", column=VALUE)
        self._other_orders += found.differ
        return found.table.filter(pa.array(~found.gone)), file[~found.gone]

    @cached_property
    def _columns(self) -> list[frozenset[str]]:
        """The columns of the log before (file 0) and of each file, when all have been read."""
        before = {USER, TIME, EVENT, *self._base.columns} if self._base else set()
        return [frozenset(before), *map(frozenset, self._columns_of_file)]

    @cached_property
    def _always(self) -> frozenset[str]:
        """Columns that all files had which the log before was made of."""
        sources = self._base.manifest.sources if self._base else []
        had = (source["columns"] for source in sources if "columns" in source)
        return self._columns[0].intersection(*had)

    @cached_property
    def _one_kind(self) -> bool:
        """Do all files have the same columns?"""
        kinds = {self._always, *self._columns} if self._base else {*self._columns[1:]}
        return len(kinds) == 1

    def _repeated(self, table: pa.Table, file: np.ndarray) -> np.ndarray:
        """Which rows are there already? A boolean per row."""
        by_id = self._mapping.event_id is not None
        unique = has_order_id(table) & ~(is_order_line(table) & (file > 0))
        files = file if self._one_kind else np.zeros_like(file)
        gone = overlapping(table, files, unique=unique, by_id=by_id)
        poorer = np.zeros(len(table), np.bool_)
        if not self._one_kind:
            found = repeats(table, file, self._columns, always=self._always, judged=~unique & ~gone)
            self._alike += found.alike
            gone, poorer = gone | found.equal, found.poorer
        self._lose(table, gone, DUPLICATE, reason="the same row as before")
        self._lose(table, poorer, DUPLICATE, reason="the same row with fewer columns")
        gone |= poorer
        self._overlapping += int(gone.sum())
        return gone

    def _refuse_alike(self) -> None:
        """Refuse files whose events seem to be there under other columns."""
        rows = np.diff([bound.sum() for bound in self._bounds], prepend=0)
        for (file, own, others), alike in self._alike.items():
            if alike >= _MANY and alike * 2 > rows[file]:
                raise DataError(
                    f"{alike:,} of {rows[file]:,} rows of '{self.sources[file - 1]['name']}' equal "
                    f"earlier rows in all columns that both have, but these have a cell in "
                    f"{', '.join(map(repr, others))}, those in {', '.join(map(repr, own))}. Are "
                    "they the same events? Give the columns one name in [properties], or say which "
                    "column tells events apart: --event-id COLUMN. Nothing was written."
                )

    def _touched(self, part: int) -> bool:
        if self._base is None or self._rewrite:
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
        """Is every shard written anew, because columns change or codes need wider integers?"""
        if self._base is None:
            return False
        before = self._base.manifest
        given = SESSION in self.alignment.kinds(), SESSION in self._base.columns
        widths = {event_dtype(len(names)) for names in (self.event_names, before.event_names)}
        return before.properties != self.properties or len(set(given)) > 1 or len(widths) > 1

    def _load(self, parts: range) -> tuple[pa.Table, bool]:
        """The rows of these parts in the order of their arrival, without repeats.

        Also says whether they differ from what the log has.
        """
        kinds = self.alignment.kinds()
        tables, files = [], []
        unread: dict[str, list[np.ndarray]] = {column: [] for column in self._blanked}
        for part in parts:
            rows = [settled(table, kinds) for table in self._spill.read(part)]
            if self._base:
                rows = [self._base.table(part, kinds), *rows]
            if not rows:
                continue
            # An empty table more would be joined too: two tables have dictionaries to unify.
            table = pa.concat_tables(rows)
            keep = np.ones(len(table), np.bool_)
            keep[self._dropped[part]] = False
            self._lose(table, ~keep, DUPLICATE, reason="the same id in [duplicates]")
            for column, masks in unread.items():
                masks.append(self._unread(column, part, len(table))[keep])
            arrived = np.diff([bound[part] for bound in self._bounds], prepend=0)
            files.append(np.repeat(np.arange(len(arrived)), arrived)[keep])
            if any(map(len, self._order_ids)):
                table = with_order_ids(table, self._order_ids[part])
            tables.append(table.filter(pa.array(keep)) if not keep.all() else table)
        if not tables:
            return settled(self.alignment.empty(), kinds), False
        table, file = pa.concat_tables(tables), np.concatenate(files)
        gone = self._repeated(table, file)
        for column, masks in unread.items():
            blank = np.concatenate(masks) & ~gone
            self._lose(table, blank, BLANKED, reason=NO_NUMBER, column=column)
        if gone.any():
            table, file = table.filter(pa.array(~gone)), file[~gone]
        if self._mapping.orders is not None:
            table, file = self._with_orders(table, file)
        changed = bool((file > 0).any()) or len(table) != int(self._bounds[0][parts].sum())
        return table, changed


def _values(table: pa.Table) -> np.ndarray:
    if VALUE not in table.column_names:
        return np.full(len(table), np.nan)
    return pc.fill_null(table.column(VALUE), np.nan).to_numpy()
