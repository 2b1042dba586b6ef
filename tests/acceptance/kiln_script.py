"""Run by an interpreter that has kiln_ai: `write <folder>` makes a project folder, `read <folder>` tells of one."""

import json
import sys
from pathlib import Path

from kiln_ai.datamodel import DataSource, Feedback, Project, Task, TaskOutput, TaskOutputRating, TaskRun


def write(folder: Path) -> None:
    """Make a project with a rated run, feedback on it, and a repaired one."""
    folder.mkdir()
    project = Project(name="Acceptance", path=folder / "project.kiln")
    project.save_to_file()
    task = Task(parent=project, name="Answer", instruction="Answer.")
    task.save_to_file()
    human = DataSource(type="human", properties={"created_by": "carol"})
    for text, rating in (("good", 5), ("bad", 1)):
        output = TaskOutput(output=text, source=human, rating=TaskOutputRating(type="five_star", value=rating))
        repair = {"repair_instructions": "r", "repaired_output": TaskOutput(output="fine", source=human)}
        more = repair if rating == 1 else {}
        run = TaskRun(parent=task, input="i", input_source=human, output=output, tags=[text], **more)
        run.save_to_file()
        Feedback(parent=run, feedback=f"that is {text}", source="run-page").save_to_file()


def read(folder: Path) -> None:
    """Print every run with what is judged of it."""
    project = Project.load_from_file(folder / "project.kiln")
    runs = [
        [run.id, run.tags, run.output.rating.value, run.repaired_output and run.repaired_output.output]
        + [item.feedback for item in run.feedback()]
        for task in project.tasks()
        for run in task.runs()
    ]
    sys.stdout.write(json.dumps({"project": project.id, "runs": sorted(runs)}))


{"write": write, "read": read}[sys.argv[1]](Path(sys.argv[2]))
