"""Which files are meant, and are they what their names say?

A name's ending decides how a file is read, and its first bytes must agree: a renamed archive or
a saved error page would otherwise be read as rubbish, or worse, as one strange row. Compressed
bytes are always read to their end, so a download that was cut short is an error and never a
shorter file. Nothing is guessed that a person can say in one word by renaming a file.
"""

from __future__ import annotations

import contextlib
import glob
import hashlib
import json
import os
import re
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Final, NamedTuple

import pyarrow as pa

from analysis.core.schema import DataError, UsageError, did_you_mean
from analysis.eventlog.folder import QUARANTINE
from analysis.eventlog.shard import readable
from analysis.eventlog.store import MANIFEST

CSV: Final = "CSV"
JSON: Final = "JSON lines"
PARQUET: Final = "Parquet"
ENDINGS: Final = {
    ".csv": CSV,
    ".tsv": CSV,
    ".txt": CSV,
    ".jsonl": JSON,
    ".ndjson": JSON,
    ".json": JSON,
    ".parquet": PARQUET,
    ".pq": PARQUET,
}

_OF_LOG: Final = (MANIFEST, QUARANTINE, "truth.json")
_HEAD: Final = 4096
_BLOCK: Final = 4 << 20
_MAGIC: Final = (
    (b"\x1f\x8b", "gzip-compressed", "Rename it so that it ends in .gz"),
    (b"PAR1", "Parquet", "Rename it so that it ends in .parquet"),
    (b"PK\x03\x04", "a zip archive (Excel files are, too)", "Unzip it, or save it as CSV"),
    (b"\x28\xb5\x2f\xfd", "Zstandard-compressed", "Decompress it with: zstd -d"),
    (b"BZh", "bzip2-compressed", "Decompress it with: bunzip2"),
    (b"\xfd7zXZ", "xz-compressed", "Decompress it with: unxz"),
    (b"SQLite format 3", "an SQLite database", "Export the table as CSV"),
    (b"\xff\xfe", "UTF-16 text", "Convert it with: iconv -f UTF-16 -t UTF-8"),
    (b"\xfe\xff", "UTF-16 text", "Convert it with: iconv -f UTF-16 -t UTF-8"),
)


class SourceFile(NamedTuple):
    """A file to read: `kind` is CSV, JSON or PARQUET, `size` its bytes on disk.

    `stamp` tells whether the file is still the one that was there: see `refuse_changed`.
    """

    path: Path
    kind: str
    gzip: bool
    size: int
    stamp: tuple[int, ...] | None = None

    @property
    def name(self) -> str:
        """Its name as text; a byte that is none is written as an escape.

        Examples
        --------
        >>> SourceFile(Path(os.fsdecode(b"caf\\xe9.csv")), CSV, False, 1).name
        'caf\\\\xe9.csv'
        """
        return os.fsencode(self.path.name).decode("utf-8", "backslashreplace")


def refuse_changed(file: SourceFile) -> None:
    """Raise a `DataError` if the file has changed since it was named.

    Examples
    --------
    >>> refuse_changed(SourceFile(Path("/dev/null"), CSV, False, 0))
    """
    if file.stamp is not None and (now := _stamp(file.path)) != file.stamp:
        what = f"had {file.size:,} bytes, now it has {now[0]:,}"
        if now[0] == file.size:
            what = "was written anew"
        raise DataError(
            f"'{file.path}' changed while it was read: it {what}. Nothing was written. Wait until "
            "the file is complete, or import a copy."
        )


def _stamp(path: Path) -> tuple[int, ...]:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino


def expand(paths: Sequence[str | Path]) -> list[SourceFile]:
    """Which files do these paths, folders and patterns mean?

    The order is the one given; what a folder or a pattern stands for is sorted by name. A file
    that is meant twice is read once.

    Raises
    ------
    UsageError
        If a path, pattern or folder has no file, or a file's ending is not known.
    DataError
        If a file cannot be read, is empty, or is not what its name says.

    Examples
    --------
    >>> expand(["no-such-folder/*.csv"])
    Traceback (most recent call last):
    analysis.UsageError: no file matches 'no-such-folder/*.csv'. Check the pattern.
    """
    if not paths:
        raise UsageError("no file given. Name at least one file, folder or pattern.")
    found = {place.resolve(): place for path in paths for place in _meant(path)}
    return [_source_file(place) for place in found.values()]


def _meant(path: str | Path) -> list[Path]:
    place = Path(path)
    if place.is_dir():
        inside = sorted(child for child in place.iterdir() if _kind(child) and child.is_file())
        if not (inside := [child for child in inside if not _is_of_log(child)]):
            raise UsageError(
                f"folder '{place}' holds no file to import. Endings: {_endings()}, or with .gz."
            )
        return inside
    if place.exists():
        if _is_of_log(place):
            raise UsageError(
                f"'{place}' belongs to the log in '{place.parent}'. Name the files that were "
                "exported."
            )
        return [place]
    if re.search(r"[*?\[]", str(path)):
        matches = [Path(name) for name in sorted(glob.glob(str(path), recursive=True))]
        matches = [match for match in matches if match.is_file() and not _is_of_log(match)]
        if not matches:
            raise UsageError(f"no file matches {str(path)!r}. Check the pattern.")
        return matches
    near = [child.name for child in place.parent.iterdir()] if place.parent.is_dir() else []
    raise UsageError(f"there is no file '{place}'.{did_you_mean(place.name, near)}")


