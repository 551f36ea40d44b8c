"""Importing files: from what other tools export to a log in a folder, or to nothing at all.

An import ends in one of two ways: the log is there, with every row of the input counted as kept,
duplicate, excluded or quarantined; or an error says what to do, and the folder is exactly as it
was before. What is read on the way lies in a folder of its own beside the log, which goes when
the import ends, however it ends.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from analysis.eventlog.intake import PARTS, Intake
from analysis.eventlog.quarantine import QUARANTINE
from analysis.eventlog.store import MANIFEST, write_log
from analysis.schema import UsageError, instant_us
from analysis.sources.files import SourceFile, expand
from analysis.sources.mapping import ColumnMapping

READING: Final = "reading"
WRITING: Final = "writing"


class ImportCounts(NamedTuple):
    """How the rows of the input add up: the last four make the first.

    One row of the input makes one event. Excluded are the rows that a vendor's own rules leave
    out; the mappings of this version have no such rule.
    """

    rows_in: int
    rows_kept: int
    rows_duplicate: int
    rows_excluded: int
    rows_quarantined: int


class Progress(NamedTuple):
    """How far an import is: `done` of `total` (bytes when reading, rows when writing)."""

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
    shards: int | None = None,
    progress: Callable[[Progress], None] | None = None,
) -> ImportCounts:
    """Make a log of files, in a folder.

    Parameters
    ----------
    paths : files, folders and patterns, read in this order; rows of one user at one instant
        keep it.
    to : the folder of the log; it must not hold one.
    append : not available in this version.
    covers_until : the instant up to which the data are complete (naive: UTC); default: the end
        of the last event's UTC day.
    shards : how many parts the log has on disk; no answer depends on it.
    progress : called after every batch.

    Raises
    ------
    UsageError
        If the call or the mapping does not fit: no such file or column, a time without a zone.
    DataError
        If a file is damaged, cut short, empty or not what its name says, or no row can be read.

    Examples
    --------
    >>> folder = Path(tempfile.mkdtemp())
    >>> _ = (folder / "clicks.csv").write_text("user,time,event\\nann,2026-01-01T00:00Z,visit\\n")
    >>> import_files([folder / "clicks.csv"], ColumnMapping(), folder / "log").rows_kept
    1
    """
    target = Path(to)
    _refuse(target, append=append, shards=shards)
    until = None if covers_until is None else instant_us(covers_until, "covers_until")
    files = expand(paths)
    tell = progress or (lambda _: None)
    with (
        _workspace(target) as folder,
        contextlib.closing(Intake(folder, mapping, shards)) as intake,
    ):
        _read(files, intake, tell)
        counts = intake.finish()

        def written(done: int, total: int) -> None:
            tell(Progress(WRITING, done, total, intake.rows_in))

        with _quarantine_beside(target, intake):
            write_log(
                intake.shards(counts, written),
                target,
                event_names=sorted(intake.event_names),
                covers_until=until,
                sources=intake.sources,
                rows=counts,
            )
    return ImportCounts(**counts)


def _read(files: list[SourceFile], intake: Intake, tell: Callable[[Progress], None]) -> None:
    before, total = 0, sum(file.size for file in files)
    for file in files:

        def told(position: int, rows: int, before: int = before) -> None:
            tell(Progress(READING, before + position, total, rows))

        intake.take(file, told)
        before += file.size


def _refuse(target: Path, *, append: bool, shards: int | None) -> None:
    if append:
        raise UsageError(
            "append=True (--append) is not available in this version. Import all files in one "
            "call into a new folder: workbook import OLD NEW --to OTHER."
        )
    if (target / MANIFEST).exists():
        raise UsageError(
            f"there is a log in '{target}' already. Name another folder with --to, or remove that "
            "one first."
        )
    if target.exists() and not target.is_dir():
        raise UsageError(f"'{target}' is a file; a log is a folder. Name another with --to.")
    if shards is not None and not 1 <= shards <= 4 * PARTS:
        raise UsageError(f"shards={shards!r} is out of range. Allowed: 1 to {4 * PARTS}.")


@contextlib.contextmanager
def _workspace(target: Path) -> Iterator[Path]:
    """A folder beside the log's, on the same disk; gone afterwards."""
    beside = next(place for place in target.absolute().parents if place.is_dir())
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-import-", dir=beside) as folder:
        yield Path(folder)


@contextlib.contextmanager
def _quarantine_beside(target: Path, intake: Intake) -> Iterator[None]:
    """Put the quarantine beside the log once that is written; an old one goes."""
    place, staged = target / QUARANTINE, target / f".{QUARANTINE}.tmp"
    if not intake.quarantine.rows:
        yield
        place.unlink(missing_ok=True)
        return
    made = [folder for folder in (target, *target.parents) if not folder.exists()]
    try:
        target.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(intake.quarantine.path, staged)
        yield
        staged.replace(place)
    except BaseException:
        staged.unlink(missing_ok=True)
        for folder in made:
            with contextlib.suppress(OSError):
                folder.rmdir()
        raise
