"""The event log: who did what when, sorted by user.

A log is data and nothing else: it does not change, and it knows no question. `where`, `between` and
`in_segment` give cheap views: a view has its own event codes, one byte a row, in which hidden rows
carry a code that no pass counts; everything else is shared with the log it came from.

A view of a segment's people remembers the instant as of which they were picked. A question that
looks at rows from before that instant sees what picked them: buyers have bought, whatever they are
like. That is no error and may be just what is wanted, but the answer must say it
(`look_ahead_warnings`).
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
from pandas.api.typing import NaTType

from analysis.core.checks import EVER
from analysis.core.schema import (
    EVENT,
    SESSION,
    TIME,
    USER,
    VALUE,
    UsageError,
    instant_us,
    timestamp,
)
from analysis.eventlog import build, coverage, filters, kernels, money, parallel, store, units
from analysis.eventlog.money import CURRENCY
from analysis.eventlog.shard import TEXT, NumberColumn, Shard, TextColumn, content_sum

_LOSSES: Final = ("fate", "column", "reason", EVENT, "week", "rows")

UNKNOWN: Final = EVER
"""The instant of people picked by a mask that says none."""


@dataclass(frozen=True, eq=False, repr=False)
class EventLog:
    """Events of users, sorted by user and time; made by `from_frame` or `open`.

    Attributes
    ----------
    shards : the rows, split by user.
    event_names : the names that the shards' event codes stand for.
    covers_until_us : microseconds UTC up to which the log is complete.
    kinds : ``"text"`` or ``"number"`` of the session and every property.
    filtered : whether rows are hidden, as in a view.
    terms : import settings that files added later must agree with.
    lost : what the imports lost, as `losses` tells it.
    picked_at_us : as of when the people shown were picked; None for everybody, `UNKNOWN` for a bare
        mask.

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
    lost: tuple[tuple[Any, ...], ...] = ()
    picked_at_us: int | None = None

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
    ) -> Self:
        """A log in memory from a pandas, polars or pyarrow table.

        Cells are read by the rules of an import, with these differences. A frame has types, so
        nothing is guessed: a naive time is UTC, a number stays a number even in ``country`` or
        ``order_id``, text stays text even where it looks like numbers (but in ``value``), and a
        word for none ("nan", an empty text) stays a word, even as a user: `audit` names such users.
        There is no quarantine: where an import sets a row aside, this is an error. Times may begin
        in 1678, in files in 1990, because made-up times often begin in 1970. An infinite value
        stays, and its sum is NaN. E-mail addresses may be ids: nothing is written before `save`.

        Parameters
        ----------
        frame : one row per event. Columns that are not named become properties.
        user, time, event, session : names of the columns. Naive times are taken as UTC. Without
            a session column (named here or called ``session``), a pause of more than 30 minutes
            starts a session.
        covers_until : the instant up to which the log is complete; default: the end of the last
            event's UTC day, but for far-off events and a day that breaks off (see
            `eventlog.coverage`).
        shards : how many parts to split the users into; no answer depends on it.

        Raises
        ------
        UsageError, DataError
            If a column is missing or of a type that cannot be read, a cell of user, time or event
            is empty, or ``value`` has text that is no number.
        """
        table = build.canonical_table(
            build.arrow_table(frame), user=user, time=time, event=event, session=session
        )
        names = sorted(pc.unique(table.column(EVENT)).to_pylist())
        count = build.default_shards(len(table)) if shards is None else shards
        # Without a row there is still a shard, which knows the columns.
        count = build.checked(count, "from_frame") if len(table) else 1
        built = list(build.build_shards(table, event_names=names, shards=count))
        until = instant_us(covers_until, "covers_until") if covers_until is not None else None
        if until is None:
            until = coverage.covered_until(coverage.activity(table.column(TIME).to_numpy()))
        return cls.from_shards(built, event_names=names, covers_until=until)

    @classmethod
    def from_shards(
        cls, shards: Sequence[Shard], *, event_names: Sequence[str], covers_until: int
    ) -> Self:
        """A log in memory from finished shards; `covers_until` in microseconds UTC."""
        kinds = store.kinds(shards[0]) if shards else {SESSION: "text"}
        return cls(tuple(shards), tuple(event_names), int(covers_until), kinds)

    @classmethod
    def open(cls, folder: Path | str) -> Self:
        """The log in a folder; its files are mapped, nothing is read yet.

        Raises
        ------
        DataError
            If there is no log in the folder, or it is damaged.

        Examples
        --------
        >>> import pandas as pd, tempfile
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["visit"]}))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     log.save(folder)
        ...     EventLog.open(folder).fingerprint == log.fingerprint
        True
        """
        manifest, shards = store.open_shards(folder)
        log = cls(
            tuple(shards),
            tuple(manifest.event_names),
            manifest.covers_until,
            manifest.properties,
            terms=manifest.terms,
            lost=tuple(map(tuple, manifest.losses)),
        )
        log.__dict__["fingerprint"] = manifest.fingerprint
        log.__dict__["folder"] = Path(folder).absolute()
        return log

    def save(self, folder: Path | str) -> None:
        """Write the log to a folder, replacing the one that is there in one step.

        Of a view, only the rows shown are written.

        Raises
        ------
        UsageError
            If there can be no folder in that place.
        DataError
            If the log is empty, or another process writes there.
        """
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
            losses=self.lost,
        )

    # ── views ───────────────────────────────────────────────────────────────────────────────

    def where(self, **conditions: Any) -> EventLog:
        """The rows whose properties have the given values; a missing value never matches.

        Parameters
        ----------
        conditions : property=value, property=[values], or a comparison: property=">= 50" for
            numbers (text too where every value is a number), property="!= mobile" for any text.
            ``event`` and ``user`` are allowed too.

        Raises
        ------
        UsageError
            If the log has no such property, the value is no number where the property is, or text
            that is no number is to be compared by size.

        Warns
        -----
        UserWarning
            If no event of the log has a value that is asked for.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2),
        ...     "event": ["visit", "visit"], "device": ["mobile", "desktop"]}))
        >>> log.where(device="mobile").users
        1
        """
        where = filters.check(conditions, self, "where")
        for note in filters.unseen(where, self):
            warnings.warn(f"where: {note}", stacklevel=2)
        return self._showing(
            partial(filters.matching_rows, where=where, event_names=self.event_names)
        )

    def between(self, start: Any = None, end: Any = None) -> EventLog:
        """The rows from `start` (included) to `end` (excluded); naive instants are UTC.

        The view is complete up to `end` and no further. To select people by when they entered,
        use ``entered=`` of the question asked: cutting the log cuts history and follow-up.

        Raises
        ------
        UsageError
            If an instant cannot be read, or `end` is not after `start`.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        ...     "event": "visit"}))
        >>> list(log.between("2026-01-02").user_ids)
        ['bob']
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
        return view.derive(covers_until_us=until)

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
        chosen = filters.chosen(self.shards, len(self.event_names), mask)
        by_shard = {id(shard): users for shard, users in zip(self.shards, chosen, strict=True)}
        view = self._showing(lambda shard: np.repeat(by_shard[id(shard)], np.diff(shard.offsets)))
        return view.derive(picked_at_us=picked_after(self.picked_at_us, mask))

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

    def _showing(self, rows_of: Callable[[Shard], np.ndarray]) -> EventLog:
        """The view of the rows that `rows_of` marks, a truth value per row of a shard."""
        hidden = len(self.event_names)

        def view(shard: Shard) -> Shard:
            event = np.where(rows_of(shard), shard.event, shard.event.dtype.type(hidden))
            return dataclasses.replace(shard, event=event)

        return self.derive(shards=tuple(parallel.map_shards(self.shards, view)), filtered=True)

    def derive(self, **changed: Any) -> Self:
        """This log with other values of some fields (`shards`, `covers_until_us`, …).

        It belongs to no folder. Where the shards stay, so does the fingerprint.
        """
        log = dataclasses.replace(self, **changed)
        if "shards" not in changed and "fingerprint" in self.__dict__:
            log.__dict__["fingerprint"] = self.fingerprint
        return log

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
        return filters.user_ids(self.shards, len(self.event_names))

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

    def events_after_end(self) -> int:
        """How many events are at or after `covers_until`, such as those of a wrong clock?

        They stay in the log. Questions do not see those that are far off (`until_end`).

        Examples
        --------
        >>> import pandas as pd
        >>> days = [*pd.date_range("2026-01-01", periods=9), pd.Timestamp("2098-01-01")]
        >>> log = EventLog.from_frame(pd.DataFrame({"user": "ann", "time": days, "event": "visit"}))
        >>> log.covers_until.date().isoformat(), log.events_after_end()
        ('2026-01-10', 1)
        """
        return self._after_end

    @cached_property
    def _after_end(self) -> int:
        until, hidden = self.covers_until_us, len(self.event_names)

        def late(shard: Shard) -> int:
            if not shard.rows or shard.last_instants.max() < until:
                return 0
            return int(((shard.time >= until) & (shard.event < hidden)).sum())

        return sum(parallel.map_shards(self.shards, late))

    def until_end(self) -> EventLog:
        """The log without far-off events, which is what a question looks at.

        Far off are events behind `covers_until` that `eventlog.coverage` takes for those of a wrong
        clock. Others behind it, where somebody said an earlier end, are seen. Where nothing is far
        off, it is the log itself.

        Examples
        --------
        >>> import pandas as pd
        >>> days = [*pd.date_range("2026-01-01", periods=9), pd.Timestamp("2098-01-01")]
        >>> log = EventLog.from_frame(pd.DataFrame({"user": "ann", "time": days, "event": "visit"}))
        >>> len(log), len(log.until_end())
        (10, 9)
        """
        return self._followed if self._after_end else self

    @cached_property
    def _followed(self) -> EventLog:
        parts = parallel.map_shards(self.shards, lambda shard: coverage.activity(shard.time))
        seen = coverage.together(parts)
        end = max(self.covers_until_us, coverage.covered_until(seen))
        if seen.last[-1] < end:
            return self
        return self._showing(lambda shard: shard.time < end)

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
        (the exact sum of the property ``value``; NaN where the log has none, or has it in several
        currencies, or of 1e15 and more), and ``currency`` (missing where the log does not say;
        several are listed).

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann", "bob", "bob"], "time": pd.to_datetime(["2026-01-01"] * 3),
        ...     "event": ["visit", "visit", "purchase"]}))
        >>> log.summary()[["event", "events", "users", "share_of_users"]].to_dict("records")[1]
        {'event': 'purchase', 'events': 1, 'users': 1, 'share_of_users': 0.5}
        """
        found = self._counts
        seen = found[:, 0] > 0
        units = [names for names, any_row in zip(self._currencies, seen, strict=True) if any_row]
        table = pd.DataFrame(
            {
                EVENT: pd.array(self.event_names, dtype="str")[seen],
                "events": found[seen, 0],
                "users": found[seen, 1],
                "share_of_users": found[seen, 1] / max(self.users, 1),
                "first": pd.to_datetime(found[seen, 2], unit="us", utc=True),
                "last": pd.to_datetime(found[seen, 3], unit="us", utc=True),
                VALUE: self._worth[seen],
                CURRENCY: pd.array([", ".join(names) or None for names in units], dtype="str"),
            }
        )
        table = table.sort_values(["events", EVENT], ascending=[False, True])
        return table.reset_index(drop=True)

    def losses(self) -> pd.DataFrame:
        """What did the import lose: which rows, which cells, why, and when?

        Rows are quarantined (they are no events), excluded (no consent) or duplicate; a blanked
        row is an event of which a cell could not be read. Every import of the log counts, and
        people who were forgotten since are still counted. Empty where nothing was lost, and for a
        log that no import made.

        Returns
        -------
        ``fate`` ("quarantined", "excluded", "duplicate", "blanked"), ``column`` (of the file:
        which cell was blanked, else ""), ``reason``, ``event`` ("" if it is none of the log's),
        ``week`` (its Monday, UTC, as ISO date; "" if the time is unknown), ``rows``.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["visit"]}))
        >>> log.losses().columns.to_list()
        ['fate', 'column', 'reason', 'event', 'week', 'rows']
        """
        table = pd.DataFrame(list(self.lost), columns=list(_LOSSES))
        kinds = dict.fromkeys(_LOSSES, "str") | {"rows": "int64"}
        return table.astype(kinds)

    def to_frame(self) -> pd.DataFrame:
        """All rows as a pandas frame, sorted by user and time; ids are text, times are UTC."""
        table = self._table()
        time = table.column(TIME).cast(pa.timestamp("us", "UTC"))
        table = table.set_column(table.column_names.index(TIME), TIME, time)
        return table.to_pandas(strings_to_categorical=False)

    def __repr__(self) -> str:
        return f"EventLog({self.events:,} events, {self.users:,} users, {self.start} to {self.end})"

    # ── found once ───────────────────────────────────────────────────────────────────────────

    @cached_property
    def _counts(self) -> np.ndarray:
        return per_event(self.shards, len(self.event_names))

    @cached_property
    def _people(self) -> tuple[int, int]:
        return users_and_sessions(self.shards, len(self.event_names))

    @cached_property
    def _money(self) -> np.ndarray | None:
        if self.kinds.get(VALUE) != "number":
            return None
        return money_per_event(self.shards, len(self.event_names))

    @cached_property
    def _currencies(self) -> list[list[str]]:
        codes = [shard.event for shard in self.shards]
        return money.currencies_by(self.shards, codes, len(self.event_names), VALUE)

    @property
    def _worth(self) -> np.ndarray:
        if self._money is None:
            return np.full(len(self.event_names), np.nan)
        mixed = np.array([len(names) > 1 for names in self._currencies], np.bool_)
        return np.where(mixed, np.nan, money.amounts(self._money))

    def tiny_values(self) -> int:
        """How many values are smaller than a millionth, and not zero?

        Sums hold them to a billionth of a millionth; for prices they are a slip of the unit.

        Examples
        --------
        >>> import pandas as pd
        >>> log = EventLog.from_frame(pd.DataFrame({
        ...     "user": "ann", "time": pd.to_datetime(["2026-01-01"] * 2), "event": "purchase",
        ...     "value": [0.0000006, 5.0]}))
        >>> log.tiny_values()
        1
        """
        return 0 if self._money is None else money.tiny(self._money)

    def _table(self) -> pa.Table:
        return table_of(self.shards, self.event_names, self.kinds)


