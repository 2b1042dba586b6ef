"""Answers that the published description shows, so that a mock made from it says something sensible."""

from collections.abc import Mapping

from headrace.core.messages import TaskKind
from headrace.core.text_labels import ASSISTANT_REPLY, PROMPT, PROMPTER_REPLY, SPAM, describe
from headrace.dialects.open_assistant.ids import Kind, uuid_of

_WORDS = ("How do tides work?", "The moon pulls at the water.", "And the sun?", "It pulls too, but less.")


def _message(number: int, text: str, *, assistant: bool) -> dict[str, object]:
    return {
        "id": uuid_of(number, Kind.MESSAGE),
        "user_id": uuid_of(number, Kind.USER),
        "frontend_message_id": f"message-{number}",
        "text": text,
        "lang": "en",
        "is_assistant": assistant,
        "emojis": {},
        "user_emojis": [],
        "user_is_author": False,
        "synthetic": False,
    }


_MESSAGES = [_message(place + 1, text, assistant=bool(place % 2)) for place, text in enumerate(_WORDS)]


def _task(kind: TaskKind, **fields: object) -> dict[str, object]:
    return {"id": uuid_of(1, Kind.TASK), "type": kind.value, **fields}


def _conversation(length: int) -> dict[str, object]:
    return {"messages": _MESSAGES[:length]}


def _labelling(kind: TaskKind, length: int, valid: tuple[str, ...], field: str) -> dict[str, object]:
    return _task(
        kind,
        message_id=_MESSAGES[length - 1]["id"],
        valid_labels=list(valid),
        mandatory_labels=[SPAM],
        mode="full",
        disposition="quality",
        labels=[item._asdict() for item in describe(valid)],
        conversation=_conversation(length),
        **{field: _WORDS[length - 1]},
    )


def _ranking(kind: TaskKind, length: int) -> dict[str, object]:
    texts = ("One answer.", "Another answer.")
    replies = [_message(10 + place, text, assistant=length % 2 == 1) for place, text in enumerate(texts)]
    return _task(
        kind,
        conversation=_conversation(length),
        replies=list(texts),
        reply_messages=replies,
        message_tree_id=_MESSAGES[0]["id"],
        ranking_parent_id=_MESSAGES[length - 1]["id"],
        reveal_synthetic=False,
    )


TASKS: Mapping[str, object] = {
    "initial_prompt": _task(TaskKind.INITIAL_PROMPT, hint=None),
    "assistant_reply": _task(TaskKind.ASSISTANT_REPLY, conversation=_conversation(1)),
    "prompter_reply": _task(TaskKind.PROMPTER_REPLY, conversation=_conversation(2), hint=None),
    "label_initial_prompt": _labelling(TaskKind.LABEL_INITIAL_PROMPT, 1, PROMPT, "prompt"),
    "label_assistant_reply": _labelling(TaskKind.LABEL_ASSISTANT_REPLY, 2, ASSISTANT_REPLY, "reply"),
    "label_prompter_reply": _labelling(TaskKind.LABEL_PROMPTER_REPLY, 3, PROMPTER_REPLY, "reply"),
    "rank_assistant_replies": _ranking(TaskKind.RANK_ASSISTANT_REPLIES, 1),
    "rank_prompter_replies": _ranking(TaskKind.RANK_PROMPTER_REPLIES, 2),
    "task_done": {"id": uuid_of(1, Kind.ANSWER), "type": "task_done"},
}
"""One task of each kind that is given, by kind."""
