"""The chains of a funnel: one pass over every shard, for their sums or for the chains themselves.

Most questions are answered by sums (`funnel_sums`), which a pass makes as it goes. Views that
name people or ask what they did need the chains, and these come from the same pass.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.checks import EVER
from analysis.core.schema import UsageError
from analysis.eventlog import filters as predicates
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, Shard, TextColumn
from analysis.funnels.search import blocks as chain_block
from analysis.funnels.search import plain as chains
from analysis.funnels.search import state as unit_rows
from analysis.funnels.search import units as unit_chains
from analysis.funnels.search.blocks import ChainList, Grouping, Sums
from analysis.funnels.search.state import (
    AFTER,
    BEFORE,
    DROP_ATTEMPT,
    DROP_UNIT,
    END_ATTEMPT,
    ENTRY_ALONE,
    MORE,
    NOTHING,
    SEARCH,
    UNTIL,
    WITHIN,
    ChainRules,
    Choice,
    Output,
)
from analysis.funnels.spec import ANY_EVENT, Exclusion, Question, Step, exclusion_range

# ──── funnel_codes
#
# The question of a funnel as the passes read it: event codes, sets of steps, arrays per row.


_EVERYTHING = np.uint64(2**64 - 1)


_MOST_CERTAIN = 62  # sets of steps are shifted, and the sign must stay out of it


@dataclass(frozen=True, eq=False)
class Codes:
    """What each event code means to a funnel.

    ``steps`` and ``exclusions`` hold a set (uint64, bit k − 1 for number k) per event code, the
    last code being that of hidden rows; ``wanted`` per step (from index 1), and ``barred`` for
    all exclusions, the bits that a user's mask shares if the user has such an event.
    """

    steps: np.ndarray
    exclusions: np.ndarray
    wanted: np.ndarray
    barred: np.uint64

    @property
    def shared(self) -> bool:
        """Can one event serve two steps?"""
        return bool(np.any(self.steps & (self.steps - np.uint64(1))))


def codes_of(
    event_names: Sequence[str], steps: Sequence[Step], exclusions: Sequence[Exclusion] = ()
) -> Codes:
    """Translate the names of steps and exclusions into sets per event code."""
    step_sets, wanted = _sets(event_names, [step.events for step in steps])
    barred_sets, barred = _sets(event_names, [exclusion.events for exclusion in exclusions])
    return Codes(step_sets, barred_sets, wanted, np.bitwise_or.reduce(barred))


def _sets(names: Sequence[str], matched: Sequence[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
    """A set of numbers per event code, and per number (from 1) a set of bits of users' masks."""
    sets = np.zeros(len(names) + 1, np.uint64)
    masks = np.zeros(len(matched) + 1, np.uint64)
    for number, events in enumerate(matched, start=1):
        for code, name in enumerate(names):
            if name in events or ANY_EVENT in events:
                sets[code] |= np.uint64(1) << np.uint64(number - 1)
                masks[number] |= np.uint64(1) << np.uint64(code & 63)
    return sets, masks


def is_plain(question: Question, codes: Codes) -> bool:
    """Does the question need nothing but the pass for plain chains?"""
    options = (
        question.inside_user,
        question.exclusions,
        question.attempts,
        question.first,
        question.order != "sequential",
        question.by_at != "entry",
        codes.shared,
    )
    details = (step.where or step.within or step.optional for step in question.steps)
    return not (any(options) or any(details))


def promise_of(masks: np.ndarray, question: Question, codes: Codes) -> np.ndarray:
    """Per user what can come of the events in its mask, as `unit_rows` calls it: uint8."""
    rare = codes.barred
    if question.order == "any":
        first = more = np.bitwise_or.reduce(codes.wanted)
    else:
        first, more = codes.wanted[1], codes.barred
        for k in following(question):
            more |= codes.wanted[k]
        optional = [k for k, step in enumerate(question.steps, start=1) if step.optional]
        # Of one optional step two looks tell whether to do it.
        if len(optional) > 1 or any(step.within for step in question.steps):
            rare |= np.bitwise_or.reduce(codes.wanted[optional], initial=np.uint64(0))
    certain = MORE if _is_certain(question, codes) else SEARCH
    promise = np.where((masks & more) != 0, certain, ENTRY_ALONE)
    promise[(masks & rare) != 0] = SEARCH
    promise[(masks & first) == 0] = NOTHING
    return promise.astype(np.uint8)


def _is_certain(question: Question, codes: Codes) -> bool:
    """Can one look at a user's rows tell the chain at all?"""
    limited = any(step.within for step in question.steps)
    if len(question.steps) > _MOST_CERTAIN:
        return False
    return question.order == "sequential" or not (
        limited or (question.order == "any" and codes.shared)
    )


