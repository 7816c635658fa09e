"""What a search of contained resources returns: them, or the resources that contain them (R4 search.html#contained)."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_server.interactions.exchange import Request, Server
from fhir_server.search.request import SearchRequest
from fhir_server.storage.base import StoredVersion
from fhir_server.storage.contained import MARK, container_of


def is_contained(version: StoredVersion) -> bool:
    return version.resource_type.startswith(MARK)


def full_url(base_url: str, version: StoredVersion) -> str:
    """A contained resource is at its container's URL, as the fragment of its id."""
    if is_contained(version):
        return f"{base_url}/{version.logical_id}"
    return f"{base_url}/{version.resource_type}/{version.logical_id}"


async def matched(
    server: Server, request: Request, wanted: SearchRequest, matches: Sequence[StoredVersion]
) -> list[StoredVersion]:
    """The matches of a page; of contained ones their containers, each once, unless they are wanted themselves."""
    if wanted.contained == "false" or wanted.contained_type == "contained":
        return list(matches)
    found: dict[tuple[str, str], StoredVersion] = {}
    for match in matches:
        if not is_contained(match):
            found.setdefault((match.resource_type, match.logical_id), match)
            continue
        resource_type, logical_id, _ = container_of(match.logical_id)
        if (resource_type, logical_id) not in found:
            container = await server.store.vread(request.scope, resource_type, logical_id, match.version_id)
            if container is not None:
                found[resource_type, logical_id] = container
    return list(found.values())
