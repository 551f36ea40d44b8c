"""The log on disk: whole before, during and after every write, and damage is said in one line."""

from __future__ import annotations

import errno
import json
import math
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from filelock import FileLock
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from oracles import hash_oracle as oracle
from support.log_frames import KINDS_OF_FRAME, cells, cells_of, expected, frames, numbers, texts

from analysis.cli import run
from analysis.core.schema import DataError, UsageError
from analysis.eventlog import folder as module
from analysis.eventlog import store
from analysis.eventlog.folder import LOCK
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping


def log_of(name: str, users: int = 6) -> EventLog:
    frame = pd.DataFrame(
        {
            "user": [f"{name}{i}" for i in range(users)] * 2,
            "time": pd.date_range("2026-01-01", periods=2 * users, freq="h"),
            "event": [name, "x"] * users,
            "p": [None, "y"] * users,
            "value": 1.5,
        }
    )
    return EventLog.from_frame(frame, shards=3)


OLD, NEW = log_of("old"), log_of("new", 9)


def listing(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


class Crash(BaseException):
    """Power fails: no handler for errors may catch it and go on."""


def failing(real: Callable[..., Any], at: int, error: BaseException) -> Callable[..., Any]:
    calls = iter(range(10**6))

    def call(*args: Any, **options: Any) -> Any:
        if next(calls) == at:
            raise error
        return real(*args, **options)

    return call


STEPS: list[tuple[Any, str]] = [
    (module, "write_shard"),
    (module, "content_sum"),
    (module.os, "fsync"),
    (module.os, "replace"),
    (store.json, "dumps"),
    (module.shutil, "rmtree"),
]


@pytest.mark.parametrize(
    "error", [Crash(), OSError(errno.ENOSPC, "No space left on device")], ids=["crash", "full"]
)
@pytest.mark.parametrize(("place", "name"), STEPS, ids=[name for _, name in STEPS])
def test_a_failure_at_any_step_leaves_a_whole_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str, error: BaseException
) -> None:
    folder = tmp_path / "log"
    OLD.save(folder)
    before, real = listing(folder), getattr(place, name)
    outcomes = []
    for at in range(40):
        with monkeypatch.context() as patch:
            patch.setattr(place, name, failing(real, at, error))
            try:
                NEW.save(folder)
            except type(error):
                outcomes.append("failed")
            else:
                outcomes.append("done")
        found = EventLog.open(folder)
        assert found.fingerprint in (OLD.fingerprint, NEW.fingerprint)
        want = OLD if found.fingerprint == OLD.fingerprint else NEW
        assert cells_of(found.to_frame()) == cells_of(want.to_frame())
        if want is OLD:
            assert outcomes[-1] == "failed"
            assert listing(folder) == before
        if want is NEW:
            # Whether or not it failed once the log was the new one: the old one has gone.
            assert shape(listing(folder)) == shape(listing_of(NEW, tmp_path / "fresh"))
            if outcomes[-1] == "done":
                break
            shutil.rmtree(folder)
            OLD.save(folder)
            before = listing(folder)
    assert outcomes[-1] == "done"
    assert "failed" in outcomes


