"""Texts to sparse TF-IDF rows: words and word pairs by vocabulary, character n-grams by hashing.

Everything here is written out instead of taken from a library, because a pinned model must answer the
same bytes after every upgrade. Values are rounded to binary grids so coarse that all later sums of
products are exact in float64: no order of summation, batch size or processor changes a result.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, pairwise

import numpy as np
import numpy.typing as npt
from scipy import sparse

Floats = npt.NDArray[np.float64]
Positions = npt.NDArray[np.int32]

MAX_CHARACTERS = 20_000
"""Only this many characters of a text are read."""

BUCKETS = 2**16
SIZES = (2, 4)
MAX_COUNTED = 2_000_000
MANY = 2_000
"""From this many texts on, a term that occurs in a single one is not worth a column."""

TEXTS_PER_BATCH = 2_000
CHARACTERS_PER_BATCH = 500_000

SEVERAL_SCRIPTS = ("multi", "xlm", "chinese", "japanese", "korean", "thai", "lao", "khmer", "burmese")
"""A family whose name contains one of these reads character n-grams too; every other reads words only."""

# A word is a run without white space or punctuation, not `\w+`: that would cut Indic words at vowel signs.
WORD = re.compile(
    r"[^\s\x00-\x2f:-@\[-`{-\xa9\xab-\xb4\xb6-\xb9\xbb-\xbf\u060c\u061b\u061f\u0964\u0965"
    r"\u2000-\u200b\u200e-\u206f\u3000-\u3004\u3008-\u303f]+"
)


@dataclass(frozen=True, kw_only=True)
class Vocabulary:
    """The columns of a model: `terms` in order, then BUCKETS hashed ones if `characters`; `idf` per column."""

    terms: tuple[str, ...]
    characters: bool
    idf: Floats

    @property
    def width(self) -> int:
        """Count the columns."""
        return len(self.terms) + (BUCKETS if self.characters else 0)


def reads_characters(family: str) -> bool:
    """Tell whether a model family reads character n-grams besides words."""
    return any(part in family.casefold() for part in SEVERAL_SCRIPTS)


def on_grid(values: Floats, bits: int) -> Floats:
    """Round to multiples of 2**-bits."""
    return np.asarray(np.rint(values * 2.0**bits) / 2.0**bits, dtype=np.float64)


def folded(text: str) -> str:
    """Bring a text into the form that is compared: cut, compatible characters unified, case dropped."""
    return unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).casefold()


def terms_of(text: str) -> list[str]:
    """Give a folded text's words and its pairs of neighbouring words, with repetition."""
    words = WORD.findall(text)
    return words + [f"{first} {second}" for first, second in pairwise(words)]


def learn_vocabulary(texts: Sequence[str], *, characters: bool, max_terms: int) -> Vocabulary:
    """Choose the most frequent terms (ties by alphabet) of the texts and weigh every column by rarity."""
    found: Counter[str] = Counter()
    for text in texts:
        found.update(set(terms_of(folded(text))))
        if len(found) > MAX_COUNTED:
            found = Counter({term: count for term, count in found.items() if count > 1})
    least = 2 if len(texts) >= MANY else 1
    frequent = sorted((-count, term) for term, count in found.items() if count >= least)[:max_terms]
    terms = tuple(sorted(term for _, term in frequent))
    width = len(terms) + (BUCKETS if characters else 0)
    unweighted = Vocabulary(terms=terms, characters=characters, idf=np.ones(width))
    index = index_of(unweighted)
    documents = np.zeros(width)
    for batch in batches(texts):
        documents += np.bincount(counts(batch, unweighted, index).indices, minlength=width)
    idf = on_grid(np.log((1.0 + len(texts)) / (1.0 + documents)) + 1.0, 12)
    idf[documents == len(texts)] = 0.0  # what every text has tells none from another
    return Vocabulary(terms=terms, characters=characters, idf=idf)


