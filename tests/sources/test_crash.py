"""Whatever happens to a writer, the log is as before or as after, and the next one tidies up."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from support import killed_writer
from support.killed_writer import MAPPING, start, write

from analysis.eventlog.log import EventLog
from analysis.eventlog.maintenance import check
from analysis.eventlog.store import MANIFEST, read_manifest
from analysis.sources.ingest import import_files

KINDS = ["import", "append", "forget"]
STEPS = {"import": 80, "append": 90, "forget": 24}


def lines(first: int, last: int) -> str:
    rows = [
        f"u{n % 40},2026-01-01T{n % 24:02d}:{n % 60:02d}Z,{('view', 'buy')[n % 5 == 0]},o{n // 2}\n"
        for n in range(first, last)
    ]
    return "user,time,event,order\n" + "".join(rows) + f"bad-user,never,view,{first}\n"


def true_fingerprint(folder: Path) -> str | None:
    """The fingerprint of what is really there; None where there is no log."""
    if not (folder / MANIFEST).exists():
        return None
    log = EventLog.open(folder)
    content = EventLog.from_shards(
        log.shards, event_names=log.event_names, covers_until=log.covers_until_us
    )
    assert content.fingerprint == log.fingerprint
    return log.fingerprint


@pytest.fixture(scope="module")
def states(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Per kind of command the folder before it, and the fingerprints before and after."""
    found = {}
    for kind in KINDS:
        root = tmp_path_factory.mktemp(kind)
        (root / "a.csv").write_text(lines(0, 300))
        (root / "b.csv").write_text(lines(250, 500))
        (root / "c.csv").write_text("user,time,event,order\nu1,2026-01-09T00:00Z,view,\n")
        if kind != "import":
            import_files([root / "a.csv"], MAPPING, root / "log", shards=4)
        after = root.parent / f"{kind}-after"
        shutil.copytree(root, after)
        write(kind, after / "log")
        found[kind] = root, true_fingerprint(root / "log"), true_fingerprint(after / "log")
    return found


def judge(folder: Path, kind: str, before: Any, after: Any) -> None:
    """Is the log in `folder` in one of its two states, and does the next writer tidy up?"""
    found = true_fingerprint(folder)
    assert found in (before, after)
    if found is not None:
        assert not check(folder).damaged
    # Adding what is there already changes nothing, but it is a command that writes.
    file = folder.parent / ("a.csv" if kind == "import" else "c.csv")
    import_files([file], MAPPING, folder, append=True)
    if kind == "import":
        assert true_fingerprint(folder) == after
    manifest = read_manifest(folder)
    assert manifest.rows["rows_kept"] == manifest.events
    assert manifest.rows["rows_in"] == sum(list(manifest.rows.values())[1:])
    named = {f"{e['path']}/{name}" for e in manifest.shards for name in e["files"]}
    named |= {MANIFEST}
    bad = manifest.rows["rows_quarantined"]
    if bad:
        named.add("quarantine.parquet")
        assert len(pd.read_parquet(folder / "quarantine.parquet")) == bad
    there = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert there == named
    assert not check(folder).damaged


def kill_at_random(states: Any, place: Any, seed: int) -> None:
    """Kill a random command a random moment after one of its steps; the seed is in the name."""
    draw = random.Random(seed)
    kind = draw.choice(KINDS)
    source, before, after = states[kind]
    shutil.copytree(source, place)
    process, pipe = start(kind, place / "log", tell_at=draw.randrange(STEPS[kind]))
    with contextlib.suppress(EOFError):
        pipe.recv()
    time.sleep(draw.uniform(0, 0.03))
    process.kill()
    process.join()
    pipe.close()
    judge(place / "log", kind, before, after)


@pytest.mark.parametrize("seed", range(20))
def test_kill_at_a_random_instant(states: dict[str, Any], tmp_path: Path, seed: int) -> None:
    kill_at_random(states, tmp_path / "run", seed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1000, 1200))
def test_kill_at_a_random_instant_often(states: dict[str, Any], tmp_path: Path, seed: int) -> None:
    kill_at_random(states, tmp_path / "run", seed)


