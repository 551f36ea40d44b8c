"""Scan every shard once for all that an audit counts, and say where an audit draws its lines.

Counts are integers that add up over shards. Every line stands in `Limits` with its default, so
that nothing is judged by a number that a reader cannot see and move. The defaults are wide: an
audit that cries wolf is not read twice.

Which days are looked at is decided first: a few events of 1970 or 2099 must not stretch the log
over a century of empty days. They are cut off where at least `_GAP` days without any event part
less than `_STRAY` of all events from the rest.
"""

from __future__ import annotations

import dataclasses
import itertools
from dataclasses import dataclass, fields
from functools import partial
from typing import Final, NamedTuple, TypeAlias

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.core.schema import (
    SESSION,
    SOURCE_EVENT,
    US_PER_DAY,
    UsageError,
    instant_us,
    time_zone_of,
    timestamp,
)
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn
from analysis.quality import kernels

PASS, WARN, FAIL, NOT_APPLICABLE = "pass", "warn", "fail", "not applicable"

SIGMA_PER_MAD: Final = 1.4826
"""A normal distribution's standard deviation over its median absolute deviation."""

Limit: TypeAlias = tuple[float, float]
"""From which value on a check warns, and from which on it fails."""


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Where an audit draws its lines. A `Limit` is a pair (warns from, fails from), of shares.

    Attributes
    ----------
    similar_names : how alike (0 to 1) an unplanned name must be to a planned one to be taken for
        a slip of it.
    silence : how improbable it must be that somewhere in the log an event name is missing for so
        long, for it to count as new, vanished or interrupted: minus the natural logarithm of the
        probability.
    lasting : how sure it must be that an event's number per active person changed for a week or
        longer: the natural logarithm of a likelihood ratio, per event of the log.
    lasting_ratio : how many times as many, or as few, they must be as before.
    volume_z : how many robust standard deviations a day's or week's events must be off.
    volume_ratio : how many times as many, or as few, they must be as usual.
    volume_days : share of such days from which on the check fails; by default never, because a
        business may change.
    null_change : change of the share of missing cells.
    duplicates : share of events that repeat another at the same instant, cell for cell, or but for
        cells that only one of the two has.
    repeats : share of events that repeat the user's last of that name shortly after.
    repeat_within_us : the longest pause that counts as shortly after, in microseconds.
    outside_time : share of events at impossible times.
    lost : share of the rows, or of those that pay, that the import could not read.
    one_id : share of events under ids that are nobody's, or that one id has.
    bots : share of events by people faster, or longer awake, than a person can be.
    events_per_minute : the rate that nobody exceeds.
    hours_per_day : hours with an event that nobody has in one day.
    no_entry : share of sessions without an event with which a visit begins.
    night : the two local hours between which the middle of the quietest six hours is credible.
    orders_without_value : share of orders.
    duplicate_orders : share of orders with a number that was there before.
    outlier_z : robust standard deviations of the logarithm of an order's value.
    outliers : share of the revenue, or of the orders, that outliers hold.
    """

    similar_names: float = 0.85
    silence: float = 5.0
    lasting: float = 3.0
    lasting_ratio: float = 1.25
    volume_z: float = 5.0
    volume_ratio: float = 1.5
    volume_days: float = 1.0
    null_change: float = 0.25
    duplicates: Limit = (0.005, 0.1)
    repeats: Limit = (0.05, 0.3)
    repeat_within_us: int = 1_000_000
    lost: Limit = (0.005, 0.2)
    outside_time: Limit = (0.0001, 0.05)
    one_id: Limit = (0.001, 0.3)
    bots: Limit = (0.01, 0.3)
    events_per_minute: int = 120
    hours_per_day: int = 20
    no_entry: Limit = (0.2, 0.9)
    night: Limit = (0.0, 8.0)
    orders_without_value: Limit = (0.02, 0.5)
    duplicate_orders: Limit = (0.001, 0.1)
    outlier_z: float = 6.0
    outliers: Limit = (0.01, 0.5)

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            given = getattr(self, field.name)
            parts = given if isinstance(given, tuple) else (given,)
            numbers = all(isinstance(part, (int, float)) and part >= 0 for part in parts)
            pair = isinstance(field.default, tuple)
            if not numbers or pair != isinstance(given, tuple) or len(parts) != 1 + pair:
                allowed = "two numbers of 0 or more" if pair else "a number of 0 or more"
                raise UsageError(f"Limits: {field.name}={given!r}. Give {allowed}.")
            if pair and parts[0] > parts[1]:
                raise UsageError(f"Limits: {field.name}={given!r} descends. Swap the two.")


class Finding(NamedTuple):
    """One check: its question, what was found in numbers and words, and what to do about it.

    ``value`` is what is held against ``limit``, where the check begins to warn; ``k`` of ``n``
    says how many things it is about. What is undefined is NaN, and ``finding`` says why.
    """

    check: str
    verdict: str
    value: float
    limit: float
    k: float
    n: float
    finding: str
    advice: str = ""


def judged(check: str, limit: Limit, *, k: float, n: float, finding: str, advice: str) -> Finding:
    """The finding on a share ``k / n``; where it passes, nothing is advised."""
    verdict = verdict_of(k / n, limit)
    advice = "" if verdict == PASS else advice
    return Finding(check, verdict, k / n, limit[0], k, n, finding, advice)


def verdict_of(value: float, limit: Limit) -> str:
    """The verdict on a value: below the first number it passes, from the second on it fails.

    Examples
    --------
    >>> verdict_of(0.02, (0.01, 0.1))
    'warn'
    """
    warn, fail = limit
    return FAIL if value >= fail else WARN if value >= warn else PASS


def not_applicable(check: str, why: str) -> Finding:
    """The finding of a check that these data give no occasion for; `why` says so."""
    return Finding(check, NOT_APPLICABLE, np.nan, np.nan, np.nan, np.nan, why)


def shortened(parts: list[str], most: int, rest: str = "more") -> list[str]:
    """The first parts of a list for a sentence, and how many more there are.

    Examples
    --------
    >>> shortened(["a", "b", "c"], 1)
    ['a', '2 more']
    """
    more = len(parts) - most
    return [*parts[:most], f"{more} {rest}"] if more > 0 else parts


# ── which days are looked at ─────────────────────────────────────────────────────────────────────

_GAP: Final = 30
_STRAY: Final = 0.005
_MOST_DAYS: Final = 200 * 366
_EARLIEST: Final = instant_us("2000-01-01")


@dataclass(frozen=True, eq=False)
class Days:
    """The local days that hold the log: `midnights` (int64 microseconds, one more than days).

    `low` and `high` bound the bulk. `last_whole`: the log covers the last day to its end.
    `claims_too_much`: the log says to cover more than the days that hold its bulk.
    """

    dates: pd.DatetimeIndex
    midnights: np.ndarray
    low: int
    high: int
    time_zone: str
    last_whole: bool
    claims_too_much: bool

    def __len__(self) -> int:
        return len(self.dates)


def days_of(log: EventLog, time_zone: str) -> Days:
    """The days on which the bulk of the log lies; `log` must not be empty."""
    time_zone_of(time_zone, "audit: time_zone")
    low, high = _bulk(log)
    first = timestamp(low).tz_convert(time_zone).tz_localize(None).normalize()
    last = timestamp(high - 1).tz_convert(time_zone).tz_localize(None).normalize()
    dates = pd.date_range(first, last + pd.Timedelta(days=1), freq="D", unit="us")
    local = dates.tz_localize(
        time_zone, nonexistent="shift_forward", ambiguous=np.ones(len(dates), np.bool_)
    )
    midnights = local.tz_convert("UTC").tz_localize(None).to_numpy().astype(np.int64)
    whole, more = bool(midnights[-1] <= high), log.covers_until_us > high
    return Days(dates[:-1], np.clip(midnights, low, high), low, high, time_zone, whole, more)


def _bulk(log: EventLog) -> tuple[int, int]:
    first = instant_us(log.start) // US_PER_DAY * US_PER_DAY  # type: ignore[arg-type]
    bins = (instant_us(log.end) - first) // US_PER_DAY + 1  # type: ignore[arg-type]
    first, bins = (first, bins) if bins <= _MOST_DAYS else (_EARLIEST, _MOST_DAYS)
    names = len(log.event_names)
    count = partial(_per_utc_day, names=names, first=first, bins=int(bins))
    total = sum(parallel.map_shards(log.shards, count))
    low, high = _without_strays(np.asarray(total))
    start, until = first + low * US_PER_DAY, first + high * US_PER_DAY
    covered = log.covers_until_us
    if covered > start and (high == bins or covered < until):
        until = covered
    return start, until


def _per_utc_day(shard: Shard, *, names: int, first: int, bins: int) -> np.ndarray:
    return kernels.per_utc_day(shard.time, shard.event, names, first, bins)


def _without_strays(total: np.ndarray) -> tuple[int, int]:
    """First and last (excluded) day of the bulk; `total` has the events of every day."""
    active = np.flatnonzero(total)
    cuts = np.flatnonzero(np.diff(active) > _GAP)
    bounds = [0, *(cuts + 1), len(active)]
    parts = [(active[a], active[b - 1] + 1) for a, b in itertools.pairwise(bounds)]
    few = _STRAY * total.sum()
    while len(parts) > 1 and total[slice(*parts[0])].sum() < few:
        parts.pop(0)
    while len(parts) > 1 and total[slice(*parts[-1])].sum() < few:
        parts.pop()
    return int(parts[0][0]), int(parts[-1][1])


# ── one scan of every shard ──────────────────────────────────────────────────────────────────────


@dataclass(frozen=True, eq=False)
class Counts:
    """The counts of one scan: int64 arrays.

    Attributes
    ----------
    outside : four numbers, as `kernels.outside` returns them.
    daily : events, of shape (names, days).
    daily_users : people, of shape (names + 1, days); the last row is of any event.
    squares : squares of each user's number of events on each day, added up, of shape (names + 1,);
        the last is of any event.
    hours : events per hour since local midnight, and those exactly at midnight: 25 numbers.
    sessions : all sessions, and those with an entry.
    haste : six numbers, as `kernels.haste` returns them.
    duplicates, repeats : events, of shape (names,).
    near : events that repeat another but for cells that one of the two does not have, of shape
        (names,).
    near_cells : such cells, of shape (properties,).
    missing : missing cells, of shape (properties, names, days).
    groups : events per value of a property, of shape (groups, names, days); `Group` names them.
    group_users : people whose first event of the day has the value, of shape (groups, days).
    """

    outside: np.ndarray
    daily: np.ndarray
    daily_users: np.ndarray
    squares: np.ndarray
    hours: np.ndarray
    sessions: np.ndarray
    haste: np.ndarray
    duplicates: np.ndarray
    near: np.ndarray
    near_cells: np.ndarray
    repeats: np.ndarray
    missing: np.ndarray
    groups: np.ndarray
    group_users: np.ndarray


class Group(NamedTuple):
    """The events with one value of one property."""

    name: str
    value: str


_MOST_VALUES: Final = 12
"""Of a property whose groups are looked at one by one."""

_MOST_IN_SHARD: Final = 200
"""Values of a shard's rows, hidden ones included; with more a property has no few groups."""

