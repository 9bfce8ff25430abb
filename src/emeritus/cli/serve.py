"""`emeritus serve`: the site, the API and the scheduled work, in one process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Annotated

import typer

from emeritus.cli.context import flags_of, show

if TYPE_CHECKING:
    from starlette.applications import Starlette
    from starlette.types import ASGIApp

    from emeritus.app import App


def command(
    ctx: typer.Context,
    host: Annotated[str | None, typer.Option(help="Address to listen on. Default: the setting `host`.")] = None,
    port: Annotated[
        int | None, typer.Option(help="Port to listen on; 0 takes a free one. Default: the setting `port`.")
    ] = None,
    jobs: Annotated[
        bool, typer.Option(help="Also run the scheduled work: scrubs, drills, mail, essay invitations.")
    ] = True,
) -> None:
    """Serve the public register and the API for programs, and run the scheduled work, until interrupted.

    Example:  emeritus serve --port 8400
    """
    flags = flags_of(ctx)
    flags.values.update({name: value for name, value in {"host": host, "port": port}.items() if value is not None})
    with flags.app() as app:
        serve(app, jobs=jobs, announce=lambda url: show(f"The register: {url}/   the API: {url}/v1   (Ctrl-C ends it)"))


def serve(app: App, *, jobs: bool, announce: Callable[[str], None]) -> None:
    """Listen until interrupted; `announce` is called with the address once it accepts connections."""
    import signal
    import socket
    from contextlib import suppress

    import uvicorn

    from emeritus.errors import BadSettings

    settings = app.settings
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    # the protocol is named: asyncio sends what is written at once (TCP_NODELAY) only where it can see that it is TCP
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((settings.host, settings.port))
        listener.listen(128)  # callers wait in line from now on, also while the program is still starting
    except OSError as error:
        listener.close()
        raise BadSettings(
            f"cannot listen on {settings.host}:{settings.port}: {error.strerror}",
            remedy="Choose another port: emeritus serve --port 0 takes a free one.",
        ) from error
    shown = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"http://{shown}:{listener.getsockname()[1]}"

    def ready() -> None:
        collect_seldom()
        announce(url)

    config = uvicorn.Config(
        build(app, url, jobs=jobs, ready=ready),
        log_config=None,
        access_log=False,
        server_header=False,
        lifespan="on",
        timeout_graceful_shutdown=10,
    )
    # uvicorn ends gracefully on either signal and then raises it again: here the end of serving is no error
    before = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with suppress(KeyboardInterrupt):
            uvicorn.Server(config).run(sockets=[listener])
    finally:
        signal.signal(signal.SIGTERM, before)
        listener.close()


def build(app: App, url: str, *, jobs: bool, ready: Callable[[], None]) -> ASGIApp:
    """The API at /v1 and the site at /, with the scheduled work for as long as it serves."""
    import asyncio

    from starlette.applications import Starlette
    from starlette.routing import Mount

    from emeritus.gateway.app import build_gateway
    from emeritus.gateway.backend import Limits
    from emeritus.gateway.conversations import Conversations
    from emeritus.gateway.house import House as GatewayHouse
    from emeritus.web.console.desk import Desk
    from emeritus.web.house import House as SiteHouse
    from emeritus.web.site import build_site

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        schedule = app.upkeep(asyncio.get_running_loop()) if jobs else None
        if schedule is not None:
            await asyncio.to_thread(schedule.start)
        running = [asyncio.create_task(work) for work in (app.keep_awake(), app.tell_the_board(url))]
        try:
            ready()
            yield
        finally:
            for each in running:
                each.cancel()
            await asyncio.gather(*running, return_exceptions=True)
            if schedule is not None:
                await asyncio.to_thread(schedule.stop)
            await app.close_residency()

    behind, limits = GatewayHouse(app, app.settings.base_url or url), Limits.of(app.settings)
    gateway = build_gateway(behind, limits, app.answering)
    site = build_site(SiteHouse(app), Desk.of(app), app.reviving.house, Conversations(behind, limits))
    return gateway.before(Starlette(routes=[Mount("/", site)], lifespan=lifespan), "/v1")


def collect_seldom() -> None:
    """Take what the program is made of out of the garbage collector's sight, and have it look less often.

    Looking through some hundred thousand lasting objects again and again took a fifth of the time of a small call.
    What calls leave in cycles (connections that closed, answers broken off) is found all the same: a collection of all
    generations waits until what is new is a quarter of what the last one left, so the last one has to have left little;
    and with so little to look through, every other collection of a generation looks at the next.
    """
    import gc

    gc.collect()
    gc.freeze()
    gc.collect()
    gc.set_threshold(20_000, 1, 1)
