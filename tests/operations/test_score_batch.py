"""QuestionnaireResponse $score-batch and the long requests it is one of (R4 async.html), over HTTP on each engine."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from itertools import count
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.instruments.responses import response
from tests.live_server import start_server

Json = dict[str, Any]
ASYNC = {"Prefer": "respond-async"}
WAIT_SECONDS = 30
_tags = count(1)

# By hand: the sums of the answers.
ANSWERS: dict[str, tuple[list[int | None], int | None]] = {
    "a": ([4] * 12, 48),
    "b": ([4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3], 27),
    "c": ([1] * 11 + [None], None),
}


def put_all(base: str, *resources: Json) -> None:
    entries = [
        {"resource": one, "request": {"method": "PUT", "url": f"{one['resourceType']}/{one['id']}"}}
        for one in resources
    ]
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    httpx.post(base, json=bundle, timeout=60).raise_for_status()


def parameters(**values: Any) -> Json:
    types = {"criteria": "valueString", "group": "valueReference", "persist": "valueBoolean"}
    listed = [{"name": name, types[name]: value} for name, value in values.items()]
    return {"resourceType": "Parameters", "parameter": listed}


def start(base: str, **values: Any) -> httpx.Response:
    url = f"{base}/QuestionnaireResponse/$score-batch"
    return httpx.post(url, json=parameters(**values), headers=ASYNC, timeout=30)


def wait(address: str) -> httpx.Response:
    deadline = time.monotonic() + WAIT_SECONDS
    while (answer := httpx.get(address, timeout=30)).status_code == 202:
        assert "X-Progress" in answer.headers
        assert int(answer.headers["Retry-After"]) > 0
        assert time.monotonic() < deadline, answer.text
        time.sleep(0.05)
    return answer


def lines(manifest: Json) -> list[Json]:
    found = []
    for output in manifest["output"]:
        answer = httpx.get(output["url"], headers={"Accept": "application/x-ndjson"}, timeout=30)
        assert answer.headers["Content-Type"] == "application/x-ndjson"
        rows = [json.loads(line) for line in answer.text.splitlines()]
        assert len(rows) == output["count"]
        found += rows
    return found


def scored(base: str, **values: Any) -> list[Json]:
    accepted = start(base, **values)
    assert accepted.status_code == 202, accepted.text
    answer = wait(accepted.headers["Content-Location"])
    assert answer.status_code == 200, answer.text
    assert answer.headers["Content-Type"].startswith("application/json")
    assert "Expires" in answer.headers
    return lines(answer.json())


@pytest.fixture
def tag(base_url: str) -> str:
    """A tag of this test's own, on three responses of two patients."""
    name = f"batch-{next(_tags)}"
    put_all(
        base_url,
        *(
            response(
                "oks",
                answers,
                id=f"{name}-{letter}",
                meta={"tag": [{"code": name}]},
                subject={"reference": f"Patient/{name}-{'1' if letter == 'a' else '2'}"},
            )
            for letter, (answers, _) in ANSWERS.items()
        ),
    )
    return name


def totals(rows: list[Json]) -> dict[str, Any]:
    """Value of `oks.total` by the last letter of the response's id; None for those that are refused."""
    found = {}
    for row in rows:
        if row["score"] in ("oks.total", None):
            letter = row["responseId"][-1]
            assert letter not in found
            found[letter] = row["value"]
            assert (row["status"], bool(row["reason"])) == (
                ("final", False) if row["value"] is not None else ("refused", True)
            )
    return found


def stored(base: str, tag: str, letter: str) -> int:
    url = f"{base}/Observation?derived-from=QuestionnaireResponse/{tag}-{letter}&code=oks.total&_summary=count"
    return int(httpx.get(url, timeout=30).json()["total"])


def test_the_scores_of_what_meets_the_criteria(base_url: str, tag: str) -> None:
    rows = scored(base_url, criteria=f"_tag={tag}&status=completed")
    assert set(rows[0]) == {"responseId", "score", "value", "status", "reason"}
    assert totals(rows) == {letter: total for letter, (_, total) in ANSWERS.items()}
    assert stored(base_url, tag, "a") == 0


def test_persist_stores_them(base_url: str, tag: str) -> None:
    assert totals(scored(base_url, criteria=f"_tag={tag}", persist=True))["b"] == 27
    assert [stored(base_url, tag, letter) for letter in "abc"] == [1, 1, 0]


