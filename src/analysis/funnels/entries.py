"""How long was each entry of a unit followed, and what do all of them say of its final rate?

A unit that enters several times has several chances. In a period that is young the windows of
some of them are still open: judged by one of its entries alone, such a unit looks as if it had
had all of its chances. So each entry is followed for itself, until the unit converts, the entry's
window ends or the log does; and a unit that is still open counts with the share of entries as old
as its last one that go on to convert.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import NamedTuple

import numpy as np

from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Shard
from analysis.funnels.chains import ShardChains, chains_of, codes_of, holding, unit_numbers
from analysis.funnels.counts import groups_of
from analysis.funnels.search.blocks import NOT_DONE
from analysis.funnels.spec import FunnelSpec
from analysis.statistics.rates import CONFIDENCE
from analysis.statistics.survival import Points, points_at, steps_of

_MOST_BLOCKS = 40
"""Into up to so many blocks of units the spread of an estimate is divided."""


class Entries(NamedTuple):
    """Entries, unit by unit and in the order of time; microseconds since the entry.

    Attributes
    ----------
    unit : the number of the entry's unit, from 0, ascending.
    watched : how long it can be followed: until its window or the log ends.
    time : until the unit converted, or as long as it was followed.
    reached : whether the unit converted then. After that its entries are not in the list.
    """

    unit: np.ndarray
    watched: np.ndarray
    time: np.ndarray
    reached: np.ndarray

    def of_units(self, keep: np.ndarray) -> Entries:
        """The entries of some units, which are numbered anew."""
        own = keep[self.unit]
        numbers = np.cumsum(keep) - 1
        return Entries(
            numbers[self.unit[own]], self.watched[own], self.time[own], self.reached[own]
        )

    @property
    def units(self) -> int:
        """How many units there are."""
        return int(self.unit[-1]) + 1 if len(self.unit) else 0

    @property
    def last(self) -> np.ndarray:
        """The last entry of each unit."""
        return np.flatnonzero(np.diff(self.unit, append=-1))

    @property
    def longest(self) -> np.ndarray:
        """Per unit the longest time that one of its entries can be followed."""
        first = np.flatnonzero(np.diff(self.unit, prepend=-1))
        return np.maximum.reduceat(self.watched, first) if len(first) else self.watched


def entries_of(
    log: EventLog, spec: FunnelSpec, names: Sequence[Hashable]
) -> tuple[Entries, np.ndarray]:
    """The entries that a spec asks for, and the group of each unit as a place in `names`.

    Parameters
    ----------
    names : the groups, as `counts.groups_of` takes them; units of no group have −1.
    """
    parts = chains_of(log, spec)
    groups = groups_of(parts, spec, names)
    found = [_followed(log, spec, part) for part in parts]
    codes = [
        own[part.chosen][units]
        for own, part, (_, units) in zip(groups.codes, parts, found, strict=True)
    ]
    sizes = np.cumsum([0, *(len(units) for _, units in found)])
    unit = [own.unit + start for (own, _), start in zip(found, sizes, strict=False)]
    columns = [np.concatenate(cells) for cells in zip(*(own for own, _ in found), strict=True)]
    group = np.concatenate(codes)
    group[group >= len(names)] = -1
    return Entries(np.concatenate(unit), *columns[1:]), group


def _followed(log: EventLog, spec: FunnelSpec, part: ShardChains) -> tuple[Entries, np.ndarray]:
    """The entries of one shard, and the numbers of their chains among the chosen ones."""
    until = log.covers_until_us
    last = len(spec.steps) - 1 if spec.order == "any" else spec.last_required - 1
    entered, converted = part.shard.time[part.entries], np.full(len(part.reach), NOT_DONE)
    if last:
        converted[part.reach > 1] = part.times[:, last]
    else:
        converted = entered.copy()
    converted[(converted == NOT_DONE) | (converted > until)] = np.iinfo(np.int64).max
    entered, converted = entered[part.chosen], converted[part.chosen]
    owner, time = _all_entries(log, spec, part)
    keep = (entered[owner] <= until) & (time <= until)
    # An entry at the instant of the conversion, or after it, changes nothing; but the chain's own.
    keep &= (time < converted[owner]) | (time == entered[owner])
    owner, time = owner[keep], time[keep]
    order = np.lexsort([time, owner])
    owner, time = owner[order], time[order]
    new = np.ones(len(owner), bool)
    new[1:] = (np.diff(owner) != 0) | (np.diff(time) != 0)
    owner, time = owner[new], time[new]
    watched = np.minimum(until - time, spec.window_us)
    wait = converted[owner] - time
    reached = wait <= watched
    units, numbers = np.unique(owner, return_inverse=True)
    return Entries(numbers, watched, np.where(reached, wait, watched), reached), units


def _all_entries(
    log: EventLog, spec: FunnelSpec, part: ShardChains
) -> tuple[np.ndarray, np.ndarray]:
    """Which of the chosen chains' units entered when?"""
    shard, rows = part.shard, part.entries[part.chosen]
    alone = np.arange(len(rows)), shard.time[rows]
    if spec.attempts or spec.first:
        return alone
    user = np.repeat(np.arange(len(shard.offsets) - 1), np.diff(shard.offsets))
    inside = unit_numbers(shard, spec.inside_user)
    key = user * (int(inside.max(initial=0)) + 2) + inside if len(inside) else user
    start, end = spec.entered
    can = _can_enter(log, spec, shard) & (shard.time >= start) & (shard.time < end)
    found = np.flatnonzero(can & (inside >= 0) if len(inside) else can)
    order = np.argsort(key[rows])
    place = np.searchsorted(key[rows], key[found], sorter=order)
    place = order[np.minimum(place, len(order) - 1)] if len(order) else place
    known = key[rows][place] == key[found] if len(order) else np.zeros(len(found), bool)
    owner = np.concatenate([alone[0], place[known]])
    return owner, np.concatenate([alone[1], shard.time[found[known]]])


