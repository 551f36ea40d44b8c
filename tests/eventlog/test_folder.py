"""One writer at a time, and readers that never wait."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from filelock import FileLock, Timeout
from support.killed_writer import MAPPING, start, write

from analysis.core.schema import DataError
from analysis.eventlog import folder
from analysis.eventlog.folder import LOCK, locked, only_writer
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import import_files


@pytest.fixture
def log(tmp_path: Path) -> Path:
    (tmp_path / "a.csv").write_text(
        "user,time,event,order\nu3,2026-01-01T00:00Z,buy,1\nbob,2026-01-01T00:00Z,x,\n"
        "bad-user,never,x,\n"
    )
    (tmp_path / "b.csv").write_text("user,time,event,order\nann,2026-01-01T00:00Z,buy,2\n")
    import_files([tmp_path / "a.csv"], MAPPING, tmp_path / "log")
    return tmp_path / "log"


def test_a_second_writer_is_told_and_a_reader_is_not(log: Path) -> None:
    process, pipe = start("hold", log)
    assert pipe.recv() == "held"
    for kind in ("append", "forget"):
        with pytest.raises(DataError, match="another process writes"):
            write(kind, log)
    with pytest.raises(DataError, match="another process writes"):
        EventLog.open(log).save(log)
    assert EventLog.open(log).events == 2
    process.kill()
    process.join()
    assert (log / LOCK).exists()  # a killed writer leaves the file, and the system the lock
    write("append", log)
    assert EventLog.open(log).events == 3
    assert not (log / LOCK).exists()


def test_the_lock_goes_with_an_error_and_so_does_the_folder_made_for_it(tmp_path: Path) -> None:
    def fail() -> None:
        with only_writer(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b" / LOCK).exists()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not (tmp_path / "a").exists()
    with only_writer(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_a_lock_whose_file_goes_meanwhile_is_taken_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, real, left = tmp_path / "made" / LOCK, FileLock.acquire, ["name", "folder"]

    def acquire(lock: Any, **options: Any) -> Any:
        """Fail as where the writer before removes the name, then the folder, meanwhile."""
        gone = left.pop(0) if left else ""
        if gone:
            raise Timeout(str(path)) if gone == "name" else FileNotFoundError(path)
        return real(lock, **options)

    monkeypatch.setattr(FileLock, "acquire", acquire)
    with locked(path) as alone:
        assert (alone, left, path.exists()) == (True, [], True)
    assert not path.exists()


def test_who_waits_gets_the_lock_when_its_holder_removes_it(tmp_path: Path) -> None:
    path = tmp_path / LOCK

    def wait() -> bool:
        with locked(path, wait=True) as alone:
            return alone and path.exists()

    with ThreadPoolExecutor(2) as pool:
        with locked(path) as alone:
            waiting = [pool.submit(wait) for _ in range(2)]
            time.sleep(0.1)
            assert (alone, [w.done() for w in waiting]) == (True, [False, False])
        assert [w.result(timeout=60) for w in waiting] == [True, True]
    assert not path.exists()


def test_the_library_runs_where_the_system_has_no_fcntl(tmp_path: Path) -> None:
    code = """
        import sys
        sys.modules["fcntl"] = None
        import pandas as pd
        import analysis
        log = analysis.EventLog.from_frame(pd.DataFrame(
            {"user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2), "event": "visit"}))
        log.save(sys.argv[1])
        log.save(sys.argv[1])
        print(analysis.EventLog.open(sys.argv[1]).events)
    """
    run = [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "log")]
    assert subprocess.run(run, capture_output=True, text=True, check=True).stdout == "2\n"
    assert not (tmp_path / "log" / LOCK).exists()


def test_where_folders_cannot_be_opened_only_files_are_synced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[tuple[Path, int]] = []
    real = os.open

    def watched(path: Path, flags: int) -> int:
        opened.append((path, flags))
        return real(path, flags)

    monkeypatch.setattr(folder, "_WINDOWS", True)
    monkeypatch.setattr(os, "open", watched)
    (tmp_path / "rows").write_bytes(b"x")
    folder.sync(tmp_path / "rows", tmp_path)
    assert opened == [(tmp_path / "rows", os.O_RDWR)]


# ── removing ─────────────────────────────────────────────────────────────────────────────────────


def test_a_lock_that_can_never_be_is_an_error_and_no_endless_trying() -> None:
    for place in (Path("/proc") / LOCK, Path("/proc/none") / LOCK):
        with pytest.raises(OSError, match="No such file"), locked(place):
            pass


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A folder outside of the log, which links in the log lead to."""
    folder_ = tmp_path / "kept"
    (folder_ / "00000").mkdir(parents=True)
    (folder_ / "00000" / "file").write_text("mine")
    (folder_ / "file").write_text("mine")
    return folder_


def whole(kept: Path) -> bool:
    return len(list(kept.rglob("*"))) == 3 and (kept / "00000" / "file").read_text() == "mine"


@pytest.mark.parametrize(
    "name", ["v0009-abcdef", ".import-01234567", ".manifest.json.x.tmp", "units"]
)
def test_a_writer_removes_links_and_never_what_they_lead_to(
    log: Path, kept: Path, name: str
) -> None:
    (log / name).symlink_to(kept)
    write("append", log)
    write("forget", log)
    assert whole(kept)
    # A link that looks like a file of ours and leads to a folder is none of ours.
    assert (log / name).is_symlink() == name.startswith(".manifest")


def test_a_link_inside_of_what_is_removed_is_not_followed(tmp_path: Path, kept: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    (place / "link").symlink_to(kept)
    (place / "file-link").symlink_to(kept / "file")
    folder.remove(place)
    folder.remove(tmp_path / "none")
    assert not place.exists()
    assert whole(kept)


def test_regrouping_writes_and_removes_nothing_through_a_link(tmp_path: Path, kept: Path) -> None:
    path = tmp_path / "log"
    frame = pd.DataFrame(
        {"user": ["ann", "bob"], "time": pd.to_datetime(["2026-01-01"] * 2), "event": "visit"}
    )
    EventLog.from_frame(frame.assign(account="acme")).save(path)
    (path / "units").symlink_to(kept)
    assert EventLog.open(path).by_unit("account").users == 1
    assert whole(kept)
    assert not (path / "units").is_symlink()


def test_a_workspace_is_closed_to_others_and_has_a_new_name(tmp_path: Path) -> None:
    with folder.workspace(tmp_path) as one, folder.workspace(tmp_path) as two:
        assert one.stat().st_mode & 0o777 == 0o700
        assert one.name != two.name
