"""How many had done it before, how many had not, and how many of each converted?

Counts, and nothing else. This is the only place that decides "before". Time since a unit's first
event is cut into cells. In each, those at risk are those who have not converted before it starts,
in cells that the log covers whole; exposed are those who did the micro conversion strictly before
it starts; and the outcome is a macro conversion inside it. So an event that follows the macro
conversion, or comes with it, never counts as having led there, everybody is compared with people
who had equally long, and a unit that is no longer watched leaves.

Activity is how many events without a role came before the cell: people who do much do more of
everything. It is in part a consequence of what they did, so beside these counts stand sequential
trials, which compare those who do the event now with those, active now too, who have not yet.

`exposure_counts` gives the counts, `person_periods` the same people as rows: models want rows (a
pooled logistic regression of them is a discrete-time hazard model; a single cell is a landmark
analysis), and each of the two can check the other. The counts add up over shards to the same
integers however the log is cut. This file refuses to call anything an effect: `table.py` and
`verdict.py` say what the counts mean.

References
----------
Suissa 2008, *Am. J. Epidemiol.* 167:492-499 (time in which the outcome cannot occur);
Hernán & Robins 2016, *Am. J. Epidemiol.* 183:758-764 (trials);
D'Agostino et al. 1990, *Stat. Med.* 9:1501-1515 (pooled cells).
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.catalog import Catalog
from analysis.core.schema import (
    SESSION,
    SESSION_GAP_US,
    US_PER_SECOND,
    USER,
    UsageError,
    human_duration,
)
from analysis.correlation import kernels
from analysis.correlation.plan import (
    ACTIVITY,
    AUTO,
    ExposureOptions,
    ExposurePlan,
    Strata,
    bin_labels,
    check_size,
    exposure_plan,
    strata_of,
)
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn

LEVELS: Final = ("0", "1", "2", "3+")
"""How often an event was done before."""

_MOST_ROWS: Final = 50_000_000


@dataclass(frozen=True, eq=False, kw_only=True)
class ExposureCounts:
    """The counts of `exposure_counts`; K events, P cells, G groups, S strata, A bins of activity.

    Attributes
    ----------
    macro : the macro conversion. events : the events asked about; `controls` are the last of them.
    edges_us : int64 (P + 1,), microseconds since entry; cell p is [edges_us[p], edges_us[p + 1]).
    groups : their names. strata : a row per stratum: ``activity`` and the properties.
    at_risk : int64 (K, 4, G, P, S): units at risk at the start of the cell, by how often they had
        done the event (`LEVELS`). macros : the same, those whose first macro lies in the cell.
    trial_users : int64 (K, 2, P, A, A): by cell, activity before and in it; the second axis is 1
        for those who do the event in the cell for the first time, 0 for those who have not yet.
        trial_macros : the same, those with a macro conversion after the cell within the horizon.
    peers : int64 (K, 2, 2): [did it][converted], where the event counts before the macro
        conversion of those who have one, and in the whole horizon of the others.
    users : int64 (K,): units that did it within the horizon, whenever.
    structural : int64 (K,): macro conversions with the event in their session, at most 30
        minutes before or at the instant.
    waits_us : per event a sorted int64 array: from the first event to the macro conversion, of
        the converters who did it strictly before.
    units : with any event. mature : of these, whose whole horizon the log covers. converters :
        with a macro conversion within horizon and log. converters_counted : of these, in a cell
        that the log covers whole. first_cell : of the converters, in the first cell.
    warnings : what makes these counts less than they seem.
    """

    macro: str
    events: tuple[str, ...]
    controls: tuple[str, ...]
    edges_us: np.ndarray
    groups: tuple[str, ...]
    strata: pd.DataFrame
    at_risk: np.ndarray
    macros: np.ndarray
    trial_users: np.ndarray
    trial_macros: np.ndarray
    peers: np.ndarray
    users: np.ndarray
    structural: np.ndarray
    waits_us: tuple[np.ndarray, ...]
    units: int
    mature: int
    converters: int
    converters_counted: int
    first_cell: int
    warnings: tuple[str, ...] = ()


def exposure_counts(
    log: EventLog, catalog: Catalog, options: ExposureOptions | None = None
) -> ExposureCounts:
    """How many had done each event before, and how many of them converted, among their like?

    Parameters
    ----------
    options : events, cells, strata and groups; default: what the catalog says, over 30 days.

    Raises
    ------
    UsageError
        If a name is unknown, the macro conversion or the start is among the events, an event is
        both a micro conversion and a control, a duration cannot be read, or the tables would be
        too large.
    DataError
        If the log is empty.

    Notes
    -----
    Of a view of a log only the rows shown count, so a unit enters with the first of them.
    Activity counts the events that have no role in the catalog and are not asked about: an
    event's own count as activity would hide a part of its association. Trials take units whose
    whole horizon the log covers, at risk in a cell, with at least one such event in it and no
    macro conversion in it.

    Examples
    --------
    >>> rows = [("ann", "10:00:00", "visit"), ("ann", "10:00:30", "video"),
    ...         ("ann", "10:01:30", "buy"), ("bob", "10:00:00", "visit")]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime("2026-01-01 " + frame.time)))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video": {"role": "secondary"}}})
    >>> counts = exposure_counts(log, shop, ExposureOptions(horizon="2min"))
    >>> counts.at_risk.sum(axis=(2, 4))[0].tolist()  # by how often, and cell
    [[2, 1], [0, 1], [0, 0], [0, 0]]
    >>> period_tables(counts, "video").sum(axis=0).tolist()
    [[1, 0], [0, 3]]
    """
    return counts_of(log, catalog, exposure_plan(log, catalog, options))


def counts_of(log: EventLog, catalog: Catalog, plan: ExposurePlan) -> ExposureCounts:
    """`exposure_counts` of a plan that is checked already."""
    strata = strata_of(log, plan)
    check_size(plan, len(strata.groups), len(strata.table))
    # One iterator for all threads: each takes the next shard when it is free, and adds it into
    # tables of its own, so that memory does not grow with the shards. All of them are integers, so
    # nothing depends on which thread counted what.
    numbers = iter(range(len(log.shards)))
    workers = min(len(log.shards), os.cpu_count() or 1)
    run = partial(_count_shards, log=log, plan=plan, strata=strata)
    whole, *others = parallel.map_shards([numbers] * workers, run)
    for part in others:
        whole.counts[:] += part.counts
        whole.waits.extend(part.waits)
    found = whole.tables
    waits = parallel.map_shards(range(len(plan.events)), partial(_sorted_waits, whole.waits))
    trial_users, trial_macros = _trials(found.active[:-1], found.trials[:-1])
    units, mature, converters, counted, first_cell = found.totals.tolist()
    before = np.array([len(own) for own in waits], np.int64)
    did = np.stack([found.did[0], before], axis=-1)
    everybody = np.array([units - converters, converters])
    return ExposureCounts(
        macro=plan.macro,
        events=plan.events,
        controls=plan.controls,
        edges_us=plan.edges_us,
        groups=strata.groups,
        strata=strata.table,
        at_risk=_by_event(found.changes.cumsum(axis=2), found.done_changes.cumsum(axis=2)),
        macros=_by_event(found.macros, found.done_macros),
        trial_users=trial_users,
        trial_macros=trial_macros,
        peers=np.stack([everybody - did, did], axis=1),
        users=found.did.sum(axis=0, dtype=np.int64),
        structural=found.shortly.astype(np.int64),
        waits_us=tuple(waits),
        units=units,
        mature=mature,
        converters=converters,
        converters_counted=counted,
        first_cell=first_cell,
        warnings=(*plan.warnings, *_warnings(plan, catalog, units, mature, converters)),
    )


class _Part(NamedTuple):
    """What one thread found: counts and the tables in them, and waits by event."""

    counts: np.ndarray
    tables: kernels.CountTables
    waits: list[tuple[np.ndarray, np.ndarray]]


def _count_shards(
    numbers: Iterator[int], *, log: EventLog, plan: ExposurePlan, strata: Strata
) -> _Part:
    """The counts of the shards that are left when this thread is free."""
    kind, asked = plan.kinds(log), len(plan.events)
    layout, counts, tables = kernels.no_counts(
        asked=asked,
        cells=len(plan.edges_us) - 1,
        groups=len(strata.groups),
        strata=len(strata.table),
        binned=strata.binned,
    )
    part = _Part(counts, tables, [])
    bounds = (plan.horizon_us, log.covers_until_us, SESSION_GAP_US)
    cells = kernels.with_guesses(plan.edges_us)
    for n in numbers:
        shard = log.shards[n]
        session = shard.columns[SESSION]
        assert isinstance(session, TextColumn)
        rows = (shard.time, shard.event, session.codes, shard.offsets)
        people = (strata.first[n], strata.group[n], strata.stratum[n], strata.turns[n])
        macros = plan.all_macros(log, shard)
        found = kernels.count(rows, people, macros, bounds, kind, cells, layout, counts)
        part.waits.append(found)
    return part


def _sorted_waits(waits: Sequence[tuple[np.ndarray, np.ndarray]], k: int) -> np.ndarray:
    own = np.concatenate([found[ends[k] : ends[k + 1]] for found, ends in waits])
    own.sort()
    return own


def _by_event(everybody: np.ndarray, done: np.ndarray) -> np.ndarray:
    """From (groups, strata, cells + 1, 4, K) to (K, 4, groups, cells, strata).

    Those who never did it are everybody less those who did.
    """
    everybody, done = everybody[:, :, :-1], done[:, :, :-1, 1:]
    groups, strata, cells, levels, events = done.shape
    out = np.empty((events, levels + 1, groups, cells, strata), np.int64)
    out[:, 1:] = done.transpose(4, 3, 0, 2, 1)
    out[:, 0] = everybody.transpose(0, 2, 1) - out[:, 1:].sum(axis=1)
    return out


def _trials(active: np.ndarray, trials: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Users and macros (K, 2, cells, bins, bins): not done yet, and done now."""
    now, before = np.ascontiguousarray(trials.transpose(4, 3, 5, 0, 1, 2))
    not_yet = active.transpose(3, 0, 1, 2)[:, None] - now - before
    macros = np.stack([not_yet[1], now[1]], axis=1).astype(np.int64)
    return np.stack([not_yet[0], now[0]], axis=1) + macros, macros


