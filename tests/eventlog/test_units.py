"""A log of accounts or devices against pandas, and what its folder keeps of it."""

from __future__ import annotations

import multiprocessing
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_frames import cells_of, frames

from analysis.core.schema import DataError, UsageError
from analysis.eventlog import units as module
from analysis.eventlog.folder import UNITS, drop_units, unit_folder
from analysis.eventlog.log import EventLog
from analysis.eventlog.units import units

SHARDS = [1, 2, 50]


def regrouped(log: EventLog, by: str) -> pd.DataFrame:
    """What plain pandas makes of a log's rows."""
    table = log.to_frame()
    table = table[table[by].notna()]
    unit = table[by] if not pd.api.types.is_float_dtype(table[by]) else table[by].map("{:g}".format)
    visit = list(zip(table["user"], table["session"], strict=True))
    table = table.assign(user=unit.astype("str"), visit=visit)  # type: ignore[arg-type]
    place = {n: k for k, n in enumerate(sorted(set(table["user"]), key=lambda n: str(n).encode()))}
    table = table.assign(rank=table["user"].map(place))
    table = table.sort_values(["rank", "time"], kind="stable", ignore_index=True)
    numbers: list[str] = []
    seen: dict[str, list] = {}
    for user, visit in zip(table["user"], table["visit"], strict=True):
        known = seen.setdefault(user, [])
        known += [] if visit in known else [visit]
        numbers.append(str(known.index(visit) + 1))
    return table.assign(session=numbers).drop(columns=["rank", "visit"])


@settings(max_examples=150)
@given(frames(), st.sampled_from(SHARDS))
def test_a_log_of_units_is_the_rows_under_another_name(frame: pd.DataFrame, shards: int) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    if frame["text"].isna().all():
        with pytest.raises(DataError, match="none of"):
            units(log, "text")
        return
    found = units(log, "text")
    assert cells_of(found.log.to_frame()) == cells_of(regrouped(log, "text"))
    assert found.rows_left_out == int(frame["text"].isna().sum())
    assert found.log.covers_until == log.covers_until
    assert found.log.kinds == log.kinds


@settings(max_examples=25)
@given(frames(), st.sampled_from(SHARDS))
def test_a_folder_keeps_what_memory_builds(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame, shards: int
) -> None:
    frame = frame.assign(text=frame["text"].fillna("x"))
    log = EventLog.from_frame(frame, shards=shards, covers_until="2120-01-01")
    folder = tmp_path_factory.mktemp("log")
    log.save(folder)
    for _ in range(2):
        kept = EventLog.open(folder).by_unit("text")
        assert kept.folder is None
        assert cells_of(kept.to_frame()) == cells_of(log.by_unit("text").to_frame())
        assert kept.fingerprint == log.by_unit("text").fingerprint
        assert kept.covers_until == log.covers_until


def small(accounts: str = "aabbc") -> EventLog:
    times = pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(len(accounts)), unit="h")
    frame = pd.DataFrame({"user": [f"u{n}" for n in range(len(accounts))], "time": times})
    return EventLog.from_frame(frame.assign(event="visit", account=list(accounts)), shards=2)


def kept_in(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / UNITS).iterdir() if p.name != ".lock")


def test_it_is_built_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    small().save(tmp_path)
    built = []
    made = module._shards
    monkeypatch.setattr(module, "_shards", lambda *given: built.append(1) or made(*given))  # type: ignore[func-returns-value]
    assert EventLog.open(tmp_path).by_unit("account").users == 3
    assert EventLog.open(tmp_path).by_unit("account").users == 3
    assert len(built) == 1


def test_another_state_of_the_log_is_built_anew_and_the_old_one_goes(tmp_path: Path) -> None:
    small().save(tmp_path)
    old = EventLog.open(tmp_path)
    mapped = old.by_unit("account")
    small("abcdef").save(tmp_path)
    assert EventLog.open(tmp_path).by_unit("account").users == 6
    log = EventLog.open(tmp_path)
    assert kept_in(tmp_path) == [unit_folder(tmp_path, "account", log.fingerprint).name]
    assert mapped.users == old.by_unit("account").users == 3  # who has it open keeps it
    assert kept_in(tmp_path) == [unit_folder(tmp_path, "account", log.fingerprint).name]


def test_a_log_that_changes_during_the_build_keeps_nothing_of_its_old_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small().save(tmp_path)
    made = module._shards

    def late(*given: Any) -> Any:
        monkeypatch.setattr(module, "_shards", made)
        small("abcdef").save(tmp_path)
        return made(*given)

    monkeypatch.setattr(module, "_shards", late)
    assert EventLog.open(tmp_path).by_unit("account").users == 3
    assert kept_in(tmp_path) == []


