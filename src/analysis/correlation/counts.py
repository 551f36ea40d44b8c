"""Who had done it before, who had not, and how many of each converted: counts, and nothing else.

This is the only place that decides "before". Time since a unit's first event is cut into cells.
In each, those at risk are those who have not converted before it starts, in cells that the log
covers whole; exposed are those who did the micro conversion strictly before it starts; and the
outcome is a macro conversion inside it. So what follows the macro conversion, or comes with it,
never counts as having led there, everybody is compared with people who had equally long, and who
is not watched any longer leaves.

Activity is how many events without a role came before the cell: people who do much do more of
everything. It is in part a consequence of what they did, so beside these counts stand sequential
trials, which compare those who do the event now with those, active now too, who have not yet.

The counts add up over shards to the same integers however the log is cut. What they mean is for
`correlation` to say; this module calls nothing an effect.

References
----------
Suissa 2008, *Am. J. Epidemiol.* 167:492-499 (time in which the outcome cannot occur);
Hernán & Robins 2016, *Am. J. Epidemiol.* 183:758-764 (trials);
D'Agostino et al. 1990, *Stat. Med.* 9:1501-1515 (pooled cells).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import human_duration
from analysis.correlation.exposure_cells import AUTO
from analysis.correlation.exposure_strata import strata_of
from analysis.correlation.exposure_tables import tables_of
from analysis.correlation.plan import ACTIVITY, ExposurePlan, check_size, exposure_plan
from analysis.eventlog.log import EventLog

LEVELS: Final = ("0", "1", "2", "3+")
"""How often an event was done before."""


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
) -> ExposureCounts:
    """How many had done each event before, and how many of them converted, among their like?

    Parameters
    ----------
    macro, micros, controls : names of events; default: what the catalog says (milestones,
        secondary and adverse events are micros), as far as the log has them.
    period : length of a cell, or ``"auto"``; see `exposure_cells.period_edges`.
    horizon : how long after a unit's first event to look.
    adjust : what makes a stratum: ``"activity"``, and properties at the unit's first event.
    by : what makes a group: a property at the unit's first event; ``"day"``, ``"week"`` or
        ``"month"`` of it (UTC); or ``"returning"``: new until a second session begins.
    start : the event with which a unit enters, such as a milestone that all must have reached to
        be alike; who never did it is not looked at, nor is what came before it. Default: a unit's
        first event, whichever it is; "first event" above and below is the one it enters with.

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
    >>> counts = exposure_counts(log, shop, horizon="2min")
    >>> counts.at_risk.sum(axis=(2, 4))[0].tolist()  # by how often, and cell
    [[2, 1], [0, 1], [0, 0], [0, 0]]
    >>> period_tables(counts, "video").sum(axis=0).tolist()
    [[1, 0], [0, 3]]
    """
    plan = exposure_plan(
        log,
        catalog,
        macro=macro,
        micros=micros,
        controls=controls,
        period=period,
        horizon=horizon,
        adjust=adjust,
        by=by,
        start=start,
    )
    strata = strata_of(log, plan)
    check_size(plan, len(strata.groups), len(strata.table))
    found = tables_of(log, plan, strata)
    facts, (units, mature, converters, counted, first_cell) = found.facts, found.totals.tolist()
    did = np.stack([facts[:, 1], facts[:, 2]], axis=-1)
    everybody = np.array([units - converters, converters])
    return ExposureCounts(
        macro=plan.macro,
        events=plan.events,
        controls=plan.controls,
        edges_us=plan.edges_us,
        groups=strata.groups,
        strata=strata.table,
        at_risk=found.at_risk,
        macros=found.macros,
        trial_users=found.trial_users,
        trial_macros=found.trial_macros,
        peers=np.stack([everybody - did, did], axis=1),
        users=facts[:, 0],
        structural=found.structural,
        waits_us=found.waits_us,
        units=units,
        mature=mature,
        converters=converters,
        converters_counted=counted,
        first_cell=first_cell,
        warnings=(*plan.warnings, *_warnings(plan, catalog, found.totals)),
    )


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
    converted, unexposed and not]]``.
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


def _warnings(plan: ExposurePlan, catalog: Catalog, totals: np.ndarray) -> tuple[str, ...]:
    units, mature, converters = totals[:3].tolist()
    label, entry = catalog.label(plan.macro), "the first event"
    if plan.start is not None:
        entry = f"the first “{catalog.label(plan.start)}”"
    after = f"within {human_duration(plan.horizon_us)} of {entry}"
    said = []
    if not converters:
        said.append(f"None of {units:,} users has {label} {after}: there is nothing to compare.")
    if not mature:
        said.append(
            f"The log follows none of {units:,} users for the whole horizon of "
            f"{human_duration(plan.horizon_us)}: there are no trials. Take a shorter horizon."
        )
    return tuple(said)


def _two_by_two(n1: np.ndarray, k1: np.ndarray, n0: np.ndarray, k0: np.ndarray) -> np.ndarray:
    return np.stack([k1, n1 - k1, k0, n0 - k0], axis=-1).reshape(-1, 2, 2)


def _place(name: str | int, names: Sequence[str]) -> int:
    return names.index(name) if isinstance(name, str) else name
