"""Shards: every user whole in one of them, sorted, with codes and masks that mean what they say."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_frames import cells_of, expected, frames

from analysis.eventlog.build import build_shard, build_shards, default_shards, shard_of
from analysis.eventlog.canonical import canonical_table
from analysis.eventlog.shard import NumberColumn, Shard, TextColumn

OWN = {"user": "user", "time": "time", "event": "event", "session": None}


def canonical(frame: pd.DataFrame) -> pa.Table:
    return canonical_table(pa.Table.from_pandas(frame, preserve_index=False), **OWN)


def rows_of(shard: Shard, names: list[str]) -> pd.DataFrame:
    """The shard's rows read straight from its arrays."""
    user = np.repeat(np.array(shard.users.to_pylist(), object), np.diff(shard.offsets))
    columns: dict[str, list[object]] = {
        "user": user.tolist(),
        "time": shard.time.tolist(),
        "event": [names[code] for code in shard.event],
    }
    for name, column in shard.columns.items():
        if isinstance(column, TextColumn):
            values = [*column.values.to_pylist(), None]
            columns[name] = [values[code] for code in column.codes]
        else:
            columns[name] = [None if np.isnan(n) else n for n in column.numbers]
    return pd.DataFrame(columns, dtype=object)


@settings(max_examples=80)
@given(frames(), st.sampled_from([1, 2, 3, 50]))
def test_shards_hold_what_pandas_sorts(frame: pd.DataFrame, shards: int) -> None:
    names = sorted(set(frame["event"]))
    built = list(build_shards(canonical(frame), event_names=names, shards=shards))
    found = [
        row for shard in built for row in rows_of(shard, names).itertuples(index=False, name=None)
    ]
    want = cells_of(expected(frame))
    by_user = sorted(range(len(found)), key=lambda i: found[i][0].encode())
    plain = [tuple(None if pd.isna(cell) else cell for cell in found[i]) for i in by_user]
    assert plain == want
    seen: set[str] = set()
    for shard in built:
        hold_together(shard, names)
        own = set(shard.users.to_pylist())
        assert not own & seen
        seen |= own


def hold_together(shard: Shard, names: list[str]) -> None:
    """What a pass may rely on."""
    users = [user.encode() for user in shard.users.to_pylist()]
    assert users == sorted(set(users))
    assert shard.offsets[0] == 0
    assert shard.offsets[-1] == shard.rows == len(shard.event)
    assert (np.diff(shard.offsets) > 0).all()
    assert shard.offsets.dtype == shard.time.dtype == np.int64
    for u in range(len(users)):
        own = slice(shard.offsets[u], shard.offsets[u + 1])
        assert (np.diff(shard.time[own]) >= 0).all()
        assert shard.masks[u] == sum({1 << int(code) % 64 for code in shard.event[own]})
    for column in shard.columns.values():
        if isinstance(column, NumberColumn):
            assert column.numbers.dtype == np.float64
            continue
        values = [value.encode() for value in column.values.to_pylist()]
        assert values == sorted(set(values))
        assert column.codes.dtype.kind == "i"
        assert set(column.codes.tolist()) - {-1} <= set(range(len(values)))


@pytest.mark.parametrize(
    ("names", "dtype"), [(1, "uint8"), (255, "uint8"), (256, "uint16"), (70_000, "uint32")]
)
def test_event_codes_leave_room_for_hidden_rows(names: int, dtype: str) -> None:
    every = [f"n{i:05}" for i in range(names)]
    frame = pd.DataFrame({"user": "u", "time": pd.Timestamp(0), "event": [every[0], every[-1]]})
    shard = build_shard(canonical(frame), event_names=every)
    assert shard.event.dtype == dtype
    assert shard.event.tolist() == [0, names - 1]
    assert np.iinfo(dtype).max >= names


def test_a_property_s_values_are_those_of_the_shard() -> None:
    frame = pd.DataFrame(
        {
            "user": [f"u{i}" for i in range(40)],
            "time": pd.Timestamp(0),
            "event": "a",
            "p": pd.Categorical([f"v{i}" for i in range(40)]),
        }
    )
    built = list(build_shards(canonical(frame), event_names=["a"], shards=8))
    assert len(built) > 3
    for shard in built:
        column = shard.columns["p"]
        assert isinstance(column, TextColumn)
        assert len(column.values) == shard.rows
        assert [f"v{user[1:]}" for user in shard.users.to_pylist()] == [
            column.values[int(code)].as_py() for code in column.codes
        ]


@given(st.lists(st.text(max_size=6), min_size=1, max_size=20, unique=True), st.integers(1, 6))
def test_neighboring_shards_join_to_one(users: list[str], power: int) -> None:
    """A shard is a range of hashes: halving the number of shards joins pairs of them."""
    array = pa.array(users, pa.large_string())
    fine, coarse = (shard_of(array, 2**n) for n in (power, power - 1))
    assert (fine // 2 == coarse).all()
    assert ((fine >= 0) & (fine < 2**power)).all()
    # A user's shard depends on nothing but the user.
    assert shard_of(array[:1], 2**power)[0] == fine[0]


def test_users_are_spread_evenly() -> None:
    users = pa.array([f"user {i}" for i in range(20_000)], pa.large_string())
    for shards in (2, 7, 50):
        sizes = np.bincount(shard_of(users, shards), minlength=shards)
        expected_size = 20_000 / shards
        chi2 = ((sizes - expected_size) ** 2 / expected_size).sum()
        # About shards − 1 ± 5 standard deviations.
        assert abs(chi2 - (shards - 1)) < 5 * np.sqrt(2 * shards)


@pytest.mark.parametrize(
    ("rows", "shards"),
    [(0, 1), (1, 1), (2_000_000, 1), (2_000_001, 2), (4_000_000, 2), (4_000_001, 4), (10**8, 64)],
)
def test_a_shard_per_two_million_rows(rows: int, shards: int) -> None:
    assert default_shards(rows) == shards
