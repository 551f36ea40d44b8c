"""When a column of text may become numbers: only if nothing is lost.

A CSV does not say what its cells are. Article "007" must not become 7, version "1.10" must not
become 1.1, and an id of twenty digits must not be rounded. So a column becomes numbers only if
every cell, over all files, is written as programs write numbers (no leading zeros, at most 15
digits or exactly the digits that the number needs) and no two different texts would be the same
number. Three ways of writing a column keep them apart:

- no decimals end in zero: ``5``, ``2.5``, ``0.125``;
- all cells have the same number of decimals, as prices have: ``5.00``, ``2.50``;
- all have a point, and only whole numbers end in zero, as pandas writes: ``5.0``, ``0.125``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from analysis.sources.cells import EXACT, number_as_text

_PLAIN: Final = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?$"


_DIGITS: Final = 15


class Look(NamedTuple):
    """What the texts of a column look like so far: decimals, and zeros at the end of any.

    `zeros` is whether decimals end in zero anywhere, `odd_zeros` whether they do so elsewhere
    than in a single ``.0``.
    """

    plain: bool = True
    cells: bool = False
    fewest: int = _DIGITS
    most: int = 0
    zeros: bool = False
    odd_zeros: bool = False

    @property
    def numbers(self) -> bool:
        """May the column become numbers? A column without a single cell may not."""
        if not self.plain or not self.cells:
            return False
        as_pandas = self.fewest > 0 and not self.odd_zeros
        return not self.zeros or self.fewest == self.most or as_pandas


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
    plain = pc.match_substring_regex(words, _PLAIN)
    digits = pc.utf8_length(pc.replace_substring_regex(words, r"[-.]", ""))
    doubtful = words.filter(pc.invert(pc.and_(plain, pc.less_equal(digits, _DIGITS))))
    if not all(map(_is_exact, doubtful.to_pylist())):
        return NO_NUMBERS
    words = words.filter(plain)
    decimals = pc.utf8_length(pc.replace_substring_regex(words, r"^[^.]*\.?", ""))
    bounds = pc.min_max(decimals).as_py()
    zeros = words.filter(pc.match_substring_regex(words, r"\..*0$"))
    odd = pc.any(pc.match_substring_regex(zeros, r"\..+0$")).as_py() or False
    return Look(
        plain=True,
        cells=True,
        fewest=before.fewest if bounds["min"] is None else min(before.fewest, bounds["min"]),
        most=before.most if bounds["max"] is None else max(before.most, bounds["max"]),
        zeros=before.zeros or len(zeros) > 0,
        odd_zeros=before.odd_zeros or odd,
    )


def words_of(numbers: Sequence[float], look: Look) -> list[str | None]:
    """The texts that numbers were read from, in a column that looks like this; NaN is missing.

    Examples
    --------
    >>> words_of([9.99, 12.5], look_at(pa.array(["9.99", "12.50"]), Look()))
    ['9.99', '12.50']
    >>> words_of([5.0, 0.125], Look())
    ['5', '0.125']
    """
    return [None if math.isnan(number) else _word(number, look) for number in numbers]


def _word(number: float, look: Look) -> str:
    if look.zeros and look.fewest == look.most:
        return f"{number:.{look.most}f}"
    if look.zeros and abs(number) < EXACT:
        return repr(number)
    return number_as_text(number)


def _is_exact(word: str) -> bool:
    """Is this text just what the number itself would be written as?"""
    if not word.isascii() or word.strip("-0123456789.e+"):
        return False
    try:
        return repr(float(word)) == word
    except ValueError:
        return False
