"""Hidden steps and small actions against a count in pandas, and against planted truths."""

from __future__ import annotations

import itertools
import math
import re

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.proportion import test_proportions_2indep as proportions_test

from analysis.catalog import Catalog
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.between_steps import hidden_steps, micro_shares
from analysis.funnels.result import funnel
from analysis.simulation.log import simulate
from analysis.statistics.rates import newcombe, wilson

DAY = pd.Timestamp("2026-01-10")


CHECKOUT = ["view_item", "add_to_cart", "begin_checkout", "purchase"]


events = st.sampled_from(["a", "b", "c", "x", "y"])


person = st.lists(st.tuples(st.integers(0, 60), events), max_size=12)


def log_of(people: list[list[tuple[float, str]]], **options) -> EventLog:
    """A log in which each person does events at so many minutes."""
    rows = [(f"u{i:05}", minutes, event) for i, own in enumerate(people) for minutes, event in own]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = DAY + pd.to_timedelta(frame["time"].astype(float), unit="min")
    return EventLog.from_frame(frame, **{"covers_until": "2027-01-01", **options})


def by_hand(log: EventLog, steps: list[str], window: str) -> dict[tuple[int, str], list[int]]:
    """k, n, k and n of those who stopped, and early k, by pair and event, from the attempts."""
    frame, attempts = log.to_frame(), funnel(log, steps, window=window).mature_attempts
    found = {}
    for i in range(1, len(steps)):
        reached = attempts[attempts["reach"] >= i].set_index("unit")
        start, end = reached[f"step_{i}"], reached[f"step_{i + 1}"]
        if end.notna().sum() == 0:
            continue
        within = (end - start).median().floor("us")
        on = end.notna()
        stopped = reached.index[~on & (start + within <= log.covers_until)]
        own = frame[frame["user"].isin(reached.index) & ~frame["event"].isin(steps[i - 1 : i + 1])]
        since = own["time"] - own["user"].map(start)
        after = since > pd.Timedelta(0)
        before = ~(own["time"] >= own["user"].map(end))
        short = since < within
        for event, rows in own.groupby("event"):
            users = rows["user"]
            groups = [
                users[after & before & users.map(on)],
                users[after & short & users.isin(stopped)],
                users[after & before & short & users.map(on)],
            ]
            k, stopped_k, early_k = (group.nunique() for group in groups)
            if k + stopped_k and within > pd.Timedelta(0) and len(stopped):
                found[i, event] = [k, int(on.sum()), stopped_k, len(stopped), early_k]
    return found


@settings(max_examples=80)
@given(
    st.lists(person, max_size=14),
    st.sampled_from([1, 4]),
    st.sampled_from([["a", "b"], ["a", "b", "c"]]),
    st.sampled_from(["20min", "2h"]),
    st.sampled_from(["2026-01-10 00:50", "2026-01-11"]),
)
def test_counts_are_those_of_pandas(people, shards, steps, window, until):
    people = [[(0, "a"), (1, "x"), (3, "b"), (4, "c")], [(0, "a"), (1, "y")], *people]
    log = log_of(people, shards=shards, covers_until=until)
    table = hidden_steps(log, steps, window=window, top=99).table
    counted = ["k", "n", "stopped_k", "stopped_n", "early_k"]
    shown = {(row.step, row.event): row for row in table.itertuples()}
    expected = by_hand(log, steps, window)
    assert {at: [getattr(row, c) for c in counted] for at, row in shown.items()} == expected
    for _, own in table.groupby("step"):
        assert own["difference_low"].is_monotonic_decreasing


def test_intervals_and_p_values_are_those_of_statsmodels():
    log = simulate(users=4000).log
    table = hidden_steps(log, CHECKOUT, top=99).table
    for row in table.itertuples():
        cells = row.k, row.n, row.stopped_k, row.stopped_n
        assert (row.difference, row.difference_low, row.difference_high) == pytest.approx(
            newcombe(*cells), abs=1e-9
        )
        assert (row.low, row.high) == pytest.approx(tuple(map(float, wilson(row.k, row.n))))
        with np.errstate(divide="ignore"):
            judged = proportions_test(*cells, method="score", compare="diff", correction=False)
        assert row.p_value == pytest.approx(judged.pvalue, rel=1e-6, abs=1e-12)
    q = multipletests(table["p_value"], method="fdr_bh")[1]
    assert table["q_value"].to_numpy() == pytest.approx(q, rel=1e-9)


