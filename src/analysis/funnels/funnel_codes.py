"""The question of a funnel as the passes read it: event codes, sets of steps, arrays per row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.eventlog import predicates
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, Shard, TextColumn
from analysis.funnels.funnel_steps import ANY_EVENT, Exclusion, Step
from analysis.funnels.search.kernels_chain_state import AFTER, BEFORE, UNTIL, WITHIN, Ask
from analysis.funnels.search.kernels_unit_rows import ENTRY_ALONE, MORE, NOTHING, SEARCH
from analysis.funnels.spec import EVER, Question, exclusion_range

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


def ask_of(question: Question) -> Ask:
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
    return Ask(
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
