"""What is done to a log that is there: bad records set aside, files checked, people forgotten.

Quarantine: a record that becomes no row is kept beside the log with its file, number, reason and
content. Records are written as they come, so a file of nothing but rubbish needs no memory, and
nothing is written where there are none.

Check: opening a log notices files that are missing or cut short. A bit that a disk has changed is
only noticed by reading everything, so `check` does that when somebody asks.

Forget: people are removed from a log as if they had never been in it. Only the shards that hold
them are written anew. The values of properties that they alone had go with them, and so do their
bad records, the content of those that could not be read and name them, and what was cached of the
log. The names of events stay, and so do the
import's counts of duplicates. Nothing in the log's folder keeps the version before; copies and the
imported files are out of reach, and importing these again brings the people back.
"""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from analysis.core.schema import DataError, UsageError
from analysis.eventlog import parallel
from analysis.eventlog.folder import (
    QUARANTINE,
    Part,
    new_version,
    staged_quarantine,
    user_homes,
    workspace,
    write_part,
)
from analysis.eventlog.shard import (
    TEXT,
    Column,
    NumberColumn,
    Shard,
    content_sum,
    readable,
    text_column,
)
from analysis.eventlog.store import (
    MANIFEST,
    Manifest,
    file_facts,
    fingerprint_of,
    open_part,
    publish,
    read_changed_manifest,
    read_manifest,
    read_sound_part,
    sound_keys,
    writing,
)


class BadRecord(NamedTuple):
    """A record that becomes no row: its number, why, and its content as JSON text.

    `ids` are those of the people it may belong to, as the log would have them; None where the
    record could not be read.
    """

    row: int
    reason: str
    content: str
    ids: tuple[str, ...] | None = None


_IDS: Final = pa.list_(pa.string())
_SCHEMA: Final = pa.schema(
    [
        ("file", pa.string()),
        ("row", pa.int64()),
        ("reason", pa.string()),
        ("content", pa.string()),
        ("ids", _IDS),
    ]
)
_TOLD: Final = ["file", "row", "reason", "content"]

_EMPTIED: Final = '"(left out: it named somebody who was removed)"'

_ADVICE: Final = {
    "user": "Is it the right column? Say which: --user COLUMN.",
    "event": "Is it the right column? Say which: --event COLUMN.",
    "value": "Decimals have a point. Say which column it is: --value COLUMN.",
    "time is outside": "Is the unit right? --time-unit s, ms, us or ns.",
    "time": "Times are ISO 8601 ('2026-11-09T08:00Z'), or numbers with --time-unit. "
    "Is it the right column? --time COLUMN.",
}


# ── quarantine ───────────────────────────────────────────────────────────────────────────────────


class Quarantine:
    """Writes bad records to `path`, behind those that the log has already (the file `before`).

    `bad` is how many records came, `rows` how many of them were not there already.
    """

    def __init__(self, path: Path, before: Path | None = None) -> None:
        self.path = path
        self.rows = 0
        self.bad = 0
        self._before = before
        self._known = _digests(before) if before is not None else set()
        self._reasons: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._writer: pq.ParquetWriter | None = None

    def __enter__(self) -> Quarantine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Finish the file, if there is one."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def add(self, file: str, records: Sequence[BadRecord]) -> list[bool]:
        """Keep the records of a file; says which of them were not there already."""
        self.bad += len(records)
        for record in records:
            self._reasons[record.reason] += 1
            if record.reason not in self._examples:
                # Where it is, never what it says: a cell may be a person's.
                self._examples[record.reason] = f"record {record.row} of '{file}'"
        new = [not self._known or _digest(file, *r[:3]) not in self._known for r in records]
        records = list(itertools.compress(records, new))
        if not records:
            return new
        rows, reasons, content, ids = zip(*records, strict=True)
        columns = [
            pa.array([file] * len(rows)),
            pa.array(rows),
            pa.array(reasons),
            pa.array(content),
            pa.array(ids, _IDS),
        ]
        self._open().write_table(pa.table(columns, schema=_SCHEMA))
        self.rows += len(rows)
        return new

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, _SCHEMA)
            if self._before is not None:
                with pq.ParquetFile(self._before) as before:
                    for batch in before.iter_batches():
                        self._writer.write_table(_with_ids(pa.Table.from_batches([batch])))
        return self._writer

    def refuse(self, max_bad: float, rows_in: int) -> None:
        """Raise a `DataError` if more than the share `max_bad` of the rows is bad."""
        if self.bad > max_bad * rows_in:
            raise DataError(
                f"{self.bad:,} of {rows_in:,} rows are bad, more than the {max_bad:.4%} allowed. "
                f"{self._most()} Nothing was written. Look at that record, or allow more with "
                "--max-bad."
            )

    def _most(self) -> str:
        reason, count = self._reasons.most_common(1)[0]
        return f"The most frequent reason ({count:,}): {reason}, as in {self._examples[reason]}."

    def nothing_left(self) -> DataError:
        """The error of an import in which every row is bad."""
        reason = self._reasons.most_common(1)[0][0]
        return DataError(
            f"not one of {self.bad:,} rows can be read. {self._most()} {_advice(reason)}"
        )


