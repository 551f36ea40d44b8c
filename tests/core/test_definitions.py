"""The reader of definitions: what it reads, and every kind of mistake in words."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import pytest

from analysis.core.checks import Duration, Table, Text, definition
from analysis.core.schema import UsageError


@dataclass(frozen=True)
class Stop(Table):
    name: Text
    wait: Duration = "1min"
    shelter: bool = False


@dataclass(frozen=True)
class Line(Table):
    """A line of buses."""

    number: int
    kind: Literal["bus", "tram"] = field(metadata={"missing": "Say kind = 'bus' or 'tram'."})
    stops: tuple[Stop, ...] = ()
    fares: Mapping[str, float] = field(default_factory=dict)
    night: Stop | None = None

    def __post_init__(self) -> None:
        if self.kind == "tram" and self.number > 99:
            raise UsageError(f"number={self.number} is not a tram's. Allowed: 1 to 99.")


GOOD: dict[str, Any] = {"number": 7, "kind": "bus"}


def test_tables_within_tables_are_read() -> None:
    given = {**GOOD, "stops": [{"name": "Zoo"}, {"name": "Port", "wait": "2min"}]}
    line = definition(Line, {**given, "fares": {"child": 1}, "night": {"name": "Zoo"}}, "x")
    assert line == Line(7, "bus", (Stop("Zoo"), Stop("Port", "2min")), {"child": 1.0}, Stop("Zoo"))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (3, "7.toml=3 must be a table, with a line per key = value."),
        ({"number": 7}, "7.toml: kind is missing. Say kind = 'bus' or 'tram'."),
        ({"kind": "bus"}, "7.toml: number is missing. Add a line: number = …"),
        (
            {**GOOD, "kind": "train"},
            "7.toml: kind='train' is unknown. Did you mean 'tram'? Allowed: 'bus', 'tram'.",
        ),
        ({**GOOD, "number": "seven"}, "7.toml: number='seven' is not allowed: "),
        ({**GOOD, "number": [7]}, "7.toml: number=[7] must be a whole number."),
        ({**GOOD, "kind": "tram", "number": 100}, "number=100 is not a tram's. Allowed: 1 to 99."),
        ({**GOOD, "stops": 3}, "7.toml: stops=3 must be a list, such as [1, 2]."),
        ({**GOOD, "stops": {"name": "Zoo"}}, "7.toml: stops must be written with two brackets: [["),
        ({**GOOD, "stops": ["Zoo"]}, "7.toml: stops[0]='Zoo' must be a table, with a line per"),
        ({**GOOD, "stops": [{"name": " "}]}, "7.toml: stops[0].name=' ' must be text in quotes"),
        (
            {**GOOD, "stops": [{"name": "Zoo"}, {"nme": "Port"}]},
            "7.toml: stops[1]: the key 'nme' is unknown. Did you mean 'name'? Allowed: name, wait",
        ),
        ({**GOOD, "night": {"name": "Zoo", "wait": "5"}}, "7.toml: night.wait='5' has no unit."),
        ({**GOOD, "night": {"name": "Zoo", "shelter": 5.5}}, "night.shelter=5.5 must be true or"),
        ({**GOOD, "night": {}}, "7.toml: night.name is missing. Add a line: name = …"),
        ({**GOOD, "fares": [1]}, "7.toml: fares=[1] must be a table, with a line per key = value."),
        ({**GOOD, "fares": {"child": []}}, "7.toml: fares.child=[] must be a number."),
    ],
)
def test_a_mistake_is_one_line_that_says_where(given: Any, said: str) -> None:
    with pytest.raises(UsageError) as caught:
        definition(Line, given, "7.toml")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_the_package_is_imported_without_pydantic() -> None:
    code = "import sys, analysis; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