def following(question: Question) -> list[int]:
    """The numbers of the steps that can follow an entry, where steps have an order."""
    numbers = []
    for k, step in enumerate(question.steps[1:], start=2):
        numbers.append(k)
        if not step.optional:
            break
    return numbers


def ask_of(question: Question) -> ChainRules:
    """The question as numbers."""
    steps = question.steps
    before = [0, 0]
    for k in range(2, len(steps) + 1):
        before.append(before[-1] if steps[k - 2].optional else k - 1)
    ranges = [exclusion_range(one, len(steps)) for one in question.exclusions]
    optional = sum(1 << (k - 1) for k, step in enumerate(steps, start=1) if step.optional)
    limits = np.zeros((4, max(len(steps) + 1, len(ranges))), np.int64)
    limits[WITHIN, : len(steps) + 1] = [EVER, *question.within_us]
    limits[BEFORE, : len(steps) + 1] = before
    limits[AFTER, : len(ranges)] = [after for after, _ in ranges]
    limits[UNTIL, : len(ranges)] = [until for _, until in ranges]
    return ChainRules(
        steps=len(steps),
        required=len(steps) if question.order == "any" else question.last_required,
        window=question.window_us,
        any_order=question.order == "any",
        neighbors=question.order == "strict",
        limited=any(limit < EVER for limit in question.within_us),
        optional=int(np.uint64(optional).astype(np.int64)),
        exclusions=len(ranges),
        limits=limits,
    )


def holding(shard: Shard, log: EventLog, wheres: Sequence[Mapping[str, Any] | None]) -> np.ndarray:
    """Per row the set of numbers whose conditions hold; of size 0 where there are none."""
    if not any(wheres):
        return np.empty(0, np.int64)
    sets = np.full(shard.rows, _EVERYTHING)
    for number, where in enumerate(wheres):
        if where:
            checked = predicates.check(where, log.kinds, "funnel: where")
            misses = ~predicates.matching_rows(shard, checked, log.event_names)
            sets &= ~(misses.astype(np.uint64) << np.uint64(number))
    return sets.view(np.int64)


def unit_numbers(shard: Shard, properties: Sequence[str]) -> np.ndarray:
    """Per row a number for the values of these properties, −1 where one of them is missing; of
    size 0 without a property.
    """
    numbers = np.empty(0, np.int64)
    for name in properties:
        own = _numbers(shard.columns[name])
        if not len(numbers):
            numbers = own
            continue
        pairs = numbers * (own.max(initial=0) + 1) + own
        pairs[(numbers < 0) | (own < 0)] = -1
        numbers = pd.factorize(pairs)[0].astype(np.int64)
        numbers[pairs < 0] = -1
    return numbers


def _numbers(column: Column) -> np.ndarray:
    if isinstance(column, TextColumn):
        return column.codes.astype(np.int64)
    return pd.factorize(column.numbers)[0].astype(np.int64)


def has_value(shard: Shard, properties: Sequence[str]) -> np.ndarray:
    """Per row: is there a value of any of these properties?"""
    known = np.zeros(shard.rows, np.bool_)
    for name in properties:
        column = shard.columns[name]
        known |= column.codes >= 0 if isinstance(column, TextColumn) else ~np.isnan(column.numbers)
    return known


# ──── funnel_chains


_EFFECTS = {"end_attempt": END_ATTEMPT, "drop_attempt": DROP_ATTEMPT, "drop_unit": DROP_UNIT}


_TOUCHES = {"first_touch": unit_rows.FIRST_TOUCH, "last_touch": unit_rows.LAST_TOUCH}


def _sealed(cells: np.ndarray) -> np.ndarray:
    """The same cells, read-only as a mapped file's are: a kernel is compiled once for both."""
    view = cells.view()
    view.flags.writeable = False
    return view


ONE_GROUP: Final = Grouping(_sealed(np.empty(0, np.uint8)), 0, 0)


class ShardChains(NamedTuple):
    """What a pass found in one shard.

    ``sums`` are those of `chain_sums`; ``kept`` the chains, none where only sums were asked for.
    ``left_out`` counts rows of steps that belong to no unit.
    """

    shard: Shard
    sums: Sums
    kept: ChainList
    left_out: int = 0

    @property
    def users(self) -> np.ndarray:
        """Per chain the number of its user in the shard."""
        return self.kept.user

    @property
    def entries(self) -> np.ndarray:
        """Per chain the row at which it enters."""
        return self.kept.entry

    @property
    def group_rows(self) -> np.ndarray:
        """Per chain the row whose value is its group, −1 for none."""
        return self.kept.group

    @property
    def reach(self) -> np.ndarray:
        """Per chain how far it gets."""
        return self.kept.reach

    @property
    def times(self) -> np.ndarray:
        """For each chain that got beyond its entry, in their order: microseconds of each step, or
        `chain_block.NOT_DONE`.
        """
        return self.kept.times

    @property
    def chosen(self) -> np.ndarray:
        """Is the chain the best among all entries?"""
        return self._has(chain_block.CHOSEN)

    @property
    def mature(self) -> np.ndarray:
        """Is its entry mature?"""
        return self._has(chain_block.MATURE)

    @property
    def tied(self) -> np.ndarray:
        """Does its reach depend on events at one instant?"""
        return self._has(chain_block.TIED)

    @property
    def excluded(self) -> np.ndarray:
        """Did an excluded event end it?"""
        return self._has(chain_block.EXCLUDED)

    def _has(self, mark: np.uint8) -> np.ndarray:
        return (self.kept.marks & mark) != 0


