"""The Python client of a headrace server: `Client`, and `AsyncClient` for asyncio. It needs nothing of the server.

from headrace.client import Client

with Client("http://127.0.0.1:8080", token) as client:
    for comment in client.dataset("default/first-project").stream("all").consume():
        with comment:
            ...
"""

from headrace.client.batches import Batch, Saved
from headrace.client.clients import AsyncClient, Client
from headrace.client.datasets import Dataset, Project
from headrace.client.documents import Document
from headrace.client.errors import (
    ApiError,
    BatchFailed,
    Conflict,
    Forbidden,
    HeadraceError,
    ImportFailed,
    Invalid,
    MissingExtra,
    NotFound,
    RateLimited,
    ServerError,
    TransportError,
    Unauthorized,
)
from headrace.client.events import Event
from headrace.client.imports import Receipt, Rejected
from headrace.client.retries import Retries
from headrace.client.runs import Run, Tags, Task
from headrace.client.streams import Comment, Processed, RecordException, Stream

__all__ = [
    "ApiError",
    "AsyncClient",
    "Batch",
    "BatchFailed",
    "Client",
    "Comment",
    "Conflict",
    "Dataset",
    "Document",
    "Event",
    "Forbidden",
    "HeadraceError",
    "ImportFailed",
    "Invalid",
    "MissingExtra",
    "NotFound",
    "Processed",
    "Project",
    "RateLimited",
    "Receipt",
    "RecordException",
    "Rejected",
    "Retries",
    "Run",
    "Saved",
    "ServerError",
    "Stream",
    "Tags",
    "Task",
    "TransportError",
    "Unauthorized",
]
