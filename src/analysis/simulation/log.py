"""A shop whose truth is known, to learn on and to judge methods by.

Real logs never say which small action makes people buy. This one does: `simulate` returns the log
and, beside it, the table of what was planted. A method that cannot find it again here need not be
believed elsewhere.

The same seed gives the same log on every machine. Users are dealt to 1,024 partitions by the hash
that also decides their shard; each partition has a generator of its own and goes through its
users in ascending order of their ids. So the number of shards changes nothing, more users leave
those that were there as they were, and a log of any size is made and written shard by shard.

This module does not imitate any real shop, and a rate found in it says nothing about yours.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import USER, UsageError, instant_us
from analysis.eventlog.build import default_shards
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard, string_hashes
from analysis.eventlog.store import replace_file, write_log
from analysis.simulation import kernels_shopping as shopping
from analysis.simulation import shop_form, shop_rows, shop_tables
from analysis.simulation.shop import SHOP, Shop, truth

PARTITIONS = 1024


EVENTS_PER_USER = 25


TRUTH_FILE = "truth.json"


_START, _END = "2026-08-17", "2026-11-23"


class Simulation(NamedTuple):
    """A simulated log, and what was planted in it: the truth of the shop (see `shop_world.truth`)
    and of its form, field by field (see `shop_form.form_truth`; without a form no row)."""

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
    shop : what is true in the shop; see `shop_world`.

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
        event_names=shop_rows.event_names(shop),
        covers_until=plan.end * 1000,
    )
    return Simulation(log, truth(shop), _form_truth(shop))


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
    names = shop_rows.event_names(SHOP)
    write_log(_shards(plan), folder, event_names=names, covers_until=plan.end * 1000)
    facts = truth(SHOP)
    records, fields = (
        json.loads(table.to_json(orient="records", date_format="iso"))
        for table in (facts, _form_truth(SHOP))
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
    tables = shop_tables.tables(plan.shop, plan.start, plan.end)
    partition = _partitions(plan.users)
    order = np.argsort(partition, kind="stable")
    bounds = np.searchsorted(partition[order], np.arange(PARTITIONS + 1))
    width = PARTITIONS // plan.shards
    for low in range(0, PARTITIONS, width):
        mine = order[bounds[low] : bounds[low + width]]
        if mine.size:
            made = _lives(tables, plan.seed, partition[mine])
            if plan.shop.form is not None:
                made = shop_form.with_form(
                    plan.shop.form, made, partition[mine], seed=plan.seed, end=plan.end
                )
            yield shop_rows.shard(*made, mine, plan.users, plan.shop)


def _form_truth(shop: Shop) -> pd.DataFrame:
    facts = shop_form.form_truth(shop.form or shop_form.CONTACT)
    return facts if shop.form else facts.iloc[:0]


def _partitions(users: int) -> np.ndarray:
    """The partition of every user: the upper ten bits of the hash that decides on shards."""
    step = 1 << 20
    hashes = [
        string_hashes(shop_rows.ids(np.arange(first, min(first + step, users)), users), USER)[:, 0]
        for first in range(0, users, step)
    ]
    return (np.concatenate(hashes) >> np.uint64(54)).astype(np.int16)


def _lives(
    tables: shop_tables.Tables, seed: int, partition: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows and people of the users of ascending partitions, in that order."""
    people = np.zeros(len(partition), shop_tables.VISITOR)
    rows = np.empty(
        2 * EVENTS_PER_USER * len(partition) + shopping.ROWS_PER_VISITOR, shop_tables.ROW
    )
    cuts = np.flatnonzero(np.diff(partition)) + 1
    used = 0
    for low, high in zip([0, *cuts], [*cuts, len(partition)], strict=True):
        sequence = np.random.SeedSequence(entropy=seed, spawn_key=(int(partition[low]),))
        rng = np.random.Generator(np.random.PCG64(sequence))
        while low < high:
            done = shopping.shop(*tables, rows[used:], people[low:high], rng)
            if done:
                low += done
                used += int(people["row"][low - 1])
            if low < high:
                rows = _grown(rows, used)
    return rows[:used], people


def _grown(rows: np.ndarray, used: int) -> np.ndarray:
    more = np.empty(len(rows) * 5 // 4 + shopping.ROWS_PER_VISITOR, rows.dtype)
    more[:used] = rows[:used]
    return more
