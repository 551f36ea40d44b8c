"""Which kinds of visitors are there, by what they do? Clusters, and how far to trust them.

A person is a point: the logarithm of how often they did each event per session. k-means finds
groups of points, and always finds some, whether there are groups or not. So every answer says how
stable the groups are when the people are drawn again, and names them by what their people do more
than others, so that a number without a meaning cannot pass for a type of customer.

What this module refuses to do: call a cluster a type of person, hide how little remains of it
when other people are drawn, or place people of whom next to nothing has been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from analysis.core.result import Result
from analysis.core.schema import DataError, UsageError, one_of, timestamp
from analysis.core.wording import count, percent, share
from analysis.eventlog.hindsight import hindsight
from analysis.eventlog.log import EventLog
from analysis.segments.cluster_points import (
    Points,
    fitted,
    likeness,
    named,
    number_of_clusters,
    points,
)
from analysis.segments.figures import cluster_bars
from analysis.segments.result import Segment, instant_of, picked
from analysis.segments.segment_values import few, names_of
from analysis.statistics.stats import wilson

STABLE, SHAKY = 0.8, 0.6


@dataclass(frozen=True, eq=False, kw_only=True)
class ClustersResult(Result):
    """The answer of `behavioral_clusters`.

    ``table`` has a row per cluster and distinctive event, largest cluster first: ``cluster`` (its
    name), ``k`` of ``n`` people (``rate, low, high``), ``jaccard`` (how much of the cluster is
    found again when people are drawn anew), ``event``, ``per_session`` (mean of its people) and
    ``per_session_all``. ``users`` has a row per person placed: ``user``, ``cluster``.
    ``stability`` is the mean adjusted Rand index over the draws, with ``stability_low`` and
    ``stability_high`` (their 5 and 95 % quantiles).
    """

    users: pd.DataFrame
    stability: float
    stability_low: float
    stability_high: float
    at: pd.Timestamp
    log: EventLog = field(repr=False)

    def segment(self, cluster: str) -> Segment:
        """The people of one cluster, by its name."""
        one_of("clusters: segment", cluster, dict.fromkeys(self.table["cluster"]))
        mask = pd.Series((self.users["cluster"] == cluster).to_numpy(), index=self.users["user"])
        return picked(self.log, mask, at=self.at, name=cluster)

    def sentence(self) -> str:
        """How many clusters there are, the largest one, and how stable they are."""
        top = self.table.iloc[0]
        many = self.table["cluster"].nunique()
        return (
            f"{count(top['n'])} people fall into {many} clusters; the largest, “{top['cluster']}”, "
            f"has {share(top['k'], top['n'], top['rate'])} of them (95% interval "
            f"{percent(top['low'])} to {percent(top['high'])}). Drawn again, the clusters agree "
            f"with an adjusted Rand index of {self.stability:.2f} (90% of the draws between "
            f"{self.stability_low:.2f} and {self.stability_high:.2f}): {_grade(self.stability)}."
        )

    def figure(self) -> Any:
        """The most distinctive events of each cluster, beside everybody's."""
        return cluster_bars(self.table)