def test_what_dead_builders_left_goes(tmp_path: Path) -> None:
    small().save(tmp_path)
    (tmp_path / UNITS / ".dead.tmp" / "v0001").mkdir(parents=True)
    EventLog.open(tmp_path).by_unit("account")
    assert len(kept_in(tmp_path)) == 1


def test_a_damaged_one_is_built_anew(tmp_path: Path) -> None:
    small().save(tmp_path)
    EventLog.open(tmp_path).by_unit("account")
    (tmp_path / UNITS / kept_in(tmp_path)[0] / "manifest.json").write_text("{")
    assert EventLog.open(tmp_path).by_unit("account").users == 3
    assert EventLog.open(tmp_path / UNITS / kept_in(tmp_path)[0]).users == 3


def test_a_folder_that_cannot_be_written_is_no_obstacle(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small().save(tmp_path)

    def refused(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied", str(tmp_path))

    monkeypatch.setattr(module, "building", refused)
    assert EventLog.open(tmp_path).by_unit("account").users == 3
    assert not (tmp_path / UNITS).exists()


def test_a_full_disk_is_said_and_nothing_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small().save(tmp_path)

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(module.store, "write_log", full)
    with pytest.raises(OSError, match="No space left"):
        EventLog.open(tmp_path).by_unit("account")
    assert kept_in(tmp_path) == []


def _users(folder: Path, answers: Any) -> None:
    answers.put(EventLog.open(folder).by_unit("account").users)


def test_builders_at_the_same_time_agree(tmp_path: Path) -> None:
    small().save(tmp_path)
    forked = multiprocessing.get_context("fork")
    answers = forked.Queue()
    builders = [forked.Process(target=_users, args=(tmp_path, answers)) for _ in range(4)]
    for builder in builders:
        builder.start()
    assert [answers.get(timeout=60) for _ in builders] == [3] * 4
    for builder in builders:
        builder.join()
    assert len(kept_in(tmp_path)) == 1


def test_dropping_leaves_a_builder_at_work_alone(tmp_path: Path) -> None:
    small().save(tmp_path)
    place = unit_folder(tmp_path, "account", "00")
    with module.building(place) as draft:
        draft.mkdir()
        (tmp_path / UNITS / "other-1234-11").mkdir()
        drop_units(tmp_path, keep="22")
        assert draft.exists()
    assert kept_in(tmp_path) == [place.name]
    drop_units(tmp_path, keep="00")
    assert kept_in(tmp_path) == [place.name]
    drop_units(tmp_path)
    assert not (tmp_path / UNITS).exists()


def test_a_view_is_regrouped_as_it_is_shown(tmp_path: Path) -> None:
    small().save(tmp_path)
    view = EventLog.open(tmp_path).where(user=["u0", "u2", "u4"])
    assert view.by_unit("account").events == 3
    assert not (tmp_path / UNITS).exists()


def test_numbers_can_be_units() -> None:
    frame = pd.DataFrame({"user": list("abc"), "time": ["2026-01-01"] * 3, "event": "x"})
    log = EventLog.from_frame(frame.assign(account=[1001, 1001, 7.5]))
    assert log.by_unit("account").user_ids.tolist() == ["1001", "7.5"]


@pytest.mark.parametrize("name", ["acount", "session", "user"])
def test_what_is_no_property_is_said(name: str) -> None:
    with pytest.raises(UsageError, match=r"is not a property of this log.*'account'"):
        small().by_unit(name)


@pytest.mark.parametrize("shards", SHARDS)
def test_rows_without_a_session_stay_without(shards: int) -> None:
    frame = pd.DataFrame(
        {
            "user": ["ann", "bob", "bob", "ann", "cy"],
            "time": pd.to_datetime([f"2026-01-01T0{n}:00" for n in range(5)]),
            "event": "visit",
            "session": ["s", None, "s", "s", "t"],
            "account": "acme",
        }
    )
    log = EventLog.from_frame(frame, shards=shards).by_unit("account")
    found = log.to_frame()["session"]
    assert [None if pd.isna(cell) else cell for cell in found] == ["1", None, "2", "1", "3"]
    assert log.sessions == 3


@pytest.mark.parametrize("shards", SHARDS)
def test_at_one_instant_people_come_in_the_order_of_their_ids_and_keep_their_own(
    shards: int,
) -> None:
    people = np.random.default_rng(5).permutation(np.repeat(np.arange(10), 200))
    frame = pd.DataFrame({"user": [f"u{n}" for n in people], "place": np.arange(2000.0)})
    frame = frame.assign(time=pd.Timestamp("2026-01-01"), event="visit", account="acme")
    found = EventLog.from_frame(frame, shards=shards).by_unit("account").to_frame()
    want = frame.sort_values(["user", "place"])
    assert found["place"].tolist() == want["place"].tolist()
