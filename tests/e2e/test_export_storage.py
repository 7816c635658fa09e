"""$export into S3-compatible storage (a real server of it, moto's), fetched by signed links, on each engine."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import httpx
import psutil
import pytest
from moto.server import ThreadedMotoServer

from tests.e2e.test_export import Exports
from tests.live_server import LiveServer, running_server, start_server
from tests.long_request import ended

Json = dict[str, Any]
BUCKET = "exports"


class Storage:
    """The S3 server; `environment` is what clients of it need."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self.environment = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ALLOW_HTTP": "true",
            "AWS_ACCESS_KEY_ID": "test-key-id",
            "AWS_SECRET_ACCESS_KEY": "test-secret",
            "AWS_REGION": "eu-west-2",
        }
        self.client = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id="test-key-id",
            aws_secret_access_key="test-secret",
            region_name="eu-west-2",
        )
        where = {"LocationConstraint": "eu-west-2"}
        self.client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=where)

    def names(self, job: str = "") -> list[str]:
        """Of one job, or of all."""
        found = self.client.list_objects_v2(Bucket=BUCKET, Prefix=f"trust/a/{job}").get("Contents", [])
        return [one["Key"] for one in found]


@pytest.fixture(scope="session")
def storage() -> Iterator[Storage]:
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        yield Storage(server.get_host_and_port()[1])
    finally:
        server.stop()


def options(folder: Path, bucket: str = BUCKET) -> tuple[str, ...]:
    return ("--no-content", "--export-folder", str(folder / "files"), "--export-storage", f"s3://{bucket}/trust/a")


@pytest.fixture(scope="module")
def exports(
    engine: str, new_database: Callable[[str], str], storage: Storage, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Exports]:
    folder = tmp_path_factory.mktemp("stored")
    with running_server(new_database(engine), folder, *options(folder), environment=storage.environment) as server:
        asking = Exports(server)
        asking.folder = folder / "files"
        asking.pid = server.pid
        asking.store(*({"resourceType": "Patient", "id": f"p{n}"} for n in range(30)))
        asking.store({"resourceType": "Basic", "id": "b", "code": {"text": "b"}})
        yield asking


def fetched(manifest: Json) -> dict[str, list[Json]]:
    """By type; nothing but the link is needed."""
    found = {}
    for entry in manifest["output"]:
        answer = httpx.get(entry["url"])
        assert answer.status_code == 200, answer.text
        found[entry["type"]] = [json.loads(line) for line in answer.content.splitlines()]
        assert len(found[entry["type"]]) == entry["count"]
    return found


def test_files_are_fetched_by_signed_links(exports: Exports, storage: Storage) -> None:
    accepted = exports.begin()
    manifest = exports.wait(accepted)
    found = fetched(manifest)
    assert {kind: len(lines) for kind, lines in found.items()} == {"Patient": 30, "Basic": 1}
    assert manifest["requiresAccessToken"] is False
    link = httpx.URL(manifest["output"][0]["url"])
    assert (link.host, link.port) == ("127.0.0.1", httpx.URL(storage.url).port)
    assert 86_000 <= int(link.params["X-Amz-Expires"]) <= 86_400
    assert "test-secret" not in json.dumps(manifest)
    job = accepted.headers["Content-Location"].rpartition("/")[2]
    assert sorted(storage.names(job)) == [f"trust/a/{job}/Basic.1.ndjson", f"trust/a/{job}/Patient.1.ndjson"]
    # Nothing of it stays on the server's disk.
    assert [one for one in exports.folder.rglob("*") if one.is_file()] == []
    assert exports.http.delete(accepted.headers["Content-Location"]).status_code == 202
    assert storage.names(job) == []


def test_storage_that_refuses_fails_the_export_and_tells_no_secret(
    engine: str, new_database: Callable[[str], str], storage: Storage, tmp_path: Path
) -> None:
    where = options(tmp_path, "nowhere")
    with running_server(new_database(engine), tmp_path, *where, environment=storage.environment) as server:
        asking = Exports(server)
        asking.store({"resourceType": "Patient", "id": "p"})
        address = asking.begin().headers["Content-Location"]
        answer = ended(asking.http, address, 422)
        text = answer.json()["issue"][0]["diagnostics"]
        assert "does not take the files" in text
        assert storage.url not in text
        assert asking.http.get("Patient/p").status_code == 200


def test_killed_while_it_ships_it_goes_on_and_loses_and_doubles_nothing(
    engine: str, new_database: Callable[[str], str], storage: Storage, tmp_path: Path
) -> None:
    types = ("Patient", "Group", "Basic", "Account", "Device")
    database = new_database(engine)
    server = start_server(database, tmp_path, *options(tmp_path), environment=storage.environment)
    try:
        asking = Exports(server)
        for kind in types:
            extra: Json = {"Group": {"type": "person", "actual": True}, "Basic": {"code": {"text": "x"}}}.get(kind, {})
            extra |= {"status": "active"} if kind == "Account" else {}
            asking.store(*({"resourceType": kind, "id": f"x{n}", **extra} for n in range(300)))
        for victim in ("exporting process", "server"):
            before = len(storage.names())
            address = asking.begin().headers["Content-Location"]
            while len(storage.names()) == before and asking.http.get(address).status_code == 202:
                time.sleep(0.005)
            if victim == "server":
                server.kill()
                server = start_server(database, tmp_path, *options(tmp_path), environment=storage.environment)
                asking = Exports(server)
            else:
                _kill_exporting(server)
            manifest = ended(asking.http, f"_async/{address.rpartition('/')[2]}").json()
            found = fetched(manifest)
            assert {kind: len({one["id"] for one in lines}) for kind, lines in found.items()} == dict.fromkeys(
                types, 300
            )
            assert sum(map(len, found.values())) == 300 * len(types)
    finally:
        server.stop()


def _kill_exporting(server: LiveServer) -> None:
    for child in psutil.Process(server.pid).children(recursive=True):
        if "fhir_server.bulk.export.process" in " ".join(child.cmdline()):
            os.kill(child.pid, signal.SIGKILL)
