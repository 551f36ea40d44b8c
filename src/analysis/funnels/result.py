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
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.schema import SESSION, USER, VALUE, human_duration
from analysis.core.wording import count, percent
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.units import units
from analysis.funnels import losses, over_time
from analysis.funnels.compare import compare
from analysis.funnels.conditions import condition_warnings
from analysis.funnels.counts import FunnelSums, funnel_table, nameless, sums_of
from analysis.funnels.data import FunnelData
from analysis.funnels.figures import funnel_bars
from analysis.funnels.spec import TOUCHES, Exclusion, FunnelSpec, funnel_spec
from analysis.funnels.waits import waits_sentence
from analysis.statistics.rates import wilson


@dataclass(frozen=True, eq=False, kw_only=True)
class FunnelResult(FunnelData):
    """The answer of `funnel`.

    ``table`` has a row per group and step: ``group, step, event, count, k, n_first, n_previous,
    rate, rate_low, rate_high, step_rate, low, high, median_seconds, mean_seconds``. ``count``:
    units that did the step, all entries. ``k``, ``n_first``, ``n_previous``: the same among
    mature entries, the last two for the first step and for the required step before; ``rate = k /
    n_first`` and ``step_rate = k / n_previous`` with Wilson intervals, which take users as the
    independent units. The waits are those since the step done before, among mature units that did
    the step.

    A unit is counted by the furthest of its chains. Where that is not mature and an earlier one is,
    this one stands in the rates, and both are in its group; so ``k`` is never above ``count``, and
    the first step's ``count`` less ``immature`` is its ``n_first``.
    """

    @property
    def counted(self) -> str:
        """The counted units, in the plural: users, sessions, attempts …"""
        return noun(self.question)

    def sentence(self) -> str:
        """How many of those who entered converted, and where the most were lost."""
        return funnel_sentence(self.table, self.question, self.immature)

    def figure(self) -> Any:
        """Bars per step, by group, with rates, counts and intervals."""
        return funnel_bars(self.table, noun=self.counted)

    def trend(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """How did the rate develop by period of entry? See `over_time.trend`."""
        return over_time.trend(self, freq, time_zone)

    def recent(self, freq: str = "W", time_zone: str = "UTC") -> pd.DataFrame:
        """The trend, with a Kaplan-Meier estimate where a period is too young for a rate.

        See `over_time.with_estimates` for the columns that are added.
        """
        return over_time.with_estimates(self, self.trend(freq, time_zone))

    def times(self, step: int | str | None = None, *, since: str = "previous") -> pd.DataFrame:
        """How long do units take to a step? Median and quantiles; see `over_time.times`.

        ``since="entry"`` measures from the entry of the attempt that counts, ``since="first"``
        from the first time ever.
        """
        return over_time.times(self, step, since=since)

    def waits_sentence(self, *, min_cell: int = 5) -> str:
        """How long did it take to convert, from the attempt's entry and from the first time ever?

        Empty where fewer than `min_cell` converted.
        """
        return waits_sentence(self, min_cell)

    def time_curve(self, step: int | str | None = None) -> pd.DataFrame:
        """What share has reached a step by which time? See `over_time.time_curve`."""
        return over_time.time_curve(self, step)

    def next_events(self, step: int | str, *, top: int = 10) -> pd.DataFrame:
        """What did the units that stopped after a step do next? See `losses.next_events`."""
        return losses.next_events(self, step, top=top)

    def units(self, step: int | str, *, converted: bool = False) -> pd.DataFrame:
        """Which units stopped after a step, or went on from it? See `losses.units`."""
        return losses.units(self, step, converted=converted)

    def compare(self, a: Any, b: Any) -> pd.DataFrame:
        """Where do two groups, or two funnels, differ? See `compare.compare`."""
        return compare(self, a, b)

    def value_lost(self, *, value: str = VALUE, min_n: int = 100) -> pd.DataFrame:
        """What would each step bring if every group did as well as the best one?

        See `losses.value_lost`.
        """
        return losses.value_lost(self, value=value, min_n=min_n)


def funnel(  # noqa: PLR0913
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
    log : the events; see `analysis.core.checks`.
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
    by_at : where the value is read: ``"entry"``, the first event of the chain that stands in the
        rates; ``"first_touch"``, ``"last_touch"``, the first or last value on any event of the
        unit that matches a step (a value from after the entry knows who went on: a warning counts
        them); or the number of a step (units that never reach it are in no group).
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
        If an event, property or option is unknown, out of range, or makes no sense beside another.
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
    spec = funnel_spec(log, steps, options)
    log, rows_left_out = log.until_end(), 0
    if spec.unit not in (USER, SESSION):
        log, rows_left_out = units(log, spec.unit)
    return _answer(log, spec, options, rows_left_out)


def _answer(
    log: EventLog, spec: FunnelSpec, options: Mapping[str, Any], rows_left_out: int
) -> FunnelResult:
    """Answer a checked spec; the log's users are the units, or hold them."""
    sums = sums_of(log, spec)
    return FunnelResult(
        table=funnel_table(sums, spec),
        parameters=options,
        warnings=(
            *funnel_warnings(sums, spec, rows_left_out),
            *condition_warnings(log, spec, sums.held),
            *look_ahead_warnings(log, spec.entered[0]),
        ),
        steps=spec.steps,
        window_us=spec.window_us,
        immature=sums.immature,
        tied=sums.tied,
        question=spec,
        log=log,
        ask=partial(_ask, log, spec, options, rows_left_out),
        sums=sums,
    )


def _ask(
    log: EventLog,
    spec: FunnelSpec,
    options: Mapping[str, Any],
    rows_left_out: int,
    *,
    entered: tuple[Any, Any],
    top: int | None = None,
) -> FunnelResult:
    """Ask the same of other entries; no closure, so that a result can be pickled."""
    top = spec.top if top is None else top
    changed = dataclasses.replace(spec, entered=checks.entry_range("funnel", entered), top=top)
    return _answer(log, changed, {**options, "entered": entered, "top": top}, rows_left_out)


def noun(spec: FunnelSpec) -> str:
    """The counted units, in the plural: users, sessions, attempts …"""
    if spec.attempts:
        return "attempts"
    if spec.hold:
        return f"units ({', '.join((spec.unit, *spec.hold))})"
    return {USER: "users", SESSION: "sessions"}.get(spec.unit, f"units ({spec.unit})")


def funnel_warnings(sums: FunnelSums, spec: FunnelSpec, rows_left_out: int) -> tuple[str, ...]:
    """The caveats of the numbers; `rows_left_out` rows had no value of the unit."""
    entered, immature, tied = sums.entered, sums.immature, sums.tied
    who = noun(spec)
    notes = []
    if immature:
        notes.append(
            f"{immature:,} of {entered:,} {who} entered less than "
            f"{human_duration(spec.window_us)} before the log ends: they are counted, and left "
            "out of every rate."
        )
    if tied:
        notes.append(
            f"{tied:,} of {entered:,} {who} got as far as they did only because events at the "
            "same instant count in whichever order helps (ties='strict' tells without them)."
        )
    without = rows_left_out + sums.left_out
    if without:
        missing = spec.inside_user or (spec.unit,)
        notes.append(
            f"{without:,} {'row' if without == 1 else 'rows'} without a value of "
            f"{', '.join(map(repr, missing))} belong to no unit: left out."
        )
    if sums.ungrouped:
        notes.append(
            f"{sums.ungrouped:,} {who} never reach step {spec.by_at}, whose "
            f"{', '.join(map(repr, spec.by))} makes the groups: they are in none."
        )
    if sums.later:
        notes.append(
            f"{sums.later:,} of {entered:,} {who} are in their group by a value of "
            f"{', '.join(map(repr, spec.by))} that they had only after their entry "
            f"(by_at={spec.by_at!r}): who goes on can get such a value and who stops cannot, so "
            "the groups' rates cannot be compared. by_at='entry' reads the value at the entry."
        )
    if spec.by and entered and all(nameless(name) for name in sums.names):
        at = "1" if spec.by_at == "entry" else str(spec.by_at)
        where = "the steps" if spec.by_at in TOUCHES else f"step {at}"
        notes.append(
            f"No event of {where} has a value of {', '.join(map(repr, spec.by))}: there is one "
            "group, without a name. Ask by= for a property that the step has."
        )
    if spec.repeats_users:
        notes.append(
            f"One user can be several {who}: the intervals take users as the independent units."
        )
    return tuple(notes)


def funnel_sentence(table: pd.DataFrame, spec: FunnelSpec, immature: int) -> str:
    """How many of those who entered converted, with the interval, and where most were lost."""
    totals = table.groupby("step")["k"].sum().to_numpy()
    names = table["event"].iloc[: len(totals)].tolist()
    who = noun(spec)
    last = spec.conversion
    n, k = int(totals[0]), int(totals[last - 1])
    if not n:
        why = "entered so long ago that their window is over" if immature else "entered"
        none = "No user" if who == "users" else f"None of the {who}"
        return f"{none} {why}: there is no rate to tell ({names[0]} to {names[last - 1]})."
    if last == 1:
        return f"{count(n)} {who} did {names[0]}."
    reached = f" that reached step {spec.by_at}" if isinstance(spec.by_at, int) else ""
    text = (
        f"{percent(k / n)} of {count(n)} {who}{reached} got from {names[0]} to {names[last - 1]} "
        f"within {human_duration(spec.window_us)}{_interval(table, spec, k, n, last)}."
    )
    required = [i for i, step in enumerate(spec.steps) if not step.optional]
    lost = totals[required][:-1] - totals[required][1:]
    worst = int(np.argmax(lost)) if len(lost) else 0
    if len(lost) and lost[worst]:
        of = int(totals[required[worst]])
        text += (
            f" Most were lost between {names[required[worst]]} and {names[required[worst + 1]]}: "
            f"{count(lost[worst])} of {count(of)} ({percent(lost[worst] / of)})."
        )
    return text


def _interval(table: pd.DataFrame, spec: FunnelSpec, k: int, n: int, last: int) -> str:
    """The interval of the rate of all groups together."""
    mine = table[table["step"] == last]
    if len(mine) == 1:
        low, high = mine["rate_low"].iloc[0], mine["rate_high"].iloc[0]
    elif spec.repeats_users:
        return ""
    else:
        low, high = (float(limit) for limit in wilson(k, n))
    return f" (95 % interval {percent(low)} to {percent(high)})"
