"""Clusters: planted groups are found again and named, where there are none that is said."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.segments.clusters import behavioral_clusters, points

EVENTS = ["read", "search", "watch", "share"]


def log_of(rates: np.ndarray, seed: int = 1) -> EventLog:
    """A user per row of `rates`, with Poisson counts of each event in three sessions."""
    rng = np.random.default_rng(seed)
    rows = []
    for user, own in enumerate(rates):
        for session in range(3):
            start = pd.Timestamp("2026-01-01") + pd.Timedelta(days=session)
            for event, number in zip(EVENTS, rng.poisson(own), strict=True):
                rows += [(f"u{user:04}", start, event, str(session))] * int(number)
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "session"])
    return EventLog.from_frame(frame, session="session", shards=2, covers_until="2026-02-01")


def planted() -> tuple[EventLog, np.ndarray]:
    kinds = np.repeat([0, 1, 2], [120, 90, 60])
    centers = np.array([[6.0, 0.2, 0.2, 0.1], [0.5, 5.0, 0.2, 0.1], [0.5, 0.2, 4.0, 3.0]])
    return log_of(centers[kinds]), kinds


def test_planted_groups_are_found_again_and_named() -> None:
    log, kinds = planted()
    found = behavioral_clusters(log, draws=5)
    assert found.parameters["clusters"] == 3
    assert found.stability > 0.98
    table = found.table.drop_duplicates("cluster")
    assert table["k"].tolist() == [120, 90, 60]
    assert table["jaccard"].min() > 0.95
    assert [name.split(" and ")[0] for name in table["cluster"]] == [
        "Much read",
        "Much search",
        "Much share",
    ]
    place = found.users["cluster"].to_numpy()
    for kind in range(3):
        own = place[kinds == kind]
        assert (own == own[0]).all()
    readers = found.segment(table["cluster"].iloc[0])
    assert readers.size == 120
    assert readers.name.startswith("Much read")
    assert log.in_segment(readers).users == 120
    assert found.groups
    assert "adjusted Rand index of" in found.sentence()
    assert "where each event is shuffled among people 0." in found.sentence()
    assert "44.4% (120 of 270)" in found.sentence()
    assert not any("come out differently" in warning for warning in found.warnings)


def amounts(rng: np.random.Generator, spread: float = 0.9) -> np.ndarray:
    """How much each of 500 people does: one smooth crowd."""
    return rng.lognormal(0.7, spread, (500, 1))


def no_groups(world: str, rng: np.random.Generator) -> np.ndarray:
    """Rates of people who differ by degrees, or in nothing, or independently in each event."""
    one_amount = {
        "in one event": np.array([2.0, 0, 0, 0]),
        "in all events": np.array([0.8, 0.6, 0.4, 0.2]),
    }
    if world in one_amount:
        return amounts(rng) * one_amount[world]
    return {
        "in nothing": np.full((500, 4), 2.0),
        "rare and independent": np.full((1_500, 4), 0.4),
        "independent amounts": rng.gamma(1.0, 1.5, (500, 4)),
        "from one kind to the other": 5 * np.linspace([0, 1, 0.1, 0.1], [1, 0, 0.1, 0.1], 500),
    }[world]


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize(
    "world",
    [
        "in one event",
        "in all events",
        "in nothing",
        "rare and independent",
        "independent amounts",
        "from one kind to the other",
    ],
)
def test_where_there_are_no_groups_none_are_found(world: str, seed: int) -> None:
    log = log_of(no_groups(world, np.random.default_rng(seed)), seed)
    found = behavioral_clusters(log, draws=3)
    assert not found.groups
    assert found.sentence().startswith("There are no groups among ")
    assert "stable" not in found.sentence()
    assert any(warning.startswith("The clusters are no groups, ") for warning in found.warnings)


def test_a_smooth_crowd_is_cut_at_one_place_and_still_has_no_groups() -> None:
    """Its clusters come out the same again: that alone was called stable."""
    log = log_of(no_groups("in one event", np.random.default_rng(3)))
    found = behavioral_clusters(log, events=["read"], draws=5)
    assert found.stability > 0.85
    assert found.p_one_group > 0.2
    assert np.isnan(found.p_shuffled)
    assert "they differ by degrees, with no valley between any two clusters" in found.sentence()


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("share", [0.4, 0.1])
def test_planted_groups_are_found_among_people_who_differ_in_amount(
    share: float, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    kinds = (rng.random(500) < share).astype(int)
    centers = np.array([[3.0, 1.0, 0.3, 0.3], [0.5, 0.5, 3.0, 2.0]])
    log = log_of(centers[kinds] * rng.lognormal(0, 0.3, (500, 1)), seed)
    found = behavioral_clusters(log, clusters=2, draws=3)
    assert found.groups
    assert found.p_shuffled == 0.025
    assert found.p_one_group < 0.01
    assert found.stability_shuffled < 0.8 < found.stability
    assert "stable" in found.sentence()
    place = pd.crosstab(
        found.users["cluster"].to_numpy(), kinds[[int(u[1:]) for u in found.users["user"]]]
    )
    assert place.max().sum() / place.to_numpy().sum() > 0.95


def test_clusters_that_are_groups_may_still_be_shaky() -> None:
    log, _ = planted()
    found = behavioral_clusters(log, clusters=7, draws=4)
    assert found.groups
    assert found.stability < 0.8
    assert any("come out differently" in warning for warning in found.warnings)


def test_the_same_seed_gives_the_same_whatever_the_shards() -> None:
    log, _ = planted()
    other = EventLog.from_frame(log.to_frame(), session="session", shards=1,
                                covers_until="2026-02-01")  # fmt: skip
    one, two = (behavioral_clusters(one, clusters=3, draws=3) for one in (log, other))
    pd.testing.assert_frame_equal(one.table, two.table)
    pd.testing.assert_frame_equal(one.users, two.users)


def test_points_are_rates_per_session_before_the_instant() -> None:
    log, _ = planted()
    at = pd.Timestamp("2026-01-02 12:00", tz="UTC")
    found = points(log, EVENTS, int(at.value // 1000), 3)
    frame = log.to_frame()
    frame = frame[frame["time"] < at]
    counts = pd.crosstab(frame["user"], frame["event"])[EVENTS]
    counts = counts[counts.sum(axis=1) >= 3]
    visits = frame.groupby("user")["session"].nunique().loc[counts.index]
    assert list(found.users) == list(counts.index)
    assert np.allclose(found.rates, counts.to_numpy() / visits.to_numpy()[:, None])
    assert found.left_out == frame["user"].nunique() - len(counts)
    before = points(log, EVENTS, int(pd.Timestamp("2025-12-01").value // 1000), 3)
    assert (len(before.users), before.left_out) == (0, 0)
    assert np.allclose(found.scaled.mean(axis=0), 0)
    assert np.allclose(found.scaled.std(axis=0), 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"clusters": 1}, "from 2 to 12"),
        ({"draws": 1}, "from 2"),
        ({"min_events": 0}, "from 1"),
        ({"seed": -1}, "from 0"),
        ({"events": ["reed"]}, "Did you mean 'read'"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        behavioral_clusters(log_of(np.full((2, 4), 2.0)), **arguments)


def test_too_few_people() -> None:
    with pytest.raises(DataError, match="not enough data: 20 people"):
        behavioral_clusters(log_of(np.full((20, 4), 3.0)), clusters=3)


@pytest.mark.filterwarnings("error")
def test_nobody_to_place() -> None:
    log = log_of(np.full((3, 4), 2.0))
    for nobody in (log, EventLog.from_frame(log.to_frame().iloc[:0])):
        with pytest.raises(DataError, match="not enough data: 0 people have 99 events or more"):
            behavioral_clusters(nobody, min_events=99)


def test_clusters_of_few_people_are_hidden() -> None:
    log, _ = planted()
    found = behavioral_clusters(log, clusters=3, draws=2, min_cell=80)
    # The smallest, and the next one, or it could be worked out.
    small = found.table[found.table["k"].isna()]
    assert len(set(small["cluster"])) == 2
    assert small[["rate", "low", "high", "jaccard", "per_session"]].isna().all(axis=None)
    assert found.table["k"].dropna().min() == 120
    assert "has 44.4% (120 of 270)" in found.sentence()
    figure = found.figure()
    assert figure.layout.meta["alt"].count("too few people to show") == 2
    assert "nan" not in figure.to_json()
    with pytest.raises(UsageError, match="min_cell=0"):
        behavioral_clusters(log, min_cell=0)
