"""The panel against the function it stands for: whatever it shows, `conversion_curve` says too."""

from __future__ import annotations

import datetime
import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.timing.result import conversion_curve
from analysis.widgets.panel import PLOTLY, QuestionPanel, SaveTo
from analysis.widgets.timing import timing_panel

EVENTS = ("view_item", "add_to_cart", "purchase", "footer_click")
SHOP = {
    "name": "shop",
    "events": {
        "purchase": {"role": "macro", "label": "Bought"},
        "view_item": {"role": "milestone", "label": "Viewed a product"},
    },
}


@pytest.fixture(scope="module")
def log() -> EventLog:
    rows = [
        (f"u{user:02}", pd.Timestamp("2026-11-01") + pd.Timedelta(hours=7 * user + 2 * k), event)
        for user in range(40)
        for k, event in enumerate(EVENTS[: 1 + user % 4])
    ]
    frame = pd.DataFrame(rows, columns=["user", "time", "event"])
    frame["device"] = frame["user"].str[1:].astype(int).mod(2).map({0: "mobile", 1: "desktop"})
    return EventLog.from_frame(frame, covers_until="2026-12-31")


@pytest.fixture
def panel(log: EventLog) -> QuestionPanel:
    return timing_panel(log, catalog=Catalog.from_mapping(SHOP), start="view_item", horizon="7d")


def words(panel: QuestionPanel) -> str:
    return panel.children[1].value


def drawing(panel: QuestionPanel) -> dict[str, Any]:
    (output,) = panel.children[2].outputs
    assert set(output["data"]) == {PLOTLY}
    return output["data"][PLOTLY]


def agrees(panel: QuestionPanel, log: EventLog) -> None:
    expected = conversion_curve(log, **panel.kwargs())
    assert panel.result is not None
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    assert drawing(panel)["data"] == json.loads(expected.figure().to_json())["data"]


def test_starts_with_the_macro_of_the_catalog(panel: QuestionPanel, log: EventLog) -> None:
    assert panel.kwargs() == {
        "start": "view_item",
        "macro": "purchase",
        "horizon": "7d",
        "by": None,
        "entered": None,
        "min_cell": 1,
    }
    agrees(panel, log)
    assert "of 40 users" in words(panel)
    assert ("Bought", "purchase") in panel.controls["macro"].options


def test_every_control_changes_the_answer(panel: QuestionPanel, log: EventLog) -> None:
    seen = [drawing(panel)]
    panel.controls["by"].value = "device"
    seen.append(drawing(panel))
    panel.controls["start"].value = "add_to_cart"
    seen.append(drawing(panel))
    panel.controls["macro"].value = "footer_click"
    seen.append(drawing(panel))
    panel.controls["horizon"].value = "30d"
    seen.append(drawing(panel))
    panel.controls["entered"].first.value = datetime.date(2026, 11, 5)
    seen.append(drawing(panel))
    panel.controls["start"].value = ""
    seen.append(drawing(panel))
    agrees(panel, log)
    assert panel.kwargs()["start"] is None
    texts = [json.dumps(figure, sort_keys=True) for figure in seen]
    assert len(set(texts)) == len(texts)


def test_an_error_is_said_where_the_answer_would_be(panel: QuestionPanel) -> None:
    panel.controls["start"].value = "purchase"
    assert panel.result is None
    assert "is the start and the macro" in words(panel)
    assert panel.children[2].outputs == ()
    panel.controls["start"].value = "view_item"
    assert panel.result is not None


def test_an_event_that_the_log_does_not_know_is_a_choice_and_an_error(log: EventLog) -> None:
    panel = timing_panel(log, start="veiw_item", macro="purchase")
    assert "Did you mean &#x27;view_item&#x27;?" in words(panel)


def test_saves_its_arguments_as_a_report(log: EventLog, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "definitions"
    folder.mkdir(parents=True)
    target = SaveTo("06_time_to_conversion", str(tmp_path / "data"), folder=str(folder))
    plan = Catalog.from_mapping(SHOP)
    panel = timing_panel(log, catalog=plan, by="device", min_cell=5, save=target)
    panel.form.name.value = "waits"
    panel.form.save()
    saved = tomllib.loads((folder / "waits.toml").read_text("utf-8"))
    assert saved["notebook"] == "06_time_to_conversion"
    assert saved["title"] == "How long from the first event to Bought"
    assert saved["parameters"] == {
        "start": "",
        "macro": "purchase",
        "horizon": "30d",
        "by": "device",
        "min_cell": 5,
    }


def test_what_cannot_start_says_why(log: EventLog) -> None:
    with pytest.raises(UsageError, match="timing_panel: no macro"):
        timing_panel(log)
    with pytest.raises(UsageError, match="timing_panel: horizon='soon' is not a duration"):
        timing_panel(log, macro="purchase", horizon="soon")
