"""A shard's columns and files: what is written is what is mapped, to the bit."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.log_frames import cells, frames

from analysis.core.schema import DataError
from analysis.eventlog import shard as module
from analysis.eventlog.log import EventLog
from analysis.eventlog.maintenance import check
from analysis.eventlog.shard import (
    NumberColumn,
    Shard,
    TextColumn,
    byte_order,
    content_sum,
    encode,
    event_dtype,
    narrow,
    read_shard,
    text_column,
    write_shard,
    write_table,
)


@given(st.lists(cells, max_size=12), st.booleans())
def test_text_is_codes_into_its_sorted_values(texts: list[str | None], encoded: bool) -> None:
    array = pa.array(texts, pa.large_string())
    column = text_column(array.dictionary_encode() if encoded else array)
    present = sorted({text for text in texts if text is not None}, key=str.encode)
    assert column.values.to_pylist() == present
    assert [present[c] if c >= 0 else None for c in column.codes] == texts
    for code, text in enumerate(present):
        assert column.code_of(text) == code
    assert column.code_of("no such value") == -1


def test_values_that_no_cell_has_are_left_out() -> None:
    cells = pa.DictionaryArray.from_arrays(
        pa.array([3, None, 1, 3]), pa.array(["d", "b", "c", "a"])
    )
    codes, values = encode(pa.chunked_array([cells.slice(1), cells]))
    assert values.to_pylist() == ["a", "b"]
    assert codes.tolist() == [-1, 1, 0, 0, -1, 1, 0]
    codes, values = encode(pa.array([None, None], pa.large_string()))
    assert (codes.tolist(), len(values)) == ([-1, -1], 0)


def test_chunks_with_dictionaries_of_their_own_meet() -> None:
    chunks = [
        pa.array(part, pa.string()).dictionary_encode() for part in (["b", "a"], ["c", "b"], [])
    ]
    codes, values = encode(pa.chunked_array(chunks, chunks[0].type))
    assert [values[int(code)].as_py() for code in codes] == ["b", "a", "c", "b"]


@pytest.mark.parametrize(
    ("size", "dtype"),
    [(0, "int8"), (127, "int8"), (128, "int16"), (32_767, "int16"), (32_768, "int32")],
)
def test_codes_are_as_narrow_as_they_can_be(size: int, dtype: str) -> None:
    codes = np.array([-1, size - 1])
    found = narrow(codes, size)
    assert found.dtype == dtype
    assert found.tolist() == codes.tolist()
    assert narrow(codes, 2**31).dtype == np.int64


def test_event_codes_are_as_narrow_as_they_can_be() -> None:
    sizes = [0, 255, 256, 65_535, 65_536]
    assert [str(event_dtype(size)) for size in sizes] == ["uint8"] * 2 + ["uint16"] * 2 + ["uint32"]


def same(one: Shard, other: Shard) -> None:
    assert one.users.equals(other.users)
    for name in ("offsets", "time", "event", "masks"):
        a, b = getattr(one, name), getattr(other, name)
        assert a.dtype == b.dtype
        assert a.tolist() == b.tolist()
    assert list(one.columns) == list(other.columns)
    for name, column in one.columns.items():
        twin = other.columns[name]
        if isinstance(column, TextColumn):
            assert isinstance(twin, TextColumn)
            assert twin.codes.dtype == column.codes.dtype
            assert twin.codes.tolist() == column.codes.tolist()
            assert twin.values.equals(column.values)
        else:
            assert isinstance(twin, NumberColumn)
            assert twin.numbers.tobytes() == column.numbers.tobytes()


@settings(max_examples=60)
@given(frames())
def test_a_mapped_shard_is_the_one_in_memory(
    tmp_path_factory: pytest.TempPathFactory, frame: pd.DataFrame
) -> None:
    log = EventLog.from_frame(frame)
    place = tmp_path_factory.mktemp("shard") / "00000"
    write_shard(log.shards[0], place, log.event_names)
    mapped = read_shard(place)
    same(log.shards[0], mapped)
    assert content_sum(mapped, log.event_names) == content_sum(log.shards[0], log.event_names)


def test_a_missing_cell_keeps_its_code_on_disk(tmp_path: Path) -> None:
    """A null may hold any code in Arrow; a pass reads the codes, so it has to be −1."""
    frame = pd.DataFrame(
        {
            "user": [f"u{i:04}" for i in range(1000)],
            "time": pd.Timestamp(0),
            "event": "a",
            "some": [None if i % 3 else str(i) for i in range(1000)],
            "none": pd.array([None] * 1000, dtype="str"),
            "all": [str(i % 7) for i in range(1000)],
            "few": [None] * 999 + ["x"],
        }
    )
    shard = EventLog.from_frame(frame).shards[0]
    write_shard(shard, tmp_path / "s", ["a"])
    mapped = read_shard(tmp_path / "s")
    same(shard, mapped)
    codes = {name: column.codes for name, column in mapped.columns.items() if name != "session"}
    assert (codes["some"] == -1).sum() == 666
    assert (codes["none"] == -1).all()
    assert (codes["all"] >= 0).all()
    # Arrow, and whoever reads the file with it, sees the same cells as missing.
    with pa.memory_map(str(tmp_path / "s" / "rows.arrow")) as source:
        table = pa.ipc.open_file(source).read_all()
        missing = {name: table.column(name).null_count for name in codes}
        assert missing == {"some": 666, "none": 1000, "all": 0, "few": 999}
        assert table.column("some").to_pylist() == [None if i % 3 else str(i) for i in range(1000)]
        table.validate(full=True)


def test_mapping_copies_nothing(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {"user": ["a", "b"], "time": pd.Timestamp(0), "event": "a", "n": 1.0, "t": "x"}
    )
    shard = EventLog.from_frame(frame).shards[0]
    write_shard(shard, tmp_path / "s", ["a"])
    mapped = read_shard(tmp_path / "s")
    column, numbers = mapped.columns["t"], mapped.columns["n"]
    assert isinstance(column, TextColumn)
    assert isinstance(numbers, NumberColumn)
    for array in (mapped.time, mapped.event, mapped.masks, column.codes, numbers.numbers):
        assert not array.flags.owndata
        assert not array.flags.writeable
    with pytest.raises(FileExistsError):
        write_shard(shard, tmp_path / "s", ["a"])


def test_codes_of_any_width_survive(tmp_path: Path) -> None:
    for size in (100, 300, 40_000):
        frame = pd.DataFrame(
            {
                "user": [f"u{i}" for i in range(size)],
                "time": pd.Timestamp(0),
                "event": [f"e{i % 300}" for i in range(size)],
                "p": [f"v{i}" for i in range(size)],
            }
        )
        log = EventLog.from_frame(frame)
        write_shard(log.shards[0], tmp_path / str(size), log.event_names)
        same(log.shards[0], read_shard(tmp_path / str(size)))


# A long common beginning, ends that are zeros, and bytes that differ after the eighth.
_ENDS = st.one_of(st.text(max_size=10), st.sampled_from(["", "\0", "\0\0", "a" * 9, "a" * 8 + "b"]))


@given(st.sampled_from(["", "https://shop.example/p/", "ä"]), st.lists(_ENDS, unique=True))
def test_texts_are_in_the_order_of_their_bytes(start: str, ends: list[str]) -> None:
    texts = pa.array([start + end for end in ends], pa.large_string())
    for values in (texts, texts.slice(1)):
        order = byte_order(values)
        want = sorted(values.to_pylist(), key=str.encode)
        assert values.take(pa.array(order)).to_pylist() == want


def test_a_fingerprint_is_the_same_in_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    frame = pd.DataFrame(
        {
            "user": [f"u{n}" for n in rng.integers(0, 20, 500)],
            "time": pd.Timestamp("2026-01-01", tz="UTC"),
            "event": rng.choice(["a", "b"], 500),
            "text": rng.choice(["x", "y", None], 500),  # type: ignore[arg-type]
            "number": rng.random(500),
        }
    )
    (shard,) = EventLog.from_frame(frame).shards
    whole = content_sum(shard, ["a", "b"])
    monkeypatch.setattr(module, "_BLOCK", 7)
    assert content_sum(shard, ["a", "b"]) == whole


# ── A damaged file is an error, and no crash of the process.


def damaged(folder: Path, **columns: Any) -> Path:
    """A log in a folder, some columns of whose only shard are replaced."""
    frame = pd.DataFrame(
        {
            "user": ["ann", "ann", "bob", "cy"],
            "time": pd.Timestamp(0),
            "event": ["visit", "buy", "visit", "visit"],
            "page": ["home", None, "cart", "home"],
            "value": [1.0, 2.0, None, 4.0],
        }
    )
    EventLog.from_frame(frame).save(folder)
    (place,) = folder.glob("v*/00000")
    for name in ("rows.arrow", "users.arrow"):
        table = pa.ipc.open_file((place / name).read_bytes()).read_all()
        for column, replaced in columns.items():
            if column in table.column_names:
                number = table.column_names.index(column)
                table = table.set_column(number, column, replaced)
        write_table(place / name, table)
    manifest = json.loads((folder / "manifest.json").read_text())
    for name in manifest["shards"][0]["files"]:
        manifest["shards"][0]["files"][name]["bytes"] = (place / name).stat().st_size
    del manifest["checksum"]
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


def coded(codes: np.ndarray, values: list[str]) -> pa.DictionaryArray:
    kind = pa.dictionary(pa.from_numpy_dtype(codes.dtype), pa.large_string())
    texts = pa.array(values, pa.large_string())
    return pa.DictionaryArray.from_buffers(kind, len(codes), [None, pa.py_buffer(codes)], texts)


NAMES = ["buy", "visit"]
BROKEN: dict[str, tuple[str, pa.Array]] = {
    "an event beyond": ("event", coded(np.array([0, 1, 200, 1], np.uint8), NAMES)),
    "signed events": ("event", coded(np.array([0, 1, 0, 1], np.int8), NAMES)),
    "other names": ("event", coded(np.array([0, 1, 0, 1], np.uint8), ["visit", "buy"])),
    "events of numbers": ("event", pa.array([0.0, 1.0, 0.0, 1.0])),
    "a time that is a number": ("time", pa.array([0.0, 1.0, 0.0, 1.0])),
    "a start too far": ("start", pa.array([0, 2, 9], pa.int64())),
    "a start before": ("start", pa.array([0, -3, 3], pa.int64())),
    "starts that go back": ("start", pa.array([0, 3, 2], pa.int64())),
    "a first row of nobody": ("start", pa.array([1, 2, 3], pa.int64())),
    "starts of 32 bits": ("start", pa.array([0, 2, 3], pa.int32())),
    "masks that are signed": ("mask", pa.array([1, 2, 3], pa.int64())),
    "a user without an id": ("user", pa.array(["ann", None, "cy"], pa.large_string())),
    "users of numbers": ("user", pa.array([1, 2, 3])),
}
LATER: dict[str, tuple[str, pa.Array]] = {
    "a code beyond": ("page", coded(np.array([0, 2, 1, 0], np.int8), ["cart", "home"])),
    "a code below": ("page", coded(np.array([0, -2, 1, 0], np.int8), ["cart", "home"])),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_no_shard_can_have_is_refused_when_it_is_opened(tmp_path: Path, name: str) -> None:
    column, cells = BROKEN[name]
    with pytest.raises(DataError, match=r"^shard '.*Import again\.$"):
        EventLog.open(damaged(tmp_path, **{column: cells}))


@pytest.mark.parametrize("name", LATER)
def test_codes_of_a_property_are_looked_through_when_it_is_first_asked_for(
    tmp_path: Path, name: str
) -> None:
    column, cells = LATER[name]
    log = EventLog.open(damaged(tmp_path, **{column: cells}))
    assert len(log) == 4
    for asked in (log.to_frame, lambda: log.where(page="home"), lambda: log.by_unit("page")):
        with pytest.raises(DataError, match=r"^shard '.*': the column 'page' is damaged: .* code"):
            asked()


@pytest.mark.parametrize("bit", [63, 62, 57, 53])
def test_times_that_no_log_has_are_damage(tmp_path: Path, bit: int) -> None:
    times = np.zeros(4, np.int64).view(np.uint64)
    times[2] ^= np.uint64(1 << bit)
    log = EventLog.open(damaged(tmp_path, time=pa.array(times.view(np.int64))))
    for asked in (
        lambda: len(log),
        lambda: log.start,
        log.summary,
        log.to_frame,
        lambda: log.between("2026-01-01"),
    ):
        with pytest.raises(DataError, match="the column 'time' is damaged: there is a time before"):
            asked()
    (found,) = check(tmp_path).damaged[:1]
    assert found.file.endswith("00000/rows.arrow")


def test_texts_whose_places_are_damaged_are_refused(tmp_path: Path) -> None:
    log = damaged(tmp_path)
    (path,) = log.glob("v*/00000/rows.arrow")
    raw = path.read_bytes()
    places = np.array([0, 4, 8], np.int64).tobytes()  # of "cart" and "home"
    assert raw.count(places) == 1
    path.write_bytes(raw.replace(places, np.array([0, 2**40, 8], np.int64).tobytes()))
    with pytest.raises(DataError, match="the column 'page' is damaged"):
        EventLog.open(log).to_frame()
    path.write_bytes(raw)
    assert EventLog.open(log).where(page="home").users == 2


_FLIPS = """
import os, random, sys, warnings
from pathlib import Path
import analysis as wb

