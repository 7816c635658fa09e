"""Hostile searches of a real server: each is answered soon, with a searchset or a refusal, and memory stays bounded."""

import http.client
import json
import time
from urllib.parse import quote, urlencode

import httpx
import psutil
import pytest

from tests.live_server import running_server

SECONDS = 10
"""Longest answer; far more than any takes, for machines under load."""
MEGABYTES = 300
"""Most that the server may grow by over all of them."""
CODES = ("a,b", "x|y", "knee")


@pytest.fixture(scope="module", params=[300, pytest.param(10_000, marks=pytest.mark.torture)])
def live_server(request, engine, new_database, tmp_path_factory):
    """Resources that refer in circles, and all to one patient."""
    environment = {"FHIR_CONTENT": "false"}
    with running_server(new_database(engine), tmp_path_factory.mktemp("server"), environment=environment) as server:
        for start in range(0, request.param, 1000):
            number = min(1000, request.param - start)
            load(server, [entry(one) for n in range(start, start + number) for one in circle(n, request.param)])
        before = memory(server)
        yield server
        assert httpx.get(f"{server.root_url}/health/ready").status_code == 200
        assert memory(server) - before < MEGABYTES * 1_000_000


def circle(number, size):
    """An Organization that is part of the next, and an Observation of Patient/1 with the next as its member."""
    following = (number + 1) % size
    yield {
        "resourceType": "Organization",
        "id": f"o{number}",
        "name": f"Org {number} " + "aab" * 30,
        "partOf": {"reference": f"Organization/o{following}"},
    }
    yield {
        "resourceType": "Observation",
        "id": f"b{number}",
        "status": "final",
        "code": {"coding": [{"system": "http://example.org", "code": CODES[number % 3], "display": "Knee pain"}]},
        "subject": {"reference": "Patient/1"},
        "focus": [{"reference": f"Observation/b{following}"}],
        "hasMember": [{"reference": f"Observation/b{following}"}],
        "valueQuantity": {"value": number},
    }


def entry(resource):
    return {"request": {"method": "PUT", "url": f"{resource['resourceType']}/{resource['id']}"}, "resource": resource}


def load(server, entries):
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert httpx.post(server.base_url, json=bundle, timeout=120).status_code == 200


def memory(server):
    process = psutil.Process(server.pid)
    return sum(one.memory_info().rss for one in (process, *process.children(recursive=True)))


def many(number, form):
    return ",".join(form.format(n) for n in range(number))


