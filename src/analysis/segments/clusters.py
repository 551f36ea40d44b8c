"""Which kinds of visitors are there, by what they do? Clusters, and how far to trust them.

A person is a point: the logarithm of how often they did each event per session. k-means finds
clusters of points, and always finds some, whether there are groups or not. A smooth crowd cut in
two is cut at the same place again, so clusters can be stable without being groups. Every answer
therefore asks two more things. Are the clusters tighter than where each event is shuffled among the
people, so that nobody does two things together but by chance? And is there a valley between two of
them, or is one group (k = 1) enough? Without both there are no groups, and the answer says so
first. Clusters are named by what their people do more than others, so that a number without a
meaning cannot pass for a type of customer.

What this module refuses to do: call a cluster a type of person, call clusters groups because they
are stable, hide how little remains of them when other people are drawn, or place people of whom
next to nothing has been seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core import checks
from analysis.core.result import Result, small, with_another
from analysis.core.schema import DataError, UsageError, one_of, timestamp
from analysis.core.wording import coefficient, count, label, listed, percent, share
from analysis.eventlog import filters, parallel
from analysis.eventlog.log import EventLog, look_ahead_warnings
from analysis.eventlog.shard import Shard
from analysis.segments import kernels
from analysis.segments.evaluate import EARLIEST, RuleContext, sessions
from analysis.segments.figures import cluster_bars
from analysis.segments.result import Segment, instant_of, picked
from analysis.segments.rules import ANY_EVENT, Matching
from analysis.statistics.modes import depth, one_hump
from analysis.statistics.rates import wilson

STABLE, SHAKY = 0.8, 0.6
MOST_CHOSEN: Final = 8

_STARTS, _STARTS_OF_A_DRAW = 10, 3
_SAMPLE, _SAMPLE_TO_CHOOSE = 10_000, 2_000
_PEOPLE_PER_CLUSTER: Final = 30
_DISTINCT: Final = 0.25
_SHUFFLES: Final = 39
_MOST_LIKELY: Final = 0.05
"""Above this p-value one group is enough."""


@dataclass(frozen=True, eq=False, kw_only=True)
class ClustersResult(Result):
    """The answer of `behavioral_clusters`.

    ``table`` has a row per cluster and distinctive event, largest cluster first: ``cluster`` (its
    name), ``k`` of ``n`` people (``rate, low, high``), ``jaccard`` (how much of the cluster is
    found again when people are drawn anew), ``event``, ``per_session`` (mean of its people) and
    ``per_session_all``. ``users`` has a row per person placed: ``user``, ``cluster``.
    ``stability`` is the mean adjusted Rand index over the draws, with ``stability_low`` and
    ``stability_high`` (their 5 and 95 % quantiles); ``stability_shuffled`` is what it is where each
    event is shuffled among the people (NaN with one event). ``groups`` says whether there are any:
    ``p_shuffled`` is the probability of clusters as tight where the events are shuffled (NaN with
    one event), ``p_one_group`` that of a valley as deep between two of them in one group.
    """

    users: pd.DataFrame
    stability: float
    stability_low: float
    stability_high: float
    stability_shuffled: float
    p_shuffled: float
    p_one_group: float
    at: pd.Timestamp
    log: EventLog = field(repr=False)

    @property
    def groups(self) -> bool:
        """Are there groups, or is one cut into clusters that has none?"""
        return not _reasons(self.p_shuffled, self.p_one_group)

    def segment(self, cluster: str) -> Segment:
        """The people of one cluster, by its name."""
        one_of("clusters: segment", cluster, dict.fromkeys(self.table["cluster"]))
        mask = pd.Series((self.users["cluster"] == cluster).to_numpy(), index=self.users["user"])
        return picked(self.log, mask, at=self.at, name=cluster)

    def sentence(self) -> str:
        """Whether there are groups, how many clusters, the largest one, and how stable they are."""
        known = self.table.dropna(subset=["k"])
        many = self.table["cluster"].nunique()
        people = count(len(self.users))
        reasons = _reasons(self.p_shuffled, self.p_one_group)
        text = f"{people} people fall into {many} clusters"
        if reasons:
            text = (
                f"There are no groups among {people} people: {listed(reasons)}. Cut into {many} "
                "clusters all the same"
            )
        largest = ". "
        if len(known):
            top = known.iloc[0]
            largest = (
                f"{', ' if reasons else '; '}the largest, “{top['cluster']}”, has "
                f"{share(top['k'], top['n'], top['rate'])} of them (95% interval "
                f"{percent(top['low'])} to {percent(top['high'])}). "
            )
        shuffled = ""
        if not np.isnan(self.stability_shuffled):
            by_chance = coefficient(self.stability_shuffled)
            shuffled = f"; where each event is shuffled among people {by_chance}"
        grade = "" if reasons else f": {_grade(self.stability)}"
        return (
            f"{text}{largest}Drawn again, the clusters agree with an adjusted Rand index of "
            f"{coefficient(self.stability)} (90% of the draws between "
            f"{coefficient(self.stability_low)} and {coefficient(self.stability_high)}{shuffled})"
            f"{grade}."
        )

    def figure(self) -> Any:
        """The most distinctive events of each cluster, beside everybody's."""
        return cluster_bars(self.table)


