"""What several tests of reports share."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nbformat import v4

from analysis.reports import render as rendering


@pytest.fixture
def executed(monkeypatch: pytest.MonkeyPatch) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Stands in for the kernel: what a notebook emitted, and what it was told."""
    told: list[dict] = []
    emitted = {"headline": "<b>Up</b>", "numbers": {}, "warnings": ["few"], "gate": "pass"}

    def execute(
        path: Path, parameters: dict[str, Any], *, scratch: Path, timeout_seconds: float
    ) -> Any:
        assert scratch.is_dir()
        told.append(dict(parameters))
        bundle = {"application/vnd.workbook.numbers+json": {**emitted, "log": None}}
        cell = v4.new_code_cell("emit()", outputs=[v4.new_output("display_data", bundle)])
        return v4.new_notebook(cells=[cell])

    monkeypatch.setattr(rendering, "execute", execute)
    return emitted, told
