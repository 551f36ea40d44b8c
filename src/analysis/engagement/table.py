"""How often do people of each level do an action, per session, and does that rise with the level?

`row_specs` says which actions are asked about, `level_rows` gives the three rows and the tests of
one of them, `judged_trends` puts all of them together. A derived action (a cart left) is counted
per cart instead of per session.

What this module refuses to do: count a row's own event in the score that makes the row's levels, or
show few people.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.result import suppress
from analysis.core.schema import duration_us, one_of
from analysis.engagement.scores import Activity, Scores
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments.kernels import carts
from analysis.statistics.rates import LEVELS, q_values, rates, trend, wilson

SESSIONS, CARTS = "sessions", "carts"

_NUMBERS: Final = [
    *("events", "trials", "per_100", "low", "high"),
    *("k", "n", "share", "share_low", "share_high"),
]


class RowSpec(NamedTuple):
    """An event and the events that its levels leave out; `wait` (µs) if it is a derived one."""

    event: str
    label: str
    role: str
    without: tuple[str, ...]
    wait: int | None


def row_specs(log: EventLog, catalog: Catalog, events: Sequence[str] | None) -> list[RowSpec]:
    """The rows of the table, in the order of the catalog, or as they are asked for.

    Raises
    ------
    UsageError
        If an event is neither of the log nor derived from its events.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["share"]}))
    >>> row_specs(log, Catalog.load("data/catalogs/ecommerce.toml"), None)[0].without
    ('share',)
    """
    known: dict[str, RowSpec] = {}
    for role in ("milestone", "secondary", "adverse", "control"):
        for name in catalog.with_role(role):
            if name in log.event_names:
                known[name] = RowSpec(name, catalog.label(name), role, (name,), None)
    for name, entry in catalog.derived.items():
        pair = (str(entry["after"]), str(entry["without"]))
        if set(pair) <= set(log.event_names):
            wait = duration_us(entry["wait"])
            role = str(entry.get("role", "adverse"))
            known[name] = RowSpec(name, catalog.label(name), role, pair, wait)
    if events is None:
        return list(known.values())
    for name in log.event_names:
        role = catalog.events[name].role if name in catalog.events else "context"
        known.setdefault(name, RowSpec(name, catalog.label(name), role, (name,), None))
    return [known[one_of("engagement: events", name, known)] for name in events]


def level_rows(
    log: EventLog, spec: RowSpec, found: Activity, scored: Scores, period: tuple[int, int]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Three rows, one per level, and the tests of the trends over them.

    Parameters
    ----------
    found : what was done in the period, from its first instant to its last (excluded).
    """
    own = scored.seen
    of_carts = spec.wait is not None
    if of_carts:
        trials, events = _carts(log, spec, period)
    else:
        events, trials = found.tally[:, log.event_names.index(spec.event)], found.sessions
    events, trials, level = events[own], trials[own], scored.level[own]
    did = (events > 0).astype(np.int64)
    # Of carts, only people who had one can leave it: the share is of them.
    can = trials > 0 if of_carts else np.ones(len(level), np.bool_)
    rate = rates(events, trials, level, bounded=of_carts)
    n = np.bincount(level[can], minlength=3)
    k = np.bincount(level[can], weights=did[can], minlength=3)
    share_low, share_high = wilson(k, n)
    unit = CARTS if of_carts else SESSIONS
    about = {"event": spec.event, "label": spec.label, "role": spec.role}
    rows = pd.DataFrame(
        {
            **{name: [cell] * len(LEVELS) for name, cell in about.items()},
            "level": list(LEVELS),
            "unit": unit,
            "events": rate.events,
            "trials": rate.trials,
            "per_100": rate.per_100,
            "low": rate.low,
            "high": rate.high,
            "k": k,
            "n": n.astype(float),
            "share": np.divide(k, n, out=np.full(3, np.nan), where=n > 0),
            "share_low": share_low,
            "share_high": share_high,
        }
    )
    of_rate = trend(events, trials, level, rate)
    ones = can.astype(np.int64)
    of_share = trend(did * ones, ones, level, rates(did * ones, ones, level, bounded=True))
    tests = about | {
        "unit": unit,
        "ratio": of_rate.ratio,
        "ratio_low": of_rate.low,
        "ratio_high": of_rate.high,
        "p_value": of_rate.p_value,
        "z": of_rate.z,
        "share_p_value": of_share.p_value,
        "share_z": of_share.z,
    }
    return rows, tests


def _carts(log: EventLog, spec: RowSpec, period: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Per person, in the order of ``log.user_ids``: carts decided in the period, and left."""
    after, without = (log.event_names.index(name) for name in spec.without)

    def counted(shard: Shard) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, after, without, spec.wait)
        # A cart decided by an instant stays so: the difference is decided in between.
        start, end = (np.column_stack(carts(*rows, instant)) for instant in period)
        return end - start

    parts = parallel.map_shards(log.shards, counted)
    cells = filters.in_order(log.shards, len(log.event_names), parts).reshape(-1, 2)
    return cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64)


def judged_trends(
    parts: Sequence[pd.DataFrame],
    tests: Sequence[dict[str, Any]],
    *,
    most_false: float,
    min_cell: int,
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """All rows without the numbers of few people, their trends judged together, how many hidden."""
    table = pd.concat(list(parts), ignore_index=True)
    trends = pd.DataFrame(list(tests))
    for kind in ("", "share_"):
        q = q_values(trends[f"{kind}p_value"])
        trends[f"{kind}q_value"] = q
        way = np.where(trends.pop(f"{kind}z").to_numpy(float) > 0, "rises", "falls")
        trends[f"{kind}trend"] = np.where(q < most_false, way, "unclear")
    table, few = suppress(table, min_cell=min_cell, counts=["n"], columns=_NUMBERS)
    touched = trends["event"].isin(set(table.loc[few, "event"]))
    trends.loc[touched, ["ratio", "ratio_low", "ratio_high"]] = np.nan
    return table, trends, int(few.sum())
