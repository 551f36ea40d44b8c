"""The simulated shop against its own promises.

The judges are outside the pass: parameters multiplied out by hand, person-time ratios of Mantel
and Haenszel over the hidden traits, Poisson counts against an integral in closed form, and plain
pandas on the log. Seeds are fixed, so a limit of four standard errors never fails by chance.
"""

from __future__ import annotations

import dataclasses
import hashlib
import importlib
import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from analysis.core.schema import UsageError, timestamp
from analysis.eventlog.build import shard_of
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import SessionRule, session_column
from analysis.eventlog.shard import TextColumn
from analysis.simulation import kernels
from analysis.simulation.kernels import EVENTS
from analysis.simulation.log import (
    CATEGORIES,
    STORIES,
    item_names,
    page_names,
    shop_arrays,
    simulate,
    write_simulation,
)
from analysis.simulation.shop import FORM_EVENTS, SHOP, STRUCTURAL, Shop

# The package's name `simulate` is the function.
module = importlib.import_module("analysis.simulation.log")
NEWSLETTER = EVENTS.index("newsletter_sign_up")
DAY_MS = 86_400_000


@pytest.fixture(scope="module")
def world() -> dict[str, np.ndarray]:
    """The pass's own rows of 60,000 visitors, with whose they are, and the visitors."""
    plan = module._plan(5, 60_000, start="2026-08-17", end="2026-11-23", shards=1, shop=SHOP)
    rows, people = module._lives(
        shop_arrays(SHOP, plan.start, plan.end), 5, np.sort(module._partitions(plan.users))
    )
    who = np.repeat(np.arange(len(people)), people["row"] - people["first_row"])
    return {"rows": rows, "people": people, "who": who}


@pytest.fixture(scope="module")
def demo() -> EventLog:
    return simulate().log


@pytest.fixture(scope="module")
def frame(demo: EventLog) -> pd.DataFrame:
    return demo.to_frame()


@pytest.mark.parametrize(
    ("shop", "known"),
    [
        (dataclasses.replace(SHOP, form=None), "6e44c4f7a57e6700053f36eb82daf9c8"),
        (SHOP, "942b74a43b374e663dfc68a9f66b3100"),
    ],
    ids=["without the form", "with it"],
)
def test_the_same_seed_gives_the_same_log_on_every_machine(shop: Shop, known: str) -> None:
    digest = hashlib.blake2b(digest_size=16)
    for shard in simulate(seed=1, users=400, shards=4, shop=shop).log.shards:
        digest.update("".join(shard.users.to_pylist()).encode())
        for array in (shard.offsets, shard.time, shard.event, shard.masks):
            digest.update(array.astype("<u8").tobytes())
        for name, column in shard.columns.items():
            digest.update(name.encode())
            if isinstance(column, TextColumn):
                digest.update(column.codes.astype("<i4").tobytes())
                digest.update("\n".join(column.values.to_pylist()).encode())
            else:
                digest.update(np.nan_to_num(column.numbers * 100, nan=-1).round().tobytes())
    assert digest.hexdigest() == known


def test_another_seed_gives_another_log() -> None:
    assert simulate(seed=1, users=50).log.fingerprint != simulate(seed=2, users=50).log.fingerprint


@pytest.mark.parametrize("shards", [2, 16, 1024])
def test_the_number_of_shards_changes_nothing(shards: int) -> None:
    one = simulate(seed=4, users=300, shards=1).log
    many = simulate(seed=4, users=300, shards=shards).log
    assert len(many.shards) > len(one.shards)
    assert one.fingerprint == many.fingerprint
    pd.testing.assert_frame_equal(one.to_frame(), many.to_frame())


def test_users_lie_in_the_shard_that_their_hash_says() -> None:
    log = simulate(seed=4, users=300, shards=8).log
    assert len(log.shards) == 8
    for number, shard in enumerate(log.shards):
        assert set(shard_of(shard.users, 8)) == {number}


