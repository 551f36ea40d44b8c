"""The demo shop's parameters: what is true in it, as plain frozen data.

`SHOP` is read top to bottom: who comes, from where, on what, what they do, and what that does to
a purchase. `shop_tables` turns a shop into the arrays that the pass of the simulation reads;
`truth` turns it into the table that a method has to find again. Both come from the same numbers,
so the truth cannot drift away from the simulation.

The confounder is here too, and no column of the log shows it: each visitor has an *activity*,
which multiplies visits and every small action alike, and an *interest* in buying, which grows
with activity. So people who click on the imprint buy more often, and the imprint does nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.core.schema import instant_us
from analysis.simulation.shop_form import CONTACT, Form


@dataclass(frozen=True)
class Source:
    """Where visits come from: shares of first and of later visits.

    `hazard` is a factor on the hazard of a purchase of those whose first visit came from here.
    """

    channel: str
    source: str
    medium: str
    campaign: str | None
    share: float
    returning: float
    hazard: float


@dataclass(frozen=True)
class Micro:
    """A small action: its chances per browsing moment at average activity, and what it does.

    `hazard_ratio` multiplies the hazard of starting a purchase at every later moment,
    `visit_ratio` the intensity of later visits.
    """

    event: str
    kind: str
    on_item_page: float
    elsewhere: float
    note: str
    hazard_ratio: float = 1.0
    visit_ratio: float = 1.0


@dataclass(frozen=True)
class Incident:
    """Payments on mobile succeed less often from `since` to `until` (excluded; UTC)."""

    since: str
    until: str
    hazard_ratio: float

    def bounds_us(self) -> tuple[int, int]:
        """Both instants in microseconds since 1970 UTC."""
        return instant_us(self.since), instant_us(self.until)


@dataclass(frozen=True)
class Shop:
    """Everything that is true in the demo shop."""

    sources: tuple[Source, ...]
    newsletter_source: Source
    micros: tuple[Micro, ...]  # the newsletter first
    share: Micro
    incident: Incident | None
    countries: tuple[tuple[str, float], ...]  # name, share
    devices: tuple[tuple[str, float, float], ...]  # name, share as main device, hazard factor
    device_counts: tuple[float, ...] = (0.76, 0.20, 0.04)  # visitors with one, two, three

    # Hidden traits: log-normal, in equally likely levels; interest = activity ** power × own part.
    levels: int = 16
    activity_spread: float = 0.65
    interest_by_activity: float = 0.3
    interest_spread: float = 0.6
    share_by_interest: float = 0.5

    # First visits: linear growth over the period; relative traffic by weekday and by hour (UTC).
    growth: float = 0.4
    weekdays: tuple[float, ...] = (1.08, 1.02, 0.99, 0.97, 0.90, 0.92, 1.12)
    hours: tuple[float, ...] = (
        *(0.30, 0.20, 0.15, 0.14, 0.18, 0.35, 0.60, 0.85, 1.00, 1.08, 1.12, 1.15),
        *(1.18, 1.12, 1.10, 1.12, 1.20, 1.40, 1.65, 1.85, 1.80, 1.45, 0.95, 0.55),
    )

    # Later visits: intensity rate × activity / (scale + time since the first one).
    visit_once: float = 0.2
    visits_rate: float = 0.38
    visits_scale_seconds: float = 20_000.0
    same_source: float = 0.25
    unsubscribe: float = 0.012  # per moment of a visit by newsletter

    # A visit: chance to leave after its first and after later moments at average activity; the
    # next page (story, list, search, item) after each of these and on landing.
    leave_first: float = 0.64
    leave_later: float = 0.062
    next_page: tuple[tuple[float, ...], ...] = (
        (0.28, 0.40, 0.14, 0.18),
        (0.10, 0.26, 0.09, 0.55),
        (0.08, 0.17, 0.20, 0.55),
        (0.12, 0.34, 0.10, 0.44),
        (0.50, 0.24, 0.06, 0.20),
    )

    # Buying: chance per moment to start; chances to proceed to checkout, shipping, payment and
    # purchase by device; a cart that is left may be kept for the next visit.
    base_hazard: float = 0.0072
    proceed: tuple[tuple[float, ...], ...] = (
        (0.36, 0.43, 0.40),
        (0.75, 0.83, 0.80),
        (0.82, 0.88, 0.86),
        (0.78, 0.87, 0.84),
    )
    another_item: float = 0.25
    look_at_cart: float = 0.7
    remove_item: float = 0.2
    leave_after_abandoning: float = 0.5
    forget_cart: float = 0.5
    refill_kept_cart: float = 0.5
    items: int = 120
    price: float = 48.0  # median, EUR
    price_spread: float = 0.6

    # A form that some fill in; it changes nothing else.
    form: Form | None = CONTACT


CONTROLS = (
    ("footer_click", 0.010),
    ("logo_click", 0.012),
    ("imprint_click", 0.006),
    ("language_switch", 0.007),
    ("theme_switch", 0.006),
    ("back_to_top", 0.013),
    ("cookie_settings", 0.008),
    ("careers_click", 0.005),
)


_NOTHING = "rate proportional to hidden activity; no effect"


SHOP = Shop(
    sources=(
        Source("organic", "google", "organic", None, 0.27, 0.22, 1.00),
        Source("organic", "bing", "organic", None, 0.04, 0.03, 1.00),
        Source("paid_search", "google", "cpc", "brand", 0.08, 0.09, 1.30),
        Source("paid_search", "google", "cpc", "generic_autumn", 0.13, 0.03, 0.95),
        Source("direct", "(direct)", "(none)", None, 0.18, 0.52, 1.20),
        Source("social", "instagram", "social", None, 0.09, 0.04, 0.60),
        Source("social", "instagram", "paid_social", "autumn_looks", 0.08, 0.02, 0.65),
        Source("affiliate", "voucher-portal", "affiliate", "voucher", 0.05, 0.03, 1.25),
        Source("referral", "style-magazine", "referral", None, 0.05, 0.02, 0.90),
        Source("email", "partner-letter", "email", "partner_offer", 0.03, 0.00, 1.10),
    ),
    newsletter_source=Source("email", "newsletter", "email", "newsletter", 0.0, 0.0, 1.0),
    micros=(
        Micro(
            event="newsletter_sign_up",
            kind="brings_back",
            on_item_page=0.003,
            elsewhere=0.005,
            note="more visits from then on, by e-mail; the hazard per moment is unchanged",
            visit_ratio=1.5,
        ),
        Micro("video_start", "raises", 0.045, 0.0, "raises the hazard from then on", 2.0),
        Micro("view_reviews", "raises", 0.060, 0.0, "raises the hazard from then on", 1.4),
        Micro("file_download", "lowers", 0.025, 0.0, "a size guide; lowers the hazard", 0.6),
        *(Micro(event, "placebo", rate, rate, _NOTHING) for event, rate in CONTROLS),
        Micro("add_to_wishlist", "shares_activity", 0.055, 0.0, _NOTHING),
    ),
    share=Micro("share", "shares_interest", 0.022, 0.0, "rate by activity × √interest; no effect"),
    incident=Incident("2026-11-09", "2026-11-16", 0.4),
    countries=(("DE", 0.62), ("AT", 0.12), ("CH", 0.09), ("NL", 0.06), ("FR", 0.06), ("GB", 0.05)),
    devices=(("mobile", 0.60, 0.80), ("desktop", 0.34, 1.30), ("tablet", 0.06, 1.00)),
)


STRUCTURAL = ("add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info")


def truth(shop: Shop) -> pd.DataFrame:
    """What is planted in a shop, a row per fact?

    Returns
    -------
    DataFrame with the columns

    - ``event``, ``kind``: raises, lowers, brings_back, adverse (ends what the newsletter did),
      placebo, shares_activity, shares_interest, structural, incident,
    - ``hazard_ratio``: hazard of starting a purchase per browsing moment after the event against
      before; of the incident: chance that a payment succeeds against other weeks; NaN where the
      event is itself a part of buying,
    - ``visit_ratio``: intensity of later visits after the event against before,
    - ``device``, ``since``, ``until`` (excluded; UTC): where and when it holds, if not always,
    - ``note``: the same in words.

    Examples
    --------
    >>> facts = truth(SHOP).set_index("event")
    >>> float(facts.loc["view_reviews", "hazard_ratio"]), facts.loc["logo_click", "kind"]
    (1.4, 'placebo')
    """
    facts: list[dict[str, object]] = [
        {name: getattr(micro, name) for name in ("event", "kind", "note", *_RATIOS)}
        for micro in (*shop.micros, shop.share)
    ]
    back = {"hazard_ratio": 1.0, "visit_ratio": 1.0 / shop.micros[0].visit_ratio}
    facts.append({"event": "unsubscribe", "kind": "adverse", "note": "ends the letters", **back})
    none = {"kind": "structural", "note": "a part of buying", "visit_ratio": 1.0}
    facts += [{"event": event, **none} for event in STRUCTURAL]
    if shop.incident:
        note = "payments on mobile fail more often; other devices and weeks are as ever"
        bounds = {"since": shop.incident.since, "until": shop.incident.until}
        ratios = {"hazard_ratio": shop.incident.hazard_ratio, "visit_ratio": 1.0}
        what = {"event": "purchase", "kind": "incident", "device": "mobile", "note": note}
        facts.append({**what, **bounds, **ratios})
    table = pd.DataFrame(facts, columns=_COLUMNS)
    return table.assign(**{name: pd.to_datetime(table[name], utc=True) for name in _BOUNDS})


_RATIOS = ("hazard_ratio", "visit_ratio")


_BOUNDS = ("since", "until")


_COLUMNS = ["event", "kind", *_RATIOS, "device", *_BOUNDS, "note"]
