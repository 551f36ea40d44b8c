"""Mappings as TOML: the whole form, and every key that is wrong."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.consent import GRANTED, Consent
from analysis.eventlog.sessions import SessionRule
from analysis.sources.mapping import ColumnMapping, EventRule
from analysis.sources.mapping_file import load_mapping, mapping_of, presets

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


def test_the_form_in_full(tmp_path):
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


def test_sessions_that_are_computed():
    tables = {"sessions": {"gap": "45min", "campaign": True, "midnight": "Europe/Berlin"}}
    assert mapping_of(tables).sessions == SessionRule(2_700_000_000, "campaign", "Europe/Berlin")
    assert mapping_of({"sessions": {}}).sessions == SessionRule()
    assert mapping_of({"sessions": {"campaign": "source"}}).sessions.campaign == "source"


def test_a_consent_column_alone_is_enough():
    assert mapping_of({"consent": {"column": "ok"}}).consent == Consent("ok", GRANTED)


def test_nothing_said_is_the_default():
    assert mapping_of({}) == ColumnMapping()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[colums]", r"\[colums\] is unknown. Did you mean 'columns'"),
        ("[columns]\nuesr = 'x'", "Did you mean 'user'"),
        ("[columns]\nuser = 5", "user = 5 must be a text"),
        ("[columns]\nuser = ''", "must be a text"),
        ("[columns]\nuser = {column = 'x', divide_by = 2}", "divide_by is unknown"),
        ("[columns]\nvalue = {colum = 'x'}", "Did you mean 'column'"),
        ("[columns]\nvalue = {divide_by = 2}", "column = None must be a text"),
        ("[columns]\nvalue = {column = 'x', divide_by = 0}", "must be a number above zero"),
        ("[columns]\nvalue = {column = 'x', divide_by = true}", "must be a number above zero"),
        ("columns = 'x'", "must be a table"),
        ("[time]\nzones = 'UTC'", "Did you mean 'zone'"),
        ("[time]\nzone = 'Mars'", "time zone 'Mars' is unknown"),
        ("[events]\na = 1", "must be a text"),
        ("[event_when]\nevent = 'x'", "two brackets"),
        ("[[event_when]]\nevent = 'x'", "needs a condition"),
        ("[[event_when]]\nwhen = {a = 'b'}", "event = None must be a text"),
        ("[[event_when]]\nwhen = {a = 1}\nevent = 'x'", "must be a list of texts"),
        ("[[event_when]]\nif = {a = 1}\nevent = 'x'", "if is unknown"),
        ("[duplicates]\npurchase = 5", "must be a list of texts"),
        ("[missing]\nvalue = []", "Did you mean 'values'"),
        ("[properties]\na = 'user'", "belongs to the log"),
        ("user = ", "is no TOML"),
        ("[consent]\ngranted = ['yes']", "column = None must be a text"),
        ("[consent]\ncolumn = 'c'\ngranted = []", "at least one word"),
        ("[consent]\ncolumn = 'c'\ngranted = true", "must be a list of texts"),
        ("[consent]\ncolum = 'c'", "Did you mean 'column'"),
        ("[ids]\nhash_key = 'c'", "Did you mean 'hash_key_file'"),
        ("[ids]", "hash_key_file = None must be a text"),
        ("[sessions]\ngap = 30", "has no unit"),
        ("[sessions]\nmidnight = 'Europe/Berln'", "Did you mean 'Europe/Berlin'"),
        ("[sessions]\ncampaign = 1", "name of a property"),
        ("[sessions]\ngaps = '1h'", "Did you mean 'gap'"),
        ("[columns]\nsession = 'v'\n[sessions]\ngap = '1h'", "either computed or"),
    ],
)
def test_what_is_wrong_is_said(tmp_path, text, message):
    path = tmp_path / "shop.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=message) as caught:
        load_mapping(path)
    assert str(caught.value).startswith("mapping '")
    assert "\n" not in str(caught.value)


def test_sources_that_are_not_there(tmp_path):
    with pytest.raises(UsageError, match="Did you mean 'ga360'"):
        load_mapping("ga306")
    with pytest.raises(UsageError, match="cannot be read: No such file"):
        load_mapping(tmp_path / "none.toml")
    (tmp_path / "latin.toml").write_bytes(b"# \xe9")
    with pytest.raises(UsageError, match="not UTF-8"):
        load_mapping(tmp_path / "latin.toml")


def test_every_preset_can_be_read():
    assert presets()
    for name in presets():
        assert isinstance(load_mapping(name), ColumnMapping)


def test_the_documentation_shows_the_whole_form():
    text = (Path(__file__).parents[2] / "data" / "README.md").read_text(encoding="utf-8")
    shown = tomllib.loads(re.search(r"```toml\n(.*?)```", text, re.DOTALL)[1])
    assert mapping_of(shown).columns == mapping_of(tomllib.loads(FORM)).columns
    assert shown.keys() == tomllib.loads(FORM).keys()
