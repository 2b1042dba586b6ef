"""Reasons for and against a version that its own figures do not know."""

from headrace.core.annotations import Annotation, Assigned, Judgement
from headrace.core.model_rating import Agreement, agreements, with_reasons


def said(number: int, record: int, author: int, *labels: str, cancelled: bool = False) -> Annotation:
    """One person's annotation of a record."""
    judgement = Judgement(labels=tuple(Assigned(label) for label in labels), cancelled=cancelled, result="[]")
    return Annotation(
        id=number,
        dataset_id=1,
        record_id=record,
        author_id=author,
        judgement=judgement,
        current=False,
        created_at=number,
        updated_at=number,
    )


def test_people_who_differ_are_counted_by_label() -> None:
    """A label is split on a record when one assigns it and another does not; one person alone decides nothing."""
    found = agreements([said(1, 1, 1, "A", "B"), said(2, 1, 2, "A"), said(3, 2, 1, "B"), said(4, 2, 2, "B")])
    assert found == {"A": Agreement(1, 0), "B": Agreement(2, 1)}
    assert agreements([said(1, 1, 1, "A"), said(2, 2, 2, "B")]) == {}


def test_the_newest_word_of_a_person_counts() -> None:
    """Who changed their mind agrees with what they say now, and a skip is no word."""
    first, second, skipped = said(1, 1, 1, "A"), said(3, 1, 1, "B"), said(4, 1, 3, cancelled=True)
    assert agreements([second, first, said(2, 1, 2, "B"), skipped]) == {"B": Agreement(1, 0)}


def test_reasons_name_disputed_labels_and_drift() -> None:
    """Labels people differ on and drift join the reasons that training gave; what is fine adds none."""
    metrics = {"model_rating": {"score": 70, "reasons": ["One."]}, "drift": 0.9}
    agreed = {"Bad": Agreement(10, 5), "Good": Agreement(10, 1), "Rare": Agreement(2, 2)}
    reasons = with_reasons(metrics, agreed)["model_rating"]["reasons"]
    assert (reasons[0], len(reasons)) == ("One.", 3)
    assert "'Bad'" in reasons[1]
    assert "0.90" in reasons[2]
    assert with_reasons({"drift": None}, {})["model_rating"] == {"reasons": []}
