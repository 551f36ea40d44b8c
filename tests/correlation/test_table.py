"""The table of micro conversions, judged by rows in pandas, statsmodels and arithmetic."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles.hand_counts import catalog_of, hand_counts
from scipy import stats
from statsmodels.stats.contingency_tables import StratifiedTable, Table2x2

from analysis.catalog import Catalog
from analysis.core.result import small, with_another
from analysis.core.schema import UsageError
from analysis.correlation.counts import LEVELS, exposure_counts, person_periods, trial_tables
from analysis.correlation.dose_response import dose_response
from analysis.correlation.horizons import compare_horizons
from analysis.correlation.plan import ExposureOptions
from analysis.correlation.result import micro_to_macro
from analysis.correlation.stability import stability
from analysis.correlation.table import COLUMNS, hide_small_groups, median_seconds, micro_table
from analysis.correlation.verdict import VerdictLimits
from analysis.simulation.log import simulate
from analysis.statistics.rates import q_values

SHOP = Catalog.load("data/catalogs/ecommerce.toml")


LOG = simulate(seed=5, users=3000).log


CONTROLS = [f"c{i}" for i in range(5)]


def table_of(
    ratio: float, *, exposed: int = 2000, others: int = 8000, rate: float = 0.05
) -> np.ndarray:
    """One stratum with about this odds ratio, without chance."""
    odds = ratio * rate / (1 - rate)
    a, c = round(exposed * odds / (1 + odds)), round(others * rate)
    return np.array([[[a, exposed - a], [c, others - c]]])


def told(
    ratios: dict[str, float], *, roles: Any = None, limits: Any = None, **options: Any
) -> pd.DataFrame:
    """The table for micros of these odds ratios, and controls of about 1.4."""
    placebo = {name: table_of(1.4 + 0.02 * (i - 2)) for i, name in enumerate(CONTROLS)}
    tables = {name: table_of(ratio) for name, ratio in ratios.items()} | placebo
    counts = hand_counts(tables, controls=CONTROLS, **options)
    table = micro_table(counts, catalog_of(list(ratios), CONTROLS, roles), limits=limits)
    return table.set_index("event")


def strata_of(rows: pd.DataFrame, event: str) -> list[np.ndarray]:
    """2×2 tables by period and bin of activity, counted from rows."""
    tables = []
    for _, own in rows.groupby(["period", "activity_bin"], observed=True):
        k = [own.loc[own[event] == did, "converted"] for did in (True, False)]
        if all(len(x) for x in k):
            tables.append(np.array([[x.sum(), (~x).sum()] for x in k], float))
    return tables


@pytest.mark.parametrize("event", ["video_start", "view_reviews", "logo_click"])
def test_crude_and_adjusted_are_those_of_the_rows_in_statsmodels(event: str) -> None:
    counts = exposure_counts(
        LOG, SHOP, ExposureOptions(micros=["video_start", "view_reviews"], horizon="10d")
    )
    found = micro_table(counts, SHOP).set_index("event").loc[event]
    rows = person_periods(
        LOG, SHOP, micros=["video_start", "view_reviews"], horizon="10d", controls=["logo_click"]
    )
    judge = StratifiedTable(strata_of(rows, event))
    assert found["adjusted"] == pytest.approx(judge.oddsratio_pooled)
    limits = judge.oddsratio_pooled_confint()
    assert (found["adjusted_low"], found["adjusted_high"]) == pytest.approx(limits)
    cells = pd.crosstab(~rows[event], ~rows["converted"]).to_numpy()
    crude = Table2x2(cells)
    assert found["crude"] == pytest.approx(crude.oddsratio)
    assert (found["crude_low"], found["crude_high"]) == pytest.approx(crude.oddsratio_confint())
    assert found["exposed_macros"] == cells[0, 0]
    assert found["macros"] == cells[:, 0].sum()


@pytest.mark.parametrize("event", ["video_start", "newsletter_sign_up", "logo_click"])
def test_total_is_that_of_the_trials_in_statsmodels(event: str) -> None:
    counts = exposure_counts(LOG, SHOP, ExposureOptions(horizon="10d"))
    found = micro_table(counts, SHOP).set_index("event").loc[event]
    tables = trial_tables(counts, event)
    both = (tables.sum(2) > 0).all(1)
    judge = StratifiedTable(list(tables[both].astype(float)))
    assert found["total"] == pytest.approx(judge.oddsratio_pooled)
    limits = judge.oddsratio_pooled_confint()
    assert (found["total_low"], found["total_high"]) == pytest.approx(limits)


def test_excess_is_of_those_exposed_before_they_converted() -> None:
    counts = exposure_counts(LOG, SHOP, ExposureOptions(horizon="10d"))
    found = micro_table(counts, SHOP).set_index("event").loc["video_start"]
    exposed = counts.peers[counts.events.index("video_start"), 1].sum()
    assert found["exposed_users"] == exposed < found["users"]
    expected = 1000 * found["exposed_macros"] * (1 - 1 / found["adjusted"]) / exposed
    assert found["excess_per_1000"] == pytest.approx(expected)


def test_the_columns_are_those_that_are_told() -> None:
    table = told({"a": 2.0})
    assert [table.index.name, *table.columns] == COLUMNS
    limits = [name.removesuffix("_low") for name in table if name.endswith("_low")]  # type: ignore[attr-defined]
    assert {"crude", "peers", "adjusted", "total", "calibrated", "reach", "dose"} <= set(limits)
    # Every interval holds its estimate.
    for name in ("crude", "peers", "adjusted", "calibrated", "reach", "dose", "excess"):
        middle = table["excess_per_1000"] if name == "excess" else table[name]
        known = middle.notna()
        assert (table[f"{name}_low"] <= middle)[known].all()
        assert (middle <= table[f"{name}_high"])[known].all()


def test_the_peers_rule_is_a_two_by_two_table() -> None:
    found = told({"a": 2.0}).loc["a"]
    (a, b), (c, d) = table_of(2.0)[0]
    assert found["peers"] == pytest.approx(a * d / b / c)
    assert found["reach"] == pytest.approx(a / (a + c))
    assert found["reach_k"] == a
    assert found["users"] == a + b


def test_calibrated_takes_the_mean_of_the_controls_off() -> None:
    table = told({"a": 2.8})
    controls = table.loc[CONTROLS]
    found = table.loc["a"]
    mean = np.exp(np.log(controls["adjusted"]).mean())
    assert found["calibrated"] == pytest.approx(found["adjusted"] / mean)
    assert found["calibrated"] == pytest.approx(2.0, rel=0.02)
    # Equal sizes: the prediction interval of one more control, by the t-test of one against five.
    judge = stats.ttest_ind([np.log(found["adjusted"])], np.log(controls["adjusted"]))
    assert found["p_value"] <= 0.01
    assert judge.pvalue < found["p_value"] * 1.001 or found["p_value"] == pytest.approx(
        judge.pvalue
    )
    # Controls are calibrated by the other ones, and have no q.
    own = np.log(controls["adjusted"])
    assert controls["calibrated"].iloc[0] == pytest.approx(
        np.exp(own.iloc[0] - own.iloc[1:].mean())
    )
    assert controls["q_value"].isna().all()
    assert set(controls["verdict"]) == {"control"}


def test_the_ranking_is_by_the_lower_limit_and_not_by_the_estimate() -> None:
    tables = {
        "lucky": table_of(8.0, exposed=8, others=9992),
        "sure": table_of(3.0),
        "cart": table_of(6.0),
    }
    tables |= {name: table_of(1.4 + 0.02 * i) for i, name in enumerate(CONTROLS)}
    counts = hand_counts(tables, controls=CONTROLS)
    catalog = catalog_of(["lucky", "sure"], CONTROLS, {"cart": "milestone"})
    table = micro_table(counts, catalog)
    assert table["event"].to_list()[:3] == ["sure", "lucky", "cart"]
    assert table.loc[1, "calibrated"] > table.loc[0, "calibrated"]
    assert set(table["event"][3:]) == set(CONTROLS)
    assert table.loc[2, "verdict"] == "structural"
    assert math.isnan(table.loc[2, "q_value"])


def test_q_values_leave_out_controls_and_what_is_required() -> None:
    table = told({"a": 2.0, "b": 1.5, "cart": 9.0}, roles={"cart": "milestone"})
    p = table.loc[["a", "b"], "p_value"].sort_values()
    assert table.loc[p.index, "q_value"].to_list() == pytest.approx(
        stats.false_discovery_control(p).tolist()
    )
    assert table["q_value"].notna().sum() == 2


def test_required_events_are_found_by_what_they_precede() -> None:
    many = told({"a": 2.0}, preceded={"a": 480}, first_cell=0)
    assert many.loc["a", "verdict"] == "structural"
    assert told({"a": 2.0}, preceded={"a": 30}).loc["a", "verdict"] == "leads"


def test_what_is_required_of_everybody_is_required_in_every_group() -> None:
    """Groups have no count of what precedes; an odds ratio of theirs is not judged either."""
    parts = {name: np.stack([table_of(ratio)] * 2) for name, ratio in (("a", 4.0), ("cart", 6.0))}
    parts |= {name: np.stack([table_of(1.4)] * 2) for name in CONTROLS}
    counts = hand_counts(
        parts, controls=CONTROLS, groups=("mobile", "desktop"), preceded={"cart": 1500}
    )
    table = micro_table(counts, catalog_of(["a", "cart"], CONTROLS)).set_index("event")
    assert 0.8 * counts.converters < 1500 < counts.converters
    assert set(table.loc["cart", "verdict"]) == {"structural"}
    assert set(table.loc["cart", "reason"]) == {table.loc["cart", "reason"].iloc[0]}
    assert table.loc["cart", "q_value"].isna().all()
    assert "structural" not in set(table.loc["a", "verdict"])
    assert table["q_value"].notna().sum() == 3


def test_too_many_conversions_in_the_first_period() -> None:
    table = told({"a": 2.8}, first_cell=5_000)
    assert table.loc["a", "verdict"] == "not_enough_data"
    assert "first period" in table.loc["a", "reason"]


def test_few_controls_do_not_calibrate() -> None:
    tables = {"a": table_of(2.8), "c0": table_of(1.4), "c1": table_of(1.4)}
    counts = hand_counts(tables, controls=["c0", "c1"])
    found = micro_table(counts, catalog_of(["a"], ["c0", "c1"])).set_index("event").loc["a"]
    assert found[["calibrated", "p_value", "q_value"]].isna().all()
    assert found["verdict"] == "goes_along"
    assert "there are 2 controls" in found["reason"]
    # The E-value is then that of the adjusted ratio.
    assert found["e_value"] == pytest.approx(2.8 + math.sqrt(2.8 * 1.8), rel=0.03)


def test_vague_controls_take_no_part() -> None:
    tables = {"a": table_of(2.8), "vague": table_of(3.0, exposed=30)}
    tables |= {name: table_of(1.4) for name in CONTROLS}
    counts = hand_counts(tables, controls=["vague", *CONTROLS])
    table = micro_table(counts, catalog_of(["a"], ["vague", *CONTROLS])).set_index("event")
    assert table.loc["a", "controls"] == 5
    assert table.loc["a", "calibrated"] == pytest.approx(2.0, rel=0.02)
    # It is calibrated by the others all the same, and shown.
    assert table.loc["vague", "verdict"] == "control"
    assert np.isfinite(table.loc["vague", "calibrated"])


def test_limits_are_obeyed() -> None:
    assert told({"a": 2.8}).loc["a", "verdict"] == "leads"
    strict = told({"a": 2.8}, limits=VerdictLimits(leads_above=2.5))
    assert strict.loc["a", "verdict"] == "not_enough_data"


def test_groups_are_told_beside_everybody() -> None:
    parts = {}
    for name, ratios in {"a": (2.0, 4.0), **dict.fromkeys(CONTROLS, (1.4, 1.4))}.items():
        parts[name] = np.stack([table_of(ratio) for ratio in ratios])
    counts = hand_counts(parts, controls=CONTROLS, groups=("mobile", "desktop"))
    table = micro_table(counts, catalog_of(["a"], CONTROLS))
    own = table[table["event"] == "a"].set_index("group")
    assert own.index.to_list() == ["all", "mobile", "desktop"]
    assert own["adjusted"].to_list() == pytest.approx([2.93, 2.0, 4.0], rel=0.06)
    assert own.loc["all", "macros"] == own.loc[["mobile", "desktop"], "macros"].sum()
    assert own["q_value"].notna().all()
    assert own.loc[["mobile", "desktop"], "users"].isna().all()
    # Every group ranks for itself, everybody first.
    assert table["group"].to_list() == ["all"] * 6 + ["mobile"] * 6 + ["desktop"] * 6


def test_nobody_converted() -> None:
    tables = {"a": np.array([[[0, 50], [0, 500]]]), "c0": np.array([[[0, 9], [0, 541]]])}
    counts = hand_counts(tables, controls=["c0"])
    table = micro_table(counts, catalog_of(["a"], ["c0"])).set_index("event")
    ratios = ["crude", "peers", "adjusted", "total", "calibrated", "reach", "dose", "e_value"]
    assert table[ratios].isna().all(axis=None)
    assert table.loc["a", "verdict"] == "not_enough_data"
    assert table.loc["a", "reason"] == "Nobody converted."


def test_q_values_of_nothing() -> None:
    assert np.isnan(q_values(np.array([np.nan, 0.2]), np.array([True, False]))).all()


def test_the_interval_of_a_median_covers_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    hits = [
        low <= math.log(2) <= high
        for _ in range(3000)
        for _, low, high in [median_seconds(np.sort(rng.exponential(1e6, 25)))]
    ]
    # Ranks are whole numbers: it covers a little more.
    assert 0.945 < np.mean(hits) < 0.975
    assert math.isnan(median_seconds(np.array([]))[0])
    assert median_seconds(np.array([1_000_000, 3_000_000]))[0] == 2.0
    assert math.isnan(median_seconds(np.array([1_000_000, 3_000_000]))[1])


# ── What is about few people is hidden, and no sum of what is shown gives it back.


LOG_OF_MICRO_CELLS = simulate(seed=5, users=1500).log


OPEN = micro_to_macro(LOG_OF_MICRO_CELLS, SHOP, by="device")


HIDDEN = micro_to_macro(LOG_OF_MICRO_CELLS, SHOP, by="device", min_cell=5)


KEYS = ["event", "group"]


@given(st.lists(st.integers(0, 12), min_size=1, max_size=8))
def test_never_one_part_alone(parts: list[int]) -> None:
    size = np.array(parts)
    hidden = with_another(small(size, 5), size)
    assert hidden[small(size, 5)].all()
    # Of a single hidden part that is not 0 the sum would tell.
    assert hidden.sum() != 1 or not (size[~hidden] > 0).any()


def people_of(counts: Any) -> dict[tuple[str, str], list[int]]:
    """Per event and group the most people in one period who had done it, and who had not."""
    found = {}
    for e, event in enumerate(counts.events):
        for g, group in enumerate(counts.groups):
            own = counts.at_risk[e, :, g].sum(axis=-1)
            found[event, group] = [int(own[1:].sum(axis=0).max()), int(own[0].max())]
        users = int(counts.users[e])
        found[event, "all"] = [users, counts.units - users]
    return found


def test_rows_of_few_lose_all_their_numbers_and_others_none() -> None:
    one, two = (result.table.set_index(KEYS) for result in (OPEN, HIDDEN))
    two = two.loc[one.index]
    gone = two["macros"].isna().to_numpy()
    people = people_of(OPEN.counts)
    few = np.array([small(people[key], 5).any() for key in one.index])
    assert few.any()
    assert gone[few].all()
    # What is hidden besides is the smallest group beside one of few.
    assert gone.sum() <= 2 * few.sum()
    # Few conversions of many people are shown.
    assert small(one.loc[~gone, "exposed_macros"], 5).any()
    numbers = one.select_dtypes("number").columns.drop("controls")
    assert two.loc[gone, numbers].isna().all(axis=None)
    lags = [name for name in one.columns if str(name).startswith("median_lag")]
    shown, told = (own.loc[~gone].drop(columns=lags) for own in (one, two))
    pd.testing.assert_frame_equal(shown, told, check_dtype=False)
    # A median of few waits is about few people.
    assert two.loc[small(one["reach_k"], 5), lags].isna().all(axis=None)
    assert not set(two.loc[gone, "verdict"]) & {"leads", "inverse", "vanity", "goes_along"}


def test_no_event_has_one_hidden_group_beside_shown_ones() -> None:
    groups = HIDDEN.table[HIDDEN.table["group"] != "all"]
    sizes = people_of(OPEN.counts)
    for event, own in groups.groupby("event"):
        hidden = own.loc[own["macros"].isna(), "group"]
        shown = own.loc[own["macros"].notna(), "group"]
        if len(hidden) == 1:
            assert not any(sizes[str(event), group][0] for group in shown)


def test_levels_of_few_are_hidden() -> None:
    one, two = OPEN.doses, HIDDEN.doses
    people = OPEN.counts.at_risk.sum(axis=(2, 4)).max(axis=-1)
    place = [OPEN.counts.events.index(event) for event in one["event"]]
    size = people[place, [LEVELS.index(level) for level in one["level"]]]
    few = small(size, 5)
    assert few.any()
    assert two.loc[few, ["k", "n", "odds_ratio", "rising"]].isna().all(axis=None)
    assert small(two["k"], 5).any()
    for _, own in two.assign(size=size).groupby("event"):
        assert own["k"].isna().sum() != 1 or not own.loc[own["k"].notna(), "size"].any()


def test_neither_words_nor_figures_tell_them() -> None:
    result = micro_to_macro(LOG_OF_MICRO_CELLS, SHOP, min_cell=10)
    few = OPEN.table[small(OPEN.table["users"], 10) & (OPEN.table["group"] == "all")]
    assert list(few["event"]) == ["unsubscribe"]
    said = result.sentence() + " ".join(result.warnings)
    for figure in (result.figure(), result.reach_figure(), result.dose_figure()):
        said += json.dumps(json.loads(figure.to_json()), ensure_ascii=False)
    for row in few.itertuples():
        assert not re.search(rf"\b{row.exposed_macros} of {row.macros} conversions after", said)
        assert f"({row.reach_k:.0f} of {row.converters:.0f})" not in said
    assert "1 of the events: too few people to show" in " ".join(result.warnings)


def test_few_conversions_in_all() -> None:
    frame = LOG_OF_MICRO_CELLS.to_frame()
    bought = frame[frame["event"] == "purchase"]["user"].unique()[4:]
    log = type(LOG_OF_MICRO_CELLS).from_frame(
        frame[~frame["user"].isin(bought)], covers_until=LOG_OF_MICRO_CELLS.covers_until
    )
    result = micro_to_macro(log, SHOP, min_cell=5)
    # Four of all users are told as they are; of the four themselves no share is.
    units = f"{result.counts.units:,}"
    assert f"4 conversions of {units} users" in result.sentence()
    whole = result.table[result.table["role"] == "control"]
    assert whole["macros"].notna().all()
    assert result.table[["reach", "reach_k", "median_lag_seconds"]].isna().all(axis=None)
    assert not any("first period" in note for note in result.warnings)


def test_stability_hides_groups() -> None:
    asked = {"dimensions": ["device"], "min_macros": 1}
    one = stability(LOG_OF_MICRO_CELLS, SHOP, "unsubscribe", **asked).table
    two = stability(LOG_OF_MICRO_CELLS, SHOP, "unsubscribe", min_cell=5, **asked)
    gone = two.table["macros"].isna()
    assert gone.any()
    numbers = ["macros", "exposed_macros", "odds_ratio"]
    assert two.table.loc[gone, numbers].isna().all(axis=None)
    assert not two.table.loc[gone, ["enough", "flips"]].any(axis=None)
    assert list(one) == list(two.table)
    # Few conversions of many people in a group are shown.
    many = stability(LOG_OF_MICRO_CELLS, SHOP, "view_reviews", dimensions=["device"], min_cell=5)
    tablet = many.table[many.table["group"] == "tablet"].iloc[0]
    assert tablet["exposed_macros"] == 2


def test_a_hidden_group_is_not_named_as_the_other_way_round() -> None:
    table = pd.DataFrame(
        {
            "dimension": ["all", "device", "device", "device"],
            "group": ["all", "mobile", "desktop", "tablet"],
            "macros": [90, 40, 40, 10],
            "exposed_macros": [45, 20, 21, 4],
            "odds_ratio": [2.0, 2.1, 2.2, 0.2],
            "low": [1.5, 1.4, 1.5, 0.1],
            "high": [2.7, 3.0, 3.1, 0.6],
            "se": 0.1,
            "enough": True,
            "flips": [False, False, False, True],
            "exposed_people": [400, 200, 196, 4],
            "other_people": [400, 200, 196, 40],
        }
    )
    found = hide_small_groups(table, 5)
    # The one of four people, and the smallest other one, which would give it away.
    assert list(found["macros"].isna()) == [False, False, True, True]
    assert not found["flips"].any()
    assert list(found["enough"]) == [True, True, False, False]


def test_doses_and_horizons_hide_too() -> None:
    dose = dose_response(LOG_OF_MICRO_CELLS, SHOP, "newsletter_sign_up", min_cell=5)
    open_dose = dose_response(LOG_OF_MICRO_CELLS, SHOP, "newsletter_sign_up")
    # All who did it a second time are nobody: nothing is hidden, however few converted.
    assert small(open_dose.table["k"], 5).any() or (open_dose.table["k"] == 0).any()
    pd.testing.assert_frame_equal(dose.table, open_dose.table, check_dtype=False)
    assert dose.sentence() == open_dose.sentence()
    one, two = (
        compare_horizons(LOG_OF_MICRO_CELLS, SHOP, min_cell=cell).table.set_index(
            ["event", "measure"]
        )
        for cell in (1, 5)
    )
    two = two.loc[one.index]
    # The mean value is of those conversions: they are the people it is about.
    value = one.index.get_level_values("measure") == "value"
    few = value & (small(one["n"], 5) | small(one["others"], 5))
    assert few.any()
    assert two.loc[few, ["n", "others", "ratio", "low", "high"]].isna().all(axis=None)
    assert small(two.loc[~value, "n"], 5).any()
    assert (
        "too few people to show"
        in compare_horizons(LOG_OF_MICRO_CELLS, SHOP, min_cell=5).figure().layout.meta["alt"]
    )


def test_wrong_use() -> None:
    for wrong in (0, 2.5, True):
        with pytest.raises(UsageError, match="whole number from 1"):
            micro_to_macro(LOG_OF_MICRO_CELLS, SHOP, min_cell=wrong)
