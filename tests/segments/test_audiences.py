"""Audiences: consent, a split that stays, files that are whole, rates counted again in pandas."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.filters import Consent
from analysis.eventlog.log import EventLog
from analysis.segments.audiences import audience
from analysis.segments.result import segment
from analysis.segments.rules import did
from analysis.statistics.rates import wilson

AT = "2026-01-10"
rows = st.lists(
    st.tuples(
        st.integers(0, 7).map(str),
        st.integers(1, 20),
        st.sampled_from(["visit", "cart", "purchase"]),
        st.sampled_from([None, "Yes", "no", "granted"]),
    ),
    min_size=1,
    max_size=40,
)


def log_of(found: Any, shards: int = 1) -> EventLog:
    always = [("z", 1, name, "no") for name in ("visit", "cart", "purchase")]
    frame = pd.DataFrame([*found, *always], columns=["user", "day", "event", "mail"])
    frame["time"] = pd.Timestamp("2026-01-01") + pd.to_timedelta(frame.pop("day"), unit="D")
    frame = frame.astype({"mail": "str"})
    return EventLog.from_frame(frame, covers_until="2026-02-01", shards=shards)


@settings(max_examples=80)
@given(rows, st.sampled_from([1, 4]), st.sampled_from([0.0, 0.5]))
def test_people_and_rates_are_those_of_pandas(found: Any, shards: int, holdout: float) -> None:
    log = log_of(found, shards)
    frame = log.to_frame()
    at = pd.Timestamp(AT, tz="UTC")
    carts = set(frame.loc[(frame["event"] == "cart") & (frame["time"] < at), "user"])
    said = frame.dropna(subset=["mail"]).groupby("user")["mail"].last()
    wanted = {user for user in carts if said.get(user, "no") in ("Yes", "granted")}
    result = audience(log, segment(log, did("cart"), at=AT), consent="mail", holdout=holdout)
    assert set(result.people["user"]) == wanted
    buys = frame[frame["event"] == "purchase"]
    for row in result.table.itertuples():
        own = result.people
        if row.group != "all":
            own = own[own["group"] == row.group]
        mine = buys[buys["user"].isin(own["user"])]
        assert row.users == len(own)
        assert row.k == mine.loc[mine["time"] >= at, "user"].nunique()
        assert row.k_before == mine.loc[mine["time"] < at, "user"].nunique()
        low, high = wilson(row.k, row.users)  # type: ignore[arg-type]
        assert (row.low, row.high) == pytest.approx((float(low), float(high)), nan_ok=True)
    left = len(carts - wanted)
    assert any(f"{left} people left out" in warning for warning in result.warnings) == bool(left)


def many(users: int = 4_000) -> EventLog:
    frame = pd.DataFrame({"user": [f"user{i}" for i in range(users)], "event": "purchase"})
    return EventLog.from_frame(frame.assign(time=pd.Timestamp("2026-01-05")), shards=4)


def test_the_split_is_by_person_and_grows_with_the_share() -> None:
    log = many()
    everybody = segment(log, did("purchase"))
    half = EventLog.from_frame(log.to_frame().iloc[::2], shards=1)
    groups = {
        share: audience(log, everybody, holdout=share, seed="spring").people.set_index("user")
        for share in (0.1, 0.3)
    }
    held = {share: set(g.index[g["group"] == "holdout"]) for share, g in groups.items()}
    assert held[0.1] < held[0.3]
    again = audience(half, segment(half, did("purchase")), holdout=0.3, seed="spring").people
    assert (groups[0.3].loc[again["user"], "group"].to_numpy() == again["group"]).all()
    for share, own in held.items():
        assert stats.binomtest(len(own), 4_000, share).pvalue > 1e-4
    other = audience(log, everybody, holdout=0.3, seed="autumn").people.set_index("user")
    both = len(held[0.3] & set(other.index[other["group"] == "holdout"]))
    assert stats.binomtest(both, 4_000, 0.09).pvalue > 1e-4


def test_the_hash_does_not_follow_anything_people_do() -> None:
    """Pinned: a changed hash would put people of a running campaign into other parts."""
    log = many(12)
    found = audience(log, segment(log, did("purchase")), holdout=0.5, seed=7).people
    held = found.loc[found["group"] == "holdout", "user"].tolist()
    assert held == ["user1", "user3", "user5"]


@pytest.mark.parametrize("name", ["people.csv", "people.parquet"])
def test_files_hold_the_people_and_their_group(tmp_path: Path, name: str) -> None:
    log = many(50)
    found = audience(log, segment(log, did("purchase")), path=tmp_path / name, holdout=0.2)
    read = pd.read_csv if name.endswith("csv") else pd.read_parquet
    written = read(tmp_path / name)
    assert written["user"].tolist() == found.people["user"].tolist()
    assert written["group"].tolist() == found.people["group"].tolist()
    assert set(pd.to_datetime(written["at"])) == {found.at}
    assert [path.name for path in tmp_path.iterdir()] == [name]


FORMULAS = ["=1+1", "+49170", "-5", "@SUM(A1)", "  =1", "\t=1", "\rcr", "=cmd|' /C calc'!A0", "－5"]
PLAIN = ["plain", 'quo"te', "com,ma", "new\nline", "re\rturn", "007", "1e5", "a=b", "ünï", "'own"]


def test_a_csv_file_holds_no_formula_and_every_other_id_as_it_is(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user": [*FORMULAS, *PLAIN], "event": "purchase"})
    log = EventLog.from_frame(frame.assign(time=pd.Timestamp("2026-01-05")))
    people = segment(log, did("purchase"))
    found = audience(log, people, path=tmp_path / "people.csv")
    with open(tmp_path / "people.csv", newline="", encoding="utf-8") as file:
        cells = [row["user"] for row in csv.DictReader(file)]
    expected = found.people["user"].tolist()
    assert [cell.removeprefix("'") if cell != "'own" else cell for cell in cells] == expected
    assert not [cell for cell in cells if cell.lstrip()[:1] in set("=+-@－") or cell[0].isspace()]
    assert sorted(set(cells) & set(PLAIN)) == sorted(PLAIN)
    assert any(f"{len(FORMULAS)} of the ids begin like a formula" in w for w in found.warnings)
    read = pd.read_csv(tmp_path / "people.csv", dtype=str)
    assert read["user"].tolist() == cells
    whole = audience(log, people, path=tmp_path / "people.parquet")
    assert pd.read_parquet(tmp_path / "people.parquet")["user"].tolist() == expected
    assert not any("formula" in warning for warning in whole.warnings)


def test_what_is_not_known_is_said() -> None:
    log = log_of([("a", 2, "cart", "yes"), ("a", 12, "purchase", None)])
    now = audience(log, segment(log, did("cart")))
    assert now.table[["k", "rate", "low", "high"]].isna().all(axis=None)
    assert any("undefined" in warning for warning in now.warnings)
    assert "since" not in now.sentence()
    then = audience(log, segment(log, did("cart"), at=AT), holdout=0.4)
    assert "50.0% (1 of 2) have done it since (95% interval" in then.sentence()
    assert "held out" in then.sentence()
    assert then.figure().layout.meta["alt"].startswith("All, since then: 50.0% (1 of 2).")
    renamed = EventLog.from_frame(log.to_frame().rename(columns={"mail": "marketing_consent"}))
    open_question = audience(renamed, segment(renamed, did("cart")))
    assert any("consent= is not given" in warning for warning in open_question.warnings)
    nobody = audience(log, segment(log, did("cart"), at="2026-01-01"))
    assert nobody.sentence() == "Nobody is in this audience."


def test_rates_of_few_people_are_hidden_in_both_parts() -> None:
    found = [(f"u{i}", 2, "cart", None) for i in range(60)]
    found += [(f"u{i}", 12, "purchase", None) for i in range(9)]
    log = log_of(found)
    shown = audience(log, segment(log, did("cart"), at=AT), holdout=0.3, min_cell=5)
    k, users = (shown.table.set_index("group")[name] for name in ("k", "users"))
    # Few of many are shown.
    assert 0 < k["holdout"] < 5 <= k["audience"]
    few = int(users["holdout"]) + 1
    hidden = audience(log, segment(log, did("cart"), at=AT), holdout=0.3, min_cell=few)
    own = hidden.table.set_index("group")
    assert own.loc["all", "k"] == 9
    assert own.loc[["audience", "holdout"], ["k", "rate", "low", "high"]].isna().all(axis=None)
    assert own["users"].tolist() == shown.table["users"].tolist()
    assert "too few to show" not in hidden.sentence()
    none = audience(log, segment(log, did("cart"), at=AT), min_cell=62).sentence()
    assert "too few to show have done it since." in none
    assert "Audience, since then" not in hidden.figure().layout.meta["alt"]


@pytest.mark.parametrize("words", [("yes", "no"), ("no", "yes")])
def test_a_yes_and_a_no_of_one_instant_are_no_yes(words: tuple[str, str]) -> None:
    found = [("a", 2, "cart", word) for word in words] + [("b", 2, "cart", "yes")]
    log = log_of(found)
    assert audience(log, segment(log, did("cart")), consent="mail").people["user"].tolist() == ["b"]


def test_a_no_that_came_later_is_a_no() -> None:
    log = log_of([("a", 2, "cart", "yes"), ("a", 15, "visit", "no"), ("b", 2, "cart", "yes")])
    found = audience(log, segment(log, did("cart"), at=AT), consent="mail")
    assert found.people["user"].tolist() == ["b"]
    strict = audience(log, segment(log, did("cart")), consent=Consent("mail", ("signed",)))
    assert not len(strict.people)


def test_consent_as_a_number() -> None:
    frame = log_of([("a", 2, "cart", None), ("b", 2, "cart", None)]).to_frame()
    frame["mail"] = np.where(frame["user"] == "a", 1.0, 0.0)
    log = EventLog.from_frame(frame)
    found = audience(log, segment(log, did("cart")), consent="mail")
    assert found.people["user"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"min_cell": 0}, "whole number from 1"),
        ({"holdout": 1.0}, "from 0 to below 1"),
        ({"holdout": True}, "from 0 to below 1"),
        ({"holdout": float("nan")}, "from 0 to below 1"),
        ({"seed": 1.5}, "whole number"),
        ({"macro": "purchas"}, "Did you mean 'purchase'"),
        ({"consent": "male"}, "Did you mean 'mail'"),
        ({"path": "people.xlsx"}, r"Allowed: \.csv, \.parquet"),
        ({"path": "/nowhere/at/all.csv"}, "there is no folder"),
    ],
)
def test_wrong_use(arguments: dict[str, Any], message: str) -> None:
    log = log_of([])
    with pytest.raises(UsageError, match=message):
        audience(log, segment(log, did("cart")), **arguments)


def test_a_place_that_cannot_be_written(tmp_path: Path) -> None:
    log = log_of([])
    (tmp_path / "taken.csv").mkdir()
    with pytest.raises(DataError, match="cannot write"):
        audience(log, segment(log, did("cart")), path=tmp_path / "taken.csv")
    assert [path.name for path in tmp_path.iterdir()] == ["taken.csv"]
