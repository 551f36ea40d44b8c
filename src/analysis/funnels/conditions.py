"""Which conditions of a funnel match nothing, and why?

A step whose condition no event meets counts 0 as one does that nobody reached, and an exclusion
that matches nothing excludes nobody. Neither is an answer about people, so the funnel says it.

What this module refuses to do: stop a funnel. A log may get such events tomorrow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from analysis.core.schema import EVENT, USER
from analysis.core.wording import count, listed
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnels.chains import has_value
from analysis.funnels.spec import ANY_EVENT, Exclusion, FunnelSpec, Step

_MOST_NAMED = 3


def condition_warnings(log: EventLog, spec: FunnelSpec, held: tuple[int, int]) -> tuple[str, ...]:
    """A sentence for each condition that nothing meets, and for each value that no event has.

    Parameters
    ----------
    held : the sets of the steps and of the exclusions whose conditions hold on any of their events:
        bit k − 1 for number k.
    """
    notes: list[str] = []
    kinds: tuple[tuple[str, Sequence[Step | Exclusion], int], ...] = (
        ("Step", spec.steps, held[0]),
        ("Exclusion", spec.exclusions, held[1]),
    )
    for kind, asked, found in kinds:
        for number, one in enumerate(asked, start=1):
            if not one.where:
                continue
            said = f"{kind} {number} ({listed(list(one.events))})"
            unknown = filters.unseen(one.where, log)
            notes += [f"{said}: {note}" for note in unknown]
            if not found >> (number - 1) & 1:
                why = _why(log, one.events, one.where)
                notes += [f"{said} matches nothing: {why}"] if why else []
    return tuple(notes)


def _why(log: EventLog, events: Sequence[str], where: Mapping[str, Any]) -> str:
    """Why does no event meet the condition? Empty where there is no such event to meet it."""
    names = log.event_names
    own = np.array([name in events or ANY_EVENT in events for name in names] + [False])
    rows = sum(parallel.map_shards(log.shards, lambda shard: int(own[shard.event].sum())))
    if not rows:
        return ""
    what = "events" if ANY_EVENT in events else f"{listed(list(events))} events"
    for name in where:
        if name in (EVENT, USER):
            continue
        having = _having(log, name)
        if not having[own].any():
            elsewhere = [names[code] for code in np.argsort(-having, kind="stable") if having[code]]
            more = ", ..." if len(elsewhere) > _MOST_NAMED else ""
            on = f" It is on {', '.join(elsewhere[:_MOST_NAMED])}{more}." if elsewhere else ""
            return f"none of the {count(rows)} {what} has a value of {name!r}.{on}"
    conditions = " and ".join(f"{name}={wanted!r}" for name, wanted in where.items())
    return f"none of the {count(rows)} {what} has {conditions}."


def _having(log: EventLog, name: str) -> np.ndarray:
    """How many rows of each event have a value of the property; hidden rows come last, as 0."""

    def counted(shard: Shard) -> np.ndarray:
        return np.bincount(
            shard.event[has_value(shard, [name])], minlength=len(log.event_names) + 1
        )

    having = np.sum(parallel.map_shards(log.shards, counted), axis=0)
    having[-1] = 0
    return having
