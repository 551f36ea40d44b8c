"""What the table of engagement asks, event by event: who did it at each level, and how often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import duration_us, one_of
from analysis.engagement.scores import Activity, Scores
from analysis.eventlog import filters as people
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments import kernels_engagement as passes
from analysis.statistics.rates import LEVELS, rates, trend
from analysis.statistics.stats import wilson

SESSIONS, CARTS = "sessions", "carts"


_NUMBERS = (
    "events",
    "trials",
    "per_100",
    "low",
    "high",
    "k",
    "n",
    "share",
    "share_low",
    "share_high",
)


class Question(NamedTuple):
    """An event and the events that its levels leave out; `wait` (µs) if it is a derived one."""

    event: str
    label: str
    role: str
    without: tuple[str, ...]
    wait: int | None


def questions(log: EventLog, catalog: Catalog, events: Sequence[str] | None) -> list[Question]:
    """The rows of the table, in the order of the catalog, or as they are asked for.

    Raises
    ------
    UsageError
        If an event is neither of the log nor derived from its events.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["share"]}))
    >>> questions(log, Catalog.load("data/catalogs/ecommerce.toml"), None)[0].without
    ('share',)
    """
    known: dict[str, Question] = {}
    for role in ("milestone", "secondary", "adverse", "control"):
        for name in catalog.with_role(role):
            if name in log.event_names:
                known[name] = Question(name, catalog.label(name), role, (name,), None)
    for name, entry in catalog.derived.items():
        pair = (str(entry["after"]), str(entry["without"]))
        if set(pair) <= set(log.event_names):
            wait = duration_us(entry["wait"])
            role = str(entry.get("role", "adverse"))
            known[name] = Question(name, catalog.label(name), role, pair, wait)
    if events is None:
        return list(known.values())
    for name in log.event_names:
        role = catalog.events[name].role if name in catalog.events else "context"
        known.setdefault(name, Question(name, catalog.label(name), role, (name,), None))
    return [known[one_of("engagement: events", name, known)] for name in events]


def rows_of(
    log: EventLog, question: Question, found: Activity, scored: Scores, period: tuple[int, int]
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Three rows, one per level, and the trends over them.

    Parameters
    ----------
    found : what was done in the period, from its first instant to its last (excluded).
    """
    own = scored.seen
    if question.wait is None:
        events, trials = found.tally[:, log.event_names.index(question.event)], found.sessions
    else:
        trials, events = _carts(log, question, period)
    events, trials, level = events[own], trials[own], scored.level[own]
    did = (events > 0).astype(np.int64)
    bounded = question.wait is not None
    # Of carts, only those who had one can leave it: the share is of them.
    can = trials > 0 if bounded else np.ones(len(level), np.bool_)
    rate = rates(events, trials, level, bounded=bounded)
    n = np.bincount(level[can], minlength=3)
    k = np.bincount(level[can], weights=did[can], minlength=3)
    share_low, share_high = wilson(k, n)
    about = {"event": question.event, "label": question.label, "role": question.role}
    rows = pd.DataFrame(
        {
            **{name: [cell] * len(LEVELS) for name, cell in about.items()},
            "level": list(LEVELS),
            "unit": CARTS if bounded else SESSIONS,
            **{name: getattr(rate, name) for name in ("events", "trials", "per_100")},
            **{"low": rate.low, "high": rate.high, "k": k, "n": n.astype(float)},
            "share": np.divide(k, n, out=np.full(3, np.nan), where=n > 0),
            **{"share_low": share_low, "share_high": share_high},
        }
    )
    up = trend(events, trials, level, rate)
    ones = can.astype(np.int64)
    shares = trend(did * ones, ones, level, rates(did * ones, ones, level, bounded=True))
    test = about | {"unit": CARTS if bounded else SESSIONS, "ratio": up.ratio}
    test |= {"ratio_low": up.low, "ratio_high": up.high, "p_value": up.p_value}
    return rows, test | {"z": up.z, "share_p_value": shares.p_value, "share_z": shares.z}


def trend_rows(
    parts: Sequence[pd.DataFrame],
    tests: Sequence[dict[str, Any]],
    *,
    most_false: float,
    min_cell: int,
) -> tuple[pd.DataFrame, pd.DataFrame, int]:
    """All rows without the numbers of few people, their trends judged together, how many hidden."""
    from scipy.stats import false_discovery_control

    table = pd.concat(list(parts), ignore_index=True)
    trends = pd.DataFrame(list(tests))
    for kind in ("", "share_"):
        p_values = trends[f"{kind}p_value"].to_numpy(float)
        known = ~np.isnan(p_values)
        q_values = np.full(len(trends), np.nan)
        if known.any():
            q_values[known] = false_discovery_control(p_values[known], method="bh")
        trends[f"{kind}q_value"] = q_values
        z = trends.pop(f"{kind}z").to_numpy(float)
        way = np.where(z > 0, "rises", "falls")
        trends[f"{kind}trend"] = np.where(q_values < most_false, way, "unclear")
    few = ((table[["k", "n"]] > 0) & (table[["k", "n"]] < min_cell)).any(axis=1).to_numpy()
    table.loc[few, list(_NUMBERS)] = np.nan
    touched = trends["event"].isin(set(table.loc[few, "event"]))
    trends.loc[touched, ["ratio", "ratio_low", "ratio_high"]] = np.nan
    return table, trends, int(few.sum())


def _carts(
    log: EventLog, question: Question, period: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Per person, in the order of ``log.user_ids``: carts decided in the period, and left."""
    after, without = (log.event_names.index(name) for name in question.without)

    def counted(shard: Shard) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, after, without, question.wait)
        # What is decided by an instant stays so: the difference is what is decided in between.
        start, end = (np.column_stack(passes.carts(*rows, instant)) for instant in period)
        return end - start

    parts = engine.over(log.shards, counted)
    cells = people.in_order(log.shards, len(log.event_names), parts).reshape(-1, 2)
    return cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64)