def share(text: str | float) -> float:
    """A share of rows as a fraction from 0 to 1, from ``"1%"`` or 0.01.

    Raises
    ------
    UsageError
        If it is neither.

    Examples
    --------
    >>> share("1%"), share(0.5)
    (0.01, 0.5)
    """
    words = str(text).strip()
    try:
        number = float(words.removesuffix("%")) / (100 if words.endswith("%") else 1)
    except ValueError:
        number = math.nan
    if not 0 <= number <= 1:
        raise UsageError(f"max_bad={text!r} is not a share of rows. Allowed: '1%', or 0 to 1.")
    return number


def _advice(reason: str) -> str:
    for start, advice in _ADVICE.items():
        if reason.startswith(start):
            return advice
    return "Look at that record, and export the file again."


def _digests(path: Path) -> set[bytes]:
    with readable(path), pq.ParquetFile(path) as table:
        return {
            _digest(*row.values())
            for batch in table.iter_batches(columns=_TOLD)
            for row in batch.to_pylist()
        }


def _digest(file: str, row: int, reason: str, content: str) -> bytes:
    text = "\0".join((file, str(row), reason, content))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()


# ── check ────────────────────────────────────────────────────────────────────────────────────────


class Damage(NamedTuple):
    """A file that is not what was written, and why."""

    file: str
    reason: str


class Checked(NamedTuple):
    """How many files and bytes were read, and which files are damaged."""

    files: int
    bytes: int
    damaged: tuple[Damage, ...]


def check(folder: Path | str) -> Checked:
    """Is every file of the log in a folder what was written, and the manifest what they hold?

    Sizes and checksums say the first. For the second the content of every shard is added up anew,
    under the manifest's event names, and compared with its fingerprint.

    Raises
    ------
    DataError
        If there is no log, or its manifest cannot be read.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from analysis.eventlog.log import EventLog
    >>> day = pd.Timestamp("2026-01-01")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     frame = pd.DataFrame({"user": ["ann"], "time": [day], "event": ["visit"]})
    ...     EventLog.from_frame(frame).save(place)
    ...     check(place).damaged
    ()
    """
    place = Path(folder)
    manifest = read_changed_manifest(place)
    while True:
        found = _checked(place, *manifest)
        newer = read_changed_manifest(place)
        if not found.damaged or newer == manifest:
            return found
        manifest = newer  # what was missing may have been replaced meanwhile


