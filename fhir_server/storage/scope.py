"""Who asks and what they may see: data that every store call carries (DESIGN: security is data, not callbacks)."""

from __future__ import annotations

from dataclasses import dataclass

from fhir_server.storage.query import Predicate


@dataclass(frozen=True, slots=True)
class Scope:
    """`predicates` are added to every query; `principal` is an opaque id for provenance and logs.

    A resource that they exclude is as if absent, with all its versions; so is a deleted one, whose index is gone.
    Writing over one, or what would be one, is `Forbidden`.
    """

    principal: str = "anonymous"
    predicates: tuple[Predicate, ...] = ()


ALL = Scope()