def _warnings(
    plan: ExposurePlan, catalog: Catalog, units: int, mature: int, converters: int
) -> tuple[str, ...]:
    label, entry = catalog.label(plan.macro), "the first event"
    if plan.start is not None:
        entry = f"the first “{catalog.label(plan.start)}”"
    after = f"within {human_duration(plan.horizon_us)} of {entry}"
    notes = []
    if not converters:
        notes.append(f"None of {units:,} users has {label} {after}: there is nothing to compare.")
    if not mature:
        notes.append(
            f"The log follows none of {units:,} users for the whole horizon of "
            f"{human_duration(plan.horizon_us)}: there are no trials. Take a shorter horizon."
        )
    return tuple(notes)


def period_tables(
    counts: ExposureCounts,
    event: str | int,
    *,
    level: int | None = None,
    group: str | int | None = None,
) -> np.ndarray:
    """The 2×2 tables of an event by cell and stratum.

    Parameters
    ----------
    event : its name, or its place in ``counts.events``.
    level : compare those who had done it this often (1, 2; 3 is three times and more) with those
        who had not; default: any number of times.
    group : name or place of a group; default: all together.

    Returns
    -------
    int64 array (P × S, 2, 2) of ``[[exposed and converted, exposed and not], [unexposed and
    converted, unexposed and not]]``; see the example of `exposure_counts`.
    """
    k = _place(event, counts.events)
    at_risk, macros = counts.at_risk[k], counts.macros[k]
    if group is None:
        at_risk, macros = at_risk.sum(axis=1), macros.sum(axis=1)
    else:
        g = _place(group, counts.groups)
        at_risk, macros = at_risk[:, g], macros[:, g]
    exposed = slice(1, None) if level is None else slice(level, level + 1)
    return _two_by_two(
        at_risk[exposed].sum(axis=0), macros[exposed].sum(axis=0), at_risk[0], macros[0]
    )


