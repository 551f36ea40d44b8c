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


def test_the_conda_environment_has_the_ranges_of_the_project():
    conda = ranges(conda_specs())
    assert conda.pop("python") == PROJECT["project"]["requires-python"]
    conda.pop("pip")
    tests = ranges(PROJECT["dependency-groups"]["dev"])
    wanted = ranges(PROJECT["project"]["dependencies"])
    wanted |= {name: tests[name] for name in ("nbval", "pytest")}
    assert conda == wanted


def test_every_conda_spec_admits_what_is_locked():
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


def test_the_lock_has_hashes_and_no_addresses():
    assert not re.search(r"://|^--|\bfile:", LOCK, re.M)
    for entry in re.split(r"\n(?=\S)", LOCK.strip()):
        assert "--hash=sha256:" in entry, entry.splitlines()[0]


def test_the_lock_covers_every_dependency():
    versions = locked()
    for spec in PROJECT["project"]["dependencies"] + PROJECT["dependency-groups"]["dev"]:
        name = re.match(r"[A-Za-z0-9_.-]+", spec)[0].lower()
        assert name in versions, f"{name} is not locked: make lock"


def test_no_machine_path_or_registry_address_is_committed():
    files = subprocess.run(
        ["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if files.returncode:
        pytest.skip("not a git checkout")
    bad = re.compile(r"files\.python" + r"hosted|/ro{2}t/|/ho{1}me/\w+/|pypi[-.\w]*/simple")
    for name in files.stdout.splitlines():
        path = ROOT / name
        if path.suffix in (".png", ".gz", ".parquet") or not path.is_file():
            continue
        found = bad.search(path.read_text(encoding="utf-8"))
        assert not found, f"{name}: {found and found[0]}"
