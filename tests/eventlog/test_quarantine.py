"""Bad records are kept as they come, and the reason that matters most is said."""

from __future__ import annotations

import pyarrow.parquet as pq
import pytest

from analysis.eventlog.maintenance import Quarantine
from analysis.sources.batch import BadRecord


def test_records_come_back_as_they_were(tmp_path):
    path = tmp_path / "q.parquet"
    bad = [BadRecord(3, "is no JSON", '"<script>\\u0000"'), BadRecord(9, "time is missing", "{}")]
    with Quarantine(path) as quarantine:
        quarantine.add("a.csv", bad[:1])
        quarantine.add("b.csv", [])
        quarantine.add("c.csv", bad)
    assert quarantine.rows == 3
    assert [tuple(row.values()) for row in pq.read_table(path).to_pylist()] == [
        ("a.csv", *bad[0]),
        ("c.csv", *bad[0]),
        ("c.csv", *bad[1]),
    ]


def test_without_bad_records_there_is_no_file(tmp_path):
    with Quarantine(tmp_path / "q.parquet") as quarantine:
        quarantine.add("a.csv", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("user is missing", "--user COLUMN"),
        ("event is missing", "--event COLUMN"),
        ("time is missing", "--time COLUMN"),
        ("time is unreadable", "ISO 8601"),
        ("time is outside 1990 to 2099", "Is the unit right"),
        ("value is no number (column 'x')", "--value COLUMN"),
        ("is no JSON", "Look at that record"),
    ],
)
def test_the_most_frequent_reason_has_an_example_and_advice(tmp_path, reason, advice):
    with Quarantine(tmp_path / "q.parquet") as quarantine:
        quarantine.add("a.csv", [BadRecord(2, "is no JSON object", "5")])
        quarantine.add("a.csv", [BadRecord(row, reason, f'{{"row":{row}}}') for row in (7, 8)])
    message = str(quarantine.nothing_left())
    assert message.startswith("not one of 3 rows can be read.")
    assert f"(2): {reason}, as in record 7 of 'a.csv': {{\"row\":7}}." in message
    assert advice in message