def trial_tables(counts: ExposureCounts, event: str | int) -> np.ndarray:
    """The 2×2 tables of an event's trials by cell and activity, as `period_tables` has them.

    Returns
    -------
    int64 array (P × A × A, 2, 2); exposed are those who do it in the cell.
    """
    k = _place(event, counts.events)
    users, macros = counts.trial_users[k], counts.trial_macros[k]
    return _two_by_two(users[1], macros[1], users[0], macros[0])


def peers_table(counts: ExposureCounts, event: str | int) -> np.ndarray:
    """The one 2×2 table that is usual elsewhere, as `period_tables` has them: int64 (2, 2).

    Converters have only the time until they convert to do the event, others the whole horizon.
    """
    return counts.peers[_place(event, counts.events)][::-1, ::-1]


def _two_by_two(n1: np.ndarray, k1: np.ndarray, n0: np.ndarray, k0: np.ndarray) -> np.ndarray:
    return np.stack([k1, n1 - k1, k0, n0 - k0], axis=-1).reshape(-1, 2, 2)


def _place(name: str | int, names: Sequence[str]) -> int:
    return names.index(name) if isinstance(name, str) else name


def person_periods(  # noqa: PLR0913
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
    since: Any = None,
) -> pd.DataFrame:
    """Which units were at risk in which cell, what had they done before, and did they convert?

    Parameters
    ----------
    macro, micros, controls, period, horizon, adjust, by, start, since : as in
        `plan.ExposureOptions`.

    Returns
    -------
    DataFrame with a row per unit and cell at risk, by unit and cell: ``user``; ``period`` (from
    0) with ``start_seconds`` and ``end_seconds`` since the unit's first event; ``converted``;
    ``activity`` (number of context events before the cell starts) and ``activity_bin``;
    ``group``; the properties of `adjust`; and for each event whether (``event``) and how often
    (``event_count``) it was done before the cell starts.

    Raises
    ------
    UsageError, DataError
        As `exposure_counts`, and above 50 million rows.

    References
    ----------
    Allison 1982, *Sociol. Methodol.* 13:61-98.

    Examples
    --------
    >>> rows = [("ann", "10:00:00", "visit"), ("ann", "10:00:30", "video"),
    ...         ("ann", "10:01:30", "buy")]
    >>> frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    >>> log = EventLog.from_frame(frame.assign(time=pd.to_datetime("2026-01-01 " + frame.time)))
    >>> shop = Catalog.from_mapping({"name": "shop", "events": {
    ...     "buy": {"role": "macro"}, "video": {"role": "secondary"}}})
    >>> table = person_periods(log, shop, horizon="1h")
    >>> table[["user", "start_seconds", "converted", "video", "activity"]].to_dict("split")["data"]
    [['ann', 0.0, False, False, 0], ['ann', 60.0, True, True, 1]]
    """
    log = log.until_end()
    options = ExposureOptions(
        macro=macro,
        micros=micros,
        controls=controls,
        period=period,
        horizon=horizon,
        adjust=adjust,
        by=by,
        start=start,
        since=since,
    )
    plan = exposure_plan(log, catalog, options)
    strata = strata_of(log, plan)
    numbers = range(len(log.shards))
    bought = [plan.macro_rows(log, log.shards[n], strata.first[n]) for n in numbers]
    bounds = (plan.horizon_us, log.covers_until_us, plan.edges_us)
    sizes = [
        kernels.rows_at_risk(log.shards[n].time, strata.first[n], bought[n], *bounds)
        for n in numbers
    ]
    if sum(sizes) > _MOST_ROWS:
        raise UsageError(
            f"person_periods: {sum(sizes):,} rows. Allowed: up to {_MOST_ROWS:,}. Take a longer "
            "period or a shorter horizon, or fewer people: log.in_segment(mask)."
        )
    run = partial(_rows_of_shard, log=log, plan=plan, strata=strata)
    parts = parallel.map_shards(zip(numbers, bought, sizes, strict=True), run)
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]


