"""One server process: uvicorn with uvloop and httptools over a listening socket that is already bound."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import resource
import socket
from collections.abc import Callable

import uvicorn

from fhir_server.http.asgi import AsgiApplication
from fhir_server.http.protocol import FhirProtocol, close_stalled_connections
from fhir_server.observability import metrics
from fhir_server.observability.log_writer import standard_error
from fhir_server.observability.logs import log_unhandled
from fhir_server.settings import Settings

BACKLOG = 2048
KEEP_ALIVE_SECONDS = 75
"""Longer than the 60 s after which common proxies drop an idle connection, so that they drop it first."""
BuildApplication = Callable[[Callable[[], bool]], AsgiApplication]


class Worker:
    """Serves an application until it is told to stop.

    Args:
        build: makes the application, given a function that tells whether there are too many connections.
        on_ready: called once requests are accepted.
    """

    def __init__(
        self,
        settings: Settings,
        listener: socket.socket,
        build: BuildApplication,
        on_ready: Callable[[], None] = lambda: None,
    ) -> None:
        self._settings = settings
        self._listener = listener
        self._on_ready = on_ready
        config = uvicorn.Config(
            build(self._overloaded),
            loop="uvloop",
            http=FhirProtocol,
            ws="none",
            lifespan="on",
            interface="asgi3",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,
            backlog=BACKLOG,
            timeout_keep_alive=KEEP_ALIVE_SECONDS,
            timeout_graceful_shutdown=settings.shutdown_seconds,
        )
        self._server = _Server(config, self._started)
        self._connections = self._server.server_state.connections
        self._background: list[asyncio.Task[None]] = []

    def run(self) -> int:
        """Serve; the exit status."""
        _raise_file_limit()
        logging.getLogger("uvicorn").setLevel(logging.WARNING)
        try:
            self._server.run([self._listener])
        except SystemExit as stop:
            return int(stop.code or 0)
        finally:
            standard_error.flush()
        return 0

    def stop(self) -> None:
        """Finish what is being answered, then end `run`."""
        self._server.should_exit = True

    def _overloaded(self) -> bool:
        return len(self._connections) > self._settings.max_connections

    def _started(self) -> None:
        loop = asyncio.get_running_loop()
        loop.set_exception_handler(log_unhandled)
        watch = close_stalled_connections(self._connections, self._settings.receive_seconds)
        self._background = [loop.create_task(watch), loop.create_task(self._publish_metrics())]
        # What start-up made stays for ever: the collector need not look at it again.
        gc.collect()
        gc.freeze()
        self._on_ready()

    async def _publish_metrics(self) -> None:
        while True:
            metrics.publish(len(self._server.server_state.tasks))
            await asyncio.sleep(1)


class _Server(uvicorn.Server):
    """uvicorn's server, telling when it accepts requests."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._tell_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._tell_started()

    @contextlib.contextmanager
    def capture_signals(self):  # type: ignore[no-untyped-def]
        # uvicorn raises the signal again after its shutdown, which would end the process by that signal;
        # a server that stopped as asked ends with status 0.
        with super().capture_signals():
            yield
            self._captured_signals.clear()


def _raise_file_limit() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < hard:
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
