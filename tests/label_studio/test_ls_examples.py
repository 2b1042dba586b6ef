"""What was recorded with the original, asked of this server: the differences are known, and told with their reasons."""

from pathlib import Path

from replay import EXAMPLES, Difference, Replay
from starlette.testclient import TestClient

DOCS = Path(__file__).parents[2] / "docs" / "label-studio.md"
JSON_IMPORTS = ("array", "ids", "single", "dup_param", "dup_param2", "nocommit", "pred_badlabel", "full", "preann")
POLLS = ("array", "ids", "single", "full", "nocommit", "predbad")
PARTS = ("label-studio-os-backend", "label-studio-frontend", "dm2", "label-studio-converter", "lsf", "backend")

KNOWN: dict[str, dict[str, Difference]] = {
    "`/api/version` names no builds of parts that headrace does not have": {
        "version": Difference(200, tuple(f".{name}" for name in PARTS))
    },
    "`found_formats` is always an object": {
        f"import_{name}": Difference(201, (".found_formats: not a list",)) for name in (*JSON_IMPORTS, "preann_missing")
    },
    "an import does not echo its `tasks`": {
        f"a_{name}_poll": Difference(200, (".tasks: not a list",)) for name in POLLS
    },
    "`unique_id` of an annotation is null unless it was sent": {
        name: Difference(200, ("[].annotations[].unique_id: null, not str",))
        for name in ("export_JSON", "export_all", "export_ids", "snap_dl")
    },
    "every path has both spellings": {"import_slash": Difference(201, ())},
    "JSON Lines files are read": {"import_jsonl": Difference(201, ())},
    "a task's new data must fit the label config": {
        "task_patch_bad": Difference(400, ()),
        "next": Difference(200, (".data.nope",)),
        "dm_next": Difference(200, (".data.nope",)),
        "tasks_view": Difference(200, (".tasks[].data.nope",)),
    },
    "a pushed prediction must fit it too": {
        name: Difference(400, ()) for name in ("pred_create_bad", "import_predictions_badlabel")
    },
    "what the original meets with a 500, or takes for something else, is a 400": {
        name: Difference(400, ())
        for name in ("import_nonobj", "action_bad", "export_NOPE", "f_badop", "f_badcol", "f_badjson")
    },
    "`PUT` of a project, and image and sound formats, are 501": {
        name: Difference(501, ()) for name in ("project_put", "export_COCO", "export_YOLO")
    },
}
"""By its reason, which the page gives: every answer that differs from the original's."""


def test_the_originals_answers(api: TestClient) -> None:
    """Statuses, keys and types are the original's but for the differences known, and nothing known has gone."""
    replay, found = Replay(api), {}
    replay.begin(6)
    for example in EXAMPLES:
        if example["name"] == "user_create":
            replay.begin(10, annotated=True)  # from here on the recording is another session's
        difference = replay.play(example)
        if difference is not None:
            found[example["name"]] = difference
    assert found == {name: difference for known in KNOWN.values() for name, difference in known.items()}


def test_the_differences_are_documented() -> None:
    """The page for users names every difference in the words that stand here."""
    text = " ".join(DOCS.read_text().split())
    assert [reason for reason in KNOWN if reason not in text] == []