def _checked(folder: Path, manifest: Manifest, changed: str | None) -> Checked:
    files = {
        f"{entry['path']}/{name}": facts
        for entry in manifest.shards
        for name, facts in entry.get("files", {}).items()
    }
    damaged = [
        Damage(entry["path"], "has no checksum: an earlier version wrote it. Import again.")
        for entry in manifest.shards
        if not entry.get("files")
    ]
    if manifest.quarantine is not None:
        # After a crash it may still lie where the next writer will put it into place.
        staged = staged_quarantine(folder, manifest.version).name
        name = staged if (folder / staged).exists() else QUARANTINE
        files[name] = manifest.quarantine
    reasons = parallel.map_shards(files.items(), lambda of: _reason(folder / of[0], of[1]))
    damaged += [Damage(name, why) for name, why in zip(files, reasons, strict=True) if why]
    if not damaged:
        damaged += _other_content(folder, manifest)
    if changed:
        damaged.append(Damage(MANIFEST, changed))
    size = sum(facts["bytes"] for facts in files.values())
    return Checked(len(files), size, tuple(damaged))


def not_checked(folder: Path | str) -> tuple[str, ...]:
    """What `check` cannot tell of the log in a folder, in plain words.

    Raises
    ------
    DataError
        If there is no log, or its manifest cannot be read.
    """
    if read_changed_manifest(folder)[1] is not None:
        return ()
    return (
        f"{MANIFEST} has no checksum: an earlier version wrote it. The next append writes one. "
        "Until then nobody can tell whether what it says beside the shards' content (the end of "
        "the log, how the rows add up) is what was written.",
    )


def _other_content(folder: Path, manifest: Manifest) -> list[Damage]:
    """Shards whose content is not what the manifest says, and a fingerprint that is not theirs."""

    def content(entry: Mapping[str, Any]) -> tuple[int, int] | str:
        try:
            shard = open_part(folder, manifest, entry)
            return content_sum(shard, manifest.event_names)
        except DataError as error:
            return str(error)

    sums = parallel.map_shards(manifest.shards, content)
    damaged = []
    for entry, found in zip(manifest.shards, sums, strict=True):
        if isinstance(found, str):
            damaged.append(Damage(entry["path"], found))
        elif [str(half) for half in found] != entry["content"]:
            damaged.append(Damage(entry["path"], f"has other content than {MANIFEST} says."))
    known = [found for found in sums if not isinstance(found, str)]
    events = sum(entry["events"] for entry in manifest.shards)
    if fingerprint_of(known, manifest.properties) != manifest.fingerprint and not damaged:
        why = "has the fingerprint of another log: a shard is missing, or it was changed."
        damaged.append(Damage(MANIFEST, why))
    if events != manifest.events:
        why = f"says {manifest.events:,} events, its shards have {events:,}."
        damaged.append(Damage(MANIFEST, why))
    return damaged


def _reason(path: Path, facts: Mapping[str, Any]) -> str:
    try:
        found = file_facts(path)
    except OSError as error:
        return f"cannot be read: {error.strerror}."
    if found["bytes"] != facts["bytes"]:
        return f"has {found['bytes']:,} bytes, it was written with {facts['bytes']:,}."
    return "" if found["blake2b"] == facts["blake2b"] else "has other content than was written."


# ── forget ───────────────────────────────────────────────────────────────────────────────────────


class Forgotten(NamedTuple):
    """What was removed: people, their events, and their bad rows.

    Bad rows that could not be read and named them are counted, too: these lost their content.
    """

    users: int
    events: int
    quarantined: int


def forget(folder: Path | str, users: Sequence[str]) -> Forgotten:
    """Remove people from the log in a folder, in one step.

    Raises
    ------
    UsageError
        If nobody is named.
    DataError
        If somebody is neither in the log nor in its quarantine, or nobody would be left; then
        nothing is changed.

    Examples
    --------
    >>> import pandas as pd, tempfile
    >>> from analysis.eventlog.log import EventLog
    >>> day = pd.Timestamp("2026-01-01")
    >>> with tempfile.TemporaryDirectory() as place:
    ...     frame = pd.DataFrame({"user": ["ann", "bob"], "time": [day, day], "event": ["x", "x"]})
    ...     EventLog.from_frame(frame).save(place)
    ...     forget(place, ["ann"]), EventLog.open(place).users
    (Forgotten(users=1, events=1, quarantined=0), 1)
    """
    place, wanted = Path(folder), sorted(set(users))
    if not wanted:
        raise UsageError("forget: nobody is named. Name at least one user.")
    read_manifest(place)
    with writing(place) as manifest:
        if manifest is None:
            raise DataError(f"'{place}' was removed meanwhile. There is nobody to forget.")
        with workspace(place) as room:
            return _forget(place, manifest, wanted, room / QUARANTINE)


