"""The panel against the function it stands for: whatever it shows, `micro_to_macro` says too."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from analysis.catalog import Catalog
from analysis.core.schema import UsageError
from analysis.correlation.result import micro_to_macro
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate
from analysis.widgets.correlation import CorrelationPanel, correlation_panel
from analysis.widgets.panel import PLOTLY, SaveTo
from analysis.widgets.tables import readable_verdicts, reasons, verdicts_by_group

CATALOG = Path(__file__).parents[2] / "data" / "catalogs" / "ecommerce.toml"


@pytest.fixture(scope="module")
def log() -> EventLog:
    return simulate(users=4000).log


@pytest.fixture(scope="module")
def shop() -> Catalog:
    return Catalog.load(CATALOG)


@pytest.fixture
def panel(log: EventLog, shop: Catalog) -> CorrelationPanel:
    return correlation_panel(log, shop, min_cell=5)


def words(panel: CorrelationPanel) -> str:
    return panel.children[1].value


def drawing(panel: CorrelationPanel) -> dict[str, Any]:
    (output,) = panel.children[2].outputs
    assert set(output["data"]) == {PLOTLY}
    return output["data"][PLOTLY]


def agrees(panel: CorrelationPanel, log: EventLog, shop: Catalog) -> None:
    expected = micro_to_macro(log, shop, **panel.kwargs())
    assert panel.result is not None
    pd.testing.assert_frame_equal(panel.result.table, expected.table)
    figure = expected.figure(panel.group.value)
    assert drawing(panel)["data"] == json.loads(figure.to_json())["data"]


def test_starts_with_what_the_function_starts_with(
    panel: CorrelationPanel, log: EventLog, shop: Catalog
) -> None:
    assert panel.kwargs() == {
        "start": None,
        "macro": "purchase",
        "horizon": "30d",
        "period": "auto",
        "adjust": ["activity"],
        "by": None,
        "min_cell": 5,
    }
    agrees(panel, log, shop)
    plain = micro_to_macro(log, shop, min_cell=5)
    pd.testing.assert_frame_equal(panel.result.table, plain.table)
    assert f"of {log.users:,} users" in words(panel)
    assert ("Product video started", "video_start") in panel.macro.options


def test_every_control_changes_the_answer(
    panel: CorrelationPanel, log: EventLog, shop: Catalog
) -> None:
    seen = [drawing(panel)]
    panel.adjust.value = ("activity", "device")
    seen.append(drawing(panel))
    agrees(panel, log, shop)
    panel.adjust.value = ()
    seen.append(drawing(panel))
    panel.period.value = "1d"
    seen.append(drawing(panel))
    panel.horizon.value = "7d"
    seen.append(drawing(panel))
    panel.macro.value = "add_to_cart"
    seen.append(drawing(panel))
    agrees(panel, log, shop)
    panel.start.value = "view_item"
    seen.append(drawing(panel))
    agrees(panel, log, shop)
    assert "users from “Viewed a product” on" in words(panel)
    texts = [json.dumps(figure, sort_keys=True) for figure in seen]
    assert len(set(texts)) == len(texts)


def test_a_breakdown_offers_its_groups_and_draws_the_chosen_one(
    panel: CorrelationPanel, log: EventLog, shop: Catalog
) -> None:
    assert panel.group.disabled
    panel.by.value = "device"
    assert not panel.group.disabled
    whole = drawing(panel)
    panel.group.value = "mobile"
    assert drawing(panel) != whole
    assert "Drawn below: mobile only" in words(panel)
    agrees(panel, log, shop)
    panel.horizon.value = "14d"
    assert panel.group.value == "mobile"
    agrees(panel, log, shop)
    panel.by.value = "returning"
    assert panel.group.value == "all"
    assert "Drawn below" not in words(panel)
    agrees(panel, log, shop)
    panel.by.value = ""
    assert panel.group.disabled
    agrees(panel, log, shop)


def test_choosing_a_group_asks_nothing_anew(
    panel: CorrelationPanel, monkeypatch: pytest.MonkeyPatch
) -> None:
    panel.by.value = "device"
    asked = []
    monkeypatch.setattr("analysis.widgets.correlation.micro_to_macro", asked.append)
    panel.group.value = "desktop"
    assert asked == []


def test_each_change_asks_once(
    panel: CorrelationPanel, log: EventLog, shop: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    def counted(*args: Any, **kwargs: Any) -> Any:
        asked.append(kwargs)
        return micro_to_macro(*args, **kwargs)

    monkeypatch.setattr("analysis.widgets.correlation.micro_to_macro", counted)
    panel.by.value = "device"
    panel.by.value = "week"
    assert [kwargs["by"] for kwargs in asked] == ["device", "week"]


def test_an_error_is_said_where_the_answer_would_be(panel: CorrelationPanel) -> None:
    panel.period.value = "10min"
    panel.horizon.value = "90d"
    assert panel.result is None
    assert "Take a longer period" in words(panel)
    assert panel.children[2].outputs == ()
    panel.period.value = "1d"
    assert panel.result is not None
    panel.start.value = "purchase"
    assert panel.result is None
    assert "start=&#x27;purchase&#x27; is the macro conversion" in words(panel)
    panel.start.value = ""
    assert panel.result is not None


def test_what_was_given_is_a_choice(log: EventLog, shop: Catalog) -> None:
    panel = correlation_panel(log, shop, period="12h", horizon="10d", adjust="country", by="month")
    assert panel.kwargs()["period"] == "12h"
    assert ("12 h", "12h") in panel.period.options
    assert panel.kwargs()["horizon"] == "10d"
    assert panel.kwargs()["adjust"] == ["country"]
    assert panel.kwargs()["by"] == "month"
    agrees(panel, log, shop)
    from_cart = correlation_panel(log, shop, start="add_to_cart")
    assert from_cart.kwargs()["start"] == "add_to_cart"
    agrees(from_cart, log, shop)
    unknown = correlation_panel(log, shop, start="add_to_crt")
    assert "Did you mean &#x27;add_to_cart&#x27;?" in words(unknown)
    unknown = correlation_panel(log, shop, macro="purchse")
    assert "Did you mean &#x27;purchase&#x27;?" in words(unknown)
    unknown = correlation_panel(log, shop, adjust=["activity", "devise"])
    assert "Did you mean &#x27;device&#x27;?" in words(unknown)


def test_saves_its_arguments_as_a_report(log: EventLog, shop: Catalog, tmp_path: Path) -> None:
    folder = tmp_path / "reports" / "definitions"
    folder.mkdir(parents=True)
    target = SaveTo("04_micro_to_macro", str(tmp_path / "data"), folder=str(folder))
    panel = correlation_panel(log, shop, by="device", min_cell=5, save=target)
    panel.form.name.value = "micros"
    panel.form.save()
    saved = tomllib.loads((folder / "micros.toml").read_text("utf-8"))
    assert saved["notebook"] == "04_micro_to_macro"
    assert saved["title"] == "Which small conversions go with Purchase"
    assert saved["parameters"] == panel.kwargs() | {"start": ""}


def test_what_cannot_start_says_why(log: EventLog, shop: Catalog) -> None:
    with pytest.raises(UsageError, match="correlation_panel: horizon='soon' is not a duration"):
        correlation_panel(log, shop, horizon="soon")
    with pytest.raises(UsageError, match="correlation_panel: period='often' is not a duration"):
        correlation_panel(log, shop, period="often")


def test_the_table_for_people_says_what_the_table_says(log: EventLog, shop: Catalog) -> None:
    table = micro_to_macro(log, shop, by="device", min_cell=5).table
    whole = table[table["group"] == "all"].reset_index(drop=True)
    shown = readable_verdicts(table)
    assert list(shown.index) == list(whole["label"])
    assert list(shown["verdict"]) == [v.replace("_", " ") for v in whole["verdict"]]
    columns = {"peers' rule": "peers", "calibrated": "calibrated", "total": "total"}
    for name, column in columns.items():
        for text, row in zip(shown[name], whole.to_dict("records"), strict=True):
            cell, middle = text.replace("\xa0", " "), row[column]
            if row["verdict"] == "structural":
                assert cell == "not judged"
            elif pd.isna(middle):
                assert cell == "n/a"
            else:
                numbers = [middle, row[f"{column}_low"], row[f"{column}_high"]]
                found = [
                    float(x) for x in cell.translate(str.maketrans("()", "  ")).split() if x != "to"
                ]
                assert found == pytest.approx(numbers, rel=0.05)


def test_a_verdict_that_rests_on_a_milestone_names_it(shop: Catalog) -> None:
    result = micro_to_macro(simulate(seed=2026, users=20_000).log, shop)
    shown = readable_verdicts(result.table)["verdict"]
    assert shown["Removed from cart"] == "leads, after “Viewed the cart”"
    assert shown["Product video started"] == "leads"
    alone = result.table[result.table["event"] == "remove_from_cart"]
    assert readable_verdicts(alone)["verdict"].iloc[0] == "leads, after “View cart”"


def test_every_verdict_has_its_reason_once(log: EventLog, shop: Catalog) -> None:
    table = micro_to_macro(log, shop, by="device", min_cell=5).table
    whole = table[(table["group"] == "all") & (table["role"] != "control")]
    said = reasons(table)
    for row in whole.itertuples():
        (own,) = [line for line in said if row.label in line.partition(": ")[0]]
        assert own.endswith(f"{row.verdict.replace('_', ' ')}. {row.reason}")
    assert len(set(said)) == len(said) == whole["reason"].nunique()


def test_groups_stand_beside_each_other(log: EventLog, shop: Catalog) -> None:
    table = micro_to_macro(log, shop, by="device", min_cell=5).table
    shown = verdicts_by_group(table)
    assert list(shown.columns) == list(table["group"].drop_duplicates())
    judged = table[table["role"].isin(["secondary", "adverse"]) & (table["group"] == "mobile")]
    for row in judged.itertuples():
        cell = shown.loc[row.label, "mobile"]
        if pd.isna(row.exposed_macros):
            assert cell == "too few people to show"
            continue
        verdict = row.verdict.replace("_", " ")
        assert cell.startswith(f"{verdict}," if pd.isna(row.calibrated) else f"{verdict}: ")
        # With spaces at which no line breaks.
        assert cell.endswith(f"n\xa0=\xa0{int(row.exposed_macros)}")
    assert not shown.map(lambda cell: "n/a" in cell).any(axis=None)


def test_without_controls_the_adjusted_ratio_is_shown_and_named(
    log: EventLog, shop: Catalog
) -> None:
    table = micro_to_macro(log, shop, by="device", controls=[]).table
    row = table[(table["event"] == "video_start") & (table["group"] == "all")].iloc[0]
    known = f"{row.adjusted:.2f} ({row.adjusted_low:.2f} to {row.adjusted_high:.2f})"
    assert readable_verdicts(table).loc[row.label, "adjusted"] == known.replace(" ", "\xa0")
    cell = verdicts_by_group(table).loc[row.label, "all"]
    assert cell == f"goes along: adjusted {known}, n\xa0=\xa0{row.exposed_macros:.0f}"


def test_events_of_one_name_stay_apart() -> None:
    row = {
        "group": "all",
        "event": "a",
        "label": "Video",
        "verdict": "leads",
        "calibrated": 1.5,
        "calibrated_low": 1.2,
        "calibrated_high": 1.9,
        "exposed_macros": 30,
    }
    shown = verdicts_by_group(pd.DataFrame([row, row | {"event": "b", "exposed_macros": 40}]))
    assert [cell[-2:] for cell in shown["all"]] == ["30", "40"]
