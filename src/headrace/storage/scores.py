"""Statements that count what people did and where trees stand."""

from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, select

from headrace.core.messages import Role
from headrace.core.scores import MessageCounts, Tally, TreeCount, summed
from headrace.core.text_labels import Mode
from headrace.core.trees import ACTIVE
from headrace.storage.schema_trees import messages, ranking_places, rankings, text_labels, trees
from headrace.storage.session import Repository


class ScoreRepository(Repository):
    """See `core.scores.Scores`."""

    def tallies(self, dataset_id: int, since: int | None, person_id: int | None = None) -> dict[int, Tally]:
        parts: dict[int, list[Tally]] = {}
        for rows in (
            self._written(dataset_id, since, person_id),
            self._labelled(dataset_id, since, person_id),
            self._ranked(dataset_id, since, person_id),
            self._placed(dataset_id, since, person_id),
        ):
            for row in rows:
                values = row._asdict()
                parts.setdefault(int(values.pop("person")), []).append(Tally(**values))
        return {number: summed(found) for number, found in parts.items()}

    def message_counts(self, dataset_id: int) -> MessageCounts:
        mine = messages.c.dataset_id == dataset_id
        total = select(
            func.count().label("all"),
            func.count().filter(messages.c.deleted).label("deleted"),
            func.count().filter(self._root()).label("roots"),
        )
        row = self.session.rows(total.select_from(messages).where(mine))[0]
        by_lang = self.session.rows(
            select(messages.c.lang, func.count().label("messages"))
            .where(mine, messages.c.deleted.is_(False))
            .group_by(messages.c.lang)
            .order_by(messages.c.lang)
        )
        langs = {item.lang: int(item.messages) for item in by_lang}
        return MessageCounts(int(row.all), int(row.all - row.deleted), int(row.deleted), int(row.roots), langs)

    def state_counts(self, dataset_id: int) -> list[tuple[str, str, int]]:
        statement = (
            select(trees.c.lang, trees.c.state, func.count().label("number"))
            .where(trees.c.dataset_id == dataset_id)
            .group_by(trees.c.state, trees.c.lang)
            .order_by(trees.c.lang, trees.c.state)
        )
        return [(row.lang, row.state, int(row.number)) for row in self.session.rows(statement)]

    def tree_counts(self, dataset_id: int, *, only_active: bool) -> list[TreeCount]:
        statement = (
            select(
                trees.c.record_id,
                trees.c.state,
                func.max(messages.c.depth).label("depth"),
                func.min(messages.c.created_at).label("oldest"),
                func.max(messages.c.created_at).label("youngest"),
                func.count().label("messages"),
                trees.c.goal,
            )
            .join(messages, messages.c.tree_id == trees.c.record_id)
            .where(trees.c.dataset_id == dataset_id, messages.c.deleted.is_(False))
            .group_by(trees.c.record_id, trees.c.state, trees.c.goal)
            .order_by(trees.c.record_id)
        )
        if only_active:
            statement = statement.where(trees.c.state.in_(sorted(ACTIVE)))
        return [
            TreeCount(
                tree_id=row.record_id,
                state=row.state,
                depth=row.depth,
                oldest=row.oldest,
                youngest=row.youngest,
                count=row.messages,
                goal=row.goal,
            )
            for row in self.session.rows(statement)
        ]

    def human(self, dataset_id: int, by: str) -> dict[str, int]:
        key = messages.c.role if by == "role" else messages.c.lang
        mine = (messages.c.dataset_id == dataset_id, messages.c.deleted.is_(False), messages.c.synthetic.is_(False))
        statement = select(key.label("key"), func.count().label("number")).where(*mine).group_by(key).order_by(key)
        return {row.key: int(row.number) for row in self.session.rows(statement)}

    def _written(self, dataset_id: int, since: int | None, person_id: int | None) -> list[Row[Any]]:
        reply = {role: and_(~self._root(), messages.c.role == role) for role in Role}
        accepted = messages.c.accepted.is_(True)
        statement = select(
            messages.c.author_id.label("person"),
            func.count().filter(self._root()).label("prompts"),
            func.count().filter(reply[Role.ASSISTANT]).label("replies_assistant"),
            func.count().filter(reply[Role.PROMPTER]).label("replies_prompter"),
            func.count().filter(and_(self._root(), accepted)).label("accepted_prompts"),
            func.count().filter(and_(reply[Role.ASSISTANT], accepted)).label("accepted_replies_assistant"),
            func.count().filter(and_(reply[Role.PROMPTER], accepted)).label("accepted_replies_prompter"),
        ).where(messages.c.dataset_id == dataset_id, messages.c.deleted.is_(False))
        wanted = self._span(messages.c.created_at, messages.c.author_id, since, person_id)
        return list(self.session.rows(statement.where(*wanted).group_by(messages.c.author_id)))

    def _labelled(self, dataset_id: int, since: int | None, person_id: int | None) -> list[Row[Any]]:
        statement = (
            select(
                text_labels.c.person_id.label("person"),
                func.count().filter(text_labels.c.mode == Mode.SIMPLE).label("labels_simple"),
                func.count().filter(text_labels.c.mode == Mode.FULL).label("labels_full"),
            )
            .join(messages, messages.c.record_id == text_labels.c.record_id)
            .where(messages.c.dataset_id == dataset_id, text_labels.c.mode.is_not(None))
        )
        wanted = self._span(text_labels.c.created_at, text_labels.c.person_id, since, person_id)
        return list(self.session.rows(statement.where(*wanted).group_by(text_labels.c.person_id)))

    def _ranked(self, dataset_id: int, since: int | None, person_id: int | None) -> list[Row[Any]]:
        statement = (
            select(rankings.c.person_id.label("person"), func.count().label("rankings_total"))
            .join(messages, messages.c.record_id == rankings.c.record_id)
            .where(messages.c.dataset_id == dataset_id)
        )
        wanted = self._span(rankings.c.created_at, rankings.c.person_id, since, person_id)
        return list(self.session.rows(statement.where(*wanted).group_by(rankings.c.person_id)))

    def _placed(self, dataset_id: int, since: int | None, person_id: int | None) -> list[Row[Any]]:
        places = [func.count().filter(ranking_places.c.place == place) for place in range(3)]
        statement = (
            select(
                ranking_places.c.author_id.label("person"),
                *(count.label(f"reply_ranked_{place}") for place, count in enumerate(places, 1)),
            )
            .join(messages, messages.c.record_id == ranking_places.c.record_id)
            .where(messages.c.dataset_id == dataset_id, ranking_places.c.place < 3)
        )
        wanted = self._span(ranking_places.c.created_at, ranking_places.c.author_id, since, person_id)
        return list(self.session.rows(statement.where(*wanted).group_by(ranking_places.c.author_id)))

    def _span(
        self, date: ColumnElement[int], person: ColumnElement[int], since: int | None, person_id: int | None
    ) -> list[ColumnElement[bool]]:
        found = [] if since is None else [date >= since]
        return found if person_id is None else [*found, person == person_id]

    def _root(self) -> ColumnElement[bool]:
        return messages.c.parent_id.is_(None)