def test_a_failed_write_beside_a_damaged_manifest_leaves_nothing_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What the manifest may name stays, and so does not what surely nothing names."""
    OLD.save(tmp_path)
    (tmp_path / store.MANIFEST).write_text("{")
    before = listing(tmp_path)
    for name in ("fsync", "replace"):
        with monkeypatch.context() as patch:
            patch.setattr(os, name, failing(getattr(os, name), 0, Crash()))
            with pytest.raises(Crash):
                NEW.save(tmp_path)
        assert listing(tmp_path) == before
    NEW.save(tmp_path)
    assert shape(listing(tmp_path)) == shape(listing_of(NEW, tmp_path.parent / "fresh"))


def test_a_published_log_stays_though_its_manifest_cannot_be_read_just_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OLD.save(tmp_path)
    real = store.read_manifest
    with monkeypatch.context() as patch:
        calls = iter(range(10))

        def read(folder: Path) -> store.Manifest:
            if next(calls):
                raise DataError("too many open files")
            return real(folder)

        patch.setattr(store, "read_manifest", read)
        patch.setattr(store, "replace_file", then_fail(store.replace_file))
        with pytest.raises(Crash):
            NEW.save(tmp_path)
    assert cells_of(EventLog.open(tmp_path).to_frame()) == cells_of(NEW.to_frame())


def then_fail(real: Callable[..., Any]) -> Callable[..., Any]:
    def call(*args: Any) -> None:
        real(*args)
        raise Crash

    return call


@pytest.mark.parametrize(("place", "name"), STEPS[:5], ids=[name for _, name in STEPS[:5]])
def test_a_failed_first_write_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: Any, name: str
) -> None:
    monkeypatch.setattr(place, name, failing(getattr(place, name), 0, Crash()))
    with pytest.raises(Crash):
        NEW.save(tmp_path / "a" / "b" / "log")
    assert list(tmp_path.iterdir()) == []
    kept = tmp_path / "mine"
    kept.mkdir()
    monkeypatch.undo()
    monkeypatch.setattr(place, name, failing(getattr(place, name), 0, Crash()))
    with pytest.raises(Crash):
        NEW.save(kept)
    assert list(kept.iterdir()) == []


KILLED = """
import os, sys
import pandas as pd
from analysis.eventlog import folder as module
from analysis.eventlog.log import EventLog
real, moment = module.os.replace, sys.argv[2]
def replace(*args):
    if moment == "after":
        real(*args)
    os._exit(7)
