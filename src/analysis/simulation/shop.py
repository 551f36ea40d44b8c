"""The demo shop's parameters: what is true in it, as plain frozen data; and its contact form.

`SHOP` is read top to bottom: who comes, from where, on what, what they do, and what that does to
a purchase. `log.shop_arrays` turns a shop into the arrays that the simulation's loops read;
`truth` turns it into the table that a method has to find again. Both come from the same numbers,
so the truth cannot drift away from the simulation.

The confounder is here too, and no column of the log shows it: each visitor has an *activity*,
which multiplies visits and every small action alike, and an *interest* in buying, which grows
with activity. So people who click on the imprint buy more often, and the imprint does nothing.

People come to the contact form at any moment, the active ones more often, and neither coming nor
sending it changes what anybody does in the shop: `with_form` lays its rows between the others, and
its draws come from generators of their own. So every other row of the log is the same with the
form as without it. An attempt goes through the fields in their order; at each it may stop for
good. A field that is filled in may show an error, which is mended at once; before they send it
some go back to a field and fill it in again; and some who send it had pressed the button once
before they began.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import NormalDist
from typing import Final

import numpy as np
import pandas as pd

from analysis.core.schema import instant_us
from analysis.simulation import kernels


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
class Field:
    """What is true of a field.

    `stop` is the share of those who come to it that go no further; `blank` the share of the others
    that leaves it empty; `error` the share of those who fill it in that is told an error; `refill`
    the share of those who filled it in and send the form that comes back to it. `seconds` is the
    typical time in it.
    """

    name: str
    stop: float
    blank: float
    error: float
    refill: float
    seconds: float


@dataclass(frozen=True)
class Form:
    """A form of the shop.

    `begins` is the chance to begin it per browsing moment that leaves the time for it, at average
    activity (the last time of a visit counts). `hasty` is the share of those who send it that
    press the button at once.
    """

    name: str
    fields: tuple[Field, ...]
    begins: float
    hasty: float


CONTACT: Final = Form(
    name="contact",
    fields=(
        Field("email", 0.08, 0.0, 0.06, 0.03, 3.0),
        Field("topic", 0.03, 0.0, 0.0, 0.02, 1.0),
        Field("order_number", 0.22, 0.5, 0.15, 0.04, 2.0),
        Field("message", 0.10, 0.0, 0.02, 0.05, 4.0),
        Field("phone", 0.05, 0.7, 0.05, 0.0, 1.0),
    ),
    begins=0.008,
    hasty=0.03,
)


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


CONTROLS: Final = (
    ("footer_click", 0.010),
    ("logo_click", 0.012),
    ("imprint_click", 0.006),
    ("language_switch", 0.007),
    ("theme_switch", 0.006),
    ("back_to_top", 0.013),
    ("cookie_settings", 0.008),
    ("careers_click", 0.005),
)

_NOTHING: Final = "rate proportional to hidden activity; no effect"

SHOP: Final = Shop(
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


STRUCTURAL: Final = ("add_to_cart", "begin_checkout", "add_shipping_info", "add_payment_info")
_RATIOS: Final = ("hazard_ratio", "visit_ratio")
_BOUNDS: Final = ("since", "until")
_COLUMNS: Final = ["event", "kind", *_RATIOS, "device", *_BOUNDS, "note"]


def truth(shop: Shop) -> pd.DataFrame:
    """What is planted in a shop? One row per fact.

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


def form_truth(form: Form) -> pd.DataFrame:
    """What is planted in a form, a row per field.

    Columns: ``form, field, stop, blank, error, refill, seconds``, as `Field` says them.

    Examples
    --------
    >>> facts = form_truth(CONTACT)
    >>> facts.loc[facts["stop"].idxmax(), "field"]
    'order_number'
    """
    facts = pd.DataFrame([vars(field) for field in form.fields]).rename(columns={"name": "field"})
    facts.insert(0, "form", form.name)
    return facts


FORM_EVENTS: Final = ("form_focus", "form_change", "form_error", "form_submit")
FOCUS, CHANGE, ERROR, SUBMIT = range(4)

# In milliseconds: until the form is there, before the next field, before an error shows.
_ARRIVE, _PAUSE, _CHECKED = 200, 100, 100

# Nobody begins it without that much time, or takes longer. Visits are split by pauses of half an
# hour after the last row of the shop itself; its next one is later by more than this.
_LONGEST: Final = 20_000

_BEGINNINGS, _FILLING = 1, 2
_PACES: Final = 4096


def with_form(
    form: Form,
    made: tuple[np.ndarray, np.ndarray],
    partition: np.ndarray,
    *,
    seed: int,
    end: int,
) -> tuple[np.ndarray, np.ndarray]:
    """The rows and the people of the shop, with the rows of the form between the others.

    Parameters
    ----------
    made : the rows (an array of `log.ROW`), person by person; the people (of `log.VISITOR`).
    partition : of each person, ascending: each has generators of its own.
    seed : of the log. end : of the period, in milliseconds since 1970 UTC.
    """
    rows, people = made
    counts = people["row"] - people["first_row"]
    who = np.repeat(np.arange(len(people)), counts)
    begun = _begun(form, rows, (who, partition, people["activity"]), seed, end)
    chance = _draws((seed, _FILLING), partition[who[begun]], 1 + 5 * len(form.fields))
    present, at, total = _attempts(form, chance)
    span = np.minimum(total, _LONGEST)
    places, slots = np.nonzero(present)
    added = rows[begun[places]]
    # Whole numbers all the way, so that every machine comes to the same instants.
    added["time"] += at[places, slots] * span[places] // total[places]
    kinds, fields = _slots(len(form.fields))
    added["event"] = len(kernels.EVENTS) + kinds[slots]
    added["field"] = fields[slots]
    added["hazard"] = added["outcome"] = 0
    grown = people.copy()
    more = np.bincount(who[begun[places]], minlength=len(people))
    grown["row"] = np.cumsum(counts + more)
    grown["first_row"] = np.append(0, grown["row"][:-1])
    return np.insert(rows, begun[places] + 1, added), grown