# ── how often, by how many, when, for how much ────────────────────────────────────────────────────


def per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Rows, users, first and last instant (microseconds) of each event name: int64 (names, 4).

    A name without a row has the largest int64 as its first instant and the smallest as its last.
    """

    def count(shard: Shard) -> np.ndarray:
        return kernels.per_event(shard.time, shard.event, shard.offsets, names)

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
        return kernels.users_and_sessions(shard.event, column.codes, shard.offsets, names)

    parts = parallel.map_shards(shards, count)
    return sum(users for users, _ in parts), sum(sessions for _, sessions in parts)


def money_per_event(shards: Sequence[Shard], names: int) -> np.ndarray:
    """Sums of the property ``value`` of each event name, as `kernels.money` returns them."""

    def add(shard: Shard) -> np.ndarray:
        column = shard.columns[VALUE]
        assert isinstance(column, NumberColumn)
        return kernels.money(shard.event, column.numbers, names)

    return money.added(parallel.map_shards(shards, add), names)


# ── the rows as one table ─────────────────────────────────────────────────────────────────────────


def table_of(
    shards: Sequence[Shard], event_names: Sequence[str], kinds: Mapping[str, str]
) -> pa.Table:
    """The shown rows as a canonical table, sorted by user and time.

    `kinds` (text or number, by name) are the columns where there is no shard.
    """
    parts = parallel.map_shards(shards, partial(_shard_table, event_names=event_names))
    if not parts:
        return _empty(kinds)
    table = pa.concat_tables(parts, promote_options="default")
    # Within a shard users ascend already, and sorting by user is stable.
    return table.take(pc.sort_indices(table.column(USER))) if len(parts) > 1 else table


def _shard_table(shard: Shard, *, event_names: Sequence[str]) -> pa.Table:
    rows = np.flatnonzero(shard.event < len(event_names))
    user = np.repeat(np.arange(len(shard.users)), np.diff(shard.offsets))[rows]
    names = pa.array(event_names, TEXT)
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


def _empty(kinds: Mapping[str, str]) -> pa.Table:
    cells: dict[str, Any] = {
        USER: pa.array([], TEXT),
        TIME: pa.array([], pa.int64()),
        EVENT: pa.array([], TEXT),
    }
    for name, of in kinds.items():
        cells[name] = pa.array([], pa.float64() if of == "number" else TEXT)
    return pa.table(cells)


# ── people who were picked by what happens in the log ─────────────────────────────────────────────


def picked_after(before: int | None, mask: Any) -> int:
    """The instant of a view that `mask` makes of a log whose people were picked as of `before`.

    A bare mask says no instant; of two instants the later one counts.

    Examples
    --------
    >>> picked_after(None, [True, False]) == UNKNOWN
    True
    """
    found = getattr(mask, "at_us", None)
    found = getattr(mask, "attrs", {}).get("at_us") if found is None else found
    instant = UNKNOWN if found is None else int(found)
    return instant if before is None else max(before, instant)


def look_ahead_warnings(log: EventLog, since: int | None = None) -> tuple[str, ...]:
    """Warn where a question looks at rows from before the instant its people were picked at.

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
    if (
        isinstance(shown, NaTType)
        or max(instant_us(shown), -UNKNOWN if since is None else since) >= picked
    ):
        return ()
    return (
        f"The people shown were picked by what they did before {timestamp(picked):%Y-%m-%d %H:%M} "
        "UTC, and this looks at that time too: whatever picked them differs by construction. Look "
        "from then on, or pick them at an earlier instant.",
    )


def must_know(log: EventLog, instant: int, what: str) -> None:
    """Refuse a question as of an instant before the people shown were picked.

    Raises
    ------
    UsageError
        If they were picked later: the answer would look into its future.
    """
    picked = log.picked_at_us
    if picked is not None and picked != UNKNOWN and picked > instant:
        raise UsageError(
            f"{what} is as of {timestamp(instant)}, and the log shows people picked as of "
            f"{timestamp(picked)}: the answer would look into its future. Pick them at "
            f"{timestamp(instant)} or earlier, or ask as of a later instant."
        )
