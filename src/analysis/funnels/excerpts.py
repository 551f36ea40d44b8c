"""Which rows of a log matter to a funnel that is asked of a period's entries alone?

A chain begins with an entry of the period and ends within its window. So the rows from the
period's start to one window after its end tell all of it, and a question about one week of many
need not look through the others.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pyarrow as pa

from analysis.core.checks import EVER
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, NumberColumn, Shard, TextColumn
from analysis.funnels.spec import FunnelSpec

_WORTH_IT = 3
"""A shard of which more than one in so many rows matters is asked whole."""


def is_local(spec: FunnelSpec) -> bool:
    """Is it about a period, whose chains hang on nothing outside of it and its windows?

    Which entry is a unit's first, where an attempt ends and what a unit was excluded for can be
    decided outside.
    """
    elsewhere = (spec.inside_user, spec.exclusions, spec.attempts, spec.first)
    at_a_step = spec.by_at == "entry" or isinstance(spec.by_at, int)
    return spec.entered != (-EVER, EVER) and at_a_step and not any(elsewhere)


def excerpt(log: EventLog, spec: FunnelSpec) -> EventLog:
    """The rows of a log that the chains of a local spec are made of; the log where it is most."""
    first, after = spec.entered
    last = min(after - 1 + spec.window_us, EVER)

    def cut(shard: Shard) -> Shard:
        inside = (shard.time >= first) & (shard.time <= last)
        if _WORTH_IT * int(np.count_nonzero(inside)) > shard.rows:
            return shard
        return _with_rows(shard, np.flatnonzero(inside))

    return log.derive(shards=tuple(parallel.map_shards(log.shards, cut)))


def settled(spec: FunnelSpec, log: EventLog) -> FunnelSpec:
    """The spec with its steps' conditions as the whole log reads them."""
    steps = [
        replace(step, where=filters.check(step.where, log, "funnel: where")) if step.where else step
        for step in spec.steps
    ]
    return replace(spec, steps=tuple(steps))


def _with_rows(shard: Shard, rows: np.ndarray) -> Shard:
    offsets = np.searchsorted(rows, shard.offsets)
    users = np.flatnonzero(np.diff(offsets))
    return Shard(
        users=shard.users.take(pa.array(users)),
        offsets=np.append(offsets[users], len(rows)).astype(np.int64),
        time=shard.time[rows],
        event=shard.event[rows],
        # A mask may name more events than a user has: it tells whom to skip.
        masks=shard.masks[users],
        columns=_Columns(shard.columns, rows),
    )


@dataclass(frozen=True, eq=False)
class _Columns(Mapping[str, Column]):
    """Some rows of columns, taken when they are asked for."""

    whole: Mapping[str, Column]
    rows: np.ndarray
    taken: dict[str, Column] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Column:
        if name not in self.taken:
            column = self.whole[name]
            if isinstance(column, TextColumn):
                self.taken[name] = TextColumn(column.codes[self.rows], column.values)
            else:
                self.taken[name] = NumberColumn(column.numbers[self.rows])
        return self.taken[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.whole)

    def __len__(self) -> int:
        return len(self.whole)
