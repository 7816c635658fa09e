"""A request and its answer as an interaction sees them: from HTTP or from a Bundle entry alike."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, Protocol

from fhir_server.clock import Clock, clock_of
from fhir_server.interactions.known_forms import KnownForms
from fhir_server.search.registry import R4, Registry
from fhir_server.storage.scope import ALL, Scope
from fhir_server.terminology.service import Terminology

if TYPE_CHECKING:
    from fhir_server.errors import Issue
    from fhir_server.settings import Settings
    from fhir_server.storage.async_jobs import AsyncJob, OutputFile
    from fhir_server.storage.base import Store, StoredVersion, Transaction

FHIR_JSON = "application/fhir+json"
GENERIC_JSON = ("application/json", "text/json")
JSON_TYPES = (FHIR_JSON, *GENERIC_JSON)
"""Names under which FHIR JSON is sent and asked for (R4 http.html#mime-type)."""
OTHER_FHIR_TYPES = ("application/fhir+xml", "application/fhir+turtle")
"""Representations of FHIR that are refused."""

READING_METHODS = frozenset(("GET", "HEAD", "OPTIONS"))

OperationLevel = Literal["system", "type", "instance"]
"""Where an operation is called (R4 operations.html#executing); a version is the instance level with a version id."""


class Operations(Protocol):
    """The operations a server offers, callable without importing them (`operations.registry` implements it)."""

    async def invoke(
        self,
        server: Server,
        request: Request,
        level: OperationLevel,
        resource_type: str | None,
        logical_id: str | None,
        version_id: str | None,
        code: str,
    ) -> Response:
        """Run operation `code` (without `$`); an unknown one, a wrong level or a wrong method raises FhirError."""
        ...

    def declared(self) -> list[tuple[str | None, str, str]]:
        """(resource type; code; canonical of the OperationDefinition).

        The type is None for the system level and `Resource` for an operation of every type.
        """
        ...


class Reactions(Protocol):
    """What a client's write sets off in its own transaction (`reactions.registry` implements it)."""

    @property
    def types(self) -> frozenset[str]:
        """Resource types whose writes set something off."""
        ...

    async def after_write(self, server: Server, transaction: Transaction, version: StoredVersion) -> list[Issue]:
        """React to `version`, which is in `transaction`; it may be a deletion. Warnings for the client.

        Raises FhirError to refuse the write as a whole. What a reaction writes sets nothing off.
        """
        ...


@dataclass(frozen=True, slots=True)
class MadeFile:
    """A file that a long request has made."""

    size: int
    """Bytes."""
    content: Callable[[int, int], AsyncIterator[bytes]]
    """Those from a place up to another."""


class Made(Protocol):
    """What one kind of long request has made, where that is not lines in the store."""

    def manifest(self, job: AsyncJob, files: list[OutputFile], address: str) -> dict[str, Any]: ...

    def file(self, job: AsyncJob, name: str) -> MadeFile | None:
        """One of its files; None for one whose lines are in the store. Raises ResourceGone."""
        ...

    async def discard(self, job: AsyncJob) -> None: ...


@dataclass(slots=True)
class Server:
    """What every interaction and operation works with."""

    store: Store
    settings: Settings
    operations: Operations | None = None
    """None when the server offers no operations."""
    registry: Registry = R4
    """The search parameters there are now; what begins keeps the snapshot it began with."""
    terminology: Terminology = field(default_factory=Terminology)
    forms: KnownForms = field(default_factory=KnownForms)
    reactions: Reactions | None = None
    made: Mapping[str, Made] = field(default_factory=dict)
    """Where the files of long requests are, by the kind of request; those not named keep them in the store."""
    clock: Clock = field(init=False)

    def __post_init__(self) -> None:
        self.clock = clock_of(self.settings)


@dataclass(slots=True)
class Request:
    """One interaction asked for. Header names are lower case; `path` is below the FHIR base, with no leading slash."""

    method: str
    path: str
    query: list[tuple[str, str]] = field(default_factory=list)
    """Decoded parameters in the order sent; for POST _search and operations the form's too."""
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    resource: dict[str, Any] | None = None
    """The parsed body, when somebody parsed it already (a Bundle entry)."""
    base_url: str = ""
    """Absolute FHIR base without a trailing slash."""
    scope: Scope = ALL
    in_bundle: bool = False

    @property
    def may_write(self) -> bool:
        """Whether it may change something (R4 http.html: POST _search is the one POST that cannot).

        One that is answered later is kept until then, also a GET.
        """
        if "respond-async" in (self.header("prefer") or "").lower():
            return True
        return self.method not in READING_METHODS and self.path.rpartition("/")[2] != "_search"

    def header(self, name: str) -> str | None:
        return self.headers.get(name)


@dataclass(slots=True)
class Response:
    """The answer; `body` is JSON bytes ready to send, raw bytes of a Binary, or a stream of them."""

    status: int
    body: bytes | AsyncIterator[bytes] = b""
    headers: dict[str, str] = field(default_factory=dict)
    content_type: str = FHIR_JSON
    outcome: dict[str, Any] | None = None
    """An OperationOutcome beside the body (Bundle.entry.response.outcome, Prefer: return=OperationOutcome)."""
    version: StoredVersion | None = None
    """The version read or written, when there is just one."""
