"""A suggested funnel against a count in pandas, and where it has to say that it is unsure."""

from __future__ import annotations

import itertools
import math
import re
from collections import Counter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from statsmodels.stats.proportion import proportion_confint

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.funnels.suggestion import by_median, common_orders, step_numbers, suggest
from analysis.simulation.log import simulate

DAY = pd.Timestamp("2026-01-10")


STEPS = ("look", "cart", "pay")


SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro", "label": "Purchase"},
            **{name: {"role": "milestone"} for name in STEPS},
            "footer": {"role": "control"},
        },
    }
)


BARE = Catalog.from_mapping(
    {"name": "bare", "events": {"buy": {"role": "macro"}, "footer": {"role": "control"}}}
)


def log_of(people: list[list[tuple[float, str]]], **options) -> EventLog:
    """A log in which each person does events at so many hours."""
    rows = [(f"u{i:04}", hours, event) for i, own in enumerate(people) for hours, event in own]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = DAY + pd.to_timedelta(frame["time"].astype(float), unit="h")
    return EventLog.from_frame(frame, **options)


def way(*events: str, every: float = 1.0) -> list[tuple[float, str]]:
    """One person who does these events one after the other, far from the log's beginning."""
    return [(1000 + every * i, event) for i, event in enumerate(events)]


EARLY = [(0.0, "look")]
"""Somebody who starts the log long before anybody else, so that every look-back is whole."""


events = st.sampled_from(["look", "cart", "pay", "buy", "footer", "video"])


person = st.lists(st.tuples(st.integers(0, 60), events), max_size=10)


def by_hand(people: list[list[tuple[int, str]]], names: list[str]) -> list[dict[str, int]]:
    """Per converter, how many hours before their first macro they first did each event."""
    found = []
    for own in people:
        at = min((hour for hour, event in own if event == "buy"), default=None)
        if at is not None:
            inside = [(hour, event) for hour, event in own if at - 24 <= hour <= at]
            found.append(
                {
                    name: at - min(hour for hour, event in inside if event == name)
                    for name in names
                    if any(event == name for _, event in inside)
                }
            )
    return found


@settings(max_examples=80)
@given(
    st.lists(person, max_size=12),
    st.sampled_from([1, 4]),
    st.integers(2, 4),
    st.sampled_from([0.2, 0.5, 1.0]),
)
def test_the_suggestion_is_that_of_pandas(people, shards, most, least):
    people = [[(0, name) for name in (*STEPS, "footer", "video")], *people]
    people[0] += [(1, "look"), (3, "cart"), (4, "buy")]
    log = log_of(people, shards=shards)
    result = suggest(log, SHOP, window="24h", most=most, least=least)
    leads = by_hand(people, list(STEPS))
    k = {name: sum(name in own for own in leads) for name in STEPS}
    often = [name for name in STEPS if k[name] >= least * len(leads)]
    kept = sorted(sorted(often, key=lambda n: -k[n])[: most - 1], key=STEPS.index)
    orders = Counter(
        tuple(sorted(kept, key=lambda name: (-own[name], kept.index(name))))
        for own in leads
        if kept and all(name in own for name in kept)
    )
    shown = {tuple(row.order.split(" → ")): row.k for row in result.orders.itertuples()}
    assert shown == orders
    if orders:
        best = sorted(orders.items(), key=lambda o: (-o[1], [kept.index(n) for n in o[0]]))[0]
        assert result.steps == (*best[0], "buy")
    assert set(result.steps) == {*kept, "buy"}
    table = result.table.set_index("event")
    assert {name: table.loc[name, "k"] for name in kept} == {name: k[name] for name in kept}
    assert (table["n"] == len(leads)).all()
    assert set(result.left_out["event"]) == set(STEPS) - set(kept)
    for before, name in zip(result.steps, result.steps[1:-1], strict=False):
        both = [own for own in leads if before in own and name in own]
        assert table.loc[name, "n_after"] == len(both)
        assert table.loc[name, "k_after"] == sum(own[name] <= own[before] for own in both)


def test_neither_shards_nor_names_nor_the_order_of_rows_matter():
    log = simulate(users=3000, shards=1).log
    frame = log.to_frame()
    shop = Catalog.load("data/catalogs/ecommerce.toml")
    one = suggest(log, shop, most=7)
    shuffled = frame.sample(frac=1, random_state=1).assign(user=lambda f: "x" + f["user"].str[::-1])
    other = suggest(
        EventLog.from_frame(shuffled, covers_until=log.covers_until, shards=8), shop, most=7
    )
    assert one.steps == other.steps
    assert one.warnings == other.warnings
    pd.testing.assert_frame_equal(one.table, other.table)
    pd.testing.assert_frame_equal(one.orders, other.orders)


def test_the_demo_suggests_its_own_checkout():
    log = simulate(users=4000).log
    shop = Catalog.load("data/catalogs/ecommerce.toml")
    result = suggest(log, shop)
    assert list(result.steps) == [step["event"] for step in shop.steps("checkout_in_detail")]
    assert any("Left out" in said and "Viewed the cart" in said for said in result.warnings)
    assert funnel(log, result.steps).table["event"].tolist() == list(result.steps)


