"""Which ways do people take, from an event on or up to one, and how often does it end well?

A path is what a line of events goes through, runs of one event made one. With `start` paths run
forward from it; with only `to` they are the last events before it. A way that many take is not a
good way: so each path says how many lines went through it in all, and how many of those then came
to `to`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result
from analysis.core.schema import SESSION, UsageError
from analysis.core.wording import count, percent, share
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.journeys import kernels as passes
from analysis.journeys.figures import path_bars
from analysis.journeys.sequences import (
    DEPENDENT,
    START,
    Entered,
    Groups,
    Lines,
    begun,
    check,
    grouped,
    over_lines,
    told,
    unit_word,
)
from analysis.statistics.rates import wilson

ARROW: Final = " → "


_ROOM: Final = 2**62


class Asked(NamedTuple):
    """Which paths: groups of the start and the end (−1: none), how long, which way."""

    start: int
    to: int
    length: int
    forward: bool
    collapse: bool


@dataclass(frozen=True, eq=False, kw_only=True)
class PathsResult(Result):
    """The answer of `paths`.

    ``table`` has a row per path, most common first: ``path`` in words, ``events`` (a tuple; a
    path back from an event that reaches the line's beginning starts with ``(start)``); ``count``
    lines of ``lines`` took just it, with ``share, share_low, share_high``. ``n`` lines went
    through it before they came to `to`, if ever; ``k`` of them came to it later: ``rate, low,
    high`` (NaN without `to`).
    """

    within: str
    ends: tuple[str | None, str | None]

    def sentence(self) -> str:
        """The most common path, and how often those who went through it converted."""
        if not len(self.table):
            return "No path was taken by enough people to tell."
        top = self.table.iloc[0]
        who = unit_word(self.within)
        start, to = self.ends
        where = f"from {start}" if start else f"to {to}" if to else f"of {who}"
        said = (
            f"The most common path {where} is {top['path']}: "
            f"{share(top['count'], top['lines'], top['share'])} of the {who} looked at "
            f"(95% interval {percent(top['share_low'])} to {percent(top['share_high'])})."
        )
        if to is None or np.isnan(top["k"]):
            return said
        return (
            f"{said} Of the {count(top['n'])} that went through it, "
            f"{share(top['k'], top['n'], top['rate'])} came to {to} later "
            f"(95% interval {percent(top['low'])} to {percent(top['high'])})."
        )

    def figure(self) -> Any:
        """The paths as bars, with how often they were taken and how they ended."""
        return path_bars(self.table, to=self.ends[1])


def paths(
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
    to : the event that ends a path and is not part of it: each line's first, after the start.
    start : the event that begins a path: each line's first. Without both, a line's first event.
    length : at most so many events, the start among them.
    collapse : make runs of one event one.
    top : how many paths to tell.
    within : ``"session"`` or ``"user"``: what makes a line.
    entered : (start, end), end excluded: only lines that begin in it, each whole; naive times
        are UTC.
    min_cell : paths of fewer people than this are left out.

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
    Forward, a line goes through a path where it begins with it; backward, where the events of the
    path follow each other anywhere before `to`. Wilson's intervals.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "ann", "bob"], "event": ["visit", "visit", "buy", "visit"],
    ...     "time": pd.to_datetime(["2026-01-01"] * 4)}))
    >>> paths(log, to="buy", min_cell=1).table[["path", "count", "k", "n", "rate"]]
                  path  count    k  n  rate
    0  (start) → visit      1  1.0  2   0.5
    """
    check(log, "paths", within, length=length, top=top, min_cell=min_cell)
    log = begun(log, "paths", within, entered)
    for event in (start, to):
        if event is not None:
            checks.event_name("paths", log, event)
    groups = grouped(log, len(log.event_names))
    _check_length(length, len(groups.names))
    asked = Asked(
        -1 if start is None else groups.code(start),
        -1 if to is None else groups.code(to),
        length,
        start is not None or to is None,
        collapse,
    )
    table, few = _table(log, groups, within, asked, (top, min_cell))
    came = ((table["k"] > 0) & (table["k"] < min_cell)).to_numpy()
    table.loc[came, ["k", "rate", "low", "high"]] = np.nan
    said = [DEPENDENT] if within == SESSION else []
    if few:
        said.append(f"Left out, of fewer than {min_cell} people each: {count(few)} paths.")
    if came.any():
        many = f"{count(int(came.sum()))} of {count(len(table))} paths"
        said.append(f"Hidden, where fewer than {min_cell} came to {to}: how many; {many}.")
    return PathsResult(
        table=table,
        parameters={
            "to": to,
            "start": start,
            "length": length,
            "collapse": collapse,
            "top": top,
            "within": within,
            "entered": told(entered),
            "min_cell": min_cell,
        },
        warnings=(*said, *look_ahead_warnings(log)),
        within=within,
        ends=(start, to),
    )


def _check_length(length: int, names: int) -> None:
    most = int(np.log(_ROOM) / np.log(names + 2))
    if length > most:
        raise UsageError(
            f"paths: length={length} is too long for {names} event names. Allowed: up to {most}. "
            "Give a smaller length, or narrow the log first: log.where(event=[...])."
        )


def _table(
    log: EventLog, groups: Groups, within: str, asked: Asked, limits: tuple[int, int]
) -> tuple[pd.DataFrame, int]:
    """The table, and how many paths were left out for being of few people."""
    top, min_cell = limits
    found = pd.concat(over_lines(log, groups, within, partial(_taken, groups, asked)))
    found = found.groupby(level=0, sort=True).sum()
    lines = int(found["count"].sum())
    kept = found[found["users"] >= min_cell].sort_values("count", ascending=False, kind="stable")
    kept = kept.head(top)
    wanted = np.sort(kept.index.to_numpy(np.int64))
    parts = over_lines(log, groups, within, partial(_through, groups, asked, wanted))
    ends = pd.DataFrame(np.sum(parts, axis=0), index=wanted, columns=["n", "k"])
    ends = ends.loc[kept.index]
    counts = kept["count"].to_numpy()
    events = [_events(int(key), groups.names) for key in kept.index]
    known = asked.to >= 0
    k, n = ends["k"].to_numpy(), ends["n"].to_numpy()
    low, high = wilson(k, n)
    share_low, share_high = wilson(counts, np.full(len(counts), lines))
    table = pd.DataFrame(
        {
            "path": pd.array([ARROW.join(own) or START for own in events], dtype="str"),
            "events": events,
            "count": counts,
            "lines": lines,
            "share": counts / max(lines, 1),
            "share_low": share_low,
            "share_high": share_high,
            "k": k.astype(float) if known else np.nan,
            "n": n,
            "rate": k / np.maximum(n, 1) if known else np.nan,
            "low": low if known else np.nan,
            "high": high if known else np.nan,
        }
    )
    return table, int((found["users"] < min_cell).sum())


def _codes(lines: Lines, collapse: bool) -> tuple[np.ndarray, np.ndarray]:
    if not collapse:
        return lines.codes, lines.starts
    kept, starts = passes.collapsed(lines.codes, lines.starts)
    return lines.codes[kept], starts


def _taken(groups: Groups, asked: Asked, lines: Lines) -> pd.DataFrame:
    """Lines and people by path, of one shard; people are in one shard only, so both add."""
    codes, starts = _codes(lines, asked.collapse)
    keys = passes.whole(
        codes, starts, len(groups.names), asked.start, asked.to, asked.length, asked.forward
    )
    own = pd.DataFrame({"key": keys, "user": lines.users})[keys >= 0]
    by_path = own.groupby("key")["user"]
    return pd.DataFrame({"count": by_path.size(), "users": by_path.nunique()}, dtype=np.int64)


def _through(groups: Groups, asked: Asked, wanted: np.ndarray, lines: Lines) -> np.ndarray:
    codes, starts = _codes(lines, asked.collapse)
    return passes.through(
        codes,
        starts,
        len(groups.names),
        asked.start,
        asked.to,
        asked.length,
        asked.forward,
        wanted,
    )


def _events(key: int, names: tuple[str, ...]) -> tuple[str, ...]:
    """The events of a key, the first digit first."""
    base, events = len(names) + 2, []
    while key:
        key, digit = divmod(key, base)
        events.append(START if digit == len(names) + 1 else names[digit - 1])
    return tuple(reversed(events))
