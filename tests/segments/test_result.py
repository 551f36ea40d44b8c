"""Segments against an oracle in plain pandas, and against what they must refuse."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import segment_oracle as oracle
from support.segment_draws import KINDS, START, frames, instants, rules

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.segments.audiences import audience
from analysis.segments.comparison import compare_segments
from analysis.segments.result import overlaps, segment
from analysis.segments.rules import (
    abandoned,
    did,
    first,
    frequency,
    is_in,
    last,
    recency,
    sequence,
    value,
)
from analysis.simulation.log import simulate
from analysis.statistics.rates import wilson

CATALOGS = Path(__file__).parents[2] / "data" / "catalogs"


def log_of(frame: pd.DataFrame, shards: int = 1) -> EventLog:
    return EventLog.from_frame(frame, shards=shards, covers_until=START + pd.Timedelta(days=10))


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_rule_is_the_oracles(kind: Any) -> None:
    @settings(max_examples=80)
    @given(frames(), KINDS[kind], instants)
    def judged(frame: Any, rule: Any, at: Any) -> None:
        found = segment(log_of(frame), rule, at=at)
        assert set(found.user_ids) == oracle.members(frame, rule, at)

    judged()


def test_a_sequence_takes_no_earlier_instants_within_the_time_of_its_first() -> None:
    def who(hours: str, within: str | None = None) -> int:
        times = [START + pd.Timedelta(int(hour), "h") for hour in hours]
        frame = pd.DataFrame({"user": "u", "time": times, "event": list("abc")})
        log = EventLog.from_frame(frame)
        return segment(log, sequence(["a", "b", "c"], within=within)).size

    assert who("012") == 1
    assert who("011") == who("001") == who("000") == 1
    assert who("021") == who("102") == 0
    assert who("012", "2h") == 1
    assert who("012", "119min") == 0


@settings(max_examples=150)
@given(frames(), rules, instants)
def test_rules_put_together_are_the_oracles_in_any_number_of_shards(
    frame: Any, rule: Any, at: Any
) -> None:
    one, four = (segment(log_of(frame, shards), rule, at=at) for shards in (1, 4))
    assert set(one.user_ids) == oracle.members(frame, rule, at)
    assert one.mask.tolist() == four.mask.tolist()
    assert list(one.log.user_ids[one.mask]) == list(four.user_ids)
    assert one.size == len(one.user_ids)


@pytest.mark.parametrize("kind", KINDS)
def test_the_order_of_arrival_decides_no_rule(kind: Any) -> None:
    @settings(max_examples=40)
    @given(frames(), KINDS[kind], instants, st.randoms(use_true_random=False))
    def judged(frame: Any, rule: Any, at: Any, luck: Random) -> None:
        rows = list(range(len(frame)))
        luck.shuffle(rows)
        one, two = (segment(log_of(own), rule, at=at) for own in (frame, frame.iloc[rows]))
        assert list(one.user_ids) == list(two.user_ids)

    judged()


def test_in_one_instant_each_step_has_an_event_of_its_own() -> None:
    """As in a funnel: the last of the steps that the events can serve all at once."""
    steps = [["a", "b"], ["b", "c"], ["a", "c"]]
    for events, size in {
        "abc": 1,
        "aac": 1,
        "bbc": 1,
        "aab": 1,
        "bb": 0,
        "ab": 0,
        "aaa": 0,
    }.items():
        frame = pd.DataFrame({"user": "u", "time": START, "event": [*events]})
        other = pd.DataFrame({"user": "z", "time": START, "event": [*"abc"]})
        log = EventLog.from_frame(pd.concat([frame, other]))
        for order in (steps, steps[::-1]):
            assert ("u" in segment(log, sequence(order)).user_ids) == bool(size)
            done = funnel(log, order, window="1h").attempts.set_index("unit")["reach"]
            assert (done.get("u", 0) == len(steps)) == bool(size)
        twice = did("a").before(did("a"))
        assert ("u" in segment(log, twice).user_ids) == (events.count("a") > 1)


def test_many_rows_of_one_instant_are_taken_together() -> None:
    """The steps of the search grow with the rows, not with their square: kinds are what it sees."""
    frame = pd.DataFrame({"user": "u", "time": START, "event": ["a", "b"] * 20_000 + ["c"]})
    log = EventLog.from_frame(frame)
    assert segment(log, sequence(["a", "b"] * 8 + ["c"])).size == 1
    assert segment(log, sequence(["c", "a", "c"])).size == 0


@settings(max_examples=60)
@given(frames(), rules, instants)
def test_nothing_from_the_instant_on_matters(frame: Any, rule: Any, at: Any) -> None:
    past = frame[frame["time"] < at]
    late = frame[frame["time"] >= at].assign(event="a", color="y", value=99.0)
    altered = pd.concat([past, late], ignore_index=True)
    # Every event and property stays known, from another user after the instant.
    altered = pd.concat([altered, frame[frame["user"] == "z"].assign(user="zz", time=at)])
    one, two = segment(log_of(frame), rule, at=at), segment(log_of(altered), rule, at=at)
    assert list(one.user_ids) == list(two.user_ids)


@settings(max_examples=60)
@given(frames(), rules, instants)
def test_views_are_asked_about_what_they_show(frame: Any, rule: Any, at: Any) -> None:
    view = log_of(frame, 4).where(color=["x", "y"])
    shown = frame[frame["color"].isin(["x", "y"])]
    assert set(segment(view, rule, at=at).user_ids) == oracle.members(shown, rule, at)


@settings(max_examples=80)
@given(frames(), st.sampled_from(["first", "last", "is_in"]).flatmap(KINDS.get), instants)  # type: ignore[arg-type]
def test_hidden_rows_have_no_property(frame: Any, rule: Any, at: Any) -> None:
    view = log_of(frame, 4).where(event=["a", "b"])
    shown = frame[frame["event"].isin(["a", "b"])]
    assert set(segment(view, rule, at=at).user_ids) == oracle.members(shown, rule, at)


def small() -> EventLog:
    rows = [
        ("ann", "2026-01-01 10:00", "cart", 20.0, "mobile"),
        ("ann", "2026-01-03 10:00", "purchase", 20.0, None),
        ("bob", "2026-01-02 10:00", "cart", 5.0, "desktop"),
        ("cy", "2026-01-09 10:00", "visit", np.nan, "mobile"),
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event", "value", "device"])
    frame = frame.assign(time=pd.to_datetime(frame["time"]))
    return EventLog.from_frame(frame, covers_until="2026-02-01", shards=2)


def test_an_abandoned_cart_counts_when_the_wait_is_over_and_not_before() -> None:
    rule = abandoned("cart", without="purchase", wait="24h")

    def who(at: str) -> list[str]:
        return list(segment(small(), rule, at=at).user_ids)

    assert who("2026-01-02 10:00") == []
    assert who("2026-01-02 10:00:00.000001") == ["ann"]
    assert who("2026-01-03 10:00") == ["ann"]
    assert who("2026-01-04") == ["ann", "bob"]
    open_carts = abandoned("cart", without="purchase", wait="24h", still=True)
    assert list(segment(small(), open_carts).user_ids) == ["bob"]
    recently = abandoned("cart", without="purchase", wait="24h", within="12h")
    assert list(segment(small(), recently, at="2026-01-03 12:00").user_ids) == ["bob"]
    patient = abandoned("cart", without="purchase", wait="48h")
    assert list(segment(small(), patient).user_ids) == ["bob"]


def test_who_comes_later_is_in_no_segment_not_even_a_turned_one() -> None:
    found = segment(small(), ~did("purchase"), at="2026-01-05")
    assert list(found.user_ids) == ["bob"]
    assert (found.size, found.seen) == (1, 2)
    assert found.mask.tolist() == [False, True, False]


def test_a_segment_goes_into_a_log_and_its_views() -> None:
    found = segment(small(), is_in("device", "mobile"))
    inside = small().in_segment(found)
    assert list(found.log.in_segment(found).user_ids) == ["ann", "cy"]
    assert list(inside.user_ids) == list(found.log.in_segment(found.mask).user_ids)
    assert list(found.log.where(event="visit").in_segment(found).user_ids) == ["cy"]
    assert list(found.log.in_segment(found.series()).user_ids) == ["ann", "cy"]
    assert np.asarray(found).tolist() == [True, False, True]
    with pytest.raises(ValueError, match="read-only"):
        found.mask[0] = False


def test_no_segment_looks_into_the_future() -> None:
    found = segment(small(), did("cart"), at="2026-01-05")
    found.must_precede("2026-01-05", "the comparison")
    with pytest.raises(UsageError, match=r"the comparison starts at 2026-01-04.*future"):
        found.must_precede("2026-01-04", "the comparison")
    with pytest.raises(UsageError, match="after what the log covers"):
        segment(small(), did("cart"), at="2026-02-02")
    assert segment(small(), did("cart")).parameters["at"] == "2026-02-01T00:00:00+00:00"


def test_the_sentence_has_number_n_and_interval() -> None:
    said = segment(small(), did("cart"), name="Carts").sentence()
    low, high = wilson(2, 3)
    assert said == (
        "“Carts”: 66.7% (2 of 3) of the users seen before 2026-02-01 00:00 UTC "
        f"(95% interval {low:.1%} to {high:.1%}): did cart."
    )
    assert segment(small(), did("cart"), at="2020-01-01").sentence().startswith("Nobody was seen")


def test_an_empty_log_has_nobody() -> None:
    empty = EventLog.from_frame(small().to_frame().iloc[:0])
    found = segment(empty, did("*"), at="1970-01-01")
    assert (found.size, found.mask.tolist()) == (0, [])


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (did("crt"), r"'crt' is not an event of this log\. Did you mean 'cart'\? 3 events"),
        (did("cart", where={"devise": "x"}), r"'devise' is not a property.*'device'"),
        (sequence(["cart", "buy"]), "'buy' is not an event"),
        (abandoned("cart", without="purchas", wait="1d"), "Did you mean 'purchase'"),
        (first("chanel", "x"), "'chanel' is not a property"),
        (value("device", at_least=1), "holds text"),
        (value("worth", at_least=1), "'worth' is not a property"),
        (last("value", "much"), "'value' holds numbers"),
        ({"did": "cart", "atleast": 2}, r"no key 'atleast'\. Did you mean 'at_least'"),
        ("carts", "no catalog with segments"),
    ],
)
def test_one_line_says_what_is_wrong(rule: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message) as raised:
        segment(small(), rule)
    assert "\n" not in str(raised.value)


def test_a_catalogs_rule_is_asked_by_its_name() -> None:
    shop = Catalog.from_mapping(
        {
            "name": "shop",
            "events": {"purchase": {"role": "macro"}},
            "segments": {"buyers": {"rule": {"did": "purchase"}}, "bad": {"rule": {"dit": "x"}}},
        }
    )
    with pytest.raises(UsageError, match=r"catalog 'shop': segments.bad.rule.*Did you mean 'did'"):
        segment(small(), "buyers", catalog=shop)
    good = Catalog.from_mapping(
        {
            "name": "shop",
            "events": {"purchase": {"role": "macro"}},
            "segments": {"buyers": {"rule": {"did": "purchase"}}},
        }
    )
    assert list(segment(small(), "buyers", catalog=good).user_ids) == ["ann"]
    assert segment(small(), "buyers", catalog=good).name == "buyers"
    with pytest.raises(UsageError, match="Did you mean 'buyers'"):
        segment(small(), "byers", catalog=good)


def test_money_in_millionths_does_not_depend_on_its_order() -> None:
    frame = pd.DataFrame(
        {
            "user": "u",
            "time": pd.date_range("2026-01-01", periods=10),
            "event": "buy",
            "value": 0.1,
        }
    )
    log = EventLog.from_frame(frame)
    assert segment(log, value(at_least=1.0)).size == 1
    assert segment(log, value(at_most=1.0)).size == 1
    huge = EventLog.from_frame(frame.assign(value=1e18))
    with pytest.raises(ValueError, match="too large to add up"):
        segment(huge, value(at_least=1))


def test_many_event_names_and_wide_codes() -> None:
    frame = pd.DataFrame(
        {
            "user": [f"u{i % 7}" for i in range(900)],
            "time": pd.Timestamp("2026-01-01"),
            "event": [f"e{i % 300}" for i in range(900)],
        }
    )
    log = EventLog.from_frame(frame)
    for name in ("e0", "e64", "e299"):
        found = set(
            segment(log, did(name) & recency(at_most="2d") & frequency(at_least=1)).user_ids
        )
        assert found == set(frame.loc[frame["event"] == name, "user"])


def test_the_shipped_segments_on_the_demo_shop() -> None:
    """Every shipped rule is asked, and a few are counted again in pandas."""
    shop, log = Catalog.load(CATALOGS / "ecommerce.toml"), simulate(users=600).log
    found = {name: segment(log, name, catalog=shop) for name in shop.segments}
    assert all(0 < one.size < log.users for one in found.values()), found
    rows = log.to_frame()
    did_it = rows.groupby("user")["event"].agg(set)
    buys = rows[rows["event"] == "purchase"].groupby("user").size()
    assert set(found["repeat_buyers"].user_ids) == set(buys.index[buys >= 2])
    visits = rows.groupby("user")["session"].nunique()
    assert set(found["new_visitors"].user_ids) == set(visits.index[visits == 1])
    both = found["new_visitors"].mask ^ found["returning_visitors"].mask
    assert both.all()
    readers = [
        user
        for user, done in did_it.items()
        if "newsletter_sign_up" in done and not done & {"unsubscribe", "purchase"}
    ]
    assert set(found["newsletter_readers"].user_ids) == set(readers)
    last_seen = rows.groupby("user")["time"].max()
    away = last_seen.index[last_seen <= log.covers_until - pd.Timedelta(days=30)]
    assert set(found["at_risk"].user_ids) == set(away) & set(buys.index)
    wider = segment(log, "cart_abandoners", catalog=shop)
    never = set(wider.user_ids) - set(found["abandoned_carts"].user_ids)
    carts = rows[(rows["event"] == "add_to_cart") & rows["user"].isin(never)]
    # Whoever never bought and is no abandoner yet has put all of it there within the wait.
    assert (carts["time"] >= log.covers_until - pd.Timedelta(hours=24)).all()


@pytest.mark.parametrize(
    "ask", [audience, compare_segments, lambda log, it: overlaps(log, {"a": it, "b": it})]
)
def test_a_mask_without_an_instant_is_no_segment(ask: Any) -> None:
    with pytest.raises(UsageError, match=r"ndarray is not a segment.*or picked\(log, mask, at="):
        ask(small(), np.array([True, False, True]))
    with pytest.raises(UsageError, match="Did is not a segment"):
        ask(small(), did("cart"))


def test_a_segment_fits_the_same_log_opened_again(tmp_path: Path) -> None:
    small().save(tmp_path)
    one, two = EventLog.open(tmp_path), EventLog.open(tmp_path)
    found = segment(one, did("cart"))
    assert list(two.in_segment(found).user_ids) == ["ann", "bob"]
    fewer = EventLog.from_frame(one.to_frame().query("user != 'ann'"))
    assert list(fewer.in_segment(found).user_ids) == ["bob"]


# Overlaps, against sets of Python.

EVENTS = ["a", "b", "c"]

rows = st.lists(st.tuples(st.integers(0, 9).map(str), st.sampled_from([*EVENTS, "x"])), max_size=40)


def log_of_events(found: list[tuple[str, str]], shards: int = 1) -> EventLog:
    frame = pd.DataFrame([*found, *(("z", e) for e in EVENTS)], columns=["user", "event"])
    frame["time"] = pd.Timestamp("2026-01-01")
    return EventLog.from_frame(frame, shards=shards)


@settings(max_examples=80)
@given(rows, st.sampled_from([1, 4]))
def test_combinations_are_those_of_sets(found: Any, shards: int) -> None:
    log = log_of_events(found, shards)
    people = log.to_frame().groupby("user")["event"].agg(set)
    result = overlaps(log, {name: segment(log, did(name)) for name in EVENTS}, min_cell=1)
    assert result.table["k"].sum() == len(people)
    for row in result.table.itertuples():
        mine = [done for done in people if done & set(EVENTS) == set(row.sets)]  # type: ignore[arg-type]
        assert (row.k, row.n) == (len(mine), len(people))
        assert [row.set_1, row.set_2, row.set_3] == [name in row.sets for name in EVENTS]
        low, high = wilson(row.k, row.n)  # type: ignore[arg-type]
        assert (row.low, row.high) == pytest.approx((float(low), float(high)))
    named = result.table[result.table["sets"].map(len) > 0]
    assert (np.diff(named["k"]) <= 0).all()
    for row in result.pairs.itertuples():
        one, two = ({u for u, done in people.items() if name in done} for name in (row.a, row.b))
        assert row.k == len(one & two)
        assert row.jaccard == pytest.approx(len(one & two) / len(one | two))
        assert row.share_of_a == pytest.approx(len(one & two) / len(one))


def test_sentence_figure_and_few_people() -> None:
    found = [(f"u{i}", "a") for i in range(30)] + [(f"u{i}", "b") for i in range(10)]
    found += [(f"u{i}", "c") for i in range(2)] + [(f"v{i}", "c") for i in range(6)]
    log = log_of_events(found)
    result = overlaps(log, {name: segment(log, did(name)) for name in EVENTS})
    assert result.sentence().startswith("At least 21.6% (8 of 37) of the people")
    assert "most of them in A and B: 21.6% (8 of 37)" in result.sentence()
    assert "95% interval" in result.sentence()
    said = "Hidden, so that no combination of fewer than 5 people can be told: 2 of 4 combinations."
    assert result.warnings == (said,)
    alt = result.figure().layout.meta["alt"]
    assert alt.startswith("Only A: 54.1% (20 of 37). A and B: 21.6% (8 of 37).")
    assert "A, B and C: too few people to show." in alt
    assert "3 of 37" not in alt + result.sentence()


@settings(max_examples=60)
@given(st.lists(st.integers(0, 7), min_size=1, max_size=60), st.integers(2, 6))
def test_no_small_combination_can_be_worked_out(found: list[int], min_cell: int) -> None:
    """Whatever whole numbers fit what is shown, a small combination may be another one."""
    pairs = [(f"u{i}", e) for i, bits in enumerate(found) for k, e in enumerate(EVENTS)
             if bits >> k & 1]  # fmt: skip
    log = log_of_events(pairs + [(f"u{i}", "visit") for i in range(len(found))])
    result = overlaps(log, {e: segment(log, did(e)) for e in EVENTS}, min_cell=min_cell)
    true = overlaps(log, {e: segment(log, did(e)) for e in EVENTS}, min_cell=1).table
    hidden = result.table["k"].isna().to_numpy()
    few = true["k"].between(1, min_cell - 1).to_numpy()
    assert not (few & ~hidden).any()
    # The shares of a pair tell sums of combinations; so does everybody. No hidden one follows.
    sums = [np.ones(len(true), bool)]
    for row in result.pairs.to_dict("records"):
        a, b = (np.array([row[name] in own for own in true["sets"]]) for name in "ab")
        told = {"k": a & b, "jaccard": a | b, "share_of_a": a, "share_of_b": b}
        sums += [own for name, own in told.items() if not np.isnan(row[name])]
    known = np.array(sums)[:, hidden].astype(float)
    for one in range(int(hidden.sum()) if len(true) > 1 else 0):
        alone = np.eye(int(hidden.sum()))[[one]]
        both = np.vstack([known, alone])
        assert np.linalg.matrix_rank(both) > np.linalg.matrix_rank(known)


def test_a_view_counts_its_own_people() -> None:
    log = log_of_events([("u", "a"), ("v", "b"), ("w", "x")])
    both = {name: segment(log, did(name)) for name in ("a", "b")}
    found = overlaps(log.where(event=["a", "b"]), both, min_cell=1)
    assert found.table["k"].tolist() == [1, 1, 1]
    assert set(found.table["n"]) == {3}


def test_wrong_use() -> None:
    log = log_of_events([("u", "a")])
    one, two = segment(log, did("a")), segment(log, did("b"), at="2026-01-01 12:00")
    with pytest.raises(UsageError, match="the same instant"):
        overlaps(log, {"a": one, "b": two})
    with pytest.raises(UsageError, match="2 to 12"):
        overlaps(log, {"a": one})
    with pytest.raises(UsageError, match="by name"):
        overlaps(log, [one, one])  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="whole number"):
        overlaps(log, {"a": one, "b": one}, min_cell=0)


def test_nobody_overlaps() -> None:
    log = log_of_events([])
    empty = EventLog.from_frame(log.to_frame().iloc[:0])
    found = overlaps(empty, {"a": segment(empty, did("*")), "b": segment(empty, ~did("*"))})
    assert not len(found.table)
    assert found.sentence() == "No combination of these segments has enough people to show."
    assert found.figure().layout.meta["alt"] == "Nobody is in any of these sets."
    apart = log_of_events([(f"{e}{i}", e) for e in "ab" for i in range(9)]).where(event=["a", "b"])
    found = overlaps(apart.in_segment(apart.user_ids != "z"),
                     {e: segment(apart, did(e)) for e in "ab"})  # fmt: skip
    assert found.sentence() == "Nobody is in more than one of these segments."


def test_a_rule_reads_conditions_on_text_as_a_funnel_does() -> None:
    rows = [("a", "9.99", "mobile"), ("b", "12.50", "desktop"), ("c", "10", "tablet")]
    frame = pd.DataFrame(rows, columns=["user", "price", "device"]).assign(
        event="buy", time=pd.Timestamp("2026-01-01")
    )
    log = EventLog.from_frame(frame, shards=3, covers_until="2026-02-01")
    for asked in (did("buy", where={"price": ">= 10"}), first("price", ">= 10")):
        assert list(segment(log, asked).user_ids) == ["b", "c"]
    for rule in (
        did("buy", where={"device": "!= mobile"}),
        ~did("buy", where={"device": "mobile"}),
        {"did": "buy", "where": {"device": "!= mobile"}},
        is_in("device", "!= mobile"),
    ):
        found = segment(log, rule)
        assert list(found.user_ids) == ["b", "c"]
        assert found.warnings == ()
    found = segment(log, did("buy", where={"device": ["mobil", "tablet"]}) | first("device", "x"))
    assert list(found.user_ids) == ["c"]
    assert found.warnings == (
        "No event has 'mobil' as device. Did you mean 'mobile'?",
        "No event has 'x' as device.",
    )
    both = {"found": found, "all": segment(log, did("buy"))}
    assert overlaps(log, both, min_cell=1).warnings[-2:] == found.warnings
    assert compare_segments(log, found, look_back=True).warnings[-2:] == found.warnings
    with pytest.raises(UsageError, match="segment: device='> 3', but 'device' holds text such as"):
        segment(log, did("buy", where={"device": "> 3"}))
