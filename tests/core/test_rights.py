"""Rights: what is granted, what that implies, and where a caller may look."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headrace.core.errors import Forbidden, Invalid
from headrace.core.rights import EVERYTHING, IMPLIED, ROLES, Permission, Principal, closure, permissions

P = Permission
sets = st.frozensets(st.sampled_from(sorted(Permission)))


def caller(**granted: frozenset[Permission]) -> Principal:
    """A caller with permissions in projects p1, p2, ..."""
    grants = {int(name[1:]): held for name, held in granted.items()}
    return Principal(user_id=1, username="ann", email="ann@example.org", grants=grants)


def refused(who: Principal, project: int, needs: frozenset[Permission]) -> object:
    """What the caller is told to lack, or None when nothing is."""
    try:
        who.require(project, *needs)
    except Forbidden as error:
        return error.fields["missing"]
    return None


@given(granted=sets)
def test_closure_adds_all_that_is_implied(granted: frozenset[Permission]) -> None:
    """The closure holds what was granted, is closed itself, and grows with what is granted."""
    held = closure(granted)
    assert granted <= held
    assert closure(held) == held
    assert held <= closure(EVERYTHING) == EVERYTHING


def test_admin_permissions_imply_their_family() -> None:
    """Who administers a family may do everything lesser in it."""
    assert P.VIEW_STREAMS in closure(frozenset({P.STREAMS_ADMIN}))
    assert P.VIEW_LABELS in closure(frozenset({P.DATASETS_ADMIN}))
    assert P.CONSUME_STREAMS not in closure(EVERYTHING - {P.CONSUME_STREAMS})
    assert all(permission not in implied for permission, implied in IMPLIED.items())


@pytest.mark.parametrize(
    ("role", "may", "may_not"),
    [
        ("viewer", P.VIEW_STREAMS, P.CONSUME_STREAMS),
        ("annotator", P.REVIEW, P.EDIT_MESSAGES),
        ("consumer", P.CONSUME_STREAMS, P.REVIEW),
        ("developer", P.STREAMS_ADMIN, P.MODELS_ADMIN),
        ("admin", P.MODELS_ADMIN, None),
    ],
)
def test_role_stands_for_its_set(role: str, may: Permission, may_not: Permission | None) -> None:
    """A role's name grants its permissions, mixed with single ones, and no more."""
    granted = permissions([role, "buckets-read"])
    assert granted == ROLES[role] | {P.BUCKETS_READ}
    assert may in granted
    assert may_not not in closure(ROLES[role])


def test_unknown_permission_is_refused() -> None:
    """A name that is neither a permission nor a role is refused and named."""
    with pytest.raises(Invalid, match="streams-write-all"):
        permissions(["viewer", "streams-write-all"])


@given(one=sets, two=sets, needs=sets)
def test_scope_holds_where_all_needs_are_met(
    one: frozenset[Permission], two: frozenset[Permission], needs: frozenset[Permission]
) -> None:
    """`scope_with` names exactly the projects in which `require` lets the caller pass."""
    who = caller(p1=one, p2=two)
    for project in (1, 2, 3):
        lacking = sorted(needs - closure(who.grants.get(project, frozenset())))
        assert refused(who, project, needs) == (lacking or None)
    assert who.scope_with(*needs) == {project for project in (1, 2) if refused(who, project, needs) is None}
    assert who.scope == {1, 2}


def test_admin_is_never_stopped() -> None:
    """A server's admin may do everything everywhere, and the scope of a query has no bounds."""
    who = Principal(user_id=1, username="root", email="root@example.org", is_admin=True)
    who.require(99, *Permission)
    who.require_admin()
    assert (who.scope, who.scope_with(*Permission)) == (None, None)


def test_only_admins_administer_the_server() -> None:
    """All permissions in all projects do not make an admin of the server."""
    with pytest.raises(Forbidden, match="root"):
        caller(p1=EVERYTHING).require_admin()
