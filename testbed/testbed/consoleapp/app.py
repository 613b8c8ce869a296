"""The console as an application: which page is where, and what may change something."""

from __future__ import annotations

import asyncio
import hmac
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import parse_qsl

from markdown_it import MarkdownIt
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import (
    FileResponse,
    HTMLResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
    StreamingResponse,
)
from starlette.routing import Route
from testbed_domain.callerguard import CallerGuard
from testbed_domain.errors import DomainError
from testbed_receiver.guard import PostGuard, PostLimits

from testbed.consoleapp import asking
from testbed.consoleapp.live import SharedFragments, stream
from testbed.consoleapp.overview import SECTIONS, Overview
from testbed.consoleapp.pages import STATIC, render
from testbed.resources import root

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Collection, Mapping
    from pathlib import Path

    from starlette.requests import Request
    from testbed_domain.callerguard import Application

    from testbed.consoleapp.control import ConsoleControl
    from testbed.consoleapp.runfolder import RunFolder

POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
# What a run left behind may hold scripts: it gets an origin of its own, and so no token.
REPORT_POLICY: Final = "sandbox allow-scripts allow-popups allow-downloads"
HEADERS: Final = (
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-store"),
)
FORM_LIMITS: Final = PostLimits(size=16 << 10, seconds=5.0)
NAMES_OPTION: Final = "--names"
SERVED: Final = frozenset({".html"})
"""Files of runs that are served: a run's folder holds tokens, too."""
RUNBOOKS: Final = frozenset({".md"})
SEE_OTHER, BAD_REQUEST, FORBIDDEN, NOT_FOUND, SERVER_ERROR = 303, 400, 403, 404, 500
MESSAGE: Final = 500
"""Characters of what is said of an error."""


@dataclass(frozen=True, slots=True)
class ConsolePages:
    """What is served.

    Attributes:
        run: the stack's run.
        runs: folder of all runs.
        overview: renders the first page.
        control: what can be started; None where nothing can.
        token: what a change must bring along; empty where there is none.
    """

    run: RunFolder
    runs: Path
    overview: Overview
    control: ConsoleControl | None = None
    token: str = ""

    def page(
        self, template: str, here: str, context: Mapping[str, object], status: int = 200
    ) -> Response:
        """A page; ``here`` is its path in the menu."""
        html = render(template, run=self.run.layout.root.name, here=here, **context)
        return HTMLResponse(html, status, {"content-security-policy": POLICY})

    def message(self, title: str, text: str, status: int) -> Response:
        """A page that says one thing."""
        shown: asking.Context = {"title": title, "text": text, "html": "", "heading": True}
        return self.page("message", "", shown, status)


def create_app(console: ConsolePages) -> Application:
    """The console, with what stands before it."""
    shared = SharedFragments(console.overview.parts)
    one_at_a_time = asyncio.Lock()  # a button that is pressed twice starts one scenario

    async def overview(_: Request) -> Response:
        forms = await run_in_threadpool(console.control.forms) if console.control else ()
        parts = await shared.now()
        said = console.control.said if console.control else ""
        shown = {"parts": parts, "sections": SECTIONS, "control": forms, "said": said}
        return console.page("overview", "/", shown)

    async def events(request: Request) -> Response:
        return StreamingResponse(
            stream(shared, request.is_disconnected), media_type="text/event-stream"
        )

    async def change(request: Request) -> Response:
        if console.control is None:
            return console.message("Not here", NO_CONTROL, FORBIDDEN)
        form = dict(parse_qsl((await request.body()).decode(errors="replace")))
        if not hmac.compare_digest(form.pop("token", "").encode(), console.token.encode()):
            return console.message("Another token", OTHER, FORBIDDEN)
        act = console.control.actions.get(request.path_params["action"])
        if act is None:
            return console.message("Not here", "There is nothing of that name.", NOT_FOUND)
        try:
            async with one_at_a_time:
                console.control.said = await run_in_threadpool(act, form)
        except DomainError as error:
            return console.message("Not done", f"{error}.".replace("..", "."), BAD_REQUEST)
        return RedirectResponse("/", SEE_OTHER)

    async def absent(_: Request, error: Exception) -> Response:
        status = error.status_code if isinstance(error, HTTPException) else NOT_FOUND
        return console.message("Not here", "There is no such page.", status)

    async def failed(_: Request, error: Exception) -> Response:
        # What is wrong stands in the console's log, too: Starlette raises the error again.
        why = f"{DAMAGED} {type(error).__name__}: {error}"[:MESSAGE]
        return console.message("This page can't be shown", why, SERVER_ERROR)

    return CallerGuard(
        PostGuard(
            Starlette(
                routes=[
                    Route("/", overview),
                    Route("/events", events),
                    *_asking_routes(console),
                    *_file_routes(console),
                    Route("/health/ready", _ready),
                    Route("/{action}", change, methods=["POST"]),
                ],
                exception_handlers={HTTPException: absent, Exception: failed},
            ),
            FORM_LIMITS,
        ),
        (),
        NAMES_OPTION,
        HEADERS,
    )


