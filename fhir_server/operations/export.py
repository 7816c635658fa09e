"""$export of the system, of all patients or of a Group: resources as files of lines, made in the background.

HL7 FHIR Bulk Data Access (Flat FHIR) STU 2, export.html; `_until` is of STU 3. What is asked for is read here; the work
is done by bulk/export/.
"""

from __future__ import annotations

from importlib.util import find_spec
from typing import Any

import msgspec

from fhir_server import spec
from fhir_server.errors import BusinessRule, InvalidResource, InvalidSearch
from fhir_server.interactions.answer import present
from fhir_server.interactions.async_request import accept
from fhir_server.interactions.exchange import Response
from fhir_server.interactions.prefer import preference
from fhir_server.model.instant import parse_instant
from fhir_server.model.reference import parse_reference
from fhir_server.operations.export_plan import KIND, NDJSON, NDJSON_GZ, PARQUET, Filter, Plan
from fhir_server.operations.export_project import deidentifiable, fingerprint, read_project
from fhir_server.operations.patient_record import OF_PATIENTS
from fhir_server.operations.request import OperationRequest
from fhir_server.operations.stored import content_of
from fhir_server.search.conditional import conditional_criteria

_FORMATS = {
    "application/fhir+ndjson": NDJSON,
    "application/ndjson": NDJSON,
    "ndjson": NDJSON,
    "application/fhir+ndjson+gzip": NDJSON_GZ,
    "ndjson.gz": NDJSON_GZ,
    "application/vnd.apache.parquet": PARQUET,
    "parquet": PARQUET,
}
"""Values of _outputFormat, and how the names of the files end."""


async def export(call: OperationRequest) -> Response:
    """202. Raises InvalidResource, InvalidSearch (400), ResourceNotFound, ResourceGone, BusinessRule, Overloaded."""
    plan = await plan_of(call)
    return await accept(call.server, call.request, KIND, msgspec.json.encode(plan), plan.parts)


async def plan_of(call: OperationRequest) -> Plan:
    """What the call asks for, as of now."""
    exports = call.server.store.exports
    now = await exports.now()
    since, until = _instant(call, "_since"), _instant(call, "_until")
    of_patients = call.level != "system"
    group = None
    if call.level == "instance":
        group_version = present(await call.server.store.read(call.scope, *call.target), *call.target)
        group = (group_version.logical_id, group_version.version_id)
    project = read_project(call)
    types = await _types(call, of_patients=of_patients)
    left_out: tuple[str, ...] = ()
    if project:
        types, left_out = deidentifiable(types, _split(call, "_type"))
    if call.many("includeAssociatedData"):
        raise InvalidResource(
            "includeAssociatedData is not supported: name the types you need in _type.", code="not-supported"
        )
    return Plan(
        base_url=call.request.base_url,
        types=types,
        snapshot=now.seq,
        time=now.last_updated,
        # Later than _since; what has the very time of a transactionTime was in that export.
        first=0 if since is None else await exports.seq_at(since),
        last=now.seq if until is None else min(now.seq, await exports.seq_at(until)),
        of_patients=of_patients,
        group=group,
        patients=await _patients(call, group),
        elements=_elements(call, types),
        filters=_filters(call, types),
        deletions=since is not None,
        suffix=_suffix(call),
        project=project,
        key_fingerprint=fingerprint(call.server.settings, project) if project else "",
        left_out=left_out,
    )


def _instant(call: OperationRequest, name: str) -> int | None:
    text = call.one(name)
    if text is None:
        return None
    moment = parse_instant(str(text))
    if moment is None:
        raise InvalidResource(f"{name} is an instant such as 2026-03-01T09:00:00Z.", code="value")
    return moment


def _split(call: OperationRequest, name: str) -> list[str]:
    """Values of a parameter that may be repeated, and each a list with commas."""
    return [part.strip() for value in call.many(name) for part in str(value).split(",") if part.strip()]


async def _types(call: OperationRequest, *, of_patients: bool) -> tuple[str, ...]:
    """In the order of their names, but Patient first. Those that are not stored give no file."""
    stored = {name for name in await call.server.store.types() if not name.startswith("#")}
    wanted = _split(call, "_type")
    for name in wanted:
        if name not in spec.RESOURCE_TYPES:
            raise InvalidResource(f"_type: {name[:100]} is no resource type of R4.", code="code-invalid")
        if of_patients and name not in OF_PATIENTS and not _is_lenient(call):
            raise InvalidResource(
                f"_type: {name} is in no patient's compartment. Export it from the system ([base]/$export), or send "
                "Prefer: handling=lenient.",
                code="not-supported",
            )
    types = stored & set(wanted) if wanted else stored
    if of_patients:
        types &= OF_PATIENTS
    return tuple(sorted(types, key=lambda name: (name != "Patient", name)))


