"""What is split comes back: every row, in its part, in the order of its arrival."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog import vocabulary
from analysis.eventlog.spill import Spill
from analysis.sources.cells import TEXT

BATCHES = st.lists(
    st.tuples(st.booleans(), st.lists(st.integers(0, 4), min_size=1, max_size=6)), max_size=6
)


@given(BATCHES)
def test_rows_come_back_in_order(tmp_path_factory, batches):
    number, wanted = 0, {part: [] for part in range(5)}
    with Spill(tmp_path_factory.mktemp("spill") / "rows", 5) as spill:
        for more, parts in batches:
            rows = list(range(number, number + len(parts)))
            number += len(parts)
            cells = {"n": rows, "text": [f"row {row}" for row in rows]}
            table = pa.table(cells | ({"extra": rows} if more else {}))
            places = spill.places(np.array(parts))
            spill.add(table, np.array(parts))
            for row, part, place in zip(rows, parts, places, strict=True):
                assert place == len(wanted[part])
                wanted[part].append((row, row if more else None))
    assert spill.rows.tolist() == [len(rows) for rows in wanted.values()]
    for part, rows in wanted.items():
        found = [row for table in spill.read(part) for row in table.to_pylist()]
        assert [(row["n"], row.get("extra")) for row in found] == rows
        assert all(row["text"] == f"row {row['n']}" for row in found)


def test_many_rows_keep_their_order(tmp_path):
    part = np.random.default_rng(1).integers(0, 5, 20_000)
    with Spill(tmp_path / "rows", 5) as spill:
        spill.add(pa.table({"n": range(20_000)}), part)
    for number in range(5):
        (table,) = spill.read(number)
        assert (table.column("n").to_numpy() == np.flatnonzero(part == number)).all()


def test_text_that_is_nearly_never_the_same_comes_back(tmp_path, monkeypatch):
    monkeypatch.setattr(vocabulary, "MOST", 3)
    batches = [["a", "b", "c", "d"], ["a", None, "a", "z", "ä"], [None], ["b", "b"]]
    with Spill(tmp_path / "rows", 2) as spill:
        for cells in batches:
            # Other columns of text whose places take turns in the same file.
            table = pa.table({name: pa.array(cells, TEXT) for name in ("id", "url")})
            spill.add(table, np.arange(len(cells)) % 2)
    for part in range(2):
        tables = list(spill.read(part))
        for name in ("id", "url"):
            found = [cell for table in tables for cell in table.column(name).to_pylist()]
            assert found == [cell for cells in batches for cell in cells[part::2]]


def test_a_part_is_gone_once_it_is_read(tmp_path):
    with Spill(tmp_path / "rows", 2) as spill:
        spill.add(pa.table({"n": [1.5, 2.5, None]}), np.array([0, 1, 1]))
    assert [table.column("n").to_pylist() for table in spill.read(0)] == [[1.5]]
    assert [path.name for path in (tmp_path / "rows").iterdir()] == ["0-1.rows"]
    (table,) = spill.read(1)
    assert np.isnan(table.column("n").to_numpy()).tolist() == [False, True]
    assert not list((tmp_path / "rows").iterdir())
