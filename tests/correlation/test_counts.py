"""Who had done it before: against an oracle, against the rows, and at the edges."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles.exposure_oracle import Answer, Seen, Spec, answer, bin_of

from analysis import Catalog, EventLog
from analysis.core.schema import DataError, UsageError
from analysis.correlation.counts import (
    ExposureCounts,
    exposure_counts,
    peers_table,
    period_tables,
    person_periods,
    trial_tables,
)
from analysis.correlation.kernels import NEVER
from analysis.correlation.plan import (
    ExposureOptions,
    bin_labels,
    check_size,
    entry_rows,
    exposure_plan,
    first_times,
    period_edges,
)
from analysis.simulation.log import simulate

BASE = 1_800_000_000_000_000
MINUTE = 60_000_000
SHOP = Catalog.from_mapping(
    {
        "name": "shop",
        "events": {
            "buy": {"role": "macro"},
            "video": {"role": "secondary"},
            "cart": {"role": "milestone"},
            "imprint": {"role": "control"},
        },
    }
)
EVENTS = ("cart", "video", "imprint")
NAMES = ["buy", "video", "cart", "imprint", "visit", "scroll"]
COLUMNS = ["user", "time", "event", "session", "device"]


def frame_of(rows: list[tuple[Any, ...]]) -> pd.DataFrame:
    """Rows of (user, minutes, event[, session[, device]])."""
    full = [(*row, *[None, None][len(row) - 3 :]) for row in rows]
    frame = pd.DataFrame(full, columns=COLUMNS)
    us = np.array([round(minutes * MINUTE) for minutes in frame["time"]], "int64")
    frame["time"] = pd.to_datetime(us + BASE, unit="us", utc=True)
    return frame.astype({"user": "str", "event": "str", "session": "str", "device": "str"})


def people_of(frame: pd.DataFrame) -> dict[str, list[Seen]]:
    """Every user's events in the order of time, ties in the order of arrival."""
    people: dict[str, list[Seen]] = {}
    for row in frame.sort_values("time", kind="stable").itertuples():
        seen = people.setdefault(row.user, [])
        us = int(pd.Timestamp(row.time).value // 1000)
        session = None if pd.isna(row.session) else row.session
        seen.append(Seen(us, row.event, session, None if pd.isna(row.device) else row.device))
    return people


def spec(edges: np.ndarray, covers: int, start: str | None) -> Spec:
    events = tuple(name for name in EVENTS if name != start)
    context = frozenset({"visit", "scroll"})
    return Spec("buy", events, context, tuple(edges.tolist()), covers, start)


# Minutes that lie on edges of cells, between them, and together.
clock = st.sampled_from([0, 0, 0.5, 1, 1, 1.5, 2, 3, 4, 5, 6.99, 7, 9, 10, 29, 30, 31, 60, 90, 200])
row = st.tuples(
    st.sampled_from(["ann", "bob", "cyd", "dan"]),
    clock,
    st.sampled_from(NAMES),
    st.sampled_from(["1", "2", None]),
    st.sampled_from(["mobile", "desktop", None]),
)


@st.composite
def logs(draw: st.DrawFn) -> tuple[pd.DataFrame, EventLog, int]:
    """A small log, or a view of one, its shown rows, and until when it is complete."""
    # Somebody does everything, so that the log knows every name.
    rows = [("zed", minute, name, "1", "mobile") for minute, name in enumerate(NAMES)]
    frame = frame_of(draw(st.lists(row, max_size=40)) + rows)
    covers = BASE + draw(st.sampled_from([3, 61, 90, 91, 250, 2000])) * MINUTE
    log = EventLog.from_frame(
        frame,
        covers_until=pd.Timestamp(covers, unit="us", tz="UTC"),
        shards=draw(st.sampled_from([1, 2, 4])),
    )
    if draw(st.booleans()):
        return frame, log, covers
    return frame[frame["device"] == "mobile"], log.where(device="mobile"), covers


def compare(counts: ExposureCounts, found: Answer, edges: np.ndarray, by: str | None) -> None:
    """Every number of the counts against the oracle's."""
    strata = list(counts.strata.itertuples(index=False, name=None))
    at_risk, macros = np.zeros_like(counts.at_risk), np.zeros_like(counts.macros)
    for seen in found.rows:
        group = {None: "all", "device": seen.value or "(missing)"}.get(
            by, "returning" if seen.returning else "new"
        )
        stratum = strata.index((bin_labels()[bin_of(seen.context)], seen.value or "(missing)"))
        for k in range(len(counts.events)):
            place = (k, min(seen.times[k], 3), counts.groups.index(group), seen.cell, stratum)
            at_risk[place] += 1
            macros[place] += seen.converted
    np.testing.assert_array_equal(counts.at_risk, at_risk)
    np.testing.assert_array_equal(counts.macros, macros)
    trials = {"users": counts.trial_users, "macros": counts.trial_macros}
    for name, table in trials.items():
        expected = np.zeros_like(table)
        for (what, *place), number in found.trials.items():  # type: ignore[assignment]
            if what == name:
                expected[tuple(place)] += number
        np.testing.assert_array_equal(table, expected)
    for k, name in enumerate(counts.events):
        assert counts.users[k] == found.facts["users", k]
        assert counts.structural[k] == found.facts["structural", k]
        assert counts.waits_us[k].tolist() == sorted(found.waits[name])
        expected_peers = [[found.facts["peers", k, d, c] for c in (0, 1)] for d in (0, 1)]
        assert counts.peers[k].tolist() == expected_peers
    for name in ("units", "mature", "converters", "first_cell"):
        assert getattr(counts, name) == found.facts[name]
    assert counts.converters_counted == sum(seen.converted for seen in found.rows)


def compare_with_rows(counts: ExposureCounts, table: pd.DataFrame) -> None:
    """The counts of the pass against counts of the rows, by group and stratum."""
    strata = pd.MultiIndex.from_frame(counts.strata)
    stratum = strata.get_indexer(pd.MultiIndex.from_frame(table[["activity_bin", "device"]]))
    group = pd.Index(counts.groups).get_indexer(pd.Index(table["group"].astype("str")))
    for k, name in enumerate(counts.events):
        level = table[f"{name}_count"].clip(upper=3)
        assert table[name].equals(level > 0)
        found = np.zeros((2, *counts.at_risk.shape[1:]), np.int64)
        np.add.at(found[0], (level, group, table["period"], stratum), 1)
        np.add.at(found[1], (level, group, table["period"], stratum), table["converted"])
        np.testing.assert_array_equal(found[0], counts.at_risk[k])
        np.testing.assert_array_equal(found[1], counts.macros[k])


def compare_with_first_times(log: EventLog, counts: ExposureCounts, options: Any) -> None:
    """Before is the same thing where the instant is asked for."""
    plan = exposure_plan(log, SHOP, ExposureOptions(**options))
    did = np.zeros((2, len(counts.events)), np.int64)
    waits: list[int] = []
    for shard in log.shards:
        first = entry_rows(shard, log=log, start=plan.start)
        bought = plan.macro_rows(log, shard, first)
        rows = (first, bought)
        times = first_times(shard, log=log, plan=plan, names=counts.events, rows=rows)
        known = times < NEVER
        did += np.stack([known[:, bought < 0].sum(1), known[:, bought >= 0].sum(1)])
        lag = shard.time[np.maximum(bought, 0)] - np.where(known, times, 0)
        waits += lag[known & (bought >= 0)].tolist()
    np.testing.assert_array_equal(counts.peers[:, 1].T, did)
    assert sorted(waits) == sorted(np.concatenate([*counts.waits_us, []]).tolist())


@settings(max_examples=250, deadline=None)
@given(
    given_log=logs(),
    period=st.sampled_from(["auto", "1min", "5min", "7min", ["7min", "2min"]]),
    horizon=st.sampled_from(["30min", "61min", "90min", "3h"]),
    by=st.sampled_from([None, "device", "returning"]),
    start=st.sampled_from([None, None, "cart", "visit"]),
)
def test_counts_are_the_oracle_s_and_the_rows(
    given_log: tuple[pd.DataFrame, EventLog, int],
    period: Any,
    horizon: str,
    by: str | None,
    start: str | None,
) -> None:
    frame, log, covers = given_log
    options: dict[str, Any] = {
        "period": period,
        "horizon": horizon,
        "adjust": ("activity", "device"),
        "by": by,
        "start": start,
    }
    counts = exposure_counts(log, SHOP, ExposureOptions(**options))
    edges = period_edges(period, horizon)
    found = answer(people_of(frame), spec(edges, covers, start))
    compare(counts, found, edges, by)
    compare_with_first_times(log, counts, options)
    table = person_periods(log, SHOP, **options)
    rows = [
        (seen.unit, seen.cell, seen.converted, seen.context, *seen.times, seen.value or "(missing)")
        for seen in found.rows
    ]
    columns = [
        "user",
        "period",
        "converted",
        "activity",
        *(f"{e}_count" for e in counts.events),
        "device",
    ]
    assert sorted(table[columns].itertuples(index=False, name=None)) == sorted(rows)
    compare_with_rows(counts, table)


# ── edges, one at a time ────────────────────────────────────────────────────────────────────────


def log_of(rows: list[tuple[Any, ...]], *, until: float = 10_000, **options: Any) -> EventLog:
    covers = pd.Timestamp(BASE + round(until * MINUTE), unit="us", tz="UTC")
    return EventLog.from_frame(frame_of(rows), covers_until=covers, **options)


def counts_of(rows: list[tuple[Any, ...]], *, until: float = 10_000, **given: Any) -> Any:
    options = {"micros": ["video"], "period": "5min", "horizon": "20min"} | given
    return exposure_counts(log_of(rows, until=until), SHOP, ExposureOptions(**options))


def by_cell(counts: ExposureCounts) -> list[list[int]]:
    """Exposed at risk, unexposed at risk, and exposed and unexposed macros, by cell."""
    at_risk, macros = counts.at_risk.sum(axis=(2, 4))[0], counts.macros.sum(axis=(2, 4))[0]
    return [
        at_risk[1:].sum(axis=0).tolist(),
        at_risk[0].tolist(),
        macros[1:].sum(axis=0).tolist(),
        macros[0].tolist(),
    ]


VISIT = ("ann", 0, "visit")


@pytest.mark.parametrize(
    ("video", "exposed"), [(0, [0, 1, 1, 1]), (4.999, [0, 1, 1, 1]), (5, [0, 0, 1, 1])]
)
def test_an_event_at_the_edge_of_a_cell_is_not_before_it(video: float, exposed: list[int]) -> None:
    assert by_cell(counts_of([VISIT, ("ann", video, "video")]))[0] == exposed


def test_who_converts_is_no_longer_at_risk() -> None:
    rows = [VISIT, ("ann", 1, "video"), ("ann", 5, "buy"), ("ann", 12, "buy")]
    assert by_cell(counts_of(rows)) == [[0, 1, 0, 0], [1, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_what_follows_the_conversion_does_not_count_as_before() -> None:
    counts = counts_of([VISIT, ("ann", 6, "buy"), ("ann", 7, "video")])
    assert by_cell(counts) == [[0] * 4, [1, 1, 0, 0], [0] * 4, [0, 1, 0, 0]]
    assert peers_table(counts, "video").tolist() == [[0, 0], [1, 0]]
    assert counts.users.tolist() == [1]
    assert len(counts.waits_us[0]) == 0


def test_with_the_conversion_is_not_before_it_but_structural() -> None:
    counts = counts_of([(*VISIT, "1"), ("ann", 6, "buy", "1"), ("ann", 6, "video", "1")])
    assert by_cell(counts)[2] == [0] * 4
    assert counts.structural.tolist() == [1]
    assert peers_table(counts, "video").tolist() == [[0, 0], [1, 0]]


@pytest.mark.parametrize(
    ("minutes", "session", "structural"), [(30, "1", 1), (30.001, "1", 0), (1, "2", 0)]
)
def test_structural_is_half_an_hour_in_one_session(
    minutes: float, session: str, structural: int
) -> None:
    rows = [(*VISIT, session), ("ann", 0, "video", session), ("ann", minutes, "buy", "1")]
    assert counts_of(rows, horizon="2h").structural.tolist() == [structural]


def test_a_cell_that_the_log_does_not_cover_whole_does_not_count() -> None:
    rows = [VISIT, ("ann", 1, "video"), ("ann", 11, "buy")]
    counts = counts_of(rows, until=14)
    assert by_cell(counts) == [[0, 1, 0, 0], [1, 0, 0, 0], [0] * 4, [0] * 4]
    assert (counts.converters, counts.converters_counted, counts.mature) == (1, 0, 0)
    assert by_cell(counts_of(rows, until=15))[2] == [0, 0, 1, 0]


def test_the_conversion_at_the_end_of_the_horizon_is_beyond_it() -> None:
    assert counts_of([VISIT, ("ann", 20, "buy"), ("ann", 0, "video")]).converters == 0
    assert counts_of([VISIT, ("ann", 19.999, "buy"), ("ann", 0, "video")]).converters == 1


def test_doses_are_how_often_before() -> None:
    rows = [VISIT, *[("ann", minute, "video") for minute in (1, 2, 6, 6, 11)]]
    counts = counts_of(rows)
    assert counts.at_risk.sum(axis=(2, 4))[0].argmax(axis=0).tolist() == [0, 2, 3, 3]
    exposed = [period_tables(counts, "video", level=k)[:, 0].sum() for k in (1, 2, 3)]
    assert exposed == [0, 1, 2]


def test_an_event_s_own_count_is_no_activity() -> None:
    rows = [VISIT, ("ann", 1, "video"), ("ann", 2, "cart"), ("ann", 3, "imprint")]
    table = person_periods(log_of(rows), SHOP, period="5min", horizon="20min")
    assert table["activity"].tolist() == [0, 1, 1, 1]
    rows = [*rows, ("ann", 4, "scroll")]
    asked = {"micros": ["scroll"], "period": "5min", "horizon": "20min"}
    assert person_periods(log_of(rows), SHOP, **asked)["activity"].tolist() == [0, 1, 1, 1]


def test_trials_compare_those_who_do_it_with_those_active_who_have_not() -> None:
    rows = [
        *[(name, 0, "visit") for name in ("ann", "bob", "cyd", "dan")],
        *[("ann", 6, "visit"), ("ann", 7, "video"), ("ann", 12, "buy")],  # does it, and converts
        *[("bob", 6, "visit"), ("bob", 17, "visit")],  # has not yet
        *[("cyd", 7, "video")],  # does it, is not active
        *[("dan", 6, "visit"), ("dan", 8, "video"), ("dan", 8, "buy")],  # converts in the cell
    ]
    counts = counts_of(rows)
    assert counts.trial_users.sum(axis=(3, 4))[0].tolist() == [[4, 1, 0, 0], [0, 1, 0, 0]]
    assert counts.trial_macros.sum(axis=(3, 4))[0].tolist() == [[2, 0, 0, 0], [0, 1, 0, 0]]
    cell = trial_tables(counts, "video").reshape(4, 11, 11, 2, 2)[1]
    assert cell[1, 1].tolist() == [[1, 0], [0, 1]]
    assert cell.sum() == 2
    young = counts_of(rows, until=19)
    assert young.trial_users.sum() == 0
    assert "there are no trials" in young.warnings[-1]


# ── groups and strata ───────────────────────────────────────────────────────────────────────────


def test_calendar_groups_are_in_the_order_of_time() -> None:
    frame = pd.DataFrame(
        {
            "user": ["cyd", "bob", "ann"],
            "time": pd.to_datetime(["2026-12-31 23:59", "2027-01-01 00:01", "2027-01-04 00:00"]),
            "event": "visit",
        }
    )
    log = EventLog.from_frame(frame, covers_until="2027-03-01")
    names = {
        by: exposure_counts(log, SHOP, ExposureOptions(horizon="1h", by=by))
        for by in ("day", "week", "month")
    }
    assert names["day"].groups == ("2026-12-31", "2027-01-01", "2027-01-04")
    assert names["week"].groups == ("2026-W53", "2027-W01")
    assert names["month"].groups == ("2026-12", "2027-01")


def test_groups_add_up_to_everybody_and_shards_change_nothing() -> None:
    rng = np.random.default_rng(0)
    rows = [
        (f"u{u}", float(m), name, None, device)
        for u, m, name, device in zip(
            rng.integers(0, 300, 4_000),
            rng.integers(0, 60, 4_000),
            rng.choice(NAMES, 4_000),
            rng.choice([f"d{k:02d}" for k in range(20)], 4_000),
            strict=True,
        )
    ]
    options: dict[str, Any] = {"horizon": "1h", "adjust": ("activity", "device")}
    whole = exposure_counts(log_of(rows), SHOP, ExposureOptions(**options))
    assert len(whole.strata) == 11 * 13  # the twelve largest, and the rest
    assert whole.strata["device"].nunique() == 13
    for by in ("device", "returning", "week"):
        split = exposure_counts(log_of(rows, shards=4), SHOP, ExposureOptions(by=by, **options))
        assert len(split.groups) == {"device": 13, "returning": 2, "week": 1}[by]
        for name in ("at_risk", "macros"):
            total = getattr(split, name).sum(axis=2, keepdims=True)
            np.testing.assert_array_equal(total, getattr(whole, name))
        parts = [period_tables(split, "video", group=group) for group in split.groups]
        np.testing.assert_array_equal(sum(parts), period_tables(whole, "video"))
    unadjusted = exposure_counts(log_of(rows), SHOP, ExposureOptions(horizon="1h", adjust=()))
    assert len(unadjusted.strata) == 1
    np.testing.assert_array_equal(
        period_tables(unadjusted, 1), period_tables(whole, 1).reshape(10, -1, 2, 2).sum(axis=1)
    )


def test_a_log_may_have_more_names_than_a_mask_has_bits() -> None:
    names = [f"a{k:02d}" for k in range(70)] + ["buy", "video"]
    rows = [("zed", k, name) for k, name in enumerate(names)]
    rows += [
        VISIT,
        ("ann", 1, "video"),
        ("ann", 7, "buy"),
        ("bob", 0, "a09"),
        ("bob", 1, "a69"),
        ("cyd", 0, "a09"),
        ("cyd", 86, "a40"),
    ]
    counts = counts_of(rows, micros=["video", "a69", "a40"], horizon="90min")
    assert counts.converters == 2
    assert counts.users.tolist() == [2, 2, 2]
    assert [len(waits) for waits in counts.waits_us] == [1, 1, 1]


def test_who_comes_back_is_new_until_a_cell_after_the_second_session_began() -> None:
    rows = [(*VISIT, "1"), ("ann", 5, "visit", "2"), ("ann", 16, "video", "2")]
    counts = counts_of(rows, by="returning")
    assert counts.groups == ("new", "returning")
    assert counts.at_risk.sum(axis=(1, 4))[0].tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    table = person_periods(log_of(rows), SHOP, period="5min", horizon="20min", by="returning")
    assert table["group"].tolist() == ["new", "new", "returning", "returning"]


def test_bins_hold_what_they_are_called() -> None:
    rows = [
        VISIT,
        *[("ann", k, "visit") for k in (0.5, *np.arange(1, 5, 0.01))],
        (*VISIT[:2], "video"),
    ]
    table = person_periods(log_of(rows), SHOP, period="1s", horizon="6min")
    for count, label in zip(table["activity"], table["activity_bin"], strict=True):
        low, _, high = label.removesuffix("+").partition("-")
        top = 10**9 if label.endswith("+") else int(high or low)
        assert int(low) <= count <= top
    assert table["activity_bin"].nunique() == 11


# ── what may be asked ───────────────────────────────────────────────────────────────────────────

LOG = log_of([("ann", k, name, "1", "mobile") for k, name in enumerate(NAMES)])


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"micros": ["video", "buy"]}, "'buy' is the macro conversion and stands among"),
        ({"controls": ["buy"]}, "'buy' is the macro conversion"),
        ({"micros": ["video"], "controls": ["video"]}, "'video' is both a micro conversion and"),
        ({"micros": ["vidoe"]}, "'vidoe' is not an event of this log. Did you mean 'video'?"),
        ({"macro": "bye"}, "macro: 'bye' is not an event of this log. Did you mean 'buy'?"),
        ({"micros": "video"}, "'video' is not a list"),
        ({"adjust": ("activty",)}, "adjust='activty' is not a property of this log. Did you mean"),
        ({"by": "time"}, "'time' is a column, not a property"),
        ({"by": "wek"}, "Did you mean 'week'?"),
        ({"period": "1s"}, "makes 2,592,000 cells of the horizon 30 days"),
        ({"horizon": 30}, "has no unit"),
        ({"horizon": "9000d"}, "makes 9,013 cells"),
        ({"horizon": "0d"}, "must be longer than zero"),
    ],
)
def test_a_wrong_question_says_what_is_wrong(given: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError) as error:
        exposure_counts(LOG, SHOP, ExposureOptions(**given))
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_options_are_frozen_and_tell_cells_and_strata_as_plain_data() -> None:
    options = ExposureOptions(adjust="device", period=["1h"], horizon=pd.Timedelta("2h"))
    assert options.adjust == ("device",)
    assert options.cells_and_strata() == {
        "period": "['1h']",
        "horizon": "0 days 02:00:00",
        "adjust": ["device"],
    }
    with pytest.raises(AttributeError):
        options.by = "week"  # type: ignore[misc]


