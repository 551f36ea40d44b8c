"""What the README says works."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

import analysis as wb
from analysis.cli import app
from analysis.simulation.log import simulate

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.S)


def test_the_lines_of_code_run_and_are_twelve(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (code,) = blocks("python")
    assert len(code.splitlines()) <= 12
    monkeypatch.chdir(ROOT)
    exec(compile(code, "README.md", "exec"), {})  # noqa: S102 - the README is ours
    printed = capsys.readouterr().out
    assert "95 % interval" in printed
    assert "mobile" in printed


def test_the_lines_about_groups_run() -> None:
    (code,) = (block for block in blocks("py") if "compare_segments" in block)
    log = simulate(users=3_000).log
    shop = wb.Catalog.load(ROOT / "data" / "catalogs" / "ecommerce.toml")
    known: dict[str, Any] = {"wb": wb, "log": log, "shop": shop, "steps": shop.steps("checkout")}
    exec(compile(code, "README.md", "exec"), known)  # noqa: S102 - the README is ours
    assert known["carts"].size
    assert f"ships {['ten', 'eleven', 'twelve'][len(shop.segments) - 10]}" in README


def test_the_funnel_with_a_condition_loses_people_and_not_everybody() -> None:
    (code,) = (block for block in blocks("py") if "lost = wb.funnel" in block)
    known: dict[str, Any] = {"wb": wb, "log": simulate(users=3_000).log}
    exec(compile(code, "README.md", "exec"), known)  # noqa: S102 - the README is ours
    lost = known["lost"]
    assert (lost.table.groupby("step")["count"].sum() > 0).all()
    assert not [note for note in lost.warnings if "No event has" in note or "nothing" in note]


def test_every_command_and_option_exists() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    named = re.findall(r"workbook (\w+)((?: [^\n#`]*)?)", README)
    assert {"import", "info", "report"} <= {name for name, _ in named}
    for name, rest in named:
        if name not in commands:
            assert name in ("finds",), f"the README names no command: workbook {name}"
            continue
        options = {o for p in commands[name].params for o in p.opts}
        assert set(re.findall(r"--[a-z-]+", rest)) <= options, f"workbook {name}{rest}"


def test_the_definition_shown_is_the_one_that_is_shipped() -> None:
    (shown,) = (block for block in blocks("toml") if "90_weekly_report" in block)
    shipped = (ROOT / "reports/definitions/weekly.toml").read_text(encoding="utf-8")
    assert tomllib.loads(shown) == tomllib.loads(shipped)


@pytest.mark.parametrize("path", re.findall(r"\]\(([^)#]+)\)", README))
def test_links_lead_somewhere(path: Any) -> None:
    assert (ROOT / path).exists()


def test_it_opens_with_the_question_and_shows_the_report() -> None:
    assert README.startswith("# Which small actions lead to the big one?")
    assert "](reports/weekly-report.png)" in README
