"""Adding files to a log makes the log that one import of all of them would have made.

The judge is that one import, and for which rows repeat another, a count in plain Python.
"""

from __future__ import annotations

import os
from collections import Counter

import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from analysis.core.schema import DataError
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import read_manifest
from analysis.simulation.log import write_simulation
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

HEADER = "user,time,event\n"


def write(path, rows, columns=("user", "time", "event")):
    cells = [",".join("" if row.get(n) is None else row[n] for n in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *cells]) + "\n")
    return path


def inodes(folder):
    return {str(p.relative_to(folder)): p.stat().st_ino for p in folder.glob("v*/*/*.arrow")}


def total(manifest):
    rows = manifest.rows
    assert rows["rows_in"] == sum(count for name, count in rows.items() if name != "rows_in")
    assert rows["rows_kept"] == manifest.events
    return rows


NUMBERS = st.sampled_from(["1", "2.50", "3.25", "7.0", "007", "XL", None])
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "user": st.sampled_from(["ann", "bob", "cy", "dee", "eve", ""]),
            "time": st.sampled_from([f"2026-01-0{d}T0{h}:00Z" for d in (1, 2) for h in (0, 1)]),
            "event": st.sampled_from(["view", "buy", "add"]),
            "order": st.sampled_from(["o1", "o2", "o3", None]),
            "value": st.sampled_from(["5", "2.5", None]),
            "size": NUMBERS,
            "price": st.sampled_from(["1.50", "2.25", "3.00"]),
            "id": st.sampled_from(["e1", "e2", "e3", None]),
            "session": st.sampled_from(["s1", "s2"]),
        }
    ),
    min_size=1,
    max_size=8,
)
EXTRA = st.sets(st.sampled_from(["order", "value", "size", "price", "id", "session"]))
FILES = st.lists(st.tuples(ROWS, EXTRA), min_size=2, max_size=4)


@settings(max_examples=40, phases=[Phase.explicit, Phase.generate])
@given(FILES, st.booleans(), st.booleans(), st.sampled_from([1, 2, 50]))
def test_one_after_the_other_is_all_at_once(tmp_path_factory, files, by_order, by_id, shards):
    folder = tmp_path_factory.mktemp("append")
    optional = ("order", "value", "size", "price", "id", "session")
    must = {name for name, named in (("order", by_order), ("id", by_id)) if named}
    paths = []
    for number, (rows, extra) in enumerate(files):
        columns = ["user", "time", "event", *(n for n in optional if n in extra | must)]
        good = {"user": "zoe", "time": "2026-01-01T00:00Z", "event": "view", "price": "1.50"}
        paths.append(write(folder / f"{number}.csv", [*rows, good], columns))
    mapping = ColumnMapping(
        duplicates={"buy": ("order",)} if by_order else {}, event_id="id" if by_id else None
    )
    import_files(paths, mapping, folder / "all", shards=3)
    for path in paths:
        import_files([path], mapping, folder / "log", append=True, shards=shards)
    one, other = EventLog.open(folder / "all"), EventLog.open(folder / "log")
    frames = [
        log.to_frame().sort_index(axis=1).astype(object).where(lambda f: f.notna(), None)
        for log in (one, other)
    ]
    pd.testing.assert_frame_equal(*frames)
    assert other.fingerprint == one.fingerprint
    assert other.covers_until == one.covers_until
    assert other.kinds == one.kinds
    manifests = [read_manifest(folder / name) for name in ("all", "log")]
    assert total(manifests[0]) == total(manifests[1])
    fresh = EventLog.from_shards(
        other.shards, event_names=other.event_names, covers_until=other.covers_until_us
    )
    assert fresh.fingerprint == one.fingerprint
    before = inodes(folder / "log")
    import_files(paths, mapping, folder / "log", append=True)
    assert EventLog.open(folder / "log").fingerprint == one.fingerprint
    assert inodes(folder / "log") == before


