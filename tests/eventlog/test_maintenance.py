"""Whoever is forgotten is gone: the judge is a log of files that never had them."""

from __future__ import annotations

import csv
import hmac
import io
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cli import run
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.log import EventLog
from analysis.eventlog.maintenance import BadRecord, Quarantine, check, forget, not_checked
from analysis.eventlog.store import MANIFEST, read_manifest
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

HEADER = "user,time,event,note,order,size\n"
MAPPING = ColumnMapping(duplicates={"buy": ("order",)})
ROWS = st.lists(
    st.tuples(
        st.sampled_from(["ann", "bob", "cy", "dee", "eve"]),
        st.integers(0, 9),
        st.sampled_from(["view", "buy"]),
        st.sampled_from(["", "red", "blue"]),
        st.integers(0, 20),
    ),
    min_size=1,
    max_size=20,
)


USERS = st.sets(st.sampled_from(["ann", "bob", "cy"]), min_size=1)


def write(path: Path, rows: Any) -> Path:
    lines = [
        f"{user},2026-01-01T00:00:0{second}Z,{event},{note},{user}{order},{second}\n"
        for user, second, event, note, order in rows
    ]
    path.write_text(HEADER + "zoe,2026-01-01T00:00Z,view,,x,1.5\n" + "".join(lines))
    return path


@settings(max_examples=40)
@given(
    ROWS, st.sets(st.sampled_from(["ann", "bob", "cy"]), min_size=1), st.sampled_from([1, 2, 50])
)
def test_the_log_is_as_if_they_had_never_been_there(
    tmp_path_factory: pytest.TempPathFactory, rows: Any, users: Any, shards: int
) -> None:
    folder = tmp_path_factory.mktemp("forget")
    users &= {row[0] for row in rows}
    others = [row for row in rows if row[0] not in users]
    import_files([write(folder / "a.csv", rows)], MAPPING, folder / "log", shards=shards)
    import_files([write(folder / "b.csv", others)], MAPPING, folder / "never")
    never = EventLog.open(folder / "never")
    if not users:
        return
    before = EventLog.open(folder / "log")
    gone = forget(folder / "log", sorted(users))
    log = EventLog.open(folder / "log")
    assert gone == (len(users), before.events - never.events, 0)
    assert log.fingerprint == never.fingerprint
    assert log.summary().equals(never.summary())
    assert not check(folder / "log").damaged
    rows_now = read_manifest(folder / "log").rows
    assert rows_now["rows_in"] == sum(rows_now.values()) - rows_now["rows_in"]
    assert before.fingerprint != log.fingerprint
    assert before.users == log.users + len(users)  # whoever has the old version open keeps it
    # What has a key is still known by it, and the next import goes on from here.
    counts = import_files([folder / "b.csv"], MAPPING, folder / "log", append=True)
    assert counts.rows_kept == 0


def test_nothing_of_them_is_left_on_disk(tmp_path: Path) -> None:
    bad = "secret-77,never,view,,,\nx,never,view,mail of secret-77,,\nsecret-778,never,view,,,\n"
    rows = [("ann", 1, "view", "red", 1), ("secret-77", 1, "buy", "my-secret-note", 7)]
    path = write(tmp_path / "a.csv", rows)
    path.write_text(path.read_text() + bad + "odd,secret-77\n")
    log = tmp_path / "log"
    import_files([path], MAPPING, log, shards=4)
    EventLog.open(log).save(log / "units" / "device-1234-0000")
    # The row of x stays, as a good row of x would, whatever its note says.
    assert forget(log, ["secret-77"]) == (1, 1, 2)
    left = pd.read_parquet(log / "quarantine.parquet")
    assert [list(ids) if ids is not None else None for ids in left.ids] == [
        None,
        ["x"],
        ["secret-778"],
    ]
    assert "left out" in left.content[0]
    assert "mail of secret-77" in left.content[1]
    content = b"".join(p.read_bytes() for p in log.rglob("*") if p.is_file())
    content = content.replace(b"mail of secret-77", b"")
    for word in (b"secret-note", b"secret-77,", b'secret-77"', b"secret-770"):
        assert word not in content
    assert content.count(b"secret-77") == content.count(b"secret-778") > 0
    assert forget(log, ["secret-778"]) == (1, 0, 1)
    assert forget(log, ["x"]) == (1, 0, 1)
    assert len(pd.read_parquet(log / "quarantine.parquet")) == 1
    assert not check(log).damaged