def test_the_sentence_has_numbers_counts_and_intervals():
    people = [EARLY, *[way("look", "cart", "buy")] * 30, *[way("cart", "look", "buy")] * 6]
    said = suggest(log_of([*people, *[way("look", "buy")] * 4]), SHOP).sentence()
    assert said == (
        "Suggested funnel: Look → Cart → Purchase. Of 36 converters who did all of these in the "
        "7 days before, 83.3% (30) first did them in this order (95% interval 68.1% to 92.1%). "
        "The step that fewest of the 40 converters did is “Cart”: 90.0% (36 of 40), 95% interval "
        "76.9% to 96.0%."
    )


def test_two_orders_nearly_as_common_are_ambiguous():
    people = [EARLY, *[way("look", "cart", "buy")] * 500, *[way("cart", "look", "buy")] * 420]
    result = suggest(log_of(people), SHOP)
    assert result.steps == ("look", "cart", "buy")
    assert any(
        "ambiguous: Cart → Look is nearly as common (420 against 500 of 920" in said
        for said in result.warnings
    )


def test_few_converters_cannot_tell_two_orders_apart():
    people = [EARLY, *[way("look", "cart", "buy")] * 7, *[way("cart", "look", "buy")] * 3]
    said = " ".join(suggest(log_of(people), SHOP).warnings)
    assert "too few converters to tell it from Cart → Look (3 against 7 of 10 converters)" in said
    assert "rests on 10 of 10 converters" in said


def test_a_clear_order_of_many_says_nothing_of_it():
    people = [EARLY, *[way("look", "cart", "buy")] * 300, *[way("cart", "look", "buy")] * 100]
    said = " ".join(suggest(log_of(people), SHOP).warnings)
    assert "ambiguous" not in said
    assert "rests on" not in said


def test_nobody_did_all_of_them():
    people = [EARLY, *[way("look", "cart", "buy")] * 3, *[way("cart", "pay", "buy")] * 3]
    people += [way("look", "pay", "buy", every=2)] * 3
    result = suggest(log_of(people), SHOP)
    assert result.steps == ("look", "cart", "pay", "buy")
    assert any("None of the 9 converters did all of Look, Cart" in w for w in result.warnings)
    assert len(result.orders) == 0
    assert "first did them in this order" not in result.sentence()


def test_without_milestones_every_event_is_considered_and_said_so():
    people = [EARLY, *[way("visit", "video", "footer", "buy")] * 40, way("ad", "visit", "buy")]
    result = suggest(log_of(people), BARE)
    assert result.steps == ("visit", "video", "buy")
    assert "The catalog 'bare' names no milestone that this log has" in result.warnings[0]
    assert result.left_out["event"].tolist() == ["ad"]
    assert any(
        said == "Left out, done by fewer than 50.0% of the converters before: Ad 2.4% (1 of 41)."
        for said in result.warnings
    )


def test_without_milestones_the_more_common_of_two_at_one_instant_comes_first():
    at_once = [(1000.0, "b_rare"), (1000.0, "z_common"), (1001.0, "buy")]
    people = [EARLY, *[at_once] * 30, *[way("z_common", "buy")] * 9]
    assert suggest(log_of(people), BARE).steps == ("z_common", "b_rare", "buy")


def test_what_is_one_step_too_many_is_named_as_that():
    people = [EARLY, *[way("look", "cart", "buy")] * 39, way("cart", "buy")]
    result = suggest(log_of(people), SHOP, most=2)
    assert result.steps == ("cart", "buy")
    assert "Left out, more would be over 2 steps (most=2): Look 97.5% (39 of 40)." in (
        result.warnings
    )


def test_a_look_back_before_the_log_is_told():
    result = suggest(log_of([[(0, "look"), (24, "buy")], way("look", "buy")]), SHOP)
    assert any("50.0% (1 of 2) of the converters converted less than 7 days after" in w
               for w in result.warnings)  # fmt: skip
    whole = suggest(log_of([EARLY, way("look", "buy")]), SHOP)
    assert not any("after the log begins" in said for said in whole.warnings)


def test_milestones_that_the_log_does_not_know_are_named():
    result = suggest(log_of([EARLY, *[way("look", "buy")] * 40]), SHOP)
    assert "Milestones never seen in the log: Cart and Pay." in result.warnings


def test_nobody_converted():
    for log in (log_of([EARLY]), log_of([EARLY, way("by")]), log_of([way("buy")]).where(user="x")):
        result = suggest(log, SHOP)
        assert result.steps == ()
        assert len(result.table) == 0
        assert list(result.table) == list(suggest(log_of([way("look", "buy")]), SHOP).table)
        assert "Nobody in this log did the macro 'buy'." in result.sentence()
        assert "no funnel to suggest" in result.figure().layout.meta["alt"]
    assert "Did you mean 'buyy'?" in suggest(log_of([way("buyy")]), SHOP).warnings[0]


