"""An answer of a FHIR server and how it differs from what a search case expects of it."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any
from urllib.parse import unquote_plus

Json = dict[str, Any]

ERRORS = ("fatal", "error")


@dataclass
class Answer:
    """What came back. A resource, mostly a Bundle, or nothing."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    base_url: str = ""

    @cached_property
    def resource(self) -> Json:
        try:
            found = json.loads(self.body)
        except ValueError:
            return {}
        return found if isinstance(found, dict) else {}

    @property
    def entries(self) -> list[Json]:
        found: list[Json] = self.resource.get("entry", [])
        return found

    def of(self, ids: set[str]) -> Answer:
        """The same searchset without the resources of others."""
        kept = [entry for entry in self.entries if entry.get("resource", {}).get("id") in ids]
        return Answer(self.status, json.dumps({**self.resource, "entry": kept}).encode(), self.headers, self.base_url)

    def resources(self, mode: str) -> list[Json]:
        """Those with this `search.mode`."""
        return [entry["resource"] for entry in self.entries if entry.get("search", {}).get("mode") == mode]

    def ids(self, mode: str) -> list[str]:
        return [resource.get("id", "") for resource in self.resources(mode)]

    def keys(self, mode: str) -> list[str]:
        return [f"{resource['resourceType']}/{resource.get('id', '')}" for resource in self.resources(mode)]

    def link(self, relation: str) -> str | None:
        return next((link["url"] for link in self.resource.get("link", []) if link["relation"] == relation), None)

    def issues(self) -> list[Json]:
        found: list[Json] = self.resource.get("issue", [])
        return found


def differences(answer: Answer, expected: Json) -> Iterator[str]:
    """One line for each thing that is not as `expected` says (tests/cases/search_http/README.md)."""
    wanted = expected.get("status", 200)
    statuses = wanted if isinstance(wanted, list) else [wanted]
    if answer.status not in statuses:
        yield f"status {answer.status}, not {wanted}: {answer.body[:300].decode(errors='replace')}"
        return
    if isinstance(wanted, list) and answer.status >= 400 and "issue" not in expected:
        return  # refused, where R4 leaves the choice: the rest is about an answer
    for name, check in _CHECKS.items():
        if name in expected:
            yield from check(answer, expected[name])
    if "include" not in expected and ("match" in expected or "ordered" in expected):
        yield from _include(answer, [])


def _match(answer: Answer, wanted: list[str]) -> Iterator[str]:
    yield from _same(answer.ids("match"), wanted, "matches")
    yield from _is_searchset(answer)


def _is_searchset(answer: Answer) -> Iterator[str]:
    if (answer.resource.get("resourceType"), answer.resource.get("type")) != ("Bundle", "searchset"):
        yield "not a Bundle of the type searchset"
    if any(entry.get("search", {}).get("mode") not in ("match", "include", "outcome") for entry in answer.entries):
        yield "an entry has no search.mode"


def _ordered(answer: Answer, wanted: list[str]) -> Iterator[str]:
    if answer.ids("match") != wanted:
        yield f"matches {answer.ids('match')}, in the order {wanted} expected"
    yield from _is_searchset(answer)


def _include(answer: Answer, wanted: list[str]) -> Iterator[str]:
    yield from _same(answer.keys("include"), wanted, "includes")


def _same(found: list[str], wanted: list[str], what: str) -> Iterator[str]:
    more, fewer = Counter(found) - Counter(wanted), Counter(wanted) - Counter(found)
    if more or fewer:
        yield f"{what}: {', '.join(['+' + one for one in more.elements()] + ['-' + one for one in fewer.elements()])}"


def _issue(answer: Answer, wanted: str | list[str]) -> Iterator[str]:
    codes = [issue.get("code") for issue in answer.issues() if issue.get("severity") in ERRORS]
    if answer.resource.get("resourceType") != "OperationOutcome":
        yield "no OperationOutcome"
    elif not set(codes) & set([wanted] if isinstance(wanted, str) else wanted):
        yield f"issue codes {codes}, not {wanted}: {answer.body[:300].decode(errors='replace')}"


def _says(answer: Answer, wanted: list[str]) -> Iterator[str]:
    text = answer.body.decode(errors="replace")
    yield from (f"says nothing of {one!r}: {text[:300]}" for one in wanted if one not in text)


