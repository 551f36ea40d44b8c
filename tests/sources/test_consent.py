"""Rows without consent leave before anything of them is read, and are counted."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.consent import GRANTED, Consent, consent_of, granted_rows
from analysis.sources.batch import BadRecord, Batch
from analysis.sources.mapping import ColumnMapping
from analysis.sources.rows import canonical_rows

WORDS = ["yes", "YES", " Yes ", "no", "", None, "1", "0", "true", "denied", "granted", "yes!"]


@given(
    st.lists(st.sampled_from(WORDS)), st.sets(st.sampled_from(["yes", "DENIED", "0"]), min_size=1)
)
def test_a_cell_grants_if_it_is_one_of_the_words(cells: list, granted: set) -> None:
    want = [c is not None and c.strip().lower() in {g.lower() for g in granted} for c in cells]
    found = granted_rows(pa.array(cells, pa.large_string()), Consent("c", tuple(granted)))
    assert found.tolist() == want


def rows_of(cells: dict, *, bad=()):
    batch = pa.RecordBatch.from_pydict(cells)
    numbers = np.arange(2, batch.num_rows + 2)
    mapping = ColumnMapping(consent=Consent("consent"))
    return canonical_rows(Batch(batch, numbers, bad, list(cells), True, 0), mapping)


def columns(**cells):
    rows = len(next(iter(cells.values())))
    plain = {"user": list("abcdef")[:rows], "time": ["2026-01-01T00:00Z"] * rows}
    return {**plain, "event": ["visit"] * rows, **cells}


@pytest.mark.parametrize(
    "cells",
    [["yes", "no", None], [True, False, None], [1, 0, None], [1.0, 0.0, None], ["1", "2", ""]],
)
def test_consent_of_any_type(cells: list) -> None:
    rows = rows_of(columns(consent=cells))
    assert rows.table.column("user").to_pylist() == ["a"]
    assert rows.excluded == 2


def test_a_bad_row_without_consent_is_not_kept_anywhere() -> None:
    times = ["nonsense", "nonsense", "2026-01-01T00:00Z"]
    unreadable = BadRecord(9, "has 2 cells, the header has 4", '"secret,x"')
    rows = rows_of(columns(consent=["no", "yes", "no"]) | {"time": times}, bad=[unreadable])
    assert (rows.excluded, len(rows.table)) == (2, 0)
    assert [bad.row for bad in rows.bad] == [9, 3]
    assert "secret" not in str(rows.bad)


def test_without_the_column_nobody_has_said_yes() -> None:
    rows = rows_of(columns(user=["a", "b"]))
    assert (rows.excluded, len(rows.table), list(rows.bad)) == (2, 0, [])


def test_the_option_says_column_and_words() -> None:
    assert consent_of("a.b") == Consent("a.b", GRANTED)
    assert consent_of("ok=G1, G2") == Consent("ok", ("G1", " G2"))


@pytest.mark.parametrize("text", ["", "=yes", "ok=", "ok=yes,"])
def test_an_empty_word_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="at least one word"):
        consent_of(text)
