"""The log on disk: whole before, during and after every write, and damage is said in one line."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from log_frames import cells_of

from analysis.cli import run
from analysis.core.schema import DataError, UsageError
from analysis.eventlog import folder as versions
from analysis.eventlog import opening, store
from analysis.eventlog.lock import LOCK
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


# ── crashes ─────────────────────────────────────────────────────────────────────────────────────


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
    (versions, "write_shard"),
    (versions, "content_sum"),
    (versions.os, "fsync"),
    (versions.os, "replace"),
    (store.json, "dumps"),
    (versions.shutil, "rmtree"),
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
from analysis.eventlog import folder as versions
from analysis.eventlog.log import EventLog
real, moment = versions.os.replace, sys.argv[2]
def replace(*args):
    if moment == "after":
        real(*args)
    os._exit(7)
versions.os.replace = replace
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


# ── readers and writers ─────────────────────────────────────────────────────────────────────────


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
    real, saves = opening.read_shard, iter([NEW])

    def slow(place: Path) -> Any:
        for log in saves:
            log.save(tmp_path)
        return real(place)

    monkeypatch.setattr(opening, "read_shard", slow)
    log = EventLog.open(tmp_path)
    assert log.fingerprint == NEW.fingerprint
    assert cells_of(log.to_frame()) == cells_of(NEW.to_frame())


def test_there_is_one_writer_at_a_time(tmp_path: Path) -> None:
    OLD.save(tmp_path)
    with (tmp_path / LOCK).open("ab") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
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


# ── damage ──────────────────────────────────────────────────────────────────────────────────────


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
