"""The share of people who did what nobody wants, against a count in pandas and planted changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.notebook_cells import run_cells

from analysis.catalog import Catalog
from analysis.core.result import records
from analysis.eventlog.log import EventLog
from analysis.reports.adverse import adverse_shares

WEEKS = pd.date_range("2026-08-03", periods=10, freq="7D")
LAST = (WEEKS[-1], WEEKS[-1] + pd.Timedelta(days=7))
ROLES = {"view_item": "milestone", "purchase": "macro", "support_chat": "adverse"}
ROLES |= {"remove_from_cart": "adverse", "never_seen": "adverse"}
SHOP = Catalog.from_mapping(
    {"name": "shop", "events": {name: {"role": role} for name, role in ROLES.items()}}
)


def rows(last_chats: float, people: int = 500) -> pd.DataFrame:
    """Ten weeks; 5 % of the people chat, in the last week so many; 10 % empty their cart."""
    draw = np.random.default_rng(11)
    found = []
    for place, week in enumerate(WEEKS):
        chats = last_chats if place == len(WEEKS) - 1 else 0.05
        for number in range(people):
            # A third of them come every week.
            user = f"u{number}" if number % 3 == 0 else f"u{place}-{number}"
            time = week + pd.Timedelta(hours=float(draw.uniform(0, 167)))
            found.append((user, time, "view_item"))
            for share, name in ((chats, "support_chat"), (0.1, "remove_from_cart")):
                if draw.uniform() < share:
                    found += [(user, time + pd.Timedelta(minutes=m), name) for m in (1, 2)]
            if draw.uniform() < 0.2:
                found.append((user, time + pd.Timedelta(minutes=5), "purchase"))
    return pd.DataFrame(found, columns=["user", "time", "event"])


def log_of(frame: pd.DataFrame, until: str = "2026-10-19", **options: Any) -> EventLog:
    return EventLog.from_frame(frame, covers_until=until, **options)


@pytest.mark.parametrize("shards", [1, 3])
def test_shares_are_those_of_a_count_in_pandas(shards: int) -> None:
    frame = rows(0.05)
    table = adverse_shares(log_of(frame, shards=shards), SHOP, period=LAST).table
    week = frame[(frame["time"] >= LAST[0]) & (frame["time"] < LAST[1])]
    assert set(table["event"]) == {"support_chat", "remove_from_cart"}
    for row in records(table):
        assert row.n == week["user"].nunique()
        assert row.k == week.loc[week["event"] == row.event, "user"].nunique()
        assert row.low < row.rate < row.high
        assert row.history == 9


def test_chats_that_rise_fourfold_are_said_beside_the_headline() -> None:
    found = adverse_shares(log_of(rows(0.21)), SHOP, period=LAST)
    chats, carts = found.table.itertuples()
    assert (chats.event, chats.verdict) == ("support_chat", "clearly high")
    assert chats.usual == pytest.approx(0.05, abs=0.01)
    assert carts.verdict == "usual"
    (alarm,) = found.alarms
    assert alarm.startswith("“Support chat”: 2")
    assert "usually" in alarm
    assert alarm.endswith("clearly high.")
    assert found.numbers()["support_chat_share"]["verdict"] == "clearly high"


def test_a_usual_week_alarms_nobody() -> None:
    found = adverse_shares(log_of(rows(0.05)), SHOP, period=LAST)
    assert found.alarms == ()
    assert len(found.sentences) == 2
    assert all("usually" in sentence for sentence in found.sentences)


def test_a_week_that_is_not_over_is_not_judged() -> None:
    found = adverse_shares(log_of(rows(0.5), until="2026-10-10"), SHOP, period=LAST)
    assert found.alarms == ()
    assert all("so far; the week is not over" in sentence for sentence in found.sentences)


def test_too_few_weeks_and_too_few_people_are_said() -> None:
    first = (WEEKS[2], WEEKS[3])
    young = adverse_shares(log_of(rows(0.05)), SHOP, period=first)
    assert all("known after 4 weeks" in sentence for sentence in young.sentences)
    few = adverse_shares(log_of(rows(0.5, people=3)), SHOP, period=LAST)
    assert few.table["k"].isna().all()
    assert all("fewer than 5 people came" in sentence for sentence in few.sentences)


def test_a_log_without_adverse_events_has_nothing_to_say() -> None:
    frame = rows(0.05)
    plain = frame[frame["event"].isin(["view_item", "purchase"])]
    found = adverse_shares(log_of(plain), SHOP, period=LAST)
    assert (found.sentences, found.alarms, found.numbers()) == ((), (), {})


@pytest.mark.filterwarnings("ignore")
def test_the_weekly_report_tells_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log_of(rows(0.21)).save(tmp_path / "log")
    catalog = "".join(f'[events.{name}]\nrole = "{role}"\n' for name, role in ROLES.items())
    funnel = '[funnels.checkout]\nsteps = ["view_item", "purchase"]\n'
    (tmp_path / "shop.toml").write_text(f'name = "shop"\n{catalog}{funnel}')
    shown = run_cells(
        "90_weekly_report",
        monkeypatch,
        data=str(tmp_path / "log"),
        catalog=str(tmp_path / "shop.toml"),
        by="",
        report=True,
        period_start=f"{LAST[0]:%Y-%m-%d}",
        period_end=f"{LAST[1]:%Y-%m-%d}",
    )
    (emitted,) = (bundle for part in shown if isinstance(part, dict) for bundle in part.values())
    assert "“Support chat”: 2" in emitted["headline"]
    assert emitted["numbers"]["support_chat_share"]["value"] > 0.17
    assert any("“Remove from cart”" in repr(part) for part in shown)