def _forget(folder: Path, manifest: Manifest, users: list[str], staged: Path) -> Forgotten:
    version = new_version(folder)
    entries, found = _shards_without(folder, manifest, users, version)
    bad = leave_out(folder / QUARANTINE, users, staged)
    missing = [user for user in users if user not in found | bad.named]
    if missing:
        how = "Ids are compared letter by letter."
        if "ids" in manifest.terms:
            how = (
                "The ids of this log are hashed: give the hash, which is the HMAC-SHA-256 of the "
                "id with the key of the import, in hexadecimal."
            )
        raise DataError(
            f"{len(missing)} of {len(users)} users are not found in '{folder}', the first is "
            f"{missing[0]!r}. Nobody was removed. {how}"
        )
    if not entries:
        raise DataError(f"nobody else is in '{folder}'. Nobody was removed; remove the folder.")
    events = manifest.events - sum(entry["events"] for entry in entries)
    gone = {
        "rows_in": events + bad.removed,
        "rows_kept": events,
        "rows_quarantined": bad.removed,
    }
    draft = dataclasses.replace(
        manifest,
        shards=entries,
        rows={name: count - gone.get(name, 0) for name, count in manifest.rows.items()},
        quarantine=None if bad.removed and not staged.exists() else manifest.quarantine,
    )
    publish(folder, version, draft, quarantine=staged if staged.exists() else None)
    return Forgotten(len(users), events, bad.removed + bad.emptied)


def _shards_without(
    folder: Path, manifest: Manifest, users: list[str], version: Path
) -> tuple[list[dict[str, Any]], set[str]]:
    """The manifest's entries without the users, their shards written anew; and which were found."""
    gone = pa.array(users, TEXT)
    homes = user_homes(gone)
    entries: list[dict[str, Any]] = []
    found: set[str] = set()
    for entry in manifest.shards:
        low, high = entry.get("homes", (0, 2**32))
        mine = gone.filter(pa.array((homes >= low) & (homes <= high)))
        # Of the shards that cannot hold them nothing is read.
        shard = read_sound_part(folder, entry) if len(mine) else None
        leave = None if shard is None else pc.is_in(shard.users, mine).to_numpy(False)
        if shard is None or leave is None or not leave.any():
            entries.append(entry)
            continue
        found.update(shard.users.filter(pa.array(leave)).to_pylist())
        part = _without(shard, leave, sound_keys(folder, entry))
        if part.shard.rows:
            entries.append(write_part(part, version, len(entries), manifest.event_names))
    return entries, found


def _without(shard: Shard, leave: np.ndarray, keys: pa.Table | None) -> Part:
    """A shard without some of its users, and the keys of the rows that stay."""
    counts = np.diff(shard.offsets)
    stay = np.repeat(~leave, counts)
    if keys is not None:
        row = keys.column("row").to_numpy()
        keys = keys.filter(pa.array(stay[row]))
        moved = (np.cumsum(stay) - 1)[keys.column("row").to_numpy()]
        keys = keys.set_column(0, "row", pa.array(moved))
    kept = Shard(
        users=shard.users.filter(pa.array(~leave)),
        offsets=np.concatenate([[0], np.cumsum(counts[~leave])]).astype(np.int64),
        time=shard.time[stay],
        event=shard.event[stay],
        masks=shard.masks[~leave],
        columns={name: _cells(column, stay) for name, column in shard.columns.items()},
    )
    return Part(kept, keys)