def test_q_values_count_the_candidates_that_are_not_shown():
    log = simulate(users=4000).log
    everything = hidden_steps(log, CHECKOUT, top=99).table
    few = hidden_steps(log, CHECKOUT, top=2).table
    assert few.groupby("step").size().tolist() == [2, 2, 2]
    merged = few.merge(everything, on=["step", "event"], suffixes=("", "_all"))
    assert merged["q_value"].tolist() == merged["q_value_all"].tolist()


def test_a_step_that_was_left_out_of_the_funnel_is_found_again():
    log = simulate(users=8000).log
    for left_out, step in (("begin_checkout", 1), ("add_payment_info", 3)):
        detail = ["add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info"]
        steps = [name for name in [*detail, "purchase"] if name != left_out]
        table = hidden_steps(log, steps).table
        row = table[(table["event"] == left_out) & (table["step"] == step)].iloc[0]
        assert row["rate"] == 1.0
        assert row["stopped_rate"] < 0.6
        assert table[table["step"] == step].iloc[0]["event"] == left_out
    named = hidden_steps(log, ["add_to_cart", "purchase"], top=9).table
    assert set(named.loc[named["hidden"], "event"]) == set(detail[1:])


def waits_and_noise(rng: np.random.Generator, *, planted: bool) -> list[list[tuple[float, str]]]:
    """People who go on fast or days later, with noise at a steady rate, and perhaps a form.

    Of those who go on, 90 % pass the form on their way; of those who stop, 15 % do, soon.
    """
    people = []
    for _ in range(1500):
        on = rng.random() < 0.4
        wait = 5.0 + rng.exponential(5.0) if rng.random() < 0.6 else rng.uniform(1500, 3000)
        own = [(0.0, "cart")]
        if on:
            own.append((wait, "buy"))
        if planted and rng.random() < (0.9 if on else 0.15):
            own.append((wait * rng.uniform(0.2, 0.9) if on else rng.uniform(0, 5), "form"))
        # Noise does not know who goes on: both have it at the same rate for as long as one looks.
        for event, gap in (("noise", 23.0), ("rare", 400.0)):
            instant = rng.exponential(gap)
            while instant < 4000:
                own.append((instant, event))
                instant += rng.exponential(gap)
        people.append(own)
    return people


def test_the_planted_step_is_named_and_inert_events_are_not():
    rng = np.random.default_rng(11)
    result = hidden_steps(log_of(waits_and_noise(rng, planted=True)), ["cart", "buy"])
    assert result.table.loc[result.table["hidden"], "event"].tolist() == ["form"]
    assert result.table["event"].iloc[0] == "form"
    row = result.table.iloc[0]
    for k, n, truth in ((row["k"], row["n"], 0.9), (row["stopped_k"], row["stopped_n"], 0.15)):
        low, high = wilson(k, n, confidence=0.999)
        assert low < truth < high


def test_what_happens_at_any_time_is_no_step_though_some_wait_for_days():
    """The trap: most of those who go on have noise on the way, only because some wait long."""
    rng = np.random.default_rng(5)
    result = hidden_steps(log_of(waits_and_noise(rng, planted=False)), ["cart", "buy"])
    noise = result.table.set_index("event").loc["noise"]
    assert noise["low"] > 0.5 > noise["stopped_high"]
    assert noise["q_value"] < 0.001
    assert noise["early_rate"] < noise["stopped_rate"]
    assert not result.table["hidden"].any()
    assert result.sentence() == (
        "No step hides between Cart and Buy: none of 2 candidates was done by most who went on "
        "and left out by most who stopped."
    )


