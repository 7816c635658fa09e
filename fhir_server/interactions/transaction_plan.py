"""What a transaction will write, worked out before the writer: ids, references, drafts (R4 http.html#trules)."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field
from typing import Any

from fhir_server import spec
from fhir_server.errors import FhirError, InvalidResource, ResourceNotFound
from fhir_server.interactions.bundle_entry import BundleEntry
from fhir_server.interactions.create import criteria_of
from fhir_server.interactions.draft import prepare_for
from fhir_server.interactions.exchange import Server
from fhir_server.interactions.logical_id import check_id, new_id
from fhir_server.interactions.patch import operations_of
from fhir_server.interactions.transaction_links import relink, split_full_url
from fhir_server.model.reference import CONDITIONAL, localise, place_of, references
from fhir_server.search.conditional import Criteria, conditional_criteria
from fhir_server.storage.base import Draft, StoredVersion


@dataclass(slots=True)
class Step:
    """One entry that writes."""

    entry: BundleEntry
    resource_type: str
    logical_id: str | None
    """The id written to; for a conditional entry the one it gets when nothing matches; None until known."""
    condition: Criteria | None = None
    resource: dict[str, Any] | None = None
    draft: Draft | None = None
    patch: Any = None
    sent_id: str | None = None
    """The id a conditionally updated resource came with."""
    lookups: dict[str, Criteria] = field(default_factory=dict)
    """Conditional references in the resource: text -> what it asks."""

    @property
    def method(self) -> str:
        return self.entry.request.method

    @property
    def conditions(self) -> list[Criteria]:
        return [*([self.condition] if self.condition else ()), *self.lookups.values()]

    @property
    def target(self) -> str:
        return f"{self.resource_type}/{self.logical_id}"


def plan(server: Server, entries: list[BundleEntry]) -> list[Step]:
    """The writing steps in the order of the entries, their resources rewritten and indexed.

    Raises FhirError naming the entry.
    """
    steps = []
    for entry in entries:
        if entry.request.method == "GET" or entry.request.path.rpartition("/")[2].startswith(("$", "_")):
            continue
        try:
            steps.append(_step(server, entry))
        except FhirError as error:
            raise error.at(entry.expression) from error
    mapping = _mapping(steps)
    refuse_overlap(steps)
    for step in steps:
        if step.resource is not None:
            try:
                _finish(server, step, mapping)
            except FhirError as error:
                raise error.at(step.entry.expression) from error
    return steps


def _step(server: Server, entry: BundleEntry) -> Step:
    request = entry.request
    resource_type, _, logical_id = request.path.partition("/")
    if "/" in logical_id:
        raise InvalidResource(
            "The url of this entry is not [type] or [type]/[id].", expression=f"{entry.expression}.request.url"
        )
    if resource_type not in spec.RESOURCE_TYPES:
        named = f"{resource_type[:64]} is not a" if resource_type else "The url of this entry does not name a"
        raise ResourceNotFound(
            f"{named} resource type of FHIR R4.", code="not-supported", expression=f"{entry.expression}.request.url"
        )
    step = Step(entry, resource_type, check_id(logical_id) if logical_id else None)
    if request.method == "POST":
        if logical_id:
            raise InvalidResource("POST creates under a new id: the url must be the type alone.", code="value")
        step.logical_id = new_id()
        criteria = criteria_of(request)
        element = "url" if isinstance(criteria, list) else "ifNoneExist"
        step.condition = _condition(server, step, criteria, element) if criteria is not None else None
    elif not logical_id:
        step.condition = _condition(server, step, request.query, "url")
    elif request.query:
        raise InvalidResource("An entry's url has either an id or criteria, not both.", code="value")
    if request.method == "PATCH":
        step.patch = operations_of(server, request)
    elif request.method in ("POST", "PUT"):
        step.resource = _resource(server, step)
    return step


def _condition(server: Server, step: Step, criteria: Any, element: str) -> Criteria:
    """`element`: where in the entry's request the criteria stand."""
    try:
        return conditional_criteria(
            step.resource_type,
            criteria,
            base_url=step.entry.request.base_url,
            time_zone=server.settings.time_zone,
            registry=server.registry,
        )
    except FhirError as error:
        raise error.located(f"{step.entry.expression}.request.{element}") from error


