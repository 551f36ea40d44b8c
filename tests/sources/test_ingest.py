"""An import ends with a log whose rows add up, or with a folder that is exactly as before.

The judges are pandas, which sorts and counts the same rows on its own, and the rule that what is
done to the files (format, split, batches, shards) must not change a digit of the log.
"""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from analysis.core.schema import DataError, UsageError, WorkbookError
from analysis.eventlog import store
from analysis.eventlog.ids import NO_IDS
from analysis.eventlog.log import EventLog
from analysis.sources import ingest, readers
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping, mapping_of

HEADER = "user,time,event\n"
ROW = "ann,2026-01-01T00:00Z,visit\n"


def shop(rows: int = 400, seed: int = 1) -> pd.DataFrame:
    rng = np.random.default_rng(seed)
    time = pd.Timestamp("2026-01-01", tz="UTC") + pd.to_timedelta(rng.integers(0, 9**7, rows), "s")
    frame = pd.DataFrame(
        {
            "user": [f"u{n:03d}" for n in rng.integers(0, 60, rows)],
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "event": rng.choice(["visit", "add", "buy"], rows, p=[0.7, 0.2, 0.1]),
            "device": rng.choice(["mobile", "desktop", None], rows),  # type: ignore[arg-type]
            "price": np.round(rng.random(rows) * 10, 2),
        }
    )
    buys = frame.event == "buy"
    frame["order_id"] = pd.Series([f"o{n}" for n in range(rows)], dtype=object).where(buys, None)
    frame["value"] = frame.price.where(buys)
    return frame


def tree(folder: Path) -> dict[str, bytes | None]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
    }


def folder_of(tmp_path: Path, **files: Any) -> Path:
    folder = tmp_path / "in"
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        ending = name.replace("_", ".")
        (folder / ending).write_bytes(text if isinstance(text, bytes) else text.encode())
    return folder


def imported(source: Any, to: Path, mapping: Any = None, **options: Any) -> tuple[Any, EventLog]:
    counts = import_files([source], mapping or ColumnMapping(), to, **options)
    assert counts.rows_in == sum(counts[1:])
    return counts, EventLog.open(to)


def test_the_log_has_what_the_file_has(tmp_path: Path) -> None:
    frame = shop()
    frame.to_csv(tmp_path / "a.csv", index=False)
    counts, log = imported(tmp_path / "a.csv", tmp_path / "log")
    assert counts == (400, 400, 0, 0, 0)
    frame["time"] = pd.to_datetime(frame["time"])
    frame = frame.sort_values(["user", "time"], kind="stable").reset_index(drop=True)
    gap = frame.groupby("user").time.diff() > pd.Timedelta("30min")
    frame["session"] = (gap.groupby(frame.user).cumsum() + 1).astype(str)
    texts = {"device": "str", "order_id": "str"}  # with one kind of missing cell
    frame = frame.astype(texts)
    found = log.to_frame()[frame.columns].astype(texts)
    pd.testing.assert_frame_equal(found, frame, check_dtype=False)
    assert log.covers_until == frame.time.max().ceil("D")
    assert set(log.to_frame().select_dtypes("number")) == {"price", "value"}