_MOST_PROPERTIES: Final = 4
"""Whose groups are looked at: those that most rows have, and of these the ones of few values."""


def groups_of(log: EventLog) -> tuple[Group, ...]:
    """The groups whose events are counted day by day: those of properties of few values."""
    few: list[tuple[int, int, str, list[str]]] = []
    for name in log.properties:
        columns = [shard.columns[name] for shard in log.shards]
        if name == SOURCE_EVENT or not all(
            isinstance(column, TextColumn) and len(column.values) <= _MOST_IN_SHARD
            for column in columns
        ):
            continue
        parts = parallel.map_shards(log.shards, partial(_used, log=log, name=name))
        values = sorted({value for _, own in parts for value in own})
        if 2 <= len(values) <= _MOST_VALUES:
            few.append((-sum(rows for rows, _ in parts), len(values), name, values))
    chosen = sorted(few)[:_MOST_PROPERTIES]
    return tuple(Group(name, value) for *_, name, values in chosen for value in values)


def _used(shard: Shard, *, log: EventLog, name: str) -> tuple[int, list[str]]:
    """How many rows have the property, and its values among them."""
    column = shard.columns[name]
    assert isinstance(column, TextColumn)
    if not log.filtered:
        return int(np.count_nonzero(column.codes >= 0)), column.values.to_pylist()
    codes = column.codes[(column.codes >= 0) & (shard.event < len(log.event_names))]
    used = np.bincount(codes, minlength=len(column.values)) > 0
    return len(codes), column.values.filter(pa.array(used)).to_pylist()


