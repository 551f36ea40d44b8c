"""What do a funnel's chains add up to, over all shards and in its groups?

The passes add up as they go, by the codes of the property that makes the groups; here the codes
of the shards are brought together by their names. Where a pass cannot do that (several properties,
numbers, or users who are in a group several times while small groups become one), the chains are
kept, given their groups, and added up by the same code. `funnel_table` then turns the sums into
rates with their intervals, and waits.
"""

from __future__ import annotations

import functools
import operator
from collections.abc import Hashable, Iterable, Sequence
from typing import Final, NamedTuple

import numpy as np
import pandas as pd

from analysis.core.schema import ALL, MISSING, OTHER, US_PER_SECOND
from analysis.eventlog import groups as log_groups
from analysis.eventlog import parallel
from analysis.eventlog.groups import Groups
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import TextColumn
from analysis.funnels import kernels
from analysis.funnels.chains import ShardChains, chains_of, codes_of, held_of, is_plain
from analysis.funnels.excerpts import excerpt, is_local, settled
from analysis.funnels.search.blocks import Sums, sums_of_list
from analysis.funnels.spec import TOUCHES, FunnelSpec
from analysis.statistics.rates import effective_size_of, ratio, wilson

_MOST_CODES: Final = 4096
"""Up to how many values of a property each shard counts by all of them."""


class FunnelSums(NamedTuple):
    """The sums of a funnel's chains; G groups, K steps.

    Attributes
    ----------
    names : the groups, the largest first.
    counts : int64 (2, G, K): chains that did each step, of all and of the mature ones.
    entered, tied : numbers of chains, each the best among all entries of its unit.
    immature : how many of these units stand in no rate, because no mature entry of theirs counts.
    ungrouped : chains that do not reach the step whose value makes the groups.
    later : how many of them are in their group by a value that they got after their entry.
    left_out : rows of steps that belong to no unit.
    held : the sets of the steps and of the exclusions whose conditions hold on any of their events.
    moments, users : int64 (G, K, K) and (G, K), as in `analysis.funnels.search.blocks.Sums`; of no
        groups where no user has several chains.
    shards : per shard its sums, with the waits, and the group of each of its own groups.
    """

    names: list[Hashable]
    counts: np.ndarray
    entered: int
    immature: int
    tied: int
    ungrouped: int
    later: int
    left_out: int
    held: tuple[int, int]
    moments: np.ndarray
    users: np.ndarray
    shards: list[tuple[Sums, np.ndarray]]


def sums_of(log: EventLog, spec: FunnelSpec, names: Sequence[Hashable] | None = None) -> FunnelSums:
    """Add up the chains of a funnel.

    Parameters
    ----------
    names : the groups to keep, as in `groups_of`.

    Raises
    ------
    UsageError
        As `analysis.funnels.chains.chains_of` does.
    """
    if not is_local(spec) or is_plain(spec, codes_of(log.event_names, spec.steps)):
        return _sums_of(log, spec, names)
    spec = settled(spec, log)
    sums = _sums_of(excerpt(log, spec), spec, names)
    wanted = sum(1 << k for k, step in enumerate(spec.steps) if step.where)
    if wanted & ~sums.held[0]:
        # A condition that nothing meets in the period may be met outside of it.
        sums = sums._replace(held=held_of(log, spec))
    return sums


def _sums_of(log: EventLog, spec: FunnelSpec, names: Sequence[Hashable] | None) -> FunnelSums:
    if _adds_as_it_goes(log, spec):
        by = spec.by[0] if spec.by else None
        parts = chains_of(log, spec, keep=False, by=by)
        groups = _codes_as_groups(parts, by)
        sizes = np.zeros(len(groups.names), np.int64)
        for part, place in zip(parts, groups.codes, strict=True):
            np.add.at(sizes, place[place >= 0], part.sums.counts[0, place >= 0, 0])
        groups = _kept(groups, sizes, spec, names)
        return _together(parts, [part.sums for part in parts], groups, 0)
    parts = chains_of(log, spec)
    groups = groups_of(parts, spec, names)
    size = len(groups.names)
    counted = [
        Sums(*sums_of_list(part.kept, own.astype(np.int32), size, spec.repeats_users))
        for part, own in zip(parts, groups.codes, strict=True)
    ]
    places = Groups([np.arange(size)] * len(parts), groups.names)
    return _together(parts, counted, places, _grouped_later(parts, spec))


def _adds_as_it_goes(log: EventLog, spec: FunnelSpec) -> bool:
    if not spec.by:
        return True
    columns = [shard.columns[spec.by[0]] for shard in log.shards]
    return (
        len(spec.by) == 1
        and not spec.repeats_users
        and spec.by_at not in TOUCHES
        and all(isinstance(c, TextColumn) and len(c.values) <= _MOST_CODES for c in columns)
    )