DAMAGED: Final = "A file of the run is damaged or gone, or the console has a defect:"
NO_CONTROL: Final = (
    "This stack plays a scenario, and its verdict would be of something else if one could start or "
    "stop something here: testbed up starts a stack on which one can."
)
OTHER: Final = (
    "Nothing was done: the form needs the token that testbed up printed at its start; it stands in "
    "console-token of the run's folder, too."
)


async def _ready(_: Request) -> Response:
    return PlainTextResponse("ready\n")


def _asking_routes(console: ConsolePages) -> list[Route]:
    run = console.run

    turn = asyncio.Lock()

    def form_page(
        template: str, here: str, read: Callable[[Request], asking.Context]
    ) -> Callable[[Request], Awaitable[Response]]:
        async def answer(request: Request) -> Response:
            return console.page(template, here, await run_in_threadpool(read, request))

        return answer

    def in_turn(
        answer: Callable[[Request], Awaitable[Response]],
    ) -> Callable[[Request], Awaitable[Response]]:
        # Files are searched one after another: a run beside it needs the machine.
        async def answered(request: Request) -> Response:
            async with turn:
                if await request.is_disconnected():
                    return Response(status_code=NOT_FOUND)  # nobody reads it
                return await answer(request)

        return answered

    async def trace(request: Request) -> Response:
        name = request.path_params["trace"]
        found = await run_in_threadpool(asking.trace_page, run, name)
        if found is None:
            why = "No span of this trace is kept: it was not sampled, or has not come yet."
            return console.message("No such trace", why, NOT_FOUND)
        return console.page("trace", "/traces", found)

    query = form_page("query", "/query", lambda r: asking.query_page(run, r.query_params))
    rules = form_page("rules", "/rules", lambda _: asking.rules_page(run))
    targets = form_page("targets", "/targets", lambda _: asking.targets_page(run))
    prometheus = {  # its own pages; alerts lead to /graph
        "/query": query,
        "/graph": query,
        "/rules": rules,
        "/alerts": rules,
        "/targets": targets,
    }
    traces = form_page("traces", "/traces", lambda r: asking.traces_page(run, r.query_params))
    logs = form_page("logs", "/logs", lambda r: asking.logs_page(run, r.query_params))
    return [
        *(Route(path, page) for path, page in prometheus.items()),
        Route("/traces", in_turn(traces)),
        Route("/traces/{trace}", in_turn(trace)),
        Route("/logs", in_turn(logs)),
        *(Route(f"/{{intake}}{path}", _of_run(run, page)) for path, page in prometheus.items()),
    ]


def _of_run(
    run: RunFolder, answer: Callable[[Request], Awaitable[Response]]
) -> Callable[[Request], Awaitable[Response]]:
    """A page below the run's own path, as all is of its Prometheus."""

    async def answered(request: Request) -> Response:
        if request.path_params["intake"] != run.identity.get("intake"):
            raise HTTPException(NOT_FOUND)
        return await answer(request)

    return answered


def _rendered(text: str) -> str:
    """Markdown as HTML, without HTML of its own; headers of tables say that they are of columns."""
    markdown = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = markdown.parse(text)
    for token in tokens:
        if token.type == "th_open":
            token.attrSet("scope", "col")
    return str(markdown.renderer.render(tokens, markdown.options, {}))


def _file_routes(console: ConsolePages) -> list[Route]:
    async def static(request: Request) -> Response:
        found = STATIC.get(request.path_params["name"])
        if found is None:
            return console.message("Not here", "There is no such file.", NOT_FOUND)
        return FileResponse(found[0], media_type=found[1])

    async def report(request: Request) -> Response:
        path, own = request.path_params["path"], console.run.layout.root
        file = inside(console.runs, path)
        if file is None and path.startswith(f"{own.name}/"):  # a run may be elsewhere
            file = inside(own, path.removeprefix(f"{own.name}/"))
        if file is None:
            return console.message("Not here", "There is no such report.", NOT_FOUND)
        return FileResponse(file, headers={"content-security-policy": REPORT_POLICY})

    async def runbook(request: Request) -> Response:
        folders = (console.run.layout.config / "runbooks", root() / "docs/runbooks")
        name = request.path_params["name"]
        file = next((each for f in folders if (each := inside(f, name, RUNBOOKS))), None)
        if file is None:
            return console.message("Not here", "There is no such runbook.", NOT_FOUND)
        text = file.read_text(encoding="utf-8", errors="replace")
        html = _rendered(text)
        shown = {"title": file.stem, "html": html, "text": "", "heading": False}
        return console.page("message", "", shown)

    return [
        Route("/static/{name}", static),
        Route("/runs/{path:path}", report),
        Route("/runbooks/{name}", runbook),
    ]


def inside(folder: Path, path: str, endings: Collection[str] = SERVED) -> Path | None:
    """A file below a folder that may be served; None where there is none, or none can be."""
    try:
        file, ground = (folder / path).resolve(), folder.resolve()
        fits = file.is_relative_to(ground) and file.suffix in endings and file.is_file()
    except (OSError, ValueError, RuntimeError):  # too long, a NUL, links in a circle
        return None
    return file if fits else None