def _rows_of_shard(
    part: tuple[int, np.ndarray, int], *, log: EventLog, plan: ExposurePlan, strata: Strata
) -> pd.DataFrame:
    n, bought, size = part
    shard, first, edges = log.shards[n], strata.first[n], plan.edges_us
    unit, cell, context = (np.zeros(size, np.int64) for _ in range(3))
    converted = np.zeros(size, np.bool_)
    times = np.zeros((size, len(plan.events)), np.int64)
    bounds = (plan.horizon_us, log.covers_until_us, edges)
    rows = (shard.time, shard.event, shard.offsets, first, bought, plan.kinds(log))
    kernels.fill(*rows, *bounds, (unit, cell, converted, context, times))
    ids = shard.users.take(pa.array(unit)).to_pandas().astype("str")
    bins = kernels.BINS[np.minimum(context, kernels.MOST_COUNTED)]
    group = strata.group[n][unit]
    if len(strata.turns[n]):
        starts = shard.time[first[unit]] + edges[cell]
        group = group + (strata.turns[n][unit] < starts)
    columns: dict[str, Any] = {
        USER: ids,
        "period": cell,
        "start_seconds": edges[cell] / US_PER_SECOND,
        "end_seconds": edges[cell + 1] / US_PER_SECOND,
        "converted": converted,
        ACTIVITY: context,
        "activity_bin": pd.Categorical.from_codes(bins, pd.Index(bin_labels()), ordered=True),
        "group": pd.Categorical.from_codes(group, pd.Index(strata.groups)),
    }
    binned = kernels.ACTIVITY_BINS if strata.binned else 1
    for name in plan.properties:
        columns[name] = strata.table[name].to_numpy()[strata.stratum[n][unit] * binned]
    for k, name in enumerate(plan.events):
        columns |= {name: times[:, k] > 0, f"{name}_count": times[:, k]}
    return pd.DataFrame(columns)
