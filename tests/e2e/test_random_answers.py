"""Whatever a patient may choose on a shipped form is accepted: random answers to every Questionnaire, over HTTP."""

from random import Random

import httpx

from tests.e2e.simulation.answering import answer


def test_every_form_accepts_what_its_items_allow(base_url):
    with httpx.Client(base_url=f"{base_url}/", timeout=60) as client:
        found = client.get("Questionnaire", params={"_count": "500", "status": "active"}).json()["entry"]
        forms = [entry["resource"] for entry in found]
        assert len(forms) >= 60
        for form in forms:
            random = Random(form["url"])
            for leave_out in (0.0, 0.0, 0.3):
                response = {
                    "resourceType": "QuestionnaireResponse",
                    "questionnaire": f"{form['url']}|{form['version']}",
                    "status": "completed",
                    "subject": {"reference": "Patient/random"},
                    "authored": "2026-03-01T10:00:00Z",
                    "item": answer(form, random, leave_out=leave_out),
                }
                stored = client.post("QuestionnaireResponse", json=response)
                assert stored.status_code == 201, f"{form['url']}: {stored.text[:1000]}"