SEARCHES = {
    "identifiers": ("Patient", [("identifier", many(10_000, "v{}"))]),
    "codes": ("Observation", [("code", many(10_000, "c{}"))]),
    "references": ("Observation", [("subject", many(10_000, "{}"))]),
    "names": ("Organization", [("name", many(10_000, "n{}"))]),
    "dates": ("Observation", [("date", many(10_000, "ne{:04}"))]),
    "quantities": ("Observation", [("value-quantity", many(10_000, "ap{}||mg"))]),
    "composites": ("Observation", [("code-value-quantity", many(10_000, "c${}"))]),
    "ids": ("Patient", [("_id", many(10_000, "{}"))]),
    "lists": ("Patient", [("_list", many(1_000, "{}"))]),
    "displays": ("Observation", [("code:text", many(10_000, "n{}"))]),
    "value sets": ("Observation", [("code:in", many(1_000, "http://example.org/{}"))]),
    "parameters": ("Patient", [("name", "a")] * 10_000),
    "unknown parameters": ("Patient", [(f"p{n}", "a") for n in range(10_000)]),
    "commas": ("Patient", [("name", "," * 1_000_000)]),
    "escapes": ("Patient", [("name", "\\," * 500_000)]),
    "lone backslash": ("Patient", [("name", "a\\")]),
    "pipes": ("Patient", [("identifier", "|" * 100_000)]),
    "dollars": ("Observation", [("code-value-quantity", "$" * 100_000)]),
    "long string": ("Organization", [("name", "a" * 1_000_000)]),
    "long contains": ("Organization", [("name:contains", "aab" * 300_000)]),
    "short contains": ("Organization", [("name:contains", "a")]),
    "contains with wildcards": ("Organization", [("name:contains", "%_*?[a-z]%" * 100)]),
    "combining marks": ("Organization", [("name", "\u0301" * 100_000)]),
    "expanding letters": ("Organization", [("name", "\ufdfa" * 100_000)]),
    "text": ("Organization", [("_text", "(" * 100_000)]),
    "content": ("Organization", [("_content", "a OR " * 50_000)]),
    "long chain": ("Organization", [("partof." * 5_000 + "name", "a")]),
    "circular chain": ("Organization", [("partof." * 8 + "name", "org")]),
    "untyped chain to nothing": ("Task", [("subject." * 8 + "nonesuch", "a")]),
    "untyped chain to unreadable values": ("Task", [("subject." * 7 + "active", "neither")]),
    "untyped chain to everything": ("Observation", [("focus." * 8 + "_lastUpdated", "gt2000")]),
    "untyped chain of some": ("Observation", [("focus.focus.focus._id", "b1")]),
    "dots": ("Patient", [("." * 100_000, "a")]),
    "colons": ("Patient", [(":" * 100_000, "a")]),
    "modifiers": ("Patient", [("name" + ":exact" * 10_000, "a")]),
    "long modifier": ("Patient", [("name:" + "x" * 100_000, "a")]),
    "long _has": ("Patient", [("_has:Observation:subject:" * 5_000 + "code", "a")]),
    "circular _has": ("Observation", [("_has:Observation:focus:" * 8 + "code", "knee")]),
    "_has of everything": ("Patient", [("_has:Observation:subject:status", "final")] * 20),
    "broken _has": ("Patient", [("_has:" + ":" * 1_000, "a")]),
    "includes": ("Organization", [("_include", "Organization:partof")] * 1_000),
    "circular include": ("Organization", [("_include:iterate", "Organization:partof"), ("_count", "1")]),
    "circular revinclude": ("Organization", [("_revinclude:iterate", "Organization:partof"), ("_count", "1")]),
    "wildcards": ("Observation", [("_include:iterate", "*"), ("_revinclude:iterate", "*"), ("_count", "1000")]),
    "sorts": ("Organization", [("_sort", ",".join(f"name{n}" for n in range(10_000)))]),
    "the same sort": ("Organization", [("_sort", ",".join(["name"] * 100_000))]),
    "elements": ("Organization", [("_elements", ",".join(f"e{n}" for n in range(50_000)))]),
    "large count": ("Organization", [("_count", "9" * 1_000)]),
    "negative count": ("Organization", [("_count", "-1")]),
    "huge number": ("RiskAssessment", [("probability", "9" * 100_000)]),
    "huge exponent": ("RiskAssessment", [("probability", "1e999999999")]),
    "tiny exponent": ("RiskAssessment", [("probability", "ap1e-999999999")]),
    "quantity exponent": ("Observation", [("value-quantity", "1e99999999|http://unitsofmeasure.org|mg")]),
    "deep unit": ("Observation", [("value-quantity", "1|http://unitsofmeasure.org|" + "(" * 50_000)]),
    "long unit": ("Observation", [("value-quantity", "1|http://unitsofmeasure.org|" + "m." * 50_000 + "m")]),
    "power of a unit": ("Observation", [("value-quantity", "1|http://unitsofmeasure.org|m999999999")]),
    "not a number": ("RiskAssessment", [("probability", "NaN,Infinity,-Infinity,0x1")]),
    "year 0": ("Observation", [("date", "0000")]),
    "last year": ("Observation", [("date", "ge9999-12-31T23:59:59.999-14:00")]),
    "first year": ("Observation", [("date", "le0001-01-01T00:00:00+14:00")]),
    "long fraction": ("Observation", [("date", "2020-01-01T00:00:00." + "1" * 100_000 + "Z")]),
    "month 13": ("Observation", [("date", "2020-13")]),
    "other digits": ("Observation", [("date", "２０２０"), ("value-quantity", "５")]),
    "far place": ("Location", [("near", "1e308|-1e308|1e308|km")]),
    "filter": ("Patient", [("_filter", "(" * 50_000 + 'name eq "a"' + ")" * 50_000)]),
    "long filter": ("Patient", [("_filter", " or ".join(['name eq "a"'] * 20_000))]),
    "filter of nots": ("Patient", [("_filter", "not " * 50_000 + 'name eq "a"')]),
    "nul": ("Organization", [("name", "a\x00b"), ("identifier", "\x00"), ("_id", "\x00")]),
    "nul in a name": ("Organization", [("na\x00me", "a")]),
    "surrogates": ("Organization", [("name", "\ud800")]),
    "noncharacters": ("Organization", [("name", "\uffff\ufffe\U0010ffff")]),
    "format": ("Organization", [("_format", "a" * 100_000)]),
    "cursor": ("Organization", [("_cursor", "A" * 1_000_000)]),
    "other cursor": ("Organization", [("_cursor", "=\x00é")]),
}


@pytest.mark.parametrize(("resource_type", "pairs"), SEARCHES.values(), ids=SEARCHES.keys())
def test_a_hostile_search_is_answered_soon(live_server, resource_type, pairs):
    body = urlencode(pairs, errors="surrogatepass")
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answered(live_server, "POST", f"/fhir/{resource_type}/_search", body, headers)


@pytest.mark.parametrize(
    "query",
    [
        pytest.param("name=%", id="percent"),
        pytest.param("name=%zz", id="no hex"),
        pytest.param("name=%ff%fe", id="not UTF-8"),
        pytest.param("name=%C0%80", id="overlong nul"),
        pytest.param("name=%00", id="nul"),
        pytest.param("name=%ED%A0%80", id="surrogate"),
        pytest.param("name=%2525252525", id="encoded again"),
        pytest.param("%6eame=Anna", id="encoded name"),
        pytest.param("name%3Aexact=Anna", id="encoded colon"),
        pytest.param("name=a%2Cb", id="encoded comma"),
        pytest.param("name=a+b%2Bc", id="plus"),
        pytest.param("name=%F0%9F%A6%B5", id="emoji"),
        pytest.param("&&&==&=a&a=", id="separators"),
        pytest.param("name;active=true", id="semicolon"),
        pytest.param("?name=a", id="second question mark"),
        pytest.param("name=" + quote("ﷺ" * 100), id="ligatures"),
        pytest.param("x=1&" * 5_000, id="5,000 parameters"),
    ],
)
def test_odd_encodings_are_answered(live_server, query):
    answered(live_server, "GET", f"/fhir/Patient?{query}", None, {})


def answered(server, method, target, body, headers):
    """A searchset, or an OperationOutcome that says what is wrong; soon."""
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=SECONDS)
    started = time.monotonic()
    connection.request(method, target, body, headers)
    answer = connection.getresponse()
    content = json.loads(answer.read())
    connection.close()
    assert time.monotonic() - started < SECONDS
    assert answer.status in (200, 400, 403, 413, 414, 422), (answer.status, str(content)[:500])
    if answer.status == 200:
        assert content["resourceType"] == "Bundle"
    else:
        assert content["resourceType"] == "OperationOutcome"
        assert content["issue"][0]["diagnostics"]
        assert len(str(content)) < 5_000
