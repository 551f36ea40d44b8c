"""tests/ mirrors src/analysis/, so that a module's tests are found from its name and back."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

TESTS = Path(__file__).parents[1]
SRC = TESTS.parent / "src" / "analysis"

# Tests of no single module: whole questions against a judge, notebooks, the project itself.
ELSEWHERE = ("benchmarks", "browser", "notebooks", "oracles", "project", "recovery", "support")
WHOLE = {
    "catalog/test_catalog.py",
    "cli/test_cli.py",
    "core/test_definitions.py",
    "funnels/test_against_oracle.py",
    "funnels/test_invariances.py",
    "funnels/test_real_sample.py",
    "journeys/test_journeys.py",
    "reports/test_weekly.py",
    "sources/test_attacks.py",
    "sources/test_crash.py",
    "sources/test_presets.py",
}
# Modules whose tests stand with the question that uses them. Who next works on one gives it a file
# of its own and takes it from this list.
WITH_THEIR_QUESTION = {
    "catalog.py",
    "cli/commands.py",
    "correlation/figures_checks.py",
    "correlation/plan.py",
    "engagement/figures.py",
    "engagement/scores.py",
    "engagement/table.py",
    "forms/figures.py",
    "funnels/search/blocks.py",
    "funnels/search/greedy.py",
    "gate.py",
    "journeys/distance.py",
    "journeys/flows.py",
    "journeys/order.py",
    "journeys/routes.py",
    "journeys/sequences.py",
    "plotting/trend.py",
    "quality/row_checks.py",
    "quality/scan.py",
    "quality/time_checks.py",
    "reports/magics.py",
    "segments/evaluate.py",
    "segments/rules.py",
    "timing/sentences.py",
    "timing/tables.py",
    "timing/waits.py",
    "widgets/controls.py",
    "widgets/groups.py",
}


def modules() -> set[str]:
    found = {path.relative_to(SRC).as_posix() for path in SRC.rglob("*.py")}
    return {name for name in found if not name.endswith("__init__.py")}


def files_of_tests() -> set[str]:
    found = {path.relative_to(TESTS).as_posix() for path in TESTS.rglob("test_*.py")}
    return {name for name in found if name.split("/")[0] not in ELSEWHERE}


def of_module(name: str) -> str:
    folder, _, file = name.rpartition("/")
    return f"{folder}/test_{file}" if folder else f"test_{file}"


def test_every_module_has_its_tests() -> None:
    without = {name for name in modules() if of_module(name) not in files_of_tests()}
    assert without == WITH_THEIR_QUESTION


def test_every_test_file_has_its_module() -> None:
    mirrored = {of_module(name) for name in modules()}
    assert files_of_tests() - mirrored == WHOLE


def test_there_are_no_loose_tests() -> None:
    assert [path.name for path in TESTS.glob("*.py")] == ["conftest.py"]


def test_the_architecture_lists_every_file_as_it_is_now() -> None:
    spec = importlib.util.spec_from_file_location("files", TESTS.parent / "docs" / "files.py")
    assert spec is not None
    assert spec.loader is not None
    files = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(files)
    text = files.ARCHITECTURE.read_text("utf-8")
    assert files.with_list(text) == text, "run: python docs/files.py"
    modules_listed = set(re.findall(r"^- `(\w+\.py)`", text, re.MULTILINE))
    assert {name.rpartition("/")[2] for name in modules()} - modules_listed == {
        "catalog.py",
        "gate.py",
    }