@pytest.mark.parametrize("kind", KINDS)
def test_kill_before_a_step(states: dict[str, Any], tmp_path: Path, kind: Any) -> None:
    source, before, after = states[kind]
    killed = 0
    for step in random.Random(kind).sample(range(STEPS[kind]), 4):
        place = tmp_path / str(step)
        shutil.copytree(source, place)
        process, pipe = start(kind, place / "log", die_at=step)
        process.join()
        pipe.close()
        killed += process.exitcode == -9
        judge(place / "log", kind, before, after)
    assert killed


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("action", ["fsync", "replace", "mkdir"])
def test_a_full_disk_is_an_error_and_nothing_else(
    states: dict[str, Any], tmp_path: Path, kind: Any, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, before, after = states[kind]
    real, failed = getattr(os, action), 0
    for step in (0, 2, 6):
        place = tmp_path / str(step)
        shutil.copytree(source, place)
        left = [step]

        def full(*args: Any, left: Any = left, **options: Any) -> Any:
            left[0] -= 1
            if left[0] == -1:
                raise OSError(errno.ENOSPC, "No space left on device", str(args[0]))
            return real(*args, **options)

        with monkeypatch.context() as patch:
            patch.setattr(os, action, full)
            with contextlib.suppress(OSError):
                write(kind, place / "log")
        failed += left[0] < 0
        if before is None and true_fingerprint(place / "log") is None:
            assert not (place / "log").exists()
        judge(place / "log", kind, before, after)
    assert failed


@pytest.mark.parametrize("size", [0, 300, 2_000])
@pytest.mark.parametrize("kind", ["import", "append"])
def test_a_file_that_cannot_grow(
    states: dict[str, Any], tmp_path: Path, kind: str, size: int
) -> None:
    source, before, after = states[kind]
    shutil.copytree(source, tmp_path / "run")
    process, pipe = start(kind, tmp_path / "run" / "log", file_size=size)
    name, message = pipe.recv()
    process.join()
    assert name == "OSError"
    assert "File too large" in message
    assert true_fingerprint(tmp_path / "run" / "log") == before
    judge(tmp_path / "run" / "log", kind, before, after)


@pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user, which takes root")
def test_a_folder_that_may_not_be_written(states: dict[str, Any]) -> None:
    source, before, _ = states["append"]
    with tempfile.TemporaryDirectory() as place:
        os.chmod(place, 0o755)
        shutil.copytree(source, Path(place) / "run")
        os.chmod(Path(place) / "run", 0o755)
        process, pipe = start("append", Path(place) / "run" / "log", user=65534)
        name, message = pipe.recv()
        process.join()
        assert name == "PermissionError"
        assert "log" in message
        assert true_fingerprint(Path(place) / "run" / "log") == before


def test_a_reader_keeps_the_version_that_it_has_open(
    states: dict[str, Any], tmp_path: Path
) -> None:
    source, before, after = states["append"]
    shutil.copytree(source, tmp_path / "run")
    log = EventLog.open(tmp_path / "run" / "log")
    write("append", tmp_path / "run" / "log")
    write("forget", tmp_path / "run" / "log")
    content = EventLog.from_shards(
        log.shards, event_names=log.event_names, covers_until=log.covers_until_us
    )
    assert content.fingerprint == before != after


@pytest.mark.parametrize("kind", ["append", "forget"])
def test_nothing_that_is_there_is_written_over(
    states: dict[str, Any], tmp_path: Path, kind: str
) -> None:
    shutil.copytree(states[kind][0], tmp_path / "run")
    log, kept = tmp_path / "run" / "log", tmp_path / "kept"
    shutil.copytree(log, kept, copy_function=os.link)  # a second name of every file
    before = {path: path.read_bytes() for path in kept.rglob("*") if path.is_file()}
    write(kind, log)
    assert all(path.read_bytes() == content for path, content in before.items())


def test_the_writers_are_processes() -> None:
    assert killed_writer.CONTEXT.get_start_method() == "forkserver"