def scan(
    log: EventLog,
    days: Days,
    *,
    entry: tuple[str, ...],
    limits: Limits,
    groups: tuple[Group, ...] = (),
) -> Counts:
    """Count in every shard all that the checks need.

    `entry` names the events with which a visit begins.
    """
    is_entry = np.array([name in entry for name in log.event_names], np.bool_)
    of_shard = partial(_scan_shard, days=days, is_entry=is_entry, limits=limits, groups=groups)
    parts = parallel.map_shards(log.shards, of_shard)
    total = {}
    for field in fields(Counts):
        stack = np.stack([getattr(part, field.name) for part in parts])
        total[field.name] = stack.sum(axis=0)
    # The last two are the highest of any user, and do not add.
    total["haste"][4:] = np.stack([part.haste for part in parts])[:, 4:].max(axis=0)
    return Counts(**total)


def _scan_shard(
    shard: Shard, *, days: Days, is_entry: np.ndarray, limits: Limits, groups: tuple[Group, ...]
) -> Counts:
    time, event, offsets, names = shard.time, shard.event, shard.offsets, len(is_entry)
    midnights = days.midnights
    day = kernels.day_of(time, event, names, midnights)
    users, squares = kernels.users_per_day(event, day, offsets, names, len(days))
    hours, sharp = kernels.per_hour(time, day, midnights)
    session = shard.columns[SESSION]
    assert isinstance(session, TextColumn)
    fast = limits.events_per_minute, limits.hours_per_day
    duplicates, near, near_cells = _duplicates(shard, names)
    missing, by_group, group_users = _by_property(shard, day, names, len(days), groups)
    return Counts(
        outside=kernels.outside(time, event, offsets, names, days.low, days.high),
        daily=kernels.per_day(event, day, names, len(days)),
        daily_users=users,
        squares=squares,
        hours=np.append(hours, sharp),
        sessions=np.array(kernels.entries(event, session.codes, offsets, names, is_entry)),
        haste=kernels.haste(time, event, day, offsets, midnights, *fast),
        duplicates=duplicates,
        near=near,
        near_cells=near_cells,
        repeats=_repeats(shard, names, limits.repeat_within_us),
        missing=missing,
        groups=by_group,
        group_users=group_users,
    )