def _cells(column: Column, stay: np.ndarray) -> Column:
    if isinstance(column, NumberColumn):
        return NumberColumn(column.numbers[stay])
    codes = column.codes[stay].astype(np.int32)
    cells = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), column.values)
    return text_column(cells)


class LeftOut(NamedTuple):
    """Bad records of some users: how many went, how many lost their content, who is named."""

    removed: int
    emptied: int
    named: set[str]


def leave_out(path: Path, users: Sequence[str], to: Path) -> LeftOut:
    """Write a quarantine without what it says of some users.

    A record that was read, and so has ids, goes if one of them is a user's, letter by letter.
    Nobody knows whose a record without ids is: it stays, and its content goes if a user's id stands
    in it. Nothing is written where no record names one, or where no record is left.

    Parameters
    ----------
    path : a quarantine, which need not be there.
    """
    if not path.exists():
        return LeftOut(0, 0, set())
    wanted = set(users)
    patterns = {user: re.compile(rf"(?<!\w){re.escape(user)}(?!\w)") for user in users}
    removed, emptied, writer = 0, 0, None
    named: set[str] = set()
    with readable(path), pq.ParquetFile(path) as table:
        for batch in table.iter_batches():
            whole = _with_ids(pa.Table.from_batches([batch]))
            ids, content = (whole.column(name).to_pylist() for name in ("ids", "content"))
            own = [set() if one is None else _same_id(one) & wanted for one in ids]
            # Whose record has no id, it is of nobody who is known.
            told = [
                set() if one else {user for user, found in patterns.items() if _stands(found, text)}
                for one, text in zip(ids, content, strict=True)
            ]
            named.update(*own, *told)
            removed += sum(map(bool, own))
            emptied += sum(map(bool, told))
            texts = [_EMPTIED if t else text for t, text in zip(told, content, strict=True)]
            place = whole.column_names.index("content")
            whole = whole.set_column(place, _SCHEMA.field("content"), pa.array(texts, pa.string()))
            rest = whole.filter(pa.array([not one for one in own], pa.bool_()))
            if len(rest):
                writer = writer or pq.ParquetWriter(to, _SCHEMA)
                writer.write_table(rest)
    if writer is not None:
        writer.close()
    if not removed and not emptied:
        to.unlink(missing_ok=True)
    return LeftOut(removed, emptied, named)


def _with_ids(table: pa.Table) -> pa.Table:
    """Bad records as this version keeps them; earlier ones did not keep their ids."""
    if "ids" not in table.column_names:
        table = table.append_column(_SCHEMA.field("ids"), pa.nulls(len(table), _IDS))
    return table.select(_SCHEMA.names).cast(_SCHEMA)


def _same_id(ids: Sequence[str]) -> set[str]:
    """Ids, and those written as decimals as the log has them: ``1.0`` is ``1``."""
    short = {one.removesuffix(".0") for one in ids if one.removesuffix(".0").isdecimal()}
    return {*ids, *short}


_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_SIGNS: Final = {"t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f"}
_DEEPEST: Final = 4
"""JSON in a cell of a CSV, kept as JSON, is escaped three times."""


def _stands(pattern: re.Pattern[str], text: str) -> bool:
    """Does an id stand in a text, in any spelling of a CSV or of JSON?"""
    for _ in range(_DEEPEST):
        if pattern.search(text):
            return True
        plain = _unescaped(text)
        if plain == text:
            return False
        text = plain
    return bool(pattern.search(text))


def _unescaped(text: str) -> str:
    """A text without one layer of JSON's escapes and of a CSV's doubled quotes."""

    def sign(found: re.Match[str]) -> str:
        word = found[1]
        return chr(int(word[1:], 16)) if len(word) > 1 else _SIGNS.get(word, word)

    plain = _ESCAPE.sub(sign, text).replace('""', '"')
    # Two escapes may be the halves of one sign.
    return plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
