"""What a notebook hands over: plain, rounded, once."""

from __future__ import annotations

import json
import math
import sys
from decimal import Context, Decimal

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.reports.numbers import MIME_TYPE, ReportError, collect, emit, number


@pytest.fixture
def shown(monkeypatch):
    bundles = []
    monkeypatch.setattr("IPython.display.display", lambda data, **how: bundles.append((data, how)))
    return bundles


class Log:
    fingerprint = "ab" * 16


def test_numbers_travel_as_one_bundle_that_no_browser_shows(shown):
    emit(headline="Up.", numbers={"rate": {"value": 0.5, "n": 4}}, warnings=["few"], log=Log())
    ((data, how),) = shown
    assert list(data) == [MIME_TYPE]
    assert how == {"raw": True}
    assert data[MIME_TYPE] == {
        "headline": "Up.",
        "numbers": {"rate": {"value": 0.5, "n": 4}},
        "warnings": ["few"],
        "gate": "pass",
        "log": Log.fingerprint,
    }
    output = {"output_type": "display_data", "data": data, "metadata": {}}
    notebook = {"cells": [{"cell_type": "code", "outputs": [output]}]}
    assert collect(notebook, "n") == data[MIME_TYPE]


@given(st.floats())
@example(sys.float_info.max)
@example(-0.0)
def test_floats_keep_ten_significant_digits_and_undefined_is_null(value):
    rounded = number(value, "x")["value"]
    if not math.isfinite(value):
        assert rounded is None
    else:
        judge = float(Context(prec=10).plus(Decimal(value)))
        assert rounded == (judge if math.isfinite(judge) else value)
        assert not (rounded == 0 and math.copysign(1, rounded) < 0)
    json.dumps(rounded, allow_nan=False)


@pytest.mark.parametrize("value", [None, np.nan, pd.NA, pd.NaT, np.float64("inf"), -math.inf])
def test_undefined_is_null(value):
    assert number(value, "x") == {"value": None}


def test_numpy_and_pandas_numbers_become_plain():
    row = pd.Series({"value": 1 / 3, "n": 7.0})
    cells = number({"value": row["value"], "n": np.int32(7), "ok": np.bool_(True)}, "x")
    assert cells == {"value": 0.3333333333, "n": 7, "ok": True}
    assert [type(cell) for cell in cells.values()] == [float, int, bool]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"headline": "", "numbers": {}}, "headline = '' must be text"),
        ({"headline": "x", "numbers": {"a": {"n": 3}}}, "has no 'value', only 'n'"),
        ({"headline": "x", "numbers": {"a": [1]}}, "is of type list"),
        ({"headline": "x", "numbers": {"a": pd.Timestamp("2026")}}, "is of type Timestamp"),
        ({"headline": "x", "numbers": {}, "gate": "fial"}, "Did you mean 'fail'"),
        ({"headline": "x", "numbers": {}, "warnings": [3]}, "warnings = 3 must be text"),
    ],
)
def test_what_cannot_be_reported_is_refused(shown, arguments, message):
    with pytest.raises(UsageError, match=message):
        emit(**arguments)
    assert not shown


def test_text_that_no_file_can_hold_is_mended(shown):
    emit(headline="broken \ud800", numbers={})
    shown[0][0][MIME_TYPE]["headline"].encode("utf-8")


def test_nothing_emitted_or_twice_is_an_error():
    output = {"output_type": "display_data", "data": {MIME_TYPE: {}}, "metadata": {}}
    with pytest.raises(ReportError, match="emitted no numbers"):
        collect({"cells": [{"cell_type": "markdown"}]}, "n")
    with pytest.raises(ReportError, match="emitted numbers 2 times"):
        collect({"cells": [{"outputs": [output]}, {"outputs": [output]}]}, "n")
