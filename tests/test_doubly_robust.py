"""The landmark cohort, counted anew in pandas; words, warnings, wrong use."""

from __future__ import annotations

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.doubly_robust import doubly_robust
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=6000).log
FORTNIGHT = pd.Timedelta(14, "D")
RESULT = doubly_robust(LOG, SHOP, "video_start", horizon="14d", adjust=("activity", "device"))


def test_the_cohort_is_that_of_pandas():
    frame = LOG.to_frame()
    first = frame.groupby("user")["time"].min()
    after = frame["time"] - frame["user"].map(first)
    bought = after[frame["event"] == "purchase"].groupby(frame["user"]).min().reindex(first.index)
    did = after[frame["event"] == "video_start"].groupby(frame["user"]).min().reindex(first.index)
    day, fortnight = pd.Timedelta(1, "D"), pd.Timedelta(14, "D")
    mature = first + fortnight <= LOG.covers_until
    at_risk = mature & ~(bought < day)
    exposed, converted = at_risk & (did < day), at_risk & (bought < fortnight)
    crude = RESULT.table.iloc[0]
    assert crude["exposed_n"] == exposed.sum()
    assert crude["exposed_k"] == (exposed & converted).sum()
    assert crude["other_n"] == (at_risk & ~exposed).sum()
    assert crude["other_k"] == (converted & ~exposed).sum()


def test_from_a_milestone_on_it_is_the_log_that_begins_there():
    frame = LOG.to_frame()
    looked = frame["event"].eq("view_item").groupby(frame["user"]).cumsum() > 0
    rest = EventLog.from_frame(frame[looked], covers_until=LOG.covers_until)
    options = {"horizon": "14d", "controls": []}
    found = doubly_robust(LOG, SHOP, "video_start", start="view_item", **options)
    plain = doubly_robust(rest, SHOP, "video_start", **options)
    pd.testing.assert_frame_equal(found.table, plain.table)
    assert found.parameters["start"] == "view_item"


def test_how_many_conversions_the_landmark_throws_away_is_said():
    frame = LOG.to_frame()
    first = frame.groupby("user")["time"].min()
    bought = frame[frame["event"] == "purchase"].groupby("user")["time"].min()
    wait = (bought - first[bought.index])[first[bought.index] <= LOG.covers_until - FORTNIGHT]
    wait = wait[wait < FORTNIGHT]
    early = (wait < pd.Timedelta(1, "D")).sum()
    assert (
        f"({early} of {len(wait)}) of the conversions come before the landmark, within 24 h"
        in (RESULT.warnings[0])
    )


