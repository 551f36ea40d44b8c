"""What several tests of reports share."""

from __future__ import annotations

import pytest
from nbformat import v4

from analysis.reports import render as rendering


@pytest.fixture
def executed(monkeypatch):
    """Stands in for the kernel: what a notebook emitted, and what it was told."""
    told: list[dict] = []
    emitted = {"headline": "<b>Up</b>", "numbers": {}, "warnings": ["few"], "gate": "pass"}

    def execute(path, parameters, *, scratch, timeout_seconds):
        assert scratch.is_dir()
        told.append(dict(parameters))
        bundle = {"application/vnd.workbook.numbers+json": {**emitted, "log": None}}
        cell = v4.new_code_cell("emit()", outputs=[v4.new_output("display_data", bundle)])
        return v4.new_notebook(cells=[cell])

    monkeypatch.setattr(rendering, "execute", execute)
    return emitted, told
