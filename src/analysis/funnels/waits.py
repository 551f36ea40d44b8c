"""How long did it take from the very first time, whatever became of the attempts in between?

A funnel's own waits begin with the attempt that counts: of somebody who looked for weeks and then
bought within a minute it is the last look that opens the furthest chain, and the wait is a minute.
That says how long the steps take. How long a decision takes is another question: from the first
time that the unit did the first step, ever, to the first time after it that it did the step asked
about, window or not.

What this module refuses to do: tell either wait without saying from when on it runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from analysis.core.schema import US_PER_SECOND, UsageError, human_duration
from analysis.core.wording import count, label
from analysis.eventlog import filters
from analysis.funnels.chains import ShardChains, codes_of, unit_numbers
from analysis.funnels.data import FunnelData, microseconds, required_steps, step_name
from analysis.funnels.search.blocks import NOT_DONE


class FirstWaits(NamedTuple):
    """Microseconds from the first time ever, and the place of each one's group in the table."""

    waits: np.ndarray
    groups: np.ndarray


def first_waits(result: FunnelData, step: int) -> FirstWaits:
    """The waits of the mature units that did a step, since they first did the first one.

    Raises
    ------
    UsageError
        If the steps have no order, or each attempt of a unit counts.
    """
    spec = result.question
    if spec.order == "any" or spec.attempts:
        why = "order='any'" if spec.order == "any" else "count='attempts'"
        raise UsageError(
            f"times: since='first' with {why}. Allowed: steps in an order, and units that count "
            "once. Ask for since='entry'."
        )
    waits, groups = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
    for part, codes in zip(result.parts, result.groups.codes, strict=True):
        did = np.flatnonzero(part.mature & (part.reach >= step))
        # Chains that got past their entry have a line of times each.
        lines = (np.cumsum(part.reach > 1) - 1)[did]
        own = did[part.times[lines, step - 1] != NOT_DONE]
        waits.append(_first_waits(result, part, own, step))
        groups.append(codes[own])
    return FirstWaits(np.concatenate(waits), np.concatenate(groups))


def _first_waits(result: FunnelData, part: ShardChains, own: np.ndarray, step: int) -> np.ndarray:
    """The waits of some chains of a shard."""
    shard, spec = part.shard, result.question
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))
    unit = user
    if spec.inside_user:
        inside = unit_numbers(shard, spec.inside_user)
        unit = np.where(inside < 0, -1, user * (int(inside.max(initial=0)) + 1) + inside)
    begins, ends = (_rows_of(result, part, number) & (unit >= 0) for number in (1, step))
    wanted = unit[part.entries[own]]
    start = _first_time(shard.time, unit, begins)
    since = start.of(unit)
    return _first_time(shard.time, unit, ends & (shard.time >= since)).of(wanted) - start.of(wanted)


def _rows_of(result: FunnelData, part: ShardChains, number: int) -> np.ndarray:
    """Which rows of a shard match a step?"""
    step, names = result.steps[number - 1], result.log.event_names
    rows = codes_of(names, [step]).steps[part.shard.event] != 0
    if step.where:
        where = filters.check(step.where, result.log, "funnel: where")
        rows &= filters.matching_rows(part.shard, where, names)
    return rows


class _Firsts(NamedTuple):
    """Per unit its first instant."""

    units: np.ndarray
    times: np.ndarray

    def of(self, units: np.ndarray) -> np.ndarray:
        """The first instant of each of these units; far in the future where there is none."""
        place = np.searchsorted(self.units, units)
        there = place < len(self.units)
        there[there] = self.units[place[there]] == units[there]
        found = np.full(len(units), np.iinfo(np.int64).max)
        found[there] = self.times[place[there]]
        return found


def _first_time(time: np.ndarray, unit: np.ndarray, rows: np.ndarray) -> _Firsts:
    # The rows of a user are in the order of time: the first row of a unit is its earliest.
    units, first = np.unique(unit[rows], return_index=True)
    return _Firsts(units, time[rows][first])


def waits_sentence(result: FunnelData, min_cell: int) -> str:
    """How long those who converted took, from the attempt's entry and from the first time ever.

    Empty where fewer than `min_cell` converted, or there is nothing to wait for.
    """
    last = max(required_steps(result))
    if last < 2:
        return ""
    done = result.mature_attempts
    done = done[done[f"step_{last}"].notna()]
    if len(done) < max(min_cell, 1):
        return ""
    since = microseconds(done, f"step_{last}") - microseconds(done, "entered_at")
    since_entry = float(np.median(since)) / US_PER_SECOND
    first, to = label(step_name(result, 1)), label(step_name(result, last))
    spec = result.question
    whose = "of the attempt" if spec.attempts else "of the furthest attempt"
    if spec.first:
        whose = "of the first attempt"
    text = (
        f"Half of the {count(len(done))} that got to {to} did so within "
        f"{_told(since_entry)} of the entry {whose}"
    )
    if spec.order == "any" or spec.attempts:
        return f"{text}."
    ever = float(np.median(first_waits(result, last).waits)) / US_PER_SECOND
    return f"{text}, and within {_told(ever)} of the first time ever that they did {first}."


def _told(seconds: float) -> str:
    return human_duration(seconds * US_PER_SECOND)
