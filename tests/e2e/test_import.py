"""$import over HTTP on each engine: files fetched and stored in the background."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from fhir_server.synthetic import generate
from tests.e2e.test_load import alarms
from tests.live_server import LiveServer, running_server, start_server
from tests.long_request import ended

Json = dict[str, Any]
ASYNC = {"Prefer": "respond-async"}
WAIT_SECONDS = 60
CHECK_DIGIT = "https://fhir.nhs.uk/Id/nhs-number"


@dataclass
class Files:
    """A web server of files; what is asked of it is remembered."""

    url: str
    content: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    failures: dict[str, int] = field(default_factory=dict)
    """How many times a path still answers 503."""


@contextmanager
def file_server() -> Iterator[Files]:
    files = Files("")

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            files.asked.append(self.path)
            if self.path == "/out/moved":
                self.send_response(302)
                self.send_header("Location", "/out/secret")
                self.end_headers()
                return
            if files.failures.get(self.path, 0) > 0:
                files.failures[self.path] -= 1
                self.send_error(503)
                return
            if self.path not in files.content:
                self.send_error(404)
                return
            self.send_response(200)
            self.send_header("Content-Length", str(len(files.content[self.path])))
            self.end_headers()
            self.wfile.write(files.content[self.path])

        def log_message(self, *_: Any) -> None:
            """Nothing on standard error."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    files.url = f"http://127.0.0.1:{server.server_port}"
    try:
        yield files
    finally:
        server.shutdown()
        server.server_close()


class Imports:
    """Asks one server for imports."""

    def __init__(self, server: LiveServer, files: Files, folder: Path) -> None:
        self.http = httpx.Client(base_url=f"{server.base_url}/", timeout=60)
        self.server = server
        self.files = files
        self.folder = folder

    def offer(self, name: str, *resources: Json | bytes, pack: bool = False) -> str:
        """The address of a file of these lines."""
        lines = [one if isinstance(one, bytes) else json.dumps(one).encode() for one in resources]
        content = b"\n".join(lines)
        self.files.content[f"/out/{name}"] = gzip.compress(content) if pack else content
        return f"{self.files.url}/out/{name}"

    def begin(self, *inputs: tuple[str, str], more: list[Json] | None = None) -> httpx.Response:
        part = [
            {"name": "input", "part": [{"name": "type", "valueCode": kind}, {"name": "url", "valueUrl": url}]}
            for kind, url in inputs
        ]
        body = {"resourceType": "Parameters", "parameter": [*part, *(more or [])]}
        return self.http.post("$import", json=body, headers=ASYNC)

    def wait(self, accepted: httpx.Response, status: int = 200) -> Json:
        assert accepted.status_code == 202, accepted.text
        told: Json = ended(self.http, accepted.headers["Content-Location"], status).json()
        return told

    def imported(self, *inputs: tuple[str, str], more: list[Json] | None = None) -> Json:
        return self.wait(self.begin(*inputs, more=more))

    def errors(self, manifest: Json) -> list[Json]:
        found = []
        for entry in manifest["error"]:
            answer = self.http.get(entry["url"])
            assert answer.headers["Content-Type"] == "application/fhir+ndjson"
            lines = [json.loads(line) for line in answer.content.splitlines()]
            assert len(lines) == entry["count"]
            found += lines
        return found

    def total(self, query: str) -> int:
        count: int = self.http.get(f"{query}{'&' if '?' in query else '?'}_summary=count").json()["total"]
        return count


