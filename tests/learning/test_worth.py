"""What labelling a text would teach: hesitation between labels, need, new words."""

import numpy as np
import pytest

from headrace.learning.worth import hesitation, novelty

LABELS = ("Card", "Card > Lost", "Payment", "Praise")


def test_two_near_labels_are_worth_more_than_one_clear_one() -> None:
    """Hesitation is greatest where the two best labels are equal; parents do not count beside their children."""
    answers = np.array([[0.9, 0.9, 0.1, 0.0], [0.5, 0.5, 0.5, 0.1], [0.6, 0.6, 0.2, 0.3]])
    near, need = hesitation(answers, LABELS, [1.0] * 4)
    assert near == pytest.approx([0.2, 1.0, 0.7])
    assert need == pytest.approx(near)


def test_labels_with_few_examples_weigh_more() -> None:
    """Of two equal hesitations the one between labels that need examples is worth more."""
    answers = np.array([[0.5, 0.5, 0.5, 0.0], [0.5, 0.0, 0.5, 0.5]])
    near, need = hesitation(answers, LABELS, [0.1, 0.1, 0.5, 0.9])
    assert near[0] == near[1]
    assert need == pytest.approx([0.3, 0.7])


def test_a_single_label_is_weighed_against_its_absence() -> None:
    """With one label a probability of one half is worth most; without labels nothing is."""
    near, _ = hesitation(np.array([[0.5], [0.9]]), ("A",), [1.0])
    assert near == pytest.approx([1.0, 0.2])
    assert hesitation(np.zeros((2, 0)), (), [])[1].shape == (2,)


def test_new_words_are_novel() -> None:
    """Novelty is the share of words and word pairs that are not known; an empty text has none."""
    known = {"card": 0, "lost": 1, "card lost": 2}
    assert novelty(["Card lost", "harbour", "card harbour", ""], known) == pytest.approx([0, 1, 2 / 3, 0])
