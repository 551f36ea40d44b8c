"""One writer at a time, and readers that never wait."""

from __future__ import annotations

import pytest
from support.killed_writer import MAPPING, start, write

from analysis.core.schema import DataError
from analysis.eventlog.folder import LOCK, locked
from analysis.eventlog.log import EventLog
from analysis.sources.ingest import import_files


@pytest.fixture
def log(tmp_path):
    (tmp_path / "a.csv").write_text(
        "user,time,event,order\nu3,2026-01-01T00:00Z,buy,1\nbob,2026-01-01T00:00Z,x,\n"
        "bad-user,never,x,\n"
    )
    (tmp_path / "b.csv").write_text("user,time,event,order\nann,2026-01-01T00:00Z,buy,2\n")
    import_files([tmp_path / "a.csv"], MAPPING, tmp_path / "log")
    return tmp_path / "log"


def test_a_second_writer_is_told_and_a_reader_is_not(log):
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


def test_the_lock_goes_with_an_error_and_so_does_the_folder_made_for_it(tmp_path):
    def fail():
        with locked(tmp_path / "a" / "b"):
            assert (tmp_path / "a" / "b" / LOCK).exists()
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert not (tmp_path / "a").exists()
    with locked(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


def test_whoever_locked_a_file_that_is_gone_locks_the_next(tmp_path, monkeypatch):
    from analysis.eventlog import folder as lock

    answers = [False, True]
    real = lock._still_there
    monkeypatch.setattr(lock, "_still_there", lambda *of: answers.pop(0) and real(*of))
    with locked(tmp_path):
        assert answers == []
