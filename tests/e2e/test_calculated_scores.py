"""A form that calculates scores by the Questionnaire's expressions sends them along; `$score` reckons them itself.

On a real server of each engine.
"""

from decimal import Decimal

import httpx
import pytest

from tests.instruments.responses import answered, response
from tests.live_server import running_server


@pytest.fixture(scope="module")
def client(engine, new_database, tmp_path_factory):
    directory = tmp_path_factory.mktemp("server")
    with (
        running_server(new_database(engine), directory, "--no-content") as server,
        httpx.Client(base_url=f"{server.base_url}/", timeout=60) as client,
    ):
        yield client


def calculated(**answers):
    items = [{"linkId": f"score-{name}", "answer": [value]} for name, value in answers.items()]
    return {"linkId": "g-scores", "item": items}


def scored(client, body):
    """The value of each score, and the warnings about calculated ones."""
    answer = client.post("QuestionnaireResponse/$score", json=body)
    assert answer.status_code == 200, answer.text
    *observations, outcome = (entry["resource"] for entry in answer.json()["entry"])
    values = [one.get("valueQuantity", {}).get("value") for one in observations]
    warnings = [issue for issue in outcome["issue"] if "score-" in issue.get("expression", [""])[0]]
    assert {issue["severity"] for issue in warnings} <= {"warning"}
    return values, [(issue["expression"], issue["diagnostics"]) for issue in warnings]


def phq9(answer):
    body = response("phq-9", [1, 1, 1, 0, 0, 0, 0, 0, 0])
    body["item"].append(calculated(total=answer))
    return body


@pytest.mark.parametrize("answer", [{"valueDecimal": 3}, {"valueInteger": 3}, {"valueDecimal": 3.0}])
def test_the_same_value_says_nothing(client, answer):
    assert scored(client, phq9(answer)) == ([3], [])


@pytest.mark.parametrize(
    ("answer", "shown"),
    [
        ({"valueDecimal": 27}, "27"),
        ({"valueDecimal": 3.6}, "3.6"),
        ({"valueString": "3"}, "3"),
        ({"valueBoolean": True}, "True"),
        ({"valueQuantity": {"value": 3}}, "no number"),
    ],
)
def test_another_value_changes_nothing_and_is_named(client, answer, shown):
    values, ((expression, text),) = scored(client, phq9(answer))
    assert values == [3]
    assert expression == ["QuestionnaireResponse.descendants().where(linkId='score-total')"]
    assert f"the form calculated {shown}, the value here is 3." in text


@pytest.mark.parametrize(("given", "named"), [("36.1", 0), ("36.11", 0), ("36.111111", 0), ("36.2", 1), ("36", 1)])
def test_a_value_may_be_rounded_as_it_is_displayed(client, given, named):
    """KOOS pain, seven 3s and two 1s: 100 - 25 x 23 / 9, displayed with one place."""
    body = answered("koos", {f"P{number}": 3 if number < 8 else 1 for number in range(1, 10)})
    body["item"].append(calculated(pain={"valueDecimal": float(Decimal(given))}))
    values, warnings = scored(client, body)
    assert values[0] == pytest.approx(36.111111)
    assert len(warnings) == named


def test_a_value_where_there_is_none_and_a_stratum(client):
    body = answered("start-back", {f"q{number}": 1 for number in range(1, 9)} | {"q9": 4})
    body["item"].append(calculated(risk={"valueString": "low"}, total={"valueDecimal": 9}))
    (_, text) = scored(client, body)[1][0]
    assert "the form calculated low, the value here is high." in text
    body = answered("koos", {f"S{number}": 1 for number in range(1, 8)})
    body["item"].append(calculated(pain={"valueDecimal": 50}))
    (_, text) = scored(client, body)[1][0]
    assert "the form calculated 50, there is no value here." in text