module.os.replace = replace
frame = pd.DataFrame({"user": ["k"], "time": [pd.Timestamp(0)], "event": ["killed"]})
EventLog.from_frame(frame).save(sys.argv[1])
"""


@pytest.mark.parametrize("moment", ["before", "after"])
def test_a_killed_writer_leaves_a_whole_log_and_nothing_that_lasts(
    tmp_path: Path, moment: str
) -> None:
    """No handler runs: what is left over lies about until the next write, and harms nobody."""
    OLD.save(tmp_path)
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path), moment], check=False)
    assert killed.returncode == 7
    names = EventLog.open(tmp_path).event_names
    assert names == (("killed",) if moment == "after" else OLD.event_names)
    assert len(listing(tmp_path)) > len(listing_of(OLD, tmp_path.parent / "fresh"))
    NEW.save(tmp_path)
    assert EventLog.open(tmp_path).fingerprint == NEW.fingerprint
    assert shape(listing(tmp_path)) == shape(listing_of(NEW, tmp_path.parent / "fresh"))


def shape(names: list[str]) -> list[str]:
    """A listing without what differs from one version to the next."""
    return sorted(re.sub(r"^v\d{4}-[0-9a-f]{6}", "version", name) for name in names)


def listing_of(log: EventLog, folder: Path) -> list[str]:
    shutil.rmtree(folder, ignore_errors=True)
    log.save(folder)
    return listing(folder)


def test_a_reader_keeps_the_version_that_it_opened(tmp_path: Path) -> None:
    OLD.save(tmp_path)
    reader = EventLog.open(tmp_path)
    NEW.save(tmp_path)
    assert cells_of(reader.to_frame()) == cells_of(OLD.to_frame())
    assert reader.summary()["events"].sum() == len(OLD)
    assert EventLog.open(tmp_path).fingerprint == NEW.fingerprint
    # What was read may be written where it came from.
    reader.where(event="x").save(tmp_path)
    again = EventLog.open(tmp_path)
    assert again.fingerprint == OLD.where(event="x").fingerprint
    assert cells_of(reader.to_frame()) == cells_of(OLD.to_frame())


def test_a_log_replaced_while_it_is_opened_is_opened_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    OLD.save(tmp_path)
    real, saves = store.read_shard, iter([NEW])

    def slow(place: Path) -> Any:
        for log in saves:
            log.save(tmp_path)
        return real(place)

    monkeypatch.setattr(store, "read_shard", slow)
    log = EventLog.open(tmp_path)
    assert log.fingerprint == NEW.fingerprint
    assert cells_of(log.to_frame()) == cells_of(NEW.to_frame())


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    OLD.save(tmp_path)
    with FileLock(tmp_path / LOCK):
        before = listing(tmp_path)
        with pytest.raises(DataError, match=r"^another process writes .* try again\.$") as e:
            NEW.save(tmp_path)
        assert "\n" not in str(e.value)
        assert listing(tmp_path) == before
        assert EventLog.open(tmp_path).fingerprint == OLD.fingerprint
    NEW.save(tmp_path)
    assert EventLog.open(tmp_path).fingerprint == NEW.fingerprint


def test_old_versions_go_and_other_files_stay(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    (tmp_path / "v0001-mine").mkdir()
    for number in range(1, 4):
        OLD.save(tmp_path)
        kept = [name for name in os.listdir(tmp_path) if re.match(r"v\d{4}-[0-9a-f]{6}$", name)]
        assert len(kept) == 1
        assert kept[0].startswith(f"v{number:04}-")
    assert {"notes.txt", "v0001-mine", store.MANIFEST} <= set(os.listdir(tmp_path))


def test_the_manifest_says_what_is_there(tmp_path: Path) -> None:
    OLD.save(tmp_path)
    content = json.loads((tmp_path / store.MANIFEST).read_text())
    assert content["events"] == len(OLD) == sum(shard["events"] for shard in content["shards"])
    assert content["event_names"] == ["old", "x"]
    assert content["properties"] == {"session": "text", "p": "text", "value": "number"}
    assert content["fingerprint"] == OLD.fingerprint
    assert content["covers_until"] == OLD.covers_until_us
    assert (content["schema_version"], content["sources"], content["rows"]) == (1, [], {})
    assert {path["path"].split("/")[1] for path in content["shards"]} == {"00000", "00001", "00002"}
    EventLog.from_frame(OLD.to_frame(), covers_until="1970-01-01").save(tmp_path)
    assert EventLog.open(tmp_path).covers_until_us == 0
    (tmp_path / "a.csv").write_text("user,time,event\nann,2026-01-01T00:00Z,x\n")
    to = tmp_path / "imported"
    import_files([tmp_path / "a.csv"], ColumnMapping(), to, covers_until="1970-01-01T00:00Z")
    assert EventLog.open(to).covers_until_us == 0
    (tmp_path / "b.csv").write_text("user,time,event\nann,2026-01-02T00:00Z,x\n")
    import_files(
        [tmp_path / "b.csv"], ColumnMapping(), to, append=True, covers_until="1970-01-01T00:00Z"
    )
    assert EventLog.open(to).covers_until_us == 0


@pytest.mark.parametrize("path", ["file", "file/log"])
def test_a_place_that_cannot_be_a_folder(
    tmp_path: Path, path: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(
        UsageError, match=r"cannot be a log's folder \(.*\)\. Name another\."
    ) as caught:
        OLD.save(tmp_path / path)
    assert "\n" not in str(caught.value)
    assert (tmp_path / "file").read_text() == "mine"
    assert listing(tmp_path) == ["file"]
    with pytest.raises(DataError, match=r"^no log in"):
        EventLog.open(tmp_path / path)
    (tmp_path / "a.csv").write_text("user,time,event\nann,2026-01-01T00:00Z,x\n")
    assert run(["import", str(tmp_path / "a.csv"), "--to", str(tmp_path / path)]) == 2
    said = capsys.readouterr().err
    assert "Name another" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("folder", ["nothing", ""])
def test_a_folder_without_a_log(tmp_path: Path, folder: str) -> None:
    said = r"^no log in '.*': manifest\.json is missing\. Make one with: workbook import"
    with pytest.raises(DataError, match=said):
        EventLog.open(tmp_path / folder)


MANIFESTS: dict[str, Any] = {
    "empty": b"",
    "half": b'{"events": 12, "sha',
    "binary": b"\xff\xfe\x00\x00",
    "a list": b"[]",
    "a number": b"7",
    "another version": b'{"schema_version": 99}',
    "no version": b"{}",
    "nothing but a version": b'{"schema_version": 1}',
    "a folder": None,
}


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "unknown key": lambda m: m.update(more=1),
    "events": lambda m: m.update(events="12"),
    "covers_until": lambda m: m.update(covers_until=None),
    "event_names": lambda m: m.update(event_names="old"),
    "event_names of numbers": lambda m: m.update(event_names=[1, 2]),
    "properties": lambda m: m.update(properties=[]),
    "kind of property": lambda m: m.update(properties={"p": "date"}),
    "fingerprint": lambda m: m.update(fingerprint=7),
    "shards": lambda m: m.update(shards={}),
    "shard": lambda m: m.update(shards=[7]),
    "path": lambda m: m["shards"][0].pop("path"),
    "users": lambda m: m["shards"][0].update(users="6"),
    "columns": lambda m: m["properties"].update(other="text"),
}


@pytest.mark.parametrize("damage", [*MANIFESTS, *CHANGES])
def test_a_damaged_manifest(tmp_path: Path, damage: str) -> None:
    OLD.save(tmp_path)
    path = tmp_path / store.MANIFEST
    if damage in CHANGES:
        content = json.loads(path.read_text())
        CHANGES[damage](content)
        path.write_text(json.dumps(content))
    elif MANIFESTS[damage] is None:
        path.unlink()
        path.mkdir()
    else:
        path.write_bytes(MANIFESTS[damage])
    with pytest.raises(DataError, match=r"manifest|shard '.*Import again") as caught:
        EventLog.open(tmp_path)
    assert "\n" not in str(caught.value)
    assert str(tmp_path) in str(caught.value)


def shard_files(folder: Path) -> list[Path]:
    return sorted(folder.glob("v*/00000/*.arrow"))


@pytest.mark.parametrize("file", [0, 1], ids=["rows", "users"])
@pytest.mark.parametrize("share", [None, 0.0, 0.001, 0.3, 0.7, 0.999], ids=str)
def test_a_shard_file_missing_or_cut_short(tmp_path: Path, file: int, share: float | None) -> None:
    OLD.save(tmp_path)
    path = shard_files(tmp_path)[file]
    content = path.read_bytes()
    path.unlink()
    if share is not None:
        path.write_bytes(content[: int(len(content) * share)])
    refused(tmp_path)


def refused(folder: Path) -> None:
    with pytest.raises(DataError, match=r"^shard '.*' .*Import again\.$") as caught:
        EventLog.open(folder)
    assert "\n" not in str(caught.value)


def test_files_that_are_no_shard_s(tmp_path: Path) -> None:
    OLD.save(tmp_path)
    rows, users = shard_files(tmp_path)
    kept = rows.read_bytes(), users.read_bytes()
    rows.write_bytes(kept[1])
    refused(tmp_path)
    rows.write_bytes(kept[0])
    users.write_bytes(kept[0])
    refused(tmp_path)
    users.write_bytes(os.urandom(2000))
    refused(tmp_path)
    users.write_bytes(kept[1])
    assert EventLog.open(tmp_path).fingerprint == OLD.fingerprint
    log_of("new", 40).save(tmp_path / "other")
    rows.write_bytes(shard_files(tmp_path / "other")[0].read_bytes())
    refused(tmp_path)
    shutil.rmtree(rows.parent)
    refused(tmp_path)


# ── The fingerprint: the same for the same content, another one for any other.


def print_of(frame: pd.DataFrame, shards: int = 1) -> str:
    return EventLog.from_frame(frame, shards=shards).fingerprint


def pinned() -> pd.DataFrame:
    stamps = ["2026-01-01T10:00", "2026-01-01T10:00", "2026-01-01T11:00", "1969-12-31T23:59:59.5"]
    return pd.DataFrame(
        {
            "user": ["ann", "ann", "Ünal 🌊", ""],
            "time": pd.to_datetime(stamps, format="ISO8601", utc=True),
            "event": ["view", "buy", "view", "a longer name than eight bytes"],
            "device": ["mobile", None, "", "(missing)"],
            "value": [0.1, math.nan, 1e300, -0.0],
        }
    )


def test_a_small_log_has_this_fingerprint_everywhere() -> None:
    """On every machine, Python and numpy; a change of it makes every report a new one."""
    assert print_of(pinned()) == "75b20f2fb3417e2d7da21d08106e99d1"
    assert print_of(pinned(), shards=50) == print_of(pinned())


@settings(max_examples=80)
@given(frames(), st.sampled_from([1, 2, 50]))
def test_the_fingerprint_is_the_one_defined(frame: pd.DataFrame, shards: int) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    rows = expected(frame)
    kinds = {"session": "text", "text": "text", "number": "number"}
    plain = [dict(zip(rows.columns, values, strict=True)) for values in cells_of(rows)]
    assert log.fingerprint == oracle.fingerprint(plain, kinds)


def shuffled(frame: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Rows in another order, those of one user at one instant in the same."""
    mixed = frame.sample(frac=1, random_state=seed)
    own = list(zip(frame["user"], frame["time"], strict=True))
    turn: dict[Any, list[int]] = {}
    for row, key in enumerate(own):
        turn.setdefault(key, []).append(row)
    keys = zip(mixed["user"], mixed["time"], strict=True)
    return frame.iloc[[turn[key].pop(0) for key in keys]]