def _can_enter(log: EventLog, spec: FunnelSpec, shard: Shard) -> np.ndarray:
    codes = codes_of(log.event_names, spec.steps)
    sets = codes.steps[shard.event]
    holds = holding(shard, log, [step.where for step in spec.steps])
    if len(holds):
        sets = sets & holds.view(np.uint64)
    return (sets if spec.order == "any" else sets & np.uint64(1)) != 0


def final_rate(entries: Entries, far: int) -> tuple[float, float, float]:
    """Which share of the units will have converted within `far` of an entry? With 95 % limits.

    Units that are still open count with the share of entries as old as their last one that go on
    to convert. `far` is a time for which some entry was followed.

    Notes
    -----
    With one entry per unit this is Kaplan & Meier's estimate: Efron's self-consistency (1967,
    *Proc 5th Berkeley Symp* 4:831); the limits are then those of `survival.points_at`. Else they
    come from the delete-one-block jackknife over units, on the scale of log(−log(1 − rate)).

    Examples
    --------
    Two units, of which one enters twice; the other one is still open:

    >>> cells = [[0, 0, 1], [9, 9, 4], [8, 3, 4], [True, True, False]]
    >>> entries = Entries(*(np.array(own) for own in cells))
    >>> round(final_rate(entries, 9)[0], 3)
    1.0
    """
    rate, curve = _rate(entries, far)
    if len(entries.unit) == entries.units or rate in (0.0, 1.0):
        return rate, float(curve.low[0]), float(curve.high[0])
    blocks = min(_MOST_BLOCKS, entries.units)
    block = np.arange(entries.units) % blocks
    rates = [_rate(entries.of_units(block != b), far)[0] for b in range(blocks)]
    return rate, *_limits(rate, np.array(rates))


def _rate(entries: Entries, far: int) -> tuple[float, Points]:
    steps = steps_of(entries.time, entries.reached, far)
    last = entries.last
    age, reached = entries.watched[last], entries.reached[last] & (entries.time[last] <= far)
    still = ~reached & (age < far)
    left = np.concatenate([[1.0], steps.survival])
    at = left[np.searchsorted(steps.times, age[still], "right")]
    converted = reached.sum() + (1 - left[-1] / at).sum()
    found = points_at(steps, np.array([min(far, steps.reach)], np.int64))
    return float(converted / len(last)), found


def _limits(rate: float, without: np.ndarray) -> tuple[float, float]:
    from scipy.stats import t

    inside = np.clip(without, 1e-12, 1 - 1e-12)
    scores, middle = np.log(-np.log1p(-inside)), np.log(-np.log1p(-rate))
    n = len(without)
    error = np.sqrt((n - 1) / n * ((scores - scores.mean()) ** 2).sum())
    half = t.ppf((1 + CONFIDENCE) / 2, n - 1) * error
    low, high = (1 - np.exp(-np.exp(middle + side * half)) for side in (-1, 1))
    return float(low), float(high)
