"""patch and conditional patch with JSON Patch: R4 http.html#patch, RFC 6902, RFC 6901 (pointers).

A patch that does not fit the resource is a 422; a document that is not a patch is a 400 (RFC 5789 2.2 knows both).
"""

from __future__ import annotations

from base64 import b64encode
from typing import Any

import pytest

from tests.interactions.conftest import BASE_URL, SYSTEM, Client, Json, numbered, patient

pytestmark = pytest.mark.asyncio(loop_scope="module")

START: Json = {
    "active": True,
    "name": [{"family": "Lee", "given": ["Ann", "Bo"]}, {"text": "Annie"}],
    "extension": [{"url": "urn:x:a/b~c", "valueString": "é"}],
}


def op(name: str, path: str, value: Any = None, **more: Any) -> Json:
    return {"op": name, "path": path, **({} if value is None else {"value": value}), **more}


async def start(client: Client, name: str, **elements: Any) -> None:
    await client.stored(patient(name, **(START | elements)))


class TestOperations:
    @pytest.mark.parametrize(
        ("operations", "changed"),
        [
            ([op("add", "/gender", "female")], {"gender": "female"}),
            ([op("add", "/active", False)], {"active": False}),
            ([op("add", "/name/0/given/1", "Cy")], {"given": ["Ann", "Cy", "Bo"]}),
            ([op("add", "/name/0/given/-", "Cy")], {"given": ["Ann", "Bo", "Cy"]}),
            ([op("add", "/name/0/given/2", "Cy")], {"given": ["Ann", "Bo", "Cy"]}),
            ([op("remove", "/active")], {"active": None}),
            ([op("remove", "/name/0/given/0")], {"given": ["Bo"]}),
            ([op("replace", "/name/0/given/0", "Cy")], {"given": ["Cy", "Bo"]}),
            ([op("replace", "/active", False)], {"active": False}),
            ([op("move", "/name/0/given/0", **{"from": "/name/0/given/1"})], {"given": ["Bo", "Ann"]}),
            ([op("copy", "/name/0/given/-", **{"from": "/name/0/family"})], {"given": ["Ann", "Bo", "Lee"]}),
            ([op("test", "/name/1", {"text": "Annie"}), op("remove", "/active")], {"active": None}),
            ([op("test", "/active", True), op("replace", "/active", False)], {"active": False}),
            ([op("replace", "/name/0/given", ["A"]), op("add", "/name/0/given/0", "B")], {"given": ["B", "A"]}),
            ([op("add", "/gender", "male"), op("remove", "/gender")], {}),
        ],
    )
    async def test_apply_in_order(self, client: Client, name: str, operations: list[Json], changed: Json) -> None:
        await start(client, name)
        answer = await client.patch(f"Patient/{name}", operations)
        assert answer.status == 200, answer.body
        wanted: Json = {**START, "name": [dict(START["name"][0]), START["name"][1]]}
        for key, value in changed.items():
            holder = wanted["name"][0] if key == "given" else wanted
            holder[key] = value
        wanted = {key: value for key, value in wanted.items() if value is not None}
        found = (await client.get(f"Patient/{name}")).resource
        assert {key: value for key, value in found.items() if key not in ("resourceType", "id", "meta")} == wanted

    async def test_pointers_are_unescaped(self, client: Client, name: str) -> None:
        """RFC 6901 4: ~1 is a slash and ~0 a tilde; `~01` is `~1`."""
        await start(client, name)
        path = "/name/0/~01"
        answer = await client.patch(f"Patient/{name}", [op("add", path, "x")])
        assert (answer.status, answer.issue["expression"]) == (422, ["Patient.name[0].~1"])

    async def test_numbers_compare_by_value_and_are_kept_as_written(self, client: Client, name: str) -> None:
        body = (
            '{"resourceType":"Basic","id":"%s","code":{"text":"a"},"extension":[{"url":"urn:x:d","valueDecimal":1.50}]}'
        )
        await client.put(f"Basic/{name}", (body % name).encode())
        operations = b'[{"op":"test","path":"/extension/0/valueDecimal","value":1.5},' + (
            b'{"op":"copy","from":"/extension/0","path":"/extension/1"},'
            b'{"op":"replace","path":"/extension/0/valueDecimal","value":2.0}]'
        )
        answer = await client.patch(f"Basic/{name}", operations)
        assert answer.status == 200
        assert b'"valueDecimal":2.0}' in answer.body
        assert b'"valueDecimal":1.50}' in answer.body

    async def test_replace_keeps_the_position(self, client: Client, name: str) -> None:
        await start(client, name, gender="female", birthDate="1950-01-01")
        before = (await client.get(f"Patient/{name}")).body
        answer = await client.patch(f"Patient/{name}", [op("replace", "/gender", "female")])
        assert (answer.status, answer.body) == (200, before)

    @pytest.mark.parametrize(
        ("status", "operations", "kept"),
        [
            ("generated", [op("add", "/gender", "male")], False),
            ("generated", [op("test", "/id", "{name}")], True),
            ("generated", [op("add", "/gender", "male"), op("replace", "/text/div", "{new}")], True),
            ("additional", [op("add", "/gender", "male")], True),
        ],
    )
    async def test_an_outdated_generated_narrative_goes(
        self, client: Client, name: str, status: str, operations: list[Json], kept: bool
    ) -> None:
        """R4 http.html#patch: the narrative SHALL not be clinically unsafe after the patch."""
        div = '<div xmlns="http://www.w3.org/1999/xhtml">%s</div>'
        await start(client, name, text={"status": status, "div": div % "a woman"})
        values = {"{name}": name, "{new}": div % "a man"}
        sent = [one | {"value": values.get(one["value"], one["value"])} for one in operations]
        answer = await client.patch(f"Patient/{name}", sent)
        assert (answer.status, "text" in answer.resource) == (200, kept)


