"""What every answer shows: everything from the data is escaped, and nothing can be changed."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, dataclass
from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.core.result import Result, suppress, suppress_parts, with_another

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


def test_few_people_are_hidden_and_nobody_is_not() -> None:
    table = pd.DataFrame({"n": [0, 3, 5], "k": [0, 2, 4], "name": list("abc")})
    shown, hidden = suppress(table, min_cell=5, counts=["n"], columns=["n", "k"])
    assert hidden.tolist() == [False, True, False]
    assert shown["n"].isna().tolist() == [False, True, False]
    assert shown["name"].tolist() == list("abc")
    assert table["k"].tolist() == [0, 2, 4]
    none, _ = suppress(table, min_cell=1, counts=["n"], columns=["n"])
    assert none is table


def test_what_a_sum_would_tell_is_hidden_too() -> None:
    size = np.array([3, 0, 9, 7])
    assert with_another(size == 3, size).tolist() == [True, False, False, True]
    assert with_another(size < 8, size).tolist() == (size < 8).tolist()
    assert not with_another(size > 99, size).any()


def test_no_group_of_few_people_can_be_told_from_the_others() -> None:
    groups = pd.DataFrame({"k": [50, 20, 3], "n": 73, "mean": [1.0, 2.0, 3.0]})
    asked: dict[str, Any] = {"size": "k", "total": "n", "columns": ["k", "mean"]}
    shown, hidden = suppress_parts(groups, min_cell=5, **asked)
    assert hidden.tolist() == [False, True, True]
    assert shown["k"].tolist()[0] == 50
    assert shown.loc[1:, ["k", "mean"]].isna().all(axis=None)
    assert shown["n"].tolist() == [73, 73, 73]
    assert groups["k"].tolist() == [50, 20, 3]  # what was given stays as it is
    everybody, _ = suppress_parts(groups, min_cell=74, **asked)
    assert everybody[["k", "n", "mean"]].isna().all(axis=None)
    same, none = suppress_parts(groups, min_cell=3, **asked)
    assert same is groups
    assert not none.any()
