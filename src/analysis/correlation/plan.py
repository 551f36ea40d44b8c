"""What is asked of whom: the events, the cells of time since entry, the groups and strata?

`ExposureOptions` holds the arguments as a person gives them, `exposure_plan` checks them against
the log and the catalog, and `strata_of` assigns every unit its group and its stratum. Everything
that a person can get wrong is found here, before a row is counted. What the log merely lacks (a
control, a macro conversion, an event that the catalog knows) is no mistake: a warning says so, and
the answer shows what is there.

This file refuses to count. `counts.py` does that by the plan. For questions that need
instants rather than counts there is `first_times`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core import checks
from analysis.core.schema import (
    ALL,
    EVENT,
    SESSION,
    TIME,
    US_PER_DAY,
    US_PER_MINUTE,
    USER,
    DataError,
    UsageError,
    did_you_mean,
    duration_us,
    human_duration,
)
from analysis.correlation import kernels
from analysis.eventlog import parallel
from analysis.eventlog.burn_in import BurnIn, burn_in
from analysis.eventlog.groups import Groups, groups_of, largest
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, TextColumn

AUTO: Final = "auto"
ACTIVITY: Final = "activity"
CALENDAR: Final = ("day", "week", "month")
NEW: Final = "new"
RETURNING: Final = "returning"

_MOST_NAMED: Final = 4
_MOST_COUNTS: Final = 40_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class ExposureOptions:
    """The arguments of every question about exposure, as a person gives them.

    Attributes
    ----------
    macro : the macro conversion; default: that of the catalog.
    micros, controls : names of events; default: what the catalog says (milestones, secondary and
        adverse events are micros), as far as the log has them.
    period : length of a cell, or ``"auto"``; see `period_edges`.
    horizon : how long after a unit's first event to look.
    adjust : what makes a stratum: ``"activity"``, and properties at the unit's first event.
    by : what makes a group: a property at the unit's first event; ``"day"``, ``"week"`` or
        ``"month"`` of it (UTC); or ``"returning"``: new until a second session begins.
    start : the event with which a unit enters, such as a milestone that all must have reached to
        be alike; units that never did it are left out, and so is everything before it. Default: a
        unit's first event, whichever it is. "First event" above is the one it enters with.
    since : units first seen before this instant are left out, because they may have been there
        before the log began; default: from the data (see `analysis.eventlog.burn_in`).
    """

    macro: str | None = None
    micros: Sequence[str] | None = None
    controls: Sequence[str] | None = None
    period: Any = AUTO
    horizon: Any = "30d"
    adjust: str | Sequence[str] = (ACTIVITY,)
    by: str | None = None
    start: str | None = None
    since: Any = None

    def __post_init__(self) -> None:
        one = isinstance(self.adjust, str)
        object.__setattr__(self, "adjust", (self.adjust,) if one else tuple(self.adjust))

    def cells_and_strata(self) -> dict[str, Any]:
        """``period``, ``horizon`` and ``adjust`` as plain data, for the parameters of a result."""
        return {
            "period": str(self.period),
            "horizon": str(self.horizon),
            "adjust": list(self.adjust),
        }


@dataclass(frozen=True, eq=False, kw_only=True)
class ExposurePlan:
    """A question that has been checked against a log and its catalog.

    Attributes
    ----------
    macro : the macro conversion. events : the events asked about, micro conversions first, then
        `controls`. context : the events that count as activity.
    edges_us : cells since entry, int64 microseconds, from 0 to the horizon.
    adjust : ``"activity"`` or properties. by : what makes a group, or None.
    start : the event with which a unit enters; None: its first one, of any name.
    burn_in : which units are left out, because they may have been there before the log began.
    warnings : what the log or the catalog lacks.
    """

    macro: str
    events: tuple[str, ...]
    controls: tuple[str, ...]
    context: tuple[str, ...]
    edges_us: np.ndarray
    adjust: tuple[str, ...]
    by: str | None
    start: str | None
    burn_in: BurnIn
    warnings: tuple[str, ...]

    @property
    def horizon_us(self) -> int:
        """How long after entry a unit is looked at, in microseconds."""
        return int(self.edges_us[-1])

    @property
    def properties(self) -> tuple[str, ...]:
        """The properties among `adjust`."""
        return tuple(name for name in self.adjust if name != ACTIVITY)

    def kinds(self, log: EventLog) -> np.ndarray:
        """The place of each event code in `events`, and one place for hidden rows; uint16.

        Of K events, K stands for context and K + 1 for anything else.
        """
        place = {name: k for k, name in enumerate(self.events)}
        place |= dict.fromkeys(self.context, len(self.events))
        other = len(self.events) + 1
        return np.array([*(place.get(name, other) for name in log.event_names), other], np.uint16)

    def macro_rows(self, log: EventLog, shard: Shard, first: np.ndarray) -> np.ndarray:
        """Per unit of a shard that enters at row `first`: the row of its macro conversion, or −1.

        The conversion is the first one, and lies within the horizon and the log.
        """
        rows = (shard.time, shard.offsets, first, self.all_macros(log, shard))
        return kernels.first_macros(*rows, self.horizon_us, log.covers_until_us)

    def all_macros(self, log: EventLog, shard: Shard) -> np.ndarray:
        """The rows of a shard that are macro conversions."""
        if self.macro not in log.event_names:
            return np.empty(0, np.int64)
        return np.flatnonzero(shard.event == log.event_names.index(self.macro))


def exposure_plan(
    log: EventLog, catalog: Catalog, options: ExposureOptions | None = None
) -> ExposurePlan:
    """Which events, cells, strata and groups are meant?

    Parameters
    ----------
    options : default: what the catalog says, over 30 days.

    Raises
    ------
    UsageError
        If a name is unknown, the macro conversion or the start is among the events, an event is
        both a micro conversion and a control, or a duration cannot be read.
    DataError
        If the log is empty.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": "ann", "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    ...     "event": ["visit", "video", "buy"]}))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video": {"role": "secondary"}}})
    >>> plan = exposure_plan(log, shop, ExposureOptions(horizon="1h"))
    >>> plan.macro, plan.events, plan.context, plan.edges_us[[1, -1]].tolist()
    ('buy', ('video',), ('visit',), [60000000, 3600000000])
    """
    asked = options or ExposureOptions()
    if not log.shards or not log.event_names:
        raise DataError("exposure: the log is empty. Import events first: workbook import FILE.")
    macro = catalog.macro if asked.macro is None else asked.macro
    if macro not in catalog.events:
        checks.event_name("exposure: macro", log, macro)
    if asked.start is not None:
        _check_start(log, asked.start, macro)
    usual = (
        (*catalog.milestones, *catalog.secondary, *catalog.adverse) if asked.micros is None else ()
    )
    micros = _events(log, asked.micros, usual, macro, asked.start)
    placebos = (
        tuple(name for name in catalog.controls if name not in micros)
        if asked.controls is None
        else ()
    )
    controls = _events(log, asked.controls, placebos, macro, asked.start)
    if both := sorted(set(micros) & set(controls)):
        raise UsageError(
            f"exposure: {both[0]!r} is both a micro conversion and a control. "
            "Leave it out of one of the two lists."
        )
    named = {macro, *micros, *controls, *catalog.events}
    context = tuple(name for name in log.event_names if name not in named)
    absent = [
        f"“{catalog.label(name)}”"
        for name in (*usual, *placebos)
        if name not in log.event_names and name != macro
    ]
    edges = period_edges(asked.period, asked.horizon)
    adjust = tuple(
        _property(log, name, "adjust", (ACTIVITY,)) for name in dict.fromkeys(asked.adjust)
    )
    by = asked.by
    left_out = left_out_of(log, asked.start, asked.since, "exposure")
    notes = (left_out.note,) if left_out.note else ()
    return ExposurePlan(
        macro=macro,
        events=(*micros, *controls),
        controls=controls,
        context=context,
        edges_us=edges,
        adjust=adjust,
        by=None if by is None else _property(log, by, "by", (*CALENDAR, RETURNING)),
        start=asked.start,
        burn_in=left_out,
        warnings=(*notes, *_warnings(controls, absent, context)),
    )


def _check_start(log: EventLog, start: str, macro: str) -> None:
    checks.event_name("exposure: start", log, start)
    if start == macro:
        raise UsageError(
            f"exposure: start={start!r} is the macro conversion. Take an event on the way to it, "
            "or None for everybody's first event."
        )


def _events(
    log: EventLog,
    given: Sequence[str] | None,
    default: Iterable[str],
    macro: str,
    start: str | None,
) -> tuple[str, ...]:
    """The events given, checked; of the default ones those that the log has."""
    if given is None:
        own = (macro, start)
        return tuple(name for name in default if name in log.event_names and name not in own)
    if isinstance(given, str):
        raise UsageError(f"exposure: {given!r} is not a list. Allowed: a list of event names.")
    names = tuple(dict.fromkeys(given))
    if macro in names:
        raise UsageError(
            f"exposure: {macro!r} is the macro conversion and stands among the events asked "
            "about too. Leave it out of the list, or choose another macro."
        )
    if start in names:
        raise UsageError(
            f"exposure: start={start!r} stands among the events asked about too, and everybody "
            "looked at has done it. Leave it out of the list, or choose another start."
        )
    for name in names:
        checks.event_name("exposure", log, name)
    return names


_AUTO_MINUTES: Final = (0, 1, 2, 3, 5, 7, 10, 15, 20, 30, 60, 120, 240, 480)
_MOST_CELLS: Final = 5_000


def period_edges(period: Any = AUTO, horizon: Any = "30d") -> np.ndarray:
    """Where do the cells of time since entry begin and end?

    What happens in one cell cannot be seen to have come before, so cells should be short where
    much happens.

    Parameters
    ----------
    period : the length of a cell, or ``"auto"``: short cells first, because much is bought within
        the hour (0, 1, 2, 3, 5, 7, 10, 15, 20, 30 minutes, 1, 2, 4, 8 hours), then days. A
        list of durations: the times at which further cells begin.
    horizon : where the last cell ends.

    Returns
    -------
    int64 array of microseconds; cell p is [edges[p], edges[p + 1]).

    Raises
    ------
    UsageError
        If one is no duration, or there would be more than 5,000 cells.

    Examples
    --------
    >>> (period_edges("auto", "3d")[-4:] // 3_600_000_000).tolist()
    [8, 24, 48, 72]
    >>> (period_edges("1h", "150min") // 60_000_000).tolist()
    [0, 60, 120, 150]
    >>> (period_edges(["1h"], "150min") // 60_000_000).tolist()
    [0, 60, 150]
    """
    end = duration_us(horizon, "exposure: horizon")
    if isinstance(period, str) and period == AUTO:
        days = np.arange(US_PER_DAY, max(end, US_PER_DAY), US_PER_DAY)
        starts = np.concatenate([np.array(_AUTO_MINUTES) * US_PER_MINUTE, days])
    elif isinstance(period, (list, tuple)):
        starts = np.unique([0, *(duration_us(one, "exposure: period") for one in period)])
    else:
        step = duration_us(period, "exposure: period")
        if end // step > _MOST_CELLS:
            raise UsageError(
                f"exposure: period={period!r} makes {-(-end // step):,} cells of the horizon "
                f"{human_duration(end)}. Allowed: up to {_MOST_CELLS:,}. Take a longer period."
            )
        starts = np.arange(0, end, step)
    edges = np.append(starts[starts < end], end).astype(np.int64)
    if len(edges) > _MOST_CELLS + 1:
        raise UsageError(
            f"exposure: horizon={horizon!r} makes {len(edges) - 1:,} cells. "
            f"Allowed: up to {_MOST_CELLS:,}. Take a shorter horizon or a longer period."
        )
    return edges


def _property(log: EventLog, name: str, what: str, words: Sequence[str]) -> str:
    """A property of the log, or one of the `words` that mean something else here."""
    if name in words or name in log.kinds:
        return name
    column = name in (USER, TIME, EVENT)
    hint = f" {name!r} is a column, not a property." if column else ""
    hint = hint or did_you_mean(name, [*words, *log.kinds])
    raise UsageError(
        f"exposure: {what}={name!r} is not a property of this log.{hint} "
        f"Allowed: {', '.join(map(repr, [*words, *log.properties]))}."
    )


def _warnings(
    controls: Sequence[str], absent: Sequence[str], context: Sequence[str]
) -> tuple[str, ...]:
    notes = []
    if not controls:
        notes.append(
            "There is no control among the events: nothing shows how large a number an event "
            "without any influence would get. Give such events the role 'control' in the catalog."
        )
    if absent:
        shown = ", ".join(absent[:_MOST_NAMED])
        more = len(absent) - _MOST_NAMED
        shown += f" and {more} more" if more > 0 else ""
        notes.append(f"Not in this log, and left out: {shown}.")
    if not context:
        notes.append(
            "Every event of this log has a role or is asked about: nothing is left that shows how "
            "active people are, so there is no adjustment for activity and there are no trials."
        )
    return tuple(notes)


def check_size(plan: ExposurePlan, groups: int, strata: int) -> None:
    """Raise a `UsageError` where the tables would be too large to hold."""
    cells = len(plan.edges_us) - 1
    places = groups * strata + kernels.ACTIVITY_BINS**2
    size = 2 * kernels.N_LEVELS * max(len(plan.events), 1) * cells * places
    if size > _MOST_COUNTS:
        raise UsageError(
            f"exposure: {len(plan.events)} events × {cells:,} cells × {groups} groups × "
            f"{strata:,} strata make {size:,} counts. Allowed: up to {_MOST_COUNTS:,}. Take a "
            "longer period, fewer events, or adjust for less."
        )


# Groups and strata
#
# They go by the event with which a unit enters: what a unit is then cannot be a consequence of what
# it did later. Activity is the one stratum that moves with time; the kernel adds it. Properties
# keep their twelve largest values, and a missing value is a value of its own, so nobody is left
# out.

_MOST_VALUES: Final = 12
_EPOCH: Final = date(1970, 1, 1)
_NO_TURNS: Final = np.empty(0, np.int64)


@dataclass(frozen=True, eq=False)
class Strata:
    """Per shard: the row at which each unit enters, its group, its stratum; and their names.

    ``turns`` (per shard; empty where groups do not change) are instants from which on a unit is
    in the next group. ``table`` has a row per stratum, ``binned`` says that bins of activity are
    part of them.
    """

    first: list[np.ndarray]
    group: list[np.ndarray]
    stratum: list[np.ndarray]
    turns: list[np.ndarray]
    groups: tuple[str, ...]
    table: pd.DataFrame
    binned: bool


def strata_of(log: EventLog, plan: ExposurePlan) -> Strata:
    """The group and the stratum of every unit of a log."""
    first = parallel.map_shards(
        log.shards, partial(entry_rows, log=log, start=plan.start, left_out=plan.burn_in)
    )
    turns = [_NO_TURNS] * len(log.shards)
    by = plan.by
    if by is None:
        groups = Groups([np.zeros(len(rows), np.int64) for rows in first], [ALL])
    elif by in log.kinds:
        groups = _property_groups(log, first, by)
    elif by == RETURNING:
        names = len(log.event_names)
        turns = parallel.map_shards(log.shards, partial(_second_sessions, names=names))
        codes = [_returning(s, *own) for s, *own in zip(log.shards, first, turns, strict=True)]
        groups = Groups(codes, [NEW, RETURNING])
    else:
        groups = _calendar_groups(log, first, by)
    parts = [_property_groups(log, first, name) for name in plan.properties]
    stratum, combinations = _combined(parts, first)
    binned = ACTIVITY in plan.adjust
    labels = bin_labels() if binned else [ALL]
    rows = [(label, *values) for values in combinations for label in labels]
    table = pd.DataFrame(rows, columns=[ACTIVITY, *plan.properties])
    return Strata(
        first,
        groups.codes,
        stratum,
        turns,
        tuple(str(name) for name in groups.names),
        table if binned else table.drop(columns=ACTIVITY),
        binned,
    )


def left_out_of(log: EventLog, start: str | None, since: Any, what: str) -> BurnIn:
    """Who of those who would enter is left out, because they may have been there before?"""
    found = burn_in(log, since, what)
    if start is None or found.since_us is None:
        return found

    def gone(shard: Shard) -> int:
        entered = entry_rows(shard, log=log, start=start) >= 0
        return int((entered & ~found.keeps(shard, len(log.event_names))).sum())

    return found.among(sum(parallel.map_shards(log.shards, gone)))


def entry_rows(
    shard: Shard, *, log: EventLog, start: str | None, left_out: BurnIn | None = None
) -> np.ndarray:
    """Per unit of a shard the row with which it enters, or −1: the first, or the first `start`."""
    names = log.event_names
    if start is None:
        out = kernels.first_shown(shard.event, shard.offsets, len(names))
    else:
        rows = np.flatnonzero(shard.event == names.index(start))
        unit_of = np.searchsorted(shard.offsets, rows, side="right") - 1
        out = np.full(len(shard.offsets) - 1, -1, np.int64)
        units, place = np.unique(unit_of, return_index=True)
        out[units] = rows[place]
    if left_out is None or left_out.since_us is None:
        return out
    return np.where(left_out.keeps(shard, len(names)), out, -1)


def _property_groups(log: EventLog, first: Sequence[np.ndarray], name: str) -> Groups:
    found = groups_of(log.shards, _entering(first), [name])
    sizes = np.zeros(len(found.names), np.int64)
    for codes in found.codes:
        sizes += np.bincount(codes, minlength=len(sizes))
    found = largest(found, sizes, _MOST_VALUES)
    return Groups(_per_unit(first, found.codes), found.names)


def _calendar_groups(log: EventLog, first: Sequence[np.ndarray], by: str) -> Groups:
    """Groups by the UTC day, ISO week or month of entry, in the order of time."""
    entries = [
        s.time[rows] // US_PER_DAY for s, rows in zip(log.shards, _entering(first), strict=True)
    ]
    days = np.unique(np.concatenate(entries))
    labels = [_period_name(_EPOCH + timedelta(days=int(day)), by) for day in days]
    names = list(dict.fromkeys(labels))
    number = np.array([names.index(label) for label in labels], np.int64)
    codes = [number[np.searchsorted(days, own)] for own in entries]
    # Where nobody enters there is no period; everybody is a group of nobody, as for a property.
    return Groups(_per_unit(first, codes), list(names) or [ALL])


def _period_name(day: date, by: str) -> str:
    if by == "day":
        return day.isoformat()
    if by == "month":
        return f"{day:%Y-%m}"
    year, week, _ = day.isocalendar()
    return f"{year}-W{week:02d}"


def _entering(first: Sequence[np.ndarray]) -> list[np.ndarray]:
    return [rows[rows >= 0] for rows in first]


def _per_unit(first: Sequence[np.ndarray], codes: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Codes of those who enter, as codes of all units; a unit that never enters has 0."""
    out = []
    for rows, own in zip(first, codes, strict=True):
        here = np.zeros(len(rows), np.int64)
        here[rows >= 0] = own
        out.append(here)
    return out


def _second_sessions(shard: Shard, *, names: int) -> np.ndarray:
    column = shard.columns[SESSION]
    assert isinstance(column, TextColumn)
    return kernels.second_sessions(shard.time, shard.event, column.codes, shard.offsets, names)


def _returning(shard: Shard, first: np.ndarray, turns: np.ndarray) -> np.ndarray:
    """1 for units that had turned before they entered, whose turn is then taken off; else 0."""
    entry = shard.time[np.maximum(first, 0)]
    back = (first >= 0) & (turns < entry)
    turns[back] = kernels.NEVER
    return back.astype(np.int64)


def _combined(
    parts: Sequence[Groups], first: Sequence[np.ndarray]
) -> tuple[list[np.ndarray], list[tuple[str, ...]]]:
    """The combination of values that every unit has, and all that somebody has."""
    codes = [np.zeros(len(rows), np.int64) for rows in first]
    names: list[tuple[str, ...]] = [()]
    for part in parts:
        size = len(part.names)
        wide = [a * size + b for a, b in zip(codes, part.codes, strict=True)]
        present = np.zeros(len(names) * size, np.bool_)
        for own, rows in zip(wide, first, strict=True):
            present[own[rows >= 0]] = True
        # A unit that never enters has code 0, which must have a number too.
        number = np.maximum(np.cumsum(present) - 1, 0)
        codes = [number[own] for own in wide]
        names = [(*names[c // size], str(part.names[c % size])) for c in np.flatnonzero(present)]
    return codes, names or [()]


def bin_labels() -> list[str]:
    """What the bins of activity are called.

    Examples
    --------
    >>> bin_labels()[:5], bin_labels()[-1]
    (['0', '1', '2', '3-4', '5-8'], '257+')
    """
    labels = ["0", "1", "2"]
    labels += [f"{2**b + 1}-{2 ** (b + 1)}" for b in range(1, kernels.ACTIVITY_BINS - 3)]
    return [*labels, f"{kernels.MOST_COUNTED}+"]


def first_times(
    shard: Shard,
    *,
    log: EventLog,
    plan: ExposurePlan,
    names: Sequence[str],
    rows: tuple[np.ndarray, np.ndarray],
) -> np.ndarray:
    """When each unit of a shard first did each event, while it was looked at and had not converted.

    The counts know of every event only how often it was done before a cell. Two questions want the
    instant: what a conversion was worth to those who had done something before it, and which
    milestone was reached before something else. Before means what it means there: strictly before
    the conversion, within the horizon, in what the log covers.

    Parameters
    ----------
    names : of events of the log. rows : per unit the row with which it enters, as of `entry_rows`,
        and that of its macro conversion; −1 is none.

    Returns
    -------
    int64 array (events, units) of microseconds, `kernels.NEVER` where it did not.
    """
    first, bought = rows
    entry = shard.time[np.maximum(first, 0)]
    end = np.minimum(entry + plan.horizon_us, log.covers_until_us)
    end = np.where(bought >= 0, np.minimum(end, shard.time[np.maximum(bought, 0)]), end)
    codes = [log.event_names.index(name) for name in names]
    # A code more, for rows that a view hides.
    place = np.full(len(log.event_names) + 1, -1, np.int64)
    place[codes] = np.arange(len(codes))
    bits = np.uint64(sum({1 << code % 64 for code in codes}))
    columns = (shard.time, shard.event, shard.offsets, shard.masks)
    return kernels.first_times(*columns, bits, first, end, place, len(codes))
