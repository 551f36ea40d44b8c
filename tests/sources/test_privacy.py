"""Keyed hashes of ids by the published test vectors, and where keys and addresses are refused."""

from __future__ import annotations

import dataclasses
import hashlib
import hmac
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.core.schema import DataError, UsageError
from analysis.eventlog.maintenance import BadRecord
from analysis.sources.mapping import ColumnMapping
from analysis.sources.privacy import IdKey, read_key, refuse_addresses
from analysis.sources.readers import Batch
from analysis.sources.rows import canonical_rows

KEY = b"0123456789abcdef"
LOG = Path("no/such/log")


@pytest.mark.parametrize(
    ("key", "text", "want"),
    [  # RFC 4231, test cases 1, 2 and 6
        (
            b"\x0b" * 20,
            "Hi There",
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7",
        ),
        (
            b"Jefe",
            "what do ya want for nothing?",
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
        ),
        (
            b"\xaa" * 131,
            "Test Using Larger Than Block-Size Key - Hash Key First",
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
        ),
    ],
)
def test_published_vectors(key: bytes, text: str, want: str) -> None:
    assert IdKey(key).hashed(pa.array([text])).to_pylist() == [want]


@given(st.lists(st.one_of(st.none(), st.text())))
def test_every_id_has_its_hash_and_missing_ones_have_none(ids: list) -> None:
    found = IdKey(KEY).hashed(pa.array(ids, pa.large_string())).to_pylist()
    plain = [
        None if i is None else hmac.new(KEY, i.encode(), hashlib.sha256).hexdigest() for i in ids
    ]
    assert found == plain


def test_a_key_shows_itself_to_nobody() -> None:
    key = IdKey(KEY)
    assert KEY.decode() not in f"{key!r} {key} {key.mark}"
    assert key.mark == IdKey(KEY).mark != IdKey(KEY + b"x").mark


def key_file(folder: Path, content: bytes = KEY) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "id.key").write_bytes(content)
    return folder / "id.key"


@pytest.mark.parametrize("end", [b"", b"\n", b"\r\n"])
def test_the_line_end_of_a_text_does_not_count(tmp_path: Path, end: bytes) -> None:
    assert read_key(key_file(tmp_path, KEY + end), log=LOG).mark == IdKey(KEY).mark


def test_bytes_are_taken_as_they_are(tmp_path: Path) -> None:
    key = b"\xff" * 16 + b"\n"
    assert read_key(key_file(tmp_path, key), log=LOG).mark == IdKey(key).mark


@pytest.mark.parametrize("sign", [".git", "pyproject.toml"])
def test_a_key_inside_a_project_is_refused(tmp_path: Path, sign: str) -> None:
    path = key_file(tmp_path / "shop" / "keys")
    (tmp_path / "shop" / sign).touch()
    with pytest.raises(UsageError, match="would be shared") as caught:
        read_key(path, log=LOG)
    assert KEY.decode() not in str(caught.value)


def test_a_key_inside_the_log_is_refused_also_by_another_path(tmp_path: Path) -> None:
    path = key_file(tmp_path / "log" / "keys")
    (tmp_path / "link").symlink_to(tmp_path / "log" / "keys")
    for way in (path, tmp_path / "link" / "id.key", tmp_path / "log" / ".." / "log/keys/id.key"):
        with pytest.raises(UsageError, match="would be shared"):
            read_key(way, log=tmp_path / "log")


def test_a_short_key_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"has 15 bytes\. Allowed: 16 or more") as caught:
        read_key(key_file(tmp_path, KEY[:-1] + b"\n"), log=LOG)
    assert KEY[:-1].decode() not in str(caught.value)
    with pytest.raises(UsageError, match="No such file"):
        read_key(tmp_path / "none", log=LOG)


ADDRESSES = ["ann@example.com", "a.b+c@mail.example.co.uk", "ann%40example.com", "ä@bücher.example"]


@pytest.mark.parametrize("address", ADDRESSES)
def test_addresses_are_refused_and_not_shown(address: str) -> None:
    with pytest.raises(DataError, match=r"1 of 2 ids .*--hash-ids KEYFILE") as caught:
        refuse_addresses(pa.array(["u1", address, address, None]), "user")
    assert address not in str(caught.value)
    with pytest.raises(DataError, match="1 of 2 ids"):
        refuse_addresses(pa.array(["u1", address, None]).dictionary_encode(), "user")


def test_only_ids_that_are_there_count() -> None:
    coded = pa.array(["u1", "ann@example.com"]).dictionary_encode()
    refuse_addresses(coded.filter(pa.array([True, False])), "user")
    assert len(IdKey(KEY).hashed(coded.filter(pa.array([True, False])))) == 1


def test_what_only_has_the_sign_is_none() -> None:
    refuse_addresses(pa.array(["@ann", "ann@home", "a@b@c", "@", "x @y.z", None]), "user")


def rows_of(
    cells: dict, key: IdKey | None, *, bad: Any = (), mapping: ColumnMapping | None = None
) -> Any:
    batch = pa.RecordBatch.from_pydict(cells)
    numbers = np.arange(2, batch.num_rows + 2)
    whole = Batch(batch, numbers, bad, list(cells), True, 0)
    return canonical_rows(whole, dataclasses.replace(mapping or ColumnMapping(), key=key))


def test_nothing_of_a_batch_has_the_id_any_more() -> None:
    cells = {
        "user": ["ann@example.com", "ann@example.com"],
        "time": ["2026-01-01T00:00Z", "nonsense"],
        "event": ["visit", "visit"],
    }
    unreadable = BadRecord(9, "has 2 cells", '"ann@example.com,x"')
    mapping = ColumnMapping(properties={"user": "who"}, duplicates={"visit": ("user",)})
    rows = rows_of(cells, IdKey(KEY), bad=[unreadable], mapping=mapping)
    want = hmac.new(KEY, b"ann@example.com", hashlib.sha256).hexdigest()
    assert rows.table.column("user").to_pylist() == [want]
    assert rows.table.column("who").to_pylist() == [want]
    assert [bad.row for bad in rows.bad] == [9, 3]
    assert want in rows.bad[1].content
    assert "ann" not in f"{rows.table.to_pylist()} {rows.bad}"


def test_a_bad_row_with_an_address_is_refused_too() -> None:
    cells = {"user": ["ann@example.com"], "time": ["nonsense"], "event": ["visit"]}
    with pytest.raises(DataError, match="e-mail"):
        rows_of(cells, None)


def test_a_missing_id_stays_missing() -> None:
    cells = {"user": ["", None, "u"], "time": ["2026-01-01T00:00Z"] * 3, "event": ["visit"] * 3}
    rows = rows_of(cells, IdKey(KEY))
    assert [bad.reason for bad in rows.bad] == ["user is missing"] * 2
    assert len(rows.table) == 1


def test_a_key_that_was_not_read_stops_everything() -> None:
    cells = {"user": ["u"], "time": ["2026-01-01T00:00Z"], "event": ["visit"]}
    with pytest.raises(UsageError, match="has not been read"):
        rows_of(cells, None, mapping=ColumnMapping(hash_key_file="id.key"))