def test_an_alert_is_told_whether_or_not_there_is_a_score(base_url: str, tag: str) -> None:
    answers: dict[str, list[int | None]] = {"whole": [0] * 8 + [2], "partial": [None] + [0] * 7 + [2]}
    put_all(
        base_url,
        *(
            response("phq-9", given, id=f"{tag}-{name}", meta={"tag": [{"code": f"{tag}-phq"}]})
            for name, given in answers.items()
        ),
    )
    rows = scored(base_url, criteria=f"_tag={tag}-phq")
    whole = {row["score"]: row["value"] for row in rows if row["responseId"] == f"{tag}-whole"}
    assert (whole["phq-9.total"], whole["phq-9.item9"]) == (2, 2)
    (alert,) = (row for row in rows if row["score"] == "phq-9.item9")
    assert (alert["status"], "Assess the risk" in alert["reason"]) == ("alert", True)
    (partial,) = (row for row in rows if row["responseId"] == f"{tag}-partial")
    assert (partial["status"], partial["value"]) == ("refused", None)
    assert "Item q1 has no answer" in partial["reason"]
    assert "answered 2" in partial["reason"]


def test_strata_and_scores_that_are_absent(base_url: str, tag: str) -> None:
    """STarT Back: risk follows from the total, which needs q1; the subscale does not (questionnaires/start-back)."""
    answers: list[int | None] = [1, 1, 1, 1, 1, 1, 1, 1, 4]
    put_all(
        base_url,
        response("start-back", answers, id=f"{tag}-whole", meta={"tag": [{"code": f"{tag}-start"}]}),
        response("start-back", [None, *answers[1:]], id=f"{tag}-part", meta={"tag": [{"code": f"{tag}-start"}]}),
    )
    rows = scored(base_url, criteria=f"_tag={tag}-start")
    found = {(row["responseId"].rpartition("-")[2], row["score"].partition(".")[2]): row["value"] for row in rows}
    assert found == {
        ("whole", "total"): 9,
        ("whole", "psych_subscale"): 5,
        ("whole", "risk"): "high",
        ("part", "total"): None,
        ("part", "psych_subscale"): 5,
        ("part", "risk"): None,
    }
    assert {row["status"] for row in rows if row["value"] is None} == {"absent"}
    assert all("q1" in row["reason"] for row in rows if row["score"] == "start-back.total" and row["value"] is None)


def test_the_responses_of_a_group(base_url: str, tag: str) -> None:
    """R4 group.html: an inactive member is none any more."""
    members = [
        {"entity": {"reference": f"Patient/{tag}-2"}},
        {"entity": {"reference": f"Patient/{tag}-1"}, "inactive": True},
    ]
    put_all(
        base_url,
        *({"resourceType": "Patient", "id": f"{tag}-{n}"} for n in (1, 2)),
        {"resourceType": "Group", "id": tag, "type": "person", "actual": True, "member": members},
    )
    assert totals(scored(base_url, group={"reference": f"Group/{tag}"})) == {"b": 27, "c": None}


def test_nothing_found_is_an_answer_without_files(base_url: str) -> None:
    assert scored(base_url, criteria="_tag=none-has-this") == []


def test_pages_are_walked_to_their_end(base_url: str, tag: str) -> None:
    many = [
        response("oks", [n % 5] * 12, id=f"{tag}-many-{n}", meta={"tag": [{"code": f"{tag}-many"}]}) for n in range(120)
    ]
    put_all(base_url, *many)
    rows = [row for row in scored(base_url, criteria=f"_tag={tag}-many") if row["score"] == "oks.total"]
    assert {row["responseId"]: row["value"] for row in rows} == {f"{tag}-many-{n}": n % 5 * 12 for n in range(120)}
    assert len(rows) == 120


def test_it_can_be_ended(base_url: str, tag: str) -> None:
    """R4 async.html: a DELETE at the address of the request; then it is not known any more."""
    address = start(base_url, criteria=f"_tag={tag}").headers["Content-Location"]
    assert httpx.delete(address, timeout=30).status_code == 202
    for method in ("GET", "DELETE"):
        assert httpx.request(method, address, timeout=30).status_code == 404
        assert httpx.request(method, f"{address}/score", timeout=30).status_code == 404


def test_what_is_done_can_be_removed(base_url: str, tag: str) -> None:
    address = start(base_url, criteria=f"_tag={tag}").headers["Content-Location"]
    (output,) = wait(address).json()["output"]
    assert httpx.get(output["url"], timeout=30).status_code == 200
    assert httpx.delete(address, timeout=30).status_code == 202
    assert httpx.get(output["url"], timeout=30).status_code == 404


@pytest.mark.parametrize(
    ("values", "status", "code"),
    [
        ({}, 400, "required"),
        ({"criteria": "status=completed", "group": {"reference": "Group/g"}}, 400, "required"),
        ({"criteria": ""}, 400, "value"),
        ({"criteria": "colour=red"}, 400, "not-supported"),
        ({"criteria": "status="}, 400, "invalid"),
        ({"criteria": "status=completed&_sort=authored"}, 400, "invalid"),
        ({"criteria": "status=completed,"}, 400, "invalid"),
        ({"criteria": "authored=yesterday"}, 400, "invalid"),
        ({"group": {"reference": "Group/none"}}, 404, "not-found"),
        ({"group": {"reference": "Patient/p"}}, 400, "value"),
        ({"group": {"display": "everybody"}}, 400, "value"),
    ],
)
def test_what_it_cannot_do_is_refused(base_url: str, values: Json, status: int, code: str) -> None:
    answer = start(base_url, **values)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (status, code), answer.text


