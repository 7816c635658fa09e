"""Hostile bytes over a raw socket: each is refused with an OperationOutcome, and the server goes on."""

import gzip
import json
import socket

import httpx
import pytest

from tests.live_server import running_server

LIMIT = 1_000_000
POST_HEAD = b"POST /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/fhir+json\r\n"


@pytest.fixture(scope="module")
def live_server(engine, new_database, tmp_path_factory):
    """A server that takes bodies of at most LIMIT bytes."""
    environment = {"FHIR_MAX_BODY_BYTES": str(LIMIT), "FHIR_CONTENT": "false"}
    with running_server(new_database(engine), tmp_path_factory.mktemp("server"), environment=environment) as server:
        yield server
        assert httpx.get(f"{server.root_url}/health/ready").status_code == 200


def exchange(server, data):
    """Send bytes as they are; status and body of the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=20) as connection:
        connection.sendall(data)
        answer = b""
        while b"\r\n\r\n" not in answer or len(answer) < _whole(answer):
            part = connection.recv(65536)
            if not part:
                break
            answer += part
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body


def _whole(answer):
    head, _, _ = answer.lower().partition(b"\r\n\r\n")
    length = next((line.split(b":")[1] for line in head.split(b"\r\n") if line.startswith(b"content-length:")), b"0")
    return len(head) + 4 + int(length)


def post(server, body, *headers):
    lines = "\r\n".join([f"Content-Length: {len(body)}", *headers])
    return exchange(server, POST_HEAD + lines.encode() + b"\r\n\r\n" + body)


def refused(answer, *statuses):
    status, body = answer
    assert status in statuses, (status, body[:500])
    outcome = json.loads(body)
    assert outcome["resourceType"] == "OperationOutcome"
    assert outcome["issue"][0]["diagnostics"]


PATIENT = {"resourceType": "Patient", "name": [{"family": "Nuñez"}]}


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"{", id="cut"),
        pytest.param(b"[]", id="array"),
        pytest.param(b"null", id="null"),
        pytest.param(b'"Patient"', id="string"),
        pytest.param(b"NaN", id="nan"),
        pytest.param(b'{"resourceType": "Patient", "multipleBirthInteger": Infinity}', id="infinity"),
        pytest.param(b'{"resourceType": "Patient", "gender": "male", "gender": "female"}', id="duplicate-key"),
        pytest.param(b'{"resourceType": "Patient", "name": [{"family": "a\\u0000b"}]}', id="nul"),
        pytest.param(b'{"resourceType": "Patient", "name": [{"family": "\xff\xfe"}]}', id="invalid-utf-8"),
        pytest.param(b'{"resourceType": "Patient", "name": [{"family": "\\ud800"}]}', id="lone-surrogate"),
        pytest.param(b'{"resourceType": "Patient", "name": ' + b"[" * 10_000 + b"]" * 10_000 + b"}", id="deep-arrays"),
        pytest.param(
            b'{"resourceType": "Patient", "contact": ' + b'{"a":' * 10_000 + b"1" + b"}" * 10_000 + b"}",
            id="deep-objects",
        ),
        pytest.param(b'{"resourceType": "Patient", "multipleBirthInteger": ' + b"9" * 5000 + b"}", id="long-number"),
        pytest.param(json.dumps(PATIENT).encode("utf-16"), id="utf-16"),
    ],
)
def test_a_malformed_body_is_refused(live_server, body):
    refused(post(live_server, body), 400, 422)


def test_a_declared_oversize_body_is_refused(live_server):
    refused(exchange(live_server, POST_HEAD + b"Content-Length: %d\r\n\r\n" % (LIMIT + 1)), 413)


def test_an_oversize_chunked_body_is_refused(live_server):
    head = POST_HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
    chunk = b"%x\r\n" % 60_000 + b" " * 60_000 + b"\r\n"
    refused(exchange(live_server, head + chunk * (LIMIT // 60_000 + 1)), 413)


def test_a_truncated_gzip_body_is_refused(live_server):
    packed = gzip.compress(json.dumps(PATIENT).encode())
    refused(post(live_server, packed[:-9], "Content-Encoding: gzip"), 400)


def test_bytes_that_are_no_gzip_are_refused(live_server):
    refused(post(live_server, b"no gzip at all", "Content-Encoding: gzip"), 400)


def test_a_gzip_bomb_is_refused(live_server):
    refused(post(live_server, gzip.compress(b" " * (LIMIT * 50)), "Content-Encoding: gzip"), 413)


def test_an_unknown_content_encoding_is_refused(live_server):
    refused(post(live_server, json.dumps(PATIENT).encode(), "Content-Encoding: br"), 415)


@pytest.mark.parametrize(
    "target",
    [
        "/fhir/Patient/../../etc/passwd",
        "/fhir/Patient/..%2f..%2fetc%2fpasswd",
        "/fhir/Patient/%00",
        "/fhir/Patient/%ff%fe",
        "/fhir/Patient/a%0d%0aSet-Cookie:%20x=1",
        "/fhir/Patient/" + "a" * 65,
        "/fhir/Patient/" + "a" * 20_000,
        "/fhir/Pati%C3%A9nt/1",
        "/fhir/__proto__/1",
        "/fhir//Patient//1",
        "/fhir/Patient/1/_history/0",
        "/fhir/Patient/1/_history/-1",
        "/fhir/Patient/1/_history/99999999999999999999",
        "/fhir/Patient/1/_history/١",
        "/fhir/$no-such-operation",
        "/fhir/Patient/$no-such-operation",
        "/fhir/Patient?_count=-1",
        "/fhir/Patient?_count=x",
        "/fhir/Patient?name:no-such-modifier=x",
        "/fhir/Patient?birthdate=ge2024-13-45",
        "/fhir/Patient?birthdate=0000",
        "/fhir/Observation?value-quantity=NaN",
        "/fhir/Patient?_cursor=AAAA",
    ],
)
def test_a_hostile_target_is_refused(live_server, target):
    status, body = exchange(live_server, f"GET {target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    assert 400 <= status < 500, (status, body[:500])
    assert b"root:" not in body
    if body.startswith(b"{"):
        assert json.loads(body)["resourceType"] == "OperationOutcome"


@pytest.mark.parametrize(
    "target",
    [
        "Observation?value-quantity=1e999",
        "Patient?name=%27%20OR%201=1--",
        "Patient?name=%25",
        "Patient?name=_",
        "Patient?identifier=%7C",
        "Patient?identifier=" + "a" * 8000,
        "Patient?name=" + ",".join(["x"] * 500),
        "Patient?_id=" + ",".join(f"p{n}" for n in range(900)),
        "Patient?birthdate=ge0001-01-01",
        "Patient?birthdate=le9999-12-31",
        "Patient?name=%F0%9F%A6%B4",
    ],
)
def test_an_odd_search_finds_nothing_or_is_refused(live_server, target):
    status, body = exchange(live_server, f"GET /fhir/{target} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    answer = json.loads(body)
    if status == 200:
        assert [entry for entry in answer.get("entry", []) if entry["search"]["mode"] == "match"] == []
    else:
        refused((status, body), 400, 414, 422)


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="tls"),
        pytest.param(
            b"GET /fhir/Patient HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", id="negative-length"
        ),
        pytest.param(b"GET /fhir/metadata\r\n\r\n", id="no-version"),
        pytest.param(b"GET / HTTP/1.1\r\n" + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n", id="long-header"),
    ],
)
def test_bytes_that_are_no_request_do_not_hurt(live_server, data):
    with socket.create_connection(("127.0.0.1", live_server.port), timeout=20) as connection:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert not answer.startswith(b"HTTP/1.1 5")
    assert httpx.get(f"{live_server.base_url}/metadata").status_code == 200
