"""What a script with the unmodified label-studio-sdk does, run by that package's own interpreter; prints JSON."""

import json
import sys
import tempfile
from pathlib import Path

from label_studio_sdk import Client, LabelStudio

CONFIG = (
    '<View><Text name="text" value="$text"/><Choices name="mood" toName="text">'
    '<Choice value="good"/><Choice value="bad"/></Choices></View>'
)


def main(url: str, key: str) -> dict[str, object]:
    """Import, poll, list, annotate with both generations of the SDK."""
    modern = LabelStudio(base_url=url, api_key=key)
    project = modern.projects.create(title="From the SDK", label_config=CONFIG)
    accepted = modern.projects.import_tasks(id=project.id, request=[{"text": "a"}, {"text": "b"}], return_task_ids=True)
    status = modern.tasks.create_many_status(id=project.id, import_pk=accepted.import_)
    result = [{"from_name": "mood", "to_name": "text", "type": "choices", "value": {"choices": ["good"]}}]
    annotation = modern.annotations.create(id=status.task_ids[0], result=result)
    older = Client(url=url, api_key=key).get_project(project.id)
    with tempfile.TemporaryDirectory() as folder:
        table = Path(folder) / "tasks.csv"
        table.write_text("text,n\nhello,1\nworld,2\n")
        from_file = older.import_tasks(str(table))
    return {
        "me": modern.users.whoami().email,
        "status": status.status,
        "ids": status.task_ids,
        "texts": [task.data["text"] for task in modern.tasks.list(project=project.id)],
        "annotated": modern.tasks.get(id=annotation.task).is_labeled,
        "from_list": older.import_tasks([{"text": "x"}, {"text": "y"}]),
        "from_file": from_file,
        "all": len(older.get_tasks()),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(main(*sys.argv[1:])))
