"""A frontend with people behind it, over HTTP: they ask for tasks, acknowledge and answer them."""

from itertools import count
from typing import Any

from starlette.testclient import TestClient

from conftest import ADMIN_TOKEN, client_of, ok
from headrace.app import Application, admin_of
from headrace.core import conversations

FLAGS = ("spam", "lang_mismatch")


def user(name: str) -> dict[str, str]:
    """Somebody, as a body names them."""
    return {"id": name, "display_name": name.title(), "auth_method": "local"}


class Frontend:
    """An API client's calls below /api/v1."""

    def __init__(self, application: Application, key: str = ADMIN_TOKEN) -> None:
        self.http: TestClient = client_of(application, None)
        self.http.headers["X-API-Key"] = key
        self._application = application
        self._numbers = count(1)
        self.lang: str | None = None

    def configure(self, **changes: object) -> None:
        """Change what the collection aims at."""
        self._application.store.write(lambda tx: conversations.configure(tx, admin_of(tx), changes))

    def get(self, path: str, viewer: str = "", **query: Any) -> Any:
        """GET, for a user if one is named."""
        return self.http.get(f"/api/v1{path}", params=query, headers=self._acting(viewer))

    def post(self, path: str, body: Any = None, viewer: str = "", **query: Any) -> Any:
        """POST, for a user if one is named."""
        return self.http.post(f"/api/v1{path}", json=body, params=query, headers=self._acting(viewer))

    def fresh(self) -> str:
        """An id that was not used before."""
        return f"m{next(self._numbers)}"

    def ask(self, name: str, kind: str = "random", **fields: Any) -> dict[str, Any]:
        """A task for somebody."""
        body = {"type": kind, "user": user(name), "lang": self.lang, **fields}
        task: dict[str, Any] = ok(self.post("/tasks/", body))
        return task

    def take(self, name: str, kind: str = "random", key: str = "", **fields: Any) -> tuple[dict[str, Any], str]:
        """A task for somebody, acknowledged, and the id under which it was."""
        task, key = self.ask(name, kind, **fields), key or self.fresh()
        ok(self.post(f"/tasks/{task['id']}/ack", {"message_id": key}))
        return task, key

    def say(self, name: str, key: str, text: str = "", **fields: Any) -> Any:
        """Answer a writing task; the answer as it is."""
        body = {"type": "text_reply_to_message", "message_id": key, "user_message_id": self.fresh()}
        return self.post("/tasks/interaction", body | {"text": text or f"text {key}", "user": user(name)} | fields)

    def label(self, name: str, task: dict[str, Any], **labels: Any) -> Any:
        """Answer a labelling task; the answer as it is."""
        said = {"message_id": task.get("message_id"), "task_id": task["id"], "text": "x", "labels": labels}
        return self.post("/tasks/interaction", {"type": "text_labels", "user": user(name), **said})

    def rank(self, name: str, key: str, *ranking: Any) -> Any:
        """Answer a ranking task; the answer as it is."""
        body = {"type": "message_ranking", "message_id": key, "ranking": list(ranking), "user": user(name)}
        return self.post("/tasks/interaction", body)

    def write(self, name: str, kind: str = "initial_prompt", text: str = "", **fields: Any) -> str:
        """Do a writing task from beginning to end; answers the id of the new message."""
        _, key = self.take(name, kind, **fields)
        ok(self.say(name, key, text))
        return str(ok(self.get("/messages/", max_count=1, username=name, auth_method="local"))[0]["id"])

    def review(self, kind: str, *names: str, spam: float = 0) -> None:
        """Let each of them review one message."""
        for name in names:
            task, _ = self.take(name, kind)
            ok(self.label(name, task, spam=spam))

    def grown(self) -> str:
        """The id of a prompt that was accepted and grows."""
        prompt = self.write("author")
        self.review("label_initial_prompt", "one", "two", "three")
        return prompt

    def ready_to_rank(self) -> str:
        """The id of a prompt whose two replies were accepted and are to be ranked; one review decides."""
        self.configure(
            goal_tree_size=3,
            max_tree_depth=1,
            num_reviews_initial_prompt=1,
            num_reviews_reply=1,
            num_required_rankings=1,
        )
        prompt = self.write("author")
        self.review("label_initial_prompt", "one")
        for writer in ("first", "second"):
            self.write(writer, "assistant_reply")
            self.review("label_assistant_reply", "one")
        return prompt

    def _acting(self, viewer: str) -> dict[str, str]:
        return {"X-OASST-USER": f"local:{viewer}"} if viewer else {}


def code(answer: Any) -> tuple[int, int]:
    """The status and the code of a refusal; -1 for one without a code."""
    return answer.status_code, answer.json().get("error_code", -1)