def _codes_as_groups(parts: list[ShardChains], by: str | None) -> Groups:
    """The group of each code of a shard's property, and of no value; −1 where no chain has it."""
    if by is None:
        return Groups([np.zeros(1, np.int64) for _ in parts], [ALL])
    place: dict[Hashable, int] = {}
    codes = []
    for part in parts:
        column = part.shard.columns[by]
        assert isinstance(column, TextColumn)
        names = [*column.values.to_pylist(), MISSING]
        own = np.full(len(names), -1, np.int64)
        for code in np.flatnonzero(part.sums.counts[:, :, 0].any(axis=0)):
            own[code] = place.setdefault(names[code], len(place))
        codes.append(own)
    return Groups(codes, list(place))


def groups_of(
    parts: list[ShardChains], spec: FunnelSpec, names: Sequence[Hashable] | None = None
) -> Groups:
    """The group of each chain that was kept, the largest first, the others as one.

    Parameters
    ----------
    names : the groups to keep instead of the largest. What is none of them goes to ``"(other)"``
        where that is one of them, and else is a group of its own after them.
    """
    shards = [part.shard for part in parts]
    groups = log_groups.groups_of(shards, [part.group_rows for part in parts], spec.by)
    sizes = np.zeros(len(groups.names), np.int64)
    for part, codes in zip(parts, groups.codes, strict=True):
        sizes += np.bincount(codes[part.chosen], minlength=len(sizes))
    return _kept(groups, sizes, spec, names)


def _kept(
    groups: Groups, sizes: np.ndarray, spec: FunnelSpec, names: Sequence[Hashable] | None
) -> Groups:
    if names is None:
        return log_groups.largest(groups, sizes, spec.top)
    place = {name: i for i, name in enumerate(names)}
    rest = place.get(OTHER)
    lookup = np.full(len(groups.names) + 1, -1, np.int64)
    for code, name in enumerate(groups.names):
        if rest is None:
            lookup[code] = place.setdefault(name, len(place))
        else:
            lookup[code] = place.get(name, rest)
    return Groups([lookup[part] for part in groups.codes], list(place))


def _grouped_later(parts: list[ShardChains], spec: FunnelSpec) -> int:
    """How many chains have their group from a later instant than their entry, and not its value?

    Only who gets so far can have such a value: the group knows what became of them.
    """
    if spec.by_at not in TOUCHES:
        return 0
    later = []
    for part in parts:
        time, row = part.shard.time, np.maximum(part.group_rows, 0)
        after = (part.group_rows >= 0) & (time[row] > time[part.entries])
        later.append(np.flatnonzero(part.chosen & after))
    shards = [part.shard for part in parts]
    touched = [part.group_rows[own] for part, own in zip(parts, later, strict=True)]
    entries = [part.entries[own] for part, own in zip(parts, later, strict=True)]
    codes = log_groups.groups_of([*shards, *shards], [*touched, *entries], spec.by).codes
    pairs = zip(codes[: len(parts)], codes[len(parts) :], strict=True)
    return sum(int((one != other).sum()) for one, other in pairs)


def _together(parts: list[ShardChains], sums: list[Sums], groups: Groups, later: int) -> FunnelSums:
    size = len(groups.names)
    steps = sums[0].counts.shape[2]
    counts = np.zeros((2, size, steps), np.int64)
    several = bool(sums[0].moments.size)
    moments = np.zeros((size if several else 0, steps, steps), np.int64)
    users = np.zeros((size if several else 0, steps), np.int64)
    for own, place in zip(sums, groups.codes, strict=True):
        seen = own.counts[:, :, 0].any(axis=0)
        for kind in (0, 1):
            np.add.at(counts[kind], place[seen], own.counts[kind, seen])
        if several:
            np.add.at(moments, place[seen], own.moments[seen])
            np.add.at(users, place[seen], own.members[seen])
    facts = sum((part.sums.facts for part in parts), np.zeros(3, np.int64))
    entered, tied, ungrouped = facts.tolist()
    return FunnelSums(
        names=groups.names,
        counts=counts,
        entered=entered,
        immature=entered - int(counts[1, :, 0].sum()),
        tied=tied,
        ungrouped=ungrouped,
        later=later,
        left_out=sum(part.left_out for part in parts),
        held=(_union(part.held[0] for part in parts), _union(part.held[1] for part in parts)),
        moments=moments,
        users=users,
        shards=list(zip(sums, groups.codes, strict=True)),
    )


def nameless(group: Hashable) -> bool:
    """Is it the group of those without a value?"""
    return (set(group) if isinstance(group, tuple) else {group}) == {MISSING}


def _union(sets: Iterable[int]) -> int:
    return functools.reduce(operator.or_, sets, 0)


