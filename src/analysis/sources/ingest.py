"""Importing files: from what other tools export to a log in a folder, or to nothing at all.

An import ends in one of two ways: the log is there, with every row of the input counted as kept,
duplicate, excluded or quarantined; or an error says what to do, and the folder is exactly as it
was before. What is read on the way lies in a folder of its own inside the log's, which goes when
the import ends, or when the next writer starts if the import was killed.

An append is an import whose parts begin with the shards that are there: the log is afterwards
what one import of all files would have made, and shards that get no row stay as they are.
"""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from analysis.core.schema import UsageError, instant_us
from analysis.eventlog.folder import QUARANTINE, new_version, workspace, write_part
from analysis.eventlog.maintenance import share
from analysis.eventlog.parallel import ahead
from analysis.eventlog.store import Manifest, covered_until, day_end, file_facts, publish, writing
from analysis.sources.append import Ground
from analysis.sources.files import SourceFile, expand
from analysis.sources.intake import PARTS, Intake
from analysis.sources.mapping import ColumnMapping
from analysis.sources.terms import agreed

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
    """How far an import is: `done` of `total` (bytes when reading, rows when writing), and how
    many rows that was.
    """

    stage: str
    done: int
    total: int
    rows: int


def import_files(
    paths: Sequence[str | Path],
    mapping: ColumnMapping,
    to: str | Path,
    *,
    append: bool = False,
    covers_until: Any = None,
    max_bad: str | float | None = None,
    shards: int | None = None,
    progress: Callable[[Progress], None] | None = None,
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
        of the last event's UTC day.
    max_bad : the share of bad rows above which there is no import, as ``"1%"`` or 0.01.
    shards : how many parts a new log has on disk; no answer depends on it.
    progress : called after every batch.

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
    _refuse(target, shards=shards)
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
        mapping = agreed(mapping, manifest.terms if manifest else None, target)
        ground = Ground(target, manifest) if manifest else None
        before = target / QUARANTINE if ground and (target / QUARANTINE).exists() else None
        with (
            workspace(target) as folder,
            contextlib.closing(
                Intake(folder, mapping, shards, ground=ground, bad_before=before)
            ) as intake,
        ):
            _read(files, intake, tell)
            intake.finish(allowed)
            return _write(target, intake, manifest, until, tell)


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

    for part in ahead(intake.shards(written)):
        entry = part if isinstance(part, dict) else write_part(part, version, len(entries), names)
        entries.append(entry)
    counts = intake.counts(sum(entry["events"] for entry in entries))
    draft = Manifest(
        events=0,
        covers_until=covered_until(until, entries),
        event_names=names,
        properties=intake.properties,
        fingerprint="",
        shards=entries,
        sources=intake.sources,
        rows=counts,
        columns=intake.alignment.state(),
        terms=intake.terms,
    )
    quarantine = intake.quarantine.path if intake.quarantine.rows else None
    publish(target, version, _after(target, before, draft, until), quarantine=quarantine)
    return ImportCounts(**counts)


def _after(target: Path, before: Manifest | None, draft: Manifest, stated: int | None) -> Manifest:
    """What an import has found, added to what was there."""
    if before is None:
        return draft
    ends = [max(entry["end"] for entry in of.shards) for of in (before, draft)]
    until = before.covers_until
    if ends[1] > ends[0]:
        until = max(until, day_end(ends[1]))
    facts = before.quarantine
    if facts is None and (target / QUARANTINE).exists():
        facts = file_facts(target / QUARANTINE)
    counts = {name: before.rows.get(name, 0) + count for name, count in draft.rows.items()}
    if not before.rows:  # a log that was not imported: its rows came from somewhere
        for name in ("rows_in", "rows_kept"):
            counts[name] += before.events
    return dataclasses.replace(
        draft,
        covers_until=until if stated is None else stated,
        sources=[*before.sources, *draft.sources],
        rows=counts,
        quarantine=facts,
    )


def _read(files: list[SourceFile], intake: Intake, tell: Callable[[Progress], None]) -> None:
    before, total = 0, sum(file.size for file in files)
    for file in files:

        def told(position: int, rows: int, before: int = before) -> None:
            tell(Progress(READING, before + position, total, rows))

        intake.take(file, told)
        before += file.size


def _refuse(target: Path, *, shards: int | None) -> None:
    if target.exists() and not target.is_dir():
        raise UsageError(f"'{target}' is a file; a log is a folder. Name another with --to.")
    if shards is not None and not 1 <= shards <= 4 * PARTS:
        raise UsageError(f"shards={shards!r} is out of range. Allowed: 1 to {4 * PARTS}.")