PLAIN = st.lists(
    st.tuples(st.sampled_from(["ann", "bob"]), st.sampled_from(["x", "y"]), st.integers(0, 1)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=40)
@given(st.lists(PLAIN, min_size=1, max_size=4))
def test_a_row_is_there_as_often_as_the_file_that_has_it_most(tmp_path_factory, files):
    folder = tmp_path_factory.mktemp("often")
    most = Counter()
    for number, rows in enumerate(files):
        path = folder / f"{number}.csv"
        lines = [f"{user},2026-01-01T00:00:0{second}Z,{event}\n" for user, event, second in rows]
        path.write_text(HEADER + "".join(lines))
        most |= Counter(rows)
        import_files([path], ColumnMapping(), folder / "log", append=True)
    found = EventLog.open(folder / "log").to_frame()
    rows = zip(found.user, found.event, found.time.dt.second, strict=True)
    assert Counter(rows) == most


def test_an_event_with_an_id_is_one_event(tmp_path):
    row = {"user": "ann", "time": "2026-01-01T00:00Z", "event": "view", "id": "1", "size": "5"}
    changed = row | {"time": "2026-02-01T00:00Z", "size": "6"}
    write(tmp_path / "a.csv", [row, changed, row | {"user": "bob"}, row | {"id": None}], [*row])
    write(tmp_path / "b.csv", [changed, row | {"id": "2"}, row | {"id": None}], [*row])
    mapping = ColumnMapping(event_id="id")
    for name, expected in (("a", (4, 3, 1)), ("b", (3, 1, 2))):
        counts = import_files([tmp_path / f"{name}.csv"], mapping, tmp_path / "log", append=True)
        assert counts[:3] == expected
    found = EventLog.open(tmp_path / "log").to_frame()
    assert sorted(found.event_id.dropna()) == ["1", "1", "2"]
    assert set(found["size"]) == {5}


def test_only_the_shards_of_users_with_new_rows_are_written(tmp_path):
    rows = [
        {"user": f"u{n}", "time": f"2026-01-01T00:{n % 60:02d}Z", "event": "view"}
        for n in range(500)
    ]
    write(tmp_path / "a.csv", rows)
    import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", shards=20)
    before = inodes(tmp_path / "log")
    write(tmp_path / "b.csv", [rows[7] | {"time": "2025-12-31T23:50Z"}, rows[8]])
    counts = import_files([tmp_path / "b.csv"], ColumnMapping(), tmp_path / "log", append=True)
    assert counts == (2, 1, 1, 0, 0)
    after = inodes(tmp_path / "log")
    assert len(set(before.values()) - set(after.values())) == 2
    assert len(after) == len(before)
    log = EventLog.open(tmp_path / "log")
    mine = log.where(user="u7").to_frame()
    assert list(mine.time) == sorted(mine.time)
    assert len(set(mine.session)) == 1  # the late row belongs to the session that it begins


def test_names_grow_at_their_end_and_coverage_with_the_rows(tmp_path):
    row = {"user": "ann", "time": "2026-01-01T12:00Z", "event": "view"}
    write(tmp_path / "a.csv", [row, row | {"event": "buy"}])
    write(tmp_path / "b.csv", [row | {"event": "add"}])
    write(tmp_path / "c.csv", [row | {"event": "aaa", "time": "2026-01-05T12:00Z"}])
    log = tmp_path / "log"
    import_files([tmp_path / "a.csv"], ColumnMapping(), log, covers_until="2026-01-01T18:00Z")
    import_files([tmp_path / "b.csv"], ColumnMapping(), log, append=True)
    found = EventLog.open(log)
    assert found.event_names == ("buy", "view", "add")
    assert str(found.covers_until) == "2026-01-01 18:00:00+00:00"
    import_files([tmp_path / "c.csv"], ColumnMapping(), log, append=True)
    found = EventLog.open(log)
    assert found.event_names == ("buy", "view", "add", "aaa")
    assert str(found.covers_until) == "2026-01-06 00:00:00+00:00"
    import_files([tmp_path / "b.csv"], ColumnMapping(), log, append=True, covers_until="2026-02-01")
    assert str(EventLog.open(log).covers_until) == "2026-02-01 00:00:00+00:00"
    sources = read_manifest(log).sources
    assert [source["name"] for source in sources] == ["a.csv", "b.csv", "c.csv", "b.csv"]
    assert sources[1]["blake2b"] == sources[3]["blake2b"]


def test_more_names_than_a_byte_holds(tmp_path):
    rows = [
        {"user": f"u{n % 30}", "time": "2026-01-01T00:00Z", "event": f"e{n}"} for n in range(255)
    ]
    write(tmp_path / "a.csv", rows)
    write(tmp_path / "b.csv", [rows[0] | {"event": "one more"}])
    for name in ("a", "b"):
        import_files([tmp_path / f"{name}.csv"], ColumnMapping(), tmp_path / "log", append=True)
    import_files([tmp_path / "a.csv", tmp_path / "b.csv"], ColumnMapping(), tmp_path / "all")
    log = EventLog.open(tmp_path / "log")
    assert log.fingerprint == EventLog.open(tmp_path / "all").fingerprint
    assert log.where(event="one more").events == 1


def test_the_quarantine_accumulates_and_says_nothing_twice(tmp_path):
    (tmp_path / "a.csv").write_text(HEADER + "ann,2026-01-01T00:00Z,x\nbob,never,x\n")
    (tmp_path / "b.csv").write_text(HEADER + "ann,2026-01-01T00:00Z,y\n,2026-01-01T00:00Z,x\n")
    log = tmp_path / "log"
    for name, expected in (("a", (2, 1, 0, 0, 1)), ("b", (2, 1, 0, 0, 1)), ("a", (2, 0, 2, 0, 0))):
        path = tmp_path / f"{name}.csv"
        assert import_files([path], ColumnMapping(), log, append=True) == expected
    bad = pd.read_parquet(log / "quarantine.parquet")
    assert list(zip(bad.file, bad.row, strict=True)) == [("a.csv", 3), ("b.csv", 3)]
    assert total(read_manifest(log))["rows_quarantined"] == 2


@pytest.mark.parametrize("made", ["simulated", "saved"])
def test_a_log_that_no_import_made_can_be_added_to(tmp_path, made):
    log = tmp_path / "log"
    if made == "simulated":
        write_simulation(log, users=50, shards=4)
    else:
        time = pd.to_datetime(["2026-01-01T00:00", "2026-01-01T00:10", "2026-01-01T00:20"])
        frame = pd.DataFrame({"user": ["a", "a", "b"], "time": time, "event": "x", "size": 5.0})
        EventLog.from_frame(frame, shards=2).save(log)
    before = EventLog.open(log)
    write(tmp_path / "a.csv", [{"user": "new", "time": "2026-01-01T00:00Z", "event": "x"}])
    import_files([tmp_path / "a.csv"], ColumnMapping(), log, append=True)
    after = EventLog.open(log)
    assert after.events == before.events + 1
    assert after.kinds == before.kinds
    assert set(after.where(user="new").to_frame().session) == {"1"}
    assert total(read_manifest(log))["rows_in"] == after.events


def test_too_many_bad_rows_and_nothing_is_written(tmp_path):
    (tmp_path / "a.csv").write_text(HEADER + "ann,2026-01-01T00:00Z,x\n" * 98 + "bob,never,x\n" * 2)
    with pytest.raises(DataError, match=r"2 of 100 rows are bad, more than the 1\.0000% allowed"):
        import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", max_bad="1%")
    assert os.listdir(tmp_path) == ["a.csv"]
    import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", max_bad=0.02)
    with pytest.raises(DataError, match="rows are bad"):
        import_files(
            [tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", append=True, max_bad=0
        )


def test_shards_grow_in_number_with_what_is_added(tmp_path, monkeypatch):
    monkeypatch.setattr("analysis.eventlog.build.ROWS_PER_SHARD", 10)
    rows = [
        {"user": f"u{n % 37}", "time": f"2026-01-{1 + n // 40:02}T00:{n % 40:02}Z", "event": "e"}
        for n in range(240)
    ]
    files = [write(tmp_path / f"{k}.csv", rows[60 * k : 60 * k + 60]) for k in range(4)]
    import_files(files[:1], ColumnMapping(), tmp_path / "log", shards=1)
    counts = []
    for file in files[1:]:
        import_files([file], ColumnMapping(), tmp_path / "log", append=True)
        counts.append(len(EventLog.open(tmp_path / "log").shards))
    assert counts[0] > 1
    assert counts == sorted(counts)
    import_files(files, ColumnMapping(), tmp_path / "whole", shards=1)
    log, whole = EventLog.open(tmp_path / "log"), EventLog.open(tmp_path / "whole")
    assert log.fingerprint == whole.fingerprint
    pd.testing.assert_frame_equal(log.to_frame(), whole.to_frame())
    before = inodes(tmp_path / "log")
    import_files(files, ColumnMapping(), tmp_path / "log", append=True)
    assert inodes(tmp_path / "log") == before
