"""The arrays of the shop against the parameters they are made of, and scipy's distributions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from scipy import stats

from analysis.simulation import kernels as browsing
from analysis.simulation.shop import SHOP
from analysis.simulation.shop_tables import CATEGORIES, STORIES, item_names, page_names, tables

HOUR = 3_600_000
MONDAY = 4 * 24 * HOUR  # 5 January 1970
MADE = tables(SHOP, MONDAY, MONDAY + 14 * 24 * HOUR)
WORLD = MADE.world[0]


def test_the_passes_codes_are_the_order_of_the_names() -> None:
    names = page_names(SHOP)
    assert names[browsing.HOME_PAGE] == "/"
    assert names[browsing.SEARCH_PAGE] == "/search"
    assert names[browsing.CHECKOUT_PAGE + 3] == "/thank-you"
    assert names[browsing.STORY_PAGE].startswith("/magazine/")
    assert names[browsing.LIST_PAGE].startswith("/c/")
    assert names[browsing.ITEM_PAGE] == f"/p/{item_names(SHOP)[0]}"
    assert len(names) == browsing.ITEM_PAGE + SHOP.items == len(set(names))
    assert (len(STORIES), len(CATEGORIES)) == (browsing.STORIES, browsing.CATEGORIES)
    assert browsing.EVENTS[browsing.PURCHASE] == "purchase"
    assert browsing.EVENTS[browsing.SHARE] == SHOP.share.event
    assert browsing.EVENTS[browsing.UNSUBSCRIBE] == "unsubscribe"
    assert browsing.EVENTS[browsing.ADD_TO_CART] == "add_to_cart"
    assert browsing.EVENTS[browsing.VIEW_CART] == "view_cart"
    assert browsing.EVENTS[browsing.REMOVE_FROM_CART] == "remove_from_cart"
    steps = browsing.EVENTS[browsing.BEGIN_CHECKOUT : browsing.BEGIN_CHECKOUT + 3]
    assert steps == ("begin_checkout", "add_shipping_info", "add_payment_info")
    last = browsing.NEWSLETTER + len(SHOP.micros)
    assert browsing.EVENTS[browsing.NEWSLETTER : last] == tuple(m.event for m in SHOP.micros)


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
    part = tables(SHOP, MONDAY, MONDAY + HOUR + 5).hours
    np.testing.assert_array_equal(part[0], [MONDAY, MONDAY + HOUR, MONDAY + HOUR + 5])


def test_prices_end_in_95_and_are_spread_as_planted() -> None:
    prices = WORLD["prices"]
    assert (prices % 100 == 95).all()
    assert np.median(prices) == pytest.approx(100 * SHOP.price, rel=0.03)
    assert abs(stats.spearmanr(np.arange(len(prices)), prices).statistic) < 0.2


def test_a_shop_without_an_incident_never_fails() -> None:
    world = tables(dataclasses.replace(SHOP, incident=None), MONDAY, MONDAY + HOUR).world[0]
    assert (world["incident_since"], world["incident_until"]) == (0, 0)
