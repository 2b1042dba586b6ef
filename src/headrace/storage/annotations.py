"""Statements of annotations. Every write settles which annotation of a record is the current one."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from sqlalchemy import BigInteger, Row, Select, bindparam, delete, func, insert, select, text, update

from headrace.core.annotations import Annotation, AnnotationCounts, Assigned, Judgement
from headrace.storage.schema import annotations, records
from headrace.storage.schema_views import tallies
from headrace.storage.schema_work import drafts
from headrace.storage.session import Repository, among, dumps, loads
from headrace.storage.tallies import WHOLE, Said, counts, held, retell

NO_LABELS = "[]"
# As declared: SQLite takes a partial index only for the very words of its condition.
CURRENT = text("annotations.current")
# Built once: building them took several times what running them does (benchmark requests).
ALL = select(annotations).where(annotations.c.dataset_id == bindparam("dataset"))
GET = select(annotations).where(annotations.c.id == bindparam("annotation"))
WHERE = select(annotations.c.dataset_id, annotations.c.record_id, annotations.c.author_id).where(
    annotations.c.id == bindparam("annotation")
)
OF_RECORDS = ALL.where(among(annotations.c.record_id, "records")).order_by(annotations.c.id)
CURRENT_OF = ALL.where(among(annotations.c.record_id, "records"), CURRENT)
# In no order: to sort by ids SQLite would look through all that the author ever said.
AUTHORED = ALL.where(
    annotations.c.record_id == bindparam("record"),
    annotations.c.author_id == bindparam("author"),
    annotations.c.result.is_(None),
)
# In the order of the index of current ones, so that SQLite takes it.
SOME = (
    select(annotations.c.id)
    .where(annotations.c.dataset_id == bindparam("dataset"), CURRENT)
    .order_by(annotations.c.record_id)
)
AT_LEAST = select(func.count()).select_from(SOME.limit(bindparam("most")).subquery())
COUNT = select(func.coalesce(func.sum(tallies.c.total), 0)).where(
    tallies.c.dataset_id == bindparam("dataset"), tallies.c.author_id == WHOLE
)
INSERT = insert(annotations)
REPLACE = update(annotations).where(annotations.c.id == bindparam("annotation"))
MARK = update(annotations).where(among(annotations.c.id, "those")).values(current=bindparam("marked"))
COUNT_ON = (
    update(records)
    .where(among(records.c.id, "those"))
    .values(annotated=records.c.annotated + bindparam("change", type_=BigInteger))
)
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


def _said(x: int, n: int, annotation_id: int, record_id: int, author_id: int, judgement: Judgement) -> Said:
    """A new judgement among what is said of its record."""
    cancelled, ground_truth, blank = judgement.cancelled, judgement.ground_truth, judgement.blank
    return Said(x, n, annotation_id, record_id, author_id, cancelled, ground_truth, blank, False)


def _settled(said: Iterable[Said]) -> list[Said]:
    """The same in the order of the log, with the current one of each record: the newest that was not skipped, unless
    it has been cleared."""
    ordered = sorted(said)
    newest = {item.record_id: item.id for item in ordered if not item.cancelled}
    return [item._replace(current=newest.get(item.record_id) == item.id and not item.blank) for item in ordered]


class AnnotationRepository(Repository):
    """See `core.annotations.Annotations`."""

    def insert(self, dataset_id: int, rows: Sequence[tuple[int, int, Judgement]]) -> list[int]:
        now = self.session.now()
        record_ids = sorted({record_id for record_id, _, _ in rows})
        before = held(self.session, dataset_id, record_ids)
        x, places = self.session.take_positions(len(rows))
        ids = self.session.take_ids("annotations", len(rows))
        new = [
            _said(x, place, annotation_id, record_id, author_id, judgement)
            for annotation_id, place, (record_id, author_id, judgement) in zip(ids, places, rows, strict=True)
        ]
        after = _settled([*before, *new])
        common = {"dataset_id": dataset_id, "created_at": now, "updated_at": now}
        said_now = {item.id: item._asdict() for item in after}
        self._leave(before, after)
        self.session.run(
            INSERT, [_values(row[2]) | common | said_now[number] for number, row in zip(ids, rows, strict=True)]
        )
        self._enter(dataset_id, before, after, written=ids)
        return list(ids)

    def update(self, annotation_id: int, judgement: Judgement) -> None:
        known = self.session.first(WHERE, {"annotation": annotation_id})
        if known is None:
            return
        before = held(self.session, known.dataset_id, [known.record_id])
        x, places = self.session.take_positions(1)
        others = [item for item in before if item.id != annotation_id]
        if len(others) == len(before):
            return
        changed = _said(x, places[0], annotation_id, known.record_id, known.author_id, judgement)
        after = _settled([*others, changed])
        said_now = next(item._asdict() for item in after if item.id == annotation_id)
        del said_now["id"]
        self._leave(before, after)
        values = _values(judgement) | said_now | {"updated_at": self.session.now(), "annotation": annotation_id}
        self.session.run(REPLACE, values)
        self._enter(known.dataset_id, before, after, written=[annotation_id])

    def move(self, dataset_id: int, moves: Sequence[tuple[int, int]]) -> None:
        if not moves:
            return
        targets = dict(moves)
        mine = self.session.among(annotations.c.id, list(targets))
        left = self.session.rows(select(annotations.c.record_id).where(mine))
        before = held(self.session, dataset_id, sorted({*targets.values(), *(row.record_id for row in left)}))
        x, places = self.session.take_positions(len(targets))
        places_of = dict(zip(targets, places, strict=True))
        moved = [
            item._replace(record_id=targets[item.id], x=x, n=places_of[item.id])
            for item in before
            if item.id in targets
        ]
        after = _settled([*(item for item in before if item.id not in targets), *moved])
        self._leave(before, after)
        self.session.run(
            MOVE, [{"annotation": item.id, "to": item.record_id, "at": item.x, "on": item.n} for item in moved]
        )
        self._enter(dataset_id, before, after)

    def delete(self, annotation_ids: Sequence[int]) -> None:
        mine = self.session.among(annotations.c.id, annotation_ids)
        touched: dict[int, set[int]] = {}
        for row in self.session.rows(select(annotations.c.dataset_id, annotations.c.record_id).where(mine)):
            touched.setdefault(row.dataset_id, set()).add(row.record_id)
        leaving = frozenset(annotation_ids)
        for dataset_id, record_ids in sorted(touched.items()):
            before = held(self.session, dataset_id, sorted(record_ids))
            after = _settled([item for item in before if item.id not in leaving])
            self._leave(before, after)
            self.session.run(delete(annotations).where(mine, annotations.c.dataset_id == dataset_id))
            self._enter(dataset_id, before, after)
        self.session.run(delete(drafts).where(self.session.among(drafts.c.annotation_id, annotation_ids)))

    def get(self, annotation_id: int) -> Annotation | None:
        row = self.session.first(GET, {"annotation": annotation_id})
        return _annotation(row) if row else None

    def of_records(self, dataset_id: int, record_ids: Sequence[int]) -> list[Annotation]:
        if not record_ids:
            return []
        return self._all(OF_RECORDS, {"dataset": dataset_id, "records": record_ids})

    def current(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, Annotation]:
        if not record_ids:
            return {}
        found = self._all(CURRENT_OF, {"dataset": dataset_id, "records": record_ids})
        return {annotation.record_id: annotation for annotation in found}

    def authored(self, dataset_id: int, record_id: int, author_id: int) -> Annotation | None:
        found = self._all(AUTHORED, {"dataset": dataset_id, "record": record_id, "author": author_id})
        return max(found, key=lambda annotation: annotation.id, default=None)

    def reviewed(
        self, dataset_id: int, after_record: int, limit: int, source_id: int | None = None
    ) -> list[Annotation]:
        statement = self._in(dataset_id).where(CURRENT, annotations.c.record_id > after_record)
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
        found = self.session.conn.execute(AT_LEAST, {"dataset": dataset_id, "most": count})
        return int(found.scalar_one()) >= count

    def authors(self, dataset_id: int) -> list[int]:
        author = annotations.c.author_id
        mine = (annotations.c.dataset_id == dataset_id, annotations.c.blank.is_(False))
        return [row.author_id for row in self.session.rows(select(author).where(*mine).distinct().order_by(author))]

    def count(self, dataset_id: int) -> int:
        return int(self.session.conn.execute(COUNT, {"dataset": dataset_id}).scalar_one())

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

    def _all(self, statement: Select[Any], given: Mapping[str, object] | None = None) -> list[Annotation]:
        return [_annotation(row) for row in self.session.rows(statement, given)]

    def _leave(self, before: Sequence[Said], after: Sequence[Said]) -> None:
        """Mark what is not current any more, first of all: a record has one current annotation at most."""
        staying = {(item.id, item.record_id) for item in after if item.current}
        self._mark([item.id for item in before if item.current and (item.id, item.record_id) not in staying], False)

    def _enter(
        self, dataset_id: int, before: Sequence[Said], after: Sequence[Said], written: Collection[int] = ()
    ) -> None:
        """Mark what has become current, but for what was `written` so, and count what has changed."""
        known = {(item.id, item.record_id) for item in before if item.current}
        fresh = [item for item in after if item.current and (item.id, item.record_id) not in known]
        self._mark([item.id for item in fresh if item.id not in written], True)
        had = {record_id for _, record_id in known}
        has = {item.record_id for item in after if item.current}
        self._count(sorted(has - had), 1)
        self._count(sorted(had - has), -1)
        retell(self.session, dataset_id, before, after)

    def _mark(self, annotation_ids: Sequence[int], current: bool) -> None:
        if annotation_ids:
            self.session.run(MARK, {"those": annotation_ids, "marked": current})

    def _count(self, record_ids: Sequence[int], change: int) -> None:
        if record_ids:
            self.session.run(COUNT_ON, {"those": record_ids, "change": change})
