"""Many rows of one unit in one instant: the same chains, and no more than twice the work for twice.

The judge lists every chain, so its units are small; with one or two steps five rows that are alike
are a crowd. How the work grows is counted in lines of the search, not in seconds.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numba as nb
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle
from support import chain_runs as runs
from support import counted_lines

from analysis.eventlog.log import EventLog
from analysis.funnels.result import funnel
from analysis.funnels.search import state
from analysis.funnels.search.crowds import ALIKE_LINES, MOST_KINDS, set_aside


@nb.njit
def apart(
    rows: np.ndarray,
    units: np.ndarray,
    m: int,
    copies: int,
    known: np.ndarray,
    aside: np.ndarray,
    alike: np.ndarray,
) -> int:
    return set_aside(rows, units, m, copies, known, aside, alike)


COUNTED = Path(counted_lines.__file__)


def crowded_units() -> st.SearchStrategy[list[runs.Unit]]:
    """Rows at one or two instants, most of them of two kinds."""
    row = st.tuples(st.sampled_from([0, 0, 0, 3]), st.sampled_from("aaaabbbx"))
    unit = st.lists(row, min_size=5, max_size=8)
    return st.lists(unit.map(lambda rows: sorted(rows, key=lambda one: one[0])), max_size=2)


@pytest.mark.parametrize("order", ["sequential", "strict"])
@pytest.mark.parametrize("count", ["units", "attempts"])
@settings(max_examples=150)
@given(data=st.data())
def test_a_crowd_gets_the_chains_that_the_judge_chooses(
    data: st.DataObject, order: str, count: str
) -> None:
    names = data.draw(st.sampled_from([("a",), ("a", "b"), ("b", "a"), ("a", "a"), ("b", "b")]))
    steps = tuple(oracle.Step(tuple(name)) for name in names)
    if len(names) == 2 and order == "sequential":
        steps = (steps[0], oracle.Step(steps[1].events, optional=data.draw(st.booleans())))
    exclude = (oracle.Exclusion(data.draw(st.sampled_from([("x",), ("a", "x")]))),)
    asked = oracle.Question(
        steps,
        window=data.draw(st.sampled_from([2, 9])),
        covers_until=100,
        order=order,
        count=count,
        strict=data.draw(st.booleans()),
        exclude=exclude if len(steps) > 1 and data.draw(st.booleans()) else (),
        on_exclude=data.draw(st.sampled_from(runs.EFFECTS)),
    )
    runs.compare(data.draw(crowded_units()), asked)


@settings(max_examples=150)
@given(crowded_units(), st.sampled_from(["units", "attempts"]), st.booleans())
def test_a_crowd_gets_as_far_in_any_order(units: list[runs.Unit], count: str, strict: bool) -> None:
    """Which rows of an instant are taken in any order is told apart in tests of its own."""
    asked = oracle.Question(
        oracle.plain("a", "b"), window=9, covers_until=100, order="any", count=count, strict=strict
    )
    found, wanted = (
        sorted((one.unit, one.reach, one.rows[0] < 0) for one in chains)
        for chains in (runs.found_chains(units, asked), runs.wanted_chains(units, asked))
    )
    assert found == wanted


@settings(max_examples=100)
@given(st.lists(st.tuples(st.integers(0, 2), st.integers(1, 3), st.booleans()), max_size=40))
def test_the_first_and_the_last_of_each_kind_stay(drawn: list[tuple[int, int, bool]]) -> None:
    drawn.sort(key=lambda one: one[0])
    rows = np.zeros((state.ROW_LINES, len(drawn) + 1), np.int64)
    rows[state.NUMBER, : len(drawn)] = np.arange(len(drawn))
    rows[state.TIME, : len(drawn)] = [time for time, _, _ in drawn]
    rows[state.STEPS, : len(drawn)] = [steps for _, steps, _ in drawn]
    known = np.array([has for _, _, has in drawn], np.bool_)
    aside = np.zeros(len(drawn) + 1, np.int64)
    alike = np.zeros((ALIKE_LINES, MOST_KINDS + len(drawn)), np.int64)
    units = np.zeros(len(drawn) + 1, np.int64)
    left = apart(rows, units, len(drawn), 2, known, aside, alike)
    kinds: dict[tuple[int, int, bool], list[int]] = {}
    for row, kind in enumerate(drawn):
        kinds.setdefault(kind, []).append(row)
    want = {row for own in kinds.values() for row in (*own[:2], *own[-2:])}
    stayed = rows[state.NUMBER, :left].tolist()
    assert stayed == sorted(stayed)
    assert want <= set(stayed)
    crowds = {time for time in range(3) if sum(own[0] == time for own in drawn) > 4}
    alone = {row for row, own in enumerate(drawn) if own[0] not in crowds}
    assert set(stayed) == alone | {row for row in want if drawn[row][0] in crowds}
    columns = int(alike[0, 0])
    waiting = sum(int(alike[1, c] - alike[0, c]) for c in range(1, columns + 1))
    assert left + waiting == len(drawn)
    assert sorted([*stayed, *aside[:waiting].tolist()]) == list(range(len(drawn)))


@pytest.mark.parametrize("case", counted_lines.CASES)
def test_twice_the_rows_of_one_instant_take_twice_the_steps(case: str) -> None:
    done = subprocess.run(
        [sys.executable, str(COUNTED), case, "200", "400", "800"],
        check=True,
        capture_output=True,
        text=True,
    )
    few, more, most = map(int, done.stdout.split())
    assert few > 200
    assert more < 2.5 * few
    assert most < 2.5 * more


def test_attempts_of_a_crowd_use_every_pair_up() -> None:
    size = 30_000
    names = ["ab"[k % 2] for k in range(size)]
    frame = pd.DataFrame({"user": "u", "event": names, "time": pd.Timestamp("2026-01-01")})
    log = EventLog.from_frame(frame, covers_until="2026-02-01")
    for order in ("sequential", "any"):
        found = funnel(log, ["a", "b"], count="attempts", order=order)
        assert found.table["count"].tolist() == [size // 2, size // 2]
    found = funnel(log, ["a", "a", "b"], count="attempts")
    # Two of three are an a, and the a's are used up first.
    assert found.table["count"].tolist() == [size // 4, size // 4, size // 4]
