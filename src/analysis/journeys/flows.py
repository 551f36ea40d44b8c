"""What comes right after what? Every pair of events, how often, how long, with how many people.

A row of the answer says which share of an event's departures went to the next one; a line's end is
a departure, too, so the shares of an event add up to one. It says nothing about why: a page that
most leave may be the last one anybody needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import SESSION, US_PER_SECOND, human_duration
from analysis.core.wording import count, estimate
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.journeys import kernels as passes
from analysis.journeys.figures import position_map, transition_flows, transition_map
from analysis.journeys.sequences import (
    DEPENDENT,
    END,
    NOT_YET,
    START,
    Entered,
    Groups,
    begun,
    check,
    grouped,
    over_lines,
    session_codes,
    told,
    unit_word,
)
from analysis.statistics.rates import wilson

# ──── journey_flows


_REPEATED = (
    "One person's departures are counted as if independent: where few people make many of them, "
    "the intervals are too narrow. The column users says how many people there are."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class TransitionsResult(Result):
    """The answer of `transitions`.

    ``table`` has a row per pair of events that occurs, most frequent first: ``event`` (``(start)``
    for the beginning of a line), ``next_event`` (``(end)`` for its end), ``k`` transitions of
    ``n`` departures from the event, ``rate, low, high``, ``users`` with at least one (NaN for
    ends), and ``median_seconds`` between the two. The rows of an event add up to its departures.
    Of a transition of few people only the names are told.
    """

    within: str

    def sentence(self) -> str:
        """The most frequent transition between two events, and where most lines end."""
        known = self.table.dropna(subset=["k"])
        inner = known[(known["event"] != START) & (known["next_event"] != END)]
        ends = known[known["next_event"] == END]
        said = []
        if len(inner):
            top = inner.iloc[0]
            wait = top["median_seconds"]
            after = "" if pd.isna(wait) else f", in the median {_soon(wait)}"
            said.append(
                f"Most often {top['next_event']} follows {top['event']}: {estimate(top)} of its "
                f"departures{after}."
            )
        if len(ends):
            top = ends.iloc[0]
            said.append(f"Most {unit_word(self.within)} end with {top['event']}: {estimate(top)}.")
        return " ".join(said) or "No transition of enough people to tell."

    def figure(self) -> Any:
        """The largest flows from event to event."""
        return transition_flows(self.table)

    def heat_map(self) -> Any:
        """Every event against every next event, as shares of departures."""
        return transition_map(self.table)


def transitions(
    log: EventLog,
    *,
    within: str = SESSION,
    top: int = 30,
    gaps: bool = True,
    entered: Entered = None,
    min_cell: int = 5,
) -> TransitionsResult:
    """What do people do right after each event, how often and how soon?

    Parameters
    ----------
    within : ``"session"`` or ``"user"``: where a line of events begins and ends. Rows without a
        session are in no line of sessions.
    top : how many event names to keep; the others become ``"(other)"``.
    gaps : with the median time between the two events; without, it is NaN and the answer comes
        in half the time or less.
    entered : (start, end), end excluded: only lines that begin in it, each whole; naive times
        are UTC.
    min_cell : transitions of fewer people than this are hidden. Without `gaps` people are not
        counted (``users`` is NaN), and it is transitions that must be as many.

    Returns
    -------
    TransitionsResult

    Raises
    ------
    UsageError
        If an argument is not allowed.
    DataError
        If the log is empty.

    Notes
    -----
    A first-order Markov chain's transition counts: Anderson & Goodman 1957, *Ann Math Stat* 28:89;
    ``rate = k / n`` with Wilson's interval. The median is exact. Events of one instant follow each
    other in the order in which they arrived.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["visit", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}))
    >>> found = transitions(log, min_cell=1).table
    >>> found[found["event"] == "visit"][["next_event", "k", "n", "rate", "median_seconds"]]
      next_event    k    n  rate  median_seconds
    2      (end)  1.0  2.0   0.5             NaN
    3        buy  1.0  2.0   0.5           300.0
    """
    check(log, "transitions", within, top=top, min_cell=min_cell)
    log = begun(log, "transitions", within, entered)
    groups = grouped(log, top)
    counts = parallel.map_shards(log.shards, lambda shard: _counts(shard, groups, within))
    total = np.sum(counts, axis=0)
    users = np.full(total.shape, np.nan)
    medians = np.full((len(groups.names),) * 2, np.nan)
    if gaps:
        users, medians = _gaps(log, groups, within, counts)
    table = _table(groups.names, total, users, medians)
    few = (table["users"].fillna(table["k"]) < min_cell).to_numpy()
    table.loc[few, ["k", "n", "rate", "low", "high", "users", "median_seconds"]] = np.nan
    said = [_REPEATED]
    if few.any():
        said.append(
            f"Hidden, of fewer than {min_cell} {'people' if gaps else 'transitions'}: "
            f"{count(int(few.sum()))} of {count(len(table))} pairs."
        )
    return TransitionsResult(
        table=table,
        parameters={
            "within": within,
            "top": top,
            "gaps": gaps,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*said, *look_ahead_warnings(log)),
        within=within,
    )


def _counts(shard: Shard, groups: Groups, within: str) -> np.ndarray:
    codes, sessions = session_codes(shard, within)
    return passes.counts(shard.event, codes, sessions, shard.offsets, groups.lut, len(groups.names))


def _gaps(
    log: EventLog, groups: Groups, within: str, counts: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """People by pair, lines' ends unknown (NaN), and exact median seconds by pair of events."""
    size = len(groups.names)

    def measure(part: tuple[Shard, np.ndarray]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        shard, own = part
        codes, sessions = session_codes(shard, within)
        ends = np.cumsum(own[:-1].ravel())
        place = (ends - own[:-1].ravel()).reshape(size, size)
        users, found = passes.gaps(
            shard.time, shard.event, codes, sessions, shard.offsets, groups.lut, size, place
        )
        return users, found, ends

    parts = parallel.map_shards(list(zip(log.shards, counts, strict=True)), measure)

    def median(pair: int) -> float:
        own = [found[ends[pair - 1] if pair else 0 : ends[pair]] for _, found, ends in parts]
        return _median(np.concatenate(own))

    medians = np.array(parallel.map_shards(range(size * size), median)).reshape(size, size)
    return np.sum([users for users, _, _ in parts], axis=0).astype(float), medians


def _median(waits: np.ndarray) -> float:
    return float(np.median(waits)) / US_PER_SECOND if len(waits) else np.nan


def _table(
    names: tuple[str, ...], counts: np.ndarray, users: np.ndarray, medians: np.ndarray
) -> pd.DataFrame:
    size = len(names)
    departures = np.append(counts.sum(axis=0), counts[-1].sum())
    ends = departures - counts.sum(axis=1)
    whole = np.column_stack([counts, ends])
    people = np.column_stack([users, np.full(size + 1, np.nan)])
    waits = np.full(whole.shape, np.nan)
    waits[:size, :size] = medians
    source, target = np.nonzero(whole)
    k, n = whole[source, target].astype(float), departures[source].astype(float)
    low, high = wilson(k, n)
    table = pd.DataFrame(
        {
            "event": np.array([*names, START], object)[source],
            "next_event": np.array([*names, END], object)[target],
            "k": k,
            "n": n,
            "rate": k / n,
            "low": low,
            "high": high,
            "users": people[source, target],
            "median_seconds": waits[source, target],
        }
    ).astype({"event": "str", "next_event": "str"})
    order = ["k", "event", "next_event"]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)