def _grade(stability: float) -> str:
    if stability >= STABLE:
        return "stable"
    return "shaky" if stability >= SHAKY else "not stable enough to build on"


def _reasons(p_shuffled: float, p_one_group: float) -> list[str]:
    """Why there are no groups; none if there are."""
    reasons = []
    if p_one_group > _MOST_LIKELY:
        reasons.append("they differ by degrees, with no valley between any two clusters")
    if p_shuffled > 1 / (1 + _SHUFFLES):
        reasons.append(
            "the clusters are no tighter than where each event is shuffled among the people"
        )
    return reasons


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
    log : see `analysis.core.checks`.
    clusters : how many, 2 to 12; default: the number from 2 to 8 with the best silhouette.
    events : which events count; default: all.
    at : only events strictly before this instant count; default: the end of what the log covers.
    min_events : people with fewer events are not placed.
    draws : how often people are drawn anew (with replacement) to see what remains.
    seed : of the starts, the sample (10,000 people are fitted, all are placed) and the draws.
    min_cell : clusters of fewer people than this are hidden, and never one alone; 1 shows all.

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
    Data Anal* 52:258); 0 is what two clusterings by lot have in common, 1 is the same clusters.

    A smooth crowd is cut at the same place again, so a high index is no evidence of groups. There
    are groups where both hold: of 39 data sets with each event shuffled among the people none has
    as small a sum of squares within clusters (the gap of Tibshirani, Walther & Hastie 2001, *J R
    Stat Soc B* 63:411, against columns that go together by chance), and the dip test (Hartigan &
    Hartigan 1985, at 5 % for all pairs together) finds several humps along the line between two
    clusters, of as many people on each side of its middle. For that test counts are spread evenly
    over their unit, since whole numbers are humps of their own. What sets people apart in one event
    alone, independent of all others, is no group by this: ask for it with ``events=[...]``, or by a
    rule.

    Examples
    --------
    >>> from analysis.simulation.log import simulate
    >>> found = behavioral_clusters(simulate(users=800).log, clusters=3, draws=3)
    >>> found.table["cluster"].nunique(), len(found.users) == int(found.table["n"].iloc[0])
    (3, True)
    """
    _check(clusters, min_events, draws, seed)
    least = checks.min_cell("clusters", min_cell)
    names = checks.names("clusters: events", events) or list(log.event_names)
    for name in names:
        one_of("clusters: events", name, log.event_names)
    instant = instant_of(log, at, "clusters")
    found = points(log, names, instant, min_events)
    needed = _PEOPLE_PER_CLUSTER * (clusters or 2)
    if len(found.users) < needed:
        raise DataError(
            f"clusters: not enough data: {count(len(found.users))} people have {min_events} events "
            f"or more, {count(needed)} are needed. Lower min_events, or import more."
        )
    rng = np.random.default_rng(seed)
    many = clusters or _number_of_clusters(found.sample(rng, _SAMPLE_TO_CHOOSE), seed)
    sample = found.sample(rng, _SAMPLE)
    model = _fitted(sample, many, seed)
    rand, jaccard = _likeness(sample, model, rng, draws)
    place = model.predict(found.scaled)
    titles = _named(found, place, many)
    low, high = np.quantile(rand, [0.05, 0.95])
    against = _Chance.of(found, place, many, seed)
    tests = {"p_shuffled": against.p_shuffled, "p_one_group": against.p_one_group}
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
        warnings=(
            *_warnings(found, float(rand.mean()), _reasons(**tests), min_events),
            *look_ahead_warnings(log),
        ),
        users=pd.DataFrame({"user": found.users, "cluster": np.array(titles)[place]}),
        stability=float(rand.mean()),
        stability_low=float(low),
        stability_high=float(high),
        stability_shuffled=against.stability_shuffled,
        **tests,
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


class Points(NamedTuple):
    """People, their events per session (`rates`), and these standardized logarithms (`scaled`).

    `sessions` are each person's, at least one.
    """

    users: pd.Index
    events: list[str]
    rates: np.ndarray
    scaled: np.ndarray
    left_out: int
    sessions: np.ndarray

    def rows(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """The numbers of at most so many people."""
        if len(self.users) <= most:
            return np.arange(len(self.users))
        return np.sort(rng.choice(len(self.users), most, replace=False))

    def sample(self, rng: np.random.Generator, most: int) -> np.ndarray:
        """The scaled points of at most so many people."""
        return self.scaled[self.rows(rng, most)]

    def spread_evenly(self, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Scaled points of these people, with every count spread evenly over its unit."""
        visits = self.sessions[rows, None]
        counts = self.rates[rows] * visits
        return _standardized(np.log1p((counts + rng.random(counts.shape)) / visits))


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
    match = Matching(tuple(names) or (ANY_EVENT,))

    def tallied(shard: Shard) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, len(log.event_names))
        counts = kernels.tallied(*rows, EARLIEST, instant)[:, codes]
        visits = sessions(RuleContext.of(log, shard, instant), match)
        return np.column_stack([counts, visits])

    parts = parallel.map_shards(log.shards, tallied)
    cells = filters.in_order(log.shards, len(log.event_names), parts).reshape(-1, len(codes) + 1)
    done = cells[:, :-1].sum(axis=1)
    kept = done >= min_events
    visits = np.maximum(cells[kept, -1], 1)
    rates = cells[kept, :-1] / visits[:, None]
    scaled = _standardized(np.log1p(rates))
    left_out = int(((done > 0) & ~kept).sum())
    return Points(log.user_ids[kept], names, rates, scaled, left_out, visits)


