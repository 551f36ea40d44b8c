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
import pandas as pd

from analysis.catalog import Catalog
from analysis.core.schema import UsageError, duration_us, one_of
from analysis.eventlog import filters as people
from analysis.eventlog import parallel
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments import kernels as passes
from analysis.segments.evaluate import Look, asked
from analysis.segments.rules import Matching
from analysis.statistics.rates import LEVELS, q_values, rates, trend, wilson

# ──── engagement_scores


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

    cells = _in_order(log, parallel.map_shards(log.shards, looked), 2)
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


# ──── engagement_rows
#
# What the table of engagement asks, event by event: who did it at each level, and how often.


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
    table = pd.concat(list(parts), ignore_index=True)
    trends = pd.DataFrame(list(tests))
    for kind in ("", "share_"):
        q = q_values(trends[f"{kind}p_value"])
        trends[f"{kind}q_value"] = q
        z = trends.pop(f"{kind}z").to_numpy(float)
        way = np.where(z > 0, "rises", "falls")
        trends[f"{kind}trend"] = np.where(q < most_false, way, "unclear")
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

    parts = parallel.map_shards(log.shards, counted)
    cells = people.in_order(log.shards, len(log.event_names), parts).reshape(-1, 2)
    return cells[:, 0].astype(np.int64), cells[:, 1].astype(np.int64)
