"""A real server process over a trivial store: `python -m tests.http.trivial_server WORKERS DIRECTORY [NAME=VALUE...]`.

Prints its port once it is ready. `GET /fhir/counter` and `POST /fhir/counter` share a counter held by whoever writes.
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Callable
from pathlib import Path

from fhir_server.app import create_app
from fhir_server.http.application import Application
from fhir_server.http.supervisor import Supervisor
from fhir_server.http.worker import Worker
from fhir_server.interactions.exchange import Server
from fhir_server.observability import logs, metrics
from fhir_server.settings import Settings
from tests.http.trivial import EmptyStore, PidDispatch


def main(workers: int, directory: Path, settings: Settings) -> int:
    logs.configure("info")
    listener = socket.create_server(("127.0.0.1", 0))

    def ready() -> None:
        print(listener.getsockname()[1], flush=True)

    def run_worker(number: int, on_ready: Callable[[], None]) -> int:
        if workers > 1:
            metrics.share(directory)

        async def open_server() -> Server:
            return Server(EmptyStore(), settings)  # type: ignore[arg-type]

        def build(overloaded: Callable[[], bool]) -> Application:
            return create_app(
                open_server,
                PidDispatch(),
                port=listener.getsockname()[1],
                first=number == 0,
                forward_socket=directory / "writer.sock" if workers > 1 else None,
                overloaded=overloaded,
            )

        return Worker(settings, listener, build, on_ready).run()

    if workers == 1:
        return run_worker(0, ready)
    return Supervisor(
        workers,
        run_worker,
        shutdown_seconds=settings.shutdown_seconds,
        on_ready=ready,
    ).run()


if __name__ == "__main__":
    values = dict(argument.split("=", 1) for argument in sys.argv[3:])
    sys.exit(main(int(sys.argv[1]), Path(sys.argv[2]), Settings(content=False, **values)))
