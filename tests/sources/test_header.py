"""A file without a header is recognized, and no cell of a person is shown."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.cli import run
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.sources.header import kind_of, without_cells
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping, load_mapping

ROWS = [
    ("ann@example.com", "2026-01-01T00:00:00Z", "visit"),
    ("bob@example.com", "2026-01-02T00:00:00Z", "visit"),
    ("ann@example.com", "2026-01-02T00:00:00Z", "buy"),
]


def text_of(rows: Any, sign: str = ",") -> str:
    return "".join(sign.join(row) + "\n" for row in rows)


@pytest.mark.parametrize(
    ("row", "cell", "kind", "names"),
    [
        (ROWS[0], 1, "an address", "user,time,event"),
        (("visit", "ann%40example.com", "1767225600"), 2, "an address", "event,user,time"),
        (("ann", "visit", "2026-01-01"), 3, "a time", "user,event,time"),
        (("ann", "visit", "1767225600123", "/"), 3, "a time", "user,event,time,column_4"),
        (("01.02.2026 13:05", "ann", "visit"), 1, "a time", "time,user,event"),
        (("Ann Lee", "Nov 30, 2026 5:09 PM", "visit"), 2, "a time", "user,time,event"),
        (("1-Feb-26", "Ann Lee", "visit"), 1, "a time", "time,user,event"),
        (
            ("2d3b8c1e-1f52-4d0c-9a1e-6f4f3f1f2a3b", "x", "Ann", "9"),
            1,
            "an id",
            "user,event,time,column_4",
        ),
        (("5", "ann@example.com", "5", "2026-01-01"), 2, "an address", "event,user,column_3,time"),
    ],
)
def test_a_row_in_the_place_of_names_is_recognized(
    tmp_path: Path, row: tuple[str, ...], cell: int, kind: str, names: str
) -> None:
    (tmp_path / "x.tsv").write_text(text_of([row, row], "\t"))
    with pytest.raises(UsageError) as caught:
        import_files([tmp_path / "x.tsv"], ColumnMapping(), tmp_path / "log")
    assert str(caught.value) == (
        f"'{tmp_path / 'x.tsv'}' seems to have no header: cell {cell} of its first record looks "
        f"like {kind}. Name its columns in their order: --no-header --columns {names}."
    )
    for word in row:
        assert len(word) == 1 or word not in str(caught.value).replace(str(tmp_path), "")


@pytest.mark.parametrize("sign", [",", "|"])
def test_no_way_shows_the_cells(
    tmp_path: Path, sign: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "x.csv").write_text(text_of(ROWS, sign))
    frame = pd.DataFrame([ROWS[1]], columns=list(ROWS[0]))
    frame.to_parquet(tmp_path / "x.parquet")
    (tmp_path / "x.jsonl").write_text(json.dumps(dict(zip(ROWS[0], ROWS[1], strict=True))))
    for name in ("x.csv", "x.parquet", "x.jsonl"):
        for options in ([], ["--user", "ann"], ["--user", ROWS[0][0], "--time", "day"]):
            assert run(["import", str(tmp_path / name), "--to", str(tmp_path / "log"), *options])
            said = capsys.readouterr().err.replace(f"'{ROWS[0][0]}'", "", options == [])
            assert "bob" not in said
            assert "2026-01" not in said
            assert "ann@" not in said or "--user" in options


def test_columns_may_be_called_like_numbers(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("user,time,event,2024,0\nann,2026-01-01T00:00Z,visit,1,2\n")
    import_files([tmp_path / "x.csv"], ColumnMapping(), tmp_path / "log")
    assert {"2024", "0"} <= set(EventLog.open(tmp_path / "log").kinds)
    (tmp_path / "y.csv").write_text("who,when,event,2024,0\nann,2026-01-01T00:00Z,visit,1,2\n")
    with pytest.raises(UsageError, match=r"there is no column 'user'.* has 'who', 'when', "):
        import_files([tmp_path / "y.csv"], ColumnMapping(), tmp_path / "other")
    # With all that is needed it is a header, whatever else is in it.
    assert kind_of("2026-01-01") == "a time"
    (tmp_path / "z.csv").write_text("user,time,event,2026-01-01\nann,2026-01-01T00:00Z,visit,1\n")
    assert import_files([tmp_path / "z.csv"], ColumnMapping(), tmp_path / "third").rows_kept == 1


def test_a_file_without_a_header_is_the_one_with_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(row[0].partition("@")[0], *row[1:], '"a, b"') for row in ROWS]
    rows.append(("ann", "never", "visit", "x"))
    (tmp_path / "with.csv").write_text("user,time,event,page\n" + text_of(rows))
    (tmp_path / "without.csv").write_text(text_of(rows))
    options = {"with": [], "without": ["--no-header", "--columns", "user, time,event,page"]}
    for name, more in options.items():
        where = [str(tmp_path / f"{name}.csv"), "--to", str(tmp_path / name)]
        assert run(["import", *where, *more, "--json"]) == 0
        assert json.loads(capsys.readouterr().out)["rows_quarantined"] == 1
    logs = [EventLog.open(tmp_path / name) for name in options]
    assert logs[0].fingerprint == logs[1].fingerprint
    bad = pd.read_parquet(tmp_path / "without" / "quarantine.parquet")
    assert bad.row.to_list() == [4]
    mapping = tmp_path / "m.toml"
    mapping.write_text('header = false\ncolumns = ["who", "time", "event", "page"]\n')
    with pytest.raises(UsageError, match="there is no column 'user'"):
        import_files([tmp_path / "without.csv"], load_mapping(mapping), tmp_path / "m")
    mapping.write_text(
        "header = false\n[columns]\nuser = 'who'\nnames = ['who', 'time', 'event', 'page']\n"
    )
    import_files([tmp_path / "without.csv"], load_mapping(mapping), tmp_path / "m")
    assert EventLog.open(tmp_path / "m").fingerprint == logs[0].fingerprint


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--no-header"], "without a header the columns need names"),
        (["--columns", "user,time,event"], "Say that they have none: --no-header"),
        (["--no-header", "--columns", "user,time,user"], "must each have a name of their own"),
        (["--no-header", "--columns", "user,,event"], "must each have a name of their own"),
        (["--no-header", "--columns", "user,time"], "has 3 cells, and 2 columns are named"),
        (["--no-header", "--columns", "a,b,c"], "there is no column 'user'"),
    ],
)
def test_what_is_wrong_is_said(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], options: list[str], message: str
) -> None:
    (tmp_path / "x.csv").write_text(text_of(ROWS))
    where = [str(tmp_path / "x.csv"), "--to", str(tmp_path / "log")]
    assert run(["import", *where, *options]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "log").exists()


def test_other_files_name_their_columns(tmp_path: Path) -> None:
    mapping = ColumnMapping(header=False, names=("user", "time", "event"))
    (tmp_path / "x.jsonl").write_text('{"user": "ann"}\n')
    with pytest.raises(UsageError, match="is JSON lines and names its columns itself"):
        import_files([tmp_path / "x.jsonl"], mapping, tmp_path / "log")


def test_bad_records_say_what_there_should_be(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text("ann,2026-01-01T00:00Z,visit\nann,2026-01-01T00:00Z\n")
    mapping = ColumnMapping(header=False, names=("user", "time", "event"))
    import_files([tmp_path / "x.csv"], mapping, tmp_path / "log")
    (bad,) = pd.read_parquet(tmp_path / "log" / "quarantine.parquet").to_dict("records")
    assert (bad["row"], bad["reason"]) == (2, "has 2 cells, there are 3")


def test_names_that_are_shown() -> None:
    names = ["Hotjar User ID", "Created", "Net Promoter Score®", "ts", "Duration (seconds)", "U-1"]
    assert without_cells(names) == names
    assert without_cells(["ann@example.com", "2026-01-01", "01234567-89ab"]) == []


# ── events in sessions, from the mapping to the log.


def test_sessions_with_events_become_a_log(tmp_path: Path) -> None:
    sessions = [
        {
            "session": n,
            "events": [
                {"aid": n * k, "ts": 1_767_225_600_000 + k, "type": "clicks"} for k in range(n)
            ],
        }
        for n in range(1, 5)
    ]
    (tmp_path / "x.jsonl").write_text("\n".join(map(json.dumps, sessions)))
    words = "[columns]\nuser = 'session'\ntime = 'events.ts'\nevent = 'events.type'\n"
    words += "[time]\nunit = 'ms'\n"
    (tmp_path / "m.toml").write_text(words)
    with pytest.raises(UsageError, match=r"no column 'time'.*\[nested\] events = 'events'"):
        import_files([tmp_path / "x.jsonl"], ColumnMapping(user="session"), tmp_path / "log")
    (tmp_path / "m.toml").write_text(words + "[nested]\nevents = 'events'\n")
    mapping = load_mapping(tmp_path / "m.toml")
    counts = import_files([tmp_path / "x.jsonl"], mapping, tmp_path / "log")
    assert counts == (10, 10, 0, 0, 0)
    frame = EventLog.open(tmp_path / "log").to_frame()
    expected = [str(n) for n in range(1, 5) for _ in range(n)]
    assert frame.user.astype(str).to_list() == expected
    assert frame["events.aid"].astype(int).to_list() == [
        n * k for n in range(1, 5) for k in range(n)
    ]


def test_lists_in_csv_are_text(tmp_path: Path) -> None:
    (tmp_path / "x.csv").write_text('who,events\nann,"[{""type"": ""visit""}]"\n')
    with pytest.raises(UsageError, match="there is no column 'user'") as caught:
        import_files([tmp_path / "x.csv"], ColumnMapping(), tmp_path / "log")
    assert "nested" not in str(caught.value)
    with pytest.raises(UsageError, match=r"\[nested\] is for lists in JSON and Parquet"):
        import_files([tmp_path / "x.csv"], ColumnMapping(nested="events"), tmp_path / "log")