def _standardized(points: np.ndarray) -> np.ndarray:
    if not len(points):
        return points
    spread = points.std(axis=0)
    # An event that everybody does equally often sets nobody apart.
    return np.asarray((points - points.mean(axis=0)) / np.where(spread > 0, spread, 1.0))


def _number_of_clusters(sample: np.ndarray, seed: int) -> int:
    """The number from 2 to 8 whose clusters lie furthest apart (Rousseeuw's silhouette, 1987)."""
    from sklearn.metrics import silhouette_score  # type: ignore[import-untyped]

    most = min(MOST_CHOSEN, len(sample) - 1)
    scores = {}
    for many in range(2, most + 1):
        place = _fitted(sample, many, seed).labels_
        scores[many] = silhouette_score(sample, place) if len(np.unique(place)) > 1 else -1.0
    return max(scores, key=lambda many: (scores[many], -many))


def _fitted(sample: np.ndarray, clusters: int, seed: int, *, starts: int = _STARTS) -> Any:
    """k-means of scikit-learn, fitted to points."""
    from sklearn.cluster import KMeans  # type: ignore[import-untyped]
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

    # One thread: the sums then have one order and the clusters are the same on every machine,
    # and samples of this size gain nothing from more.
    with threadpool_limits(1):
        return KMeans(clusters, n_init=starts, random_state=seed).fit(sample)