def test_the_sentence_has_both_shares_with_their_counts():
    people = [[(0, "cart"), (4, "form"), (9, "buy")]] * 38 + [[(0, "cart"), (9, "buy")]] * 2
    people += [[(0, "cart"), (8, "form")]] * 3 + [[(0, "cart"), (9, "form")]] * 27
    result = hidden_steps(log_of(people), ["cart", "buy"])
    assert result.sentence() == (
        "“Form” may hide between Cart and Buy: 95.0% (38 of 40) of the people who went on did it "
        "on the way, and 10.0% (3 of 30) of the people who stopped, in 9 min, the "
        "median wait of the others (difference 85.0 points, 95% interval +65.6 to +92.5)."
    )
    assert any("whether it makes anyone go on takes an experiment" in w for w in result.warnings)


def test_neither_shards_nor_names_nor_users_who_never_enter_matter():
    log = simulate(users=3000, shards=1).log
    frame = log.to_frame()
    stranger = frame.iloc[:5].assign(user="zz", event=["footer_click"] * 5)
    renamed = frame.assign(user="x" + frame["user"].str[::-1])
    other = EventLog.from_frame(
        pd.concat([renamed, stranger]).sample(frac=1, random_state=1),
        covers_until=log.covers_until,
        shards=8,
    )
    pd.testing.assert_frame_equal(
        hidden_steps(log, CHECKOUT).table, hidden_steps(other, CHECKOUT).table
    )


def test_pairs_that_cannot_be_compared_say_why():
    went, stopped = [(0, "cart"), (1, "x"), (2, "buy")], [(0, "cart"), (1, "x")]
    at_once = [(0, "cart"), (0, "x"), (0, "buy")]
    for people, steps, why in (
        ([stopped, [(9, "buy")]], ["cart", "buy"], "Cart and Buy nothing can be compared: nobody "
         "went on."),
        ([went], ["cart", "buy"], "nobody stopped."),
        ([at_once, stopped], ["cart", "buy"], "most people who went on did both at the same "
         "instant."),
        ([went, [(0, "cart")]], ["cart", "*"], "a step of any event leaves no other event."),
    ):  # fmt: skip
        result = hidden_steps(log_of(people), steps)
        assert any(why in said for said in result.warnings), why
        assert len(result.table) == 0
        assert "No step hides" in result.sentence()
        assert "nothing to compare" in result.figure().layout.meta["alt"]
    both = hidden_steps(log_of([went, stopped]), ["cart", "buy", "x"])
    assert both.table["step"].tolist() == [1]


def test_who_stopped_so_late_that_the_log_ends_first_is_left_out():
    people = [
        [(0, "a"), (40, "b"), (50, "x"), (100, "c")],
        [(0, "a"), (70, "b"), (80, "x")],
        [(0, "a"), (10, "b")],
    ]
    log = log_of(people, covers_until="2026-01-10 02:00")
    table = hidden_steps(log, ["a", "b", "c"], window="2h").table
    # The one wait is 60 minutes: who was at b after 70 minutes cannot be watched for as long.
    row = table[table["step"] == 2].iloc[0]
    assert row[["event", "k", "n", "stopped_k", "stopped_n"]].tolist() == ["x", 1, 1, 0, 1]


def test_alternative_names_of_a_step_are_no_candidates():
    people = [[(0, "cart"), (1, "wish"), (2, "x"), (3, "buy")]] * 3 + [[(0, "wish"), (1, "x")]]
    table = hidden_steps(log_of(people), [["cart", "wish"], "buy"]).table
    assert table["event"].tolist() == ["x"]
    assert table["from_event"].tolist() == ["cart or wish"]