def test_more_users_leave_the_others_as_they_were() -> None:
    few = simulate(seed=9, users=150).log.to_frame()
    more = simulate(seed=9, users=260).log.to_frame()
    kept = more[more["user"] < "u0000150"].reset_index(drop=True)
    pd.testing.assert_frame_equal(few, kept)


def test_ids_grow_wider_beyond_ten_million_and_keep_their_order() -> None:
    names = module.ids(np.array([3, 9_999_999, 10_000_000]), 10_000_001).to_pylist()
    assert names == ["u00000003", "u09999999", "u10000000"]
    assert module.ids(np.array([123]), 20_000).to_pylist() == ["u0000123"]


def test_shards_are_sorted_and_know_which_events_each_user_has() -> None:
    for shard in simulate(seed=3, users=200, shards=2).log.shards:
        names = [name.encode() for name in shard.users.to_pylist()]
        assert names == sorted(names)
        assert shard.offsets[0] == 0
        assert shard.offsets[-1] == shard.rows
        for user, (low, high) in enumerate(zip(shard.offsets, shard.offsets[1:], strict=False)):
            assert high > low
            assert (np.diff(shard.time[low:high]) >= 0).all()
            assert int(shard.masks[user]) == sum(
                1 << int(code) for code in set(shard.event[low:high])
            )


def test_writing_and_opening_gives_the_same_log(tmp_path: Path) -> None:
    facts = write_simulation(tmp_path, seed=6, users=120, shards=4)
    log = EventLog.open(tmp_path)
    made = simulate(seed=6, users=120)
    assert log.fingerprint == made.log.fingerprint
    pd.testing.assert_frame_equal(log.to_frame(), made.log.to_frame())
    pd.testing.assert_frame_equal(facts, made.truth)
    assert log.covers_until == pd.Timestamp("2026-11-23", tz="UTC")
    beside = json.loads((tmp_path / "truth.json").read_text(encoding="utf-8"))
    assert (beside["seed"], beside["users"]) == (6, 120)
    assert [fact["event"] for fact in beside["truth"]] == facts["event"].to_list()
    assert [fact["hazard_ratio"] for fact in beside["truth"]][1] == 2.0
    assert beside["form"] == made.form.to_dict("records")


def test_shards_are_made_one_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    lives = module._lives
    monkeypatch.setattr(module, "_lives", lambda *given: made.append(1) or lives(*given))  # type: ignore[func-returns-value]
    plan = module._plan(1, 100, start="2026-08-17", end="2026-09-01", shards=4, shop=SHOP)
    shards = module._shards(plan)
    next(shards)
    assert len(made) == 1


def test_visits_are_what_a_pause_of_thirty_minutes_separates(demo: EventLog) -> None:
    for shard in demo.shards:
        numbered = session_column(shard, SessionRule(), names=len(demo.event_names))
        column = shard.columns["session"]
        assert isinstance(column, TextColumn)
        np.testing.assert_array_equal(numbered.codes, column.codes)


def test_every_event_lies_in_the_period(demo: EventLog) -> None:
    assert demo.users == 20_000
    assert demo.start >= timestamp(0) + pd.Timedelta(days=20_682)  # 2026-08-17
    assert demo.end < demo.covers_until == pd.Timestamp("2026-11-23", tz="UTC")
    assert set(demo.summary()["event"]) == {*EVENTS, *FORM_EVENTS}


def test_a_short_odd_period_is_filled_and_not_left() -> None:
    log = simulate(users=400, start="2026-03-01T10:15:00.5Z", end="2026-03-01T12:40").log
    assert log.users == 400
    assert log.start >= pd.Timestamp("2026-03-01T10:15:00.5Z")
    assert log.end < pd.Timestamp("2026-03-01T12:40Z")


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"seed": -1}, "seed=-1 is negative"),
        ({"users": 0}, "users=0"),
        ({"start": "2026-11-23"}, "not after start='2026-11-23'"),
        ({"end": "soon"}, "'soon' is not a time"),
        ({"shards": 3}, "shards=3. Allowed: a power of two"),
        ({"shards": 2048}, "shards=2048"),
        ({"shards": 0}, "shards=0"),
    ],
)
def test_a_wrong_argument_is_said_in_one_line(wrong: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said.replace("(", r"\(")) as caught:
        simulate(**wrong)  # type: ignore[arg-type]
    assert "\n" not in str(caught.value)


