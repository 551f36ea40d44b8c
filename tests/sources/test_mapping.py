"""Mappings: what they say, and every way to say it wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from analysis.core.schema import UsageError
from analysis.eventlog.consent import Consent
from analysis.eventlog.sessions import SessionRule
from analysis.sources.mapping import ColumnMapping, check_columns, named_columns
from analysis.sources.roles import roles_of

PATH = Path("x.csv")


def test_options_win_over_the_file():
    mapping = ColumnMapping(user="a", value="micros", divide_by=1e6, zone="UTC")
    changed = mapping.with_options(
        columns={"user": "b", "value": "price", "time": None}, zone="Asia/Tokyo", unit="s"
    )
    assert (changed.user, changed.value, changed.divide_by) == ("b", "price", 1.0)
    assert (changed.zone, changed.unit, changed.time) == ("Asia/Tokyo", "s", "time")
    assert mapping.with_options(columns={"user": None}) == mapping


def test_zone_and_unit_are_checked():
    with pytest.raises(UsageError, match="Did you mean 'Europe/Berlin'"):
        ColumnMapping(zone="Europe/Berln")
    with pytest.raises(UsageError, match="time unit='sec' is unknown"):
        ColumnMapping(unit="sec")


def test_a_missing_column_says_which_are_there_and_what_to_do():
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
def test_every_named_column_must_be_there(mapping, option):
    assert named_columns(mapping) == {"s": named_columns(mapping)["s"]}
    with pytest.raises(UsageError) as caught:
        check_columns(mapping, ["user", "time", "event"], PATH)
    assert option in str(caught.value)
    check_columns(mapping, ["user", "time", "event", "s"], PATH)
    check_columns(mapping, ["user", "time", "event"], PATH, sparse=True)


def test_the_other_columns_become_properties():
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


def test_only_what_properties_name_is_kept():
    mapping = ColumnMapping(properties={"deviceCategory": "device", "x": "y"})
    roles = roles_of(mapping, ["user", "time", "event", "deviceCategory", "rest"])
    assert roles.properties == {"deviceCategory": "device"}
    assert mapping.columns == {"user", "time", "event", "session", "value", "deviceCategory", "x"}
    assert ColumnMapping().columns is None


@pytest.mark.parametrize("name", ["user", "time", "event", "session", "value", ""])
def test_a_property_must_not_be_called_like_a_column_of_the_log(name):
    with pytest.raises(UsageError, match=r"\[properties\] x"):
        ColumnMapping(properties={"x": name})


def test_two_columns_must_not_become_one_property():
    with pytest.raises(UsageError, match="'a' and 'b' would both become the property 'c'"):
        ColumnMapping(properties={"a": "c", "b": "c"})
    with pytest.raises(UsageError, match="would both become"):
        roles_of(ColumnMapping(user="id"), ["id", "time", "event", "user", "user_column"])
    ColumnMapping(properties={"a": "source_event"})
    with pytest.raises(UsageError, match="belongs to the log"):
        ColumnMapping(properties={"a": "source_event"}, events={"x": "y"})


def test_sessions_are_computed_or_read():
    columns = ["user", "time", "event", "session"]
    computed = ColumnMapping(sessions=SessionRule())
    assert roles_of(computed, columns).session is None
    assert roles_of(computed, columns).properties == {"session": "session_column"}
    with pytest.raises(UsageError, match="either computed or"):
        ColumnMapping(session="visit", sessions=SessionRule())


def test_of_sessions_too_the_command_line_wins():
    read = ColumnMapping(session="visit").with_options(columns={}, session_gap="1min")
    assert (read.session, read.sessions) == (None, SessionRule(60_000_000))
    computed = ColumnMapping(sessions=SessionRule()).with_options(columns={"session": "visit"})
    assert (computed.session, computed.sessions) == ("visit", None)
    mapping = ColumnMapping(sessions=SessionRule(campaign="c", midnight="UTC"))
    longer = mapping.with_options(columns={}, session_gap="1min").sessions
    assert longer == SessionRule(60_000_000, "c", "UTC")
    with pytest.raises(UsageError, match="either computed or"):
        ColumnMapping().with_options(columns={"session": "visit"}, session_gap="1min")


def test_a_consent_column_is_looked_at_and_need_not_be_kept():
    mapping = ColumnMapping(properties={}, consent=Consent("cookie"))
    assert mapping.columns is not None
    assert "cookie" in mapping.columns
    assert named_columns(mapping) == {"cookie": "--consent COLUMN"}
