"""Units of a few rows through the funnel's pass, and through the judge that lists every chain.

The judge of the library's tests sees times and groups; here it sees which rows a chain is made of.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from oracles import funnel_oracle as oracle

from analysis.core.checks import EVER
from analysis.funnels.chains import ONE_GROUP, codes_of, needs_of, rules_of
from analysis.funnels.search import blocks, state
from analysis.funnels.search.blocks import ChainList, Sums
from analysis.funnels.search.state import Choice, Output
from analysis.funnels.search.units import unit_chains
from analysis.funnels.spec import Exclusion, FunnelSpec, Step

NAMES = "abcdx"
EFFECTS = ["end_attempt", "drop_attempt", "drop_unit"]
MARKS = (blocks.MATURE, blocks.CHOSEN, blocks.TIED, blocks.EXCLUDED)
Unit = list[tuple[int, str]]
"""Instants and names, in the order of arrival."""


class Found(NamedTuple):
    """A chain: whose, the row at each step (−1: not done), and what is said of it."""

    unit: int
    rows: tuple[int, ...]
    reach: int
    mature: bool
    chosen: bool
    tied: bool
    excluded: bool


def question(asked: oracle.Question) -> FunnelSpec:
    """The judge's question as the library checks it."""
    within = tuple(EVER if step.within is None else step.within for step in asked.steps)
    low, high = asked.entered
    return FunnelSpec(
        steps=tuple(Step(step.events, optional=step.optional) for step in asked.steps),
        exclusions=tuple(Exclusion(e.events, e.after, e.before) for e in asked.exclude),
        order=asked.order,
        window_us=asked.window,
        within_us=within,
        unit="user",
        attempts=asked.count == "attempts",
        first=asked.entry == "first",
        hold=(),
        effect=asked.on_exclude,
        by=(),
        by_at="entry",
        top=12,
        strict=asked.strict,
        entered=(max(low, -EVER), min(high, EVER)),
    )


def cells_of(units: Sequence[Unit]) -> state.Cells:
    rows = [row for unit in units for row in unit]
    return state.Cells(
        time=np.array([time for time, _ in rows], np.int64),
        event=np.array([NAMES.index(name) for _, name in rows], np.uint8),
        offsets=np.cumsum([0, *map(len, units)]).astype(np.int64),
        steps_hold=np.empty(0, np.int64),
        exclusions_hold=np.empty(0, np.int64),
        unit=np.empty(0, np.int64),
        known=np.empty(0, np.bool_),
    )


def codes_for(asked: FunnelSpec, units: int, need: int = state.SEARCH) -> state.Codes:
    codes = codes_of(list(NAMES), asked.steps, asked.exclusions)
    return state.Codes(
        codes.steps.view(np.int64),
        codes.exclusions.view(np.int64),
        np.full(units, need, np.uint8),
        2 ** min(len(asked.steps), 63) - 2,
    )


def promised(asked: FunnelSpec, units: Sequence[Unit]) -> state.Codes:
    """What the library expects of these units: of most that one scan is enough."""
    codes = codes_of(list(NAMES), asked.steps, asked.exclusions)
    masks = [sum({1 << NAMES.index(name) for _, name in unit}) for unit in units]
    need = needs_of(np.array(masks, np.uint64), asked, codes)
    return codes_for(asked, len(units))._replace(need=need)


class Line(NamedTuple):
    """A chain as the pass writes it."""

    user: int
    group: int
    reach: int
    marks: int
    rows: list[int]
    times: list[int]


def run(
    cells: state.Cells,
    codes: state.Codes,
    asked: FunnelSpec,
    *,
    until: int,
    touch: int = 0,
) -> list[Line]:
    """What `unit_chains` answers; its sums are those of its chains."""
    choice = Choice(EFFECTS.index(asked.effect), asked.first, asked.strict)
    limits = state.Limits(*asked.entered, until - asked.window_us)
    rules = rules_of(asked)
    output = Output(asked.attempts, touch, 0, keep=True, repeats=True)
    # Read-only as a log's arrays are: a kernel is compiled once for both.
    for part in (cells.time, cells.event, cells.offsets):
        part.setflags(write=False)
    sums, kept = unit_chains(cells, codes, rules, limits, choice, output, ONE_GROUP)
    lines = lines_of(ChainList(*kept))
    check_sums(Sums(*sums), lines, rules.steps)
    return lines


def lines_of(kept: ChainList) -> list[Line]:
    lines = []
    beyond = zip(kept.rows.tolist(), kept.times.tolist(), strict=True)
    for i, reach in enumerate(kept.reach.tolist()):
        steps = kept.rows.shape[1] - 1
        alone = [int(kept.entry[i]), *[-1] * steps], [0, *[blocks.NOT_DONE] * steps]
        rows, times = next(beyond) if reach > 1 else alone
        assert rows[0] == kept.entry[i]
        whose = int(kept.user[i]), int(kept.group[i]), reach, int(kept.marks[i])
        lines.append(Line(*whose, rows, times))
    assert next(beyond, None) is None
    return lines