class TestAnswer:
    async def test_is_that_of_an_update(self, client: Client, name: str) -> None:
        await start(client, name)
        answer = await client.patch(f"Patient/{name}", [op("remove", "/active")])
        assert (answer.status, answer.headers["ETag"]) == (200, 'W/"2"')
        assert answer.headers["Location"] == f"{BASE_URL}/Patient/{name}/_history/2"
        assert answer.resource == (await client.get(f"Patient/{name}")).resource
        history = await client.get(f"Patient/{name}/_history")
        assert history.entries[0]["request"]["method"] == "PUT"

    async def test_follows_prefer(self, client: Client, name: str) -> None:
        await start(client, name)
        answer = await client.patch(f"Patient/{name}", [op("remove", "/active")], prefer="return=minimal")
        assert (answer.status, answer.body) == (200, b"")

    async def test_new_values_are_found_and_old_ones_are_not(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        await client.patch(f"Patient/{name}", [op("replace", "/identifier/0/value", f"{name}-2")])
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}-2")).ids == [name]
        assert (await client.get(f"Patient?identifier={SYSTEM}|{name}")).ids == []

    async def test_of_what_is_not_there(self, client: Client, name: str) -> None:
        assert (await client.patch(f"Patient/{name}", [op("remove", "/active")])).status == 404
        await start(client, name)
        await client.delete(f"Patient/{name}")
        assert (await client.patch(f"Patient/{name}", [op("remove", "/active")])).status == 410

    async def test_if_match(self, client: Client, name: str) -> None:
        await start(client, name)
        assert (await client.patch(f"Patient/{name}", [op("remove", "/active")], if_match='W/"2"')).status == 412
        assert (await client.patch(f"Patient/{name}", [op("remove", "/active")], if_match='W/"1"')).status == 200


