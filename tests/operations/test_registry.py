"""R4 operations.html#request: which calls reach an operation, and with what."""

from __future__ import annotations

from typing import Any, cast

import msgspec
import pytest

from fhir_server.errors import FhirError
from fhir_server.interactions.exchange import OperationLevel, Request, Response, Server
from fhir_server.operations.registry import OperationRegistry, operation
from fhir_server.operations.request import OperationRequest
from fhir_server.settings import Settings
from fhir_server.storage.base import Store

NO_STORE = Server(cast(Store, None), Settings(content=False))


class Recorder:
    """An operation that keeps what it was called with."""

    def __init__(self) -> None:
        self.calls: list[OperationRequest] = []

    async def __call__(self, call: OperationRequest) -> Response:
        self.calls.append(call)
        return Response(200, b"done")


@pytest.fixture
def recorder() -> Recorder:
    return Recorder()


@pytest.fixture
def registry(recorder: Recorder) -> OperationRegistry:
    return OperationRegistry(
        [
            operation("OperationDefinition-Patient-everything.json", recorder),
            operation("OperationDefinition-Resource-validate.json", recorder),
            operation("OperationDefinition-Resource-meta.json", recorder, versioned=True),
            operation("OperationDefinition-Resource-meta-add.json", recorder),
        ]
    )


async def invoke(
    registry: OperationRegistry,
    code: str,
    *,
    method: str = "POST",
    level: OperationLevel = "instance",
    resource_type: str | None = "Patient",
    version_id: str | None = None,
    query: list[tuple[str, str]] | None = None,
    body: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Response:
    request = Request(method, "", query or [], headers or {}, msgspec.json.encode(body) if body is not None else b"")
    logical_id = "1" if level == "instance" else None
    return await registry.invoke(NO_STORE, request, level, resource_type, logical_id, version_id, code)


def parameters(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Parameters", "parameter": list(parts)}


async def test_get_takes_primitive_parameters_from_the_url(registry: OperationRegistry, recorder: Recorder) -> None:
    query = [("_type", "Observation"), ("_type", "Task"), ("_count", "5"), ("_format", "json")]
    response = await invoke(registry, "everything", method="GET", query=query)
    assert response.body == b"done"
    assert recorder.calls[0].parameters == {"_type": ["Observation", "Task"], "_count": [5]}


async def test_post_takes_a_parameters_resource(registry: OperationRegistry, recorder: Recorder) -> None:
    body = parameters({"name": "start", "valueDate": "2026-01-01"}, {"name": "_count", "valueInteger": 5})
    await invoke(registry, "everything", body=body)
    assert recorder.calls[0].one("start") == "2026-01-01"
    assert recorder.calls[0].one("_count") == 5
    assert recorder.calls[0].many("_type") == []


async def test_a_bare_resource_stands_for_the_only_parameter_that_takes_it(
    registry: OperationRegistry, recorder: Recorder
) -> None:
    await invoke(registry, "validate", body={"resourceType": "Patient"}, query=[("mode", "create")])
    assert recorder.calls[0].parameters == {"mode": ["create"], "resource": [{"resourceType": "Patient"}]}


async def test_an_empty_body_is_no_parameters(registry: OperationRegistry, recorder: Recorder) -> None:
    await invoke(registry, "everything")
    assert recorder.calls[0].parameters == {}


@pytest.mark.parametrize(
    ("code", "call", "status", "issue", "says"),
    [
        ("nothing", {}, 404, "not-supported", "$everything, $meta, $meta-add, $validate"),
        ("nothing", {"level": "system", "resource_type": None}, 404, "not-supported", "Available there: $validate."),
        ("everything", {"level": "type"}, 404, "not-supported", "type level of Patient"),
        ("everything", {"resource_type": "Observation"}, 404, "not-supported", "Observation"),
        ("meta-add", {"version_id": "1"}, 404, "not-supported", "a version of Patient"),
        ("meta-add", {"method": "GET"}, 405, "not-supported", "changes state"),
        ("everything", {"method": "PUT"}, 405, "not-supported", "GET, POST"),
        ("everything", {"query": [("begin", "2026")]}, 400, "invalid", "start, end, _since, _type, _count"),
        ("everything", {"query": [("_count", "5"), ("_count", "6")]}, 400, "invalid", "1 time(s), not 2"),
        ("meta-add", {}, 400, "required", "needs parameter meta"),
        ("meta-add", {"query": [("meta", "x")]}, 400, "invalid", "cannot stand in the URL"),
        ("meta-add", {"body": {"resourceType": "Patient"}}, 400, "invalid", "Parameters"),
        ("everything", {"body": parameters({"name": "start", "valueString": "2026"})}, 400, "invalid", "valueDate"),
        ("everything", {"body": parameters({"name": "start"})}, 400, "invalid", "no value"),
        ("everything", {"body": {"resourceType": "Parameters", "parameter": {}}}, 400, "invalid", "array"),
        ("everything", {"body": {"resourceType": "Parameters", "parameter": ["x"]}}, 400, "invalid", "array"),
        ("everything", {"body": parameters({"name": ["start"]})}, 400, "invalid", "no parameter"),
        ("validate", {"body": parameters({"name": "resource", "resource": []})}, 400, "invalid", "resourceType"),
        ("validate", {"body": parameters({"name": "resource", "valueString": "x"})}, 400, "invalid", "as resource"),
        ("validate", {"body": {"resourceType": ["Patient"]}}, 400, "invalid", "resourceType"),
        ("everything", {"headers": {"content-type": "multipart/form-data; boundary=x"}}, 415, "not-supported", "form"),
    ],
)
async def test_refused_calls_say_why(
    registry: OperationRegistry,
    recorder: Recorder,
    code: str,
    call: dict[str, Any],
    status: int,
    issue: str,
    says: str,
) -> None:
    with pytest.raises(FhirError) as refused:
        await invoke(registry, code, **call)
    assert (refused.value.status, refused.value.issues[0].code) == (status, issue)
    assert says in refused.value.issues[0].diagnostics
    assert recorder.calls == []


async def test_a_wrong_method_names_the_right_ones_in_allow(registry: OperationRegistry) -> None:
    """RFC 9110 section 15.5.6."""
    with pytest.raises(FhirError) as refused:
        await invoke(registry, "meta-add", method="GET")
    assert refused.value.headers == {"Allow": "POST"}


async def test_a_faulty_parameter_is_named_by_its_place_in_the_body(registry: OperationRegistry) -> None:
    with pytest.raises(FhirError) as refused:
        await invoke(registry, "everything", body=parameters({"name": "end", "valueDate": "2026"}, {"name": "x"}))
    assert refused.value.issues[0].expression == "Parameters.parameter[1]"


def test_declared_lists_each_type_and_the_system_level(registry: OperationRegistry) -> None:
    base = "https://fhir.example.org/msk/OperationDefinition/"
    assert registry.declared() == [
        ("Patient", "everything", base + "Patient-everything"),
        (None, "validate", base + "Resource-validate"),
        ("Resource", "validate", base + "Resource-validate"),
        ("Resource", "meta", base + "Resource-meta"),
        ("Resource", "meta-add", base + "Resource-meta-add"),
    ]


def test_declared_canonicals_have_the_configured_base() -> None:
    async def handler(call: OperationRequest) -> Response:
        return Response(200)

    served = operation("OperationDefinition-Resource-purge.json", handler)
    registry = OperationRegistry([served], "https://msk.nhs.example")
    assert registry.declared() == [
        ("Resource", "purge", "https://msk.nhs.example/OperationDefinition/Resource-purge"),
    ]
