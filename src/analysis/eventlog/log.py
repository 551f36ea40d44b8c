"""The event log: who did what when, sorted by user, ready for passes.

A log is data and nothing else: it does not change, and it knows no question. `where` and
`between` give cheap views: a view has its own event codes, one byte a row, in which the rows it
does not show carry a code that no pass looks at; everything else is shared with the log it came
from.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.typing import NaTType

from analysis.core.schema import (
    EVENT,
    MONEY_SCALE,
    SESSION,
    TIME,
    USER,
    VALUE,
    UsageError,
    instant_us,
    timestamp,
)
from analysis.eventlog import build, parallel, store, units
from analysis.eventlog import filters as people
from analysis.eventlog import filters as predicates
from analysis.eventlog import kernels as counting
from analysis.eventlog.build import arrow_table, canonical_table
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn, content_sum
from analysis.eventlog.store import open_shards

# ──── eventlog.hindsight
#
# Were the people of a view picked by what happens in it? Then what picked them is no finding.
#
# A view of a segment's people remembers the instant its rule was asked at. Whoever looks at rows
# from before that instant looks at what the rule has seen: buyers have bought, whatever they are
# like. That is no error, it may be just what is wanted, but it must be said.


UNKNOWN = 2**62
"""The instant of a mask that says none."""


class Picked(Protocol):
    """What is asked of a log here."""

    @property
    def picked_at_us(self) -> int | None:
        """When it was known whom the view shows; None for everybody, `UNKNOWN` for a bare mask."""

    @property
    def start(self) -> Any:
        """The first instant shown."""


def picked_after(before: int | None, mask: Any) -> int:
    """When it was known whom a mask leaves of people who had been picked `before`.

    A bare mask says no instant; people picked twice are known when the last one was asked.

    Examples
    --------
    >>> picked_after(None, [True, False]) == UNKNOWN
    True
    """
    found = getattr(mask, "at_us", None)
    found = getattr(mask, "attrs", {}).get("at_us") if found is None else found
    instant = UNKNOWN if found is None else int(found)
    return instant if before is None else max(before, instant)


def look_ahead_warnings(log: Picked, since: int | None = None) -> tuple[str, ...]:
    """What to say where a question looks at rows from before its people were picked.

    Parameters
    ----------
    since : the first instant that the question looks at, in microseconds; default: the first row.
    """
    picked = log.picked_at_us
    if picked is None:
        return ()
    if picked == UNKNOWN:
        return (
            "The people shown were picked by a mask that says no instant: whatever picked them "
            "differs by construction. picked(log, mask, at=...) says when it was known.",
        )
    shown = log.start
    if shown is pd.NaT or max(instant_us(shown), -UNKNOWN if since is None else since) >= picked:
        return ()
    return (
        f"The people shown were picked by what they did before {timestamp(picked):%Y-%m-%d %H:%M} "
        "UTC, and this looks at that time too: whatever picked them differs by construction. Look "
        "from then on, or pick them at an earlier instant.",
    )


def must_know(log: Picked, instant: int, what: str) -> None:
    """Refuse a question as of an instant at which nobody knew yet whom the view shows.

    Raises
    ------
    UsageError
        If the people were picked later: the answer would look into its future.
    """
    picked = log.picked_at_us
    if picked is not None and picked != UNKNOWN and picked > instant:
        raise UsageError(
            f"{what} is as of {timestamp(instant)}, and the log shows people picked as of "
            f"{timestamp(picked)}: the answer would look into its future. Pick them at "
            f"{timestamp(instant)} or earlier, or ask as of a later instant."
        )


# ──── eventlog.counts
#
# How often, by how many, from when to when, for how much: the totals behind a log's summary.


def per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Rows, users, first and last instant (microseconds) of each event name: int64 (names, 4).

    A name without a row has the largest int64 as its first instant and the smallest as its last.
    """

    def count(shard: Shard) -> np.ndarray:
        return counting.per_event(shard.time, shard.event, shard.offsets, names)

    total = np.zeros((names, 4), np.int64)
    total[:, 2], total[:, 3] = np.iinfo(np.int64).max, np.iinfo(np.int64).min
    for part in parallel.map_shards(shards, count):
        total[:, :2] += part[:, :2]
        total[:, 2] = np.minimum(total[:, 2], part[:, 2])
        total[:, 3] = np.maximum(total[:, 3], part[:, 3])
    return total


