"""People of a log at an instant: the mask, and what must never be forgotten about it.

The instant travels with the mask. Whoever compares people by what comes after asks
`Segment.must_precede` first, so a rule cannot quietly look into the future of what it is compared
with.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.schema import UsageError, instant_us, timestamp
from analysis.core.wording import percent, share
from analysis.eventlog import filters as people
from analysis.eventlog import parallel as engine
from analysis.eventlog.hindsight import must_know
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments.evaluate import Look, there
from analysis.segments.segment_rules import Rule
from analysis.segments.segment_words import in_words
from analysis.segments.written import as_table
from analysis.statistics.stats import wilson


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Segment:
    """People of a log at an instant; made by `segment`, taken by `EventLog.in_segment`.

    Attributes
    ----------
    rule : what they have in common; None for people picked otherwise.
    at_us : the instant, in microseconds since 1970 UTC.
    by_shard : per shard of the log a boolean per user. seen_by_shard : who was there by then.
    name : what it is called, if anything.
    """

    rule: Rule | None
    at_us: int
    by_shard: tuple[np.ndarray, ...]
    seen_by_shard: tuple[np.ndarray, ...]
    log: EventLog = field(repr=False)
    name: str | None = None
    warnings: tuple[str, ...] = ()

    @property
    def at(self) -> pd.Timestamp:
        """The instant (UTC) the rule was asked at; events from then on do not count."""
        return timestamp(self.at_us)

    @property
    def size(self) -> int:
        """How many people are in it."""
        return sum(int(own.sum()) for own in self.by_shard)

    @property
    def seen(self) -> int:
        """How many people the log had seen by then: those who could be in it."""
        return sum(int(own.sum()) for own in self.seen_by_shard)

    @cached_property
    def mask(self) -> np.ndarray:
        """A boolean per user, in the order of ``log.user_ids``; it cannot be written to."""
        found = people.in_order(self.log.shards, len(self.log.event_names), self.by_shard)
        found.setflags(write=False)
        return found

    @cached_property
    def user_ids(self) -> pd.Index:
        """Ids of the people in it, in ascending order of their bytes."""
        return self.log.user_ids[self.mask]

    @property
    def users_by_shard(self) -> tuple[Any, ...]:
        """Ids of the users that the masks are about, as the log's shards hold them."""
        return tuple(shard.users for shard in self.log.shards)

    @property
    def parameters(self) -> dict[str, Any]:
        """Rule and instant as plain data."""
        rule = None if self.rule is None else as_table(self.rule)
        return {"name": self.name, "rule": rule, "at": self.at.isoformat()}

    def series(self) -> pd.Series:
        """A boolean per user, indexed by user: a mask that fits any view of the log."""
        found = pd.Series(self.mask, index=self.log.user_ids, name=self.name or "segment")
        found.attrs["at_us"] = self.at_us
        return found

    def everybody(self) -> Segment:
        """All people the log had seen by then: those who could be in it."""
        return replace(self, rule=None, by_shard=self.seen_by_shard, name="everybody")

    def must_precede(self, start: Any, what: str) -> None:
        """Refuse to be compared with something that begins before the segment's instant.

        Parameters
        ----------
        start : an instant. what : what begins there, for the message.

        Raises
        ------
        UsageError
            If `start` is before `at`: the rule would have looked into its future.
        """
        if instant_us(start, what) < self.at_us:
            raise UsageError(
                f"{what} starts at {pd.Timestamp(start)}, before the segment's at={self.at}: the "
                "rule would look into its future. Ask segment(log, rule, at=...) for that instant "
                "or an earlier one."
            )

    def sentence(self) -> str:
        """How many of those seen by then are in it, with the interval, and what they did."""
        n, k = self.seen, self.size
        if not n:
            return f"Nobody was seen before {self.at:%Y-%m-%d %H:%M} UTC."
        low, high = (float(end) for end in wilson(k, n))
        called = f"“{self.name}”: " if self.name else ""
        words = "" if self.rule is None else f": {in_words(self.rule)}"
        return (
            f"{called}{share(k, n, k / n)} of the users seen before {self.at:%Y-%m-%d %H:%M} UTC "
            f"(95% interval {percent(low)} to {percent(high)}){words}."
        )

    def __repr__(self) -> str:
        called = f"{self.name!r}, " if self.name else ""
        return f"Segment({called}{self.size:,} of {self.seen:,} users, at {self.at})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.mask, dtype=dtype, copy=copy)


def as_segment(given: Any, what: str) -> Segment:
    """`given` if it is a segment.

    Raises
    ------
    UsageError
        If it is a mask or a rule, which say no instant.
    """
    if not isinstance(given, Segment):
        raise UsageError(
            f"{what}: {type(given).__name__} is no segment. Allowed: segment(log, rule, at=...), "
            "or picked(log, mask, at=...) for people picked otherwise."
        )
    return given


def picked(log: EventLog, mask: Any, *, at: Any, name: str | None = None) -> Segment:
    """People picked by other means than a rule, as a segment.

    Parameters
    ----------
    mask : as `EventLog.in_segment` takes it. at : from when on it was known who they are; whatever
        is compared by them must begin no earlier. Naive times are UTC.

    Raises
    ------
    UsageError
        If the mask does not fit the log, or `at` lies beyond what the log covers.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2), "event": "visit"}))
    >>> picked(log, [True, False], at="2026-01-02", name="panel")
    Segment('panel', 1 of 2 users, at 2026-01-02 00:00:00+00:00)
    """
    instant = instant_of(log, at)
    chosen = people.chosen(log.shards, len(log.event_names), mask)

    def seen_by(shard: Shard) -> np.ndarray:
        return there(Look(shard, log.event_names, instant, shard.masks))

    seen = tuple(engine.over(log.shards, seen_by))
    own = tuple(chose & here for chose, here in zip(chosen, seen, strict=True))
    return Segment(rule=None, at_us=instant, by_shard=own, seen_by_shard=seen, log=log, name=name)


def instant_of(log: EventLog, at: Any, what: str = "segment") -> int:
    """The instant asked about, in microseconds; by default the end of what the log covers."""
    instant = log.covers_until_us if at is None else instant_us(at, f"{what}: at")
    if instant > log.covers_until_us:
        raise UsageError(
            f"{what}: at={at!r} is after what the log covers (until {log.covers_until}). "
            "Give an earlier instant, or import what came since."
        )
    must_know(log, instant, what)
    return instant
