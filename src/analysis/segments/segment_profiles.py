"""What two groups of people did in a period, and who they were: the counts behind a comparison."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import MISSING, UsageError, did_you_mean, timestamp
from analysis.eventlog import groups as breakdown
from analysis.eventlog import parallel as engine
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import NumberColumn, Shard
from analysis.funnels.result import funnel
from analysis.segments import kernels as passes
from analysis.segments.evaluate import Look, asked
from analysis.segments.result import Segment
from analysis.segments.segment_rules import Matching
from analysis.statistics.contrasts import waits

MOST_VALUES: Final = 20


class TwoGroups(NamedTuple):
    """Per shard who is in a and who in b, the period, and the instant both were known at.

    Instants are microseconds; the end is excluded.
    """

    log: EventLog
    a: list[np.ndarray]
    b: list[np.ndarray]
    start: int
    end: int
    instant: int

    @property
    def sizes(self) -> tuple[int, int]:
        """How many people are in each."""
        a, b = (sum(int(own.sum()) for own in group) for group in (self.a, self.b))
        return a, b

    def over(self, run: Any) -> list[Any]:
        """`run` of each shard with the people of both groups in it."""
        parts = list(zip(self.log.shards, self.a, self.b, strict=True))
        return engine.over(parts, lambda part: run(*part))


def event_rows(groups: TwoGroups) -> pd.DataFrame:
    """How many of each group did each event in the period?"""
    names, n = groups.log.event_names, groups.sizes

    def did_it(shard: Shard, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        rows = (shard.time, shard.event, shard.offsets, len(names))
        done = passes.tallied(*rows, groups.start, groups.end) > 0
        return np.stack([done[a].sum(axis=0), done[b].sum(axis=0)])

    counts = sum(groups.over(did_it), np.zeros((2, len(names)), np.int64))
    table = pd.DataFrame({"kind": "event", "name": names, "value": ""})
    return table.assign(k_a=counts[0], n_a=n[0], k_b=counts[1], n_b=n[1])


def property_rows(groups: TwoGroups, properties: Sequence[str] | None) -> pd.DataFrame:
    """How many of each group had each value of a property, as last known at the instant?

    Raises
    ------
    UsageError
        If the log has no such property.
    """
    log, n = groups.log, groups.sizes
    for name in properties or ():
        if name not in log.kinds:
            raise UsageError(
                f"compare_segments: {name!r} is no property of this log."
                f"{did_you_mean(name, log.kinds)} "
                f"Properties: {', '.join(map(repr, log.properties))}."
            )
    texts = [name for name in log.properties if log.kinds[name] == "text"]
    rows: list[dict[str, Any]] = []
    for name in texts if properties is None else properties:
        counts = _values(groups, name)
        if properties is None and len(counts) > MOST_VALUES:
            continue
        for value in sorted(counts):
            a, b = counts[value]
            rows.append({"kind": "property", "name": name, "value": value, "k_a": a, "k_b": b})
    table = pd.DataFrame(rows, columns=["kind", "name", "value", "k_a", "k_b"])
    return table.assign(n_a=n[0], n_b=n[1])


def _values(groups: TwoGroups, name: str) -> dict[str, tuple[int, int]]:
    """People of each group by their last known value; those without one are ``(missing)``."""

    def last_known(shard: Shard, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        look = Look(shard, groups.log.event_names, groups.instant, shard.masks).at_users(a | b)
        column = shard.columns[name]
        shown = shard.event < len(groups.log.event_names)
        known = ~np.isnan(column.numbers) if isinstance(column, NumberColumn) else column.codes >= 0
        codes = (shown & known).view(np.uint8)
        lut, low = np.array([0, 1], np.uint8), -int(passes.EVER)
        rows = (shard.time, codes, shard.offsets, look.masks, lut, ~np.uint64(0))
        return passes.found_last(*rows, low, look.at)

    found = groups.over(last_known)
    rows = [row[row >= 0] for row in found]
    values = breakdown.groups_of(groups.log.shards, rows, [name])
    counts = np.zeros((2, len(values.names)), np.int64)
    for row, codes, *members in zip(found, values.codes, groups.a, groups.b, strict=True):
        for which, own in enumerate(members):
            counts[which] += np.bincount(codes[own[row >= 0]], minlength=len(values.names))
    named = {str(v): (int(a), int(b)) for v, a, b in zip(values.names, *counts, strict=True)}
    missing = [n - int(own.sum()) for n, own in zip(groups.sizes, counts, strict=True)]
    if any(missing):
        named[MISSING] = (missing[0], missing[1])
    return named


def funnel_rows(groups: TwoGroups, steps: Sequence[Any], window: Any) -> pd.DataFrame:
    """How many of each group that reached a step reached the next? Entries in the period."""
    low = None if groups.start <= -passes.EVER else timestamp(groups.start)
    tables = []
    for own in (groups.a, groups.b):
        people = Segment(
            rule=None,
            at_us=groups.instant,
            by_shard=tuple(own),
            seen_by_shard=tuple(own),
            log=groups.log,
        )
        view = groups.log.in_segment(people)
        table = funnel(view, steps, window=window, entered=(low, timestamp(groups.end))).table
        tables.append(table[table["step"] > 1].reset_index(drop=True))
    a, b = tables
    numbers = [f"step {step}" for step in a["step"]]
    table = pd.DataFrame({"kind": "funnel", "name": a["event"], "value": numbers})
    columns = {"k_a": a["k"], "n_a": a["n_previous"], "k_b": b["k"], "n_b": b["n_previous"]}
    return table.assign(**columns)


def time_rows(groups: TwoGroups, look_back: bool) -> pd.DataFrame:
    """Who waits longer until they first do each event? Among those who do it in the period.

    Looking back it is the time since they last did it.
    """
    rows = [_waits(groups, name, look_back) for name in groups.log.event_names]
    table = pd.DataFrame(rows)
    return table[(table["k_a"] > 0) | (table["k_b"] > 0)] if len(table) else table


def _waits(groups: TwoGroups, name: str, look_back: bool) -> dict[str, object]:
    match = Matching((name,))
    find = passes.found_last if look_back else passes.found_first

    def of_shard(shard: Shard, a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        look = Look(shard, groups.log.event_names, groups.end, shard.masks).at_users(a | b)
        row = asked(look, match, find, since=groups.start)
        edge = groups.end if look_back else groups.start
        one, two = (np.abs(shard.time[row[own & (row >= 0)]] - edge) for own in (a, b))
        return one, two

    parts = groups.over(of_shard)
    a, b = (np.concatenate([part[which] for part in parts]) for which in (0, 1))
    return waits(name, a, b)
