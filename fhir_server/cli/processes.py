"""The processes of a server: one, or several under a supervisor."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path

from fhir_server.app import create_app
from fhir_server.cli.options import without_password
from fhir_server.cli.runtime_directory import WRITER_SOCKET
from fhir_server.http.application import Application
from fhir_server.http.base_url import own_base_url
from fhir_server.http.supervisor import Supervisor
from fhir_server.http.worker import Worker
from fhir_server.interactions.exchange import Server
from fhir_server.interactions.router import dispatch
from fhir_server.observability import logs, metrics
from fhir_server.operations.score_on_write import scoring_on_write
from fhir_server.operations.served import served_operations
from fhir_server.reactions.served import served_reactions
from fhir_server.settings import Settings
from fhir_server.storage import open_store
from fhir_server.storage.sql.store import SqlStore

READY = """\
FHIR server ready on {database} ({workers} worker{s})
  FHIR base  {base}
  Home       {home}/
  API docs   {home}/docs
Try:
  curl '{base}/Patient?_count=1&_pretty=true'
"""


def serve_alone(settings: Settings, listener: socket.socket) -> int:
    """Serve in this process; the exit status."""
    logs.configure(settings.log_level)
    return _worker(settings, listener, 0, None, lambda: _announce(settings, listener)).run()


def serve_supervised(settings: Settings, listener: socket.socket, directory: Path) -> int:
    """Serve in `settings.workers` processes; on SQLite the first writes for all."""
    logs.configure(settings.log_level)
    forward_socket = directory / WRITER_SOCKET if settings.database.startswith("sqlite") else None

    def run_worker(number: int, on_ready: Callable[[], None]) -> int:
        metrics.share(directory)
        return _worker(settings, listener, number, forward_socket, on_ready).run()

    supervisor = Supervisor(
        settings.workers,
        run_worker,
        shutdown_seconds=settings.shutdown_seconds,
        on_ready=lambda: _announce(settings, listener),
    )
    return supervisor.run()


def _worker(
    settings: Settings,
    listener: socket.socket,
    number: int,
    forward_socket: Path | None,
    on_ready: Callable[[], None],
) -> Worker:
    first = number == 0

    async def open_server() -> Server:
        store = await open_store(settings, writing=first or forward_socket is None)
        if isinstance(store, SqlStore):
            store.writer.group_sizes = metrics.write_group_committed
        operations = served_operations(settings.canonical_base)
        return scoring_on_write(Server(store, settings, operations, reactions=served_reactions()))

    def build(overloaded: Callable[[], bool]) -> Application:
        return create_app(
            open_server,
            dispatch,
            port=listener.getsockname()[1],
            first=first,
            forward_socket=forward_socket,
            overloaded=overloaded,
        )

    return Worker(settings, listener, build, on_ready)


def _announce(settings: Settings, listener: socket.socket) -> None:
    port = listener.getsockname()[1]
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    print(
        READY.format(
            database=without_password(settings.database),
            workers=settings.workers,
            s="" if settings.workers == 1 else "s",
            base=own_base_url(settings, port),
            home=f"http://{host}:{port}",
        ),
        flush=True,
    )
