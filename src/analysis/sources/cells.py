"""From cells of any type to text and numbers, without losing a digit.

Files disagree about types: the same order id is text in one export and an integer in the next.
So ids are always text, a number is a float only where a float holds it exactly, and one function
writes numbers as text, so that the same number is the same text wherever it was read. An empty
text is a missing cell in every format, because CSV cannot tell the two apart.

A CSV does not say what its cells are. Article "007" must not become 7, and an id of twenty digits
must not be rounded. So a column of text becomes numbers only if every cell, over all files, is
written as programs write numbers: no leading zeros, and whole numbers of at most 15 digits. A
column whose digits are codes, or versions like "1.10", is declared: ``[types] version = "text"``.

Where such a column turns out to be text in a later file, its numbers become the texts that they
were read from. Three formats say them all, and need no memory of single texts:

- no decimals end in zero: ``5``, ``2.5``, ``0.125``;
- all cells have the same number of decimals, as prices have: ``5.00``, ``2.50``;
- all have a point, and only whole numbers end in zero, as pandas writes: ``5.0``, ``0.125``.

In any other the texts that end in zero are remembered (`NumberFormat.spelled`), at most 2,000.
Beyond these, and where one number is written in two ways, a zero at the end is lost.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as kind

from analysis.core.schema import DataError
from analysis.eventlog.build import exact_integers, seconds
from analysis.eventlog.ids import NO_IDS, refuse_rounded, tidy_ids, without_point
from analysis.eventlog.instants import iso_text
from analysis.eventlog.shard import CODED, EXACT, TEXT, number_as_text, numbers_as_text, plain
from analysis.sources.decimals import Decimals

_INT64: Final = 2**63


def flatten(batch: pa.RecordBatch) -> pa.RecordBatch:
    """One column per field of a structure, with a dot in its name; deeper nesting as JSON text.

    Examples
    --------
    >>> batch = pa.RecordBatch.from_pylist([{"user": "ann", "item": {"id": 7, "tags": ["a"]}}])
    >>> flatten(batch).to_pylist()
    [{'user': 'ann', 'item.id': 7, 'item.tags': '["a"]'}]
    """
    names: list[str] = []
    columns: list[pa.Array] = []
    for name, column in zip(batch.schema.names, batch.columns, strict=True):
        if kind.is_struct(column.type):
            names += [f"{name}.{field.name}" for field in column.type]
            columns += column.flatten()
        else:
            names.append(name)
            columns.append(column)
    columns = [_json_text(column) if kind.is_nested(column.type) else column for column in columns]
    return pa.RecordBatch.from_arrays(columns, names=names)


def _json_text(column: pa.Array) -> pa.Array:
    return pa.array([None if v is None else compact(v) for v in _python_values(column)], TEXT)


def _python_values(column: pa.Array) -> list[Any]:
    """A column as Python's values; a date or time that Python does not have is said to be one."""
    try:
        return column.to_pylist()
    except (OverflowError, ValueError):
        return [_python_value(cell) for cell in column]


def _python_value(cell: pa.Scalar) -> Any:
    try:
        return cell.as_py()
    except (OverflowError, ValueError):
        number = cell.value if hasattr(cell, "value") else "some of"
        return f"({number} of {cell.type}: out of range)"


def compact(value: Any) -> str:
    """JSON text without spaces; values that JSON does not know are written as their text.

    Examples
    --------
    >>> compact({"a": [1, "é"]})
    '{"a":[1,"é"]}'
    """
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)


def id_text(column: pa.Array, name: str, missing: Collection[str] = ()) -> pa.Array:
    """Ids, names and sessions: text of any type; empty, or one of the words, is missing.

    Raises
    ------
    DataError
        If the ids are floats beyond 2**53: their last digits are gone.
    """
    of = column.type.value_type if kind.is_dictionary(column.type) else column.type
    if kind.is_floating(of):
        numbers = column.cast(pa.float64())
        refuse_rounded(numbers, name)
        return numbers_as_text(numbers)
    return blank_as_missing(_as_text(column), missing)


def id_cells(column: pa.Array, name: str, missing: Collection[str] = ()) -> pa.Array:
    """Ids of people, sessions, events and orders by the rules of `eventlog.ids`.

    Raises
    ------
    DataError
        If ids have lost their last digits.

    Examples
    --------
    >>> id_cells(pa.array(["1.0", "null"]), "user").to_pylist()
    ['1', None]
    """
    words = id_text(column, name, (*NO_IDS, *missing))
    return _each_value(words, lambda values: tidy_ids(values, name))


def code_cells(column: pa.Array) -> pa.Array:
    """Text cells that are codes: ``12.0`` is ``12``, as a tool writes it where others are missing.

    Examples
    --------
    >>> code_cells(pa.array(["12.0", "a"])).to_pylist()
    ['12', 'a']
    """
    return _each_value(column, without_point)


def _each_value(words: pa.Array, change: Callable[[pa.Array], pa.Array]) -> pa.Array:
    """Text with every value changed; codes stay codes where no value changes."""
    if words.type != CODED:
        return change(words)
    values = change(words.dictionary)
    return words if values is words.dictionary else values.take(words.indices)


