"""Users, tokens, projects: who may do what."""

from starlette.responses import Response

from headrace.core import projects, users
from headrace.core.projects import Project
from headrace.core.rights import EVERYTHING, Permission
from headrace.core.store import Tx
from headrace.core.times import format_timestamp
from headrace.dialects.communications_mining import wire
from headrace.dialects.communications_mining.boundary import dialect, from_hex, hex_ids, ok, to_hex
from headrace.dialects.kit import Call

USERS = "/api/_private/users"
PROJECTS = "/api/_private/projects"


def user_json(tx: Tx, user: users.User) -> dict[str, object]:
    """A user in answers, permissions by project name."""
    names = {project.id: project.name for project in tx.projects.all(None)}
    granted = names if user.is_admin else user.grants
    return {
        "id": to_hex(user.id),
        "username": user.username,
        "email": user.email,
        "created": format_timestamp(user.created_at),
        "global_permissions": list(user.global_permissions),
        "sso_global_permissions": [],
        "organisation_permissions": {
            names[project]: sorted(permission.value for permission in _held(user, project)) for project in granted
        },
        "verified": True,
    }


def _held(user: users.User, project_id: int) -> frozenset[Permission]:
    return EVERYTHING if user.is_admin else user.grants[project_id]


def project_json(project: Project) -> dict[str, object]:
    """A project in answers."""
    return {
        "id": to_hex(project.id),
        "name": project.name,
        "title": project.title,
        "description": project.description,
        "created_at": format_timestamp(project.created_at),
        "updated_at": format_timestamp(project.updated_at),
    }


@dialect.route("GET", "/auth/user")
async def current_user(call: Call) -> Response:
    """The caller with their permissions."""
    return ok(user=await call.read(lambda tx: user_json(tx, users.get(tx, call.who, call.who.user_id))))


@dialect.route("POST", "/auth/refresh-user-permissions")
async def refresh_permissions(call: Call) -> Response:
    """Permissions are read anew with every request, so they are always fresh."""
    return ok(permissions_refreshed=True)


@dialect.route("GET", USERS)
async def list_users(call: Call) -> Response:
    """All users for an admin, oneself for others."""
    return ok(users=await call.read(lambda tx: [user_json(tx, user) for user in users.list_users(tx, call.who)]))


@dialect.route("GET", USERS + "/{user}")
async def get_user(call: Call) -> Response:
    """One user."""
    user_id = from_hex(call.text("user"), "user")
    return ok(user=await call.read(lambda tx: user_json(tx, users.get(tx, call.who, user_id))))


@dialect.route("PUT", USERS)
async def create_user(call: Call) -> Response:
    """Create a user with permissions per project."""
    user = (await call.json(wire.PutUser)).user
    granted = {name: tuple(wanted) for name, wanted in user.organisation_permissions.items()}

    def create(tx: Tx) -> dict[str, object]:
        return user_json(
            tx,
            users.create(
                tx,
                call.who,
                username=user.username,
                email=user.email,
                global_permissions=tuple(user.global_permissions),
                project_permissions=granted,
            ),
        )

    return ok(user=await call.write(create))


@dialect.route("POST", USERS + "/{user}")
async def update_user(call: Call) -> Response:
    """Change a user; projects not named keep their permissions."""
    user_id = from_hex(call.text("user"), "user")
    change = (await call.json(wire.PostUser)).user
    granted = {name: tuple(wanted) for name, wanted in (change.organisation_permissions or {}).items()}
    everywhere = None if change.global_permissions is None else tuple(change.global_permissions)

    def update(tx: Tx) -> dict[str, object]:
        changed = users.update(
            tx,
            call.who,
            user_id,
            email=change.email,
            global_permissions=everywhere,
            project_permissions=granted,
        )
        return user_json(tx, changed)

    return ok(user=await call.write(update))


@dialect.route("POST", USERS + "/{user}/tokens")
async def create_token(call: Call) -> Response:
    """Mint a token; its text is shown in this answer and never again."""
    user_id = from_hex(call.text("user"), "user")
    wanted = await call.json(wire.NewToken) if await call.body() else wire.NewToken()
    token, text = await call.write(lambda tx: users.mint(tx, call.who, user_id, label=wanted.label))
    return ok(id=to_hex(token.id), token=text)


@dialect.route("DELETE", USERS + "/{user}/tokens/{token}")
async def revoke_token(call: Call) -> Response:
    """Revoke a token from the next request on."""
    user_id, token_id = from_hex(call.text("user"), "user"), from_hex(call.text("token"), "token")
    await call.write(lambda tx: users.revoke(tx, call.who, token_id, user_id=user_id))
    return ok()


@dialect.route("GET", PROJECTS)
async def list_projects(call: Call) -> Response:
    """The projects the caller belongs to."""
    found = await call.read(lambda tx: tx.projects.all(call.who.scope))
    return ok(projects=[project_json(project) for project in found])


@dialect.route("GET", PROJECTS + "/{project}")
async def get_project(call: Call) -> Response:
    """One project."""
    name = call.text("project")
    return ok(project=project_json(await call.read(lambda tx: projects.load(tx, call.who, name))))


@dialect.route("PUT", PROJECTS + "/{project}")
async def create_project(call: Call) -> Response:
    """Create a project; the users named get all rights in it."""
    name, body = call.text("project"), await call.json(wire.PutProject)
    members = hex_ids(body.user_ids, "user_ids")

    def create(tx: Tx) -> Project:
        return projects.create(
            tx,
            call.who,
            name=name,
            title=body.project.title or "",
            description=body.project.description or "",
            user_ids=members,
        )

    return ok(project=project_json(await call.write(create)))


@dialect.route("POST", PROJECTS + "/{project}")
async def update_project(call: Call) -> Response:
    """Change a project partially; an empty change is fine."""
    name, fields = call.text("project"), (await call.json(wire.PostProject)).project
    changed = await call.write(
        lambda tx: projects.update(tx, call.who, name, title=fields.title, description=fields.description)
    )
    return ok(project=project_json(changed))


@dialect.route("DELETE", PROJECTS + "/{project}")
async def delete_project(call: Call) -> Response:
    """Delete a project; with `force=true` everything below it too."""
    name, force = call.text("project"), call.flag("force", False)
    await call.write(lambda tx: projects.delete(tx, call.who, name, force=force))
    return ok()
