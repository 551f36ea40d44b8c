"""Files are what their names say, or an error says what to do."""

from __future__ import annotations

import gzip
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.eventlog.shard import readable
from analysis.sources import readers
from analysis.sources.files import CSV, JSON, PARQUET, Bytes, checksum, expand
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

TEXT = b"user,time,event\nann,2026-01-01T00:00Z,visit\n"


def write(folder: Path, name: str, content: bytes = TEXT) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def names(files: Any) -> list[str]:
    return [file.path.name for file in files]


def test_endings_say_how_a_file_is_read(tmp_path: Path) -> None:
    wanted = {"a.csv": CSV, "b.TSV": CSV, "c.txt": CSV, "d.jsonl": JSON, "e.json": JSON}
    content = {JSON: b'{"a": 1}\n', CSV: TEXT, PARQUET: b"PAR1"}
    for name, kind in (wanted | {"f.parquet": PARQUET, "g.pq": PARQUET}).items():
        (file,) = expand([write(tmp_path, name, content[kind])])
        assert (file.kind, file.gzip, file.size) == (kind, False, len(content[kind]))
    (file,) = expand([write(tmp_path, "h.ndjson.GZ", gzip.compress(content[JSON], mtime=0))])
    assert (file.kind, file.gzip) == (JSON, True)


def test_folders_patterns_and_order(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", "sub/c.csv", "_SUCCESS", "notes.md", "[x].csv"):
        write(tmp_path, name)
    assert names(expand([tmp_path])) == ["[x].csv", "a.csv", "b.csv"]
    assert names(expand([f"{tmp_path}/*.csv"])) == ["[x].csv", "a.csv", "b.csv"]
    assert names(expand([f"{tmp_path}/**/?.csv"])) == ["a.csv", "b.csv", "c.csv"]
    assert names(expand([tmp_path / "b.csv", tmp_path])) == ["b.csv", "[x].csv", "a.csv"]
    assert names(expand([str(tmp_path / "[x].csv")])) == ["[x].csv"]


def test_wrong_paths(tmp_path: Path) -> None:
    write(tmp_path, "clicks.csv")
    (tmp_path / "none").mkdir()
    for path, message in {
        "click.csv": "there is no file .*Did you mean 'clicks.csv'",
        "none": "holds no file to import",
        "*.parquet": "no file matches",
        "x/y.csv": "there is no file",
    }.items():
        with pytest.raises(UsageError, match=message):
            expand([tmp_path / path])
    with pytest.raises(UsageError, match="no file given"):
        expand([])
    with pytest.raises(UsageError, match="ending that says nothing"):
        expand([write(tmp_path, "a.xlsx")])
    with pytest.raises(UsageError, match="ending that says nothing"):
        expand([write(tmp_path, "a.parquet.gz")])


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", b"", r"is empty \(0 bytes\)"),
        ("a.csv", b" \n\n", "is empty"),
        ("a.csv.gz", b"", "is empty"),
        ("a.csv.gz", gzip.compress(b"", mtime=0), "is empty"),
        ("a.csv", gzip.compress(TEXT, mtime=0), "is gzip-compressed, not CSV. Rename it .*gz"),
        ("a.csv.gz", TEXT, "is CSV, not gzip. Rename it without .gz"),
        ("a.csv", b"PAR1\x15\x04", "is Parquet, not CSV. Rename it .*parquet"),
        ("a.csv", b"PK\x03\x04\0\0", r"is a zip archive \(Excel"),
        ("a.jsonl", b"PAR1\x15\x04", "is Parquet, not JSON lines"),
        ("a.parquet", TEXT, "is CSV, not Parquet. Rename it .*csv"),
        ("a.parquet", gzip.compress(TEXT, mtime=0), "is gzip-compressed, not Parquet"),
        ("a.csv", TEXT.decode().encode("utf-16"), "is UTF-16 text.*iconv -f UTF-16"),
        ("a.csv", TEXT.decode().encode("utf-16-le"), "is binary or UTF-16.*iconv"),
        ("a.csv", b"ab\x01c,d\n1,2\n", "is binary"),
        ("a.csv", b"<!DOCTYPE html><html>", "is HTML or XML.*error page"),
        ("a.csv", b'{"user": 1}\n', "is JSON lines, not CSV. Rename it .*jsonl"),
        ("a.jsonl", TEXT, "is CSV, not JSON lines. Rename it .*csv"),
        ("a.csv.gz", gzip.compress(b'{"user": 1}\n', mtime=0), "is JSON lines, not CSV"),
        ("a.csv.gz", gzip.compress(TEXT, mtime=0)[:12], "is cut short"),
        ("a.csv.gz", gzip.compress(TEXT, mtime=0)[:9] + b"rubbish" * 9, "is damaged"),
    ],
)
def test_a_file_that_is_not_what_its_name_says(
    tmp_path: Path, name: str, content: Any, message: str
) -> None:
    path = write(tmp_path, name, content)
    with pytest.raises(DataError, match=message) as caught:
        expand([path])
    assert "\n" not in str(caught.value)


