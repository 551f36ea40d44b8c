"""What every answer shows: everything from the data is escaped, and nothing can be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass

import pandas as pd
import pytest

from analysis.core.result import Result

EVIL = '<script>alert("1")</script>'


@dataclass(frozen=True, eq=False, kw_only=True)
class Said(Result):
    def sentence(self) -> str:
        return f"{EVIL} & more"


def test_names_and_values_from_the_data_are_escaped() -> None:
    table = pd.DataFrame({EVIL: [EVIL], "group": ["a & b"]})
    shown = Said(table=table, warnings=(EVIL,))._repr_html_()
    assert "<script" not in shown
    assert shown.count("&lt;script&gt;") == 4
    assert "a &amp; b" in shown
    assert shown.index("more") < shown.index("<strong>Note:") < shown.index("<table")


def test_an_answer_is_frozen() -> None:
    answer = Said(table=pd.DataFrame())
    with pytest.raises(FrozenInstanceError):
        answer.warnings = ("x",)  # type: ignore[misc]
    assert answer.warnings == ()
    assert answer.parameters == {}


def test_an_answer_without_words_says_so() -> None:
    answer = Result(table=pd.DataFrame())
    with pytest.raises(TypeError, match="Result must say its answer in words"):
        answer.sentence()
    with pytest.raises(TypeError, match="Result must draw its answer"):
        answer.figure()