def chains_of(
    log: EventLog, question: Question, *, keep: bool = True, by: str | None = None
) -> list[ShardChains]:
    """The chains that count, shard by shard.

    Parameters
    ----------
    keep : the chains, and not only their sums.
    by : the text property whose codes are the groups of the sums; default: they have one group.

    Raises
    ------
    UsageError
        If no row of any step has a value of a property that chains shall hold.
    """
    codes = codes_of(log.event_names, question.steps, question.exclusions)
    if is_plain(question, codes):
        run = partial(_plain, question=question, codes=codes, until=log.covers_until_us)
    else:
        _check_held(log, question, codes)
        run = partial(_with_options, log=log, question=question, codes=codes)
    return parallel.map_shards(
        log.shards, lambda shard: run(shard, keep=keep, grouping=_codes(shard, by))
    )


def _codes(shard: Shard, by: str | None) -> Grouping:
    if by is None:
        return ONE_GROUP
    column = shard.columns[by]
    assert isinstance(column, TextColumn)
    codes = np.ascontiguousarray(column.codes)
    return Grouping(_sealed(codes.view(np.uint8)), codes.itemsize, len(column.values))


def _plain(
    shard: Shard, *, question: Question, codes: Codes, until: int, keep: bool, grouping: Grouping
) -> ShardChains:
    sums, kept = chains.best_chains(
        tuple(map(_sealed, (shard.time, shard.event, shard.offsets, shard.masks))),
        _sealed(shard.last_instants),
        codes.steps,
        codes.wanted,
        (question.window_us, *question.entered, until - question.window_us),
        question.strict,
        grouping,
        keep,
    )
    return ShardChains(shard, Sums(*sums), ChainList(*kept))


def _with_options(
    shard: Shard, *, log: EventLog, question: Question, codes: Codes, keep: bool, grouping: Grouping
) -> ShardChains:
    units = unit_numbers(shard, question.inside_user)
    touch = _TOUCHES.get(str(question.by_at), 0)
    cells = unit_rows.Cells(
        time=_sealed(shard.time),
        event=_sealed(shard.event),
        offsets=_sealed(shard.offsets),
        steps_hold=holding(shard, log, [step.where for step in question.steps]),
        exclusions_hold=holding(shard, log, [one.where for one in question.exclusions]),
        unit=units,
        known=has_value(shard, question.by) if touch else np.empty(0, np.bool_),
    )
    sums, kept = unit_chains.unit_chains(
        cells,
        unit_rows.Codes(
            codes.steps.view(np.int64),
            codes.exclusions.view(np.int64),
            promise_of(shard.masks, question, codes),
            int(np.uint64(sum(1 << (k - 1) for k in following(question))).astype(np.int64)),
        ),
        ask_of(question),
        unit_rows.Limits(*question.entered, log.covers_until_us - question.window_us),
        Choice(_EFFECTS[question.effect], question.first, question.strict),
        Output(
            attempts=question.attempts,
            touch=touch,
            at_step=question.by_at if isinstance(question.by_at, int) else 0,
            keep=keep,
            repeats=question.repeats_users,
        ),
        grouping,
    )
    left_out = int((shard.event[units < 0] < len(log.event_names)).sum()) if len(units) else 0
    return ShardChains(shard, Sums(*sums), ChainList(*kept), left_out)


def _check_held(log: EventLog, question: Question, codes: Codes) -> None:
    """Raise where a property that chains shall hold has no value on any row of a step."""
    if not any(bool(np.any(codes.steps[part.event])) for part in log.shards):
        return
    for name in question.hold:

        def valued(shard: Shard, name: str = name) -> bool:
            return bool(np.any(has_value(shard, [name]) & (codes.steps[shard.event] != 0)))

        if not any(parallel.map_shards(log.shards, valued)):
            names = ", ".join(step.name for step in question.steps)
            raise UsageError(
                f"funnel: hold={name!r}: no event of the steps ({names}) has a value of it. "
                "Hold a property that the steps have, or leave hold out."
            )