@pytest.fixture(scope="module")
def imports(
    engine: str, new_database: Callable[[str], str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Imports]:
    folder = tmp_path_factory.mktemp("imports")
    with file_server() as files:
        options = ("--no-content", "--export-folder", str(folder / "files"), "--import-sources", f"{files.url}/out")
        with running_server(new_database(engine), folder, *options) as server:
            yield Imports(server, files, folder / "files")


def patient(name: str, **elements: Any) -> Json:
    return {"resourceType": "Patient", "id": name, **elements}


def pain(name: str, of: str, **more: Any) -> Json:
    code = {"coding": [{"system": "urn:test", "code": "pain"}]}
    return {
        "resourceType": "Observation",
        "id": name,
        "status": "final",
        "code": code,
        "subject": {"reference": of},
        **more,
    }


def counts(entry: Json) -> tuple[int, int, int, int]:
    told = entry["extension"]
    return told["created"], told["updated"], told["unchanged"], told["refused"]


@pytest.mark.parametrize("pack", [False, True])
def test_files_are_stored_in_their_order_and_found(imports: Imports, pack: bool) -> None:
    name = f"a{int(pack)}"
    people = imports.offer(f"{name}-p.ndjson", *(patient(f"{name}-{n}", active=True) for n in range(250)), pack=pack)
    pains = imports.offer(
        f"{name}-o.ndjson", *(pain(f"{name}-{n}", f"Patient/{name}-{n}") for n in range(250)), pack=pack
    )
    manifest = imports.imported(("Patient", people), ("Observation", pains))
    assert [(one["type"], one["inputUrl"], one["count"]) for one in manifest["output"]] == [
        ("Patient", people, 250),
        ("Observation", pains, 250),
    ]
    assert manifest["error"] == []
    assert imports.total(f"Observation?subject=Patient/{name}-7") == 1
    again = imports.imported(("Patient", people), ("Observation", pains))
    assert [counts(one) for one in again["output"]] == [(0, 0, 250, 0), (0, 0, 250, 0)]
    assert list(imports.folder.glob("*")) == []


def test_what_is_invalid_is_told_by_file_and_line_and_the_rest_stored(imports: Imports) -> None:
    url = imports.offer(
        "b.ndjson",
        b"\xef\xbb\xbf" + json.dumps(patient("b1")).encode() + b"\r",
        b"{broken",
        patient("b2", gender="man"),
        pain("b-pain", "Patient/b1"),
        b"",
        patient("b3", identifier=[{"system": CHECK_DIGIT, "value": "9990000019"}]),
    )
    manifest = imports.imported(("Patient", url))
    assert counts(manifest["output"][0]) == (2, 0, 0, 3)
    told = imports.errors(manifest)
    assert {one["resourceType"] for one in told} == {"OperationOutcome"}
    assert {one["extension"][0]["valueString"] for one in told} == {url}
    lines = [[ext["valueInteger"] for ext in one["issue"][0].get("extension", [])] for one in told]
    assert lines == [[2], [3], [4], []]
    assert [one["issue"][0]["severity"] for one in told] == ["error", "error", "error", "warning"]
    assert told[1]["issue"][0]["expression"] == ["Patient.gender"]
    assert told[3]["issue"][0]["details"] == {"text": "Patient/b3"}
    assert "9990000019" not in json.dumps(told)


def test_an_uploaded_file_is_a_binary(imports: Imports) -> None:
    """Small ones stand in the resource, large ones beside it."""
    for number, many in (("c1", 3), ("c2", 1500)):
        content = "\n".join(json.dumps(patient(f"{number}-{n}")) for n in range(many))
        answer = imports.http.post(
            "Binary", content=content, headers={"Content-Type": "application/fhir+ndjson", "Accept": "application/json"}
        )
        assert answer.status_code == 201, answer.text
        manifest = imports.imported(
            ("Patient", f"Binary/{answer.headers['Location'].split('/Binary/')[1].split('/')[0]}")
        )
        assert counts(manifest["output"][0]) == (many, 0, 0, 0)


def test_references_to_the_source_become_references_here_and_a_line_without_an_id_is_one_resource(
    imports: Imports,
) -> None:
    nameless = pain("x", "https://old.example.org/fhir/Patient/d1")
    del nameless["id"]
    url = imports.offer("d.ndjson", nameless, nameless)
    source = [{"name": "inputSource", "valueUri": "https://old.example.org/fhir"}]
    assert counts(imports.imported(("Observation", url), more=source)["output"][0]) == (2, 0, 0, 0)
    assert counts(imports.imported(("Observation", url), more=source)["output"][0]) == (0, 0, 2, 0)
    found = imports.http.get("Observation?subject=Patient/d1").json()["entry"]
    assert {one["resource"]["subject"]["reference"] for one in found} == {"Patient/d1"}


def test_an_alarming_answer_brings_its_flag(imports: Imports) -> None:
    """docs/instruments.md: PHQ-9 item 9 above 0."""
    made = list(generate(3, resources=600))
    response = next(one for one in made if alarms(one))
    subject = response["subject"]["reference"]
    person = next(one for one in made if f"{one['resourceType']}/{one['id']}" == subject)
    imports.imported(("Patient", imports.offer("e-p.ndjson", person)))
    imports.imported(("QuestionnaireResponse", imports.offer("e.ndjson", response)))
    assert imports.total(f"Flag?patient={subject}") == 1


REFUSED: list[tuple[str, str, int, str]] = [
    ("Patient", "http://127.0.0.1:1/out/x", 403, "forbidden"),
    ("Patient", "{files}/other/x", 403, "forbidden"),
    ("Patient", "{files}/out/../other/x", 403, "forbidden"),
    ("Patient", "{files}/out/%2e%2e/other/x", 403, "forbidden"),
    ("Patient", "{files}/output/x", 403, "forbidden"),
    ("Patient", "{userinfo}/out/x", 403, "forbidden"),
    ("Patient", "file:///etc/passwd", 403, "forbidden"),
    ("Patient", "http://[broken/out", 403, "forbidden"),
    ("Nonsense", "{files}/out/x", 400, "value"),
    ("Patient", "Binary/nowhere", 404, "not-found"),
]


@pytest.mark.parametrize(("kind", "url", "status", "code"), REFUSED)
def test_what_is_not_fetched_is_refused_at_once(imports: Imports, kind: str, url: str, status: int, code: str) -> None:
    address = url.format(files=imports.files.url, userinfo=imports.files.url.replace("//", "//user@"))
    answer = imports.begin((kind, address))
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code), answer.text


