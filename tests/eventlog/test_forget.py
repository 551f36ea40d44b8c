"""Whoever is forgotten is gone: the judge is a log of files that never had them."""

from __future__ import annotations

import json

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.cli import run
from analysis.core.schema import DataError, UsageError
from analysis.eventlog.check import check
from analysis.eventlog.forget import forget
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import read_manifest
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


def write(path, rows):
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
def test_the_log_is_as_if_they_had_never_been_there(tmp_path_factory, rows, users, shards):
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


def test_nothing_of_them_is_left_on_disk(tmp_path):
    bad = "secret-77,never,view,,,\nx,never,view,mail of secret-77,,\nsecret-778,never,view,,,\n"
    rows = [("ann", 1, "view", "red", 1), ("secret-77", 1, "buy", "my-secret-note", 7)]
    path = write(tmp_path / "a.csv", rows)
    path.write_text(path.read_text() + bad + "odd,secret-77\n")
    log = tmp_path / "log"
    import_files([path], MAPPING, log, shards=4)
    EventLog.open(log).save(log / "units" / "device-1234-0000")
    assert forget(log, ["secret-77"]) == (1, 1, 3)
    left = pd.read_parquet(log / "quarantine.parquet")
    assert len(left) == 1
    assert "secret-778" in left.content[0]
    content = b"".join(p.read_bytes() for p in log.rglob("*") if p.is_file())
    for word in (b"secret-note", b"secret-77,", b'secret-77"', b"secret-770"):
        assert word not in content
    assert content.count(b"secret-77") == content.count(b"secret-778") > 0
    assert forget(log, ["secret-778"]) == (1, 0, 1)
    assert not (log / "quarantine.parquet").exists()
    assert not check(log).damaged


def test_other_shards_are_not_touched(tmp_path):
    path = write(tmp_path / "a.csv", [(f"u{n}", n % 10, "view", "", n) for n in range(200)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log, shards=16)
    before = {p.stat().st_ino for p in log.glob("v*/*/rows.arrow")}
    forget(log, ["u7"])
    after = {p.stat().st_ino for p in log.glob("v*/*/rows.arrow")}
    assert (len(before - after), len(after)) == (1, 16)


def test_refusals_change_nothing(tmp_path):
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


def test_the_command(tmp_path, capsys):
    path = write(tmp_path / "a.csv", [("ann", 1, "view", "", 1)])
    log = tmp_path / "log"
    import_files([path], MAPPING, log)
    assert run(["forget", str(log), "nobody"]) == 1
    assert "not found" in capsys.readouterr().err
    assert run(["forget", str(log), "ann", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"users": 1, "events": 1, "quarantined": 0}
    assert run(["forget", str(log), "ann"]) == 1
