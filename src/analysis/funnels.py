"""Where do we lose people? Ordered steps, a window, and how many get how far.

One function, one set of chains; every view of a funnel is a group-by of them, so no two views
can disagree. A chain is a list of distinct events of one user in the order of the steps, all
inside the window that its first event opens (inclusive, elapsed UTC time). Among a user's chains
the furthest wins; among equals the one that ends earliest, then the one with the earliest step
times, then the one that enters latest.

Rates use mature entries only: those whose whole window the log covers, whether they converted or
not. Leaving out just the unconverted young ones would inflate every recent rate.

What this module refuses to do: print a rate without its count and interval, or call a loss
between two steps a reason for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from analysis import breakdown
from analysis.eventlog import engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnel_result import FunnelResult
from analysis.funnel_steps import (
    Exclusion,
    Step,
    StepCodes,
    as_steps,
    breakdown_properties,
    check_events,
    check_options,
    entry_range,
    step_codes,
)
from analysis.funnel_table import ShardChains, funnel_table, group_sizes
from analysis.passes import chains
from analysis.schema import DataError, duration_us, human_duration

__all__ = ["Exclusion", "FunnelResult", "Step", "funnel"]


def funnel(
    log: EventLog,
    steps: Sequence[Any],
    *,
    order: str = "sequential",
    window: Any = "7d",
    unit: str = "user",
    count: str = "units",
    entry: str = "best",
    hold: Sequence[str] = (),
    exclude: Sequence[Exclusion] = (),
    on_exclude: str = "end_attempt",
    by: str | Sequence[str] | None = None,
    by_at: str | int = "entry",
    top: int = 12,
    ties: str = "lenient",
    entered: tuple[Any, Any] | None = None,
) -> FunnelResult:
    """How many users get through these steps, and where are the others lost?

    Parameters
    ----------
    log : the events.
    steps : event names, lists of alternative names, `Step`, or dicts with the arguments of
        `Step`. The same event may stand in several steps; one event never serves two.
    order : ``"sequential"``: steps in order, anything may happen between.
    window : duration from the chain's first event, inclusive.
    unit, count, entry, hold, exclude, on_exclude, by_at : values other than the defaults are not
        available yet and say so.
    by : property, or several, whose value on the chain's first event is the group. A missing
        value is a group of its own.
    top : how many groups to keep; the others become ``"(other)"``.
    ties : events of one user at the same instant: ``"lenient"`` counts them in whichever order
        helps, ``"strict"`` wants each step strictly later than the one before.
    entered : (start, end) limits entries only, start included, end excluded; naive times are
        UTC. Conversions after the end still count.

    Returns
    -------
    FunnelResult

    Raises
    ------
    UsageError
        If an event, property or option is unknown, or the window is not longer than zero.
    DataError
        If the log is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> from analysis.eventlog.log import EventLog
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:30", "2026-01-01 09:00"])}),
    ...     covers_until="2026-02-01")
    >>> funnel(log, ["cart", "purchase"], window="1h").table[["event", "count", "rate"]]
          event  count  rate
    0      cart      2   1.0
    1  purchase      1   0.5
    """
    options = {
        "order": order,
        "window": window,
        "unit": unit,
        "count": count,
        "entry": entry,
        "hold": hold,
        "exclude": exclude,
        "on_exclude": on_exclude,
        "by": by,
        "by_at": by_at,
        "top": top,
        "ties": ties,
        "entered": entered,
    }
    asked = as_steps(steps)
    check_options(options, asked)
    window_us = duration_us(window, "funnel: window")
    properties = breakdown_properties(log, by)
    if not len(log.shards) or not log.event_names:
        raise DataError("funnel: the log is empty. Import events first: workbook import FILE.")
    check_events(log, asked)
    low, high = entry_range(entered)
    limits = (window_us, low, high, log.covers_until_us - window_us)
    run = partial(_shard_chains, codes=step_codes(log, asked, ties), limits=limits)
    parts = engine.over(log.shards, run)
    groups = breakdown.groups_of(log.shards, [part.entries for part in parts], properties)
    groups = breakdown.largest(groups, group_sizes(parts, groups), top)
    chosen = [part.chosen for part in parts]
    immature = sum(int((c & ~p.mature).sum()) for c, p in zip(chosen, parts, strict=True))
    tied = sum(int((c & p.tied).sum()) for c, p in zip(chosen, parts, strict=True))
    return FunnelResult(
        table=funnel_table(parts, groups, asked),
        parameters=options,
        warnings=_warnings(immature, tied, sum(int(c.sum()) for c in chosen), window_us),
        steps=asked,
        window_us=window_us,
        immature=immature,
        tied=tied,
        log=log,
        ask=partial(funnel, log, asked, **options),
        parts=parts,
        groups=groups,
    )


def _shard_chains(
    shard: Shard, *, codes: StepCodes, limits: tuple[int, int, int, int]
) -> ShardChains:
    found = chains.best_chains(
        shard.time,
        shard.event,
        shard.offsets,
        shard.masks,
        codes.lut,
        codes.wanted,
        limits,
        codes.strict,
        codes.shared,
    )
    return ShardChains(shard, *found)


def _warnings(immature: int, tied: int, entered: int, window_us: int) -> tuple[str, ...]:
    said = []
    if immature:
        said.append(
            f"{immature:,} of {entered:,} users entered less than {human_duration(window_us)} "
            "before the log ends: they are counted, and left out of every rate."
        )
    if tied:
        said.append(
            f"{tied:,} of {entered:,} users got as far as they did only because events at the "
            "same instant count in whichever order helps (ties='strict' tells without them)."
        )
    return tuple(said)