def _is_of_log(path: Path) -> bool:
    """Is this one of the files that a log in the same folder consists of?"""
    if path.name not in _OF_LOG:
        return False
    try:
        manifest = json.loads((path.parent / MANIFEST).read_bytes())
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(manifest, dict) and {"schema_version", "shards"}.issubset(manifest)


def _kind(path: Path) -> str | None:
    ending = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    kind = ENDINGS.get(ending.suffix.lower())
    return None if kind == PARQUET and ending != path else kind


def _endings() -> str:
    return ", ".join(ENDINGS)


def _source_file(path: Path) -> SourceFile:
    kind = _kind(path)
    if kind is None:
        raise UsageError(
            f"'{path}' has an ending that says nothing about its content. Allowed: "
            f"{_endings()}, text also with .gz. Rename it, or export it as one of these."
        )
    if not path.is_file():
        raise UsageError(
            f"'{path}' is a pipe or a device, and a file is read more than once. Save what comes "
            "out of it, and name that file."
        )
    with readable(path):
        stamp = _stamp(path)
        file = SourceFile(path, kind, path.suffix.lower() == ".gz", stamp[0], stamp)
        _refuse_other_content(file)
    return file


@contextlib.contextmanager
def checksum(path: Path) -> Iterator[Future[str]]:
    """A file's BLAKE2b, 32 hexadecimal digits, taken in a thread beside what is done meanwhile.

    Leaving without asking for the result does not wait for it.

    Examples
    --------
    >>> with checksum(Path("/dev/null")) as digest:
    ...     digest.result()
    'cae66941d9efbd404e4d88758ea67670'
    """
    left = threading.Event()

    def taken() -> str:
        digest = hashlib.blake2b(digest_size=16)
        with path.open("rb") as handle:
            while not left.is_set() and (block := handle.read(_BLOCK)):
                digest.update(block)
        return digest.hexdigest()

    with ThreadPoolExecutor(1) as beside:
        try:
            yield beside.submit(taken)
        finally:
            left.set()


def _refuse_other_content(file: SourceFile) -> None:
    with file.path.open("rb") as handle:
        raw = handle.read(_HEAD)
    if not raw:
        raise DataError(f"'{file.path}' is empty (0 bytes). Export it again, or leave it out.")
    if file.gzip and not raw.startswith(b"\x1f\x8b"):
        raise DataError(
            f"'{file.path}' is {_looks_like(raw)[0]}, not gzip. Rename it without .gz, "
            "or download it again."
        )
    if file.kind == PARQUET:
        if not raw.startswith(b"PAR1"):
            what, advice = _looks_like(raw)
            raise DataError(f"'{file.path}' is {what}, not Parquet. {advice}.")
        return
    with Bytes(file) as stream:
        head = stream.read(_HEAD)
    if not head.strip():
        raise DataError(f"'{file.path}' is empty. Export it again, or leave it out.")
    what, advice = _looks_like(head)
    if file.kind == JSON and what == CSV and re.search(rb"^\s*[{\[]", head, re.MULTILINE):
        return  # its first line is broken; that is one bad record, not another format
    if what != file.kind:
        raise DataError(f"'{file.path}' is {what}, not {file.kind}. {advice}.")


def _looks_like(head: bytes) -> tuple[str, str]:
    for magic, what, advice in _MAGIC:
        if head.startswith(magic):
            return what, advice
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"<"):
        return "HTML or XML", "Download it again: this may be an error page"
    first = text.split(b"\n", 1)[0]
    if first.count(b"\0") > len(first) // 4:
        return "binary or UTF-16", "If it is text, convert it with: iconv -f UTF-16 -t UTF-8"
    if re.search(rb"[\0-\x08\x0e-\x1f]", first):
        return "binary", "Export it as CSV, Parquet or JSON lines"
    if text.startswith((b"{", b"[")):
        return JSON, "Rename it so that it ends in .jsonl"
    return CSV, "Rename it so that it ends in .csv"


class Bytes:
    """The bytes of a file, decompressed; reading past a cut in compressed data raises."""

    def __init__(self, file: SourceFile) -> None:
        self._raw = pa.OSFile(bytes(file.path), "rb")
        self._stream = pa.CompressedInputStream(self._raw, "gzip") if file.gzip else self._raw

    def __enter__(self) -> Bytes:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._stream.close()
        self._raw.close()

    def read(self, size: int) -> bytes:
        """The next `size` bytes; at the end the rest, then none."""
        block = self._stream.read(size)
        while len(block) < size:
            more = self._stream.read(size - len(block))
            if not more:
                break
            block += more
        return block

    def position(self) -> int:
        """How many of the file's bytes on disk have been read."""
        return self._raw.tell()
