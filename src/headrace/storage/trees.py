"""Statements of trees: where they stand, what they call for, and who is not to be asked again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from functools import cache
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    CompoundSelect,
    Integer,
    Row,
    Select,
    bindparam,
    exists,
    func,
    insert,
    literal,
    select,
    text,
    union_all,
    update,
)

from headrace.core.messages import Role, TaskKind
from headrace.core.rankings import Ranking
from headrace.core.text_labels import Review
from headrace.core.tree_choice import FAMILIES, REPLIES
from headrace.core.trees import Asker, Candidate, Lease, Tree, TreeState
from headrace.storage.schema import datasets
from headrace.storage.schema_trees import (
    message_exclusions,
    messages,
    persons,
    ranking_places,
    rankings,
    text_labels,
    trees,
)
from headrace.storage.schema_work import OPEN_WORK, work
from headrace.storage.session import Repository, among, dumps, loads

# Built once: every request for a task, or every answer, runs them.
HOLD = select(datasets.c.id).where(datasets.c.id == bindparam("dataset")).with_for_update(key_share=True)
EXCLUDE = text(
    "INSERT INTO message_exclusions (record_id, person_id, family) VALUES (:record, :person, :family) "
    "ON CONFLICT DO NOTHING"
)
SOME = select(trees).where(among(trees.c.record_id, "trees"))
HOLDING = select(trees).where(
    trees.c.record_id
    == select(messages.c.tree_id)
    .where(messages.c.record_id == bindparam("record"), messages.c.dataset_id == bindparam("dataset"))
    .scalar_subquery()
)
LEASES = (
    select(work.c.id, work.c.record_id, messages.c.tree_id)
    .join(messages, messages.c.record_id == work.c.record_id)
    .where(
        among(messages.c.tree_id, "trees"),
        work.c.dataset_id == bindparam("dataset"),
        OPEN_WORK,
        work.c.kind.in_(REPLIES),
        work.c.created_at > bindparam("since"),
    )
)
REVIEWS = (
    select(text_labels.c.person_id, text_labels.c.spam, text_labels.c.lang_mismatch)
    .where(text_labels.c.record_id == bindparam("record"), text_labels.c.mode.is_not(None))
    .order_by(text_labels.c.created_at, text_labels.c.annotation_id)
)
REVIEW_OF = select(text_labels.c.annotation_id).where(
    text_labels.c.record_id == bindparam("record"),
    text_labels.c.person_id == bindparam("person"),
    text_labels.c.mode.is_(None) == bindparam("free", type_=Boolean),
)
ADD_REVIEW = text(
    "INSERT INTO text_labels (annotation_id, record_id, person_id, mode, spam, lang_mismatch, created_at) "
    "VALUES (:annotation, :record, :person, :mode, :spam, :lang_mismatch, :now) "
    "ON CONFLICT (annotation_id) DO UPDATE SET record_id = excluded.record_id, person_id = excluded.person_id, "
    "mode = excluded.mode, spam = excluded.spam, lang_mismatch = excluded.lang_mismatch, "
    "created_at = excluded.created_at"
)
CHANGE = update(trees).where(trees.c.record_id == bindparam("number"))
COUNT = (
    select(func.count())
    .select_from(trees)
    .where(
        trees.c.dataset_id == bindparam("dataset"),
        trees.c.state == bindparam("state"),
        trees.c.lang == bindparam("language"),
    )
)


FIELDS = tuple(column.name for column in trees.c if column.name != "record_id")
MOST = bindparam("most", type_=Integer)
FROM_START = messages.c.draw >= bindparam("start")
BEFORE_START = messages.c.draw < bindparam("start")


def _open(statement: Select[Any], kind: TaskKind) -> Select[Any]:
    """The statement over messages, narrowed to those that call for a kind of task and may be offered to a person."""
    asked = exists().where(
        message_exclusions.c.record_id == messages.c.record_id,
        message_exclusions.c.person_id == bindparam("person"),
        message_exclusions.c.family == FAMILIES[kind].value,
    )
    return statement.where(
        messages.c.dataset_id == bindparam("dataset"),
        messages.c.lang == bindparam("language"),
        messages.c.offer == kind.value,
        messages.c.offer.is_not(None),
        ~asked,
    )


def _around(some: Select[Any], limit: ColumnElement[int]) -> Select[Any]:
    """Messages by their draws, from a random one on to the end and then from the beginning, up to a limit."""
    halves = [
        some.where(half).order_by(messages.c.draw).limit(limit).subquery().select()
        for half in (FROM_START, BEFORE_START)
    ]
    return union_all(*halves).limit(limit).subquery().select()


@cache
def counting(kinds: tuple[TaskKind, ...]) -> Select[Any]:
    """How many messages call for each of the kinds, in one row."""
    open_ = [_open(select(messages.c.record_id), kind).limit(MOST).subquery() for kind in kinds]
    return select(*(select(func.count()).select_from(some).scalar_subquery() for some in open_))


@cache
def picking(kind: TaskKind) -> Select[Any]:
    """A message that calls for the kind of task."""
    return _around(_open(select(messages.c.record_id), kind), literal(1))


@cache
def extending(kinds: tuple[TaskKind, ...]) -> CompoundSelect[Any]:
    """Messages that call for replies of each of the kinds."""
    some = select(
        messages.c.record_id,
        messages.c.tree_id,
        messages.c.role,
        messages.c.live_children,
        (trees.c.goal - trees.c.size).label("room"),
    ).join(trees, trees.c.record_id == messages.c.tree_id)
    fitting = some.where(trees.c.size < trees.c.goal)
    return union_all(*(_around(_open(fitting, kind), MOST) for kind in kinds))


YOUNG = (
    select(trees.c.state, func.count().label("number"))
    .where(
        trees.c.dataset_id == bindparam("dataset"),
        trees.c.state.in_([TreeState.INITIAL_PROMPT_REVIEW, TreeState.PROMPT_LOTTERY_WAITING, TreeState.GROWING]),
        trees.c.lang == bindparam("language"),
    )
    .group_by(trees.c.state)
)


def _tree(row: Row[Any]) -> Tree:
    values = row._asdict()
    return Tree(id=values.pop("record_id"), **values | {"state": TreeState(row.state)})


def _ranking(row: Row[Any]) -> Ranking:
    return Ranking(
        annotation_id=row.annotation_id,
        tree_id=row.tree_id,
        parent_id=row.record_id,
        person_id=row.person_id,
        order=tuple(loads(row.ranked)),
        not_rankable=row.not_rankable,
        created_at=row.created_at,
    )


class TreeRepository(Repository):
    """See `core.trees.Trees`."""

    def hold(self, dataset_id: int) -> bool:
        if self.session.postgres:
            self.session.first(HOLD, {"dataset": dataset_id})
        return self.session.postgres

    def insert(self, tree: Tree) -> None:
        values = asdict(tree)
        self.session.run(insert(trees).values(record_id=values.pop("id"), **values))

    def get(self, tree_id: int) -> Tree | None:
        return self.some([tree_id]).get(tree_id)

    def holding(self, dataset_id: int, record_id: int) -> Tree | None:
        row = self.session.first(HOLDING, {"record": record_id, "dataset": dataset_id})
        return _tree(row) if row else None

    def some(self, tree_ids: Sequence[int]) -> dict[int, Tree]:
        if not tree_ids:
            return {}
        return {row.record_id: _tree(row) for row in self.session.rows(SOME, {"trees": list(tree_ids)})}

    def change(self, before: Tree, after: Tree) -> None:
        changed = {name: value for name in FIELDS if (value := getattr(after, name)) != getattr(before, name)}
        if changed:
            self.session.run(CHANGE, {**changed, "number": before.id})

    def count(self, dataset_id: int, lang: str, state: TreeState) -> int:
        given = {"dataset": dataset_id, "state": state.value, "language": lang}
        return int(self.session.conn.execute(COUNT, given).scalar_one())

    def young(self, dataset_id: int, lang: str) -> dict[TreeState, int]:
        rows = self.session.rows(YOUNG, {"dataset": dataset_id, "language": lang})
        return {TreeState(row.state): row.number for row in rows}

    def ids(self, dataset_id: int, states: Sequence[TreeState], lang: str | None = None) -> list[int]:
        statement = select(trees.c.record_id).where(trees.c.dataset_id == dataset_id, trees.c.state.in_(states))
        if lang is not None:
            statement = statement.where(trees.c.lang == lang)
        return [row.record_id for row in self.session.rows(statement.order_by(trees.c.record_id))]

    def page(
        self, dataset_id: int, states: Collection[TreeState] | None, lang: str | None, after: int, limit: int
    ) -> list[Tree]:
        statement = select(trees).where(*self._wanted(dataset_id, states, lang), trees.c.record_id > after)
        return [_tree(row) for row in self.session.rows(statement.order_by(trees.c.record_id).limit(limit))]

    def total(self, dataset_id: int, states: Collection[TreeState] | None, lang: str | None) -> int:
        statement = select(func.count()).select_from(trees).where(*self._wanted(dataset_id, states, lang))
        return int(self.session.conn.execute(statement).scalar_one())

    def waiting(self, dataset_id: int, lang: str) -> dict[int, list[int]]:
        statement = (
            select(trees.c.record_id, messages.c.author_id)
            .join(messages, messages.c.record_id == trees.c.record_id)
            .join(persons, persons.c.user_id == messages.c.author_id)
            .where(
                trees.c.dataset_id == dataset_id,
                trees.c.state == TreeState.PROMPT_LOTTERY_WAITING,
                trees.c.lang == lang,
                messages.c.deleted.is_(False),
                messages.c.accepted.is_(True),
                persons.c.enabled.is_(True),
            )
        )
        found: dict[int, list[int]] = {}
        for row in self.session.rows(statement):
            found.setdefault(row.author_id, []).append(row.record_id)
        return found

    def exclude(self, person_id: int, kept: Sequence[tuple[int, str]]) -> None:
        if kept:
            rows = [{"record": record_id, "person": person_id, "family": family} for record_id, family in kept]
            self.session.run(EXCLUDE, rows)

    def available(self, asker: Asker, kinds: Sequence[TaskKind], limit: int) -> dict[TaskKind, int]:
        if not kinds:
            return {}
        [row] = self.session.rows(counting(tuple(kinds)), {**self._given(asker), "most": limit})
        return dict(zip(kinds, row, strict=True))

    def pick(self, asker: Asker, kind: TaskKind, start: int) -> int | None:
        row = self.session.first(picking(kind), {**self._given(asker), "start": start})
        return int(row.record_id) if row else None

    def extendible(self, asker: Asker, kinds: Sequence[TaskKind], start: int, limit: int) -> list[Candidate]:
        if not kinds:
            return []
        given = {**self._given(asker), "start": start, "most": limit}
        return [
            Candidate(row.record_id, row.tree_id, Role(row.role), row.live_children, row.room)
            for row in self.session.rows(extending(tuple(kinds)), given)
        ]

    def leases(self, dataset_id: int, tree_ids: Sequence[int], since: int) -> list[Lease]:
        if not tree_ids:
            return []
        given = {"trees": list(tree_ids), "dataset": dataset_id, "since": since}
        return [Lease(row.id, row.record_id, row.tree_id) for row in self.session.rows(LEASES, given)]

    def add_review(
        self, annotation_id: int, record_id: int, person_id: int, mode: str | None, values: Mapping[str, float]
    ) -> None:
        row = {
            "annotation": annotation_id,
            "record": record_id,
            "person": person_id,
            "mode": mode,
            "spam": values.get("spam"),
            "lang_mismatch": values.get("lang_mismatch"),
            "now": self.session.now(),
        }
        self.session.run(ADD_REVIEW, row)

    def review_of(self, record_id: int, person_id: int, *, free: bool) -> int | None:
        row = self.session.first(REVIEW_OF, {"record": record_id, "person": person_id, "free": free})
        return int(row.annotation_id) if row else None

    def reviews(self, record_id: int) -> list[tuple[int, Review]]:
        rows = self.session.rows(REVIEWS, {"record": record_id})
        return [(row.person_id, Review(row.spam or 0.0, row.lang_mismatch)) for row in rows]

    def add_ranking(self, ranking: Ranking, authors: Mapping[int, int]) -> None:
        self.session.run(
            insert(rankings).values(
                annotation_id=ranking.annotation_id,
                tree_id=ranking.tree_id,
                record_id=ranking.parent_id,
                person_id=ranking.person_id,
                ranked=dumps(ranking.order),
                not_rankable=ranking.not_rankable,
                created_at=ranking.created_at,
            )
        )
        rows = [
            {
                "annotation_id": ranking.annotation_id,
                "record_id": record_id,
                "author_id": authors[record_id],
                "place": place,
                "created_at": ranking.created_at,
            }
            for place, record_id in enumerate(ranking.order)
            if record_id in authors
        ]
        if rows:
            self.session.run(insert(ranking_places), rows)

    def rankings(self, tree_ids: Sequence[int]) -> list[Ranking]:
        if not tree_ids:
            return []
        mine = self.session.among(rankings.c.tree_id, tree_ids)
        statement = select(rankings).where(mine).order_by(rankings.c.created_at, rankings.c.annotation_id)
        return [_ranking(row) for row in self.session.rows(statement)]

    def first_places(self, author_ids: Sequence[int], since: int) -> dict[int, int]:
        if not author_ids:
            return {}
        statement = (
            select(ranking_places.c.author_id, func.count().label("times"))
            .where(
                self.session.among(ranking_places.c.author_id, author_ids),
                ranking_places.c.place == 0,
                ranking_places.c.created_at >= since,
            )
            .group_by(ranking_places.c.author_id)
        )
        return {row.author_id: row.times for row in self.session.rows(statement)}

    def _wanted(
        self, dataset_id: int, states: Collection[TreeState] | None, lang: str | None
    ) -> list[ColumnElement[bool]]:
        found: list[ColumnElement[bool]] = [trees.c.dataset_id == dataset_id]
        if states is not None:
            found.append(trees.c.state.in_(sorted(states)))
        return found if lang is None else [*found, trees.c.lang == lang]

    def _given(self, asker: Asker) -> dict[str, object]:
        return {"dataset": asker.dataset_id, "language": asker.lang, "person": asker.person_id}
