"""What is split comes back: every row, in its part, in the order of its arrival."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog.spill import Spill

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
