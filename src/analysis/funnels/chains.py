"""The chains of a funnel: one pass over every shard, for their sums or for the chains themselves.

Most questions are answered by sums (`funnel_sums`), which a pass makes as it goes. Views that
name people or ask what they did need the chains, and these come from the same pass.
"""

from __future__ import annotations

from functools import partial
from typing import Final, NamedTuple

import numpy as np

from analysis.core.schema import UsageError
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.funnels.funnel_codes import (
    Codes,
    ask_of,
    codes_of,
    following,
    has_value,
    holding,
    is_plain,
    promise_of,
    unit_numbers,
)
from analysis.funnels.search import kernels_chain_block as chain_block
from analysis.funnels.search import kernels_chains as chains
from analysis.funnels.search import kernels_unit_chains as unit_chains
from analysis.funnels.search import kernels_unit_rows as unit_rows
from analysis.funnels.search.blocks import Grouping, Sums
from analysis.funnels.search.kernels_chain_block import ChainList
from analysis.funnels.search.units import DROP_ATTEMPT, DROP_UNIT, END_ATTEMPT, Choice
from analysis.funnels.spec import Question

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
    return engine.over(log.shards, lambda shard: run(shard, keep=keep, grouping=_codes(shard, by)))


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
        unit_chains.Wish(
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

        if not any(engine.over(log.shards, valued)):
            names = ", ".join(step.name for step in question.steps)
            raise UsageError(
                f"funnel: hold={name!r}: no event of the steps ({names}) has a value of it. "
                "Hold a property that the steps have, or leave hold out."
            )