def test_who_is_followed_to_the_last_instant_is_followed() -> None:
    """A horizon that ends when the log does is covered; one that ends an instant later is not."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = pd.DataFrame({"user": "a", "event": ["view_item", "purchase", "video_start"]})
    frame["time"] = [start, start + pd.Timedelta(1, "h"), start + pd.Timedelta(2, "h")]
    for late, said in ((0, "100% (1 of 1) of the conversions come before"), (1, "The log follows")):
        end = start + FORTNIGHT - pd.Timedelta(late, "us")
        log = EventLog.from_frame(frame, covers_until=end)
        result = doubly_robust(log, SHOP, "video_start", horizon="14d", controls=[])
        assert result.warnings[0].startswith(said)


def test_people_add_up():
    robust = RESULT.table.iloc[1]
    overlap = RESULT.overlap
    assert overlap["exposed"].sum() == robust["exposed_n"]
    assert overlap["other"].sum() == robust["other_n"]
    crude = RESULT.table.iloc[0]
    people = crude["exposed_n"] + crude["other_n"]
    assert overlap[["exposed", "other", "trimmed"]].sum().sum() == people
    assert f"({overlap['trimmed'].sum():,} of {people:,.0f})" in RESULT.warnings[1]


def test_the_sentence_has_the_difference_its_interval_and_the_controls():
    said = RESULT.sentence()
    crude = RESULT.table.iloc[0]
    assert f"({crude['exposed_k']:.0f} of {crude['exposed_n']:,.0f})" in said
    assert "against others like them (n = " in said
    known = RESULT.controls["difference"].notna().sum()
    assert f"For {known} negative controls the same method finds" in said
    assert "experiment" in RESULT.warnings[-1]


def test_the_figure_tells_both_groups():
    alt = RESULT.figure().layout.meta["alt"]
    assert "had done it" in alt
    assert f"{RESULT.overlap['trimmed'].sum():,} users without their like are left out" in alt


def test_too_few():
    result = doubly_robust(LOG, SHOP, "unsubscribe", horizon="14d")
    assert "not enough data: " in result.sentence()
    assert result.table.loc[1, ["difference", "low", "high"]].isna().all()
    assert "Too few people" in result.figure().layout.meta["alt"]
    unseen = doubly_robust(LOG.between(end="2026-08-25"), SHOP, "video_start", horizon="14d")
    assert "0 users had done it" in unseen.sentence()
    assert unseen.warnings[0] == (
        "The log follows nobody for the whole horizon of 14 days. Take a shorter horizon."
    )
    frame = LOG.to_frame()
    unsold = EventLog.from_frame(frame[frame["event"] != "purchase"], covers_until=LOG.covers_until)
    nothing = doubly_robust(unsold, SHOP, "video_start", horizon="14d")
    assert nothing.table.loc[1, ["difference", "low", "high"]].isna().all()
    assert nothing.warnings[0].startswith("Nobody converted between the landmark")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"landmark": "30d"}, "is not before horizon='14d'"),
        ({"trim": 0.5}, "fraction from 0 to 0.5"),
        ({"trim": "much"}, "fraction from 0 to 0.5"),
        ({"adjust": ["devise"]}, "Did you mean 'device'"),
        ({"landmark": 1}, "has no unit"),
    ],
)
def test_wrong_use(wrong, match):
    with pytest.raises(UsageError, match=match):
        doubly_robust(LOG, SHOP, "video_start", horizon="14d", **wrong)
    with pytest.raises(UsageError, match="Did you mean 'video_start'"):
        doubly_robust(LOG, SHOP, "video_star")


def test_the_landmark_is_a_day_or_a_quarter_of_a_short_horizon():
    assert RESULT.landmark_us == 86_400_000_000
    short = doubly_robust(LOG, SHOP, "video_start", horizon="1h")
    assert short.landmark_us == 900_000_000
    assert "15 min after entry" in short.sentence()
    given = doubly_robust(LOG, SHOP, "video_start", horizon="14d", landmark="24h", controls=[])
    same = doubly_robust(LOG, SHOP, "video_start", horizon="14d", controls=[])
    pd.testing.assert_frame_equal(given.table, same.table)


def test_few_people_are_hidden_and_cannot_be_told_from_sums():
    few = 25
    hidden = doubly_robust(
        LOG, SHOP, "video_start", horizon="14d", adjust=("activity", "device"), min_cell=few
    )
    assert hidden.table["exposed_n"].notna().all()
    for name in ("exposed", "other", "trimmed"):
        seen, own = RESULT.overlap[name], hidden.overlap[name]
        assert own[(seen > 0) & (seen < few)].isna().all()
        assert own.isna().sum() != 1
    gone = hidden.controls["exposed_k"].isna()
    assert (gone == (RESULT.controls["exposed_k"] < few)).all()
    assert hidden.controls.loc[gone, "difference"].isna().all()
    assert "too few to show had done it" in hidden.figure().layout.meta["alt"]
    notes = [note.text for note in hidden.figure().layout.annotations]
    assert any("users in the bars shown" in text for text in notes)
    nothing = doubly_robust(LOG, SHOP, "video_start", horizon="14d", min_cell=100)
    assert nothing.table.drop(columns="basis").isna().all(axis=None)
    assert nothing.sentence() == "Product video started: too few people to show."
    assert not any("1 of 2" in text for text in nothing.warnings)
    with pytest.raises(UsageError, match="min_cell=0"):
        doubly_robust(LOG, SHOP, "video_start", min_cell=0)
