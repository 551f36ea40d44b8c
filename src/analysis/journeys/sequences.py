"""Which rows of a log make a sequence, and under which names do they show?

A sequence is everything that one unit did, in order: the rows of a session, or those of a user.
Rows of one instant stay in the order in which they arrived, and an answer that hangs on that says
how often (`tied_note`). Rows without a session are in no sequence of sessions. Events beyond the
most frequent ones share the name ``(other)``, so that a log of three hundred event names still fits
on a page.

Every question about journeys takes the same steps: it checks what was asked (`check_arguments`),
keeps the sequences that begin in a range (`entered_in`), names the events (`event_groups`), and
counts in the sequences of each shard (`map_sequences`).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple, TypeVar

import numpy as np

from analysis.core import checks
from analysis.core.schema import OTHER, SESSION, USER, DataError, one_of
from analysis.core.wording import share
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn
from analysis.journeys import kernels

Summary = TypeVar("Summary")

Entered = tuple[Any, Any] | None
"""When sequences must begin: (start, end), end excluded; None: at any time."""

WITHIN: Final = (SESSION, USER)

START, END, NOT_YET = "(start)", "(end)", "(not yet)"

DEPENDENT: Final = (
    "Several sessions may be of one person and are counted as independent: where few people make "
    "many of them, the intervals are too narrow. Ask within='user' to see."
)


class EventGroups(NamedTuple):
    """Events under the names that are shown: `lut` from event code to name, −1 leaves out."""

    lut: np.ndarray
    names: tuple[str, ...]

    def code(self, event: str) -> int:
        """The group of an event that has its own name."""
        return self.names.index(event)


class Sequences(NamedTuple):
    """The sequences of one shard: group and instant of each row, starts, and each one's user."""

    codes: np.ndarray
    times: np.ndarray
    starts: np.ndarray
    users: np.ndarray

    def mixed(self) -> np.ndarray:
        """Which rows share their instant with a row of another group of their sequence?"""
        return kernels.mixed(self.codes, self.times, self.starts)

    @property
    def people(self) -> int:
        """How many people they are of; those of one are behind one another."""
        return int(np.count_nonzero(np.diff(self.users))) + (len(self.users) > 0)

    @property
    def number(self) -> int:
        """How many sequences there are."""
        return len(self.starts) - 1


def check_arguments(log: EventLog, what: str, within: str, **numbers: int) -> None:
    """Raise if the log is empty, `within` is unknown, or a number is not a whole one from 1."""
    one_of(f"{what}: within", within, WITHIN)
    for name, number in numbers.items():
        checks.whole(f"{what}: {name}", number, least=1)
    if not len(log.shards) or not log.event_names:
        raise DataError(f"{what}: the log is empty. Import events first: workbook import FILE.")


def entered_in(log: EventLog, what: str, within: str, entered: Entered) -> EventLog:
    """The log until its end, with only the sequences that begin in a range, each of them whole.

    A sequence belongs to the period in which it began. Cut at the period's end, it would look as if
    people had left there.
    """
    log = log.until_end()
    if entered is None:
        return log
    low, high = checks.entry_range(what, entered)
    hidden = len(log.event_names)
    lut = np.append(np.zeros(hidden, np.int64), -1)

    def view(shard: Shard) -> Shard:
        codes, _ = session_codes(shard, within)
        rows, starts, _ = kernels.sequences(shard.event, codes, shard.offsets, lut)
        first = shard.time[rows[starts[:-1]]]
        kept = np.repeat((first >= low) & (first < high), np.diff(starts))
        event = np.full_like(shard.event, hidden)
        event[rows[kept]] = shard.event[rows[kept]]
        return dataclasses.replace(shard, event=event)

    shards = tuple(parallel.map_shards(log.shards, view))
    return dataclasses.replace(log, shards=shards, filtered=True)


def entered_as_text(entered: Entered) -> list[str | None] | None:
    """The range as plain data, for the parameters of a result."""
    return None if entered is None else [None if end is None else str(end) for end in entered]


def event_groups(log: EventLog, top: int, keep: Sequence[str] = ()) -> EventGroups:
    """The `top` most frequent events under their own names, `keep` among them; the rest as one."""
    names = log.event_names
    lut = np.full(len(names) + 1, -1, np.int64)
    if len(names) <= top:
        lut[:-1] = np.arange(len(names))
        return EventGroups(lut, names)
    frequent = [name for name in log.summary()["event"] if name not in keep]
    own = tuple(sorted([*keep, *frequent[: max(top - len(keep), 0)]]))
    for code, name in enumerate(names):
        lut[code] = own.index(name) if name in own else len(own)
    return EventGroups(lut, (*own, OTHER) if len(own) < len(names) else own)


def map_sequences(
    log: EventLog, groups: EventGroups, within: str, run: Callable[[Sequences], Summary]
) -> list[Summary]:
    """Call `run` on the sequences of every shard, in threads."""

    def run_shard(shard: Shard) -> Summary:
        codes, _ = session_codes(shard, within)
        rows, starts, users = kernels.sequences(shard.event, codes, shard.offsets, groups.lut)
        groups_of_rows = groups.lut[shard.event[rows]]
        return run(Sequences(groups_of_rows, shard.time[rows], starts, users))

    return parallel.map_shards(log.shards, run_shard)


def session_codes(shard: Shard, within: str) -> tuple[np.ndarray, int]:
    """Each row's session and how many sessions there are; empty and 0 within users."""
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)
    if within == USER:
        return column.codes[:0], 0
    return column.codes, len(column.values)


def tied_share(tied: float, n: float) -> float:
    """The share that the order of rows of one instant decides; 0 of none."""
    return float(tied / n) if n else 0.0


def tied_note(tied: int, n: int, what: str) -> list[str]:
    """The caveat of an answer that hangs on the order of rows of one instant; none if none does.

    Examples
    --------
    >>> tied_note(12, 400, "departures")
    ['3.0% (12 of 400) of the departures depend on the order of events of one instant: the order \
in which these arrived is taken.']
    """
    if not tied:
        return []
    return [
        f"{share(tied, n, tied / n)} of the {what} depend on the order of events of one instant: "
        "the order in which these arrived is taken."
    ]


def unit_word(within: str) -> str:
    """The plural of the unit in sentences: sessions, or users."""
    return f"{within}s"
