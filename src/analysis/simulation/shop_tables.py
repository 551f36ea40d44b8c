"""The demo shop as arrays: from the parameters a person reads to the tables a pass looks up.

Numbers that pass through a logarithm or an exponential are rounded here, once, so that two
machines whose libraries differ in the last bit still build the same shop. Waits are quantiles of
a log-normal distribution in whole milliseconds, prices in whole cents: drawing one is a look-up
by a uniform draw, which is the inverse of the distribution function.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import NormalDist
from typing import Any, NamedTuple

import numpy as np

from analysis.simulation.shop import Shop

MS_PER_HOUR = 3_600_000


US_PER_MS = 1_000


STORIES = ("delivery", "gift-ideas", "how-we-make-it", "returns", "sizes")


CATEGORIES = ("bags", "boots", "coats", "dresses", "knitwear", "sale", "shirts", "trousers")


_QUANTILES = 4096


ROW = np.dtype(
    [
        *(("time", "i8"), ("hazard", "f8"), ("cents", "i4"), ("order", "i4"), ("session", "i4")),
        *(("page", "i2"), ("item", "i2"), ("done", "i2"), ("event", "u1"), ("device", "i1")),
        *(("source", "i1"), ("outcome", "i1"), ("field", "i1")),
    ],
    align=True,
)


VISITOR = np.dtype(
    [(name, "f8") for name in ("activity", "fondness", "personal", "ratio")]
    + [(name, "i8") for name in ("first_row", "row", "clock", "came", "cart", "done")]
    + [(name, "i4") for name in ("session", "orders", "pieces", "page", "item", "last", "kind")]
    + [(name, "i1") for name in ("level", "trait", "acquired", "source", "country")]
    + [(name, "i1") for name in ("main", "second", "third", "device", "subscribed", "once")],
    align=True,
)


class Tables(NamedTuple):
    """What the pass reads.

    `world` is one record: `week`, the shop's own clock (ms from Monday, 00:00 UTC, per hour of
    the week), which runs fast when people are awake; cumulative chances (`sources`, `returning`,
    `devices`, `device_counts`, `countries`, `next_page` by page before, `micros` by place:
    elsewhere, item page); factors (`activity` by level; `interest` and `fondness`, what sharing
    is proportional to, by level and trait; `source_hazard`, `device_hazard`, `ratios` by micro);
    chances (`leave` by moment and level, `proceed` by step and device, `share` and the plain
    numbers of the `Shop`); `waits` in ms, `prices` in cents, and instants in ms since 1970 UTC.

    `hours` holds, per hour of the period and at its end, the instant (ms) and the cumulative
    weight of first visits until then: int64 of shape (2, hours + 1).
    """

    world: np.ndarray
    hours: np.ndarray


_PLAIN = (
    *("base_hazard", "leave_after_abandoning", "forget_cart", "refill_kept_cart"),
    *("another_item", "look_at_cart", "remove_item", "unsubscribe", "visit_once"),
    *("same_source", "visits_rate", "visits_scale_seconds"),
)


def tables(shop: Shop, start_ms: int, end_ms: int) -> Tables:
    """The shop as the arrays that the pass reads, for a period in milliseconds since 1970 UTC."""
    since, until = shop.incident.bounds_us() if shop.incident else (0, 0)
    cells: dict[str, Any] = {
        "end": end_ms,
        "period_seconds": (end_ms - start_ms) / 1000.0,
        "incident_since": since // US_PER_MS,
        "incident_until": until // US_PER_MS,
        "incident_ratio": shop.incident.hazard_ratio if shop.incident else 1.0,
        "week": _week(shop),
        **{name: getattr(shop, name) for name in _PLAIN},
        **_visitors(shop),
        **_behavior(shop),
    }
    shapes = [(name, np.asarray(cell).dtype, np.shape(cell)) for name, cell in cells.items()]
    world = np.zeros(1, np.dtype(shapes, align=True))
    for name, cell in cells.items():
        world[name] = cell
    return Tables(world, _hours(shop, start_ms, end_ms))


def item_names(shop: Shop) -> list[str]:
    """Ids of the items, in the order of the pass's numbers for them."""
    return [f"sku-{number:04d}" for number in range(1, shop.items + 1)]


def page_names(shop: Shop) -> list[str]:
    """Paths of the pages, in the order of the pass's numbers for them."""
    return [
        *("/", "/search", "/cart", "/checkout", "/checkout/shipping", "/checkout/payment"),
        *("/thank-you", *(f"/magazine/{story}" for story in STORIES)),
        *(f"/c/{category}" for category in CATEGORIES),
        *(f"/p/{item}" for item in item_names(shop)),
    ]


