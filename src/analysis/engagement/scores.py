"""How engaged is each person, as a score from 0 to 100, and where do the levels begin?

The score is the mean of four percentiles among the people seen: how lately they were there, in how
many sessions, how many micro conversions they did per session, and how many different ones. It can
leave events out, rows and all: a question about an event must not call people engaged for doing
that event.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, one_of
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments import kernels
from analysis.segments.evaluate import EARLIEST, RuleContext, scan, sessions
from analysis.segments.rules import Matching


class Activity(NamedTuple):
    """Per person, in the order of ``log.user_ids``, up to an instant.

    ``tally`` is how often each event of the log was done, ``sessions`` in how many sessions
    anything was.
    """

    tally: np.ndarray
    sessions: np.ndarray


class Scores(NamedTuple):
    """Per person, in the order of ``log.user_ids``: the four numbers, the score and the level.

    ``seen`` tells which people it is about: those with an event that is not left out. Depth and
    diversity are of micro conversions; recency is in microseconds.
    """

    seen: np.ndarray
    recency: np.ndarray
    frequency: np.ndarray
    depth: np.ndarray
    diversity: np.ndarray
    score: np.ndarray
    level: np.ndarray
    cuts: tuple[float, float]


def micro_events(log: EventLog, catalog: Catalog) -> list[str]:
    """The micro conversions of a catalog that the log knows: milestones and secondary actions.

    Raises
    ------
    UsageError
        If there is none.

    Examples
    --------
    >>> import pandas as pd
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann"], "time": pd.to_datetime(["2026-01-01"]), "event": ["share"]}))
    >>> micro_events(log, Catalog.load("data/catalogs/ecommerce.toml"))
    ['share']
    """
    named = (*catalog.milestones, *catalog.secondary)
    found = [name for name in named if name in log.event_names]
    if not found:
        raise UsageError(
            f"engagement: none of the catalog's micro conversions is in the log ("
            f"{', '.join(map(repr, named)) or 'it names none'}). Give events of the log the role "
            "milestone or secondary: log.summary() lists them."
        )
    return found


def left_out(log: EventLog, without: str | Sequence[str] | None) -> tuple[str, ...]:
    """The events that a score leaves out, checked."""
    names = () if without is None else (without,) if isinstance(without, str) else tuple(without)
    return tuple(one_of("engagement: without", name, log.event_names) for name in names)


def checked_cuts(cuts: Any) -> tuple[float, float] | None:
    """Two rising cut points of the score between 0 and 100, or None."""
    if cuts is None:
        return None
    try:
        low, high = (float(cut) for cut in cuts)
    except (TypeError, ValueError):
        low = high = np.nan
    if not 0 <= low < high <= 100:
        raise UsageError(
            f"engagement: cuts={cuts!r}. Allowed: two rising scores from 0 to 100, such as "
            "(40, 60): low up to the first, high above the second."
        )
    return low, high


def activity(log: EventLog, instant: int, since: int = EARLIEST) -> Activity:
    """What did everybody do before an instant (and not before `since`)?"""
    names = log.event_names
    anything = Matching(names)

    def counted(shard: Shard) -> np.ndarray:
        tally = kernels.tallied(shard.time, shard.event, shard.offsets, len(names), since, instant)
        visits = sessions(RuleContext.of(log, shard, instant), anything, since=since)
        return np.column_stack([tally, visits])

    cells = _in_order(log, parallel.map_shards(log.shards, counted), len(names) + 1)
    return Activity(cells[:, :-1], cells[:, -1])


def scores(
    log: EventLog,
    micros: Sequence[str],
    found: Activity,
    *,
    instant: int,
    without: Sequence[str],
    cuts: tuple[float, float] | None,
) -> Scores:
    """How engaged is everybody, with some events left out?

    Parameters
    ----------
    micros, found, instant : as of `micro_events` and `activity`.
    without : the events left out.
    cuts : of the score; None: its terciles.

    Notes
    -----
    Percentile of the i-th of n: ``100 · (mean rank − ½) / n``. The cut points are the quantiles
    1/3 and 2/3 of the scores (inverted distribution function); equal scores get equal levels.
    """
    kept = Matching(tuple(name for name in log.event_names if name not in without))

    def visits_and_recency(shard: Shard) -> np.ndarray:
        context = RuleContext.of(log, shard, instant)
        last = scan(context, kept, kernels.found_last)
        ago = np.full(len(last), -1, np.int64)
        ago[last >= 0] = instant - shard.time[last[last >= 0]]
        return np.column_stack([sessions(context, kept), ago])

    cells = _in_order(log, parallel.map_shards(log.shards, visits_and_recency), 2)
    frequency, recency = cells[:, 0], cells[:, 1]
    codes = [log.event_names.index(name) for name in micros if name not in without]
    own = found.tally[:, codes]
    depth = own.sum(axis=1) / np.maximum(frequency, 1)
    diversity = (own > 0).sum(axis=1)
    seen = recency >= 0
    score = np.full(len(seen), np.nan)
    score[seen] = _score([-recency[seen], frequency[seen], depth[seen], diversity[seen]])
    if cuts is None:
        known = score[seen] if seen.any() else np.array([np.nan])
        low, high = np.quantile(known, [1 / 3, 2 / 3], method="inverted_cdf")
        cuts = float(low), float(high)
    level = np.where(seen, np.searchsorted(np.array(cuts), score, side="left"), -1)
    return Scores(seen, recency, frequency, depth, diversity, score, level, cuts)


def _score(components: Sequence[np.ndarray]) -> np.ndarray:
    from scipy.stats import rankdata

    # Ranks with ties are whole or half: doubled they add without rounding, in any order.
    doubled = sum(2 * rankdata(one, method="average") - 1 for one in components)
    return np.asarray(100 * doubled / (2 * len(components) * len(components[0]) or 1))


def _in_order(log: EventLog, parts: list[np.ndarray], width: int) -> np.ndarray:
    cells = filters.in_order(log.shards, len(log.event_names), parts)
    return cells.reshape(-1, width).astype(np.int64)