def _soon(seconds: float) -> str:
    return f"{human_duration(seconds * US_PER_SECOND)} later"


# ──── journey_steps
#
# Where are people after one step, two steps, ten? Shares by position, and back from an event.
#
# Position 0 is a line's first event, or the first event that is named. Who is no longer there
# stands
# under ``(end)``, who was not yet there under ``(not yet)``, so every position adds up to one and
# its shares have the same denominator.


@dataclass(frozen=True, eq=False, kw_only=True)
class StepMatrixResult(Result):
    """The answer of `step_matrix`.

    ``table`` has a row per position and event that occurs there: ``direction`` (``"from"`` the
    start, ``"to"`` an event), ``position`` (0 at the start or the event, negative before it),
    ``event`` (``(end)``: the line is over, ``(not yet)``: it had not begun), ``k`` of ``n`` lines,
    ``rate, low, high``. What is about few lines is NaN.
    """

    within: str
    anchors: tuple[str, str | None]

    def sentence(self) -> str:
        """Where most are one step after the start, and one step before the event."""
        said = []
        after = self._most("from", 1)
        if after is not None:
            start = self.anchors[0] or f"the first event of their {unit_word(self.within)}"
            said.append(f"One step after {start} most are at {after['event']}: {estimate(after)}.")
        before = self._most("to", -1)
        if before is not None:
            at = f"One step before {self.anchors[1]} most are at {before['event']}"
            said.append(f"{at}: {estimate(before)}.")
        return " ".join(said) or "Too few lines to tell."

    def matrix(self, direction: str = "from") -> pd.DataFrame:
        """The shares as a matrix: a row per event, a column per position."""
        own = self.table[self.table["direction"] == direction]
        return own.set_index(["event", "position"])["rate"].unstack()  # noqa: PD010

    def figure(self) -> Any:
        """The shares by position as a heat map."""
        return position_map(self.table, names=self.anchors)

    def _most(self, direction: str, position: int) -> Any:
        own = self.table[
            (self.table["direction"] == direction) & (self.table["position"] == position)
        ].dropna(subset=["k"])
        return None if not len(own) else own.iloc[int(own["k"].to_numpy().argmax())]


