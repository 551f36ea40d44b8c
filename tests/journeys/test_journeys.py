"""The five questions about journeys against plain Python; small cells hidden; clear errors."""

from __future__ import annotations

from random import Random

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import journey_oracle as oracle
from scipy import stats

from analysis.catalog import Catalog
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.journeys.distance import distance_to_macro
from analysis.journeys.flows import step_matrix, transitions
from analysis.journeys.order import event_order, lift_interval
from analysis.journeys.routes import paths
from analysis.simulation.log import simulate

CATALOG = Catalog.from_mapping(
    {
        "name": "letters",
        "events": {
            "d": {"role": "macro"},
            "a": {"role": "milestone"},
            "b": {"role": "secondary"},
            "c": {"role": "control"},
        },
    }
)
within = st.sampled_from(["session", "user"])
shards = st.sampled_from([1, 4])


@given(oracle.frames(), within, shards)
def test_transitions_are_those_counted_by_hand(frame, within, shards):
    log = EventLog.from_frame(frame, shards=shards)
    wanted = oracle.transitions(oracle.sequences(frame, within))
    table = transitions(log, within=within, min_cell=1).table
    found = {(row.event, row.next_event): row for row in table.itertuples()}
    assert set(found) == set(wanted)
    for pair, own in wanted.items():
        row = found[pair]
        assert (row.k, row.n) == (own["k"], own["n"])
        assert row.rate == own["k"] / own["n"]
        if pair[1] != "(end)":
            assert row.users == own["users"]
        assert row.median_seconds == pytest.approx(own["median"], nan_ok=True)
    quick = transitions(log, within=within, gaps=False, min_cell=1).table
    shared = ["event", "next_event", "k", "n", "rate", "low", "high"]
    pd.testing.assert_frame_equal(quick[shared], table[shared])


@given(oracle.frames(), within)
def test_a_view_has_its_own_transitions(frame, within):
    shown = frame[frame["event"] != "b"]
    view = EventLog.from_frame(frame).where(event=["a", "c", "d"])
    if len(view):
        wanted = oracle.transitions(oracle.sequences(shown, within))
        table = transitions(view, within=within, min_cell=1).table
        pairs = zip(table["event"], table["next_event"], strict=True)
        assert dict(zip(pairs, table["k"], strict=True)) == {
            pair: own["k"] for pair, own in wanted.items()
        }


def test_rare_events_are_one_and_pairs_of_few_people_hidden():
    frame = pd.DataFrame(
        {
            "user": ["u"] * 6 + list("vwxyz"),
            "time": pd.to_datetime(["2026-01-01"] * 11),
            "event": ["a", "b", "a", "c", "a", "d"] + ["a"] * 5,
        }
    )
    log = EventLog.from_frame(frame)
    table = transitions(log, top=2, min_cell=1).table
    assert set(table["event"]) == {"(start)", "a", "b", "(other)"}
    assert table.set_index(["event", "next_event"]).loc[("a", "(other)"), "k"] == 2
    found = transitions(log, min_cell=5)
    shown = found.table.dropna(subset=["k"])
    assert set(shown["event"]) == {"(start)", "a"}
    assert "Hidden, what follows events of fewer than 5 people: 3 of 8 pairs." in found.warnings


@given(oracle.frames(), within, st.sampled_from([None, "a"]), st.sampled_from([None, "d"]))
def test_positions_are_those_counted_by_hand(frame, within, start, to):
    names = set(frame["event"])
    start, to = (event if event in names else None for event in (start, to))
    log = EventLog.from_frame(frame, shards=2)
    table = step_matrix(log, start=start, to=to, steps=3, within=within, min_cell=1).table
    sequences = oracle.sequences(frame, within)
    for direction, anchor in (("from", start), ("to", to)):
        own = table[table["direction"] == direction]
        if direction == "to" and to is None:
            assert not len(own)
            continue
        wanted, units = oracle.positions(sequences, anchor, 3, back=direction == "to")
        pairs = zip(own["position"], own["event"], strict=True)
        assert dict(zip(pairs, own["k"], strict=True)) == dict(wanted)
        assert (own["n"] == units).all()
        sums = own.groupby("position")["rate"].sum()
        assert sums.to_numpy() == pytest.approx(np.ones(len(sums)))


