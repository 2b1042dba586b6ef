"""How texts become rows: words in every script, hashed characters, rows that depend on one text alone."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.learning.features import (
    BUCKETS,
    MAX_CHARACTERS,
    TEXTS_PER_BATCH,
    batches,
    folded,
    learn_vocabulary,
    reads_characters,
    terms_of,
    vectorise,
)

TEXTS = ["the card is lost", "a card, the CARD", "नमस्ते दुनिया", "卡丢了", "", "...", "😀 \ud800"]
WORDS = learn_vocabulary(TEXTS, characters=False, max_terms=1_000)
CHARACTERS = learn_vocabulary(TEXTS, characters=True, max_terms=1_000)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("Lost CARD!", ["lost", "card", "lost card"]),
        ("don't", ["don", "t", "don t"]),
        ("नमस्ते दुनिया।", ["नमस्ते", "दुनिया", "नमस्ते दुनिया"]),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", ["full", "width", "full width"]),
        ("(‘…’)", []),
    ],
)
def test_words_and_pairs(text: str, terms: list[str]) -> None:
    """Case, width and punctuation vanish; vowel signs stay inside their word."""
    assert terms_of(folded(text)) == terms


def test_vocabulary_keeps_the_most_frequent() -> None:
    """Terms are chosen by the number of texts, then the alphabet, and listed in order."""
    vocabulary = learn_vocabulary(["b a", "a c", "c a"], characters=False, max_terms=2)
    assert vocabulary.terms == ("a", "c")
    assert vocabulary.idf[0] < vocabulary.idf[1]


def test_rows_have_length_one() -> None:
    """Every text with a known term becomes a row of length 1, every other an empty one."""
    lengths = np.sqrt(vectorise([*TEXTS, "unseen"], WORDS).power(2).sum(axis=1))
    assert lengths == pytest.approx([1, 1, 1, 1, 0, 0, 1, 0], abs=1e-4)


def test_repetition_counts_less_than_proportionally() -> None:
    """A word said four times weighs more than one said once, but not four times as much."""
    row = vectorise(["lost card card card card"], WORDS).toarray()[0]
    card, lost = (row[WORDS.terms.index(word)] for word in ("card", "lost"))
    assert lost < card < 4 * lost


@given(st.lists(st.one_of(st.sampled_from(TEXTS), st.text(max_size=30)), max_size=6), st.text(max_size=30))
def test_a_row_depends_on_its_text_alone(others: list[str], text: str) -> None:
    """The same text gives the same row whatever stands beside it, with words and with characters."""
    for vocabulary in (WORDS, CHARACTERS):
        alone = vectorise([text], vocabulary)
        among = vectorise([*others, text, *others], vocabulary)[[len(others)]]
        assert alone.indices.tobytes() == among.indices.tobytes()
        assert alone.data.tobytes() == among.data.tobytes()


def test_character_columns_are_stable() -> None:
    """The hashed columns of a text never move: stored models depend on them."""
    row = vectorise(["卡丢了"], CHARACTERS)
    hashed = sorted(set(row.indices.tolist()) - set(range(len(CHARACTERS.terms))))
    assert [column - len(CHARACTERS.terms) for column in hashed] == [2351, 9895, 12523, 33122, 34903, 43766]
    assert CHARACTERS.width == len(CHARACTERS.terms) + BUCKETS


@given(st.lists(st.integers(0, 60_000), max_size=60))
def test_batches_keep_order_and_lose_nothing(sizes: list[int]) -> None:
    """The pieces joined are the whole, each of bounded size."""
    texts = ["x" * size for size in sizes]
    pieces = list(batches(texts))
    assert [text for piece in pieces for text in piece] == texts
    assert all(len(piece) <= TEXTS_PER_BATCH for piece in pieces)
    assert all(sum(min(len(text), MAX_CHARACTERS) for text in piece) <= 500_000 for piece in pieces)


@pytest.mark.parametrize(
    ("family", "expected"),
    [("english", False), ("german", False), ("", False), ("Multilingual", True), ("transformer-xlm", True)],
)
def test_family_decides_about_characters(family: str, expected: bool) -> None:
    """Only families for several scripts, or for scripts without spaces, read characters."""
    assert reads_characters(family) is expected
