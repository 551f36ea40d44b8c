"""Catalogs: the shipped files against the simulation's own truth, and every mistake in words."""

from __future__ import annotations

import copy
import tomllib
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis.catalog import ROLES, STAGES, Catalog
from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.simulation.log import simulate
from analysis.simulation.shop import SHOP, truth

CATALOGS = Path(__file__).parents[2] / "data" / "catalogs"
BLOG: dict[str, Any] = {
    "name": "blog",
    "events": {
        "donate": {"role": "macro", "stage": "decision", "label": "Donated"},
        "read_to_end": {"role": "milestone"},
        "comment": {"role": "secondary", "stage": "interest"},
        "report_spam": {"role": "adverse"},
        "footer_click": {"role": "control"},
    },
    "derived": {
        "lapsed": {"after": "comment", "without": "donate", "wait": "30d", "role": "adverse"},
        "gone": {
            "after": "donate",
            "without": "donate",
            "wait": "1d",
            "role": "adverse",
            "label": "Gave once",
        },
    },
    "funnels": {"giving": {"steps": ["read_to_end", "page_view", "donate"], "window": "14d"}},
    "segments": {"silent": {"rule": {"not": {"did": "comment"}}}},
}


@pytest.mark.parametrize("name", ["ecommerce", "saas"])
def test_shipped_catalogs_are_complete(name: str) -> None:
    catalog = Catalog.load(CATALOGS / f"{name}.toml")
    assert catalog.name == name
    assert catalog.milestones
    assert catalog.secondary
    assert catalog.adverse
    assert len(catalog.controls) >= 8
    assert catalog.derived
    assert catalog.segments
    assert {event.stage for event in catalog.events.values()} - {None} <= set(STAGES)
    assert catalog.steps(catalog.default_funnel)[-1]["event"] == catalog.macro
    labels = [catalog.label(event) for event in (*catalog.events, *catalog.derived)]
    assert len(labels) == len(set(labels)), "two events of one label would be one bar of a figure"


def test_the_shop_s_catalog_agrees_with_what_the_simulation_planted() -> None:
    catalog = Catalog.load(CATALOGS / "ecommerce.toml")
    planted = truth(SHOP).set_index("event")["kind"]
    assert set(catalog.events) <= set(simulate(users=1).log.event_names)
    assert set(catalog.controls) == set(planted.index[planted == "placebo"])
    assert set(planted.index[planted == "structural"]) <= set(catalog.milestones)
    assert set(planted.index[planted == "adverse"]) <= set(catalog.adverse)
    other = ["placebo", "structural", "adverse", "incident"]
    small = planted.index[~planted.isin(other)]
    assert set(catalog.secondary) == set(small)
    assert catalog.funnels["checkout"].steps == (
        *("view_item", "add_to_cart"),
        *("begin_checkout", "purchase"),
    )
    assert catalog.window("checkout") == "7d"


def test_reads_back_what_was_written() -> None:
    catalog = Catalog.from_mapping(BLOG)
    assert (catalog.macro, catalog.currency, catalog.default_funnel) == ("donate", None, "giving")
    assert catalog.with_role("adverse") == ("report_spam",)
    assert catalog.steps("giving") == [
        {"event": "read_to_end", "label": "Read to end"},
        {"event": "page_view", "label": "Page view"},
        {"event": "donate", "label": "Donated"},
    ]
    assert catalog.window("giving") == "14d"
    assert catalog.derived["lapsed"]["without"] == "donate"
    assert (catalog.label("lapsed"), catalog.label("gone")) == ("Lapsed", "Gave once")
    assert catalog.segments["silent"]["rule"] == {"not": {"did": "comment"}}


def test_several_macros_are_allowed_and_the_first_one_leads() -> None:
    data = copy.deepcopy(BLOG)
    data["events"]["subscribe"] = {"role": "macro"}
    catalog = Catalog.from_mapping(data)
    assert catalog.macro == "donate"
    assert catalog.with_role("macro") == ("donate", "subscribe")


def test_a_catalog_cannot_be_changed() -> None:
    catalog = Catalog.from_mapping(BLOG)
    with pytest.raises(TypeError):
        catalog.events["new"] = None  # type: ignore[index]
    with pytest.raises(AttributeError):
        catalog.name = "other"  # type: ignore[misc]


