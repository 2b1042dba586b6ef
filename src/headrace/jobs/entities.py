"""Entities: the service that finds them in the learning process."""

from collections.abc import Sequence

from headrace.core.entities import Definition, Hit
from headrace.core.errors import Unavailable
from headrace.learning.process import Learner
from headrace.learning.values import LearnerFailed

CHUNK = 256


class RuleExtractor:
    """Finds entities in a child process. See `core.entities.Extractor`."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner

    def extract(self, definitions: Sequence[Definition], texts: Sequence[str]) -> list[list[Hit]]:
        """The finds in each text; raises Unavailable when the process cannot answer."""
        found: list[list[Hit]] = []
        try:
            # In pieces, so that callers take turns.
            for start in range(0, len(texts), CHUNK):
                found += self._learner.extract(definitions, texts[start : start + CHUNK])
        except LearnerFailed as error:
            raise Unavailable("entities cannot be found just now", fields={"retry_after": 5}) from error
        return found
