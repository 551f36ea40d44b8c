"""Too little memory is one line and exit code 1."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from analysis.cli import commands, run
from analysis.core.schema import DataError
from analysis.eventlog import store
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import readable
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping


@pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux limits the address space of a process"
)
@pytest.mark.parametrize("megabytes", [200, 700, 1_200])
def test_a_limit_that_leaves_no_room_is_said_before_libraries_hang(
    tmp_path: Path, megabytes: int
) -> None:
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_AS, ({megabytes << 20}, {megabytes << 20}))\n"
        "from analysis.cli import main\n"
        "sys.argv = ['workbook', 'import', 'x.csv', '--to', 'log']\n"
        "main()\n"
    )
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ran.returncode == 1
    (line,) = ran.stderr.splitlines()
    assert line.startswith(f"workbook import: this process may have {megabytes:,} MB of memory")


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        pa.ArrowMemoryError("malloc of size 9 failed"),
        RuntimeError("can't start new thread"),
        ImportError("x.so: failed to map segment from shared object"),
        OSError("Could not find/load shared object file 'libllvmlite.so'"),
        pa.ArrowException("Unknown error: Failed to launch worker thread: Resource temporarily"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_no_memory_is_one_line_however_it_shows(
    error: Exception, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(commands, "run_import", fail)
    assert run(["import", "x.csv", "--to", "log"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("workbook import: ")
    assert "memory" in line
    with pytest.raises((type(error), DataError)) as caught, readable(Path("x")):
        raise error
    assert "damaged" not in str(caught.value) or isinstance(error, OSError)


def test_a_mistake_of_the_program_is_not_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr(commands, "run_import", fail)
    with pytest.raises(RuntimeError, match="a bug"):
        run(["import", "x.csv", "--to", "log"])


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("read_shard", PermissionError(13, "Permission denied")),
        ("read_shard", pa.ArrowMemoryError("malloc of size 9 failed")),
        ("file_facts", PermissionError(13, "Permission denied")),
    ],
)
def test_a_log_that_cannot_be_read_is_not_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, error: Exception
) -> None:
    (tmp_path / "x.csv").write_text("user,time,event\nann,2026-01-01T00:00Z,visit\n")
    import_files([tmp_path / "x.csv"], ColumnMapping(), tmp_path / "log")

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(store, name, fail)

    def use_log() -> None:
        if name == "read_shard":
            EventLog.open(tmp_path / "log")
        else:
            import_files([tmp_path / "x.csv"], ColumnMapping(), tmp_path / "log", append=True)

    with pytest.raises((DataError, MemoryError)) as caught:
        use_log()
    assert "damaged" not in str(caught.value)
    assert "mport again" not in str(caught.value)
