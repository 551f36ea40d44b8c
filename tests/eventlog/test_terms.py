"""Imports under terms: consent, hashed ids, sessions; and appends that must agree with them."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from log_frames import cells_of
from session_oracle import sessions_of

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.consent import Consent
from analysis.eventlog.log import EventLog
from analysis.eventlog.sessions import SessionRule, sessionize
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

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
            "cookies": rng.choice(["yes", "no", None], rows),
            "campaign": rng.choice(["spring", "brand", None], rows, p=[0.1, 0.1, 0.8]),
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
    with pytest.raises(UsageError, match="'campaign' is no property"):
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