class TestRefusals:
    @pytest.mark.parametrize(
        "operations",
        [
            [op("test", "/active", False)],
            [op("test", "/active", 1)],
            [op("test", "/gender", "male")],
            [op("remove", "/gender")],
            [op("replace", "/gender", "male")],
            [op("remove", "/name/2")],
            [op("add", "/name/3", {"text": "far off"})],
            [op("add", "/name/00", {"text": "leading zero"})],
            [op("replace", "/name/-", {"text": "nothing there"})],
            [op("add", "/contact/0/gender", "male")],
            [op("move", "/name/0/x", **{"from": "/name/0"})],
            [op("copy", "/gender", **{"from": "/nothing"})],
            [op("remove", "")],
            [op("replace", "", "a string")],
            [op("replace", "/id", "another")],
            [op("remove", "/id")],
            [op("replace", "/resourceType", "Group")],
            [op("add", "/nickname", "Bo")],
            [{"op": "add", "path": "/gender", "value": None}],
            [op("replace", "/active", "yes")],
            [op("remove", "/name/0/given/0"), op("remove", "/name/0/given/0"), op("remove", "/name/0/family")],
            [op("test", f"/name/{'9' * 5000}", 1)],
        ],
        ids=lambda operations: "-".join(f"{one['op']}{one['path']}" for one in operations),
    )
    async def test_a_patch_that_does_not_fit_is_a_422(self, client: Client, name: str, operations: list[Json]) -> None:
        """The operations before it are undone (RFC 5789 2: the entire set or nothing)."""
        await start(client, name)
        before = await client.get(f"Patient/{name}")
        answer = await client.patch(f"Patient/{name}", [op("add", "/birthDate", "1970-01-01"), *operations])
        assert answer.status == 422, answer.body
        assert answer.issue["severity"] == "error"
        assert (await client.get(f"Patient/{name}")).body == before.body

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"[",
            b"[]",
            b"{}",
            b'{"op":"remove","path":"/active"}',
            [{"path": "/active"}],
            [op("set", "/active", True)],
            [{"op": "remove"}],
            [{"op": "remove", "path": "active"}],
            [{"op": "remove", "path": 1}],
            [{"op": "add", "path": "/active"}],
            [{"op": "copy", "path": "/active"}],
            ["remove"],
        ],
        ids=str,
    )
    async def test_what_is_no_patch_is_a_400(self, client: Client, name: str, body: Any) -> None:
        await start(client, name)
        assert (await client.patch(f"Patient/{name}", body)).status == 400

    @pytest.mark.parametrize(
        "operations",
        [
            [op("copy", "/name/-", **{"from": "/name"})] * 40,
            [op("copy", "/extension/0/extension", **{"from": "/extension"})] * 250,
            [op("test", "/id", "x")] * 1001,
            [op("add", "/name", [{"family": "x" * 50_000}])] + [op("copy", "/name/-", **{"from": "/name/0"})] * 50,
        ],
        ids=["doubling", "nesting", "many", "long"],
    )
    async def test_that_grows_without_bound_is_refused_at_once(
        self, client: Client, name: str, operations: list[Json]
    ) -> None:
        await start(client, name, extension=[{"url": "http://test.example/e", "valueString": "x"}])
        sent = [
            {key: value for key, value in one.items() if key != "value" or one["op"] != "copy"} for one in operations
        ]
        answer = await client.patch(f"Patient/{name}", sent)
        assert answer.status == 413

    async def test_the_failing_operation_is_named(self, client: Client, name: str) -> None:
        await start(client, name)
        answer = await client.patch(f"Patient/{name}", [op("remove", "/active"), op("test", "/name/1/text", "x")])
        assert "Operation 1" in answer.issue["diagnostics"]
        assert "Annie" not in str(answer.resource)


class TestConditionalPatch:
    """R4 http.html#patch: conditional patch finds its resource as a conditional update does."""

    async def test_patches_the_one_match(self, client: Client, name: str) -> None:
        await client.stored(numbered(name, name))
        answer = await client.patch(f"Patient?identifier={SYSTEM}|{name}", [op("add", "/active", True)])
        assert (answer.status, answer.resource["active"], answer.id) == (200, True, name)

    async def test_without_a_match(self, client: Client, name: str) -> None:
        assert (await client.patch(f"Patient?identifier={SYSTEM}|{name}", [op("add", "/active", True)])).status == 404

    async def test_of_several_is_refused(self, client: Client, name: str) -> None:
        for _ in range(2):
            await client.post("Patient", numbered(name))
        answer = await client.patch(f"Patient?identifier={SYSTEM}|{name}", [op("add", "/active", True)])
        assert (answer.status, answer.issue["code"]) == (412, "multiple-matches")

    @pytest.mark.parametrize("query", ["", "?identifier=", "?nonsense=1"])
    async def test_refuses_criteria_that_do_not_select(self, client: Client, query: str) -> None:
        assert (await client.patch(f"Patient{query}", [op("add", "/active", True)])).status == 400


class TestInABundle:
    """R4 http.html#patch: the patch stands in a Binary whose contentType names its kind."""

    @staticmethod
    def bundle(kind: str, name: str, content_type: str = "application/json-patch+json") -> Json:
        data = b64encode(b'[{"op":"replace","path":"/active","value":false}]').decode()
        resource = {"resourceType": "Binary", "contentType": content_type, "data": data}
        entry = {"resource": resource, "request": {"method": "PATCH", "url": f"Patient/{name}"}}
        return {"resourceType": "Bundle", "type": kind, "entry": [entry]}

    @pytest.mark.parametrize("kind", ["batch", "transaction"])
    async def test_is_applied(self, client: Client, name: str, kind: str) -> None:
        await start(client, name)
        answer = await client.post("", self.bundle(kind, name))
        assert answer.entries[0]["response"]["status"].startswith("200")
        assert (await client.get(f"Patient/{name}")).resource["active"] is False

    async def test_of_another_kind_is_refused(self, client: Client, name: str) -> None:
        await start(client, name)
        assert (await client.post("", self.bundle("transaction", name, "application/xml-patch+xml"))).status == 415
