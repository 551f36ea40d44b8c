"""Passes over shards: in threads that meet, in order, with the GIL released, and their errors."""

from __future__ import annotations

import importlib
import os
import pkgutil
import re
import threading
from collections.abc import Iterator
from typing import Any

import numba as nb
import numpy as np
import pytest
from numba.core.registry import CPUDispatcher

import analysis
from analysis.eventlog import parallel


@pytest.fixture
def two_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: 2)


# ── map_shards ───────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("parts", [0, 1, 2, 50])
def test_results_come_in_the_order_of_the_parts(two_cores: None, parts: int) -> None:
    second = threading.Event()

    def run(part: int) -> int:
        if part == 0 and parts > 1:
            assert second.wait(60)  # the first part ends after the second
        if part == 1:
            second.set()
        return part * part

    assert parallel.map_shards(iter(range(parts)), run) == [part * part for part in range(parts)]


def test_parts_run_at_the_same_time_in_several_threads(two_cores: None) -> None:
    both = threading.Barrier(2, timeout=60)  # raises if the other never comes

    def meet(part: int) -> int:
        both.wait()
        return threading.get_ident()

    assert len(set(parallel.map_shards([1, 2], meet))) == 2


@pytest.mark.parametrize("cores", [1, None])
def test_one_core_needs_no_thread(monkeypatch: pytest.MonkeyPatch, cores: int | None) -> None:
    monkeypatch.setattr(os, "cpu_count", lambda: cores)
    here = threading.get_ident()
    assert parallel.map_shards([1, 2], lambda part: threading.get_ident()) == [here, here]


@pytest.mark.parametrize(("parts", "first"), [(1, 0), (5, 0), (5, 1), (5, 4)])
def test_the_first_error_reaches_the_caller(two_cores: None, parts: int, first: int) -> None:
    def fail(part: int) -> int:
        if part >= first:
            raise LookupError(f"part {part}")
        return part

    with pytest.raises(LookupError, match=f"part {first}"):
        parallel.map_shards(range(parts), fail)


# ── the GIL ─────────────────────────────────────────────────────────────────────────────────────


def kernels() -> list[tuple[str, CPUDispatcher]]:
    found: list[Any] = []
    for module in pkgutil.walk_packages(analysis.__path__, f"{analysis.__name__}."):
        if not re.search(r"\.kernels$|\.search\.", module.name):
            continue
        loaded = importlib.import_module(module.name)
        for name, one in vars(loaded).items():
            if isinstance(one, CPUDispatcher) and one.py_func.__module__ == module.name:
                found.append((f"{module.name}.{name}", one))
    return found


def test_every_pass_releases_the_gil() -> None:
    assert len(kernels()) > 100
    holding = [name for name, kernel in kernels() if not kernel.targetoptions.get("nogil")]
    assert holding == []


@nb.njit(nogil=True)
def _meets(here: Any, own: Any, tries: int) -> bool:
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
    assert parallel.map_shards([0, 1], lambda own: _meets(here, own, 10**11)) == [True, True]


# ── prefetch ─────────────────────────────────────────────────────────────────────────────────────


def test_items_made_ahead_come_in_order_and_their_error_where_it_happened() -> None:
    def made() -> Iterator[int]:
        yield 1
        yield 2
        raise ValueError("third")

    found: list[Any] = []
    with pytest.raises(ValueError, match="third"):
        found.extend(parallel.prefetch(made()))
    assert found == [1, 2]


def test_items_made_ahead_are_closed_when_nobody_wants_more() -> None:
    closed = []

    def made() -> Iterator[int]:
        try:
            yield from range(10)
        finally:
            closed.append(True)

    items = parallel.prefetch(made())
    assert next(items) == 0
    items.close()
    assert closed == [True]