def _visitors(shop: Shop) -> dict[str, Any]:
    z = _normal_scores(shop.levels)
    activity = _mean_one(np.exp(shop.activity_spread * z))
    trait = _mean_one(np.exp(shop.interest_spread * z))
    sources = (*shop.sources, shop.newsletter_source)
    interest = _mean_one(np.outer(activity**shop.interest_by_activity, trait))
    return {
        "activity": activity,
        "interest": interest,
        "fondness": np.round(activity[:, None] * interest**shop.share_by_interest, 6),
        "leave": _leave(shop, activity),
        "sources": _cumulative([source.share for source in sources]),
        "returning": _cumulative([source.returning for source in sources]),
        "source_hazard": np.array([source.hazard for source in sources]),
        "devices": _cumulative([share for _, share, _ in shop.devices]),
        "device_counts": _cumulative(shop.device_counts),
        "device_hazard": np.array([hazard for _, _, hazard in shop.devices]),
        "countries": _cumulative([share for _, share in shop.countries]),
    }


def _behavior(shop: Shop) -> dict[str, Any]:
    micros = [[m.elsewhere for m in shop.micros], [m.on_item_page for m in shop.micros]]
    return {
        "next_page": np.array([_cumulative(row) for row in shop.next_page]),
        "micros": np.round(np.cumsum(micros, axis=1), 9),
        "share": shop.share.on_item_page,
        "ratios": np.array([micro.hazard_ratio for micro in shop.micros]),
        "newsletter_visits": shop.micros[0].visit_ratio,
        "proceed": np.array(shop.proceed),
        "waits": _waits(),
        "prices": _prices(shop),
    }


def _normal_scores(count: int) -> np.ndarray:
    """The middles of `count` equally likely slices of a standard normal distribution."""
    normal = NormalDist()
    return np.array([normal.inv_cdf((i + 0.5) / count) for i in range(count)])


def _mean_one(values: np.ndarray) -> np.ndarray:
    return np.round(values / values.mean(), 6)


def _cumulative(shares: Sequence[float]) -> np.ndarray:
    total = np.cumsum(shares)
    return np.round(total / total[-1], 9)


def _hours(shop: Shop, start_ms: int, end_ms: int) -> np.ndarray:
    """Hours of the period and the cumulative weight of first visits, in whole numbers."""
    edges = np.append(np.arange(start_ms, end_ms, MS_PER_HOUR), end_ms)
    growth = 1.0 + shop.growth * (edges[:-1] - start_ms) / (end_ms - start_ms)
    of_week = (edges[:-1] // MS_PER_HOUR + 72) % 168  # 1970 began on a Thursday
    weight = growth * np.array(_hour_weights(shop))[of_week] * np.diff(edges) / MS_PER_HOUR
    return np.array([edges, np.append(0, np.cumsum(np.rint(weight * 1e6).astype(np.int64)))])


def _hour_weights(shop: Shop) -> list[float]:
    return [day * hour for day in shop.weekdays for hour in shop.hours]


def _week(shop: Shop) -> np.ndarray:
    """The shop's own clock at every hour of the week: milliseconds from Monday, 00:00 UTC."""
    elapsed = np.cumsum([0.0, *_hour_weights(shop)])
    return np.rint(elapsed / elapsed[-1] * 168 * MS_PER_HOUR).astype(np.int64)


def _leave(shop: Shop, activity: np.ndarray) -> np.ndarray:
    """Chance to leave after the first moment of a visit and after a later one, by level."""
    first = shop.leave_first * activity**-0.4
    later = shop.leave_later * activity**-0.2
    return np.round(np.clip([first, later], 0.02, 0.9), 6)


def _waits() -> np.ndarray:
    """Quantiles of the four kinds of wait in ms, as rows: blink, read, dwell, form."""
    z = _normal_scores(_QUANTILES)
    medians, spreads = (0.4, 8.0, 24.0, 18.0), (0.8, 0.8, 1.0, 0.6)
    seconds = [np.exp(np.log(m) + s * z) for m, s in zip(medians, spreads, strict=True)]
    waits = np.rint(np.clip(seconds, 0.001, 900.0) * 1000.0).astype(np.int64)
    # Some tags fire in the same millisecond as the page they belong to.
    waits[0, : _QUANTILES // 16] = 0
    return waits


def _prices(shop: Shop) -> np.ndarray:
    """Prices in cents of the items, most popular first; popularity and price are unrelated."""
    z = _normal_scores(shop.items)
    euros = np.exp(np.log(shop.price) + shop.price_spread * z)
    shuffled = euros[np.arange(shop.items) * 47 % shop.items]
    return np.rint(shuffled).astype(np.int64) * 100 - 5
