"""The kernels are compiled before somebody waits for one."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from analysis import EventLog, funnel, simulate
from analysis.cli import kernels
from analysis.correlation import kernels as exposure_counts
from analysis.funnels.search import kernels_chains as chains
from analysis.funnels.search import kernels_unit_chains as unit_chains


def test_a_question_of_each_kind_is_asked() -> None:
    kernels.compile_kernels()
    assert chains.best_chains.signatures
    assert unit_chains.unit_chains.signatures
    assert exposure_counts.count.signatures


def test_a_log_in_memory_and_one_on_disk_share_what_is_compiled(tmp_path: Path) -> None:
    kernels.compile_kernels()
    compiled = [len(kernel.signatures) for kernel in (chains.best_chains, unit_chains.unit_chains)]
    simulate(users=50).log.save(tmp_path / "log")
    log = EventLog.open(tmp_path / "log")
    for options in ({}, {"order": "any"}):
        funnel(log, ["view_item", "purchase"], **options)
    assert compiled == [
        len(kernel.signatures) for kernel in (chains.best_chains, unit_chains.unit_chains)
    ]


def test_it_is_done_beside_with_the_environment_given(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[list[str], dict[str, Any]]] = []
    monkeypatch.setattr(subprocess, "Popen", lambda args, **given: begun.append((args, given)))
    kernels.compile_beside({**os.environ, "A": "b"})
    ((args, given),) = begun
    assert args[1:] == ["-m", "analysis.cli.kernels"]
    assert given["env"]["A"] == "b"