def _likeness(
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
        again = _fitted(drawn, many, start, starts=_STARTS_OF_A_DRAW).predict(sample)
        rand[draw] = adjusted_rand_score(place, again)
        both = np.zeros((many, many))
        np.add.at(both, (place, again), 1)
        either = both.sum(axis=1)[:, None] + both.sum(axis=0)[None, :] - both
        jaccard[draw] = np.divide(both, either, out=np.zeros_like(both), where=either > 0).max(1)
    return rand, jaccard.mean(axis=0)


class _Chance(NamedTuple):
    """What clusters are like where there are no groups, and how likely these then are."""

    stability_shuffled: float
    p_shuffled: float
    p_one_group: float

    @classmethod
    def of(cls, found: Points, place: np.ndarray, clusters: int, seed: int) -> _Chance:
        """Against shuffled events, and against one group; of at most 2,000 people.

        Parameters
        ----------
        place : the cluster of each person.
        """
        rng = np.random.default_rng([seed, 1])
        rows = found.rows(rng, _SAMPLE_TO_CHOOSE)
        stable, tighter = _against_shuffled(found.scaled[rows], clusters, rng)
        points = found.spread_evenly(rows, rng)
        return cls(stable, tighter, _one_group(points, place[rows], clusters))


def _against_shuffled(
    sample: np.ndarray, clusters: int, rng: np.random.Generator
) -> tuple[float, float]:
    """Stability with each column shuffled, and the p-value of clusters as tight as the sample's."""
    if sample.shape[1] < 2:
        return np.nan, np.nan  # one column, shuffled, is the same people
    own = _fitted(sample, clusters, 0, starts=_STARTS_OF_A_DRAW).inertia_
    stability, as_tight = np.empty(_SHUFFLES), 0
    for shuffle in range(_SHUFFLES):
        shuffled = rng.permuted(sample, axis=0)
        model = _fitted(shuffled, clusters, shuffle, starts=_STARTS_OF_A_DRAW)
        as_tight += model.inertia_ <= own
        stability[shuffle] = _likeness(shuffled, model, rng, 1)[0][0]
    return float(stability.mean()), (1 + as_tight) / (1 + _SHUFFLES)


def _one_group(points: np.ndarray, place: np.ndarray, clusters: int) -> float:
    """The p-value of the deepest valley between two clusters, along the line between them."""
    centers = [points[place == one].mean(axis=0) for one in range(clusters) if (place == one).any()]
    lines = [_around_middle(points, a, b) for i, a in enumerate(centers) for b in centers[:i]]
    lines = [line for line in lines if len(line)]
    # Bonferroni: of many pairs one has a deep valley by chance.
    return min(1.0, len(lines) * one_hump(max(lines, key=depth))) if lines else 1.0


def _around_middle(points: np.ndarray, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Where people lie along the line between two centers, as many on each side of its middle.

    Of many people on one side those count that are nearest to the middle: in all of them a small
    group is a small dip. A stretch of a smooth crowd has one hump, too.
    """
    line = np.sort(points @ (a - b))
    middle = int(np.searchsorted(line, (a + b) / 2 @ (a - b)))
    most = min(middle, len(line) - middle)
    return np.asarray(line[middle - most : middle + most])


def _named(found: Points, place: np.ndarray, clusters: int) -> list[str]:
    """A name per cluster, from the events that set it apart the most; no two are equal.

    Examples
    --------
    >>> scaled = np.array([[1.0, -1.0], [-1.0, 1.0]])
    >>> people, events = pd.Index(["ann", "bob"]), ["share", "search"]
    >>> found = Points(people, events, scaled, scaled, 0, np.array([1, 1]))
    >>> _named(found, np.array([0, 1]), 2)
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


def _table(
    found: Points, place: np.ndarray, titles: list[str], jaccard: np.ndarray, min_cell: int
) -> pd.DataFrame:
    n = len(place)
    everybody = found.rates.mean(axis=0)
    sizes = np.bincount(place, minlength=len(titles))
    hidden = with_another(small(sizes, min_cell), sizes)
    parts = []
    for cluster in np.argsort(-sizes, kind="stable"):
        own = place == cluster
        k = int(own.sum())
        low, high = (float(end) for end in wilson(k, n))
        apart = found.scaled[own].mean(axis=0)
        top = np.argsort(-np.abs(apart), kind="stable")[:3]
        rows = {"cluster": titles[cluster], "k": k, "n": n, "rate": k / n, "low": low, "high": high}
        rows |= {"jaccard": jaccard[cluster], "event": [found.events[e] for e in top]}
        rows |= {"per_session": found.rates[own].mean(axis=0)[top]}
        part = pd.DataFrame(rows | {"per_session_all": everybody[top]})
        if hidden[cluster]:
            part[["k", "rate", "low", "high", "jaccard", "per_session"]] = np.nan
        parts.append(part)
    return pd.concat(parts, ignore_index=True)


def _warnings(
    found: Points, stability: float, reasons: list[str], min_events: int
) -> tuple[str, ...]:
    notes = []
    if found.left_out:
        notes.append(
            f"{count(found.left_out)} people with fewer than {min_events} events are not placed."
        )
    if reasons:
        notes.append("The clusters are no groups, however stable: do not build on them.")
    elif stability < STABLE:
        notes.append("With other people of the same kind the clusters would come out differently.")
    return tuple(notes)
