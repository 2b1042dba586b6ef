"""Statements of feedback."""

from collections.abc import Sequence

from sqlalchemy import delete, insert, select

from headrace.core.feedback import Feedback
from headrace.core.origins import FEEDBACK
from headrace.storage.origins import forget_origins
from headrace.storage.schema_kiln import feedback
from headrace.storage.session import Repository


class FeedbackRepository(Repository):
    """See `core.feedback.Feedbacks`."""

    def insert(self, record_id: int, *, author_id: int, text: str, origin: str) -> Feedback:
        values = {
            "record_id": record_id,
            "author_id": author_id,
            "text": text,
            "origin": origin,
            "created_at": self.session.now(),
        }
        return Feedback(id=self.session.insert_id(insert(feedback).values(values)), **values)  # type: ignore[arg-type]

    def of_record(self, record_id: int) -> list[Feedback]:
        statement = select(feedback).where(feedback.c.record_id == record_id).order_by(feedback.c.id)
        return [Feedback(**row._asdict()) for row in self.session.rows(statement)]

    def of_records(self, record_ids: Sequence[int]) -> dict[int, list[Feedback]]:
        found: dict[int, list[Feedback]] = {}
        if record_ids:
            mine = self.session.among(feedback.c.record_id, record_ids)
            for row in self.session.rows(select(feedback).where(mine).order_by(feedback.c.id)):
                found.setdefault(row.record_id, []).append(Feedback(**row._asdict()))
        return found

    def delete(self, record_id: int, feedback_id: int) -> bool:
        mine = (feedback.c.record_id == record_id, feedback.c.id == feedback_id)
        if not self.session.run(delete(feedback).where(*mine)):
            return False
        forget_origins(self.session, FEEDBACK, feedback_id)
        return True