def behavioral_clusters(
    log: EventLog,
    *,
    clusters: int | None = None,
    events: str | Sequence[str] | None = None,
    at: Any = None,
    min_events: int = 5,
    draws: int = 20,
    seed: int = 0,
    min_cell: int = 1,
) -> ClustersResult:
    """Which groups of people do alike, and are they more than chance?

    Parameters
    ----------
    clusters : how many, 2 to 12; default: the number from 2 to 8 with the best silhouette.
    events : which events count; default: all.
    at : only events strictly before this instant count; default: the end of what the log covers.
    min_events : people with fewer events are not placed.
    draws : how often people are drawn anew (with replacement) to see what remains.
    seed : of the starts, the sample (10,000 people are fitted, all are placed) and the draws.
    min_cell : clusters of fewer people than this are hidden; 1 shows all.

    Raises
    ------
    UsageError
        If an event is unknown or a number out of range.
    DataError
        If there are fewer than 30 people per cluster to place.

    Notes
    -----
    ``x = log(1 + events per session)``, standardized; k-means with ten starts (scikit-learn).
    Stability: k-means on each draw, everybody of the sample placed by both, adjusted Rand index
    (Hubert & Arabie 1985) and per cluster the best Jaccard similarity (Hennig 2007, *Comput Stat
    Data Anal* 52:258); an index of 0 is what chance gives, 1 is the same clusters.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> found = behavioral_clusters(simulate(users=800).log, clusters=3, draws=3)
    >>> found.table["cluster"].nunique(), len(found.users) == int(found.table["n"].iloc[0])
    (3, True)
    """
    _check(clusters, min_events, draws, seed)
    least = few(min_cell, "clusters")
    names = names_of(events, "clusters: events") or list(log.event_names)
    for name in names:
        one_of("clusters: events", name, log.event_names)
    instant = instant_of(log, at, "clusters")
    found = points(log, names, instant, min_events)
    if len(found.users) < 30 * (clusters or 2):
        raise DataError(
            f"clusters: not enough data: {len(found.users):,} people have {min_events} events or "
            f"more, {30 * (clusters or 2):,} are needed. Lower min_events, or import more."
        )
    rng = np.random.default_rng(seed)
    many = clusters or number_of_clusters(found.sample(rng, 2_000), seed)
    sample = found.sample(rng, 10_000)
    model = fitted(sample, many, seed)
    rand, jaccard = likeness(sample, model, rng, draws)
    place = model.predict(found.scaled)
    titles = named(found, place, many)
    low, high = np.quantile(rand, [0.05, 0.95])
    return ClustersResult(
        table=_table(found, place, titles, jaccard, least),
        parameters={
            "clusters": many,
            "events": names,
            "at": timestamp(instant).isoformat(),
            "min_events": min_events,
            "draws": draws,
            "seed": seed,
            "min_cell": least,
        },
        warnings=(*_warnings(found, float(rand.mean()), min_events), *hindsight(log)),
        users=pd.DataFrame({"user": found.users, "cluster": np.array(titles)[place]}),
        stability=float(rand.mean()),
        stability_low=float(low),
        stability_high=float(high),
        at=timestamp(instant),
        log=log,
    )


def _check(clusters: int | None, min_events: int, draws: int, seed: int) -> None:
    bounds = {"clusters": (clusters, 2, 12), "min_events": (min_events, 1, 10**6)}
    bounds |= {"draws": (draws, 2, 1_000), "seed": (seed, 0, 2**32 - 1)}
    for name, (number, low, high) in bounds.items():
        if number is None:
            continue
        if isinstance(number, bool) or not isinstance(number, int) or not low <= number <= high:
            raise UsageError(
                f"clusters: {name}={number!r}. Allowed: a whole number from {low} to {high:,}."
            )


def _table(
    found: Points, place: np.ndarray, titles: list[str], jaccard: np.ndarray, min_cell: int
) -> pd.DataFrame:
    n = len(place)
    everybody = found.rates.mean(axis=0)
    parts = []
    for cluster in np.argsort(-np.bincount(place, minlength=len(titles)), kind="stable"):
        own = place == cluster
        k = int(own.sum())
        low, high = (float(end) for end in wilson(k, n))
        apart = found.scaled[own].mean(axis=0)
        top = np.argsort(-np.abs(apart), kind="stable")[:3]
        rows = {"cluster": titles[cluster], "k": k, "n": n, "rate": k / n, "low": low, "high": high}
        rows |= {"jaccard": jaccard[cluster], "event": [found.events[e] for e in top]}
        rows |= {"per_session": found.rates[own].mean(axis=0)[top]}
        parts.append(pd.DataFrame(rows | {"per_session_all": everybody[top]}))
    table = pd.concat(parts, ignore_index=True)
    hidden = table["k"] < min_cell
    if hidden.any():
        shown = ["k", "rate", "low", "high", "jaccard", "per_session"]
        table[shown] = table[shown].astype(float).mask(hidden)
    return table


def _grade(stability: float) -> str:
    if stability >= STABLE:
        return "stable"
    return "shaky" if stability >= SHAKY else "not stable enough to build on"


def _warnings(found: Points, stability: float, min_events: int) -> tuple[str, ...]:
    said = []
    if found.left_out:
        said.append(
            f"{count(found.left_out)} people with fewer than {min_events} events are not placed."
        )
    if stability < STABLE:
        said.append(
            f"The clusters are {_grade(stability)} (adjusted Rand index {stability:.2f}): with "
            "other people of the same kind they would come out differently."
        )
    return tuple(said)