MISTAKES: list[tuple[tuple[str, ...], Any, str]] = [
    (("event",), {}, "Did you mean 'events'?"),
    (("name",), 3, "name=3 must be text"),
    (("events", "donate", "role"), "macros", "Did you mean 'macro'?"),
    (("events", "donate", "stage"), "decission", "Did you mean 'decision'?"),
    (("events", "donate", "lable"), "x", "Did you mean 'label'?"),
    (("events", "donate", "label"), " ", "must be text"),
    (
        ("events", "comment"),
        {"stage": "interest"},
        "events.comment.role is missing. Add",
    ),
    (("events", "comment"), "secondary", "must be a table"),
    (("events", "comment", "role"), ["secondary"], "Allowed: 'macro'"),
    (("events", "donate"), {"role": "milestone"}, "no event has the role 'macro'"),
    (("events", "lapsed"), {"role": "adverse"}, "Rename the derived one"),
    (("derived", "lapsed", "wait"), "soon", "derived.lapsed.wait='soon' is not a duration"),
    (
        ("derived", "lapsed"),
        {"after": "comment", "role": "adverse"},
        "derived.lapsed.without is missing. A derived event",
    ),
    (("derived", "lapsed", "role"), "averse", "Did you mean 'adverse'?"),
    (("funnels", "giving", "steps"), [], "funnels.giving.steps=[] must be a list"),
    (("funnels", "giving", "steps"), "donate", "must be a list of event names"),
    (("funnels", "giving", "steps"), ["donate", ""], "funnels.giving.steps[1]='' must be text"),
    (("funnels", "giving", "window"), "7", "has no unit"),
    (("funnels", "giving", "windows"), "7d", "Did you mean 'window'?"),
    (("segments", "silent", "rule"), "did", "segments.silent.rule='did' must be a table"),
    (("segments", "silent"), {}, "segments.silent.rule is missing. Write one"),
]


@pytest.mark.parametrize(("place", "value", "said"), MISTAKES)
def test_every_mistake_is_one_line_that_says_where(
    place: tuple[str, ...], value: Any, said: str
) -> None:
    data = copy.deepcopy(BLOG)
    entry = data
    for key in place[:-1]:
        entry = entry[key]
    entry[place[-1]] = value
    with pytest.raises(UsageError) as caught:
        Catalog.from_mapping(data, source="blog.toml")
    message = str(caught.value)
    assert said in message
    assert message.startswith("blog.toml")
    assert "\n" not in message


def test_read_only_tables_are_read_too() -> None:
    catalog = Catalog.from_mapping(BLOG)
    again = Catalog.from_mapping(MappingProxyType(BLOG | {"derived": catalog.derived}))
    assert again.derived == catalog.derived


def test_a_missing_name_and_an_unknown_funnel() -> None:
    with pytest.raises(UsageError, match="name is missing"):
        Catalog.from_mapping({"events": BLOG["events"]})
    with pytest.raises(UsageError, match="Did you mean 'giving'"):
        Catalog.from_mapping(BLOG).steps("givin")
    bare = Catalog.from_mapping({"name": "b", "events": {"donate": {"role": "macro"}}})
    with pytest.raises(UsageError, match="has no funnel"):
        bare.default_funnel  # noqa: B018


def test_unreadable_files(tmp_path: Path) -> None:
    (tmp_path / "shop.toml").write_text("name = shop\n", "utf-8")
    with pytest.raises(UsageError, match=r"shop.toml is no TOML: .*line 1"):
        Catalog.load(tmp_path / "shop.toml")
    with pytest.raises(UsageError, match=r"Did you mean 'shop.toml'"):
        Catalog.load(tmp_path / "shpo.toml")
    with pytest.raises(UsageError, match="Is a directory"):
        Catalog.load(tmp_path)
    (tmp_path / "latin.toml").write_bytes('name = "Z\xfcrich"'.encode("latin-1"))
    with pytest.raises(UsageError, match="not UTF-8"):
        Catalog.load(tmp_path / "latin.toml")


@given(st.sampled_from(ROLES), st.text(min_size=1).filter(lambda t: bool(t.strip())))
def test_any_text_is_an_event_and_a_label(role: str, text: str) -> None:
    events = {"donate": {"role": "macro"}, text: {"role": role, "label": text}}
    catalog = Catalog.from_mapping({"name": "n", "events": events})
    assert text in catalog.with_role(role)
    assert catalog.label(text) == text


