"""Statements of the queue of unfinished tasks, and of how far each person has come in it."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    and_,
    bindparam,
    case,
    delete,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)

from headrace.core.datasets import Dataset
from headrace.core.queue import ANNOTATE
from headrace.core.queue import overlap as overlap_of
from headrace.storage.schema import SKIPPED, annotations, datasets, exceptions, records
from headrace.storage.schema_work import BEGUN, OPEN_WORK, POSTPONED, drafts, queue, queue_places, work
from headrace.storage.session import Repository, Session, among


def enqueue(session: Session, source_id: int, first_number: int) -> None:
    """Queue the records of a source from a number on, if it is some dataset's own source."""
    session.conn.exec_driver_sql(ENQUEUE_POSTGRES if session.postgres else ENQUEUE_SQLITE, (source_id, first_number))


# As text: every insert of records runs it (benchmark tiny).
ENQUEUE_SQLITE = (
    "INSERT INTO queue (dataset_id, record_id, people) SELECT d.id, r.id, 0 FROM datasets d "
    "JOIN records r ON r.source_id = d.own_source_id WHERE d.own_source_id = ? AND r.number >= ?"
)
ENQUEUE_POSTGRES = ENQUEUE_SQLITE.replace("?", "%s")


def delete_queued(session: Session, source_id: int, record_ids: Sequence[int] | None = None) -> None:
    """Take records of a source (all, or these) out of the queue of the dataset whose own source it is."""
    owner = select(datasets.c.id).where(datasets.c.own_source_id == source_id)
    statement = delete(queue).where(queue.c.dataset_id.in_(owner))
    if record_ids is not None:
        statement = statement.where(session.among(queue.c.record_id, record_ids))
    session.run(statement)


_SAID = exists().where(
    annotations.c.dataset_id == queue.c.dataset_id,
    annotations.c.record_id == queue.c.record_id,
    annotations.c.author_id == bindparam("person"),
    annotations.c.blank.is_(False),
)
_LATER = exists().where(
    drafts.c.record_id == queue.c.record_id,
    drafts.c.author_id == bindparam("person"),
    drafts.c.dataset_id == queue.c.dataset_id,
    drafts.c.annotation_id.is_(None),
    POSTPONED,
)
_HELD = (
    select(func.count(work.c.person_id.distinct()))
    .where(
        work.c.dataset_id == queue.c.dataset_id,
        work.c.record_id == queue.c.record_id,
        OPEN_WORK,
        work.c.lease_until > bindparam("now"),
        work.c.person_id != bindparam("person"),
        work.c.kind == bindparam("kind"),
    )
    .scalar_subquery()
)
# Built once: everybody who asks for a task runs them.
TOUCHED = or_(_SAID, _LATER)
AHEAD = (
    select(queue.c.record_id, TOUCHED.label("touched"))
    .where(queue.c.dataset_id == bindparam("dataset"), queue.c.record_id > bindparam("place"))
    .order_by(queue.c.record_id)
    .limit(bindparam("size"))
)
# In one statement, so that nobody can pass from those who hold a task to those who annotated it in between.
ROOM = select(queue.c.record_id).where(
    queue.c.dataset_id == bindparam("dataset"), queue.c.people + _HELD < bindparam("overlap")
)
# Built once: every annotation runs them (benchmark requests).
PEOPLE_WITH_SKIPS = (
    select(annotations.c.record_id, func.count(annotations.c.author_id.distinct()).label("people"))
    .where(
        annotations.c.dataset_id == bindparam("dataset"),
        annotations.c.blank.is_(False),
        among(annotations.c.record_id, "records"),
    )
    .group_by(annotations.c.record_id)
)
PEOPLE = PEOPLE_WITH_SKIPS.where(annotations.c.cancelled.is_(False))
_MINE = (queue.c.dataset_id == bindparam("dataset"), among(queue.c.record_id, "records"))
QUEUED = select(queue).where(*_MINE)
LEAVE = delete(queue).where(*_MINE)
HOLD = select(records.c.id).where(among(records.c.id, "records")).order_by(records.c.id).with_for_update(key_share=True)


