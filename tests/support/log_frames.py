"""Frames of events of any kind, and what a log must make of them, by plain pandas."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
from hypothesis import strategies as st

SOME_TEXT = [
    "",
    " ",
    "a",
    "A",
    "ä",
    "🌊",
    "'",
    '"',
    "\0",
    "a\0",
    "(missing)",
    "NaN",
    "None",
    "x" * 300,
]
texts = st.one_of(st.sampled_from(SOME_TEXT), st.text(max_size=5))
cells = st.one_of(st.none(), texts)
numbers = st.one_of(st.sampled_from([math.nan, 0.0, 1.0, -2.5, 1e300, math.inf]), st.floats())
GAP = pd.Timedelta("30min")


@st.composite
def frames(draw: st.DrawFn, *, min_rows: int = 1, max_rows: int = 12) -> pd.DataFrame:
    """Few users and instants, so that there are ties; any text, missing cells, numbers."""
    people = draw(st.lists(texts, min_size=1, max_size=4, unique=True))
    base = draw(st.integers(-(10**15), 4 * 10**15))
    row = st.tuples(
        st.sampled_from(people),
        st.sampled_from([0, 1, 60_000_000, 1_800_000_000, 1_800_000_001, 10**10]),
        texts,
        cells,
        numbers,
    )
    rows = draw(st.lists(row, min_size=min_rows, max_size=max_rows))
    user, time, event, text, number = ([r[k] for r in rows] for k in range(5))
    return pd.DataFrame(
        {
            "user": pd.array(user, dtype="str"),
            "time": pd.to_datetime(np.array(time, "int64") + base, unit="us", utc=True),
            "event": pd.array(event, dtype="str"),
            "text": pd.array(text, dtype="str"),
            "number": np.array(number, float),
        }
    )


def expected(frame: pd.DataFrame) -> pd.DataFrame:
    """What `to_frame` must give back: by user and time, ties in the order of arrival."""
    keys = [str(user).encode() for user in frame["user"]]
    place = {key: rank for rank, key in enumerate(sorted(set(keys)))}
    ranked = frame.assign(rank=[place[key] for key in keys])
    table = ranked.sort_values(["rank", "time"], kind="stable", ignore_index=True)
    if "session" not in table:
        pause = table.groupby("rank")["time"].diff() > GAP
        number = pause.groupby(table["rank"]).cumsum().astype(int) + 1
        table.insert(3, "session", number.astype(str))
    return table.drop(columns="rank")


def cells_of(frame: pd.DataFrame) -> list[tuple[Any, ...]]:
    """The frame's rows as plain values; a missing cell is None, a time its microseconds."""
    columns = []
    for name in frame.columns:
        column = frame[name]
        if isinstance(column.dtype, pd.DatetimeTZDtype):
            values: list[Any] = column.dt.as_unit("us").astype("int64").tolist()
        else:
            values = [None if pd.isna(cell) else cell for cell in column.tolist()]
        columns.append(values)
    return list(zip(*columns, strict=True))


def to_polars(frame: pd.DataFrame) -> pl.DataFrame:
    return pl.DataFrame(pa.Table.from_pandas(frame, preserve_index=False))


KINDS_OF_FRAME: dict[str, Callable[[pd.DataFrame], Any]] = {
    "pandas": lambda frame: frame,
    "pandas objects": lambda frame: frame.astype({"user": object, "event": object, "text": object}),
    "pandas categories": lambda frame: frame.astype(
        {"user": "category", "event": "category", "text": "category"}
    ),
    "pandas with an index": lambda frame: frame.set_index(np.arange(len(frame))[::-1] * 7),
    "polars": to_polars,
    "polars lazy": lambda frame: to_polars(frame).lazy(),
    "polars categories": lambda frame: to_polars(frame).cast(
        {"user": pl.Categorical, "event": pl.Categorical, "text": pl.Categorical}
    ),
    "arrow": lambda frame: pa.Table.from_pandas(frame, preserve_index=False),
    "arrow batch": lambda frame: pa.RecordBatch.from_pandas(frame, preserve_index=False),
    "arrow chunks": lambda frame: pa.concat_tables(
        [
            pa.Table.from_pandas(frame.iloc[i : i + 1], preserve_index=False)
            for i in range(len(frame))
        ]
    ),
}
