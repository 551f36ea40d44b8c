"""A shop whose truth is known, to learn on and to judge methods by.

Real logs never say which small action makes people buy. This one does: `simulate` returns the log
and, beside it, the table of what was planted. A method that cannot find it again here need not be
believed elsewhere.

The same seed gives the same log on every machine. Users are dealt to 1,024 partitions by the hash
that also decides their shard; each partition has a generator of its own and goes through its
users in ascending order of their ids. So the number of shards changes nothing, more users leave
those that were there as they were, and a log of any size is made and written shard by shard.

Three steps make it: `shop_arrays` turns the parameters that a person reads into the arrays that
the compiled loops look up, `kernels.shop` lets visitors live through the period, `shard` makes
their rows a shard of the log. Numbers that pass through a logarithm or an exponential are rounded
once, in the arrays, so that two machines whose libraries differ in the last bit still build the
same shop. Waits are quantiles of a log-normal distribution in whole milliseconds, prices in whole
cents: drawing one is a look-up by a uniform draw, which is the inverse of the distribution
function.

This module does not imitate any real shop, and a rate found in it says nothing about yours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import NormalDist
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.core.schema import USER, UsageError, instant_us
from analysis.eventlog.build import default_shards
from analysis.eventlog.kernels import event_masks
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import (
    Column,
    NumberColumn,
    Shard,
    TextColumn,
    event_dtype,
    narrow,
    string_hashes,
)
from analysis.eventlog.store import replace_file, write_log
from analysis.simulation import kernels
from analysis.simulation.shop import (
    CONTACT,
    FORM_EVENTS,
    SHOP,
    Shop,
    form_truth,
    truth,
    with_form,
)

PARTITIONS: Final = 1024
EVENTS_PER_USER: Final = 25
TRUTH_FILE: Final = "truth.json"

_START, _END = "2026-08-17", "2026-11-23"


class Simulation(NamedTuple):
    """A simulated log, and what was planted in it.

    The truth of the shop is that of `shop.truth`; that of its form, field by field, is that of
    `shop.form_truth` (without a form it has no row).
    """

    log: EventLog
    truth: pd.DataFrame
    form: pd.DataFrame


class Plan(NamedTuple):
    """What is to be made; instants in milliseconds since 1970 UTC."""

    seed: int
    users: int
    shards: int
    start: int
    end: int
    shop: Shop


def simulate(
    seed: int = 2026,
    users: int = 20_000,
    *,
    start: Any = _START,
    end: Any = _END,
    shards: int | None = None,
    shop: Shop = SHOP,
) -> Simulation:
    """What would a log look like in which we know what makes people buy?

    Parameters
    ----------
    seed : the same seed gives the same log, on every machine.
    users : number of visitors; about 25 events each.
    start, end : the period, `end` excluded; naive instants are UTC. The log covers it whole.
    shards : a power of two up to 1,024; default: about one per two million events.
    shop : what is true in the shop; see `analysis.simulation.shop`.

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> demo = simulate(users=200)
    >>> demo.log.users, demo.truth.loc[demo.truth.event == "video_start", "hazard_ratio"].item()
    (200, 2.0)
    """
    plan = _plan(seed, users, start=start, end=end, shards=shards, shop=shop)
    log = EventLog.from_shards(
        list(_shards(plan)),
        event_names=event_names(shop),
        covers_until=plan.end * 1000,
    )
    return Simulation(log, truth(shop), _truth_of_form(shop))


def write_simulation(
    folder: Path | str,
    *,
    seed: int = 2026,
    users: int = 20_000,
    start: Any = _START,
    end: Any = _END,
    shards: int | None = None,
) -> pd.DataFrame:
    """Write the log that `simulate` makes into a folder, one shard at a time, and its truth.

    The truth is returned, and saved beside the log as ``truth.json``: the arguments, a record per
    planted fact, and a record per field of the form. Only one shard is in memory at a time; per
    user two numbers stay.

    Raises
    ------
    UsageError
        If an argument is out of range.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     facts = write_simulation(folder, users=50)
    ...     EventLog.open(folder).users
    50
    """
    plan = _plan(seed, users, start=start, end=end, shards=shards, shop=SHOP)
    names = event_names(SHOP)
    write_log(_shards(plan), folder, event_names=names, covers_until=plan.end * 1000)
    facts = truth(SHOP)
    records, fields = (
        json.loads(table.to_json(orient="records", date_format="iso"))
        for table in (facts, _truth_of_form(SHOP))
    )
    arguments = {"seed": int(seed), "users": int(users), "start": str(start), "end": str(end)}
    content = json.dumps({**arguments, "truth": records, "form": fields}, indent=1)
    replace_file(Path(folder) / TRUTH_FILE, content + "\n")
    return facts


def _plan(seed: int, users: int, *, start: Any, end: Any, shards: int | None, shop: Shop) -> Plan:
    if seed < 0:
        raise UsageError(f"simulate: seed={seed} is negative. Allowed: 0 and above.")
    if users < 1:
        raise UsageError(f"simulate: users={users}: a log needs somebody. Give 1 or more.")
    first, last = instant_us(start, "simulate: start"), instant_us(end, "simulate: end")
    if last // 1000 <= first // 1000:
        raise UsageError(
            f"simulate: end={end!r} is not after start={start!r}. Swap them, or widen the period."
        )
    if shards is None:
        shards = min(default_shards(users * EVENTS_PER_USER), PARTITIONS)
    if not 1 <= shards <= PARTITIONS or shards & (shards - 1):
        raise UsageError(
            f"simulate: shards={shards}. Allowed: a power of two from 1 to {PARTITIONS}."
        )
    return Plan(seed, users, shards, first // 1000, last // 1000, shop)


def _shards(plan: Plan) -> Iterator[Shard]:
    """The shards of a log one after the other; empty ones are left out."""
    tables = shop_arrays(plan.shop, plan.start, plan.end)
    partition = _partitions(plan.users)
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange(PARTITIONS + 1))
    width = PARTITIONS // plan.shards
    for low in range(0, PARTITIONS, width):
        mine = order[bounds[low] : bounds[low + width]]
        if mine.size:
            made = _lives(tables, plan.seed, partition[mine])
            if plan.shop.form is not None:
                made = with_form(
                    plan.shop.form, made, partition[mine], seed=plan.seed, end=plan.end
                )
            yield shard(*made, mine, plan.users, plan.shop)


def _truth_of_form(shop: Shop) -> pd.DataFrame:
    facts = form_truth(shop.form or CONTACT)
    return facts if shop.form else facts.iloc[:0]


def _partitions(users: int) -> np.ndarray:
    """The partition of every user: the upper ten bits of the hash that decides on shards."""
    step = 1 << 20
    hashes = [
        string_hashes(ids(np.arange(first, min(first + step, users)), users), USER)[:, 0]
        for first in range(0, users, step)
    ]
    return (np.concatenate(hashes) >> np.uint64(54)).astype(np.int16)


def _lives(tables: Tables, seed: int, partition: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and people of the users of ascending partitions, in that order."""
    people = np.zeros(len(partition), VISITOR)
    rows = np.empty(2 * EVENTS_PER_USER * len(partition) + kernels.ROWS_PER_VISITOR, ROW)
    cuts = np.flatnonzero(np.diff(partition)) + 1
    used = 0
    for low, high in zip([0, *cuts], [*cuts, len(partition)], strict=True):
        sequence = np.random.SeedSequence(entropy=seed, spawn_key=(int(partition[low]),))
        rng = np.random.Generator(np.random.PCG64(sequence))
        while low < high:
            done = kernels.shop(*tables, rows[used:], people[low:high], rng)
            if done:
                low += done
                used += int(people["row"][low - 1])
            if low < high:
                rows = _grown(rows, used)
    return rows[:used], people


