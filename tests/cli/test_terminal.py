"""What a person sees holds nothing that moves the cursor or counts as markup."""

from __future__ import annotations

import json
import os
import pty
import re
import subprocess
import sys
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.cli import terminal


@given(st.text())
def test_text_is_one_line_of_printable_letters(text: str) -> None:
    shown = terminal.printable(text)
    letters = shown.replace("\u2068", "").replace("\u2069", "")
    letters = letters.replace("\u2066", "").replace("\u2067", "")
    assert letters.isprintable()
    assert not any(unicodedata.category(letter) in ("Cc", "Cs") for letter in shown)
    if text.isprintable():
        assert letters == " ".join(text.split())


def test_a_name_from_right_to_left_turns_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    assert terminal.printable("קנייה: 12 of 30") == "\u2068קנייה\u2069: 12 of 30"
    assert terminal.printable("a\u202e: 12") == "a\\u202e: 12"
    terminal.complain("workbook", "there is no 'קנייה' among 12")
    assert "'\u2068קנייה\u2069' among 12" in capsys.readouterr().err
    terminal.print_table("Log", ["event", "users"], [["קנייה 2", 12]])
    assert "\u2068קנייה 2\u2069" in capsys.readouterr().out


def test_a_table_shows_data_as_they_are(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_table(
        "[b]Log[/b]", ["what", "is"], [["[red]x\x1b[0m", 12345], ["y", 2.5], ["z", None]]
    )
    out = capsys.readouterr().out
    assert "[b]Log[/b]" in out
    assert "[red]x\\x1b[0m" in out
    assert "12,345" in out
    assert "2.50" in out
    assert "\x1b" not in out


def test_json_has_no_word_for_what_is_no_number(capsys: pytest.CaptureFixture[str]) -> None:
    terminal.print_json({"é": 1})
    assert json.loads(capsys.readouterr().out) == {"é": 1}
    with pytest.raises(ValueError, match="not JSON compliant"):
        terminal.print_json({"x": float("nan")})


def test_plain_lines_come_at_every_tenth(capsys: pytest.CaptureFixture[str]) -> None:
    with terminal.progress() as tell:
        for done in range(0, 1001, 7):
            tell("reading", done, 1000, done * 2)
        tell("writing", 5, 5, 9)
        tell("nothing", 0, 0, 0)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[1] for line in lines[:-1]] == [f"{n}0" for n in range(1, 10)]
    assert lines[0] == "reading: 10 %, 210 rows"
    assert lines[-1] == "writing: 100 %, 9 rows"


_SLOW_WORK = """
import time
from analysis.cli import terminal
with terminal.progress() as tell:
    for done in range(11):
        tell("reading", done * 100, 1000, done * 500)
        time.sleep(0.1)
"""


def test_a_terminal_shows_rows_per_second_and_the_time_left() -> None:
    ours, theirs = pty.openpty()
    wide = {**os.environ, "COLUMNS": "120", "TERM": "xterm"}
    command = [sys.executable, "-c", _SLOW_WORK]
    with subprocess.Popen(command, stderr=theirs, env=wide) as work:
        os.close(theirs)
        shown = b""
        while True:
            try:
                block = os.read(ours, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not block:
                break
            shown += block
    os.close(ours)
    assert work.returncode == 0
    text = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", shown.decode())
    seen = re.findall(r"reading +\S+ +(\d+)% +([\d,]+) rows +([\d,]+) rows/s +(\d+:\d+:\d+)", text)
    last, rows, rate, left = seen[-1]
    assert (last, rows, left) == ("100", "5,000", "0:00:00")
    # Ten waits of a tenth: never quicker, and slower where the machine is busy.
    assert 0 < int(rate.replace(",", "")) <= 5_000
    assert any(left != "0:00:00" for *_, left in seen) or len(seen) < 3
