"""A new project has what a checkout has; the wheel works where no checkout is."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import tomllib
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from analysis.cli.project import new_project, shipped
from analysis.core.schema import UsageError
from analysis.reports.runs import PROJECT, project_root

ROOT = Path(__file__).parents[2]


def test_a_new_project_has_what_is_shipped_and_marks_its_root(tmp_path: Path) -> None:
    folder = tmp_path / 'my "project"'
    made = new_project(folder)
    assert {path.relative_to(folder).as_posix() for path in made} == {
        *(path.relative_to(ROOT).as_posix() for path in shipped()),
        PROJECT,
        ".gitignore",
        "README.md",
    }
    assert (folder / "notebooks" / "90_weekly_report.ipynb").is_file()
    assert tomllib.loads((folder / PROJECT).read_text("utf-8"))["name"] == 'my "project"'
    assert project_root(folder / "notebooks") == folder


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match=r"there is something in .* already"):
        new_project(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]
    assert len(new_project(tmp_path / "empty")) > 10


def test_data_stay_out_of_version_control(tmp_path: Path) -> None:
    new_project(tmp_path / "p")
    subprocess.run(["git", "init", "-q", tmp_path / "p"], check=True)
    (tmp_path / "p" / "data" / "demo").mkdir()
    (tmp_path / "p" / "data" / "demo" / "manifest.json").write_text("{}")
    (tmp_path / "p" / "reports" / "weekly").mkdir()
    (tmp_path / "p" / "reports" / "weekly" / "index.html").write_text("")
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--exclude-standard"],
        cwd=tmp_path / "p", capture_output=True, text=True, check=True,
    ).stdout.split()  # fmt: skip
    assert "data/catalogs/ecommerce.toml" in listed
    assert "reports/definitions/weekly.toml" in listed
    assert not [name for name in listed if "demo" in name or name.endswith(".html")]


# ── What is imported when.


def loaded(program: str) -> set[str]:
    code = f"{program}\nimport sys; print(*sorted(m.split('.')[0] for m in sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(run.stdout.split("\n")[-2].split())


HEAVY = {"pandas", "numpy", "numba", "pyarrow", "plotly", "scipy", "statsmodels", "ipywidgets"}


def test_importing_the_library_waits_for_nothing_heavy() -> None:
    assert not loaded("import analysis") & {*HEAVY, "typer", "rich", "pydantic"}
    assert "pandas" in loaded("import analysis; analysis.EventLog")


def test_help_waits_for_nothing_heavy() -> None:
    program = "from analysis.cli import run\nassert run(['--help']) == 0"
    assert not loaded(program) & {*HEAVY, "pydantic", "jinja2", "nbformat"}


# ── The wheel, in an environment and a folder of its own.


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment in which the wheel is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    uv = Path(sys.executable).with_name("uv")
    environment = folder / "venv"
    command: list[Any]
    commands: list[list[Any]] = [
        [uv, "build", "--quiet", "--wheel", "--no-build-isolation", "--out-dir", folder, ROOT],
        [uv, "venv", "--quiet", "--python", sys.executable, environment],
        [uv, "pip", "sync", "--quiet", "--python", environment, ROOT / "requirements.lock"],
    ]
    for command in commands:
        subprocess.run(command, check=True, env={**os.environ, "VIRTUAL_ENV": sys.prefix})
    (wheel,) = folder.glob("*.whl")
    install: list[Any] = [
        uv,
        "pip",
        "install",
        "--quiet",
        "--no-deps",
        "--python",
        environment,
        wheel,
    ]
    subprocess.run(install, check=True)
    return environment / "bin"


def surroundings() -> dict[str, str]:
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "JUPYTER", "VIRTUAL"))
    }
    return {**kept, "PYTHONDONTWRITEBYTECODE": ""}


@pytest.mark.slow
def test_the_wheel_works_outside_of_the_repository(installed: Path, tmp_path: Path) -> None:
    def workbook(*words: str, cwd: Path) -> str:
        command = [str(installed / "workbook"), *words]
        run = subprocess.run(command, cwd=cwd, env=surroundings(), capture_output=True, text=True)
        assert run.returncode == 0, run.stdout + run.stderr
        return run.stdout

    where = "import analysis, pathlib; print(pathlib.Path(analysis.__file__).parent)"
    found = subprocess.run(
        [installed / "python", "-c", where], cwd=tmp_path, env=surroundings(),
        capture_output=True, text=True, check=True,
    ).stdout.strip()  # fmt: skip
    assert Path(found).is_relative_to(installed.parent)
    assert (Path(found) / "py.typed").is_file()

    workbook("demo", "--to", "elsewhere", "--users", "500", cwd=tmp_path)
    assert (tmp_path / "elsewhere" / "manifest.json").is_file()
    workbook("new", "my-project", cwd=tmp_path)
    project = tmp_path / "my-project"
    workbook("demo", cwd=project)
    printed = workbook("report", "weekly", "--period", "2026-W46", cwd=project)
    assert printed.startswith("reports/weekly/2026-W46/index.html")
    made = project / "reports" / "weekly" / "2026-W46"
    numbers = json.loads((made / "numbers.json").read_text("utf-8"))
    assert numbers["numbers"]["macro_rate"]["n"] > 1000
    assert str(ROOT) not in (made / "index.html").read_text("utf-8")
    assert str(ROOT) not in (made / "manifest.json").read_text("utf-8")
    assert lab_answers(installed, project)


def lab_answers(installed: Path, project: Path) -> bool:
    """Does `workbook lab` serve the project's notebooks?"""
    command = [str(installed / "workbook"), "lab", "--no-browser"]
    lab = subprocess.Popen(
        command, cwd=project, env=surroundings(), stderr=subprocess.PIPE, stdout=subprocess.DEVNULL,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        assert lab.stderr is not None
        for line in lab.stderr:
            found = re.search(r"http://127\.0\.0\.1:\d+/lab\S*", line)
            if found:
                address = found[0].replace("/lab/tree/00_start_here.ipynb", "/api/contents")
                break
        else:
            return False
        for _ in range(50):
            try:
                with urllib.request.urlopen(address, timeout=10) as answer:
                    names = [entry["name"] for entry in json.load(answer)["content"]]
                    return "00_start_here.ipynb" in names
            except OSError:
                time.sleep(0.2)
        return False
    finally:
        os.killpg(lab.pid, 15)
        lab.wait(30)
