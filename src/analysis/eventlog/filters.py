"""Who is in a log, and which of them a mask names.

A mask is a truth value per user: in the order of `user_ids`, or a pandas Series that names its
users itself and may then come from another view of the log. A mask that knows its shards
(`ByShard`) costs no look at any id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol, runtime_checkable

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from analysis.core.schema import UsageError
from analysis.eventlog import parallel as engine
from analysis.eventlog.shard import Shard

_TEXT = pa.large_string()


@runtime_checkable
class ByShard(Protocol):
    """A mask that knows, per shard of the log it was made of, who is in it."""

    @property
    def by_shard(self) -> Sequence[np.ndarray]:
        """A boolean per user of each shard."""

    @property
    def users_by_shard(self) -> Sequence[pa.Array]:
        """The ids of these users."""

    def series(self) -> pd.Series:
        """The same mask, indexed by user."""


def user_ids(shards: Sequence[Shard], names: int) -> pd.Index:
    """Ids of the users with a shown row, in ascending order of their bytes.

    Parameters
    ----------
    names : how many event names the log has; rows with a code beyond are hidden.
    """
    ids, order = _in_order(shards, _present(shards, names))
    return pd.Index(ids.take(pa.array(order)).to_pandas(), name="user", dtype="str")


def in_order(shards: Sequence[Shard], names: int, by_shard: Sequence[np.ndarray]) -> np.ndarray:
    """A value per user of each shard as one array, in the order of `user_ids`."""
    present = _present(shards, names)
    _, order = _in_order(shards, present)
    cells = [own[here] for own, here in zip(by_shard, present, strict=True)]
    return np.concatenate(cells)[order] if cells else np.empty(0, np.bool_)


def ranks(shards: Sequence[Shard]) -> list[np.ndarray]:
    """Per shard the place of each of its users among all of them (int64), by their bytes."""
    everybody = [np.ones(len(shard.users), np.bool_) for shard in shards]
    _, order = _in_order(shards, everybody)
    rank = np.empty(len(order), np.int64)
    rank[order] = np.arange(len(order))
    return np.split(rank, np.cumsum([len(shard.users) for shard in shards])[:-1])


def chosen(shards: Sequence[Shard], names: int, mask: Any) -> list[np.ndarray]:
    """Per shard a boolean per user: is the user in the mask?

    Raises
    ------
    UsageError
        If the mask is of the wrong length or kind, or its users are none of the log's.
    """
    if isinstance(mask, pd.Series):
        return _named(shards, _truths(mask.to_numpy()), mask.index)
    if isinstance(mask, ByShard):
        theirs = mask.users_by_shard
        # A view shares its users with the log it came from: nobody has to be looked up.
        if len(theirs) == len(shards) and all(
            own is shard.users for own, shard in zip(theirs, shards, strict=True)
        ):
            return list(mask.by_shard)
        return chosen(shards, names, mask.series())
    truths = _truths(mask)
    present = _present(shards, names)
    _, order = _in_order(shards, present)
    if len(truths) != len(order):
        raise UsageError(
            f"in_segment: the mask has {len(truths):,} values, the log {len(order):,} users. "
            "Give one per user in the order of log.user_ids, or a Series indexed by user."
        )
    here = np.empty(len(order), np.bool_)
    here[order] = truths
    found, start = [], 0
    for own in present:
        hits = own.copy()
        hits[own] = here[start : start + int(own.sum())]
        start += int(own.sum())
        found.append(hits)
    return found


def _named(shards: Sequence[Shard], truths: np.ndarray, index: pd.Index) -> list[np.ndarray]:
    if not index.is_unique:
        raise UsageError("in_segment: the mask names a user twice. Give one value per user.")
    names = pa.array(index.astype(str), _TEXT)
    known = [pc.is_in(names, shard.users).to_numpy(zero_copy_only=False) for shard in shards]
    if len(names) and not any(own.any() for own in known):
        raise UsageError(
            f"in_segment: none of the {len(names):,} users that the mask is indexed by is in the "
            "log. Index it by user: pd.Series(mask, index=log.user_ids)."
        )
    wanted = names.filter(pa.array(truths))
    return [pc.is_in(shard.users, wanted).to_numpy(zero_copy_only=False) for shard in shards]


def _truths(mask: Any) -> np.ndarray:
    truths = np.asarray(mask)
    if truths.dtype == object and all(isinstance(one, (bool, np.bool_)) for one in truths.flat):
        truths = truths.astype(np.bool_)
    if truths.dtype != np.bool_ or truths.ndim != 1:
        raise UsageError(
            f"in_segment: the mask holds {truths.dtype} in {truths.ndim} dimensions. "
            "Allowed: a truth value per user, none missing."
        )
    return truths


def _present(shards: Sequence[Shard], names: int) -> list[np.ndarray]:
    def shown(shard: Shard) -> np.ndarray:
        if not len(shard.users):
            return np.zeros(0, np.bool_)
        return np.logical_or.reduceat(shard.event < names, shard.offsets[:-1])

    return engine.over(shards, shown)


def _in_order(
    shards: Sequence[Shard], present: Sequence[np.ndarray]
) -> tuple[pa.Array, np.ndarray]:
    parts = [s.users.filter(pa.array(own)) for s, own in zip(shards, present, strict=True)]
    ids = pa.chunked_array(parts, _TEXT).combine_chunks()
    return ids, pc.sort_indices(ids).to_numpy()
