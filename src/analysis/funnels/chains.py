"""Which chain counts for each unit? One pass over every shard finds them, or only their sums.

Most questions are answered by sums, which a pass adds up as it goes. Views that name people or ask
what they did need the chains themselves; these come from the same pass, so that no two views can
disagree.

`chains_of` translates a `FunnelSpec` into the codes, sets and arrays that the compiled search in
`analysis.funnels.search` reads, and runs it shard by shard.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.checks import EVER
from analysis.core.schema import UsageError
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, Shard, TextColumn
from analysis.funnels.search import blocks, plain, state, units
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
from analysis.funnels.spec import ANY_EVENT, Exclusion, FunnelSpec, Step, exclusion_range


def _sealed(cells: np.ndarray) -> np.ndarray:
    """The same cells, read-only as those of a mapped file: a kernel is compiled once for both."""
    view = cells.view()
    view.flags.writeable = False
    return view


ONE_GROUP: Final = Grouping(_sealed(np.empty(0, np.uint8)), 0, 0)


class ShardChains(NamedTuple):
    """The chains of one shard, or their sums.

    ``sums`` are as in `analysis.funnels.search.blocks`; ``kept`` holds the chains, none where only
    sums were asked for; ``left_out`` counts rows of steps that belong to no unit. ``held``: the
    sets of the steps and of the exclusions whose conditions hold on any of their events.
    """

    shard: Shard
    sums: Sums
    kept: ChainList
    left_out: int = 0
    held: tuple[int, int] = (0, 0)

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
        """Microseconds of each step, or `blocks.NOT_DONE`; of chains that got past their entry."""
        return self.kept.times

    @property
    def chosen(self) -> np.ndarray:
        """Is the chain the best among all entries?"""
        return self._has(blocks.CHOSEN)

    @property
    def mature(self) -> np.ndarray:
        """Is its entry mature?"""
        return self._has(blocks.MATURE)

    @property
    def tied(self) -> np.ndarray:
        """Does its reach depend on events at one instant?"""
        return self._has(blocks.TIED)

    @property
    def excluded(self) -> np.ndarray:
        """Did an excluded event end it?"""
        return self._has(blocks.EXCLUDED)

    def _has(self, mark: np.uint8) -> np.ndarray:
        return (self.kept.marks & mark) != 0


def chains_of(
    log: EventLog, spec: FunnelSpec, *, keep: bool = True, by: str | None = None
) -> list[ShardChains]:
    """The chains that count, shard by shard.

    Parameters
    ----------
    keep : whether to keep the chains, and not only their sums.
    by : the text property whose codes are the groups of the sums; default: they have one group.

    Raises
    ------
    UsageError
        If no row of any step has a value of a property to `hold`.
    """
    codes = codes_of(log.event_names, spec.steps, spec.exclusions)
    if is_plain(spec, codes):
        run = partial(_plain_chains, spec=spec, codes=codes, until=log.covers_until_us)
    else:
        _check_held(log, spec, codes)
        wheres = tuple(
            [filters.check(one.where, log, "funnel: where") if one.where else None for one in of]
            for of in (spec.steps, spec.exclusions)
        )
        run = partial(_unit_chains, log=log, spec=spec, codes=codes, wheres=wheres)
    return parallel.map_shards(
        log.shards, lambda shard: run(shard, keep=keep, grouping=_grouping(shard, by))
    )


def _grouping(shard: Shard, by: str | None) -> Grouping:
    if by is None:
        return ONE_GROUP
    column = shard.columns[by]
    assert isinstance(column, TextColumn)
    codes = np.ascontiguousarray(column.codes)
    return Grouping(_sealed(codes.view(np.uint8)), codes.itemsize, len(column.values))


def is_plain(spec: FunnelSpec, codes: FunnelCodes) -> bool:
    """Can the pass for plain chains answer alone?"""
    options = (
        spec.inside_user,
        spec.exclusions,
        spec.attempts,
        spec.first,
        spec.order != "sequential",
        spec.by_at != "entry",
        codes.shared,
    )
    details = (step.where or step.within or step.optional for step in spec.steps)
    return not (any(options) or any(details))


def _plain_chains(
    shard: Shard,
    *,
    spec: FunnelSpec,
    codes: FunnelCodes,
    until: int,
    keep: bool,
    grouping: Grouping,
) -> ShardChains:
    sums, kept = plain.best_chains(
        tuple(map(_sealed, (shard.time, shard.event, shard.offsets, shard.masks))),
        _sealed(shard.last_instants),
        codes.steps,
        codes.wanted,
        (spec.window_us, *spec.entered, until - spec.window_us),
        spec.strict,
        grouping,
        keep,
    )
    return ShardChains(shard, Sums(*sums), ChainList(*kept))


_EFFECTS = {"end_attempt": END_ATTEMPT, "drop_attempt": DROP_ATTEMPT, "drop_unit": DROP_UNIT}
_TOUCHES = {"first_touch": state.FIRST_TOUCH, "last_touch": state.LAST_TOUCH}


def _unit_chains(
    shard: Shard,
    *,
    log: EventLog,
    spec: FunnelSpec,
    codes: FunnelCodes,
    wheres: tuple[Sequence[Mapping[str, Any] | None], ...],
    keep: bool,
    grouping: Grouping,
) -> ShardChains:
    unit = unit_numbers(shard, spec.inside_user)
    touch = _TOUCHES.get(str(spec.by_at), 0)
    cells = state.Cells(
        time=_sealed(shard.time),
        event=_sealed(shard.event),
        offsets=_sealed(shard.offsets),
        steps_hold=holding(shard, log, wheres[0]),
        exclusions_hold=holding(shard, log, wheres[1]),
        unit=unit,
        known=has_value(shard, spec.by) if touch else np.empty(0, np.bool_),
    )
    sums, kept = units.unit_chains(
        cells,
        state.Codes(
            codes.steps.view(np.int64),
            codes.exclusions.view(np.int64),
            needs_of(shard.masks, spec, codes),
            int(np.uint64(sum(1 << (k - 1) for k in following(spec))).astype(np.int64)),
        ),
        rules_of(spec),
        state.Limits(*spec.entered, log.covers_until_us - spec.window_us),
        Choice(_EFFECTS[spec.effect], spec.first, spec.strict),
        Output(
            attempts=spec.attempts,
            touch=touch,
            at_step=spec.by_at if isinstance(spec.by_at, int) else 0,
            keep=keep,
            repeats=spec.repeats_users,
        ),
        grouping,
    )
    left_out = int((shard.event[unit < 0] < len(log.event_names)).sum()) if len(unit) else 0
    held = (
        _held(shard, codes.steps, cells.steps_hold),
        _held(shard, codes.exclusions, cells.exclusions_hold),
    )
    return ShardChains(shard, Sums(*sums), ChainList(*kept), left_out, held)


def _held(shard: Shard, matched: np.ndarray, hold: np.ndarray) -> int:
    """The numbers whose condition holds on any of their events; 0 where there is no condition."""
    if not len(hold):
        return 0
    return int(np.bitwise_or.reduce(matched[shard.event] & hold.view(np.uint64)))


def held_of(log: EventLog, spec: FunnelSpec) -> tuple[int, int]:
    """The sets of the steps and of the exclusions whose conditions hold on any event of a log."""
    codes = codes_of(log.event_names, spec.steps, spec.exclusions)

    def held(shard: Shard) -> tuple[int, int]:
        found = [
            _held(shard, matched, holding(shard, log, [one.where for one in of]))
            for matched, of in ((codes.steps, spec.steps), (codes.exclusions, spec.exclusions))
        ]
        return found[0], found[1]

    steps, exclusions = zip(*parallel.map_shards(log.shards, held), strict=True)
    return functools.reduce(operator.or_, steps), functools.reduce(operator.or_, exclusions)


def _check_held(log: EventLog, spec: FunnelSpec, codes: FunnelCodes) -> None:
    """Raise where a property that chains shall hold has no value on any row of a step."""
    if not any(bool(np.any(codes.steps[part.event])) for part in log.shards):
        return
    for name in spec.hold:

        def valued(shard: Shard, name: str = name) -> bool:
            return bool(np.any(has_value(shard, [name]) & (codes.steps[shard.event] != 0)))

        if not any(parallel.map_shards(log.shards, valued)):
            names = ", ".join(step.name for step in spec.steps)
            raise UsageError(
                f"funnel: hold={name!r}: no event of the steps ({names}) has a value of it. "
                "Hold a property that the steps have, or leave hold out."
            )


@dataclass(frozen=True, eq=False)
class FunnelCodes:
    """The steps and exclusions of a funnel, by event code.

    Attributes
    ----------
    steps, exclusions : per event code, the last one that of hidden rows, the set of the steps or
        exclusions that it matches: uint64, bit k − 1 for number k.
    wanted : per step, from index 1, the bits of a user's mask that tell of such an event.
    excluded : the same bits, of all exclusions together.
    """

    steps: np.ndarray
    exclusions: np.ndarray
    wanted: np.ndarray
    excluded: np.uint64

    @property
    def shared(self) -> bool:
        """Can one event serve two steps?"""
        return bool(np.any(self.steps & (self.steps - np.uint64(1))))


def codes_of(
    event_names: Sequence[str], steps: Sequence[Step], exclusions: Sequence[Exclusion] = ()
) -> FunnelCodes:
    """Translate the names of steps and exclusions into sets per event code."""
    step_sets, wanted = _sets(event_names, [step.events for step in steps])
    exclusion_sets, excluded = _sets(event_names, [exclusion.events for exclusion in exclusions])
    return FunnelCodes(step_sets, exclusion_sets, wanted, np.bitwise_or.reduce(excluded))


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


def needs_of(masks: np.ndarray, spec: FunnelSpec, codes: FunnelCodes) -> np.ndarray:
    """The search that each user needs, by the events in its mask; uint8, as in `search.state`."""
    rare = codes.excluded
    if spec.order == "any":
        first = more = np.bitwise_or.reduce(codes.wanted)
    else:
        first, more = codes.wanted[1], codes.excluded
        for k in following(spec):
            more |= codes.wanted[k]
        optional = [k for k, step in enumerate(spec.steps, start=1) if step.optional]
        # Whether to do one optional step, two scans tell; more of them need the search.
        if len(optional) > 1 or any(step.within for step in spec.steps):
            rare |= np.bitwise_or.reduce(codes.wanted[optional], initial=np.uint64(0))
    beyond = MORE if _is_decided_in_one_pass(spec, codes) else SEARCH
    need = np.where((masks & more) != 0, beyond, ENTRY_ALONE)
    need[(masks & rare) != 0] = SEARCH
    need[(masks & first) == 0] = NOTHING
    return need.astype(np.uint8)


_MOST_SHIFTED = 62
"""Up to so many steps a set of them can be shifted without touching the sign."""


def _is_decided_in_one_pass(spec: FunnelSpec, codes: FunnelCodes) -> bool:
    """Can one pass over a user's rows tell the chain at all?"""
    limited = any(step.within for step in spec.steps)
    if len(spec.steps) > _MOST_SHIFTED:
        return False
    return spec.order == "sequential" or not (limited or (spec.order == "any" and codes.shared))


