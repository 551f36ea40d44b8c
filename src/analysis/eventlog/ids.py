"""Which cells are ids of people? One set of rules for a frame and for files.

An id is text. A floating-point number beyond 2**53 has lost its last digits, and so has what a
spreadsheet writes as ``1.23457E+18``: different people have become one, which no later step can
see. So both are refused. ``1.0`` is what a tool writes for the id 1 once its column has gaps, so
it is read as ``1``. The words that programs write where there is no id are missing cells: otherwise
"null" would be the busiest person of all.
"""

from __future__ import annotations

from typing import Final

import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import DataError
from analysis.eventlog.shard import EXACT, TEXT

NO_IDS: Final = (
    *("null", "Null", "NULL", "(null)", "<null>", "nil"),
    *("none", "None", "NONE", "(none)"),
    *("nan", "NaN", "NAN", "<NA>"),
    *("undefined", "Undefined", "UNDEFINED", "[object Object]"),
    *("(not set)", "(not provided)", "not set"),
    "00000000-0000-0000-0000-000000000000",
)
"""What programs write where there is no id."""

_ROUNDED: Final = r"^-?[0-9]([.,][0-9]+)?[eE]\+[0-9]+$"
_WHOLE: Final = r"^(-?[0-9]+)\.0+$"


def refuse_rounded(numbers: pa.Array | pa.ChunkedArray, name: str) -> None:
    """Raise a `DataError` if floating-point numbers are too large to be ids.

    Examples
    --------
    >>> refuse_rounded(pa.array([1.0, 2.0]), "user")
    """
    if (pc.max(pc.abs(pc.drop_null(numbers))).as_py() or 0) >= EXACT:
        raise DataError(
            f"column {name!r} holds floating-point numbers beyond 2**53, so the last digits of "
            "its ids are lost. Export the column as text."
        )


def tidy_ids(words: pa.Array, name: str) -> pa.Array:
    """Ids as text, ``1.0`` as ``1``.

    Raises
    ------
    DataError
        If ids have been rounded to a few digits.

    Examples
    --------
    >>> tidy_ids(pa.array(["1.0", "1.5", "a"]), "user").to_pylist()
    ['1', '1.5', 'a']
    """
    # Looking for the sign alone is quicker by far, and nearly always the end of it.
    if pc.any(pc.match_substring(words, "+")).as_py():
        rounded = pc.sum(pc.match_substring_regex(words, _ROUNDED)).as_py() or 0
        if rounded:
            raise DataError(
                f"column {name!r} holds {rounded:,} ids that are rounded, as spreadsheets do it: "
                "'1.23457E+18' stands for many of them. Export the column as text."
            )
    whole = without_point(words)
    if whole is not words:
        refuse_rounded(words.filter(pc.not_equal(words, whole)).cast(pa.float64()), name)
    return whole


def without_point(words: pa.Array) -> pa.Array:
    """Texts of whole numbers without the ``.0`` that tools add; others stay as they are.

    Examples
    --------
    >>> without_point(pa.array(["1.0", "1.5"])).to_pylist()
    ['1', '1.5']
    """
    if not pc.any(pc.ends_with(words, ".0")).as_py():
        return words
    return pc.replace_substring_regex(words, _WHOLE, r"\1")


def frame_ids(cells: pa.ChunkedArray, name: str) -> pa.ChunkedArray:
    """The ids of a frame's column, which is text, by the rules for their digits.

    A word stays what it is: whoever makes a frame can tell "None" from None.
    """
    column = cells.combine_chunks()
    if isinstance(column, pa.ChunkedArray):  # more text than one array can hold
        return pa.chunked_array([tidy_ids(chunk, name) for chunk in column.chunks], TEXT)
    known = column.dictionary
    tidy = tidy_ids(known, name)
    if tidy is known:
        return cells
    return pa.chunked_array([tidy.take(column.indices).dictionary_encode()])