def step_matrix(
    log: EventLog,
    *,
    start: str | None = None,
    to: str | None = None,
    steps: int = 10,
    within: str = SESSION,
    top: int = 30,
    entered: Entered = None,
    min_cell: int = 5,
) -> StepMatrixResult:
    """Which share of people is where, step by step from the start and back from an event?

    Parameters
    ----------
    start : count from the first such event of each line; default: from its first event.
    to : count back from the first such event, too.
    steps : how many positions each way.
    within : ``"session"`` or ``"user"``: what makes a line.
    top : how many event names to keep; the others become ``"(other)"``.
    entered : (start, end), end excluded: only lines that begin in it, each whole; naive times
        are UTC.
    min_cell : counts of fewer lines than this are hidden.

    Raises
    ------
    UsageError
        If an event is unknown or an argument is not allowed.
    DataError
        If the log is empty.

    Notes
    -----
    The step matrix of click-stream analysis: ``rate = k / n`` with n the lines that have the start
    (or the event), the same at every position; Wilson's interval.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["visit", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01 10:00", "2026-01-01 10:05", "2026-01-01 09:00"])}))
    >>> step_matrix(log, steps=1, min_cell=1).table[["position", "event", "k", "n", "rate"]]
       position  event    k    n  rate
    0         0  visit  2.0  2.0   1.0
    1         1  (end)  1.0  2.0   0.5
    2         1    buy  1.0  2.0   0.5
    """
    check(log, "step_matrix", within, steps=steps, top=top, min_cell=min_cell)
    log = begun(log, "step_matrix", within, entered)
    named = [
        checks.event_name("step_matrix", log, event)
        for event in dict.fromkeys((start, to))
        if event
    ]
    groups = grouped(log, top, named)
    tables = [_rows(log, groups, within, (start, steps, False))]
    if to is not None:
        tables.append(_rows(log, groups, within, (to, steps, True)))
    table = pd.concat(tables, ignore_index=True)
    few = (table["k"] < min_cell).to_numpy()
    table.loc[few, ["k", "rate", "low", "high"]] = np.nan
    said = [DEPENDENT] if within == SESSION else []
    if few.any():
        many = f"{count(int(few.sum()))} of {count(len(table))} cells"
        said.append(f"Hidden, of fewer than {min_cell} {unit_word(within)} each: {many}.")
    return StepMatrixResult(
        table=table,
        parameters={
            "start": start,
            "to": to,
            "steps": steps,
            "within": within,
            "top": top,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*said, *look_ahead_warnings(log)),
        within=within,
        anchors=(start or "", to),
    )


def _rows(
    log: EventLog, groups: Groups, within: str, asked: tuple[str | None, int, bool]
) -> pd.DataFrame:
    """One direction: (event to count from, steps, back)."""
    event, steps, back = asked
    anchor = -1 if event is None else groups.code(event)
    parts = over_lines(
        log,
        groups,
        within,
        lambda own: passes.positions(own.codes, own.starts, len(groups.names), anchor, steps, back),
    )
    counts = np.sum([cells for cells, _ in parts], axis=0)
    n = sum(units for _, units in parts)
    position, code = np.nonzero(counts)
    k = counts[position, code].astype(float)
    low, high = wilson(k, np.full(len(k), n))
    table = pd.DataFrame(
        {
            "direction": "to" if back else "from",
            "position": -position if back else position,
            "event": np.array([*groups.names, NOT_YET if back else END], object)[code],
            "k": k,
            "n": float(n),
            "rate": k / n if n else k,
            "low": low,
            "high": high,
        }
    ).astype({"event": "str", "direction": "str"})
    order = ["position", "k", "event"]
    return table.sort_values(order, ascending=[True, False, True], ignore_index=True)
