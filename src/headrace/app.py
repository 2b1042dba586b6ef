"""The composition root: settings -> store -> core -> routes -> ASGI app. The only module that knows every part."""

import logging
import re
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import cache, partial

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as StarletteRoute
from starlette.routing import compile_path
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headrace import __version__
from headrace.core import access_tokens, errors, users
from headrace.core.projects import DEFAULT_PROJECT
from headrace.core.rights import Principal
from headrace.core.store import Store, Tx
from headrace.dialects import communications_mining, kiln, label_studio, open_assistant
from headrace.dialects import headrace as native
from headrace.dialects.describing import description
from headrace.dialects.kit import (
    STATUS,
    Dialect,
    Services,
    allowed_methods,
    by_precedence,
    endpoint,
    json_answer,
    retry_headers,
)
from headrace.directory import served
from headrace.jobs import exports, imports, learning
from headrace.jobs.entities import RuleExtractor
from headrace.jobs.run_patches import RunPatches
from headrace.jobs.webhooks import Delivery
from headrace.jobs.worker import Bell, ChildPool, JobContext, JobKind, Worker, scratch_directory
from headrace.learning.process import Learner
from headrace.memory import keep_freed_memory
from headrace.outgoing import Outgoing
from headrace.routing import ShortCut
from headrace.settings import Settings
from headrace.sharing import kilns
from headrace.signing import Signer
from headrace.storage import open_store
from headrace.web import pages

log = logging.getLogger("headrace")

DIALECTS: tuple[Dialect, ...] = (
    communications_mining.dialect,
    open_assistant.dialect,
    kiln.dialect,
    label_studio.dialect,
    native.dialect,
)

DELIVERY = Delivery(render=label_studio.messages)
RUN_PATCHES = RunPatches(apply=kiln.bulk.apply_patches)
JOB_KINDS = {
    "import": JobKind(run=imports.run, failed=imports.failed),
    "fetch": JobKind(run=imports.run, failed=imports.failed),
    "export": JobKind(run=exports.run, failed=exports.failed),
    "train": JobKind(run=learning.train),
    "predict": JobKind(run=learning.predict),
    "patch": JobKind(run=RUN_PATCHES.run),
    "webhook": JobKind(run=DELIVERY.run, failed=DELIVERY.failed),
}
LANES = (
    *(("import",), ("import",), ("fetch",), ("export",), ("patch",)),
    *(("train",), ("predict",), ("webhook",), ("webhook",)),
)

ADMIN = users.BUILT_IN_ADMIN
ADMIN_EMAIL = "admin@example.org"


def render_plain(request: Request, error: errors.HeadraceError) -> Response:
    """An error on a path that belongs to no dialect."""
    status = next(STATUS[kind] for kind in type(error).__mro__ if kind in STATUS)
    body = {"error": {"code": error.code, "message": error.message, "request_id": request.state.request_id}}
    return json_answer(body, status, retry_headers(error))


plain = Dialect(name="headrace", owns=re.compile(r"/"), render=render_plain)


@dataclass(kw_only=True)
class Application:
    """A server that is ready to be served; `new_token` is the admin's token when it was made just now.

    `held` gives back the database and the data directory.
    """

    held: ExitStack
    asgi: ASGIApp
    store: Store
    worker: Worker
    new_token: str | None

    def close(self) -> None:
        """Stop the jobs, then let go of the database and of the data directory."""
        self.worker.stop()
        self.held.close()


def create_app(settings: Settings) -> Application:
    """Open the store, make the admin if there is none, start the jobs and mount every dialect.

    Raises Unavailable when another process serves the data directory.
    """
    with ExitStack() as held:
        held.enter_context(served(settings.data))
        return _assembled(settings, held)


def _assembled(settings: Settings, held: ExitStack) -> Application:
    keep_freed_memory()
    bell = Bell()
    store = open_store(settings.store_url, wake=bell.ring)
    held.callback(store.close)
    new_token = store.write(lambda tx: _first_steps(tx, settings.admin_token))
    signer = Signer(store.write(access_tokens.signing_secret))
    learner = Learner()
    outgoing = Outgoing(allowed_hosts=settings.private_hosts)
    context = JobContext(
        store=store,
        scratch=scratch_directory(settings.data),
        pool=ChildPool(),
        learner=learner,
        outgoing=outgoing,
    )
    worker = Worker(context, bell, JOB_KINDS, LANES)
    services = Services(
        store=store,
        predictor=learning.LearnedPredictor(store, learner),
        extractor=RuleExtractor(learner),
        jobs=worker,
        pool=context.pool,
        signer=signer,
        outgoing=outgoing,
        no_auth=settings.no_auth,
    )
    application: Application
    framework = _framework(services, lambda: application.close())
    application = Application(held=held, asgi=Edge(framework), store=store, worker=worker, new_token=new_token)
    if store.single_process:
        store.write(lambda tx: tx.jobs.reclaim())
    worker.start()
    application.held = held.pop_all()
    return application


