"""Who are they? People picked by what they did, at an instant that is always said.

A segment is a rule asked of a log at an instant. Only what happened strictly before the instant
counts, and only people seen before it can be in, turned-round rules included: who came later is
unknown then, and "has not bought" would quietly mean "will not buy". The instant travels with the
answer, and whatever compares people by it must begin no earlier (`Segment.must_precede`).

What this module refuses to do: look past the instant, or past what the log covers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.eventlog import engine, people
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.schema import UsageError, instant_us, one_of, timestamp
from analysis.segment_checks import check_rule
from analysis.segment_form import as_rule, as_table
from analysis.segment_people import Look, keeps, there
from analysis.segment_rules import Rule
from analysis.segment_terms import (
    abandoned,
    did,
    first,
    frequency,
    is_in,
    last,
    recency,
    sequence,
    tenure,
    value,
)
from analysis.segment_words import in_words
from analysis.stats import wilson
from analysis.wording import percent, share

__all__ = [
    "Segment",
    "abandoned",
    "as_rule",
    "as_table",
    "catalog_segments",
    "did",
    "first",
    "frequency",
    "is_in",
    "last",
    "recency",
    "segment",
    "sequence",
    "tenure",
    "value",
]


@dataclass(frozen=True, eq=False, repr=False, kw_only=True)
class Segment:
    """People of a log at an instant; made by `segment`, taken by `EventLog.in_segment`.

    Attributes
    ----------
    rule : what they have in common. at_us : the instant, in microseconds since 1970 UTC.
    by_shard : per shard of the log a boolean per user. seen_by_shard : who was there by then.
    name : what it is called, if anything.
    """

    rule: Rule
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
        return {"rule": as_table(self.rule), "at": self.at.isoformat()}

    def series(self) -> pd.Series:
        """A boolean per user, indexed by user: a mask that fits any view of the log."""
        return pd.Series(self.mask, index=self.log.user_ids, name=self.name or "segment")

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
        return (
            f"{called}{share(k, n, k / n)} of the users seen before {self.at:%Y-%m-%d %H:%M} UTC "
            f"(95% interval {percent(low)} to {percent(high)}): {in_words(self.rule)}."
        )

    def __repr__(self) -> str:
        return f"Segment({self.size:,} of {self.seen:,} users, at {self.at})"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(self.mask, dtype=dtype, copy=copy)


def segment(
    log: EventLog,
    rule: Rule | Mapping[str, Any] | str,
    *,
    at: Any = None,
    catalog: Catalog | None = None,
    name: str | None = None,
) -> Segment:
    """Who keeps a rule, as of an instant?

    Parameters
    ----------
    rule : a rule, its table (``{"did": "purchase"}``), or with `catalog` the name of one there.
    at : only events strictly before this instant count, and only people seen before it are in;
        naive times are UTC; default: the end of what the log covers.
    name : what to call it; default: the name in the catalog.

    Returns
    -------
    Segment
        ``mask`` (a boolean per user in the order of ``log.user_ids``), ``at``, ``rule``, ``size``,
        ``sentence()``; ``log.in_segment`` takes it.

    Raises
    ------
    UsageError
        If the rule names an event or property that the log does not have, or `at` lies beyond
        what the log covers.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["cart", "purchase", "cart"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-03", "2026-01-02"])}))
    >>> left = segment(log, did("cart") & ~did("purchase"))
    >>> left.mask.tolist(), left.size, list(log.in_segment(left).user_ids)
    ([False, True], 1, ['bob'])
    >>> segment(log, did("cart") & ~did("purchase"), at="2026-01-02").mask.tolist()
    [True, False]
    """
    if isinstance(rule, str):
        known = catalog_segments(catalog) if catalog is not None else {}
        if not known:
            raise UsageError(
                f"segment: rule={rule!r} is a name, and no catalog with segments is given. "
                "Allowed: did(...), a table, or a name with catalog=..."
            )
        name, rule = name or rule, known[one_of("segment: rule", rule, known)]
    asked = as_rule(rule)
    check_rule(log, asked)
    instant = log.covers_until_us if at is None else instant_us(at, "segment: at")
    if instant > log.covers_until_us:
        raise UsageError(
            f"segment: at={at!r} is after what the log covers (until {log.covers_until}). "
            "Give an earlier instant, or import what came since."
        )

    def who(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        look = Look(shard, log.event_names, instant, shard.masks)
        seen = there(look)
        return keeps(look.at_users(seen), asked) & seen, seen

    parts = engine.over(log.shards, who)
    return Segment(
        rule=asked,
        at_us=instant,
        by_shard=tuple(own for own, _ in parts),
        seen_by_shard=tuple(seen for _, seen in parts),
        log=log,
        name=name,
    )


def catalog_segments(catalog: Catalog) -> dict[str, Rule]:
    """The rules of a catalog, by name.

    Raises
    ------
    UsageError
        If one of them is no rule.

    Examples
    --------
    >>> shop = Catalog.load("data/catalogs/ecommerce.toml")
    >>> catalog_segments(shop)["subscribers"] == did("newsletter_sign_up")
    True
    """
    return {
        name: as_rule(entry["rule"], f"catalog {catalog.name!r}: segments.{name}.rule")
        for name, entry in catalog.segments.items()
    }