def blank_as_missing(column: pa.Array, missing: Collection[str] = ()) -> pa.Array:
    """Text cells that are empty, or one of the words for "missing", become missing."""
    words = pa.array(["", *missing], TEXT)
    if column.type == CODED:
        found = pc.is_in(column.dictionary, words)
        if not pc.any(found).as_py():
            return column
        codes = pc.if_else(found.take(column.indices), pa.scalar(None, pa.int32()), column.indices)
        return pa.DictionaryArray.from_arrays(codes, column.dictionary)
    found = pc.is_in(column, words)
    return pc.if_else(found, pa.scalar(None, TEXT), column) if pc.any(found).as_py() else column


def property_cells(column: pa.Array, name: str, *, as_text: bool) -> pa.Array:
    """A property's cells as float64 or text; a column without any cell keeps its null type.

    Raises
    ------
    DataError
        If a column of bytes is no text.
    """
    if kind.is_null(column.type):
        return column
    if kind.is_duration(column.type):
        column = seconds(column)
    if _is_number(column.type):
        if kind.is_integer(column.type) and not exact_integers(column):
            return _as_text(column)
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), math.nan)
        return numbers_as_text(numbers) if as_text else numbers
    try:
        return blank_as_missing(_as_text(column))
    except pa.ArrowInvalid as error:
        raise DataError(
            f"column {name!r} holds {column.type} that is no UTF-8 text. Export it as text, or "
            "leave it out with [properties]."
        ) from error


def _is_number(of: pa.DataType) -> bool:
    return kind.is_integer(of) or kind.is_floating(of) or kind.is_decimal(of)


def _as_text(column: pa.Array) -> pa.Array:
    if kind.is_boolean(column.type):
        return pc.if_else(column, pa.scalar("true", TEXT), pa.scalar("false", TEXT))
    if kind.is_timestamp(column.type):
        return iso_text(column)
    if kind.is_dictionary(column.type) and column.type.value_type in (pa.string(), TEXT):
        values = column.dictionary.cast(TEXT)
        if not values.null_count:
            return pa.DictionaryArray.from_arrays(column.indices.cast(pa.int32()), values)
    return column.cast(TEXT)


def number_cells(
    column: pa.Array, name: str = "", decimals: Decimals | None = None
) -> tuple[pa.Array, np.ndarray]:
    """Cells as float64, NaN where they are no finite number; and where a cell is none.

    Raises
    ------
    UsageError
        If a cell can mean two numbers (see `decimals`).

    Examples
    --------
    >>> number_cells(pa.array(["1.5", "", "x"]))[1]
    array([False, False,  True])
    """
    if kind.is_null(column.type):
        return column.cast(pa.float64()), np.zeros(len(column), np.bool_)
    column = plain(column)
    if _is_number(column.type):
        numbers = pc.fill_null(column.cast(pa.float64(), safe=False), math.nan)
        floats = numbers.to_numpy(zero_copy_only=False)
        bad = np.isinf(floats)
        return (pa.array(np.where(bad, math.nan, floats)) if bad.any() else numbers), bad
    words = blank_as_missing(_as_text(column))
    floats = (decimals or Decimals()).read(words, name)
    bad = words.is_valid().to_numpy(zero_copy_only=False) & np.isnan(floats)
    return pa.array(floats), bad


def rows_as_json(batch: pa.RecordBatch, rows: np.ndarray) -> Iterable[str]:
    """The cells of some rows as JSON text, missing ones left out."""
    names = batch.schema.names
    columns = map(_python_values, batch.take(pa.array(rows)).columns)
    for row in zip(*columns, strict=True):
        cells = zip(names, row, strict=True)
        yield compact({name: cell for name, cell in cells if cell is not None})


def columns_of(records: list[dict[str, Any]]) -> pa.RecordBatch:
    """Objects as columns: one level of nesting with dots, deeper nesting as JSON text.

    A name without a cell in any of them becomes no column.

    Examples
    --------
    >>> columns_of([{"user": "ann", "item": {"id": 7}}, {"user": 5}]).to_pylist()
    [{'user': 'ann', 'item.id': 7}, {'user': '5', 'item.id': None}]
    """
    cells: dict[str, list[Any]] = {}
    for row, record in enumerate(records):
        for name, value in record.items():
            nested = value if isinstance(value, dict) else None
            pairs = (
                {name: value} if nested is None else {f"{name}.{k}": v for k, v in nested.items()}
            )
            for place, cell in pairs.items():
                if cell is not None:
                    cells.setdefault(place, [None] * len(records))[row] = cell
    if not cells:  # rows without a column are still rows
        return pa.RecordBatch.from_struct_array(pa.array([{}] * len(records), pa.struct([])))
    columns = [_column(values) for values in cells.values()]
    return pa.RecordBatch.from_arrays(columns, names=list(cells))


