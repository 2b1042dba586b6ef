"""Statements of messages and of what people attach to them. The text is that of the record."""

from collections.abc import Mapping, Sequence
from typing import Any

from msgspec.json import decode as decoded
from sqlalchemy import ColumnElement, Select, and_, bindparam, delete, func, insert, or_, select, update
from sqlalchemy import Text as TextType

from headrace.core.messages import Filter, Flagged, Mark, Message, PageRequest, Revision, Role, TaskKind
from headrace.storage.schema import records
from headrace.storage.schema_trees import message_emojis, message_flags, message_revisions, messages
from headrace.storage.session import Repository, dumps, loads

OF_ITSELF = messages.alias()
COLUMNS = [column for column in messages.c if column.name != "dataset_id"]
SELECT = select(*COLUMNS, records.c.body).join(records, records.c.id == messages.c.record_id)
# Built once: every task and every answer runs them.
BY_ID = SELECT.where(messages.c.record_id == bindparam("number"), messages.c.dataset_id == bindparam("dataset"))
OF_TREE = SELECT.where(messages.c.tree_id == bindparam("tree")).order_by(messages.c.created_at, messages.c.record_id)
BESIDE = SELECT.where(
    messages.c.tree_id
    == select(OF_ITSELF.c.tree_id)
    .where(OF_ITSELF.c.record_id == bindparam("number"), OF_ITSELF.c.dataset_id == bindparam("dataset"))
    .scalar_subquery()
).order_by(messages.c.created_at, messages.c.record_id)
RECENT = (
    select(records.c.body)
    .join(messages, messages.c.record_id == records.c.id)
    .where(
        messages.c.author_id == bindparam("author"),
        messages.c.created_at > bindparam("since"),
        messages.c.dataset_id == bindparam("dataset"),
    )
)
INSERT = insert(messages)
CHANGE = update(messages).where(messages.c.record_id == bindparam("number"))
NEWEST = select(func.max(messages.c.created_at)).where(messages.c.dataset_id == bindparam("dataset"))
ROLES = {role.value: role for role in Role}
OFFERS: dict[str | None, TaskKind | None] = {None: None} | {kind.value: kind for kind in TaskKind}
TRUTHS: dict[int | None, bool | None] = {None: None, 0: False, 1: True}
STORED = tuple(column.name for column in COLUMNS if column.name != "record_id")


def _message(row: Sequence[Any]) -> Message:
    # Taken apart at once and not by name: a list of a thousand messages spends most of its time here (benchmark
    # conversations).
    *most, live_children, offer, draw, emojis, body = row
    record_id, tree_id, parent_id, role, lang, depth, author_id, client_id, frontend_id, created_at = most[:10]
    review_count, accepted, deleted, edited, late, synthetic, model_name, rank, ranking_count = most[10:]
    return Message(
        record_id,
        tree_id,
        parent_id,
        ROLES[role],
        lang,
        depth,
        author_id,
        client_id,
        frontend_id,
        decoded(body).get("text", ""),
        created_at,
        loads(emojis) if emojis != "{}" else {},
        review_count,
        TRUTHS[accepted],
        deleted == 1,
        edited == 1,
        late == 1,
        synthetic == 1,
        model_name,
        rank,
        ranking_count,
        live_children,
        OFFERS[offer],
        draw,
    )


def _values(message: Message) -> dict[str, object]:
    return {name: getattr(message, name) for name in STORED} | {"emojis": dumps(message.emojis)}


def _beyond(
    mark: Mark, date: ColumnElement[int], number: ColumnElement[int], *, ascending: bool
) -> ColumnElement[bool]:
    if mark.id is None:
        return date >= mark.created_at if ascending else date <= mark.created_at
    if ascending:
        return or_(date > mark.created_at, and_(date == mark.created_at, number > mark.id))
    return or_(date < mark.created_at, and_(date == mark.created_at, number < mark.id))