warnings.simplefilter("ignore", DeprecationWarning)
folder = Path(sys.argv[1])
log = wb.simulate(users=60).log
log.save(folder)
shop = wb.Catalog.load(sys.argv[2])


def ask(log):
    steps = shop.steps("checkout")
    wb.funnel(log, steps, by="device").value_lost()
    wb.micro_to_macro(log, shop)
    wb.paths(log, to="purchase")
    wb.rfm(log)
    log.summary(), log.to_frame(), log.fingerprint, log.by_unit("country").users


ask(wb.EventLog.open(folder))
files = sorted(folder.glob("v*/*/*.arrow"))
random.seed(11)
for _ in range(int(sys.argv[3])):
    path = random.choice(files)
    raw = path.read_bytes()
    changed = bytearray(raw)
    for _ in range(random.choice([1, 1, 16])):
        low = random.choice([0, len(raw) - 3000])
        place = random.randrange(low, len(raw))
        changed[place] ^= 1 << random.randrange(8)
    path.write_bytes(changed)
    child = os.fork()
    if not child:
        code = 0
        try:
            ask(wb.EventLog.open(folder))
        except wb.WorkbookError:
            code = 1
        except BaseException as error:
            print(repr(error))
            code = 2
        os._exit(code)
    print(os.waitpid(child, 0)[1] in (0, 256))
    path.write_bytes(raw)
"""


@pytest.mark.slow
@pytest.mark.skipif(not hasattr(os, "fork"), reason="the system has no fork")
def test_flipped_bits_end_in_an_error_or_a_number_and_never_in_a_crash(tmp_path: Path) -> None:
    catalog = Path(__file__).parents[2] / "data" / "catalogs" / "ecommerce.toml"
    arguments = [str(tmp_path / "log"), str(catalog), "40"]
    ran = subprocess.run(
        [sys.executable, "-c", _FLIPS, *arguments], capture_output=True, text=True, check=True
    )
    assert ran.stdout.split() == ["True"] * 40
