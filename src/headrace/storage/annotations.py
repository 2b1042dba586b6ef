"""Statements of annotations. Every write settles which annotation of a record is the current one."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Row, Select, bindparam, delete, func, insert, select, update

from headrace.core.annotations import Annotation, AnnotationCounts, Assigned, Judgement
from headrace.storage.schema import annotations, records
from headrace.storage.schema_views import tallies
from headrace.storage.schema_work import drafts
from headrace.storage.session import Repository, dumps, loads
from headrace.storage.tallies import WHOLE, counts, tallied

NO_LABELS = "[]"
MOVE = (
    update(annotations)
    .where(annotations.c.id == bindparam("annotation"))
    .values(record_id=bindparam("to"), x=bindparam("at"), n=bindparam("on"))
)


@lru_cache(maxsize=4096)
def _assigned(text: str) -> tuple[Assigned, ...]:
    return () if text == NO_LABELS else tuple(Assigned(*item) for item in loads(text))


def _annotation(row: Row[Any]) -> Annotation:
    judgement = Judgement(
        labels=_assigned(row.labels),
        dismissed=_assigned(row.dismissed),
        result=row.result,
        extra=row.extra,
        cancelled=row.cancelled,
        ground_truth=row.ground_truth,
        lead_time=row.lead_time,
        unique_id=row.unique_id,
        import_id=row.import_id,
        draft_created_at=row.draft_created_at,
        skip_reason=row.skip_reason,
    )
    return Annotation(
        id=row.id,
        dataset_id=row.dataset_id,
        record_id=row.record_id,
        author_id=row.author_id,
        judgement=judgement,
        current=row.current,
        created_at=row.created_at,
        updated_at=row.updated_at,
    )


def _values(judgement: Judgement) -> dict[str, object]:
    return {
        "labels": dumps(judgement.labels),
        "dismissed": dumps(judgement.dismissed),
        "result": judgement.result,
        "extra": judgement.extra,
        "cancelled": judgement.cancelled,
        "ground_truth": judgement.ground_truth,
        "lead_time": judgement.lead_time,
        "unique_id": judgement.unique_id,
        "import_id": judgement.import_id,
        "draft_created_at": judgement.draft_created_at,
        "skip_reason": judgement.skip_reason,
        "blank": judgement.blank,
    }


class AnnotationRepository(Repository):
    """See `core.annotations.Annotations`."""

    def insert(self, dataset_id: int, rows: Sequence[tuple[int, int, Judgement]]) -> list[int]:
        now = self.session.now()
        x, places = self.session.take_positions(len(rows))
        ids = self.session.take_ids("annotations", len(rows))
        values = [
            _values(judgement)
            | {
                "id": annotation_id,
                "dataset_id": dataset_id,
                "record_id": record_id,
                "author_id": author_id,
                "current": False,
                "created_at": now,
                "updated_at": now,
                "x": x,
                "n": place,
            }
            for annotation_id, place, (record_id, author_id, judgement) in zip(ids, places, rows, strict=True)
        ]
        record_ids = sorted({record_id for record_id, _, _ in rows})
        with tallied(self.session, dataset_id, record_ids):
            self.session.run(insert(annotations), values)
        self._settle(dataset_id, record_ids)
        return list(ids)

    def update(self, annotation_id: int, judgement: Judgement) -> None:
        x, places = self.session.take_positions(1)
        known = self.get(annotation_id)
        if known is None:
            return
        changes = {**_values(judgement), "updated_at": self.session.now(), "x": x, "n": places[0]}
        with tallied(self.session, known.dataset_id, [known.record_id]):
            self.session.run(update(annotations).where(annotations.c.id == annotation_id).values(**changes))
        self._settle(known.dataset_id, [known.record_id])

    def move(self, dataset_id: int, moves: Sequence[tuple[int, int]]) -> None:
        if not moves:
            return
        targets = dict(moves)
        mine = self.session.among(annotations.c.id, list(targets))
        left = self.session.rows(select(annotations.c.record_id, annotations.c.current).where(mine))
        touched = sorted({*targets.values(), *(row.record_id for row in left)})
        x, places = self.session.take_positions(len(targets))
        with tallied(self.session, dataset_id, touched):
            # None is current on the way: a record has one current annotation at most.
            self.session.run(update(annotations).where(mine, self._current()).values(current=False))
            self._count(sorted(row.record_id for row in left if row.current), -1)
            moved = zip(targets.items(), places, strict=True)
            rows = [{"annotation": number, "to": record_id, "at": x, "on": n} for (number, record_id), n in moved]
            self.session.run(MOVE, rows)
        self._settle(dataset_id, touched)

    def delete(self, annotation_ids: Sequence[int]) -> None:
        mine = self.session.among(annotations.c.id, annotation_ids)
        touched: dict[int, list[int]] = {}
        for row in self.session.rows(select(annotations.c.dataset_id, annotations.c.record_id).where(mine)):
            touched.setdefault(row.dataset_id, []).append(row.record_id)
        for dataset_id, record_ids in sorted(touched.items()):
            self._settle(dataset_id, sorted(set(record_ids)), leaving=frozenset(annotation_ids))
            with tallied(self.session, dataset_id, record_ids):
                self.session.run(delete(annotations).where(mine, annotations.c.dataset_id == dataset_id))
        self.session.run(delete(drafts).where(self.session.among(drafts.c.annotation_id, annotation_ids)))

    def get(self, annotation_id: int) -> Annotation | None:
        row = self.session.first(select(annotations).where(annotations.c.id == annotation_id))
        return _annotation(row) if row else None

    def of_records(self, dataset_id: int, record_ids: Sequence[int]) -> list[Annotation]:
        if not record_ids:
            return []
        mine = self.session.among(annotations.c.record_id, record_ids)
        return self._all(self._in(dataset_id).where(mine).order_by(annotations.c.id))

    def current(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, Annotation]:
        if not record_ids:
            return {}
        mine = self.session.among(annotations.c.record_id, record_ids)
        return {found.record_id: found for found in self._all(self._in(dataset_id).where(mine, self._current()))}

    def authored(self, dataset_id: int, record_id: int, author_id: int) -> Annotation | None:
        statement = (
            self._in(dataset_id)
            .where(
                annotations.c.record_id == record_id,
                annotations.c.author_id == author_id,
                annotations.c.result.is_(None),
            )
            .order_by(annotations.c.id.desc())
            .limit(1)
        )
        found = self._all(statement)
        return found[0] if found else None

    def reviewed(
        self, dataset_id: int, after_record: int, limit: int, source_id: int | None = None
    ) -> list[Annotation]:
        statement = self._in(dataset_id).where(self._current(), annotations.c.record_id > after_record)
        if source_id is not None:
            statement = statement.join(records, records.c.id == annotations.c.record_id)
            statement = statement.where(records.c.source_id == source_id)
        return self._all(statement.order_by(annotations.c.record_id).limit(limit))

    def contested(self, dataset_id: int, limit: int) -> list[Annotation]:
        record, author = annotations.c.record_id, annotations.c.author_id
        judged = (annotations.c.dataset_id == dataset_id, annotations.c.cancelled.is_(False))
        several = (
            select(record)
            .where(*judged, annotations.c.blank.is_(False))
            .group_by(record)
            .having(func.min(author) != func.max(author))
            .order_by(record.desc())
            .limit(limit)
        )
        return self.of_records(dataset_id, [row.record_id for row in self.session.rows(several)])

    def at_least(self, dataset_id: int, count: int) -> bool:
        some = (
            select(annotations.c.id)
            .where(annotations.c.dataset_id == dataset_id, self._current())
            .limit(count)
            .subquery()
        )
        return self.session.conn.execute(select(func.count()).select_from(some)).scalar_one() >= count

    def authors(self, dataset_id: int) -> list[int]:
        author = annotations.c.author_id
        mine = (annotations.c.dataset_id == dataset_id, annotations.c.blank.is_(False))
        return [row.author_id for row in self.session.rows(select(author).where(*mine).distinct().order_by(author))]

    def count(self, dataset_id: int) -> int:
        whole = (tallies.c.dataset_id == dataset_id, tallies.c.author_id == WHOLE)
        statement = select(func.coalesce(func.sum(tallies.c.total), 0)).where(*whole)
        return int(self.session.conn.execute(statement).scalar_one())

    def counts(self, dataset_id: int, *, overlap: int, author_id: int) -> AnnotationCounts:
        return counts(self.session, dataset_id, overlap=overlap, author_id=author_id)

    def finishing(self, dataset_id: int, *, overlap: int, skips: bool = False) -> tuple[int, int]:
        firsts = (
            select(annotations.c.record_id, func.min(annotations.c.id).label("id"))
            .where(annotations.c.dataset_id == dataset_id, annotations.c.blank.is_(False))
            .where(*(() if skips else (annotations.c.cancelled.is_(False),)))
            .group_by(annotations.c.record_id, annotations.c.author_id)
            .subquery()
        )
        place = func.row_number().over(partition_by=firsts.c.record_id, order_by=firsts.c.id)
        placed = select(firsts.c.id, place.label("place")).subquery()
        wanted = (func.count().label("finished"), func.coalesce(func.max(placed.c.id), 0).label("last"))
        row = self.session.rows(select(*wanted).where(placed.c.place == overlap))[0]
        return int(row.finished), int(row.last)

    def _in(self, dataset_id: int) -> Select[Any]:
        return select(annotations).where(annotations.c.dataset_id == dataset_id)

    def _all(self, statement: Select[Any]) -> list[Annotation]:
        return [_annotation(row) for row in self.session.rows(statement)]

    def _current(self) -> ColumnElement[bool]:
        return annotations.c.current.is_(True) if self.session.postgres else annotations.c.current

    def _settle(self, dataset_id: int, record_ids: Sequence[int], leaving: frozenset[int] = frozenset()) -> None:
        """Mark the newest annotation of each record that was not skipped, unless it has been cleared.

        Those `leaving` count no more; they are about to be deleted.
        """
        mine = (
            annotations.c.dataset_id == dataset_id,
            self.session.among(annotations.c.record_id, record_ids),
        )
        columns = ("id", "record_id", "blank", "cancelled", "current")
        rows = self.session.rows(
            select(*(annotations.c[name] for name in columns)).where(*mine).order_by(annotations.c.x, annotations.c.n)
        )
        newest = {row.record_id: row for row in rows if not row.cancelled and row.id not in leaving}
        wanted = {row.id for row in newest.values() if not row.blank}
        before = {row.id: row.record_id for row in rows if row.current}
        gone = [number for number in before if number not in wanted]
        new = sorted(wanted.difference(before))
        self._mark(gone, False)
        self._mark(new, True)
        gained = {row.record_id for row in newest.values() if row.id in new}
        lost = {before[number] for number in gone}
        self._count(sorted(gained - lost), 1)
        self._count(sorted(lost - gained), -1)

    def _mark(self, annotation_ids: Sequence[int], current: bool) -> None:
        if annotation_ids:
            mine = self.session.among(annotations.c.id, annotation_ids)
            self.session.run(update(annotations).where(mine).values(current=current))

    def _count(self, record_ids: Sequence[int], change: int) -> None:
        if record_ids:
            mine = self.session.among(records.c.id, record_ids)
            self.session.run(update(records).where(mine).values(annotated=records.c.annotated + change))
