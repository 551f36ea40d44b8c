"""Passes over shards: in threads, in order, and an error is an error."""

from __future__ import annotations

import threading
import time

import pytest

from analysis.eventlog import engine


def test_results_come_in_the_order_of_the_parts() -> None:
    def slow_first(part: int) -> int:
        time.sleep(0.02 if part == 0 else 0)
        return part * part

    assert engine.over(iter(range(9)), slow_first) == [k * k for k in range(9)]
    assert engine.over([], slow_first) == []


def test_parts_run_in_several_threads_where_there_are_cores(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine.os, "cpu_count", lambda: 2)
    both = threading.Barrier(2, timeout=20)

    def meet(part: int) -> int:
        both.wait()
        return threading.get_ident()

    assert len(set(engine.over([1, 2], meet))) == 2


@pytest.mark.parametrize("cores", [1, None])
def test_one_core_needs_no_thread(monkeypatch: pytest.MonkeyPatch, cores: int | None) -> None:
    monkeypatch.setattr(engine.os, "cpu_count", lambda: cores)
    here = threading.get_ident()
    assert engine.over([1, 2], lambda part: threading.get_ident()) == [here, here]


@pytest.mark.parametrize("parts", [1, 5])
def test_an_error_reaches_the_caller(parts: int) -> None:
    def fail(part: int) -> int:
        raise LookupError(f"part {part}")

    with pytest.raises(LookupError, match="part 0"):
        engine.over(range(parts), fail)
