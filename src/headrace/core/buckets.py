"""Buckets: named places inside a project from which mail enters its sources."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from headrace.core import transforms
from headrace.core.errors import Invalid, NotFound
from headrace.core.projects import check_name, check_texts
from headrace.core.projects import load as load_project
from headrace.core.rights import Permission, Principal, Scope

if TYPE_CHECKING:
    from headrace.core.sources import Ref
    from headrace.core.store import Tx

KINDS = ("emails",)


@dataclass(frozen=True, kw_only=True, slots=True)
class Bucket:
    """One bucket; times are microseconds since the epoch, the transform tag None when it has none."""

    id: int
    project_id: int
    project: str
    name: str
    title: str
    kind: str
    transform_tag: str | None
    created_at: int
    updated_at: int


class Buckets(Protocol):
    """Storage of buckets."""

    def insert(self, *, project_id: int, name: str, title: str, kind: str, transform_tag: str | None) -> Bucket:
        """Store a new bucket; raises Conflict when the name is taken in the project."""

    def get(self, ref: "Ref", scope: Scope) -> Bucket | None:
        """The bucket, when it is in scope."""

    def all(self, scope: Scope) -> list[Bucket]:
        """The buckets in scope by id."""

    def delete(self, bucket_id: int) -> None:
        """Remove the bucket."""


def create(
    tx: "Tx",
    who: Principal,
    *,
    project: str,
    name: str,
    title: str = "",
    kind: str = KINDS[0],
    transform_tag: str | None = None,
) -> Bucket:
    """Create a bucket; raises Invalid when the name is bad or taken, or the kind unknown."""
    owner = load_project(tx, who, project)
    who.require(owner.id, Permission.BUCKETS_WRITE)
    check_name(name, "bucket name")
    check_texts(title, None)
    if kind not in KINDS:
        raise Invalid(f"bucket_type must be one of {', '.join(KINDS)}", fields={"bucket_type": kind[:80]})
    if transform_tag is not None:
        transforms.check_tag(transform_tag)
    if tx.buckets.get((project, name), None):
        raise Invalid(f"the bucket '{project}/{name}' exists already", fields={"name": name})
    bucket = tx.buckets.insert(project_id=owner.id, name=name, title=title, kind=kind, transform_tag=transform_tag)
    _event(tx, who, bucket, "bucket.created")
    return bucket


def load(tx: "Tx", who: Principal, ref: "Ref", *needs: Permission) -> Bucket:
    """The bucket as far as the caller may know of it; raises NotFound, or Forbidden when a need is unmet."""
    bucket = tx.buckets.get(ref, who.scope)
    if bucket is None:
        shown = f"id {ref:016x}" if isinstance(ref, int) else f"'{'/'.join(ref)[:200]}'"
        raise NotFound(f"there is no bucket {shown}", fields={"bucket": shown})
    who.require(bucket.project_id, *needs)
    return bucket


def list_buckets(tx: "Tx", who: Principal) -> list[Bucket]:
    """The buckets the caller may read."""
    return tx.buckets.all(who.scope_with(Permission.BUCKETS_READ))


def delete(tx: "Tx", who: Principal, ref: "Ref") -> None:
    """Delete a bucket; sources that took their mail from it stay, without a bucket."""
    bucket = load(tx, who, ref, Permission.BUCKETS_WRITE)
    for source in tx.sources.all(None):
        if source.settings.get("bucket_id") == bucket.id:
            tx.sources.update(source.id, settings={"bucket_id": None})
    tx.buckets.delete(bucket.id)
    _event(tx, who, bucket, "bucket.deleted")


def check_readable(tx: "Tx", who: Principal, bucket_id: int) -> None:
    """Raise Invalid unless the id is that of a bucket the caller may read."""
    if tx.buckets.get(bucket_id, who.scope_with(Permission.BUCKETS_READ)) is None:
        raise Invalid(f"bucket_id names an unknown bucket: {bucket_id:016x}", fields={"bucket_id": f"{bucket_id:016x}"})


def _event(tx: "Tx", who: Principal, bucket: Bucket, kind: str) -> None:
    tx.events.add(
        kind,
        actor_id=who.user_id,
        project_id=bucket.project_id,
        subject_id=bucket.id,
        data={"name": bucket.name},
    )