def test_the_hazard_of_a_moment_is_the_product_that_is_promised(
    world: dict[str, np.ndarray],
) -> None:
    rows, person = world["rows"], world["people"][world["who"]]
    expected = _hazard_by_hand(rows, person)
    moment = rows["hazard"] > 0
    assert moment.sum() > 500_000
    np.testing.assert_allclose(rows["hazard"][moment], expected[moment], rtol=1e-12)
    assert rows["hazard"].max() < 0.5
    # The hazard is met: as many sequences start as the hazards add up to.
    starts, total = (rows["outcome"] > 0).sum(), rows["hazard"].sum()
    assert abs(starts - total) < 4 * np.sqrt(total)


def test_what_a_moment_knows_as_done_is_what_the_log_says(world: dict[str, np.ndarray]) -> None:
    rows, people = world["rows"], world["people"]
    stop = np.cumsum(people["row"] - people["first_row"])
    for person in range(400):
        mine = rows[stop[person - 1] if person else 0 : stop[person]]
        moments = np.flatnonzero(mine["hazard"] > 0)
        for here, following in zip(moments, [*moments[1:], len(mine)], strict=True):
            codes = {int(code) - NEWSLETTER for code in mine["event"][:following]}
            bits = sum(1 << code for code in codes if 0 <= code < len(SHOP.micros))
            assert mine["done"][here] == bits
        assert (mine["outcome"] == kernels.BOUGHT).sum() == (
            mine["event"] == EVENTS.index("purchase")
        ).sum()


@pytest.mark.parametrize("micro", SHOP.micros, ids=lambda micro: micro.event)
def test_the_planted_ratio_is_found_within_strata_of_the_hidden_traits(
    world: dict[str, np.ndarray], micro: object
) -> None:
    bit = SHOP.micros.index(micro)  # type: ignore[arg-type]
    ratio, error = _rate_ratio(world, bit)
    assert error < 0.05
    assert abs(np.log(ratio / SHOP.micros[bit].hazard_ratio)) < 4 * error


def test_a_control_looks_good_as_long_as_nobody_asks_for_activity(
    world: dict[str, np.ndarray],
) -> None:
    rows, people, who = world["rows"], world["people"], world["who"]
    bought = np.zeros(len(people), bool)
    bought[who[rows["event"] == EVENTS.index("purchase")]] = True
    clicked = np.zeros(len(people), bool)
    clicked[who[rows["event"] == EVENTS.index("imprint_click")]] = True
    assert bought[clicked].mean() > 1.5 * bought[~clicked].mean()
    activity = shop_arrays(SHOP, 0, DAY_MS).world[0]["activity"][people["level"]]
    interest = shop_arrays(SHOP, 0, DAY_MS).world[0]["interest"][people["level"], people["trait"]]
    assert 0.2 < np.corrcoef(activity, interest)[0, 1] < 0.8


def test_the_newsletter_brings_people_back_as_often_as_it_says(
    world: dict[str, np.ndarray],
) -> None:
    seen, expected = _visits_against_their_integral(world)
    for state, ratio in (("never", 1.0), ("subscribed", 1.5), ("unsubscribed", 1.0)):
        observed, by_then = seen[state], expected[state]
        assert abs(observed / by_then - ratio) < 4 * np.sqrt(observed) / by_then, state
    assert seen["subscribed"] > 5_000


def test_the_newsletter_visits_come_by_mail(frame: pd.DataFrame) -> None:
    visits = frame.drop_duplicates(["user", "session"])
    signed = frame[frame["event"] == "newsletter_sign_up"].set_index("user")["time"]
    left = frame[frame["event"] == "unsubscribe"].set_index("user")["time"]
    by_letter = visits[visits["source"] == "newsletter"]
    assert len(by_letter) > 300
    assert (by_letter["time"] > by_letter["user"].map(signed)).all()
    assert not (by_letter["time"] > by_letter["user"].map(left)).any()
    assert set(by_letter["channel"]) == {"email"}


