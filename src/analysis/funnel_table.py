"""The numbers of a funnel, summed from its chains: counts, rates, waits, and the chains' rows.

Every view of a funnel is a group-by of the same chains, and this is where they are grouped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from analysis.breakdown import Groups
from analysis.eventlog.shard import Shard
from analysis.funnel_steps import Step
from analysis.passes import chains
from analysis.schema import US_PER_SECOND
from analysis.stats import wilson

_NAT = np.iinfo(np.int64).min


class ShardChains(NamedTuple):
    """The chains of one shard; see `passes.chains.best_chains` for the arrays."""

    shard: Shard
    users: np.ndarray
    entries: np.ndarray
    reach: np.ndarray
    tied: np.ndarray
    kind: np.ndarray
    times: np.ndarray

    @property
    def chosen(self) -> np.ndarray:
        return (self.kind & chains.CHOSEN) != 0

    @property
    def mature(self) -> np.ndarray:
        return (self.kind & chains.MATURE) != 0


def group_sizes(parts: Sequence[ShardChains], groups: Groups) -> np.ndarray:
    """How many users entered in each group, by their best chains among all entries."""
    sizes = np.zeros(len(groups.names), np.int64)
    for part, codes in zip(parts, groups.codes, strict=True):
        sizes += np.bincount(codes[part.chosen], minlength=len(sizes))
    return sizes


def funnel_table(
    parts: Sequence[ShardChains], groups: Groups, steps: Sequence[Step]
) -> pd.DataFrame:
    """The tidy table of a funnel, a row per group and step; its columns are `FunnelResult`'s."""
    size, wide = len(groups.names), len(steps) + 1
    counts = np.zeros((2, size, wide), np.int64)
    for part, codes in zip(parts, groups.codes, strict=True):
        cell = codes * wide + part.reach
        for which, keep in enumerate((part.chosen, part.mature)):
            counts[which] += np.bincount(cell[keep], minlength=size * wide).reshape(size, wide)
    # Who reached step k reached every step before it.
    reached = counts[:, :, ::-1].cumsum(axis=2)[:, :, ::-1][:, :, 1:]
    median, mean = _waits(parts, groups, len(steps))
    count, k = reached[0].ravel(), reached[1].ravel()
    n_first = np.repeat(reached[1][:, 0], len(steps))
    n_previous = np.concatenate([reached[1][:, :1], reached[1][:, :-1]], axis=1).ravel()
    number = np.tile(np.arange(1, wide), size)
    rate_low, rate_high = wilson(k, n_first)
    low, high = wilson(k, n_previous)
    first = number == 1
    names = np.empty(size, object)
    names[:] = groups.names
    return pd.DataFrame(
        {
            "group": np.repeat(names, len(steps)),
            "step": number,
            "event": np.tile([step.name for step in steps], size),
            "count": count,
            "k": k,
            "n_first": n_first,
            "n_previous": n_previous,
            "rate": ratio(k, n_first),
            "rate_low": rate_low,
            "rate_high": rate_high,
            "step_rate": np.where(first, np.nan, ratio(k, n_previous)),
            "low": np.where(first, np.nan, low),
            "high": np.where(first, np.nan, high),
            "median_seconds": median.ravel(),
            "mean_seconds": mean.ravel(),
        }
    )


def ratio(k: np.ndarray, n: np.ndarray) -> np.ndarray:
    """k / n, NaN where n is 0."""
    return np.divide(k, n, out=np.full(len(k), np.nan), where=n > 0)


def _waits(
    parts: Sequence[ShardChains], groups: Groups, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """Median and mean wait before each step, in seconds: two arrays (groups, steps)."""
    size = len(groups.names)
    median, mean = np.full((2, size, steps), np.nan)
    times, group, reach = [], [], []
    for part, codes in zip(parts, groups.codes, strict=True):
        far = part.reach > 1
        keep = part.mature[far]
        times.append(part.times[keep])
        group.append(codes[far][keep])
        reach.append(part.reach[far][keep])
    if not times:
        return median, mean
    all_times, all_groups, all_reach = map(np.concatenate, (times, group, reach))
    for k in range(1, steps):
        did = all_reach > k
        waits = all_times[did, k] - all_times[did, k - 1]
        own = all_groups[did]
        for g in range(size):
            mine = waits if size == 1 else waits[own == g]
            if len(mine):
                median[g, k] = np.median(mine) / US_PER_SECOND
                mean[g, k] = int(mine.sum()) / len(mine) / US_PER_SECOND
    return median, mean


def chain_rows(part: ShardChains, codes: np.ndarray, keep: np.ndarray, steps: int) -> pd.DataFrame:
    """The chains of one shard as rows; ``group`` is still a group's number."""
    times = np.full((len(part.reach), steps), _NAT)
    times[:, 0] = part.shard.time[part.entries]
    far = part.reach > 1
    done = np.arange(steps) < part.reach[far, None]
    times[far] = np.where(done, part.times, _NAT)
    stamps = times[keep].view("datetime64[us]")
    columns: dict[str, Any] = {
        "unit": part.shard.users.take(part.users[keep]).to_pandas(),
        "group": codes[keep],
        "entered_at": pd.DatetimeIndex(stamps[:, 0]).tz_localize("UTC"),
        "reach": part.reach[keep].astype(np.int64),
    }
    for k in range(steps):
        columns[f"step_{k + 1}"] = pd.DatetimeIndex(stamps[:, k]).tz_localize("UTC")
    columns["excluded"] = False
    columns["mature"] = part.mature[keep]
    columns["censored"] = False
    columns["tied"] = part.tied[keep]
    return pd.DataFrame(columns)
