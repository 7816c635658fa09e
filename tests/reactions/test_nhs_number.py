"""NHS Data Dictionary, NHS NUMBER: a wrong check digit is refused on our writes, warned of or taken by setting."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.live_server import running_server

SYSTEM = "https://fhir.nhs.uk/Id/nhs-number"
PREFER = {"Prefer": "return=OperationOutcome"}


def _patient(number: str | None, resource_type: str = "Patient") -> dict[str, Any]:
    identifier = {"system": SYSTEM} | ({"value": number} if number is not None else {})
    resource: dict[str, Any] = {"resourceType": resource_type, "identifier": [{"value": "H1"}, identifier]}
    if resource_type == "RelatedPerson":
        resource["patient"] = {"display": "nobody"}
    return resource


@pytest.fixture(scope="module")
def http(base_url: str) -> Any:
    with httpx.Client(base_url=f"{base_url}/") as client:
        yield client


@pytest.mark.parametrize("resource_type", ["Patient", "Person", "RelatedPerson"])
@pytest.mark.parametrize("number", ["9990000019", "4857773456", "999 000 0018", "12"])
def test_a_wrong_number_is_refused_with_its_place(http: Any, resource_type: str, number: str) -> None:
    answer = http.post(resource_type, json=_patient(number, resource_type))
    assert answer.status_code == 422
    (issue,) = answer.json()["issue"]
    assert (issue["severity"], issue["code"]) == ("error", "value")
    assert issue["expression"] == [f"{resource_type}.identifier[1].value"]
    assert number not in issue["diagnostics"]


@pytest.mark.parametrize("number", ["9990000018", None])
def test_a_right_number_and_an_unknown_one_are_stored(http: Any, number: str | None) -> None:
    assert http.post("Patient", json=_patient(number)).status_code == 201


def test_in_a_transaction_nothing_is_stored(http: Any) -> None:
    entries = [
        {"resource": {"resourceType": "Patient", "id": "good"}, "request": {"method": "PUT", "url": "Patient/good"}},
        {"resource": _patient("9990000019"), "request": {"method": "POST", "url": "Patient"}},
    ]
    answer = http.post("", json={"resourceType": "Bundle", "type": "transaction", "entry": entries})
    assert answer.status_code == 422
    assert answer.json()["issue"][0]["expression"][0].startswith("Bundle.entry[1]")
    assert http.get("Patient/good").status_code == 404


@pytest.mark.parametrize(("policy", "said"), [("warn", ["value"]), ("off", [])])
def test_imported_numbers_are_kept_by_setting(
    engine: str, new_database: Callable[[str], str], tmp_path: Path, policy: str, said: list[str]
) -> None:
    options = ("--no-content", "--nhs-number-check", policy)
    with running_server(new_database(engine), tmp_path, *options) as server:
        answer = httpx.post(f"{server.base_url}/Patient", json=_patient("9990000019"), headers=PREFER)
        assert answer.status_code == 201
        warnings = [issue["code"] for issue in answer.json()["issue"] if issue["severity"] == "warning"]
        assert warnings == said
