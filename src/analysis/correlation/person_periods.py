"""The person-period table: a row per unit and cell in which it is at risk of converting.

Models want rows (a pooled logistic regression of them is a discrete-time hazard model; a single
cell is a landmark analysis), and a count can be checked against them. The definitions are those of
`exposure.exposure_counts`, which has the same people without writing a row for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, Final

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.catalog import Catalog
from analysis.core.schema import US_PER_SECOND, USER, UsageError
from analysis.correlation import kernels_exposure as passes
from analysis.correlation import kernels_person_periods as rows_pass
from analysis.correlation.exposure_cells import AUTO
from analysis.correlation.exposure_strata import Strata, bin_labels, strata_of
from analysis.correlation.plan import ACTIVITY, ExposurePlan, exposure_plan
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog

_MOST_ROWS: Final = 50_000_000


def person_periods(
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
) -> pd.DataFrame:
    """Who was at risk when, had done what before, and converted then?

    Parameters
    ----------
    macro, micros, controls, period, horizon, adjust, by, start : as in `exposure.exposure_counts`.

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
        As `exposure.exposure_counts`, and above 50 million rows.

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
    numbers = range(len(log.shards))
    bought = [plan.macro_rows(log, log.shards[n], strata.first[n]) for n in numbers]
    bounds = (plan.horizon_us, log.covers_until_us, plan.edges_us)
    sizes = [
        rows_pass.rows_at_risk(log.shards[n].time, strata.first[n], bought[n], *bounds)
        for n in numbers
    ]
    if sum(sizes) > _MOST_ROWS:
        raise UsageError(
            f"person_periods: {sum(sizes):,} rows. Allowed: up to {_MOST_ROWS:,}. Take a longer "
            "period or a shorter horizon, or fewer people: log.in_segment(mask)."
        )
    run = partial(_rows, log=log, plan=plan, strata=strata)
    parts = engine.over(zip(numbers, bought, sizes, strict=True), run)
    return pd.concat(parts, ignore_index=True) if len(parts) > 1 else parts[0]


def _rows(
    part: tuple[int, np.ndarray, int], *, log: EventLog, plan: ExposurePlan, strata: Strata
) -> pd.DataFrame:
    """The rows of one shard."""
    n, bought, size = part
    shard, first, edges = log.shards[n], strata.first[n], plan.edges_us
    unit, cell, context = (np.zeros(size, np.int64) for _ in range(3))
    converted = np.zeros(size, np.bool_)
    times = np.zeros((size, len(plan.events)), np.int64)
    bounds = (plan.horizon_us, log.covers_until_us, edges)
    rows = (shard.time, shard.event, shard.offsets, first, bought, plan.kinds(log))
    rows_pass.fill(*rows, *bounds, (unit, cell, converted, context, times))
    ids = shard.users.take(pa.array(unit)).to_pandas().astype("str")
    bins = passes.BINS[np.minimum(context, passes.MOST_COUNTED)]
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
    binned = passes.ACTIVITY_BINS if strata.binned else 1
    for name in plan.properties:
        columns[name] = strata.table[name].to_numpy()[strata.stratum[n][unit] * binned]
    for k, name in enumerate(plan.events):
        columns |= {name: times[:, k] > 0, f"{name}_count": times[:, k]}
    return pd.DataFrame(columns)
