"""The shipped notebooks and catalog on logs that are not the demo: each gets to its answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.notebook_cells import NOTEBOOKS, run_cells

from analysis.eventlog.log import EventLog
from analysis.reports.blocks import Block
from analysis.reports.render import MIME_TYPE

SHOP = ["page_view", "view_item", "add_to_cart", "begin_checkout", "purchase"]
NAMES = {
    "foreign": ["Sign up", "Open app", "Create project", "Invite", "Pay"],
    "bare": ["a", "b", "c"],
    "no checkout": [name for name in SHOP if name != "begin_checkout"],
    "no purchase": SHOP[:3],
    "one user": SHOP,
    "one event": ["ping"],
}


def rows(kind: str) -> pd.DataFrame:
    """People who do one thing after the other, and stop somewhere."""
    draw, names, people = np.random.default_rng(7), NAMES[kind], 90
    if kind.startswith("one"):
        people = 1
    found = []
    for person in range(people):
        start = pd.Timestamp("2026-08-20") + pd.Timedelta(hours=float(draw.uniform(0, 1900)))
        reached = len(names) if people == 1 else 1 + int(draw.integers(len(names)))
        for place, name in enumerate(names[:reached]):
            found.append((f"u{person}", start + pd.Timedelta(minutes=7 * place), name))
    frame = pd.DataFrame(found, columns=["user", "time", "event"])
    return frame if kind == "bare" else frame.assign(kind="x")


@pytest.fixture(scope="module", params=NAMES)
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    folder = tmp_path_factory.mktemp("logs") / "log"
    EventLog.from_frame(rows(request.param), covers_until="2026-11-20").save(folder)
    return request.param, folder


def said(shown: list[Any]) -> str:
    return "\n".join(repr(part) for part in shown if isinstance(part, Block))


EVERY = sorted(path.stem for path in NOTEBOOKS.glob("*.ipynb"))
NO_REPORT = {"00_start_here", "01_data_quality"}


@pytest.mark.parametrize(
    ("name", "report"),
    [(name, False) for name in EVERY] + [(name, True) for name in EVERY if name not in NO_REPORT],
)
@pytest.mark.filterwarnings("ignore")
def test_every_notebook_gets_to_its_answer_and_says_what_it_left_out(
    data: tuple[str, Path], name: str, report: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind, folder = data
    period = {"period_start": "2026-10-05", "period_end": "2026-10-12"} if report else {}
    shown = run_cells(name, monkeypatch, data=str(folder), report=report, **period)
    assert any(isinstance(part, Block) for part in shown)
    missing = {"no checkout": "begin_checkout", "no purchase": "purchase"}.get(kind, "view_item")
    if kind != "one user" and name in ("00_start_here", "90_weekly_report"):
        assert "The funnel 'checkout' of the catalog is left out: '" in said(shown)
        assert f"'{missing}'" in said(shown)
    if report:
        (emitted,) = [part[MIME_TYPE] for part in shown if isinstance(part, dict)]
        assert emitted["headline"]
        if kind == "foreign":
            assert any("is left out" in warning for warning in emitted["warnings"])


@pytest.mark.filterwarnings("ignore")
def test_weeks_with_few_conversions_stay_in_the_trend(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """200 visitors a week of whom 3 or 12 buy: a trend of the good weeks alone would be wrong."""
    weeks = pd.date_range("2026-08-03", periods=8, freq="7D")
    found = []
    for place, week in enumerate(weeks):
        for number in range(200):
            user, time = f"{place}-{number}", week + pd.Timedelta(minutes=number)
            found += [(user, time, "view_item"), (user, time, "add_to_cart")]
            if number < (3, 12)[place % 2]:
                found.append((user, time + pd.Timedelta(hours=1), "purchase"))
    frame = pd.DataFrame(found, columns=["user", "time", "event"])
    EventLog.from_frame(frame, covers_until="2026-10-05").save(tmp_path / "log")
    steps = ["view_item", "add_to_cart", "purchase"]
    data = str(tmp_path / "log")
    shown = run_cells("02_funnels", monkeypatch, data=data, steps=steps, by="", report=True)
    drawn = [part for part in shown if type(part).__name__ == "Figure"]
    rates = [
        [round(float(value), 3) for value in trace["y"] if value is not None]
        for figure in drawn
        for trace in figure.to_dict()["data"]
        if trace.get("y") is not None and len(trace["y"]) == len(weeks)
    ]
    assert [0.015, 0.06] * 4 in rates
