"""The access log and metrics hold FHIR's words only, whatever a client puts where."""

from __future__ import annotations

import json

import httpx
import pytest

from fhir_server.observability import metrics
from fhir_server.observability.route import parameter_names, route_of
from tests.http.trivial import TableDispatch, application, client_of

NAME = "Winterbottom"
NHS_NUMBER = "9990548609"


@pytest.fixture(autouse=True)
async def words() -> None:
    """The words that an application teaches when it starts."""
    async for _ in client_of(application(TableDispatch())):
        return


@pytest.mark.parametrize(
    ("method", "path", "interaction", "route"),
    [
        ("GET", "Patient/p1", "read", "GET Patient/{id}"),
        ("HEAD", "Patient/p1", "read", "GET Patient/{id}"),
        ("GET", "Patient/p1/_history/2", "vread", "GET Patient/{id}/_history/{vid}"),
        ("GET", "Patient/p1/_history", "history-instance", "GET Patient/{id}/_history"),
        ("GET", "Patient/_history", "history-type", "GET Patient/_history"),
        ("GET", "_history", "history-system", "GET _history"),
        ("GET", "Patient", "search-type", "GET Patient"),
        ("POST", "Patient/_search", "search-type", "POST Patient/_search"),
        ("POST", "Patient", "create", "POST Patient"),
        ("PUT", "Patient/p1", "update", "PUT Patient/{id}"),
        ("PUT", "Patient", "update", "PUT Patient"),
        ("PATCH", "Patient/p1", "patch", "PATCH Patient/{id}"),
        ("DELETE", "Patient/p1", "delete", "DELETE Patient/{id}"),
        ("GET", "metadata", "capabilities", "GET metadata"),
        ("POST", "", "batch-or-transaction", "POST "),
        ("GET", "Patient/p1/Observation", "search-compartment", "GET Patient/{id}/Observation"),
        ("GET", f"Patient/p1/${NAME}", "operation", "GET Patient/{id}/${operation}"),
        ("GET", NAME, "unknown", "GET {id}"),
        ("GET", f"{NAME}/{NHS_NUMBER}", "unknown", "GET {id}/{id}"),
        (NAME.upper(), "Patient/p1", "unknown", "OTHER Patient/{id}"),
        ("GET", "/".join([NAME] * 9), "unknown", "GET {path}"),
    ],
)
def test_routes_are_templates(method: str, path: str, interaction: str, route: str) -> None:
    assert route_of(method, path) == (interaction, route)


@pytest.mark.parametrize(
    ("sent", "logged"),
    [
        ("name", "name"),
        ("name:exact", "name:exact"),
        ("subject:Patient.name", "subject:Patient.name"),
        ("_has:Observation:patient:code", "_has:Observation:patient:code"),
        ("_count", "_count"),
        (NAME, "?"),
        (f"name:{NAME}", "?"),
        (NAME * 20, "?"),
    ],
)
def test_parameter_names_are_fhirs(sent: str, logged: str) -> None:
    assert parameter_names([(sent, "x"), (sent, "y")]) == [logged]


async def test_a_line_says_what_happened_and_to_nobody(client: httpx.AsyncClient, log_lines: list[bytes]) -> None:
    await client.get(f"/fhir/Patient?name={NAME}&identifier=|{NHS_NUMBER}&{NAME}=1")
    await client.get(f"/fhir/Patient/{NHS_NUMBER}")
    await client.get(f"/fhir/{NAME}/{NHS_NUMBER}?_pretty={NAME}", headers={"User-Agent": NAME})
    await client.request(NAME.upper(), f"/fhir/%FF{NAME}")
    lines = [json.loads(line) for line in log_lines]
    assert {key: lines[0][key] for key in ("event", "method", "route", "parameters", "status")} == {
        "event": "request",
        "method": "GET",
        "route": "GET Patient",
        "parameters": ["name", "identifier", "?"],
        "status": 200,
    }
    assert [line["status"] for line in lines] == [200, 404, 404, 400]
    logged = b"".join(log_lines).decode().lower() + metrics.render().decode().lower()
    assert NAME.lower() not in logged
    assert NHS_NUMBER not in logged


async def test_metrics_count_by_interaction_and_status(client: httpx.AsyncClient) -> None:
    before = sample("fhir_requests_total", interaction="read", status="404")
    timed = sample("fhir_request_seconds_count", interaction="read")
    await client.get("/fhir/Patient/x1")
    await client.get("/fhir/Patient/x2")
    assert sample("fhir_requests_total", interaction="read", status="404") == before + 2
    assert sample("fhir_request_seconds_count", interaction="read") == timed + 2
    assert (await client.get("/metrics")).headers["content-type"].startswith("text/plain; version=0.0.4")


def test_group_sizes_fall_into_buckets() -> None:
    before = [sample("fhir_write_group_size_bucket", le=bound) for bound in ("1.0", "2.0", "4.0", "+Inf")]
    for size in (1, 3, 4, 600):
        metrics.write_group_committed(size)
    after = [sample("fhir_write_group_size_bucket", le=bound) for bound in ("1.0", "2.0", "4.0", "+Inf")]
    assert [b - a for a, b in zip(before, after, strict=True)] == [1, 1, 3, 4]


def sample(name: str, **labels: str) -> float:
    """The value of one sample of the metrics page; 0 when it is not there."""
    wanted = name + "{" + ",".join(f'{key}="{value}"' for key, value in labels.items()) + "}"
    lines = metrics.render().decode().splitlines()
    return next((float(line.rpartition(" ")[2]) for line in lines if line.rpartition(" ")[0] == wanted), 0.0)