@pytest.mark.parametrize(
    "more",
    [
        [{"name": "inputFormat", "valueCode": "text/csv"}],
        [{"name": "storageDetail", "part": [{"name": "type", "valueCode": "aws-s3"}]}],
        [{"name": "storageDetail", "part": [{"name": "credentialHttpBasic", "valueString": "a:b"}]}],
    ],
)
def test_what_is_not_supported_is_refused(imports: Imports, more: list[Json]) -> None:
    assert imports.begin(("Patient", imports.offer("f.ndjson", patient("f"))), more=more).status_code == 400


def test_an_import_needs_a_file_and_patience(imports: Imports) -> None:
    assert imports.begin().status_code == 400
    body = {"resourceType": "Parameters", "parameter": []}
    assert imports.http.post("$import", json=body).status_code == 400


@pytest.mark.parametrize("path", ["nowhere", "moved"])
def test_a_file_that_is_not_there_fails_the_import(imports: Imports, path: str) -> None:
    """A redirect is not followed: it may lead anywhere."""
    imports.files.content["/out/secret"] = json.dumps(patient("secret")).encode()
    outcome = imports.wait(imports.begin(("Patient", f"{imports.files.url}/out/{path}")), 422)
    assert f"/out/{path} cannot be fetched" in outcome["issue"][0]["diagnostics"]
    assert "/out/secret" not in imports.files.asked
    assert list(imports.folder.glob("*")) == []


def test_a_server_that_recovers_is_asked_again(imports: Imports) -> None:
    url = imports.offer("g.ndjson", patient("g"))
    imports.files.failures["/out/g.ndjson"] = 1
    assert imports.imported(("Patient", url))["output"][0]["count"] == 1


def test_an_empty_and_a_damaged_file_keep_no_other_out(imports: Imports) -> None:
    imports.files.content["/out/damaged"] = gzip.compress(json.dumps(patient("h0")).encode() * 9)[:-12]
    good = imports.offer("h.ndjson", patient("h1"))
    manifest = imports.imported(
        ("Patient", imports.offer("empty")), ("Patient", f"{imports.files.url}/out/damaged"), ("Patient", good)
    )
    assert [one["count"] for one in manifest["output"]] == [0, 0, 1]
    assert len(imports.errors(manifest)) >= 1