def test_formats_splits_batches_and_shards_make_the_same_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = shop(rows=150)
    for place, name in enumerate(("one", "two")):
        folder = tmp_path / name
        folder.mkdir()
        parts = [frame] if place == 0 else [frame[:90], frame[90:91], frame[91:]]
        for number, part in enumerate(parts):
            path = str(folder / f"{number}")
            part.to_csv(path + ".csv", index=False)
            part.to_csv(path + ".tsv.gz", index=False, sep="\t")
            part.to_parquet(path + ".parquet", index=False)
            part.to_json(path + ".jsonl", orient="records", lines=True)
            part.to_json(path + ".json", orient="records")
    kinds = ("csv", "tsv.gz", "parquet", "jsonl", "json")
    _, log = imported(tmp_path / "one" / "0.csv", tmp_path / "log")
    for block, shards in ((4 << 20, None), (2_000, 7)):
        monkeypatch.setattr(readers, "CSV_BLOCK", block)
        monkeypatch.setattr(readers, "JSON_BLOCK", block)
        monkeypatch.setattr(readers, "PARQUET_ROWS", block // 40)
        for kind in kinds:
            for name in ("one", "two"):
                to = tmp_path / f"{kind}-{name}-{block}-{shards}"
                _, other = imported(f"{tmp_path / name}/*.{kind}", to, shards=shards)
                assert other.fingerprint == log.fingerprint, to.name
                assert other.kinds == log.kinds
                assert other.summary().equals(log.summary())


def test_duplicates_are_one_event(tmp_path: Path) -> None:
    frame = shop()
    twice = frame[frame.event == "buy"].assign(value=None)
    later = frame[frame.event == "buy"].assign(time="2026-12-31T00:00:00Z")
    everything = pd.concat([twice, frame, later])
    everything.to_csv(tmp_path / "a.csv", index=False)
    mapping = ColumnMapping(duplicates={"buy": ("order_id",)})
    counts, log = imported(tmp_path / "a.csv", tmp_path / "log", mapping, shards=5)
    assert counts == (len(everything), len(frame), 2 * len(twice), 0, 0)
    frame.to_csv(tmp_path / "b.csv", index=False)
    _, plain = imported(tmp_path / "b.csv", tmp_path / "plain")
    assert log.fingerprint == plain.fingerprint


def test_duplicates_are_found_across_files_with_other_columns(tmp_path: Path) -> None:
    frame = shop()
    (tmp_path / "in").mkdir()
    frame[:200].to_csv(tmp_path / "in" / "a.csv", index=False)
    frame.assign(late="x").to_csv(tmp_path / "in" / "b.csv", index=False)
    frame[100:].to_csv(tmp_path / "in" / "c.csv", index=False)
    mapping = ColumnMapping(duplicates={"buy": ("order_id",)})
    counts, log = imported(tmp_path / "in", tmp_path / "log", mapping, shards=3)
    buys = (frame.event == "buy").sum()
    # The second file has all rows, and a column that tells no new event.
    assert counts == (900, 400, 500, 0, 0)
    rest = log.to_frame().query("event != 'buy'")
    assert (len(rest), set(rest.late)) == (400 - buys, {"x"})
    found = log.where(event="buy").to_frame()
    assert sorted(found.order_id) == sorted(frame.order_id.dropna())
    assert set(found[found.order_id.isin(frame[:200].order_id)].late.dropna()) == set()


def test_bad_rows_are_beside_the_log_with_a_reason(tmp_path: Path) -> None:
    text = HEADER + ROW + "bob,yesterday,visit\n,2026-01-01T00:00Z,visit\nben,2026\n" + ROW
    folder = folder_of(
        tmp_path,
        a_csv=text,
        b_jsonl='{"user": "x"\n{"user":"y","time":"2026-01-01T00:00Z","event":"e"}\n',
    )
    counts, log = imported(folder, tmp_path / "log")
    assert counts == (7, 3, 0, 0, 4)
    assert log.users == 2
    bad = pd.read_parquet(tmp_path / "log" / "quarantine.parquet")
    assert list(bad.drop(columns="ids").itertuples(index=False, name=None)) == [
        ("a.csv", 5, "has 2 cells, the header has 3", '"ben,2026"'),
        (
            "a.csv",
            3,
            "time is unreadable",
            '{"user":"bob","time":"yesterday","event":"visit"}',
        ),
        ("a.csv", 4, "user is missing", '{"time":"2026-01-01T00:00Z","event":"visit"}'),
        ("b.jsonl", 1, "is no JSON", '"{\\"user\\": \\"x\\""'),
    ]
    ids = [None if own is None else list(own) for own in bad["ids"]]
    assert ids == [None, ["bob"], [], None]


def test_an_old_quarantine_goes_and_none_is_made_without_need(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW)
    (tmp_path / "log").mkdir()
    (tmp_path / "log" / "quarantine.parquet").write_bytes(b"old")
    imported(folder, tmp_path / "log")
    assert not (tmp_path / "log" / "quarantine.parquet").exists()


def test_the_manifest_says_where_the_rows_came_from(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW, b_csv=HEADER + ROW + ROW)
    imported(folder, tmp_path / "log", covers_until="2026-02-01")
    manifest = store.read_manifest(tmp_path / "log")
    assert [(s["name"], s["rows"], s["bytes"]) for s in manifest.sources] == [
        ("a.csv", 1, len(HEADER + ROW)),
        ("b.csv", 2, len(HEADER + ROW + ROW)),
    ]
    assert len({source["blake2b"] for source in manifest.sources}) == 2
    assert manifest.rows["rows_in"] == 3
    assert EventLog.open(tmp_path / "log").covers_until == pd.Timestamp("2026-02-01", tz="UTC")
    assert str(tmp_path) not in json.dumps(manifest.sources)


def test_progress_reaches_its_end(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW * 9, b_csv=HEADER + ROW)
    steps: list[Any] = []
    import_files([folder], ColumnMapping(), tmp_path / "log", progress=steps.append)
    reading = [step for step in steps if step.stage == ingest.READING]
    assert [step.rows for step in reading] == [9, 10]
    assert reading[-1].done == reading[-1].total
    assert steps[-1] == (ingest.WRITING, 10, 10, 10)


@pytest.mark.parametrize(
    ("name", "content", "mapping", "message"),
    [
        ("a.csv", "", {}, "is empty"),
        ("a.csv", HEADER, {}, "there is a header and no row in 'a.csv'"),
        ("a.csv", "id,time,event\n1,2,3\n", {}, "no column 'user'"),
        ("a.csv", HEADER + "ann,2026-01-01,visit\n", {}, "--time-zone"),
        ("a.csv", HEADER + "ann,1604192073,visit\n", {}, "seconds: --time-unit s"),
        ("a.csv", HEADER + "ann,01/02/2026,x\n" * 3, {}, "not one of 3 rows.*ISO 8601.*--time"),
        ("a.csv", HEADER + "ann,1604192073,x\n", {"unit": "ms"}, "Is the unit right"),
        ("a.csv", HEADER + ",2026-01-01T00:00Z,x\n", {}, "user is missing.*--user COLUMN"),
        ("a.csv.gz", gzip.compress((HEADER + ROW * 99).encode(), mtime=0)[:-9], {}, "cut short"),
        ("a.csv.gz", HEADER + ROW, {}, "is CSV, not gzip"),
        ("a.parquet", HEADER + ROW, {}, "is CSV, not Parquet"),
        ("a.csv", (HEADER + ROW).encode() + b"\xe9,2026-01-01T00:00Z,x\n", {}, "not UTF-8"),
        ("a.csv", HEADER + ROW + '"ann,2026', {}, "ends within quotes"),
        ("a.jsonl", '{"user":"u","event":"e"}\n', {}, "no column 'time'"),
        (
            "a.jsonl",
            '{"user":"u","event":"e","time":"2026-01-01T00:00Z"}\n',
            {"properties": {"devise": "device"}},
            "no column 'devise'.*the files have",
        ),
    ],
)
@pytest.mark.parametrize("there", [False, True])
def test_bad_input_is_one_line_and_leaves_nothing(
    tmp_path: Path, name: str, content: Any, mapping: dict[str, Any], message: str, there: bool
) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    if there:
        (tmp_path / "out").mkdir()
        (tmp_path / "out" / "note.txt").write_text("mine")
    before = tree(tmp_path)
    with pytest.raises(WorkbookError, match=message) as caught:
        import_files([folder / name], ColumnMapping(**mapping), tmp_path / "out")
    assert "\n" not in str(caught.value)
    assert tree(tmp_path) == before


def test_an_empty_day_among_others_is_fine(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER, b_csv=HEADER + ROW)
    assert imported(folder, tmp_path / "log")[0].rows_kept == 1


def test_refusals(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW)
    imported(folder, tmp_path / "log")
    before = tree(tmp_path)
    for to, options, message in (
        ("log", {}, "there is a log in"),
        ("log", {"max_bad": "some"}, "max_bad='some' is not a share of rows"),
        ("in/a.csv", {}, "is a file; a log is a folder"),
        ("new", {"shards": 0}, "shards=0 is out of range"),
        ("new", {"covers_until": "soon"}, "covers_until='soon' is not a time"),
    ):
        with pytest.raises(UsageError, match=message):
            import_files([folder], ColumnMapping(), tmp_path / to, **options)
        assert tree(tmp_path) == before


@pytest.mark.parametrize("error", [KeyboardInterrupt, OSError])
@pytest.mark.parametrize("stage", [ingest.READING, ingest.WRITING])
def test_an_interrupted_import_leaves_nothing(tmp_path: Path, error: Any, stage: Any) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW + "bad\n")
    before = tree(tmp_path)

    def interrupt(step: Any) -> None:
        if step.stage == stage:
            raise error("stop")

    with pytest.raises(error):
        import_files([folder], ColumnMapping(), tmp_path / "x" / "log", progress=interrupt)
    assert tree(tmp_path) == before


