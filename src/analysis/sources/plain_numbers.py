"""When a column of text may become numbers: only if nothing is lost.

A CSV does not say what its cells are. Article "007" must not become 7, version "1.10" must not
become 1.1, and an id of twenty digits must not be rounded. So a column becomes numbers only if
every cell, over all files, is written plainly (no leading zeros, no exponent, at most 15 digits)
and no two different texts would be the same number: either no cell has zeros at its end, as
computers write, or all have the same number of decimals, as prices do.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

_PLAIN: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"
_MINUS_ZERO: Final = r"^-0(\.0+)?$"
_DIGITS: Final = 15


class Look(NamedTuple):
    """What the texts of a column look like so far: decimals, and zeros at the end of any."""

    plain: bool = True
    fewest: int | None = None
    most: int = 0
    zeros: bool = False

    @property
    def numbers(self) -> bool:
        """May the column become numbers? A column without a single cell may not."""
        if not self.plain or self.fewest is None:
            return False
        return not self.zeros or self.fewest == self.most


NO_NUMBERS: Final = Look(plain=False)


def look_at(column: pa.Array | pa.ChunkedArray, before: Look) -> Look:
    """What a column looks like with some more cells.

    Examples
    --------
    >>> look_at(pa.array(["9.99", "12.50"]), Look()).numbers
    True
    >>> look_at(pa.array(["1.9", "1.10"]), Look()).numbers
    False
    """
    if not before.plain:
        return before
    words = pc.unique(pc.drop_null(column))
    if not len(words):
        return before
    digits = pc.utf8_length(pc.replace_substring_regex(words, r"[-.]", ""))
    plain = pc.and_not(
        pc.and_(pc.match_substring_regex(words, _PLAIN), pc.less_equal(digits, _DIGITS)),
        pc.match_substring_regex(words, _MINUS_ZERO),
    )
    if not pc.all(plain).as_py():
        return NO_NUMBERS
    decimals = pc.utf8_length(pc.replace_substring_regex(words, r"^[^.]*\.?", ""))
    bounds = pc.min_max(decimals).as_py()
    fewest = bounds["min"] if before.fewest is None else min(before.fewest, bounds["min"])
    zeros = pc.any(pc.match_substring_regex(words, r"\..*0$")).as_py()
    return Look(True, fewest, max(before.most, bounds["max"]), before.zeros or zeros)