class QueueRepository(Repository):
    """See `core.queue.Queue`."""

    def settle(self, dataset: Dataset, record_ids: Sequence[int], *, overlap: int, skips: bool, freed: bool) -> None:
        self._hold(record_ids)
        given = {"dataset": dataset.id, "records": record_ids}
        counted = self.session.rows(PEOPLE_WITH_SKIPS if skips else PEOPLE, given)
        people = {row.record_id: row.people for row in counted}
        finished = [record_id for record_id, count in people.items() if count >= overlap]
        if finished:
            self.session.run(LEAVE, {"dataset": dataset.id, "records": finished})
        unfinished = [record_id for record_id in record_ids if people.get(record_id, 0) < overlap]
        back = self._requeue(dataset, {record_id: people.get(record_id, 0) for record_id in unfinished})
        if back or freed:
            self._set_back(dataset.id, min([*back, *(unfinished if freed else ())], default=None))

    def rebuild(self, dataset: Dataset, *, overlap: int, skips: bool) -> None:
        self.session.run(delete(queue).where(queue.c.dataset_id == dataset.id))
        self.session.run(delete(queue_places).where(queue_places.c.dataset_id == dataset.id))
        said = self._people(dataset.id, skips).subquery()
        people = func.coalesce(said.c.people, 0)
        unfinished = (
            select(literal(dataset.id), records.c.id, people)
            .join_from(records, said, said.c.record_id == records.c.id, isouter=True)
            .where(records.c.source_id == dataset.own_source_id, people < overlap)
        )
        self.session.run(insert(queue).from_select(["dataset_id", "record_id", "people"], unfinished))

    def enter(self, dataset_id: int, person_id: int) -> int | None:
        mine = (queue_places.c.dataset_id == dataset_id, queue_places.c.person_id == person_id)
        row = self.session.first(select(queue_places.c.place).where(*mine).with_for_update())
        if row is None:
            self.session.run(insert(queue_places).values(dataset_id=dataset_id, person_id=person_id, place=0))
        return int(row.place) if row else None

    def advance(self, dataset_id: int, person_id: int, place: int) -> None:
        mine = (queue_places.c.dataset_id == dataset_id, queue_places.c.person_id == person_id)
        self.session.run(update(queue_places).where(*mine).values(place=place))

    def after(self, dataset_id: int, place: int, limit: int, *, begun: bool = False) -> list[int]:
        statement = select(queue.c.record_id).where(queue.c.dataset_id == dataset_id, queue.c.record_id > place)
        if begun:
            statement = statement.where(BEGUN)
        return self._ids(statement.order_by(queue.c.record_id).limit(limit))

    def last(self, dataset_id: int) -> int:
        mine = select(queue.c.record_id).where(queue.c.dataset_id == dataset_id)
        return next(iter(self._ids(mine.order_by(queue.c.record_id.desc()).limit(1))), 0)

    def people(self, dataset_id: int, record_ids: Sequence[int]) -> dict[int, int]:
        rows = self.session.rows(QUEUED, {"dataset": dataset_id, "records": record_ids})
        return {row.record_id: row.people for row in rows}

    def count(self, dataset_id: int, most: int) -> int:
        some = select(queue.c.record_id).where(queue.c.dataset_id == dataset_id).limit(most).subquery()
        return int(self.session.conn.execute(select(func.count()).select_from(some)).scalar_one())

    def standing(self, dataset_id: int, person_id: int) -> tuple[int, int]:
        said = exists().where(
            annotations.c.dataset_id == dataset_id,
            annotations.c.record_id == queue.c.record_id,
            annotations.c.author_id == person_id,
            annotations.c.blank.is_(False),
        )
        counted = (func.count().label("unfinished"), func.count().filter(said).label("mine"))
        row = self.session.rows(select(*counted).select_from(queue).where(queue.c.dataset_id == dataset_id))[0]
        return int(row.unfinished), int(row.mine)

    def ahead(self, dataset_id: int, person_id: int, place: int, limit: int) -> list[tuple[int, bool]]:
        given = {"dataset": dataset_id, "person": person_id, "place": place, "size": limit}
        return [(row.record_id, bool(row.touched)) for row in self.session.rows(AHEAD, given)]

    def room(self, dataset: Dataset, person_id: int, record_ids: Sequence[int], *, again: bool = False) -> list[int]:
        statement = ROOM.where(self.session.among(queue.c.record_id, record_ids))
        if not again:
            statement = statement.where(~TOUCHED)
        given = {
            "dataset": dataset.id,
            "person": person_id,
            "kind": ANNOTATE,
            "overlap": overlap_of(dataset),
            "now": int(self.session.database_now() * 1e6),
        }
        free = {row.record_id for row in self.session.rows(statement, given)}
        return [record_id for record_id in record_ids if record_id in free]

    def ground_truth(self, dataset_id: int, record_ids: Sequence[int]) -> set[int]:
        mine = (annotations.c.dataset_id == dataset_id, self.session.among(annotations.c.record_id, record_ids))
        return set(self._ids(select(annotations.c.record_id).where(*mine, annotations.c.ground_truth.is_(True))))

    def exceptions(self, dataset: Dataset, person_id: int, limit: int) -> list[int]:
        said = exists().where(
            annotations.c.record_id == exceptions.c.record_id,
            annotations.c.dataset_id == dataset.id,
            annotations.c.author_id == person_id,
            annotations.c.blank.is_(False),
            annotations.c.updated_at >= exceptions.c.created_at,
        )
        statement = (
            select(exceptions.c.record_id)
            .join(records, records.c.id == exceptions.c.record_id)
            .where(exceptions.c.dataset_id == dataset.id, exceptions.c.answered_at.is_(None))
            .where(records.c.source_id == dataset.own_source_id, ~said)
            .order_by(exceptions.c.id)
            .limit(limit)
        )
        return list(dict.fromkeys(self._ids(statement)))

    def skipped(self, dataset_id: int, person_id: int, limit: int) -> list[int]:
        mine = (annotations.c.dataset_id == dataset_id, annotations.c.author_id == person_id, SKIPPED)
        return self._ids(self._put_off(annotations.c.record_id, mine, annotations.c.id, dataset_id, person_id, limit))

    def postponed(self, dataset_id: int, person_id: int, limit: int) -> list[int]:
        mine = self._postponed(dataset_id, person_id)
        return self._ids(self._put_off(drafts.c.record_id, mine, drafts.c.updated_at, dataset_id, person_id, limit))

    def history(self, dataset_id: int, person_id: int, limit: int) -> list[tuple[int, int]]:
        statement = (
            select(annotations.c.record_id, annotations.c.id)
            .where(annotations.c.dataset_id == dataset_id, annotations.c.author_id == person_id)
            .where(annotations.c.blank.is_(False))
            .order_by(annotations.c.id.desc())
            .limit(limit)
        )
        return [(row.record_id, row.id) for row in reversed(self.session.rows(statement))]

    def _people(self, dataset_id: int, skips: bool) -> Select[Any]:
        """How many different people have annotated each record, those with none left out."""
        statement = select(
            annotations.c.record_id, func.count(annotations.c.author_id.distinct()).label("people")
        ).where(annotations.c.dataset_id == dataset_id, annotations.c.blank.is_(False))
        if not skips:
            statement = statement.where(annotations.c.cancelled.is_(False))
        return statement.group_by(annotations.c.record_id)

    def _requeue(self, dataset: Dataset, people: dict[int, int]) -> list[int]:
        """Write how many people annotated unfinished records; answers those that were not in the queue before."""
        if not people:
            return []
        known = self.people(dataset.id, list(people))
        changed = [
            {"record": record_id, "count": count}
            for record_id, count in people.items()
            if known.get(record_id, count) != count
        ]
        if changed:
            mine = (queue.c.dataset_id == dataset.id, queue.c.record_id == bindparam("record"))
            self.session.run(update(queue).where(*mine).values(people=bindparam("count")), changed)
        missing = [record_id for record_id in people if record_id not in known]
        if not missing:
            return []
        own = select(records.c.id).where(records.c.source_id == dataset.own_source_id)
        back = self._ids(own.where(self.session.among(records.c.id, missing)))
        rows = [{"dataset_id": dataset.id, "record_id": record_id, "people": people[record_id]} for record_id in back]
        if rows:
            self.session.run(insert(queue), rows)
        return back

    def _set_back(self, dataset_id: int, record_id: int | None) -> None:
        """Let nobody's place stand behind a record. All places are written, so that one that moves now is waited for
        and then set back as well."""
        if record_id is None:
            return
        place = queue_places.c.place
        earlier = case((place >= record_id, record_id - 1), else_=place)
        self.session.run(update(queue_places).where(queue_places.c.dataset_id == dataset_id).values(place=earlier))

    def _hold(self, record_ids: Sequence[int]) -> None:
        """Let two transactions that annotate the same record at once count one after the other."""
        if self.session.postgres:
            self.session.rows(HOLD, {"records": record_ids})

    def _postponed(self, dataset_id: int, person_id: int) -> tuple[ColumnElement[bool], ...]:
        mine = (drafts.c.dataset_id == dataset_id, drafts.c.author_id == person_id)
        return (*mine, and_(POSTPONED, drafts.c.annotation_id.is_(None)))

    def _put_off(
        self,
        record_id: ColumnElement[int],
        mine: Sequence[Any],
        moment: ColumnElement[int],
        dataset_id: int,
        person_id: int,
        limit: int,
    ) -> Select[Any]:
        """Unfinished records of rows that somebody has, the one whose newest row is the oldest first."""
        said = annotations.alias("said")
        answered = exists().where(
            said.c.dataset_id == dataset_id,
            said.c.record_id == record_id,
            said.c.author_id == person_id,
            said.c.cancelled.is_(False),
            said.c.blank.is_(False),
        )
        unfinished = exists().where(queue.c.dataset_id == dataset_id, queue.c.record_id == record_id)
        return (
            select(record_id)
            .where(*mine, unfinished, ~answered)
            .group_by(record_id)
            .order_by(func.max(moment), record_id)
            .limit(limit)
        )

    def _ids(self, statement: Select[Any]) -> list[int]:
        return [int(row[0]) for row in self.session.rows(statement)]
