"""How engaged is each person, as a score from 0 to 100, and where do the levels begin?

The score is the mean of four percentiles among the people seen: how lately they were there, in how
many sessions, how many micro conversions they did per session, and how many different ones. It can
leave events out, rows and all: whoever asks how often engaged people do a thing must not have
called them engaged for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, one_of
from analysis.eventlog import filters as people
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments import kernels as passes
from analysis.segments.evaluate import Look, asked
from analysis.segments.segment_rules import Matching
from analysis.statistics.rates import LEVELS


class Activity(NamedTuple):
    """Per person, in the order of ``log.user_ids``, up to an instant.

    ``tally`` is how often each event of the log was done, ``sessions`` in how many sessions
    anything was.
    """

    tally: np.ndarray
    sessions: np.ndarray


class Scores(NamedTuple):
    """Per person, in the order of ``log.user_ids``: the four numbers, the score and the level.

    ``seen`` tells whom it is about: people with an event that is not left out. Depth and diversity
    are of micro conversions; recency is in microseconds.
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
    """Two cut points of the score, or None.

    Raises
    ------
    UsageError
        If they are not two rising numbers between 0 and 100.
    """
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


def activity(log: EventLog, instant: int, since: int = -int(passes.EVER)) -> Activity:
    """What everybody did before an instant, and perhaps not before another."""
    names = log.event_names

    def counted(shard: Shard) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, len(names))
        tally = passes.tallied(*rows, since, instant)
        visits = _sessions(Look(shard, names, instant, shard.masks), names, since)
        return np.column_stack([tally, visits])

    cells = _in_order(log, engine.over(log.shards, counted), len(names) + 1)
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
    micros, found, instant : as of `micro_events` and `activity`. cuts : of the score; None: its
        terciles.

    Notes
    -----
    Percentile of the i-th of n: ``100 · (mean rank − ½) / n``. The cut points are the quantiles
    1/3 and 2/3 of the scores (inverted distribution function); equal scores get equal levels.
    """
    kept = tuple(name for name in log.event_names if name not in without)

    def looked(shard: Shard) -> np.ndarray:
        visits, rows = _visits(Look(shard, log.event_names, instant, shard.masks), kept)
        ago = np.full(len(rows), -1, np.int64)
        ago[rows >= 0] = instant - shard.time[rows[rows >= 0]]
        return np.column_stack([visits, ago])

    cells = _in_order(log, engine.over(log.shards, looked), 2)
    codes = [log.event_names.index(name) for name in micros if name not in without]
    own = found.tally[:, codes]
    frequency, recency = cells[:, 0], cells[:, 1]
    depth = own.sum(axis=1) / np.maximum(frequency, 1)
    diversity = (own > 0).sum(axis=1)
    seen = recency >= 0
    score = np.full(len(seen), np.nan)
    score[seen] = _score([-recency[seen], frequency[seen], depth[seen], diversity[seen]])
    if cuts is None:
        ends = [1 / 3, 2 / 3]
        known = score[seen] if seen.any() else np.array([np.nan])
        cut = np.quantile(known, ends, method="inverted_cdf")
        cuts = float(cut[0]), float(cut[1])
    level = np.where(seen, np.searchsorted(np.array(cuts), score, side="left"), -1)
    return Scores(seen, recency, frequency, depth, diversity, score, level, cuts)


def _visits(look: Look, names: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
    """Per user, by these events: in how many sessions, and the last row (−1: none)."""
    last = asked(look, Matching(tuple(names)), passes.found_last)
    return _sessions(look, names, -int(passes.EVER)), last


def _sessions(look: Look, names: Sequence[str], since: int) -> np.ndarray:
    column: Any = look.shard.columns["session"]
    more = (column.codes, len(column.values))
    return asked(look, Matching(tuple(names)), passes.sessions, *more, since=since)


def _score(components: Sequence[np.ndarray]) -> np.ndarray:
    from scipy.stats import rankdata

    # Ranks with ties are whole or half: doubled they add without rounding, in any order.
    doubled = sum(2 * rankdata(one, method="average") - 1 for one in components)
    return np.asarray(100 * doubled / (2 * len(components) * len(components[0]) or 1))


def _in_order(log: EventLog, parts: list[np.ndarray], width: int) -> np.ndarray:
    cells = people.in_order(log.shards, len(log.event_names), parts)
    return cells.reshape(-1, width).astype(np.int64)


def level_names(level: np.ndarray) -> list[str]:
    """Levels in words."""
    return [LEVELS[place] for place in level]
