"""Passes run at once: in threads that meet, with the GIL released while they run."""

from __future__ import annotations

import importlib
import os
import pkgutil
import threading

import numba as nb
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

from analysis import passes
from analysis.eventlog import engine


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


def kernels() -> list[tuple[str, CPUDispatcher]]:
    found = []
    for module in pkgutil.iter_modules(passes.__path__, f"{passes.__name__}."):
        loaded = importlib.import_module(module.name)
        for name, one in vars(loaded).items():
            if isinstance(one, CPUDispatcher) and one.py_func.__module__ == module.name:
                found.append((f"{module.name}.{name}", one))
    return found


def test_every_pass_releases_the_gil() -> None:
    assert len(kernels()) > 10
    holding = [name for name, kernel in kernels() if not kernel.targetoptions.get("nogil")]
    assert holding == []


def test_parts_run_at_the_same_time(two_cores: None) -> None:
    meeting = threading.Barrier(2, timeout=60)  # raises if the other never comes
    assert engine.over([1, 2], lambda _: meeting.wait() in (0, 1)) == [True, True]


@nb.njit(nogil=True)
def _meets(here, own, tries):
    """Counts up its own place until it sees the other's counter move: no Python in between."""
    for _ in range(tries):
        here[own] += 1
        if here[1 - own] > 0:
            return True
    return False


def test_compiled_code_of_two_parts_runs_at_the_same_time(two_cores: None) -> None:
    here = np.zeros(2, np.int64)
    _meets(here.copy(), 0, 1)  # compiled before, so that only the loop is on trial
    # Holding the GIL, the first would come to the end of its tries alone.
    assert engine.over([0, 1], lambda own: _meets(here, own, 10**11)) == [True, True]


def test_the_first_error_is_raised(two_cores: None) -> None:
    with pytest.raises(ZeroDivisionError):
        engine.over([1, 0, 2], lambda part: 1 // part)


@pytest.mark.parametrize("parts", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_parts(parts: int) -> None:
    first = threading.Event()

    def run(part: int) -> int:
        if part == 0 and parts > 1 and (os.cpu_count() or 1) > 1:
            assert first.wait(60)  # the first part ends last
        if part == 1:
            first.set()
        return part

    assert engine.over(range(parts), run) == list(range(parts))


def test_items_made_ahead_come_in_order_and_their_error_where_it_happened():
    def made():
        yield 1
        yield 2
        raise ValueError("third")

    found = []
    with pytest.raises(ValueError, match="third"):
        found.extend(engine.ahead(made()))
    assert found == [1, 2]


def test_items_made_ahead_are_closed_when_nobody_wants_more():
    closed = []

    def made():
        try:
            yield from range(10)
        finally:
            closed.append(True)

    items = engine.ahead(made())
    assert next(items) == 0
    items.close()
    assert closed == [True]
