"""Adding files to a log makes the log that one import of all of them would have made.

The judge is that one import, and for which rows repeat another, a count in plain Python.
"""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
import os
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from oracles.session_oracle import sessions_of
from support.log_frames import cells_of

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.filters import Consent
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import SessionRule, sessionize
from analysis.eventlog.store import read_manifest
from analysis.simulation.log import write_simulation
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

HEADER = "user,time,event\n"


def write(path: Path, rows: Any, columns: Any = ("user", "time", "event")) -> Path:
    cells = [",".join("" if row.get(n) is None else row[n] for n in columns) for row in rows]
    path.write_text("\n".join([",".join(columns), *cells]) + "\n")
    return path


def inodes(folder: Path) -> dict[str, int]:
    return {str(p.relative_to(folder)): p.stat().st_ino for p in folder.glob("v*/*/*.arrow")}


def total(manifest: Any) -> int:
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
def test_one_after_the_other_is_all_at_once(
    tmp_path_factory: pytest.TempPathFactory, files: Any, by_order: bool, by_id: bool, shards: int
) -> None:
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
    pd.testing.assert_frame_equal(*frames)  # type: ignore[arg-type]
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
def test_a_row_is_there_as_often_as_the_file_that_has_it_most(
    tmp_path_factory: pytest.TempPathFactory, files: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("often")
    most: Counter[Any] = Counter()
    for number, rows in enumerate(files):
        path = folder / f"{number}.csv"
        lines = [f"{user},2026-01-01T00:00:0{second}Z,{event}\n" for user, event, second in rows]
        path.write_text(HEADER + "".join(lines))
        most |= Counter(rows)
        import_files([path], ColumnMapping(), folder / "log", append=True)
    found = EventLog.open(folder / "log").to_frame()
    rows = zip(found.user, found.event, found.time.dt.second, strict=True)
    assert Counter(rows) == most


def test_an_event_with_an_id_is_one_event(tmp_path: Path) -> None:
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


def test_only_the_shards_of_users_with_new_rows_are_written(tmp_path: Path) -> None:
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


def test_names_grow_at_their_end_and_coverage_with_the_rows(tmp_path: Path) -> None:
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


def test_more_names_than_a_byte_holds(tmp_path: Path) -> None:
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


def test_the_quarantine_accumulates_and_says_nothing_twice(tmp_path: Path) -> None:
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
def test_a_log_that_no_import_made_can_be_added_to(tmp_path: Path, made: str) -> None:
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


def test_too_many_bad_rows_and_nothing_is_written(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(HEADER + "ann,2026-01-01T00:00Z,x\n" * 98 + "bob,never,x\n" * 2)
    with pytest.raises(DataError, match=r"2 of 100 rows are bad, more than the 1\.0000% allowed"):
        import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", max_bad="1%")
    assert os.listdir(tmp_path) == ["a.csv"]
    import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", max_bad=0.02)
    with pytest.raises(DataError, match="rows are bad"):
        import_files(
            [tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", append=True, max_bad=0
        )


def test_shards_grow_in_number_with_what_is_added(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
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


# ── What an import is set to: consent, hashed ids, sessions; and appends that must agree with them.


KEY = b"not a secret, a test"


SHARDS = [1, 2, 50]


CONSENT = ColumnMapping(consent=Consent("cookies", ("yes",)))


def hashed(name: str) -> str:
    return hmac.new(KEY, name.encode(), hashlib.sha256).hexdigest()


def shop(rows: int = 300, seed: int = 3) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    time = pd.Timestamp("2026-03-27", tz="UTC") + pd.to_timedelta(rng.integers(0, 6000, rows), "m")
    frame = pd.DataFrame(
        {
            "user": [f"p{n}@example.com" for n in rng.integers(0, 25, rows)],
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "event": rng.choice(["visit", "buy"], rows),
            "cookies": rng.choice(["yes", "no", None], rows),  # type: ignore[arg-type]
            "campaign": rng.choice(["spring", "brand", None], rows, p=[0.1, 0.1, 0.8]),  # type: ignore[arg-type]
        }
    )
    frame.loc[::50, "time"] = "nonsense"
    return frame


def csv(folder: Path, frame: pd.DataFrame, name: str = "in.csv") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    frame.to_csv(folder / name, index=False)
    return folder / name


@pytest.fixture
def key(tmp_path: Path) -> str:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "id.key").write_bytes(KEY)
    return str(tmp_path / "keys" / "id.key")


def everything_in(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("shards", SHARDS)
@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_consent_and_hashed_ids(tmp_path: Path, key: str, shards: int, kind: str) -> None:
    frame = shop()
    path = tmp_path / f"in.{kind}"
    if kind == "csv":
        frame.to_csv(path, index=False)
    elif kind == "parquet":
        frame.to_parquet(path)
    else:
        frame.to_json(path, orient="records", lines=True)
    mapping = dataclasses.replace(CONSENT, hash_key_file=key)
    counts = import_files([path], mapping, tmp_path / "log", shards=shards)
    yes = frame[frame["cookies"] == "yes"]
    bad = yes["time"] == "nonsense"
    assert counts == (len(frame), int((~bad).sum()), 0, len(frame) - len(yes), int(bad.sum()))
    assert counts.rows_in == sum(counts[1:])
    want = sorted(map(hashed, set(yes.loc[~bad, "user"])))
    log = EventLog.open(tmp_path / "log")
    assert log.user_ids.tolist() == want
    quarantine = pd.read_parquet(tmp_path / "log" / "quarantine.parquet")
    assert all(
        hashed(user) in text
        for user, text in zip(yes.loc[bad, "user"], quarantine["content"], strict=True)
    )
    # Neither an id nor the key stands anywhere, not even in a file's hidden corners.
    kept = everything_in(tmp_path / "log")
    assert b"example.com" not in kept
    assert KEY not in kept
    assert hashlib.sha256(KEY).hexdigest().encode() not in kept


def test_addresses_without_a_key_leave_the_folder_as_it_was(tmp_path: Path) -> None:
    path = csv(tmp_path, shop())
    with pytest.raises(DataError, match=r"e-mail addresses.*--hash-ids KEYFILE") as caught:
        import_files([path], ColumnMapping(), tmp_path / "log")
    assert "example.com" not in str(caught.value)
    assert not (tmp_path / "log").exists()


def test_a_key_inside_the_log_is_refused(tmp_path: Path) -> None:
    path = csv(tmp_path, shop())
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "id.key").write_bytes(KEY)
    mapping = ColumnMapping(hash_key_file=str(tmp_path / "log" / "id.key"))
    with pytest.raises(UsageError, match="would be shared"):
        import_files([path], mapping, tmp_path / "log")


def test_nobody_has_said_yes(tmp_path: Path) -> None:
    path = csv(tmp_path, shop().assign(cookies="denied"))
    with pytest.raises(DataError, match="not one of 300 rows has consent"):
        import_files([path], CONSENT, tmp_path / "log")
    with pytest.raises(UsageError, match=r"no column 'cookis'.*Did you mean 'cookies'"):
        import_files([path], ColumnMapping(consent=Consent("cookis")), tmp_path / "log")


RULES = [
    SessionRule(45 * 60_000_000),
    SessionRule(campaign="campaign"),
    SessionRule(6 * 3_600_000_000, "campaign", "Europe/Berlin"),
]


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("shards", SHARDS)
def test_sessions_of_an_import(tmp_path: Path, rule: SessionRule, shards: int) -> None:
    frame = shop().assign(session="vendor's own")
    frame["user"] = frame["user"].str.removesuffix("@example.com")
    path = csv(tmp_path, frame)
    import_files([path], ColumnMapping(sessions=rule), tmp_path / "log", shards=shards)
    log = EventLog.open(tmp_path / "log")
    table = log.to_frame()
    want = sessions_of(
        table,
        gap=pd.Timedelta(rule.gap_us, "us"),
        campaign=rule.campaign,
        midnight=rule.midnight,
    )
    assert table["session"].tolist() == want
    assert set(table["session_column"]) == {"vendor's own"}
    again = sessionize(
        log,
        gap=pd.Timedelta(rule.gap_us, "us"),
        cut_at_campaign=rule.campaign or False,
        cut_at_midnight=rule.midnight,
    )
    assert again.fingerprint == log.fingerprint


def test_sessions_by_a_property_that_is_not_there(tmp_path: Path) -> None:
    frame = shop().assign(user="ann").drop(columns="campaign")
    with pytest.raises(UsageError, match="'campaign' is not a property"):
        import_files(
            [csv(tmp_path, frame)],
            ColumnMapping(sessions=SessionRule(campaign="campaign")),
            tmp_path / "log",
        )
    assert not (tmp_path / "log").exists()


@pytest.mark.parametrize("shards", SHARDS)
def test_what_is_added_agrees_with_what_is_there(tmp_path: Path, key: str, shards: int) -> None:
    frame = shop()
    whole = csv(tmp_path, frame, "whole.csv")
    parts = [csv(tmp_path, frame[:170], "a.csv"), csv(tmp_path, frame[170:], "b.csv")]
    mapping = dataclasses.replace(
        CONSENT, hash_key_file=key, sessions=SessionRule(campaign="campaign", midnight="UTC")
    )
    counts = import_files([whole], mapping, tmp_path / "one", shards=shards)
    import_files(parts[:1], mapping, tmp_path / "two", shards=shards)
    bare = ColumnMapping(hash_key_file=key)  # consent and sessions are the log's own
    import_files(parts[1:], bare, tmp_path / "two", append=True)
    one, two = (EventLog.open(tmp_path / name) for name in ("one", "two"))
    assert cells_of(two.to_frame()) == cells_of(one.to_frame())
    assert two.fingerprint == one.fingerprint
    assert counts.rows_kept == len(two)


def test_another_key_or_none_cannot_add_to_hashed_ids(tmp_path: Path, key: str) -> None:
    path = csv(tmp_path, shop())
    import_files([path], ColumnMapping(hash_key_file=key), tmp_path / "log")
    with pytest.raises(UsageError, match="hashed with another key"):
        import_files([path], ColumnMapping(), tmp_path / "log", append=True)
    Path(key).write_bytes(KEY[::-1])
    with pytest.raises(UsageError, match="hashed with another key"):
        import_files([path], ColumnMapping(hash_key_file=key), tmp_path / "log", append=True)
    plain = csv(tmp_path, shop().assign(user="ann"), "plain.csv")
    import_files([plain], ColumnMapping(), tmp_path / "other")
    with pytest.raises(UsageError, match="are not hashed"):
        import_files([plain], ColumnMapping(hash_key_file=key), tmp_path / "other", append=True)


@pytest.mark.parametrize("other", [None, SessionRule(campaign="campaign")])
def test_other_sessions_cannot_be_added(tmp_path: Path, other: SessionRule | None) -> None:
    path = csv(tmp_path, shop().assign(user="ann"))
    import_files([path], ColumnMapping(sessions=other), tmp_path / "log")
    rule = SessionRule(60_000_000)
    with pytest.raises(UsageError, match="sessions of the log"):
        import_files([path], ColumnMapping(sessions=rule), tmp_path / "log", append=True)


def test_units_go_when_something_is_added(tmp_path: Path) -> None:
    frame = shop().assign(user="ann")
    import_files([csv(tmp_path, frame[:100], "a.csv")], ColumnMapping(), tmp_path / "log")
    assert EventLog.open(tmp_path / "log").by_unit("campaign").users == 2
    assert len(list((tmp_path / "log" / "units").glob("campaign-*"))) == 1
    later = csv(tmp_path, frame[100:], "b.csv")
    import_files([later], ColumnMapping(), tmp_path / "log", append=True)
    assert list((tmp_path / "log" / "units").glob("campaign-*")) == []


def test_a_copy_of_a_log_keeps_its_terms(tmp_path: Path, key: str) -> None:
    rule = SessionRule(campaign="campaign")
    mapping = dataclasses.replace(CONSENT, hash_key_file=key, sessions=rule)
    older, newer = csv(tmp_path, shop(), "1.csv"), csv(tmp_path, shop(seed=4), "2.csv")
    import_files([older], mapping, tmp_path / "log")
    EventLog.open(tmp_path / "log").save(tmp_path / "copy")
    EventLog.open(tmp_path / "log").where(event="buy").save(tmp_path / "view")
    for name in ("copy", "view"):
        with pytest.raises(UsageError, match=r"two ids.*with --hash-ids"):
            import_files([newer], ColumnMapping(), tmp_path / name, append=True)
    again = ColumnMapping(hash_key_file=key)
    for name in ("copy", "log"):
        import_files([newer], again, tmp_path / name, append=True)
    copy, log = EventLog.open(tmp_path / "copy"), EventLog.open(tmp_path / "log")
    assert copy.fingerprint == log.fingerprint


def hourly(path: Path, first: str, hours: int, more: str = "") -> Path:
    times = pd.date_range(first, periods=hours, freq="h")
    rows = [f"u{i % 9},{time:%Y-%m-%dT%H:%MZ},view" for i, time in enumerate(times)]
    path.write_text("\n".join(["user,time,event", *rows, more]).strip() + "\n")
    return path


def test_what_is_appended_moves_the_end_as_one_import_would(tmp_path: Path) -> None:
    first = hourly(tmp_path / "1.csv", "2026-01-01", 24 * 40, "u3,2098-01-01T00:00Z,view")
    second = hourly(tmp_path / "2.csv", "2026-02-10", 24 * 3 + 15)
    import_files([first], ColumnMapping(), tmp_path / "log")
    assert EventLog.open(tmp_path / "log").covers_until == pd.Timestamp("2026-02-10", tz="UTC")
    import_files([second], ColumnMapping(), tmp_path / "log", append=True)
    import_files([first, second], ColumnMapping(), tmp_path / "all")
    for name in ("log", "all"):
        log = EventLog.open(tmp_path / name)
        assert log.covers_until == pd.Timestamp("2026-02-13T14:00:00.000001", tz="UTC")
        assert log.events_after_end() == 1


def test_a_log_that_a_wrong_clock_moved_before_gets_its_end_back(tmp_path: Path) -> None:
    first = hourly(tmp_path / "1.csv", "2026-01-01", 24 * 40, "u3,2098-01-01T00:00Z,view")
    # As earlier versions wrote it.
    import_files([first], ColumnMapping(), tmp_path / "log", covers_until="2098-01-02")
    second = hourly(tmp_path / "2.csv", "2026-02-10", 24 * 3)
    import_files([second], ColumnMapping(), tmp_path / "log", append=True)
    assert EventLog.open(tmp_path / "log").covers_until == pd.Timestamp("2026-02-13", tz="UTC")


def test_an_end_that_was_said_moves_only_with_later_events(tmp_path: Path) -> None:
    first = hourly(tmp_path / "1.csv", "2026-01-01", 24 * 10)
    import_files([first], ColumnMapping(), tmp_path / "log", covers_until="2026-01-20")
    for start, want in (
        ("2025-12-30", "2026-01-20"),
        ("2026-01-15", "2026-01-20"),
        ("2026-01-25", "2026-01-26"),
    ):
        more = hourly(tmp_path / f"{start}.csv", start, 24)
        import_files([more], ColumnMapping(), tmp_path / "log", append=True)
        assert EventLog.open(tmp_path / "log").covers_until == pd.Timestamp(want, tz="UTC")


def test_a_column_without_a_cell_may_be_numbers_in_the_next_file(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,time,event,size\nann,2026-01-01T01:00Z,view,\n")
    (tmp_path / "b.csv").write_text("user,time,event,size\nbob,2026-01-01T01:00Z,view,2.5\n")
    for name in ("a.csv", "b.csv"):
        import_files([tmp_path / name], ColumnMapping(), tmp_path / "log", append=True)
    log = EventLog.open(tmp_path / "log")
    assert log.kinds["size"] == "number"
    assert log.to_frame()["size"].fillna(0).tolist() == [0.0, 2.5]
