"""JupyterLab's command and surroundings; that nothing leaves the machine is tests/browser's."""

from __future__ import annotations

import json
import os
import sys
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.kernelspec import KernelSpecManager

from analysis import cli
from analysis.cli import jupyter_lab as lab
from analysis.core.schema import UsageError

ROOT = Path(__file__).parents[1]


def test_listens_to_this_machine_only_and_asks_nobody(tmp_path: Path) -> None:
    command = lab.lab_command(tmp_path, port=8890, browser=False)
    assert command[0] == sys.executable
    assert "--ServerApp.ip=127.0.0.1" in command
    assert "--ServerApp.port_retries=0" in command
    assert "--LabApp.news_url=None" in command
    assert "--LabApp.extension_manager=readonly" in command
    assert f"--ServerApp.root_dir={tmp_path}" in command
    assert "--LabApp.default_url=/lab" in command
    assert "--no-browser" in command
    assert "--no-browser" not in lab.lab_command(tmp_path)


def test_opens_the_first_notebook_where_there_is_one() -> None:
    opened = lab.lab_command(ROOT / "notebooks")
    assert f"--LabApp.default_url=/lab/tree/{lab.FIRST_NOTEBOOK}" in opened


@pytest.mark.parametrize("port", [0, 65536, -1])
def test_a_port_that_is_none(tmp_path: Path, port: int) -> None:
    with pytest.raises(UsageError, match="Allowed: 1 to 65535"):
        lab.lab_command(tmp_path, port=port)


def test_a_folder_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no folder"):
        lab.lab_command(tmp_path / "notebooks")


def test_own_settings_and_kernels_come_first_and_those_of_others_stay() -> None:
    given = {"JUPYTER_CONFIG_PATH": "/theirs", "JUPYTER_PATH": "/kernels", "HOME": "/h"}
    environment = lab.lab_environment({**given, "PYTHONDONTWRITEBYTECODE": "1"})
    own, theirs = environment["JUPYTER_CONFIG_PATH"].split(os.pathsep)
    assert (Path(own) / "labconfig" / "default_setting_overrides.json").is_file()
    assert theirs == "/theirs"
    kernels, others = environment["JUPYTER_PATH"].split(os.pathsep)
    found = KernelSpecManager(kernel_dirs=[f"{kernels}/kernels"]).find_kernel_specs()
    assert "python3" in found
    assert others == "/kernels"
    assert "PYTHONDONTWRITEBYTECODE" not in environment
    assert environment["HOME"] == "/h"


def test_the_settings_are_those_that_jupyterlab_knows() -> None:
    settings = json.loads(
        (
            resources.files("analysis.cli") / "labconfig" / "default_setting_overrides.json"
        ).read_text()
    )
    schemas = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas"
    for plugin, overrides in settings.items():
        package, _, name = plugin.partition(":")
        schema = json.loads((schemas / package / f"{name}.json").read_text())
        for key, value in overrides.items():
            known = schema["properties"][key]
            assert isinstance(value, {"boolean": bool, "string": str}[known["type"]])
            assert value in known.get(
                "enum", [value, *(o["const"] for o in known.get("oneOf", []))]
            )


def test_the_command_replaces_itself_by_jupyterlab(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "reports" / "definitions").mkdir(parents=True)
    (tmp_path / "notebooks").mkdir()
    called: list[Any] = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os, "execve", lambda *arguments: called.append(arguments))
    monkeypatch.setattr(lab, "compile_beside", lambda environment: None)
    assert cli.run(["lab", "--port", "8899", "--no-browser"]) == 0
    ((program, command, environment),) = called
    assert program == command[0] == sys.executable
    assert f"--ServerApp.root_dir={tmp_path / 'notebooks'}" in command
    assert "--ServerApp.port=8899" in command
    assert environment["PLOTLY_RENDERER"] == "plotly_mimetype"
