"""Real server processes over a trivial store: sockets, slow clients, overload, several workers, signals."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path

import httpx
import pytest

Start = Callable[..., "Process"]
HTTP = httpx.Client(limits=httpx.Limits(max_keepalive_connections=0), timeout=30)
"""Opens a connection for each request: the kernel spreads them over the workers."""


class Process:
    """A running trivial server."""

    def __init__(self, workers: int, directory: Path, *settings: str) -> None:
        directory.mkdir()
        self.log = directory / "log"
        command = [sys.executable, "-m", "tests.http.trivial_server", str(workers), str(directory), *settings]
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, start_new_session=True)
        assert self.process.stdout is not None
        self.port = int(self.process.stdout.readline())
        self.root = f"http://127.0.0.1:{self.port}"
        self.base = f"{self.root}/fhir"

    def stop(self) -> int:
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        with closing(self.process.stdout):  # type: ignore[type-var]
            return self.process.wait(15)

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=10)

    def pids(self) -> set[int]:
        """Which processes answer, asked over new connections."""
        return {HTTP.get(f"{self.base}/pid").json()["pid"] for _ in range(40)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    with ExitStack() as running:

        def begin(workers: int = 1, *settings: str) -> Process:
            process = Process(workers, tmp_path / f"server-{workers}", *settings)
            running.callback(process.stop)
            return process

        yield begin


def answer_of(connection: socket.socket) -> bytes:
    """Everything until the server closes the connection."""
    parts = []
    while part := connection.recv(65536):
        parts.append(part)
    return b"".join(parts)


def test_hostile_bytes_get_an_operation_outcome(start: Start) -> None:
    server = start()
    for sent in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc", b"GET /fhir/\xff\xfe HTTP/1.1\r\n\r\n", b"GET\r\n\r\n"):
        with server.connect() as connection:
            connection.sendall(sent)
            answer = answer_of(connection)
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b'"resourceType":"OperationOutcome"' in answer


def test_an_endless_head_is_431(start: Start) -> None:
    server = start()
    with server.connect() as connection:
        connection.sendall(b"GET /fhir/Patient HTTP/1.1\r\n" + b"X-A: 1\r\n" * 40_000)
        assert answer_of(connection).startswith(b"HTTP/1.1 431 ")


def test_slow_clients_are_let_go(start: Start) -> None:
    server = start(1, "receive_seconds=0.2")
    with server.connect() as silent, server.connect() as slow_head, server.connect() as slow_body:
        slow_head.sendall(b"GET /fhir/Patient HTTP/1.1\r\nHost:")
        slow_body.sendall(
            b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n{"
        )
        answers = [answer_of(connection) for connection in (silent, slow_head, slow_body)]
    assert [answer.split(b" ")[1] for answer in answers] == [b"408", b"408", b"408"]


def test_an_upload_over_the_limit_is_refused_early(start: Start) -> None:
    server = start(1, "max_body_bytes=1024")
    with server.connect() as connection:
        connection.sendall(
            b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 99999999\r\n\r\n"
        )
        assert answer_of(connection).startswith(b"HTTP/1.1 413 ")


def test_two_hundred_connections_are_answered_and_more_than_allowed_are_503(start: Start) -> None:
    server = start(1, "max_connections=200")
    request = b"GET /fhir/Patient/p1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with ExitStack() as stack:
        connections = [stack.enter_context(server.connect()) for _ in range(200)]
        for connection in connections:
            connection.sendall(request)
        assert {connection.recv(12) for connection in connections} == {b"HTTP/1.1 200"}
        one_more = stack.enter_context(server.connect())
        one_more.sendall(request.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        refused = answer_of(one_more)
    assert refused.startswith(b"HTTP/1.1 503 ")
    assert b"retry-after: 1\r\n" in refused
    assert b"OperationOutcome" in refused


def test_it_stops_when_asked_with_what_is_running_finished(start: Start) -> None:
    server = start()
    with server.connect() as connection:
        connection.sendall(
            b"POST /fhir/Patient HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: 2\r\n"
            b"Expect: 100-continue\r\n\r\n"
        )
        assert connection.recv(100).startswith(b"HTTP/1.1 100 ")
        server.process.send_signal(signal.SIGTERM)
        connection.sendall(b"{}")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")
    assert server.stop() == 0


def test_the_log_of_a_process_holds_no_values(start: Start) -> None:
    server = start()
    for path in ("Patient?name=Winterbottom", "Patient/Winterbottom", "fault?name=Winterbottom", "refusal"):
        HTTP.post(f"{server.base}/{path}", content=b'"Winterbottom"', headers={"Content-Type": "application/json"})
    server.stop()
    log = server.log.read_text()
    assert "Winterbottom" not in log
    events = [json.loads(line) for line in log.splitlines()]
    assert [event["status"] for event in events if event["event"] == "request"] == [200, 200, 500, 404]


def test_workers_share_the_port_and_the_first_writes_for_all(start: Start) -> None:
    server = start(2)
    readers = server.pids()
    assert len(readers) == 2
    posted = set()
    for _ in range(20):
        answer = HTTP.post(f"{server.base}/pid", content=b"{}", headers={"Content-Type": "application/json"})
        posted.add(answer.json()["pid"])
    assert len(posted) == 1
    assert posted < readers


@pytest.mark.parametrize(("path", "status", "text"), [("refusal", 404, "Nothing here."), ("fault", 500, "request id")])
def test_refusals_and_failures_come_back_from_the_writer(start: Start, path: str, status: int, text: str) -> None:
    server = start(2)
    for _ in range(8):
        answer = HTTP.post(f"{server.base}/{path}", content=b"{}", headers={"Content-Type": "application/json"})
        assert answer.status_code == status
        assert text in answer.json()["issue"][0]["diagnostics"]


def test_streams_and_large_bodies_pass_through_the_forwarding(start: Start) -> None:
    server = start(2)
    body = b'"' + b"x" * 1_000_000 + b'"'

    def ask(_: int) -> tuple[bytes, bytes]:
        headers = {"Content-Type": "application/json"}
        stream = HTTP.post(f"{server.base}/stream", content=b"{}", headers=headers)
        return stream.content, HTTP.post(f"{server.base}/echo", content=body, headers=headers).content

    with ThreadPoolExecutor(4) as pool:
        answers = set(pool.map(ask, range(12)))
    assert answers == {(b"chunk 0;chunk 1;chunk 2;", body)}


def test_dead_workers_are_replaced(start: Start) -> None:
    server = start(2)
    before = server.pids()
    for pid in before:
        os.kill(pid, signal.SIGKILL)
    statuses = set()
    while True:
        try:
            answer = HTTP.post(f"{server.base}/pid", content=b"{}", headers={"Content-Type": "application/json"})
        except httpx.TransportError:
            continue
        statuses.add(answer.status_code)
        if answer.status_code == 200 and not server.pids() & before:
            break
        assert answer.headers.get("retry-after", "1") == "1"
    assert statuses <= {200, 503}
    assert server.stop() == 0


def test_metrics_add_up_over_workers(start: Start) -> None:
    server = start(2)
    for _ in range(30):
        HTTP.get(f"{server.base}/Patient/p1")
    counted = 0.0
    while counted != 30:
        page = HTTP.get(f"{server.root}/metrics").text
        found = re.search(r'fhir_requests_total\{interaction="read",status="200"\} (\S+)', page)
        counted = float(found[1]) if found else 0.0
    assert len(set(re.findall(r'fhir_process_resident_bytes\{pid="(\d+)"\}', page))) == 2


def test_workers_end_with_their_supervisor(start: Start) -> None:
    server = start(2)
    pids = server.pids()
    server.process.kill()
    server.process.wait()
    for pid in pids:
        while Path(f"/proc/{pid}/stat").exists() and " Z " not in Path(f"/proc/{pid}/stat").read_text():
            continue
    with pytest.raises(httpx.ConnectError):
        HTTP.get(server.root)