def check_sums(sums: Sums, lines: Sequence[Line], steps: int) -> None:
    """The sums are what a list of the chains adds up to."""
    marked = [
        [line for line in lines if line.marks & mark] for mark in (blocks.CHOSEN, blocks.MATURE)
    ]
    counts = [[sum(line.rows[k] >= 0 for line in kind) for k in range(steps)] for kind in marked]
    assert sums.counts[:, 0].tolist() == counts
    chosen, mature = marked
    tied = sum(bool(line.marks & blocks.TIED) for line in chosen)
    assert sums.facts.tolist() == [len(chosen), tied, 0]
    waits: list[list[int]] = [[] for _ in range(steps)]
    for line in mature:
        done = [k for k in range(steps) if line.rows[k] >= 0]
        for before, k in itertools.pairwise(done):
            waits[k].append(line.times[k] - line.times[before])
    assert [sums.waits[k, : sums.sizes[k]].tolist() for k in range(steps)] == waits
    users = sorted({line.user for line in mature})
    did = np.array(
        [
            [sum(line.rows[k] >= 0 for line in mature if line.user == u) for k in range(steps)]
            for u in users
        ],
        np.int64,
    ).reshape(len(users), steps)
    assert sums.moments[0].tolist() == (did.T @ did).tolist()
    assert sums.members[0].tolist() == (did > 0).sum(axis=0).tolist()


def found_chains(units: Sequence[Unit], judged: oracle.Question) -> list[Found]:
    """The chains of the pass, the same whether it may scan once or has to search."""
    asked = question(judged)
    cells = cells_of(units)
    looked, searched = (
        _as_found(cells, run(cells, codes, asked, until=judged.covers_until))
        for codes in (promised(asked, units), codes_for(asked, len(units)))
    )
    assert looked == searched
    return looked


def _as_found(cells: state.Cells, lines: Sequence[Line]) -> list[Found]:
    found = []
    for line in lines:
        start = int(cells.offsets[line.user])
        rows = tuple(row - start if row >= 0 else -1 for row in line.rows)
        said = (bool(line.marks & mark) for mark in MARKS)
        found.append(Found(line.user, rows, line.reach, *said))
    return sorted(found)


def wanted_chains(units: Sequence[Unit], asked: oracle.Question) -> list[Found]:
    wanted = []
    for number, unit in enumerate(units):
        rows = [oracle.Event(time, place, name) for place, (time, name) in enumerate(unit)]
        if asked.count == "attempts":
            chosen = [(one, True) for one in oracle.in_turn(rows, asked)]
        else:
            whole, ripe = (oracle.of_unit(rows, asked, mature=mature) for mature in (False, True))
            chosen = [(one, True) for one in whole]
            chosen += [(one, False) for one in ripe if one not in whole]
        wanted += [
            described(number, one, rows, asked, among_all=among_all) for one, among_all in chosen
        ]
    return sorted(wanted)


def described(
    unit: int,
    one: oracle.Chosen,
    rows: list[oracle.Event],
    asked: oracle.Question,
    *,
    among_all: bool,
) -> Found:
    served = [oracle.serving(one.chain, k, asked) for k in range(1, len(asked.steps) + 1)]
    return Found(
        unit=unit,
        rows=tuple(-1 if event is None else event.arrival for event in served),
        reach=oracle.reach(one.chain, asked),
        mature=asked.matures(one.chain[0].event),
        chosen=among_all,
        tied=one.tied,
        excluded=bool(oracle.touching(one.chain, rows, asked)),
    )


def compare(units: Sequence[Unit], asked: oracle.Question) -> None:
    """Every unit gets the chain, row by row, that the judge chooses among all."""
    assert found_chains(units, asked) == wanted_chains(units, asked)


# ── drawn ───────────────────────────────────────────────────────────────────────────────────────


def drawn_units(*, ties: bool, names: str = "aabbccdx", longest: int = 8) -> st.SearchStrategy[Any]:
    """Units of a few rows; without ties no two of a unit share an instant."""
    row = st.tuples(st.integers(0, 6 if ties else 20), st.sampled_from(names))
    unit = st.lists(row, max_size=longest, unique_by=None if ties else (lambda one: one[0]))
    return st.lists(unit.map(lambda rows: sorted(rows, key=lambda one: one[0])), max_size=4)


@st.composite
def drawn_questions(draw: st.DrawFn, **fixed: Any) -> oracle.Question:
    """A question with an order, an effect, limits and exclusions, where `fixed` leaves them."""
    alone = st.sampled_from([("a",), ("b",), ("c",), ("d",)])
    several = st.sampled_from([("a", "b"), ("b", "c"), tuple(NAMES)])
    shared = fixed.pop("shared", True)
    bounded = fixed.pop("bounded", True)
    order = fixed.pop("order", "sequential")
    span = fixed.pop("span", 12)
    names = draw(
        st.lists(alone | several if shared else alone, min_size=1, max_size=4, unique=not shared)
    )
    steps = []
    for k, events in enumerate(names):
        within = draw(st.none() | st.integers(1, span)) if bounded else None
        optional = bounded and order == "sequential" and k > 0 and draw(st.booleans())
        steps.append(oracle.Step(events, within=within, optional=optional))
    exclude = []
    if len(steps) > 1 and draw(st.booleans()):
        after = draw(st.integers(1, len(steps) - 1))
        before = draw(st.integers(after + 1, len(steps)))
        exclude.append(oracle.Exclusion(draw(st.sampled_from([("x",), ("a", "x")])), after, before))
    start, stop = draw(st.sampled_from([oracle.EVER, (1, 15), (3, 5)]))
    given: dict[str, Any] = {
        "window": draw(st.integers(1, span)),
        "covers_until": draw(st.sampled_from([span // 2, span, 1000])),
        "strict": draw(st.booleans()),
        "entry": draw(st.sampled_from(["best", "first"])),
        "on_exclude": draw(st.sampled_from(EFFECTS)),
        "entered": (start, stop),
        "exclude": tuple(exclude),
    }
    return oracle.Question(steps=tuple(steps), order=order, **{**given, **fixed})