def test_a_group_that_is_no_reference_is_told_how_to_be_sent(base_url: str) -> None:
    url = f"{base_url}/QuestionnaireResponse/$score-batch"
    body = {"resourceType": "Parameters", "parameter": [{"name": "group", "valueString": "Group/g"}]}
    answer = httpx.post(url, json=body, headers={"Prefer": "respond-async"}, timeout=30)
    assert answer.status_code == 400
    assert "send it as valueReference" in answer.json()["issue"][0]["diagnostics"]


def test_rows_are_those_of_the_command_line(base_url: str, tag: str, tmp_path: Path) -> None:
    """One vocabulary: whoever reads one file can read the other."""
    responses = [
        response("start-back", [None, 1, 1, 1, 1, 1, 1, 1, 4], id=f"{tag}-x"),
        response("start-back", [1, 1, 1, 1, 1, 1, 1, 1, 4], id=f"{tag}-y"),
        response("phq-9", [1] * 9, id=f"{tag}-z"),
    ]
    file = tmp_path / "responses.ndjson"
    file.write_text("".join(json.dumps(one) + "\n" for one in responses))
    program = [sys.executable, "-m", "fhir_server.cli.main", "score", str(file)]
    printed = subprocess.run(program, capture_output=True, text=True, check=True).stdout
    put_all(base_url, *({**one, "meta": {"tag": [{"code": f"{tag}-both"}]}} for one in responses))
    rows = scored(base_url, criteria=f"_tag={tag}-both")

    def by_score(row: Json) -> str:
        return f"{row['responseId']} {row['score']}"

    assert sorted(rows, key=by_score) == sorted(map(json.loads, printed.splitlines()), key=by_score)


def test_a_group_without_patients_is_refused(base_url: str, tag: str) -> None:
    put_all(base_url, {"resourceType": "Group", "id": tag, "type": "person", "actual": True})
    assert start(base_url, group={"reference": f"Group/{tag}"}).status_code == 422


def test_it_is_answered_later_only(base_url: str) -> None:
    url = f"{base_url}/QuestionnaireResponse/$score-batch"
    answer = httpx.post(url, json=parameters(criteria="status=completed"), timeout=30)
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "required")


@pytest.mark.parametrize("path", ["_async", "_async/none", "_async/none/score", "_async/none/score/x"])
def test_an_address_that_is_not_known(base_url: str, path: str) -> None:
    assert httpx.get(f"{base_url}/{path}", timeout=30).status_code == 404


def test_a_request_cannot_be_posted_to(base_url: str, tag: str) -> None:
    address = start(base_url, criteria=f"_tag={tag}").headers["Content-Location"]
    answer = httpx.post(address, json={}, timeout=30)
    assert (answer.status_code, answer.headers["Allow"]) == (405, "GET, HEAD, DELETE")


def progress(answer: httpx.Response) -> int:
    """Responses done, while it waits or runs."""
    _, _, done = answer.headers["X-Progress"].partition(": ")
    return int(done.split(" ")[0])


@pytest.mark.torture
def test_killed_in_the_middle_it_goes_on_and_writes_no_line_twice(database_url: str, tmp_path: Path) -> None:
    responses = 300
    server = start_server(database_url, tmp_path, "--no-content", "--workers", "2")
    try:
        put_all(server.base_url, *(response("oks", [n % 5] * 12, id=f"r{n}") for n in range(responses)))
        address = start(server.base_url, criteria="status=completed", persist=True).headers["Content-Location"]
        while (under_way := httpx.get(address, timeout=30)).status_code == 202 and not progress(under_way):
            time.sleep(0.01)
        server.kill()
        assert under_way.status_code == 202, "it was done before it could be killed"
        assert 0 < progress(under_way) < responses
        server = start_server(database_url, tmp_path, "--no-content", "--workers", "2")
        rows = lines(wait(f"{server.base_url}/_async/{address.rpartition('/')[2]}").json())
        totals = [(row["responseId"], row["value"]) for row in rows if row["score"] == "oks.total"]
        assert sorted(totals) == sorted((f"r{n}", n % 5 * 12) for n in range(responses))
        found = httpx.get(f"{server.base_url}/Observation?code=oks.total&_summary=count", timeout=30).json()
        assert found["total"] == responses
    finally:
        server.stop()
