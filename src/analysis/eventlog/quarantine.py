"""The rows that are none: kept beside the log with file, number, reason and content.

They are written as they come, so that a file of nothing but rubbish needs no memory, and nothing
is written where there are none.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from analysis.schema import DataError
from analysis.sources.batch import BadRecord

QUARANTINE: Final = "quarantine.parquet"
_SCHEMA: Final = pa.schema(
    [("file", pa.string()), ("row", pa.int64()), ("reason", pa.string()), ("content", pa.string())]
)
_SHOWN: Final = 160


class Quarantine:
    """Writes bad records to `path`; `rows` is how many there are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.rows = 0
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
        if not records:
            return
        if self._writer is None:
            self._writer = pq.ParquetWriter(self.path, _SCHEMA)
        rows, reasons, content = zip(*records, strict=True)
        columns = [
            pa.array([file] * len(rows)),
            pa.array(rows),
            pa.array(reasons),
            pa.array(content),
        ]
        self._writer.write_table(pa.table(columns, schema=_SCHEMA))
        self.rows += len(rows)
        self._reasons.update(reasons)
        for record in records:
            if record.reason not in self._examples:
                self._examples[record.reason] = (
                    f"record {record.row} of '{file}': {record.content[:_SHOWN]}"
                )

    def nothing_left(self) -> DataError:
        """The error of an import whose every row is here."""
        reason, count = self._reasons.most_common(1)[0]
        return DataError(
            f"not one of {self.rows:,} rows can be read. The most frequent reason ({count:,}): "
            f"{reason}, as in {self._examples[reason]}. {_advice(reason)}"
        )


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