def _first_steps(tx: Tx, admin_token: str) -> str | None:
    """Make the admin and the default project once; answers the admin's new token unless one was preset."""
    admin = tx.users.by_username(ADMIN)
    fresh = admin is None
    if admin is None:
        admin = tx.users.insert(username=ADMIN, email=ADMIN_EMAIL, global_permissions=("root",))
        tx.projects.insert(name=DEFAULT_PROJECT, title="Default", description="")
    if admin_token:
        users.preset_token(tx, admin, admin_token)
        return None
    return users.mint(tx, users.principal(admin), admin.id, label="first start")[1] if fresh else None


def admin_of(tx: Tx) -> Principal:
    """The built-in admin as a caller, for the command line."""
    admin = tx.users.by_username(ADMIN)
    if admin is None:
        raise errors.NotFound("this database has no admin yet; start the server once")
    return users.principal(admin)


def _framework(services: Services, close: Callable[[], None]) -> FastAPI:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        close()

    app = FastAPI(title="headrace", version=__version__, lifespan=lifespan, redirect_slashes=False)
    for dialect in DIALECTS:
        for route in by_precedence(dialect.routes):
            served_by = endpoint(dialect, route, services)
            app.router.routes.append(StarletteRoute(route.path, served_by, methods=list(route.methods)))
    pages.mount(app)
    app.openapi = cache(partial(description, DIALECTS, title="headrace", version=__version__))  # type: ignore[method-assign]
    app.router.routes.insert(0, ShortCut(app.router.routes))

    @app.exception_handler(HTTPException)
    async def framework_error(request: Request, error: HTTPException) -> Response:
        return _render_framework(request, error)

    @app.exception_handler(Exception)
    async def crash(request: Request, _: Exception) -> Response:
        return _render_fault(request)

    return app


def owner_of(path: str) -> Dialect:
    """The dialect whose paths these are, also when no route matches."""
    found = next((dialect for dialect in DIALECTS if dialect.owns.match(path)), None)
    return found or (kiln.dialect if path.startswith("/api/") else plain)


def canonical(path: str) -> str:
    """The path without trailing slashes and without the prefix that a dialect's clients may put before it."""
    bare = path.rstrip("/") or "/"
    for dialect in DIALECTS:
        found = dialect.prefix.match(bare) if dialect.prefix else None
        if found and dialect.owns.match(bare, found.end()):
            return bare[found.end() :]
    return bare


def _render_framework(request: Request, error: HTTPException) -> Response:
    """What the framework would answer, in the words of the dialect that owns the path."""
    path = str(request.scope["path"])
    dialect = owner_of(path)
    if error.status_code == 405:
        response = dialect.render(request, errors.MethodNotAllowed(f'Method "{request.method}" not allowed.'))
        routes = [route for known in DIALECTS for route in known.routes]
        response.headers["Allow"] = allowed_methods(routes, lambda route: bool(compile_path(route)[0].match(path)))
        return response
    if error.status_code == 404:
        return dialect.render(request, errors.NotFound(f"there is nothing at {path[:200]}"))
    return dialect.render(request, errors.Invalid(str(error.detail)))


def _render_fault(request: Request) -> Response:
    """A crash, in the words of the dialect that owns the path; what went wrong is in the log only."""
    fault = errors.Internal(f"internal error; the log has it under {request.state.request_id}")
    return owner_of(str(request.scope["path"])).render(request, fault)


class Edge:
    """The outermost layer: a request id, paths without a trailing slash, and the dialect's own 500 for a crash."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection scope."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        for_kiln, receive = await kilns(scope, receive)
        scope["path"] = kiln.PREFIX + scope["path"] if for_kiln else canonical(scope["path"])
        started = False

        async def tagged(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message.setdefault("headers", []).append((b"x-request-id", request_id.encode()))
            await send(message)

        try:
            await self._app(scope, receive, tagged)
        except ClientDisconnect:
            log.info("the client of %s went away", request_id)
        except Exception:
            log.exception("request %s %s %s crashed", request_id, scope["method"], scope["path"])
            if not started:
                await _render_fault(Request(scope))(scope, receive, tagged)
