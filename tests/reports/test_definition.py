"""Definitions: what is written is what is read, and nothing else gets in."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from nbformat import v4
from papermill.translators import PythonTranslator

from analysis.core.schema import DataError, UsageError
from analysis.reports.definition import (
    RESERVED,
    Definition,
    Parameter,
    check_name,
    check_values,
    definition_names,
    load_definition,
    plain,
    read_parameters,
    save_definition,
)

PARTS: dict[str, Any] = {
    "notebook": "90_weekly_report",
    "title": "Weekly",
    "data": "data/demo",
    "period": "week",
}


ROOT = Path(__file__).parents[2]


text = st.text(st.characters(exclude_categories=["Cs"]))


values = st.recursive(
    st.booleans()
    | text
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)


def written(folder: Path, content: str) -> Path:
    path = folder / "weekly.toml"
    path.write_text(content, encoding="utf-8")
    return path


def toml(**changes: str | None) -> str:
    parts = {**{key: f'"{value}"' for key, value in PARTS.items()}, **changes}
    return "\n".join(f"{key} = {value}" for key, value in parts.items() if value is not None)


def test_the_committed_weekly_report_is_sound() -> None:
    weekly = load_definition(ROOT / "reports" / "definitions" / "weekly.toml")
    assert weekly.notebook == "90_weekly_report"
    assert (weekly.period, weekly.data, weekly.time_zone) == ("week", "data/demo", "UTC")
    assert weekly.parameters == {"funnel": "checkout", "window": "7d", "by": "device"}


@given(parameters=st.dictionaries(text, values, max_size=4))
def test_what_is_saved_is_what_is_loaded(
    tmp_path_factory: pytest.TempPathFactory, parameters: Any
) -> None:
    parameters = {key: value for key, value in parameters.items() if key not in RESERVED}
    folder = tmp_path_factory.mktemp("definitions")
    path = save_definition(folder, Definition("a", **PARTS, parameters=parameters))
    # The standard library's reader judges what tomlkit wrote.
    assert tomllib.loads(path.read_text(encoding="utf-8"))["parameters"] == parameters
    assert load_definition(path) == Definition("a", **PARTS, parameters=parameters)


def test_tuples_and_numpy_numbers_are_saved_as_lists_and_numbers(tmp_path: Path) -> None:
    parameters = {"steps": ("a", "b"), "n": np.int64(3), "r": np.float32(0.5), "q": np.arange(2)}
    path = save_definition(tmp_path, Definition("a", **PARTS, parameters=parameters))
    assert load_definition(path).parameters == {"steps": ["a", "b"], "n": 3, "r": 0.5, "q": [0, 1]}


@pytest.mark.parametrize("value", [None, {1, 2}, np.datetime64("2026-01-01"), object(), {1: 2}])
def test_what_has_no_form_in_toml_is_refused_and_nothing_written(
    tmp_path: Path, value: Any
) -> None:
    with pytest.raises(UsageError, match="Allowed: text, numbers"):
        save_definition(tmp_path, Definition("a", **PARTS, parameters={"x": value}))
    assert not list(tmp_path.iterdir())


def test_a_definition_is_not_overwritten_unless_told_to(tmp_path: Path) -> None:
    path = save_definition(tmp_path, Definition("a", **PARTS))
    before = path.read_text()
    other = Definition("a", **{**PARTS, "title": "Other"})
    with pytest.raises(UsageError, match="'a' is taken"):
        save_definition(tmp_path, other)
    assert path.read_text() == before
    save_definition(tmp_path, other, overwrite=True)
    assert load_definition(path).title == "Other"
    assert definition_names(tmp_path) == ["a"]


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../evil",
        "a/b",
        "a.b",
        ".hidden",
        "Weekly",
        "-x",
        "a" * 65,
        "definitions",
        "a\n",
        "ü",
        3,
    ],
)
def test_names_stay_in_their_folder(tmp_path: Path, name: Any) -> None:
    with pytest.raises(UsageError, match="is not a name of a report"):
        save_definition(tmp_path, Definition(name, **PARTS))
    assert not list(tmp_path.iterdir())


def test_a_wrong_name_is_told_a_right_one() -> None:
    with pytest.raises(UsageError, match="Did you mean 'weekly-report'"):
        check_name("Weekly Report!")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (toml(notebok='"x"'), "the key 'notebok' is unknown. Did you mean 'notebook'?"),
        (toml(title=None), "title is missing"),
        (toml(period='"weekly"'), "Did you mean 'week'?"),
        (toml(time_zone='"Europe/Berlim"'), "Did you mean 'Europe/Berlin'?"),
        (toml(time_zone='"../UTC"'), "time_zone='../UTC' is unknown"),
        (toml(notebook='"../other"'), "is not a name of a notebook"),
        (toml(notebook='"90_weekly_report.ipynb"'), "without .ipynb"),
        (toml(title='"a\\nb"'), "must be text in one line"),
        (toml(title="3"), "must be text in one line"),
        (toml(data='" "'), "must be text in one line"),
        (toml(parameters="3"), "must be a table"),
        (toml() + "\n[parameters]\nday = 2026-01-01", "is of type date"),
        (toml() + '\n[parameters]\nperiod_start = "2026-01-01"', "is set by the run itself"),
    ],
)
def test_what_is_wrong_with_a_definition_is_said_in_one_line(
    tmp_path: Path, content: Any, message: str
) -> None:
    with pytest.raises(UsageError) as caught:
        load_definition(written(tmp_path, content))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_unreadable_definition_is_said_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="is not TOML"):
        load_definition(written(tmp_path, "notebook = "))
    with pytest.raises(DataError, match="cannot be read"):
        load_definition(tmp_path / "missing.toml")
    (tmp_path / "latin.toml").write_bytes(b'title = "\xff"')
    with pytest.raises(DataError, match="is not TOML"):
        load_definition(tmp_path / "latin.toml")


# ── The parameters cell as Python itself would read it.


def notebook(source: str, tags: tuple[str, ...] = ("parameters",)) -> Any:
    cell = v4.new_code_cell(source, metadata={"tags": list(tags)})
    return v4.new_notebook(cells=[v4.new_markdown_cell("# hi"), cell])


def test_annotations_defaults_and_comments_are_read_as_python_reads_them() -> None:
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


def test_no_tag_is_an_error() -> None:
    with pytest.raises(UsageError, match="no cell with the tag 'parameters'"):
        read_parameters(notebook("x = 1", tags=()), "n")


def test_a_cell_that_is_not_python_is_an_error() -> None:
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
def test_values_fit_their_annotations(annotation: str, fitting: Any, unfitting: Any) -> None:
    parameter = Parameter("x", annotation)
    assert [value for value in fitting if not parameter.accepts(value)] == []
    assert [value for value in unfitting if parameter.accepts(value)] == []


def test_an_unknown_name_and_a_wrong_type_are_errors() -> None:
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
def test_a_plain_value_reaches_the_notebook_as_it_is(value: Any) -> None:
    source = PythonTranslator.codify({"x": plain(value, "x")})
    assigned = ast.parse(source).body
    assert len(assigned) == 1
    assert ast.literal_eval(assigned[0].value) == value