@settings(max_examples=150)
@given(
    oracle.frames(),
    within,
    st.tuples(st.sampled_from([None, *"ad"]), st.sampled_from([None, *"ad"])),
    st.integers(1, 4),
    st.booleans(),
)
def test_paths_are_those_walked_by_hand(frame, within, ends, length, collapse):
    names = set(frame["event"])
    start, to = (event if event in names else None for event in ends)
    log = EventLog.from_frame(frame, shards=2)
    options = {"length": length, "collapse": collapse}
    found = paths(log, to=to, start=start, within=within, top=999, min_cell=1, **options).table
    wanted = oracle.paths(oracle.sequences(frame, within), (start, to), length, collapse=collapse)
    assert set(found["events"]) == set(wanted)
    assert found["count"].is_monotonic_decreasing
    for row in found.itertuples():
        own = wanted[row.events]
        assert row.n == own["n"]
        assert found.loc[row.Index, "count"] == own["count"]
        assert row.lines == sum(path["count"] for path in wanted.values())
        if to is not None:
            assert (row.k, row.rate) == (own["k"], own["k"] / own["n"])
        else:
            assert np.isnan(row.k)


@given(oracle.frames(), within, st.sampled_from([None, *"ad"]))
def test_orders_are_those_seen_by_hand(frame, within, about):
    about = about if about in set(frame["event"]) else None
    sequences = oracle.sequences(frame, within)
    wanted = {
        pair: own
        for pair, own in oracle.orders(sequences).items()
        if about is None or about in pair
    }
    log = EventLog.from_frame(frame, shards=2)
    table = event_order(log, about=about, within=within, min_cell=1).table
    assert len(table) == len(wanted)
    for row in table.itertuples():
        one, two, same = wanted[min(row.a, row.b), max(row.a, row.b)]
        mine = one if row.a < row.b else two
        assert (row.k, row.n, row.same_instant) == (mine, one + two, same)
        assert row.k * 2 >= row.n
        if row.n:
            assert row.p_value == pytest.approx(stats.binomtest(int(row.k), int(row.n)).pvalue)
        has = [
            sum(event in {r.event for r in sequence} for sequence in sequences)
            for event in (row.a, row.b)
        ]
        assert [row.n_a, row.n_b, row.lines] == [*has, len(sequences)]
        assert row.lift == pytest.approx(row.both * len(sequences) / (has[0] * has[1]))


def test_lift_covers_as_often_as_it_says():
    rng = np.random.default_rng(3)
    shares = [0.2, 0.2, 0.1, 0.5]
    drawn = rng.multinomial(400, shares, 2_000)
    both = drawn[:, 0]
    _, low, high = lift_interval(both, both + drawn[:, 1], both + drawn[:, 2], 400)
    truth = 0.2 / (0.4 * 0.3)
    inside = int(((low <= truth) & (truth <= high)).sum())
    assert stats.binomtest(inside, 2_000, 0.95).pvalue > 1e-3


@given(oracle.frames(), within)
def test_distances_are_those_measured_by_hand(frame, within):
    names = set(frame["event"])
    log = EventLog.from_frame(frame, shards=2)
    if "d" not in names or names == {"d"}:
        with pytest.raises((UsageError, DataError)):
            distance_to_macro(log, CATALOG)
        return
    sequences = oracle.sequences(frame, within)
    wanted = oracle.distances(sequences, "d")
    converters = sum("d" in {row.event for row in sequence} for sequence in sequences)
    table = distance_to_macro(log, CATALOG, within=within, near=2, min_cell=1).table
    for row in table[table["n"] > 0].itertuples():
        own = wanted[row.event]
        assert (row.k, row.n, row.converters) == (own["k"], own["n"], converters)
        if own["k"]:
            assert row.coverage == own["k"] / converters
            assert row.k_near == sum(far <= 2 for far in own["steps"])
            assert row.median_steps == pd.Series(own["steps"]).median()
            assert row.steps_high_quartile == pd.Series(own["steps"]).quantile(0.75)
            assert row.median_seconds == pytest.approx(pd.Series(own["seconds"]).median())
    assert set(table[table["n"] > 0]["event"]) == set(wanted)


def test_in_the_shop_milestones_are_on_the_way_and_the_footer_is_not():
    log = simulate(users=4_000).log
    found = distance_to_macro(log, Catalog.load("data/catalogs/ecommerce.toml"))
    behaves = found.table.set_index("event")["behaves"]
    assert behaves["begin_checkout"] == behaves["add_payment_info"] == "like a milestone"
    assert (behaves[found.table.set_index("event")["role"] == "control"] != behaves.iloc[0]).all()
    roles = found.table.set_index("event")["role"]
    assert set(roles[behaves == "like a milestone"]) == {"milestone"}
    assert found.table["event"].iloc[0] == "add_payment_info"
    assert "95% interval" in found.sentence()
    assert "add_payment_info" in found.sentence()


