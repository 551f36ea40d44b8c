"""One event per order: which rows repeat what another row already says?

Vendors write an order on two hits, or send it twice. Rows of one event that share a key (an order
id) are one event; of these the row that has a value is kept, among those the earliest, then the
first that arrived. Keys are compared over the whole import: they are 128-bit hashes, split into
files like the rows themselves, so that a billion orders need no more memory than a thousand.
"""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Final

import numpy as np
import pyarrow as pa

from analysis.eventlog.spill import Spill

PARTS = 64


_KEPT: Final = ["row", "low", "high"]


_KINDS: Final = {"low": np.uint64, "high": np.uint64}


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

    def settled(self, parts: int) -> tuple[list[np.ndarray], list[pa.Table]]:
        """Per part: the places of the rows that repeat another one, in ascending order; and the
        rows that stay, as a table of ``row`` (the place), ``low`` and ``high``.
        """
        losers = [np.empty((0, 2), np.int64)]
        stay = [pa.table({n: np.empty(0, _KINDS.get(n, np.int64)) for n in ("part", *_KEPT)})]
        for number in range(PARTS):
            tables = list(self._spill.read(number))
            if tables:
                rows = pa.concat_tables(tables)
                order, again = _repeats({n: rows.column(n).to_numpy() for n in rows.column_names})
                rows = rows.take(pa.array(order))
                lost = rows.filter(pa.array(again))
                losers.append(np.column_stack([lost.column(n) for n in ("part", "place")]))
                kept = rows.filter(pa.array(~again)).rename_columns({"place": "row"})
                stay.append(kept.select(["part", *_KEPT]))
        part, place = np.concatenate(losers).T
        whole = pa.concat_tables(stay).sort_by([("part", "ascending"), ("row", "ascending")])
        bounds = np.searchsorted(whole.column("part").to_numpy(), np.arange(parts + 1))
        return (
            [np.sort(place[part == number]) for number in range(parts)],
            [
                whole.slice(start, stop - start).select(_KEPT)
                for start, stop in itertools.pairwise(bounds)
            ],
        )


def _repeats(rows: dict[str, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """An order that brings equal keys together, best first, and which rows in it are not best."""
    # The sort is stable and rows lie here as they arrived, so arrival decides last.
    order = np.lexsort([rows[name] for name in ("time", "bare", "high", "low")])
    low, high = rows["low"][order], rows["high"][order]
    again = np.concatenate([[False], (low[1:] == low[:-1]) & (high[1:] == high[:-1])])
    return order, again
