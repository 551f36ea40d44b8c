"""The benchmark's own arithmetic; its times are never part of a test."""

from __future__ import annotations

import pytest
import report
from rounds import Entry, Timed, measure, ratio


def taking(seconds: list[float], answer: object = 1) -> Entry:
    left = iter(seconds)
    return Entry("count", f"engine {seconds}", lambda: (answer, next(left)), own_time=True)


def test_a_ratio_is_the_median_of_the_rounds_and_not_the_ratio_of_medians() -> None:
    one, other = measure([taking([1.0, 9.0, 2.0]), taking([2.0, 3.0, 8.0])], 3, warm=False)
    assert ratio(one, other) == pytest.approx((0.5, 0.25, 3.0))


def test_an_engine_with_another_answer_has_an_error_and_no_time() -> None:
    right, wrong = measure([taking([1.0, 1.0]), taking([0.1, 0.1], answer=2)], 2, warm=False)
    assert right.seconds == [1.0, 1.0]
    assert wrong.seconds == []
    assert wrong.note.startswith("error: another answer: 2 instead of 1")
    assert ratio(right, wrong) is None


def test_every_engine_has_its_turn_at_the_beginning() -> None:
    order = []
    names = ("a", "b", "c")
    entries = [Entry(name, name, lambda name=name: order.append(name)) for name in names]  # type: ignore[misc]
    measure(entries, 3, warm=False)
    assert "".join(order) == "abcbcacab"


def test_the_table_shows_times_ratios_and_reasons() -> None:
    ours, theirs = taking([0.1]), taking([0.4])
    results = [
        Timed(ours, [0.1, 0.1]),
        Timed(theirs, [0.4, 0.2]),
        Timed(Entry("audit", "workbook", lambda: 0), note="skipped: there is no audit yet"),
    ]
    lines = report.table(results)
    assert "| count | engine [0.1] | 100 | 100-100 |  |" in lines
    assert "| count | engine [0.4] | 300 | 200-400 | 0.375 (0.25-0.5) |" in lines
    assert "| audit | workbook | skipped: there is no audit yet |  |  |" in lines


def test_growth_is_told_per_doubling() -> None:
    def timed(seconds: float) -> list[Timed]:
        return [Timed(Entry("import", "workbook", lambda: 0), [seconds])]

    lines = report.growth({5_000_000: timed(1.0), 20_000_000: timed(4.41), 40_000_000: timed(8.82)})
    assert lines[0].endswith("| 20 / 5 million (4 x) | 40 / 20 million (2 x) |")
    assert lines[2] == "| import | workbook | 4.41 (2.10) | 2.00 (2.00) |"
    assert report.growth({5_000_000: timed(1.0)}) == []