def everything_in(folder: Path) -> bytes:
    """All bytes of a folder's files, and what its Parquet files hold uncompressed."""
    raw = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    tables = [pd.read_parquet(path) for path in folder.rglob("*.parquet")]
    return raw + b"".join(table.to_json(force_ascii=False).encode() for table in tables)


IDS = [
    "ann#7",
    'Ann "A." O\'Hara',
    "tab\tann",
    "line\nann",
    "a/b\\c",
    "зоя",
    "😀ann",
    "a,b;c",
]


@pytest.mark.parametrize("user", IDS)
@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "nested"])
def test_no_file_names_them_any_more_however_they_were_written(
    tmp_path: Path, user: str, kind: str
) -> None:
    good = {"user": "bob", "time": "2026-01-01T00:00Z", "event": "view"}
    rows = [good, good | {"user": user}, good | {"user": user, "time": "never"}]
    if kind in ("csv", "tsv"):
        path = tmp_path / f"a.{kind}"
        sep = "," if kind == "csv" else "\t"
        text = io.StringIO(newline="")
        table = csv.writer(text, delimiter=sep, quoting=csv.QUOTE_ALL)
        table.writerow(good)
        table.writerows(row.values() for row in rows)
        table.writerow(["2026-01-01T00:00Z", user])  # cells are missing: nobody can read it
        path.write_text(text.getvalue(), newline="")
    else:
        path = tmp_path / "a.jsonl"
        lines = [json.dumps(row) for row in rows]
        escaped = "".join(f"\\u{ord(sign):04x}" if sign < "\uffff" else sign for sign in user)
        lines += [json.dumps(rows[1])[:-1], f'{{"user": "{escaped}", "time": ']
        lines += [json.dumps(rows[1])[:-1].replace("/", "\\/")]
        if kind == "nested":
            lines += [json.dumps([json.dumps(rows[1])]), json.dumps(json.dumps(json.dumps(user)))]
        path.write_text("\n".join(lines) + "\n")
    log = tmp_path / "log"
    counts = import_files([path], ColumnMapping(), log)
    assert counts.rows_quarantined >= 2
    assert forget(log, [user]) == (1, 1, counts.rows_quarantined)
    found = everything_in(log)
    letters = [user, json.dumps(user)[1:-1], json.dumps(user, ensure_ascii=False)[1:-1]]
    for word in (*letters, user.replace('"', '""'), "ann", "O'Hara", "зоя", "\\u0061"):
        if word in user or word in letters:
            assert word.encode() not in found
            assert word.replace("\\", "\\\\").encode() not in found
    assert sum(read_manifest(log).rows.values()) == 2 * read_manifest(log).rows["rows_in"]
    with pytest.raises(DataError, match="not found"):
        forget(log, [user])


def test_nobody_loses_a_row_to_a_short_id(tmp_path: Path) -> None:
    rows = [("1", 1, "view", "red", 1), ("ann", 1, "buy", "1", 1)]
    path = write(tmp_path / "a.csv", rows)
    bad = "1,never,view,,,\n21,never,view,1,1,1\nann,never,view,1 2 1,1,1\n1.0,never,view,,,\n"
    path.write_text(path.read_text() + bad)
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    assert forget(log, ["1"]) == (1, 1, 2)
    left = pd.read_parquet(log / "quarantine.parquet")
    assert [list(ids) for ids in left.ids] == [["21"], ["ann"]]
    assert [json.loads(text)["note"] for text in left.content] == ["1", "1 2 1"]
    assert set(EventLog.open(log).user_ids) == {"ann", "zoe"}


def test_a_bad_row_of_nobody_loses_what_it_says_of_them(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("ann", 1, "view", "", 1)])
    path.write_text(
        path.read_text() + ",2026-01-01T00:00Z,view,ann,,\n,2026-01-01T00:00Z,view,joanna,,\n"
    )
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    assert forget(log, ["ann"]) == (1, 1, 1)
    left = pd.read_parquet(log / "quarantine.parquet")
    assert "joanna" in left.content[1]
    assert "left out" in left.content[0]


