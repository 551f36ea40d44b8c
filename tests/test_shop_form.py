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
from analysis.forms import form_fields
from analysis.shop_form import EVENTS
from analysis.shop_world import SHOP
from analysis.simulate import Simulation, simulate

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
    inside = frame["event"].isin(EVENTS)
    number = (~inside | (frame["user"] != frame["user"].shift())).cumsum()
    return [rows for _, rows in frame[inside].groupby(number[inside])]


def test_every_other_row_is_as_it_would_be_without_the_form(frame: pd.DataFrame) -> None:
    kept = frame[~frame["event"].isin(EVENTS)].drop(columns=["form", "field"])
    bare = simulate(seed=7, users=20_000, shop=BARE)
    pd.testing.assert_frame_equal(kept.reset_index(drop=True), bare.log.to_frame())
    assert len(bare.form) == 0


def test_rows_of_the_form_say_form_and_field_and_no_others_do(frame: pd.DataFrame) -> None:
    inside = frame["event"].isin(EVENTS)
    assert frame["form"].notna().equals(inside)
    assert set(frame.loc[inside, "form"]) == {"newsletter"}
    assert frame["field"].notna().sum() < inside.sum()
    assert set(frame.loc[frame["field"].isna() & inside, "event"]) == {"form_submit", "form_error"}


def test_who_sends_it_signs_up_next_and_nobody_else_does(frame: pd.DataFrame) -> None:
    following = frame["event"].shift(-1)[frame["event"] == "form_submit"]
    assert set(following) == {"newsletter_sign_up", "form_error"}
    before = frame["event"].shift()[frame["event"] == "newsletter_sign_up"]
    assert set(before) == {"form_submit"}
    signed = frame[frame["event"] == "newsletter_sign_up"].set_index("user")["time"]
    inside = frame[frame["event"].isin(EVENTS)]
    assert not (inside["time"] > inside["user"].map(signed)).any()


def test_where_people_stop_is_as_planted(made: Simulation, attempts: list[pd.DataFrame]) -> None:
    last = pd.Series([rows.iloc[-1]["field"] for rows in attempts]).dropna()
    planted = made.form.set_index("field")["stops"]
    seen = last.value_counts()[planted.index]
    assert len(last) > 1_000
    assert stats.chisquare(seen, planted * len(last)).pvalue > 1e-3
    assert 0.5 < len(last) / (len(attempts) - len(last)) < 1.5
    visits = [rows.iloc[0][["user", "session"]].str.cat(sep=" ") for rows in attempts]
    assert len(set(visits)) == len(visits)


def test_errors_blanks_refills_and_times_are_as_planted(made: Simulation) -> None:
    found = form_fields(made.log, "newsletter", min_cell=1)
    truth = made.form.set_index("field")
    assert found.table["field"].tolist() == truth.index.tolist()
    for row in found.table.itertuples():
        fact = truth.loc[row.field]
        past = int(row.n - row.k)
        tests = [
            (row.failed, past, (1 - fact["blank"]) * fact["error"]),
            (row.blanks, row.submits, fact["blank"]),
            (row.refills, row.submits - row.blanks, fact["refill"]),
        ]
        for k, n, share in tests:
            assert n > 500
            assert stats.binomtest(int(k), int(n), share).pvalue > 1e-3
        assert 0.8 * fact["seconds"] < row.median_seconds < 1.25 * fact["seconds"]
    hasty = found.ends.set_index("end").loc["blank submit", "k"]
    assert stats.binomtest(int(hasty), int(row.submits), SHOP.form.hasty).pvalue > 1e-3  # type: ignore[union-attr]
    top = found.table.loc[found.table["k"].idxmax()]
    assert top["field"] == "birthday"
    assert "Most stop at birthday" in found.sentence()
    assert "Birthday" in found.figure().layout.meta["alt"]


def test_a_shop_without_anybody_in_the_form_is_whole() -> None:
    assert isinstance(simulate(seed=3, users=1).log, EventLog)
