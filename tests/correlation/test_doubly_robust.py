"""The landmark cohort, counted anew in pandas; words, warnings, wrong use."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.linear_model import OLS
from statsmodels.treatment.treatment_effects import TreatmentEffect

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.doubly_robust import People, doubly_robust, estimated
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate
from analysis.statistics.rates import newcombe

SHOP = Catalog.load("data/catalogs/ecommerce.toml")


LOG = simulate(seed=5, users=6000).log


FORTNIGHT = pd.Timedelta(14, "D")


RESULT = doubly_robust(LOG, SHOP, "video_start", horizon="14d", adjust=("activity", "device"))


def test_the_cohort_is_that_of_pandas() -> None:
    frame = LOG.to_frame()
    first = frame.groupby("user")["time"].min()
    after = frame["time"] - frame["user"].map(first)
    bought = after[frame["event"] == "purchase"].groupby(frame["user"]).min().reindex(first.index)
    did = after[frame["event"] == "video_start"].groupby(frame["user"]).min().reindex(first.index)
    day, fortnight = pd.Timedelta(1, "D"), pd.Timedelta(14, "D")
    mature = first + fortnight <= LOG.covers_until
    at_risk = mature & ~(bought < day)
    exposed, converted = at_risk & (did < day), at_risk & (bought < fortnight)
    crude = RESULT.table.iloc[0]
    assert crude["exposed_n"] == exposed.sum()
    assert crude["exposed_k"] == (exposed & converted).sum()
    assert crude["other_n"] == (at_risk & ~exposed).sum()
    assert crude["other_k"] == (converted & ~exposed).sum()


def test_from_a_milestone_on_it_is_the_log_that_begins_there() -> None:
    frame = LOG.to_frame()
    looked = frame["event"].eq("view_item").groupby(frame["user"]).cumsum() > 0
    rest = EventLog.from_frame(frame[looked], covers_until=LOG.covers_until)
    options = {"horizon": "14d", "controls": []}
    found = doubly_robust(LOG, SHOP, "video_start", start="view_item", **options)
    plain = doubly_robust(rest, SHOP, "video_start", **options)
    pd.testing.assert_frame_equal(found.table, plain.table)
    assert found.parameters["start"] == "view_item"


def test_how_many_conversions_the_landmark_throws_away_is_said() -> None:
    frame = LOG.to_frame()
    first = frame.groupby("user")["time"].min()
    bought = frame[frame["event"] == "purchase"].groupby("user")["time"].min()
    wait = (bought - first[bought.index])[first[bought.index] <= LOG.covers_until - FORTNIGHT]
    wait = wait[wait < FORTNIGHT]
    early = (wait < pd.Timedelta(1, "D")).sum()
    assert (
        f"({early} of {len(wait)}) of the conversions come before the landmark, within 24 h"
        in (RESULT.warnings[0])
    )


def test_who_is_followed_to_the_last_instant_is_followed() -> None:
    """A horizon that ends when the log does is covered; one that ends an instant later is not."""
    start = pd.Timestamp("2026-01-01", tz="UTC")
    frame = pd.DataFrame({"user": "a", "event": ["view_item", "purchase", "video_start"]})
    frame["time"] = [start, start + pd.Timedelta(1, "h"), start + pd.Timedelta(2, "h")]
    for late, said in ((0, "100% (1 of 1) of the conversions come before"), (1, "The log follows")):
        end = start + FORTNIGHT - pd.Timedelta(late, "us")
        log = EventLog.from_frame(frame, covers_until=end)
        result = doubly_robust(log, SHOP, "video_start", horizon="14d", controls=[])
        assert result.warnings[0].startswith(said)


def test_people_add_up() -> None:
    robust = RESULT.table.iloc[1]
    overlap = RESULT.overlap
    assert overlap["exposed"].sum() == robust["exposed_n"]
    assert overlap["other"].sum() == robust["other_n"]
    crude = RESULT.table.iloc[0]
    people = crude["exposed_n"] + crude["other_n"]
    assert overlap[["exposed", "other", "trimmed"]].sum().sum() == people
    assert f"({overlap['trimmed'].sum():,} of {people:,.0f})" in RESULT.warnings[1]


def test_the_sentence_has_the_difference_its_interval_and_the_controls() -> None:
    said = RESULT.sentence()
    crude = RESULT.table.iloc[0]
    assert f"({crude['exposed_k']:.0f} of {crude['exposed_n']:,.0f})" in said
    assert "against others like them (n = " in said
    known = RESULT.controls["difference"].notna().sum()
    assert f"For {known} negative controls the same method finds" in said
    assert "experiment" in RESULT.warnings[-1]


def test_the_figure_tells_both_groups() -> None:
    alt = RESULT.figure().layout.meta["alt"]
    assert "had done it" in alt
    assert f"{RESULT.overlap['trimmed'].sum():,} users without their like are left out" in alt


def test_too_few() -> None:
    result = doubly_robust(LOG, SHOP, "unsubscribe", horizon="14d")
    assert "not enough data: " in result.sentence()
    assert result.table.loc[1, ["difference", "low", "high"]].isna().all()
    assert "Too few people" in result.figure().layout.meta["alt"]
    unseen = doubly_robust(LOG.between(end="2026-08-25"), SHOP, "video_start", horizon="14d")
    assert "0 users had done it" in unseen.sentence()
    assert unseen.warnings[0] == (
        "The log follows nobody for the whole horizon of 14 days. Take a shorter horizon."
    )
    frame = LOG.to_frame()
    unsold = EventLog.from_frame(frame[frame["event"] != "purchase"], covers_until=LOG.covers_until)
    nothing = doubly_robust(unsold, SHOP, "video_start", horizon="14d")
    assert nothing.table.loc[1, ["difference", "low", "high"]].isna().all()
    assert nothing.warnings[0].startswith("Nobody converted between the landmark")


@pytest.mark.parametrize(
    ("wrong", "match"),
    [
        ({"landmark": "30d"}, "is not before horizon='14d'"),
        ({"trim": 0.5}, "fraction from 0 to 0.5"),
        ({"trim": "much"}, "fraction from 0 to 0.5"),
        ({"adjust": ["devise"]}, "Did you mean 'device'"),
        ({"landmark": 1}, "has no unit"),
    ],
)
def test_wrong_use(wrong: dict[str, Any], match: str) -> None:
    with pytest.raises(UsageError, match=match):
        doubly_robust(LOG, SHOP, "video_start", horizon="14d", **wrong)
    with pytest.raises(UsageError, match="Did you mean 'video_start'"):
        doubly_robust(LOG, SHOP, "video_star")


def test_the_landmark_is_a_day_or_a_quarter_of_a_short_horizon() -> None:
    assert RESULT.landmark_us == 86_400_000_000
    short = doubly_robust(LOG, SHOP, "video_start", horizon="1h")
    assert short.landmark_us == 900_000_000
    assert "15 min after entry" in short.sentence()
    given = doubly_robust(LOG, SHOP, "video_start", horizon="14d", landmark="24h", controls=[])
    same = doubly_robust(LOG, SHOP, "video_start", horizon="14d", controls=[])
    pd.testing.assert_frame_equal(given.table, same.table)


def test_few_people_are_hidden_and_cannot_be_told_from_sums() -> None:
    few = 25
    hidden = doubly_robust(
        LOG, SHOP, "video_start", horizon="14d", adjust=("activity", "device"), min_cell=few
    )
    assert hidden.table["exposed_n"].notna().all()
    for name in ("exposed", "other", "trimmed"):
        seen, own = RESULT.overlap[name], hidden.overlap[name]
        assert own[(seen > 0) & (seen < few)].isna().all()
        assert own.isna().sum() != 1
    gone = hidden.controls["exposed_k"].isna()
    assert (gone == (RESULT.controls["exposed_n"] < few)).all()
    # Few conversions of many who did it are shown.
    assert (hidden.controls.loc[~gone, "exposed_k"] < few).any()
    assert hidden.controls.loc[gone, "difference"].isna().all()
    assert "too few to show had done it" in hidden.figure().layout.meta["alt"]
    notes = [note.text for note in hidden.figure().layout.annotations]
    assert any("users in the bars shown" in text for text in notes)
    nothing = doubly_robust(LOG, SHOP, "video_start", horizon="14d", min_cell=1000)
    assert nothing.table.drop(columns="basis").isna().all(axis=None)
    assert nothing.sentence() == "Product video started: too few people to show."
    assert not any("1 of 2" in text for text in nothing.warnings)
    with pytest.raises(UsageError, match="min_cell=0"):
        doubly_robust(LOG, SHOP, "video_start", min_cell=0)


# ── The doubly robust estimate, judged by statsmodels' own standard error and planted truths.


def drawn(
    rng: np.random.Generator, n: int, effect: float, *, curve: float = 0.0, common: float = -0.8
) -> People:
    """A confounder x makes exposure and conversion likelier; with `curve`, conversion not
    linearly, so that the model of the outcome is wrong and that of exposure right."""
    x = rng.normal(size=n)
    exposed = rng.random(n) < 1 / (1 + np.exp(-(common + 0.9 * x)))
    rate = np.clip(0.25 + 0.06 * x + curve * (x**2 - 1) + effect * exposed, 0, 1)
    return People(exposed, rng.random(n) < rate, np.column_stack([np.ones(n), x]))


def robust(people: People, trim: float = 0.0) -> Any:
    return estimated(people, trim)[0].set_index("basis").loc["doubly robust"]


@pytest.mark.parametrize("common", [-0.8, 2.0])
def test_estimate_and_error_are_those_of_statsmodels(common: float) -> None:
    people = drawn(np.random.default_rng(1), 1500, 0.05, common=common)
    found = robust(people)
    t, y = people.exposed.astype(float), people.converted.astype(float)
    select = Logit(t, people.known).fit(disp=False)
    judge = TreatmentEffect(OLS(y, people.known), t, results_select=select).aipw()
    assert found["difference"] == pytest.approx(judge.results_gmm.params[0], rel=1e-3)
    width = (found["high"] - found["low"]) / 2 / 1.959964
    # Theirs counts the models' own errors in: equal in large samples, here on average.
    assert width == pytest.approx(judge.results_gmm.bse[0], rel=0.06)
    assert found["other_rate"] == pytest.approx(judge.results_gmm.params[1], rel=1e-4)
    assert found["exposed_rate"] - found["other_rate"] == pytest.approx(found["difference"])


def test_chances_of_those_alike_are_those_of_a_fit_to_everybody() -> None:
    rng = np.random.default_rng(8)
    kind, level = rng.integers(0, 2, 1200), rng.integers(0, 5, 1200).astype(float)
    exposed = rng.random(1200) < 0.2 + 0.1 * kind + 0.05 * level
    known = np.column_stack([np.ones(1200), kind, level])
    _, chances, _ = estimated(People(exposed, rng.random(1200) < 0.3, known), 0.02)
    judge = Logit(exposed.astype(float), known).fit(disp=False, tol=1e-10)
    assert chances == pytest.approx(judge.predict(), abs=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("columns", [1, 2])
def test_a_model_with_a_parameter_for_each_kind_is_each_kinds_share(columns: int) -> None:
    rng = np.random.default_rng(9)
    kind = rng.integers(0, columns, 900)
    exposed = rng.random(900) < 0.3 + 0.2 * kind
    known = np.column_stack([np.ones(900), kind])[:, :columns]
    _, chances, _ = estimated(People(exposed, rng.random(900) < 0.3, known), 0.02)
    for one in range(columns):
        assert chances[kind == one] == pytest.approx(exposed[kind == one].mean())


@pytest.mark.parametrize("curve", [0.0, 0.04])
def test_the_truth_is_covered_where_one_of_the_models_is_right(curve: float) -> None:
    rng = np.random.default_rng(2)
    found = [robust(drawn(rng, 3000, 0.05, curve=curve)) for _ in range(100)]
    crude = [
        estimated(drawn(rng, 3000, 0.05, curve=curve), 0.0)[0]["difference"][0] for _ in range(20)
    ]
    middle = np.mean([row["difference"] for row in found])
    assert middle == pytest.approx(0.05, abs=0.005)
    assert np.mean(crude) > 0.08
    covered = [row["low"] < 0.05 < row["high"] for row in found]
    assert 0.90 <= np.mean(covered) <= 0.99


def test_the_crude_row_is_newcombes() -> None:
    people = drawn(np.random.default_rng(3), 800, 0.0)
    table = estimated(people, 0.0)[0]
    row = table.iloc[0]
    counts = [int(row[name]) for name in ("exposed_k", "exposed_n", "other_k", "other_n")]
    assert row[["difference", "low", "high"]].to_list() == pytest.approx(list(newcombe(*counts)))
    assert counts[1] + counts[3] == 800


def test_people_without_their_like_are_left_out() -> None:
    people = drawn(np.random.default_rng(4), 4000, 0.05)
    table, chances, kept = estimated(people, 0.1)
    assert (kept == ((chances >= 0.1) & (chances <= 0.9))).all()
    assert 0 < (~kept).sum() < 2000
    row = table.iloc[1]
    assert row["exposed_n"] + row["other_n"] == kept.sum()


def test_too_few_give_no_number() -> None:
    rng = np.random.default_rng(5)
    few = People(np.arange(400) < 29, rng.random(400) < 0.3, np.ones((400, 1)))
    rare = People(rng.random(400) < 0.5, np.arange(400) < 4, np.ones((400, 1)))
    nobody = People(np.zeros(0, bool), np.zeros(0, bool), np.ones((0, 1)))
    for people in (few, rare, nobody):
        found = robust(people)
        assert found[["difference", "low", "high", "exposed_rate"]].isna().all()
