"""The real sample of Google's merchandise store through the funnel, against plain Python.

The sample may not be passed on with the project; see `tests/sources/test_presets.py`.
"""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd
import pytest
from support.samples import MERCHANDISE_STORE, needs_merchandise_store

from analysis.cli import run
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.funnels.spec import Exclusion

pytestmark = needs_merchandise_store
WEEK = pd.Timedelta("7D")
STEPS = ["select_item", "view_item", "add_to_cart", "begin_checkout", "purchase"]


class Best(NamedTuple):
    """A visitor's best chain: how far, when each step, and where it was entered."""

    reach: int
    times: list[pd.Timestamp]
    device: str


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> EventLog:
    to = tmp_path_factory.mktemp("ga360") / "log"
    assert run(["import", str(MERCHANDISE_STORE), "--source", "ga360", "--to", str(to)]) == 0
    return EventLog.open(to)


@pytest.fixture(scope="module")
def best() -> list[Best]:
    """From the raw file: of every product list click of a visitor, the next hit of each kind."""
    hits = pd.read_csv(MERCHANDISE_STORE, dtype=str)
    hits["at"] = pd.to_datetime(hits["ts"], utc=True, format="ISO8601")
    action = hits["ecommerce_action"]
    kinds = [
        action == "product_list_click",
        action == "product_detail_view",
        action == "add_to_cart",
        (action == "checkout") & (hits["checkout_step"] == "1"),
        hits["transactionRevenue_micros"].notna(),
    ]
    found = []
    for _, rows in hits.groupby("fullVisitorId"):
        at = [rows.loc[kind[rows.index], "at"].tolist() for kind in kinds]
        device = dict(zip(rows["at"], rows["deviceCategory"], strict=True))
        chains = [chain_from(entry, at[1:]) for entry in at[0]]
        if chains:
            times = min(chains, key=lambda c: (-len(c), c[-1], c[1:], -c[0].value))
            found.append(Best(len(times), times, device[times[0]]))
    return found


def chain_from(entry: pd.Timestamp, at: list[list[pd.Timestamp]]) -> list[pd.Timestamp]:
    times = [entry]
    for instants in at:
        later = [t for t in instants if times[-1] <= t <= entry + WEEK]
        if not later:
            break
        times.append(min(later))
    return times


def test_the_funnel_by_device_is_that_of_the_raw_hits(log: EventLog, best: list[Best]) -> None:
    result = funnel(log, STEPS, window="7d", by="device")
    for row in result.table.to_dict("records"):
        mine = [one for one in best if one.device == row["group"]]
        k = row["step"]
        assert row["count"] == sum(one.reach >= k for one in mine)
        waits = [one.times[k - 1] - one.times[k - 2] for one in mine if one.reach >= k > 1]
        if waits and row["k"] == row["count"]:
            assert row["median_seconds"] == pd.Series(waits).median().total_seconds()
    assert set(result.table["group"]) == {one.device for one in best}
    assert len(result.attempts) == len(best) > 100
    assert sum(one.reach == 5 for one in best) >= 10
    assert "got from select_item to purchase within 7 days (95 % interval" in result.sentence()


def test_every_other_question_keeps_to_the_plain_one(log: EventLog, best: list[Best]) -> None:
    plain = funnel(log, STEPS).table["count"].tolist()
    assert plain == [sum(one.reach >= k for one in best) for k in range(1, 6)]
    for fewer in (
        {"entry": "first"},
        {"ties": "strict"},
        {"order": "strict"},
        {"exclude": [Exclusion("remove_from_cart", after=3)]},
    ):
        found = funnel(log, STEPS, **fewer).table["count"].tolist()
        assert found[0] == plain[0], fewer
        assert all(a <= b for a, b in zip(found, plain, strict=True)), fewer
    clicks = log.where(event="select_item").to_frame()
    visits = funnel(log, STEPS, unit="session").table["count"].iloc[0]
    assert visits == len(clicks[["user", "session"]].drop_duplicates())
    weeks = clicks.groupby("user")["time"].agg(lambda t: t.max() - t.min() > WEEK).sum()
    tries = funnel(log, STEPS, count="attempts").table["count"].iloc[0]
    assert plain[0] + weeks <= tries <= len(clicks)
    counted = funnel(log, STEPS, order="any").table["count"]
    assert counted.iloc[-1] >= plain[-1]
    assert counted.is_monotonic_decreasing
