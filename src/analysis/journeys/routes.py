"""Which ways do people take, from an event on or up to one, and how often do they end in it?

A path is what a sequence goes through, runs of one event made one. With `start`, paths run forward
from it; with only `to`, they are the last events before it. This file refuses to call a path good
because many take it: each path says how many sequences went through it in all, and how many of
those then came to `to`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, with_another
from analysis.core.schema import SESSION, UsageError
from analysis.core.wording import count, isolate, percent, share
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.journeys import kernels
from analysis.journeys.figures import path_bars
from analysis.journeys.sequences import (
    DEPENDENT,
    START,
    Entered,
    EventGroups,
    Sequences,
    check_arguments,
    entered_as_text,
    entered_in,
    event_groups,
    map_sequences,
    tied_note,
    tied_share,
    unit_word,
)
from analysis.statistics.rates import ratio, wilson

ARROW: Final = " → "

_MOST_KEYS: Final = 2**62
"""Paths are numbers of 64 bits; see `kernels`."""


@dataclass(frozen=True, eq=False, kw_only=True)
class PathsResult(Result):
    """The answer of `paths`.

    ``table`` has a row per path, most common first: ``path`` in words, ``events`` (a tuple; a
    path back from an event that reaches the sequence's beginning starts with ``(start)``);
    ``count`` sequences of ``lines`` took exactly it, with ``share, share_low, share_high``. ``n``
    sequences went through it before they came to `to`, if ever; ``k`` of them came to it later:
    ``rate, low, high`` (NaN without `to`). ``parameters["tied"]`` is the share of sequences whose
    paths hang on the order of arrival.
    """

    within: str
    ends: tuple[str | None, str | None]

    def sentence(self) -> str:
        """The most common path, and how often those who went through it converted."""
        if not len(self.table):
            return "No path to show: too few people took any one of them."
        top = self.table.iloc[0]
        units = unit_word(self.within)
        start, to = self.ends
        where = f"from {isolate(start)}" if start else f"to {isolate(to)}" if to else f"of {units}"
        path = " → ".join(map(isolate, top["path"].split(" → ")))
        taken = (
            f"The most common path {where} is {path}: "
            f"{share(top['count'], top['lines'], top['share'])} of the {units} looked at "
            f"(95% interval {percent(top['share_low'])} to {percent(top['share_high'])})."
        )
        if to is None:
            return taken
        return (
            f"{taken} Of the {count(top['n'])} that went through it, "
            f"{share(top['k'], top['n'], top['rate'])} came to {isolate(to)} later "
            f"(95% interval {percent(top['low'])} to {percent(top['high'])})."
        )

    def figure(self) -> Any:
        """The paths as bars, with how often they were taken and how they ended."""
        return path_bars(self.table, to=self.ends[1])


def paths(  # noqa: PLR0913
    log: EventLog,
    *,
    to: str | None = None,
    start: str | None = None,
    length: int = 5,
    collapse: bool = True,
    top: int = 20,
    within: str = SESSION,
    entered: Entered = None,
    min_cell: int = 5,
) -> PathsResult:
    """What are the most common ways to an event, or from one, and do they end in it?

    Parameters
    ----------
    to : the event that ends a path and is not part of it: each sequence's first, after the start.
    start : the event that begins a path: each sequence's first. Without both, a path begins with
        the sequence's first event.
    length : at most so many events, the start among them.
    collapse : make runs of one event one.
    top : how many paths to show.
    within : ``"session"`` or ``"user"``: what makes a sequence.
    entered : (start, end), end excluded: only sequences that begin in it, each whole; naive times
        are UTC.
    min_cell : paths of fewer people than this are left out; never one alone, which could be worked
        out from the others.

    Returns
    -------
    PathsResult

    Raises
    ------
    UsageError
        If an event is unknown, or the paths are too long for so many event names.
    DataError
        If the log is empty.

    Notes
    -----
    Forward, a sequence goes through a path if it begins with it; backward, if the events of the
    path follow each other anywhere before `to`. Wilson's intervals. Events of one instant follow
    each other in the order in which they arrived; a warning says how many sequences hang on that.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "ann", "bob"], "event": ["visit", "visit", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 4)}))
    >>> paths(log, to="buy", min_cell=1).table[["path", "count", "k", "n", "rate"]]
                  path  count    k  n  rate
    0  (start) → visit      1  1.0  2   0.5
    """
    check_arguments(log, "paths", within, length=length, top=top, min_cell=min_cell)
    log = entered_in(log, "paths", within, entered)
    for event in (start, to):
        if event is not None:
            checks.event_name("paths", log, event)
    groups = event_groups(log, len(log.event_names))
    _check_length(length, len(groups.names))
    spec = _PathSpec(
        -1 if start is None else groups.code(start),
        -1 if to is None else groups.code(to),
        length,
        start is not None or to is None,
        collapse,
    )
    taken, looked_at, tied = _taken(log, groups, within, spec)
    few = (taken["users"] < min_cell).to_numpy()
    enough = ~with_another(few, taken["count"].to_numpy())
    left_out = int((~enough).sum())
    most = taken[enough].sort_values("count", ascending=False, kind="stable").head(top)
    table = _table(log, groups, within, spec, most["count"], int(taken["count"].sum()))
    caveats = [DEPENDENT] if within == SESSION else []
    caveats += tied_note(tied, looked_at, unit_word(within))
    if left_out:
        caveats.append(
            f"Left out: {count(left_out)} paths, as fewer than {min_cell} people took "
            f"{'each of them' if few.sum() > 1 else 'one of them'}."
        )
    return PathsResult(
        table=table,
        parameters={
            "to": to,
            "start": start,
            "length": length,
            "collapse": collapse,
            "top": top,
            "within": within,
            "entered": entered_as_text(entered),
            "min_cell": min_cell,
            "tied": tied_share(tied, looked_at),
        },
        warnings=(*caveats, *look_ahead_warnings(log)),
        within=within,
        ends=(start, to),
    )


def _check_length(length: int, names: int) -> None:
    most = int(np.log(_MOST_KEYS) / np.log(names + 2))
    if length > most:
        raise UsageError(
            f"paths: length={length} is too long for {names} event names. Allowed: up to {most}. "
            "Give a smaller length, or narrow the log first: log.where(event=[...])."
        )


class _PathSpec(NamedTuple):
    """Which paths: groups of the start and the end (−1: none), how long, which way."""

    start: int
    to: int
    length: int
    forward: bool
    collapse: bool

    def collapsed(self, own: Sequences) -> tuple[np.ndarray, np.ndarray, np.ndarray | slice]:
        """The groups of the rows, the starts of the sequences, and which rows they are.

        These are all rows, or the first row of each run where runs are made one.
        """
        if not self.collapse:
            return own.codes, own.starts, slice(None)
        kept, starts = kernels.collapsed(own.codes, own.starts)
        return own.codes[kept], starts, kept


def _taken(
    log: EventLog, groups: EventGroups, within: str, spec: _PathSpec
) -> tuple[pd.DataFrame, int, int]:
    """How many sequences and people took each path; the index is the path as a number.

    Also how many sequences were looked at, and how many of them hang on the order of arrival.
    """

    def taken(own: Sequences) -> tuple[pd.DataFrame, int, int]:
        codes, starts, kept = spec.collapsed(own)
        asked = (len(groups.names), spec.start, spec.to, spec.length, spec.forward)
        # A run that begins in a mixed instant is marked by its first row: where such an instant
        # matters it begins a run.
        key, looked_at, tied = kernels.path_keys(codes, starts, own.mixed()[kept], *asked)
        users = pd.DataFrame({"key": key, "user": own.users})[key >= 0].groupby("key")["user"]
        counts = pd.DataFrame({"count": users.size(), "users": users.nunique()}, dtype=np.int64)
        return counts, looked_at, tied

    parts = map_sequences(log, groups, within, taken)
    # All rows of a person are in one shard, so people add up like sequences.
    counts = pd.concat([part[0] for part in parts]).groupby(level=0, sort=True).sum()
    return counts, sum(part[1] for part in parts), sum(part[2] for part in parts)


def _table(
    log: EventLog,
    groups: EventGroups,
    within: str,
    spec: _PathSpec,
    taken: pd.Series,
    sequences: int,
) -> pd.DataFrame:
    """A row per path of `taken`, which counts the sequences, of so many, that took it."""
    wanted = np.sort(taken.index.to_numpy(np.int64))

    def through(own: Sequences) -> np.ndarray:
        codes, starts, _ = spec.collapsed(own)
        size = len(groups.names)
        return kernels.path_counts(
            codes, starts, size, spec.start, spec.to, spec.length, spec.forward, wanted
        )

    counts = np.sum(map_sequences(log, groups, within, through), axis=0)
    n, k = counts[np.searchsorted(wanted, taken.index.to_numpy(np.int64))].T
    low, high = wilson(k, n)
    took = taken.to_numpy()
    share_low, share_high = wilson(took, np.full(len(took), sequences))
    events = [_events(int(key), groups.names) for key in taken.index]
    table = pd.DataFrame(
        {
            "path": pd.array([ARROW.join(own) or START for own in events], dtype="str"),
            "events": events,
            "count": took,
            "lines": sequences,
            "share": took / max(sequences, 1),
            "share_low": share_low,
            "share_high": share_high,
            "k": k.astype(float),
            "n": n,
            "rate": ratio(k, n),
            "low": low,
            "high": high,
        }
    )
    if spec.to < 0:
        table[["k", "rate", "low", "high"]] = np.nan
    return table


def _events(key: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """The events of a path that is a number, the first digit first."""
    base, events = len(names) + 2, []
    while key:
        key, digit = divmod(key, base)
        events.append(START if digit == len(names) + 1 else names[digit - 1])
    return tuple(reversed(events))
