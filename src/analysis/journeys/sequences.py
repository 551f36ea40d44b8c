"""Journeys as every question about them reads them: which rows make a line, under which names.

A line is what one unit did, in order: a session's rows, or a user's. Rows of one instant stay in
the order in which they arrived. Events beyond the most frequent ones share the name ``(other)``,
so that a log of three hundred event names still fits on a page.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from analysis.core import checks
from analysis.core.schema import OTHER, SESSION, USER, DataError, UsageError, one_of
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.journeys import kernels as paths

Found = TypeVar("Found")


Entered = tuple[Any, Any] | None


WITHIN: Final = (SESSION, USER)


START, END, NOT_YET = "(start)", "(end)", "(not yet)"


DEPENDENT: Final = (
    "Several sessions may be of one person and are counted as independent: where few people make "
    "many of them, the intervals are too narrow. Ask within='user' to see."
)


class Groups(NamedTuple):
    """Events under the names that are shown: `lut` from event code to name, −1 leaves out."""

    lut: np.ndarray
    names: tuple[str, ...]

    def code(self, event: str) -> int:
        """The place of a name."""
        return self.names.index(event)


class Lines(NamedTuple):
    """The lines of one shard: names by row, instants, where lines start, and whose they are."""

    codes: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    users: np.ndarray


def check(log: EventLog, what: str, within: str, **numbers: int) -> None:
    """Raise where the log is empty or an argument cannot be meant.

    Raises
    ------
    UsageError, DataError
        If `within` is unknown, a number is no whole number from 1, or the log is empty.
    """
    one_of(f"{what}: within", within, WITHIN)
    for name, number in numbers.items():
        if not isinstance(number, int) or isinstance(number, bool) or number < 1:
            raise UsageError(f"{what}: {name}={number!r}. Allowed: a whole number from 1.")
    if not len(log.shards) or not log.event_names:
        raise DataError(f"{what}: the log is empty. Import events first: workbook import FILE.")


def grouped(log: EventLog, top: int, keep: Sequence[str] = ()) -> Groups:
    """The `top` most frequent events under their own names, `keep` among them; the rest as one."""
    names = log.event_names
    lut = np.full(len(names) + 1, -1, np.int64)
    if len(names) <= top:
        lut[:-1] = np.arange(len(names))
        return Groups(lut, names)
    frequent = [name for name in log.summary()["event"] if name not in keep]
    own = tuple(sorted([*keep, *frequent[: max(top - len(keep), 0)]]))
    for code, name in enumerate(names):
        lut[code] = own.index(name) if name in own else len(own)
    return Groups(lut, (*own, OTHER) if len(own) < len(names) else own)


def begun(log: EventLog, what: str, within: str, entered: Entered) -> EventLog:
    """The log with the lines that begin in a range, whole, and with no others.

    A line belongs to the period in which it began. Cut at the period's end it would look as if
    people had left there.

    Raises
    ------
    UsageError
        If `entered` is not a range.
    """
    if entered is None:
        return log
    low, high = checks.entry_range(what, entered)
    hidden = len(log.event_names)
    lut = np.append(np.zeros(hidden, np.int64), -1)

    def view(shard: Shard) -> Shard:
        codes, _ = session_codes(shard, within)
        rows, starts, _ = paths.lines(shard.event, codes, shard.offsets, lut)
        first = shard.time[rows[starts[:-1]]]
        kept = np.repeat((first >= low) & (first < high), np.diff(starts))
        event = np.full_like(shard.event, hidden)
        event[rows[kept]] = shard.event[rows[kept]]
        return dataclasses.replace(shard, event=event)

    shards = tuple(parallel.map_shards(log.shards, view))
    return dataclasses.replace(log, shards=shards, filtered=True)


def told(entered: Entered) -> list[str | None] | None:
    """The range as plain data, for an answer's parameters."""
    return None if entered is None else [None if end is None else str(end) for end in entered]


def session_codes(shard: Shard, within: str) -> tuple[np.ndarray, int]:
    """Codes of the sessions and how many values they have; none where users are the lines."""
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)
    if within == USER:
        return column.codes[:0], 0
    return column.codes, len(column.values)


def lines_of(shard: Shard, groups: Groups, within: str) -> Lines:
    """The lines of a shard."""
    codes, _ = session_codes(shard, within)
    rows, starts, users = paths.lines(shard.event, codes, shard.offsets, groups.lut)
    return Lines(groups.lut[shard.event[rows]], shard.time[rows], starts, users)


def over_lines(
    log: EventLog, groups: Groups, within: str, run: Callable[[Lines], Found]
) -> list[Found]:
    """`run` on the lines of every shard, in threads."""
    return parallel.map_shards(log.shards, lambda shard: run(lines_of(shard, groups, within)))


def unit_word(within: str) -> str:
    """What a line is called in a sentence."""
    return f"{within}s"
