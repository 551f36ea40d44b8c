"""RFM scores against pandas, and what they must say of ties."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.segments.rfm import rfm

AT = pd.Timestamp("2026-03-01", tz="UTC")
rows = st.lists(
    st.tuples(
        st.integers(0, 9).map(str),
        st.integers(0, 80),
        st.sampled_from(["purchase", "purchase", "visit"]),
        st.sampled_from([1.0, 2.5, 10.0, np.nan]),
    ),
    min_size=1,
    max_size=40,
)


def log_of(found: Any, shards: int = 1, **more: Any) -> EventLog:
    frame = pd.DataFrame([*found, ("z", 0, "purchase", 1.0)],
                         columns=["user", "day", "event", "value"])  # fmt: skip
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    return EventLog.from_frame(frame.assign(**more), covers_until="2026-04-01", shards=shards)


@settings(max_examples=80)
@given(rows, st.sampled_from([1, 4]), st.sampled_from([2, 5]))
def test_scores_are_those_of_pandas(found: Any, shards: int, scores: int) -> None:
    log = log_of(found, shards)
    result = rfm(log, at=AT, scores=scores)
    frame = log.to_frame()
    buys = frame[(frame["event"] == "purchase") & (frame["time"] < AT)]
    own = buys.groupby("user").agg(
        last=("time", "max"), frequency=("time", "size"), value=("value", "sum")
    )
    people = result.users.set_index("user")
    assert list(people.index) == sorted(own.index)
    own = own.loc[people.index]
    assert people["frequency"].tolist() == own["frequency"].tolist()
    assert people["value"].tolist() == pytest.approx(own["value"].tolist())
    days = (AT - own["last"]) / pd.Timedelta(days=1)
    assert people["recency_days"].tolist() == pytest.approx(days.tolist())
    for letter, numbers in (("r", -days), ("f", own["frequency"])):
        # A score rises with the number, and equal numbers have equal scores.
        order = np.argsort(numbers.to_numpy(), kind="stable")
        score, sorted_numbers = people[letter].to_numpy()[order], numbers.to_numpy()[order]
        assert (np.diff(score) >= 0).all()
        assert (np.diff(score)[np.diff(sorted_numbers) == 0] == 0).all()
        assert set(score) <= set(range(1, scores + 1))
    n = len(people)
    for score, cut in enumerate(result.cut_points["frequency"], start=1):  # type: ignore[assignment]
        assert (own["frequency"] <= cut).sum() >= np.floor(score / scores * n)
    for row in result.table.itertuples():
        column = {"recency": "recency_days", "frequency": "frequency", "monetary": "value"}
        mine = people[people[row.measure[0]] == row.score][column[row.measure]]
        assert (row.k, row.n, row.low, row.high) == (len(mine), n, mine.min(), mine.max())


def test_fifths_without_ties_are_fifths() -> None:
    found = [(f"u{i:03}", i % 50, "purchase", float(i + 1)) for i in range(99)]
    log = log_of(found)
    result = rfm(log)
    monetary = result.table[result.table["measure"] == "monetary"]
    assert monetary["k"].tolist() == [20] * 5
    assert monetary["low"].tolist()[1:] == [c + 1 for c in result.cut_points["monetary"]]
    best = result.segment("best", r=4, m=5)
    scores = result.users
    assert best.size == ((scores["r"] >= 4) & (scores["m"] >= 5)).sum() > 0
    assert set(best.user_ids) <= set(scores["user"])
    assert best.at == result.at
    for wrong in ({"r": 9}, {"f": 0}, {"m": "4"}):
        with pytest.raises(UsageError, match="rfm: "):
            result.segment("x", **wrong)
    low_r = scores[scores["r"] == 1]["recency_days"].min()
    assert low_r >= scores[scores["r"] == 5]["recency_days"].max()


def test_ties_are_said_and_not_broken() -> None:
    result = rfm(log_of([(f"u{i}", i, "purchase", 1.0) for i in range(20)]))
    assert set(result.users["f"]) == {1}
    assert any("Cut points of frequency coincide: 100% (21 of 21)" in w for w in result.warnings)


@settings(max_examples=30)
@given(rows, st.randoms(use_true_random=False))
def test_the_order_of_arrival_decides_nothing(found: Any, luck: Random) -> None:
    mixed = list(found)
    luck.shuffle(mixed)
    one, two = (rfm(log_of(own), at=AT) for own in (found, mixed))
    pd.testing.assert_frame_equal(one.users, two.users)
    pd.testing.assert_frame_equal(one.table, two.table)


def test_what_cannot_be_scored() -> None:
    log = log_of([("a", 1, "purchase", 2.0)], currency=["EUR", "USD"])
    mixed = rfm(log)
    assert any("EUR, USD" in warning for warning in mixed.warnings)
    assert set(mixed.users["m"]) == {0}
    assert "monetary" not in set(mixed.table["measure"])
    nobody = rfm(log, at="2020-01-01")
    assert nobody.sentence().startswith("Nobody bought before 2020-01-01")
    assert nobody.figure().layout.meta["alt"] == "Nobody bought."
    assert not len(nobody.table)


def test_the_sentence_and_the_figure_have_their_numbers() -> None:
    result = rfm(log_of([(f"u{i}", i % 60, "purchase", 10.0) for i in range(30)]))
    assert "of 31) of the buyers score 4 or more of 5" in result.sentence()
    assert "95% interval" in result.sentence()
    assert (
        "Recency, score 5: 61 to 67 days ago, 22.6% (7 of 31)."
        in result.figure().layout.meta["alt"]
    )


def test_scores_of_few_buyers_are_hidden() -> None:
    found = [(f"u{i}", i, "purchase", 10.0) for i in range(30)]
    found += [(f"u{i}", 40, "purchase", 10.0) for i in range(3)]
    hidden = rfm(log_of(found), min_cell=5)
    own = hidden.table[hidden.table["measure"] == "recency"].set_index("score")
    assert len(own) == 5
    least = rfm(log_of(found), min_cell=7).table.query("measure == 'recency'")
    assert least["k"].isna().any()
    assert least.loc[least["k"].isna(), ["low", "high", "rate", "rate_low"]].isna().all(axis=None)
    said = rfm(log_of(found), min_cell=20)
    # Few of many are told; what these few bring is not.
    assert said.sentence().startswith("9.7% (3 of 31) of the buyers score 4 or more")
    assert "of the value" not in said.sentence()
    assert "too few people to show" in said.figure().layout.meta["alt"]
    few = rfm(log_of(found), min_cell=32)
    assert few.sentence() == "Too few people bought to show how they score."
    assert few.table[["k", "n", "rate"]].isna().all(axis=None)
    with pytest.raises(UsageError, match="min_cell=0"):
        rfm(log_of(found), min_cell=0)


def test_no_score_of_few_buyers_can_be_worked_out() -> None:
    """Fifty bought once, thirty twice, three four times: two scores are hidden."""
    times = [1] * 50 + [2] * 30 + [4] * 3
    bought = [(f"u{i}", day, "purchase", 10.0) for i, n in enumerate(times) for day in range(n)]
    found = rfm(log_of(bought), scores=10, min_cell=5)
    own = found.table[found.table["measure"] == "frequency"]
    assert own["k"].isna().sum() == 2
    assert own["k"].max() == 51  # one buyer more is in every log here
    assert any(
        w.startswith("Hidden, so that no score of fewer than 5 buyers") for w in found.warnings
    )


def test_the_upper_two_fifths_of_two_scores_are_the_better_one() -> None:
    found = [("a", 70, "purchase", 5.0), ("a", 71, "purchase", 5.0), ("b", 1, "purchase", 5.0)]
    said = rfm(log_of(found), scores=2).sentence()
    assert said.startswith("33.3% (1 of 3) of the buyers score 2 or more of 2")
    assert said.endswith("they bring 62.5% (10 of 16) of the value.")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"event": "purchas"}, "Did you mean 'purchase'"),
        ({"value": "worth"}, r"not a property of numbers. Give one of \['value'\]"),
        ({"scores": 1}, "from 2 to 10"),
        ({"scores": True}, "from 2 to 10"),
        ({"at": "2027"}, "after what the log covers"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        rfm(log_of([]), **arguments)