@pytest.mark.parametrize(
    ("steps", "options", "said"),
    [
        (["cart"], {}, "hidden_steps: one step has nothing between. Give at least two"),
        (["cart", "bye"], {}, "'bye' is not an event of this log. Did you mean 'buy'?"),
        (["cart", "buy"], {"top": 0}, "top=0. Allowed: a whole number from 1."),
        (["cart", "buy"], {"top": 1.5}, "top=1.5. Allowed"),
        (["cart", "buy"], {"window": "0d"}, "must be longer than zero"),
    ],
)
def test_wrong_use_of_hidden_steps(steps, options, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        hidden_steps(log_of([[(0, "cart"), (1, "buy")]]), steps, **options)


def test_an_empty_log():
    with pytest.raises(DataError, match="the log is empty"):
        hidden_steps(EventLog.from_shards([], event_names=[], covers_until=0), ["a", "b"])


def test_the_pairs_are_neighbors():
    table = hidden_steps(simulate(users=2000).log, CHECKOUT).table
    pairs = table[["from_event", "to_event"]].drop_duplicates().to_numpy().tolist()
    assert pairs == [list(pair) for pair in itertools.pairwise(CHECKOUT)]


def test_an_optional_step_is_no_neighbor_and_may_be_what_hides():
    people = [[(0, "a"), (2, "b"), (5, "c")]] * 40 + [[(0, "a"), (5, "c")]] * 2
    people += [[(0, "a"), (1, "b")]] * 4 + [[(0, "a")]] * 36
    result = hidden_steps(log_of(people), ["a", {"event": "b", "optional": True}, "c"])
    row = result.table.iloc[0]
    assert row[["step", "from_event", "to_event", "event"]].tolist() == [1, "a", "c", "b"]
    assert row[["k", "n", "stopped_k", "stopped_n", "hidden"]].tolist() == [40, 42, 4, 40, True]


@pytest.mark.parametrize(("on", "off", "hidden"), [(95, 65, False), (40, 5, False), (80, 20, True)])
def test_a_step_is_what_most_who_go_on_do_and_most_who_stop_do_not(on, off, hidden):
    people = [[(0, "cart"), (5, "buy"), *([(2, "form")] if i < on else [])] for i in range(100)]
    people += [[(0, "cart"), *([(2, "form")] if i < off else [])] for i in range(100)]
    row = hidden_steps(log_of(people), ["cart", "buy"]).table.iloc[0]
    assert (row["k"], row["stopped_k"], row["hidden"]) == (on, off, hidden)
    assert row["q_value"] < 0.001


# ── Shares of small actions against a count in pandas.

WEEK = ("2026-11-09", "2026-11-16")


SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro"},
            "video": {"role": "secondary", "label": "Watched <it>"},
            "share": {"role": "secondary"},
            "never": {"role": "secondary"},
        },
    }
)


hours = st.integers(0, 60).map(lambda n: pd.Timestamp("2026-11-05") + pd.Timedelta(6 * n, "h"))


shop_events = st.sampled_from(["visit", "buy", "video", "share"])


rows = st.lists(st.tuples(st.integers(0, 9).map(str), hours, shop_events), min_size=1, max_size=60)


def counted_by_hand(frame: pd.DataFrame, micro: str, until: str) -> tuple[int, int, int, int, int]:
    start, end = map(pd.Timestamp, WEEK)
    inside = (frame["time"] >= start) & (frame["time"] < end)
    entered, converted = set(), set()
    for user, own in frame.groupby("user"):
        entries = own.loc[(own["event"] == "visit") & inside[own.index], "time"]
        entries = entries[entries + pd.Timedelta(days=3) <= pd.Timestamp(until)]
        buys = own.loc[own["event"] == "buy", "time"]
        if len(entries):
            entered.add(user)
            if any(t <= buy <= t + pd.Timedelta(days=3) for t in entries for buy in buys):
                converted.add(user)
    done = frame[inside & (frame["event"] == micro) & frame["user"].isin(entered)]
    did = set(done["user"])
    return len(done), len(did), len(entered), len(did & converted), len(converted)


