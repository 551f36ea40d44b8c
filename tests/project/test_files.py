"""The project's own files agree with each other."""

from __future__ import annotations

import re
import subprocess
import tomllib
from pathlib import Path

import pytest
import rattler
import yaml

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
LOCK = (ROOT / "requirements.lock").read_text()


def ranges(specs: list[str]) -> dict[str, str]:
    found = [re.fullmatch(r"([A-Za-z0-9_.-]+)\s*(.*)", spec) for spec in specs]
    return {match[1].lower(): match[2].replace(" ", "") for match in found if match}


def conda_specs() -> list[str]:
    content = yaml.safe_load((ROOT / "environment.yml").read_text())
    return [spec for spec in content["dependencies"] if isinstance(spec, str)]


def locked() -> dict[str, set[str]]:
    versions: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([A-Za-z0-9_.-]+)==([^\s;\\]+)", LOCK, re.M):
        versions.setdefault(name.lower(), set()).add(version)
    return versions


def test_the_conda_environment_has_the_ranges_of_the_project() -> None:
    conda = ranges(conda_specs())
    assert conda.pop("python") == PROJECT["project"]["requires-python"]
    conda.pop("pip")
    tests = ranges(PROJECT["dependency-groups"]["dev"])
    wanted = ranges(PROJECT["project"]["dependencies"])
    wanted |= {name: tests[name] for name in ("nbval", "pytest")}
    assert conda == wanted


def test_every_conda_spec_admits_what_is_locked() -> None:
    versions = locked()
    for spec in conda_specs():
        name = re.match(r"[A-Za-z0-9_.-]+", spec)[0]
        for version in versions.get(name, set()):
            record = rattler.PackageRecord(
                name=name,
                version=version,
                build=rattler.BuildString("0"),
                build_number=0,
                subdir="noarch",
            )
            assert rattler.MatchSpec(spec).matches(record), f"{spec} refuses {version}"


@pytest.mark.parametrize("name", ["", "-bench", "-docs"])
def test_the_locks_have_hashes_and_no_addresses(name: str) -> None:
    lock = (ROOT / f"requirements{name}.lock").read_text()
    assert not re.search(r"://|^--|\bfile:", lock, re.M)
    for entry in re.split(r"\n(?=\S)", lock.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_lock_covers_every_dependency() -> None:
    versions = locked()
    for spec in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]:
        name = re.match(r"[A-Za-z0-9_.-]+", spec)[0].lower()
        assert name in versions, f"{name} is not locked: make lock"


def committed() -> list[Path]:
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if files.returncode:
        pytest.skip("no git checkout but an unpacked archive: nothing says what is committed")
    return [path for name in files.stdout.splitlines() if (path := ROOT / name).is_file()]


def is_text(path: Path) -> bool:
    return path.suffix not in (".png", ".gz", ".parquet")


def test_no_machine_path_or_registry_address_is_committed() -> None:
    bad = re.compile(r"files\.python" + r"hosted|/ro{2}t/|/ho{1}me/\w+/|pypi[-.\w]*/simple")
    for path in filter(is_text, committed()):
        found = bad.search(path.read_text(encoding="utf-8"))
        assert not found, f"{path.relative_to(ROOT)}: {found and found[0]}"


def test_files_are_small_and_end_with_a_newline() -> None:
    for path in committed():
        assert path.stat().st_size < 3_000_000, f"{path.name} is too large for git"
        if is_text(path) and path.stat().st_size:
            assert path.read_bytes().endswith(b"\n"), f"{path.name} ends without a newline"


def test_the_version_is_the_same_everywhere() -> None:
    version = PROJECT["project"]["version"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["version"] == version
    assert f"## [{version}]" in (ROOT / "CHANGELOG.md").read_text()


def test_the_workflow_runs_what_ci_runs() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "tests.yml").read_text())["jobs"]
    linux = jobs["linux"]
    assert ".ci/run" in [step.get("run") for step in linux["steps"]]
    versions = linux["strategy"]["matrix"]["python"]
    assert (
        PROJECT["project"]["requires-python"] == f">={versions[0]},<3.{int(versions[-1][2:]) + 1}"
    )
    for folder in re.findall(r"tests/\w+", str(jobs["portable"]["steps"])):
        assert (ROOT / folder).is_dir(), folder


def test_the_hooks_are_local_and_what_make_lint_runs() -> None:
    repos = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert [repo["repo"] for repo in repos] == ["local"]
    entries = " ".join(hook["entry"] for hook in repos[0]["hooks"])
    lint = re.search(r"^lint:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.M)[1]
    for tool in ("ruff check", "ruff format", "mypy", "lint-imports"):
        assert tool in entries
        assert tool in lint
