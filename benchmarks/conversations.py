"""Conversations: what a task costs, lists of messages, choosing a task in collections of any size, and a campaign.

    python -m benchmarks conversations [--people N] [--prompts N] [--sizes 100,10000,100000] [--only PART ...]

The campaign is people of differing quality who work over HTTP until every tree has ended; its export is read back.
Targets are in milliseconds of the server's processor time; the original's figures stand beside them.
"""

import argparse
import json
import random
import sqlite3
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.client import HTTPConnection
from itertools import combinations, count
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.serving import ADMIN_TOKEN, Server, cost, serving
from headrace.core.content import Kind
from headrace.core.records import NewRecord
from headrace.storage import open_store

API = "/api/v1"
CONFIG = "/headrace/v1/conversations/config"
EXPORT = "/headrace/v1/conversations/export"
TARGETS = {"task_ack_interaction": 10.0, "messages_1000": 15.0, "cursor_1000": 15.0}
ORIGINAL = {"task_ack_interaction": (85, 139), "messages_1000": 539}
FLAT = 1.5
ROUNDS = 9
CYCLES = 10
LISTED = 1_000
CHUNK = 5_000
TREE = 3
NOTHING_TO_DO = 1006
ENDED = {"ready_for_export", "aborted_low_grade", "halted_by_moderator", "scoring_failed"}
PARTS = ("cycle", "lists", "choice", "campaign")


class Person(NamedTuple):
    """Somebody who works: how good their texts are, how well they judge others', and how often they write spam."""

    name: str
    skill: float
    judgement: float
    spam: float

    @property
    def user(self) -> dict[str, str]:
        """As a frontend names them."""
        return {"id": self.name, "display_name": self.name.title(), "auth_method": "local"}


def people(number: int, seed: int = 1) -> list[Person]:
    """So many people; every tenth writes spam."""
    chance = random.Random(seed)
    return [
        Person(f"person-{place}", chance.random(), chance.random(), 0.8 if place % 10 == 9 else 0.02)
        for place in range(number)
    ]


class Crowd:
    """People at work on one connection. What a text is worth is written in it, so that others can judge it."""

    def __init__(self, server: Server, seed: int = 1) -> None:
        self._server = server
        self._chance = random.Random(seed)
        self._keys = count()
        self.kinds: Counter[str] = Counter()

    def ask(self, person: Person, kind: str = "random") -> dict[str, Any] | None:
        """A task, None when there is nothing to do; raises RuntimeError for any other refusal."""
        status, found = _call(
            self._server.connection, "POST", f"{API}/tasks/", {"type": kind, "user": person.user, "lang": "en"}
        )
        if status == 503 and found["error_code"] == NOTHING_TO_DO:
            return None
        if status != 200:
            raise RuntimeError(f"a task is refused: {status} {found}")
        return dict(found)

    def work(self, person: Person, kind: str = "random") -> bool:
        """Do one task from beginning to end; False when there is nothing to do."""
        task = self.ask(person, kind)
        if task is None:
            return False
        key = f"key-{next(self._keys)}"
        self._must("POST", f"{API}/tasks/{task['id']}/ack", {"message_id": key}, 204)
        self._must("POST", f"{API}/tasks/interaction", self._answer(person, task, key), 200)
        self.kinds[task["type"]] += 1
        return True

    def _must(self, method: str, path: str, body: object, wanted: int) -> None:
        status, found = _call(self._server.connection, method, path, body)
        if status != wanted:
            raise RuntimeError(f"{method} {path}: {status} {found}")

    def _answer(self, person: Person, task: Mapping[str, Any], key: str) -> dict[str, Any]:
        said: dict[str, Any] = {"user": person.user, "message_id": key}
        if task["type"].startswith("label_"):
            return said | {
                "type": "text_labels",
                "message_id": task["message_id"],
                "task_id": task["id"],
                "text": "",
                "labels": {name: self._label(person, name, task) for name in task["valid_labels"]},
            }
        if task["type"].startswith("rank_"):
            worth = [self._perceived(person, text) for text in task["replies"]]
            order = sorted(range(len(worth)), key=lambda place: -worth[place])
            return said | {"type": "message_ranking", "ranking": order}
        written = f"{key} " + " ".join(f"word{self._chance.randrange(2000)}" for _ in range(20))
        is_spam = self._chance.random() < person.spam
        worth_of_it = 0.0 if is_spam else min(1.0, max(0.01, self._chance.gauss(person.skill, 0.15)))
        text = f"{written} worth={worth_of_it:.3f}"
        return said | {"type": "text_reply_to_message", "user_message_id": f"message-{key}", "text": text}

    def _label(self, person: Person, name: str, task: Mapping[str, Any]) -> float:
        worth = worth_of(str(task.get("prompt") or task.get("reply")))
        mistaken = self._chance.random() < 0.1 * (1 - person.judgement)
        if name == "spam":
            return float((worth == 0) is not mistaken)
        return round(worth * 4) / 4 if name in ("quality", "helpfulness", "creativity") else 0.0

    def _perceived(self, person: Person, text: str) -> float:
        return worth_of(text) + self._chance.gauss(0, 0.4 * (1 - person.judgement))