def following(spec: FunnelSpec) -> list[int]:
    """The numbers of the steps that can follow an entry, where steps have an order."""
    numbers = []
    for k, step in enumerate(spec.steps[1:], start=2):
        numbers.append(k)
        if not step.optional:
            break
    return numbers


def rules_of(spec: FunnelSpec) -> ChainRules:
    """The spec as the numbers that the search reads."""
    steps = spec.steps
    before = [0, 0]
    for k in range(2, len(steps) + 1):
        before.append(before[-1] if steps[k - 2].optional else k - 1)
    ranges = [exclusion_range(one, len(steps)) for one in spec.exclusions]
    optional = sum(1 << (k - 1) for k, step in enumerate(steps, start=1) if step.optional)
    limits = np.zeros((4, max(len(steps) + 1, len(ranges))), np.int64)
    limits[WITHIN, : len(steps) + 1] = [EVER, *spec.within_us]
    limits[BEFORE, : len(steps) + 1] = before
    limits[AFTER, : len(ranges)] = [after for after, _ in ranges]
    limits[UNTIL, : len(ranges)] = [until for _, until in ranges]
    return ChainRules(
        steps=len(steps),
        required=len(steps) if spec.order == "any" else spec.last_required,
        window=spec.window_us,
        any_order=spec.order == "any",
        neighbors=spec.order == "strict",
        limited=any(limit < EVER for limit in spec.within_us),
        optional=int(np.uint64(optional).astype(np.int64)),
        exclusions=len(ranges),
        limits=limits,
    )


_EVERY_NUMBER = np.uint64(2**64 - 1)


def holding(shard: Shard, log: EventLog, wheres: Sequence[Mapping[str, Any] | None]) -> np.ndarray:
    """The set of numbers whose conditions hold, for each row; of size 0 without any condition."""
    if not any(wheres):
        return np.empty(0, np.int64)
    sets = np.full(shard.rows, _EVERY_NUMBER)
    for number, where in enumerate(wheres):
        if where:
            checked = filters.check(where, log, "funnel: where")
            misses = ~filters.matching_rows(shard, checked, log.event_names)
            sets &= ~(misses.astype(np.uint64) << np.uint64(number))
    return sets.view(np.int64)


def unit_numbers(shard: Shard, properties: Sequence[str]) -> np.ndarray:
    """Number each row by the values of these properties, −1 where one is missing.

    Of size 0 without a property.
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
    """Has a row a value of any of these properties?"""
    known = np.zeros(shard.rows, np.bool_)
    for name in properties:
        column = shard.columns[name]
        known |= column.codes >= 0 if isinstance(column, TextColumn) else ~np.isnan(column.numbers)
    return known