def vectorise(texts: Sequence[str], vocabulary: Vocabulary) -> sparse.csr_array:
    """Turn n texts into an n x width matrix of TF-IDF rows of length 1 (0 for a text without known terms)."""
    index = index_of(vocabulary)
    return sparse.csr_array(sparse.vstack([weighed(batch, vocabulary, index) for batch in batches(texts)]))


def batches(texts: Sequence[str]) -> Iterator[Sequence[str]]:
    """Cut the texts, in order, into pieces of bounded size (one empty piece when there are none)."""
    start, size = 0, 0
    for position, text in enumerate(texts):
        size += min(len(text), MAX_CHARACTERS)
        if size > CHARACTERS_PER_BATCH or position - start >= TEXTS_PER_BATCH:
            if position > start:
                yield texts[start:position]
            start, size = position, min(len(text), MAX_CHARACTERS)
    yield texts[start:]


def weighed(texts: Sequence[str], vocabulary: Vocabulary, index: dict[str, int]) -> sparse.csr_array:
    """Turn one batch of texts into TF-IDF rows; `index` gives the column of each term."""
    matrix = counts(texts, vocabulary, index)
    values = on_grid((1.0 + np.log(matrix.data)) * vocabulary.idf[matrix.indices], 12)
    rows = np.repeat(np.arange(len(texts)), np.diff(matrix.indptr))
    lengths = np.sqrt(np.bincount(rows, weights=values * values, minlength=len(texts)))
    matrix.data = on_grid(values / np.where(lengths > 0, lengths, 1.0)[rows], 20)
    return matrix


def index_of(vocabulary: Vocabulary) -> dict[str, int]:
    """Map each term to its column."""
    return {term: column for column, term in enumerate(vocabulary.terms)}


def counts(texts: Sequence[str], vocabulary: Vocabulary, index: dict[str, int]) -> sparse.csr_array:
    """Count how often each column occurs in each text."""
    ready = [folded(text) for text in texts]
    rows, columns = word_columns(ready, index)
    if vocabulary.characters:
        character_rows, buckets = character_columns(ready)
        rows = np.concatenate([rows, character_rows])
        columns = np.concatenate([columns, buckets + len(vocabulary.terms)])
    ones = np.ones(len(rows))
    matrix = sparse.csr_array((ones, (rows, columns)), shape=(len(texts), vocabulary.width))
    matrix.sort_indices()
    return matrix


def word_columns(texts: Sequence[str], index: dict[str, int]) -> tuple[Positions, Positions]:
    """Look up every known term of the folded texts: row and column of each occurrence."""
    found = [[index[term] for term in terms_of(text) if term in index] for text in texts]
    return numbered(len(columns) for columns in found), np.fromiter(chain.from_iterable(found), np.int32)


def character_columns(texts: Sequence[str]) -> tuple[Positions, Positions]:
    """Hash every character n-gram of the folded texts: row and bucket of each occurrence."""
    padded = [f" {' '.join(text.split())} " for text in texts]
    codes = np.frombuffer("".join(padded).encode("utf-32-le", "surrogatepass"), dtype="<u4").astype(np.uint64)
    owner = numbered(len(text) for text in padded)
    rows, buckets = [], []
    for size in SIZES:
        starts = max(len(codes) - size + 1, 0)
        mixed = np.full(starts, size, dtype=np.uint64)
        for offset in range(size):
            mixed = mixed * np.uint64(0x100000001B3) + codes[offset : offset + starts]
        mixed *= np.uint64(0x9E3779B97F4A7C15)
        inside = owner[:starts] == owner[size - 1 : size - 1 + starts]
        rows.append(owner[:starts][inside])
        buckets.append((mixed >> np.uint64(48)).astype(np.int32)[inside])
    return np.concatenate(rows), np.concatenate(buckets)


def numbered(lengths: Iterable[int]) -> Positions:
    """Repeat each position as often as its length says: [2, 0, 1] gives 0, 0, 2."""
    sizes = np.fromiter(lengths, np.int32)
    return np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