def test_answers_are_said_with_their_numbers():
    log = simulate(users=2_000).log
    answers = [
        transitions(log),
        step_matrix(log, to="purchase"),
        paths(log, to="purchase"),
        paths(log, start="view_item"),
        event_order(log),
        event_order(log, about="purchase"),
        distance_to_macro(log, Catalog.load("data/catalogs/ecommerce.toml")),
    ]
    for answer in answers:
        assert "95% interval" in answer.sentence()
        assert " of " in answer.sentence()
        assert answer.figure().layout.meta["alt"]
        assert answer.parameters


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda log: transitions(log, within="week"), "within='week'"),
        (lambda log: transitions(log, top=0), "top=0"),
        (lambda log: paths(log, to="bb"), "'bb' is not an event"),
        (lambda log: paths(log, length=60), "Allowed: up to"),
        (lambda log: paths(log, length=True), "length=True"),
        (lambda log: step_matrix(log, start="aa"), "'aa' is not an event"),
        (lambda log: event_order(log, most_false=2), "most_false=2"),
        (lambda log: event_order(log, about="aa"), "'aa' is not an event"),
        (lambda log: step_matrix(log, entered="2026"), "step_matrix: entered='2026'"),
    ],
)
def test_bad_input_raises_one_line(ask, message):
    frame = pd.DataFrame(
        {"user": ["u", "u"], "time": pd.to_datetime(["2026-01-01"] * 2), "event": ["a", "b"]}
    )
    with pytest.raises(UsageError, match=r"Allowed|summary") as error:
        ask(EventLog.from_frame(frame))
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_an_empty_log_says_what_to_do():
    frame = pd.DataFrame({"user": ["u"], "time": pd.to_datetime(["2026-01-01"]), "event": ["a"]})
    empty = EventLog.from_frame(frame.iloc[:0])
    with pytest.raises(DataError, match="workbook import"):
        transitions(empty)
    nothing = EventLog.from_frame(frame).between("2027-01-01")
    assert not len(transitions(nothing).table)
    assert "No transition" in transitions(nothing).sentence()
    assert "No path" in paths(nothing).sentence()
    assert "Too few" in step_matrix(nothing).sentence()
    assert "None of 0" in event_order(nothing).sentence()


@given(
    oracle.frames(),
    within,
    st.tuples(st.sampled_from([None, 0, 1, 60]), st.sampled_from([None, 61, 7200])),
)
def test_a_sequence_belongs_to_the_range_in_which_it_begins(frame, within, seconds):
    begin = pd.Timestamp("2026-03-01", tz="UTC")
    ends = [None if s is None else begin + pd.Timedelta(s, unit="s") for s in seconds]
    log = EventLog.from_frame(frame, shards=2)
    sequences = [
        sequence
        for sequence in oracle.sequences(frame, within)
        if (ends[0] is None or sequence[0].time >= ends[0])
        and (ends[1] is None or sequence[0].time < ends[1])
    ]
    asked = {"within": within, "entered": tuple(ends), "min_cell": 1}
    table = transitions(log, **asked).table
    pairs = zip(table["event"], table["next_event"], strict=True)
    assert dict(zip(pairs, table["k"], strict=True)) == {
        pair: own["k"] for pair, own in oracle.transitions(sequences).items()
    }
    wanted, units = oracle.positions(sequences, None, 2, back=False)
    matrix = step_matrix(log, steps=2, **asked).table
    places = zip(matrix["position"], matrix["event"], strict=True)
    assert dict(zip(places, matrix["k"], strict=True)) == dict(wanted)
    assert (matrix["n"] == units).all()
    walked = paths(log, length=2, top=99, **asked).table
    assert dict(zip(walked["events"], walked["count"], strict=True)) == {
        path: own["count"]
        for path, own in oracle.paths(sequences, (None, None), 2, collapse=True).items()
    }
    assert len(event_order(log, **asked).table) == len(oracle.orders(sequences))


def in_another_order(frame: pd.DataFrame, luck: Random) -> pd.DataFrame:
    """The same rows; those of one instant arrive in another order."""
    rows = list(range(len(frame)))
    luck.shuffle(rows)
    return frame.iloc[rows]