def _is_lenient(call: OperationRequest) -> bool:
    return preference(call.request, "handling") == "lenient"


async def _patients(call: OperationRequest, group: tuple[str, int] | None) -> tuple[str, ...]:
    """Ids of the parameter `patient`. Raises BusinessRule (422) for one that is not a member of the Group."""
    ids: dict[str, None] = {}
    for given in call.many("patient"):
        target = parse_reference(str(given.get("reference", "")), call.request.base_url)
        if not target.is_local or target.resource_type != "Patient":
            raise InvalidResource("patient is a reference to a Patient of this server: Patient/[id].", code="value")
        ids[target.logical_id] = None
    if ids and call.level == "system":
        raise InvalidResource("patient goes with Patient/$export or Group/[id]/$export.", code="not-supported")
    if ids and group is not None:
        version = present(await call.server.store.vread(call.scope, "Group", *group), "Group", group[0])
        members = set(members_of(content_of(version)))
        for logical_id in ids:
            if logical_id not in members:
                raise BusinessRule(f"Patient/{logical_id} is no active member of Group/{group[0]}.")
    return tuple(ids)


def members_of(group: dict[str, Any]) -> list[str]:
    """Ids of the Patients that are active members of the Group (R4 group.html)."""
    found: dict[str, None] = {}
    for member in group.get("member", ()):
        entity = parse_reference(str(member.get("entity", {}).get("reference", "")))
        if entity.is_local and entity.resource_type == "Patient" and not member.get("inactive"):
            found[entity.logical_id] = None
    return list(found)


def _elements(call: OperationRequest, types: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """`[element]` for all types, or `[type].[element]`."""
    found: dict[str, list[str]] = {}
    for text in _split(call, "_elements"):
        head, _, rest = text.partition(".")
        of_type, name = (head, rest) if rest and head in spec.RESOURCE_TYPES else ("", text)
        structures = [of_type] if of_type else types
        if not any(
            name in spec.structure(one).children[one] or f"{name}[x]" in spec.structure(one).children[one]
            for one in structures
        ):
            raise InvalidResource(
                f"_elements: {text[:100]} is no element at the root of what is exported.", code="value"
            )
        found.setdefault(of_type, []).append(name)
    return {of_type: tuple(names) for of_type, names in found.items()}


def _filters(call: OperationRequest, types: tuple[str, ...]) -> tuple[Filter, ...]:
    """`[type]?[criteria]`, read as strictly as conditions that decide what is written."""
    found = []
    for value in call.many("_typeFilter"):
        resource_type, mark, criteria = str(value).strip().partition("?")
        if not mark or resource_type not in spec.RESOURCE_TYPES:
            raise InvalidResource(
                "_typeFilter is [type]?[criteria], such as Observation?code=http://loinc.org|72093-8; repeat it.",
                code="value",
            )
        wanted = _split(call, "_type")
        if wanted and resource_type not in wanted:
            raise InvalidResource(f"_typeFilter: {resource_type} is not in _type.", code="value")
        try:
            conditional_criteria(
                resource_type,
                criteria,
                base_url=call.request.base_url,
                time_zone=call.server.settings.time_zone,
                registry=call.server.registry,
            )
        except InvalidSearch as error:
            raise InvalidSearch(f"_typeFilter: {error}") from error
        found.append(Filter(resource_type, criteria))
    return tuple(found)


def _suffix(call: OperationRequest) -> str:
    wanted = str(call.one("_outputFormat") or "ndjson").replace(" ", "+")
    if wanted not in _FORMATS:
        known = ", ".join(_FORMATS)
        raise InvalidResource(f"_outputFormat: {wanted[:100]} is not one of {known}.", code="not-supported")
    if _FORMATS[wanted] == PARQUET and find_spec("pyarrow") is None:
        raise InvalidResource(
            "_outputFormat: this server makes no Parquet files: install the package pyarrow (pip install "
            "'fhir-server[parquet]'), or ask for ndjson.",
            code="not-supported",
        )
    return _FORMATS[wanted]
