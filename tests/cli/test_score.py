"""`fhir-server score FILE...` as an analyst calls it."""

from __future__ import annotations

import csv
import gzip
import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.instruments.responses import response


def call(directory: Path, *arguments: str, data: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli.main", "score", *arguments],
        cwd=directory,
        input=data,
        capture_output=True,
        timeout=60,
        check=False,
    )


def ndjson(*bodies: dict[str, Any]) -> bytes:
    return b"".join(json.dumps(body).encode() + b"\n" for body in bodies)


def rows(answer: subprocess.CompletedProcess[bytes]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in answer.stdout.splitlines()]


def test_a_row_for_each_score(tmp_path: Path) -> None:
    body = ndjson(response("oks", [4] * 12, id="a"), response("phq-9", [1] * 8 + [2], id="b"))
    (tmp_path / "all.ndjson.gz").write_bytes(gzip.compress(body))
    answer = call(tmp_path, "all.ndjson.gz")
    assert answer.returncode == 0
    assert [(row["responseId"], row["score"], row["value"], row["status"]) for row in rows(answer)] == [
        ("a", "oks.total", 48, "final"),
        ("b", "phq-9.total", 10, "final"),
        ("b", "phq-9.item9", 2, "alert"),
    ]


def test_what_is_refused_says_why_and_the_rest_is_scored(tmp_path: Path) -> None:
    body = b"{\n[]\n" + ndjson(
        response("oks", [9, *[4] * 11], id="a"),
        {"resourceType": "QuestionnaireResponse", "id": "b", "questionnaire": "https://example.org/other"},
        {"resourceType": "Patient"},
        response("oks", [4] * 12, id="c"),
    )
    answer = call(tmp_path, "-", data=body)
    assert answer.returncode == 1
    found = rows(answer)
    assert [(row["responseId"], row["status"]) for row in found] == [
        (None, "refused"),
        (None, "refused"),
        ("a", "refused"),
        ("b", "refused"),
        (None, "refused"),
        ("c", "final"),
    ]
    assert "Line 1" in found[0]["reason"]
    assert "q1" in found[2]["reason"]
    assert answer.stderr.decode() == "6 responses, 5 without a score.\n"


def test_csv(tmp_path: Path) -> None:
    answer = call(tmp_path, "--csv", "-", data=ndjson(response("oks", [3] * 12, id="a")))
    assert list(csv.reader(io.StringIO(answer.stdout.decode()))) == [
        ["responseId", "score", "value", "status", "reason"],
        ["a", "oks.total", "36", "final", ""],
    ]


def test_whole_observations(tmp_path: Path) -> None:
    answer = call(tmp_path, "--observations", "-", data=ndjson(response("oks", [3] * 12, id="a")))
    (observation,) = rows(answer)
    assert observation["resourceType"] == "Observation"
    assert observation["valueQuantity"]["value"] == 36
    assert observation["derivedFrom"] == [{"reference": "QuestionnaireResponse/a"}]


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    answer = call(tmp_path, "none.ndjson")
    assert answer.returncode == 2
    assert b"none.ndjson" in answer.stderr
