"""What has a funnel found? The data that every view reads: table, sums, chains and their groups.

Every view of a funnel is a group-by of the same chains that made the table, in the groups of the
table, so none can disagree with it. Below `FunnelData` stands what the views ask of it: the chains
as a table of attempts, steps and groups by name, and where the rows of an attempt's user lie.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Hashable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.result import Result
from analysis.core.schema import SESSION, USER, UsageError, did_you_mean
from analysis.eventlog.groups import Groups, number_name
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import Column, TextColumn
from analysis.funnels.chains import ShardChains, chains_of
from analysis.funnels.counts import FunnelSums, groups_of
from analysis.funnels.search.blocks import NOT_DONE
from analysis.funnels.spec import FunnelSpec, Step

NEVER = np.iinfo(np.int64).min
"""The instant of a step that was not done, in microseconds."""


@dataclass(frozen=True, eq=False, kw_only=True)
class FunnelData(Result):
    """The findings of a funnel, before anything is said of them.

    ``question`` is the checked `FunnelSpec`; ``ask`` asks the same funnel of other entries.
    """

    steps: tuple[Step, ...]
    window_us: int
    immature: int
    tied: int
    question: FunnelSpec = field(repr=False)
    log: EventLog = field(repr=False)
    ask: Callable[..., FunnelData] = field(repr=False)
    sums: FunnelSums = field(repr=False)

    @cached_property
    def parts(self) -> list[ShardChains]:
        """The chains, shard by shard. The table needs none; they are found when first asked for."""
        return chains_of(self.log, self.question)

    @cached_property
    def groups(self) -> Groups:
        """The group of each chain of `parts`, in the order of the table."""
        return groups_of(self.parts, self.question)

    @cached_property
    def attempts(self) -> pd.DataFrame:
        """A row per unit that entered (or per attempt): its best chain among all entries.

        Columns: ``unit`` (and ``user`` where units lie inside users), ``group`` (that of the
        unit's row in `mature_attempts`, if it has one there), ``entered_at``,
        ``reach`` (the highest step done; in any order how many), ``step_1`` … (NaT where not
        done), ``excluded`` (ended by an excluded event), ``mature``, ``censored`` (immature and
        not converted), ``tied`` (would reach less far if steps had to be strictly later than one
        another).
        """
        return self._frame(lambda part: part.chosen)

    @cached_property
    def mature_attempts(self) -> pd.DataFrame:
        """A row per unit with a mature entry: its best chain among mature entries.

        Rates, intervals and waits are those of these chains; the columns are those of
        `attempts`. A unit whose best chain is immature stands in both with different chains, and
        the one in `attempts` has done every step that this one has.
        """
        return self._frame(lambda part: part.mature)

    def _frame(self, keep: Callable[[ShardChains], np.ndarray]) -> pd.DataFrame:
        return attempts_frame(self.parts, self.groups, self.question, keep)


def attempts_frame(
    parts: Sequence[ShardChains],
    groups: Groups,
    spec: FunnelSpec,
    keep: Callable[[ShardChains], np.ndarray],
) -> pd.DataFrame:
    """A row per chain that `keep` keeps; the columns are those of `FunnelResult.attempts`."""
    frames = [
        _rows(part, codes, keep(part), spec)
        for part, codes in zip(parts, groups.codes, strict=True)
    ]
    frame = pd.concat(frames, ignore_index=True)
    names = np.empty(len(groups.names), object)
    names[:] = groups.names
    frame["group"] = names[frame["group"].to_numpy()]
    order = ["unit", "entered_at"] if not spec.inside_user else [USER, "unit", "entered_at"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _rows(part: ShardChains, codes: np.ndarray, keep: np.ndarray, spec: FunnelSpec) -> pd.DataFrame:
    """The chains of one shard; ``group`` is still a group's number."""
    steps = len(spec.steps)
    times = np.full((len(part.reach), steps), NOT_DONE)
    far = part.reach > 1
    entered = part.shard.time[part.entries]
    times[:, 0] = entered
    times[far] = part.times
    times = times[keep]
    users = part.shard.users.take(pa.array(part.users[keep])).to_pandas()
    columns: dict[str, Any] = {"unit": users}
    if spec.inside_user:
        columns = {"unit": _units(part, keep, spec, users), USER: users}
    columns["group"] = codes[keep]
    columns["entered_at"] = _instants(entered[keep])
    columns["reach"] = part.reach[keep].astype(np.int64)
    for k in range(steps):
        columns[f"step_{k + 1}"] = _instants(times[:, k])
    columns["excluded"] = part.excluded[keep]
    columns["mature"] = part.mature[keep]
    converted = part.reach[keep] >= (steps if spec.order == "any" else spec.last_required)
    columns["censored"] = ~columns["mature"] & ~converted
    columns["tied"] = part.tied[keep]
    return pd.DataFrame(columns)


def _instants(stamps: np.ndarray) -> pd.DatetimeIndex:
    # NOT_DONE is what NaT is made of.
    return pd.DatetimeIndex(stamps.view("datetime64[us]")).tz_localize("UTC")


def _units(part: ShardChains, keep: np.ndarray, spec: FunnelSpec, users: pd.Series) -> np.ndarray:
    """The names of units inside a user: the session's id, or a tuple with the values held."""
    rows = part.entries[keep]
    values = {name: _texts(part.shard.columns[name], rows) for name in spec.inside_user}
    names = [values.get(SESSION, users.tolist()) if spec.unit == SESSION else users.tolist()]
    names += [values[name] for name in spec.hold]
    units = np.empty(len(rows), object)
    units[:] = names[0] if len(names) == 1 else list(zip(*names, strict=True))
    return units


def _texts(column: Column, rows: np.ndarray) -> list[str]:
    if isinstance(column, TextColumn):
        return column.values.take(pa.array(column.codes[rows])).to_pylist()
    return [number_name(number) for number in column.numbers[rows]]


def required_steps(result: FunnelData) -> list[int]:
    """The numbers of the steps that may not be skipped, from 1; the last one converts."""
    return [k for k, step in enumerate(result.steps, start=1) if not step.optional]


def next_required(result: FunnelData, step: int) -> int:
    """The number of the first step after `step` that may not be skipped."""
    return next(k for k in required_steps(result) if k > step)


def step_name(result: FunnelData, step: int) -> str:
    """The name of a step in the table."""
    table = result.table
    return str(table["event"].to_numpy()[(table["step"] == step).to_numpy()][0])


def step_number(result: FunnelData, step: int | str, what: str, allowed: Collection[int]) -> int:
    """The number of a step that is given by its number or its name.

    Raises
    ------
    UsageError
        If the funnel has no such step or two of that name, or what is asked (`what`) cannot be
        asked of it.
    """
    names = {k: step_name(result, k) for k in range(1, len(result.steps) + 1)}
    listed = ", ".join(f"{k} ({names[k]})" for k in allowed)
    if not listed:
        raise UsageError(f"{what}: a funnel of one step has no such step. Give it a second one.")
    found = [k for k in names if step == names[k] or (step == k and not isinstance(step, bool))]
    if len(found) > 1:
        raise UsageError(f"{what}: step={step!r} is the name of steps {found}. Give the number.")
    if not found or found[0] not in allowed:
        hint = did_you_mean(step, names.values()) if isinstance(step, str) and not found else ""
        why = "is not one it can be asked of" if found else "is not a step of this funnel"
        raise UsageError(f"{what}: step={step!r} {why}.{hint} Allowed: {listed}.")
    return found[0]


def group_names(result: FunnelData) -> list[Hashable]:
    """The groups of the table, in its order."""
    return list(dict.fromkeys(result.table["group"]))


def group_number(result: FunnelData, group: Any, what: str) -> int:
    """The place of a group in the table.

    Raises
    ------
    UsageError
        If the table has no such group.
    """
    names = group_names(result)
    if group in names:
        return names.index(group)
    near = did_you_mean(group, map(str, names))
    raise UsageError(
        f"{what}: {group!r} is not a group of this funnel.{near} "
        f"Groups: {', '.join(map(repr, names))}."
    )


def group_codes(result: FunnelData, attempts: pd.DataFrame) -> np.ndarray:
    """Each attempt's group as its place in the table; −1 for an attempt that is in none."""
    place = {name: code for code, name in enumerate(group_names(result))}
    local, names = pd.factorize(attempts["group"])
    lookup = np.array([*(place.get(name, -1) for name in names), -1], np.int64)
    return lookup[local]


def microseconds(attempts: pd.DataFrame, column: str) -> np.ndarray:
    """A column of instants as int64 microseconds since 1970 UTC; `NEVER` where there is none."""
    return pd.DatetimeIndex(attempts[column]).as_unit("us").asi8


def step_before(attempts: pd.DataFrame, step: int) -> np.ndarray:
    """When the last step done before `step` was done, in microseconds."""
    last = microseconds(attempts, "step_1")
    for k in range(2, step):
        own = microseconds(attempts, f"step_{k}")
        last = np.where(own == NEVER, last, own)
    return last


class Located(NamedTuple):
    """The rows of a frame of attempts (`rows`) whose users are in a shard, and which (`users`)."""

    shard: int
    rows: np.ndarray
    users: np.ndarray


def located(log: EventLog, attempts: pd.DataFrame) -> list[Located]:
    """Find the rows of each attempt's user: a part for each shard that has any.

    The user is the column ``user``, or the unit where there is none.
    """
    ids = pa.array(attempts[USER if USER in attempts else "unit"], pa.large_string())
    everybody = pa.chunked_array([shard.users for shard in log.shards], pa.large_string())
    place = pc.index_in(ids, value_set=everybody.combine_chunks())
    assert not place.null_count  # attempts come from the users of this log
    user = place.cast(pa.int64()).to_numpy(zero_copy_only=False)
    starts = np.cumsum([0, *(len(shard.users) for shard in log.shards)])
    home = np.searchsorted(starts, user, side="right") - 1
    order = np.argsort(home, kind="stable")
    bounds = np.searchsorted(home[order], np.arange(len(log.shards) + 1))
    parts = [order[a:b] for a, b in itertools.pairwise(bounds)]
    return [Located(s, rows, user[rows] - starts[s]) for s, rows in enumerate(parts) if len(rows)]


def first_not_before(
    time: np.ndarray, low: np.ndarray, high: np.ndarray, instant: np.ndarray
) -> np.ndarray:
    """The first row of each range low … high (excluded) at or after an instant; high if none.

    Parameters
    ----------
    time : ascending within each range. low, high, instant : int64 of equal length.

    Examples
    --------
    >>> time = np.array([1, 5, 9, 2, 3])
    >>> first_not_before(time, np.array([0, 3]), np.array([3, 5]), np.array([5, 4])).tolist()
    [1, 5]
    """
    low, high = low.copy(), high.copy()
    # A binary search in all ranges at once: as many rounds as the longest range has digits.
    while len(unsure := np.flatnonzero(low < high)):
        middle = (low[unsure] + high[unsure]) // 2
        early = time[middle] < instant[unsure]
        low[unsure] = np.where(early, middle + 1, low[unsure])
        high[unsure] = np.where(early, high[unsure], middle)
    return low