@settings(max_examples=40)
@given(rows, st.sampled_from([1, 4]), st.sampled_from(["2026-11-14", "2026-12-01"]))
def test_shares_are_those_of_pandas(rows, shards, until):
    rows = [
        *rows,
        ("z", pd.Timestamp("2026-11-01"), "visit"),
        ("z", pd.Timestamp("2026-11-01"), "buy"),
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    log = EventLog.from_frame(frame, covers_until=until, shards=shards)
    result = micro_shares(log, SHOP, ["visit", "buy"], period=WEEK, window="72h", min_cell=1)
    for shown in result.table.itertuples():
        micro = {"Watched <it>": "video", "Share": "share"}[shown.event]
        did, k, n, macro_k, all_k = counted_by_hand(frame, micro, until)
        assert (shown.events, shown.k, shown.n, shown.all_k) == (did, k, n, all_k)
        assert shown.macro_k == macro_k if k else math.isnan(shown.macro_k)
        if n:
            low, high = wilson(k, n)
            assert (shown.low, shown.high) == pytest.approx((float(low), float(high)))
    assert any("do not say what an action causes" in warning for warning in result.warnings)
    assert "Never" in " ".join(result.warnings)


def shop(watched: int, bought: int) -> EventLog:
    frame = [(f"u{i}", "2026-11-10", "visit") for i in range(100)]
    frame += [(f"u{i}", "2026-11-10", "video") for i in range(watched)]
    frame += [(f"u{i}", "2026-11-11", "buy") for i in range(bought)]
    table = pd.DataFrame(frame, columns=["user", "time", "event"])
    return EventLog.from_frame(
        table.assign(time=pd.to_datetime(table["time"])), covers_until="2027"
    )


def test_small_cells_are_hidden():
    """Few of many are told, and not how many of the few bought."""
    few = micro_shares(shop(watched=4, bought=20), SHOP, ["visit", "buy"], period=WEEK)
    row = few.table.iloc[0]
    assert (row["k"], row["n"], row["rate"], row["all_k"]) == (4, 100, 0.04, 20)
    assert (row["low"], row["high"]) == pytest.approx(tuple(map(float, wilson(4, 100))))
    assert row[["macro_k", "macro_rate", "macro_low", "macro_high"]].isna().all()
    said = "1 action was done by fewer than 5 users: how many of these converted is not shown."
    assert said in few.warnings
    assert "4.0% (4 of 100)" in few.sentence()
    assert few.sentence().endswith("too few people to show how many of them converted.")
    some = micro_shares(shop(watched=20, bought=4), SHOP, ["visit", "buy"], period=WEEK)
    row = some.table.iloc[0]
    assert (row["macro_k"], row["macro_rate"], row["all_k"], row["all_rate"]) == (4, 0.2, 4, 0.04)
    assert "20.0% (4 of 20) converted" in some.sentence()
    lone = EventLog.from_frame(shop(20, 4).to_frame().query("user < 'u13'"), covers_until="2027")
    none = micro_shares(lone, SHOP, ["visit", "buy"], period=WEEK, min_cell=9)
    assert none.table.drop(columns="event").isna().all(axis=None)
    assert "Fewer than 9 users entered: too few people to show a rate." in none.warnings
    assert none.sentence().startswith("Too few people entered")
    assert none.figure().to_json()


def test_the_sentence_has_both_rates_with_their_counts():
    said = micro_shares(shop(watched=50, bought=20), SHOP, ["visit", "buy"], period=WEEK).sentence()
    assert "“Watched <it>”: 50.0% (50 of 100) of those who entered." in said
    assert (
        "Of these, 40.0% (20 of 50) converted within 7 days, of everybody 20.0% (20 of 100)."
        in said
    )


def test_nobody_has_had_the_time_yet():
    young = EventLog.from_frame(shop(50, 20).to_frame(), covers_until="2026-11-12")
    result = micro_shares(young, SHOP, ["visit", "buy"], period=WEEK)
    assert (result.table[["k", "n"]] == 0).all(axis=None)
    assert "Nobody who entered has had the whole time" in result.figure().layout.meta["alt"]


def test_wrong_use_of_micro_shares():
    with pytest.raises(UsageError, match="whole number from 1"):
        micro_shares(shop(9, 9), SHOP, ["visit", "buy"], period=WEEK, min_cell=0)
