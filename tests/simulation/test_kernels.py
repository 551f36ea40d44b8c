"""The shop's pass against itself run as plain Python, and its clock against arithmetic."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from types import ModuleType
from typing import Any

import numba as nb
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.simulation import kernels
from analysis.simulation.log import ROW, VISITOR, Tables, shop_arrays
from analysis.simulation.shop import SHOP

# The package's name `simulate` is the function.
module = importlib.import_module("analysis.simulation.log")
START, END = 1_786_924_800_000, 1_795_392_000_000
WEEK = shop_arrays(SHOP, START, END).world[0]["week"]


def _generator(seed: int) -> np.random.Generator:
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence(seed, spawn_key=(3,))))


class _Record:
    """A record whose fields are attributes, as they are in compiled code."""

    def __init__(self, void: np.void) -> None:
        object.__setattr__(self, "void", void)

    def __getattr__(self, name: str) -> Any:
        return self.void[name]

    def __setattr__(self, name: str, value: Any) -> None:
        self.void[name] = value


class _Records:
    def __init__(self, array: np.ndarray) -> None:
        self.array, self.size = array, array.size

    def __getitem__(self, place: int) -> _Record:
        return _Record(self.array[place])


def _lives(
    made: Tables, visitors: int, as_seen: Callable[[np.ndarray], Any] = np.asarray
) -> tuple[np.ndarray, np.ndarray]:
    rows = np.zeros(visitors * 60 + kernels.ROWS_PER_VISITOR, ROW)
    people = np.zeros(visitors, VISITOR)
    done = kernels.shop(
        as_seen(made.world), made.hours, as_seen(rows), as_seen(people), _generator(11)
    )
    assert done == visitors
    return rows, people


def _as_plain_python(module: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, function in vars(module).items():
        if hasattr(function, "py_func"):
            monkeypatch.setattr(module, name, function.py_func)


def test_plain_python_makes_the_same_rows_to_the_last_bit(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """If only this fails after a change of `kernels`, delete the cache of compiled code."""
    made = shop_arrays(SHOP, START, END)
    rows, people = _lives(made, 60)
    _as_plain_python(kernels, monkeypatch)
    plain_rows, plain_people = _lives(made, 60, _Records)
    assert (rows["event"] == kernels.EVENTS.index("add_to_cart")).any()
    np.testing.assert_array_equal(rows, plain_rows)
    np.testing.assert_array_equal(people, plain_people)


def test_a_compiled_draw_is_the_generators_own() -> None:
    @nb.njit
    def draws(rng: np.random.Generator, n: int) -> np.ndarray:
        out = np.empty(n)
        for i in range(n):
            out[i] = rng.random()
        return out

    compiled, own = _generator(5), _generator(5)
    np.testing.assert_array_equal(draws(compiled, 5_000), own.random(5_000))
    assert compiled.random() == own.random()


def test_the_first_draws_of_a_partition_are_these() -> None:
    """The stream that everything hangs on: a numpy that changed it would be told here first."""
    np.testing.assert_array_equal(
        _generator(2026).random(2), [0.7433341197823008, 0.17888494995472726]
    )


def test_rows_that_run_short_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    made = shop_arrays(SHOP, START, END)
    partition = np.repeat([3, 8], 700)
    rows, people = module._lives(made, 1, partition)
    monkeypatch.setattr(module, "EVENTS_PER_USER", 0)
    grown_rows, grown_people = module._lives(made, 1, partition)
    assert len(rows) > kernels.ROWS_PER_VISITOR
    np.testing.assert_array_equal(rows, grown_rows)
    counts = people["row"] - people["first_row"]
    np.testing.assert_array_equal(counts, grown_people["row"] - grown_people["first_row"])


@given(st.integers(-(10**12), 4 * 10**12))
def test_the_shops_clock_runs_forward_and_back_again(instant: int) -> None:
    shop_time = kernels._shop_time(WEEK, instant)
    assert abs(kernels._wall_time(WEEK, shop_time) - instant) <= 20
    assert kernels._shop_time(WEEK, instant + 60_000) > shop_time
    assert kernels._shop_time(WEEK, instant + 7 * 86_400_000) == shop_time + 7 * 86_400_000


@given(st.lists(st.floats(0.01, 1), min_size=1, max_size=9), st.floats(0, 1, exclude_max=True))
def test_pick_finds_the_place_that_searchsorted_finds(shares: list[float], x: float) -> None:
    cumulative = np.cumsum(shares) / sum(shares)
    expected = min(int(np.searchsorted(cumulative, x, side="right")), len(shares) - 1)
    assert kernels.pick(cumulative, x) == expected
