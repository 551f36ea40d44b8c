"""People as points, groups of points, and how much of a group is found again in another draw."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.wording import label, listed
from analysis.eventlog import filters as people
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.segments import kernels as passes
from analysis.segments.evaluate import Look, asked
from analysis.segments.rules import frequency
from analysis.segments.segment_rules import ANY_EVENT

STARTS, STARTS_OF_A_DRAW = 10, 3


MOST_CHOSEN = 8


_DISTINCT = 0.25


class Points(NamedTuple):
    """People, their events per session, and the same on the scale on which they are compared."""

    users: pd.Index
    events: list[str]
    rates: np.ndarray
    scaled: np.ndarray
    left_out: int

    def sample(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """The scaled points of at most so many people."""
        if len(self.users) <= most:
            return self.scaled
        return self.scaled[np.sort(rng.choice(len(self.users), most, replace=False))]


def points(log: EventLog, names: list[str], instant: int, min_events: int) -> Points:
    """The people who have done at least `min_events` of these events before an instant.

    Examples
    --------
    >>> log = EventLog.from_frame(pd.DataFrame({
    ...     "user": ["ann", "ann", "bob"], "event": ["a", "a", "b"],
    ...     "time": pd.to_datetime(["2026-01-01", "2026-01-02", "2026-01-01"])}))
    >>> points(log, ["a", "b"], log.covers_until_us, 1).rates.tolist()
    [[1.0, 0.0], [0.0, 1.0]]
    """
    codes = [log.event_names.index(name) for name in names]

    def tallied(shard: Shard) -> np.ndarray:
        look = Look(shard, log.event_names, instant, shard.masks)
        rows = (shard.time, shard.event, shard.offsets, len(log.event_names))
        counts = passes.tallied(*rows, -int(passes.EVER), instant)[:, codes]
        column: Any = shard.columns["session"]
        match = frequency("session", at_least=1, event=names or ANY_EVENT).match
        visits = asked(look, match, passes.sessions, column.codes, len(column.values))
        return np.column_stack([counts, visits])

    parts = engine.over(log.shards, tallied)
    cells = people.in_order(log.shards, len(log.event_names), parts).reshape(-1, len(codes) + 1)
    done = cells[:, :-1].sum(axis=1)
    kept = done >= min_events
    rates = cells[kept, :-1] / np.maximum(cells[kept, -1:], 1)
    scaled = np.log1p(rates)
    if len(scaled):
        spread = scaled.std(axis=0)
        # What everybody does equally often sets nobody apart.
        scaled = (scaled - scaled.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return Points(log.user_ids[kept], names, rates, scaled, int(((done > 0) & ~kept).sum()))


def fitted(sample: np.ndarray, clusters: int, seed: int, *, starts: int = STARTS) -> Any:
    """k-means of scikit-learn, fitted to points."""
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One thread: the sums then have one order and the clusters are the same on every machine,
    # and samples of this size gain nothing from more.
    with threadpool_limits(1):
        return KMeans(clusters, n_init=starts, random_state=seed).fit(sample)


def number_of_clusters(sample: np.ndarray, seed: int) -> int:
    """The number from 2 to 8 whose clusters lie furthest apart (Rousseeuw's silhouette, 1987)."""
    from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]

    most = min(MOST_CHOSEN, len(sample) - 1)
    scores = {}
    for many in range(2, most + 1):
        place = fitted(sample, many, seed).labels_
        scores[many] = silhouette_score(sample, place) if len(np.unique(place)) > 1 else -1.0
    return max(scores, key=lambda many: (scores[many], -many))


def likeness(
    sample: np.ndarray, model: Any, rng: np.random.Generator, draws: int
) -> tuple[np.ndarray, np.ndarray]:
    """How alike are the clusters of people drawn anew?

    Returns
    -------
    (rand, jaccard) : the adjusted Rand index of each draw, and per cluster the mean over the draws
        of its best Jaccard similarity with a cluster of the draw.
    """
    from sklearn.metrics import adjusted_rand_score  # type: ignore[import-untyped]

    place, many = model.predict(sample), model.n_clusters
    rand, jaccard = np.empty(draws), np.zeros((draws, many))
    for draw in range(draws):
        drawn = sample[rng.integers(0, len(sample), len(sample))]
        start = int(rng.integers(0, 2**31))
        again = fitted(drawn, many, start, starts=STARTS_OF_A_DRAW).predict(sample)
        rand[draw] = adjusted_rand_score(place, again)
        both = np.zeros((many, many))
        np.add.at(both, (place, again), 1)
        either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
        jaccard[draw] = np.divide(both, either, out=np.zeros_like(both), where=either > 0).max(1)
    return rand, jaccard.mean(axis=0)


def named(found: Points, place: np.ndarray, clusters: int) -> list[str]:
    """A name per cluster, from the events that set it apart the most; no two are equal.

    Examples
    --------
    >>> scaled = np.array([[1.0, -1.0], [-1.0, 1.0]])
    >>> found = Points(pd.Index(["ann", "bob"]), ["share", "search"], scaled, scaled, 0)
    >>> named(found, np.array([0, 1]), 2)
    ['Much share', 'Much search']
    """
    titles: list[str] = []
    for cluster in range(clusters):
        own = place == cluster
        apart = found.scaled[own].mean(axis=0) if own.any() else np.zeros(len(found.events))
        top = [e for e in np.argsort(-apart, kind="stable")[:2] if apart[e] >= _DISTINCT]
        if top:
            title = "Much " + listed([label(found.events[e]).lower() for e in top])
        else:
            least = int(np.argmin(apart))
            little = apart[least] <= -_DISTINCT
            title = f"Little {label(found.events[least]).lower()}" if little else "Like everybody"
        twins = sum(other.split(" (")[0] == title for other in titles)
        titles.append(f"{title} ({twins + 1})" if twins else title)
    return titles