def _grown(rows: np.ndarray, used: int) -> np.ndarray:
    more = np.empty(len(rows) * 5 // 4 + kernels.ROWS_PER_VISITOR, rows.dtype)
    more[:used] = rows[:used]
    return more


MS_PER_HOUR: Final = 3_600_000
US_PER_MS: Final = 1_000
STORIES = ("delivery", "gift-ideas", "how-we-make-it", "returns", "sizes")
CATEGORIES = ("bags", "boots", "coats", "dresses", "knitwear", "sale", "shirts", "trousers")
_QUANTILES: Final = 4096

ROW: Final = np.dtype(
    [
        *(("time", "i8"), ("hazard", "f8"), ("cents", "i4"), ("order", "i4"), ("session", "i4")),
        *(("page", "i2"), ("item", "i2"), ("done", "i2"), ("event", "u1"), ("device", "i1")),
        *(("source", "i1"), ("outcome", "i1"), ("field", "i1")),
    ],
    align=True,
)
VISITOR: Final = np.dtype(
    [(name, "f8") for name in ("activity", "fondness", "personal", "ratio")]
    + [(name, "i8") for name in ("first_row", "row", "clock", "came", "cart", "done")]
    + [(name, "i4") for name in ("session", "orders", "pieces", "page", "item", "last", "kind")]
    + [(name, "i1") for name in ("level", "trait", "acquired", "source", "country")]
    + [(name, "i1") for name in ("main", "second", "third", "device", "subscribed", "once")],
    align=True,
)


class Tables(NamedTuple):
    """What the compiled loops read.

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


_PLAIN: Final = (
    *("base_hazard", "leave_after_abandoning", "forget_cart", "refill_kept_cart"),
    *("another_item", "look_at_cart", "remove_item", "unsubscribe", "visit_once"),
    *("same_source", "visits_rate", "visits_scale_seconds"),
)


def shop_arrays(shop: Shop, start_ms: int, end_ms: int) -> Tables:
    """The shop as the arrays that the loops read, for a period in milliseconds since 1970 UTC."""
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
    """Ids of the items, in the order of their numbers in the rows."""
    return [f"sku-{number:04d}" for number in range(1, shop.items + 1)]


def page_names(shop: Shop) -> list[str]:
    """Paths of the pages, in the order of their numbers in the rows."""
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


CURRENCY: Final = "EUR"


def event_names(shop: Shop) -> tuple[str, ...]:
    """Names of the events, in the order of the rows' codes for them."""
    return kernels.EVENTS if shop.form is None else (*kernels.EVENTS, *FORM_EVENTS)


def ids(numbers: np.ndarray, users: int) -> pa.Array:
    """Ids such as ``u0000123``, of one width, so that their order is that of the numbers."""
    digits = max(7, len(str(users - 1)))
    text = np.empty((len(numbers), digits + 1), np.uint8)
    text[:, 0] = ord("u")
    rest = numbers.astype(np.int64)
    for place in range(digits, 0, -1):
        text[:, place] = ord("0") + rest % 10
        rest = rest // 10
    offsets = np.arange(len(numbers) + 1, dtype=np.int64) * (digits + 1)
    buffers = [None, pa.py_buffer(offsets), pa.py_buffer(text)]
    return pa.Array.from_buffers(pa.large_string(), len(numbers), buffers)


def shard(
    rows: np.ndarray, people: np.ndarray, numbers: np.ndarray, users: int, shop: Shop
) -> Shard:
    """A shard of rows that lie person by person: sort the people, keep their rows together.

    Parameters
    ----------
    rows : array of `ROW`. people : array of `VISITOR`, in the order in which their rows lie.
    numbers : the person's number, of `users` in the whole log.
    """
    ranks = np.argsort(numbers)
    counts = people["row"] - people["first_row"]
    starts = np.cumsum(counts) - counts
    offsets = np.append(0, np.cumsum(counts[ranks]))
    rows = rows[np.repeat(starts[ranks] - offsets[:-1], counts[ranks]) + np.arange(len(rows))]
    event = rows["event"].astype(event_dtype(len(event_names(shop))))
    country = np.repeat(people["country"][ranks], counts[ranks])
    return Shard(
        users=ids(numbers[ranks], users),
        offsets=offsets,
        time=rows["time"] * 1000,
        event=event,
        masks=event_masks(event, offsets),
        columns=_columns(rows, country, np.repeat(numbers[ranks], counts[ranks]), shop),
    )


def _columns(
    rows: np.ndarray, country: np.ndarray, user: np.ndarray, shop: Shop
) -> dict[str, Column]:
    sources = (*shop.sources, shop.newsletter_source)
    bought = rows["order"] > 0
    orders = np.full(len(rows), -1, np.int32)
    orders[bought] = np.arange(bought.sum())
    labels = [f"T{who:07d}-{n}" for who, n in zip(user[bought], rows["order"][bought], strict=True)]
    most = int(rows["session"].max())
    visits = pa.array([str(number) for number in range(1, most + 1)], pa.large_string())
    return {
        "session": TextColumn(narrow(rows["session"] - 1, most), visits),
        "device": _labels(rows["device"], [name for name, _, _ in shop.devices]),
        **{
            name: _labels(rows["source"], [getattr(source, name) for source in sources])
            for name in ("channel", "source", "medium", "campaign")
        },
        "country": _labels(country, [name for name, _ in shop.countries]),
        "page": _labels(rows["page"], page_names(shop)),
        "item_id": _labels(rows["item"], [*item_names(shop), None]),
        "value": NumberColumn(np.where(bought, rows["cents"] / 100.0, np.nan)),
        "currency": _labels(bought.view(np.int8), [None, CURRENCY]),
        "order_id": TextColumn(narrow(orders, len(labels)), pa.array(labels, pa.large_string())),
        **_form_columns(rows, shop),
    }


def _form_columns(rows: np.ndarray, shop: Shop) -> dict[str, Column]:
    if shop.form is None:
        return {}
    outside = rows["event"] < len(kernels.EVENTS)
    return {
        "form": _labels(-outside.astype(np.int8), [shop.form.name, None]),
        "field": _labels(rows["field"], [*(field.name for field in shop.form.fields), None]),
    }


def _labels(codes: np.ndarray, names: Sequence[str | None]) -> TextColumn:
    """Text cells from codes into `names`, −1 being the last; the dictionary holds those in use."""
    used = np.zeros(len(names), np.bool_)
    used[codes] = True
    values = sorted({name for name, use in zip(names, used, strict=True) if use and name})
    place = {name: code for code, name in enumerate(values)}
    translate = narrow(np.array([place.get(name or "", -1) for name in names]), len(values))
    return TextColumn(translate[codes], pa.array(values, pa.large_string()))
