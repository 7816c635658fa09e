"""A real `fhir-server serve` process for tests: started on a free port, stopped by its pid."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

START_SECONDS = 30.0


@dataclass
class LiveServer:
    """A running server process; `base_url` is its FHIR base without a trailing slash."""

    process: subprocess.Popen[bytes]
    port: int
    database: str
    log: Path

    @property
    def root_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        return f"{self.root_url}/fhir"

    @property
    def pid(self) -> int:
        return self.process.pid

    def stop(self) -> int:
        """Ask it to stop and wait; its exit status."""
        if self.process.poll() is None:
            self.process.terminate()
        try:
            return self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise AssertionError(f"the server did not stop within 20 s:\n{self.log_tail()}") from None

    def kill(self) -> None:
        """kill -9 the server and, as a container would, all processes it started."""
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        finally:
            self.process.wait(20)

    def log_tail(self, characters: int = 3000) -> str:
        return self.log.read_text(errors="replace")[-characters:]


def start_server(
    database: str,
    directory: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    python: str = sys.executable,
) -> LiveServer:
    """Start `fhir-server serve` on `database` and wait until it is ready."""
    port = free_port()
    log = directory / f"server-{port}.log"
    where = ["--port", str(port), "--database", database]
    command = [python, "-m", "fhir_server.cli.main", "serve", *where, *options]
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
        )
    server = LiveServer(process, port, database, log)
    wait_until_ready(server)
    return server


@contextmanager
def running_server(
    database: str,
    directory: Path,
    *options: str,
    environment: dict[str, str] | None = None,
    python: str = sys.executable,
) -> Iterator[LiveServer]:
    server = start_server(database, directory, *options, environment=environment, python=python)
    try:
        yield server
    finally:
        server.stop()


def wait_until_ready(server: LiveServer, seconds: float = START_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended with status {server.process.returncode}:\n{server.log_tail()}")
        try:
            with urlopen(f"{server.root_url}/health/ready", timeout=2) as answer:
                if answer.status == 200:
                    return
        except (URLError, OSError):
            pass
        time.sleep(0.05)
    server.kill()
    raise AssertionError(f"the server was not ready within {seconds} s:\n{server.log_tail()}")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