def moved(one: pd.DataFrame, two: pd.DataFrame, keys: list[str], k: str) -> float:
    """How many of one table's counts are elsewhere in the other."""
    a, b = (table.set_index(keys)[k].astype(float) for table in (one, two))
    return float(a.sub(b, fill_value=0).abs().sum()) / 2


@given(oracle.frames(), within, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing_in_silence(frame, within, collapse, luck):
    """Rows of one instant in another order: the same answer, or the share that hangs on it."""
    logs = [EventLog.from_frame(own) for own in (frame, in_another_order(frame, luck))]
    asked = {"within": within, "min_cell": 1}
    to = "d" if "d" in set(frame["event"]) else None

    one, two = (transitions(log, **asked) for log in logs)
    tied, every = oracle.tied_departures(oracle.sequences(frame, within))
    assert one.parameters["tied"] == two.parameters["tied"] == (tied / every if every else 0)
    assert any("of the departures depend on" in w for w in one.warnings) == bool(tied)
    assert moved(one.table, two.table, ["event", "next_event"], "k") <= tied

    one, two = (step_matrix(log, to=to, steps=2, **asked) for log in logs)
    for direction, n in one.table.groupby("direction")["n"].first().items():
        share = one.parameters["tied"][direction]
        if share == 0:
            assert two.parameters["tied"][direction] == 0
        else:
            assert any("depend on the order of events of one instant" in w for w in one.warnings)
        a, b = (own.table[own.table["direction"] == direction] for own in (one, two))
        assert moved(a, b, ["position", "event"], "k") <= 3 * share * n + 1e-9

    one, two = (paths(log, to=to, length=3, collapse=collapse, top=999, **asked) for log in logs)
    lines = len(oracle.sequences(frame, within))
    assert one.parameters["tied"] == two.parameters["tied"]
    assert moved(one.table, two.table, ["events"], "count") <= one.parameters["tied"] * lines + 1e-9
    assert any("depend on the order of events" in w for w in one.warnings) == (
        one.parameters["tied"] > 0
    )
    if not one.parameters["tied"]:
        columns = ["events", "count", "n", "k"]
        a, b = (own.table.sort_values("path")[columns] for own in (one, two))
        pd.testing.assert_frame_equal(a.reset_index(drop=True), b.reset_index(drop=True))

    one, two = (event_order(log, **asked) for log in logs)
    pd.testing.assert_frame_equal(one.table, two.table)
    if to is not None and len(set(frame["event"])) > 1:
        one, two = (distance_to_macro(log, CATALOG, **asked) for log in logs)
        pd.testing.assert_frame_equal(one.table, two.table)
        assert one.warnings == two.warnings


def test_ties_are_told_with_their_share():
    """Of two hundred, fifty put something in the cart and bought in one second."""
    rows = [(f"u{k:03}", 0, "a") for k in range(200)]
    rows += [(f"u{k:03}", 1, event) for k in range(50) for event in ("d", "b")]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["time"], unit="min")
    log = EventLog.from_frame(frame)
    of_all = "25.0% (50 of 200) of the sessions"
    assert any(w.startswith(f"{of_all} depend on") for w in paths(log).warnings)
    assert any(w.startswith(f"{of_all} depend on") for w in step_matrix(log, steps=2).warnings)
    # Each of the fifty has a start and three departures, three of them about the second.
    assert any(
        w.startswith("30.0% (150 of 500) of the departures depend")
        for w in transitions(log).warnings
    )
    away = distance_to_macro(log, CATALOG)
    assert away.table.set_index("event").loc["b", ["k", "n", "median_steps"]].tolist() == [
        50,
        50,
        1,
    ]
    assert any(w.startswith("100% (50 of 50) of the users with d did") for w in away.warnings)
    assert away.parameters["tied"] == 1.0


def of_few() -> EventLog:
    """Of 60 who looked, ten put something in the cart and three bought, one of them without it."""
    rows = [(f"u{k:02}", 0, "a") for k in range(60)] + [(f"u{k:02}", 1, "b") for k in range(10)]
    rows += [("u00", 2, "d"), ("u01", 2, "d"), ("u20", 2, "d")]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["time"], unit="min")
    return EventLog.from_frame(frame)


