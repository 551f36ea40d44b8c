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

from analysis.core.result import Result
from analysis.core.schema import SESSION, US_PER_SECOND, human_duration
from analysis.core.wording import count, estimate
from analysis.eventlog import parallel as engine
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.journeys import kernels_transitions as passes
from analysis.journeys.figures import transition_map
from analysis.journeys.figures_flows import transition_flows
from analysis.journeys.sequences import (
    END,
    START,
    Entered,
    Groups,
    begun,
    check,
    grouped,
    session_codes,
    told,
    unit_word,
)
from analysis.statistics.stats import wilson

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
    counts = engine.over(log.shards, lambda shard: _counts(shard, groups, within))
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
        warnings=(*said, *hindsight(log)),
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

    parts = engine.over(list(zip(log.shards, counts, strict=True)), measure)

    def median(pair: int) -> float:
        own = [found[ends[pair - 1] if pair else 0 : ends[pair]] for _, found, ends in parts]
        return _median(np.concatenate(own))

    medians = np.array(engine.over(range(size * size), median)).reshape(size, size)
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
