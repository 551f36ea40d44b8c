"""Notebook 04 on real shops: it looks, and says that there are too few orders.

What both samples have in common is rebuilt by hand in the tests of `correlation`: orders within the
hour, of which whole days see nothing.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from analysis.catalog import Catalog
from analysis.cli import run
from analysis.correlation.result import micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.reports.execution import execute
from analysis.core.result import Result
from support.samples import MERCHANDISE_STORE, OTTO, needs_merchandise_store

ROOT = Path(__file__).parents[2]
GA360 = ROOT / "data" / "catalogs" / "ga360.toml"
PLOTLY = "application/vnd.plotly.v1+json"

# A click is no step on the way: it shows how active people are.
OTTO_CATALOG = """
name = "sessions"
[events.purchase]
role = "macro"
[events.add_to_cart]
role = "secondary"
"""


@pytest.fixture(scope="module")
def hits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    to = tmp_path_factory.mktemp("ga360") / "log"
    assert run(["import", str(MERCHANDISE_STORE), "--source", "ga360", "--to", str(to)]) == 0
    return to


@pytest.fixture(scope="module")
def sessions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("otto")
    names = {"clicks": "click", "carts": "add_to_cart", "orders": "purchase"}
    with (folder / "rows.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["user", "time", "event", "item_id"])
        for line in OTTO.read_text("utf-8").splitlines():
            own = json.loads(line)
            for one in own["events"]:
                rows.writerow([f"s{own['session']}", one["ts"], names[one["type"]], one["aid"]])
    to = folder / "log"
    assert run(["import", str(folder / "rows.csv"), "--time-unit", "ms", "--to", str(to)]) == 0
    (folder / "otto.toml").write_text(OTTO_CATALOG, "utf-8")
    return to


def told(notebook: Any) -> str:
    """All texts and the words of all figures of an executed notebook."""
    said = []
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            figure = data.get(PLOTLY)
            said.append(figure["layout"]["meta"]["alt"] if figure else data.get("text/plain", ""))
    return "\n".join(said)


def executed(data: Path, catalog: Path, scratch: Path, **more: Any) -> str:
    asked = {"data": str(data), "catalog": str(catalog), "by": "", "micro": "", "min_cell": 1}
    notebook = ROOT / "notebooks" / "04_micro_to_macro.ipynb"
    return told(execute(notebook, asked | more, scratch=scratch))


@needs_merchandise_store
def test_the_merchandise_store_has_too_few_orders_and_says_so(hits: Path, tmp_path: Path) -> None:
    result = micro_to_macro(EventLog.open(hits), Catalog.load(GA360))
    own = result.table[result.table["role"].isin(["secondary", "adverse"])]
    assert len(own) == 5
    assert set(own["verdict"]) == {"not_enough_data"}
    # It could look: no order lies in the first period, and all count.
    assert result.counts.first_cell == 0
    assert set(own["macros"]) == {33}
    assert own["reason"].str.contains(r"with \d+ of 33 conversions after it").all()
    assert (own["needed_users"] > 1_768).all()
    said = executed(hits, GA360, tmp_path)
    assert result.sentence() in said
    assert "not enough data: 5). 33 conversions of 1,768 users" in said
    assert "0% (0 of 33) of the conversions come within 1 min of entry" in said
    for reason in own["reason"]:
        assert reason in said
    assert "n/a conversions" not in said


@needs_merchandise_store
def test_in_whole_days_the_merchandise_store_shows_nothing(hits: Path) -> None:
    result = micro_to_macro(EventLog.open(hits), Catalog.load(GA360), period="1d")
    own = result.table[result.table["role"].isin(["secondary", "adverse"])]
    assert set(own["exposed_macros"]) == {0}
    assert own["reason"].str.startswith("100% (33 of 33) of the conversions come in the f").all()


def test_twenty_sessions_have_too_few_orders_and_say_so(sessions: Path, tmp_path: Path) -> None:
    catalog = sessions.parent / "otto.toml"
    result: Result = micro_to_macro(EventLog.open(sessions), Catalog.load(catalog))
    assert set(result.table["verdict"]) == {"not_enough_data"}
    assert "with 1 of 3 conversions after it" in result.table["reason"].iloc[0]
    said = executed(sessions, catalog, tmp_path)
    assert "Add to cart does not stand out: not enough data. 3 conversions of 20 users" in said
    assert result.table["reason"].iloc[0] in said
    # A horizon of 30 days is longer than these four weeks.
    assert "The log follows none of 20 users for the whole horizon of 30 days" in said


def test_of_few_people_nothing_is_told(sessions: Path, tmp_path: Path) -> None:
    """And where every event is a milestone there is nothing to judge."""
    shop = ROOT / "data" / "catalogs" / "ecommerce.toml"
    said = executed(sessions, shop, tmp_path, min_cell=5)
    assert "Added to cart: fewer than 5 users converted: there is nothing to tell." in said
    assert "conversions) there is no micro conversion to compare." in said
    assert "n/a of n/a" not in said
