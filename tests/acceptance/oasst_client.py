"""A small client as Open-Assistant's frontends have one: it parses each task by its type, strictly."""

import random
from typing import Any

import httpx2

KEYS: dict[str, set[str]] = {
    "initial_prompt": {"hint"},
    "assistant_reply": {"conversation"},
    "prompter_reply": {"conversation", "hint"},
    "task_done": set(),
}
LABELLING = {"message_id", "valid_labels", "mandatory_labels", "mode", "disposition", "labels", "conversation"}
RANKING = {
    "conversation",
    "replies",
    "reply_messages",
    "message_tree_id",
    "ranking_parent_id",
    "reveal_synthetic",
}
KEYS |= {"label_initial_prompt": LABELLING | {"prompt"}}
KEYS |= dict.fromkeys(("label_assistant_reply", "label_prompter_reply"), LABELLING | {"reply"})
KEYS |= dict.fromkeys(("rank_assistant_replies", "rank_prompter_replies"), RANKING)
MESSAGE = {
    "id",
    "user_id",
    "frontend_message_id",
    "text",
    "lang",
    "is_assistant",
    "emojis",
    "user_emojis",
    "user_is_author",
    "synthetic",
}


class OasstError(Exception):
    """The server refused; `code` and `status` say why."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status, self.code = status, code


class OasstClient:
    """The calls that every frontend makes."""

    def __init__(self, http: httpx2.Client) -> None:
        self.http = http

    def post(self, path: str, body: Any, user: dict[str, str] | None = None, **query: str) -> Any:
        """POST to a path below /api/v1; None for an answer without content."""
        headers = {"X-OASST-USER": f"{user['auth_method']}:{user['id']}"} if user else {}
        answer = self.http.post(f"/api/v1{path}", json=body, headers=headers, params=query)
        if answer.status_code == 204:
            assert answer.content == b""
            return None
        if answer.status_code >= 300:
            problem = answer.json()
            raise OasstError(answer.status_code, problem.get("error_code", 0), problem.get("message", answer.text))
        return answer.json()

    def fetch_task(self, kind: str, user: dict[str, str] | None = None, lang: str | None = None) -> dict[str, Any]:
        """A task, checked to have exactly the keys of its type."""
        body = {"type": kind, "user": user, "collective": False} | ({"lang": lang} if lang else {})
        return checked(self.post("/tasks/", body))

    def ack_task(self, task_id: str, message_id: str) -> None:
        """Take a task."""
        assert self.post(f"/tasks/{task_id}/ack", {"message_id": message_id}) is None

    def nack_task(self, task_id: str, reason: str) -> None:
        """Skip a task."""
        assert self.post(f"/tasks/{task_id}/nack", {"reason": reason}) is None

    def post_interaction(self, interaction: dict[str, Any]) -> dict[str, Any]:
        """Answer a task; answers the next one."""
        return checked(self.post("/tasks/interaction", interaction))


def checked(task: dict[str, Any]) -> dict[str, Any]:
    """The task, with all its keys and no other, all the way down to its messages."""
    assert set(task) == KEYS[task["type"]] | {"id", "type"}, task
    for message in task.get("conversation", {}).get("messages", []) + task.get("reply_messages", []):
        assert set(message) == MESSAGE
    return task


def work_once(client: OasstClient, person: str, rng: random.Random) -> str | None:
    """What a person at the text frontend does: take any task and answer it; the kind of task, None if there is none.

    Ids come from 1000 to 9999 and are used again and again.
    """
    user = {"id": person, "display_name": person, "auth_method": "local"}
    try:
        task = client.fetch_task("random", user)
    except OasstError as error:
        if (error.status, error.code) != (503, 1006):
            raise
        return None
    message_id = str(rng.randint(1000, 9999))
    client.ack_task(task["id"], message_id)
    done = client.post_interaction(
        {"user": user, "message_id": message_id, "task_id": task["id"], "lang": "en"} | answered(task, rng)
    )
    assert done["type"] == "task_done"
    return str(task["type"])


def answered(task: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """An answer to a task; numbers as text, as the text frontend sends them."""
    if "replies" in task:
        order = rng.sample(range(len(task["replies"])), len(task["replies"]))
        return {"type": "message_ranking", "ranking": [str(place) for place in order]}
    if "valid_labels" in task:
        text = task.get("prompt") or task["reply"]
        labels = {name: "0" for name in task["mandatory_labels"]}
        return {"type": "text_labels", "text": text, "labels": labels, "message_id": task["message_id"]}
    words = f"words {rng.random()}"
    return {"type": "text_reply_to_message", "text": words, "user_message_id": str(rng.randint(1000, 9999))}
