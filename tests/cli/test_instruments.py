"""`fhir-server instruments` as a clinical safety officer, an author and a licensee call it."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.instruments.responses import BASE, QUESTIONNAIRES, response
from tests.instruments.test_wording import LICENCE, filled
from tests.live_server import LiveServer

Json = dict[str, Any]
CANONICAL = f"{BASE}/Questionnaire/oks|1.0.0-en-gb-2007"
ANSWERS: list[int | None] = [4, 3, 2, 1, 0, 4, 3, 2, 1, 0, 4, 3]
TOTAL = 27
"""By hand."""


def call(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "fhir_server.cli.main", "instruments", *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_list_names_evidence_and_licence_of_each() -> None:
    told = {one["id"]: one for one in json.loads(call("list", "--json").stdout)}
    assert sorted(told) == sorted(path.parent.name for path in QUESTIONNAIRES.glob("*/scoring.json"))
    oks = told["oks"]
    assert (oks["name"], oks["evidence"], oks["scores"][0]["name"]) == ("Oxford Knee Score", "secondary", "total")
    assert oks["licence"]["holder"] == "Oxford University Innovation"
    assert oks["questionnaire"] == f"{BASE}/Questionnaire/oks|1.0.0-neutral"
    assert "phq-9: PHQ-9 (1999), secondary\n    total\n" in call("list").stdout


def test_what_ships_has_no_findings() -> None:
    answer = call("check")
    assert (answer.returncode, answer.stderr) == (0, "")
    assert answer.stdout.endswith("no findings.\n")


def test_one_folder_with_a_fault_and_its_path(tmp_path: Path) -> None:
    folder = tmp_path / "oks"
    shutil.copytree(QUESTIONNAIRES / "oks", folder)
    assert call("check", folder).returncode == 0
    scoring = json.loads((folder / "scoring.json").read_text())
    scoring["scores"][0]["decimals"] = -1
    (folder / "scoring.json").write_text(json.dumps(scoring))
    answer = call("check", tmp_path)
    assert answer.returncode == 1
    assert answer.stdout.startswith("oks/scoring.json $.scores[0].decimals: ")


def test_a_vector_that_disagrees(tmp_path: Path) -> None:
    folder = tmp_path / "phq-9"
    shutil.copytree(QUESTIONNAIRES / "phq-9", folder)
    golden = json.loads((folder / "golden.json").read_text())
    golden["vectors"] = golden["vectors"][:1]
    golden["vectors"][0]["expect"]["scores"]["total"] = "1"
    (folder / "golden.json").write_text(json.dumps(golden))
    answer = call("check", folder)
    assert answer.returncode == 1
    assert "phq-9/golden.json $.vectors[0] (none: 9 x 0): total is 0, expected 1\n" in answer.stdout


@pytest.mark.parametrize(
    ("name", "change", "told"),
    [
        ("golden.json", {"vectors": []}, "oks/golden.json $.vectors"),
        ("golden.json", {"vectors": [{"name": "x", "answers": {"q99": 1}, "expect": {"refused": []}}]}, "has no q99"),
        ("instrument.json", {"mic": 1}, "oks/instrument.json $.mic"),
        ("questionnaire.json", None, "oks/questionnaire.json is not there"),
    ],
)
def test_faults_of_the_other_files(tmp_path: Path, name: str, change: Json | None, told: str) -> None:
    file = tmp_path / "oks" / name
    shutil.copytree(QUESTIONNAIRES / "oks", file.parent)
    if change is None:
        file.unlink()
    else:
        file.write_text(json.dumps(json.loads(file.read_text()) | change))
    answer = call("check", tmp_path)
    assert answer.returncode == 1
    assert told in answer.stdout


def test_a_folder_without_definitions(tmp_path: Path) -> None:
    answer = call("check", tmp_path)
    assert answer.returncode == 2
    assert "holds no scoring.json" in answer.stderr


def import_wording(server: LiveServer, file: Path, instrument: str = "oks", *more: str) -> Any:
    return call("wording", "import", instrument, file, "--licence", LICENCE, "--database", server.database, *more)


def wording_file(directory: Path, instrument: str = "oks", **changes: Any) -> Path:
    file = directory / "wording.json"
    file.write_text(json.dumps(filled(instrument) | changes))
    return file


def test_a_wording_is_imported_served_and_scored(live_server: LiveServer, tmp_path: Path) -> None:
    base = live_server.base_url
    body = response("oks", ANSWERS, questionnaire=CANONICAL)
    url = f"{base}/QuestionnaireResponse/$score"
    before = httpx.post(url, json=body)
    assert (before.status_code, before.json()["issue"][0]["expression"]) == (
        422,
        ["QuestionnaireResponse.questionnaire"],
    )

    answer = import_wording(live_server, wording_file(tmp_path), "oks", "--by", "A. Librarian")
    assert (answer.returncode, answer.stderr) == (0, "")
    again = import_wording(live_server, wording_file(tmp_path))
    assert (again.returncode, "is stored already" in again.stdout) == (0, True)

    found = httpx.get(f"{base}/Questionnaire", params={"url": f"{BASE}/Questionnaire/oks"}).json()["entry"]
    versions = {entry["resource"]["version"]: entry["resource"] for entry in found}
    assert set(versions) == {"1.0.0-neutral", "1.0.0-en-gb-2007"}
    assert versions["1.0.0-en-gb-2007"]["item"][0]["text"] == "Words of q1"
    target = {"target": "Questionnaire/oks-1.0.0-en-gb-2007"}
    (entry,) = httpx.get(f"{base}/Provenance", params=target).json()["entry"]
    assert entry["resource"]["agent"][0]["who"] == {"display": "A. Librarian"}
    assert LICENCE in entry["resource"]["reason"][0]["text"]

    *observations, outcome = (one["resource"] for one in httpx.post(url, json=body).json()["entry"])
    (total,) = observations
    assert total["valueQuantity"]["value"] == TOTAL
    assert total["method"]["text"].endswith(" on wording 1.0.0-en-gb-2007")
    notes = [note["text"] for note in total["note"]]
    assert "Answered on the imported wording 'As published' (en-GB), version 1.0.0-en-gb-2007." in notes
    assert [issue for issue in outcome["issue"] if issue["severity"] == "warning"] == []
    assert "neutral" not in json.dumps(total)

    # Stored with its score.
    httpx.put(f"{base}/Patient/p-1", json={"resourceType": "Patient", "id": "p-1"}).raise_for_status()
    httpx.put(f"{base}/QuestionnaireResponse/worded", json={**body, "id": "worded"}).raise_for_status()
    persist = {"resourceType": "Parameters", "parameter": [{"name": "persist", "valueBoolean": True}]}
    kept = httpx.post(f"{base}/QuestionnaireResponse/worded/$score", json=persist).json()
    assert kept["entry"][0]["resource"]["derivedFrom"] == [{"reference": "QuestionnaireResponse/worded"}]
    assert kept["entry"][0]["resource"]["valueQuantity"]["value"] == TOTAL
    asked = {"resourceType": "Parameters", "parameter": [{"name": "instrument", "valueCode": "oks"}]}
    history = httpx.post(f"{base}/Patient/p-1/$score-history", json=asked).raise_for_status()
    assert [part["name"] for part in history.json()["parameter"]].count("series") == 1
    assert "neutral" not in history.text
    # The form of 12 to 60 stays unknown.
    other = httpx.post(url, json={**body, "questionnaire": f"{BASE}/Questionnaire/oks|12-60"})
    assert other.status_code == 422
    assert "|1.0.0-neutral" in other.json()["issue"][0]["diagnostics"]


def test_other_words_need_another_version(live_server: LiveServer, tmp_path: Path) -> None:
    first = wording_file(tmp_path, version="fr-1", language="fr")
    assert import_wording(live_server, first).returncode == 0
    answer = import_wording(live_server, wording_file(tmp_path, version="fr-1", language="fr", title="Autre"))
    assert answer.returncode == 1
    assert "give the new one a version of its own" in answer.stderr


def test_a_changed_form_is_not_scored(live_server: LiveServer, tmp_path: Path) -> None:
    assert import_wording(live_server, wording_file(tmp_path, version="de-1", language="de")).returncode == 0
    base = live_server.base_url
    address = f"{base}/Questionnaire/oks-1.0.0-de-1"
    form = httpx.get(address).json()
    form["item"][0]["answerOption"][0]["valueCoding"]["extension"][0]["valueDecimal"] = 1
    httpx.put(address, json=form).raise_for_status()
    body = response("oks", ANSWERS, questionnaire=f"{BASE}/Questionnaire/oks|1.0.0-de-1")
    refused = httpx.post(f"{base}/QuestionnaireResponse/$score", json=body)
    assert refused.status_code == 422
    assert "item q1 is not the one the rules are of" in refused.json()["issue"][0]["diagnostics"]


def test_item_9_of_an_imported_wording_alerts(live_server: LiveServer, tmp_path: Path) -> None:
    assert import_wording(live_server, wording_file(tmp_path, "phq-9"), "phq-9").returncode == 0
    base = live_server.base_url
    canonical = f"{BASE}/Questionnaire/phq-9|1.0.0-en-gb-2007"
    patient = {"reference": "Patient/worded"}
    body = response("phq-9", [0] * 8 + [2], questionnaire=canonical, subject=patient)
    httpx.put(f"{base}/Patient/worded", json={"resourceType": "Patient", "id": "worded"}).raise_for_status()
    httpx.post(f"{base}/QuestionnaireResponse", json=body).raise_for_status()
    flags = httpx.get(f"{base}/Flag", params={"patient": "worded"}).json()
    assert [entry["resource"]["code"]["coding"][0]["code"] for entry in flags["entry"]] == ["phq-9.item9"]


def test_refusals_of_an_import(live_server: LiveServer, tmp_path: Path) -> None:
    items = filled("oks")["items"]
    del items["q7"]
    answer = import_wording(live_server, wording_file(tmp_path, version="lacking", items=items))
    assert (answer.returncode, answer.stdout) == (1, "")
    assert "$.items.q7: the wording of this item lacks" in answer.stderr
    assert httpx.get(f"{live_server.base_url}/Questionnaire/oks-1.0.0-lacking").status_code == 404
    (tmp_path / "no.json").write_text("{")
    assert import_wording(live_server, tmp_path / "no.json").returncode == 1
    assert import_wording(live_server, tmp_path / "absent.json").returncode == 2
    assert import_wording(live_server, wording_file(tmp_path), "knee").returncode == 2


def test_the_template_names_every_item_and_answer() -> None:
    told = json.loads(call("wording", "template", "phq-9").stdout)
    assert list(told["items"]) == [f"q{number}" for number in range(1, 10)]
    assert told["items"]["q1"] == {"text": "", "options": {"0": "", "1": "", "2": "", "3": ""}}


def test_files_are_scored_with_imported_wordings(live_server: LiveServer, tmp_path: Path) -> None:
    assert import_wording(live_server, wording_file(tmp_path, version="es-1", language="es")).returncode == 0
    form = httpx.get(f"{live_server.base_url}/Questionnaire/oks-1.0.0-es-1").json()
    (tmp_path / "forms.ndjson").write_text(json.dumps(form) + "\n")
    body = response("oks", ANSWERS, questionnaire=f"{BASE}/Questionnaire/oks|1.0.0-es-1", id="a")
    (tmp_path / "all.ndjson").write_text(json.dumps(body) + "\n")
    command = [sys.executable, "-m", "fhir_server.cli.main", "score", str(tmp_path / "all.ndjson")]
    refused = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (refused.returncode, json.loads(refused.stdout)["status"]) == (1, "refused")
    with_forms = [*command, "--questionnaires", str(tmp_path / "forms.ndjson")]
    scored = subprocess.run(with_forms, capture_output=True, text=True, timeout=60, check=False)
    assert (scored.returncode, json.loads(scored.stdout)["value"]) == (0, TOTAL)
