"""What do values add up to, exactly, and may they be added at all?

A value is taken apart into millionths (an integer of 96 bits, in two of 64) and what is left below
one, and the parts are added as integers. So a sum is right to the last digit that a float holds,
and neither the order of rows nor the number of shards changes it. Values of several currencies are
not added: such a sum means nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from analysis.core.schema import MISSING, MONEY_SCALE, UsageError
from analysis.core.wording import listed
from analysis.eventlog import kernels, parallel
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn

CURRENCY: Final = "currency"

_HIGH, _LOW, _REST, _LOST, _TINY = range(5)
_REST_SCALE: Final = int(kernels.REST_SCALE)
_EXACT: Final = 2**53


def added(parts: Iterable[np.ndarray], groups: int) -> np.ndarray:
    """Add up sums of the same groups, as `kernels.money` returns them."""
    total = np.zeros((groups, 5), np.int64)
    for part in parts:
        total += part
        # The lower half never fills its 64 bits.
        total[:, _HIGH] += total[:, _LOW] >> 32
        total[:, _LOW] &= 2**32 - 1
    return total


def amounts(sums: np.ndarray) -> np.ndarray:
    """Sums as float64, each rounded once; NaN where a value was infinite or beyond 1e15.

    Examples
    --------
    >>> values = np.array([0.1, 0.2, 6e-7])
    >>> amounts(kernels.money(np.array([0, 0, 1]), values, 2)).tolist()
    [0.3, 6e-07]
    """
    high, low, rest, lost = (sums[:, place] for place in (_HIGH, _LOW, _REST, _LOST))
    short = np.abs(high) < 2**20
    whole = np.where(short, high, 0) * 2**32 + low
    short &= (np.abs(whole) <= _EXACT) & (rest == 0)
    out = whole / MONEY_SCALE
    for place in np.flatnonzero(~short & (lost == 0)):
        millionths = (int(high[place]) << 32) + int(low[place])
        out[place] = (millionths * _REST_SCALE + int(rest[place])) / (MONEY_SCALE * _REST_SCALE)
    return np.where(lost > 0, np.nan, out)


def tiny(sums: np.ndarray) -> int:
    """How many of the values that were added are smaller than a millionth, and not zero?"""
    return int(sums[:, _TINY].sum())


def total(values: np.ndarray) -> float:
    """The exact sum of values; NaN where one is infinite or beyond 1e15.

    Examples
    --------
    >>> total(np.full(100_000, 6e-7)), total(np.full(50_000, 95e6))
    (0.06, 4750000000000.0)
    """
    return float(amounts(kernels.money(np.zeros(len(values), np.int8), values, 1))[0])


def totals_by(codes: np.ndarray, values: np.ndarray, groups: int) -> np.ndarray:
    """The exact sum of the values of each group; a code that is no group is left out.

    Examples
    --------
    >>> totals_by(np.array([1, 1, 0]), np.array([0.1, 0.2, 5.0]), 2).tolist()
    [5.0, 0.3]
    """
    return amounts(kernels.money(codes, values, groups))


# ── several currencies ───────────────────────────────────────────────────────────────────────────


def currencies_by(
    shards: Sequence[Shard], codes: Sequence[np.ndarray], groups: int, value: str
) -> list[list[str]]:
    """The currencies of each group's values, in order; a missing one is none.

    Parameters
    ----------
    codes : per shard the group of each row; a code that is no group is left out.
    value : the property with the values. Rows without one have no say.
    """

    def found(part: tuple[Shard, np.ndarray]) -> list[set[str]]:
        shard, own = part
        unit, cells = shard.columns.get(CURRENCY), shard.columns.get(value)
        if not isinstance(unit, TextColumn) or not isinstance(cells, NumberColumn):
            return [set() for _ in range(groups)]
        rows = ~np.isnan(cells.numbers) & (own >= 0) & (own < groups) & (unit.codes >= 0)
        size = max(len(unit.values), 1)
        pairs = np.unique(own[rows].astype(np.int64) * size + unit.codes[rows])
        names: list[set[str]] = [set() for _ in range(groups)]
        for pair in pairs.tolist():
            names[pair // size].add(unit.values[pair % size].as_py())
        return names

    parts = parallel.map_shards(zip(shards, codes, strict=True), found)
    return [
        sorted(set().union(*(part[group] for part in parts)) - {MISSING}) for group in range(groups)
    ]


def refuse_mixed(what: str, value: str, currencies: Sequence[str]) -> None:
    """Refuse a question that is only about money where this is in several currencies.

    Raises
    ------
    UsageError
        If there are two or more.

    Examples
    --------
    >>> refuse_mixed("segment", "value", ["EUR"])
    """
    if len(currencies) > 1:
        raise UsageError(
            f"{what}: {value!r} is in several currencies ({listed([*currencies])}), which cannot "
            f"be added up. Ask about one of them: log.where({CURRENCY}={currencies[0]!r})."
        )
