"""Mappings: what they say, and every way to say it wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.filters import GRANTED, Consent
from analysis.eventlog.sessions import SessionRule
from analysis.sources.mapping import (
    ColumnMapping,
    EventRule,
    OrderLines,
    check_columns,
    load_mapping,
    mapping_of,
    named_columns,
    presets,
)
from analysis.sources.rows import roles_of

PATH = Path("x.csv")


def test_options_win_over_the_file() -> None:
    mapping = ColumnMapping(user="a", value="micros", divide_by=1e6, zone="UTC")
    changed = mapping.with_options(
        columns={"user": "b", "value": "price", "time": None}, zone="Asia/Tokyo", unit="s"
    )
    assert (changed.user, changed.value, changed.divide_by) == ("b", "price", 1.0)
    assert (changed.zone, changed.unit, changed.time) == ("Asia/Tokyo", "s", "time")
    assert mapping.with_options(columns={"user": None}) == mapping


def test_zone_and_unit_are_checked() -> None:
    with pytest.raises(UsageError, match="Did you mean 'Europe/Berlin'"):
        ColumnMapping(zone="Europe/Berln")
    with pytest.raises(UsageError, match="time unit='sec' is unknown"):
        ColumnMapping(unit="sec")


def test_a_missing_column_says_which_are_there_and_what_to_do() -> None:
    mapping = ColumnMapping(user="user_id")
    with pytest.raises(UsageError) as caught:
        check_columns(mapping, ["userid", "time", "event"], PATH)
    assert str(caught.value) == (
        "there is no column 'user_id'. Did you mean 'userid'? 'x.csv' has 'userid', 'time', "
        "'event'. Say which one it is: --user COLUMN."
    )
    many = [f"c{n}" for n in range(30)]
    with pytest.raises(UsageError, match="'c19' and 10 more"):
        check_columns(ColumnMapping(), many, PATH)


@pytest.mark.parametrize(
    ("mapping", "option"),
    [
        (ColumnMapping(session="s"), "--session"),
        (ColumnMapping(value="s"), "--value"),
        (ColumnMapping(properties={"s": "x"}), "[properties]"),
        (ColumnMapping(duplicates={"buy": ("s",)}), "[duplicates]"),
    ],
)
def test_every_named_column_must_be_there(mapping: Any, option: str) -> None:
    assert named_columns(mapping) == {"s": named_columns(mapping)["s"]}
    with pytest.raises(UsageError) as caught:
        check_columns(mapping, ["user", "time", "event"], PATH)
    assert option in str(caught.value)
    check_columns(mapping, ["user", "time", "event", "s"], PATH)
    check_columns(mapping, ["user", "time", "event"], PATH, sparse=True)


def test_the_other_columns_become_properties() -> None:
    columns = ["user", "time", "event", "session", "value", "device"]
    roles = roles_of(ColumnMapping(), columns)
    assert roles == ("session", "value", {"device": "device"})
    mapping = ColumnMapping(user="device", session="visit", value="price", events={"a": "b"})
    roles = roles_of(mapping, [*columns, "visit", "price", "source_event"])
    assert roles == (
        "visit",
        "price",
        {
            "user": "user_column",
            "session": "session_column",
            "value": "value_column",
            "source_event": "source_event_column",
        },
    )


def test_only_what_properties_name_is_kept() -> None:
    mapping = ColumnMapping(properties={"deviceCategory": "device", "x": "y"})
    roles = roles_of(mapping, ["user", "time", "event", "deviceCategory", "rest"])
    assert roles.properties == {"deviceCategory": "device"}
    assert mapping.columns == {"user", "time", "event", "session", "value", "deviceCategory", "x"}
    assert ColumnMapping().columns is None


@pytest.mark.parametrize("name", ["user", "time", "event", "session", "value", ""])
def test_a_property_must_not_be_called_like_a_column_of_the_log(name: str) -> None:
    with pytest.raises(UsageError, match=r"\[properties\] x"):
        ColumnMapping(properties={"x": name})


def test_two_columns_must_not_become_one_property() -> None:
    with pytest.raises(UsageError, match="'a' and 'b' would both become the property 'c'"):
        ColumnMapping(properties={"a": "c", "b": "c"})
    with pytest.raises(UsageError, match="would both become"):
        roles_of(ColumnMapping(user="id"), ["id", "time", "event", "user", "user_column"])
    ColumnMapping(properties={"a": "source_event"})
    with pytest.raises(UsageError, match="belongs to the log"):
        ColumnMapping(properties={"a": "source_event"}, events={"x": "y"})


def test_sessions_are_computed_or_read() -> None:
    columns = ["user", "time", "event", "session"]
    computed = ColumnMapping(sessions=SessionRule())
    assert roles_of(computed, columns).session is None
    assert roles_of(computed, columns).properties == {"session": "session_column"}
    with pytest.raises(UsageError, match="either computed or"):
        ColumnMapping(session="visit", sessions=SessionRule())


def test_of_sessions_too_the_command_line_wins() -> None:
    read = ColumnMapping(session="visit").with_options(columns={}, session_gap="1min")
    assert (read.session, read.sessions) == (None, SessionRule(60_000_000))
    computed = ColumnMapping(sessions=SessionRule()).with_options(columns={"session": "visit"})
    assert (computed.session, computed.sessions) == ("visit", None)
    mapping = ColumnMapping(sessions=SessionRule(campaign="c", midnight="UTC"))
    longer = mapping.with_options(columns={}, session_gap="1min").sessions
    assert longer == SessionRule(60_000_000, "c", "UTC")
    with pytest.raises(UsageError, match="either computed or"):
        ColumnMapping().with_options(columns={"session": "visit"}, session_gap="1min")


def test_a_consent_column_is_looked_at_and_need_not_be_kept() -> None:
    mapping = ColumnMapping(properties={}, consent=Consent("cookie"))
    assert mapping.columns is not None
    assert "cookie" in mapping.columns
    assert named_columns(mapping) == {"cookie": "--consent COLUMN"}


# ── Mappings as TOML: the whole form, and every key that is wrong.


FORM = """
[columns]
user = "client_id"
time = {column = "ts"}
event = "action"
session = "visit"
event_id = "hit_id"
value = {column = "revenue_micros", divide_by = 1_000_000}
[time]
zone = "Europe/Berlin"
unit = "ms"
[events]
product_detail_view = "view_item"
[[event_when]]
when = {action = "checkout", step = ["1", "2"]}
event = "begin_checkout"
[duplicates]
purchase = ["transaction_id"]
[properties]
deviceCategory = "device"
[missing]
values = ["(not set)"]
[consent]
column = "cookies"
granted = ["all", "analytics"]
[ids]
hash_key_file = "~/shop.key"
"""


def test_the_form_in_full(tmp_path: Path) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(FORM)
    assert load_mapping(path) == ColumnMapping(
        user="client_id",
        time="ts",
        event="action",
        session="visit",
        event_id="hit_id",
        value="revenue_micros",
        divide_by=1e6,
        zone="Europe/Berlin",
        unit="ms",
        events={"product_detail_view": "view_item"},
        event_when=(EventRule({"action": ("checkout",), "step": ("1", "2")}, "begin_checkout"),),
        duplicates={"purchase": ("transaction_id",)},
        properties={"deviceCategory": "device"},
        missing=frozenset({"(not set)"}),
        consent=Consent("cookies", ("all", "analytics")),
        hash_key_file="~/shop.key",
    )


def test_sessions_that_are_computed() -> None:
    tables = {"sessions": {"gap": "45min", "campaign": True, "midnight": "Europe/Berlin"}}
    assert mapping_of(tables).sessions == SessionRule(2_700_000_000, "campaign", "Europe/Berlin")
    assert mapping_of({"sessions": {}}).sessions == SessionRule()
    assert mapping_of({"sessions": {"campaign": "source"}}).sessions.campaign == "source"


def test_a_consent_column_alone_is_enough() -> None:
    assert mapping_of({"consent": {"column": "ok"}}).consent == Consent("ok", GRANTED)


def test_nothing_said_is_the_default() -> None:
    assert mapping_of({}) == ColumnMapping()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[colums]", "the key 'colums' is unknown. Did you mean 'columns'"),
        ("[columns]\nuesr = 'x'", "Did you mean 'user'"),
        ("[columns]\nuser = 5", "columns.user=5 must be text"),
        ("[columns]\nuser = ''", "must be text"),
        (
            "[columns]\nuser = {column = 'x', divide_by = 2}",
            "the key 'divide_by' is unknown",
        ),
        ("[columns]\nvalue = {colum = 'x'}", "Did you mean 'column'"),
        ("[columns]\nvalue = {divide_by = 2}", "columns.value: column is missing"),
        ("[columns]\nvalue = {column = 'x', divide_by = 0}", "must be a number above zero"),
        ("[columns]\nvalue = {column = 'x', divide_by = true}", "must be a number above zero"),
        ("columns = 'x'", "must be a table"),
        ("[time]\nzones = 'UTC'", "Did you mean 'zone'"),
        ("[time]\nzone = 'Mars'", "time zone='Mars' is unknown"),
        ("[events]\na = 1", "events.a=1 must be text"),
        ("[event_when]\nevent = 'x'", "two brackets"),
        ("[[event_when]]\nevent = 'x'", "when is missing. Say when"),
        ("[[event_when]]\nwhen = {a = 'b'}", "event is missing. Add a line"),
        ("[[event_when]]\nwhen = {}\nevent = 'x'", "when={} must be a condition"),
        ("[[event_when]]\nwhen = {a = 1}\nevent = 'x'", "must be a list of texts"),
        ("[[event_when]]\nif = {a = 1}\nevent = 'x'", "the key 'if' is unknown"),
        ("[duplicates]\npurchase = 5", "must be a list of texts"),
        ("[missing]\nvalue = []", "Did you mean 'values'"),
        ("[properties]\na = 'user'", "belongs to the log"),
        ("user = ", "is no TOML"),
        ("[consent]\ngranted = ['yes']", "consent.column is missing"),
        ("[consent]\ncolumn = 'c'\ngranted = []", "at least one word"),
        ("[consent]\ncolumn = 'c'\ngranted = true", "must be a list of texts"),
        ("[consent]\ncolum = 'c'", "Did you mean 'column'"),
        ("[ids]\nhash_key = 'c'", "Did you mean 'hash_key_file'"),
        ("[ids]", "ids.hash_key_file is missing"),
        ("[columns.value]\ncolumn = 'v'\ndivide_by = inf", "must be a number above zero"),
        ("[columns.value]\ncolumn = 'v'\ndivide_by = nan", "must be a number above zero"),
        ("a = " + "[" * 5_000, "is nested too deep"),
        ("header = false", "without a header the columns need names"),
        ("columns = ['user', 'time']", "Say that they have none: --no-header"),
        ("columns = ['user', 5]", "must be a list of texts"),
        ("[nested]\nevent = 'events'", "Did you mean 'events'"),
        ("[sessions]\ngap = 30", "has no unit"),
        ("[sessions]\nmidnight = 'Europe/Berln'", "Did you mean 'Europe/Berlin'"),
        ("[sessions]\ncampaign = 1", "name of a property"),
        ("[sessions]\ngaps = '1h'", "Did you mean 'gap'"),
        ("[columns]\nsession = 'v'\n[sessions]\ngap = '1h'", "either computed or"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "shop.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_mapping(path)
    assert str(caught.value).startswith("mapping '")
    assert "\n" not in str(caught.value)


def test_sources_that_are_not_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="Did you mean 'ga360'"):
        load_mapping("ga306")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_mapping(tmp_path / "latin.toml")


def test_every_preset_can_be_read() -> None:
    assert presets()
    for name in presets():
        assert isinstance(load_mapping(name), ColumnMapping)


def test_the_documentation_shows_the_whole_form() -> None:
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    shown = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert mapping_of(shown).columns == mapping_of(tomllib.loads(FORM)).columns
    assert shown.keys() == tomllib.loads(FORM).keys()


def test_the_keys_for_real_exports() -> None:
    mapping = mapping_of(
        {
            "columns": {"time": ["day", "hour"], "value": {"column": "paid", "events": "buy"}},
            "orders": {"key": ["order", "shop"], "sum": "paid", "event": "buy"},
            "types": {"zip": "text"},
            "numbers": {"decimal": ","},
        }
    )
    assert (mapping.time_columns, mapping.value_events) == (("day", "hour"), ("buy",))
    assert mapping.orders == OrderLines(("order", "shop"), "buy")
    assert (mapping.types, mapping.decimal) == ({"zip": "text"}, ",")
    assert mapping_of({"orders": {"key": "order", "sum": "paid"}}).value == "paid"
    assert mapping_of({"orders": {"key": "order"}}).value is None
    columns = ["user", "day", "hour", "event", "paid", "order", "zip"]
    with pytest.raises(UsageError, match=r"no column 'shop'.* it is: \[orders\] key"):
        check_columns(mapping, columns, Path("a.csv"))
    with pytest.raises(UsageError, match=r"no column 'zip'.* it is: \[types\]"):
        check_columns(mapping, [*columns[:-1], "shop"], Path("a.csv"))
    with pytest.raises(UsageError, match=r"no column 'hour'.* it is: --time"):
        check_columns(mapping, ["user", "day"], Path("a.csv"))


@pytest.mark.parametrize(
    ("tables", "said"),
    [
        ({"columns": {"time": ["day"]}}, "must be one column, or two"),
        ({"columns": {"time": ["day", "day"]}}, "must be one column, or two"),
        ({"columns": {"time": ["a", "b"]}, "time": {"unit": "s"}}, "the time is in two columns"),
        ({"columns": {"event": {}}}, "must say the column, or the one event"),
        ({"columns": {"event": {"column": "a", "constant": "b"}}}, "or the one event"),
        ({"types": {"zip": "txt"}}, "types.zip='txt' is unknown. Did you mean 'text'"),
        ({"numbers": {"decimal": ";"}}, "Allowed: ',', '.'"),
        ({"orders": {"sum": "value"}}, 'orders.key is missing.*key = "order_id"'),
        ({"orders": {"key": "a", "sum": "b"}, "columns": {"value": "c"}}, "a log has one value"),
        ({"orders": {"key": "a"}, "duplicates": {"purchase": ["a"]}}, "either lines of an order"),
        ({"orders": {"key": "a"}, "properties": {"n": "order_lines"}}, "belongs to the log"),
    ],
)
def test_keys_that_contradict_each_other(tables: Any, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        mapping_of(tables)
