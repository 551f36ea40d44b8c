"""Conditions as a line of text: what is spelled is read back, type by type."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.widgets.step_editor import conditions, spelled

VALUES = st.one_of(st.text(), st.booleans(), st.integers(-(10**9), 10**9), st.floats(-1e9, 1e9))


@given(st.dictionaries(st.text(min_size=1), st.one_of(VALUES, st.lists(VALUES)), min_size=1))
def test_what_is_spelled_is_read_back(where: dict[str, object]) -> None:
    assert conditions(spelled(where)) == where


@pytest.mark.parametrize("text", ["", "   "])
def test_nothing_is_no_condition(text: str) -> None:
    assert conditions(text) is None
    assert spelled(None) == spelled({}) == ""


@pytest.mark.parametrize(
    "text", ["device = mobile", "device", "a = 1}\nb = {c = 2", "= 1", "a = 1, a = 2"]
)
def test_what_is_no_condition_is_said_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match=r"cannot be read.*such as device"):
        conditions(text)