@settings(max_examples=60)
@given(
    frames(),
    st.sampled_from([2, 7, 50]),
    st.integers(0, 2**31),
    st.sampled_from(list(KINDS_OF_FRAME)),
)
def test_neither_shards_nor_order_nor_container_matter(
    frame: pd.DataFrame, shards: int, seed: int, kind: str
) -> None:
    want = print_of(frame)
    assert print_of(shuffled(frame, seed), shards) == want
    assert print_of(KINDS_OF_FRAME[kind](frame), shards) == want
    assert print_of(frame[["number", "event", "user", "text", "time"]]) == want


@settings(max_examples=150)
@given(frames(), st.data())
def test_any_cell_matters(frame: pd.DataFrame, data: st.DataObject) -> None:
    row = data.draw(st.integers(0, len(frame) - 1))
    column = data.draw(st.sampled_from(list(frame)))
    new: Any = {
        "user": texts,
        "event": texts,
        "text": cells,
        "number": numbers,
        "time": st.integers(-(10**6), 10**6).map(
            lambda us: frame["time"].iloc[row] + pd.Timedelta(us, "us")
        ),
    }
    value = data.draw(new[column])
    old = frame[column].iloc[row]
    assume(not (pd.isna(value) and pd.isna(old)))
    assume(pd.isna(value) or pd.isna(old) or value != old)
    changed = frame.copy()
    changed.iloc[row, frame.columns.get_loc(column)] = value
    assert print_of(changed) != print_of(frame)


