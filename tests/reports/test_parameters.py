"""The parameters cell as Python itself would read it."""

from __future__ import annotations

import ast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from papermill.translators import PythonTranslator

from analysis.core.schema import UsageError
from analysis.reports.parameters import Parameter, check_values, plain, read_parameters

text = st.text(st.characters(exclude_categories=["Cs"]))


def notebook(source: str, tags: tuple[str, ...] = ("parameters",)):
    cell = v4.new_code_cell(source, metadata={"tags": list(tags)})
    return v4.new_notebook(cells=[v4.new_markdown_cell("# hi"), cell])


def test_annotations_defaults_and_comments_are_read_as_python_reads_them():
    source = """
from typing import Optional
data: str = "../data/demo"  # the log = a folder
by: str | None = "a=b"
steps: list[str] = ["a", "b"]
window = "7d"
share = 0.5
old: Optional[int] = None
first = second = 3
report: bool = False
folder = some_function()
bare: int
"""
    found = read_parameters(notebook(source), "n")
    assert {p.name: (p.annotation, p.default) for p in found.values()} == {
        "data": ("str", "../data/demo"),
        "by": ("str | None", "a=b"),
        "steps": ("list[str]", ["a", "b"]),
        "window": ("str", "7d"),
        "share": ("float", 0.5),
        "old": ("Optional[int]", None),
        "first": ("int", 3),
        "second": ("int", 3),
        "report": ("bool", False),
        "folder": ("", None),
        "bare": ("int", None),
    }


def test_no_tag_is_an_error():
    with pytest.raises(UsageError, match="no cell with the tag 'parameters'"):
        read_parameters(notebook("x = 1", tags=()), "n")


def test_a_cell_that_is_not_python_is_an_error():
    with pytest.raises(UsageError, match="parameters cell is not Python") as caught:
        read_parameters(notebook("x = = 1"), "n")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("annotation", "fitting", "unfitting"),
    [
        ("str", ["", "7d"], [1, True, [], {}]),
        ("int", [0, -3], ["1", 1.0, True]),
        ("float", [0.5, 2], ["0.5", False]),
        ("bool", [True], [1, "true"]),
        ("str | None", ["x"], [1]),
        ("Optional[int]", [1], ["1"]),
        ("typing.Optional[int]", [1], ["1"]),
        ("Union[int, str]", [1, "1"], [1.5]),
        ("list", [[1, "a"]], ["a"]),
        ("list[str]", [[], ["a"]], [["a", 1], "a"]),
        ("tuple[str, ...]", [["a"]], [[1]]),
        ("list[str | dict]", [["a", {"event": "b"}]], [[1]]),
        ("dict[str, float]", [{"a": 1}], [{"a": "1"}, []]),
        ("Literal['a', 'b']", ["a"], ["c"]),
        ("'str | None'", ["x"], [1]),
        ("Any", [1, "a", []], []),
        ("pd.Timestamp", ["2026-01-01"], []),
        ("", [1, "a"], []),
    ],
)
def test_values_fit_their_annotations(annotation, fitting, unfitting):
    parameter = Parameter("x", annotation)
    assert [value for value in fitting if not parameter.accepts(value)] == []
    assert [value for value in unfitting if parameter.accepts(value)] == []


def test_an_unknown_name_and_a_wrong_type_are_errors():
    known = {"window": Parameter("window", "str", "7d")}
    with pytest.raises(UsageError, match="Did you mean 'window'"):
        check_values({"windwo": "7d"}, known, "weekly")
    with pytest.raises(UsageError, match="is of type int, the notebook wants str"):
        check_values({"window": 7}, known, "weekly")
    with pytest.raises(UsageError, match="its parameters cell is empty"):
        check_values({"window": 7}, {}, "weekly")


@given(
    st.recursive(
        st.booleans() | text | st.integers() | st.floats(allow_nan=False, allow_infinity=False),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
        max_leaves=6,
    )
)
def test_a_plain_value_reaches_the_notebook_as_it_is(value):
    source = PythonTranslator.codify({"x": plain(value, "x")})
    assigned = ast.parse(source).body
    assert len(assigned) == 1
    assert ast.literal_eval(assigned[0].value) == value
