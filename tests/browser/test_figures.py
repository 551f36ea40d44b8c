"""Figures of journeys as a panel draws them: before they are on the page."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from plotly.offline import get_plotlyjs
from support.browser_runs import browser_page, needs_chromium

from analysis.catalog import Catalog
from analysis.forms.result import form_fields
from analysis.journeys.distance import distance_to_macro
from analysis.journeys.flows import step_matrix, transitions
from analysis.journeys.order import event_order
from analysis.journeys.routes import paths
from analysis.simulation.log import simulate

SHOP = Path(__file__).parents[2] / "data" / "catalogs" / "ecommerce.toml"
DRAW = """async ([data, layout]) => {
    const place = document.createElement("div");
    const drawn = await Plotly.react(place, data, layout, {responsive: true});
    const image = await Plotly.toImage(drawn, {format: "png", width: 700, height: 500});
    document.body.append(place);
    await Plotly.redraw(place);
    return [image.length, place.querySelectorAll("text").length];
}"""
pytestmark = [pytest.mark.browser, needs_chromium]


def test_every_figure_draws_where_it_is_not_seen_yet() -> None:
    log = simulate(users=1_000).log
    order, flows = event_order(log), transitions(log)
    answers: dict[str, Callable[[], Any]] = {
        "flows": flows.figure,
        "pairs": flows.heat_map,
        "steps": step_matrix(log, to="purchase").figure,
        "paths": paths(log, to="add_to_cart").figure,
        "order": order.figure,
        "orders": order.heat_map,
        "distance": distance_to_macro(log, Catalog.load(SHOP)).figure,
        "form": form_fields(log, "contact").figure,
    }
    with browser_page(offline=True) as seen:
        seen.page.set_content("<meta charset=utf-8><body></body>")
        seen.page.add_script_tag(content=get_plotlyjs())
        for name, draw in answers.items():
            figure = json.loads(draw().to_json())
            size, words = seen.page.evaluate(DRAW, [figure["data"], figure["layout"]])
            assert size > 5_000, name
            assert words > 5, name
        assert seen.errors == []