def test_during_the_incident_mobile_payments_fail_and_others_do_not(
    world: dict[str, np.ndarray],
) -> None:
    rows = world["rows"]
    assert SHOP.incident is not None
    since, until = (bound // 1000 for bound in SHOP.incident.bounds_us())
    tried = np.flatnonzero(rows["event"] == EVENTS.index("add_payment_info"))
    paid = rows["event"][np.minimum(tried + 1, len(rows) - 1)] == EVENTS.index("purchase")
    failing = (rows["time"][tried] >= since) & (rows["time"][tried] < until)
    for device, usual in enumerate(SHOP.proceed[3]):
        mine = rows["device"][tried] == device
        planted = SHOP.incident.hazard_ratio if device == 0 else 1.0
        for which, chance in ((mine & failing, usual * planted), (mine & ~failing, usual)):
            count = which.sum()
            assert count > 10
            spread = np.sqrt(count * chance * (1 - chance))
            assert abs(paid[which].sum() - count * chance) < 4 * spread


def test_a_shop_without_the_incident_has_none() -> None:
    calm = dataclasses.replace(SHOP, incident=None)
    assert "incident" not in set(simulate(users=20, shop=calm).truth["kind"])


def test_every_order_has_one_value_and_came_through_the_checkout(frame: pd.DataFrame) -> None:
    orders = frame[frame["event"] == "purchase"]
    assert orders["order_id"].is_unique
    assert frame["order_id"].notna().sum() == len(orders)
    assert (orders["value"] > 0).all()
    assert frame["value"].notna().sum() == frame["currency"].notna().sum() == len(orders)
    np.testing.assert_allclose(orders["value"] * 100, (orders["value"] * 100).round(), atol=1e-6)
    first = frame.groupby(["event", "user"])["time"].min()
    for event in STRUCTURAL:
        assert (first[event].reindex(first["purchase"].index) <= first["purchase"]).all()
    steps = frame[frame["event"].isin([*STRUCTURAL[1:], "purchase"])]
    before = steps.groupby(["user", "session"])["event"].shift()
    assert set(before[steps["event"] == "purchase"]) == {"add_payment_info"}


def test_the_value_of_an_order_is_what_lay_in_the_cart(frame: pd.DataFrame) -> None:
    """In a first visit, where the cart was empty to begin with."""
    prices = shop_arrays(SHOP, 0, DAY_MS).world[0]["prices"] / 100
    visit = frame[frame["session"] == "1"]
    item = visit["item_id"].str[4:].astype(float)
    price = pd.Series(prices[item.fillna(1).astype(int) - 1], index=visit.index)
    sign = visit["event"].map({"add_to_cart": 1, "remove_from_cart": -1}).fillna(0)
    worth = (price * sign).groupby(visit["user"]).sum()
    orders = visit[visit["event"] == "purchase"].set_index("user")["value"]
    assert len(orders) > 200
    assert (visit["event"] == "remove_from_cart").sum() > 20
    np.testing.assert_allclose(orders, worth[orders.index], atol=1e-6)


def test_carts_that_were_never_paid_are_left_at_every_stage(frame: pd.DataFrame) -> None:
    users = frame.groupby("event")["user"].nunique()
    stages = users[["view_item", *STRUCTURAL, "purchase"]]
    assert (stages.diff().dropna() < -40).all()
    assert 0.55 < users["view_item"] / 20_000 < 0.70
    assert 0.20 < users["add_to_cart"] / users["view_item"] < 0.30
    assert 0.42 < users["begin_checkout"] / users["add_to_cart"] < 0.58
    assert 0.50 < users["purchase"] / users["begin_checkout"] < 0.65
    assert 0.025 < users["purchase"] / 20_000 < 0.040
    assert 400_000 < len(frame) < 600_000


def test_desktop_visits_buy_more_often_than_mobile_ones(frame: pd.DataFrame) -> None:
    visits = frame.groupby(["user", "session"]).agg(
        device=("device", "first"), bought=("order_id", "count")
    )
    rate = (visits["bought"] > 0).groupby(visits["device"]).mean()
    assert rate["desktop"] > 1.5 * rate["mobile"]
    counts = frame.groupby("user")["device"].nunique().value_counts(normalize=True)
    assert 0.05 < counts[2] < 0.25
    assert 0 < counts[3] < 0.05


def test_some_buy_within_minutes_and_some_after_weeks(frame: pd.DataFrame) -> None:
    came = frame.groupby("user")["time"].min()
    bought = frame[frame["event"] == "purchase"].groupby("user")["time"].min()
    days = (bought - came.reindex(bought.index)) / pd.Timedelta(days=1)
    assert days.min() > 30 / 86_400
    assert 0.2 < (days < 1 / 48).mean() < 0.4
    assert 0.4 < (days < 1).mean() < 0.6
    assert 0.15 < (days > 7).mean() < 0.35


def test_traffic_grows_and_keeps_its_week_and_its_day(world: dict[str, np.ndarray]) -> None:
    rows, people = world["rows"], world["people"]
    start = np.cumsum(people["row"] - people["first_row"]) - (people["row"] - people["first_row"])
    came = pd.to_datetime(rows["time"][start], unit="ms")
    day = (rows["time"][start] - rows["time"].min()) // DAY_MS
    early, late = (day < 28).sum(), (day >= 70).sum()
    planted = (1 + SHOP.growth * 84 / 98) / (1 + SHOP.growth * 14 / 98)
    assert abs(np.log(late / early / planted)) < 4 * np.sqrt(1 / early + 1 / late)
    for found, weights in ((came.day_of_week, SHOP.weekdays), (came.hour, SHOP.hours)):
        share = np.bincount(found, minlength=len(weights)) / len(people)
        planted_share = np.array(weights) / sum(weights)
        error = np.sqrt(planted_share / len(people))
        # Growth within the fourteen weeks moves the share of a weekday by less than a fiftieth.
        assert (abs(share - planted_share) < 4 * error + planted_share / 50).all()
    returning = np.bincount(pd.to_datetime(rows["time"], unit="ms").hour, minlength=24)
    assert returning[19] > 5 * returning[3]


def test_about_one_event_in_a_hundred_shares_its_instant(frame: pd.DataFrame) -> None:
    same = frame["time"].eq(frame["time"].shift()) & frame["user"].eq(frame["user"].shift())
    assert 0.005 < same.mean() < 0.02


def _hazard_by_hand(
    rows: np.ndarray, person: np.ndarray, *, without: int | None = None
) -> np.ndarray:
    """The hazard per moment from the parameters, one micro's ratio left out where told to."""
    made = shop_arrays(SHOP, 0, DAY_MS).world[0]
    hazard = (
        SHOP.base_hazard
        * made["interest"][person["level"], person["trait"]]
        * np.array([source.hazard for source in SHOP.sources])[person["acquired"]]
        * np.array([hazard for _, _, hazard in SHOP.devices])[rows["device"]]
    )
    for bit, micro in enumerate(SHOP.micros):
        if bit != without:
            hazard *= np.where(rows["done"] >> bit & 1, micro.hazard_ratio, 1.0)
    return hazard


def _rate_ratio(world: dict[str, np.ndarray], bit: int) -> tuple[float, float]:
    """Mantel-Haenszel ratio of starts per moment with and without a micro, and the standard
    error of its logarithm (Greenland and Robins 1985).

    Strata are everything else that the hazard depends on, hidden traits included, in steps of
    5 percent. (One stratum per combination would be so small that a start, which ends the
    visit, takes away from the moments it is weighted with; that alone makes a ratio of 1.05.)
    """
    moment = world["rows"]["hazard"] > 0
    rows, person = world["rows"][moment], world["people"][world["who"][moment]]
    steps = np.floor(np.log(_hazard_by_hand(rows, person, without=bit)) / 0.05).astype(int)
    strata = steps - steps.min()
    done = (rows["done"] >> bit & 1).astype(bool)
    started = rows["outcome"] > 0
    size = strata.max() + 1

    def count(which: np.ndarray) -> np.ndarray:
        return np.bincount(strata[which], minlength=size).astype(float)

    a, b, n1, n0 = count(done & started), count(~done & started), count(done), count(~done)
    n = np.maximum(n1 + n0, 1.0)
    up, down = (a * n0 / n).sum(), (b * n1 / n).sum()
    variance = (((a + b) * n1 * n0 - a * b * n) / n**2).sum() / (up * down)
    return up / down, float(np.sqrt(variance))


def _visits_against_their_integral(
    world: dict[str, np.ndarray],
) -> tuple[dict[str, int], dict[str, float]]:
    """Return visits seen, and expected from the intensity without a newsletter, integrated over
    the time at risk on the shop's clock, by whether the person was subscribed in that time."""
    rows, people, who = world["rows"], world["people"], world["who"]
    first = np.flatnonzero(np.diff(who * 1000 + rows["session"], prepend=-1))
    last = np.append(first[1:], len(rows)) - 1
    visitor = who[first]
    final = np.append(visitor[1:] != visitor[:-1], True)
    week = shop_arrays(SHOP, 0, DAY_MS).world[0]["week"]

    def shop_seconds(ms: np.ndarray) -> np.ndarray:
        since_monday = ms + 3 * DAY_MS
        weeks, rest = np.divmod(since_monday, 7 * DAY_MS)
        return (weeks * 7 * DAY_MS + np.interp(rest / 3_600_000, np.arange(169), week)) / 1000

    came = shop_seconds(rows["time"][first[np.searchsorted(visitor, np.arange(len(people)))]])
    end = pd.Timestamp("2026-11-23").value // 1_000_000
    low = shop_seconds(rows["time"][last] + 1_800_000) + 60 - came[visitor]
    until = np.where(final, end, rows["time"][np.append(first[1:], 0)])
    high = np.maximum(shop_seconds(until) - came[visitor], low)
    activity = shop_arrays(SHOP, 0, DAY_MS).world[0]["activity"][people["level"]][visitor]
    scale = SHOP.visits_scale_seconds
    # The wait counts from half an hour after the visit; the minute that is added is no risk.
    integral = SHOP.visits_rate * activity * np.log((scale + high - 60) / (scale + low - 60))
    codes = np.cumsum(rows["event"] == NEWSLETTER), np.cumsum(rows["event"] == len(EVENTS) - 1)
    begin = first[np.searchsorted(visitor, visitor)]
    signed, left = ((code[last] - code[begin]) > 0 for code in codes)
    states = np.select([left, signed], ["unsubscribed", "subscribed"], "never")
    may = people["once"][visitor] == 0
    seen = {str(state): int((~final & may & (states == state)).sum()) for state in set(states)}
    expected = {state: float(integral[may & (states == state)].sum()) for state in seen}
    return seen, expected


# ── The arrays of the shop against the parameters they are made of, and scipy's distributions.


HOUR = 3_600_000


MONDAY = 4 * 24 * HOUR  # 5 January 1970


MADE = shop_arrays(SHOP, MONDAY, MONDAY + 14 * 24 * HOUR)


WORLD = MADE.world[0]


def test_the_passes_codes_are_the_order_of_the_names() -> None:
    names = page_names(SHOP)
    assert names[kernels.HOME_PAGE] == "/"
    assert names[kernels.SEARCH_PAGE] == "/search"
    assert names[kernels.CHECKOUT_PAGE + 3] == "/thank-you"
    assert names[kernels.STORY_PAGE].startswith("/magazine/")
    assert names[kernels.LIST_PAGE].startswith("/c/")
    assert names[kernels.ITEM_PAGE] == f"/p/{item_names(SHOP)[0]}"
    assert len(names) == kernels.ITEM_PAGE + SHOP.items == len(set(names))
    assert (len(STORIES), len(CATEGORIES)) == (kernels.STORIES, kernels.CATEGORIES)
    assert kernels.EVENTS[kernels.PURCHASE] == "purchase"
    assert kernels.EVENTS[kernels.SHARE] == SHOP.share.event
    assert kernels.EVENTS[kernels.UNSUBSCRIBE] == "unsubscribe"
    assert kernels.EVENTS[kernels.ADD_TO_CART] == "add_to_cart"
    assert kernels.EVENTS[kernels.VIEW_CART] == "view_cart"
    assert kernels.EVENTS[kernels.REMOVE_FROM_CART] == "remove_from_cart"
    steps = kernels.EVENTS[kernels.BEGIN_CHECKOUT : kernels.BEGIN_CHECKOUT + 3]
    assert steps == ("begin_checkout", "add_shipping_info", "add_payment_info")
    last = kernels.NEWSLETTER + len(SHOP.micros)
    assert kernels.EVENTS[kernels.NEWSLETTER : last] == tuple(m.event for m in SHOP.micros)


@pytest.mark.parametrize(("kind", "median", "spread"), [(1, 8, 0.8), (2, 24, 1.0), (3, 18, 0.6)])
def test_waits_are_quantiles_of_a_log_normal_distribution(
    kind: int, median: float, spread: float
) -> None:
    waits = WORLD["waits"][kind]
    chances = (np.arange(len(waits)) + 0.5) / len(waits)
    expected = stats.lognorm(s=spread, scale=median * 1000).ppf(chances)
    np.testing.assert_allclose(waits, np.minimum(expected, 900_000), atol=0.5)
    assert waits.max() < 30 * 60_000


def test_hidden_traits_have_mean_one_and_the_planted_spread() -> None:
    activity, interest = WORLD["activity"], WORLD["interest"]
    assert activity.mean() == pytest.approx(1, abs=1e-6)
    assert interest.mean() == pytest.approx(1, abs=1e-6)
    assert np.log(activity).std() == pytest.approx(SHOP.activity_spread, rel=0.06)
    slope = np.polyfit(np.log(activity), np.log(interest).mean(axis=1), 1)[0]
    assert slope == pytest.approx(SHOP.interest_by_activity, abs=1e-3)


def test_chances_stay_below_one_for_the_most_active() -> None:
    assert WORLD["micros"][:, -1].max() * WORLD["activity"].max() < 1
    assert SHOP.share.on_item_page * WORLD["fondness"].max() < 1
    ratios = np.prod(np.maximum(WORLD["ratios"], 1))
    most = WORLD["interest"].max() * WORLD["source_hazard"].max() * WORLD["device_hazard"].max()
    assert SHOP.base_hazard * most * ratios < 1


def test_hours_add_up_to_the_period_and_growth() -> None:
    edges, weight = MADE.hours
    assert edges[0] == MONDAY
    assert edges[-1] == MONDAY + 14 * 24 * HOUR
    assert (np.diff(edges) == HOUR).all()
    weeks = np.add.reduceat(np.diff(weight), [0, 168])
    assert weeks[1] / weeks[0] == pytest.approx(
        (1 + 0.75 * SHOP.growth) / (1 + 0.25 * SHOP.growth), rel=0.01
    )
    assert WORLD["week"][-1] == 168 * HOUR
    part = shop_arrays(SHOP, MONDAY, MONDAY + HOUR + 5).hours
    np.testing.assert_array_equal(part[0], [MONDAY, MONDAY + HOUR, MONDAY + HOUR + 5])


def test_prices_end_in_95_and_are_spread_as_planted() -> None:
    prices = WORLD["prices"]
    assert (prices % 100 == 95).all()
    assert np.median(prices) == pytest.approx(100 * SHOP.price, rel=0.03)
    assert abs(stats.spearmanr(np.arange(len(prices)), prices).statistic) < 0.2


def test_a_shop_without_an_incident_never_fails() -> None:
    world = shop_arrays(dataclasses.replace(SHOP, incident=None), MONDAY, MONDAY + HOUR).world[0]
    assert (world["incident_since"], world["incident_until"]) == (0, 0)
