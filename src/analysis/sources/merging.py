"""One set of columns for tables that differ: which properties are there, and of which kind?

Files of one import differ: a property appears late, is a number here and text there, or looks
like a number until one cell does not. While rows pass through, this keeps the columns seen so
far; in the end it says what each property is, and brings every earlier table into that form.
A column only ever turns from numbers to text, so a table written early can always be converted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import pyarrow as pa

from analysis.core.schema import EVENT, TIME, USER
from analysis.sources.cells import CODED, TEXT, numbers_as_text, plain
from analysis.sources.plain_numbers import NO_NUMBERS, Look, look_at

_NUMBER = pa.float64()


_FIXED = {USER: TEXT, TIME: pa.int64(), EVENT: TEXT}


class Alignment:
    """The columns seen so far and how they are written; `before` is an earlier one's `state`."""

    def __init__(self, before: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        before = before or {}
        self._written: dict[str, pa.DataType] = {}
        self._looks = {name: Look(*of["look"]) for name, of in before.items() if of["look"]}
        self._numbers = {name for name, of in before.items() if of["number"]}
        self._seen: dict[str, None] = dict.fromkeys(before)

    def align(self, table: pa.Table, untyped: Collection[str]) -> pa.Table:
        """The table with all columns seen so far; `untyped` text may turn out to be numbers."""
        for name in table.column_names:
            if name not in _FIXED:
                self._learn(name, table.column(name), may_be_number=name in untyped)
        cells = {name: table.column(name) for name in _FIXED}
        for name, kind in self._written.items():
            cells[name] = _converted(table, name, kind)
        return pa.table(cells)

    def _learn(self, name: str, column: pa.ChunkedArray, *, may_be_number: bool) -> None:
        self._seen[name] = None
        if pa.types.is_null(column.type):
            return
        known = self._written.setdefault(name, TEXT if column.type == CODED else column.type)
        if column.null_count == len(column):
            return
        if column.type == _NUMBER:
            self._numbers.add(name)
            return
        if known == _NUMBER:
            self._written[name] = TEXT
        before = self._looks.get(name, Look())
        self._looks[name] = look_at(column, before) if may_be_number else NO_NUMBERS

    def empty(self) -> pa.Table:
        """A table of all columns and no row."""
        return pa.schema([*_FIXED.items(), *self.kinds().items()]).empty_table()

    def kinds(self) -> dict[str, pa.DataType]:
        """What each property turned out to be, in the order of appearance: text or float64."""
        return {name: _NUMBER if self._is_number(name) else TEXT for name in self._seen}

    def state(self) -> dict[str, dict[str, Any]]:
        """What another import must know to go on from here, as plain data."""
        return {
            name: {
                "number": name in self._numbers,
                "look": list(self._looks[name]) if name in self._looks else None,
            }
            for name in self._seen
        }

    def _is_number(self, name: str) -> bool:
        look = self._looks.get(name)
        return name in self._numbers if look is None else look.numbers


def settled(table: pa.Table, kinds: dict[str, pa.DataType]) -> pa.Table:
    """A table that was written on the way, in its final columns; text is dictionary-encoded."""
    cells = {name: table.column(name) for name in _FIXED}
    cells |= {name: _converted(table, name, kind) for name, kind in kinds.items()}
    return pa.table(
        {
            name: column.dictionary_encode() if column.type == TEXT else column
            for name, column in cells.items()
        }
    )


def _converted(table: pa.Table, name: str, kind: pa.DataType) -> pa.ChunkedArray:
    if name not in table.column_names:
        return pa.chunked_array([pa.nulls(len(table), kind)])
    column = table.column(name)
    if column.type == _NUMBER and kind == TEXT:
        return pa.chunked_array([numbers_as_text(column)])
    if column.type == CODED and kind == TEXT:
        return column
    return plain(column).cast(kind)