def _resource(server: Server, step: Step) -> dict[str, Any]:
    """The entry's resource, of the url's type, and under its id where the url has one."""
    resource = step.entry.request.resource
    assert resource is not None
    if resource["resourceType"] != step.resource_type:
        raise InvalidResource(
            f"The resource's type is {resource['resourceType']} but the url names {step.resource_type}.",
            expression="resource",
        )
    own = resource.get("id")
    if step.method == "PUT" and step.condition is None and own != step.logical_id:
        raise InvalidResource("The resource's id is not the url's.", expression=f"{step.resource_type}.id")
    if step.method == "PUT" and step.condition is not None:
        step.logical_id = check_id(own) if own is not None and server.settings.client_ids else new_id()
        step.sent_id = own
    return resource


def check_own_id(step: Step, match: StoredVersion) -> None:
    """R4 http.html#cond-update: an id in the body that is not the match's is a 400."""
    if step.sent_id is not None and step.sent_id != match.logical_id:
        raise InvalidResource(
            "The criteria match a resource with another id than the resource's.", expression=f"{step.resource_type}.id"
        )


def _mapping(steps: list[Step]) -> dict[str, str]:
    """What stands for each written resource inside the Bundle (its fullUrl) -> the reference it gets."""
    mapping: dict[str, str] = {}
    for step in steps:
        full_url = step.entry.full_url
        if full_url is None or step.resource is None:
            continue
        place = f"{step.entry.expression}.fullUrl"
        if full_url in mapping:
            raise InvalidResource("Two entries have this fullUrl.", expression=place)
        if "/_history/" in full_url:
            raise InvalidResource("A fullUrl names a resource, not a version of it (bdl-8).", expression=place)
        parts = split_full_url(full_url, step.resource_type)
        if parts is not None and step.resource.get("id", parts[1]) != parts[1]:
            raise InvalidResource("The fullUrl and the resource's id disagree.", expression=place)
        mapping[full_url] = step.target
    return mapping


def _base(step: Step) -> str:
    """Where relative references of the entry begin (R4 bundle.html#references); without a RESTful fullUrl here."""
    parts = split_full_url(step.entry.full_url, step.resource_type)
    return parts[0] if parts is not None else step.entry.request.base_url


def refuse_overlap(steps: list[Step]) -> None:
    """R4 http.html#trules: one identity, resolved criteria included, may be written by one entry only."""
    seen: set[str] = set()
    conditions: set[str] = set()
    for step in steps:
        if step.method in ("POST", "PUT") and step.condition is not None:
            # Where nothing matches yet, each would create one.
            if step.condition.identity in conditions:
                raise InvalidResource(
                    "Another entry writes under the same criteria: keep one and refer to it.",
                    expression=f"{step.entry.expression}.request.{'ifNoneExist' if step.method == 'POST' else 'url'}",
                )
            conditions.add(step.condition.identity)
        if step.logical_id is None:
            continue
        if step.target in seen:
            raise InvalidResource(
                f"{step.target} is written by more than one entry.", expression=f"{step.entry.expression}.request.url"
            )
        seen.add(step.target)


def _finish(server: Server, step: Step, mapping: dict[str, str]) -> None:
    resource = step.resource
    assert resource is not None
    assert step.logical_id is not None
    if mapping:
        relink(resource, mapping, _base(step))
    if step.entry.request.base_url:
        localise(resource, step.entry.request.base_url)
    for holder, key in references(resource):
        text = holder[key]
        if text.startswith(("urn:uuid:", "urn:oid:")):
            raise InvalidResource(
                f"{text} is not the fullUrl of an entry of this Bundle.",
                code="not-found",
                expression=place_of(resource, text),
            )
        if "?" in text and (found := CONDITIONAL.fullmatch(text)):
            step.lookups[text] = conditional_criteria(
                found.group(1),
                found.group(2),
                base_url=step.entry.request.base_url,
                time_zone=server.settings.time_zone,
                registry=server.registry,
            )
    if not step.lookups:
        step.draft = prepare_for(server, resource, step.logical_id, fresh=step.method == "POST")


def redirect(server: Server, step: Step, mapping: dict[str, str]) -> None:
    """Point the step's references elsewhere and index it again; only where it has such references."""
    assert step.resource is not None
    assert step.logical_id is not None
    if step.draft is not None and step.draft.logical_id == step.logical_id:
        text = step.draft.head + step.draft.tail
        if not any(old.encode() in text for old in mapping):
            return
    resource = deepcopy(step.resource)
    relink(resource, mapping)
    step.resource = resource
    if not step.lookups or mapping.keys() >= step.lookups.keys():
        step.draft = prepare_for(server, resource, step.logical_id, fresh=step.method == "POST")