def test_rows_that_do_not_add_up_are_never_published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW * 3)
    read = ingest.Intake._load

    def forgetful(self: Any, parts: Any) -> Any:
        table, changed = read(self, parts)
        return table[:-1], changed

    monkeypatch.setattr(ingest.Intake, "_load", forgetful)
    before = tree(tmp_path)
    with pytest.raises(DataError, match="3 rows were read and 2 accounted for"):
        import_files([folder], ColumnMapping(), tmp_path / "log", shards=1)
    assert tree(tmp_path) == before


CONTENT = gzip.compress(
    (HEADER + "".join(f"u{n},2026-01-01T00:00Z,e\n" for n in range(99))).encode(), mtime=0
)


@settings(max_examples=40)
@given(st.integers(0, len(CONTENT) - 1))
def test_a_cut_download_never_becomes_a_log(
    tmp_path_factory: pytest.TempPathFactory, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("cut")
    (folder / "a.csv.gz").write_bytes(CONTENT[:cut])
    with pytest.raises(DataError):
        import_files([folder / "a.csv.gz"], ColumnMapping(), folder / "log")
    assert list(tree(folder)) == ["a.csv.gz"]


CELL = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r"), max_size=6)


@settings(max_examples=40)
@given(st.lists(st.tuples(CELL, CELL, CELL), min_size=1, max_size=8))
def test_text_of_any_kind_survives(
    tmp_path_factory: pytest.TempPathFactory, rows: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("text")
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["user", "time", "event", "note"])
    writer.writerows([(user, "2026-01-01T00:00Z", event, note) for user, event, note in rows])
    (folder / "a.csv").write_text(text.getvalue(), encoding="utf-8", newline="")
    good = [row for row in rows if row[0] not in ("", *NO_IDS) and row[1]]
    if not good:
        with pytest.raises(DataError, match="not one of"):
            import_files([folder / "a.csv"], ColumnMapping(), folder / "log")
        return
    counts, log = imported(folder / "a.csv", folder / "log")
    assert (counts.rows_kept, counts.rows_quarantined) == (len(good), len(rows) - len(good))
    found = log.to_frame()
    if log.kinds["note"] == "number":
        assert all(
            float(note) == cell
            for (_, _, note), cell in zip(
                sorted(good, key=lambda r: r[0].encode()), found.note, strict=True
            )
            if note
        )
        return
    notes = [None if pd.isna(note) else note for note in found.note]
    assert list(zip(found.user, found.event, notes, strict=True)) == [
        (user, event, note or None)
        for user, event, note in sorted(good, key=lambda row: row[0].encode())
    ]


def test_columns_that_come_and_go(tmp_path: Path) -> None:
    folder = folder_of(
        tmp_path,
        a_csv="user,time,event,size\nu1,2026-01-01T00:00Z,e,5\n",
        b_csv="time,user,event,color\n2026-01-02T00:00Z,u1,e,red\n",
        c_csv="user,time,event,size,session\nu1,2026-01-03T00:00Z,e,XL,s\n",
    )
    _, log = imported(folder, tmp_path / "log")
    found = log.to_frame().astype(object).where(lambda frame: frame.notna(), None)
    assert list(found["size"]) == ["5", None, "XL"]
    assert list(found["color"]) == [None, "red", None]
    assert list(found["session"]) == [None, None, "s"]


def test_quarantine_of_nothing_but_bad_rows_stays_small(tmp_path: Path) -> None:
    folder = folder_of(tmp_path, a_csv=HEADER + ROW + "u,x,e\n" * 500)
    counts, _ = imported(folder, tmp_path / "log")
    assert counts.rows_quarantined == 500
    assert pq.read_metadata(tmp_path / "log" / "quarantine.parquet").num_rows == 500


def test_prices_are_numbers_and_codes_stay_apart(tmp_path: Path) -> None:
    lines = [
        f"u{n},2026-01-01T09:00Z,view,{p},{c},{z}"
        for n, (p, c, z) in enumerate(
            [("9.99", "1", "007"), ("12.50", "2", "12"), ("10", "2", "13")]
        )
    ]
    text = "user,time,event,price,category,zip\n" + "\n".join(lines) + "\n"
    folder = folder_of(tmp_path, a_csv=text)
    _, log = imported(folder, tmp_path / "log", mapping_of({"types": {"category": "text"}}))
    assert log.kinds == {
        "session": "text",
        "price": "number",
        "category": "text",
        "zip": "text",
    }
    assert log.where(price=">= 10").users == 2
    assert log.where(category="2").users == 2
    assert log.to_frame().zip.tolist() == ["007", "12", "13"]
    _, plain = imported(folder, tmp_path / "plain")
    assert plain.kinds["category"] == "number"