def test_a_broken_first_line_is_no_other_format(tmp_path: Path) -> None:
    (file,) = expand([write(tmp_path, "a.jsonl", b'oops"}\n{"user": 1}\n')])
    assert file.kind == JSON


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_without_permission(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv")
    path.chmod(0)
    with pytest.raises(DataError, match="Permission denied"):
        expand([path])


def test_bytes_come_in_the_size_that_is_asked_for(tmp_path: Path) -> None:
    (file,) = expand([write(tmp_path, "a.csv.gz", gzip.compress(TEXT, mtime=0))])
    with Bytes(file) as stream:
        parts = [stream.read(10) for _ in range(10)]
    assert b"".join(parts) == TEXT
    assert {len(part) for part in parts[:4]} == {10}
    assert parts[-1] == b""


def test_too_little_memory_is_no_damage_of_the_file() -> None:
    with (
        pytest.raises(DataError, match=r"not enough memory to read 'x' \(malloc of size 9 failed"),
        readable(Path("x")),
    ):
        raise pa.ArrowMemoryError("malloc of size 9 failed")


def test_a_checksum_is_that_of_the_bytes_and_nobody_waits_for_it_in_vain(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", TEXT * 300_000)
    with checksum(path) as digest:
        pass
    assert digest.done()
    with checksum(path) as digest:
        found = digest.result()
    assert found == hashlib.blake2b(path.read_bytes(), digest_size=16).hexdigest()
    with pytest.raises(FileNotFoundError), checksum(tmp_path / "b.csv") as digest:
        digest.result()


def test_a_log_does_not_read_its_own_files(tmp_path: Path) -> None:
    folder = tmp_path / "d"
    write(folder, "a.csv", TEXT + b"ann,never,visit\n")
    assert import_files([folder], ColumnMapping(), folder).rows_quarantined == 1
    write(folder, "b.csv", TEXT.replace(b"ann", b"bob"))
    (folder / "truth.json").write_text("{}")
    for path in (folder, f"{folder}/*.*", f"{folder}/[am]*"):
        assert {"manifest.json", "quarantine.parquet"} & set(os.listdir(folder))
        assert names(expand([path])) == (["a.csv"] if "[am]" in str(path) else ["a.csv", "b.csv"])
    counts = import_files([folder], ColumnMapping(), folder, append=True)
    assert counts == (3, 1, 2, 0, 0)
    with pytest.raises(UsageError, match="belongs to the log"):
        expand([folder / "manifest.json"])
    # A file of that name elsewhere is a file like any other.
    write(tmp_path, "e/manifest.json", b'{"user": "ann"}\n')
    assert names(expand([tmp_path / "e"])) == ["manifest.json"]


def test_a_pipe_is_no_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x.csv")
    with pytest.raises(UsageError, match="is a pipe or a device"):
        expand([tmp_path / "x.csv"])
    write(tmp_path, "y.csv")
    assert names(expand([tmp_path])) == ["y.csv"]


@pytest.mark.parametrize("ending", ["csv", "jsonl", "parquet"])
def test_a_file_name_that_is_no_text(tmp_path: Path, ending: str) -> None:
    frame = pd.DataFrame({"user": ["a", None], "time": "2026-01-01T00:00Z", "event": "visit"})
    save = {"csv": frame.to_csv, "parquet": frame.to_parquet, "jsonl": frame.to_json}[ending]
    options = {"orient": "records", "lines": True} if ending == "jsonl" else {"index": False}
    save(tmp_path / "x", **options)
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9." + ending.encode()))
    (tmp_path / "x").rename(path)
    assert import_files([path], ColumnMapping(), tmp_path / "log") == (2, 1, 0, 0, 1)
    manifest = json.loads((tmp_path / "log" / "manifest.json").read_text())
    assert manifest["sources"][0]["name"] == rf"caf\xe9.{ending}"


def test_a_folder_whose_name_is_no_text(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv")
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9"))
    with pytest.raises(UsageError, match="has a name that is no UTF-8 text"):
        import_files([path], ColumnMapping(), odd / "log")
    assert not odd.exists()
    import_files([path], ColumnMapping(), tmp_path / "log")
    (tmp_path / "log").rename(odd)
    assert EventLog.open(odd).events == 1


def replace(path: Path) -> None:
    path.with_suffix(".new").write_bytes(path.read_bytes())
    path.with_suffix(".new").rename(path)


CHANGES: dict[str, Any] = {
    "longer": lambda path: path.write_bytes(path.read_bytes() + b'{"n": 1}\n'),
    "cut short": lambda path: os.truncate(path, 1000),
    "replaced": replace,
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_file_that_changes_while_it_is_read_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    monkeypatch.setattr(readers, "JSON_BLOCK", 2_000)
    path = write(tmp_path, "x.jsonl", b"".join(b'{"n": %d}\n' % n for n in range(2_000)))
    batches = readers.read(expand([path])[0])
    next(batches)
    CHANGES[change](path)
    with pytest.raises(DataError, match=r"changed while it was read: it (had|was written anew)"):
        list(batches)


def test_nothing_is_imported_of_a_file_that_changes(tmp_path: Path) -> None:
    path = write(tmp_path, "a.csv", TEXT * 3)

    def change(_: Any) -> None:
        path.write_bytes(TEXT * 2)

    with pytest.raises(DataError, match="changed while it was read"):
        import_files([path], ColumnMapping(), tmp_path / "log", progress=change)
    assert not (tmp_path / "log").exists()
