"""The rows that are none: kept beside the log with file, number, reason and content.

They are written as they come, so that a file of nothing but rubbish needs no memory, and nothing
is written where there are none.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.core.schema import DataError, UsageError
from analysis.sources.batch import BadRecord
from analysis.sources.files import readable

_SCHEMA: Final = pa.schema(
    [("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("content", pa.string())]
)


_SHOWN: Final = 160


class Quarantine:
    """Writes bad records to `path`, behind those of the log that an import adds to.

    `bad` is how many records came, `rows` how many of them are not there already.
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

    def add(self, file: str, records: Sequence[BadRecord]) -> None:
        """Keep the records of a file."""
        self.bad += len(records)
        for record in records:
            self._reasons[record.reason] += 1
            if record.reason not in self._examples:
                self._examples[record.reason] = (
                    f"record {record.row} of '{file}': {record.content[:_SHOWN]}"
                )
        if self._known:
            records = [r for r in records if _digest(file, *r) not in self._known]
        if not records:
            return
        rows, reasons, content = zip(*records, strict=True)
        columns = [
            pa.array([file] * len(rows)),
            pa.array(rows),
            pa.array(reasons),
            pa.array(content),
        ]
        self._open().write_table(pa.table(columns, schema=_SCHEMA))
        self.rows += len(rows)

    def _open(self) -> pq.ParquetWriter:
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, _SCHEMA)
            if self._before is not None:
                with pq.ParquetFile(self._before) as before:
                    for batch in before.iter_batches():
                        self._writer.write_batch(batch)
        return self._writer

    def refuse(self, max_bad: float, rows_in: int) -> None:
        """Raise a `DataError` if more than this share of the rows is bad."""
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
        """The error of an import whose every row is here."""
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
        raise UsageError(f"max_bad={text!r} is no share of rows. Allowed: '1%', or 0 to 1.")
    return number


def _digests(path: Path) -> set[bytes]:
    with readable(path), pq.ParquetFile(path) as table:
        return {
            _digest(*row.values()) for batch in table.iter_batches() for row in batch.to_pylist()
        }


def _digest(file: str, row: int, reason: str, content: str) -> bytes:
    text = "\0".join((file, str(row), reason, content))
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=12).digest()


def _advice(reason: str) -> str:
    for start, advice in _ADVICE.items():
        if reason.startswith(start):
            return advice
    return "Look at that record, and export the file again."


_ADVICE: Final = {
    "user": "Is it the right column? Say which: --user COLUMN.",
    "event": "Is it the right column? Say which: --event COLUMN.",
    "value": "Decimals have a point. Say which column it is: --value COLUMN.",
    "time is outside": "Is the unit right? --time-unit s, ms, us or ns.",
    "time": "Times are ISO 8601 ('2026-11-09T08:00Z'), or numbers with --time-unit. "
    "Is it the right column? --time COLUMN.",
}


def leave_out(path: Path, users: Sequence[str], to: Path) -> tuple[int, set[str]]:
    """Write a quarantine without the records that name some users; how many do, and whom?

    Nothing is written where no record does, or where none is left.

    Parameters
    ----------
    path : a quarantine, which need not be there.
    users : ids; one is named where it stands as a word of its own in a record's content.
    """
    if not path.exists():
        return 0, set()
    names = {user: _naming(user) for user in users}
    count, writer = 0, None
    named: set[str] = set()
    with readable(path), pq.ParquetFile(path) as table:
        for batch in table.iter_batches():
            by = [
                {user for user, name in names.items() if name.search(content)}
                for content in batch.column("content").to_pylist()
            ]
            named.update(*by)
            count += sum(map(bool, by))
            rest = batch.filter(pa.array([not found for found in by], pa.bool_()))
            if len(rest):
                writer = writer or pq.ParquetWriter(to, _SCHEMA)
                writer.write_batch(rest)
    if writer is not None:
        writer.close()
    if not count:
        to.unlink(missing_ok=True)
    return count, named


def _naming(user: str) -> re.Pattern[str]:
    """An id as it stands in the text of a record: as it is, or with its letters escaped."""
    once = json.dumps(user, ensure_ascii=False)[1:-1]
    forms = {user, once, json.dumps(once, ensure_ascii=False)[1:-1]}
    return re.compile("|".join(rf"(?<!\w){re.escape(form)}(?!\w)" for form in sorted(forms)))