def _warned(answer: Answer, wanted: list[str]) -> Iterator[str]:
    """Every word of `wanted` is in an outcome entry; none at all when there are no words."""
    outcomes = answer.resources("outcome")
    text = json.dumps(outcomes)
    if not wanted and outcomes:
        yield f"an outcome entry: {text[:300]}"
    yield from (f"no outcome entry names {one!r}" for one in wanted if one not in text)
    for issue in (issue for outcome in outcomes for issue in outcome.get("issue", [])):
        if issue.get("severity") in ERRORS:
            yield f"an issue of severity {issue['severity']} in a searchset"


def _total(answer: Answer, wanted: int | None) -> Iterator[str]:
    if answer.resource.get("total") != wanted:
        yield f"total {answer.resource.get('total')}, not {wanted}"


def _links(answer: Answer, wanted: Json) -> Iterator[str]:
    found = {link["relation"] for link in answer.resource.get("link", [])}
    yield from (f"no link {one}" for one in wanted.get("has", []) if one not in found)
    yield from (f"a link {one}" for one in wanted.get("lacks", []) if one in found)


def _self(answer: Answer, wanted: Json) -> Iterator[str]:
    url = unquote_plus(answer.link("self") or "")
    if not url.startswith(answer.base_url):
        yield f"the self link {url!r} is not an absolute link to this server"
    yield from (f"the self link {url!r} lacks {one!r}" for one in wanted.get("has", []) if one not in url)
    yield from (f"the self link {url!r} has {one!r}" for one in wanted.get("lacks", []) if one in url)


def _full_urls(answer: Answer, wanted: list[str]) -> Iterator[str]:
    found = [entry["fullUrl"].removeprefix(f"{answer.base_url}/") for entry in answer.entries if "fullUrl" in entry]
    yield from _same(found, wanted, "fullUrls")


def _elements(answer: Answer, wanted: dict[str, Json]) -> Iterator[str]:
    """By Type/id (or Type/* for a resource alone in the answer): which elements there are, and tags."""
    shown = [*answer.resources("match"), *answer.resources("include")]
    found = {f"{one['resourceType']}/{one.get('id', '')}": one for one in shown}
    found[f"{answer.resource.get('resourceType')}/*"] = answer.resource
    for key, rule in wanted.items():
        if key not in found:
            yield f"{key} is not there"
            continue
        resource = found[key]
        yield from (f"{key} lacks {one}" for one in rule.get("has", []) if one not in resource)
        yield from (f"{key} has {one}" for one in rule.get("lacks", []) if one in resource)
        tags = [tag.get("code") for tag in resource.get("meta", {}).get("tag", [])]
        if "tagged" in rule and ("SUBSETTED" in tags) is not rule["tagged"]:
            yield f"{key} has the tags {tags}"
        yield from (f"{key} lacks the tag {one}" for one in rule.get("tags", []) if one not in tags)
        for name, value in rule.get("values", {}).items():
            if resource.get(name) != value:
                yield f"{key}.{name} is {resource.get(name)!r}, not {value!r}"


def _entries(answer: Answer, wanted: list[Json]) -> Iterator[str]:
    """Of a batch-response or transaction-response: each entry by its status, and the resource in it as an answer."""
    if len(answer.entries) != len(wanted):
        yield f"{len(answer.entries)} entries, not {len(wanted)}"
        return
    for index, (entry, rule) in enumerate(zip(answer.entries, wanted, strict=True)):
        response = entry.get("response", {})
        status = int(response.get("status", "0").partition(" ")[0])
        resource = entry.get("resource") or response.get("outcome") or {}
        inner = Answer(status, json.dumps(resource).encode(), base_url=answer.base_url)
        yield from (f"entry {index}: {line}" for line in differences(inner, rule))


def _sent(answer: Answer, wanted: dict[str, str]) -> Iterator[str]:
    """Headers of the answer that begin with these values."""
    for name, value in wanted.items():
        if not str(answer.headers.get(name, "")).startswith(value):
            yield f"{name} is {answer.headers.get(name)!r}, not {value!r}"


def _empty(answer: Answer, wanted: bool) -> Iterator[str]:
    if (not answer.body) is not wanted:
        yield f"the body is {answer.body[:100]!r}"


_CHECKS = {
    "match": _match,
    "ordered": _ordered,
    "include": _include,
    "issue": _issue,
    "says": _says,
    "warned": _warned,
    "total": _total,
    "links": _links,
    "self": _self,
    "full_urls": _full_urls,
    "elements": _elements,
    "entries": _entries,
    "sent": _sent,
    "empty": _empty,
}

EXPECTATIONS = frozenset(("status", "pages", *_CHECKS))
"""What a case may say of the answer; `pages` is followed by http_case."""