def worth_of(text: str) -> float:
    """What a text of the crowd is worth."""
    return float(text.rpartition("worth=")[2])


def _call(connection: HTTPConnection, method: str, path: str, body: object = None) -> tuple[int, Any]:
    content = None if body is None else json.dumps(body).encode()
    headers = {"X-API-Key": ADMIN_TOKEN, "Content-Type": "application/json"}
    connection.request(method, path, content, headers)
    answer = connection.getresponse()
    found = answer.read()
    return answer.status, json.loads(found) if found else None


def configure(server: Server, **changes: object) -> None:
    """Change what the collection aims at."""
    server.call("PATCH", CONFIG, changes)


def run_cycle(number: int) -> dict[str, object]:
    """Task, acknowledgement and answer of people who take whatever there is, in a collection that is in full work."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        crowd, everybody = Crowd(server), people(number)
        _begin(crowd, everybody, prompts=12)
        turn = count()
        for _ in range(CYCLES * 3):
            crowd.work(everybody[next(turn) % number])
        server.settle()

        def cycle() -> None:
            while not crowd.work(everybody[next(turn) % number]):
                pass

        own = _own_cpu(server, cycle)
        found = cost(server, cycle, rounds=ROUNDS, each=CYCLES).figures()
    return {
        "serving_cpu_ms": own,
        "with_learning": found,
        "target_ms": TARGETS["task_ack_interaction"],
        "original_ms": ORIGINAL["task_ack_interaction"],
    }


def _own_cpu(server: Server, work: Callable[[], None]) -> float:
    """Milliseconds of the serving process alone: the children that learn from the labels meanwhile are apart."""
    clock = (~server.pid << 3) | 2
    samples = []
    for _ in range(ROUNDS):
        before = time.clock_gettime(clock)
        for _ in range(CYCLES):
            work()
        samples.append((time.clock_gettime(clock) - before) / CYCLES * 1e3)
    return round(statistics.median(samples), 2)


def _begin(crowd: Crowd, everybody: Sequence[Person], prompts: int) -> None:
    """So many prompts, by different people."""
    for person in everybody[:prompts]:
        crowd.work(person, "initial_prompt")


def run_lists() -> dict[str, object]:
    """A thousand messages as a list, as a page, and as a page in the middle."""
    with tempfile.TemporaryDirectory() as folder:
        _filled(Path(folder), LISTED, "ready_for_export")
        with serving(Path(folder)) as server:
            pages = {
                "messages_1000": f"{API}/messages/?max_count={LISTED}",
                "cursor_1000": f"{API}/messages/cursor?max_count={LISTED}",
            }
            first = server.json("GET", pages["cursor_1000"])
            if len(first["items"]) != LISTED or first["next"] is None:
                raise RuntimeError("the first page is not full")
            pages["cursor_1000_behind"] = f"{pages['cursor_1000']}&after={first['next'].replace('+', '%2B')}"
            server.settle()
            found = {
                name: cost(server, lambda path=path: server.call("GET", path), rounds=ROUNDS).figures()  # type: ignore[misc]
                for name, path in pages.items()
            }
    return {**found, "target_ms": TARGETS["messages_1000"], "original_ms": ORIGINAL["messages_1000"]}


def run_choice(sizes: Sequence[int]) -> dict[str, object]:
    """A task of any kind in collections of growing size: most trees finished, and every tree at work."""
    found = {
        name: {size: _chosen(size, state) for size in sizes}
        for name, state in (("finished", "ready_for_export"), ("growing", "growing"))
    }
    ratios = {name: round(costs[sizes[-1]] / costs[sizes[0]], 2) for name, costs in found.items()}
    return {"cpu_ms": found, "ratio": ratios, "target_ratio": FLAT}


def _chosen(size: int, state: str) -> float:
    with tempfile.TemporaryDirectory() as folder:
        _filled(Path(folder), size, state)
        with serving(Path(folder)) as server:
            crowd, everybody = Crowd(server), people(40)
            limit = size + 100 if state == "growing" else 10
            configure(server, max_active_trees=limit, max_pending_tasks_per_user=1_000_000)
            _begin(crowd, everybody, prompts=12)
            turn = count()
            server.settle()
            return cost(server, lambda: crowd.ask(everybody[next(turn) % 40]), rounds=ROUNDS, each=CYCLES).cpu


def _filled(data: Path, trees: int, state: str) -> None:
    """A collection of so many trees of three messages, straight into the tables."""
    with serving(data) as server:
        configure(server, goal_tree_size=12)
        status, person = _call(server.connection, "POST", f"{API}/frontend_users/", people(1)[0].user)
        if status != 200:
            raise RuntimeError(f"nobody can be registered: {person}")
    author = int(person["user_id"].rpartition("-")[2], 16)
    store = open_store(f"sqlite:///{data / 'headrace.sqlite3'}")
    [source] = store.read(lambda tx: tx.sources.all(None))
    ids: list[int] = []
    for start in range(0, trees * TREE, CHUNK):
        rows = [_record(number) for number in range(start, min(start + CHUNK, trees * TREE))]
        ids += store.write(lambda tx, rows=rows: tx.records.insert(source.id, rows))  # type: ignore[misc]
    store.close()
    connection = sqlite3.connect(data / "headrace.sqlite3")
    (dataset,) = connection.execute("SELECT id FROM datasets").fetchone()
    _insert(connection, "trees", (_tree(dataset, root, state) for root in ids[::TREE]))
    _insert(connection, "messages", (_message(dataset, author, ids, place, state) for place in range(len(ids))))
    connection.execute("ANALYZE")
    connection.commit()
    connection.close()


def _insert(connection: sqlite3.Connection, table: str, rows: Iterator[dict[str, object]]) -> None:
    first = next(rows)
    names = ", ".join(f":{name}" for name in first)
    statement = f"INSERT INTO {table} ({', '.join(first)}) VALUES ({names})"
    connection.execute(statement, first)
    connection.executemany(statement, rows)


def _record(number: int) -> NewRecord:
    role = "prompter" if number % TREE == 0 else "assistant"
    text = " ".join(f"word{(number * step) % 5000}" for step in range(1, 23))
    body = json.dumps({"text": text, "role": role, "lang": "en"}, separators=(",", ":"))
    return NewRecord(None, Kind.MESSAGE, body, None, 1_700_000_000_000_000 + number)


def _tree(dataset: int, root: int, state: str) -> dict[str, object]:
    limits = {"goal": 12, "max_children": 3, "max_depth": 3, "size": TREE, "origin": None}
    return {
        "record_id": root,
        "dataset_id": dataset,
        "state": state,
        "lang": "en",
        **limits,
        "drawn_at": 1,
        "created_at": 1,
    }


def _message(dataset: int, author: int, ids: Sequence[int], place: int, state: str) -> dict[str, object]:
    """A prompt with two replies: in a growing tree it calls for a third, and one of its replies for a review."""
    root = place - place % TREE
    offers = ("assistant_reply", "label_assistant_reply", "prompter_reply") if state == "growing" else (None,) * TREE
    reviewed = place % TREE != 1 or state != "growing"
    return {
        "record_id": ids[place],
        "dataset_id": dataset,
        "tree_id": ids[root],
        "parent_id": None if place == root else ids[root],
        "role": "prompter" if place == root else "assistant",
        "lang": "en",
        "depth": int(place != root),
        "author_id": author,
        "client_id": 1,
        "frontend_id": f"filled-{place}",
        "created_at": 1_700_000_000_000_000 + place,
        "review_count": 3 if reviewed else 0,
        "accepted": True if reviewed else None,
        **dict.fromkeys(("deleted", "edited", "late", "synthetic"), False),
        "rank": None,
        "ranking_count": 0,
        "live_children": 2 if place == root else 0,
        "offer": offers[place % TREE],
        "draw": random.Random(place).randrange(2**31),
        "emojis": "{}",
    }


def run_campaign(number: int, prompts: int) -> dict[str, object]:
    """People take whatever there is until every tree has ended; raises RuntimeError when one never does."""
    with tempfile.TemporaryDirectory() as folder, serving(Path(folder)) as server:
        crowd, everybody = Crowd(server), people(number)
        configure(server, max_prompt_lottery_waiting=max(250, prompts), max_initial_prompt_review=max(100, prompts))
        clock = (~server.pid << 3) | 2
        before, start = (server.cpu(), time.clock_gettime(clock)), time.perf_counter()
        for place in range(prompts):
            crowd.work(everybody[place % number], "initial_prompt")
        configure(server, init_prompt_disabled_langs=["en"])
        _work_until_all_rest(crowd, everybody)
        seconds = time.perf_counter() - start
        cpu, own = server.cpu() - before[0], time.clock_gettime(clock) - before[1]
        states = server.json("GET", f"{API}/stats/tree_manager/state_counts")
        if not set(states) <= ENDED:
            raise RuntimeError(f"nobody finds anything to do, but trees are left: {states}")
        messages = server.json("GET", f"{API}/stats/")["all"]
        read = _read_back(server)
    if read["trees"] != states.get("ready_for_export", 0):
        raise RuntimeError(f"{read['trees']} trees were exported of {states}")
    tasks = sum(crowd.kinds.values())
    return {
        "people": number,
        "messages": messages,
        "trees": states,
        "tasks": dict(crowd.kinds),
        "seconds": round(seconds, 1),
        "serving_cpu_ms_per_task": round(own / tasks * 1e3, 2),
        "learning_cpu_seconds": round(cpu - own, 1),
        "export": read,
    }


def _work_until_all_rest(crowd: Crowd, everybody: Sequence[Person]) -> None:
    idle = 0
    for turn in count():
        idle = 0 if crowd.work(everybody[turn % len(everybody)]) else idle + 1
        if idle == len(everybody):
            return


def _read_back(server: Server) -> dict[str, object]:
    """What the export holds: trees, messages, and the share of ranked pairs that are in the order of their worth."""
    lines = server.call("GET", EXPORT).decode().splitlines()
    nodes = [node for line in lines for node in _nodes(json.loads(line)["prompt"])]
    right: list[bool] = []
    for node in nodes:
        ranked = [reply for reply in node["replies"] if "rank" in reply]
        for one, other in combinations(sorted(ranked, key=lambda reply: reply["rank"]), 2):
            right.append(worth_of(one["text"]) >= worth_of(other["text"]))
    share = round(statistics.mean(right), 3) if right else None
    return {"trees": len(lines), "messages": len(nodes), "ranked_pairs": len(right), "in_order_of_worth": share}


def _nodes(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield node
    for reply in node["replies"]:
        yield from _nodes(reply)


def main(arguments: Sequence[str]) -> None:
    """Print the report of a run as the arguments ask for it."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks conversations")
    parser.add_argument("--people", type=int, default=60)
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--sizes", default="100,10000")
    parser.add_argument("--only", nargs="+", choices=PARTS, default=PARTS)
    given = parser.parse_args(arguments)
    sizes = [int(size) for size in given.sizes.split(",")]
    parts: dict[str, Callable[[], dict[str, object]]] = {
        "cycle": lambda: run_cycle(given.people),
        "lists": run_lists,
        "choice": lambda: run_choice(sizes),
        "campaign": lambda: run_campaign(given.people, given.prompts),
    }
    report = {name: part() for name, part in parts.items() if name in given.only}
    print(json.dumps({"benchmark": "conversations", **report}, indent=2), flush=True)
