"""Decimal commas: what a cell says, what others say for it, and what only a person can say."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.cli import run
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.sources.decimals import Decimals
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping, mapping_of


def read(*batches: list[Any], sign: str | None = None) -> list[Any]:
    reader = Decimals(sign)
    parts = [reader.read(pa.array(cells, pa.large_string()), "value") for cells in batches]
    return [None if math.isnan(number) else number for part in parts for number in part.tolist()]


@pytest.mark.parametrize(
    ("cells", "wanted"),
    [
        (["19,99", "20", None], [19.99, 20.0, None]),
        (["0,125", "-1,5", "+,5"], [0.125, -1.5, 0.5]),
        (["1,234", "19,99"], [1.234, 19.99]),
        (["1,234", "19.99"], [1234.0, 19.99]),
        (["1,234", "1,234,567.5"], [1234.0, 1234567.5]),
        (["1.234,56", "1.234", "1.234.567"], [1234.56, 1234.0, 1234567.0]),
        (["1.234", "2.5"], [1.234, 2.5]),
        (["1.234"], [1.234]),
        (["1,234,567"], [1234567.0]),
        (["19,99", "19.99"], [19.99, 19.99]),
        (["1234,567"], [1234.567]),
        ([" 19,99 ", "x", "1,2,3", "12,34.5"], [19.99, None, None, None]),
    ],
)
def test_the_cells_say_it(cells: Any, wanted: Any) -> None:
    assert read(cells) == wanted


@pytest.mark.parametrize(
    "batches",
    [
        [["1,234"]],
        [["5", "1,234"]],
        [["1,234", "19,99", "19.99"]],
        [["1.234"], ["19,99"]],
        [["19.99"], ["1.234"], ["19,99"]],
        [["1,234", "19,99"], ["19.99"]],
        [["1.234", "19,99", "19.99"]],
    ],
)
def test_what_can_be_two_numbers_is_a_question(batches: Any) -> None:
    with pytest.raises(UsageError, match=r"can mean .* Say --decimal \. for the first"):
        read(*batches)


def test_a_declared_sign_holds_for_every_cell() -> None:
    cells = ["19,99", "19.99", "1.234", "1,234", "5", "1e3"]
    assert read(cells, sign=",") == [19.99, None, 1234.0, 1.234, 5.0, 1000.0]
    assert read(cells, sign=".") == [None, 19.99, 1.234, 1234.0, 5.0, 1000.0]


NUMBERS = st.lists(st.integers(0, 10**7).map(lambda n: n / 100), min_size=1, max_size=20)


def written(number: float, sign: str, *, grouped: bool) -> str:
    text = f"{number:,.2f}" if grouped else f"{number:.2f}"
    return text if sign == "." else text.translate(str.maketrans(",.", ".,"))


@given(NUMBERS, st.sampled_from(",."), st.booleans())
def test_what_tools_write_is_read(numbers: list[float], sign: str, grouped: bool) -> None:
    texts = [written(number, sign, grouped=grouped) for number in numbers]
    assert read(texts) == numbers
    assert read(texts, sign=sign) == numbers


@given(NUMBERS, st.sampled_from(",."), st.integers(0, 20))
def test_batches_do_not_matter(numbers: list[float], sign: str, cut: int) -> None:
    texts = [written(number, sign, grouped=True) for number in numbers]
    assert read(texts[:cut], texts[cut:]) == read(texts)


# ── in an import


def shop(tmp_path: Path, cell: str, other: str) -> Path:
    """224 purchases, of which four of five have `cell` as their value."""
    cells = [cell if n % 5 else other for n in range(224)]
    lines = [f"u{n};2026-01-{n % 28 + 1:02d}T09:30Z;purchase;{c}" for n, c in enumerate(cells)]
    lines += [f"v{n};2026-01-02T00:00Z;visit;" for n in range(1194)]
    path = tmp_path / "a.csv"
    path.write_text("user;time;event;value\n" + "\n".join(lines) + "\n")
    return path


def test_purchases_with_decimal_commas_are_all_there(tmp_path: Path) -> None:
    said: list[str] = []
    path = shop(tmp_path, "19,99", "20")
    counts = import_files([path], ColumnMapping(), tmp_path / "log", say=said.append)
    assert counts == (1418, 1418, 0, 0, 0)
    table = EventLog.open(tmp_path / "log").summary().set_index("event")
    assert table.users["purchase"] == 224
    assert table.value["purchase"] == pytest.approx(179 * 19.99 + 45 * 20)
    assert said == [
        "Column 'value' has decimal commas: '19,99' is read as 19.99. To settle it, say --decimal ,"
    ]


def test_one_doubtful_kind_of_number_is_a_question(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, to = str(shop(tmp_path, "1,234", "20")), str(tmp_path / "log")
    assert run(["import", path, "--to", to]) == 2
    assert "'1,234' in column 'value' can mean 1234 or 1.234" in capsys.readouterr().err
    assert not (tmp_path / "log").exists()
    assert run(["import", path, "--to", to, "--decimal", ","]) == 0
    assert EventLog.open(to).summary().value.max() == pytest.approx(179 * 1.234 + 900)


def test_properties_are_numbers_with_the_same_sign(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    rows = ["a;2026-01-01;x;1,5;9,99;1,2", "b;2026-01-01;x;2,5;12,50;n/a", "c;2026-01-01;x;;10;3"]
    path.write_text("user;time;event;value;price;pair\n" + "\n".join(rows) + "\n")
    mapping = mapping_of({"time": {"zone": "UTC"}})
    import_files([path], mapping, tmp_path / "log")
    log = EventLog.open(tmp_path / "log")
    assert log.kinds == {"session": "text", "value": "number", "price": "number", "pair": "text"}
    assert log.to_frame().price.tolist() == [9.99, 12.5, 10.0]
    # A later file in which a price is none: the texts are those of the files again.
    more = tmp_path / "b.csv"
    more.write_text("user;time;event;value;price;pair\nd;2026-01-01;x;1,5;gratis;\n")
    import_files([more], mapping, tmp_path / "log", append=True)
    assert EventLog.open(tmp_path / "log").to_frame().price.tolist() == [
        *("9,99", "12,50", "10"),
        "gratis",
    ]


def test_an_append_reads_numbers_as_the_log_was(tmp_path: Path) -> None:
    import_files([shop(tmp_path, "19,99", "20")], ColumnMapping(), tmp_path / "log")
    more = tmp_path / "b.csv"
    more.write_text('user,time,event,value\nz,2026-02-01T00:00Z,purchase,"1.234"\n')
    import_files([more], ColumnMapping(), tmp_path / "log", append=True)
    rows = EventLog.open(tmp_path / "log").to_frame()
    assert rows[rows.user == "z"].value.tolist() == [1234.0]
    with pytest.raises(UsageError, match=r"have the decimal sign ',', not '\.'"):
        import_files([more], ColumnMapping(decimal="."), tmp_path / "log", append=True)


def test_the_sign_of_a_mapping(tmp_path: Path) -> None:
    assert mapping_of({"numbers": {"decimal": ","}}).decimal == ","
    with pytest.raises(UsageError, match="decimal=';' is unknown"):
        ColumnMapping(decimal=";")
    assert np.isnan(Decimals(",").read(pa.array(["19.99"], pa.large_string()), "value")[0])