def _by_property(
    shard: Shard, day: np.ndarray, names: int, days: int, groups: tuple[Group, ...]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Missing cells of every property, and the events and people of every group."""
    missing = np.zeros((len(shard.columns) - 1, names, days), np.int64)
    events = np.zeros((len(groups), names, days), np.int64)
    people = np.zeros((len(groups), days), np.int64)
    at: dict[str, list[int]] = {}
    for g, group in enumerate(groups):
        at.setdefault(group.name, []).append(g)
    properties = [(name, column) for name, column in shard.columns.items() if name != SESSION]
    for place, (name, column) in zip(missing, properties, strict=True):
        if isinstance(column, NumberColumn):
            place += kernels.missing_numbers(shard.event, day, column.numbers, names, days)
        elif name not in at:
            place += kernels.missing_codes(shard.event, day, column.codes, names, days)
        else:
            own = [groups[g].value for g in at[name]]
            # A view's hidden rows may have other values.
            known = {value: v for v, value in enumerate(own)}
            texts = column.values.to_pylist()
            where = np.array([known.get(text, len(own)) for text in texts], np.int64)
            found = kernels.by_value(
                shard.event, day, column.codes, shard.offsets, where, names, len(own), days
            )
            place += found[0][-1]
            events[at[name]], people[at[name]] = found[0][:-1], found[1][:-1]
    return missing, events, people


_NEAREST: Final = 8
"""Rows before one, of its user, instant and name, that it is held against."""


def _duplicates(shard: Shard, names: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows that have a twin before them: same user, instant, event and cells; by event.

    And rows that have nearly one: no cell that both have differs, and one of the two has more of
    them; by event, and how often which property is the one that only one has.
    """
    first = kernels.shared_instants(shard.time, shard.event, shard.offsets, names)
    rows = np.flatnonzero(first >= 0)
    key = _mixed(first[rows].astype(np.uint64), np.uint64(0))
    key = _mixed(key, shard.event[rows].astype(np.uint64))
    beside = key
    for column in shard.columns.values():
        key = _mixed(key, words(column, rows))
    _, kept = np.unique(key, return_index=True)
    twins = np.ones(len(rows), np.bool_)
    twins[kept] = False
    exact = np.bincount(shard.event[rows[twins]], minlength=names).astype(np.int64)
    near, cells = _nearly(shard, rows[~twins], beside[~twins])
    return exact, np.bincount(shard.event[near], minlength=names).astype(np.int64), cells


def _nearly(shard: Shard, rows: np.ndarray, beside: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows that nearly repeat one before; `beside` is equal for rows of one instant and name."""
    columns = [column for name, column in shard.columns.items() if name != SESSION]
    cells, found = np.zeros(len(columns), np.int64), np.zeros(len(rows), np.bool_)
    order = np.argsort(beside, kind="stable")
    rows, beside = rows[order], beside[order]
    for back in range(1, _NEAREST + 1):
        at = back + np.flatnonzero(beside[back:] == beside[:-back])
        at = at[~found[at]]
        one, other = rows[at], rows[at - back]
        more, less, differ = (np.zeros(len(at), np.bool_) for _ in range(3))
        for column in columns:
            now, before = filled(column, one), filled(column, other)
            more |= now & ~before
            less |= before & ~now
            differ |= now & before & (words(column, one) != words(column, other))
        twin = (more ^ less) & ~differ
        found[at[twin]] = True
        for place, column in enumerate(columns):
            cells[place] += int((filled(column, one) != filled(column, other))[twin].sum())
    return rows[found], cells


def filled(column: TextColumn | NumberColumn, rows: np.ndarray) -> np.ndarray:
    """Which of the rows have the cell."""
    if isinstance(column, TextColumn):
        return column.codes[rows] >= 0
    return ~np.isnan(column.numbers[rows])


def _repeats(shard: Shard, names: int, gap: int) -> np.ndarray:
    """Rows that repeat, cell for cell, the user's row of the same name shortly before."""
    before = kernels.repeats(shard.time, shard.event, shard.offsets, names, gap)
    rows = np.flatnonzero(before >= 0)
    for column in shard.columns.values():
        rows = rows[words(column, rows) == words(column, before[rows])]
    return np.bincount(shard.event[rows], minlength=names).astype(np.int64)


def words(column: TextColumn | NumberColumn, rows: np.ndarray) -> np.ndarray:
    """Cells as 64-bit words that are equal exactly where the cells are."""
    if isinstance(column, TextColumn):
        return column.codes[rows].astype(np.int64).view(np.uint64)
    numbers = column.numbers[rows]
    return np.where(np.isnan(numbers), np.nan, numbers + 0.0).view(np.uint64)


def _mixed(key: np.ndarray, word: np.ndarray | np.uint64) -> np.ndarray:
    # The finalizer of splitmix64 (Steele, Lea & Flood 2014), on key and word together.
    mixed = (key ^ word) + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))