def test_few_successes_of_many_people_are_shown():
    log = of_few()
    ways = paths(log, start="a", to="d")
    assert ways.table[["path", "k", "n"]].to_numpy().tolist() == [["a", 3, 60], ["a → b", 2, 10]]
    assert "5.0% (3 of 60" in ways.sentence()
    away = distance_to_macro(log, CATALOG).table.set_index("event")
    assert away.loc["b", ["k", "n", "rate"]].tolist() == [2, 10, 0.2]
    assert away.loc["b", ["rate_all", "low_all"]].notna().all()
    numbers = distance_to_macro(log, CATALOG).numbers()["macro_rate"]
    assert (numbers["value"], numbers["n"]) == (3 / 60, 60)
    orders = event_order(log).table.set_index(["a", "b"])
    assert orders.loc[("a", "b"), ["k", "n"]].tolist() == [10, 10]
    flows = transitions(log).table.set_index(["event", "next_event"])
    assert flows.loc[("a", "d"), ["k", "n"]].tolist() == [1, 60]
    assert flows.loc[("b", "d"), ["k", "n"]].tolist() == [2, 10]
    steps = step_matrix(log, steps=2).table.set_index(["position", "event"])
    assert steps.loc[(1, "d"), ["k", "n"]].tolist() == [1, 60]


def test_numbers_of_few_people_stand_nowhere():
    """Three people bought: what they did next, how far they were, who came before whom."""
    log = of_few()
    found = transitions(log)
    hidden = found.table[found.table["event"] == "d"]
    assert hidden[["k", "n", "rate", "low", "high", "users"]].isna().all(axis=None)
    assert found.table.loc[found.table["event"] != "d", "k"].notna().all()
    assert any(w.startswith("Hidden, what follows events of fewer than 5 people: 1 of")
               for w in found.warnings)  # fmt: skip
    back = step_matrix(log, to="d", steps=1)
    cells = back.table[back.table["direction"] == "to"]
    assert cells[["k", "n", "rate"]].isna().all(axis=None)
    assert "Hidden: fewer than 5 people have d." in back.warnings
    away = distance_to_macro(log, CATALOG)
    far = ["k_near", "near", "median_steps", "median_seconds", "coverage", "coverage_high"]
    assert away.table[far].isna().all(axis=None)
    assert set(away.table["behaves"]) == {"unclear"}
    orders = event_order(log).table
    pairs = orders[(orders["a"] == "d") | (orders["b"] == "d")]
    assert pairs[["k", "n", "both", "same_instant", "lift", "rate"]].isna().all(axis=None)
    few = distance_to_macro(log.in_segment(np.arange(60) < 3), CATALOG)
    assert np.isnan(few.numbers()["macro_rate"]["n"])


def test_many_sessions_of_few_people_are_hidden():
    """Four people come ten times each, look and buy."""
    rows = [(f"u{k}", day, event) for k in range(4) for day in range(10) for event in "abd"]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["time"], unit="D")
    frame["time"] += pd.to_timedelta(frame["event"].map("abd".index), unit="min")
    log = EventLog.from_frame(frame)
    assert log.sessions == 40
    numbers = ["k", "n", "rate", "low", "high"]
    for within in ("session", "user"):
        assert transitions(log, within=within).table[numbers].isna().all(axis=None)
        assert step_matrix(log, within=within).table[numbers].isna().all(axis=None)
        assert not len(paths(log, within=within).table)
        assert event_order(log, within=within).table[numbers].isna().all(axis=None)
        away = distance_to_macro(log, CATALOG, within=within)
        assert away.table[[*numbers, "coverage", "median_steps"]].isna().all(axis=None)
        assert np.isnan(away.numbers()["macro_rate"]["value"])
        assert step_matrix(log, within=within, min_cell=4).table["k"].notna().all()


def test_one_way_of_few_people_is_not_left_out_alone():
    """Who took it could be told from the others."""
    rows = [(f"u{k:02}", m, e) for k in range(60) for m, e in enumerate("ab" if k < 50 else "ac")]
    rows += [(f"v{k:02}", m, e) for k in range(3) for m, e in enumerate("ad")]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["time"], unit="min")
    found = paths(EventLog.from_frame(frame))
    assert found.table["path"].tolist() == ["a → b"]
    assert "Left out: 2 paths, as fewer than 5 people took one of them." in found.warnings


def test_pairs_at_one_instant_do_not_tell_the_order_of_few():
    rows = [(f"u{k:02}", int(k < 3) * m, e) for k in range(20) for m, e in enumerate("ab")]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["time"] = pd.Timestamp("2026-03-01") + pd.to_timedelta(frame["time"], unit="min")
    row = event_order(EventLog.from_frame(frame)).table.iloc[0]
    assert row["both"] == 20
    assert row[["k", "n", "rate", "same_instant", "p_value"]].isna().all()