def test_tables_that_nobody_can_hold_are_refused() -> None:
    plan = exposure_plan(LOG, SHOP, ExposureOptions(period="10min"))
    check_size(plan, 12, 12)
    with pytest.raises(UsageError, match=r"3 events × 4,320 cells × 20 groups × 24 strata make 6"):
        check_size(plan, 20, 24)


def test_what_the_log_lacks_is_said_and_no_error() -> None:
    log = log_of([VISIT, ("ann", 1, "video")], until=60)
    counts = exposure_counts(log, SHOP, ExposureOptions(horizon="1d"))
    assert counts.events == ("video",)
    assert counts.macros.sum() == counts.trial_users.sum() == counts.peers[:, :, 1].sum() == 0
    said = " ".join(counts.warnings)
    many = {"name": "m", "events": {f"e{k}": {"role": "control"} for k in range(6)}}
    many["events"]["buy"] = {"role": "macro"}
    few = exposure_counts(log, Catalog.from_mapping(many), ExposureOptions(horizon="1h")).warnings
    assert "left out: “E0”, “E1”, “E2”, “E3” and 2 more." in few[1]
    assert "There is no control among the events" in said
    assert "Not in this log, and left out: “Cart”, “Imprint”." in said
    assert "None of 1 users has Buy within 24 h of the first event" in said
    assert "follows none of 1 users for the whole horizon" in said
    assert not exposure_counts(LOG, SHOP, ExposureOptions(horizon="1h")).warnings
    with pytest.raises(DataError, match="the log is empty"):
        exposure_counts(EventLog.from_frame(frame_of([VISIT])[:0]), SHOP)


