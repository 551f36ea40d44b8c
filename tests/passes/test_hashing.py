"""Hashes against published vectors and the same arithmetic in Python's unbounded integers."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hash_oracle import FIRST, FULL, GOLDEN, LANE, SECOND, hash_text, mix
from hypothesis import given
from hypothesis import strategies as st

from analysis.eventlog import kernels_hashing as hashing
from analysis.eventlog.shard import column_seed, string_hashes

# splitmix64 (Steele, Lea & Flood 2014) with seed 1234567, as published on Rosetta Code.
SPLITMIX = [
    6457827717110365317,
    3203168211198807973,
    9817491932198370423,
    4593380528125082431,
    16408922859458223821,
]


def test_mix_is_the_published_one() -> None:
    states = [(1234567 + k * GOLDEN) & FULL for k in range(1, 6)]
    assert [int(hashing.mix(np.uint64(state))) for state in states] == SPLITMIX
    assert [mix(state) for state in states] == SPLITMIX


@given(st.lists(st.text(max_size=40), min_size=1, max_size=8), st.sampled_from(["user", "é", ""]))
def test_a_text_s_hash_depends_on_its_bytes_alone(texts: list[str], column: str) -> None:
    seed = hash_text(column.encode(), 0)[0]
    assert int(column_seed(column)) == seed
    want = [hash_text(text.encode(), seed) for text in texts]
    array = pa.array(texts, pa.large_string())
    assert [tuple(map(int, pair)) for pair in string_hashes(array, column)] == want
    assert string_hashes(array[1:], column).tolist() == string_hashes(array, column)[1:].tolist()
    short = array.cast(pa.string())
    assert string_hashes(short, column).tolist() == string_hashes(array, column).tolist()


@pytest.mark.parametrize("size", range(18))
def test_texts_that_differ_little_have_different_hashes(size: int) -> None:
    texts = {"x" * size, "x" * size + "\0", "\0" * size, "\0" * (size + 1), "x" * size + "y"}
    found = string_hashes(pa.array(sorted(texts), pa.large_string()), "p")
    assert len(set(found[:, 0].tolist())) == len(set(found[:, 1].tolist())) == len(texts)


def test_no_text_no_hash() -> None:
    assert string_hashes(pa.array([], pa.large_string()), "p").shape == (0, 2)
    assert string_hashes(pa.array([""], pa.large_string()), "p").shape == (1, 2)


def test_half_of_all_bits_turn_when_one_does() -> None:
    texts = [f"user {i}" for i in range(2000)]
    other = [f"user {i}" for i in range(1, 2001)]
    one, two = (string_hashes(pa.array(t, pa.large_string()), "user") for t in (texts, other))
    turned = np.array([[int(a).bit_count() for a in row] for row in one ^ two])
    assert abs(turned.mean(axis=0) - 32).max() < 0.5
    # The lanes know nothing of each other.
    apart = [int(a ^ b).bit_count() for a, b in one]
    assert abs(np.mean(apart) - 32) < 0.5


def test_cells_add_up_in_any_order_of_columns() -> None:
    codes = np.array([0, -1, 1], np.int8)
    values = string_hashes(pa.array(["x", "y"], pa.large_string()), "p")
    missing = np.uint64(7)
    words = np.array([5, 6, 2**63], np.uint64)
    rows, other = np.zeros((2, 3, 2), np.uint64)
    hashing.add_coded_cells(rows, codes, values, missing)
    hashing.add_word_cells(rows, words, np.uint64(3))
    hashing.add_word_cells(other, words, np.uint64(3))
    hashing.add_coded_cells(other, codes, values, missing)
    assert rows.tolist() == other.tolist()
    cell = [[mix((w ^ 3) * GOLDEN + FIRST), mix((w ^ 3) * LANE + SECOND)] for w in words.tolist()]
    text = [values[0].tolist(), [7, 7 * LANE & FULL], values[1].tolist()]
    want = [
        [(a + b) & FULL for a, b in zip(x, y, strict=True)] for x, y in zip(cell, text, strict=True)
    ]
    assert rows.tolist() == want


def test_the_order_of_rows_counts_within_a_user_and_not_between() -> None:
    rows = np.arange(8, dtype=np.uint64).reshape(4, 2)
    users = np.array([[10, 11], [20, 21]], np.uint64)
    offsets = np.array([0, 2, 4])
    shown = np.ones(4, np.bool_)

    def total(
        row_order: list[int], user_order: list[int], seen: np.ndarray = shown
    ) -> tuple[int, ...]:
        return tuple(
            map(int, hashing.sum_user_hashes(rows[row_order], seen, offsets, users[user_order]))
        )

    whole = total([0, 1, 2, 3], [0, 1])
    assert total([2, 3, 0, 1], [1, 0]) == whole
    assert total([1, 0, 2, 3], [0, 1]) != whole
    assert total([2, 3, 0, 1], [0, 1]) != whole
    # A user without a shown row adds nothing.
    half = np.array([True, True, False, False])
    alone = hashing.sum_user_hashes(rows[:2], shown[:2], offsets[:2], users[:1])
    assert total([0, 1, 2, 3], [0, 1], half) == tuple(map(int, alone))
    assert total([0, 1, 2, 3], [0, 1], ~shown) == (0, 0)
