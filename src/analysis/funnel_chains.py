"""The chains of a funnel: one pass over every shard, and what the views are grouped from."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

import numpy as np

from analysis.eventlog import engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnel_codes import (
    Codes,
    ask_of,
    codes_of,
    has_value,
    holding,
    is_plain,
    unit_numbers,
)
from analysis.funnel_options import Question
from analysis.passes import chains, unit_chains, unit_rows
from analysis.passes.unit_choice import DROP_ATTEMPT, DROP_UNIT, END_ATTEMPT, Choice
from analysis.schema import UsageError

_EFFECTS = {"end_attempt": END_ATTEMPT, "drop_attempt": DROP_ATTEMPT, "drop_unit": DROP_UNIT}
_TOUCHES = {"first_touch": unit_rows.FIRST_TOUCH, "last_touch": unit_rows.LAST_TOUCH}


class ShardChains(NamedTuple):
    """The chains of one shard, an element each.

    ``users`` number the shard's users; ``entries`` and ``group_rows`` are rows, the second the
    one whose value is the chain's group (−1: no value); ``kind`` is a sum of `chains.CHOSEN`
    (among all entries) and `chains.MATURE`. ``times`` has a row for each chain that got beyond
    its entry, with the instant of each step, or `chains.NOT_DONE`. ``left_out`` counts rows of
    steps that belong to no unit, ``ungrouped`` the chains that never reach the breakdown's step.
    """

    shard: Shard
    users: np.ndarray
    entries: np.ndarray
    group_rows: np.ndarray
    reach: np.ndarray
    tied: np.ndarray
    excluded: np.ndarray
    kind: np.ndarray
    times: np.ndarray
    left_out: int = 0
    ungrouped: int = 0

    @property
    def chosen(self) -> np.ndarray:
        return (self.kind & chains.CHOSEN) != 0

    @property
    def mature(self) -> np.ndarray:
        return (self.kind & chains.MATURE) != 0


def chains_of(log: EventLog, question: Question) -> list[ShardChains]:
    """The chains that count, shard by shard.

    Raises
    ------
    UsageError
        If no row of any step has a value of a property that chains shall hold.
    """
    codes = codes_of(log.event_names, question.steps, question.exclusions)
    if is_plain(question, codes):
        run = partial(_plain, question=question, codes=codes, until=log.covers_until_us)
        return engine.over(log.shards, run)
    _check_held(log, question, codes)
    return engine.over(log.shards, partial(_with_options, log=log, question=question, codes=codes))


def _plain(shard: Shard, *, question: Question, codes: Codes, until: int) -> ShardChains:
    users, entries, reach, tied, kind, times = chains.best_chains(
        _sealed(shard.time),
        _sealed(shard.event),
        _sealed(shard.offsets),
        _sealed(shard.masks),
        codes.steps,
        codes.wanted,
        (question.window_us, *question.entered, until - question.window_us),
        question.strict,
    )
    never = np.zeros(len(users), np.bool_)
    return ShardChains(shard, users, entries, entries, reach, tied, never, kind, times)


def _sealed(cells: np.ndarray) -> np.ndarray:
    """The same cells, read-only as a mapped file's are: a kernel is compiled once for both."""
    view = cells.view()
    view.flags.writeable = False
    return view


def _with_options(shard: Shard, *, log: EventLog, question: Question, codes: Codes) -> ShardChains:
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
    found = unit_chains.unit_chains(
        cells,
        unit_rows.Codes(
            codes.steps.view(np.int64),
            codes.exclusions.view(np.int64),
            _promise(shard, question, codes),
            int(np.uint64(sum(1 << (k - 1) for k in _seconds(question))).astype(np.int64)),
        ),
        ask_of(question),
        unit_rows.Limits(*question.entered, log.covers_until_us - question.window_us),
        Choice(_EFFECTS[question.effect], question.first, question.strict),
        question.attempts,
        touch,
    )
    left_out = int((shard.event[units < 0] < len(log.event_names)).sum()) if len(units) else 0
    return _in_groups(shard, found, question, left_out)


def _promise(shard: Shard, question: Question, codes: Codes) -> np.ndarray:
    """Per user: nothing, an entry alone, or more, as far as the user's mask of events tells."""
    if question.order == "any":
        first = more = np.bitwise_or.reduce(codes.wanted)
    else:
        first, more = codes.wanted[1], codes.barred
        for k in _seconds(question):
            more |= codes.wanted[k]
    enters = (shard.masks & first) != 0
    promise = np.where((shard.masks & more) != 0, unit_rows.MORE, unit_rows.ENTRY_ALONE)
    return np.where(enters, promise, unit_rows.NOTHING).astype(np.uint8)


def _seconds(question: Question) -> list[int]:
    """The numbers of the steps that can follow an entry, where steps have an order."""
    numbers = []
    for k, step in enumerate(question.steps[1:], start=2):
        numbers.append(k)
        if not step.optional:
            break
    return numbers


def _in_groups(shard: Shard, found: np.ndarray, question: Question, left_out: int) -> ShardChains:
    """The chains with the rows that their groups are read from; `found` as `unit_chains` has it."""
    ungrouped = 0
    column = unit_chains.ENTRY_ROW
    if question.by_at in _TOUCHES:
        column = unit_chains.TOUCH
    elif question.by_at != "entry":
        column = unit_chains.STEP_ROWS + int(question.by_at) - 1
        stays = found[:, column] >= 0
        ungrouped = int((~stays & (found[:, unit_chains.KIND] & chains.CHOSEN != 0)).sum())
        found = found[stays]
    rows = found[found[:, unit_chains.FAR] > 1, unit_chains.STEP_ROWS :]
    times = np.where(rows >= 0, shard.time[rows], chains.NOT_DONE)
    return ShardChains(
        shard,
        found[:, unit_chains.USER],
        found[:, unit_chains.ENTRY_ROW],
        found[:, column],
        found[:, unit_chains.FAR],
        found[:, unit_chains.TIED] != 0,
        found[:, unit_chains.EXCLUDED] != 0,
        found[:, unit_chains.KIND],
        times,
        left_out,
        ungrouped,
    )


def _check_held(log: EventLog, question: Question, codes: Codes) -> None:
    """Raise where a property that chains shall hold has no value on any row of a step."""
    if not any(bool(np.any(codes.steps[part.event])) for part in log.shards):
        return
    for name in question.hold:

        def valued(shard: Shard, name: str = name) -> bool:
            return bool(np.any(has_value(shard, [name]) & (codes.steps[shard.event] != 0)))

        if not any(engine.over(log.shards, valued)):
            names = ", ".join(step.name for step in question.steps)
            raise UsageError(
                f"funnel: hold={name!r}: no event of the steps ({names}) has a value of it. "
                "Hold a property that the steps have, or leave hold out."
            )


def user_numbers(parts: Sequence[ShardChains]) -> list[np.ndarray]:
    """The users of the chains, numbered over all shards."""
    offsets = np.cumsum([0, *(len(part.shard.users) for part in parts)])
    return [part.users + offset for part, offset in zip(parts, offsets[:-1], strict=True)]
