"""One purchase of the lines of an order; the judge is a group-by of pandas over the file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from support.samples import ONLINE_RETAIL

from analysis.core.schema import UsageError
from analysis.eventlog.log import EventLog
from analysis.eventlog.store import read_manifest
from analysis.sources import readers
from analysis.sources.ingest import import_files
from analysis.sources.mapping import mapping_of

TABLES: dict[str, Any] = {
    "columns": {"value": "amount"},
    "orders": {"key": "order", "sum": "amount"},
    "time": {"zone": "UTC"},
}


def shop(seed: int = 3, orders: int = 120) -> pd.DataFrame:
    """Orders with a row per line, visits, and two orders of different people with one id."""
    rng = np.random.default_rng(seed)
    lines = rng.integers(1, 6, orders)
    order = np.repeat(np.arange(orders), lines)
    frame = pd.DataFrame(
        {
            "user": [f"u{n % 40}" for n in order],
            "time": pd.Timestamp("2026-01-05") + pd.to_timedelta(order * 7, "min"),
            "event": "purchase",
            "order": [f"o{n // 2}" for n in order],
            "item": [f"i{n}" for n in rng.integers(0, 4, len(order))],
            "country": [f"c{n % 3}" for n in order],
            "weight": order % 7 / 4,
            "amount": rng.integers(-50, 9999, len(order)) / 100,
        }
    )
    visits = frame.assign(event="visit", amount=np.nan, time=frame.time - pd.Timedelta("1h"))
    return pd.concat([visits, frame], ignore_index=True)


def by_pandas(frame: pd.DataFrame) -> pd.DataFrame:
    bought = frame[frame.event == "purchase"]
    grouped = bought.groupby(["user", "order"])

    def agreed(cells: Any) -> Any:
        return cells.iloc[0] if (cells == cells.iloc[0]).all() else None

    table = grouped.agg(
        time=("time", "min"),
        value=("amount", "sum"),
        order_lines=("amount", "size"),
        item=("item", agreed),
        country=("country", agreed),
        weight=("weight", agreed),
    ).reset_index()
    return table.sort_values(["user", "time"]).reset_index(drop=True)


def bring_in(
    folder: Path, frame: Any, name: str = "a.csv", tables: Any = None, **options: Any
) -> Any:
    frame.to_csv(folder / name, index=False)
    mapping = mapping_of(tables or TABLES)
    counts = import_files([folder / name], mapping, folder / "log", **options)
    assert counts.rows_in == sum(counts[1:])
    return counts


def orders_in(folder: Path) -> pd.DataFrame:
    rows = EventLog.open(folder / "log").to_frame()
    return rows[rows.event == "purchase"].reset_index(drop=True)


def same(found: pd.DataFrame, wanted: pd.DataFrame) -> None:
    found = found.assign(time=found.time.dt.tz_localize(None))
    wanted = wanted.assign(value=wanted.value.round(6))
    texts = {"user": "str", "order": "str", "item": "str", "country": "str"}
    pd.testing.assert_frame_equal(
        found[wanted.columns].astype(texts), wanted.astype(texts), check_dtype=False
    )


@pytest.mark.parametrize("block", [4 << 20, 500])
def test_an_order_is_one_purchase_with_its_sum_and_lines(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(readers, "CSV_BLOCK", block)
    frame = shop()
    counts = bring_in(tmp_path, frame)
    wanted = by_pandas(frame)
    lines = int((frame.event == "purchase").sum())
    assert counts == (len(frame), len(frame) - lines + len(wanted), lines - len(wanted), 0, 0)
    same(orders_in(tmp_path), wanted)
    log = EventLog.open(tmp_path / "log")
    value = log.summary().set_index("event").value["purchase"]
    assert value == pytest.approx(frame.amount.sum(), abs=1e-6)
    assert log.losses().groupby("reason").rows.sum().to_dict() == {
        "a line of an order that is kept": lines - len(wanted)
    }


def test_the_same_lines_again_add_nothing(tmp_path: Path) -> None:
    frame = shop()
    bring_in(tmp_path, frame)
    before = EventLog.open(tmp_path / "log").fingerprint
    for wider in (frame, frame.assign(coupon="SUMMER")):
        counts = bring_in(tmp_path, wider, "b.csv", append=True)
        assert counts.rows_kept == 0
    same(orders_in(tmp_path), by_pandas(frame))
    assert EventLog.open(tmp_path / "log").events == len(by_pandas(frame)) + sum(
        frame.event == "visit"
    )
    bring_in(tmp_path, frame, "c.csv", append=True)
    assert before != EventLog.open(tmp_path / "log").fingerprint  # it has a coupon by now


def test_a_column_that_the_export_has_got_since_comes_to_the_orders_there(tmp_path: Path) -> None:
    """As in one import of both files; and a file that tells no more changes nothing."""
    frame = shop()
    wider = frame.assign(coupon=[f"c{n % 2}" for n in range(len(frame))], shop="north")
    bring_in(tmp_path, frame)
    said: list[str] = []
    bring_in(tmp_path, wider, "b.csv", append=True, say=said.append)
    assert not any("other values" in note for note in said)
    orders = EventLog.open(tmp_path / "log").where(event="purchase").to_frame()
    assert (orders["shop"] == "north").all()
    assert orders.loc[orders.order_lines > 1, "coupon"].isna().any()
    files = [tmp_path / "a.csv", tmp_path / "b.csv"]
    import_files(files, mapping_of(TABLES), tmp_path / "one")
    after = EventLog.open(tmp_path / "log").fingerprint
    assert after == EventLog.open(tmp_path / "one").fingerprint
    for again in (wider, frame):
        assert bring_in(tmp_path, again, "c.csv", append=True).rows_kept == 0
        assert EventLog.open(tmp_path / "log").fingerprint == after


@pytest.mark.parametrize("split", ["orders", "overlap"])
def test_files_that_share_lines_make_the_same_orders(tmp_path: Path, split: str) -> None:
    frame = shop()
    (tmp_path / "in").mkdir()
    first, second = frame[:400], frame[200 if split == "overlap" else 400 :]
    first.to_csv(tmp_path / "in" / "a.csv", index=False)
    second.to_csv(tmp_path / "in" / "b.csv", index=False)
    import_files([tmp_path / "in"], mapping_of(TABLES), tmp_path / "log")
    same(orders_in(tmp_path), by_pandas(frame))


def test_an_order_that_was_cut_is_whole_after_the_next_file(tmp_path: Path) -> None:
    frame = shop()
    bring_in(tmp_path, frame[:401])  # within the lines of an order
    bring_in(tmp_path, frame, "b.csv", append=True)
    same(orders_in(tmp_path), by_pandas(frame))
    bring_in(tmp_path, frame[:401], "c.csv", append=True)
    same(orders_in(tmp_path), by_pandas(frame))


def test_orders_with_other_values_than_before_are_said(tmp_path: Path) -> None:
    frame = shop()
    bring_in(tmp_path, frame)
    said: list[str] = []
    bring_in(tmp_path, frame.assign(amount=1.0), "b.csv", append=True, say=said.append)
    assert "orders of the log are in the files with other values" in said[0]
    same(orders_in(tmp_path), by_pandas(frame))


def test_currencies_are_not_added(tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "user": "ann",
            "time": "2026-01-05",
            "event": "purchase",
            "order": ["o1", "o1", "o2", "o2"],
            "currency": ["EUR", "JPY", "EUR", None],
            "amount": [5.0, 700.0, 1.0, 2.0],
        }
    )
    bring_in(tmp_path, frame)
    found = orders_in(tmp_path).set_index("order")
    assert np.isnan(found.value["o1"])
    assert (found.value["o2"], found.currency["o2"]) == (3.0, "EUR")
    (lost,) = EventLog.open(tmp_path / "log").losses().query("fate == 'blanked'").itertuples()
    assert (lost.column, lost.reason, lost.rows) == ("value", "has several currencies", 1)


def test_a_line_without_a_key_is_an_event_of_its_own(tmp_path: Path) -> None:
    frame = shop()
    frame.loc[frame.event == "purchase", "order"] = None
    counts = bring_in(tmp_path, frame)
    assert counts.rows_duplicate == 0


def test_an_append_goes_by_the_log_s_rule(tmp_path: Path) -> None:
    frame = shop()
    bring_in(tmp_path, frame[:300])
    plain = {**TABLES}
    del plain["orders"]
    bring_in(tmp_path, frame, "b.csv", append=True, tables=plain)
    same(orders_in(tmp_path), by_pandas(frame))
    assert read_manifest(tmp_path / "log").terms["orders"] == {
        "key": ["order"],
        "event": "purchase",
    }
    other = {**TABLES, "orders": {"key": "item"}}
    with pytest.raises(UsageError, match=r"are made of lines by \[orders\] key = \['order'\]"):
        bring_in(tmp_path, frame, "c.csv", append=True, tables=other)


def test_a_real_shops_invoices_are_one_purchase_each(tmp_path: Path) -> None:
    lines = pd.read_csv(ONLINE_RETAIL, dtype={"CustomerID": str, "InvoiceNo": str})
    lines = lines[
        lines["CustomerID"].notna()
        & ~lines["InvoiceNo"].str.startswith("C")
        & (lines["Quantity"] > 0)
        & (lines["UnitPrice"] > 0)
    ]
    value = (lines["Quantity"] * lines["UnitPrice"]).round(2)
    lines.assign(value=value).to_csv(tmp_path / "lines.csv", index=False)
    mapping = mapping_of(
        {
            "columns": {
                "user": "CustomerID",
                "time": "InvoiceDate",
                "event": {"constant": "purchase"},
                "value": "value",
            },
            "orders": {"key": "InvoiceNo", "sum": "value"},
            "time": {"zone": "Europe/London"},
        }
    )
    counts = import_files([tmp_path / "lines.csv"], mapping, tmp_path / "log")
    assert counts.rows_in == counts.rows_kept + counts.rows_duplicate == len(lines)
    log = EventLog.open(tmp_path / "log")
    bought = log.summary().set_index("event").loc["purchase"]
    assert (bought["users"], bought["events"]) == (885, 1_400)
    assert bought["value"] == 572_713.89
    orders = lines.assign(value=value).groupby(["CustomerID", "InvoiceNo"])["value"]
    found = log.to_frame()
    assert sorted(found["order_lines"]) == sorted(orders.size())
    assert np.allclose(sorted(found["value"]), sorted(orders.sum()), rtol=0, atol=1e-6)


def test_people_who_are_forgotten_leave_no_order(tmp_path: Path) -> None:
    from analysis.eventlog.maintenance import forget

    frame = shop()
    bring_in(tmp_path, frame)
    forget(tmp_path / "log", ["u3"])
    bring_in(tmp_path, frame[frame.user != "u3"], "b.csv", append=True)
    same(orders_in(tmp_path), by_pandas(frame[frame.user != "u3"]))


def test_duplicates_that_are_lines_are_said(tmp_path: Path) -> None:
    frame = shop()
    bought = frame[frame.event == "purchase"]
    tables = {**TABLES, "duplicates": {"purchase": ["order", "user"]}}
    del tables["orders"]
    said: list[str] = []
    bring_in(tmp_path, frame, tables=tables, say=said.append)
    best = bought.sort_values("time", kind="stable").groupby(["user", "order"]).amount
    others = int((bought.amount != best.transform("first")).sum())
    assert others > 100
    assert said[0].startswith(f"{others} rows that [duplicates] leaves out have another value than")
    # The same order sent twice is no line.
    twice = bought.drop_duplicates(["user", "order"])
    said.clear()
    again = pd.concat([twice, twice.assign(time=twice.time + pd.Timedelta("1h"))])
    again.to_csv(tmp_path / "b.csv", index=False)
    mapping = mapping_of(tables)
    import_files([tmp_path / "b.csv"], mapping, tmp_path / "other", say=said.append)
    assert said == []