def test_nothing_is_done_before():
    result = suggest(log_of([EARLY, *[way("buy", "look")] * 3]), SHOP)
    assert result.steps == ("buy",)
    assert result.sentence() == "Suggested funnel: Purchase."
    assert any("only the macro is left" in said for said in result.warnings)
    assert result.figure().layout.meta["alt"]


def test_another_macro_leaves_the_candidates():
    people = [EARLY, *[way("look", "cart", "pay", "buy")] * 40]
    assert suggest(log_of(people), SHOP, macro="pay").steps == ("look", "cart", "pay")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (
            {"macro": "bye"},
            "macro: 'bye' is not an event of this log. Did you mean 'buy'? 2 events",
        ),
        ({"most": 1}, "most=1. Allowed: a whole number from 2 to 16."),
        ({"most": 17}, "most=17. Allowed"),
        ({"most": 2.0}, "most=2.0. Allowed"),
        ({"least": 0}, "least=0. Allowed: a share above 0 and up to 1, such as 0.5."),
        ({"least": 50}, "least=50. Allowed"),
        ({"least": True}, "least=True. Allowed"),
        ({"window": 7}, "window=7 has no unit"),
    ],
)
def test_wrong_use(options, said):
    with pytest.raises(UsageError, match=re.escape(said)):
        suggest(log_of([way("look", "buy")]), SHOP, **options)


def test_the_planted_order_is_found_among_detours():
    """Half of the converters repeat and detour; first occurrences still tell the order."""
    rng = np.random.default_rng(3)
    people = [EARLY]
    for _ in range(400):
        steps = ["look", "look", "cart", "look", "pay"]
        if rng.random() < 0.2:
            steps[0], steps[2] = steps[2], steps[0]
        for _ in range(rng.integers(0, 4)):
            steps.insert(int(rng.integers(0, 5)), str(rng.choice(["video", "footer"])))
        people.append(way(*steps, "buy", every=float(rng.exponential(0.2)) + 0.01))
    result = suggest(log_of(people), SHOP)
    assert result.steps == ("look", "cart", "pay", "buy")
    top = result.orders.iloc[0]
    assert top["low"] < 0.8 < top["high"]


# ── Orders and shares of converters, against plain Python.

matrices = st.integers(1, 4).flatmap(
    lambda wide: (
        st.lists(st.lists(st.integers(-1, 6), min_size=wide, max_size=wide), max_size=20)
        .filter(bool)
        .map(lambda rows: np.array(rows, np.int64))
    )
)


@given(matrices)
def test_orders_are_those_that_sorting_each_row_gives(lead):
    counted = Counter(
        tuple(sorted(range(len(row)), key=lambda i: (-row[i], i)))
        for row in lead.tolist()
        if min(row) >= 0
    )
    expected = sorted(counted.items(), key=lambda item: (-item[1], item[0]))
    assert [(order.columns, order.k) for order in common_orders(lead)] == expected


def test_fifteen_columns_fit_into_one_number():
    forward = np.arange(15)[::-1]
    found = common_orders(np.array([forward, forward, forward[::-1]]))
    assert [(order.columns, order.k) for order in found] == [
        (tuple(range(15)), 2),
        (tuple(reversed(range(15))), 1),
    ]


@given(matrices)
def test_the_numbers_of_the_steps(lead):
    table = step_numbers(lead)
    for i, row in enumerate(table.itertuples()):
        own = [r for r in lead.tolist() if r[i] >= 0]
        assert (row.k, row.n) == (len(own), len(lead))
        places = [1 + sum(other > r[i] for other in r) for r in own]
        seconds = [r[i] / 1e6 for r in own]
        for shown, values in (
            (row.median_position, places),
            (row.median_seconds_before, seconds),
        ):
            assert shown == pytest.approx(np.median(values)) if values else math.isnan(shown)
        if i == 0:
            assert math.isnan(row.k_after)
            continue
        both = [r for r in own if r[i - 1] >= 0]
        after = sum(r[i] <= r[i - 1] for r in both)
        assert (row.k_after, row.n_after) == (after, len(both))
        if both:
            limits = proportion_confint(after, len(both), method="wilson")
            assert (row.after_low, row.after_high) == pytest.approx(limits, abs=1e-12)


@given(matrices)
def test_by_median_goes_from_the_longest_time_to_the_shortest(lead):
    frame = pd.DataFrame(lead).where(lambda cells: cells >= 0)
    middle = frame.median().fillna(-1).tolist()
    order = by_median(lead)
    assert sorted(order) == list(range(lead.shape[1]))
    assert all(middle[a] >= middle[b] for a, b in itertools.pairwise(order))


def test_no_column_has_no_order():
    nothing = np.empty((3, 0), np.int64)
    assert common_orders(nothing) == []
    assert by_median(nothing) == ()
    assert len(step_numbers(nothing)) == 0
