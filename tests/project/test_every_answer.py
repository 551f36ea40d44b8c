"""What holds for every public question: answers travel, and some data change none of them.

The questions are those of `docs/examples.toml`, so a new one is asked here, too.
"""

from __future__ import annotations

import copy
import pickle
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

import analysis as wb
from analysis.segments import value

_ROOT = Path(__file__).parents[2]
QUESTIONS = {
    name: call
    for questions in tomllib.loads((_ROOT / "docs/examples.toml").read_text()).values()
    for name, call in questions.items()
}
QUESTIONS |= {
    "summary": "log.summary()",
    "value_lost": 'wb.funnel(log, CHECKOUT, by="device").value_lost()',
    "stability by all": 'wb.stability(log, shop, "video_start")',
    "compare": 'wb.funnel(log, CHECKOUT, by="device").compare("mobile", "desktop")',
    "next_events": "wb.funnel(log, CHECKOUT).next_events(1)",
    "trend": 'wb.funnel(log, CHECKOUT).trend("W")',
}
ABOUT_THE_LOG = {"audit", "sessionize", "summary"}
"""They tell what is in the log, and so what a wrong clock put there."""


@pytest.fixture(scope="module")
def shop() -> wb.Catalog:
    return wb.Catalog.load(_ROOT / "data/catalogs/ecommerce.toml")


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    return wb.simulate(users=1500).log.to_frame()


@pytest.fixture(scope="module")
def log(frame: pd.DataFrame) -> wb.EventLog:
    return wb.EventLog.from_frame(frame)


def answered(name: str, log: wb.EventLog, shop: wb.Catalog) -> Any:
    names = {"wb": wb, "log": log, "shop": shop, "CHECKOUT": shop.steps("checkout")}
    return eval(QUESTIONS[name], names)  # noqa: S307 (a file of ours)


def told(answer: Any) -> Any:
    """What an answer says, in a form that can be compared."""
    if isinstance(answer, wb.Segment):
        return answer.seen, list(answer.user_ids)
    if isinstance(answer, wb.Result):
        return answer.table
    return answer


def same(one: Any, other: Any) -> bool:
    one, other = told(one), told(other)
    return one.equals(other) if hasattr(one, "equals") else bool(one == other)


@pytest.mark.parametrize("name", QUESTIONS)
def test_every_answer_pickles_and_deep_copies(
    name: str, log: wb.EventLog, shop: wb.Catalog
) -> None:
    answer = answered(name, log, shop)
    for again in (pickle.loads(pickle.dumps(answer)), copy.deepcopy(answer)):
        assert type(again) is type(answer)
        assert same(again, answer)
        if isinstance(answer, wb.Result):
            assert again.sentence() == answer.sentence()


def test_logs_and_catalogs_pickle_and_deep_copy(
    log: wb.EventLog, shop: wb.Catalog, tmp_path: Path
) -> None:
    log.save(tmp_path)
    logs = (log, log.where(event="purchase"), log.until_end(), wb.EventLog.open(tmp_path))
    for one in logs:
        for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
            assert again.fingerprint == one.fingerprint
            assert again.to_frame().equals(one.to_frame())
    for twin in (pickle.loads(pickle.dumps(shop)), copy.deepcopy(shop)):
        assert twin.events == shop.events
        assert twin.segments == shop.segments
        assert twin.steps("checkout") == shop.steps("checkout")
    with pytest.raises(TypeError):
        shop.events["purchase"] = shop.events["purchase"]  # type: ignore[index]


def test_an_answer_that_was_pickled_can_be_asked_on(log: wb.EventLog, shop: wb.Catalog) -> None:
    lost = wb.funnel(log, shop.steps("checkout"), by="device")
    again = pickle.loads(pickle.dumps(lost))
    assert again.trend("W").equals(lost.trend("W"))
    bounds = ("2026-11-02", "2026-11-09")
    assert again.ask(entered=bounds).table.equals(lost.ask(entered=bounds).table)


@pytest.mark.parametrize("name", QUESTIONS)
def test_a_view_of_nobody_is_answered_or_refused_in_words(
    name: str, log: wb.EventLog, shop: wb.Catalog
) -> None:
    nobody = log.in_segment(np.zeros(log.users, bool))
    try:
        answer = answered(name, nobody, shop)
    except (wb.UsageError, wb.DataError):
        return  # in words
    if isinstance(answer, wb.Result):
        assert answer.sentence().endswith((".", "?"))
        assert answer.figure() is not None


@pytest.fixture(scope="module")
def wrong_clocks(frame: pd.DataFrame) -> wb.EventLog:
    """The log with events of 2098, of people who are in it and of a stranger."""
    late = frame.groupby("event").head(2)
    late = late.assign(
        time=pd.Timestamp("2098-01-01", tz="UTC") + pd.to_timedelta(np.arange(len(late)), unit="D")
    )
    return wb.EventLog.from_frame(pd.concat([frame, late, late.assign(user="a stranger")]))


@pytest.mark.parametrize("name", [name for name in QUESTIONS if name not in ABOUT_THE_LOG])
def test_no_answer_sees_events_of_a_wrong_clock(
    name: str, log: wb.EventLog, wrong_clocks: wb.EventLog, shop: wb.Catalog
) -> None:
    assert wrong_clocks.events_after_end() == len(wrong_clocks) - len(log)
    assert same(answered(name, wrong_clocks, shop), answered(name, log, shop))


def in_two_currencies(frame: pd.DataFrame, rate: float) -> wb.EventLog:
    """Every second person pays in yen, and gets so many of them."""
    yen = frame["user"].isin(sorted(frame["user"].unique())[::2]) & frame["value"].notna()
    worth = frame["value"].where(~yen, frame["value"] * rate)
    return wb.EventLog.from_frame(
        frame.assign(value=worth, currency=frame["currency"].mask(yen, "JPY"))
    )


@pytest.fixture(scope="module")
def two_currencies(frame: pd.DataFrame) -> tuple[wb.EventLog, wb.EventLog]:
    return in_two_currencies(frame, 1), in_two_currencies(frame, 128)


@pytest.mark.parametrize("name", QUESTIONS)
def test_no_answer_hangs_on_the_rate_of_two_currencies(
    name: str, two_currencies: tuple[wb.EventLog, wb.EventLog], shop: wb.Catalog
) -> None:
    # What adds yen to euros changes with their rate.
    one, other = (answered(name, log, shop) for log in two_currencies)
    assert same(one, other)


def test_where_money_is_in_two_currencies_the_answer_says_so(
    two_currencies: tuple[wb.EventLog, wb.EventLog], shop: wb.Catalog
) -> None:
    log = two_currencies[0]
    row = log.summary().set_index("event").loc["purchase"]
    assert np.isnan(row["value"])
    assert row["currency"] == "EUR, JPY"
    answer = wb.compare_horizons(log, shop, horizons=("7d",))
    values = answer.table[answer.table["measure"] == "value"]
    assert values["ratio"].isna().all()
    assert values["note"].str.startswith("Values are in EUR and JPY").all()
    assert any(note.startswith("Values are in EUR and JPY") for note in answer.warnings)
    assert "several currencies, so what they are worth is not compared." in answer.sentence()
    with pytest.raises(wb.UsageError, match="in several currencies"):
        wb.segment(log, value(event="purchase", at_least=100), at="2026-11-01")
    yen = log.where(currency="JPY")
    assert yen.summary().set_index("event")["value"]["purchase"] > 0
    assert wb.segment(yen, value(event="purchase", at_least=100), at="2026-11-01").mask.any()