class MessageRepository(Repository):
    """See `core.messages.Messages`."""

    def insert(self, dataset_id: int, message: Message) -> None:
        self.session.run(INSERT, {"record_id": message.id, "dataset_id": dataset_id, **_values(message)})

    def get(self, dataset_id: int, record_id: int) -> Message | None:
        return self._one(BY_ID, {"number": record_id, "dataset": dataset_id})

    def by_frontend_id(self, dataset_id: int, client_id: int | None, frontend_id: str) -> Message | None:
        statement = SELECT.where(messages.c.frontend_id == frontend_id, messages.c.dataset_id == dataset_id)
        if client_id is not None:
            statement = statement.where(messages.c.client_id == client_id)
        return self._one(statement.order_by(messages.c.created_at.desc()).limit(1))

    def of_trees(self, tree_ids: Sequence[int]) -> list[Message]:
        if not tree_ids:
            return []
        if len(tree_ids) == 1:
            return self._all(OF_TREE, {"tree": tree_ids[0]})
        mine = self.session.among(messages.c.tree_id, tree_ids)
        return self._all(SELECT.where(mine).order_by(messages.c.created_at, messages.c.record_id))

    def beside(self, dataset_id: int, record_id: int) -> list[Message]:
        return self._all(BESIDE, {"number": record_id, "dataset": dataset_id})

    def page(self, dataset_id: int, request: PageRequest) -> list[Message]:
        statement = self._wanted(SELECT, dataset_id, request.wanted)
        found = self._all(self._paged(statement, request, messages.c.created_at, messages.c.record_id))
        return found[::-1] if request.backwards else found

    def last_date(self, dataset_id: int) -> int:
        return int(self.session.conn.execute(NEWEST, {"dataset": dataset_id}).scalar_one() or 0)

    def recent_texts(self, dataset_id: int, author_id: int, since: int) -> list[str]:
        given = {"author": author_id, "since": since, "dataset": dataset_id}
        return [decoded(body).get("text", "") for (body,) in self.session.rows(RECENT, given)]

    def change(self, before: Message, after: Message) -> None:
        changed = {name: value for name in STORED if (value := getattr(after, name)) != getattr(before, name)}
        if "emojis" in changed:
            changed["emojis"] = dumps(after.emojis)
        if changed:
            self.session.run(CHANGE, {**changed, "number": before.id})

    def emojis_of(self, person_id: int, record_ids: Sequence[int]) -> dict[int, list[str]]:
        found: dict[int, list[str]] = {}
        if record_ids:
            mine = (
                message_emojis.c.person_id == person_id,
                self.session.among(message_emojis.c.record_id, record_ids),
            )
            statement = select(message_emojis).where(*mine)
            for row in self.session.rows(statement.order_by(message_emojis.c.created_at, message_emojis.c.emoji)):
                found.setdefault(row.record_id, []).append(row.emoji)
        return found

    def emoji_events(self, record_ids: Sequence[int]) -> list[tuple[int, int, str]]:
        if not record_ids:
            return []
        statement = select(message_emojis).where(self.session.among(message_emojis.c.record_id, record_ids))
        rows = self.session.rows(statement.order_by(message_emojis.c.created_at, message_emojis.c.emoji))
        return [(row.record_id, row.person_id, row.emoji) for row in rows]

    def add_emoji(self, record_id: int, person_id: int, emoji: str) -> bool:
        mine = self._emoji(record_id, person_id, emoji)
        if self.session.first(select(message_emojis.c.emoji).where(*mine)):
            return False
        row = {"record_id": record_id, "person_id": person_id, "emoji": emoji, "created_at": self.session.now()}
        self.session.run(insert(message_emojis).values(row))
        return True

    def remove_emoji(self, record_id: int, person_id: int, emoji: str) -> bool:
        return self.session.run(delete(message_emojis).where(*self._emoji(record_id, person_id, emoji))) == 1

    def flag(self, record_id: int, reason: str) -> None:
        self.session.run(delete(message_flags).where(message_flags.c.record_id == record_id))
        row = {"record_id": record_id, "reason": reason, "processed": False, "created_at": self.session.now()}
        self.session.run(insert(message_flags).values(row))

    def flagged(self, dataset_id: int, request: PageRequest) -> list[Flagged]:
        statement = (
            select(message_flags)
            .join(messages, messages.c.record_id == message_flags.c.record_id)
            .where(messages.c.dataset_id == dataset_id, message_flags.c.processed.is_(False))
        )
        rows = self.session.rows(self._paged(statement, request, message_flags.c.created_at, message_flags.c.record_id))
        found = [Flagged(row.record_id, row.reason, row.processed, row.created_at) for row in rows]
        return found[::-1] if request.backwards else found

    def process_flag(self, record_id: int) -> Flagged | None:
        mine = message_flags.c.record_id == record_id
        self.session.run(update(message_flags).where(mine).values(processed=True))
        row = self.session.first(select(message_flags).where(mine))
        return Flagged(row.record_id, row.reason, row.processed, row.created_at) if row else None

    def add_revision(self, record_id: int, text: str, author_id: int | None, created_at: int) -> None:
        row = {"record_id": record_id, "text": text, "author_id": author_id, "created_at": created_at}
        self.session.run(insert(message_revisions).values(row))

    def revisions(self, record_id: int) -> list[Revision]:
        statement = select(message_revisions).where(message_revisions.c.record_id == record_id)
        return [Revision._make(row) for row in self.session.rows(statement.order_by(message_revisions.c.id))]

    def _emoji(self, record_id: int, person_id: int, emoji: str) -> tuple[ColumnElement[bool], ...]:
        return (
            message_emojis.c.record_id == record_id,
            message_emojis.c.person_id == person_id,
            message_emojis.c.emoji == emoji,
        )

    def _wanted(self, statement: Select[Any], dataset_id: int, wanted: Filter) -> Select[Any]:
        conditions: list[ColumnElement[bool]] = [messages.c.dataset_id == dataset_id]
        if not wanted.deleted:
            conditions.append(messages.c.deleted.is_(False))
        if wanted.only_roots:
            conditions.append(messages.c.parent_id.is_(None))
        for column, value in (("author_id", wanted.author_id), ("client_id", wanted.client_id), ("lang", wanted.lang)):
            if value is not None:
                conditions.append(messages.c[column] == value)
        if wanted.start is not None:
            conditions.append(messages.c.created_at >= wanted.start)
        if wanted.end is not None:
            conditions.append(messages.c.created_at <= wanted.end)
        text = func.lower(self._text())
        conditions.extend(text.contains(word.lower(), autoescape=True) for word in wanted.words)
        return statement.where(*conditions)

    def _text(self) -> ColumnElement[str]:
        if self.session.postgres:
            return records.c.body.op("::json->>")("text")
        return func.json_extract(records.c.body, "$.text", type_=TextType)

    def _paged(
        self, statement: Select[Any], request: PageRequest, date: ColumnElement[int], number: ColumnElement[int]
    ) -> Select[Any]:
        """The statement between the marks of a request and in its order, the other way round if it is backwards."""
        for mark, ascending in ((request.after, not request.descending), (request.before, request.descending)):
            if mark is not None:
                statement = statement.where(_beyond(mark, date, number, ascending=ascending))
        falling = request.descending is not request.backwards
        order = (date.desc(), number.desc()) if falling else (date, number)
        return statement.order_by(*order).limit(request.limit + 1)

    def _one(self, statement: Select[Any], given: Mapping[str, object] | None = None) -> Message | None:
        found = self._all(statement, given)
        return found[0] if found else None

    def _all(self, statement: Select[Any], given: Mapping[str, object] | None = None) -> list[Message]:
        return [_message(row) for row in self.session.tuples(statement, given)]
