"""The chains of a funnel as rows of a table: who entered when, and how far they got."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa

from analysis.core.schema import SESSION, USER
from analysis.eventlog.groups import Groups, number_name
from analysis.eventlog.shard import Column, TextColumn
from analysis.funnels.chains import ShardChains
from analysis.funnels.search.kernels_chain_block import NOT_DONE
from analysis.funnels.spec import Question


def attempts_frame(
    parts: Sequence[ShardChains],
    groups: Groups,
    question: Question,
    keep: Callable[[ShardChains], np.ndarray],
) -> pd.DataFrame:
    """A row per chain that `keep` keeps; the columns are those of `FunnelResult.attempts`."""
    frames = [
        _rows(part, codes, keep(part), question)
        for part, codes in zip(parts, groups.codes, strict=True)
    ]
    frame = pd.concat(frames, ignore_index=True)
    names = np.empty(len(groups.names), object)
    names[:] = groups.names
    frame["group"] = names[frame["group"].to_numpy()]
    order = ["unit", "entered_at"] if not question.inside_user else [USER, "unit", "entered_at"]
    return frame.sort_values(order, kind="stable", ignore_index=True)


def _rows(
    part: ShardChains, codes: np.ndarray, keep: np.ndarray, question: Question
) -> pd.DataFrame:
    """The chains of one shard; ``group`` is still a group's number."""
    steps = len(question.steps)
    times = np.full((len(part.reach), steps), NOT_DONE)
    far = part.reach > 1
    entered = part.shard.time[part.entries]
    times[:, 0] = entered
    times[far] = part.times
    times = times[keep]
    users = part.shard.users.take(pa.array(part.users[keep])).to_pandas()
    columns: dict[str, Any] = {"unit": users}
    if question.inside_user:
        columns = {"unit": _units(part, keep, question, users), USER: users}
    columns["group"] = codes[keep]
    columns["entered_at"] = _instants(entered[keep])
    columns["reach"] = part.reach[keep].astype(np.int64)
    for k in range(steps):
        columns[f"step_{k + 1}"] = _instants(times[:, k])
    columns["excluded"] = part.excluded[keep]
    columns["mature"] = part.mature[keep]
    converted = part.reach[keep] >= (steps if question.order == "any" else question.last_required)
    columns["censored"] = ~columns["mature"] & ~converted
    columns["tied"] = part.tied[keep]
    return pd.DataFrame(columns)


def _instants(stamps: np.ndarray) -> pd.DatetimeIndex:
    # NOT_DONE is what NaT is made of.
    return pd.DatetimeIndex(stamps.view("datetime64[us]")).tz_localize("UTC")


def _units(part: ShardChains, keep: np.ndarray, question: Question, users: pd.Series) -> np.ndarray:
    """What a unit inside a user is called: the session's id, or a tuple with the values held."""
    rows = part.entries[keep]
    values = {name: _texts(part.shard.columns[name], rows) for name in question.inside_user}
    names = [values.get(SESSION, users.tolist()) if question.unit == SESSION else users.tolist()]
    names += [values[name] for name in question.hold]
    units = np.empty(len(rows), object)
    units[:] = names[0] if len(names) == 1 else list(zip(*names, strict=True))
    return units


def _texts(column: Column, rows: np.ndarray) -> list[str]:
    if isinstance(column, TextColumn):
        return column.values.take(pa.array(column.codes[rows])).to_pylist()
    return [number_name(number) for number in column.numbers[rows]]
