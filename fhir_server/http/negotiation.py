"""Which representation a client wants and sends: JSON only for now.

R4 http.html#mime-type (content negotiation), #parameters (_format, _pretty), #version-parameter.
"""

from __future__ import annotations

from functools import lru_cache

from fhir_server.errors import NotAcceptable, UnsupportedMediaType
from fhir_server.http.header_values import name_and_parameters, quality
from fhir_server.interactions.exchange import FHIR_JSON, GENERIC_JSON, JSON_TYPES, OTHER_FHIR_TYPES

FORM = "application/x-www-form-urlencoded"
JSON_PATCH = "application/json-patch+json"
FHIR_VERSIONS = ("4.0", "4.0.1")
_FORMATS = {"json": FHIR_JSON, FHIR_JSON: FHIR_JSON} | {name: name for name in GENERIC_JSON}
_ONLY_JSON = "This server speaks FHIR as JSON only (application/fhir+json); XML and Turtle are not supported."


@lru_cache(maxsize=64)
def response_type(accept: str, format_: str) -> str:
    """The media type of a JSON answer: the generic one when the client asked for just that.

    `format_` is the `_format` parameter, which overrides the Accept header; both may be empty.

    Raises:
        NotAcceptable: nothing the client accepts is JSON of FHIR R4.
    """
    if format_:
        return _type_of_format(format_)
    if not accept:
        return FHIR_JSON
    best, best_quality = "", 0.0
    wrong_version = False
    for media_range in accept.split(","):
        name, parameters = name_and_parameters(media_range)
        if name in ("*/*", "application/*"):
            name = FHIR_JSON
        if name not in JSON_TYPES:
            continue
        if parameters.get("fhirversion", FHIR_VERSIONS[0]) not in FHIR_VERSIONS:
            wrong_version = True
            continue
        wanted = quality(parameters)
        if wanted > best_quality:
            best, best_quality = name, wanted
    if best:
        return best
    if wrong_version:
        raise NotAcceptable("This server speaks FHIR version 4.0 only; ask for fhirVersion=4.0 or leave it out.")
    raise NotAcceptable(f"{_ONLY_JSON} Accept it, or */*, or send _format=json.")


@lru_cache(maxsize=64)
def wants_fhir(accept: str) -> bool:
    """Whether a Binary is asked for as a resource rather than as its content (R4 binary.html#rest)."""
    names = [name_and_parameters(media_range)[0] for media_range in accept.split(",")]
    return any(name in JSON_TYPES for name in names) or all(name in OTHER_FHIR_TYPES for name in names)


@lru_cache(maxsize=64)
def check_content_type(content_type: str, allowed: tuple[str, ...]) -> None:
    """Refuse a body whose media type is not one of `allowed`.

    Raises:
        UnsupportedMediaType: another media type, a charset other than UTF-8 or a FHIR version other than 4.0.
    """
    name, parameters = name_and_parameters(content_type)
    if name not in allowed:
        sent = f"Content-Type {name[:80]!r}" if name else "a body without Content-Type"
        raise UnsupportedMediaType(f"Cannot read {sent}. Send {' or '.join(allowed)}.")
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise UnsupportedMediaType("FHIR bodies are UTF-8; send charset=UTF-8 or leave it out.")
    if parameters.get("fhirversion", FHIR_VERSIONS[0]) not in FHIR_VERSIONS:
        raise UnsupportedMediaType("This server takes FHIR version 4.0 only; send fhirVersion=4.0 or leave it out.")


def body_types(method: str, path: str) -> tuple[str, ...] | None:
    """The media types a body may have; None for a Binary, whose content may be of any (R4 binary.html#rest)."""
    resource_type, _, rest = path.partition("/")
    if path.rpartition("/")[2] == "_search":
        return (FORM,)
    if method == "PATCH":
        return (JSON_PATCH, *JSON_TYPES)
    if resource_type == "Binary" and "$" not in rest:
        return None
    return JSON_TYPES


def _type_of_format(format_: str) -> str:
    # An unescaped "+" arrives as a space.
    name, parameters = name_and_parameters(format_.replace("fhir json", "fhir+json"))
    if name not in _FORMATS:
        raise NotAcceptable(f"{_ONLY_JSON} Send _format=json or leave _format out.")
    if parameters.get("fhirversion", FHIR_VERSIONS[0]) not in FHIR_VERSIONS:
        raise NotAcceptable("This server speaks FHIR version 4.0 only.")
    return _FORMATS[name]