def _column(values: list[Any]) -> pa.Array:
    types = {type(value) for value in values} - {type(None)}
    if types == {bool}:
        return pa.array(values, pa.bool_())
    present = [value for value in values if value is not None]
    if types == {int} and all(abs(value) < _INT64 for value in present):
        return pa.array(values, pa.int64())
    if types <= {int, float} and all(abs(x) < EXACT or x != x for x in present):
        return pa.array(values, pa.float64())
    return pa.array([_text(value) for value in values], TEXT)


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number_as_text(value)
    return str(value) if isinstance(value, int) else compact(value)


_PLAIN: Final = r"^-?((0|[1-9][0-9]*)([.,][0-9]+)?|[.,][0-9]+)$"
_ODD: Final = r"^-?[.,]|[.,].*0$"
_DIGITS: Final = 15
_SPELLED: Final = 2_000


class NumberFormat(NamedTuple):
    """How the numbers in a column of texts are written so far: decimals, and zeros at their end.

    `zeros` is whether decimals end in zero anywhere, `odd_zeros` whether they do so elsewhere
    than in a single ``.0``; `decimal` is the sign before the decimals, None where none has any.
    `spelled` are texts that are written otherwise than a program writes their number.
    """

    plain: bool = True
    cells: bool = False
    fewest: int = _DIGITS
    most: int = 0
    zeros: bool = False
    odd_zeros: bool = False
    decimal: str | None = None
    spelled: Sequence[str] = ()

    @property
    def numbers(self) -> bool:
        """May the column become numbers? A column without a single cell may not."""
        return self.plain and self.cells and self.decimal != ","

    @property
    def comma_numbers(self) -> bool:
        """May the column become numbers where decimals have a comma?"""
        return self.plain and self.cells and self.decimal != "."


NO_NUMBERS: Final = NumberFormat(plain=False)


def number_format(column: pa.Array | pa.ChunkedArray, before: NumberFormat) -> NumberFormat:
    """How the numbers of a column are written, with some more cells.

    Examples
    --------
    >>> number_format(pa.array(["9.99", "12.50", "10"]), NumberFormat()).numbers
    True
    >>> number_format(pa.array(["7", "007"]), NumberFormat()).numbers
    False
    """
    if not before.plain:
        return before
    words = pc.unique(pc.drop_null(column))
    if not len(words):
        return before
    plain = pc.match_substring_regex(words, _PLAIN)
    whole = pc.utf8_length(pc.replace_substring_regex(words, r"^-|[.,].*$", ""))
    doubtful = words.filter(pc.invert(pc.and_(plain, pc.less_equal(whole, _DIGITS))))
    if not all(map(_is_exact, doubtful.to_pylist())):
        return NO_NUMBERS
    words = words.filter(plain)
    decimal = _sign(words, before.decimal)
    if decimal == "":
        return NO_NUMBERS
    decimals = pc.utf8_length(pc.replace_substring_regex(words, r"^[^.,]*[.,]?", ""))
    bounds = pc.min_max(decimals).as_py()
    zeros = words.filter(pc.match_substring_regex(words, r"[.,].*0$"))
    odd = pc.any(pc.match_substring_regex(zeros, r"[.,].+0$")).as_py() or False
    spelled = [*before.spelled, *words.filter(pc.match_substring_regex(words, _ODD)).to_pylist()]
    return NumberFormat(
        plain=True,
        cells=True,
        fewest=before.fewest if bounds["min"] is None else min(before.fewest, bounds["min"]),
        most=before.most if bounds["max"] is None else max(before.most, bounds["max"]),
        zeros=before.zeros or len(zeros) > 0,
        odd_zeros=before.odd_zeros or odd,
        decimal=decimal,
        spelled=list(dict.fromkeys(spelled))[:_SPELLED],
    )


def _sign(words: pa.Array, before: str | None) -> str | None:
    """The decimal sign of all of the words and those before; empty where there are two."""
    found = {sign for sign in (",", ".") if pc.any(pc.match_substring(words, sign)).as_py()}
    found |= {before} if before is not None else set()
    return None if not found else found.pop() if len(found) == 1 else ""


def as_written(numbers: Sequence[float], form: NumberFormat) -> list[str | None]:
    """The texts that numbers of this format were read from; NaN is missing.

    Examples
    --------
    >>> as_written([9.99, 12.5], number_format(pa.array(["9.99", "12.50"]), NumberFormat()))
    ['9.99', '12.50']
    >>> as_written([5.0, 0.125], NumberFormat())
    ['5', '0.125']
    """
    spelled = {float(text.replace(",", ".")): text for text in form.spelled}
    return [None if math.isnan(number) else _word(number, form, spelled) for number in numbers]


def _word(number: float, form: NumberFormat, spelled: Mapping[float, str]) -> str:
    if form.zeros and form.fewest == form.most:
        word = f"{number:.{form.most}f}"
    elif form.zeros and form.fewest > 0 and not form.odd_zeros and abs(number) < EXACT:
        word = repr(number)
    else:
        word = spelled.get(number) or number_as_text(number)
    return word.replace(".", ",") if form.decimal == "," else word


def _is_exact(word: str) -> bool:
    """Would the number that this text says be written as this text?"""
    if not word.isascii() or word.strip("-0123456789.e+"):
        return False
    try:
        return repr(float(word)) == word
    except ValueError:
        return False
