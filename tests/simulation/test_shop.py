"""The shop's form against what is planted in it, and against the shop without it.

The judge is plain pandas on the log: attempts are told by their rows, and counts are held against
the planted shares by exact binomial tests. Seeds are fixed, so a limit never fails by chance.
"""

from __future__ import annotations

import dataclasses

import pandas as pd
import pytest
from scipy import stats

from analysis.eventlog.log import EventLog
from analysis.forms.result import form_fields
from analysis.simulation.kernels import EVENTS
from analysis.simulation.log import Simulation, simulate
from analysis.simulation.shop import CONTROLS, FORM_EVENTS, SHOP, truth

BARE = dataclasses.replace(SHOP, form=None)


@pytest.fixture(scope="module")
def made() -> Simulation:
    return simulate(seed=7, users=20_000)


@pytest.fixture(scope="module")
def frame(made: Simulation) -> pd.DataFrame:
    return made.log.to_frame()


@pytest.fixture(scope="module")
def attempts(frame: pd.DataFrame) -> list[pd.DataFrame]:
    """The form's rows, attempt by attempt: the rows between two others."""
    inside = frame["event"].isin(FORM_EVENTS)
    number = (~inside | (frame["user"] != frame["user"].shift())).cumsum()
    return [rows for _, rows in frame[inside].groupby(number[inside])]


def test_every_other_row_is_as_it_would_be_without_the_form(frame: pd.DataFrame) -> None:
    kept = frame[~frame["event"].isin(FORM_EVENTS)].drop(columns=["form", "field"])
    bare = simulate(seed=7, users=20_000, shop=BARE)
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), bare.log.to_frame())
    assert len(bare.form) == 0


def test_rows_of_the_form_say_form_and_field_and_no_others_do(frame: pd.DataFrame) -> None:
    inside = frame["event"].isin(FORM_EVENTS)
    assert frame["form"].notna().equals(inside)
    assert set(frame.loc[inside, "form"]) == {"contact"}
    assert frame["field"].notna().sum() < inside.sum()
    assert set(frame.loc[frame["field"].isna() & inside, "event"]) == {"form_submit", "form_error"}


def test_an_attempt_lies_within_a_visit_and_ends_before_the_next_row(
    frame: pd.DataFrame, attempts: list[pd.DataFrame]
) -> None:
    visits = [tuple(rows.iloc[0][["user", "session"]]) for rows in attempts]
    assert len(set(visits)) == len(visits)
    for rows in attempts:
        assert rows[["user", "session"]].nunique().tolist() == [1, 1]
        assert rows.index[0] == rows.index[-1] - len(rows) + 1
        assert rows["time"].iloc[-1] - rows["time"].iloc[0] < pd.Timedelta("20s")
    before = frame["event"][[rows.index[0] - 1 for rows in attempts]]
    assert set(before) <= {"page_view", "view_item", "view_item_list", "search", "select_item"}


def test_it_is_sent_by_those_who_stop_nowhere(
    made: Simulation, attempts: list[pd.DataFrame]
) -> None:
    sent = sum(rows.iloc[-1]["event"] == "form_submit" for rows in attempts)
    share = float((1 - made.form["stop"]).prod())
    assert stats.binomtest(sent, len(attempts), share).pvalue > 1e-3


def test_errors_blanks_refills_and_times_are_as_planted(made: Simulation) -> None:
    found = form_fields(made.log, "contact", macro="purchase", min_cell=1)
    truth = made.form.set_index("field")
    assert found.table["field"].tolist() == truth.index.tolist()
    for row in found.table.itertuples():
        fact = truth.loc[row.field]
        past = int(row.n - row.k)
        tests = [
            (row.k, row.n, fact["stop"]),
            (row.failed, past, (1 - fact["blank"]) * fact["error"]),
            (row.blanks, row.submits, fact["blank"]),
            (row.refills, row.submits - row.blanks, fact["refill"]),
        ]
        for k, n, share in tests:
            assert n > 250
            assert stats.binomtest(int(k), int(n), share).pvalue > 1e-3
        assert 0.8 * fact["seconds"] < row.median_seconds < 1.25 * fact["seconds"]
    hasty = found.ends.set_index("end").loc["blank submit", "k"]
    assert stats.binomtest(int(hasty), int(row.submits), SHOP.form.hasty).pvalue > 1e-3  # type: ignore[union-attr]
    top = found.table.loc[found.table["k"].idxmax()]
    assert top["field"] == "order_number"
    assert "Most stop at order_number" in found.sentence()
    assert "Order number" in found.figure().layout.meta["alt"]
    # It changes nobody's purchase, and the answer does not say that it does.
    ends = found.ends.set_index("end")
    done, rest = ends.loc["done"], ends.loc["given up"]
    assert done["macro_low"] < rest["macro_rate"] < done["macro_high"]
    assert any("not what the form brings about" in warning for warning in found.warnings)


def test_a_shop_without_anybody_in_the_form_is_whole() -> None:
    assert isinstance(simulate(seed=3, users=1).log, EventLog)


# ── The table of truths against the shop it speaks of.


def test_the_truth_names_events_of_the_log_and_says_each_once() -> None:
    facts = truth(SHOP)
    assert set(facts["event"]) <= set(EVENTS)
    assert facts["event"].is_unique
    assert list(facts["kind"].value_counts()[["placebo", "structural", "raises"]]) == [8, 4, 2]
    assert len(CONTROLS) == 8


def test_only_what_is_said_to_work_works() -> None:
    facts = truth(SHOP).set_index("kind")
    assert (facts.loc["raises", "hazard_ratio"] > 1).all()
    assert facts.loc["lowers", "hazard_ratio"] < 1
    inert = facts.loc[["placebo", "shares_activity", "shares_interest", "brings_back", "adverse"]]
    assert (inert["hazard_ratio"] == 1).all()
    assert facts.loc["structural", "hazard_ratio"].isna().all()
    assert facts.loc["brings_back", "visit_ratio"] == 1.5
    assert facts.loc["adverse", "visit_ratio"] * 1.5 == pytest.approx(1)


def test_the_incident_is_the_week_before_the_last_monday() -> None:
    incident = truth(SHOP).set_index("kind").loc["incident"]
    assert incident["since"] == pd.Timestamp("2026-11-09", tz="UTC")
    assert incident["until"] - incident["since"] == pd.Timedelta(days=7)
    assert (incident["event"], incident["device"], incident["hazard_ratio"]) == (
        "purchase",
        "mobile",
        0.4,
    )
