"""What comes right after each event, and where are people after one step, two steps, ten?

`transitions` counts every pair of neighbors in the sequences: which share of an event's departures
went to the next one, how soon, and with how many people. The end of a sequence is a departure, too,
so the shares of an event add up to one.

`step_matrix` has a share per position. Position 0 is the first event of a sequence, or the first
event of a given name. Sequences that are over stand under ``(end)``, those that had not begun under
``(not yet)``, so the shares of every position have the same denominator and add up to one.

Neither says why: a page that most people leave may be the last one anybody needs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, small
from analysis.core.schema import SESSION, US_PER_SECOND, human_duration
from analysis.core.wording import count, estimate, isolate
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.journeys import kernels
from analysis.journeys.figures import position_map, transition_flows, transition_map
from analysis.journeys.sequences import (
    DEPENDENT,
    END,
    NOT_YET,
    START,
    Entered,
    EventGroups,
    check_arguments,
    entered_as_text,
    entered_in,
    event_groups,
    map_sequences,
    session_codes,
    tied_note,
    tied_share,
    unit_word,
)
from analysis.statistics.rates import shares

# What comes right after each event

_REPEATED = (
    "One person's departures are counted as if independent: where few people make many of them, "
    "the intervals are too narrow. The column users says how many people there are."
)


@dataclass(frozen=True, eq=False, kw_only=True)
class TransitionsResult(Result):
    """The answer of `transitions`.

    ``table`` has a row per pair of events that occurs, most frequent first: ``event`` (``(start)``
    for the beginning of a sequence), ``next_event`` (``(end)`` for its end), ``k`` transitions of
    ``n`` departures from the event, ``rate, low, high``, ``users`` with at least one (NaN for
    ends), and ``median_seconds`` between the two. The rows of an event add up to its departures.
    Where few people did the event, its rows have their names only; their numbers are NaN.
    ``parameters["tied"]`` is the share of departures that hang on the order of arrival.
    """

    within: str

    def sentence(self) -> str:
        """The most frequent transition between two events, and where most sequences end."""
        known = self.table.dropna(subset=["k"])
        inner = known[(known["event"] != START) & (known["next_event"] != END)]
        ends = known[known["next_event"] == END]
        parts = []
        if len(inner):
            top = inner.iloc[0]
            wait = top["median_seconds"] * US_PER_SECOND
            after = "" if pd.isna(wait) else f", in the median {human_duration(wait)} later"
            parts.append(
                f"Most often {isolate(top['next_event'])} follows {isolate(top['event'])}: "
                f"{estimate(top)} of its departures{after}."
            )
        if len(ends):
            top = ends.iloc[0]
            last = isolate(top["event"])
            parts.append(f"Most {unit_word(self.within)} end with {last}: {estimate(top)}.")
        return " ".join(parts) or "No transition to show: too few people did any event."

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
    within : ``"session"`` or ``"user"``: where a sequence of events begins and ends. Rows without
        a session are in no sequence of sessions.
    top : how many event names to keep; the others become ``"(other)"``.
    gaps : give the median time between the two events. Without it that is NaN, and the answer
        takes half the time or less.
    entered : (start, end), end excluded: only sequences that begin in it, each whole; naive times
        are UTC.
    min_cell : what follows an event that fewer people than this did is hidden. Without `gaps`
        people are not counted (``users`` is NaN), and events with fewer departures are hidden.

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
    other in the order in which they arrived; a warning says how many departures hang on that.

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
    check_arguments(log, "transitions", within, top=top, min_cell=min_cell)
    log = entered_in(log, "transitions", within, entered)
    groups = event_groups(log, top)
    counts = parallel.map_shards(log.shards, lambda shard: _shard_counts(shard, groups, within))
    total = np.sum([cells for cells, _ in counts], axis=0)
    tied = sum(hanging for _, hanging in counts)
    users = np.full(total.shape, np.nan)
    medians = np.full((len(groups.names),) * 2, np.nan)
    departures = np.append(total.sum(axis=0), total[-1].sum())
    people = departures
    if gaps:
        own = [cells for cells, _ in counts]
        users, people, medians = _users_and_medians(log, groups, within, own)
    table = _transitions_table(groups.names, total, users, medians)
    few = {name for name, n in zip((*groups.names, START), people, strict=True) if n < min_cell}
    hidden = table["event"].isin(few).to_numpy()
    table.loc[hidden, ["k", "n", "rate", "low", "high", "users", "median_seconds"]] = np.nan
    caveats = [_REPEATED, *tied_note(tied, int(departures.sum()), "departures")]
    if hidden.any():
        caveats.append(
            f"Hidden, what follows events of fewer than {min_cell} "
            f"{'people' if gaps else 'departures'}: {count(int(hidden.sum()))} of "
            f"{count(len(table))} pairs."
        )
    return TransitionsResult(
        table=table,
        parameters={
            "within": within,
            "top": top,
            "gaps": gaps,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
            "tied": tied_share(tied, departures.sum()),
        },
        warnings=(*caveats, *look_ahead_warnings(log)),
        within=within,
    )


def _shard_counts(shard: Shard, groups: EventGroups, within: str) -> tuple[np.ndarray, int]:
    codes, sessions = session_codes(shard, within)
    rows = (shard.time, shard.event, codes, sessions, shard.offsets)
    return kernels.transition_counts(*rows, groups.lut, len(groups.names))


def _users_and_medians(
    log: EventLog, groups: EventGroups, within: str, counts: list[np.ndarray]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """People by pair, people by event left, and the exact median seconds by pair of events.

    Parameters
    ----------
    counts : transitions by pair in each shard, so that each shard's gaps can be stored by pair.
    """
    size = len(groups.names)

    def measure(part: tuple[Shard, np.ndarray]) -> tuple[np.ndarray, ...]:
        shard, own = part
        codes, sessions = session_codes(shard, within)
        ends = np.cumsum(own[:-1].ravel())
        place = (ends - own[:-1].ravel()).reshape(size, size)
        users, people, gaps = kernels.transition_gaps(
            shard.time, shard.event, codes, sessions, shard.offsets, groups.lut, size, place
        )
        return users, people, gaps, ends

    parts = parallel.map_shards(list(zip(log.shards, counts, strict=True)), measure)

    def median(pair: int) -> float:
        own = [gaps[ends[pair - 1] if pair else 0 : ends[pair]] for *_, gaps, ends in parts]
        waits = np.concatenate(own)
        return float(np.median(waits)) / US_PER_SECOND if len(waits) else np.nan

    medians = np.array(parallel.map_shards(range(size * size), median)).reshape(size, size)
    users, people = (np.sum([part[i] for part in parts], axis=0) for i in range(2))
    return users.astype(float), people, medians


def _transitions_table(
    names: tuple[str, ...], counts: np.ndarray, users: np.ndarray, medians: np.ndarray
) -> pd.DataFrame:
    """A row per pair that occurs; a departure that no transition accounts for is an end."""
    size = len(names)
    departures = np.append(counts.sum(axis=0), counts[-1].sum())
    ends = departures - counts.sum(axis=1)
    with_ends = np.column_stack([counts, ends])
    users = np.column_stack([users, np.full(size + 1, np.nan)])
    waits = np.full(with_ends.shape, np.nan)
    waits[:size, :size] = medians
    source, target = np.nonzero(with_ends)
    table = shares(with_ends[source, target], departures[source])
    table.insert(0, "event", np.array([*names, START], object)[source])
    table.insert(1, "next_event", np.array([*names, END], object)[target])
    table["users"] = users[source, target]
    table["median_seconds"] = waits[source, target]
    table = table.astype({"event": "str", "next_event": "str", "k": float, "n": float})
    order = ["k", "event", "next_event"]
    return table.sort_values(order, ascending=[False, True, True], ignore_index=True)


# Where people are, step by step


@dataclass(frozen=True, eq=False, kw_only=True)
class StepMatrixResult(Result):
    """The answer of `step_matrix`.

    ``table`` has a row per position and event that occurs there: ``direction`` (``"from"`` the
    start, ``"to"`` an event), ``position`` (0 at the start or the event, negative before it),
    ``event`` (``(end)``: the sequence is over, ``(not yet)``: it had not begun), ``k`` of ``n``
    sequences, ``rate, low, high``. Numbers of a direction that few people have are NaN.
    ``parameters["tied"]`` is, per direction, the share of sequences that hang on the order of
    arrival.
    """

    within: str
    anchors: tuple[str, str | None]

    def sentence(self) -> str:
        """Where most are one step after the start, and one step before the event."""
        parts = []
        after = self._most("from", 1)
        if after is not None:
            start = isolate(self.anchors[0] or f"the first event of their {unit_word(self.within)}")
            event = isolate(after["event"])
            parts.append(f"One step after {start} most are at {event}: {estimate(after)}.")
        before = self._most("to", -1)
        if before is not None:
            end, event = isolate(self.anchors[1]), isolate(before["event"])
            parts.append(f"One step before {end} most are at {event}: {estimate(before)}.")
        return " ".join(parts) or f"Too few {unit_word(self.within)} to show where people are."

    def matrix(self, direction: str = "from") -> pd.DataFrame:
        """The shares as a matrix: a row per event, a column per position."""
        own = self.table[self.table["direction"] == direction]
        return own.set_index(["event", "position"])["rate"].unstack()  # noqa: PD010

    def figure(self) -> Any:
        """The shares by position as a heat map."""
        return position_map(self.table, names=self.anchors)

    def _most(self, direction: str, position: int) -> Any:
        here = (self.table["direction"] == direction) & (self.table["position"] == position)
        own = self.table[here].dropna(subset=["k"])
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
    start : count from the first such event of each sequence; default: from its first event.
    to : count back from the first such event, too.
    steps : how many positions each way.
    within : ``"session"`` or ``"user"``: what makes a sequence.
    top : how many event names to keep; the others become ``"(other)"``.
    entered : (start, end), end excluded: only sequences that begin in it, each whole; naive times
        are UTC.
    min_cell : where sequences of fewer people than this have the start (or the event), nothing is
        shown.

    Returns
    -------
    StepMatrixResult

    Raises
    ------
    UsageError
        If an event is unknown or an argument is not allowed.
    DataError
        If the log is empty.

    Notes
    -----
    The step matrix of click-stream analysis: ``rate = k / n`` with n the sequences that have the
    start (or the event), the same at every position; Wilson's interval. Events of one instant are
    in the order in which they arrived; a warning says how many sequences hang on that.

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
    check_arguments(log, "step_matrix", within, steps=steps, top=top, min_cell=min_cell)
    log = entered_in(log, "step_matrix", within, entered)
    named = [event for event in dict.fromkeys((start, to)) if event]
    for name in named:
        checks.event_name("step_matrix", log, name)
    groups = event_groups(log, top, named)
    unit = unit_word(within)
    caveats = [DEPENDENT] if within == SESSION else []
    tables, tied = [], {}
    for back, anchor in ((False, start), (True, to)):
        if back and anchor is None:
            continue
        own, sizes = _positions_table(log, groups, within, anchor, steps, back=back)
        anchored, people, hanging = sizes
        if small(people, min_cell):
            own[["k", "n", "rate", "low", "high"]] = np.nan
            where = f"have {anchor}" if anchor else "are there"
            caveats.append(f"Hidden: fewer than {min_cell} people {where}.")
        else:
            caveats += tied_note(hanging, anchored, f"{unit} with {anchor}" if anchor else unit)
        tied["to" if back else "from"] = tied_share(hanging, anchored)
        tables.append(own)
    table = pd.concat(tables, ignore_index=True)
    return StepMatrixResult(
        table=table,
        parameters={
            "start": start,
            "to": to,
            "steps": steps,
            "within": within,
            "top": top,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
            "tied": tied,
        },
        warnings=(*caveats, *look_ahead_warnings(log)),
        within=within,
        anchors=(start or "", to),
    )


def _positions_table(
    log: EventLog, groups: EventGroups, within: str, event: str | None, steps: int, *, back: bool
) -> tuple[pd.DataFrame, tuple[int, int, int]]:
    """The rows of one direction, counted from an event (None: from the beginning).

    Also how many sequences have it, of how many people, and how many of the sequences hang on the
    order of arrival.
    """
    anchor = -1 if event is None else groups.code(event)
    size = len(groups.names)
    parts = map_sequences(
        log,
        groups,
        within,
        lambda own: kernels.positions(
            own.codes, own.starts, own.users, own.mixed(), size, anchor, steps, back
        ),
    )
    counts = np.sum([cells for cells, *_ in parts], axis=0)
    anchored, people, tied = (int(sum(part[i] for part in parts)) for i in (1, 2, 3))
    position, code = np.nonzero(counts)
    names = np.array([*groups.names, NOT_YET if back else END], object)
    table = shares(counts[position, code], anchored)
    table.insert(0, "direction", "to" if back else "from")
    table.insert(1, "position", -position if back else position)
    table.insert(2, "event", names[code])
    table = table.astype({"direction": "str", "event": "str", "k": float, "n": float})
    order = ["position", "k", "event"]
    table = table.sort_values(order, ascending=[True, False, True], ignore_index=True)
    return table, (anchored, people, tied)
