"""Arguments: what is taken comes back as the code works with it, the rest is refused in words."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from analysis.core import checks
from analysis.core.schema import US_PER_DAY, UsageError

LOG: Any = SimpleNamespace(event_names=("add_to_cart", "purchase"), kinds={"device": "text"})


def test_what_is_allowed_comes_back() -> None:
    assert checks.event_name("funnel", LOG, "purchase") == "purchase"
    assert checks.property_name("funnel", LOG, "device") == "device"
    assert checks.names("funnel: by", ("a", "b")) == ["a", "b"]
    assert type(checks.whole("top", np.int64(3), least=1)) is int
    assert checks.number("value", np.float64(2.5)) == 2.5
    assert checks.share("rate", 0.05) == 0.05
    assert checks.entry_range("funnel", (None, "1970-01-02")) == (-checks.EVER, US_PER_DAY)
    assert checks.entry_range("funnel", None) == (-checks.EVER, checks.EVER)
    checks.ordered("value", 1, None)
    checks.bounded("value", 1, 1, "at_least=1")


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (lambda: checks.event_name("funnel", LOG, "purchas"), "funnel: .*Did you mean 'purchase'?"),
        (lambda: checks.property_name("funnel", LOG, "devic"), "Did you mean 'device'?"),
        (lambda: checks.property_text("hold", ""), "'' is not a property's name"),
        (lambda: checks.names("by", []), r"by=\[\]"),
        (lambda: checks.names("by", {"a": 1}), "a list of names"),
        (lambda: checks.whole("top", True, least=1), "top=True. Allowed: a whole number from 1."),
        (lambda: checks.whole("top", 2.0, least=1), "a whole number"),
        (lambda: checks.min_cell("funnel", 0), "funnel: min_cell=0"),
        (lambda: checks.number("value", math.inf), "value=inf. Allowed: a number."),
        (lambda: checks.share("rate", 1), "a share between 0 and 1"),
        (lambda: checks.ordered("value", 2, 1), "at_most is below at_least"),
        (lambda: checks.bounded("value", None, None, "at_least=1"), "such as at_least=1"),
        (lambda: checks.entry_range("funnel", "2026-01-01"), "end excluded"),  # type: ignore[arg-type]
        (lambda: checks.entry_range("funnel", ("2026-01-02", "2026-01-01")), "Swap the two"),
    ],
)
def test_what_is_not_allowed_is_refused_in_words(asked: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        asked()
