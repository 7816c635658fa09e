"""Names that stand for others within one project: keyed hashes, which only who holds the key can make again."""

from __future__ import annotations

import hashlib
import hmac
import re
from uuid import UUID

from fhir_server.model.reference import parse_reference

PROJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", re.ASCII)
"""What a project may be called."""
_BYTES = 16


class Pseudonyms:
    """Of one project: the same for ever under one key, and unlike those of every other project."""

    def __init__(self, key: str, project: str, base_url: str) -> None:
        self._key = hmac.digest(key.encode(), b"fhir-server pseudonyms\0" + project.encode(), hashlib.sha256)
        self._base_url = base_url

    @property
    def fingerprint(self) -> str:
        """Tells keys apart, and says nothing of them."""
        return self._digest("fingerprint").hex()[:16]

    def of(self, resource_type: str, logical_id: str) -> str:
        """A logical id (R4 datatypes.html#id) in the place of another."""
        return self._digest(f"{resource_type}/{logical_id}").hex()

    def reference(self, text: str) -> str:
        """Of a literal reference, in whatever form; the version it may name is not kept."""
        target = parse_reference(text, self._base_url)
        if target.is_local:
            return f"{target.resource_type}/{self.of(target.resource_type, target.logical_id)}"
        return self.elsewhere(text)

    def elsewhere(self, text: str) -> str:
        """Of what is not a resource of this server: urn:uuid:..., the same for the same."""
        return f"urn:uuid:{UUID(bytes=self._digest(f'elsewhere {text}'))}"

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode(), key=self._key, digest_size=_BYTES).digest()
