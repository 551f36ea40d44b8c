"""One event per order: which rows repeat what another row already says?

Vendors write an order on two hits, or send it twice. Rows of one event that share a key (an order
id) are one event; of these the row that has a value is kept, among those the earliest, then the
first that arrived. Keys are compared over the whole import: they are 128-bit hashes, split into
files like the rows themselves, so that a billion orders need no more memory than a thousand.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa

from analysis.eventlog.spill import Spill

PARTS = 64


class Duplicates:
    """Collects the rows that have a key, then names those to drop."""

    def __init__(self, folder: Path) -> None:
        self._spill = Spill(folder, PARTS)

    def add(
        self,
        keys: np.ndarray,
        *,
        time: np.ndarray,
        valued: np.ndarray,
        part: np.ndarray,
        place: np.ndarray,
    ) -> None:
        """Rows with their keys (uint64, rows × 2), and where each row lies: part and place."""
        if not len(keys):
            return
        cells = {
            "low": keys[:, 0],
            "high": keys[:, 1],
            "bare": ~valued,
            "time": time,
            "part": part,
            "place": place,
        }
        self._spill.add(pa.table(cells), (keys[:, 0] % np.uint64(PARTS)).astype(np.int64))

    def close(self) -> None:
        """Close the files."""
        self._spill.close()

    def dropped(self, parts: int) -> list[np.ndarray]:
        """Per part the places of the rows that repeat another one, in ascending order."""
        losers = [np.empty((0, 2), np.int64)]
        for number in range(PARTS):
            for table in self._spill.read(number):
                losers.append(_repeats({n: table.column(n).to_numpy() for n in table.column_names}))
        part, place = np.concatenate(losers).T
        return [np.sort(place[part == number]) for number in range(parts)]


def _repeats(rows: dict[str, np.ndarray]) -> np.ndarray:
    # The sort is stable and rows lie here as they arrived, so arrival decides last.
    order = np.lexsort([rows[name] for name in ("time", "bare", "high", "low")])
    low, high = rows["low"][order], rows["high"][order]
    again = np.concatenate([[False], (low[1:] == low[:-1]) & (high[1:] == high[:-1])])
    return np.column_stack([rows["part"], rows["place"]])[order[again]]
