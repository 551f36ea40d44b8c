"""The command line: results on standard output, one line of error, the right exit code."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis import cli
from analysis.cli import run, terminal
from analysis.eventlog import store
from analysis.eventlog.log import EventLog

ROW = "ann,2026-01-01T00:00Z,visit,2.50\n"
TEXT = f"user,time,event,value\n{ROW}{ROW}"


@pytest.fixture
def clicks(tmp_path: Path) -> Path:
    path = tmp_path / "clicks.csv"
    path.write_text(TEXT)
    return path


def call(capsys: pytest.CaptureFixture[str], *words: Any) -> tuple[int, str, str]:
    code = run([str(word) for word in words])
    out, err = capsys.readouterr()
    return code, out, err


def test_import_prints_json_and_nothing_else_on_standard_output(
    capsys: pytest.CaptureFixture[str], clicks: Path, tmp_path: Path
) -> None:
    code, out, err = call(capsys, "import", clicks, "--to", tmp_path / "log", "--json")
    assert code == 0
    assert list(json.loads(out)) == [
        "rows_in",
        "rows_kept",
        "rows_duplicate",
        "rows_excluded",
        "rows_quarantined",
    ]
    assert err.splitlines() == ["reading: 100 %, 2 rows", "writing: 100 %, 2 rows"]


def test_info_prints_json(capsys: pytest.CaptureFixture[str], clicks: Path, tmp_path: Path) -> None:
    call(capsys, "import", clicks, "--to", tmp_path / "log")
    code, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    found = json.loads(out)
    assert code == 0
    assert len(found.pop("fingerprint")) == 32
    assert found == {
        "events": 2,
        "users": 1,
        "sessions": 1,
        "start": "2026-01-01T00:00:00+00:00",
        "end": "2026-01-01T00:00:00+00:00",
        "covers_until": "2026-01-02T00:00:00+00:00",
        "by_event": {"visit": {"events": 2, "users": 1, "value": 5.0}},
    }


def test_info_says_where_the_log_ends_and_what_is_not_added_up(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    hours = pd.date_range("2026-03-01", periods=24 * 39 + 15, freq="h")
    lines = ["user,time,event,value,currency"]
    lines += [f"u{i % 7},{hour:%Y-%m-%dT%H:%MZ},visit,," for i, hour in enumerate(hours)]
    worth = ("5,EUR", "700,JPY", "0.0000001,EUR")
    lines += [f"ann,2026-03-02T10:00Z,buy,{value}" for value in worth]
    lines += ["bob,2098-01-01T00:00Z,visit,,"]
    (tmp_path / "rows.csv").write_text("\n".join(lines) + "\n")
    call(capsys, "import", tmp_path / "rows.csv", "--to", tmp_path / "log")
    _, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    found = json.loads(out)
    assert found["covers_until"] == "2026-04-09T14:00:00.000001+00:00"
    assert found["events_after_end"] == 1
    assert found["by_event"]["buy"] == {"events": 3, "users": 1, "value": None}
    late, quiet, mixed, tiny = found["notes"]
    assert late.startswith("1 event is far behind all others; the last is of 2098-01-01.")
    assert "which ends 2026-04-09 14:00 UTC, and no question looks at them" in late
    assert quiet.startswith("The log ends with its last event, 2026-04-09 14:00 UTC")
    assert quiet.endswith("say so at the import: --covers-until 2026-04-10.")
    assert mixed == "The values of 'buy' are in EUR, JPY: not added up."
    assert tiny == "1 value is smaller than a millionth. Is the unit right?"
    _, out, _ = call(capsys, "info", tmp_path / "log")
    assert out.count("Note: ") == 4


def test_info_counts_what_comes_after_an_end_that_was_said(
    capsys: pytest.CaptureFixture[str], clicks: Path, tmp_path: Path
) -> None:
    call(capsys, "import", clicks, "--to", tmp_path / "log", "--covers-until", "2025-12-31T12:00Z")
    _, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    assert json.loads(out)["notes"] == [
        "2 events are at or after 2025-12-31 12:00 UTC, up to which the log was said to be "
        "complete."
    ]


def test_a_log_without_values_has_none(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("user,time,event\nann,2026-01-01T00:00Z,visit\n")
    call(capsys, "import", tmp_path / "a.csv", "--to", tmp_path / "log")
    _, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    assert json.loads(out)["by_event"]["visit"]["value"] is None
    assert call(capsys, "info", tmp_path / "log")[0] == 0


def test_info_tells_what_imports_lost(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    rows = [f"u{n},2026-01-0{n + 1}T09:00Z,buy,{'x' if n < 2 else '2.5'}" for n in range(8)]
    text = "\n".join(["user,time,event,value", *rows, "u9,never,buy,1", ",2026-01-01,buy,1"])
    (tmp_path / "a.csv").write_text(text + "\n")
    code, out, err = call(
        capsys, "import", tmp_path / "a.csv", "--to", tmp_path / "log", "--time-zone", "UTC"
    )
    assert (code, "2 of 8 rows have a cell in column 'value' that is no number" in err) == (0, True)
    _, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    losses = json.loads(out)["losses"]
    found = {(lost["fate"], lost["event"]): (lost["rows"], lost["of"]) for lost in losses}
    assert found == {
        ("blanked", "buy"): (2, 8),
        ("quarantined", "buy"): (2, 10),
    }
    _, out, _ = call(capsys, "info", tmp_path / "log")
    words = " ".join(out.replace("│", " ").split())
    assert "blanked · value · buy 2 25.0%" in words
    assert "In 2 of 8 events (25.0%) the cell 'value' could not be read. It is missing" in words


def test_what_the_data_say_is_never_markup_or_control(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    name = "[red]<script>\x1b[31m\x07"
    (tmp_path / "a.csv").write_text(f'user,time,event\nann,2026-01-01T00:00Z,"{name}"\n')
    call(capsys, "import", tmp_path / "a.csv", "--to", tmp_path / "log")
    _, out, _ = call(capsys, "info", tmp_path / "log")
    assert "[red]<script>\\x1b[31m\\x07" in out
    assert "\x1b" not in out
    (tmp_path / "b\x1b.csv").write_text("a,b\n1,2\n")
    _, _, err = call(capsys, "import", tmp_path / "b\x1b.csv", "--to", tmp_path / "no")
    assert "\x1b" not in err


def test_every_option_reaches_the_import(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    path = tmp_path / "x.csv"
    path.write_text("id,ts,what,visit,eur\na,1767225600000,buy,s1,2.5\n")
    words: Any = "--user id --time ts --event what --session visit --value eur --time-unit ms"
    words += " --covers-until 2026-03-01"
    assert call(capsys, "import", path, *words.split(), "--to", tmp_path / "log")[0] == 0
    _, out, _ = call(capsys, "info", tmp_path / "log", "--json")
    found = json.loads(out)
    assert found["covers_until"] == "2026-03-01T00:00:00+00:00"
    assert found["start"] == "2026-01-01T00:00:00+00:00"
    assert found["by_event"] == {"buy": {"events": 1, "users": 1, "value": 2.5}}
    path.write_text("user,time,event\na,2026-01-01T01:00,e\n")
    words = ["--time-zone", "Europe/Berlin", "--to", tmp_path / "berlin"]
    assert call(capsys, "import", path, *words)[0] == 0
    _, out, _ = call(capsys, "info", tmp_path / "berlin", "--json")
    assert json.loads(out)["start"] == "2026-01-01T00:00:00+00:00"


def test_options_win_over_a_mapping_file(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "x.csv").write_text("id,time,event\na,2026-01-01T00:00Z,e\n")
    (tmp_path / "m.toml").write_text('[columns]\nuser = "nobody"\n')
    words = ["import", tmp_path / "x.csv", "--source", tmp_path / "m.toml", "--to"]
    code, _, err = call(capsys, *words, tmp_path / "no")
    assert (code, "no column 'nobody'" in err) == (2, True)
    assert call(capsys, *words, tmp_path / "log", "--user", "id")[0] == 0


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["import", "no.csv", "--to", "log"], 2, "workbook import: there is no file 'no.csv'"),
        (["import", "x.csv"], 2, "Missing option '--to'. See: workbook import --help"),
        (["import", "--to", "log"], 2, "Missing argument"),
        (["import", "{csv}", "--to", "log", "--user", "usr"], 2, "Did you mean 'user'?"),
        (["import", "{csv}", "--to", "log", "--source", "ga36"], 2, "Did you mean 'ga360'"),
        (["import", "{csv}", "--to", "log", "--max-bad", "1 percent"], 2, "is not a share of rows"),
        (["import", "{csv}", "--to", "log", "--session-gap", "30"], 2, "has no unit"),
        (["import", "{csv}", "--to", "log", "--consent", "x="], 2, "at least one word"),
        (["import", "{csv}", "--to", "log", "--consent", "x"], 2, "there is no column 'x'"),
        (["import", "{csv}", "--to", "log", "--hash-ids", "no.key"], 2, "cannot be read"),
        (["import", "{csv}", "--to", "log", "--time-unit", "m"], 2, "time unit='m' is unknown"),
        (["import", "{csv}", "--to", "log", "--time-zone", "Mars"], 2, "time zone='Mars'"),
        (["import", "{csv}", "--to", "log", "--covers-until", "soon"], 2, "'soon' is not a time"),
        (["import", "{empty}", "--to", "log"], 1, "is empty (0 bytes)"),
        (["info", "nothing"], 1, "workbook info: no log in 'nothing'"),
        (["info"], 2, "Missing argument"),
        (["imprt"], 2, "workbook: No such command 'imprt'. Did you mean 'import'?"),
        (["info", "x", "--jsn"], 2, "No such option"),
        (["lab", "--port", "none"], 2, "workbook lab: Invalid value for '--port'"),
        (["demo", "--users", "none"], 2, "workbook demo: Invalid value for '--users'"),
    ],
)
def test_errors_are_one_line(
    capsys: pytest.CaptureFixture[str],
    clicks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.csv").write_text("")
    before = sorted(tmp_path.iterdir())
    words = [word.format(csv="clicks.csv", empty="empty.csv") for word in words]
    found, out, err = call(capsys, *words)
    assert (found, out) == (code, "")
    assert message in err
    assert err.count("\n") == 1
    assert sorted(tmp_path.iterdir()) == before


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("command", ["import", "forget", "demo"])
def test_an_interrupt_says_whether_the_change_was_published(
    capsys: pytest.CaptureFixture[str],
    clicks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    command: str,
    late: bool,
) -> None:
    log = tmp_path / "log"
    clicks.write_text(TEXT + ROW.replace("ann", "bob"))
    words: dict[str, list[Any]] = {
        "import": ["import", clicks, "--to", log],
        "forget": ["forget", log, "ann"],
        "demo": ["demo", "--to", log, "--users", 50],
    }
    if command == "forget":
        call(capsys, "import", clicks, "--to", log)
    real = store.replace_file

    def stop(*what: Any) -> None:
        if late:
            real(*what)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "replace_file", stop)
        code, _, err = call(capsys, *words[command])
    said = err.splitlines()[-1]
    assert code == 130
    if late:
        assert said.startswith(f"workbook {command}: interrupted, but the change of '{log}' was")
        assert EventLog.open(log).users == {"import": 2, "forget": 1, "demo": 50}[command]
    else:
        assert said == f"workbook {command}: interrupted. Nothing was published."
        assert (log / "manifest.json").exists() == (command == "forget")


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(28, "No space left on device", "/d"), "the disk is full: '/d'. Make room on it"),
        (PermissionError(13, "Permission denied", "/d"), "permission denied: '/d'. Allow it, or"),
        (OSError(30, "Read-only file system", "/d"), "it is read-only: '/d'. Allow it, or name"),
        (OSError(12, "Cannot allocate memory"), "there is not enough memory. Close other"),
        (MemoryError("Unable to allocate 9 GiB"), "there is not enough memory. Close other"),
        (OSError(5, "Input/output error", "/d"), "Input/output error: '/d'."),
        (OSError("odd"), "odd."),
    ],
)
def test_what_the_system_refuses_is_one_line(
    capsys: pytest.CaptureFixture[str],
    clicks: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    said: str,
) -> None:
    def refused(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr("analysis.cli.commands.import_files", refused)
    code, _, err = call(capsys, "import", clicks, "--to", tmp_path / "log")
    assert code == 1
    assert err.startswith(f"workbook import: {said}")
    assert err.count("\n") == 1


def test_a_mistake_of_the_program_is_not_hidden(
    clicks: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> None:
        raise RuntimeError("a bug")

    monkeypatch.setattr("analysis.cli.commands.import_files", broken)
    with pytest.raises(RuntimeError, match="a bug"):
        run(["import", str(clicks), "--to", str(tmp_path / "log")])


def test_demo_writes_a_log_and_replaces_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    first = call(capsys, "demo", "--to", tmp_path / "demo", "--users", 50, "--json")
    again = call(capsys, "demo", "--to", tmp_path / "demo", "--users", 50, "--json")
    other = call(capsys, "demo", "--to", tmp_path / "demo", "--users", 50, "--seed", 1, "--json")
    assert (first[0], json.loads(first[1])["users"]) == (0, 50)
    assert first[1] == again[1] != other[1]


def test_every_command_has_help_with_an_example(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("import", "info", "demo"):
        code, out, _ = call(capsys, name, "--help")
        assert code == 0
        assert f"Example: workbook {name} " in " ".join(out.split())


def test_the_command_in_a_process_of_its_own(clicks: Path, tmp_path: Path) -> None:
    command = [str(Path(sys.executable).with_name("workbook")), "import", str(clicks)]
    ascii_only = os.environ | {"PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"}
    done = subprocess.run(
        [*command, "--to", str(tmp_path / "é")], capture_output=True, env=ascii_only, check=False
    )
    assert (done.returncode, b"Traceback" in done.stderr) == (0, False)
    done = subprocess.run(command, capture_output=True, check=False)
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)


def test_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with terminal.progress() as tell:
        for done in (0, 50, 100):
            tell("reading", done, 100, done)
    out, err = capsys.readouterr()
    assert out == ""
    assert "reading" in err
    assert cli.INTERRUPTED == 130


def test_consent_hashed_ids_and_sessions(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text(
        "user,time,event,ok\n"
        "ann@example.com,2026-01-01T00:00Z,visit,granted\n"
        "ann@example.com,2026-01-01T00:10Z,visit,granted\n"
        "bob@example.com,2026-01-01T00:00Z,visit,denied\n"
    )
    (tmp_path / "id.key").write_text("0123456789abcdef\n")
    words = ["--consent", "ok=granted", "--hash-ids", tmp_path / "id.key", "--session-gap", "5min"]
    to = tmp_path / "log"
    code, out, err = call(capsys, "import", tmp_path / "a.csv", *words, "--to", to, "--json")
    assert code == 0, err
    assert json.loads(out) | {"rows_in": 3, "rows_kept": 2, "rows_excluded": 1} == json.loads(out)
    _, out, _ = call(capsys, "info", to, "--json")
    assert (json.loads(out)["users"], json.loads(out)["sessions"]) == (1, 2)
    code, out, err = call(capsys, "import", tmp_path / "a.csv", "--to", tmp_path / "no")
    assert (code, out) == (1, "")
    assert "2 of 2 ids" in err
    assert "example.com" not in err
