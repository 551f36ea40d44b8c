"""Which rows of a shard match a filter: equality, a list of values, or a comparison.

A filter is plain data (``{"device": "mobile", "value": ">= 50"}``), so a report definition can
hold it. A missing value never matches.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import EVENT, USER, UsageError, did_you_mean
from analysis.eventlog.shard import Column, Shard, TextColumn

_COMPARISON = re.compile(r"\s*(>=|<=|!=|==|>|<)\s*(-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*")


_OPERATORS: dict[str, Callable[[Any, float], Any]] = {
    ">=": operator.ge,
    "<=": operator.le,
    "!=": operator.ne,
    "==": operator.eq,
    ">": operator.gt,
    "<": operator.lt,
}


def check(where: Mapping[str, Any], properties: Iterable[str], what: str) -> dict[str, list[Any]]:
    """The conditions with their values as lists; one value is a list of one.

    Raises
    ------
    UsageError
        If the log does not have a property.
    """
    names = list(properties)
    for name in where:
        if name not in names and name not in (EVENT, USER):
            raise UsageError(
                f"{what}: {name!r} is no property of this log.{did_you_mean(name, names)} "
                f"Properties: {', '.join(map(repr, names)) or 'none'}."
            )
    return {name: _as_list(wanted) for name, wanted in where.items()}


def matching_rows(
    shard: Shard, where: Mapping[str, Sequence[Any]], event_names: Sequence[str]
) -> np.ndarray:
    """A boolean per row of the shard: every condition of `where`, as `check` gives it, holds."""
    shown = np.ones(shard.rows, np.bool_)
    for name, wanted in where.items():
        if name == EVENT:
            hits = [e in _as_texts(wanted) for e in event_names] + [False]
            shown &= np.array(hits)[shard.event]
        elif name == USER:
            people = pc.is_in(shard.users, pa.array(_as_texts(wanted), pa.large_string()))
            shown &= np.repeat(people.to_numpy(zero_copy_only=False), np.diff(shard.offsets))
        else:
            shown &= _matching_cells(shard.columns[name], wanted, name)
    return shown


def matching_values(column: TextColumn, wanted: Sequence[Any]) -> np.ndarray:
    """A boolean per value of a text column: is it one of those wanted?"""
    hits = pc.is_in(column.values, pa.array(_as_texts(wanted), pa.large_string()))
    return hits.to_numpy(zero_copy_only=False)


def _matching_cells(column: Column, wanted: Sequence[Any], name: str) -> np.ndarray:
    if isinstance(column, TextColumn):
        # One more entry, for the missing: code −1 reads the last.
        return np.append(matching_values(column, wanted), False)[column.codes]
    shown = np.zeros(len(column.numbers), np.bool_)
    for one in wanted:
        found = _COMPARISON.fullmatch(one) if isinstance(one, str) else None
        if found:
            hits = _OPERATORS[found[1]](column.numbers, float(found[2]))
            shown |= hits & ~np.isnan(column.numbers)
        else:
            shown |= column.numbers == _number(one, name)
    return shown


def _number(value: Any, name: str) -> float:
    try:
        return float(value)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"where: {name}={value!r}, but {name!r} holds numbers. "
            "Allowed: a number, a list of numbers, or a comparison such as '>= 50'."
        ) from error


def _as_list(wanted: Any) -> list[Any]:
    if isinstance(wanted, Iterable) and not isinstance(wanted, (str, bytes, Mapping)):
        return list(wanted)
    return [wanted]


def _as_texts(wanted: Sequence[Any]) -> list[str]:
    return [str(v).lower() if isinstance(v, (bool, np.bool_)) else str(v) for v in wanted]