def test_a_quarantine_of_an_earlier_version_is_read_and_added_to(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("ann", 1, "view", "", 1)])
    path.write_text(path.read_text() + "ann,never,view,,,\nbob,never,view,,,\n")
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    old = pq.read_table(log / "quarantine.parquet").drop_columns(["ids"])
    pq.write_table(old, log / "quarantine.parquet")
    more = write(tmp_path / "b.csv", [])
    more.write_text(more.read_text() + "cy,never,view,,,\n")
    import_files([path, more], MAPPING, log, append=True)
    ids = pq.read_table(log / "quarantine.parquet").column("ids").to_pylist()
    assert ids == [None, None, ["cy"]]
    assert forget(log, ["ann"]) == (1, 1, 1)
    assert b'"ann"' not in everything_in(log)
    assert "bob" in pd.read_parquet(log / "quarantine.parquet").content[1]


def test_other_shards_are_not_touched(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [(f"u{n}", n % 10, "view", "", n) for n in range(200)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log, shards=16)
    before = {p.stat().st_ino for p in log.glob("v*/*/rows.arrow")}
    forget(log, ["u7"])
    after = {p.stat().st_ino for p in log.glob("v*/*/rows.arrow")}
    assert (len(before - after), len(after)) == (1, 16)


def test_refusals_change_nothing(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", [("ann", 1, "view", "", 1)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    before = sorted((str(p), p.stat().st_mtime_ns) for p in log.rglob("*") if p.is_file())
    for users, error, message in (
        ([], UsageError, "nobody is named"),
        (["ann", "anna"], DataError, "1 of 2 users are not found.*'anna'"),
        (["ann", "zoe"], DataError, "nobody else is in"),
    ):
        with pytest.raises(error, match=message):
            forget(log, users)
        after = sorted((str(p), p.stat().st_mtime_ns) for p in log.rglob("*") if p.is_file())
        assert after == before
    with pytest.raises(DataError, match="no log in"):
        forget(tmp_path / "none", ["ann"])
    assert not (tmp_path / "none").exists()


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(tmp_path / "a.csv", [("ann", 1, "view", "", 1)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    assert run(["forget", str(log), "nobody"]) == 1
    assert "not found" in capsys.readouterr().err
    assert run(["forget", str(log), "ann", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"users": 1, "events": 1, "quarantined": 0}
    assert run(["forget", str(log), "ann"]) == 1


# ── Damage is found: every byte of a log counts.


HEADER_OF_CHECK = "user,time,event,order\n"
TEXT = HEADER_OF_CHECK + "ann,2026-01-01T00:00Z,buy,o1\nbob,2026-01-01T00:00Z,x,\ncy,never,x,\n"
FILES = ["rows.arrow", "users.arrow", "keys.arrow", "quarantine.parquet"]


def made(folder: Path) -> Path:
    (folder / "a.csv").write_text(TEXT)
    mapping = ColumnMapping(duplicates={"buy": ("order",)})
    import_files([folder / "a.csv"], mapping, folder / "log", shards=1)
    return folder / "log"


def file_of(log: Path, name: str) -> Path:
    return next(log.rglob(name))


def test_a_sound_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    log = made(tmp_path)
    files = [path for path in log.rglob("*") if path.is_file() and path.name != MANIFEST]
    assert check(log) == (4, sum(path.stat().st_size for path in files), ())
    assert {path.name for path in files} == set(FILES)
    assert run(["check", str(log)]) == 0
    assert "Fine: 4 files" in capsys.readouterr().out


@settings(max_examples=40)
@given(st.sampled_from(FILES), st.integers(0, 7), st.floats(0, 1, exclude_max=True))
def test_a_flipped_bit_is_found_wherever_it_is(
    tmp_path_factory: pytest.TempPathFactory, name: Any, bit: int, where: float
) -> None:
    log = made(tmp_path_factory.mktemp("flip"))
    path = file_of(log, name)
    content = bytearray(path.read_bytes())
    content[int(where * len(content))] ^= 1 << bit
    path.write_bytes(content)
    ((file, reason),) = check(log).damaged
    assert file == str(path.relative_to(log))
    assert reason == "has other content than was written."
    (log.parent / "b.csv").write_text(HEADER_OF_CHECK + "ann,2026-01-02T00:00Z,x,\n")
    if name != "quarantine.parquet":  # a damaged shard is never written anew as if it were sound
        with pytest.raises(DataError, match="damaged"):
            import_files([log.parent / "b.csv"], ColumnMapping(), log, append=True)
        with pytest.raises(DataError, match="damaged"):
            forget(log, ["ann"])


@settings(max_examples=40)
@given(st.sampled_from(FILES[:3]), st.floats(0, 1, exclude_max=True))
def test_a_file_that_is_cut_short_is_never_opened(
    tmp_path_factory: pytest.TempPathFactory, name: Any, where: float
) -> None:
    log = made(tmp_path_factory.mktemp("cut"))
    path = file_of(log, name)
    os.truncate(path, int(where * path.stat().st_size))
    with pytest.raises(DataError, match=rf"damaged: {name} has .* bytes, it was written with"):
        EventLog.open(log)
    assert len(check(log).damaged) == 1


def test_the_command_names_what_is_damaged(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
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


def test_a_log_without_checksums_says_so(tmp_path: Path) -> None:
    log = made(tmp_path)
    manifest = json.loads((log / MANIFEST).read_text())
    for entry in manifest["shards"]:
        del entry["files"]
    del manifest["checksum"]  # an earlier version wrote neither
    (log / MANIFEST).write_text(json.dumps(manifest))
    assert EventLog.open(log).events == 2
    assert "has no checksum" in check(log).damaged[0].reason


def test_a_manifest_without_a_checksum_opens_and_check_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    log = made(tmp_path)
    rewritten(log, lambda manifest: None, signed=False)
    assert EventLog.open(log).events == 2
    assert run(["check", str(log)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("Fine: ")
    assert "Note: manifest.json has no checksum: an earlier version wrote it." in out
    (tmp_path / "b.csv").write_text("user,time,event\nann,2026-01-02T00:00Z,x\n")
    import_files([tmp_path / "b.csv"], ColumnMapping(), log, append=True)
    assert not check(log).damaged
    assert not not_checked(log)


def rewritten(log: Path, change: Callable[[dict[str, Any]], Any], *, signed: bool) -> None:
    """Change the manifest; `signed`: as it was, or else as if an earlier version had written it."""
    manifest = json.loads((log / MANIFEST).read_text())
    change(manifest)
    if not signed:
        del manifest["checksum"]
    (log / MANIFEST).write_text(json.dumps(manifest, indent=1))


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "names swapped": lambda m: m["event_names"].reverse(),
    "a name more": lambda m: m["event_names"].insert(0, "a"),
    "a shard less": lambda m: m["shards"].pop(),
    "a shard twice": lambda m: m["shards"].append(m["shards"][0]),
    "a shard renamed": lambda m: m["shards"][0].update(path="v0009-000000/00000"),
    "shards swapped": lambda m: m["shards"][0].update(path=m["shards"][1]["path"]),
    "events": lambda m: m.update(events=m["events"] + 1),
    "fingerprint": lambda m: m.update(fingerprint="0" * 32),
    "content": lambda m: m["shards"][0].update(content=["1", "2"]),
}
ONLY_SIGNED: dict[str, Callable[[dict[str, Any]], Any]] = {
    "covers_until": lambda m: m.update(covers_until=m["covers_until"] + 86_400_000_000),
    "rows": lambda m: m["rows"].update(rows_quarantined=5),
    "sources": lambda m: m["sources"].clear(),
}


@pytest.mark.parametrize("signed", [True, False])
@pytest.mark.parametrize("change", [*CHANGES, *ONLY_SIGNED])
def test_a_manifest_that_was_changed_is_found(
    tmp_path: Path, change: str, signed: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    path = write(tmp_path / "a.csv", [(f"u{n}", n % 10, "buy", "", n) for n in range(50)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log, shards=4)
    assert not check(log).damaged
    rewritten(log, (CHANGES | ONLY_SIGNED)[change], signed=signed)
    found = not (change in ONLY_SIGNED and not signed)
    assert bool(check(log).damaged) == found
    assert run(["check", str(log)]) == int(found)
    assert ("Note" in capsys.readouterr().out) == (not signed)
    if signed:
        with pytest.raises(
            DataError, match=r"manifest.json' is damaged: it is not what was written"
        ):
            EventLog.open(log)


def test_a_reader_follows_a_writer_that_replaces_what_it_was_about_to_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analysis.eventlog import store

    log = made(tmp_path)
    old = read_manifest(log)
    (tmp_path / "b.csv").write_text("user,time,event\nann,2026-01-02T00:00Z,x\n")
    import_files([tmp_path / "b.csv"], ColumnMapping(), log, append=True)
    answers = [old]
    now = store.read_manifest
    monkeypatch.setattr(
        store, "read_manifest", lambda folder: answers.pop() if answers else now(folder)
    )
    assert EventLog.open(log).events == 3


# ── Bad records are kept as they come, and the reason that matters most is said.


def test_records_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "q.parquet"
    bad = [BadRecord(3, "is no JSON", '"<script>\\u0000"'), BadRecord(9, "time is missing", "{}")]
    with Quarantine(path) as quarantine:
        quarantine.add("a.csv", bad[:1])
        quarantine.add("b.csv", [])
        quarantine.add("c.csv", bad)
    assert quarantine.rows == 3
    assert [tuple(row.values()) for row in pq.read_table(path).to_pylist()] == [
        ("a.csv", *bad[0]),
        ("c.csv", *bad[0]),
        ("c.csv", *bad[1]),
    ]


def test_without_bad_records_there_is_no_file(tmp_path: Path) -> None:
    with Quarantine(tmp_path / "q.parquet") as quarantine:
        quarantine.add("a.csv", [])
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("reason", "advice"),
    [
        ("user is missing", "--user COLUMN"),
        ("event is missing", "--event COLUMN"),
        ("time is missing", "--time COLUMN"),
        ("time is unreadable", "ISO 8601"),
        ("time is outside 1990 to 2099", "Is the unit right"),
        ("value is no number (column 'x')", "--value COLUMN"),
        ("is no JSON", "Look at that record"),
    ],
)
def test_the_most_frequent_reason_has_an_example_and_advice(
    tmp_path: Path, reason: str, advice: str
) -> None:
    with Quarantine(tmp_path / "q.parquet") as quarantine:
        quarantine.add("a.csv", [BadRecord(2, "is no JSON object", "5")])
        quarantine.add("a.csv", [BadRecord(row, reason, f'{{"row":{row}}}') for row in (7, 8)])
    message = str(quarantine.nothing_left())
    assert message.startswith("not one of 3 rows can be read.")
    assert f"(2): {reason}, as in record 7 of 'a.csv'." in message
    assert advice in message


def test_forgetting_in_a_log_of_hashed_ids(tmp_path: Path) -> None:
    """The message says how to name a person, and bad records go by the hash."""
    (tmp_path / "key").write_text("0123456789abcdef")
    lines = ["ann,2026-01-01T00:00Z,visit", "bob,2026-01-01T00:00Z,visit", "ann,never,visit"]
    (tmp_path / "a.csv").write_text("user,time,event\n" + "\n".join(lines) + "\nann,short\n")
    mapping = ColumnMapping(hash_key_file=str(tmp_path / "key"))
    import_files([tmp_path / "a.csv"], mapping, tmp_path / "log")
    with pytest.raises(DataError, match="ids of this log are hashed: give the hash"):
        forget(tmp_path / "log", ["ann"])
    ann = hmac.digest(b"0123456789abcdef", b"ann", "sha256").hex()
    assert forget(tmp_path / "log", [ann]) == (1, 1, 1)
    assert EventLog.open(tmp_path / "log").users == 1
    assert check(tmp_path / "log").damaged == ()
    for path in (tmp_path / "log").rglob("*"):
        assert path.is_dir() or not {ann.encode(), b"ann"} & set(path.read_bytes().split(b'"'))
