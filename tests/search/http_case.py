"""Search cases as requests and answers (tests/cases/search_http/README.md): read, sent and compared.

Nothing here knows this server: the same files run against any FHIR R4 base URL (tests/search/run_cases.py).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPSConnection
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

from tests.search.http_answer import Answer, differences

DIRECTORY = Path(__file__).parents[1] / "cases" / "search_http"
TAG_SYSTEM = "http://example.org/search-cases"
LEFT_AS_IT_IS = "%:/?@!$&'()*+,;=-._~[]"
"""Characters of a URL in a file that are sent as they stand; a `%` was written by the author."""
EVERYTHING = "_count=1000"
REQUEST = frozenset(("rule", "spec", "get", "method", "post", "form", "send", "body", "headers", "scoped"))
"""What a case or step may say beside what it expects."""
ABOUT_MATCHES_ONLY = frozenset(("rule", "spec", "get", "post", "form", "status", "match", "include"))

Json = dict[str, Any]


class Session:
    """A connection to one server; `base_url` without a trailing slash."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        place = urlsplit(base_url)
        kind = HTTPSConnection if place.scheme == "https" else HTTPConnection
        self._connection = kind(place.netloc, timeout=60)
        self._path = place.path

    def send(self, method: str, url: str, headers: dict[str, str] | None = None, body: str | None = None) -> Answer:
        """`url` is relative to the base, or one of this server's own absolute links; `{base}` stands for the base."""
        relative = self._filled(url).removeprefix(self.base_url).removeprefix("/")
        slash = "/" if relative and not relative.startswith("?") else ""
        target = self._path + slash + quote(relative, safe=LEFT_AS_IT_IS)
        content = None if body is None else self._filled(body).encode()
        self._connection.request(method, target, content, {"Accept": "application/fhir+json", **(headers or {})})
        answer = self._connection.getresponse()
        return Answer(answer.status, answer.read(), answer.headers, self.base_url)

    def _filled(self, text: str) -> str:
        return text.replace("{base}", self.base_url)

    def close(self) -> None:
        self._connection.close()


@dataclass(frozen=True)
class CaseFile:
    """The cases of one section of the specification and the resources they need."""

    name: str
    section: str
    resources: list[Json]
    cases: list[Json]

    @property
    def scope(self) -> str:
        """A criterion that only the resources of this file meet."""
        return f"_tag={TAG_SYSTEM}|{self.name}"

    @property
    def ids(self) -> set[str]:
        return {resource["id"] for resource in self.resources}

    def store(self, session: Session) -> None:
        """All resources in one transaction, tagged with the name of the file."""
        entries = [_put(self._tagged(resource)) for resource in self.resources]
        sent = json.dumps({"resourceType": "Bundle", "type": "transaction", "entry": entries})
        answer = session.send("POST", "", {"Content-Type": "application/fhir+json"}, sent)
        if answer.status != 200:
            raise AssertionError(f"the resources of {self.name} were not stored: {answer.body[:2000]!r}")

    def _tagged(self, resource: Json) -> Json:
        meta = resource.get("meta", {})
        tag = {"system": TAG_SYSTEM, "code": self.name}
        return {**resource, "meta": {**meta, "tag": [*meta.get("tag", []), tag]}}


def _put(resource: Json) -> Json:
    key = f"{resource['resourceType']}/{resource['id']}"
    return {"fullUrl": f"{{base}}/{key}", "resource": resource, "request": {"method": "PUT", "url": key}}


def case_files() -> list[CaseFile]:
    found = []
    for path in sorted(DIRECTORY.glob("*.json")):
        content = json.loads(path.read_text())
        found.append(CaseFile(path.stem, content["section"], content["resources"], content["cases"]))
    return found


def failures(session: Session, file: CaseFile) -> Iterator[str]:
    """What came back otherwise than the cases of `file` say."""
    for case in file.cases:
        for step in case.get("steps", [case]):
            scope = file.scope if step.get("scoped", True) else ""
            answer = _carry_out(session, step, scope)
            found = [*differences(answer, step), *_page_differences(session, answer, step)]
            yield from (_report(file, case, step, line) for line in found)


def failures_among_all(session: Session, file: CaseFile) -> Iterator[str]:
    """The cases that only say what matches, once more without the criterion that keeps a search to the file.

    A search of one criterion may be carried out in another way than the same one with a second. Resources of others
    that match too do not count.
    """
    for case in file.cases:
        if case.keys() <= ABOUT_MATCHES_ONLY and "match" in case:
            answer = _carry_out(session, case, EVERYTHING)
            known = answer.of(file.ids) if answer.status == 200 else answer
            found = differences(known, case)
            yield from (_report(file, case, case, f"{line} (searched among all)") for line in found)


def _carry_out(session: Session, step: Json, scope: str) -> Answer:
    """A search narrowed by `scope`, or the request of `send` as it stands."""
    headers = dict(step.get("headers", {}))
    if "get" in step:
        return session.send(step.get("method", "GET"), _with(step["get"], scope), headers)
    if "post" in step:
        headers.setdefault("Content-Type", "application/x-www-form-urlencoded")
        form = "&".join(part for part in (step.get("form", ""), scope) if part)
        return session.send("POST", step["post"], headers, quote(form, safe=LEFT_AS_IT_IS + "{}"))
    method, _, url = step["send"].partition(" ")
    if "body" not in step:
        return session.send(method, url, headers)
    headers.setdefault("Content-Type", "application/fhir+json")
    return session.send(method, url, headers, json.dumps(step["body"]))


def _with(url: str, more: str) -> str:
    if not more:
        return url
    return url + ("&" if "?" in url else "?") + more


def _page_differences(session: Session, answer: Answer, step: Json) -> Iterator[str]:
    """The pages from the first to the last, by their `next` links."""
    if "pages" not in step or answer.status != 200:
        return
    pages = [answer.ids("match")]
    while (following := answer.link("next")) is not None and len(pages) <= len(step["pages"]):
        answer = session.send("GET", following)
        pages.append(answer.ids("match") if answer.status == 200 else [f"status {answer.status}"])
    if pages != step["pages"]:
        yield f"pages are {pages}, not {step['pages']}"


def _report(file: CaseFile, case: Json, step: Json, line: str) -> str:
    asked = step.get("get") or step.get("send") or f"POST {step['post']} {step.get('form', '')}"
    return f"[{case.get('spec', file.section)}] {case['rule']}\n    {asked}\n    {line}"