def _begun(
    form: Form,
    rows: np.ndarray,
    persons: tuple[np.ndarray, np.ndarray, np.ndarray],
    seed: int,
    end: int,
) -> np.ndarray:
    """The rows after which somebody begins the form.

    `persons` says whose each row is, and of each person the partition and the activity.
    """
    who, partition, activity = persons
    last = np.append(who[1:] != who[:-1], True)
    room = np.where(last, end, np.append(rows["time"][1:], end)) - rows["time"]
    may = (rows["hazard"] > 0) & (rows["outcome"] == 0) & (room > _LONGEST)
    chance = _draws((seed, _BEGINNINGS), partition[who], 1)[:, 0]
    begun = np.flatnonzero(may & (chance < form.begins * activity[who]))
    # The last of each visit: who comes back to it in one visit makes one attempt, not two.
    visit = np.column_stack([who[begun], rows["session"][begun]])
    return begun[np.append((visit[1:] != visit[:-1]).any(axis=1), True)[: len(begun)]]


def _draws(stream: tuple[int, int], partition: np.ndarray, many: int) -> np.ndarray:
    """Rows of draws from (seed, number): more people come after those that were there before."""
    seed, number = stream
    out = np.empty((len(partition), many))
    cuts = np.flatnonzero(np.diff(partition)) + 1
    for low, high in zip([0, *cuts], [*cuts, len(partition)], strict=True):
        if low < high:
            key = (int(partition[low]), number)
            sequence = np.random.SeedSequence(entropy=seed, spawn_key=key)
            own = np.random.Generator(np.random.PCG64(sequence))
            out[low:high] = own.random((high - low, many))
    return out


def _slots(fields: int) -> tuple[np.ndarray, np.ndarray]:
    """Kind and field (−1: none) of everything that may happen in an attempt, in its order."""
    through = [(kind, f) for f in range(fields) for kind in (FOCUS, CHANGE, ERROR, CHANGE)]
    back = [(kind, f) for f in range(fields) for kind in (FOCUS, CHANGE)]
    slots = [(SUBMIT, -1), (ERROR, -1), *through, *back, (SUBMIT, -1)]
    kinds, numbers = zip(*slots, strict=True)
    return np.array(kinds), np.array(numbers)


def _attempts(form: Form, chance: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What happens in each attempt (a column per slot), when, and how long it takes in all.

    Times are milliseconds since its start. `chance` has uniform draws, a row per attempt.
    """
    size, many = len(form.fields), len(chance)
    stop, error, refill, blank, pace = np.moveaxis(chance[:, 1:].reshape(many, 5, size), 1, 0)
    past = np.logical_and.accumulate(stop >= [field.stop for field in form.fields], axis=1)
    came = np.hstack([np.ones((many, 1), np.bool_), past[:, :-1]])
    sent = past[:, -1:]
    filled = past & (blank >= [field.blank for field in form.fields])
    failed = filled & (error < [field.error for field in form.fields])
    again = filled & sent & (refill < [field.refill for field in form.fields])
    hasty = sent & (chance[:, :1] < form.hasty)
    took = _took(form, pace)
    through = [came, filled, failed, failed]
    waits = [took, np.where(failed, _CHECKED, _PAUSE), took // 2, np.full_like(took, _PAUSE)]
    back = [again, again]
    lasts = [took // 2, np.full_like(took, _PAUSE)]
    end = np.full((many, 1), 2 * _PAUSE)
    present = np.hstack([hasty, hasty, _by_field(through), _by_field(back), sent])
    wait = np.hstack([end, 3 * end, _by_field(waits), _by_field(lasts), end]) * present
    at = np.cumsum(wait, axis=1) - wait + _ARRIVE
    return present, at, wait.sum(axis=1) + _ARRIVE


def _by_field(columns: list[np.ndarray]) -> np.ndarray:
    """Columns per kind and field, the kinds of a field next to each other."""
    many, fields = columns[0].shape
    return np.stack(columns, axis=2).reshape(many, fields * len(columns))


def _took(form: Form, pace: np.ndarray) -> np.ndarray:
    """Milliseconds in each field: typical ones, times a log-normal pace."""
    scores = map(NormalDist(0, 0.4).inv_cdf, (np.arange(_PACES) + 0.5) / _PACES)
    factors = np.rint(1000 * np.exp(list(scores))).astype(np.int64)
    typical = np.array([round(field.seconds * 1000) for field in form.fields])
    return typical * factors[(pace * _PACES).astype(np.int64)] // 1000
