"""From the rows that the demo shop's pass made to a shard of the event log."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from analysis.eventlog import kernels as ordering
from analysis.eventlog.shard import Column, NumberColumn, Shard, TextColumn, event_dtype, narrow
from analysis.simulation import shop_form, shop_tables
from analysis.simulation.kernels import EVENTS
from analysis.simulation.shop import Shop

CURRENCY = "EUR"


def event_names(shop: Shop) -> tuple[str, ...]:
    """Names of the events, in the order of the rows' codes for them."""
    return EVENTS if shop.form is None else (*EVENTS, *shop_form.EVENTS)


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
    rows : array of shop_tables.ROW. people : array of shop_tables.VISITOR, in the order in which
        their rows lie. numbers : the person's number, of `users` in the whole log.
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
        masks=ordering.event_masks(event, offsets),
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
        "page": _labels(rows["page"], shop_tables.page_names(shop)),
        "item_id": _labels(rows["item"], [*shop_tables.item_names(shop), None]),
        "value": NumberColumn(np.where(bought, rows["cents"] / 100.0, np.nan)),
        "currency": _labels(bought.view(np.int8), [None, CURRENCY]),
        "order_id": TextColumn(narrow(orders, len(labels)), pa.array(labels, pa.large_string())),
        **_form_columns(rows, shop),
    }


def _form_columns(rows: np.ndarray, shop: Shop) -> dict[str, Column]:
    if shop.form is None:
        return {}
    outside = rows["event"] < len(EVENTS)
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
