"""Damage is found: every byte of a log counts."""

from __future__ import annotations

import json
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cli import run
from analysis.core.schema import DataError
from analysis.eventlog.check import check
from analysis.eventlog.forget import forget
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import MANIFEST, read_manifest
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

HEADER = "user,time,event,order\n"
TEXT = HEADER + "ann,2026-01-01T00:00Z,buy,o1\nbob,2026-01-01T00:00Z,x,\ncy,never,x,\n"
FILES = ["rows.arrow", "users.arrow", "keys.arrow", "quarantine.parquet"]


def made(folder):
    (folder / "a.csv").write_text(TEXT)
    mapping = ColumnMapping(duplicates={"buy": ("order",)})
    import_files([folder / "a.csv"], mapping, folder / "log", shards=1)
    return folder / "log"


def file_of(log, name):
    return next(log.rglob(name))


def test_a_sound_log(tmp_path, capsys):
    log = made(tmp_path)
    files = [path for path in log.rglob("*") if path.is_file() and path.name != MANIFEST]
    assert check(log) == (4, sum(path.stat().st_size for path in files), ())
    assert {path.name for path in files} == set(FILES)
    assert run(["check", str(log)]) == 0
    assert "Fine: 4 files" in capsys.readouterr().out


@settings(max_examples=40)
@given(st.sampled_from(FILES), st.integers(0, 7), st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_is_found_wherever_it_is(tmp_path_factory, name, bit, where):
    log = made(tmp_path_factory.mktemp("flip"))
    path = file_of(log, name)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)
    ((file, reason),) = check(log).damaged
    assert file == str(path.relative_to(log))
    assert reason == "has other content than was written."
    (log.parent / "b.csv").write_text(HEADER + "ann,2026-01-02T00:00Z,x,\n")
    if name != "quarantine.parquet":  # a damaged shard is never written anew as if it were sound
        with pytest.raises(DataError, match="damaged"):
            import_files([log.parent / "b.csv"], ColumnMapping(), log, append=True)
        with pytest.raises(DataError, match="damaged"):
            forget(log, ["ann"])


@settings(max_examples=40)
@given(st.sampled_from(FILES[:3]), st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_short_is_never_opened(tmp_path_factory, name, where):
    log = made(tmp_path_factory.mktemp("cut"))
    path = file_of(log, name)
    os.truncate(path, int(where * path.stat().st_size))
    with pytest.raises(DataError, match=rf"damaged: {name} has .* bytes, it was written with"):
        EventLog.open(log)
    assert len(check(log).damaged) == 1


def test_the_command_names_what_is_damaged(tmp_path, capsys):
    log = made(tmp_path)
    file_of(log, "users.arrow").unlink()
    file_of(log, "quarantine.parquet").write_bytes(b"")
    assert run(["check", str(log), "--json"]) == 1
    out, err = capsys.readouterr()
    assert [damage["file"][-13:] for damage in json.loads(out)["damaged"]] == [
        "0/users.arrow",
        "antine.parquet"[-13:],
    ]
    assert len(err.splitlines()) == 2
    assert "users.arrow' cannot be read: No such file" in err
    assert run(["check", str(tmp_path)]) == 1
    assert "no log in" in capsys.readouterr().err


def test_a_log_without_checksums_says_so(tmp_path):
    log = made(tmp_path)
    manifest = json.loads((log / MANIFEST).read_text())
    for entry in manifest["shards"]:
        del entry["files"]
    (log / MANIFEST).write_text(json.dumps(manifest))
    assert EventLog.open(log).events == 2
    assert "has no checksum" in check(log).damaged[0].reason


def test_a_reader_follows_a_writer_that_replaces_what_it_was_about_to_open(tmp_path, monkeypatch):
    from analysis.eventlog import opening

    log = made(tmp_path)
    old = read_manifest(log)
    (tmp_path / "b.csv").write_text("user,time,event\nann,2026-01-02T00:00Z,x\n")
    import_files([tmp_path / "b.csv"], ColumnMapping(), log, append=True)
    answers = [old]
    now = opening.read_manifest
    monkeypatch.setattr(
        opening, "read_manifest", lambda folder: answers.pop() if answers else now(folder)
    )
    assert EventLog.open(log).events == 3