def funnel_table(sums: FunnelSums, spec: FunnelSpec) -> pd.DataFrame:
    """The tidy table of a funnel, a row per group and step, with the columns of `FunnelResult`."""
    size, steps = len(sums.names), len(spec.steps)
    count, k = sums.counts
    before = previous_required(spec)
    n_first = np.repeat(k[:, :1], steps, axis=1)
    n_previous = k[:, before]
    from_first, from_previous = n_first.astype(float), n_previous.astype(float)
    if spec.repeats_users:
        from_first, from_previous = _effective_sizes(sums, before)
    median, mean = (waits / US_PER_SECOND for waits in waits_of(sums))
    rate, step_rate = ratio(k, n_first), ratio(k, n_previous)
    rate_low, rate_high = wilson(k * _share(from_first, n_first), from_first)
    low, high = wilson(k * _share(from_previous, n_previous), from_previous)
    for cells in (step_rate, low, high):
        cells[:, 0] = np.nan
    names = np.empty(size, object)
    names[:] = sums.names
    return pd.DataFrame(
        {
            "group": np.repeat(names, steps),
            "step": np.tile(np.arange(1, steps + 1), size),
            "event": np.tile(step_names(spec), size),
            "count": count.ravel(),
            "k": k.ravel(),
            "n_first": n_first.ravel(),
            "n_previous": n_previous.ravel(),
            "rate": rate.ravel(),
            "rate_low": rate_low.ravel(),
            "rate_high": rate_high.ravel(),
            "step_rate": step_rate.ravel(),
            "low": low.ravel(),
            "high": high.ravel(),
            "median_seconds": median.ravel(),
            "mean_seconds": mean.ravel(),
        }
    )


def step_names(spec: FunnelSpec) -> list[str]:
    """The names of the steps in a table; in any order they have only a number."""
    if spec.order == "any":
        return [f"{k} of {len(spec.steps)}" for k in range(1, len(spec.steps) + 1)]
    return [step.name for step in spec.steps]


def previous_required(spec: FunnelSpec) -> np.ndarray:
    """The place (from 0) of the required step before each step; the first step's own is 0."""
    places = [0]
    for k in range(1, len(spec.steps)):
        places.append(places[-1] if spec.steps[k - 1].optional else k - 1)
    return np.array(places)


def _share(effective: np.ndarray, n: np.ndarray) -> np.ndarray:
    return np.nan_to_num(ratio(effective, n))


def _effective_sizes(sums: FunnelSums, before: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Effective sample sizes behind the rates from first and from previous: (groups, steps)."""
    groups, steps = sums.users.shape
    first, previous = np.empty((2, groups, steps))
    for group in range(groups):
        for step in range(steps):
            first[group, step] = size_behind(sums, group, step, 0)
            previous[group, step] = size_behind(sums, group, step, int(before[step]))
    return first, previous


def size_behind(sums: FunnelSums, group: int, step: int, of: int) -> float:
    """How many independent units stand behind the rate of a step among those who did `of`?

    Steps are counted from 0; see `analysis.statistics.rates.effective_size`.
    """
    done, own = sums.counts[1, group], sums.moments[group]
    squares = own[step, step], own[step, of], own[of, of]
    return effective_size_of(done[step], done[of], squares=squares, clusters=sums.users[group, of])


def conversion_sizes(sums: FunnelSums, spec: FunnelSpec) -> np.ndarray:
    """How many independent units stand behind the conversion rate of each group?

    See `analysis.statistics.rates.effective_size`.
    """
    if not spec.repeats_users:
        return sums.counts[1, :, 0].astype(float)
    last = spec.conversion - 1
    return np.array([size_behind(sums, group, last, 0) for group in range(len(sums.names))])


def waits_of(sums: FunnelSums) -> tuple[np.ndarray, np.ndarray]:
    """Median and mean wait before each step since the one done before, in microseconds.

    Returns
    -------
    Two float arrays (groups, steps), NaN where nobody did the step, and at step 1.
    """
    groups, steps = len(sums.names), sums.counts.shape[2]
    columns = parallel.map_shards(range(1, steps), lambda k: _step_waits(sums, k))
    nothing = np.full((groups, 2), np.nan)
    median, mean = np.stack([nothing, *columns], axis=-1).transpose(1, 0, 2)
    return median, mean


def _step_waits(sums: FunnelSums, k: int) -> np.ndarray:
    """Median and mean of the waits before step k (from 0): float (groups, 2)."""
    # Counting in classes takes half the time of `np.partition` for millions of waits in one group.
    groups = len(sums.names)
    classes = np.zeros((groups, kernels.CLASSES), np.int64)
    totals = np.zeros(groups, np.int64)
    parts = [
        (own.waits[k, : own.sizes[k]], own.owners[k, : own.sizes[k]], place)
        for own, place in sums.shards
    ]
    for waits, owners, place in parts:
        kernels.tally(waits, owners, place, classes, totals)
    found = np.full((groups, 2), np.nan)
    for group, n in enumerate(classes.sum(axis=1).tolist()):
        if n:
            found[group] = _median(parts, classes[group], group), int(totals[group]) / n
    return found


def _median(
    parts: list[tuple[np.ndarray, np.ndarray, np.ndarray]], classes: np.ndarray, group: int
) -> float:
    """The median of the numbers of a group, which stand in these classes."""
    below = np.cumsum(classes)
    n = int(below[-1])
    ranks = (n - 1) // 2, n // 2
    first, last = np.searchsorted(below, ranks, side="right").tolist()
    near = [kernels.fetch(*part, group, first, last) for part in parts]
    numbers = np.sort(np.concatenate(near))
    before = int(below[first - 1]) if first else 0
    low, high = (int(numbers[rank - before]) for rank in ranks)
    return (low + high) / 2
