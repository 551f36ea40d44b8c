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

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from analysis.core.schema import SESSION, USER
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.eventlog.units import units
from analysis.funnels.counts import sums_of
from analysis.funnels.funnel_result import FunnelResult
from analysis.funnels.funnel_steps import Exclusion
from analysis.funnels.funnel_table import funnel_table
from analysis.funnels.funnel_words import funnel_warnings
from analysis.funnels.spec import Question, entry_range, question_of


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
    order : ``"sequential"``: steps in order, anything may happen between. ``"strict"``: the
        events of a chain are neighbors among all events of the unit. ``"any"``: so many of the
        steps, in any order; step k is then the k-th one done.
    window : duration from the chain's first event, inclusive. `Step.within` limits the time since
        the step done before.
    unit : what is counted: ``"user"``, ``"session"``, or a property's name.
    count : ``"units"``, or ``"attempts"``: chains of a unit that do not overlap, each from the
        earliest entry left, as far as it gets.
    entry : ``"best"``: the furthest chain over all entries; ``"first"``: only the first entry's.
    hold : properties whose values must be the same on every step of a chain.
    exclude : events that may not happen between two steps: `Exclusion`, or dicts with its
        arguments.
    on_exclude : ``"end_attempt"``: the attempt keeps the steps it had reached.
        ``"drop_attempt"``: it counts nowhere, another one of the unit may. ``"drop_unit"``: the
        unit leaves when the exclusion kept it from getting as far as it would.
    by : property, or several, whose value is the group. A missing value is a group of its own.
    by_at : where the value is read: ``"entry"``, the chain's first event; ``"first_touch"``,
        ``"last_touch"``, the first or last value on any event of the unit that matches a step; or
        the number of a step (units that never reach it are in no group).
    top : how many groups to keep; the others become ``"(other)"``.
    ties : events of one unit at the same instant: ``"lenient"`` counts them in whichever order
        helps, ``"strict"`` wants each step strictly later than the one before.
    entered : (start, end) limits entries only, start included, end excluded; naive times are
        UTC. Conversions after the end still count.

    Returns
    -------
    FunnelResult

    Raises
    ------
    UsageError
        If an event, property or option is unknown, out of range, or senseless beside another.
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
    question = question_of(log, steps, options)
    rows_left_out = 0
    if question.unit not in (USER, SESSION):
        log, rows_left_out = units(log, question.unit)
    return _answer(log, question, options, rows_left_out)


def _answer(
    log: EventLog, question: Question, options: Mapping[str, Any], rows_left_out: int
) -> FunnelResult:
    """The answer to a checked question; the log's users are the units, or what holds them."""
    sums = sums_of(log, question)

    def ask(*, entered: tuple[Any, Any], top: int = question.top) -> FunnelResult:
        changed = dataclasses.replace(question, entered=entry_range(entered), top=top)
        return _answer(log, changed, {**options, "entered": entered, "top": top}, rows_left_out)

    return FunnelResult(
        table=funnel_table(sums, question),
        parameters=options,
        warnings=(
            *funnel_warnings(sums, question, rows_left_out),
            *hindsight(log, question.entered[0]),
        ),
        steps=question.steps,
        window_us=question.window_us,
        immature=sums.immature,
        tied=sums.tied,
        question=question,
        log=log,
        ask=ask,
        sums=sums,
    )
