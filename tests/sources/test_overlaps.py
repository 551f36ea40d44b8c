"""The same export once more with a column more or less: every event is there once."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

ORDERS = pd.DataFrame(
    {
        "user": [f"u{n}" for n in range(20)],
        "time": "2026-01-05T10:00Z",
        "event": ["purchase"] * 10 + ["visit"] * 10,
        "value": [9.5] * 10 + [None] * 10,
    }
)
WIDER = ORDERS.assign(coupon="SUMMER")
DAY_2 = WIDER.assign(time="2026-01-06T10:00Z")


def bring_in(folder: Path, *frames: pd.DataFrame, one_by_one: bool, **options: Any) -> EventLog:
    paths = []
    for number, frame in enumerate(frames):
        paths.append(folder / f"{number}.csv")
        frame.to_csv(paths[-1], index=False)
    calls = [[path] for path in paths] if one_by_one else [paths]
    for call in calls:
        mapping = ColumnMapping(**options)
        counts = import_files(call, mapping, folder / "log", append=one_by_one, shards=None)
        assert counts.rows_in == sum(counts[1:])
    return EventLog.open(folder / "log")


WAYS = pytest.mark.parametrize("one_by_one", [True, False])


@WAYS
@pytest.mark.parametrize("frames", [(ORDERS, WIDER), (WIDER, ORDERS), (ORDERS, WIDER, ORDERS)])
def test_a_column_more_or_less_doubles_no_order(
    tmp_path: Path, frames: Any, one_by_one: bool
) -> None:
    log = bring_in(tmp_path, *frames, one_by_one=one_by_one)
    table = log.summary().set_index("event")
    assert table.events.to_dict() == {"purchase": 10, "visit": 10}
    assert table.value["purchase"] == 95.0
    # The row that says more stays.
    assert log.to_frame().coupon.eq("SUMMER").all()
    reasons = set(log.losses().reason) - {"the same row as before"}
    assert reasons == {"the same row with fewer columns"}


@WAYS
def test_a_log_of_both_kinds_of_files_knows_which_rows_lacked_the_column(
    tmp_path: Path, one_by_one: bool
) -> None:
    log = bring_in(tmp_path, ORDERS, DAY_2, WIDER, one_by_one=one_by_one)
    assert log.summary().events.tolist() == [20, 20]
    assert log.to_frame().coupon.eq("SUMMER").all()


@WAYS
def test_a_column_that_was_renamed_is_refused(tmp_path: Path, one_by_one: bool) -> None:
    other = ORDERS.assign(code="A")
    with pytest.raises(
        DataError, match=r"20 of 20 rows of '1.csv' .* in 'coupon', those in 'code'"
    ):
        bring_in(tmp_path, WIDER, other, one_by_one=one_by_one)
    assert (tmp_path / "log").exists() == one_by_one


@WAYS
def test_files_of_other_columns_and_other_events_are_added(
    tmp_path: Path, one_by_one: bool
) -> None:
    other = ORDERS.assign(event="click", code="A")
    log = bring_in(tmp_path, WIDER, other, one_by_one=one_by_one)
    assert log.events == 40


def test_the_event_s_id_may_be_the_column_that_is_new(tmp_path: Path) -> None:
    named = ORDERS.assign(hit=[f"h{n}" for n in range(20)])
    (tmp_path / "in").mkdir()
    ORDERS.to_json(tmp_path / "in" / "a.jsonl", orient="records", lines=True)
    named.to_json(tmp_path / "in" / "b.jsonl", orient="records", lines=True)
    mapping = ColumnMapping(event_id="hit")
    counts = import_files([tmp_path / "in"], mapping, tmp_path / "log")
    assert counts == (40, 20, 20, 0, 0)
    assert EventLog.open(tmp_path / "log").to_frame().event_id.notna().all()


FILES = st.lists(
    st.tuples(
        st.sampled_from([(), ("a",), ("a", "b")]),
        st.lists(
            st.tuples(st.sampled_from("xy"), st.sampled_from("pq"), st.sampled_from("mn")),
            min_size=1,
            max_size=6,
        ),
    ),
    min_size=1,
    max_size=3,
)


Row = tuple[tuple[str, str], ...]


def by_hand(files: Any) -> list[Row]:
    """Match the rows of each file one to one with those before, by plain loops."""
    kept: list[dict[str, str]] = []
    for columns, rows in files:
        new = [dict(zip(("user", *columns), row, strict=False)) for row in rows]
        left = list(range(len(kept)))
        richest = sorted(range(len(new)), key=lambda n: -len(new[n]))
        for fits in (
            lambda mine, other: mine == other,
            lambda mine, other: mine.items() < other.items(),
            lambda mine, other: other.items() < mine.items(),
        ):
            for n in list(richest):
                partner = next((k for k in left if fits(new[n], kept[k])), None)
                if partner is not None:
                    left.remove(partner)
                    richest.remove(n)
                    if len(new[n]) > len(kept[partner]):
                        kept[partner] = new[n]
        kept += [new[n] for n in richest]
    return sorted(tuple(sorted(row.items())) for row in kept)


@settings(max_examples=60, deadline=None)
@given(FILES, st.booleans())
def test_rows_are_matched_one_to_one(
    tmp_path_factory: pytest.TempPathFactory, files: Any, one_by_one: bool
) -> None:
    folder = tmp_path_factory.mktemp("in")
    frames = [
        pd.DataFrame(
            {
                "user": [row[0] for row in rows],
                "time": "2026-01-05T10:00Z",
                "event": "x",
                **{name: [row[1 + "ab".index(name)] for row in rows] for name in columns},
            }
        )
        for columns, rows in files
    ]
    rows = bring_in(folder, *frames, one_by_one=one_by_one).to_frame()
    names = [name for name in ("a", "b", "user") if name in rows]
    found = rows[names].astype(object).where(lambda cells: cells.notna(), None).to_dict("records")
    told = sorted(tuple((k, v) for k, v in row.items() if v is not None) for row in found)
    assert told == by_hand(files)
