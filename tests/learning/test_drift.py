"""Drift: new records that look like the reviewed ones, and new records that do not."""

from learning_corpus import reviewed

from headrace.learning.drift import drift


def texts(size: int, seed: int) -> list[str]:
    """Texts of one make."""
    return [example.text for example in reviewed(size, seed=seed)]


def test_records_of_one_make_cannot_be_told_apart() -> None:
    """Two draws of the same kind of text show no drift, and the same texts always give the same figure."""
    found = drift(texts(200, 0), texts(200, 1), family="english")
    assert found is not None
    assert 0.5 <= found < 0.65
    assert found == drift(texts(200, 0)[::-1], texts(200, 1), family="english")


def test_a_new_subject_is_drift() -> None:
    """Records that speak of something else are told apart."""
    strange = [f"harbour vessel container {text}" for text in texts(200, 1)]
    assert (drift(texts(200, 0), strange, family="multilingual") or 0) > 0.95


def test_too_few_texts_say_nothing() -> None:
    """Below fifty texts of either kind there is no figure, and reviewed texts do not count as new."""
    assert drift(texts(200, 0), texts(40, 1), family="english") is None
    assert drift(texts(200, 0), texts(200, 0), family="english") is None