def test_the_comments_in_the_files_name_every_role_and_stage() -> None:
    for path in sorted(CATALOGS.glob("*.toml")):
        text = path.read_text("utf-8")
        assert all(word in text for word in (*ROLES, *STAGES))
        assert tomllib.loads(text)["name"] == path.stem


# ── a catalog on a log that it was not written for ──────────────────────────────────────────────


def log_of(*rows: tuple[str, str]) -> EventLog:
    frame = pd.DataFrame(rows, columns=["user", "event"])
    return EventLog.from_frame(frame.assign(time=pd.Timestamp("2026-01-01"), plan="free"))


def shop() -> Catalog:
    return Catalog.load(CATALOGS / "ecommerce.toml")


def test_a_log_of_the_catalog_loses_nothing() -> None:
    names = [name for planned in shop().funnels.values() for name in planned.steps]
    fitted = shop().fit(log_of(*((f"u{i}", name) for i, name in enumerate(names))))
    assert fitted.notes == []
    assert fitted.catalog.funnels == shop().funnels
    assert {**fitted.catalog.events} == {**shop().events}


def test_a_funnel_that_does_not_fit_is_left_out_and_another_taken() -> None:
    fitted = shop().fit(
        log_of(*(("ann", e) for e in ("view_item", "add_to_cart", "begin_checkout", "purchase")))
    )
    assert list(fitted.catalog.funnels) == ["checkout"]
    assert fitted.notes == [
        "The funnel 'checkout_in_detail' of the catalog is left out: 'add_shipping_info' and "
        "'add_payment_info' are not events of this log."
    ]
    assert fitted.funnel("checkout_in_detail") == "checkout"


def test_where_no_funnel_fits_its_other_steps_stand_in() -> None:
    fitted = shop().fit(log_of(("a", "view_item"), ("a", "add_to_cart"), ("b", "purchase")))
    steps = fitted.catalog.steps(fitted.catalog.default_funnel)
    assert [step["event"] for step in steps] == ["view_item", "add_to_cart", "purchase"]
    assert "In its place: Viewed a product, Added to cart and Purchase." in fitted.notes[-1]
    assert fitted.catalog.macro == "purchase"


def test_where_nothing_fits_the_events_of_most_people_stand_in() -> None:
    fitted = shop().fit(
        log_of(("a", "pay"), *((u, "visit") for u in "abc"), ("a", "look"), ("b", "look"))
    )
    steps = fitted.catalog.steps(fitted.catalog.default_funnel)
    assert [step["event"] for step in steps] == ["visit", "look", "pay"]
    assert fitted.catalog.macro == "pay"
    assert fitted.catalog.secondary == ("visit", "look")
    assert any(note.startswith("'purchase' is not an event of this log") for note in fitted.notes)


def test_what_else_is_asked_to_fit_is_left_out_with_a_sentence() -> None:
    fitted = shop().fit(log_of(*(("ann", name) for name in ("visit", "pay"))))
    before = len(fitted.notes)
    assert fitted.properties("plan") == "plan"
    assert fitted.properties("") == ""
    assert fitted.properties("week", also=("week",)) == "week"
    assert (fitted.event("pay"), fitted.event("")) == ("pay", "")
    assert fitted.notes[before:] == []
    assert fitted.properties(["plan", "device"]) == ["plan"]
    assert fitted.properties("device") == ""
    assert fitted.event("purchase", "pay") == "pay"
    assert [s["event"] for s in fitted.steps(["visit", "pay", "purchase"])] == ["visit", "pay"]
    assert [s["event"] for s in fitted.steps(["view_item", {"event": "purchase"}])]
    assert len(fitted.notes) == before + 5
    assert all("of this log" in note for note in fitted.notes[before:])


def test_a_question_that_cannot_be_asked_is_a_sentence_and_a_mistake_is_none() -> None:
    def refuse(error: Exception) -> None:
        raise error

    fitted = shop().fit(log_of(("ann", "visit")))
    assert fitted.ask(len, [1, 2]) == 2
    assert fitted.ask(refuse, UsageError("no such thing.")) is None
    assert fitted.notes[-1] == "An answer is left out: no such thing."
    with pytest.raises(ZeroDivisionError):
        fitted.ask(refuse, ZeroDivisionError())
