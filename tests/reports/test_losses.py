"""What an import lost stands in `workbook info` and in the weekly report, with its shares."""

from __future__ import annotations

import json
from pathlib import Path

import pandas as pd
import pytest
from support.notebook_cells import run_cells

from analysis.catalog import Catalog
from analysis.cli import run
from analysis.eventlog.log import EventLog
from analysis.quality.result import gate
from analysis.reports.losses import loss_notes, loss_table
from analysis.sources.ingest import import_files
from analysis.sources.mapping import ColumnMapping

VISITS, BUYERS, BAD_VALUES, BAD_TIMES = 200, 50, 40, 10


@pytest.fixture
def log(tmp_path: Path) -> EventLog:
    """Of 50 purchases 40 have a value that cannot be read, and 10 more have no time."""
    lines = ["user,time,event,value"]
    lines += [f"u{i},2026-11-{2 + i % 14:02}T08:00Z,view_item," for i in range(VISITS)]
    for i in range(BUYERS):
        value = "about 20" if i < BAD_VALUES else "20"
        lines.append(f"u{i},2026-11-{2 + i % 14:02}T09:00Z,purchase,{value}")
    lines += [f"u{i},never,purchase,20" for i in range(BAD_TIMES)]
    (tmp_path / "a.csv").write_text("\n".join(lines) + "\n")
    folder = tmp_path / "log"
    import_files([tmp_path / "a.csv"], ColumnMapping(), folder, max_bad="50%")
    return EventLog.open(folder)


def test_shares_are_of_the_rows_that_there_were(log: EventLog) -> None:
    table = loss_table(log).set_index("fate")
    assert table.loc["blanked", ["column", "event", "rows", "of", "share"]].to_list() == [
        "value",
        "purchase",
        40,
        50,
        0.8,
    ]
    assert table.loc["quarantined", ["event", "rows", "of"]].to_list() == ["purchase", 10, 60]


def test_sentences_say_rows_macros_and_why(log: EventLog) -> None:
    lost, blanked = loss_notes(log, "purchase")
    assert lost == (
        "10 of 260 rows of the files (3.8%) could not be read as events and are in the "
        "quarantine; of “Purchase” 16.7% (10 of 60). Most frequent reason: time is unreadable."
    )
    assert blanked.startswith(
        "In 40 of 250 events (16.0%) the cell 'value' could not be read; of “Purchase” 80.0% "
        "(40 of 50). It is missing there. Most frequent reason: is no number."
    )
    assert "Purchase" not in "".join(loss_notes(log))


def test_what_the_gate_told_is_not_told_again(log: EventLog) -> None:
    shop = Catalog.from_mapping({"name": "shop", "events": {"purchase": {"role": "macro"}}})
    checked = gate(log, shop, period=("2026-11-02", "2026-11-09"))
    assert "10 of 260" in checked.table["finding"].iloc[0]
    assert loss_notes(log, "purchase", gate=checked) == ()


def test_a_week_that_has_most_of_it_is_named(tmp_path: Path) -> None:
    lines = [f"u{i},2026-11-{day:02}T00:00Z,buy,x" for i, day in enumerate([3] * 9 + [12])]
    (tmp_path / "a.csv").write_text("\n".join(["user,time,event,value", *lines]) + "\n")
    import_files([tmp_path / "a.csv"], ColumnMapping(), tmp_path / "log", max_bad="99%")
    (said,) = loss_notes(EventLog.open(tmp_path / "log"))
    assert said.endswith("Most in the week of 2 Nov 2026: 9.")


def test_nothing_lost_is_nothing_said() -> None:
    frame = pd.DataFrame({"user": ["ann"], "time": [pd.Timestamp("2026-01-01")], "event": "x"})
    log = EventLog.from_frame(frame)
    assert loss_notes(log, "x") == ()
    assert not len(loss_table(log))


def test_info_tells_it_to_people_and_to_programs(
    log: EventLog, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = str(log.folder)
    assert run(["info", folder]) == 0
    out = " ".join(capsys.readouterr().out.split())
    assert "blanked · value · purchase" in out
    assert "Note: 10 of 260 rows of the files (3.8%) could not be read" in out
    assert run(["info", folder, "--json"]) == 0
    losses = json.loads(capsys.readouterr().out)["losses"]
    assert [(lost["fate"], lost["rows"], lost["of"]) for lost in losses] == [
        ("blanked", 40, 50),
        ("quarantined", 10, 60),
    ]


@pytest.mark.filterwarnings("ignore")
def test_the_weekly_report_tells_it(log: EventLog, monkeypatch: pytest.MonkeyPatch) -> None:
    days = {"period_start": "2026-11-02", "period_end": "2026-11-09"}
    shown = run_cells("90_weekly_report", monkeypatch, data=str(log.folder), report=True, **days)
    (emitted,) = (bundle for part in shown if isinstance(part, dict) for bundle in part.values())
    assert sum("in 80.0% (40 of 50) of purchase" in text for text in emitted["warnings"]) == 1
