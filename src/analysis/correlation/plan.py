"""What is asked of whom: the events, the cells of time since entry, the groups and strata.

Everything a person can get wrong is found here, before a row is read. What the log merely lacks
(a control, a macro conversion, an event that the catalog knows) is no mistake: it is said in a
warning, and the answer shows what is there.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from analysis.catalog import Catalog
from analysis.core.schema import EVENT, TIME, USER, DataError, UsageError, did_you_mean
from analysis.correlation import kernels_exposure as passes
from analysis.correlation.exposure_cells import AUTO, period_edges
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard

ACTIVITY: Final = "activity"


CALENDAR: Final = ("day", "week", "month")


RETURNING: Final = "returning"


_MOST_NAMED: Final = 4


_MOST_COUNTS: Final = 40_000_000


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
        """Per event code, and one for hidden rows: the place in `events` (K of them), K for
        context, K + 1 for anything else; uint16."""
        place = {name: k for k, name in enumerate(self.events)}
        place |= dict.fromkeys(self.context, len(self.events))
        other = len(self.events) + 1
        return np.array([*(place.get(name, other) for name in log.event_names), other], np.uint16)

    def macro_rows(self, log: EventLog, shard: Shard, first: np.ndarray) -> np.ndarray:
        """Per unit of a shard that enters at row `first`: the row of its macro conversion, or −1.

        The conversion is the first one, and lies within the horizon and the log.
        """
        rows = (shard.time, shard.offsets, first, self.all_macros(log, shard))
        return passes.first_macros(*rows, self.horizon_us, log.covers_until_us)

    def all_macros(self, log: EventLog, shard: Shard) -> np.ndarray:
        """The rows of a shard that are macro conversions."""
        if self.macro not in log.event_names:
            return np.empty(0, np.int64)
        return np.flatnonzero(shard.event == log.event_names.index(self.macro))


def exposure_plan(
    log: EventLog,
    catalog: Catalog,
    *,
    macro: str | None = None,
    micros: Sequence[str] | None = None,
    controls: Sequence[str] | None = None,
    period: Any = AUTO,
    horizon: Any = "30d",
    adjust: Sequence[str] = (ACTIVITY,),
    by: str | None = None,
    start: str | None = None,
) -> ExposurePlan:
    """Which events, cells, strata and groups are meant?  See `exposure.exposure_counts`.

    Raises
    ------
    UsageError, DataError
        As `exposure.exposure_counts` does.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": "ann", "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-03"]),
    ...     "event": ["visit", "video", "buy"]}))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video": {"role": "secondary"}}})
    >>> plan = exposure_plan(log, shop, horizon="1h")
    >>> plan.macro, plan.events, plan.context, plan.edges_us[[1, -1]].tolist()
    ('buy', ('video',), ('visit',), [60000000, 3600000000])
    """
    if not log.shards or not log.event_names:
        raise DataError("exposure: the log is empty. Import events first: workbook import FILE.")
    goal = _macro(log, catalog, macro)
    usual = (*catalog.milestones, *catalog.secondary, *catalog.adverse) if micros is None else ()
    if start is not None:
        _check_start(log, start, goal)
    own = _events(log, micros, usual, goal, start)
    placebos = tuple(n for n in catalog.controls if n not in own) if controls is None else ()
    placebo = _events(log, controls, placebos, goal, start)
    if both := sorted(set(own) & set(placebo)):
        raise UsageError(
            f"exposure: {both[0]!r} is both a micro conversion and a control. "
            "Leave it out of one of the two lists."
        )
    named = {goal, *own, *placebo, *catalog.events}
    context = tuple(name for name in log.event_names if name not in named)
    absent = [
        f"“{catalog.label(name)}”"
        for name in (*usual, *placebos)
        if name not in log.event_names and name != goal
    ]
    return ExposurePlan(
        macro=goal,
        events=(*own, *placebo),
        controls=placebo,
        context=context,
        edges_us=period_edges(period, horizon),
        adjust=_adjust(log, adjust),
        by=None if by is None else _property(log, by, "by", (*CALENDAR, RETURNING)),
        start=start,
        warnings=_warnings(placebo, absent, context),
    )


def check_size(plan: ExposurePlan, groups: int, strata: int) -> None:
    """Raise a `UsageError` where the tables would be too large to hold."""
    cells = len(plan.edges_us) - 1
    places = groups * strata + passes.ACTIVITY_BINS**2
    size = 2 * passes.LEVELS * max(len(plan.events), 1) * cells * places
    if size > _MOST_COUNTS:
        raise UsageError(
            f"exposure: {len(plan.events)} events × {cells:,} cells × {groups} groups × "
            f"{strata:,} strata make {size:,} counts. Allowed: up to {_MOST_COUNTS:,}. Take a "
            "longer period, fewer events, or adjust for less."
        )


def _macro(log: EventLog, catalog: Catalog, macro: str | None) -> str:
    name = catalog.macro if macro is None else macro
    if name not in log.event_names and name not in catalog.events:
        raise _unknown(log, name, "macro")
    return name


def _check_start(log: EventLog, start: str, macro: str) -> None:
    if start not in log.event_names:
        raise _unknown(log, start, "start")
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
    if given is None:
        own = (macro, start)
        return tuple(name for name in default if name in log.event_names and name not in own)
    if isinstance(given, str):
        raise UsageError(f"exposure: {given!r} is no list. Allowed: a list of event names.")
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
        if name not in log.event_names:
            raise _unknown(log, name, EVENT)
    return names


def _unknown(log: EventLog, name: object, what: str) -> UsageError:
    return UsageError(
        f"exposure: {what}={name!r} is no event of this log."
        f"{did_you_mean(name, log.event_names)} {len(log.event_names)} events: log.summary()"
    )


def _adjust(log: EventLog, adjust: Sequence[str]) -> tuple[str, ...]:
    names = (adjust,) if isinstance(adjust, str) else tuple(dict.fromkeys(adjust))
    return tuple(_property(log, name, "adjust", (ACTIVITY,)) for name in names)


def _property(log: EventLog, name: str, what: str, words: Sequence[str]) -> str:
    if name in words or name in log.kinds:
        return name
    column = name in (USER, TIME, EVENT)
    hint = f" {name!r} is a column, not a property." if column else ""
    hint = hint or did_you_mean(name, [*words, *log.kinds])
    raise UsageError(
        f"exposure: {what}={name!r} is no property of this log.{hint} "
        f"Allowed: {', '.join(map(repr, [*words, *log.properties]))}."
    )


def _warnings(
    controls: Sequence[str], absent: Sequence[str], context: Sequence[str]
) -> tuple[str, ...]:
    said = []
    if not controls:
        said.append(
            "There is no control among the events: nothing shows how large a number an event "
            "without any influence would get. Give such events the role 'control' in the catalog."
        )
    if absent:
        shown = ", ".join(absent[:_MOST_NAMED])
        more = len(absent) - _MOST_NAMED
        shown += f" and {more} more" if more > 0 else ""
        said.append(f"Not in this log, and left out: {shown}.")
    if not context:
        said.append(
            "Every event of this log has a role or is asked about: nothing is left that shows how "
            "active people are, so there is no adjustment for activity and there are no trials."
        )
    return tuple(said)
