"""Levels and rates against pandas; trends against statsmodels; what is inert must stay flat."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.engagement.result import engagement_levels, engagement_table
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate
from analysis.statistics.rates import rates, trend

AT = pd.Timestamp("2026-03-01", tz="UTC")
WAIT = pd.Timedelta("24h")
SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro"},
            "cart": {"role": "milestone"},
            "video": {"role": "secondary", "label": "Video"},
            "share": {"role": "secondary"},
            "logo": {"role": "control"},
        },
        "derived": {
            "cart_left": {"after": "cart", "without": "buy", "wait": "24h", "role": "adverse"}
        },
    }
)
MICROS = ["cart", "video", "share"]
rows = st.lists(
    st.tuples(
        st.integers(0, 6).map(str),
        st.sampled_from([0, 0.5, 23, 24, 24.5, 25, 48, 72, 1200, 1416, 1440]),
        st.sampled_from([*MICROS, "buy", "logo", "visit"]),
    ),
    min_size=1,
    max_size=40,
)


def log_of(found: Any, shards: int = 1) -> EventLog:
    base = [("z", 3, event) for event in (*MICROS, "buy", "logo", "visit")]
    frame = pd.DataFrame([*found, *base], columns=["user", "hour", "event"])
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.pop("hour"), unit="h")
    return EventLog.from_frame(frame, covers_until="2026-04-01", shards=shards)


def past_of(log: EventLog) -> pd.DataFrame:
    frame = log.to_frame()
    return frame[frame["time"] < AT]


def people_by_pandas(log: EventLog, without: tuple[str, ...]) -> pd.DataFrame:
    own = past_of(log)
    own = own[~own["event"].isin(without)]
    micro = own[own["event"].isin(MICROS)]
    people = own.groupby("user").agg(last=("time", "max"), sessions=("session", "nunique"))
    people["depth"] = micro.groupby("user").size().reindex(people.index, fill_value=0)
    people["depth"] = people["depth"] / people["sessions"]
    people["diversity"] = micro.groupby("user")["event"].nunique()
    people["diversity"] = people["diversity"].fillna(0)
    ranks = people[["last", "sessions", "depth", "diversity"]].rank()
    people["score"] = 100 * ((ranks - 0.5) / len(people)).mean(axis=1)
    return people.sort_index()


@settings(max_examples=30)
@given(rows, st.sampled_from([1, 4]), st.sampled_from([(), ("video",), ("cart", "buy")]))
def test_scores_and_levels_are_those_of_pandas(found: Any, shards: int, without: Any) -> None:
    log = log_of(found, shards)
    result = engagement_levels(log, SHOP, at=AT, without=without)
    expected = people_by_pandas(log, without)
    users = result.users.set_index("user")
    assert list(users.index) == list(expected.index)
    for name in ("sessions", "depth", "diversity", "score"):
        assert users[name].tolist() == pytest.approx(expected[name].tolist())
    days = (AT - expected["last"]) / pd.Timedelta(days=1)
    assert users["recency_days"].tolist() == pytest.approx(days.tolist())
    low, high = result.cut_points
    ordered = np.sort(users["score"])
    n = len(ordered)
    assert (low, high) == (ordered[-(-n // 3) - 1], ordered[-(-2 * n // 3) - 1])
    level = np.select([users["score"] <= low, users["score"] <= high], ["low", "medium"], "high")
    assert users["level"].tolist() == level.tolist()
    assert result.table["k"].tolist() == [(level == x).sum() for x in ("low", "medium", "high")]
    assert result.segment("high").size == (level == "high").sum()


def carts_by_pandas(own: pd.DataFrame, hi: pd.Timestamp = AT) -> tuple[int, int]:
    """Decided and left carts of one person before an instant, by the instants of both events."""
    own = own[own["time"] < hi]
    adds = sorted(set(own.loc[own["event"] == "cart", "time"]))
    buys = sorted(set(own.loc[own["event"] == "buy", "time"]))
    decided = left = 0
    while adds:
        last = adds.pop(0)
        while True:
            bought = [t for t in buys if last <= t <= last + WAIT]
            again = [t for t in adds if t <= last + WAIT and not (bought and bought[0] < t)]
            if not again:
                break
            if bought and bought[0] <= again[0]:
                # Bought at the very instant of the next one: that closes both.
                adds.remove(again[0])
                break
            last = again[0]
            adds.remove(last)
        if bought:
            decided += 1
        elif last + WAIT < hi:
            decided, left = decided + 1, left + 1
    return decided, left


@settings(max_examples=20)
@given(rows, st.sampled_from([1, 4]), st.sampled_from([None, 3, 20]))
def test_counts_per_level_are_those_of_pandas(found: Any, shards: int, days: int | None) -> None:
    log = log_of(found, shards)
    until = None if days is None else AT + pd.Timedelta(days=days)
    result = engagement_table(log, SHOP, at=AT, until=until, min_cell=1)
    whole = log.to_frame()
    start, end = (whole["time"].min(), AT) if until is None else (AT, until)
    past = whole[(whole["time"] >= start) & (whole["time"] < end)]
    assert result.trends["event"].tolist() == [*MICROS, "logo", "cart_left"]
    for event in result.trends["event"]:
        without = ("cart", "buy") if event == "cart_left" else (event,)
        levels = engagement_levels(log, SHOP, at=AT, without=without).users
        for level in ("low", "medium", "high"):
            own = past[past["user"].isin(levels[levels["level"] == level]["user"])]
            ids = levels[levels["level"] == level]["user"]
            if event == "cart_left":
                each = []
                for _, mine in whole[whole["user"].isin(ids)].groupby("user"):
                    both = [carts_by_pandas(mine, hi) for hi in (start, end)]
                    each.append((both[1][0] - both[0][0], both[1][1] - both[0][1]))
                trials, events = (sum(one[i] for one in each) for i in (0, 1))
                n, k = sum(one[0] > 0 for one in each), sum(one[1] > 0 for one in each)
            else:
                trials = len(own[["user", "session"]].drop_duplicates())
                events = int((own["event"] == event).sum())
                n, k = len(ids), own[own["event"] == event]["user"].nunique()
            row = result.table.query("event == @event and level == @level").iloc[0]
            assert (row["events"], row["trials"], row["k"], row["n"]) == (events, trials, k, n)
            if trials:
                assert row["per_100"] == pytest.approx(100 * events / trials)
            if trials and not np.isnan(row["low"]):
                assert 0 <= row["low"] <= row["per_100"] + 1e-9
                assert row["per_100"] <= row["high"] + 1e-9


def test_intervals_and_ratio_are_those_of_a_poisson_model_clustered_by_person() -> None:
    import statsmodels.api as sm

    rng = np.random.default_rng(3)
    level = np.repeat([0, 1, 2], 200)
    trials = rng.poisson(2 + level) + 1
    events = rng.poisson(trials * rng.gamma(2, 0.3, 600) * (1 + level / 3))
    found = rates(events, trials, level, bounded=False)
    for place in range(3):
        own = level == place
        model = sm.GLM(
            events[own], np.ones(own.sum()), family=sm.families.Poisson(), exposure=trials[own]
        ).fit(cov_type="HC0")
        # Its robust error is without the correction n / (n − 1).
        error = 1.959964 * model.bse[0] * np.sqrt(200 / 199)
        low, high = (100 * np.exp(model.params[0] + side * error) for side in (-1, 1))
        assert (found.low[place], found.high[place]) == pytest.approx((low, high), rel=1e-6)
    assert trend(events, trials, level, found).p_value < 1e-6


def test_the_trend_of_shares_is_cochrans_and_armitages() -> None:
    from statsmodels.stats.contingency_tables import Table

    rng = np.random.default_rng(5)
    level = rng.integers(0, 3, 3_000)
    did = (rng.random(3_000) < 0.3 + 0.015 * level).astype(float)
    found = rates(did, np.ones(3_000), level, bounded=True)
    table = pd.crosstab(did, level).to_numpy().astype(float)
    exact = Table(table).test_ordinal_association(
        row_scores=np.array([0, 1]), col_scores=np.arange(3)
    )
    own = trend(did, np.ones(3_000), level, found)
    assert own.p_value == pytest.approx(exact.pvalue, rel=0.05)
    assert np.sign(own.z) == np.sign(exact.statistic - exact.null_mean)


def test_where_all_carts_came_out_alike_people_are_counted_and_not_carts() -> None:
    """Three carts each of nine people say no more than nine people do."""
    level, each = np.repeat([0, 1, 2], 9), np.full(27, 3)
    for left, ends in ((each, (100 * 0.70085, 100)), (0 * each, (0, 100 * 0.29915))):
        found = rates(left, each, level, bounded=True)
        assert (found.low[0], found.high[0]) == pytest.approx(ends, abs=0.01)  # Wilson of 9
        assert found.trials[0] == 27


def test_carts_that_were_all_left_are_no_proof_that_all_would_be() -> None:
    level = np.repeat([0, 1, 2], [9, 60, 400])
    left = np.where(np.arange(469) % 4 == 0, 0, 1)
    left[:9] = 1
    found = rates(left, np.ones(469), level, bounded=True)
    assert (found.per_100[0], found.high[0]) == (100, 100)
    assert found.low[0] == pytest.approx(100 * 0.70085, abs=0.01)  # Wilson, 9 of 9
    own = trend(left, np.ones(469), level, found)
    assert own.low < 0.75 < 1 < own.high


def inert_log(seed: int, users: int = 400) -> EventLog:
    """Active people come more often and do more, but `logo` comes with a fifth of all sessions."""
    rng = np.random.default_rng(seed)
    active = rng.lognormal(0, 0.7, users)
    visits = rng.poisson(2.5 * active) + 1
    user = np.repeat(np.arange(users), visits)
    day = pd.Timestamp("2026-01-01") + pd.to_timedelta(rng.random(len(user)) * 58, unit="D")
    parts = [pd.DataFrame({"user": user, "time": day, "session": np.arange(len(user))})]
    often = {"visit": None, "video": 0.5, "share": 0.3, "cart": 0.2, "logo": None}
    frames = []
    for minute, (event, rate) in enumerate(often.items()):
        if rate is not None:
            times = rng.poisson(rate * active[user])
        else:
            times = np.ones(len(user), int) if event == "visit" else rng.poisson(0.2, len(user))
        own = parts[0].loc[np.repeat(np.arange(len(user)), times)]
        frames.append(own.assign(event=event, time=own["time"] + pd.Timedelta(minutes=minute)))
    table = pd.concat(frames).astype({"user": str, "session": str})
    return EventLog.from_frame(table, session="session", covers_until="2026-04-01")


def test_what_is_inert_stays_flat_per_session_and_its_share_of_people_does_not() -> None:
    p_values, covered, shares = [], 0, 0
    for seed in range(40):
        result = engagement_table(inert_log(seed), SHOP, events=["logo", "video"])
        own = result.trends.set_index("event").loc["logo"]
        p_values.append(own["p_value"])
        covered += own["ratio_low"] <= 1 <= own["ratio_high"]  # type: ignore[assignment]
        shares += own["share_trend"] == "rises"  # type: ignore[assignment]
        assert result.trends.set_index("event").loc["video", "trend"] == "rises"
    # 40 draws at 5 %: more than 6 would happen once in three hundred times.
    assert sum(p < 0.05 for p in p_values) <= 6  # type: ignore[misc]
    assert covered >= 33
    assert shares == 40
    assert any("shows no trend" in warning for warning in result.warnings)


def test_an_inert_event_put_into_the_simulated_shop_stays_flat() -> None:
    """With the same chance in every session, at the instant of its first event."""
    log = simulate(users=4_000).log
    frame = log.to_frame()[["user", "time", "event", "session"]]
    visits = frame.drop_duplicates(["user", "session"])
    p_values: list[Any] = []
    ratios: list[Any] = []
    for seed in range(40):
        hit = np.random.default_rng(seed).random(len(visits)) < 0.15
        more = pd.concat([frame, visits[hit].assign(event="inert")])
        written = {"purchase": {"role": "macro"}, "inert": {"role": "secondary"}}
        written |= {name: {"role": "secondary"} for name in ("share", "video_start", "view_item")}
        plan = Catalog.from_mapping({"name": "x", "events": written})
        found = engagement_table(
            EventLog.from_frame(more, session="session"), plan, events=["inert", "view_item"]
        )
        own = found.trends.set_index("event")
        assert own.loc["view_item", "ratio_low"] > 2  # type: ignore[arg-type]
        assert own.loc["inert", "share_trend"] == "rises"
        p_values.append(own.loc["inert", "p_value"])
        ratios.append(own.loc["inert", "ratio"])
    # 40 draws at 5 %: more than 6 would happen once in three hundred times.
    assert sum(p < 0.05 for p in p_values) <= 6  # type: ignore[misc]
    # One draw's ratio is off by about 7 %, the mean of 40 by about 1 %.
    assert abs(np.log(ratios).mean()) < 0.035  # type: ignore[arg-type]


def test_later_sessions_leave_what_is_planted_and_not_who_stayed_long() -> None:
    """The demo's controls come with a hidden activity, whose spread gives about 3 times as often.

    Counted in the sessions that made the levels they seem to come 14 times as often and more.
    """
    log = simulate(users=20_000).log
    controls = list(SHOP_DEMO.controls)
    asked: dict[str, Any] = {"at": "2026-10-26", "events": [*controls, "video_start"]}
    same = engagement_table(log, SHOP_DEMO, **asked)
    later = engagement_table(log, SHOP_DEMO, until="2026-11-23", **asked)
    assert same.trends["ratio"].min() > 8
    own = later.trends.set_index("event")
    assert own.loc[controls, "ratio"].max() < 6
    assert own.loc[controls, "ratio"].median() == pytest.approx(2.7, abs=0.8)
    assert own.loc["video_start", "ratio"] < 5  # type: ignore[arg-type]
    assert any("those that made the levels: whoever stayed" in w for w in same.warnings)
    assert any("what made the levels is not counted" in w for w in later.warnings)
    # Whom the levels are of does not change with what is counted.
    assert later.table["n"].sum() == same.table["n"].sum()


def test_a_score_that_counts_the_event_itself_would_not_be_flat() -> None:
    """The same with `logo` as a micro conversion: left out of its own row, it stays flat."""
    written = {
        "buy": {"role": "macro"},
        "logo": {"role": "secondary"},
        "cart": {"role": "milestone"},
    }
    plan = Catalog.from_mapping({"name": "shop", "events": written})
    log = inert_log(1, 2_000)
    honest = engagement_table(log, plan, events=["logo"]).trends.iloc[0]
    assert honest["ratio_low"] < 1 < honest["ratio_high"]
    users = engagement_levels(log, plan).users
    frame = log.to_frame()
    events = frame[frame["event"] == "logo"].groupby("user").size()
    events = events.reindex(users["user"], fill_value=0).to_numpy()  # type: ignore[assignment]
    place = users["level"].map({"low": 0, "medium": 1, "high": 2}).to_numpy()
    naive = rates(events, users["sessions"].to_numpy(), place, bounded=False)  # type: ignore[arg-type]
    assert naive.per_100[2] > 1.5 * naive.per_100[0]


def test_the_controls_of_the_demo_are_said_to_rise_too() -> None:
    plan = Catalog.load("data/catalogs/ecommerce.toml")
    result = engagement_table(simulate(users=3_000).log, plan)
    (said,) = [warning for warning in result.warnings if "controls" in warning]
    assert "Of 8 controls, which cannot do anything, 8 rise per session too" in said
    assert "times as often at high as at low" in said
    assert "per 100 sessions" in result.sentence()
    alt = result.figure().layout.meta["alt"]
    assert "Footer click: " in alt
    assert "times as often (95% interval" in alt


def test_shards_change_no_digit_and_few_people_are_hidden() -> None:
    one, four = (
        engagement_table(simulate(users=1_500, shards=n).log, SHOP_DEMO, min_cell=5) for n in (1, 4)
    )
    pd.testing.assert_frame_equal(one.table, four.table)
    pd.testing.assert_frame_equal(one.trends, four.trends)
    # Few of many are shown; a level of few people is not.
    assert one.table["k"].between(1, 4).any()
    assert not one.table["n"].between(1, 4).any()
    most = int(one.table["n"].where(one.table["n"] > 0).min())
    hidden = engagement_table(simulate(users=1_500).log, SHOP_DEMO, min_cell=most + 1)
    assert hidden.table.loc[one.table["n"] == most, ["k", "n", "events"]].isna().all(axis=None)
    assert hidden.table.loc[one.table["n"] > most, "k"].notna().all()
    assert any("people are hidden" in warning for warning in hidden.warnings)


SHOP_DEMO = Catalog.load("data/catalogs/ecommerce.toml")


def test_the_readable_table_has_a_row_per_event_and_no_number_of_few_people() -> None:
    n = engagement_table(simulate(users=1_500).log, SHOP_DEMO).table["n"]
    few = int(n[n > 0].min()) + 1
    found = engagement_table(simulate(users=1_500).log, SHOP_DEMO, min_cell=few)
    shown = found.readable()
    assert len(shown) == len(found.trends) == 23
    row = found.table.query("event == 'footer_click' and level == 'high'").iloc[0]
    said = f"{row['per_100']:.1f} ({row['low']:.1f} to {row['high']:.1f})"
    assert shown.loc["Footer click (sessions)", "high, per 100"] == said
    assert f"of {row['n']:,.0f})" in shown.loc["Footer click (sessions)", "did it, high"]
    assert (shown == f"fewer than {few} people").any(axis=None)
    assert not shown.apply(lambda column: column.str.contains("nan")).any(axis=None)


def test_own_cuts_hold_and_empty_levels_are_said() -> None:
    log = inert_log(2)
    result = engagement_levels(log, SHOP, cuts=(40, 99))
    assert result.cut_points == (40.0, 99.0)
    score = result.users["score"]
    assert result.table["k"].tolist() == [(score <= 40).sum(), ((score > 40) & (score <= 99)).sum(),
                                          (score > 99).sum()]  # fmt: skip
    assert any("level high" in warning for warning in result.warnings)
    assert "above a score of 99.0 and low up to 40.0" in result.sentence()
    assert "High" not in result.figure().layout.meta["alt"]


def test_levels_of_few_people_are_hidden() -> None:
    log = inert_log(2)
    open_ = engagement_levels(log, SHOP, cuts=(20, 90))
    k = open_.table["k"].tolist()
    hidden = engagement_levels(log, SHOP, cuts=(20, 90), min_cell=max(k[2], 1) + 1)
    row = hidden.table.iloc[2]
    assert 0 < k[2] < k[1]
    assert row[["k", "rate", "score_low", "sessions", "depth"]].isna().all()
    assert "too few people are there to show" in hidden.sentence()
    # Of three levels one is never hidden alone.
    assert hidden.table["k"].notna().sum() == 1
    assert hidden.table["k"].max() == max(k)
    said = f"The smallest level has fewer than {k[2] + 1} people."
    assert said in hidden.warnings
    assert "High" not in hidden.figure().layout.meta["alt"]
    with pytest.raises(UsageError, match="min_cell=0"):
        engagement_levels(log, SHOP, min_cell=0)


@settings(max_examples=25)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(found: Any, luck: Random) -> None:
    mixed = list(found)
    luck.shuffle(mixed)
    one, two = log_of(found), log_of(mixed)
    levels = [engagement_levels(log, SHOP, at=AT) for log in (one, two)]
    pd.testing.assert_frame_equal(levels[0].users, levels[1].users)
    tables = [engagement_table(log, SHOP, at=AT, until="2026-03-20") for log in (one, two)]
    pd.testing.assert_frame_equal(tables[0].table, tables[1].table)
    pd.testing.assert_frame_equal(tables[0].trends, tables[1].trends)


def test_nobody_there_is_said() -> None:
    result = engagement_levels(inert_log(2), SHOP, at="2020-01-01")
    assert result.sentence().startswith("Nobody was seen before 2020-01-01")
    assert result.figure().layout.meta["alt"] == "Nobody was seen."
    table = engagement_table(inert_log(2), SHOP, at="2020-01-01")
    assert table.table["per_100"].isna().all()
    assert set(table.trends["trend"]) == {"unclear"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"cuts": (60, 40)}, "two rising scores"),
        ({"cuts": 40}, "two rising scores"),
        ({"until": "2020-01-01"}, "is not after at="),
        ({"until": "soon"}, "not a time"),
        ({"events": []}, "leave it out for all"),
        ({"events": "vide"}, "Did you mean 'video'"),
        ({"events": ["vide"]}, "Did you mean 'video'"),
        ({"at": "2027"}, "after what the log covers"),
        ({"min_cell": 0}, "whole number from 1"),
        ({"most_false": 2}, "between 0 and 1"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        engagement_table(log_of([]), SHOP, **arguments)


def test_wrong_use_of_levels() -> None:
    with pytest.raises(UsageError, match="Did you mean 'share'"):
        engagement_levels(log_of([]), SHOP, without="shar")
    with pytest.raises(UsageError, match="role milestone or secondary"):
        engagement_levels(log_of([]), Catalog.from_mapping(
            {"name": "x", "events": {"buy": {"role": "macro"}}}
        ))  # fmt: skip