def test_without_context_nothing_shows_activity() -> None:
    rows = [("ann", 0, "video"), ("ann", 1, "imprint"), ("ann", 2, "cart"), ("ann", 3, "buy")]
    counts = exposure_counts(log_of(rows), SHOP, ExposureOptions(horizon="1h"))
    assert "nothing is left that shows how active people are" in counts.warnings[0]
    assert counts.trial_users.sum() == 0
    assert counts.at_risk[..., 1:].sum() == 0


def test_a_control_that_is_asked_for_is_no_control_then() -> None:
    counts = exposure_counts(LOG, SHOP, ExposureOptions(micros=["imprint"], horizon="1h"))
    assert (counts.events, counts.controls) == (("imprint",), ())
    assert exposure_counts(LOG, SHOP, ExposureOptions(horizon="1h")).controls == ("imprint",)
    assert exposure_counts(LOG, SHOP, ExposureOptions(macro="cart", horizon="1h")).events == (
        "video",
        "imprint",
    )


def test_units_first_seen_before_a_day_are_left_out() -> None:
    base = simulate(seed=3, users=600).log
    since = base.start + pd.Timedelta(days=20)
    first = base.to_frame().groupby("user")["time"].min()
    kept = int((first >= since).sum())
    shop = Catalog.load("data/catalogs/ecommerce.toml")
    for start in (None, "view_item"):
        asked = ExposureOptions(start=start, since=since)
        found = exposure_counts(base, shop, asked)
        later = base.to_frame()
        later = later[later["user"].map(first) >= since]
        alone = EventLog.from_frame(later, covers_until=base.covers_until)
        judge = exposure_counts(alone, shop, ExposureOptions(start=start))
        assert found.units == judge.units <= kept
        np.testing.assert_array_equal(found.at_risk.sum((3, 4)), judge.at_risk.sum((3, 4)))
        np.testing.assert_array_equal(found.macros.sum((3, 4)), judge.macros.sum((3, 4)))
        everybody = exposure_counts(base, shop, ExposureOptions(start=start, since=base.start))
        gone = everybody.units - found.units
        assert found.warnings[0].startswith(f"{gone} users first seen before")
