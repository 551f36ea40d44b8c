"""How numbers are written: never more certain than they are, and the same everywhere."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from analysis import (
    Catalog,
    EventLog,
    compare_segments,
    content_conversion,
    distance_to_macro,
    event_order,
    form_fields,
    paths,
    segment,
    step_matrix,
    transitions,
)
from analysis.core import wording
from analysis.segments import did

NAN = float("nan")


@given(st.floats(0, 1))
def test_only_all_and_nothing_are_0_and_100_percent(rate: float) -> None:
    written = wording.percent(rate)
    assert (written == "0%") == (rate == 0)
    assert (written == "100%") == (rate == 1)
    assert written not in {"0.0%", "0.00%", "100.0%"}


@given(st.floats(-1, 1))
def test_a_change_has_a_sign_where_it_has_a_digit(change: float) -> None:
    for written in (wording.points(change), wording.relative(change)):
        assert "-" not in written
        shown = any(digit in written for digit in "123456789")
        assert shown == written.startswith(("−", "+"))


def test_undefined_is_never_a_number() -> None:
    write = [wording.percent, wording.count, wording.points, wording.relative, wording.times]
    assert {one(NAN) for one in [*write, wording.significance]} == {wording.UNDEFINED}


@given(st.floats(0, 1))
def test_a_p_value_is_never_zero(p: float) -> None:
    assert float(wording.significance(p).removeprefix("below ")) > 0
    assert wording.q_equals(p).startswith("q < 0.001" if p < 0.001 else "q = ")


@given(st.dates(), st.integers(1, 40))
def test_days_name_the_first_and_the_last(first: Any, length: int) -> None:
    if first.toordinal() + length > 3_000_000:
        return
    start = pd.Timestamp(first)
    written = wording.days(start, start + pd.Timedelta(length, "D"))
    last = start + pd.Timedelta(length - 1, "D")
    assert written.startswith(str(start.day))
    assert written.endswith(wording.day(last, year=True))
    assert (" to " in written) == (length > 1)


@pytest.mark.parametrize("names", [[], ["a"], ["a", "b"], ["a", "b", "c"]])
def test_lists_join_all_names(names: Any) -> None:
    assert wording.listed(names).replace(" and ", ", ").split(", ") == (names or [""])


HEBREW, TURNED = "קנייה", "mobile\u202e"
FSI, PDI = "\u2068", "\u2069"


def _outside(text: str) -> str:
    """The text outside of isolates; fails where one is not closed."""
    kept, depth = "", 0
    for letter in text:
        depth += (letter in "\u2066\u2067\u2068") - (letter == PDI)
        assert depth >= 0
        kept += letter if depth == 0 and letter != PDI else ""
    assert depth == 0
    return kept


@pytest.mark.parametrize("name", [HEBREW, TURNED, "سلة", f"a{PDI}b", f"{FSI}a", "\u2067\u2066a"])
def test_no_name_turns_the_numbers_behind_it(name: str) -> None:
    assert _outside(f"{wording.isolate(name)}: 12 of 30") == ": 12 of 30"
    assert _outside(f"{wording.label(name)}: 12 of 30") == ": 12 of 30"
    assert _outside(f"{wording.group_name((name, 'DE'))}: 12 of 30") == " · DE: 12 of 30"
    assert _outside(wording.listed([name, name])) == " and "
    assert _outside(wording.subject("property", "device", name)) == "Device: "


@pytest.mark.parametrize("name", [HEBREW, TURNED, f"{FSI}{HEBREW}{PDI}", f"a{PDI}b\u202e"])
def test_isolating_twice_is_isolating_once(name: str) -> None:
    once = wording.isolate(name)
    assert wording.isolate(once) == once
    assert wording.isolate_within(once) == once


def test_a_line_end_does_not_end_the_isolation() -> None:
    assert wording.isolate(f"{HEBREW}\n{HEBREW}") == f"{FSI}{HEBREW} {HEBREW}{PDI}"


def test_a_sentence_that_isolates_nothing_is_isolated_all_the_same() -> None:
    said = wording.isolate_within(f"{HEBREW} {HEBREW}: 12 of 30\u202e, {FSI}x")
    assert said == f"{FSI}{HEBREW} {HEBREW}{PDI}: 12 of 30, x"


@given(st.text(alphabet=st.sampled_from(f"aא1 \n{FSI}{PDI}\u2067\u202e\u202c\u200f")))
def test_whatever_is_isolated_is_balanced(text: str) -> None:
    _outside(wording.isolate(text))
    outside = _outside(wording.isolate_within(text))
    assert not set(outside) & set("א\u202e\u202c\u200f")


def test_html_has_elements_for_names_and_none_in_attributes() -> None:
    assert wording.as_html(f"<{HEBREW}> 5") == f"&lt;<bdi>{HEBREW}</bdi>&gt; 5"
    markup = f'<td class="wb-a">\u2067x{PDI} {HEBREW} 3</td>'
    assert wording.isolate_html(markup) == (
        f'<td class="wb-a"><bdi>x</bdi> <bdi>{HEBREW}</bdi> 3</td>'
    )


def test_no_sentence_of_an_answer_is_turned_by_a_name() -> None:
    """What is printed has nobody to isolate its names but the sentence itself."""
    buy, see, phone = "שולם", "צפייה", "נייד"
    rows = [
        (f"u{u:02}", f"2026-01-{1 + u % 20:02}T10:{minute:02}Z", event, phone)
        for u in range(60)
        for minute, event in enumerate([see, "visit", buy][: 1 + u % 3])
    ]
    log = EventLog.from_frame(pd.DataFrame(rows, columns=["user", "time", "event", "device"]))
    shop = Catalog.from_mapping(
        {"name": "x", "events": {buy: {"role": "macro"}, see: {"role": "milestone"}}}
    )
    buyers = segment(log, did(buy), at="2026-01-10", name=buy)
    answers: list[Any] = [
        paths(log, to=buy),
        transitions(log),
        step_matrix(log, to=buy),
        event_order(log),
        distance_to_macro(log, shop),
        form_fields(
            log,
            phone,
            form_property="device",
            field_property="device",
            macro=buy,
            events={"focus": see, "change": "visit", "submit": buy},
        ),
        content_conversion(log, "device", to=buy, macro=buy),
        buyers,
        compare_segments(log, buyers),
    ]
    for answer in answers:
        said = answer.sentence()
        assert wording.isolate_within(said) == said, ascii(said)
