"""Clusters: planted groups are found again and named, noise is called noise."""

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
    assert "adjusted Rand index of" in found.sentence()
    assert "44.4% (120 of 270)" in found.sentence()
    assert not any("come out differently" in warning for warning in found.warnings)


def test_noise_is_not_called_stable() -> None:
    log = log_of(np.full((250, 4), 2.0), seed=3)
    found = behavioral_clusters(log, clusters=4, draws=8)
    assert found.stability < 0.7
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
    small = found.table[found.table["k"].isna()]
    assert len(set(small["cluster"])) == 1
    assert small[["rate", "low", "high", "jaccard", "per_session"]].isna().all(axis=None)
    assert found.table["k"].dropna().min() == 90
    assert "too few people to show" in found.figure().layout.meta["alt"]
    with pytest.raises(UsageError, match="min_cell=0"):
        behavioral_clusters(log, min_cell=0)
