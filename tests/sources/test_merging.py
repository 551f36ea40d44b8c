"""Columns that differ from table to table end up as one, with every cell."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.sources.merging import Alignment, Duplicates, settled

TEXT, NUMBER, NOTHING = pa.large_string(), pa.float64(), pa.null()


def table_of(**columns: Any) -> Any:
    size = max(len(cells) for cells in columns.values())
    fixed = {
        "user": pa.array(["u"] * size, TEXT),
        "time": pa.array([0] * size),
        "event": pa.array(["e"] * size, TEXT),
    }
    return pa.table(fixed | columns)


def text(*cells: Any) -> Any:
    return pa.array(cells, TEXT)


def number(*cells: Any) -> Any:
    return pa.array(cells, NUMBER)


def joined(tables: Any, untyped: Any = ("x", "y")) -> dict[str, list[Any]]:
    alignment = Alignment()
    written = [alignment.align(table, set(untyped)) for table in tables]
    kinds = alignment.kinds()
    done = pa.concat_tables([settled(table, kinds) for table in [alignment.empty(), *written]])
    assert list(kinds) == done.column_names[3:]
    return {name: done.column(name).to_pylist() for name in kinds}


@pytest.mark.parametrize(
    ("tables", "wanted"),
    [
        ([text("1", "2.5"), text(None, "3")], [1.0, 2.5, None, 3.0]),
        ([text("1"), text("a")], ["1", "a"]),
        ([text("1"), number(2.5)], [1.0, 2.5]),
        ([number(2.0, 0.1), text("a", None)], ["2", "0.1", "a", None]),
        ([number(2.0), text(None)], [2.0, None]),
        ([text(None), number(2.0)], [None, 2.0]),
        ([number(2.0), text("007")], ["2", "007"]),
        ([pa.nulls(1), number(2.0)], [None, 2.0]),
        ([pa.nulls(1), text("a")], [None, "a"]),
        ([pa.nulls(1), pa.nulls(1)], [None, None]),
        ([text(None), text(None)], [None, None]),
    ],
)
def test_kinds_of_an_untyped_property(tables: Any, wanted: Any) -> None:
    found = joined([table_of(x=cells) for cells in tables])["x"]
    assert found == wanted
    assert [type(cell) for cell in found] == [type(cell) for cell in wanted]


def test_text_that_has_a_type_stays_text() -> None:
    assert joined([table_of(x=text("1"))], untyped=())["x"] == ["1"]
    assert joined([table_of(x=number(1.0)), table_of(x=text("1"))], untyped=())["x"] == ["1", "1"]


def test_a_property_may_come_late_and_be_absent_later() -> None:
    tables = [table_of(x=text("a")), table_of(y=number(1.0)), table_of(x=text("b"))]
    assert joined(tables) == {"x": ["a", None, "b"], "y": [None, 1.0, None]}


CELLS = st.one_of(
    st.lists(st.sampled_from(["1", "2.50", "a", None]), min_size=1).map(lambda c: text(*c)),
    st.lists(st.sampled_from([1.0, 2.5, None]), min_size=1).map(lambda c: number(*c)),
    st.integers(1, 2).map(pa.nulls),
)


@given(st.lists(CELLS, min_size=1, max_size=5))
def test_no_cell_is_lost_or_changed(columns: list[Any]) -> None:
    found = joined([table_of(x=cells) for cells in columns])["x"]
    given_cells = [cell for cells in columns for cell in cells.to_pylist()]
    assert len(found) == len(given_cells)
    for before, after in zip(given_cells, found, strict=True):
        assert (before is None) == (after is None)
        if isinstance(before, str) and isinstance(after, str):
            assert before == after
        elif before is not None:
            assert float(before) == float(after)


# ── Which rows repeat another one, judged by pandas.


ROWS = st.lists(
    st.tuples(st.integers(0, 3), st.integers(0, 3), st.booleans(), st.integers(0, 2)), max_size=12
)


def key_of(number: int) -> np.ndarray:
    # Two keys that share one of their two hashes are still two keys.
    return np.array([[number // 2, number % 2]], np.uint64)


@given(ROWS)
def test_the_row_with_a_value_then_the_earliest_then_the_first_stays(
    tmp_path_factory: pytest.TempPathFactory, rows: Any
) -> None:
    duplicates = Duplicates(tmp_path_factory.mktemp("keys") / "keys")
    places = [0, 0, 0]
    judged: list[Any] = []
    for key, time, valued, part in rows:
        duplicates.add(
            key_of(key),
            time=np.array([time]),
            valued=np.array([valued]),
            part=np.array([part]),
            place=np.array([places[part]]),
        )
        judged.append((key, not valued, time, len(judged), part, places[part]))
        places[part] += 1
    duplicates.close()
    frame = pd.DataFrame(judged, columns=["key", "bare", "time", "arrival", "part", "place"])
    ranked = frame.sort_values(["bare", "time", "arrival"])
    gone = ranked[ranked.duplicated("key")]
    found = duplicates.settled(3)[0]
    for part in range(3):
        assert found[part].tolist() == sorted(gone.loc[gone.part == part, "place"])


def test_batches_of_many_rows(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    keys = rng.integers(0, 500, 5_000)
    duplicates = Duplicates(tmp_path / "keys")
    for part in np.split(np.arange(5_000), 5):
        duplicates.add(
            np.column_stack([keys[part], keys[part]]).astype(np.uint64),
            time=np.zeros(1_000, np.int64),
            valued=np.zeros(1_000, np.bool_),
            part=np.zeros(1_000, np.int64),
            place=part,
        )
    duplicates.close()
    (gone,), _ = duplicates.settled(1)
    assert sorted(set(range(5_000)) - set(gone)) == sorted(np.unique(keys, return_index=True)[1])


def test_columns_are_found_in_one_pass_however_many_there_are() -> None:
    asked: list[str] = []

    class Counting:
        """A table that tells when its names are asked for: it makes a list of all of them."""

        def __init__(self, table: pa.Table) -> None:
            self.table = table

        def __getattr__(self, name: str) -> Any:
            asked.append(name)
            return getattr(self.table, name)

        def __len__(self) -> int:
            return len(self.table)

    cells = {"user": ["ann"], "time": [1], "event": ["visit"]}
    few = {n: pa.array(v, None if n == "time" else pa.large_string()) for n, v in cells.items()}
    for width in (3, 300):
        asked.clear()
        table = pa.table(few | {f"c{n}": pa.array(["x"], pa.large_string()) for n in range(width)})
        alignment = Alignment()
        kinds = alignment.align(Counting(table), ()).schema  # type: ignore[arg-type]
        settled(Counting(table), {n: pa.large_string() for n in kinds.names[3:]})  # type: ignore[arg-type]
        assert len(kinds) == width + 3
        assert len(asked) <= 8
