"""The demo shop's parameters: what is true in it, as plain frozen data.

`SHOP` is read top to bottom: who comes, from where, on what, what they do, and what that does to
a purchase. `tables` turns a shop and a period into the arrays that the pass of the simulation
reads; `truth` turns it into the table that a method has to find again. Both come from the same
numbers, so the truth cannot drift away from the simulation.

Numbers that pass through a logarithm or an exponential are rounded here, so that two machines
whose libraries differ in the last bit still build the same shop.
"""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from analysis.schema import instant_us


@dataclass(frozen=True)
class Source:
    """Where a visit comes from; `share` of first visits, `returning` of later ones."""

    channel: str
    source: str
    medium: str
    campaign: str | None
    share: float
    returning: float
    hazard: float


@dataclass(frozen=True)
class Micro:
    """A small action: rates per moment on item pages and elsewhere, for average activity."""

    event: str
    kind: str
    on_item: float
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
        return instant_us(self.since), instant_us(self.until)


@dataclass(frozen=True)
class Shop:
    """Everything that is true in the demo shop; chances per moment or visit, medians in seconds."""

    sources: tuple[Source, ...]
    newsletter_source: Source
    micros: tuple[Micro, ...]
    share: Micro
    incident: Incident | None
    countries: tuple[tuple[str, float], ...]
    devices: tuple[tuple[str, float, float], ...] = (
        ("mobile", 0.60, 0.80),
        ("desktop", 0.34, 1.30),
        ("tablet", 0.06, 1.00),
    )
    device_counts: tuple[float, ...] = (0.76, 0.20, 0.04)
    proceed: tuple[tuple[float, ...], ...] = (
        (0.36, 0.43, 0.40),
        (0.75, 0.83, 0.80),
        (0.82, 0.88, 0.86),
        (0.78, 0.87, 0.84),
    )
    base_hazard: float = 0.0072
    leave_after_abandoning: float = 0.5
    forget_cart: float = 0.5
    unsubscribe: float = 0.012
    refill_kept_cart: float = 0.5
    another_item: float = 0.25
    look_at_cart: float = 0.7
    remove_item: float = 0.2
    levels: int = 16
    activity_spread: float = 0.65
    interest_by_activity: float = 0.3
    interest_spread: float = 0.6
    share_by_interest: float = 0.5
    leave_first: float = 0.64
    leave_later: float = 0.062
    visit_once: float = 0.2
    same_source: float = 0.25
    visits_rate: float = 0.38
    visits_scale_seconds: float = 20_000.0
    growth: float = 0.4
    weekdays: tuple[float, ...] = (1.08, 1.02, 0.99, 0.97, 0.90, 0.92, 1.12)
    hours: tuple[float, ...] = (
        *(0.30, 0.20, 0.15, 0.14, 0.18, 0.35, 0.60, 0.85, 1.00, 1.08, 1.12, 1.15),
        *(1.18, 1.12, 1.10, 1.12, 1.20, 1.40, 1.65, 1.85, 1.80, 1.45, 0.95, 0.55),
    )
    next_page: tuple[tuple[float, ...], ...] = (
        (0.28, 0.40, 0.14, 0.18),
        (0.10, 0.26, 0.09, 0.55),
        (0.08, 0.17, 0.20, 0.55),
        (0.12, 0.34, 0.10, 0.44),
        (0.50, 0.24, 0.06, 0.20),
    )
    items: int = 120
    price: float = 48.0
    price_spread: float = 0.6


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
_PLACEBO = "rate proportional to hidden activity; no effect"

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
            "newsletter_sign_up",
            "brings_back",
            *(0.003, 0.005),
            "more visits from then on, by e-mail; the hazard per browsing moment is unchanged",
            visit_ratio=1.5,
        ),
        Micro("video_start", "raises", 0.045, 0.0, "raises the hazard afterwards", 2.0),
        Micro("view_reviews", "raises", 0.060, 0.0, "raises the hazard afterwards", 1.4),
        Micro("file_download", "lowers", 0.025, 0.0, "size guide; lowers it afterwards", 0.6),
        *(Micro(event, "placebo", rate, rate, _PLACEBO) for event, rate in CONTROLS),
        Micro("add_to_wishlist", "shares_activity", 0.055, 0.0, _PLACEBO),
    ),
    share=Micro("share", "shares_interest", 0.022, 0.0, "activity × root of interest; no effect"),
    incident=Incident("2026-11-09", "2026-11-16", 0.6),
    countries=(("DE", 0.62), ("AT", 0.12), ("CH", 0.09), ("NL", 0.06), ("FR", 0.06), ("GB", 0.05)),
)


STRUCTURAL = ("add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info")


def truth(shop: Shop) -> pd.DataFrame:
    """What is planted in a shop, a row per fact.

    Returns
    -------
    DataFrame with the columns ``event``; ``kind``; ``hazard_ratio`` (of a purchase per browsing
    moment after the event, against before; for the incident, of a payment's success during it;
    NaN where the event is itself a part of every purchase); ``visit_ratio`` (of the
    intensity of later visits); ``since``, ``until`` (UTC, else NaT) and ``note``.

    Examples
    --------
    >>> facts = truth(SHOP).set_index("event")
    >>> float(facts.loc["view_reviews", "hazard_ratio"]), facts.loc["logo_click", "kind"]
    (1.3, 'placebo')
    """
    facts: list[tuple[object, ...]] = [
        (m.event, m.kind, m.hazard_ratio, m.visit_ratio, None, None, m.note)
        for m in (*shop.micros, shop.share)
    ]
    back = 1.0 / shop.micros[0].visit_ratio
    facts.append(
        ("unsubscribe", "adverse", 1.0, back, None, None, "ends what the newsletter did to visits")
    )
    for event in STRUCTURAL:
        facts.append((event, "structural", float("nan"), 1.0, None, None, "a part of buying"))
    if shop.incident:
        note = "on mobile a payment succeeds less often; other devices and weeks are as ever"
        since, until = shop.incident.since, shop.incident.until
        ratio = shop.incident.hazard_ratio
        facts.append(("purchase", "incident", ratio, 1.0, since, until, note))
    columns = ["event", "kind", "hazard_ratio", "visit_ratio", "since", "until", "note"]
    table = pd.DataFrame(facts, columns=columns)
    for bound in ("since", "until"):
        table[bound] = pd.to_datetime(table[bound], utc=True)
    return table
