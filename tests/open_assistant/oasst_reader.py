"""A reader of exported conversations, written from the format's description alone: it raises for whatever breaks it."""

import gzip
import json
from collections.abc import Iterator
from typing import Any

TREE = {"message_tree_id", "tree_state", "prompt"}
NODE = {"message_id", "created_date", "text", "role", "lang", "review_count", "deleted", "synthetic"}
OPTIONAL = {"parent_id", "user_id", "review_result", "rank", "model_name", "emojis", "labels", "events"}
EVENTS = {"emoji": {"emoji"}, "rating": {"rating"}, "ranking": {"ranking", "ranked_message_ids"}}
TURNS = {None: "prompter", "prompter": "assistant", "assistant": "prompter"}

Line = dict[str, Any]


def read(content: bytes, *, packed: bool = False) -> tuple[list[Line], list[Line]]:
    """The trees and the flat messages of a file."""
    text = (gzip.decompress(content) if packed else content).decode()
    lines = [json.loads(line) for line in text.splitlines()]
    trees = [line for line in lines if "message_id" not in line]
    flat = [line for line in lines if "message_id" in line]
    for tree in trees:
        assert set(tree) - {"origin"} == TREE, set(tree)
        _check_node(tree["prompt"], None)
    for message in flat:
        assert "replies" not in message
        _check_fields(message, {"message_tree_id", "tree_state"})
    return trees, flat


def nodes(node: Line) -> Iterator[Line]:
    """A node and all below it."""
    yield node
    for reply in node["replies"]:
        yield from nodes(reply)


def _check_node(node: Line, parent: Line | None) -> None:
    _check_fields(node, {"replies"})
    assert node.get("parent_id") == (parent["message_id"] if parent else None)
    assert node["role"] == TURNS[parent["role"] if parent else None]
    ranks = [reply.get("rank") for reply in node["replies"]]
    ranked = [rank for rank in ranks if rank is not None]
    assert ranks == sorted(ranked) + [None] * (len(ranks) - len(ranked))
    for reply in node["replies"]:
        _check_node(reply, node)


def _check_fields(node: Line, more: set[str]) -> None:
    assert set(node) >= NODE, NODE - set(node)
    assert set(node) <= NODE | OPTIONAL | more, set(node)
    assert None not in node.values()
    for name, label in node.get("labels", {}).items():
        assert set(label) == {"value", "count"}, name
        assert 0 <= label["value"] <= 1
    for kind, events in node.get("events", {}).items():
        for event in events:
            assert event["type"] == kind
            assert set(event) >= EVENTS[kind]
