"""What every reader yields: some records of a file, each with its number.

Records are numbered as a spreadsheet shows them: a CSV's header is record 1; JSON lines count
lines; Parquet rows and the elements of a JSON array count from 1. A record that cannot be read at
all comes beside the others with a reason, never instead of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa

_LEFT_OUT: Final = '"(left out: it may hold what must not be kept)"'


class BadRecord(NamedTuple):
    """A record that becomes no row: its number, why, and its content as JSON text."""

    row: int
    reason: str
    content: str


class Batch(NamedTuple):
    """Some records of a file, in its own columns and types.

    `cells` has a row per readable record, `rows` their numbers (int64); `columns` are all columns
    of the file, of which `cells` may hold a part; `typed` says whether the file has types of its
    own (a CSV has none); `position` is how many of its bytes have been read.
    """

    cells: pa.RecordBatch
    rows: np.ndarray
    bad: Sequence[BadRecord]
    columns: Sequence[str]
    typed: bool
    position: int


def without_content(bad: Sequence[BadRecord]) -> list[BadRecord]:
    """The records without what stood in them: nobody can tell whose it is.

    Examples
    --------
    >>> without_content([BadRecord(2, "has 2 cells, the header has 3", '"ann,x"')])[0].content
    '"(left out: it may hold what must not be kept)"'
    """
    return [record._replace(content=_LEFT_OUT) for record in bad]