@settings(max_examples=60)
@given(frames(min_rows=2), st.data())
def test_the_order_of_ties_matters(frame: pd.DataFrame, data: st.DataObject) -> None:
    first, second = sorted(data.draw(st.permutations(range(len(frame))))[:2])
    frame.loc[second, ["user", "time"]] = frame.loc[first, ["user", "time"]]
    frame.loc[first, "event"], frame.loc[second, "event"] = "one", "two"
    swapped = frame.copy()
    swapped.loc[[first, second], ["event", "text", "number"]] = frame.loc[
        [second, first], ["event", "text", "number"]
    ].to_numpy()
    assert print_of(swapped.astype(frame.dtypes)) != print_of(frame)


@settings(max_examples=40)
@given(frames())
def test_rows_and_columns_matter(frame: pd.DataFrame) -> None:
    same = print_of(frame)
    others = [
        pd.concat([frame, frame.iloc[:1]]),
        frame.rename(columns={"text": "texts"}),
        frame.rename(columns={"text": "number", "number": "text"}),
        frame.drop(columns="text"),
        frame.assign(more=None),
        frame.assign(more=1.0),
        frame.assign(user=frame["user"] + "x"),
        frame.assign(number=frame["number"].astype(str)),
        frame.assign(session="s"),
    ]
    if len(frame) > 1:
        others.append(frame.iloc[1:])
    prints = [print_of(other) for other in others]
    assert same not in prints
    assert len(set(prints)) == len(prints)


