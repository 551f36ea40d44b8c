"""Several horizons: each as micro_to_macro says, values as pandas says."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.horizons import _same_verdicts, compare_horizons
from analysis.correlation.result import micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate

SHOP = Catalog.load("data/catalogs/ecommerce.toml")
LOG = simulate(seed=5, users=6000).log
RESULT = compare_horizons(LOG, SHOP, horizons=["14d", "60d"])


def test_each_horizon_is_what_micro_to_macro_says() -> None:
    for measure, horizon in (("14 days", "14d"), ("60 days", "60d")):
        whole = micro_to_macro(LOG, SHOP, horizon=horizon).table.set_index("event")
        own = RESULT.table[RESULT.table["measure"] == measure]
        for row in own.itertuples():
            expected = whole.loc[row.event]
            basis = "adjusted" if np.isnan(expected["calibrated"]) else "calibrated"
            assert row.basis == basis
            assert row.ratio == pytest.approx(expected[basis], nan_ok=True)
            assert row.verdict == expected["verdict"]
            assert row.n + row.others == expected["macros"]
    assert set(RESULT.answers) == {"14 days", "60 days"}


def test_values_are_those_of_pandas() -> None:
    frame = LOG.to_frame().reset_index(drop=True)
    first = frame.groupby("user")["time"].min()
    buys = frame[frame["event"] == "purchase"].drop_duplicates("user").set_index("user")
    buys = buys[buys["time"] < first[buys.index] + pd.Timedelta(60, "D")]
    for row in RESULT.table[RESULT.table["measure"] == "value"].itertuples():
        did = frame[frame["event"] == row.event].groupby("user")["time"].min()
        before = did.reindex(buys.index) < buys["time"]
        own, others = buys.loc[before, "value"], buys.loc[~before, "value"]
        assert (row.n, row.others) == (len(own), len(others))
        if len(own) >= 10:
            assert row.ratio == pytest.approx(own.mean() / others.mean())
            assert row.low < row.ratio < row.high
        else:
            assert np.isnan(row.ratio)


def test_the_interval_of_the_values_covers_as_often_as_it_says() -> None:
    from analysis.correlation.horizons import _mean_ratio

    rng = np.random.default_rng(6)
    hits = []
    for _ in range(2000):
        own, others = rng.lognormal(3.2, 0.6, 80), rng.lognormal(3.0, 0.6, 300)
        _, low, high = _mean_ratio(own, others)
        hits.append(low < np.exp(0.2) < high)
    assert 0.93 < np.mean(hits) < 0.965


def test_the_sentence_counts_what_stays_and_names_what_changes() -> None:
    said = RESULT.sentence()
    verdicts = RESULT.table[RESULT.table["measure"] != "value"].groupby("label")["verdict"]
    moved = verdicts.agg(lambda own: len(set(own)) > 1)
    assert f"{(~moved).sum()} of {len(moved)} micro conversions have the same verdict" in said
    for label in moved.index:
        assert (f"{label} (" in said.split("Mean value")[0]) == moved[label]
    assert "Mean value of the conversions after it over that of the others" in said


def told(verdicts: dict[str, list[str]], converters: tuple[int, int] = (40, 50)) -> Any:
    rows = [pd.DataFrame({"label": label, "verdict": own}) for label, own in verdicts.items()]
    return _same_verdicts(rows, dict(zip(("a day", "a week"), converters, strict=True)))


def test_words_where_there_is_nothing_or_one_to_count() -> None:
    over = "Over a day and a week (40 and 50 conversions)"
    leads, open_ = ["leads", "leads"], ["not_enough_data", "not_enough_data"]
    assert told({}) == f"{over} there is no micro conversion to compare."
    assert told({"A": leads}, (0, 0)) == (
        "Over a day and a week (0 conversions) there is nothing to compare."
    )
    assert told({"A": open_}) == f"{over} there is not enough data for A."
    assert told({"A": open_, "B": open_}) == (
        f"{over} there is not enough data for any of 2 micro conversions."
    )
    assert told({"A": leads}) == f"{over}, the verdict of A is leads."
    assert told({"A": ["leads", "vanity"]}) == f"{over}, the verdict of A is leads → vanity."
    assert told({"A": leads, "B": open_}) == (
        f"{over}, 2 of 2 micro conversions have the same verdict."
    )
    assert told({"A": leads, "B": ["leads", "goes_along"]}) == (
        f"{over}, 1 of 2 micro conversions has the same verdict; not so: B (leads → goes along)."
    )
    # Few conversions are told as they are.
    assert "(3 and 50 conversions)" in told({"A": leads}, (3, 50))


def test_values_of_few_are_said_to_be_few() -> None:
    few = simulate(seed=5, users=300).log
    said = compare_horizons(few, SHOP, micros=["video_start"]).sentence()
    assert said.endswith("too few conversions with a value to compare what they are worth.")


def test_a_start_is_asked_of_every_measure() -> None:
    result = compare_horizons(LOG, SHOP, horizons=["14d", "60d"], start="add_to_cart")
    frame = LOG.to_frame()
    carts = frame[frame["event"].eq("add_to_cart").groupby(frame["user"]).cumsum() > 0]
    log = EventLog.from_frame(carts, covers_until=LOG.covers_until)
    plain = compare_horizons(log, SHOP, horizons=["14d", "60d"])
    pd.testing.assert_frame_equal(result.table, plain.table)
    assert result.parameters["start"] == "add_to_cart"


def test_without_values() -> None:
    frame = LOG.to_frame().drop(columns="value")
    log = EventLog.from_frame(frame, covers_until=LOG.covers_until)
    result = compare_horizons(log, SHOP, micros=["video_start"])
    assert any("no numbers 'value'" in text for text in result.warnings)
    assert set(result.table["measure"]) == {"30 days", "90 days"}
    quiet = compare_horizons(log, SHOP, micros=["video_start"], value=None, horizons=["30d"])
    assert not any("value" in text for text in quiet.warnings)
    assert quiet.figure().layout.meta["alt"]


def test_wrong_use() -> None:
    wrong: Any
    for wrong in ("30d", []):
        with pytest.raises(UsageError, match="Allowed: a list of durations"):
            compare_horizons(LOG, SHOP, horizons=wrong)
    with pytest.raises(UsageError, match="has no unit"):
        compare_horizons(LOG, SHOP, horizons=["30"])


def test_a_mean_below_zero_is_not_too_few_conversions() -> None:
    frame = LOG.to_frame()
    answer = compare_horizons(
        EventLog.from_frame(frame.assign(value=-frame["value"])), SHOP, horizons=["14d"]
    )
    values = answer.table[answer.table["measure"] == "value"]
    enough = values[values[["n", "others"]].min(axis=1) >= 10]
    assert len(enough)
    assert (enough["note"] == "a mean value is not above zero").all()
    assert values["ratio"].isna().all()
    assert "is not above zero, so there is no ratio" in answer.sentence()
    assert "too few conversions" not in answer.sentence()


def test_values_in_two_currencies_have_no_ratio_and_in_one_of_them_they_have() -> None:
    rows = []
    for i in range(600):
        yen, watched = i % 2 == 1, i % 2 == 1 or i % 4 == 0
        rows.append((f"u{i}", 0, "visit", None, None))
        rows += [(f"u{i}", 1, "video_start", None, None)] if watched else []
        worth = (10.0 + i % 5) * (150 if yen else 1)
        rows.append((f"u{i}", 2, "purchase", worth, "JPY" if yen else "EUR"))
    frame = pd.DataFrame(rows, columns=["user", "hour", "event", "value", "currency"])
    frame["time"] = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(frame.pop("hour"), "h")
    log = EventLog.from_frame(frame, covers_until="2026-06-01")
    both = compare_horizons(log, SHOP, micros=["video_start"], horizons=["14d"])
    assert both.table.loc[both.table["measure"] == "value", "ratio"].isna().all()
    euros = log.in_segment(~log.user_ids.isin(frame.loc[frame["currency"] == "JPY", "user"]))
    one = compare_horizons(euros, SHOP, micros=["video_start"], horizons=["14d"])
    ratio = one.table.loc[one.table["measure"] == "value", "ratio"].item()
    assert ratio == pytest.approx(1, abs=0.05)