def test_a_cancelled_import_leaves_no_file(imports: Imports) -> None:
    url = imports.offer("i.ndjson", *(patient(f"i{n}") for n in range(5000)))
    accepted = imports.begin(("Patient", url))
    address = accepted.headers["Content-Location"]
    assert imports.http.delete(address).status_code == 202
    assert imports.http.get(address).status_code == 404
    deadline = time.monotonic() + WAIT_SECONDS
    while list(imports.folder.glob("*")):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_it_is_declared(imports: Imports) -> None:
    capability = imports.http.get("metadata").json()
    assert "import" in [one["name"] for one in capability["rest"][0]["operation"]]


@pytest.mark.parametrize("victim", ["server", "preparing processes"])
def test_killed_it_goes_on_and_loses_and_doubles_nothing(
    engine: str, new_database: Callable[[str], str], tmp_path: Path, victim: str
) -> None:
    many = 6000
    nameless = [{"resourceType": "Basic", "code": {"text": f"n{n}"}} for n in range(many)]
    with file_server() as files:
        files.content["/a"] = gzip.compress(b"\n".join(json.dumps(one).encode() for one in nameless))
        database = new_database(engine)
        options = ("--no-content", "--export-folder", str(tmp_path / "files"), "--import-sources", f"{files.url}/")
        server = start_server(database, tmp_path, *options)
        try:
            asking = Imports(server, files, tmp_path / "files")
            accepted = asking.begin(("Basic", f"{files.url}/a"))
            while asking.total("Basic") < 500:
                assert asking.http.get(accepted.headers["Content-Location"]).status_code == 202
            if victim == "server":
                server.kill()
                server = start_server(database, tmp_path, *options)
                asking = Imports(server, files, tmp_path / "files")
            else:
                for process in psutil.Process(server.pid).children(recursive=True):
                    if process.nice() > 0:
                        os.kill(process.pid, signal.SIGKILL)
            address = f"_async/{accepted.headers['Content-Location'].rpartition('/')[2]}"
            manifest = ended(asking.http, address).json()
            assert manifest["output"][0]["count"] >= many
            assert counts(manifest["output"][0])[3] == 0
            assert asking.total("Basic") == many
        finally:
            server.stop()


@pytest.mark.torture
def test_a_file_that_has_changed_or_is_too_large_fails_the_import(
    engine: str, new_database: Callable[[str], str], tmp_path: Path
) -> None:
    """A server that lost its folder fetches again, and goes on only with what has the same size."""
    lines = [json.dumps({"resourceType": "Basic", "code": {"text": f"n{n}"}}).encode() for n in range(20_000)]
    with file_server() as files:
        files.content["/a"] = b"\n".join(lines)
        files.content["/large"] = b"\n".join(lines) * 2
        options = ("--no-content", "--export-folder", str(tmp_path / "files"), "--import-sources", f"{files.url}/")
        options = (*options, "--import-max-bytes", str(len(files.content["/a"])))
        database = new_database(engine)
        server = start_server(database, tmp_path, *options)
        try:
            asking = Imports(server, files, tmp_path / "files")
            outcome = asking.wait(asking.begin(("Basic", f"{files.url}/large")), 422)
            assert "import_max_bytes" in outcome["issue"][0]["diagnostics"]
            job = asking.begin(("Basic", f"{files.url}/a")).headers["Content-Location"].rpartition("/")[2]
            while asking.total("Basic") < 500:
                assert asking.http.get(f"_async/{job}").status_code == 202
            server.kill()
            shutil.rmtree(tmp_path / "files" / job)
            files.content["/a"] = b"\n".join(lines[:-1])
            server = start_server(database, tmp_path, *options)
            asking = Imports(server, files, tmp_path / "files")
            changed = ended(asking.http, f"_async/{job}", 422).json()
            assert "has changed since the import began" in changed["issue"][0]["diagnostics"]
            assert list((tmp_path / "files").iterdir()) == []
        finally:
            server.stop()
