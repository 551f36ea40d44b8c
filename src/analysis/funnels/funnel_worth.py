"""What were the conversions of a funnel worth, by group?

The worth is a property of the event that converted. The rows of a chain are found again from its
user and its instants: the first row at the instant that matches the step.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from analysis.core.schema import MISSING, MONEY_SCALE
from analysis.eventlog import groups as breakdown
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.eventlog.totals import CURRENCY
from analysis.funnels.data import (
    Located,
    first_not_before,
    group_codes,
    group_names,
    located,
    microseconds,
    required_steps,
)
from analysis.funnels.funnel_steps import ANY_EVENT, Step

if TYPE_CHECKING:
    from analysis.funnels.funnel_result import FunnelResult


_MOST = 2.0**62


class Worth(NamedTuple):
    """Per group of the table: how many mature conversions have a worth (`n`), and its sum.

    ``currency`` is None where the log does not say; ``missing`` says why there is no worth to
    tell, or is empty.
    """

    n: np.ndarray
    total: np.ndarray
    currency: str | None
    missing: str


def worth_of_conversions(result: FunnelResult, value: str) -> Worth:
    """How much were the mature conversions of each group worth?

    Parameters
    ----------
    value : a property with numbers; a log without it has no worth.

    Notes
    -----
    Sums are of millionths, as integers, so that no order of the rows changes a digit. Worths in
    several currencies are not added up. In any order the converting event is the last one done,
    which may be any of the steps.
    """
    size = len(group_names(result))
    nothing = np.zeros(size)
    if result.log.kinds.get(value) != "number":
        return Worth(nothing, nothing, None, f"the log has no property {value!r}")
    last = max(required_steps(result))
    attempts = result.mature_attempts
    codes = group_codes(result, attempts)
    done = attempts[f"step_{last}"].notna().to_numpy() & (codes >= 0)
    converted, codes = attempts[done], codes[done]
    instants = microseconds(converted, f"step_{last}")
    parts = located(result.log, converted)
    any_order = result.parameters["order"] == "any"
    steps = result.steps if any_order else result.steps[last - 1 : last]
    find = partial(_rows, result.log, steps, instants)
    rows = engine.over(parts, find)
    numbers = np.full(len(converted), np.nan)
    for part, own in zip(parts, rows, strict=True):
        column = result.log.shards[part.shard].columns[value]
        assert isinstance(column, NumberColumn)  # the log says that it holds numbers
        numbers[part.rows] = column.numbers[own]
    known = np.isfinite(numbers)
    valued = [own[known[part.rows]] for part, own in zip(parts, rows, strict=True)]
    currencies = _currencies(result.log, parts, valued)
    unit = ", ".join(currencies) or None
    if len(currencies) > 1:
        return Worth(nothing, nothing, unit, "worth in several currencies")
    return _summed(numbers[known], codes[known], size, unit)


def _summed(numbers: np.ndarray, codes: np.ndarray, size: int, unit: str | None) -> Worth:
    millionths = np.rint(numbers * MONEY_SCALE)
    # Beyond this size the integers would overflow, and the sum would mean nothing.
    if float(np.abs(millionths).sum()) >= _MOST:
        return Worth(np.zeros(size), np.zeros(size), unit, "worth too large to add up")
    total = np.zeros(size, np.int64)
    np.add.at(total, codes, millionths.astype(np.int64))
    return Worth(np.bincount(codes, minlength=size), total / MONEY_SCALE, unit, "")


def _rows(
    log: EventLog, steps: tuple[Step, ...], instants: np.ndarray, part: Located
) -> np.ndarray:
    """The row of each chain's converting event."""
    shard = log.shards[part.shard]
    instant, end = instants[part.rows], shard.offsets[part.users + 1]
    row = first_not_before(shard.time, shard.offsets[part.users], end, instant)
    matching = np.flatnonzero(_matches(log, steps, part.shard))
    found = matching[np.searchsorted(matching, row)]
    assert (found < end).all()  # a chain ends at a row that matches
    return found


def _matches(log: EventLog, steps: tuple[Step, ...], number: int) -> np.ndarray:
    """Which rows of a shard match one of the steps, its conditions on properties too?"""
    names = log.event_names
    found = np.zeros(log.shards[number].rows, np.bool_)
    for step in steps:
        wanted = [step.events == (ANY_EVENT,) or name in step.events for name in names]
        shard: Shard = (log.where(**step.where) if step.where else log).shards[number]
        found |= np.array([*wanted, False])[shard.event]
    return found


def _currencies(log: EventLog, parts: list[Located], rows: list[np.ndarray]) -> list[str]:
    if log.kinds.get(CURRENCY) != "text" or not parts:
        return []
    shards = [log.shards[part.shard] for part in parts]
    names = breakdown.groups_of(shards, rows, [CURRENCY]).names
    return sorted({str(name) for name in names} - {MISSING})
