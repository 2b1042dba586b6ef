"""Statements of trees: where they stand, what they call for, and who is not to be asked again."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Integer,
    Row,
    Select,
    bindparam,
    delete,
    exists,
    func,
    insert,
    select,
    text,
    update,
)

from headrace.core.messages import Role, TaskKind
from headrace.core.rankings import Ranking
from headrace.core.tree_choice import FAMILIES, REPLIES
from headrace.core.trees import Candidate, Draws, Lease, Tree, TreeState
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
    select(text_labels.c.spam, text_labels.c.lang_mismatch)
    .where(text_labels.c.record_id == bindparam("record"), text_labels.c.mode.is_not(None))
    .order_by(text_labels.c.created_at, text_labels.c.annotation_id)
)
REVIEW_OF = select(text_labels.c.annotation_id).where(
    text_labels.c.record_id == bindparam("record"),
    text_labels.c.person_id == bindparam("person"),
    text_labels.c.mode.is_(None) == bindparam("free", type_=Boolean),
)
FORGET_REVIEW = delete(text_labels).where(text_labels.c.annotation_id == bindparam("annotation"))
ADD_REVIEW = insert(text_labels)
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


def _open(statement: Select[Any]) -> Select[Any]:
    """The statement over messages, narrowed to those that call for a kind of task and may be offered to a person."""
    asked = exists().where(
        message_exclusions.c.record_id == messages.c.record_id,
        message_exclusions.c.person_id == bindparam("person"),
        message_exclusions.c.family == bindparam("family"),
    )
    return statement.where(
        messages.c.dataset_id == bindparam("dataset"),
        messages.c.lang == bindparam("language"),
        messages.c.offer == bindparam("kind"),
        messages.c.offer.is_not(None),
        ~asked,
    )


AVAILABLE = select(func.count()).select_from(
    _open(select(messages.c.record_id)).limit(bindparam("most", type_=Integer)).subquery()
)
PICK = (
    _open(select(messages.c.record_id)).where(messages.c.draw >= bindparam("least")).order_by(messages.c.draw).limit(1)
)
EXTENDIBLE = _open(
    select(
        messages.c.record_id,
        messages.c.tree_id,
        messages.c.role,
        messages.c.live_children,
        (trees.c.goal - trees.c.size).label("room"),
        messages.c.draw,
    ).join(trees, trees.c.record_id == messages.c.tree_id)
).where(trees.c.size < trees.c.goal, messages.c.draw.between(bindparam("least"), bindparam("greatest")))
EXTENDIBLE = EXTENDIBLE.order_by(messages.c.draw).limit(bindparam("most", type_=Integer))
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

    def some(self, tree_ids: Sequence[int]) -> dict[int, Tree]:
        if not tree_ids:
            return {}
        return {row.record_id: _tree(row) for row in self.session.rows(SOME, {"trees": list(tree_ids)})}

    def change(self, before: Tree, after: Tree) -> None:
        if before == after:
            return
        old, new = asdict(before), asdict(after)
        changed = {name: value for name, value in new.items() if value != old[name]}
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

    def exclude(self, record_id: int, person_id: int, family: str) -> None:
        self.session.run(EXCLUDE, {"record": record_id, "person": person_id, "family": family})

    def available(self, dataset_id: int, lang: str, kind: TaskKind, person_id: int, limit: int) -> int:
        given = self._given(dataset_id, lang, kind, person_id)
        return int(self.session.conn.execute(AVAILABLE, {**given, "most": limit}).scalar_one())

    def pick(self, dataset_id: int, lang: str, kind: TaskKind, person_id: int, draw: int) -> int | None:
        given = self._given(dataset_id, lang, kind, person_id)
        row = self.session.first(PICK, {**given, "least": draw}) or self.session.first(PICK, {**given, "least": 0})
        return int(row.record_id) if row else None

    def extendible(self, dataset_id: int, lang: str, kind: TaskKind, person_id: int, draws: Draws) -> list[Candidate]:
        given = self._given(dataset_id, lang, kind, person_id)
        span = {"least": draws.least, "greatest": draws.most, "most": draws.limit}
        return [
            Candidate(row.record_id, row.tree_id, Role(row.role), row.live_children, row.room, row.draw)
            for row in self.session.rows(EXTENDIBLE, {**given, **span})
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
            "record_id": record_id,
            "person_id": person_id,
            "mode": mode,
            "spam": values.get("spam"),
            "lang_mismatch": values.get("lang_mismatch"),
            "created_at": self.session.now(),
        }
        self.session.run(FORGET_REVIEW, {"annotation": annotation_id})
        self.session.run(ADD_REVIEW, {"annotation_id": annotation_id, **row})

    def review_of(self, record_id: int, person_id: int, *, free: bool) -> int | None:
        row = self.session.first(REVIEW_OF, {"record": record_id, "person": person_id, "free": free})
        return int(row.annotation_id) if row else None

    def reviews(self, record_id: int) -> list[tuple[float, float | None]]:
        return [(row.spam or 0.0, row.lang_mismatch) for row in self.session.rows(REVIEWS, {"record": record_id})]

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

    def _given(self, dataset_id: int, lang: str, kind: TaskKind, person_id: int) -> dict[str, object]:
        return {
            "dataset": dataset_id,
            "language": lang,
            "kind": kind.value,
            "person": person_id,
            "family": FAMILIES[kind].value,
        }
