"""From a valid resource to a Draft: serialised and indexed, outside the writer."""

from __future__ import annotations

from base64 import b64decode
from dataclasses import replace
from typing import Any

from fhir_server.content_files import SHIPPED_BASE
from fhir_server.instruments.alerts import alert_resources, subject_of
from fhir_server.interactions.exchange import Server
from fhir_server.model.json import decode, stored_body
from fhir_server.search.custom import parameters_of
from fhir_server.search.extract import extract
from fhir_server.search.registry import R4, Registry
from fhir_server.storage.base import Draft

BLOB_FROM = 65_536
"""Binary.data of more decoded bytes is stored beside the resource row."""

BLOB_CHUNK = 196_608
"""Bytes per stored chunk; a multiple of 3, so that each chunk's base64 stands by itself."""


def prepare_for(server: Server, resource: dict[str, Any], logical_id: str, *, fresh: bool = False) -> Draft:
    """`prepare` with the settings and search parameters of `server`."""
    settings = server.settings
    return prepare(
        resource,
        logical_id,
        time_zone=settings.time_zone,
        registry=server.registry,
        canonical_base=settings.canonical_base,
        fresh=fresh,
    )


def prepare(
    resource: dict[str, Any],
    logical_id: str,
    *,
    time_zone: str,
    registry: Registry = R4,
    canonical_base: str = SHIPPED_BASE,
    fresh: bool = False,
) -> Draft:
    """The Draft of `resource` under `logical_id`, with what it brings with it.

    `time_zone` is settings.time_zone: dates without a zone are indexed in it. `fresh`: the id was just made here.
    """
    resource["id"] = logical_id
    kind = resource["resourceType"]
    if kind == "Binary" and len(resource.get("data", "")) * 3 // 4 > BLOB_FROM:
        return _with_blob(resource, fresh, time_zone, registry)
    head, tail = stored_body(resource)
    draft = Draft(kind, logical_id, head, tail, extract(resource, time_zone, registry), fresh, epoch=registry.epoch)
    if kind == "SearchParameter":
        draft.parameters = parameters_of(resource, registry)
    elif kind == "QuestionnaireResponse":
        draft.companions = tuple(
            _companion(made, subject_of(resource), fresh, time_zone, registry)
            for made in alert_resources(resource, canonical_base)
        )
    return draft


def _companion(
    resource: dict[str, Any], about: tuple[str, str] | None, fresh: bool, time_zone: str, registry: Registry
) -> Draft:
    draft = prepare(resource, resource["id"], time_zone=time_zone, registry=registry, fresh=fresh)
    draft.about = about
    return draft


def resource_of(draft: Draft) -> dict[str, Any]:
    """What the draft was made of; its content is trusted to be parsed, as it was once."""
    resource: dict[str, Any] = decode(draft.head + b'"versionId":"1"' + draft.tail)
    return resource


def indexed_again(draft: Draft, *, time_zone: str, registry: Registry) -> Draft:
    """The same draft with the rows of `registry`."""
    resource = resource_of(draft)
    companions = tuple(indexed_again(one, time_zone=time_zone, registry=registry) for one in draft.companions)
    return replace(draft, rows=extract(resource, time_zone, registry), epoch=registry.epoch, companions=companions)


def _with_blob(resource: dict[str, Any], fresh: bool, time_zone: str, registry: Registry) -> Draft:
    content = b64decode(resource["data"])
    head, tail = stored_body({**resource, "data": ""})
    # The empty data may stand before or after meta: Binary has neither in another place than the top level.
    place = tail.find(b'"data":""')
    if place < 0:
        ordered = {key: value for key, value in resource.items() if key != "data"}
        head, tail = stored_body({**ordered, "data": ""})
        place = tail.index(b'"data":""')
    return Draft(
        "Binary",
        resource["id"],
        head,
        tail,
        extract({key: value for key, value in resource.items() if key != "data"}, time_zone, registry),
        fresh,
        blob_content=[content[n : n + BLOB_CHUNK] for n in range(0, len(content), BLOB_CHUNK)],
        blob_offset=place + len(b'"data":"'),
        blob_content_type=resource.get("contentType", ""),
        epoch=registry.epoch,
    )
