"""The task list: filters and orders mean what their columns show, on both databases; bad queries are refused."""

import json
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from label_studio_api import choice, errors_of, imported, make_project
from starlette.testclient import TestClient

from conftest import ok

pytestmark = pytest.mark.server("shared")

NUMBERS = ("id", "inner_id", "total_annotations", "cancelled_annotations", "total_predictions", "avg_lead_time")
TIMES = ("created_at", "updated_at", "completed_at")
TYPES = {
    **dict.fromkeys((*NUMBERS, "predictions_score", "data.n"), "Number"),
    **dict.fromkeys(TIMES, "Datetime"),
    **dict.fromkeys(("data.text", "annotations_ids", "data.missing", "data.mixed"), "String"),
    "annotators": "List",
    "draft_exists": "Boolean",
}
COMPARED = ("less", "greater", "less_or_equal", "greater_or_equal")
WORDED = ("contains", "not_contains", "starts_with", "ends_with")


def query_of(*items: Any, conjunction: str = "and", ordering: Any = None, **more: Any) -> str:
    """The JSON of a query with filters of (column, operator, value)."""
    filters = [
        {"filter": f"filter:tasks:{name}", "operator": operator, "type": TYPES.get(name, "Unknown"), "value": value}
        for name, operator, value in items
    ]
    return json.dumps({"filters": {"conjunction": conjunction, "items": filters}, "ordering": ordering or [], **more})


def listed(api: TestClient, project: int, query: str = "", **more: Any) -> Any:
    """A page of ids that a query finds."""
    return ok(api.get("/api/tasks/", params={"project": project, "include": "id", "query": query, **more}))


def found(api: TestClient, project: int, *items: Any, **more: Any) -> list[int]:
    """The ids that filters of (column, operator, value) find."""
    return [task["id"] for task in listed(api, project, query_of(*items, **more))["tasks"]]


def varied(api: TestClient) -> tuple[int, list[Any]]:
    """A project whose tasks differ in every column, and its tasks as the list shows them."""
    project = make_project(api, maximum_annotations=2)
    mixed = [3, "Äpfel", None, True, 2.5, "10", "3"]
    data = [{"text": f"Text {n % 4}", "n": n % 3, "mixed": mixed[n % 7]} for n in range(9)]
    said = [{"result": choice("Positive"), "score": n / 4, "model_version": f"v{n}"} for n in range(3)]
    ids = imported(api, project, [{"data": one, "predictions": said[: n % 4]} for n, one in enumerate(data)])[
        "task_ids"
    ]
    user = {"username": "second", "email": "second@example.org", "organisation_permissions": {"default": ["annotator"]}}
    api.put("/api/_private/users", json={"user": user})
    for place, task in enumerate(ids[:6]):
        for author in ("admin@example.org", "second@example.org")[: 1 + place % 2]:
            body = {"result": choice("Negative"), "lead_time": place / 2, "was_cancelled": place == 4}
            ok(api.post(f"/api/tasks/{task}/annotations/", json={**body, "completed_by": {"email": author}}))
    return project, ok(api.get("/api/tasks/", params={"project": project, "fields": "all", "page_size": -1}))["tasks"]


def shown(task: Any, column: str) -> list[Any]:
    """What a task's JSON holds in a column, as a list of none, one or several values."""
    value = task["data"].get(column[5:]) if column.startswith("data.") else task[column]
    if TYPES[column] == "String" and value is not None:
        value = str(value).lower() if isinstance(value, bool) else str(value)
    if value is None or value == "":
        return []
    return value if isinstance(value, list) else [value]


def holds(task: Any, column: str, operator: str, value: Any) -> bool:
    """Whether a task satisfies a condition, judged by its JSON; times compare as texts of one form."""
    values = shown(task, column)
    one = {
        "equal": lambda v: v == value,
        "less": lambda v: v < value,
        "greater": lambda v: v > value,
        "less_or_equal": lambda v: v <= value,
        "greater_or_equal": lambda v: v >= value,
        "in": lambda v: value["min"] <= v <= value["max"],
        "in_list": lambda v: v in value,
        "contains": lambda v: v == value if column == "annotators" else value.lower() in v.lower(),
        "starts_with": lambda v: v.lower().startswith(value.lower()),
        "ends_with": lambda v: v.lower().endswith(value.lower()),
    }
    if operator == "empty":
        return (not values) is value
    positive = operator.removeprefix("not_")
    return any(map(one[positive], values)) is (positive == operator)


@st.composite
def conditions(draw: Any, tasks: list[Any]) -> tuple[str, str, Any]:
    """A condition on some column that suits it, with values that occur."""
    column = draw(st.sampled_from(sorted(TYPES)))
    known = [value for task in tasks for value in shown(task, column)]
    if not known or draw(st.integers(0, 5)) == 0:
        return column, "empty", draw(st.booleans())
    value = draw(st.sampled_from(known))
    kind = TYPES[column]
    compared = (*COMPARED, "in", "not_in", "in_list", "not_in_list") if kind in ("Number", "Datetime") else ()
    worded = (*WORDED, "in_list") if kind == "String" else ("contains",) if kind == "List" else ()
    operator = draw(st.sampled_from(("equal", "not_equal", *compared, *worded)))
    if operator.endswith("in_list"):
        return column, operator, [value, draw(st.sampled_from(known))]
    if operator in ("in", "not_in"):
        low, high = sorted([value, draw(st.sampled_from(known))])
        return column, operator, {"min": low, "max": high}
    return column, operator, value


