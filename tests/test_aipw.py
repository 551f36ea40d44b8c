"""The doubly robust estimate, judged by statsmodels' own standard error and planted truths."""

from __future__ import annotations

import numpy as np
import pytest
from statsmodels.discrete.discrete_model import Logit
from statsmodels.regression.linear_model import OLS
from statsmodels.treatment.treatment_effects import TreatmentEffect

from analysis.correlation.aipw import People, estimated
from analysis.statistics.stats import newcombe


def drawn(
    rng: np.random.Generator, n: int, effect: float, *, curve: float = 0.0, common: float = -0.8
) -> People:
    """A confounder x makes exposure and conversion likelier; with `curve`, conversion not
    linearly, so that the model of the outcome is wrong and that of exposure right."""
    x = rng.normal(size=n)
    exposed = rng.random(n) < 1 / (1 + np.exp(-(common + 0.9 * x)))
    rate = np.clip(0.25 + 0.06 * x + curve * (x**2 - 1) + effect * exposed, 0, 1)
    return People(exposed, rng.random(n) < rate, np.column_stack([np.ones(n), x]))


def robust(people: People, trim: float = 0.0):
    return estimated(people, trim)[0].set_index("basis").loc["doubly robust"]


@pytest.mark.parametrize("common", [-0.8, 2.0])
def test_estimate_and_error_are_those_of_statsmodels(common):
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


def test_chances_of_those_alike_are_those_of_a_fit_to_everybody():
    rng = np.random.default_rng(8)
    kind, level = rng.integers(0, 2, 1200), rng.integers(0, 5, 1200).astype(float)
    exposed = rng.random(1200) < 0.2 + 0.1 * kind + 0.05 * level
    known = np.column_stack([np.ones(1200), kind, level])
    _, chances, _ = estimated(People(exposed, rng.random(1200) < 0.3, known), 0.02)
    judge = Logit(exposed.astype(float), known).fit(disp=False, tol=1e-10)
    assert chances == pytest.approx(judge.predict(), abs=1e-6)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("columns", [1, 2])
def test_a_model_with_a_parameter_for_each_kind_is_each_kinds_share(columns):
    rng = np.random.default_rng(9)
    kind = rng.integers(0, columns, 900)
    exposed = rng.random(900) < 0.3 + 0.2 * kind
    known = np.column_stack([np.ones(900), kind])[:, :columns]
    _, chances, _ = estimated(People(exposed, rng.random(900) < 0.3, known), 0.02)
    for one in range(columns):
        assert chances[kind == one] == pytest.approx(exposed[kind == one].mean())


@pytest.mark.parametrize("curve", [0.0, 0.04])
def test_the_truth_is_covered_where_one_of_the_models_is_right(curve):
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


def test_the_crude_row_is_newcombes():
    people = drawn(np.random.default_rng(3), 800, 0.0)
    table = estimated(people, 0.0)[0]
    row = table.iloc[0]
    counts = [int(row[name]) for name in ("exposed_k", "exposed_n", "other_k", "other_n")]
    assert row[["difference", "low", "high"]].to_list() == pytest.approx(list(newcombe(*counts)))
    assert counts[1] + counts[3] == 800


def test_people_without_their_like_are_left_out():
    people = drawn(np.random.default_rng(4), 4000, 0.05)
    table, chances, kept = estimated(people, 0.1)
    assert (kept == ((chances >= 0.1) & (chances <= 0.9))).all()
    assert 0 < (~kept).sum() < 2000
    row = table.iloc[1]
    assert row["exposed_n"] + row["other_n"] == kept.sum()


def test_too_few_give_no_number():
    rng = np.random.default_rng(5)
    few = People(np.arange(400) < 29, rng.random(400) < 0.3, np.ones((400, 1)))
    rare = People(rng.random(400) < 0.5, np.arange(400) < 4, np.ones((400, 1)))
    nobody = People(np.zeros(0, bool), np.zeros(0, bool), np.ones((0, 1)))
    for people in (few, rare, nobody):
        found = robust(people)
        assert found[["difference", "low", "high", "exposed_rate"]].isna().all()