def users_and_sessions(shards: Sequence[Shard], names: int) -> tuple[int, int]:
    """Users with a shown row, and sessions: distinct pairs of user and session."""

    def count(shard: Shard) -> tuple[int, int]:
        column = shard.columns[SESSION]
        assert isinstance(column, TextColumn)
        return counting.users_and_sessions(shard.event, column.codes, shard.offsets, names)

    parts = parallel.map_shards(shards, count)
    return sum(users for users, _ in parts), sum(sessions for _, sessions in parts)


def money_per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Sum of the property ``value`` of each event name; adds in millionths, so it is exact.

    NaN where the values are too large to add (beyond 4.6 million millions) or infinite.
    """

    def add(shard: Shard) -> tuple[np.ndarray, np.ndarray]:
        column = shard.columns[VALUE]
        assert isinstance(column, NumberColumn)
        return counting.money_per_event(shard.event, column.numbers, names, MONEY_SCALE)

    total, sizes = np.zeros(names, np.int64), np.zeros(names)
    for own, size in parallel.map_shards(shards, add):
        total, sizes = total + own, sizes + size
    return np.where(sizes < 2.0**62, total / MONEY_SCALE, np.nan)


# ──── eventlog.rows
#
# The rows of shards as one table again, sorted by user and time.


def table_of(
    shards: Sequence[Shard], event_names: Sequence[str], kinds: Mapping[str, str]
) -> pa.Table:
    """The shown rows as a canonical table; `kinds` are the columns where there is no shard."""
    parts = parallel.map_shards(shards, partial(_shard_table, event_names=event_names))
    if not parts:
        return _empty(kinds)
    table = pa.concat_tables(parts, promote_options="default")
    # Within a shard users ascend already, and sorting by user is stable.
    return table.take(pc.sort_indices(table.column(USER))) if len(parts) > 1 else table


def _empty(kinds: Mapping[str, str]) -> pa.Table:
    cells: dict[str, Any] = {
        USER: pa.array([], pa.large_string()),
        TIME: pa.array([], pa.int64()),
        EVENT: pa.array([], pa.large_string()),
    }
    for name, of in kinds.items():
        cells[name] = pa.array([], pa.float64() if of == "number" else pa.large_string())
    return pa.table(cells)


def _shard_table(shard: Shard, *, event_names: Sequence[str]) -> pa.Table:
    rows = np.flatnonzero(shard.event < len(event_names))
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))[rows]
    names = pa.array(event_names, pa.large_string())
    cells: dict[str, Any] = {
        USER: shard.users.take(pa.array(user)),
        TIME: pa.array(shard.time[rows]),
        EVENT: names.take(pa.array(shard.event[rows].astype(np.int64))),
    }
    for name, column in shard.columns.items():
        if isinstance(column, NumberColumn):
            cells[name] = pa.array(column.numbers[rows])
        else:
            assert isinstance(column, TextColumn)
            codes = column.codes[rows].astype(np.int64)
            cells[name] = column.values.take(pa.array(codes, mask=codes < 0))
    return pa.table(cells)


# ──── eventlog.log


@dataclass(frozen=True, eq=False, repr=False)
class EventLog:
    """Events of users, sorted by user and time; made by `from_frame` or `open`.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-02"]),
    ...     "event": ["visit", "purchase", "visit"]}))
    >>> len(log), log.users
    (3, 2)
    """

    shards: tuple[Shard, ...]
    event_names: tuple[str, ...]
    covers_until_us: int
    kinds: Mapping[str, str]
    filtered: bool = False
    terms: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    picked_at_us: int | None = (
        None  # when it was known whom a view shows; see `look_ahead_warnings`
    )

    # ── making ──────────────────────────────────────────────────────────────────────────────

    @classmethod
    def from_frame(
        cls,
        frame: Any,
        user: str = USER,
        time: str = TIME,
        event: str = EVENT,
        session: str | None = None,
        *,
        covers_until: Any = None,
        shards: int | None = None,
    ) -> EventLog:
        """A log in memory from a pandas, polars or pyarrow table.

        Parameters
        ----------
        frame : one row per event. Columns that are not named become properties.
        user, time, event, session : names of the columns. Naive times are taken as UTC. Without
            a session column (named here or called ``session``), a pause of more than 30 minutes
            starts a session.
        covers_until : the instant up to which the log is complete; default: the end of the last
            event's UTC day.
        shards : how many parts to split the users into; no answer depends on it.

        Raises
        ------
        UsageError, DataError
            If a column is missing or of a type that cannot be read, or a cell of user, time or
            event is empty.
        """
        table = canonical_table(
            arrow_table(frame), user=user, time=time, event=event, session=session
        )
        names = sorted(pc.unique(table.column(EVENT)).to_pylist())
        count = build.default_shards(len(table)) if shards is None else shards
        # Without a row there is still a shard, which knows the columns.
        count = build.checked(count, "from_frame") if len(table) else 1
        built = list(build.build_shards(table, event_names=names, shards=count))
        until = instant_us(covers_until, "covers_until") if covers_until is not None else None
        if until is None:
            until = store.day_end(pc.max(table.column(TIME)).as_py()) if len(table) else 0
        return cls.from_shards(built, event_names=names, covers_until=until)

    @classmethod
    def from_shards(
        cls, shards: Sequence[Shard], *, event_names: Sequence[str], covers_until: int
    ) -> EventLog:
        """A log in memory from finished shards; `covers_until` in microseconds UTC."""
        kinds = store.kinds(shards[0]) if shards else {SESSION: "text"}
        return cls(tuple(shards), tuple(event_names), int(covers_until), kinds)

    @classmethod
    def open(cls, folder: Path | str) -> EventLog:
        """The log in a folder; its files are mapped, nothing is read yet.

        Raises
        ------
        DataError
            If there is no log in the folder, or it is damaged.
        """
        manifest, shards = open_shards(folder)
        log = cls(
            tuple(shards),
            tuple(manifest.event_names),
            manifest.covers_until,
            manifest.properties,
            terms=manifest.terms,
        )
        log.__dict__["fingerprint"] = manifest.fingerprint
        log.__dict__["folder"] = Path(folder).absolute()
        return log

    def save(self, folder: Path | str) -> None:
        """Write the log to a folder, replacing the one that is there in one step."""
        shards: Any = self.shards
        if self.filtered:
            table = self._table()
            count = build.default_shards(len(table))
            shards = build.build_shards(table, event_names=self.event_names, shards=count)
        store.write_log(
            shards,
            folder,
            event_names=self.event_names,
            covers_until=self.covers_until_us,
            terms=self.terms,
        )

    # ── views ───────────────────────────────────────────────────────────────────────────────

    def where(self, **conditions: Any) -> EventLog:
        """The rows whose properties have the given values; a missing value never matches.

        Parameters
        ----------
        conditions : property=value, property=[values], or, for numbers, property=">= 50".
            ``event`` and ``user`` are allowed too.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2),
        ...     "event": ["visit", "visit"], "device": ["mobile", "desktop"]}))
        >>> log.where(device="mobile").users
        1
        """
        where = predicates.check(conditions, self.kinds, "where")
        return self._showing(
            partial(predicates.matching_rows, where=where, event_names=self.event_names)
        )

    def between(self, start: Any = None, end: Any = None) -> EventLog:
        """The rows from `start` (included) to `end` (excluded); naive instants are UTC.

        The view is complete up to `end` and no further. To select people by when they entered,
        use ``entered=`` of the question asked: cutting the log cuts history and follow-up.
        """
        low = instant_us(start, "between: start") if start is not None else None
        high = instant_us(end, "between: end") if end is not None else None
        if low is not None and high is not None and high <= low:
            raise UsageError(
                f"between: end={end!r} is not after start={start!r}. Swap them, or widen the range."
            )

        def inside(shard: Shard) -> np.ndarray:
            shown = np.ones(shard.rows, np.bool_)
            if low is not None:
                shown &= shard.time >= low
            if high is not None:
                shown &= shard.time < high
            return shown

        view = self._showing(inside)
        until = self.covers_until_us if high is None else min(high, self.covers_until_us)
        return dataclasses.replace(view, covers_until_us=until)

    def in_segment(self, mask: Any) -> EventLog:
        """The rows of the users in a mask, and of nobody else.

        Parameters
        ----------
        mask : a segment, a truth value per user in the order of `user_ids`, or a pandas Series
            indexed by user; a user that the Series does not name is not in the segment. The view
            remembers a segment's instant, and answers say where they look at what came before.

        Raises
        ------
        UsageError
            If there is not one truth value per user, or the Series names no user of the log.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["bob", "ann"], "time": pd.to_datetime(["2026-01-01"] * 2),
        ...     "event": "visit"}))
        >>> list(log.user_ids), list(log.in_segment([False, True]).user_ids)
        (['ann', 'bob'], ['bob'])
        """
        chosen = people.chosen(self.shards, len(self.event_names), mask)
        by_shard = {id(shard): users for shard, users in zip(self.shards, chosen, strict=True)}
        view = self._showing(lambda shard: np.repeat(by_shard[id(shard)], np.diff(shard.offsets)))
        return dataclasses.replace(view, picked_at_us=picked_after(self.picked_at_us, mask))

    def by_unit(self, name: str) -> EventLog:
        """The log of accounts, devices or whatever a property names; see `units`.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2),
        ...     "event": "visit", "account": "acme"}))
        >>> log.users, log.by_unit("account").users
        (2, 1)
        """
        return units.units(self, name).log

    def _showing(self, rows_of: Any) -> EventLog:
        hidden = len(self.event_names)

        def view(shard: Shard) -> Shard:
            event = np.where(rows_of(shard), shard.event, shard.event.dtype.type(hidden))
            return dataclasses.replace(shard, event=event)

        shards = tuple(parallel.map_shards(self.shards, view))
        return dataclasses.replace(self, shards=shards, filtered=True)

    # ── facts ───────────────────────────────────────────────────────────────────────────────

    @cached_property
    def folder(self) -> Path | None:
        """Where the log was opened; None for a view and a log in memory."""
        return None

    @property
    def properties(self) -> tuple[str, ...]:
        """Names of the properties, the session left out."""
        return tuple(name for name in self.kinds if name != SESSION)

    @property
    def events(self) -> int:
        """Number of events (rows)."""
        return int(self._counts[:, 0].sum())

    def __len__(self) -> int:
        return self.events

    @property
    def users(self) -> int:
        """Number of users with at least one event."""
        return self._people[0]

    @cached_property
    def user_ids(self) -> pd.Index:
        """Ids of the users with at least one event, in ascending order of their bytes."""
        return people.user_ids(self.shards, len(self.event_names))

    @property
    def sessions(self) -> int:
        """Number of sessions: distinct pairs of user and session."""
        return self._people[1]

    @property
    def start(self) -> pd.Timestamp | NaTType:
        """Instant of the first event (UTC); NaT for an empty log."""
        return timestamp(self._counts[:, 2].min()) if self.events else pd.NaT

    @property
    def end(self) -> pd.Timestamp | NaTType:
        """Instant of the last event (UTC); NaT for an empty log."""
        return timestamp(self._counts[:, 3].max()) if self.events else pd.NaT

    @property
    def covers_until(self) -> pd.Timestamp:
        """The instant (UTC) up to which the log is complete: the "now" of every answer."""
        return timestamp(self.covers_until_us)

    @cached_property
    def fingerprint(self) -> str:
        """128 bits of the content, as 32 hexadecimal digits.

        It depends on no order but that of one user's events at one instant, and not on the
        number of shards; it changes when any cell changes.
        """
        names, hidden = self.event_names, len(self.event_names)

        def content(shard: Shard) -> tuple[int, int]:
            return content_sum(shard, names, shard.event < hidden if self.filtered else None)

        return store.fingerprint_of(parallel.map_shards(self.shards, content), self.kinds)

    def summary(self) -> pd.DataFrame:
        """Which events are there, how often, by how many, from when to when?

        Returns
        -------
        A row per event name, most frequent first: ``event``, ``events``, ``users``,
        ``share_of_users`` (a fraction of all users), ``first``, ``last`` (UTC) and ``value``
        (the sum of the property ``value``; NaN where the log has none).
        """
        found = self._counts
        seen = found[:, 0] > 0
        table = pd.DataFrame(
            {
                EVENT: pd.array(self.event_names, dtype="str")[seen],
                "events": found[seen, 0],
                "users": found[seen, 1],
                "share_of_users": found[seen, 1] / max(self.users, 1),
                "first": pd.to_datetime(found[seen, 2], unit="us", utc=True),
                "last": pd.to_datetime(found[seen, 3], unit="us", utc=True),
                VALUE: self._money[seen],
            }
        )
        table = table.sort_values(["events", EVENT], ascending=[False, True])
        return table.reset_index(drop=True)

    def to_frame(self) -> pd.DataFrame:
        """All rows as a pandas frame, sorted by user and time; ids are text, times are UTC."""
        table = self._table()
        time = table.column(TIME).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(TIME), TIME, time)
        return table.to_pandas(strings_to_categorical=False)

    def __repr__(self) -> str:
        return f"EventLog({self.events:,} events, {self.users:,} users, {self.start} to {self.end})"

    # ── inside ──────────────────────────────────────────────────────────────────────────────

    @cached_property
    def _counts(self) -> np.ndarray:
        return per_event(self.shards, len(self.event_names))

    @cached_property
    def _people(self) -> tuple[int, int]:
        return users_and_sessions(self.shards, len(self.event_names))

    @cached_property
    def _money(self) -> np.ndarray:
        if self.kinds.get(VALUE) != "number":
            return np.full(len(self.event_names), np.nan)
        return money_per_event(self.shards, len(self.event_names))

    def _table(self) -> pa.Table:
        return table_of(self.shards, self.event_names, self.kinds)
