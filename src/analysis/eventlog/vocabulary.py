"""The distinct values of a text column, numbered as they appear.

Most text of a log is the same few words again and again. Rows on their way then carry two bytes
instead of the word, and nobody has to look at the word again until the shards are built. A column
with more words than two bytes can tell apart (ids, addresses) is written as it is: memory stays
bounded whatever the columns hold.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.sources.cells import TEXT

MOST: Final = 2**16 - 1
MISSING: Final = MOST
"""The code of a missing cell."""


class Vocabulary:
    """Values in the order of their appearance; `full` once there are too many."""

    def __init__(self) -> None:
        self.values = pa.array([], TEXT)
        self.full = False

    def codes(self, column: pa.ChunkedArray) -> np.ndarray | None:
        """The code of each cell (uint16), or None once the vocabulary is full."""
        if self.full:
            return None
        encoded = column if pa.types.is_dictionary(column.type) else column.dictionary_encode()
        cells = encoded.combine_chunks()
        known = cells.dictionary.cast(TEXT)
        place = pc.index_in(known, self.values)
        if place.null_count:
            new = pc.unique(known.filter(place.is_null()))
            if len(self.values) + len(new) > MOST:
                self.full = True
                return None
            self.values = pa.concat_arrays([self.values, new])
            place = pc.index_in(known, self.values)
        codes = np.append(place.to_numpy(zero_copy_only=False), MISSING).astype(np.uint16)
        indices = cells.indices.cast(pa.int32()).fill_null(len(known))
        return codes[indices.to_numpy(zero_copy_only=False)]

    def cells(self, codes: np.ndarray) -> pa.DictionaryArray:
        """Cells from their codes, dictionary-encoded."""
        missing = codes == MISSING
        indices = pa.array(codes.astype(np.int32), mask=missing if missing.any() else None)
        return pa.DictionaryArray.from_arrays(indices, self.values, safe=False)