def test_filters_mean_what_the_columns_show(both: TestClient) -> None:
    """Any filters find exactly the tasks whose JSON satisfies them, with the sums of what these tasks say."""
    project, tasks = varied(both)

    @given(st.lists(conditions(tasks), min_size=1, max_size=3), st.sampled_from(["and", "or"]))
    @settings(max_examples=20, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(items: list[Any], conjunction: str) -> None:
        both_or_one = all if conjunction == "and" else any
        wanted = [task for task in tasks if both_or_one(holds(task, *item) for item in items)]
        page = listed(both, project, query_of(*items, conjunction=conjunction))
        assert [task["id"] for task in page["tasks"]] == [task["id"] for task in wanted]
        assert page["total_annotations"] == sum(task["total_annotations"] for task in wanted)
        assert (page["total"], page["total_predictions"]) == (
            len(wanted),
            sum(task["total_predictions"] for task in wanted),
        )

    check()


def test_orders_are_those_of_the_columns(both: TestClient) -> None:
    """Several columns order one behind the other, either way; what has no value comes last, ids decide the rest."""
    project, tasks = varied(both)
    sortable = sorted(set(TYPES) - {"data.mixed"})

    @given(st.lists(st.tuples(st.sampled_from(sortable), st.booleans()), min_size=1, max_size=3))
    @settings(max_examples=12, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    def check(orders: list[tuple[str, bool]]) -> None:
        wanted = list(tasks)
        for column, down in reversed(orders):
            filled = [task for task in wanted if shown(task, column)]
            filled.sort(key=lambda task: shown(task, column), reverse=down)
            wanted = filled + [task for task in wanted if not shown(task, column)]
        ordering = [f"{'-' if down else ''}tasks:{column}" for column, down in orders]
        assert found(both, project, ordering=ordering) == [task["id"] for task in wanted]

    check()


def test_numbers_in_data_come_before_texts(api: TestClient) -> None:
    """A data key that holds both is ordered by number, then by text, then what has neither."""
    project, tasks = varied(api)
    mixed = {task["id"]: task["data"]["mixed"] for task in tasks}
    order = [mixed[number] for number in found(api, project, ordering=["tasks:data.mixed"])]
    assert order == [2.5, 3, 3, "10", "3", True, "Äpfel", "Äpfel", None]


def test_filters_reach_results_labels_and_regular_expressions(api: TestClient) -> None:
    """What was answered and predicted can be searched; a regular expression searches, with regard to case."""
    project, tasks = varied(api)
    annotated = [task["id"] for task in tasks if task["annotations"]]
    assert found(api, project, ("annotations_results", "contains", "negative")) == annotated
    assert found(api, project, ("labels", "equal", "Negative")) == [n for n in annotated if n != tasks[4]["id"]]
    assert found(api, project, ("predictions_model_versions", "equal", "v2")) == [tasks[3]["id"], tasks[7]["id"]]
    assert found(api, project, ("data.text", "not_contains", "1"), ("data.text", "regex", "[12]")) == [
        task["id"] for task in tasks if task["data"]["text"] == "Text 2"
    ]


def test_a_regular_expression_cannot_hold_the_server(api: TestClient) -> None:
    """A pattern that would backtrack for ever is given up with 400, while others are answered."""
    project = make_project(api)
    imported(api, project, [{"text": "a" * 60}])
    began = time.monotonic()
    answer = api.get("/api/tasks/", params={"project": project, "query": query_of(("data.text", "regex", "(a+)+$b"))})
    assert "too long" in errors_of(answer)["filters"][0]
    assert time.monotonic() - began < 20


@pytest.mark.parametrize(
    ("query", "field", "named"),
    [
        ("zzz", "query", "JSON"),
        ("[1]", "query", "object"),
        (query_of(("nosuch", "equal", 1)), "filters", "nosuch"),
        (query_of(("data.a__b", "equal", 1)), "filters", "data.a__b"),
        (query_of(("id", "sounds_like", 1)), "filters", "sounds_like"),
        (query_of(("id", "contains", 1)), "filters", "contains"),
        (query_of(("id", "equal", "many")), "filters", "id"),
        (query_of(("id", "in", 3)), "filters", "id"),
        (query_of(("created_at", "less", "yesterday")), "filters", "created_at"),
        (query_of(("data.text", "regex", "(")), "filters", "regular expression"),
        (query_of(("data.text", "equal", {"a": 1})), "filters", "data.text"),
        (query_of(conjunction="xor"), "filters", "xor"),
        (json.dumps({"filters": 3}), "filters", "items"),
        (json.dumps({"ordering": ["tasks:secret"]}), "ordering", "secret"),
        (json.dumps({"ordering": [3]}), "ordering", "3"),
        (json.dumps({"selectedItems": {"all": False, "included": ["a"]}}), "selectedItems", "included"),
        (json.dumps({"selectedItems": {"all": False, "included": [2**64]}}), "query", "64 bits"),
    ],
)
def test_a_query_that_means_nothing_is_refused(api: TestClient, query: str, field: str, named: str) -> None:
    """Unknown columns, operators, values and forms are 400 and named; nothing is guessed."""
    answer = api.get("/api/tasks/", params={"project": make_project(api), "query": query})
    assert named in errors_of(answer)[field][0]


def test_selected_items_and_only_annotated_restrict(api: TestClient) -> None:
    """Ids may be included or excluded, in the query or beside it; only_annotated leaves out what was only skipped."""
    project, tasks = varied(api)
    ids = [task["id"] for task in tasks]
    one = {"all": False, "included": [ids[1], 999]}
    rest = {"all": True, "excluded": ids[1:]}
    assert found(api, project, selectedItems=one) == [ids[1]]
    assert found(api, project, selectedItems=rest) == [ids[0]]
    assert [task["id"] for task in listed(api, project, selectedItems=json.dumps(one))["tasks"]] == [ids[1]]
    wanted = [task["id"] for task in tasks if task["total_annotations"]]
    assert [task["id"] for task in listed(api, project, only_annotated="true")["tasks"]] == wanted


def test_child_filters_must_hold_too(api: TestClient) -> None:
    """A filter with child filters is satisfied where all of them are, also among alternatives."""
    project, tasks = varied(api)
    child = {"filter": "filter:tasks:data.n", "operator": "equal", "type": "Number", "value": 1}
    query = json.loads(query_of(("data.text", "equal", "Text 1"), ("inner_id", "equal", 1), conjunction="or"))
    query["filters"]["items"][0]["child_filters"] = [child]
    wanted = [t["id"] for t in tasks if t["inner_id"] == 1 or (t["data"]["text"], t["data"]["n"]) == ("Text 1", 1)]
    assert [task["id"] for task in listed(api, project, json.dumps(query))["tasks"]] == wanted


def test_pages_of_a_filter_agree_and_end_with_404(both: TestClient) -> None:
    """The pages of a filtered list cover it once; the one past the end is 404, and a change is seen at once."""
    project, tasks = varied(both)
    query = query_of(("data.n", "less", 2), ordering=["-tasks:data.text", "tasks:id"])
    pages = [listed(both, project, query, page=page, page_size=4)["tasks"] for page in (1, 2)]
    assert [task for page in pages for task in page] == listed(both, project, query, page_size=-1)["tasks"]
    errors_of(both.get("/api/tasks/", params={"project": project, "query": query, "page": 3, "page_size": 4}), 404)
    ok(both.patch(f"/api/tasks/{tasks[2]['id']}/", json={"data": {"text": "t", "n": 0}}))
    assert listed(both, project, query)["total"] == len([task for task in tasks if task["data"]["n"] < 2]) + 1


@pytest.mark.server("own")
def test_hidden_properties_cannot_be_found_out(api: TestClient, person: Any) -> None:
    """A filter sees of a task's data what the caller may see of it."""
    project = make_project(api)
    task = imported(api, project, [{"text": "a", "who": "Ada"}])["task_ids"][0]
    source = ok(api.get("/api/v1/sources"))["sources"][0]
    body = {"source": {"sensitive_properties": ["string:who"]}}
    ok(api.post(f"/api/v1/sources/{source['owner']}/{source['name']}", json=body))
    assert found(api, project, ("data.who", "starts_with", "A")) == [task]
    assert found(person("viewer", default=["viewer"]), project, ("data.who", "starts_with", "A")) == []


def test_what_was_changed_last_comes_first_in_a_project(api: TestClient) -> None:
    """The plain array of a project's tasks begins with what was annotated or changed last."""
    project = make_project(api)
    ids = imported(api, project, [{"text": str(number)} for number in range(4)])["task_ids"]
    ok(api.post(f"/api/tasks/{ids[1]}/annotations/", json={"result": choice("Positive")}))
    ok(api.patch(f"/api/tasks/{ids[2]}/", json={"data": {"text": "new"}}))
    tasks = ok(api.get(f"/api/projects/{project}/tasks/"))
    assert [task["id"] for task in tasks] == [ids[2], ids[1], ids[3], ids[0]]


def test_malformed_ids_are_told(api: TestClient) -> None:
    """What is no id is 400, what names nothing 404."""
    project = make_project(api)
    for name in ("project", "view"):
        for text in ("abc", "-1", "1.5", "9" * 30, "٣"):
            assert name in errors_of(api.get("/api/tasks/", params={name: text}))
        errors_of(api.get("/api/tasks/", params={name: 10**17}), 404)
    errors_of(api.get("/api/tasks/", params={"project": project, "page": "x"}), 404)
