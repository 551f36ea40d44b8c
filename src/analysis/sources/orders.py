"""One event of the lines of an order: their values added up, their number, what they agree on.

An export with a row per line has the order's id on each of them. Where the mapping says so
(``[orders]``), `orders_of_lines` makes one event of them: the earliest line, with the sum, the
number of lines, and of the other cells those that all lines agree on. An order that an append
brings again is taken whole from whichever has more lines of it, the log or the new files; of as
many lines with the same sum, from whichever tells more columns.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT_ID, SESSION, TIME, USER, VALUE
from analysis.eventlog import money
from analysis.eventlog.shard import encode
from analysis.sources.mapping import ORDER_LINES
from analysis.sources.merging import FIXED, HIGH, LOW, OWN, is_order_line

_DECIMALS: Final = 6
_CURRENCY: Final = "currency"
_ORDER_S: Final = frozenset({*FIXED, *OWN, SESSION, EVENT_ID, VALUE, ORDER_LINES})
"""Columns whose cells are the order's, or of one line, and not what the lines agree on."""


class Orders(NamedTuple):
    """A table in which orders are one row each; which rows `gone`; how many orders `differ`.

    The rows of the table are those before; `gone` says which of them are part of another one.
    `mixed` are orders without a value, because their lines have several currencies. The orders that
    `differ` are in the log with other lines than the new files have.
    """

    table: pa.Table
    gone: np.ndarray
    mixed: np.ndarray
    differ: int


def orders_of_lines(table: pa.Table, file: np.ndarray) -> Orders:
    """Make one row of the lines of an order, in the place of its earliest.

    Parameters
    ----------
    file : each row's file; 0 is the log that is added to, in which an order is one row already.
    """
    gone, mixed = np.zeros((2, len(table)), np.bool_)
    place = np.flatnonzero(is_order_line(table))
    if not len(place):
        return Orders(table, gone, mixed, 0)
    keys = [encode(table.column(USER))[0][place]]
    keys += [table.column(name).fill_null(0).to_numpy()[place] for name in (LOW, HIGH)]
    new = file[place] > 0
    order = np.lexsort([table.column(TIME).to_numpy()[place], new, *keys])
    place, new = place[order], new[order]
    starts = np.ones(len(place), np.bool_)
    starts[1:] = np.any([key[order][1:] != key[order][:-1] for key in keys], axis=0)
    start = np.flatnonzero(starts)
    number = np.cumsum(starts) - 1

    values = _numbers(table, VALUE)
    known = ~np.isnan(values[place])
    lines = np.where(new, 1, np.nan_to_num(_numbers(table, ORDER_LINES)[place], nan=1.0))
    before, now = (np.bincount(number, lines * side, len(start)) for side in (~new, new))
    sums = [
        np.where(
            np.bincount(number, known & side, len(start)) > 0,
            money.totals_by(np.where(known & side, number, -1), values[place], len(start)),
            np.nan,
        )
        for side in (~new, new)
    ]
    same = np.isclose(sums[0], sums[1], rtol=0, atol=10.0**-_DECIMALS, equal_nan=True)
    stays = (before >= now) & (before > 0)
    tied = stays & (before == now) & same
    if tied.any():
        then, later = (_told(table, place, number, tied[number] & side) for side in (~new, new))
        stays &= ~(tied & (later > then))
    differ = stays & (now > 0) & ~same

    counted = new & ~stays[number]
    first = np.flatnonzero(counted)[np.unique(number[counted], return_index=True)[1]]
    gone[place[counted]] = True
    gone[place[first]] = False
    gone[place[~new & ~stays[number]]] = True
    gone[place[new & stays[number]]] = True
    if len(first):
        to, of = place[first], number[first]
        several = np.zeros(len(to), np.bool_)
        if _CURRENCY in table.column_names:
            codes = encode(table.column(_CURRENCY))[0][place[counted]].astype(np.int64)
            several = _agreement(codes, number[counted])[1]
        table = _agreed(table, place[counted], number[counted], to)
        mixed[to] = several
        table = _with_numbers(table, VALUE, to, np.where(several, np.nan, sums[1][of]))
        table = _with_numbers(table, ORDER_LINES, to, now[of])
    return Orders(table, gone, mixed, int(differ.sum()))


def _numbers(table: pa.Table, name: str) -> np.ndarray:
    if name not in table.column_names or not pa.types.is_floating(table.column(name).type):
        return np.full(len(table), np.nan)
    return pc.fill_null(table.column(name), np.nan).to_numpy()


def _with_numbers(table: pa.Table, name: str, rows: np.ndarray, numbers: np.ndarray) -> pa.Table:
    if name not in table.column_names:
        return table
    cells = _numbers(table, name).copy()
    cells[rows] = numbers
    return table.set_column(table.column_names.index(name), name, pa.array(cells))


def _told(
    table: pa.Table, place: np.ndarray, number: np.ndarray, counted: np.ndarray
) -> np.ndarray:
    """By order, in how many columns the lines that are `counted` have a cell they agree on."""
    told = np.zeros(number[-1] + 1, np.int64)
    lines, number = place[counted], number[counted]
    if not len(lines):
        return told
    for name in table.column_names:
        if name in _ORDER_S:
            continue
        column = table.column(name).take(pa.array(lines))
        if pa.types.is_floating(column.type):
            cells = pc.fill_null(column, np.nan).to_numpy()
            codes = np.where(np.isnan(cells), -1, np.unique(cells, return_inverse=True)[1])
        else:
            codes = encode(column)[0].astype(np.int64)
        largest, several = _agreement(codes, number)
        told[np.unique(number)] += (largest >= 0) & ~several
    return told


def _agreement(codes: np.ndarray, number: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """By group, in ascending order: the largest code, and whether there are several beside -1."""
    order = np.argsort(number, kind="stable")
    codes, number = codes[order], number[order]
    start = np.flatnonzero(np.concatenate([[True], number[1:] != number[:-1]]))
    largest = np.maximum.reduceat(codes, start)
    least = np.minimum.reduceat(np.where(codes < 0, np.iinfo(codes.dtype).max, codes), start)
    return largest, (largest >= 0) & (least != largest)


def _agreed(table: pa.Table, lines: np.ndarray, number: np.ndarray, to: np.ndarray) -> pa.Table:
    """The table with the cells at `to` that the lines agree on, and no others."""
    for place, name in enumerate(table.column_names):
        if name in _ORDER_S:
            continue
        column = table.column(name)
        if pa.types.is_floating(column.type):
            numbers = _numbers(table, name)
            values, codes = np.unique(numbers[lines], return_inverse=True)
            codes = np.where(np.isnan(numbers[lines]), -1, codes)
            largest, several = _agreement(codes, number)
            cells = numbers.copy()
            cells[to] = np.where(several | (largest < 0), np.nan, values[largest])
            table = table.set_column(place, name, pa.array(cells))
            continue
        codes, known = encode(column)
        largest, several = _agreement(codes[lines].astype(np.int64), number)
        codes = codes.astype(np.int32)
        codes[to] = np.where(several, -1, largest)
        indices = pa.array(codes, mask=codes < 0)
        table = table.set_column(place, name, pa.DictionaryArray.from_arrays(indices, known))
    return table