def test_cells_that_change_places_matter() -> None:
    frame = pinned().assign(user=list("abcd"), one=list("wxyz"), two=list("xwzy"))
    prints = {
        print_of(frame),
        print_of(frame.assign(one=frame["two"], two=frame["one"])),
        print_of(frame.assign(one=list("xwyz"))),
        print_of(frame.assign(one=list("xwyz"), two=list("wxzy"))),
        print_of(frame.assign(user=list("bacd"))),
    }
    assert len(prints) == 5


def test_what_is_the_same_value_has_the_same_fingerprint() -> None:
    frame = pinned()
    same = print_of(frame)
    assert print_of(frame.assign(value=[0.1, math.nan, 1e300, 0.0])) == same
    assert print_of(frame.assign(value=pd.array([0.1, None, 1e300, -0.0], dtype="Float64"))) == same
    assert print_of(frame.assign(time=frame["time"].dt.tz_convert("Asia/Tokyo"))) == same
    whole = frame.assign(value=[1.0, 2.0, 3.0, 4.0])
    for dtype in ("int8", "int64", "uint16", "float32", "Int32"):
        assert print_of(whole.astype({"value": dtype})) == print_of(whole)
    odd = np.array([0x7FF8000000000001, 0xFFF8000000000000], np.uint64).view(float)
    nans = frame.assign(value=[*odd, math.nan, 1.0])
    assert print_of(nans) == print_of(frame.assign(value=[math.nan] * 3 + [1.0]))


@settings(max_examples=40)
@given(frames(), st.sampled_from([1, 2, 50]), st.data())
def test_a_view_is_the_log_of_its_rows(
    frame: pd.DataFrame, shards: int, data: st.DataObject
) -> None:
    log = EventLog.from_frame(frame, shards=shards)
    event = data.draw(st.sampled_from(sorted(set(frame["event"]))))
    start = data.draw(st.sampled_from(sorted(set(frame["time"]))))
    for view in (log.where(event=event), log.between(start), log.where(user=frame["user"][0])):
        again = EventLog.from_frame(view.to_frame())
        assert again.fingerprint == view.fingerprint
        assert (view.fingerprint == log.fingerprint) == (len(view) == len(log))
    assert log.where().fingerprint == log.fingerprint


def test_the_fingerprint_of_an_opened_log_is_of_what_it_shows(tmp_path: Path) -> None:
    log = EventLog.from_frame(pinned())
    log.save(tmp_path)
    opened = EventLog.open(tmp_path)
    view = opened.where(device="mobile")
    assert opened.fingerprint == log.fingerprint
    assert view.fingerprint == log.where(device="mobile").fingerprint != log.fingerprint
    opened.__dict__.pop("fingerprint")
    assert opened.fingerprint == log.fingerprint
    view.save(tmp_path / "view")
    assert EventLog.open(tmp_path / "view").fingerprint == view.fingerprint


def test_no_two_of_hundreds_of_small_logs_collide() -> None:
    frame = pd.DataFrame({"user": "u", "time": [pd.Timestamp(0)], "event": "a", "n": 0.0})
    prints = {print_of(frame.assign(n=float(n))) for n in range(300)}
    prints |= {print_of(frame.assign(time=pd.Timestamp(n, unit="us"))) for n in range(1, 300)}
    prints |= {print_of(frame.assign(user=f"u{n}")) for n in range(300)}
    assert len(prints) == 899
    assert all(len(found) == 32 and set(found) <= set("0123456789abcdef") for found in prints)


@pytest.mark.parametrize("shards", [1, 50])
def test_hidden_rows_take_no_part(shards: int) -> None:
    frame = pinned()
    log = EventLog.from_frame(frame, shards=shards).where(event="view")
    kept = frame[frame["event"] == "view"].assign(session="1")
    assert log.fingerprint == print_of(kept)
